//! What the processes beside each other tell through the store: how the page's process does, how
//! far a scan is, and whether anything changed.

use std::path::Path;

use model::{ScanId, Timestamp};
use sqlx::{ConnectOptions, SqliteConnection};

use super::{Store, StoreError, StoredScan, options};

/// The process with the page, as the service began it last.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PageProcess {
    /// When.
    pub started_at: Timestamp,
    /// How often it had broken since the service began.
    pub restarts: u32,
    /// What it broke with last; "" where it never did.
    pub trouble: String,
}

/// How far a scan is that runs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ScanProgress {
    /// When this was so.
    pub at: Timestamp,
    /// What it does: `liveness`, `recognition`, `ports` or `services`.
    pub phase: String,
    /// How much of that is done, in thousandths.
    pub permille: u32,
    /// Addresses that answered.
    pub alive: u64,
    /// Ports that were found open.
    pub open: u64,
    /// How fast it asks.
    pub packets_per_second: u32,
    /// Seconds that are left, where that can be told.
    pub seconds_left: Option<u64>,
}

impl Store {
    /// Notes that the service began the page's process.
    ///
    /// # Errors
    ///
    /// Where the database cannot be written.
    pub async fn note_page_process(&self, process: &PageProcess) -> Result<(), StoreError> {
        let mut writer = self.writer().await?;
        sqlx::query(
            "INSERT INTO page_process (id, started_at, restarts, trouble) VALUES (1, $1, $2, $3)
             ON CONFLICT (id) DO UPDATE SET started_at = excluded.started_at,
                 restarts = excluded.restarts, trouble = excluded.trouble",
        )
        .bind(process.started_at.0)
        .bind(process.restarts)
        .bind(process.trouble.clone())
        .execute(&mut *writer)
        .await
        .map_err(self.failed("noting the page's process"))?;
        Ok(())
    }

    /// The page's process, if a service ever began one.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn page_process(&self) -> Result<Option<PageProcess>, StoreError> {
        let mut reader = self.reader().await?;
        let row: Option<(i64, u32, String)> =
            sqlx::query_as("SELECT started_at, restarts, trouble FROM page_process")
                .fetch_optional(&mut *reader)
                .await
                .map_err(self.failed("reading the page's process"))?;
        Ok(row.map(|(started_at, restarts, trouble)| PageProcess {
            started_at: Timestamp(started_at),
            restarts,
            trouble,
        }))
    }

    /// Notes how far a scan is. Its end ([`Store::finish_scan`]) takes that away again.
    ///
    /// # Errors
    ///
    /// Where the database cannot be written.
    pub async fn note_progress(
        &self,
        scan: ScanId,
        progress: &ScanProgress,
    ) -> Result<(), StoreError> {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let mut writer = self.writer().await?;
        sqlx::query(
            "INSERT OR REPLACE INTO progress (scan, at, phase, permille, alive, open,
                 packets_per_second, seconds_left)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(scan.0)
        .bind(progress.at.0)
        .bind(progress.phase.clone())
        .bind(progress.permille)
        .bind(number(progress.alive))
        .bind(number(progress.open))
        .bind(progress.packets_per_second)
        .bind(progress.seconds_left.map(number))
        .execute(&mut *writer)
        .await
        .map_err(self.failed("noting the progress of a scan"))?;
        Ok(())
    }

    /// How far a scan is; `None` where it does not run, or says nothing.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn progress(&self, scan: ScanId) -> Result<Option<ScanProgress>, StoreError> {
        type Row = (i64, String, u32, i64, i64, u32, Option<i64>);
        let mut reader = self.reader().await?;
        let row: Option<Row> = sqlx::query_as(
            "SELECT at, phase, permille, alive, open, packets_per_second, seconds_left
             FROM progress WHERE scan = $1",
        )
        .bind(scan.0)
        .fetch_optional(&mut *reader)
        .await
        .map_err(self.failed("reading the progress of a scan"))?;
        Ok(row.map(|(at, phase, permille, alive, open, packets_per_second, left)| ScanProgress {
            at: Timestamp(at),
            phase,
            permille,
            alive: alive.unsigned_abs(),
            open: open.unsigned_abs(),
            packets_per_second,
            seconds_left: left.map(i64::unsigned_abs),
        }))
    }

    /// The same of a scan that was read: one that has an end is not asked for.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn progress_of(&self, scan: &StoredScan) -> Result<Option<ScanProgress>, StoreError> {
        match scan.record.ended_at {
            None => self.progress(scan.id).await,
            Some(_) => Ok(None),
        }
    }
}

/// Notices that something was written, by whomever.
#[derive(Debug)]
pub struct Changes {
    connection: SqliteConnection,
    version: i64,
}

impl Changes {
    /// Whether anything was committed since this was asked last, or opened.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn any(&mut self) -> Result<bool, StoreError> {
        let now = version(&mut self.connection).await;
        let path = Path::new("");
        let now = now.map_err(|e| StoreError::of(path, "looking for changes", e))?;
        let changed = now != self.version;
        self.version = now;
        Ok(changed)
    }
}

/// SQLite's own count of what others committed, as this connection sees it.
async fn version(connection: &mut SqliteConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("PRAGMA data_version").fetch_one(connection).await
}

impl Store {
    /// Begins to notice changes, over a connection of its own: another's commit shows on that
    /// alone.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn changes(&self) -> Result<Changes, StoreError> {
        let failed = self.failed("looking for changes");
        let mut connection =
            options(self.path()).read_only(true).connect().await.map_err(&failed)?;
        let version = version(&mut connection).await.map_err(&failed)?;
        Ok(Changes { connection, version })
    }
}
