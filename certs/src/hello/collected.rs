//! What one connection showed.

use model::TlsVersion;

/// The most CA names that are kept of those that a server asks for.
pub const MAX_AUTHORITIES: usize = 64;

/// The most bytes that are kept of a stapled OCSP response. Real ones have some 2 KiB, or 8
/// where a responder's chain comes along.
pub const MAX_STAPLED: usize = 32 << 10;

/// What one connection showed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Collected {
    /// The version that the server chose.
    pub version: TlsVersion,
    /// The cipher suite that it chose, by its number in the IANA registry. `None` in SSL 2.0,
    /// where the client would choose.
    pub suite: Option<u16>,
    /// The certificates' DER as served, leaf first, at most [`super::MAX_CHAIN`]. Empty only
    /// where the suite is one without a certificate.
    pub chain: Vec<Vec<u8>>,
    /// How many more there were.
    pub left_out: usize,
    /// How keys would have been exchanged, where the server came to say so.
    pub key_exchange: Option<KeyExchange>,
    /// Its request for a client certificate, if it made one.
    pub client_certificate: Option<ClientCertificate>,
    /// The OCSP response that it stapled, undecoded (RFC 6960); none longer than
    /// [`MAX_STAPLED`].
    pub stapled: Option<Vec<u8>>,
    /// The application protocol that it chose of those offered.
    pub protocol: Option<String>,
    /// What versions up to TLS 1.2 lack of themselves. `None` in TLS 1.3, which has it, and in
    /// SSL 2.0, which cannot.
    pub precautions: Option<Precautions>,
    /// The warning alerts on the way, by their number (RFC 8446, section 6): 112 is
    /// `unrecognized_name`.
    pub warnings: Vec<u8>,
}

/// How keys are exchanged.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum KeyExchange {
    /// Encrypted to the certificate's key: no forward secrecy.
    Rsa,
    /// Diffie-Hellman over a prime of so many bits.
    Dhe(u32),
    /// Over an elliptic curve, or with a key encapsulation, by its number in the IANA registry
    /// of supported groups; `None` for a curve that is given by its numbers.
    Ecdhe(Option<u16>),
    /// With a key that is in the certificate.
    Static,
}

/// A server's request for a client certificate.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ClientCertificate {
    /// The authorities that it trusts, as RFC 4514 writes their names, in its order and at
    /// most [`MAX_AUTHORITIES`]. Empty where it takes any or does not say.
    pub authorities: Vec<String>,
    /// How many more there were.
    pub left_out: usize,
}

impl ClientCertificate {
    /// How many authorities it named.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.authorities.len().saturating_add(self.left_out)
    }

    /// Whether it named none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a connection up to TLS 1.2 is made safe with.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Precautions {
    /// Whether it renegotiates securely (RFC 5746).
    pub secure_renegotiation: bool,
    /// Whether it binds its keys to the handshake (RFC 7627).
    pub extended_master_secret: bool,
    /// The compression method that it chose: 0 is none, 1 DEFLATE (RFC 3749).
    pub compression: u8,
}
