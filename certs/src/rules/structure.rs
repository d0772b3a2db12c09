//! How a certificate is put together: encoding, version, serial number, extensions.

use model::Severity;

use super::{ALTERNATIVE_NAME, KEY_USAGE, POLICIES, PURPOSES, day, fail_if, fail_with, inside};
use super::{
    About, Applies, BASELINE, Context, NAME_CONSTRAINTS, RFC_2459, RFC_5280, Rule, Verdict,
};
use super::{note_all, value};
use crate::{AnomalyKind, Certificate, der};

pub(super) const MALFORMED: Rule = Rule {
    id: "cert.malformed",
    title: "Certificate breaks its own encoding",
    citation: "RFC 5280, section 4.1; X.690, section 10",
    effective: None,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Warning,
    check: malformed,
};

fn malformed(certificate: &Certificate, _: &Context) -> Verdict {
    let problems: Vec<&str> = certificate
        .anomalies
        .iter()
        .filter(|anomaly| anomaly.kind != AnomalyKind::Profile)
        .map(|anomaly| anomaly.problem.as_str())
        .collect();
    fail_if(!problems.is_empty(), Severity::Warning, || problems.join("; "))
}

pub(super) const VERSION: Rule = Rule {
    id: "cert.old-version",
    title: "Certificate is not of version 3",
    citation: "RFC 5280, section 4.1.2.1; CA/Browser Forum Baseline Requirements, section 7.1.1",
    effective: BASELINE,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Info,
    check: |certificate, _| match certificate.version.filter(|_| certificate.is_recognisable()) {
        None => Verdict::NotApplicable,
        Some(version) => fail_if(version != 3, Severity::Info, || {
            format!("it is of version {version}, which some clients refuse")
        }),
    },
};

pub(super) const VERSION_EXTENSIONS: Rule = Rule {
    id: "cert.version-extensions",
    title: "Certificate has extensions that its version does not have",
    citation: "RFC 5280, section 4.1.2.9",
    effective: RFC_2459,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Info,
    check: |certificate, _| match certificate.version {
        None => Verdict::NotApplicable,
        Some(version) => {
            let broken = version != 3 && !certificate.encodings.extensions.is_empty();
            fail_if(broken, Severity::Info, || format!("it is of version {version}"))
        }
    },
};

pub(super) const UNIQUE_IDENTIFIER: Rule = Rule {
    id: "cert.unique-identifier",
    title: "Certificate has a unique identifier, which nothing uses",
    citation: "RFC 5280, section 4.1.2.8",
    effective: RFC_2459,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Info,
    check: |certificate, _| {
        let broken = certificate.encodings.unique_identifiers;
        fail_if(broken, Severity::Info, || match certificate.version {
            Some(1) => "in version 1, which has none at all".to_owned(),
            _ => "an authority must not write any".to_owned(),
        })
    },
};

pub(super) const SERIAL: Rule = Rule {
    id: "cert.serial-not-positive",
    title: "Certificate's serial number is not positive",
    citation: "RFC 5280, section 4.1.2.2",
    effective: RFC_2459,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Info,
    check: |certificate, _| {
        let serial = &certificate.encodings.serial;
        let Some(first) = serial.first() else { return Verdict::NotApplicable };
        let broken = first & 0x80 != 0 || serial.iter().all(|octet| *octet == 0);
        fail_if(broken, Severity::Info, || format!("it is {}", certificate.serial))
    },
};

pub(super) const LONG_SERIAL: Rule = Rule {
    id: "cert.serial-too-long",
    title: "Certificate's serial number is longer than 20 bytes",
    citation: "RFC 5280, section 4.1.2.2",
    effective: RFC_5280,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Info,
    check: |certificate, _| match certificate.encodings.serial.len() {
        0 => Verdict::NotApplicable,
        len => fail_if(len > 20, Severity::Info, || format!("it has {len} bytes")),
    },
};

pub(super) const NO_ISSUER: Rule = Rule {
    id: "cert.no-issuer",
    title: "Certificate's issuer has no name",
    citation: "RFC 5280, section 4.1.2.4",
    effective: RFC_2459,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Info,
    check: |certificate, _| {
        let issuer = &certificate.encodings.issuer;
        if issuer.is_empty() {
            return Verdict::NotApplicable;
        }
        fail_if(inside(issuer).is_empty(), Severity::Info, || "the name is empty".to_owned())
    },
};

