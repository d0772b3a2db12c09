//! How long to wait for an answer.

use std::time::Duration;

/// A running estimate of a round-trip time, after RFC 6298, section 2.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RoundTrip {
    /// Smoothed time and its variation, in microseconds.
    known: Option<(u32, u32)>,
}

/// Before anything was measured (RFC 6298, rule 2.1).
const FIRST: Duration = Duration::from_secs(1);

/// An address that has answered before answers again soon.
const FLOOR_KNOWN: Duration = Duration::from_millis(100);

/// An address that has not is judged by others, and may be farther away or asleep:
/// telephones wake for ARP only every few beacons.
const FLOOR_UNKNOWN: Duration = Duration::from_millis(250);

/// What is slower than this is asked again rather than waited for; its answer still counts.
const CAP: Duration = Duration::from_millis(1_500);

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

    /// How long to wait for this address, of which this is the estimate, while `all` is
    /// the one of all addresses together.
    pub(super) fn timeout(own: Option<&Self>, all: &Self) -> Duration {
        match (own.and_then(Self::raw), all.raw()) {
            (Some(own), _) => own.clamp(FLOOR_KNOWN, CAP),
            (None, Some(all)) => all.clamp(FLOOR_UNKNOWN, CAP),
            (None, None) => FIRST,
        }
    }

    fn raw(&self) -> Option<Duration> {
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

    #[test]
    fn the_wait_follows_what_was_measured() {
        let none = RoundTrip::default();
        assert_eq!(RoundTrip::timeout(None, &none), FIRST);
        assert_eq!(RoundTrip::timeout(None, &after(&[1])), FLOOR_UNKNOWN);
        assert_eq!(RoundTrip::timeout(Some(&after(&[1])), &none), FLOOR_KNOWN);
        assert_eq!(RoundTrip::timeout(Some(&after(&[200])), &none), Duration::from_millis(600));
        assert_eq!(RoundTrip::timeout(Some(&after(&[9_000])), &none), CAP);
        let steady = RoundTrip::timeout(Some(&after(&[200; 40])), &none);
        assert!(steady < Duration::from_millis(230), "{steady:?}");
    }
}
