//! How large the database is, how it came to be so, and of what.

use model::Timestamp;

use super::{Room, Store, StoreError};

/// The size of the database over time and by tables.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Size {
    /// Of the file, now.
    pub room: Room,
    /// Bytes that held something at the end of each of the last scans, the oldest first.
    pub over_time: Vec<(Timestamp, u64)>,
    /// Bytes of each table with its indexes, the largest first.
    pub tables: Vec<(String, u64)>,
}

/// Scans that are looked back at: a month of hourly ones.
const SCANS: i64 = 750;

impl Store {
    /// The size of the database. Reads all of it, as [`Store::health`] does.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn size(&self) -> Result<Size, StoreError> {
        let failed = self.failed("measuring the database");
        let room = self.room().await?;
        let mut reader = self.reader().await?;
        let scans: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT ended_at, bytes FROM scan
             WHERE ended_at IS NOT NULL AND bytes IS NOT NULL ORDER BY id DESC LIMIT $1",
        )
        .bind(SCANS)
        .fetch_all(&mut *reader)
        .await
        .map_err(&failed)?;
        let mut over_time: Vec<(Timestamp, u64)> =
            scans.into_iter().map(|(at, bytes)| (Timestamp(at), bytes.unsigned_abs())).collect();
        over_time.sort_unstable();
        let tables: Vec<(String, i64)> = sqlx::query_as(
            "SELECT tbl_name, sum(pgsize) AS bytes
             FROM dbstat JOIN sqlite_master ON sqlite_master.name = dbstat.name
             WHERE aggregate = TRUE GROUP BY tbl_name ORDER BY bytes DESC, tbl_name",
        )
        .fetch_all(&mut *reader)
        .await
        .map_err(&failed)?;
        let tables =
            tables.into_iter().map(|(table, bytes)| (table, bytes.unsigned_abs())).collect();
        Ok(Size { room, over_time, tables })
    }
}
