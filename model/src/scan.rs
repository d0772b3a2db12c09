use std::{fmt, net::IpAddr};

use crate::{Method, PortSet, Timestamp, Vantage};

/// The store's number for a scan.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ScanId(pub i64);

/// One run of `sweep` or `watch`: what it cost, and what it may have missed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ScanRecord {
    /// From where it looked.
    pub vantage: Vantage,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; `None` while it runs and after it was killed.
    pub ended_at: Option<Timestamp>,
    /// The I/O tier: `connect`, `raw` …
    pub io: String,
    /// Packets and connections that we sent.
    pub probes_sent: u64,
    /// Answers that were ours.
    pub replies: u64,
    /// Answers and observations that we know to have lost.
    pub drops: u64,
    /// Whether everything planned was done. A scan that was cut off is not complete.
    pub complete: bool,
    /// Where it failed to look.
    pub gaps: Vec<Gap>,
    /// Where it did look.
    pub coverage: Vec<Coverage>,
}

/// A part of the network that was to be looked at and was not, or not well.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Gap {
    /// Which target, address, range or endpoint.
    pub target: String,
    /// Why, in words for the administrator.
    pub reason: String,
}

/// Addresses that were asked, and by which means.
///
/// Only coverage makes silence mean something: an address that is in no
/// coverage was not looked at, and its absence says nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Coverage {
    /// The addresses.
    pub range: AddressRange,
    /// Every method that was tried on each of them.
    pub methods: Vec<Method>,
    /// The TCP ports that were asked on those found alive.
    pub tcp: PortSet,
    /// The UDP ports that were asked on those found alive.
    pub udp: PortSet,
}

/// The addresses from `first` to `last`, both included, of one family.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AddressRange {
    first: IpAddr,
    last: IpAddr,
}

impl AddressRange {
    /// The range, or `None` where it runs backwards or mixes IPv4 and IPv6.
    #[must_use]
    pub fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        (first.is_ipv4() == last.is_ipv4() && first <= last).then_some(Self { first, last })
    }

    /// The range of one address.
    #[must_use]
    pub const fn single(address: IpAddr) -> Self {
        Self { first: address, last: address }
    }

    /// Its first address.
    #[must_use]
    pub const fn first(&self) -> IpAddr {
        self.first
    }

    /// Its last address.
    #[must_use]
    pub const fn last(&self) -> IpAddr {
        self.last
    }

    /// Whether the address is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.first.is_ipv4() && self.first <= address && address <= self.last
    }

    /// How many addresses; `u128::MAX` for all of IPv6, one less than there are.
    #[must_use]
    pub fn len(&self) -> u128 {
        number(self.last).saturating_sub(number(self.first)).saturating_add(1)
    }

    /// Never: a range holds at least one address.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// The address at that place, counted from 0, or `None` behind the end.
    #[must_use]
    pub fn nth(&self, index: u128) -> Option<IpAddr> {
        if index >= self.len() {
            return None;
        }
        let value = number(self.first).checked_add(index)?;
        Some(match self.first {
            IpAddr::V4(_) => IpAddr::V4(u32::try_from(value).ok()?.into()),
            IpAddr::V6(_) => IpAddr::V6(value.into()),
        })
    }
}

/// An address as a number, for arithmetic within its family.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

/// `192.0.2.7`, or `192.0.2.1-192.0.2.9`.
impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first == self.last {
            true => self.first.fmt(f),
            false => write!(f, "{}-{}", self.first, self.last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: &str, last: &str) -> Option<AddressRange> {
        AddressRange::new(first.parse().unwrap(), last.parse().unwrap())
    }

    #[test]
    fn a_range_runs_forward_in_one_family() {
        assert_eq!(range("192.0.2.9", "192.0.2.1"), None);
        assert_eq!(range("192.0.2.9", "2001:db8::1"), None);
        let some = range("192.0.2.250", "192.0.3.5").unwrap();
        assert_eq!(some.len(), 12);
        assert_eq!(some.nth(6).unwrap().to_string(), "192.0.3.0");
        assert_eq!(some.nth(12), None);
        assert!(some.contains("192.0.3.5".parse().unwrap()));
        assert!(!some.contains("::ffff:192.0.3.5".parse().unwrap()));
    }

    #[test]
    fn the_whole_of_ipv6_does_not_overflow() {
        let all = range("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff").unwrap();
        assert_eq!(all.len(), u128::MAX);
        assert!(all.nth(u128::MAX).is_none());
    }
}
