//! Asking a QUIC server (RFC 9000, RFC 9001; version 2 by RFC 9369) for its certificates, in
//! datagrams: the pure half.
//!
//! QUIC is TLS 1.3 whose messages travel in CRYPTO frames, in packets with protection of their
//! own: first under keys that everybody can make, then under those that the hellos agree on.
//! Packets are opened and put together here, the messages are read by the code that reads those
//! of TLS. A server proves nothing before it has seen our address answer, and sends three times
//! what it got until then, so that each of our first datagrams has 1,200 bytes, and what the
//! server sends is acknowledged. Nothing is said after the certificate but farewell.
//!
//! Datagrams get lost: the caller asks for what to send again where no answer comes. What does
//! not open is nobody's, and passed over.

mod frame;
mod keys;
mod overheard;
mod packet;
mod stream;
#[cfg(test)]
mod tests;
mod version;

use std::collections::BTreeSet;

use wire::{Reader, quic::Negotiation};

use super::{
    HelloError, MAX_BYTES, Progress, Question, Shares, Step,
    ending::Ending,
    handshake::{Form, Handshake},
    offer,
};
use frame::Frame;
use keys::{Keys, TAG};
pub use overheard::Overheard;
use packet::{Head, Packet};
use stream::Stream;
use version::{Kind, Version};

/// The longest token that is told again. Those in use have some 100 bytes.
const MAX_TOKEN: usize = 512;

/// The most packets that wait for the keys that open them: a server's first flight.
const MAX_WAITING: usize = 16;

/// The most packet numbers that are remembered, to acknowledge them.
const MAX_NUMBERS: usize = 256;

/// The most Initial packets that answer the server's: a handshake has one or two. They are large,
/// and the server could have us send one for each of its small ones.
const MAX_ANSWERS: u64 = 32;

/// One attempt to obtain a server's chain over one socket.
#[derive(Debug)]
pub struct QuicCollector {
    version: Version,
    handshake: Handshake,
    ours: [u8; 8],
    /// What the server goes by: first what we made up, then what it chose.
    theirs: Vec<u8>,
    /// What to make up for another version; gone once it was.
    other: Option<[u8; 8]>,
    token: Vec<u8>,
    /// Our last hello and its place in the stream of our messages.
    hello: Vec<u8>,
    hello_at: u64,
    first: Space,
    later: Space,
    /// Packets under keys that are not there yet.
    waiting: Vec<Vec<u8>>,
    heard: usize,
    trust: Trust,
    ending: Ending,
}

/// How much of what has come is the server's.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Trust {
    /// Nothing looks like QUIC.
    Noise,
    /// Something has the form of an answer to us.
    Form,
    /// Something opened.
    Opened,
    /// It said that it leaves.
    Left,
}

/// Packets of one kind, which have keys, numbers and a stream of their own.
#[derive(Debug, Default)]
struct Space {
    /// Ours and the server's.
    keys: Option<(Keys, Keys)>,
    /// The number of our next packet.
    next: u64,
    received: BTreeSet<u64>,
    /// How many packets have come that want to be acknowledged and are not.
    owed: usize,
    stream: Stream,
}

impl Space {
    fn note(&mut self, number: u64, is_eliciting: bool) {
        self.received.insert(number);
        if self.received.len() > MAX_NUMBERS {
            self.received.pop_first();
        }
        self.owed = self.owed.saturating_add(usize::from(is_eliciting));
    }

    fn acknowledge(&mut self) -> Vec<u8> {
        let mut frames = Vec::new();
        frame::put_ack(&mut frames, self.received.iter().rev().copied());
        self.owed = 0;
        frames
    }
}

impl QuicCollector {
    /// The size of our datagrams, in bytes (RFC 9000, section 14.1). What is to be said is cut
    /// into pieces of this length; the last one may be shorter.
    pub const DATAGRAM: usize = wire::quic::FIRST_PACKET;

