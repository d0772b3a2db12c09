//! What was told a moment ago, so that saying it again costs one look.
//!
//! A table of fixed size without chains: of two things in one place the later one stays, and
//! the other is told once more than it need be.

use model::Timestamp;

/// How many places; a power of two. With their times a quarter of a mebibyte.
const PLACES: usize = 1 << 14;

/// See the module.
#[derive(Debug)]
pub(super) struct Recent {
    places: Vec<(u64, i64)>,
}

impl Recent {
    pub(super) fn new() -> Self {
        Self { places: vec![(0, i64::MIN); PLACES] }
    }

    /// Whether something of that hash is to be told: not within so many seconds before. If so
    /// it counts as told.
    pub(super) fn is_news(&mut self, at: Timestamp, hash: u64) -> bool {
        let is_news = !self.holds(at, hash);
        if is_news {
            self.note(at, hash);
        }
        is_news
    }

    /// Whether something of that hash was told within so many seconds before.
    pub(super) fn holds(&self, at: Timestamp, hash: u64) -> bool {
        let slot = self.places.get(place(hash));
        slot.is_some_and(|(known, then)| {
            let ago = seconds(at).saturating_sub(*then).saturating_abs();
            *known == hash && ago < super::REPEATED_AFTER
        })
    }

    /// Something of that hash was told.
    pub(super) fn note(&mut self, at: Timestamp, hash: u64) {
        if let Some(slot) = self.places.get_mut(place(hash)) {
            *slot = (hash, seconds(at));
        }
    }
}

fn place(hash: u64) -> usize {
    // PLACES is not 0 and fits.
    usize::try_from(hash % PLACES as u64).unwrap_or(0)
}

const fn seconds(at: Timestamp) -> i64 {
    at.0.div_euclid(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_news_after_a_while() {
        let mut recent = Recent::new();
        let mut tell = |second, hash| recent.is_news(Timestamp::from_seconds(second), hash);
        assert!(tell(0, 7) && !tell(1, 7) && tell(1, 8) && !tell(59, 7) && tell(60, 7));
        // Another one in the same place.
        assert!(tell(60, 7 + PLACES as u64) && tell(60, 7));
        // The clock went back.
        assert!(!tell(30, 7) && tell(-1_000, 7));
    }
}
