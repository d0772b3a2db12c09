//! ONC remote procedure calls (RFC 5531, section 9) to the port mapper, version 2 (RFC 1833,
//! section 3): a call without credentials, and the list of programs that it knows.

use crate::{Malformed, Reader};

/// NULL: does nothing and says so.
pub const NULL: u32 = 0;
/// DUMP: lists the programs.
pub const DUMP: u32 = 4;

const PORT_MAPPER: u32 = 100_000;
const REPLY: u32 = 1;

/// Mappings that are read at most: more do not fit the datagrams that servers send.
const MAX_MAPPINGS: usize = 512;

/// A reply.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reply<'a> {
    /// The call's number, repeated.
    pub xid: u32,
    /// What came of it.
    pub outcome: Outcome<'a>,
}

/// What came of a call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome<'a> {
    /// It was carried out; the results.
    Success(&'a [u8]),
    /// It was accepted, but not carried out, by accept_stat: 1 no such program, 2 not in
    /// this version, 3 no such procedure.
    Failed(u32),
    /// It was denied: 0 another version of RPC is wanted, 1 credentials are.
    Denied(u32),
}

/// Where a program listens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Mapping {
    /// The program's number (IANA, RPC program numbers).
    pub program: u32,
    /// Its version.
    pub version: u32,
    /// 6 TCP, 17 UDP.
    pub protocol: u32,
    /// The port.
    pub port: u32,
}

/// A call of that procedure of the port mapper, without arguments and credentials.
#[must_use]
pub fn call(xid: u32, procedure: u32) -> Vec<u8> {
    // CALL, RPC version 2, program, version 2, procedure; AUTH_NONE twice.
    let words = [xid, 0, 2, PORT_MAPPER, 2, procedure, 0, 0, 0, 0];
    words.into_iter().flat_map(u32::to_be_bytes).collect()
}

impl<'a> Reply<'a> {
    /// Reads one datagram.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let xid = r.u32("xid")?;
        let kind = r.u32("msg_type")?;
        if kind != REPLY {
            return Err(r.invalid("msg_type", kind));
        }
        let outcome = match r.u32("reply_stat")? {
            0 => {
                r.u32("verifier flavor")?;
                let len = r.u32("verifier length")?;
                if len > 400 {
                    return Err(r.invalid("verifier length", len));
                }
                r.take("verifier", len.next_multiple_of(4) as usize)?;
                match r.u32("accept_stat")? {
                    0 => Outcome::Success(r.rest()),
                    failed @ 1..=5 => Outcome::Failed(failed),
                    other => return Err(r.invalid("accept_stat", other)),
                }
            }
            1 => match r.u32("reject_stat")? {
                denied @ 0..=1 => Outcome::Denied(denied),
                other => return Err(r.invalid("reject_stat", other)),
            },
            other => return Err(r.invalid("reply_stat", other)),
        };
        Ok(Self { xid, outcome })
    }
}

/// The results of [`DUMP`]: a list in which a 1 stands before each item and a 0 at the end.
pub fn mappings(results: &[u8]) -> Result<Vec<Mapping>, Malformed> {
    let mut r = Reader::new(results);
    let mut found = Vec::new();
    while found.len() < MAX_MAPPINGS {
        match r.u32("value follows")? {
            0 => break,
            1 => found.push(Mapping {
                program: r.u32("prog")?,
                version: r.u32("vers")?,
                protocol: r.u32("prot")?,
                port: r.u32("port")?,
            }),
            other => return Err(r.invalid("value follows", other)),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    #[track_caller]
    fn check(bytes: &[u8], outcome: Outcome<'_>) {
        assert_eq!(Reply::parse(bytes), Ok(Reply { xid: 7, outcome }));
        for len in 0..bytes.len() {
            assert_eq!(Reply::parse(&bytes[..len]).unwrap_err().problem, Problem::Truncated);
        }
    }

    #[test]
    fn a_reply_says_what_came_of_the_call() {
        check(&words(&[7, 1, 0, 0, 0, 0]), Outcome::Success(&[]));
        check(&words(&[7, 1, 0, 1, 4, 9, 1]), Outcome::Failed(1));
        check(&words(&[7, 1, 1, 1]), Outcome::Denied(1));
        assert!(Reply::parse(&call(7, NULL)).is_err());
        assert!(Reply::parse(&words(&[7, 1, 0, 0, 0xffff_ffff, 0])).is_err());
        assert_eq!(call(7, DUMP).len(), 40);
    }

    #[test]
    fn programs_are_listed() {
        let list = words(&[1, 100_003, 4, 6, 2049, 1, 100_000, 2, 17, 111, 0]);
        let nfs = Mapping { program: 100_003, version: 4, protocol: 6, port: 2049 };
        let itself = Mapping { program: 100_000, version: 2, protocol: 17, port: 111 };
        assert_eq!(mappings(&list), Ok(vec![nfs, itself]));
        for len in 0..list.len() {
            assert_eq!(mappings(&list[..len]).unwrap_err().problem, Problem::Truncated);
        }
        assert!(mappings(&words(&[2])).is_err());
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = mappings(&bytes);
            let _ = Reply::parse(&[&words(&[7, 1]), &bytes[..]].concat());
        }
    }
}
