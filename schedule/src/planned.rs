//! A job as it is planned: when it is due, when it may begin, and what it must not share.

use std::hash::Hasher as _;

use model::Timestamp;
use siphasher::sip::SipHasher13;

use crate::{Schedule, Window};

/// Of so many times that were missed in a row, each is counted.
const COUNTED: u32 = 1_000;

/// A job as the scheduler sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// Its name; no two have the same.
    pub name: String,
    /// When it is due; `None` for one that runs for as long as anything does.
    pub schedule: Option<Schedule>,
    /// It begins up to so many seconds after it is due, always the same for the same time.
    pub jitter: u32,
    /// What becomes of it where it was missed.
    pub missed: Missed,
    /// The times at which it may begin; empty for any.
    pub windows: Vec<Window>,
    /// What it must not share.
    pub lane: Lane,
}

/// What becomes of runs that could not begin when they were due.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Missed {
    /// All of them are made up for by one, as soon as it can begin.
    Once,
    /// They are left out.
    Skip,
}

/// What runs at the same time must not share.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Lane {
    /// Nothing but the number of jobs at once.
    Free,
    /// An interface to sweep through; `None` may be any, and so shares with no other sweep.
    Sweep(Option<String>),
    /// It listens: it is not counted and never waits.
    Listening,
}

impl Lane {
    pub(crate) fn shares_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Sweep(Some(one)), Self::Sweep(Some(other))) => one == other,
            (Self::Sweep(_), Self::Sweep(_)) => true,
            _ => false,
        }
    }
}

impl Planned {
    /// The times at which it is due after a moment and at which it begins then, without end.
    pub fn upcoming(&self, after: Timestamp) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        let mut next = self.schedule.as_ref().and_then(|schedule| schedule.next(after));
        std::iter::from_fn(move || {
            let due = next?;
            next = self.schedule.as_ref().and_then(|schedule| schedule.next(due));
            Some((due, due.plus_seconds(self.delay(due, next))))
        })
    }

    /// By how many seconds it is late at `now`, if everything up to `settled` is settled.
    #[must_use]
    pub fn late(&self, settled: Timestamp, now: Timestamp) -> Option<i64> {
        let (_, begins) = self.upcoming(settled).next()?;
        Some(now.seconds_since(begins)).filter(|late| *late > 0)
    }

    /// The jitter of one time: it never reaches the next, so that the order stays.
    fn delay(&self, due: Timestamp, next: Option<Timestamp>) -> i64 {
        let room = next.map_or(i64::MAX, |next| next.seconds_since(due).saturating_sub(1));
        let most = i64::from(self.jitter).min(room.max(0));
        // No secret: it only has to be spread, and to be the same wherever it is asked.
        let mut hasher = SipHasher13::new();
        hasher.write(self.name.as_bytes());
        hasher.write_i64(due.seconds());
        let parts = u64::try_from(most).unwrap_or(0).saturating_add(1);
        i64::try_from(hasher.finish() % parts).unwrap_or(0)
    }

    pub(crate) fn may_begin(&self, now: Timestamp) -> bool {
        let Some(schedule) = self.schedule.as_ref().filter(|_| !self.windows.is_empty()) else {
            return true;
        };
        let moment = schedule.minute_of_week(now);
        moment.is_some_and(|(day, minute)| self.windows.iter().any(|w| w.is_open(day, minute)))
    }

    /// The last of the times after `settled` that have come, when that begins, and how many
    /// there are.
    pub(crate) fn come(
        &self,
        settled: Timestamp,
        now: Timestamp,
    ) -> Option<(Timestamp, Timestamp, u32)> {
        let mut last = None;
        let mut count = 0_u32;
        let mut from = settled;
        while let Some((due, begins)) = self.upcoming(from).next().filter(|(_, at)| *at <= now) {
            count = count.saturating_add(1);
            last = Some((due, begins, count));
            from = due;
            // Years of minutes: from here on not each is counted.
            if count.is_multiple_of(COUNTED) {
                let half = Timestamp(from.0.saturating_add(now.0.saturating_sub(from.0) / 2));
                let has_come = self.upcoming(half).next().is_some_and(|(_, at)| at <= now);
                from = if has_come { half } else { from };
            }
        }
        last
    }
}
