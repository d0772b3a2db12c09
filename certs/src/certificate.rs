//! What one certificate says.
//!
//! [`parse`] turns bytes into a [`Certificate`], always: from a good certificate every field,
//! from a bad one those that can be read, from noise only its hash. What was wrong on the way
//! is listed in [`Certificate::anomalies`]. Nothing here says whether any of it is a problem:
//! that is for `rules`.

use std::fmt;

use model::Timestamp;
use ring::digest::{SHA256, digest};

use crate::{
    der,
    encodings::Encodings,
    oid::{Hash, KeyKind},
    verify,
    walk::{self, Parts},
};

/// The parts of an X.509 certificate that the inventory, rules and people ask about.
///
/// `None`, and an empty text where the certificate must have one, mean that the field is
/// not there or could not be read; [`Certificate::anomalies`] says which.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Certificate {
    /// SHA-256 of the DER, lower-case hexadecimal. This is the certificate's identity.
    pub sha256: String,
    /// 1, 2 or 3 (RFC 5280, section 4.1.2.1).
    pub version: Option<u32>,
    /// Lower-case hexadecimal, without leading zero bytes, `-` before a negative one.
    pub serial: String,
    /// RFC 4514 string. Empty for the empty name, which is allowed where there are names.
    pub subject: String,
    /// RFC 4514 string.
    pub issuer: String,
    /// First moment of validity.
    pub not_before: Option<Timestamp>,
    /// Last moment of validity.
    pub not_after: Option<Timestamp>,
    /// DNS names (lower case), addresses, mail addresses and URIs of the subject alternative
    /// name; if there is no such extension, the subject's common name.
    pub names: Vec<String>,
    /// The key that it certifies.
    pub key: Key,
    /// SHA-256 of the SubjectPublicKeyInfo's DER, lower-case hexadecimal: the same for all
    /// certificates of one key.
    pub spki_sha256: Option<String>,
    /// How it was signed.
    pub signature: Signature,
    /// Whether its own key signed it.
    pub self_signed: SelfSigned,
    /// Whether it may issue others (basic constraints, RFC 5280, section 4.2.1.9).
    pub is_ca: bool,
    /// As RFC 5280, section 4.2.1.3 names them: `digitalSignature`, `keyCertSign`, …
    pub key_usage: Vec<String>,
    /// Names such as `serverAuth`, or dotted identifiers.
    pub extended_key_usage: Vec<String>,
    /// Subject key identifier, lower-case hexadecimal.
    pub subject_key_id: Option<String>,
    /// Authority key identifier, lower-case hexadecimal.
    pub authority_key_id: Option<String>,
    /// Where its OCSP responder is said to be.
    pub ocsp_urls: Vec<String>,
    /// Where its revocation lists are said to be.
    pub crl_urls: Vec<String>,
    /// The pieces that rules about its form look into.
    pub encodings: Encodings,
    /// What was wrong with it, in the order found. Empty for a good one.
    pub anomalies: Vec<Anomaly>,
}

/// A public key, in general terms.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Key {
    /// `RSA`, `EC`, `Ed25519`, `ML-DSA-65`, …; the dotted identifier where it is not known.
    /// Empty if the certificate has none that could be read.
    pub algorithm: String,
    /// The algorithm's family.
    pub kind: KeyKind,
    /// Modulus for RSA, field for elliptic curves, prime for DSA. `None` where no number of
    /// bits describes it (ML-DSA) or it could not be read.
    pub bits: Option<u32>,
    /// The curve's name, or its dotted identifier.
    pub curve: Option<String>,
}

/// How a certificate was signed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Signature {
    /// `sha256WithRSAEncryption`, `ecdsa-with-SHA384`, …; the dotted identifier where it is
    /// not known.
    pub algorithm: String,
    /// The hash under it. `None` for algorithms that sign whole messages and unknown ones.
    pub hash: Option<Hash>,
}

/// Whether a certificate was signed with the key that it certifies.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SelfSigned {
    /// Issuer and subject differ, or they are the same but another key signed it (a root's
    /// new key certified by its old one, RFC 5280, section 3.2).
    No,
    /// Issuer and subject are the same; the signature's algorithm is one that we cannot check,
    /// or nobody asked.
    Unchecked,
    /// Issuer and subject are the same and the signature is right.
    Verified,
}

impl SelfSigned {
    /// The answer where there is room for only two.
    #[must_use]
    pub const fn likely(self) -> bool {
        !matches!(self, Self::No)
    }
}

/// Something about a certificate that is not as it should be.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Anomaly {
    /// How bad.
    pub kind: AnomalyKind,
    /// What, in plain words.
    pub problem: String,
}

