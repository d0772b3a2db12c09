//! The lenient walk over a certificate's bytes.
//!
//! The fields are found by their shape (a period of validity starts with a time, a name holds
//! sets, a key is an algorithm and a bit string) rather than by counting, so that one that is
//! missing or broken does not take the others with it.

use model::Timestamp;
use ring::digest::{SHA256, digest};

use crate::{
    certificate::{AnomalyKind, Certificate, Key, Signature},
    der::{self, Element, Quirks},
    extension, moment, name,
    oid::{self, Hash, KeyKind},
};

use AnomalyKind::{Encoding, Profile};

/// The bytes that checking the signature needs.
#[derive(Debug, Default)]
pub(crate) struct Parts<'a> {
    /// What is signed.
    pub(crate) to_be_signed: &'a [u8],
    /// The signature.
    pub(crate) signature: &'a [u8],
    /// The signature algorithm's identifier, dotted.
    pub(crate) algorithm: String,
    /// The contents of the signature algorithm's parameters.
    pub(crate) parameters: &'a [u8],
    /// The public key, without its algorithm.
    pub(crate) key: &'a [u8],
    /// The subject's and the issuer's encodings.
    pub(crate) subject: Option<&'a [u8]>,
    pub(crate) issuer: Option<&'a [u8]>,
}

/// Fills what can be read of `der` into `certificate`.
pub(crate) fn walk<'a>(der: &'a [u8], certificate: &mut Certificate) -> Parts<'a> {
    let mut quirks = Quirks::default();
    let mut parts = Parts::default();
    let mut r = wire::Reader::new(der);
    match der::element(&mut r, &mut quirks) {
        Some(outer) if outer.tag == der::SEQUENCE => {
            if !r.is_at_end() {
                certificate.note(Encoding, "bytes follow its end");
            }
            read_outer(outer.body, certificate, &mut parts, &mut quirks);
        }
        _ => certificate.note(Encoding, "it is not a DER sequence"),
    }
    for (seen, problem) in [
        (quirks.cut, "it ends before an element in it does"),
        (quirks.indefinite_length, "a length is indefinite (BER), which DER does not allow"),
        (quirks.long_length, "a length takes more bytes than DER allows"),
        (quirks.too_many, "a sequence has more than 10,000 elements; the rest was not read"),
    ] {
        if seen {
            certificate.note(Encoding, problem);
        }
    }
    parts
}

fn read_outer<'a>(
    body: &'a [u8],
    certificate: &mut Certificate,
    parts: &mut Parts<'a>,
    quirks: &mut Quirks,
) {
    let mut outer = der::children(body, quirks).into_iter();
    match outer.next() {
        Some(signed) if signed.tag == der::SEQUENCE => {
            parts.to_be_signed = signed.whole;
            read_signed(signed.body, certificate, parts, quirks);
        }
        _ => certificate.note(Encoding, "it has no certificate body"),
    }
    match outer.next() {
        Some(algorithm) if algorithm.tag == der::SEQUENCE => {
            let inner = std::mem::take(&mut parts.algorithm);
            let (oid, parameters) = algorithm_id(&algorithm, quirks);
            parts.algorithm = oid;
            certificate.encodings.outer_algorithm = algorithm.whole.to_vec();
            parts.parameters = parameters.map_or(&[], |parameters| parameters.body);
            certificate.signature = signature(&algorithm, quirks);
            if !inner.is_empty() && inner != parts.algorithm {
                certificate.note(Profile, "it names two different signature algorithms");
            }
        }
        _ => certificate.note(Encoding, "it has no signature algorithm"),
    }
    match outer.next() {
        Some(bits) if bits.tag == der::BIT_STRING => parts.signature = der::bit_string(bits.body),
        _ => certificate.note(Encoding, "it has no signature"),
    }
}

