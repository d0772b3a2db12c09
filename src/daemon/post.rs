//! The post of the service: what the outbox has goes out, beside everything else, so that no slow
//! server keeps a job, a signal or another route waiting.

use std::{sync::Arc, time::Duration};

use inventory::store::Store;
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep, sleep_until, timeout_at},
};

use crate::{cli::alert::tell_troubles, clock, notify::Courier, tell};

/// How often it is looked for what is due by a route.
const EVERY: Duration = Duration::from_secs(5);

/// How often what was sent long ago is forgotten.
const FORGET: Duration = Duration::from_secs(86_400);

/// See the module.
pub(super) struct Post {
    courier: watch::Sender<Option<Arc<Courier>>>,
    task: JoinHandle<()>,
}

impl Post {
    /// Begins to send.
    pub(super) fn open(courier: Arc<Courier>, store: Store) -> Self {
        let (sender, current) = watch::channel(Some(courier));
        Self { courier: sender, task: tokio::spawn(keep(current, store)) }
    }

    /// Sends by these routes from now on.
    pub(super) fn replace(&self, courier: Arc<Courier>) {
        self.courier.send_replace(Some(courier));
    }

    /// Waits until then for what is being sent. What is not done then is sent by whoever comes
    /// next, perhaps once more.
    pub(super) async fn close(self, until: Instant) {
        self.courier.send_replace(None);
        let stop = self.task.abort_handle();
        if timeout_at(until, self.task).await.is_err() {
            stop.abort();
        }
    }
}

/// Sends by the routes of the day. Those of a configuration that was replaced end what they are
/// sending; a claim keeps the new ones from sending it too.
async fn keep(mut current: watch::Receiver<Option<Arc<Courier>>>, store: Store) {
    let mut routes = JoinSet::new();
    let mut forget_at = Instant::now();
    loop {
        let Some(courier) = current.borrow_and_update().clone() else { break };
        for route in courier.routes() {
            routes.spawn(send(route, current.clone(), store.clone()));
        }
        loop {
            tokio::select! {
                changed = current.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return,
                },
                // Those that were replaced.
                Some(_) = routes.join_next() => {}
                () = sleep_until(forget_at) => {
                    forget_at = Instant::now() + FORGET;
                    if let Err(error) = store.forget_messages(clock::now()).await {
                        tell::failure(&error.into());
                    }
                }
            }
        }
    }
    while routes.join_next().await.is_some() {}
}

/// Sends by one route until the routes are others.
async fn send(route: Courier, mut current: watch::Receiver<Option<Arc<Courier>>>, store: Store) {
    while !current.has_changed().unwrap_or(true) {
        match route.deliver(&store, EVERY).await {
            Ok(delivered) => tell_troubles(&delivered),
            Err(error) => tell::failure(&error),
        }
        tokio::select! {
            _ = current.changed() => return,
            () = sleep(EVERY) => {}
        }
    }
}
