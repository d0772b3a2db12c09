//! Rows of assets, read table by table.
//!
//! Whole tables are read and joined in memory: a few statements each for ten thousand
//! assets instead of seven for each of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use model::{Identifier, PortState, Site, TlsVersion};
use sqlx::SqliteConnection;

use super::{
    assets::{Head, Row, Tables},
    cells::{self, Cells, text_of},
    part::strength,
    scan::{LoadError, json, parse},
};
use crate::{
    asset::{
        Anomaly, AssetId, Assigned, Deployment, KnownTls, Name, OperatingSystem, ServiceState,
        Software,
    },
    heard::{Heard, What},
};

/// Assets in one statement: what keeps the text of their rows at half a megabyte, and lets
/// the rows of one part be read while the next is made.
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

impl Tables {
    /// Reads the rows, sorted by what `merges` makes one.
    pub(super) async fn load(
        connection: &mut SqliteConnection,
        which: Which<'_>,
        merges: &Merges,
    ) -> Result<Self, LoadError> {
        let heads = heads(connection, &which, merges).await?;
        let mut ids: Vec<i64> = heads.iter().map(|head| head.id.0).collect();
        ids.sort_unstable();
        let chunks = ids.chunks(ASSETS).map(Chunk::of).collect();
        let roots = heads.iter().map(|head| (head.id, head.root)).collect();
        let mut reader = Reader { connection, chunks, roots };
        let mut tables = Self {
            heads,
            identifiers: reader
                .rows(
                    rows_of!("id, asset, kind, value, strength, first_seen, last_seen, current, because", "identifier"),
                    identifier,
                )
                .await?,
            names: reader
                .rows(
                    rows_of!("id, asset, name, source, last_seen", "name"),
                    name,
                )
                .await?,
            services: reader
                .rows(
                    rows_of!("id, asset, address, transport, port, state, protocol, product, version, cpe, tls, attributes, first_seen, last_seen, tls_server, tls_server_seen", "service"),
                    service,
                )
                .await?,
            software: reader
                .rows(
                    rows_of!("id, asset, product, version, cpe, source, first_seen, last_seen, current", "software"),
                    software,
                )
                .await?,
            os: reader
                .rows(
                    rows_of!("asset, asset, name, version, cpe, last_seen", "os"),
                    os,
                )
                .await?,
            deployments: reader
                .rows(
                    rows_of!("id, asset, sha256, chain, address, port, transport, server_name, protocol_version, starttls, first_seen, last_seen, current", "deployment"),
                    deployment,
                )
                .await?,
            anomalies: reader
                .rows(
                    rows_of!("id, asset, subject, protocol, problem, last_seen", "anomaly"),
                    anomaly,
                )
                .await?,
            heard: reader
                .rows(
                    rows_of!("id, asset, subject, fact, first_seen, last_seen", "heard"),
                    heard,
                )
                .await?,
        };
        tables.sort();
        Ok(tables)
    }
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
}

struct Reader<'c> {
    connection: &'c mut SqliteConnection,
    chunks: Vec<Chunk>,
    /// The root of each asset that is read.
    roots: HashMap<AssetId, AssetId>,
}

impl Reader<'_> {
    /// The rows of a table. The statements give each as a JSON array of the row's number,
    /// the asset's, and then what `part` reads.
    async fn rows<P>(
        &mut self,
        [of_range, of_these]: [&'static str; 2],
        part: impl Fn(&Cells<'_>) -> Result<P, LoadError>,
    ) -> Result<Vec<Row<P>>, LoadError> {
        let mut rows = Vec::new();
        let mut read = |text: String| {
            for cells in cells::rows(&text)? {
                let asset = AssetId(cells.number(1)?);
                // Not asked for, only in between.
                let Some(root) = self.roots.get(&asset).copied() else { continue };
                rows.push(Row { id: cells.number(0)?, asset, root, part: part(&cells)? });
            }
            Ok::<_, LoadError>(())
        };
        let mut last = None;
        for chunk in &self.chunks {
            let (statement, assets) = match chunk {
                Chunk::Range(ends) => (of_range, ends),
                Chunk::These(assets) => (of_these, assets),
            };
            let (text, done) =
                tokio::join!(text_of(self.connection, statement, assets.clone()), async {
                    last.take().map_or(Ok(()), &mut read)
                });
            done?;
            last = Some(text?);
        }
        last.map_or(Ok(()), read)?;
        Ok(rows)
    }
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

fn deployment(row: &Cells<'_>) -> Result<Deployment, LoadError> {
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
