//! Files that hold certificates or private keys, on the machine of a vantage point.
//!
//! A file is a place like an endpoint, but no asset's: assets are concluded from what the
//! network shows, and the machine on which a file was read may never have been seen there. It
//! is named by its vantage point and its path.

use certs::store::{Format, Held, PrivateKey};
use model::{Timestamp, Vantage};

/// A file as it was just read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FoundFile {
    /// Its absolute path.
    pub path: String,
    /// How it is written.
    pub format: Format,
    /// Whether there is a private key in it.
    pub private_key: PrivateKey,
    /// Its permission bits.
    pub mode: u32,
    /// Its certificates, in its order.
    pub certificates: Vec<Held>,
}

/// A file as it is known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeptFile {
    /// On whose machine.
    pub vantage: Vantage,
    /// Its absolute path.
    pub path: String,
    /// How it is written.
    pub format: Format,
    /// Whether there is a private key in it.
    pub private_key: PrivateKey,
    /// Its permission bits.
    pub mode: u32,
    /// When it was first read.
    pub first_seen: Timestamp,
    /// When it was last read.
    pub last_seen: Timestamp,
    /// False once it was looked for and was not there.
    pub present: bool,
    /// Its certificates, in its order, past ones too.
    pub certificates: Vec<FileCertificate>,
}

/// A certificate in a file, from one time to another.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FileCertificate {
    /// SHA-256 of the DER, lower-case hexadecimal.
    pub sha256: String,
    /// What the file calls it, such as an alias.
    pub entry: Option<String>,
    /// When it was first there.
    pub first_seen: Timestamp,
    /// When it was last there.
    pub last_seen: Timestamp,
    /// Whether it was in the file when that was last read.
    pub current: bool,
}

impl KeptFile {
    /// The certificates that are in it now: none where it is gone.
    pub fn current(&self) -> impl Iterator<Item = &FileCertificate> {
        self.certificates.iter().filter(|certificate| self.present && certificate.current)
    }

    /// Whether every user of the machine may read it, as far as its own mode says.
    #[must_use]
    pub const fn is_open_to_all(&self) -> bool {
        self.mode & 0o004 != 0
    }
}
