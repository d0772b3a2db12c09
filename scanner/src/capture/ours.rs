//! Which addresses are assets of this place, and which are somebody's far away.
//!
//! A mirror port at the way out hears half the Internet. What is heard of an address there says
//! nothing about an asset of ours, and would fill every store.

use std::{collections::HashSet, net::IpAddr};

use model::{AddressRange, Fact, Subject};

use super::Told;

/// How many public addresses are remembered as seen on the link. With more, all are forgotten
/// and found again.
const MOST_ON_LINK: usize = 1 << 16;

/// The addresses that are listened to.
#[derive(Debug, Default)]
pub(super) struct Ours {
    /// `None`: all.
    networks: Option<Vec<AddressRange>>,
    /// Public addresses that the link itself bound.
    on_link: HashSet<IpAddr>,
}

impl Ours {
    /// Private addresses, those that are bound on the link, and these.
    pub(super) fn only(networks: Vec<AddressRange>) -> Self {
        Self { networks: Some(networks), on_link: HashSet::new() }
    }

    /// The same from now on, with what the link bound until now.
    pub(super) fn change(&mut self, networks: Vec<AddressRange>) {
        self.networks = Some(networks);
    }

    /// Whether the fact is about an asset of this place.
    pub(super) fn holds(&mut self, told: &Told) -> bool {
        let Some(networks) = &self.networks else { return true };
        let Some(address) = told.subject.address() else { return true };
        if is_private(address) || networks.iter().any(|range| range.contains(address)) {
            return true;
        }
        match (&told.subject, &told.fact) {
            (Subject::Address(_), Fact::LinkAddress(_)) => {
                if self.on_link.len() >= MOST_ON_LINK {
                    self.on_link.clear();
                }
                self.on_link.insert(address);
                true
            }
            _ => self.on_link.contains(&address),
        }
    }
}

/// Whether the address means something in one place alone, and is nobody's far away: what the
/// registry of special-purpose addresses (RFC 6890) calls not globally reachable.
fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            // 100.64.0.0/10 (RFC 6598) and 198.18.0.0/15 (RFC 2544).
            let shared = a == 100 && b & 0xc0 == 64;
            let measuring = a == 198 && b & 0xfe == 18;
            v4.is_private() || v4.is_link_local() || v4.is_documentation() || shared || measuring
        }
        IpAddr::V6(v6) => {
            let documentation = matches!(v6.segments(), [0x2001, 0x0db8, ..]);
            v6.is_unicast_link_local() || v6.is_unique_local() || documentation
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use model::{MacAddr, Use};

    use super::*;

    fn told(address: &str, fact: Fact) -> Told {
        Told::new(Subject::Address(address.parse().unwrap()), fact, &[])
    }

    fn about(address: &str) -> Told {
        told(address, Fact::Use(Use::Resolver(Ipv4Addr::LOCALHOST.into())))
    }

    #[test]
    fn private_addresses_are_ours_and_public_ones_where_they_are_named_or_on_the_link() {
        let range = |first: &str, last: &str| {
            AddressRange::new(first.parse().unwrap(), last.parse().unwrap()).unwrap()
        };
        let mut ours = Ours::only(vec![range("9.9.8.0", "9.9.8.255")]);
        for (address, expected) in [
            ("10.1.2.3", true),
            ("100.64.0.1", true),
            ("100.128.0.1", false),
            ("169.254.7.7", true),
            ("fe80::1", true),
            ("fd00::1", true),
            ("198.19.255.7", true),
            ("198.20.0.7", false),
            ("203.0.113.80", true),
            ("2001:db8::1", true),
            ("9.9.8.7", true),
            ("9.9.9.9", false),
            ("2620:fe::fe", false),
        ] {
            assert_eq!(ours.holds(&about(address)), expected, "{address}");
        }
        let mac = MacAddr([0, 0, 0x5e, 0, 0x53, 1]);
        assert!(ours.holds(&told("9.9.9.9", Fact::LinkAddress(mac))));
        assert!(ours.holds(&about("9.9.9.9")));
        assert!(Ours::default().holds(&about("9.9.9.10")));
        ours.change(vec![range("2620:fe::", "2620:fe::ff")]);
        for (address, expected) in [("9.9.8.7", false), ("2620:fe::fe", true), ("9.9.9.9", true)] {
            assert_eq!(ours.holds(&about(address)), expected, "{address}");
        }
    }
}
