//! Neighbour discovery for IPv6, RFC 4861: solicitations and advertisements of neighbours and
//! routers, and what all of its messages say of link-layer addresses.

use std::net::Ipv6Addr;

use model::MacAddr;

use crate::{Malformed, Reader, icmp, ip};

/// ICMPv6 type of a router solicitation.
pub const ROUTER_SOLICITATION: u8 = 133;
/// ICMPv6 type of a router advertisement.
pub const ROUTER_ADVERTISEMENT: u8 = 134;
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

/// What a message says of the link-layer addresses of its ends, whichever of the four kinds
/// it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LinkLayer {
    /// The ICMPv6 type, from [`ROUTER_SOLICITATION`] to [`ADVERTISEMENT`].
    pub kind: u8,
    /// The address that a neighbour message is about.
    pub target: Option<Ipv6Addr>,
    /// The sender's link-layer address (section 4.6.1, option 1).
    pub source_mac: Option<MacAddr>,
    /// The target's link-layer address (section 4.6.1, option 2).
    pub target_mac: Option<MacAddr>,
}

impl LinkLayer {
    /// Reads a message, beginning at its ICMPv6 type. The first option of each kind counts.
    ///
    /// # Errors
    ///
    /// It ends too soon, is of another type or code, or has an option of length zero.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let kind = r.u8("type")?;
        if !(ROUTER_SOLICITATION..=ADVERTISEMENT).contains(&kind) {
            return Err(r.invalid("type", kind));
        }
        match r.u8("code")? {
            0 => {}
            other => return Err(r.invalid("code", other)),
        }
        r.u16("checksum")?;
        r.u32("flags")?;
        let mut message = Self { kind, target: None, source_mac: None, target_mac: None };
        match kind {
            SOLICITATION | ADVERTISEMENT => {
                message.target = Some(Ipv6Addr::from(r.array::<16>("target address")?));
            }
            ROUTER_ADVERTISEMENT => drop(r.take("reachable time, retrans timer", 8)?),
            _ => {}
        }
        while !r.is_at_end() {
            let option = r.u8("option type")?;
            let units = r.u8("option length")?;
            // In units of eight bytes, these two included.
            let Some(len) = usize::from(units).saturating_mul(8).checked_sub(2) else {
                return Err(r.invalid("option length", units));
            };
            let mut inside = r.nested("option", len)?;
            let place = match option {
                1 => &mut message.source_mac,
                2 => &mut message.target_mac,
                _ => continue,
            };
            let mac = MacAddr(inside.array("link-layer address")?);
            place.get_or_insert(mac);
        }
        Ok(message)
    }
}

/// What a router says of itself and of the link.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Router {
    /// For how many seconds it may be used as the way out; 0 where it is none.
    pub lifetime: u16,
    /// Its link-layer address, where told.
    pub mac: Option<MacAddr>,
    /// The networks that it says are on the link, in the order of the message.
    pub prefixes: Vec<Prefix>,
}

/// A network that is on the link.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Prefix {
    /// Its first address: what lies behind the prefix is zero.
    pub address: Ipv6Addr,
    /// The length of the prefix in bits, 0 to 128.
    pub length: u8,
}

impl Router {
    /// Reads a router advertisement (section 4.2), beginning at its ICMPv6 type. Prefixes that
    /// are not said to be on the link are left out.
    ///
    /// # Errors
    ///
    /// It ends too soon, is of another type or code, or has an option of length zero or a
    /// prefix of more than 128 bits.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        /// Source link-layer address and prefix information, sections 4.6.1 and 4.6.2.
        const SOURCE_MAC: u8 = 1;
        const PREFIX: u8 = 3;
        const ON_LINK: u8 = 0x80;

        let mut r = Reader::new(bytes);
        match r.u8("type")? {
            ROUTER_ADVERTISEMENT => {}
            other => return Err(r.invalid("type", other)),
        }
        match r.u8("code")? {
            0 => {}
            other => return Err(r.invalid("code", other)),
        }
        r.take("checksum, hop limit and flags", 4)?;
        let mut router = Self { lifetime: r.u16("lifetime")?, mac: None, prefixes: Vec::new() };
        r.take("reachable time, retrans timer", 8)?;
        while !r.is_at_end() {
            let option = r.u8("option type")?;
            let units = r.u8("option length")?;
            // In units of eight bytes, these two included.
            let Some(len) = usize::from(units).saturating_mul(8).checked_sub(2) else {
                return Err(r.invalid("option length", units));
            };
            let mut inside = r.nested("option", len)?;
            match option {
                SOURCE_MAC if router.mac.is_none() => {
                    router.mac = Some(MacAddr(inside.array("source link-layer address")?));
                }
                PREFIX => {
                    let length = inside.u8("prefix length")?;
                    let refused = inside.invalid("prefix length", length);
                    let flags = inside.u8("flags")?;
                    inside.take("lifetimes", 12)?;
                    let address = u128::from_be_bytes(inside.array("prefix")?);
                    let host_bits = match u128::MAX.checked_shr(length.into()) {
                        _ if length > 128 => return Err(refused),
                        Some(host_bits) => host_bits,
                        None => 0,
                    };
                    if flags & ON_LINK != 0 {
                        let address = Ipv6Addr::from(address & !host_bits);
                        router.prefixes.push(Prefix { address, length });
                    }
                }
                _ => {}
            }
        }
        Ok(router)
    }
}

