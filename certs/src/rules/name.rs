//! The names of servers in a certificate.

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use model::Severity;

use super::{ALTERNATIVE_NAME, About, Applies, BASELINE, RFC_2459, Rule, Verdict};
use super::{alternative_names, day, dns_names, fail_if, fail_with, inside, note_all};
use crate::{Certificate, der, name};

pub(super) const NONE: Rule = Rule {
    id: "cert.no-alternative-names",
    title: "Certificate names no server where clients look",
    citation: "RFC 9525, section 6; CA/Browser Forum Baseline Requirements, section 7.1.2.7.12",
    effective: BASELINE,
    applies: Applies::Always,
    about: About::Server,
    severity: Severity::Warning,
    check: |certificate, context| {
        // One that has no extensions at all has a rule of its own.
        if certificate.version != Some(3) {
            return Verdict::NotApplicable;
        }
        let missing = certificate.encodings.extension(ALTERNATIVE_NAME).is_none();
        // In a private network it may have been so for years: the clients there know it.
        let public = context.trust == super::Trust::Public;
        let severity = if public { Severity::Warning } else { Severity::Info };
        fail_if(missing, severity, || {
            "it has no subject alternative name, and clients no longer read the common name"
                .to_owned()
        })
    },
};

pub(super) const NO_SUBJECT: Rule = Rule {
    id: "cert.no-subject",
    title: "Certificate names nobody at all",
    citation: "RFC 5280, section 4.1.2.6",
    effective: RFC_2459,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Info,
    check: |certificate, _| match subject_is_empty(certificate) {
        None => Verdict::NotApplicable,
        Some(empty) => {
            let none = empty && certificate.encodings.extension(ALTERNATIVE_NAME).is_none();
            fail_if(none, Severity::Info, || {
                "its subject is empty and it has no alternative name".to_owned()
            })
        }
    },
};

pub(super) const NOT_CRITICAL: Rule = Rule {
    id: "cert.names-not-critical",
    title: "Certificate's names are all it has, and are not critical",
    citation: "RFC 5280, section 4.2.1.6",
    effective: RFC_2459,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Info,
    check: |certificate, _| {
        let (Some(extension), Some(empty)) =
            (certificate.encodings.extension(ALTERNATIVE_NAME), subject_is_empty(certificate))
        else {
            return Verdict::NotApplicable;
        };
        fail_if(empty && !extension.critical, Severity::Info, || {
            "its subject is empty, so the alternative name must be critical".to_owned()
        })
    },
};

fn subject_is_empty(certificate: &Certificate) -> Option<bool> {
    let subject = &certificate.encodings.subject;
    (!subject.is_empty()).then(|| inside(subject).is_empty())
}

/// A rule that looks at each DNS name and says what is wrong with it.
fn each(
    certificate: &Certificate,
    severity: Severity,
    problem: impl Fn(&str) -> Option<&'static str>,
) -> Verdict {
    let names = dns_names(certificate);
    if names.is_empty() {
        return Verdict::NotApplicable;
    }
    let problems: Vec<String> = names
        .iter()
        .filter_map(|name| Some(format!("{:?} {}", name::visible(name), problem(name)?)))
        .collect();
    fail_with(severity, &problems)
}

pub(super) const EMPTY: Rule = Rule {
    id: "cert.name-empty",
    title: "Certificate has an empty name",
    citation: "RFC 5280, section 4.2.1.6",
    effective: RFC_2459,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Info,
    check: |certificate, _| {
        let names = alternative_names(certificate);
        if names.is_empty() {
            return Verdict::NotApplicable;
        }
        let empty = names.iter().any(|name| name.body.is_empty());
        fail_if(empty, Severity::Info, || "one of its alternative names is empty".to_owned())
    },
};

pub(super) const NUL: Rule = Rule {
    id: "cert.name-nul",
    title: "Certificate hides a name behind a NUL",
    citation: "RFC 5280, section 4.2.1.6; CVE-2009-2408",
    effective: None,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Critical,
    check: |certificate, _| {
        each(certificate, Severity::Critical, |name| {
            name.contains('\0').then_some("has a NUL in it, at which some clients stop to read")
        })
    },
};

