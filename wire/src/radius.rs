//! RADIUS: Status-Server (RFC 5997), which asks whether a server is alive and proves nothing
//! of any user.
//!
//! It has to be signed with the secret that server and client share, and we have none: it is
//! signed with the empty one, which RFC 2865 (section 3) forbids. A well-kept server is
//! silent, so that silence is the rule; one that answers does not check who asks.

use crate::{Malformed, Reader, lines};

const STATUS_SERVER: u8 = 12;
const IDENTIFIER: u8 = 0x44;
const REPLY_MESSAGE: u8 = 18;

/// An answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// Its code: 2 Access-Accept, 5 Accounting-Response.
    pub code: u8,
    /// Reply-Message, where there is one.
    pub message: Option<String>,
}

/// Status-Server. It is always the same: its signature, HMAC-MD5 with an empty key (RFC 3579,
/// section 3.2), was made once.
#[must_use]
pub fn status_server() -> Vec<u8> {
    const SIGNATURE: [u8; 16] = [
        0x59, 0x2b, 0xcd, 0x49, 0xe9, 0x04, 0x63, 0x9c, 0x6b, 0xe6, 0x0f, 0x27, 0x4d, 0x10, 0xb3,
        0x59,
    ];
    let mut out = vec![STATUS_SERVER, IDENTIFIER, 0, 38];
    out.extend(b"daicho has none.");
    out.extend([80, 18]); // Message-Authenticator
    out.extend(SIGNATURE);
    out
}

impl Answer {
    /// Reads one datagram: an answer to [`status_server`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let code = r.u8("code")?;
        if !matches!(code, 2 | 5) {
            return Err(r.invalid("code", code));
        }
        let identifier = r.u8("identifier")?;
        if identifier != IDENTIFIER {
            return Err(r.invalid("identifier", identifier));
        }
        let length = r.u16("length")?;
        let Some(inside) = length.checked_sub(4) else {
            return Err(r.invalid("length", length));
        };
        let mut r = r.nested("packet", inside.into())?;
        r.take("response authenticator", 16)?;
        let mut message = None;
        while !r.is_at_end() {
            let kind = r.u8("attribute type")?;
            let len = r.u8("attribute length")?;
            let Some(inside) = len.checked_sub(2) else {
                return Err(r.invalid("attribute length", len));
            };
            let value = r.take("attribute value", inside.into())?;
            if kind == REPLY_MESSAGE {
                message = Some(lines::text(value));
            }
        }
        Ok(Self { code, message })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    fn answer(attributes: &[u8]) -> Vec<u8> {
        let mut bytes = vec![2, IDENTIFIER, 0, 20 + attributes.len() as u8];
        bytes.extend([9; 16]);
        bytes.extend(attributes);
        bytes
    }

    #[track_caller]
    fn check(bytes: &[u8], message: Option<&str>) {
        let message = message.map(str::to_owned);
        assert_eq!(Answer::parse(bytes), Ok(Answer { code: 2, message }));
        for len in 0..bytes.len() {
            assert_eq!(Answer::parse(&bytes[..len]).unwrap_err().problem, Problem::Truncated);
        }
    }

    #[test]
    fn a_server_is_alive() {
        check(&answer(&[]), None);
        check(&answer(b"\x12\x06up 7"), Some("up 7"));
        assert!(Answer::parse(&answer(&[18, 1])).is_err());
        let question = status_server();
        assert_eq!((question.len(), question[3]), (38, 38));
        assert!(Answer::parse(&question).is_err());
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Answer::parse(&bytes);
            let _ = Answer::parse(&answer(&bytes));
        }
    }
}