    /// Prepares one attempt of many, with the keys that others did not need. `entropy` is 64
    /// random bytes, for the client's random and the connection ids. Of the question the kind is
    /// one of TLS 1.3.
    ///
    /// # Errors
    /// [`HelloError::NoRandomness`] if the provider cannot make keys.
    pub fn new(
        question: &Question,
        entropy: [u8; 64],
        shares: &Shares,
    ) -> Result<Self, HelloError> {
        let (random, ids) = offer::split(entropy);
        let mut ids = ids.as_chunks::<8>().0.iter().copied();
        let mut id = || ids.next().unwrap_or_default();
        let (ours, theirs, other) = (id(), id(), id());
        let form = Form::Packets(transport_parameters(&ours));
        let handshake = Handshake::new(question.clone(), random, form, shares)?;
        let [version, _] = Version::ALL;
        let hello = handshake.hello().to_vec();
        let keys = Keys::initial(version, &theirs);
        Ok(Self {
            version,
            handshake,
            ours,
            theirs: theirs.to_vec(),
            other: Some(other),
            token: Vec::new(),
            hello,
            hello_at: 0,
            first: Space { keys, ..Space::default() },
            later: Space::default(),
            waiting: Vec::new(),
            heard: 0,
            trust: Trust::Noise,
            ending: Ending::default(),
        })
    }

    /// What to send first, and again where no answer comes: in new packets each time, as a
    /// server passes over a number that it knows.
    pub fn again(&mut self) -> Vec<u8> {
        if self.later.keys.is_none() {
            return self.say_hello();
        }
        let mut frames = self.later.acknowledge();
        frames.push(frame::PING);
        self.seal(Kind::Handshake, frames, 0)
    }

    /// Takes a datagram of the server's. Once it is done or has failed, more change nothing.
    pub fn feed(&mut self, datagram: &[u8]) -> Progress {
        if self.ending.is_over() {
            return self.ending.progress();
        }
        let step = self.hear(datagram);
        self.ending.take(step, || self.handshake.collected())
    }

    /// The server will send no more: its time is over.
    pub fn end(&mut self) -> Progress {
        if self.ending.is_over() {
            return self.ending.progress();
        }
        let why = match self.trust {
            _ if self.heard == 0 => HelloError::Silent,
            Trust::Noise => HelloError::NotTls,
            Trust::Form => HelloError::Undecipherable,
            Trust::Opened | Trust::Left => HelloError::Cut,
        };
        self.ending.take(Err(why), || self.handshake.collected())
    }

    /// What to send before leaving, so that the server does not wait for us. Empty where it has
    /// left, or never came.
    pub fn farewell(&mut self) -> Vec<u8> {
        let goodbye = frame::GOODBYE.to_vec();
        match (self.trust, &self.later.keys) {
            (Trust::Opened, Some(_)) => self.seal(Kind::Handshake, goodbye, 0),
            (Trust::Opened, None) => self.seal(Kind::Initial, goodbye, Self::DATAGRAM),
            (Trust::Noise | Trust::Form | Trust::Left, _) => Vec::new(),
        }
    }

    fn hear(&mut self, datagram: &[u8]) -> Result<Step, HelloError> {
        self.heard = self.heard.saturating_add(datagram.len().max(1));
        if self.heard > MAX_BYTES {
            return Err(HelloError::TooLarge);
        }
        if let Ok(negotiation) = Negotiation::parse(datagram) {
            return self.negotiate(&negotiation);
        }
        let mut r = Reader::new(datagram);
        while let Ok(packet) = Packet::read(&mut r, self.version) {
            // Somebody else's in our datagram (RFC 9000, section 12.2).
            if packet.destination != self.ours {
                continue;
            }
            self.trust = self.trust.max(Trust::Form);
            let step = self.take(&packet)?;
            if !matches!(step, Step::More) {
                return Ok(step);
            }
        }
        Ok(self.answer())
    }

    /// The server does not have the version that we asked in (RFC 9000, section 6.2).
    fn negotiate(&mut self, theirs: &Negotiation) -> Result<Step, HelloError> {
        let is_answer = theirs.destination == self.ours && theirs.source == self.theirs;
        let is_news = !theirs.versions.contains(&self.version.number());
        if !is_answer || !is_news || self.trust > Trust::Form || !self.token.is_empty() {
            return Ok(Step::More);
        }
        let mut ours = Version::ALL.into_iter();
        let version = ours.find(|version| theirs.versions.contains(&version.number()));
        let (Some(version), Some(other)) = (version, self.other.take()) else {
            return Err(HelloError::QuicVersion);
        };
        self.version = version;
        self.theirs = other.to_vec();
        self.first.keys = Keys::initial(version, &other);
        Ok(Step::Say(self.say_hello()))
    }

