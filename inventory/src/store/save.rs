//! What identity changed, into the rows of the assets that it changed.

use std::collections::BTreeMap;

use sqlx::SqliteConnection;

use super::{
    assets::{Row, Tables},
    cells::run,
    insert::{Value, insert},
    part::Part,
    scan::json,
};
use crate::asset::Asset;

/// Rows in one statement: enough to make its own cost nothing, few enough that the next are
/// made while it runs.
const ROWS: usize = 1_000;

/// Writes what of `new` differs from `tables`, which were read without merges. Assets that
/// are not in `new` stay as they are.
pub(super) async fn save(
    connection: &mut SqliteConnection,
    tables: &Tables,
    new: &[Asset],
) -> sqlx::Result<()> {
    save_heads(connection, new).await?;
    compare(&tables.identifiers, new, |a| &a.identifiers).write(connection).await?;
    compare(&tables.names, new, |a| &a.names).write(connection).await?;
    compare(&tables.services, new, |a| &a.services).write(connection).await?;
    compare(&tables.software, new, |a| &a.software).write(connection).await?;
    compare(&tables.os, new, |a| a.os.as_slice()).write(connection).await?;
    compare(&tables.deployments, new, |a| &a.deployments).write(connection).await?;
    compare(&tables.anomalies, new, |a| &a.anomalies).write(connection).await?;
    compare(&tables.heard, new, |a| &a.heard).write(connection).await
}

/// Rows to write, with the number of their asset (to insert) or their own.
struct Changes<'a, P> {
    insert: Vec<(i64, &'a P)>,
    update: Vec<(i64, &'a P)>,
    delete: Vec<i64>,
}

fn compare<'a, P: Part>(
    rows: &'a [Row<P>],
    new: &'a [Asset],
    parts: impl Fn(&'a Asset) -> &'a [P],
) -> Changes<'a, P> {
    let mut changes = Changes { insert: Vec::new(), update: Vec::new(), delete: Vec::new() };
    for asset in new {
        let start = rows.partition_point(|row| row.root < asset.id);
        let end = rows.partition_point(|row| row.root <= asset.id);
        let rows = rows.get(start..end).unwrap_or_default();
        let mut known: BTreeMap<P::Key<'a>, &'a Row<P>> =
            rows.iter().map(|row| (row.part.key(), row)).collect();
        // Should two of the parts have one key, the last is the part.
        let wanted: BTreeMap<P::Key<'a>, &'a P> =
            parts(asset).iter().map(|part| (part.key(), part)).collect();
        for (key, part) in wanted {
            match known.remove(&key) {
                Some(row) if row.part == *part => {}
                Some(row) => changes.update.push((row.id, part)),
                None => changes.insert.push((asset.id.0, part)),
            }
        }
        changes.delete.extend(known.into_values().map(|row| row.id));
    }
    changes
}

impl<P: Part> Changes<'_, P> {
    async fn write(self, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        run(connection, P::DELETE, self.delete.chunks(ROWS).map(json)).await?;
        run(connection, P::UPDATE, self.update.chunks(ROWS).map(columns)).await?;
        let rows = self.insert.iter().map(|(asset, part)| part.columns(*asset));
        insert(connection, P::INTO, "", rows).await
    }
}

fn columns<P: Part>(rows: &[(i64, &P)]) -> String {
    let rows = rows.iter().map(|(number, part)| part.columns(*number).into_iter().collect());
    json(&rows.collect::<Vec<Vec<Value<'_>>>>())
}

async fn save_heads(connection: &mut SqliteConnection, new: &[Asset]) -> sqlx::Result<()> {
    let rows = new.iter().map(|a| {
        [
            a.id.0.into(),
            (&a.site.0).into(),
            a.first_seen.into(),
            a.last_seen.into(),
            a.identity_uncertain.into(),
            json(&a.alive_by).into(),
        ]
    });
    insert(
        connection,
        "asset (id, site, first_seen, last_seen, identity_uncertain, alive_by)",
        "ON CONFLICT (id) DO UPDATE SET
             first_seen = excluded.first_seen, last_seen = excluded.last_seen,
             identity_uncertain = excluded.identity_uncertain, alive_by = excluded.alive_by",
        rows,
    )
    .await
}
