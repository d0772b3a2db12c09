//! Conversations made by hand, frame by frame.

use std::net::Ipv4Addr;

use model::{Observation, Site, Timestamp, Use, Vantage};
use wire::ethernet;

use super::*;
use crate::capture::Capture;

pub(in crate::capture) const CLIENT: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 40_000);
pub(in crate::capture) const SERVER: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 2), 25);

fn capture(memory: usize) -> Capture {
    Capture::with_memory(Vantage { site: Site("plant".into()), name: "here".into() }, memory)
}

/// A frame with a segment from one to another.
fn segment(
    from: (Ipv4Addr, u16),
    to: (Ipv4Addr, u16),
    (sequence, acknowledgement): (u32, u32),
    flags: u8,
    data: &[u8],
) -> Vec<u8> {
    let mut bytes = [from.1.to_be_bytes(), to.1.to_be_bytes()].concat();
    bytes.extend(sequence.to_be_bytes());
    bytes.extend(acknowledgement.to_be_bytes());
    bytes.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    bytes.extend(data);
    let packet = ip::packet(ip::Ends::V4(from.0, to.0), ip::TCP, 64, &bytes);
    let [here, there] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]].map(model::MacAddr);
    ethernet::frame(there, here, ethernet::IPV4, &packet)
}

/// Who speaks, and what.
pub(in crate::capture) enum Says<'a> {
    Client(&'a [u8]),
    Server(&'a [u8]),
}
pub(in crate::capture) use Says::{Client, Server};

/// A whole connection: how it begins, what is said, and how it ends.
pub(in crate::capture) fn connection(port: u16, parts: &[Says<'_>]) -> Vec<Vec<u8>> {
    let (client, server) = (CLIENT, (SERVER.0, port));
    let (mut here, mut there) = (1_000_u32, u32::MAX - 3);
    let mut frames = vec![
        segment(client, server, (here, 0), tcp::SYN, b""),
        segment(server, client, (there, here + 1), tcp::SYN | tcp::ACK, b""),
        segment(client, server, (here + 1, there.wrapping_add(1)), tcp::ACK, b""),
    ];
    (here, there) = (here + 1, there.wrapping_add(1));
    for part in parts {
        let (from, to, bytes) = match part {
            Client(bytes) => (client, server, *bytes),
            Server(bytes) => (server, client, *bytes),
        };
        let is_client = from == client;
        for piece in bytes.chunks(500) {
            let numbers = if is_client { (here, there) } else { (there, here) };
            frames.push(segment(from, to, numbers, tcp::ACK, piece));
            let len = u32::try_from(piece.len()).unwrap();
            if is_client {
                here = here.wrapping_add(len);
            } else {
                there = there.wrapping_add(len);
            }
        }
    }
    frames.push(segment(client, server, (here, there), tcp::FIN | tcp::ACK, b""));
    frames.push(segment(server, client, (there, here), tcp::FIN | tcp::ACK, b""));
    frames
}

fn heard_by(capture: &mut Capture, frames: &[Vec<u8>]) -> Vec<Observation> {
    let mut all = Vec::new();
    for frame in frames {
        capture.frame(Timestamp::from_seconds(7), frame, &mut |told| all.push(told));
    }
    capture.finish(Timestamp::from_seconds(8), &mut |told| all.push(told));
    all
}

pub(in crate::capture) fn heard(frames: &[Vec<u8>]) -> Vec<Observation> {
    heard_by(&mut capture(1 << 20), frames)
}

const MAIL: [Says<'static>; 6] = [
    Server(b"220 mx.example.com ESMTP Postfix (Debian)\r\n"),
    Client(b"EHLO pc7.example.com\r\n"),
    Server(b"250-mx.example.com\r\n250-STARTTLS\r\n250 8BITMIME\r\n"),
    Client(b"MAIL FROM:<alice@example.com>\r\n"),
    Server(b"250 2.1.0 Ok\r\n"),
    Client(b"QUIT\r\n"),
];

/// The facts that two ways of hearing the same must agree in.
fn facts(told: &[Observation]) -> Vec<String> {
    let mut all: Vec<String> = told.iter().map(|o| format!("{} {:?}", o.subject, o.fact)).collect();
    all.sort();
    all.dedup();
    all
}

#[test]
fn a_connection_tells_its_server_and_its_client() {
    let told = heard(&connection(25, &MAIL));
    let server = Subject::Endpoint(Endpoint::tcp(SERVER.0.into(), 25));
    let of = |subject: Subject| told.iter().filter(move |o| o.subject == subject).map(|o| &o.fact);
    assert!(of(server).any(|fact| *fact == Fact::PortState(PortState::Open)));
    assert!(of(server).any(|fact| matches!(fact, Fact::Service(service)
        if service.protocol == "smtp" && service.product.as_deref() == Some("Postfix"))));
    let client = Subject::Address(CLIENT.0.into());
    assert!(of(client).any(|fact| *fact == Fact::Alive { ttl: None }));
    assert!(!facts(&told).join("\n").contains("alice"));
}

#[test]
fn every_order_of_its_segments_tells_the_same() {
    let frames = connection(25, &MAIL);
    let expected = facts(&heard(&frames));
    // What is said, in every rotation; who begins is first, who ends last.
    let last = frames.len() - 2;
    for turn in 0..last - 3 {
        let mut turned = frames.clone();
        turned[3..last].rotate_left(turn);
        assert_eq!(facts(&heard(&turned)), expected, "{turn}");
    }
    let twice: Vec<Vec<u8>> = frames.iter().flat_map(|f| [f.clone(), f.clone()]).collect();
    assert_eq!(facts(&heard(&twice)), expected);
}

#[test]
fn one_side_alone_tells_what_it_can() {
    let frames = connection(25, &MAIL);
    let by = |address: Ipv4Addr| {
        let own: Vec<Vec<u8>> =
            frames.iter().filter(|frame| frame[26..30] == address.octets()).cloned().collect();
        facts(&heard(&own))
    };
    let server = by(SERVER.0);
    assert!(server.iter().any(|fact| fact.contains("PortState(Open)")), "{server:#?}");
    assert!(server.iter().any(|fact| fact.contains("Postfix")), "{server:#?}");
    assert!(!by(CLIENT.0).iter().any(|fact| fact.contains("PortState")));
}

#[test]
fn who_answers_nobody_has_no_open_port() {
    // The acknowledgement is of another connection's SYN.
    let frames = [
        segment(CLIENT, SERVER, (1_000, 0), tcp::SYN, b""),
        segment(SERVER, CLIENT, (5, 7), tcp::SYN | tcp::ACK, b""),
    ];
    assert!(!facts(&heard(&frames)).iter().any(|fact| fact.contains("PortState")));
    let refused = [
        segment(CLIENT, SERVER, (1_000, 0), tcp::SYN, b""),
        segment(SERVER, CLIENT, (0, 1_001), tcp::RST | tcp::ACK, b""),
    ];
    let told = facts(&heard(&refused));
    assert!(
        !told.iter().any(|fact| fact.contains("PortState")
            || fact.contains("Alive { ttl: None }") && fact.contains("192.0.2")),
        "{told:#?}"
    );
}

#[test]
fn secrets_in_the_clear_are_a_use_and_no_text() {
    let told = heard(&connection(
        21,
        &[
            Server(b"220 (vsFTPd 3.0.3)\r\n"),
            Client(b"USER alice\r\n"),
            Server(b"331 Please specify the password.\r\n"),
            Client(b"PASS hunter2\r\n"),
            Server(b"230 Login successful.\r\n"),
        ],
    ));
    let used = Fact::Use(Use::Cleartext { protocol: "ftp".into(), server: SERVER.0.into() });
    assert!(told.iter().any(|o| o.fact == used && o.subject == Subject::Address(CLIENT.0.into())));
    let text = format!("{told:?}")
        + &told
            .iter()
            .map(|o| String::from_utf8_lossy(&o.evidence).into_owned())
            .collect::<String>();
    assert!(!text.contains("alice") && !text.contains("hunter2"));
}

#[test]
fn what_nobody_finishes_is_told_when_its_time_is_over() {
    let mut frames = connection(25, &MAIL[..1]);
    frames.truncate(4);
    let mut capture = capture(1 << 20);
    let mut told = Vec::new();
    for frame in &frames {
        capture.frame(Timestamp::from_seconds(7), frame, &mut |o| told.push(o));
    }
    let service = |told: &[Observation]| told.iter().any(|o| matches!(o.fact, Fact::Service(_)));
    assert!(!service(&told));
    capture.tick(Timestamp::from_seconds(30), &mut |o| told.push(o));
    assert!(!service(&told));
    capture.tick(Timestamp::from_seconds(40), &mut |o| told.push(o));
    assert!(service(&told));
    // When it was heard, not when the waiting was over.
    let when = told.iter().find(|o| matches!(o.fact, Fact::Service(_))).unwrap().observed_at;
    assert_eq!(when, Timestamp::from_seconds(7));
}

#[test]
fn a_flood_of_flows_stays_within_its_memory() {
    const MEMORY: usize = 1 << 20;
    let mut capture = capture(MEMORY);
    let mut open = 0;
    for n in 0..60_000_u32 {
        let [_, a, b, c] = n.to_be_bytes();
        let client = (Ipv4Addr::new(198, 18 + a, b, c), 40_000);
        let frame = segment(client, SERVER, (n, 0), tcp::SYN, b"");
        capture.frame(Timestamp::from_seconds(1), &frame, &mut |_| {});
        let data = segment(client, SERVER, (n + 1, 0), tcp::ACK, &[7; 900]);
        capture.frame(Timestamp::from_seconds(1), &data, &mut |_| {});
        open = open.max(capture.flows.memory());
    }
    assert!(open <= MEMORY, "{open}");
    let counts = capture.counts().flows;
    assert_eq!(counts.flows, 60_000);
    assert!(counts.given_up > 50_000, "{counts:?}");
}

#[test]
fn ends_that_are_used_again_are_another_flow() {
    let mut frames = connection(25, &MAIL);
    let again = connection(
        25,
        &[
            Server(b"220 other.example.com ESMTP Exim 4.96\r\n"),
            Client(b"QUIT\r\n"),
            Server(b"221 bye\r\n"),
        ],
    );
    frames.extend(again);
    let told = facts(&heard(&frames));
    assert!(told.iter().any(|fact| fact.contains("Postfix")));
    assert!(told.iter().any(|fact| fact.contains("Exim")));
}
