//! What snmpwalk prints of ipNetToMediaTable and ipNetToPhysicalTable (RFC 4293), and of the older
//! atTable, with names or in numbers. The addresses are in the index; other columns, and other
//! tables, are passed over.

use std::net::{IpAddr, Ipv6Addr};

use model::MacAddr;

use super::{
    Lines, Wrong,
    record::{Neighbor, Out, hex, mac_of_bytes},
    wrong,
};

#[derive(Debug)]
pub(super) struct Walk;

/// Names and numbers of the columns with link-layer addresses, and how their index is made.
const COLUMNS: [(&str, Index); 6] = [
    ("ipNetToMediaPhysAddress", Index::Four),
    (".1.3.6.1.2.1.4.22.1.2.", Index::Four),
    ("ipNetToPhysicalPhysAddress", Index::Typed),
    (".1.3.6.1.2.1.4.35.1.4.", Index::Typed),
    ("atPhysAddress", Index::Four),
    (".1.3.6.1.2.1.3.1.1.2.", Index::Four),
];

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Index {
    /// Some numbers, then the four of an IPv4 address.
    Four,
    /// The interface, the kind of address, then its length and numbers, or it in quotes.
    Typed,
}

/// The index and the value of an entry.
fn entry(line: &str) -> Option<(Index, &str, &str)> {
    let (name, value) = line.split_once(" = ")?;
    // "iso.3.6.1" is ".1.3.6.1".
    let name = name.trim();
    for (column, index) in COLUMNS {
        let numeric = column.strip_prefix(".1.");
        let rest = match numeric {
            Some(numeric) => [".1.", "1.", "iso."].iter().find_map(|start| {
                name.strip_prefix(start).and_then(|name| name.strip_prefix(numeric))
            }),
            None => name.split_once(column).map(|(_, rest)| rest),
        };
        if let Some(rest) = rest {
            return Some((index, rest, value.trim()));
        }
    }
    None
}

/// Whether the line is an entry of one of these columns.
pub(super) fn is_entry(line: &str) -> bool {
    entry(line).is_some()
}

impl Lines for Walk {
    fn line(&mut self, line: &str, out: &mut Out<'_>) -> Result<(), Wrong> {
        let Some((index, rest, value)) = entry(line) else { return Ok(()) };
        let address = match index {
            Index::Four => four(rest),
            Index::Typed => typed(rest),
        };
        let Some(address) = address else {
            return wrong("the address in its index cannot be read");
        };
        // A tunnel has an empty one.
        let value = value.trim_start_matches(|c: char| c.is_ascii_alphabetic() || c == '-');
        let value = value.trim_start_matches(':').trim().trim_matches('"').trim();
        if value.is_empty() {
            return Ok(());
        }
        let Some(mac) = physical(value) else {
            return wrong(format!("{value:?} is no hardware address"));
        };
        let at = out.context.written;
        Neighbor { at, address, mac, name: None }.tell(line, out)
    }
}

/// `0:1b:2:3:4:5` or `00 1B 02 03 04 05`.
fn physical(value: &str) -> Option<MacAddr> {
    let spaced: Vec<&str> = value.split_whitespace().collect();
    let bytes = match spaced.len() {
        1 => hex(value),
        _ => hex(&spaced.join(":")),
    };
    mac_of_bytes(&bytes.filter(|bytes| bytes.len() == 6)?)
}

/// The last four numbers.
fn four(index: &str) -> Option<IpAddr> {
    let octets: Vec<u8> = numbers(index)?;
    let start = octets.len().checked_sub(4)?;
    let octets: [u8; 4] = octets.get(start..)?.try_into().ok()?;
    Some(IpAddr::from(octets))
}

/// `.2.1.4.192.0.2.5`, `.2.ipv4."192.0.2.5"`, `[2][ipv6]["20:01:…"]`.
fn typed(index: &str) -> Option<IpAddr> {
    if let Some((_, rest)) = index.split_once('"') {
        let text = rest.split('"').next()?;
        // IPv6 as sixteen bytes, which some print as text of eight groups.
        let text = text.split('%').next()?;
        let bytes = text.split(':').filter(|group| group.len() <= 2).count() == 16;
        return match bytes {
            true => six(&hex(text)?),
            false => text.parse().ok(),
        };
    }
    let index: Vec<u8> = {
        // The number of an interface may be large.
        let rest = index.trim_start_matches(['.', '[']);
        let (_, rest) = rest.split_once(['.', ']'])?;
        numbers(rest)?
    };
    match *index.as_slice() {
        [1, 4, a, b, c, d] | [1, a, b, c, d] => Some(IpAddr::from([a, b, c, d])),
        [2, 16, ref octets @ ..] | [4, 20, ref octets @ ..] => six(octets),
        _ => None,
    }
}

/// Sixteen bytes, behind which the number of a zone may stand.
fn six(octets: &[u8]) -> Option<IpAddr> {
    let octets: [u8; 16] = octets.get(..16)?.try_into().ok()?;
    Some(IpAddr::V6(Ipv6Addr::from(octets)))
}

/// The numbers of an index from its end on, as many as are bytes.
fn numbers(index: &str) -> Option<Vec<u8>> {
    let parts = index.split(['.', '[', ']']).filter(|part| !part.is_empty());
    let parts: Vec<&str> = parts.collect();
    let bytes: Option<Vec<u8>> =
        parts.iter().rev().map_while(|part| part.parse().ok().map(Some)).collect();
    let mut bytes = bytes?;
    bytes.reverse();
    Some(bytes)
}
