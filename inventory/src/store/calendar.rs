//! When certificates end: for a calendar, and for what shows trends.

use model::Timestamp;
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{
    Store, StoreError,
    scan::{LoadError, parse},
};
use crate::{owner::Owner, query::NEVER};

/// A certificate that is in use and ends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ending {
    /// SHA-256 of its DER, lower-case hexadecimal.
    pub sha256: String,
    /// When it ends.
    pub not_after: Timestamp,
    /// The first of the names that it is for, or its subject.
    pub name: String,
    /// RFC 4514 string.
    pub issuer: String,
    /// Who answers for it, as lists show it; "" where nobody is known.
    pub owners: String,
    /// In how many places it is now: endpoints that serve it and files that hold it.
    pub places: u64,
}

/// What was there on a day, at all sites together.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DayCount {
    /// As `2027-03-31`.
    pub day: String,
    /// Assets.
    pub assets: u64,
    /// Those that are not registered, for whatever reason.
    pub unregistered: u64,
    /// Open findings: critical, warnings, worth knowing.
    pub findings: [u64; 3],
}

impl Store {
    /// The certificates in use that end from one moment on and before another, the first to end
    /// first, at most so many, as the last review left them.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn endings(
        &self,
        from: Timestamp,
        until: Timestamp,
        most: u32,
    ) -> Result<Vec<Ending>, StoreError> {
        let failed = self.failed("reading when certificates end");
        let mut reader = self.reader().await?;
        let rows = sqlx::query(
            "SELECT d.sha256, d.not_after, c.subject, c.issuer, c.names, d.owners_shown, d.places
             FROM listed_certificate AS d CROSS JOIN certificate AS c ON c.sha256 = d.sha256
             WHERE d.places > 0 AND d.not_after >= $1 AND d.not_after < $2 AND d.not_after <> $3
             ORDER BY d.not_after, d.sha256 LIMIT $4",
        )
        .bind(from.0)
        .bind(until.0)
        .bind(NEVER)
        .bind(most)
        .fetch_all(&mut *reader)
        .await
        .map_err(&failed)?;
        rows.iter().map(ending).collect::<Result<_, _>>().map_err(|e| e.or(&failed))
    }

    /// How many certificates in use end at each of the moments from one on and before another,
    /// the first first.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn ending_moments(
        &self,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<(Timestamp, u64)>, StoreError> {
        let mut reader = self.reader().await?;
        let rows: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT not_after, count(*) FROM listed_certificate
             WHERE places > 0 AND not_after >= $1 AND not_after < $2 AND not_after <> $3
             GROUP BY not_after ORDER BY not_after",
        )
        .bind(from.0)
        .bind(until.0)
        .bind(NEVER)
        .fetch_all(&mut *reader)
        .await
        .map_err(self.failed("reading when certificates end"))?;
        Ok(rows.into_iter().map(|(at, count)| (Timestamp(at), count.unsigned_abs())).collect())
    }

    /// What there was on each of the last days on which something was reviewed, the oldest first,
    /// at most so many.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn days(&self, most: u32) -> Result<Vec<DayCount>, StoreError> {
        let mut reader = self.reader().await?;
        let rows: Vec<(String, i64, i64, i64, i64, i64)> = sqlx::query_as(
            "SELECT day, sum(assets), sum(unregistered), sum(critical), sum(warning), sum(info)
             FROM daily GROUP BY day ORDER BY day DESC LIMIT $1",
        )
        .bind(most)
        .fetch_all(&mut *reader)
        .await
        .map_err(self.failed("reading what there was day by day"))?;
        let day =
            |(day, assets, unregistered, critical, warning, info): (_, i64, i64, i64, _, _)| {
                DayCount {
                    day,
                    assets: assets.unsigned_abs(),
                    unregistered: unregistered.unsigned_abs(),
                    findings: [critical, warning, info].map(i64::unsigned_abs),
                }
            };
        Ok(rows.into_iter().rev().map(day).collect())
    }
}

fn ending(row: &SqliteRow) -> Result<Ending, LoadError> {
    let (subject, names): (String, String) = (row.try_get(2)?, row.try_get(4)?);
    let names: Vec<String> = parse("certificate.names", &names)?;
    Ok(Ending {
        sha256: row.try_get(0)?,
        not_after: Timestamp(row.try_get(1)?),
        name: names.into_iter().next().unwrap_or(subject),
        issuer: row.try_get(3)?,
        owners: Owner::texts(&Owner::read_all(row.try_get(5)?)),
        places: row.try_get::<i64, _>(6)?.unsigned_abs(),
    })
}
