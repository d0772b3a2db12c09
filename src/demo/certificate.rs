//! Certificates of the simulated organisation: its own authority, and what that issued, well and
//! badly. Keys are made of numbers, and so are worth nothing.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, Result};
use model::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_RSA_SHA256, PublicKeyData, SerialNumber, SignatureAlgorithm,
};

/// What is wrong with a certificate, if anything.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Flaw {
    None,
    /// It signed itself.
    SelfSigned,
    /// Its key is an RSA key of 1,024 bits.
    WeakKey,
}

/// The organisation's own authority.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// What was made, by the number of the key: a server shows the same certificate for months.
    made: Mutex<HashMap<u64, Vec<Vec<u8>>>>,
}

/// What every Ed25519 key in PKCS#8 begins with (RFC 8410, section 7): then its 32 bytes.
const ED25519: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// A key that is always the same for the same number: it signs the same bytes alike, and so the
/// whole organisation is always the same.
fn key(number: u64) -> Result<KeyPair> {
    let seed = ring::digest::digest(&ring::digest::SHA256, &number.to_be_bytes());
    let pkcs8 = [&ED25519[..], seed.as_ref()].concat();
    KeyPair::try_from(pkcs8).context("a key of the demonstration")
}

/// An RSA key of 1,024 bits that nobody has the private part of.
struct Weak(Vec<u8>);

impl Weak {
    fn new(number: u64) -> Self {
        // SEQUENCE { INTEGER modulus, INTEGER 65537 } (RFC 8017, A.1.1).
        let mut der = vec![0x30, 0x81, 0x89, 0x02, 0x81, 0x81, 0x00];
        for part in 0..4_u64 {
            let text = [number.to_be_bytes(), part.to_be_bytes()].concat();
            der.extend_from_slice(ring::digest::digest(&ring::digest::SHA256, &text).as_ref());
        }
        let modulus = der.get_mut(7..).unwrap_or_default();
        if let Some(first) = modulus.first_mut() {
            *first |= 0x80;
        }
        // The next odd number that no small one divides, which would be another flaw.
        for last in (1..=u8::MAX).step_by(2) {
            if let [.., before, end] = modulus {
                (*before, *end) = (before.wrapping_add(u8::from(last == 1)), last);
            }
            if (3..1_000).step_by(2).all(|small| remainder(modulus, small) != 0) {
                break;
            }
        }
        der.extend_from_slice(&[0x02, 0x03, 0x01, 0x00, 0x01]);
        Self(der)
    }
}

/// What is left of a number, its most significant byte first, when it is divided by a small one.
fn remainder(number: &[u8], by: u32) -> u32 {
    number.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % by)
}

impl PublicKeyData for Weak {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_RSA_SHA256
    }
}

fn parameters(
    name: &str,
    names: Vec<String>,
    (from, days): (Timestamp, i64),
    number: u64,
) -> Result<CertificateParams> {
    let mut parameters = CertificateParams::new(names)?;
    parameters.distinguished_name.push(DnType::CommonName, name);
    let moment = |at: Timestamp| time::OffsetDateTime::from_unix_timestamp(at.seconds());
    parameters.not_before = moment(from)?;
    parameters.not_after = moment(from.plus_seconds(days * 86_400))?;
    parameters.serial_number = Some(SerialNumber::from(number));
    Ok(parameters)
}

impl Authority {
    pub(super) fn new(now: Timestamp) -> Result<Self> {
        let since = now.plus_seconds(-800 * 86_400);
        let mut own = parameters("Demo Internal CA", Vec::new(), (since, 3_650), 1)?;
        own.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        own.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(Self { issuer: CertifiedIssuer::self_signed(own, key(1)?)?, made: Mutex::default() })
    }

    /// The root, as a file has it.
    pub(super) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// The chain that a server serves: from when on, for how many days. The number is its own.
    pub(super) fn chain(
        &self,
        name: &str,
        validity: (Timestamp, i64),
        flaw: Flaw,
        number: u64,
    ) -> Result<Vec<Vec<u8>>> {
        let mut kept = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(chain) = kept.get(&number) {
            return Ok(chain.clone());
        }
        let asked = parameters(name, vec![name.to_owned()], validity, number)?;
        let key = key(number)?;
        let made = match flaw {
            Flaw::SelfSigned => asked.self_signed(&key)?,
            Flaw::None => asked.signed_by(&key, &self.issuer)?,
            Flaw::WeakKey => asked.signed_by(&Weak::new(number), &self.issuer)?,
        };
        let chain = vec![made.der().to_vec()];
        kept.insert(number, chain.clone());
        Ok(chain)
    }
}
