//! What is inside a tunnel: a frame of another link, or a packet alone.
//!
//! GRE (RFC 2784, RFC 2890) with ERSPAN's mirrored frames, VXLAN (RFC 7348), GENEVE (RFC 8926),
//! MPLS (RFC 3032, RFC 4385), PPP and PPPoE (RFC 2516), IP in IP (RFC 2003, RFC 4213), GTP-U,
//! Teredo (RFC 4380), EtherIP (RFC 3378), provider backbone bridges (IEEE 802.1ah). One layer
//! is taken off at a time; [`super::read`] bounds how many.

use wire::{Malformed, Problem, Reader, ethernet, ip};

use super::link::{self, Frame};

/// Protocol numbers of IP.
const IPV4: u8 = 4;
const IPV6: u8 = 41;
const GRE: u8 = 47;
const ETHERIP: u8 = 97;
const MPLS_IN_IP: u8 = 137;

/// What is inside a packet that is a tunnel's by its protocol number.
pub(super) fn of_packet<'a>(packet: &ip::Packet<'a>) -> Result<Option<Frame<'a>>, Malformed> {
    match packet.protocol {
        IPV4 | IPV6 => Ok(Frame::of_ip(packet.payload)),
        GRE => gre(packet.payload),
        MPLS_IN_IP => mpls(packet.payload),
        ETHERIP => {
            let mut r = Reader::new(packet.payload);
            let version = r.u16("version")?;
            match version >> 12 {
                3 => link::ethernet_frame(r.rest()).map(Some),
                _ => Err(r.invalid("version", version)),
            }
        }
        _ => Ok(None),
    }
}

/// What is inside a datagram to a tunnel's port; `None` for other ports, and for what does
/// not look like the tunnel: the ports are in the range that clients use too.
pub(super) fn of_datagram(ports: (u16, u16), payload: &[u8]) -> Option<Frame<'_>> {
    let inside = match ports.1 {
        4789 | 8472 => vxlan(payload),
        4790 => vxlan_gpe(payload),
        6081 => geneve(payload),
        6635 => mpls(payload),
        2152 => gtp(payload),
        3544 => teredo(payload),
        // RFC 8086.
        4754 => gre(payload),
        5072 => ayiya(payload),
        _ if ports.0 == 2152 => gtp(payload),
        _ if ports.0 == 3544 => teredo(payload),
        _ if ports.0 == 5072 => ayiya(payload),
        _ if is_teredo(payload) => teredo(payload),
        _ => return None,
    };
    inside.ok().flatten()
}

/// What is inside a frame that is a tunnel's by its EtherType.
pub(super) fn of_frame<'a>(frame: &Frame<'a>) -> Result<Option<Frame<'a>>, Malformed> {
    match frame.ether_type {
        0x8847 | 0x8848 => mpls(frame.payload),
        0x8864 => pppoe(frame.payload),
        0x6558 => link::ethernet_frame(frame.payload).map(Some),
        // IEEE 802.1ah: the service instance, then the customer's frame.
        0x88e7 => behind("I-TAG", 4, frame.payload),
        // FabricPath: the forwarding tag, then a frame. Its outer addresses are no MACs.
        0x8903 => behind("FTAG", 2, frame.payload),
        _ => Ok(None),
    }
}

fn behind<'a>(
    header: &'static str,
    len: usize,
    bytes: &'a [u8],
) -> Result<Option<Frame<'a>>, Malformed> {
    let mut r = Reader::new(bytes);
    r.take(header, len)?;
    link::ethernet_frame(r.rest()).map(Some)
}

