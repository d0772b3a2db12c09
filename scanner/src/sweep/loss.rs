//! How much gets lost, judged by who answered only when asked again.

/// Answers to first and to repeated questions.
///
/// A responder answers a question with the chance `1 - p`, where `p` is what is lost of
/// questions and answers together. Of those found within two passes the share
/// `p / (1 + p)` was found by the second.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Loss {
    prompt: u64,
    late: u64,
}

/// One answer in so many that comes only in a later pass shows loss that is worth a third.
const WORTH_A_PASS: u64 = 100;

impl Loss {
    /// An answer that settled something came in that pass.
    pub(super) const fn note(&mut self, pass: u64) {
        match pass {
            0 => self.prompt += 1,
            _ => self.late += 1,
        }
    }

    /// Whether so much gets lost that silence deserves another question.
    pub(super) const fn is_seen(&self) -> bool {
        self.late > 0 && self.late.saturating_mul(WORTH_A_PASS) >= self.prompt
    }

    /// The share of responders that were probably missed after `passes` questions to each, and
    /// how far that may be off at a confidence of 95 %. `None` where nothing answered.
    pub(super) fn missed(&self, passes: u32) -> Option<(f64, f64)> {
        let all = self.prompt.checked_add(self.late).filter(|all| *all > 0)?;
        let (all, late) = (all as f64, self.late as f64);
        // With none late, fewer than three in all were (the rule of three).
        let chance = late / all;
        let off = match self.late {
            0 => 3.0 / all,
            _ => 1.96 * (chance * (1.0 - chance) / all).sqrt(),
        };
        let exponent = i32::try_from(passes).unwrap_or(i32::MAX);
        let missed = chance.powi(exponent);
        let most = (chance + off).min(1.0).powi(exponent);
        Some((missed, most - missed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(prompt: u64, late: u64) -> Loss {
        Loss { prompt, late }
    }

    #[test]
    fn a_late_answer_in_a_hundred_is_worth_a_pass() {
        assert!(!after(0, 0).is_seen());
        assert!(!after(500, 4).is_seen());
        assert!(after(500, 5).is_seen());
        assert!(after(0, 1).is_seen());
    }

    #[test]
    fn what_is_missed_falls_with_the_passes() {
        assert_eq!(after(0, 0).missed(2), None);
        let (missed, off) = after(950, 50).missed(2).unwrap();
        assert!((missed - 0.0025).abs() < 1e-9 && (0.001..0.003).contains(&off), "{missed} {off}");
        let (less, _) = after(950, 50).missed(3).unwrap();
        assert!((less - 0.000_125).abs() < 1e-9);
        let (none, off) = after(300, 0).missed(2).unwrap();
        assert!(none == 0.0 && (off - 0.0001).abs() < 1e-9, "{none} {off}");
    }
}
