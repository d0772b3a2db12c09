//! Telling one device that answers for many addresses from many devices.
//!
//! Firewalls and routers with proxy ARP answer for addresses at which nothing is. The rule,
//! block by block of 32 addresses (an IPv4 /27, an IPv6 /123), for blocks of which at least
//! 16 addresses were asked:
//!
//! - On the link: one link-layer address answers for at least 16 addresses of the block,
//!   and for at least three quarters of those for which no other answers. Its addresses
//!   outside of such blocks are its own, unless at least four in a row continue one.
//! - Elsewhere: every single address of the block answers, by the same methods with the
//!   same time to live, and none differs in at least twelve further questions, eight for
//!   usual ports (and the user's, if those are few) and four for unlikely ones; and either
//!   no usual port is open or the unlikely ones are, too. Thirty servers of one kind share their open ports but refuse the unlikely ones;
//!   thirty devices that cannot be told apart by anything are not thirty findings.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use model::{AddressRange, MacAddr, PortSet, PortState, Transport};

use super::state::{ALIVE, ASKED, Host, State};
use crate::plan::Key;

/// Fewer addresses than this may well be one machine with several addresses.
const ENOUGH: usize = 16;

/// So many addresses in a row continue a recognised block into the next one.
const CONTINUES: usize = 4;

/// None of printers and controllers only: who has one of those open is asked gently from then
/// on, and a dense network would wait ten seconds for the rest of these.
const USUAL: [u16; 8] = [22, 80, 135, 443, 445, 631, 3389, 8080];
const UNLIKELY: usize = 4;

/// Addresses for which one device answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Swallowed {
    /// Ascending.
    pub(super) numbers: Vec<u64>,
    pub(super) mac: Option<MacAddr>,
}

/// The block of an address.
fn block(address: IpAddr) -> (bool, u128) {
    match address {
        IpAddr::V4(v4) => (true, u128::from(u32::from(v4) >> 5)),
        IpAddr::V6(v6) => (false, u128::from(v6) >> 5),
    }
}

/// The numbers of a block's addresses that were asked.
fn asked(state: &State, address: IpAddr) -> Vec<u64> {
    let range = match address {
        IpAddr::V4(v4) => {
            let first = u32::from(v4) & !31;
            AddressRange::new(IpAddr::V4(first.into()), IpAddr::V4((first | 31).into()))
        }
        IpAddr::V6(v6) => {
            let first = u128::from(v6) & !31;
            AddressRange::new(IpAddr::V6(first.into()), IpAddr::V6((first | 31).into()))
        }
    };
    (0..32)
        .filter_map(|offset| state.addresses.number(range?.nth(offset)?))
        .filter(|number| state.has(*number, ASKED) && !state.is_failed(*number))
        .collect()
}

/// The hosts by block, in ascending order.
fn by_block<'a>(
    state: &State,
    hosts: impl Iterator<Item = (u64, &'a Host)>,
) -> BTreeMap<(bool, u128), Vec<u64>> {
    let mut blocks: BTreeMap<(bool, u128), Vec<u64>> = BTreeMap::new();
    for (number, _) in hosts {
        if let Some(address) = state.address(number) {
            blocks.entry(block(address)).or_default().push(number);
        }
    }
    blocks
}

/// What is recognised by link-layer addresses alone.
pub(super) fn by_link_address(state: &State) -> Vec<Swallowed> {
    let mut by_mac: BTreeMap<MacAddr, Vec<u64>> = BTreeMap::new();
    for (number, host) in &state.hosts {
        if let Some((mac, _, _)) = host.mac {
            by_mac.entry(mac).or_default().push(*number);
        }
    }
    by_mac.retain(|_, numbers| numbers.len() >= ENOUGH);
    let mut found = Vec::new();
    for (mac, numbers) in by_mac {
        let own = numbers.iter().filter_map(|n| Some((*n, state.hosts.get(n)?)));
        let mut taken: BTreeSet<u64> = BTreeSet::new();
        for members in by_block(state, own).into_values() {
            let Some(address) = members.first().and_then(|n| state.address(*n)) else { continue };
            let others = |number: &&u64| {
                let mac_of = state.hosts.get(number).and_then(|host| host.mac);
                state.has(**number, ALIVE) && mac_of.is_some_and(|(other, _, _)| other != mac)
            };
            let all = asked(state, address);
            let contested = all.len().saturating_sub(all.iter().filter(others).count());
            if members.len() >= ENOUGH && members.len() * 4 >= contested * 3 {
                taken.extend(members);
            }
        }
        if taken.is_empty() {
            continue;
        }
        let rest: Vec<u64> = numbers.into_iter().filter(|n| !taken.contains(n)).collect();
        for run in runs(state, &rest) {
            let touches = |number: Option<&u64>, step: i8| {
                number.and_then(|n| n.checked_add_signed(i64::from(step))).is_some_and(|n| {
                    taken.contains(&n) && is_next(state, n, number.copied().unwrap_or(n))
                })
            };
            if run.len() >= CONTINUES && (touches(run.first(), -1) || touches(run.last(), 1)) {
                taken.extend(run);
            }
        }
        found.push(Swallowed { numbers: taken.into_iter().collect(), mac: Some(mac) });
    }
    found
}

