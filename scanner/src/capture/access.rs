//! Access to a network: the certificates that EAP carries, between a station and whoever lets it
//! in (EAPOL), and on between that one and its server (RADIUS).
//!
//! The server's certificates are told of the RADIUS server that sent them. On the link nobody
//! can see who is behind the switch or the access point that passes them on, so they are told
//! of that one's MAC address, whose they are not. A station's certificate is told by its key
//! alone, of the station. Names of users are not read. In bounded memory: so many conversations,
//! so many seconds of the capture's own clock.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
};

use certs::hello::{
    TLS12,
    heard::{self, Side},
};
use model::{Endpoint, Fact, MacAddr, PortState, Service, Subject, Timestamp};
use wire::{
    Malformed,
    eap::{self, Piece},
    ip,
    radius::{self, Code},
    udp,
};

use super::{Told, hello, link::Frame, under_way::UnderWay};

/// How many conversations of each kind may be under way. With more, the oldest is forgotten.
const MOST: usize = 128;

/// How many bytes of one side are read: a chain of real certificates has some 8 KiB.
const MOST_BYTES: usize = 16 << 10;

/// How long a conversation is waited for, in seconds: a user may be typing.
const PATIENCE: i64 = 60;

/// What one side says in TLS, put together from packets. They take turns, so that each comes
/// when the one before was heard; only repetitions have to be known.
#[derive(Debug, Default)]
struct Words {
    stream: Vec<u8>,
    /// The message that has begun, and how long it says that it is.
    message: Vec<u8>,
    length: Option<usize>,
    /// The identifier of the packet heard last.
    last: Option<u8>,
    method: Option<eap::Method>,
    told: bool,
}

impl Words {
    /// Takes a piece. What there is to tell of, once a message is whole that may change it.
    fn take(&mut self, identifier: u8, piece: &Piece<'_>) -> Option<Side> {
        if piece.starts {
            // What had begun before will not go on.
            self.message.clear();
            (self.length, self.last) = (None, None);
            return None;
        }
        if piece.bytes.is_empty() || self.last == Some(identifier) {
            return None;
        }
        self.last = Some(identifier);
        if self.message.is_empty() {
            self.length = piece.length;
        }
        self.message.extend_from_slice(piece.bytes);
        let is_too_long = self.message.len().saturating_add(self.stream.len()) > MOST_BYTES;
        if piece.more && !is_too_long {
            return None;
        }
        let message = std::mem::take(&mut self.message);
        if is_too_long || self.length.is_some_and(|length| length != message.len()) {
            return None;
        }
        // A hello begins anew.
        if matches!(message.as_slice(), [22, 3, _, _, _, 1 | 2, ..]) {
            self.stream.clear();
            self.told = false;
        }
        if self.told {
            return None;
        }
        self.method = Some(piece.method);
        self.stream.extend(message);
        Some(heard::side(&self.stream))
    }

    fn method(&self) -> Option<&'static str> {
        self.method.map(eap::Method::as_str)
    }

    fn is_told(&mut self) {
        self.told = true;
        self.stream = Vec::new();
    }

    /// What the server shows, once that is all of it.
    fn of_server(&mut self, identifier: u8, piece: &Piece<'_>) -> Vec<Fact> {
        let Some(side) = self.take(identifier, piece).filter(|side| side.is_over) else {
            return Vec::new();
        };
        self.is_told();
        if side.server.is_none() {
            return Vec::new();
        }
        let method = self.method();
        let facts = [hello::chosen(&side, method), hello::certificates(&side, None, TLS12, method)];
        facts.into_iter().flatten().collect()
    }

    /// The key that the station shows.
    fn of_station(&mut self, identifier: u8, piece: &Piece<'_>) -> Option<Fact> {
        let side = self.take(identifier, piece)?;
        let key = hello::client_key(&side)?;
        self.is_told();
        Some(key)
    }
}

/// Conversations under names.
type Recent<K, V> = UnderWay<K, V, MOST, PATIENCE>;

/// A conversation by RADIUS.
#[derive(Debug, Default)]
struct Conversation {
    server: Words,
    station: Words,
    who: Option<MacAddr>,
}

/// A request: the client's address and port, the server's, and the identifier.
type Asked = (IpAddr, u16, IpAddr, u16, u8);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Access {
    /// On the link: from whom, for whom, and which of the two speaks.
    on_link: Recent<(MacAddr, Option<MacAddr>, eap::Code), Words>,
    conversations: Recent<u64, Conversation>,
    /// Which conversation a request is of.
    asked: Recent<Asked, u64>,
    /// Which conversation a server's mark is of, by its hash.
    marked: Recent<(IpAddr, u64), u64>,
    hasher: RandomState,
    serial: u64,
}

