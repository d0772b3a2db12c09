//! One who hears: a reader of an interface, or of files, with flows of its own.
//!
//! Each has a lock of its own, which it holds while it works through what has come, so that several
//! wait for each other only where one has something to tell. Whoever wants to know how it goes asks
//! one after the other, and never while holding the lock of what they share ([`Heard`]): a reader
//! takes that one second.

use std::sync::{Arc, Mutex};

use inventory::store::Sink;
use model::{AddressRange, Observation, ScanRecord, Timestamp, Vantage};
use scanner::capture::{Capture, Counts, LinkType};

use super::{Heard, heard::Lost, lock};

/// See the module.
pub(super) struct Ear {
    capture: Capture,
    /// Gone when it is over: what is heard then is nobody's.
    sink: Option<Sink>,
    /// Whether what is heard may be worth a question.
    asks: bool,
    /// The time of the first and of the last frame.
    span: Option<Span>,
    /// How many frames and flows were lost before.
    before: [u64; 2],
}

/// From when to when.
pub(super) type Span = (Timestamp, Timestamp);

fn together(one: Option<Span>, other: Option<Span>) -> Option<Span> {
    match (one, other) {
        (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
        (one, other) => one.or(other),
    }
}

impl Ear {
    fn new(capture: Capture, sink: Sink, asks: bool) -> Self {
        Self { capture, sink: Some(sink), asks, span: None, before: [0; 2] }
    }

    /// Takes a frame of a file: the file can wait.
    pub(super) fn replay(
        &mut self,
        heard: &Mutex<Heard>,
        link: LinkType,
        at: Timestamp,
        bytes: &[u8],
    ) {
        let Self { capture, sink: Some(sink), .. } = self else { return };
        let mut failed = false;
        let mut hand_on =
            |observation: Observation| failed |= sink.send_blocking(observation).is_err();
        capture.frame_of(link, at, bytes, &mut hand_on);
        self.span = together(self.span, Some((at, at)));
        if failed {
            lock(heard).failed = true;
        }
    }

    /// Takes a frame of an interface: the network cannot wait.
    pub(super) fn take(
        &mut self,
        heard: &Mutex<Heard>,
        link: LinkType,
        tag: Option<u16>,
        at: Timestamp,
        bytes: &[u8],
    ) {
        self.hear(heard, |capture, hand_on| {
            capture.tagged_frame_of(link, tag, at, bytes, hand_on);
        });
        self.span = together(self.span, Some((at, at)));
    }

    /// Says that time has passed, and how many frames were lost until now.
    pub(super) fn tick(
        &mut self,
        heard: &Mutex<Heard>,
        interface: &str,
        now: Timestamp,
        lost: u64,
    ) {
        self.hear(heard, |capture, hand_on| capture.tick(now, hand_on));
        let given_up = self.capture.counts().flows.given_up;
        let mut heard = lock(heard);
        let kinds = [(Lost::Frames, lost), (Lost::Flows, given_up)];
        for ((kind, lost), before) in kinds.into_iter().zip(&mut self.before) {
            heard.lose(kind, interface, now, lost.saturating_sub(*before));
            *before = lost.max(*before);
        }
        heard.tick(interface, now, self.sink.as_ref().map_or(0, Sink::dropped));
    }

    fn hear(
        &mut self,
        heard: &Mutex<Heard>,
        what: impl FnOnce(&mut Capture, &mut dyn FnMut(Observation)),
    ) {
        let Self { capture, sink: Some(sink), asks, .. } = self else { return };
        let mut failed = false;
        what(capture, &mut |observation| {
            if *asks && let Some(asked) = &mut lock(heard).asked {
                asked.handover.hear(&observation);
            }
            failed |= sink.offer(observation).is_err();
        });
        if failed {
            lock(heard).failed = true;
        }
    }
}

/// All who hear, and what they share.
pub(super) struct Ears {
    all: Vec<Mutex<Ear>>,
    pub(super) heard: Arc<Mutex<Heard>>,
}

impl Ears {
    /// So many, in the memory that each of the captures was given.
    pub(super) fn new(first: Capture, readers: usize, heard: Heard, sink: &Sink) -> Self {
        let asks = heard.asked.is_some();
        let mut captures: Vec<Capture> = (1..readers).map(|_| first.beside()).collect();
        captures.insert(0, first);
        let ear = |capture| Mutex::new(Ear::new(capture, sink.clone(), asks));
        Self { all: captures.into_iter().map(ear).collect(), heard: Arc::new(Mutex::new(heard)) }
    }

    /// Each of them.
    pub(super) fn each(&self) -> impl Iterator<Item = &Mutex<Ear>> {
        self.all.iter()
    }

    /// Tells from now on of these public networks beside the private ones.
    pub(super) fn only_of(&self, networks: Vec<AddressRange>) {
        // What one knows of this the others know as well.
        if let Some(ear) = self.all.first() {
            lock(ear).capture.listen_only_to(networks);
        }
    }

    /// Tells what is known of what has not ended, and takes nothing any more.
    pub(super) fn finish(&self) {
        let end = self.span().map_or(Timestamp(0), |(_, end)| end);
        for ear in &self.all {
            let mut ear = lock(ear);
            let Some(sink) = ear.sink.take() else { continue };
            let mut failed = false;
            ear.capture.finish(end, &mut |observation| {
                failed |= sink.send_blocking(observation).is_err();
            });
            if failed {
                lock(&self.heard).failed = true;
            }
        }
        lock(&self.heard).finish();
    }

    /// How it went until now.
    pub(super) fn record(&self, vantage: &Vantage, io: &str, begun: Timestamp) -> ScanRecord {
        let (span, counts) = (self.span(), self.counts());
        lock(&self.heard).record(vantage, io, begun, span, &counts)
    }

    /// What was heard, in a line.
    pub(super) fn line(&self) -> String {
        let counts = self.counts();
        let own: usize = self.all.iter().map(|ear| lock(ear).capture.own_memory()).sum();
        let shared = self.all.first().map_or(0, |ear| {
            let ear = lock(ear);
            ear.capture.memory().saturating_sub(ear.capture.own_memory())
        });
        let line = lock(&self.heard).line(&counts, own.saturating_add(shared));
        if self.all.len() < 2 {
            return line;
        }
        let frames = |ear: &Mutex<Ear>| lock(ear).capture.counts().frames.to_string();
        let frames: Vec<String> = self.all.iter().map(frames).collect();
        format!("{line}; {} frames by {} readers", frames.join(" + "), frames.len())
    }

    fn span(&self) -> Option<Span> {
        self.all.iter().fold(None, |span, ear| together(span, lock(ear).span))
    }

    fn counts(&self) -> Counts {
        self.all.iter().map(|ear| lock(ear).capture.counts()).sum()
    }
}
