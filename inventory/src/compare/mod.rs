//! What we saw against what should be there.
//!
//! Assets, registers, certificates and the record of where we looked become a state for
//! each asset and each entry, and detections. Everything is a function of its input and
//! of `as_of`. Where the input cannot tell, the answer is "unknown", never a guess: what
//! nobody looked for is not missing, and without a register nothing is unregistered.
//! What a detection becomes over time is decided by `finding`.

mod certificate;
mod chain;
mod decision;
mod device;
mod file;
mod matching;
mod network;
mod product;
mod renewal;
mod software;
mod ssh;
mod tls;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
};

use certs::{Certificate, Thresholds};
use jiff::tz::Offset;
use model::{ScanRecord, Severity, Timestamp};

use crate::{
    approval::Decided,
    asset::{Asset, AssetId, Detection},
    chain::Chains,
    coverage::CoverageIndex,
    file::KeptFile,
    finding::FindingKey,
    register::{DeviceEntry, IssuerEntry, SoftwareEntry},
};

pub use device::LOOKS_BEFORE_MISSING;
pub use network::{Approved, Network};

/// A register rule. The certificate rules are [`certs::RULES`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rule {
    /// Stable name. Findings refer to it; never reuse one.
    pub id: &'static str,
    /// One line for people who did not write the rule.
    pub title: &'static str,
    /// Where the requirement comes from.
    pub citation: &'static str,
    /// The most that it matters.
    pub severity: Severity,
}

/// Every register rule, in the order in which reports list them.
pub const RULES: &[Rule] = &[
    device::UNREGISTERED,
    device::REJECTED,
    device::EXPIRED,
    device::RETIRED_SEEN,
    device::MISSING,
    device::CONFLICTING,
    device::IDENTITY_UNCERTAIN,
    software::FORBIDDEN,
    software::UNREGISTERED,
    software::VERSION_NOT_APPROVED,
    software::SUPPORT_ENDED,
    software::REQUIRED_MISSING,
    certificate::UNAPPROVED_ISSUER,
    renewal::NOT_EVERYWHERE,
    renewal::KEY_REUSED,
    renewal::ISSUER_CHANGED,
    chain::MISSING_INTERMEDIATE,
    chain::EXPIRED_ISSUER,
    chain::UNKNOWN_ISSUER,
    chain::SELF_SIGNED,
    chain::NAME_MISMATCH,
    chain::BAD_SIGNATURE,
    chain::REVOKED,
    chain::REFUSED,
    chain::LIST_OUTDATED,
    chain::LIST_FORGED,
    file::READABLE_KEY,
    ssh::EXPIRED,
    ssh::EXPIRING,
    tls::RULES[0].rule,
    tls::RULES[1].rule,
    tls::RULES[2].rule,
    tls::RULES[3].rule,
    tls::RULES[4].rule,
    tls::RULES[5].rule,
    tls::RULES[6].rule,
    tls::RULES[7].rule,
    tls::RULES[8].rule,
    tls::RULES[9].rule,
    tls::RULES[10].rule,
    tls::RULES[11].rule,
    network::RULES[0],
    network::RULES[1],
    network::RULES[2],
    network::RULES[3],
    network::RULES[4],
];

/// What an asset or an entry is in the light of the device register.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Registration {
    /// On the network and approved.
    Registered,
    /// On the network and in no valid entry.
    Unregistered,
    /// On the network and refused.
    Rejected,
    /// On the network after its approval ended.
    Expired,
    /// On the network although it was taken out of service.
    RetiredButSeen,
    /// Approved, looked for often enough where it should be, and not there.
    Missing,
    /// Nobody can tell: no register, or nobody looked.
    Unknown,
    /// Its identifiers belong to different entries, or contradict its own.
    Conflicting,
    /// It looks like an entry's device, but only changeable identifiers say so.
    IdentityUncertain,
}

impl Registration {
    /// Every state.
    pub const ALL: [Self; 9] = [
        Self::Registered,
        Self::Unregistered,
        Self::Rejected,
        Self::Expired,
        Self::RetiredButSeen,
        Self::Missing,
        Self::Unknown,
        Self::Conflicting,
        Self::IdentityUncertain,
    ];

    /// Its name in the command line, in JSON and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Unregistered => "unregistered",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::RetiredButSeen => "retired-but-seen",
            Self::Missing => "missing",
            Self::Unknown => "unknown",
            Self::Conflicting => "conflicting",
            Self::IdentityUncertain => "identity-uncertain",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

impl fmt::Display for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Everything that a comparison depends on.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The whole inventory: an asset that is not here counts as gone from it.
    pub assets: &'a [Asset],
    /// The device register, where one was imported.
    pub devices: Option<&'a [DeviceEntry]>,
    /// The software register, where one was imported.
    pub software: Option<&'a [SoftwareEntry]>,
    /// The issuer register with what was decided, where there is any of either.
    pub issuers: Option<&'a [IssuerEntry]>,
    /// What people decided, laid over the registers.
    pub decided: &'a Decided,
    /// The files with certificates and keys on the machines of the vantage points.
    pub files: &'a [KeptFile],
    /// The certificates that the assets' deployments and the files name, leaves and chains.
    pub certificates: &'a [Certificate],
    /// Whether clients would accept what is served.
    pub chains: &'a Chains,
    /// What was approved in the network.
    pub network: &'a Network,
    /// Where we looked, and when.
    pub scans: &'a [ScanRecord],
    /// What the certificate rules measure against.
    pub thresholds: Thresholds,
    /// How far the registers' days are from UTC.
    pub offset: Offset,
    /// The moment for which the answer holds.
    pub as_of: Timestamp,
}

