//! Whether a certain key signed a certificate.
//!
//! It tells a self-signed certificate from one that merely names itself as its issuer, and the
//! builder of chains an issuer from its namesakes. Trust is for the chain verifier.

use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};

use crate::{
    certificate::{Certificate, SelfSigned},
    der::{self, Quirks},
    oid::Hash,
    walk::Parts,
};

pub(crate) fn self_signed(certificate: &Certificate, parts: &Parts<'_>) -> SelfSigned {
    if !names_itself(parts) {
        return SelfSigned::No;
    }
    match signed_by(certificate, parts, certificate, parts.key) {
        None => unchecked(certificate),
        Some(true) => SelfSigned::Verified,
        Some(false) => SelfSigned::No,
    }
}

/// The same by what it says alone.
pub(crate) fn unverified(certificate: &Certificate, parts: &Parts<'_>) -> SelfSigned {
    if names_itself(parts) { unchecked(certificate) } else { SelfSigned::No }
}

fn names_itself(parts: &Parts<'_>) -> bool {
    parts.subject.is_some() && parts.subject == parts.issuer
}

/// Whether `issuer`, whose public key these bytes are, signed the certificate. `None` where
/// we cannot check it.
pub(crate) fn signed_by(
    certificate: &Certificate,
    parts: &Parts<'_>,
    issuer: &Certificate,
    key: &[u8],
) -> Option<bool> {
    signed(certificate.signature.hash, parts, issuer, key)
}

/// The same of anything that is signed as certificates are. `hash` is the one under the
/// signature.
pub(crate) fn signed(
    hash: Option<Hash>,
    parts: &Parts<'_>,
    issuer: &Certificate,
    key: &[u8],
) -> Option<bool> {
    let algorithm = algorithm(hash, parts, issuer)?;
    let key = UnparsedPublicKey::new(algorithm, key);
    Some(key.verify(parts.to_be_signed, parts.signature).is_ok())
}

/// Where the signature cannot be checked, the key identifiers may still say that another key
/// made it.
fn unchecked(certificate: &Certificate) -> SelfSigned {
    match (&certificate.subject_key_id, &certificate.authority_key_id) {
        (Some(subject), Some(authority)) if subject != authority => SelfSigned::No,
        _ => SelfSigned::Unchecked,
    }
}

/// How ring checks it, if it does. `None` for what it has no implementation of, which must
/// not be mistaken for a wrong signature: its RSA starts at 1024 bits and ends at 8192, its
/// ECDSA knows two curves.
fn algorithm(
    hash: Option<Hash>,
    parts: &Parts<'_>,
    issuer: &Certificate,
) -> Option<&'static dyn VerificationAlgorithm> {
    let bits = issuer.key.bits.unwrap_or(0);
    let rsa = (1024..=8192).contains(&bits);
    let curve = issuer.key.curve.as_deref();
    Some(match parts.algorithm.as_str() {
        "1.2.840.113549.1.1.5" | "1.3.14.3.2.29" if rsa => {
            &signature::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY
        }
        "1.2.840.113549.1.1.11" if rsa => {
            &signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY
        }
        "1.2.840.113549.1.1.12" if rsa && bits >= 2048 => &signature::RSA_PKCS1_2048_8192_SHA384,
        "1.2.840.113549.1.1.13" if rsa => {
            &signature::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY
        }
        "1.2.840.113549.1.1.10" if rsa && bits >= 2048 && has_short_salt(hash, parts) => {
            match hash? {
                Hash::Sha256 => &signature::RSA_PSS_2048_8192_SHA256,
                Hash::Sha384 => &signature::RSA_PSS_2048_8192_SHA384,
                Hash::Sha512 => &signature::RSA_PSS_2048_8192_SHA512,
                _ => return None,
            }
        }
        "1.2.840.10045.4.3.2" if curve == Some("P-256") => &signature::ECDSA_P256_SHA256_ASN1,
        "1.2.840.10045.4.3.3" if curve == Some("P-256") => &signature::ECDSA_P256_SHA384_ASN1,
        "1.2.840.10045.4.3.2" if curve == Some("P-384") => &signature::ECDSA_P384_SHA256_ASN1,
        "1.2.840.10045.4.3.3" if curve == Some("P-384") => &signature::ECDSA_P384_SHA384_ASN1,
        "1.3.101.112" => &signature::ED25519,
        _ => return None,
    })
}

/// Whether the salt of an RSASSA-PSS signature is as long as its hash, the only length that
/// ring takes. OpenSSL by itself uses the longest that fits. The length is in `[2]`, and 20 if
/// that is absent (RFC 4055, section 3.1).
fn has_short_salt(hash: Option<Hash>, parts: &Parts<'_>) -> bool {
    let mut quirks = Quirks::default();
    let fields = der::children(parts.parameters, &mut quirks);
    let field = fields.iter().find(|field| field.tag == 0xa2);
    let number = field.and_then(|field| der::children(field.body, &mut quirks).into_iter().next());
    let expected = match hash {
        Some(Hash::Sha256) => 32,
        Some(Hash::Sha384) => 48,
        Some(Hash::Sha512) => 64,
        _ => return false,
    };
    number.is_some_and(|number| number.body == [expected])
}
