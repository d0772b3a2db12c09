//! By what lists are sorted, and where in a list a page begins.

use serde_json::Value;
use thiserror::Error;

use super::compile::{Bind, Sql};
use crate::{hex::hex, query::Kind};

/// A column by which a kind of thing can be sorted: one of a fixed list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sort {
    kind: Kind,
    /// Its name in addresses of pages and on the command line.
    pub name: &'static str,
    /// Of the row (`r`), or of what rows share (`k`).
    pub(super) column: &'static str,
    pub(super) by: By,
}

/// How the rows come in the order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum By {
    /// All that are asked for are looked at, and the first of them kept.
    Sorting,
    /// An index has them in the order.
    Index,
    /// What they share has an index in the order.
    Shared,
}

/// Which end comes first.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Direction {
    /// The least first.
    #[default]
    Up,
    /// The greatest first.
    Down,
}

impl Direction {
    pub(super) const fn sql(self) -> &'static str {
        match self {
            Self::Up => "ASC",
            Self::Down => "DESC",
        }
    }

    pub(super) const fn sign(self) -> &'static str {
        match self {
            Self::Up => ">",
            Self::Down => "<",
        }
    }
}

const fn sort(kind: Kind, name: &'static str, column: &'static str, by: By) -> Sort {
    Sort { kind, name, column, by }
}

use By::{Index, Shared, Sorting};
use Kind::{Assets, Certificates, Findings, Services, Software};

/// Every one, the first of each kind being what is taken where nothing is said.
const SORTS: &[Sort] = &[
    sort(Assets, "address", "r.address", Sorting),
    sort(Assets, "id", "r.id", Index),
    sort(Assets, "name", "r.names", Sorting),
    sort(Assets, "site", "r.site", Sorting),
    sort(Assets, "mac", "r.macs", Sorting),
    sort(Assets, "vendor", "r.vendor", Sorting),
    sort(Assets, "class", "r.class", Sorting),
    sort(Assets, "os", "r.os", Sorting),
    sort(Assets, "registration", "r.registration", Sorting),
    sort(Assets, "services", "r.service_count", Sorting),
    sort(Assets, "software", "r.software_count", Sorting),
    sort(Assets, "certificates", "r.certificate_count", Sorting),
    sort(Assets, "findings", "r.critical * 1000000000000 + r.warning * 1000000 + r.info", Sorting),
    sort(Assets, "first", "r.first_seen", Sorting),
    sort(Assets, "seen", "r.last_seen", Sorting),
    sort(Services, "address", "r.address", Index),
    sort(Services, "port", "k.port", Shared),
    sort(Services, "state", "k.state", Shared),
    sort(Services, "protocol", "k.protocol", Shared),
    sort(Services, "product", "k.product", Shared),
    sort(Services, "version", "k.version", Shared),
    sort(Services, "asset", "r.asset", Index),
    sort(Services, "first", "r.first_seen", Sorting),
    sort(Services, "seen", "r.last_seen", Sorting),
    sort(Software, "product", "k.product", Shared),
    sort(Software, "version", "k.version", Shared),
    sort(Software, "asset", "r.asset", Index),
    sort(Software, "source", "r.source", Sorting),
    sort(Software, "first", "r.first_seen", Sorting),
    sort(Software, "seen", "r.last_seen", Sorting),
    sort(Certificates, "expires", "r.not_after", Sorting),
    sort(Certificates, "renew", "r.renew_by", Sorting),
    sort(Certificates, "subject", "r.subject", Sorting),
    sort(Certificates, "issuer", "r.issuer", Sorting),
    sort(Certificates, "name", "r.names", Sorting),
    sort(Certificates, "key", "r.key", Sorting),
    sort(Certificates, "trust", "r.trust", Sorting),
    sort(Certificates, "places", "r.places", Sorting),
    sort(Certificates, "sha256", "r.sha256", Index),
    sort(Certificates, "first", "r.first_seen", Sorting),
    sort(Certificates, "seen", "r.last_seen", Sorting),
    sort(Findings, "severity", "r.rank", Sorting),
    sort(Findings, "id", "r.id", Index),
    sort(Findings, "rule", "r.rule", Sorting),
    sort(Findings, "state", "r.state", Sorting),
    sort(Findings, "subject", "r.subject", Sorting),
    sort(Findings, "title", "r.title", Sorting),
    sort(Findings, "owner", "r.owners", Sorting),
    sort(Findings, "asset", "r.asset", Sorting),
    sort(Findings, "first", "r.first_seen", Sorting),
    sort(Findings, "seen", "r.last_seen", Sorting),
];

