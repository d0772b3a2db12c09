//! What Kea says.

use std::net::IpAddr;

use crate::import::{
    Wrong,
    record::{Client, hex, mac_of_bytes},
    wrong,
};

/// What was given, or found to be given already.
const TELLS: [&str; 5] = [
    "DHCP4_LEASE_ALLOC",
    "DHCP4_LEASE_REUSE",
    "DHCP6_LEASE_ALLOC",
    "DHCP6_LEASE_RENEW",
    "DHCP6_LEASE_REUSE",
];

/// `DHCP4_LEASE_ALLOC [hwtype=1 00:00:5e:00:53:01], cid=[01:…], tid=0x1: lease 192.0.2.5 has been
/// allocated for 3600 seconds`
pub(super) fn read(message: &str) -> Result<Option<Client>, Wrong> {
    let id = message.split_whitespace().next().unwrap_or_default();
    if !TELLS.contains(&id) {
        return Ok(None);
    }
    let inside = |before: &str| {
        let (_, rest) = message.split_once(before)?;
        rest.split(']').next()
    };
    let hardware = inside("[hwtype=").and_then(|inside| inside.split_once(' '));
    // Other kinds than 1, Ethernet, have addresses of other lengths.
    let hardware = hardware.filter(|(kind, _)| *kind == "1").and_then(|(_, bytes)| hex(bytes));
    let words: Vec<&str> = message.split_whitespace().collect();
    let lease = words.iter().position(|word| *word == "lease" || *word == "leases");
    let address = lease.and_then(|at| {
        let after = words.get(at.checked_add(1)?..)?;
        let skipped = after.iter().skip_while(|word| matches!(**word, "for" | "address"));
        skipped.copied().next()
    });
    let Some(text) = address else { return wrong("it names no lease") };
    let Ok(address) = text.trim_end_matches([',', '.', ':']).parse::<IpAddr>() else {
        return wrong(format!("{text:?} is no address"));
    };
    let duid = inside("duid=[").and_then(hex);
    Ok(Some(Client {
        address: Some(address),
        mac: hardware.as_deref().and_then(mac_of_bytes),
        id: inside("cid=[").and_then(hex),
        duid,
        ..Client::default()
    }))
}
