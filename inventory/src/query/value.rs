//! Numbers, ports and networks as a query writes them.

use std::net::IpAddr;

use model::{AddressRange, Transport};

use super::Problem;

pub(super) fn number(text: &str) -> Result<i64, Problem> {
    text.parse().map_err(|_| Problem::Number(text.to_owned()))
}

pub(super) fn port(text: &str) -> Option<(u16, Option<Transport>)> {
    let (port, transport) = match text.split_once('/') {
        Some((port, transport)) => (port, Some(transport.parse().ok()?)),
        None => (text, None),
    };
    Some((port.parse().ok().filter(|port| *port != 0)?, transport))
}

pub(super) fn network(text: &str) -> Option<AddressRange> {
    if let Some((first, last)) = text.split_once('-') {
        return AddressRange::new(first.trim().parse().ok()?, last.trim().parse().ok()?);
    }
    let Some((address, prefix)) = text.split_once('/') else {
        return text.parse().ok().map(AddressRange::single);
    };
    let prefix: u32 = prefix.parse().ok()?;
    match address.parse().ok()? {
        IpAddr::V4(address) => {
            let host = u32::MAX.checked_shr(prefix).unwrap_or(0);
            let first = u32::from(address) & !host;
            (prefix <= 32).then(|| AddressRange::new(v4(first), v4(first | host)))?
        }
        IpAddr::V6(address) => {
            let host = u128::MAX.checked_shr(prefix).unwrap_or(0);
            let first = u128::from(address) & !host;
            (prefix <= 128).then(|| AddressRange::new(v6(first), v6(first | host)))?
        }
    }
}

fn v4(number: u32) -> IpAddr {
    IpAddr::V4(number.into())
}

fn v6(number: u128) -> IpAddr {
    IpAddr::V6(number.into())
}