/// The TBSCertificate (RFC 5280, section 4.1).
fn read_signed<'a>(
    body: &'a [u8],
    certificate: &mut Certificate,
    parts: &mut Parts<'a>,
    quirks: &mut Quirks,
) {
    let mut fields = der::children(body, quirks).into_iter().peekable();
    let version = fields.next_if(|field| field.tag == 0xa0);
    certificate.version = Some(version.map_or(1, |field| read_version(&field, quirks)));
    match fields.next_if(|field| field.tag == der::INTEGER) {
        Some(serial) => {
            certificate.encodings.serial = serial.body.to_vec();
            read_serial(serial.body, certificate);
        }
        None => certificate.note(Encoding, "it has no serial number"),
    }
    let mut seen = Seen::default();
    for field in fields {
        read_field(&field, &mut seen, certificate, parts, quirks);
    }
    for (there, problem) in [
        (seen.algorithm, "its body names no signature algorithm"),
        (parts.issuer.is_some(), "it has no issuer"),
        (seen.validity, "it has no period of validity"),
        (parts.subject.is_some(), "it has no subject"),
        (seen.key, "it has no public key"),
    ] {
        if !there {
            certificate.note(Encoding, problem);
        }
    }
    if parts.issuer.is_some() && certificate.issuer.is_empty() {
        certificate.note(Profile, "its issuer is the empty name");
    }
    match certificate.version {
        Some(1 | 2) if seen.extensions => {
            certificate.note(Profile, "it has extensions, which its version does not have");
        }
        Some(1..=3) => {}
        _ => certificate.note(Profile, "its version is none that exists"),
    }
    if !seen.alternative_name {
        certificate.names.extend(seen.common_name.as_deref().map(name::visible));
    }
}

/// Which fields have come.
#[derive(Default)]
struct Seen {
    algorithm: bool,
    validity: bool,
    key: bool,
    extensions: bool,
    alternative_name: bool,
    common_name: Option<String>,
}

fn read_field<'a>(
    field: &Element<'a>,
    seen: &mut Seen,
    certificate: &mut Certificate,
    parts: &mut Parts<'a>,
    quirks: &mut Quirks,
) {
    match shape(field, quirks) {
        Shape::Algorithm if !seen.algorithm => {
            seen.algorithm = true;
            certificate.encodings.inner_algorithm = field.whole.to_vec();
            parts.algorithm = algorithm_id(field, quirks).0;
            certificate.signature = signature(field, quirks);
        }
        Shape::Validity if !seen.validity => {
            seen.validity = true;
            certificate.encodings.validity = field.body.to_vec();
            read_validity(field, certificate, quirks);
        }
        Shape::Key if !seen.key => {
            seen.key = true;
            read_key(field, certificate, parts, quirks);
        }
        // The issuer stands before the validity. Without it, the name after is the subject.
        Shape::Name if parts.issuer.is_none() && !seen.validity => {
            parts.issuer = Some(field.whole);
            certificate.encodings.issuer = field.whole.to_vec();
            let name = read_name(field, "issuer", certificate, quirks);
            certificate.issuer = name.text;
        }
        Shape::Name if parts.subject.is_none() => {
            parts.subject = Some(field.whole);
            certificate.encodings.subject = field.whole.to_vec();
            let name = read_name(field, "subject", certificate, quirks);
            certificate.subject = name.text;
            seen.common_name = name.common_name;
        }
        // Unique identifiers: obsolete, and nothing asks what they are.
        Shape::Other if matches!(field.tag, 0x81 | 0x82 | 0xa1 | 0xa2) => {
            certificate.encodings.unique_identifiers = true;
        }
        Shape::Other if field.tag == 0xa3 && !seen.extensions => {
            seen.extensions = true;
            seen.alternative_name = extension::read(field.body, certificate, quirks);
        }
        _ => certificate.note(Encoding, "it has a field that no certificate has there"),
    }
}

/// What a field of the body must be, going by what it holds.
enum Shape {
    Algorithm,
    Validity,
    Name,
    Key,
    Other,
}

fn shape(field: &Element<'_>, quirks: &mut Quirks) -> Shape {
    if field.tag != der::SEQUENCE {
        return Shape::Other;
    }
    let inner = der::children(field.body, quirks);
    match inner.as_slice() {
        [] => Shape::Name,
        [first, ..] if first.tag == der::OID => Shape::Algorithm,
        [first, ..] if first.tag == der::SET => Shape::Name,
        [first, ..] if matches!(first.tag, der::UTC_TIME | der::GENERALIZED_TIME) => {
            Shape::Validity
        }
        [first, second, ..] if first.tag == der::SEQUENCE && second.tag == der::BIT_STRING => {
            Shape::Key
        }
        _ => Shape::Other,
    }
}

