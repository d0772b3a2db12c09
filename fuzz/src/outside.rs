//! What else comes from the network: certificates, handshakes of TLS, frames and files of them.

use std::hint::black_box;

use certs::{
    Context, RULES, Thresholds, Trust,
    chain::{self, Pool, Purpose, Roots, judge},
    hello::{Collector, DatagramCollector, Kind, Progress, Question, ServerName, suite_name},
    revocation::{self, List, Lists, Response},
    store::{self, Password},
};
use model::TlsVersion;
use scanner::{
    capture::{Capture, LinkType},
    net::{file, linux::block},
};
use wire::ber;

use crate::{Target, quic, seeds};

pub(crate) const TARGETS: &[Target] = &[
    Target { name: "certs/certificate", run: run_certificate, seeds: seeds_certificate },
    Target { name: "certs/chain", run: run_chain, seeds: seeds_chain },
    Target { name: "certs/revocation", run: run_revocation, seeds: seeds_revocation },
    Target { name: "certs/pem", run: run_pem, seeds: seeds_pem },
    Target { name: "certs/store/pkcs7", run: run_store, seeds: seeds_pkcs7 },
    Target { name: "certs/store/pkcs12", run: run_store, seeds: seeds_pkcs12 },
    Target { name: "certs/store/jks", run: run_store, seeds: seeds_jks },
    Target { name: "certs/store/embedded", run: run_store, seeds: seeds_embedded },
    Target { name: "certs/store/mention", run: run_mentions, seeds: seeds_mentions },
    Target { name: "certs/hello/wide", run: run_wide, seeds: seeds_hello },
    Target { name: "certs/hello/bare", run: run_bare, seeds: seeds_hello },
    Target { name: "certs/hello/modern", run: run_modern, seeds: seeds_hello },
    Target { name: "certs/hello/hybrid", run: run_hybrid, seeds: seeds_hello },
    Target { name: "certs/hello/weak", run: run_weak, seeds: seeds_hello },
    Target { name: "certs/hello/datagram", run: run_datagram, seeds: seeds_datagram },
    Target { name: "certs/hello/quic", run: quic::run, seeds: quic::seeds },
    Target { name: "certs/hello/quic/frames", run: quic::run_frames, seeds: quic::seeds_frames },
    Target {
        name: "certs/hello/quic/overheard",
        run: quic::run_overheard,
        seeds: quic::seeds_overheard,
    },
    Target { name: "certs/hello/framed", run: run_framed, seeds: seeds_framed },
    Target { name: "certs/hello/name", run: run_name, seeds: seeds_name },
    Target { name: "scanner/capture", run: run_frames, seeds: seeds_frames },
    Target { name: "scanner/net/file", run: run_file, seeds: seeds_file },
    Target { name: "scanner/net/linux/block", run: run_block, seeds: seeds_block },
];

fn run_certificate(bytes: &[u8]) {
    let certificate = certs::parse(bytes);
    for anomaly in &certificate.anomalies {
        black_box(anomaly.to_string());
    }
    let as_of = model::Timestamp::from_seconds(1_795_339_800);
    for trust in [Trust::Public, Trust::Private] {
        let context = Context { as_of, thresholds: Thresholds::default(), trust };
        for rule in RULES {
            black_box(rule.judge(&certificate, &context));
        }
    }
}