/// What a comparison concluded.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Comparison {
    /// The state of each asset, in the order of the input.
    pub assets: Vec<AssetState>,
    /// The state of each entry of the device register, in its order.
    pub entries: Vec<EntryState>,
    /// What is wrong: one detection for each rule and subject, in that order.
    pub detections: Vec<Detection>,
    /// Where each asset stands in `assets`.
    places: HashMap<AssetId, usize>,
    /// The rules that were run.
    evaluated: BTreeSet<&'static str>,
    /// What the rules that were run could not tell.
    undecided: BTreeSet<FindingKey>,
}

/// An asset in the light of the device register.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AssetState {
    /// The asset.
    pub asset: AssetId,
    /// What it is.
    pub state: Registration,
    /// The index of the entry that it was matched to, if exactly one.
    pub entry: Option<usize>,
    /// Why, with the identifiers that led there.
    pub reason: String,
}

/// An entry of the device register in the light of the inventory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EntryState {
    /// Its index in the register.
    pub entry: usize,
    /// What it is: as its asset where it has one, else missing or unknown.
    pub state: Registration,
    /// The assets that were matched to it.
    pub assets: Vec<AssetId>,
    /// Why.
    pub reason: String,
}

impl Comparison {
    /// The state of that asset.
    #[must_use]
    pub fn asset(&self, id: AssetId) -> Option<&AssetState> {
        self.places.get(&id).and_then(|at| self.assets.get(*at))
    }

    /// Whether the rule of that finding was run on its subject with everything that it
    /// needs, so that no detection means no problem. For [`crate::finding::reconcile`].
    #[must_use]
    pub fn checked(&self, key: &FindingKey) -> bool {
        self.evaluated.contains(key.rule.as_str()) && !self.undecided.contains(key)
    }
}

/// Detections by rule and subject. Several reasons for one finding become one detection.
#[derive(Debug, Default)]
struct Detections {
    found: BTreeMap<(&'static str, String), Detection>,
    undecided: BTreeSet<FindingKey>,
}

impl Detections {
    fn add(&mut self, detection: Detection) {
        let key = (detection.rule, detection.subject.clone());
        let Some(known) = self.found.get_mut(&key) else {
            self.found.insert(key, detection);
            return;
        };
        if !known.detail.contains(&detection.detail) {
            known.detail = format!("{}; {}", known.detail, detection.detail);
        }
        if detection.severity > known.severity {
            known.severity = detection.severity;
            known.title = detection.title;
        }
    }

    fn cannot_tell(&mut self, rule: &'static str, subject: String) {
        self.undecided.insert(FindingKey { rule: rule.to_owned(), subject });
    }
}

/// Compares the inventory with the registers, and runs the certificate rules.
#[must_use]
pub fn compare(input: &Input<'_>) -> Comparison {
    let coverage = CoverageIndex::new(input.scans);
    let mut detections = Detections::default();
    let mut comparison = Comparison::default();
    match input.devices {
        devices if devices.is_some() || input.decided.about.devices => {
            let devices = devices.unwrap_or_default();
            device::compare(input, devices, &coverage, &mut detections, &mut comparison);
        }
        _ => {
            let unknown = |asset: &Asset| AssetState {
                asset: asset.id,
                state: Registration::Unknown,
                entry: None,
                reason: "no device register was imported".to_owned(),
            };
            comparison.assets = input.assets.iter().map(unknown).collect();
        }
    }
    let assets = comparison.assets.iter().enumerate();
    comparison.places = assets.map(|(at, state)| (state.asset, at)).collect();
    if input.software.is_some() || input.decided.about.software {
        let entries = input.software.unwrap_or_default();
        let states = &comparison.assets;
        let evaluated = &mut comparison.evaluated;
        software::compare(input, entries, states, &coverage, &mut detections);
        evaluated.extend(software::RULES.iter().map(|rule| rule.id));
    }
    let states = &comparison.assets;
    certificate::compare(input, states, &mut detections, &mut comparison.evaluated);
    file::compare(input, &mut detections, &mut comparison.evaluated);
    ssh::compare(input, &mut detections, &mut comparison.evaluated);
    tls::compare(input, &mut detections, &mut comparison.evaluated);
    network::compare(input, &mut detections, &mut comparison.evaluated);
    // What one part of the input could not tell, another may have told.
    comparison.undecided = detections.undecided;
    for detection in detections.found.values() {
        comparison.undecided.remove(&FindingKey::of(detection));
    }
    comparison.detections = detections.found.into_values().collect();
    comparison
}

/// How people recognise an asset: its first name, address or MAC, else its number.
fn name_of(asset: &Asset) -> String {
    let name = asset.names.first().map(|name| name.name.clone());
    match (name, asset.addresses().next(), asset.macs().next()) {
        (Some(name), Some(address), _) => format!("{name} ({address})"),
        (Some(name), None, _) => name,
        (None, Some(address), _) => address.to_string(),
        (None, None, Some(mac)) => mac.to_string(),
        (None, None, None) => format!("asset {}", asset.id),
    }
}

/// The subject of findings about an asset as a whole.
fn subject_of(asset: AssetId) -> String {
    format!("asset:{asset}")
}

#[cfg(test)]
mod tests;
