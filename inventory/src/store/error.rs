use std::{io, path::PathBuf};

use model::ScanId;
use thiserror::Error;

use crate::{
    approval::{DecisionId, ProposalError},
    asset::AssetId,
    finding::{AcceptError, ReopenError},
    register::RegisterKind,
};

/// The database could not do what was asked.
///
/// Each variant is one situation with one way out, and its text says both. None repeats
/// its source: whoever prints the error walks the chain.
#[derive(Debug, Error)]
pub enum StoreError {
    /// A page of a list was told to begin at no place in it.
    #[error(transparent)]
    Cursor(super::list::CursorError),
    /// A command that only reads found no database.
    #[error("there is no database at {path} yet: run a sweep first, or name another with --db", path = path.display())]
    NoDatabase {
        /// Where it should be.
        path: PathBuf,
    },
    /// The folder of a new database could not be made.
    #[error("cannot make the folder {path} for the database", path = path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is a folder in place of the file.
    #[error("{path} is a folder: name a file for the database with --db", path = path.display())]
    IsFolder {
        /// The folder.
        path: PathBuf,
    },
    /// The system would not open the file.
    #[error(
        "cannot open the database {path}: check that this user may read and write it and its \
         folder",
        path = path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: sqlx::Error,
    },
    /// The file, its folder or its file system may not be written.
    #[error(
        "the database {path} or its folder is read-only: give this user write access to both, or \
         name another with --db",
        path = path.display()
    )]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// The file is on a read-only file system, and the newest of it still in its log.
    #[error(
        "the database {path} is on a read-only file system and the newest of it is still in its \
         -wal file, which cannot be read there: copy both files to where this user may write, \
         and name the copy with --db",
        path = path.display()
    )]
    LogOnReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// The file holds something else.
    #[error(
        "{path} is not a Daicho database: name another file with --db, or move this one away",
        path = path.display()
    )]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// A newer Daicho wrote the file.
    #[error(
        "the database {path} has schema version {found} and this program knows versions up to \
         {known}: use the newer program that wrote it, or name another database with --db",
        path = path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The newest schema version that this program knows.
        known: i64,
    },
    /// The file is damaged.
    #[error(
        "the database {path} is damaged: restore it from a backup, or move it away (with its \
         -wal file) and sweep again",
        path = path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: sqlx::Error,
    },
    /// There is no room left for the file.
    #[error(
        "no room left for the database {path}: free some space on its file system and run the \
         command again; what was stored before is safe",
        path = path.display()
    )]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// Reading or writing the file failed.
    #[error(
        "reading or writing the database {path} failed: check the disk and the system's log",
        path = path.display()
    )]
    Disk {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: sqlx::Error,
    },
    /// Another program kept the database to itself for longer than we wait.
    #[error(
        "another program has kept the database {path} locked for a minute: close it (a database \
         browser, a backup tool) and run the command again",
        path = path.display()
    )]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// The store was opened for reading only.
    #[error("the database {path} was opened for reading only", path = path.display())]
    OpenedForReading {
        /// The file.
        path: PathBuf,
    },
    /// A statement failed for a reason that is none of the above: an error of ours.
    #[error("{doing} failed in the database {path}", path = path.display())]
    Statement {
        /// The file.
        path: PathBuf,
        /// What we were doing.
        doing: &'static str,
        /// What SQLite said.
        source: sqlx::Error,
    },
    /// A stored value cannot be read back: the file was changed by something else.
    #[error(
        "the database holds {value:?} in {place}, which this program never writes: restore the \
         database from a backup"
    )]
    Content {
        /// The table and column.
        place: &'static str,
        /// The value, cut to a readable length.
        value: String,
    },
    /// Another command has the database open, which so cannot be replaced.
    #[error(
        "the database {path} is in use: stop daicho serve, and wait for the end of other commands \
         (or close the other program that has it open)",
        path = path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// There is a file where a backup should go.
    #[error("{path} exists: name another file, or replace it with --overwrite", path = path.display())]
    BackupExists {
        /// The file.
        path: PathBuf,
    },
    /// A backup is being written there already.
    #[error("another backup is being written to {path}: wait for its end", path = path.display())]
    BackupUnderWay {
        /// Where it goes.
        path: PathBuf,
    },
    /// A copy of the database is not as it should be.
    #[error("the copy {path} is not sound: {problem}", path = path.display())]
    Unsound {
        /// The copy.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A file that belongs to a backup could not be read or written.
    #[error("{doing} {path} failed", path = path.display())]
    Copy {
        /// What we were doing.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no asset of that number.
    #[error("there is no asset {0}")]
    NoAsset(AssetId),
    /// There is no scan of that number.
    #[error("there is no scan {id}", id = .0.0)]
    NoScan(ScanId),
    /// There is no finding of that number.
    #[error("there is no finding {0}")]
    NoFinding(i64),
    /// There is no certificate of that hash.
    #[error("there is no certificate {0}")]
    NoCertificate(String),
    /// There is no saved view of that number, or it is somebody else's.
    #[error("there is no saved view {0}")]
    NoView(i64),
    /// A view of that name is there already.
    #[error("there is a view called {0:?} already")]
    ViewTaken(String),
    /// There is no room for more views.
    #[error("{0} views are the most that one list can have")]
    ManyViews(u32),
    /// The register was replaced since somebody looked at it.
    #[error("the {0} register is from another file now")]
    OtherRegister(RegisterKind),
    /// There is no message of that number.
    #[error("there is no message {0}")]
    NoMessage(i64),
    /// The message is not one that was given up.
    #[error("message {id} is {state}; only one that failed, or waits, can be tried again")]
    NotRetried {
        /// The message.
        id: i64,
        /// What it is instead.
        state: &'static str,
    },
    /// The finding cannot be accepted.
    #[error("finding {id} cannot be accepted")]
    Accept {
        /// The finding.
        id: i64,
        /// Why.
        source: AcceptError,
    },
    /// The acceptance cannot be taken back.
    #[error("finding {id} cannot be reopened")]
    Reopen {
        /// The finding.
        id: i64,
        /// Why.
        source: ReopenError,
    },
    /// The decision cannot be made.
    #[error("nothing was decided")]
    Proposal {
        /// Why.
        source: ProposalError,
    },
    /// There is no decision of that number that could still end.
    #[error("there is no decision {0} that holds or waits")]
    NoDecision(DecisionId),
    /// Two people decided, so that one does not undo it.
    #[error(
        "decision {0} was confirmed by a second person, so nobody takes it back alone: decide anew, and have that confirmed; it ends this one"
    )]
    Confirmed(DecisionId),
    /// Its last day is over.
    #[error("decision {0} would have ended already: decide anew")]
    TooLate(DecisionId),
    /// The decision waits for nobody.
    #[error("decision {0} does not wait for a second person")]
    NotPending(DecisionId),
    /// Who decided cannot be the one who confirms it.
    #[error("decision {id} is {by}'s own: another person has to confirm it")]
    SamePerson {
        /// The decision.
        id: DecisionId,
        /// The person.
        by: String,
    },
    /// The two are one already, or the same.
    #[error("asset {from} and asset {into} are one asset already")]
    AlreadyOne {
        /// The asset to be merged.
        from: AssetId,
        /// The asset to merge it into.
        into: AssetId,
    },
    /// The asset is part of another; the merge must end first.
    #[error("asset {asset} is part of asset {part_of}: split it from there first")]
    AlreadyMerged {
        /// The asset.
        asset: AssetId,
        /// What it was merged into.
        part_of: AssetId,
    },
    /// Addresses at different sites are different addresses.
    #[error("asset {from} and asset {into} are at different sites and cannot be one asset")]
    OtherSite {
        /// The asset to be merged.
        from: AssetId,
        /// The asset to merge it into.
        into: AssetId,
    },
    /// The asset is part of no other.
    #[error(
        "asset {asset} is not part of another, so there is nothing to split{}",
        parts_hint(parts)
    )]
    NotMerged {
        /// The asset.
        asset: AssetId,
        /// The assets that are part of it.
        parts: Vec<AssetId>,
    },
    /// Somebody or something has that name already.
    #[error("there is a {0} already: choose another name")]
    NameTaken(String),
    /// Nobody has that name.
    #[error("there is no user {0}")]
    NoUser(String),
    /// Nobody would be left who may say who may do what.
    #[error("{0} is the only admin: make another one first")]
    LastAdmin(String),
    /// What is asked for is a provider's to decide.
    #[error(
        "{0} signs in by OpenID Connect: it has no password here, and its role follows from what \
         the provider says at each sign-in; change it there"
    )]
    FromProvider(String),
    /// No key of the API has that name.
    #[error("there is no API token {0}")]
    NoToken(String),
    /// The thread that writes observations could not be started.
    #[error("cannot start the thread that writes observations")]
    WriterStart {
        /// What the system said.
        source: io::Error,
    },
    /// The thread that writes observations has ended before its time.
    #[error("the thread that writes observations has stopped")]
    WriterStopped,
}

