//! One certificate with everything that is known of it, within bounds: what a page of its own shows.
//!
//! What a review concluded is read, not concluded again: to judge one chain takes the whole
//! inventory.

use std::collections::{BTreeMap, BTreeSet};

use certs::{
    Trust,
    chain::{Judgement, Purpose, Reason},
};
use model::Timestamp;
use sqlx::{Connection, SqliteConnection};

use super::{ONE, Row, StoredCertificate, ders, read};
use crate::{
    asset::{AssetId, Deployment},
    chain::{Chain, may_issue},
    owner::Owner,
    query::NEVER,
    store::{
        Store, StoreError, StoredFinding, cells, file, finding,
        load::{Merges, deployment},
        scan::{LoadError, json, parse},
        verdict,
    },
};

/// Certificates beside it in its files that are looked at: of a file with more nobody knows what stands
/// above what, without reading all of it.
const BESIDE: i64 = 1_000;

/// A certificate with where it is, what became of it and what is wrong with it.
#[derive(Clone, Debug, PartialEq)]
pub struct CertificateDossier {
    /// The certificate, with at most so many of its places (current ones first) and files as were
    /// asked for.
    pub certificate: StoredCertificate,
    /// Its DER.
    pub der: Vec<u8>,
    /// Places where it is or was served as leaf.
    pub places: u64,
    /// Those where it is served now.
    pub current_places: u64,
    /// Files that hold it now.
    pub current_files: u64,
    /// Places that send it along with another now.
    pub sent_along: u64,
    /// What the last review concluded; `None` where there was none since it came.
    pub concluded: Option<Concluded>,
    /// The distinct chains in which it is served now as leaf or lies in files, with what was said of
    /// each, where that still holds.
    pub chains: Vec<(Chain, Option<Judgement>)>,
    /// Whether these are all.
    pub are_all_chains: bool,
    /// What else was served in its places, the latest first: what it replaced and what
    /// replaced it. At most as many.
    pub others: Vec<(AssetId, Deployment)>,
    /// The names of the certificates in chains and among the others, as RFC 4514 strings, by hash.
    pub names: BTreeMap<String, String>,
    /// What rules say of it, open ones first.
    pub findings: Vec<StoredFinding>,
    /// Who answers for these findings, by their numbers, as the last review left it.
    pub finding_owners: BTreeMap<i64, Vec<Owner>>,
}

impl CertificateDossier {
    /// What the last review concluded, where it said all that it would say now: something of every
    /// chain, as far as time alone does not change that.
    #[must_use]
    pub fn settled(&self) -> Option<&Concluded> {
        let all = self.are_all_chains && self.chains.iter().all(|(_, said)| said.is_some());
        self.concluded.as_ref().filter(|_| all)
    }

    /// Whose the root is that it leads to, accepted or not, as far as that is known.
    #[must_use]
    pub fn root(&self) -> Trust {
        match self.concluded.as_ref().map(|one| one.trust.as_str()) {
            Some("public") => return Trust::Public,
            Some("private") => return Trust::Private,
            _ => {}
        }
        let mut said =
            self.chains.iter().filter_map(|(_, judgement)| Some(judgement.as_ref()?.trust));
        let found = said.clone().find(|trust| *trust == Trust::Public);
        found.or_else(|| said.find(|trust| *trust == Trust::Private)).unwrap_or_default()
    }
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
    /// Who answers for it.
    pub owners: Vec<Owner>,
}

impl Store {
    /// The certificates whose SHA-256 begins like that, in lower-case hexadecimal: the first of them,
    /// and how many there are.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn certificates_named(
        &self,
        beginning: &str,
    ) -> Result<Option<(String, u64)>, StoreError> {
        let mut reader = self.reader().await?;
        let (first, count): (Option<String>, i64) = sqlx::query_as(
            // No digit comes after an f.
            "SELECT min(sha256), count(*) FROM certificate WHERE sha256 >= $1 AND sha256 < $1 || 'g'",
        )
        .bind(beginning)
        .fetch_one(&mut *reader)
        .await
        .map_err(self.failed("looking for a certificate"))?;
        Ok(first.map(|first| (first, count.unsigned_abs())))
    }

    /// A certificate with everything that is known of it, by its whole SHA-256 in lower-case
    /// hexadecimal; of places, files and predecessors at most so many.
    ///
    /// # Errors
    ///
    /// Where there is none of that hash, or the database cannot be read.
    pub async fn certificate(
        &self,
        sha256: &str,
        most: u32,
        as_of: Timestamp,
    ) -> Result<CertificateDossier, StoreError> {
        let failed = self.failed("reading a certificate");
        let mut reader = self.reader().await?;
        let mut snapshot = reader.begin().await.map_err(&failed)?;
        let found = load(&mut snapshot, sha256, most, as_of).await.map_err(|e| e.or(&failed))?;
        found.ok_or_else(|| StoreError::NoCertificate(sha256.to_owned()))
    }
}

