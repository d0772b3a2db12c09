//! What a sweep will ask, of how many, for how long, and in which order.
//!
//! Pure arithmetic: nothing is sent here and no list of questions is ever made. Addresses
//! are numbered, questions are numbered, and a keyed permutation walks over their product,
//! so that neighbouring questions go to addresses far apart and an address gets its
//! questions spread over the whole time.

use std::{net::IpAddr, time::Duration};

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
pub(crate) const RAW_LIVENESS: [u16; 5] = [443, 22, 80, 445, 3389];
pub(crate) const CONNECT_LIVENESS: [u16; 8] = [443, 22, 80, 445, 3389, 8080, 631, 53];

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
    /// The TCP ports that show whether an address that no link-layer question reaches is
    /// alive, in the order of asking. The first two come twice, against loss.
    pub(crate) fn liveness_ports(&self, tier: Tier) -> Vec<u16> {
        let usual: &[u16] = match tier {
            Tier::Raw => &RAW_LIVENESS,
            Tier::Connect => &CONNECT_LIVENESS,
        };
        let mut ports: Vec<u16> = Vec::new();
        if self.ports.tcp.len() <= FEW_PORTS {
            ports.extend(self.ports.tcp.iter());
        }
        ports.extend(usual.iter().filter(|port| !self.ports.tcp_is_few(**port)));
        let again: Vec<u16> = ports.iter().take(2).copied().collect();
        ports.extend(again);
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
        let tcp_liveness = u64::try_from(self.liveness_ports(tier).len()).unwrap_or(u64::MAX);
        // And two echoes.
        let far_silent = far.saturating_mul(tcp_liveness.saturating_add(2));

        // Silence costs every question for liveness; an address that is there costs one
        // of them (and an echo) and its ports, up to as often as silence is asked.
        let (silent, there) = match (self.assume_alive, tier) {
            (true, _) => {
                let silent = count.saturating_mul(ports).saturating_mul(PORT_TRIES - 1);
                (silent, count.saturating_mul(ports))
            }
            (false, Tier::Raw) => {
                let silent = near.saturating_mul(LINK_TRIES).saturating_add(far_silent);
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
        Estimate {
            addresses: count,
            tcp_ports: self.ports.tcp.len(),
            udp_ports: self.ports.udp.len(),
            least_packets: least,
            most_packets: most,
            least: seconds(least, self.rates.total),
            most: seconds(most, self.rates.total).max(seconds(per_host, self.rates.per_host)),
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
    /// The time for the most packets, at the rates in all and to one address.
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
            rates: Rates::default(),
            key: [0; 16],
            assume_alive: false,
        };
        assert_eq!(plan("default").liveness_ports(Tier::Raw), [443, 22, 80, 445, 3389, 443, 22]);
        assert_eq!(
            plan("80,502").liveness_ports(Tier::Raw),
            [80, 502, 443, 22, 445, 3389, 80, 502]
        );
        assert_eq!(plan("u:53").liveness_ports(Tier::Raw).len(), 7);
    }

    #[test]
    fn an_estimate_counts_packets_and_time() {
        let plan = Plan {
            scope: scope(&[("192.0.2.1", "192.0.2.100"), ("198.51.100.1", "198.51.100.10")]),
            ports: "1-50,u:53".parse().unwrap(),
            rates: Rates { total: 1_000, per_host: 40 },
            key: [0; 16],
            assume_alive: false,
        };
        let near = |address: IpAddr| address.to_string().starts_with("192.0.2.");
        let estimate = plan.estimate(Tier::Raw, &near);
        assert_eq!((estimate.addresses, estimate.tcp_ports, estimate.udp_ports), (110, 50, 1));
        // 100 by ARP, three times; 10 by two echoes and seven SYNs.
        assert_eq!(estimate.least_packets, 300 + 90);
        assert_eq!(estimate.most_packets, 390 + 110 * 51 * 3);
        assert_eq!(estimate.least, Duration::from_millis(390));
        assert_eq!(estimate.most, Duration::from_millis(17_220));
        // One address bears 40 a second, whatever the rate in all.
        let one = Plan { scope: scope(&[("192.0.2.1", "192.0.2.1")]), ..plan };
        assert_eq!(one.estimate(Tier::Raw, &near).most, Duration::from_millis(3_900));
        let nobody = Plan { scope: Scope::default(), ..one };
        assert_eq!(nobody.estimate(Tier::Connect, &near).most_packets, 0);
    }
}
