use std::{collections::BTreeSet, fmt, net::IpAddr};

use model::AddressRange;
use thiserror::Error;

/// The addresses we may send to: what the user named, less what is excluded.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Sorted, not overlapping.
    allowed: Vec<AddressRange>,
    /// Sorted, not overlapping.
    excluded: Vec<AddressRange>,
    /// Sorted. What is in them may be asked once it was found.
    areas: Vec<AddressRange>,
    downloads: Downloads,
}

/// Whether anything may be fetched from addresses that are no targets.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Downloads {
    /// Nothing is.
    #[default]
    Forbidden,
    /// The configuration says so.
    Allowed,
}

/// Proof that an address was checked against the [`Scope`].
///
/// Sending takes a `Permit`, and only [`Scope::permit`] makes one, so a probe that
/// forgets to ask does not compile.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Permit(IpAddr);

impl Permit {
    /// The address this permit is for.
    #[must_use]
    pub const fn address(self) -> IpAddr {
        self.0
    }
}

/// Proof that the user named an area to be searched: whoever has one may ask everybody on the
/// link that the area is on, by group.
///
/// Only [`Scope::areas`] makes one. It gives no leave to ask a single address.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SearchPermit(AddressRange);

impl SearchPermit {
    /// The area.
    #[must_use]
    pub const fn area(self) -> AddressRange {
        self.0
    }
}

/// As a prefix, which is what it was given as: `2001:db8::/64`.
impl fmt::Display for SearchPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (IpAddr::V6(first), IpAddr::V6(last)) = (self.0.first(), self.0.last()) else {
            return self.0.fmt(f);
        };
        let same = (first.to_bits() ^ last.to_bits()).leading_zeros();
        write!(f, "{first}/{same}")
    }
}

/// Proof that something may be fetched from an address, though it is no target.
///
/// Only [`Scope::permit_download`] makes one, and only where the configuration allows
/// downloads. It gives no leave to ask the address anything else.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct DownloadPermit(IpAddr);

impl DownloadPermit {
    /// The address this permit is for.
    #[must_use]
    pub const fn address(self) -> IpAddr {
        self.0
    }
}

/// Why an address may not be sent to.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum Refused {
    /// Not among the targets.
    #[error("{0} is not among the targets")]
    OutOfScope(IpAddr),
    /// Excluded. Exclusion always wins.
    #[error("{0} is excluded")]
    Excluded(IpAddr),
    /// Not the address of one interface: multicast, broadcast or unspecified.
    #[error("{0} is not the address of one device")]
    NotUnicast(IpAddr),
    /// Nothing may be fetched from anywhere.
    #[error("nothing may be fetched from {0}: the configuration allows no downloads")]
    NoDownloads(IpAddr),
}

impl Scope {
    /// A scope of these addresses, less those.
    #[must_use]
    pub fn new(allowed: Vec<AddressRange>, excluded: Vec<AddressRange>) -> Self {
        let (allowed, excluded) = (merged(allowed), merged(excluded));
        Self { allowed, excluded, ..Self::default() }
    }

    /// The same, with or without downloads.
    #[must_use]
    pub fn with_downloads(self, downloads: Downloads) -> Self {
        Self { downloads, ..self }
    }

    /// The same with areas to be searched, IPv6 prefixes. None of their addresses may be sent
    /// to before [`Scope::with_found`] takes it in.
    #[must_use]
    pub fn with_areas(mut self, areas: Vec<AddressRange>) -> Self {
        let areas: BTreeSet<AddressRange> = self.areas.into_iter().chain(areas).collect();
        self.areas = areas.into_iter().collect();
        self
    }

    /// The areas to be searched: those of which anything is left that is not excluded.
    #[must_use]
    pub fn areas(&self) -> Vec<SearchPermit> {
        let is_left = |area: &&AddressRange| {
            let mut left = Vec::new();
            subtract(**area, &self.excluded, &mut left);
            !left.is_empty()
        };
        self.areas.iter().filter(is_left).map(|area| SearchPermit(*area)).collect()
    }

    /// Whether the address may be sent to as soon as it is found: it lies in an area, is not
    /// excluded, and is not among the targets already.
    #[must_use]
    pub fn may_find(&self, address: IpAddr) -> bool {
        self.areas.iter().any(|area| area.contains(address))
            && matches!(self.permit(address), Err(Refused::OutOfScope(_)))
    }

