//! EIGRP (RFC 7868, section 6): the head of every message, by which a router is known.

use crate::{Malformed, Reader};

/// The protocol number.
pub const PROTOCOL: u8 = 88;

/// The head of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Head {
    /// What it is for.
    pub code: u8,
    /// The number of the autonomous system.
    pub system: u16,
}

impl Head {
    /// The code of a hello, and of the acknowledgement that has its form.
    pub const HELLO: u8 = 5;

    /// Reads the head of a message.
    ///
    /// # Errors
    ///
    /// It ends too soon, or is of another version.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let version = r.u8("version")?;
        if version != 2 {
            return Err(r.invalid("version", version));
        }
        let code = r.u8("opcode")?;
        r.take("checksum, flags, sequence, acknowledgement, virtual router", 16)?;
        let system = r.u16("autonomous system number")?;
        Ok(Self { code, system })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    #[test]
    fn a_router_is_known_by_its_head() {
        let mut bytes = vec![2, 5, 0, 0];
        bytes.extend([0; 14]);
        bytes.extend([0, 100, 0, 1, 0, 12]);
        let expected = Head { code: Head::HELLO, system: 100 };
        for len in 0..=bytes.len() {
            match Head::parse(&bytes[..len]) {
                Ok(read) => assert_eq!((len >= 20, read), (true, expected)),
                Err(error) => assert!(len < 20 && error.problem == Problem::Truncated),
            }
        }
        assert_eq!(Head::parse(&[1, 5]).unwrap_err().field, "version");
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..30)) {
            let _ = Head::parse(&bytes);
        }
    }
}