fn gre(bytes: &[u8]) -> Result<Option<Frame<'_>>, Malformed> {
    const CHECKSUM: u16 = 0x8000;
    const ROUTING: u16 = 0x4000;
    const KEY: u16 = 0x2000;
    const SEQUENCE: u16 = 0x1000;
    const ACKNOWLEDGEMENT: u16 = 0x0080;

    let mut r = Reader::new(bytes);
    let flags = r.u16("flags and version")?;
    let protocol = r.u16("protocol type")?;
    if flags & ROUTING != 0 {
        // Withdrawn by RFC 2784, and its length would have to be believed.
        return Ok(None);
    }
    for (flag, field) in [(CHECKSUM, "checksum"), (KEY, "key"), (SEQUENCE, "sequence number")] {
        if flags & flag != 0 {
            r.u32(field)?;
        }
    }
    if flags & 7 == 1 && flags & ACKNOWLEDGEMENT != 0 {
        r.u32("acknowledgment number")?;
    }
    match protocol {
        0x6558 => link::ethernet_frame(r.rest()).map(Some),
        0x880b => ppp(r.rest()),
        0x8847 | 0x8848 => mpls(r.rest()),
        // Without a sequence number it is type I, which has no header of its own.
        0x88be if flags & SEQUENCE == 0 => link::ethernet_frame(r.rest()).map(Some),
        0x88be => behind("ERSPAN type II header", 8, r.rest()),
        0x22eb => {
            let header = r.array::<12>("ERSPAN type III header")?;
            if header.last().is_some_and(|last| last & 1 != 0) {
                r.take("platform specific subheader", 8)?;
            }
            link::ethernet_frame(r.rest()).map(Some)
        }
        other => Ok(Some(Frame::alone(other, r.rest()))),
    }
}

fn vxlan(bytes: &[u8]) -> Result<Option<Frame<'_>>, Malformed> {
    let mut r = Reader::new(bytes);
    let flags = r.u8("flags")?;
    // The identifier is valid; the rest is reserved, or the group policy's.
    if flags & 0x08 == 0 || flags & 0x77 != 0 {
        return Ok(None);
    }
    behind("VXLAN header", 7, r.rest())
}

fn vxlan_gpe(bytes: &[u8]) -> Result<Option<Frame<'_>>, Malformed> {
    let mut r = Reader::new(bytes);
    let flags = r.u8("flags")?;
    r.u16("reserved")?;
    let next = r.u8("next protocol")?;
    r.u32("VNI")?;
    if flags & 0x08 == 0 {
        return Ok(None);
    }
    match next {
        1 | 2 => Ok(Frame::of_ip(r.rest())),
        3 => link::ethernet_frame(r.rest()).map(Some),
        _ => Ok(None),
    }
}

fn geneve(bytes: &[u8]) -> Result<Option<Frame<'_>>, Malformed> {
    let mut r = Reader::new(bytes);
    let first = r.u8("version and option length")?;
    let flags = r.u8("flags")?;
    let protocol = r.u16("protocol type")?;
    r.u32("VNI")?;
    if first >> 6 != 0 || flags & 0x3f != 0 {
        return Ok(None);
    }
    r.take("options", usize::from(first & 0x3f).saturating_mul(4))?;
    match protocol {
        0x6558 => link::ethernet_frame(r.rest()).map(Some),
        other => Ok(Some(Frame::alone(other, r.rest()))),
    }
}

/// The user plane of mobile networks (3GPP TS 29.281): G-PDUs only.
fn gtp(bytes: &[u8]) -> Result<Option<Frame<'_>>, Malformed> {
    let mut r = Reader::new(bytes);
    let flags = r.u8("flags")?;
    let kind = r.u8("message type")?;
    r.u16("length")?;
    r.u32("TEID")?;
    if flags >> 4 != 3 || kind != 255 {
        return Ok(None);
    }
    if flags & 7 != 0 {
        r.take("sequence number, N-PDU number", 3)?;
        let mut next = r.u8("next extension header")?;
        while next != 0 {
            let len = usize::from(r.u8("extension header length")?);
            let Some(body) = len.saturating_mul(4).checked_sub(2) else {
                return Err(r.malformed("extension header length", Problem::Invalid(0)));
            };
            r.take("extension header", body)?;
            next = r.u8("next extension header")?;
        }
    }
    Ok(Frame::of_ip(r.rest()))
}

/// RFC 4380, section 5.1.1: an authentication and an origin may stand before the packet.
fn teredo(bytes: &[u8]) -> Result<Option<Frame<'_>>, Malformed> {
    let mut r = Reader::new(bytes);
    if let [0, 1, ..] = r.rest() {
        r.u16("authentication")?;
        let (id, value) = (r.u8("ID-len")?, r.u8("AU-len")?);
        r.take("authentication", usize::from(id).saturating_add(value.into()).saturating_add(9))?;
    }
    if let [0, 0, ..] = r.rest() {
        r.take("origin", 8)?;
    }
    Ok(Frame::of_ip(r.rest()).filter(|frame| frame.ether_type == ethernet::IPV6))
}