    /// The same with those of these addresses that [`Scope::may_find`] lets in.
    #[must_use]
    pub fn with_found(&self, found: impl IntoIterator<Item = IpAddr>) -> Self {
        let found = found.into_iter().filter(|address| self.may_find(*address));
        let allowed = self.allowed.iter().copied().chain(found.map(AddressRange::single));
        Self { allowed: merged(allowed.collect()), ..self.clone() }
    }

    /// Those of these addresses that [`Scope::may_find`] lets in, and nothing else.
    #[must_use]
    pub fn only(&self, found: impl IntoIterator<Item = IpAddr>) -> Self {
        let found = found.into_iter().filter(|address| self.may_find(*address));
        Self::new(found.map(AddressRange::single).collect(), self.excluded.clone())
    }

    /// Asks leave to send to `address`.
    pub fn permit(&self, address: IpAddr) -> Result<Permit, Refused> {
        // An IPv4 address in IPv6 clothes reaches the IPv4 host, so it is judged as that.
        let address = address.to_canonical();
        if is_not_unicast(address) {
            return Err(Refused::NotUnicast(address));
        }
        if holds(&self.excluded, address) {
            return Err(Refused::Excluded(address));
        }
        if !holds(&self.allowed, address) {
            return Err(Refused::OutOfScope(address));
        }
        Ok(Permit(address))
    }

    /// Asks leave to fetch something from `address`, which need not be a target. Exclusion wins
    /// here as well.
    pub fn permit_download(&self, address: IpAddr) -> Result<DownloadPermit, Refused> {
        let address = address.to_canonical();
        if self.downloads == Downloads::Forbidden {
            return Err(Refused::NoDownloads(address));
        }
        if is_not_unicast(address) {
            return Err(Refused::NotUnicast(address));
        }
        if holds(&self.excluded, address) {
            return Err(Refused::Excluded(address));
        }
        Ok(DownloadPermit(address))
    }

    /// What is left when everything excluded, and everything that is not the address of
    /// one device, is taken out: sorted, joined, and each address of it gets a permit.
    #[must_use]
    pub fn permitted(&self) -> Vec<AddressRange> {
        let groups = [
            ("0.0.0.0", "0.0.0.0"),
            ("224.0.0.0", "239.255.255.255"),
            ("255.255.255.255", "255.255.255.255"),
            ("::", "::"),
            ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ];
        let groups = groups
            .into_iter()
            .filter_map(|(first, last)| AddressRange::new(first.parse().ok()?, last.parse().ok()?));
        let refused = merged(self.excluded.iter().copied().chain(groups).collect());
        let mut left = Vec::new();
        for range in &self.allowed {
            subtract(*range, &refused, &mut left);
        }
        left
    }

    /// How many addresses may be sent to.
    #[must_use]
    pub fn permitted_count(&self) -> u128 {
        self.permitted().iter().fold(0, |sum: u128, range| sum.saturating_add(range.len()))
    }

    /// The allowed ranges, sorted and joined, exclusions not yet taken out.
    #[must_use]
    pub fn allowed(&self) -> &[AddressRange] {
        &self.allowed
    }

    /// The excluded ranges, sorted and joined.
    #[must_use]
    pub fn excluded(&self) -> &[AddressRange] {
        &self.excluded
    }
}

/// True for addresses that no single interface owns.
#[must_use]
pub fn is_not_unicast(address: IpAddr) -> bool {
    address.is_multicast()
        || address.is_unspecified()
        || matches!(address, IpAddr::V4(v4) if v4.is_broadcast())
}

fn holds(ranges: &[AddressRange], address: IpAddr) -> bool {
    let after = ranges.partition_point(|range| range.first() <= address);
    after.checked_sub(1).and_then(|i| ranges.get(i)).is_some_and(|range| range.contains(address))
}

