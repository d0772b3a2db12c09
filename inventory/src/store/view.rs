//! What the command line shows: assets, one asset with everything, and the file itself.

use std::collections::BTreeMap;

use model::{Identifier, Site, Timestamp};
use sqlx::Connection;

use super::{
    Dangling, KNOWN, Store, StoreError, StoredFinding, StoredObservation,
    assets::Tables,
    dangling::dangling,
    event, finding,
    load::{Merges, Which},
    merge::{self, Merge},
    reading,
};
use crate::asset::{Asset, AssetId, Event};

/// An asset with everything that led to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Dossier {
    /// The asset, merged.
    pub asset: Asset,
    /// Each asset of a merge by itself, the root first. Only the asset where nothing was
    /// merged.
    pub parts: Vec<Asset>,
    /// The merges that it took part in, past ones too.
    pub merges: Vec<Merge>,
    /// What was observed about its addresses and MACs while they were its own, the latest
    /// first.
    pub observations: Vec<StoredObservation>,
    /// What happened to it, the latest first.
    pub events: Vec<Event>,
    /// Its findings, resolved ones too.
    pub findings: Vec<StoredFinding>,
}

/// The state of the database file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Health {
    /// The schema version of the file.
    pub schema: i64,
    /// The newest schema version that this program knows.
    pub newest_schema: i64,
    /// SQLite's own version.
    pub sqlite: String,
    /// Bytes in the file, without the write-ahead log.
    pub bytes: u64,
    /// What SQLite's quick check says is wrong. Empty for a sound file.
    pub problems: Vec<String>,
    /// What refers to rows that are not there.
    pub dangling: Vec<Dangling>,
    /// Rows, by table.
    pub rows: BTreeMap<&'static str, u64>,
}

/// The tables that `doctor` counts, and how.
const COUNTS: &[(&str, &str)] = &[
    ("assets", "SELECT count(*) FROM asset"),
    ("certificates", "SELECT count(*) FROM certificate"),
    ("events", "SELECT count(*) FROM event"),
    ("findings", "SELECT count(*) FROM finding"),
    ("observations", "SELECT count(*) FROM observation"),
    ("scans", "SELECT count(*) FROM scan"),
    ("services", "SELECT count(*) FROM service"),
];