/// Whether it is a packet between two Teredo clients, which use any port: one of version 6, as
/// long as it says, from or to an address of 2001::/32.
fn is_teredo(payload: &[u8]) -> bool {
    const PREFIX: [u8; 4] = [0x20, 1, 0, 0];
    let [0x60..=0x6f, _, _, _, a, b, _, _, rest @ ..] = payload else { return false };
    let len = usize::from(u16::from_be_bytes([*a, *b])).saturating_add(40);
    let is_of = |address: Option<&[u8]>| address.is_some_and(|bytes| bytes.starts_with(&PREFIX));
    payload.len() == len && (is_of(rest.get(..16)) || is_of(rest.get(16..32)))
}

/// AYIYA, an Internet-Draft (draft-massar-v6ops-ayiya-02) that tunnel brokers used.
fn ayiya(bytes: &[u8]) -> Result<Option<Frame<'_>>, Malformed> {
    let mut r = Reader::new(bytes);
    let identity = r.u8("identity length and type")? >> 4;
    let signature = usize::from(r.u8("signature length and method")? >> 4);
    r.u8("authentication method and operation")?;
    let next = r.u8("next header")?;
    r.u32("epoch time")?;
    let identity = 1_usize.checked_shl(identity.into()).unwrap_or(usize::MAX);
    r.take("identity", identity)?;
    r.take("signature", signature.saturating_mul(4))?;
    Ok(Frame::of_ip(r.rest()).filter(|_| matches!(next, IPV4 | IPV6)))
}

/// A label stack, and what is behind it: nothing says what, so the first bits must (RFC 4928).
fn mpls(bytes: &[u8]) -> Result<Option<Frame<'_>>, Malformed> {
    let mut r = Reader::new(bytes);
    const MOST_LABELS: usize = 16;
    for _ in 0..MOST_LABELS {
        const BOTTOM: u32 = 0x100;
        if r.u32("label stack entry")? & BOTTOM != 0 {
            break;
        }
    }
    match r.rest() {
        [0x40..=0x4f | 0x60..=0x6f, ..] => Ok(Frame::of_ip(r.rest())),
        // The control word of a pseudowire, with or without one; its frames are Ethernet's.
        [0x00..=0x0f, _, _, _, inside @ ..] if looks_like_ethernet(inside) => {
            link::ethernet_frame(inside).map(Some)
        }
        inside if looks_like_ethernet(inside) => link::ethernet_frame(inside).map(Some),
        _ => Ok(None),
    }
}

/// Whether an EtherType that we know stands where one would.
const fn looks_like_ethernet(bytes: &[u8]) -> bool {
    match bytes {
        [_, _, _, _, _, _, _, _, _, _, _, _, a, b, ..] => matches!(
            u16::from_be_bytes([*a, *b]),
            ethernet::IPV4 | ethernet::ARP | ethernet::IPV6 | 0x8100 | 0x88a8 | 0x8847 | 0x8864
        ),
        _ => false,
    }
}

fn pppoe(bytes: &[u8]) -> Result<Option<Frame<'_>>, Malformed> {
    let mut r = Reader::new(bytes);
    let version = r.u8("version and type")?;
    if version != 0x11 {
        return Err(r.invalid("version and type", version));
    }
    if r.u8("code")? != 0 {
        return Ok(None);
    }
    r.u16("session")?;
    let len = r.u16("length")?;
    ppp(r.take_up_to(len.into()))
}

/// A PPP frame (RFC 1661), with the address and control of RFC 1662 or without.
pub(super) fn ppp(bytes: &[u8]) -> Result<Option<Frame<'_>>, Malformed> {
    let mut r = Reader::new(bytes);
    if let [0xff, 3, ..] = r.rest() {
        r.u16("address, control")?;
    }
    // An odd first byte is a protocol of one byte (section 2).
    let first = r.u8("protocol")?;
    let protocol = match first & 1 {
        1 => u16::from(first),
        _ => u16::from_be_bytes([first, r.u8("protocol")?]),
    };
    match protocol {
        0x21 => Ok(Some(Frame::alone(ethernet::IPV4, r.rest()))),
        0x57 => Ok(Some(Frame::alone(ethernet::IPV6, r.rest()))),
        0x281 | 0x283 => mpls(r.rest()),
        _ => Ok(None),
    }
}
