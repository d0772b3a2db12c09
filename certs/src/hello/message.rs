//! Reading the handshake messages that a server sends (RFC 5246 and RFC 8446, sections 7.4
//! and 4).

use model::TlsVersion;
use wire::{Malformed, Reader};

use super::{
    ClientCertificate, KeyExchange, MAX_AUTHORITIES, MAX_CHAIN, MAX_STAPLED, TLS12, suite::Exchange,
};
use crate::{der, name};

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
/// OCSP, RFC 6066.
pub(crate) const STATUS_REQUEST: u16 = 5;
/// RFC 8422 and RFC 7919.
pub(crate) const SUPPORTED_GROUPS: u16 = 10;
/// RFC 8422.
pub(crate) const EC_POINT_FORMATS: u16 = 11;
/// RFC 8446.
pub(crate) const SIGNATURE_ALGORITHMS: u16 = 13;
/// Application protocols, RFC 7301.
pub(crate) const PROTOCOLS: u16 = 16;
/// RFC 7685.
pub(crate) const PADDING: u16 = 21;
/// RFC 7627.
pub(crate) const EXTENDED_MASTER_SECRET: u16 = 23;
/// RFC 8446.
pub(crate) const SUPPORTED_VERSIONS: u16 = 43;
/// RFC 8446.
pub(crate) const COOKIE: u16 = 44;
/// RFC 8446.
pub(crate) const CERTIFICATE_AUTHORITIES: u16 = 47;
/// RFC 8446.
pub(crate) const KEY_SHARE: u16 = 51;
/// RFC 9001.
pub(crate) const TRANSPORT_PARAMETERS: u16 = 57;
/// RFC 5746.
pub(crate) const RENEGOTIATION_INFO: u16 = 0xff01;

/// A ServerHello, or the HelloRetryRequest that wears its clothes.
#[derive(Debug)]
pub(crate) struct ServerHello<'a> {
    /// The version, `supported_versions` considered.
    pub(crate) version: TlsVersion,
    pub(crate) random: [u8; 32],
    pub(crate) suite: u16,
    pub(crate) compression: u8,
    pub(crate) secure_renegotiation: bool,
    pub(crate) extended_master_secret: bool,
    /// The application protocol, up to TLS 1.2.
    pub(crate) protocol: Option<String>,
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
        let mut hello = Self {
            version,
            random,
            suite,
            compression: r.u8("compression_method")?,
            secure_renegotiation: false,
            extended_master_secret: false,
            protocol: None,
            key_share: None,
            cookie: None,
        };
        // A hello that ends here has no extensions (RFC 5246, section 7.4.1.3).
        if r.is_at_end() {
            return Ok(hello);
        }
        for (kind, data) in extensions(&mut r)? {
            match kind {
                SUPPORTED_VERSIONS => {
                    hello.version = TlsVersion(Reader::new(data).u16("selected_version")?);
                }
                KEY_SHARE => hello.key_share = Some(data),
                COOKIE => hello.cookie = Some(data),
                PROTOCOLS => hello.protocol = protocol(data),
                RENEGOTIATION_INFO => hello.secure_renegotiation = true,
                EXTENDED_MASTER_SECRET => hello.extended_master_secret = true,
                _ => {}
            }
        }
        Ok(hello)
    }

    pub(crate) fn is_retry(&self) -> bool {
        self.random == RETRY
    }
}

/// The extensions of a message, with their contents.
pub(crate) fn extensions<'a>(r: &mut Reader<'a>) -> Result<Vec<(u16, &'a [u8])>, Malformed> {
    let length = r.u16("extensions length")?;
    let mut r = r.nested("extensions", length.into())?;
    let mut found = Vec::new();
    while !r.is_at_end() {
        let kind = r.u16("extension_type")?;
        let length = r.u16("extension_data length")?;
        found.push((kind, r.take("extension_data", length.into())?));
    }
    Ok(found)
}

/// The one protocol that a server picks (RFC 7301, section 3.1). `None` where it is none, or
/// no text: it picked what was not offered.
fn protocol(data: &[u8]) -> Option<String> {
    let mut r = Reader::new(data);
    r.u16("ProtocolNameList length").ok()?;
    let length = r.u8("ProtocolName length").ok()?;
    let name = str::from_utf8(r.take("ProtocolName", length.into()).ok()?).ok()?;
    Some(crate::name::visible(name))
}

