//! What of the scans still says something by silence.

use std::collections::HashSet;

use model::Timestamp;
use sqlx::SqliteConnection;

use super::super::scan::{LoadError, load_coverage, load_gaps};
use crate::coverage::Superseding;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Looks {
    /// Coverage that later scans have asked all of again, often enough.
    pub(super) superseded: HashSet<i64>,
    /// Scans of which there is no coverage: what else is kept of them says nothing by silence. One
    /// whose coverage goes by this very prune is not among them: the rest goes by the next.
    pub(super) silent: HashSet<i64>,
}

impl Looks {
    /// Of the scans that ended before that moment.
    pub(super) async fn load(
        connection: &mut SqliteConnection,
        before: Timestamp,
    ) -> Result<Self, LoadError> {
        let silent: Vec<i64> = sqlx::query_scalar(
            "SELECT id FROM scan WHERE ended_at < $1
                 AND NOT EXISTS (SELECT 1 FROM coverage WHERE coverage.scan = scan.id)",
        )
        .bind(before.0)
        .fetch_all(&mut *connection)
        .await?;
        let mut looks = Self { silent: silent.into_iter().collect(), ..Self::default() };
        // From the newest on, each vantage point by itself.
        let scans: Vec<(i64, i64, i64, i64)> = sqlx::query_as(
            "SELECT id, vantage, ended_at, drops FROM scan WHERE ended_at IS NOT NULL
                 AND EXISTS (SELECT 1 FROM coverage WHERE coverage.scan = scan.id)
             ORDER BY vantage, started_at DESC, id DESC",
        )
        .fetch_all(&mut *connection)
        .await?;
        let mut told = Superseding::default();
        let mut of = None;
        for (scan, vantage, ended_at, drops) in scans {
            if of != Some(vantage) {
                of = Some(vantage);
                told = Superseding::default();
            }
            let coverage = load_coverage(connection, scan, scan).await?;
            let coverage = coverage.into_values().next().unwrap_or_default();
            if ended_at < before.0 {
                let rows: Vec<i64> =
                    sqlx::query_scalar("SELECT id FROM coverage WHERE scan = $1 ORDER BY id")
                        .bind(scan)
                        .fetch_all(&mut *connection)
                        .await?;
                let old = rows.into_iter().zip(&coverage);
                let old = old.filter(|(_, coverage)| told.is_superseded(coverage));
                looks.superseded.extend(old.map(|(id, _)| id));
            }
            // One that lost answers says nothing by silence.
            if drops == 0 {
                let gaps = load_gaps(connection, scan, scan).await?;
                told.tell(&coverage, &gaps.into_values().next().unwrap_or_default());
            }
        }
        Ok(looks)
    }
}
