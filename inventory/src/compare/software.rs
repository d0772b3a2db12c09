//! Software on assets against the software register.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
};

use model::{Cpe, Endpoint, MacAddr, PortState, Severity, Transport};

use super::{
    AssetState, Detections, Input, Registration, Rule, name_of, product::ProductIndex, subject_of,
};
use crate::{
    approval::{DecidedSoftware, Verdict},
    asset::{Asset, Detection},
    coverage::{CoverageIndex, Ranges},
    project::{is_operating_system, is_told_by},
    register::{
        Day, DeviceEntry, Entry, Scope, ScopeItem, SoftwareEntry, SoftwareStatus, fold, plain,
    },
    version::Version,
};

/// How long before the end of support somebody is told, in seconds: a quarter, the time
/// that a replacement takes.
const SUPPORT_NOTICE: i64 = 90 * 86_400;

pub(super) const FORBIDDEN: Rule = Rule {
    id: "software.forbidden",
    title: "Forbidden software",
    citation: "CIS Controls v8, 2.3; ISO/IEC 27001:2022, A.8.19",
    severity: Severity::Critical,
};

pub(super) const UNREGISTERED: Rule = Rule {
    id: "software.unregistered",
    title: "Unregistered software",
    citation: "CIS Controls v8, 2.1 and 2.3; ISO/IEC 27001:2022, A.5.9",
    severity: Severity::Warning,
};

pub(super) const VERSION_NOT_APPROVED: Rule = Rule {
    id: "software.version-not-approved",
    title: "Software in a version that is not approved",
    citation: "CIS Controls v8, 2.3; ISO/IEC 27001:2022, A.8.9",
    severity: Severity::Warning,
};

pub(super) const SUPPORT_ENDED: Rule = Rule {
    id: "software.support-ended",
    title: "Software without support",
    citation: "CIS Controls v8, 2.2; ISO/IEC 27001:2022, A.8.8",
    severity: Severity::Warning,
};

pub(super) const REQUIRED_MISSING: Rule = Rule {
    id: "software.required-missing",
    title: "Required software is missing",
    citation: "CIS Controls v8, 2.1; ISO/IEC 27001:2022, A.8.9",
    severity: Severity::Warning,
};

pub(super) const RULES: [Rule; 5] =
    [FORBIDDEN, UNREGISTERED, VERSION_NOT_APPROVED, SUPPORT_ENDED, REQUIRED_MISSING];

/// A product on an asset, whoever told of it.
struct Seen<'a> {
    product: &'a str,
    version: Option<&'a str>,
    cpe: Option<&'a Cpe>,
    source: &'a str,
    /// The entries about the product, for any asset and version.
    entries: Vec<usize>,
    /// An operating system is judged where the register knows it; a register of software
    /// need not list it.
    is_os: bool,
}

/// What an entry's scope is asked about an asset.
struct Place<'a> {
    asset: &'a Asset,
    macs: Vec<MacAddr>,
    /// In plain form: host names, the register's reference and name.
    names: BTreeSet<String>,
}

