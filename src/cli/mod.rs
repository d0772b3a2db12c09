//! The commands: each takes its values, calls the crates, and prints.

pub(crate) mod alert;
pub(crate) mod args;
pub(crate) mod assets;
pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod certs;
pub(crate) mod collect;
pub(crate) mod conclude;
pub(crate) mod decide;
mod decisions;
pub(crate) mod doctor;
mod findings;
mod forecast;
mod fragile;
pub(crate) mod import;
pub(crate) mod jobs;
mod parts;
pub(crate) mod progress;
pub(crate) mod prune;
mod readiness;
pub(crate) mod refresh;
pub(crate) mod register;
mod scans;
pub(crate) mod scope;
pub(crate) mod search;
pub(crate) mod sweep;
mod talk;
pub(crate) mod user;
pub(crate) mod watch;
pub(crate) mod window;

use std::{path::Path, process, sync::Arc};

use anyhow::{Context as _, Result};
use inventory::{
    approval::Verdict,
    store::{OpenMode, Store, StoreError},
};
use model::ScanId;
use scanner::stop::Stop;
use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
};

use crate::{
    cli::args::{Assets, Certs, Cli, Command, Jobs},
    compose::{self, Settings},
    confine, daemon, demo, tell, web, who,
};

/// What somebody gave cannot be used: whoever gave it can mend it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unusable(pub(crate) String);

/// There is nothing of the name that somebody gave.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Absent(pub(crate) String);

/// What became of a command that a job can do as well.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    /// The exit code.
    pub(crate) code: u8,
    pub(crate) scan: Option<ScanId>,
    /// Whether everything planned was done.
    pub(crate) complete: bool,
    /// With how many addresses a sweep is done that can go on behind them.
    pub(crate) resume_at: Option<u64>,
}

impl Ended {
    /// One that made no scan, and that is complete where its exit code says so.
    pub(crate) const fn with(code: u8) -> Self {
        Self { code, scan: None, complete: code == 0, resume_at: None }
    }
}

/// Runs the command and returns its exit code.
pub(crate) fn run(cli: &Cli) -> Result<u8> {
    if matches!(cli.command, Command::Serve) {
        // The service reads it again by itself; here it says what may be given up.
        confine::apply(cli, &compose::settings(compose::configuration(cli)?)?)?;
        let runtime = runtime()?;
        let code = runtime.block_on(daemon::serve(cli));
        // A program that is being told may take until its limit, which nobody waits for.
        runtime.shutdown_background();
        return code;
    }
    if let Command::Web { served } = &cli.command {
        return web::run(cli, *served);
    }
    let settings = settings_of(cli)?;
    confine::apply(cli, &settings)?;
    let runtime = runtime()?;
    let format = cli.format;
    let stop = Stop::new();
    let done = runtime.block_on(async {
        let mut code = 0;
        match &cli.command {
            Command::Sweep(arguments) => {
                code = sweep::run(&settings, arguments, format, &stop).await?.code;
            }
            Command::Watch(arguments) => {
                code = watch::run(settings, Some(cli), arguments, format, &stop).await?.code;
            }
            Command::Import { command } => {
                code = import::run(&settings, command, format, &stop).await?.code;
            }
            Command::Assets { command, list } => {
                assets::run(&settings, command.as_ref(), list, format).await?;
            }
            Command::Findings { command, list } => {
                findings::run(&settings, command.as_ref(), list, format).await?;
            }
            Command::Certs { command: Certs::Collect(arguments) } => {
                code = collect::run(&settings, arguments, format, &stop).await?.code;
            }
            Command::Services(asked) => parts::services(&settings, asked, format).await?,
            Command::Software(asked) => parts::software(&settings, asked, format).await?,
            Command::Certs { command: Certs::List { expiring, asked } } => {
                certs::list(&settings, expiring.as_deref(), asked, format).await?;
            }
            Command::Certs { command: Certs::Show { sha256 } } => {
                certs::show(&settings, sha256, format).await?;
            }
            Command::Certs { command: Certs::Refresh } => {
                code = refresh::run(&settings, format, &stop).await?.code;
            }
            Command::Certs { command: Certs::Readiness } => {
                readiness::run(&settings, format).await?;
            }
            Command::Register { command } => register::run(&settings, command, format).await?,
            Command::Approve { about } => {
                decide::run(&settings, Verdict::Approved, about, format).await?;
            }
            Command::Investigate { about } => {
                decide::run(&settings, Verdict::Investigating, about, format).await?;
            }
            Command::Reject { about } => {
                decide::run(&settings, Verdict::Rejected, about, format).await?;
            }
            Command::Retire { about } => {
                decide::run(&settings, Verdict::Retired, about, format).await?;
            }
            Command::Scans { command, list } => {
                scans::run(&settings, command.as_ref(), list, format).await?;
            }
            Command::Decisions { command, list } => {
                decisions::run(&settings, command.as_ref(), list, format).await?;
            }
            Command::Audit { command } => audit::run(&settings, command, format).await?,
            Command::Alert { command } => {
                code = alert::run(&settings, command, format).await?;
            }
            Command::Jobs { command: None } => jobs::list(&settings, format).await?,
            Command::Jobs { command: Some(Jobs::Run { name, served }) } => {
                code = jobs::run(&settings, name, *served, &stop).await?;
            }
            Command::Serve | Command::Web { .. } => {}
            Command::User { command } => user::run(&settings, command, format).await?,
            Command::Token { command } => user::token(&settings, command, format).await?,
            Command::Backup(arguments) => {
                code = backup::backup(&settings, arguments, format, &stop).await?;
            }
            Command::Restore(arguments) => backup::restore(&settings, arguments, format).await?,
            Command::Prune(arguments) => {
                code = prune::run(&settings, arguments, format, &stop).await?.code;
            }
            Command::Demo(arguments) => demo::run(&settings, arguments, format).await?,
            Command::Doctor => doctor::run(&settings, format).await?,
        }
        Ok(code)
    });
    // What was given up is not waited for.
    runtime.shutdown_background();
    done
}