/// Sorted, with overlapping and adjacent ranges joined, and IPv4 in IPv6 clothes undressed.
pub(crate) fn merged(ranges: Vec<AddressRange>) -> Vec<AddressRange> {
    let mut ranges: Vec<AddressRange> = ranges
        .into_iter()
        .map(|range| {
            let (first, last) = (range.first().to_canonical(), range.last().to_canonical());
            AddressRange::new(first, last).unwrap_or(range)
        })
        .collect();
    ranges.sort_unstable();
    let mut out: Vec<AddressRange> = Vec::with_capacity(ranges.len());
    for range in ranges {
        let joined = out
            .last()
            .filter(|last| {
                last.contains(range.first()) || after(last.last()) == Some(range.first())
            })
            .and_then(|last| AddressRange::new(last.first(), last.last().max(range.last())));
        match (joined, out.last_mut()) {
            (Some(joined), Some(last)) => *last = joined,
            _ => out.push(range),
        }
    }
    out
}

/// Puts the parts of `range` that are in none of `refused` (sorted, joined) into `left`.
fn subtract(range: AddressRange, refused: &[AddressRange], left: &mut Vec<AddressRange>) {
    let mut first = Some(range.first());
    let begin = refused.partition_point(|out| out.last() < range.first());
    for out in refused.iter().skip(begin) {
        let Some(start) = first else { return };
        if out.first() > range.last() || out.first().is_ipv4() != start.is_ipv4() {
            break;
        }
        if let Some(end) = before(out.first())
            && let Some(part) = AddressRange::new(start, end)
        {
            left.push(part);
        }
        if out.last() >= start {
            first = after(out.last());
        }
    }
    if let Some(start) = first
        && let Some(part) = AddressRange::new(start, range.last())
    {
        left.push(part);
    }
}

/// The next address of the family.
pub(crate) fn after(address: IpAddr) -> Option<IpAddr> {
    Some(match address {
        IpAddr::V4(v4) => IpAddr::V4(u32::from(v4).checked_add(1)?.into()),
        IpAddr::V6(v6) => IpAddr::V6(u128::from(v6).checked_add(1)?.into()),
    })
}

