//! The rows of what is held (`held`): each as a view of its part, with what a query asks of it and
//! where it stands in an order.

use std::borrow::Cow;

use super::{
    held::{
        AssetPart, CertificatePart, FindingPart, KindRow, ProductRow, Service, Shared, Software,
    },
    sort::{Place, Value},
    texts::Texts,
};
use crate::query::{Cell, Column, Row};

/// A row that can be asked and stands somewhere in every order.
pub(crate) trait Listed<'a>: Row {
    /// The value in a column that has one.
    fn value(&self, column: Column) -> Value<'a>;

    /// What makes it the row that it is.
    fn key(&self) -> [Value<'a>; 3];

    /// Where it stands in the order of a column.
    fn place(&self, column: Column) -> Place<'a> {
        let [first, second, third] = self.key();
        [self.value(column), first, second, third]
    }
}

/// A value as a query compares it.
const fn cell(value: Value<'_>) -> Cell<'_> {
    match value {
        Value::Number(number) => Cell::Number(number),
        Value::Text(text) => Cell::Text(Cow::Borrowed(text)),
        Value::Nothing | Value::Address(_) | Value::NoAddress => Cell::Nothing,
    }
}

/// The text of a row in one of the columns of its part.
fn text<'a, const N: usize>(
    texts: &'a Texts<N>,
    columns: &[Column; N],
    row: usize,
    column: Column,
) -> Value<'a> {
    match columns.iter().position(|known| *known == column) {
        Some(place) => Value::Text(texts.get(row, place)),
        None => Value::Nothing,
    }
}

/// An asset of a part.
#[derive(Clone, Copy)]
pub(crate) struct Asset<'a> {
    pub(crate) part: &'a AssetPart,
    pub(super) at: usize,
}

impl Asset<'_> {
    fn id(&self) -> i64 {
        self.part.ids.get(self.at).copied().unwrap_or_default()
    }
}

impl<'a> Listed<'a> for Asset<'a> {
    fn value(&self, column: Column) -> Value<'a> {
        let part = self.part;
        let Some(numbers) = part.numbers.get(self.at) else { return Value::Nothing };
        Value::Number(match column {
            Column::Id | Column::Asset => self.id(),
            Column::Address => return numbers.address.map_or(Value::NoAddress, Value::Address),
            Column::Uncertain => numbers.uncertain.into(),
            Column::ServiceCount => numbers.services,
            Column::SoftwareCount => numbers.software,
            Column::CertificateCount => numbers.certificates,
            Column::Critical => numbers.critical,
            Column::Warning => numbers.warning,
            // Critical ones first, however many of the others there are.
            Column::Problems => (numbers.critical.min(1 << 20) << 42)
                .saturating_add(numbers.warning.min(1 << 20) << 21)
                .saturating_add(numbers.info.min(1 << 20)),
            Column::FirstSeen => numbers.first_seen,
            Column::LastSeen => numbers.last_seen,
            _ => return text(&part.texts, &AssetPart::TEXTS, self.at, column),
        })
    }

    fn key(&self) -> [Value<'a>; 3] {
        [Value::Number(self.id()), Value::Nothing, Value::Nothing]
    }
}

impl Row for Asset<'_> {
    fn cell(&self, column: Column) -> Cell<'_> {
        match column {
            Column::Addresses => Cell::Addresses(self.part.addresses(self.at)),
            _ => cell(self.value(column)),
        }
    }
}

impl Row for KindRow {
    fn cell(&self, column: Column) -> Cell<'_> {
        cell(self.value(column))
    }
}

impl KindRow {
    pub(crate) const fn value(&self, column: Column) -> Value<'_> {
        match column {
            Column::Port => Value::Number(self.port),
            Column::Tls => Value::Number(self.tls as i64),
            Column::Transport => Value::Text(self.transport.as_str()),
            Column::State => Value::Text(self.state.as_str()),
            Column::Protocol => Value::Text(self.protocol.as_str()),
            Column::Product => Value::Text(self.product.as_str()),
            Column::Version => Value::Text(self.version.as_str()),
            Column::Cpe => Value::Text(self.cpe.as_str()),
            _ => Value::Nothing,
        }
    }
}

impl Row for ProductRow {
    fn cell(&self, column: Column) -> Cell<'_> {
        cell(self.value(column))
    }
}

impl ProductRow {
    pub(crate) const fn value(&self, column: Column) -> Value<'_> {
        match column {
            Column::Product => Value::Text(self.product.as_str()),
            Column::Version => Value::Text(self.version.as_str()),
            Column::Cpe => Value::Text(self.cpe.as_str()),
            _ => Value::Nothing,
        }
    }
}

