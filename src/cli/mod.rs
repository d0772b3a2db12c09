//! The commands: each takes its values, calls the crates, and prints.

pub(crate) mod args;
mod assets;
mod certs;
mod conclude;
mod doctor;
mod findings;
mod progress;
mod register;
mod scope;
mod sweep;
mod watch;

use anyhow::{Context as _, Result};
use config::IoChoice;
use scanner::net::select::Choice;

use crate::{
    cli::args::{Cli, Command},
    compose,
};

/// Runs the command and returns its exit code.
pub(crate) fn run(cli: &Cli) -> Result<u8> {
    let config = compose::configuration(cli)?;
    let database = compose::database_path(config.database.clone())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the threads")?;
    let (format, path) = (cli.format, database.as_path());
    runtime.block_on(async {
        match &cli.command {
            Command::Sweep(arguments) => {
                return sweep::run(config, arguments, path, format).await;
            }
            Command::Watch(arguments) => watch::run(&config, arguments, path, format).await?,
            Command::Assets { command, list } => {
                assets::run(&config, command.as_ref(), list, path, format).await?;
            }
            Command::Findings { command, list } => {
                findings::run(&config, command.as_ref(), list, path, format).await?;
            }
            Command::Certs { command } => certs::run(command, path, format).await?,
            Command::Register { command } => register::run(command, path, format).await?,
            Command::Doctor => doctor::run(&config, path, format).await?,
        }
        Ok(0)
    })
}

const fn choice(io: IoChoice) -> Choice {
    match io {
        IoChoice::Auto => Choice::Auto,
        IoChoice::Connect => Choice::Connect,
        IoChoice::Raw => Choice::Raw,
    }
}
