//! Who runs what: locks on files beside the database, which the system lets go of when a process
//! ends, however it ends.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};

/// A lock that is held until this is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of that name for a database; `None` where somebody holds it.
    pub(crate) fn take(database: &Path, name: &str) -> Result<Option<Self>> {
        let folder = folder(database);
        let path = folder.join(format!("{name}.lock"));
        let opened = fs::create_dir_all(&folder).and_then(|()| open(&path));
        let file = opened.with_context(|| format!("cannot make the lock {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", path.display()))
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

fn open(path: &Path) -> io::Result<File> {
    let opened = File::options().create(true).truncate(false).write(true).open(path);
    match opened {
        // Somebody else made it, and a lock needs no more than this.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => File::open(path),
        opened => opened,
    }
}

/// `daicho.db-locks` beside `daicho.db`.
fn folder(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-locks");
    PathBuf::from(name)
}
