//! What the chosen assets learn: identifiers with their reasons, moves, conflicts, and
//! through `project` everything else.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use model::{Identifier, Observation, Strength, Timestamp};

use super::{
    Scan, State, Work, assigned,
    choose::Chosen,
    cluster::Clusters,
    link::Links,
    record::{
        common_prefix, doubt, first_time, record, replaced_macs, retire, same_scope, see_again,
    },
};
use crate::{
    asset::{Asset, AssetId, Assigned, Event},
    cores, event,
    evidence::{Seen, is_of_an_interface},
    project,
};

impl State<'_> {
    pub(super) fn learn(
        &mut self,
        scan: &Scan<'_>,
        turn: &[Work],
        clusters: &Clusters,
        chosen: &Chosen,
        links: &Links,
    ) {
        let mut of_asset: BTreeMap<usize, Vec<&Work>> = BTreeMap::new();
        for (work, &asset) in turn.iter().zip(&chosen.asset) {
            of_asset.entry(asset).or_default().push(work);
        }
        for asset in self.assets.len()..chosen.assets {
            let works = of_asset.get(&asset).map_or(&[][..], Vec::as_slice);
            self.found(works);
        }
        let takes: Vec<(IpAddr, usize, &Seen)> = turn
            .iter()
            .zip(&chosen.asset)
            .filter_map(|(work, &asset)| self.takes(work, asset))
            .collect();
        let mut taken: BTreeMap<usize, BTreeSet<IpAddr>> = BTreeMap::new();
        for (address, asset, _) in &takes {
            taken.entry(*asset).or_default().insert(*address);
        }
        let disputes = self.new_disputes(turn, chosen);
        let left = self.learn_each(scan, &of_asset, taken, clusters);
        for (asset, works) in &of_asset {
            let here = works.iter().filter_map(|work| work.sighting.address);
            self.placed.extend(here.map(|address| (*asset, address)));
        }
        self.hand_over(&takes, &left, links);
        self.tell_of(disputes);
        self.note_macs(&of_asset);
        for (asset, works) in of_asset {
            self.index(asset, &works);
        }
    }

    /// A new asset, of which nothing is known yet but that it is there.
    fn found(&mut self, works: &[&Work]) {
        let id = self.next;
        self.next = AssetId(id.0.saturating_add(1));
        let from = works.iter().map(|work| work.sighting.from).min().unwrap_or_default();
        let at = works.iter().map(|work| work.sighting.at).max().unwrap_or_default();
        let seen = || works.iter().flat_map(|work| &work.sighting.identifiers);
        let strongest = seen().max_by_key(|seen| seen.strength);
        let because: Vec<String> = seen()
            .filter(|seen| {
                matches!(seen.identifier, Identifier::Address(_))
                    || strongest.is_some_and(|strongest| seen.strength == strongest.strength)
            })
            .map(|seen| format!("{} ({})", seen.identifier, seen.because))
            .collect();
        let subject = works.first().map_or_else(String::new, |work| match work.sighting.address {
            Some(address) => address.to_string(),
            None => work.sighting.macs().next().map(|mac| mac.to_string()).unwrap_or_default(),
        });
        self.events.push(event::first_seen(from, id, subject, &because.join(", ")));
        self.assets.push(Cow::Owned(Asset {
            id,
            site: self.site.clone(),
            first_seen: from,
            last_seen: at,
            identity_uncertain: true,
            identifiers: Vec::new(),
            names: Vec::new(),
            alive_by: Vec::new(),
            services: Vec::new(),
            software: Vec::new(),
            os: None,
            deployments: Vec::new(),
            anomalies: Vec::new(),
            heard: Vec::new(),
        }));
    }

    /// The address that a sighting gives to the asset, unless another was seen there later,
    /// or it has it already.
    fn takes<'w>(&self, work: &'w Work, asset: usize) -> Option<(IpAddr, usize, &'w Seen)> {
        let address = work.sighting.address.filter(|_| !work.contested)?;
        let identifier = Identifier::Address(address);
        let seen = work.sighting.identifiers.iter().find(|seen| seen.identifier == identifier)?;
        let is_older = |other: usize| {
            assigned(&self.assets[other], &identifier).is_none_or(|a| a.last_seen < seen.at)
        };
        let free = match self.address.get(&address) {
            Some(&holder) if holder == asset => false,
            Some(&holder) => is_older(holder) && is_older(asset),
            None => is_older(asset),
        };
        free.then_some((address, asset, seen))
    }

    /// Lets each asset learn what was seen of it. Returns the addresses that were left, with
    /// who left them.
    fn learn_each(
        &mut self,
        scan: &Scan<'_>,
        of_asset: &BTreeMap<usize, Vec<&Work>>,
        mut taken: BTreeMap<usize, BTreeSet<IpAddr>>,
        clusters: &Clusters,
    ) -> BTreeMap<IpAddr, usize> {
        let (known, disputed, placed) = (self.known, &self.disputed, &self.placed);
        let mut before = std::mem::take(&mut self.learned);
        let assets = self.assets.iter_mut().enumerate();
        let lessons = assets.filter_map(|(i, asset)| {
            let works = of_asset.get(&i)?;
            let taken = taken.remove(&i).unwrap_or_default();
            // With what it learned in the rounds before: the outcome is that of one round.
            let mut seen = before.remove(&i).unwrap_or_default();
            seen.extend(works.iter().flat_map(|work| &work.sighting.observations));
            Some(Lesson { i, known: i < known, asset, works, seen, taken, disputed, placed })
        });
        // What one learns depends on no other.
        let lessons = lessons.collect();
        self.learned = before;
        let learned = cores::each(lessons, |lesson| lesson.learn(scan, clusters));
        let mut left: BTreeMap<IpAddr, usize> = BTreeMap::new();
        for mut learned in learned {
            self.events.append(&mut learned.events);
            if self.several_rounds {
                self.learned.insert(learned.i, learned.seen);
            }
            for (address, was_current) in learned.left {
                left.insert(address, learned.i);
                if was_current && self.address.get(&address) == Some(&learned.i) {
                    self.address.remove(&address);
                    self.former.insert(address, learned.i);
                }
            }
        }
        left
    }

    /// Gives the addresses to their new holders, and tells where somebody had them, if only
    /// until this very scan.
    fn hand_over(
        &mut self,
        takes: &[(IpAddr, usize, &Seen)],
        left: &BTreeMap<IpAddr, usize>,
        links: &Links,
    ) {
        for &(address, asset, seen) in takes {
            let holder = self.address.insert(address, asset).or(left.get(&address).copied());
            self.former.remove(&address);
            let Some(holder) = holder.filter(|holder| *holder != asset) else { continue };
            let old = self.assets[holder].to_mut();
            if let Some(record) = record(old, &Identifier::Address(address)) {
                record.current = false;
            }
            project::release(old, address);
            if links.provisional.get(&holder) != Some(&asset) {
                let ids = (self.assets[asset].id, self.assets[holder].id);
                let because = self.told_apart(asset, address);
                self.events.push(event::address_conflict(seen.at, ids, address, &because));
            }
        }
    }

    /// By what the holder of an address is known not to be the one before.
    fn told_apart(&self, asset: usize, address: IpAddr) -> String {
        let others = self.assets[asset]
            .identifiers
            .iter()
            .filter(|a| a.current && a.identifier != Identifier::Address(address))
            .max_by_key(|a| a.strength);
        others
            .map_or_else(|| "nothing else is known of it".to_owned(), |a| a.identifier.to_string())
    }

    /// Where another asset answers for an address than has the better right to it, and was
    /// never known to.
    fn new_disputes(&self, turn: &[Work], chosen: &Chosen) -> Vec<(IpAddr, usize, Timestamp)> {
        let contested = turn.iter().zip(&chosen.asset).filter(|(work, _)| work.contested);
        contested
            .filter_map(|(work, &asset)| {
                let address = work.sighting.address?;
                let known = assigned(&self.assets[asset], &Identifier::Address(address));
                known.is_none().then_some((address, asset, work.sighting.at))
            })
            .collect()
    }

    fn tell_of(&mut self, disputes: Vec<(IpAddr, usize, Timestamp)>) {
        for (address, asset, at) in disputes {
            let holder = self.address.get(&address).copied();
            if let Some(holder) = holder.filter(|holder| *holder != asset) {
                let ids = (self.assets[asset].id, self.assets[holder].id);
                let because = format!("both answer, {}", self.told_apart(asset, address));
                self.events.push(event::address_conflict(at, ids, address, &because));
            }
        }
    }

    fn note_macs(&mut self, of_asset: &BTreeMap<usize, Vec<&Work>>) {
        for (asset, works) in of_asset {
            for seen in works.iter().flat_map(|work| &work.sighting.identifiers) {
                if let Identifier::Mac(mac) = seen.identifier
                    && is_of_an_interface(mac)
                {
                    let (on, at) = self.macs_seen.entry(mac).or_default();
                    on.insert(*asset);
                    *at = seen.at.max(*at);
                }
            }
        }
    }

    /// A link-layer address that was seen here and, in the same scan, not there went from
    /// there to here.
    pub(super) fn take_macs(&mut self) {
        for (mac, (on, at)) in std::mem::take(&mut self.macs_seen) {
            let identifier = &Identifier::Mac(mac);
            let holders = self.holders.get(identifier).cloned().unwrap_or_default();
            for holder in holders.into_iter().filter(|holder| !on.contains(holder)) {
                let is_past = |a: &Assigned| a.current && a.last_seen < at;
                if !assigned(&self.assets[holder], identifier).is_some_and(is_past) {
                    continue;
                }
                let asset = self.assets[holder].to_mut();
                if let Some(record) = record(asset, identifier) {
                    record.current = false;
                }
                asset.identity_uncertain =
                    !asset.identifiers.iter().any(|a| a.current && a.strength > Strength::Weak);
            }
        }
    }

    fn index(&mut self, asset: usize, works: &[&Work]) {
        for work in works {
            let seen = work.sighting.identifiers.iter().chain(&work.doubtful);
            for seen in seen.filter(|s| !matches!(s.identifier, Identifier::Address(_))) {
                let holders = self.holders.entry(seen.identifier.clone()).or_default();
                if !holders.contains(&asset) {
                    holders.push(asset);
                }
            }
        }
    }
}

