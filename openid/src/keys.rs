//! The keys with which a provider signs (RFC 7517, RFC 7518 section 6, RFC 8037 section 2).
//!
//! Those that cannot verify a signature that we take are left out: an organisation's provider
//! signs other things too. Secret keys are among them: a signature by a secret that both sides
//! know is none that a provider alone could make.

use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
    UnparsedPublicKey, VerificationAlgorithm,
};
use serde::Deserialize;
use thiserror::Error;

use crate::{base64::decode, object};

/// The most keys that are looked at. Real providers have up to a dozen.
const MOST: usize = 64;

/// How a token may be signed. There is no other: not `none`, and no secret that both sides know.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

/// The same, for messages.
pub(crate) const TAKEN: &str = "RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA";

impl Algorithm {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            // RFC 9864 calls it by its curve.
            "EdDSA" | "Ed25519" => Self::EdDsa,
            _ => return None,
        })
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Public {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// An uncompressed point.
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Key {
    id: Option<String>,
    /// The only one that it is for, where it says so.
    only: Option<String>,
    public: Public,
}

/// The keys of a provider.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Keys(Vec<Key>);

/// It is no set of keys that could be used.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum KeysError {
    /// It is something else.
    #[error("it is no set of keys (a JSON object with \"keys\")")]
    Malformed,
    /// There is none for a signature that is taken.
    #[error("there is no key in it for any of {TAKEN}")]
    None,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Given {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    r#use: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Given {
    fn key(self) -> Option<Key> {
        let is_for_signatures = self.r#use.as_deref().is_none_or(|of| of == "sig")
            && self.key_ops.is_none_or(|all| all.iter().any(|of| of == "verify"));
        if !is_for_signatures {
            return None;
        }
        let part = |text: Option<String>| decode(&text?);
        let point = |len: usize| {
            let (x, y) = (part(self.x.clone())?, part(self.y.clone())?);
            // RFC 7518, section 6.2.1.2: as long as the field is. Some providers take zeros away, or
            // put one before.
            let fit = |bytes: &[u8]| -> Option<Vec<u8>> {
                let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
                let bytes = bytes.get(first..)?;
                let mut fitted = vec![0; len.checked_sub(bytes.len())?];
                fitted.extend(bytes);
                Some(fitted)
            };
            Some([&[4][..], &fit(&x)?, &fit(&y)?].concat())
        };
        let public = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => {
                let plain = |bytes: Vec<u8>| {
                    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
                    bytes.get(zeros..).map(<[u8]>::to_vec)
                };
                Public::Rsa { n: plain(part(self.n)?)?, e: plain(part(self.e)?)? }
            }
            ("EC", Some("P-256")) => Public::P256(point(32)?),
            ("EC", Some("P-384")) => Public::P384(point(48)?),
            ("OKP", Some("Ed25519")) => Public::Ed25519(part(self.x)?),
            _ => return None,
        };
        let only = self.alg;
        if only.as_deref().is_some_and(|alg| Algorithm::from_name(alg).is_none()) {
            return None;
        }
        Some(Key { id: self.kid, only, public })
    }
}

impl Keys {
    /// Reads them.
    ///
    /// # Errors
    ///
    /// It is no set of keys, or one without a key that can be used here.
    pub fn read(document: &[u8]) -> Result<Self, KeysError> {
        let document: Document = object(document).map_err(|_| KeysError::Malformed)?;
        let given = document.keys.into_iter().take(MOST);
        let keys: Vec<Key> =
            given.filter_map(|key| serde_json::from_value::<Given>(key).ok()?.key()).collect();
        if keys.is_empty() { Err(KeysError::None) } else { Ok(Self(keys)) }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether there is one that a token names.
    pub(crate) fn knows(&self, id: &str) -> bool {
        self.0.iter().any(|key| key.id.as_deref() == Some(id))
    }

    /// Whether one of them, or the one of that name, signed this.
    pub(crate) fn signed(
        &self,
        algorithm: Algorithm,
        id: Option<&str>,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let mut fitting = self.0.iter().filter(|key| {
            let only = key.only.as_deref().and_then(Algorithm::from_name);
            only.is_none_or(|only| only == algorithm)
                && id.is_none_or(|id| key.id.as_deref() == Some(id))
        });
        fitting.any(|key| key.public.signed(algorithm, message, signature))
    }
}

impl Public {
    /// What the key is must be what the algorithm wants: the token's word for it is not enough.
    fn signed(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let rsa = |parameters: &'static RsaParameters| match self {
            Self::Rsa { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()
            }
            _ => false,
        };
        let other = |how: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(how, key).verify(message, signature).is_ok()
        };
        match (algorithm, self) {
            (Algorithm::Rs256, _) => rsa(&RSA_PKCS1_2048_8192_SHA256),
            (Algorithm::Rs384, _) => rsa(&RSA_PKCS1_2048_8192_SHA384),
            (Algorithm::Rs512, _) => rsa(&RSA_PKCS1_2048_8192_SHA512),
            (Algorithm::Ps256, _) => rsa(&RSA_PSS_2048_8192_SHA256),
            (Algorithm::Ps384, _) => rsa(&RSA_PSS_2048_8192_SHA384),
            (Algorithm::Ps512, _) => rsa(&RSA_PSS_2048_8192_SHA512),
            (Algorithm::Es256, Self::P256(key)) => other(&ECDSA_P256_SHA256_FIXED, key),
            (Algorithm::Es384, Self::P384(key)) => other(&ECDSA_P384_SHA384_FIXED, key),
            (Algorithm::EdDsa, Self::Ed25519(key)) => other(&ED25519, key),
            (Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa, _) => false,
        }
    }
}
