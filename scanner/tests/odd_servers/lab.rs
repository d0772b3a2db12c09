//! The lab: odd servers by name, and for each exactly the certificates that it has.
//!
//! Rows are `openssl` in the configurations that other collectors were measured with, then
//! rustls, then servers of our own. Each is asked as a sweep would, knowing the names that a
//! sweep would know.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use certs::hello::ServerName;
use scanner::probe::tls::Served;
use tempfile::TempDir;

use crate::{
    collect,
    identity::{Identity, identity, identity_v1, openssl, text},
    modern,
    openssl::{LOW, Server},
    own::{Answer, Own, certificate, dhe, flight, message, records, refusal, server_hello},
    own13,
    peers::{Peer, peers},
};

/// Whatever serves, ended when it goes out of scope.
enum Running {
    OpenSsl(Server),
    Own(Own),
}

impl Running {
    fn port(&self) -> u16 {
        match self {
            Self::OpenSsl(server) => server.port,
            Self::Own(server) => server.port,
        }
    }
}

/// A server of the lab.
struct Row {
    name: &'static str,
    server: Running,
    /// The names under which a sweep would know its address.
    names: &'static [&'static str],
    /// The leaves that it serves to somebody.
    expected: Vec<Vec<u8>>,
}

/// What asking one brought.
struct Asked {
    name: &'static str,
    expected: BTreeSet<String>,
    found: BTreeSet<String>,
    served: Served,
    took: Duration,
    /// How many of them each other tool obtained.
    by_peers: Vec<usize>,
}

/// The SHA-256 of a certificate, in hexadecimal.
fn digest(der: &[u8]) -> String {
    certs::parse(der).sha256.to_string()
}

impl Row {
    fn ask(&self, peers: &[&Peer]) -> Asked {
        let names = self.names.iter().map(|name| ServerName::new(name).expect("a host name"));
        let began = Instant::now();
        let served = collect(self.server.port(), names);
        let took = began.elapsed();
        let found = served.chains.iter().map(|chain| digest(&chain.chain[0])).collect();
        let expected: BTreeSet<String> = self.expected.iter().map(|der| digest(der)).collect();
        let by_peers = peers.iter().map(|peer| peer.ask(self.server.port(), self.names));
        let by_peers = by_peers.map(|found| expected.intersection(&found).count()).collect();
        Asked { name: self.name, expected, found, served, took, by_peers }
    }
}

impl Asked {
    /// One row of the table.
    fn told(&self) -> String {
        let peers: Vec<String> =
            self.by_peers.iter().map(|found| format!(" | {found:>2}")).collect();
        let versions: Vec<String> = self.served.accepted.keys().map(ToString::to_string).collect();
        let right = self.expected.intersection(&self.found).count();
        format!(
            "| {:<38} | {:>2} of {:<2} | {:>11} | {:>5} | {}{}",
            self.name,
            right,
            self.expected.len(),
            self.served.connections,
            self.took.as_millis(),
            versions.join(" "),
            peers.concat(),
        )
    }
}

/// The identities that several servers share: a key of RSA takes its time.
struct Shared {
    folder: TempDir,
    rsa: Identity,
    ecdsa: Identity,
    weak: Identity,
    weak_v1: Identity,
}

const RSA: &[&str] = &["-algorithm", "RSA"];
const RSA_1024: &[&str] = &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"];
const RSA_512: &[&str] = &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:512"];
const P256: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];

impl Shared {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let rsa = identity(&folder, "rsa", RSA, &[]);
        let ecdsa = identity(&folder, "ecdsa", P256, &[]);
        let weak = identity(&folder, "weak", RSA_1024, &["-sha1"]);
        let weak_v1 = identity_v1(&folder, "weak-v1", RSA_1024, &["-sha1"]);
        Self { folder, rsa, ecdsa, weak, weak_v1 }
    }

    fn ec(&self, curve: &str) -> Identity {
        let option = format!("ec_paramgen_curve:{curve}");
        identity(&self.folder, curve, &["-algorithm", "EC", "-pkeyopt", &option], &[])
    }
}

