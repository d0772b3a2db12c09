//! A course of questions: their order, how far it is, and when what was sent.

use std::{collections::VecDeque, time::Duration};

use model::Transport;

use crate::{order::Order, plan::Key};

/// One round of questions for everybody, as often as silence deserves.
#[derive(Debug)]
pub(super) enum Work {
    /// Who is there? One pass for each round of questions.
    Liveness,
    /// Do those on the link, who answered there, answer an echo request, too?
    Echo { hosts: Vec<u64> },
    /// Do these addresses differ at these ports?
    Confirm { hosts: Vec<u64>, ports: Vec<u16> },
    /// Some ports of the group, before all others.
    Telltale { ports: Vec<(Transport, u16)> },
    /// The ports of the group.
    Ports,
}

/// A work under way: passes over numbered questions, each in the same order, so that what
/// comes at a place was asked before when the last pass was at that place.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) work: Work,
    pub(super) order: Order,
    pub(super) passes: u64,
    /// How many of them are more than usual, for who has a limit.
    pub(super) more: u64,
    /// The next place, counted through all passes.
    pub(super) cursor: u64,
    /// When each place was passed.
    log: PassageLog,
}

impl Course {
    /// The course over `addresses × ports` questions.
    pub(super) fn new(work: Work, key: Key, addresses: usize, ports: usize, passes: u64) -> Self {
        let number = |count| u64::try_from(count).unwrap_or(u64::MAX);
        let order = Order::new(key, number(addresses), number(ports));
        Self { work, order, passes, more: 0, cursor: 0, log: PassageLog::default() }
    }

    /// Questions in each pass.
    pub(super) const fn size(&self) -> u64 {
        self.order.size()
    }

    pub(super) const fn total(&self) -> u64 {
        self.size().saturating_mul(self.passes)
    }

    /// Goes on to the next place.
    pub(super) fn advance(&mut self, now: Duration) {
        self.cursor = self.cursor.saturating_add(1);
        self.log.note(self.cursor, now);
    }

    /// Goes on to that place, counted through all passes.
    pub(super) fn advance_to(&mut self, cursor: u64, now: Duration) {
        self.cursor = cursor;
        self.log.note(cursor, now);
    }

    /// When that place, counted through all passes, was passed, if that is not long ago.
    pub(super) fn passed_at(&self, place: u64) -> Option<Duration> {
        self.log.at(place)
    }

    /// The place within that pass up to which everything was passed at that time.
    pub(super) fn due_until(&self, pass: u64, at: Duration) -> Option<u64> {
        let start = pass.saturating_mul(self.size());
        let end = self.log.end_at(at)?;
        Some(end.saturating_sub(start).min(self.size()))
    }

    /// The pass in which the question at that place of a pass came last, and when it came, if
    /// it was asked yet and that is not long ago.
    pub(super) fn last_time(&self, place: u64) -> Option<(u64, Duration)> {
        let passed = self.cursor.checked_sub(place)?.checked_sub(1)?;
        let pass = passed.checked_div(self.size())?;
        let at = self.log.at(pass.saturating_mul(self.size()).saturating_add(place))?;
        Some((pass, at))
    }
}

/// When the cursor was where: exact to a millisecond for the last eight thousand
/// milliseconds in which anything was sent. What is older was long ago.
#[derive(Debug, Default)]
struct PassageLog {
    /// The place behind the last one passed, and when; ascending.
    passed: VecDeque<(u64, Duration)>,
}

const MOST_ENTRIES: usize = 8_192;
const FINE: Duration = Duration::from_millis(1);

impl PassageLog {
    /// The cursor went on to `cursor` at `now`.
    fn note(&mut self, cursor: u64, now: Duration) {
        if let Some((last, at)) = self.passed.back_mut()
            && now.saturating_sub(*at) < FINE
        {
            *last = cursor;
            return;
        }
        if self.passed.len() >= MOST_ENTRIES {
            self.passed.pop_front();
        }
        self.passed.push_back((cursor, now));
    }

    /// The place behind the last that was passed at that time. `None`: none, or it is longer
    /// ago than is kept.
    fn end_at(&self, at: Duration) -> Option<u64> {
        let index = self.passed.partition_point(|(_, passed)| *passed <= at).checked_sub(1)?;
        self.passed.get(index).map(|(end, _)| *end)
    }

    /// When that place was passed. `None`: not yet, or longer ago than is kept.
    fn at(&self, place: u64) -> Option<Duration> {
        let index = self.passed.partition_point(|(end, _)| *end <= place);
        // The oldest entry may stand for places whose own entry is gone.
        let kept = index > 0 || self.passed.len() < MOST_ENTRIES;
        self.passed.get(index).filter(|_| kept).map(|(_, at)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    #[test]
    fn the_last_time_of_a_question_is_known_while_it_matters() {
        let mut course = Course::new(Work::Ports, [1; 16], 10, 2, 3);
        assert_eq!((course.size(), course.total()), (20, 60));
        assert_eq!(course.last_time(0), None);
        for place in 0..25 {
            course.advance(ms(place * 10));
        }
        assert_eq!(course.last_time(4), Some((1, ms(240))));
        assert_eq!(course.last_time(5), Some((0, ms(50))));
        assert_eq!(course.last_time(19), Some((0, ms(190))));
    }

    #[test]
    fn what_is_long_ago_is_not_kept() {
        let mut log = PassageLog::default();
        for place in 0..2 * MOST_ENTRIES as u64 {
            log.note(place + 1, ms(place));
        }
        assert_eq!(log.at(17), None);
        assert_eq!(log.at(2 * MOST_ENTRIES as u64 - 5), Some(ms(2 * MOST_ENTRIES as u64 - 5)));
        assert_eq!(log.at(2 * MOST_ENTRIES as u64), None);
        assert_eq!(log.passed.len(), MOST_ENTRIES);
    }
}
