//! Which question goes next, and what waits for its address's rate.

use std::time::Duration;

use super::{
    course::Work,
    engine::{Engine, GLANCE},
    state::Ask,
};
use crate::plan::PORT_TRIES;

/// What `next` found.
pub(super) enum Next {
    Ask(u64, Ask, u64),
    /// Nothing before then.
    At(Duration),
    /// Nothing until an answer comes or a question expires.
    Drained,
}

/// Questions that wait for their address's rate: some megabytes. Slow addresses hold up
/// nobody else until there are more of them.
const MOST_WAITING: usize = 1 << 18;

/// Places looked at before what has arrived is looked at.
const PULLS: usize = 4_096;

impl Engine<'_> {
    pub(super) fn next(&mut self, now: Duration) -> Next {
        if self.resume_at > now {
            return Next::At(self.resume_at);
        }
        let anyone = self.pacer.earliest_to_anyone(now, self.room_for_all);
        if anyone > now {
            return Next::At(anyone);
        }
        if let Some((number, ask)) = self.next_canary(now) {
            return Next::Ask(number, ask, 0);
        }
        while let Some((at, number)) = self.ready.first().copied()
            && at <= now
        {
            self.ready.pop_first();
            if let Some((ask, pass)) = self.next_waiting(number, now) {
                return Next::Ask(number, ask, pass);
            }
        }
        for _ in 0..PULLS {
            if let Some(until) = self.before_the_third_pass(now) {
                return self.next_ready_until(until);
            }
            if self.waiting_count >= MOST_WAITING {
                return self.next_ready();
            }
            let place = self.course.cursor;
            if place >= self.course.total() {
                if self.waiting_count == 0 && self.goes_on() {
                    continue;
                }
                return self.next_ready();
            }
            let Some((number, ask, pass)) = self.question_at(place) else {
                self.course.advance(now);
                continue;
            };
            // An answer to the same question of the last pass may still come. What follows
            // was asked later still, so everything waits for it.
            if pass > 0
                && let Some(at) = self.course.passed_at(place - self.course.size())
                && let until = at.saturating_add(self.wait_for(number, ask))
                && until > now
            {
                return self.next_ready_until(until);
            }
            self.course.advance(now);
            if !self.counts_each {
                return Next::Ask(number, ask, pass);
            }
            if self.waiting.contains_key(&number) {
                self.queue(number, ask, pass);
                continue;
            }
            let at = self.earliest(number, ask, now);
            if at > now {
                self.queue(number, ask, pass);
                self.ready.insert((at, number));
                continue;
            }
            return Next::Ask(number, ask, pass);
        }
        // Nothing to ask among many places: look around, then go on.
        Next::At(now)
    }

    /// A third pass is for where loss was seen, which is known only when the answers to the
    /// second have come: tells until when to wait for that. Where it would ask nobody, it is
    /// left out, since to look at every place of it takes a while.
    fn before_the_third_pass(&mut self, now: Duration) -> Option<Duration> {
        let at_it = matches!(self.course.work, Work::Ports)
            && self.course.cursor == self.course.size().saturating_mul(PORT_TRIES - 1);
        if !at_it || self.is_settled() {
            return None;
        }
        let until = self.last_sent.saturating_add(self.last_wait());
        if self.waiting_count > 0 || now < until {
            return Some(until.max(now.saturating_add(GLANCE)));
        }
        if !self.loss.is_seen() && !self.counts_each {
            self.course.cursor = self.course.total();
        }
        None
    }

    fn next_ready(&mut self) -> Next {
        if self.waiting_count == 0 {
            // Times of those who need not wait any more.
            self.ready.clear();
        }
        let ready = self.ready.first().map(|(at, _)| *at);
        let next = ready.into_iter().chain(self.next_canary_at()).min();
        next.map_or(Next::Drained, Next::At)
    }

    /// The same, if nothing else is to do until then.
    fn next_ready_until(&mut self, until: Duration) -> Next {
        match self.next_ready() {
            Next::At(at) => Next::At(at.min(until)),
            _ => Next::At(until),
        }
    }

    pub(super) fn make_ready(&mut self, number: u64, at: Duration) {
        self.ready.insert((at, number));
    }

    pub(super) fn queue(&mut self, number: u64, ask: Ask, pass: u64) {
        self.waiting.entry(number).or_default().push_back((ask, pass));
        self.waiting_count += 1;
    }

    /// The next question that waits for this address, if it may go now; otherwise the
    /// address is put back.
    fn next_waiting(&mut self, number: u64, now: Duration) -> Option<(Ask, u64)> {
        loop {
            let (ask, pass) = *self.waiting.get(&number)?.front()?;
            let wanted = self.is_wanted(number, ask, pass);
            if wanted {
                let at = self.earliest(number, ask, now);
                if at > now {
                    self.ready.insert((at, number));
                    return None;
                }
            }
            let queue = self.waiting.get_mut(&number)?;
            queue.pop_front();
            self.waiting_count = self.waiting_count.saturating_sub(1);
            if queue.is_empty() {
                self.waiting.remove(&number);
            }
            if wanted {
                if self.waiting.contains_key(&number) {
                    self.ready.insert((now, number));
                }
                return Some((ask, pass));
            }
        }
    }

    pub(super) fn clear_waiting(&mut self) {
        self.waiting.clear();
        self.waiting_count = 0;
        self.ready.clear();
        self.canaries.clear();
    }

    /// When this question may go within the rates.
    fn earliest(&mut self, number: u64, ask: Ask, now: Duration) -> Duration {
        let guarded = self.guard(number, now);
        if guarded > now {
            return guarded;
        }
        let packets = self.room_for(number, ask, now);
        let address = self.state.address(number);
        address.map_or(now, |address| self.pacer.earliest_for(address, now, packets))
    }
}
