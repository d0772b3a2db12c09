//! Assets against the device register.
//!
//! Identifiers are asked in the order of their strength: MACs, then the numbers that a
//! machine reports about itself and its host names, then addresses, then ranges. The first
//! that an entry lists decides; what the weaker ones say must not contradict it.

use model::{MacAddr, NameSource, Severity, Timestamp};

use super::{
    AssetState, Comparison, Detections, EntryState, Input, Registration, Rule, decision,
    matching::{DeviceIndex, Entries},
    name_of, subject_of,
};
use crate::{
    asset::{Asset, Detection},
    coverage::CoverageIndex,
    register::{DeviceEntry, DeviceStatus},
};

/// An asset counts as gone, and an entry as missing, after this many looks in vain. Fewer
/// would call every notebook missing that was asleep once or twice.
pub const LOOKS_BEFORE_MISSING: usize = 3;

pub(super) const UNREGISTERED: Rule = Rule {
    id: "device.unregistered",
    title: "Unregistered device",
    citation: "CIS Controls v8, 1.2; ISO/IEC 27001:2022, A.5.9",
    severity: Severity::Warning,
};

pub(super) const REJECTED: Rule = Rule {
    id: "device.rejected",
    title: "Rejected device on the network",
    citation: "CIS Controls v8, 1.2",
    severity: Severity::Critical,
};

pub(super) const EXPIRED: Rule = Rule {
    id: "device.expired",
    title: "Device's approval has ended",
    citation: "CIS Controls v8, 1.1 and 1.2",
    severity: Severity::Warning,
};

pub(super) const RETIRED_SEEN: Rule = Rule {
    id: "device.retired-seen",
    title: "Retired device on the network",
    citation: "CIS Controls v8, 1.1; ISO/IEC 27001:2022, A.7.14",
    severity: Severity::Warning,
};

pub(super) const MISSING: Rule = Rule {
    id: "device.missing",
    title: "Registered device is missing",
    citation: "CIS Controls v8, 1.1; ISO/IEC 27001:2022, A.5.9 and A.5.11",
    severity: Severity::Warning,
};

pub(super) const CONFLICTING: Rule = Rule {
    id: "device.conflicting",
    title: "Device contradicts the register",
    citation: "CIS Controls v8, 1.1; ISO/IEC 27001:2022, A.5.9",
    severity: Severity::Critical,
};

pub(super) const IDENTITY_UNCERTAIN: Rule = Rule {
    id: "device.identity-uncertain",
    title: "Registered device cannot be told for certain",
    citation: "CIS Controls v8, 1.1",
    severity: Severity::Info,
};

const ALL: [Rule; 7] =
    [UNREGISTERED, REJECTED, EXPIRED, RETIRED_SEEN, MISSING, CONFLICTING, IDENTITY_UNCERTAIN];

/// What the identifiers of an asset say, before anybody asks for the entry's status.
enum Match {
    /// No entry. The reason says what came close.
    None(String),
    /// One entry, and how sure that is.
    One { entry: usize, certain: bool, reason: String },
    /// Several entries, or one that contradicts the asset.
    Conflict { entries: Entries, reason: String },
}

