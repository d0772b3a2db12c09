//! The engine of QUIC against rustls in memory, and against bytes of our own.

mod server;

use std::{collections::VecDeque, sync::Arc};

use proptest::prelude::*;
use rcgen::{CertificateParams, KeyPair};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, SupportedKxGroup, ring as provider},
    pki_types::PrivateKeyDer,
    server::WebPkiClientVerifier,
    version::TLS13,
};

use super::*;
use crate::hello::{Collected, Kind as Form, PROTOCOLS_OF_QUIC};
use server::{Cut, ID, Server};

const ENTROPY: [u8; 64] = {
    let mut entropy = [0x5a; 64];
    // Ours and the server's, which differ.
    entropy[32] = 1;
    entropy[40] = 2;
    entropy[48] = 3;
    entropy
};

/// Bytes from their digits.
pub(super) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4) | pair[1]).collect()
}

fn attempt() -> QuicCollector {
    let question = Question { protocols: PROTOCOLS_OF_QUIC, ..Question::of(Form::Modern) };
    QuicCollector::new(&question, ENTROPY, &Shares::default()).unwrap()
}

/// How a server is configured.
struct Setup {
    provider: CryptoProvider,
    protocols: Vec<Vec<u8>>,
    names: usize,
    wants_client_certificate: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            provider: provider::default_provider(),
            protocols: vec![b"h3".to_vec()],
            names: 1,
            wants_client_certificate: false,
        }
    }
}

impl Setup {
    /// The configuration, and the certificate that it presents.
    fn build(self) -> (Arc<ServerConfig>, Vec<u8>) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = (0..self.names).map(|n| format!("n{n}.example")).collect();
        let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        let certificate = certificate.der().clone();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let crypto = Arc::new(self.provider);
        let config = ServerConfig::builder_with_provider(Arc::clone(&crypto));
        let config = config.with_protocol_versions(&[&TLS13]).unwrap();
        let config = if self.wants_client_certificate {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(certificate.clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), crypto);
            config.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            config.with_no_client_auth()
        };
        let mut config = config.with_single_cert(vec![certificate.clone()], key).unwrap();
        config.alpn_protocols = self.protocols;
        (Arc::new(config), certificate.to_vec())
    }
}

const USUAL: Cut = Cut { part: 900, together: true };

/// Speaks until one has no more to say.
fn converse(server: &mut Server, collector: &mut QuicCollector, first: &[u8]) -> Progress {
    let mut hear = |ours: &[u8]| -> Vec<Vec<u8>> {
        ours.chunks(QuicCollector::DATAGRAM).flat_map(|ours| server.hear(ours)).collect()
    };
    let mut theirs = VecDeque::from(hear(first));
    while let Some(datagram) = theirs.pop_front() {
        match collector.feed(&datagram) {
            Progress::More => {}
            Progress::Say(ours) => theirs.extend(hear(&ours)),
            over => return over,
        }
    }
    Progress::More
}

#[track_caller]
fn collected(progress: Progress) -> Collected {
    match progress {
        Progress::Done(collected) => *collected,
        other => panic!("{other:?}"),
    }
}

/// Collects from a server of version 1 with such a configuration.
fn collect(setup: Setup, cut: Cut) -> (Progress, Vec<u8>, Server) {
    let (config, certificate) = setup.build();
    let mut collector = attempt();
    let first = collector.again();
    let mut server = Server::new(&config, Version::One, cut, &ENTROPY[40..48]);
    let progress = converse(&mut server, &mut collector, &first);
    (progress, certificate, server)
}

