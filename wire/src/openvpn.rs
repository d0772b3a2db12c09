//! The first packets of OpenVPN's control channel, as its program has had them since 2.0
//! (OpenVPN's protocol description, "Reliability layer").
//!
//! A server with a `tls-auth` or `tls-crypt` key is silent to who has none.

use crate::{Malformed, Reader};

const HARD_RESET_CLIENT_V2: u8 = 7;
const HARD_RESET_SERVER_V2: u8 = 8;
const ACK_V1: u8 = 5;

/// A server's answer to a reset.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// Our session's id, repeated where our packet is acknowledged.
    pub ours: [u8; 8],
}

/// The packet with which a client begins a session.
#[must_use]
pub fn reset(session: [u8; 8]) -> Vec<u8> {
    let mut out = vec![HARD_RESET_CLIENT_V2 << 3];
    out.extend(session);
    out.extend([0; 5]); // nothing to acknowledge; packet 0
    out
}

impl Answer {
    /// Reads one datagram.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let first = r.u8("opcode, key id")?;
        let opcode = first >> 3;
        if !matches!(opcode, HARD_RESET_SERVER_V2 | ACK_V1) || first & 7 != 0 {
            return Err(r.invalid("opcode, key id", first));
        }
        r.take("session id", 8)?;
        let count = r.u8("packets acknowledged")?;
        if !(1..=8).contains(&count) {
            return Err(r.invalid("packets acknowledged", count));
        }
        r.take("packet ids", usize::from(count).saturating_mul(4))?;
        let ours = r.array("remote session id")?;
        if opcode == HARD_RESET_SERVER_V2 {
            r.u32("packet id")?;
        }
        Ok(Self { ours })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    fn answer() -> Vec<u8> {
        let mut bytes = vec![0x40];
        bytes.extend([9; 8]);
        bytes.extend([1, 0, 0, 0, 0]);
        bytes.extend([7; 8]);
        bytes.extend([0; 4]);
        bytes
    }

    #[track_caller]
    fn check(bytes: &[u8], ours: [u8; 8]) {
        assert_eq!(Answer::parse(bytes), Ok(Answer { ours }));
        for len in 0..bytes.len() {
            assert_eq!(Answer::parse(&bytes[..len]).unwrap_err().problem, Problem::Truncated);
        }
    }

    #[test]
    fn a_server_acknowledges_our_session() {
        check(&answer(), [7; 8]);
        let mut acknowledged = answer();
        acknowledged[0] = 0x28;
        acknowledged.truncate(22);
        check(&acknowledged, [7; 8]);
        assert!(Answer::parse(&reset([7; 8])).is_err());
        let mut without = answer();
        without[9] = 0;
        assert_eq!(Answer::parse(&without).unwrap_err().problem, Problem::Invalid(0));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Answer::parse(&bytes);
            let _ = Answer::parse(&[&[0x40], &bytes[..]].concat());
        }
    }
}
