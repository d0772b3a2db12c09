//! Routers by what they tell each other and everybody: routing protocols, shared addresses,
//! queriers. Passwords that some of these messages carry are never kept.

use std::net::IpAddr;

use model::{Fact, NetworkRole, RedundancyProtocol, RouterProtocol, Subject};
use wire::{Malformed, eigrp, hsrp, igmp, ip, mld, ndp, ospf, vrrp};

use super::Told;

fn role(packet: &ip::Packet<'_>, role: NetworkRole, told: &mut Vec<Told>) {
    if super::is_of_a_station(packet.source) {
        told.push(Told::new(Subject::Address(packet.source), Fact::Role(role), &[]));
    }
}

/// Reads a packet of one of the protocols beside UDP and TCP.
///
/// # Errors
///
/// A message breaks its protocol or is cut.
pub(super) fn read(packet: &ip::Packet<'_>, told: &mut Vec<Told>) -> Result<(), Malformed> {
    match packet.protocol {
        igmp::PROTOCOL => {
            if let igmp::Message::Query(_) = igmp::Message::parse(packet.payload)? {
                role(packet, NetworkRole::GroupQuerier, told);
            }
        }
        eigrp::PROTOCOL => {
            let code = eigrp::Head::parse(packet.payload)?.code;
            if code == eigrp::Head::HELLO {
                role(packet, NetworkRole::Router(RouterProtocol::Eigrp), told);
            }
        }
        ospf::PROTOCOL => {
            ospf::Head::parse(packet.payload)?;
            role(packet, NetworkRole::Router(RouterProtocol::Ospf), told);
        }
        // One that a router passed on is forged (RFC 9568, section 5.1.1.3).
        vrrp::PROTOCOL if packet.ttl == vrrp::HOP_LIMIT => {
            let v6 = packet.source.is_ipv6();
            let shared = match vrrp::Advertisement::parse(packet.payload, v6)? {
                vrrp::Advertisement::Vrrp { group, addresses, .. } => NetworkRole::VirtualRouter {
                    protocol: RedundancyProtocol::Vrrp,
                    group: group.into(),
                    address: addresses.first().copied(),
                },
                vrrp::Advertisement::Carp { group } => NetworkRole::VirtualRouter {
                    protocol: RedundancyProtocol::Carp,
                    group: group.into(),
                    address: None,
                },
            };
            role(packet, shared, told);
        }
        _ => {}
    }
    Ok(())
}

/// HSRP, in a datagram.
///
/// # Errors
///
/// The message breaks its protocol or is cut.
pub(super) fn of_hsrp(
    packet: &ip::Packet<'_>,
    bytes: &[u8],
    told: &mut Vec<Told>,
) -> Result<(), Malformed> {
    let Some(message) = hsrp::Message::parse(bytes)? else { return Ok(()) };
    let protocol = RedundancyProtocol::Hsrp;
    // One that does not know the address yet asks the others for it.
    let address = Some(message.address).filter(|address| !address.is_unspecified());
    role(packet, NetworkRole::VirtualRouter { protocol, group: message.group, address }, told);
    Ok(())
}

/// A router advertisement, or the query of who looks after the link's groups.
///
/// # Errors
///
/// The message breaks its protocol or is cut.
pub(super) fn of_icmpv6(packet: &ip::Packet<'_>, told: &mut Vec<Told>) -> Result<(), Malformed> {
    match packet.payload.first() {
        Some(&ndp::ROUTER_ADVERTISEMENT) if packet.ttl == ndp::HOP_LIMIT => {
            let router = ndp::Router::parse(packet.payload)?;
            let protocol = match router.lifetime {
                0 => RouterProtocol::PrefixAdvertisement,
                _ => RouterProtocol::RouterAdvertisement,
            };
            role(packet, NetworkRole::Router(protocol), told);
        }
        Some(&mld::QUERY) if packet.ttl == mld::HOP_LIMIT && is_of_the_link(packet.source) => {
            role(packet, NetworkRole::GroupQuerier, told);
        }
        _ => {}
    }
    Ok(())
}

/// Queries come from addresses of the link (RFC 3810, section 5.1.14).
fn is_of_the_link(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}
