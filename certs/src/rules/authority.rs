//! Certificates that issue others, and those that pretend to.

use model::Severity;

use super::{ALTERNATIVE_NAME, About, Applies, BASELINE, BASIC_CONSTRAINTS, KEY_USAGE};
use super::{
    NAME_CONSTRAINTS, NAMED, PURPOSES, RFC_2459, RFC_5280, Rule, Trust, Verdict, children, fail_if,
};
use super::{inside, note_all, value};
use crate::{Certificate, der};

pub(super) const NO_SUBJECT: Rule = Rule {
    id: "cert.authority-no-subject",
    title: "Authority has no name, so that nothing can be traced to it",
    citation: "RFC 5280, section 4.1.2.6",
    effective: RFC_2459,
    applies: Applies::Always,
    about: About::Authority,
    severity: Severity::Warning,
    check: |certificate, _| {
        let subject = &certificate.encodings.subject;
        if subject.is_empty() {
            return Verdict::NotApplicable;
        }
        fail_if(inside(subject).is_empty(), Severity::Warning, || "its subject is empty".to_owned())
    },
};

pub(super) const CONSTRAINTS_NOT_CRITICAL: Rule = Rule {
    id: "cert.authority-constraints-not-critical",
    title: "Authority's basic constraints are not critical",
    citation: "RFC 5280, section 4.2.1.9",
    effective: RFC_2459,
    applies: Applies::Always,
    about: About::Authority,
    severity: Severity::Info,
    check: |certificate, _| match certificate.encodings.extension(BASIC_CONSTRAINTS) {
        None => Verdict::NotApplicable,
        Some(extension) => fail_if(!extension.critical, Severity::Info, || {
            "a client that does not know them would take a leaf for an authority".to_owned()
        }),
    },
};

pub(super) const NO_KEY_USAGE: Rule = Rule {
    id: "cert.authority-no-key-usage",
    title: "Authority does not say what its key is for",
    citation: "RFC 5280, section 4.2.1.3",
    effective: RFC_2459,
    applies: Applies::Always,
    about: About::Authority,
    severity: Severity::Info,
    check: |certificate, context| {
        let missing = certificate.encodings.extension(KEY_USAGE).is_none();
        // openssl makes such ones by default, and so does every device that made its own:
        // nobody else relies on it.
        if missing && certificate.self_signed.likely() && context.trust != Trust::Public {
            return Verdict::NotApplicable;
        }
        fail_if(missing, Severity::Info, || "it has no key usage".to_owned())
    },
};

pub(super) const KEY_USAGE_NOT_CRITICAL: Rule = Rule {
    id: "cert.authority-key-usage-not-critical",
    title: "Public authority's key usage is not critical",
    citation: "RFC 5280, section 4.2.1.3; CA/Browser Forum Baseline Requirements, section 7.1.2.10.7",
    effective: BASELINE,
    applies: Applies::PubliclyTrusted,
    about: About::Authority,
    severity: Severity::Info,
    check: |certificate, _| match certificate.encodings.extension(KEY_USAGE) {
        None => Verdict::NotApplicable,
        Some(extension) => fail_if(!extension.critical, Severity::Info, || "it must be".to_owned()),
    },
};

pub(super) const MAY_NOT_SIGN: Rule = Rule {
    id: "cert.authority-may-not-sign",
    title: "Authority's key may not sign certificates, so that clients refuse what it issued",
    citation: "RFC 5280, sections 4.2.1.3 and 6.1.4 (n)",
    effective: RFC_2459,
    applies: Applies::Always,
    about: About::Authority,
    severity: Severity::Warning,
    check: |certificate, _| {
        if certificate.encodings.extension(KEY_USAGE).is_none() {
            return Verdict::NotApplicable;
        }
        fail_if(!allows(certificate, "keyCertSign"), Severity::Warning, || usages(certificate))
    },
};