impl Sort {
    /// All by which the kind can be sorted, the usual one first.
    pub fn of(kind: Kind) -> impl Iterator<Item = Self> {
        SORTS.iter().copied().filter(move |sort| sort.kind == kind)
    }

    /// That of the name.
    #[must_use]
    pub fn from_name(kind: Kind, name: &str) -> Option<Self> {
        Self::of(kind).find(|sort| sort.name == name)
    }

    /// The usual one of the kind.
    #[must_use]
    pub fn usual(kind: Kind) -> Self {
        Self::of(kind).next().unwrap_or(sort(kind, "", "1", Sorting))
    }

    /// The kind of thing that it sorts.
    #[must_use]
    pub const fn kind(self) -> Kind {
        self.kind
    }
}

/// What makes a row of that kind the one that it is, in an order.
pub(super) const fn key(kind: Kind) -> &'static [&'static str] {
    match kind {
        Assets | Findings => &["r.id"],
        Certificates => &["r.sha256"],
        Services => &["r.asset", "r.address", "r.kind"],
        Software => &["r.asset", "r.kind", "r.source_shown"],
    }
}

/// The same in the order in which the index of the sort has it.
pub(super) fn key_in(sort: Sort) -> Vec<&'static str> {
    match (sort.kind, sort.by) {
        (Services, By::Index) if sort.name == "address" => vec!["r.asset", "r.kind"],
        (Services | Software, By::Shared) => {
            let rest = key(sort.kind).iter().copied().filter(|column| *column != "r.kind");
            std::iter::once("k.id").chain(rest).collect()
        }
        (_, By::Index) => {
            key(sort.kind).iter().copied().filter(|key| *key != sort.column).collect()
        }
        _ => key(sort.kind).to_vec(),
    }
}

/// The text is not from where it says: no page of this list ends there.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("this does not say where in the list the page begins")]
pub struct CursorError;

/// Behind which row a page begins: its values in the columns of the order. Rows that come and go
/// meanwhile change nothing about that.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cursor(pub(super) Vec<Bind>);

impl Cursor {
    /// As text that says nothing to people.
    pub(super) fn text(&self, sort: Sort, direction: Direction) -> String {
        let value = |bind: &Bind| match bind {
            Bind::Number(number) => Value::from(*number),
            Bind::Text(text) => Value::from(text.as_str()),
            Bind::Bytes(bytes) => Value::from(vec![hex(bytes)]),
        };
        let mut values = vec![Value::from(whose(sort, direction))];
        values.extend(self.0.iter().map(value));
        hex(Value::Array(values).to_string().as_bytes())
    }

    /// From such a text, of the same order of the same kind.
    pub(super) fn read(text: &str, sort: Sort, direction: Direction) -> Result<Self, CursorError> {
        let bytes = unhex(text).ok_or(CursorError)?;
        let values: Vec<Value> = serde_json::from_slice(&bytes).map_err(|_| CursorError)?;
        let (first, values) = values.split_first().ok_or(CursorError)?;
        if first.as_str() != Some(&whose(sort, direction))
            || values.len() != key_in(sort).len().saturating_add(1)
        {
            return Err(CursorError);
        }
        let bind = |value: &Value| match value {
            Value::Number(number) => number.as_i64().map(Bind::Number),
            Value::String(text) => Some(Bind::Text(text.clone())),
            Value::Array(bytes) => {
                bytes.first().and_then(Value::as_str).and_then(unhex).map(Bind::Bytes)
            }
            _ => None,
        };
        values.iter().map(bind).collect::<Option<_>>().map(Self).ok_or(CursorError)
    }

    /// That a row comes behind it. The first column is compared by itself too, because only that
    /// leads a search through an index where the others stand in another table.
    pub(super) fn condition(&self, columns: &[&str], direction: Direction) -> Sql {
        let mut sql = Sql::default();
        let sign = direction.sign();
        if let (Some(column), Some(first)) = (columns.first(), self.0.first()) {
            sql.push(&format!("{column} {sign}= "));
            sql.bind(first.clone());
            sql.push(" AND ");
        }
        sql.push(&format!("({}) {sign} (", columns.join(", ")));
        for (number, bind) in self.0.iter().enumerate() {
            sql.push(if number > 0 { ", " } else { "" });
            sql.bind(bind.clone());
        }
        sql.push(")");
        sql
    }
}

/// Of which list in which order a cursor is.
fn whose(sort: Sort, direction: Direction) -> String {
    format!("{} {} {}", sort.kind.as_str(), sort.name, direction.sign())
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some((digit(*high)? << 4) | digit(*low)?),
        _ => None,
    };
    text.as_bytes().chunks(2).map(pair).collect()
}
