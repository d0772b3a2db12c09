//! How a certificate was signed.

use model::Severity;

use super::{About, Applies, Context, RFC_2459, Rule, Verdict, fail_if, inside};
use crate::{Certificate, Hash, der};

pub(super) const WEAK: Rule = Rule {
    id: "cert.weak-signature",
    title: "Certificate is signed over a broken hash",
    citation: "RFC 6151 (MD5), RFC 6149 (MD2), RFC 6150 (MD4), RFC 9155 and NIST SP 800-131A \
               Rev. 2, section 9 (SHA-1)",
    effective: None,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Critical,
    check: weak,
};

fn weak(certificate: &Certificate, _: &Context) -> Verdict {
    // Nobody relies on the signature that a root puts under itself.
    if certificate.self_signed.likely() {
        return Verdict::NotApplicable;
    }
    let Some(hash) = certificate.signature.hash else {
        return if certificate.signature.algorithm.is_empty() {
            Verdict::NotApplicable
        } else {
            Verdict::Pass
        };
    };
    let severity = match hash {
        Hash::Md2 | Hash::Md4 | Hash::Md5 => Severity::Critical,
        Hash::Sha1 => Severity::Warning,
        _ => return Verdict::Pass,
    };
    Verdict::Fail {
        severity,
        detail: format!("it is signed with {}", certificate.signature.algorithm),
    }
}

pub(super) const MISMATCH: Rule = Rule {
    id: "cert.signature-mismatch",
    title: "Certificate names two different signature algorithms",
    citation: "RFC 5280, section 4.1.1.2",
    effective: RFC_2459,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Warning,
    check: |certificate, _| {
        let (inner, outer) =
            (&certificate.encodings.inner_algorithm, &certificate.encodings.outer_algorithm);
        if inner.is_empty() || outer.is_empty() {
            return Verdict::NotApplicable;
        }
        fail_if(inner != outer, Severity::Warning, || {
            format!(
                "inside it says {}, outside {}",
                der::hex(inner),
                certificate.signature.algorithm
            )
        })
    },
};

pub(super) const PARAMETERS: Rule = Rule {
    id: "cert.signature-parameters",
    title: "Certificate's signature algorithm has the wrong parameters",
    citation: "RFC 4055, section 5 (RSA: NULL); RFC 5758, section 3.2 (ECDSA), RFC 8410, section 3 \
               (Edwards), RFC 9881 (ML-DSA), RFC 9909 (SLH-DSA): none",
    effective: RFC_2459,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Info,
    check: |certificate, _| {
        let algorithm = inside(&certificate.encodings.inner_algorithm);
        let Some(id) = algorithm.first() else { return Verdict::NotApplicable };
        let parameters = algorithm.get(1);
        let name = certificate.signature.algorithm.as_str();
        let broken = match der::oid_text(id.body).as_str() {
            // What PKCS #1 version 1.5 signs with; PSS (.10) has parameters of its own.
            "1.2.840.113549.1.1.10" => return Verdict::NotApplicable,
            oid if oid.starts_with("1.2.840.113549.1.1.") => {
                parameters.is_none_or(|p| p.whole != [5, 0])
            }
            oid if oid.starts_with("1.2.840.10045.4.")
                || oid.starts_with("2.16.840.1.101.3.4.3.")
                || matches!(oid, "1.3.101.112" | "1.3.101.113") =>
            {
                // Of the registry's range, those of RSA (13 to 16) have NULL as well.
                parameters.is_some() && !name.starts_with("rsassa")
            }
            _ => return Verdict::NotApplicable,
        };
        fail_if(broken, Severity::Info, || {
            let told = parameters.map_or_else(|| "none".to_owned(), |p| der::hex(p.whole));
            format!("the parameters of {name} are {told}")
        })
    },
};

pub(super) const NOT_ALLOWED: Rule = Rule {
    id: "cert.public-signature",
    title: "Public certificate is signed in a way that is not allowed there",
    citation: "CA/Browser Forum Baseline Requirements, section 7.1.3.2",
    effective: None,
    applies: Applies::PubliclyTrusted,
    about: About::Any,
    severity: Severity::Warning,
    check: |certificate, _| {
        let signature = &certificate.signature;
        let allowed = match signature.algorithm.as_str() {
            "" => return Verdict::NotApplicable,
            "sha256WithRSAEncryption"
            | "sha384WithRSAEncryption"
            | "sha512WithRSAEncryption"
            | "ecdsa-with-SHA256"
            | "ecdsa-with-SHA384"
            | "ecdsa-with-SHA512" => true,
            "RSASSA-PSS" => {
                matches!(signature.hash, Some(Hash::Sha256 | Hash::Sha384 | Hash::Sha512))
            }
            // A rule of its own says it.
            _ if signature.hash == Some(Hash::Sha1) => return Verdict::NotApplicable,
            _ => false,
        };
        fail_if(!allowed, Severity::Warning, || {
            format!("it is signed with {}", signature.algorithm)
        })
    },
};