/// The settings of a command, with what it judges by. A command that runs for long reads them
/// anew in the same way.
fn settings_of(cli: &Cli) -> Result<Settings> {
    let mut settings = compose::settings(compose::configuration(cli)?)?;
    // What is wrong with a root's file is said before a sweep and not at its end.
    let judges = match &cli.command {
        Command::Sweep(_) | Command::Watch(_) | Command::Import { .. } => true,
        Command::Findings { .. } | Command::Certs { .. } | Command::Decisions { .. } => true,
        Command::Approve { .. } | Command::Investigate { .. } => true,
        Command::Reject { .. } | Command::Retire { .. } => true,
        Command::Assets { command: Some(Assets::Merge { .. } | Assets::Split { .. }), .. } => true,
        Command::Assets { .. } | Command::Services(_) | Command::Software(_) => false,
        Command::Register { .. } | Command::Scans { .. } => false,
        Command::Alert { .. } | Command::Audit { .. } | Command::Doctor => false,
        Command::User { .. } | Command::Token { .. } => false,
        Command::Backup(_) | Command::Restore(_) | Command::Prune(_) | Command::Demo(_) => false,
        // A job has its own, and so has the page.
        Command::Jobs { .. } | Command::Serve | Command::Web { .. } => false,
    };
    settings.actor = who::actor(cli.acting_as.as_deref());
    if judges {
        settings.policy.anchors = Arc::new(settings.trusted.read()?);
    }
    Ok(settings)
}

/// One for signals and time, and two for conclusions: one may be given up while another is drawn.
const FEWEST_THREADS: usize = 3;

fn runtime() -> Result<Runtime> {
    let mut threads = tokio::runtime::Builder::new_multi_thread();
    // Where there is one core, conclusions would else keep signals waiting.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    threads.worker_threads(cores.max(FEWEST_THREADS));
    threads.enable_all().build().context("cannot start the threads")
}

/// The database for writing, but only if there is one: nothing that is about what was found
/// makes an empty one.
async fn existing(path: &Path) -> Result<Store, StoreError> {
    Store::open(path, OpenMode::ReadOnly).await?.close().await;
    Store::open(path, OpenMode::ReadWrite).await
}

/// The same for who gives the command.
async fn existing_for(settings: &Settings) -> Result<Store, StoreError> {
    Ok(existing(&settings.database).await?.acting(settings.actor.clone()))
}

/// Ctrl-C and SIGTERM ask for the end; the second one does not wait for it.
pub(crate) fn listen_for_signals(stop: &Stop) -> Result<()> {
    for (kind, number) in [(SignalKind::interrupt(), 2), (SignalKind::terminate(), 15)] {
        let mut signals = signal(kind).context("cannot listen for signals")?;
        let stop = stop.clone();
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                if stop.is_requested() {
                    process::exit(128 + number);
                }
                stop.by_signal(number);
                tell::line("stopping: storing what was found (once more to leave at once)");
            }
        });
    }
    Ok(())
}
