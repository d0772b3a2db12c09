//! NetBIOS names (RFC 1002): node status (sections 4.2.17 and 4.2.18), the names and the
//! link-layer address that a Windows or Samba machine tells whoever asks; and what it tells
//! everybody: the names that it registers (4.2.2 to 4.2.4) or answers for (4.2.13), and the
//! sender's name in datagrams (4.4).
//!
//! Not decoded with the other names of `crate::dns`: its record type is SRV's number.

use std::net::Ipv4Addr;

use crate::{Malformed, Reader};

const NODE_STATUS: u16 = 0x0021;
const NAME: u16 = 0x0020;

/// The port of the name service.
pub const PORT: u16 = 137;
/// The port of the datagram service.
pub const DATAGRAM_PORT: u16 = 138;

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

/// A name and the address that is said to have it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Claim {
    /// The name.
    pub name: NetBiosName,
    /// Whose it is.
    pub address: Ipv4Addr,
}

impl Claim {
    /// Reads what a node registers or refreshes, and a positive answer to a question for a
    /// name: the first address of it. `None` for every other message of the name service.
    ///
    /// # Errors
    ///
    /// It ends too soon, or a name is not encoded as one (RFC 1001, section 14.1).
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, Malformed> {
        let mut r = Reader::new(bytes);
        r.u16("NAME_TRN_ID")?;
        let flags = r.u16("OPCODE, NM_FLAGS, RCODE")?;
        let questions = r.u16("QDCOUNT")?;
        let answers = r.u16("ANCOUNT")?;
        r.u16("NSCOUNT")?;
        let additional = r.u16("ARCOUNT")?;
        let (response, code) = (flags & 0x8000 != 0, flags & 0x000f);
        let named = match (response, flags >> 11 & 0x0f) {
            // Registration and the two numbers that refreshing has.
            (false, 5 | 8 | 9) if questions == 1 && additional == 1 => {
                let name = name(&mut r)?;
                r.u32("QUESTION_TYPE, QUESTION_CLASS")?;
                // A pointer to the name above, or the name once more.
                match r.rest().first() {
                    Some(0xc0..) => drop(r.u16("RR_NAME")?),
                    _ => drop(self::name(&mut r)?),
                }
                name
            }
            (true, 0) if code == 0 && answers == 1 => name(&mut r)?,
            _ => return Ok(None),
        };
        let kind = r.u16("RR_TYPE")?;
        if kind != NAME {
            return Ok(None);
        }
        r.take("RR_CLASS, TTL, RDLENGTH", 8)?;
        let group = r.u16("NB_FLAGS")? & 0x8000 != 0;
        let address = Ipv4Addr::from(r.array::<4>("NB_ADDRESS")?);
        Ok(Some(Self { name: NetBiosName { group, ..named }, address }))
    }

    /// Reads a datagram of the datagram service: its sender's name and address. `None` for
    /// errors and questions of that service.
    ///
    /// # Errors
    ///
    /// It ends too soon, or a name is not encoded as one.
    pub fn of_datagram(bytes: &[u8]) -> Result<Option<Self>, Malformed> {
        let mut r = Reader::new(bytes);
        // Direct unique, direct group, broadcast.
        if !(0x10..=0x12).contains(&r.u8("MSG_TYPE")?) {
            return Ok(None);
        }
        r.take("FLAGS, DGM_ID", 3)?;
        let address = Ipv4Addr::from(r.array::<4>("SOURCE_IP")?);
        r.take("SOURCE_PORT, DGM_LENGTH, PACKET_OFFSET", 6)?;
        let name = name(&mut r)?;
        Ok(Some(Self { name, address }))
    }
}

