//! Transmission Control Protocol, RFC 9293: the header, the SYN that asks a port, and the
//! ACK that asks whether anybody is there.

use crate::{Malformed, Reader, ip};

/// FIN: no more will be sent.
pub const FIN: u8 = 0x01;
/// SYN: let us begin.
pub const SYN: u8 = 0x02;
/// RST: there is no such connection.
pub const RST: u8 = 0x04;
/// ACK: the acknowledgement number counts.
pub const ACK: u8 = 0x10;

/// The header of a segment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Segment {
    /// The sender's port.
    pub source_port: u16,
    /// The receiver's port.
    pub destination_port: u16,
    /// Sequence number of the first byte, or of the SYN.
    pub sequence: u32,
    /// The next sequence number that the sender expects; meaningless without [`ACK`].
    pub acknowledgement: u32,
    /// The lower eight control bits: [`SYN`], [`ACK`], …
    pub flags: u8,
    /// How much the sender takes, not scaled.
    pub window: u16,
}

impl Segment {
    /// Reads the fixed part of the header. Options and data may be cut: what a port says
    /// is said before them.
    ///
    /// # Errors
    ///
    /// The first 16 bytes are not there, or the data offset points into them.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let Start { source_port, destination_port, sequence } = Start::read(&mut r)?;
        let acknowledgement = r.u32("acknowledgment number")?;
        let offset = r.u8("data offset")?;
        if offset < 0x50 {
            return Err(r.invalid("data offset", offset >> 4));
        }
        let flags = r.u8("control bits")?;
        let window = r.u16("window")?;
        Ok(Self { source_port, destination_port, sequence, acknowledgement, flags, window })
    }

    /// Whether all those control bits are set.
    #[inline]
    #[must_use]
    pub const fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }
}

/// What is behind the fixed part of a segment's header.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Rest<'a> {
    /// The options, cut where the segment is.
    pub options: &'a [u8],
    /// The data.
    pub data: &'a [u8],
}

impl<'a> Rest<'a> {
    /// Finds both in the whole segment; both are empty where it is cut before them.
    #[inline]
    #[must_use]
    pub fn of(bytes: &'a [u8]) -> Self {
        const FIXED: usize = 20;
        let header = bytes.get(12).map_or(0, |offset| usize::from(offset >> 4).saturating_mul(4));
        let options = bytes.get(FIXED..header.min(bytes.len())).unwrap_or_default();
        Self { options, data: bytes.get(header.max(FIXED)..).unwrap_or_default() }
    }
}

/// The first eight bytes: all that an ICMP error must quote (RFC 792).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Start {
    /// The sender's port.
    pub source_port: u16,
    /// The receiver's port.
    pub destination_port: u16,
    /// Sequence number.
    pub sequence: u32,
}

impl Start {
    /// Reads them.
    ///
    /// # Errors
    ///
    /// They are not all there.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        Self::read(&mut Reader::new(bytes))
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            source_port: r.u16("source port")?,
            destination_port: r.u16("destination port")?,
            sequence: r.u32("sequence number")?,
        })
    }
}

/// Builds a SYN.
///
/// It carries the one option that every system sends, the maximum segment size
/// (1460 for IPv4, 1440 for IPv6: Ethernet's 1500 less the headers), because a bare SYN
/// is what port scanners of old sent and what some filters drop.
#[must_use]
pub fn syn(ends: ip::Ends, source_port: u16, destination_port: u16, sequence: u32) -> Vec<u8> {
    let largest: u16 = match ends {
        ip::Ends::V4(..) => 1460,
        ip::Ends::V6(..) => 1440,
    };
    let mut bytes = Vec::with_capacity(24);
    bytes.extend_from_slice(&source_port.to_be_bytes());
    bytes.extend_from_slice(&destination_port.to_be_bytes());
    bytes.extend_from_slice(&sequence.to_be_bytes());
    bytes.extend_from_slice(&[0, 0, 0, 0, 0x60, SYN]);
    bytes.extend_from_slice(&64_240_u16.to_be_bytes());
    bytes.extend_from_slice(&[0, 0, 0, 0, 2, 4]);
    bytes.extend_from_slice(&largest.to_be_bytes());
    let sum = ends.checksum(ip::TCP, &bytes, 8);
    ip::put(&mut bytes, 16, sum);
    bytes
}

