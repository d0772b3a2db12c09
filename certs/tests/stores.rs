//! Files of certificates in every format, written by those who write them: the openssl command,
//! keytool where there is one, and by hand what neither writes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::allow_attributes,
    reason = "a test may fail loudly and say what it did not do"
)]

use std::{env, fs, path::Path, process::Command};

use certs::{
    parse,
    store::{Format, Holdings, Mention, Password, PrivateKey, ROUNDS, ReadError, mentions, read},
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use tempfile::TempDir;

/// An authority, a server's certificate by it, and the server's key.
struct Made {
    folder: TempDir,
    leaf: Vec<u8>,
    root: Vec<u8>,
    key: KeyPair,
}

impl Made {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec!["root.example".into()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root_key = KeyPair::generate().unwrap();
        let root = params.self_signed(&root_key).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["fs7.example".into()])
            .unwrap()
            .signed_by(&key, &Issuer::new(params, root_key))
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("leaf.pem"), leaf.pem()).unwrap();
        fs::write(folder.path().join("root.pem"), root.pem()).unwrap();
        fs::write(folder.path().join("both.pem"), leaf.pem() + &root.pem()).unwrap();
        fs::write(folder.path().join("key.pem"), key.serialize_pem()).unwrap();
        Self { folder, leaf: leaf.der().to_vec(), root: root.der().to_vec(), key }
    }

    fn file(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder.path().join(name)).unwrap()
    }

    #[track_caller]
    fn run(&self, program: &str, arguments: &[&str]) {
        let run =
            Command::new(program).args(arguments).current_dir(self.folder.path()).output().unwrap();
        assert!(run.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&run.stderr));
    }

    /// A store of both certificates and the key, under that password.
    #[track_caller]
    fn pkcs12(&self, password: &str, more: &[&str]) -> Vec<u8> {
        let password = format!("pass:{password}");
        let line =
            ["pkcs12", "-export", "-in", "leaf.pem", "-inkey", "key.pem", "-certfile", "root.pem"];
        let rest = ["-name", "web é", "-passout", &password, "-out", "store.p12"];
        self.run("openssl", &[&line, more, &rest].concat());
        self.file("store.p12")
    }

    /// The certificates must be the two, whatever the order, and the key must be nowhere.
    #[track_caller]
    fn has_both(&self, holdings: &Holdings) {
        let mut found: Vec<&Vec<u8>> = holdings.certificates.iter().map(|held| &held.der).collect();
        found.sort();
        let mut expected = [&self.leaf, &self.root];
        expected.sort();
        assert_eq!(found, expected, "{:?}", holdings.notes);
        let key = self.key.serialize_der();
        let shown = format!("{holdings:?}");
        assert!(!shown.contains(&format!("{:?}", &key[key.len() - 16..])), "the key is shown");
    }
}

fn passwords(texts: &[&str]) -> Vec<Password> {
    texts.iter().map(|text| Password::new(*text)).collect()
}

#[track_caller]
fn held(file: &[u8], given: &[&str]) -> Holdings {
    read(file, &passwords(given), ROUNDS).unwrap().expect("something is in it")
}

#[test]
fn pkcs12_is_opened_in_every_variant_that_openssl_writes() {
    let made = Made::new();
    for (password, more) in [
        ("secret", &[][..]),
        ("secret", &["-legacy"]),
        ("secret", &["-legacy", "-descert"]),
        ("secret", &["-legacy", "-certpbe", "PBE-SHA1-RC2-128", "-keypbe", "PBE-SHA1-2DES"]),
        ("secret", &["-legacy", "-certpbe", "PBE-SHA1-2DES"]),
        ("secret", &["-certpbe", "AES-128-CBC", "-macalg", "SHA1"]),
        ("secret", &["-certpbe", "AES-192-CBC", "-macalg", "SHA384"]),
        ("secret", &["-certpbe", "AES-256-CBC", "-keypbe", "AES-256-CBC", "-macalg", "SHA512"]),
        ("secret", &["-certpbe", "DES-EDE3-CBC"]),
        ("secret", &["-iter", "20000", "-maciter"]),
        ("secret", &["-nomac", "-certpbe", "AES-256-CBC"]),
        ("secret", &["-nomac", "-legacy", "-certpbe", "PBE-SHA1-RC2-40"]),
        ("pässwört 日本", &[]),
        ("pässwört 日本 🔑", &["-legacy"]),
        ("", &[]),
        ("", &["-legacy"]),
        ("", &["-nomac", "-legacy", "-certpbe", "PBE-SHA1-RC2-40"]),
    ] {
        let store = made.pkcs12(password, more);
        let holdings = held(&store, &["wrong", password]);
        made.has_both(&holdings);
        assert_eq!(holdings.format, Format::Pkcs12);
        assert_eq!(holdings.private_key, PrivateKey::Encrypted, "{more:?}");
        assert_eq!(holdings.notes, [""; 0], "{more:?}");
        let entries: Vec<_> = holdings.certificates.iter().flat_map(|held| &held.entry).collect();
        assert_eq!(entries, ["web é"], "{more:?}");
        // Without it, only the empty password is tried, by itself.
        let without = read(&store, &passwords(&["wrong"]), ROUNDS);
        match password {
            "" => made.has_both(&without.unwrap().unwrap()),
            _ => assert_eq!(without, Err(ReadError::WrongPassword { given: 1 }), "{more:?}"),
        }
    }
}

