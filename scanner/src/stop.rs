//! A request to end, from outside: Ctrl-C, SIGTERM, or a caller that has enough.

use std::sync::{
    Arc,
    atomic::{AtomicI32, Ordering},
};

/// A flag that many hold and anyone may raise, once and for all.
///
/// Raising it is one atomic store, so a signal handler may do it. It remembers the first
/// signal, from which the exit code is made.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicI32>);

/// What is stored where no signal asked for the end. Signal numbers are positive.
const NO_SIGNAL: i32 = -1;

impl Stop {
    /// A flag that nobody has raised.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for the end because of this signal (2 for SIGINT, 15 for SIGTERM). The first
    /// one stays.
    pub fn by_signal(&self, signal: i32) {
        self.raise(if signal > 0 { signal } else { NO_SIGNAL });
    }

    /// Asks for the end without a signal.
    pub fn request(&self) {
        self.raise(NO_SIGNAL);
    }

    fn raise(&self, value: i32) {
        // Nothing else is published through the flag, so it needs no ordering with other
        // memory; that it is seen soon is all that counts.
        let _ = self.0.compare_exchange(0, value, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Whether the end was asked for.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    /// The signal that asked first, if it was a signal.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        Some(self.0.load(Ordering::Relaxed)).filter(|signal| *signal > 0)
    }

    /// What a command ends with that a signal ended: 128 and the signal, as shells have it.
    #[must_use]
    pub fn exit_code(&self) -> Option<u8> {
        let signal = u8::try_from(self.signal()?).ok()?;
        signal.checked_add(128)
    }

    /// Who asked, for a gap's reason.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self.signal() {
            Some(2) => "interrupted (SIGINT)",
            Some(15) => "interrupted (SIGTERM)",
            Some(1) => "interrupted (SIGHUP)",
            Some(_) => "interrupted by a signal",
            None => "stopped on request",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_signal_stays() {
        let stop = Stop::new();
        let other = stop.clone();
        assert!(!stop.is_requested());
        assert_eq!(stop.signal(), None);
        other.by_signal(15);
        other.by_signal(2);
        other.request();
        assert!(stop.is_requested());
        assert_eq!(stop.signal(), Some(15));
        assert_eq!(stop.reason(), "interrupted (SIGTERM)");
        assert_eq!(stop.exit_code(), Some(143));
    }

    #[test]
    fn a_request_is_no_signal() {
        let stop = Stop::new();
        stop.request();
        stop.by_signal(2);
        assert!(stop.is_requested());
        assert_eq!((stop.signal(), stop.exit_code()), (None, None));
    }
}