pub(super) const MAY_NOT_REVOKE: Rule = Rule {
    id: "cert.authority-may-not-revoke",
    title: "Public authority's key may not sign revocation lists",
    citation: "CA/Browser Forum Baseline Requirements, section 7.1.2.10.7",
    effective: BASELINE,
    applies: Applies::PubliclyTrusted,
    about: About::Authority,
    severity: Severity::Info,
    check: |certificate, _| {
        if certificate.encodings.extension(KEY_USAGE).is_none() {
            return Verdict::NotApplicable;
        }
        fail_if(!allows(certificate, "cRLSign"), Severity::Info, || usages(certificate))
    },
};

fn allows(certificate: &Certificate, usage: &str) -> bool {
    certificate.key_usage.iter().any(|allowed| allowed == usage)
}

fn usages(certificate: &Certificate) -> String {
    match certificate.key_usage.join(", ") {
        none if none.is_empty() => "its key may be used for nothing".to_owned(),
        usages => format!("its key may be used for {usages} only"),
    }
}

pub(super) const NO_KEY_ID: Rule = Rule {
    id: "cert.authority-no-key-id",
    title: "Authority has no key identifier by which a chain finds it",
    citation: "RFC 5280, section 4.2.1.2",
    effective: RFC_2459,
    applies: Applies::Always,
    about: About::Authority,
    severity: Severity::Info,
    check: |certificate, _| {
        if certificate.version != Some(3) {
            return Verdict::NotApplicable;
        }
        let missing = certificate.encodings.extension("2.5.29.14").is_none();
        fail_if(missing, Severity::Info, || "it has no subject key identifier".to_owned())
    },
};

pub(super) const NO_ISSUER_KEY_ID: Rule = Rule {
    id: "cert.no-issuer-key-id",
    title: "Public certificate does not say which key signed it",
    citation: "RFC 5280, section 4.2.1.1; CA/Browser Forum Baseline Requirements, section 7.1.2.11.1",
    effective: RFC_2459,
    applies: Applies::PubliclyTrusted,
    about: About::Any,
    severity: Severity::Info,
    check: |certificate, _| {
        if certificate.self_signed.likely() || certificate.version != Some(3) {
            return Verdict::NotApplicable;
        }
        fail_if(certificate.authority_key_id.is_none(), Severity::Info, || {
            "it has no authority key identifier with a key's".to_owned()
        })
    },
};

pub(super) const SIGNS_WITHOUT_BEING: Rule = Rule {
    id: "cert.signs-without-being-authority",
    title: "Certificate's key may sign certificates though it is no authority",
    citation: "RFC 5280, section 4.2.1.9",
    effective: RFC_2459,
    applies: Applies::Always,
    about: About::Leaf,
    severity: Severity::Info,
    check: |certificate, _| {
        if certificate.encodings.extension(KEY_USAGE).is_none() {
            return Verdict::NotApplicable;
        }
        fail_if(allows(certificate, "keyCertSign"), Severity::Info, || {
            format!("its key usage is {}", certificate.key_usage.join(", "))
        })
    },
};

pub(super) const SERVER_MAY_ISSUE: Rule = Rule {
    id: "cert.server-may-issue",
    title: "A server's certificate may issue others: whoever takes its key can be anybody",
    citation: "CA/Browser Forum Baseline Requirements, section 7.1.2.7.8; RFC 5280, section 4.2.1.9",
    effective: None,
    applies: Applies::Always,
    about: About::Authority,
    severity: Severity::Warning,
    check: |certificate, _| {
        // A device's own certificate is its own root; that is another matter.
        if certificate.self_signed.likely() {
            return Verdict::NotApplicable;
        }
        let serves = certificate.extended_key_usage.iter().any(|purpose| purpose == "serverAuth");
        let named = certificate.encodings.extension(ALTERNATIVE_NAME).is_some();
        fail_if(serves && named, Severity::Warning, || {
            let named: Vec<_> = certificate.names.iter().take(NAMED).cloned().collect();
            format!("it is an authority and names {}", named.join(", "))
        })
    },
};

