//! What lists show, ask and sort by: one row for each thing, made from what a comparison
//! concluded.
//!
//! A row holds texts as they are compared (`query::fold`), not as they are shown: those stand where
//! they always stood. The same rows answer a query of the command line, made when it asks, and are
//! written by each review for the page and the API (`store::list`), which hold them in memory
//! (`held`) and ask them by the same function.

pub(crate) mod ask;
mod file;
pub(crate) mod held;
mod make;
mod row;
pub(crate) mod sort;
#[cfg(test)]
mod tests;
mod texts;

use std::{borrow::Cow, net::IpAddr};

use crate::query::{Candidate, Cell, Column, Row};

pub use ask::{Count, Facet};
pub use file::{to_csv, to_xlsx};
pub use make::Lister;
pub use sort::{CursorError, Direction, Sort};

/// As many bits of an asset's number are not told by the part that holds it.
pub(crate) const ASSET_BITS: u32 = 10;
/// Likewise of a finding's.
pub(crate) const FINDING_BITS: u32 = 13;

/// An asset, merged ones as one.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the columns")]
pub struct AssetRow {
    pub id: i64,
    /// As it is configured.
    pub site: String,
    /// The current ones, in their order.
    pub addresses: Vec<IpAddr>,
    pub names: String,
    pub macs: String,
    pub vendor: String,
    pub class: String,
    /// With its version.
    pub os: String,
    /// As it is shown.
    pub os_shown: String,
    pub registration: String,
    /// Why it has that registration, as it is shown.
    pub reason: String,
    /// The entry of the device register that it is, by its reference; empty where it is none.
    pub entry: String,
    /// What that says of it, as it is shown.
    pub owner: String,
    pub department: String,
    pub location: String,
    /// The open ones, each as `443/tcp`.
    pub ports: String,
    pub protocols: String,
    pub products: String,
    pub versions: String,
    pub cpes: String,
    pub certificates: String,
    pub identity_uncertain: bool,
    /// Open ones.
    pub service_count: i64,
    pub software_count: i64,
    pub certificate_count: i64,
    pub first_seen: i64,
    pub last_seen: i64,
    /// Open findings.
    pub critical: i64,
    pub warning: i64,
    pub info: i64,
}

/// What an endpoint is: many are the same.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the columns")]
pub struct ServiceKind {
    pub transport: &'static str,
    pub port: u16,
    pub state: &'static str,
    pub protocol: Option<String>,
    pub product: Option<String>,
    pub version: Option<String>,
    pub cpe: Option<String>,
    pub tls: bool,
}

/// An endpoint of an asset.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the columns")]
pub struct ServiceRow {
    pub asset: i64,
    pub address: IpAddr,
    pub kind: ServiceKind,
    pub first_seen: i64,
    pub last_seen: i64,
}

/// A product in a version.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the columns")]
pub struct Product {
    pub product: String,
    pub version: Option<String>,
    pub cpe: Option<String>,
}

/// A product on an asset.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the columns")]
pub struct SoftwareRow {
    pub asset: i64,
    pub product: Product,
    /// As it is shown.
    pub source: String,
    pub first_seen: i64,
    pub last_seen: i64,
}

/// A certificate that is served or lies in a file.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the columns")]
pub struct CertificateRow {
    pub sha256: String,
    pub subject: String,
    pub issuer: String,
    pub names: String,
    /// The algorithm and the length.
    pub key: String,
    /// `public`, `private`, `untrusted` or `unknown`.
    pub trust: String,
    /// Why clients refuse it, as it is shown.
    pub problems: String,
    /// Microseconds since 1970, as every moment here; [`crate::query::NEVER`] where not known.
    pub not_after: i64,
    pub renew_by: i64,
    /// The assets that serve it.
    pub assets: String,
    pub sites: String,
    /// Where it is served, and in which files it lies.
    pub addresses: String,
    pub owners: String,
    /// With their entries (`Owner::write_all`).
    pub owners_shown: String,
    /// In how many places it is.
    pub places: i64,
    pub first_seen: i64,
    pub last_seen: i64,
}

/// A finding.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the columns")]
pub struct FindingRow {
    pub id: i64,
    pub rule: String,
    pub severity: String,
    pub state: String,
    pub subject: String,
    pub title: String,
    pub owners: String,
    /// With their entries (`Owner::write_all`).
    pub owners_shown: String,
    /// 0 where it is about none.
    pub asset: i64,
    pub first_seen: i64,
    pub last_seen: i64,
}

fn text(text: &str) -> Cell<'_> {
    Cell::Text(Cow::Borrowed(text))
}

fn folded(text: Option<&str>) -> Cell<'_> {
    Cell::Text(Cow::Owned(crate::query::fold(text.unwrap_or_default())))
}

