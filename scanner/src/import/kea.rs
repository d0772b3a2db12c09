//! Leases of Kea in its memfile: CSV with a heading, a line each time that one changed.
//!
//! The client was last in touch when the lease began: the end less its length. A line of length 0
//! says that the lease is gone, and one in another state than 0 or 2 (declined, released) has
//! no client to tell of. What is in the heading decides what a column is, for they grew in
//! number.

use std::net::IpAddr;

use super::{
    Lines, Wrong,
    record::{Client, Out, hex, mac_of_bytes},
    time, wrong,
};

#[derive(Debug, Default)]
pub(super) struct Leases {
    columns: Vec<String>,
}

/// Whether the line is the heading of leases of DHCPv4 or DHCPv6.
pub(super) fn is_heading(line: &str) -> bool {
    line.starts_with("address,hwaddr,") || line.starts_with("address,duid,")
}

impl Lines for Leases {
    fn line(&mut self, line: &str, out: &mut Out<'_>) -> Result<(), Wrong> {
        if is_heading(line) {
            self.columns = line.split(',').map(|name| name.trim().to_owned()).collect();
            return Ok(());
        }
        if self.columns.is_empty() {
            return wrong("there is no heading before it");
        }
        let fields: Vec<String> = line.split(',').map(unescaped).collect();
        let field = |name: &str| {
            let place = self.columns.iter().position(|column| column == name)?;
            fields.get(place).map(String::as_str).filter(|field| !field.is_empty())
        };
        let Some(address) = field("address").and_then(|text| text.parse::<IpAddr>().ok()) else {
            return wrong("its first field is no address");
        };
        let seconds = |name: &str| field(name).and_then(time::number);
        let (Some(length), Some(expire)) = (seconds("valid_lifetime"), seconds("expire")) else {
            return wrong("its times cannot be read");
        };
        let (state, kind) = (field("state").unwrap_or("0"), field("lease_type").unwrap_or("0"));
        // Of the kinds 0 and 1 are addresses, 2 is a prefix.
        if length == 0 || !matches!(state, "0" | "2") || kind == "2" {
            return Ok(());
        }
        let bytes = |name: &str| match field(name) {
            None => Ok(None),
            Some(text) => match hex(text) {
                Some(bytes) => Ok(Some(bytes)),
                None => wrong(format!("{text:?} is no {name}")),
            },
        };
        let hardware = bytes("hwaddr")?;
        let client = Client {
            address: Some(address),
            mac: hardware.as_deref().and_then(mac_of_bytes),
            name: field("hostname").map(str::to_owned),
            id: bytes("client_id")?,
            // A lease that was declined has a DUID of zero.
            duid: bytes("duid")?.filter(|duid| duid.iter().any(|byte| *byte != 0)),
            vendor_class: None,
        };
        // Longer than time is "for ever".
        let began =
            if length >= i64::from(u32::MAX) { expire } else { expire.saturating_sub(length) };
        let at = model::Timestamp::from_seconds(began).min(out.context.as_of);
        client.tell(Some(at), line, out)
    }
}

/// Kea writes a comma in a field as `&#x2c`.
fn unescaped(field: &str) -> String {
    field.trim().replace("&#x2c", ",")
}
