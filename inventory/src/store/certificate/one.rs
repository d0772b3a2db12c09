//! One certificate with everything that is known of it, within bounds: what a page of its own shows.
//!
//! What a review concluded is read, not concluded again: to judge one chain takes the whole
//! inventory.

use std::collections::{BTreeMap, BTreeSet};

use certs::chain::{Judgement, Purpose};
use model::Timestamp;
use sqlx::{Connection, SqliteConnection};

use super::{ONE, Row, StoredCertificate, ders, read};
use crate::{
    asset::{AssetId, Deployment},
    chain::Chain,
    query::NEVER,
    store::{
        Store, StoreError, StoredFinding, cells, file, finding,
        load::{Merges, deployment},
        scan::{LoadError, json},
        verdict,
    },
};

/// Places, files and predecessors of each that are read at most: the rest is counted.
const MOST: i64 = 200;

/// A certificate with where it is, what became of it and what is wrong with it.
#[derive(Clone, Debug, PartialEq)]
pub struct CertificateDossier {
    /// The certificate, with at most 200 of its places (current ones first) and files.
    pub certificate: StoredCertificate,
    /// Its DER.
    pub der: Vec<u8>,
    /// Places where it is or was served as leaf.
    pub places: u64,
    /// Those where it is served now.
    pub current_places: u64,
    /// Places that send it along with another now.
    pub sent_along: u64,
    /// What the last review concluded; `None` where there was none since it came.
    pub concluded: Option<Concluded>,
    /// The distinct chains in which it is served now as leaf, with what was said of each, where
    /// that still holds.
    pub chains: Vec<(Chain, Option<Judgement>)>,
    /// What else was served in its places, the latest first: what it replaced and what
    /// replaced it. At most 200.
    pub others: Vec<(AssetId, Deployment)>,
    /// The names of the certificates in chains and among the others, as RFC 4514 strings, by hash.
    pub names: BTreeMap<String, String>,
    /// What rules say of it, open ones first.
    pub findings: Vec<StoredFinding>,
}

/// What lists show of a certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Concluded {
    /// `public`, `private`, `untrusted` or `unknown`.
    pub trust: String,
    /// Why clients refuse it, as it is shown.
    pub problems: String,
    /// When it should be renewed.
    pub renew_by: Option<Timestamp>,
    /// Who answers for it, as it is shown.
    pub owners: String,
}

impl Store {
    /// A certificate with everything that is known of it, by its whole SHA-256 in lower-case
    /// hexadecimal.
    ///
    /// # Errors
    ///
    /// Where there is none of that hash, or the database cannot be read.
    pub async fn certificate(
        &self,
        sha256: &str,
        as_of: Timestamp,
    ) -> Result<CertificateDossier, StoreError> {
        let failed = self.failed("reading a certificate");
        let mut reader = self.reader().await?;
        let mut snapshot = reader.begin().await.map_err(&failed)?;
        let found = load(&mut snapshot, sha256, as_of).await.map_err(|e| e.or(&failed))?;
        found.ok_or_else(|| StoreError::NoCertificate(sha256.to_owned()))
    }
}

