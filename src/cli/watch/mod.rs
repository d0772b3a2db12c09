//! `daicho watch`: listens instead of asking, to an interface or to captures that somebody made.
//!
//! Threads of their own hear, and this one waits for its end, for a signal, or for the time to be
//! over. What was heard is committed while it runs, and so is how it went. Where it is wanted,
//! what is heard is asked meanwhile, on this thread's runtime.

mod ask;
mod ear;
mod heard;
mod live;
mod reload;
mod replay;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use inventory::{
    asset::AssetId,
    store::{OpenMode, Store, Writer},
};
use model::{ScanId, ScanRecord};
use scanner::{capture::Capture, net::linux::monitor::Monitor, stop::Stop};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
    time::{Instant, MissedTickBehavior, sleep_until},
};

use crate::{
    cli::{
        Ended,
        args::{self, Format},
        conclude::{Notes, conclude, unconcluded},
        listen_for_signals,
    },
    clock,
    compose::Settings,
    tell,
    wait::maybe,
};
use ask::Asking;
use ear::Ears;
use heard::Heard;

/// How often a line says what was heard, and the scan's record is written.
const EVERY: Duration = Duration::from_secs(60);

/// How long conclusions about many assets may take once a signal asked for the end.
const SOON: Duration = Duration::from_millis(300);

/// Assets about which conclusions are drawn well within a second.
const CONCLUDED_SOON: u64 = 3_000;

/// How long who listens may take to stop.
const LAST_WORDS: Duration = Duration::from_millis(300);