pub(super) fn compare(
    input: &Input<'_>,
    entries: &[SoftwareEntry],
    states: &[AssetState],
    coverage: &CoverageIndex,
    detections: &mut Detections,
) {
    let index = ProductIndex::new(entries);
    let decided = Rulings::new(&input.decided.software);
    let scopes: Vec<ScopeSet> = entries.iter().map(|entry| ScopeSet::new(&entry.scope)).collect();
    let places: Vec<Place<'_>> = input
        .assets
        .iter()
        .zip(states)
        .map(|(asset, state)| Place::new(asset, state.entry.and_then(|at| input.devices?.get(at))))
        .collect();
    // For each asset the entries of its products.
    let mut present: Vec<BTreeSet<usize>> = Vec::with_capacity(places.len());
    for place in &places {
        let mut here = BTreeSet::new();
        for seen in seen_on(place.asset, &index) {
            let about = |at: &&usize| scopes.get(**at).is_some_and(|scope| scope.includes(place));
            let list: Vec<&SoftwareEntry> =
                seen.entries.iter().filter(about).filter_map(|at| entries.get(*at)).collect();
            judge(input, place.asset, &seen, &list, decided.about(place, &seen), detections);
            here.extend(seen.entries);
        }
        present.push(here);
    }
    let members = Members::new(&places);
    let required = Required::new(entries, &index, input.assets);
    for (at, entry) in &required.entries {
        for place in members.of(&entry.scope) {
            let (Some(asset), Some(state)) = (input.assets.get(place), states.get(place)) else {
                continue;
            };
            if present.get(place).is_some_and(|here| here.contains(at)) {
                continue;
            }
            let subject = subject(asset, &entry.product);
            match required.looked_for(*at, asset, state, coverage) {
                Some(endpoints) => detections.add(Detection {
                    rule: REQUIRED_MISSING.id,
                    severity: REQUIRED_MISSING.severity,
                    subject,
                    asset: Some(asset.id),
                    title: title(REQUIRED_MISSING.title, &entry.product, asset),
                    detail: format!("nothing of it at {endpoints}, where it answers elsewhere"),
                }),
                None => detections.cannot_tell(REQUIRED_MISSING.id, subject),
            }
        }
    }
}

/// The products that are on the asset now. A port that answers that it is closed shows no
/// product any more; one that stays silent may.
fn seen_on<'a>(asset: &'a Asset, index: &ProductIndex) -> Vec<Seen<'a>> {
    let closed: Vec<_> =
        asset.services.iter().filter(|service| service.state == PortState::Closed).collect();
    let software = asset.software.iter().filter(|software| {
        software.current && !closed.iter().any(|service| is_told_by(&software.source, service))
    });
    let mut list: Vec<Seen<'a>> = software
        .map(|software| Seen {
            product: &software.product,
            version: software.version.as_deref(),
            cpe: software.cpe.as_ref(),
            source: &software.source,
            entries: index.entries(&software.product, software.cpe.as_ref()),
            is_os: is_operating_system(&software.source),
        })
        .collect();
    // Usually among the software, with its source.
    let os = asset.os.as_ref().filter(|os| list.iter().all(|seen| seen.product != os.name));
    list.extend(os.map(|os| Seen {
        product: &os.name,
        version: os.version.as_deref(),
        cpe: os.cpe.as_ref(),
        source: "its own word",
        entries: index.entries(&os.name, os.cpe.as_ref()),
        is_os: true,
    }));
    list
}

