//! Password-based encryption, as PKCS#12 stores use it: opening only.
//!
//! The derivations and hashes are ring's, the block ciphers RustCrypto's, because ring has
//! none of those that stores are written with (AES-CBC, 3DES, RC2).

use std::num::NonZeroU32;

use ::cbc::{
    Decryptor,
    cipher::{BlockCipherDecrypt, BlockModeDecrypt, InnerIvInit, KeyInit, block_padding::Pkcs7},
};
use ring::{
    digest::{self, Context},
    pbkdf2,
};
use zeroize::Zeroizing;

use super::{ReadError, password::Candidate};
use crate::der::{self, Element, Quirks};

/// How many rounds of key derivation are left for this file.
pub(super) struct Work {
    pub(super) rounds: u64,
}

impl Work {
    /// Pays for a derivation, or says that it is too dear.
    pub(super) fn pay(&mut self, asked: u64) -> Result<NonZeroU32, ReadError> {
        let left = self.rounds.checked_sub(asked);
        let rounds = u32::try_from(asked).ok().and_then(NonZeroU32::new);
        match (left, rounds) {
            (Some(left), Some(rounds)) => {
                self.rounds = left;
                Ok(rounds)
            }
            (_, None) if asked == 0 => {
                Err(ReadError::Damaged("it asks for no rounds of key derivation"))
            }
            _ => Err(ReadError::TooMuchWork { asked, left: self.rounds }),
        }
    }
}

/// What a key is derived for (RFC 7292, appendix B.3).
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    Key = 1,
    Vector = 2,
    Mac = 3,
}

/// The derivation that is PKCS#12's own (RFC 7292, appendix B.2).
pub(super) fn derive(
    hash: &'static digest::Algorithm,
    purpose: Purpose,
    wide: &[u8],
    salt: &[u8],
    rounds: NonZeroU32,
    length: usize,
) -> Zeroizing<Vec<u8>> {
    let block = hash.block_len();
    let filled = |bytes: &[u8]| -> Vec<u8> {
        let length = bytes.len().div_ceil(block).saturating_mul(block);
        bytes.iter().copied().cycle().take(length).collect()
    };
    let diversifier = vec![purpose as u8; block];
    let mut input = Zeroizing::new([filled(salt), filled(wide)].concat());
    let mut key = Zeroizing::new(Vec::with_capacity(length));
    loop {
        let mut context = Context::new(hash);
        context.update(&diversifier);
        context.update(&input);
        let mut a = context.finish();
        for _ in 1..rounds.get() {
            a = digest::digest(hash, a.as_ref());
        }
        let missing = length.saturating_sub(key.len());
        key.extend(a.as_ref().iter().take(missing));
        if key.len() == length {
            return key;
        }
        let b: Zeroizing<Vec<u8>> =
            Zeroizing::new(a.as_ref().iter().copied().cycle().take(block).collect());
        for chunk in input.chunks_mut(block) {
            add_and_one(chunk, &b);
        }
    }
}

/// `number + other + 1`, both big-endian and of one length; what overflows is lost.
fn add_and_one(number: &mut [u8], other: &[u8]) {
    let mut carry = 1u16;
    for (digit, other) in number.iter_mut().zip(other).rev() {
        let sum = u16::from(*digit).saturating_add(u16::from(*other)).saturating_add(carry);
        *digit = (sum & 0xff) as u8;
        carry = sum >> 8;
    }
}

/// A way to encrypt, as an AlgorithmIdentifier says it.
pub(super) struct Encryption<'a> {
    derivation: Derivation,
    salt: &'a [u8],
    rounds: u64,
    cipher: Cipher,
    key_bytes: usize,
    /// The initialisation vector, where it is not derived.
    vector: &'a [u8],
}

