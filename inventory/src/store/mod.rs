//! The inventory on disk: one SQLite file, and the only SQL of the workspace.
//!
//! What is stored and why it is stored so stands in `docs/database.md` and in the
//! migrations. This module turns values into rows and rows into values, in transactions; it
//! concludes nothing. Conclusions are asked of `identity`, `compare` and `finding`, which
//! know nothing of SQL, and the time is handed in.
//!
//! One connection writes, a few read. In WAL mode readers never wait for the writer, and
//! writers of several processes wait for each other: every write begins with
//! `BEGIN IMMEDIATE`, which is the only lock request that SQLite lets wait safely.

use std::{
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sqlx::{
    ConnectOptions, Connection, SqliteConnection, SqlitePool,
    pool::PoolConnection,
    sqlite::{Sqlite, SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::{Mutex, MutexGuard};

mod alert;
mod assets;
mod audit;
mod backup;
mod beside;
mod calendar;
mod cells;
mod certificate;
mod conclude;
mod dangling;
mod decision;
mod digest;
mod door;
mod download;
mod error;
mod event;
mod file;
mod finding;
mod insert;
mod job;
mod leaf;
pub mod list;
mod load;
mod merge;
mod migrate;
mod observation;
mod openid;
mod outbox;
mod page;
mod part;
mod plot;
mod portrait;
mod prune;
mod reading;
mod register;
mod restore;
mod review;
mod route;
mod save;
mod saved;
mod scan;
mod session;
mod size;
mod stapled;
mod user;
mod verdict;
mod view;
mod writer;

pub use audit::Verified;
pub use backup::{Existing, Sound, inspect};
pub use calendar::{DayCount, Ending};
pub use certificate::{CertificateDossier, Concluded, StoredCertificate};
pub use dangling::Dangling;
pub use decision::Rule;
pub use digest::Digest;
pub use door::lock_file;
pub use error::StoreError;
pub use finding::StoredFinding;
pub use leaf::Leaf;
pub use merge::Merge;
pub use observation::{StoredObservation, Written};
pub use openid::Arrival;
pub use page::{Changes, PageProcess, ScanProgress};
pub use plot::{Junction, Plot, Sheet};
pub use portrait::{Part, Place, Portrait, Stroke};
pub use prune::{Counts, Keep, Outside, Pruned, Room};
pub use register::{RegisterSource, RegisterSummary, Replaces, StoredRegister};
pub use restore::{Restored, restore};
pub use review::{Compared, Offset, Policy, ReviewSummary, Thresholds};
pub use saved::{MOST_VIEWS, SavedView, View};
pub use scan::StoredScan;
pub use session::{Origin, Use};
pub use size::Size;
pub use view::{Dossier, Health};
pub use writer::{Sink, Writer, WriterReport};

use crate::audit::Actor;
use door::Door;
use migrate::{KNOWN, MIGRATIONS, State};

/// How long a writer waits for another before it gives up. Our own transactions take well
/// under a second, so reaching this means that a foreign program holds the file.
const PATIENCE: Duration = Duration::from_secs(60);

/// Readers at once: one command needs one, the web pages a few.
const READERS: u32 = 4;

/// What a command is going to do with the database.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OpenMode {
    /// Write, and make the database where there is none.
    ReadWrite,
    /// Read what is there.
    ReadOnly,
}

/// The database, open. Copies share it.
#[derive(Clone, Debug)]
pub struct Store {
    path: Arc<Path>,
    /// `None` where it was opened for reading only.
    writer: Option<Arc<Mutex<SqliteConnection>>>,
    readers: SqlitePool,
    /// Who does what this copy is told to do.
    actor: Arc<Actor>,
    /// What lists are found in.
    lists: Arc<list::Hold>,
    /// Keeps the file from being replaced while it is open.
    _door: Arc<Door>,
}

impl Store {
    /// Opens the database at `path`, and with [`OpenMode::ReadWrite`] makes it and its folder
    /// where they do not exist. An older schema is brought up to date in either mode, because
    /// it cannot be read otherwise.
    ///
    /// On a read-only file system a database can be read where its write-ahead log is folded
    /// in, which it is as soon as the last command has closed it.
    ///
    /// # Errors
    ///
    /// Says what the file is instead, or what the system refused.
    pub async fn open(path: impl AsRef<Path>, mode: OpenMode) -> Result<Self, StoreError> {
        let path = path.as_ref();
        // SQLite would open it and fail at the first read, as if the disk were broken.
        if path.is_dir() {
            return Err(StoreError::IsFolder { path: path.to_owned() });
        }
        if mode == OpenMode::ReadOnly {
            let (state, medium) = look(path).await?;
            match state {
                State::Version(KNOWN) => {
                    let door = Door::enter(path).await?;
                    return Ok(Self::new(path, None, medium, door));
                }
                State::Empty => return Err(StoreError::NoDatabase { path: path.to_owned() }),
                State::NotOurs => return Err(StoreError::NotOurs { path: path.to_owned() }),
                State::Version(found) if found > KNOWN => return Err(newer(path, found)),
                State::Version(_) => {}
            }
        } else if path.exists() && matches!(look(path).await, Ok((State::NotOurs, _))) {
            // Nothing is laid beside a file of somebody else.
            return Err(StoreError::NotOurs { path: path.to_owned() });
        }
        make_folder(path)?;
        make_for_owner(path);
        let door = Door::enter(path).await?;
        let writer = prepare(path).await?;
        let writer = (mode == OpenMode::ReadWrite).then(|| Arc::new(Mutex::new(writer)));
        Ok(Self::new(path, writer, Medium::Writable, door))
    }

    fn new(
        path: &Path,
        writer: Option<Arc<Mutex<SqliteConnection>>>,
        medium: Medium,
        door: Door,
    ) -> Self {
        let options = reading(path, medium)
            // A row that crosses to our thread by itself costs two wake-ups.
            .row_buffer_size(1024);
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(PATIENCE)
            .connect_lazy_with(options);
        let actor = Arc::new(Actor::program());
        let lists = Arc::default();
        Self { path: path.into(), writer, readers, actor, lists, _door: Arc::new(door) }
    }

    /// The same store for somebody: what is decided through it is decided by them. Without, it is
    /// the program.
    #[must_use]
    pub fn acting(mut self, actor: Actor) -> Self {
        self.actor = Arc::new(actor);
        self
    }

    fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Where the database is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Closes every connection, which folds the write-ahead log into the file. A store that
    /// is dropped instead loses nothing; the log is then folded in the next time.
    pub async fn close(self) {
        self.readers.close().await;
        if let Some(writer) = self.writer.and_then(Arc::into_inner) {
            // The data is safe in the log already, so there is nothing to report.
            let _ = writer.into_inner().close().await;
        }
    }

    /// The writing connection, for one transaction.
    async fn writer(&self) -> Result<MutexGuard<'_, SqliteConnection>, StoreError> {
        let Some(writer) = &self.writer else {
            return Err(StoreError::OpenedForReading { path: self.path.to_path_buf() });
        };
        let mut connection = writer.lock().await;
        // On a full disk SQLite takes a transaction back by itself, whose end the connection waits
        // for ever after. One that was given up is taken back once it comes to that.
        if connection.is_in_transaction() {
            let failed = self.failed("opening");
            connection.ping().await.map_err(&failed)?;
            if connection.is_in_transaction() {
                *connection = options(&self.path).connect().await.map_err(&failed)?;
            }
        }
        Ok(connection)
    }

    /// A connection that reads.
    async fn reader(&self) -> Result<PoolConnection<Sqlite>, StoreError> {
        self.readers.acquire().await.map_err(self.failed("opening a reader"))
    }

    /// Turns what SQLite says into the situation that it means.
    fn failed(&self, doing: &'static str) -> impl Fn(sqlx::Error) -> StoreError + '_ {
        move |source| StoreError::of(&self.path, doing, source)
    }
}

/// Begins a transaction that already holds the right to write, so that nothing it does
/// later can fail because another writes.
const BEGIN_WRITE: &str = "BEGIN IMMEDIATE";

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(PATIENCE)
        // They guard against our own mistakes alone, as assertions do, and cost a tenth of all
        // writing: every row is looked up that a new one names. `doctor` looks, too.
        .foreign_keys(cfg!(debug_assertions))
        // Of a new file, in bytes. Half as many pages to write and to find one's way through,
        // while a row changed somewhere costs a write of that size.
        .page_size(8192)
        // In WAL mode NORMAL never corrupts; a power cut may take the last moments.
        .synchronous(SqliteSynchronous::Normal)
        // In KiB, taken as it is needed: the pages that a large import changes, which would
        // else go to the log and come back several times before they are complete.
        .pragma("cache_size", "-32000")
        // In pages. A large import would else be folded in, and waited for until it is on the
        // disk, after each of its transactions instead of once when the file is closed.
        .pragma("wal_autocheckpoint", "16384")
        // As many bytes: what is left of the log after that.
        .pragma("journal_size_limit", "67108864")
        .disable_statement_logging()
}

/// Where the file is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Medium {
    /// Where others may write it while we read.
    Writable,
    /// On a read-only file system.
    ReadOnly,
}

