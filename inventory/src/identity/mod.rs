//! Which asset is it? From the assets of a site and the observations of one scan to the new
//! state of the assets, with reasons and events.
//!
//! [`update`] is a function of its arguments: the order of the observations does not matter,
//! and the same observations once more change nothing and cause no event. The rules and why
//! they are so are in `docs/identity.md`. In short: sightings of one moment are grouped by
//! machine (`cluster`), each is given to the known asset that its identifiers speak for most
//! and that nothing contradicts (`choose`), and the assets learn what was seen (`learn`).
//! An asset that was known is never overwritten and never silently made part of another.

mod choose;
mod cluster;
mod faceless;
mod learn;
mod link;
mod record;
mod traits;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use model::{Identifier, MacAddr, Observation, Site, Strength, Timestamp};
use ring::digest::{SHA256, digest};

use crate::{
    asset::{Asset, AssetId, Event},
    evidence::{self, LeafKey, Seen, Sighting},
};

/// What a scan changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Update {
    /// Every asset that changed or is new, whole, by id.
    pub assets: Vec<Asset>,
    /// What happened, in the order of time.
    pub events: Vec<Event>,
    /// Assets that turned out to be one: the first is part of the second, with the reason.
    /// Neither asset's own state is changed by it, so that it can be undone; it is proposed
    /// once, when what links them is learned, and an [`Merged`] event tells of it.
    ///
    /// [`Merged`]: crate::asset::EventKind::Merged
    pub merges: Vec<(AssetId, AssetId, String)>,
}

/// The new state of a site's assets after one scan.
///
/// `known` are the assets as each was learned, before any merge is laid over them.
/// `next_id` is the first id for a new asset; the ids after it are taken in order.
/// Observations from later than `as_of` count as made at `as_of`.
#[must_use]
pub fn update(
    known: &[Asset],
    next_id: AssetId,
    observations: &[Observation],
    as_of: Timestamp,
) -> Update {
    // A leaf is served in answer to several questions; each is read once.
    let read: Mutex<HashMap<Vec<u8>, Option<String>>> = Mutex::default();
    let leaf_key = |der: &[u8]| {
        let id = digest(&SHA256, der).as_ref().to_vec();
        let read = || read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = read().get(&id) {
            return key.clone();
        }
        // Without the lock: two cores may read one leaf, and find the same.
        let key = certs::parse_unchecked(der).spki_sha256;
        read().insert(id, key.clone());
        key
    };
    update_with(known, next_id, observations, as_of, &leaf_key)
}

/// The same with another way to read a certificate's key, see [`evidence::sightings`].
#[must_use]
pub fn update_with(
    known: &[Asset],
    next_id: AssetId,
    observations: &[Observation],
    as_of: Timestamp,
    leaf_key: LeafKey<'_>,
) -> Update {
    let mut sites: BTreeMap<Site, Vec<Sighting>> = BTreeMap::new();
    for sighting in evidence::sightings_as_of(observations, leaf_key, as_of) {
        sites.entry(sighting.site.clone()).or_default().push(sighting);
    }
    let mut update = Update::default();
    let mut next = next_id;
    for (site, sightings) in sites {
        let assets = known.iter().filter(|asset| asset.site == site).map(Cow::Borrowed).collect();
        let scan = Scan { observations, as_of, leaf_key };
        let mut state = State::new(site, assets, next);
        state.take(&scan, sightings);
        next = state.next;
        update.events.append(&mut state.events);
        update.merges.append(&mut state.merges);
        let owned = state.assets.into_iter().filter_map(|asset| match asset {
            Cow::Owned(asset) => Some(asset),
            Cow::Borrowed(_) => None,
        });
        update.assets.extend(owned);
    }
    // Touched is not changed.
    let before: HashMap<AssetId, &Asset> = known.iter().map(|asset| (asset.id, asset)).collect();
    update.assets.retain(|asset| before.get(&asset.id).is_none_or(|before| *before != asset));
    update.assets.sort_by_key(|asset| asset.id);
    update.events.sort_by(|a, b| {
        (a.at, a.asset, a.kind, &a.subject, &a.detail)
            .cmp(&(b.at, b.asset, b.kind, &b.subject, &b.detail))
    });
    update
}

