//! The key that a certificate certifies.

use model::Severity;

use super::inside;
use super::{About, Applies, BASELINE, Context, RFC_2459, Rule, Verdict, children, fail_if};
use crate::{
    Certificate, KeyKind,
    der::{self, Element},
};

pub(super) const WEAK: Rule = Rule {
    id: "cert.weak-key",
    title: "Certificate's key is too weak",
    citation: "NIST SP 800-131A Rev. 2, section 3; FIPS 186-5 (DSA withdrawn)",
    effective: None,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Critical,
    check: weak,
};

fn weak(certificate: &Certificate, context: &Context) -> Verdict {
    let key = &certificate.key;
    let name = &key.algorithm;
    let (least, hopeless) = match key.kind {
        // 1024 bits and 160 bits are within reach of those who can afford it; half of that
        // is within everyone's.
        KeyKind::Rsa => (context.thresholds.rsa_bits, 1024),
        KeyKind::Ec => (context.thresholds.ec_bits, 160),
        KeyKind::Dsa => {
            let short = key.bits.filter(|bits| *bits < 2048);
            let size = short.map(|bits| format!(", and short with {bits} bits"));
            return Verdict::Fail {
                severity: Severity::Warning,
                detail: format!(
                    "its key is {name}, which no current standard allows{}",
                    size.unwrap_or_default()
                ),
            };
        }
        KeyKind::Edwards | KeyKind::PostQuantum => return Verdict::Pass,
        KeyKind::Other => return Verdict::NotApplicable,
    };
    let Some(bits) = key.bits else { return Verdict::NotApplicable };
    let severity = if bits < hopeless { Severity::Critical } else { Severity::Warning };
    fail_if(bits < least, severity, || {
        format!("its {name} key has {bits} bits, at least {least} are wanted")
    })
}

pub(super) const EXPONENT: Rule = Rule {
    id: "cert.rsa-exponent",
    title: "Certificate's RSA exponent is none that protects",
    citation: "RFC 8017, section 3.1; CA/Browser Forum Baseline Requirements, section 6.1.6",
    effective: None,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Critical,
    check: |certificate, _| {
        let Some((_, exponent)) = rsa(certificate) else { return Verdict::NotApplicable };
        let negative = exponent.first().is_some_and(|octet| octet & 0x80 != 0);
        let small = der::bit_length(exponent) < 2;
        let even = exponent.last().is_none_or(|octet| octet & 1 == 0);
        fail_if(negative || small || even, Severity::Critical, || {
            format!("its exponent is 0x{}", der::hex(exponent))
        })
    },
};

pub(super) const SMALL_EXPONENT: Rule = Rule {
    id: "cert.rsa-exponent-range",
    title: "Public certificate's RSA exponent is outside the recommended range",
    citation: "CA/Browser Forum Baseline Requirements, section 6.1.6: 2^16 + 1 to 2^256 - 1",
    effective: BASELINE,
    applies: Applies::PubliclyTrusted,
    about: About::Any,
    severity: Severity::Info,
    check: |certificate, _| {
        let Some((_, exponent)) = rsa(certificate) else { return Verdict::NotApplicable };
        fail_if(!(17..=256).contains(&der::bit_length(exponent)), Severity::Info, || {
            format!("its exponent is 0x{}", der::hex(exponent))
        })
    },
};

pub(super) const SMALL_FACTOR: Rule = Rule {
    id: "cert.rsa-small-factor",
    title: "Certificate's RSA key can be taken apart by hand",
    citation: "CA/Browser Forum Baseline Requirements, section 6.1.6; NIST SP 800-89, section 5.3.3",
    effective: None,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Critical,
    check: |certificate, _| {
        let Some((modulus, _)) = rsa(certificate) else { return Verdict::NotApplicable };
        let factor = (2..752u32).find(|divisor| remainder(modulus, *divisor) == 0);
        fail_if(factor.is_some() && !modulus.is_empty(), Severity::Critical, || {
            format!("its modulus is divisible by {}", factor.unwrap_or_default())
        })
    },
};

pub(super) const MODULUS_SIZE: Rule = Rule {
    id: "cert.rsa-modulus-size",
    title: "Public certificate's RSA modulus is not a whole number of bytes",
    citation: "CA/Browser Forum Baseline Requirements, section 6.1.5",
    effective: BASELINE,
    applies: Applies::PubliclyTrusted,
    about: About::Any,
    severity: Severity::Info,
    check: |certificate, _| match (certificate.key.kind, certificate.key.bits) {
        (KeyKind::Rsa, Some(bits)) => {
            fail_if(bits % 8 != 0, Severity::Info, || format!("it has {bits} bits"))
        }
        _ => Verdict::NotApplicable,
    },
};

pub(super) const CURVE: Rule = Rule {
    id: "cert.public-curve",
    title: "Public certificate's key is on a curve that is not allowed there",
    citation: "CA/Browser Forum Baseline Requirements, section 6.1.5: P-256, P-384 or P-521",
    effective: BASELINE,
    applies: Applies::PubliclyTrusted,
    about: About::Any,
    severity: Severity::Warning,
    check: |certificate, _| {
        if certificate.key.kind != KeyKind::Ec {
            return Verdict::NotApplicable;
        }
        let curve = certificate.key.curve.as_deref().unwrap_or("given by its numbers");
        fail_if(!matches!(curve, "P-256" | "P-384" | "P-521"), Severity::Warning, || {
            format!("its curve is {curve}")
        })
    },
};

pub(super) const PARAMETERS: Rule = Rule {
    id: "cert.key-parameters",
    title: "Certificate gives its key parameters which that algorithm does not have",
    citation: "RFC 3279, section 2.3.1 (RSA: NULL); RFC 8410, section 3 (Edwards), RFC 9881, \
               section 2 (ML-DSA), RFC 9909 (SLH-DSA), RFC 9935 (ML-KEM): none",
    effective: RFC_2459,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Info,
    check: |certificate, _| {
        let algorithm = inside(&certificate.encodings.key_algorithm);
        let parameters = algorithm.get(1);
        let null = parameters.is_some_and(|p| p.whole == [5, 0]);
        let broken = match certificate.key.kind {
            KeyKind::Rsa if certificate.key.algorithm == "RSA" => !null,
            KeyKind::Edwards | KeyKind::PostQuantum => parameters.is_some(),
            _ => return Verdict::NotApplicable,
        };
        fail_if(broken, Severity::Info, || {
            let told = parameters.map_or_else(|| "none".to_owned(), |p| der::hex(p.whole));
            format!("the parameters of its {} key are {told}", certificate.key.algorithm)
        })
    },
};

/// Modulus and exponent, the contents of their INTEGERs.
fn rsa(certificate: &Certificate) -> Option<(&[u8], &[u8])> {
    if certificate.key.kind != KeyKind::Rsa {
        return None;
    }
    let outer = children(&certificate.encodings.key);
    let fields = children(outer.first()?.body);
    let [modulus, exponent, ..] = fields.as_slice() else { return None };
    let number = |element: &Element<'_>| element.tag == der::INTEGER;
    (number(modulus) && number(exponent)).then_some((modulus.body, exponent.body))
}

/// The remainder of a big-endian number. `divisor` below 2^24.
fn remainder(number: &[u8], divisor: u32) -> u32 {
    number.iter().fold(0u32, |rest, octet| {
        let next = (rest << 8) | u32::from(*octet);
        next.checked_rem(divisor).unwrap_or(0)
    })
}
