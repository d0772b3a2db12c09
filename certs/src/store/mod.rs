//! Files that hold certificates: what is in them, whatever they call themselves.
//!
//! [`read`] turns the bytes of one file into [`Holdings`]: PEM (also inside JSON and YAML, plain
//! or in base64), DER, PKCS#7, PKCS#12, JKS and JCEKS. A private key is noted and never
//! returned, decrypted or decoded. Opening files, walking folders and asking for passwords is
//! the program's business. The formats are found by their bytes and not by the file's name.

mod cipher;
mod embedded;
mod jks;
mod mention;
mod password;
mod pkcs12;
mod pkcs7;

use thiserror::Error;
use wire::Reader;
use zeroize::Zeroizing;

pub use mention::{Mention, mentions};
pub use password::Password;

use crate::{
    der::{self, Quirks},
    parse, pem,
};

/// Rounds of key derivation that a careful reader does for one file: some seconds' worth. The
/// stores in use ask for 1 to 1,000,000 for each of two or three derivations.
pub const ROUNDS: u64 = 10_000_000;

/// Certificates beyond this many in one file are not read. The largest bundles have some
/// hundreds.
const MAX_CERTIFICATES: usize = 10_000;

/// What a file holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Holdings {
    /// How it is written.
    pub format: Format,
    /// Its certificates, in its order.
    pub certificates: Vec<Held>,
    /// Whether there is a private key, and how well it is kept.
    pub private_key: PrivateKey,
    /// What of it was not read or could not be verified, and why, in words for the
    /// administrator.
    pub notes: Vec<String>,
}

/// A certificate in a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Held {
    /// The certificate, undecoded.
    pub der: Vec<u8>,
    /// What the file calls it: a store's alias or friendly name, a manifest's key.
    pub entry: Option<String>,
}

/// How a file is written.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Format {
    /// Text with blocks in base64 (RFC 7468).
    Pem,
    /// A certificate or key and nothing else.
    Der,
    /// Signed data without a signature (RFC 5652, section 5.2), as bundles are sent.
    Pkcs7,
    /// RFC 7292.
    Pkcs12,
    /// Java's own store.
    Jks,
    /// Java's own store with stronger encryption of keys.
    Jceks,
    /// Values in base64 in YAML or JSON, as Kubernetes keeps them.
    Manifest,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 7] =
        [Self::Pem, Self::Der, Self::Pkcs7, Self::Pkcs12, Self::Jks, Self::Jceks, Self::Manifest];

    /// Its name in text, JSON and the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pem => "pem",
            Self::Der => "der",
            Self::Pkcs7 => "pkcs7",
            Self::Pkcs12 => "pkcs12",
            Self::Jks => "jks",
            Self::Jceks => "jceks",
            Self::Manifest => "manifest",
        }
    }

    /// The format of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == name)
    }
}

/// Whether a file holds a private key. The greater is the worse kept.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum PrivateKey {
    /// None was seen.
    None,
    /// One, under a password.
    Encrypted,
    /// One that whoever reads the file has.
    Plain,
}

impl PrivateKey {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::None, Self::Encrypted, Self::Plain];

    /// Its name in text, JSON and the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Encrypted => "encrypted",
            Self::Plain => "plain",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// A file is of a kind that we read, and yet nothing can be had from it.
#[derive(Clone, Debug, Error, Eq, PartialEq)]
pub enum ReadError {
    /// It is encrypted, and none of the passwords opens it.
    #[error(
        "it is encrypted and {}",
        if *given == 0 { "no password was given" } else { "none of the passwords given opens it" }
    )]
    WrongPassword {
        /// How many were tried beside the empty one.
        given: usize,
    },
    /// It is written or encrypted in a way that we do not know.
    #[error("it has {0}, which is not read")]
    Unsupported(String),
    /// Its key derivation asks for more work than is done for one file.
    #[error(
        "it asks for {asked} rounds of key derivation, and no more than {left} are done for it"
    )]
    TooMuchWork {
        /// The rounds that it asks for.
        asked: u64,
        /// The rounds that were left of those that are done for one file.
        left: u64,
    },
    /// It begins like one and is none.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
}

/// Reads a file's bytes. `None` where there is neither a certificate nor a private key in it.
/// Passwords are tried in turn, after them the empty one and none; `rounds` is how many rounds
/// of key derivation are done for this file in all, such as [`ROUNDS`].
///
/// # Errors
///
/// Where it is a store from which nothing can be had: the password, the encryption, the damage.
pub fn read(
    file: &[u8],
    passwords: &[Password],
    rounds: u64,
) -> Result<Option<Holdings>, ReadError> {
    let mut holdings = match file {
        [0xfe, 0xed, 0xfe, 0xed, ..] => jks::read(file, Format::Jks, passwords)?,
        [0xce, 0xce, 0xce, 0xce, ..] => jks::read(file, Format::Jceks, passwords)?,
        _ => {
            let text = narrowed(file);
            let text = text.as_ref().map_or(file, |text| text);
            let mut holdings = from_text(text, passwords, rounds);
            embedded::add(text, passwords, rounds, &mut holdings);
            if holdings.is_empty() && file.first() == Some(&der::SEQUENCE) {
                from_der(file, passwords, rounds)?
            } else {
                holdings
            }
        }
    };
    if holdings.certificates.len() > MAX_CERTIFICATES {
        holdings.certificates.truncate(MAX_CERTIFICATES);
        holdings.note(format!("only its first {MAX_CERTIFICATES} certificates were read"));
    }
    Ok(Some(holdings).filter(|holdings| !holdings.is_empty()))
}