async fn load(
    connection: &mut SqliteConnection,
    sha256: &str,
    most: u32,
    as_of: Timestamp,
) -> Result<Option<CertificateDossier>, LoadError> {
    let row: Option<Row> =
        sqlx::query_as(ONE).bind(sha256).fetch_optional(&mut *connection).await?;
    let Some(mut certificate) = row.map(read).transpose()? else { return Ok(None) };
    let own = BTreeSet::from([sha256.to_owned()]);
    let der = ders(connection, &own).await?.remove(sha256).unwrap_or_default();
    let merges = Merges::load(connection).await?;
    certificate.endpoints = deployments(connection, PLACES, (sha256, most), &merges).await?;
    certificate.files = file::holding(connection, sha256, most.into()).await?;
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
    let current_files: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM file_certificate AS c JOIN file ON file.id = c.file
         WHERE c.sha256 = $1 AND c.current = 1 AND file.present = 1",
    )
    .bind(sha256)
    .fetch_one(&mut *connection)
    .await?;
    let mut distinct = served(connection, sha256).await?;
    let in_files = match current_files {
        0 => Some(Vec::new()),
        _ => in_files(connection, sha256, &der).await?,
    };
    let are_all_chains = in_files.is_some();
    distinct.extend(in_files.into_iter().flatten());
    let concluded = concluded(connection, sha256).await?;
    // That is not remembered with a verdict: a server brings another response every few days.
    let is_revoked = concluded.as_ref().is_some_and(|one| {
        one.problems.split(", ").any(|problem| problem == Reason::Revoked.as_str())
    });
    let mut chains = Vec::new();
    for chain in distinct {
        let keys = [Purpose::Server, Purpose::Client].map(|purpose| chain.key(purpose));
        let mut judgement = verdict::of(connection, &keys, as_of).await?;
        if let Some(said) = judgement.as_mut().filter(|_| is_revoked)
            && !said.reasons.contains(&Reason::Revoked)
        {
            said.reasons.push(Reason::Revoked);
        }
        chains.push((chain, judgement));
    }
    let others = deployments(connection, OTHERS, (sha256, most), &merges).await?;
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
    let finding_owners = finding::owners(connection, &findings).await?;
    Ok(Some(CertificateDossier {
        concluded,
        certificate,
        der,
        places: places.unsigned_abs(),
        current_places: current_places.unsigned_abs(),
        current_files: current_files.unsigned_abs(),
        sent_along: sent_along.unsigned_abs(),
        chains,
        are_all_chains,
        others,
        names: names.into_iter().collect(),
        findings,
        finding_owners,
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
            " LIMIT $2)"
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
    (sha256, most): (&str, u32),
    merges: &Merges,
) -> Result<Vec<(AssetId, Deployment)>, LoadError> {
    let text: String =
        sqlx::query_scalar(statement).bind(sha256).bind(most).fetch_one(connection).await?;
    let rows = cells::rows(&text)?;
    let one = |row: &cells::Cells<'_>| Ok((merges.root(AssetId(row.number(1)?)), deployment(row)?));
    rows.iter().map(one).collect()
}

/// The distinct chains in which it is served now as leaf.
async fn served(
    connection: &mut SqliteConnection,
    sha256: &str,
) -> Result<BTreeSet<Chain>, LoadError> {
    let rows: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT chain FROM deployment WHERE sha256 = $1 AND current = 1",
    )
    .bind(sha256)
    .fetch_all(connection)
    .await?;
    let chain = |above: String| {
        Ok(Chain { leaf: sha256.to_owned(), above: parse("deployment.chain", &above)? })
    };
    rows.into_iter().map(chain).collect()
}

/// The chains in which files hold it now; `None` where they hold too much beside it. An authority's
/// own leads nowhere else than where it is served.
async fn in_files(
    connection: &mut SqliteConnection,
    sha256: &str,
    der: &[u8],
) -> Result<Option<Vec<Chain>>, LoadError> {
    if certs::parse(der).is_ca {
        return Ok(Some(Vec::new()));
    }
    let rows: Vec<(i64, String)> = sqlx::query_as(
        "SELECT c.file, c.sha256 FROM file_certificate AS c JOIN file ON file.id = c.file
         WHERE c.current = 1 AND file.present = 1 AND c.file IN
             (SELECT file FROM file_certificate WHERE sha256 = $1 AND current = 1)
         ORDER BY c.file, c.position, c.sha256 LIMIT $2",
    )
    .bind(sha256)
    .bind(BESIDE.saturating_add(1))
    .fetch_all(&mut *connection)
    .await?;
    if rows.len() as i64 > BESIDE {
        return Ok(None);
    }
    let beside: BTreeSet<String> = rows.iter().map(|(_, sha256)| sha256.clone()).collect();
    let ders = ders(connection, &beside).await?;
    let issues = |one: &String| ders.get(one).is_none_or(|der| may_issue(&certs::parse(der)));
    let issuers: BTreeSet<&String> = beside.iter().filter(|one| issues(one)).collect();
    let mut files: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for (file, held) in &rows {
        let above = files.entry(*file).or_default();
        if held != sha256 && issuers.contains(held) {
            above.push(held.clone());
        }
    }
    let chain = |above: Vec<String>| Chain { leaf: sha256.to_owned(), above };
    Ok(Some(files.into_values().map(chain).collect()))
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
        owners: Owner::read_all(&owners),
    }))
}
