//! What identity changed, into the rows that the changes are about.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

use model::{Identifier, Method};
use sqlx::SqliteConnection;

use super::{
    assets::{Head, Row, Tables, same, unite_heads, unite_rows},
    part::Part,
    scan::json,
};
use crate::asset::{Asset, AssetId};

/// Rows in one statement: what keeps the JSON text of a batch under a few megabytes.
const ROWS: usize = 4_000;

/// Writes what of `new` differs from the rows. Assets that are not in `new` stay as they
/// are. `new` holds roots, and assets that have no row yet.
pub(super) async fn save(
    connection: &mut SqliteConnection,
    tables: &Tables,
    new: &[Asset],
) -> sqlx::Result<()> {
    save_heads(connection, tables, new).await?;
    let homes = Homes::of(tables);
    let changes = compare(&tables.identifiers, new, |a| &a.identifiers, &homes);
    changes.write(connection).await?;
    compare(&tables.names, new, |a| &a.names, &homes).write(connection).await?;
    compare(&tables.services, new, |a| &a.services, &homes).write(connection).await?;
    compare(&tables.software, new, |a| &a.software, &homes).write(connection).await?;
    compare(&tables.os, new, |a| a.os.as_slice(), &homes).write(connection).await?;
    compare(&tables.deployments, new, |a| &a.deployments, &homes).write(connection).await?;
    compare(&tables.anomalies, new, |a| &a.anomalies, &homes).write(connection).await
}

/// Which asset of a merge has an address now. New parts at that address go to it.
struct Homes(HashMap<(AssetId, IpAddr), AssetId>);

impl Homes {
    fn of(tables: &Tables) -> Self {
        // In the order of the rows the leading one comes first and is kept.
        let mut homes = HashMap::new();
        for row in tables.identifiers.iter().filter(|row| row.part.current) {
            if let Identifier::Address(address) = row.part.identifier {
                homes.entry((row.root, address)).or_insert(row.asset);
            }
        }
        Self(homes)
    }

    fn of_part(&self, root: AssetId, part: &impl Part) -> AssetId {
        let home = part.address().and_then(|address| self.0.get(&(root, address)));
        home.copied().unwrap_or(root)
    }
}

/// Rows to write, by asset or by their own number.
struct Changes<P> {
    insert: Vec<(i64, P)>,
    update: Vec<(i64, P)>,
    delete: Vec<i64>,
}

fn compare<P: Part>(
    rows: &[Row<P>],
    new: &[Asset],
    parts: impl Fn(&Asset) -> &[P],
    homes: &Homes,
) -> Changes<P> {
    let mut changes = Changes { insert: Vec::new(), update: Vec::new(), delete: Vec::new() };
    for asset in new {
        let start = rows.partition_point(|row| row.root < asset.id);
        let end = rows.partition_point(|row| row.root <= asset.id);
        let known = rows.get(start..end).unwrap_or_default();
        changes.add(asset.id, known, parts(asset), homes);
    }
    changes
}

impl<P: Part> Changes<P> {
    fn add(&mut self, root: AssetId, rows: &[Row<P>], parts: &[P], homes: &Homes) {
        let mut known: BTreeMap<P::Key<'_>, &[Row<P>]> =
            rows.chunk_by(same).filter_map(|rows| Some((rows.first()?.part.key(), rows))).collect();
        // Should two of the parts have one key, the first is the part.
        let mut wanted: BTreeMap<P::Key<'_>, &P> = BTreeMap::new();
        for part in parts {
            wanted.entry(part.key()).or_insert(part);
        }
        for (key, part) in wanted {
            match known.remove(&key) {
                Some(rows) => self.change(rows, part),
                None => self.insert.push((homes.of_part(root, part).0, part.clone())),
            }
        }
        self.delete.extend(known.into_values().flatten().map(|row| row.id));
    }

    /// The same part, perhaps with other values.
    fn change(&mut self, rows: &[Row<P>], part: &P) {
        let (Some((leading, rest)), Some(united)) = (rows.split_first(), unite_rows(rows)) else {
            return;
        };
        if united == *part {
            return;
        }
        let own = part.for_row(&united, &leading.part);
        if own != leading.part {
            self.update.push((leading.id, own));
        }
        // What has ended has ended for every asset of the merge.
        for row in rest.iter().filter(|row| !part.is_current() && row.part.is_current()) {
            let mut ended = row.part.clone();
            ended.end();
            if ended != row.part {
                self.update.push((row.id, ended));
            }
        }
    }

