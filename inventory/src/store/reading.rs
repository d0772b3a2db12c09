//! Observations out of the database: those that wait to be digested, and those about something.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use model::{CertificateChain, Fact, Method, Observation, ScanId, Site, Timestamp, Vantage};
use sqlx::SqliteConnection;

use super::{
    beside::Beside,
    certificate,
    observation::{CERTIFICATES, ROWS, Stored, StoredObservation},
    scan::{LoadError, json, parse},
};

/// An observation that waits to be digested.
pub(super) struct Pending {
    /// Never digested before.
    pub(super) new: bool,
    pub(super) stored: StoredObservation,
}

/// A statement that gives the rows of `$from` as one text, with their count and the last of
/// their numbers. Its values hold no control character, JSON escapes them all, so that two of
/// them part values and rows: to write and to read that costs half of an array in JSON.
macro_rules! rows_as_text {
    ($evidence:literal, $from:literal) => {
        concat!(
            "SELECT max(id), group_concat(concat_ws(char(31), id, vantage, method, subject, fact,
                 first_seen, last_seen, times, last_scan, ",
            $evidence,
            "), char(30)) FROM ",
            $from
        )
    };
}

/// The observations of a site that were made since they were last digested, without their
/// evidence, from which nothing is concluded.
pub(super) async fn pending(
    connection: &mut SqliteConnection,
    site: &Site,
) -> Result<Vec<Pending>, LoadError> {
    const SEEN_AGAIN: &str = rows_as_text!(
        "''",
        "(SELECT * FROM observation WHERE vantage = $1 AND pending > 0 AND id > $2 AND id <= $3
          ORDER BY id LIMIT $4)"
    );
    const NEW: &str = rows_as_text!(
        "''",
        "(SELECT * FROM observation WHERE vantage = $1 AND id > max($2, $3) ORDER BY id LIMIT $4)"
    );
    let places = Arc::new(places(connection, site).await?);
    let mut decoded = Beside::new();
    for (vantage, place) in &*places {
        // In the order of their numbers.
        for statement in [SEEN_AGAIN, NEW] {
            let mut last = 0;
            loop {
                // In parts, because the text of all rows of a large sweep is larger than they
                // are.
                let part = sqlx::query_as(statement)
                    .bind(*vantage)
                    .bind(last)
                    .bind(place.digested)
                    .bind(i64::try_from(ROWS).unwrap_or(i64::MAX))
                    .fetch_one(&mut *connection)
                    .await?;
                let (Some(end), Some(text)): (Option<i64>, Option<String>) = part else { break };
                last = end;
                let places = Arc::clone(&places);
                decoded.give(move || Decoded::read(&places, &text)).await?;
            }
        }
    }
    let mut all = Decoded::default();
    for part in decoded.finish().await? {
        all.append(part);
    }
    all.complete(connection).await
}

/// Marks the observations of a site as digested.
pub(super) async fn digested(connection: &mut SqliteConnection, site: &Site) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE vantage SET digested = (SELECT coalesce(max(id), 0) FROM observation)
         WHERE site = $1",
    )
    .bind(site.0.clone())
    .execute(&mut *connection)
    .await?;
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
    let places = places(connection, site).await?;
    let numbers: Vec<i64> = places.keys().copied().collect();
    let (_, text): (Option<i64>, Option<String>) = sqlx::query_as(rows_as_text!(
        "hex(evidence)",
        "observation
         WHERE about IN (SELECT value FROM json_each($1, '$[0]'))
           AND vantage IN (SELECT value FROM json_each($1, '$[1]'))"
    ))
    .bind(json(&(names, numbers)))
    .fetch_one(&mut *connection)
    .await?;
    let decoded = Decoded::read(&places, &text.unwrap_or_default())?;
    let rows = decoded.complete(connection).await?;
    let mut stored: Vec<StoredObservation> = rows.into_iter().map(|row| row.stored).collect();
    stored.sort_by_key(|stored| Reverse(stored.observation.observed_at));
    Ok(stored)
}

/// A vantage point of a site.
struct Place {
    vantage: Vantage,
    /// The last observation from there that was digested.
    digested: i64,
}