fn reading(path: &Path, medium: Medium) -> SqliteConnectOptions {
    // Readers of a write-ahead log share an index in a file, which cannot be made there and
    // is not needed where nobody writes.
    options(path).read_only(true).immutable(medium == Medium::ReadOnly)
}

/// What is at `path`, without changing it.
async fn look(path: &Path) -> Result<(State, Medium), StoreError> {
    if !path.exists() {
        return Err(StoreError::NoDatabase { path: path.to_owned() });
    }
    let failed = |source| StoreError::of(path, "opening", source);
    match try_look(path, Medium::Writable).await {
        Ok(state) => Ok((state, Medium::Writable)),
        Err(error) if cannot_open(&error) && is_on_read_only_medium(path) => {
            // What is in the log is the newest, so to read on without it would be to lie.
            if has_log(path) {
                return Err(StoreError::LogOnReadOnly { path: path.to_owned() });
            }
            let state = try_look(path, Medium::ReadOnly).await.map_err(failed)?;
            Ok((state, Medium::ReadOnly))
        }
        Err(error) => Err(failed(error)),
    }
}

async fn try_look(path: &Path, medium: Medium) -> sqlx::Result<State> {
    let mut connection = reading(path, medium).connect().await?;
    let state = migrate::state(&mut connection).await?;
    // Nothing was written, so closing has nothing to lose.
    let _ = connection.close().await;
    Ok(state)
}