    async fn write(self, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        let delete = self.delete.chunks(ROWS).map(|ids| (P::DELETE, json(ids)));
        let update = self.update.chunks(ROWS).map(|rows| (P::UPDATE, columns(rows)));
        let insert = self.insert.chunks(ROWS).map(|rows| (P::INSERT, columns(rows)));
        for (statement, values) in delete.chain(update).chain(insert) {
            sqlx::query(statement).bind(values).execute(&mut *connection).await?;
        }
        Ok(())
    }
}

fn columns<P: Part>(rows: &[(i64, P)]) -> String {
    json(&rows.iter().map(|(number, part)| part.columns(*number)).collect::<Vec<_>>())
}

async fn save_heads(
    connection: &mut SqliteConnection,
    tables: &Tables,
    new: &[Asset],
) -> sqlx::Result<()> {
    let mut insert = Vec::new();
    let mut update = Vec::new();
    for asset in new {
        let start = tables.heads.partition_point(|head| head.root < asset.id);
        let end = tables.heads.partition_point(|head| head.root <= asset.id);
        match tables.heads.get(start..end).unwrap_or_default() {
            [] => insert.push(head_of(asset)),
            heads => update.extend(changed_heads(heads, asset)),
        }
    }
    for chunk in insert.chunks(ROWS) {
        sqlx::query(
            "INSERT INTO asset (id, site, first_seen, last_seen, identity_uncertain, alive_by)
             SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5
             FROM json_each($1)",
        )
        .bind(head_columns(chunk))
        .execute(&mut *connection)
        .await?;
    }
    for chunk in update.chunks(ROWS) {
        sqlx::query(
            "UPDATE asset SET first_seen = v.value ->> 2, last_seen = v.value ->> 3,
                 identity_uncertain = v.value ->> 4, alive_by = v.value ->> 5
             FROM json_each($1) AS v WHERE asset.id = v.value ->> 0",
        )
        .bind(head_columns(chunk))
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

fn head_columns(heads: &[Head]) -> String {
    let rows: Vec<_> = heads
        .iter()
        .map(|head| {
            let methods = json(&head.alive_by);
            (
                head.id.0,
                &head.site,
                head.first_seen,
                head.last_seen,
                head.identity_uncertain,
                methods,
            )
        })
        .collect();
    json(&rows)
}

fn head_of(asset: &Asset) -> Head {
    Head {
        id: asset.id,
        root: asset.id,
        site: asset.site.clone(),
        first_seen: asset.first_seen,
        last_seen: asset.last_seen,
        identity_uncertain: asset.identity_uncertain,
        alive_by: asset.alive_by.clone(),
    }
}

/// The heads of a merge that an asset's new values change. New values go to the root, the
/// first of them; the others only lose what is no longer so.
fn changed_heads(heads: &[Head], asset: &Asset) -> Vec<Head> {
    let before = unite_heads(heads);
    let mut after = heads.to_vec();
    if let Some(root) = after.first_mut() {
        if asset.first_seen != before.first_seen {
            root.first_seen = asset.first_seen.min(root.first_seen);
        }
        if asset.last_seen != before.last_seen {
            root.last_seen = asset.last_seen.max(root.last_seen);
        }
    }
    if asset.identity_uncertain != before.identity_uncertain {
        match asset.identity_uncertain {
            true => after.iter_mut().for_each(|head| head.identity_uncertain = true),
            false => after.iter_mut().take(1).for_each(|root| root.identity_uncertain = false),
        }
    }
    let mut methods: Vec<Method> = asset.alive_by.clone();
    methods.sort_unstable();
    methods.dedup();
    if methods != before.alive_by {
        for head in &mut after {
            head.alive_by.retain(|method| methods.contains(method));
        }
        let known: Vec<Method> = after.iter().flat_map(|head| head.alive_by.clone()).collect();
        methods.retain(|method| !known.contains(method));
        if let Some(root) = after.first_mut() {
            root.alive_by.extend(methods);
            root.alive_by.sort_unstable();
        }
    }
    after
        .into_iter()
        .zip(heads)
        .filter(|(after, before)| after != *before)
        .map(|(a, _)| a)
        .collect()
}
