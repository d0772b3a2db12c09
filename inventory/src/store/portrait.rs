//! An asset as its page shows it: everything that is known of it, and of what only grows the latest
//! part, with pages behind it.

use std::collections::BTreeMap;

use model::{Identifier, Observation, ScanId, Timestamp, Vantage};
use sqlx::{Connection, SqliteConnection};

use super::{
    Store, StoreError, StoredFinding, StoredObservation,
    assets::Tables,
    event, finding,
    load::{Merges, Which},
    merge::{self, Merge},
    reading,
    scan::{LoadError, json},
};
use crate::{
    asset::{Asset, AssetId, Event, EventKind},
    owner::Owner,
};

/// A part of something that only grows, the latest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Part<T> {
    /// As many as were asked for.
    pub rows: Vec<T>,
    /// Where the next part begins, if there is one.
    pub next: Option<Place>,
    /// How many there are in all.
    pub total: u64,
}

/// A place in the order of time: a moment and the number of a row.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Place(pub i64, pub i64);

impl Place {
    /// Before everything, as seen from now.
    pub const BEGINNING: Self = Self(i64::MAX, i64::MAX);
}

/// An asset with the latest of what led to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Portrait {
    /// The asset, merged.
    pub asset: Asset,
    /// Its findings, open ones first, then by number.
    pub findings: Part<StoredFinding>,
    /// Who answers for these findings, by their numbers, as the last review left it.
    pub owners: BTreeMap<i64, Vec<Owner>>,
    /// Every merge that made it what it is, past ones too, in their order.
    pub merges: Vec<Merge>,
    /// What happened to it.
    pub events: Part<Event>,
    /// What was observed about its addresses and MACs while they were its own.
    pub observations: Part<StoredObservation>,
}

/// How often something happened in a part of a time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stroke {
    /// What.
    pub kind: EventKind,
    /// In which of the parts, from 0.
    pub part: u32,
    /// How often.
    pub count: u64,
    /// When first in it.
    pub at: Timestamp,
}

impl Store {
    /// An asset with the latest of what led to it, at most so many rows of each. The number of an
    /// asset that was merged leads to the whole.
    ///
    /// # Errors
    ///
    /// Where there is no such asset, or the database cannot be read.
    pub async fn portrait(&self, id: AssetId, most: u32) -> Result<Portrait, StoreError> {
        let failed = self.failed("reading the asset");
        let mut reader = self.reader().await?;
        let mut snapshot = reader.begin().await.map_err(&failed)?;
        let known = whole(&mut snapshot, id).await.map_err(|e| e.or(&failed))?;
        let (asset, members) = known.ok_or(StoreError::NoAsset(id))?;
        let of = async {
            let connection = &mut *snapshot;
            let findings = finding::of(connection, &members, most).await?;
            let owners = finding::owners(connection, &findings.rows).await?;
            let mut merges = merge::all(connection).await?;
            merges.retain(|one| members.contains(&one.from) || members.contains(&one.into));
            let events = events(connection, &members, Place::BEGINNING, most).await?;
            let seen = observations(connection, &asset, Place::BEGINNING, most).await?;
            Ok::<_, LoadError>((findings, owners, merges, events, seen))
        };
        let (findings, owners, merges, events, observations) =
            of.await.map_err(|e| e.or(&failed))?;
        Ok(Portrait { asset, findings, owners, merges, events, observations })
    }

    /// A part of what happened to an asset, from a place on.
    ///
    /// # Errors
    ///
    /// As of [`Self::portrait`].
    pub async fn asset_events(
        &self,
        id: AssetId,
        after: Place,
        most: u32,
    ) -> Result<(Asset, Part<Event>), StoreError> {
        let failed = self.failed("reading the asset's events");
        let mut reader = self.reader().await?;
        let mut snapshot = reader.begin().await.map_err(&failed)?;
        let known = whole(&mut snapshot, id).await.map_err(|e| e.or(&failed))?;
        let (asset, members) = known.ok_or(StoreError::NoAsset(id))?;
        let part = events(&mut snapshot, &members, after, most).await;
        Ok((asset, part.map_err(|e| e.or(&failed))?))
    }

