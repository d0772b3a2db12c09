//! The Trivial File Transfer Protocol (RFC 1350, section 5; options: RFC 2347): a request to
//! read a file, and what a server says to it.
//!
//! There is no room for a number of ours: a transfer is told by its ports. A server answers
//! from a port of its choosing, not from 69.

use crate::{Malformed, Reader, lines};

/// What a server answers to a request to read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// The first block of the file.
    Data,
    /// Options are agreed upon first.
    Options,
    /// It refuses.
    Error {
        /// 1: no such file; 2: access is not allowed.
        code: u16,
        /// In the server's own words.
        text: String,
    },
}

/// A request to read that file, in octets.
#[must_use]
pub fn read_request(file: &str) -> Vec<u8> {
    [b"\0\x01", file.as_bytes(), b"\0octet\0"].concat()
}

/// The port to which requests go.
pub const PORT: u16 = 69;

/// Whether it is a request to read or to write a file (RFC 1350, section 5). Which file is
/// nobody's business.
///
/// # Errors
///
/// It ends too soon, or its number or its mode are no request's.
pub fn request(bytes: &[u8]) -> Result<(), Malformed> {
    let mut r = Reader::new(bytes);
    let opcode = r.u16("opcode")?;
    if !matches!(opcode, 1 | 2) {
        return Err(r.invalid("opcode", opcode));
    }
    r.until("filename", &[0])?;
    let mode = r.until("mode", &[0])?;
    let known = [&b"octet"[..], b"netascii", b"mail"];
    if known.iter().any(|known| mode.eq_ignore_ascii_case(known)) {
        Ok(())
    } else {
        Err(r.invalid("mode", mode.first().copied().unwrap_or_default()))
    }
}

impl Answer {
    /// Reads one datagram.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        match r.u16("opcode")? {
            3 => match r.u16("block")? {
                // Of more than 512 bytes nothing was agreed.
                1 if r.rest().len() <= 512 => Ok(Self::Data),
                block => Err(r.invalid("block", block)),
            },
            5 => {
                let code = r.u16("error code")?;
                if code > 8 {
                    return Err(r.invalid("error code", code));
                }
                let text = lines::text(r.until("error message", &[0])?);
                Ok(Self::Error { code, text })
            }
            6 => {
                r.until("option", &[0])?;
                r.until("value", &[0])?;
                Ok(Self::Options)
            }
            opcode => Err(r.invalid("opcode", opcode)),
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
        for len in 0..bytes.len().min(4) {
            assert_eq!(Answer::parse(&bytes[..len]).unwrap_err().problem, Problem::Truncated);
        }
    }

    #[test]
    fn a_server_refuses_or_begins() {
        let text = "File not found".to_owned();
        check(b"\0\x05\0\x01File not found\0", Answer::Error { code: 1, text });
        check(b"\0\x03\0\x01data", Answer::Data);
        check(b"\0\x03\0\x01", Answer::Data);
        check(b"\0\x06blksize\x00512\0", Answer::Options);
        assert!(Answer::parse(b"\0\x05\0\x01File not f").is_err());
        assert!(Answer::parse(b"\0\x05\x01\0no such code\0").is_err());
        assert!(Answer::parse(b"\0\x03\0\x02not the first").is_err());
        assert!(Answer::parse(&read_request("a")).is_err());
        assert_eq!(read_request("a"), b"\0\x01a\0octet\0");
    }

    #[test]
    fn a_request_is_told_from_an_answer() {
        let bytes = b"\0\x02secret.cfg\0NetASCII\0";
        assert_eq!(request(bytes), Ok(()));
        for len in 0..bytes.len() {
            assert_eq!(request(&bytes[..len]).unwrap_err().problem, crate::Problem::Truncated);
        }
        assert_eq!(request(&read_request("a")), Ok(()));
        assert_eq!(request(b"\0\x03\0\x01").unwrap_err().field, "opcode");
        assert_eq!(request(b"\0\x01a\0b\0").unwrap_err().field, "mode");
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Answer::parse(&bytes);
        }
    }
}
