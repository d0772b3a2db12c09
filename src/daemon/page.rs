//! The page's process: begun where the configuration has one, begun again when it breaks.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result};
use inventory::store::{PageProcess, Store};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, Command},
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, timeout, timeout_at},
};

use crate::{clock, compose, tell};

/// The first pause after it broke, and the longest: each is twice the one before.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// One that ran for so long is taken to work: what breaks it then is something else.
const WORKS: Duration = Duration::from_secs(600);

/// How long it is waited for when it shall end.
const ENDING: Duration = Duration::from_secs(2);

/// What the page's process is begun with.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// Whether there is to be one.
    pub(super) is_on: bool,
    pub(super) file: compose::Read,
}

/// See the module.
pub(super) struct Page {
    wanted: watch::Sender<Option<Wanted>>,
    task: JoinHandle<()>,
}

impl Page {
    /// Keeps the page's process running from now on.
    pub(super) fn open(wanted: Wanted, database: PathBuf, store: Store) -> Self {
        let (sender, receiver) = watch::channel(Some(wanted));
        Self { wanted: sender, task: tokio::spawn(keep(receiver, database, store)) }
    }

    /// Begins it anew with another configuration.
    pub(super) fn replace(&self, wanted: Wanted) {
        self.wanted.send_replace(Some(wanted));
    }

    /// Ends it, and waits until then for that.
    pub(super) async fn close(self, until: Instant) {
        self.wanted.send_replace(None);
        let stop = self.task.abort_handle();
        // The end of its standard input ends the process as well.
        if timeout_at(until, self.task).await.is_err() {
            stop.abort();
        }
    }
}

async fn keep(mut wanted: watch::Receiver<Option<Wanted>>, database: PathBuf, store: Store) {
    let mut process = PageProcess { started_at: clock::now(), restarts: 0, trouble: String::new() };
    let mut pause = PAUSES.0;
    loop {
        let Some(now) = wanted.borrow_and_update().clone() else { return };
        if !now.is_on {
            if wanted.changed().await.is_err() {
                return;
            }
            continue;
        }
        process.started_at = clock::now();
        if let Err(error) = store.note_page_process(&process).await {
            tell::failure(&error.into());
        }
        let began = Instant::now();
        let trouble = match begin(&database, &now.file).await {
            Ok(child) => run(child, &mut wanted).await,
            Err(error) => Some(tell::chain(error.as_ref())),
        };
        // It was asked to end.
        let Some(trouble) = trouble else { continue };
        if began.elapsed() >= WORKS {
            pause = PAUSES.0;
        }
        process.restarts = process.restarts.saturating_add(1);
        let (restarts, seconds) = (process.restarts, pause.as_secs());
        tell::line(&format!("page: {trouble}; restart {restarts} in {seconds} s"));
        process.trouble = trouble;
        tokio::select! {
            () = sleep(pause) => {}
            changed = wanted.changed() => if changed.is_err() { return },
        }
        pause = pause.saturating_mul(2).min(PAUSES.1);
    }
}

async fn begin(database: &Path, file: &compose::Read) -> Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0("daicho")
        .arg("--db")
        .arg(database)
        .args(["web", "--served"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .env_remove("NOTIFY_SOCKET")
        .env_remove("WATCHDOG_USEC")
        .env_remove("WATCHDOG_PID");
    let mut child = command.spawn().context("cannot start the page's process")?;
    let line = child.stdin.as_mut().context("a process without standard input")?;
    let mut text = serde_json::to_string(file)?;
    text.push('\n');
    // One that ends before it has read this says why.
    let _ = line.write_all(text.as_bytes()).await;
    Ok(child)
}

/// Hands on what it says until it ends: with what it broke, or `None` where it was asked to.
async fn run(mut child: Child, wanted: &mut watch::Receiver<Option<Wanted>>) -> Option<String> {
    let line = child.stdin.take();
    let errors = child.stderr.take()?;
    let relay = tokio::spawn(async move {
        let mut lines = BufReader::new(errors).lines();
        let mut last = VecDeque::new();
        while let Ok(Some(line)) = lines.next_line().await {
            tell::line(&format!("[web] {line}"));
            last.push_back(line);
            if last.len() > 2 {
                last.pop_front();
            }
        }
        last
    });
    let ended = tokio::select! {
        ended = child.wait() => ended,
        _ = wanted.changed() => {
            drop(line);
            if timeout(ENDING, child.wait()).await.is_err() {
                // It may have ended in this moment.
                let _ = child.kill().await;
            }
            return None;
        }
    };
    let mut words = vec![ended.map_or_else(|error| error.to_string(), spoken)];
    words.extend(relay.await.unwrap_or_default());
    Some(words.join("; "))
}

fn spoken(status: ExitStatus) -> String {
    format!("its process broke ({status})")
}
