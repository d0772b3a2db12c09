//! Which addresses an interface may have, by what is known of it.
//!
//! An interface that forms one address from its link-layer address or from a number it chose
//! often forms the others so, too: the second half is the same in every network (RFC 4291,
//! appendix A). And whoever numbers by hand writes small numbers, of which the group that an
//! address listens to shows the last 24 bits. Each guess is worth one question, and no more:
//! what was guessed is not there until it answers.

use std::{
    collections::{BTreeSet, HashSet},
    net::{IpAddr, Ipv6Addr},
};

use model::{AddressRange, MacAddr};
use wire::ndp::Prefix;

/// How many guesses are made at most. At three questions each and the default rate they are
/// asked in some twelve seconds.
const MOST: usize = 4_096;

/// How many interfaces are kept: one host may report any number of groups.
const MOST_INTERFACES: usize = 65_536;

/// And how many networks of a link.
const MOST_NETWORKS: usize = 64;

/// The length of a network in which interfaces choose the rest (RFC 4291, section 2.5.1).
const NETWORK_BITS: u8 = 64;

/// The lower half of an address.
const INTERFACE: u128 = u64::MAX as u128;

/// What is known of the interfaces and networks of a link.
#[derive(Debug, Default)]
pub(super) struct Interfaces {
    /// The lower halves that some address has, or may have.
    ids: BTreeSet<u64>,
    /// The upper halves of networks of 64 bits.
    networks: BTreeSet<u64>,
    areas: Vec<AddressRange>,
    seen: HashSet<Ipv6Addr>,
}

impl Interfaces {
    /// Somebody has this address.
    pub(super) fn address(&mut self, address: Ipv6Addr) {
        self.seen.insert(address);
        // Of other addresses the lower half is often random, and another in every network.
        if address.is_unicast_link_local() {
            self.id(address.to_bits() & INTERFACE);
        }
    }

    /// Somebody is at this link-layer address.
    pub(super) fn mac(&mut self, mac: MacAddr) {
        if mac.is_group() || mac == MacAddr([0; 6]) {
            return;
        }
        let [a, b, c, d, e, f] = mac.0;
        self.id(u64::from_be_bytes([a ^ 2, b, c, 0xff, 0xfe, d, e, f]).into());
    }

    /// Somebody listens to this group. That of an address shows its last 24 bits
    /// (RFC 4291, section 2.7.1).
    pub(super) fn group(&mut self, group: Ipv6Addr) {
        let of_addresses = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0).to_bits();
        let end = group.to_bits() ^ of_addresses;
        if end < 1 << 24 {
            self.id(end);
        }
    }

    /// This network is on the link.
    pub(super) fn network(&mut self, network: Prefix) {
        // More than a few networks on one link are somebody's noise.
        let is_wanted = network.length == NETWORK_BITS && !network.address.is_multicast();
        if is_wanted && self.networks.len() < MOST_NETWORKS {
            self.networks.insert(upper(network.address));
        }
    }

    /// This area is searched. It is a network itself, or a part of one, unless it is shorter.
    pub(super) fn area(&mut self, area: AddressRange) {
        self.areas.push(area);
        if let (IpAddr::V6(first), IpAddr::V6(last)) = (area.first(), area.last())
            && upper(first) == upper(last)
        {
            self.networks.insert(upper(first));
        }
    }

    fn id(&mut self, id: u128) {
        // Zero is every router's (RFC 4291, section 2.6.1).
        if let Some(id) = u64::try_from(id).ok().filter(|id| *id != 0)
            && self.ids.len() < MOST_INTERFACES
        {
            self.ids.insert(id);
        }
    }

    /// The addresses in the areas that somebody may have and nobody was seen to have, and how
    /// many more there would be.
    pub(super) fn candidates(&self) -> (Vec<Ipv6Addr>, usize) {
        let mut found = Vec::new();
        let mut left_out = 0;
        for id in &self.ids {
            for network in &self.networks {
                let address = Ipv6Addr::from_bits(u128::from(*network) << 64 | u128::from(*id));
                let is_inside = self.areas.iter().any(|area| area.contains(address.into()));
                if !is_inside || self.seen.contains(&address) {
                    continue;
                }
                match found.len() < MOST {
                    true => found.push(address),
                    false => left_out += 1,
                }
            }
        }
        (found, left_out)
    }
}

fn upper(address: Ipv6Addr) -> u64 {
    u64::try_from(address.to_bits() >> 64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Ipv6Addr {
        text.parse().unwrap()
    }

    fn area(text: &str, length: u32) -> AddressRange {
        let first = address(text).to_bits();
        let last = first | u128::MAX >> length;
        let [first, last] = [first, last].map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits)));
        AddressRange::new(first, last).unwrap()
    }

    #[track_caller]
    fn check(told: impl FnOnce(&mut Interfaces), expected: &[&str]) {
        let mut interfaces = Interfaces::default();
        told(&mut interfaces);
        let (found, left_out) = interfaces.candidates();
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!((found, left_out), (expected.iter().map(|s| (*s).to_owned()).collect(), 0));
    }

    #[test]
    fn the_second_half_of_a_link_local_address_is_tried_in_the_area() {
        check(
            |known| {
                known.area(area("2001:db8:1::", 64));
                known.address(address("fe80::1234:5678:9abc:def0"));
                // Random, and the subnet routers' address.
                known.address(address("2001:db8:2::77"));
                known.address(address("fe80::"));
            },
            &["2001:db8:1:0:1234:5678:9abc:def0"],
        );
    }

    #[test]
    fn a_link_layer_address_makes_an_address_in_every_network() {
        check(
            |known| {
                known.area(area("2001:db8::", 32));
                known.area(area("fe80::", 64));
                known.network(Prefix { address: address("2001:db8:7::"), length: 64 });
                known.network(Prefix { address: address("2001:db8:8::"), length: 56 });
                known.network(Prefix { address: address("2001:db9::"), length: 64 });
                known.mac(MacAddr([2, 0, 0, 0, 0, 9]));
                known.mac(MacAddr([0; 6]));
                known.mac(MacAddr([0x33, 0x33, 0, 0, 0, 1]));
            },
            &["2001:db8:7::ff:fe00:9", "fe80::ff:fe00:9"],
        );
    }

    #[test]
    fn a_group_shows_the_end_of_an_address_numbered_by_hand() {
        check(
            |known| {
                known.area(area("2001:db8:1::", 96));
                known.group(address("ff02::1:ff00:53"));
                known.group(address("ff02::1:ff12:3456"));
                known.group(address("ff02::fb"));
                known.group(address("ff05::1:ff00:54"));
                known.address(address("2001:db8:1::12:3456"));
            },
            &["2001:db8:1::53"],
        );
    }

    #[test]
    fn guesses_are_bounded_and_counted() {
        let mut interfaces = Interfaces::default();
        interfaces.area(area("2001:db8:1::", 64));
        for number in 0..5_000_u32 {
            interfaces.group(Ipv6Addr::from_bits(
                address("ff02::1:ff00:0").to_bits() | u128::from(number),
            ));
        }
        let (found, left_out) = interfaces.candidates();
        assert_eq!((found.len(), left_out), (4_096, 4_999 - 4_096));
    }
}