pub(crate) async fn run(
    settings: Settings,
    cli: Option<&args::Cli>,
    arguments: &args::Watch,
    format: Format,
    stop: &Stop,
) -> Result<Ended> {
    // Before anything that takes its time: what nobody listens for ends a program.
    listen_for_signals(stop)?;
    let mut again = signal(SignalKind::hangup()).context("cannot listen for signals")?;
    let mut how = signal(SignalKind::user_defined1()).context("cannot listen for signals")?;
    let duration = arguments.duration.as_deref().map(config::duration).transpose();
    let duration = duration.context("--duration")?;
    let mut settings = Arc::new(settings);
    let (asking, asked) = Asking::prepare(&settings, arguments).await?.unzip();
    let source = match &arguments.interface {
        Some(name) => {
            let shape = live::shape(settings.readers);
            Source::Live(Monitor::open_beside(name, shape, settings.readers)?)
        }
        None => Source::Files(replay::in_time_order(&arguments.read)),
    };
    let (io, targets): (_, Vec<String>) = match &source {
        Source::Live(monitors) => {
            let asked = asking.iter().flat_map(|_| settings.ask_targets.iter().cloned());
            let interface = monitors.iter().take(1).map(|one| one.interface().to_owned());
            ("capture", interface.chain(asked).collect())
        }
        Source::Files(files) => {
            ("file", files.iter().map(|path| path.display().to_string()).collect())
        }
    };
    let vantage = settings.vantage.clone();
    let store = Store::open(&settings.database, OpenMode::ReadWrite).await?;
    let begun = clock::now();
    let scan = store.begin_scan(&vantage, begun, io, &targets, "watch").await?;
    let (sink, writer) = Writer::start(&store, scan)?;
    // Several divide among them what one would have.
    let readers = match &source {
        Source::Live(monitors) => monitors.len(),
        Source::Files(_) => 1,
    };
    let memory = settings.capture_memory.checked_div(readers).unwrap_or(settings.capture_memory);
    let capture =
        Capture::with_memory(vantage.clone(), memory).only_ours(settings.own_networks.clone());
    let ears = Arc::new(Ears::new(capture, readers, Heard::new(asked), &sink));
    let answers = sink;

    let (ended, mut end) = oneshot::channel();
    let shared = Arc::clone(&ears);
    let to_stop = stop.clone();
    std::thread::Builder::new()
        .name("capture".to_owned())
        .spawn(move || {
            let result = match source {
                Source::Live(monitors) => live::listen(monitors, &shared, &to_stop),
                Source::Files(files) => shared
                    .each()
                    .try_for_each(|ear| replay::read(&files, ear, &shared.heard, &to_stop)),
            };
            // Whoever waited may have had enough.
            let _ = ended.send(result);
        })
        .context("cannot start the thread that listens")?;

    let mut asking = asking.map(|asking| {
        Box::pin(asking.run(Arc::clone(&ears.heard), store.clone(), answers.clone(), stop.clone()))
    });
    let until = duration.map(|time| Instant::now() + time);
    let mut pulse = tokio::time::interval_at(Instant::now() + EVERY, EVERY);
    let mut asked = tokio::time::interval(Duration::from_millis(50));
    // Of a file all is known in a moment.
    let is_live = io == "capture";
    // Who listens for months must not keep its findings to itself until the end.
    let every = settings.conclude;
    let mut concluding = tokio::time::interval_at(Instant::now() + every, every);
    concluding.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut conclusions = None;
    // Whether a review is to be made up for.
    let mut owed = false;
    let mut notes = Notes::default();
    // `None` where somebody had enough before it ended by itself.
    let outcome = loop {
        tokio::select! {
            // The thread's own end says more than any other.
            biased;
            result = &mut end => break Some(result.unwrap_or(Ok(()))),
            result = maybe(asking.as_mut()) => {
                asking = None;
                // It ends without trouble only because it is to.
                break result.err().map(Err);
            }
            () = maybe(until.map(sleep_until)) => break None,
            _ = asked.tick() => if stop.is_requested() { break None },
            _ = again.recv() => if let Some(cli) = cli { reload::settings(cli, &mut settings, &ears) },
            _ = concluding.tick(), if is_live && conclusions.is_none() => {
                // On a thread of its own: much is thought about, and a signal must not wait.
                let part = conclude_part(store.clone(), scan, Arc::clone(&settings), owed);
                conclusions = Some(tokio::spawn(part));
            }
            drawn = maybe(conclusions.as_mut()) => {
                conclusions = None;
                match drawn.context("what was heard could not be concluded on").flatten() {
                    Ok(seen) => {
                        notes.seen.extend(seen);
                        owed = false;
                    }
                    // What waits is concluded the next time.
                    Err(error) => {
                        tell::failure(&error);
                        owed = true;
                    }
                }
            }
            _ = how.recv() => tell::line(&ears.line()),
            // The database is busy with conclusions, and a signal must not wait for them.
            _ = pulse.tick(), if conclusions.is_none() => {
                tell::line(&ears.line());
                let record = ears.record(&vantage, io, begun);
                store.finish_scan(scan, &ScanRecord { ended_at: None, complete: false, ..record }).await?;
            }
        }
    };
    // Whoever sends a signal wants it to end now.
    let is_large = async || store.asset_count().await.is_ok_and(|assets| assets > CONCLUDED_SOON);
    let patience = match stop.signal() {
        Some(_) if is_large().await => SOON,
        _ => Duration::MAX,
    };
    stop.request();
    // What is under way is waited for: it says whom it was about.
    if let Some(mut conclusions) = conclusions {
        match tokio::time::timeout(patience, &mut conclusions).await {
            Ok(Ok(Ok(seen))) => notes.seen.extend(seen),
            Ok(_) => {}
            Err(_) => conclusions.abort(),
        }
    }
    let outcome = match outcome {
        Some(outcome) => outcome,
        // It may be waiting for a pipe that never ends, and is not waited for any longer.
        None => match tokio::time::timeout(LAST_WORDS, end).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) | Err(_) => Ok(()),
        },
    };
    if let Some(asking) = asking {
        // What it still holds is given up.
        let _ = tokio::time::timeout(LAST_WORDS, asking).await;
    }
    drop(answers);
    tokio::task::block_in_place(|| ears.finish());
    let written = writer.finish().await?;
    outcome?;
    tell::line(&ears.line());
    let mut record = ears.record(&vantage, io, begun);
    record.drops += written.dropped;
    let ended = Ended { code: 0, scan: Some(scan), complete: record.complete, resume_at: None };
    store.finish_scan(scan, &record).await?;
    let mut concluded = tokio::spawn({
        let (store, record, notes) = (store.clone(), record.clone(), notes.clone());
        async move {
            let concluded = conclude(&store, scan, &record, &notes, &settings.policy, format).await;
            concluded.map(drop)
        }
    });
    match tokio::time::timeout(patience, &mut concluded).await {
        Ok(concluded) => concluded.context("what was heard could not be concluded on")??,
        Err(_) => {
            concluded.abort();
            unconcluded(scan, &record, &notes, format)?;
            // Whoever still reads or thinks is not waited for.
            return Ok(ended);
        }
    }
    store.close().await;
    Ok(ended)
}

/// Draws conclusions from what was heard until now. Returns the assets that it was about.
async fn conclude_part(
    store: Store,
    scan: ScanId,
    settings: Arc<Settings>,
    owed: bool,
) -> Result<Vec<AssetId>> {
    let digest = store.digest(scan, clock::now()).await?;
    if owed || !digest.assets.is_empty() {
        store.review(clock::now(), &settings.policy).await?;
    }
    Ok(digest.assets.iter().map(|asset| asset.id).collect())
}

/// Where frames come from.
enum Source {
    Live(Vec<Monitor>),
    Files(Vec<std::path::PathBuf>),
}

fn lock<T>(what: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What a thread that panicked left is as good as any other moment's.
    what.lock().unwrap_or_else(PoisonError::into_inner)
}
