//! For each rule a certificate that breaks it, and the good ones that break none: written by
//! a small DER writer, since most of them are what no library makes. Nobody signed them; the
//! rules do not ask.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::allow_attributes,
    reason = "a test may fail loudly"
)]

mod writer;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use certs::{Applies, Certificate, Context, RULES, Thresholds, Trust, Verdict, parse};
use model::{Severity, Timestamp};
use writer::{
    ACCESS, AUTHORITY_KEY, COMMON, CONSTRAINTS, F4, ISSUERS, KEY_USAGE, Made, NAME_CONSTRAINTS,
    NAMES, NULL, OCSP, POINTS, POLICIES, PRINTABLE, PURPOSES, RSA_SIGNATURE, SERVER, SUBJECT_KEY,
    UTF8, access, algorithm, attribute, curve_key, dns, general, modulus, number, oid, points,
    purposes, rsa_key, sequence, tlv, url, usage,
};

/// The moment at which they are judged.
fn now() -> Timestamp {
    "2026-04-10".parse().unwrap()
}

fn context(trust: Trust, as_of: Timestamp) -> Context {
    Context { as_of, thresholds: Thresholds::default(), trust }
}

/// The rules that a certificate breaks.
fn broken(certificate: &Certificate, context: &Context) -> Vec<(&'static str, Severity)> {
    RULES
        .iter()
        .filter_map(|rule| match rule.judge(certificate, context) {
            Verdict::Fail { severity, detail } => {
                assert!(!detail.is_empty() && severity <= rule.severity, "{}", rule.id);
                Some((rule.id, severity))
            }
            Verdict::Pass | Verdict::NotApplicable => None,
        })
        .collect()
}