/// Builds a segment without data that acknowledges `acknowledgement` on a connection that
/// does not exist: whoever is there answers with a reset whose sequence number that is
/// (RFC 9293, section 3.10.7.1 and 3.10.7.2).
#[must_use]
pub fn ack(
    ends: ip::Ends,
    source_port: u16,
    destination_port: u16,
    sequence: u32,
    acknowledgement: u32,
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(20);
    bytes.extend_from_slice(&source_port.to_be_bytes());
    bytes.extend_from_slice(&destination_port.to_be_bytes());
    bytes.extend_from_slice(&sequence.to_be_bytes());
    bytes.extend_from_slice(&acknowledgement.to_be_bytes());
    bytes.extend_from_slice(&[0x50, ACK]);
    bytes.extend_from_slice(&64_240_u16.to_be_bytes());
    bytes.extend_from_slice(&[0, 0, 0, 0]);
    let sum = ends.checksum(ip::TCP, &bytes, 8);
    ip::put(&mut bytes, 16, sum);
    bytes
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use etherparse::TcpHeader;

    use super::*;
    use crate::Problem;

    const A: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    const B: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 9);

    // By hand from RFC 9293, section 3.1.
    const SYN_ACK: [u8; 24] = [
        0, 80, 0xf0, 0x01, 0x11, 0x22, 0x33, 0x44, 0xaa, 0xbb, 0xcc, 0xdd, // ports, numbers
        0x60, 0x12, 0xfa, 0xf0, 0, 0, 0, 0, 2, 4, 5, 0xb4,
    ];

    #[test]
    fn a_syn_has_these_bytes() {
        // c000+0201+c000+0209+0006+0018 (pseudo header) + f001+0050+1234+5678+6002+faf0
        // +0204+05b4 = 0x18428 + 0x2bba7 = 0x43fcf → 0x3fd3, complement 0xc02c.
        let bytes = syn(ip::Ends::V4(A, B), 0xf001, 80, 0x1234_5678);
        let expected =
            [0xf0, 0x01, 0, 80, 0x12, 0x34, 0x56, 0x78, 0, 0, 0, 0, 0x60, 0x02, 0xfa, 0xf0];
        assert_eq!(bytes[..16], expected);
        assert_eq!(bytes[16..], [0xc0, 0x2c, 0, 0, 2, 4, 5, 0xb4]);
        let (header, rest) = TcpHeader::from_slice(&bytes).unwrap();
        assert!(rest.is_empty() && header.syn && !header.ack);
        let sum = header.calc_checksum_ipv4_raw(A.octets(), B.octets(), &[]).unwrap();
        assert_eq!(header.checksum, sum);
    }

    #[test]
    fn an_ack_has_these_bytes() {
        let bytes = ack(ip::Ends::V4(A, B), 0xf001, 80, 0x1234_5678, 0x9abc_def0);
        let expected = [0xf0, 0x01, 0, 80, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0];
        assert_eq!(bytes[..12], expected);
        assert_eq!(bytes[12..16], [0x50, 0x10, 0xfa, 0xf0]);
        let (header, rest) = TcpHeader::from_slice(&bytes).unwrap();
        assert!(rest.is_empty() && header.ack && !header.syn && !header.rst);
        let sum = header.calc_checksum_ipv4_raw(A.octets(), B.octets(), &[]).unwrap();
        assert_eq!(header.checksum, sum);
    }

    #[test]
    fn a_syn_over_ipv6_is_summed_with_its_own_pseudo_header() {
        let (a, b) = (Ipv6Addr::LOCALHOST, Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9));
        let bytes = syn(ip::Ends::V6(a, b), 1, 65_535, 0);
        let (header, _) = TcpHeader::from_slice(&bytes).unwrap();
        let sum = header.calc_checksum_ipv6_raw(a.octets(), b.octets(), &[]).unwrap();
        assert_eq!(header.checksum, sum);
        assert_eq!(bytes[20..], [2, 4, 5, 0xa0]);
    }

    #[test]
    fn a_syn_ack_is_read() {
        let segment = Segment::parse(&SYN_ACK).unwrap();
        assert_eq!((segment.source_port, segment.destination_port), (80, 0xf001));
        assert_eq!((segment.sequence, segment.acknowledgement), (0x1122_3344, 0xaabb_ccdd));
        assert!(segment.has(SYN | ACK) && !segment.has(RST) && !segment.has(SYN | FIN));
    }

    #[test]
    fn every_cut_is_an_error_or_the_whole_header() {
        for len in 0..SYN_ACK.len() {
            let got = Segment::parse(&SYN_ACK[..len]).map_err(|error| error.problem);
            match len < 16 {
                true => assert_eq!(got, Err(Problem::Truncated), "cut at {len}"),
                false => assert_eq!(got, Segment::parse(&SYN_ACK).map_err(|e| e.problem)),
            }
            assert_eq!(Start::parse(&SYN_ACK[..len]).is_ok(), len >= 8, "cut at {len}");
            let rest = Rest::of(&SYN_ACK[..len]);
            assert_eq!(rest.options, SYN_ACK[..len].get(20..).unwrap_or_default());
            assert!(rest.data.is_empty());
        }
    }

    #[test]
    fn data_begins_behind_the_options() {
        let bytes = [&SYN_ACK[..], b"data"].concat();
        assert_eq!(Rest::of(&bytes), Rest { options: &[2, 4, 5, 0xb4], data: b"data" });
    }

    #[test]
    fn an_impossible_data_offset_is_named() {
        let mut bytes = SYN_ACK;
        bytes[12] = 0x40;
        let error = Segment::parse(&bytes).unwrap_err();
        assert_eq!(error.to_string(), "data offset at byte 12: value 4 is not allowed here");
    }
}
