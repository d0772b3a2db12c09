//! PKCS#12 (RFC 7292): certificates and keys in safes, each closed by itself.
//!
//! Keys are never decrypted: a safe is opened for its certificates, and what is opened is
//! wiped. Stores without any encryption are read without a password, and so is what is open
//! beside a safe that stays closed.

use ring::{digest, hmac, pbkdf2};
use zeroize::Zeroizing;

use super::{
    Format, Holdings, Password, PrivateKey, ReadError,
    cipher::{self, Encryption, Pbkdf2, Purpose, Work},
    password::{Candidate, candidates},
};
use crate::der::{self, Element, Quirks};

const DATA: &str = "1.2.840.113549.1.7.1";
const ENCRYPTED_DATA: &str = "1.2.840.113549.1.7.6";
const X509_CERTIFICATE: &str = "1.2.840.113549.1.9.22.1";
const FRIENDLY_NAME: &str = "1.2.840.113549.1.9.20";
/// What the kinds of bags begin with (RFC 7292, appendix D).
const BAG: &str = "1.2.840.113549.1.12.10.1.";
const PBMAC1: &str = "1.2.840.113549.1.5.14";

/// Bags within bags deeper than this are given up on; real ones go down to one.
const MAX_DEPTH: u8 = 8;

/// Reads the parts of a PFX: version, safes, and how to verify them.
pub(super) fn read(
    parts: &[Element<'_>],
    passwords: &[Password],
    rounds: u64,
) -> Result<Holdings, ReadError> {
    let mut work = Work { rounds };
    let mut holdings = Holdings::new(Format::Pkcs12);
    let content = Content::of(parts.get(1).map_or(&[][..], |safes| safes.body));
    if content.kind != DATA {
        let what = format!("content of type {}", content.kind);
        return Err(ReadError::Unsupported(what));
    }
    let authenticated = content.octets();
    let mut candidates = candidates(passwords);
    if let Some(mac) = parts.get(2) {
        let mac = Mac::of(mac);
        match fitting(&mac, &authenticated, &candidates, &mut work) {
            // The password that fits is the first to try on the safes.
            Ok(Some(at)) => candidates.swap(0, at),
            Ok(None) => holdings.note(
                "no password fits its authentication code: what was read of it may have been changed",
            ),
            Err(why) => holdings.note(format!("it was not authenticated: {why}")),
        }
    }
    let quirks = &mut Quirks::default();
    let safes = inside(&authenticated, quirks);
    let mut failed = None;
    for safe in &safes {
        let safe = Content::of(safe.body);
        let read = match safe.kind.as_str() {
            DATA => {
                bags(&safe.octets(), MAX_DEPTH, &mut holdings);
                Ok(())
            }
            ENCRYPTED_DATA => open(&safe, &candidates, passwords.len(), &mut work)
                .map(|plain| bags(&plain, MAX_DEPTH, &mut holdings)),
            other => Err(ReadError::Unsupported(format!("content of type {other}"))),
        };
        if let Err(why) = read {
            failed.get_or_insert(why);
        }
    }
    match failed {
        Some(why) if holdings.certificates.is_empty() => Err(why),
        Some(why) => {
            holdings.note(format!("a part of it stays closed: {why}"));
            Ok(holdings)
        }
        None if safes.is_empty() => Err(ReadError::Damaged("there is nothing in it")),
        None => Ok(holdings),
    }
}

/// The elements within the first element of those bytes.
fn inside<'a>(bytes: &'a [u8], quirks: &mut Quirks) -> Vec<Element<'a>> {
    let outer = der::element(&mut wire::Reader::new(bytes), quirks);
    outer.map(|outer| der::children(outer.body, quirks)).unwrap_or_default()
}

/// A ContentInfo.
struct Content<'a> {
    /// Its type, dotted.
    kind: String,
    /// What `[0]` holds.
    content: Option<Element<'a>>,
}

impl<'a> Content<'a> {
    fn of(body: &'a [u8]) -> Self {
        let quirks = &mut Quirks::default();
        let parts = der::children(body, quirks);
        let kind = parts.first().map_or_else(String::new, |kind| der::oid_text(kind.body));
        let content =
            parts.get(1).and_then(|part| der::children(part.body, quirks).first().copied());
        Self { kind, content }
    }

    fn octets(&self) -> Zeroizing<Vec<u8>> {
        self.content.map(|content| octets(&content)).unwrap_or_default()
    }
}

