//! How listening goes, whoever of several readers hears it: where nothing could be heard, what was
//! lost when, and what is asked of what is heard.

use model::{Gap, ScanRecord, Timestamp, Vantage};
use scanner::{capture, handover::Counts};

use super::{ask::Asked, ear::Span};

/// How many gaps are kept one by one; of more the last grows.
const MOST_GAPS: usize = 256;

/// A stretch of time in which something was lost, and how much.
#[derive(Clone, Copy, Debug)]
struct Loss {
    from: Timestamp,
    to: Timestamp,
    count: u64,
}

/// What may be lost on the way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Lost {
    /// Frames that found no room in the kernel's ring.
    Frames,
    /// Flows that were given up unread for want of memory.
    Flows,
    /// Observations that found no room on the way to the database.
    Observations,
    /// What would have been worth a question, and found no room to wait for it.
    Requests,
}

impl Lost {
    const fn name(self) -> &'static str {
        match self {
            Self::Frames => "frames found no room",
            Self::Flows => "flows were given up for want of memory",
            Self::Observations => "observations found no room on the way to the database",
            Self::Requests => "questions to endpoints found no room to wait",
        }
    }
}

/// What those who hear share with each other and with who waits.
#[derive(Default)]
pub(super) struct Heard {
    /// What is asked of what is heard, where something is.
    pub(super) asked: Option<Asked>,
    /// Whether nothing is taken any more.
    over: bool,
    /// Whether the database takes no more.
    pub(super) failed: bool,
    pub(super) gaps: Vec<Gap>,
    losses: Vec<(Lost, String, Loss)>,
    /// How many frames found no room, of all readers.
    frames_lost: u64,
    /// How many observations and requests found none before.
    before: [u64; 2],
    /// Frames that a file says its maker lost.
    pub(super) lost_before: u64,
}

impl Heard {
    pub(super) fn new(asked: Option<Asked>) -> Self {
        Self { asked, ..Self::default() }
    }

    /// Whether there is still somebody for what is heard.
    pub(super) const fn goes_on(&self) -> bool {
        !self.over && !self.failed
    }

    /// Frames of an interface that found no room until now.
    pub(super) const fn frames_lost(&self) -> u64 {
        self.frames_lost
    }

    /// Says that time has passed, and how many observations found no room until now.
    pub(super) fn tick(&mut self, interface: &str, now: Timestamp, dropped: u64) {
        let requests = self.asked.as_ref().map_or(0, |asked| asked.handover.counts().no_room);
        let [observations_before, requests_before] = self.before;
        self.before = [dropped.max(observations_before), requests.max(requests_before)];
        let more = dropped.saturating_sub(observations_before);
        self.lose(Lost::Observations, interface, now, more);
        let more = requests.saturating_sub(requests_before);
        self.lose(Lost::Requests, interface, now, more);
    }

    /// Notes that so much was lost in the second before.
    pub(super) fn lose(&mut self, kind: Lost, place: &str, now: Timestamp, count: u64) {
        /// What was lost within so many seconds is one stretch.
        const ONE: i64 = 60;
        if count == 0 {
            return;
        }
        if kind == Lost::Frames {
            self.frames_lost = self.frames_lost.saturating_add(count);
        }
        let many = self.losses.len() >= MOST_GAPS;
        let last = self.losses.iter_mut().rfind(|(of, at, _)| *of == kind && at == place);
        match last {
            Some((_, _, loss)) if many || now.seconds_since(loss.to).saturating_abs() <= ONE => {
                loss.to = now;
                loss.count = loss.count.saturating_add(count);
            }
            _ => {
                let loss = Loss { from: now.plus_seconds(-1), to: now, count };
                self.losses.push((kind, place.to_owned(), loss));
            }
        }
    }

    /// Notes what could not be heard, with the time in which it was so.
    pub(super) fn gap(&mut self, target: &str, reason: String) {
        if self.gaps.len() < MOST_GAPS {
            self.gaps.push(Gap { target: target.to_owned(), reason });
        } else if let Some(last) = self.gaps.last_mut() {
            *last = Gap { target: target.to_owned(), reason: format!("{reason}, and more before") };
        }
    }

    /// Takes nothing any more.
    pub(super) fn finish(&mut self) {
        self.over = true;
        if let Some(left) = self.asked.as_ref().and_then(Asked::left) {
            self.gaps.push(left);
        }
    }

    /// How it went until now: what was heard from when to when, and how much of it.
    pub(super) fn record(
        &self,
        vantage: &Vantage,
        io: &str,
        begun: Timestamp,
        span: Option<Span>,
        counts: &capture::Counts,
    ) -> ScanRecord {
        let (started_at, ended_at) = match (io, span) {
            // A capture's own clock says when it was.
            ("file", Some(span)) => span,
            _ => (begun, crate::clock::now()),
        };
        let mut gaps = self.gaps.clone();
        for (kind, place, loss) in &self.losses {
            let Loss { from, to, count } = loss;
            let reason = format!("{count} {} between {from} and {to}", kind.name());
            gaps.push(Gap { target: place.clone(), reason });
        }
        // Of a file nobody ticks.
        if io == "file" && counts.flows.given_up > 0 {
            let reason = format!("{} {}", counts.flows.given_up, Lost::Flows.name());
            gaps.push(Gap { target: "flows".to_owned(), reason });
        }
        let complete = gaps.is_empty();
        let asked = self.asked.as_ref();
        // An endpoint that does not answer is a gap of its own, and hides nothing that was heard.
        gaps.extend(asked.map(Asked::gaps).unwrap_or_default());
        ScanRecord {
            vantage: vantage.clone(),
            started_at,
            ended_at: Some(ended_at),
            io: io.to_owned(),
            probes_sent: asked.map_or(0, Asked::packets),
            replies: asked.map_or(0, |asked| asked.replies),
            drops: self.lost_before.saturating_add(self.frames_lost),
            complete,
            gaps,
            // Who only listens has not looked: silence in a capture says nothing.
            coverage: Vec::new(),
        }
    }

    /// What was heard, in a line, and how many bytes that takes.
    pub(super) fn line(&self, counts: &capture::Counts, memory: usize) -> String {
        let asked = self.asked.as_ref().map_or_else(String::new, |asked| {
            let Counts { asked: endpoints, waiting, no_room } = asked.handover.counts();
            format!(
                "; asked {endpoints} times, {} answered, {waiting} waiting, {no_room} without room",
                asked.replies
            )
        });
        format!(
            "heard {counts}; {} lost; {} MiB{asked}",
            self.frames_lost.saturating_add(self.lost_before),
            memory >> 20
        )
    }
}
