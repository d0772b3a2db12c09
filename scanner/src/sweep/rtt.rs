//! How long to wait for an answer.

use std::time::Duration;

/// A running estimate of a round-trip time, after RFC 6298, section 2.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RoundTrip {
    /// Smoothed time and its variation, in microseconds.
    known: Option<(u32, u32)>,
}

/// The bounds of waiting, before a silent question is asked again and after the last time.
///
/// An answer counts whenever it comes, so asking again early costs a packet; only the wait
/// after the last question decides what is missed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Patience {
    /// Before anything was measured (RFC 6298, rule 2.1: a second).
    first: Duration,
    /// The least, for an address that has answered before.
    known: Duration,
    /// The least, for one that has not: it is judged by others, and may be farther away or
    /// asleep: telephones wake for ARP only every few beacons.
    unknown: Duration,
}

/// What is slower than this is asked again rather than waited for; its answer still counts.
const CAP: Duration = Duration::from_millis(1_500);

/// Who asks for more packets a second than this wants it quick, and has a network that is.
const QUICK: u32 = 10_000;

impl Patience {
    /// What suits a sweep of that many packets a second.
    pub(super) const fn at_rate(packets_per_second: u32) -> Self {
        let ms = Duration::from_millis;
        match packets_per_second > QUICK {
            true => Self { first: ms(500), known: ms(25), unknown: ms(60) },
            false => Self { first: ms(1_000), known: ms(100), unknown: ms(250) },
        }
    }

    /// How long to wait for an address, of which `own` is the estimate, while `all` is the
    /// one of all addresses together, until it is asked again.
    pub(super) fn again(&self, own: Option<&RoundTrip>, all: &RoundTrip) -> Duration {
        match (own.and_then(RoundTrip::raw), all.raw()) {
            (Some(own), _) => own.clamp(self.known, CAP),
            (None, Some(all)) => all.clamp(self.unknown, CAP),
            (None, None) => self.first,
        }
    }

    /// How long to wait after the last question of all: never less than a patient sweep.
    pub(super) fn last(&self, all: &RoundTrip) -> Duration {
        let patient = Self::at_rate(0);
        let quick = *self != patient;
        let wait = patient.again(None, all);
        // A quick one has measured many answers, and gives the slowest four times as long.
        match all.raw() {
            Some(raw) if quick => raw.saturating_mul(4).clamp(Duration::from_millis(100), wait),
            _ => wait.min(self.first),
        }
    }
}

impl RoundTrip {
    /// Takes a measured time of a question that was asked only once (Karn's rule).
    pub(super) fn measure(&mut self, took: Duration) {
        let took = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        self.known = Some(match self.known {
            None => (took, took / 2),
            Some((smooth, variation)) => {
                let error = smooth.abs_diff(took);
                let variation = variation - variation / 4 + error / 4;
                (smooth - smooth / 8 + took / 8, variation)
            }
        });
    }

    /// The time within which nearly every answer comes, if any was measured.
    pub(super) fn raw(&self) -> Option<Duration> {
        let (smooth, variation) = self.known?;
        Some(Duration::from_micros(u64::from(smooth) + 4 * u64::from(variation)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(times: &[u64]) -> RoundTrip {
        let mut estimate = RoundTrip::default();
        for time in times {
            estimate.measure(Duration::from_millis(*time));
        }
        estimate
    }

    fn ms(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    #[test]
    fn the_wait_follows_what_was_measured() {
        let none = RoundTrip::default();
        let patient = Patience::at_rate(1_000);
        assert_eq!(patient.again(None, &none), ms(1_000));
        assert_eq!(patient.again(None, &after(&[1])), ms(250));
        assert_eq!(patient.again(Some(&after(&[1])), &none), ms(100));
        assert_eq!(patient.again(Some(&after(&[200])), &none), ms(600));
        assert_eq!(patient.again(Some(&after(&[9_000])), &none), CAP);
        let steady = patient.again(Some(&after(&[200; 40])), &none);
        assert!(steady < ms(230), "{steady:?}");
    }

    #[test]
    fn the_last_wait_is_longer_than_that_before_asking_again() {
        let quick = Patience::at_rate(100_000);
        assert_eq!(quick.again(None, &after(&[1])), ms(60));
        assert_eq!(quick.last(&after(&[1])), ms(100));
        assert_eq!(quick.last(&after(&[40])), ms(250));
        assert_eq!(quick.last(&RoundTrip::default()), ms(500));
        assert_eq!(Patience::at_rate(40).last(&after(&[1])), ms(250));
        assert_eq!(Patience::at_rate(40).last(&after(&[300])), ms(900));
    }
}
