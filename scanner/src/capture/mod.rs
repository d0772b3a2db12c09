//! Frames to observations, without asking.
//!
//! One file per protocol family; each says what a message tells and about whom. A network
//! address is bound to a link-layer address only by the protocols whose business that is
//! (ARP, neighbour discovery, DHCP) and by packets that no router passes on (`on_link`), and
//! only in the sender's own words: the frames of a router carry the packets of half the
//! world. Facts are kept, payloads never. Nothing here
//! opens a device or a file (`crate::net::file`), reads a clock, or knows what a fact means.

mod arp;
mod datagram;
mod devices;
mod dhcp;
mod dhcpv6;
mod discovery;
mod link;
mod mdns;
mod names;
mod neighbor;
mod on_link;
mod ours;
mod routing;
mod uses;

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
};

pub use link::LinkType;
use model::{AddressRange, Fact, MacAddr, Method, Observation, Subject, Timestamp, Vantage};
use wire::{Malformed, Problem, ethernet, ip, udp};

use self::ours::Ours;

/// How often the same fact about the same subject is told again, in seconds: often enough for
/// "last seen", seldom enough that a busy link does not drown the store.
pub const REPEATED_AFTER: i64 = 60;

/// How many facts are remembered as told. With more, all are forgotten and told once more,
/// so that a flood of forged addresses costs repetition and not memory.
const MOST_REMEMBERED: usize = 1 << 16;

/// Listens at one vantage point.
#[derive(Debug)]
pub struct Capture {
    vantage: Vantage,
    counts: Counts,
    ours: Ours,
    hasher: RandomState,
    /// By subject and kind of fact: when it was told last, and what.
    told: HashMap<u64, (Timestamp, u64)>,
}

/// What went through.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Frames handed in.
    pub frames: u64,
    /// Frames that are none, and messages in them that break their protocol or are cut.
    pub malformed: u64,
    /// Observations made.
    pub observations: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { frames, malformed, observations } = self;
        write!(f, "{frames} frames, {malformed} malformed, {observations} observations")
    }
}

impl Capture {
    /// Prepares to listen. Every observation will carry the vantage point.
    #[must_use]
    pub fn new(vantage: Vantage) -> Self {
        Self {
            vantage,
            counts: Counts::default(),
            ours: Ours::default(),
            hasher: RandomState::new(),
            told: HashMap::new(),
        }
    }

    /// Tells only of the place's own: private addresses, those that are bound on the link, and
    /// these public networks. Without this it tells of every address that it hears.
    #[must_use]
    pub fn only_ours(mut self, networks: Vec<AddressRange>) -> Self {
        self.ours = Ours::only(networks);
        self
    }

    /// What went through so far.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Takes an Ethernet frame, from its destination address on and without its check
    /// sequence, and hands what it tells to `sink`. A frame may be cut; what is there is read.
    pub fn frame(&mut self, at: Timestamp, bytes: &[u8], sink: &mut dyn FnMut(Observation)) {
        self.frame_of(LinkType::Ethernet, at, bytes, sink);
    }

    /// Takes a frame of any link type; those of others than Ethernet and Linux's cooked ones
    /// are counted and tell nothing.
    pub fn frame_of(
        &mut self,
        link: LinkType,
        at: Timestamp,
        bytes: &[u8],
        sink: &mut dyn FnMut(Observation),
    ) {
        self.counts.frames = self.counts.frames.saturating_add(1);
        let mut told = Vec::new();
        match link::read(link, bytes) {
            Ok(Some(frame)) => {
                if read(&frame, &mut told).is_err() {
                    self.counts.malformed = self.counts.malformed.saturating_add(1);
                }
            }
            Ok(None) => {}
            Err(_) => self.counts.malformed = self.counts.malformed.saturating_add(1),
        }
        for fact in told {
            if self.ours.holds(&fact) && self.is_news(at, &fact) {
                self.counts.observations = self.counts.observations.saturating_add(1);
                sink(Observation {
                    observed_at: at,
                    vantage: self.vantage.clone(),
                    method: Method::Capture,
                    subject: fact.subject,
                    fact: fact.fact,
                    evidence: fact.evidence,
                });
            }
        }
    }