    fn take(&mut self, packet: &Packet<'_>) -> Result<Step, HelloError> {
        match packet.kind {
            Kind::Initial => {}
            Kind::Handshake if self.later.keys.is_some() => {}
            Kind::Handshake => {
                if self.waiting.len() < MAX_WAITING {
                    self.waiting.push(packet.bytes.to_vec());
                }
                return Ok(Step::More);
            }
            Kind::Retry => return self.retry(packet),
            // Clients alone have those.
            Kind::ZeroRtt => return Ok(Step::More),
        }
        let space = self.space(packet.kind);
        let Some((_, keys)) = &space.keys else { return Ok(Step::More) };
        let opened = keys.open(packet, space.received.last().copied());
        let Some((number, contents)) = opened else { return Ok(Step::More) };
        if self.trust < Trust::Opened {
            self.trust = Trust::Opened;
            self.theirs = packet.source.to_vec();
        }
        // Once chosen it stays (RFC 9000, section 7.2).
        if packet.source != self.theirs {
            return Ok(Step::More);
        }
        self.read_frames(packet.kind, number, &contents)
    }

    /// The server wants its token back, from our address (RFC 9000, section 17.2.5).
    fn retry(&mut self, packet: &Packet<'_>) -> Result<Step, HelloError> {
        let is_first = self.trust < Trust::Opened && self.token.is_empty();
        if !is_first
            || packet.token.is_empty()
            || !keys::is_retry_to(self.version, &self.theirs, packet.bytes)
        {
            return Ok(Step::More);
        }
        if packet.token.len() > MAX_TOKEN {
            return Err(HelloError::TooLarge);
        }
        self.token = packet.token.to_vec();
        self.theirs = packet.source.to_vec();
        self.first.keys = Keys::initial(self.version, &self.theirs);
        Ok(Step::Say(self.say_hello()))
    }

    fn read_frames(
        &mut self,
        kind: Kind,
        number: u64,
        contents: &[u8],
    ) -> Result<Step, HelloError> {
        let space = self.space(kind);
        let mut r = Reader::new(contents);
        let mut is_eliciting = false;
        while !r.is_at_end() {
            let frame = Frame::read(&mut r)?;
            is_eliciting |= frame.is_eliciting();
            match frame {
                Frame::Padding | Frame::Ping | Frame::Ack => {}
                Frame::Crypto { offset, bytes } => space.stream.keep(offset, bytes)?,
                Frame::Close(code) => {
                    self.trust = Trust::Left;
                    return Err(refusal(code));
                }
            }
        }
        space.note(number, is_eliciting);
        let messages = space.stream.take();
        // Once there are keys that not everybody has, nothing counts under the others.
        if messages.is_empty() || (kind == Kind::Initial && self.later.keys.is_some()) {
            return Ok(Step::More);
        }
        match self.handshake.read(&messages)? {
            Step::Say(again) => {
                let length = u64::try_from(self.hello.len()).unwrap_or(u64::MAX);
                self.hello_at = self.hello_at.saturating_add(length);
                self.hello = again;
                Ok(Step::Say(self.say_hello()))
            }
            Step::More if self.later.keys.is_none() => self.change_keys(),
            step => Ok(step),
        }
    }

    /// Makes the keys that were agreed on, if they were, and opens what has waited for them.
    fn change_keys(&mut self) -> Result<Step, HelloError> {
        let Some(agreed) = self.handshake.agreed() else { return Ok(Step::More) };
        let keys = |secret| Keys::new(self.version, agreed.suite, secret);
        let (ours, theirs) = (keys(&agreed.client), keys(&agreed.server));
        self.later.keys = Some(ours.zip(theirs).ok_or(HelloError::KeyShare)?);
        for bytes in std::mem::take(&mut self.waiting) {
            // Whatever came in another version is of no use now.
            let Ok(packet) = Packet::read(&mut Reader::new(&bytes), self.version) else { continue };
            let step = self.take(&packet)?;
            if !matches!(step, Step::More) {
                return Ok(step);
            }
        }
        Ok(Step::More)
    }

