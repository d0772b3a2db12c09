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

    /// Whether something of that hash is to be told: not within so many seconds before.
    pub(super) fn is_news(&mut self, at: Timestamp, hash: u64) -> bool {
        let seconds = at.0.div_euclid(1_000_000);
        // PLACES is not 0 and fits.
        let place = usize::try_from(hash % PLACES as u64).unwrap_or(0);
        let Some(slot) = self.places.get_mut(place) else { return true };
        let recent = slot.0 == hash
            && seconds.saturating_sub(slot.1).saturating_abs() < super::REPEATED_AFTER;
        if !recent {
            *slot = (hash, seconds);
        }
        !recent
    }
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
