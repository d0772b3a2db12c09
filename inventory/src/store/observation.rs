//! Observations, each distinct one once.
//!
//! Two observations are the same if vantage point, method, subject and fact are; then only
//! the times, the count and the latest evidence change. Certificates are taken out of the
//! facts and stored by their SHA-256, because one chain is served in many places.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use model::{
    CertificateChain, Fact, Method, Observation, ScanId, Site, Subject, Timestamp, TlsVersion,
    Vantage,
};
use serde::{Deserialize, Serialize};
use sqlx::{Connection, SqliteConnection};

use super::{
    BEGIN_WRITE, Store, StoreError,
    cells::{Cells, rows_of},
    certificate,
    scan::{LoadError, json, parse, vantage_number},
};

/// What makes two observations the same: the first 128 bits of a SHA-256. An attacker who
/// wants two facts to collide needs 2^64 attempts and gains one missing row.
type Key = [u8; 16];

/// Rows in one statement. Larger ones are not faster and hold the JSON text in memory.
const ROWS: usize = 4_000;

/// An observation as it was stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredObservation {
    /// The observation, with its latest time and evidence.
    pub observation: Observation,
    /// When it was made first.
    pub first_seen: Timestamp,
    /// How often it was made.
    pub times: u64,
    /// The scan that made it last.
    pub last_scan: ScanId,
}

/// How many observations were taken, and how many rows they became.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Written {
    /// Observations taken.
    pub observations: u64,
    /// Rows inserted or updated.
    pub rows: u64,
}

/// Observations of one scan, coalesced, on their way to the database.
#[derive(Debug, Default)]
pub(super) struct Batch {
    rows: HashMap<Key, Sighting>,
    certificates: BTreeMap<String, Certificate>,
    taken: u64,
}

#[derive(Debug)]
struct Sighting {
    first: Observation,
    fact: String,
    first_seen: Timestamp,
    last_seen: Timestamp,
    times: i64,
    evidence: Vec<u8>,
}

#[derive(Debug)]
struct Certificate {
    der: Vec<u8>,
    first_seen: Timestamp,
    last_seen: Timestamp,
}

impl Batch {
    /// Adds an observation.
    pub(super) fn add(&mut self, mut observation: Observation) {
        self.taken = self.taken.saturating_add(1);
        let at = observation.observed_at;
        let fact = self.encode(&observation.fact, at);
        let mut evidence = std::mem::take(&mut observation.evidence);
        evidence.truncate(Observation::MAX_EVIDENCE);
        match self.rows.entry(key(&observation, &fact)) {
            std::collections::hash_map::Entry::Occupied(mut known) => {
                let known = known.get_mut();
                known.times = known.times.saturating_add(1);
                known.first_seen = known.first_seen.min(at);
                if at >= known.last_seen {
                    known.last_seen = at;
                    known.evidence = evidence;
                }
            }
            std::collections::hash_map::Entry::Vacant(free) => {
                let (first_seen, last_seen) = (at, at);
                let first = observation;
                free.insert(Sighting { first, fact, first_seen, last_seen, times: 1, evidence });
            }
        }
    }

    /// Rows that it will write.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The fact as it is stored. Certificates are set aside.
    fn encode(&mut self, fact: &Fact, at: Timestamp) -> String {
        let Fact::Certificates(served) = fact else {
            return json(fact);
        };
        let chain = served.chain.iter().map(|der| {
            let sha256 = certificate::sha256(der);
            let seen = self.certificates.entry(sha256.clone()).or_insert_with(|| Certificate {
                der: der.clone(),
                first_seen: at,
                last_seen: at,
            });
            seen.first_seen = seen.first_seen.min(at);
            seen.last_seen = seen.last_seen.max(at);
            sha256
        });
        json(&Stored::Certificates {
            chain: chain.collect(),
            server_name: served.server_name.clone(),
            protocol_version: served.protocol_version,
            starttls: served.starttls.clone(),
        })
    }
}

/// A fact whose stored form is not its own.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Stored {
    Certificates {
        chain: Vec<String>,
        server_name: Option<String>,
        protocol_version: TlsVersion,
        starttls: Option<String>,
    },
}

/// How the stored form of [`Fact::Certificates`] begins.
const CERTIFICATES: &str = r#"{"certificates":"#;

fn key(observation: &Observation, fact: &str) -> Key {
    let Observation { vantage, method, subject, .. } = observation;
    let text = json(&(&vantage.site, &vantage.name, method, subject, fact));
    let hash = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    hash.as_ref().first_chunk().copied().expect("a SHA-256 has 32 bytes")
}