    /// What is to be said after a datagram: at once as long as the server may wait for it to
    /// send more, later every second time (RFC 9000, section 13.2.2). A server that goes on with
    /// Initial packets has not heard what we said after them.
    fn answer(&mut self) -> Step {
        let changes = self.later.keys.is_some() && self.later.next == 0;
        let first = self.first.owed > 0 && self.first.next < MAX_ANSWERS;
        let is_due = changes || first || self.later.owed >= 2;
        if is_due { Step::Say(self.acknowledge()) } else { Step::More }
    }

    /// Acknowledges what has come, once more in an Initial packet with the first one under the
    /// new keys, after which there is none (RFC 9001, section 4.9.1).
    fn acknowledge(&mut self) -> Vec<u8> {
        let is_first = self.later.next == 0;
        let mut later = Vec::new();
        if self.later.keys.is_some() {
            let mut frames = self.later.acknowledge();
            // Any such packet proves our address.
            if frames.is_empty() {
                frames.push(frame::PING);
            }
            later = self.seal(Kind::Handshake, frames, 0);
        }
        let frames = self.first.acknowledge();
        if !is_first {
            return later;
        }
        let size = Self::DATAGRAM.saturating_sub(later.len());
        [self.seal(Kind::Initial, frames, size), later].concat()
    }

    /// Our hello, in as many datagrams as it needs.
    fn say_hello(&mut self) -> Vec<u8> {
        let hello = std::mem::take(&mut self.hello);
        let mut frames = self.first.acknowledge();
        let beside = self.head(Kind::Initial).len().saturating_add(TAG);
        let beside = beside.saturating_add(frame::CRYPTO_HEAD).saturating_add(frames.len());
        // More than 300 bytes at the least, by the bounds of the rest.
        let room = Self::DATAGRAM.saturating_sub(beside).max(1);
        let mut place = self.hello_at;
        let mut out = Vec::new();
        for part in hello.chunks(room) {
            frame::put_crypto(&mut frames, place, part);
            place = place.saturating_add(u64::try_from(part.len()).unwrap_or(u64::MAX));
            out.extend(self.seal(Kind::Initial, std::mem::take(&mut frames), Self::DATAGRAM));
        }
        self.hello = hello;
        out
    }

    const fn space(&mut self, kind: Kind) -> &mut Space {
        match kind {
            Kind::Handshake => &mut self.later,
            Kind::Initial | Kind::ZeroRtt | Kind::Retry => &mut self.first,
        }
    }

    fn head(&self, kind: Kind) -> Head<'_> {
        let Self { version, theirs: destination, ours: source, token, .. } = self;
        Head { version: *version, kind, destination, source, token }
    }

    /// A packet with these frames, filled up to that size where it is smaller.
    fn seal(&mut self, kind: Kind, mut frames: Vec<u8>, size: usize) -> Vec<u8> {
        let number = self.space(kind).next;
        self.space(kind).next = number.saturating_add(1);
        let head = self.head(kind);
        let room = size.saturating_sub(head.len()).saturating_sub(TAG);
        // PADDING frames are zeros.
        frames.resize(frames.len().max(room), 0);
        let head = head.write(number, frames.len().saturating_add(TAG));
        let keys = self.space(kind).keys.as_ref();
        keys.and_then(|(ours, _)| ours.seal(number, &head, &frames)).unwrap_or_default()
    }
}

/// What a server is told about us (RFC 9000, section 18.2): our connection id, which it must
/// hear here too, that we are gone after ten seconds of silence, and that it may open the streams
/// that servers of HTTP/3 insist on.
fn transport_parameters(ours: &[u8; 8]) -> Vec<u8> {
    let mut out = vec![0x0f, 8];
    out.extend(ours);
    // The idle timeout in milliseconds, the bytes in all and of a stream of theirs, the streams.
    for (kind, value) in [(1, 10_000), (4, 65_536), (7, 16_384), (9, 3)] {
        let mut number = Vec::new();
        frame::put(&mut number, value);
        out.push(kind);
        out.extend(u8::try_from(number.len()));
        out.extend(number);
    }
    out
}

/// An alert of TLS has its number behind 0x01 (RFC 9001, section 4.8).
fn refusal(code: u64) -> HelloError {
    match u16::try_from(code).map(u16::to_be_bytes) {
        Ok([1, alert]) => HelloError::Alert(alert),
        _ => HelloError::Quic(code),
    }
}
