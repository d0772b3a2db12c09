//! Where we looked, and whether that means anything.
//!
//! Silence says something only where a scan asked the address in a way in which the asset
//! is known to answer, lost nothing on the way, and did not report a gap there. This turns
//! the records of past scans into answers to that one question; what follows from an answer
//! is decided by `compare`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::{AddressRange, Endpoint, Method, PortSet, ScanRecord, Site, Timestamp, Transport};

use crate::register::address_range;

mod superseded;

pub(crate) use superseded::Superseding;

/// The looks of all scans, ready to be asked about one address after the other.
#[derive(Clone, Debug)]
pub struct CoverageIndex {
    /// Newest first.
    scans: Vec<Looks>,
}

/// Where one scan looked.
#[derive(Clone, Debug)]
struct Looks {
    site: Site,
    started_at: Timestamp,
    parts: Vec<Part>,
    gaps: Ranges,
}

/// Addresses of a scan that were asked in the same way.
#[derive(Clone, Debug)]
struct Part {
    methods: Vec<Method>,
    tcp: PortSet,
    udp: PortSet,
    ranges: Ranges,
}

/// The ways of asking: who answers one method of a kind answers the others.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Link,
    Echo,
    /// Many who answer echo do not answer this.
    Timestamp,
    Tcp,
    /// Filters that know connections let a SYN pass, and this not.
    Ack,
    Udp,
}

/// What kind of question a method is; `None` for those that ask nobody.
const fn kind(method: Method) -> Option<Kind> {
    match method {
        // Who was heard on the link answers questions for its link-layer address: without that
        // nobody could send it anything.
        Method::Arp
        | Method::NeighborSolicitation
        | Method::NeighborTable
        | Method::MulticastOption
        | Method::MulticastListener
        | Method::RouterAdvertisement => Some(Kind::Link),
        // Who answers an echo to everybody answers one to itself.
        Method::Echo | Method::MulticastEcho => Some(Kind::Echo),
        Method::Timestamp => Some(Kind::Timestamp),
        Method::TcpAck => Some(Kind::Ack),
        Method::TcpSyn | Method::TcpConnect | Method::Dialogue | Method::Tls => Some(Kind::Tcp),
        Method::Udp => Some(Kind::Udp),
        Method::Resolver | Method::Capture | Method::Import => None,
    }
}

impl CoverageIndex {
    /// Prepares the records. A scan that knows of lost answers is left out altogether: the
    /// one that is missing may be among them.
    #[must_use]
    pub fn new(scans: &[ScanRecord]) -> Self {
        let mut scans: Vec<Looks> =
            scans.iter().filter(|scan| scan.drops == 0).map(Looks::new).collect();
        scans.sort_by_key(|scan| std::cmp::Reverse(scan.started_at));
        Self { scans }
    }

    /// When scans that began after `since` looked at the address from that site, newest
    /// first. `answers` are the methods that the asset is known to answer: only looks by
    /// such a method count. `None`, for what was never seen, counts every question.
    pub fn looks<'a>(
        &'a self,
        site: &'a Site,
        address: IpAddr,
        since: Timestamp,
        answers: Option<&'a [Method]>,
    ) -> impl Iterator<Item = Timestamp> + 'a {
        let asked_well = move |method: &Method| {
            kind(*method).is_some_and(|asked| {
                answers.is_none_or(|known| known.iter().any(|m| kind(*m) == Some(asked)))
            })
        };
        self.since(site, since)
            .filter(move |scan| {
                let mut parts = scan.parts.iter();
                parts.any(|p| p.methods.iter().any(asked_well) && p.ranges.contains(address))
                    && !scan.gaps.contains(address)
            })
            .map(|scan| scan.started_at)
    }

    /// When scans that began after `since` asked the endpoint, newest first. Ports are asked
    /// only of those found alive, so this means something where the asset answered that scan.
    pub fn asked<'a>(
        &'a self,
        site: &'a Site,
        endpoint: Endpoint,
        since: Timestamp,
    ) -> impl Iterator<Item = Timestamp> + 'a {
        let port = move |part: &Part| match endpoint.transport {
            Transport::Tcp => part.tcp.contains(endpoint.port),
            Transport::Udp => part.udp.contains(endpoint.port),
        };
        self.since(site, since)
            .filter(move |scan| {
                scan.parts.iter().any(|p| port(p) && p.ranges.contains(endpoint.address))
                    && !scan.gaps.contains(endpoint.address)
            })
            .map(|scan| scan.started_at)
    }

    /// The sites from which the address was ever looked at. Where addresses are used twice,
    /// only a look from every one of them says that nobody has it.
    pub fn sites(&self, address: IpAddr) -> impl Iterator<Item = &Site> {
        let mut sites: Vec<&Site> = self
            .scans
            .iter()
            .filter(|scan| scan.parts.iter().any(|part| part.ranges.contains(address)))
            .map(|scan| &scan.site)
            .collect();
        sites.sort();
        sites.dedup();
        sites.into_iter()
    }

    fn since<'a>(
        &'a self,
        site: &'a Site,
        since: Timestamp,
    ) -> impl Iterator<Item = &'a Looks> + 'a {
        self.scans
            .iter()
            .take_while(move |scan| scan.started_at > since)
            .filter(move |scan| scan.site == *site)
    }
}