/// A small certificate, not signed by anybody: the readers do not verify.
fn certificate() -> Vec<u8> {
    let sequence = |parts: &[Vec<u8>]| ber::write_all(0x30, parts);
    let oid = |bytes: &[u8]| ber::write(6, bytes);
    let name = |common: &str| {
        let pair = sequence(&[oid(&[0x55, 4, 3]), ber::write(0x0c, common.as_bytes())]);
        sequence(&[ber::write_all(0x31, &[pair])])
    };
    let algorithm = sequence(&[oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2])]);
    let time = |text: &[u8]| ber::write(0x17, text);
    let point = [&[0, 4][..], &[7; 64]].concat();
    let key = sequence(&[
        sequence(&[
            oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1]),
            oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]),
        ]),
        ber::write(3, &point),
    ]);
    let names = sequence(&[
        ber::write(0x82, b"fs7.example.com"),
        ber::write(0x87, &[192, 0, 2, 7]),
        ber::write(0x86, b"https://example.com"),
    ]);
    let extension = |id: &[u8], value: Vec<u8>| sequence(&[oid(id), ber::write(4, &value)]);
    let extensions = sequence(&[
        extension(&[0x55, 0x1d, 0x11], names),
        extension(&[0x55, 0x1d, 0x13], sequence(&[ber::write(1, &[0xff])])),
        extension(&[0x55, 0x1d, 0x0f], ber::write(3, &[5, 0xa0])),
    ]);
    let body = sequence(&[
        ber::write(0xa0, &ber::write(2, &[2])),
        ber::write(2, &[0, 0x99, 7]),
        algorithm.clone(),
        name("Example Root"),
        sequence(&[time(b"260101000000Z"), time(b"270101000000Z")]),
        name("fs7.example.com"),
        key,
        ber::write(0xa3, &extensions),
    ]);
    sequence(&[body, algorithm, ber::write(3, &[&[0][..], &[9; 70]].concat())])
}

fn seeds_certificate() -> Vec<Vec<u8>> {
    vec![certificate()]
}

/// A leaf, what was served with it, and a third that is root, inventory and revocation list.
fn run_chain(bytes: &[u8]) {
    let third = bytes.len().div_ceil(3).max(1);
    let mut parts = bytes.chunks(third);
    let [leaf, served, other] = [(); 3].map(|()| parts.next().unwrap_or_default());
    for purpose in [Purpose::Server, Purpose::Client] {
        let lists = Lists::new(List::read(other));
        let question = chain::Question {
            leaf,
            served: &[served, other],
            name: Some("fs7.example.com"),
            as_of: model::Timestamp::from_seconds(1_795_339_800),
            purpose,
            lists: &lists,
        };
        for roots in [Roots::new([], [other]), Roots::new([leaf], [served])] {
            for reason in judge(&question, &Pool::new([other]), &roots).reasons {
                black_box(reason.to_string());
            }
        }
    }
}

fn seeds_chain() -> Vec<Vec<u8>> {
    vec![certificate().repeat(3)]
}

/// A list, then a response about a small certificate of its own issuing.
fn run_revocation(bytes: &[u8]) {
    if let Ok(lists) = List::all_in(bytes) {
        let certificate = certificate();
        let (known, roots) = (Pool::new([&certificate[..]]), Roots::new([], []));
        for list in &lists {
            let as_of = model::Timestamp::from_seconds(1_795_339_800);
            black_box((list.is_outdated(as_of), list.standing(&known, &roots, as_of)));
        }
    }
    let certificate = certificate();
    let _ = black_box(Response::read(bytes, &certificate, [&certificate[..]]));
    black_box(revocation::request(bytes, &certificate));
    black_box(revocation::request(&certificate, bytes));
}

fn seeds_revocation() -> Vec<Vec<u8>> {
    let sequence = |parts: &[Vec<u8>]| ber::write_all(0x30, parts);
    let oid = |bytes: &[u8]| ber::write(6, bytes);
    let algorithm = sequence(&[oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2])]);
    let time = |text: &[u8]| ber::write(0x18, text);
    let (now, next) = (time(b"20261101000000Z"), time(b"20261201000000Z"));
    let bits = ber::write(3, &[0, 1, 2]);
    let number = ber::write(2, &[7]);
    let name = sequence(&[ber::write_all(
        0x31,
        &[sequence(&[oid(&[0x55, 4, 3]), ber::write(0x0c, b"a")])],
    )]);
    let revoked = sequence(&[sequence(&[number.clone(), now.clone()])]);
    let signed = sequence(&[
        ber::write(2, &[1]),
        algorithm.clone(),
        name,
        now.clone(),
        next.clone(),
        revoked,
    ]);
    let list = sequence(&[signed, algorithm.clone(), bits.clone()]);
    let hash = ber::write(4, &[0; 20]);
    let sha1 = sequence(&[oid(&[0x2b, 0x0e, 3, 2, 0x1a])]);
    let id = sequence(&[sha1, hash.clone(), hash, number]);
    let single = sequence(&[id, ber::write(0x80, &[]), now.clone(), ber::write(0xa0, &next)]);
    let data = sequence(&[ber::write(0xa2, &ber::write(4, &[0; 20])), now, sequence(&[single])]);
    let basic = sequence(&[data, algorithm, bits]);
    let kind = oid(&[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1]);
    let bytes = sequence(&[kind, ber::write(4, &basic)]);
    vec![list, sequence(&[ber::write(0x0a, &[0]), ber::write(0xa0, &bytes)])]
}

