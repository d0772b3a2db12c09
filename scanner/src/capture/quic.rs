//! QUIC: whom a client asks for, and that a server answered.
//!
//! Both hellos can be opened by whoever hears the first packet of the client
//! (`certs::hello::Overheard`). On any port, because a datagram that is no such packet does not
//! open. In bounded memory: so many handshakes, so many seconds of the capture's own clock.

use std::net::IpAddr;

use certs::hello::{Overheard, heard::Carrier};
use model::{
    Endpoint, Fact, FingerprintKind, NameSource, PortState, Service, Subject, Timestamp, Use,
    Volume,
};
use wire::{ip, udp};

use super::{Told, stream::domain_of, under_way::UnderWay};

/// How many handshakes may be under way. With more, the oldest is forgotten.
const MOST: usize = 1_024;

/// How long one is waited for, in seconds: RFC 9000 has a client give up earlier.
const PATIENCE: i64 = 30;

/// Who asks whom: addresses and ports, the client's first.
type Ends = (IpAddr, u16, IpAddr, u16);

/// A handshake that has begun.
#[derive(Debug)]
struct Begun {
    overheard: Box<Overheard>,
    /// Whether the client's hello was told.
    told: bool,
    name: Option<String>,
}

/// The handshakes that are under way.
#[derive(Debug, Default)]
pub(super) struct Handshakes(UnderWay<Ends, Begun, MOST, PATIENCE>);

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
        let stations = [packet.source, packet.destination];
        if !Overheard::is_initial(bytes) || !stations.into_iter().all(super::is_of_a_station) {
            return;
        }
        let (from, to) = (datagram.source_port, datagram.destination_port);
        let forth = (packet.source, from, packet.destination, to);
        let back = (packet.destination, to, packet.source, from);
        if self.0.find(&back).is_some_and(|begun| begun.answered(&back, bytes, told)) {
            self.0.end(&back);
            return;
        }
        if let Some(begun) = self.0.find(&forth) {
            begun.asked(&forth, bytes, told);
        } else if let Some(overheard) = Overheard::begin(bytes) {
            let overheard = Box::new(overheard);
            let begun = self.0.entry(at, forth, || Begun { overheard, told: false, name: None });
            begun.asked(&forth, bytes, told);
        }
    }
}

impl Begun {
    fn asked(&mut self, (client, _, server, _): &Ends, bytes: &[u8], told: &mut Vec<Told>) {
        if self.told {
            return;
        }
        let Some(hello) = self.overheard.said(bytes) else { return };
        self.told = true;
        let mut tell = |fact| told.push(Told::new(Subject::Address(*client), fact, &[]));
        let value = hello.ja4(Carrier::Quic);
        tell(Fact::Fingerprint { kind: FingerprintKind::Ja4, value });
        if let Some(domain) = hello.server_name.as_deref().and_then(|n| domain_of(n, *server)) {
            tell(Fact::Use(Use::Cloud { domain, volume: Volume::Small }));
        }
        self.name = hello.server_name;
    }

    /// Whether the server's hello came.
    fn answered(
        &mut self,
        (_, _, server, port): &Ends,
        bytes: &[u8],
        told: &mut Vec<Told>,
    ) -> bool {
        if self.overheard.heard(bytes).is_none() {
            return false;
        }
        let endpoint = Subject::Endpoint(Endpoint::udp(*server, *port));
        let mut tell = |fact| told.push(Told::new(endpoint, fact, &[]));
        tell(Fact::PortState(PortState::Open));
        tell(Fact::Service(Service { tls: true, ..Service::of("quic") }));
        if let Some(name) = self.name.take() {
            tell(Fact::HostName { name, source: NameSource::ServerName });
        }
        true
    }
}