fn read_version(field: &Element<'_>, quirks: &mut Quirks) -> u32 {
    let number = der::children(field.body, quirks);
    let number = number.first().map_or(&[][..], |number| number.body);
    // The number on the wire is one less than the version.
    match number {
        [number] => u32::from(*number).saturating_add(1),
        _ => u32::MAX,
    }
}

fn read_serial(body: &[u8], certificate: &mut Certificate) {
    let negative = body.first().is_some_and(|first| first & 0x80 != 0);
    let mut magnitude = body.to_vec();
    if negative {
        let mut carry = true;
        for octet in magnitude.iter_mut().rev() {
            let (sum, overflow) = (!*octet).overflowing_add(carry.into());
            (*octet, carry) = (sum, overflow);
        }
    }
    let zeros = magnitude.iter().position(|octet| *octet != 0);
    let zeros = zeros.unwrap_or(magnitude.len().saturating_sub(1));
    let sign = if negative { "-" } else { "" };
    let digits = der::hex(magnitude.get(zeros..).unwrap_or_default());
    certificate.serial = format!("{sign}{digits}");
    if body.is_empty() {
        certificate.note(Encoding, "its serial number has no digits");
    }
    if matches!(body, [0, next, ..] if next & 0x80 == 0)
        || matches!(body, [0xff, next, ..] if next & 0x80 != 0)
    {
        certificate.note(Encoding, "its serial number takes more bytes than DER allows");
    }
    if negative {
        certificate.note(Profile, "its serial number is negative");
    } else if digits == "00" {
        certificate.note(Profile, "its serial number is zero");
    }
    if body.len() > 20 {
        certificate.note(Profile, "its serial number is longer than 20 bytes");
    }
}

fn read_validity(field: &Element<'_>, certificate: &mut Certificate, quirks: &mut Quirks) {
    let mut moments = der::children(field.body, quirks).into_iter();
    certificate.not_before = read_moment(moments.next(), "first", certificate);
    certificate.not_after = read_moment(moments.next(), "last", certificate);
    if let (Some(first), Some(last)) = (certificate.not_before, certificate.not_after)
        && last < first
    {
        certificate.note(Profile, "its validity ends before it begins");
    }
}

fn read_moment(
    element: Option<Element<'_>>,
    which: &str,
    certificate: &mut Certificate,
) -> Option<Timestamp> {
    let read = element.as_ref().and_then(moment::read);
    match read {
        None => {
            certificate.note(Encoding, format!("its {which} moment of validity is no moment"));
        }
        Some((_, false)) => certificate
            .note(Profile, format!("its {which} moment of validity is not written as DER wants")),
        Some((_, true)) => {}
    }
    read.map(|(moment, _)| moment)
}

fn read_name(
    field: &Element<'_>,
    which: &str,
    certificate: &mut Certificate,
    quirks: &mut Quirks,
) -> name::Name {
    let name = name::read(field.body, quirks);
    if name.odd {
        certificate.note(Encoding, format!("its {which} holds what no name may hold"));
    }
    name
}

/// An AlgorithmIdentifier: the dotted identifier and its parameters.
fn algorithm_id<'a>(element: &Element<'a>, quirks: &mut Quirks) -> (String, Option<Element<'a>>) {
    let mut inner = der::children(element.body, quirks).into_iter();
    let oid = inner.next().filter(|oid| oid.tag == der::OID);
    (oid.map(|oid| der::oid_text(oid.body)).unwrap_or_default(), inner.next())
}

/// What checking the signature needs of anything that is signed as certificates are, and the
/// hash under it.
pub(crate) fn signed_parts<'a>(
    signed: &Element<'a>,
    algorithm: &Element<'a>,
    bits: &Element<'a>,
    quirks: &mut Quirks,
) -> (Parts<'a>, Option<Hash>) {
    let (identifier, parameters) = algorithm_id(algorithm, quirks);
    let parts = Parts {
        to_be_signed: signed.whole,
        signature: der::bit_string(bits.body),
        algorithm: identifier,
        parameters: parameters.map_or(&[], |parameters| parameters.body),
        ..Parts::default()
    };
    (parts, signature(algorithm, quirks).hash)
}

