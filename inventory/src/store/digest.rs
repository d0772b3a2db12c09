//! From a scan's observations to assets.
//!
//! Everything happens under one write lock: the assets that identity reasons about must be
//! those that its conclusions are written to, whatever another scan digests at the same time.

use std::collections::BTreeSet;

use model::{Observation, ScanId, Site, Timestamp};
use sqlx::{Connection, SqliteConnection};

use super::{
    BEGIN_WRITE, Store, StoreError,
    assets::Tables,
    event,
    load::{Merges, Which},
    merge::{self, By},
    observation::{self, Pending},
    save::save,
    scan::LoadError,
};
use crate::{
    asset::{Asset, AssetId, Event},
    identity::{self, Update},
};

/// What a scan's observations led to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Digest {
    /// Distinct observations taken into account: those of the scan, and those that an
    /// earlier scan of the site left when it was killed.
    pub observations: u64,
    /// The assets that they are about, by number, as they are known now.
    pub assets: Vec<Asset>,
    /// What happened.
    pub events: Vec<Event>,
    /// Assets that turned out to be one: which, into which, and why.
    pub merges: Vec<(AssetId, AssetId, String)>,
}

impl Store {
    /// Turns the observations that wait at the scan's site into assets and events. Call it
    /// once a scan has stored what it saw; doing so again changes nothing.
    ///
    /// # Errors
    ///
    /// Where there is no such scan, or the database cannot be read or written; then nothing
    /// is changed and the observations wait.
    pub async fn digest(&self, scan: ScanId, as_of: Timestamp) -> Result<Digest, StoreError> {
        let failed = self.failed("digesting observations");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        let site = site_of(&mut transaction, scan).await.map_err(&failed)?;
        let site = site.ok_or(StoreError::NoScan(scan))?;
        let digest =
            digest(&mut transaction, scan, &site, as_of).await.map_err(|e| e.or(&failed))?;
        transaction.commit().await.map_err(&failed)?;
        Ok(digest)
    }
}

async fn digest(
    connection: &mut SqliteConnection,
    scan: ScanId,
    site: &Site,
    as_of: Timestamp,
) -> Result<Digest, LoadError> {
    let pending = observation::pending(connection, site).await?;
    if pending.is_empty() {
        return Ok(Digest::default());
    }
    let tables = Tables::load(connection, Which::Site(site)).await?;
    let known = tables.assets();
    let next = next_id(connection).await?;
    let seen = sightings(&pending);
    let Update { assets, events, merges } = identity::update(&known, next, &seen, as_of);
    save(connection, &tables, &assets).await?;
    event::append(connection, &events, Some(scan)).await?;
    let merges = apply(connection, merges, as_of).await?;
    observation::digested(connection, site).await?;
    let touched = touched(connection, &known, &assets).await?;
    Ok(Digest {
        observations: u64::try_from(pending.len()).unwrap_or(u64::MAX),
        assets: touched,
        events,
        merges,
    })
}

/// The observations as identity reads them, in the order in which they were made. One that
/// is new and was made more than once counts at its first and at its last time.
fn sightings(pending: &[Pending]) -> Vec<Observation> {
    let mut seen = Vec::with_capacity(pending.len());
    for Pending { new, stored } in pending {
        if *new && stored.first_seen < stored.observation.observed_at {
            let observed_at = stored.first_seen;
            seen.push(Observation { observed_at, ..stored.observation.clone() });
        }
        seen.push(stored.observation.clone());
    }
    // Stable: what was made at one moment stays in the order of its rows.
    seen.sort_by_key(|observation| observation.observed_at);
    seen
}

/// Notes the merges that identity found, but those that a person has undone before: who
/// split two assets knows something that their identifiers do not say.
async fn apply(
    connection: &mut SqliteConnection,
    found: Vec<(AssetId, AssetId, String)>,
    at: Timestamp,
) -> sqlx::Result<Vec<(AssetId, AssetId, String)>> {
    if found.is_empty() {
        return Ok(found);
    }
    let undone: BTreeSet<(AssetId, AssetId)> = merge::all(connection)
        .await?
        .into_iter()
        .filter(|merge| merge.undone.is_some())
        .map(|merge| (merge.from.min(merge.into), merge.from.max(merge.into)))
        .collect();
    let mut applied = Vec::new();
    for (from, into, because) in found {
        let merges = Merges::load(connection).await?;
        let one = merges.root(from) == merges.root(into);
        let refused = undone.contains(&(from.min(into), from.max(into)));
        if one || refused || merges.owner(from).is_some() {
            continue;
        }
        merge::note(connection, from, into, &because, By::Identity, at).await?;
        applied.push((from, into, because));
    }
    Ok(applied)
}

/// The number that the next asset gets: one that none ever had.
async fn next_id(connection: &mut SqliteConnection) -> sqlx::Result<AssetId> {
    let last: i64 = sqlx::query_scalar(
        "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'asset'), 0)",
    )
    .fetch_one(connection)
    .await?;
    Ok(AssetId(last.saturating_add(1)))
}

async fn site_of(connection: &mut SqliteConnection, scan: ScanId) -> sqlx::Result<Option<Site>> {
    let site: Option<String> = sqlx::query_scalar(
        "SELECT site FROM scan JOIN vantage ON vantage.id = scan.vantage WHERE scan.id = $1",
    )
    .bind(scan.0)
    .fetch_optional(connection)
    .await?;
    Ok(site.map(Site))
}
