//! Pages of lists, what there is to narrow them down by, and the numbers of an overview.
//!
//! Lists are of what the last review concluded (`write`), and so are as fast with a million rows as
//! a page needs. A page is told by the row behind which it begins, not by a number of rows: what
//! comes and goes meanwhile neither repeats a row nor leaves one out.

mod compile;
mod entry;
mod overview;
mod shared;
mod sort;
#[cfg(test)]
mod tests;
mod write;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::Timestamp;
use sqlx::{
    Connection, Row as _, SqliteConnection, TypeInfo as _, ValueRef as _, sqlite::SqliteRow,
};

use super::{Store, StoreError, scan::LoadError};
use crate::query::{Kind, Query};
use compile::{Bind, FINDING, LOOKING, Names, SHARING, Sql, condition};
use entry::Entry;
use sort::{By, Cursor, key, key_in};

pub use entry::{AssetEntry, CertificateEntry, FindingEntry, ServiceEntry, SoftwareEntry};
pub use overview::{Count, Day, Facet, News, Overview, Site};
pub use sort::{CursorError, Direction, Sort};
pub(super) use write::{accepted, write};

/// The most rows of a page.
pub const LARGEST_PAGE: u16 = 500;

/// So many rows are sorted faster than they are found one by one in a list in order.
const FEW: u64 = 20_000;

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

const fn table(kind: Kind) -> &'static str {
    match kind {
        Kind::Assets => "listed_asset",
        Kind::Services => "listed_service",
        Kind::Software => "listed_software",
        Kind::Certificates => "listed_certificate",
        Kind::Findings => "listed_finding",
    }
}

/// What rows of that kind share.
const fn dictionary(kind: Kind) -> &'static str {
    match kind {
        Kind::Software => "product",
        _ => "service_kind",
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
        let after = after.transpose().map_err(StoreError::Cursor)?;
        let failed = self.failed("reading a list");
        let mut reader = self.reader().await?;
        // The number and the rows are of one moment, whatever a review writes meanwhile.
        let mut snapshot = reader.begin().await.map_err(&failed)?;
        let total = count(&mut snapshot, request.query, as_of).await.map_err(&failed)?;
        let statement = page::<E>(request, after.as_ref(), total, as_of);
        let rows = statement.statement().fetch_all(&mut *snapshot).await.map_err(&failed)?;
        read(rows, request).map_err(|error| error.or(&failed)).map(|mut page| {
            page.total = total;
            page
        })
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

/// How many things a query asks for.
async fn count(
    connection: &mut SqliteConnection,
    query: &Query,
    as_of: Timestamp,
) -> sqlx::Result<u64> {
    let mut sql = Sql::default();
    sql.push(&format!("SELECT count(*) FROM {} AS r WHERE ", table(query.kind())));
    sql.append(condition(query, FINDING, as_of));
    let row = sql.statement().fetch_one(connection).await?;
    Ok(u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or_default())
}

/// The statement for a page and one row more: the columns of the order, then those of the entry.
fn page<E: Entry>(
    request: &Request<'_>,
    after: Option<&Cursor>,
    total: u64,
    as_of: Timestamp,
) -> Sql {
    let (kind, sort, direction) = (request.query.kind(), request.sort, request.direction);
    let is_shared = sort.by == By::Shared;
    let by = if total <= FEW { By::Sorting } else { sort.by };
    let (table, shared) = (table(kind), dictionary(kind));
    let (names, from): (Names, String) = match (by, is_shared) {
        (By::Shared, _) => {
            (SHARING, format!("{shared} AS k CROSS JOIN {table} AS r ON r.kind = k.id"))
        }
        (By::Index, _) => (LOOKING, format!("{table} AS r")),
        (By::Sorting, true) => {
            (FINDING, format!("{table} AS r CROSS JOIN {shared} AS k ON k.id = r.kind"))
        }
        (By::Sorting, false) => (FINDING, format!("{table} AS r")),
    };
    let mut columns = vec![sort.column];
    columns.extend(key_in(sort));
    // In front of a column a plus keeps the database from walking through an index by it.
    let plus = if by == By::Sorting { "+" } else { "" };
    let ordered = |prefix: &str| {
        let ordered = columns.iter().map(|column| format!("{prefix}{column} {}", direction.sql()));
        ordered.collect::<Vec<_>>().join(", ")
    };
    let mut sql = Sql::default();
    sql.push("WITH p AS (SELECT ");
    for (number, column) in columns.iter().enumerate() {
        sql.push(&format!("{column} AS o{number}, "));
    }
    for (number, column) in key(kind).iter().enumerate() {
        let comma = if number > 0 { ", " } else { "" };
        sql.push(&format!("{comma}{column} AS k{number}"));
    }
    sql.push(&format!(" FROM {from} WHERE "));
    sql.append(condition(request.query, names, as_of));
    if let Some(after) = after {
        sql.push(" AND ");
        sql.append(after.condition(&columns, direction));
    }
    let size = request.size.clamp(1, LARGEST_PAGE);
    sql.push(&format!(" ORDER BY {} LIMIT ", ordered(plus)));
    sql.bind(Bind::Number(i64::from(size).saturating_add(1)));
    sql.push(") SELECT ");
    let outer: Vec<String> = (0..columns.len()).map(|number| format!("p.o{number}")).collect();
    let again: Vec<String> =
        outer.iter().map(|column| format!("{column} {}", direction.sql())).collect();
    sql.push(&format!("{}, {} ORDER BY {}", outer.join(", "), E::COLUMNS_FROM_P, again.join(", ")));
    sql
}

fn read<E: Entry>(rows: Vec<SqliteRow>, request: &Request<'_>) -> Result<Page<E>, LoadError> {
    let size = usize::from(request.size.clamp(1, LARGEST_PAGE));
    let order = key_in(request.sort).len().saturating_add(1);
    let last = rows.get(size.saturating_sub(1)).filter(|_| rows.len() > size);
    let next = match last {
        Some(row) => {
            let binds = (0..order).map(|at| value(row, at)).collect::<Result<_, _>>()?;
            Some(Cursor(binds).text(request.sort, request.direction))
        }
        None => None,
    };
    let entry = |row: &SqliteRow| E::read(row, order);
    let rows = rows.iter().take(size).map(entry).collect::<Result<_, _>>()?;
    Ok(Page { rows, next, total: 0 })
}

/// The value in a column, whatever it is.
fn value(row: &SqliteRow, at: usize) -> Result<Bind, LoadError> {
    let kind = row.try_get_raw(at)?.type_info().name().to_owned();
    Ok(match kind.as_str() {
        "INTEGER" => Bind::Number(row.try_get(at)?),
        "BLOB" => Bind::Bytes(row.try_get(at)?),
        _ => Bind::Text(row.try_get(at)?),
    })
}
