//! What an asset told unasked, and what it was heard to do: its part in the network, whom it
//! uses, the habits of its software, its neighbours, its VLANs.
//!
//! Nobody is asked about these again, so none of them is ever found gone: what an asset has not
//! told for a month in which it was there is forgotten.

use std::collections::{BTreeMap, btree_map::Entry};

use model::{Fact, FingerprintKind, Neighbor, NetworkRole, Observation, Subject, Timestamp, Use};

use crate::{asset::Asset, evidence::is_presence};

/// For how many seconds something is kept that an asset no longer tells while it is there.
const KEPT: i64 = 30 * 86_400;

/// How many of each kind are kept of one asset: the latest. A client that reads its mail and
/// the news speaks with a hundred places in a day.
const MOST: usize = 256;

/// Something heard.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Heard {
    /// Of what of the asset.
    pub subject: Subject,
    /// What.
    pub what: What,
    /// When first.
    pub first_seen: Timestamp,
    /// When last.
    pub last_seen: Timestamp,
}

/// The facts that are kept so.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum What {
    /// [`Fact::Role`].
    Role(NetworkRole),
    /// [`Fact::Use`].
    Use(Use),
    /// [`Fact::Fingerprint`].
    Fingerprint(FingerprintKind, String),
    /// [`Fact::Neighbor`].
    Neighbor(Neighbor),
    /// [`Fact::Vlan`].
    Vlan(u16),
}

impl What {
    /// What is kept of a fact, if it is one of these.
    #[must_use]
    pub fn of(fact: &Fact) -> Option<Self> {
        Some(match fact {
            Fact::Role(role) => Self::Role(*role),
            Fact::Use(used) => Self::Use(used.clone()),
            Fact::Fingerprint { kind, value } => Self::Fingerprint(*kind, value.clone()),
            Fact::Neighbor(neighbor) => Self::Neighbor(neighbor.clone()),
            Fact::Vlan(vlan) => Self::Vlan(*vlan),
            _ => return None,
        })
    }

    /// The fact again.
    #[must_use]
    pub fn fact(&self) -> Fact {
        match self {
            Self::Role(role) => Fact::Role(*role),
            Self::Use(used) => Fact::Use(used.clone()),
            Self::Fingerprint(kind, value) => {
                Fact::Fingerprint { kind: *kind, value: value.clone() }
            }
            Self::Neighbor(neighbor) => Fact::Neighbor(neighbor.clone()),
            Self::Vlan(vlan) => Fact::Vlan(*vlan),
        }
    }

    /// Those of one kind have one number. What an asset uses is of several kinds.
    const fn kind(&self) -> u8 {
        match self {
            Self::Role(_) => 0,
            Self::Use(Use::Resolver(_)) => 1,
            Self::Use(Use::TimeServer(_)) => 2,
            Self::Use(Use::Cloud { .. }) => 3,
            Self::Use(Use::Cleartext { .. }) => 4,
            Self::Fingerprint(..) => 5,
            Self::Neighbor(_) => 6,
            Self::Vlan(_) => 7,
        }
    }
}

/// Adds what the observations say to the asset, whose times are up to date.
pub(crate) fn hear(
    asset: &mut Asset,
    seen: &[&Observation],
    at: &dyn Fn(&Observation) -> Timestamp,
) {
    let mut all: BTreeMap<(Subject, What), (Timestamp, Timestamp)> =
        std::mem::take(&mut asset.heard)
            .into_iter()
            .map(|heard| ((heard.subject, heard.what), (heard.first_seen, heard.last_seen)))
            .collect();
    for observation in seen.iter().filter(|observation| is_presence(observation)) {
        let Some(what) = What::of(&observation.fact) else { continue };
        let when = at(observation);
        match all.entry((observation.subject, what)) {
            Entry::Occupied(mut known) => {
                let (first, last) = known.get_mut();
                (*first, *last) = ((*first).min(when), (*last).max(when));
            }
            Entry::Vacant(free) => drop(free.insert((when, when))),
        }
    }
    let now = asset.last_seen;
    let mut kept: Vec<Heard> = all
        .into_iter()
        .map(|((subject, what), (first_seen, last_seen))| Heard {
            subject,
            what,
            first_seen,
            last_seen,
        })
        .filter(|heard| now.seconds_since(heard.last_seen) <= KEPT)
        .collect();
    kept.sort_by(|a, b| {
        let key = |heard: &Heard| (heard.what.kind(), std::cmp::Reverse(heard.last_seen));
        key(a).cmp(&key(b)).then_with(|| a.cmp(b))
    });
    let (mut kind, mut count) = (None, 0_usize);
    kept.retain(|heard| {
        if kind != Some(heard.what.kind()) {
            (kind, count) = (Some(heard.what.kind()), 0);
        }
        count += 1;
        count <= MOST
    });
    kept.sort();
    asset.heard = kept;
}

impl Asset {
    /// Its parts in the network.
    pub fn roles(&self) -> impl Iterator<Item = (&Heard, NetworkRole)> {
        self.heard.iter().filter_map(|heard| match heard.what {
            What::Role(role) => Some((heard, role)),
            _ => None,
        })
    }

    /// What it uses elsewhere.
    pub fn uses(&self) -> impl Iterator<Item = (&Heard, &Use)> {
        self.heard.iter().filter_map(|heard| match &heard.what {
            What::Use(used) => Some((heard, used)),
            _ => None,
        })
    }

