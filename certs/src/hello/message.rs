//! Reading the handshake messages that a server sends (RFC 5246 and RFC 8446, sections 7.4
//! and 4).

use model::TlsVersion;
use wire::{Malformed, Reader};

use super::{KeyExchange, MAX_CHAIN, suite::Exchange};
use crate::der;

pub(crate) const HELLO_REQUEST: u8 = 0;
pub(crate) const SERVER_HELLO: u8 = 2;
pub(crate) const NEW_SESSION_TICKET: u8 = 4;
pub(crate) const ENCRYPTED_EXTENSIONS: u8 = 8;
pub(crate) const CERTIFICATE: u8 = 11;
pub(crate) const SERVER_KEY_EXCHANGE: u8 = 12;
pub(crate) const CERTIFICATE_REQUEST: u8 = 13;
pub(crate) const SERVER_HELLO_DONE: u8 = 14;
pub(crate) const CERTIFICATE_STATUS: u8 = 22;

/// Server names, RFC 6066.
pub(crate) const SERVER_NAME: u16 = 0;
/// RFC 8422 and RFC 7919.
pub(crate) const SUPPORTED_GROUPS: u16 = 10;
/// RFC 8422.
pub(crate) const EC_POINT_FORMATS: u16 = 11;
/// RFC 8446.
pub(crate) const SIGNATURE_ALGORITHMS: u16 = 13;
/// RFC 7685.
pub(crate) const PADDING: u16 = 21;
/// RFC 8446.
pub(crate) const SUPPORTED_VERSIONS: u16 = 43;
/// RFC 8446.
pub(crate) const COOKIE: u16 = 44;
/// RFC 8446.
pub(crate) const KEY_SHARE: u16 = 51;

/// A ServerHello, or the HelloRetryRequest that wears its clothes.
#[derive(Debug)]
pub(crate) struct ServerHello<'a> {
    /// The version, `supported_versions` considered.
    pub(crate) version: TlsVersion,
    pub(crate) random: [u8; 32],
    pub(crate) suite: u16,
    /// The contents of `key_share`.
    pub(crate) key_share: Option<&'a [u8]>,
    /// The contents of `cookie`.
    pub(crate) cookie: Option<&'a [u8]>,
}

/// The random of a HelloRetryRequest: SHA-256 of that word (RFC 8446, section 4.1.3).
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

impl<'a> ServerHello<'a> {
    pub(crate) fn read(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(body);
        let version = TlsVersion(r.u16("server_version")?);
        let random = r.array("random")?;
        let session_id = r.u8("session_id length")?;
        r.take("session_id", session_id.into())?;
        let suite = r.u16("cipher_suite")?;
        r.u8("compression_method")?;
        let mut hello = Self { version, random, suite, key_share: None, cookie: None };
        // A hello that ends here has no extensions (RFC 5246, section 7.4.1.3).
        if r.is_at_end() {
            return Ok(hello);
        }
        let length = r.u16("extensions length")?;
        let mut extensions = r.nested("extensions", length.into())?;
        while !extensions.is_at_end() {
            let kind = extensions.u16("extension_type")?;
            let length = extensions.u16("extension_data length")?;
            let data = extensions.take("extension_data", length.into())?;
            match kind {
                SUPPORTED_VERSIONS => {
                    hello.version = TlsVersion(Reader::new(data).u16("selected_version")?);
                }
                KEY_SHARE => hello.key_share = Some(data),
                COOKIE => hello.cookie = Some(data),
                _ => {}
            }
        }
        Ok(hello)
    }

    pub(crate) fn is_retry(&self) -> bool {
        self.random == RETRY
    }
}

/// A chain, and how many certificates of it were not kept.
pub(crate) type Chain = (Vec<Vec<u8>>, usize);

/// The Certificate message up to TLS 1.2.
pub(crate) fn certificate(body: &[u8]) -> Result<Chain, Malformed> {
    chain(&mut Reader::new(body), false)
}

/// The Certificate message of TLS 1.3: a context before it, extensions after each.
pub(crate) fn certificate_13(body: &[u8]) -> Result<Chain, Malformed> {
    let mut r = Reader::new(body);
    let context = r.u8("certificate_request_context length")?;
    r.take("certificate_request_context", context.into())?;
    chain(&mut r, true)
}

fn chain(r: &mut Reader<'_>, with_extensions: bool) -> Result<Chain, Malformed> {
    let mut list = r.u24("certificate_list length").and_then(|length| nested(r, length))?;
    let (mut kept, mut left_out) = (Vec::new(), 0usize);
    while !list.is_at_end() {
        let length = list.u24("certificate length")?;
        let certificate = nested(&mut list, length)?.rest();
        if with_extensions {
            let length = list.u16("extensions length")?;
            list.take("extensions", length.into())?;
        }
        // An entry of no bytes is no certificate.
        if certificate.is_empty() {
            continue;
        }
        if kept.len() < MAX_CHAIN {
            kept.push(certificate.to_vec());
        } else {
            left_out = left_out.saturating_add(1);
        }
    }
    Ok((kept, left_out))
}

fn nested<'a>(r: &mut Reader<'a>, length: u32) -> Result<Reader<'a>, Malformed> {
    r.nested("certificate", usize::try_from(length).unwrap_or(usize::MAX))
}

/// The ServerKeyExchange, as far as it tells what the key exchange is worth.
pub(crate) fn key_exchange(body: &[u8], exchange: Exchange) -> Result<KeyExchange, Malformed> {
    let mut r = Reader::new(body);
    match exchange {
        Exchange::Dhe => {
            let length = r.u16("dh_p length")?;
            let prime = r.take("dh_p", length.into())?;
            Ok(KeyExchange::Dhe(der::bit_length(prime)))
        }
        Exchange::Ecdhe => match r.u8("curve_type")? {
            3 => Ok(KeyExchange::Ecdhe(Some(r.u16("namedcurve")?))),
            // RFC 4492, section 5.4: a curve by its numbers, withdrawn by RFC 8422.
            1 | 2 => Ok(KeyExchange::Ecdhe(None)),
            other => Err(r.invalid("curve_type", other)),
        },
        // RSA with a key exchange message is an export suite's temporary key.
        Exchange::Rsa => Ok(KeyExchange::Rsa),
        Exchange::Static => Ok(KeyExchange::Static),
    }
}
