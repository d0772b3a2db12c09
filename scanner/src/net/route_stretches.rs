//! Stretches of addresses for which one routing decision holds.
//!
//! What the kernel decides depends on the destination through the prefixes of its tables
//! and rules alone, and for IPv6, where it chooses among several source addresses, through
//! the prefixes that RFC 6724 compares. So between two neighbouring edges of all those
//! prefixes it decides alike, and a more specific route inside of a network has edges of
//! its own. Routes that spread addresses over several ways are the exception: inside of
//! them each address is asked for.
//!
//! The tables are read once. A route that comes later is not seen, as it would not be for
//! an address whose decision is remembered.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use wire::{Malformed, Reader};

use super::{
    interfaces::{Interface, address},
    netlink::{self, Netlink, attributes},
};

/// Prefixes beyond these are a table of the whole Internet: so many edges are not worth
/// their memory.
const MOST: usize = 1 << 18;

/// What is known of the edges.
#[derive(Debug, Default)]
pub(super) struct Stretches {
    v4: Family,
    v6: Family,
}

/// The edges of one family, in numbers of 128 bits.
#[derive(Debug, Default)]
struct Family {
    /// The first addresses of the stretches, ascending; the first is zero. Empty where the
    /// tables could not be read.
    starts: Vec<u128>,
    /// First and last addresses of routes that spread.
    spread: Vec<(u128, u128)>,
}

