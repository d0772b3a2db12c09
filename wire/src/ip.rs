//! IPv4 (RFC 791) and IPv6 (RFC 8200) packets: the envelope only.
//!
//! Reading is etherparse's, lax: IPv6 extension headers are walked, and a packet whose
//! length fields promise more than there is gives what is there, since the packets that
//! ICMP errors quote are nearly always cut. Checksums are not verified: on a frame that
//! a local network card or a virtual link delivered they are often not computed yet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{LaxIpSlice, err::ip::LaxHeaderSliceError};
use pnet::packet::{ip::IpNextHeaderProtocol, util};

use crate::{Malformed, Problem, Reader};

/// Protocol number of ICMP.
pub const ICMP: u8 = 1;
/// Protocol number of TCP.
pub const TCP: u8 = 6;
/// Protocol number of UDP.
pub const UDP: u8 = 17;
/// Protocol number of ICMPv6.
pub const ICMPV6: u8 = 58;

/// A packet of either version.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Packet<'a> {
    /// From whom.
    pub source: IpAddr,
    /// For whom.
    pub destination: IpAddr,
    /// Time to live, or hop limit, as it arrived.
    pub ttl: u8,
    /// What the payload is, behind all extension headers.
    pub protocol: u8,
    /// Whether it is a part of a larger packet. The payload of any but the first part
    /// does not begin with a header.
    pub fragment: bool,
    /// What is inside, without the padding of the frame.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads a packet.
    ///
    /// # Errors
    ///
    /// The fixed header, with the options that it announces, is not there, or its version
    /// is neither 4 nor 6.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        match Self::plain(bytes) {
            Some(packet) => Ok(packet),
            None => Self::any(bytes),
        }
    }

    /// As nearly all are: of version 4, without options, whole, and with what it says it carries.
    #[inline]
    fn plain(bytes: &'a [u8]) -> Option<Self> {
        /// The authentication header (RFC 4302), which etherparse looks behind.
        const AUTHENTICATION: u8 = 51;
        let (header, _) = bytes.split_first_chunk::<20>()?;
        let [0x45, _, high, low, _, _, flags, offset, ttl, protocol, _, _, ends @ ..] = *header
        else {
            return None;
        };
        // More fragments, or an offset.
        if (flags & 0x3f) | offset != 0 || protocol == AUTHENTICATION {
            return None;
        }
        let payload = bytes.get(20..usize::from(u16::from_be_bytes([high, low])))?;
        let [a, b, c, d, e, f, g, h] = ends;
        Some(Self {
            source: IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
            destination: IpAddr::V4(Ipv4Addr::new(e, f, g, h)),
            ttl,
            protocol,
            fragment: false,
            payload,
        })
    }

    fn any(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (slice, _cut_extension) = LaxIpSlice::from_slice(bytes).map_err(malformed)?;
        let ttl = match &slice {
            LaxIpSlice::Ipv4(v4) => v4.header().ttl(),
            LaxIpSlice::Ipv6(v6) => v6.header().hop_limit(),
        };
        let inside = slice.payload();
        Ok(Self {
            source: slice.source_addr(),
            destination: slice.destination_addr(),
            ttl,
            protocol: inside.ip_number.0,
            fragment: inside.fragmented,
            payload: inside.payload,
        })
    }
}

/// Which part of which packet a fragment is (RFC 791, section 3.1; RFC 8200, section 4.5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fragment {
    /// The number that the parts of one packet share, beside their addresses and protocol.
    pub identification: u32,
    /// Where the part begins in the payload, in bytes.
    pub offset: usize,
    /// Whether more follow behind it.
    pub more: bool,
}

impl Fragment {
    /// Reads it from the whole packet. `None` where it is none.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        const HOP_BY_HOP: u8 = 0;
        const ROUTING: u8 = 43;
        const FRAGMENT: u8 = 44;
        const DESTINATION: u8 = 60;

        let mut r = Reader::new(bytes);
        if bytes.first()? >> 4 == 4 {
            r.u32("version to total length").ok()?;
            let identification = r.u16("identification").ok()?.into();
            let place = r.u16("flags and fragment offset").ok()?;
            let (offset, more) = (usize::from(place & 0x1fff) << 3, place & 0x2000 != 0);
            return (offset > 0 || more).then_some(Self { identification, offset, more });
        }
        r.take("version to payload length", 6).ok()?;
        let mut next = r.u8("next header").ok()?;
        r.take("hop limit, addresses", 33).ok()?;
        while matches!(next, HOP_BY_HOP | ROUTING | DESTINATION) {
            next = r.u8("next header").ok()?;
            let len = usize::from(r.u8("header extension length").ok()?);
            r.take("extension header", len.saturating_mul(8).saturating_add(6)).ok()?;
        }
        if next != FRAGMENT {
            return None;
        }
        r.u16("next header, reserved").ok()?;
        let place = r.u16("fragment offset").ok()?;
        let identification = r.u32("identification").ok()?;
        let (offset, more) = (usize::from(place & 0xfff8), place & 1 != 0);
        (offset > 0 || more).then_some(Self { identification, offset, more })
    }
}