/// For a rule: an example that breaks it, and the rules that it cannot help but break as well.
fn example(rule: &str) -> (Made, &'static [&'static str]) {
    let leaf = Made::leaf;
    let authority = Made::authority;
    let made = match rule {
        "cert.expired" => leaf().valid("260301000000Z", "260409235959Z"),
        "cert.not-yet-valid" => leaf().valid("260411000000Z", "260701000000Z"),
        "cert.expiring" => leaf().valid("260315000000Z", "260419000000Z"),
        "cert.validity-reversed" => {
            let reversed = leaf().valid("260405000000Z", "260404000000Z");
            return (reversed, &["cert.expired"]);
        }
        "cert.time-type" => {
            let mut made = leaf();
            made.validity[0] = general("20260401000000Z");
            made
        }
        "cert.time-form" => leaf().valid("2604010000Z", "260701000000Z"),
        "cert.lifetime-825-days" => {
            return (leaf().valid("190301000000Z", "270401000000Z"), &[]);
        }
        "cert.lifetime-398-days" => leaf().valid("250401000000Z", "270401000000Z"),
        "cert.lifetime-200-days" => leaf().valid("260315000000Z", "261001000000Z"),
        "cert.lifetime-100-days" => {
            return (leaf().valid("270315000000Z", "270623000000Z"), &["cert.not-yet-valid"]);
        }
        "cert.lifetime-47-days" => {
            return (leaf().valid("290315000000Z", "290501000000Z"), &["cert.not-yet-valid"]);
        }
        "cert.weak-key" => leaf().key(rsa_key(&number(0xc5, 128), F4, NULL)),
        "cert.rsa-exponent" => {
            return (leaf().key(rsa_key(&modulus(), &[1], NULL)), &["cert.rsa-exponent-range"]);
        }
        "cert.rsa-exponent-range" => leaf().key(rsa_key(&modulus(), &[3], NULL)),
        "cert.rsa-small-factor" => {
            let even = [&[0x80][..], &[0; 255]].concat();
            leaf().key(rsa_key(&even, F4, NULL))
        }
        "cert.rsa-modulus-size" => leaf().key(rsa_key(&number(1, 257), F4, NULL)),
        "cert.public-curve" => leaf().key(curve_key("1.3.132.0.10")),
        "cert.key-parameters" => leaf().key(rsa_key(&modulus(), F4, &[])),
        "cert.weak-signature" => {
            leaf().signed(sequence(&[oid("1.2.840.113549.1.1.5"), NULL.to_vec()]))
        }
        "cert.signature-mismatch" => {
            let mut made = leaf();
            made.outer = algorithm("1.2.840.10045.4.3.3");
            made
        }
        "cert.signature-parameters" => leaf().signed(algorithm(RSA_SIGNATURE)),
        "cert.public-signature" => leaf().signed(algorithm("1.3.101.112")),
        "cert.malformed" => {
            let mut made = leaf();
            made.after = vec![0];
            made
        }
        "cert.old-version" => {
            let mut made = leaf();
            made.version = Some(1);
            made.extensions.clear();
            return (
                made,
                &[
                    "cert.common-name-not-among-names",
                    "cert.public-no-purpose",
                    "cert.no-revocation-source",
                    "cert.public-no-policies",
                ],
            );
        }
        "cert.version-extensions" => {
            let mut made = leaf();
            made.version = None;
            return (made, &["cert.old-version"]);
        }
        "cert.unique-identifier" => {
            let mut made = leaf();
            made.unique = tlv(0x81, &[0, 1]);
            made
        }
        "cert.serial-not-positive" => {
            let mut made = leaf();
            made.serial = vec![0x80, 1];
            made
        }
        "cert.serial-too-long" => {
            let mut made = leaf();
            made.serial = vec![7; 21];
            made
        }
        "cert.no-issuer" => {
            let mut made = leaf();
            made.issuer = sequence(&[]);
            made
        }
        "cert.duplicate-extension" => {
            let mut made = leaf();
            made.extensions.push(made.extensions[0].clone());
            made
        }
        "cert.extension-critical" => leaf().critical(ACCESS, true),
        "cert.extension-not-critical" => {
            let permitted = tlv(0xa0, &sequence(&[dns("example.com")]));
            authority().with(NAME_CONSTRAINTS, false, sequence(&[permitted]))
        }
        "cert.unknown-critical-extension" => leaf().with("1.3.6.1.4.1.99999.1", true, vec![5, 0]),
        "cert.precertificate" => leaf().with("1.3.6.1.4.1.11129.2.4.3", true, NULL.to_vec()),
        "cert.empty-timestamp-list" => {
            leaf().with("1.3.6.1.4.1.11129.2.4.2", false, tlv(4, &[0, 0]))
        }
        "cert.extension-empty" => leaf().with("2.5.29.46", false, sequence(&[])),
        "cert.key-usage-empty" => leaf().with(KEY_USAGE, true, tlv(3, &[0])),
        "cert.no-alternative-names" => {
            return (leaf().without(NAMES), &["cert.common-name-not-among-names"]);
        }
        "cert.no-subject" => {
            return (leaf().subject(&[]).without(NAMES), &["cert.no-alternative-names"]);
        }
        "cert.names-not-critical" => leaf().subject(&[]),
        "cert.name-empty" => leaf().named(""),
        "cert.name-nul" => leaf().named("www.example.com\0.example.net"),
        "cert.name-characters" => leaf().named("a/b.example.com"),
        "cert.name-underscore" => leaf().named("a_b.example.com"),
        "cert.name-wildcard" => leaf().named("w*.example.com"),
        "cert.name-labels" => leaf().named(".example.com"),
        "cert.name-length" => leaf().named(&format!("{}.example.com", "a".repeat(64))),
        "cert.name-hyphen" => leaf().named("-a.example.com"),
        "cert.name-reserved-label" => leaf().named("ab--c.example.com"),
        "cert.address-as-name" => leaf().named("203.0.114.1"),
        "cert.address-size" => {
            return (
                leaf().names(&[dns("www.example.com"), tlv(0x87, &[1, 2, 3])]),
                &["cert.malformed"],
            );
        }
        "cert.internal-name" => leaf().named("printer.local"),
        "cert.reserved-address" => {
            leaf().names(&[dns("www.example.com"), tlv(0x87, &[192, 0, 2, 1])])
        }
        "cert.name-kind" => leaf().names(&[dns("www.example.com"), tlv(0x81, b"a@example.com")]),
        "cert.common-name-not-among-names" => {
            leaf().subject(&[attribute(COMMON, UTF8, "other.example.com")])
        }
        "cert.uri-name" => {
            return (leaf().names(&[dns("www.example.com"), url("//a")]), &["cert.name-kind"]);
        }
        "cert.country" => leaf().subject(&[attribute("2.5.4.6", UTF8, "JP")]),
        "cert.subject-length" => leaf().subject(&[attribute("2.5.4.10", UTF8, &"o".repeat(65))]),
        "cert.subject-control-characters" => {
            leaf().subject(&[attribute("2.5.4.10", UTF8, "a\u{7}b")])
        }
        "cert.subject-placeholder" => leaf().subject(&[attribute("2.5.4.10", UTF8, "-")]),
        "cert.organizational-unit" => leaf().subject(&[attribute("2.5.4.11", UTF8, "unit")]),
        "cert.authority-subject" => authority().subject(&[attribute(COMMON, UTF8, "a")]),
        "cert.authority-no-subject" => {
            return (authority().subject(&[]), &["cert.no-subject", "cert.authority-subject"]);
        }
        "cert.authority-constraints-not-critical" => authority().critical(CONSTRAINTS, false),
        "cert.authority-no-key-usage" => {
            authority().without(KEY_USAGE).with(CONSTRAINTS, true, sequence(&[tlv(1, &[0xff])]))
        }
        "cert.authority-key-usage-not-critical" => authority().critical(KEY_USAGE, false),
        "cert.authority-may-not-sign" => authority()
            .with(CONSTRAINTS, true, sequence(&[tlv(1, &[0xff])]))
            .with(KEY_USAGE, true, usage("1000001")),
        "cert.authority-may-not-revoke" => authority().with(KEY_USAGE, true, usage("000001")),
        "cert.authority-no-key-id" => authority().without(SUBJECT_KEY),
        "cert.no-issuer-key-id" => leaf().without(AUTHORITY_KEY),
        "cert.signs-without-being-authority" => {
            return (leaf().with(KEY_USAGE, true, usage("100001")), &["cert.public-leaf-signs"]);
        }
        "cert.server-may-issue" => authority()
            .with(PURPOSES, false, purposes(&[SERVER]))
            .named("www.example.com")
            .subject(&[
                attribute("2.5.4.6", PRINTABLE, "JP"),
                attribute("2.5.4.10", UTF8, "Example"),
                attribute(COMMON, UTF8, "www.example.com"),
            ]),
        "cert.path-length" => leaf().with(CONSTRAINTS, true, sequence(&[tlv(2, &[1])])),
        "cert.name-constraints-on-leaf" => {
            let permitted = tlv(0xa0, &sequence(&[dns("example.com")]));
            leaf().with(NAME_CONSTRAINTS, true, sequence(&[permitted]))
        }
        "cert.name-constraints-range" => {
            let permitted = tlv(0xa0, &sequence(&[dns("example.com"), tlv(0x80, &[1])]));
            authority().with(NAME_CONSTRAINTS, true, sequence(&[permitted]))
        }
        "cert.maps-any-policy" => {
            let pair = sequence(&[oid("2.5.29.32.0"), oid("2.23.140.1.2.1")]);
            authority().with("2.5.29.33", true, sequence(&[pair]))
        }
        "cert.root-purposes" => {
            let mut made = authority().with(PURPOSES, false, purposes(&[SERVER]));
            made.issuer = made.subject.clone();
            made
        }
        "cert.public-leaf-signs" => leaf().with(KEY_USAGE, true, usage("1000001")),
        "cert.public-no-purpose" => leaf().without(PURPOSES),
        "cert.public-other-purposes" => {
            leaf().with(PURPOSES, false, purposes(&[SERVER, "1.3.6.1.5.5.7.3.3"]))
        }
        "cert.public-for-clients" => {
            let both = purposes(&[SERVER, "1.3.6.1.5.5.7.3.2"]);
            return (
                leaf().with(PURPOSES, false, both).valid("260615000000Z", "260901000000Z"),
                &["cert.not-yet-valid"],
            );
        }
        "cert.purpose-any-critical" => {
            return (
                leaf().with(PURPOSES, true, purposes(&["2.5.29.37.0"])),
                &["cert.public-other-purposes", "cert.public-purposes-critical"],
            );
        }
        "cert.public-purposes-critical" => leaf().critical(PURPOSES, true),
        "cert.key-usage-unfit" => leaf().with(KEY_USAGE, true, usage("101")),
        "cert.no-revocation-source" => leaf().without(POINTS).without(ACCESS),
        "cert.revocation-list-address" => leaf().with(POINTS, false, points("ldap://a/b")),
        "cert.distribution-point-incomplete" => {
            leaf().with(POINTS, false, sequence(&[sequence(&[tlv(0x81, &[6, 0x40])])]))
        }
        "cert.responder-address" => {
            leaf().with(ACCESS, false, sequence(&[access(OCSP, url("https://a.example.com/"))]))
        }
        "cert.issuer-address" => {
            leaf().with(ACCESS, false, sequence(&[access(ISSUERS, url("ldap://a.example.com/"))]))
        }
        "cert.access-method" => {
            let other = access("1.3.6.1.5.5.7.48.5", url("http://a.example.com/"));
            leaf().with(ACCESS, false, sequence(&[other]))
        }
        "cert.access-twice" => {
            let one = access(OCSP, url("http://ocsp.example.com/"));
            leaf().with(ACCESS, false, sequence(&[one.clone(), one]))
        }
        "cert.public-no-policies" => leaf().without(POLICIES),
        "cert.policy-twice" => {
            let policy = sequence(&[oid("2.23.140.1.2.1")]);
            leaf().with(POLICIES, false, sequence(&[policy.clone(), policy]))
        }
        other => panic!("add an example that breaks the rule {other}"),
    };
    (made, &[])
}