    /// A part of what was observed about an asset, from a place on.
    ///
    /// # Errors
    ///
    /// As of [`Self::portrait`].
    pub async fn asset_observations(
        &self,
        id: AssetId,
        after: Place,
        most: u32,
    ) -> Result<(Asset, Part<StoredObservation>), StoreError> {
        let failed = self.failed("reading what was observed");
        let mut reader = self.reader().await?;
        let mut snapshot = reader.begin().await.map_err(&failed)?;
        let known = whole(&mut snapshot, id).await.map_err(|e| e.or(&failed))?;
        let (asset, _) = known.ok_or(StoreError::NoAsset(id))?;
        let part = observations(&mut snapshot, &asset, after, most).await;
        Ok((asset, part.map_err(|e| e.or(&failed))?))
    }

    /// How often what happened to an asset between two moments, in so many parts of that time.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn asset_strokes(
        &self,
        id: AssetId,
        (from, until): (Timestamp, Timestamp),
        parts: u32,
    ) -> Result<Vec<Stroke>, StoreError> {
        let failed = self.failed("reading the asset's events");
        let mut reader = self.reader().await?;
        let merges = Merges::load(&mut reader).await.map_err(&failed)?;
        let members: Vec<i64> = merges.members([id]).iter().map(|asset| asset.0).collect();
        let rows: Vec<(String, i64, i64, i64)> = sqlx::query_as(
            "SELECT kind, CAST((at - $2) / $4 AS INTEGER) AS part, count(*), min(at) FROM event
             WHERE asset IN (SELECT value FROM json_each($1)) AND at BETWEEN $2 AND $3
             GROUP BY kind, part ORDER BY part, kind",
        )
        .bind(json(&members))
        .bind(from.0)
        .bind(until.0)
        .bind(width((from, until), parts))
        .fetch_all(&mut *reader)
        .await
        .map_err(&failed)?;
        // Kinds that a later version wrote are not drawn.
        let stroke = |(kind, part, count, at): (String, i64, i64, i64)| {
            Some(Stroke {
                kind: EventKind::from_name(&kind)?,
                part: u32::try_from(part).ok()?.min(parts.saturating_sub(1)),
                count: count.unsigned_abs(),
                at: Timestamp(at),
            })
        };
        Ok(rows.into_iter().filter_map(stroke).collect())
    }
}

/// How long one of so many parts of a time is, in microseconds.
fn width((from, until): (Timestamp, Timestamp), parts: u32) -> i64 {
    let all = until.0.saturating_sub(from.0).max(1);
    all.div_euclid(i64::from(parts.max(1))).saturating_add(1)
}

async fn whole(
    connection: &mut SqliteConnection,
    id: AssetId,
) -> Result<Option<(Asset, Vec<AssetId>)>, LoadError> {
    let merges = Merges::load(connection).await?;
    let members = merges.members([id]);
    let asset = Tables::load_assets(connection, Which::These(&members), &merges).await?.pop();
    Ok(asset.map(|asset| (asset, members)))
}

fn part<T>(mut rows: Vec<(Place, T)>, most: u32, total: i64) -> Part<T> {
    let most = usize::try_from(most.max(1)).unwrap_or(usize::MAX);
    let is_more = rows.len() > most;
    rows.truncate(most);
    let next = rows.last().map(|(place, _)| *place).filter(|_| is_more);
    Part { next, rows: rows.into_iter().map(|(_, row)| row).collect(), total: total.unsigned_abs() }
}

