//! What a sweep will ask, of how many, for how long, and in which order.
//!
//! Pure arithmetic: nothing is sent here and no list of questions is ever made. Addresses
//! are numbered, questions are numbered, and a keyed permutation walks over their product,
//! so that neighbouring questions go to addresses far apart and an address gets its
//! questions spread over the whole time.

use std::{collections::BTreeSet, net::IpAddr, str::FromStr, time::Duration};

use model::AddressRange;

use crate::{Scope, net::Tier, ports::PortSpec, rate::Rates};

/// The order of everything, and its cookies, follow from this. 128 random bits, new for
/// each scan, so that nobody can foresee or forge what is asked and answered.
pub type Key = [u8; 16];

/// Everything that a sweep must know before it begins.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whom to ask.
    pub scope: Scope,
    /// Which ports, of those that are alive.
    pub ports: PortSpec,
    /// By which questions to find out whether an address is alive.
    pub discover: Discover,
    /// How fast at most.
    pub rates: Rates,
    /// The secret of this scan.
    pub key: Key,
    /// Whether to ask every address for its ports without asking first whether it is
    /// there: slow, and right where a firewall drops every question for liveness.
    pub assume_alive: bool,
}

/// The ports that are asked to see whether an address is alive, likeliest first: web
/// and remote access of servers, Windows, and in the connect tier, which has no echo,
/// printers, proxies and name servers too. Raw-print and control ports are not for this.
const RAW_LIVENESS: [u16; 5] = [443, 22, 80, 445, 3389];
const CONNECT_LIVENESS: [u16; 8] = [443, 22, 80, 445, 3389, 8080, 631, 53];

/// The same by UDP: what even a host with every TCP port shut may answer, if only by
/// refusing.
const UDP_LIVENESS: [u16; 5] = [161, 137, 53, 123, 5353];

/// A segment to this port that belongs to no connection passes filters that let answers in.
const ACK_LIVENESS: u16 = 80;

/// A way to find out whether an address is alive.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Way {
    /// ARP, of addresses on the link.
    Arp,
    /// Neighbour solicitation, of addresses on the link.
    Neighbor,
    /// ICMP and ICMPv6 echo.
    Echo,
    /// ICMP timestamp, IPv4 only.
    Timestamp,
    /// TCP SYN or connect.
    Syn,
    /// A TCP segment of no connection.
    Ack,
    /// UDP datagrams to ports that are asked something sensible.
    Udp,
}

impl Way {
    const ALL: [Self; 7] =
        [Self::Arp, Self::Neighbor, Self::Echo, Self::Timestamp, Self::Syn, Self::Ack, Self::Udp];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Arp => "arp",
            Self::Neighbor => "neighbor",
            Self::Echo => "echo",
            Self::Timestamp => "timestamp",
            Self::Syn => "syn",
            Self::Ack => "ack",
            Self::Udp => "udp",
        }
    }
}

/// The ways to find out whether an address is alive that may be used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Discover(BTreeSet<Way>);

impl Default for Discover {
    /// All of them.
    fn default() -> Self {
        Self(Way::ALL.into())
    }
}

impl Discover {
    /// Whether this way may be used.
    #[must_use]
    pub fn by(&self, way: Way) -> bool {
        self.0.contains(&way)
    }
}

impl FromStr for Discover {
    type Err = String;

    /// `all`, or names with commas: `arp,echo,syn`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim() == "all" {
            return Ok(Self::default());
        }
        let mut ways = BTreeSet::new();
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let way = Way::ALL.into_iter().find(|way| way.as_str() == name);
            let names = Way::ALL.map(Way::as_str).join(", ");
            ways.insert(way.ok_or_else(|| {
                format!("{name:?} is not a way to find out who is there (all, or of {names})")
            })?);
        }
        match ways.is_empty() {
            true => {
                Err("no way to find out who is there is named; write for example arp,echo".into())
            }
            false => Ok(Self(ways)),
        }
    }
}

/// One question for liveness of an address that no link-layer question reaches.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Sign {
    Echo,
    Timestamp,
    Syn(u16),
    Ack(u16),
    Udp(u16),
}

/// Rounds of questions for liveness that everybody far away gets; the rest only those near
/// whom anything answered.
pub(crate) const FAR_ROUNDS: u64 = 6;

/// How often a silent address is asked by ARP or neighbour solicitation: what is lost
/// twice at 5 % loss each way comes through the third time, in 999 of 1,000 cases.
pub(crate) const LINK_TRIES: u64 = 3;

/// Echo requests for an address of which the link already said that it is there.
pub(crate) const ECHO_TRIES: u64 = 2;

/// How often a silent port is asked: twice, and a third time where loss was seen.
pub(crate) const PORT_TRIES: u64 = 3;

