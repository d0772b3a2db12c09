//! Listening to an interface.

use std::{sync::Mutex, time::Duration};

use anyhow::{Context as _, Result};
use model::Timestamp;
use scanner::{
    net::linux::{
        Shape,
        monitor::{self, Monitor},
    },
    stop::Stop,
};

use super::{Heard, lock};
use crate::{clock, tell};

/// The ring: 64 MiB, a tenth of a second of the largest frames at 5 Gbit/s. Nobody waits for what is
/// heard, so a block may get old: 64 blocks of a millisecond each were lost on a machine whose
/// cores were busy for longer than a fifteenth of a second.
pub(super) const SHAPE: Shape = Shape { block_size: 1 << 20, blocks: 64, age: 50 };

/// How long nothing may come before a signal is looked for.
const PATIENCE: Duration = Duration::from_millis(100);

/// Listens until it is asked to stop, or nobody takes what is heard.
pub(super) fn listen(mut monitor: Monitor, heard: &Mutex<Heard>, stop: &Stop) -> Result<()> {
    let name = monitor.interface().to_owned();
    let mut down: Option<Timestamp> = None;
    let mut ticked = clock::now();
    while !stop.is_requested() {
        // Locked from the first frame to the last of what has come, not while nothing comes.
        let mut locked = None;
        let came = monitor
            .listen(PATIENCE, &mut |link, tag, at, bytes| {
                locked.get_or_insert_with(|| lock(heard)).take(link, tag, at, bytes);
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
                tell::line(&format!("{name} is down: waiting for it"));
                down = Some(now);
            }
            monitor::Heard::Up => {
                tell::line(&format!("{name} is up again"));
                if let Some(since) = down.take() {
                    lock(heard).gap(&name, format!("it was down from {since} to {now}"));
                }
            }
        }
        if now.seconds_since(ticked) != 0 {
            ticked = now;
            let lost = monitor.lost();
            let mut heard = lock(heard);
            heard.tick(&name, now, lost);
            if !heard.goes_on() {
                return Ok(());
            }
        }
    }
    let (now, lost) = (clock::now(), monitor.lost());
    let mut heard = lock(heard);
    heard.tick(&name, now, lost);
    if let Some(since) = down {
        heard.gap(&name, format!("it was down from {since} on"));
    }
    Ok(())
}
