//! Certificates that the test makes: with rcgen what is well-formed, with the openssl command
//! what rcgen does not make, and by changing bytes what nobody should.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::allow_attributes,
    reason = "a test may fail loudly"
)]

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

use certs::{
    AnomalyKind, Certificate, Context, Hash, KeyKind, RULES, SelfSigned, Thresholds, Trust,
    Verdict, certificates_in, parse,
};
use model::{Severity, Timestamp};
use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, CrlDistributionPoint, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber,
    date_time_ymd,
};

/// The moment at which certificates are judged here.
fn now() -> Timestamp {
    "2026-06-01".parse().unwrap()
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    params.serial_number = Some(SerialNumber::from_slice(&[0x12, 0x34]));
    params
}

fn self_signed(params: &CertificateParams) -> Vec<u8> {
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

/// A certificate that an authority issued.
fn issued(params: &CertificateParams) -> Vec<u8> {
    let mut authority = self::params(&[]);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name = DistinguishedName::new();
    authority.distinguished_name.push(DnType::CommonName, "authority");
    let issuer = Issuer::new(authority, KeyPair::generate().unwrap());
    params.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap().der().to_vec()
}

/// The rules that a certificate breaks now, with how much each matters.
fn broken(certificate: &Certificate) -> Vec<(&'static str, Severity)> {
    broken_at(certificate, now())
}

fn broken_at(certificate: &Certificate, as_of: Timestamp) -> Vec<(&'static str, Severity)> {
    let context = Context { as_of, thresholds: Thresholds::default(), trust: Trust::Private };
    RULES
        .iter()
        .filter_map(|rule| match rule.judge(certificate, &context) {
            Verdict::Fail { severity, .. } => Some((rule.id, severity)),
            Verdict::Pass | Verdict::NotApplicable => None,
        })
        .collect()
}

#[track_caller]
fn check(der: &[u8], expected: &[(&str, Severity)]) -> Certificate {
    let certificate = parse(der);
    assert_eq!(broken(&certificate), expected, "{certificate:#?}");
    certificate
}

/// Runs the openssl command with this input; returns what it printed.
#[track_caller]
fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut process = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the openssl command is installed");
    // It may end without reading everything.
    let _ = process.stdin.take().unwrap().write_all(input);
    let output = process.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {}: {told}", arguments.join(" "));
    output.stdout
}

/// A self-signed certificate made by openssl, with these arguments to `genpkey` and to `req`.
fn made(key_arguments: &[&str], arguments: &[&str]) -> Vec<u8> {
    let key = openssl(&[&["genpkey"], key_arguments].concat(), &[]);
    let request = ["req", "-x509", "-key", "/dev/stdin", "-outform", "DER", "-days", "30"];
    let subject = if arguments.contains(&"-subj") { &[][..] } else { &["-subj", "/CN=made"] };
    openssl(&[&request, subject, arguments].concat(), &key)
}

#[test]
fn every_field_is_read() {
    let mut params = params(&["WWW.Example", "192.0.2.1", "2001:db8::1"]);
    params.subject_alt_names.push(SanType::Rfc822Name("a@example".try_into().unwrap()));
    params.subject_alt_names.push(SanType::URI("urn:x".try_into().unwrap()));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "台帳, Inc.");
    params.distinguished_name.push(DnType::CommonName, "not among the names");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyAgreement];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1])];
    params.crl_distribution_points =
        vec![CrlDistributionPoint { uris: vec!["http://crl.example/1".into()] }];
    params.use_authority_key_identifier_extension = true;
    let certificate = check(&issued(&params), &[]);
    assert_eq!(certificate.version, Some(3));
    assert_eq!(certificate.serial, "1234");
    assert_eq!(certificate.subject, "CN=not among the names,O=台帳\\, Inc.");
    assert_eq!(certificate.issuer, "CN=authority");
    assert_eq!(certificate.not_before.unwrap().to_string(), "2026-01-01T00:00:00Z");
    assert_eq!(certificate.not_after.unwrap().to_string(), "2027-01-01T00:00:00Z");
    assert_eq!(certificate.lifetime(), Some(365 * 86_400));
    let names = ["www.example", "192.0.2.1", "2001:db8::1", "a@example", "urn:x"];
    assert_eq!(certificate.names, names);
    let key = &certificate.key;
    assert_eq!((key.algorithm.as_str(), key.kind, key.bits), ("EC", KeyKind::Ec, Some(256)));
    assert_eq!(key.curve.as_deref(), Some("P-256"));
    assert_eq!(certificate.signature.algorithm, "ecdsa-with-SHA256");
    assert_eq!(certificate.signature.hash, Some(Hash::Sha256));
    assert_eq!(certificate.self_signed, SelfSigned::No);
    assert!(!certificate.is_ca);
    assert_eq!(certificate.key_usage, ["digitalSignature", "keyAgreement"]);
    assert_eq!(certificate.extended_key_usage, ["serverAuth", "1.3.6.1"]);
    assert_eq!(certificate.crl_urls, ["http://crl.example/1"]);
    assert!(certificate.authority_key_id.is_some());
    assert!(certificate.is_recognisable());
    assert_eq!(certificate.anomalies, []);
}

