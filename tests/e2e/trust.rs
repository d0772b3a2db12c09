//! Whom a certificate is trusted by, as a user is told: roots and revocation lists out of
//! files, owners out of the register, and what is said of a file that cannot be used.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams,
    CrlDistributionPoint, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use serde_json::{Value, json};

use crate::home::{Home, Run};

/// An authority with what it issued.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: Certificate,
    key: String,
}

impl Authority {
    pub(crate) fn new(name: &str, above: Option<&Self>) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2090, 1, 1);
        let pair = KeyPair::generate().unwrap();
        let certificate = match above {
            Some(above) => params.signed_by(&pair, &above.issuer),
            None => params.self_signed(&pair),
        };
        let key = pair.serialize_pem();
        Self { certificate: certificate.unwrap(), issuer: Issuer::new(params, pair), key }
    }

    /// A server's certificate of that serial number, good for so many days of every age.
    fn issue(&self, name: &str, serial: u64, until: i32) -> String {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(2024, 1, 1);
        params.not_after = date_time_ymd(until, 12, 31);
        params.serial_number = Some(SerialNumber::from(serial));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.signed_by(&KeyPair::generate().unwrap(), &self.issuer).unwrap().pem()
    }

    /// A server's certificate and its key, with the address of a revocation list and of a
    /// responder.
    pub(crate) fn issue_naming(
        &self,
        name: &str,
        serial: u64,
        list: Option<&str>,
        responder: Option<&str>,
    ) -> (String, String) {
        let mut params =
            CertificateParams::new(vec![format!("{name}{serial}.example.com")]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(2024, 1, 1);
        params.not_after = date_time_ymd(2089, 12, 31);
        params.serial_number = Some(SerialNumber::from(serial));
        let uris = |url: &str| CrlDistributionPoint { uris: vec![url.to_owned()] };
        params.crl_distribution_points = list.map(uris).into_iter().collect();
        params.custom_extensions = responder.map(access).into_iter().collect();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    pub(crate) fn certificate_pem(&self) -> String {
        self.certificate.pem()
    }

    pub(crate) fn key_pem(&self) -> &str {
        &self.key
    }

    /// A list of that authority, until that year, that names these serial numbers.
    pub(crate) fn list(&self, until: i32, serials: &[u64]) -> String {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2024, 1, 2),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 3),
            next_update: date_time_ymd(until, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

/// AuthorityInfoAccess with the address of a responder (RFC 5280, section 4.2.2.1).
fn access(url: &str) -> CustomExtension {
    let element = |tag: u8, body: &[u8]| {
        let length = u8::try_from(body.len()).ok().filter(|length| *length < 0x80).unwrap();
        [&[tag, length], body].concat()
    };
    let ocsp = [6, 8, 0x2b, 6, 1, 5, 5, 7, 0x30, 1];
    let description = element(0x30, &[&ocsp[..], &element(0x86, url.as_bytes())].concat());
    let content = element(0x30, &description);
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], content)
}

/// A home whose system trusts that root and nothing of the machine's.
struct Office {
    home: Home,
    public: PathBuf,
}

impl Office {
    fn new(public: &Authority) -> Self {
        let home = Home::new();
        let public = home.write("system.pem", public.certificate.pem());
        Self { home, public }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.home.command(arguments);
        command.env("SSL_CERT_FILE", &self.public);
        command
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let config = ["--config", "daicho.toml"];
        Run::of(self.command(&[arguments, &config].concat()).output().unwrap())
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        self.run(&[arguments, &["--format", "json"]].concat()).json()
    }
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}"))
}

#[track_caller]
fn of<'a>(certificates: &'a Value, name: &str) -> &'a Value {
    let found = list(certificates).iter().find(|one| one["names"][0] == name);
    found.unwrap_or_else(|| panic!("no {name} in {certificates}"))
}

