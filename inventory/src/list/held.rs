//! Everything that is listed, in memory: a page of a million rows is found here in the time in which
//! the database finds one of some ten thousand.
//!
//! It is held in parts, assets by their numbers with all that belongs to them, so that after a
//! review only those parts are read again in which something changed, and every core searches
//! some of them.

use std::{net::IpAddr, sync::Arc};

use super::{row, texts::Texts};
use crate::query::Column;

/// Everything that is listed, as one review left it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    /// Ascending by number, as the parts of findings are.
    pub(crate) assets: Vec<Arc<AssetPart>>,
    pub(crate) kinds: Arc<Shared<KindRow>>,
    pub(crate) products: Arc<Shared<ProductRow>>,
    pub(crate) certificates: Vec<Arc<CertificatePart>>,
    pub(crate) findings: Vec<Arc<FindingPart>>,
}

/// Which part it is, and what stands in all of its rows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Mark {
    pub(crate) number: i64,
    pub(crate) digest: u128,
}

/// What many rows share, by its number in the database.
#[derive(Debug)]
pub(crate) struct Shared<R> {
    /// Where the row of each number is.
    places: Vec<u32>,
    rows: Vec<R>,
}

impl<R> Default for Shared<R> {
    fn default() -> Self {
        Self { places: Vec::new(), rows: Vec::new() }
    }
}

impl<R> Shared<R> {
    /// The next row. Numbers are given out from 1 on.
    pub(crate) fn push(&mut self, number: u32, row: R) {
        let (number, place) = (number as usize, self.rows.len());
        if self.places.len() <= number {
            self.places.resize(number.saturating_add(1), u32::MAX);
        }
        if let Some(at) = self.places.get_mut(number) {
            *at = u32::try_from(place).unwrap_or(u32::MAX);
            self.rows.push(row);
        }
    }

    pub(crate) fn get(&self, number: u32) -> Option<&R> {
        self.rows.get(*self.places.get(number as usize)? as usize)
    }

    /// What a function says of each number, `otherwise` of those that have no row.
    pub(crate) fn by_number<T: Clone>(&self, otherwise: T, of: impl Fn(&R) -> T) -> Vec<T> {
        let rows: Vec<T> = self.rows.iter().map(of).collect();
        let by = |place: &u32| rows.get(*place as usize).cloned().unwrap_or(otherwise.clone());
        self.places.iter().map(by).collect()
    }
}

/// What an endpoint is; texts are folded.
#[derive(Debug)]
pub(crate) struct KindRow {
    pub(crate) transport: String,
    pub(crate) port: i64,
    pub(crate) state: String,
    pub(crate) protocol: String,
    pub(crate) product: String,
    pub(crate) version: String,
    pub(crate) cpe: String,
    pub(crate) tls: bool,
}

/// A product in a version, folded.
#[derive(Debug)]
pub(crate) struct ProductRow {
    pub(crate) product: String,
    pub(crate) version: String,
    pub(crate) cpe: String,
}

/// Assets whose numbers are near each other, with what belongs to them.
#[derive(Debug, Default)]
pub(crate) struct AssetPart {
    pub(crate) mark: Mark,
    /// Ascending.
    pub(crate) ids: Vec<i64>,
    /// In the order of [`AssetPart::TEXTS`].
    pub(crate) texts: Texts<16>,
    pub(crate) numbers: Vec<AssetNumbers>,
    /// The current ones of all assets, and where those of each end.
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) address_ends: Vec<usize>,
    pub(crate) services: Vec<Service>,
    pub(crate) software: Vec<Software>,
    /// Whence each software is known: as shown, and folded.
    pub(crate) sources: Texts<2>,
}

/// The numbers of an asset.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AssetNumbers {
    pub(crate) address: Option<IpAddr>,
    pub(crate) uncertain: bool,
    pub(crate) services: i64,
    pub(crate) software: i64,
    pub(crate) certificates: i64,
    pub(crate) critical: i64,
    pub(crate) warning: i64,
    pub(crate) info: i64,
    pub(crate) first_seen: i64,
    pub(crate) last_seen: i64,
}

/// An endpoint.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Service {
    /// The place of its asset in the part.
    pub(crate) asset: u32,
    /// The number of what it is.
    pub(crate) kind: u32,
    pub(crate) address: IpAddr,
    pub(crate) first_seen: i64,
    pub(crate) last_seen: i64,
}

