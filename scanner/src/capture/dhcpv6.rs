//! DHCPv6, RFC 8415: what clients say of themselves, and who serves them.

use std::net::IpAddr;

use model::{Fact, FingerprintKind, MacAddr, MachineIdKind, NameSource, NetworkRole, Subject};
use wire::{
    Malformed,
    dhcpv6::{Kind, Message},
    ip, lines,
};

use super::{Told, dhcp::host_name};
use crate::probe::said::{hex, machine_id};

/// Clients speak from an address of the link, so that the facts are about the interface that
/// sent the frame; where that is not known, about the address.
pub(super) fn read(
    frame_source: Option<MacAddr>,
    packet: &ip::Packet<'_>,
    bytes: &[u8],
    told: &mut Vec<Told>,
) -> Result<(), Malformed> {
    let message = Message::parse(bytes)?;
    let on_link = matches!(packet.source, IpAddr::V6(v6) if v6.is_unicast_link_local());
    match message.kind {
        Kind::FromClient(_) if on_link => {
            let mac = frame_source.filter(|mac| super::is_of_an_interface(*mac));
            client(&message, mac.map_or(Subject::Address(packet.source), Subject::Mac), told);
        }
        Kind::FromServer(_) if super::is_of_a_station(packet.source) => {
            let subject = Subject::Address(packet.source);
            told.push(Told::new(subject, Fact::Role(NetworkRole::Dhcpv6Server), &[]));
        }
        _ => {}
    }
    message.broken.map_or(Ok(()), Err)
}

fn client(message: &Message, subject: Subject, told: &mut Vec<Told>) {
    let mut say = |fact, evidence: &[u8]| told.push(Told::new(subject, fact, evidence));
    if let Some(raw) = &message.name
        && let Some(name) = host_name(raw)
    {
        say(Fact::HostName { name, source: NameSource::Dhcp }, raw);
    }
    if let Some(duid) = &message.client {
        say(machine_id(MachineIdKind::DhcpClientId, hex(&duid.0)), &duid.0);
    }
    if !message.wishes.is_empty() {
        let wishes: Vec<String> = message.wishes.iter().take(64).map(u16::to_string).collect();
        let value = wishes.join(",");
        say(Fact::Fingerprint { kind: FingerprintKind::Dhcpv6, value }, &[]);
    }
    if let Some((maker, words)) = &message.vendor_class {
        let value = format!("{maker}:{}", lines::text(words));
        say(Fact::Fingerprint { kind: FingerprintKind::Dhcpv6VendorClass, value }, words);
    }
}
