//! What is around a packet: Ethernet with its tags, and what other links have in its place.
//!
//! Every link type that captures of IP networks commonly have is read down to an EtherType
//! and what is behind it. What is inside a tunnel comes back here as a frame of its own
//! ([`super::tunnel`]). Nothing is said of who owns what: only whether a frame is one of a
//! link, on which ARP and its like can bind addresses, or a packet without one.

use model::MacAddr;
use wire::{Malformed, Reader, ethernet};

use super::{radio, tunnel};

/// How frames begin. The numbers are those of capture files (tcpdump.org's list of link types).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum LinkType {
    /// BSD's loopback, 0: the address family in the capturing machine's order, or in the
    /// network's.
    Loopback,
    /// Ethernet, 1.
    Ethernet,
    /// PPP, 9, and in HDLC's frames, 50.
    Ppp,
    /// IP without anything before it: 101; 12 and 14 on some systems; 228; 229.
    RawIp,
    /// Cisco's HDLC, 104.
    CiscoHdlc,
    /// IEEE 802.11, 105.
    Wireless,
    /// OpenBSD's loopback, 108.
    NetworkLoopback,
    /// Linux cooked, version 1, 113.
    LinuxCooked,
    /// IEEE 802.11 with what the radio tells before it, 127.
    Radiotap,
    /// What Linux's packet filter logged, 239.
    Nflog,
    /// Linux cooked, version 2, 276.
    LinuxCooked2,
    /// Any other, by its number.
    Other(u32),
}

impl From<u32> for LinkType {
    fn from(number: u32) -> Self {
        match number {
            0 => Self::Loopback,
            1 => Self::Ethernet,
            9 | 50 => Self::Ppp,
            12 | 14 | 101 | 228 | 229 => Self::RawIp,
            104 => Self::CiscoHdlc,
            105 => Self::Wireless,
            108 => Self::NetworkLoopback,
            113 => Self::LinuxCooked,
            127 => Self::Radiotap,
            239 => Self::Nflog,
            276 => Self::LinuxCooked2,
            other => Self::Other(other),
        }
    }
}

/// Whether ARP and neighbour discovery can mean anything where a frame was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// On a link of stations with addresses of their own, be it one that a tunnel carries.
    OnLink,
    /// A packet alone: behind a router, on a line between two, or in a tunnel for packets.
    Alone,
}

/// A frame of any kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    /// From whom, where the header says it.
    pub(super) source: Option<MacAddr>,
    /// For whom, where the header says it.
    pub(super) destination: Option<MacAddr>,
    /// The VLAN of the innermost tag before the payload; 0 where there is none.
    pub(super) vlan: u16,
    /// What the payload is, behind all VLAN tags; below 0x600 the length of an LLC frame.
    pub(super) ether_type: u16,
    /// What is inside.
    pub(super) payload: &'a [u8],
    /// What it can say.
    pub(super) place: Place,
}

impl<'a> Frame<'a> {
    /// A packet without a link around it.
    pub(super) const fn alone(ether_type: u16, payload: &'a [u8]) -> Self {
        Self { source: None, destination: None, vlan: 0, ether_type, payload, place: Place::Alone }
    }

    /// The same from the version that the packet itself gives; `None` where it is neither.
    pub(super) const fn of_ip(payload: &'a [u8]) -> Option<Self> {
        match payload {
            [0x40..=0x4f, ..] => Some(Self::alone(ethernet::IPV4, payload)),
            [0x60..=0x6f, ..] => Some(Self::alone(ethernet::IPV6, payload)),
            _ => None,
        }
    }
}

/// Reads a frame; `None` for a link type that is not read here, and for frames that carry
/// nothing of a network layer.
pub(super) fn read(link: LinkType, bytes: &[u8]) -> Result<Option<Frame<'_>>, Malformed> {
    match link {
        LinkType::Ethernet => ethernet_frame(bytes).map(Some),
        LinkType::LinuxCooked => cooked(bytes).map(Some),
        LinkType::LinuxCooked2 => cooked_2(bytes).map(Some),
        LinkType::RawIp => Ok(Frame::of_ip(bytes)),
        LinkType::Loopback | LinkType::NetworkLoopback => {
            let mut r = Reader::new(bytes);
            // The family (AF_INET and the many numbers of AF_INET6) says no more than the
            // packet does, and its order is not known.
            r.u32("address family")?;
            Ok(Frame::of_ip(r.rest()))
        }
        LinkType::Ppp => tunnel::ppp(bytes),
        LinkType::CiscoHdlc => {
            let mut r = Reader::new(bytes);
            r.u16("address, control")?;
            let ether_type = r.u16("protocol")?;
            Ok(Some(Frame::alone(ether_type, r.rest())))
        }
        LinkType::Wireless => radio::read(bytes),
        LinkType::Radiotap => radio::behind_radiotap(bytes),
        LinkType::Nflog => nflog(bytes),
        LinkType::Other(_) => Ok(None),
    }
}

