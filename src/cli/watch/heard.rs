//! What is heard, with how it went: where nothing could be heard, and what was lost when.

use inventory::store::Sink;
use model::{AddressRange, Gap, Observation, ScanRecord, Timestamp, Vantage};
use scanner::{
    capture::{Capture, LinkType},
    handover::Counts,
};

use super::ask::Asked;

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

/// What is heard, shared between who hears and who waits.
pub(super) struct Heard {
    capture: Capture,
    /// What is asked of what is heard, where something is.
    pub(super) asked: Option<Asked>,
    /// Gone when it is over: what is heard then is nobody's.
    sink: Option<Sink>,
    /// Whether the database takes no more.
    pub(super) failed: bool,
    /// The time of the first and of the last frame.
    span: Option<(Timestamp, Timestamp)>,
    pub(super) gaps: Vec<Gap>,
    losses: Vec<(Lost, String, Loss)>,
    /// Of the four kinds, how much was counted before.
    before: [u64; 4],
    /// Frames that a file says its maker lost.
    pub(super) lost_before: u64,
}

impl Heard {
    pub(super) fn new(capture: Capture, asked: Option<Asked>, sink: Sink) -> Self {
        Self {
            capture,
            asked,
            sink: Some(sink),
            failed: false,
            span: None,
            gaps: Vec::new(),
            losses: Vec::new(),
            before: [0; 4],
            lost_before: 0,
        }
    }

    /// Tells from now on of these public networks beside the private ones.
    pub(super) fn only_of(&mut self, networks: Vec<AddressRange>) {
        self.capture.listen_only_to(networks);
    }

    /// Whether there is still somebody for what is heard.
    pub(super) const fn goes_on(&self) -> bool {
        self.sink.is_some() && !self.failed
    }

    /// Takes a frame of a file: the file can wait.
    pub(super) fn replay(&mut self, link: LinkType, at: Timestamp, bytes: &[u8]) {
        let Self { capture, sink: Some(sink), failed, .. } = self else { return };
        let mut hand_on =
            |observation: Observation| *failed |= sink.send_blocking(observation).is_err();
        capture.frame_of(link, at, bytes, &mut hand_on);
        self.saw(at);
    }

    /// Takes a frame of an interface: the network cannot wait.
    pub(super) fn take(&mut self, link: LinkType, tag: Option<u16>, at: Timestamp, bytes: &[u8]) {
        let Self { capture, asked, sink: Some(sink), failed, .. } = self else { return };
        let mut hand_on = |observation: Observation| {
            if let Some(asked) = asked {
                asked.handover.hear(&observation);
            }
            *failed |= sink.offer(observation).is_err();
        };
        capture.tagged_frame_of(link, tag, at, bytes, &mut hand_on);
        self.saw(at);
    }

    fn saw(&mut self, at: Timestamp) {
        self.span = Some(self.span.map_or((at, at), |(a, b)| (a.min(at), b.max(at))));
    }

    /// Says that time has passed, and how many frames were lost until now.
    pub(super) fn tick(&mut self, interface: &str, now: Timestamp, lost: u64) {
        if let Self { capture, asked, sink: Some(sink), failed, .. } = self {
            capture.tick(now, &mut |observation| {
                if let Some(asked) = asked {
                    asked.handover.hear(&observation);
                }
                *failed |= sink.offer(observation).is_err();
            });
        }
        let requests = self.asked.as_ref().map_or(0, |asked| asked.handover.counts().no_room);
        let flows = self.capture.counts().flows.given_up;
        let dropped = self.sink.as_ref().map_or(0, Sink::dropped);
        for (kind, now_lost, place) in [
            (Lost::Frames, lost, 0),
            (Lost::Flows, flows, 1),
            (Lost::Observations, dropped, 2),
            (Lost::Requests, requests, 3),
        ] {
            let Some(before) = self.before.get_mut(place) else { continue };
            let more = now_lost.saturating_sub(*before);
            *before = now_lost.max(*before);
            if more > 0 {
                self.lose(kind, interface, now, more);
            }
        }
    }

    /// Notes that so much was lost in the second before.
    fn lose(&mut self, kind: Lost, place: &str, now: Timestamp, count: u64) {
        /// What was lost within so many seconds is one stretch.
        const ONE: i64 = 60;
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

    /// Tells what is known of what has not ended, and takes nothing any more.
    pub(super) fn finish(&mut self) {
        let end = self.span.map_or(Timestamp(0), |(_, end)| end);
        if let Self { capture, sink: Some(sink), failed, .. } = self {
            capture.finish(end, &mut |observation| {
                *failed |= sink.send_blocking(observation).is_err();
            });
        }
        self.sink = None;
        if let Some(left) = self.asked.as_ref().and_then(Asked::left) {
            self.gaps.push(left);
        }
    }

    /// How it went until now.
    pub(super) fn record(&self, vantage: &Vantage, io: &str, begun: Timestamp) -> ScanRecord {
        let (started_at, ended_at) = match (io, self.span) {
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
        let counts = self.capture.counts();
        // Of a file nobody ticks.
        if io == "file" && counts.flows.given_up > 0 {
            let reason = format!("{} {}", counts.flows.given_up, Lost::Flows.name());
            gaps.push(Gap { target: "flows".to_owned(), reason });
        }
        let complete = gaps.is_empty();
        let asked = self.asked.as_ref();
        // An endpoint that does not answer is a gap of its own, and hides nothing that was heard.
        gaps.extend(asked.map(Asked::gaps).unwrap_or_default());
        let [frames, ..] = self.before;
        ScanRecord {
            vantage: vantage.clone(),
            started_at,
            ended_at: Some(ended_at),
            io: io.to_owned(),
            probes_sent: asked.map_or(0, Asked::packets),
            replies: asked.map_or(0, |asked| asked.replies),
            drops: self.lost_before.saturating_add(frames),
            complete,
            gaps,
            // Who only listens has not looked: silence in a capture says nothing.
            coverage: Vec::new(),
        }
    }

    /// What was heard, in a line.
    pub(super) fn line(&self) -> String {
        let counts = self.capture.counts();
        let [frames, ..] = self.before;
        let asked = self.asked.as_ref().map_or_else(String::new, |asked| {
            let Counts { asked: endpoints, waiting, no_room } = asked.handover.counts();
            format!(
                "; asked {endpoints} times, {} answered, {waiting} waiting, {no_room} without room",
                asked.replies
            )
        });
        format!(
            "heard {counts}; {} lost; {} MiB{asked}",
            frames.saturating_add(self.lost_before),
            self.capture.memory() >> 20
        )
    }
}
