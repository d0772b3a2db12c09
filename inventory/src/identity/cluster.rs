//! Which sightings of one moment are one machine, and which identifiers tell nothing at
//! this moment because several machines show them.

use std::collections::{BTreeMap, BTreeSet};

use model::{Identifier, MacAddr, Strength};

use super::traits::Traits;
use crate::evidence::{Seen, Sighting, is_of_an_interface};

/// How many link-layer addresses behind one host key are believed to be one machine's
/// interfaces. More is a fleet with a key from the factory or from one image.
const MOST_INTERFACES: usize = 4;

/// How many machines with one identifier and contradicting marks are told apart one by one.
const MOST_APART: usize = 64;

/// Sightings of one moment, grouped by machine.
pub(super) struct Clusters {
    /// The cluster of each sighting, by a number that is the place of its first one.
    pub(super) of: Vec<usize>,
    /// The marks of each cluster, by its number.
    pub(super) traits: BTreeMap<usize, Traits>,
    /// Identifiers that several machines showed at once, so that they tell nothing.
    pub(super) shared: BTreeSet<Identifier>,
}

/// Groups the sightings, of which no two have the same address.
pub(super) fn cluster(sightings: &[&Sighting]) -> Clusters {
    let mut shown: Vec<(Joins, &Identifier, usize)> = Vec::new();
    for (i, sighting) in sightings.iter().enumerate() {
        let by = |seen: &Seen| joins(&seen.identifier, seen.strength);
        shown.extend(sighting.identifiers.iter().map(|seen| (by(seen), &seen.identifier, i)));
    }
    shown.sort_unstable();
    // What only one sighting shows neither joins nor tells apart.
    let mut groups: Vec<(Joins, &Identifier, Vec<usize>)> = Vec::new();
    for group in shown.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
        if let [(by, identifier, _), _, ..] = group {
            groups.push((*by, identifier, group.iter().map(|(_, _, i)| *i).collect()));
        }
    }
    let mut set = Set {
        parent: (0..sightings.len()).collect(),
        traits: sightings.iter().map(|sighting| Traits::of_sighting(sighting)).collect(),
    };
    let mut shared = BTreeSet::new();
    for (by, identifier, members) in &groups {
        if *by == Joins::Never {
            continue;
        }
        if *by == Joins::HostKey && interfaces(members, sightings) > MOST_INTERFACES {
            shared.insert((*identifier).clone());
            continue;
        }
        set.join_all(members, *by);
    }
    set.join_loopback(sightings);
    // A key or a name that two machines show at once tells them apart no more.
    for (by, identifier, members) in &groups {
        let mut roots = members.iter().map(|&i| set.root(i));
        let first = roots.next();
        let is_telling = !matches!(identifier, Identifier::Address(_)) && *by != Joins::LocalMac;
        if is_telling && roots.any(|root| Some(root) != first) {
            shared.insert((*identifier).clone());
        }
    }
    let of: Vec<usize> = (0..sightings.len()).map(|i| set.root(i)).collect();
    let roots = (0..sightings.len()).filter(|&i| of[i] == i);
    let traits = roots.map(|root| (root, std::mem::take(&mut set.traits[root]))).collect();
    Clusters { of, traits, shared }
}

/// How an identifier joins sightings of one moment, the most certain first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Joins {
    MachineId,
    Mac,
    HostKey,
    /// Software chose it, but at one moment a link has one interface with it.
    LocalMac,
    /// A certificate key is on every machine of a cluster or behind a wildcard, and two
    /// machines may tell one name.
    Never,
}

/// Whether the identifier joins those who show it at one moment.
pub(super) fn joins_any(seen: &Seen) -> bool {
    joins(&seen.identifier, seen.strength) != Joins::Never
}

fn joins(identifier: &Identifier, strength: Strength) -> Joins {
    match identifier {
        Identifier::MachineId(..) if strength == Strength::Strong => Joins::MachineId,
        Identifier::Mac(mac) if !is_of_an_interface(*mac) => Joins::Never,
        Identifier::Mac(mac) if mac.is_locally_administered() => Joins::LocalMac,
        Identifier::Mac(_) => Joins::Mac,
        Identifier::SshHostKey(_) => Joins::HostKey,
        _ => Joins::Never,
    }
}

fn interfaces(members: &[usize], sightings: &[&Sighting]) -> usize {
    let macs: BTreeSet<MacAddr> = members.iter().flat_map(|&i| sightings[i].macs()).collect();
    macs.len()
}

struct Set {
    parent: Vec<usize>,
    /// Of each root: the marks of all that hang on it.
    traits: Vec<Traits>,
}

impl Set {
    /// The first sighting of the cluster.
    fn root(&mut self, mut i: usize) -> usize {
        while self.parent[i] != i {
            self.parent[i] = self.parent[self.parent[i]];
            i = self.parent[i];
        }
        i
    }

    /// Joins those that do not contradict one another.
    fn join_all(&mut self, members: &[usize], by: Joins) {
        let mut roots: Vec<usize> = Vec::new();
        for &i in members {
            let mine = self.root(i);
            roots = roots.iter().map(|&root| self.root(root)).collect();
            roots.dedup();
            if roots.contains(&mine) {
                continue;
            }
            match roots.iter().copied().find(|&root| self.may_join(root, mine, by)) {
                Some(root) => self.join(root, mine),
                None if roots.len() < MOST_APART => roots.push(mine),
                None => {}
            }
        }
    }

    /// All loopback addresses that one vantage point sees are its own machine's (RFC 1122,
    /// section 3.2.1.3), unless their keys say otherwise: several sensors may be seen here.
    fn join_loopback(&mut self, sightings: &[&Sighting]) {
        let members: Vec<usize> = (0..sightings.len())
            .filter(|&i| sightings[i].address.is_some_and(|address| address.is_loopback()))
            .collect();
        self.join_all(&members, Joins::LocalMac);
    }

    fn may_join(&self, a: usize, b: usize, by: Joins) -> bool {
        let differ = self.traits[a].against(&self.traits[b]);
        let names = match by {
            // Copies of one image have one key, and a name and an interface each.
            Joins::MachineId | Joins::HostKey => differ.name && differ.macs,
            Joins::LocalMac => differ.name,
            Joins::Mac | Joins::Never => false,
        };
        !(differ.machine || differ.host_key || names)
    }

    fn join(&mut self, a: usize, b: usize) {
        let (root, other) = (a.min(b), a.max(b));
        let traits = std::mem::take(&mut self.traits[other]);
        self.traits[root].join(&traits);
        self.parent[other] = root;
    }
}
