//! Waiting in a `select!` for what there may be.

use std::future::{Future, pending};

/// Waits for it where there is something, and for ever where there is nothing.
pub(crate) async fn maybe<F: Future>(future: Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => pending().await,
    }
}
