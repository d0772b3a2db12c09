//! What an OCSP response says of a certificate (RFC 6960), such as a server staples.
//!
//! A function of the response's bytes, the certificate and those who may have issued it: it
//! asks nobody. A response counts where the issuer signed it, or somebody whom the issuer
//! certified for that; whether the issuer itself is trusted is the chain's question.

use model::Timestamp;
use ring::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, SHA512, digest};
use thiserror::Error;
use wire::Reader;

use super::Signer;
use crate::{
    Certificate,
    der::{self, Element, Quirks},
    moment,
    oid::{self, Hash},
    verify,
    walk::{self, Parts},
};

/// Responses longer than this are not read. Real ones have some 2 KiB.
const MAX_RESPONSE: usize = 1 << 20;

/// A response about a certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Response {
    /// What it says.
    pub status: Status,
    /// Since when that is known.
    pub this_update: Option<Timestamp>,
    /// Until when a newer response should be there. `None` where it does not say.
    pub next_update: Option<Timestamp>,
    /// Whose word it is.
    pub signer: Signer,
}

/// What a responder says of a certificate.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Status {
    /// It was not revoked.
    Good,
    /// It was, at that moment where that can be read.
    Revoked(Option<Timestamp>),
    /// The responder does not know it.
    Unknown,
}

/// A response tells nothing of the certificate.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum ResponseError {
    /// It is none.
    #[error("it is not an OCSP response that can be read")]
    Unreadable,
    /// The responder gives none, for the reason of that number (RFC 6960, section 4.2.1): 1
    /// malformed request, 2 internal error, 3 try later, 5 signature required, 6 unauthorized.
    #[error("the responder refused to answer, with status {0}")]
    Refused(u8),
    /// The certificate's issuer is not at hand, so that nobody can tell whom it is about.
    #[error("the certificate's issuer is not known")]
    NoIssuer,
    /// It is about other certificates.
    #[error("it is about another certificate")]
    Other,
}

impl Response {
    /// What a response says of a certificate; `issuers` are those that may have issued it: what
    /// was served and what the inventory holds. All are DER.
    ///
    /// # Errors
    ///
    /// Where it says nothing of it.
    pub fn read<'a>(
        response: &[u8],
        certificate: &'a [u8],
        issuers: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Self, ResponseError> {
        let basic = basic(response)?;
        let (leaf, parts) = walked(certificate);
        // Of several with the name, the one that signed it; else one of which nobody knows.
        let named = issuers
            .into_iter()
            .map(walked)
            .filter(|(_, issuer)| issuer.subject.is_some() && issuer.subject == parts.issuer);
        let mut named: Vec<(Certificate, Parts<'a>)> = named
            .filter(|(issuer, of)| verify::signed_by(&leaf, &parts, issuer, of.key) != Some(false))
            .collect();
        named
            .sort_by_key(|(issuer, of)| verify::signed_by(&leaf, &parts, issuer, of.key).is_none());
        let (issuer, of) = named.first().ok_or(ResponseError::NoIssuer)?;
        let single = basic.singles.iter().find(|single| single.is_about(&leaf, of));
        let single = single.ok_or(ResponseError::Other)?;
        Ok(Self {
            status: single.status,
            this_update: single.this_update,
            next_update: single.next_update,
            signer: basic.signer(issuer, of, single.this_update),
        })
    }

    /// Whether a newer response should be there at that moment.
    #[must_use]
    pub fn is_outdated(&self, as_of: Timestamp) -> bool {
        self.next_update.is_some_and(|next| as_of > next)
    }
}

/// The question for a responder whether the certificate was revoked, DER (RFC 6960, section
/// 4.1). It names the certificate by SHA-1, which is what every responder knows (RFC 9654 and
/// the profile of RFC 5019 keep it), and has no nonce, so that prepared answers fit.
///
/// `None` where the issuer, also DER, did not issue it or one of them cannot be read.
#[must_use]
pub fn request(certificate: &[u8], issuer: &[u8]) -> Option<Vec<u8>> {
    let (leaf, parts) = walked(certificate);
    let (above, of) = walked(issuer);
    let name = of.subject.filter(|name| Some(*name) == parts.issuer)?;
    let serial = leaf.encodings.serial.as_slice();
    let signed = verify::signed_by(&leaf, &parts, &above, of.key) != Some(false);
    if !signed || of.key.is_empty() || serial.is_empty() || serial.len() > MAX_SERIAL {
        return None;
    }
    let hash = |bytes| digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes);
    let id = [
        SHA1_ALGORITHM.to_vec(),
        encoded(der::OCTET_STRING, hash(name).as_ref()),
        encoded(der::OCTET_STRING, hash(of.key).as_ref()),
        encoded(der::INTEGER, serial),
    ];
    // From the inside: CertID, Request, the list of them, TBSRequest, OCSPRequest.
    let wrapped = |body: Vec<u8>, _| encoded(der::SEQUENCE, &body);
    Some((0..5).fold(id.concat(), wrapped))
}

