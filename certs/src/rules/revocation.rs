//! Where a certificate says that more about it is to be found: revocation, issuers, policies.

use model::Severity;

use super::{About, Applies, BASELINE, Context, DAY, POLICIES, PROFILES, RFC_2459, Rule, Verdict};
use super::{children, fail_if, inside, is_uri, note_all, start_of, validity, value};
use crate::{Certificate, der, name};

const ACCESS: &str = "1.3.6.1.5.5.7.1.1";
const POINTS: &str = "2.5.29.31";
const OCSP: &str = "1.3.6.1.5.5.7.48.1";
const ISSUERS: &str = "1.3.6.1.5.5.7.48.2";

pub(super) const NO_SOURCE: Rule = Rule {
    id: "cert.no-revocation-source",
    title: "Public certificate cannot be revoked: it names neither a list nor a responder",
    citation: "CA/Browser Forum Baseline Requirements, section 7.1.2.11.2 (ballot SC-063)",
    effective: BASELINE,
    applies: Applies::PubliclyTrusted,
    about: About::Server,
    severity: Severity::Warning,
    check: |certificate, _| {
        let (Some(first), Some(lifetime)) = (certificate.not_before, certificate.lifetime()) else {
            return Verdict::NotApplicable;
        };
        // So short that it ends sooner than its revocation would be known.
        let later = validity::SINCE_2026.and_then(start_of).is_some_and(|start| first >= start);
        let short = if later { 7 * DAY } else { 10 * DAY };
        if lifetime <= short {
            return Verdict::NotApplicable;
        }
        let none = certificate.crl_urls.is_empty() && certificate.ocsp_urls.is_empty();
        fail_if(none, Severity::Warning, || {
            "it has no address of a revocation list and none of an OCSP responder".to_owned()
        })
    },
};

pub(super) const LIST_ADDRESS: Rule = Rule {
    id: "cert.revocation-list-address",
    title: "Public certificate's revocation list is not to be had over HTTP",
    citation: "CA/Browser Forum Baseline Requirements, section 7.1.2.11.2",
    effective: PROFILES,
    applies: Applies::PubliclyTrusted,
    about: About::Any,
    severity: Severity::Info,
    check: |certificate, _| {
        let Some(points) = value(certificate, POINTS) else { return Verdict::NotApplicable };
        let problems: Vec<String> = points_of(points)
            .into_iter()
            .filter(|name| !is_uri(name, "http://"))
            .map(|name| told(&name))
            .collect();
        note_all(&problems)
    },
};

/// The names in the distribution points of an extension's value.
fn points_of(value: &[u8]) -> Vec<der::Element<'_>> {
    let mut names = Vec::new();
    for point in inside(value) {
        for field in children(point.body).into_iter().filter(|field| field.tag == 0xa0) {
            for full in children(field.body).into_iter().filter(|full| full.tag == 0xa0) {
                names.extend(children(full.body));
            }
        }
    }
    names
}

pub(super) const POINT: Rule = Rule {
    id: "cert.distribution-point-incomplete",
    title: "Certificate's distribution point says neither where nor whose the list is",
    citation: "RFC 5280, section 4.2.1.13",
    effective: RFC_2459,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Info,
    check: |certificate, _| {
        let Some(points) = value(certificate, POINTS) else { return Verdict::NotApplicable };
        let lacks = inside(points).iter().any(|point| {
            !children(point.body).iter().any(|field| matches!(field.tag, 0xa0 | 0xa2))
        });
        fail_if(lacks, Severity::Info, || "it has reasons alone, or nothing".to_owned())
    },
};

/// The descriptions of an authority's information access: method and location.
fn accesses(certificate: &Certificate) -> Vec<(String, der::Element<'_>)> {
    let descriptions = value(certificate, ACCESS).map_or_else(Vec::new, inside);
    let read = |description: &der::Element<'_>| -> Option<(Vec<u8>, usize)> {
        let parts = children(description.body);
        let method = parts.first().filter(|method| method.tag == der::OID)?;
        Some((method.body.to_vec(), parts.len()))
    };
    descriptions
        .into_iter()
        .filter_map(|description| {
            let (method, _) = read(&description)?;
            let mut parts = children(description.body).into_iter();
            Some((der::oid_text(&method), parts.nth(1)?))
        })
        .collect()
}

