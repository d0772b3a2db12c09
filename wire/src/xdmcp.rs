//! The X Display Manager Control Protocol, version 1 (X.Org, "XDMCP", sections 3 and 5): a
//! query whether a manager would give a login screen, which begins no session.

use crate::{Malformed, Reader, lines};

const QUERY: u16 = 2;
const WILLING: u16 = 5;
const UNWILLING: u16 = 6;

/// An answer to a query.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// Whether it would give a login screen to us.
    pub willing: bool,
    /// What the machine calls itself.
    pub host_name: String,
}

/// A query without authentication.
#[must_use]
pub fn query() -> Vec<u8> {
    let [_, opcode] = QUERY.to_be_bytes();
    vec![0, 1, 0, opcode, 0, 1, 0]
}

impl Answer {
    /// Reads one datagram. The status, often the load, is passed over: it changes by itself.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let version = r.u16("version")?;
        if version != 1 {
            return Err(r.invalid("version", version));
        }
        let opcode = r.u16("opcode")?;
        if !matches!(opcode, WILLING | UNWILLING) {
            return Err(r.invalid("opcode", opcode));
        }
        let len = r.u16("length")?;
        let mut r = r.nested("message", len.into())?;
        let mut string = |field| {
            let len = r.u16(field)?;
            r.take(field, len.into()).map(lines::text)
        };
        if opcode == WILLING {
            string("authentication name")?;
        }
        let host_name = string("host name")?;
        string("status")?;
        if !r.is_at_end() {
            return Err(r.invalid("length", len));
        }
        Ok(Self { willing: opcode == WILLING, host_name })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    #[track_caller]
    fn check(bytes: &[u8], willing: bool) {
        assert_eq!(Answer::parse(bytes), Ok(Answer { willing, host_name: "pc7".into() }));
        for len in 0..bytes.len() {
            assert_eq!(Answer::parse(&bytes[..len]).unwrap_err().problem, Problem::Truncated);
        }
    }

    #[test]
    fn a_manager_is_willing_or_not() {
        check(b"\0\x01\0\x05\0\x0e\0\0\0\x03pc7\0\x05ready", true);
        check(b"\0\x01\0\x06\0\x09\0\x03pc7\0\x02no", false);
        assert!(Answer::parse(&query()).is_err());
        assert!(Answer::parse(b"\0\x01\0\x06\0\x0a\0\x03pc7\0\x02no!").is_err());
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Answer::parse(&bytes);
            let _ = Answer::parse(&[b"\0\x01\0\x05", &bytes[..]].concat());
        }
    }
}