/// The vantage points of a site, by their numbers.
async fn places(
    connection: &mut SqliteConnection,
    site: &Site,
) -> sqlx::Result<BTreeMap<i64, Place>> {
    let rows: Vec<(i64, String, i64)> =
        sqlx::query_as("SELECT id, name, digested FROM vantage WHERE site = $1 ORDER BY id")
            .bind(site.0.clone())
            .fetch_all(connection)
            .await?;
    let place = |(id, name, digested)| {
        (id, Place { vantage: Vantage { site: site.clone(), name }, digested })
    };
    Ok(rows.into_iter().map(place).collect())
}

/// Rows of observations, read.
#[derive(Default)]
struct Decoded {
    rows: Vec<Pending>,
    /// Which rows are about certificates, and about which: those are read once at the end.
    chains: Vec<(usize, Vec<String>)>,
}

impl Decoded {
    /// The rows of such a text, in the order of their numbers.
    fn read(places: &BTreeMap<i64, Place>, text: &str) -> Result<Self, LoadError> {
        let mut decoded = Self::default();
        let mut rows = Vec::with_capacity(ROWS);
        for row in text.split_terminator('\u{1e}') {
            let cells: Vec<&str> = row.split('\u{1f}').collect();
            let cells = <[&str; 10]>::try_from(cells);
            rows.push(cells.map_err(|_| LoadError::content("observation", row))?);
        }
        rows.sort_by_key(|[id, ..]| id.parse().unwrap_or(i64::MAX));
        for row in rows {
            let [id, vantage, method, subject, fact, first, last, times, scan, evidence] = row;
            let id = number(id)?;
            let place = places.get(&number(vantage)?);
            let place = place.ok_or_else(|| LoadError::content("observation.vantage", vantage))?;
            let method_named = Method::from_name(method);
            let bytes = unhex(evidence);
            let observation = Observation {
                observed_at: Timestamp(number(last)?),
                vantage: place.vantage.clone(),
                method: method_named
                    .ok_or_else(|| LoadError::content("observation.method", method))?,
                subject: parse("observation.subject", subject)?,
                fact: decoded.fact(fact)?,
                evidence: bytes
                    .ok_or_else(|| LoadError::content("observation.evidence", evidence))?,
            };
            let stored = StoredObservation {
                observation,
                first_seen: Timestamp(number(first)?),
                times: number(times)?.unsigned_abs(),
                last_scan: ScanId(number(scan)?),
            };
            decoded.rows.push(Pending { new: id > place.digested, stored });
        }
        Ok(decoded)
    }

    /// Adds rows behind these.
    fn append(&mut self, mut after: Self) {
        let before = self.rows.len();
        self.rows.append(&mut after.rows);
        let chains = after.chains.into_iter();
        self.chains.extend(chains.map(|(place, chain)| (before.saturating_add(place), chain)));
    }

    /// The fact of the next row. The certificates of a chain are still to come.
    fn fact(&mut self, text: &str) -> Result<Fact, LoadError> {
        if !text.starts_with(CERTIFICATES) {
            return parse("observation.fact", text);
        }
        let Stored::Certificates { chain, server_name, protocol_version, starttls } =
            parse("observation.fact", text)?;
        self.chains.push((self.rows.len(), chain));
        let chain = Vec::new();
        Ok(Fact::Certificates(CertificateChain { chain, server_name, protocol_version, starttls }))
    }

    /// The rows with their certificates.
    async fn complete(
        mut self,
        connection: &mut SqliteConnection,
    ) -> Result<Vec<Pending>, LoadError> {
        let wanted = self.chains.iter().flat_map(|(_, chain)| chain).cloned().collect();
        let ders = certificate::ders(connection, &wanted).await?;
        for (place, sha256s) in self.chains {
            let row = self.rows.get_mut(place).map(|row| &mut row.stored.observation.fact);
            let Some(Fact::Certificates(served)) = row else { continue };
            for sha256 in sha256s {
                let der = ders.get(&sha256);
                let der = der.ok_or_else(|| LoadError::content("observation.fact", sha256))?;
                served.chain.push(der.clone());
            }
        }
        Ok(self.rows)
    }
}

fn number(text: &str) -> Result<i64, LoadError> {
    text.parse().map_err(|_| LoadError::content("observation", text))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let byte = |pair: &[u8; 2]| u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok();
    pairs.iter().map(byte).collect()
}
