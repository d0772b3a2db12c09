//! What the page's process may not do any more: everything that its user may not.
//!
//! Whoever should break in by a request finds a process that cannot open a raw socket, and that
//! no program it begins can give more to.

use anyhow::{Context as _, Result, ensure};
use caps::CapSet;

/// Lets go of every capability, for good. Threads begun later have none either, so that this
/// comes before them.
///
/// # Errors
///
/// Where the system refuses it: then nothing is served.
pub(crate) fn drop_all() -> Result<()> {
    rustix::thread::set_no_new_privs(true).context("cannot renounce new privileges")?;
    // A kernel without ambient capabilities has none to let go of.
    let _ = caps::clear(None, CapSet::Ambient);
    for set in [CapSet::Inheritable, CapSet::Effective, CapSet::Permitted] {
        caps::clear(None, set).context("cannot let go of capabilities")?;
    }
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