/// The bytes of an OCTET STRING, or of its pieces (X.690, section 8.7.3).
fn octets(element: &Element<'_>) -> Zeroizing<Vec<u8>> {
    if element.tag & 0x20 == 0 {
        return Zeroizing::new(element.body.to_vec());
    }
    let mut joined = Zeroizing::new(Vec::with_capacity(element.body.len()));
    for piece in der::children(element.body, &mut Quirks::default()) {
        joined.extend_from_slice(piece.body);
    }
    joined
}

/// Opens an EncryptedData with the first password that does.
fn open(
    safe: &Content<'_>,
    candidates: &[Candidate],
    given: usize,
    work: &mut Work,
) -> Result<Zeroizing<Vec<u8>>, ReadError> {
    let quirks = &mut Quirks::default();
    let fields = safe.content.map(|content| der::children(content.body, quirks));
    let sealed = fields.iter().flatten().find(|field| field.tag == der::SEQUENCE);
    let sealed = sealed.map(|sealed| der::children(sealed.body, quirks)).unwrap_or_default();
    let [_, algorithm, bytes, ..] = *sealed else {
        return Err(ReadError::Damaged("an encrypted part of it cannot be read"));
    };
    let algorithm = der::children(algorithm.body, quirks);
    let encryption = Encryption::of(&algorithm)?;
    let bytes = octets(&bytes);
    for candidate in candidates {
        let plain = encryption.open(&bytes, candidate, work)?;
        // One wrong password of 256 leaves something that ends as it should.
        if let Some(plain) = plain.filter(|plain| are_bags(plain)) {
            return Ok(plain);
        }
    }
    Err(ReadError::WrongPassword { given })
}

fn are_bags(plain: &[u8]) -> bool {
    let quirks = &mut Quirks::default();
    let mut r = wire::Reader::new(plain);
    let outer = der::element(&mut r, quirks).filter(|outer| outer.tag == der::SEQUENCE);
    let Some(outer) = outer.filter(|_| r.is_at_end() && !quirks.cut) else { return false };
    let bags = der::children(outer.body, quirks);
    bags.first().is_none_or(|bag| {
        der::children(bag.body, quirks).first().is_some_and(|id| id.tag == der::OID)
    })
}

/// Reads SafeContents.
fn bags(contents: &[u8], depth: u8, holdings: &mut Holdings) {
    let quirks = &mut Quirks::default();
    let Some(depth) = depth.checked_sub(1) else {
        holdings.note("its bags are nested too deep");
        return;
    };
    for bag in inside(contents, quirks) {
        let parts = der::children(bag.body, quirks);
        let kind = parts.first().map_or_else(String::new, |kind| der::oid_text(kind.body));
        let value = parts.get(1).map_or(&[][..], |value| value.body);
        match kind.strip_prefix(BAG) {
            Some("1") => holdings.saw_key(PrivateKey::Plain),
            Some("2") => holdings.saw_key(PrivateKey::Encrypted),
            Some("3") => certificate(value, parts.get(2), holdings),
            Some("6") => bags(value, depth, holdings),
            // Revocation lists, secrets, and what is not of this standard.
            _ => {}
        }
    }
    if quirks.cut {
        holdings.note("it ends too soon");
    }
}

fn certificate(value: &[u8], attributes: Option<&Element<'_>>, holdings: &mut Holdings) {
    let quirks = &mut Quirks::default();
    let parts = inside(value, quirks);
    let kind = parts.first().map_or_else(String::new, |kind| der::oid_text(kind.body));
    let der = parts.get(1).and_then(|part| der::children(part.body, quirks).first().map(octets));
    let name = attributes.and_then(|attributes| friendly_name(attributes.body));
    let is_one =
        kind == X509_CERTIFICATE && der.is_some_and(|der| holdings.take(&der, name.as_deref()));
    if !is_one {
        holdings.note("an entry among its certificates is none");
    }
}

/// What people see in the store's windows (RFC 2985, section 5.5.1).
fn friendly_name(attributes: &[u8]) -> Option<String> {
    let quirks = &mut Quirks::default();
    for attribute in der::children(attributes, quirks) {
        let parts = der::children(attribute.body, quirks);
        let is_name = parts.first().is_some_and(|id| der::oid_text(id.body) == FRIENDLY_NAME);
        if let Some(values) = parts.get(1).filter(|_| is_name) {
            let text = der::children(values.body, quirks).first()?.body;
            let units = text
                .chunks(2)
                .map(|pair| pair.iter().fold(0u16, |unit, byte| unit << 8 | u16::from(*byte)));
            return Some(char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')).collect());
        }
    }
    None
}

/// A MacData (RFC 7292, section 4), taken apart.
struct Mac<'a> {
    algorithm: Vec<Element<'a>>,
    digest: &'a [u8],
    salt: &'a [u8],
    rounds: u64,
}

