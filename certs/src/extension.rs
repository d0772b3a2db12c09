//! Extensions of a certificate.
//!
//! The alternative names and the basic constraints belong to the inventory and are walked
//! leniently; the others are decoded one by one with x509-parser, so that one which that
//! refuses does not hide the rest, nor does a certificate that it refuses as a whole.

use std::net::{Ipv4Addr, Ipv6Addr};

use x509_parser::{
    extensions::{
        AuthorityInfoAccess, AuthorityKeyIdentifier, CRLDistributionPoints, DistributionPointName,
        ExtendedKeyUsage, GeneralName, KeyIdentifier, KeyUsage,
    },
    prelude::FromDer,
};

use crate::{
    certificate::{AnomalyKind, Certificate},
    der::{self, Element, Quirks},
    encodings::Extension,
    name, oid,
};

use AnomalyKind::{Encoding, Profile};

/// Reads the extensions (the contents of `[3]`). Returns whether there is an alternative name.
pub(crate) fn read(body: &[u8], certificate: &mut Certificate, quirks: &mut Quirks) -> bool {
    let list = der::children(body, quirks);
    let list = list.first().map_or(&[][..], |list| list.body);
    let mut seen: Vec<String> = Vec::new();
    for extension in der::children(list, quirks) {
        let parts = der::children(extension.body, quirks);
        let (Some(id), Some(value)) = (
            parts.first().filter(|id| id.tag == der::OID),
            parts.last().filter(|value| value.tag == der::OCTET_STRING),
        ) else {
            certificate.note(Encoding, "an extension has no name or no value");
            continue;
        };
        let id = der::oid_text(id.body);
        if certificate.encodings.extensions.len() < 256 {
            let critical = parts
                .get(1)
                .filter(|critical| critical.tag == der::BOOLEAN)
                .is_some_and(|critical| critical.body.first().is_some_and(|octet| *octet != 0));
            let value = value.body.to_vec();
            certificate.encodings.extensions.push(Extension { id: id.clone(), critical, value });
        }
        // Bounded, since looking for the same twice is quadratic.
        if seen.contains(&id) {
            certificate.note(Profile, "it has the same extension twice");
            continue;
        }
        if seen.len() < 256 {
            read_one(&id, value.body, certificate, quirks);
            seen.push(id);
        }
    }
    seen.iter().any(|id| id == ALTERNATIVE_NAME)
}

const ALTERNATIVE_NAME: &str = "2.5.29.17";

fn read_one(id: &str, value: &[u8], certificate: &mut Certificate, quirks: &mut Quirks) {
    let read = match id {
        ALTERNATIVE_NAME => read_names(value, certificate, quirks),
        "2.5.29.19" => read_constraints(value, certificate, quirks),
        "2.5.29.15" => read_key_usage(value, certificate),
        "2.5.29.37" => read_purposes(value, certificate),
        "2.5.29.14" => read_subject_key_id(value, certificate),
        "2.5.29.35" => read_authority_key_id(value, certificate),
        "1.3.6.1.5.5.7.1.1" => read_access(value, certificate),
        "2.5.29.31" => read_distribution_points(value, certificate),
        _ => Some(()),
    };
    if read.is_none() {
        certificate.note(Encoding, format!("its extension {} cannot be read", title(id)));
    }
}

pub(crate) fn title(id: &str) -> &str {
    match id {
        ALTERNATIVE_NAME => "subjectAltName",
        "2.5.29.19" => "basicConstraints",
        "2.5.29.15" => "keyUsage",
        "2.5.29.37" => "extKeyUsage",
        "2.5.29.14" => "subjectKeyIdentifier",
        "2.5.29.35" => "authorityKeyIdentifier",
        "1.3.6.1.5.5.7.1.1" => "authorityInfoAccess",
        "2.5.29.31" => "cRLDistributionPoints",
        other => other,
    }
}

/// GeneralNames (RFC 5280, section 4.2.1.6).
fn read_names(value: &[u8], certificate: &mut Certificate, quirks: &mut Quirks) -> Option<()> {
    let list = sequence(value, quirks)?;
    for name in der::children(list, quirks) {
        let text = match name.tag {
            0x82 => ascii(&name).map(|name| name.to_ascii_lowercase()),
            0x81 | 0x86 => ascii(&name),
            0x87 => address(name.body),
            // Other kinds (directory names, Kerberos principals) name nothing that is asked
            // over a network.
            _ => continue,
        };
        let Some(text) = text else {
            certificate.note(Encoding, "one of its alternative names cannot be read");
            continue;
        };
        let shown = name::visible(&text);
        if shown != text {
            certificate.note(Profile, "one of its alternative names has invisible characters");
        }
        certificate.names.push(shown);
    }
    Some(())
}