/// Text in UTF-16, as PowerShell writes it, in bytes; `None` for any other.
fn narrowed(file: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (body, low) = match file {
        [0xff, 0xfe, body @ ..] => (body, 0),
        [0xfe, 0xff, body @ ..] => (body, 1),
        _ => return None,
    };
    // What is not ASCII is in no certificate.
    let narrow = |pair: &[u8]| pair.get(low).copied().filter(u8::is_ascii).unwrap_or(b'?');
    Some(Zeroizing::new(body.chunks(2).map(narrow).collect()))
}

impl Holdings {
    fn new(format: Format) -> Self {
        Self { format, certificates: Vec::new(), private_key: PrivateKey::None, notes: Vec::new() }
    }

    fn is_empty(&self) -> bool {
        self.certificates.is_empty()
            && self.private_key == PrivateKey::None
            && self.notes.is_empty()
    }

    fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn saw_key(&mut self, key: PrivateKey) {
        self.private_key = self.private_key.max(key);
    }

    /// Takes the bytes if they are a certificate's. One more than is kept, so that it is known
    /// that there were more.
    fn take(&mut self, der: &[u8], entry: Option<&str>) -> bool {
        if self.certificates.len() > MAX_CERTIFICATES {
            return true;
        }
        let is_one = parse(der).is_recognisable();
        if is_one {
            let entry = entry.map(str::to_owned);
            self.certificates.push(Held { der: der.to_vec(), entry });
        }
        is_one
    }

    /// Takes over what was inside the value of that name, or notes why nothing was.
    fn take_in(&mut self, inside: Result<Self, ReadError>, name: &str) {
        match inside {
            Ok(inside) => {
                self.saw_key(inside.private_key);
                for note in inside.notes {
                    self.note(format!("{name}: {note}"));
                }
                self.certificates.extend(inside.certificates.into_iter().map(|held| {
                    let entry = match held.entry {
                        Some(entry) => format!("{name}/{entry}"),
                        None => name.to_owned(),
                    };
                    Held { entry: Some(entry), ..held }
                }));
            }
            Err(why) => self.note(format!("{name}: {why}")),
        }
    }
}

/// The blocks of PEM in any text.
fn from_text(text: &[u8], passwords: &[Password], rounds: u64) -> Holdings {
    let mut holdings = Holdings::new(Format::Pem);
    for block in pem::blocks(text) {
        match block.kind() {
            pem::Kind::Certificate | pem::Kind::Trusted => {
                if !block.certificate().is_some_and(|der| holdings.take(&der, None)) {
                    holdings.note("a block that is labelled as a certificate is none");
                }
            }
            pem::Kind::Pkcs7 => {
                let inside = block.decode().unwrap_or_default();
                match from_der(&inside, passwords, rounds) {
                    Ok(inside) if !inside.is_empty() => {
                        holdings.certificates.extend(inside.certificates);
                        inside.notes.into_iter().for_each(|note| holdings.note(note));
                        holdings.format = inside.format;
                    }
                    _ => holdings.note("a block that is labelled as PKCS#7 is none"),
                }
            }
            pem::Kind::Key => holdings.saw_key(PrivateKey::Plain),
            pem::Kind::EncryptedKey => holdings.saw_key(PrivateKey::Encrypted),
            pem::Kind::RevocationList | pem::Kind::Other => {}
        }
    }
    holdings
}

/// The elements of a file that begins as DER does: usually one.
fn from_der(file: &[u8], passwords: &[Password], rounds: u64) -> Result<Holdings, ReadError> {
    let mut quirks = Quirks::default();
    let mut holdings = Holdings::new(Format::Der);
    let mut r = Reader::new(file);
    let mut first = true;
    while r.rest().first() == Some(&der::SEQUENCE) {
        let Some(element) = der::element(&mut r, &mut quirks) else { break };
        let parts = der::children(element.body, &mut quirks);
        let tags: Vec<u8> = parts.iter().take(4).map(|part| part.tag).collect();
        let inner = |at: usize| {
            parts.get(at).and_then(|part| {
                der::children(part.body, &mut Quirks::default()).first().map(|inner| inner.tag)
            })
        };
        let version = parts.first().map_or(&[][..], |version| version.body);
        match *tags {
            [der::OID, ..] if first => return pkcs7::read(&parts),
            [der::INTEGER, der::SEQUENCE, ..]
                if first && version == [3] && inner(1) == Some(der::OID) =>
            {
                return pkcs12::read(&parts, passwords, rounds);
            }
            // PKCS#8 (RFC 5208), PKCS#1 (RFC 8017) and SEC 1 (RFC 5915).
            [der::INTEGER, der::SEQUENCE, der::OCTET_STRING, ..]
            | [der::INTEGER, der::INTEGER, der::INTEGER, der::INTEGER]
            | [der::INTEGER, der::OCTET_STRING, ..] => holdings.saw_key(PrivateKey::Plain),
            [der::SEQUENCE, der::OCTET_STRING] if inner(0) == Some(der::OID) => {
                holdings.saw_key(PrivateKey::Encrypted);
            }
            // A request has all that a certificate has, but no time.
            _ if has_time(element.whole) && holdings.take(element.whole, None) => {}
            // Behind what we do not know may stand anything.
            _ => break,
        }
        first = false;
    }
    Ok(holdings)
}

fn has_time(der: &[u8]) -> bool {
    let certificate = parse(der);
    certificate.not_before.is_some() || certificate.not_after.is_some()
}
