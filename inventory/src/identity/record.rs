//! What becomes of one asset's identifiers when it is seen: added, seen again, doubted,
//! replaced.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use model::{Identifier, MachineIdKind, Strength, Timestamp};

use super::{ONE_SCAN_S, Work, assigned};
use crate::{
    asset::{Asset, Assigned},
    evidence::{Seen, is_of_an_interface},
    project::{self, Replaced},
};

/// The asset's own record of an identifier, to be changed. Its identifiers are sorted.
pub(super) fn record<'a>(
    asset: &'a mut Asset,
    identifier: &Identifier,
) -> Option<&'a mut Assigned> {
    let place = asset.identifiers.binary_search_by(|a| a.identifier.cmp(identifier)).ok()?;
    asset.identifiers.get_mut(place)
}

/// Notes that a known identifier was seen again. Only what is newer than what is known can
/// make it current.
pub(super) fn see_again(old: &mut Assigned, seen: &Seen, shared: bool, may_have: bool) {
    let newer = seen.at > old.last_seen;
    if newer && may_have && !old.current {
        old.current = true;
        old.strength = seen.strength;
    }
    if shared && old.strength > Strength::Weak {
        old.strength = Strength::Weak;
        old.because = format!("{}; shown by several machines at once", old.because);
    }
    old.first_seen = old.first_seen.min(seen.from);
    old.last_seen = old.last_seen.max(seen.at);
}

pub(super) fn first_time(seen: &Seen, shared: bool, link: Option<&Identifier>) -> Assigned {
    let mut because = seen.because.clone();
    if let Some(link) = link {
        because = format!("{because}, seen together with {link}");
    }
    if shared && seen.strength > Strength::Weak {
        because = format!("{because}; shown by several machines at once");
    }
    Assigned {
        identifier: seen.identifier.clone(),
        strength: if shared { Strength::Weak } else { seen.strength },
        first_seen: seen.from,
        last_seen: seen.at,
        current: true,
        because,
    }
}

/// Notes a link-layer address that is probably a damaged reading of the known one.
pub(super) fn doubt(
    asset: &mut Asset,
    work: &Work,
    doubtful: &Seen,
    added: &mut BTreeMap<Identifier, Assigned>,
) {
    match record(asset, &doubtful.identifier) {
        // Judged before.
        Some(old) if old.last_seen >= doubtful.at => return,
        Some(old) => old.last_seen = doubtful.at,
        None => {
            let because = format!("{}, one bit from the known one, once", doubtful.because);
            let assigned = Assigned {
                identifier: doubtful.identifier.clone(),
                strength: Strength::Weak,
                first_seen: doubtful.from,
                last_seen: doubtful.at,
                current: false,
                because,
            };
            added.insert(doubtful.identifier.clone(), assigned);
        }
    }
    let subject = work.sighting.address.map_or_else(String::new, |a| a.to_string());
    let problem = "answered with a link-layer address one bit from its own";
    project::note_anomaly(asset, &subject, "arp", problem, doubtful.at);
}

/// The link-layer addresses that new ones replace: random ones by any other, a fixed one by
/// another at the address that the asset had before.
pub(super) fn replaced_macs(
    asset: &Asset,
    works: &[&Work],
    had: &BTreeSet<IpAddr>,
) -> Vec<Identifier> {
    let here: BTreeSet<_> = works.iter().flat_map(|work| work.sighting.macs()).collect();
    let mut replaced = Vec::new();
    for work in works {
        let sighting = &work.sighting;
        let new = sighting.identifiers.iter().find_map(|seen| match seen.identifier {
            Identifier::Mac(mac) if is_of_an_interface(mac) => {
                let is_new = assigned(asset, &seen.identifier)
                    .is_none_or(|a| !a.current && a.last_seen < seen.at);
                is_new.then_some((mac, seen.at))
            }
            _ => None,
        });
        let Some((mac, at)) = new else { continue };
        let in_place = sighting.address.is_some_and(|address| had.contains(&address));
        let unseen = asset.identifiers.iter().filter(|a| match a.identifier {
            Identifier::Mac(old) => a.current && !here.contains(&old) && a.last_seen < at,
            _ => false,
        });
        let is_local = |a: &&Assigned| matches!(a.identifier, Identifier::Mac(old) if old.is_locally_administered());
        let (random, fixed): (Vec<&Assigned>, Vec<&Assigned>) = unseen.partition(is_local);
        if mac.is_locally_administered() || in_place {
            replaced.extend(random.iter().map(|a| a.identifier.clone()));
        }
        if let [one] = fixed[..]
            && in_place
            && !mac.is_locally_administered()
        {
            replaced.push(one.identifier.clone());
        }
    }
    replaced
}

/// Marks what was replaced as former.
pub(super) fn retire(asset: &mut Asset, works: &[&Work], replaced: &Replaced, macs: &[Identifier]) {
    let seen: BTreeSet<&Identifier> = works
        .iter()
        .flat_map(|work| &work.sighting.identifiers)
        .map(|seen| &seen.identifier)
        .collect();
    // By what is known in the end, and not by what this look showed: it may be learned in
    // several steps.
    let mut latest: BTreeMap<MachineIdKind, Timestamp> = BTreeMap::new();
    for old in asset.identifiers.iter().filter(|old| old.current) {
        if let Identifier::MachineId(kind, _) = old.identifier {
            let at = latest.entry(kind).or_insert(old.last_seen);
            *at = old.last_seen.max(*at);
        }
    }
    let names: BTreeSet<&str> = asset.names.iter().map(|name| name.name.as_str()).collect();
    for old in &mut asset.identifiers {
        let gone = match &old.identifier {
            Identifier::HostName(name) => !names.contains(name.as_str()),
            // A machine has one of each of these, but for those of its programs: the latest. Of
            // two that one scan shows nobody can say which.
            Identifier::MachineId(
                kind @ (MachineIdKind::SmbGuid
                | MachineIdKind::SnmpEngineId
                | MachineIdKind::Serial),
                _,
            ) => latest.get(kind).is_some_and(|at| at.seconds_since(old.last_seen) >= ONE_SCAN_S),
            identifier if seen.contains(identifier) => false,
            identifier @ Identifier::Mac(_) => macs.contains(identifier),
            Identifier::SshHostKey(key) => replaced.host_keys.contains(key),
            Identifier::TlsKey(key) => replaced.tls_keys.contains(key),
            Identifier::MachineId(..) | Identifier::Address(_) => false,
        };
        old.current &= !gone;
    }
}

/// Whether an address can take the place of another: of the same family and reach.
pub(super) fn same_scope(a: IpAddr, b: IpAddr) -> bool {
    let link_local = |address: IpAddr| match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    a.is_ipv4() == b.is_ipv4()
        && a.is_loopback() == b.is_loopback()
        && link_local(a) == link_local(b)
}

/// How many leading bits two addresses of one family have in common.
pub(super) fn common_prefix(a: IpAddr, b: IpAddr) -> u32 {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u32::from(a) ^ u32::from(b)).leading_zeros(),
        (IpAddr::V6(a), IpAddr::V6(b)) => (u128::from(a) ^ u128::from(b)).leading_zeros(),
        _ => 0,
    }
}
