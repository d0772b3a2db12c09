//! Multicast listener discovery for IPv6: the general query of version 2 (RFC 3810, which is
//! RFC 9777 now), and the reports of both versions (RFC 2710 for the first).
//!
//! Every address that an interface has listens to a group of its own (RFC 4291, section 2.7.1),
//! so that whoever reports its groups tells what its addresses end in.

use std::net::Ipv6Addr;

use crate::{Malformed, Reader, icmp, ip};

/// ICMPv6 type of a query.
pub const QUERY: u8 = 130;
/// ICMPv6 type of a report of version 1.
pub const REPORT_V1: u8 = 131;
/// ICMPv6 type of a report of version 2.
pub const REPORT_V2: u8 = 143;

/// The hop limit of every message (RFC 3810, section 5): it does not leave the link.
pub const HOP_LIMIT: u8 = 1;

/// The protocol number of the header that comes first in a query: hop-by-hop options, with
/// the router alert without which listeners throw it away (RFC 3810, section 6.2).
pub const HOP_BY_HOP: u8 = 0;

/// Everybody on the link, whom a general query is for.
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// What a listener says it listens to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    /// The groups, in the order of the message.
    pub groups: Vec<Ipv6Addr>,
}

impl Report {
    /// Reads a report of either version, beginning at its ICMPv6 type.
    ///
    /// # Errors
    ///
    /// It ends before all records that it announces are there, or is of another type.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let kind = r.u8("type")?;
        let refused = r.invalid("type", kind);
        r.take("code and checksum", 3)?;
        match kind {
            REPORT_V1 => {
                r.take("maximum response delay", 4)?;
                Ok(Self { groups: vec![Ipv6Addr::from(r.array::<16>("multicast address")?)] })
            }
            REPORT_V2 => {
                r.u16("reserved")?;
                let records = r.u16("number of records")?;
                let mut groups = Vec::new();
                for _ in 0..records {
                    r.u8("record type")?;
                    let auxiliary = usize::from(r.u8("auxiliary data length")?);
                    let sources = usize::from(r.u16("number of sources")?);
                    groups.push(Ipv6Addr::from(r.array::<16>("multicast address")?));
                    r.take("source addresses", sources.saturating_mul(16))?;
                    // In units of four bytes.
                    r.take("auxiliary data", auxiliary.saturating_mul(4))?;
                }
                Ok(Self { groups })
            }
            _ => Err(refused),
        }
    }
}

/// Builds the payload of an IPv6 packet of protocol [`HOP_BY_HOP`] that asks everybody on the
/// link for all groups, to be answered within so many milliseconds (32,767 at most).
#[must_use]
pub fn general_query(source: Ipv6Addr, delay: u16) -> Vec<u8> {
    // Next header ICMPv6, one unit of eight bytes; router alert for MLD (RFC 2711), then
    // padding of two bytes.
    let mut bytes = vec![ip::ICMPV6, 0, 5, 2, 0, 0, 1, 0];
    let mut query = vec![QUERY, 0, 0, 0];
    // Larger numbers would be floating point (section 5.1.3).
    query.extend_from_slice(&delay.min(0x7fff).to_be_bytes());
    query.extend_from_slice(&[0; 18]);
    // The robustness and the interval that everybody has by default (sections 9.1 and 9.2),
    // and no sources.
    query.extend_from_slice(&[2, 125, 0, 0]);
    let sum = icmp::checksum(ip::Ends::V6(source, ALL_NODES), &query);
    ip::put(&mut query, 2, sum);
    bytes.extend_from_slice(&query);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Problem;

    const HERE: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    const GROUP: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 9);

    /// Two records by hand from RFC 3810, section 5.2: one with a source and auxiliary data.
    fn reported() -> Vec<u8> {
        let mut bytes = vec![143, 0, 0, 0, 0, 0, 0, 2];
        bytes.extend([4, 0, 0, 0]);
        bytes.extend(GROUP.octets());
        bytes.extend([1, 1, 0, 1]);
        bytes.extend(ALL_NODES.octets());
        bytes.extend([0x20; 16]);
        bytes.extend([1, 2, 3, 4]);
        bytes
    }

    #[test]
    fn a_general_query_has_these_bytes() {
        let bytes = general_query(HERE, 400);
        assert_eq!(bytes[..8], [58, 0, 5, 2, 0, 0, 1, 0]);
        assert_eq!(bytes[8..10], [130, 0]);
        assert_eq!(bytes[12..16], [1, 0x90, 0, 0]);
        assert_eq!(bytes[16..32], [0; 16]);
        assert_eq!(bytes[32..], [2, 125, 0, 0]);
        let theirs = etherparse::Icmpv6Slice::from_slice(&bytes[8..]).unwrap();
        assert!(theirs.is_checksum_valid(HERE.octets(), ALL_NODES.octets()));
        assert_eq!(general_query(HERE, u16::MAX)[12..14], [0x7f, 0xff]);
        // The header before it is one that is walked over.
        let packet = ip::packet(ip::Ends::V6(HERE, ALL_NODES), HOP_BY_HOP, HOP_LIMIT, &bytes);
        let read = ip::Packet::parse(&packet).unwrap();
        assert_eq!((read.protocol, read.ttl, read.payload), (58, 1, &bytes[8..]));
    }

    #[test]
    fn reports_of_both_versions_are_read() {
        let groups = vec![GROUP, ALL_NODES];
        assert_eq!(Report::parse(&reported()), Ok(Report { groups }));
        let mut first = vec![131, 0, 0, 0, 0, 0, 0, 0];
        first.extend(GROUP.octets());
        assert_eq!(Report::parse(&first), Ok(Report { groups: vec![GROUP] }));
        for bytes in [first, reported()] {
            for len in 0..bytes.len() {
                let error = Report::parse(&bytes[..len]).unwrap_err();
                assert_eq!(error.problem, Problem::Truncated, "cut at {len}");
            }
        }
    }

    #[test]
    fn a_report_of_more_records_than_there_are_is_refused() {
        let mut bytes = reported();
        bytes[6..8].copy_from_slice(&[0xff, 0xff]);
        assert_eq!(Report::parse(&bytes).unwrap_err().problem, Problem::Truncated);
        assert_eq!(Report::parse(&[130; 40]).unwrap_err().field, "type");
    }
}
