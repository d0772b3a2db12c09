//! Rows of assets, read table by table.
//!
//! Whole tables are read and joined in memory: a few statements each for ten thousand
//! assets instead of seven for each of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use model::{Identifier, PortState, Site, TlsVersion};
use sqlx::SqliteConnection;

use super::{
    assets::{Head, Row, Tables},
    beside::Beside,
    cells::{self, Cells, text_of},
    part::strength,
    scan::{LoadError, json, parse},
};
use crate::{
    asset::{
        Anomaly, Asset, AssetId, Assigned, Deployment, KnownTls, Name, OperatingSystem,
        ServiceState, Software,
    },
    heard::{Heard, What},
};

/// Assets in one statement: what keeps the text of their rows at half a megabyte.
const ASSETS: usize = 1_000;

/// Which assets to read.
#[derive(Clone, Debug)]
pub(super) enum Which<'a> {
    /// Every asset.
    All,
    /// Those of a site.
    Site(&'a Site),
    /// These.
    These(&'a [AssetId]),
}

/// The merges that hold: what each asset was merged into.
#[derive(Clone, Debug, Default)]
pub(super) struct Merges(BTreeMap<AssetId, AssetId>);

impl Merges {
    /// No merge at all: every asset by itself.
    pub(super) const NONE: Self = Self(BTreeMap::new());

    pub(super) async fn load(connection: &mut SqliteConnection) -> sqlx::Result<Self> {
        let rows: Vec<(i64, i64)> =
            sqlx::query_as("SELECT from_asset, into_asset FROM merge WHERE undone_at IS NULL")
                .fetch_all(connection)
                .await?;
        Ok(Self(rows.into_iter().map(|(from, into)| (AssetId(from), AssetId(into))).collect()))
    }

    /// What the asset was merged into, directly.
    pub(super) fn owner(&self, asset: AssetId) -> Option<AssetId> {
        self.0.get(&asset).copied()
    }

    /// The asset under which it and those that are one with it are shown.
    pub(super) fn root(&self, asset: AssetId) -> AssetId {
        let mut root = asset;
        // Bounded, because a file that somebody else wrote may hold a circle.
        for _ in 0..=self.0.len() {
            match self.0.get(&root) {
                Some(into) => root = *into,
                None => break,
            }
        }
        root
    }

    /// Whether the asset is one with another.
    pub(super) fn concern(&self, asset: AssetId) -> bool {
        self.0.contains_key(&asset) || self.0.values().any(|into| *into == asset)
    }

    /// These assets and all that are one with one of them, by number.
    pub(super) fn members(&self, assets: impl IntoIterator<Item = AssetId>) -> Vec<AssetId> {
        let roots: BTreeSet<AssetId> = assets.into_iter().map(|asset| self.root(asset)).collect();
        let parts = self.0.keys().copied().filter(|asset| roots.contains(&self.root(*asset)));
        let all: BTreeSet<AssetId> = parts.chain(roots.iter().copied()).collect();
        all.into_iter().collect()
    }

    /// The assets that were merged into that one, directly or not, without itself.
    pub(super) fn parts(&self, root: AssetId) -> Vec<AssetId> {
        self.0.keys().copied().filter(|asset| *asset != root && self.root(*asset) == root).collect()
    }
}

/// The statements that read these columns of a table, the row's number and the asset's first:
/// for a range of assets, and for assets by their numbers.
macro_rules! rows_of {
    ($columns:literal, $table:literal) => {
        [
            concat!(
                "SELECT json_group_array(json_array(",
                $columns,
                ")) FROM ",
                $table,
                " WHERE asset BETWEEN $1 ->> 0 AND $1 ->> 1"
            ),
            concat!(
                "SELECT json_group_array(json_array(",
                $columns,
                ")) FROM ",
                $table,
                " WHERE asset IN (SELECT value FROM json_each($1))"
            ),
        ]
    };
}

#[rustfmt::skip]
const IDENTIFIERS: [&str; 2] = rows_of!("id, asset, kind, value, strength, first_seen, last_seen, current, because", "identifier");
const NAMES: [&str; 2] = rows_of!("id, asset, name, source, last_seen", "name");
#[rustfmt::skip]
const SERVICES: [&str; 2] = rows_of!("id, asset, address, transport, port, state, protocol, product, version, cpe, tls, attributes, first_seen, last_seen, tls_server, tls_server_seen", "service");
#[rustfmt::skip]
const SOFTWARE: [&str; 2] = rows_of!("id, asset, product, version, cpe, source, first_seen, last_seen, current", "software");
const OS: [&str; 2] = rows_of!("asset, asset, name, version, cpe, last_seen", "os");
#[rustfmt::skip]
const DEPLOYMENTS: [&str; 2] = rows_of!("id, asset, sha256, chain, address, port, transport, server_name, protocol_version, starttls, first_seen, last_seen, current", "deployment");
const ANOMALIES: [&str; 2] =
    rows_of!("id, asset, subject, protocol, problem, last_seen", "anomaly");
const HEARD: [&str; 2] = rows_of!("id, asset, subject, fact, first_seen, last_seen", "heard");

impl Tables {
    /// Reads the rows, sorted by what `merges` makes one.
    pub(super) async fn load(
        connection: &mut SqliteConnection,
        which: Which<'_>,
        merges: &Merges,
    ) -> Result<Self, LoadError> {
        let mut all = Self::default();
        for part in parts(connection, &which, merges, |tables| tables).await? {
            all.append(part);
        }
        Ok(all)
    }

    /// Reads the assets, those that `merges` makes one as one, by number.
    pub(super) async fn load_assets(
        connection: &mut SqliteConnection,
        which: Which<'_>,
        merges: &Merges,
    ) -> Result<Vec<Asset>, LoadError> {
        let parts = parts(connection, &which, merges, Self::into_assets).await?;
        Ok(parts.into_iter().flatten().collect())
    }
}

/// What `make` makes of the rows, sorted, of some assets at a time, by their roots. While the
/// database reads those of some, other threads make the values of those before.
async fn parts<R: Send + 'static>(
    connection: &mut SqliteConnection,
    which: &Which<'_>,
    merges: &Merges,
    make: fn(Tables) -> R,
) -> Result<Vec<R>, LoadError> {
    let mut heads = heads(connection, which, merges).await?;
    heads.sort_by_key(|head| (head.root, head.id != head.root, head.id));
    let mut made = Beside::new();
    while !heads.is_empty() {
        // An asset is not parted from those that are one with it.
        let end = match heads.get(ASSETS - 1) {
            Some(last) => heads.partition_point(|head| head.root <= last.root),
            None => heads.len(),
        };
        let rest = heads.split_off(end);
        let texts = Texts::load(connection, &heads).await?;
        made.give(move || texts.read(heads).map(make)).await?;
        heads = rest;
    }
    made.finish().await
}