pub(super) const DUPLICATE_EXTENSION: Rule = Rule {
    id: "cert.duplicate-extension",
    title: "Certificate has the same extension twice",
    citation: "RFC 5280, section 4.2",
    effective: RFC_2459,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Warning,
    check: |certificate, _| {
        let mut seen = Vec::new();
        let mut twice = Vec::new();
        for extension in &certificate.encodings.extensions {
            if seen.contains(&&extension.id) {
                twice.push(format!("{} more than once", title(&extension.id)));
            }
            seen.push(&extension.id);
        }
        fail_with(Severity::Warning, &twice)
    },
};

/// Extensions that must not be critical, with the section of RFC 5280 that says so.
const NEVER_CRITICAL: &[(&str, &str)] = &[
    ("2.5.29.35", "4.2.1.1"),
    ("2.5.29.14", "4.2.1.2"),
    ("2.5.29.9", "4.2.1.8"),
    ("2.5.29.46", "4.2.1.15"),
    ("1.3.6.1.5.5.7.1.1", "4.2.2.1"),
    ("1.3.6.1.5.5.7.1.11", "4.2.2.2"),
];

/// Extensions that must be critical.
const ALWAYS_CRITICAL: &[(&str, &str)] =
    &[(NAME_CONSTRAINTS, "4.2.1.10"), ("2.5.29.36", "4.2.1.11"), ("2.5.29.54", "4.2.1.14")];

pub(super) const CRITICAL: Rule = Rule {
    id: "cert.extension-critical",
    title: "Certificate marks an extension as critical that must not be",
    citation: "RFC 5280, sections 4.2.1.1, 4.2.1.2, 4.2.1.8, 4.2.1.15, 4.2.2.1 and 4.2.2.2",
    effective: RFC_2459,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Info,
    check: |certificate, _| criticality(certificate, NEVER_CRITICAL, true),
};

pub(super) const NOT_CRITICAL: Rule = Rule {
    id: "cert.extension-not-critical",
    title: "Certificate does not mark an extension as critical that must be",
    citation: "RFC 5280, sections 4.2.1.10, 4.2.1.11 and 4.2.1.14",
    effective: RFC_5280,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Info,
    check: |certificate, _| criticality(certificate, ALWAYS_CRITICAL, false),
};

fn criticality(certificate: &Certificate, table: &[(&str, &str)], wrong: bool) -> Verdict {
    let problems: Vec<String> = certificate
        .encodings
        .extensions
        .iter()
        .filter(|extension| extension.critical == wrong)
        .filter_map(|extension| table.iter().find(|(id, _)| *id == extension.id))
        .map(|(id, section)| format!("{} (section {section})", title(id)))
        .collect();
    note_all(&problems)
}

/// Extensions that a client of TLS knows how to heed.
const HEEDED: &[&str] = &[
    "2.5.29.14",
    "2.5.29.15",
    "2.5.29.17",
    "2.5.29.18",
    "2.5.29.19",
    "2.5.29.30",
    "2.5.29.31",
    "2.5.29.32",
    "2.5.29.33",
    "2.5.29.35",
    "2.5.29.36",
    "2.5.29.37",
    "2.5.29.54",
    "2.5.29.9",
    "2.5.29.46",
    "1.3.6.1.5.5.7.1.1",
    "1.3.6.1.5.5.7.1.11",
    PRECERTIFICATE_POISON,
];

const PRECERTIFICATE_POISON: &str = "1.3.6.1.4.1.11129.2.4.3";
const TIMESTAMPS: &str = "1.3.6.1.4.1.11129.2.4.2";

pub(super) const UNKNOWN_CRITICAL: Rule = Rule {
    id: "cert.unknown-critical-extension",
    title: "Certificate has a critical extension that clients do not know, so that they refuse it",
    citation: "RFC 5280, section 4.2",
    effective: None,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Warning,
    check: |certificate, _| {
        let problems: Vec<String> = certificate
            .encodings
            .extensions
            .iter()
            .filter(|extension| extension.critical && !HEEDED.contains(&extension.id.as_str()))
            .map(|extension| extension.id.clone())
            .collect();
        fail_with(Severity::Warning, &problems)
    },
};