impl StoreError {
    /// The situation behind what SQLite said while we were `doing` something with `path`.
    pub(super) fn of(path: &std::path::Path, doing: &'static str, source: sqlx::Error) -> Self {
        let path = path.to_owned();
        match primary_code(&source) {
            Some(SQLITE_READONLY) => Self::ReadOnly { path },
            Some(SQLITE_CANTOPEN | SQLITE_PERM) => Self::Open { path, source },
            Some(SQLITE_NOTADB) => Self::NotOurs { path },
            Some(SQLITE_CORRUPT) => Self::Corrupt { path, source },
            Some(SQLITE_FULL) => Self::Full { path },
            Some(SQLITE_IOERR) if is_no_room(&source) => Self::Full { path },
            Some(SQLITE_IOERR) => Self::Disk { path, source },
            Some(SQLITE_BUSY) => Self::Locked { path },
            _ => Self::Statement { path, doing, source },
        }
    }

    /// A stored value that is not what we write.
    pub(super) fn content(place: &'static str, value: impl Into<String>) -> Self {
        let mut value = value.into();
        if let Some((end, _)) = value.char_indices().nth(80) {
            value.truncate(end);
        }
        Self::Content { place, value }
    }
}

fn parts_hint(parts: &[AssetId]) -> String {
    let parts: Vec<String> = parts.iter().map(ToString::to_string).collect();
    match parts.as_slice() {
        [] => String::new(),
        [part] => format!("; its part is {part}, split that"),
        _ => format!("; its parts are {}, split one of those", parts.join(", ")),
    }
}

