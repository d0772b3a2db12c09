//! DTLS: whom a client asks for, what a server chose and, up to DTLS 1.2, the certificates.
//!
//! On any port, because a handshake shows itself. Who is the server is known by what each says,
//! not by who speaks first or has which port, so that shuffled datagrams tell the same. The ends
//! of a call (WebRTC) do the same handshake and serve nobody: nothing is said of those. In
//! bounded memory: so many handshakes, so many bytes, so many seconds of the capture's own clock.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
};

use certs::hello::heard::{self, Carrier, Datagrams, Part, Side};
use model::{
    Endpoint, Fact, FingerprintKind, NameSource, PortState, Service, Subject, Timestamp, Use,
    Volume,
};
use wire::{ip, udp};

use super::{Told, hello, stream::domain_of};

/// How many handshakes may be under way. With more, the oldest tells what it has.
const MOST: usize = 1_024;

/// How many bytes they hold together.
const MOST_BYTES: usize = 8 << 20;

/// How long one is waited for, in seconds. Lost flights are sent again after 1, 2, 4 and 8
/// (RFC 6347, section 4.2.4.1).
const PATIENCE: i64 = 30;

/// An address and a port.
type End = (IpAddr, u16);

/// A handshake that has begun.
#[derive(Debug)]
struct Begun {
    since: Timestamp,
    last: Timestamp,
    /// What each end said, in the order of the ends.
    sides: [Datagrams; 2],
    /// Whether all was told; the rest of the time only keeps its repetitions from beginning
    /// another.
    told: bool,
}

/// The handshakes that are under way, by their two ends in order.
#[derive(Debug, Default)]
pub(super) struct Handshakes {
    begun: HashMap<[End; 2], Begun>,
    /// In the order of their beginnings.
    order: VecDeque<(Timestamp, [End; 2])>,
    bytes: usize,
}

impl Handshakes {
    /// Takes a datagram, which may be anybody's.
    pub(super) fn take(
        &mut self,
        at: Timestamp,
        packet: &ip::Packet<'_>,
        datagram: &udp::Datagram<'_>,
        told: &mut Vec<Told>,
    ) {
        let bytes = datagram.payload;
        if !Datagrams::is_handshake(bytes)
            || ![packet.source, packet.destination].into_iter().all(super::is_of_a_station)
        {
            return;
        }
        self.settle_before(at, told);
        let from = (packet.source, datagram.source_port);
        let to = (packet.destination, datagram.destination_port);
        let ends = if from <= to { [from, to] } else { [to, from] };
        let order = &mut self.order;
        let begun = self.begun.entry(ends).or_insert_with(|| {
            order.push_back((at, ends));
            let sides = <[Datagrams; 2]>::default();
            Begun { since: at, last: at, sides, told: false }
        });
        if begun.told {
            return;
        }
        begun.last = at;
        let [low, high] = &mut begun.sides;
        let side = if ends.first() == Some(&from) { low } else { high };
        let before = side.room();
        side.take(bytes);
        let grew = side.room() > before;
        self.bytes = self.bytes.saturating_add(side.room()).saturating_sub(before);
        if grew && !begun.sides.iter().any(Datagrams::waits) && begun.tell(&ends, false, told) {
            self.bytes = self.bytes.saturating_sub(begun.room());
            begun.sides = <[Datagrams; 2]>::default();
            begun.told = true;
        }
        while self.order.len() > MOST || self.bytes > MOST_BYTES {
            self.settle_oldest(told);
        }
    }

    /// How many bytes it holds.
    pub(super) const fn memory(&self) -> usize {
        self.bytes
    }

    /// Tells what there is of those that have had their time.
    pub(super) fn settle_before(&mut self, now: Timestamp, told: &mut Vec<Told>) {
        while self
            .order
            .front()
            .is_some_and(|(since, _)| now.seconds_since(*since).saturating_abs() > PATIENCE)
        {
            self.settle_oldest(told);
        }
    }