/// Judges one product on one asset by the entries that are about both.
///
/// A version that is not known meets only the rule "any": it never breaks a narrower one,
/// and never proves that a finding about one is over.
fn judge(
    input: &Input<'_>,
    asset: &Asset,
    seen: &Seen<'_>,
    entries: &[&SoftwareEntry],
    decided: Option<&DecidedSoftware>,
    detections: &mut Detections,
) {
    let version = seen.version.map(Version::new);
    let what = match seen.version {
        Some(version) => format!("{} {version}", seen.product),
        None => seen.product.to_owned(),
    };
    let subject = subject(asset, seen.product);
    let mut detect = |rule: Rule, severity: Severity, detail: String| {
        detections.add(Detection {
            rule: rule.id,
            severity,
            subject: subject.clone(),
            asset: Some(asset.id),
            title: title(rule.title, &what, asset),
            detail: format!("{detail}; seen by {}", seen.source),
        });
    };
    // Some(true): about this version. None: nobody can tell.
    let meets = |entry: &SoftwareEntry| match &version {
        _ if entry.version.is_any() => Some(true),
        Some(version) => Some(entry.version.matches(version)),
        None => None,
    };
    // What somebody decided goes before what the register says.
    let investigated = match decided {
        Some(DecidedSoftware { verdict: Verdict::Rejected | Verdict::Retired, reason, .. }) => {
            return detect(FORBIDDEN, FORBIDDEN.severity, reason.clone());
        }
        Some(DecidedSoftware { verdict: Verdict::Approved, exception: true, .. }) => return,
        Some(DecidedSoftware { verdict: Verdict::Approved, .. }) => {
            let allowed = entries.iter().filter(|entry| meets(entry) == Some(true));
            let ends = allowed.map(|entry| entry.support_ends);
            if let Some((severity, detail)) = support(input, &what, ends) {
                detect(SUPPORT_ENDED, severity, detail);
            }
            return;
        }
        Some(DecidedSoftware { verdict: Verdict::Investigating, reason, .. }) => Some(reason),
        None => None,
    };
    // Without a list, nothing is missing from it.
    let lists = input.software.is_some() || input.decided.lists_software;
    let forbidding = |entry: &&&SoftwareEntry| entry.status == SoftwareStatus::Forbidden;
    let forbidden: Vec<_> = entries.iter().filter(forbidding).collect();
    if let Some(entry) = forbidden.iter().find(|entry| meets(entry) == Some(true)) {
        let detail = format!("the register forbids {} {}", entry.label(), entry.version);
        return detect(FORBIDDEN, FORBIDDEN.severity, detail);
    }
    let allowing: Vec<_> = entries.iter().filter(|entry| !forbidding(entry)).collect();
    let allowed: Vec<_> = allowing.iter().filter(|entry| meets(entry) == Some(true)).collect();
    let untold = |list: &[&&SoftwareEntry]| list.iter().any(|entry| meets(entry).is_none());
    if allowing.is_empty() {
        if !seen.is_os && lists {
            let detail = match seen.entries.is_empty() {
                true => format!("{what} is not in the software register"),
                false => format!("no entry approves {what} for this asset"),
            };
            match investigated {
                Some(who) => detect(UNREGISTERED, Severity::Info, format!("{detail}; {who}")),
                None => detect(UNREGISTERED, UNREGISTERED.severity, detail),
            }
        }
    } else if allowed.is_empty() && !untold(&allowing) {
        let rules: Vec<String> = allowing.iter().map(|entry| entry.version.to_string()).collect();
        let detail = format!("{what} is not in {}", rules.join(" or "));
        detect(VERSION_NOT_APPROVED, VERSION_NOT_APPROVED.severity, detail);
    }
    if let Some((severity, detail)) =
        support(input, &what, allowed.iter().map(|it| it.support_ends))
    {
        detect(SUPPORT_ENDED, severity, detail);
    }
    if untold(&forbidden) {
        detections.cannot_tell(FORBIDDEN.id, subject.clone());
    }
    if allowed.is_empty() && untold(&allowing) {
        detections.cannot_tell(VERSION_NOT_APPROVED.id, subject.clone());
        detections.cannot_tell(SUPPORT_ENDED.id, subject);
    }
}

/// Whether support has ended, or soon will. Of several entries that allow the product, the one with
/// the longest support counts.
fn support(
    input: &Input<'_>,
    what: &str,
    ends: impl Iterator<Item = Option<Day>>,
) -> Option<(Severity, String)> {
    let ends: Option<Vec<Day>> = ends.collect();
    let day = ends.and_then(|days| days.into_iter().max())?;
    let end = day.ends_at(input.offset);
    if end <= input.as_of {
        return Some((SUPPORT_ENDED.severity, format!("support of {what} ended with {day}")));
    }
    let is_soon = end.plus_seconds(-SUPPORT_NOTICE) <= input.as_of;
    is_soon.then(|| (Severity::Info, format!("support of {what} ends with {day}")))
}

/// What people decided about products.
struct Rulings<'a> {
    decided: &'a [DecidedSoftware],
    index: ProductIndex,
    scopes: Vec<ScopeSet>,
}

