//! MikroTik's neighbour discovery (UDP 5678; MikroTik's documentation, "Neighbor discovery"):
//! what a router says of itself, after a question of four zeros or by itself every minute.
//!
//! Routers announce to everybody on the link rather than to who asked: of an answer to the
//! asking port there is no promise.

use crate::{Malformed, Reader, lines};

/// What a router says of itself.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Neighbour {
    /// Its hardware address.
    pub mac: [u8; 6],
    /// What its owner calls it.
    pub identity: Option<String>,
    /// The version of its system, such as `6.49.7 (stable)`.
    pub version: Option<String>,
    /// Whose it is: `MikroTik`.
    pub platform: Option<String>,
    /// Its model, such as `RB750Gr3`.
    pub board: Option<String>,
}

/// The question.
#[must_use]
pub fn question() -> Vec<u8> {
    vec![0; 4]
}

impl Neighbour {
    /// Reads one datagram. Only one with a hardware address is an announcement.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        r.u32("header, sequence")?;
        let mut found = Self::default();
        let mut named = false;
        // The first field must be there; then there may be any number.
        loop {
            let kind = r.u16("type")?;
            let len = r.u16("length")?;
            let mut value = r.nested("value", len.into())?;
            let text = Some(lines::text(value.rest())).filter(|text| !text.is_empty());
            match kind {
                1 if len == 6 => {
                    found.mac = value.array("MAC address")?;
                    named = true;
                }
                1 | 18.. => return Err(r.invalid("type, length", kind)),
                5 => found.identity = text,
                7 => found.version = text,
                8 => found.platform = text,
                12 => found.board = text,
                _ => {}
            }
            if r.is_at_end() {
                break;
            }
        }
        if !named {
            return Err(r.invalid("MAC address", 0_u8));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ANSWER: &[u8] = b"\0\0\0\x09\0\x01\0\x06\0\0\x5e\0\x53\x01\0\x05\0\x03gw7\
        \0\x07\0\x0f6.49.7 (stable)\0\x08\0\x08MikroTik\0\x0a\0\x04\x01\0\0\0\0\x0c\0\x03RB7";

    #[test]
    fn a_router_says_what_it_is() {
        let expected = Neighbour {
            mac: [0, 0, 0x5e, 0, 0x53, 1],
            identity: Some("gw7".into()),
            version: Some("6.49.7 (stable)".into()),
            platform: Some("MikroTik".into()),
            board: Some("RB7".into()),
        };
        assert_eq!(Neighbour::parse(ANSWER), Ok(expected));
        // An announcement may end after any field behind the address.
        let ends = [14, 21, 40, 52, 60];
        for len in (0..ANSWER.len()).filter(|len| !ends.contains(len)) {
            assert!(Neighbour::parse(&ANSWER[..len]).is_err(), "cut at {len}");
        }
        assert!(Neighbour::parse(&question()).is_err());
        assert!(Neighbour::parse(b"\0\0\0\0\0\x05\0\x01x").is_err());
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Neighbour::parse(&bytes);
            let _ = Neighbour::parse(&[ANSWER, &bytes[..]].concat());
        }
    }
}
