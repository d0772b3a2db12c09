//! Session Traversal Utilities for NAT (RFC 8489, sections 5 and 14): a binding request, and
//! what a server says of itself.

use crate::{Malformed, Reader, lines};

const MAGIC_COOKIE: u32 = 0x2112_a442;
/// SOFTWARE (section 14.14).
const SOFTWARE: u16 = 0x8022;

/// A server's response.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Response {
    /// The request's transaction id, repeated.
    pub id: [u8; 12],
    /// Whether it is an error.
    pub error: bool,
    /// What the server runs.
    pub software: Option<String>,
}

/// A binding request.
#[must_use]
pub fn binding(id: [u8; 12]) -> Vec<u8> {
    let mut out = vec![0, 1, 0, 0];
    out.extend(MAGIC_COOKIE.to_be_bytes());
    out.extend(id);
    out
}

impl Response {
    /// Reads one datagram.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let kind = r.u16("message type")?;
        let error = match kind {
            0x0101 => false,
            0x0111 => true,
            _ => return Err(r.invalid("message type", kind)),
        };
        let len = r.u16("message length")?;
        if len % 4 != 0 {
            return Err(r.invalid("message length", len));
        }
        let magic = r.u32("magic cookie")?;
        if magic != MAGIC_COOKIE {
            return Err(r.invalid("magic cookie", magic));
        }
        let id = r.array("transaction id")?;
        let mut attributes = r.nested("attributes", len.into())?;
        let mut software = None;
        while !attributes.is_at_end() {
            let kind = attributes.u16("attribute type")?;
            let len = attributes.u16("attribute length")?;
            let value = attributes.take("attribute value", len.into())?;
            attributes.take_up_to(usize::from(len.wrapping_neg() & 3));
            if kind == SOFTWARE {
                // Some pad the value itself with zeros.
                let text = value.split(|&byte| byte == 0).next().unwrap_or_default();
                software = Some(lines::text(text));
            }
        }
        Ok(Self { id, error, software })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    fn answer(attributes: &[u8]) -> Vec<u8> {
        let mut bytes = vec![1, 1, 0, attributes.len() as u8, 0x21, 0x12, 0xa4, 0x42];
        bytes.extend([7; 12]);
        bytes.extend(attributes);
        bytes
    }

    #[track_caller]
    fn check(bytes: &[u8], software: Option<&str>) {
        let software = software.map(str::to_owned);
        assert_eq!(Response::parse(bytes), Ok(Response { id: [7; 12], error: false, software }));
        for len in 0..bytes.len() {
            assert_eq!(Response::parse(&bytes[..len]).unwrap_err().problem, Problem::Truncated);
        }
    }

    #[test]
    fn a_server_names_its_software() {
        check(&answer(b""), None);
        check(&answer(b"\x80\x22\0\x0bExample-4.6\0"), Some("Example-4.6"));
        check(&answer(b"\0\x20\0\x08\0\x01\x7f\xff\x01\x02\x03\x04"), None);
        assert!(Response::parse(&binding([7; 12])).is_err());
        let broken = answer(b"\x80\x22\0\x0cExample");
        assert!(Response::parse(&broken).is_err());
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Response::parse(&bytes);
            let _ = Response::parse(&answer(&bytes));
        }
    }
}