/// An endpoint of a part, with what it is.
#[derive(Clone, Copy)]
pub(crate) struct Endpoint<'a> {
    pub(crate) part: &'a AssetPart,
    pub(crate) kinds: &'a Shared<KindRow>,
    pub(crate) service: &'a Service,
}

impl<'a> Listed<'a> for Endpoint<'a> {
    fn value(&self, column: Column) -> Value<'a> {
        let service = self.service;
        match column {
            Column::Address => Value::Address(service.address),
            Column::FirstSeen => Value::Number(service.first_seen),
            Column::LastSeen => Value::Number(service.last_seen),
            Column::Asset => Asset { part: self.part, at: service.asset as usize }.value(column),
            _ => self.kinds.get(service.kind).map_or(Value::Nothing, |kind| kind.value(column)),
        }
    }

    fn key(&self) -> [Value<'a>; 3] {
        let Service { address, kind, .. } = *self.service;
        [self.value(Column::Asset), Value::Address(address), Value::Number(kind.into())]
    }
}

impl Row for Endpoint<'_> {
    fn cell(&self, column: Column) -> Cell<'_> {
        match column {
            Column::Address => Cell::Addresses(std::slice::from_ref(&self.service.address)),
            _ => cell(self.value(column)),
        }
    }
}

/// A product on an asset of a part.
#[derive(Clone, Copy)]
pub(crate) struct Program<'a> {
    pub(crate) part: &'a AssetPart,
    pub(crate) products: &'a Shared<ProductRow>,
    pub(crate) software: &'a Software,
    /// Its place in the part.
    pub(crate) at: usize,
}

impl<'a> Listed<'a> for Program<'a> {
    fn value(&self, column: Column) -> Value<'a> {
        let software = self.software;
        let product = || self.products.get(software.kind);
        match column {
            Column::FirstSeen => Value::Number(software.first_seen),
            Column::LastSeen => Value::Number(software.last_seen),
            Column::Asset => Asset { part: self.part, at: software.asset as usize }.value(column),
            Column::Source => Value::Text(self.part.sources.get(self.at, 1)),
            _ => product().map_or(Value::Nothing, |product| product.value(column)),
        }
    }

    fn key(&self) -> [Value<'a>; 3] {
        let shown = Value::Text(self.part.sources.get(self.at, 0));
        [self.value(Column::Asset), Value::Number(self.software.kind.into()), shown]
    }
}

impl Row for Program<'_> {
    fn cell(&self, column: Column) -> Cell<'_> {
        cell(self.value(column))
    }
}

/// A certificate of a part.
#[derive(Clone, Copy)]
pub(crate) struct Certificate<'a> {
    pub(super) part: &'a CertificatePart,
    pub(super) at: usize,
}

impl<'a> Listed<'a> for Certificate<'a> {
    fn value(&self, column: Column) -> Value<'a> {
        let Some(numbers) = self.part.numbers.get(self.at) else { return Value::Nothing };
        Value::Number(match column {
            Column::NotAfter => numbers.not_after,
            Column::RenewBy => numbers.renew_by,
            Column::Places => numbers.places,
            Column::FirstSeen => numbers.first_seen,
            Column::LastSeen => numbers.last_seen,
            _ => return text(&self.part.texts, &CertificatePart::TEXTS, self.at, column),
        })
    }

    fn key(&self) -> [Value<'a>; 3] {
        [self.value(Column::Sha256), Value::Nothing, Value::Nothing]
    }
}

impl Row for Certificate<'_> {
    fn cell(&self, column: Column) -> Cell<'_> {
        cell(self.value(column))
    }
}

/// A finding of a part.
#[derive(Clone, Copy)]
pub(crate) struct Finding<'a> {
    pub(super) part: &'a FindingPart,
    pub(super) at: usize,
}

impl Finding<'_> {
    /// The number of the asset that it is about, 0 for none.
    pub(crate) fn asset(&self) -> i64 {
        self.part.numbers.get(self.at).map_or(0, |numbers| numbers.asset)
    }
}

impl<'a> Listed<'a> for Finding<'a> {
    fn value(&self, column: Column) -> Value<'a> {
        let Some(numbers) = self.part.numbers.get(self.at) else { return Value::Nothing };
        Value::Number(match column {
            Column::Id => numbers.id,
            Column::Rank => numbers.rank,
            Column::Asset => numbers.asset,
            Column::FirstSeen => numbers.first_seen,
            Column::LastSeen => numbers.last_seen,
            _ => return text(&self.part.texts, &FindingPart::TEXTS, self.at, column),
        })
    }

    fn key(&self) -> [Value<'a>; 3] {
        [self.value(Column::Id), Value::Nothing, Value::Nothing]
    }
}

impl Row for Finding<'_> {
    fn cell(&self, column: Column) -> Cell<'_> {
        cell(self.value(column))
    }
}