/// What the openssl command says of the same bytes.
#[test]
fn hashes_are_those_that_others_compute() {
    let der = self_signed(&params(&["a.example"]));
    let certificate = parse(&der);
    let hash = |bytes: &[u8]| {
        let out = openssl(&["dgst", "-sha256", "-r"], bytes);
        String::from_utf8(out).unwrap().split_whitespace().next().unwrap().to_owned()
    };
    assert_eq!(certificate.sha256, hash(&der));
    let key = openssl(&["x509", "-inform", "DER", "-pubkey", "-noout"], &der);
    let key = openssl(&["pkey", "-pubin", "-outform", "DER"], &key);
    assert_eq!(certificate.spki_sha256.unwrap(), hash(&key));
    let pem = openssl(&["x509", "-inform", "DER"], &der);
    assert_eq!(certificates_in(&pem), [der]);
}

#[test]
fn each_rule_fails_on_a_certificate_that_breaks_it_and_on_no_other() {
    use Severity::{Critical, Warning};
    let good = params(&["a.example"]);
    check(&issued(&good), &[]);

    let mut expired = good.clone();
    expired.not_after = date_time_ymd(2026, 5, 31);
    check(&issued(&expired), &[("cert.expired", Critical)]);

    let mut early = good.clone();
    early.not_before = date_time_ymd(2026, 6, 2);
    check(&issued(&early), &[("cert.not-yet-valid", Critical)]);

    let mut soon = good.clone();
    soon.not_after = date_time_ymd(2026, 6, 20);
    check(&issued(&soon), &[("cert.expiring", Warning)]);
    soon.not_after = date_time_ymd(2026, 6, 5);
    check(&issued(&soon), &[("cert.expiring", Critical)]);

    let mut bytes = issued(&good);
    bytes.push(0);
    check(&bytes, &[("cert.malformed", Warning)]);
}

/// Judges what openssl made as if it were new, whenever the test runs.
#[track_caller]
fn check_made(der: &[u8], expected: &[(&str, Severity)]) -> Certificate {
    let certificate = parse(der);
    let as_of = certificate.not_before.unwrap();
    assert_eq!(broken_at(&certificate, as_of), expected, "{certificate:#?}");
    certificate
}

