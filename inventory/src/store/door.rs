//! The door of the database: who has the file open holds a share of a lock beside it, and who
//! replaces the file takes the whole.
//!
//! SQLite's own locks are of no use here: who opens the file by its name after it was replaced, and
//! who had it open before, would write two files with one log. The system lets go of the lock
//! when a process ends, however it ends.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, fchown},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::{CWD, Mode, OFlags, openat};

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
        Ok(Self { _lock: wait_for(file, File::try_lock_shared, PATIENCE, database).await? })
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

/// Waits for a lock of a database, for so long. `None` on a file system without locks.
pub(super) async fn wait_for(
    file: File,
    lock: fn(&File) -> Result<(), TryLockError>,
    patience: Duration,
    database: &Path,
) -> Result<Option<File>, StoreError> {
    let mut waited = Duration::ZERO;
    loop {
        match lock(&file) {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) if waited < patience => {
                tokio::time::sleep(OPENING_PAUSE).await;
                waited = waited.saturating_add(OPENING_PAUSE);
            }
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Locked { path: database.to_owned() });
            }
            Err(TryLockError::Error(_)) => return Ok(None),
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
/// Whoever owns the folder of the database may lay links there: none is followed, and only what
/// this very call made is given away.
///
/// # Errors
///
/// What the system says.
pub fn lock_file(database: &Path, name: &str) -> io::Result<File> {
    let path = folder(database);
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent)?;
    }
    let mode = mode_of_folder(database);
    let made_folder = match fs::DirBuilder::new().mode(mode).create(&path) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
        Err(error) => return Err(error),
    };
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = File::from(openat(CWD, &path, OFlags::RDONLY | flags, Mode::empty())?);
    if made_folder {
        // What is asked for when it is made, the process's own mask makes less of.
        folder.set_permissions(fs::Permissions::from_mode(mode))?;
    }
    let name = format!("{name}.lock");
    let open = |flags: OFlags| -> io::Result<File> {
        // A pipe in its place keeps nobody waiting.
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o666);
        Ok(File::from(openat(&folder, name.as_str(), flags, mode)?))
    };
    let (file, made_file) = match open(OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL) {
        Ok(file) => (file, true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let file = match open(OFlags::WRONLY) {
                // Somebody else made it, and a lock needs no more than this.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    open(OFlags::RDONLY)?
                }
                opened => opened?,
            };
            (file, false)
        }
        // Likewise in somebody else's folder.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            (open(OFlags::RDONLY)?, false)
        }
        Err(error) => return Err(error),
    };
    if let Some(owner) = owner(database) {
        // Only root may, and nobody else needs to.
        for (made, what) in [(made_folder, &folder), (made_file, &file)] {
            if made && ids(&what.metadata()?) != owner {
                let _ = fchown(what, Some(owner.0), Some(owner.1));
            }
        }
    }
    Ok(file)
}

/// Whoever may read or write the database may do so with its locks, and nobody else.
fn mode_of_folder(database: &Path) -> u32 {
    let mode = fs::metadata(database).map_or(0o600, |found| found.mode() & 0o666);
    // To look into a folder is what reading a file is.
    mode | (mode & 0o444) >> 2
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{chown, symlink};

    use super::*;
    use crate::store::{OpenMode, Store};

    /// Somebody who owns the folder of a database, whose commands root runs.
    const SERVICE: u32 = 65_534;

    fn of(path: &Path) -> u32 {
        fs::metadata(path).unwrap().uid()
    }

    #[tokio::test]
    async fn a_new_database_is_nobody_elses_to_read_and_one_for_a_group_stays_so() {
        let home = tempfile::tempdir().unwrap();
        let database = home.path().join("daicho.db");
        let mode = |end: &str| {
            let path = home.path().join(format!("daicho.db{end}"));
            fs::metadata(&path).unwrap_or_else(|error| panic!("{end}: {error}")).mode() & 0o777
        };
        let store = Store::open(&database, OpenMode::ReadWrite).await.unwrap();
        assert_eq!(["", "-wal", "-shm", "-locks"].map(mode), [0o600, 0o600, 0o600, 0o700]);
        store.close().await;
        fs::set_permissions(&database, fs::Permissions::from_mode(0o660)).unwrap();
        fs::remove_dir_all(home.path().join("daicho.db-locks")).unwrap();
        let store = Store::open(&database, OpenMode::ReadWrite).await.unwrap();
        assert_eq!(["", "-wal", "-shm", "-locks"].map(mode), [0o660, 0o660, 0o660, 0o770]);
        store.close().await;
    }

    #[test]
    fn what_root_makes_is_given_away_and_nothing_else_is_whatever_links_lie_there() {
        let home = tempfile::tempdir().unwrap();
        let database = home.path().join("data/daicho.db");
        let locks = home.path().join("data/daicho.db-locks");
        fs::create_dir(home.path().join("data")).unwrap();
        // Without the right to, nothing can be given away at all.
        chown(home.path().join("data"), Some(SERVICE), Some(SERVICE)).unwrap();
        let (secret, secrets) = (home.path().join("secret"), home.path().join("secrets"));
        fs::write(&secret, "").unwrap();
        fs::create_dir(&secrets).unwrap();

        symlink(&secrets, &locks).unwrap();
        lock_file(&database, "look").unwrap_err();
        assert_eq!((of(&secrets), fs::read_dir(&secrets).unwrap().count()), (0, 0));

        fs::remove_file(&locks).unwrap();
        lock_file(&database, "look").unwrap();
        assert_eq!((of(&locks), of(&locks.join("look.lock"))), (SERVICE, SERVICE));

        symlink(&secret, locks.join("other.lock")).unwrap();
        lock_file(&database, "other").unwrap_err();
        fs::hard_link(&secret, locks.join("third.lock")).unwrap();
        lock_file(&database, "third").unwrap();
        assert_eq!(of(&secret), 0);
    }
}
