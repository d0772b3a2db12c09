//! Passwords, and the forms in which stores want them.

use std::fmt;

use zeroize::Zeroizing;

/// A password. It is shown nowhere, and wiped when it is dropped.
#[derive(Clone, Eq, PartialEq)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// The password of that text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// UTF-16, big-endian, without an end, as Java's own stores digest it.
    pub(super) fn utf16(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.0.encode_utf16().flat_map(u16::to_be_bytes).collect())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// A password in the two forms that one PKCS#12 store may want.
pub(super) struct Candidate {
    /// UTF-16, big-endian, with its end (RFC 7292, appendix B.1): for PKCS#12's own derivation.
    pub(super) wide: Zeroizing<Vec<u8>>,
    /// As it was typed: for PBKDF2.
    pub(super) narrow: Zeroizing<Vec<u8>>,
}

/// What may open a store, in the order in which to try it: the passwords, then the empty one,
/// then none at all, which are two different things to PKCS#12 and the same to its users.
pub(super) fn candidates(passwords: &[Password]) -> Vec<Candidate> {
    let mut all = Vec::new();
    for Password(text) in passwords {
        let wide = text.encode_utf16().chain([0]).flat_map(u16::to_be_bytes).collect();
        all.push(Candidate { wide: Zeroizing::new(wide), narrow: bytes(text) });
        if !text.is_ascii() {
            // OpenSSL before 1.1.0 took each byte of UTF-8 for a character.
            let wide = text.bytes().chain([0]).flat_map(|byte| [0, byte]).collect();
            all.push(Candidate { wide: Zeroizing::new(wide), narrow: bytes(text) });
        }
    }
    for wide in [vec![0, 0], Vec::new()] {
        all.push(Candidate { wide: Zeroizing::new(wide), narrow: bytes("") });
    }
    all
}

fn bytes(text: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(text.as_bytes().to_vec())
}
