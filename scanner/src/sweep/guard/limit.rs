//! Whether an address answers only so many packets a second, and how many.
//!
//! A limit and a filter both leave questions unanswered. At a limit the *rate* of the answers
//! stays the same whatever is asked, behind a filter their *share* does. So of who answers
//! too few, the rate is measured over a second span: in the first it may have spent what it
//! had saved up. Then it is asked just that fast. A limit answers nearly all of that, a
//! filter the same small share as before.
//!
//! A pause says nothing of a rate, and after it answers are saved up again: it begins the
//! measurement anew. So does a change of the rate, behind which the answers to what was asked
//! before are still under way for a round-trip time.

use std::time::Duration;

/// The time over which questions and answers are compared, at least and at most.
const SPAN: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(1);

/// As long without a question, and four times as long as usual, is a pause.
const PAUSE: Duration = Duration::from_millis(50);

/// Fewer questions in that time say nothing; fewer answers are those of somebody who hardly
/// has anything to say; and so many answers tell their rate to a tenth.
const ENOUGH: u32 = 25;
const SOME: u32 = 3;
const EXACT: u32 = 10;

/// So many questions of a trial, or of who is asked at its limit, and it is judged; of who is
/// asked slowly, so few.
const TRIAL: u32 = 20;
const FEW: u32 = 8;

/// Who answers a smaller share, in hundredths, is tried; who answers this one answers all
/// but what is under way.
const TOO_FEW: u32 = 80;
const NEARLY_ALL: u32 = 95;

/// Whether there is a limit is tried at no less than this, or it would take seconds.
const SLOWEST_TRIAL: u32 = 10;

/// The time from one rise to the next: who has saved up answers takes more for a while.
const RISE: Duration = Duration::from_secs(2);

/// How far behind its rate a question may be made up for: a sleeping thread's lateness.
const CATCH_UP: Duration = Duration::from_millis(5);

const SECOND: Duration = Duration::from_secs(1);

/// Questions to an address and its answers, and what they say of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flow {
    /// Since when questions and answers are counted; it may lie ahead.
    since: Duration,
    asked: u32,
    answered: u32,
    /// When the last question went.
    last: Duration,
    /// When the next one may go.
    next: Duration,
    /// When the rate became another.
    changed: Duration,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Stage {
    #[default]
    Free,
    /// It answered some of what it was asked: its answers are measured, once it has spent what
    /// it saved up, by asking it half as fast again as it answered.
    Suspected { rate: u32, spent: bool },
    /// Asked as fast as it answered, packets a second. It has a limit if it answers a larger
    /// share than this, in hundredths.
    Tried { rate: u32, share: u32 },
    /// It has a limit: packets a second, and those of which it last answered all.
    Limited { rate: u32, borne: u32 },
    /// It answers a share of whatever it is asked: there is a filter.
    Filtered,
}

impl Stage {
    /// Packets a second that it is asked at most.
    const fn rate(self) -> Option<u32> {
        match self {
            Self::Suspected { rate, .. }
            | Self::Tried { rate, .. }
            | Self::Limited { rate, .. } => Some(rate),
            Self::Free | Self::Filtered => None,
        }
    }
}

impl Flow {
    /// A question went, to whom answers in `round_trip`.
    pub(super) fn ask(&mut self, now: Duration, round_trip: Duration) {
        let gap = now.saturating_sub(self.last);
        let usual = self.last.saturating_sub(self.since) / self.asked.max(1);
        let pause = gap > PAUSE.max(usual.max(self.interval()).saturating_mul(4));
        // Its answers begin a round-trip time later.
        if self.since.is_zero() || (pause && self.stage != Stage::Free) {
            self.begin(now.saturating_add(round_trip));
        }
        if let (true, Stage::Suspected { spent, .. }) = (pause, &mut self.stage) {
            *spent = false;
        }
        self.last = now;
        self.next = self.next.max(now.saturating_sub(CATCH_UP)).saturating_add(self.interval());
        if now >= self.since {
            // This one is not answered yet.
            self.judge(now, round_trip);
            self.asked += 1;
        }
    }

    /// An answer came.
    pub(super) fn hear(&mut self, now: Duration, round_trip: Duration) {
        if now >= self.since {
            self.answered += 1;
            self.judge(now, round_trip);
        }
    }

    /// When the next question may go.
    pub(super) const fn next(&self) -> Duration {
        self.next
    }

