//! Pages of lists, what there is to narrow them down by, and the numbers of an overview.
//!
//! Lists are of what the last review concluded (`plan`, `write`). What is asked for is found in memory
//! (`hold`, `crate::list::ask`), and only the rows of the page are read. A page is told by the row
//! behind which it begins, not by a number of rows: what comes and goes meanwhile neither repeats a
//! row nor leaves one out.

mod entered;
mod entry;
mod hold;
mod overview;
mod plan;
mod shared;
#[cfg(test)]
mod tests;
mod write;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::Timestamp;
use serde_json::{Value as Json, json};
use sqlx::{AssertSqlSafe, SqliteConnection};
use tokio::task::spawn_blocking;

use super::{Store, StoreError, beside::done, scan::LoadError};
use crate::{
    asset::AssetId,
    hex::hex,
    list::{
        ask::{Answer, Ask},
        sort::{Cursor, Place, Value, width},
    },
    query::Query,
};
use entry::Entry;

pub use crate::list::{Count, CursorError, Direction, Facet, Sort};
pub use entered::SeenEntry;
pub use entry::{AssetEntry, CertificateEntry, FindingEntry, ServiceEntry, SoftwareEntry};
pub(super) use hold::Hold;
pub use overview::{Day, News, Overview, Site};
pub(super) use plan::{Known, Plan};
pub(super) use write::decided;

/// The most rows of a page.
pub const LARGEST_PAGE: u16 = 500;

/// Which part of which list.
#[derive(Clone, Copy, Debug)]
pub struct Request<'q> {
    /// Of what, and which of it.
    pub query: &'q Query,
    /// By what it is sorted: of the query's kind.
    pub sort: Sort,
    /// Which end comes first.
    pub direction: Direction,
    /// What the page before said that comes next; the beginning without it.
    pub after: Option<&'q str>,
    /// Rows, 1 to [`LARGEST_PAGE`]. More or fewer are taken for the nearest of these.
    pub size: u16,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<E> {
    /// Its rows.
    pub rows: Vec<E>,
    /// Where the next one begins, if there is one.
    pub next: Option<String>,
    /// How many rows the whole list has.
    pub total: u64,
}

/// An address so that they sort as people do: 4 or 6, then its bytes.
pub(super) fn key_of(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => [&[4], &address.octets()[..]].concat(),
        IpAddr::V6(address) => [&[6], &address.octets()[..]].concat(),
    }
}

/// The address of such a key.
pub(super) fn address_of(key: &[u8]) -> Option<IpAddr> {
    match key.split_first()? {
        (4, rest) => Some(Ipv4Addr::from(<[u8; 4]>::try_from(rest).ok()?).into()),
        (6, rest) => Some(Ipv6Addr::from(<[u8; 16]>::try_from(rest).ok()?).into()),
        _ => None,
    }
}

impl Store {
    /// A page of the assets, as the last review left them, as things stand at `as_of`.
    ///
    /// # Errors
    ///
    /// Where the query, the order or the place where the page is told to begin are of another list,
    /// or where the database cannot be read.
    pub async fn list_assets(
        &self,
        request: &Request<'_>,
        as_of: Timestamp,
    ) -> Result<Page<AssetEntry>, StoreError> {
        self.list(request, as_of).await
    }

