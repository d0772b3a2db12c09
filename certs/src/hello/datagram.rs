//! Asking a DTLS server (RFC 6347) for its certificates, in datagrams: the pure half.
//!
//! DTLS 1.0 and 1.2 are TLS 1.1 and 1.2 whose messages have numbers and come in fragments, and
//! whose servers may first want their cookie back, so that nobody has them send a chain to
//! somebody else. Everything up to the end of the first flight comes in the clear. Messages are
//! put together here and read by the same code as those of TLS. DTLS 1.3 is not asked for.
//!
//! Datagrams get lost: the caller sends the last one again where no answer comes.

use std::collections::BTreeMap;

use model::TlsVersion;
use wire::Reader;

use super::{
    Collected, HelloError, Progress, Question, Step, TLS11, TLS12,
    ending::Ending,
    fragment::{Fragment, Pieces},
    legacy::Legacy,
    message, offer,
    record::{self, Record},
};

/// DTLS 1.0, RFC 4347.
pub const DTLS10: TlsVersion = TlsVersion(0xfeff);
/// DTLS 1.2, RFC 6347.
pub const DTLS12: TlsVersion = TlsVersion(0xfefd);

/// The most bytes that one server is listened to: no chain comes near.
const MAX_BYTES: usize = 512 << 10;

/// The most messages that wait for an earlier one. A flight has seven.
const MAX_WAITING: usize = 16;

const HELLO_VERIFY_REQUEST: u8 = 3;

/// One attempt to obtain a server's chain over one socket.
#[derive(Debug)]
pub struct DatagramCollector {
    question: Question,
    random: [u8; 32],
    /// What was sent last, and the number of its record.
    last: Vec<u8>,
    sent: u64,
    /// The number of the server's message that is read next. `None` before its hello: after a
    /// cookie some begin with 0 and some with 1.
    next: Option<u16>,
    waiting: BTreeMap<u16, Pieces>,
    legacy: Legacy,
    version: TlsVersion,
    heard: usize,
    ending: Ending,
}

impl DatagramCollector {
    /// Prepares one attempt. `entropy` is 64 random bytes, for the client's random. Of the
    /// question only the name, the kinds of key, the protocols and the suites matter.
    #[must_use]
    pub fn new(question: &Question, entropy: [u8; 64]) -> Self {
        let (random, _) = offer::split(entropy);
        let mut collector = Self {
            question: question.clone(),
            random,
            last: Vec::new(),
            sent: 0,
            next: None,
            waiting: BTreeMap::new(),
            legacy: Legacy::default(),
            version: DTLS10,
            heard: 0,
            ending: Ending::default(),
        };
        collector.say_hello(&[]);
        collector
    }

    /// The datagram to send, or to send again where no answer came.
    #[must_use]
    pub fn last(&self) -> &[u8] {
        &self.last
    }

    /// Takes a datagram of the server's. Once it is done or has failed, more change nothing.
    pub fn feed(&mut self, datagram: &[u8]) -> Progress {
        if self.ending.is_over() {
            return self.ending.progress();
        }
        let step = self.hear(datagram);
        self.take(step)
    }

    /// The server will send no more: its time is over.
    pub fn end(&mut self) -> Progress {
        if self.ending.is_over() {
            return self.ending.progress();
        }
        let why = self.ending.silence(self.heard == 0);
        self.take(Err(why))
    }

    fn take(&mut self, step: Result<Step, HelloError>) -> Progress {
        let version = self.version;
        let collected = || self.legacy.collected().map(|chain| Collected { version, ..chain });
        self.ending.take(step, collected)
    }

    /// What to send before leaving: a `close_notify` alert.
    pub fn farewell(&mut self) -> Vec<u8> {
        self.sent = self.sent.saturating_add(1);
        written(record::ALERT, self.version, self.sent, &[1, 0])
    }

    fn say_hello(&mut self, cookie: &[u8]) {
        let message = offer::datagram(DTLS12, &self.question, self.random, cookie);
        let number = u16::from(!cookie.is_empty());
        // The message's length a second time: it is one fragment (RFC 6347, section 4.2.2).
        let (head, body) = message.split_at(message.len().min(4));
        let length = head.get(1..).unwrap_or_default();
        let message = [head, &number.to_be_bytes(), &[0; 3], length, body].concat();
        self.last = written(record::HANDSHAKE, DTLS10, self.sent, &message);
    }

    fn hear(&mut self, datagram: &[u8]) -> Result<Step, HelloError> {
        let is_first = self.heard == 0;
        self.heard = self.heard.saturating_add(datagram.len().max(1));
        if self.heard > MAX_BYTES {
            return Err(HelloError::TooLarge);
        }
        if is_first && !matches!(datagram, [record::ALERT | record::HANDSHAKE, 0xfe, ..]) {
            return Err(HelloError::NotTls);
        }
        let mut r = Reader::new(datagram);
        while !r.rest().is_empty() {
            let kind = r.u8("type")?;
            let version = r.u16("version")?;
            if version.to_be_bytes().first() != Some(&0xfe) {
                return Err(r.invalid("version", version).into());
            }
            let epoch = r.u16("epoch")?;
            r.take("sequence_number", 6)?;
            let length = r.u16("length")?;
            let body = r.take("fragment", length.into())?;
            // What comes behind is encrypted, and none of ours.
            let step = match (kind, epoch) {
                (record::HANDSHAKE, 0) => self.handshake(body)?,
                (record::ALERT, 0) => self.ending.alert(body)?,
                _ => Step::More,
            };
            if !matches!(step, Step::More) {
                return Ok(step);
            }
        }
        Ok(Step::More)
    }