fn run_pem(bytes: &[u8]) {
    for der in certs::certificates_in(bytes) {
        run_certificate(&der);
    }
}

fn seeds_pem() -> Vec<Vec<u8>> {
    // Base64 of a tiny SEQUENCE: what is inside is the other target's business.
    let block = "-----BEGIN CERTIFICATE-----\nMAYCAQcEAXg=\n-----END CERTIFICATE-----\n";
    vec![
        block.as_bytes().to_vec(),
        format!("subject=CN = x\r\n{block}{block}").into_bytes(),
        block.replace("CERTIFICATE", "TRUSTED CERTIFICATE").into_bytes(),
        certificate(),
    ]
}

/// A store of any kind, with few rounds: the work itself is bounded elsewhere.
fn run_store(bytes: &[u8]) {
    const ROUNDS: u64 = 2_000;
    let passwords = [Password::new("secret"), Password::new("日本")];
    match store::read(bytes, &passwords, ROUNDS) {
        Ok(None) => {}
        Ok(Some(holdings)) => {
            let total: usize = holdings.certificates.iter().map(|held| held.der.len()).sum();
            // What was packed is larger when it is unpacked.
            let packed = matches!(bytes, [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..]);
            assert!(packed || total <= bytes.len());
            black_box(holdings.notes.len());
        }
        Err(why) => drop(black_box(why.to_string())),
    }
}

fn signed_data() -> Vec<u8> {
    let oid = |last: u8| ber::write(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, last]);
    let content = ber::write_all(0x30, &[oid(1)]);
    let certificates = ber::write_all(0xa0, &[certificate(), certificate()]);
    let version = ber::write(2, &[1]);
    let none = ber::write(0x31, &[]);
    let signed = ber::write_all(0x30, &[version, none.clone(), content, certificates, none]);
    ber::write_all(0x30, &[oid(2), ber::write(0xa0, &signed)])
}

fn seeds_pkcs7() -> Vec<Vec<u8>> {
    vec![signed_data()]
}

/// An object identifier below 1.2.840.113549.
fn rsa(rest: &[u8]) -> Vec<u8> {
    ber::write(6, &[&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d], rest].concat())
}