/// What one asset is about to learn.
struct Lesson<'l, 'a> {
    /// Its place in the state.
    i: usize,
    /// Whether it was known before this scan.
    known: bool,
    asset: &'l mut Cow<'a, Asset>,
    works: &'l [&'l Work],
    /// The numbers of the observations.
    seen: Vec<usize>,
    /// The addresses that this gives to it.
    taken: BTreeSet<IpAddr>,
    /// As in the state.
    disputed: &'l BTreeSet<IpAddr>,
    placed: &'l BTreeSet<(usize, IpAddr)>,
}

/// What came of a lesson.
struct Learned {
    i: usize,
    /// From which observations, by their numbers.
    seen: Vec<usize>,
    events: Vec<Event>,
    /// The addresses that the asset left, and whether it had them until now.
    left: Vec<(IpAddr, bool)>,
}

impl Lesson<'_, '_> {
    fn learn(self, scan: &Scan<'_>, clusters: &Clusters) -> Learned {
        let is_new = !self.known && self.asset.identifiers.is_empty();
        let moved = match is_new {
            true => Vec::new(),
            false => self.moves(),
        };
        let Self { i, known, asset, works, seen: learned, taken, .. } = self;
        let asset = asset.to_mut();
        if !asset.identifiers.is_sorted_by(|a, b| a.identifier <= b.identifier) {
            asset.identifiers.sort_by(|a, b| a.identifier.cmp(&b.identifier));
        }
        let mut still: BTreeSet<IpAddr> = asset.addresses().collect();
        let mut left = Vec::with_capacity(moved.len());
        for (from, to, _) in &moved {
            if let Some(old) = record(asset, &Identifier::Address(*from)) {
                old.current = false;
            }
            project::rehome(asset, *from, *to);
            left.push((*from, still.remove(from)));
        }
        let replaced_macs = replaced_macs(asset, works, &still);
        let holds: BTreeSet<IpAddr> = still.union(&taken).copied().collect();
        let observations: Vec<&Observation> =
            learned.iter().filter_map(|&o| scan.observations.get(o)).collect();
        let (mut events, replaced) =
            project::apply(asset, known, &holds, &observations, scan.as_of, scan.leaf_key);
        let link = works
            .iter()
            .flat_map(|work| &work.sighting.identifiers)
            .filter(|seen| assigned(asset, &seen.identifier).is_some_and(|a| a.current))
            .max_by_key(|seen| seen.strength)
            .map(|seen| seen.identifier.clone());
        let mut added: BTreeMap<Identifier, Assigned> = BTreeMap::new();
        for work in works {
            for seen in &work.sighting.identifiers {
                let shared = clusters.shared.contains(&seen.identifier);
                let may_have = match seen.identifier {
                    Identifier::Address(address) => taken.contains(&address),
                    _ => true,
                };
                match record(asset, &seen.identifier) {
                    Some(old) => see_again(old, seen, shared, may_have),
                    None => {
                        let new = added
                            .entry(seen.identifier.clone())
                            .or_insert_with(|| first_time(seen, shared, link.as_ref()));
                        new.first_seen = new.first_seen.min(seen.from);
                        new.last_seen = new.last_seen.max(seen.at);
                        new.current = may_have;
                    }
                }
            }
            if let Some(doubtful) = &work.doubtful {
                doubt(asset, work, doubtful, &mut added);
            }
            if work.sighting.left_out > 0 {
                let subject = work.sighting.address.map_or_else(String::new, |a| a.to_string());
                let problem = "more link-layer addresses answer for it than are followed";
                project::note_anomaly(asset, &subject, "arp", problem, work.sighting.at);
            }
        }
        for (from, to, because) in moved {
            let at = added.get(&Identifier::Address(to)).map_or_else(
                || assigned(asset, &Identifier::Address(to)).map(|a| a.last_seen),
                |new| Some(new.first_seen),
            );
            let at = at.unwrap_or(asset.last_seen);
            events.push(event::address_moved(at, asset.id, from, to, &because));
            if let Some(new) = added.get_mut(&Identifier::Address(to)) {
                new.because = format!("{}, moved from {from}", new.because);
            }
        }
        if !is_new {
            let moved_to = |identifier: &Identifier, new: &Assigned| {
                matches!(identifier, Identifier::Address(_))
                    && (!new.current || new.because.contains(", moved from "))
            };
            for (identifier, new) in &added {
                if !moved_to(identifier, new) && new.current {
                    let (at, because) = (new.first_seen, &new.because);
                    events.push(event::identifier_added(at, asset.id, identifier, because));
                }
            }
        }
        asset.identifiers.extend(added.into_values());
        asset.identifiers.sort_by(|a, b| a.identifier.cmp(&b.identifier));
        retire(asset, works, &replaced, &replaced_macs);
        asset.identity_uncertain =
            !asset.identifiers.iter().any(|a| a.current && a.strength > Strength::Weak);
        Learned { i, seen: learned, events, left }
    }

