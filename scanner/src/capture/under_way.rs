//! What has begun and is not over: so many under their names, the oldest first, for so many seconds
//! of the capture's own clock.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
};

use model::Timestamp;

/// See the module. `MOST` may be under way, with more the oldest is forgotten; each is waited for
/// `PATIENCE` seconds.
#[derive(Debug)]
pub(super) struct UnderWay<K, V, const MOST: usize, const PATIENCE: i64> {
    all: HashMap<K, (Timestamp, V)>,
    /// In the order of their beginnings; some are over and gone.
    order: VecDeque<(Timestamp, K)>,
}

impl<K, V, const MOST: usize, const PATIENCE: i64> Default for UnderWay<K, V, MOST, PATIENCE> {
    fn default() -> Self {
        Self { all: HashMap::new(), order: VecDeque::new() }
    }
}

impl<K: Copy + Eq + Hash, V, const MOST: usize, const PATIENCE: i64>
    UnderWay<K, V, MOST, PATIENCE>
{
    /// The one of that name, begun now if there is none.
    pub(super) fn entry(&mut self, at: Timestamp, name: K, begin: impl FnOnce() -> V) -> &mut V {
        self.forget(at);
        if !self.all.contains_key(&name) {
            self.order.push_back((at, name));
        }
        &mut self.all.entry(name).or_insert_with(|| (at, begin())).1
    }

    pub(super) fn find(&mut self, name: &K) -> Option<&mut V> {
        self.all.get_mut(name).map(|(_, value)| value)
    }

    /// It is over.
    pub(super) fn end(&mut self, name: &K) {
        self.all.remove(name);
    }

    /// Makes room for one more. The clock of a capture may step: what waits since the future has
    /// waited too.
    fn forget(&mut self, now: Timestamp) {
        while let Some((since, name)) = self.order.front().copied() {
            if now.seconds_since(since).saturating_abs() <= PATIENCE && self.order.len() < MOST {
                return;
            }
            self.order.pop_front();
            // Another may have begun under the same name since.
            if self.all.get(&name).is_some_and(|(begun, _)| *begun == since) {
                self.all.remove(&name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Few = UnderWay<u8, u8, 3, 30>;

    /// Begins them at their seconds, with that as their value, and says which are there.
    fn after(begun: &[(i64, u8)]) -> Vec<u8> {
        let mut few = Few::default();
        for (second, name) in begun {
            few.entry(Timestamp::from_seconds(*second), *name, || *name);
        }
        (0..10).filter(|name| few.find(name).is_some()).collect()
    }

    #[test]
    fn the_oldest_makes_room_and_who_has_waited_goes() {
        assert_eq!(after(&[(0, 1), (1, 2), (2, 3)]), [1, 2, 3]);
        assert_eq!(after(&[(0, 1), (1, 2), (2, 3), (3, 4)]), [2, 3, 4]);
        assert_eq!(after(&[(0, 1), (20, 2), (31, 3)]), [2, 3]);
        // The clock went back.
        assert_eq!(after(&[(1_000, 1), (0, 2)]), [2]);
    }

    #[test]
    fn one_that_begins_again_under_its_name_is_another() {
        let mut few = Few::default();
        few.entry(Timestamp::from_seconds(0), 1, || 7);
        few.end(&1);
        assert_eq!(*few.entry(Timestamp::from_seconds(20), 1, || 8), 8);
        few.entry(Timestamp::from_seconds(40), 2, || 9);
        assert_eq!(few.find(&1).copied(), Some(8));
    }
}
