//! How many connections there are, in all and from one address: whoever opens many keeps nobody
//! else out.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

/// Connections from one address. A browser has six at once, and a scan that is watched holds one:
/// that many browsers behind one address are an office.
pub(super) const FROM_ONE: usize = 64;

/// Who is connected how often.
#[derive(Debug, Default)]
pub(super) struct Crowd(Mutex<HashMap<IpAddr, usize>>);

/// A connection that counts until it is dropped.
#[derive(Debug)]
pub(super) struct Guest {
    crowd: Arc<Crowd>,
    counted: IpAddr,
}

impl Crowd {
    /// Counts one more connection from there; `None` where there are `most` of them.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr, most: usize) -> Option<Guest> {
        let counted = counted(peer);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = all.entry(counted).or_default();
        if *own >= most {
            return None;
        }
        *own = own.saturating_add(1);
        Some(Guest { crowd: Arc::clone(self), counted })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut all = self.crowd.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = all.get(&self.counted).copied().unwrap_or_default().saturating_sub(1);
        match left {
            0 => drop(all.remove(&self.counted)),
            left => drop(all.insert(self.counted, left)),
        }
    }
}

/// Whose address it is: whoever has one of IPv6 has all of its /64.
pub(super) fn counted(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_opens_many_connections_keeps_nobody_else_out() {
        let crowd = Arc::new(Crowd::default());
        let admit = |peer: &str| crowd.admit(peer.parse().unwrap(), 2);
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
}