fn seeds_pkcs12() -> Vec<Vec<u8>> {
    let sequence = |parts: &[Vec<u8>]| ber::write_all(0x30, parts);
    let octets = |bytes: &[u8]| ber::write(4, bytes);
    let explicit = |bytes: &[u8]| ber::write(0xa0, bytes);
    let data = |bytes: &[u8]| sequence(&[rsa(&[1, 7, 1]), explicit(&octets(bytes))]);
    let bag = |kind: u8, value: &[u8]| {
        let name = ber::write(0x1e, b"\0w\0e\0b");
        let name = sequence(&[rsa(&[1, 9, 20]), ber::write_all(0x31, &[name])]);
        let id = rsa(&[1, 12, 10, 1, kind]);
        sequence(&[id, explicit(value), ber::write_all(0x31, &[name])])
    };
    let held = sequence(&[rsa(&[1, 9, 22, 1]), explicit(&octets(&certificate()))]);
    let bags = sequence(&[bag(3, &held), bag(1, &sequence(&[])), bag(2, &sequence(&[]))]);
    let nested = sequence(&[bag(6, &bags)]);
    let salted = sequence(&[octets(b"saltsalt"), ber::write(2, &[7])]);
    let sealed = |algorithm: Vec<u8>| {
        let content = sequence(&[rsa(&[1, 7, 1]), algorithm, ber::write(0x80, &[5; 64])]);
        let content = sequence(&[ber::write(2, &[0]), content]);
        sequence(&[rsa(&[1, 7, 6]), explicit(&content)])
    };
    let old = |last: u8| sequence(&[rsa(&[1, 12, 1, last]), salted.clone()]);
    let aes =
        sequence(&[ber::write(6, &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 42]), octets(&[9; 16])]);
    let pbkdf2 = sequence(&[rsa(&[1, 5, 12]), salted.clone()]);
    let modern = sequence(&[rsa(&[1, 5, 13]), sequence(&[pbkdf2.clone(), aes])]);
    let digest = |algorithm: Vec<u8>| {
        let info = sequence(&[algorithm, octets(&[3; 32])]);
        sequence(&[info, octets(b"saltsalt"), ber::write(2, &[7])])
    };
    let sha256 = sequence(&[ber::write(6, &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1])]);
    let hmac = sequence(&[rsa(&[2, 9])]);
    let pbmac1 = sequence(&[rsa(&[1, 5, 14]), sequence(&[pbkdf2, hmac])]);
    let store = |safes: &[Vec<u8>], rest: &[Vec<u8>]| {
        let head = [ber::write(2, &[3]), data(&sequence(safes))];
        sequence(&[&head[..], rest].concat())
    };
    vec![
        store(&[data(&bags)], &[]),
        store(&[data(&nested), sealed(modern)], &[digest(sha256)]),
        store(&[data(&bags), sealed(old(3)), sealed(old(6))], &[digest(pbmac1)]),
    ]
}

fn seeds_jks() -> Vec<Vec<u8>> {
    let long = |bytes: &[u8]| {
        let length = u32::try_from(bytes.len()).unwrap_or_default();
        [&length.to_be_bytes()[..], bytes].concat()
    };
    let head = |magic: [u8; 4], entries: u8| [&magic[..], &[0, 0, 0, 2, 0, 0, 0, entries]].concat();
    let entry = |tag: u8| [&[0, 0, 0, tag, 0, 3][..], b"web", &[0; 8]].concat();
    let held = [&b"\0\x05X.509"[..], &long(&certificate())].concat();
    let key = [&entry(1)[..], &long(&[7; 40]), &[0, 0, 0, 1], &held].concat();
    let trusted = [&entry(2)[..], &held].concat();
    let digest = [0; 20];
    vec![
        [&head([0xfe, 0xed, 0xfe, 0xed], 2)[..], &key, &trusted, &digest].concat(),
        [&head([0xce; 4], 2)[..], &entry(3), b"\xac\xed\0\x05sr", &trusted, &digest].concat(),
    ]
}

fn seeds_embedded() -> Vec<Vec<u8>> {
    // Base64 of a block of PEM with a tiny SEQUENCE, of a store's beginning, and of a key's.
    let block = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1BWUNBUWNFQVhnPQotLS0tLUVORCBDRVJUSUZJQ0FURS0tLS0tCg==";
    vec![
        format!("kind: Secret\ndata:\n  tls.crt: {block}\n").into_bytes(),
        format!("{{\"data\":{{\"ca.crt\":\"{block}\",\"a.jks\":\"/u3+7QAAAAIAAAAA\"}}}}").into_bytes(),
        format!("data:\n  web.p12: >-\n    MIIBAAIBAzAE\n    BgIqAw==\n  ca: |\n    {block}\n").into_bytes(),
        b"{\"ca.crt\": \"-----BEGIN CERTIFICATE-----\\nMAYCAQcEAXg=\\n-----END CERTIFICATE-----\\n\"}".to_vec(),
    ]
}

fn run_mentions(bytes: &[u8]) {
    for mention in store::mentions(bytes) {
        assert!(!mention.path.is_empty());
    }
}