/// Twice what certificates may have (RFC 5280, section 4.1.2.2).
const MAX_SERIAL: usize = 40;

/// The AlgorithmIdentifier of SHA-1 (1.3.14.3.2.26, with NULL).
const SHA1_ALGORITHM: &[u8] = &[0x30, 9, 6, 5, 0x2b, 0x0e, 3, 2, 0x1a, 5, 0];

/// An element of DER, for contents of less than 256 bytes; a request has no longer ones.
fn encoded(tag: u8, body: &[u8]) -> Vec<u8> {
    let len = u8::try_from(body.len()).unwrap_or(u8::MAX);
    let head = if len < 0x80 { vec![tag, len] } else { vec![tag, 0x81, len] };
    [&head, body].concat()
}

fn walked(der: &[u8]) -> (Certificate, Parts<'_>) {
    let mut certificate = Certificate::of(der);
    let parts = if der.len() > Certificate::MAX_DER {
        Parts::default()
    } else {
        walk::walk(der, &mut certificate)
    };
    (certificate, parts)
}

/// A BasicOCSPResponse.
struct Basic<'a> {
    parts: Parts<'a>,
    hash: Option<Hash>,
    singles: Vec<Single<'a>>,
    /// The responder's certificates, DER.
    certificates: Vec<&'a [u8]>,
}

/// What is said of one certificate.
struct Single<'a> {
    algorithm: Option<&'static Algorithm>,
    issuer_name: &'a [u8],
    issuer_key: &'a [u8],
    serial: &'a [u8],
    status: Status,
    this_update: Option<Timestamp>,
    next_update: Option<Timestamp>,
}

fn basic(response: &[u8]) -> Result<Basic<'_>, ResponseError> {
    if response.len() > MAX_RESPONSE {
        return Err(ResponseError::Unreadable);
    }
    let quirks = &mut Quirks::default();
    let outer = der::element(&mut Reader::new(response), quirks);
    let outer =
        outer.filter(|outer| outer.tag == der::SEQUENCE).ok_or(ResponseError::Unreadable)?;
    let mut outer = der::children(outer.body, quirks).into_iter();
    match outer.next() {
        Some(Element { tag: 0x0a, body: [0], .. }) => {}
        Some(Element { tag: 0x0a, body: [status], .. }) => {
            return Err(ResponseError::Refused(*status));
        }
        _ => return Err(ResponseError::Unreadable),
    }
    read_basic(outer.next(), quirks).ok_or(ResponseError::Unreadable)
}