fn ascii(name: &Element<'_>) -> Option<String> {
    // IA5String it should be; UTF-8 is what some issuers write, and it can be shown.
    String::from_utf8(name.body.to_vec()).ok()
}

fn address(body: &[u8]) -> Option<String> {
    if let Ok(octets) = <[u8; 4]>::try_from(body) {
        return Some(Ipv4Addr::from(octets).to_string());
    }
    <[u8; 16]>::try_from(body).ok().map(|octets| Ipv6Addr::from(octets).to_string())
}

fn read_constraints(
    value: &[u8],
    certificate: &mut Certificate,
    quirks: &mut Quirks,
) -> Option<()> {
    let list = sequence(value, quirks)?;
    let first = der::children(list, quirks).into_iter().next();
    certificate.is_ca = first
        .filter(|first| first.tag == der::BOOLEAN)
        .is_some_and(|first| first.body.first().is_some_and(|octet| *octet != 0));
    Some(())
}

fn sequence<'a>(value: &'a [u8], quirks: &mut Quirks) -> Option<&'a [u8]> {
    der::children(value, quirks).first().filter(|list| list.tag == der::SEQUENCE).map(|l| l.body)
}

fn read_key_usage(value: &[u8], certificate: &mut Certificate) -> Option<()> {
    let (_, usage) = KeyUsage::from_der(value).ok()?;
    for (is_set, name) in [
        (usage.digital_signature(), "digitalSignature"),
        (usage.non_repudiation(), "nonRepudiation"),
        (usage.key_encipherment(), "keyEncipherment"),
        (usage.data_encipherment(), "dataEncipherment"),
        (usage.key_agreement(), "keyAgreement"),
        (usage.key_cert_sign(), "keyCertSign"),
        (usage.crl_sign(), "cRLSign"),
        (usage.encipher_only(), "encipherOnly"),
        (usage.decipher_only(), "decipherOnly"),
    ] {
        if is_set {
            certificate.key_usage.push(name.to_owned());
        }
    }
    Some(())
}

fn read_purposes(value: &[u8], certificate: &mut Certificate) -> Option<()> {
    let (_, purposes) = ExtendedKeyUsage::from_der(value).ok()?;
    for (is_set, name) in [
        (purposes.any, "anyExtendedKeyUsage"),
        (purposes.server_auth, "serverAuth"),
        (purposes.client_auth, "clientAuth"),
        (purposes.code_signing, "codeSigning"),
        (purposes.email_protection, "emailProtection"),
        (purposes.time_stamping, "timeStamping"),
        (purposes.ocsp_signing, "OCSPSigning"),
    ] {
        if is_set {
            certificate.extended_key_usage.push(name.to_owned());
        }
    }
    for other in &purposes.other {
        let id = der::oid_text(other.as_bytes());
        let name = oid::purpose(&id).map_or(id, str::to_owned);
        certificate.extended_key_usage.push(name);
    }
    Some(())
}

fn read_subject_key_id(value: &[u8], certificate: &mut Certificate) -> Option<()> {
    let (_, id) = KeyIdentifier::from_der(value).ok()?;
    certificate.subject_key_id = Some(der::hex(id.0));
    Some(())
}

fn read_authority_key_id(value: &[u8], certificate: &mut Certificate) -> Option<()> {
    let (_, id) = AuthorityKeyIdentifier::from_der(value).ok()?;
    certificate.authority_key_id = id.key_identifier.map(|id| der::hex(id.0));
    Some(())
}

fn read_access(value: &[u8], certificate: &mut Certificate) -> Option<()> {
    let (_, access) = AuthorityInfoAccess::from_der(value).ok()?;
    for description in access.iter() {
        if let GeneralName::URI(url) = description.access_location
            && der::oid_text(description.access_method.as_bytes()) == "1.3.6.1.5.5.7.48.1"
        {
            certificate.ocsp_urls.push(name::visible(url));
        }
    }
    Some(())
}

fn read_distribution_points(value: &[u8], certificate: &mut Certificate) -> Option<()> {
    let (_, points) = CRLDistributionPoints::from_der(value).ok()?;
    for point in points.iter() {
        let Some(DistributionPointName::FullName(names)) = &point.distribution_point else {
            continue;
        };
        for name in names {
            if let GeneralName::URI(url) = name {
                certificate.crl_urls.push(name::visible(url));
            }
        }
    }
    Some(())
}