#[derive(Clone, Copy)]
enum Derivation {
    Pkcs12,
    Pbkdf2(pbkdf2::Algorithm),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Cipher {
    Aes,
    TripleDes,
    Rc2,
}

impl<'a> Encryption<'a> {
    /// Reads an AlgorithmIdentifier's contents.
    pub(super) fn of(identifier: &[Element<'a>]) -> Result<Self, ReadError> {
        let quirks = &mut Quirks::default();
        let id = identifier.first().map_or_else(String::new, |id| der::oid_text(id.body));
        let parameters = identifier.get(1).map_or(&[][..], |parameters| parameters.body);
        let parameters = der::children(parameters, quirks);
        // RFC 7292, appendix C.
        let (cipher, key_bytes) = match id.strip_prefix("1.2.840.113549.1.12.1.") {
            Some("3") => (Cipher::TripleDes, 24),
            Some("4") => (Cipher::TripleDes, 16),
            Some("5") => (Cipher::Rc2, 16),
            Some("6") => (Cipher::Rc2, 5),
            Some("1" | "2") => {
                return Err(ReadError::Unsupported("encryption with RC4".to_owned()));
            }
            _ if id == "1.2.840.113549.1.5.13" => return Self::pbes2(&parameters),
            _ => return Err(ReadError::Unsupported(format!("encryption with {id}"))),
        };
        let (salt, rounds) = salt_and_rounds(&parameters)?;
        let derivation = Derivation::Pkcs12;
        Ok(Self { derivation, salt, rounds, cipher, key_bytes, vector: &[] })
    }

    /// RFC 8018, section 6.2.
    fn pbes2(parameters: &[Element<'a>]) -> Result<Self, ReadError> {
        let quirks = &mut Quirks::default();
        let mut part = |at: usize| {
            parameters.get(at).map(|part| der::children(part.body, quirks)).unwrap_or_default()
        };
        let (derivation, scheme) = (part(0), part(1));
        let Pbkdf2 { salt, rounds, algorithm, .. } = Pbkdf2::of(&derivation)?;
        let id = scheme.first().map_or_else(String::new, |id| der::oid_text(id.body));
        let (cipher, key_bytes) = match id.as_str() {
            "2.16.840.1.101.3.4.1.2" => (Cipher::Aes, 16),
            "2.16.840.1.101.3.4.1.22" => (Cipher::Aes, 24),
            "2.16.840.1.101.3.4.1.42" => (Cipher::Aes, 32),
            "1.2.840.113549.3.7" => (Cipher::TripleDes, 24),
            _ => return Err(ReadError::Unsupported(format!("encryption with {id}"))),
        };
        let vector = scheme.get(1).map_or(&[][..], |vector| vector.body);
        let derivation = Derivation::Pbkdf2(algorithm);
        Ok(Self { derivation, salt, rounds, cipher, key_bytes, vector })
    }

    /// Opens it, or `None` where the password is wrong.
    pub(super) fn open(
        &self,
        sealed: &[u8],
        candidate: &Candidate,
        work: &mut Work,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, ReadError> {
        let rounds = work.pay(self.rounds)?;
        let (mut key, vector) = match self.derivation {
            Derivation::Pkcs12 => {
                work.pay(self.rounds)?;
                let hash = &digest::SHA1_FOR_LEGACY_USE_ONLY;
                let derive = |purpose, length| {
                    derive(hash, purpose, &candidate.wide, self.salt, rounds, length)
                };
                (derive(Purpose::Key, self.key_bytes), derive(Purpose::Vector, 8))
            }
            Derivation::Pbkdf2(algorithm) => {
                let mut key = Zeroizing::new(vec![0; self.key_bytes]);
                pbkdf2::derive(algorithm, rounds, self.salt, &candidate.narrow, &mut key);
                (key, Zeroizing::new(self.vector.to_vec()))
            }
        };
        let open = match (self.cipher, self.key_bytes) {
            (Cipher::Aes, 16) => open::<aes::Aes128>,
            (Cipher::Aes, 24) => open::<aes::Aes192>,
            (Cipher::Aes, _) => open::<aes::Aes256>,
            (Cipher::TripleDes, bytes) => {
                // With two keys the first is the third as well.
                let first: Vec<u8> = key.iter().take(8).copied().collect();
                key.extend(first.into_iter().take(24_usize.saturating_sub(bytes)));
                open::<des::TdesEde3>
            }
            (Cipher::Rc2, _) => open::<rc2::Rc2>,
        };
        Ok(open(sealed, &key, &vector))
    }
}

fn open<C: BlockCipherDecrypt + KeyInit>(
    sealed: &[u8],
    key: &[u8],
    vector: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let cipher = C::new_from_slice(key).ok()?;
    let chain = Decryptor::<C>::inner_iv_slice_init(cipher, vector).ok()?;
    let mut plain = Zeroizing::new(sealed.to_vec());
    let length = chain.decrypt_padded::<Pkcs7>(&mut plain).ok()?.len();
    plain.truncate(length);
    Some(plain)
}

/// The parameters of PBKDF2 (RFC 8018, appendix A.2).
pub(super) struct Pbkdf2<'a> {
    pub(super) salt: &'a [u8],
    pub(super) rounds: u64,
    pub(super) algorithm: pbkdf2::Algorithm,
    /// Bytes of key, where said.
    pub(super) length: Option<u64>,
}

impl<'a> Pbkdf2<'a> {
    /// Reads an AlgorithmIdentifier's contents.
    pub(super) fn of(identifier: &[Element<'a>]) -> Result<Self, ReadError> {
        let quirks = &mut Quirks::default();
        let id = identifier.first().map_or_else(String::new, |id| der::oid_text(id.body));
        if id != "1.2.840.113549.1.5.12" {
            return Err(ReadError::Unsupported(format!("the key derivation {id}")));
        }
        let parameters = identifier.get(1).map_or(&[][..], |parameters| parameters.body);
        let parameters = der::children(parameters, quirks);
        let (salt, rounds) = salt_and_rounds(&parameters)?;
        let function = parameters.iter().find(|field| field.tag == der::SEQUENCE);
        let function = function.and_then(|f| der::children(f.body, quirks).first().copied());
        let function = function.map_or_else(String::new, |id| der::oid_text(id.body));
        let algorithm = match function.as_str() {
            "" | "1.2.840.113549.2.7" => pbkdf2::PBKDF2_HMAC_SHA1,
            "1.2.840.113549.2.9" => pbkdf2::PBKDF2_HMAC_SHA256,
            "1.2.840.113549.2.10" => pbkdf2::PBKDF2_HMAC_SHA384,
            "1.2.840.113549.2.11" => pbkdf2::PBKDF2_HMAC_SHA512,
            other => return Err(ReadError::Unsupported(format!("a key derivation by {other}"))),
        };
        let length = parameters.get(2).filter(|length| length.tag == der::INTEGER);
        Ok(Self { salt, rounds, algorithm, length: length.and_then(|n| number(n.body)) })
    }
}

fn salt_and_rounds<'a>(parameters: &[Element<'a>]) -> Result<(&'a [u8], u64), ReadError> {
    let salt = parameters.first().filter(|salt| salt.tag == der::OCTET_STRING);
    let rounds = parameters.get(1).filter(|rounds| rounds.tag == der::INTEGER);
    match (salt, rounds.and_then(|rounds| number(rounds.body))) {
        (Some(salt), Some(rounds)) => Ok((salt.body, rounds)),
        _ => Err(ReadError::Damaged("the parameters of its encryption cannot be read")),
    }
}

/// A non-negative INTEGER; one that does not fit is as good as endless.
pub(super) fn number(body: &[u8]) -> Option<u64> {
    let first = body.first()?;
    if first & 0x80 != 0 {
        return None;
    }
    let add = |number: u64, byte: &u8| number.checked_mul(256)?.checked_add(u64::from(*byte));
    Some(body.iter().try_fold(0, add).unwrap_or(u64::MAX))
}
