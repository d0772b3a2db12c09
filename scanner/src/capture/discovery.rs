//! What devices tell whoever is at the other end of their cable: LLDP, CDP, EDP, FDP, the
//! spanning tree, and PROFINET's discovery. All at the link layer, so all about the sender of
//! the frame.

use model::{
    DiscoveryProtocol, Fact, MacAddr, MachineIdKind, NameSource, Neighbor, NetworkRole,
    RouterProtocol, Subject,
};
use wire::{Malformed, cdp, dcp, edp, llc, lldp, stp};

use super::{Told, link::Frame};
use crate::probe::{
    said::{machine_id, machine_name},
    sysdescr,
};

/// The number that Linux's cooked headers give a frame with a length in place of a type
/// (`ETH_P_802_2`).
const COOKED_LLC: u16 = 4;

/// Cisco's spanning tree for each VLAN: the same messages behind SNAP.
const PVST: ([u8; 3], u16) = ([0x00, 0x00, 0x0c], 0x010b);

/// Reads a frame whose type is none of IP's.
///
/// # Errors
///
/// A message breaks its protocol or is cut; what was told before stays.
pub(super) fn read(frame: &Frame<'_>, told: &mut Vec<Told>) -> Result<(), Malformed> {
    let Some(sender) = frame.source.filter(|mac| super::is_of_an_interface(*mac)) else {
        return Ok(());
    };
    let (protocol, read) = match frame.ether_type {
        lldp::ETHER_TYPE => ("lldp", of_lldp(sender, frame.payload, told)),
        dcp::ETHER_TYPE => ("profinet", of_profinet(sender, frame.payload, told)),
        length @ 0..=llc::MAX_LENGTH => {
            // Short frames end in padding, which is no part of the message.
            let whole = frame.payload;
            let inside = match length {
                COOKED_LLC => whole,
                length => whole.get(..length.into()).unwrap_or(whole),
            };
            of_llc(sender, inside, told)
        }
        _ => return Ok(()),
    };
    read.inspect_err(|error| told.extend(Told::anomaly(Some(sender), protocol, error)))
}

fn of_llc(
    sender: MacAddr,
    bytes: &[u8],
    told: &mut Vec<Told>,
) -> (&'static str, Result<(), Malformed>) {
    let inside = match llc::parse(bytes) {
        Ok(inside) => inside,
        Err(error) => return ("llc", Err(error)),
    };
    match inside {
        llc::Inside::SpanningTree(message) => ("stp", of_stp(sender, message, told)),
        llc::Inside::Snap { organization, protocol, payload } => match (organization, protocol) {
            cdp::CISCO => ("cdp", of_cdp(DiscoveryProtocol::Cdp, sender, payload, told)),
            cdp::FOUNDRY => ("fdp", of_cdp(DiscoveryProtocol::Fdp, sender, payload, told)),
            PVST => ("stp", of_stp(sender, payload, told)),
            edp::EXTREME => ("edp", of_edp(sender, payload, told)),
            _ => ("llc", Ok(())),
        },
        llc::Inside::Other(_) => ("llc", Ok(())),
    }
}

/// Hands on what a neighbour says, and what follows from it whatever the protocol.
fn tell(
    sender: MacAddr,
    neighbor: Neighbor,
    roles: impl IntoIterator<Item = NetworkRole>,
    told: &mut Vec<Told>,
) {
    let subject = Subject::Mac(sender);
    let mut say = |fact| told.push(Told::new(subject, fact, &[]));
    // Some call themselves by their name, some by a number.
    let names = [neighbor.system_name.as_deref(), neighbor.chassis.as_deref()];
    let is_mac = |name: &&str| name.parse::<MacAddr>().is_ok();
    let name = names.into_iter().flatten().find(|name| !is_mac(name));
    name.and_then(|name| machine_name(name, NameSource::Discovery)).into_iter().for_each(&mut say);
    let texts = [&neighbor.system_description, &neighbor.version];
    let described =
        texts.into_iter().flatten().find_map(|text| sysdescr::read(text).operating_system());
    described.into_iter().for_each(&mut say);
    roles.into_iter().map(Fact::Role).for_each(&mut say);
    say(Fact::Neighbor(neighbor));
}

fn chassis(mac: MacAddr) -> Option<Fact> {
    super::is_of_an_interface(mac).then(|| machine_id(MachineIdKind::ChassisId, mac.to_string()))
}

fn of_lldp(sender: MacAddr, bytes: &[u8], told: &mut Vec<Told>) -> Result<(), Malformed> {
    let read = lldp::Announcement::parse(bytes)?;
    // A farewell says only that it was there.
    if read.lifetime == 0 {
        return Ok(());
    }
    let subject = Subject::Mac(sender);
    told.extend(read.chassis_mac.and_then(chassis).map(|fact| Told::new(subject, fact, &[])));
    if let Some(serial) = &read.serial {
        // A number is unique to its maker.
        let maker = read.manufacturer.as_deref().unwrap_or_default();
        let value = format!("{maker}-{serial}").to_lowercase();
        told.push(Told::new(subject, machine_id(MachineIdKind::Serial, value), &[]));
    }
    told.extend(read.vlan.map(|vlan| Told::new(subject, Fact::Vlan(vlan), &[])));
    let roles = lldp_roles(&read);
    let mut addresses = read.addresses;
    addresses.sort_unstable();
    addresses.dedup();
    let maker = read.manufacturer.into_iter();
    let platform: Vec<String> = maker.chain(read.model).collect();
    let neighbor = Neighbor {
        chassis: Some(read.chassis),
        port: Some(read.port),
        system_name: read.system_name,
        system_description: read.system_description,
        platform: Some(platform.join(" ")).filter(|platform| !platform.is_empty()),
        version: read.software,
        addresses,
        ..Neighbor::of(DiscoveryProtocol::Lldp)
    };
    tell(sender, neighbor, roles, told);
    read.broken.map_or(Ok(()), Err)
}