/// A row of OpenSSL's, with one certificate.
fn row(name: &'static str, identity: &Identity, arguments: &[&str]) -> Row {
    let server = Running::OpenSsl(Server::start(identity, arguments));
    Row { name, server, names: &[], expected: vec![identity.der.clone()] }
}

fn openssl_by_version(shared: &Shared) -> Vec<Row> {
    let Shared { folder, rsa, ecdsa, weak, weak_v1 } = shared;
    let tiny = identity_v1(folder, "tiny", RSA_512, &["-md5"]);
    let v1 = identity_v1(folder, "v1", RSA, &[]);
    vec![
        row("TLS 1.0, RSA 1024, SHA-1, v1", weak_v1, &["-tls1", "-cipher", LOW]),
        row("TLS 1.1", rsa, &["-tls1_1", "-cipher", LOW]),
        row("TLS 1.2, modern", ecdsa, &["-tls1_2"]),
        row("TLS 1.2, ECDHE, RSA 1024, SHA-1", weak, &["-tls1_2", "-cipher", "ECDHE:@SECLEVEL=0"]),
        row("TLS 1.2, ECDHE, X.509 v1", &v1, &["-tls1_2", "-cipher", "ECDHE"]),
        row(
            "RSA 512, MD5, v1, static RSA",
            &tiny,
            &["-tls1_1", "-cipher", "AES128-SHA:@SECLEVEL=0"],
        ),
        row(
            "TLS 1.2, DHE 1024 only",
            weak,
            &["-tls1_2", "-cipher", "DHE-RSA-AES128-SHA:@SECLEVEL=0"],
        ),
        row("TLS 1.2, static RSA only", rsa, &["-tls1_2", "-cipher", "AES256-GCM-SHA384"]),
        row("TLS 1.2, ECDHE with CBC only", rsa, &["-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA"]),
        row("TLS 1.2, P-521 only", rsa, &["-tls1_2", "-groups", "P-521"]),
        row("TLS 1.2, client certificate required", rsa, &["-tls1_2", "-Verify", "1"]),
        row("TLS 1.2, Camellia only", rsa, &["-tls1_2", "-cipher", "CAMELLIA128-SHA"]),
        row("TLS 1.2, ARIA only", rsa, &["-tls1_2", "-cipher", "ARIA128-GCM-SHA256"]),
        row("TLS 1.2, brainpoolP384r1 only", rsa, &["-tls1_2", "-groups", "brainpoolP384r1"]),
        row("TLS 1.2, NULL only", rsa, &["-tls1_2", "-cipher", "eNULL:@SECLEVEL=0"]),
        row("TLS 1.3, P-256, ECDSA", ecdsa, &["-tls1_3", "-groups", "P-256"]),
        row("TLS 1.3, client certificate required", rsa, &["-tls1_3", "-Verify", "1"]),
        row("TLS 1.3, X.509 v1", &v1, &["-tls1_3"]),
        row("TLS 1.3, P-384 only", rsa, &["-tls1_3", "-groups", "P-384"]),
        row("TLS 1.3, P-521 only", rsa, &["-tls1_3", "-groups", "P-521"]),
        row("TLS 1.3, X448 only", rsa, &["-tls1_3", "-groups", "X448"]),
        row("TLS 1.2 and 1.3", rsa, &[]),
    ]
}

