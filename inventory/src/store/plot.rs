//! What a map shows: every address with how its asset stands, and the devices that hold the network
//! together, as the last review left them.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use model::{AddressRange, Fact, Neighbor, NetworkRole, RouterProtocol, Subject};
use sqlx::{Connection, SqliteConnection};

use super::{
    Store, StoreError,
    list::key_of,
    load::Merges,
    scan::{LoadError, json, parse},
};
use crate::{asset::AssetId, compare::Registration, hex::hex};

/// An address of an asset on the map.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plot {
    /// Its site, as it is shown.
    pub site: String,
    /// The address.
    pub address: IpAddr,
    /// Whose it is.
    pub asset: AssetId,
    /// How it is registered.
    pub registration: Registration,
    /// Open critical findings of the asset.
    pub critical: u64,
    /// Open warnings.
    pub warning: u64,
    /// The first of its names; "" where it has none.
    pub name: String,
    /// Its class; "" where it has none.
    pub class: String,
}

/// A device that holds the network together.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Junction {
    /// It.
    pub asset: AssetId,
    /// Its site, as it is shown.
    pub site: String,
    /// The first of its names; "" where it has none.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// What it says that it is.
    pub roles: Vec<NetworkRole>,
    /// What it tells at the other end of its cable, each with the names of the vantage points that
    /// are there.
    pub neighbors: Vec<(Neighbor, Vec<String>)>,
}

/// Assets, address, and so on, as a row has them.
type Row = (String, Vec<u8>, i64, String, i64, i64, String, String);

/// Which addresses of a map.
#[derive(Clone, Copy, Debug)]
pub enum Sheet<'s> {
    /// All, from the first site on.
    First,
    /// Those behind an address of a site.
    After(&'s str, IpAddr),
    /// Those of a part of a site.
    Block(&'s str, AddressRange),
}

impl Store {
    /// Addresses on the map, at most so many, by site and address.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn plots(&self, sheet: Sheet<'_>, most: u32) -> Result<Vec<Plot>, StoreError> {
        let failed = self.failed("reading the map");
        let mut reader = self.reader().await?;
        let (mut first, mut last) = (vec![], vec![u8::MAX]);
        let (mut site, mut after) = (None, None);
        match sheet {
            Sheet::First => {}
            Sheet::After(name, address) => after = Some((name.to_owned(), key_of(address))),
            Sheet::Block(name, range) => {
                [first, last] = [range.first(), range.last()].map(key_of);
                site = Some(name.to_owned());
            }
        }
        let (after_site, after) = after.unzip();
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT a.site_shown, l.address, a.id, a.registration, a.critical, a.warning, a.names,
                 a.class
             FROM listed_address AS l CROSS JOIN listed_asset AS a ON a.id = l.asset
             WHERE l.current = 1 AND l.address BETWEEN $1 AND $2
                 AND ($3 IS NULL OR a.site_shown = $3)
                 AND ($4 IS NULL OR (a.site_shown, l.address) > ($4, $5))
             ORDER BY a.site_shown, l.address, a.id LIMIT $6",
        )
        .bind(first)
        .bind(last)
        .bind(site)
        .bind(after_site)
        .bind(after)
        .bind(most)
        .fetch_all(&mut *reader)
        .await
        .map_err(&failed)?;
        rows.into_iter().map(plot).collect::<Result<_, _>>().map_err(|e| e.or(&failed))
    }

    /// The devices that hold the network together: routers, switches, and whatever tells its
    /// neighbours what it is; at most so many, by site and number.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn junctions(&self, most: u16) -> Result<Vec<Junction>, StoreError> {
        let failed = self.failed("reading the map");
        let mut reader = self.reader().await?;
        let mut snapshot = reader.begin().await.map_err(&failed)?;
        junctions(&mut snapshot, most).await.map_err(|e| e.or(&failed))
    }
}

fn plot(row: Row) -> Result<Plot, LoadError> {
    let (site, key, asset, registration, critical, warning, names, class) = row;
    let wrong = || LoadError::content("listed_address.address", hex(&key));
    Ok(Plot {
        site,
        address: super::list::address_of(&key).ok_or_else(wrong)?,
        asset: AssetId(asset),
        // One that a later version knows is none that we could tell apart.
        registration: Registration::from_name(&registration).unwrap_or(Registration::Unknown),
        critical: critical.unsigned_abs(),
        warning: warning.unsigned_abs(),
        name: first(&names),
        class,
    })
}

/// The first of several texts, each between line ends.
fn first(texts: &str) -> String {
    texts.split('\n').find(|text| !text.is_empty()).unwrap_or_default().to_owned()
}