    /// Which of its addresses the asset left for a new one: for each new one at most one, the
    /// nearest of those where it was not seen this time. A new interface leaves none.
    fn moves(&self) -> Vec<(IpAddr, IpAddr, String)> {
        let Self { i, asset, works, taken, disputed, placed, .. } = self;
        let here: BTreeSet<IpAddr> =
            works.iter().filter_map(|work| work.sighting.address).collect();
        let mut moves: Vec<(IpAddr, IpAddr, String)> = Vec::new();
        for work in *works {
            let sighting = &work.sighting;
            let Some(to) = sighting.address.filter(|address| taken.contains(address)) else {
                continue;
            };
            let mut macs = sighting.macs().peekable();
            let new_interface = macs.peek().is_some()
                && asset.macs().next().is_some()
                && macs.all(|mac| {
                    let known = assigned(asset, &Identifier::Mac(mac));
                    !mac.is_locally_administered() && known.is_none_or(|a| !a.current)
                });
            if new_interface {
                continue;
            }
            let left = |a: &&Assigned, current: bool| match a.identifier {
                Identifier::Address(from) => {
                    a.current == current
                        && same_scope(from, to)
                        && !here.contains(&from)
                        && !disputed.contains(&from)
                        && !placed.contains(&(*i, from))
                        && a.last_seen < sighting.at
                        && moves.iter().all(|(other, _, _)| *other != from)
                }
                _ => false,
            };
            let address = |a: &Assigned| match a.identifier {
                Identifier::Address(address) => Some(address),
                _ => None,
            };
            let is_placed = asset.addresses().any(|address| same_scope(address, to));
            let from = match is_placed {
                true => asset
                    .identifiers
                    .iter()
                    .filter(|a| left(a, true))
                    .filter_map(address)
                    .max_by_key(|from| (common_prefix(*from, to), std::cmp::Reverse(*from))),
                // It lost its address to another before.
                false => asset
                    .identifiers
                    .iter()
                    .filter(|a| left(a, false))
                    .max_by_key(|a| a.last_seen)
                    .and_then(address),
            };
            if let Some(from) = from {
                let known = sighting
                    .identifiers
                    .iter()
                    .filter(|seen| assigned(asset, &seen.identifier).is_some())
                    .max_by_key(|seen| seen.strength);
                let because = known.map_or_else(
                    || "seen with its other addresses".to_owned(),
                    |seen| format!("the same {}", seen.identifier),
                );
                moves.push((from, to, because));
            }
        }
        moves
    }
}
