//! The key that a certificate certifies.

use std::sync::LazyLock;

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
        let factor = small_factor(modulus);
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
    citation: "RFC 3279, section 2.3.1 (RSA: NULL); RFC 8410, section 3 (Edwards), RFC 9881 \
               (ML-DSA), RFC 9909 (SLH-DSA), RFC 9935 (ML-KEM): none",
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

/// The primes below 752, in groups whose product fits into 32 bits: one division of the long
/// number by a product stands for divisions by each.
static PRIMES: LazyLock<Vec<(u32, Vec<u32>)>> = LazyLock::new(|| {
    let is_prime = |n: &u32| (2..*n).all(|d| n.checked_rem(d) != Some(0));
    let mut groups: Vec<(u32, Vec<u32>)> = Vec::new();
    for prime in (2..752).filter(is_prime) {
        match groups.last_mut().and_then(|group| Some((group.0.checked_mul(prime)?, group))) {
            Some((product, group)) => {
                group.0 = product;
                group.1.push(prime);
            }
            None => groups.push((prime, vec![prime])),
        }
    }
    groups
});

/// The smallest prime below 752 that divides a big-endian number.
fn small_factor(number: &[u8]) -> Option<u32> {
    let divides = |rest: u32, prime: &u32| rest.checked_rem(*prime) == Some(0);
    PRIMES.iter().find_map(|(product, primes)| {
        let rest = remainder(number, *product);
        primes.iter().copied().find(|prime| divides(rest, prime))
    })
}

/// The remainder of a big-endian number.
fn remainder(number: &[u8], divisor: u32) -> u32 {
    let (ragged, words) = number.as_rchunks::<4>();
    let ragged = ragged.iter().fold(0, |head, octet| head << 8 | u32::from(*octet));
    let words = words.iter().map(|word| u32::from_be_bytes(*word));
    let divisor = u64::from(divisor);
    let rest = [ragged]
        .into_iter()
        .chain(words)
        .fold(0u64, |rest, word| (rest << 32 | u64::from(word)).checked_rem(divisor).unwrap_or(0));
    u32::try_from(rest).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_numbers_are_divided_as_short_ones_are() {
        for number in [0u64, 1, 0xff, 751 * 751, 0xffff_ffff, 0x1_0000_0001, u64::MAX] {
            for divisor in [2u32, 3, 751, 65_537, u32::MAX] {
                for skipped in 0..8 {
                    let bytes = &number.to_be_bytes()[skipped..];
                    let short = bytes.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
                    let expected = short % u64::from(divisor);
                    assert_eq!(u64::from(remainder(bytes, divisor)), expected);
                }
            }
        }
        let all: Vec<u32> = PRIMES.iter().flat_map(|(_, primes)| primes.clone()).collect();
        assert_eq!((all.len(), all.first(), all.last()), (133, Some(&2), Some(&751)));
        assert_eq!(small_factor(&[0x01, 0x00, 0x01]), None, "65537 is a prime");
        assert_eq!(small_factor(&(751u32 * 757).to_be_bytes()), Some(751));
        assert_eq!(small_factor(&(757u32 * 761).to_be_bytes()), None);
    }
}
