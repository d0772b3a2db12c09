//! Of whom to tell: a mirror port shows half the Internet, and an inventory is of one network.

use std::{collections::HashSet, net::IpAddr};

use model::{AddressRange, Subject};

/// How many addresses on the link are remembered.
const MOST: usize = 1 << 16;

/// Whose facts are told. Link-layer addresses always are: they are on the link.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Inside {
    /// All whose packets are seen, the Internet's servers among them.
    #[default]
    Everybody,
    /// Who has an address that the Internet has no way to (RFC 6890), and who says on the link
    /// itself that it has another.
    Own(HashSet<IpAddr>),
    /// Who has an address in these ranges.
    Ranges(Vec<AddressRange>),
}

impl Inside {
    /// [`Self::Own`], of which nobody is known yet.
    #[must_use]
    pub fn own() -> Self {
        Self::Own(HashSet::new())
    }

    /// Somebody said on the link that it has that address.
    pub(super) fn learn(&mut self, address: IpAddr) {
        if let Self::Own(known) = self
            && is_global(address)
            && known.len() < MOST
        {
            known.insert(address);
        }
    }

    /// Whether to tell of that subject.
    pub(super) fn is_told_of(&self, subject: Subject) -> bool {
        let Some(address) = subject.address() else { return true };
        match self {
            Self::Everybody => true,
            Self::Own(known) => !is_global(address) || known.contains(&address),
            Self::Ranges(ranges) => ranges.iter().any(|range| range.contains(address)),
        }
    }
}

/// Whether the Internet has a way to the address (RFC 6890 and the registries that it made).
pub(super) fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_documentation()
                || a == 0
                || a >= 240
                // Shared (RFC 6598), benchmarks (RFC 2544), protocol assignments.
                || (a == 100 && b & 0xc0 == 64)
                || (a == 198 && b & 0xfe == 18)
                || (a, b, c) == (192, 0, 0))
        }
        IpAddr::V6(v6) => {
            let [first, second, ..] = v6.segments();
            // Global unicast is 2000::/3, less documentation and benchmarks.
            let documentation =
                (first, second) == (0x2001, 0xdb8) || (first == 0x3fff && second < 0x1000);
            let benchmark = (first, second) == (0x2001, 2);
            first & 0xe000 == 0x2000 && !documentation && !benchmark
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_inside_is_told_of() {
        let check = |inside: &Inside, address: &str, expected: bool| {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(inside.is_told_of(Subject::Address(address)), expected, "{address}");
        };
        let mut own = Inside::own();
        for address in ["10.0.0.1", "192.0.2.1", "198.18.0.1", "100.64.0.1", "fe80::1", "fd00::1"] {
            check(&own, address, true);
        }
        for address in ["8.8.4.4", "100.128.0.1", "2a00::1"] {
            check(&own, address, false);
            check(&Inside::Everybody, address, true);
        }
        own.learn("2a00::1".parse().unwrap());
        check(&own, "2a00::1", true);
        let range = AddressRange::single("8.8.4.4".parse().unwrap());
        let ranges = Inside::Ranges(vec![range]);
        check(&ranges, "8.8.4.4", true);
        check(&ranges, "10.0.0.1", false);
    }
}