    /// Takes the fragments of a record.
    fn handshake(&mut self, body: &[u8]) -> Result<Step, HelloError> {
        let mut r = Reader::new(body);
        while !r.rest().is_empty() {
            let fragment = Fragment::read(&mut r)?;
            let Fragment { kind, length, number, bytes, .. } = fragment;
            if length > MAX_BYTES {
                return Err(HelloError::TooLarge);
            }
            if kind == HELLO_VERIFY_REQUEST {
                return self.verify(bytes);
            }
            if kind == message::SERVER_HELLO {
                self.next.get_or_insert(number);
            }
            self.keep(&fragment);
        }
        self.read()
    }

    /// The server wants its cookie back.
    fn verify(&mut self, body: &[u8]) -> Result<Step, HelloError> {
        let mut r = Reader::new(body);
        r.u16("server_version")?;
        let length = r.u8("cookie length")?;
        let cookie = r.take("cookie", length.into())?;
        // One cookie is enough: the same again is an answer to what was sent again.
        if self.sent > 0 || self.next.is_some() || cookie.is_empty() {
            return Ok(Step::More);
        }
        self.sent = 1;
        self.say_hello(cookie);
        Ok(Step::Say(self.last.clone()))
    }

    fn keep(&mut self, fragment: &Fragment<'_>) {
        let Fragment { kind, length, number, .. } = *fragment;
        let is_past = self.next.is_some_and(|next| number < next);
        let is_new = !self.waiting.contains_key(&number);
        if is_past || (is_new && self.waiting.len() >= MAX_WAITING) {
            return;
        }
        self.waiting.entry(number).or_insert_with(|| Pieces::of(kind, length)).keep(fragment);
    }

    /// Reads the messages that are whole, in their order.
    fn read(&mut self) -> Result<Step, HelloError> {
        while let Some(next) = self.next
            && let Some(waiting) = self.waiting.get(&next)
            && let Some(mut body) = waiting.whole()
        {
            let kind = waiting.kind;
            self.waiting.remove(&next);
            self.next = Some(next.saturating_add(1));
            if kind == message::SERVER_HELLO {
                self.translate(&mut body)?;
            }
            let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
            let head = [&[kind], length.get(1..).unwrap_or_default()].concat();
            let body = [head, body].concat();
            let record = Record { kind: record::HANDSHAKE, header: [0; 5], body };
            if let Step::Done = self.legacy.read(record)? {
                return Ok(Step::Done);
            }
        }
        Ok(Step::More)
    }

    /// The version of a ServerHello as the version of TLS that it is.
    fn translate(&mut self, body: &mut [u8]) -> Result<(), HelloError> {
        let Some((version, _)) = body.split_first_chunk_mut::<2>() else { return Ok(()) };
        self.version = TlsVersion(u16::from_be_bytes(*version));
        let of_tls = match self.version {
            DTLS10 => TLS11,
            DTLS12 => TLS12,
            other => return Err(HelloError::Version(other)),
        };
        *version = of_tls.0.to_be_bytes();
        Ok(())
    }
}

/// A record of ours, before anything is encrypted.
fn written(kind: u8, version: TlsVersion, number: u64, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap_or(u16::MAX);
    // Two bytes of epoch, which is 0, and six of the number.
    let number = number.to_be_bytes();
    [&[kind][..], &version.0.to_be_bytes(), &number, &length.to_be_bytes(), body].concat()
}

#[cfg(test)]
mod tests {
    use super::{super::fragment::MAX_FRAGMENTS, *};
    use crate::hello::Kind;

    fn record(kind: u8, body: &[u8]) -> Vec<u8> {
        written(kind, DTLS12, 7, body)
    }

    /// A piece of a message.
    fn piece(kind: u8, number: u8, body: &[u8], place: usize, length: usize) -> Vec<u8> {
        let u24 = |n: usize| u32::try_from(n).unwrap().to_be_bytes()[1..].to_vec();
        let head = [vec![kind], u24(body.len()), vec![0, number], u24(place), u24(length)].concat();
        [head, body[place..place + length].to_vec()].concat()
    }

    fn whole(kind: u8, number: u8, body: &[u8]) -> Vec<u8> {
        record(record::HANDSHAKE, &piece(kind, number, body, 0, body.len()))
    }

    fn server_hello() -> Vec<u8> {
        [&[0xfe, 0xfd][..], &[7; 32], &[0, 0xc0, 0x2f, 0]].concat()
    }

