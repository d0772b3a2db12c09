//! The clocks: one that never goes back, for waiting, and the date, for observations.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use model::Timestamp;

/// A clock that counts from its making.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that shows zero now.
    #[must_use]
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// A clock that shows this now: to count on in the time of another one.
    #[must_use]
    pub fn showing(now: Duration) -> Self {
        let start = Instant::now();
        // A moment before the machine began to count cannot be named; then it counts from here.
        Self { start: start.checked_sub(now).unwrap_or(start) }
    }

    /// The time since its making. Never goes back.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// The date and time, as the system believes it. A system whose date lies before
    /// 1970 is taken to be at 1970.
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

/// What `CLOCK_MONOTONIC` shows, in microseconds: the time in which other programs of this machine
/// are told when something happened.
#[must_use]
pub fn monotonic_micros() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec of our own, which is all that the call writes to.
    #[expect(unsafe_code, reason = "the standard library keeps this clock's reading to itself")]
    let result = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    if result != 0 {
        return 0;
    }
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
    seconds.unwrap_or(0).saturating_mul(1_000_000).saturating_add(nanos.unwrap_or(0) / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_run() {
        let clock = Clock::start();
        let (first, second) = (clock.now(), clock.now());
        assert!(first <= second);
        let later = Clock::showing(Duration::from_secs(3));
        assert!(later.now() >= Duration::from_secs(3));
        let since_start = monotonic_micros();
        assert!(since_start > 0 && since_start <= monotonic_micros());
        // This was written in 2026, so it cannot be earlier.
        assert!(clock.timestamp() > Timestamp::from_seconds(1_790_000_000));
    }
}
