//! Multicast DNS, RFC 6762: the names that devices announce for their own addresses, the
//! services that they offer there (RFC 6763), and the models that they say they are.

use std::net::IpAddr;

use model::{Endpoint, Fact, NameSource, Service, Subject, Transport};
use wire::{
    Malformed,
    dns::{Answer, Data, Name, Record},
    ip,
};

use super::Told;
use crate::probe::{mdns::describe, product};

/// The port of multicast DNS, of senders as of receivers (section 11).
pub(super) const PORT: u16 = 5353;

/// The bit of a DNS header that tells a response from a query.
const RESPONSE: u8 = 0x80;

/// A response names its sender where one of its address records is the packet's own source:
/// records about others may be anybody's, and sleep proxies answer for them. The services that
/// lead to a name of the sender's own are its own as well.
pub(super) fn read(
    packet: &ip::Packet<'_>,
    bytes: &[u8],
    told: &mut Vec<Told>,
) -> Result<(), Malformed> {
    // Queries are most of the traffic and name nobody.
    if bytes.get(2).is_none_or(|flags| flags & RESPONSE == 0) {
        return Ok(());
    }
    // Section 11: sent with 255, so that less came through a router or a reflector.
    if packet.ttl != u8::MAX || !super::is_of_a_station(packet.source) {
        return Ok(());
    }
    let answer = Answer::parse(bytes)?;
    let subject = packet.source;
    let mut own: Vec<&Name> = Vec::new();
    for record in &answer.records {
        if record.data != Data::Address(subject) {
            continue;
        }
        let raw = record.name.to_string();
        if let Some(name) = super::dhcp::host_name(raw.as_bytes()) {
            let fact = Fact::HostName { name, source: NameSource::Mdns };
            told.push(Told::new(Subject::Address(subject), fact, raw.as_bytes()));
            own.push(&record.name);
        }
    }
    if !own.is_empty() {
        services(subject, &own, &answer.records, told);
        device(subject, &answer.records, told);
    }
    answer.broken.map_or(Ok(()), Err)
}

/// The services whose hosts are the sender's own names.
fn services(address: IpAddr, own: &[&Name], records: &[Record], told: &mut Vec<Told>) {
    for record in records {
        let Data::Service { port, target } = &record.data else { continue };
        if !own.contains(&target) {
            continue;
        }
        let Some((mut service, transport)) = service(&record.name) else { continue };
        // Nothing is there: the record only says that the name is taken (RFC 6763, section 2).
        // 9 is where everything is thrown away (RFC 863).
        if matches!(port, 0 | 9) {
            continue;
        }
        let texts: Vec<Record> = records
            .iter()
            .filter(|other| other.name == record.name && matches!(other.data, Data::Text(_)))
            .cloned()
            .collect();
        let facts = describe(&mut service, &texts);
        let endpoint = Subject::Endpoint(Endpoint { address, transport, port: *port });
        told.push(Told::new(endpoint, Fact::Service(service), &[]));
        told.extend(facts.into_iter().map(|fact| Told::new(Subject::Address(address), fact, &[])));
    }
}

/// The service of an instance's name: `Reception._ipp._tcp.local`. What is in front of its kind
/// is for people, and often has theirs in it.
fn service(Name(labels): &Name) -> Option<(Service, Transport)> {
    let [_, kind, transport, _] = labels.as_slice() else { return None };
    let transport = match transport.to_ascii_lowercase().as_str() {
        "_tcp" => Transport::Tcp,
        "_udp" => Transport::Udp,
        _ => return None,
    };
    let kind = kind.strip_prefix('_')?.to_ascii_lowercase();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if !(1..=15).contains(&kind.len()) || !kind.chars().all(plain) {
        return None;
    }
    let known = KINDS.iter().find(|(name, ..)| *name == kind);
    let (protocol, tls) =
        known.map_or((kind.as_str(), false), |(_, protocol, tls)| (protocol, *tls));
    Some((Service { tls, ..Service::of(protocol) }, transport))
}

/// Kinds of service (IANA, Service Name and Transport Protocol Port Number Registry) that go by
/// another name here, and whether TLS comes first.
const KINDS: &[(&str, &str, bool)] = &[
    ("afpovertcp", "afp", false),
    ("googlecast", "cast", true),
    ("https", "http", true),
    ("ipps", "ipp", true),
    ("pdl-datastream", "jetdirect", false),
    ("printer", "lpd", false),
    ("rfb", "vnc", false),
    ("secure-mqtt", "mqtt", true),
    ("sftp-ssh", "ssh", false),
];

/// The model of the device as a whole, and the system where only one runs on such a model.
fn device(address: IpAddr, records: &[Record], told: &mut Vec<Told>) {
    let is_device = |Name(labels): &Name| {
        labels.get(1).is_some_and(|kind| kind.eq_ignore_ascii_case("_device-info"))
    };
    let texts: Vec<Record> =
        records.iter().filter(|record| is_device(&record.name)).cloned().collect();
    let mut service = Service::of("mdns");
    let facts = describe(&mut service, &texts);
    let Some(model) = service.attributes.get("model") else { return };
    let subject = Subject::Address(address);
    told.extend(system(model).map(|fact| Told::new(subject, fact, model.as_bytes())));
    told.extend(facts.into_iter().map(|fact| Told::new(subject, fact, &[])));
    let endpoint = Subject::Endpoint(Endpoint::udp(address, PORT));
    told.push(Told::new(endpoint, Fact::Service(service), &[]));
}

/// The operating system of a maker that gives each kind of device its own. File servers of
/// others call themselves `Xserve`, `MacPro` or `TimeCapsule` for a nicer picture.
fn system(model: &str) -> Option<Fact> {
    let begins = |known: &str| model.starts_with(known);
    let (name, cpe) = if ["MacBook", "iMac", "Macmini"].into_iter().any(begins) {
        ("macOS", "macos")
    } else if begins("iPhone") {
        ("iOS", "iphone_os")
    } else if begins("iPad") {
        ("iPadOS", "ipados")
    } else if begins("AppleTV") {
        ("tvOS", "tvos")
    } else {
        return None;
    };
    Some(product::system(name, None, Some(("apple", cpe))))
}