#[test]
fn certificates_tell_who_trusts_them_and_who_answers_for_them() {
    let public = Authority::new("Public Root", None);
    let below = Authority::new("Public Issuing", Some(&public));
    let own = Authority::new("Office Root", None);
    let office = Office::new(&public);
    let home = &office.home;
    let shop = below.issue("shop.example.com", 1, 2089);
    let chained = [shop.as_str(), &below.certificate.pem()].concat();
    for (name, text) in [
        ("web/shop.pem", &chained),
        ("web/inside.pem", &own.issue("inside.example.com", 2, 2089)),
        ("web/lost.pem", &own.issue("lost.example.com", 3, 2089)),
        ("web/stranger.pem", &Authority::new("Nobody", None).issue("x.example.com", 4, 2089)),
    ] {
        fs::create_dir_all(home.path("web")).unwrap();
        home.write(name, text);
    }
    home.write("root.pem", own.certificate.pem());
    fs::create_dir(home.path("crls")).unwrap();
    home.write("crls/readme.txt", "the lists of our authorities");
    home.write("crls/own.crl", own.list(2089, &[3]));
    home.write("crls/old.crl", public.list(2025, &[]));
    home.write(
        "daicho.toml",
        "[certificates]\nroots = [\"root.pem\"]\ncrls = [\"crls\"]\nrenew_after = \"1/10\"\n",
    );
    home.write(
        "devices.csv",
        "reference,ip,host name,owner,department\nSRV-1,192.0.2.1,shop.example.com,Sato,Sales\n",
    );
    let import = office.run(&["register", "import", "devices.csv", "--kind", "device"]);
    assert_eq!(import.code, Some(0), "{}", import.stderr);
    let collected = office.run(&["certs", "collect", "--file", "web"]);
    assert_eq!(collected.code, Some(0), "{}", collected.stderr);

    let certificates = office.json(&["certs", "list"]);
    let trust = |name: &str| {
        let one = of(&certificates, name);
        let reasons: Vec<&Value> = list(&one["problems"]).iter().map(|p| &p["reason"]).collect();
        json!([one["trust"], one["root"], reasons])
    };
    assert_eq!(trust("shop.example.com"), json!(["public", "public", []]));
    assert_eq!(trust("inside.example.com"), json!(["private", "private", []]));
    assert_eq!(trust("lost.example.com"), json!(["untrusted", "private", ["revoked"]]));
    assert_eq!(trust("x.example.com"), json!(["untrusted", null, ["unknown-issuer"]]));
    let owner = json!([{"entry": "SRV-1", "owner": "Sato", "department": "Sales"}]);
    assert_eq!(of(&certificates, "shop.example.com")["owners"], owner);
    assert_eq!(of(&certificates, "inside.example.com")["owners"], json!([]));
    assert_eq!(of(&certificates, "shop.example.com")["overdue"], false);

    let sha256 = of(&certificates, "shop.example.com")["sha256"].as_str().unwrap();
    let shown = office.json(&["certs", "show", &sha256[..12]]);
    let path = list(&shown["chains"][0]["path"]);
    let names: Vec<&str> = path.iter().map(|link| link["subject"].as_str().unwrap()).collect();
    assert!(names[1].contains("Public Issuing") && names[2].contains("Public Root"), "{names:?}");
    let text = office.run(&["certs", "show", sha256]).stdout;
    for words in ["trust        public\n", "owner        Sato, Sales\n", "renew by ", " <- "] {
        assert!(text.contains(words), "{words:?} is not in:\n{text}");
    }
    let text = office.run(&["certs", "list"]).stdout;
    assert!(text.contains("untrusted: revoked"), "{text}");
    for (name, problem) in [("zz", "is not a SHA-256"), ("0000000000", "there is no certificate")] {
        let run = office.run(&["certs", "show", name]);
        assert_eq!(run.code, Some(2));
        assert!(run.stderr.contains(problem), "{}", run.stderr);
    }

    // The findings name the owner; the rules of the public were asked of the public's alone.
    let findings = office.json(&["findings"]);
    let public_rule = list(&findings).iter().find(|f| f["rule"] == "cert.no-revocation-source");
    let public_rule = public_rule.unwrap_or_else(|| panic!("{findings}"));
    assert_eq!(public_rule["owners"], owner);
    assert!(public_rule["subject"].as_str().unwrap().ends_with(sha256));
    let rules: Vec<&str> = list(&findings)
        .iter()
        .map(|finding| finding["rule"].as_str().unwrap())
        .filter(|rule| {
            rule.starts_with("crl.") || matches!(*rule, "cert.revoked" | "cert.unknown-issuer")
        })
        .collect();
    assert_eq!(rules, ["cert.revoked", "cert.unknown-issuer", "crl.outdated"], "{findings}");
    let citations = list(&findings).iter().all(|finding| finding["citation"].is_string());
    assert!(citations, "{findings}");

    // One public certificate, which lives longer than all that is to come.
    let readiness = office.json(&["certs", "readiness"]);
    assert_eq!(readiness["public"], 1);
    let days: Vec<_> = list(&readiness["milestones"])
        .iter()
        .map(|m| {
            (m["days"].as_i64().unwrap(), m["ready"].as_i64().unwrap(), list(&m["longer"]).len())
        })
        .collect();
    assert_eq!(days, [(200, 0, 1), (100, 0, 1), (47, 0, 1)]);
    assert_eq!(readiness["milestones"][2]["longer"][0]["owners"], owner);
    let text = office.run(&["certs", "readiness"]).stdout;
    assert!(text.contains("47 days") && text.contains("shop.example.com"), "{text}");
}