/// A name in its first-level encoding, behind its length of 32; what scope follows is passed
/// over.
fn name(r: &mut Reader<'_>) -> Result<NetBiosName, Malformed> {
    let len = r.u8("name length")?;
    if len != 32 {
        return Err(r.invalid("name length", len));
    }
    let encoded = r.array::<32>("name")?;
    let (pairs, _) = encoded.as_chunks::<2>();
    let mut decoded = [0; 16];
    for (place, [high, low]) in decoded.iter_mut().zip(pairs) {
        let nibble = |letter: u8| letter.checked_sub(b'A').filter(|nibble| *nibble < 16);
        let (Some(high), Some(low)) = (nibble(*high), nibble(*low)) else {
            return Err(r.invalid("name", u16::from_be_bytes([*high, *low])));
        };
        *place = high << 4 | low;
    }
    loop {
        match r.u8("scope length")? {
            0 => break,
            len @ 1..=63 => drop(r.take("scope", len.into())?),
            len => return Err(r.invalid("scope length", len)),
        }
    }
    let [name @ .., suffix] = decoded;
    let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
    Ok(NetBiosName { name: name.trim_ascii_end().to_vec(), suffix, group: false })
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

    /// `PC-7`, fourth byte from the end onwards the suffix: two letters a byte.
    fn encoded(suffix: u8) -> Vec<u8> {
        let name = [b"PC-7           ", &[suffix][..]].concat();
        let mut bytes = vec![32];
        for byte in name {
            bytes.extend([b'A' + (byte >> 4), b'A' + (byte & 15)]);
        }
        bytes.push(0);
        bytes
    }

    fn registration() -> Vec<u8> {
        let mut bytes = vec![0, 7, 0x29, 0x10, 0, 1, 0, 0, 0, 0, 0, 1];
        bytes.extend(encoded(0x20));
        bytes.extend([0, 0x20, 0, 1, 0xc0, 12, 0, 0x20, 0, 1, 0, 4, 0x93, 0xe0, 0, 6]);
        bytes.extend([0x60, 0, 192, 0, 2, 7]);
        bytes
    }

    #[track_caller]
    fn check_claim(
        bytes: &[u8],
        parse: fn(&[u8]) -> Result<Option<Claim>, Malformed>,
        suffix: u8,
        group: bool,
    ) {
        let name = NetBiosName { name: b"PC-7".to_vec(), suffix, group };
        let expected = Claim { name, address: Ipv4Addr::new(192, 0, 2, 7) };
        assert_eq!(parse(bytes), Ok(Some(expected)));
        for len in 0..bytes.len() {
            assert_eq!(parse(&bytes[..len]).unwrap_err().problem, Problem::Truncated);
        }
    }

    #[test]
    fn a_node_tells_everybody_its_name() {
        check_claim(&registration(), Claim::parse, 0x20, false);
        let mut answer = vec![0, 7, 0x85, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        answer.extend(encoded(0x1c));
        answer.extend([0, 0x20, 0, 1, 0, 4, 0x93, 0xe0, 0, 6, 0x80, 0, 192, 0, 2, 7]);
        check_claim(&answer, Claim::parse, 0x1c, true);
        let mut datagram = vec![0x11, 0x0a, 0, 7, 192, 0, 2, 7, 0, 138, 0, 187, 0, 0];
        datagram.extend(encoded(0));
        check_claim(&datagram, Claim::of_datagram, 0, false);
        // A question, a refusal, a status.
        for (place, value) in [(2, 0x01), (2, 0x85)] {
            let mut other = registration();
            other[place] = value;
            assert_eq!(Claim::parse(&other), Ok(None));
        }
        assert_eq!(Claim::parse(&node_status(7)), Ok(None));
        assert_eq!(Claim::of_datagram(&[0x13]), Ok(None));
        let mut wrong = registration();
        wrong[14] = b'Z';
        assert_eq!(Claim::parse(&wrong).unwrap_err().field, "name");
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..150)) {
            let _ = NodeStatus::parse(&bytes);
            let _ = Claim::parse(&bytes);
            let _ = Claim::parse(&[&registration()[..46], &bytes].concat());
            let _ = Claim::of_datagram(&bytes);
            let mut headed = answer()[..56].to_vec();
            headed.extend(&bytes);
            let _ = NodeStatus::parse(&headed);
        }
    }
}