#[test]
fn good_certificates_break_no_rule() {
    for (what, made) in [("leaf", Made::leaf()), ("authority", Made::authority())] {
        let certificate = parse(&made.der());
        assert_eq!(certificate.anomalies, [], "{what}");
        assert_eq!(broken(&certificate, &context(Trust::Public, now())), [], "{what}");
    }
    let rsa = Made::leaf().key(rsa_key(&modulus(), F4, NULL));
    let rsa = rsa.signed(sequence(&[oid(RSA_SIGNATURE), NULL.to_vec()]));
    assert_eq!(broken(&parse(&rsa.der()), &context(Trust::Public, now())), []);
}

#[test]
fn each_rule_fails_on_its_own_example_and_on_no_other() {
    let mut wrong = Vec::new();
    for rule in RULES {
        let (made, also) = example(rule.id);
        let certificate = parse(&made.der());
        let failed: BTreeSet<&str> = broken(&certificate, &context(Trust::Public, now()))
            .into_iter()
            .map(|(id, _)| id)
            .collect();
        let expected: BTreeSet<&str> = also.iter().copied().chain([rule.id]).collect();
        if failed != expected {
            wrong.push(format!("{}: failed {failed:?}, expected {expected:?}", rule.id));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn rules_of_the_browsers_bind_public_chains_alone() {
    for rule in RULES.iter().filter(|rule| rule.applies == Applies::PubliclyTrusted) {
        let certificate = parse(&example(rule.id).0.der());
        for trust in [Trust::Private, Trust::Unknown] {
            let verdict = rule.judge(&certificate, &context(trust, now()));
            assert_eq!(verdict, Verdict::NotApplicable, "{}", rule.id);
        }
    }
}

#[test]
fn rules_do_not_reach_back_before_their_day() {
    let mut dated = 0;
    for rule in RULES.iter().filter(|rule| rule.effective.is_some()) {
        let mut certificate = parse(&example(rule.id).0.der());
        certificate.not_before = Some("1990-01-01".parse().unwrap());
        let verdict = rule.judge(&certificate, &context(Trust::Public, now()));
        assert_eq!(verdict, Verdict::NotApplicable, "{}", rule.id);
        dated += 1;
    }
    assert!(dated >= 40, "{dated}");
}

#[test]
fn nothing_is_said_of_noise_but_that_it_is_noise() {
    for trust in [Trust::Public, Trust::Private] {
        for noise in [&b"noise"[..], &[0x30, 0], &[0x30, 3, 0x30, 1, 0]] {
            let found = broken(&parse(noise), &context(trust, now()));
            assert_eq!(found, [("cert.malformed", Severity::Warning)], "{noise:?}");
        }
    }
}

/// What an administrator sees of a device that made its own certificate: no profile talk.
#[test]
fn a_private_certificate_of_openssls_making_breaks_nothing() {
    let mut made = Made::leaf()
        .without(POINTS)
        .without(ACCESS)
        .without(POLICIES)
        .without(KEY_USAGE)
        .without(PURPOSES)
        .with(CONSTRAINTS, true, sequence(&[tlv(1, &[0xff])]));
    made.issuer = made.subject.clone();
    made.outer = algorithm("1.3.101.113");
    made.inner = made.outer.clone();
    let made = made.valid("260401000000Z", "460401000000Z");
    let mut certificate = parse(&made.der());
    // The signature is none; a device's would be right.
    certificate.self_signed = certs::SelfSigned::Verified;
    for trust in [Trust::Private, Trust::Unknown] {
        assert_eq!(broken(&certificate, &context(trust, now())), []);
    }
}

#[test]
fn a_stranger_cannot_make_the_rules_work_for_long() {
    let many = 9_000;
    let names: Vec<_> = (0..many).map(|n| dns(&format!("-_*.{n}..local\0"))).collect();
    let common: Vec<_> = (0..many).map(|n| attribute(COMMON, UTF8, &n.to_string())).collect();
    let accesses: Vec<_> = (0..many).map(|n| access(OCSP, url(&format!("ldap://{n}")))).collect();
    let policies: Vec<_> = (0..many).map(|n| sequence(&[oid(&format!("1.2.{n}"))])).collect();
    let made = Made::leaf()
        .names(&names)
        .subject(&common)
        .with(ACCESS, false, sequence(&accesses))
        .with(POLICIES, false, sequence(&policies));
    let der = made.der();
    assert!(der.len() > 500_000 && der.len() < Certificate::MAX_DER, "{}", der.len());
    let certificate = parse(&der);
    let context = context(Trust::Public, now());
    let began = Instant::now();
    let verdicts: Vec<_> = RULES.iter().map(|rule| rule.judge(&certificate, &context)).collect();
    // A debug build on a quiet machine takes a second.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let details: Vec<_> = verdicts
        .iter()
        .filter_map(|verdict| match verdict {
            Verdict::Fail { detail, .. } => Some(detail),
            Verdict::Pass | Verdict::NotApplicable => None,
        })
        .collect();
    assert!(details.len() > 5, "{details:#?}");
    assert!(details.iter().all(|detail| detail.len() < 4_000), "{details:#?}");
}
