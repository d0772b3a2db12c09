//! Group management for IPv4 (RFC 1112, RFC 2236, RFC 3376, which is RFC 9776 now): who asks
//! which groups are listened to, and who listens.

use std::net::Ipv4Addr;

use crate::{Malformed, Reader};

/// The protocol number.
pub const PROTOCOL: u8 = 2;

/// A message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Message {
    /// A querier asks who listens: to all groups where none is named.
    Query(Option<Ipv4Addr>),
    /// The sender listens to a group, or to several (version 3), or no longer.
    Report,
    /// Any other kind, by its number.
    Other(u8),
}

impl Message {
    /// Reads a message.
    ///
    /// # Errors
    ///
    /// Its eight bytes are not there.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let kind = r.u8("type")?;
        r.take("max response time, checksum", 3)?;
        let group = Ipv4Addr::from(r.array::<4>("group address")?);
        Ok(match kind {
            0x11 => Self::Query(Some(group).filter(|group| !group.is_unspecified())),
            0x12 | 0x16 | 0x17 | 0x22 => Self::Report,
            other => Self::Other(other),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    #[track_caller]
    fn check(bytes: &[u8], expected: Message) {
        assert_eq!(Message::parse(bytes), Ok(expected));
        for len in 0..8 {
            assert_eq!(Message::parse(&bytes[..len]).unwrap_err().problem, Problem::Truncated);
        }
    }

    #[test]
    fn queriers_and_listeners_are_told_apart() {
        check(&[0x11, 100, 0, 0, 0, 0, 0, 0, 2, 125, 0, 0], Message::Query(None));
        let group = Ipv4Addr::new(239, 1, 2, 3);
        check(&[0x11, 10, 0, 0, 239, 1, 2, 3], Message::Query(Some(group)));
        for kind in [0x12, 0x16, 0x17, 0x22] {
            check(&[kind, 0, 0, 0, 0, 0, 0, 1], Message::Report);
        }
        check(&[0x13, 0, 0, 0, 0, 0, 0, 0], Message::Other(0x13));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
            let _ = Message::parse(&bytes);
        }
    }
}
