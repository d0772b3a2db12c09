//! Events: what happened, appended and never changed.

use model::{ScanId, Timestamp};
use sqlx::SqliteConnection;

use super::{
    Store, StoreError,
    insert::insert,
    load::Merges,
    scan::{LoadError, json},
};
use crate::asset::{AssetId, Event, EventKind};

/// Appends events. `scan` is the one after which they were noticed.
pub(super) async fn append(
    connection: &mut SqliteConnection,
    events: &[Event],
    scan: Option<ScanId>,
) -> sqlx::Result<()> {
    let scan = scan.map(|scan| scan.0);
    let rows = events.iter().map(|e| {
        [
            e.at.into(),
            e.asset.map(|id| id.0).into(),
            e.kind.as_str().into(),
            (&e.subject).into(),
            (&e.detail).into(),
            scan.into(),
        ]
    });
    insert(connection, "event (at, asset, kind, subject, detail, scan)", "", rows).await
}

/// The events of these assets, or of all, the latest first. An event keeps the number of
/// the asset that it happened to, whatever that was merged into later.
pub(super) async fn load(
    connection: &mut SqliteConnection,
    assets: Option<&[AssetId]>,
    limit: Option<u32>,
) -> Result<Vec<Event>, LoadError> {
    let assets = assets.map(|ids| json(&ids.iter().map(|id| id.0).collect::<Vec<_>>()));
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT at, asset, kind, subject, detail FROM event
         WHERE $1 IS NULL OR asset IN (SELECT value FROM json_each($1))
         ORDER BY id DESC LIMIT $2",
    )
    .bind(assets)
    // A negative limit is none.
    .bind(limit.map_or(-1, i64::from))
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(read).collect()
}

/// The events before a number, the latest first, each with its own.
pub(super) async fn before(
    connection: &mut SqliteConnection,
    number: i64,
    most: u32,
) -> Result<Vec<(i64, Event)>, LoadError> {
    let rows: Vec<(i64, i64, Option<i64>, String, String, String)> = sqlx::query_as(
        "SELECT id, at, asset, kind, subject, detail FROM event WHERE id < $1
         ORDER BY id DESC LIMIT $2",
    )
    .bind(number)
    .bind(most)
    .fetch_all(connection)
    .await?;
    let one = |(id, at, asset, kind, subject, detail)| {
        Ok((id, read((at, asset, kind, subject, detail))?))
    };
    rows.into_iter().map(one).collect()
}

/// What people did about a finding, which is called so, the latest first. It is about that asset,
/// or about none.
pub(super) async fn about(
    connection: &mut SqliteConnection,
    asset: Option<AssetId>,
    finding: &str,
) -> Result<Vec<Event>, LoadError> {
    // Bounded by the events of the asset, or by the few that are of none.
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT at, asset, kind, subject, detail FROM event
         WHERE asset IS $1 AND kind IN ('finding_accepted', 'finding_reopened') AND subject = $2
         ORDER BY id DESC LIMIT 200",
    )
    .bind(asset.map(|asset| asset.0))
    .bind(finding)
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(read).collect()
}

/// The columns of an event: at, asset, kind, subject, detail.
pub(super) type Row = (i64, Option<i64>, String, String, String);

/// The event of a row.
pub(super) fn read((at, asset, kind, subject, detail): Row) -> Result<Event, LoadError> {
    Ok(Event {
        at: Timestamp(at),
        asset: asset.map(AssetId),
        kind: EventKind::from_name(&kind).ok_or_else(|| LoadError::content("event.kind", kind))?,
        subject,
        detail,
    })
}

impl Store {
    /// The last `limit` events, the latest first.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn events(&self, limit: u32) -> Result<Vec<Event>, StoreError> {
        let failed = self.failed("reading the events");
        let mut reader = self.reader().await?;
        load(&mut reader, None, Some(limit)).await.map_err(|e| e.or(&failed))
    }

    /// What happened to an asset and to those that are one with it, the latest first.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn events_of(&self, asset: AssetId) -> Result<Vec<Event>, StoreError> {
        let failed = self.failed("reading the asset's events");
        let mut reader = self.reader().await?;
        let merges = Merges::load(&mut reader).await.map_err(&failed)?;
        load(&mut reader, Some(&merges.members([asset])), None).await.map_err(|e| e.or(&failed))
    }
}
