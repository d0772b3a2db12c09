//! What MikroTik's RouterOS says.

use std::net::IpAddr;

use crate::import::{Wrong, record::Client, wrong};

const ASSIGNED: &str = " assigned ";

pub(super) fn start(line: &str) -> Option<usize> {
    let at = line.find(ASSIGNED)?;
    let rest = line.get(at..)?;
    let words: Vec<&str> = rest.split_whitespace().take(4).collect();
    let is_theirs = matches!(words.as_slice(), [_, _, "to" | "for", mac] if mac.len() == 17);
    is_theirs.then_some(at)
}

/// ` assigned 192.0.2.5 to 00:00:5E:00:53:01`, or `for` and the name behind.
pub(super) fn read(message: &str) -> Result<Option<Client>, Wrong> {
    let words: Vec<&str> = message.split_whitespace().collect();
    let [_, address, _, mac, name @ ..] = words.as_slice() else {
        return wrong("it is cut short");
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        return wrong(format!("{address:?} is no address"));
    };
    let Ok(mac) = mac.parse() else {
        return wrong(format!("{mac:?} is no hardware address"));
    };
    let name = Some(name.join(" ")).filter(|name| !name.is_empty());
    Ok(Some(Client { address: Some(address), mac: Some(mac), name, ..Client::default() }))
}
