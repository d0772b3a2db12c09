//! Rounds of questions for liveness beyond the usual ones: whether they are worth going on.
//!
//! A round of a large network costs minutes and may find nobody. Its first [`SAMPLE`]
//! questions go to addresses all over the network, because the order is a permutation; if none
//! of them found anybody, the rest would find hardly anybody either, and is left out. With 0 of
//! 4,096, fewer than one address in a thousand is missed, in 98 of 100 cases. Where a network has
//! several parts the sample is that of all of them: the first are asked until it is whole, of each
//! later one its share, since it may be another kind of network; and what found anybody goes on.

use std::time::Duration;

use crate::plan::FAR_ROUNDS;

/// So many questions of a round tell what it is worth.
const SAMPLE: u64 = 4_096;

/// The most addresses that share one sample: those of a /16.
const MOST_SAMPLED: u64 = 1 << 16;

/// What the rounds beyond the usual ones brought, by round.
#[derive(Debug, Default)]
pub(super) struct Extra {
    /// How many questions of the part under way are its share.
    share: u64,
    rounds: Vec<Round>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Round {
    /// Of all parts, and of the one under way.
    asked: u64,
    asked_here: u64,
    found: bool,
    /// When the last question of the sample went.
    sampled_at: Duration,
}

impl Extra {
    /// A part of so many addresses of all begins.
    pub(super) fn begin_part(&mut self, part: u64, all: u64) {
        let all = all.clamp(1, MOST_SAMPLED);
        self.share = SAMPLE.saturating_mul(part.min(all)).div_ceil(all);
        self.rounds.iter_mut().for_each(|round| round.asked_here = 0);
    }

    /// A question of that round went.
    pub(super) fn note_asked(&mut self, round: u64, now: Duration) {
        let Some(place) = place(round) else { return };
        if self.rounds.len() <= place {
            self.rounds.resize(place.saturating_add(1), Round::default());
        }
        if let Some(round) = self.rounds.get_mut(place) {
            round.asked = round.asked.saturating_add(1);
            round.asked_here = round.asked_here.saturating_add(1);
            if round.asked <= SAMPLE || round.asked_here <= self.share {
                round.sampled_at = now;
            }
        }
    }

    /// An address was found by a question of that round.
    pub(super) fn note_found(&mut self, round: u64) {
        if let Some(round) = place(round).and_then(|place| self.rounds.get_mut(place)) {
            round.found = true;
        }
    }

    /// Whether another question of that round is worth asking; answers take up to `wait`.
    pub(super) fn is_worth(&self, round: u64, now: Duration, wait: Duration) -> bool {
        let Some(round) = place(round).and_then(|place| self.rounds.get(place)) else {
            return true;
        };
        let sampled = round.asked >= SAMPLE
            && round.asked_here >= self.share
            && now > round.sampled_at.saturating_add(wait);
        round.found || !sampled
    }
}

/// The place of a round among the extra ones.
fn place(round: u64) -> Option<usize> {
    usize::try_from(round.checked_sub(FAR_ROUNDS)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_millis(100);

    #[test]
    fn a_round_that_finds_nobody_ends_after_its_sample_and_its_answers() {
        let mut extra = Extra::default();
        extra.begin_part(100, 100);
        let now = Duration::from_secs(5);
        for _ in 0..SAMPLE {
            assert!(extra.is_worth(FAR_ROUNDS, now * 2, WAIT));
            extra.note_asked(FAR_ROUNDS, now);
        }
        assert!(extra.is_worth(FAR_ROUNDS, now + WAIT, WAIT), "answers may be under way");
        assert!(!extra.is_worth(FAR_ROUNDS, now + WAIT * 2, WAIT));
        assert!(extra.is_worth(FAR_ROUNDS + 1, now * 2, WAIT), "another round may do better");
        extra.note_found(FAR_ROUNDS);
        assert!(extra.is_worth(FAR_ROUNDS, now * 2, WAIT));
    }

    /// How many questions of the first round each part gets, of whom so many know an answer.
    fn asked(part: u64, all: u64, finds: impl Fn(u64) -> bool) -> Vec<u64> {
        let mut extra = Extra::default();
        let mut before = 0;
        let each = (0..all / part).map(|_| {
            extra.begin_part(part, all);
            // The answers are there before the next question goes.
            let worth = (0..part).take_while(|_| {
                let is_worth = extra.is_worth(FAR_ROUNDS, WAIT * 9, WAIT);
                if is_worth {
                    extra.note_asked(FAR_ROUNDS, WAIT);
                    before += 1;
                    if finds(before) {
                        extra.note_found(FAR_ROUNDS);
                    }
                }
                is_worth
            });
            u64::try_from(worth.count()).unwrap()
        });
        each.collect()
    }

    #[test]
    fn the_parts_of_a_network_share_the_sample_and_what_was_found() {
        let nobody = |_| false;
        assert_eq!(asked(10_000, 10_000, nobody), [SAMPLE]);
        // The first are asked until the sample is whole, of the others their share.
        let each = asked(1_024, 65_536, nobody);
        assert_eq!(each[..6], [1_024, 1_024, 1_024, 1_024, 64, 64]);
        // One in a thousand: all of them are asked.
        assert_eq!(asked(512, 65_536, |n| n % 1_000 == 0), vec![512; 128]);
    }

    #[test]
    fn the_usual_rounds_are_always_worth_it() {
        let mut extra = Extra::default();
        extra.begin_part(100, 100);
        for round in 0..FAR_ROUNDS {
            (0..2 * SAMPLE).for_each(|_| extra.note_asked(round, WAIT));
            assert!(extra.is_worth(round, WAIT * 100, WAIT));
        }
    }
}
