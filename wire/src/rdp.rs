//! The first exchange of the Remote Desktop Protocol: an X.224 connection request in a TPKT
//! (RFC 1006, section 6) with a negotiation request ([MS-RDPBCGR], section 2.2.1.1), and
//! its answer (section 2.2.1.2).
//!
//! The request carries no `mstshash` cookie, which would be a user name. What follows in
//! the protocol needs TLS or a login and is not known here.

use crate::{Malformed, Reader};

/// What a server answers to a connection request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer {
    /// RDP_NEG_RSP.
    Selected {
        /// The protocol: 0 RDP, 1 TLS, 2 CredSSP, 4 RDSTLS, 8 CredSSP with early result.
        protocol: u32,
        /// Bit 0 extended client data, 1 graphics pipeline, 3 restricted administration,
        /// 4 redirected authentication.
        flags: u8,
    },
    /// RDP_NEG_FAILURE, with its code.
    Failure(u32),
    /// The server confirms without negotiating: before Windows Vista, RDP security only.
    Plain,
    /// The server refuses the connection.
    Refused,
}

/// A connection request that offers TLS and CredSSP.
#[must_use]
pub fn connection_request() -> Vec<u8> {
    vec![
        3, 0, 0, 19, // TPKT: version, reserved, length
        14, 0xe0, 0, 0, 0, 0, 0, // X.224: length, connection request, references, class 0
        1, 0, 8, 0, // RDP_NEG_REQ: type, flags, length
        3, 0, 0, 0, // PROTOCOL_SSL | PROTOCOL_HYBRID
    ]
}

impl Answer {
    /// Reads one message. Bytes after it are ignored.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let version = r.u8("TPKT version")?;
        if version != 3 {
            return Err(r.invalid("TPKT version", version));
        }
        let reserved = r.u8("TPKT reserved")?;
        if reserved != 0 {
            return Err(r.invalid("TPKT reserved", reserved));
        }
        let len = r.u16("TPKT length")?;
        let Some(len) = len.checked_sub(4).filter(|&rest| (7..=255).contains(&rest)) else {
            return Err(r.invalid("TPKT length", len));
        };
        let mut r = r.nested("TPKT user data", len.into())?;
        r.u8("X.224 length indicator")?;
        let kind = r.u8("X.224 code")?;
        match kind & 0xf0 {
            0xd0 => {}
            0x80 => return Ok(Self::Refused),
            _ => return Err(r.invalid("X.224 code", kind)),
        }
        r.take("X.224 references and class", 5)?;
        if r.is_at_end() {
            return Ok(Self::Plain);
        }
        let kind = r.u8("negotiation type")?;
        let flags = r.u8("negotiation flags")?;
        let length = r.u16_le("negotiation length")?;
        if length != 8 {
            return Err(r.invalid("negotiation length", length));
        }
        let value = r.u32_le("negotiation value")?;
        match kind {
            2 => Ok(Self::Selected { protocol: value, flags }),
            3 => Ok(Self::Failure(value)),
            _ => Err(r.invalid("negotiation type", kind)),
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
            let error = Answer::parse(&bytes[..len]).unwrap_err();
            assert_eq!(error.problem, Problem::Truncated, "cut at {len}");
        }
    }

    #[test]
    fn reads_every_kind_of_answer() {
        let mut bytes = vec![3, 0, 0, 19, 14, 0xd0, 0, 0, 0x12, 0x34, 0, 2, 0x1f, 8, 0, 2, 0, 0, 0];
        check(&bytes, Answer::Selected { protocol: 2, flags: 0x1f });
        bytes[11] = 3;
        bytes[15] = 5;
        check(&bytes, Answer::Failure(5));
        check(&[3, 0, 0, 11, 6, 0xd0, 0, 0, 0x12, 0x34, 0], Answer::Plain);
        check(&[3, 0, 0, 11, 6, 0x80, 0, 0, 0, 0, 0], Answer::Refused);
    }

    #[test]
    fn other_protocols_are_refused() {
        let check = |bytes: &[u8], field: &str| {
            assert_eq!(Answer::parse(bytes).unwrap_err().field, field);
        };
        check(b"HTTP/1.1", "TPKT version");
        check(&[3, 7], "TPKT reserved");
        check(&[3, 0, 0, 2], "TPKT length");
        check(&connection_request(), "X.224 code");
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 7..40)) {
            let mut framed = vec![3, 0, 0, bytes.len() as u8 + 4];
            framed.extend(&bytes);
            let _ = Answer::parse(&framed);
            let _ = Answer::parse(&bytes);
        }
    }
}