fn cannot_open(error: &sqlx::Error) -> bool {
    error::primary_code(error) == Some(error::SQLITE_CANTOPEN)
}

/// Whether the file is on a read-only file system, and not only closed to this user: then
/// somebody else may write it. The system is asked by opening the file, which changes nothing.
fn is_on_read_only_medium(path: &Path) -> bool {
    let opened = std::fs::OpenOptions::new().write(true).open(path);
    opened.is_err_and(|error| error.kind() == std::io::ErrorKind::ReadOnlyFilesystem)
}

/// Whether something is still in the write-ahead log alone.
fn has_log(path: &Path) -> bool {
    log_bytes(path) > 0
}

/// The size of the write-ahead log, 0 where there is none.
fn log_bytes(path: &Path) -> u64 {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(log).map_or(0, |log| log.len())
}

/// A log that is worth folding in while something else is done: below, the two times that
/// the disk is waited for are most of it.
const WORTH_FOLDING: u64 = 4 << 20;

/// Folds into the file what is committed, so that less is left to do when it is closed. May
/// run while another connection writes, which then waits for nothing.
async fn fold(path: Arc<Path>) {
    if log_bytes(&path) < WORTH_FOLDING {
        return;
    }
    // Where it fails, closing does it all.
    let Ok(mut connection) = options(&path).connect().await else { return };
    let _ = sqlx::raw_sql("PRAGMA wal_checkpoint(PASSIVE)").execute(&mut connection).await;
    let _ = connection.close().await;
}

/// Makes the folder of a database.
fn make_folder(path: &Path) -> Result<(), StoreError> {
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => std::fs::create_dir_all(folder)
            .map_err(|source| StoreError::Folder { path: folder.to_owned(), source }),
        None => Ok(()),
    }
}

/// Makes the file of a new database, which nobody else may read: it has what is wrong where. SQLite
/// gives its log and what it shares the same. A file that is there keeps whom it is open to. It is
/// made as the folder's owner's, where somebody else may do so: what root begins in a service's folder
/// the service goes on with.
fn make_for_owner(path: &Path) {
    let Some((user, group)) = door::owner(path).filter(|_| !path.exists()) else { return };
    let mut options = std::fs::OpenOptions::new();
    // Where it cannot be made SQLite says why.
    if let Ok(file) = options.write(true).create_new(true).mode(0o600).open(path)
        && file.metadata().is_ok_and(|own| (own.uid(), own.gid()) != (user, group))
    {
        let _ = std::os::unix::fs::fchown(file, Some(user), Some(group));
    }
}

/// Opens for writing, makes or updates the schema, and turns on the write-ahead log.
async fn prepare(path: &Path) -> Result<SqliteConnection, StoreError> {
    let failed = |source| StoreError::of(path, "opening", source);
    let mut waited = Duration::ZERO;
    loop {
        match try_prepare(path).await {
            Ok((connection, State::Version(KNOWN))) => return Ok(connection),
            Ok((_, State::Version(found))) => return Err(newer(path, found)),
            Ok((_, State::NotOurs | State::Empty)) => {
                return Err(StoreError::NotOurs { path: path.to_owned() });
            }
            // Turning on the log and folding it back need the file alone for a moment, and
            // SQLite does not wait for that by itself. Another of our commands is at it.
            Err(error) if busy(&error) && waited < PATIENCE => {
                tokio::time::sleep(OPENING_PAUSE).await;
                waited = waited.saturating_add(OPENING_PAUSE);
            }
            Err(error) if cannot_open(&error) && is_on_read_only_medium(path) => {
                return Err(StoreError::ReadOnly { path: path.to_owned() });
            }
            Err(error) => return Err(failed(error)),
        }
    }
}

/// Between two attempts to open a file that another command is opening or closing.
const OPENING_PAUSE: Duration = Duration::from_millis(20);

async fn try_prepare(path: &Path) -> sqlx::Result<(SqliteConnection, State)> {
    let mut connection = options(path).create_if_missing(true).connect().await?;
    let before = migrate::state(&mut connection).await?;
    // Another program's file is not even switched to WAL.
    if !matches!(before, State::Empty | State::Version(..=KNOWN)) {
        return Ok((connection, before));
    }
    sqlx::raw_sql("PRAGMA journal_mode = WAL").execute(&mut connection).await?;
    let state = migrate::migrate(&mut connection, MIGRATIONS).await?;
    Ok((connection, state))
}

fn busy(error: &sqlx::Error) -> bool {
    error::primary_code(error) == Some(error::SQLITE_BUSY)
}

fn newer(path: &Path, found: i64) -> StoreError {
    StoreError::Newer { path: PathBuf::from(path), found, known: KNOWN }
}