async fn events(
    connection: &mut SqliteConnection,
    members: &[AssetId],
    after: Place,
    most: u32,
) -> Result<Part<Event>, LoadError> {
    let members = json(&members.iter().map(|id| id.0).collect::<Vec<_>>());
    let total: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM event WHERE asset IN (SELECT value FROM json_each($1))",
    )
    .bind(&members)
    .fetch_one(&mut *connection)
    .await?;
    let rows: Vec<(i64, i64, Option<i64>, String, String, String)> = sqlx::query_as(
        "SELECT id, at, asset, kind, subject, detail FROM event
         WHERE asset IN (SELECT value FROM json_each($1)) AND id < $2
         ORDER BY id DESC LIMIT $3",
    )
    .bind(&members)
    .bind(after.1)
    .bind(i64::from(most).saturating_add(1))
    .fetch_all(connection)
    .await?;
    let read = |(id, at, asset, kind, subject, detail)| {
        Ok((Place(0, id), event::read((at, asset, kind, subject, detail))?))
    };
    Ok(part(rows.into_iter().map(read).collect::<Result<_, LoadError>>()?, most, total))
}

/// What was observed of an address or a MAC in the time in which the asset had it. Addresses change
/// hands, and the former holder's facts are not this asset's.
const OWN: &str = "about IN (SELECT value ->> 0 FROM json_each($1, '$[0]'))
    AND vantage IN (SELECT id FROM vantage WHERE site = $1 ->> 1)
    AND EXISTS (SELECT 1 FROM json_each($1, '$[0]') AS n WHERE n.value ->> 0 = about
        AND last_seen >= n.value ->> 1 AND first_seen <= n.value ->> 2)";

async fn observations(
    connection: &mut SqliteConnection,
    asset: &Asset,
    after: Place,
    most: u32,
) -> Result<Part<StoredObservation>, LoadError> {
    let named = asset.identifiers.iter().filter_map(|one| {
        let text = match &one.identifier {
            Identifier::Address(address) => address.to_string(),
            Identifier::Mac(mac) => mac.to_string(),
            _ => return None,
        };
        let until = if one.current { i64::MAX } else { one.last_seen.0 };
        Some((text, one.first_seen.0, until))
    });
    let own = json(&(named.collect::<Vec<_>>(), &asset.site.0));
    let total: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
        "SELECT count(*) FROM observation WHERE {OWN}"
    )))
    .bind(&own)
    .fetch_one(&mut *connection)
    .await?;
    let rows: Vec<ObservationRow> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "SELECT id, vantage, method, subject, fact, first_seen, last_seen, times, last_scan, evidence
         FROM observation WHERE {OWN} AND (last_seen, id) < ($2, $3)
         ORDER BY last_seen DESC, id DESC LIMIT $4"
    )))
    .bind(&own)
    .bind(after.0)
    .bind(after.1)
    .bind(i64::from(most).saturating_add(1))
    .fetch_all(&mut *connection)
    .await?;
    let vantages: Vec<(i64, String)> =
        sqlx::query_as("SELECT id, name FROM vantage WHERE site = $1")
            .bind(&asset.site.0)
            .fetch_all(&mut *connection)
            .await?;
    let vantages: BTreeMap<i64, Vantage> = vantages
        .into_iter()
        .map(|(id, name)| (id, Vantage { site: asset.site.clone(), name }))
        .collect();
    let mut places = Vec::new();
    let mut found = Vec::new();
    for row in rows {
        places.push(Place(row.6, row.0));
        found.push(row);
    }
    let stored = reading::whole(connection, found, &vantages).await?;
    Ok(part(places.into_iter().zip(stored).collect(), most, total))
}

/// Id, vantage, method, subject, fact, first_seen, last_seen, times, last_scan, evidence.
pub(super) type ObservationRow = (i64, i64, String, String, String, i64, i64, i64, i64, Vec<u8>);

/// The observation of a row, without the certificates that it may be about.
pub(super) fn stored(observation: Observation, row: &ObservationRow) -> StoredObservation {
    StoredObservation {
        observation: Observation { evidence: row.9.clone(), ..observation },
        first_seen: Timestamp(row.5),
        times: row.7.unsigned_abs(),
        last_scan: ScanId(row.8),
    }
}
