//! Frames to observations, without asking.
//!
//! One file per protocol family; each says what a message tells and about whom. A network
//! address is bound to a link-layer address only by the protocols whose business that is
//! (ARP, neighbour discovery, DHCP) and by packets that no router passes on (`on_link`), and
//! only in the sender's own words: the frames of a router carry the packets of half the
//! world. Facts are kept, payloads never. Nothing here
//! opens a device or a file (`crate::net::file`), reads a clock, or knows what a fact means.

mod access;
mod arp;
mod datagram;
mod devices;
mod dhcp;
mod dhcpv6;
mod discovery;
mod dtls;
mod flow;
mod fragments;
mod hello;
mod known;
mod link;
mod mdns;
mod memo;
mod names;
mod neighbor;
mod on_link;
mod ours;
mod quic;
mod radio;
mod recent;
mod routing;
mod signature;
mod stream;
mod tickets;
mod tunnel;
mod under_way;
mod uses;
mod voice;

use std::{
    fmt,
    hash::{BuildHasher, Hash as _, Hasher as _},
    iter::Sum,
    net::IpAddr,
};

pub use flow::FlowCounts;
use flow::Flows;
use foldhash::quality::RandomState;
use fragments::Fragments;
use known::Known;
pub use link::LinkType;
use link::{Frame, Place};
use model::{AddressRange, Fact, MacAddr, Method, Observation, Subject, Timestamp, Vantage};
use recent::Recent;
use wire::{Malformed, Problem, eap, ethernet, ip, udp};

/// How often the same fact about the same subject is told again, in seconds: often enough for
/// "last seen", seldom enough that a busy link does not drown the store.
pub const REPEATED_AFTER: i64 = 60;

/// How many tunnels are looked into, one in the other. Real ones are three deep at most
/// (a mirror of a tunnel's frames with a tunnel inside).
const MOST_LAYERS: u8 = 8;

/// How much memory a capture takes in all, unless told otherwise: 256 MiB.
pub const MEMORY: usize = 256 << 20;

/// Listens at one vantage point.
#[derive(Debug)]
pub struct Capture {
    vantage: Vantage,
    counts: Counts,
    /// What it shares with those who listen beside it.
    known: Known,
    hasher: RandomState,
    /// Whom a frame was heard from, so that most frames cost one look.
    recent: Recent,
    fragments: Fragments,
    flows: Flows,
    handshakes: quic::Handshakes,
    /// Datagrams that were read a moment ago.
    heard: Recent,
    datagrams: dtls::Handshakes,
    /// What devices that call themselves so were found to be.
    devices: devices::Known,
    access: access::Access,
    /// What a frame told, kept for its room.
    scratch: Vec<Told>,
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
    /// What became of the flows.
    pub flows: FlowCounts,
    /// Packets whose parts did not all come, or contradict each other.
    pub packets_given_up: u64,
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            frames: sum.frames.saturating_add(one.frames),
            malformed: sum.malformed.saturating_add(one.malformed),
            observations: sum.observations.saturating_add(one.observations),
            flows: sum.flows.and(one.flows),
            packets_given_up: sum.packets_given_up.saturating_add(one.packets_given_up),
        })
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { frames, malformed, observations, flows, packets_given_up } = self;
        let FlowCounts { flows, forgotten, given_up, with_gaps } = flows;
        write!(
            f,
            "{frames} frames, {malformed} malformed, {observations} observations, {flows} flows \
             ({forgotten} forgotten, {given_up} given up, {with_gaps} with gaps), \
             {packets_given_up} fragmented packets given up"
        )
    }
}

impl Capture {
    /// Prepares to listen. Every observation will carry the vantage point.
    #[must_use]
    pub fn new(vantage: Vantage) -> Self {
        Self::with_memory(vantage, MEMORY)
    }

    /// The same with so many bytes for all that is remembered.
    #[must_use]
    pub fn with_memory(vantage: Vantage, memory: usize) -> Self {
        Self::of(vantage, Known::default(), Flows::new(memory))
    }

    /// Another that listens beside it, to what other stations say to each other, in as much
    /// memory of its own. Whose addresses are this place's, what was told, and how much each uses
    /// of which service they know together, so that all of them tell what one would.
    #[must_use]
    pub fn beside(&self) -> Self {
        Self::of(self.vantage.clone(), self.known.clone(), self.flows.beside())
    }

    fn of(vantage: Vantage, known: Known, flows: Flows) -> Self {
        Self {
            vantage,
            counts: Counts::default(),
            known,
            hasher: RandomState::default(),
            recent: Recent::new(),
            fragments: Fragments::default(),
            flows,
            handshakes: quic::Handshakes::default(),
            heard: Recent::new(),
            datagrams: dtls::Handshakes::default(),
            devices: devices::Known::default(),
            access: access::Access::default(),
            scratch: Vec::new(),
        }
    }

    /// Tells only of the place's own: private addresses, those that are bound on the link, and
    /// these public networks. Without this it tells of every address that it hears.
    #[must_use]
    pub fn only_ours(self, networks: Vec<AddressRange>) -> Self {
        self.known.only(networks);
        self
    }

