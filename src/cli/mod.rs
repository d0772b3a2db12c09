//! The commands: each takes its values, calls the crates, and prints.

mod alert;
pub(crate) mod args;
mod assets;
mod audit;
mod certs;
mod collect;
pub(crate) mod conclude;
mod decide;
mod decisions;
mod doctor;
mod findings;
mod fragile;
pub(crate) mod import;
mod progress;
mod readiness;
pub(crate) mod refresh;
mod register;
mod scope;
pub(crate) mod search;
mod sweep;
mod talk;
mod watch;
pub(crate) mod window;

use std::{path::Path, process, sync::Arc};

use anyhow::{Context as _, Result};
use inventory::{
    approval::Verdict,
    store::{OpenMode, Store, StoreError},
};
use scanner::stop::Stop;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    cli::args::{Assets, Certs, Cli, Command},
    compose::{self, Settings},
    tell, who,
};

/// Runs the command and returns its exit code.
pub(crate) fn run(cli: &Cli) -> Result<u8> {
    let settings = settings_of(cli)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the threads")?;
    let format = cli.format;
    runtime.block_on(async {
        match &cli.command {
            Command::Sweep(arguments) => {
                return sweep::run(&settings, arguments, format).await;
            }
            Command::Watch(arguments) => watch::run(settings, cli, arguments, format).await?,
            Command::Import { command } => {
                return import::run(&settings, command, format).await;
            }
            Command::Assets { command, list } => {
                assets::run(&settings, command.as_ref(), list, format).await?;
            }
            Command::Findings { command, list } => {
                findings::run(&settings, command.as_ref(), list, format).await?;
            }
            Command::Certs { command: Certs::Collect(arguments) } => {
                return collect::run(&settings, arguments, format).await;
            }
            Command::Certs { command: Certs::List { expiring } } => {
                certs::list(&settings, expiring.as_deref(), format).await?;
            }
            Command::Certs { command: Certs::Show { sha256 } } => {
                certs::show(&settings, sha256, format).await?;
            }
            Command::Certs { command: Certs::Refresh } => {
                return refresh::run(&settings, format).await;
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
            Command::Decisions { command, list } => {
                decisions::run(&settings, command.as_ref(), list, format).await?;
            }
            Command::Audit { command } => audit::run(&settings, command, format).await?,
            Command::Alert { command } => return alert::run(&settings, command, format).await,
            Command::Doctor => doctor::run(&settings, format).await?,
        }
        Ok(0)
    })
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
        Command::Assets { .. } | Command::Register { .. } => false,
        Command::Alert { .. } | Command::Audit { .. } | Command::Doctor => false,
    };
    settings.actor = who::actor(cli.acting_as.as_deref());
    if judges {
        settings.policy.anchors = Arc::new(settings.trusted.read()?);
    }
    Ok(settings)
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
fn listen_for_signals(stop: &Stop) -> Result<()> {
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
