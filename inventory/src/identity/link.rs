//! What links assets that were taken for two, and what becomes of it: a proposal to take
//! them for one, or an event that asks a person.

use std::collections::{BTreeMap, BTreeSet};

use model::{Identifier, MachineIdKind, Strength, Timestamp};

use super::{
    State, Work, assigned,
    choose::Chosen,
    cluster::{self, Clusters},
    traits::Traits,
};
use crate::{
    asset::{Asset, AssetId},
    event,
};

/// What was noticed before the assets learned it.
#[derive(Default)]
pub(super) struct Links {
    /// Pairs of assets, by place, with what newly links them.
    pairs: BTreeMap<(usize, usize), Link>,
    /// Assets that never were more than an address that turned out to be another's.
    pub(super) provisional: BTreeMap<usize, usize>,
    /// Identifiers that several machines show at once, and by which assets, where that is
    /// news.
    shared: BTreeMap<Identifier, (Timestamp, BTreeSet<usize>)>,
}

struct Link {
    at: Timestamp,
    by: Identifier,
    because: String,
    /// Whether nothing told them apart before; a key that replaces another one hides that it
    /// was another's.
    was_one: bool,
}

impl State<'_> {
    pub(super) fn links(&self, turn: &[Work], clusters: &Clusters, chosen: &Chosen) -> Links {
        let mut links = Links::default();
        self.link_clusters(&mut links, turn, clusters, chosen);
        for (i, work) in turn.iter().enumerate() {
            let asset = chosen.asset[i];
            for seen in &work.sighting.identifiers {
                let identifier = &seen.identifier;
                let is_mac = matches!(identifier, Identifier::Mac(_));
                // Clusters share a certificate's key, and a person takes theirs along.
                let travels = matches!(
                    identifier,
                    Identifier::TlsKey(_) | Identifier::MachineId(MachineIdKind::ClientKey, _)
                );
                let tells = seen.strength > Strength::Weak && !travels;
                if let Identifier::Address(address) = identifier {
                    let holder = self.address.get(address).copied();
                    if let Some(holder) = holder.filter(|_| !work.contested) {
                        self.link_provisional(&mut links, chosen, (i, work), holder);
                    }
                    continue;
                }
                let holders = self.holders.get(identifier).map_or(&[][..], Vec::as_slice);
                if is_mac && seen.strength == Strength::Weak {
                    let current = |h: &&usize| {
                        assigned(&self.assets[**h], identifier).is_some_and(|a| a.current)
                    };
                    if let Some(&holder) = holders.iter().find(current) {
                        self.link_provisional(&mut links, chosen, (i, work), holder);
                    }
                }
                if !tells || holders.contains(&asset) {
                    continue;
                }
                let held = |other: usize| assigned(&self.assets[other], identifier);
                let now =
                    holders.iter().filter_map(|&i| held(i).filter(|a| a.current).map(|a| (i, a)));
                if clusters.shared.contains(identifier) {
                    let entry = links.shared.entry(identifier.clone());
                    let (at, assets) = entry.or_insert((seen.at, BTreeSet::new()));
                    *at = seen.at.max(*at);
                    assets.insert(asset);
                    assets.extend(now.map(|(other, _)| other));
                } else if asset < self.assets.len() {
                    for (other, _) in now.filter(|(_, a)| a.strength > Strength::Weak) {
                        self.link(&mut links, (asset, other), seen.at, identifier, &seen.because);
                    }
                }
            }
        }
        links
    }

    /// One machine at this moment, known as several assets: those that showed an identifier
    /// together are linked by it, unless both were known to have it.
    fn link_clusters(
        &self,
        links: &mut Links,
        turn: &[Work],
        clusters: &Clusters,
        chosen: &Chosen,
    ) {
        let mut showed: BTreeMap<(usize, &Identifier), BTreeMap<usize, Timestamp>> =
            BTreeMap::new();
        for (i, work) in turn.iter().enumerate() {
            for seen in work.sighting.identifiers.iter().filter(|seen| cluster::joins_any(seen)) {
                let assets = showed.entry((clusters.of[i], &seen.identifier)).or_default();
                assets.insert(chosen.asset[i], seen.at);
            }
        }
        for ((cluster, by), assets) in showed.into_iter().filter(|(_, assets)| assets.len() > 1) {
            let primary = chosen.primary[&cluster];
            let Some(first) = assets.keys().find(|i| **i == primary).or(assets.keys().next())
            else {
                continue;
            };
            let has = |i: usize| self.assets.get(i).map(|a| assigned(a, by).is_some());
            for (other, at) in assets.iter().filter(|(other, _)| *other != first) {
                // One of them may be new, then it was nobody's before.
                let (Some(a), Some(b)) = (has(*first), has(*other)) else { continue };
                if !(a && b) {
                    self.link(links, (*first, *other), *at, by, "shown by both at once");
                }
            }
        }
    }

    fn link(
        &self,
        links: &mut Links,
        (a, b): (usize, usize),
        at: Timestamp,
        by: &Identifier,
        because: &str,
    ) {
        if links.pairs.contains_key(&(b, a)) {
            return;
        }
        links.pairs.entry((a, b)).or_insert_with(|| Link {
            at,
            by: by.clone(),
            because: because.to_owned(),
            was_one: is_one(&self.assets[a], &self.assets[b]),
        });
    }

    /// An asset that is no more than the address it was seen at, where that is now another
    /// asset's that was not seen elsewhere in the meantime: it was that asset all along.
    fn link_provisional(
        &self,
        links: &mut Links,
        chosen: &Chosen,
        (i, work): (usize, &Work),
        holder: usize,
    ) {
        let asset = chosen.asset[i];
        let (Some(into), from) = (self.assets.get(asset), &self.assets[holder]) else { return };
        let nothing_more = from.identity_uncertain
            && from.identifiers.iter().all(|a| a.strength == Strength::Weak);
        let unseen = !chosen.asset.contains(&holder);
        if asset != holder
            && chosen.score[i] > 0
            && nothing_more
            && unseen
            && into.last_seen < from.first_seen
            && from.last_seen < work.sighting.at
            && is_one(into, from)
        {
            links.provisional.insert(holder, asset);
        }
    }

    /// Proposes to take the linked for one, or, where something contradicts, tells of it.
    pub(super) fn follow(&mut self, links: Links) {
        for (from, into) in links.provisional {
            let at = self.assets[into].last_seen;
            let because = "it was known by an address only, which is this asset's, and was \
                           first seen after this asset was last seen elsewhere";
            self.merge(at, from, into, because.to_owned());
        }
        for ((a, b), Link { at, by, because, was_one }) in links.pairs {
            let because = format!("{by}: {because}");
            let age = |i: usize| {
                (self.assets[i].identity_uncertain, self.assets[i].first_seen, self.assets[i].id)
            };
            let (into, from) = if age(a) <= age(b) { (a, b) } else { (b, a) };
            if was_one && is_one(&self.assets[into], &self.assets[from]) {
                self.merge(at, from, into, because);
            } else {
                let others = [self.assets[b].id];
                let event = event::ambiguous(at, self.assets[a].id, &by, &others, &because);
                self.events.push(event);
            }
        }
        for (identifier, (at, assets)) in links.shared {
            let ids: Vec<AssetId> = assets.iter().map(|&i| self.assets[i].id).collect();
            if let Some((first, others)) =
                ids.split_first().filter(|(_, others)| !others.is_empty())
            {
                let because = "shown by several machines at once, so it tells none of them";
                self.events.push(event::ambiguous(at, *first, &identifier, others, because));
            }
        }
    }

    fn merge(&mut self, at: Timestamp, from: usize, into: usize, because: String) {
        let (from, into) = (self.assets[from].id, self.assets[into].id);
        self.events.push(event::merged(at, into, from, &because));
        self.merges.push((from, into, because));
    }
}

/// Whether nothing says that two assets are two.
fn is_one(a: &Asset, b: &Asset) -> bool {
    let differ = Traits::of_asset(a).against(&Traits::of_asset(b));
    !(differ.machine || differ.host_key || differ.name)
}
