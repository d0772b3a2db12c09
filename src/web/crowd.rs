//! How many connections there are, in all and from one address: whoever opens many keeps nobody
//! else out.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

/// How many connections there may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// In all.
    pub(super) all: usize,
    /// From one address. A browser has six at once, and a scan that is watched holds one: that many
    /// browsers behind one address are an office.
    pub(super) one: usize,
    /// From one network of IPv6 that somebody may have all of (a /48).
    pub(super) network: usize,
    /// Of all of them so many are for addresses that have no connection yet.
    pub(super) newcomers: usize,
}

/// Who is connected how often: addresses, and networks of them.
#[derive(Debug, Default)]
pub(super) struct Crowd(Mutex<HashMap<(IpAddr, u8), usize>>);

/// A connection that counts until it is dropped.
#[derive(Debug)]
pub(super) struct Guest {
    crowd: Arc<Crowd>,
    counted: Counted,
}

/// What a connection counts for, each with the bits that it is told by: its address, its network
/// where that is of IPv6, and all of them.
type Counted = [Option<(IpAddr, u8)>; 3];

impl Crowd {
    /// Counts one more connection from there; `None` where there are as many as there may be.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr, bounds: Bounds) -> Option<Guest> {
        let counted = counted(peer);
        let [address, network, whole] = counted;
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number =
            |of: Option<(IpAddr, u8)>| of.and_then(|of| all.get(&of)).copied().unwrap_or_default();
        let own = number(address);
        let room = match own {
            0 => bounds.all,
            _ => bounds.all.saturating_sub(bounds.newcomers),
        };
        if own >= bounds.one || number(network) >= bounds.network || number(whole) >= room {
            return None;
        }
        for key in counted.into_iter().flatten() {
            let number = all.entry(key).or_default();
            *number = number.saturating_add(1);
        }
        Some(Guest { crowd: Arc::clone(self), counted })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut all = self.crowd.0.lock().unwrap_or_else(PoisonError::into_inner);
        for key in self.counted.into_iter().flatten() {
            let left = all.get(&key).copied().unwrap_or_default().saturating_sub(1);
            match left {
                0 => drop(all.remove(&key)),
                left => drop(all.insert(key, left)),
            }
        }
    }
}

/// Whose address it is: whoever has one of IPv6 has all of its /64, and maybe of its /48.
fn counted(peer: IpAddr) -> Counted {
    let whole = Some((Ipv6Addr::UNSPECIFIED.into(), 0));
    match peer.to_canonical() {
        IpAddr::V4(address) => [Some((address.into(), 32)), None, whole],
        IpAddr::V6(address) => {
            let of = |bits: u8| {
                let mask = u128::MAX.checked_shl(128_u32.saturating_sub(bits.into()));
                let first = Ipv6Addr::from_bits(address.to_bits() & mask.unwrap_or_default());
                Some((first.into(), bits))
            };
            [of(64), of(48), whole]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_opens_many_connections_keeps_nobody_else_out() {
        let crowd = Arc::new(Crowd::default());
        let bounds = Bounds { all: 99, one: 2, network: 99, newcomers: 0 };
        let admit = |peer: &str| crowd.admit(peer.parse().unwrap(), bounds);
        let first = admit("2001:db8::1").unwrap();
        // The same network is the same guest, whatever address it takes.
        let second = admit("2001:db8::ffff:7").unwrap();
        assert!(admit("2001:db8::3").is_none());
        let (neighbour, other) = (admit("2001:db8:0:1::1"), admit("192.0.2.7"));
        assert!(neighbour.is_some() && other.is_some());
        // The same in another spelling.
        let mapped = admit("::ffff:192.0.2.7");
        assert!(mapped.is_some() && admit("192.0.2.7").is_none());
        drop(second);
        assert!(admit("2001:db8::3").is_some());
        drop((first, neighbour, other, mapped));
        assert!(crowd.0.lock().unwrap().is_empty());
    }
    #[test]
    fn a_network_of_many_addresses_is_one_guest_and_there_is_room_for_others() {
        let crowd = Arc::new(Crowd::default());
        let bounds = Bounds { all: 6, one: 2, network: 3, newcomers: 2 };
        let admit = |peer: &str| crowd.admit(peer.parse().unwrap(), bounds);
        let mut inside: Vec<_> =
            (1..=3).filter_map(|n| admit(&format!("2001:db8:0:{n}::1"))).collect();
        assert_eq!(inside.len(), 3);
        assert!(admit("2001:db8:0:ffff::1").is_none());
        // Another network, until what is left is for those who have no connection yet.
        let other = admit("2001:db8:1::1");
        assert!(other.is_some() && admit("2001:db8:1::2").is_none());
        let (newcomer, next) = (admit("192.0.2.7"), admit("192.0.2.8"));
        assert!(newcomer.is_some() && next.is_some() && admit("192.0.2.9").is_none());
        drop(inside.pop());
        assert!(admit("192.0.2.9").is_some());
        drop((inside, other, newcomer, next));
        assert!(crowd.0.lock().unwrap().is_empty());
    }
}