fn openssl_by_key(shared: &Shared) -> Vec<Row> {
    let Shared { folder, rsa, ecdsa, .. } = shared;
    let brainpool = shared.ec("brainpoolP256r1");
    let plain = |name, arguments: &[&str]| identity(folder, name, arguments, &[]);
    let (ed25519, ed448) =
        (plain("ed25519", &["-algorithm", "ED25519"]), plain("ed448", &["-algorithm", "ED448"]));
    let pss = plain("pss", &["-algorithm", "RSA-PSS"]);
    let parameters = folder.path().join("dsa.parameters");
    openssl(&["dsaparam", "-out", text(&parameters), "1024"]);
    let dsa = plain("dsa", &["-paramfile", text(&parameters)]);
    let brainpool_arguments = ["-tls1_2", "-cipher", LOW, "-groups", "P-256:brainpoolP256r1"];
    vec![
        row("TLS 1.2, DSA 1024", &dsa, &["-tls1_2", "-cipher", LOW]),
        row("TLS 1.2, ECDSA brainpoolP256r1", &brainpool, &brainpool_arguments),
        row("TLS 1.3, P-521 key", &shared.ec("P-521"), &["-tls1_3"]),
        row("TLS 1.3, Ed25519", &ed25519, &["-tls1_3"]),
        row("TLS 1.2, Ed448", &ed448, &["-tls1_2"]),
        row("TLS 1.3, RSA-PSS key", &pss, &["-tls1_3"]),
        dual("RSA and ECDSA", [rsa, ecdsa], &[]),
        dual("RSA and ECDSA, TLS 1.2", [ecdsa, rsa], &["-tls1_2"]),
        dual("RSA and RSA-PSS, TLS 1.3", [rsa, &pss], &["-tls1_3"]),
        dual("RSA and Ed448, TLS 1.3", [rsa, &ed448], &["-tls1_3"]),
        dual("RSA and DSA, TLS 1.2", [rsa, &dsa], &["-tls1_2", "-cipher", LOW]),
        dual("RSA and DSA, 1.2 and 1.3", [rsa, &dsa], &["-cipher", LOW]),
        dual("ECDSA and Ed25519, TLS 1.2", [ecdsa, &ed25519], &["-tls1_2"]),
    ]
}

/// OpenSSL with two certificates, which is as many as its command takes.
fn dual(name: &'static str, [first, second]: [&Identity; 2], arguments: &[&str]) -> Row {
    let more = ["-dcert", text(&second.certificate), "-dkey", text(&second.key)];
    let server = Running::OpenSsl(Server::start(first, &[&more, arguments].concat()));
    Row { name, server, names: &[], expected: vec![first.der.clone(), second.der.clone()] }
}

fn openssl_by_name(shared: &Shared) -> Vec<Row> {
    let second = identity(&shared.folder, "second", RSA, &[]);
    let alternative = ["-addext", "subjectAltName=DNS:first.example,DNS:second.example"];
    let first = identity(&shared.folder, "first", RSA, &alternative);
    let arguments = ["-cert2", text(&second.certificate), "-key2", text(&second.key)];
    let arguments = [&arguments[..], &["-servername", "second.example"]].concat();
    let start = |arguments: &[&str]| Running::OpenSsl(Server::start(&first, arguments));
    let expected = vec![first.der.clone(), second.der.clone()];
    vec![
        Row {
            name: "by name, which is known",
            server: start(&arguments),
            names: &["second.example"],
            expected: expected.clone(),
        },
        Row {
            name: "by name, known from a certificate",
            server: start(&[&arguments[..], &["-tls1_2"]].concat()),
            names: &[],
            expected,
        },
    ]
}

fn rustls_rows() -> Vec<Row> {
    let of = |key: &rustls::sign::CertifiedKey| key.cert[0].to_vec();
    let p256 =
        || modern::certified(&["one.example", "two.example"], &rcgen::PKCS_ECDSA_P256_SHA256);
    let start = |name, choices: modern::Choices| {
        let expected = choices.iter().map(|(_, key)| of(key)).collect();
        Row { name, server: Running::Own(modern::start(choices)), names: &[], expected }
    };
    let four = vec![
        (None, p256()),
        (None, modern::certified(&["x.example"], &rcgen::PKCS_ED25519)),
        (None, modern::certified(&["x.example"], &rcgen::PKCS_ECDSA_P384_SHA384)),
        (None, modern::ml_dsa()),
    ];
    let by_name = vec![
        (Some("two.example"), modern::certified(&["two.example"], &rcgen::PKCS_ED25519)),
        (Some("two.example"), modern::certified(&["two.example"], &rcgen::PKCS_ECDSA_P256_SHA256)),
        (None, p256()),
    ];
    let named_only =
        |name: &'static str| (Some(name), modern::certified(&[name], &rcgen::PKCS_ED25519));
    let mut insists = start("a name or nothing", vec![named_only("named.example")]);
    insists.names = &["named.example"];
    vec![
        start("ML-DSA only, TLS 1.3", vec![(None, modern::ml_dsa())]),
        start("P-256, Ed25519, P-384 and ML-DSA", four),
        start("two kinds of key behind a name", by_name),
        insists,
    ]
}