// Result codes, <https://www.sqlite.org/rescode.html>.
const SQLITE_PERM: i64 = 3;
pub(super) const SQLITE_BUSY: i64 = 5;
const SQLITE_READONLY: i64 = 8;
const SQLITE_IOERR: i64 = 10;
const SQLITE_CORRUPT: i64 = 11;
const SQLITE_FULL: i64 = 13;
pub(super) const SQLITE_CANTOPEN: i64 = 14;
const SQLITE_NOTADB: i64 = 26;

/// The index of the write-ahead log could not be made larger, or not be mapped: on a full file
/// system this fails before any write does, and SQLite tells it as an input/output error.
const SQLITE_IOERR_SHMSIZE: i64 = 10 | (19 << 8);
const SQLITE_IOERR_SHMMAP: i64 = 10 | (21 << 8);

fn is_no_room(error: &sqlx::Error) -> bool {
    matches!(extended_code(error), Some(SQLITE_IOERR_SHMSIZE | SQLITE_IOERR_SHMMAP))
}

fn extended_code(error: &sqlx::Error) -> Option<i64> {
    error.as_database_error()?.code()?.parse().ok()
}

/// The primary result code: the low byte of the extended one that sqlx gives.
pub(super) fn primary_code(error: &sqlx::Error) -> Option<i64> {
    let extended = extended_code(error)?;
    Some(extended & 0xff)
}

#[cfg(test)]
mod tests {
    use std::{path::Path, time::Duration};

    use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};

    use super::*;

    #[tokio::test]
    async fn a_lock_that_is_never_released_is_told_as_such() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("daicho.db");
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .busy_timeout(Duration::ZERO);
        let mut theirs = options.connect().await.unwrap();
        sqlx::raw_sql("BEGIN EXCLUSIVE").execute(&mut theirs).await.unwrap();
        let mut ours = options.connect().await.unwrap();
        let error = sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut ours).await.unwrap_err();
        let error = StoreError::of(&path, "writing", error);
        assert!(matches!(error, StoreError::Locked { .. }), "{error}");
        assert!(error.to_string().contains("close it"), "{error}");
    }

    #[test]
    fn what_sqlite_did_not_say_is_an_error_of_ours() {
        let error = StoreError::of(Path::new("x.db"), "reading", sqlx::Error::RowNotFound);
        assert_eq!(error.to_string(), "reading failed in the database x.db");
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        let error = StoreError::content("entry.content", "台".repeat(500));
        let text = error.to_string();
        assert_eq!(text.matches('台').count(), 80, "{text}");
    }
}
