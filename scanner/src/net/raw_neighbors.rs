//! Whom we asked for their link-layer addresses, and what they said.
//!
//! Claims carry no cookie, so they are believed only of addresses that we asked about. A
//! sweep asks about whole networks: for IPv4 that is two bits per address, and six bytes
//! for each of a /24 of which one answered.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use model::MacAddr;

/// What an answer to a question for a link-layer address is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Claim {
    /// Nobody asked.
    Unasked,
    /// The same as before.
    Known,
    /// The first since the last question, or another than before.
    News,
}

/// What is known of the neighbours.
#[derive(Debug, Default)]
pub(super) struct Neighbors {
    /// By the upper 24 bits of the address.
    v4: HashMap<u32, Page>,
    v6: HashMap<Ipv6Addr, Entry>,
}

/// One neighbour.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    asked: bool,
    /// Since it was last asked.
    answered: bool,
    mac: Option<MacAddr>,
}

/// The 256 addresses of an IPv4 /24.
#[derive(Debug, Default)]
struct Page {
    asked: Bits,
    /// Since they were last asked.
    answered: Bits,
    macs: Option<Box<Macs>>,
}

#[derive(Debug)]
struct Macs {
    known: Bits,
    macs: [MacAddr; 256],
}

/// A bit for each of 256.
#[derive(Clone, Copy, Debug, Default)]
struct Bits([u64; 4]);

impl Bits {
    const fn place(number: u8) -> (usize, u64) {
        ((number >> 6) as usize, 1 << (number & 63))
    }

    const fn has(&self, number: u8) -> bool {
        let (word, bit) = Self::place(number);
        self.0[word] & bit != 0
    }

    const fn set(&mut self, number: u8, on: bool) {
        let (word, bit) = Self::place(number);
        if on {
            self.0[word] |= bit;
        } else {
            self.0[word] &= !bit;
        }
    }
}

impl Page {
    fn mac(&self, last: u8) -> Option<MacAddr> {
        let macs = self.macs.as_ref().filter(|macs| macs.known.has(last))?;
        Some(macs.macs[usize::from(last)])
    }

    fn put(&mut self, last: u8, mac: MacAddr) {
        let macs = self.macs.get_or_insert_with(|| {
            Box::new(Macs { known: Bits::default(), macs: [MacAddr([0; 6]); 256] })
        });
        macs.known.set(last, true);
        macs.macs[usize::from(last)] = mac;
    }
}

/// The page of an address, and its place there.
const fn split(address: Ipv4Addr) -> (u32, u8) {
    let [.., last] = address.octets();
    (address.to_bits() >> 8, last)
}

impl Neighbors {
    /// The address is being asked about, perhaps once more.
    pub(super) fn ask(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(v4) => {
                let (page, last) = split(v4);
                let page = self.v4.entry(page).or_default();
                page.asked.set(last, true);
                page.answered.set(last, false);
            }
            IpAddr::V6(v6) => {
                let entry = self.v6.entry(v6).or_default();
                (entry.asked, entry.answered) = (true, false);
            }
        }
    }

    /// Somebody says where the address is.
    pub(super) fn hear(&mut self, address: IpAddr, mac: MacAddr) -> Claim {
        match address {
            IpAddr::V4(v4) => {
                let (page, last) = split(v4);
                let Some(page) = self.v4.get_mut(&page).filter(|page| page.asked.has(last)) else {
                    return Claim::Unasked;
                };
                if page.answered.has(last) && page.mac(last) == Some(mac) {
                    return Claim::Known;
                }
                page.answered.set(last, true);
                page.put(last, mac);
            }
            IpAddr::V6(v6) => {
                let Some(entry) = self.v6.get_mut(&v6).filter(|entry| entry.asked) else {
                    return Claim::Unasked;
                };
                if entry.answered && entry.mac == Some(mac) {
                    return Claim::Known;
                }
                (entry.answered, entry.mac) = (true, Some(mac));
            }
        }
        Claim::News
    }

    /// Where the address is, which was learned in another way than by [`Self::ask`].
    pub(super) fn learn(&mut self, address: IpAddr, mac: MacAddr) {
        match address {
            IpAddr::V4(v4) => {
                let (page, last) = split(v4);
                self.v4.entry(page).or_default().put(last, mac);
            }
            IpAddr::V6(v6) => self.v6.entry(v6).or_default().mac = Some(mac),
        }
    }

    /// Where the address is.
    pub(super) fn mac(&self, address: IpAddr) -> Option<MacAddr> {
        match address {
            IpAddr::V4(v4) => {
                let (page, last) = split(v4);
                self.v4.get(&page)?.mac(last)
            }
            IpAddr::V6(v6) => self.v6.get(&v6)?.mac,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const TWO: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

    #[test]
    fn a_claim_is_believed_of_whom_we_asked_and_is_news_once() {
        for address in ["198.18.3.255", "2001:db8::9"].map(|text| text.parse().unwrap()) {
            let mut neighbors = Neighbors::default();
            assert_eq!(neighbors.hear(address, ONE), Claim::Unasked);
            assert_eq!(neighbors.mac(address), None);
            neighbors.ask(address);
            for (mac, expected) in [
                (ONE, Claim::News),
                (ONE, Claim::Known),
                (TWO, Claim::News),
                (TWO, Claim::Known),
                (ONE, Claim::News),
            ] {
                assert_eq!(neighbors.hear(address, mac), expected);
                assert_eq!(neighbors.mac(address), Some(mac));
            }
            // Asked once more, the same answer is an answer again.
            neighbors.ask(address);
            assert_eq!(neighbors.mac(address), Some(ONE));
            assert_eq!(neighbors.hear(address, ONE), Claim::News);
        }
    }

    #[test]
    fn what_was_learned_otherwise_makes_no_claim_believed() {
        for address in ["198.18.3.0", "2001:db8::9"].map(|text| text.parse().unwrap()) {
            let mut neighbors = Neighbors::default();
            neighbors.learn(address, ONE);
            assert_eq!(neighbors.mac(address), Some(ONE));
            assert_eq!(neighbors.hear(address, TWO), Claim::Unasked);
            neighbors.ask(address);
            assert_eq!(neighbors.hear(address, ONE), Claim::News);
        }
    }

    #[test]
    fn every_address_of_a_network_has_a_place_of_its_own() {
        let mut neighbors = Neighbors::default();
        let address = |number: u16| -> IpAddr {
            let [high, low] = number.to_be_bytes();
            [198, 18, high, low].into()
        };
        let mac = |number: u16| {
            let [high, low] = number.to_be_bytes();
            MacAddr([2, 0, 0, 0, high, low])
        };
        for number in (0..2_048).step_by(3) {
            neighbors.ask(address(number));
            assert_eq!(neighbors.hear(address(number), mac(number)), Claim::News);
        }
        for number in 0..2_048 {
            let expected = (number % 3 == 0).then(|| mac(number));
            assert_eq!(neighbors.mac(address(number)), expected, "{number}");
        }
        // A bit for "asked" and one for "answered": 64 bytes for 256 addresses, and the rest.
        assert!(size_of::<Page>() <= 72);
    }
}