/// A row of our own that says the same to every hello.
fn fixed(name: &'static str, version: u16, bytes: Vec<u8>, leaf: &[u8]) -> Row {
    own(name, leaf, move |hello| {
        if hello.framed || hello.version < version {
            return refusal(70);
        }
        Answer::Say(bytes.clone())
    })
}

fn own(
    name: &'static str,
    leaf: &[u8],
    answer: impl Fn(&crate::own::Hello) -> Answer + Send + 'static,
) -> Row {
    let server = Running::Own(Own::start(answer));
    Row { name, server, names: &[], expected: vec![leaf.to_vec()] }
}

/// A whole flight in one record for each message.
fn whole(version: u16, suite: u16, chain: &[&[u8]], more: &[Vec<u8>]) -> Vec<u8> {
    records(version, 1 << 14, &flight(version, suite, chain, more))
}

/// One that speaks only suites of that number, whatever else is offered.
fn with_suite(name: &'static str, version: u16, suite: u16, leaf: &[u8], more: &[Vec<u8>]) -> Row {
    let bytes = whole(version, suite, &[leaf], more);
    own(name, leaf, move |hello| {
        let offered = hello.suites.contains(&suite);
        // A hello for TLS 1.3 alone is told by its suites.
        if offered && !hello.framed && hello.version >= version {
            Answer::Say(bytes.clone())
        } else {
            refusal(40)
        }
    })
}

fn own_by_version(leaf: &[u8]) -> Vec<Row> {
    let ssl3 = whole(0x0300, 0x000a, &[leaf], &[]);
    let intolerant = ssl3.clone();
    let framed = whole(0x0300, 0x0004, &[leaf], &[]);
    let tls1 = whole(0x0301, 0x002f, &[leaf], &[]);
    let small = tls1.clone();
    // The SERVER-HELLO of SSL 2.0: its certificate stands among lengths.
    let ssl2 = {
        let length = u16::try_from(leaf.len()).unwrap().to_be_bytes();
        let kinds = [1, 0, 0x80, 7, 0, 0xc0];
        let head = [4, 0, 1, 0, 2, length[0], length[1], 0, 6, 0, 16];
        let body = [&head[..], leaf, &kinds, &[9; 16]].concat();
        let [high, low] = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&[high | 0x80, low][..], &body].concat()
    };
    vec![
        own("SSL 2.0 only", leaf, move |hello| {
            if hello.framed { Answer::Say(ssl2.clone()) } else { Answer::HangUp }
        }),
        own("SSL 3.0, only after a hello of SSL 2.0", leaf, move |hello| {
            if hello.framed { Answer::Say(framed.clone()) } else { Answer::HangUp }
        }),
        fixed("SSL 3.0 only", 0x0300, ssl3, leaf),
        own("SSL 3.0, bears nothing newer", leaf, move |hello| {
            let bears = hello.version == 0x0300 && hello.extensions.is_empty() && !hello.framed;
            if bears { Answer::Say(intolerant.clone()) } else { Answer::HangUp }
        }),
        own("TLS 1.0, bears no TLS 1.2", leaf, move |hello| {
            if hello.version == 0x0301 { Answer::Say(tls1.clone()) } else { Answer::HangUp }
        }),
        own("TLS 1.0, bears no hello over 255 bytes", leaf, move |hello| {
            if hello.length < 256 { Answer::Say(small.clone()) } else { Answer::HangUp }
        }),
    ]
}

