//! The hellos of two others by QUIC, for who listens.
//!
//! Initial packets are closed with keys that follow from the destination of the client's first
//! one (RFC 9001, section 5.2), so that everybody on the way can open them: they keep nothing
//! secret. What comes after the hellos stays closed.

use wire::Reader;

use super::{
    frame::Frame,
    keys::Keys,
    packet::Packet,
    stream::Stream,
    version::{Kind, Version},
};
use crate::hello::heard::{ClientHello, ServerHello};

/// The longest hello that is put together, in bytes: some four times what browsers send with
/// keys for after quantum computers.
const LONGEST_HELLO: u64 = 8 << 10;

/// One handshake, as far as it was heard.
#[derive(Debug)]
pub struct Overheard {
    version: Version,
    client: Side,
    server: Side,
}

/// One direction.
#[derive(Debug)]
struct Side {
    keys: Keys,
    largest: Option<u64>,
    stream: Stream,
    hello: Vec<u8>,
}

impl Overheard {
    /// Whether a datagram begins as the Initial packets of a version that we can open. Those
    /// that clients send fill 1,200 bytes (RFC 9000, section 14.1), and so do the servers' that
    /// want an answer.
    #[must_use]
    pub fn is_initial(datagram: &[u8]) -> bool {
        datagram.len() >= wire::quic::FIRST_PACKET
            && version_of(datagram).is_some_and(|version| {
                let bits = datagram.first().map_or(0, |first| (first >> 4) & 3);
                version.kind(bits) == Some(Kind::Initial)
            })
    }

    /// Begins with a datagram of the client. `None` for one of which no packet opens: it is the
    /// server's, or a later one of a handshake whose beginning was not heard.
    #[must_use]
    pub fn begin(datagram: &[u8]) -> Option<Self> {
        let version = version_of(datagram)?;
        let first = Packet::read(&mut Reader::new(datagram), version).ok()?;
        if first.kind != Kind::Initial {
            return None;
        }
        let (client, server) = Keys::initial(version, first.destination)?;
        client.open(&first, None)?;
        Some(Self { version, client: Side::with(client), server: Side::with(server) })
    }

    /// Takes a datagram of the client: its hello, once all of it has come.
    pub fn said(&mut self, datagram: &[u8]) -> Option<ClientHello> {
        if !self.client.take(self.version, datagram) {
            // A Retry has it begin anew, under keys of what the server calls itself.
            *self = Self::begin(datagram)?;
            self.client.take(self.version, datagram);
        }
        self.client.message(1).and_then(|body| ClientHello::read(body).ok())
    }

    /// Takes a datagram of the server: its hello, once all of it has come.
    pub fn heard(&mut self, datagram: &[u8]) -> Option<ServerHello> {
        self.server.take(self.version, datagram);
        self.server.message(2).and_then(|body| ServerHello::read(body).ok())
    }
}

impl Side {
    const fn with(keys: Keys) -> Self {
        Self { keys, largest: None, stream: Stream::new(), hello: Vec::new() }
    }

    /// Takes what the Initial packets of a datagram bring. Whether any of them opened.
    fn take(&mut self, version: Version, datagram: &[u8]) -> bool {
        let mut r = Reader::new(datagram);
        let mut opened = false;
        while let Ok(packet) = Packet::read(&mut r, version) {
            if packet.kind != Kind::Initial {
                continue;
            }
            let Some((number, contents)) = self.keys.open(&packet, self.largest) else { continue };
            opened = true;
            self.largest = self.largest.max(Some(number));
            let mut frames = Reader::new(&contents);
            while !frames.is_at_end() {
                let Ok(frame) = Frame::read(&mut frames) else { break };
                if let Frame::Crypto { offset, bytes } = frame
                    && offset < LONGEST_HELLO
                {
                    // One that is too long for it is not put together.
                    let _ = self.stream.keep(offset, bytes);
                }
            }
            self.hello.extend(self.stream.take());
        }
        opened
    }

    /// The body of the first message, if it is whole and of that type (RFC 8446, section 4).
    fn message(&self, wanted: u8) -> Option<&[u8]> {
        let mut r = Reader::new(&self.hello);
        let kind = r.u8("message type").ok()?;
        let [a, b, c] = *r.take("length", 3).ok()?.first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()?;
        let body = r.take("message", length).ok()?;
        (kind == wanted).then_some(body)
    }
}

