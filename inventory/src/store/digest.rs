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
    event, fold,
    load::{Merges, Which},
    merge::{self, By},
    reading::{self, Pending},
    save::save,
    scan::{LoadError, json},
};
use crate::{
    asset::{Asset, AssetId, Event, EventKind},
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
        // What the scan has written goes from the log into the file meanwhile.
        let folding = tokio::spawn(fold(self.path.clone()));
        let digest = digest(&mut transaction, scan, &site, as_of).await;
        let _ = folding.await;
        let digest = digest.map_err(|e| e.or(&failed))?;
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
    let pending = reading::pending(connection, site).await?;
    if pending.is_empty() {
        return Ok(Digest::default());
    }
    let next = next_id(connection).await?;
    let count = u64::try_from(pending.len()).unwrap_or(u64::MAX);
    let observations = sightings(pending);
    // Without merges: identity reasons about each asset by itself, so that what it learns
    // goes to the asset that it is about, and ending a merge is only that.
    let tables = match concerned(connection, site, &observations, as_of).await? {
        Some(few) => Tables::load(connection, Which::These(&few), &Merges::NONE).await?,
        None => Tables::load(connection, Which::Site(site), &Merges::NONE).await?,
    };
    // The database marks the observations while we think about them.
    let (marked, update) = tokio::join!(reading::digested(connection, site), async {
        identity::update(&tables.assets(), next, &observations, as_of)
    });
    marked?;
    let Update { assets, mut events, merges } = update;
    // What was thought about is let go while the database writes.
    let (saved, ()) =
        tokio::join!(save(connection, &tables, &assets), async { drop(observations) });
    saved?;
    let (merges, refused) = apply(connection, merges, as_of).await?;
    events.retain(|event| !refused.iter().any(|merge| tells_of(event, merge)));
    event::append(connection, &events, Some(scan)).await?;
    Ok(Digest { observations: count, assets: united(connection, assets).await?, events, merges })
}

/// The assets of the site on which depends what these observations lead to, by number. `None` where
/// most may be among them, so that all of them are sooner read: who listens for months digests a
/// little again and again, of what may be a large network.
async fn concerned(
    connection: &mut SqliteConnection,
    site: &Site,
    observations: &[Observation],
    as_of: Timestamp,
) -> Result<Option<Vec<AssetId>>, LoadError> {
    let assets: i64 = sqlx::query_scalar("SELECT count(*) FROM asset WHERE site = $1")
        .bind(site.0.clone())
        .fetch_one(&mut *connection)
        .await?;
    if usize::try_from(assets).is_ok_and(|assets| assets <= observations.len().max(WHOLE)) {
        return Ok(None);
    }
    let concerned = identity::concerned(observations, as_of);
    let values: BTreeSet<String> =
        concerned.identifiers.iter().map(model::Identifier::value).collect();
    // What has such a value and is something else is read for nothing, which harms nobody.
    let found: Vec<i64> = sqlx::query_scalar(
        "SELECT DISTINCT asset FROM identifier
         WHERE (value IN (SELECT value FROM json_each($1))
                 OR ($2 AND kind = 'address' AND (value LIKE '127.%' OR value = '::1')))
             AND asset IN (SELECT id FROM asset WHERE site = $4)
         UNION SELECT id FROM asset WHERE site = $4 AND $3 AND identity_uncertain ORDER BY 1",
    )
    .bind(json(&values))
    .bind(concerned.loopback)
    .bind(concerned.uncertain)
    .bind(site.0.clone())
    .fetch_all(connection)
    .await?;
    Ok(Some(found.into_iter().map(AssetId).collect()))
}

/// A site of so few assets is read as a whole.
const WHOLE: usize = 500;

/// Those assets as they are shown now, each once.
async fn united(
    connection: &mut SqliteConnection,
    changed: Vec<Asset>,
) -> Result<Vec<Asset>, LoadError> {
    let merges = Merges::load(connection).await?;
    if !changed.iter().any(|asset| merges.concern(asset.id)) {
        return Ok(changed);
    }
    let members = merges.members(changed.iter().map(|asset| asset.id));
    Tables::load_assets(connection, Which::These(&members), &merges).await
}

/// One asset, what it is part of, and why.
type Found = (AssetId, AssetId, String);

fn tells_of(event: &Event, (from, into, _): &Found) -> bool {
    event.kind == EventKind::Merged
        && event.asset == Some(*into)
        && event.subject == format!("asset {from}")
}

/// The observations as identity reads them, in the order in which they were made. One that
/// is new and was made more than once counts at its first and at its last time.
fn sightings(pending: Vec<Pending>) -> Vec<Observation> {
    let mut seen = Vec::with_capacity(pending.len());
    for Pending { new, observation, first_seen } in pending {
        if new && first_seen < observation.observed_at {
            seen.push(Observation { observed_at: first_seen, ..observation.clone() });
        }
        seen.push(observation);
    }
    // Stable: what was made at one moment stays in the order of its rows.
    seen.sort_by_key(|observation| observation.observed_at);
    seen
}

/// Notes the merges that identity found, and gives back those that it noted and those that
/// it did not: who split two assets knows something that their identifiers do not say.
async fn apply(
    connection: &mut SqliteConnection,
    found: Vec<Found>,
    at: Timestamp,
) -> sqlx::Result<(Vec<Found>, Vec<Found>)> {
    if found.is_empty() {
        return Ok((found, Vec::new()));
    }
    let undone: BTreeSet<(AssetId, AssetId)> = merge::all(connection)
        .await?
        .into_iter()
        .filter(|merge| merge.undone.is_some())
        .flat_map(|merge| [(merge.from, merge.into), (merge.into, merge.from)])
        .collect();
    let (refused, found): (Vec<Found>, Vec<Found>) =
        found.into_iter().partition(|(from, into, _)| undone.contains(&(*from, *into)));
    for (from, into, because) in &found {
        let merges = Merges::load(connection).await?;
        // What `from` is part of already becomes part of the whole.
        let from = merges.root(*from);
        if from != merges.root(*into) {
            merge::note(connection, from, *into, because, By::Identity, at).await?;
        }
    }
    Ok((found, refused))
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