fn malformed(error: LaxHeaderSliceError) -> Malformed {
    match error {
        LaxHeaderSliceError::Len(error) => Malformed {
            field: "IP header",
            offset: error.layer_start_offset,
            problem: Problem::Truncated,
        },
        LaxHeaderSliceError::Content(error) => {
            use etherparse::err::ip::HeaderError::{
                Ipv4HeaderLengthSmallerThanHeader, UnsupportedIpVersion,
            };
            let (field, value) = match error {
                UnsupportedIpVersion { version_number } => ("version", version_number),
                Ipv4HeaderLengthSmallerThanHeader { ihl } => ("header length", ihl),
            };
            Malformed { field, offset: 0, problem: Problem::Invalid(value.into()) }
        }
    }
}

/// The two ends of a packet. Both are of one family, or nothing is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ends {
    /// Of an IPv4 packet: source, destination.
    V4(Ipv4Addr, Ipv4Addr),
    /// Of an IPv6 packet: source, destination.
    V6(Ipv6Addr, Ipv6Addr),
}

impl Ends {
    /// The ends, or `None` where they are of two families.
    #[must_use]
    pub const fn new(source: IpAddr, destination: IpAddr) -> Option<Self> {
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => Some(Self::V4(source, destination)),
            (IpAddr::V6(source), IpAddr::V6(destination)) => Some(Self::V6(source, destination)),
            _ => None,
        }
    }

    /// The Internet checksum of a transport message (RFC 9293, section 3.1; RFC 8200,
    /// section 8.1), whose own field is the 16-bit word number `skip`.
    #[must_use]
    pub fn checksum(self, protocol: u8, message: &[u8], skip: usize) -> u16 {
        let protocol = IpNextHeaderProtocol(protocol);
        match self {
            Self::V4(a, b) => util::ipv4_checksum(message, skip, &[], &a, &b, protocol),
            Self::V6(a, b) => util::ipv6_checksum(message, skip, &[], &a, &b, protocol),
        }
    }
}

/// Builds a packet around a payload of at most 65,515 bytes; a longer one is cut there.
///
/// IPv4: identification 0 and "don't fragment", which is what RFC 6864, section 4.1,
/// makes of a packet that is never fragmented.
#[must_use]
pub fn packet(ends: Ends, protocol: u8, hop_limit: u8, payload: &[u8]) -> Vec<u8> {
    const V4_HEADER: u16 = 20;
    let most = usize::from(u16::MAX.saturating_sub(V4_HEADER));
    let payload = payload.get(..most).unwrap_or(payload);
    // `most` fits 16 bits, so this cannot fail.
    let len = u16::try_from(payload.len()).unwrap_or(u16::MAX);
    let mut bytes = Vec::with_capacity(payload.len().saturating_add(40));
    match ends {
        Ends::V4(source, destination) => {
            bytes.extend_from_slice(&[0x45, 0]);
            bytes.extend_from_slice(&len.saturating_add(V4_HEADER).to_be_bytes());
            bytes.extend_from_slice(&[0, 0, 0x40, 0, hop_limit, protocol, 0, 0]);
            bytes.extend_from_slice(&source.octets());
            bytes.extend_from_slice(&destination.octets());
            let sum = util::checksum(&bytes, 5);
            put(&mut bytes, 10, sum);
        }
        Ends::V6(source, destination) => {
            bytes.extend_from_slice(&[0x60, 0, 0, 0]);
            bytes.extend_from_slice(&len.to_be_bytes());
            bytes.extend_from_slice(&[protocol, hop_limit]);
            bytes.extend_from_slice(&source.octets());
            bytes.extend_from_slice(&destination.octets());
        }
    }
    bytes.extend_from_slice(payload);
    bytes
}