#[test]
fn every_suite_is_opened_in_both_versions() {
    for suite in provider::ALL_CIPHER_SUITES.iter().filter(|suite| suite.tls13().is_some()) {
        for version in Version::ALL {
            let provider =
                CryptoProvider { cipher_suites: vec![*suite], ..provider::default_provider() };
            let (config, certificate) = Setup { provider, ..Setup::default() }.build();
            let mut collector = attempt();
            let mut first = collector.again();
            assert_eq!(first.len(), 1200);
            let mut id = &ENTROPY[40..48];
            if version == Version::Two {
                // What waits for keys is in the way of nothing.
                let early = [&[0xe0, 0, 0, 0, 1, 8], &ENTROPY[32..40], &[1, 7, 30]].concat();
                assert_eq!(collector.feed(&[&early[..], &[7; 30]].concat()), Progress::More);
                let lists = negotiation(&ENTROPY[32..40], id, &[0x1a2a_3a4a, version.number()]);
                let Progress::Say(again) = collector.feed(&lists) else { panic!("no answer") };
                first = again;
                id = &ENTROPY[48..56];
            }
            let mut server = Server::new(&config, version, USUAL, id);
            let collected = collected(converse(&mut server, &mut collector, &first));
            assert_eq!(collected.chain, [certificate]);
            assert_eq!(collected.suite, Some(u16::from(suite.suite())));
            assert_eq!(collected.protocol.as_deref(), Some("h3"));
            server.hear(&collector.farewell());
            assert!(server.left);
        }
    }
}

fn negotiation(destination: &[u8], source: &[u8], versions: &[u32]) -> Vec<u8> {
    let mut bytes = vec![0x80, 0, 0, 0, 0];
    for id in [destination, source] {
        bytes.push(id.len() as u8);
        bytes.extend(id);
    }
    bytes.extend(versions.iter().flat_map(|version| version.to_be_bytes()));
    bytes
}

#[test]
fn a_list_of_versions_counts_once_and_as_an_answer() {
    let (ours, theirs) = (&ENTROPY[32..40], &ENTROPY[40..48]);
    let check = |list: &[u8], expected: &Progress| {
        let mut collector = attempt();
        collector.again();
        assert_eq!(&collector.feed(list), expected);
    };
    check(&negotiation(ours, theirs, &[1, 2]), &Progress::More);
    check(&negotiation(theirs, ours, &[2]), &Progress::More);
    let none = Progress::Failed(HelloError::QuicVersion);
    check(&negotiation(ours, theirs, &[0xff00_001d]), &none);
    let mut collector = attempt();
    let two = [Version::Two.number()];
    assert!(matches!(collector.feed(&negotiation(ours, theirs, &two)), Progress::Say(_)));
    assert_eq!(collector.feed(&negotiation(ours, theirs, &two)), Progress::More);
    assert_eq!(collector.feed(&negotiation(ours, &ENTROPY[48..56], &[1])), none);
}

#[test]
fn a_server_that_wants_another_group_or_a_client_certificate_is_collected_from() {
    let group: &'static dyn SupportedKxGroup = provider::kx_group::SECP384R1;
    let provider = CryptoProvider { kx_groups: vec![group], ..provider::default_provider() };
    let setup = Setup { provider, wants_client_certificate: true, ..Setup::default() };
    let (progress, certificate, _) = collect(setup, USUAL);
    let collected = collected(progress);
    assert_eq!(collected.chain, [certificate]);
    assert!(collected.client_certificate.is_some());
}

#[test]
fn a_long_chain_is_acknowledged_as_it_comes() {
    for (part, together) in [(900, true), (100, false), (40, true)] {
        let setup = Setup { names: 500, ..Setup::default() };
        let (progress, certificate, server) = collect(setup, Cut { part, together });
        assert_eq!(collected(progress).chain, [certificate]);
        let count = |kind| server.acknowledged.iter().filter(|other| **other == kind).count();
        assert!(count(Kind::Initial) > 0 && count(Kind::Handshake) > 2);
    }
}

#[test]
fn datagrams_come_in_any_order_twice_and_late() {
    let (config, certificate) = Setup { names: 200, ..Setup::default() }.build();
    for order in 0..3 {
        let mut collector = attempt();
        // The first one is lost.
        let lost = collector.again();
        let first = collector.again();
        assert_ne!(lost, first);
        let mut server =
            Server::new(&config, Version::One, Cut { part: 300, ..USUAL }, &ENTROPY[40..48]);
        let mut flight = server.hear(&first);
        assert!(flight.len() > 2);
        match order {
            0 => flight.reverse(),
            1 => flight = flight.iter().flat_map(|d| [d.clone(), d.clone()]).collect(),
            _ => flight.rotate_left(1),
        }
        let mut last = Progress::More;
        for datagram in flight {
            last = collector.feed(&datagram);
        }
        assert_eq!(collected(last).chain, [&certificate[..]], "order {order}");
    }
}