    /// Whether to tell it: it differs from what was told of the subject last, or that was a
    /// while ago.
    fn is_news(&mut self, at: Timestamp, told: &Told) -> bool {
        let hash = |part: &str| self.hasher.hash_one((told.subject, part));
        // A name or a problem stands beside the others; an address has one owner at a time, and
        // each change of it is news.
        let (place, value) = match &told.fact {
            Fact::Alive { .. } => (hash("alive"), 0),
            Fact::LinkAddress(mac) => (hash("link"), self.hasher.hash_one(mac)),
            other => {
                let place = hash(&format!("{other:?}"));
                (place, place)
            }
        };
        let last = self.told.get(&place);
        // The clock of a merged capture may go back: that is not a reason to tell less.
        let recent = last.is_some_and(|(when, what)| {
            *what == value && at.seconds_since(*when).saturating_abs() < REPEATED_AFTER
        });
        if recent {
            return false;
        }
        if self.told.len() >= MOST_REMEMBERED {
            self.told.clear();
        }
        self.told.insert(place, (at, value));
        true
    }
}

/// A fact before it has a time and a place.
struct Told {
    subject: Subject,
    fact: Fact,
    evidence: Vec<u8>,
}

impl Told {
    /// The evidence is a header, or the value itself: never what users said to each other.
    fn new(subject: Subject, fact: Fact, evidence: &[u8]) -> Self {
        let most = Observation::MAX_EVIDENCE;
        Self { subject, fact, evidence: evidence.get(..most).unwrap_or(evidence).to_vec() }
    }

    /// The address is answered for by that link-layer address, in the sender's own words.
    fn binding(address: IpAddr, mac: MacAddr, evidence: &[u8]) -> Option<Self> {
        (is_of_a_station(address) && is_of_an_interface(mac))
            .then(|| Self::new(Subject::Address(address), Fact::LinkAddress(mac), evidence))
    }

    /// The sender breaks a protocol. Messages that only end too soon say nothing of their
    /// sender: a capture cuts them as often.
    fn anomaly(sender: Option<MacAddr>, protocol: &str, error: &Malformed) -> Option<Self> {
        let sender = sender.filter(|mac| is_of_an_interface(*mac))?;
        matches!(error.problem, Problem::Invalid(_)).then(|| {
            let problem = format!("{} is not allowed to be what it is", error.field);
            Self::problem(sender, protocol, problem)
        })
    }

    fn problem(sender: MacAddr, protocol: &str, problem: String) -> Self {
        let fact = Fact::Anomaly { protocol: protocol.to_owned(), problem };
        Self::new(Subject::Mac(sender), fact, &[])
    }
}

/// Reads a frame into what it tells.
///
/// # Errors
///
/// A message breaks its protocol or is cut; what was told before stays.
fn read(frame: &link::Frame<'_>, told: &mut Vec<Told>) -> Result<(), Malformed> {
    if let Some(mac) = frame.source.filter(|mac| is_of_an_interface(*mac)) {
        told.push(Told::new(Subject::Mac(mac), Fact::Alive { ttl: None }, &[]));
    }
    match frame.ether_type {
        ethernet::ARP => arp::read(frame, told),
        ethernet::IPV4 | ethernet::IPV6 => read_packet(frame, told),
        _ => discovery::read(frame, told),
    }
}

fn read_packet(frame: &link::Frame<'_>, told: &mut Vec<Told>) -> Result<(), Malformed> {
    let packet = ip::Packet::parse(frame.payload)?;
    // Neighbour discovery is stricter, and has its own words for it.
    if packet.protocol != ip::ICMPV6 {
        on_link::bind(frame.source, &packet, told);
    }
    // All these messages are short: one in fragments is not theirs, or hides something.
    if packet.fragment {
        return Ok(());
    }
    match packet.protocol {
        ip::ICMPV6 => neighbor::read(frame.source, &packet, told),
        ip::UDP => {
            let datagram = udp::Datagram::parse(packet.payload)?;
            datagram::read(frame, &packet, &datagram, told)
        }
        _ => routing::read(&packet, told),
    }
}

/// Whether the link-layer address belongs to one interface: not to a group, not to whichever
/// router holds a role, not to nobody.
fn is_of_an_interface(mac: MacAddr) -> bool {
    !mac.is_group() && !mac.is_virtual_router() && mac != MacAddr([0; 6])
}

/// Whether one station can have the network address on a link.
fn is_of_a_station(address: IpAddr) -> bool {
    match address {
        // 0/8 and 127/8 are this host's own, 224/3 groups and reserved (RFC 6890).
        IpAddr::V4(v4) => !matches!(v4.octets(), [0 | 127 | 224.., ..]),
        IpAddr::V6(v6) => {
            !(v6.is_unspecified() || v6.is_loopback() || v6.is_multicast())
                && v6.to_ipv4_mapped().is_none()
        }
    }
}

#[cfg(test)]
mod tests;