/// Whether somebody with that part connects others.
const fn connects(role: NetworkRole) -> bool {
    match role {
        NetworkRole::Router(protocol) => !matches!(protocol, RouterProtocol::PrefixAdvertisement),
        NetworkRole::VirtualRouter { .. }
        | NetworkRole::SpanningTree
        | NetworkRole::Switch
        | NetworkRole::AccessPoint
        | NetworkRole::CableModem
        | NetworkRole::Repeater => true,
        NetworkRole::DhcpServer
        | NetworkRole::Dhcpv6Server
        | NetworkRole::GroupQuerier
        | NetworkRole::Phone
        | NetworkRole::Station => false,
    }
}

/// What is known of one on the way.
#[derive(Default)]
struct Told {
    roles: BTreeSet<NetworkRole>,
    neighbors: BTreeMap<Neighbor, BTreeSet<String>>,
}

async fn junctions(
    connection: &mut SqliteConnection,
    most: u16,
) -> Result<Vec<Junction>, LoadError> {
    let merges = Merges::load(connection).await?;
    let heard: Vec<(i64, String, String)> = sqlx::query_as(
        "SELECT asset, subject, fact FROM heard
         WHERE substr(fact, 1, 8) = '{\"role\":' OR substr(fact, 1, 12) = '{\"neighbor\":'",
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut all: BTreeMap<AssetId, Told> = BTreeMap::new();
    // By what it speaks as: an address or a MAC.
    let mut spoken: BTreeMap<String, Vec<(AssetId, Neighbor)>> = BTreeMap::new();
    for (asset, subject, fact) in heard {
        let asset = merges.root(AssetId(asset));
        match parse("heard.fact", &fact)? {
            Fact::Role(role) => drop(all.entry(asset).or_default().roles.insert(role)),
            Fact::Neighbor(neighbor) => {
                let about = match parse("heard.subject", &subject)? {
                    Subject::Mac(mac) => mac.to_string(),
                    Subject::Address(address) => address.to_string(),
                    Subject::Endpoint(endpoint) => endpoint.address.to_string(),
                };
                spoken.entry(about).or_default().push((asset, neighbor.clone()));
                all.entry(asset).or_default().neighbors.entry(neighbor).or_default();
            }
            _ => {}
        }
    }
    all.retain(|_, told| {
        !told.neighbors.is_empty() || told.roles.iter().any(|role| connects(*role))
    });
    let listeners: Vec<(String, String)> = sqlx::query_as(
        "SELECT DISTINCT o.about, v.name FROM observation AS o JOIN vantage AS v ON v.id = o.vantage
         WHERE o.about IN (SELECT value FROM json_each($1))
             AND substr(o.fact, 1, 12) = '{\"neighbor\":'",
    )
    .bind(json(&spoken.keys().collect::<Vec<_>>()))
    .fetch_all(&mut *connection)
    .await?;
    for (about, name) in listeners {
        for (asset, neighbor) in spoken.get(&about).into_iter().flatten() {
            let told = all.get_mut(asset).and_then(|told| told.neighbors.get_mut(neighbor));
            told.map(|names| names.insert(name.clone()));
        }
    }
    let mut ids: Vec<i64> = all.keys().map(|asset| asset.0).collect();
    let by_class: Vec<i64> = sqlx::query_scalar(
        "SELECT id FROM listed_asset WHERE class = 'network' ORDER BY id LIMIT $1",
    )
    .bind(most)
    .fetch_all(&mut *connection)
    .await?;
    ids.extend(by_class);
    let rows: Vec<(i64, String, String, String)> = sqlx::query_as(
        "SELECT id, site_shown, names,
             (SELECT json_group_array(text) FROM listed_address WHERE asset = id AND current = 1)
         FROM listed_asset WHERE id IN (SELECT value FROM json_each($1))
         ORDER BY site_shown, id LIMIT $2",
    )
    .bind(json(&ids))
    .bind(most)
    .fetch_all(connection)
    .await?;
    let junction = |(id, site, names, addresses): (i64, String, String, String)| {
        let told = all.remove(&AssetId(id)).unwrap_or_default();
        let neighbors = told.neighbors.into_iter();
        Ok(Junction {
            asset: AssetId(id),
            site,
            name: first(&names),
            addresses: parse("listed_address.text", &addresses)?,
            roles: told.roles.into_iter().collect(),
            neighbors: neighbors.map(|(one, names)| (one, names.into_iter().collect())).collect(),
        })
    };
    rows.into_iter().map(junction).collect()
}