    fn chain() -> Vec<u8> {
        let der = [5; 400];
        let entry = [&[0, 1, 0x90][..], &der].concat();
        [&[0, 1, 0x93][..], &entry].concat()
    }

    fn collector() -> DatagramCollector {
        DatagramCollector::new(&Question::of(Kind::Wide), [7; 64])
    }

    /// The flight of a server, a datagram each.
    fn flight(first: u8) -> Vec<Vec<u8>> {
        let chain = chain();
        let part =
            |place, length| record(record::HANDSHAKE, &piece(11, first + 1, &chain, place, length));
        vec![
            whole(2, first, &server_hello()),
            part(0, 200),
            part(200, chain.len() - 200),
            whole(14, first + 2, &[]),
        ]
    }

    fn is_the_chain(progress: &Progress) -> bool {
        matches!(progress, Progress::Done(collected) if collected.version == DTLS12
            && collected.chain == [vec![5; 400]] && collected.suite == Some(0xc02f))
    }

    #[test]
    fn a_cookie_is_given_back_and_the_chain_put_together() {
        for first in [0, 1] {
            let mut collector = collector();
            assert_eq!(collector.last()[..3], [22, 0xfe, 0xff]);
            assert!(collector.last().len() < 1200, "one packet: {}", collector.last().len());
            let verify = whole(3, 0, b"\xfe\xff\x04salt");
            let Progress::Say(second) = collector.feed(&verify) else { panic!("no answer") };
            assert_eq!(second, collector.last());
            assert!(second.windows(5).any(|bytes| bytes == b"\x04salt"));
            // The same again is no news.
            assert_eq!(collector.feed(&verify), Progress::More);
            let flight = flight(first);
            for datagram in &flight[..3] {
                assert_eq!(collector.feed(datagram), Progress::More);
            }
            assert!(is_the_chain(&collector.feed(&flight[3])));
            assert_eq!(collector.farewell()[..3], [21, 0xfe, 0xfd]);
        }
    }

    #[test]
    fn datagrams_come_in_any_order_again_and_together() {
        let flight = flight(0);
        let mut backwards = collector();
        let mut last = Progress::More;
        for datagram in flight.iter().rev().chain(flight.iter().rev()) {
            last = backwards.feed(datagram);
        }
        assert!(is_the_chain(&last));
        assert!(is_the_chain(&collector().feed(&flight.concat())));
        // Pieces that overlap.
        let chain = chain();
        let mut overlapping = collector();
        for (place, length) in [(0, 10), (100, chain.len() - 100), (5, 100), (0, 7)] {
            let piece = piece(11, 1, &chain, place, length);
            overlapping.feed(&record(record::HANDSHAKE, &piece));
        }
        overlapping.feed(&flight[0]);
        assert!(is_the_chain(&overlapping.feed(&flight[3])));
    }

    #[test]
    fn a_chain_without_an_end_is_kept_and_a_hole_is_none() {
        let flight = flight(0);
        let mut first = collector();
        flight[..3].iter().for_each(|datagram| drop(first.feed(datagram)));
        assert!(is_the_chain(&first.end()));
        let mut second = collector();
        for datagram in [&flight[0], &flight[2], &flight[3]] {
            assert_eq!(second.feed(datagram), Progress::More);
        }
        assert_eq!(second.end(), Progress::Failed(HelloError::Cut));
        assert_eq!(collector().end(), Progress::Failed(HelloError::Silent));
    }

    #[test]
    fn refusals_and_nonsense_are_told() {
        let check = |datagram: &[u8], expected: HelloError| {
            assert_eq!(collector().feed(datagram), Progress::Failed(expected));
        };
        check(&record(record::ALERT, &[2, 40]), HelloError::Alert(40));
        check(b"HTTP/1.1 400", HelloError::NotTls);
        check(b"", HelloError::NotTls);
        let mut older = server_hello();
        older[1] = 0xf0;
        check(&whole(2, 0, &older), HelloError::Version(TlsVersion(0xfef0)));
        let mut endless = collector();
        let junk = record(23, &[0; 60_000]);
        assert_eq!(endless.feed(&record(record::ALERT, &[1, 112])), Progress::More);
        let ended = (0..20).map(|_| endless.feed(&junk)).last();
        assert_eq!(ended, Some(Progress::Failed(HelloError::TooLarge)));
    }

    #[test]
    fn every_cut_and_every_flipped_byte_is_data() {
        let all = flight(0).concat();
        for len in 0..all.len() {
            let mut cut = collector();
            cut.feed(&all[..len]);
            cut.end();
            let mut flipped = all.clone();
            flipped[len] ^= 0x55;
            let mut odd = collector();
            odd.feed(&flipped);
            odd.end();
        }
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut collector = collector();
        for number in 0..200 {
            for place in 0..300 {
                let piece = piece(11, number, &[0; 400], place, 1);
                collector.feed(&record(record::HANDSHAKE, &piece));
            }
        }
        assert!(collector.waiting.len() <= MAX_WAITING);
        assert!(collector.waiting.values().all(|w| w.count() <= MAX_FRAGMENTS));
    }
}