    /// The same from now on, of those beside it too. Public addresses that were bound on the link
    /// stay known.
    pub fn listen_only_to(&mut self, networks: Vec<AddressRange>) {
        self.known.change(networks);
    }

    /// What went through so far.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        let (flows, packets_given_up) = (self.flows.counts(), self.fragments.given_up());
        Counts { flows, packets_given_up, ..self.counts }
    }

    /// How many bytes what it alone remembers takes, about.
    #[must_use]
    pub fn own_memory(&self) -> usize {
        self.flows.memory().saturating_add(self.datagrams.memory())
    }

    /// The same with what those beside it know as well.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.own_memory().saturating_add(self.known.memory())
    }

    /// Tells what is ripe at that time, where no frame comes to say that time has passed.
    pub fn tick(&mut self, at: Timestamp, sink: &mut dyn FnMut(Observation)) {
        let mut told = std::mem::take(&mut self.scratch);
        self.flows.settle_before(at, &mut told);
        self.datagrams.settle_before(at, &mut told);
        self.hand_on(at, &mut told, sink);
        self.scratch = told;
    }

    /// Tells what is known of the flows that have not ended. More may follow, and is a
    /// beginning then.
    pub fn finish(&mut self, at: Timestamp, sink: &mut dyn FnMut(Observation)) {
        let mut told = std::mem::take(&mut self.scratch);
        self.flows.settle_all(&mut told);
        self.datagrams.settle_all(&mut told);
        self.hand_on(at, &mut told, sink);
        self.scratch = told;
    }

    /// Takes an Ethernet frame, from its destination address on and without its check
    /// sequence, and hands what it tells to `sink`. A frame may be cut; what is there is read.
    pub fn frame(&mut self, at: Timestamp, bytes: &[u8], sink: &mut dyn FnMut(Observation)) {
        self.frame_of(LinkType::Ethernet, at, bytes, sink);
    }

    /// Takes a frame of any link type; those of [`LinkType::Other`] are counted and tell
    /// nothing.
    pub fn frame_of(
        &mut self,
        link: LinkType,
        at: Timestamp,
        bytes: &[u8],
        sink: &mut dyn FnMut(Observation),
    ) {
        self.tagged_frame_of(link, None, at, bytes, sink);
    }

    /// The same, of a frame from which a network card took a VLAN tag: the identifier that it
    /// had.
    pub fn tagged_frame_of(
        &mut self,
        link: LinkType,
        tag: Option<u16>,
        at: Timestamp,
        bytes: &[u8],
        sink: &mut dyn FnMut(Observation),
    ) {
        self.counts.frames = self.counts.frames.saturating_add(1);
        let mut told = std::mem::take(&mut self.scratch);
        let read = link::read(link, bytes).and_then(|frame| match frame {
            Some(mut frame) => {
                // A tag that is still there was inside of the one that was taken off.
                if let (Some(tag), 0) = (tag, frame.vlan) {
                    frame.vlan = tag;
                }
                self.read(at, &frame, MOST_LAYERS, &mut told)
            }
            None => Ok(()),
        });
        if read.is_err() {
            self.counts.malformed = self.counts.malformed.saturating_add(1);
        }
        self.hand_on(at, &mut told, sink);
        self.scratch = told;
    }

    fn hand_on(&mut self, at: Timestamp, told: &mut Vec<Told>, sink: &mut dyn FnMut(Observation)) {
        self.known.sift(at, told);
        self.counts.observations = self.counts.observations.saturating_add(told.len() as u64);
        for fact in told.drain(..) {
            sink(Observation {
                observed_at: fact.at.unwrap_or(at),
                vantage: self.vantage.clone(),
                method: Method::Capture,
                subject: fact.subject,
                fact: fact.fact,
                evidence: fact.evidence,
            });
        }
    }
}

/// A fact before it has a time and a place.
#[derive(Debug)]
struct Told {
    subject: Subject,
    fact: Fact,
    evidence: Vec<u8>,
    /// When it was so, where that was before the frame that made it known.
    at: Option<Timestamp>,
}

