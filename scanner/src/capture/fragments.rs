//! Packets that came in parts, put together again (RFC 791, section 3.2; RFC 8200, section 4.5).
//!
//! In bounded memory: so many packets, so many bytes, so many seconds of the capture's own
//! clock. Parts that overlap and are not the very same part again end their packet, as
//! RFC 5722 wants it for IPv6: systems disagree about which part counts, and no honest sender
//! makes them.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
};

use model::Timestamp;
use wire::ip::{self, Fragment};

/// How many packets may wait for their other parts.
const MOST_PACKETS: usize = 1_024;

/// How many bytes may wait in all.
const MOST_BYTES: usize = 4 << 20;

/// How many parts of one packet: a packet of 64 KiB over a link of 576 bytes has 120.
const MOST_PARTS: usize = 128;

/// How long the first part waits for the others, in seconds (RFC 8200, section 4.5: 60; Linux: 30).
const PATIENCE: i64 = 30;

/// How much a packet may hold.
const LARGEST: usize = 65_535;

/// Whose parts they are.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Key {
    source: IpAddr,
    destination: IpAddr,
    identification: u32,
    protocol: u8,
}

/// A packet of which some parts came.
#[derive(Debug)]
struct Waiting {
    since: Timestamp,
    /// In the order of their places; no two overlap.
    parts: Vec<(usize, Vec<u8>)>,
    /// How long the whole is, where the last part came.
    len: Option<usize>,
    bytes: usize,
}

/// The packets that are waited for.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    waiting: HashMap<Key, Waiting>,
    /// In the order of their first parts; some are complete and gone.
    order: VecDeque<(Timestamp, Key)>,
    bytes: usize,
    given_up: u64,
}

impl Fragments {
    /// How many packets were given up: too many at once, too late, or overlapping parts.
    pub(super) const fn given_up(&self) -> u64 {
        self.given_up
    }

    /// Takes a part, and gives the payload of the whole packet where it was the last one.
    pub(super) fn add(
        &mut self,
        at: Timestamp,
        packet: &ip::Packet<'_>,
        part: Fragment,
    ) -> Option<Vec<u8>> {
        self.forget_before(at);
        let key = Key {
            source: packet.source,
            destination: packet.destination,
            identification: part.identification,
            // Every part names it. That of IPv6 is the one behind the fragment header.
            protocol: packet.protocol,
        };
        let end = part.offset.saturating_add(packet.payload.len());
        let bad = end > LARGEST || packet.payload.is_empty();
        // All parts but the last have whole units of eight bytes; a capture that cut one left
        // a hole that nothing fills.
        if bad || (part.more && !packet.payload.len().is_multiple_of(8)) {
            self.give_up(&key);
            return None;
        }
        while self.waiting.len() >= MOST_PACKETS || self.bytes.saturating_add(end) > MOST_BYTES {
            let (_, oldest) = self.order.pop_front()?;
            self.give_up(&oldest);
        }
        if !self.waiting.contains_key(&key) {
            self.order.push_back((at, key));
        }
        let waiting = self.waiting.entry(key).or_insert_with(|| Waiting {
            since: at,
            parts: Vec::new(),
            len: None,
            bytes: 0,
        });
        let before = waiting.bytes;
        if waiting.add(part, packet.payload).is_none() {
            waiting.bytes = before;
            self.give_up(&key);
            return None;
        }
        // Nothing more where the part was known.
        self.bytes = self.bytes.saturating_add(waiting.bytes.saturating_sub(before));
        if waiting.len != Some(waiting.bytes) {
            return None;
        }
        let whole = self.waiting.remove(&key)?;
        self.bytes = self.bytes.saturating_sub(whole.bytes);
        Some(whole.parts.into_iter().flat_map(|(_, bytes)| bytes).collect())
    }

    fn give_up(&mut self, key: &Key) {
        if let Some(gone) = self.waiting.remove(key) {
            self.bytes = self.bytes.saturating_sub(gone.bytes);
            self.given_up = self.given_up.saturating_add(1);
        }
    }

