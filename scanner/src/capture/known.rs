//! What captures that listen side by side know together: whose addresses are this place's, and
//! what was told.
//!
//! Each has its own flows, because both directions of one come to the same reader
//! (`net::linux::fanout`). These two it cannot have alone: a public address is bound by ARP, which
//! another reader hears, and what one has told is no news of another's. Facts are few beside
//! packets, so that one lock for those of a frame costs nothing that is seen; where there is one
//! capture nobody else wants it.

use std::{
    collections::HashMap,
    hash::BuildHasher,
    sync::{Arc, Mutex, PoisonError},
};

use foldhash::quality::RandomState;
use model::{AddressRange, Fact, Timestamp};

use super::{REPEATED_AFTER, Told, ours::Ours};

/// How many facts are remembered as told. With more, all are forgotten and told once more,
/// so that a flood of forged addresses costs repetition and not memory.
pub(super) const MOST_REMEMBERED: usize = 1 << 16;

/// By subject and kind of fact: when it was told last, and what.
type Memory = HashMap<u64, (Timestamp, u64), foldhash::fast::RandomState>;

#[derive(Debug, Default)]
struct Both {
    ours: Ours,
    told: Memory,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    hasher: RandomState,
    both: Arc<Mutex<Both>>,
}

impl Known {
    /// Tells only of addresses of this place; see [`Ours`].
    pub(super) fn only(&self, networks: Vec<AddressRange>) {
        self.with(|both| both.ours = Ours::only(networks));
    }

    /// The same from now on, with what the link bound until now.
    pub(super) fn change(&self, networks: Vec<AddressRange>) {
        self.with(|both| both.ours.change(networks));
    }

    /// Leaves of what was told what is to be told on: it is about this place, and is news.
    pub(super) fn sift(&self, at: Timestamp, told: &mut Vec<Told>) {
        if told.is_empty() {
            return;
        }
        self.with(|both| {
            told.retain(|fact| {
                both.ours.holds(fact)
                    && is_news(&mut both.told, &self.hasher, fact.at.unwrap_or(at), fact)
            });
        });
    }

    /// How many bytes it takes, about.
    pub(super) fn memory(&self) -> usize {
        self.with(|both| both.told.capacity().saturating_mul(size_of::<(u64, (Timestamp, u64))>()))
    }

    /// How much is remembered as told.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.with(|both| both.told.len())
    }

    fn with<T>(&self, what: impl FnOnce(&mut Both) -> T) -> T {
        // What a thread that panicked left is as good as any other moment's.
        what(&mut self.both.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether to tell it: it differs from what was told of the subject last, or that was a while ago.
fn is_news(memory: &mut Memory, hasher: &RandomState, at: Timestamp, told: &Told) -> bool {
    let hash = |part: &str| hasher.hash_one((told.subject, part));
    // A name or a problem stands beside the others; an address has one owner at a time, and
    // each change of it is news.
    let (place, value) = match &told.fact {
        Fact::Alive { .. } => (hash("alive"), 0),
        Fact::LinkAddress(mac) => (hash("link"), hasher.hash_one(mac)),
        other => {
            let place = hasher.hash_one((told.subject, other));
            (place, place)
        }
    };
    let last = memory.get(&place);
    // The clock of a merged capture may go back, and readers are not at the same moment: that is
    // not a reason to tell less.
    let recent = last.is_some_and(|(when, what)| {
        *what == value && at.seconds_since(*when).saturating_abs() < REPEATED_AFTER
    });
    if recent {
        return false;
    }
    if memory.len() >= MOST_REMEMBERED {
        memory.clear();
    }
    memory.insert(place, (at, value));
    true
}
