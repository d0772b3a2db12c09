//! The Service Location Protocol, version 2 (RFC 2608, sections 8 and 10): which types of
//! services an agent knows, asked of hypervisors, printers and storage.

use crate::{Malformed, Reader, lines};

const VERSION: u8 = 2;
const TYPE_REQUEST: u8 = 9;
const TYPE_REPLY: u8 = 10;

/// A service type reply.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Types {
    /// The question's number, repeated.
    pub xid: u16,
    /// 0: no error.
    pub error: u16,
    /// The types, such as `service:wbem:https`.
    pub types: Vec<String>,
}

/// A request for all service types in the default scope.
#[must_use]
pub fn type_request(xid: u16) -> Vec<u8> {
    const SCOPE: &[u8] = b"DEFAULT";
    const LENGTH: u8 = 16 + 2 + 2 + 2 + 7;
    let mut out = vec![VERSION, TYPE_REQUEST, 0, 0, LENGTH, 0, 0, 0, 0, 0];
    out.extend(xid.to_be_bytes());
    out.extend(b"\0\x02en");
    // Nobody has answered yet; types of every naming authority; the scope.
    out.extend([0, 0, 0xff, 0xff, 0, 7]);
    out.extend(SCOPE);
    out
}

impl Types {
    /// Reads one datagram.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let version = r.u8("version")?;
        if version != VERSION {
            return Err(r.invalid("version", version));
        }
        let function = r.u8("function-id")?;
        if function != TYPE_REPLY {
            return Err(r.invalid("function-id", function));
        }
        r.take("length, flags, extension", 8)?;
        let xid = r.u16("XID")?;
        let len = r.u16("language tag length")?;
        r.take("language tag", len.into())?;
        let error = r.u16("error code")?;
        if error != 0 {
            // Everything behind an error may be left out (section 7).
            return Ok(Self { xid, error, types: Vec::new() });
        }
        let len = r.u16("list length")?;
        let list = r.take("service type list", len.into())?;
        let types = list.split(|&byte| byte == b',').map(lines::text);
        Ok(Self { xid, error, types: types.filter(|kind| !kind.is_empty()).collect() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    #[track_caller]
    fn check(body: &[u8], error: u16, types: &[&str]) {
        let head = b"\x02\x0a\0\0\0\0\0\0\0\0\0\x07\0\x02en";
        let bytes = [head, body].concat();
        let types = types.iter().map(|&kind| kind.to_owned()).collect();
        assert_eq!(Types::parse(&bytes), Ok(Types { xid: 7, error, types }));
        for len in 0..bytes.len() {
            assert_eq!(Types::parse(&bytes[..len]).unwrap_err().problem, Problem::Truncated);
        }
    }

    #[test]
    fn an_agent_lists_types() {
        check(b"\0\0\0\x11service:a,service", 0, &["service:a", "service"]);
        check(b"\0\0\0\0", 0, &[]);
        check(b"\0\x04", 4, &[]);
        let question = type_request(7);
        assert_eq!(question.len(), usize::from(question[4]));
        assert!(Types::parse(&question).is_err());
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Types::parse(&bytes);
            let _ = Types::parse(&[b"\x02\x0a", &bytes[..]].concat());
        }
    }
}
