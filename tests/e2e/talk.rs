//! Frames of conversations, made by hand.

use model::MacAddr;
use wire::{ethernet, ip, udp};

/// Somebody on the link: hardware address and address.
pub(crate) type Station = ([u8; 6], [u8; 4]);

/// A datagram.
pub(crate) fn datagram(from: (Station, u16), to: (Station, u16), inside: &[u8]) -> Vec<u8> {
    let ends = ip::Ends::V4(from.0.1.into(), to.0.1.into());
    frame(from.0, to.0, ends, ip::UDP, &udp::datagram(ends, from.1, to.1, inside))
}

fn frame(from: Station, to: Station, ends: ip::Ends, protocol: u8, inside: &[u8]) -> Vec<u8> {
    let [source, destination] = [from.0, to.0].map(MacAddr);
    ethernet::frame(destination, source, ethernet::IPV4, &ip::packet(ends, protocol, 64, inside))
}

/// Who speaks, and what.
pub(crate) enum Says {
    Client(Vec<u8>),
    Server(Vec<u8>),
}

pub(crate) fn client(words: impl AsRef<[u8]>) -> Says {
    Says::Client(words.as_ref().to_vec())
}

pub(crate) fn server(words: impl AsRef<[u8]>) -> Says {
    Says::Server(words.as_ref().to_vec())
}

/// A connection from its beginning to its end. What both say is acknowledged by what is said next.
pub(crate) fn connection(from: (Station, u16), to: (Station, u16), parts: &[Says]) -> Vec<Vec<u8>> {
    const FIN: u8 = 1;
    const SYN: u8 = 2;
    const ACK: u8 = 16;
    let segment = |by_client: bool, (sequence, acknowledgement): (u32, u32), flags, data: &[u8]| {
        let (here, there) = if by_client { (from, to) } else { (to, from) };
        let mut bytes = [here.1.to_be_bytes(), there.1.to_be_bytes()].concat();
        bytes.extend(sequence.to_be_bytes());
        bytes.extend(acknowledgement.to_be_bytes());
        bytes.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        bytes.extend(data);
        let ends = ip::Ends::V4(here.0.1.into(), there.0.1.into());
        frame(here.0, there.0, ends, ip::TCP, &bytes)
    };
    let (mut asked, mut answered) = (1_001, 5_001);
    let mut frames = vec![
        segment(true, (1_000, 0), SYN, b""),
        segment(false, (5_000, asked), SYN | ACK, b""),
        segment(true, (asked, answered), ACK, b""),
    ];
    for part in parts {
        let (by_client, words) = match part {
            Says::Client(words) => (true, words),
            Says::Server(words) => (false, words),
        };
        for piece in words.chunks(1_200) {
            let len = u32::try_from(piece.len()).unwrap();
            if by_client {
                frames.push(segment(true, (asked, answered), ACK, piece));
                asked += len;
            } else {
                frames.push(segment(false, (answered, asked), ACK, piece));
                answered += len;
            }
        }
    }
    frames.push(segment(true, (asked, answered), FIN | ACK, b""));
    frames.push(segment(false, (answered, asked), FIN | ACK, b""));
    frames
}
