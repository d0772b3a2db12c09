//! How much went between a client and a service of the Internet, in classes.
//!
//! Readers that listen side by side count together: the flows of a client and a service are with
//! many servers, and those are heard by this reader or that one.

use std::{
    collections::HashMap,
    hash::BuildHasher,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use foldhash::quality::RandomState;
use model::{Fact, Subject, Timestamp, Use, Volume};

use super::{super::Told, table::NO_USE};

/// How many pairs are counted at once. With more, all begin again: their volume is told smaller
/// than it is, which the facts that were told before make good.
const MOST: usize = 1 << 16;

#[derive(Debug)]
struct Counted {
    client: IpAddr,
    domain: String,
    bytes: Arc<AtomicU64>,
}

/// What all of those side by side counted, by client and domain.
type Together = Arc<Mutex<HashMap<(IpAddr, String), Arc<AtomicU64>>>>;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Uses {
    all: Vec<Counted>,
    /// By a hash of client and domain.
    numbers: HashMap<u64, u32, foldhash::fast::RandomState>,
    hasher: RandomState,
    /// How often all began again: a number of an earlier time counts for nobody.
    age: u32,
    together: Together,
    /// The numbers that flows of QUIC count for, by the hash of their ends.
    pub(super) datagrams: HashMap<u64, u32, foldhash::fast::RandomState>,
}

/// How many bits of a number say which pair it is; the others are the age.
const BITS: u32 = 17;

impl Uses {
    /// Another that counts the same volumes.
    pub(super) fn beside(&self) -> Self {
        Self { together: Arc::clone(&self.together), ..Self::default() }
    }

    /// The number under which the pair is counted.
    pub(super) fn of(&mut self, client: IpAddr, domain: String) -> u32 {
        let hash = self.hasher.hash_one((client, domain.as_str()));
        let age = (self.age << BITS) & (NO_USE >> 1);
        if let Some(number) = self.numbers.get(&hash) {
            return *number | age;
        }
        let mut together = self.together.lock().unwrap_or_else(PoisonError::into_inner);
        if together.len() >= MOST {
            together.clear();
        }
        if self.all.len() >= MOST {
            self.all.clear();
            self.numbers.clear();
            self.age = self.age.wrapping_add(1);
        }
        let Ok(number) = u32::try_from(self.all.len()) else { return NO_USE };
        self.numbers.insert(hash, number);
        let bytes = Arc::clone(together.entry((client, domain.clone())).or_default());
        self.all.push(Counted { client, domain, bytes });
        number | ((self.age << BITS) & (NO_USE >> 1))
    }

    /// Adds so many bytes to a pair, and tells where they make it a larger class.
    pub(super) fn add(&mut self, number: u32, bytes: usize, at: Timestamp, told: &mut Vec<Told>) {
        let age = (self.age << BITS) & (NO_USE >> 1);
        let index = number & ((1 << BITS) - 1);
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let Some(counted) = self.all.get(index).filter(|_| number & !((1 << BITS) - 1) == age)
        else {
            return;
        };
        let more = u64::try_from(bytes).unwrap_or(u64::MAX);
        // Whoever takes it over the edge tells. No sum of real lengths comes round again.
        let before = counted.bytes.fetch_add(more, Ordering::Relaxed);
        let volume = Volume::of(before.saturating_add(more));
        if volume != Volume::of(before) {
            let used = Use::Cloud { domain: counted.domain.clone(), volume };
            let mut fact = Told::new(Subject::Address(counted.client), Fact::Use(used), &[]);
            fact.at = Some(at);
            told.push(fact);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_told_when_it_grows_out_of_its_class() {
        let mut uses = Uses::default();
        let client = IpAddr::from([192, 0, 2, 1]);
        let number = uses.of(client, "example.com".into());
        assert_eq!(uses.of(client, "example.com".into()), number);
        let mut told = Vec::new();
        for _ in 0..1_600_000 {
            uses.add(number, 100, Timestamp(0), &mut told);
        }
        let volumes: Vec<Volume> = told
            .iter()
            .map(|told| match &told.fact {
                Fact::Use(Use::Cloud { volume, .. }) => *volume,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(volumes, [Volume::Medium, Volume::Large]);
    }

    #[test]
    fn those_side_by_side_count_together_and_one_of_them_tells() {
        let mut one = Uses::default();
        let mut other = one.beside();
        let client = IpAddr::from([192, 0, 2, 1]);
        let [here, there] =
            [&mut one, &mut other].map(|uses| uses.of(client, "example.com".into()));
        let mut told = Vec::new();
        for _ in 0..6 {
            one.add(here, 100 << 10, Timestamp(0), &mut told);
            other.add(there, 100 << 10, Timestamp(0), &mut told);
        }
        assert_eq!(told.len(), 1, "{told:?}");
    }

    #[test]
    fn numbers_of_an_earlier_time_count_for_nobody() {
        let mut uses = Uses::default();
        let client = IpAddr::from([192, 0, 2, 1]);
        let first = uses.of(client, "example.com".into());
        for n in 0..MOST {
            uses.of(client, format!("{n}.example"));
        }
        let mut told = Vec::new();
        uses.add(first, 200 << 20, Timestamp(0), &mut told);
        assert!(told.is_empty());
        assert!(uses.all.len() <= MOST);
    }
}
