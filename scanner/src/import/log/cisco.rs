//! What Cisco's IOS (`debug ip dhcp server events`) and ASA say.

use std::net::IpAddr;

use crate::import::{
    Wrong,
    record::{Client, hex, mac_of_bytes},
    wrong,
};

/// The words before what is given; the address and the client follow in some order.
const STARTS: [&str; 3] = [
    "DHCPD: assigned IP address ",
    "DHCPD: Sending DHCPACK to client ",
    // Also with the severity that the system was told to give it.
    "-604103: ",
];

pub(super) fn start(line: &str) -> Option<usize> {
    STARTS.iter().filter_map(|start| line.find(start)).min()
}

/// `DHCPD: assigned IP address 192.0.2.5 to client 0100.005e.0053.01.`
pub(super) fn read(message: &str) -> Result<Option<Client>, Wrong> {
    let (mut address, mut id) = (None, None);
    for word in message.split_whitespace().skip(1) {
        let word = word.trim_matches(['(', ')', '.', ',', ';']);
        if let Ok(found) = word.parse::<IpAddr>() {
            address = address.or(Some(found));
        } else if word.contains('.') || word.len() == 12 || word.len() == 17 {
            id = id.or_else(|| hex(word));
        }
    }
    let (Some(address), Some(id)) = (address, id) else {
        return wrong("it has no address, or no client");
    };
    let mac = mac_of_bytes(&id);
    // By its hardware address alone it has given no identifier.
    let id = Some(id).filter(|id| id.len() != 6);
    Ok(Some(Client { address: Some(address), mac, id, ..Client::default() }))
}
