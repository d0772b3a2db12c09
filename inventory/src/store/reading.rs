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
    portrait::{self, ObservationRow},
    scan::{LoadError, json, parse},
};
use crate::hex::unhex;

/// An observation that waits to be digested, without its evidence, from which nothing is
/// concluded.
pub(super) struct Pending {
    /// Never digested before.
    pub(super) new: bool,
    pub(super) observation: Observation,
    /// When it was made first.
    pub(super) first_seen: Timestamp,
}

/// A statement that gives the rows of `$from` as one text, with the last of their numbers.
/// Their values hold no control character, JSON escapes them all, so that two of them part
/// values and rows: to write and to read that costs half of an array in JSON.
macro_rules! rows_as_text {
    ($columns:literal, $from:literal) => {
        concat!(
            "SELECT max(id), group_concat(concat_ws(char(31), ",
            $columns,
            "), char(30)) FROM ",
            $from
        )
    };
}

/// The observations of a site that were made since they were last digested.
pub(super) async fn pending(
    connection: &mut SqliteConnection,
    site: &Site,
) -> Result<Vec<Pending>, LoadError> {
    const SEEN_AGAIN: &str = rows_as_text!(
        "id, method, subject, fact, first_seen, last_seen",
        "(SELECT id, method, subject, fact, first_seen, last_seen FROM observation
          WHERE vantage = $1 AND pending > 0 AND id > $2 AND id <= $3 ORDER BY id LIMIT $4)"
    );
    // Most were made once, and to write a moment as text costs as much as all the rest.
    const NEW: &str = rows_as_text!(
        "id, method, subject, fact, iif(first_seen = last_seen, '', first_seen), last_seen",
        "observation WHERE vantage = $1 AND id > $2 AND id <= $2 + $3"
    );
    let rows = i64::try_from(ROWS).unwrap_or(i64::MAX);
    let newest: i64 = sqlx::query_scalar("SELECT coalesce(max(id), 0) FROM observation")
        .fetch_one(&mut *connection)
        .await?;
    let mut waiting = Beside::new();
    // In the order of their numbers. In parts, because the text of all rows of a large sweep is
    // larger than they are.
    for (number, Place { vantage, digested }) in places(connection, site).await? {
        let vantage = Arc::new(vantage);
        let mut last = 0;
        loop {
            let part = sqlx::query_as(SEEN_AGAIN).bind(number).bind(last).bind(digested).bind(rows);
            let part: (Option<i64>, Option<String>) = part.fetch_one(&mut *connection).await?;
            let (Some(end), Some(text)) = part else { break };
            last = end;
            let vantage = Arc::clone(&vantage);
            waiting.give(move || waiting_in(&text, &vantage, false)).await?;
        }
        let mut last = digested;
        while last < newest {
            let part = sqlx::query_as(NEW).bind(number).bind(last).bind(rows);
            let (_, text): (Option<i64>, Option<String>) = part.fetch_one(&mut *connection).await?;
            last = last.saturating_add(rows);
            // None, where all of these were made elsewhere.
            let Some(text) = text else { continue };
            let vantage = Arc::clone(&vantage);
            waiting.give(move || waiting_in(&text, &vantage, true)).await?;
        }
    }
    let mut all = Vec::new();
    let mut chains = Vec::new();
    for (mut rows, in_rows) in waiting.finish().await? {
        let place = |place: usize| all.len().saturating_add(place);
        chains.extend(in_rows.into_iter().map(|(at, chain)| (place(at), chain)));
        all.append(&mut rows);
    }
    complete(connection, &mut all, chains, |row| &mut row.observation.fact).await?;
    Ok(all)
}

/// Which rows are about certificates, by their places, and about which.
type Chains = Vec<(usize, Vec<String>)>;

/// The waiting observations in such a text, in the order of their numbers.
fn waiting_in(
    text: &str,
    vantage: &Vantage,
    new: bool,
) -> Result<(Vec<Pending>, Chains), LoadError> {
    let mut waiting = Vec::with_capacity(ROWS);
    let mut chains = Vec::new();
    for [_, method, subject, text, first, last] in rows_in(text)? {
        let (fact, chain) = fact(text)?;
        chains.extend(chain.map(|chain| (waiting.len(), chain)));
        let last = Timestamp(number(last)?);
        let observation = observation(vantage, method, subject, fact, last)?;
        let first_seen = if first.is_empty() { last } else { Timestamp(number(first)?) };
        waiting.push(Pending { new, observation, first_seen });
    }
    Ok((waiting, chains))
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
    let places: BTreeMap<i64, Place> = places(connection, site).await?.into_iter().collect();
    let numbers: Vec<i64> = places.keys().copied().collect();
    let (_, text): (Option<i64>, Option<String>) = sqlx::query_as(rows_as_text!(
        "id, vantage, method, subject, fact, first_seen, last_seen, times, last_scan, hex(evidence)",
        "observation
         WHERE about IN (SELECT value FROM json_each($1, '$[0]'))
           AND vantage IN (SELECT value FROM json_each($1, '$[1]'))"
    ))
    .bind(json(&(names, numbers)))
    .fetch_one(&mut *connection)
    .await?;
    let mut stored = Vec::new();
    let mut chains = Vec::new();
    for row in rows_in(text.as_deref().unwrap_or_default())? {
        let [_, place, method, subject, text, first, last, times, scan, evidence] = row;
        let vantage = places.get(&number(place)?).map(|place| &place.vantage);
        let vantage = vantage.ok_or_else(|| LoadError::content("observation.vantage", place))?;
        let (fact, chain) = fact(text)?;
        chains.extend(chain.map(|chain| (stored.len(), chain)));
        let made = observation(vantage, method, subject, fact, Timestamp(number(last)?))?;
        let bytes = unhex(evidence);
        let evidence = bytes.ok_or_else(|| LoadError::content("observation.evidence", evidence))?;
        stored.push(StoredObservation {
            observation: Observation { evidence, ..made },
            first_seen: Timestamp(number(first)?),
            times: number(times)?.unsigned_abs(),
            last_scan: ScanId(number(scan)?),
        });
    }
    complete(connection, &mut stored, chains, |row| &mut row.observation.fact).await?;
    stored.sort_by_key(|stored| Reverse(stored.observation.observed_at));
    Ok(stored)
}