fn seeds_mentions() -> Vec<Vec<u8>> {
    let text = "server { ssl_certificate /etc/a.pem; ssl_certificate_key \"a b.key\"; }\n\
                SSLCertificateFile '/etc/b.pem' # ours\nclient-certificate: c.crt\n";
    vec![text.as_bytes().to_vec()]
}

fn collect(kind: Kind, bytes: &[u8]) {
    let server_name = ServerName::new("fs7.example.com");
    let question = Question { server_name, ..Question::of(kind) };
    let Ok(mut collector) = Collector::new(&question, [0x5a; 64]) else { return };
    black_box(collector.hello().len());
    // The first byte says in pieces of what size the rest arrives.
    let Some((size, bytes)) = bytes.split_first() else { return };
    for piece in bytes.chunks(usize::from(*size).max(1)) {
        match collector.feed(piece) {
            Progress::More | Progress::Say(_) => {}
            Progress::Done(collected) => {
                let name = collected.suite.and_then(suite_name).unwrap_or_default();
                assert_eq!(collected.chain.is_empty(), name.contains("_anon_"));
                let total: usize = collected.chain.iter().map(Vec::len).sum();
                // What was packed is larger when it is unpacked.
                let packed = matches!(bytes, [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..]);
                assert!(packed || total <= bytes.len());
            }
            Progress::Failed(why) => drop(black_box(why.to_string())),
        }
    }
    black_box(collector.end());
    black_box(collector.farewell());
}

fn run_wide(bytes: &[u8]) {
    collect(Kind::Wide, bytes);
}

fn run_bare(bytes: &[u8]) {
    collect(Kind::Bare(TlsVersion(0x0301)), bytes);
}

fn run_modern(bytes: &[u8]) {
    collect(Kind::Modern, bytes);
}

fn run_hybrid(bytes: &[u8]) {
    collect(Kind::Hybrid, bytes);
}

fn run_weak(bytes: &[u8]) {
    collect(Kind::Weak, bytes);
}

/// Whole, and in datagrams of 100 bytes.
fn run_datagram(bytes: &[u8]) {
    for size in [bytes.len().max(1), 100] {
        let mut collector = DatagramCollector::new(&Question::of(Kind::Wide), [7; 64]);
        for datagram in bytes.chunks(size) {
            black_box(collector.feed(datagram));
        }
        black_box(collector.end());
        black_box(collector.farewell().len());
    }
}

fn seeds_datagram() -> Vec<Vec<u8>> {
    let record = |message: &[u8]| {
        let length = u8::try_from(message.len()).unwrap_or(u8::MAX);
        [&[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1, 0, length], message].concat()
    };
    let message = |kind: u8, number: u8, body: &[u8]| {
        let length = u8::try_from(body.len()).unwrap_or(u8::MAX);
        [&[kind, 0, 0, length, 0, number, 0, 0, 0, 0, 0, length], body].concat()
    };
    let hello = [&[0xfe, 0xfd][..], &[7; 32], &[0, 0xc0, 0x2f, 0]].concat();
    let chain = [&[0, 0, 8, 0, 0, 5][..], b"noise"].concat();
    let verify = record(&message(3, 0, b"\xfe\xff\x04salt"));
    let flight = [message(2, 1, &hello), message(11, 1, &chain), message(14, 2, &[])].concat();
    vec![[verify.clone(), record(&flight)].concat(), record(&flight), verify]
}

fn run_framed(bytes: &[u8]) {
    collect(Kind::Framed, bytes);
}

/// And what one of SSL 2.0 says.
fn seeds_framed() -> Vec<Vec<u8>> {
    let der = certificate();
    let [high, low] = u16::try_from(der.len()).unwrap_or_default().to_be_bytes();
    let body = [&[4, 0, 1, 0, 2, high, low, 0, 3, 0, 1][..], &der, &[7, 0, 0xc0, 9]].concat();
    let length = (0x8000 | u16::try_from(body.len()).unwrap_or_default()).to_be_bytes();
    let mut seeds = seeds_hello();
    seeds.push([&[0xff][..], &length, &body].concat());
    seeds.push(vec![0xff, 0x80, 3, 0, 0, 1]);
    seeds
}