impl<'a> Mac<'a> {
    fn of(element: &Element<'a>) -> Self {
        let quirks = &mut Quirks::default();
        let parts = der::children(element.body, quirks);
        let info = parts.first().map(|info| der::children(info.body, quirks)).unwrap_or_default();
        let algorithm = info.first().map(|of| der::children(of.body, quirks)).unwrap_or_default();
        let body = |element: Option<&Element<'a>>| element.map_or(&[][..], |element| element.body);
        Self {
            algorithm,
            digest: body(info.get(1)),
            salt: body(parts.get(1)),
            rounds: parts.get(2).map_or(Some(1), |n| cipher::number(n.body)).unwrap_or(0),
        }
    }

    /// Whether the bytes were authenticated with this password.
    fn fits(
        &self,
        bytes: &[u8],
        candidate: &Candidate,
        work: &mut Work,
    ) -> Result<bool, ReadError> {
        let id = self.algorithm.first().map_or_else(String::new, |id| der::oid_text(id.body));
        let (hash, hmac) = match id.as_str() {
            PBMAC1 => return self.fits_pbmac1(bytes, candidate, work),
            "1.3.14.3.2.26" => {
                (&digest::SHA1_FOR_LEGACY_USE_ONLY, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY)
            }
            "2.16.840.1.101.3.4.2.1" => (&digest::SHA256, hmac::HMAC_SHA256),
            "2.16.840.1.101.3.4.2.2" => (&digest::SHA384, hmac::HMAC_SHA384),
            "2.16.840.1.101.3.4.2.3" => (&digest::SHA512, hmac::HMAC_SHA512),
            _ => return Err(ReadError::Unsupported(format!("an authentication code by {id}"))),
        };
        let rounds = work.pay(self.rounds)?;
        let length = hash.output_len();
        let key = cipher::derive(hash, Purpose::Mac, &candidate.wide, self.salt, rounds, length);
        Ok(hmac::verify(&hmac::Key::new(hmac, &key), bytes, self.digest).is_ok())
    }

    /// RFC 9579.
    fn fits_pbmac1(
        &self,
        bytes: &[u8],
        candidate: &Candidate,
        work: &mut Work,
    ) -> Result<bool, ReadError> {
        let quirks = &mut Quirks::default();
        let parameters = self.algorithm.get(1).map_or(&[][..], |parameters| parameters.body);
        let parameters = der::children(parameters, quirks);
        let mut part = |at: usize| {
            parameters.get(at).map(|part| der::children(part.body, quirks)).unwrap_or_default()
        };
        let (derivation, scheme) = (part(0), part(1));
        let derivation = Pbkdf2::of(&derivation)?;
        let id = scheme.first().map_or_else(String::new, |id| der::oid_text(id.body));
        let (hmac, bytes_of_key) = match id.as_str() {
            "1.2.840.113549.2.9" => (hmac::HMAC_SHA256, 32),
            "1.2.840.113549.2.10" => (hmac::HMAC_SHA384, 48),
            "1.2.840.113549.2.11" => (hmac::HMAC_SHA512, 64),
            _ => return Err(ReadError::Unsupported(format!("an authentication code by {id}"))),
        };
        let length = derivation.length.and_then(|length| usize::try_from(length).ok());
        let length = length.filter(|length| (20..=64).contains(length)).unwrap_or(bytes_of_key);
        let rounds = work.pay(derivation.rounds)?;
        let mut key = Zeroizing::new(vec![0; length]);
        pbkdf2::derive(derivation.algorithm, rounds, derivation.salt, &candidate.narrow, &mut key);
        Ok(hmac::verify(&hmac::Key::new(hmac, &key), bytes, self.digest).is_ok())
    }
}

/// Which password the code was made with.
fn fitting(
    mac: &Mac<'_>,
    bytes: &[u8],
    candidates: &[Candidate],
    work: &mut Work,
) -> Result<Option<usize>, ReadError> {
    for (at, candidate) in candidates.iter().enumerate() {
        if mac.fits(bytes, candidate, work)? {
            return Ok(Some(at));
        }
    }
    Ok(None)
}
