//! Who answers for an asset, a certificate or a finding, by the device register.
//!
//! A certificate is its server's: whoever answers for the asset that serves it has to renew
//! it. Where the register matches no such asset, a host name in it that the certificate is for
//! says whose it is.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use certs::Certificate;

use crate::{
    asset::{Asset, AssetId},
    compare::Comparison,
    finding::Finding,
    register::DeviceEntry,
};

/// Who answers for something, as the device register has it.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Owner {
    /// The entry's number.
    pub entry: String,
    /// The person.
    pub owner: Option<String>,
    /// The department.
    pub department: Option<String>,
}

impl Owner {
    /// `None` where the entry names nobody.
    fn of(entry: &DeviceEntry) -> Option<Self> {
        let (owner, department) = (entry.owner.clone(), entry.department.clone());
        let named = owner.is_some() || department.is_some();
        named.then(|| Self { entry: entry.reference.clone(), owner, department })
    }

    /// As people read it: the person, then the department.
    #[must_use]
    pub fn text(&self) -> String {
        let parts: Vec<&str> =
            [&self.owner, &self.department].into_iter().flatten().map(String::as_str).collect();
        parts.join(", ")
    }
}

/// Everybody who answers for something.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Owners {
    assets: HashMap<AssetId, Owner>,
    certificates: HashMap<String, BTreeSet<Owner>>,
    /// By the number of the entry.
    entries: HashMap<String, Owner>,
}

impl Owners {
    /// Looks everybody up.
    pub(crate) fn new(
        assets: &[Asset],
        comparison: &Comparison,
        devices: &[DeviceEntry],
        certificates: &[Certificate],
    ) -> Self {
        let mut owners = Self::default();
        let of_entry = |at: usize| devices.get(at).and_then(Owner::of);
        for state in &comparison.assets {
            if let Some(owner) = state.entry.and_then(of_entry) {
                owners.assets.insert(state.asset, owner);
            }
        }
        for asset in assets {
            let Some(owner) = owners.assets.get(&asset.id) else { continue };
            for served in asset.deployments.iter().filter(|served| served.current) {
                let all = owners.certificates.entry(served.sha256.clone()).or_default();
                all.insert(owner.clone());
            }
        }
        let mut by_name: BTreeMap<&str, Owner> = BTreeMap::new();
        for entry in devices {
            let Some(owner) = Owner::of(entry) else { continue };
            owners.entries.insert(entry.reference.clone(), owner.clone());
            by_name.extend(entry.host_names.iter().map(|name| (name.as_str(), owner.clone())));
        }
        if by_name.is_empty() {
            return owners;
        }
        for certificate in certificates.iter().filter(|certificate| !certificate.is_ca) {
            let unknown = !owners.certificates.contains_key(&certificate.sha256);
            let named = certificate.names.iter().filter_map(|name| by_name.get(name.as_str()));
            let named: BTreeSet<Owner> = named.cloned().collect();
            if unknown && !named.is_empty() {
                owners.certificates.insert(certificate.sha256.clone(), named);
            }
        }
        owners
    }

    /// Who answers for a certificate, by entry.
    pub fn of_certificate(&self, sha256: &str) -> impl Iterator<Item = &Owner> {
        self.certificates.get(sha256).into_iter().flatten()
    }

    /// Who answers for what a finding is about, by entry.
    #[must_use]
    pub fn of_finding(&self, finding: &Finding) -> Vec<&Owner> {
        let subject = finding.key.subject.as_str();
        if let Some(sha256) = subject.strip_prefix("certificate:") {
            let owners: Vec<&Owner> = self.of_certificate(sha256).collect();
            if !owners.is_empty() {
                return owners;
            }
        }
        let of_entry = subject.strip_prefix("device:").and_then(|entry| self.entries.get(entry));
        let of_asset = finding.asset.and_then(|asset| self.assets.get(&asset));
        of_asset.or(of_entry).into_iter().collect()
    }
}