#[test]
fn what_is_open_in_a_pkcs12_is_read_without_a_password() {
    let made = Made::new();
    let open = made.pkcs12("secret", &["-certpbe", "NONE"]);
    let holdings = held(&open, &[]);
    made.has_both(&holdings);
    assert_eq!(holdings.private_key, PrivateKey::Encrypted);
    assert!(holdings.notes[0].contains("may have been changed"), "{:?}", holdings.notes);
    assert_eq!(held(&open, &["secret"]).notes, [""; 0]);
    // Without a code, openssl does not encrypt certificates.
    let holdings = held(&made.pkcs12("secret", &["-nomac"]), &[]);
    made.has_both(&holdings);
    assert_eq!((holdings.private_key, holdings.notes.len()), (PrivateKey::Encrypted, 0));
    let plain = made.pkcs12("", &["-certpbe", "NONE", "-keypbe", "NONE", "-nomac"]);
    let holdings = held(&plain, &[]);
    made.has_both(&holdings);
    assert_eq!((holdings.private_key, holdings.notes.len()), (PrivateKey::Plain, 0));
}

#[test]
fn a_store_that_was_changed_says_so() {
    let made = Made::new();
    let mut store = made.pkcs12("secret", &["-certpbe", "NONE"]);
    let name = b"w\0e\0b".as_slice();
    let at = store.windows(name.len()).position(|window| window == name).unwrap();
    store[at] = b'x';
    assert!(held(&store, &["secret"]).notes[0].contains("may have been changed"));
}

#[test]
fn work_is_bounded_and_what_is_not_read_is_named() {
    let made = Made::new();
    let store = made.pkcs12("secret", &["-iter", "100000"]);
    let refused = read(&store, &passwords(&["secret"]), 50_000);
    assert_eq!(refused, Err(ReadError::TooMuchWork { asked: 100_000, left: 50_000 }));
    let rc4 = made.pkcs12("secret", &["-legacy", "-certpbe", "PBE-SHA1-RC4-128"]);
    let refused = read(&rc4, &passwords(&["secret"]), ROUNDS).unwrap_err();
    assert_eq!(refused.to_string(), "it has encryption with RC4, which is not read");
    let none = read(&store, &[], ROUNDS).unwrap_err();
    assert_eq!(none.to_string(), "it is encrypted and no password was given");
}

#[test]
fn pkcs7_is_read_as_pem_and_as_der() {
    let made = Made::new();
    for (form, name) in [("PEM", "b.p7b"), ("DER", "b.p7c")] {
        let line = ["crl2pkcs7", "-nocrl", "-certfile", "both.pem", "-outform", form, "-out", name];
        made.run("openssl", &line);
        let holdings = held(&made.file(name), &[]);
        made.has_both(&holdings);
        let found = (holdings.format, holdings.private_key, holdings.notes.len());
        assert_eq!(found, (Format::Pkcs7, PrivateKey::None, 0));
    }
    // Signed by somebody, in BER with lengths that are not told.
    fs::write(made.folder.path().join("text"), "hello").unwrap();
    let line = ["cms", "-sign", "-in", "text", "-signer", "leaf.pem", "-inkey", "key.pem"];
    let rest = ["-certfile", "root.pem", "-outform", "DER", "-stream", "-out", "signed"];
    made.run("openssl", &[&line[..], &rest].concat());
    made.has_both(&held(&made.file("signed"), &[]));
}

