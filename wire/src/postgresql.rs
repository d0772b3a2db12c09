//! PostgreSQL's frontend/backend protocol, up to the server's first message.
//!
//! Source: PostgreSQL documentation, "Frontend/Backend Protocol", sections "Start-up",
//! "Message Formats" and "Error and Notice Message Fields". A start-up packet whose
//! protocol version no server has is refused before the server asks who we are, and the
//! refusal says which versions it has and which function of its source refused.

use std::collections::BTreeMap;

use crate::{Malformed, Reader};

/// A start-up packet for protocol 255.0, without parameters: there is no user name in it.
/// The major number must not be 1234, which marks cancel and encryption requests.
#[must_use]
pub fn impossible_startup() -> Vec<u8> {
    vec![0, 0, 0, 8, 0, 255, 0, 0]
}

/// A request to go on in TLS (section "SSL Session Encryption"). The answer is one byte: `S` for
/// yes, `N` for no.
#[must_use]
pub fn tls_request() -> Vec<u8> {
    vec![0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]
}

/// A server's refusal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ErrorResponse {
    /// Protocol 3: fields by their one-letter type, such as `M` for the message.
    Fields(BTreeMap<u8, Vec<u8>>),
    /// Protocol 2 and before: a text.
    Text(Vec<u8>),
}

impl ErrorResponse {
    /// Reads one message. Bytes after it are ignored.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let kind = r.u8("message type")?;
        if kind != b'E' {
            return Err(r.invalid("message type", kind));
        }
        // A length below 64 KiB starts with two zero bytes, a text with two letters.
        let length = r.clone().u16("message length")?;
        if length != 0 {
            return text(&mut r);
        }
        let length = r.u32("message length")?;
        let Some(rest) = length.checked_sub(4).filter(|&rest| rest > 0) else {
            return Err(r.invalid("message length", length));
        };
        let mut r = r.nested("message", usize::try_from(rest).unwrap_or(usize::MAX))?;
        let mut fields = BTreeMap::new();
        loop {
            match r.u8("field type")? {
                0 => return Ok(Self::Fields(fields)),
                kind => fields.insert(kind, r.until("field value", &[0])?.to_vec()),
            };
        }
    }

    /// The value of the field of that type, if it has one.
    #[must_use]
    pub fn field(&self, kind: u8) -> Option<&[u8]> {
        match self {
            Self::Fields(fields) => fields.get(&kind).map(Vec::as_slice),
            Self::Text(text) => (kind == b'M').then_some(text),
        }
    }
}

fn text(r: &mut Reader<'_>) -> Result<ErrorResponse, Malformed> {
    let text = r.until("error text", &[0])?;
    match text.iter().find(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace()) {
        Some(&byte) => Err(r.invalid("error text", byte)),
        None => Ok(ErrorResponse::Text(text.trim_ascii().to_vec())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    fn message(fields: &[u8]) -> Vec<u8> {
        let mut bytes = vec![b'E', 0, 0, 0, (fields.len() + 4) as u8];
        bytes.extend_from_slice(fields);
        bytes
    }

    #[track_caller]
    fn check_cuts(bytes: &[u8]) {
        for len in 0..bytes.len() {
            let error = ErrorResponse::parse(&bytes[..len]).unwrap_err();
            assert_eq!(error.problem, Problem::Truncated, "cut at {len}");
        }
    }

    #[test]
    fn fields_are_found_by_their_letter() {
        let bytes = message(b"SFATAL\0C0A000\0Fpostmaster.c\0L7\0\0");
        let error = ErrorResponse::parse(&bytes).unwrap();
        assert_eq!(error.field(b'C'), Some(&b"0A000"[..]));
        assert_eq!(error.field(b'F'), Some(&b"postmaster.c"[..]));
        assert_eq!(error.field(b'V'), None);
        check_cuts(&bytes);
    }

    #[test]
    fn an_old_server_sends_a_text() {
        let bytes = b"EFATAL:  unsupported frontend protocol\n\0";
        let error = ErrorResponse::parse(bytes).unwrap();
        assert_eq!(error.field(b'M'), Some(&b"FATAL:  unsupported frontend protocol"[..]));
        check_cuts(bytes);
    }

    #[test]
    fn other_protocols_are_refused() {
        let check = |bytes: &[u8], field: &str| {
            assert_eq!(ErrorResponse::parse(bytes).unwrap_err().field, field);
        };
        check(b"HTTP/1.1 400 Bad Request\r\n", "message type");
        check(b"E\0\0\0\x03", "message length");
        check(b"EHLO\x01\0", "error text");
    }

    #[test]
    fn the_question_names_nobody() {
        let question = impossible_startup();
        assert_eq!(question.len(), 8);
        assert_eq!(question[..4], 8_u32.to_be_bytes());
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = ErrorResponse::parse(&bytes);
            let _ = ErrorResponse::parse(&message(&bytes));
        }
    }
}
