//! Listening to an interface.

use std::{sync::Mutex, thread, time::Duration};

use anyhow::{Context as _, Result, anyhow};
use model::Timestamp;
use scanner::{
    net::linux::{
        Shape,
        monitor::{self, Monitor},
    },
    stop::Stop,
};

use super::{
    Heard,
    ear::{Ear, Ears},
    lock,
};
use crate::{clock, tell};

/// The ring: 64 MiB, a tenth of a second of the largest frames at 5 Gbit/s. Nobody waits for what is
/// heard, so a block may get old: 64 blocks of a millisecond each were lost on a machine whose
/// cores were busy for longer than a fifteenth of a second.
const SHAPE: Shape = Shape { block_size: 1 << 20, blocks: 64, age: 50 };

/// The least that a ring has, in blocks: most of a second, with little traffic.
const LEAST_BLOCKS: usize = 16;

/// The rings of so many readers, which share the memory of one.
pub(super) fn shape(readers: usize) -> Shape {
    let blocks = SHAPE.blocks.checked_div(readers).unwrap_or(SHAPE.blocks);
    Shape { blocks: blocks.max(LEAST_BLOCKS), ..SHAPE }
}

/// How long nothing may come before a signal is looked for.
const PATIENCE: Duration = Duration::from_millis(100);

/// Listens with all readers, each on a thread of its own, the first on this one.
///
/// # Errors
///
/// One of them cannot go on; the others end then.
pub(super) fn listen(monitors: Vec<Monitor>, ears: &Ears, stop: &Stop) -> Result<()> {
    let mut readers = monitors.into_iter().zip(ears.each());
    let Some((first, ear)) = readers.next() else { return Ok(()) };
    thread::scope(|scope| {
        let mut others = Vec::new();
        for (number, (monitor, ear)) in readers.enumerate() {
            let reader = Reader { monitor, ear, heard: &ears.heard, leads: false };
            let thread = thread::Builder::new().name(format!("capture {}", number + 2));
            let started = thread.spawn_scoped(scope, move || reader.run(stop));
            others.push(started.context("cannot start a thread that listens").inspect_err(
                |_| {
                    stop.request();
                },
            )?);
        }
        let first = Reader { monitor: first, ear, heard: &ears.heard, leads: true }.run(stop);
        let ends = others.into_iter().map(|other| {
            other.join().unwrap_or_else(|_| Err(anyhow!("a thread that listened panicked")))
        });
        // All are waited for.
        [first].into_iter().chain(ends).collect::<Vec<_>>().into_iter().collect()
    })
}

/// One reader at work.
struct Reader<'a> {
    monitor: Monitor,
    ear: &'a Mutex<Ear>,
    heard: &'a Mutex<Heard>,
    /// Whether it is the one who tells what all of them see.
    leads: bool,
}

impl Reader<'_> {
    fn run(mut self, stop: &Stop) -> Result<()> {
        // Who cannot go on keeps the others from going on with a part.
        self.listen(stop).inspect_err(|_| stop.request())
    }

    /// Listens until it is asked to stop, or nobody takes what is heard.
    fn listen(&mut self, stop: &Stop) -> Result<()> {
        let (ear, heard, leads) = (self.ear, self.heard, self.leads);
        let monitor = &mut self.monitor;
        let name = monitor.interface().to_owned();
        let mut down: Option<Timestamp> = None;
        let mut ticked = clock::now();
        let mut hinted = !leads;
        while !stop.is_requested() {
            // Locked from the first frame to the last of what has come, not while nothing comes.
            let mut locked = None;
            let came = monitor
                .listen(PATIENCE, &mut |link, tag, at, bytes| {
                    locked.get_or_insert_with(|| lock(ear)).take(heard, link, tag, at, bytes);
                })
                .with_context(|| format!("cannot listen to {name}"))?;
            drop(locked);
            let now = clock::now();
            match came {
                monitor::Heard::Frames(0) | monitor::Heard::Nothing => {}
                monitor::Heard::Frames(damaged) => {
                    lock(heard).gap(&name, format!("{damaged} frames could not be read, at {now}"));
                }
                monitor::Heard::Down => {
                    down = Some(now);
                    if leads {
                        tell::line(&format!("{name} is down: waiting for it"));
                    }
                }
                monitor::Heard::Up => {
                    let since = down.take().filter(|_| leads);
                    if leads {
                        tell::line(&format!("{name} is up again"));
                    }
                    if let Some(since) = since {
                        lock(heard).gap(&name, format!("it was down from {since} to {now}"));
                    }
                }
            }
            if now.seconds_since(ticked) != 0 {
                ticked = now;
                let lost = monitor.lost();
                lock(ear).tick(heard, &name, now, lost);
                let heard = lock(heard);
                if !heard.goes_on() {
                    return Ok(());
                }
                if heard.frames_lost() > 0 && !hinted {
                    hinted = true;
                    tell::line(&format!(
                        "frames found no room at {name}: more readers (--readers, watch.readers) \
                         help where cores are free"
                    ));
                }
            }
        }
        let (now, lost) = (clock::now(), monitor.lost());
        lock(ear).tick(heard, &name, now, lost);
        if let Some(since) = down.filter(|_| leads) {
            lock(heard).gap(&name, format!("it was down from {since} on"));
        }
        Ok(())
    }
}