impl<'a> Rulings<'a> {
    fn new(decided: &'a [DecidedSoftware]) -> Self {
        let entries: Vec<SoftwareEntry> = decided.iter().map(|one| one.entry.clone()).collect();
        let scopes = entries.iter().map(|entry| ScopeSet::new(&entry.scope)).collect();
        Self { decided, index: ProductIndex::new(&entries), scopes }
    }

    /// The latest decision about a product on an asset. One about a version says nothing where none
    /// was told.
    fn about(&self, place: &Place<'_>, seen: &Seen<'_>) -> Option<&'a DecidedSoftware> {
        if self.decided.is_empty() {
            return None;
        }
        let known = self.index.entries(seen.product, seen.cpe);
        let version = seen.version.map(Version::new);
        known.into_iter().find_map(|at| {
            let (decided, scope) = (self.decided.get(at)?, self.scopes.get(at)?);
            let rule = &decided.entry.version;
            let fits =
                rule.is_any() || version.as_ref().is_some_and(|version| rule.matches(version));
            (fits && scope.includes(place)).then_some(decided)
        })
    }
}

fn subject(asset: &Asset, product: &str) -> String {
    format!("{} software:{}", subject_of(asset.id), fold(product))
}

fn title(rule: &str, what: &str, asset: &Asset) -> String {
    format!("{rule}: {what} on {}", name_of(asset))
}

impl<'a> Place<'a> {
    fn new(asset: &'a Asset, device: Option<&DeviceEntry>) -> Self {
        let mut names: BTreeSet<String> = BTreeSet::new();
        for name in &asset.names {
            names.insert(plain(&name.name));
            names.extend(name.name.split_once('.').map(|(label, _)| plain(label)));
        }
        if let Some(device) = device {
            names.insert(plain(&device.reference));
            names.extend(device.name.as_deref().map(plain));
            names.extend(device.host_names.iter().map(|name| plain(name)));
        }
        Self { asset, macs: asset.macs().collect(), names }
    }
}

/// A scope, ready to be asked about one asset after the other.
struct ScopeSet {
    all: bool,
    macs: BTreeSet<MacAddr>,
    names: BTreeSet<String>,
    ranges: Ranges,
}

impl ScopeSet {
    fn new(scope: &Scope) -> Self {
        let all = *scope == Scope::All;
        let mut set =
            Self { all, macs: BTreeSet::new(), names: BTreeSet::new(), ranges: Ranges::default() };
        let mut ranges = Vec::new();
        for item in items(scope) {
            match item {
                ScopeItem::Mac(mac) => {
                    set.macs.insert(*mac);
                }
                ScopeItem::Addresses(range) => ranges.push(*range),
                ScopeItem::Name(name) => {
                    set.names.insert(plain(name));
                }
            }
        }
        set.ranges = Ranges::new(ranges);
        set
    }

    fn includes(&self, place: &Place<'_>) -> bool {
        self.all
            || place.macs.iter().any(|mac| self.macs.contains(mac))
            || place.names.iter().any(|name| self.names.contains(name))
            || place.asset.addresses().any(|address| self.ranges.contains(address))
    }
}

fn items(scope: &Scope) -> &[ScopeItem] {
    match scope {
        Scope::All => &[],
        Scope::Only(items) => items,
    }
}

/// The assets by what a scope may call them: the other way round than [`ScopeSet`], for
/// entries that are about assets which do not have the product.
struct Members {
    macs: HashMap<MacAddr, Vec<usize>>,
    names: HashMap<String, Vec<usize>>,
    addresses: BTreeMap<IpAddr, Vec<usize>>,
}

