//! Devices of which nothing is known but random link-layer addresses and what their DHCP clients
//! ask for.
//!
//! A phone that changes its address and tells no name would be another asset every day. One that
//! came after another of its kind had gone, and that nothing tells apart from it, is taken for
//! the same, which is marked uncertain; two that were there at once never are.

use std::{borrow::Cow, collections::HashMap};

use model::{FingerprintKind, Identifier, Timestamp};

use super::Work;
use crate::{
    asset::Asset,
    evidence::{Sighting, is_of_an_interface},
    heard::What,
};

/// For how many seconds the one that went is waited for.
const WAITED_FOR: i64 = 30 * 86_400;

/// The assets without a face, by what their DHCP clients ask for: when each was last there.
pub(super) struct Faceless<'a> {
    by_habit: HashMap<&'a str, Vec<(Timestamp, usize)>>,
}

impl<'a> Faceless<'a> {
    /// Those among the assets, where one of the sightings is without a face.
    pub(super) fn among(assets: &'a [Cow<'_, Asset>], turn: &[Work]) -> Self {
        let mut by_habit: HashMap<&str, Vec<(Timestamp, usize)>> = HashMap::new();
        if !turn.iter().any(|work| is_faceless(&work.sighting)) {
            return Self { by_habit };
        }
        for (place, asset) in assets.iter().enumerate() {
            let identifiers = asset.identifiers.iter().map(|assigned| &assigned.identifier);
            if !asset.identity_uncertain || !identifiers.into_iter().all(has_no_face) {
                continue;
            }
            for heard in &asset.heard {
                if let What::Fingerprint(FingerprintKind::Dhcp, value) = &heard.what {
                    by_habit.entry(value).or_default().push((asset.last_seen, place));
                }
            }
        }
        Self { by_habit }
    }

    /// The one of the sighting's kind that went last before it came.
    pub(super) fn before(&self, sighting: &Sighting) -> Option<usize> {
        if !is_faceless(sighting) {
            return None;
        }
        let alike = sighting.habits.iter().filter_map(|habit| self.by_habit.get(habit.as_str()));
        let gone = alike
            .flatten()
            .filter(|(last, _)| (1..=WAITED_FOR).contains(&sighting.from.seconds_since(*last)));
        gone.max().map(|(_, place)| *place)
    }
}

fn is_faceless(sighting: &Sighting) -> bool {
    !sighting.habits.is_empty()
        && sighting.macs().next().is_some()
        && sighting.identifiers.iter().all(|seen| has_no_face(&seen.identifier))
}

/// Whether it changes by itself and tells nobody apart.
pub(super) fn has_no_face(identifier: &Identifier) -> bool {
    match identifier {
        Identifier::Address(_) => true,
        Identifier::Mac(mac) => is_of_an_interface(*mac) && mac.is_locally_administered(),
        _ => false,
    }
}
