//! Which entries of the device register an asset's identifiers belong to.
//!
//! Everything is looked up in an index, so that ten thousand assets against ten thousand
//! entries cost ten thousand look-ups and not a hundred million comparisons.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
};

use model::{AddressRange, Identifier, MacAddr, NameSource};

use crate::{asset::Asset, register::DeviceEntry};

/// Indices of entries.
pub(super) type Entries = BTreeSet<usize>;

/// The identifiers of all entries.
pub(super) struct DeviceIndex {
    macs: HashMap<MacAddr, Entries>,
    names: HashMap<String, Entries>,
    machine_ids: HashMap<String, Entries>,
    addresses: HashMap<IpAddr, Entries>,
    /// Ranges of several addresses.
    ranges: RangeIndex,
}

/// An identifier of an asset and the entries that list it.
pub(super) struct Hit<T> {
    pub(super) value: T,
    pub(super) entries: Entries,
}

/// Names that many machines have by default, and that therefore name none.
const NOBODYS: [&str; 4] = ["localhost", "localhost.localdomain", "localhost6", "_gateway"];

impl DeviceIndex {
    pub(super) fn new(entries: &[DeviceEntry]) -> Self {
        let mut index = Self {
            macs: HashMap::new(),
            names: HashMap::new(),
            machine_ids: HashMap::new(),
            addresses: HashMap::new(),
            ranges: RangeIndex::default(),
        };
        let mut ranges = Vec::new();
        for (at, entry) in entries.iter().enumerate() {
            for mac in &entry.macs {
                index.macs.entry(*mac).or_default().insert(at);
            }
            for name in host_names(entry) {
                index.names.entry(name).or_default().insert(at);
            }
            for id in &entry.machine_ids {
                index.machine_ids.entry(id.clone()).or_default().insert(at);
            }
            for range in &entry.addresses {
                match range.len() {
                    1 => {
                        index.addresses.entry(range.first()).or_default().insert(at);
                    }
                    _ => ranges.push((*range, at)),
                }
            }
        }
        index.ranges = RangeIndex::new(ranges);
        index
    }

    /// The asset's MACs that an entry lists. A virtual router's MAC moves between devices
    /// and says nothing about one.
    pub(super) fn macs(&self, asset: &Asset) -> Vec<Hit<MacAddr>> {
        let own = asset.macs().filter(|mac| !mac.is_virtual_router());
        own.filter_map(|mac| Some(Hit { value: mac, entries: self.macs.get(&mac)?.clone() }))
            .collect()
    }

    /// The asset's self-reported numbers that an entry lists.
    pub(super) fn machine_ids(&self, asset: &Asset) -> Vec<Hit<String>> {
        let own = asset.identifiers.iter().filter(|assigned| assigned.current);
        own.filter_map(|assigned| match &assigned.identifier {
            Identifier::MachineId(_, id) => Some(id.to_lowercase()),
            _ => None,
        })
        .filter_map(|id| Some(Hit { entries: self.machine_ids.get(&id)?.clone(), value: id }))
        .collect()
    }

    /// The asset's host names that an entry lists, with who told them.
    pub(super) fn names(&self, asset: &Asset) -> Vec<Hit<(String, NameSource)>> {
        let known = asset.names.iter().filter(|name| is_a_name(&name.name));
        known
            .map(|name| Hit {
                value: (name.name.clone(), name.source),
                entries: self.name(&name.name),
            })
            .filter(|hit| !hit.entries.is_empty())
            .collect()
    }

    /// The entries of that name. `pc-7` and `pc-7.example.jp` are one name; two different
    /// domains are two.
    fn name(&self, name: &str) -> Entries {
        let short = name.split_once('.').map(|(label, _)| format!("{label}."));
        let as_written = self.names.get(name);
        // An entry without a domain is also listed under its name with a bare dot, one with
        // a domain also under its first label.
        let without_domain = short.and_then(|label| self.names.get(&label));
        as_written.into_iter().chain(without_domain).flatten().copied().collect()
    }

    /// The asset's addresses that an entry lists one by one.
    pub(super) fn addresses(&self, asset: &Asset) -> Vec<Hit<IpAddr>> {
        asset
            .addresses()
            .filter_map(|a| Some(Hit { value: a, entries: self.addresses.get(&a)?.clone() }))
            .collect()
    }

    /// The smallest range of several addresses that covers one of the asset's and whose
    /// entry `admits` it.
    pub(super) fn range(
        &self,
        asset: &Asset,
        admits: impl Fn(usize) -> bool,
    ) -> Option<(IpAddr, AddressRange, usize)> {
        asset
            .addresses()
            .flat_map(|a| self.ranges.covering(a).map(move |(range, at)| (a, range, at)))
            .filter(|(_, _, at)| admits(*at))
            .min_by_key(|(_, range, at)| (range.len(), *at))
    }
}

/// The forms of an entry's names under which they are looked up.
fn host_names(entry: &DeviceEntry) -> impl Iterator<Item = String> + '_ {
    // What people call a device is often its host name as well; "Printer, 2nd floor" is not.
    let called = entry.name.as_ref().map(|name| name.to_lowercase());
    let called = called.filter(|name| name.is_ascii() && !name.contains(char::is_whitespace));
    let names = entry.host_names.iter().cloned().chain(called);
    names.filter(|name| is_a_name(name)).flat_map(|name| match name.split_once('.') {
        Some((label, _)) => [label.to_owned(), name.clone()],
        None => [format!("{name}."), name],
    })
}

fn is_a_name(name: &str) -> bool {
    !name.is_empty() && !NOBODYS.contains(&name) && name.parse::<IpAddr>().is_err()
}

/// Ranges that may overlap, for finding those that cover an address.
#[derive(Default)]
struct RangeIndex {
    /// By first address; each with the highest last address up to here.
    ranges: Vec<(AddressRange, usize, IpAddr)>,
}

/// How many ranges around one address are looked at. A register in which more entries
/// share an address approves it many times over; which one is named does not matter then.
const MAX_COVERING: usize = 64;

impl RangeIndex {
    fn new(mut ranges: Vec<(AddressRange, usize)>) -> Self {
        ranges.sort();
        let mut index = Self { ranges: Vec::with_capacity(ranges.len()) };
        for (range, at) in ranges {
            let before = index.ranges.last().map(|(_, _, highest)| *highest);
            let highest = before.map_or(range.last(), |before| before.max(range.last()));
            index.ranges.push((range, at, highest));
        }
        index
    }

    fn covering(&self, address: IpAddr) -> impl Iterator<Item = (AddressRange, usize)> + '_ {
        let end = self.ranges.partition_point(|(range, ..)| range.first() <= address);
        self.ranges
            .iter()
            .take(end)
            .rev()
            .take_while(move |(_, _, highest)| *highest >= address)
            .filter(move |(range, ..)| range.contains(address))
            .map(|(range, at, _)| (*range, *at))
            .take(MAX_COVERING)
    }
}
