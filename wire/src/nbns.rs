//! NetBIOS node status (RFC 1002, sections 4.2.17 and 4.2.18): the names and the link-layer
//! address that a Windows or Samba machine tells whoever asks.
//!
//! Not decoded with the other names of `crate::dns`: its record type is SRV's number.

use crate::{Malformed, Reader};

const NODE_STATUS: u16 = 0x0021;

/// A node status.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NodeStatus {
    /// The question's number, repeated.
    pub id: u16,
    /// The node's names.
    pub names: Vec<NetBiosName>,
    /// UNIT_ID: the adapter's address. Samba sends zeros.
    pub unit: [u8; 6],
}

/// A NetBIOS name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NetBiosName {
    /// Up to 15 bytes in the machine's own code page, without padding.
    pub name: Vec<u8>,
    /// The sixteenth byte: what it names. 0x00 workstation (or domain, where `group`),
    /// 0x1c domain controllers, 0x20 file server.
    pub suffix: u8,
    /// Whether several nodes share it.
    pub group: bool,
}

/// A node status request for whoever is there.
#[must_use]
pub fn node_status(id: u16) -> Vec<u8> {
    let mut out = id.to_be_bytes().to_vec();
    out.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    // `*` and fifteen zeros, each half of a byte a letter from `A` (RFC 1001, section 14.1).
    out.extend(b"\x20CK");
    out.extend([b'A'; 30]);
    out.push(0);
    out.extend(NODE_STATUS.to_be_bytes());
    out.extend([0, 1]);
    out
}

impl NodeStatus {
    /// Reads one datagram.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let id = r.u16("NAME_TRN_ID")?;
        let flags = r.u16("OPCODE, NM_FLAGS, RCODE")?;
        if flags & 0x8000 == 0 || flags & 0x000f != 0 {
            return Err(r.invalid("OPCODE, NM_FLAGS, RCODE", flags));
        }
        r.u16("QDCOUNT")?;
        let answers = r.u16("ANCOUNT")?;
        if answers != 1 {
            return Err(r.invalid("ANCOUNT", answers));
        }
        r.u32("NSCOUNT, ARCOUNT")?;
        r.until("RR_NAME", &[0])?;
        let kind = r.u16("RR_TYPE")?;
        if kind != NODE_STATUS {
            return Err(r.invalid("RR_TYPE", kind));
        }
        r.take("RR_CLASS, TTL", 6)?;
        let len = r.u16("RDLENGTH")?;
        let mut r = r.nested("RDATA", len.into())?;
        let count = r.u8("NUM_NAMES")?;
        let mut names = Vec::new();
        for _ in 0..count {
            let name: [u8; 15] = r.array("NODE_NAME")?;
            let suffix = r.u8("NODE_NAME")?;
            let flags = r.u16("NAME_FLAGS")?;
            let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
            let name = name.trim_ascii_end().to_vec();
            names.push(NetBiosName { name, suffix, group: flags & 0x8000 != 0 });
        }
        let unit = r.array("UNIT_ID")?;
        Ok(Self { id, names, unit })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    fn answer() -> Vec<u8> {
        let mut bytes = vec![0, 7, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        bytes.extend(b"\x20CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\0\0\x21\0\x01\0\0\0\0\0\x2b\x02");
        bytes.extend(b"PC-7           \0\x04\0");
        bytes.extend(b"EXAMPLE        \0\x84\0");
        bytes.extend([0, 0, 0x5e, 0, 0x53, 1]);
        bytes
    }

    #[test]
    fn names_and_address_are_read() {
        let bytes = answer();
        let expected = NodeStatus {
            id: 7,
            names: vec![
                NetBiosName { name: b"PC-7".to_vec(), suffix: 0, group: false },
                NetBiosName { name: b"EXAMPLE".to_vec(), suffix: 0, group: true },
            ],
            unit: [0, 0, 0x5e, 0, 0x53, 1],
        };
        assert_eq!(NodeStatus::parse(&bytes), Ok(expected));
        for len in 0..bytes.len() {
            let error = NodeStatus::parse(&bytes[..len]).unwrap_err();
            assert_eq!(error.problem, Problem::Truncated, "cut at {len}");
        }
        assert_eq!(NodeStatus::parse(&node_status(7)).unwrap_err().problem, Problem::Invalid(0));
        assert_eq!(node_status(7).len(), 50);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..150)) {
            let _ = NodeStatus::parse(&bytes);
            let mut headed = answer()[..56].to_vec();
            headed.extend(&bytes);
            let _ = NodeStatus::parse(&headed);
        }
    }
}