impl Store {
    /// How many assets there are, each part of a merge by itself.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn asset_count(&self) -> Result<u64, StoreError> {
        let mut reader = self.reader().await?;
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM asset")
            .fetch_one(&mut *reader)
            .await
            .map_err(self.failed("counting the assets"))?;
        Ok(count.unsigned_abs())
    }

    /// Every asset, merged ones as one, by number.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn assets(&self) -> Result<Vec<Asset>, StoreError> {
        self.read_assets(Which::All).await
    }

    /// Every asset of a site, merged ones as one, by number.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn assets_at(&self, site: &Site) -> Result<Vec<Asset>, StoreError> {
        self.read_assets(Which::Site(site)).await
    }

    /// These assets, merged ones as one, by number.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn assets_of(&self, assets: &[AssetId]) -> Result<Vec<Asset>, StoreError> {
        let failed = self.failed("reading some assets");
        let mut reader = self.reader().await?;
        let mut snapshot = reader.begin().await.map_err(&failed)?;
        let merges = Merges::load(&mut snapshot).await.map_err(&failed)?;
        let members = merges.members(assets.iter().copied());
        let these = Which::These(&members);
        Tables::load_assets(&mut snapshot, these, &merges).await.map_err(|e| e.or(&failed))
    }

    async fn read_assets(&self, which: Which<'_>) -> Result<Vec<Asset>, StoreError> {
        let failed = self.failed("reading the assets");
        let mut reader = self.reader().await?;
        // One snapshot for all tables, whatever a sweep writes meanwhile.
        let mut snapshot = reader.begin().await.map_err(&failed)?;
        let merges = Merges::load(&mut snapshot).await.map_err(&failed)?;
        Tables::load_assets(&mut snapshot, which, &merges).await.map_err(|e| e.or(&failed))
    }

    /// One asset with everything that led to it. The number of an asset that was merged
    /// leads to the whole.
    ///
    /// # Errors
    ///
    /// Where there is no such asset, or the database cannot be read.
    pub async fn asset(&self, id: AssetId) -> Result<Dossier, StoreError> {
        let failed = self.failed("reading the asset");
        let mut reader = self.reader().await?;
        let mut snapshot = reader.begin().await.map_err(&failed)?;
        let holding = Merges::load(&mut snapshot).await.map_err(&failed)?;
        let members = holding.members([id]);
        let these = Which::These(&members);
        let united = Tables::load_assets(&mut snapshot, these.clone(), &holding).await;
        let asset = united.map_err(|e| e.or(&failed))?.pop();
        let asset = asset.ok_or(StoreError::NoAsset(id))?;
        let apart = Tables::load_assets(&mut snapshot, these, &Merges::NONE).await;
        let mut parts = apart.map_err(|e| e.or(&failed))?;
        parts.sort_by_key(|part| (part.id != asset.id, part.id));
        let names = asset.identifiers.iter().filter_map(|a| about(&a.identifier)).collect();
        let mut observations = reading::concerning(&mut snapshot, &asset.site, &names)
            .await
            .map_err(|e| e.or(&failed))?;
        observations.retain(|stored| was_its_own(&asset, stored));
        let events =
            event::load(&mut snapshot, Some(&members), None).await.map_err(|e| e.or(&failed))?;
        let mut findings = finding::load(&mut snapshot).await.map_err(|e| e.or(&failed))?;
        findings.retain(|f| f.finding.asset.is_some_and(|asset| members.contains(&asset)));
        let mut merges = merge::all(&mut snapshot).await.map_err(&failed)?;
        merges.retain(|merge| members.contains(&merge.from) || members.contains(&merge.into));
        Ok(Dossier { asset, parts, merges, observations, events, findings })
    }

    /// The asset under which the asset of that number is shown now: itself, unless it was
    /// merged into another.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn shown_as(&self, id: AssetId) -> Result<AssetId, StoreError> {
        let mut reader = self.reader().await?;
        let merges = Merges::load(&mut reader).await.map_err(self.failed("reading the merges"))?;
        Ok(merges.root(id))
    }

    /// The state of the file. Reads all of it: a second for each gibibyte or two.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read at all.
    pub async fn health(&self) -> Result<Health, StoreError> {
        let failed = self.failed("checking the database");
        let mut reader = self.reader().await?;
        let mut snapshot = reader.begin().await.map_err(&failed)?;
        let connection = &mut *snapshot;
        let (schema, sqlite, pages, page_size): (i64, String, i64, i64) = sqlx::query_as(
            "SELECT user_version, sqlite_version(), page_count, page_size
             FROM pragma_user_version, pragma_page_count, pragma_page_size",
        )
        .fetch_one(&mut *connection)
        .await
        .map_err(&failed)?;
        let mut problems: Vec<String> = sqlx::query_scalar("PRAGMA quick_check")
            .fetch_all(&mut *connection)
            .await
            .map_err(&failed)?;
        problems.retain(|problem| problem != "ok");
        let dangling = dangling(&mut *connection).await.map_err(&failed)?;
        let mut rows = BTreeMap::new();
        for (table, statement) in COUNTS {
            let count: i64 = sqlx::query_scalar(*statement)
                .fetch_one(&mut *connection)
                .await
                .map_err(&failed)?;
            rows.insert(*table, count.unsigned_abs());
        }
        Ok(Health {
            schema,
            newest_schema: KNOWN,
            sqlite,
            bytes: pages.saturating_mul(page_size).unsigned_abs(),
            problems,
            dangling,
            rows,
        })
    }
}

/// The text by which observations about an identifier are found.
fn about(identifier: &Identifier) -> Option<String> {
    match identifier {
        Identifier::Address(address) => Some(address.to_string()),
        Identifier::Mac(mac) => Some(mac.to_string()),
        _ => None,
    }
}

/// Whether what was observed of an address or a MAC falls into the time in which the asset
/// had it. Addresses change hands, and the former holder's facts are not this asset's.
fn was_its_own(asset: &Asset, stored: &StoredObservation) -> bool {
    let named = match stored.observation.subject {
        model::Subject::Mac(mac) => Identifier::Mac(mac),
        model::Subject::Address(address) => Identifier::Address(address),
        model::Subject::Endpoint(endpoint) => Identifier::Address(endpoint.address),
    };
    let assigned = asset.identifiers.iter().find(|assigned| assigned.identifier == named);
    assigned.is_some_and(|assigned| {
        let until = if assigned.current { Timestamp(i64::MAX) } else { assigned.last_seen };
        stored.first_seen <= until && stored.observation.observed_at >= assigned.first_seen
    })
}