fn told(name: &der::Element<'_>) -> String {
    match name.tag {
        0x86 => format!("{:?}", name::visible(&String::from_utf8_lossy(name.body))),
        other => format!("a name of kind {}", other & 0x1f),
    }
}

const fn access(
    id: &'static str,
    title: &'static str,
    check: fn(&Certificate, &Context) -> Verdict,
) -> Rule {
    Rule {
        id,
        title,
        citation: "CA/Browser Forum Baseline Requirements, section 7.1.2.7.7; RFC 5280, section \
                   4.2.2.1",
        effective: PROFILES,
        applies: Applies::PubliclyTrusted,
        about: About::Leaf,
        severity: Severity::Info,
        check,
    }
}

pub(super) const RESPONDER_ADDRESS: Rule = access(
    "cert.responder-address",
    "Public certificate's OCSP responder is not to be asked over HTTP",
    |certificate, _| not_http(certificate, OCSP),
);

pub(super) const ISSUER_ADDRESS: Rule = access(
    "cert.issuer-address",
    "Public certificate's issuer is not to be had over HTTP",
    |certificate, _| not_http(certificate, ISSUERS),
);

fn not_http(certificate: &Certificate, method: &str) -> Verdict {
    let all = accesses(certificate);
    let asked: Vec<_> = all.iter().filter(|(of, _)| of == method).collect();
    if asked.is_empty() {
        return Verdict::NotApplicable;
    }
    let wrong = asked.iter().filter(|(_, location)| !is_uri(location, "http://"));
    note_all(&wrong.map(|(_, location)| told(location)).collect::<Vec<_>>())
}

pub(super) const ACCESS_METHOD: Rule = access(
    "cert.access-method",
    "Public certificate offers access in a way that is not allowed there",
    |certificate, _| {
        let all = accesses(certificate);
        if all.is_empty() {
            return Verdict::NotApplicable;
        }
        let wrong = all.iter().filter_map(|(method, location)| {
            if method != OCSP && method != ISSUERS {
                return Some(format!("the method {method}"));
            }
            (location.tag != 0x86).then(|| told(location))
        });
        note_all(&wrong.collect::<Vec<_>>())
    },
);

pub(super) const ACCESS_TWICE: Rule = access(
    "cert.access-twice",
    "Public certificate offers the same access twice",
    |certificate, _| {
        let all = accesses(certificate);
        if all.is_empty() {
            return Verdict::NotApplicable;
        }
        let mut seen = Vec::new();
        let mut twice = Vec::new();
        for (method, location) in all.iter().take(256) {
            if seen.contains(&(method, location.whole)) {
                twice.push(told(location));
            }
            seen.push((method, location.whole));
        }
        note_all(&twice)
    },
);

pub(super) const NO_POLICIES: Rule = Rule {
    id: "cert.public-no-policies",
    title: "Public certificate does not say under which policy it was issued",
    citation: "CA/Browser Forum Baseline Requirements, section 7.1.2.7.9",
    effective: BASELINE,
    applies: Applies::PubliclyTrusted,
    about: About::Server,
    severity: Severity::Info,
    check: |certificate, _| {
        let none = value(certificate, POLICIES).is_none();
        fail_if(none, Severity::Info, || "it has no certificate policies".to_owned())
    },
};

pub(super) const POLICY_TWICE: Rule = Rule {
    id: "cert.policy-twice",
    title: "Certificate names the same policy twice",
    citation: "RFC 5280, section 4.2.1.4",
    effective: super::RFC_5280,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Info,
    check: |certificate, _| {
        let Some(policies) = value(certificate, POLICIES) else { return Verdict::NotApplicable };
        let mut seen = Vec::new();
        let mut twice = Vec::new();
        for policy in inside(policies).into_iter().take(256) {
            let Some(id) = children(policy.body).first().map(|id| id.body.to_vec()) else {
                continue;
            };
            if seen.contains(&id) {
                twice.push(der::oid_text(&id));
            }
            seen.push(id);
        }
        note_all(&twice)
    },
};
