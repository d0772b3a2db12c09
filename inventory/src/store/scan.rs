//! Scans: when, from where, at what cost, and where they looked and failed to look.

use std::collections::BTreeMap;

use model::{AddressRange, Coverage, Gap, Method, ScanId, ScanRecord, Site, Timestamp, Vantage};
use sqlx::{Connection, SqliteConnection};

use super::{BEGIN_WRITE, Store, StoreError};

/// A scan as it was stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredScan {
    /// Its number.
    pub id: ScanId,
    /// `sweep` or `watch`.
    pub command: String,
    /// The targets, as the user wrote them.
    pub targets: Vec<String>,
    /// What it cost and what it may have missed. `ended_at` is `None` while it runs and
    /// after it was killed.
    pub record: ScanRecord,
    /// How many gaps it has. Where scans are listed, `record` has neither these nor the coverage.
    pub gap_count: u64,
}

impl Store {
    /// Notes that a scan begins. Should it be killed, this is what shows that it was.
    ///
    /// # Errors
    ///
    /// Where the database cannot be written.
    pub async fn begin_scan(
        &self,
        vantage: &Vantage,
        started_at: Timestamp,
        io: &str,
        targets: &[String],
        command: &str,
    ) -> Result<ScanId, StoreError> {
        let failed = self.failed("noting the scan");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        let vantage = vantage_number(&mut transaction, vantage).await.map_err(&failed)?;
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO scan (vantage, command, targets, io, started_at)
             VALUES ($1, $2, $3, $4, $5) RETURNING id",
        )
        .bind(vantage)
        .bind(command.to_owned())
        .bind(json(targets))
        .bind(io.to_owned())
        .bind(started_at.0)
        .fetch_one(&mut *transaction)
        .await
        .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(ScanId(id))
    }

    /// Notes how a scan ended: its numbers, gaps and coverage. Writing the same scan again
    /// replaces what was noted, so a long capture may do so from time to time.
    ///
    /// # Errors
    ///
    /// Where there is no such scan, or the database cannot be written.
    pub async fn finish_scan(&self, id: ScanId, record: &ScanRecord) -> Result<(), StoreError> {
        let failed = self.failed("noting the scan's end");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        let updated = sqlx::query(
            "UPDATE scan SET io = $2, ended_at = $3, probes_sent = $4, replies = $5, drops = $6,
                 complete = $7,
                 bytes = (SELECT (page_count - freelist_count) * page_size
                     FROM pragma_page_count, pragma_freelist_count, pragma_page_size)
             WHERE id = $1",
        )
        .bind(id.0)
        .bind(record.io.clone())
        .bind(record.ended_at.map(|at| at.0))
        .bind(count(record.probes_sent))
        .bind(count(record.replies))
        .bind(count(record.drops))
        .bind(record.complete)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        if updated.rows_affected() == 0 {
            return Err(StoreError::NoScan(id));
        }
        sqlx::query("DELETE FROM progress WHERE scan = $1")
            .bind(id.0)
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        write_gaps(&mut transaction, id, &record.gaps).await.map_err(&failed)?;
        write_coverage(&mut transaction, id, &record.coverage).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)
    }

    /// The last `limit` scans, the latest first, without gaps and coverage.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn scans(&self, limit: u32) -> Result<Vec<StoredScan>, StoreError> {
        self.scans_before(ScanId(i64::MAX), limit).await
    }

    /// The last `limit` scans before this one, the latest first, without gaps and coverage: of a
    /// scan that failed these are hundreds of thousands.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn scans_before(
        &self,
        before: ScanId,
        limit: u32,
    ) -> Result<Vec<StoredScan>, StoreError> {
        let failed = self.failed("reading the scans");
        let mut reader = self.reader().await?;
        let mut transaction = reader.begin().await.map_err(&failed)?;
        let last = before.0.saturating_sub(1);
        heads(&mut transaction, 0, last, limit.into()).await.map_err(|e| e.or(&failed))
    }

    /// One scan.
    ///
    /// # Errors
    ///
    /// Where there is no such scan, or the database cannot be read.
    pub async fn scan(&self, id: ScanId) -> Result<StoredScan, StoreError> {
        let failed = self.failed("reading the scan");
        let mut reader = self.reader().await?;
        let mut transaction = reader.begin().await.map_err(&failed)?;
        let found = load(&mut transaction, id.0, id.0, 1).await.map_err(|e| e.or(&failed))?;
        found.into_iter().next().ok_or(StoreError::NoScan(id))
    }
}

