//! What the same words meant before.
//!
//! Clients and servers say who they are in the same words thousands of times a day, and what these
//! mean is found by looking through tables. By a keyed hash of the words, so many of them; with
//! more, all are forgotten and found again.

use std::{cell::RefCell, collections::HashMap, hash::BuildHasher};

use foldhash::quality::RandomState;

/// How many are kept: browsers and devices of a network have some hundred.
const MOST: usize = 1 << 10;

/// How long words may be, so that what is kept stays small.
const LONGEST: usize = 1 << 10;

/// See the module.
#[derive(Debug)]
pub(super) struct Memo<V> {
    hasher: RandomState,
    known: RefCell<HashMap<u64, V, foldhash::fast::RandomState>>,
}

impl<V> Default for Memo<V> {
    fn default() -> Self {
        Self { hasher: RandomState::default(), known: RefCell::default() }
    }
}

impl<V: Clone> Memo<V> {
    /// What these words mean: as `read` found before, or finds now. It must go by the words alone.
    pub(super) fn of(&self, words: &[u8], read: impl FnOnce() -> V) -> V {
        if words.len() > LONGEST {
            return read();
        }
        let hash = self.hasher.hash_one(words);
        if let Some(known) = self.known.borrow().get(&hash) {
            return known.clone();
        }
        let found = read();
        let mut known = self.known.borrow_mut();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(hash, found.clone());
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_not_looked_for_again_and_it_stays_small() {
        let memo = Memo::default();
        let mut looked = 0;
        let mut of = |words: &[u8]| {
            memo.of(words, || {
                looked += 1;
                words.len()
            })
        };
        assert_eq!([of(b"a"), of(b"bc"), of(b"a"), of(b"bc"), of(b"")], [1, 2, 1, 2, 0]);
        assert_eq!(looked, 3);
        for n in 0..5_000_u32 {
            memo.of(&n.to_be_bytes(), || 4);
        }
        assert!(memo.known.borrow().len() <= MOST);
        memo.of(&[0; LONGEST + 1], || 7);
        assert_eq!(memo.of(&[0; LONGEST + 1], || 8), 8);
    }
}
