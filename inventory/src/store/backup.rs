//! A copy of the database for safekeeping, made while it is written.
//!
//! SQLite copies one snapshot into a new file (`VACUUM INTO`): readers and writers go on, and the
//! copy has no log beside it and no empty pages in it. It is written under another name, looked
//! through, put on the disk, and only then called what it should be called: what has the name is
//! whole.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};

use super::{
    Dangling, KNOWN, Medium, Store, StoreError, audit, dangling::dangling, migrate, migrate::State,
    newer, reading,
};
use crate::audit::Chain;

/// What to do where there is a file of that name already.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Existing {
    /// Leave it, and refuse.
    Keep,
    /// Replace it, once the new one is whole.
    Overwrite,
}

/// A copy that was looked through: whole, ours, and as it was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sound {
    /// Its size.
    pub bytes: u64,
    /// Its schema version.
    pub schema: i64,
    /// The chain of the audit in it.
    pub audit: Chain,
    /// What in it refers to nothing, as it did in what was copied.
    pub dangling: Vec<Dangling>,
}

/// Only whoever makes a copy may read it: what is in it tells where the weak places are.
pub(super) const PRIVATE: u32 = 0o600;

impl Store {
    /// Copies the database, as it is now, into a file. Whoever writes meanwhile goes on.
    ///
    /// # Errors
    ///
    /// Where there is such a file and it may not be replaced, where there is no room, or where
    /// what was written does not come out sound. Then nothing has the name.
    pub async fn backup(&self, to: &Path, existing: Existing) -> Result<Sound, StoreError> {
        let exists = || StoreError::BackupExists { path: to.to_owned() };
        if existing == Existing::Keep && to.exists() {
            return Err(exists());
        }
        let partial = Partial::begin(to)?;
        let mut reader = self.reader().await?;
        sqlx::query("VACUUM INTO $1")
            .bind(partial.path.to_string_lossy().into_owned())
            .execute(&mut *reader)
            .await
            .map_err(|source| StoreError::of(&partial.path, "writing the backup", source))?;
        drop(reader);
        let sound = inspect(&partial.path).await?;
        partial.finish(to, existing)?;
        Ok(sound)
    }
}

/// Looks a copy of a database through without changing it or anything beside it.
///
/// # Errors
///
/// Where it is not ours, is newer than this program, is damaged, or its audit does not hold.
pub async fn inspect(path: &Path) -> Result<Sound, StoreError> {
    let failed = |source| StoreError::of(path, "checking the copy", source);
    // Nobody writes a copy, so that no log and no index of one is looked for or made.
    let mut connection = reading(path, Medium::ReadOnly).connect().await.map_err(failed)?;
    let sound = examine(&mut connection, path).await;
    // Nothing was written, so closing has nothing to lose.
    let _ = connection.close().await;
    sound
}

/// The same of an open one.
pub(super) async fn examine(
    connection: &mut SqliteConnection,
    path: &Path,
) -> Result<Sound, StoreError> {
    let failed = |source| StoreError::of(path, "checking the copy", source);
    let unsound = |problem| StoreError::Unsound { path: path.to_owned(), problem };
    let schema = match migrate::state(connection).await.map_err(failed)? {
        State::Version(found) if found > KNOWN => return Err(newer(path, found)),
        State::Version(found) => found,
        State::Empty => return Err(unsound("it is empty".to_owned())),
        State::NotOurs => return Err(unsound("it is not a Daicho database".to_owned())),
    };
    let problems: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check(3)")
        .fetch_all(&mut *connection)
        .await
        .map_err(failed)?;
    if problems != ["ok"] {
        return Err(unsound(problems.join("; ")));
    }
    // No reason to be without a copy: it is as good as what was copied.
    let dangling = dangling(connection).await.map_err(failed)?;
    let (bytes, has_audit): (i64, bool) = sqlx::query_as(
        "SELECT (SELECT page_count * page_size FROM pragma_page_count, pragma_page_size),
             EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'audit')",
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(failed)?;
    let mut chain = Chain::default();
    // Older than the audit is one that has none.
    if has_audit {
        let verified = audit::follow(connection, None).await.map_err(failed)?;
        if let Some(broken) = verified.broken {
            return Err(unsound(format!("its audit is broken: {broken}")));
        }
        chain = verified.chain;
    }
    Ok(Sound { bytes: bytes.unsigned_abs(), schema, audit: chain, dangling })
}