/// Why rows could not be turned into values: SQLite said so, or we did.
pub(super) enum LoadError {
    Sql(sqlx::Error),
    Content(StoreError),
}

impl From<sqlx::Error> for LoadError {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl LoadError {
    pub(super) fn content(place: &'static str, value: impl Into<String>) -> Self {
        Self::Content(StoreError::content(place, value))
    }

    pub(super) fn or(self, failed: &impl Fn(sqlx::Error) -> StoreError) -> StoreError {
        match self {
            Self::Sql(error) => failed(error),
            Self::Content(error) => error,
        }
    }
}

/// The number of the vantage point, which is given one where it has none.
pub(super) async fn vantage_number(
    connection: &mut SqliteConnection,
    vantage: &Vantage,
) -> sqlx::Result<i64> {
    sqlx::query(
        "INSERT INTO vantage (site, name) VALUES ($1, $2) ON CONFLICT (site, name) DO NOTHING",
    )
    .bind(vantage.site.0.clone())
    .bind(vantage.name.clone())
    .execute(&mut *connection)
    .await?;
    sqlx::query_scalar("SELECT id FROM vantage WHERE site = $1 AND name = $2")
        .bind(vantage.site.0.clone())
        .bind(vantage.name.clone())
        .fetch_one(connection)
        .await
}

async fn write_gaps(
    connection: &mut SqliteConnection,
    scan: ScanId,
    gaps: &[Gap],
) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM gap WHERE scan = $1").bind(scan.0).execute(&mut *connection).await?;
    let rows: Vec<_> = gaps.iter().map(|gap| (&gap.target, &gap.reason)).collect();
    sqlx::query(
        "INSERT INTO gap (scan, target, reason)
         SELECT $1, value ->> 0, value ->> 1 FROM json_each($2)",
    )
    .bind(scan.0)
    .bind(json(&rows))
    .execute(connection)
    .await?;
    Ok(())
}

async fn write_coverage(
    connection: &mut SqliteConnection,
    scan: ScanId,
    coverage: &[Coverage],
) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM coverage WHERE scan = $1")
        .bind(scan.0)
        .execute(&mut *connection)
        .await?;
    let rows: Vec<_> = coverage
        .iter()
        .map(|c| (c.range.first(), c.range.last(), json(&c.methods), &c.tcp, &c.udp))
        .collect();
    sqlx::query(
        "INSERT INTO coverage (scan, first, last, methods, tcp, udp)
         SELECT $1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4
         FROM json_each($2)",
    )
    .bind(scan.0)
    .bind(json(&rows))
    .execute(connection)
    .await?;
    Ok(())
}

type ScanRow =
    (i64, String, String, String, String, String, i64, Option<i64>, i64, i64, i64, bool, i64);

/// The scans from number `first` to `last`, at most `limit`, the latest first.
pub(super) async fn load(
    connection: &mut SqliteConnection,
    first: i64,
    last: i64,
    limit: i64,
) -> Result<Vec<StoredScan>, LoadError> {
    let mut scans = heads(connection, first, last, limit).await?;
    // The scans are the latest of the range, so their numbers are a range as well.
    let oldest = scans.last().map_or(first, |scan| scan.id.0);
    let newest = scans.first().map_or(last, |scan| scan.id.0);
    let mut gaps = load_gaps(connection, oldest, newest).await?;
    let mut coverage = load_coverage(connection, oldest, newest).await?;
    for scan in &mut scans {
        scan.record.gaps = gaps.remove(&scan.id.0).unwrap_or_default();
        scan.record.coverage = coverage.remove(&scan.id.0).unwrap_or_default();
    }
    Ok(scans)
}