async fn load(
    connection: &mut SqliteConnection,
    sha256: &str,
    as_of: Timestamp,
) -> Result<Option<CertificateDossier>, LoadError> {
    let row: Option<Row> =
        sqlx::query_as(ONE).bind(sha256).fetch_optional(&mut *connection).await?;
    let Some(mut certificate) = row.map(read).transpose()? else { return Ok(None) };
    let own = BTreeSet::from([sha256.to_owned()]);
    let der = ders(connection, &own).await?.remove(sha256).unwrap_or_default();
    let merges = Merges::load(connection).await?;
    certificate.endpoints = deployments(connection, PLACES, sha256, &merges).await?;
    certificate.files = file::holding(connection, sha256, MOST).await?;
    let (places, current_places): (i64, i64) = sqlx::query_as(
        "SELECT count(*), coalesce(sum(current), 0) FROM deployment WHERE sha256 = $1",
    )
    .bind(sha256)
    .fetch_one(&mut *connection)
    .await?;
    let sent_along: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM deployment WHERE current = 1 AND instr(chain, $1) > 0",
    )
    .bind(sha256)
    .fetch_one(&mut *connection)
    .await?;
    let current = certificate.endpoints.iter().filter(|(_, place)| place.current);
    let distinct: BTreeSet<Chain> = current.map(|(_, place)| Chain::of(place)).collect();
    let mut chains = Vec::new();
    for chain in distinct {
        let keys = [Purpose::Server, Purpose::Client].map(|purpose| chain.key(purpose));
        let judgement = verdict::of(connection, &keys, as_of).await?;
        chains.push((chain, judgement));
    }
    let others = deployments(connection, OTHERS, sha256, &merges).await?;
    let above = chains.iter().flat_map(|(chain, judgement)| {
        let path = judgement.iter().flat_map(|judgement| &judgement.path);
        chain.above.iter().chain(path)
    });
    let wanted: BTreeSet<&String> =
        above.chain(others.iter().map(|(_, place)| &place.sha256)).collect();
    let names: Vec<(String, String)> = sqlx::query_as(
        "SELECT sha256, subject FROM certificate
         WHERE sha256 IN (SELECT value FROM json_each($1))",
    )
    .bind(json(&wanted))
    .fetch_all(&mut *connection)
    .await?;
    let mut findings = finding::about(connection, &format!("certificate:{sha256}")).await?;
    for stored in &mut findings {
        stored.finding.asset = stored.finding.asset.map(|asset| merges.root(asset));
    }
    Ok(Some(CertificateDossier {
        concluded: concluded(connection, sha256).await?,
        certificate,
        der,
        places: places.unsigned_abs(),
        current_places: current_places.unsigned_abs(),
        sent_along: sent_along.unsigned_abs(),
        chains,
        others,
        names: names.into_iter().collect(),
        findings,
    }))
}

/// The columns of a deployment as [`deployment`] reads them.
macro_rules! deployments {
    ($from:literal) => {
        concat!(
            "SELECT json_group_array(json_array(id, asset, sha256, chain, address, port, transport,
                 server_name, protocol_version, starttls, first_seen, last_seen, current))
             FROM (SELECT d.* FROM ",
            $from,
            " LIMIT 200)"
        )
    };
}

const PLACES: &str = deployments!(
    "deployment AS d WHERE d.sha256 = $1 ORDER BY d.current DESC, d.last_seen DESC, d.id"
);

/// In answer to the same question at the same place.
const OTHERS: &str = deployments!(
    "deployment AS own JOIN deployment AS d
         ON d.asset = own.asset AND d.address = own.address AND d.port = own.port
            AND d.transport = own.transport AND d.server_name IS own.server_name
            AND d.protocol_version = own.protocol_version AND d.starttls IS own.starttls
     WHERE own.sha256 = $1 AND d.sha256 <> $1 GROUP BY d.id ORDER BY d.first_seen DESC, d.id"
);

async fn deployments(
    connection: &mut SqliteConnection,
    statement: &'static str,
    sha256: &str,
    merges: &Merges,
) -> Result<Vec<(AssetId, Deployment)>, LoadError> {
    let text = cells::text_of(connection, statement, sha256.to_owned()).await?;
    let rows = cells::rows(&text)?;
    let one = |row: &cells::Cells<'_>| Ok((merges.root(AssetId(row.number(1)?)), deployment(row)?));
    rows.iter().map(one).collect()
}

async fn concluded(
    connection: &mut SqliteConnection,
    sha256: &str,
) -> sqlx::Result<Option<Concluded>> {
    let row: Option<(String, String, i64, String)> = sqlx::query_as(
        "SELECT trust, problems, renew_by, owners_shown FROM listed_certificate WHERE sha256 = $1",
    )
    .bind(sha256)
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|(trust, problems, renew_by, owners)| Concluded {
        trust,
        problems,
        renew_by: Some(Timestamp(renew_by)).filter(|at| at.0 != NEVER),
        owners,
    }))
}
