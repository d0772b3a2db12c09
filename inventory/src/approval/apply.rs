//! What decisions come to at a moment, for the inventory as it is.

use std::collections::{HashMap, HashSet};

use jiff::tz::Offset;
use model::{Identifier, ScanRecord, Site, Strength, Timestamp};

use super::{
    Decision, DecisionId, EndReason, Ended, Matter, Second, Standing, Verdict, is_same_issuer,
};
use crate::{
    asset::{Asset, AssetId},
    register::{DeviceStatus, IssuerEntry, RegisterKind, SoftwareEntry},
};

const DAY: i64 = 86_400;

/// What the decisions come to.
#[derive(Clone, Debug, Default)]
pub struct Decided {
    devices: HashMap<AssetId, DecidedDevice>,
    investigated: HashMap<AssetId, String>,
    /// About products, the latest first.
    pub software: Vec<DecidedSoftware>,
    /// Authorities that were approved.
    pub approved_issuers: Vec<IssuerEntry>,
    /// Authorities that were rejected or retired.
    pub rejected_issuers: Vec<IssuerEntry>,
    /// Authorities about which somebody is finding out, with who says so.
    pub investigated_issuers: Vec<(IssuerEntry, String)>,
    /// Whether devices were approved by hand, so that there is a list even without an import.
    pub lists_devices: bool,
    /// Whether products were.
    pub lists_software: bool,
    /// Whether anything was ever decided about devices, products and issuers: what a decision raised
    /// is over when it is taken back, register or not.
    pub about: About,
    /// Approvals whose devices were not seen for too long just now.
    pub idle: Vec<DecisionId>,
}

/// Of what there are decisions, whatever became of them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct About {
    /// Devices.
    pub devices: bool,
    /// Products.
    pub software: bool,
    /// Issuers.
    pub issuers: bool,
}

/// What a decision says of an asset.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DecidedDevice {
    /// What was decided.
    pub status: DeviceStatus,
    /// False for an approval that is over: then the register speaks first.
    pub holds: bool,
    /// The end of what is over.
    pub ended_at: Option<Timestamp>,
    /// Who decided it when and why, and by what the asset is known to be the one.
    pub reason: String,
    decision: DecisionId,
}

/// What a decision says of a product.
#[derive(Clone, Debug)]
pub struct DecidedSoftware {
    /// The product, its versions, and the assets that it is about.
    pub entry: SoftwareEntry,
    /// What was decided.
    pub verdict: Verdict,
    /// Whether it may be there without its maker's support as well.
    pub exception: bool,
    /// Who decided it when and why.
    pub reason: String,
}

impl Decided {
    /// What was decided about that asset.
    #[must_use]
    pub fn device(&self, asset: AssetId) -> Option<&DecidedDevice> {
        self.devices.get(&asset)
    }

    /// Who is finding out about that asset.
    #[must_use]
    pub fn investigated(&self, asset: AssetId) -> Option<&str> {
        self.investigated.get(&asset).map(String::as_str)
    }

    /// The issuer register with what was decided; `None` where there is none, and nothing approved.
    #[must_use]
    pub fn issuers(&self, register: Option<Vec<IssuerEntry>>) -> Option<Vec<IssuerEntry>> {
        if register.is_none() && self.approved_issuers.is_empty() {
            return None;
        }
        let is_rejected = |entry: &IssuerEntry| {
            self.rejected_issuers.iter().any(|rejected| is_same_issuer(rejected, entry))
        };
        let mut entries = register.unwrap_or_default();
        entries.retain(|entry| !is_rejected(entry));
        entries.extend(self.approved_issuers.iter().cloned());
        Some(entries)
    }
}

/// What the decisions come to at a moment. The scans say until when anybody looked.
#[must_use]
pub fn apply(
    decisions: &[Decision],
    assets: &[Asset],
    scans: &[ScanRecord],
    offset: Offset,
    as_of: Timestamp,
) -> Decided {
    let mut decided = Decided::default();
    let holders = Holders::new(decisions, assets);
    let looked = last_looks(scans, as_of);
    for decision in decisions {
        match decision.matter.kind() {
            RegisterKind::Device => decided.about.devices = true,
            RegisterKind::Software => decided.about.software = true,
            RegisterKind::Issuer => decided.about.issuers = true,
        }
        let standing = decision.standing(as_of, offset);
        if matches!(standing, Standing::Pending | Standing::Ended)
            || decision.second == Second::Awaited
        {
            continue;
        }
        let approves = decision.verdict == Verdict::Approved;
        let holds = standing == Standing::Holds;
        match &decision.matter {
            Matter::Asset { site, .. } => {
                decided.lists_devices |= approves;
                let looked = looked.get(site).copied();
                decided.add_device(decision, &holders.of(decision), holds, offset, looked);
            }
            Matter::Software(entry) => {
                decided.lists_software |= approves;
                if holds {
                    decided.software.push(DecidedSoftware {
                        entry: entry.clone(),
                        verdict: decision.verdict,
                        exception: decision.terms.exception,
                        reason: decision.text(),
                    });
                }
            }
            Matter::Issuer(entry) if holds => match decision.verdict {
                Verdict::Approved => decided.approved_issuers.push(entry.clone()),
                Verdict::Rejected | Verdict::Retired => {
                    decided.rejected_issuers.push(entry.clone());
                }
                Verdict::Investigating => {
                    decided.investigated_issuers.push((entry.clone(), decision.text()));
                }
            },
            Matter::Issuer(_) => {}
        }
    }
    decided.software.reverse();
    decided
}