/// An entry of a table, as far as it matters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Entry {
    prefix: Prefix,
    ways: Ways,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Prefix {
    /// `None` for all addresses of the family.
    address: Option<IpAddr>,
    len: u8,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ways {
    One,
    /// Several, or an object that may stand for several.
    Several,
}

impl Prefix {
    /// The first and the last number, of addresses of so many bits.
    fn ends(self, bits: u8) -> (u128, u128) {
        let all = u128::MAX >> (128 - u32::from(bits));
        let host = all.checked_shr(self.len.into()).unwrap_or(0);
        let first = self.address.map_or(0, number) & !host & all;
        (first, first | host)
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u32::from(v4).into(),
        IpAddr::V6(v6) => v6.into(),
    }
}

impl Family {
    fn new(bits: u8, entries: &[Entry]) -> Self {
        if entries.len() > MOST {
            return Self::default();
        }
        let mut starts = vec![0];
        let mut spread = Vec::new();
        for entry in entries {
            let (first, last) = entry.prefix.ends(bits);
            starts.push(first);
            starts.extend(last.checked_add(1));
            if entry.ways == Ways::Several {
                spread.push((first, last));
            }
        }
        starts.sort_unstable();
        starts.dedup();
        Self { starts, spread }
    }

    /// The place of the stretch of an address.
    fn place(&self, number: u128) -> Option<usize> {
        let place = self.starts.partition_point(|start| *start <= number).checked_sub(1)?;
        let is_spread = self.spread.iter().any(|(first, last)| (*first..=*last).contains(&number));
        (!is_spread).then_some(place)
    }
}

impl Stretches {
    /// Reads the tables. Where the kernel does not tell them, there are no stretches, and
    /// each address is asked for.
    pub(super) fn read(netlink: &Netlink, interfaces: &[Interface]) -> Self {
        let own = interfaces.iter().flat_map(|interface| &interface.addresses);
        let own: Vec<Ipv6Addr> = own
            .filter_map(|(address, _)| match address {
                IpAddr::V6(v6) => Some(*v6),
                IpAddr::V4(_) => None,
            })
            .collect();
        let v4 = tables(netlink, libc::AF_INET);
        let v6 = tables(netlink, libc::AF_INET6).and_then(|mut entries| {
            entries.extend(labels(netlink)?);
            entries.extend(own.iter().flat_map(|own| source_prefixes(*own)));
            entries.extend(scopes());
            Ok(entries)
        });
        Self {
            v4: v4.map(|entries| Family::new(32, &entries)).unwrap_or_default(),
            v6: v6.map(|entries| Family::new(128, &entries)).unwrap_or_default(),
        }
    }

    /// The number of the stretch of an address, if it is in one. Different stretches, of
    /// either family, have different numbers.
    #[inline]
    pub(super) fn number(&self, address: IpAddr) -> Option<usize> {
        match address {
            IpAddr::V4(_) => self.v4.place(number(address)),
            IpAddr::V6(_) => {
                self.v6.place(number(address)).map(|place| place + self.v4.starts.len())
            }
        }
    }
}

/// Every entry of all routing tables and rules of a family.
fn tables(netlink: &Netlink, family: libc::c_int) -> io::Result<Vec<Entry>> {
    // A struct rtmsg or a struct fib_rule_hdr, which have one length.
    let mut body = [0; 12];
    body[0] = u8::try_from(family).unwrap_or(0);
    let mut entries = list(netlink, netlink::GET_ROUTE, netlink::NEW_ROUTE, &body, 1)?;
    match list(netlink, netlink::GET_RULE, netlink::NEW_RULE, &body, 1) {
        Ok(rules) => entries.extend(rules),
        // A kernel without rules.
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {}
        Err(error) => return Err(error),
    }
    Ok(entries)
}

/// The prefixes by which IPv6 source addresses are labelled (RFC 6724, section 2.1).
fn labels(netlink: &Netlink) -> io::Result<Vec<Entry>> {
    let mut body = [0; 12];
    body[0] = u8::try_from(libc::AF_INET6).unwrap_or(0);
    list(netlink, netlink::GET_LABEL, netlink::NEW_LABEL, &body, 2)
}

fn list(
    netlink: &Netlink,
    get: u16,
    new: u16,
    body: &[u8],
    len_at: usize,
) -> io::Result<Vec<Entry>> {
    // An entry that cannot be read would be left out of the list, and its edges with it.
    let entries = netlink.list(get, new, body, |bytes| Ok(read_entry(bytes, len_at)))?;
    let entries: Result<Vec<Entry>, Malformed> = entries.into_iter().collect();
    entries.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// A `struct rtmsg` (linux/rtnetlink.h), `fib_rule_hdr` (linux/fib_rules.h) or
/// `ifaddrlblmsg` (linux/if_addrlabel.h) and its attributes. All have twelve bytes, the
/// length of the prefix in one of the first, and the address in the attribute 1.
fn read_entry(bytes: &[u8], len_at: usize) -> Result<Entry, Malformed> {
    const ADDRESS: u16 = 1;
    const MULTIPATH: u16 = 9;
    const NEXT_HOP_OBJECT: u16 = 30;

    let mut r = Reader::new(bytes);
    let head: [u8; 12] = r.array("table entry")?;
    let len = head.get(len_at).copied().unwrap_or(0);
    let refused = r.invalid("prefix length", len);
    let (mut of, mut ways) = (None, Ways::One);
    for (kind, value) in attributes(r) {
        match kind {
            ADDRESS => of = address(value),
            MULTIPATH | NEXT_HOP_OBJECT => ways = Ways::Several,
            _ => {}
        }
    }
    if of.is_none() && len > 0 {
        return Err(refused);
    }
    Ok(Entry { prefix: Prefix { address: of, len }, ways })
}

/// Among source addresses the one that shares the longest prefix with the destination is
/// preferred (RFC 6724, section 5, rule 8): the edges of all those prefixes.
fn source_prefixes(own: Ipv6Addr) -> impl Iterator<Item = Entry> {
    (1..=128).map(move |len| entry(own.into(), len))
}

/// The prefixes whose addresses are of other scopes, or are treated as such.
fn scopes() -> impl Iterator<Item = Entry> {
    let of = |first: u16, second: u16, len| {
        entry(Ipv6Addr::new(first, second, 0, 0, 0, 0, 0, 0).into(), len)
    };
    let mapped = Ipv4Addr::UNSPECIFIED.to_ipv6_mapped();
    [
        entry(mapped.into(), 96),
        of(0, 0, 96),
        of(0x2001, 0, 32),
        of(0x2002, 0, 16),
        of(0xfc00, 0, 7),
        of(0xfe80, 0, 10),
        of(0xfec0, 0, 10),
        of(0xff00, 0, 8),
    ]
    .into_iter()
}

const fn entry(address: IpAddr, len: u8) -> Entry {
    Entry { prefix: Prefix { address: Some(address), len }, ways: Ways::One }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::netlink::put_attribute, *};

    fn family(prefixes: &[(&str, u8, Ways)]) -> Stretches {
        let entries: Vec<Entry> = prefixes
            .iter()
            .map(|(text, len, ways)| Entry { ways: *ways, ..entry(text.parse().unwrap(), *len) })
            .collect();
        Stretches { v4: Family::new(32, &entries), v6: Family::default() }
    }

    #[test]
    fn a_more_specific_route_has_a_stretch_of_its_own() {
        let stretches = family(&[
            ("0.0.0.0", 0, Ways::One),
            ("198.18.0.0", 15, Ways::One),
            ("198.18.0.64", 30, Ways::One),
            ("198.18.0.77", 32, Ways::One),
            ("255.255.255.255", 32, Ways::One),
        ]);
        let number = |text: &str| stretches.number(text.parse().unwrap()).unwrap();
        let groups: [&[&str]; 7] = [
            &["0.0.0.0", "9.9.9.9", "198.17.255.255"],
            &["198.18.0.0", "198.18.0.63"],
            &["198.18.0.64", "198.18.0.67"],
            &["198.18.0.68", "198.18.0.76"],
            &["198.18.0.77"],
            &["198.18.0.78", "198.19.255.255"],
            &["198.20.0.0", "255.255.255.254"],
        ];
        let numbers: Vec<usize> = groups.iter().map(|group| number(group[0])).collect();
        for (group, expected) in groups.iter().zip(&numbers) {
            assert!(group.iter().all(|address| number(address) == *expected), "{group:?}");
        }
        assert!(numbers.is_sorted_by(|a, b| a < b));
        assert!(number("255.255.255.255") > numbers[6]);
        // Nothing was read for IPv6.
        assert_eq!(stretches.number("2001:db8::1".parse().unwrap()), None);
    }

    #[test]
    fn where_a_route_spreads_each_address_is_asked_for() {
        let stretches = family(&[("198.18.0.0", 16, Ways::Several), ("198.18.3.0", 24, Ways::One)]);
        let number = |text: &str| stretches.number(text.parse().unwrap());
        assert_eq!(number("198.18.0.1"), None);
        // The kernel would take the more specific one; asking is never wrong.
        assert_eq!(number("198.18.3.1"), None);
        assert!(number("198.19.0.0").is_some() && number("198.17.255.255").is_some());
    }

    #[test]
    fn entries_of_all_three_lists_are_read() {
        let mut route = vec![2, 24, 0, 0, 254, 2, 253, 1, 0, 0, 0, 0];
        put_attribute(&mut route, 1, &[198, 18, 3, 0]);
        let expected = entry("198.18.3.0".parse().unwrap(), 24);
        assert_eq!(read_entry(&route, 1), Ok(expected));
        put_attribute(&mut route, 9, &[0; 8]);
        assert_eq!(read_entry(&route, 1), Ok(Entry { ways: Ways::Several, ..expected }));
        for len in 0..20 {
            assert!(read_entry(&route[..len], 1).is_err(), "cut at {len}");
        }
        let default = [2, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0];
        let all = Entry { prefix: Prefix { address: None, len: 0 }, ways: Ways::One };
        assert_eq!(read_entry(&default, 1), Ok(all));
        let mut label = vec![10, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        put_attribute(&mut label, 1, &"fc00::".parse::<Ipv6Addr>().unwrap().octets());
        assert_eq!(read_entry(&label, 2), Ok(entry("fc00::".parse().unwrap(), 7)));
    }

    #[test]
    fn the_kernel_tells_its_tables() {
        let netlink = Netlink::open().unwrap();
        let stretches = Stretches::read(&netlink, &[]);
        // Every machine has 127.0.0.0/8 in a table.
        let number = |text: &str| stretches.number(text.parse().unwrap()).unwrap();
        assert_ne!(number("127.0.0.1"), number("126.255.255.255"));
    }

    proptest! {
        #[test]
        fn addresses_of_one_stretch_are_in_the_same_prefixes(
            prefixes in proptest::collection::vec((any::<u32>(), 0..33_u8), 0..20),
            pairs in proptest::collection::vec((any::<u32>(), 0..300_u32), 1..20),
        ) {
            let entries: Vec<Entry> =
                prefixes.iter().map(|(a, len)| entry(Ipv4Addr::from(*a).into(), *len)).collect();
            let family = Family::new(32, &entries);
            for (one, step) in pairs {
                let other = one.saturating_add(step);
                if family.place(one.into()) == family.place(other.into()) {
                    for (address, len) in &prefixes {
                        let mask = u32::MAX.checked_shl(32 - u32::from(*len)).unwrap_or(0);
                        let is_in = |number: u32| number & mask == address & mask;
                        prop_assert_eq!(is_in(one), is_in(other));
                    }
                }
            }
        }

        #[test]
        fn any_bytes_are_read_without_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..99),
        ) {
            let _ = (read_entry(&bytes, 1), read_entry(&bytes, 2));
        }
    }
}
