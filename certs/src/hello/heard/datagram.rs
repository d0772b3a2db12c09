//! What one side of a DTLS handshake sent in the clear (RFC 6347), datagram by datagram.
//!
//! Messages are put together from their fragments and read in the order of their numbers, so
//! that every order of the same datagrams says the same. In bounded memory: so many messages, so
//! many bytes. DTLS 1.3 hides its certificates as TLS 1.3 does; its hellos are read.

use std::collections::BTreeMap;

use wire::Reader;

use super::{
    super::{
        fragment::{Fragment, PIECE, Pieces},
        message,
        record::HANDSHAKE,
    },
    Side,
};

/// The most messages that are kept. A flight has seven, and a client sends two of them.
const MOST_MESSAGES: usize = 24;

/// The most bytes that are kept of one side: no chain that fits a handshake is as long.
const MOST_BYTES: usize = 64 << 10;

/// The messages in which only a server speaks.
const HELLO_VERIFY_REQUEST: u8 = 3;

/// The message in which only a client speaks before its keys change.
const CLIENT_KEY_EXCHANGE: u8 = 16;

/// Which of the two somebody is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// It began.
    Client,
    /// It answers.
    Server,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Datagrams {
    messages: BTreeMap<u16, Pieces>,
    bytes: usize,
    part: Option<Part>,
}

impl Datagrams {
    /// Whether a datagram begins with a part of a handshake in the clear. 0x0100 is the version
    /// of OpenSSL's before the standard.
    #[must_use]
    pub fn is_handshake(datagram: &[u8]) -> bool {
        matches!(datagram, [HANDSHAKE, 0xfe, 0xff | 0xfd, 0, 0, ..] | [HANDSHAKE, 1, 0, 0, 0, ..])
    }

    /// Takes a datagram of this side's. What is no record of DTLS ends it; what came before
    /// stays. What comes under other keys, or refuses, is passed over: it would say the end
    /// before what came earlier on another way.
    pub fn take(&mut self, datagram: &[u8]) {
        let mut r = Reader::new(datagram);
        while let Some((kind, epoch, body)) = record(&mut r) {
            if (kind, epoch) == (HANDSHAKE, 0) {
                self.fragments(body);
            }
        }
    }

    fn fragments(&mut self, body: &[u8]) {
        let mut r = Reader::new(body);
        while let Ok(fragment) = Fragment::read(&mut r) {
            let Fragment { kind, length, number, .. } = fragment;
            match kind {
                1 | CLIENT_KEY_EXCHANGE => self.part = self.part.or(Some(Part::Client)),
                HELLO_VERIFY_REQUEST
                | message::SERVER_HELLO
                | message::SERVER_KEY_EXCHANGE
                | message::CERTIFICATE_REQUEST
                | message::SERVER_HELLO_DONE => self.part = self.part.or(Some(Part::Server)),
                message::CERTIFICATE => {}
                _ => continue,
            }
            // It is about the way there, and its number is that of the hello.
            if kind == HELLO_VERIFY_REQUEST {
                continue;
            }
            let is_new = !self.messages.contains_key(&number);
            let room = MOST_BYTES.saturating_sub(self.bytes);
            if length > MOST_BYTES
                || fragment.bytes.len().saturating_add(PIECE) > room
                || (is_new && self.messages.len() >= MOST_MESSAGES)
            {
                continue;
            }
            let head = if is_new { size_of::<Pieces>() } else { 0 };
            let pieces = self.messages.entry(number).or_insert_with(|| Pieces::of(kind, length));
            self.bytes = self.bytes.saturating_add(head).saturating_add(pieces.keep(&fragment));
        }
    }

    /// Which side this is, once it said something that only one of them says.
    #[must_use]
    pub const fn part(&self) -> Option<Part> {
        self.part
    }