/// The text by which observations of an address or a MAC are found again.
fn about(subject: &Subject) -> String {
    match subject {
        Subject::Mac(mac) => mac.to_string(),
        Subject::Address(address) => address.to_string(),
        Subject::Endpoint(endpoint) => endpoint.address.to_string(),
    }
}

impl Store {
    /// Writes observations of a scan in one transaction.
    ///
    /// # Errors
    ///
    /// Where the database cannot be written; then none of them is.
    pub async fn write_observations(
        &self,
        scan: ScanId,
        observations: impl IntoIterator<Item = Observation>,
    ) -> Result<Written, StoreError> {
        let mut batch = Batch::default();
        observations.into_iter().for_each(|observation| batch.add(observation));
        self.write_batch(scan, batch).await
    }

    pub(super) async fn write_batch(
        &self,
        scan: ScanId,
        batch: Batch,
    ) -> Result<Written, StoreError> {
        let failed = self.failed("writing observations");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        let written = write(&mut transaction, scan, batch).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(written)
    }

    /// How many distinct observations are stored.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn observation_count(&self) -> Result<u64, StoreError> {
        let mut reader = self.reader().await?;
        let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM observation")
            .fetch_one(&mut *reader)
            .await
            .map_err(self.failed("counting observations"))?;
        Ok(rows.unsigned_abs())
    }
}

async fn write(
    connection: &mut SqliteConnection,
    scan: ScanId,
    batch: Batch,
) -> sqlx::Result<Written> {
    let Batch { rows, certificates, taken } = batch;
    // Before the facts that name them.
    certificate::write(
        connection,
        certificates
            .into_iter()
            .map(|(sha256, c)| (sha256, c.der, c.first_seen, c.last_seen))
            .collect(),
    )
    .await?;
    let mut vantages: HashMap<Vantage, i64> = HashMap::new();
    for sighting in rows.values() {
        let vantage = &sighting.first.vantage;
        if !vantages.contains_key(vantage) {
            vantages.insert(vantage.clone(), vantage_number(connection, vantage).await?);
        }
    }
    // In the order of the unique index, so that neighbours share its pages.
    let mut rows: Vec<(Key, Sighting)> = rows.into_iter().collect();
    rows.sort_unstable_by_key(|(key, _)| *key);
    for chunk in rows.chunks(ROWS) {
        let values: Vec<_> = chunk
            .iter()
            .map(|(key, s)| {
                let Observation { vantage, method, subject, .. } = &s.first;
                (
                    hex(key),
                    vantages[vantage],
                    method,
                    about(subject),
                    json(subject),
                    &s.fact,
                    s.first_seen,
                    s.last_seen,
                    s.times,
                    hex(&s.evidence),
                )
            })
            .collect();
        sqlx::query(
            "INSERT INTO observation (key, vantage, method, about, subject, fact, first_seen,
                 last_seen, times, evidence, last_scan, pending)
             SELECT unhex(value ->> 0), value ->> 1, value ->> 2, value ->> 3, value ->> 4,
                 value ->> 5, value ->> 6, value ->> 7, value ->> 8, unhex(value ->> 9), $2, 2
             FROM json_each($1) WHERE true
             ON CONFLICT (key) DO UPDATE SET
                 first_seen = min(first_seen, excluded.first_seen),
                 evidence = iif(excluded.last_seen >= last_seen, excluded.evidence, evidence),
                 last_scan = iif(excluded.last_seen >= last_seen, excluded.last_scan, last_scan),
                 last_seen = max(last_seen, excluded.last_seen),
                 times = times + excluded.times,
                 pending = max(pending, 1)",
        )
        .bind(json(&values))
        .bind(scan.0)
        .execute(&mut *connection)
        .await?;
    }
    Ok(Written { observations: taken, rows: u64::try_from(rows.len()).unwrap_or(u64::MAX) })
}

/// An observation that waits to be digested.
pub(super) struct Pending {
    /// Never digested before.
    pub(super) new: bool,
    pub(super) stored: StoredObservation,
}