#[test]
fn text_of_every_kind_gives_its_certificates() {
    let made = Made::new();
    let pem = String::from_utf8(made.file("both.pem")).unwrap();
    let indented = pem.lines().map(|line| format!("    {line}\n")).collect::<String>();
    let wide: Vec<u8> =
        [0xfeff].into_iter().chain(pem.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    for file in [
        pem.clone().into_bytes(),
        format!("\u{feff}{pem}").into_bytes(),
        pem.replace('\n', "\r\n").into_bytes(),
        pem.replace('\n', "\r").into_bytes(),
        format!("subject=CN = x\n{}", pem.replace("-----BEGIN", "issuer: y\n-----BEGIN"))
            .into_bytes(),
        format!("data:\n  ca.crt: |\n{indented}kind: ConfigMap\n").into_bytes(),
        format!("{{\"ca.crt\": \"{}\"}}", pem.replace('\n', "\\n")).into_bytes(),
        // The end of the file, and of a block, is missing.
        pem.trim_end().strip_suffix("-----END CERTIFICATE-----").unwrap().as_bytes().to_vec(),
        pem.replacen("-----END CERTIFICATE-----\n", "", 1).into_bytes(),
        wide,
    ] {
        let holdings = held(&file, &[]);
        made.has_both(&holdings);
        assert_eq!((holdings.format, holdings.notes.len()), (Format::Pem, 0));
    }
    made.has_both(&held(&[made.leaf.clone(), made.root.clone()].concat(), &[]));
    let broken = pem.replacen("MII", "!!!", 1);
    let holdings = held(broken.as_bytes(), &[]);
    assert_eq!((holdings.certificates.len(), holdings.notes.len()), (1, 1));
}

#[test]
fn manifests_give_their_values_by_name() {
    let made = Made::new();
    let encoded = |name: &str| {
        made.run("openssl", &["base64", "-A", "-in", name, "-out", "text"]);
        String::from_utf8(made.file("text")).unwrap()
    };
    let (leaf, both, key) = (encoded("leaf.pem"), encoded("both.pem"), encoded("key.pem"));
    let store = {
        made.pkcs12("secret", &[]);
        encoded("store.p12")
    };
    let entries = |text: &str| {
        let holdings = held(text.as_bytes(), &["secret"]);
        assert_eq!((holdings.format, holdings.notes.len()), (Format::Manifest, 0), "{text}");
        let named: Vec<String> =
            holdings.certificates.iter().map(|held| held.entry.clone().unwrap()).collect();
        (named, holdings.private_key)
    };
    let secret = format!("kind: Secret\ndata:\n  tls.crt: {both}\n  tls.key: \"{key}\"\n");
    let twice = vec!["tls.crt".to_owned(); 2];
    assert_eq!(entries(&secret), (twice.clone(), PrivateKey::Plain));
    let json = format!("{{\"data\":{{\"tls.crt\":\"{both}\",\"tls.key\":\"{key}\"}}}}");
    assert_eq!(entries(&json), (twice.clone(), PrivateKey::Plain));
    let lines: Vec<&str> = both.as_bytes().chunks(60).map(|l| str::from_utf8(l).unwrap()).collect();
    let folded = format!("data:\n  tls.crt: >-\n    {}\nkind: Secret\n", lines.join("\n    "));
    assert_eq!(entries(&folded), (twice, PrivateKey::None));
    let kubeconfig = format!(
        "clusters:\n- cluster:\n    certificate-authority-data: {leaf}\nusers:\n- user:\n    \
         client-certificate-data: {leaf}\n    client-key-data: {key}\n"
    );
    let names = vec!["certificate-authority-data".into(), "client-certificate-data".into()];
    assert_eq!(entries(&kubeconfig), (names, PrivateKey::Plain));
    let (named, key) = entries(&format!("data:\n  web.p12: {store}\n"));
    assert_eq!(named.len(), 2);
    assert!(named.contains(&"web.p12/web é".to_owned()), "{named:?}");
    assert_eq!(key, PrivateKey::Encrypted);
}

#[test]
fn keys_are_noted_by_how_they_are_kept() {
    let made = Made::new();
    let sec1 = ["ec", "-in", "key.pem", "-out", "sec1.pem"];
    made.run("openssl", &sec1);
    made.run("openssl", &[&sec1[..4], &["sec1.der", "-outform", "DER"]].concat());
    made.run("openssl", &[&sec1[..4], &["old.pem", "-aes128", "-passout", "pass:secret"]].concat());
    made.run("openssl", &["genrsa", "-traditional", "-out", "rsa.pem", "1024"]);
    made.run(
        "openssl",
        &["rsa", "-traditional", "-in", "rsa.pem", "-outform", "DER", "-out", "rsa.der"],
    );
    let pkcs8 = ["pkcs8", "-topk8", "-in", "key.pem", "-outform", "DER", "-passout", "pass:secret"];
    made.run("openssl", &[&pkcs8[..], &["-out", "closed.der"]].concat());
    made.run("openssl", &[&pkcs8[..], &["-nocrypt", "-out", "open.der"]].concat());
    made.run(
        "openssl",
        &["pkcs8", "-topk8", "-in", "key.pem", "-passout", "pass:secret", "-out", "closed.pem"],
    );
    for (name, expected) in [
        ("key.pem", PrivateKey::Plain),
        ("sec1.pem", PrivateKey::Plain),
        ("sec1.der", PrivateKey::Plain),
        ("rsa.pem", PrivateKey::Plain),
        ("rsa.der", PrivateKey::Plain),
        ("open.der", PrivateKey::Plain),
        ("old.pem", PrivateKey::Encrypted),
        ("closed.der", PrivateKey::Encrypted),
        ("closed.pem", PrivateKey::Encrypted),
    ] {
        let holdings = held(&made.file(name), &[]);
        assert_eq!((holdings.private_key, holdings.certificates.len()), (expected, 0), "{name}");
    }
}

#[test]
fn what_holds_nothing_is_nothing() {
    let made = Made::new();
    made.run(
        "openssl",
        &["req", "-new", "-key", "key.pem", "-subj", "/CN=x", "-outform", "DER", "-out", "r.der"],
    );
    made.run(
        "openssl",
        &["ec", "-in", "key.pem", "-pubout", "-outform", "DER", "-out", "public.der"],
    );
    let request = made.file("r.der");
    let public = made.file("public.der");
    for file in [&b""[..], b"hello", b"0", b"\x30\x03\x02\x01\x07", &[0; 4096], &request, &public] {
        assert_eq!(read(file, &[], ROUNDS), Ok(None), "{file:?}");
    }
}

/// A store as Java writes one.
struct Java {
    bytes: Vec<u8>,
    entries: u32,
}

impl Java {
    fn new(magic: [u8; 4], version: u8) -> Self {
        let bytes = [&magic[..], &[0, 0, 0, version, 0, 0, 0, 0]].concat();
        Self { bytes, entries: 0 }
    }

    fn text(&mut self, text: &str) {
        self.bytes.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
        self.bytes.extend(text.as_bytes());
    }

    fn long(&mut self, bytes: &[u8]) {
        self.bytes.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
        self.bytes.extend(bytes);
    }

    fn entry(&mut self, tag: u8, alias: &str) {
        self.entries += 1;
        self.bytes.extend([0, 0, 0, tag]);
        self.text(alias);
        self.bytes.extend([0; 8]);
    }

    fn certificate(&mut self, der: &[u8]) {
        if self.bytes[7] == 2 {
            self.text("X.509");
        }
        self.long(der);
    }

    fn finish(mut self, password: &str) -> Vec<u8> {
        self.bytes[8..12].copy_from_slice(&self.entries.to_be_bytes());
        let wide = password.encode_utf16().flat_map(u16::to_be_bytes);
        let all: Vec<u8> =
            wide.chain(*b"Mighty Aphrodite").chain(self.bytes.iter().copied()).collect();
        self.bytes.extend(digest(&SHA1_FOR_LEGACY_USE_ONLY, &all).as_ref());
        self.bytes
    }
}

const JKS: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];
const JCEKS: [u8; 4] = [0xce; 4];