impl Looks {
    fn new(scan: &ScanRecord) -> Self {
        // Thousands of single addresses asked in one way become a few ranges.
        let mut parts: Vec<(Part, Vec<AddressRange>)> = Vec::new();
        for coverage in &scan.coverage {
            let same = parts.iter_mut().rev().find(|(part, _)| {
                part.methods == coverage.methods
                    && part.tcp == coverage.tcp
                    && part.udp == coverage.udp
            });
            match same {
                Some((_, ranges)) => ranges.push(coverage.range),
                None => {
                    let part = Part {
                        methods: coverage.methods.clone(),
                        tcp: coverage.tcp.clone(),
                        udp: coverage.udp.clone(),
                        ranges: Ranges::default(),
                    };
                    parts.push((part, vec![coverage.range]));
                }
            }
        }
        let joined = |(part, ranges)| Part { ranges: Ranges::new(ranges), ..part };
        // A gap that names no address (an interface, a name) is not about one.
        let gaps = scan.gaps.iter().filter_map(|gap| address_range(&gap.target)).collect();
        Self {
            site: scan.vantage.site.clone(),
            started_at: scan.started_at,
            parts: parts.into_iter().map(joined).collect(),
            gaps: Ranges::new(gaps),
        }
    }
}

/// Addresses as ranges that do not touch, in ascending order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ranges(Vec<(IpAddr, IpAddr)>);

impl Ranges {
    pub(crate) fn new(mut ranges: Vec<AddressRange>) -> Self {
        ranges.sort();
        let mut joined: Vec<(IpAddr, IpAddr)> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match joined.last_mut() {
                Some((first, last))
                    if first.is_ipv4() == range.first().is_ipv4() && range.first() <= *last =>
                {
                    *last = range.last().max(*last);
                }
                _ => joined.push((range.first(), range.last())),
            }
        }
        Self(joined)
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        // IpAddr orders IPv4 before IPv6, so both families can share one list.
        let behind = self.0.partition_point(|(first, _)| *first <= address);
        behind
            .checked_sub(1)
            .and_then(|at| self.0.get(at))
            .is_some_and(|(_, last)| address <= *last)
    }

    /// Whether all of the range is among them.
    fn cover(&self, range: AddressRange) -> bool {
        let mut wanted = range.first();
        let from = self.0.partition_point(|(_, last)| *last < wanted);
        for (first, last) in self.0.get(from..).unwrap_or_default() {
            if *first > wanted {
                return false;
            }
            if *last >= range.last() {
                return true;
            }
            // Two that only touch.
            match after(*last) {
                Some(next) => wanted = next,
                None => return false,
            }
        }
        false
    }

    /// Whether any of the range is among them.
    fn touch(&self, range: AddressRange) -> bool {
        let from = self.0.partition_point(|(_, last)| *last < range.first());
        self.0.get(from).is_some_and(|(first, _)| *first <= range.last())
    }
}

/// The address that follows, of the same family.
fn after(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(v4) => Some(Ipv4Addr::from_bits(v4.to_bits().checked_add(1)?).into()),
        IpAddr::V6(v6) => Some(Ipv6Addr::from_bits(v6.to_bits().checked_add(1)?).into()),
    }
}

#[cfg(test)]
mod tests {
    use model::{Coverage, Gap, Vantage};

    use super::*;

    fn site() -> Site {
        Site("plant".into())
    }

    fn scan(at: i64, range: &str, methods: &[Method]) -> ScanRecord {
        ScanRecord {
            vantage: Vantage { site: site(), name: "here".into() },
            started_at: Timestamp::from_seconds(at),
            ended_at: None,
            io: "raw".into(),
            probes_sent: 1,
            replies: 0,
            drops: 0,
            complete: true,
            gaps: Vec::new(),
            coverage: vec![Coverage {
                range: address_range(range).unwrap(),
                methods: methods.to_vec(),
                tcp: "22,443".parse().unwrap(),
                udp: "53".parse().unwrap(),
            }],
        }
    }

