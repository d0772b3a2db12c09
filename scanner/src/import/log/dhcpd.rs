//! What ISC dhcpd says.

use std::net::IpAddr;

use crate::import::{
    Wrong,
    record::{Client, hex, mac_of_bytes},
    wrong,
};

/// The beginnings that tell of a client. `DHCPACK to` answers an inquiry.
const STARTS: [&str; 6] = [
    "DHCPACK on ",
    "DHCPACK to ",
    "DHCPREQUEST for ",
    "DHCPDISCOVER from ",
    "DHCPINFORM from ",
    "Reply NA: address ",
];

pub(super) fn start(line: &str) -> Option<usize> {
    STARTS.iter().filter_map(|start| line.find(start)).min()
}

/// `DHCPACK on 192.0.2.5 to 00:00:5e:00:53:01 (pc-7) via eth0`
pub(super) fn read(message: &str) -> Result<Option<Client>, Wrong> {
    let words: Vec<&str> = message.split_whitespace().collect();
    let after = |word: &str| {
        let at = words.iter().position(|one| *one == word)?;
        words.get(at.checked_add(1)?).copied()
    };
    let address_after = |word: &str| match after(word) {
        Some(text) => match text.trim_end_matches([',', ':']).parse::<IpAddr>() {
            Ok(address) => Ok(Some(address)),
            Err(_) => wrong(format!("{text:?} is no address")),
        },
        None => wrong("it has no address"),
    };
    let mac_after = |word: &str| match after(word) {
        Some(text) => match hex(text.trim_matches(['(', ')', ':', ','])) {
            Some(bytes) => Ok(mac_of_bytes(&bytes)),
            None => wrong(format!("{text:?} is no hardware address")),
        },
        None => wrong("it has no hardware address"),
    };
    let mut client = Client::default();
    match (words.first(), words.get(1)) {
        (Some(&"DHCPACK"), Some(&"on")) => {
            client.address = address_after("on")?;
            client.mac = mac_after("to")?;
        }
        (Some(&"DHCPACK"), _) => {
            client.address = address_after("to")?;
            client.mac = words
                .get(3)
                .and_then(|w| hex(w.trim_matches(['(', ')'])))
                .as_deref()
                .and_then(mac_of_bytes);
            return Ok(Some(client));
        }
        // What it asks for is not what it gets.
        (Some(&"DHCPREQUEST" | &"DHCPDISCOVER"), _) => client.mac = mac_after("from")?,
        (Some(&"DHCPINFORM"), _) => client.address = address_after("from")?,
        _ => {
            client.address = address_after("address")?;
            client.duid = after("duid").and_then(hex);
            if client.duid.is_none() {
                return wrong("it has no DUID");
            }
        }
    }
    client.name = name(message);
    Ok(Some(client))
}

/// What stands in brackets before "via". It may hold brackets of its own.
fn name(message: &str) -> Option<String> {
    let (before, _) = message.rsplit_once(" via ")?;
    let before = before.strip_suffix(')')?;
    // `DHCPREQUEST for ADDRESS (SERVER) from HARDWARE (NAME)`
    let (_, client) = before.rsplit_once(" from ").or_else(|| before.rsplit_once(" to "))?;
    let (_, name) = client.split_once(" (")?;
    Some(name.to_owned())
}
