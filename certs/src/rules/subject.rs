//! The names of persons and organisations in a certificate.

use model::Severity;

use super::{About, Applies, BASELINE, RFC_2459, Rule, Verdict, children, day};
use super::{inside, note_all};
use crate::{Certificate, der, name, oid};

/// One attribute of a name.
pub(super) struct Attribute {
    pub(super) id: String,
    /// Which string type it is written in.
    pub(super) tag: u8,
    pub(super) text: Option<String>,
}

impl Attribute {
    fn called(&self) -> &str {
        oid::attribute(&self.id).unwrap_or(&self.id)
    }
}

/// The attributes of a Name's encoding, in order.
pub(super) fn attributes(whole: &[u8]) -> Vec<Attribute> {
    let mut out = Vec::new();
    for set in inside(whole) {
        for attribute in children(set.body) {
            let parts = children(attribute.body);
            let [id, value] = parts.as_slice() else { continue };
            let (id, tag) = (der::oid_text(id.body), value.tag);
            out.push(Attribute { id, tag, text: name::text(value) });
        }
    }
    out
}

/// A rule that looks at each attribute of the subject and says what is wrong with it.
fn each(certificate: &Certificate, problem: impl Fn(&Attribute) -> Option<String>) -> Verdict {
    let attributes = attributes(&certificate.encodings.subject);
    if attributes.is_empty() {
        return Verdict::NotApplicable;
    }
    let problems: Vec<String> = attributes
        .iter()
        .filter_map(|attribute| Some(format!("{} {}", attribute.called(), problem(attribute)?)))
        .collect();
    note_all(&problems)
}

const COUNTRY: &str = "2.5.4.6";
const PRINTABLE: u8 = 0x13;

pub(super) const COUNTRY_FORM: Rule = Rule {
    id: "cert.country",
    title: "Certificate's country is not a code of two capital letters",
    citation: "RFC 5280, appendix A.1 (X520countryName: PrintableString of two); ISO 3166-1",
    effective: RFC_2459,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Info,
    check: |certificate, _| {
        let names = [("subject", &certificate.encodings.subject)];
        let issuer = [("issuer", &certificate.encodings.issuer)];
        let mut problems = Vec::new();
        for (whose, whole) in names.into_iter().chain(issuer) {
            for country in attributes(whole).iter().filter(|attribute| attribute.id == COUNTRY) {
                let text = country.text.as_deref().unwrap_or("");
                let wrong = if country.tag != PRINTABLE {
                    "is not a PrintableString"
                } else if text.len() != 2 || !text.bytes().all(|b| b.is_ascii_alphabetic()) {
                    "is not of two letters"
                } else if text.bytes().any(|b| b.is_ascii_lowercase()) {
                    "is not in capitals"
                } else {
                    continue;
                };
                problems.push(format!("the {whose}'s {:?} {wrong}", name::visible(text)));
            }
        }
        note_all(&problems)
    },
};

/// Upper bounds of RFC 5280, appendix A.1, in characters.
const BOUNDS: &[(&str, usize)] = &[
    ("2.5.4.3", 64),
    ("2.5.4.4", 32_768),
    ("2.5.4.5", 64),
    ("2.5.4.7", 128),
    ("2.5.4.8", 128),
    ("2.5.4.9", 128),
    ("2.5.4.10", 64),
    ("2.5.4.11", 64),
    ("2.5.4.12", 64),
    ("2.5.4.42", 32_768),
    ("2.5.4.17", 16),
    ("1.2.840.113549.1.9.1", 255),
];

pub(super) const LENGTH: Rule = Rule {
    id: "cert.subject-length",
    title: "Certificate's subject has a part that is too long",
    citation: "RFC 5280, appendix A.1 (upper bounds)",
    effective: RFC_2459,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Info,
    check: |certificate, _| {
        each(certificate, |attribute| {
            let (_, most) = BOUNDS.iter().find(|(id, _)| *id == attribute.id)?;
            let len = attribute.text.as_ref()?.chars().count();
            (len > *most).then(|| format!("has {len} characters, {most} are allowed"))
        })
    },
};

pub(super) const CONTROL: Rule = Rule {
    id: "cert.subject-control-characters",
    title: "Certificate's subject has characters that cannot be seen",
    citation: "RFC 5280, section 4.1.2.6; RFC 4514, section 2.4",
    effective: None,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Info,
    check: |certificate, _| {
        each(certificate, |attribute| {
            let text = attribute.text.as_ref()?;
            text.contains(char::is_control).then(|| format!("is {:?}", name::visible(text)))
        })
    },
};

pub(super) const PLACEHOLDER: Rule = Rule {
    id: "cert.subject-placeholder",
    title: "Public certificate's subject has a part that says nothing",
    citation: "CA/Browser Forum Baseline Requirements, section 7.1.4.2.2 (of version 1): no '.', '-' \
               or space alone",
    effective: BASELINE,
    applies: Applies::PubliclyTrusted,
    about: About::Any,
    severity: Severity::Info,
    check: |certificate, _| {
        each(certificate, |attribute| {
            let text = attribute.text.as_ref()?;
            let says = text.chars().any(char::is_alphanumeric);
            (!says).then(|| format!("is {:?}", name::visible(text)))
        })
    },
};

pub(super) const UNIT: Rule = Rule {
    id: "cert.organizational-unit",
    title: "Public certificate names an organizational unit, which nobody verified",
    citation: "CA/Browser Forum Baseline Requirements, section 7.1.4.2.2 (ballot SC-047v2)",
    effective: day(2022, 9, 1),
    applies: Applies::PubliclyTrusted,
    about: About::Server,
    severity: Severity::Info,
    check: |certificate, _| {
        each(certificate, |attribute| {
            let text = attribute.text.as_deref().unwrap_or("");
            (attribute.id == "2.5.4.11").then(|| format!("is {:?}", name::visible(text)))
        })
    },
};

pub(super) const AUTHORITY_SUBJECT: Rule = Rule {
    id: "cert.authority-subject",
    title: "Public authority's subject lacks its country, organisation or common name",
    citation: "CA/Browser Forum Baseline Requirements, section 7.1.2.10.2",
    effective: BASELINE,
    applies: Applies::PubliclyTrusted,
    about: About::Authority,
    severity: Severity::Info,
    check: |certificate, _| {
        let there = attributes(&certificate.encodings.subject);
        let problems: Vec<String> = [
            (COUNTRY, "no countryName"),
            ("2.5.4.10", "no organizationName"),
            ("2.5.4.3", "no commonName"),
        ]
        .into_iter()
        .filter(|(id, _)| !there.iter().any(|attribute| attribute.id == *id))
        .map(|(_, problem)| problem.to_owned())
        .collect();
        note_all(&problems)
    },
};
