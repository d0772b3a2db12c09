//! Devices of which nothing is known but random link-layer addresses and the habits of their kind:
//! what their DHCP clients ask for, how their programs begin TLS; or not even those.
//!
//! A phone that changes its address and tells no name would be another asset every day. One that
//! came after another of its kind had gone, and that nothing tells apart from it, is taken for
//! the same, which is marked uncertain; two that were there at once never are.

use std::{borrow::Cow, collections::BTreeSet};

use model::{FingerprintKind, Identifier, MacAddr, Timestamp};

use super::Work;
use crate::{
    asset::Asset,
    evidence::{Sighting, is_of_an_interface},
    heard::What,
};

/// For how many seconds the one that went is waited for.
const WAITED_FOR: i64 = 30 * 86_400;

/// After how many seconds of silence one has gone, where no request for a lease says that
/// another begins: a sleeping phone speaks every hour.
const GONE_AFTER: i64 = 2 * 3_600;

/// How many are compared with one that came, the latest.
const MOST: usize = 1_024;

/// Of how many that went it may be one.
const MOST_ALIKE: usize = 16;

type Habits = BTreeSet<(FingerprintKind, String)>;

/// An asset without a face.
struct One {
    last_seen: Timestamp,
    place: usize,
    habits: Habits,
    /// Whether it was asked something, as well as heard.
    was_asked: bool,
}

/// The assets without a face, who was there last first.
pub(super) struct Faceless(Vec<One>);

impl Faceless {
    /// Those among the assets, where one of the sightings is without a face.
    pub(super) fn among(assets: &[Cow<'_, Asset>], turn: &[Work]) -> Self {
        let mut all = Vec::new();
        if !turn.iter().any(|work| is_faceless(&work.sighting)) {
            return Self(all);
        }
        for (place, asset) in assets.iter().enumerate() {
            let identifiers = asset.identifiers.iter().map(|assigned| &assigned.identifier);
            if !asset.identity_uncertain
                || asset.macs().next().is_none()
                || !identifiers.into_iter().all(has_no_face)
            {
                continue;
            }
            let habits = asset.heard.iter().filter_map(|heard| match &heard.what {
                What::Fingerprint(kind, value) => Some((*kind, value.clone())),
                _ => None,
            });
            let was_asked = asset.alive_by.iter().any(|method| *method != model::Method::Capture);
            let last_seen = asset.last_seen;
            all.push(One { last_seen, place, habits: habits.collect(), was_asked });
        }
        all.sort_by_key(|one| std::cmp::Reverse((one.last_seen, one.place)));
        Self(all)
    }

    /// Those of the sighting's kind that went last before it came: several, because others of
    /// the kind may have come with it.
    pub(super) fn before(&self, sighting: &Sighting) -> Vec<usize> {
        if !is_faceless(sighting) {
            return Vec::new();
        }
        let since = |one: &One| sighting.from.seconds_since(one.last_seen);
        let gone = self.0.iter().filter(|one| (1..=WAITED_FOR).contains(&since(one)));
        let found = gone.take(MOST).filter(|one| {
            if differ(&one.habits, &sighting.habits) {
                return false;
            }
            let leased = share(FingerprintKind::Dhcp, &one.habits, &sighting.habits);
            let is_alike = share(FingerprintKind::Ja4, &one.habits, &sighting.habits)
                // Nothing is known of either. One that was asked and told nothing is as a rule
                // a machine, whose makers leave it silent, and not a phone.
                || (is_unknown(&one.habits) && is_unknown(&sighting.habits) && !one.was_asked && sighting.only_heard);
            leased || (is_alike && since(one) >= GONE_AFTER)
        });
        found.take(MOST_ALIKE).map(|one| one.place).collect()
    }
}

fn of(kind: FingerprintKind, habits: &Habits) -> impl Iterator<Item = &str> {
    habits.iter().filter(move |(known, _)| *known == kind).map(|(_, value)| value.as_str())
}

/// Whether they have a habit of that kind in common.
fn share(kind: FingerprintKind, one: &Habits, other: &Habits) -> bool {
    let one: BTreeSet<&str> = of(kind, one).collect();
    of(kind, other).any(|value| one.contains(value))
}

/// Whether both have habits of a kind of which a device has one, and none in common.
fn differ(one: &Habits, other: &Habits) -> bool {
    [FingerprintKind::Dhcp, FingerprintKind::TcpSyn].into_iter().any(|kind| {
        let both = of(kind, one).next().is_some() && of(kind, other).next().is_some();
        both && !share(kind, one, other)
    })
}

fn is_unknown(habits: &Habits) -> bool {
    let tells = |kind| of(kind, habits).next().is_some();
    !(tells(FingerprintKind::Dhcp) || tells(FingerprintKind::Ja4))
}

fn is_faceless(sighting: &Sighting) -> bool {
    sighting.macs().next().is_some()
        && sighting.identifiers.iter().all(|seen| has_no_face(&seen.identifier))
}

/// Whether it changes by itself and tells nobody apart.
pub(super) fn has_no_face(identifier: &Identifier) -> bool {
    match identifier {
        Identifier::Address(_) => true,
        Identifier::Mac(mac) => is_of_an_interface(*mac) && may_be_random(*mac),
        _ => false,
    }
}

/// Whether a device made the address up, and not whoever runs virtual machines or containers:
/// those keep theirs (QEMU, Docker, Kubernetes' bridges, Xen's own tools).
fn may_be_random(mac: MacAddr) -> bool {
    let of_machines = matches!(
        mac.0,
        [0x52, 0x54, 0, ..] | [0x02, 0x42, ..] | [0x0a, 0x58, ..] | [0xfe, 0x54, ..]
    );
    mac.is_locally_administered() && !of_machines
}
