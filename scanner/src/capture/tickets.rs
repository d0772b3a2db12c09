//! Requests for Kerberos tickets, and the answers: which machine asked, and which realm's centre
//! answered. Who asked at that machine is nobody's business and is not read.

use model::{Endpoint, Fact, NameSource, PortState, Service, Subject};
use wire::{ip, kerberos::Message, udp};

use super::Told;
use crate::probe::said::{attribute, machine_name};

/// The port of key distribution centres (RFC 4120, section 7.2.1).
pub(super) const PORT: u16 = 88;

/// Reads a datagram. What is no such message says nothing.
pub(super) fn read(packet: &ip::Packet<'_>, datagram: &udp::Datagram<'_>, told: &mut Vec<Told>) {
    let Ok(message) = Message::parse(datagram.payload) else { return };
    let is_answer = !matches!(message, Message::Request { .. });
    let (client, server) = match is_answer {
        true => (packet.destination, packet.source),
        false => (packet.source, packet.destination),
    };
    // Somebody else's answer, or a client that chose that port, is of no centre.
    if is_answer != (datagram.source_port == PORT) || !super::is_of_a_station(client) {
        return;
    }
    let of = |subject| move |fact| Told::new(subject, fact, &[]);
    told.extend(of_client(&message).into_iter().map(of(Subject::Address(client))));
    let facts = of_server(&message);
    if !facts.is_empty() {
        let endpoint = Subject::Endpoint(Endpoint::udp(server, PORT));
        let open = Fact::PortState(PortState::Open);
        told.extend(facts.into_iter().chain([open]).map(of(endpoint)));
    }
}

/// What a message says of the client's machine.
pub(super) fn of_client(message: &Message) -> Vec<Fact> {
    let names = match message {
        Message::Request { machines } => machines.as_slice(),
        Message::Ticket { machine, .. } => machine.as_slice(),
        Message::Refused(_) => &[],
    };
    names.iter().filter_map(|name| machine_name(name, NameSource::Kerberos)).collect()
}

/// What an answer says of the centre.
pub(super) fn of_server(message: &Message) -> Vec<Fact> {
    let realm = match message {
        Message::Request { .. } => return Vec::new(),
        Message::Ticket { realm, .. } => realm.as_deref(),
        Message::Refused(refusal) => Some(refusal.realm.as_str()),
    };
    let mut service = Service::of("kerberos");
    if let Some(realm) = realm {
        attribute(&mut service, "realm", realm);
    }
    vec![Fact::Service(service)]
}