#[test]
fn silence_is_met_by_asking_for_the_rest() {
    let (config, certificate) = Setup { names: 200, ..Setup::default() }.build();
    let mut collector = attempt();
    let first = collector.again();
    let mut server =
        Server::new(&config, Version::One, Cut { part: 300, ..USUAL }, &ENTROPY[40..48]);
    let flight = server.hear(&first);
    let (missing, rest) = flight.split_last().unwrap();
    for datagram in rest {
        collector.feed(datagram);
    }
    let asked = collector.again();
    assert!(asked.len() < 100);
    server.hear(&asked);
    assert_eq!(server.acknowledged, [Kind::Handshake, Kind::Handshake]);
    assert_eq!(collected(collector.feed(missing)).chain, [certificate]);
}

/// A Retry of version 1.
fn retry(destination: &[u8], original: &[u8], token: &[u8]) -> Vec<u8> {
    let mut packet = vec![0xf0, 0, 0, 0, 1, destination.len() as u8];
    packet.extend(destination);
    packet.push(ID.len() as u8);
    packet.extend(ID);
    packet.extend(token);
    let pseudo = [&[original.len() as u8][..], original, &packet].concat();
    let (key, nonce) = Version::One.retry();
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, key).unwrap());
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let tag = key.seal_in_place_separate_tag(nonce, Aad::from(pseudo), &mut []).unwrap();
    packet.extend(tag.as_ref());
    packet
}

#[test]
fn a_token_is_given_back_once() {
    let (config, certificate) = Setup::default().build();
    let mut collector = attempt();
    collector.again();
    let (ours, theirs) = (&ENTROPY[32..40], &ENTROPY[40..48]);
    let mut forged = retry(ours, theirs, b"token");
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(collector.feed(&forged), Progress::More);
    let Progress::Say(again) = collector.feed(&retry(ours, theirs, b"token")) else {
        panic!("no answer")
    };
    let packet = Packet::read(&mut Reader::new(&again), Version::One).unwrap();
    assert_eq!((packet.token, packet.destination), (&b"token"[..], &ID[..]));
    assert_eq!(collector.feed(&retry(ours, &ID, b"more")), Progress::More);
    let mut server = Server::new(&config, Version::One, USUAL, &ID);
    assert_eq!(collected(converse(&mut server, &mut collector, &again)).chain, [certificate]);
    let mut endless = attempt();
    let long = retry(ours, theirs, &[7; MAX_TOKEN + 1]);
    assert_eq!(endless.feed(&long), Progress::Failed(HelloError::TooLarge));
}

#[test]
fn refusals_are_those_of_tls() {
    let protocols = vec![b"other".to_vec()];
    let (progress, ..) = collect(Setup { protocols, ..Setup::default() }, USUAL);
    assert_eq!(progress, Progress::Failed(HelloError::Alert(120)));
    assert_eq!(refusal(0x0128), HelloError::Alert(40));
    assert_eq!(refusal(2), HelloError::Quic(2));
    assert_eq!(refusal(0x1_0128), HelloError::Quic(0x1_0128));
}

/// A server that says these frames in its first packet.
fn answer(frames: &[u8]) -> Progress {
    let (config, _) = Setup::default().build();
    let mut collector = attempt();
    let first = collector.again();
    let mut server = Server::new(&config, Version::One, USUAL, &ENTROPY[40..48]);
    server.hear(&first);
    collector.feed(&server.packet(Kind::Initial, frames))
}

#[test]
fn frames_that_mean_harm_end_it() {
    let mut far = vec![];
    frame::put_crypto(&mut far, 1 << 40, &[7; 40]);
    assert_eq!(answer(&far), Progress::Failed(HelloError::TooLarge));
    assert!(matches!(answer(&[8, 0, 0]), Progress::Failed(HelloError::Malformed(_))));
    assert!(matches!(answer(&[2, 9]), Progress::Failed(HelloError::Malformed(_))));
    let mut odd = vec![];
    frame::put_crypto(&mut odd, 0, &[20, 0, 0, 1, 7]);
    assert_eq!(answer(&odd), Progress::Failed(HelloError::Unexpected(20)));
    // An acknowledgement alone wants none.
    assert_eq!(answer(&[2, 0, 0, 0, 0, 0]), Progress::More);
    assert!(matches!(answer(&[1, 0, 0]), Progress::Say(ack) if ack.len() == 1200));
}

