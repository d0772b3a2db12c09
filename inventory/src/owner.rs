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

    /// Several as one text, from which [`Self::read_all`] has them again; "" for none.
    pub(crate) fn write_all<'a>(owners: impl IntoIterator<Item = &'a Self>) -> String {
        let parts = |one: &'a Self| (&one.entry, &one.owner, &one.department);
        let parts: Vec<_> = owners.into_iter().map(parts).collect();
        match parts.is_empty() {
            true => String::new(),
            // Texts in a list cannot fail to be written.
            false => serde_json::to_string(&parts).unwrap_or_default(),
        }
    }

    /// From such a text. What an earlier version wrote for people is one of whom only that is known,
    /// until the next review.
    pub(crate) fn read_all(text: &str) -> Vec<Self> {
        type Parts = (String, Option<String>, Option<String>);
        if text.is_empty() {
            return Vec::new();
        }
        let one = |(entry, owner, department): Parts| Self { entry, owner, department };
        match serde_json::from_str::<Vec<Parts>>(text) {
            Ok(parts) => parts.into_iter().map(one).collect(),
            Err(_) => {
                let owner = Some(text.to_owned());
                vec![Self { entry: String::new(), owner, department: None }]
            }
        }
    }

    /// Several as people read them.
    #[must_use]
    pub fn texts(owners: &[Self]) -> String {
        owners.iter().map(Self::text).collect::<Vec<_>>().join("; ")
    }

    /// As people read it: the person, then the department.
    #[must_use]
    pub fn text(&self) -> String {
        let parts: Vec<&str> =
            [&self.owner, &self.department].into_iter().flatten().map(String::as_str).collect();
        parts.join(", ")
    }
}

/// What the entry of an asset says of it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Entered {
    /// The entry's number.
    pub entry: String,
    /// The person.
    pub owner: Option<String>,
    /// The department.
    pub department: Option<String>,
    /// Where it stands.
    pub location: Option<String>,
}