/// The version of a packet with a long head, if it is one of ours.
fn version_of(datagram: &[u8]) -> Option<Version> {
    let [first, number @ ..] = datagram.first_chunk::<5>()?;
    let number = u32::from_be_bytes(*number);
    let is_long = first & 0xc0 == 0xc0;
    Version::ALL.into_iter().find(|version| is_long && version.number() == number)
}

#[cfg(test)]
mod tests {
    use super::{super::frame::put_crypto, super::packet::Head, *};

    const DESTINATION: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8];

    /// A hello of TLS 1.3 that asks for a name, so long that two datagrams are wanted.
    fn client_hello(name: &str) -> Vec<u8> {
        let length = |bytes: usize| u16::try_from(bytes).unwrap().to_be_bytes();
        let mut server_name = length(name.len() + 3).to_vec();
        server_name.push(0);
        server_name.extend(length(name.len()));
        server_name.extend(name.as_bytes());
        let mut extensions = vec![0, 21];
        extensions.extend(length(1_500));
        extensions.extend([0; 1_500]);
        extensions.extend([0, 0]);
        extensions.extend(length(server_name.len()));
        extensions.extend(server_name);
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([0, 0, 2, 0x13, 1, 1, 0]);
        body.extend(length(extensions.len()));
        body.extend(extensions);
        message(1, &body)
    }

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut out = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
        out[0] = kind;
        out.extend(body);
        out
    }

    /// An Initial packet with a piece of a message, padded to 1,200 bytes.
    fn datagram(
        keys: &Keys,
        version: Version,
        number: u64,
        offset: usize,
        piece: &[u8],
    ) -> Vec<u8> {
        let head = Head {
            version,
            kind: Kind::Initial,
            destination: DESTINATION,
            source: &[9; 8],
            token: &[],
        };
        let mut frames = Vec::new();
        put_crypto(&mut frames, offset as u64, piece);
        frames.resize(1_200 - head.len() - super::super::keys::TAG, 0);
        let head = head.write(number, frames.len() + super::super::keys::TAG);
        keys.seal(number, &head, &frames).unwrap()
    }

    #[test]
    fn both_hellos_are_heard_in_pieces_and_in_any_order() {
        for version in Version::ALL {
            let (client, server) = Keys::initial(version, DESTINATION).unwrap();
            let hello = client_hello("www.example.org");
            let (first, second) = hello.split_at(1_000);
            let first = datagram(&client, version, 0, 0, first);
            let second = datagram(&client, version, 1, 1_000, second);
            for [one, two] in [[&first, &second], [&second, &first]] {
                assert!(Overheard::is_initial(one));
                let mut heard = Overheard::begin(one).unwrap();
                assert_eq!(heard.said(one), None);
                let hello = heard.said(two).unwrap();
                assert_eq!(hello.server_name.as_deref(), Some("www.example.org"));
            }
            let mut body = vec![3, 3];
            body.extend([7; 32]);
            body.extend([0, 0x13, 1, 0, 0, 0]);
            let answer = datagram(&server, version, 0, 0, &message(2, &body));
            assert!(Overheard::begin(&answer).is_none(), "that is not a client's");
            let mut heard = Overheard::begin(&first).unwrap();
            assert!(heard.heard(&answer).is_some());
        }
    }

    #[test]
    fn what_is_damaged_or_no_initial_packet_is_passed_over() {
        let (client, _) = Keys::initial(Version::One, DESTINATION).unwrap();
        let whole = datagram(&client, Version::One, 0, 0, &client_hello("a.example")[..900]);
        for cut in 0..whole.len() {
            assert!(Overheard::begin(&whole[..cut]).is_none());
            assert!(!Overheard::is_initial(&whole[..cut]));
        }
        for place in [0, 1, 5, 20, 100, whole.len() - 1] {
            let mut damaged = whole.clone();
            damaged[place] ^= 0x10;
            assert!(Overheard::begin(&damaged).is_none(), "{place}");
        }
        let mut heard = Overheard::begin(&whole).unwrap();
        assert_eq!(heard.said(&[0xc0; 1_200]), None);
        assert!(heard.heard(&whole).is_none(), "a client's packet is no server's");
    }
}
