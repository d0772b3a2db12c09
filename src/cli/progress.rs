//! How far a sweep is: share done, rate, found, time left. On a terminal as a bar, and in the store
//! for whoever looks at the page.

use std::{
    io::{self, IsTerminal as _},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use inventory::store::{ScanProgress, Store};
use model::ScanId;
use scanner::sweep::{Phase, Progress};
use tokio::{sync::watch, task::JoinHandle, time::sleep};

use crate::clock;

/// A bar where somebody watches, and what is told of the scan to others.
pub(crate) struct Bar {
    bar: Option<ProgressBar>,
    told: watch::Sender<ScanProgress>,
    telling: JoinHandle<()>,
}

/// How often the store is told.
const TOLD: Duration = Duration::from_secs(1);

/// Writes the latest, as often as that.
async fn tell(store: Store, scan: ScanId, mut latest: watch::Receiver<ScanProgress>) {
    while latest.changed().await.is_ok() {
        let progress = latest.borrow_and_update().clone();
        // A disk that is full is noticed by what matters more.
        let _ = store.note_progress(scan, &progress).await;
        sleep(TOLD).await;
    }
}

const STEPS: u64 = 1_000;

impl Bar {
    /// For a scan that begins.
    pub(crate) fn new(store: &Store, scan: ScanId) -> Self {
        let first = ScanProgress {
            at: clock::now(),
            phase: String::new(),
            permille: 0,
            alive: 0,
            open: 0,
            packets_per_second: 0,
            seconds_left: None,
        };
        let (told, latest) = watch::channel(first);
        let telling = tokio::spawn(tell(store.clone(), scan, latest));
        if !io::stderr().is_terminal() {
            return Self { bar: None, told, telling };
        }
        let bar = ProgressBar::with_draw_target(Some(STEPS), ProgressDrawTarget::stderr());
        // A style that does not parse is a mistake of ours that only looks bad.
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent:>3}% {msg}") {
            bar.set_style(style);
        }
        Self { bar: Some(bar), told, telling }
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
        self.told.send_modify(|told| {
            *told = ScanProgress {
                at: clock::now(),
                phase: name(progress.phase).to_owned(),
                permille: position(progress.done),
                alive: alive as u64,
                open: open as u64,
                packets_per_second,
                seconds_left: progress.left.map(|left| left.as_secs()),
            };
        });
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
        self.told.send_modify(|told| {
            told.at = clock::now();
            told.phase = "services".to_owned();
            (told.permille, told.packets_per_second, told.seconds_left) =
                (position(share), 0, None);
        });
        self.show(share, format!("{what}: {done} of {of} endpoints"));
    }

    fn show(&self, share: f32, message: String) {
        if let Some(bar) = &self.bar {
            bar.set_position(position(share).into());
            bar.set_message(message);
        }
    }

    /// Takes the bar away, before results are printed. Nobody is told any more: that the scan
    /// ended is in its record.
    pub(crate) fn clear(&self) {
        self.telling.abort();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The share in steps of the bar.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "clamped between 0 and 1,000"
)]
fn position(share: f32) -> u32 {
    (share.clamp(0.0, 1.0) * STEPS as f32) as u32
}

/// What a phase is called in the store.
const fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::Liveness => "liveness",
        Phase::Recognition => "recognition",
        Phase::Ports => "ports",
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
