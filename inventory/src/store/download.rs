//! What was fetched of what certificates name.

use certs::revocation::{List, Lists};
use model::Timestamp;
use sqlx::{Connection, SqliteConnection};

use super::{BEGIN_WRITE, Policy, Store, StoreError, review::Stored};
use crate::download::{Download, Errands, Extent, Fetched};

/// How long a row stays that nobody asks for any more, seconds: 90 days.
const FORGOTTEN: i64 = 90 * 86_400;

impl Store {
    /// What certificates in use name and what is due to be fetched.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn errands(
        &self,
        as_of: Timestamp,
        policy: &Policy,
        extent: Extent,
    ) -> Result<Errands, StoreError> {
        let failed = self.failed("reading what certificates name");
        let mut reader = self.reader().await?;
        let mut snapshot = reader.begin().await.map_err(&failed)?;
        let mut stored = Stored::load(&mut snapshot).await.map_err(|e| e.or(&failed))?;
        stored.decide(as_of, policy);
        let rows: Vec<(String, String, i64)> =
            sqlx::query_as("SELECT url, certificate, next_at FROM download")
                .fetch_all(&mut *snapshot)
                .await
                .map_err(&failed)?;
        let next = rows.into_iter().map(|(url, of, next)| ((url, of), Timestamp(next))).collect();
        Ok(stored.errands(&next, policy, extent, as_of))
    }

    /// Keeps what was fetched, and that what was not was asked for.
    ///
    /// # Errors
    ///
    /// Where the database cannot be written; then nothing is kept.
    pub async fn keep_downloads(&self, downloads: &[Download]) -> Result<(), StoreError> {
        let failed = self.failed("keeping what was fetched");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        for download in downloads {
            write(&mut transaction, download).await.map_err(&failed)?;
        }
        transaction.commit().await.map_err(&failed)
    }
}

async fn write(connection: &mut SqliteConnection, download: &Download) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO download (url, certificate, body, asked_at, next_at)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (url, certificate) DO UPDATE SET
             body = coalesce(excluded.body, body),
             asked_at = excluded.asked_at, next_at = excluded.next_at",
    )
    .bind(download.url.clone())
    .bind(download.certificate.clone())
    .bind(download.body.clone())
    .bind(download.asked_at.0)
    .bind(download.next_at.0)
    .execute(&mut *connection)
    .await?;
    sqlx::query("DELETE FROM download WHERE next_at < $1")
        .bind(download.asked_at.plus_seconds(-FORGOTTEN).0)
        .execute(connection)
        .await?;
    Ok(())
}

/// What is kept. What cannot be read any more is only fetched again.
pub(super) async fn load(connection: &mut SqliteConnection) -> sqlx::Result<Fetched> {
    let rows: Vec<(String, Vec<u8>)> = sqlx::query_as(
        "SELECT certificate, body FROM download WHERE body IS NOT NULL ORDER BY url, certificate",
    )
    .fetch_all(connection)
    .await?;
    let (lists, responses): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|(certificate, _)| certificate.is_empty());
    let lists = lists.into_iter().flat_map(|(_, body)| List::all_in(&body).unwrap_or_default());
    Ok(Fetched { lists: Lists::new(lists), responses })
}