/// The address before, in the family.
pub(crate) fn before(address: IpAddr) -> Option<IpAddr> {
    Some(match address {
        IpAddr::V4(v4) => IpAddr::V4(u32::from(v4).checked_sub(1)?.into()),
        IpAddr::V6(v6) => IpAddr::V6(u128::from(v6).checked_sub(1)?.into()),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(first: &str, last: &str) -> AddressRange {
        AddressRange::new(first.parse().unwrap(), last.parse().unwrap()).unwrap()
    }

    #[track_caller]
    fn check(address: &str, expected: Result<(), fn(IpAddr) -> Refused>) {
        let scope = Scope::new(
            vec![
                range("192.0.2.0", "192.0.2.255"),
                range("192.0.2.100", "192.0.3.9"),
                range("224.0.0.0", "255.255.255.255"),
                range("2001:db8::1", "2001:db8::9"),
            ],
            vec![range("192.0.2.7", "192.0.2.7"), range("2001:db8::5", "2001:db8::6")],
        );
        let address: IpAddr = address.parse().unwrap();
        let got = scope.permit(address).map(Permit::address);
        let canonical = address.to_canonical();
        assert_eq!(got, expected.map(|()| canonical).map_err(|refused| refused(canonical)));
    }

    #[test]
    fn exclusion_wins_over_permission() {
        check("192.0.2.6", Ok(()));
        check("192.0.2.7", Err(Refused::Excluded));
        check("192.0.3.9", Ok(()));
        check("192.0.3.10", Err(Refused::OutOfScope));
        check("2001:db8::6", Err(Refused::Excluded));
        check("2001:db8::7", Ok(()));
        check("198.51.100.1", Err(Refused::OutOfScope));
    }

    #[test]
    fn an_ipv4_address_in_ipv6_clothes_is_itself() {
        check("::ffff:192.0.2.7", Err(Refused::Excluded));
        check("::ffff:192.0.2.8", Ok(()));
    }

    #[test]
    fn nobody_sends_to_a_group() {
        check("224.0.0.1", Err(Refused::NotUnicast));
        check("255.255.255.255", Err(Refused::NotUnicast));
        check("0.0.0.0", Err(Refused::NotUnicast));
        check("ff02::1", Err(Refused::NotUnicast));
    }

    #[test]
    fn nothing_is_fetched_unless_it_is_allowed_and_never_from_what_is_excluded() {
        let scope = Scope::new(
            vec![range("192.0.2.0", "192.0.2.255")],
            vec![range("192.0.2.7", "192.0.2.7"), range("203.0.113.0", "203.0.113.255")],
        );
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let all = ["192.0.2.1", "198.51.100.1", "192.0.2.7", "::ffff:203.0.113.9", "224.0.0.1"];
        for text in all {
            let canonical = address(text).to_canonical();
            let refused = Err(Refused::NoDownloads(canonical));
            assert_eq!(scope.permit_download(address(text)), refused, "{text}");
        }
        let scope = scope.with_downloads(Downloads::Allowed);
        let fetched = all.map(|text| scope.permit_download(address(text)).is_ok());
        assert_eq!(fetched, [true, true, false, false, false]);
        // It makes no target of anybody.
        assert!(scope.permit(address("198.51.100.1")).is_err());
    }

    #[test]
    fn what_is_permitted_is_counted_without_exclusions_and_groups() {
        let scope = Scope::new(
            vec![range("192.0.2.0", "192.0.2.255"), range("223.255.255.254", "224.0.0.5")],
            vec![range("192.0.2.7", "192.0.2.9"), range("192.0.2.250", "192.0.3.4")],
        );
        let texts: Vec<String> = scope.permitted().iter().map(ToString::to_string).collect();
        let expected =
            ["192.0.2.0-192.0.2.6", "192.0.2.10-192.0.2.249", "223.255.255.254-223.255.255.255"];
        assert_eq!(texts, expected);
        assert_eq!(scope.permitted_count(), 7 + 240 + 2);
    }

    #[test]
    fn an_area_lets_in_what_is_found_there_and_nothing_else() {
        let scope = Scope::new(
            vec![range("2001:db8::1", "2001:db8::2")],
            vec![range("2001:db8::bad", "2001:db8::bad")],
        );
        let area = range("2001:db8::", "2001:db8::ffff:ffff:ffff:ffff");
        let scope = scope.with_areas(vec![area, area]);
        let texts: Vec<String> = scope.areas().iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["2001:db8::/64"]);
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let outside = ["2001:db8:0:1::5", "fe80::5", "192.0.2.1", "ff02::1", "2001:db8::bad"];
        let found = ["2001:db8::5", "2001:db8::1"].into_iter().chain(outside).map(address);
        assert_eq!(
            scope.permit(address("2001:db8::5")).unwrap_err(),
            Refused::OutOfScope(address("2001:db8::5"))
        );
        assert_eq!(scope.permitted_count(), 2);
        let wider = scope.with_found(found);
        assert!(wider.permit(address("2001:db8::5")).is_ok());
        assert_eq!(wider.permitted_count(), 3);
        assert!(outside.into_iter().all(|text| wider.permit(address(text)).is_err()));
        let nothing = Scope::new(vec![], vec![range("2001:d00::", "2001:dff::")]);
        assert!(nothing.with_areas(vec![area]).areas().is_empty());
        // What was let in is no find any more, and the area stays one.
        assert!(!wider.may_find(address("2001:db8::5")) && wider.may_find(address("2001:db8::6")));
    }

    proptest! {
        #[test]
        fn permitted_and_permit_agree(
            allowed in proptest::collection::vec((0_u32..300, 0_u32..40), 0..6),
            excluded in proptest::collection::vec((0_u32..300, 0_u32..40), 0..6),
        ) {
            let base = u32::from(std::net::Ipv4Addr::new(223, 255, 255, 0));
            let make = |list: Vec<(u32, u32)>| {
                list.into_iter()
                    .filter_map(|(first, len)| {
                        let first = base + first;
                        AddressRange::new(IpAddr::V4(first.into()), IpAddr::V4((first + len).into()))
                    })
                    .collect()
            };
            let scope = Scope::new(make(allowed), make(excluded));
            let permitted = scope.permitted();
            for n in 0..360 {
                let address = IpAddr::V4((base + n).into());
                prop_assert_eq!(
                    permitted.iter().filter(|range| range.contains(address)).count(),
                    usize::from(scope.permit(address).is_ok())
                );
            }
        }
    }
}