/// Which of the known assets an [`update`] by some observations depends on: without the others it
/// comes to the same.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Concerned {
    /// Those that have one of these, now or once.
    pub identifiers: BTreeSet<Identifier>,
    /// Those of which it is uncertain what they are, because nobody but their habits tells who comes.
    pub uncertain: bool,
    /// Those with a loopback address.
    pub loopback: bool,
}

/// On which assets what these observations lead to depends.
#[must_use]
pub fn concerned(observations: &[Observation], as_of: Timestamp) -> Concerned {
    concerned_with(observations, as_of, &|der| certs::parse_unchecked(der).spki_sha256)
}

fn concerned_with(
    observations: &[Observation],
    as_of: Timestamp,
    leaf_key: LeafKey<'_>,
) -> Concerned {
    let mut concerned = Concerned::default();
    for sighting in evidence::sightings_as_of(observations, leaf_key, as_of) {
        concerned.loopback |= sighting.address.is_some_and(|address| address.is_loopback());
        concerned.uncertain |=
            sighting.identifiers.iter().all(|seen| faceless::has_no_face(&seen.identifier));
        concerned.identifiers.extend(sighting.identifiers.into_iter().map(|seen| seen.identifier));
    }
    concerned
}

/// What does not change while one scan is taken in.
struct Scan<'a> {
    observations: &'a [Observation],
    as_of: Timestamp,
    leaf_key: LeafKey<'a>,
}

/// A sighting on its way to an asset.
struct Work {
    sighting: Sighting,
    /// Another device answered for the address at the same time and has the better right.
    contested: bool,
    /// A link-layer address that is probably a damaged reading of the known one.
    doubtful: Option<Seen>,
}

/// The assets of a site, with the ways to find them.
struct State<'a> {
    site: Site,
    assets: Vec<Cow<'a, Asset>>,
    /// How many of them were known before this scan.
    known: usize,
    /// Every holder of an identifier, current or former, addresses left out.
    holders: HashMap<Identifier, Vec<usize>>,
    /// Whose an address is.
    address: BTreeMap<IpAddr, usize>,
    /// Whose an address was last, where nobody has it now.
    former: HashMap<IpAddr, usize>,
    /// Addresses for which several link-layer addresses answered in this scan. Whose they
    /// are is told by that, and not by where else their holders were seen.
    disputed: BTreeSet<IpAddr>,
    /// Where each asset was seen so far in this scan.
    placed: BTreeSet<(usize, IpAddr)>,
    /// On which assets each link-layer address was seen in this scan, and when last.
    macs_seen: BTreeMap<MacAddr, (BTreeSet<usize>, Timestamp)>,
    /// Which observations each asset learned from in the rounds of this scan so far, where
    /// there are several.
    learned: HashMap<usize, Vec<usize>>,
    several_rounds: bool,
    next: AssetId,
    events: Vec<Event>,
    merges: Vec<(AssetId, AssetId, String)>,
}

/// Two devices that answer for one address within this many seconds both have it now; a
/// lease does not go from one to the other so fast.
const AT_ONCE_S: i64 = 60;

/// What was seen over less than this many seconds was seen in one scan only.
const ONE_SCAN_S: i64 = 600;

/// What was first seen within so many seconds was there at once: longer than a sweep takes, and
/// shorter than the day after which devices take another address.
const ONE_MOMENT_S: i64 = 12 * 3_600;

impl<'a> State<'a> {
    fn new(site: Site, assets: Vec<Cow<'a, Asset>>, next: AssetId) -> Self {
        let mut state = Self {
            site,
            known: assets.len(),
            holders: HashMap::with_capacity(assets.len().saturating_mul(4)),
            address: BTreeMap::new(),
            former: HashMap::new(),
            assets: Vec::new(),
            disputed: BTreeSet::new(),
            placed: BTreeSet::new(),
            macs_seen: BTreeMap::new(),
            learned: HashMap::new(),
            several_rounds: false,
            next,
            events: Vec::new(),
            merges: Vec::new(),
        };
        let mut last: HashMap<IpAddr, Timestamp> = HashMap::new();
        for (i, asset) in assets.iter().enumerate() {
            for assigned in &asset.identifiers {
                let Identifier::Address(address) = assigned.identifier else {
                    state.holders.entry(assigned.identifier.clone()).or_default().push(i);
                    continue;
                };
                if assigned.current {
                    state.address.insert(address, i);
                } else if last.get(&address).is_none_or(|last| *last < assigned.last_seen) {
                    last.insert(address, assigned.last_seen);
                    state.former.insert(address, i);
                }
            }
        }
        state.assets = assets;
        state
    }

