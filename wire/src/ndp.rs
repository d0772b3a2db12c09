//! Neighbour discovery for IPv6, RFC 4861: solicitations and advertisements.

use std::net::Ipv6Addr;

use model::MacAddr;

use crate::{Malformed, Reader, icmp, ip};

/// ICMPv6 type of a neighbour solicitation.
pub const SOLICITATION: u8 = 135;
/// ICMPv6 type of a neighbour advertisement.
pub const ADVERTISEMENT: u8 = 136;

/// The hop limit of every message: no router lets such a packet through unchanged, so
/// it proves that the sender is on the link (section 3.1).
pub const HOP_LIMIT: u8 = 255;

/// An answer to "who has this address?", or a message that it has moved.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Advertisement {
    /// Whether the sender is a router.
    pub router: bool,
    /// Whether it answers a solicitation.
    pub solicited: bool,
    /// The address it is about.
    pub target: Ipv6Addr,
    /// The link-layer address, from the option that must be there in an answer to a
    /// solicitation sent to a group (section 4.4).
    pub mac: Option<MacAddr>,
}

impl Advertisement {
    /// Reads a message, beginning at its ICMPv6 type.
    ///
    /// # Errors
    ///
    /// It ends too soon, is of another type or code, or has an option of length zero.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        match r.u8("type")? {
            ADVERTISEMENT => {}
            other => return Err(r.invalid("type", other)),
        }
        match r.u8("code")? {
            0 => {}
            other => return Err(r.invalid("code", other)),
        }
        r.u16("checksum")?;
        let flags = r.u32("flags")?;
        let target = Ipv6Addr::from(r.array::<16>("target address")?);
        let mut mac = None;
        while !r.is_at_end() {
            /// Target link-layer address, section 4.6.1.
            const TARGET_MAC: u8 = 2;
            let kind = r.u8("option type")?;
            let units = r.u8("option length")?;
            // In units of eight bytes, these two included.
            let Some(len) = usize::from(units).saturating_mul(8).checked_sub(2) else {
                return Err(r.invalid("option length", units));
            };
            let mut option = r.nested("option", len)?;
            if kind == TARGET_MAC && mac.is_none() {
                mac = Some(MacAddr(option.array("target link-layer address")?));
            }
        }
        Ok(Self {
            router: flags & 0x8000_0000 != 0,
            solicited: flags & 0x4000_0000 != 0,
            target,
            mac,
        })
    }
}

/// Builds a solicitation: who has `target`? Tell `source`, which is at `mac`.
#[must_use]
pub fn solicitation(source: Ipv6Addr, mac: MacAddr, target: Ipv6Addr) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(32);
    bytes.extend_from_slice(&[SOLICITATION, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend_from_slice(&target.octets());
    // Source link-layer address, one unit of eight bytes.
    bytes.extend_from_slice(&[1, 1]);
    bytes.extend_from_slice(&mac.0);
    let sum = icmp::checksum(ip::Ends::V6(source, group(target).0), &bytes);
    ip::put(&mut bytes, 2, sum);
    bytes
}

/// The group that listens for questions about an address (RFC 4291, section 2.7.1), and
/// its link-layer address (RFC 2464, section 7).
#[must_use]
pub const fn group(target: Ipv6Addr) -> (Ipv6Addr, MacAddr) {
    let [.., a, b, c] = target.octets();
    let address = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c];
    (Ipv6Addr::from_octets(address), MacAddr([0x33, 0x33, 0xff, a, b, c]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Problem;

    const HERE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    const THERE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0xaa, 0xbbcc, 0xddee);
    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);

    // By hand from RFC 4861, section 4.4: solicited and override, an unknown option first.
    const ADVERTISED: [u8; 40] = [
        136, 0, 0, 0, 0x60, 0, 0, 0, // type, code, checksum, flags
        0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, // target
        14, 1, 1, 2, 3, 4, 5, 6, // nonce, RFC 3971
        2, 1, 2, 0, 0, 0, 0, 9, // target link-layer address
    ];

    #[test]
    fn a_solicitation_has_these_bytes() {
        let bytes = solicitation(HERE, MAC, THERE);
        assert_eq!(bytes[..2], [135, 0]);
        assert_eq!(bytes[4..8], [0; 4]);
        assert_eq!(bytes[8..24], THERE.octets());
        assert_eq!(bytes[24..], [1, 1, 2, 0, 0, 0, 0, 9]);
        let theirs = etherparse::Icmpv6Slice::from_slice(&bytes).unwrap();
        assert!(theirs.is_checksum_valid(HERE.octets(), group(THERE).0.octets()));
    }

    #[test]
    fn the_group_is_made_of_the_last_three_bytes() {
        let (address, mac) = group(THERE);
        assert_eq!(address.to_string(), "ff02::1:ffcc:ddee");
        assert_eq!(mac.to_string(), "33:33:ff:cc:dd:ee");
    }

    #[test]
    fn an_advertisement_is_read() {
        let expected =
            Advertisement { router: false, solicited: true, target: THERE, mac: Some(MAC) };
        assert_eq!(Advertisement::parse(&ADVERTISED), Ok(expected));
        let bare = Advertisement { mac: None, ..expected };
        assert_eq!(Advertisement::parse(&ADVERTISED[..24]), Ok(bare));
    }

    #[test]
    fn every_cut_is_an_error_but_those_between_options() {
        for len in 0..ADVERTISED.len() {
            match Advertisement::parse(&ADVERTISED[..len]) {
                Ok(_) => assert!(len == 24 || len == 32, "cut at {len}"),
                Err(error) => assert_eq!(error.problem, Problem::Truncated, "cut at {len}"),
            }
        }
    }

    #[test]
    fn an_option_of_length_zero_ends_the_reading() {
        let mut bytes = ADVERTISED;
        bytes[25] = 0;
        let error = Advertisement::parse(&bytes).unwrap_err();
        assert_eq!(error.to_string(), "option length at byte 25: value 0 is not allowed here");
    }
}