async fn heads(
    connection: &mut SqliteConnection,
    which: &Which<'_>,
    merges: &Merges,
) -> Result<Vec<Head>, LoadError> {
    let (site, ids) = match which {
        Which::All => (None, None),
        Which::Site(site) => (Some(site.0.clone()), None),
        Which::These(assets) => {
            (None, Some(json(&assets.iter().map(|asset| asset.0).collect::<Vec<_>>())))
        }
    };
    let text: String = sqlx::query_scalar(
        "SELECT json_group_array(json_array(id, site, first_seen, last_seen, identity_uncertain, alive_by)) FROM asset
         WHERE ($1 IS NULL OR site = $1)
           AND ($2 IS NULL OR id IN (SELECT value FROM json_each($2)))",
    )
    .bind(site)
    .bind(ids)
    .fetch_one(connection)
    .await?;
    cells::rows(&text)?
        .iter()
        .map(|row| {
            let id = AssetId(row.number(0)?);
            Ok(Head {
                id,
                root: merges.root(id),
                site: Site(row.owned(1)?),
                first_seen: row.time(2)?,
                last_seen: row.time(3)?,
                identity_uncertain: row.flag(4)?,
                alive_by: parse("asset.alive_by", row.text(5)?)?,
            })
        })
        .collect()
}

/// Assets of which the rows are read with one statement.
enum Chunk {
    /// All but a few of those between the two, as a JSON array of both.
    Range(String),
    /// These, as a JSON array.
    These(String),
}

impl Chunk {
    /// The numbers are in order.
    fn of(ids: &[i64]) -> Self {
        match *ids {
            // To look for each by itself costs more than to read a few for nothing.
            [first, .., last] if last.saturating_sub(first) / 2 < ids.len() as i64 => {
                Self::Range(json(&[first, last]))
            }
            _ => Self::These(json(ids)),
        }
    }

    /// Their rows in the table of the statements.
    async fn text(
        &self,
        connection: &mut SqliteConnection,
        [of_range, of_these]: [&'static str; 2],
    ) -> sqlx::Result<String> {
        match self {
            Self::Range(ends) => text_of(connection, of_range, ends.clone()).await,
            Self::These(assets) => text_of(connection, of_these, assets.clone()).await,
        }
    }
}

/// The rows of some assets, a table each, as JSON.
struct Texts {
    identifiers: String,
    names: String,
    services: String,
    software: String,
    os: String,
    deployments: String,
    anomalies: String,
    heard: String,
}

impl Texts {
    async fn load(connection: &mut SqliteConnection, heads: &[Head]) -> sqlx::Result<Self> {
        let mut ids: Vec<i64> = heads.iter().map(|head| head.id.0).collect();
        ids.sort_unstable();
        let chunk = Chunk::of(&ids);
        Ok(Self {
            identifiers: chunk.text(connection, IDENTIFIERS).await?,
            names: chunk.text(connection, NAMES).await?,
            services: chunk.text(connection, SERVICES).await?,
            software: chunk.text(connection, SOFTWARE).await?,
            os: chunk.text(connection, OS).await?,
            deployments: chunk.text(connection, DEPLOYMENTS).await?,
            anomalies: chunk.text(connection, ANOMALIES).await?,
            heard: chunk.text(connection, HEARD).await?,
        })
    }