/// If the user wants no more TCP ports than this, they are questions for liveness, too.
const FEW_PORTS: usize = 3;

impl Plan {
    /// The questions that show whether an address that no link-layer question reaches is
    /// alive, in the order of asking.
    ///
    /// Echo is answered most often and costs the target least. In the connect tier, where not
    /// every system lets us send it, a connect comes first: for an absent address on the link
    /// the kernel answers it with the outcome of its ARP, which settles the matter. Against
    /// loss, echo and two ports come again at the end.
    pub(crate) fn liveness(&self, tier: Tier) -> Vec<Sign> {
        let ports = self.liveness_ports(tier);
        let syns = ports.iter().map(|port| Sign::Syn(*port));
        let mut signs: Vec<Sign> = syns.collect();
        signs.insert(usize::from(tier == Tier::Connect && !signs.is_empty()), Sign::Echo);
        signs.push(Sign::Echo);
        if tier == Tier::Raw {
            signs.extend([Sign::Ack(ACK_LIVENESS), Sign::Timestamp]);
            signs.extend(UDP_LIVENESS.map(Sign::Udp));
        }
        signs.extend(ports.iter().take(2).map(|port| Sign::Syn(*port)));
        signs.retain(|sign| {
            self.discover.by(match sign {
                Sign::Echo => Way::Echo,
                Sign::Timestamp => Way::Timestamp,
                Sign::Syn(_) => Way::Syn,
                Sign::Ack(_) => Way::Ack,
                Sign::Udp(_) => Way::Udp,
            })
        });
        signs
    }

    /// The TCP ports that show whether an address is alive, likeliest first.
    fn liveness_ports(&self, tier: Tier) -> Vec<u16> {
        let usual: &[u16] = match tier {
            Tier::Raw => &RAW_LIVENESS,
            Tier::Connect => &CONNECT_LIVENESS,
        };
        let mut ports: Vec<u16> = Vec::new();
        if self.ports.tcp.len() <= FEW_PORTS {
            ports.extend(self.ports.tcp.iter());
        }
        ports.extend(usual.iter().filter(|port| !self.ports.tcp_is_few(**port)));
        ports
    }

    /// What this will cost. `on_link` says whether an address is on a link of ours.
    #[must_use]
    pub fn estimate(&self, tier: Tier, on_link: &dyn Fn(IpAddr) -> bool) -> Estimate {
        let addresses = Addresses::new(&self.scope);
        let count = addresses.count();
        // A sample is enough for large networks: which addresses are on a link changes with
        // whole networks, and each look asks the system.
        let step = (count >> 14).max(1);
        let mut near: u64 = 0;
        let mut place = 0;
        while place < count {
            if addresses.at(place).is_some_and(on_link) {
                near = near.saturating_add(step.min(count.saturating_sub(place)));
            }
            place = place.saturating_add(step);
        }
        let far = count.saturating_sub(near);
        let ports = u64::try_from(self.ports.len()).unwrap_or(u64::MAX);
        let rounds = u64::try_from(self.liveness(tier).len()).unwrap_or(u64::MAX);
        let rounds = if tier == Tier::Raw { rounds.min(FAR_ROUNDS) } else { rounds };
        let far_silent = far.saturating_mul(rounds);

        // Silence costs every question for liveness; an address that is there costs one
        // of them (and an echo) and its ports, up to as often as silence is asked.
        let (silent, there) = match (self.assume_alive, tier) {
            (true, _) => {
                let silent = count.saturating_mul(ports).saturating_mul(PORT_TRIES - 1);
                (silent, count.saturating_mul(ports))
            }
            (false, Tier::Raw) => {
                let silent = near.saturating_mul(LINK_TRIES - 1).saturating_add(far_silent);
                (silent, near.saturating_mul(2).saturating_add(far))
            }
            // The kernel's own ARP settles silence on the link within three seconds, in
            // which it sends three requests and we ask about four times.
            (false, Tier::Connect) => (near.saturating_mul(5).saturating_add(far_silent), count),
        };
        let per_port = match tier {
            Tier::Raw => 1,
            // SYN, ACK, FIN and ACK where all are open.
            Tier::Connect => 4,
        };
        let all_ports = count.saturating_mul(ports);
        let (least, most) = match self.assume_alive {
            true => (there, all_ports.saturating_mul(PORT_TRIES.max(per_port))),
            false => (
                silent.min(there.saturating_add(all_ports)),
                silent.saturating_add(all_ports.saturating_mul(PORT_TRIES.max(per_port))),
            ),
        };
        let per_host = most.checked_div(count).unwrap_or(0);
        let per_network = per_host.saturating_mul(count.min(256));
        let rates = self.rates;
        Estimate {
            addresses: count,
            tcp_ports: self.ports.tcp.len(),
            udp_ports: self.ports.udp.len(),
            least_packets: least,
            most_packets: most,
            least: seconds(least, rates.total),
            most: seconds(most, rates.first())
                .max(seconds(per_host, rates.per_host))
                .max(seconds(per_network, rates.per_network)),
        }
    }
}