impl Told {
    /// The evidence is a header, or the value itself: never what users said to each other.
    fn new(subject: Subject, fact: Fact, evidence: &[u8]) -> Self {
        let most = Observation::MAX_EVIDENCE;
        let evidence = evidence.get(..most).unwrap_or(evidence).to_vec();
        Self { subject, fact, evidence, at: None }
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

impl Capture {
    /// Reads a frame into what it tells, and what is inside of it, so many layers deep.
    ///
    /// # Errors
    ///
    /// A message breaks its protocol or is cut; what was told before stays.
    fn read(
        &mut self,
        at: Timestamp,
        frame: &Frame<'_>,
        layers: u8,
        told: &mut Vec<Told>,
    ) -> Result<(), Malformed> {
        let before = told.len();
        if let Some(mac) = frame.source.filter(|mac| is_of_an_interface(*mac)) {
            let vlan = frame.vlan;
            if self.recent.is_news(at, self.hasher.hash_one((mac.0, vlan))) {
                told.push(Told::new(Subject::Mac(mac), Fact::Alive { ttl: None }, &[]));
                if (1..4_095).contains(&vlan) {
                    told.push(Told::new(Subject::Mac(mac), Fact::Vlan(vlan), &[]));
                }
            }
        }
        let read = match frame.ether_type {
            ethernet::ARP => arp::read(frame, told),
            ethernet::IPV4 | ethernet::IPV6 => self.read_packet(at, frame, layers, told),
            eap::ETHER_TYPE => self.access.frame(at, frame, told),
            _ => match tunnel::of_frame(frame)? {
                Some(inside) => self.read_inside(at, &inside, layers, told),
                None => discovery::read(frame, told),
            },
        };
        // Where there is no link, nobody's word binds an address to an interface.
        if frame.place == Place::Alone {
            let mut place = 0;
            told.retain(|fact| {
                place += 1;
                place <= before || !matches!(fact.fact, Fact::LinkAddress(_))
            });
        }
        read
    }

    /// Reads what a tunnel carried. Deeper than real tunnels go is somebody's game.
    fn read_inside(
        &mut self,
        at: Timestamp,
        frame: &Frame<'_>,
        layers: u8,
        told: &mut Vec<Told>,
    ) -> Result<(), Malformed> {
        match layers.checked_sub(1) {
            Some(left) => self.read(at, frame, left, told),
            None => Ok(()),
        }
    }

    fn read_packet(
        &mut self,
        at: Timestamp,
        frame: &Frame<'_>,
        layers: u8,
        told: &mut Vec<Told>,
    ) -> Result<(), Malformed> {
        let packet = ip::Packet::parse(frame.payload)?;
        // Neighbour discovery is stricter, and has its own words for it.
        if packet.protocol != ip::ICMPV6 {
            on_link::bind(frame.source, &packet, told);
        }
        if packet.protocol == ip::TCP && !packet.fragment {
            return self.flows.take(at, &packet, frame.payload, told);
        }
        if !packet.fragment {
            return self.read_payload(at, frame, &packet, layers, told);
        }
        let Some(part) = ip::Fragment::of(frame.payload) else { return Ok(()) };
        match self.fragments.add(at, &packet, part) {
            Some(payload) => {
                let whole = ip::Packet { payload: &payload, fragment: false, ..packet };
                self.read_payload(at, frame, &whole, layers, told)
            }
            None => Ok(()),
        }
    }

    fn read_payload(
        &mut self,
        at: Timestamp,
        frame: &Frame<'_>,
        packet: &ip::Packet<'_>,
        layers: u8,
        told: &mut Vec<Told>,
    ) -> Result<(), Malformed> {
        match packet.protocol {
            ip::ICMPV6 => neighbor::read(frame.source, packet, told),
            ip::TCP => self.flows.take(at, packet, &[], told),
            ip::UDP => {
                let datagram = udp::Datagram::parse(packet.payload)?;
                let ports = (datagram.source_port, datagram.destination_port);
                match tunnel::of_datagram(ports, datagram.payload) {
                    Some(inside) => self.read_inside(at, &inside, layers, told),
                    None => {
                        self.flows.count_datagram(at, packet, &datagram, told);
                        let before = told.len();
                        self.handshakes.take(at, packet, &datagram, told);
                        if let Some(used) = flow::cloud_of(told, before) {
                            self.flows.count_from(packet, &datagram, used);
                        }
                        self.datagrams.take(at, packet, &datagram, told);
                        self.access.datagram(at, packet, &datagram, told);
                        self.read_datagram(at, frame, packet, &datagram, told)
                    }
                }
            }
            _ => match tunnel::of_packet(packet)? {
                Some(inside) => self.read_inside(at, &inside, layers, told),
                None => routing::read(packet, told),
            },
        }
    }
}

impl Capture {
    /// Reads a datagram, unless the same was read a moment ago: devices announce themselves in
    /// the same words again and again, and those tell nothing new.
    fn read_datagram(
        &mut self,
        at: Timestamp,
        frame: &Frame<'_>,
        packet: &ip::Packet<'_>,
        datagram: &udp::Datagram<'_>,
        told: &mut Vec<Told>,
    ) -> Result<(), Malformed> {
        let mut hasher = self.hasher.build_hasher();
        if !datagram::words(datagram, &mut |part| hasher.write(part)) {
            return datagram::read(frame, packet, datagram, &self.devices, told);
        }
        let ports = (datagram.source_port, datagram.destination_port);
        let ends = (packet.source, packet.destination, packet.ttl, ports);
        (frame.source.map(|mac| mac.0), ends, datagram.payload.len()).hash(&mut hasher);
        let hash = hasher.finish();
        if self.heard.holds(at, hash) {
            return Ok(());
        }
        let read = datagram::read(frame, packet, datagram, &self.devices, told);
        // What is malformed is counted each time.
        if read.is_ok() {
            self.heard.note(at, hash);
        }
        read
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