pub(super) const PATH_LENGTH: Rule = Rule {
    id: "cert.path-length",
    title: "Certificate limits a path that it cannot begin, or by less than nothing",
    citation: "RFC 5280, section 4.2.1.9",
    effective: RFC_2459,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Info,
    check: |certificate, _| {
        let Some(constraints) = value(certificate, BASIC_CONSTRAINTS) else {
            return Verdict::NotApplicable;
        };
        let fields = inside(constraints);
        let limit = fields.iter().find(|field| field.tag == der::INTEGER);
        let Some(limit) = limit else { return Verdict::Pass };
        let negative = limit.body.first().is_some_and(|octet| octet & 0x80 != 0);
        let signs = certificate.is_ca && allows(certificate, "keyCertSign");
        let mut problems = Vec::new();
        if negative {
            problems.push("the limit is negative".to_owned());
        }
        if !signs {
            problems.push("it may not issue certificates".to_owned());
        }
        note_all(&problems)
    },
};

pub(super) const CONSTRAINTS_ON_LEAF: Rule = Rule {
    id: "cert.name-constraints-on-leaf",
    title: "Certificate constrains names though it issues none",
    citation: "RFC 5280, section 4.2.1.10",
    effective: RFC_2459,
    applies: Applies::Always,
    about: About::Leaf,
    severity: Severity::Info,
    check: |certificate, _| {
        let there = certificate.encodings.extension(NAME_CONSTRAINTS).is_some();
        fail_if(there, Severity::Info, || "it has name constraints and is no authority".to_owned())
    },
};

pub(super) const CONSTRAINTS_RANGE: Rule = Rule {
    id: "cert.name-constraints-range",
    title: "Authority's name constraints have a minimum or maximum, which no client heeds",
    citation: "RFC 5280, section 4.2.1.10",
    effective: RFC_2459,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Info,
    check: |certificate, _| {
        let Some(constraints) = value(certificate, NAME_CONSTRAINTS) else {
            return Verdict::NotApplicable;
        };
        let mut problems = Vec::new();
        for subtrees in inside(constraints) {
            for subtree in children(subtrees.body) {
                for field in children(subtree.body).into_iter().skip(1) {
                    match (field.tag, field.body) {
                        (0x80, [0]) => {}
                        (0x80, _) => problems.push("a minimum other than 0".to_owned()),
                        (0x81, _) => problems.push("a maximum".to_owned()),
                        _ => {}
                    }
                }
            }
        }
        note_all(&problems)
    },
};

pub(super) const MAPS_ANY_POLICY: Rule = Rule {
    id: "cert.maps-any-policy",
    title: "Authority maps the policy that stands for all policies",
    citation: "RFC 5280, section 4.2.1.5",
    effective: RFC_5280,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Info,
    check: |certificate, _| {
        let Some(mappings) = value(certificate, "2.5.29.33") else { return Verdict::NotApplicable };
        let any = inside(mappings).iter().any(|pair| {
            children(pair.body).iter().any(|policy| der::oid_text(policy.body) == "2.5.29.32.0")
        });
        fail_if(any, Severity::Info, || "it maps anyPolicy".to_owned())
    },
};

pub(super) const ROOT_PURPOSES: Rule = Rule {
    id: "cert.root-purposes",
    title: "Public root is limited to purposes",
    citation: "CA/Browser Forum Baseline Requirements, section 7.1.2.1.2",
    effective: BASELINE,
    applies: Applies::PubliclyTrusted,
    about: About::Authority,
    severity: Severity::Info,
    check: |certificate, _| {
        if certificate.subject != certificate.issuer {
            return Verdict::NotApplicable;
        }
        let there = certificate.encodings.extension(PURPOSES).is_some();
        fail_if(there, Severity::Info, || certificate.extended_key_usage.join(", "))
    },
};