impl PortSpec {
    fn tcp_is_few(&self, port: u16) -> bool {
        self.tcp.len() <= FEW_PORTS && self.tcp.contains(port)
    }
}

fn seconds(packets: u64, rate: u32) -> Duration {
    let whole = packets / u64::from(rate.max(1));
    let rest = packets % u64::from(rate.max(1));
    Duration::from_secs(whole)
        .saturating_add(Duration::from_millis(rest.saturating_mul(1_000) / u64::from(rate.max(1))))
}

/// What a sweep will cost, for `--dry-run`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Estimate {
    /// Addresses to ask, exclusions taken out.
    pub addresses: u64,
    /// TCP ports to ask of each that is alive.
    pub tcp_ports: usize,
    /// UDP ports to ask of each that is alive.
    pub udp_ports: usize,
    /// Packets if nothing is there, or if everything answers at once, whichever is less.
    pub least_packets: u64,
    /// Packets if everything is there and every port stays silent.
    pub most_packets: u64,
    /// The time for the least packets at the given rate, without waiting for answers.
    pub least: Duration,
    /// The time for the most packets, at the rates to one address, to a network of 256, and in
    /// all: that with which it begins, if it follows what the network bears.
    pub most: Duration,
}

/// The permitted addresses, numbered from 0 in ascending order. Holds ranges, not addresses.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    ranges: Vec<AddressRange>,
    /// The number of the first address of each range.
    starts: Vec<u64>,
    count: u64,
}

impl Addresses {
    /// Numbers what the scope permits.
    #[must_use]
    pub fn new(scope: &Scope) -> Self {
        let mut list = Self::default();
        for range in scope.permitted() {
            list.starts.push(list.count);
            list.count = list.count.saturating_add(u64::try_from(range.len()).unwrap_or(u64::MAX));
            list.ranges.push(range);
        }
        list
    }

    /// How many.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The ranges, ascending.
    #[must_use]
    pub fn ranges(&self) -> &[AddressRange] {
        &self.ranges
    }

    /// The addresses of the numbers from `first` on, so many of them at most, with numbers of
    /// their own from 0 on.
    #[must_use]
    pub fn part(&self, first: u64, count: u64) -> Self {
        let mut list = Self::default();
        let end = first.saturating_add(count).min(self.count);
        for (range, start) in self.ranges.iter().zip(&self.starts) {
            let len = u64::try_from(range.len()).unwrap_or(u64::MAX);
            let from = first.max(*start);
            let until = end.min(start.saturating_add(len));
            let Some(last) = until.checked_sub(1).filter(|last| *last >= from) else { continue };
            let ends = [from, last].map(|n| range.nth(u128::from(n.saturating_sub(*start))));
            if let [Some(low), Some(high)] = ends
                && let Some(part) = AddressRange::new(low, high)
            {
                list.starts.push(list.count);
                list.count = list.count.saturating_add(until.saturating_sub(from));
                list.ranges.push(part);
            }
        }
        list
    }

    /// The address of that number.
    #[must_use]
    pub fn at(&self, number: u64) -> Option<IpAddr> {
        let range = self.starts.partition_point(|start| *start <= number).checked_sub(1)?;
        let offset = number.checked_sub(*self.starts.get(range)?)?;
        self.ranges.get(range)?.nth(u128::from(offset))
    }

