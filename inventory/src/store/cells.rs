//! Many rows out of the database, and into it, at once.
//!
//! sqlx hands every row over from its own thread with every value copied, some five
//! microseconds for a row of ten values, and binds every value by itself. So rows travel as
//! one JSON text in either direction, a few thousand at a time, and while the database's
//! thread works on one such part, another is made by ours or read by others (`beside`).

use std::{borrow::Cow, fmt, net::IpAddr};

use model::{Cpe, Timestamp};
use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
};
use sqlx::SqliteConnection;

use super::scan::LoadError;

/// The cells of the widest row that is read.
const WIDEST: usize = 16;

/// A value of a row. Text without escapes stays where it is.
#[derive(Debug)]
enum Cell<'t> {
    Null,
    Number(i64),
    Text(Cow<'t, str>),
}

/// A row, read by the place of its values.
#[derive(Debug)]
pub(super) struct Cells<'t>(Vec<Cell<'t>>);

/// What a statement gives that makes one JSON array of JSON arrays and takes one parameter.
pub(super) async fn text_of(
    connection: &mut SqliteConnection,
    statement: &'static str,
    parameter: String,
) -> sqlx::Result<String> {
    sqlx::query_scalar(statement).bind(parameter).fetch_one(connection).await
}

/// The rows in such a text.
pub(super) fn rows(text: &str) -> Result<Vec<Cells<'_>>, LoadError> {
    serde_json::from_str(text).map_err(|_| LoadError::content("rows", text))
}

/// Runs a statement once for each parameter, which is made while the one before is at work.
pub(super) async fn run(
    connection: &mut SqliteConnection,
    statement: &'static str,
    mut parameters: impl Iterator<Item = String>,
) -> sqlx::Result<()> {
    let mut next = parameters.next();
    while let Some(parameter) = next {
        let (done, following) =
            tokio::join!(sqlx::query(statement).bind(parameter).execute(&mut *connection), async {
                parameters.next()
            });
        done?;
        next = following;
    }
    Ok(())
}

impl<'de: 't, 't> Deserialize<'de> for Cells<'t> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Row;
        impl<'de> Visitor<'de> for Row {
            type Value = Cells<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a row")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut row: A) -> Result<Cells<'de>, A::Error> {
                let mut cells = Vec::with_capacity(WIDEST);
                while let Some(cell) = row.next_element()? {
                    cells.push(cell);
                }
                Ok(Cells(cells))
            }
        }
        deserializer.deserialize_seq(Row)
    }
}

impl<'de: 't, 't> Deserialize<'de> for Cell<'t> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Value;
        impl<'de> Visitor<'de> for Value {
            type Value = Cell<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, a text or null")
            }
            fn visit_unit<E: Error>(self) -> Result<Cell<'de>, E> {
                Ok(Cell::Null)
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Cell<'de>, E> {
                Ok(Cell::Number(number))
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Cell<'de>, E> {
                i64::try_from(number).map(Cell::Number).map_err(E::custom)
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Cell<'de>, E> {
                Ok(Cell::Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Cell<'de>, E> {
                Ok(Cell::Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_any(Value)
    }
}

impl Cells<'_> {
    fn at(&self, index: usize) -> &Cell<'_> {
        self.0.get(index).unwrap_or(&Cell::Null)
    }
    fn wrong(&self, index: usize) -> LoadError {
        LoadError::content(
            "a row",
            match self.at(index) {
                Cell::Null => "NULL".to_owned(),
                Cell::Number(number) => number.to_string(),
                Cell::Text(text) => text.to_string(),
            },
        )
    }
    pub(super) fn number(&self, index: usize) -> Result<i64, LoadError> {
        match self.at(index) {
            Cell::Number(number) => Ok(*number),
            _ => Err(self.wrong(index)),
        }
    }
    pub(super) fn flag(&self, index: usize) -> Result<bool, LoadError> {
        Ok(self.number(index)? != 0)
    }
    pub(super) fn time(&self, index: usize) -> Result<Timestamp, LoadError> {
        Ok(Timestamp(self.number(index)?))
    }
    pub(super) fn text(&self, index: usize) -> Result<&str, LoadError> {
        match self.at(index) {
            Cell::Text(text) => Ok(text),
            _ => Err(self.wrong(index)),
        }
    }
    pub(super) fn owned(&self, index: usize) -> Result<String, LoadError> {
        Ok(self.text(index)?.to_owned())
    }
    pub(super) fn maybe(&self, index: usize) -> Result<Option<String>, LoadError> {
        match self.at(index) {
            Cell::Null => Ok(None),
            Cell::Text(text) => Ok(Some(text.to_string())),
            Cell::Number(_) => Err(self.wrong(index)),
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