    /// What it tells its neighbours.
    pub fn neighbors(&self) -> impl Iterator<Item = &Neighbor> {
        self.heard.iter().filter_map(|heard| match &heard.what {
            What::Neighbor(neighbor) => Some(neighbor),
            _ => None,
        })
    }

    /// The habits of that kind.
    pub fn fingerprints(&self, kind: FingerprintKind) -> impl Iterator<Item = &str> {
        self.heard.iter().filter_map(move |heard| match &heard.what {
            What::Fingerprint(known, value) if *known == kind => Some(value.as_str()),
            _ => None,
        })
    }
}

/// The operating system that a DHCP client's vendor class means, where the makers of the
/// client's software make it for one: its name, and the version that it tells.
pub(crate) fn system_of_vendor_class(class: &str) -> Option<(&'static str, Option<&str>)> {
    // Microsoft's clients (MS-DHCPE, section 2.2.3).
    if class == "MSFT 5.0" || class == "MSFT 98" {
        return Some(("Windows", None));
    }
    if let Some(version) = class.strip_prefix("android-dhcp-") {
        let plain = version.chars().all(|c| c.is_ascii_digit() || c == '.');
        return Some(("Android", Some(version).filter(|v| plain && !v.is_empty())));
    }
    // BusyBox's client runs on nothing else.
    if class.starts_with("udhcp ") || class.starts_with("udhcpc") {
        return Some(("Linux", None));
    }
    // dhcpcd: its version, the system with its own, the machine.
    let (_, system) = class.strip_prefix("dhcpcd").and_then(|rest| rest.split_once(':'))?;
    let (name, rest) = system.split_once('-')?;
    let version = rest.split([':', '-']).next().filter(|version| !version.is_empty());
    let known =
        ["Linux", "FreeBSD", "NetBSD", "OpenBSD"].into_iter().find(|known| *known == name)?;
    Some((known, version))
}

#[cfg(test)]
mod tests {
    use model::{Method, Site, Vantage};

    use super::*;
    use crate::{asset::AssetId, identity};

    const DAY: i64 = 86_400;

    fn seen(day: i64, fact: Fact) -> Observation {
        Observation {
            observed_at: Timestamp::from_seconds(day * DAY),
            vantage: Vantage { site: Site("plant".into()), name: "here".into() },
            method: Method::Capture,
            subject: Subject::Address("192.0.2.7".parse().unwrap()),
            fact,
            evidence: Vec::new(),
        }
    }

    fn resolver(n: u16) -> Fact {
        let [high, low] = n.to_be_bytes();
        Fact::Use(Use::Resolver([198, 51, high, low].into()))
    }

    fn after(known: &[Asset], observations: &[Observation]) -> Asset {
        let as_of = Timestamp::from_seconds(1_000 * DAY);
        let update = identity::update(known, AssetId(1), observations, as_of);
        update.assets.into_iter().next().unwrap()
    }

    #[test]
    fn what_is_not_told_for_a_month_is_forgotten_while_the_asset_is_there() {
        let asset = after(&[], &[seen(1, resolver(1)), seen(1, Fact::Vlan(7))]);
        assert_eq!(asset.heard.len(), 2);
        let asset = after(&[asset], &[seen(31, resolver(1))]);
        assert_eq!(asset.heard.len(), 2);
        let uses = asset.uses().next().unwrap().0;
        let day = |day| Timestamp::from_seconds(day * DAY);
        assert_eq!((uses.first_seen, uses.last_seen), (day(1), day(31)));
        let asset = after(&[asset], &[seen(32, resolver(1))]);
        assert_eq!((asset.heard.len(), asset.uses().count()), (1, 1));
    }

    #[test]
    fn the_latest_of_too_many_are_kept_and_other_kinds_beside_them() {
        let many = (0..300).map(|n| seen(i64::from(n) / 30, resolver(n)));
        let many: Vec<Observation> = many.chain([seen(0, Fact::Vlan(7))]).collect();
        let asset = after(&[], &many);
        assert_eq!((asset.uses().count(), asset.heard.len()), (MOST, MOST + 1));
        assert!(asset.uses().all(|(_, used)| Fact::Use(used.clone()) != resolver(0)));
        let as_of = Timestamp::from_seconds(1_000 * DAY);
        let again = identity::update(&[asset], AssetId(2), &many, as_of);
        assert_eq!(again.assets, []);
    }

    #[test]
    fn kept_facts_are_facts_again() {
        for fact in [resolver(1), Fact::Vlan(7), Fact::Role(NetworkRole::DhcpServer)] {
            assert_eq!(What::of(&fact).unwrap().fact(), fact);
        }
        assert_eq!(What::of(&Fact::Alive { ttl: None }), None);
    }

    #[test]
    fn vendor_classes_of_one_system_name_it() {
        let check = |class: &str, expected: Option<(&'static str, Option<&str>)>| {
            assert_eq!(system_of_vendor_class(class), expected, "{class}");
        };
        check("MSFT 5.0", Some(("Windows", None)));
        check("android-dhcp-13", Some(("Android", Some("13"))));
        check("udhcp 1.22.1", Some(("Linux", None)));
        check("dhcpcd-6.11.5:Linux-4.1.18-v7+:armv7l:BCM2709", Some(("Linux", Some("4.1.18"))));
        check("dhcpcd-5.5.6", None);
        check("dhcpcd-9:Plan9-4:x", None);
        check("ArubaAP", None);
        check("", None);
    }
}