/// Writes a 16-bit number over the two bytes at `offset`, if they are there.
pub(crate) fn put(bytes: &mut [u8], offset: usize, value: u16) {
    let field = bytes.get_mut(offset..).and_then(<[u8]>::first_chunk_mut);
    if let Some(field) = field {
        *field = value.to_be_bytes();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const V4: Ends = Ends::V4(Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 9));
    const V6: Ends = Ends::V6(
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1),
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9),
    );

    // By hand from RFC 791: the checksum is the complement of
    // 4500+0016+4000+4011+c000+0201+c000+0209 = 0x24931 → 0x4933.
    const V4_BYTES: [u8; 22] =
        [0x45, 0, 0, 22, 0, 0, 0x40, 0, 64, 17, 0xb6, 0xcc, 192, 0, 2, 1, 192, 0, 2, 9, 0xca, 0xfe];

    #[test]
    fn an_ipv4_packet_is_built_and_read() {
        assert_eq!(packet(V4, UDP, 64, &[0xca, 0xfe]), V4_BYTES);
        let mut padded = V4_BYTES.to_vec();
        padded.extend([0; 24]);
        let read = Packet::parse(&padded).unwrap();
        assert_eq!(read.source.to_string(), "192.0.2.1");
        assert_eq!(read.destination.to_string(), "192.0.2.9");
        assert_eq!((read.ttl, read.protocol, read.fragment), (64, UDP, false));
        assert_eq!(read.payload, [0xca, 0xfe]);
        let theirs = etherparse::Ipv4Header::from_slice(&V4_BYTES).unwrap().0;
        assert_eq!(theirs.calc_header_checksum(), theirs.header_checksum);
        assert!(theirs.dont_fragment);
    }

    #[test]
    fn an_ipv6_packet_is_built_and_read() {
        let bytes = packet(V6, ICMPV6, 255, &[1, 2, 3]);
        assert_eq!(bytes[..8], [0x60, 0, 0, 0, 0, 3, 58, 255]);
        let read = Packet::parse(&bytes).unwrap();
        assert_eq!(read.source.to_string(), "2001:db8::1");
        assert_eq!(read.destination.to_string(), "2001:db8::9");
        assert_eq!((read.ttl, read.protocol, read.payload), (255, ICMPV6, &[1, 2, 3][..]));
    }

    proptest! {
        #[test]
        fn the_short_way_reads_what_the_long_one_does(
            bytes in proptest::collection::vec(any::<u8>(), 20..60),
            total in 0_u8..70,
            flags in 0_u8..4,
            protocol in prop::sample::select(vec![6_u8, 17, 51, 0, 44, 60]),
        ) {
            let mut bytes = bytes;
            let start = [0x45, 0, 0, total, 0, 0, flags << 5, 0, 64, protocol];
            bytes[..10].copy_from_slice(&start);
            if let Some(packet) = Packet::plain(&bytes) {
                prop_assert_eq!(Packet::any(&bytes), Ok(packet));
            }
        }
    }

    #[test]
    fn extension_headers_are_walked_and_fragments_told() {
        // Hop-by-hop options (8 bytes), then a later fragment of a TCP segment.
        let fragment = [44, 0, 1, 4, 0, 0, 0, 0, 6, 0, 0x05, 0xa8, 0, 0, 0, 7, 0xde, 0xad];
        let bytes = packet(V6, 0, 64, &fragment);
        let read = Packet::parse(&bytes).unwrap();
        assert_eq!((read.protocol, read.fragment, read.payload), (TCP, true, &[0xde, 0xad][..]));
        let part = Fragment { identification: 7, offset: 1448, more: false };
        assert_eq!(Fragment::of(&bytes), Some(part));
        for len in 0..bytes.len() {
            assert_eq!(Fragment::of(&bytes[..len]).is_some(), len >= 56, "cut at {len}");
        }
        let mut old = V4_BYTES;
        assert_eq!(Fragment::of(&old), None);
        old[4..8].copy_from_slice(&[0xab, 0xcd, 0x20, 3]);
        let part = Fragment { identification: 0xabcd, offset: 24, more: true };
        assert_eq!(Fragment::of(&old), Some(part));
    }

    #[test]
    fn every_cut_is_an_error_or_a_shorter_payload() {
        for (bytes, header) in [(V4_BYTES.to_vec(), 20), (packet(V6, TCP, 9, b"abcdef"), 40)] {
            for len in 0..bytes.len() {
                match Packet::parse(&bytes[..len]) {
                    Err(error) => {
                        assert!(len < header, "cut at {len}");
                        assert_eq!(error.problem, Problem::Truncated, "cut at {len}");
                    }
                    Ok(read) => assert_eq!(read.payload.len(), len - header),
                }
            }
        }
    }

    #[test]
    fn a_wrong_version_is_named() {
        let error = Packet::parse(&[0x75; 40]).unwrap_err();
        assert_eq!(error.to_string(), "version at byte 0: value 7 is not allowed here");
        let error = Packet::parse(&[0x44; 40]).unwrap_err();
        assert_eq!(error.to_string(), "header length at byte 0: value 4 is not allowed here");
    }

    #[test]
    fn a_payload_too_long_for_the_length_field_is_cut() {
        assert_eq!(packet(V4, UDP, 1, &vec![0; 70_000]).len(), 65_535);
        assert_eq!(Ends::new([1, 2, 3, 4].into(), [0u16; 8].into()), None);
    }
}