/// Everybody who answers for something.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Owners {
    assets: HashMap<AssetId, Owner>,
    entered: HashMap<AssetId, Entered>,
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
            if let Some(entry) = state.entry.and_then(|at| devices.get(at)) {
                let entered = Entered {
                    entry: entry.reference.clone(),
                    owner: entry.owner.clone(),
                    department: entry.department.clone(),
                    location: entry.location.clone(),
                };
                owners.entered.insert(state.asset, entered);
            }
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

    /// Who answers for an asset.
    #[must_use]
    pub fn of_asset(&self, asset: AssetId) -> Option<&Owner> {
        self.assets.get(&asset)
    }

    /// What the device register says of an asset.
    #[must_use]
    pub fn entered(&self, asset: AssetId) -> Option<&Entered> {
        self.entered.get(&asset)
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

#[cfg(test)]
mod tests {
    use model::{Severity, Site, Timestamp, TlsVersion, Transport};

    use super::*;
    use crate::{
        asset::Deployment,
        compare::{AssetState, Registration},
        finding::{FindingKey, FindingState},
        register::{Entry, read},
    };

    const NOW: Timestamp = Timestamp::from_seconds(1_795_339_800);

    fn asset(id: i64, serves: &[&str]) -> Asset {
        let place = |sha256: &&str| Deployment {
            sha256: (*sha256).to_owned(),
            chain: Vec::new(),
            address: "192.0.2.1".parse().unwrap(),
            port: 443,
            transport: Transport::Tcp,
            server_name: None,
            protocol_version: TlsVersion(0x0304),
            starttls: None,
            first_seen: NOW,
            last_seen: NOW,
            current: !sha256.starts_with("old"),
        };
        Asset {
            id: AssetId(id),
            site: Site("plant".into()),
            first_seen: NOW,
            last_seen: NOW,
            identity_uncertain: false,
            identifiers: Vec::new(),
            names: Vec::new(),
            alive_by: Vec::new(),
            services: Vec::new(),
            software: Vec::new(),
            os: None,
            deployments: serves.iter().map(place).collect(),
            anomalies: Vec::new(),
            heard: Vec::new(),
        }
    }

    fn certificate(sha256: &str, name: &str) -> Certificate {
        Certificate {
            sha256: sha256.into(),
            names: vec![name.into()],
            ..certs::parse(name.as_bytes())
        }
    }

    fn finding(subject: &str, asset: Option<i64>) -> Finding {
        Finding {
            key: FindingKey { rule: "a.rule".into(), subject: subject.into() },
            asset: asset.map(AssetId),
            severity: Severity::Info,
            title: String::new(),
            detail: String::new(),
            state: FindingState::Open,
            first_seen: NOW,
            last_seen: NOW,
            resolved_at: None,
            accepted: None,
        }
    }

    #[test]
    fn owners_are_read_back_as_they_were_written() {
        let owner = |entry: &str, owner: Option<&str>, department: Option<&str>| Owner {
            entry: entry.to_owned(),
            owner: owner.map(str::to_owned),
            department: department.map(str::to_owned),
        };
        let some = [owner("A", Some("Sato; [\"x\"]"), None), owner("B", Some("Abe"), Some("IT\n"))];
        for owners in [&some[..0], &some[..1], &some] {
            assert_eq!(Owner::read_all(&Owner::write_all(owners)), owners);
        }
        assert_eq!(Owner::texts(&some), "Sato; [\"x\"]; Abe, IT\n");
        // What was written for people is shown to people as it was.
        for old in ["Sato, Sales; IT", "[]x", "[1]", "null"] {
            assert_eq!(Owner::texts(&Owner::read_all(old)), old);
        }
    }

    fn entries<E: Entry>(csv: &str) -> Vec<E> {
        let import = read::<E>(csv.as_bytes()).unwrap();
        assert_eq!(import.errors, []);
        import.entries
    }

    #[test]
    fn whoever_answers_for_the_server_answers_for_its_certificate() {
        let devices = entries::<DeviceEntry>(
            "reference,ip,host name,owner,department\n\
             A,192.0.2.1,,Sato,Sales\nB,192.0.2.2,,,IT\nC,,shop.example,Abe,\nD,192.0.2.4,,,\n",
        );
        let assets = [
            asset(1, &["both", "old"]),
            asset(2, &["both"]),
            asset(3, &["named"]),
            asset(4, &["d"]),
        ];
        let state = |id, entry| AssetState {
            asset: AssetId(id),
            state: Registration::Registered,
            entry,
            reason: String::new(),
        };
        let states = vec![state(1, Some(0)), state(2, Some(1)), state(3, None), state(4, Some(3))];
        let mut comparison = Comparison::default();
        comparison.assets = states;
        let certificates = [
            certificate("both", "shop.example"),
            certificate("old", "old.example"),
            certificate("named", "shop.example"),
            certificate("d", "d.example"),
        ];
        let owners = Owners::new(&assets, &comparison, &devices, &certificates);
        let of = |subject: &str, asset| -> Vec<String> {
            owners.of_finding(&finding(subject, asset)).iter().map(|owner| owner.text()).collect()
        };
        // The servers' owners go before those of a name; what is no longer served is nobody's.
        assert_eq!(of("certificate:both", Some(1)), ["Sato, Sales", "IT"]);
        assert_eq!(of("certificate:named", Some(3)), ["Abe"]);
        assert_eq!(of("certificate:old", None), [""; 0]);
        assert_eq!(of("certificate:d", Some(4)), [""; 0]);
        // Of a certificate with no owner of its own, and of all else, the asset's.
        assert_eq!(of("certificate:above", Some(2)), ["IT"]);
        assert_eq!(of("asset:1", Some(1)), ["Sato, Sales"]);
        assert_eq!(of("device:C", None), ["Abe"]);
        assert_eq!(of("device:D", None), [""; 0]);
    }
}