impl Row for AssetRow {
    fn cell(&self, column: Column) -> Cell<'_> {
        match column {
            Column::Id | Column::Asset => Cell::Number(self.id),
            Column::Site => folded(Some(&self.site)),
            Column::Addresses => Cell::Addresses(&self.addresses),
            Column::Names => text(&self.names),
            Column::Macs => text(&self.macs),
            Column::Vendor => text(&self.vendor),
            Column::Class => text(&self.class),
            Column::Os => text(&self.os),
            Column::Registration => text(&self.registration),
            Column::Owner => folded(Some(&self.owner)),
            Column::Department => folded(Some(&self.department)),
            Column::Location => folded(Some(&self.location)),
            Column::Ports => text(&self.ports),
            Column::Protocols => text(&self.protocols),
            Column::Products => text(&self.products),
            Column::Versions => text(&self.versions),
            Column::Cpes => text(&self.cpes),
            Column::Certificates => text(&self.certificates),
            Column::Critical => Cell::Number(self.critical),
            Column::Warning => Cell::Number(self.warning),
            Column::Uncertain => Cell::Number(self.identity_uncertain.into()),
            Column::FirstSeen => Cell::Number(self.first_seen),
            Column::LastSeen => Cell::Number(self.last_seen),
            _ => Cell::Nothing,
        }
    }
}

impl Row for ServiceRow {
    fn cell(&self, column: Column) -> Cell<'_> {
        let kind = &self.kind;
        match column {
            Column::Asset => Cell::Number(self.asset),
            Column::Address => Cell::Addresses(std::slice::from_ref(&self.address)),
            Column::Port => Cell::Number(kind.port.into()),
            Column::Transport => text(kind.transport),
            Column::State => text(kind.state),
            Column::Protocol => folded(kind.protocol.as_deref()),
            Column::Product => folded(kind.product.as_deref()),
            Column::Version => folded(kind.version.as_deref()),
            Column::Cpe => folded(kind.cpe.as_deref()),
            Column::Tls => Cell::Number(kind.tls.into()),
            Column::FirstSeen => Cell::Number(self.first_seen),
            Column::LastSeen => Cell::Number(self.last_seen),
            _ => Cell::Nothing,
        }
    }
}

impl Row for SoftwareRow {
    fn cell(&self, column: Column) -> Cell<'_> {
        match column {
            Column::Asset => Cell::Number(self.asset),
            Column::Product => folded(Some(&self.product.product)),
            Column::Version => folded(self.product.version.as_deref()),
            Column::Cpe => folded(self.product.cpe.as_deref()),
            Column::Source => folded(Some(&self.source)),
            Column::FirstSeen => Cell::Number(self.first_seen),
            Column::LastSeen => Cell::Number(self.last_seen),
            _ => Cell::Nothing,
        }
    }
}

impl Row for CertificateRow {
    fn cell(&self, column: Column) -> Cell<'_> {
        match column {
            Column::Subject => text(&self.subject),
            Column::Issuer => text(&self.issuer),
            Column::Names => text(&self.names),
            Column::Sha256 => text(&self.sha256),
            Column::Key => text(&self.key),
            Column::Trust => text(&self.trust),
            Column::NotAfter => Cell::Number(self.not_after),
            Column::RenewBy => Cell::Number(self.renew_by),
            Column::Places => Cell::Number(self.places),
            Column::Assets => text(&self.assets),
            Column::Sites => text(&self.sites),
            Column::Addresses => text(&self.addresses),
            Column::Owners => text(&self.owners),
            Column::FirstSeen => Cell::Number(self.first_seen),
            Column::LastSeen => Cell::Number(self.last_seen),
            _ => Cell::Nothing,
        }
    }
}

impl Row for FindingRow {
    fn cell(&self, column: Column) -> Cell<'_> {
        match column {
            Column::Id => Cell::Number(self.id),
            Column::Rule => text(&self.rule),
            Column::Severity => text(&self.severity),
            Column::State => text(&self.state),
            Column::Subject => text(&self.subject),
            Column::Title => text(&self.title),
            Column::Owners => text(&self.owners),
            Column::Asset => Cell::Number(self.asset),
            Column::FirstSeen => Cell::Number(self.first_seen),
            Column::LastSeen => Cell::Number(self.last_seen),
            _ => Cell::Nothing,
        }
    }
}

impl<'a> Candidate<'a> {
    /// A thing with its asset.
    #[must_use]
    pub fn of(row: &'a dyn Row, asset: Option<&'a AssetRow>) -> Self {
        Self { row, asset: asset.map(|asset| asset as &dyn Row) }
    }
}
