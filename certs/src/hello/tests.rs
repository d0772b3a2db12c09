//! The engine against rustls in memory, and against bytes of our own.

use std::sync::Arc;

use proptest::prelude::*;
use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm};
use rustls::{
    ServerConfig, ServerConnection, SupportedProtocolVersion,
    crypto::{SupportedKxGroup, ring as provider},
    pki_types::{CertificateDer, PrivateKeyDer},
    server::{ResolvesServerCertUsingSni, WebPkiClientVerifier},
    sign::CertifiedKey,
    version,
};

use super::{record::Messages, *};

const ENTROPY: [u8; 64] = [0x5a; 64];

/// A certificate for `name` and its key.
fn identity(
    name: &str,
    algorithm: &'static SignatureAlgorithm,
) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let params = CertificateParams::new([name.to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
}

struct Server {
    version: &'static SupportedProtocolVersion,
    groups: Vec<&'static dyn SupportedKxGroup>,
    algorithm: &'static SignatureAlgorithm,
    wants_client_certificate: bool,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            version: &version::TLS13,
            groups: provider::ALL_KX_GROUPS.to_vec(),
            algorithm: &rcgen::PKCS_ECDSA_P256_SHA256,
            wants_client_certificate: false,
        }
    }
}

impl Server {
    /// Its configuration, and the certificate that it will present.
    fn build(&self) -> (ServerConfig, CertificateDer<'static>) {
        let (certificate, key) = identity("server.example", self.algorithm);
        let crypto = rustls::crypto::CryptoProvider {
            kx_groups: self.groups.clone(),
            ..provider::default_provider()
        };
        let crypto = Arc::new(crypto);
        let builder = ServerConfig::builder_with_provider(crypto.clone())
            .with_protocol_versions(&[self.version])
            .unwrap();
        let builder = if self.wants_client_certificate {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(certificate.clone()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(roots.into(), crypto).build();
            builder.with_client_cert_verifier(verifier.unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let config = builder.with_single_cert(vec![certificate.clone()], key).unwrap();
        (config, certificate)
    }
}

/// One conversation: how it ended, and what the server said in each turn.
fn converse(config: ServerConfig, collector: &mut Collector) -> (Progress, Vec<Vec<u8>>) {
    let mut server = ServerConnection::new(Arc::new(config)).unwrap();
    let mut ours = collector.hello().to_vec();
    let mut flights = Vec::new();
    // A hello, a second one after a retry; no honest server needs a third.
    for _ in 0..3 {
        server.read_tls(&mut ours.as_slice()).unwrap();
        // An error here is the server's refusal, which it tells in an alert.
        let _ = server.process_new_packets();
        let mut theirs = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut theirs).unwrap();
        }
        flights.push(theirs.clone());
        match collector.feed(&theirs) {
            Progress::Say(again) => ours = again,
            Progress::More => break,
            over => return (over, flights),
        }
    }
    (collector.end(), flights)
}

fn attempt(kind: Kind, name: Option<&str>) -> Collector {
    let question = Question { server_name: name.and_then(ServerName::new), ..Question::of(kind) };
    Collector::new(&question, ENTROPY).unwrap()
}

#[track_caller]
fn collected(progress: Progress) -> Collected {
    match progress {
        Progress::Done(collected) => *collected,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn check_collects(kind: Kind, server: Server) -> Collected {
    let (config, certificate) = server.build();
    let mut collector = attempt(kind, None);
    let (progress, _) = converse(config, &mut collector);
    let collected = collected(progress);
    assert_eq!(collected.chain, [certificate.to_vec()]);
    assert_eq!(collected.left_out, 0);
    assert_eq!(collected.client_certificate.is_some(), server.wants_client_certificate);
    assert!(collected.suite.and_then(suite_name).is_some());
    collected
}

#[test]
fn every_key_type_is_collected_in_both_versions() {
    let algorithms =
        [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519];
    for algorithm in algorithms {
        let server = || Server { algorithm, ..Server::default() };
        let modern = check_collects(Kind::Modern, server());
        assert_eq!(modern.version, TLS13);
        assert_eq!(modern.key_exchange, Some(KeyExchange::Ecdhe(Some(0x1d))));
        let wide = check_collects(Kind::Wide, Server { version: &version::TLS12, ..server() });
        assert_eq!(wide.version, TLS12);
        assert!(matches!(wide.key_exchange, Some(KeyExchange::Ecdhe(Some(_)))));
    }
}

#[test]
fn a_server_that_wants_a_client_certificate_shows_its_own() {
    let server = || Server { wants_client_certificate: true, ..Server::default() };
    check_collects(Kind::Modern, server());
    check_collects(Kind::Wide, Server { version: &version::TLS12, ..server() });
}

#[test]
fn each_suite_of_tls_13_is_opened() {
    for suite in provider::ALL_CIPHER_SUITES {
        let number = u16::from(suite.suite());
        if schedule::Suite::of(number).is_none() {
            continue;
        }
        let (certificate, key) = identity("server.example", &rcgen::PKCS_ED25519);
        let crypto = rustls::crypto::CryptoProvider {
            cipher_suites: vec![*suite],
            ..provider::default_provider()
        };
        let config = ServerConfig::builder_with_provider(Arc::new(crypto))
            .with_protocol_versions(&[&version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        let (progress, _) = converse(config, &mut attempt(Kind::Modern, None));
        let collected = collected(progress);
        assert_eq!(
            (collected.suite, &collected.chain[0][..]),
            (Some(number), certificate.as_ref())
        );
    }
}

#[test]
fn a_server_that_wants_another_group_gets_it() {
    for (group, number) in [
        (provider::kx_group::X25519, 0x1d),
        (provider::kx_group::SECP256R1, 0x17),
        // No share of it is in the first hello: this one asks for a second.
        (provider::kx_group::SECP384R1, 0x18),
    ] {
        let collected =
            check_collects(Kind::Modern, Server { groups: vec![group], ..Server::default() });
        assert_eq!(collected.key_exchange, Some(KeyExchange::Ecdhe(Some(number))));
    }
}

/// A HelloRetryRequest with these extensions.
fn retry(extensions: &[u8]) -> Vec<u8> {
    let word = ring::digest::digest(&ring::digest::SHA256, b"HelloRetryRequest");
    let versions = [0, 43, 0, 2, 3, 4];
    let length = u16::try_from(extensions.len() + versions.len()).unwrap().to_be_bytes();
    let body =
        [&[3, 3][..], word.as_ref(), &[0, 0x13, 1, 0], &length, &versions, extensions].concat();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    record::write(22, 0x0303, &[&[2], &length[1..], &body].concat())
}

const P384_WANTED: [u8; 6] = [0, 51, 0, 2, 0, 0x18];
const COOKIE: [u8; 9] = [0, 44, 0, 5, 0, 3, b'a', b'b', b'c'];

#[test]
fn a_retry_repeats_the_cookie_and_the_rest_of_the_hello() {
    let mut collector = attempt(Kind::Modern, Some("a.example"));
    let first = collector.hello().to_vec();
    let Progress::Say(second) = collector.feed(&retry(&[&P384_WANTED[..], &COOKIE].concat()))
    else {
        panic!("no second hello");
    };
    let contains = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).any(|w| w == what);
    assert!(second.starts_with(&[20, 3, 3, 0, 1, 1, 22, 3, 3]));
    assert!(contains(&second, &COOKIE) && !contains(&first, &COOKIE));
    // Group, length and the start of an uncompressed point: the only share.
    assert!(contains(&second, &[0, 51, 0, 103, 0, 101, 0, 0x18, 0, 97, 4]));
    // Random, session id and suites are those of the first.
    assert_eq!(second[6 + 9..6 + 9 + 2 + 32 + 33 + 8], first[9..9 + 2 + 32 + 33 + 8]);
    assert!(contains(&second, b"a.example"));
    // A second retry is none.
    assert_eq!(collector.feed(&retry(&COOKIE)), Progress::Failed(HelloError::Unexpected(2)));
}

#[test]
fn a_retry_for_a_cookie_alone_keeps_the_shares() {
    let mut collector = attempt(Kind::Modern, None);
    let first = collector.hello().to_vec();
    let Progress::Say(second) = collector.feed(&retry(&COOKIE)) else {
        panic!("no second hello");
    };
    // The last extension is that of the shares: 36 bytes of X25519, 69 of P-256, their length.
    assert_eq!(first[first.len() - 107..], second[second.len() - 107..]);
}

#[test]
fn a_retry_for_a_group_that_we_lack_is_said() {
    let progress = attempt(Kind::Modern, None).feed(&retry(&[0, 51, 0, 2, 1, 0]));
    assert_eq!(progress, Progress::Failed(HelloError::Group(0x100)));
}

#[test]
fn versions_that_do_not_meet_are_refused_and_that_is_said() {
    let (old, _) = Server { version: &version::TLS12, ..Server::default() }.build();
    let (progress, _) = converse(old, &mut attempt(Kind::Modern, None));
    assert_eq!(progress, Progress::Failed(HelloError::Alert(70)));
    let (new, _) = Server::default().build();
    let (progress, _) = converse(new, &mut attempt(Kind::Wide, None));
    assert_eq!(progress, Progress::Failed(HelloError::Alert(70)));
}

#[test]
fn the_name_that_is_asked_for_decides_which_certificate_comes() {
    let crypto = provider::default_provider();
    for (kind, version) in [(Kind::Modern, &version::TLS13), (Kind::Wide, &version::TLS12)] {
        let mut resolver = ResolvesServerCertUsingSni::new();
        let mut expected = Vec::new();
        for name in ["one.example", "two.example"] {
            let (certificate, key) = identity(name, &rcgen::PKCS_ECDSA_P256_SHA256);
            let key = crypto.key_provider.load_private_key(key).unwrap();
            resolver.add(name, CertifiedKey::new(vec![certificate.clone()], key)).unwrap();
            expected.push((name, certificate));
        }
        let config = ServerConfig::builder_with_provider(Arc::new(crypto.clone()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(resolver));
        for (name, certificate) in expected {
            let (progress, _) = converse(config.clone(), &mut attempt(kind, Some(name)));
            assert_eq!(collected(progress).chain, [certificate.to_vec()]);
        }
        for stranger in [None, Some("three.example")] {
            let (progress, _) = converse(config.clone(), &mut attempt(kind, stranger));
            assert!(matches!(progress, Progress::Failed(HelloError::Alert(_))), "{progress:?}");
        }
    }
}

#[test]
fn the_farewell_is_one_that_the_server_understands() {
    for (kind, version) in [(Kind::Modern, &version::TLS13), (Kind::Wide, &version::TLS12)] {
        let (config, _) = Server { version, ..Server::default() }.build();
        let mut collector = attempt(kind, None);
        let mut server = ServerConnection::new(Arc::new(config)).unwrap();
        server.read_tls(&mut collector.hello()).unwrap();
        server.process_new_packets().unwrap();
        let mut theirs = Vec::new();
        server.write_tls(&mut theirs).unwrap();
        collected(collector.feed(&theirs));
        server.read_tls(&mut collector.farewell().as_slice()).unwrap();
        // In TLS 1.3 it opens the alert and reports it as such; in TLS 1.2 it takes it as a
        // warning. What it cannot read is another error.
        match server.process_new_packets() {
            Err(rustls::Error::AlertReceived(rustls::AlertDescription::CloseNotify)) | Ok(_) => {}
            Err(other) => panic!("{kind:?}: {other}"),
        }
    }
}

/// What a server said once, and what is needed to hear it again.
struct Recording {
    kind: Kind,
    hello: Vec<u8>,
    secret: Option<Vec<u8>>,
    flight: Vec<u8>,
    expected: Collected,
}

impl Recording {
    fn of(kind: Kind, server: &Server) -> Self {
        let (config, _) = server.build();
        let mut collector = attempt(kind, None);
        let hello = collector.hello().to_vec();
        let (progress, mut flights) = converse(config, &mut collector);
        let secret = match &mut collector.side {
            Side::Modern(modern) => modern.handshake.secret.take(),
            _ => None,
        };
        let flight = flights.remove(0);
        Self { kind, hello, secret, flight, expected: collected(progress) }
    }

    fn replayed(&self) -> Collector {
        let mut collector = attempt(self.kind, None);
        if let Side::Modern(modern) = &mut collector.side {
            modern.handshake.replay(&self.hello[5..], self.secret.clone());
        }
        collector
    }
}

fn recordings() -> [Recording; 2] {
    let server = |version| Server { version, wants_client_certificate: true, ..Server::default() };
    [
        Recording::of(Kind::Modern, &server(&version::TLS13)),
        Recording::of(Kind::Wide, &server(&version::TLS12)),
    ]
}

#[test]
fn a_flight_may_come_byte_by_byte_and_stop_anywhere() {
    for recording in recordings() {
        let mut collector = recording.replayed();
        let mut done_at = None;
        for (at, byte) in recording.flight.iter().enumerate() {
            match collector.feed(&[*byte]) {
                Progress::More => assert!(done_at.is_none()),
                Progress::Done(collected) => {
                    assert_eq!(*collected, recording.expected);
                    done_at.get_or_insert(at + 1);
                }
                other => panic!("{other:?} at byte {at}"),
            }
        }
        let done_at = done_at.expect("the whole flight is enough");
        for len in 0..recording.flight.len() {
            let mut collector = recording.replayed();
            collector.feed(&recording.flight[..len]);
            match collector.end() {
                Progress::Done(collected) => assert_eq!(collected.chain, recording.expected.chain),
                Progress::Failed(HelloError::Silent) => assert_eq!(len, 0),
                Progress::Failed(HelloError::Cut) => assert!(len < done_at),
                other => panic!("{other:?} after {len} bytes"),
            }
        }
    }
}

#[test]
fn after_the_end_nothing_changes() {
    for recording in recordings() {
        let mut collector = recording.replayed();
        let done = collector.feed(&recording.flight);
        assert_eq!(collector.feed(b"more"), done);
        assert_eq!(collector.end(), done);
    }
}

/// A TLS 1.2 flight of records of one byte each, and one of a single record: the same messages.
#[test]
fn messages_may_span_records_and_share_them() {
    let [_, recording] = recordings();
    let mut records = Records::default();
    records.push(&recording.flight).unwrap();
    let mut messages = Vec::new();
    while let Some(record) = records.next().unwrap() {
        assert_eq!(record.kind, record::HANDSHAKE);
        messages.extend(record.body);
    }
    let one = record::write(record::HANDSHAKE, 0x0303, &messages);
    let many: Vec<u8> =
        messages.iter().flat_map(|b| record::write(record::HANDSHAKE, 0x0303, &[*b])).collect();
    for flight in [one, many] {
        assert_eq!(collected(recording.replayed().feed(&flight)), recording.expected);
    }
}

#[test]
fn a_warning_does_not_end_it_and_a_refusal_does() {
    let [_, recording] = recordings();
    let mut collector = recording.replayed();
    let warning = record::write(record::ALERT, 0x0301, &[1, 112]);
    assert_eq!(collector.feed(&warning), Progress::More);
    assert_eq!(collected(collector.feed(&recording.flight)).warnings, [112]);

    let refusal = record::write(record::ALERT, 0x0301, &[2, 40]);
    let progress = recording.replayed().feed(&refusal);
    assert_eq!(progress, Progress::Failed(HelloError::Alert(40)));
    let mut collector = recording.replayed();
    collector.feed(&warning);
    assert_eq!(collector.end(), Progress::Failed(HelloError::Alert(112)));
    let goodbye = record::write(record::ALERT, 0x0301, &[1, 0]);
    let progress = recording.replayed().feed(&goodbye);
    assert_eq!(progress, Progress::Failed(HelloError::Cut));
}

/// A chain that has come stays, whatever follows it.
#[test]
fn what_fails_after_the_certificate_does_not_lose_it() {
    let [_, recording] = recordings();
    let mut collector = recording.replayed();
    let mut records = Records::default();
    records.push(&recording.flight).unwrap();
    let mut messages = Messages::default();
    while let Some(record) = records.next().unwrap() {
        messages.push(&record.body);
    }
    while let Some(message) = messages.next().unwrap() {
        let record = record::write(record::HANDSHAKE, 0x0303, &message.whole);
        assert_eq!(collector.feed(&record), Progress::More);
        if message.kind == message::CERTIFICATE {
            break;
        }
    }
    let refusal = record::write(record::ALERT, 0x0303, &[2, 80]);
    let collected = collected(collector.feed(&refusal));
    assert_eq!(collected.chain, recording.expected.chain);
    assert_eq!(collected.key_exchange, None);
}

#[test]
fn what_is_not_tls_is_told_by_its_first_bytes() {
    for bytes in [&b"HTTP/1.1 400"[..], b"220 mail", b"S", b"\x16\x02", b"\x80\x2e\x01", b"\0"] {
        for kind in [Kind::Wide, Kind::Modern] {
            let progress = attempt(kind, None).feed(bytes);
            assert_eq!(progress, Progress::Failed(HelloError::NotTls), "{bytes:?}");
        }
    }
}

#[test]
fn what_never_ends_is_ended() {
    let empty = record::write(record::HANDSHAKE, 0x0303, &[]);
    let warning = record::write(record::ALERT, 0x0303, &[1, 90]);
    for record in [empty, warning] {
        let mut collector = attempt(Kind::Wide, None);
        let block = record.repeat(100);
        let mut heard = 0;
        while collector.feed(&block) == Progress::More {
            heard += block.len();
            assert!(heard <= MAX_BYTES);
        }
        assert_eq!(collector.end(), Progress::Failed(HelloError::TooLarge));
    }
    let huge = record::write(record::HANDSHAKE, 0x0303, &[2, 0xff, 0xff, 0xff]);
    assert_eq!(attempt(Kind::Wide, None).feed(&huge), Progress::Failed(HelloError::TooLarge));
}

/// The server's side of TLS 1.2 by hand, for what rustls would never say.
fn flight(version: u16, suite: u16, certificates: &[&[u8]], more: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let u24 = |len: usize| u32::try_from(len).unwrap().to_be_bytes()[1..].to_vec();
    let mut hello = version.to_be_bytes().to_vec();
    hello.extend([7; 32]);
    hello.push(0);
    hello.extend(suite.to_be_bytes());
    hello.push(0);
    let list: Vec<u8> =
        certificates.iter().flat_map(|der| [u24(der.len()), der.to_vec()].concat()).collect();
    let certificate = [u24(list.len()), list].concat();
    let mut messages = vec![(2, hello), (11, certificate)];
    messages.extend(more.iter().cloned());
    messages.push((14, Vec::new()));
    let bytes: Vec<u8> = messages
        .iter()
        .flat_map(|(kind, body)| [vec![*kind], u24(body.len()), body.clone()].concat())
        .collect();
    bytes.chunks(1 << 14).flat_map(|part| record::write(22, version, part)).collect()
}

#[test]
fn old_versions_say_what_their_key_exchange_is_worth() {
    let dhe = |bits: usize| {
        let prime = vec![0xff; bits / 8];
        [u16::try_from(prime.len()).unwrap().to_be_bytes().to_vec(), prime, vec![0, 1, 2]].concat()
    };
    for (version, suite, more, expected) in [
        (0x0300, 0x0004, vec![], KeyExchange::Rsa),
        (0x0301, 0x0039, vec![(12, dhe(512))], KeyExchange::Dhe(512)),
        (0x0302, 0xc014, vec![(12, vec![3, 0, 0x1a])], KeyExchange::Ecdhe(Some(0x1a))),
        (0x0303, 0xc014, vec![(12, vec![1, 0])], KeyExchange::Ecdhe(None)),
        (0x0303, 0xc005, vec![], KeyExchange::Static),
    ] {
        let collected =
            collected(attempt(Kind::Wide, None).feed(&flight(version, suite, &[b"der"], &more)));
        assert_eq!(collected.version, TlsVersion(version));
        assert_eq!(collected.key_exchange, Some(expected));
        assert_eq!(collected.chain, [b"der".to_vec()]);
    }
}

#[test]
fn a_chain_without_end_is_kept_in_part() {
    let der = vec![0x30; 1000];
    let certificates = vec![der.as_slice(); 100];
    let collected =
        collected(attempt(Kind::Wide, None).feed(&flight(0x0303, 0x002f, &certificates, &[])));
    assert_eq!((collected.chain.len(), collected.left_out), (MAX_CHAIN, 68));
}

#[track_caller]
fn check_fails(bytes: &[u8], expected: &HelloError) {
    let mut collector = attempt(Kind::Wide, None);
    collector.feed(bytes);
    assert_eq!(collector.end(), Progress::Failed(expected.clone()));
}

#[test]
fn nonsense_is_named() {
    check_fails(&flight(0x0303, 0x002f, &[], &[]), &HelloError::NoCertificate);
    check_fails(&flight(0x0303, 0x002f, &[b""], &[]), &HelloError::NoCertificate);
    check_fails(&flight(0x0303, 0x1301, &[b"x"], &[]), &HelloError::Suite(0x1301));
    check_fails(&flight(0x0304, 0x002f, &[b"x"], &[]), &HelloError::Version(TlsVersion(0x0304)));
    check_fails(&record::write(22, 0x0303, &[11, 0, 0, 0]), &HelloError::Unexpected(11));
    let oversized =
        wire::Malformed { field: "length", offset: 0, problem: wire::Problem::Invalid(0xffff) };
    check_fails(&[22, 3, 3, 0xff, 0xff], &HelloError::Malformed(oversized));
    let garbled = record::write(22, 0x0303, &[2, 0, 0, 1, 3]);
    let mut collector = attempt(Kind::Wide, None);
    assert!(matches!(collector.feed(&garbled), Progress::Failed(HelloError::Malformed(_))));
}

#[test]
fn refusals_that_old_servers_give_are_told_from_others() {
    assert!(HelloError::Alert(70).suggests_intolerance());
    assert!(HelloError::Cut.suggests_intolerance());
    assert!(!HelloError::Alert(112).suggests_intolerance());
    assert!(!HelloError::NotTls.suggests_intolerance());
    assert_eq!(HelloError::Alert(40).to_string(), "it refused with alert 40 (handshake_failure)");
}

#[test]
fn what_protects_nothing_is_a_question_of_its_own() {
    for suite in [0x0001, 0x003b, 0x0003, 0x0064] {
        let flight = flight(0x0301, suite, &[b"der"], &[]);
        let collected = collected(attempt(Kind::Weak, None).feed(&flight));
        assert_eq!((collected.suite, collected.chain.len()), (Some(suite), 1));
    }
    let offers = |kind, suite: u16| {
        let hello = attempt(kind, None).hello().to_vec();
        let suites = usize::from(u16::from_be_bytes([hello[44], hello[45]]));
        hello[46..46 + suites].chunks(2).any(|pair| pair == suite.to_be_bytes())
    };
    assert!(offers(Kind::Weak, 0x0003) && !offers(Kind::Weak, 0x0035));
    assert!(offers(Kind::Wide, 0x0035) && !offers(Kind::Wide, 0x0003));
}

#[test]
fn a_flight_without_a_certificate_counts_where_the_suite_has_none() {
    let anonymous = |suite: u16| {
        let whole = flight(0x0303, suite, &[], &[(12, vec![0, 1, 0xff, 0, 1, 2, 0, 1, 2])]);
        // Without its Certificate message, which is empty and 7 bytes long.
        let empty = [11, 0, 0, 3, 0, 0, 0];
        let at = whole.windows(7).position(|bytes| bytes == empty).unwrap();
        let messages = [&whole[5..at], &whole[at + 7..]].concat();
        attempt(Kind::Weak, None).feed(&record::write(22, 0x0303, &messages))
    };
    let collected = collected(anonymous(0x0034));
    assert_eq!((collected.chain.len(), collected.key_exchange), (0, Some(KeyExchange::Dhe(8))));
    assert_eq!(anonymous(0x0039), Progress::Failed(HelloError::NoCertificate));
}

#[test]
fn a_framed_hello_is_answered_in_either_record() {
    let hello = attempt(Kind::Framed, None).hello().to_vec();
    let length = usize::from(u16::from_be_bytes([hello[0] & 0x7f, hello[1]]));
    assert_eq!((hello[0] & 0x80, length), (0x80, hello.len() - 2));
    let newer = flight(0x0300, 0x0004, &[b"der"], &[]);
    let older = [&[0x80, 0x0f, 4, 0, 1, 0, 2, 0, 3, 0, 0, 0, 1][..], b"der", &[9]].concat();
    for (flight, version) in [(newer, SSL30), (older, SSL20)] {
        let mut whole = attempt(Kind::Framed, None);
        let expected = collected(whole.feed(&flight));
        assert_eq!((expected.version, &expected.chain[..]), (version, &[b"der".to_vec()][..]));
        assert_eq!(whole.farewell().is_empty(), version == SSL20);
        let mut bytewise = attempt(Kind::Framed, None);
        flight.iter().for_each(|byte| drop(bytewise.feed(&[*byte])));
        assert_eq!(bytewise.end(), Progress::Done(Box::new(expected)));
        for len in 1..flight.len() - 5 {
            let mut cut = attempt(Kind::Framed, None);
            cut.feed(&flight[..len]);
            assert!(!matches!(cut.end(), Progress::Failed(HelloError::Silent)), "{len}");
        }
    }
    let progress = attempt(Kind::Framed, None).feed(b"HTTP/1.1 400 Bad Request");
    assert_eq!(progress, Progress::Failed(HelloError::NotTls));
    let progress = attempt(Kind::Framed, None).feed(&[0x80, 3, 0, 0, 1]);
    assert_eq!(progress, Progress::Failed(HelloError::Ssl2(1)));
}

#[test]
fn the_hybrid_hello_fits_into_a_packet_and_the_next_brings_the_share() {
    let mut collector = attempt(Kind::Hybrid, Some("a.example"));
    assert!(collector.hello().len() < 512);
    // Groups: only that one; shares: none.
    let contains = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).any(|w| w == what);
    assert!(contains(collector.hello(), &[0, 10, 0, 4, 0, 2, 0x11, 0xec]));
    assert!(contains(collector.hello(), &[0, 51, 0, 2, 0, 0]));
    let Progress::Say(second) = collector.feed(&retry(&[0, 51, 0, 2, 0x11, 0xec])) else {
        panic!("no second hello");
    };
    assert!(contains(&second, &[0x11, 0xec, 4, 0xc0]), "1,216 bytes of share");
    let progress = attempt(Kind::Hybrid, None).feed(&retry(&P384_WANTED));
    assert_eq!(progress, Progress::Failed(HelloError::Group(0x18)));
}

#[test]
fn an_older_version_is_asked_for_by_its_number() {
    for version in [TLS10, TLS11, TLS12] {
        let hello = attempt(Kind::UpTo(version), None).hello().to_vec();
        assert_eq!(hello[9..11], version.0.to_be_bytes());
    }
}

#[test]
fn the_application_protocol_that_it_chose_is_told() {
    for (kind, version) in [(Kind::Modern, &version::TLS13), (Kind::Wide, &version::TLS12)] {
        let (mut config, _) = Server { version, ..Server::default() }.build();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let question = Question { protocols: PROTOCOLS, ..Question::of(kind) };
        let mut collector = Collector::new(&question, ENTROPY).unwrap();
        let told = collected(converse(config.clone(), &mut collector).0);
        assert_eq!(told.protocol.as_deref(), Some("http/1.1"));
        config.alpn_protocols = vec![b"of-its-own".to_vec()];
        let mut collector = Collector::new(&question, ENTROPY).unwrap();
        let refused = converse(config.clone(), &mut collector).0;
        assert_eq!(refused, Progress::Failed(HelloError::Alert(120)));
        let told = collected(converse(config, &mut attempt(kind, None)).0);
        assert_eq!(told.protocol, None);
    }
}

#[test]
fn a_stapled_response_is_kept_and_the_authorities_asked_for_are_named() {
    for (kind, version) in [(Kind::Modern, &version::TLS13), (Kind::Wide, &version::TLS12)] {
        let mut server = Server { version, wants_client_certificate: true, ..Server::default() };
        let told = check_collects(kind, Server { ..server });
        assert_eq!(told.client_certificate.unwrap().authorities, ["CN=rcgen self signed cert"]);
        server.wants_client_certificate = false;
        let (certificate, key) = identity("server.example", server.algorithm);
        let config = ServerConfig::builder_with_provider(provider::default_provider().into())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert_with_ocsp(vec![certificate], key, b"response".to_vec())
            .unwrap();
        let told = collected(converse(config, &mut attempt(kind, None)).0);
        assert_eq!(told.stapled.as_deref(), Some(&b"response"[..]));
        assert_eq!(told.client_certificate, None);
    }
}

#[test]
fn what_a_connection_is_made_safe_with_is_told() {
    let (config, _) = Server { version: &version::TLS12, ..Server::default() }.build();
    let told = collected(converse(config, &mut attempt(Kind::Wide, None)).0);
    let safe =
        Precautions { secure_renegotiation: true, extended_master_secret: true, compression: 0 };
    assert_eq!(told.precautions, Some(safe));
    let mut bytes = flight(0x0301, 0x002f, &[b"der"], &[]);
    // The compression method stands at the end of the ServerHello: record, message, version,
    // random, session id, suite.
    bytes[5 + 4 + 2 + 32 + 1 + 2] = 1;
    let told = collected(attempt(Kind::Wide, None).feed(&bytes));
    assert_eq!(told.precautions, Some(Precautions { compression: 1, ..Precautions::default() }));
}

#[test]
fn a_request_without_end_is_kept_in_part_and_a_broken_one_is_still_a_request() {
    let name = [&[0, 2][..], &[0x30, 0]].concat();
    let names = name.repeat(MAX_AUTHORITIES + 9);
    let length = u16::try_from(names.len()).unwrap().to_be_bytes();
    let request = [&[1, 1, 0, 2, 4, 1][..], &length, &names].concat();
    for (request, kept, left_out) in
        [(request.clone(), MAX_AUTHORITIES, 9), (request[..5].to_vec(), 0, 0), (Vec::new(), 0, 0)]
    {
        let bytes = flight(0x0303, 0x002f, &[b"der"], &[(13, request)]);
        let told = collected(attempt(Kind::Wide, None).feed(&bytes)).client_certificate.unwrap();
        assert_eq!((told.authorities.len(), told.left_out), (kept, left_out));
        assert_eq!(told.len(), kept + left_out);
    }
    // The older form has no signature algorithms in it.
    let old = [&[1, 1, 0, 4][..], &name].concat();
    let bytes = flight(0x0301, 0x002f, &[b"der"], &[(13, old)]);
    let told = collected(attempt(Kind::Wide, None).feed(&bytes)).client_certificate.unwrap();
    assert_eq!(told.authorities, [""]);
}

#[test]
fn a_stapled_response_that_is_none_is_not_kept() {
    let status = |bytes: &[u8]| {
        let bytes = flight(0x0303, 0x002f, &[b"der"], &[(22, bytes.to_vec())]);
        collected(attempt(Kind::Wide, None).feed(&bytes)).stapled
    };
    assert_eq!(status(&[1, 0, 0, 2, 7, 7]), Some(vec![7, 7]));
    assert_eq!(status(&[2, 0, 0, 2, 7, 7]), None);
    assert_eq!(status(&[1, 0, 0, 3, 7, 7]), None);
    assert_eq!(status(&[]), None);
    let huge = u32::try_from(MAX_STAPLED + 1).unwrap().to_be_bytes();
    assert_eq!(status(&[&[1][..], &huge[1..], &vec![7; MAX_STAPLED + 1]].concat()), None);
}

#[test]
fn the_keys_that_are_asked_for_decide_which_certificate_comes() {
    let signers = Signers::ALL.without(Signer::P256);
    for (kind, version) in [(Kind::Modern, &version::TLS13), (Kind::Wide, &version::TLS12)] {
        let (config, _) = Server { version, ..Server::default() }.build();
        let question = Question { signers, ..Question::of(kind) };
        let mut collector = Collector::new(&question, ENTROPY).unwrap();
        let (progress, _) = converse(config, &mut collector);
        assert!(matches!(progress, Progress::Failed(_)), "{progress:?}");
        let algorithm = &rcgen::PKCS_ED25519;
        let (config, certificate) = Server { version, algorithm, ..Server::default() }.build();
        let mut collector = Collector::new(&question, ENTROPY).unwrap();
        let (progress, _) = converse(config, &mut collector);
        assert_eq!(collected(progress).chain, [certificate.to_vec()]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is changed in what a server says, and however it is cut: an outcome, no panic.
    #[test]
    fn a_garbled_flight_has_an_outcome(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
        modern in any::<bool>(),
    ) {
        thread_local! {
            static RECORDINGS: [Recording; 2] = recordings();
        }
        RECORDINGS.with(|recordings| {
            let recording = &recordings[usize::from(!modern)];
            let mut flight = recording.flight.clone();
            for (at, byte) in &changes {
                let at = at.index(flight.len());
                flight[at] = *byte;
            }
            let mut collector = recording.replayed();
            let (first, second) = flight.split_at(cut.index(flight.len()));
            collector.feed(first);
            collector.feed(second);
            let over = collector.end();
            prop_assert!(matches!(over, Progress::Done(_) | Progress::Failed(_)));
            Ok(())
        })?;
    }

    #[test]
    fn noise_has_an_outcome(noise in prop::collection::vec(any::<u8>(), 0..300)) {
        for start in [&[][..], &[22, 3, 3], &[22, 3, 3, 0, 200, 2, 0, 0, 190]] {
            for kind in [Kind::Wide, Kind::Modern, Kind::Bare(SSL30)] {
                let mut collector = attempt(kind, None);
                collector.feed(&[start, &noise].concat());
                prop_assert!(matches!(collector.end(), Progress::Failed(_)));
            }
        }
    }
}

/// The messages of TLS 1.3 behind the encryption, which changed bytes never reach.
#[test]
fn every_cut_of_a_certificate_message_is_malformed() {
    let chain = || message::Chain { kept: vec![b"der".to_vec()], ..message::Chain::default() };
    let message = [&[1, 9, 0, 0, 8, 0, 0, 3][..], b"der", &[0, 0]].concat();
    assert_eq!(message::certificate_13(&message), Ok(chain()));
    for len in 0..message.len() {
        assert!(message::certificate_13(&message[..len]).is_err(), "{len}");
    }
    let message = &message[2..10];
    assert!(message::certificate(message).is_err());
    let message = [&[0, 0, 6, 0, 0, 3][..], b"der"].concat();
    assert_eq!(message::certificate(&message), Ok(chain()));
    for len in 0..message.len() {
        assert!(message::certificate(&message[..len]).is_err(), "{len}");
    }
}