    /// Whether a message has begun that is not whole, so that this side cannot be over.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.messages.values().any(|pieces| !pieces.is_whole())
    }

    /// How many bytes are kept, a head for each message included.
    #[must_use]
    pub const fn room(&self) -> usize {
        self.bytes
    }

    /// What there is so far. It is over where nothing is missing between the hello and the end
    /// of what comes in the clear: the server's hello of DTLS 1.3 or its last word before the
    /// client's answer, and the client's part of the key exchange.
    #[must_use]
    pub fn side(&self) -> Side {
        let mut found = Side::default();
        let (mut next, mut has_gap, mut is_answered) = (None, false, false);
        for (number, pieces) in &self.messages {
            has_gap |= next.is_some_and(|next| next != Some(*number));
            next = Some(number.checked_add(1));
            let Some(body) = pieces.whole() else {
                has_gap = true;
                continue;
            };
            is_answered |= pieces.kind == CLIENT_KEY_EXCHANGE;
            if let Err(error) = found.take(pieces.kind, &body) {
                found.malformed.get_or_insert(error);
            }
        }
        let ends = if found.client.is_some() { is_answered } else { found.is_over };
        let greeted = found.client.is_some() || found.server.is_some();
        found.is_over = found.malformed.is_some() || (greeted && ends && !has_gap);
        found
    }
}

