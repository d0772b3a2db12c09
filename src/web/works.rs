//! Work for a request that takes long, or that must not end with it.
//!
//! A request ends when the browser goes away, and whatever it was in the middle of is dropped there.
//! What somebody asked to be done, and what follows from it, is therefore done here, and the request
//! only waits for it. It has a thread of its own as well: comparing an inventory is seconds of
//! computing, in which the few threads that serve could serve nobody.

use std::{sync::Arc, time::Duration};

use tokio::{runtime::Handle, sync::Semaphore, task::spawn_blocking, time::timeout};

use super::{Shared, trouble::Trouble};

/// Works of each kind at once. More wait: each may hold the inventory in memory.
const AT_ONCE: u32 = 2;

/// The places for works.
#[derive(Debug)]
pub(super) struct Works {
    /// Of what changes something.
    acts: Arc<Semaphore>,
    /// Of what only looks, so that those who look keep nobody from doing something.
    looks: Arc<Semaphore>,
}

impl Works {
    pub(super) fn new() -> Self {
        let places = || Arc::new(Semaphore::new(AT_ONCE as usize));
        Self { acts: places(), looks: places() }
    }

    /// Waits for what is being done, so long at most, and begins nothing more.
    pub(super) async fn end(&self, patience: Duration) {
        let ended = timeout(patience, self.acts.acquire_many(AT_ONCE)).await;
        self.acts.close();
        self.looks.close();
        drop(ended);
    }
}

impl Shared {
    /// Does a work to its end, in a thread of its own, also where nobody waits for it any more.
    /// Nothing that is done in it may ask for another: there might be no place for that.
    ///
    /// # Errors
    ///
    /// Those of the work, and where it broke off or was not begun because the page ends.
    pub(crate) async fn apart<T, F>(
        &self,
        work: impl FnOnce(Self) -> F + Send + 'static,
    ) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, Trouble>>,
        T: Send + 'static,
    {
        self.at_a_place(&self.works.acts, work).await
    }

    /// The same for what only looks.
    ///
    /// # Errors
    ///
    /// As of that.
    pub(crate) async fn look_apart<T, F>(
        &self,
        work: impl FnOnce(Self) -> F + Send + 'static,
    ) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, Trouble>>,
        T: Send + 'static,
    {
        self.at_a_place(&self.works.looks, work).await
    }

    async fn at_a_place<T, F>(
        &self,
        places: &Arc<Semaphore>,
        work: impl FnOnce(Self) -> F + Send + 'static,
    ) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, Trouble>>,
        T: Send + 'static,
    {
        let ending = |_| Trouble::Failed("the page is ending".to_owned());
        let place = Arc::clone(places).acquire_owned().await.map_err(ending)?;
        let (shared, runtime) = (self.clone(), Handle::current());
        let done = spawn_blocking(move || {
            let done = runtime.block_on(work(shared));
            drop(place);
            done
        });
        done.await.map_err(|error| Trouble::Failed(format!("a work broke off: {error}")))?
    }
}

/// Computes something in a thread of its own: what asks nobody and only takes long.
///
/// # Errors
///
/// Where it broke off.
pub(crate) async fn computed<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Trouble> {
    let done = spawn_blocking(work).await;
    done.map_err(|error| Trouble::Failed(format!("a computation broke off: {error}")))
}
