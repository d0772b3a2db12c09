//! Names heard: the name service's answers to others, and what machines answer for or register
//! themselves (LLMNR, NetBIOS).
//!
//! An answer of the name service is about an address and not by it: it makes nobody present.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::{Endpoint, Fact, NameSource, Subject, Use};
use wire::{
    Malformed,
    dns::{Answer, Asked, Data, Name},
    ip, lines,
    nbns::{Claim, NetBiosName, NodeStatus},
};

use super::{Told, dhcp::host_name};
use crate::probe::{dns, said::machine_name};

/// The port of name servers.
pub(super) const DNS_PORT: u16 = 53;
/// The port of link-local multicast name resolution (RFC 4795, section 2).
pub(super) const LLMNR_PORT: u16 = 5355;

/// The bit of a DNS header that tells a response from a query.
const RESPONSE: u8 = 0x80;

fn is_response(bytes: &[u8]) -> bool {
    bytes.get(2).is_some_and(|flags| flags & RESPONSE != 0)
}

/// Questions say whom their sender asks, answers what others are called.
///
/// # Errors
///
/// A message breaks its protocol or is cut.
pub(super) fn of_dns(
    packet: &ip::Packet<'_>,
    bytes: &[u8],
    told: &mut Vec<Told>,
) -> Result<(), Malformed> {
    if !is_response(bytes) {
        let asked = Asked::parse(bytes)?;
        // Resolvers ask servers of domains without recursion: those are not their resolvers.
        if asked.recursion && super::is_of_a_station(packet.destination) {
            let fact = Fact::Use(Use::Resolver(packet.destination));
            told.push(Told::new(Subject::Address(packet.source), fact, &[]));
        }
        return Ok(());
    }
    let answer = Answer::parse_answers(bytes)?;
    of_server(Endpoint::udp(packet.source, DNS_PORT), &answer, told);
    for record in &answer.records {
        let (address, name) = match &record.data {
            Data::Address(address) => (Some(*address), &record.name),
            Data::Pointer(name) => (address_of(&record.name), name),
            _ => continue,
        };
        let Some(address) = address.filter(|address| super::is_of_a_station(*address)) else {
            continue;
        };
        if let Some(name) = host_name(name.to_string().as_bytes()) {
            let fact = Fact::HostName { name, source: NameSource::Dns };
            told.push(Told::new(Subject::Address(address), fact, &[]));
        }
    }
    answer.broken.map_or(Ok(()), Err)
}

/// What an answer says of the server.
pub(super) fn of_server(endpoint: Endpoint, answer: &Answer, told: &mut Vec<Told>) {
    // No error, or no such name: whoever says so looked.
    if matches!(answer.code, 0 | 3) {
        let facts = dns::overheard(answer).into_iter();
        told.extend(facts.map(|fact| Told::new(Subject::Endpoint(endpoint), fact, &[])));
    }
}

/// The address whose reverse name this is (RFC 1035, section 3.5; RFC 3596, section 2.5).
fn address_of(Name(labels): &Name) -> Option<IpAddr> {
    let (zone, digits) = labels
        .split_at_checked(labels.len().checked_sub(2)?)
        .map(|(digits, zone)| (zone.join(".").to_ascii_lowercase(), digits))?;
    match (zone.as_str(), digits.len()) {
        ("in-addr.arpa", 4) => {
            let mut octets = [0; 4];
            for (octet, digits) in octets.iter_mut().rev().zip(digits) {
                *octet = digits.parse().ok()?;
            }
            Some(Ipv4Addr::from(octets).into())
        }
        ("ip6.arpa", 32) => {
            let mut bits = 0_u128;
            for digit in digits.iter().rev() {
                let nibble = u8::from_str_radix(digit, 16).ok().filter(|nibble| *nibble < 16)?;
                bits = bits << 4 | u128::from(nibble);
            }
            Some(Ipv6Addr::from(bits).into())
        }
        _ => None,
    }
}

/// A machine answers for its own name alone (section 2.3): what it says of its own address is
/// its name.
///
/// # Errors
///
/// A message breaks its protocol or is cut.
pub(super) fn of_llmnr(
    packet: &ip::Packet<'_>,
    bytes: &[u8],
    told: &mut Vec<Told>,
) -> Result<(), Malformed> {
    if !is_response(bytes) {
        return Ok(());
    }
    let answer = Answer::parse_answers(bytes)?;
    let own = answer.records.iter();
    for record in own.filter(|record| record.data == Data::Address(packet.source)) {
        if let Some(name) = host_name(record.name.to_string().as_bytes()) {
            let fact = Fact::HostName { name, source: NameSource::Llmnr };
            told.push(Told::new(Subject::Address(packet.source), fact, &[]));
        }
    }
    answer.broken.map_or(Ok(()), Err)
}

/// What a machine registers or answers for, and its status.
///
/// # Errors
///
/// A message breaks its protocol or is cut.
pub(super) fn of_nbns(
    packet: &ip::Packet<'_>,
    bytes: &[u8],
    told: &mut Vec<Told>,
) -> Result<(), Malformed> {
    if let Ok(status) = NodeStatus::parse(bytes) {
        told.extend(status.names.iter().filter_map(|name| netbios(packet.source, name)));
        return Ok(());
    }
    let claim = Claim::parse(bytes)?;
    told.extend(claim.and_then(|claim| own(packet, &claim)));
    Ok(())
}

/// The sender's name in a datagram to others.
///
/// # Errors
///
/// The message breaks its protocol or is cut.
pub(super) fn of_netbios_datagram(
    packet: &ip::Packet<'_>,
    bytes: &[u8],
    told: &mut Vec<Told>,
) -> Result<(), Malformed> {
    let claim = Claim::of_datagram(bytes)?;
    told.extend(claim.and_then(|claim| own(packet, &claim)));
    Ok(())
}

/// Name servers answer for others, and relays send for them: only what somebody says of its
/// own address is its name.
fn own(packet: &ip::Packet<'_>, claim: &Claim) -> Option<Told> {
    (packet.source == IpAddr::V4(claim.address)).then(|| netbios(packet.source, &claim.name))?
}

fn netbios(address: IpAddr, name: &NetBiosName) -> Option<Told> {
    /// Workstation and file server: the machine's own name. Others are domains, groups, people.
    const OF_MACHINES: [u8; 2] = [0x00, 0x20];
    let own = !name.group && OF_MACHINES.contains(&name.suffix);
    let fact = own.then(|| machine_name(&lines::text(&name.name), NameSource::Nbns))??;
    Some(Told::new(Subject::Address(address), fact, &name.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::mdns::reverse;

    #[test]
    fn reverse_names_lead_to_addresses() {
        let name = |text: &str| Name(text.split('.').map(str::to_owned).collect());
        for address in ["192.0.2.7", "2001:db8::7"] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(address_of(&name(&reverse(address))), Some(address));
            assert_eq!(address_of(&name(&reverse(address).to_uppercase())), Some(address));
        }
        for other in [
            "x.in-addr.arpa",
            "1.2.0.192",
            "7.2.0.192.x.in-addr.arpa",
            "300.2.0.192.in-addr.arpa",
            "",
        ] {
            assert_eq!(address_of(&name(other)), None, "{other}");
        }
    }
}