#[test]
fn java_stores_give_their_certificates_without_a_password() {
    let made = Made::new();
    for (magic, version, format) in
        [(JKS, 1, Format::Jks), (JKS, 2, Format::Jks), (JCEKS, 2, Format::Jceks)]
    {
        let mut store = Java::new(magic, version);
        store.entry(1, "web");
        store.long(&[7; 300]);
        store.bytes.extend([0, 0, 0, 1]);
        store.certificate(&made.leaf);
        store.entry(2, "root");
        store.certificate(&made.root);
        let store = store.finish("changeit");
        for given in [&[][..], &["wrong", "changeit"]] {
            let holdings = held(&store, given);
            made.has_both(&holdings);
            let entries: Vec<_> = holdings.certificates.iter().flat_map(|h| &h.entry).collect();
            assert_eq!(entries, ["web", "root"]);
            let found = (holdings.format, holdings.private_key, holdings.notes.len());
            assert_eq!(found, (format, PrivateKey::Encrypted, 0));
        }
        let holdings = held(&store, &["wrong"]);
        assert!(holdings.notes[0].contains("may have been changed"), "{:?}", holdings.notes);
        // Cut anywhere, what was before is had.
        for length in 0..store.len() {
            match read(&store[..length], &[], ROUNDS) {
                Ok(None) | Err(ReadError::Damaged(_)) => {}
                Ok(Some(cut)) => assert!(!cut.notes.is_empty(), "{length}"),
                Err(other) => panic!("{length}: {other}"),
            }
        }
    }
}

