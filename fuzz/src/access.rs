//! Handshakes that travel in datagrams and in EAP, as a listener hears them.

use std::{hint::black_box, net::Ipv4Addr};

use certs::hello::heard::Datagrams;
use model::{MacAddr, Site, Timestamp, Vantage};
use scanner::capture::Capture;
use wire::{eap, ethernet, ip, radius, udp};

use crate::Target;

pub(crate) const TARGETS: &[Target] = &[
    Target { name: "wire/eap", run: run_eap, seeds: of_eap },
    Target { name: "wire/radius packet", run: run_radius, seeds: of_radius },
    Target { name: "certs/hello/heard/datagram", run: run_datagrams, seeds: of_datagrams },
    Target { name: "scanner/capture/dtls", run: run_dtls, seeds: of_turns },
    Target { name: "scanner/capture/access", run: run_access, seeds: of_turns },
];

fn run_eap(bytes: &[u8]) {
    black_box(eap::Packet::parse(bytes).is_ok());
    black_box(eap::of_lan(bytes).is_ok());
}

fn run_radius(bytes: &[u8]) {
    if let Ok(packet) = radius::Packet::parse(bytes) {
        assert!(packet.eap.len() <= bytes.len());
    }
}

/// Whole, and in datagrams of 60 bytes.
fn run_datagrams(bytes: &[u8]) {
    for size in [bytes.len().max(1), 60] {
        let mut heard = Datagrams::default();
        for datagram in bytes.chunks(size) {
            black_box(Datagrams::is_handshake(datagram));
            heard.take(datagram);
        }
        assert!(heard.room() <= 66 << 10);
        black_box((heard.part(), heard.side()));
    }
}

/// Pieces, each behind a byte that says who speaks and one that says how much.
fn turns(mut rest: &[u8], mut take: impl FnMut(bool, &[u8])) {
    while let Some(([by, len], behind)) = rest.split_first_chunk() {
        let (data, behind) = behind.split_at(usize::from(*len).min(behind.len()));
        take(by & 1 == 1, data);
        rest = behind;
    }
}

const MACS: [MacAddr; 2] = [MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2])];

fn capture() -> Capture {
    let vantage = Vantage { site: Site("fuzz".into()), name: "fuzz".into() };
    Capture::with_memory(vantage, 1 << 20)
}

fn hear(capture: &mut Capture, frame: &[u8]) {
    capture.frame(Timestamp(0), frame, &mut |told| {
        assert!(told.evidence.len() <= model::Observation::MAX_EVIDENCE);
    });
}

fn datagram(by_client: bool, port: u16, data: &[u8]) -> Vec<u8> {
    let ends = [(Ipv4Addr::new(192, 0, 2, 1), 40_000), (Ipv4Addr::new(192, 0, 2, 2), port)];
    let [from, to] = if by_client { ends } else { [ends[1], ends[0]] };
    let ends = ip::Ends::V4(from.0, to.0);
    let packet = ip::packet(ends, ip::UDP, 64, &udp::datagram(ends, from.1, to.1, data));
    ethernet::frame(MACS[0], MACS[1], ethernet::IPV4, &packet)
}

fn run_dtls(bytes: &[u8]) {
    let mut capture = capture();
    turns(bytes, |by_client, data| hear(&mut capture, &datagram(by_client, 5_684, data)));
    capture.finish(Timestamp(0), &mut |told| drop(black_box(told)));
}

/// Each piece on the link, and behind the head of RADIUS.
fn run_access(bytes: &[u8]) {
    let mut capture = capture();
    let mut number = 0_u8;
    turns(bytes, |by_station, data| {
        let length = u16::try_from(data.len()).unwrap_or_default();
        let payload = [&[2, 0][..], &length.to_be_bytes(), data].concat();
        let [from, to] = if by_station { MACS } else { [MACS[1], MACS[0]] };
        hear(&mut capture, &ethernet::frame(to, from, eap::ETHER_TYPE, &payload));
        number = number.wrapping_add(u8::from(by_station));
        let parts = data
            .chunks(253)
            .map(|part| [&[79, u8::try_from(part.len() + 2).unwrap_or(2)][..], part].concat());
        let body = [vec![24, 3, number], parts.collect::<Vec<_>>().concat()].concat();
        let length = u16::try_from(body.len() + 20).unwrap_or_default();
        let code = if by_station { 1 } else { 11 };
        let packet = [&[code, number][..], &length.to_be_bytes(), &[0; 16], &body].concat();
        hear(&mut capture, &datagram(by_station, 1_812, &packet));
    });
    capture.finish(Timestamp(0), &mut |told| drop(black_box(told)));
}