/// The next record: its type, its epoch and what is in it.
fn record<'a>(r: &mut Reader<'a>) -> Option<(u8, u16, &'a [u8])> {
    let kind = r.u8("type").ok()?;
    let version = r.u16("version").ok()?;
    if !matches!(version, 0xfeff | 0xfefd | 0x0100) {
        return None;
    }
    let epoch = r.u16("epoch").ok()?;
    r.take("sequence_number", 6).ok()?;
    let length = r.u16("length").ok()?;
    Some((kind, epoch, r.take("fragment", length.into()).ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(kind: u8, epoch: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&[kind, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 7][..], &length, body].concat()
    }

    /// A piece of a message in a record of its own.
    fn piece(kind: u8, number: u8, body: &[u8], place: usize, length: usize) -> Vec<u8> {
        let u24 = |n: usize| u32::try_from(n).unwrap().to_be_bytes()[1..].to_vec();
        let head = [vec![kind], u24(body.len()), vec![0, number], u24(place), u24(length)].concat();
        record(HANDSHAKE, 0, &[head, body[place..place + length].to_vec()].concat())
    }

    fn whole(kind: u8, number: u8, body: &[u8]) -> Vec<u8> {
        piece(kind, number, body, 0, body.len())
    }

    fn chain(byte: u8) -> Vec<u8> {
        [&[0, 1, 0x93, 0, 1, 0x90][..], &[byte; 400]].concat()
    }

    fn server_hello() -> Vec<u8> {
        [&[0xfe, 0xfd][..], &[7; 32], &[0, 0xc0, 0x2f, 0]].concat()
    }

    fn client_hello(cookie: &[u8]) -> Vec<u8> {
        let head = [&[0xfe, 0xfd][..], &[7; 32], &[0, cookie.len() as u8], cookie].concat();
        [&head[..], &[0, 2, 0xc0, 0x2f, 1, 0]].concat()
    }

    /// A server's flight, a datagram each, with its chain in three pieces that overlap.
    fn server() -> Vec<Vec<u8>> {
        let chain = chain(5);
        vec![
            whole(HELLO_VERIFY_REQUEST, 0, b"\xfe\xff\x04salt"),
            whole(2, 1, &server_hello()),
            piece(11, 2, &chain, 0, 150),
            piece(11, 2, &chain, 100, 200),
            piece(11, 2, &chain, 300, chain.len() - 300),
            whole(13, 3, &[1, 1, 0, 0, 0, 0]),
            whole(14, 4, &[]),
        ]
    }

    fn client() -> Vec<Vec<u8>> {
        vec![
            whole(1, 0, &client_hello(b"")),
            whole(1, 1, &client_hello(b"salt")),
            whole(11, 2, &chain(6)),
            whole(16, 3, &[1, 2, 3]),
            record(20, 0, &[1]),
            record(HANDSHAKE, 1, &[9; 40]),
        ]
    }

    fn hear<'a>(datagrams: impl IntoIterator<Item = &'a Vec<u8>>) -> Datagrams {
        let mut heard = Datagrams::default();
        datagrams.into_iter().for_each(|datagram| heard.take(datagram));
        heard
    }

    #[track_caller]
    fn is_the_server(heard: &Datagrams) {
        let side = heard.side();
        assert_eq!(heard.part(), Some(Part::Server));
        assert_eq!(side.chain, [vec![5; 400]]);
        assert_eq!(side.server.map(|hello| hello.version), Some(super::super::super::DTLS12));
        assert!(side.is_over && side.asks_certificate && side.malformed.is_none());
    }

    #[test]
    fn flights_say_the_same_in_every_order_twice_and_together() {
        let flight = server();
        is_the_server(&hear(&flight));
        is_the_server(&hear(flight.iter().rev()));
        is_the_server(&hear(flight.iter().rev().chain(&flight)));
        is_the_server(&hear(&[flight.concat()]));
        for (forwards, backwards) in [(hear(&client()), hear(client().iter().rev()))] {
            for heard in [forwards, backwards] {
                let side = heard.side();
                assert_eq!((heard.part(), side.is_over), (Some(Part::Client), true));
                assert_eq!(side.chain, [vec![6; 400]]);
                assert!(side.client.is_some());
            }
        }
    }

    #[test]
    fn nothing_is_over_while_something_is_missing() {
        let flight = server();
        for missing in 1..flight.len() {
            let rest = flight.iter().enumerate().filter(|(n, _)| *n != missing);
            let heard = hear(rest.map(|(_, datagram)| datagram));
            assert!(!heard.side().is_over, "without {missing}");
            assert_eq!(heard.waits(), (2..5).contains(&missing), "without {missing}");
        }
        assert!(!hear(&flight[..6]).side().is_over);
        assert!(!hear(&client()[..3]).side().is_over);
        assert!(!hear(&[client()[1].clone(), client()[3].clone()]).side().is_over);
    }

    #[test]
    fn dtls_1_3_is_over_from_its_hello_on() {
        let modern = [&server_hello()[..], &[0, 6, 0, 43, 0, 2, 0xfe, 0xfc]].concat();
        let side = hear(&[whole(2, 0, &modern)]).side();
        assert!(side.is_over && side.chain.is_empty());
    }

    #[test]
    fn what_is_no_handshake_in_the_clear_is_not_taken_for_one() {
        assert!(Datagrams::is_handshake(&server()[0]));
        for other in [&record(HANDSHAKE, 1, &[9; 40])[..], b"", b"\x16\xfe", &[22, 3, 3, 0, 0]] {
            assert!(!Datagrams::is_handshake(other), "{other:?}");
        }
    }

    #[test]
    fn every_cut_and_every_flipped_byte_is_data() {
        let all = [server().concat(), client().concat()].concat();
        for len in 0..all.len() {
            let _ = hear(&[all[..len].to_vec()]).side();
            let mut flipped = all.clone();
            flipped[len] ^= 0x55;
            let _ = hear(&[flipped]).side();
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_large(
            pieces in proptest::collection::vec((any::<u8>(), 0..2_000_usize, 1..500_usize), 0..400),
        ) {
            let body = vec![0; 4_000];
            let mut heard = Datagrams::default();
            for (number, place, length) in pieces {
                heard.take(&piece(11, number, &body, place, length));
                prop_assert!(heard.room() <= MOST_BYTES + MOST_MESSAGES * size_of::<Pieces>());
                prop_assert!(heard.messages.len() <= MOST_MESSAGES);
            }
        }
    }
}
