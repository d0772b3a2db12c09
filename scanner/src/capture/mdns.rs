//! Multicast DNS, RFC 6762: the names that devices announce for their own addresses.
//!
//! Only that: what services they offer is asked by `crate::probe::mdns`, one by one.

use std::net::IpAddr;

use model::{Fact, NameSource, Subject};
use wire::{
    Malformed,
    dns::{Answer, Data},
    ip,
};

use super::Told;

/// The port of multicast DNS, of senders as of receivers (section 11).
pub(super) const PORT: u16 = 5353;

/// The bit of a DNS header that tells a response from a query.
const RESPONSE: u8 = 0x80;

/// A response names its sender where one of its address records is the packet's own source:
/// records about others may be anybody's, and sleep proxies answer for them.
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
    let subject: IpAddr = packet.source;
    for record in &answer.records {
        if record.data != Data::Address(subject) {
            continue;
        }
        let raw = record.name.to_string();
        if let Some(name) = super::dhcp::host_name(raw.as_bytes()) {
            let fact = Fact::HostName { name, source: NameSource::Mdns };
            told.push(Told::new(Subject::Address(subject), fact, raw.as_bytes()));
        }
    }
    answer.broken.map_or(Ok(()), Err)
}
