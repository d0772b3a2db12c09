//! What the key of a leaf may be used for.

use model::Severity;

use super::{About, Applies, BASELINE, KEY_USAGE, PURPOSES, Rule, Verdict, day, fail_if};
use super::{PROFILES, RFC_5280, note_all};
use crate::KeyKind;

pub(super) const PUBLIC_SIGNS: Rule = Rule {
    id: "cert.public-leaf-signs",
    title: "Public server certificate may sign certificates or revocation lists",
    citation: "CA/Browser Forum Baseline Requirements, section 7.1.2.7.11",
    effective: BASELINE,
    applies: Applies::PubliclyTrusted,
    about: About::Server,
    severity: Severity::Warning,
    check: |certificate, _| {
        if certificate.encodings.extension(KEY_USAGE).is_none() {
            return Verdict::NotApplicable;
        }
        let wrong = |usage: &&String| matches!(usage.as_str(), "keyCertSign" | "cRLSign");
        let found: Vec<String> = certificate.key_usage.iter().filter(wrong).cloned().collect();
        super::fail_with(Severity::Warning, &found)
    },
};

pub(super) const NO_PURPOSE: Rule = Rule {
    id: "cert.public-no-purpose",
    title: "Public certificate does not say what it is for",
    citation: "CA/Browser Forum Baseline Requirements, section 7.1.2.7.10",
    effective: BASELINE,
    applies: Applies::PubliclyTrusted,
    about: About::Leaf,
    severity: Severity::Info,
    check: |certificate, _| {
        let missing = certificate.encodings.extension(PURPOSES).is_none();
        fail_if(missing, Severity::Info, || "it has no extended key usage".to_owned())
    },
};

pub(super) const OTHER_PURPOSES: Rule = Rule {
    id: "cert.public-other-purposes",
    title: "Public server certificate is for other purposes as well",
    citation: "CA/Browser Forum Baseline Requirements, section 7.1.2.7.10",
    effective: BASELINE,
    applies: Applies::PubliclyTrusted,
    about: About::Server,
    severity: Severity::Info,
    check: |certificate, _| {
        let usual = |p: &str| matches!(p, "serverAuth" | "clientAuth" | "emailProtection");
        let other: Vec<String> =
            certificate.extended_key_usage.iter().filter(|p| !usual(p)).cloned().collect();
        note_all(&other)
    },
};

pub(super) const CLIENTS: Rule = Rule {
    id: "cert.public-for-clients",
    title: "Public certificate is for clients too, which public authorities stop to issue",
    citation: "Chrome Root Program Policy, section on dedicated TLS server hierarchies",
    effective: day(2026, 6, 15),
    applies: Applies::PubliclyTrusted,
    about: About::Server,
    severity: Severity::Info,
    check: |certificate, _| {
        let found = certificate.extended_key_usage.iter().any(|purpose| purpose == "clientAuth");
        fail_if(found, Severity::Info, || {
            "where it identifies a client, its successor will not".to_owned()
        })
    },
};

pub(super) const CRITICAL_ANY: Rule = Rule {
    id: "cert.purpose-any-critical",
    title: "Certificate is for any purpose and says so critically",
    citation: "RFC 5280, section 4.2.1.12",
    effective: RFC_5280,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Info,
    check: |certificate, _| {
        let Some(extension) = certificate.encodings.extension(PURPOSES) else {
            return Verdict::NotApplicable;
        };
        let any = certificate.extended_key_usage.iter().any(|p| p == "anyExtendedKeyUsage");
        fail_if(any && extension.critical, Severity::Info, || {
            "whoever wants a certain purpose may refuse it".to_owned()
        })
    },
};

pub(super) const CRITICAL: Rule = Rule {
    id: "cert.public-purposes-critical",
    title: "Public server certificate's purposes are critical",
    citation: "CA/Browser Forum Baseline Requirements, section 7.1.2.7.6",
    effective: PROFILES,
    applies: Applies::PubliclyTrusted,
    about: About::Server,
    severity: Severity::Info,
    check: |certificate, _| match certificate.encodings.extension(PURPOSES) {
        None => Verdict::NotApplicable,
        Some(extension) => {
            fail_if(extension.critical, Severity::Info, || "they must not be".to_owned())
        }
    },
};

pub(super) const UNFIT: Rule = Rule {
    id: "cert.key-usage-unfit",
    title: "Certificate wants of its key what such a key cannot do",
    citation: "RFC 5480 and RFC 8813, section 3 (elliptic curves); RFC 9295, section 3 (Edwards); \
               RFC 9881 (ML-DSA)",
    effective: day(2009, 3, 1),
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Info,
    check: |certificate, _| {
        if certificate.encodings.extension(KEY_USAGE).is_none() {
            return Verdict::NotApplicable;
        }
        let key = certificate.key.algorithm.as_str();
        let unfit: &[&str] = match (certificate.key.kind, key) {
            (KeyKind::Ec, "EC") => &["keyEncipherment", "dataEncipherment"],
            (KeyKind::Edwards, "Ed25519" | "Ed448") => {
                &["keyEncipherment", "dataEncipherment", "keyAgreement"]
            }
            (KeyKind::PostQuantum, _) if !key.starts_with("ML-KEM") => {
                &["keyEncipherment", "dataEncipherment", "keyAgreement"]
            }
            (KeyKind::Edwards, "X25519" | "X448") => {
                &["digitalSignature", "nonRepudiation", "keyCertSign", "cRLSign"]
            }
            _ => return Verdict::NotApplicable,
        };
        let usages = certificate.key_usage.iter().filter(|usage| unfit.contains(&usage.as_str()));
        let problems: Vec<String> = usages.map(|usage| format!("{usage} with {key}")).collect();
        note_all(&problems)
    },
};