pub(super) const CHARACTERS: Rule = Rule {
    id: "cert.name-characters",
    title: "Certificate has a DNS name with characters that no host name has",
    citation: "RFC 5280, section 4.2.1.6; RFC 1034, section 3.5; RFC 1123, section 2.1",
    effective: RFC_2459,
    applies: Applies::Always,
    about: About::Named,
    severity: Severity::Info,
    check: |certificate, _| {
        each(certificate, Severity::Info, |name| {
            // The underscore, the star and the NUL have rules of their own.
            let odd =
                |c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '.' | '_' | '*' | '\0');
            match name.chars().find(|c| odd(*c))? {
                ' ' => Some("has a space in it"),
                c if !c.is_ascii() => Some("is not written in ASCII"),
                _ => Some("has a character that no host name has"),
            }
        })
    },
};

pub(super) const UNDERSCORE: Rule = Rule {
    id: "cert.name-underscore",
    title: "Public certificate has a DNS name with an underscore",
    citation: "CA/Browser Forum Baseline Requirements, section 7.1.2.7.12 (ballot SC-012)",
    effective: day(2019, 4, 1),
    applies: Applies::PubliclyTrusted,
    about: About::Named,
    severity: Severity::Info,
    check: |certificate, _| {
        each(certificate, Severity::Info, |name| name.contains('_').then_some("has an underscore"))
    },
};

pub(super) const WILDCARD: Rule = Rule {
    id: "cert.name-wildcard",
    title: "Certificate has a wildcard that matches nothing",
    citation: "RFC 9525, section 6.3; CA/Browser Forum Baseline Requirements, section 1.6.1 \
               (wildcard domain name)",
    effective: None,
    applies: Applies::Always,
    about: About::Named,
    severity: Severity::Info,
    check: |certificate, _| {
        each(certificate, Severity::Info, |name| {
            let rest = name.strip_prefix("*.").unwrap_or(name);
            match name {
                "*" | "*." => Some("stands for every name there is"),
                _ if rest.contains('*') => Some("has a star that is not its whole first label"),
                _ => None,
            }
        })
    },
};

pub(super) const LABELS: Rule = Rule {
    id: "cert.name-labels",
    title: "Certificate has a DNS name with an empty label",
    citation: "RFC 5280, section 4.2.1.6; RFC 1034, section 3.5",
    effective: RFC_2459,
    applies: Applies::Always,
    about: About::Named,
    severity: Severity::Info,
    check: |certificate, _| {
        each(certificate, Severity::Info, |name| {
            if name.starts_with('.') {
                return Some("starts with a period");
            }
            let inner = name.strip_suffix('.').unwrap_or(name);
            (!name.is_empty() && inner.split('.').any(str::is_empty))
                .then_some("has an empty label")
        })
    },
};

pub(super) const LENGTH: Rule = Rule {
    id: "cert.name-length",
    title: "Certificate has a DNS name that is too long to be asked for",
    citation: "RFC 1034, section 3.1: 63 bytes a label, 253 in all",
    effective: RFC_2459,
    applies: Applies::Always,
    about: About::Named,
    severity: Severity::Info,
    check: |certificate, _| {
        each(certificate, Severity::Info, |name| {
            if name.len() > 253 {
                return Some("is longer than 253 bytes");
            }
            name.split('.').any(|label| label.len() > 63).then_some("has a label above 63 bytes")
        })
    },
};

pub(super) const HYPHEN: Rule = Rule {
    id: "cert.name-hyphen",
    title: "Certificate has a DNS name of which a label starts or ends with a hyphen",
    citation: "RFC 1034, section 3.5; RFC 1123, section 2.1",
    effective: RFC_2459,
    applies: Applies::Always,
    about: About::Named,
    severity: Severity::Info,
    check: |certificate, _| {
        each(certificate, Severity::Info, |name| {
            let bad = |label: &str| label.starts_with('-') || label.ends_with('-');
            name.split('.').any(bad).then_some("has a label with a hyphen at its edge")
        })
    },
};

