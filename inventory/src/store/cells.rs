//! Many rows out of the database at once.
//!
//! sqlx hands every row over from its own thread with every value copied, some five
//! microseconds for a row of ten values. A statement that gives each row as one JSON array
//! needs a third of that, and says so in plain SQL.

use std::net::IpAddr;

use model::{Cpe, Timestamp};
use serde_json::Value;
use sqlx::SqliteConnection;

use super::scan::LoadError;

/// A row, read by the place of its values.
#[derive(Debug)]
pub(super) struct Cells(Vec<Value>);

/// The rows of a statement that gives JSON arrays and takes one parameter.
pub(super) async fn rows_of(
    connection: &mut SqliteConnection,
    statement: &'static str,
    parameter: String,
) -> Result<Vec<Cells>, LoadError> {
    let rows: Vec<String> =
        sqlx::query_scalar(statement).bind(parameter).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let values = serde_json::from_str(row);
            values.map(Cells).map_err(|_| LoadError::content("a row", &row[..]))
        })
        .collect()
}

impl Cells {
    fn at(&self, index: usize) -> &Value {
        self.0.get(index).unwrap_or(&Value::Null)
    }
    fn wrong(&self, index: usize) -> LoadError {
        LoadError::content("a row", self.at(index).to_string())
    }
    pub(super) fn number(&self, index: usize) -> Result<i64, LoadError> {
        self.at(index).as_i64().ok_or_else(|| self.wrong(index))
    }
    pub(super) fn flag(&self, index: usize) -> Result<bool, LoadError> {
        Ok(self.number(index)? != 0)
    }
    pub(super) fn time(&self, index: usize) -> Result<Timestamp, LoadError> {
        Ok(Timestamp(self.number(index)?))
    }
    pub(super) fn text(&self, index: usize) -> Result<&str, LoadError> {
        self.at(index).as_str().ok_or_else(|| self.wrong(index))
    }
    pub(super) fn owned(&self, index: usize) -> Result<String, LoadError> {
        Ok(self.text(index)?.to_owned())
    }
    pub(super) fn maybe(&self, index: usize) -> Result<Option<String>, LoadError> {
        match self.at(index) {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text.clone())),
            _ => Err(self.wrong(index)),
        }
    }
    pub(super) fn cpe(&self, index: usize) -> Result<Option<Cpe>, LoadError> {
        Ok(self.maybe(index)?.map(Cpe))
    }
    pub(super) fn address(&self, index: usize, place: &'static str) -> Result<IpAddr, LoadError> {
        let text = self.text(index)?;
        text.parse().map_err(|_| LoadError::content(place, text))
    }
    pub(super) fn port(&self, index: usize, place: &'static str) -> Result<u16, LoadError> {
        let number = self.number(index)?;
        u16::try_from(number).map_err(|_| LoadError::content(place, number.to_string()))
    }
    /// A value of a type that reads its own name.
    pub(super) fn word<T>(
        &self,
        index: usize,
        place: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<T, LoadError> {
        let text = self.text(index)?;
        read(text).ok_or_else(|| LoadError::content(place, text))
    }
}
