//! The key schedule of TLS 1.3 as far as the server's certificate (RFC 8446, section 7).

use ring::{
    aead::{self, Aad, LessSafeKey, Nonce, UnboundKey, quic},
    digest,
    hkdf::{self, KeyType, Prk, Salt},
};

use super::record;

/// A cipher suite of TLS 1.3, in the provider's terms.
#[derive(Clone, Copy)]
pub(crate) struct Suite {
    hash: &'static digest::Algorithm,
    hkdf: hkdf::Algorithm,
    pub(crate) aead: &'static aead::Algorithm,
    /// What hides the heads of packets in QUIC (RFC 9001, section 5.4).
    pub(crate) header: &'static quic::Algorithm,
}

impl Suite {
    /// The suite that everybody has.
    pub(crate) fn aes_128() -> Self {
        Self {
            hash: &digest::SHA256,
            hkdf: hkdf::HKDF_SHA256,
            aead: &aead::AES_128_GCM,
            header: &quic::AES_128,
        }
    }

    /// The suite of that number, if it is one that we offer.
    pub(crate) fn of(number: u16) -> Option<Self> {
        Some(match number {
            0x1301 => Self::aes_128(),
            0x1302 => Self {
                hash: &digest::SHA384,
                hkdf: hkdf::HKDF_SHA384,
                aead: &aead::AES_256_GCM,
                header: &quic::AES_256,
            },
            0x1303 => {
                Self { aead: &aead::CHACHA20_POLY1305, header: &quic::CHACHA20, ..Self::aes_128() }
            }
            _ => return None,
        })
    }

    /// The hash of a transcript.
    pub(crate) fn digest(self, bytes: &[u8]) -> digest::Digest {
        digest::digest(self.hash, bytes)
    }

    /// The secrets of the handshake, the server's and ours, from the shared secret and the
    /// transcript up to the ServerHello.
    pub(crate) fn handshake_secrets(self, shared: &[u8], transcript: &[u8]) -> Option<(Prk, Prk)> {
        let zeros = [0u8; digest::MAX_OUTPUT_LEN];
        let zeros = zeros.get(..self.hash.output_len())?;
        let early = Salt::new(self.hkdf, &[]).extract(zeros);
        let derived = self.expand(&early, b"derived", self.digest(&[]).as_ref(), zeros.len())?;
        let handshake = Salt::new(self.hkdf, &derived).extract(shared);
        let hash = self.digest(transcript);
        let secret = |label: &[u8]| {
            let secret = self.expand(&handshake, label, hash.as_ref(), zeros.len())?;
            Some(self.secret(&secret))
        };
        Some((secret(b"s hs traffic")?, secret(b"c hs traffic")?))
    }

    /// A secret in the provider's terms.
    pub(crate) fn secret(self, secret: &[u8]) -> Prk {
        Prk::new_less_safe(self.hkdf, secret)
    }

    /// The key for records that a secret leads to.
    pub(crate) fn record_key(self, secret: &Prk) -> Option<Key> {
        let key = self.expand(secret, b"key", &[], self.aead.key_len())?;
        let iv = self.expand(secret, b"iv", &[], self.aead.nonce_len())?;
        let key = UnboundKey::new(self.aead, &key).ok()?;
        Some(Key { key: LessSafeKey::new(key), iv: iv.try_into().ok()?, sequence: 0 })
    }

    /// HKDF-Expand-Label (RFC 8446, section 7.1).
    pub(crate) fn expand(
        self,
        secret: &Prk,
        label: &[u8],
        context: &[u8],
        len: usize,
    ) -> Option<Vec<u8>> {
        let prefix = b"tls13 ";
        let label_len = u8::try_from(prefix.len().saturating_add(label.len())).ok()?;
        let context_len = u8::try_from(context.len()).ok()?;
        let length = u16::try_from(len).ok()?.to_be_bytes();
        let info = [&length[..], &[label_len], prefix, label, &[context_len], context];
        let mut out = vec![0; len];
        secret.expand(&info, Length(len)).ok()?.fill(&mut out).ok()?;
        Some(out)
    }
}

impl std::fmt::Debug for Suite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {:?}", self.aead, self.hash)
    }
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// One direction's key.
#[derive(Debug)]
pub(crate) struct Key {
    key: LessSafeKey,
    iv: [u8; aead::NONCE_LEN],
    sequence: u64,
}

impl Key {
    /// RFC 8446, section 5.3.
    fn nonce(&mut self) -> Nonce {
        let mut nonce = self.iv;
        let sequence = self.sequence.to_be_bytes();
        for (octet, number) in nonce.iter_mut().rev().zip(sequence.iter().rev()) {
            *octet ^= number;
        }
        self.sequence = self.sequence.wrapping_add(1);
        Nonce::assume_unique_for_key(nonce)
    }

    /// Opens a record: its real type and contents, or `None` if it was not closed with this key.
    pub(crate) fn open(&mut self, header: [u8; 5], mut body: Vec<u8>) -> Option<(u8, Vec<u8>)> {
        let nonce = self.nonce();
        let inner = self.key.open_in_place(nonce, Aad::from(header), &mut body).ok()?;
        // RFC 8446, section 5.4: the type is the last byte that is not zero.
        let end = inner.iter().rposition(|octet| *octet != 0)?;
        let (contents, kind) = (inner.get(..end)?, *inner.get(end)?);
        Some((kind, contents.to_vec()))
    }

    /// Closes contents of that type into a record.
    pub(crate) fn close(&mut self, kind: u8, contents: &[u8]) -> Option<Vec<u8>> {
        let mut body = [contents, &[kind]].concat();
        let length = body.len().checked_add(self.key.algorithm().tag_len())?;
        let [high, low] = u16::try_from(length).ok()?.to_be_bytes();
        let header = [record::APPLICATION_DATA, 3, 3, high, low];
        let nonce = self.nonce();
        self.key.seal_in_place_append_tag(nonce, Aad::from(header), &mut body).ok()?;
        Some([&header[..], &body].concat())
    }
}