    /// Gives up what has waited too long. The clock of a capture may step; what waits since
    /// the future is old too.
    fn forget_before(&mut self, now: Timestamp) {
        while let Some((since, key)) = self.order.front().copied() {
            let is_its_own = self.waiting.get(&key).is_some_and(|waiting| waiting.since == since);
            if is_its_own {
                if now.seconds_since(since).saturating_abs() <= PATIENCE {
                    return;
                }
                self.give_up(&key);
            }
            self.order.pop_front();
        }
    }
}

impl Waiting {
    /// Adds a part; `None` where it contradicts what came.
    fn add(&mut self, part: Fragment, bytes: &[u8]) -> Option<()> {
        let end = part.offset.checked_add(bytes.len())?;
        let place = self.parts.partition_point(|(offset, _)| *offset < part.offset);
        if let Some((offset, known)) = self.parts.get(place)
            && (*offset, known.as_slice()) == (part.offset, bytes)
        {
            // The same again, from a mirror of two ports: not one byte more.
            self.bytes = self.bytes.checked_sub(bytes.len())?;
            self.parts.remove(place);
        }
        let before = place.checked_sub(1).and_then(|before| self.parts.get(before));
        let overlaps = before.is_some_and(|(at, b)| at.saturating_add(b.len()) > part.offset)
            || self.parts.get(place).is_some_and(|(at, _)| *at < end);
        let beyond = self.len.is_some_and(|len| end > len || (!part.more && end != len));
        if overlaps || beyond || self.parts.len() >= MOST_PARTS {
            return None;
        }
        if !part.more {
            let last = self.parts.last().map_or(0, |(at, b)| at.saturating_add(b.len()));
            if last > end {
                return None;
            }
            self.len = Some(end);
        }
        self.bytes = self.bytes.saturating_add(bytes.len());
        self.parts.insert(place, (part.offset, bytes.to_vec()));
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn part<'a>(payload: &'a [u8]) -> ip::Packet<'a> {
        ip::Packet {
            source: Ipv4Addr::new(192, 0, 2, 1).into(),
            destination: Ipv4Addr::new(192, 0, 2, 2).into(),
            ttl: 64,
            protocol: ip::UDP,
            fragment: true,
            payload,
        }
    }

    fn put(
        fragments: &mut Fragments,
        second: i64,
        (identification, offset, more): (u32, usize, bool),
        bytes: &[u8],
    ) -> Option<Vec<u8>> {
        let place = Fragment { identification, offset, more };
        fragments.add(Timestamp::from_seconds(second), &part(bytes), place)
    }

    #[test]
    fn parts_make_a_whole_in_any_order_and_twice() {
        let whole: Vec<u8> = (0..30).collect();
        let parts = [(0, true, 0..8), (8, true, 8..24), (24, false, 24..30)];
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0]] {
            let mut fragments = Fragments::default();
            let mut got = Vec::new();
            for n in order {
                let (offset, more, range) = parts[n].clone();
                got.extend(put(&mut fragments, 0, (7, offset, more), &whole[range.clone()]));
                if got.is_empty() {
                    got.extend(put(&mut fragments, 0, (7, offset, more), &whole[range]));
                }
            }
            assert_eq!(got, std::slice::from_ref(&whole));
            assert_eq!((fragments.bytes, fragments.given_up()), (0, 0));
        }
    }

    #[test]
    fn overlapping_parts_end_their_packet() {
        let mut fragments = Fragments::default();
        assert_eq!(put(&mut fragments, 0, (7, 0, true), &[1; 16]), None);
        assert_eq!(put(&mut fragments, 0, (7, 8, false), &[2; 16]), None);
        assert_eq!((fragments.waiting.len(), fragments.bytes, fragments.given_up()), (0, 0, 1));
    }

    #[test]
    fn what_never_completes_is_forgotten() {
        let mut fragments = Fragments::default();
        put(&mut fragments, 0, (1, 0, true), &[1; 8]);
        put(&mut fragments, 31, (2, 0, true), &[1; 8]);
        assert_eq!((fragments.waiting.len(), fragments.bytes, fragments.given_up()), (1, 8, 1));
        for n in 0..5_000 {
            put(&mut fragments, 31, (n + 10, 0, true), &[1; 4_096]);
        }
        assert!(fragments.waiting.len() <= MOST_PACKETS && fragments.bytes <= MOST_BYTES);
        assert!(fragments.order.len() <= MOST_PACKETS + 1);
    }
}