    /// The number of that address, or `None` where it is not among them.
    #[must_use]
    pub fn number(&self, address: IpAddr) -> Option<u64> {
        let address = address.to_canonical();
        let index = self.ranges.partition_point(|r| r.first() <= address).checked_sub(1)?;
        let range = self.ranges.get(index).filter(|range| range.contains(address))?;
        // As long as the part of the range up to it, less one.
        let offset = AddressRange::new(range.first(), address)?.len().checked_sub(1)?;
        self.starts.get(index)?.checked_add(u64::try_from(offset).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(ranges: &[(&str, &str)]) -> Scope {
        let ranges = ranges.iter().map(|(first, last)| {
            AddressRange::new(first.parse().unwrap(), last.parse().unwrap()).unwrap()
        });
        Scope::new(ranges.collect(), vec![])
    }

    #[test]
    fn addresses_are_numbered_across_ranges() {
        let list = Addresses::new(&scope(&[
            ("192.0.2.250", "192.0.3.5"),
            ("198.51.100.7", "198.51.100.7"),
            ("2001:db8::", "2001:db8::ffff"),
        ]));
        assert_eq!(list.count(), 12 + 1 + 65_536);
        for number in 0..list.count() {
            let address = list.at(number).unwrap();
            assert_eq!(list.number(address), Some(number), "{address}");
        }
        assert_eq!(list.at(12).unwrap().to_string(), "198.51.100.7");
        assert_eq!(list.at(list.count()), None);
        for outside in ["192.0.2.249", "192.0.3.6", "198.51.100.8", "2001:db8::1:0", "::"] {
            assert_eq!(list.number(outside.parse().unwrap()), None);
        }
        assert_eq!(list.number("::ffff:192.0.3.0".parse().unwrap()), Some(6));
    }

    #[test]
    fn few_ports_are_questions_for_liveness() {
        let plan = |ports: &str| Plan {
            scope: Scope::default(),
            ports: ports.parse().unwrap(),
            discover: Discover::default(),
            rates: Rates::default(),
            key: [0; 16],
            assume_alive: false,
        };
        assert_eq!(plan("default").liveness_ports(Tier::Raw), [443, 22, 80, 445, 3389]);
        assert_eq!(plan("80,502").liveness_ports(Tier::Raw), [80, 502, 443, 22, 445, 3389]);
        assert_eq!(plan("u:53").liveness_ports(Tier::Raw).len(), 5);
        let all = plan("default").liveness(Tier::Raw);
        assert_eq!(all[..3], [Sign::Echo, Sign::Syn(443), Sign::Syn(22)]);
        assert_eq!(all.len(), 5 + 2 + 2 + 5 + 2);
        assert_eq!(plan("22").liveness(Tier::Connect)[..2], [Sign::Syn(22), Sign::Echo]);
        let only = Plan { discover: "arp, echo".parse().unwrap(), ..plan("default") };
        assert_eq!(only.liveness(Tier::Raw), [Sign::Echo; 2]);
    }

    #[test]
    fn ways_are_named_or_refused() {
        assert_eq!("all".parse(), Ok(Discover::default()));
        assert!("arp,syn".parse::<Discover>().unwrap().by(Way::Syn));
        assert!(!"arp,syn".parse::<Discover>().unwrap().by(Way::Echo));
        let error = "arp,pign".parse::<Discover>().unwrap_err();
        assert!(error.starts_with("\"pign\" is not a way"), "{error}");
        assert!(" , ".parse::<Discover>().is_err());
    }

    #[test]
    fn a_part_has_the_addresses_between_its_ends() {
        let all = Addresses::new(&scope(&[
            ("192.0.2.250", "192.0.3.5"),
            ("198.51.100.7", "198.51.100.7"),
            ("203.0.113.0", "203.0.113.9"),
        ]));
        let mut seen = Vec::new();
        for first in (0..all.count()).step_by(5) {
            let part = all.part(first, 5);
            assert!(part.count() <= 5);
            for number in 0..part.count() {
                let address = part.at(number).unwrap();
                assert_eq!(part.number(address), Some(number));
                seen.push(address);
            }
        }
        let expected: Vec<IpAddr> = (0..all.count()).map(|n| all.at(n).unwrap()).collect();
        assert_eq!(seen, expected);
        assert_eq!(all.part(all.count(), 5).count(), 0);
    }

    #[test]
    fn an_estimate_counts_packets_and_time() {
        let plan = Plan {
            scope: scope(&[("192.0.2.1", "192.0.2.100"), ("198.51.100.1", "198.51.100.10")]),
            ports: "1-50,u:53".parse().unwrap(),
            discover: Discover::default(),
            rates: Rates { total: 1_000, per_host: 40, ..Rates::default() },
            key: [0; 16],
            assume_alive: false,
        };
        let near = |address: IpAddr| address.to_string().starts_with("192.0.2.");
        let estimate = plan.estimate(Tier::Raw, &near);
        assert_eq!((estimate.addresses, estimate.tcp_ports, estimate.udp_ports), (110, 50, 1));
        // 100 by ARP, twice; 10 by six rounds of other questions.
        assert_eq!(estimate.least_packets, 200 + 60);
        assert_eq!(estimate.most_packets, 260 + 110 * 51 * 3);
        assert_eq!(estimate.least, Duration::from_millis(260));
        assert_eq!(estimate.most, Duration::from_millis(17_090));
        // One address bears 40 a second, whatever the rate in all.
        let one = Plan { scope: scope(&[("192.0.2.1", "192.0.2.1")]), ..plan };
        assert_eq!(one.estimate(Tier::Raw, &near).most, Duration::from_millis(3_875));
        let nobody = Plan { scope: Scope::default(), ..one };
        assert_eq!(nobody.estimate(Tier::Connect, &near).most_packets, 0);
    }
}
