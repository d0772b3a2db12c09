//! Logical link control (IEEE 802.2) and its subnetwork access protocol (IEEE 802, clause 9.2):
//! what is in a frame whose third field is a length and not a type.

use crate::{Malformed, Reader};

/// What a frame with a length holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Inside<'a> {
    /// A bridge's message (IEEE 802.1D, clause 9).
    SpanningTree(&'a [u8]),
    /// A protocol of a maker's.
    Snap {
        /// Whose protocol it is: 00-00-0c is Cisco's.
        organization: [u8; 3],
        /// Its number there; an EtherType where the organisation is zero.
        protocol: u16,
        /// The message.
        payload: &'a [u8],
    },
    /// Anything else, by its destination service access point.
    Other(u8),
}

/// The greatest value of the field behind a frame's addresses that is a length (IEEE 802.3,
/// clause 3.2.6).
pub const MAX_LENGTH: u16 = 1_500;

/// Reads what begins with a destination service access point.
///
/// # Errors
///
/// It ends in the header.
pub fn parse(bytes: &[u8]) -> Result<Inside<'_>, Malformed> {
    const SPANNING_TREE: u8 = 0x42;
    const SNAP: u8 = 0xaa;
    const UNNUMBERED: u8 = 3;

    let mut r = Reader::new(bytes);
    let destination = r.u8("DSAP")?;
    let source = r.u8("SSAP")?;
    let control = r.u8("control")?;
    match (destination, source, control) {
        (SPANNING_TREE, SPANNING_TREE, UNNUMBERED) => Ok(Inside::SpanningTree(r.rest())),
        (SNAP, SNAP, UNNUMBERED) => {
            let organization = r.array("organization code")?;
            let protocol = r.u16("protocol")?;
            Ok(Inside::Snap { organization, protocol, payload: r.rest() })
        }
        _ => Ok(Inside::Other(destination)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    #[track_caller]
    fn check(header: &[u8], expected: Inside<'_>) {
        let bytes = [header, &[7, 8]].concat();
        assert_eq!(parse(&bytes), Ok(expected));
        for len in 0..header.len() {
            assert_eq!(parse(&bytes[..len]).unwrap_err().problem, Problem::Truncated);
        }
    }

    #[test]
    fn bridges_and_makers_are_told_apart() {
        check(&[0x42, 0x42, 3], Inside::SpanningTree(&[7, 8]));
        let organization = [0, 0, 0x0c];
        let payload = &[7, 8];
        check(
            &[0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 0],
            Inside::Snap { organization, protocol: 0x2000, payload },
        );
        check(&[0xe0, 0xe0, 3], Inside::Other(0xe0));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
            let _ = parse(&bytes);
        }
    }
}