fn of_eap() -> Vec<Vec<u8>> {
    vec![
        vec![1, 7, 0, 6, 13, 0x20],
        vec![2, 7, 0, 12, 25, 0xc1, 0, 0, 1, 2, 9, 8],
        vec![1, 7, 0, 14, 55, 0x11, 0, 0, 0, 2, 7, 7, 1, 2],
        vec![2, 0, 0, 2, 5, 6],
        b"\x02\x01\x00\x0d\x01somebody".to_vec(),
    ]
}

fn of_radius() -> Vec<Vec<u8>> {
    let attributes = b"\x18\x04ab\x1f\x1302-00-5E-00-53-0F\x4f\x08\x01\x07\0\x06\x0d\x20";
    let head = [11, 9, 0, 20 + attributes.len() as u8];
    vec![[&head[..], &[9; 16], attributes].concat()]
}

fn server_hello(major: u8, minor: u8) -> Vec<u8> {
    [&[major, minor][..], &[7; 32], &[0, 0xc0, 0x2f, 0]].concat()
}

/// A message of DTLS in a record.
fn whole(kind: u8, number: u8, body: &[u8]) -> Vec<u8> {
    let len = body.len() as u8;
    let head = [kind, 0, 0, len, 0, number, 0, 0, 0, 0, 0, len];
    [&[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, len + 12][..], &head, body].concat()
}

fn of_datagrams() -> Vec<Vec<u8>> {
    let hello = whole(2, 0, &server_hello(0xfe, 0xfd));
    let client = [&[0xfe, 0xfd][..], &[7; 32], &[0, 0, 0, 2, 0xc0, 0x2f, 1, 0]].concat();
    let chain = whole(11, 1, &[0, 0, 6, 0, 0, 3, 7, 7, 7]);
    let done = whole(14, 2, &[]);
    vec![
        [hello.clone(), chain.clone(), done.clone()].concat(),
        [whole(1, 0, &client), vec![20, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]].concat(),
        [done, chain, hello, vec![21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 40]].concat(),
    ]
}

fn of_turns() -> Vec<Vec<u8>> {
    let turn = |by: u8, data: &[u8]| [&[by, data.len() as u8][..], data].concat();
    let datagrams = of_datagrams();
    let mut seeds: Vec<Vec<u8>> = datagrams
        .iter()
        .map(|bytes| [turn(1, &datagrams[1]), turn(0, bytes), turn(1, bytes)].concat())
        .collect();
    let hello = [vec![2, 0, 0, 38], server_hello(3, 3)].concat();
    let chain = [11, 0, 0, 9, 0, 0, 6, 0, 0, 3, 7, 7, 7, 14, 0, 0, 0];
    let length = (hello.len() + chain.len()) as u8;
    let flight = [&[22, 3, 3, 0, length][..], &hello, &chain].concat();
    let (first, second) = flight.split_at(30);
    let packet = |code: u8, number: u8, data: &[u8]| {
        [&[code, number, 0, data.len() as u8 + 4][..], data].concat()
    };
    let begin = [&[13, 0xc0, 0, 0, 0, flight.len() as u8][..], first].concat();
    let end = [&[13, 0][..], second].concat();
    seeds.push(
        [
            turn(0, &packet(1, 1, &[13, 0x20])),
            turn(1, &packet(2, 1, &[13, 0])),
            turn(0, &packet(1, 2, &begin)),
            turn(1, &packet(2, 2, &[13, 0])),
            turn(0, &packet(1, 3, &end)),
            turn(1, &packet(2, 3, &flight)),
        ]
        .concat(),
    );
    seeds
}