/// The observations of these rows, with the certificates that they are about.
pub(super) async fn whole(
    connection: &mut SqliteConnection,
    rows: Vec<ObservationRow>,
    vantages: &BTreeMap<i64, Vantage>,
) -> Result<Vec<StoredObservation>, LoadError> {
    let mut all = Vec::with_capacity(rows.len());
    let mut chains = Vec::new();
    for row in rows {
        let (_, vantage, method, subject, text, _, last, ..) = &row;
        let wrong = || LoadError::content("observation.vantage", vantage.to_string());
        let vantage = vantages.get(vantage).ok_or_else(wrong)?;
        let (fact, chain) = fact(text)?;
        chains.extend(chain.map(|chain| (all.len(), chain)));
        let made = observation(vantage, method, subject, fact, Timestamp(*last))?;
        all.push(portrait::stored(made, &row));
    }
    complete(connection, &mut all, chains, |row| &mut row.observation.fact).await?;
    Ok(all)
}

/// A vantage point of a site.
struct Place {
    vantage: Vantage,
    /// The last observation from there that was digested.
    digested: i64,
}

/// The vantage points of a site with their numbers, in their order.
async fn places(connection: &mut SqliteConnection, site: &Site) -> sqlx::Result<Vec<(i64, Place)>> {
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

/// The rows in a text of [`rows_as_text`], in the order of their numbers, which come first.
fn rows_in<const N: usize>(text: &str) -> Result<Vec<[&str; N]>, LoadError> {
    let mut rows = Vec::with_capacity(ROWS);
    for row in text.split_terminator('\u{1e}') {
        let mut cells = [""; N];
        let mut values = row.split('\u{1f}');
        for cell in &mut cells {
            *cell = values.next().ok_or_else(|| LoadError::content("observation", row))?;
        }
        let id = cells.first().map_or(Ok(0), |id| number(id))?;
        rows.push((id, cells));
    }
    rows.sort_by_key(|(id, _)| *id);
    Ok(rows.into_iter().map(|(_, cells)| cells).collect())
}

fn observation(
    vantage: &Vantage,
    method: &str,
    subject: &str,
    fact: Fact,
    observed_at: Timestamp,
) -> Result<Observation, LoadError> {
    let named = Method::from_name(method);
    Ok(Observation {
        observed_at,
        vantage: vantage.clone(),
        method: named.ok_or_else(|| LoadError::content("observation.method", method))?,
        subject: parse("observation.subject", subject)?,
        fact,
        evidence: Vec::new(),
    })
}

/// The fact in its stored form, without certificates but with which they are.
fn fact(text: &str) -> Result<(Fact, Option<Vec<String>>), LoadError> {
    if !text.starts_with(CERTIFICATES) {
        return Ok((parse("observation.fact", text)?, None));
    }
    let Stored::Certificates { chain: of, server_name, protocol_version, starttls } =
        parse("observation.fact", text)?;
    let chain = Vec::new();
    let served = CertificateChain { chain, server_name, protocol_version, starttls };
    Ok((Fact::Certificates(served), Some(of)))
}

/// Adds the certificates to the facts that are about them: each is read once.
async fn complete<R>(
    connection: &mut SqliteConnection,
    rows: &mut [R],
    chains: Chains,
    fact: fn(&mut R) -> &mut Fact,
) -> Result<(), LoadError> {
    let wanted = chains.iter().flat_map(|(_, chain)| chain).cloned().collect();
    let ders = certificate::ders(connection, &wanted).await?;
    for (place, sha256s) in chains {
        let Some(Fact::Certificates(served)) = rows.get_mut(place).map(fact) else { continue };
        for sha256 in sha256s {
            let der = ders.get(&sha256);
            let der = der.ok_or_else(|| LoadError::content("observation.fact", sha256))?;
            served.chain.push(der.clone());
        }
    }
    Ok(())
}

fn number(text: &str) -> Result<i64, LoadError> {
    text.parse().map_err(|_| LoadError::content("observation", text))
}
