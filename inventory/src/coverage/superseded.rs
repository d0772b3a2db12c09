//! Whose silence says nothing that the silence of later scans does not say.
//!
//! What a scan asked is taken apart into what is asked of an index of looks: ways of asking, TCP
//! ports, UDP ports. Each of them has to have been asked again, of all the same addresses, by as
//! many later scans as make a device missing: then nobody can tell whether the older one is there.

use model::{AddressRange, Coverage, Gap, PortSet};

use super::{Kind, Ranges, kind};
use crate::{compare::LOOKS_BEFORE_MISSING, register::address_range};

/// The scans of one vantage point, told from the newest to the oldest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Superseding {
    /// Newest first, without those that lost answers: they say nothing by silence.
    later: Vec<Look>,
}

/// What one scan asked.
#[derive(Clone, Debug)]
struct Look {
    kinds: Vec<(Kind, Ranges)>,
    tcp: Vec<(PortSet, Ranges)>,
    udp: Vec<(PortSet, Ranges)>,
    gaps: Ranges,
}

impl Superseding {
    /// Whether the scans told so far asked all of it again often enough.
    pub(crate) fn is_superseded(&self, coverage: &Coverage) -> bool {
        let range = coverage.range;
        let enough = |asks: &dyn Fn(&Look) -> bool| {
            let later = self.later.iter().filter(|look| !look.gaps.touch(range) && asks(look));
            later.take(LOOKS_BEFORE_MISSING).count() == LOOKS_BEFORE_MISSING
        };
        let ports = |asked: &[(PortSet, Ranges)], wanted: &PortSet| {
            asked.iter().any(|(ports, ranges)| holds(ports, wanted) && ranges.cover(range))
        };
        let mut kinds = coverage.methods.iter().filter_map(|method| kind(*method));
        kinds.all(|wanted| {
            enough(&|look: &Look| {
                look.kinds.iter().any(|(kind, ranges)| *kind == wanted && ranges.cover(range))
            })
        }) && (coverage.tcp.is_empty() || enough(&|look: &Look| ports(&look.tcp, &coverage.tcp)))
            && (coverage.udp.is_empty() || enough(&|look: &Look| ports(&look.udp, &coverage.udp)))
    }

    /// Takes the next older scan.
    pub(crate) fn tell(&mut self, coverage: &[Coverage], gaps: &[Gap]) {
        let mut kinds: Vec<(Kind, Vec<AddressRange>)> = Vec::new();
        let (mut tcp, mut udp) = (Vec::new(), Vec::new());
        for part in coverage {
            for kind in part.methods.iter().filter_map(|method| kind(*method)) {
                add(&mut kinds, kind, part.range);
            }
            for (all, ports) in [(&mut tcp, &part.tcp), (&mut udp, &part.udp)] {
                if !ports.is_empty() {
                    add(all, ports.clone(), part.range);
                }
            }
        }
        let gaps = gaps.iter().filter_map(|gap| address_range(&gap.target)).collect();
        self.later.push(Look {
            kinds: joined(kinds),
            tcp: joined(tcp),
            udp: joined(udp),
            gaps: Ranges::new(gaps),
        });
    }
}

fn add<K: Eq>(all: &mut Vec<(K, Vec<AddressRange>)>, key: K, range: AddressRange) {
    match all.iter_mut().rev().find(|(known, _)| *known == key) {
        Some((_, ranges)) => ranges.push(range),
        None => all.push((key, vec![range])),
    }
}

fn joined<K>(all: Vec<(K, Vec<AddressRange>)>) -> Vec<(K, Ranges)> {
    all.into_iter().map(|(key, ranges)| (key, Ranges::new(ranges))).collect()
}

fn holds(ports: &PortSet, wanted: &PortSet) -> bool {
    // Nearly always they are the same.
    ports == wanted || wanted.iter().all(|port| ports.contains(port))
}

#[cfg(test)]
mod tests {
    use model::Method;

    use super::*;

    fn asked(range: &str, methods: &[Method], tcp: &str) -> Coverage {
        Coverage {
            range: address_range(range).unwrap(),
            methods: methods.to_vec(),
            tcp: tcp.parse().unwrap(),
            udp: PortSet::default(),
        }
    }

    fn after(scans: &[Vec<Coverage>]) -> Superseding {
        let mut told = Superseding::default();
        scans.iter().for_each(|scan| told.tell(scan, &[]));
        told
    }

    #[test]
    fn three_later_scans_have_to_have_asked_all_of_it_again() {
        let old = asked("192.0.2.0/24", &[Method::Arp, Method::TcpSyn], "22,80");
        let again = vec![old.clone()];
        assert!(!after(&vec![again.clone(); 2]).is_superseded(&old));
        assert!(after(&vec![again.clone(); 3]).is_superseded(&old));
        // In halves, and each thing by itself, as well.
        let halves = vec![
            asked("192.0.2.0/25", &[Method::NeighborSolicitation], ""),
            asked("192.0.2.128/25", &[Method::Arp], ""),
            asked("192.0.2.0-192.0.3.255", &[Method::TcpConnect], "1-1000"),
        ];
        assert!(after(&[again.clone(), halves, again.clone()]).is_superseded(&old));
        for less in [
            asked("192.0.2.0/24", &[Method::Arp, Method::TcpSyn], "80"),
            asked("192.0.2.0/24", &[Method::Arp], "22,80"),
            asked("192.0.2.1-192.0.2.255", &[Method::Arp, Method::TcpSyn], "22,80"),
            asked("198.51.100.0/24", &[Method::Arp, Method::TcpSyn], "22,80"),
        ] {
            let told = after(&[again.clone(), vec![less.clone()], again.clone()]);
            assert!(!told.is_superseded(&old), "{less:?}");
        }
    }

    #[test]
    fn a_scan_with_a_gap_there_did_not_look_there() {
        let old = asked("192.0.2.0/25", &[Method::Arp], "");
        let again = [asked("192.0.2.0/24", &[Method::Arp], "")];
        for (gap, expected) in
            [("192.0.2.7", false), ("192.0.2.200", true), ("eth0", true), ("192.0.2.0/23", false)]
        {
            let mut told = after(&vec![again.to_vec(); 2]);
            told.tell(&again, &[Gap { target: gap.into(), reason: String::new() }]);
            assert_eq!(told.is_superseded(&old), expected, "{gap}");
        }
    }
}