/// EncryptedExtensions: the application protocol.
pub(crate) fn encrypted_extensions(body: &[u8]) -> Result<Option<String>, Malformed> {
    let all = extensions(&mut Reader::new(body))?;
    Ok(all.iter().find(|(kind, _)| *kind == PROTOCOLS).and_then(|(_, data)| protocol(data)))
}

/// CertificateRequest up to TLS 1.2. That it asks is what counts: where it breaks off, what
/// was read of it.
pub(crate) fn certificate_request(body: &[u8], version: TlsVersion) -> ClientCertificate {
    let mut r = Reader::new(body);
    let mut read = || {
        let types = r.u8("certificate_types length")?;
        r.take("certificate_types", types.into())?;
        if version >= TLS12 {
            let length = r.u16("supported_signature_algorithms length")?;
            r.take("supported_signature_algorithms", length.into())?;
        }
        Ok::<_, Malformed>(r.rest())
    };
    read().map(authorities).unwrap_or_default()
}

/// And that of TLS 1.3, where the names are an extension.
pub(crate) fn certificate_request_13(body: &[u8]) -> ClientCertificate {
    let mut r = Reader::new(body);
    let mut read = || {
        let context = r.u8("certificate_request_context length")?;
        r.take("certificate_request_context", context.into())?;
        extensions(&mut r)
    };
    let all = read().unwrap_or_default();
    let names = all.iter().find(|(kind, _)| *kind == CERTIFICATE_AUTHORITIES);
    names.map(|(_, data)| authorities(data)).unwrap_or_default()
}

/// Names of authorities, as far as they can be read.
fn authorities(list: &[u8]) -> ClientCertificate {
    let mut found = ClientCertificate::default();
    let mut r = Reader::new(list);
    let Ok(mut r) = r.u16("authorities length").and_then(|len| r.nested("authorities", len.into()))
    else {
        return found;
    };
    while let Ok(name) = r.u16("length").and_then(|len| r.take("DistinguishedName", len.into())) {
        if found.authorities.len() >= MAX_AUTHORITIES {
            found.left_out = found.left_out.saturating_add(1);
            continue;
        }
        let mut quirks = der::Quirks::default();
        let body = der::element(&mut Reader::new(name), &mut quirks).map(|element| element.body);
        found.authorities.push(name::read(body.unwrap_or_default(), &mut quirks).text);
    }
    found
}

/// CertificateStatus (RFC 6066, section 8): the response, if it is one of OCSP and not longer
/// than anyone needs.
pub(crate) fn certificate_status(body: &[u8]) -> Option<Vec<u8>> {
    let mut r = Reader::new(body);
    let (Ok(1), Ok(length)) = (r.u8("status_type"), r.u24("OCSPResponse length")) else {
        return None;
    };
    let response = r.take("OCSPResponse", usize::try_from(length).ok()?).ok()?;
    (1..=MAX_STAPLED).contains(&response.len()).then(|| response.to_vec())
}

/// What a Certificate message holds.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Chain {
    pub(crate) kept: Vec<Vec<u8>>,
    /// How many certificates were not kept.
    pub(crate) left_out: usize,
    /// The OCSP response beside the leaf, in TLS 1.3.
    pub(crate) stapled: Option<Vec<u8>>,
}

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
    let mut chain = Chain::default();
    while !list.is_at_end() {
        let length = list.u24("certificate length")?;
        let certificate = nested(&mut list, length)?.rest();
        if with_extensions {
            let all = extensions(&mut list)?;
            let status = all.iter().find(|(kind, _)| *kind == STATUS_REQUEST);
            if chain.kept.is_empty() {
                chain.stapled = status.and_then(|(_, data)| certificate_status(data));
            }
        }
        // An entry of no bytes is no certificate.
        if certificate.is_empty() {
            continue;
        }
        if chain.kept.len() < MAX_CHAIN {
            chain.kept.push(certificate.to_vec());
        } else {
            chain.left_out = chain.left_out.saturating_add(1);
        }
    }
    Ok(chain)
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