    fn read(&self, heads: Vec<Head>) -> Result<Tables, LoadError> {
        let roots = heads.iter().map(|head| (head.id, head.root)).collect();
        let mut tables = Tables {
            heads,
            identifiers: rows(&self.identifiers, &roots, identifier)?,
            names: rows(&self.names, &roots, name)?,
            services: rows(&self.services, &roots, service)?,
            software: rows(&self.software, &roots, software)?,
            os: rows(&self.os, &roots, os)?,
            deployments: rows(&self.deployments, &roots, deployment)?,
            anomalies: rows(&self.anomalies, &roots, anomaly)?,
            heard: rows(&self.heard, &roots, heard)?,
        };
        tables.sort();
        Ok(tables)
    }
}

/// The rows of a table. Each is the row's number, the asset's, and then what `part` reads.
fn rows<P>(
    text: &str,
    roots: &HashMap<AssetId, AssetId>,
    part: impl Fn(&Cells<'_>) -> Result<P, LoadError>,
) -> Result<Vec<Row<P>>, LoadError> {
    let cells = cells::rows(text)?;
    let mut rows = Vec::with_capacity(cells.len());
    for cells in cells {
        let asset = AssetId(cells.number(1)?);
        // Not asked for, only in between.
        let Some(root) = roots.get(&asset).copied() else { continue };
        rows.push(Row { id: cells.number(0)?, asset, root, part: part(&cells)? });
    }
    Ok(rows)
}

fn identifier(row: &Cells<'_>) -> Result<Assigned, LoadError> {
    let (kind, value) = (row.text(2)?, row.text(3)?);
    Ok(Assigned {
        identifier: Identifier::from_parts(kind, value)
            .ok_or_else(|| LoadError::content("identifier.value", format!("{kind} {value}")))?,
        strength: row.word(4, "identifier.strength", strength)?,
        first_seen: row.time(5)?,
        last_seen: row.time(6)?,
        current: row.flag(7)?,
        because: row.owned(8)?,
    })
}

fn name(row: &Cells<'_>) -> Result<Name, LoadError> {
    Ok(Name {
        name: row.owned(2)?,
        source: row.word(3, "name.source", |text| parse("", &format!("\"{text}\"")).ok())?,
        last_seen: row.time(4)?,
    })
}

fn service(row: &Cells<'_>) -> Result<ServiceState, LoadError> {
    Ok(ServiceState {
        address: row.address(2, "service.address")?,
        transport: row.word(3, "service.transport", |text| text.parse().ok())?,
        port: row.port(4, "service.port")?,
        state: row.word(5, "service.state", PortState::from_name)?,
        protocol: row.maybe(6)?,
        product: row.maybe(7)?,
        version: row.maybe(8)?,
        cpe: row.cpe(9)?,
        tls: row.flag(10)?,
        attributes: parse("service.attributes", row.text(11)?)?,
        first_seen: row.time(12)?,
        last_seen: row.time(13)?,
        tls_server: match row.maybe(14)? {
            Some(server) => Some(KnownTls {
                server: parse("service.tls_server", &server)?,
                last_seen: row.time(15)?,
            }),
            None => None,
        },
    })
}

fn software(row: &Cells<'_>) -> Result<Software, LoadError> {
    Ok(Software {
        product: row.owned(2)?,
        version: row.maybe(3)?,
        cpe: row.cpe(4)?,
        source: row.owned(5)?,
        first_seen: row.time(6)?,
        last_seen: row.time(7)?,
        current: row.flag(8)?,
    })
}

fn os(row: &Cells<'_>) -> Result<OperatingSystem, LoadError> {
    Ok(OperatingSystem {
        name: row.owned(2)?,
        version: row.maybe(3)?,
        cpe: row.cpe(4)?,
        last_seen: row.time(5)?,
    })
}

pub(super) fn deployment(row: &Cells<'_>) -> Result<Deployment, LoadError> {
    Ok(Deployment {
        sha256: row.owned(2)?,
        chain: parse("deployment.chain", row.text(3)?)?,
        address: row.address(4, "deployment.address")?,
        port: row.port(5, "deployment.port")?,
        transport: row.word(6, "deployment.transport", |text| text.parse().ok())?,
        server_name: row.maybe(7)?,
        protocol_version: TlsVersion(row.port(8, "deployment.protocol_version")?),
        starttls: row.maybe(9)?,
        first_seen: row.time(10)?,
        last_seen: row.time(11)?,
        current: row.flag(12)?,
    })
}

fn anomaly(row: &Cells<'_>) -> Result<Anomaly, LoadError> {
    Ok(Anomaly {
        subject: row.owned(2)?,
        protocol: row.owned(3)?,
        problem: row.owned(4)?,
        last_seen: row.time(5)?,
    })
}

fn heard(row: &Cells<'_>) -> Result<Heard, LoadError> {
    let fact = row.text(3)?;
    let wrong = || LoadError::content("heard.fact", fact.to_owned());
    Ok(Heard {
        subject: parse("heard.subject", row.text(2)?)?,
        what: What::of(&parse("heard.fact", fact)?).ok_or_else(wrong)?,
        first_seen: row.time(4)?,
        last_seen: row.time(5)?,
    })
}
