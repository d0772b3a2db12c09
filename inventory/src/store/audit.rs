//! The audit: appended in the transaction that does what it tells of, read and verified.

use model::Timestamp;
use sqlx::SqliteConnection;

use super::{Store, StoreError};
use crate::audit::{Action, AuditEntry, Broken, Chain, Deed};

/// What is done, for [`append`] to write down.
pub(super) struct Done<'a> {
    pub(super) at: Timestamp,
    pub(super) who: String,
    pub(super) action: Action,
    pub(super) subject: String,
    pub(super) detail: String,
    pub(super) reason: &'a str,
}

/// Appends what is done to the chain.
pub(super) async fn append(connection: &mut SqliteConnection, done: Done<'_>) -> sqlx::Result<()> {
    let last: Option<(i64, String)> =
        sqlx::query_as("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1")
            .fetch_optional(&mut *connection)
            .await?;
    let chain = last.map_or_else(Chain::default, |(entries, head)| Chain { entries, head });
    let Done { at, who, action, subject, detail, reason } = done;
    let (action, reason) = (action.as_str().to_owned(), reason.trim().to_owned());
    let entry = chain.append(Deed { at, who, action, subject, detail, reason });
    let AuditEntry { number, deed, hash } = entry;
    sqlx::query(
        "INSERT INTO audit (number, at, who, action, subject, detail, reason, hash)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(number)
    .bind(deed.at.0)
    .bind(deed.who)
    .bind(deed.action)
    .bind(deed.subject)
    .bind(deed.detail)
    .bind(deed.reason)
    .bind(hash)
    .execute(connection)
    .await?;
    Ok(())
}

type Row = (i64, i64, String, String, String, String, String, String);

fn entry(row: Row) -> AuditEntry {
    let (number, at, who, action, subject, detail, reason, hash) = row;
    let deed = Deed { at: Timestamp(at), who, action, subject, detail, reason };
    AuditEntry { number, deed, hash }
}

/// What following the chain found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verified {
    /// The chain, as far as it holds.
    pub chain: Chain,
    /// Where it breaks, if it does.
    pub broken: Option<Broken>,
    /// Whether the hash that was kept is in it; `None` where none was asked for.
    pub kept: Option<bool>,
}

/// Entries that are read at once.
const ROWS: i64 = 2_000;

impl Store {
    /// The last entries of the audit, the latest first; all where there is no limit.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn audit(&self, limit: Option<u32>) -> Result<Vec<AuditEntry>, StoreError> {
        self.audit_before(i64::MAX, limit).await
    }

    /// The last entries of the audit before that number, the latest first; all where there is no
    /// limit.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn audit_before(
        &self,
        before: i64,
        limit: Option<u32>,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let failed = self.failed("reading the audit");
        let mut reader = self.reader().await?;
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT number, at, who, action, subject, detail, reason, hash FROM audit
             WHERE number < $2 ORDER BY number DESC LIMIT $1",
        )
        // A negative limit is none.
        .bind(limit.map_or(-1, i64::from))
        .bind(before)
        .fetch_all(&mut *reader)
        .await
        .map_err(&failed)?;
        Ok(rows.into_iter().map(entry).collect())
    }

    /// Follows the chain of the audit from its beginning to the first entry that breaks it, and
    /// looks for a hash that somebody kept elsewhere.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn verify_audit(&self, kept: Option<&str>) -> Result<Verified, StoreError> {
        let mut reader = self.reader().await?;
        follow(&mut reader, kept).await.map_err(self.failed("reading the audit"))
    }
}

/// Follows the chain of an open database, see [`Store::verify_audit`].
pub(super) async fn follow(
    connection: &mut SqliteConnection,
    kept: Option<&str>,
) -> sqlx::Result<Verified> {
    let mut verified = Verified { chain: Chain::default(), broken: None, kept: None };
    // Nothing at all is a beginning of everything.
    verified.kept = kept.map(|kept| kept == verified.chain.head);
    let mut after = i64::MIN;
    loop {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT number, at, who, action, subject, detail, reason, hash FROM audit
             WHERE number > $1 ORDER BY number LIMIT $2",
        )
        .bind(after)
        .bind(ROWS)
        .fetch_all(&mut *connection)
        .await?;
        let Some((last, ..)) = rows.last() else { return Ok(verified) };
        after = *last;
        for entry in rows.into_iter().map(entry) {
            if let Err(broken) = verified.chain.follow(&entry) {
                verified.broken = Some(broken);
                return Ok(verified);
            }
            if kept == Some(entry.hash.as_str()) {
                verified.kept = Some(true);
            }
        }
    }
}