#[test]
fn without_the_systems_roots_nothing_is_public() {
    let public = Authority::new("Public Root", None);
    let office = Office::new(&public);
    office.home.write("a.pem", public.issue("a.example.com", 1, 2089));
    office.home.write("daicho.toml", "[certificates]\nsystem_roots = false\n");
    let collected = office.run(&["certs", "collect", "--file", "a.pem"]);
    assert_eq!(collected.code, Some(0), "{}", collected.stderr);
    assert_eq!(of(&office.json(&["certs", "list"]), "a.example.com")["trust"], Value::Null);
    let readiness = office.run(&["certs", "readiness"]);
    assert!(readiness.stderr.contains("no public root is known"), "{}", readiness.stderr);
    assert!(readiness.stdout.contains("200 days"), "{}", readiness.stdout);
}

#[test]
fn a_file_that_cannot_be_used_is_said_at_once_with_what_is_wrong() {
    let own = Authority::new("Office Root", None);
    let office = Office::new(&own);
    let home = &office.home;
    let list = own.list(2089, &[1]);
    home.write("empty.pem", "");
    home.write("text.pem", "hello");
    home.write("with-key.pem", own.certificate.pem() + &own.key);
    home.write("list.pem", &list);
    home.write(
        "cut.pem",
        [&own.certificate.pem()[..200], "\n-----END CERTIFICATE-----\n"].concat(),
    );
    home.write(
        "half.pem",
        own.certificate.pem() + &fs::read_to_string(home.path("cut.pem")).unwrap(),
    );
    home.write("cut.crl", [&list[..200], "\n-----END X509 CRL-----\n"].concat());
    home.write("closed.pem", own.certificate.pem());
    fs::set_permissions(home.path("closed.pem"), fs::Permissions::from_mode(0o000)).unwrap();
    fs::create_dir(home.path("folder")).unwrap();
    home.write("folder/cut.crl", [&list[..200], "\n-----END X509 CRL-----\n"].concat());
    let refused = |setting: &str, file: &str, problem: &str| {
        home.write("daicho.toml", format!("[certificates]\n{setting} = [\"{file}\"]\n"));
        for command in [&["certs", "list"][..], &["findings"], &["sweep", "127.0.0.1"]] {
            let run = office.run(command);
            assert_eq!(run.code, Some(2), "{setting} {file}: {}", run.stderr);
            let what = format!("certificates.{setting}: {file} cannot be used: ");
            assert!(run.stderr.contains(&what), "{}", run.stderr);
            assert!(run.stderr.contains(problem), "{problem:?} is not in {}", run.stderr);
            assert!(!run.stderr.contains(own.key.lines().nth(1).unwrap()));
        }
    };
    refused("roots", "none.pem", "No such file");
    refused("roots", "folder", "Is a directory");
    refused("roots", "empty.pem", "it is empty");
    refused("roots", "text.pem", "there is no certificate in it");
    refused("roots", "list.pem", "there is no certificate in it");
    refused("roots", "with-key.pem", "there is a private key in it");
    refused("roots", "cut.pem", "certificate");
    refused("roots", "half.pem", "certificate");
    refused("crls", "none.crl", "No such file");
    refused("crls", "empty.pem", "it is not a revocation list");
    refused("crls", "with-key.pem", "it is not a revocation list");
    refused("crls", "cut.crl", "it is cut short or damaged");
    refused("crls", "folder", "folder/cut.crl in it");
    if !is_root() {
        refused("roots", "closed.pem", "Permission denied");
    }
    // What has nothing to do with trust still works, and says what is wrong with it.
    let run = office.run(&["doctor"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stdout.contains("cannot be used"), "{}", run.stdout);
    home.write("daicho.toml", "");
    let run = office.run(&["doctor"]);
    let counted = "1 public roots, 0 of the organisation's own, 0 revocation lists";
    assert!(run.stdout.contains(counted), "{}", run.stdout);
}

/// Whoever may read everything is refused nothing.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(Path::new("/proc/self")).is_ok_and(|own| own.uid() == 0)
}
