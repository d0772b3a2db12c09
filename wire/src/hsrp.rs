//! Cisco's way for routers to share an address: version 1 as in RFC 2281, version 2 as Cisco
//! documents it ("First Hop Redundancy Protocols") and public tools show it.
//!
//! Version 1 has a password in the clear, which is passed over.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{Malformed, Reader};

/// The port of both versions.
pub const PORT: u16 = 1985;
/// The port of version 2 over IPv6.
pub const PORT_V6: u16 = 2029;

/// A message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Message {
    /// 1 or 2.
    pub version: u8,
    /// Whether the sender stands for the shared address now.
    pub active: bool,
    /// The group's number: 0 to 255, and to 4095 in version 2.
    pub group: u16,
    /// The shared address; unspecified where the sender does not know it.
    pub address: IpAddr,
}

impl Message {
    /// Reads a datagram. `None` for one that announces nothing of a group: version 1 also
    /// advertises interfaces, version 2 has other fields.
    ///
    /// # Errors
    ///
    /// It ends too soon, or its fields are none that exist.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, Malformed> {
        let mut r = Reader::new(bytes);
        match r.u8("version, or type of version 2")? {
            0 => first(&mut r),
            kind @ 1..=4 => {
                let len = r.u8("length")?;
                let mut state = r.nested("group state", len.into())?;
                if kind == 1 { second(&mut state).map(Some) } else { Ok(None) }
            }
            other => Err(r.invalid("version, or type of version 2", other)),
        }
    }
}

/// Hello, coup and resign (section 5.1).
fn first(r: &mut Reader<'_>) -> Result<Option<Message>, Malformed> {
    const ACTIVE: u8 = 16;
    match r.u8("op code")? {
        0..=2 => {}
        3 => return Ok(None),
        other => return Err(r.invalid("op code", other)),
    }
    let active = r.u8("state")? == ACTIVE;
    r.take("hellotime, holdtime, priority", 3)?;
    let group = r.u8("group")?.into();
    r.take("reserved, authentication data", 9)?;
    let address = Ipv4Addr::from(r.array::<4>("virtual IP address")?).into();
    Ok(Some(Message { version: 1, active, group, address }))
}

fn second(r: &mut Reader<'_>) -> Result<Message, Malformed> {
    const ACTIVE: u8 = 6;
    let version = r.u8("version")?;
    if version != 2 {
        return Err(r.invalid("version", version));
    }
    r.u8("op code")?;
    let active = r.u8("state")? == ACTIVE;
    let family = r.u8("IP version")?;
    let group = r.u16("group")?;
    r.take("identifier, priority, hellotime, holdtime", 18)?;
    let octets = r.array::<16>("virtual IP address")?;
    let address = match (family, octets) {
        (4, [a, b, c, d, ..]) => Ipv4Addr::new(a, b, c, d).into(),
        (6, _) => Ipv6Addr::from(octets).into(),
        _ => return Err(r.invalid("IP version", family)),
    };
    Ok(Message { version, active, group, address })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    fn old(code: u8) -> Vec<u8> {
        let mut bytes = vec![0, code, 16, 3, 10, 120, 7, 0];
        bytes.extend(b"cisco\0\0\0");
        bytes.extend([192, 0, 2, 1]);
        bytes
    }

    fn new(family: u8) -> Vec<u8> {
        let mut bytes = vec![1, 40, 2, 0, 6, family, 0x01, 0x2c];
        bytes.extend([0, 0, 0x5e, 0, 0x53, 1, 0, 0, 0, 100, 0, 0, 0x0b, 0xb8, 0, 0, 0x27, 0x10]);
        bytes.extend([192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend(b"\x03\x08cisco\0\0\0");
        bytes
    }

    #[track_caller]
    fn check(bytes: &[u8], least: usize, expected: Message) {
        assert_eq!(Message::parse(bytes), Ok(Some(expected)));
        for len in 0..bytes.len() {
            match Message::parse(&bytes[..len]) {
                Ok(read) => assert_eq!((len >= least, read), (true, Some(expected))),
                Err(error) => {
                    assert!(len < least && error.problem == Problem::Truncated, "cut at {len}");
                }
            }
        }
    }

    #[test]
    fn both_versions_name_group_and_address() {
        let address = "192.0.2.1".parse().unwrap();
        check(&old(0), 20, Message { version: 1, active: true, group: 7, address });
        check(&new(4), 42, Message { version: 2, active: true, group: 300, address });
        let v6 = Message::parse(&new(6)).unwrap().unwrap().address;
        assert_eq!(v6.to_string(), "c000:201::");
        assert_eq!(Message::parse(&old(3)), Ok(None));
        assert_eq!(Message::parse(&[3, 1, 7]), Ok(None));
        assert_eq!(Message::parse(&old(9)).unwrap_err().field, "op code");
        assert_eq!(Message::parse(&new(5)).unwrap_err().field, "IP version");
        assert!(Message::parse(&[9, 0]).is_err());
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Message::parse(&bytes);
            let _ = Message::parse(&[&[1, 40, 2], &bytes[..]].concat());
        }
    }
}
