//! Work beside the database's.
//!
//! What the database hands over is made into values by other threads, while it goes on with
//! what follows. The values come in the order in which the work was given.

use std::{collections::VecDeque, panic::resume_unwind};

use tokio::task::{JoinError, JoinHandle, spawn_blocking};

use super::scan::LoadError;

/// Pieces of work that wait or are done at once: enough that no core waits for the database,
/// few enough that what was read does not pile up.
const UNDER_WAY: usize = 4;

/// Pieces of work, the first given first.
pub(super) struct Beside<R> {
    under_way: VecDeque<JoinHandle<Result<R, LoadError>>>,
    done: Vec<R>,
}

impl<R: Send + 'static> Beside<R> {
    pub(super) const fn new() -> Self {
        Self { under_way: VecDeque::new(), done: Vec::new() }
    }

    /// Has the work done, once there is room for it.
    pub(super) async fn give(
        &mut self,
        work: impl FnOnce() -> Result<R, LoadError> + Send + 'static,
    ) -> Result<(), LoadError> {
        if self.under_way.len() >= UNDER_WAY {
            self.take().await?;
        }
        self.under_way.push_back(spawn_blocking(work));
        Ok(())
    }

    /// What all of it came to, or the first failure.
    pub(super) async fn finish(mut self) -> Result<Vec<R>, LoadError> {
        while !self.under_way.is_empty() {
            self.take().await?;
        }
        Ok(self.done)
    }

    async fn take(&mut self) -> Result<(), LoadError> {
        let Some(first) = self.under_way.pop_front() else { return Ok(()) };
        self.done.push(done(first.await)?);
        Ok(())
    }
}

/// What a piece of work came to that nobody cancels.
///
/// # Panics
///
/// Where the work did.
pub(super) fn done<R>(joined: Result<R, JoinError>) -> R {
    // Nobody cancels it, so it panicked.
    joined.unwrap_or_else(|failed| resume_unwind(failed.into_panic()))
}