/// What it does. A telephone with a second socket bridges, and an access point bridges by
/// radio: neither is a switch.
fn lldp_roles(read: &lldp::Announcement) -> Vec<NetworkRole> {
    let does = |bit: u16| read.enabled & bit != 0;
    let is_phone = does(lldp::TELEPHONE) || read.is_phone;
    [
        (is_phone, NetworkRole::Phone),
        (does(lldp::ROUTER), NetworkRole::Router(RouterProtocol::Discovery)),
        (does(lldp::ACCESS_POINT), NetworkRole::AccessPoint),
        (does(lldp::BRIDGE) && !is_phone && !does(lldp::ACCESS_POINT), NetworkRole::Switch),
        (does(lldp::REPEATER), NetworkRole::Repeater),
        (does(lldp::CABLE_MODEM), NetworkRole::CableModem),
        (does(lldp::STATION), NetworkRole::Station),
    ]
    .into_iter()
    .filter_map(|(does, role)| does.then_some(role))
    .collect()
}

fn of_cdp(
    protocol: DiscoveryProtocol,
    sender: MacAddr,
    bytes: &[u8],
    told: &mut Vec<Told>,
) -> Result<(), Malformed> {
    let read = cdp::Announcement::parse(bytes)?;
    if read.lifetime == 0 {
        return Ok(());
    }
    let subject = Subject::Mac(sender);
    told.extend(read.vlan.map(|vlan| Told::new(subject, Fact::Vlan(vlan), &[])));
    let does = |bit: u32| read.capabilities & bit != 0;
    let is_phone = does(cdp::PHONE);
    let roles = [
        (is_phone, NetworkRole::Phone),
        (does(cdp::ROUTER), NetworkRole::Router(RouterProtocol::Discovery)),
        (does(cdp::SWITCH) && !is_phone, NetworkRole::Switch),
        // Telephones say that they repeat, too.
        (does(cdp::REPEATER) && !is_phone, NetworkRole::Repeater),
        (does(cdp::HOST) && read.capabilities == cdp::HOST, NetworkRole::Station),
    ];
    let roles = roles.into_iter().filter_map(|(does, role)| does.then_some(role));
    let neighbor = Neighbor {
        chassis: read.device,
        port: read.port,
        system_name: read.system_name,
        platform: read.platform,
        version: read.version,
        addresses: read.addresses,
        ..Neighbor::of(protocol)
    };
    tell(sender, neighbor, roles, told);
    read.broken.map_or(Ok(()), Err)
}

fn of_edp(sender: MacAddr, bytes: &[u8], told: &mut Vec<Told>) -> Result<(), Malformed> {
    let read = edp::Announcement::parse(bytes)?;
    let subject = Subject::Mac(sender);
    told.extend(chassis(read.machine).map(|fact| Told::new(subject, fact, &[])));
    let neighbor = Neighbor {
        chassis: Some(read.machine.to_string()),
        port: read.port.map(|(slot, port)| format!("{slot}/{port}")),
        system_name: read.name,
        version: read.version.map(|version| version.map(|part| part.to_string()).join(".")),
        ..Neighbor::of(DiscoveryProtocol::Edp)
    };
    // Only switches of that maker speak it.
    tell(sender, neighbor, [NetworkRole::Switch], told);
    read.broken.map_or(Ok(()), Err)
}

fn of_stp(sender: MacAddr, bytes: &[u8], told: &mut Vec<Told>) -> Result<(), Malformed> {
    let read = stp::Message::parse(bytes)?;
    let subject = Subject::Mac(sender);
    told.push(Told::new(subject, Fact::Role(NetworkRole::SpanningTree), &[]));
    let own = read.bridges.and_then(|bridges| chassis(bridges.bridge.address));
    told.extend(own.map(|fact| Told::new(subject, fact, &[])));
    Ok(())
}

fn of_profinet(sender: MacAddr, bytes: &[u8], told: &mut Vec<Told>) -> Result<(), Malformed> {
    let Some(read) = dcp::Device::parse(bytes)? else { return Ok(()) };
    told.extend(read.address.and_then(|address| Told::binding(address.into(), sender, &[])));
    let neighbor = Neighbor {
        // The maker's numbers, as engineering tools write them.
        chassis: read.number.map(|(maker, device)| format!("{maker:04x}:{device:04x}")),
        system_name: read.station,
        platform: read.kind,
        addresses: read.address.map(Into::into).into_iter().collect(),
        ..Neighbor::of(DiscoveryProtocol::Profinet)
    };
    let subject = Subject::Mac(sender);
    let name = neighbor.system_name.as_deref();
    let name = name.and_then(|name| machine_name(name, NameSource::Discovery));
    told.extend(name.map(|fact| Told::new(subject, fact, &[])));
    told.push(Told::new(subject, Fact::Neighbor(neighbor), &[]));
    read.broken.map_or(Ok(()), Err)
}