/// The response in `[0]`: its type, and it in an octet string.
fn read_basic<'a>(bytes: Option<Element<'a>>, quirks: &mut Quirks) -> Option<Basic<'a>> {
    let bytes = bytes.filter(|bytes| bytes.tag == 0xa0)?;
    let typed = der::children(bytes.body, quirks).into_iter().next()?;
    let mut typed = der::children(typed.body, quirks).into_iter();
    let kind = typed.next().filter(|kind| kind.tag == der::OID)?;
    if der::dotted(kind.body)? != "1.3.6.1.5.5.7.48.1.1" {
        return None;
    }
    let octets = typed.next().filter(|octets| octets.tag == der::OCTET_STRING)?;
    let basic = der::element(&mut Reader::new(octets.body), quirks)?;
    let mut basic = der::children(basic.body, quirks).into_iter();
    let (data, algorithm, bits) = (basic.next()?, basic.next()?, basic.next()?);
    let certificates = basic.next().filter(|more| more.tag == 0xa0);
    let certificates =
        certificates.and_then(|more| der::children(more.body, quirks).into_iter().next());
    let certificates = certificates.map_or_else(Vec::new, |list| der::children(list.body, quirks));
    let responses =
        der::children(data.body, quirks).into_iter().find(|field| field.tag == der::SEQUENCE)?;
    let singles = der::children(responses.body, quirks);
    let (parts, hash) = walk::signed_parts(&data, &algorithm, &bits, quirks);
    Some(Basic {
        singles: singles.iter().filter_map(|single| read_single(single, quirks)).collect(),
        certificates: certificates.iter().take(MAX_RESPONDERS).map(|one| one.whole).collect(),
        parts,
        hash,
    })
}

/// How many certificates of responders are looked at. A response has one, or none.
const MAX_RESPONDERS: usize = 8;

fn read_single<'a>(single: &Element<'a>, quirks: &mut Quirks) -> Option<Single<'a>> {
    let mut fields = der::children(single.body, quirks).into_iter();
    let (id, status, this_update) = (fields.next()?, fields.next()?, fields.next()?);
    let time = |field: &Element<'_>| moment::read(field).map(|(moment, _)| moment);
    let next_update = fields.find(|field| field.tag == 0xa0);
    let next_update =
        next_update.and_then(|field| der::children(field.body, quirks).first().and_then(time));
    let mut id = der::children(id.body, quirks).into_iter();
    let (algorithm, name, key, serial) = (id.next()?, id.next()?, id.next()?, id.next()?);
    let algorithm = der::children(algorithm.body, quirks).into_iter().next()?;
    let algorithm = match oid::hash(&der::dotted(algorithm.body)?) {
        Some(Hash::Sha1) => Some(&SHA1_FOR_LEGACY_USE_ONLY),
        Some(Hash::Sha256) => Some(&SHA256),
        Some(Hash::Sha384) => Some(&SHA384),
        Some(Hash::Sha512) => Some(&SHA512),
        _ => None,
    };
    let status = match status.tag {
        0x80 => Status::Good,
        0xa1 => Status::Revoked(der::children(status.body, quirks).first().and_then(time)),
        0x82 => Status::Unknown,
        _ => return None,
    };
    Some(Single {
        algorithm,
        issuer_name: name.body,
        issuer_key: key.body,
        serial: serial.body,
        status,
        this_update: time(&this_update),
        next_update,
    })
}

impl Single<'_> {
    /// Whether it is about the certificate of that issuer.
    fn is_about(&self, leaf: &Certificate, issuer: &Parts<'_>) -> bool {
        let (Some(algorithm), Some(name)) = (self.algorithm, issuer.subject) else { return false };
        self.serial == leaf.encodings.serial
            && digest(algorithm, name).as_ref() == self.issuer_name
            && digest(algorithm, issuer.key).as_ref() == self.issuer_key
    }
}

impl Basic<'_> {
    /// Whose word it is: the issuer's, or somebody's whom it certified for that and whose
    /// certificate was valid when it was given (RFC 6960, section 4.2.2.2).
    fn signer(&self, issuer: &Certificate, of: &Parts<'_>, at: Option<Timestamp>) -> Signer {
        let mut answers = vec![verify::signed(self.hash, &self.parts, issuer, of.key)];
        for der in &self.certificates {
            let (responder, parts) = walked(der);
            let appointed = parts.issuer == of.subject
                && responder.extended_key_usage.iter().any(|usage| usage == "OCSPSigning")
                && at >= responder.not_before
                && at <= responder.not_after
                && verify::signed_by(&responder, &parts, issuer, of.key) == Some(true);
            if appointed {
                answers.push(verify::signed(self.hash, &self.parts, &responder, parts.key));
            }
        }
        if answers.contains(&Some(true)) {
            Signer::Issuer
        } else if answers.contains(&None) {
            Signer::Unknown
        } else {
            Signer::Other
        }
    }
}
