//! The kernel's neighbour table: the ARP cache, and IPv6's neighbour cache.
//!
//! An entry outlives its owner by minutes or hours, so being in the table means nothing.
//! What counts is [`Entry::confirmed`], the time since the kernel last had proof.

use std::{io, net::IpAddr, time::Duration};

use model::MacAddr;
use wire::{Malformed, Reader};

use super::{
    Neighbor,
    interfaces::address,
    netlink::{self, Netlink, attributes},
};
use crate::LinkError;

/// An entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Entry {
    /// The network address.
    pub address: IpAddr,
    /// Its link-layer address; `None` while it is asked for and when nobody answered, and
    /// where it is not six bytes long.
    pub mac: Option<MacAddr>,
    /// The number of the interface.
    pub interface: u32,
    /// What the kernel thinks of it.
    pub state: State,
    /// How long ago the kernel last had proof that the neighbour is there. A new entry
    /// that never had any begins with at least a minute. [`Duration::MAX`] where the
    /// kernel does not tell.
    pub confirmed: Duration,
    /// How long ago the entry last changed its state or link-layer address.
    pub updated: Duration,
}

/// What the kernel thinks of an entry (linux/neighbour.h).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// It is being asked for the first time.
    Incomplete,
    /// It answered not long ago.
    Reachable,
    /// It answered once; nobody knows whether it is still there.
    Stale,
    /// As `Stale`, but used, so that it will be asked soon.
    Delay,
    /// As `Stale`, and being asked now.
    Probe,
    /// It did not answer.
    Failed,
    /// The link needs no such addresses.
    NoArp,
    /// Somebody wrote it down.
    Permanent,
    /// A number that we do not know.
    Other(u16),
}

impl State {
    const fn from_number(number: u16) -> Self {
        match number {
            0x01 => Self::Incomplete,
            0x02 => Self::Reachable,
            0x04 => Self::Stale,
            0x08 => Self::Delay,
            0x10 => Self::Probe,
            0x20 => Self::Failed,
            0x40 => Self::NoArp,
            0x80 => Self::Permanent,
            other => Self::Other(other),
        }
    }
}

impl Entry {
    /// The entry as something that the network said, or `None` where it did not: nobody
    /// answered, or an administrator wrote the entry.
    #[must_use]
    pub fn heard(&self) -> Option<Neighbor> {
        let heard =
            matches!(self.state, State::Reachable | State::Stale | State::Delay | State::Probe);
        let mac = self.mac.filter(|mac| heard && !mac.is_group() && *mac != MacAddr([0; 6]))?;
        let being_asked = matches!(self.state, State::Delay | State::Probe);
        Some(Neighbor { address: self.address, mac, confirmed: self.confirmed, being_asked })
    }
}

impl Entry {
    /// Where to send frames for it: an administrator's entry counts, too, and no age matters
    /// for that. `None` where nobody answered, or not within `fresh`.
    #[must_use]
    pub fn destination(&self, fresh: Duration) -> Option<MacAddr> {
        match self.state {
            State::Permanent => self.mac.filter(|mac| !mac.is_group() && *mac != MacAddr([0; 6])),
            _ => self.heard().filter(|heard| heard.confirmed < fresh).map(|heard| heard.mac),
        }
    }
}

/// The table of the calling thread's network namespace, both families.
///
/// # Errors
///
/// [`LinkError::System`] if the kernel does not tell.
pub fn neighbors() -> Result<Vec<Entry>, LinkError> {
    let ticks = ticks_per_second();
    let read = || -> io::Result<Vec<Entry>> {
        Netlink::open()?.list(netlink::GET_NEIGHBOR, netlink::NEW_NEIGHBOR, &[0; 12], |bytes| {
            read_entry(bytes, ticks)
        })
    };
    read().map_err(|source| LinkError::System { what: "neighbour table", source })
}

/// The unit of the ages that the kernel tells (USER_HZ).
#[expect(unsafe_code, reason = "std does not offer sysconf")]
fn ticks_per_second() -> u32 {
    // SAFETY: sysconf takes a number and returns one.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    u32::try_from(ticks).ok().filter(|ticks| *ticks > 0).unwrap_or(100)
}

