//! What of the scans still says something by silence.

use std::{
    collections::{BTreeSet, HashSet},
    net::IpAddr,
};

use model::{AddressRange, Timestamp};
use sqlx::SqliteConnection;

use super::super::scan::{LoadError, load_coverage, load_gaps};
use crate::coverage::Superseding;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Looks {
    /// Coverage that says nothing by silence: later scans have asked all of it again, often
    /// enough; its scan lost answers; or it is of IPv6 addresses at which nothing is known.
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
        let known = known_addresses(connection).await?;
        // Nobody asks temporary addresses again, of which there is no end, and silence about
        // addresses that nothing is known at says nothing.
        let is_of_nobody = |range: AddressRange| {
            let (first, last) = (range.first(), range.last());
            first.is_ipv6() && known.range(first..=last).next().is_none()
        };
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
                // One that lost answers says nothing by silence either.
                let old = old.filter(|(_, coverage)| {
                    drops > 0 || is_of_nobody(coverage.range) || told.is_superseded(coverage)
                });
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

/// The IPv6 addresses that assets have now, and those that the registers name.
async fn known_addresses(connection: &mut SqliteConnection) -> sqlx::Result<BTreeSet<IpAddr>> {
    let texts: Vec<String> = sqlx::query_scalar(
        "SELECT value FROM identifier WHERE kind = 'address' AND current = 1
             AND instr(value, ':') > 0
         UNION SELECT atom FROM entry, json_tree(entry.content)
             WHERE json_tree.type = 'text' AND instr(atom, ':') > 0",
    )
    .fetch_all(connection)
    .await?;
    Ok(texts.iter().filter_map(|text| text.parse().ok()).collect())
}