/// What a server of an old and of a new version says first.
fn seeds_hello() -> Vec<Vec<u8>> {
    let length = |len: usize| u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();
    let message = |kind: u8, body: &[u8]| [&[kind], &length(body.len())[1..], body].concat();
    let record =
        |kind: u8, body: &[u8]| [&[0xff, kind, 3, 3][..], &length(body.len())[2..], body].concat();
    let hello = |suite: [u8; 2], extensions: &[u8]| {
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.push(0);
        body.extend(suite);
        body.push(0);
        body.extend(&length(extensions.len())[2..]);
        body.extend(extensions);
        message(2, &body)
    };
    let der = certificate();
    let chain = [&length(der.len())[1..], &der].concat();
    let certificates = message(11, &[&length(chain.len())[1..], &chain].concat());
    let named = [&[1, 1, 0, 2, 4, 1, 0, 4, 0, 2][..], &[0x30, 0]].concat();
    let old = [
        hello([0, 0x2f], &[0xff, 1, 0, 1, 0, 0, 16, 0, 5, 0, 3, 2, b'h', b'2']),
        certificates,
        message(22, &[1, 0, 0, 2, 7, 7]),
        message(13, &named),
        message(14, &[]),
    ];
    let old = old.concat();
    let mut share = vec![0, 0x2b, 0, 2, 3, 4, 0, 0x33, 0, 36, 0, 29, 0, 32];
    share.extend([9; 32]);
    let new = hello([0x13, 1], &share);
    let mut encrypted = record(22, &new);
    encrypted.extend([20, 3, 3, 0, 1, 1, 23, 3, 3, 0, 40]);
    encrypted.extend([0xee; 40]);
    // Servers that ask for another hello, with a cookie, for P-384, X448 or X25519MLKEM768.
    let retry = |group: [u8; 2]| {
        let wanted = [&[0, 0x2b, 0, 2, 3, 4, 0, 0x33, 0, 2][..], &group].concat();
        let mut retry = hello([0x13, 1], &[&wanted[..], &[0, 44, 0, 3, 0, 1, 9]].concat());
        retry.splice(6..38, RETRY);
        record(22, &retry)
    };
    let retries = [[0, 0x18], [0, 0x1e], [0x11, 0xec]].map(retry);
    let mut seeds = vec![record(22, &old), encrypted, record(21, &[2, 40]), record(22, &new)];
    seeds.extend(retries);
    seeds
}

/// The random of a server that asks for another hello (RFC 8446, section 4.1.3).
pub(crate) const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

fn run_name(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(name) = ServerName::new(&text) {
        assert!(!name.as_str().is_empty());
    }
}

fn seeds_name() -> Vec<Vec<u8>> {
    vec![b"fs7.example.com".to_vec(), "名前.example".as_bytes().to_vec(), b"192.0.2.7".to_vec()]
}

fn listen() -> Capture {
    let site = model::Site("fuzz".to_owned());
    Capture::new(model::Vantage { site, name: "fuzz".to_owned() })
}

fn bear(observation: &model::Observation) {
    assert!(observation.evidence.len() <= model::Observation::MAX_EVIDENCE);
    if let model::Fact::LinkAddress(mac) = observation.fact {
        assert!(!mac.is_group() && !mac.is_virtual_router(), "{mac} belongs to nobody");
    }
}

fn run_frames(bytes: &[u8]) {
    let mut capture = listen();
    for link in [0, 1, 9, 101, 104, 105, 108, 113, 127, 239, 276] {
        // The second time the capture knows what the first one told.
        for at in [0, 1, 90] {
            let at = model::Timestamp::from_seconds(at);
            capture.frame_of(LinkType::from(link), at, bytes, &mut |o| bear(&o));
        }
        black_box(capture.counts());
    }
}