pub(super) fn compare(
    input: &Input<'_>,
    entries: &[DeviceEntry],
    coverage: &CoverageIndex,
    detections: &mut Detections,
    comparison: &mut Comparison,
) {
    let index = DeviceIndex::new(entries);
    // For each entry its assets, and whether each of them is gone.
    let mut found: Vec<Vec<(usize, bool)>> = vec![Vec::new(); entries.len()];
    for (at, asset) in input.assets.iter().enumerate() {
        let gone = is_gone(asset, coverage);
        let matched = match input.devices {
            Some(_) => match_asset(asset, entries, &index),
            None => Match::None("no device register was imported".to_owned()),
        };
        // A conflict leaves open which of its entries it is, but not that they are about it.
        let about: Vec<usize> = match &matched {
            Match::None(_) => Vec::new(),
            Match::One { entry, .. } => vec![*entry],
            Match::Conflict { entries, .. } => entries.iter().copied().collect(),
        };
        for entry in about {
            if let Some(list) = found.get_mut(entry) {
                list.push((at, gone));
            }
        }
        let decided = input.decided.device(asset.id);
        // An approval that is over still says whose approval it was, where no entry says more.
        let decided = decided.filter(|it| it.holds || matches!(matched, Match::None(_)));
        let state = match (decided, &matched) {
            // The register still knows whose it is.
            (Some(decided), Match::One { entry, .. }) => {
                decision::judge(input, asset, decided, Some(*entry), gone, detections)
            }
            (Some(decided), _) => decision::judge(input, asset, decided, None, gone, detections),
            (None, _) => judge(input, asset, entries, matched, gone, detections),
        };
        comparison.assets.push(state);
    }
    for (at, (entry, assets)) in entries.iter().zip(found).enumerate() {
        let state = judge_entry(input, at, entry, &assets, coverage, comparison, detections);
        comparison.entries.push(state);
    }
    comparison.evaluated.extend(ALL.iter().map(|rule| rule.id));
}

/// Whether the asset was looked for at each of its addresses, often enough, in ways that
/// it is known to answer, since it was last seen.
fn is_gone(asset: &Asset, coverage: &CoverageIndex) -> bool {
    let mut addresses = asset.addresses().peekable();
    let answers = Some(asset.alive_by.as_slice());
    addresses.peek().is_some()
        && addresses.all(|address| {
            let looks = coverage.looks(&asset.site, address, asset.last_seen, answers);
            looks.take(LOOKS_BEFORE_MISSING).count() == LOOKS_BEFORE_MISSING
        })
}