/// A `struct ndmsg` and its attributes (linux/neighbour.h).
fn read_entry(bytes: &[u8], ticks_per_second: u32) -> Result<Entry, Malformed> {
    const DESTINATION: u16 = 1;
    const LINK_ADDRESS: u16 = 2;
    const CACHE_INFO: u16 = 3;

    let mut r = Reader::new(bytes);
    let family = r.u8("family")?;
    r.take("padding", 3)?;
    let interface = u32::from_ne_bytes(r.array("index")?);
    let state = State::from_number(u16::from_ne_bytes(r.array("state")?));
    r.take("flags and type", 2)?;
    // Bridges list link-layer addresses here, which have no network address.
    let refused = r.invalid("family", family);

    let age = |ticks: u32| {
        Duration::from_secs(ticks.into()).checked_div(ticks_per_second).unwrap_or(Duration::MAX)
    };
    let (mut of, mut mac) = (None, None);
    let (mut confirmed, mut updated) = (Duration::MAX, Duration::MAX);
    for (kind, value) in attributes(r) {
        match kind {
            DESTINATION => of = address(value),
            LINK_ADDRESS => mac = value.try_into().ok().map(MacAddr),
            CACHE_INFO => {
                let mut r = Reader::new(value);
                confirmed = age(u32::from_ne_bytes(r.array("confirmed")?));
                r.take("used", 4)?;
                updated = age(u32::from_ne_bytes(r.array("updated")?));
            }
            _ => {}
        }
    }
    let address = of.ok_or(refused)?;
    Ok(Entry { address, mac, interface, state, confirmed, updated })
}

#[cfg(test)]
mod tests {
    use super::{super::netlink::put_attribute, *};

    fn entry(state: u16, mac: &[u8], confirmed: u32) -> Vec<u8> {
        let mut bytes = vec![libc::AF_INET as u8, 0, 0, 0];
        bytes.extend_from_slice(&4u32.to_ne_bytes());
        bytes.extend_from_slice(&state.to_ne_bytes());
        bytes.extend_from_slice(&[0, 1]);
        put_attribute(&mut bytes, 1, &[198, 18, 0, 9]);
        put_attribute(&mut bytes, 2, mac);
        let mut info = Vec::new();
        for value in [confirmed, 1, 300, 1] {
            info.extend_from_slice(&value.to_ne_bytes());
        }
        put_attribute(&mut bytes, 3, &info);
        bytes
    }

    #[track_caller]
    fn check(state: u16, mac: &[u8], expected: Option<Duration>) {
        let read = read_entry(&entry(state, mac, 250), 100).unwrap();
        assert_eq!((read.interface, read.updated), (4, Duration::from_secs(3)));
        assert_eq!(read.heard().map(|neighbor| neighbor.confirmed), expected);
    }

    #[test]
    fn only_what_answered_was_heard_and_its_age_is_told() {
        let mac = &[2, 0, 0, 0, 0, 9];
        let age = Some(Duration::from_millis(2500));
        check(0x02, mac, age);
        check(0x04, mac, age);
        check(0x08, mac, age);
        check(0x10, mac, age);
        check(0x01, &[], None);
        check(0x20, mac, None);
        check(0x40, mac, None);
        check(0x80, mac, None);
        check(0x02, &[0; 6], None);
        check(0x02, &[0xff; 6], None);
        check(0x02, &[0; 20], None);
    }

    #[test]
    fn every_cut_is_an_error_or_an_older_entry() {
        let whole = entry(0x02, &[2, 0, 0, 0, 0, 9], 250);
        for len in 0..whole.len() {
            if let Ok(read) = read_entry(&whole[..len], 100) {
                // Without its ages, an entry is never taken for fresh.
                assert_eq!(read.confirmed, Duration::MAX, "cut at {len}");
                assert!(len >= 20, "cut at {len}");
            } else {
                assert!(len < 20, "cut at {len}");
            }
        }
    }

    #[test]
    fn the_kernel_tells_its_table() {
        // What is in it depends on the machine; that it can be read does not.
        neighbors().unwrap();
    }
}