/// A file on its way, which is gone again unless it is finished.
pub(super) struct Partial {
    pub(super) path: PathBuf,
    file: File,
}

impl Partial {
    /// Makes an empty file beside where the copy should be. One that a killed program left is
    /// taken over.
    pub(super) fn begin(to: &Path) -> Result<Self, StoreError> {
        let mut path = to.as_os_str().to_owned();
        path.push(".partial");
        let path = PathBuf::from(path);
        let failed = |source| StoreError::Copy { doing: "writing", path: path.clone(), source };
        let file = open_own(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::BackupUnderWay { path: to.to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        file.set_len(0).map_err(failed)?;
        // What a killed program wrote of another copy would be taken for a part of this one.
        remove_log(&path).map_err(failed)?;
        Ok(Self { path, file })
    }

    /// Puts the file on the disk and gives it its name.
    fn finish(self, to: &Path, existing: Existing) -> Result<(), StoreError> {
        let failed = |source| StoreError::Copy { doing: "writing", path: to.to_owned(), source };
        self.sync()?;
        match existing {
            Existing::Overwrite => {
                remove_log(to).map_err(failed)?;
                fs::rename(&self.path, to).map_err(failed)?;
            }
            // A link never replaces a file that came in the meantime.
            Existing::Keep => match fs::hard_link(&self.path, to) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    return Err(StoreError::BackupExists { path: to.to_owned() });
                }
                // A file system without links.
                Err(_) => fs::rename(&self.path, to).map_err(failed)?,
            },
        }
        sync_folder(to).map_err(failed)
    }

    /// Gives the file the owner and the permissions of the database in whose place it comes, or the
    /// owner of the folder: who restores it as root is not who opens it.
    pub(super) fn be_like(&self, database: &Path) -> Result<(), StoreError> {
        let failed =
            |source| StoreError::Copy { doing: "writing", path: self.path.clone(), source };
        let (like, mode) = match fs::metadata(database) {
            Ok(old) => (old.clone(), old.mode() & 0o777),
            Err(_) => (fs::metadata(folder(database)).map_err(failed)?, PRIVATE),
        };
        let own = self.file.metadata().map_err(failed)?;
        if (own.uid(), own.gid()) != (like.uid(), like.gid()) {
            fchown(&self.file, Some(like.uid()), Some(like.gid())).map_err(failed)?;
        }
        self.file.set_permissions(fs::Permissions::from_mode(mode)).map_err(failed)
    }

    pub(super) fn sync(&self) -> Result<(), StoreError> {
        let failed =
            |source| StoreError::Copy { doing: "writing", path: self.path.clone(), source };
        self.file.sync_all().map_err(failed)
    }
}

/// Opens a file to be written that is nowhere else under another name, or makes it: whoever owns the
/// folder may lay links there, and root is not to write through them, nor to give away what they
/// lead to.
pub(super) fn open_own(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(PRIVATE)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    let found = file.metadata()?;
    if !found.is_file() || found.nlink() > 1 {
        return Err(io::Error::other("there is something else in the place of this file"));
    }
    Ok(file)
}

/// Removes what SQLite keeps beside a database.
fn remove_log(database: &Path) -> io::Result<()> {
    for end in ["-wal", "-shm", "-journal"] {
        let mut path = database.as_os_str().to_owned();
        path.push(end);
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After a rename there is nothing under this name any more.
        let _ = fs::remove_file(&self.path);
    }
}

/// Puts the names of a folder on the disk.
pub(super) fn sync_folder(file: &Path) -> io::Result<()> {
    File::open(folder(file))?.sync_all()
}

fn folder(file: &Path) -> &Path {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or_else(|| Path::new("."))
}