/// All routers on the link, who listen for questions like [`router_solicitation`].
pub const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// Builds a router solicitation (section 4.1): who is a router? Tell `source`, which is at
/// `mac`.
#[must_use]
pub fn router_solicitation(source: Ipv6Addr, mac: MacAddr) -> Vec<u8> {
    let mut bytes = vec![ROUTER_SOLICITATION, 0, 0, 0, 0, 0, 0, 0, 1, 1];
    bytes.extend_from_slice(&mac.0);
    let sum = icmp::checksum(ip::Ends::V6(source, ALL_ROUTERS), &bytes);
    ip::put(&mut bytes, 2, sum);
    bytes
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

    /// By hand from RFC 4861, sections 4.2 and 4.6: a way out for 1800 seconds, with its
    /// link-layer address, a prefix on the link, one that is not, and an MTU.
    fn router() -> Vec<u8> {
        let mut bytes = vec![134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0];
        bytes.extend([1, 1, 2, 0, 0, 0, 0, 9]);
        for (last, flags) in [(7, 0xc0), (8, 0x40)] {
            bytes.extend([3, 4, 64, flags]);
            bytes.extend([0; 12]);
            bytes.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, last, 0, 0, 0, 0, 0, 0, 0, 1]);
        }
        bytes.extend([5, 1, 0, 0, 0, 0, 5, 220]);
        bytes
    }

    #[test]
    fn a_router_is_read_with_the_networks_on_the_link() {
        let address = Ipv6Addr::new(0x2001, 0xdb8, 0, 7, 0, 0, 0, 0);
        let prefixes = vec![Prefix { address, length: 64 }];
        let expected = Router { lifetime: 1800, mac: Some(MAC), prefixes };
        assert_eq!(Router::parse(&router()), Ok(expected));
        let whole = [16, 24, 56, 88];
        let bytes = router();
        for len in 0..bytes.len() {
            match Router::parse(&bytes[..len]) {
                Ok(_) => assert!(whole.contains(&len), "cut at {len}"),
                Err(error) => assert_eq!(error.problem, Problem::Truncated, "cut at {len}"),
            }
        }
        for (place, value, field) in
            [(0, 136, "type"), (1, 1, "code"), (17, 0, "option length"), (26, 129, "prefix length")]
        {
            let mut wrong = router();
            wrong[place] = value;
            assert_eq!(Router::parse(&wrong).unwrap_err().field, field);
        }
        for (length, first) in [(0, "::"), (128, "2001:db8:0:7::1")] {
            let mut bytes = router();
            bytes[26] = length;
            let read = Router::parse(&bytes).unwrap().prefixes[0];
            assert_eq!((read.address.to_string().as_str(), read.length), (first, length));
        }
    }

    #[test]
    fn a_question_for_routers_has_these_bytes() {
        let bytes = router_solicitation(HERE, MAC);
        assert_eq!(bytes[..2], [133, 0]);
        assert_eq!(bytes[4..], [0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 9]);
        let theirs = etherparse::Icmpv6Slice::from_slice(&bytes).unwrap();
        assert!(theirs.is_checksum_valid(HERE.octets(), ALL_ROUTERS.octets()));
    }

    #[test]
    fn every_kind_of_message_tells_link_layer_addresses() {
        let expected = LinkLayer {
            kind: ADVERTISEMENT,
            target: Some(THERE),
            source_mac: None,
            target_mac: Some(MAC),
        };
        assert_eq!(LinkLayer::parse(&ADVERTISED), Ok(expected));
        let asked =
            LinkLayer { kind: SOLICITATION, source_mac: Some(MAC), target_mac: None, ..expected };
        assert_eq!(LinkLayer::parse(&solicitation(HERE, MAC, THERE)), Ok(asked));
        let mut router = vec![134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0];
        router.extend([3, 4]);
        router.extend([0; 30]);
        router.extend([1, 1, 2, 0, 0, 0, 0, 9]);
        let told = LinkLayer { kind: 134, target: None, ..asked };
        assert_eq!(LinkLayer::parse(&router), Ok(told));
        let whole = [0, 8, 24, 16, 48, 56];
        for bytes in [&ADVERTISED[..], &router] {
            for len in 0..bytes.len() {
                match LinkLayer::parse(&bytes[..len]) {
                    Ok(_) => assert!(whole.contains(&len) || len == 32, "cut at {len}"),
                    Err(error) => assert_eq!(error.problem, Problem::Truncated, "cut at {len}"),
                }
            }
        }
        assert!(LinkLayer::parse(&[135, 1, 0, 0]).is_err() && LinkLayer::parse(&[128; 8]).is_err());
    }
}
