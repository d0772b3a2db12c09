//! OSPF (RFC 2328 version 2, RFC 5340 version 3): the head of every message, by which a router
//! is known. Version 2's head may carry a password in the clear, which is passed over.

use std::net::Ipv4Addr;

use crate::{Malformed, Reader};

/// The protocol number.
pub const PROTOCOL: u8 = 89;

/// The head of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Head {
    /// 2 or 3.
    pub version: u8,
    /// 1 hello, 2 database description, 3 to 5 link states.
    pub kind: u8,
    /// The router's number, which it writes as an address.
    pub router: Ipv4Addr,
    /// The area's number.
    pub area: Ipv4Addr,
}

impl Head {
    /// Reads the head of a message.
    ///
    /// # Errors
    ///
    /// It ends too soon, or version or type are none that exist.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let version = r.u8("version")?;
        if !matches!(version, 2 | 3) {
            return Err(r.invalid("version", version));
        }
        let kind = r.u8("type")?;
        if !(1..=5).contains(&kind) {
            return Err(r.invalid("type", kind));
        }
        r.u16("packet length")?;
        let router = Ipv4Addr::from(r.array::<4>("router ID")?);
        let area = Ipv4Addr::from(r.array::<4>("area ID")?);
        Ok(Self { version, kind, router, area })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    #[test]
    fn a_router_is_known_by_its_head() {
        let bytes = [2, 1, 0, 44, 192, 0, 2, 1, 0, 0, 0, 7, 0, 0];
        let (router, area) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(0, 0, 0, 7));
        let expected = Head { version: 2, kind: 1, router, area };
        for len in 0..=bytes.len() {
            match Head::parse(&bytes[..len]) {
                Ok(read) => assert_eq!((len >= 12, read), (true, expected)),
                Err(error) => assert!(len < 12 && error.problem == Problem::Truncated),
            }
        }
        assert_eq!(Head::parse(&[4, 1]).unwrap_err().field, "version");
        assert_eq!(Head::parse(&[3, 6]).unwrap_err().field, "type");
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
            let _ = Head::parse(&bytes);
        }
    }
}
