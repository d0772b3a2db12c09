//! What the programs and we tell each other: numbers at fixed places of one map.
//!
//! While a call runs, its thread is in the kernel, where the programs write; between calls
//! we do. Other threads may read at any time.

use std::{io, sync::atomic::Ordering::Relaxed};

use super::map::Map;

/// How many frames one call makes at most: each has a line in the log. At seven million a
/// second that is 2.3 ms, at the slowest driver's hundred thousand 160 ms.
pub(super) const MOST_FRAMES: u32 = 16_384;

/// The numbers on the desk: the offset of each in bytes.
#[derive(Clone, Copy, Debug)]
#[repr(i16)]
pub(super) enum Field {
    /// The next place of the order.
    Place = 0,
    /// The same within its round.
    Within = 8,
    /// The round.
    Round = 16,
    /// The number of the round's question to the first address.
    Base = 24,
    /// Where the walk of the order that leads to the next number has come to.
    Walk = 32,
    /// The round's port, in network order.
    Port = 40,
    /// The place at which to stop.
    Until = 48,
    /// The place at which this call began.
    Start = 56,
    /// How many frames this call made.
    Made = 64,
    /// How many questions it passed over because their bits were set.
    Skipped = 72,
    /// Which thread makes the call, as the whole machine counts threads.
    Thread = 80,
    /// Of how many frames it is known what became of them.
    Known = 88,
    /// How many of them the driver took.
    Taken = 96,
    /// How many entries the list of refusals has.
    Refusals = 104,
}

/// Where the log is: for each frame its place less that at which the call began, 4 bytes.
pub(super) const LOG: usize = 128;

/// Where the list of refusals is: the number of a frame and for how many from there on the
/// driver had no room, 4 bytes each.
pub(super) const REFUSED: usize = LOG + 4 * MOST_FRAMES as usize;

/// The desk.
#[derive(Debug)]
pub(super) struct Desk(Map);

impl Desk {
    pub(super) fn new() -> io::Result<Self> {
        let len = REFUSED + 8 * MOST_FRAMES as usize;
        Map::new(c"daicho_desk", len).map(Self)
    }

    pub(super) const fn map(&self) -> &Map {
        &self.0
    }

    pub(super) fn get(&self, field: Field) -> u64 {
        let number = self.0.doubles().get(field as usize / 8);
        number.map_or(0, |number| number.load(Relaxed))
    }

    pub(super) fn set(&self, field: Field, value: u64) {
        if let Some(number) = self.0.doubles().get(field as usize / 8) {
            number.store(value, Relaxed);
        }
    }

    /// Makes it ready for a call that ends before that place.
    pub(super) fn open(&self, until: u64) {
        self.set(Field::Start, self.get(Field::Place));
        self.set(Field::Until, until);
        for counter in [Field::Made, Field::Skipped, Field::Known, Field::Taken, Field::Refusals] {
            self.set(counter, 0);
        }
    }

    /// The places whose frames were not taken, or may not have been.
    pub(super) fn refused(&self) -> Vec<u64> {
        let (made, known) = (self.get(Field::Made), self.get(Field::Known));
        if known != made {
            // Some never came to the driver: the interface went down, or has no way to take
            // frames. Which ones nobody says.
            return (0..made).map(|frame| self.place_of(frame)).collect();
        }
        let refusals = self.get(Field::Refusals);
        let list = self.0.words().get(REFUSED / 4..).unwrap_or_default();
        let entries = list.as_chunks::<2>().0.iter();
        let entries = entries.take(usize::try_from(refusals).unwrap_or(usize::MAX));
        entries
            .flat_map(|[first, count]| {
                let first = u64::from(first.load(Relaxed));
                (first..first + u64::from(count.load(Relaxed))).map(|frame| self.place_of(frame))
            })
            .collect()
    }

    fn place_of(&self, frame: u64) -> u64 {
        let log = self.0.words().get(LOG / 4..).unwrap_or_default();
        let offset = usize::try_from(frame).ok().and_then(|frame| log.get(frame));
        let offset = offset.map_or(0, |offset| offset.load(Relaxed));
        self.get(Field::Start) + u64::from(offset)
    }
}
