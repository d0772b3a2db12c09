//! What the page's process may not do any more.
//!
//! Whoever should break in by a request finds a process that cannot open a raw socket, begin a
//! program, or open a file that the page does not need.

use anyhow::{Context as _, Result, ensure};
use caps::CapSet;
use scanner::net::confine::confine;

use crate::{cli::args::Cli, compose::Settings, confine as needs};

/// Gives up every capability and what `confine` says, for good. Threads begun later have none
/// either, so that this comes before them.
///
/// # Errors
///
/// Where the system refuses it: then nothing is served.
pub(crate) fn give_up(cli: &Cli, settings: &Settings) -> Result<()> {
    rustix::thread::set_no_new_privs(true).context("cannot renounce new privileges")?;
    confine(&needs::web(cli, settings))?;
    ensure!(has_none(), "the capabilities are still there");
    Ok(())
}

/// Whether this thread has no capability, and can get none.
pub(crate) fn has_none() -> bool {
    let empty = |set| caps::read(None, set).is_ok_and(|all| all.is_empty());
    empty(CapSet::Effective)
        && empty(CapSet::Permitted)
        && rustix::thread::no_new_privs().unwrap_or(false)
}
