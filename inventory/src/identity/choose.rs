//! Which known asset each sighting speaks for.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
};

use model::{Identifier, MachineIdKind, NameSource, Strength};

use super::{
    State, Work, assigned,
    cluster::Clusters,
    faceless::Faceless,
    traits::{Contradiction, Traits},
};
use crate::evidence::{is_of_an_interface, is_own_name};

/// An identifier that more assets than this have tells nothing.
const MOST_HOLDERS: usize = 8;

/// How much a match counts, current and former. One strong identifier outweighs all others
/// together, and one moderate outweighs all weak ones together; between moderate ones a
/// further agreement, be it an address, decides.
mod weight {
    pub(super) const MACHINE: (u32, u32) = (100, 80);
    pub(super) const HOST_KEY: (u32, u32) = (26, 17);
    pub(super) const MAC: (u32, u32) = (25, 16);
    pub(super) const CLIENT_ID: (u32, u32) = (20, 16);
    pub(super) const TLS_KEY: (u32, u32) = (15, 0);
    pub(super) const CLIENT_KEY: (u32, u32) = (14, 8);
    pub(super) const OWN_NAME: (u32, u32) = (6, 3);
    pub(super) const DNS_NAME: (u32, u32) = (2, 1);
    pub(super) const WEAK_MAC: (u32, u32) = (5, 2);
    pub(super) const ADDRESS: (u32, u32) = (3, 1);
    pub(super) const HABIT: u32 = 1;
}

/// What a sighting and an asset have in common: for each kind the best weight.
#[derive(Clone, Copy, Debug, Default)]
struct Common {
    machine: u32,
    host_key: u32,
    mac: u32,
    client_id: u32,
    tls_key: u32,
    client_key: u32,
    own_name: u32,
    dns_name: u32,
    weak_mac: u32,
    address: u32,
    habit: u32,
}

impl Common {
    const fn score(&self) -> u32 {
        self.machine
            + self.host_key
            + self.mac
            + self.client_id
            + self.tls_key
            + self.client_key
            + self.own_name
            + self.dns_name
            + self.weak_mac
            + self.address
            + self.habit
    }

    /// Whether something in common is enough where nothing contradicts it.
    const fn is_enough(&self) -> bool {
        self.machine + self.host_key + self.mac + self.client_id > 0
    }

    /// Whether it is where, or what, the asset is known to be now.
    const fn is_in_place(&self) -> bool {
        self.address > 0 || self.weak_mac == weight::WEAK_MAC.0
    }
}

/// For each sighting, the asset that it is of.
pub(super) struct Chosen {
    /// By sighting: the asset's place in the state.
    pub(super) asset: Vec<usize>,
    /// By sighting: how much speaks for it; 0 for those that only their cluster, or nothing,
    /// gave to the asset.
    pub(super) score: Vec<u32>,
    /// By cluster: the asset that most speaks for.
    pub(super) primary: BTreeMap<usize, usize>,
    /// How many assets there will be.
    pub(super) assets: usize,
}

struct Match {
    sighting: usize,
    asset: usize,
    common: Common,
}

