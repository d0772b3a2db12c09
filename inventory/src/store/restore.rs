//! A backup in place of the database.
//!
//! Everything that can fail is done to a copy of the backup beside the database: it is looked
//! through, brought up to date, and told in its own audit. Then nobody else has the database open,
//! the old file keeps another name, and the new one takes its place in one step.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};

use super::{
    BEGIN_WRITE, StoreError, audit,
    backup::{self, Partial, Sound, sync_folder},
    busy,
    door::Door,
    log_bytes, make_folder, migrate,
    migrate::State,
    options, prepare,
};
use crate::audit::{Action, Actor};
use model::Timestamp;

/// What became of a restoration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Restored {
    /// The backup, as it was found.
    pub backup: Sound,
    /// Where the database is that was there before, if one was.
    pub old: Option<PathBuf>,
}

/// Puts a backup in the place of a database, which is kept beside it.
///
/// # Errors
///
/// Where the backup is not ours, newer, or not sound; where anybody has the database open; where
/// there is no room. Then the database is as it was.
pub async fn restore(
    database: &Path,
    from: &Path,
    actor: &Actor,
    at: Timestamp,
) -> Result<Restored, StoreError> {
    make_folder(database)?;
    // A name that only leads to it stays one.
    let real = fs::canonicalize(database);
    let database = real.as_deref().unwrap_or(database);
    // First of all, so that a long copy is not made for nothing.
    let _door = Door::shut(database)?;
    let has_old = database.exists();
    if has_old {
        set_old_aside(database).await?;
    }
    let partial = Partial::begin(database)?;
    copy(from, &partial.path)?;
    // A copy of a file that was in use has its newest part in its log.
    let (from_log, log) = (beside(from, "-wal"), beside(&partial.path, "-wal"));
    if log_bytes(from) > 0 {
        copy(&from_log, &log)?;
    }
    let made = make_ready(&partial.path, from, actor, at).await;
    for left in ["-wal", "-shm"] {
        let _ = fs::remove_file(beside(&partial.path, left));
    }
    let sound = made?;
    partial.be_like(database)?;
    partial.sync()?;
    let old = has_old.then(|| old_name(database, at));
    if let Some(old) = &old {
        let failed = |source| StoreError::Copy {
            doing: "keeping the old database as",
            path: old.clone(),
            source,
        };
        // A second name, so that at no moment the database has none.
        fs::hard_link(database, old).map_err(failed)?;
        // What could not be folded in: the file is damaged, and who repairs it may want both.
        match fs::rename(beside(database, "-wal"), beside(old, "-wal")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let _ = fs::remove_file(beside(database, "-shm"));
    }
    let failed =
        |source| StoreError::Copy { doing: "replacing", path: database.to_owned(), source };
    fs::rename(&partial.path, database).map_err(failed)?;
    sync_folder(database).map_err(failed)?;
    Ok(Restored { backup: sound, old })
}

/// Folds the log of the old database in, so that the file is the whole of it, and makes sure that
/// no other program has it open.
async fn set_old_aside(database: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::of(database, "closing the old database", source);
    // Nobody of ours is there to be waited for.
    let options = options(database).busy_timeout(std::time::Duration::ZERO);
    let folded = async {
        let mut connection = options.connect().await?;
        let state = migrate::state(&mut connection).await?;
        if state != State::NotOurs {
            // This needs the file alone, and takes the log away.
            sqlx::raw_sql("PRAGMA journal_mode = DELETE").execute(&mut connection).await?;
        }
        connection.close().await?;
        Ok::<_, sqlx::Error>(state)
    };
    match folded.await {
        Ok(State::NotOurs) => Err(StoreError::NotOurs { path: database.to_owned() }),
        Ok(State::Empty | State::Version(_)) => Ok(()),
        Err(error) if busy(&error) => Err(StoreError::InUse { path: database.to_owned() }),
        // Damaged, which is why somebody restores it.
        Err(error) => match failed(error) {
            StoreError::Corrupt { .. } | StoreError::NotOurs { .. } | StoreError::Disk { .. } => {
                Ok(())
            }
            error => Err(error),
        },
    }
}

/// Looks the copy through, brings it up to date, and notes in it whence it came.
async fn make_ready(
    copy: &Path,
    from: &Path,
    actor: &Actor,
    at: Timestamp,
) -> Result<Sound, StoreError> {
    let named = |error| match error {
        // Whoever reads this knows the backup by its own name.
        StoreError::Unsound { path: _, problem } => {
            StoreError::Unsound { path: from.to_owned(), problem }
        }
        StoreError::Newer { path: _, found, known } => {
            StoreError::Newer { path: from.to_owned(), found, known }
        }
        StoreError::NotOurs { path: _ } | StoreError::Corrupt { .. } => StoreError::Unsound {
            path: from.to_owned(),
            problem: "it is damaged, or no database at all".to_owned(),
        },
        error => error,
    };
    let failed = |source| StoreError::of(copy, "restoring the backup", source);
    let mut found = options(copy).connect().await.map_err(failed).map_err(named)?;
    let sound = backup::examine(&mut found, copy).await.map_err(named)?;
    found.close().await.map_err(failed)?;
    let mut connection = prepare(copy).await.map_err(named)?;
    note(&mut connection, from, &sound, actor, at).await.map_err(failed)?;
    sqlx::raw_sql("PRAGMA journal_mode = DELETE").execute(&mut connection).await.map_err(failed)?;
    connection.close().await.map_err(failed)?;
    Ok(sound)
}

async fn note(
    connection: &mut SqliteConnection,
    from: &Path,
    sound: &Sound,
    actor: &Actor,
    at: Timestamp,
) -> sqlx::Result<()> {
    let mut transaction = connection.begin_with(BEGIN_WRITE).await?;
    let done = audit::Done {
        at,
        who: actor.to_string(),
        action: Action::Restore,
        subject: from.display().to_string(),
        detail: format!("{} bytes, schema {}", sound.bytes, sound.schema),
        reason: "",
    };
    audit::append(&mut transaction, done).await?;
    transaction.commit().await
}

fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::Copy { doing: "reading", path: from.to_owned(), source };
    let mut from = File::open(from).map_err(failed)?;
    // Into the file that is there, or is made so that nobody else reads it.
    let mut to = backup::open_own(to).map_err(failed)?;
    to.set_len(0).map_err(failed)?;
    io::copy(&mut from, &mut to).map_err(failed)?;
    Ok(())
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// `daicho.db.before-20261127T113600Z`.
fn old_name(database: &Path, at: Timestamp) -> PathBuf {
    let moment: String = at.to_string().chars().filter(char::is_ascii_alphanumeric).collect();
    beside(database, &format!(".before-{moment}"))
}