fn own_by_suite(leaf: &[u8]) -> Vec<Row> {
    let explicit_curve = message(12, &[1, 0, 0, 0]);
    vec![
        with_suite("DHE 512 only", 0x0301, 0x0033, leaf, &[dhe(512)]),
        with_suite("3DES only", 0x0301, 0x000a, leaf, &[]),
        with_suite("single DES only", 0x0301, 0x0009, leaf, &[]),
        with_suite("RC4 with MD5 only", 0x0301, 0x0004, leaf, &[]),
        with_suite("export of 40 bits only", 0x0301, 0x0003, leaf, &[]),
        with_suite("NULL with MD5 only", 0x0301, 0x0001, leaf, &[]),
        with_suite("static ECDH only", 0x0303, 0xc005, leaf, &[]),
        with_suite("a curve given by its numbers", 0x0301, 0xc014, leaf, &[explicit_curve]),
        with_suite("GOST only", 0x0303, 0xc102, leaf, &[]),
    ]
}

fn own_by_form(leaf: &[u8], other: &[u8]) -> Vec<Row> {
    let messages = flight(0x0303, 0x002f, &[leaf], &[]);
    let names = [&[0, 5][..], &[0x30, 3, 2, 1, 7]].concat();
    let wants = [&[1, 1, 0, 2, 4, 1][..], &[0, 7], &names].concat();
    let requested = whole(0x0303, 0x002f, &[leaf], &[message(13, &wants)]);
    let mut large = vec![leaf];
    large.extend(std::iter::repeat_n(other, 150));
    let large = whole(0x0303, 0x002f, &large, &[]);
    let warned = [&[21, 3, 3, 0, 2, 1, 112][..], &whole(0x0303, 0x002f, &[leaf], &[])].concat();
    let hello = server_hello(0x0303, 0x002f, &[]);
    let apart = [hello, certificate(&[leaf]), message(14, &[])];
    let apart = apart.iter().flat_map(|message| records(0x0303, 1 << 14, message)).collect();
    let no_done = [server_hello(0x0303, 0xc02f, &[]), certificate(&[leaf])].concat();
    let mut stops = records(0x0303, 1 << 14, &no_done);
    stops.extend([21, 3, 3, 0, 2, 2, 80]);
    let trickled = whole(0x0303, 0x002f, &[leaf], &[]);
    let legacy = |hello: &crate::own::Hello| hello.suites.contains(&0x002f) && !hello.framed;
    let named = whole(0x0303, 0x002f, &[leaf], &[]);
    let mut insists = own("a name or handshake_failure", leaf, move |hello| {
        let knows = hello.name().as_deref() == Some("named.example") && legacy(hello);
        if knows { Answer::Say(named.clone()) } else { refusal(40) }
    });
    insists.names = &["named.example"];
    vec![
        fixed("records of one byte", 0x0303, records(0x0303, 1, &messages), leaf),
        fixed("messages that share a record", 0x0303, records(0x0303, 1 << 14, &messages), leaf),
        fixed("a record for each message", 0x0303, apart, leaf),
        own("a packet for each byte", leaf, move |hello| {
            if legacy(hello) { Answer::Trickle(trickled.clone()) } else { refusal(70) }
        }),
        fixed("a warning before the hello", 0x0303, warned, leaf),
        fixed("asks for a client certificate", 0x0303, requested, leaf),
        fixed("a chain of 151 certificates", 0x0303, large, leaf),
        fixed("fails after its certificate", 0x0303, stops, leaf),
        insists,
    ]
}

