//! The progress bar of a sweep: share done, rate, found, time left. Only on a terminal.

use std::{
    io::{self, IsTerminal as _},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use scanner::sweep::{Phase, Progress};

/// A bar, or nothing where nobody watches.
pub(crate) struct Bar {
    bar: Option<ProgressBar>,
}

const STEPS: u64 = 1_000;

impl Bar {
    pub(crate) fn new() -> Self {
        if !io::stderr().is_terminal() {
            return Self { bar: None };
        }
        let bar = ProgressBar::with_draw_target(Some(STEPS), ProgressDrawTarget::stderr());
        // A style that does not parse is a mistake of ours that only looks bad.
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent:>3}% {msg}") {
            bar.set_style(style);
        }
        Self { bar: Some(bar) }
    }

    pub(crate) fn sweep(&self, progress: Progress) {
        let phase = match progress.phase {
            Phase::Liveness => "who is there",
            Phase::Recognition => "who answers for whom",
            Phase::Ports => "which ports are open",
        };
        let left =
            progress.left.map_or_else(String::new, |left| format!(", {} left", spoken(left)));
        let found = progress.pace.map_or_else(String::new, |pace| format!(" of {pace}"));
        let Progress { packets_per_second, alive, open, .. } = progress;
        self.show(
            progress.done,
            format!(
                "{phase}: {alive} alive, {open} open, {packets_per_second}{found} packets/s{left}"
            ),
        );
    }

    pub(crate) fn talk(&self, what: &str, done: usize, of: usize) {
        // Endpoints are few; as floating point they are exact.
        #[expect(clippy::cast_precision_loss, reason = "a share for the eye")]
        let share = if of == 0 { 1.0 } else { done as f32 / of as f32 };
        self.show(share, format!("{what}: {done} of {of} endpoints"));
    }

    fn show(&self, share: f32, message: String) {
        if let Some(bar) = &self.bar {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "clamped between 0 and 1,000"
            )]
            let position = (share.clamp(0.0, 1.0) * STEPS as f32) as u64;
            bar.set_position(position);
            bar.set_message(message);
        }
    }

    /// Takes the bar away, before results are printed.
    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// `45 s`, `3 min 20 s`, `2 h 5 min`.
pub(crate) fn spoken(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_spoken_in_two_units() {
        assert_eq!(spoken(Duration::from_millis(900)), "0 s");
        assert_eq!(spoken(Duration::from_secs(59)), "59 s");
        assert_eq!(spoken(Duration::from_secs(200)), "3 min 20 s");
        assert_eq!(spoken(Duration::from_secs(7_500)), "2 h 5 min");
    }
}