pub(super) const RESERVED_LABEL: Rule = Rule {
    id: "cert.name-reserved-label",
    title: "Public certificate has a DNS name with a reserved label",
    citation: "CA/Browser Forum Baseline Requirements, section 7.1.2.7.12; RFC 5890, section 2.3.1",
    effective: day(2021, 10, 1),
    applies: Applies::PubliclyTrusted,
    about: About::Named,
    severity: Severity::Info,
    check: |certificate, _| {
        each(certificate, Severity::Info, |name| {
            let reserved = |label: &str| {
                label.get(2..4) == Some("--")
                    && !label.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("xn"))
            };
            name.split('.').any(reserved).then_some("has hyphens where only xn-- has them")
        })
    },
};

pub(super) const ADDRESS_AS_NAME: Rule = Rule {
    id: "cert.address-as-name",
    title: "Certificate writes an address as a DNS name, where no client looks for it",
    citation: "RFC 5280, section 4.2.1.6 (iPAddress); RFC 9525, section 6.2",
    effective: None,
    applies: Applies::Always,
    about: About::Named,
    severity: Severity::Info,
    check: |certificate, _| {
        each(certificate, Severity::Info, |name| {
            name.parse::<IpAddr>().is_ok().then_some("is an address")
        })
    },
};

pub(super) const ADDRESS_SIZE: Rule = Rule {
    id: "cert.address-size",
    title: "Certificate has an address that is neither of 4 nor of 16 bytes",
    citation: "RFC 5280, section 4.2.1.6",
    effective: RFC_2459,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Info,
    check: |certificate, _| {
        let problems: Vec<String> = alternative_names(certificate)
            .iter()
            .filter(|name| name.tag == 0x87 && !matches!(name.body.len(), 4 | 16))
            .map(|name| format!("an address of {} bytes", name.body.len()))
            .collect();
        note_all(&problems)
    },
};

pub(super) const INTERNAL: Rule = Rule {
    id: "cert.internal-name",
    title: "Public certificate has a name that is nobody's",
    citation: "CA/Browser Forum Baseline Requirements, sections 1.6.1 (internal name) and 4.2.2",
    effective: day(2015, 11, 1),
    applies: Applies::PubliclyTrusted,
    about: About::Named,
    severity: Severity::Warning,
    check: |certificate, _| {
        each(certificate, Severity::Warning, |name| {
            let name = name.strip_suffix('.').unwrap_or(name);
            let (_, last) = name.rsplit_once('.').unwrap_or(("", name));
            let special = ["local", "localhost", "internal", "invalid", "test", "example"];
            if name.parse::<IpAddr>().is_ok() || name.is_empty() {
                return None;
            }
            if !name.contains('.') {
                return Some("is a single label");
            }
            special
                .iter()
                .any(|s| last.eq_ignore_ascii_case(s))
                .then_some("is in a reserved domain")
        })
    },
};

pub(super) const RESERVED_ADDRESS: Rule = Rule {
    id: "cert.reserved-address",
    title: "Public certificate has an address that is nobody's",
    citation: "CA/Browser Forum Baseline Requirements, sections 4.2.2 and 7.1.2.7.12; RFC 6890",
    effective: day(2015, 11, 1),
    applies: Applies::PubliclyTrusted,
    about: About::Any,
    severity: Severity::Warning,
    check: |certificate, _| {
        let names = alternative_names(certificate);
        let written = names.iter().filter(|name| name.tag == 0x87).filter_map(|name| {
            let v4 = <[u8; 4]>::try_from(name.body).map(|octets| IpAddr::V4(octets.into()));
            v4.or_else(|_| <[u8; 16]>::try_from(name.body).map(|octets| IpAddr::V6(octets.into())))
                .ok()
        });
        let common = common_names(certificate);
        let problems: Vec<String> = written
            .chain(common.iter().filter_map(|name| name.parse().ok()))
            .filter(is_reserved)
            .map(|address| format!("{address} is reserved"))
            .collect();
        fail_with(Severity::Warning, &problems)
    },
};

