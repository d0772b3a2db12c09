//! What is around a packet: Ethernet, and the two headers that Linux puts in its place when
//! a capture listens on all interfaces at once.

use model::MacAddr;
use wire::{Malformed, Reader, ethernet};

/// How frames begin. The numbers are those of capture files (tcpdump.org's list of link types).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum LinkType {
    /// Ethernet, 1.
    Ethernet,
    /// Linux cooked, version 1, 113.
    LinuxCooked,
    /// Linux cooked, version 2, 276.
    LinuxCooked2,
    /// Any other, by its number.
    Other(u32),
}

impl From<u32> for LinkType {
    fn from(number: u32) -> Self {
        match number {
            1 => Self::Ethernet,
            113 => Self::LinuxCooked,
            276 => Self::LinuxCooked2,
            other => Self::Other(other),
        }
    }
}

/// A frame of any kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    /// From whom, where the header says it.
    pub(super) source: Option<MacAddr>,
    /// What the payload is, behind all VLAN tags.
    pub(super) ether_type: u16,
    /// What is inside.
    pub(super) payload: &'a [u8],
}

/// Reads a frame; `None` for a link type that is not read here.
pub(super) fn read(link: LinkType, bytes: &[u8]) -> Result<Option<Frame<'_>>, Malformed> {
    match link {
        LinkType::Ethernet => {
            let ethernet::Frame { source, ether_type, payload, .. } =
                ethernet::Frame::parse(bytes)?;
            Ok(Some(Frame { source: Some(source), ether_type, payload }))
        }
        LinkType::LinuxCooked => cooked(bytes).map(Some),
        LinkType::LinuxCooked2 => cooked_2(bytes).map(Some),
        LinkType::Other(_) => Ok(None),
    }
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

fn inside(
    source: Option<MacAddr>,
    mut ether_type: u16,
    mut r: Reader<'_>,
) -> Result<Frame<'_>, Malformed> {
    // The tags of IEEE 802.1Q, 802.1ad and what came before it.
    while matches!(ether_type, 0x8100 | 0x88a8 | 0x9100) {
        r.u16("tag")?;
        ether_type = r.u16("protocol type")?;
    }
    Ok(Frame { source, ether_type, payload: r.rest() })
}
