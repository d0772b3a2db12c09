//! The encodings inside a certificate that rules look into.
//!
//! The inventory's fields say what a certificate means. Many rules are about how it says it
//! (which string type, which extension is critical), which nobody else asks; so the pieces are
//! kept as they were, and each rule reads of them what it needs.

use std::fmt;

/// Pieces of a certificate as they were written. Empty where there are none.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Encodings {
    /// The serial number's octets, a two's complement number.
    pub serial: Vec<u8>,
    /// The AlgorithmIdentifier inside what is signed.
    pub inner_algorithm: Vec<u8>,
    /// The AlgorithmIdentifier beside the signature.
    pub outer_algorithm: Vec<u8>,
    /// The issuer's Name.
    pub issuer: Vec<u8>,
    /// The subject's Name.
    pub subject: Vec<u8>,
    /// The Validity's contents: two moments.
    pub validity: Vec<u8>,
    /// The AlgorithmIdentifier of the key.
    pub key_algorithm: Vec<u8>,
    /// The key itself, without its algorithm.
    pub key: Vec<u8>,
    /// Whether it has an issuer's or a subject's unique identifier.
    pub unique_identifiers: bool,
    /// The extensions in order, at most 256.
    pub extensions: Vec<Extension>,
}

/// One extension (RFC 5280, section 4.2).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Extension {
    /// Its identifier, dotted.
    pub id: String,
    /// Whether who does not know it must refuse the certificate.
    pub critical: bool,
    /// What is inside its OCTET STRING.
    pub value: Vec<u8>,
}

impl fmt::Debug for Encodings {
    /// Its extensions by name: a page of octets helps nobody.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<&str> = self.extensions.iter().map(|e| e.id.as_str()).collect();
        f.debug_struct("Encodings").field("extensions", &ids).finish_non_exhaustive()
    }
}

impl Encodings {
    /// The first extension of that identifier.
    #[must_use]
    pub fn extension(&self, id: &str) -> Option<&Extension> {
        self.extensions.iter().find(|extension| extension.id == id)
    }
}