/// Whether an address is in a block that is not globally reachable (the special-purpose
/// registries of RFC 6890) or is multicast.
fn is_reserved(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let within = |network: Ipv4Addr, bits: u32| {
                let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits)).unwrap_or(0);
                address.to_bits() & mask == network.to_bits()
            };
            address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_documentation()
                || within(Ipv4Addr::UNSPECIFIED, 8)
                || within(Ipv4Addr::new(100, 64, 0, 0), 10)
                || within(Ipv4Addr::new(192, 0, 0, 0), 24)
                || within(Ipv4Addr::new(198, 18, 0, 0), 15)
                || address.octets().first().is_some_and(|first| *first >= 224)
        }
        // All that is allocated to the world is inside 2000::/3, but for documentation.
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            bits >> 125 != 1
                || bits >> 96 == Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0).to_bits() >> 96
        }
    }
}

pub(super) const KIND: Rule = Rule {
    id: "cert.name-kind",
    title: "Public certificate has names of a kind that is not allowed there",
    citation: "CA/Browser Forum Baseline Requirements, section 7.1.2.7.12: dNSName and iPAddress",
    effective: BASELINE,
    applies: Applies::PubliclyTrusted,
    about: About::Named,
    severity: Severity::Info,
    check: |certificate, _| {
        let names = alternative_names(certificate);
        if names.is_empty() {
            return Verdict::NotApplicable;
        }
        let problems: Vec<String> = names
            .iter()
            .filter_map(|name| match name.tag & 0x1f {
                2 | 7 => None,
                0 => Some("an otherName"),
                1 => Some("an rfc822Name"),
                3 => Some("an x400Address"),
                4 => Some("a directoryName"),
                5 => Some("an ediPartyName"),
                6 => Some("a uniformResourceIdentifier"),
                8 => Some("a registeredID"),
                _ => Some("a kind that does not exist"),
            })
            .map(str::to_owned)
            .collect();
        note_all(&problems)
    },
};

pub(super) const COMMON: Rule = Rule {
    id: "cert.common-name-not-among-names",
    title: "Public certificate's common name is not one of its names",
    citation: "CA/Browser Forum Baseline Requirements, section 7.1.4.3",
    effective: BASELINE,
    applies: Applies::PubliclyTrusted,
    about: About::Server,
    severity: Severity::Info,
    check: |certificate, _| {
        let commons = common_names(certificate);
        if commons.is_empty() {
            return Verdict::NotApplicable;
        }
        // A set, since a stranger may have written thousands of both.
        let names: HashSet<String> =
            certificate.names.iter().map(|name| name.to_ascii_lowercase()).collect();
        let none = certificate.encodings.extension(ALTERNATIVE_NAME).is_none();
        let problems: Vec<String> = commons
            .iter()
            // Addresses are compared as text: one is to be written in one way only.
            .filter(|common| none || !names.contains(&common.to_ascii_lowercase()))
            .map(|common| format!("{:?}", name::visible(common)))
            .collect();
        note_all(&problems)
    },
};

/// The subject's common names.
fn common_names(certificate: &Certificate) -> Vec<String> {
    let attributes = super::subject::attributes(&certificate.encodings.subject);
    let common = attributes.into_iter().filter(|attribute| attribute.id == "2.5.4.3");
    common.filter_map(|attribute| attribute.text).collect()
}

pub(super) const URI: Rule = Rule {
    id: "cert.uri-name",
    title: "Certificate has a URI as a name that is none",
    citation: "RFC 5280, section 4.2.1.6: absolute, with a scheme, in ASCII",
    effective: RFC_2459,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Info,
    check: |certificate, _| {
        let names = alternative_names(certificate);
        let uris: Vec<&der::Element<'_>> = names.iter().filter(|name| name.tag == 0x86).collect();
        if uris.is_empty() {
            return Verdict::NotApplicable;
        }
        let problems: Vec<String> = uris
            .iter()
            .filter_map(|uri| {
                let text = String::from_utf8_lossy(uri.body);
                let scheme = text.split_once(':').map(|(scheme, _)| scheme);
                let absolute = scheme.is_some_and(|scheme| {
                    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
                });
                let wrong = match (uri.body.is_ascii(), absolute) {
                    (false, _) => "is not ASCII",
                    (_, false) => "has no scheme",
                    _ => return None,
                };
                Some(format!("{:?} {wrong}", name::visible(&text)))
            })
            .collect();
        note_all(&problems)
    },
};
