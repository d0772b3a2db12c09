//! What can contradict: the marks by which two things that share an identifier are told to
//! be two after all.

use std::collections::{BTreeMap, BTreeSet};

use model::{Identifier, MacAddr, MachineIdKind, NameSource, Strength};

use crate::{
    asset::Asset,
    evidence::{Sighting, is_of_an_interface, is_own_name},
    project::host_key_algorithm,
};

/// The marks of a sighting, of several sightings of one machine, or of a known asset.
#[derive(Clone, Debug, Default)]
pub(super) struct Traits {
    /// Numbers of which a machine has one: SMB GUID, SNMP engine id, serial number. UPnP
    /// and DHCP numbers are not among them: one machine has one for each of its programs.
    machine: BTreeMap<MachineIdKind, BTreeSet<String>>,
    /// SSH host keys by port and algorithm: a server has one of each.
    host_keys: BTreeMap<(u16, String), BTreeSet<String>>,
    /// Names that the device gives itself, by who told them, without what a device appends
    /// by itself.
    names: BTreeMap<NameSource, BTreeSet<String>>,
    /// Link-layer addresses of interfaces.
    pub(super) macs: BTreeSet<MacAddr>,
}

/// In what two differ.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Contradiction {
    /// Another machine number of the same kind.
    pub(super) machine: bool,
    /// Another host key of the same algorithm on the same port.
    pub(super) host_key: bool,
    /// Both have link-layer addresses, none in common.
    pub(super) macs: bool,
    /// The same, and at least one side's is of the kind that does not change.
    pub(super) fixed_macs: bool,
    /// Another name of its own, from the same source.
    pub(super) name: bool,
}

impl Traits {
    pub(super) fn of_sighting(sighting: &Sighting) -> Self {
        let mut traits = Self::default();
        for seen in &sighting.identifiers {
            traits.add(&seen.identifier, seen.strength);
        }
        for (port, algorithm, key) in &sighting.host_keys {
            let place = (*port, algorithm.clone());
            traits.host_keys.entry(place).or_default().insert(key.clone());
        }
        // The names of a virtual router are those of its present device.
        for (source, name) in sighting.names.iter().filter(|_| !sighting.virtual_router) {
            traits.add_name(*source, name);
        }
        traits
    }

    pub(super) fn of_asset(asset: &Asset) -> Self {
        let mut traits = Self::default();
        for assigned in asset.identifiers.iter().filter(|assigned| assigned.current) {
            traits.add(&assigned.identifier, assigned.strength);
        }
        for service in &asset.services {
            for (name, key) in &service.attributes {
                if let Some(algorithm) = host_key_algorithm(name) {
                    let place = (service.port, algorithm.to_owned());
                    traits.host_keys.entry(place).or_default().insert(key.clone());
                }
            }
        }
        for name in &asset.names {
            traits.add_name(name.source, &name.name);
        }
        traits
    }

    fn add(&mut self, identifier: &Identifier, strength: Strength) {
        match identifier {
            Identifier::Mac(mac) if is_of_an_interface(*mac) => {
                self.macs.insert(*mac);
            }
            Identifier::MachineId(
                kind @ (MachineIdKind::SmbGuid
                | MachineIdKind::SnmpEngineId
                | MachineIdKind::Serial),
                value,
            ) if strength == Strength::Strong => {
                self.machine.entry(*kind).or_default().insert(value.clone());
            }
            _ => {}
        }
    }

    fn add_name(&mut self, source: NameSource, name: &str) {
        if is_own_name(source) {
            self.names.entry(source).or_default().insert(without_counter(source, name).to_owned());
        }
    }

    /// These and those of another sighting of the same machine.
    pub(super) fn join(&mut self, other: &Self) {
        unite(&mut self.machine, &other.machine);
        unite(&mut self.host_keys, &other.host_keys);
        unite(&mut self.names, &other.names);
        self.macs.extend(&other.macs);
    }

    pub(super) fn against(&self, other: &Self) -> Contradiction {
        let macs = apart(&self.macs, &other.macs);
        let is_fixed = |mac: &MacAddr| !mac.is_locally_administered();
        Contradiction {
            machine: any_apart(&self.machine, &other.machine),
            host_key: any_apart(&self.host_keys, &other.host_keys),
            macs,
            fixed_macs: macs && self.macs.iter().chain(&other.macs).any(is_fixed),
            name: any_apart(&self.names, &other.names),
        }
    }
}

/// A name without what mDNS appends where the name is taken (RFC 6762, section 9), often by
/// the device's own other interface.
fn without_counter(source: NameSource, name: &str) -> &str {
    if source != NameSource::Mdns {
        return name;
    }
    let name = name.strip_suffix(".local").unwrap_or(name);
    match name.rsplit_once('-') {
        Some((stem, digits)) if !stem.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            stem
        }
        _ => name,
    }
}

type Sets<K, V> = BTreeMap<K, BTreeSet<V>>;

fn unite<K: Clone + Ord, V: Clone + Ord>(into: &mut Sets<K, V>, from: &Sets<K, V>) {
    for (key, values) in from {
        into.entry(key.clone()).or_default().extend(values.iter().cloned());
    }
}

/// Both have some, none in common.
fn apart<V: Ord>(a: &BTreeSet<V>, b: &BTreeSet<V>) -> bool {
    !a.is_empty() && !b.is_empty() && a.is_disjoint(b)
}

fn any_apart<K: Ord, V: Ord>(a: &Sets<K, V>, b: &Sets<K, V>) -> bool {
    a.iter().any(|(key, values)| b.get(key).is_some_and(|others| apart(values, others)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: NameSource, name: &str, expected: &str) {
        assert_eq!(without_counter(source, name), expected);
    }

    #[test]
    fn what_mdns_appends_is_not_part_of_the_name() {
        check(NameSource::Mdns, "johns-phone-2.local", "johns-phone");
        check(NameSource::Mdns, "johns-phone.local", "johns-phone");
        check(NameSource::Mdns, "-2.local", "-2");
        check(NameSource::Ntlm, "pc-2", "pc-2");
    }

    #[test]
    fn only_what_both_have_can_differ() {
        let one = Traits { macs: [MacAddr([2, 0, 0, 0, 0, 1])].into(), ..Traits::default() };
        let two = Traits { macs: [MacAddr([2, 0, 0, 0, 0, 2])].into(), ..Traits::default() };
        let fixed = Traits { macs: [MacAddr([0, 0, 0, 0, 0, 2])].into(), ..Traits::default() };
        assert!(!one.against(&Traits::default()).macs);
        assert!(one.against(&two).macs && !one.against(&two).fixed_macs);
        assert!(one.against(&fixed).fixed_macs && fixed.against(&one).fixed_macs);
    }
}