/// A product on an asset.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Software {
    pub(crate) asset: u32,
    pub(crate) kind: u32,
    pub(crate) first_seen: i64,
    pub(crate) last_seen: i64,
}

/// Certificates whose hashes begin alike.
#[derive(Debug, Default)]
pub(crate) struct CertificatePart {
    pub(crate) mark: Mark,
    /// In the order of [`CertificatePart::TEXTS`].
    pub(crate) texts: Texts<10>,
    pub(crate) numbers: Vec<CertificateNumbers>,
}

/// The numbers of a certificate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CertificateNumbers {
    pub(crate) not_after: i64,
    pub(crate) renew_by: i64,
    pub(crate) places: i64,
    pub(crate) first_seen: i64,
    pub(crate) last_seen: i64,
}

/// Findings whose numbers are near each other.
#[derive(Debug, Default)]
pub(crate) struct FindingPart {
    pub(crate) mark: Mark,
    /// In the order of [`FindingPart::TEXTS`].
    pub(crate) texts: Texts<6>,
    pub(crate) numbers: Vec<FindingNumbers>,
}

/// The numbers of a finding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FindingNumbers {
    pub(crate) id: i64,
    pub(crate) rank: i64,
    /// 0 where it is about none.
    pub(crate) asset: i64,
    pub(crate) first_seen: i64,
    pub(crate) last_seen: i64,
}

impl AssetPart {
    /// Gives back what was reserved and not used.
    pub(crate) fn shrink(&mut self) {
        let Self {
            ids, texts, numbers, addresses, address_ends, services, software, sources, ..
        } = self;
        sources.shrink();
        ids.shrink_to_fit();
        texts.shrink();
        numbers.shrink_to_fit();
        addresses.shrink_to_fit();
        address_ends.shrink_to_fit();
        services.shrink_to_fit();
        software.shrink_to_fit();
    }

    /// The columns of its texts.
    pub(super) const TEXTS: [Column; 16] = [
        Column::Site,
        Column::Names,
        Column::Macs,
        Column::Vendor,
        Column::Class,
        Column::Os,
        Column::Registration,
        Column::Ports,
        Column::Protocols,
        Column::Products,
        Column::Versions,
        Column::Cpes,
        Column::Certificates,
        Column::Owner,
        Column::Department,
        Column::Location,
    ];

    /// The place of an asset in the part.
    pub(crate) fn place(&self, id: i64) -> Option<usize> {
        self.ids.binary_search(&id).ok()
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = row::Asset<'_>> {
        (0..self.ids.len()).map(|at| row::Asset { part: self, at })
    }

    pub(super) fn addresses(&self, at: usize) -> &[IpAddr] {
        let end = |at: usize| self.address_ends.get(at).copied();
        let start = at.checked_sub(1).map_or(Some(0), end);
        let range = start.zip(end(at)).map(|(start, end)| start..end);
        range.and_then(|range| self.addresses.get(range)).unwrap_or_default()
    }
}

impl CertificatePart {
    /// The columns of its texts.
    pub(super) const TEXTS: [Column; 10] = [
        Column::Sha256,
        Column::Subject,
        Column::Issuer,
        Column::Names,
        Column::Key,
        Column::Trust,
        Column::Assets,
        Column::Sites,
        Column::Addresses,
        Column::Owners,
    ];

    pub(crate) fn rows(&self) -> impl Iterator<Item = row::Certificate<'_>> {
        (0..self.texts.len()).map(|at| row::Certificate { part: self, at })
    }
}

impl FindingPart {
    /// The columns of its texts.
    pub(super) const TEXTS: [Column; 6] = [
        Column::Rule,
        Column::Severity,
        Column::State,
        Column::Subject,
        Column::Title,
        Column::Owners,
    ];

    pub(crate) fn rows(&self) -> impl Iterator<Item = row::Finding<'_>> {
        (0..self.texts.len()).map(|at| row::Finding { part: self, at })
    }
}

impl Held {
    /// Where an asset is: the place of its part, and its own in that.
    pub(crate) fn asset(&self, id: i64) -> Option<(usize, usize)> {
        let number = id >> super::ASSET_BITS;
        let part = self.assets.binary_search_by_key(&number, |part| part.mark.number).ok()?;
        Some((part, self.assets.get(part)?.place(id)?))
    }
}