/// The observations of a site that were made since they were last digested.
pub(super) async fn pending(
    connection: &mut SqliteConnection,
    site: &Site,
) -> Result<Vec<Pending>, LoadError> {
    let vantages = vantages(connection, site).await?;
    let mut pending = Vec::new();
    for vantage in vantages.keys() {
        let mut last = 0;
        loop {
            // In parts, because the text of all rows of a large sweep is larger than they are.
            let rows = rows_of(
                connection,
                "SELECT json_array(id, pending, vantage, method, subject, fact, first_seen,
                     last_seen, times, hex(evidence), last_scan)
                 FROM observation
                 WHERE vantage = $1 ->> 0 AND pending > 0 AND id > $1 ->> 1
                 ORDER BY id LIMIT $1 ->> 2",
                json(&(vantage, last, ROWS)),
            )
            .await?;
            let Some(row) = rows.last() else { break };
            last = row.number(0)?;
            let new: Vec<i64> = rows.iter().map(|row| row.number(1)).collect::<Result<_, _>>()?;
            let stored = decode(connection, &vantages, &rows).await?;
            let both = new.into_iter().zip(stored);
            pending.extend(both.map(|(state, stored)| Pending { new: state == 2, stored }));
        }
    }
    Ok(pending)
}

/// Marks the observations of a site as digested.
pub(super) async fn digested(connection: &mut SqliteConnection, site: &Site) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE observation SET pending = 0
         WHERE pending > 0 AND vantage IN (SELECT id FROM vantage WHERE site = $1)",
    )
    .bind(site.0.clone())
    .execute(connection)
    .await?;
    Ok(())
}

/// The observations about these addresses and MACs at a site, the latest first.
pub(super) async fn concerning(
    connection: &mut SqliteConnection,
    site: &Site,
    names: &BTreeSet<String>,
) -> Result<Vec<StoredObservation>, LoadError> {
    let vantages = vantages(connection, site).await?;
    let numbers: Vec<i64> = vantages.keys().copied().collect();
    let rows = rows_of(
        connection,
        "SELECT json_array(id, pending, vantage, method, subject, fact, first_seen, last_seen,
             times, hex(evidence), last_scan)
         FROM observation
         WHERE about IN (SELECT value FROM json_each($1, '$[0]'))
           AND vantage IN (SELECT value FROM json_each($1, '$[1]'))
         ORDER BY last_seen DESC, id",
        json(&(names, numbers)),
    )
    .await?;
    decode(connection, &vantages, &rows).await
}

/// The vantage points of a site, by their numbers.
async fn vantages(
    connection: &mut SqliteConnection,
    site: &Site,
) -> sqlx::Result<BTreeMap<i64, Vantage>> {
    let rows: Vec<(i64, String)> =
        sqlx::query_as("SELECT id, name FROM vantage WHERE site = $1 ORDER BY id")
            .bind(site.0.clone())
            .fetch_all(connection)
            .await?;
    Ok(rows.into_iter().map(|(id, name)| (id, Vantage { site: site.clone(), name })).collect())
}

async fn decode(
    connection: &mut SqliteConnection,
    vantages: &BTreeMap<i64, Vantage>,
    rows: &[Cells],
) -> Result<Vec<StoredObservation>, LoadError> {
    let mut wanted = BTreeSet::new();
    for row in rows {
        let fact = row.text(5)?;
        if fact.starts_with(CERTIFICATES) {
            let Stored::Certificates { chain, .. } = parse("observation.fact", fact)?;
            wanted.extend(chain);
        }
    }
    let ders = certificate::ders(connection, &wanted).await?;
    let decoded = rows.iter().map(|row| {
        let vantage = row.number(2)?;
        let vantage = vantages
            .get(&vantage)
            .ok_or_else(|| LoadError::content("observation.vantage", vantage.to_string()))?;
        Ok(StoredObservation {
            observation: Observation {
                observed_at: row.time(7)?,
                vantage: vantage.clone(),
                method: row.word(3, "observation.method", Method::from_name)?,
                subject: parse("observation.subject", row.text(4)?)?,
                fact: decode_fact(row.text(5)?, &ders)?,
                evidence: row.word(9, "observation.evidence", unhex)?,
            },
            first_seen: row.time(6)?,
            times: row.number(8)?.unsigned_abs(),
            last_scan: ScanId(row.number(10)?),
        })
    });
    decoded.collect()
}

fn decode_fact(text: &str, ders: &HashMap<String, Vec<u8>>) -> Result<Fact, LoadError> {
    if !text.starts_with(CERTIFICATES) {
        return parse("observation.fact", text);
    }
    let Stored::Certificates { chain, server_name, protocol_version, starttls } =
        parse("observation.fact", text)?;
    let der = |sha256: &String| {
        ders.get(sha256).cloned().ok_or_else(|| LoadError::content("observation.fact", text))
    };
    Ok(Fact::Certificates(CertificateChain {
        chain: chain.iter().map(der).collect::<Result<_, _>>()?,
        server_name,
        protocol_version,
        starttls,
    }))
}

/// Lower-case hexadecimal, which is how bytes travel inside JSON.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let byte = |pair: &[u8; 2]| u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok();
    pairs.iter().map(byte).collect()
}
