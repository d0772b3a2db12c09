//! A run in a process of its own: what breaks there breaks nothing here.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result};
use config::Job;
use model::RunId;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStderr, ChildStdin, Command},
    sync::mpsc::UnboundedSender,
};

use crate::{compose, tell, wait::maybe};

/// The program itself, also after the file was replaced by a newer one.
const OURSELVES: &str = "/proc/self/exe";

/// How much longer than its job allows a run may take before it is ended by force.
const SLACK: Duration = Duration::from_secs(600);

/// The last lines that are kept of what a run says, for the case that it breaks.
const LAST_LINES: usize = 3;

/// A run that is under way.
#[derive(Debug)]
pub(super) struct Running {
    /// With what it was begun: one whose job is another now is ended.
    pub(super) job: Job,
    /// Whether we asked for its end.
    pub(super) asked: bool,
    /// Its standard input. The end of that asks for the end of the run.
    line: Option<ChildStdin>,
}

/// A run that is over.
#[derive(Debug)]
pub(super) struct Over {
    pub(super) name: String,
    pub(super) run: RunId,
    /// What it ended with, and its last lines.
    pub(super) words: String,
}

impl Running {
    /// Asks for its end.
    pub(super) fn stop(&mut self) {
        self.asked = true;
        self.line = None;
    }
}

/// Begins the run. Its end is sent to `over`.
pub(super) async fn begin(
    job: &Job,
    run: RunId,
    database: &Path,
    file: &compose::Read,
    over: UnboundedSender<Over>,
) -> Result<Running> {
    let mut command = Command::new(OURSELVES);
    command
        .arg0("daicho")
        .arg("--db")
        .arg(database)
        .args(["jobs", "run", &job.name, "--served", &run.0.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        // Ctrl-C in a terminal is for us; we ask the runs.
        .process_group(0)
        // Those are for this process alone.
        .env_remove("NOTIFY_SOCKET")
        .env_remove("WATCHDOG_USEC")
        .env_remove("WATCHDOG_PID");
    let mut child = command.spawn().context("cannot start a process")?;
    let mut line = child.stdin.take().context("a process without standard input")?;
    let errors = child.stderr.take().context("a process without standard error")?;
    let mut text = serde_json::to_string::<Option<&(PathBuf, String)>>(&file.as_ref())?;
    text.push('\n');
    // One that ends before it has read this says why.
    let _ = line.write_all(text.as_bytes()).await;
    let (name, most) = (job.name.clone(), job.duration.map(|most| most + SLACK));
    tokio::spawn(async move {
        let words = end(&name, child, errors, most).await;
        // Whoever waited may have ended.
        let _ = over.send(Over { name, run, words });
    });
    Ok(Running { job: job.clone(), asked: false, line: Some(line) })
}

/// Hands on what the run says, and waits for its end.
async fn end(name: &str, mut child: Child, errors: ChildStderr, most: Option<Duration>) -> String {
    let mut lines = BufReader::new(errors).lines();
    let relay = async {
        let mut last = VecDeque::new();
        while let Ok(Some(line)) = lines.next_line().await {
            tell::line(&format!("[{name}] {line}"));
            if last.len() == LAST_LINES {
                last.pop_front();
            }
            last.push_back(line);
        }
        last
    };
    tokio::pin!(relay);
    let last = tokio::select! {
        last = &mut relay => last,
        () = maybe(most.map(tokio::time::sleep)) => {
            tell::line(&format!("job {name}: it does not end and is ended by force"));
            // It may have ended in this moment.
            let _ = child.start_kill();
            relay.await
        }
    };
    let ended = child.wait().await;
    let how = ended.map_or_else(|error| error.to_string(), spoken);
    let mut words = vec![how];
    words.extend(last);
    words.join("; ")
}

fn spoken(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("its process ended with {code}"),
        (None, Some(signal)) => format!("its process was ended by signal {signal}"),
        (None, None) => "its process is gone".to_owned(),
    }
}
