//! The post of the service: what the outbox has goes out, beside everything else, so that no slow
//! server keeps a job or a signal waiting.

use std::{sync::Arc, time::Duration};

use inventory::store::Store;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, timeout_at},
};

use crate::{cli::alert::tell_troubles, clock, notify::Courier, tell};

/// How often it is looked for what is due, and how long one route may go on sending before the
/// others are looked at again: news that waits for nothing waits no longer, but for one sending.
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
        let (sender, mut current) = watch::channel(Some(courier));
        let task = tokio::spawn(async move {
            let mut forgot: Option<Instant> = None;
            loop {
                let Some(courier) = current.borrow_and_update().clone() else { return };
                match courier.deliver(&store, EVERY).await {
                    Ok(delivered) => tell_troubles(&delivered),
                    Err(error) => tell::failure(&error),
                }
                if forgot.is_none_or(|then| then.elapsed() >= FORGET) {
                    forgot = Some(Instant::now());
                    if let Err(error) = store.forget_messages(clock::now()).await {
                        tell::failure(&error.into());
                    }
                }
                tokio::select! {
                    changed = current.changed() => if changed.is_err() { return },
                    () = sleep(EVERY) => {}
                }
            }
        });
        Self { courier: sender, task }
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
