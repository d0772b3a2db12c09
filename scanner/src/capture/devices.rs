//! Devices that tell everybody what they are: UPnP, WS-Discovery, MikroTik's and Ubiquiti's
//! discovery, controllers. Whoever asked, the answers are read as those to our own questions.

use std::net::{IpAddr, SocketAddr};

use model::{
    DiscoveryProtocol, Endpoint, Fact, MacAddr, Neighbor, NetworkRole, RouterProtocol, Service,
    Subject,
};
use wire::{
    Malformed, bacnet,
    enip::Identity,
    ip, mndp,
    ssdp::{self, Answer},
    ubiquiti,
    ws_discovery::{self, Match},
};

use super::{Told, link::Frame, memo::Memo};
use crate::probe::{
    bacnet::describe,
    said::attribute,
    ssdp as ssdp_facts,
    udp::{control, device},
};

/// By SERVER fields, what they say.
pub(super) type Known = Memo<ssdp_facts::Said>;

/// Tells of a service what is about the service, and of its address what is about the machine.
fn tell(address: IpAddr, port: u16, facts: Vec<Fact>, told: &mut Vec<Told>) {
    for fact in facts {
        let subject = match fact {
            Fact::Service(_) => Subject::Endpoint(Endpoint::udp(address, port)),
            _ => Subject::Address(address),
        };
        told.push(Told::new(subject, fact, &[]));
    }
}

/// What a device announces or answers. Searches are nobody's word about itself.
///
/// # Errors
///
/// The message breaks its protocol or is cut.
pub(super) fn of_ssdp(
    packet: &ip::Packet<'_>,
    bytes: &[u8],
    known: &Known,
    told: &mut Vec<Told>,
) -> Result<(), Malformed> {
    let answer = match bytes.first() {
        Some(b'H') => Some(Answer::parse(bytes)?),
        _ => Answer::of_notice(bytes)?,
    };
    let Some(answer) = answer else { return Ok(()) };
    let said = |server: &str| known.of(server.as_bytes(), || ssdp_facts::said(server));
    tell(packet.source, ssdp::PORT, ssdp_facts::facts_by(&answer, said), told);
    // Where it describes itself a web server answers, if that is its own address.
    let place = answer.location.as_deref().and_then(web_server);
    if let Some(place) = place.filter(|place| place.ip() == packet.source) {
        let endpoint = Endpoint::tcp(place.ip(), place.port());
        told.push(Told::new(Subject::Endpoint(endpoint), Fact::Service(Service::of("http")), &[]));
    }
    Ok(())
}

/// `http://192.0.2.7:49152/description.xml`.
fn web_server(location: &str) -> Option<SocketAddr> {
    let rest = location.strip_prefix("http://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let whole = authority.parse().ok();
    let bare = || authority.parse().ok().map(|address| SocketAddr::new(address, 80));
    whole.or_else(bare).filter(|place: &SocketAddr| place.port() != 0)
}

/// What a device says when it begins or is asked. Questions are passed over.
pub(super) fn of_ws_discovery(packet: &ip::Packet<'_>, bytes: &[u8], told: &mut Vec<Told>) {
    if let Ok(found) = Match::of_hello(bytes).or_else(|_| Match::parse(bytes)) {
        tell(packet.source, ws_discovery::PORT, device::of_ws_discovery(found), told);
    }
}

/// MikroTik's announcement, which is sent to everybody on the link.
pub(super) fn of_mndp(
    frame: &Frame<'_>,
    packet: &ip::Packet<'_>,
    bytes: &[u8],
    told: &mut Vec<Told>,
) {
    let Ok(found) = mndp::Neighbour::parse(bytes) else { return };
    let mac = MacAddr(found.mac);
    // In its own words: its address, from its interface.
    let own = frame.source == Some(mac) && super::is_of_an_interface(mac);
    if own {
        let neighbor = Neighbor {
            chassis: Some(mac.to_string()),
            system_name: found.identity.clone(),
            platform: found.board.clone().or_else(|| found.platform.clone()),
            version: found.version.clone(),
            ..Neighbor::of(DiscoveryProtocol::Mndp)
        };
        told.push(Told::new(Subject::Mac(mac), Fact::Neighbor(neighbor), &[]));
        told.extend(Told::binding(packet.source, mac, &[]));
    }
    if super::is_of_a_station(packet.source) {
        let role = NetworkRole::Router(RouterProtocol::Discovery);
        told.push(Told::new(Subject::Address(packet.source), Fact::Role(role), &[]));
        tell(packet.source, 5_678, device::of_mndp(found), told);
    }
}

/// Ubiquiti's announcement or answer.
pub(super) fn of_ubiquiti(packet: &ip::Packet<'_>, bytes: &[u8], told: &mut Vec<Told>) {
    if let Ok(found) = ubiquiti::Device::parse(bytes) {
        tell(packet.source, 10_001, device::of_ubiquiti(found), told);
    }
}

/// A building controller: its number, which it tells everybody, and its names, where somebody
/// asked for them.
pub(super) fn of_bacnet(packet: &ip::Packet<'_>, bytes: &[u8], told: &mut Vec<Told>) {
    let mut service = Service::of("bacnet");
    if let Ok(Some(device)) = bacnet::IAm::parse(bytes) {
        // One behind a router of its own network is not at the router's address.
        let speaker = device.original.map_or(packet.source, IpAddr::V4);
        if device.routed || !super::is_of_a_station(speaker) {
            return;
        }
        attribute(&mut service, "device_instance", &device.instance.to_string());
        attribute(&mut service, "ashrae_vendor", &device.vendor.to_string());
        tell(speaker, bacnet::PORT, vec![Fact::Service(service)], told);
    } else if let Ok(answer) = bacnet::Answer::parse(bytes)
        && !answer.texts.is_empty()
    {
        let instance = answer.instance.map(|instance| instance.to_string());
        attribute(&mut service, "device_instance", &instance.unwrap_or_default());
        let name = describe(&mut service, &answer);
        let facts = std::iter::once(Fact::Service(service)).chain(name).collect();
        tell(packet.source, bacnet::PORT, facts, told);
    }
}

/// The port of EtherNet/IP's questions for identity (CIP volume 2, section 2-2).
pub(super) const ENIP_PORT: u16 = 44_818;

/// A controller's name plate.
pub(super) fn of_enip(packet: &ip::Packet<'_>, bytes: &[u8], told: &mut Vec<Told>) {
    if let Ok(found) = Identity::parse(bytes) {
        tell(packet.source, ENIP_PORT, control::of_enip(&found), told);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_names_a_web_server() {
        let check = |location: &str, expected: Option<&str>| {
            assert_eq!(web_server(location), expected.map(|place| place.parse().unwrap()));
        };
        check("http://192.0.2.7:49152/d.xml", Some("192.0.2.7:49152"));
        check("http://192.0.2.7/d.xml", Some("192.0.2.7:80"));
        check("http://[2001:db8::7]:80/d.xml", Some("[2001:db8::7]:80"));
        check("http://192.0.2.7:0/", None);
        check("http://host.example:80/", None);
        check("https://192.0.2.7/", None);
    }
}