impl Decided {
    fn add_device(
        &mut self,
        decision: &Decision,
        held: &[(&Asset, &Identifier)],
        holds: bool,
        offset: Offset,
        looked: Option<Timestamp>,
    ) {
        let last_seen = held.iter().map(|(asset, _)| asset.last_seen).max();
        let since = last_seen.unwrap_or(decision.at).max(decision.at);
        let idle = decision.terms.idle_days.map(|days| i64::from(days).saturating_mul(DAY));
        // Who did not look saw nothing, and that says nothing.
        let silence = looked.map(|looked| looked.seconds_since(since));
        let is_idle = holds && idle.zip(silence).is_some_and(|(idle, silence)| silence > idle);
        if is_idle {
            self.idle.push(decision.id);
        }
        let holds = holds && !is_idle;
        let status = match decision.verdict {
            Verdict::Approved => DeviceStatus::Approved,
            Verdict::Rejected if holds => DeviceStatus::Rejected,
            Verdict::Retired if holds => DeviceStatus::Retired,
            Verdict::Investigating if holds => {
                let notes = held.iter().map(|(asset, _)| (asset.id, decision.text()));
                self.investigated.extend(notes);
                return;
            }
            _ => return,
        };
        let ended_at = match (&decision.ended, decision.terms.until) {
            (Some(Ended { at, because: EndReason::Idle, .. }), _) => Some(*at),
            (None, _) if is_idle => Some(since.plus_seconds(idle.unwrap_or_default())),
            (_, Some(day)) if !holds => Some(day.ends_at(offset)),
            _ => None,
        };
        for (asset, identifier) in held {
            let weak = match identifier {
                Identifier::Address(_) => " (weak)",
                Identifier::Mac(mac) if mac.is_locally_administered() => " (weak)",
                _ => "",
            };
            let new = DecidedDevice {
                status,
                holds,
                ended_at,
                reason: format!("{}; known by {identifier}{weak}", decision.text()),
                decision: decision.id,
            };
            // What holds goes before what is over, the later before the earlier.
            let rank = |one: &DecidedDevice| (one.holds, one.decision);
            match self.devices.get(&asset.id) {
                Some(known) if rank(known) > rank(&new) => {}
                _ => {
                    self.devices.insert(asset.id, new);
                }
            }
        }
    }
}

/// When the last scan of each site ended that did all it was to do.
fn last_looks(scans: &[ScanRecord], as_of: Timestamp) -> HashMap<&Site, Timestamp> {
    let mut looked: HashMap<&Site, Timestamp> = HashMap::new();
    for scan in scans.iter().filter(|scan| scan.complete && !scan.coverage.is_empty()) {
        let Some(end) = scan.ended_at else { continue };
        let last = looked.entry(&scan.vantage.site).or_insert(Timestamp(i64::MIN));
        *last = end.min(as_of).max(*last);
    }
    looked
}

/// Which assets have the identifiers that decisions name.
struct Holders<'a>(HashMap<&'a Identifier, Vec<(&'a Asset, Strength)>>);

impl<'a> Holders<'a> {
    fn new(decisions: &'a [Decision], assets: &'a [Asset]) -> Self {
        let mut wanted: HashSet<&Identifier> = HashSet::new();
        for decision in decisions {
            if let Matter::Asset { identifiers, .. } = &decision.matter {
                wanted.extend(identifiers);
            }
        }
        let mut holders: HashMap<&Identifier, Vec<(&Asset, Strength)>> = HashMap::new();
        for asset in assets {
            for one in asset.identifiers.iter().filter(|one| one.current) {
                if wanted.contains(&one.identifier) {
                    holders.entry(&one.identifier).or_default().push((asset, one.strength));
                }
            }
        }
        Self(holders)
    }

    /// The assets that a decision is about, each with what says so.
    ///
    /// What others can have as well, by chance or on purpose, says so only where nobody else has it,
    /// or of the asset of which it was decided; and never of one whose own MAC is another than those
    /// that the decision names.
    fn of(&self, decision: &'a Decision) -> Vec<(&'a Asset, &'a Identifier)> {
        let Matter::Asset { asset: first, site, identifiers, .. } = &decision.matter else {
            return Vec::new();
        };
        let factory = |one: &&Identifier| matches!(one, Identifier::Mac(mac) if !mac.is_locally_administered());
        let macs: Vec<&Identifier> = identifiers.iter().filter(factory).collect();
        let is_stranger = |asset: &Asset| {
            let current = asset.identifiers.iter().filter(|one| one.current);
            let own: Vec<&Identifier> =
                current.map(|one| &one.identifier).filter(factory).collect();
            !macs.is_empty() && !own.is_empty() && !own.iter().any(|mac| macs.contains(mac))
        };
        let mut found: Vec<(&Asset, &Identifier)> = Vec::new();
        for identifier in identifiers {
            let local = matches!(identifier, Identifier::Address(_) | Identifier::HostName(_));
            let all = self.0.get(identifier).map(Vec::as_slice).unwrap_or_default();
            let here: Vec<_> = all.iter().filter(|(a, _)| !local || a.site == *site).collect();
            for (asset, strength) in &here {
                let sure = match identifier {
                    _ if local => false,
                    Identifier::Mac(mac) => {
                        !mac.is_locally_administered() && !mac.is_virtual_router()
                    }
                    Identifier::SshHostKey(_) => *strength >= Strength::Moderate,
                    _ => *strength == Strength::Strong,
                };
                let only = here.len() == 1 || asset.id == *first;
                if (sure || only && !is_stranger(asset))
                    && !found.iter().any(|(known, _)| known.id == asset.id)
                {
                    found.push((asset, identifier));
                }
            }
        }
        found
    }
}
