//! User Datagram Protocol, RFC 768.

use crate::{Malformed, Reader, ip};

/// The length of the header.
const HEADER: usize = 8;

/// A datagram.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Datagram<'a> {
    /// The sender's port.
    pub source_port: u16,
    /// The receiver's port.
    pub destination_port: u16,
    /// What is inside, as far as it is there. For a datagram that an ICMP error quotes
    /// that may be nothing.
    pub payload: &'a [u8],
}

impl<'a> Datagram<'a> {
    /// Reads a datagram, and what is left of a cut one.
    ///
    /// # Errors
    ///
    /// The eight bytes of the header are not there, or its length field says less than
    /// that. Zero is a jumbogram's length (RFC 2675) and means up to the end.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let source_port = r.u16("source port")?;
        let destination_port = r.u16("destination port")?;
        let length = r.u16("length")?;
        if (1..8).contains(&length) {
            return Err(r.invalid("length", length));
        }
        r.u16("checksum")?;
        let payload = match usize::from(length).checked_sub(HEADER) {
            Some(length) => r.take_up_to(length),
            None => r.rest(),
        };
        Ok(Self { source_port, destination_port, payload })
    }
}

/// Builds a datagram around a payload of at most 65,507 bytes; a longer one is cut there.
#[must_use]
pub fn datagram(
    ends: ip::Ends,
    source_port: u16,
    destination_port: u16,
    payload: &[u8],
) -> Vec<u8> {
    /// What is left of IPv4's 65,535 bytes behind both headers.
    const MOST: usize = 65_507;
    let payload = payload.get(..MOST).unwrap_or(payload);
    let length = payload.len().saturating_add(HEADER);
    let mut bytes = Vec::with_capacity(length);
    bytes.extend_from_slice(&source_port.to_be_bytes());
    bytes.extend_from_slice(&destination_port.to_be_bytes());
    // MOST makes it fit.
    bytes.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
    bytes.extend_from_slice(&[0, 0]);
    bytes.extend_from_slice(payload);
    // A sum of zero is sent as all ones, because zero means that there is none.
    let sum = match ends.checksum(ip::UDP, &bytes, 3) {
        0 => u16::MAX,
        sum => sum,
    };
    ip::put(&mut bytes, 6, sum);
    bytes
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;
    use crate::Problem;

    const A: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    const B: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 9);

    #[test]
    fn a_datagram_has_these_bytes() {
        // c000+0201+c000+0209+0011+000a (pseudo header) + f001+0035+000a+cafe
        // = 0x18425 + 0x1bb3e = 0x33f63 → 0x3f66, complement 0xc099.
        let bytes = datagram(ip::Ends::V4(A, B), 0xf001, 53, &[0xca, 0xfe]);
        assert_eq!(bytes, [0xf0, 0x01, 0, 53, 0, 10, 0xc0, 0x99, 0xca, 0xfe]);
        let read = Datagram::parse(&bytes).unwrap();
        assert_eq!((read.source_port, read.destination_port), (0xf001, 53));
        assert_eq!(read.payload, [0xca, 0xfe]);
        let (header, rest) = etherparse::UdpHeader::from_slice(&bytes).unwrap();
        let sum = header.calc_checksum_ipv4_raw(A.octets(), B.octets(), rest).unwrap();
        assert_eq!(header.checksum, sum);
    }

    #[test]
    fn a_sum_of_zero_is_not_sent_as_none() {
        // Over every payload of two bytes one sum is zero; it must go out as 0xffff.
        let ends = ip::Ends::V6(Ipv6Addr::LOCALHOST, Ipv6Addr::LOCALHOST);
        let sums = (0..=u16::MAX).map(|n| datagram(ends, 1, 2, &n.to_be_bytes()));
        let mut all_ones = 0;
        for bytes in sums {
            assert_ne!(bytes[6..8], [0, 0]);
            all_ones += usize::from(bytes[6..8] == [0xff, 0xff]);
        }
        assert!(all_ones > 0);
    }

    #[test]
    fn every_cut_is_an_error_or_a_shorter_payload() {
        let bytes = datagram(ip::Ends::V4(A, B), 1, 2, b"question");
        for len in 0..bytes.len() {
            match Datagram::parse(&bytes[..len]) {
                Err(error) => {
                    assert!(len < 8 && error.problem == Problem::Truncated, "cut at {len}");
                }
                Ok(read) => assert_eq!(read.payload, &bytes[8..len]),
            }
        }
    }

    #[test]
    fn the_length_field_ends_the_payload() {
        let bytes = [0, 1, 0, 2, 0, 9, 0, 0, 7, 0, 0];
        assert_eq!(Datagram::parse(&bytes).unwrap().payload, [7]);
        let error = Datagram::parse(&[0, 1, 0, 2, 0, 7, 0, 0]).unwrap_err();
        assert_eq!(error.to_string(), "length at byte 4: value 7 is not allowed here");
    }
}