    /// Tells what there is.
    pub(super) fn settle_all(&mut self, told: &mut Vec<Told>) {
        while !self.order.is_empty() {
            self.settle_oldest(told);
        }
    }

    fn settle_oldest(&mut self, told: &mut Vec<Told>) {
        let Some((since, ends)) = self.order.pop_front() else { return };
        if self.begun.get(&ends).is_none_or(|begun| begun.since != since) {
            return;
        }
        let Some(begun) = self.begun.remove(&ends) else { return };
        self.bytes = self.bytes.saturating_sub(begun.room());
        if !begun.told {
            begun.tell(&ends, true, told);
        }
    }
}

impl Begun {
    fn room(&self) -> usize {
        self.sides.iter().map(Datagrams::room).fold(0, usize::saturating_add)
    }

    /// Tells what the two said, where that is all of it, or where no more is waited for. Says
    /// whether it did.
    fn tell(&self, ends: &[End; 2], ended: bool, told: &mut Vec<Told>) -> bool {
        let [low, high] = &self.sides;
        let ([low_end, high_end], parts) = (ends, (low.part(), high.part()));
        let (client, server, client_end, server_end) = match parts {
            (Some(Part::Client), None | Some(Part::Server)) | (None, Some(Part::Server)) => {
                (low, high, low_end, high_end)
            }
            (Some(Part::Server), None | Some(Part::Client)) | (None, Some(Part::Client)) => {
                (high, low, high_end, low_end)
            }
            // Nobody said who it is, or both say the same.
            _ => return false,
        };
        let (client, server) = (client.side(), server.side());
        // Who is asked for a certificate answers before the keys change.
        let client_is_over =
            client.is_over || (client.client.is_some() && !server.asks_certificate);
        if !(ended || (server.is_over && client_is_over)) {
            return false;
        }
        let before = told.len();
        // The ends of a call make their keys up for it.
        let is_call = client.client.as_ref().is_some_and(heard::ClientHello::is_for_a_call)
            || server.server.as_ref().is_some_and(heard::ServerHello::is_for_a_call);
        of_client(&client, client_end.0, server_end.0, told);
        if !is_call {
            told.extend(
                hello::client_key(&client)
                    .map(|key| Told::new(Subject::Address(client_end.0), key, &[])),
            );
            of_server(&client, &server, *server_end, told);
        }
        told.iter_mut().skip(before).for_each(|fact| fact.at = Some(self.last));
        true
    }
}

fn of_client(client: &Side, address: IpAddr, server: IpAddr, told: &mut Vec<Told>) {
    let mut tell = |fact| told.push(Told::new(Subject::Address(address), fact, &[]));
    if let Some(hello) = &client.client {
        let value = hello.ja4(Carrier::Datagram);
        tell(Fact::Fingerprint { kind: FingerprintKind::Ja4, value });
        if let Some(domain) = hello.server_name.as_deref().and_then(|n| domain_of(n, server)) {
            tell(Fact::Use(Use::Cloud { domain, volume: Volume::Small }));
        }
    }
}

fn of_server(client: &Side, server: &Side, (address, port): End, told: &mut Vec<Told>) {
    let Some(chosen) = &server.server else { return };
    let mut tell = |fact| {
        told.push(Told::new(Subject::Endpoint(Endpoint::udp(address, port)), fact, &[]));
    };
    tell(Fact::PortState(PortState::Open));
    let mut service = Service::of("dtls");
    service.attributes.insert("dtls_version".to_owned(), chosen.version.to_string());
    tell(Fact::Service(service));
    let name = client.client.as_ref().and_then(|hello| hello.server_name.clone());
    if let Some(name) = name.clone() {
        tell(Fact::HostName { name, source: NameSource::ServerName });
    }
    let facts =
        [hello::chosen(server, None), hello::certificates(server, name, chosen.version, None)];
    facts.into_iter().flatten().for_each(tell);
}
