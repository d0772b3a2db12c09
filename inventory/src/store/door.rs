//! The door of the database: who has the file open holds a share of a lock beside it, and who
//! replaces the file takes the whole.
//!
//! SQLite's own locks are of no use here: who opens the file by its name after it was replaced, and
//! who had it open before, would write two files with one log. The system lets go of the lock
//! when a process ends, however it ends.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::{MetadataExt as _, chown, fchown},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{OPENING_PAUSE, PATIENCE, StoreError};

/// A share of the lock, or the whole. `None` where there can be no lock, on a full or read-only
/// file system: what is only read needs none so much that it should fail for it.
#[derive(Debug)]
pub(super) struct Door {
    _lock: Option<File>,
}

impl Door {
    /// Takes a share, and waits where the file is just being replaced.
    pub(super) async fn enter(database: &Path) -> Result<Self, StoreError> {
        let Ok(file) = lock_file(database, OPEN) else { return Ok(Self { _lock: None }) };
        let mut waited = Duration::ZERO;
        loop {
            match file.try_lock_shared() {
                Ok(()) => return Ok(Self { _lock: Some(file) }),
                Err(TryLockError::WouldBlock) if waited < PATIENCE => {
                    tokio::time::sleep(OPENING_PAUSE).await;
                    waited = waited.saturating_add(OPENING_PAUSE);
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(StoreError::Locked { path: database.to_owned() });
                }
                // A file system without locks.
                Err(TryLockError::Error(_)) => return Ok(Self { _lock: None }),
            }
        }
    }

    /// Takes the whole: nobody has the file open, and nobody opens it.
    pub(super) fn shut(database: &Path) -> Result<Self, StoreError> {
        let path = folder(database);
        let failed = |source| StoreError::Copy { doing: "locking in", path: path.clone(), source };
        let file = lock_file(database, OPEN).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _lock: Some(file) }),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: database.to_owned() }),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

/// Beside the locks of jobs, which have no name that begins with a full stop.
const OPEN: &str = ".open";

/// `daicho.db-locks` beside `daicho.db`.
fn folder(database: &Path) -> PathBuf {
    let mut folder = database.as_os_str().to_owned();
    folder.push("-locks");
    PathBuf::from(folder)
}

/// Opens the file of the lock of that name for a database, and makes it where it is not there, in a
/// folder beside the database. What root makes belongs to whom the database belongs, who is to make
/// locks there too.
///
/// # Errors
///
/// What the system says.
pub fn lock_file(database: &Path, name: &str) -> io::Result<File> {
    let folder = folder(database);
    fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{name}.lock"));
    let opened = File::options().create(true).truncate(false).write(true).open(&path);
    let file = match opened {
        // Somebody else made it, and a lock needs no more than this.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => File::open(&path)?,
        opened => opened?,
    };
    if let Some(owner) = owner(database) {
        // Only root may, and nobody else needs to.
        if ids(&fs::metadata(&folder)?) != owner {
            let _ = chown(&folder, Some(owner.0), Some(owner.1));
        }
        if ids(&file.metadata()?) != owner {
            let _ = fchown(&file, Some(owner.0), Some(owner.1));
        }
    }
    Ok(file)
}

/// Whose the database is, or should be: that of its folder, where there is none.
pub(super) fn owner(database: &Path) -> Option<(u32, u32)> {
    let of = |path: &Path| fs::metadata(path).ok().map(|found| ids(&found));
    let folder = database.parent().filter(|folder| !folder.as_os_str().is_empty());
    of(database).or_else(|| of(folder.unwrap_or_else(|| Path::new("."))))
}

fn ids(found: &fs::Metadata) -> (u32, u32) {
    (found.uid(), found.gid())
}
