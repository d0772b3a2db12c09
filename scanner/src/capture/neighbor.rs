//! Neighbour discovery, RFC 4861.

use std::net::IpAddr;

use model::MacAddr;
use wire::{
    Malformed, ip,
    ndp::{ADVERTISEMENT, HOP_LIMIT, LinkLayer, ROUTER_SOLICITATION},
};

use super::Told;

/// Questions and reports of who listens to which groups: queries, and reports of both versions
/// (RFC 2710 and RFC 3810).
const LISTENERS: [u8; 4] = [130, 131, 132, 143];

/// Solicitations and router messages name the link-layer address of their sender, neighbour
/// advertisements that of the address they are about. Who asks whether an address is free
/// (RFC 4862, section 5.4.2) sends from the unspecified one and binds nothing.
pub(super) fn read(
    frame_source: Option<MacAddr>,
    packet: &ip::Packet<'_>,
    told: &mut Vec<Told>,
) -> Result<(), Malformed> {
    super::routing::of_icmpv6(packet, told)?;
    if packet.payload.first().is_some_and(|kind| LISTENERS.contains(kind)) {
        super::on_link::bind(frame_source, packet, told);
    }
    let is_discovery = packet
        .payload
        .first()
        .is_some_and(|kind| (ROUTER_SOLICITATION..=ADVERTISEMENT).contains(kind));
    // Another hop limit means that a router passed it on: the sender is not on this link
    // (section 3.1), whatever it says.
    if !is_discovery || packet.ttl != HOP_LIMIT {
        return Ok(());
    }
    let message = match LinkLayer::parse(packet.payload) {
        Ok(message) => message,
        Err(error) => {
            told.extend(Told::anomaly(frame_source, "ndp", &error));
            return Err(error);
        }
    };
    let claim = match message.kind {
        ADVERTISEMENT => message.target.map(IpAddr::V6).zip(message.target_mac),
        _ => message.source_mac.map(|mac| (packet.source, mac)),
    };
    let Some((address, mac)) = claim else { return Ok(()) };
    match frame_source {
        Some(source) if source != mac => {
            if super::is_of_an_interface(source) {
                let problem = "the message names another sender than the frame".to_owned();
                told.push(Told::problem(source, "ndp", problem));
            }
        }
        _ => told.extend(Told::binding(address, mac, packet.payload)),
    }
    Ok(())
}
