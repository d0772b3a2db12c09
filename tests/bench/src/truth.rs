//! What is true of the answering network: who is alive and what is open, by the same formula
//! as in `ground.bpf.c`, so that what a scanner must find is calculated and never observed.

use std::{fmt::Write as _, net::Ipv4Addr};

/// The scanner's own address on the link: in the network, and never alive.
pub(crate) const SCANNER: Ipv4Addr = Ipv4Addr::new(198, 19, 255, 254);
/// The scanner's address where the network is behind a router.
pub(crate) const AWAY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// The router.
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// An endpoint: address and TCP port.
pub(crate) type Endpoint = (Ipv4Addr, u16);

/// What an asset does with a question to a closed port.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closed {
    Refuses,
    Silent,
}

/// Where the scanner stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// On the link of the network, where everybody alive answers ARP.
    Link,
    /// Behind a router, which is all that answers ARP.
    Router,
}

/// An answering network. Shares are 0 to 1.
#[derive(Clone, Copy)]
pub(crate) struct Network {
    pub(crate) place: Place,
    pub(crate) key: u64,
    /// The share of addresses that are alive.
    pub(crate) alive: f64,
    /// The share of the ports of an asset that are open.
    pub(crate) open: f64,
    pub(crate) closed: Closed,
    /// The share of questions that are lost.
    pub(crate) loss: f64,
    /// Answers a second that an asset gives at most; 0 is no limit.
    pub(crate) limit: u32,
    /// The share of addresses that are fragile: open at 502, a MAC of a maker of industrial
    /// devices, and dead for good after more than `fragile_most` packets in one second.
    pub(crate) fragile: f64,
    pub(crate) fragile_most: u32,
    /// Keep books of each asset (by the low 12 bits of its address). Costs time.
    pub(crate) watch: bool,
    /// Count SYNs that ask what was asked before (ports are told apart by their low 7 bits).
    pub(crate) distinct: bool,
    /// Drop everything: a sink, for measuring nothing but sending.
    pub(crate) sink: bool,
    /// The rate is taken over so many SYNs, from the first.
    pub(crate) counted: u64,
}

impl Network {
    /// A network in which everybody is alive and nothing is lost or limited.
    pub(crate) const fn new(place: Place) -> Self {
        Self {
            place,
            key: 0x5eed,
            alive: 1.0,
            open: 0.02,
            closed: Closed::Refuses,
            loss: 0.0,
            limit: 0,
            fragile: 0.0,
            fragile_most: 10,
            watch: false,
            distinct: false,
            sink: false,
            counted: u64::MAX,
        }
    }

    /// The constants of `ground.bpf.c`, as arguments for the compiler.
    pub(crate) fn definitions(&self) -> Vec<String> {
        let address = |address: Ipv4Addr| u64::from(address.to_bits());
        let watch = self.watch || self.limit > 0 || self.fragile > 0.0;
        [
            ("KEY", self.key),
            ("ALIVE", threshold(self.alive)),
            ("OPEN", threshold(self.open)),
            ("LOSS", threshold(self.loss)),
            ("FRAGILE", threshold(self.fragile)),
            ("FRAGILE_MOST", u64::from(self.fragile_most)),
            ("LIMIT", u64::from(self.limit)),
            ("CLOSED_SILENT", u64::from(self.closed == Closed::Silent)),
            ("ON_LINK", u64::from(self.place == Place::Link)),
            ("WATCH", u64::from(watch)),
            ("DISTINCT", u64::from(self.distinct)),
            ("VERIFY", u64::from(!self.sink || self.distinct)),
            ("SINK", u64::from(self.sink)),
            ("COUNTED", self.counted),
            ("GATEWAY", address(GATEWAY)),
            ("SCANNER", address(SCANNER)),
        ]
        .map(|(name, value)| format!("-D{name}={value}ull"))
        .to_vec()
    }

    /// A name for these constants.
    pub(crate) fn name(&self) -> String {
        let mut name = String::new();
        for value in self.definitions() {
            // Writing to a string cannot fail.
            let _ = write!(name, "{}", value.split_once('=').map_or("", |(_, value)| value));
        }
        name
    }

    pub(crate) fn is_alive(&self, address: Ipv4Addr) -> bool {
        address != SCANNER && self.draw(1, address, 0) < threshold(self.alive)
    }

    pub(crate) fn is_fragile(&self, address: Ipv4Addr) -> bool {
        self.draw(3, address, 0) < threshold(self.fragile)
    }

    fn is_open(&self, address: Ipv4Addr, port: u16) -> bool {
        self.draw(2, address, port) < threshold(self.open)
            || (port == 502 && self.is_fragile(address))
    }

    /// The open endpoints of those addresses and ports, in order.
    pub(crate) fn open_endpoints(&self, addresses: &Block, ports: &[u16]) -> Vec<Endpoint> {
        let alive = addresses.iter().filter(|address| self.is_alive(*address));
        alive
            .flat_map(|address| ports.iter().map(move |port| (address, *port)))
            .filter(|(address, port)| self.is_open(*address, *port))
            .collect()
    }

    fn draw(&self, what: u64, address: Ipv4Addr, port: u16) -> u64 {
        let place = what << 48 | u64::from(port) << 32 | u64::from(address.to_bits());
        let mut x = self.key ^ place;
        x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ x >> 31) >> 32
    }
}

/// The share of 2^32 that a draw must be below.
fn threshold(share: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 2^32")]
    let threshold = (share.clamp(0.0, 1.0) * 4_294_967_296.0) as u64;
    threshold
}

/// Addresses of 198.18.0.0/15 from its first, as a network of that prefix length.
#[derive(Clone, Copy)]
pub(crate) struct Block(pub(crate) u8);

impl Block {
    pub(crate) fn len(self) -> u32 {
        1 << (32 - self.0)
    }

    /// As a range, of which we ask every address; of a network we leave out the first and the
    /// last, which here are assets like all others.
    pub(crate) fn range(self) -> String {
        format!("198.18.0.0-{}", Ipv4Addr::from_bits(0xc612_0000 + self.len() - 1))
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Ipv4Addr> {
        (0..self.len()).map(|number| Ipv4Addr::from_bits(0xc612_0000 + number))
    }
}

impl std::fmt::Display for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "198.18.0.0/{}", self.0)
    }
}
