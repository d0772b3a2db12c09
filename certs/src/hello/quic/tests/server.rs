//! A server of QUIC in memory: the handshake and all its keys are those of rustls.

use std::sync::Arc;

use rustls::{
    ServerConfig, Side, Tls13CipherSuite,
    crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256 as INITIAL,
    quic::{self, KeyChange, Keys},
};
use wire::Reader;

use super::super::{
    frame::{self, Frame},
    packet::Packet,
    stream::Stream,
    version::{Kind, Version},
};

/// Its connection id.
pub(super) const ID: [u8; 6] = [0x51; 6];

/// How it cuts what it says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// Bytes of a message in one packet at most.
    pub(super) part: usize,
    /// Whether packets share a datagram.
    pub(super) together: bool,
}

pub(super) struct Server {
    pub(super) version: Version,
    tls: quic::ServerConnection,
    pub(super) first: Keys,
    pub(super) later: Option<Keys>,
    client: Vec<u8>,
    heard: Stream,
    next: u64,
    said: [u64; 2],
    cut: Cut,
    /// What the client said beside its hello, by the kind of packet.
    pub(super) acknowledged: Vec<Kind>,
    pub(super) left: bool,
}

impl Server {
    pub(super) fn new(config: &Arc<ServerConfig>, version: Version, cut: Cut, id: &[u8]) -> Self {
        let theirs = match version {
            Version::One => quic::Version::V1,
            Version::Two => quic::Version::V2,
        };
        let suite = INITIAL.tls13().and_then(Tls13CipherSuite::quic_suite).unwrap();
        Self {
            version,
            tls: quic::ServerConnection::new(Arc::clone(config), theirs, vec![]).unwrap(),
            first: suite.keys(id, Side::Server, theirs),
            later: None,
            client: Vec::new(),
            heard: Stream::default(),
            next: 0,
            said: [0; 2],
            cut,
            acknowledged: Vec::new(),
            left: false,
        }
    }

    /// Hears a datagram of the client's, which must be as the documents want it.
    pub(super) fn hear(&mut self, datagram: &[u8]) -> Vec<Vec<u8>> {
        let mut r = Reader::new(datagram);
        while !r.is_at_end() {
            let packet = Packet::read(&mut r, self.version).expect("a packet of ours");
            assert!(packet.kind == Kind::Handshake || datagram.len() == 1200);
            self.client = packet.source.to_vec();
            let contents = self.open(&packet);
            let mut frames = Reader::new(&contents);
            while !frames.is_at_end() {
                match Frame::read(&mut frames).expect("a frame") {
                    Frame::Crypto { offset, bytes } => self.heard.keep(offset, bytes).unwrap(),
                    Frame::Ack | Frame::Ping => self.acknowledged.push(packet.kind),
                    Frame::Close(code) => self.left = code == 0,
                    Frame::Padding => {}
                }
            }
        }
        let messages = self.heard.take();
        if messages.is_empty() {
            return Vec::new();
        }
        match self.tls.read_hs(&messages) {
            Ok(()) => self.say(),
            Err(_) => {
                let alert = u8::from(self.tls.alert().unwrap());
                vec![self.packet(Kind::Initial, &[0x1c, 0x41, alert, 6, 0])]
            }
        }
    }

    fn open(&self, packet: &Packet<'_>) -> Vec<u8> {
        let keys = match packet.kind {
            Kind::Initial => &self.first.remote,
            _ => &self.later.as_ref().expect("keys").remote,
        };
        let at = packet.number_at;
        let mut bytes = packet.bytes.to_vec();
        let (head, body) = bytes.split_at_mut(at + 4);
        let (first, number) = head.split_at_mut(1);
        let number = &mut number[at - 1..];
        keys.header.decrypt_in_place(&body[..16], &mut first[0], number).unwrap();
        let number = number.iter().fold(0, |number, octet| number << 8 | u64::from(*octet));
        keys.packet.decrypt_in_place(number, head, body).expect("it opens").to_vec()
    }

    /// What it has to say, as datagrams.
    fn say(&mut self) -> Vec<Vec<u8>> {
        let mut kind = Kind::Initial;
        let mut packets = Vec::new();
        loop {
            let mut messages = Vec::new();
            let change = self.tls.write_hs(&mut messages);
            for part in messages.chunks(self.cut.part) {
                packets.push(self.crypto(kind, part));
            }
            match change {
                Some(KeyChange::Handshake { keys }) => {
                    self.later = Some(keys);
                    kind = Kind::Handshake;
                }
                // What it would say of its own streams.
                Some(KeyChange::OneRtt { .. }) => {}
                None if messages.is_empty() => break,
                None => {}
            }
        }
        if !self.cut.together {
            return packets;
        }
        let mut datagrams: Vec<Vec<u8>> = Vec::new();
        for packet in packets {
            match datagrams.last_mut() {
                Some(last) if last.len() + packet.len() <= 1200 => last.extend(packet),
                _ => datagrams.push(packet),
            }
        }
        // A packet with a short head, which is not for us.
        datagrams.iter_mut().for_each(|datagram| datagram.extend([0x40; 30]));
        datagrams
    }

    /// The next part of a message.
    pub(super) fn crypto(&mut self, kind: Kind, part: &[u8]) -> Vec<u8> {
        let said = &mut self.said[usize::from(kind == Kind::Handshake)];
        let mut frames = vec![2, 0, 0, 0, 0];
        frame::put_crypto(&mut frames, *said, part);
        *said += part.len() as u64;
        self.packet(kind, &frames)
    }

    /// A packet with these frames. Its number takes two bytes.
    pub(super) fn packet(&mut self, kind: Kind, frames: &[u8]) -> Vec<u8> {
        let number = self.next;
        self.next += 1;
        let mut head = vec![0xc1 | self.version.bits(kind) << 4];
        head.extend(self.version.number().to_be_bytes());
        head.push(self.client.len() as u8);
        head.extend(&self.client);
        head.push(ID.len() as u8);
        head.extend(ID);
        if kind == Kind::Initial {
            head.push(0);
        }
        frame::put(&mut head, (2 + frames.len() + 16) as u64);
        let at = head.len();
        head.extend(&number.to_be_bytes()[6..]);
        let keys = match kind {
            Kind::Initial => &self.first.local,
            _ => &self.later.as_ref().expect("keys").local,
        };
        let mut body = frames.to_vec();
        let tag = keys.packet.encrypt_in_place(number, &head, &mut body).unwrap();
        body.extend(tag.as_ref());
        let (first, rest) = head.split_at_mut(1);
        let sample = &body[2..18];
        keys.header.encrypt_in_place(sample, &mut first[0], &mut rest[at - 1..]).unwrap();
        [head, body].concat()
    }
}
