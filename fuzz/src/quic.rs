//! What a server of QUIC sends: datagrams as they come, and frames in packets that open. Those
//! are closed by rustls, under the keys that the client's first packet leads to.

use std::hint::black_box;

use certs::hello::{Kind, Overheard, Progress, Question, QuicCollector, Shares, heard::Carrier};
use rustls::{
    Side, Tls13CipherSuite,
    crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256,
    quic::{Keys, Version},
};

use crate::outside::RETRY;

/// What the client's connection ids are made from.
const ENTROPY: [u8; 64] = [0x5a; 64];

/// And so what they are, both the client's own and the one that it made up for the server.
const ID: [u8; 8] = [0x5a; 8];

fn collector() -> Option<QuicCollector> {
    QuicCollector::new(&Question::of(Kind::Modern), ENTROPY, &Shares::default()).ok()
}

fn finish(mut collector: QuicCollector) {
    let ours = [collector.again(), collector.farewell()].concat();
    assert!(ours.chunks(QuicCollector::DATAGRAM).len() <= 4);
    black_box(collector.end());
}

/// Whole, and in datagrams of 100 bytes.
pub(crate) fn run(bytes: &[u8]) {
    for size in [bytes.len().max(1), 100] {
        let Some(mut collector) = collector() else { return };
        black_box(collector.again());
        for datagram in bytes.chunks(size) {
            black_box(collector.feed(datagram));
        }
        finish(collector);
    }
}

fn head(first: u8, version: u32) -> Vec<u8> {
    let mut head = vec![first];
    head.extend(version.to_be_bytes());
    for _ in 0..2 {
        head.push(8);
        head.extend(ID);
    }
    head
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let list = [head(0x80, 0), 0x6b33_43cf_u32.to_be_bytes().to_vec()].concat();
    let retry = [head(0xf0, 1), vec![7; 40]].concat();
    let later = [head(0xe0, 1), vec![40], vec![7; 40]].concat();
    let first = keys().and_then(|keys| closed(&keys, 0, &frames(0, &hello()))).unwrap_or_default();
    vec![list.clone(), retry, [first.clone(), later].concat(), [list, first].concat()]
}

fn keys() -> Option<Keys> {
    keys_of(Side::Server)
}

fn keys_of(side: Side) -> Option<Keys> {
    let suite = TLS13_AES_128_GCM_SHA256.tls13().and_then(Tls13CipherSuite::quic_suite)?;
    Some(suite.keys(&ID, side, Version::V1))
}

/// A packet with these frames.
fn closed(keys: &Keys, number: u64, frames: &[u8]) -> Option<Vec<u8>> {
    let mut head = head(0xc3, 1);
    head.push(0);
    let mut body = frames.to_vec();
    body.resize(body.len().max(16), 0);
    let length = u16::try_from(body.len() + 20).ok()?;
    head.extend((length | 0x4000).to_be_bytes());
    let at = head.len();
    head.extend(number.to_be_bytes().iter().skip(4));
    let tag = keys.local.packet.encrypt_in_place(number, &head, &mut body).ok()?;
    body.extend(tag.as_ref());
    let (first, rest) = head.split_first_mut()?;
    let hidden = rest.get_mut(at - 1..)?;
    keys.local.header.encrypt_in_place(body.get(..16)?, first, hidden).ok()?;
    Some([head, body].concat())
}

/// The first byte says how many bytes of frames are in one packet.
pub(crate) fn run_frames(bytes: &[u8]) {
    let Some((size, bytes)) = bytes.split_first() else { return };
    let (Some(mut collector), Some(keys)) = (collector(), keys()) else { return };
    for (part, number) in bytes.chunks(usize::from(*size).max(1) * 8).zip(0..) {
        let Some(packet) = closed(&keys, number, part) else { continue };
        match collector.feed(&packet) {
            Progress::More => {}
            Progress::Say(ours) => assert!(!ours.is_empty()),
            Progress::Done(_) => panic!("no certificate comes before the keys are agreed on"),
            Progress::Failed(why) => drop(black_box(why.to_string())),
        }
    }
    finish(collector);
}

/// A handshake of two others: frames of the client, in packets as long as the first byte says,
/// then the same as the server's, and all of it as it is.
pub(crate) fn run_overheard(bytes: &[u8]) {
    black_box((Overheard::is_initial(bytes), Overheard::begin(bytes).is_some()));
    let Some((size, bytes)) = bytes.split_first() else { return };
    let (Some(client), Some(server)) = (keys_of(Side::Client), keys()) else { return };
    let mut heard = None;
    for (part, number) in bytes.chunks(usize::from(*size).max(1) * 8).zip(0..) {
        let packets = (closed(&client, number, part), closed(&server, number, part));
        let (Some(said), Some(answer)) = packets else { continue };
        let Some(handshake) = heard.as_mut() else {
            heard = Overheard::begin(&said);
            assert!(heard.is_some(), "the first packet of a client opens");
            continue;
        };
        black_box(handshake.said(&said).map(|hello| hello.ja4(Carrier::Quic)));
        black_box(handshake.heard(&answer));
        black_box(handshake.said(part));
    }
}

pub(crate) fn seeds_overheard() -> Vec<Vec<u8>> {
    let mut client = vec![1, 0, 0, 43, 3, 3];
    client.extend([7; 32]);
    client.extend([0, 0, 2, 0x13, 1, 1, 0, 0, 0]);
    let asked = [&[6][..], &[0; 7], &frames(0, &client)].concat();
    vec![asked, [&[0xff][..], &frames(0, &hello())].concat(), seeds().concat()]
}

/// An acknowledgement and a part of a message, which is short.
fn frames(offset: u8, part: &[u8]) -> Vec<u8> {
    let length = u8::try_from(part.len()).unwrap_or_default();
    [&[2, 0, 0, 0, 0, 6, offset, 0x40, length][..], part].concat()
}

/// A ServerHello with a share on X25519.
fn hello() -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0x13, 1, 0, 0, 46, 0, 0x2b, 0, 2, 3, 4, 0, 0x33, 0, 36, 0, 29, 0, 32]);
    body.extend([9; 32]);
    let length = u8::try_from(body.len()).unwrap_or_default();
    [&[2, 0, 0, length][..], &body].concat()
}

pub(crate) fn seeds_frames() -> Vec<Vec<u8>> {
    let hello = hello();
    let (begin, end) = hello.split_at(50);
    let mut retry = vec![2, 0, 0, 52, 3, 3];
    retry.extend(RETRY);
    retry.extend([0, 0x13, 1, 0, 0, 12, 0, 0x2b, 0, 2, 3, 4, 0, 0x33, 0, 2, 0, 0x18]);
    vec![
        [&[0xff][..], &frames(0, &hello)].concat(),
        [&[8][..], &frames(50, end), &frames(0, begin)].concat(),
        [&[0xff][..], &frames(0, &retry)].concat(),
        vec![1, 3, 9, 0, 0, 2, 1, 2, 3, 1, 0x1c, 0x41, 0x28, 0, 2, b'n', b'o'],
    ]
}