    /// The limit that was found, packets a second.
    pub(super) const fn limit(&self) -> Option<u32> {
        match self.stage {
            Stage::Limited { rate, .. } => Some(rate),
            _ => None,
        }
    }

    /// Whether it is being found out.
    pub(super) const fn is_suspected(&self) -> bool {
        matches!(self.stage, Stage::Suspected { .. } | Stage::Tried { .. })
    }

    /// Begins to find out whether there is one, if a sweep that is over so soon says so.
    pub(super) fn suspect(&mut self) {
        if self.stage == Stage::Free && self.is_suspicious() {
            let span = self.last.saturating_sub(self.since);
            self.stage = self.suspected(span, false);
            self.begin(self.last);
        }
    }

    fn is_suspicious(&self) -> bool {
        self.asked >= ENOUGH && self.answered >= SOME && self.share() < TOO_FEW
    }

    /// Of what was asked so much was answered, in hundredths; one may be under way.
    fn share(&self) -> u32 {
        let answered = self.answered.saturating_add(1).min(self.asked);
        answered.saturating_mul(100).checked_div(self.asked).unwrap_or(100)
    }

    /// Answers a second in that span.
    fn answers(&self, span: Duration) -> u32 {
        per_second(self.answered, span)
    }

    /// Asked at a rate beyond any limit that lets so many answers through in that span.
    fn suspected(&self, span: Duration, spent: bool) -> Stage {
        let rate = (self.answers(span).saturating_mul(3) / 2).max(SLOWEST_TRIAL);
        Stage::Suspected { rate, spent }
    }

    fn begin(&mut self, since: Duration) {
        (self.since, self.asked, self.answered) = (since, 0, 0);
    }

    /// The time between two questions.
    fn interval(&self) -> Duration {
        self.stage.rate().map_or(Duration::ZERO, |rate| SECOND / rate.max(1))
    }

    fn judge(&mut self, now: Duration, round_trip: Duration) {
        let span = now.saturating_sub(self.since);
        let (questions, answers) = match self.stage {
            Stage::Free => (ENOUGH, SOME),
            Stage::Suspected { .. } => (ENOUGH, EXACT),
            Stage::Tried { .. } | Stage::Limited { .. } if self.asked < FEW => return,
            Stage::Tried { .. } | Stage::Limited { .. } => (TRIAL, 0),
            Stage::Filtered => return,
        };
        let is_enough = self.asked >= questions && self.answered >= answers;
        if span < SPAN || (!is_enough && span < LONGEST) {
            return;
        }
        let share = self.share();
        let before = self.stage;
        self.stage = match before {
            Stage::Free if self.is_suspicious() => self.suspected(span, true),
            Stage::Free => Stage::Free,
            // No filter answers more of it when it is asked less.
            Stage::Suspected { rate, .. } if share >= TOO_FEW => Stage::Limited { rate, borne: 0 },
            // The answers became fewer with the questions.
            Stage::Suspected { .. } if self.answered < SOME => Stage::Filtered,
            Stage::Suspected { spent: false, .. } => self.suspected(span, true),
            Stage::Suspected { spent: true, .. } => tried(self.answers(span), share),
            Stage::Tried { rate, share: needed } if share > needed => {
                Stage::Limited { rate: part(rate, share), borne: 0 }
            }
            Stage::Tried { .. } | Stage::Filtered => Stage::Filtered,
            Stage::Limited { rate: limit, .. } if share >= NEARLY_ALL => {
                // Up by a twentieth while it answers all, and is asked as much.
                let is_used = per_second(self.asked, span) >= limit / 10 * 9;
                let rises = is_used && now.saturating_sub(self.changed) >= RISE;
                let more = if rises { limit / 20 + 1 } else { 0 };
                Stage::Limited { rate: limit.saturating_add(more), borne: limit }
            }
            Stage::Limited { rate: limit, borne } if (1..limit).contains(&borne) => {
                Stage::Limited { rate: borne, borne: 0 }
            }
            // No rate cured it, so that it is no limit, or one that has changed.
            Stage::Limited { rate, .. } if share < TOO_FEW => tried(part(rate, share), share),
            Stage::Limited { rate, .. } => Stage::Limited { rate: part(rate, share), borne: 0 },
        };
        let is_new_rate = self.stage.rate() != before.rate();
        if is_new_rate {
            self.changed = now;
        }
        self.begin(if is_new_rate { now.saturating_add(round_trip) } else { now });
    }
}

fn per_second(packets: u32, span: Duration) -> u32 {
    let millis = u32::try_from(span.as_millis()).unwrap_or(u32::MAX).max(1);
    packets.saturating_mul(1_000) / millis
}