fn match_asset(asset: &Asset, entries: &[DeviceEntry], index: &DeviceIndex) -> Match {
    let references = |list: &Entries| {
        let named: Vec<&str> =
            list.iter().filter_map(|at| entries.get(*at)).map(|e| e.reference.as_str()).collect();
        named.join(" and ")
    };
    let macs = index.macs(asset);
    let by_mac: Entries = macs.iter().flat_map(|hit| &hit.entries).copied().collect();
    if by_mac.len() > 1 {
        let list: Vec<String> = macs.iter().map(|hit| hit.value.to_string()).collect();
        let reason = format!("its MAC {} belongs to {}", list.join(", "), references(&by_mac));
        return Match::Conflict { entries: by_mac, reason };
    }
    if let (Some(entry), Some(hit)) = (by_mac.first(), macs.first()) {
        let mac = hit.value;
        let reason = match mac.is_locally_administered() {
            true => format!("MAC {mac}, which software chose and may change (weak)"),
            false => format!("MAC {mac}"),
        };
        return agreed(asset, entries, index, *entry, true, reason);
    }

    let ids = index.machine_ids(asset);
    let by_id: Entries = ids.iter().flat_map(|hit| &hit.entries).copied().collect();
    if by_id.len() > 1 {
        let reason = format!("its serial numbers belong to {}", references(&by_id));
        return Match::Conflict { entries: by_id, reason };
    }
    if let (Some(entry), Some(hit)) = (by_id.first(), ids.first()) {
        let reason = format!("serial number {}", hit.value);
        return agreed(asset, entries, index, *entry, true, reason);
    }

    // A MAC that a device was made with is not the entry's: then a name or an address that
    // is may be borrowed.
    let foreign: Option<MacAddr> =
        asset.macs().find(|mac| !mac.is_locally_administered() && !mac.is_virtual_router());
    let lists_macs = |at: &usize| entries.get(*at).is_some_and(|entry| !entry.macs.is_empty());
    let mut names = index.names(asset);
    names.sort_by_key(|hit| hit.value.1 == NameSource::Dns);
    let by_name: Entries = names.iter().flat_map(|hit| &hit.entries).copied().collect();
    if by_name.len() > 1 {
        let reason = format!("its host names belong to {}", references(&by_name));
        return Match::Conflict { entries: by_name, reason };
    }
    if let (Some(entry), Some(hit)) = (by_name.first(), names.first()) {
        let (name, source) = &hit.value;
        if let Some(mac) = foreign.filter(|_| lists_macs(entry)) {
            let reason = format!(
                "its host name {name} belongs to {}, whose MAC is another than {mac}",
                references(&by_name)
            );
            // A name server's entry may be older than the device; the device's own word is not.
            return match source {
                NameSource::Dns => Match::None(reason),
                _ => Match::Conflict { entries: by_name, reason },
            };
        }
        // A name server's word alone is worth as much as the address that it is about.
        if *source == NameSource::Dns && lists_macs(entry) {
            let reason = format!(
                "host name {name}, which only the name server told: its entry lists a MAC, which \
                 was not seen"
            );
            return agreed(asset, entries, index, *entry, false, reason);
        }
        return agreed(asset, entries, index, *entry, true, format!("host name {name}"));
    }

    let addresses = index.addresses(asset);
    let by_address: Entries = addresses.iter().flat_map(|hit| &hit.entries).copied().collect();
    let shown = asset.macs().find(|mac| !mac.is_virtual_router());
    if let (Some(mac), Some(hit)) = (shown, addresses.first())
        && by_address.iter().all(lists_macs)
    {
        return Match::None(format!(
            "{} belongs to {}, whose MAC is another than {mac}",
            hit.value,
            references(&by_address)
        ));
    }
    // Entries that a MAC rules out are no candidates.
    let possible: Entries =
        by_address.iter().filter(|at| shown.is_none() || !lists_macs(at)).copied().collect();
    if possible.len() > 1 {
        let reason = format!("its addresses belong to {}", references(&possible));
        return Match::Conflict { entries: possible, reason };
    }
    if let Some((entry, hit)) = possible
        .first()
        .and_then(|at| Some((*at, addresses.iter().find(|h| h.entries.contains(at))?)))
    {
        let address = hit.value;
        let names_more = entries.get(entry).is_some_and(|e| {
            !e.macs.is_empty() || !e.host_names.is_empty() && !asset.names.is_empty()
        });
        let reason = match names_more {
            true => format!(
                "address {address} only: its entry lists a MAC or host name, which was not seen"
            ),
            false => format!("address {address} only (weak)"),
        };
        return Match::One { entry, certain: !names_more, reason };
    }

    // A range approves whatever is in it, unless its entry is about one device.
    let admits = |at: usize| {
        entries.get(at).is_some_and(|entry| {
            entry.macs.is_empty() && entry.host_names.is_empty() && entry.machine_ids.is_empty()
        })
    };
    match index.range(asset, admits) {
        Some((address, range, entry)) => {
            let reason = format!("address {address} is in {range} (weak)");
            Match::One { entry, certain: true, reason }
        }
        None => Match::None("none of its identifiers is in the device register".to_owned()),
    }
}

/// One entry by a strong identifier, unless a weaker one belongs to another entry.
fn agreed(
    asset: &Asset,
    entries: &[DeviceEntry],
    index: &DeviceIndex,
    entry: usize,
    certain: bool,
    reason: String,
) -> Match {
    // The name server is not asked: its records may be older than the device's address.
    let told = index.names(asset).into_iter().filter(|hit| hit.value.1 != NameSource::Dns);
    let names = told.map(|hit| (format!("host name {}", hit.value.0), hit.entries));
    let ids = index.machine_ids(asset).into_iter();
    let ids = ids.map(|hit| (format!("serial number {}", hit.value), hit.entries));
    let addresses = index.addresses(asset).into_iter();
    let addresses = addresses.map(|hit| (format!("address {}", hit.value), hit.entries));
    let stranger = ids.chain(names).chain(addresses).find(|(_, list)| !list.contains(&entry));
    let Some((what, others)) = stranger else {
        return Match::One { entry, certain, reason };
    };
    let reference = |at: &usize| entries.get(*at).map_or("?", |entry| entry.reference.as_str());
    let other: Vec<&str> = others.iter().map(reference).collect();
    let reason =
        format!("{reason} belongs to {}, its {what} to {}", reference(&entry), other.join(" and "));
    Match::Conflict { entries: others.into_iter().chain([entry]).collect(), reason }
}

