//! Whom devices use, and what they say to them in the clear: the time, SNMP, log lines, files.
//!
//! Which file, which community, which line is nobody's business: only that it can be read by
//! everybody on the way.

use model::{Endpoint, Fact, NameSource, PortState, Service, Subject, Use};
use wire::{
    Malformed, ip, ldap, lines,
    ntp::{self, Control, Sender},
    snmp::{self, Head, Message},
    syslog, tftp,
};

use super::Told;
use crate::probe::{
    ldap as directory, ntp as clock,
    said::{attribute, machine_name},
    snmp::{describe, engine},
};

fn cleartext(packet: &ip::Packet<'_>, protocol: &str) -> Option<Told> {
    let (client, server) = (packet.source, packet.destination);
    super::is_of_a_station(server).then(|| {
        let fact = Fact::Use(Use::Cleartext { protocol: protocol.to_owned(), server });
        Told::new(Subject::Address(client), fact, &[])
    })
}

/// Who asks for the time, and who tells it, or what it is where it is asked for that.
///
/// # Errors
///
/// The message breaks its protocol or is cut.
pub(super) fn of_ntp(
    packet: &ip::Packet<'_>,
    bytes: &[u8],
    told: &mut Vec<Told>,
) -> Result<(), Malformed> {
    let own = Control::parse(bytes).ok().and_then(|control| clock::variables(&control));
    if let Some(facts) = own {
        let endpoint = Subject::Endpoint(Endpoint::udp(packet.source, ntp::PORT));
        told.extend(facts.into_iter().map(|fact| Told::new(endpoint, fact, &[])));
        return Ok(());
    }
    match Sender::parse(bytes)? {
        Sender::Client if super::is_of_a_station(packet.destination) => {
            let fact = Fact::Use(Use::TimeServer(packet.destination));
            told.push(Told::new(Subject::Address(packet.source), fact, &[]));
        }
        Sender::Server | Sender::Broadcaster => {
            let endpoint = Endpoint::udp(packet.source, ntp::PORT);
            let fact = Fact::Service(Service::of("ntp"));
            told.push(Told::new(Subject::Endpoint(endpoint), fact, &[]));
        }
        _ => {}
    }
    Ok(())
}

/// Questions and answers, and what agents report of themselves.
///
/// # Errors
///
/// The message breaks its protocol or is cut.
pub(super) fn of_snmp(
    packet: &ip::Packet<'_>,
    from_agent: bool,
    bytes: &[u8],
    told: &mut Vec<Told>,
) -> Result<(), Malformed> {
    let head = Head::parse(bytes)?;
    if let Some(protocol) = match head.version {
        0 => Some("snmp_v1"),
        1 => Some("snmp_v2c"),
        _ => None,
    } && !head.answers
    {
        told.extend(cleartext(packet, protocol));
    }
    if !from_agent {
        return Ok(());
    }
    let mut service = Service::of("snmp");
    let mut facts = Vec::new();
    match Message::parse(bytes)? {
        Message::V3 { engine_id, .. } if !engine_id.is_empty() => {
            attribute(&mut service, "snmp_v3", "yes");
            facts.extend(engine(&mut service, &engine_id));
        }
        Message::V3 { .. } => return Ok(()),
        Message::Community { response, .. } => facts.extend(describe(&mut service, &response)),
    }
    let endpoint = Endpoint::udp(packet.source, snmp::PORT);
    told.push(Told::new(Subject::Endpoint(endpoint), Fact::Service(service), &[]));
    let subject = Subject::Address(packet.source);
    told.extend(facts.into_iter().map(|fact| Told::new(subject, fact, &[])));
    Ok(())
}

/// The host that wrote a log line, where the header names one. What is no log line says nothing.
pub(super) fn of_syslog(packet: &ip::Packet<'_>, bytes: &[u8], told: &mut Vec<Told>) {
    let host = syslog::Header::parse(bytes).ok().and_then(|header| header.host);
    if let Some(host) = host {
        let fact = machine_name(&lines::squeeze(&host), NameSource::Syslog);
        let subject = Subject::Address(packet.source);
        told.extend(fact.map(|fact| Told::new(subject, fact, host.as_bytes())));
    }
}

/// What a directory says of itself by datagram. What is no root DSE says nothing.
pub(super) fn of_ldap(packet: &ip::Packet<'_>, bytes: &[u8], told: &mut Vec<Told>) {
    const PORT: u16 = 389;
    let Some(attributes) = ldap::root(bytes) else { return };
    let subject = Subject::Endpoint(Endpoint::udp(packet.source, PORT));
    let open = Fact::PortState(PortState::Open);
    let facts = directory::read_root(&attributes).into_iter().chain([open]);
    told.extend(facts.map(|fact| Told::new(subject, fact, &[])));
}

/// A request for a file. What is none says nothing.
pub(super) fn of_tftp(packet: &ip::Packet<'_>, bytes: &[u8], told: &mut Vec<Told>) {
    if tftp::request(bytes).is_ok() {
        told.extend(cleartext(packet, "tftp"));
    }
}