#[test]
fn who_wants_to_be_answered_without_end_is_not() {
    let (config, _) = Setup::default().build();
    let mut collector = attempt();
    let first = collector.again();
    let mut server = Server::new(&config, Version::One, USUAL, &ENTROPY[40..48]);
    server.hear(&first);
    let pings = (0..1_000).map(|_| collector.feed(&server.packet(Kind::Initial, &[1, 0, 0])));
    let answers = pings.filter(|progress| matches!(progress, Progress::Say(_))).count();
    assert_eq!(answers as u64, MAX_ANSWERS - 1);
}

#[test]
fn a_share_that_fits_no_packet_goes_into_two() {
    let question = Question::of(Form::Hybrid);
    let mut collector = QuicCollector::new(&question, ENTROPY, &Shares::default()).unwrap();
    let first = collector.again();
    assert_eq!(first.len(), 1200);
    let (config, _) = Setup::default().build();
    let mut server = Server::new(&config, Version::One, USUAL, &ENTROPY[40..48]);
    // It has none of our groups, and refuses; but for its packets it will do.
    server.hear(&first);
    let body = hex("0303cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c\
         00130100000c002b0002030400330002 11ec");
    let retry = [&[2, 0, 0, body.len() as u8][..], &body].concat();
    let retry = server.crypto(Kind::Initial, &retry);
    let Progress::Say(second) = collector.feed(&retry) else { panic!("no answer") };
    assert_eq!(second.len(), 2400);
    assert_eq!(collector.again().len(), 2400);
}

#[test]
fn what_is_not_from_the_server_changes_nothing() {
    let check = |datagram: &[u8], why: HelloError| {
        let mut collector = attempt();
        assert_eq!(collector.feed(datagram), Progress::More);
        assert!(collector.farewell().is_empty());
        assert_eq!(collector.end(), Progress::Failed(why));
    };
    check(b"", HelloError::NotTls);
    check(b"HTTP/1.1 400 no\r\n", HelloError::NotTls);
    check(&[0x40; 200], HelloError::NotTls);
    let mut collector = attempt();
    // An echo: its destination is the server's.
    let first = collector.again();
    check(&first, HelloError::NotTls);
    let mut noise = vec![0xc0, 0, 0, 0, 1, 8];
    noise.extend(&ENTROPY[32..40]);
    noise.extend([0, 0, 40]);
    noise.extend([9; 40]);
    check(&noise, HelloError::Undecipherable);
    assert_eq!(attempt().end(), Progress::Failed(HelloError::Silent));
    let junk = [0x40; 60_000];
    let ended = (0..20).map(|_| collector.feed(&junk)).last();
    assert_eq!(ended, Some(Progress::Failed(HelloError::TooLarge)));
}

#[test]
fn every_cut_and_every_flipped_byte_is_passed_over() {
    let (config, certificate) = Setup::default().build();
    for at in (0..700).step_by(23) {
        for is_cut in [true, false] {
            let mut collector = attempt();
            let first = collector.again();
            let mut server = Server::new(&config, Version::One, USUAL, &ENTROPY[40..48]);
            let flight = server.hear(&first);
            let mut broken = flight[0].clone();
            match is_cut {
                true => broken.truncate(at),
                false => broken[at] ^= 0x55,
            }
            // Either it was whole after all, or the right ones still count.
            let mut last = collector.feed(&broken);
            for datagram in &flight {
                if matches!(last, Progress::More | Progress::Say(_)) {
                    last = collector.feed(datagram);
                }
            }
            assert_eq!(collected(last).chain, [&certificate[..]], "{at}");
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut collector = attempt();
        collector.feed(&bytes);
        let mut head = vec![0xc0, 0, 0, 0, 1, 8];
        head.extend(&ENTROPY[32..40]);
        collector.feed(&[&head[..], &bytes].concat());
        collector.end();
        let _ = Frame::read(&mut Reader::new(&bytes));
    }
}
