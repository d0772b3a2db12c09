//! DHCP, RFC 2131: what clients say of themselves, which addresses servers give them, and who
//! serves.

use std::net::IpAddr;

use model::{Fact, FingerprintKind, MacAddr, MachineIdKind, NameSource, NetworkRole, Subject};
use wire::{
    Malformed,
    dhcp::{Kind, Message},
    lines,
};

use super::Told;
use crate::probe::said::{hex, machine_id};

/// How long a name may be: a dotted one has at most 253 characters (RFC 1035, section 2.3.4).
const LONGEST_NAME: usize = 253;

/// The facts are about the client's hardware address: it has no network address yet, or not
/// for long.
pub(super) fn read(
    frame_source: Option<MacAddr>,
    bytes: &[u8],
    told: &mut Vec<Told>,
) -> Result<(), Malformed> {
    let message = match Message::parse(bytes) {
        Ok(message) => message,
        Err(error) => {
            told.extend(Told::anomaly(frame_source, "dhcp", &error));
            return Err(error);
        }
    };
    if !message.from_client {
        told.extend(server(&message));
    }
    let Some(mac) = message.hardware.filter(|mac| super::is_of_an_interface(*mac)) else {
        return Ok(());
    };
    if message.from_client {
        client(&message, mac, told);
        // The address that it has already: in its own words, where no relay is between.
        let renews = matches!(message.kind, Some(Kind::Request | Kind::Inform));
        let direct = message.relay.is_unspecified() && frame_source.is_none_or(|s| s == mac);
        if renews && direct {
            let address = IpAddr::V4(message.client);
            told.extend(Told::binding(address, mac, &message.client.octets()));
        }
    } else if message.kind == Some(Kind::Acknowledge) {
        let address = IpAddr::V4(message.yours);
        told.extend(Told::binding(address, mac, &message.yours.octets()));
    }
    // Options that end too soon are the sender's fault only where the datagram is whole,
    // which cannot be told here.
    message.broken.map_or(Ok(()), Err)
}

fn client(message: &Message, mac: MacAddr, told: &mut Vec<Told>) {
    let subject = Subject::Mac(mac);
    let full = message.full_name();
    let names = [message.host_name(), full.as_deref()];
    for raw in names.into_iter().flatten() {
        if let Some(name) = host_name(raw) {
            let fact = Fact::HostName { name, source: NameSource::Dhcp };
            told.push(Told::new(subject, fact, raw));
        }
    }
    if let Some(id) = message.client_id() {
        let mut say = |id: &[u8]| {
            let fact = machine_id(MachineIdKind::DhcpClientId, hex(id));
            told.push(Told::new(subject, fact, id));
        };
        say(id);
        // Type 255, the interface's number, and the machine's DUID, by which it goes in DHCPv6
        // as well (RFC 4361, section 6.1).
        if let [255, _, _, _, _, duid @ ..] = id
            && duid.len() > 2
        {
            say(duid);
        }
    }
    let mut fingerprint = |kind, value: String, evidence: &[u8]| {
        if !value.is_empty() {
            told.push(Told::new(subject, Fact::Fingerprint { kind, value }, evidence));
        }
    };
    if let Some(class) = message.vendor_class() {
        fingerprint(FingerprintKind::DhcpVendorClass, lines::text(class), class);
    }
    let wishes = message.parameters();
    let list: Vec<String> = wishes.iter().map(u8::to_string).collect();
    fingerprint(FingerprintKind::Dhcp, list.join(","), wishes);
}

/// Who offers or grants is a server, at the address by which it calls itself, which every such
/// message has (RFC 2131, table 3): the packet may come from a relay.
fn server(message: &Message) -> Option<Told> {
    let serves = matches!(message.kind, Some(Kind::Offer | Kind::Acknowledge | Kind::Refuse));
    let address = message.server().filter(|_| serves)?;
    let subject = IpAddr::V4(address);
    super::is_of_a_station(subject).then(|| {
        let role = Fact::Role(NetworkRole::DhcpServer);
        Told::new(Subject::Address(subject), role, &address.octets())
    })
}

/// The name as facts want it. What a client calls itself is no host name by RFC 1123 as often
/// as not (blanks, brackets, UTF-8), and says who it is all the same.
pub(super) fn host_name(raw: &[u8]) -> Option<String> {
    let name = lines::text(raw).to_lowercase();
    let name = name.trim_matches(['.', ' ']);
    let fits = !name.is_empty() && name.len() <= LONGEST_NAME;
    fits.then(|| name.to_owned())
}
