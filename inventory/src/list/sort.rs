//! By what lists are sorted, and where in a list a page begins.

use std::{cmp::Ordering, net::IpAddr};

use serde_json::{Value as Json, json};
use thiserror::Error;

use crate::{
    hex::{hex, unhex},
    query::{Column as C, Kind},
};

/// A column by which a kind of thing can be sorted: one of a fixed list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sort {
    kind: Kind,
    /// Its name in addresses of pages and on the command line.
    pub name: &'static str,
    pub(crate) column: C,
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
    const fn sign(self) -> &'static str {
        match self {
            Self::Up => ">",
            Self::Down => "<",
        }
    }

    /// Which of two comes first.
    pub(crate) fn compare<T: Ord>(self, one: &T, other: &T) -> Ordering {
        match self {
            Self::Up => one.cmp(other),
            Self::Down => other.cmp(one),
        }
    }
}

const fn sort(kind: Kind, name: &'static str, column: C) -> Sort {
    Sort { kind, name, column }
}

use Kind::{Assets, Certificates, Findings, Services, Software};

/// Every one, the first of each kind being what is taken where nothing is said.
const SORTS: &[Sort] = &[
    sort(Assets, "address", C::Address),
    sort(Assets, "id", C::Id),
    sort(Assets, "name", C::Names),
    sort(Assets, "site", C::Site),
    sort(Assets, "mac", C::Macs),
    sort(Assets, "vendor", C::Vendor),
    sort(Assets, "class", C::Class),
    sort(Assets, "os", C::Os),
    sort(Assets, "registration", C::Registration),
    sort(Assets, "owner", C::Owner),
    sort(Assets, "department", C::Department),
    sort(Assets, "location", C::Location),
    sort(Assets, "services", C::ServiceCount),
    sort(Assets, "software", C::SoftwareCount),
    sort(Assets, "certificates", C::CertificateCount),
    sort(Assets, "findings", C::Problems),
    sort(Assets, "first", C::FirstSeen),
    sort(Assets, "seen", C::LastSeen),
    sort(Services, "address", C::Address),
    sort(Services, "port", C::Port),
    sort(Services, "state", C::State),
    sort(Services, "protocol", C::Protocol),
    sort(Services, "product", C::Product),
    sort(Services, "version", C::Version),
    sort(Services, "asset", C::Asset),
    sort(Services, "first", C::FirstSeen),
    sort(Services, "seen", C::LastSeen),
    sort(Software, "product", C::Product),
    sort(Software, "version", C::Version),
    sort(Software, "asset", C::Asset),
    sort(Software, "source", C::Source),
    sort(Software, "first", C::FirstSeen),
    sort(Software, "seen", C::LastSeen),
    sort(Certificates, "expires", C::NotAfter),
    sort(Certificates, "renew", C::RenewBy),
    sort(Certificates, "subject", C::Subject),
    sort(Certificates, "issuer", C::Issuer),
    sort(Certificates, "name", C::Names),
    sort(Certificates, "key", C::Key),
    sort(Certificates, "trust", C::Trust),
    sort(Certificates, "places", C::Places),
    sort(Certificates, "sha256", C::Sha256),
    sort(Certificates, "first", C::FirstSeen),
    sort(Certificates, "seen", C::LastSeen),
    sort(Findings, "severity", C::Rank),
    sort(Findings, "id", C::Id),
    sort(Findings, "rule", C::Rule),
    sort(Findings, "state", C::State),
    sort(Findings, "subject", C::Subject),
    sort(Findings, "title", C::Title),
    sort(Findings, "owner", C::Owners),
    sort(Findings, "asset", C::Asset),
    sort(Findings, "first", C::FirstSeen),
    sort(Findings, "seen", C::LastSeen),
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
        Self::of(kind).next().unwrap_or(sort(kind, "", C::Id))
    }

    /// The kind of thing that it sorts.
    #[must_use]
    pub const fn kind(self) -> Kind {
        self.kind
    }
}

/// A value by which rows are sorted or told apart. What is not known comes first, but an asset
/// without an address behind those that have one: nobody looks for it first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Value<'a> {
    Nothing,
    Number(i64),
    Text(&'a str),
    Address(IpAddr),
    NoAddress,
}

/// Where a row stands in an order: the value sorted by, then what makes it the row that it is, so
/// that no two stand in the same place.
pub(crate) type Place<'a> = [Value<'a>; 4];

/// How many values of a place are the row's own.
pub(crate) const fn width(kind: Kind) -> usize {
    match kind {
        Assets | Findings | Certificates => 1,
        Services | Software => 3,
    }
}

/// The text is not from where it says: no page of this list ends there.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("this does not say where in the list the page begins")]
pub struct CursorError;

/// Behind which row a page begins: its place in the order. Rows that come and go meanwhile change
/// nothing about that.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cursor(Vec<Json>);

impl Cursor {
    /// As text that says nothing to people. It is no secret: what it holds is only compared.
    pub(crate) fn text(place: &Place<'_>, sort: Sort, direction: Direction) -> String {
        let value = |value: &Value<'_>| match value {
            Value::Nothing => Json::Null,
            Value::Number(number) => Json::from(*number),
            Value::Text(text) => Json::from(*text),
            Value::Address(address) => json!([address]),
            Value::NoAddress => json!([]),
        };
        let mut values = vec![Json::from(whose(sort, direction))];
        values.extend(place.iter().take(width(sort.kind).saturating_add(1)).map(value));
        hex(Json::Array(values).to_string().as_bytes())
    }

    /// From such a text, of the same order of the same kind.
    pub(crate) fn read(text: &str, sort: Sort, direction: Direction) -> Result<Self, CursorError> {
        let bytes = unhex(text).ok_or(CursorError)?;
        let mut values: Vec<Json> = serde_json::from_slice(&bytes).map_err(|_| CursorError)?;
        let is_right = values.first().and_then(Json::as_str) == Some(&whose(sort, direction));
        if !is_right || values.len() != width(sort.kind).saturating_add(2) {
            return Err(CursorError);
        }
        values.remove(0);
        let cursor = Self(values);
        cursor.place().map(|_| ()).ok_or(CursorError)?;
        Ok(cursor)
    }

    /// The place behind which the page begins.
    pub(crate) fn place(&self) -> Option<Place<'_>> {
        let mut place = [Value::Nothing; 4];
        for (at, value) in place.iter_mut().zip(&self.0) {
            *at = match value {
                Json::Null => Value::Nothing,
                Json::Number(number) => Value::Number(number.as_i64()?),
                Json::String(text) => Value::Text(text),
                Json::Array(address) => match address.first() {
                    Some(address) => Value::Address(address.as_str()?.parse().ok()?),
                    None => Value::NoAddress,
                },
                _ => return None,
            };
        }
        Some(place)
    }
}

/// Of which list in which order a cursor is.
fn whose(sort: Sort, direction: Direction) -> String {
    format!("{} {} {}", sort.kind.as_str(), sort.name, direction.sign())
}