/// A frame from its destination address on.
pub(super) fn ethernet_frame(bytes: &[u8]) -> Result<Frame<'_>, Malformed> {
    // As nearly all begin: neither a tag nor a length.
    if let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, payload @ ..] = bytes
        && let ether_type = u16::from_be_bytes([*m, *n])
        && ether_type >= 0x600
        && !is_tag(ether_type)
    {
        return Ok(Frame {
            source: Some(MacAddr([*g, *h, *i, *j, *k, *l])),
            destination: Some(MacAddr([*a, *b, *c, *d, *e, *f])),
            vlan: 0,
            ether_type,
            payload,
            place: Place::OnLink,
        });
    }
    let mut r = Reader::new(bytes);
    let destination = MacAddr(r.array("destination address")?);
    let source = MacAddr(r.array("source address")?);
    let ether_type = r.u16("EtherType")?;
    let frame = inside(Some(source), ether_type, r)?;
    Ok(Frame { destination: Some(destination), ..frame })
}

/// The hardware type of Ethernet in Linux (ARPHRD_ETHER).
const ETHERNET: u16 = 1;

fn cooked(bytes: &[u8]) -> Result<Frame<'_>, Malformed> {
    let mut r = Reader::new(bytes);
    r.u16("packet type")?;
    let hardware = r.u16("ARPHRD_ type")?;
    let len = r.u16("link-layer address length")?;
    let address = r.array::<8>("link-layer address")?;
    let protocol = r.u16("protocol type")?;
    inside(source(hardware, len, address), protocol, r)
}

fn cooked_2(bytes: &[u8]) -> Result<Frame<'_>, Malformed> {
    let mut r = Reader::new(bytes);
    let protocol = r.u16("protocol type")?;
    r.take("reserved, interface index", 6)?;
    let hardware = r.u16("ARPHRD_ type")?;
    r.u8("packet type")?;
    let len = r.u8("link-layer address length")?;
    let address = r.array::<8>("link-layer address")?;
    inside(source(hardware, len.into(), address), protocol, r)
}

fn source(hardware: u16, len: u16, [a, b, c, d, e, f, ..]: [u8; 8]) -> Option<MacAddr> {
    ((hardware, len) == (ETHERNET, 6)).then_some(MacAddr([a, b, c, d, e, f]))
}

/// Tags stand at most so deep: two are in use, a third is somebody's mistake.
const MOST_TAGS: usize = 4;

/// The tags of IEEE 802.1Q, 802.1ad and what came before it.
const fn is_tag(ether_type: u16) -> bool {
    matches!(ether_type, 0x8100 | 0x88a8 | 0x9100 | 0x9200)
}

/// What is behind an EtherType, tags and LLC's long way to say an EtherType taken off.
pub(super) fn inside(
    source: Option<MacAddr>,
    mut ether_type: u16,
    mut r: Reader<'_>,
) -> Result<Frame<'_>, Malformed> {
    let mut vlan = 0;
    for _ in 0..MOST_TAGS {
        if !is_tag(ether_type) {
            break;
        }
        // A tag of VLAN 0 carries a priority only (IEEE 802.1Q, 6.9.1).
        match r.u16("tag")? & 0xfff {
            0 => {}
            id => vlan = id,
        }
        ether_type = r.u16("protocol type")?;
    }
    let payload = r.rest();
    let (ether_type, payload) = match snap(ether_type, payload) {
        Some((kind, inside)) => (kind, inside),
        None => (ether_type, payload),
    };
    Ok(Frame { source, destination: None, vlan, ether_type, payload, place: Place::OnLink })
}

/// The EtherType behind SNAP's header with RFC 1042's code, or that of a bridge tunnel
/// (IEEE 802.1H); other organisations' codes are protocols of their own.
fn snap(length: u16, payload: &[u8]) -> Option<(u16, &[u8])> {
    if length >= 0x600 {
        return None;
    }
    llc(payload.get(..usize::from(length)).unwrap_or(payload))
}

/// The same from LLC's header on.
pub(super) const fn llc(payload: &[u8]) -> Option<(u16, &[u8])> {
    match payload {
        [0xaa, 0xaa, 3, 0, 0, 0 | 0xf8, a, b, inside @ ..] => {
            Some((u16::from_be_bytes([*a, *b]), inside))
        }
        _ => None,
    }
}

/// A message of nfnetlink_log: a family, and fields of which one is the packet.
fn nflog(bytes: &[u8]) -> Result<Option<Frame<'_>>, Malformed> {
    const PAYLOAD: u16 = 9;
    let mut r = Reader::new(bytes);
    r.take("family, version, resource", 4)?;
    while !r.is_at_end() {
        let length = r.u16_le("length")?;
        let kind = r.u16_le("type")?;
        let Some(len) = usize::from(length).checked_sub(4) else {
            return Err(r.invalid("length", length));
        };
        if kind == PAYLOAD {
            return Ok(Frame::of_ip(r.take_up_to(len)));
        }
        r.take("value", len.next_multiple_of(4))?;
    }
    Ok(None)
}
