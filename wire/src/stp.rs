//! The spanning tree's messages (IEEE 802.1D, clause 9; rapid and multiple trees are later
//! versions of the same head; IEEE 802.1Q, clause 14): which bridge speaks, and which it takes
//! for the root.

use model::MacAddr;

use crate::{Malformed, Reader};

/// A bridge's message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Message {
    /// 0 spanning tree, 2 rapid, 3 multiple, 4 shortest path.
    pub version: u8,
    /// The bridges of a configuration message; `None` where only a change is told.
    pub bridges: Option<Bridges>,
}

/// Who is who in a tree.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bridges {
    /// The root.
    pub root: BridgeId,
    /// The sender.
    pub bridge: BridgeId,
}

/// A bridge's name in a tree.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BridgeId {
    /// The priority, in steps of 4,096, with the number of the tree in its lower twelve bits.
    pub priority: u16,
    /// The bridge's address.
    pub address: MacAddr,
}

impl Message {
    /// Reads a message, beginning at its protocol identifier.
    ///
    /// # Errors
    ///
    /// It ends too soon, or protocol or type are others.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let protocol = r.u16("protocol identifier")?;
        if protocol != 0 {
            return Err(r.invalid("protocol identifier", protocol));
        }
        let version = r.u8("protocol version identifier")?;
        let bridges = match r.u8("BPDU type")? {
            // Configuration, and its rapid form.
            0x00 | 0x02 => {
                r.u8("flags")?;
                let root = bridge(&mut r, "root identifier")?;
                r.u32("root path cost")?;
                let first = bridge(&mut r, "bridge identifier")?;
                // In multiple trees the root of the region stands there, and the sender's own
                // identifier further on.
                let bridge = if version < 3 { first } else { of_region(&mut r)?.unwrap_or(first) };
                Some(Bridges { root, bridge })
            }
            0x80 => None,
            other => return Err(r.invalid("BPDU type", other)),
        };
        Ok(Self { version, bridges })
    }
}

/// The sender's identifier in a message of several trees (clause 14.4), or `None` where the
/// message has none of its fields and is a rapid tree's (clause 14.5).
fn of_region(r: &mut Reader<'_>) -> Result<Option<BridgeId>, Malformed> {
    /// The fields of the common tree alone.
    const LEAST: u16 = 64;
    r.take("port identifier, times, version 1 length", 11)?;
    if r.u16("version 3 length")? < LEAST {
        return Ok(None);
    }
    r.take("MST configuration identifier", 51)?;
    r.u32("CIST internal root path cost")?;
    bridge(r, "CIST bridge identifier").map(Some)
}

fn bridge(r: &mut Reader<'_>, field: &'static str) -> Result<BridgeId, Malformed> {
    Ok(BridgeId { priority: r.u16(field)?, address: MacAddr(r.array(field)?) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    #[track_caller]
    fn check(bytes: &[u8], least: usize, expected: Message) {
        assert_eq!(Message::parse(bytes), Ok(expected));
        for len in 0..bytes.len() {
            match Message::parse(&bytes[..len]) {
                Ok(read) => assert_eq!((len >= least, read), (true, expected), "cut at {len}"),
                Err(error) => {
                    assert!(len < least && error.problem == Problem::Truncated, "cut at {len}");
                }
            }
        }
    }

    #[test]
    fn bridges_name_the_root_and_themselves() {
        let mut bytes = vec![0, 0, 2, 2, 0x3c, 0x10, 1, 0, 0, 0x5e, 0, 0x53, 1, 0, 0, 0, 4];
        bytes.extend([0x80, 1, 0, 0, 0x5e, 0, 0x53, 2, 0x80, 7, 0, 0, 20, 0, 2, 0, 15, 0, 0]);
        let id =
            |priority, last| BridgeId { priority, address: MacAddr([0, 0, 0x5e, 0, 0x53, last]) };
        let bridges = Bridges { root: id(0x1001, 1), bridge: id(0x8001, 2) };
        check(&bytes, 25, Message { version: 2, bridges: Some(bridges) });
        // Several trees: the region's root in its place, and the sender behind the region's name.
        let mut several = bytes.clone();
        several[2] = 3;
        several.truncate(36);
        several.extend([0, 64]);
        several.extend([b'r'; 51]);
        several.extend([0, 0, 0, 4, 0x80, 0, 0, 0, 0x5e, 0, 0x53, 3, 20]);
        let own = Bridges { bridge: id(0x8000, 3), ..bridges };
        check(&several, 101, Message { version: 3, bridges: Some(own) });
        several[37] = 0;
        assert_eq!(Message::parse(&several), Ok(Message { version: 3, bridges: Some(bridges) }));
        check(&[0, 0, 0, 0x80], 4, Message { version: 0, bridges: None });
        assert_eq!(Message::parse(&[0, 1, 0, 0]).unwrap_err().field, "protocol identifier");
        assert_eq!(Message::parse(&[0, 0, 0, 7]).unwrap_err().field, "BPDU type");
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = Message::parse(&bytes);
            let _ = Message::parse(&[&[0, 0, 0, 0], &bytes[..]].concat());
        }
    }
}