    /// An asset as the last review listed it; `None` where it did not: where nobody looks at lists, or
    /// it was not there yet.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn listed_asset(&self, id: AssetId) -> Result<Option<AssetEntry>, StoreError> {
        let failed = self.failed("reading how an asset stands");
        let mut reader = self.reader().await?;
        let row = sqlx::query(AssertSqlSafe(format!("{ROWS}{}", AssetEntry::COLUMNS_FROM_P)))
            .bind(json!([[id.0]]).to_string())
            .fetch_optional(&mut *reader)
            .await
            .map_err(&failed)?;
        let row = row.as_ref().map(AssetEntry::read).transpose();
        row.map_err(|error| error.or(&failed))
    }

    /// A page of the services, like [`Self::list_assets`].
    ///
    /// # Errors
    ///
    /// As of that.
    pub async fn list_services(
        &self,
        request: &Request<'_>,
        as_of: Timestamp,
    ) -> Result<Page<ServiceEntry>, StoreError> {
        self.list(request, as_of).await
    }

    /// A page of the software, like [`Self::list_assets`].
    ///
    /// # Errors
    ///
    /// As of that.
    pub async fn list_software(
        &self,
        request: &Request<'_>,
        as_of: Timestamp,
    ) -> Result<Page<SoftwareEntry>, StoreError> {
        self.list(request, as_of).await
    }

    /// A page of the certificates, like [`Self::list_assets`].
    ///
    /// # Errors
    ///
    /// As of that.
    pub async fn list_certificates(
        &self,
        request: &Request<'_>,
        as_of: Timestamp,
    ) -> Result<Page<CertificateEntry>, StoreError> {
        self.list(request, as_of).await
    }

    /// A page of the findings, like [`Self::list_assets`].
    ///
    /// # Errors
    ///
    /// As of that.
    pub async fn list_findings(
        &self,
        request: &Request<'_>,
        as_of: Timestamp,
    ) -> Result<Page<FindingEntry>, StoreError> {
        self.list(request, as_of).await
    }

    async fn list<E: Entry>(
        &self,
        request: &Request<'_>,
        as_of: Timestamp,
    ) -> Result<Page<E>, StoreError> {
        let kind = request.query.kind();
        if request.sort.kind() != kind || E::KIND != kind {
            return Err(StoreError::Cursor(CursorError));
        }
        let after = request.after.map(|text| Cursor::read(text, request.sort, request.direction));
        let ask = Ask {
            query: request.query.clone(),
            sort: request.sort,
            direction: request.direction,
            after: after.transpose().map_err(StoreError::Cursor)?,
            size: usize::from(request.size.clamp(1, LARGEST_PAGE)),
            as_of,
        };
        let held = self.held().await?;
        let found = done(spawn_blocking(move || Found::of(held.ask(&ask), &ask)).await);
        let failed = self.failed("reading a list");
        let mut reader = self.reader().await?;
        let rows = sqlx::query(AssertSqlSafe(format!("{ROWS}{}", E::COLUMNS_FROM_P)))
            .bind(found.keys)
            .fetch_all(&mut *reader)
            .await
            .map_err(&failed)?;
        let rows = rows.iter().map(E::read).collect::<Result<_, LoadError>>();
        let rows = rows.map_err(|error| error.or(&failed))?;
        Ok(Page { rows, next: found.next, total: found.total })
    }

    /// How what a query asks for is spread over the fields by which people narrow it down.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn facets(&self, query: &Query, as_of: Timestamp) -> Result<Vec<Facet>, StoreError> {
        let (held, query) = (self.held().await?, query.clone());
        Ok(done(spawn_blocking(move || held.facets(&query, as_of)).await))
    }
}

/// The rows of a page by their keys, in their order.
const ROWS: &str = "WITH p AS (SELECT key AS n, value ->> 0 AS k0, value ->> 1 AS k1,
    value ->> 2 AS k2 FROM json_each($1)) SELECT ";

/// A page before its rows are read.
struct Found {
    /// A JSON array of the rows' keys, each an array.
    keys: String,
    next: Option<String>,
    total: u64,
}

impl Found {
    fn of(answer: Answer<'_>, ask: &Ask) -> Self {
        let (places, total) = (answer.places, answer.total);
        let last = ask.size.checked_sub(1).and_then(|last| places.get(last));
        let next = last.filter(|_| places.len() > ask.size);
        let key = |[_, key @ ..]: &Place<'_>| -> Json {
            key.iter().take(width(ask.query.kind())).map(json_of).collect()
        };
        let keys: Json = places.iter().take(ask.size).map(key).collect();
        let next = next.map(|last| Cursor::text(last, ask.sort, ask.direction));
        Self { keys: keys.to_string(), next, total }
    }
}

fn json_of(value: &Value<'_>) -> Json {
    match value {
        Value::Nothing | Value::NoAddress => Json::Null,
        Value::Number(number) => json!(number),
        Value::Text(text) => json!(text),
        Value::Address(address) => json!(hex(&key_of(*address))),
    }
}

/// Whether reviews keep lists: once there is somebody who can look at them, and from then on.
pub(super) async fn are_kept(connection: &mut SqliteConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM user) OR EXISTS (SELECT 1 FROM api_token)
             OR EXISTS (SELECT 1 FROM listed_asset)",
    )
    .fetch_one(connection)
    .await
}