impl Members {
    fn new(places: &[Place<'_>]) -> Self {
        let mut members =
            Self { macs: HashMap::new(), names: HashMap::new(), addresses: BTreeMap::new() };
        for (at, place) in places.iter().enumerate() {
            for mac in &place.macs {
                members.macs.entry(*mac).or_default().push(at);
            }
            for name in &place.names {
                members.names.entry(name.clone()).or_default().push(at);
            }
            for address in place.asset.addresses() {
                members.addresses.entry(address).or_default().push(at);
            }
        }
        members
    }

    /// The assets that the scope lists; none where it lists none.
    fn of(&self, scope: &Scope) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        for item in items(scope) {
            match item {
                ScopeItem::Mac(mac) => found.extend(self.macs.get(mac).into_iter().flatten()),
                ScopeItem::Name(name) => {
                    found.extend(self.names.get(&plain(name)).into_iter().flatten());
                }
                ScopeItem::Addresses(range) => {
                    let inside = self.addresses.range(range.first()..=range.last());
                    found.extend(inside.flat_map(|(_, list)| list));
                }
            }
        }
        found
    }
}

/// The required products, and where the network shows them.
///
/// A product that is required and not seen is missing only where it would have been seen:
/// it is required of a list of assets, it was seen somewhere at some port (so that we know
/// it when we meet it), and the asset was asked at such a port in a scan that it answered.
/// An antivirus program that opens no port is never missing.
struct Required<'a> {
    entries: Vec<(usize, &'a SoftwareEntry)>,
    /// For each of them the ports at which it was seen.
    ports: HashMap<usize, BTreeSet<(Transport, u16)>>,
}

impl<'a> Required<'a> {
    fn new(entries: &'a [SoftwareEntry], index: &ProductIndex, assets: &[Asset]) -> Self {
        let is_listed = |entry: &SoftwareEntry| {
            entry.status == SoftwareStatus::Required && entry.scope != Scope::All
        };
        let list: Vec<_> = entries.iter().enumerate().filter(|(_, e)| is_listed(e)).collect();
        let mut ports: HashMap<usize, BTreeSet<(Transport, u16)>> = HashMap::new();
        if !list.is_empty() {
            let mut known: BTreeMap<(&str, Option<&str>), Vec<usize>> = BTreeMap::new();
            for service in assets.iter().flat_map(|asset| &asset.services) {
                let Some(product) = &service.product else { continue };
                let key = (product.as_str(), service.cpe.as_ref().map(|cpe| cpe.0.as_str()));
                let found = known
                    .entry(key)
                    .or_insert_with(|| index.entries(product, service.cpe.as_ref()));
                for at in found.iter().filter(|at| entries.get(**at).is_some_and(is_listed)) {
                    ports.entry(*at).or_default().insert((service.transport, service.port));
                }
            }
        }
        Self { entries: list, ports }
    }

    /// Where the asset was asked for the product and answered that it is not there, or
    /// `None` where nobody can tell.
    fn looked_for(
        &self,
        at: usize,
        asset: &Asset,
        state: &AssetState,
        coverage: &CoverageIndex,
    ) -> Option<String> {
        // One that is gone answers nothing; of one that may be another, nothing follows.
        if matches!(state.state, Registration::Missing | Registration::Conflicting) {
            return None;
        }
        let ports = self.ports.get(&at)?;
        let mut asked: Vec<String> = Vec::new();
        for address in asset.addresses() {
            for (transport, port) in ports {
                let endpoint = Endpoint { address, transport: *transport, port: *port };
                let service = asset.services.iter().find(|service| {
                    (service.address, service.transport, service.port)
                        == (address, *transport, *port)
                });
                // Silence, and an open port whose product is not known, prove nothing.
                let told = service.is_none_or(|service| match service.state {
                    PortState::Closed => true,
                    PortState::Open => service.product.is_some(),
                    PortState::Filtered | PortState::OpenFiltered => false,
                });
                let mut scans = coverage.asked(&asset.site, endpoint, model::Timestamp(i64::MIN));
                let answered = scans.next().is_some_and(|started| started <= asset.last_seen);
                match answered && told {
                    true => asked.push(endpoint.to_string()),
                    false => return None,
                }
            }
        }
        (!asked.is_empty()).then(|| asked.join(", "))
    }
}