fn signature(element: &Element<'_>, quirks: &mut Quirks) -> Signature {
    let (oid, parameters) = algorithm_id(element, quirks);
    match oid::signature(&oid) {
        Some((name @ "RSASSA-PSS", None)) => {
            let hash = parameters.and_then(|parameters| pss_hash(&parameters, quirks));
            Signature { algorithm: name.to_owned(), hash }
        }
        Some((name, hash)) => Signature { algorithm: name.to_owned(), hash },
        None => Signature { algorithm: oid, hash: None },
    }
}

/// RSASSA-PSS-params (RFC 4055, section 3.1): the hash is in `[0]`, and SHA-1 if that is absent.
fn pss_hash(parameters: &Element<'_>, quirks: &mut Quirks) -> Option<Hash> {
    let fields = der::children(parameters.body, quirks);
    let Some(field) = fields.iter().find(|field| field.tag == 0xa0) else {
        return Some(Hash::Sha1);
    };
    let inner = der::children(field.body, quirks);
    oid::hash(&algorithm_id(inner.first()?, quirks).0)
}

fn read_key<'a>(
    field: &Element<'a>,
    certificate: &mut Certificate,
    parts: &mut Parts<'a>,
    quirks: &mut Quirks,
) {
    certificate.spki_sha256 = Some(der::hex(digest(&SHA256, field.whole).as_ref()));
    let inner = der::children(field.body, quirks);
    let [algorithm, bits, ..] = inner.as_slice() else { return };
    parts.key = der::bit_string(bits.body);
    certificate.encodings.key_algorithm = algorithm.whole.to_vec();
    certificate.encodings.key = parts.key.to_vec();
    let (oid, parameters) = algorithm_id(algorithm, quirks);
    let curve = parameters.filter(|p| p.tag == der::OID).map(|p| der::oid_text(p.body));
    let Some(row) = oid::key_algorithm(&oid) else {
        certificate.key = Key { algorithm: oid, kind: KeyKind::Other, bits: None, curve: None };
        return;
    };
    let known = curve.as_deref().and_then(oid::curve);
    let parameters = parameters.map_or(&[][..], |parameters| parameters.body);
    let bits = match row.kind {
        KeyKind::Rsa => first_integer(unwrapped(parts.key, quirks), quirks),
        KeyKind::Dsa => first_integer(parameters, quirks),
        KeyKind::Ec => known.map(|(_, bits)| bits).or_else(|| field_bits(parameters, quirks)),
        _ => None,
    };
    if matches!(row.kind, KeyKind::Rsa) && bits.is_none() {
        certificate.note(Encoding, "its RSA key cannot be read");
    }
    certificate.key = Key {
        algorithm: row.name.to_owned(),
        kind: row.kind,
        bits: bits.or(row.bits),
        curve: match (row.kind, known) {
            (KeyKind::Ec, Some((name, _))) => Some(name.to_owned()),
            (KeyKind::Ec, None) => curve,
            _ => None,
        },
    };
}

/// What is inside the first element.
fn unwrapped<'a>(bytes: &'a [u8], quirks: &mut Quirks) -> &'a [u8] {
    der::children(bytes, quirks).first().map_or(&[], |element| element.body)
}

fn first_integer(body: &[u8], quirks: &mut Quirks) -> Option<u32> {
    let fields = der::children(body, quirks);
    fields.first().filter(|field| field.tag == der::INTEGER).map(|n| der::bit_length(n.body))
}

/// The size of the field of a curve that is given by its numbers (SEC 1, appendix C.2):
/// `version, {field type, prime}, …`.
fn field_bits(parameters: &[u8], quirks: &mut Quirks) -> Option<u32> {
    let parameters = der::children(parameters, quirks);
    let field = der::children(parameters.get(1)?.body, quirks);
    let prime = field.get(1).filter(|prime| prime.tag == der::INTEGER)?;
    Some(der::bit_length(prime.body))
}
