//! The way from a running scan to the database: one bounded channel and one thread.
//!
//! The thread coalesces in memory and writes every quarter of a second, or sooner where
//! much has come together. It has its own small runtime, so that a scan that keeps every
//! core busy cannot starve it, nor it the scan.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use model::{Observation, ScanId};
use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot,
};

use super::{Store, StoreError, Written, observation::Batch};

/// How long an observation waits at most before it is written: what a kill may cost.
const FLUSH_AFTER: Duration = Duration::from_millis(250);

/// Rows that are written without waiting. Speed hardly grows beyond ten thousand rows in a
/// transaction, while the memory does.
const FLUSH_ROWS: usize = 10_000;

/// Observations that may wait in the channel: a tenth of a second at full speed.
const CHANNEL: usize = 16_384;

/// Where a scan puts its observations. Copies lead to the same place.
#[derive(Clone, Debug)]
pub struct Sink {
    channel: mpsc::Sender<Observation>,
    dropped: Arc<AtomicU64>,
}

impl Sink {
    /// Hands over an observation and waits for room: for a sweep, which can slow down.
    ///
    /// # Errors
    ///
    /// [`StoreError::WriterStopped`] once writing has failed; [`Writer::finish`] says why.
    pub async fn send(&self, observation: Observation) -> Result<(), StoreError> {
        self.channel.send(observation).await.map_err(|_| StoreError::WriterStopped)
    }

    /// The same from a plain thread.
    ///
    /// # Errors
    ///
    /// As [`Self::send`].
    ///
    /// # Panics
    ///
    /// Inside an asynchronous task, which must not block.
    pub fn send_blocking(&self, observation: Observation) -> Result<(), StoreError> {
        self.channel.blocking_send(observation).map_err(|_| StoreError::WriterStopped)
    }

    /// Hands over an observation, or counts it as dropped where there is no room: for a
    /// capture, which cannot make the network wait. Can be called from anywhere.
    ///
    /// # Errors
    ///
    /// As [`Self::send`].
    pub fn offer(&self, observation: Observation) -> Result<(), StoreError> {
        match self.channel.try_send(observation) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(TrySendError::Closed(_)) => Err(StoreError::WriterStopped),
        }
    }

    /// How many observations found no room so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// The thread that writes the observations of one scan.
#[derive(Debug)]
pub struct Writer {
    ended: oneshot::Receiver<Result<Written, StoreError>>,
    dropped: Arc<AtomicU64>,
}

/// What became of the observations of a scan.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct WriterReport {
    /// Observations stored, and the rows that were written for them. A fact that is seen
    /// again after a flush is another row written, though none more in the database.
    pub written: Written,
    /// Observations that found no room in the channel.
    pub dropped: u64,
}

impl Writer {
    /// Starts the thread. It ends when every copy of the sink is gone.
    ///
    /// # Errors
    ///
    /// Where the store was opened for reading, or the system gives no thread.
    pub fn start(store: &Store, scan: ScanId) -> Result<(Sink, Self), StoreError> {
        Self::with_room(store, scan, CHANNEL)
    }

    fn with_room(store: &Store, scan: ScanId, room: usize) -> Result<(Sink, Self), StoreError> {
        if store.writer.is_none() {
            return Err(StoreError::OpenedForReading { path: store.path.to_path_buf() });
        }
        let failed = |source| StoreError::WriterStart { source };
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(failed)?;
        let (channel, arrivals) = mpsc::channel(room);
        let (tell, ended) = oneshot::channel();
        let dropped = Arc::new(AtomicU64::new(0));
        let store = store.clone();
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                let result = runtime.block_on(write(&store, scan, arrivals));
                // Whoever started us may have given up; then nobody is left to tell.
                let _ = tell.send(result);
            })
            .map_err(failed)?;
        Ok((Sink { channel, dropped: Arc::clone(&dropped) }, Self { ended, dropped }))
    }

    /// Waits until everything handed over is stored. Every copy of the sink must be gone
    /// first, or this waits for them.
    ///
    /// # Errors
    ///
    /// Where writing failed: what was committed before stays.
    pub async fn finish(self) -> Result<WriterReport, StoreError> {
        let written = self.ended.await.map_err(|_| StoreError::WriterStopped)??;
        Ok(WriterReport { written, dropped: self.dropped.load(Ordering::Relaxed) })
    }
}

async fn write(
    store: &Store,
    scan: ScanId,
    mut arrivals: mpsc::Receiver<Observation>,
) -> Result<Written, StoreError> {
    let mut total = Written::default();
    let mut batch = Batch::default();
    let mut pulse = tokio::time::interval(FLUSH_AFTER);
    pulse.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let more = tokio::select! {
            arrived = arrivals.recv() => match arrived {
                Some(observation) => {
                    batch.add(observation);
                    if batch.len() < FLUSH_ROWS {
                        continue;
                    }
                    true
                }
                None => false,
            },
            _ = pulse.tick() => true,
        };
        if batch.len() > 0 {
            let written = store.write_batch(scan, std::mem::take(&mut batch)).await?;
            total.observations = total.observations.saturating_add(written.observations);
            total.rows = total.rows.saturating_add(written.rows);
        }
        if !more {
            return Ok(total);
        }
    }
}