impl State<'_> {
    pub(super) fn choose(&self, turn: &[Work], clusters: &Clusters) -> Chosen {
        let mut traits: HashMap<usize, Traits> = HashMap::new();
        let mut matches = Vec::new();
        let faceless = Faceless::among(&self.assets, turn);
        for (sighting, work) in turn.iter().enumerate() {
            let cluster = &clusters.traits[&clusters.of[sighting]];
            let mut all = self.common(work, clusters);
            if all.is_empty() {
                let habit = Common { habit: weight::HABIT, ..Common::default() };
                let before = faceless.before(&work.sighting);
                all.extend(before.into_iter().map(|asset| (asset, habit)));
            }
            for (asset, common) in all {
                let known =
                    traits.entry(asset).or_insert_with(|| Traits::of_asset(&self.assets[asset]));
                if self.speaks_for(asset, &common, cluster.against(known)) {
                    matches.push(Match { sighting, asset, common });
                }
            }
        }
        matches.sort_by_key(|m| {
            let asset = &self.assets[m.asset];
            (Reverse(m.common.score()), asset.first_seen, asset.id, m.sighting)
        });
        // What was taken in before stays where it went, whatever was learned since.
        let mut chosen: Vec<Option<(usize, u32)>> =
            turn.iter().map(|work| Some((self.taken_in(work)?, 1))).collect();
        let mut primary: BTreeMap<usize, usize> = BTreeMap::new();
        // What was given to each asset so far, its marks together and its clusters.
        let mut given: HashMap<usize, (Traits, BTreeSet<usize>)> = HashMap::new();
        for (sighting, taken) in chosen.iter().enumerate() {
            let Some((asset, _)) = taken else { continue };
            let cluster = clusters.of[sighting];
            primary.entry(cluster).or_insert(*asset);
            let (others, of) = given.entry(*asset).or_default();
            if of.insert(cluster) {
                others.join(&clusters.traits[&cluster]);
            }
        }
        for Match { sighting, asset, common } in matches {
            if chosen[sighting].is_some() {
                continue;
            }
            let cluster = clusters.of[sighting];
            let mine = &clusters.traits[&cluster];
            let (others, of) = given.entry(asset).or_default();
            if !of.is_empty() && !of.contains(&cluster) {
                let differ = mine.against(others);
                let is_two = differ.machine
                    || differ.host_key
                    // Little speaks for it, and another who is there now has more: it must at
                    // least be where the asset is, and not at an interface of its own.
                    || (!common.is_enough()
                        && (!common.is_in_place() || (differ.macs && common.weak_mac == 0)));
                if is_two {
                    continue;
                }
            }
            if of.insert(cluster) {
                others.join(mine);
            }
            chosen[sighting] = Some((asset, common.score()));
            primary.entry(cluster).or_insert(asset);
        }
        // The rest is part of its cluster's asset, or there is a new one.
        let mut assets = self.assets.len();
        let mut asset = Vec::with_capacity(turn.len());
        let mut score = Vec::with_capacity(turn.len());
        for (sighting, own) in chosen.into_iter().enumerate() {
            let (of, much) = own.unwrap_or_else(|| {
                let of = *primary.entry(clusters.of[sighting]).or_insert_with(|| {
                    assets += 1;
                    assets - 1
                });
                (of, 0)
            });
            asset.push(of);
            score.push(much);
        }
        Chosen { asset, score, primary, assets }
    }

    /// The one asset that knows of every identifier of the sighting for all of its time.
    fn taken_in(&self, work: &Work) -> Option<usize> {
        let seen = || work.sighting.identifiers.iter().chain(&work.doubtful);
        let has_all = |asset: &usize| {
            seen().all(|seen| {
                assigned(&self.assets[*asset], &seen.identifier)
                    .is_some_and(|a| a.first_seen <= seen.from && seen.at <= a.last_seen)
            })
        };
        let held: Vec<&Vec<usize>> =
            seen().filter_map(|seen| self.holders.get(&seen.identifier)).collect();
        let address = work.sighting.address;
        let of_address = || {
            let holder = address.and_then(|address| self.address.get(&address));
            let former = address.and_then(|address| self.former.get(&address));
            holder.into_iter().chain(former).copied().collect::<Vec<usize>>()
        };
        let fewest = held.into_iter().min_by_key(|holders| holders.len());
        let mut all = fewest.map_or_else(of_address, Clone::clone).into_iter().filter(has_all);
        match (all.next(), all.next()) {
            (Some(one), None) => Some(one),
            _ => None,
        }
    }

    /// Every asset that has an identifier of the sighting, and what they have in common.
    fn common(&self, work: &Work, clusters: &Clusters) -> BTreeMap<usize, Common> {
        let mut found: BTreeMap<usize, Common> = BTreeMap::new();
        let sighting = &work.sighting;
        for seen in &sighting.identifiers {
            let identifier = &seen.identifier;
            if clusters.shared.contains(identifier) {
                continue;
            }
            if let Identifier::Address(address) = identifier {
                if work.contested {
                    continue;
                }
                match (self.address.get(address), self.former.get(address)) {
                    (Some(&asset), _) => {
                        found.entry(asset).or_default().address = weight::ADDRESS.0;
                    }
                    // Nobody has it; the last who had it and has no other since.
                    (None, Some(&asset)) if self.has_no_place(asset) => {
                        found.entry(asset).or_default().address = weight::ADDRESS.1;
                    }
                    _ => {}
                }
                if address.is_loopback() && !self.address.contains_key(address) {
                    let own = |(a, _): &(&std::net::IpAddr, &usize)| a.is_loopback();
                    if let Some((_, &asset)) = self.address.iter().find(own) {
                        found.entry(asset).or_default().address = weight::ADDRESS.1;
                    }
                }
                continue;
            }
            let Some(holders) = self.holders.get(identifier) else { continue };
            let is_current =
                |asset: usize| assigned(&self.assets[asset], identifier).is_some_and(|a| a.current);
            let mut few: Vec<usize> = holders.clone();
            if few.len() > MOST_HOLDERS {
                few.retain(|&asset| is_current(asset));
            }
            if few.len() > MOST_HOLDERS {
                continue;
            }
            let is_common_name = matches!(identifier, Identifier::HostName(_))
                && few.iter().filter(|&&asset| is_current(asset)).count() > 1;
            for asset in few {
                let Some(held) = assigned(&self.assets[asset], identifier) else { continue };
                let of = |(now, once): (u32, u32)| if held.current { now } else { once };
                let common = found.entry(asset).or_default();
                let (slot, much) = match identifier {
                    Identifier::Mac(mac) if !is_of_an_interface(*mac) => continue,
                    Identifier::Mac(_) if held.strength == Strength::Weak => {
                        (&mut common.weak_mac, of(weight::WEAK_MAC))
                    }
                    Identifier::HostName(_) if is_common_name => continue,
                    Identifier::HostName(name) => {
                        let told_by = |own: fn(NameSource) -> bool| {
                            sighting.names.iter().any(|(by, told)| told == name && own(*by))
                        };
                        if told_by(is_own_name) {
                            (&mut common.own_name, of(weight::OWN_NAME))
                        } else if told_by(|by| by == NameSource::Dns) {
                            (&mut common.dns_name, of(weight::DNS_NAME))
                        } else {
                            continue;
                        }
                    }
                    // Found out to be shared.
                    _ if held.strength == Strength::Weak => continue,
                    Identifier::Mac(_) => (&mut common.mac, of(weight::MAC)),
                    Identifier::SshHostKey(_) => (&mut common.host_key, of(weight::HOST_KEY)),
                    Identifier::TlsKey(_) => (&mut common.tls_key, of(weight::TLS_KEY)),
                    Identifier::MachineId(
                        MachineIdKind::DhcpClientId | MachineIdKind::DhcpDuid,
                        _,
                    ) => (&mut common.client_id, of(weight::CLIENT_ID)),
                    Identifier::MachineId(MachineIdKind::ClientKey, _) => {
                        (&mut common.client_key, of(weight::CLIENT_KEY))
                    }
                    Identifier::MachineId(..) => (&mut common.machine, of(weight::MACHINE)),
                    Identifier::Address(_) => continue,
                };
                *slot = much.max(*slot);
            }
        }
        found.retain(|_, common| common.score() > 0);
        found
    }

    /// Whether the asset has no current address and nothing else by which to know it again.
    fn has_no_place(&self, asset: usize) -> bool {
        let asset = &self.assets[asset];
        asset.identity_uncertain && asset.addresses().next().is_none()
    }

    /// Whether what they have in common is believed, given in what they differ.
    fn speaks_for(&self, asset: usize, common: &Common, differ: Contradiction) -> bool {
        if common.machine > 0 {
            return !(differ.machine || (differ.host_key && differ.macs));
        }
        if differ.machine {
            // A new installation on the same hardware in the same place, or another copy of
            // one virtual machine.
            return common.mac > 0 && common.address + common.own_name > 0;
        }
        if common.host_key > 0 {
            return !(differ.name && differ.macs);
        }
        if common.mac + common.client_id > 0 {
            return true;
        }
        if differ.host_key || differ.fixed_macs || (differ.name && common.own_name == 0) {
            return false;
        }
        // A key on a card goes where its owner goes: another fixed address or another name, and
        // it is another machine (above).
        if common.client_key > 0 {
            return !differ.name;
        }
        if common.tls_key > 0 {
            return !differ.macs || common.address > 0;
        }
        if common.weak_mac + common.address + common.own_name + common.habit > 0 {
            return true;
        }
        // A name in the name service goes with the address, unless the device told it to
        // the service; that is believed of those of which nothing better is known.
        common.dns_name > 0 && self.assets[asset].identity_uncertain
    }
}
