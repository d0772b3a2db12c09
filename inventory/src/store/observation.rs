//! Observations, each distinct one once.
//!
//! Two observations are the same if vantage point, method, subject and fact are; then only
//! the times, the count and the latest evidence change. Certificates are taken out of the
//! facts and stored by their SHA-256, because one chain is served in many places.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    hash::{BuildHasher as _, Hash as _, RandomState},
};

use model::{Fact, Method, Observation, ScanId, Subject, Timestamp, TlsVersion, Vantage};
use serde::{Deserialize, Serialize};
use siphasher::sip128::{Hasher128 as _, SipHasher13};
use sqlx::{Connection, SqliteConnection};

use super::{
    BEGIN_WRITE, Store, StoreError, certificate,
    insert::insert,
    scan::{json, vantage_number},
};

/// What makes two observations the same: the first 128 bits of a SHA-256. An attacker who
/// wants two facts to collide needs 2^64 attempts and gains one missing row.
type Key = [u8; 16];

/// Rows in one statement. Larger ones are not faster and hold the JSON text in memory, and
/// these leave room to make or read the rows of one while the database works on another.
pub(super) const ROWS: usize = 1_000;

/// Rows that are coalesced and sorted together where many are written at once.
const TOGETHER: usize = 10_000;

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
///
/// What is seen again costs a hash, a tenth of what its key does: most of what a mirror port
/// hears was heard before.
#[derive(Debug, Default)]
pub(super) struct Batch {
    rows: Vec<Sighting>,
    /// Where in `rows` the sighting is of which this is the hash. Of 128 bits, under a key that
    /// nobody knows: two facts of one are not to be had.
    places: HashMap<u128, usize>,
    hasher: Secret,
    /// The vantage points of the sightings: one, or a few.
    vantages: Vec<Vantage>,
    /// What a key was last made of, kept for its room.
    text: Vec<u8>,
    certificates: BTreeMap<String, Certificate>,
    taken: u64,
}

/// A hash's key, new for each batch.
#[derive(Debug)]
struct Secret([u64; 2]);

impl Default for Secret {
    fn default() -> Self {
        let random = RandomState::new();
        Self([random.hash_one(0), random.hash_one(1)])
    }
}

#[derive(Debug)]
struct Sighting {
    key: Key,
    /// Its place among the vantage points of the batch.
    vantage: usize,
    method: Method,
    subject: Subject,
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
        let vantage = place_of(&mut self.vantages, &observation.vantage);
        let mut evidence = std::mem::take(&mut observation.evidence);
        evidence.truncate(observation.fact.max_evidence());
        let hash = self.hash(&observation);
        match self.places.entry(hash) {
            Entry::Occupied(place) => {
                let place = *place.get();
                if let Fact::Certificates(served) = &observation.fact {
                    self.set_aside(&served.chain, at);
                }
                let Some(known) = self.rows.get_mut(place) else { return };
                known.times = known.times.saturating_add(1);
                known.first_seen = known.first_seen.min(at);
                if at >= known.last_seen {
                    known.last_seen = at;
                    known.evidence = evidence;
                }
            }
            Entry::Vacant(free) => {
                free.insert(self.rows.len());
                let (first_seen, last_seen) = (at, at);
                let fact = self.encode(&observation.fact, at);
                let key = self.key(&observation, &fact);
                let Observation { method, subject, .. } = observation;
                let times = 1;
                self.rows.push(Sighting {
                    key,
                    vantage,
                    method,
                    subject,
                    fact,
                    first_seen,
                    last_seen,
                    times,
                    evidence,
                });
            }
        }
    }

    /// What makes the observation the same as another of the batch.
    fn hash(&self, observation: &Observation) -> u128 {
        let Secret([first, second]) = self.hasher;
        let mut hasher = SipHasher13::new_with_keys(first, second);
        let Observation { vantage, method, subject, fact, .. } = observation;
        (vantage, method, subject, fact).hash(&mut hasher);
        hasher.finish128().as_u128()
    }

    /// What makes the observation the same as another of the database.
    fn key(&mut self, observation: &Observation, fact: &str) -> Key {
        let Observation { vantage, method, subject, .. } = observation;
        self.text.clear();
        let text = (&vantage.site, &vantage.name, method, subject, fact);
        serde_json::to_writer(&mut self.text, &text)
            .expect("text, numbers and lists of them have a JSON form");
        let hash = ring::digest::digest(&ring::digest::SHA256, &self.text);
        hash.as_ref().first_chunk().copied().expect("a SHA-256 has 32 bytes")
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
        json(&Stored::Certificates {
            chain: self.set_aside(&served.chain, at),
            server_name: served.server_name.clone(),
            protocol_version: served.protocol_version,
            starttls: served.starttls.clone(),
        })
    }

    /// Sets certificates aside, each once, with when it was seen. Returns their names.
    fn set_aside(&mut self, chain: &[Vec<u8>], at: Timestamp) -> Vec<String> {
        let mut names = Vec::with_capacity(chain.len());
        for der in chain {
            let sha256 = certificate::sha256(der);
            let seen = self.certificates.entry(sha256.clone()).or_insert_with(|| Certificate {
                der: der.clone(),
                first_seen: at,
                last_seen: at,
            });
            seen.first_seen = seen.first_seen.min(at);
            seen.last_seen = seen.last_seen.max(at);
            names.push(sha256);
        }
        names
    }
}