    /// Takes in the sightings of one scan: first the first of each address, then the second
    /// of those that several link-layer addresses answered for, and so on. Of who listened for
    /// long, one moment after the other.
    fn take(&mut self, scan: &Scan<'_>, sightings: Vec<Sighting>) {
        let mut places: HashMap<MacAddr, BTreeSet<Option<IpAddr>>> = HashMap::new();
        for sighting in &sightings {
            for mac in sighting.macs() {
                places.entry(mac).or_default().insert(sighting.address);
            }
        }
        let mut by_address: BTreeMap<(Option<IpAddr>, Vec<MacAddr>), Vec<Sighting>> =
            BTreeMap::new();
        for sighting in sightings {
            // Those without a network address are told apart by their link-layer one.
            let macs = if sighting.address.is_none() { sighting.macs().collect() } else { vec![] };
            by_address.entry((sighting.address, macs)).or_default().push(sighting);
        }
        let moments = moments(by_address.values().flatten());
        let mut turns: BTreeMap<(Timestamp, usize), Vec<Work>> = BTreeMap::new();
        for ((address, _), sightings) in by_address {
            let right = self.better_right(address, &sightings);
            self.disputed.extend(address.filter(|_| sightings.len() > 1));
            let (from, at) = sightings.get(right).map_or_else(Default::default, |s| (s.from, s.at));
            let mut moment = Timestamp(i64::MIN);
            for (turn, sighting) in sightings.into_iter().enumerate() {
                let begun = moments.range(..=sighting.from).next_back().copied();
                // Those of one address stay in their order.
                moment = begun.unwrap_or(sighting.from).max(moment);
                let apart = sighting.from.seconds_since(at).max(from.seconds_since(sighting.at));
                let contested = turn != right && apart <= AT_ONCE_S;
                let work = Work { sighting, contested, doubtful: None };
                turns.entry((moment, turn)).or_default().push(work);
            }
        }
        self.several_rounds = turns.len() > 1;
        let mut last = None;
        for ((moment, _), mut turn) in turns {
            if last.is_some_and(|last| last < moment) {
                self.leave_places(moment);
            }
            last = Some(moment);
            for work in &mut turn {
                self.doubt(work, &places);
            }
            self.round(scan, &turn);
        }
        self.take_macs();
    }

    /// Forgets where assets were seen whom nobody saw there any more when a moment began.
    fn leave_places(&mut self, begun: Timestamp) {
        let assets = &self.assets;
        self.placed.retain(|(asset, address)| {
            let held = assets.get(*asset).and_then(|a| assigned(a, &Identifier::Address(*address)));
            held.is_some_and(|held| held.last_seen >= begun)
        });
    }

    /// Which of those that answered for an address has the best right to it: the present
    /// holder, if it is among them, so that two in dispute do not take turns.
    fn better_right(&self, address: Option<IpAddr>, sightings: &[Sighting]) -> usize {
        let holder = address.and_then(|address| self.address.get(&address));
        let Some(&holder) = holder.filter(|_| sightings.len() > 1) else { return 0 };
        let macs: BTreeSet<MacAddr> = self.assets[holder].macs().collect();
        sightings.iter().position(|s| s.macs().any(|mac| macs.contains(&mac))).unwrap_or(0)
    }