#[test]
fn weak_keys_are_found() {
    use Severity::{Critical, Warning};
    let rsa = |bits: u32| {
        let bits = format!("rsa_keygen_bits:{bits}");
        made(&["-algorithm", "RSA", "-pkeyopt", &bits], &[])
    };
    check_made(&rsa(2048), &[]);
    check_made(&rsa(1024), &[("cert.weak-key", Warning)]);
    let tiny = check_made(&rsa(512), &[("cert.weak-key", Critical)]);
    // ring has no RSA below 1024 bits, which must not look like a wrong signature.
    assert_eq!(tiny.self_signed, SelfSigned::Unchecked);

    let ec = |curve: &str, form: &str| {
        let (curve, form) = (format!("ec_paramgen_curve:{curve}"), format!("ec_param_enc:{form}"));
        made(&["-algorithm", "EC", "-pkeyopt", &curve, "-pkeyopt", &form], &[])
    };
    for (curve, name, bits, expected) in [
        ("P-256", "P-256", 256, &[][..]),
        ("P-521", "P-521", 521, &[]),
        ("secp224r1", "P-224", 224, &[]),
        ("brainpoolP384r1", "brainpoolP384r1", 384, &[]),
        ("prime192v1", "P-192", 192, &[("cert.weak-key", Warning)]),
        ("sect233r1", "sect233r1", 233, &[]),
        ("secp112r1", "secp112r1", 112, &[("cert.weak-key", Critical)]),
    ] {
        let certificate = check_made(&ec(curve, "named_curve"), expected);
        assert_eq!(certificate.key.curve.as_deref(), Some(name));
        assert_eq!(certificate.key.bits, Some(bits));
    }
    // A curve given by its numbers: the size is read from its prime.
    let explicit = check_made(&ec("P-256", "explicit"), &[]);
    assert_eq!((explicit.key.bits, explicit.key.curve), (Some(256), None));

    let parameters = openssl(&["dsaparam", "2048"], &[]);
    let key = openssl(&["gendsa", "/dev/stdin"], &parameters);
    let request = ["req", "-x509", "-key", "/dev/stdin", "-outform", "DER", "-subj", "/CN=dsa"];
    let dsa = check_made(&openssl(&request, &key), &[("cert.weak-key", Warning)]);
    assert_eq!((dsa.key.algorithm.as_str(), dsa.key.bits), ("DSA", Some(2048)));
}

#[test]
fn keys_of_every_algorithm_are_named_and_their_own_signature_checked() {
    for (algorithm, key, signature, self_signed) in [
        ("RSA", "RSA", "sha256WithRSAEncryption", SelfSigned::Verified),
        ("RSA-PSS", "RSASSA-PSS", "RSASSA-PSS", SelfSigned::Unchecked),
        ("ED25519", "Ed25519", "Ed25519", SelfSigned::Verified),
        ("ED448", "Ed448", "Ed448", SelfSigned::Unchecked),
    ] {
        let certificate = check_made(&made(&["-algorithm", algorithm], &[]), &[]);
        assert_eq!(certificate.key.algorithm, key);
        assert_eq!(certificate.signature.algorithm, signature);
        assert_eq!(certificate.self_signed, self_signed, "{algorithm}");
        assert!(certificate.is_ca, "openssl's own default");
    }
    // A salt as long as the hash is all that ring takes; openssl's own choice is longer.
    let options = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"];
    let pss = parse(&made(&["-algorithm", "RSA"], &[&options[..], &["-sha384"]].concat()));
    assert_eq!(pss.signature.hash, Some(Hash::Sha384));
    assert_eq!(pss.self_signed, SelfSigned::Verified);
    // The same names, another key's signature.
    let mut other = self_signed(&params(&["a.example"]));
    let last = other.len() - 1;
    other[last] ^= 1;
    assert_eq!(parse(&other).self_signed, SelfSigned::No);
}

