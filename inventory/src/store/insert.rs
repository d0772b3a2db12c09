//! Many rows into the database at once.
//!
//! One statement takes a few hundred rows, and every value is bound to it by itself. Out of
//! one JSON text for all, SQLite would look for each value from the beginning of its row and
//! make a text of it first, which costs more than writing the row. While the database's
//! thread writes the rows of one statement, ours makes those of the next.

use std::{borrow::Cow, net::IpAddr, sync::Arc};

use model::{Cpe, NameSource, PortState, Timestamp, TlsVersion, Transport};
use serde::Serialize;
use sqlx::{Arguments, AssertSqlSafe, SqliteConnection, sqlite::SqliteArguments};

use crate::evidence::source_text;

/// Rows in one statement: enough to make its own cost nothing, few enough that the next are
/// made while it runs, and that its variables are far fewer than the 32,766 that SQLite takes.
const ROWS: usize = 250;

/// A value on its way into the database, and in JSON as SQLite reads it there.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Value<'v> {
    Null,
    Number(i64),
    Text(Cow<'v, str>),
    Bytes(&'v [u8]),
}

/// Inserts rows. `into` names the table and its columns in the order of the values, and
/// `otherwise` is what to do about a row that is there, or nothing.
pub(super) async fn insert<'v, R>(
    connection: &mut SqliteConnection,
    into: &'static str,
    otherwise: &'static str,
    rows: impl Iterator<Item = R>,
) -> sqlx::Result<()>
where
    R: IntoIterator<Item = Value<'v>>,
{
    let mut rows = rows.fuse();
    let mut whole: Option<Arc<str>> = None;
    let mut next = bind(&mut rows)?;
    while next.rows > 0 {
        let is_whole = next.rows == ROWS;
        let statement = match &whole {
            Some(whole) if is_whole => Arc::clone(whole),
            _ => Arc::from(statement(into, otherwise, &next)),
        };
        if is_whole {
            whole = Some(Arc::clone(&statement));
        }
        // Rows are left over in every number, so that such a statement is not worth keeping.
        let query = sqlx::query_with(AssertSqlSafe(statement), next.values).persistent(is_whole);
        let (done, following) =
            tokio::join!(query.execute(&mut *connection), async { bind(&mut rows) });
        done?;
        next = following?;
    }
    Ok(())
}

/// Rows, bound.
#[derive(Default)]
struct Bound {
    rows: usize,
    values: SqliteArguments,
}

/// Takes the rows of the next statement.
fn bind<'v, R>(rows: &mut impl Iterator<Item = R>) -> sqlx::Result<Bound>
where
    R: IntoIterator<Item = Value<'v>>,
{
    let mut bound = Bound::default();
    for row in rows.take(ROWS) {
        for value in row {
            let values = &mut bound.values;
            match value {
                Value::Null => values.add(None::<i64>),
                Value::Number(number) => values.add(number),
                Value::Text(Cow::Borrowed(text)) => values.add(Arc::<str>::from(text)),
                Value::Text(Cow::Owned(text)) => values.add(text),
                Value::Bytes(bytes) => values.add(bytes),
            }
            .map_err(sqlx::Error::Encode)?;
        }
        bound.rows = bound.rows.saturating_add(1);
        if bound.rows == 1 {
            let columns = bound.values.len();
            bound.values.reserve(columns.saturating_mul(ROWS), 0);
        }
    }
    Ok(bound)
}

fn statement(into: &str, otherwise: &str, bound: &Bound) -> String {
    let columns = bound.values.len().checked_div(bound.rows).unwrap_or_default();
    let row = format!("({})", vec!["?"; columns].join(","));
    format!("INSERT INTO {into} VALUES {} {otherwise}", vec![row.as_str(); bound.rows].join(","))
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<u16> for Value<'_> {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

impl From<bool> for Value<'_> {
    fn from(flag: bool) -> Self {
        Self::Number(flag.into())
    }
}

impl From<Timestamp> for Value<'_> {
    fn from(time: Timestamp) -> Self {
        Self::Number(time.0)
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl<'v> From<&'v str> for Value<'v> {
    fn from(text: &'v str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl<'v> From<&'v String> for Value<'v> {
    fn from(text: &'v String) -> Self {
        text.as_str().into()
    }
}

impl<'v> From<&'v Cpe> for Value<'v> {
    fn from(cpe: &'v Cpe) -> Self {
        cpe.0.as_str().into()
    }
}

impl<'v> From<&'v [u8]> for Value<'v> {
    fn from(bytes: &'v [u8]) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<IpAddr> for Value<'_> {
    fn from(address: IpAddr) -> Self {
        address.to_string().into()
    }
}

impl From<Transport> for Value<'_> {
    fn from(transport: Transport) -> Self {
        transport.as_str().into()
    }
}

impl From<PortState> for Value<'_> {
    fn from(state: PortState) -> Self {
        state.as_str().into()
    }
}

impl From<NameSource> for Value<'_> {
    fn from(source: NameSource) -> Self {
        source_text(source).into()
    }
}

impl From<TlsVersion> for Value<'_> {
    fn from(version: TlsVersion) -> Self {
        version.0.into()
    }
}

impl From<Option<i64>> for Value<'_> {
    fn from(number: Option<i64>) -> Self {
        number.map_or(Self::Null, Self::Number)
    }
}

impl<'v, T> From<&'v Option<T>> for Value<'v>
where
    &'v T: Into<Self>,
{
    fn from(value: &'v Option<T>) -> Self {
        value.as_ref().map_or(Self::Null, Into::into)
    }
}