/// The state of an asset, and what is wrong with it.
fn judge(
    input: &Input<'_>,
    asset: &Asset,
    entries: &[DeviceEntry],
    matched: Match,
    gone: bool,
    detections: &mut Detections,
) -> AssetState {
    let investigated = input.decided.investigated(asset.id);
    let mut detect = |rule: Rule, severity: Severity, detail: &str| match investigated {
        // Somebody is at it: what is not allowed yet is a note meanwhile.
        Some(who) if severity < Severity::Critical => {
            tell(asset, rule, Severity::Info, &format!("{detail}; {who}"), gone, detections);
        }
        _ => tell(asset, rule, severity, detail, gone, detections),
    };
    let state = |state, entry, reason| AssetState { asset: asset.id, state, entry, reason };
    let (at, certain, reason) = match matched {
        // Without a list, nobody is missing from it.
        Match::None(reason) if input.devices.is_none() && !input.decided.lists_devices => {
            return state(Registration::Unknown, None, reason);
        }
        Match::None(mut reason) => {
            if asset.identity_uncertain {
                reason.push_str(
                    "; only changeable identifiers name it, so it may be a known device under new \
                     ones",
                );
            }
            detect(UNREGISTERED, UNREGISTERED.severity, &reason);
            return state(Registration::Unregistered, None, reason);
        }
        Match::Conflict { entries: list, reason } => {
            let mut statuses = list.iter().filter_map(|at| entries.get(*at)).map(|e| e.status);
            let severity = match statuses.any(|status| status == DeviceStatus::Rejected) {
                true => Severity::Critical,
                false => Severity::Warning,
            };
            detect(CONFLICTING, severity, &reason);
            return state(Registration::Conflicting, None, reason);
        }
        Match::One { entry, certain, reason } => (entry, certain, reason),
    };
    let Some(entry) = entries.get(at) else {
        return state(Registration::Unknown, None, reason);
    };
    let reason = format!("matches {} by {reason}", entry.reference);
    let ended = entry.valid_until.map(|day| (day, day.ends_at(input.offset)));
    let ended = ended.filter(|(_, end)| *end <= input.as_of);
    let seen_since = |end: Timestamp| asset.last_seen >= end;
    match entry.status {
        DeviceStatus::Rejected => {
            let reason = format!("{reason}, which is rejected");
            detect(REJECTED, REJECTED.severity, &reason);
            state(Registration::Rejected, Some(at), reason)
        }
        DeviceStatus::Retired if gone || ended.is_some_and(|(_, end)| !seen_since(end)) => {
            let reason = format!("{reason}, which is retired, and was not seen since");
            state(Registration::Registered, Some(at), reason)
        }
        DeviceStatus::Retired => {
            let reason = format!("{reason}, which is retired");
            detect(RETIRED_SEEN, RETIRED_SEEN.severity, &reason);
            state(Registration::RetiredButSeen, Some(at), reason)
        }
        DeviceStatus::Approved => {
            if let Some((day, end)) = ended {
                let reason = format!("{reason}, whose approval ended with {day}");
                if seen_since(end) {
                    detect(EXPIRED, EXPIRED.severity, &reason);
                }
                return state(Registration::Expired, Some(at), reason);
            }
            let starts = entry.valid_from.filter(|day| day.starts_at(input.offset) > input.as_of);
            if let Some(day) = starts {
                let reason = format!("{reason}, which is approved only from {day} on");
                detect(UNREGISTERED, UNREGISTERED.severity, &reason);
                return state(Registration::Unregistered, Some(at), reason);
            }
            if gone {
                let reason = format!("{reason}, and was looked for in vain since it was last seen");
                return state(Registration::Missing, Some(at), reason);
            }
            if !certain {
                detect(IDENTITY_UNCERTAIN, IDENTITY_UNCERTAIN.severity, &reason);
                return state(Registration::IdentityUncertain, Some(at), reason);
            }
            state(Registration::Registered, Some(at), reason)
        }
    }
}