/// How far from the standards an anomaly is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum AnomalyKind {
    /// The bytes are not DER, or not a certificate's.
    Encoding,
    /// A strict parser (x509-parser) refuses it.
    Refused,
    /// It is a well-formed certificate that breaks the profile of RFC 5280.
    Profile,
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.problem)
    }
}

impl Certificate {
    /// Bytes beyond this many are not read, only hashed. The largest certificates in use,
    /// with hash-based signatures or thousands of names, have some 100 KiB.
    pub const MAX_DER: usize = 1 << 20;

    /// The record of which nothing is known but its bytes.
    pub(crate) fn of(der: &[u8]) -> Self {
        Self {
            sha256: der::hex(digest(&SHA256, der).as_ref()),
            version: None,
            serial: String::new(),
            subject: String::new(),
            issuer: String::new(),
            not_before: None,
            not_after: None,
            names: Vec::new(),
            key: Key { algorithm: String::new(), kind: KeyKind::Other, bits: None, curve: None },
            spki_sha256: None,
            signature: Signature::default(),
            self_signed: SelfSigned::No,
            is_ca: false,
            key_usage: Vec::new(),
            extended_key_usage: Vec::new(),
            subject_key_id: None,
            authority_key_id: None,
            ocsp_urls: Vec::new(),
            crl_urls: Vec::new(),
            encodings: Encodings::default(),
            anomalies: Vec::new(),
        }
    }

    /// Whether the bytes were a certificate at all, good or bad: they had a key, and a
    /// name or a period of validity. Everything that a TLS server sends is kept as a
    /// certificate, whatever it is; this is for files, which may hold anything.
    #[must_use]
    pub fn is_recognisable(&self) -> bool {
        let named = !self.subject.is_empty() || !self.issuer.is_empty();
        self.spki_sha256.is_some() && (named || self.not_after.is_some())
    }

    /// The moments at which it begins to be valid and at which it has ended.
    pub fn turning_points(&self) -> impl Iterator<Item = Timestamp> {
        let over = self.not_after.map(|last| last.plus_seconds(1));
        self.not_before.into_iter().chain(over)
    }

    /// How long it is valid in all, in seconds, where both ends are known.
    #[must_use]
    pub fn lifetime(&self) -> Option<i64> {
        Some(self.not_after?.seconds_since(self.not_before?))
    }

    pub(crate) fn note(&mut self, kind: AnomalyKind, problem: impl Into<String>) {
        let anomaly = Anomaly { kind, problem: problem.into() };
        if !self.anomalies.contains(&anomaly) {
            self.anomalies.push(anomaly);
        }
    }
}

/// Reads a certificate, as far as it can be read. Never fails: what cannot be read is
/// missing from the record and listed among its anomalies.
#[must_use]
pub fn parse(der: &[u8]) -> Certificate {
    read(der, verify::self_signed)
}

/// The same without a check of its signature, which takes longer than all the rest. For those
/// who do not ask whether it is self-signed: it is [`SelfSigned::Unchecked`] where it may be.
#[must_use]
pub fn parse_unchecked(der: &[u8]) -> Certificate {
    read(der, verify::unverified)
}

fn read(der: &[u8], self_signed: fn(&Certificate, &Parts<'_>) -> SelfSigned) -> Certificate {
    let mut certificate = Certificate::of(der);
    if der.len() > Certificate::MAX_DER {
        certificate.note(AnomalyKind::Encoding, "it is larger than 1 MiB and was not read");
        return certificate;
    }
    let parts = walk::walk(der, &mut certificate);
    match x509_parser::parse_x509_certificate(der) {
        Ok(_) => {}
        Err(why) => {
            let problem = format!("the strict parser refuses it: {}", refusal(&why));
            certificate.note(AnomalyKind::Refused, problem);
        }
    }
    certificate.self_signed = self_signed(&certificate, &parts);
    certificate
}

/// The parser's reason in its own short words. Its `Display` for the nested errors prints
/// Rust structures.
fn refusal(why: &x509_parser::nom::Err<x509_parser::error::X509Error>) -> String {
    use x509_parser::{error::X509Error, nom::Err};
    match why {
        Err::Incomplete(_) => "it ends too soon".to_owned(),
        Err::Error(X509Error::Der(_)) | Err::Failure(X509Error::Der(_)) => {
            "it is not DER where it should be".to_owned()
        }
        Err::Error(X509Error::NomError(_)) | Err::Failure(X509Error::NomError(_)) => {
            "it has not the structure of a certificate".to_owned()
        }
        Err::Error(other) | Err::Failure(other) => other.to_string(),
    }
}