    #[track_caller]
    fn check(scans: &[ScanRecord], address: &str, answers: Option<&[Method]>, expected: &[i64]) {
        let index = CoverageIndex::new(scans);
        let since = Timestamp::from_seconds(10);
        let got: Vec<i64> = index
            .looks(&site(), address.parse().unwrap(), since, answers)
            .map(Timestamp::seconds)
            .collect();
        assert_eq!(got, expected, "{address}");
    }

    #[test]
    fn looks_are_counted_since_then_from_there_and_newest_first() {
        let mut elsewhere = scan(50, "192.0.2.0/24", &[Method::Echo]);
        elsewhere.vantage.site = Site("office".into());
        let scans = [
            scan(10, "192.0.2.0/24", &[Method::Echo]),
            scan(11, "192.0.2.0/24", &[Method::Echo]),
            elsewhere,
            scan(40, "192.0.2.7", &[Method::Arp]),
            scan(60, "2001:db8::/120", &[Method::Echo]),
        ];
        check(&scans, "192.0.2.7", None, &[40, 11]);
        check(&scans, "192.0.2.8", None, &[11]);
        check(&scans, "192.0.3.8", None, &[]);
        check(&scans, "2001:db8::7", None, &[60]);
    }

    #[test]
    fn only_questions_that_it_answers_count() {
        let scans = [
            scan(20, "192.0.2.0/24", &[Method::Echo]),
            scan(30, "192.0.2.0/24", &[Method::TcpConnect, Method::Resolver]),
            scan(40, "192.0.2.0/24", &[Method::Capture]),
            scan(50, "192.0.2.0/24", &[Method::Arp]),
        ];
        check(&scans, "192.0.2.7", None, &[50, 30, 20]);
        check(&scans, "192.0.2.7", Some(&[Method::NeighborTable]), &[50]);
        check(&scans, "192.0.2.7", Some(&[Method::MulticastListener]), &[50]);
        check(&scans, "192.0.2.7", Some(&[Method::MulticastEcho]), &[20]);
        check(&scans, "192.0.2.7", Some(&[Method::TcpSyn, Method::Echo]), &[30, 20]);
        check(&scans, "192.0.2.7", Some(&[Method::Capture]), &[]);
        check(&scans, "192.0.2.7", Some(&[]), &[]);
    }

    #[test]
    fn a_scan_with_losses_or_a_gap_there_did_not_look() {
        let mut lossy = scan(20, "192.0.2.0/24", &[Method::Echo]);
        lossy.drops = 1;
        let mut gap = scan(30, "192.0.2.0/24", &[Method::Echo]);
        gap.gaps = vec![
            Gap { target: "192.0.2.0/28".into(), reason: "a firewall answers for all".into() },
            Gap { target: "eth7".into(), reason: "went down".into() },
            Gap { target: "search of 192.0.2.0/24".into(), reason: "no echo socket".into() },
        ];
        check(&[lossy, gap.clone()], "192.0.2.7", None, &[]);
        check(&[gap], "192.0.2.77", None, &[30]);
    }

    #[test]
    fn endpoints_are_asked_by_port() {
        let index = CoverageIndex::new(&[scan(20, "192.0.2.0/24", &[Method::TcpSyn])]);
        let asked = |endpoint| index.asked(&site(), endpoint, Timestamp(0)).count();
        let address = "192.0.2.7".parse().unwrap();
        assert_eq!(asked(Endpoint::tcp(address, 443)), 1);
        assert_eq!(asked(Endpoint::tcp(address, 53)), 0);
        assert_eq!(asked(Endpoint::udp(address, 53)), 1);
        assert_eq!(index.sites(address).count(), 1);
        assert_eq!(index.sites("192.0.3.7".parse().unwrap()).count(), 0);
    }

    #[test]
    fn ranges_that_overlap_are_one() {
        let ranges = ["192.0.2.0/30", "192.0.2.2-9", "192.0.2.20", "2001:db8::/126"];
        let ranges = Ranges::new(ranges.iter().filter_map(|text| address_range(text)).collect());
        assert_eq!(ranges.0.len(), 3);
        let inside = |text: &str| ranges.contains(text.parse().unwrap());
        assert!(inside("192.0.2.0") && inside("192.0.2.9") && inside("192.0.2.20"));
        assert!(!inside("192.0.2.10") && !inside("::1") && !inside("192.0.2.21"));
        assert!(inside("2001:db8::3") && !inside("2001:db8::4"));
    }
}