/// A fact whose stored form is not its own.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stored {
    Certificates {
        chain: Vec<String>,
        server_name: Option<String>,
        protocol_version: TlsVersion,
        starttls: Option<String>,
    },
}

/// How the stored form of [`Fact::Certificates`] begins.
pub(super) const CERTIFICATES: &str = r#"{"certificates":"#;

fn place_of(vantages: &mut Vec<Vantage>, vantage: &Vantage) -> usize {
    vantages.iter().position(|known| known == vantage).unwrap_or_else(|| {
        vantages.push(vantage.clone());
        vantages.len() - 1
    })
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
        let failed = self.failed("writing observations");
        let mut observations = observations.into_iter();
        let mut batch = fill(&mut observations).await;
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        let mut total = Written::default();
        while batch.taken > 0 {
            let (written, next) =
                tokio::join!(write(&mut transaction, scan, batch), fill(&mut observations));
            let Written { observations, rows } = written.map_err(&failed)?;
            total.observations = total.observations.saturating_add(observations);
            total.rows = total.rows.saturating_add(rows);
            batch = next;
        }
        transaction.commit().await.map_err(&failed)?;
        Ok(total)
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

/// Takes the next observations, while the database writes those before them: now and then
/// it lets the other side hand on what it has.
async fn fill(observations: &mut impl Iterator<Item = Observation>) -> Batch {
    let mut batch = Batch::default();
    while batch.len() < TOGETHER {
        let Some(observation) = observations.next() else { break };
        batch.add(observation);
        if batch.taken.is_multiple_of(256) {
            tokio::task::yield_now().await;
        }
    }
    batch
}

async fn write(
    connection: &mut SqliteConnection,
    scan: ScanId,
    batch: Batch,
) -> sqlx::Result<Written> {
    let Batch { mut rows, certificates, vantages, taken, .. } = batch;
    // Before the facts that name them.
    certificate::write(
        connection,
        certificates
            .into_iter()
            .map(|(sha256, c)| (sha256, c.der, c.first_seen, c.last_seen))
            .collect(),
    )
    .await?;
    let mut numbers = Vec::with_capacity(vantages.len());
    for vantage in &vantages {
        numbers.push(vantage_number(connection, vantage).await?);
    }
    // In the order of the unique index, so that neighbours share its pages.
    rows.sort_unstable_by_key(|sighting| sighting.key);
    let values = rows.iter().map(|s| {
        [
            s.key.as_slice().into(),
            numbers[s.vantage].into(),
            s.method.as_str().into(),
            about(&s.subject).into(),
            json(&s.subject).into(),
            (&s.fact).into(),
            s.first_seen.into(),
            s.last_seen.into(),
            s.times.into(),
            s.evidence.as_slice().into(),
            scan.0.into(),
            // A new row waits by its number alone.
            false.into(),
        ]
    });
    insert(
        connection,
        "observation (key, vantage, method, about, subject, fact, first_seen, last_seen, times,
             evidence, last_scan, pending)",
        "ON CONFLICT (key) DO UPDATE SET
             first_seen = min(first_seen, excluded.first_seen),
             evidence = iif(excluded.last_seen >= last_seen, excluded.evidence, evidence),
             last_scan = iif(excluded.last_seen >= last_seen, excluded.last_scan, last_scan),
             last_seen = max(last_seen, excluded.last_seen),
             times = times + excluded.times,
             pending = 1",
        values,
    )
    .await?;
    Ok(Written { observations: taken, rows: u64::try_from(rows.len()).unwrap_or(u64::MAX) })
}