    /// Sets a link-layer address aside that differs in one bit from the known one of this
    /// network address and that is seen for the first time, here and nowhere else.
    fn doubt(&mut self, work: &mut Work, places: &HashMap<MacAddr, BTreeSet<Option<IpAddr>>>) {
        let sighting = &mut work.sighting;
        let macs: Vec<MacAddr> = sighting.macs().collect();
        let [mac] = macs[..] else { return };
        let holder = sighting.address.and_then(|address| self.address.get(&address));
        let Some(&holder) = holder.filter(|_| !mac.is_locally_administered()) else { return };
        let asset = &self.assets[holder];
        if !asset.macs().any(|known| one_bit_apart(known, mac))
            || places.get(&mac).is_some_and(|places| places.len() > 1)
        {
            return;
        }
        let identifier = Identifier::Mac(mac);
        let holders = self.holders.get(&identifier).map_or(&[][..], Vec::as_slice);
        let trusted = |&i: &usize| {
            assigned(&self.assets[i], &identifier).is_some_and(|a| a.strength > Strength::Weak)
        };
        if holders.iter().any(trusted) {
            return;
        }
        let doubted_before =
            assigned(asset, &identifier).is_some_and(|a| a.last_seen < sighting.from);
        if doubted_before {
            self.believe(holder, mac);
            return;
        }
        let place = sighting.identifiers.iter().position(|seen| seen.identifier == identifier);
        if let Some(place) = place {
            work.doubtful = Some(sighting.identifiers.remove(place));
        }
    }

    /// A link-layer address that was set aside is seen again. If the one known so far was
    /// seen in one scan only, that was the damaged one. If it is well known, two devices
    /// with neighbouring numbers have the network address in turn, and the usual rules apply.
    fn believe(&mut self, holder: usize, mac: MacAddr) {
        let asset = self.assets[holder].to_mut();
        let mut damaged = false;
        for known in &mut asset.identifiers {
            let Identifier::Mac(other) = known.identifier else { continue };
            let brief = known.last_seen.seconds_since(known.first_seen) < ONE_SCAN_S;
            if known.current && one_bit_apart(other, mac) && brief {
                known.current = false;
                known.strength = Strength::Weak;
                known.because = format!("{}, in one scan; {mac} since", known.because);
                damaged = true;
            }
        }
        let mine = asset.identifiers.iter_mut().find(|a| a.identifier == Identifier::Mac(mac));
        if let Some(mine) = mine.filter(|_| damaged) {
            mine.strength = Strength::Moderate;
        }
    }

    fn round(&mut self, scan: &Scan<'_>, turn: &[Work]) {
        let sightings: Vec<&Sighting> = turn.iter().map(|work| &work.sighting).collect();
        let clusters = cluster::cluster(&sightings);
        let chosen = self.choose(turn, &clusters);
        let links = self.links(turn, &clusters, &chosen);
        self.learn(scan, turn, &clusters, &chosen, &links);
        self.follow(links);
    }
}

/// When the moments began in which the sightings were made. A sweep is one; who listens for
/// months sees a device under another address every day, and those are not there at once.
fn moments<'a>(sightings: impl Iterator<Item = &'a Sighting>) -> BTreeSet<Timestamp> {
    let mut begun: Vec<Timestamp> = sightings.map(|sighting| sighting.from).collect();
    begun.sort_unstable();
    let mut moments = BTreeSet::new();
    for from in begun {
        if moments.last().is_none_or(|last| from.seconds_since(*last) > ONE_MOMENT_S) {
            moments.insert(from);
        }
    }
    moments
}

/// The asset's record of an identifier.
fn assigned<'a>(asset: &'a Asset, identifier: &Identifier) -> Option<&'a crate::asset::Assigned> {
    let all = &asset.identifiers;
    match all.binary_search_by(|a| a.identifier.cmp(identifier)) {
        Ok(i) => all.get(i),
        // Somebody's list may not be sorted.
        Err(_) if !all.is_sorted_by(|a, b| a.identifier <= b.identifier) => {
            all.iter().find(|a| a.identifier == *identifier)
        }
        Err(_) => None,
    }
}

fn one_bit_apart(a: MacAddr, b: MacAddr) -> bool {
    a.0.iter().zip(b.0).map(|(a, b)| (a ^ b).count_ones()).sum::<u32>() == 1
}

#[cfg(test)]
mod tests;