/// That many hundredths of a rate.
fn part(rate: u32, share: u32) -> u32 {
    (rate.saturating_mul(share.min(100)) / 100).max(1)
}

/// Who answered at this rate, and this share, is asked just that fast.
fn tried(rate: u32, share: u32) -> Stage {
    let trial = rate.max(SLOWEST_TRIAL);
    // A limit would answer `rate` of them, a filter that share: half way between.
    let share = share.midpoint(rate.saturating_mul(100) / trial);
    Stage::Tried { rate: trial, share }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Asks as fast as `rate` says, or slower if the flow does, for so long; `answers` tells
    /// whether the question of that number, at that time, is answered. Says how many went.
    fn ask(
        flow: &mut Flow,
        rate: u32,
        (from, until): (u32, u32),
        mut answers: impl FnMut(u32, Duration) -> bool,
    ) -> u32 {
        let (mut now, mut number) = (MS * from, 0);
        while now < MS * until {
            flow.ask(now, Duration::ZERO);
            if answers(number, now) {
                flow.hear(now, Duration::ZERO);
            }
            number += 1;
            now = flow.next().max(now + SECOND / rate);
        }
        number
    }

    /// A token bucket.
    fn bucket(rate: u32, at_once: u32) -> impl FnMut(u32, Duration) -> bool {
        let mut due = Duration::ZERO;
        move |_, now| {
            let is_answered = due <= now + SECOND / rate * (at_once - 1);
            if is_answered {
                due = due.max(now) + SECOND / rate;
            }
            is_answered
        }
    }

    #[test]
    fn a_constant_rate_of_answers_is_a_limit() {
        for (rate, limit) in [(5_000, 100), (1_000, 500), (1_000, 100), (1_000, 20), (40, 20)] {
            for at_once in [2, 6, 50] {
                let mut flow = Flow::default();
                let mut limited = bucket(limit, at_once);
                // What was saved up is spent first.
                let spent = 3_000 + at_once * 1_000 / (rate - limit);
                ask(&mut flow, rate, (0, spent), &mut limited);
                let told = flow.limit().unwrap_or_default();
                assert!(
                    (limit * 5 / 6..=limit * 6 / 5).contains(&told),
                    "{told} instead of {limit} at {rate}, {at_once} at once"
                );
                let went = ask(&mut flow, rate, (spent, spent + 10_000), &mut limited) / 10;
                assert!((limit * 5 / 6..=limit * 6 / 5).contains(&went), "{went} at {limit}");
            }
        }
    }

    #[test]
    fn a_constant_share_of_answers_is_a_filter() {
        for one_in in [2, 3, 10, 25] {
            let mut flow = Flow::default();
            let went = ask(&mut flow, 1_000, (0, 10_000), |number, _| number % one_in == 0);
            assert_eq!(flow.limit(), None, "one in {one_in}");
            assert!(went > 8_000, "{went} of 10,000 asked where one in {one_in} answers");
        }
    }

    #[test]
    fn whoever_answers_has_no_limit() {
        for lost in [0, 10, 6] {
            let mut flow = Flow::default();
            ask(&mut flow, 1_000, (0, 5_000), |number, _| lost == 0 || number % lost > 0);
            assert_eq!(flow.stage, Stage::Free);
        }
    }

    #[test]
    fn a_limit_that_rises_is_followed_and_one_that_ends_is_noticed() {
        let mut flow = Flow::default();
        ask(&mut flow, 1_000, (0, 3_000), bucket(100, 6));
        assert!(flow.limit().is_some_and(|limit| limit < 120), "{flow:?}");
        ask(&mut flow, 1_000, (3_000, 23_000), |_, _| true);
        assert!(flow.limit().is_some_and(|limit| limit > 150), "{flow:?}");
        // Half of whatever is asked: that is none.
        ask(&mut flow, 1_000, (23_000, 33_000), |number, _| number % 2 == 0);
        assert_eq!(flow.stage, Stage::Filtered);
    }

    #[test]
    fn a_pause_says_nothing() {
        let mut flow = Flow::default();
        let mut limited = bucket(100, 6);
        ask(&mut flow, 1_000, (0, 3_000), &mut limited);
        for second in 4..20 {
            ask(&mut flow, 1_000, (second * 1_000, second * 1_000 + 900), &mut limited);
            let told = flow.limit().unwrap_or_default();
            assert!((84..=120).contains(&told), "{told}");
        }
    }
}
