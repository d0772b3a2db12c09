//! The OCSP responses that servers staple to their certificates.
//!
//! A response is the evidence of an observation: a server shows another one every few days,
//! so that only the latest to each certificate at each place is kept.

use model::{Fact, Site, Subject, Timestamp};
use sqlx::SqliteConnection;

use super::{
    Store, StoreError,
    scan::{LoadError, parse},
};
use crate::chain::Stapled;

impl Store {
    /// The latest response to each certificate at each endpoint that stapled one, by site,
    /// endpoint and certificate. Of several vantage points of a site, the latest.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn stapled(&self) -> Result<Vec<Stapled>, StoreError> {
        let failed = self.failed("reading the stapled OCSP responses");
        let mut reader = self.reader().await?;
        load(&mut reader).await.map_err(|e| e.or(&failed))
    }
}

/// See [`Store::stapled`].
pub(super) async fn load(connection: &mut SqliteConnection) -> Result<Vec<Stapled>, LoadError> {
    // The condition as the index has it.
    let rows: Vec<(String, String, String, Vec<u8>, i64)> = sqlx::query_as(
        "SELECT site, subject, fact, evidence, last_seen
         FROM observation JOIN vantage ON vantage.id = observation.vantage
         WHERE fact > '{\"ocsp_response\":' AND fact < '{\"ocsp_response\";'",
    )
    .fetch_all(connection)
    .await?;
    let mut all = Vec::with_capacity(rows.len());
    for (site, subject, fact, response, last_seen) in rows {
        let Subject::Endpoint(endpoint) = parse("observation.subject", &subject)? else { continue };
        let Fact::OcspResponse { certificate } = parse("observation.fact", &fact)? else {
            continue;
        };
        let (site, last_seen) = (Site(site), Timestamp(last_seen));
        all.push(Stapled { site, endpoint, certificate, response, last_seen });
    }
    all.sort_by(|a, b| {
        let key = |s: &Stapled| (s.site.clone(), s.endpoint, s.certificate.clone());
        key(a).cmp(&key(b)).then(b.last_seen.cmp(&a.last_seen))
    });
    all.dedup_by(|later, first| {
        (&later.site, later.endpoint, &later.certificate)
            == (&first.site, first.endpoint, &first.certificate)
    });
    Ok(all)
}
