//! The table of flows: what each is by a hash of its ends, and whether more is wanted of it.
//!
//! Sets of eight places each, so that a flow is found by looking at one line of the cache, and
//! room for a new one is made among eight without an order of all: first what is known, the
//! longest silent first. It grows by splitting its sets up to a size that it is given, and never
//! beyond. Two flows of one hash would be taken for one; the hash is keyed and has 64 bits.

/// Places of a set.
const WAYS: usize = 8;

/// Sets at first: 200 KiB.
const FIRST_SETS: usize = 1 << 10;

/// What is known of a flow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Entry {
    /// Its place among those that are still read; [`KNOWN`] where all that can be was.
    pub(super) open: u32,
    /// When it was last heard, in seconds of the capture's clock, cut to 32 bits.
    pub(super) seen: u32,
    /// The number of the use of a service to whose volume it adds; [`NO_USE`] where none.
    pub(super) used: u32,
}

/// Of [`Entry::open`].
pub(super) const KNOWN: u32 = u32::MAX;
/// Of [`Entry::used`].
pub(super) const NO_USE: u32 = u32::MAX;

const EMPTY: Entry = Entry { open: KNOWN, seen: 0, used: NO_USE };

#[derive(Clone, Debug)]
struct Set {
    /// Hashes; 0 for an empty place.
    tags: [u64; WAYS],
    entries: [Entry; WAYS],
}

const EMPTY_SET: Set = Set { tags: [0; WAYS], entries: [EMPTY; WAYS] };

/// See the module.
#[derive(Debug)]
pub(super) struct Table {
    /// A power of two of them.
    sets: Vec<Set>,
    most_sets: usize,
    len: usize,
}

impl Table {
    /// A table that takes at most so many bytes.
    pub(super) fn new(bytes: usize) -> Self {
        let sets = (bytes / size_of::<Set>()).max(1);
        let most_sets = if sets.is_power_of_two() { sets } else { sets.next_power_of_two() / 2 };
        Self { sets: vec![EMPTY_SET; FIRST_SETS.min(most_sets)], most_sets, len: 0 }
    }

    /// How many flows there are.
    #[cfg(test)]
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// How many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        self.sets.len().saturating_mul(size_of::<Set>())
    }

    fn set(&mut self, tag: u64) -> Option<&mut Set> {
        // The number of sets is a power of two.
        let mask = self.sets.len().saturating_sub(1) as u64;
        self.sets.get_mut(usize::try_from(tag & mask).ok()?)
    }

    /// The flow of that hash.
    pub(super) fn find(&mut self, tag: u64) -> Option<&mut Entry> {
        let set = self.set(tag)?;
        let place = set.tags.iter().position(|known| *known == tag)?;
        set.entries.get_mut(place)
    }

    /// Adds a flow that is not there, and gives back the one that had to make room.
    pub(super) fn insert(&mut self, tag: u64, entry: Entry) -> Option<Entry> {
        if self.len.saturating_mul(2) > self.sets.len().saturating_mul(WAYS) {
            self.grow();
        }
        let set = self.set(tag)?;
        let now = entry.seen;
        let silent = |entry: &Entry| now.wrapping_sub(entry.seen);
        let empty = set.tags.iter().position(|tag| *tag == 0);
        let place = empty.or_else(|| {
            let known = |entry: &Entry| entry.open == KNOWN;
            let all = set.entries.iter().enumerate();
            all.max_by_key(|(_, entry)| (known(entry), silent(entry))).map(|(place, _)| place)
        })?;
        let old = set.entries.get(place).copied();
        *set.tags.get_mut(place)? = tag;
        *set.entries.get_mut(place)? = entry;
        match empty {
            Some(_) => {
                self.len = self.len.saturating_add(1);
                None
            }
            None => old,
        }
    }

    /// Doubles the sets. Each splits into two, so that none is too small.
    fn grow(&mut self) {
        let count = self.sets.len();
        if count >= self.most_sets {
            return;
        }
        let mask = (count.saturating_mul(2)).saturating_sub(1) as u64;
        let mut sets = Vec::with_capacity(count.saturating_mul(2));
        sets.extend_from_slice(&self.sets);
        sets.extend_from_slice(&self.sets);
        for (number, set) in sets.iter_mut().enumerate() {
            for (tag, entry) in set.tags.iter_mut().zip(&mut set.entries) {
                if *tag & mask != number as u64 {
                    (*tag, *entry) = (0, EMPTY);
                }
            }
        }
        self.sets = sets;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(open: u32, seen: u32) -> Entry {
        Entry { open, seen, used: NO_USE }
    }

    /// Hashes that are spread as a hash's are.
    fn tag(n: u64) -> u64 {
        n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    #[test]
    fn all_are_found_while_there_is_room() {
        let mut table = Table::new(64 << 20);
        let before = table.bytes();
        let mut gone = 0;
        for n in 0..1_000_000_u32 {
            gone += usize::from(table.insert(tag(n.into()), entry(n, n)).is_some());
        }
        assert!(table.bytes() > before && table.bytes() <= 64 << 20);
        assert!(gone < 50_000, "{gone}");
        assert_eq!(table.len() + gone, 1_000_000);
        let found = (0..1_000_000_u32)
            .filter(|n| table.find(tag((*n).into())).is_some_and(|entry| entry.open == *n));
        assert_eq!(found.count() + gone, 1_000_000);
    }

    #[test]
    fn what_is_known_makes_room_first_and_of_that_the_longest_silent() {
        let mut table = Table::new(1);
        let order = [(1, 10), (KNOWN, 30), (2, 5), (KNOWN, 20), (3, 1), (4, 2), (5, 3), (6, 4)];
        for (n, (open, seen)) in order.into_iter().enumerate() {
            assert_eq!(table.insert(tag(n as u64), entry(open, seen)), None);
        }
        let mut next = |n: u64| table.insert(tag(n), entry(9, 40)).unwrap();
        assert_eq!(next(100), entry(KNOWN, 20));
        assert_eq!(next(101), entry(KNOWN, 30));
        assert_eq!(next(102), entry(3, 1));
        assert_eq!(table.len(), 8);
    }
}
