//! What of the projection is another than what a review concluded: found beside the database, while
//! others write.
//!
//! Rows are made of every thing and compared by a digest with what was written last; only those that
//! are not the same are written (`write`). An asset's rows go together: where they are the same
//! things as before, such as after a sweep that saw everything again, they are changed in place.

use std::{
    collections::{HashMap, HashSet},
    hash::{Hash, Hasher as _},
    net::IpAddr,
};

use siphasher::sip128::{Hasher128 as _, SipHasher13};
use sqlx::SqliteConnection;

use super::super::{
    StoredFinding, cells,
    review::{Compared, Policy},
    scan::LoadError,
};
use crate::{
    asset::Asset,
    cores,
    list::{AssetRow, CertificateRow, FindingRow, Lister, ServiceRow, SoftwareRow},
};

/// An asset with everything that is listed of it.
#[derive(Hash)]
pub(super) struct Whole {
    pub(super) asset: AssetRow,
    pub(super) addresses: Vec<(IpAddr, bool)>,
    pub(super) services: Vec<ServiceRow>,
    pub(super) software: Vec<SoftwareRow>,
}

/// An asset's rows that are to be written.
pub(super) struct Changed {
    pub(super) row: Whole,
    pub(super) shape: String,
    pub(super) digest: String,
    /// Whether the things are others than before.
    pub(super) is_other: bool,
}

/// Sixteen bytes that differ where the values do, but for collisions that somebody would have to
/// make; what that would gain is an old row in a list.
fn digest(value: &impl Hash) -> String {
    let mut hasher = SipHasher13::new();
    value.hash(&mut hasher);
    hasher.write_u8(0);
    let hash = hasher.finish128();
    format!("{:016x}{:016x}", hash.h1, hash.h2)
}

impl Whole {
    fn of(lister: &Lister<'_>, asset: &Asset, state: &crate::compare::AssetState) -> Self {
        let row = lister.asset(asset, state);
        let mut addresses: Vec<(IpAddr, bool)> =
            row.addresses.iter().map(|address| (*address, true)).collect();
        let mut known: HashSet<IpAddr> = row.addresses.iter().copied().collect();
        addresses.retain({
            let mut met = HashSet::new();
            move |(address, _)| met.insert(*address)
        });
        for service in &asset.services {
            if known.insert(service.address) {
                addresses.push((service.address, false));
            }
        }
        Self {
            addresses,
            services: ServiceRow::of(asset).collect(),
            software: SoftwareRow::of(asset).collect(),
            asset: row,
        }
    }

    /// Which things these are, without what changes about them.
    fn shape(&self) -> String {
        let services = self.services.iter().map(|service| (service.address, &service.kind));
        let software = self.software.iter().map(|one| (&one.product, &one.source));
        let (services, software) = (services.collect::<Vec<_>>(), software.collect::<Vec<_>>());
        digest(&(&self.addresses, services, software))
    }
}

/// What is listed: the keys of each table with the digests of their rows.
pub(in crate::store) struct Known {
    assets: Digests,
    certificates: Digests,
    findings: Digests,
}

/// By the key: the digest of what does not change about the things, and of the row.
type Digests = HashMap<String, (String, String)>;

impl Known {
    pub(in crate::store) async fn load(
        connection: &mut SqliteConnection,
    ) -> Result<Self, LoadError> {
        let assets = "SELECT json_group_array(json_array(CAST(id AS TEXT), shape, digest))
            FROM listed_asset WHERE $1 = ''";
        let certificates = "SELECT json_group_array(json_array(sha256, '', digest))
            FROM listed_certificate WHERE $1 = ''";
        let findings = "SELECT json_group_array(json_array(CAST(id AS TEXT), '', digest))
            FROM listed_finding WHERE $1 = ''";
        Ok(Self {
            assets: digests(connection, assets).await?,
            certificates: digests(connection, certificates).await?,
            findings: digests(connection, findings).await?,
        })
    }
}

async fn digests(
    connection: &mut SqliteConnection,
    statement: &'static str,
) -> Result<Digests, LoadError> {
    let text = cells::text_of(connection, statement, String::new()).await?;
    let mut known = HashMap::new();
    for row in cells::rows(&text)? {
        known.insert(row.owned(0)?, (row.owned(1)?, row.owned(2)?));
    }
    Ok(known)
}

/// What is to be written of each table, and what is gone.
pub(in crate::store) struct Plan {
    pub(super) assets: Vec<Changed>,
    pub(super) gone_assets: Vec<i64>,
    /// With their digests.
    pub(super) certificates: Vec<(CertificateRow, String)>,
    pub(super) gone_certificates: Vec<String>,
    /// With their digests.
    pub(super) findings: Vec<(FindingRow, String)>,
    pub(super) gone_findings: Vec<i64>,
}

impl Plan {
    /// From what is listed to what was concluded.
    pub(in crate::store) fn new(
        known: Known,
        compared: &Compared,
        findings: &[StoredFinding],
        policy: &Policy,
    ) -> Self {
        let lister = Lister::new(compared, findings);
        let Known { assets, mut certificates, findings: mut known_findings } = known;
        let (assets, gone_assets) = changed_assets(assets, &lister);
        let rows = lister.certificates(&policy.thresholds);
        let changed_certificates = differing(rows, &mut certificates, |row| row.sha256.clone());
        let rows = findings.iter().map(|stored| FindingRow::of(stored, &compared.owners)).collect();
        let changed_findings = differing(rows, &mut known_findings, |row| row.id.to_string());
        Self {
            assets,
            gone_assets,
            certificates: changed_certificates,
            gone_certificates: certificates.into_keys().collect(),
            findings: changed_findings,
            gone_findings: known_findings.into_keys().filter_map(|id| id.parse().ok()).collect(),
        }
    }
}

fn changed_assets(mut known: Digests, lister: &Lister<'_>) -> (Vec<Changed>, Vec<i64>) {
    let make = |(asset, state)| {
        let row = Whole::of(lister, asset, state);
        let new = digest(&row);
        match known.get(&row.asset.id.to_string()) {
            Some((_, old)) if *old == new => None,
            before => {
                let shape = row.shape();
                let is_other = before.is_some_and(|(old, _)| *old != shape);
                Some(Changed { is_other, shape, digest: new, row })
            }
        }
    };
    let changed = cores::each(lister.assets().collect(), make);
    for (asset, _) in lister.assets() {
        known.remove(&asset.id.to_string());
    }
    let gone = known.keys().filter_map(|id| id.parse().ok()).collect();
    (changed.into_iter().flatten().collect(), gone)
}

/// Those of the rows that are not as they were, with their digests; what is left of `known` is
/// gone.
fn differing<R: Hash>(
    rows: Vec<R>,
    known: &mut HashMap<String, (String, String)>,
    key: impl Fn(&R) -> String,
) -> Vec<(R, String)> {
    let changed = |row: R| {
        let new = digest(&row);
        let same = known.remove(&key(&row)).is_some_and(|(_, old)| old == new);
        (!same).then_some((row, new))
    };
    rows.into_iter().filter_map(changed).collect()
}
