//! How far it is.

use std::time::Duration;

use super::{Progress, adapting::Adapting, course::Work, engine::Engine};

const PERIOD: Duration = Duration::from_millis(100);

impl Engine<'_> {
    /// Tells, if the last time is long enough ago.
    pub(super) fn tell_progress(&mut self, now: Duration) {
        if now < self.next_progress {
            return;
        }
        self.next_progress = now.saturating_add(PERIOD);
        let (then, sent) = self.mark;
        let passed = now.saturating_sub(then);
        if passed >= Duration::from_secs(1) {
            let packets = self.outcome.probes_sent.saturating_sub(sent);
            let millis = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX).max(1);
            let rate = packets.saturating_mul(1_000) / millis;
            self.shown_rate = u32::try_from(rate).unwrap_or(u32::MAX);
            self.mark = (now, self.outcome.probes_sent);
        }
        let sent = self.outcome.probes_sent;
        // Of each address that is still to come, two questions at least.
        let later = self.all.count().saturating_sub(self.behind).saturating_mul(2);
        let left = self.questions_left().saturating_add(later);
        let share = sent as f32 / sent.saturating_add(left).max(1) as f32;
        self.shown_done = self.shown_done.max(share);
        let seconds = left.checked_div(u64::from(self.shown_rate));
        (self.progress)(Progress {
            phase: self.phase,
            done: self.shown_done,
            packets_per_second: self.shown_rate,
            pace: self.adapting.as_ref().map(Adapting::rate),
            alive: self.outcome.answering.alive.len().saturating_add(self.state.hosts.len()),
            open: self.outcome.answering.open.len().saturating_add(self.open.len()),
            left: seconds.map(Duration::from_secs),
        });
    }

    /// How many questions are probably left.
    fn questions_left(&self) -> u64 {
        let ports = u64::try_from(self.sweep.plan.ports.len()).unwrap_or(u64::MAX);
        let alive = u64::try_from(self.state.hosts.len()).unwrap_or(u64::MAX);
        let waiting = u64::try_from(self.waiting_count).unwrap_or(u64::MAX);
        let places = self.course.total().saturating_sub(self.course.cursor).saturating_add(waiting);
        match self.course.work {
            Work::Liveness => {
                let count = self.course.size().max(1);
                let silent = count.saturating_sub(alive);
                let asked = self.course.cursor.min(count).max(1);
                // As many alive among the rest as among those asked so far.
                let expected = u128::from(alive) * u128::from(count) / u128::from(asked);
                let expected = u64::try_from(expected).unwrap_or(u64::MAX).min(count);
                (u128::from(places) * u128::from(silent) / u128::from(count))
                    .try_into()
                    .unwrap_or(u64::MAX)
                    .saturating_add(expected.saturating_mul(ports))
            }
            Work::Echo { .. } | Work::Confirm { .. } | Work::Telltale { .. } => {
                places.min(self.course.size()).saturating_add(alive.saturating_mul(ports))
            }
            Work::Ports => {
                let later = self.hosts_left.saturating_mul(ports);
                let again = u64::try_from(self.group.unsettled()).unwrap_or(u64::MAX);
                // A third pass is for where loss was seen.
                let third = if self.loss.is_seen() { 0 } else { self.course.size() };
                places.saturating_sub(third).min(again).saturating_add(later)
            }
        }
    }
}