/// The same without gaps and coverage.
async fn heads(
    connection: &mut SqliteConnection,
    first: i64,
    last: i64,
    limit: i64,
) -> Result<Vec<StoredScan>, LoadError> {
    let rows: Vec<ScanRow> = sqlx::query_as(
        "SELECT scan.id, site, name, command, targets, io, started_at, ended_at, probes_sent,
             replies, drops, complete, (SELECT count(*) FROM gap WHERE gap.scan = scan.id)
         FROM scan JOIN vantage ON vantage.id = scan.vantage
         WHERE scan.id BETWEEN $1 AND $2 ORDER BY scan.id DESC LIMIT $3",
    )
    .bind(first)
    .bind(last)
    .bind(limit)
    .fetch_all(&mut *connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let (id, site, name, command, targets, io, started_at, ended_at, ..) = row;
            let (.., probes_sent, replies, drops, complete, gap_count) = row;
            Ok(StoredScan {
                id: ScanId(id),
                command,
                targets: parse("scan.targets", &targets)?,
                record: ScanRecord {
                    vantage: Vantage { site: Site(site), name },
                    started_at: Timestamp(started_at),
                    ended_at: ended_at.map(Timestamp),
                    io,
                    probes_sent: probes_sent.unsigned_abs(),
                    replies: replies.unsigned_abs(),
                    drops: drops.unsigned_abs(),
                    complete,
                    gaps: Vec::new(),
                    coverage: Vec::new(),
                },
                gap_count: gap_count.unsigned_abs(),
            })
        })
        .collect()
}

pub(super) async fn load_gaps(
    connection: &mut SqliteConnection,
    first: i64,
    last: i64,
) -> sqlx::Result<BTreeMap<i64, Vec<Gap>>> {
    let rows: Vec<(i64, String, String)> = sqlx::query_as(
        "SELECT scan, target, reason FROM gap WHERE scan BETWEEN $1 AND $2 ORDER BY id",
    )
    .bind(first)
    .bind(last)
    .fetch_all(connection)
    .await?;
    let mut gaps: BTreeMap<i64, Vec<Gap>> = BTreeMap::new();
    for (scan, target, reason) in rows {
        gaps.entry(scan).or_default().push(Gap { target, reason });
    }
    Ok(gaps)
}

pub(super) async fn load_coverage(
    connection: &mut SqliteConnection,
    first: i64,
    last: i64,
) -> Result<BTreeMap<i64, Vec<Coverage>>, LoadError> {
    let rows: Vec<(i64, String, String, String, String, String)> = sqlx::query_as(
        "SELECT scan, first, last, methods, tcp, udp FROM coverage
         WHERE scan BETWEEN $1 AND $2 ORDER BY id",
    )
    .bind(first)
    .bind(last)
    .fetch_all(connection)
    .await?;
    let mut coverage: BTreeMap<i64, Vec<Coverage>> = BTreeMap::new();
    for (scan, first, last, methods, tcp, udp) in rows {
        let ends = first.parse().ok().zip(last.parse().ok());
        let range = ends.and_then(|(first, last)| AddressRange::new(first, last));
        let methods: Vec<Method> = parse("coverage.methods", &methods)?;
        coverage.entry(scan).or_default().push(Coverage {
            range: range.ok_or_else(|| LoadError::content("coverage.first", first))?,
            methods,
            tcp: tcp.parse().map_err(|_| LoadError::content("coverage.tcp", &tcp[..]))?,
            udp: udp.parse().map_err(|_| LoadError::content("coverage.udp", &udp[..]))?,
        });
    }
    Ok(coverage)
}

/// JSON text of values that always have one.
pub(super) fn json<T: serde::Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("text, numbers and lists of them have a JSON form")
}

/// A value from JSON text that we wrote.
pub(super) fn parse<T: serde::de::DeserializeOwned>(
    place: &'static str,
    text: &str,
) -> Result<T, LoadError> {
    serde_json::from_str(text).map_err(|_| LoadError::content(place, text))
}

/// A count as SQLite can hold it.
pub(super) fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
