//! The NAT Port Mapping Protocol (RFC 6886, section 3): a router's external address. It is
//! read, and nothing is mapped. Routers with only its successor (RFC 6887, section 9) answer
//! that they know no such version.

use std::net::Ipv4Addr;

use crate::{Malformed, Reader};

/// An answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer {
    /// The address outside.
    External(Ipv4Addr),
    /// A result code other than success: 2 not authorised, 3 no network.
    Failed(u16),
    /// Only this version, of RFC 6887, is spoken.
    OtherVersion(u8),
}

/// The question for the external address.
#[must_use]
pub fn external_address() -> Vec<u8> {
    vec![0, 0]
}

impl Answer {
    /// Reads one datagram. The time since the router's start is passed over.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        /// A response to operation 0.
        const RESPONSE: u8 = 128;
        /// UNSUPP_VERSION.
        const UNSUPPORTED: u8 = 1;
        let mut r = Reader::new(bytes);
        let version = r.u8("version")?;
        let operation = r.u8("opcode")?;
        if operation != RESPONSE {
            return Err(r.invalid("opcode", operation));
        }
        if version != 0 {
            r.u8("reserved")?;
            let result = r.u8("result code")?;
            if result != UNSUPPORTED || version > 8 {
                return Err(r.invalid("result code", result));
            }
            return Ok(Self::OtherVersion(version));
        }
        let result = r.u16("result code")?;
        r.u32("seconds since start of epoch")?;
        match result {
            0 => r.array("external address").map(|address: [u8; 4]| Self::External(address.into())),
            failed @ 1..=5 => Ok(Self::Failed(failed)),
            other => Err(r.invalid("result code", other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    #[track_caller]
    fn check(bytes: &[u8], expected: Answer) {
        assert_eq!(Answer::parse(bytes), Ok(expected));
        for len in 0..bytes.len() {
            assert_eq!(Answer::parse(&bytes[..len]).unwrap_err().problem, Problem::Truncated);
        }
    }

    #[test]
    fn a_router_tells_its_address_or_that_it_cannot() {
        let address = Ipv4Addr::new(192, 0, 2, 1);
        check(&[0, 128, 0, 0, 0, 0, 0, 9, 192, 0, 2, 1], Answer::External(address));
        check(&[0, 128, 0, 3, 0, 0, 0, 9], Answer::Failed(3));
        check(&[2, 128, 0, 1], Answer::OtherVersion(2));
        assert!(Answer::parse(&external_address()).is_err());
        assert!(Answer::parse(&[0, 128, 0, 9, 0, 0, 0, 9]).is_err());
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
            let _ = Answer::parse(&bytes);
        }
    }
}