fn own_of_tls_13(leaf: &[u8]) -> Vec<Row> {
    let plain = own13::Manner {
        group: 0x1d,
        cookie: None,
        size: 1 << 14,
        leaf: leaf.to_vec(),
        beside: Vec::new(),
        before: Vec::new(),
    };
    let names = [&[0, 5][..], &[0x30, 3, 2, 1, 7]].concat();
    let wants = [&[0, 0, 11, 0, 47, 0, 7][..], &names].concat();
    // A response of OCSP, which is noise: status type, length, bytes.
    let stapled = vec![0, 5, 0, 7, 1, 0, 0, 3, b'o', b'k', b'!'];
    let row = |name, manner| {
        let server = Running::Own(own13::start(manner));
        Row { name, server, names: &[], expected: vec![leaf.to_vec()] }
    };
    let cookie = Some(vec![b'c'; 300]);
    vec![
        row("TLS 1.3, cookie", own13::Manner { cookie: cookie.clone(), ..plain.clone() }),
        row("TLS 1.3, P-384 and cookie", own13::Manner { group: 0x18, cookie, ..plain.clone() }),
        row(
            "TLS 1.3, X25519MLKEM768 only",
            own13::Manner { group: own13::X25519_MLKEM768, ..plain.clone() },
        ),
        row("TLS 1.3, records of one byte", own13::Manner { size: 1, ..plain.clone() }),
        row(
            "TLS 1.3, asks and staples",
            own13::Manner { beside: stapled, before: message(13, &wants), ..plain },
        ),
    ]
}

/// A server of which no certificate is to be had, because it has none.
fn anonymous() -> Row {
    let key = dhe(1024);
    let bytes = [server_hello(0x0303, 0x0034, &[]), key, message(14, &[])].concat();
    let bytes = records(0x0303, 1 << 14, &bytes);
    let mut row = own("anonymous only", &[], move |hello| {
        if hello.suites.contains(&0x0034) { Answer::Say(bytes.clone()) } else { refusal(40) }
    });
    row.expected.clear();
    row
}

#[test]
fn every_certificate_of_every_odd_server_is_found() {
    let shared = Shared::new();
    let mut rows = openssl_by_version(&shared);
    rows.extend(openssl_by_key(&shared));
    rows.extend(openssl_by_name(&shared));
    rows.extend(rustls_rows());
    rows.extend(own_of_tls_13(&shared.rsa.der));
    rows.push(anonymous());
    rows.extend(own_by_version(&shared.rsa.der));
    rows.extend(own_by_suite(&shared.rsa.der));
    rows.extend(own_by_form(&shared.rsa.der, &shared.ecdsa.der));
    let names: BTreeSet<&str> = rows.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), rows.len(), "no name stands twice");

    let mut wrong = BTreeSet::new();
    let peers = peers();
    let asked: Vec<Asked> = rows.iter().map(|row| row.ask(&peers)).collect();
    let heads: String = peers.iter().map(|peer| format!(" | {}", peer.name)).collect();
    println!("| {:<38} | found    | connections |    ms | versions{heads}", "server");
    for asked in &asked {
        println!("{}", asked.told());
        if asked.found != asked.expected {
            println!("    why: {:?}", asked.served.refusal);
            wrong.insert(asked.name);
        }
    }
    let right = asked.iter().filter(|asked| asked.found == asked.expected).count();
    let connections: u32 = asked.iter().map(|asked| asked.served.connections).sum();
    println!("{right} of {} servers, {connections} connections", asked.len());
    for (at, peer) in peers.iter().enumerate() {
        let whole = |asked: &&Asked| {
            !asked.expected.is_empty() && asked.by_peers.get(at) == Some(&asked.expected.len())
        };
        let whole = asked.iter().filter(whole).count();
        println!("{}: everything from {whole} of {} servers", peer.name, asked.len());
    }
    assert!(asked.len() >= 40);
    let dearest = asked.iter().map(|asked| asked.served.connections).max();
    println!("at most {} connections to one server", dearest.unwrap_or_default());
    assert!(wrong.is_empty(), "not found: {wrong:?}");
}
