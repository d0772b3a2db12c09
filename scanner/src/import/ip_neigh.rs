//! `ip neigh` of Linux (also `ip -s neigh`): a neighbour a line.
//!
//! The table was as it is when it was written. Entries that never got an answer, and those that
//! somebody typed in, tell of nobody.

use std::net::IpAddr;

use super::{
    Lines, Wrong,
    record::{Neighbor, Out, words},
    wrong,
};

#[derive(Debug)]
pub(super) struct Table;

/// Whether the line is an entry.
pub(super) fn is_entry(line: &str) -> bool {
    let mut words = words(line);
    let is_address = words.next().is_some_and(|first| first.parse::<IpAddr>().is_ok());
    is_address && words.next() == Some("dev")
}

impl Lines for Table {
    fn line(&mut self, line: &str, out: &mut Out<'_>) -> Result<(), Wrong> {
        let mut rest = words(line);
        let Some(Ok(address)) = rest.next().map(str::parse::<IpAddr>) else {
            return wrong("it does not begin with an address");
        };
        let (mut mac, mut is_told) = (None, true);
        let mut seconds = 0;
        while let Some(word) = rest.next() {
            match word {
                "lladdr" => match rest.next().map(str::parse) {
                    Some(Ok(found)) => mac = Some(found),
                    None => return wrong("it is cut short"),
                    // Tunnels have network addresses in that place.
                    Some(Err(_)) => return Ok(()),
                },
                // Used, confirmed, updated, so many seconds ago.
                "used" => {
                    let ago = rest.next().and_then(|ago| ago.split('/').nth(1));
                    seconds = ago.and_then(super::time::number).unwrap_or(0);
                }
                "FAILED" | "INCOMPLETE" | "NOARP" | "PERMANENT" | "NONE" | "proxy" => {
                    is_told = false;
                }
                _ => {}
            }
        }
        let Some(mac) = mac.filter(|_| is_told) else { return Ok(()) };
        let at = out.context.written.plus_seconds(seconds.saturating_neg());
        Neighbor { at, address, mac, name: None }.tell(line, out)
    }
}
