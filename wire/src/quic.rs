//! QUIC's version negotiation (RFC 9000, sections 6 and 17.2.1; RFC 8999): a first packet of
//! a version that nobody has, which a server answers with those that it has, and keeps nothing.
//!
//! The packet must be of 1,200 bytes (section 14.1): a server answers no smaller one, so that
//! nobody can use it to amplify.

use crate::{Malformed, Reader};

/// The size of a first packet, in bytes.
pub const FIRST_PACKET: usize = 1_200;

/// One of the versions reserved to force a negotiation (section 15): 0x?a?a?a?a.
const NOBODYS: u32 = 0x1a2a_3a4a;

/// A Version Negotiation packet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Negotiation {
    /// Our source connection id, repeated.
    pub destination: Vec<u8>,
    /// Our destination connection id, repeated.
    pub source: Vec<u8>,
    /// The versions that the server has, without reserved ones, in its order.
    pub versions: Vec<u32>,
}

/// A first packet with these connection ids, destination before source.
#[must_use]
pub fn first_packet(destination: [u8; 8], source: [u8; 8]) -> Vec<u8> {
    // Long header, fixed bit; an Initial in form. What follows is of nobody's version.
    let mut out = vec![0xc0];
    out.extend(NOBODYS.to_be_bytes());
    out.push(8);
    out.extend(destination);
    out.push(8);
    out.extend(source);
    out.resize(FIRST_PACKET, 0);
    out
}

impl Negotiation {
    /// Reads one datagram.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let first = r.u8("header form")?;
        if first & 0x80 == 0 {
            return Err(r.invalid("header form", first));
        }
        let version = r.u32("version")?;
        if version != 0 {
            return Err(r.invalid("version", version));
        }
        let len = r.u8("destination connection id length")?;
        let destination = r.take("destination connection id", len.into())?.to_vec();
        let len = r.u8("source connection id length")?;
        let source = r.take("source connection id", len.into())?.to_vec();
        let mut versions = vec![r.u32("supported version")?];
        while !r.is_at_end() {
            versions.push(r.u32("supported version")?);
        }
        versions.retain(|version| version & 0x0f0f_0f0f != 0x0a0a_0a0a);
        Ok(Self { destination, source, versions })
    }
}

/// A version's name, where it has one: `v1` (RFC 9000), `v2` (RFC 9369), `draft-29`, or
/// Google's `Q046`.
#[must_use]
pub fn version_name(version: u32) -> String {
    match (version, version.to_be_bytes()) {
        (1, _) => "v1".to_owned(),
        (0x6b33_43cf, _) => "v2".to_owned(),
        (_, [0xff, 0, 0, draft]) => format!("draft-{draft}"),
        (_, [letter @ (b'Q' | b'T'), a, b, c]) if [a, b, c].iter().all(u8::is_ascii_digit) => {
            [letter, a, b, c].map(char::from).iter().collect()
        }
        _ => format!("{version:#010x}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(versions: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0x91, 0, 0, 0, 0, 2, 7, 7, 2, 9, 9];
        bytes.extend(versions.iter().flat_map(|version| version.to_be_bytes()));
        bytes
    }

    #[track_caller]
    fn check(versions: &[u32], expected: &[u32]) {
        let bytes = answer(versions);
        let expected =
            Negotiation { destination: vec![7; 2], source: vec![9; 2], versions: expected.into() };
        assert_eq!(Negotiation::parse(&bytes), Ok(expected));
        // A list may end after any version.
        for len in (0..bytes.len()).filter(|len| *len < 15 || (len - 11) % 4 != 0) {
            assert!(Negotiation::parse(&bytes[..len]).is_err(), "cut at {len}");
        }
    }

    #[test]
    fn a_server_lists_its_versions() {
        check(&[1], &[1]);
        check(&[0xaaba_fada, 0x6b33_43cf, 1], &[0x6b33_43cf, 1]);
        assert!(Negotiation::parse(&answer(&[])).is_err());
    }

    #[test]
    fn versions_have_names() {
        let names: Vec<String> =
            [1, 0x6b33_43cf, 0xff00_001d, 0x5130_3436, 0xfaceb002].map(version_name).into();
        assert_eq!(names, ["v1", "v2", "draft-29", "Q046", "0xfaceb002"]);
    }

    #[test]
    fn our_own_packet_is_large_and_no_answer() {
        let packet = first_packet([7; 8], [9; 8]);
        assert_eq!(packet.len(), 1_200);
        assert_eq!(NOBODYS & 0x0f0f_0f0f, 0x0a0a_0a0a);
        assert_eq!(Negotiation::parse(&packet).unwrap_err().field, "version");
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Negotiation::parse(&bytes);
            let _ = Negotiation::parse(&[&[0x80, 0, 0, 0, 0], &bytes[..]].concat());
        }
    }
}