impl Access {
    /// Takes a frame of EAPOL.
    ///
    /// # Errors
    ///
    /// It breaks its protocol or is cut.
    pub(super) fn frame(
        &mut self,
        at: Timestamp,
        frame: &Frame<'_>,
        told: &mut Vec<Told>,
    ) -> Result<(), Malformed> {
        let Some(source) = frame.source.filter(|mac| super::is_of_an_interface(*mac)) else {
            return Ok(());
        };
        let Some(packet) = eap::of_lan(frame.payload)? else { return Ok(()) };
        let eap::Packet { code, identifier, piece: Some(piece) } = eap::Packet::parse(packet)?
        else {
            return Ok(());
        };
        let words = self.on_link.entry(at, (source, frame.destination, code), Default::default);
        let mut tell = |fact| told.push(Told::new(Subject::Mac(source), fact, &[]));
        match code {
            // What the server accepts beside is nothing of who passes it on.
            eap::Code::Request => words
                .of_server(identifier, &piece)
                .into_iter()
                .filter(|fact| matches!(fact, Fact::Certificates(_)))
                .for_each(tell),
            _ => {
                if let Some(key) = words.of_station(identifier, &piece) {
                    tell(key);
                }
            }
        }
        Ok(())
    }

    /// Takes a datagram, which may be anybody's: a port promises no protocol.
    pub(super) fn datagram(
        &mut self,
        at: Timestamp,
        packet: &ip::Packet<'_>,
        datagram: &udp::Datagram<'_>,
        told: &mut Vec<Told>,
    ) {
        let (from, to) = (datagram.source_port, datagram.destination_port);
        let is_server = |port| radius::PORTS.contains(&port);
        if !is_server(from) && !is_server(to) {
            return;
        }
        let Ok(message) = radius::Packet::parse(datagram.payload) else { return };
        match message.code {
            Code::Request if is_server(to) => {
                let asked = (packet.source, from, packet.destination, to, message.identifier);
                self.asks(at, asked, &message, told);
            }
            Code::Challenge | Code::Decision
                if is_server(from) && super::is_of_a_station(packet.source) =>
            {
                let asked = (packet.destination, to, packet.source, from, message.identifier);
                self.answers(at, asked, &message, told);
            }
            _ => {}
        }
    }

    fn mark(&self, server: IpAddr, message: &radius::Packet) -> Option<(IpAddr, u64)> {
        message.state.as_ref().map(|state| (server, self.hasher.hash_one(state)))
    }

    fn asks(
        &mut self,
        at: Timestamp,
        asked: Asked,
        message: &radius::Packet,
        told: &mut Vec<Told>,
    ) {
        let (_, _, server, ..) = asked;
        let mark = self.mark(server, message);
        let known = mark.and_then(|mark| self.marked.find(&mark).copied());
        let number = known.unwrap_or_else(|| {
            self.serial = self.serial.wrapping_add(1);
            self.serial
        });
        *self.asked.entry(at, asked, Default::default) = number;
        let conversation = self.conversations.entry(at, number, Default::default);
        conversation.who = message.station.or(conversation.who);
        let Ok(eap::Packet { code: eap::Code::Response, identifier, piece: Some(piece) }) =
            eap::Packet::parse(&message.eap)
        else {
            return;
        };
        let key = conversation.station.of_station(identifier, &piece);
        if let (Some(key), Some(mac)) = (key, conversation.who)
            && super::is_of_an_interface(mac)
        {
            told.push(Told::new(Subject::Mac(mac), key, &[]));
        }
    }

    fn answers(
        &mut self,
        at: Timestamp,
        asked: Asked,
        message: &radius::Packet,
        told: &mut Vec<Told>,
    ) {
        let (_, _, server, port, _) = asked;
        let endpoint = Subject::Endpoint(Endpoint::udp(server, port));
        let mut tell = |fact| told.push(Told::new(endpoint, fact, &[]));
        tell(Fact::PortState(PortState::Open));
        tell(Fact::Service(Service::of("radius")));
        let Some(number) = self.asked.find(&asked).copied() else { return };
        if let Some(mark) = self.mark(server, message) {
            *self.marked.entry(at, mark, Default::default) = number;
        }
        let Ok(eap::Packet { code: eap::Code::Request, identifier, piece: Some(piece) }) =
            eap::Packet::parse(&message.eap)
        else {
            return;
        };
        let conversation = self.conversations.entry(at, number, Default::default);
        conversation.server.of_server(identifier, &piece).into_iter().for_each(tell);
    }
}