/// Whether two addresses are neighbours.
fn is_next(state: &State, one: u64, other: u64) -> bool {
    match (state.address(one.min(other)), state.address(one.max(other))) {
        (Some(low), Some(high)) => crate::scope::after(low) == Some(high),
        _ => false,
    }
}

/// Splits ascending numbers where their addresses are not neighbours.
fn runs(state: &State, numbers: &[u64]) -> Vec<Vec<u64>> {
    let mut runs: Vec<Vec<u64>> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(|last| is_next(state, *last, *number)) => {
                run.push(*number);
            }
            _ => runs.push(vec![*number]),
        }
    }
    runs
}

/// The blocks in which every address answers alike, without a link-layer address to tell
/// them apart: those that need the further questions.
pub(super) fn suspects(state: &State) -> Vec<Vec<u64>> {
    let far = state.hosts.iter().filter(|(_, host)| host.mac.is_none()).map(|(n, h)| (*n, h));
    let alike = |members: &Vec<u64>| {
        let first = members.first().and_then(|n| state.hosts.get(n));
        members.len() >= ENOUGH
            && members.iter().filter_map(|n| state.hosts.get(n)).all(|host| {
                // A lost answer leaves one method out, but never adds another ttl.
                first.is_some_and(|first| first.ttl() == host.ttl())
            })
            && members
                .first()
                .and_then(|n| state.address(*n))
                .is_some_and(|address| asked(state, address).len() == members.len())
    };
    by_block(state, far).into_values().filter(alike).collect()
}

/// The ports of the further questions: the usual ones, the user's where those are few, and
/// last the unlikely ones, which follow from the key, so that no device can be prepared.
pub(super) fn questions(key: &Key, wanted: &PortSet) -> Vec<u16> {
    let mut ports = USUAL.to_vec();
    if wanted.len() <= USUAL.len() {
        ports.extend(wanted.iter().filter(|port| !USUAL.contains(port)));
    }
    for pair in key.chunks_exact(2).take(UNLIKELY) {
        let value = pair.iter().fold(0_u16, |value, byte| value << 8 | u16::from(*byte));
        let mut port = 20_011 + value % 20_000;
        while ports.contains(&port) {
            port += 1;
        }
        ports.push(port);
    }
    ports
}

/// Whether the answers to [`questions`] say that the members of a suspect block are one.
pub(super) fn are_one(state: &State, members: &[u64], ports: &[u16]) -> bool {
    let mut consensus: Vec<Option<PortState>> = Vec::with_capacity(ports.len());
    for port in ports {
        let mut agreed = None;
        for host in members.iter().filter_map(|number| state.hosts.get(number)) {
            match (agreed, host.early(Transport::Tcp, *port)) {
                (_, None) => {}
                (None, answer) => agreed = answer,
                (Some(one), Some(other)) if one != other => return false,
                _ => {}
            }
        }
        consensus.push(agreed);
    }
    let is_open = |answer: &Option<PortState>| *answer == Some(PortState::Open);
    let (usual, unlikely) = consensus.split_at(consensus.len().saturating_sub(UNLIKELY));
    !usual.iter().any(is_open) || unlikely.iter().all(is_open)
}

/// Blocks that have no link-layer address, those with the same time to live together.
pub(super) fn together(
    state: &State,
    blocks: impl IntoIterator<Item = Vec<u64>>,
) -> Vec<Swallowed> {
    let mut numbers: BTreeMap<Option<u8>, Vec<u64>> = BTreeMap::new();
    for members in blocks {
        let ttl = members.first().and_then(|n| state.hosts.get(n)?.ttl());
        numbers.entry(ttl).or_default().extend(members);
    }
    numbers.into_values().map(|numbers| Swallowed { numbers, mac: None }).collect()
}

/// Joins what lies side by side, so that each is one gap: within 32 addresses of the last.
pub(super) fn clusters(state: &State, swallowed: &Swallowed) -> Vec<(AddressRange, Vec<u64>)> {
    let mut clusters: Vec<(AddressRange, Vec<u64>)> = Vec::new();
    for number in &swallowed.numbers {
        let Some(address) = state.address(*number) else { continue };
        let joined = clusters.last().and_then(|(range, _)| {
            let near = AddressRange::new(range.last(), address)?.len() <= 32;
            AddressRange::new(range.first(), address).filter(|_| near)
        });
        match (joined, clusters.last_mut()) {
            (Some(joined), Some((range, numbers))) => {
                *range = joined;
                numbers.push(*number);
            }
            _ => clusters.push((AddressRange::single(address), vec![*number])),
        }
    }
    clusters
}
