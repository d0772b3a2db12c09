//! Who runs what: locks on files beside the database, which the system lets go of when a process
//! ends, however it ends.

use std::{
    fs::{File, TryLockError},
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, Result};
use inventory::store::lock_file;

/// A lock that is held until this is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of that name for a database; `None` where somebody holds it.
    pub(crate) fn take(database: &Path, name: &str) -> Result<Option<Self>> {
        let opened = lock_file(database, name);
        let place = || format!("the lock {name} beside {}", database.display());
        let file = opened.with_context(|| format!("cannot make {}", place()))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot take {}", place()))
            }
        }
    }

    /// The same as soon as nobody holds it any more, within so long.
    pub(crate) async fn take_within(
        database: &Path,
        name: &str,
        patience: Duration,
    ) -> Result<Option<Self>> {
        const LOOK: Duration = Duration::from_millis(50);
        let mut waited = Duration::ZERO;
        loop {
            let lock = Self::take(database, name)?;
            if lock.is_some() || waited >= patience {
                return Ok(lock);
            }
            tokio::time::sleep(LOOK).await;
            waited += LOOK;
        }
    }
}