#[test]
fn weak_signatures_are_found_unless_nobody_relies_on_them() {
    let folder = std::env::temp_dir().join(format!("daicho-certs-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (authority, key, request) = (path("ca.pem"), path("ca.key"), path("leaf.csr"));
    let new = ["req", "-newkey", "rsa:2048", "-nodes", "-subj"];
    let keyout = ["-keyout", &key];
    let root = [&new[..], &["/CN=root", "-x509", "-out", &authority], &keyout].concat();
    openssl(&root, &[]);
    let leaf_key = path("leaf.key");
    let leaf = [&new[..], &["/CN=leaf", "-out", &request, "-keyout", &leaf_key]].concat();
    openssl(&leaf, &[]);
    for (option, hash, severity) in [
        ("-md5", Hash::Md5, Some(Severity::Critical)),
        ("-sha1", Hash::Sha1, Some(Severity::Warning)),
        ("-sha256", Hash::Sha256, None),
    ] {
        let sign = ["x509", "-req", "-in", &request, "-CA", &authority, "-CAkey", &key];
        let sign = [&sign[..], &["-outform", "DER", "-set_serial", "7", option]].concat();
        let expected: Vec<_> = severity
            .into_iter()
            .map(|severity| ("cert.weak-signature", severity))
            .chain([("cert.old-version", Severity::Info)])
            .collect();
        let certificate = check_made(&openssl(&sign, &[]), &expected);
        assert_eq!(certificate.signature.hash, Some(hash));
        // Signed without extensions, such a certificate is of version 1.
        assert_eq!(certificate.version, Some(1));
        assert_eq!(certificate.names, ["leaf"], "no alternative names, so the common name");
        check_made(&made(&["-algorithm", "RSA"], &[option]), &[]);
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn odd_numbers_and_dates_are_read_and_noted() {
    let rsa = ["-algorithm", "ED25519"];
    let not_positive = Some("cert.serial-not-positive");
    let long = "ab".repeat(29);
    for (serial, expected, problem, rule) in [
        ("-0x05", "-05", "its serial number is negative", not_positive),
        ("-0x8000", "-8000", "its serial number is negative", not_positive),
        ("0", "00", "its serial number is zero", not_positive),
        (&format!("0x7f{long}"), &format!("7f{long}"), "20 bytes", Some("cert.serial-too-long")),
        ("0xff", "ff", "", None),
    ] {
        let broken: Vec<_> = rule.into_iter().map(|rule| (rule, Severity::Info)).collect();
        let certificate = check_made(&made(&rsa, &["-set_serial", serial]), &broken);
        assert_eq!(certificate.serial, *expected);
        let problems: Vec<_> = certificate.anomalies.iter().map(|a| &a.problem).collect();
        assert_eq!(problems.len(), usize::from(!problem.is_empty()), "{problems:?}");
        assert!(problems.iter().all(|found| found.contains(problem)), "{problems:?}");
    }
    let mut far = params(&["a.example"]);
    for (from, to, text) in [
        (1950, 1969, "1969-01-01T00:00:00Z"),
        (2026, 2049, "2049-01-01T00:00:00Z"),
        (2026, 2050, "2050-01-01T00:00:00Z"),
        (2026, 9999, "9999-01-01T00:00:00Z"),
    ] {
        far.not_before = date_time_ymd(from, 1, 1);
        far.not_after = date_time_ymd(to, 1, 1);
        let certificate = parse(&self_signed(&far));
        assert_eq!(certificate.not_after.unwrap().to_string(), text);
        assert_eq!(certificate.anomalies, []);
    }
    let empty = made(&rsa, &["-subj", "/"]);
    let certificate = parse(&empty);
    assert_eq!((certificate.subject.as_str(), certificate.issuer.as_str()), ("", ""));
    assert_eq!(certificate.self_signed, SelfSigned::Verified);
}

/// Rebuilds a certificate's outer sequence around a changed body.
fn rebuilt(der: &[u8], change: impl FnOnce(Vec<Vec<u8>>) -> Vec<Vec<u8>>) -> Vec<u8> {
    let outer = elements(contents(der));
    let signed = change(elements(contents(&outer[0])));
    wrapped(&[wrapped(&signed), outer[1].clone(), outer[2].clone()])
}

fn header(der: &[u8]) -> (usize, usize) {
    match der[1] {
        short @ 0..=0x7f => (2, short.into()),
        0x81 => (3, der[2].into()),
        0x82 => (4, usize::from(der[2]) << 8 | usize::from(der[3])),
        other => panic!("a length of form {other:#x}"),
    }
}

fn contents(der: &[u8]) -> &[u8] {
    let (start, len) = header(der);
    &der[start..start + len]
}

fn elements(mut body: &[u8]) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    while !body.is_empty() {
        let (start, len) = header(body);
        out.push(body[..start + len].to_vec());
        body = &body[start + len..];
    }
    out
}

fn wrapped(parts: &[Vec<u8>]) -> Vec<u8> {
    let body = parts.concat();
    let [high, low] = u16::try_from(body.len()).unwrap().to_be_bytes();
    [vec![0x30, 0x82, high, low], body].concat()
}

#[test]
fn a_missing_field_does_not_take_the_others_with_it() {
    let whole = issued(&params(&["a.example"]));
    let good = parse(&whole);
    // version, serial number, algorithm, issuer, validity, subject, key, extensions
    for missing in 0..8 {
        let der = rebuilt(&whole, |mut fields| {
            fields.remove(missing);
            fields
        });
        let certificate = parse(&der);
        let same =
            |field: usize, same: bool| assert_eq!(same, field != missing, "{field} {missing}");
        same(1, certificate.serial == good.serial);
        same(3, certificate.issuer == good.issuer);
        same(4, certificate.not_after == good.not_after);
        same(5, certificate.subject == good.subject || missing == 3);
        same(6, certificate.spki_sha256 == good.spki_sha256);
        same(7, certificate.names == good.names);
        assert_ne!(certificate.sha256, good.sha256);
        assert!(!certificate.anomalies.is_empty(), "{missing}");
    }
}

#[test]
fn what_is_nearly_der_is_read_and_noted() {
    let whole = issued(&params(&["a.example"]));
    let good = parse(&whole);
    let (start, len) = header(&whole);
    let body = &whole[start..start + len];
    let long = [&[0x30, 0x84, 0, 0], &whole[2..4], body].concat();
    let indefinite = [&[0x30, 0x80][..], body, &[0, 0]].concat();
    let trailing = [&whole[..], &[1, 2, 3]].concat();
    let cut = whole[..whole.len() - 10].to_vec();
    for (der, word) in [
        (long, "more bytes than DER allows"),
        (indefinite, "indefinite"),
        (trailing, "bytes follow its end"),
        (cut, "ends before"),
    ] {
        let certificate = parse(&der);
        let noted = certificate
            .anomalies
            .iter()
            .any(|a| a.kind == AnomalyKind::Encoding && a.problem.contains(word));
        assert!(noted, "{word}: {:?}", certificate.anomalies);
        assert_eq!(certificate.subject, good.subject, "{word}");
        assert_eq!(certificate.names, good.names, "{word}");
        assert_eq!(certificate.not_after, good.not_after, "{word}");
        assert_eq!(certificate.spki_sha256, good.spki_sha256, "{word}");
    }
}

#[test]
fn what_is_no_certificate_is_still_a_record() {
    for bytes in [&b""[..], b"noise", &[0x30], &[0x30, 0], &[0x30, 0x80], &[0xff; 100]] {
        let certificate = parse(bytes);
        assert_eq!(certificate.sha256.len(), 64);
        assert!(!certificate.is_recognisable());
        assert_eq!(broken(&certificate), [("cert.malformed", Severity::Warning)]);
    }
    let huge = vec![0x30; Certificate::MAX_DER + 1];
    assert_eq!(parse(&huge).anomalies[0].problem, "it is larger than 1 MiB and was not read");
}

#[test]
fn ten_thousand_names_are_read() {
    let names: Vec<String> = (0..10_000).map(|n| format!("n{n}.example")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let certificate = parse(&self_signed(&params(&names)));
    assert_eq!(certificate.names.len(), 10_000);
    assert_eq!(certificate.anomalies, []);
}

#[test]
fn every_cut_is_a_record() {
    let whole = issued(&params(&["a.example"]));
    for len in 0..whole.len() {
        let certificate = parse(&whole[..len]);
        assert!(!certificate.anomalies.is_empty(), "{len}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever is changed: a record, and never the whole one's hash.
    #[test]
    fn a_garbled_certificate_is_a_record(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
        inserted in prop::collection::vec(any::<u8>(), 0..4),
    ) {
        thread_local! {
            static WHOLE: Vec<u8> = {
                let mut params = params(&["a.example", "192.0.2.1"]);
                params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
                params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
                params.crl_distribution_points =
                    vec![CrlDistributionPoint { uris: vec!["http://crl.example/1".into()] }];
                self_signed(&params)
            };
        }
        let mut der = WHOLE.with(Clone::clone);
        let whole = parse(&der).sha256;
        for (at, byte) in &changes {
            let at = at.index(der.len());
            der[at] = *byte;
        }
        let at = changes[0].0.index(der.len());
        der.splice(at..at, inserted);
        if let Some(cut) = cut {
            der.truncate(cut.index(der.len()));
        }
        let certificate = parse(&der);
        prop_assert!(certificate.sha256 != whole || der == WHOLE.with(Clone::clone));
        for trust in [Trust::Public, Trust::Private, Trust::Unknown] {
            let context = Context { as_of: now(), thresholds: Thresholds::default(), trust };
            for rule in RULES {
                let _ = rule.judge(&certificate, &context);
            }
        }
    }

    #[test]
    fn noise_is_a_record(noise in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&noise);
        let _ = parse(&[&[0x30, 0x82, 1, 0x90, 0x30, 0x82, 1, 0x80], &noise[..]].concat());
    }
}