pub(super) const PRECERTIFICATE: Rule = Rule {
    id: "cert.precertificate",
    title: "A precertificate is in use, which no client accepts",
    citation: "RFC 6962, section 3.1",
    effective: None,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Warning,
    check: |certificate, _| {
        let poison = certificate.encodings.extension(PRECERTIFICATE_POISON);
        fail_if(poison.is_some(), Severity::Warning, || {
            let with = certificate.encodings.extension(TIMESTAMPS).is_some();
            let more = if with { ", and signed timestamps, which it must not have" } else { "" };
            format!("it has the poison extension of Certificate Transparency{more}")
        })
    },
};

pub(super) const NO_TIMESTAMPS: Rule = Rule {
    id: "cert.empty-timestamp-list",
    title: "Certificate's list of signed certificate timestamps is empty",
    citation: "RFC 6962, section 3.3",
    effective: day(2013, 6, 1),
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Warning,
    check: |certificate, _| {
        let Some(list) = value(certificate, TIMESTAMPS) else { return Verdict::NotApplicable };
        // An OCTET STRING, then the list's length in two bytes.
        let inner = super::children(list);
        let bytes = inner.first().map_or(&[][..], |octets| octets.body);
        let empty = matches!(bytes, [] | [_] | [0, 0, ..]);
        fail_if(empty, Severity::Warning, || "it holds none".to_owned())
    },
};

/// Extensions whose list must have an element.
const NEVER_EMPTY: &[&str] = &[
    ALTERNATIVE_NAME,
    "2.5.29.18",
    PURPOSES,
    POLICIES,
    NAME_CONSTRAINTS,
    "2.5.29.36",
    "2.5.29.33",
    "2.5.29.31",
    "2.5.29.9",
    "2.5.29.46",
    "1.3.6.1.5.5.7.1.1",
    "1.3.6.1.5.5.7.1.11",
];

pub(super) const EMPTY_EXTENSION: Rule = Rule {
    id: "cert.extension-empty",
    title: "Certificate has an extension with nothing in it",
    citation: "RFC 5280, sections 4.2.1.4, 4.2.1.5, 4.2.1.6, 4.2.1.7, 4.2.1.8, 4.2.1.10, \
               4.2.1.11, 4.2.1.12, 4.2.1.13, 4.2.1.15, 4.2.2.1 and 4.2.2.2",
    effective: RFC_2459,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Info,
    check: |certificate, _| {
        let problems: Vec<String> = certificate
            .encodings
            .extensions
            .iter()
            .filter(|extension| {
                let whole = NEVER_EMPTY.contains(&extension.id.as_str());
                let subtrees = || inside(&extension.value).iter().any(|part| part.body.is_empty());
                whole && extension.value == [0x30, 0]
                    || extension.id == NAME_CONSTRAINTS && subtrees()
            })
            .map(|extension| title(&extension.id).to_owned())
            .collect();
        note_all(&problems)
    },
};

pub(super) const KEY_USAGE_EMPTY: Rule = Rule {
    id: "cert.key-usage-empty",
    title: "Certificate's key may be used for nothing",
    citation: "RFC 5280, section 4.2.1.3: at least one bit",
    effective: RFC_2459,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Warning,
    check: |certificate, _| {
        let Some(usage) = value(certificate, KEY_USAGE) else { return Verdict::NotApplicable };
        let bits = super::children(usage);
        let Some(bits) = bits.first().filter(|bits| bits.tag == der::BIT_STRING) else {
            return Verdict::NotApplicable;
        };
        let none = der::bit_string(bits.body).iter().all(|octet| *octet == 0);
        fail_if(none, Severity::Warning, || "no bit of its key usage is set".to_owned())
    },
};

/// What people call an extension.
pub(super) fn title(id: &str) -> &str {
    match id {
        "2.5.29.9" => "subjectDirectoryAttributes",
        "2.5.29.18" => "issuerAltName",
        "2.5.29.30" => "nameConstraints",
        "2.5.29.32" => "certificatePolicies",
        "2.5.29.33" => "policyMappings",
        "2.5.29.36" => "policyConstraints",
        "2.5.29.46" => "freshestCRL",
        "2.5.29.54" => "inhibitAnyPolicy",
        "1.3.6.1.5.5.7.1.11" => "subjectInfoAccess",
        other => crate::extension::title(other),
    }
}
