//! Routers that share an address: VRRP versions 2 (RFC 3768) and 3 (RFC 5798, RFC 9568), and
//! OpenBSD's CARP, which took VRRP's protocol number.
//!
//! What authenticates them is passed over: version 2 may carry a password in the clear.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{Malformed, Reader};

/// The protocol number of all three.
pub const PROTOCOL: u8 = 112;
/// The time to live of every message: none that a router passed on counts (section 5.1.1.3).
pub const HOP_LIMIT: u8 = 255;

/// Addresses that are read at most.
const MOST_ADDRESSES: usize = 16;

/// An advertisement.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Advertisement {
    /// VRRP's.
    Vrrp {
        /// 2 or 3.
        version: u8,
        /// The virtual router's number, 1 to 255.
        group: u8,
        /// The sender's priority; 255 where the address is its own, 0 where it stops.
        priority: u8,
        /// The addresses that are shared, at most 16.
        addresses: Vec<IpAddr>,
    },
    /// CARP's, which hides the addresses.
    Carp {
        /// The virtual host's number, 1 to 255.
        group: u8,
    },
}

impl Advertisement {
    /// Reads a message; `v6` says whether IPv6 carried it.
    ///
    /// # Errors
    ///
    /// It ends too soon, or version, type or group are none that exist.
    pub fn parse(bytes: &[u8], v6: bool) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let first = r.u8("version, type")?;
        let version = first >> 4;
        if !matches!(version, 2 | 3) || first & 0x0f != 1 || (v6 && version == 2) {
            return Err(r.invalid("version, type", first));
        }
        let group = r.u8("virtual router identifier")?;
        if group == 0 {
            return Err(r.invalid("virtual router identifier", group));
        }
        let priority = r.u8("priority")?;
        let count = r.u8("address count")?;
        // CARP has the number of 32-bit words that authenticate it there, always seven, and
        // is 36 bytes long; VRRP 2 with seven addresses is 44.
        if version == 2 && count == 7 && bytes.len() == 36 {
            return Ok(Self::Carp { group });
        }
        r.take("authentication type, interval, checksum", 4)?;
        let mut addresses = Vec::new();
        for _ in 0..count {
            let address: IpAddr = if v6 {
                Ipv6Addr::from(r.array::<16>("IPvX address")?).into()
            } else {
                Ipv4Addr::from(r.array::<4>("IPvX address")?).into()
            };
            if addresses.len() < MOST_ADDRESSES {
                addresses.push(address);
            }
        }
        Ok(Self::Vrrp { version, group, priority, addresses })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    #[track_caller]
    fn check(bytes: &[u8], v6: bool, least: usize, expected: Advertisement) {
        assert_eq!(Advertisement::parse(bytes, v6), Ok(expected.clone()));
        for len in 0..bytes.len() {
            match Advertisement::parse(&bytes[..len], v6) {
                Ok(read) => assert_eq!((len >= least, &read), (true, &expected), "cut at {len}"),
                Err(error) => {
                    assert!(len < least && error.problem == Problem::Truncated, "cut at {len}");
                }
            }
        }
    }

    #[test]
    fn both_versions_name_what_they_share() {
        let addresses = vec!["192.0.2.1".parse().unwrap()];
        let mut bytes = vec![0x21, 7, 100, 1, 1, 1, 0, 0, 192, 0, 2, 1];
        // A password, of which nothing may remain.
        bytes.extend(b"secret\0\0");
        check(
            &bytes,
            false,
            12,
            Advertisement::Vrrp { version: 2, group: 7, priority: 100, addresses },
        );
        let address: Ipv6Addr = "fe80::7".parse().unwrap();
        let bytes = [&[0x31, 9, 255, 1, 0, 100, 0, 0][..], &address.octets()].concat();
        let addresses = vec![address.into()];
        check(
            &bytes,
            true,
            24,
            Advertisement::Vrrp { version: 3, group: 9, priority: 255, addresses },
        );
    }

    #[test]
    fn carp_is_told_by_its_length() {
        let bytes = [&[0x21, 3, 0, 7, 0, 1, 0, 0][..], &[9; 28]].concat();
        assert_eq!(Advertisement::parse(&bytes, false), Ok(Advertisement::Carp { group: 3 }));
        for (place, value, field) in [
            (0, 0x22, "version, type"),
            (0, 0x41, "version, type"),
            (1, 0, "virtual router identifier"),
        ] {
            let mut wrong = bytes.clone();
            wrong[place] = value;
            assert_eq!(Advertisement::parse(&wrong, false).unwrap_err().field, field);
        }
        assert!(Advertisement::parse(&bytes, true).is_err());
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60), v6: bool) {
            let _ = Advertisement::parse(&bytes, v6);
            let _ = Advertisement::parse(&[&[0x31], &bytes[..]].concat(), v6);
        }
    }
}