fn seeds_frames() -> Vec<Vec<u8>> {
    let mut seeds = seeds::of_ethernet();
    let cooked = |head: &[u8], payload: &[u8]| [head, payload].concat();
    for frame in seeds.clone() {
        let Some((_, rest)) = frame.split_at_checked(14) else { continue };
        seeds.push(cooked(&[0, 1, 0, 1, 0, 6, 2, 0, 0, 0, 0, 9, 0, 0, 8, 6], rest));
        seeds.push(cooked(&[8, 6, 0, 0, 0, 0, 0, 3, 0, 1, 1, 6, 2, 0, 0, 0, 0, 9, 0, 0], rest));
    }
    seeds
}

fn run_file(bytes: &[u8]) {
    let mut capture = listen();
    let mut total = 0_usize;
    let read = file::frames_of(std::path::Path::new("x"), bytes, &mut |link, at, data| {
        total = total.saturating_add(data.len());
        capture.frame_of(link, at, data, &mut |o| bear(&o));
    });
    match read {
        Ok(report) => {
            // What was packed is larger when it is unpacked.
            let packed = matches!(bytes, [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..]);
            assert!(packed || total <= bytes.len());
            black_box(report.gaps.len());
        }
        Err(error) => drop(black_box(error.to_string())),
    }
}

/// One pcap and one pcapng file.
fn seeds_file() -> Vec<Vec<u8>> {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
    let block = |kind: u32, body: &[u8]| {
        let padded = body.len().next_multiple_of(4);
        let len = number(padded + 12);
        let mut bytes = [kind.to_le_bytes(), len].concat();
        bytes.extend(body);
        bytes.resize(8 + padded, 0);
        bytes.extend(len);
        bytes
    };
    let mut old = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0];
    old.extend([0; 8]);
    old.extend([0xff, 0xff, 0, 0, 1, 0, 0, 0]);
    let mut new =
        block(0x0a0d_0d0a, &[&[0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0][..], &[0xff; 8]].concat());
    new.extend(block(1, &[1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0]));
    for frame in seeds::of_ethernet() {
        let len = number(frame.len());
        old.extend([7, 0, 0, 0, 5, 0, 0, 0]);
        old.extend([len, len].concat());
        old.extend(&frame);
        let head = [[0; 4], [0; 4], [9, 0, 0, 0], len, len].concat();
        new.extend(block(6, &[head, frame].concat()));
    }
    new.extend(block(3, &[5, 0, 0, 0, b'f', b'r', b'a', b'm', b'e', 0, 0, 0]));
    new.extend(block(
        5,
        &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 8, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ));
    vec![old, new]
}

fn run_block(bytes: &[u8]) {
    let most = bytes.len() / 48;
    let mut count = 0;
    for frame in block::frames(bytes) {
        count += 1;
        if let Ok(frame) = frame {
            assert!(frame.bytes.len() <= bytes.len());
            black_box(frame.tag.map(block::Tag::vlan));
        }
    }
    assert!(count <= most + 1, "{count} frames in {} bytes", bytes.len());
}

/// A block of the receive ring, as linux/if_packet.h lays it out.
fn seeds_block() -> Vec<Vec<u8>> {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_ne_bytes();
    let frames = seeds::of_ethernet();
    let mut bytes = [[1, 0, 0, 0], [0; 4], [1, 0, 0, 0], number(frames.len()), number(48)].concat();
    bytes.resize(48, 0);
    for (place, frame) in frames.iter().enumerate() {
        let whole = (82 + frame.len()).next_multiple_of(8);
        let next = if place + 1 < frames.len() { whole } else { 0 };
        let len = number(frame.len());
        // Tagged, with the type of the tag.
        let status = [0x51, 0, 0, 0];
        let mut slot = [number(next), [0; 4], [0; 4], len, len, status].concat();
        slot.extend([82_u16.to_ne_bytes(), 96_u16.to_ne_bytes()].concat());
        slot.extend([[0; 4], number(7)].concat());
        slot.extend(0x8100_u16.to_ne_bytes());
        slot.resize(82, 0);
        slot.extend(frame);
        slot.resize(whole, 0);
        bytes.extend(slot);
    }
    vec![bytes]
}