#[test]
fn behind_a_secret_key_certificates_are_still_found() {
    let made = Made::new();
    let mut store = Java::new(JCEKS, 2);
    store.entry(2, "first");
    store.certificate(&made.leaf);
    store.entry(3, "secret");
    store.bytes.extend(b"\xac\xed\0\x05sr\0\x05X.509 is only a word here");
    store.entry(2, "root");
    store.certificate(&made.root);
    let holdings = held(&store.finish("changeit"), &[]);
    made.has_both(&holdings);
    assert!(holdings.notes[0].contains("secret key"), "{:?}", holdings.notes);
}

#[test]
fn stores_that_keytool_writes_are_read() {
    if Command::new("keytool").arg("-help").output().is_err() {
        println!("there is no keytool here: its stores were not read");
        return;
    }
    let made = Made::new();
    made.pkcs12("changeit", &[]);
    for (kind, format) in
        [("JKS", Format::Jks), ("JCEKS", Format::Jceks), ("PKCS12", Format::Pkcs12)]
    {
        let store = ["-keystore", kind, "-storetype", kind, "-storepass", "changeit", "-noprompt"];
        let from =
            ["-srckeystore", "store.p12", "-srcstoretype", "PKCS12", "-srcstorepass", "changeit"];
        made.run(
            "keytool",
            &[
                &["-importkeystore"],
                &from[..],
                &[
                    "-deststorepass",
                    "changeit",
                    "-destkeystore",
                    kind,
                    "-deststoretype",
                    kind,
                    "-noprompt",
                ],
            ]
            .concat(),
        );
        made.run(
            "keytool",
            &[&["-importcert", "-alias", "root", "-file", "root.pem"], &store[..]].concat(),
        );
        let holdings = held(&made.file(kind), &["changeit"]);
        let found = (holdings.format, holdings.private_key, holdings.notes.clone());
        assert_eq!(found, (format, PrivateKey::Encrypted, Vec::new()));
        assert!(holdings.certificates.iter().any(|held| held.der == made.leaf), "{kind}");
        let root = holdings.certificates.iter().find(|held| held.entry.as_deref() == Some("root"));
        assert_eq!(root.unwrap().der, made.root, "{kind}");
    }
}

#[test]
fn stores_of_the_corpus_are_read() {
    let Some(root) = env::var_os("DAICHO_CORPUS") else {
        println!("DAICHO_CORPUS is not set: the corpus was not read");
        return;
    };
    let root = Path::new("..").join(root).join("certificates/openssl");
    for name in ["v3-certs-RC2.p12", "v3-certs-TDES.p12"] {
        let file = fs::read(root.join(name)).unwrap();
        let holdings = held(&file, &["v3-certs"]);
        assert!(!holdings.certificates.is_empty());
        for held in &holdings.certificates {
            let read = parse(&held.der);
            println!("{name}: {} by {}", read.subject, read.issuer);
            assert!(read.not_after.is_some());
        }
        assert_eq!(holdings.notes, [""; 0], "{name}");
        assert_eq!(read(&file, &[], ROUNDS), Err(ReadError::WrongPassword { given: 0 }), "{name}");
    }
}

#[test]
fn configurations_name_their_files() {
    let text = "server {\n  listen 443 ssl; ssl_certificate /etc/ssl/a.pem; # ours\n  \
                ssl_certificate_key \"keys/a b.key\";\n  # ssl_certificate /no.pem;\n  \
                ssl_certificate_by_lua x;\n}\nSSLCertificateFile \"/etc/ssl/b.pem\"\n\
                \tSSLCertificateChainFile chain.pem\nuser:\n    client-certificate: /c.crt\n";
    let found: Vec<(usize, String, String)> = mentions(text.as_bytes())
        .into_iter()
        .map(|Mention { directive, path, line }| (line, directive, path))
        .collect();
    let expected = [
        (2, "ssl_certificate", "/etc/ssl/a.pem"),
        (3, "ssl_certificate_key", "keys/a b.key"),
        (7, "SSLCertificateFile", "/etc/ssl/b.pem"),
        (8, "SSLCertificateChainFile", "chain.pem"),
        (10, "client-certificate", "/c.crt"),
    ];
    let expected: Vec<_> =
        expected.map(|(line, name, path)| (line, name.to_owned(), path.to_owned())).to_vec();
    assert_eq!(found, expected);
    assert!(mentions(&[b'x'; 100]).is_empty());
}