/// Raises a detection about an asset.
pub(super) fn tell(
    asset: &Asset,
    rule: Rule,
    severity: Severity,
    detail: &str,
    gone: bool,
    detections: &mut Detections,
) {
    // What is gone needs nobody's attention here any more; it may be missing.
    if !gone {
        // When it was last seen is told by the asset: in here it would make every sweep a
        // change of the finding.
        detections.add(Detection {
            rule: rule.id,
            severity,
            subject: subject_of(asset.id),
            asset: Some(asset.id),
            title: format!("{}: {}", rule.title, name_of(asset)),
            detail: detail.to_owned(),
        });
    }
}

/// The state of an entry, and whether its device is missing.
fn judge_entry(
    input: &Input<'_>,
    at: usize,
    entry: &DeviceEntry,
    assets: &[(usize, bool)],
    coverage: &CoverageIndex,
    comparison: &Comparison,
    detections: &mut Detections,
) -> EntryState {
    let ids = assets.iter().filter_map(|(at, _)| input.assets.get(*at)).map(|a| a.id).collect();
    let result = |state, reason| EntryState { entry: at, state, assets: ids, reason };
    let subject = format!("device:{}", entry.reference);
    let present = assets.iter().find(|(_, gone)| !gone).or(assets.first());
    if let Some(state) = present.and_then(|(asset, _)| comparison.assets.get(*asset)) {
        if state.state == Registration::Missing {
            let asset = present.and_then(|(asset, _)| input.assets.get(*asset));
            let last = asset.map(|asset| format!("; last seen {}", asset.last_seen));
            let detail = format!("{}{}", state.reason, last.unwrap_or_default());
            detections.add(missing(entry, subject, asset, detail));
        }
        return result(state.state, state.reason.clone());
    }
    let unknown = |detections: &mut Detections, subject, why: &str| {
        detections.cannot_tell(MISSING.id, subject);
        why.to_owned()
    };
    let (start, end) = (
        entry.valid_from.map_or(Timestamp(i64::MIN), |day| day.starts_at(input.offset)),
        entry.valid_until.map_or(Timestamp(i64::MAX), |day| day.ends_at(input.offset)),
    );
    if entry.status != DeviceStatus::Approved || input.as_of < start || end <= input.as_of {
        return result(Registration::Unknown, "not on the network, and need not be".to_owned());
    }
    // Where it should be: at addresses that are its own. A range says only "somewhere".
    let own: Vec<_> = entry.addresses.iter().filter(|range| range.len() == 1).collect();
    if own.is_empty() || own.len() < entry.addresses.len() {
        let why = "never seen, and no address says where to look for it";
        return result(Registration::Unknown, unknown(detections, subject, why));
    }
    let looked = |address| {
        let mut sites = coverage.sites(address).peekable();
        sites.peek().is_some()
            && sites.all(|site| {
                let looks = coverage.looks(site, address, start, None);
                looks.take(LOOKS_BEFORE_MISSING).count() == LOOKS_BEFORE_MISSING
            })
    };
    if !own.iter().all(|range| looked(range.first())) {
        let why = "never seen, and not looked for often enough";
        return result(Registration::Unknown, unknown(detections, subject, why));
    }
    let addresses: Vec<String> = own.iter().map(ToString::to_string).collect();
    let reason = format!(
        "never seen, though looked for at least {LOOKS_BEFORE_MISSING} times at {}",
        addresses.join(", ")
    );
    detections.add(missing(entry, subject, None, reason.clone()));
    result(Registration::Missing, reason)
}

fn missing(
    entry: &DeviceEntry,
    subject: String,
    asset: Option<&Asset>,
    detail: String,
) -> Detection {
    let called = entry.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    Detection {
        rule: MISSING.id,
        severity: MISSING.severity,
        subject,
        asset: asset.map(|asset| asset.id),
        title: format!("{}: {}{called}", MISSING.title, entry.reference),
        detail,
    }
}
