//! What can be wrong with a certificate.
//!
//! A rule is a function of one certificate, a moment and the [`Thresholds`]. It cannot look
//! anything up, so running the rules over the inventory is a loop and a rule is tested without
//! a network or a clock. Whether an issuer is approved is not here: that is the register's
//! question.

use std::fmt;

use model::{Severity, Timestamp};

use crate::{AnomalyKind, Certificate, Hash, KeyKind};

/// A thing that can be wrong with a certificate.
#[derive(Clone, Copy)]
pub struct Rule {
    /// Stable name. Findings and configuration refer to it; never reuse one.
    pub id: &'static str,
    /// One line for people who did not write the rule.
    pub title: &'static str,
    /// Where the requirement comes from.
    pub citation: &'static str,
    /// The most that a failure of it matters; each [`Verdict::Fail`] has its own.
    pub severity: Severity,
    /// The rule itself.
    pub check: fn(&Certificate, as_of: Timestamp, &Thresholds) -> Verdict,
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id)
    }
}

/// What a rule concluded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The rule is not about this kind of certificate, or the field it needs cannot be read.
    NotApplicable,
    /// All is well.
    Pass,
    /// The certificate breaks the rule.
    Fail {
        /// How much it matters.
        severity: Severity,
        /// The reason, with the values that led there.
        detail: String,
    },
}

/// What an organisation may want otherwise.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Thresholds {
    /// When an expiry is worth a warning.
    pub expiry_warning: Remaining,
    /// When an expiry is critical.
    pub expiry_critical: Remaining,
    /// RSA keys with a shorter modulus are weak, in bits.
    pub rsa_bits: u32,
    /// Elliptic-curve keys over a smaller field are weak, in bits.
    pub ec_bits: u32,
}

/// A remaining time that depends on the lifetime: a part of it, but never more than so much.
/// A share alone would warn about a ten-year certificate for three years; a number of days
/// alone would always warn about a six-day one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Remaining {
    /// The lifetime is divided by this: 3 for a third. 0 counts as 1.
    pub part: u32,
    /// The most, in seconds.
    pub cap: i64,
}

impl Remaining {
    /// For a certificate with this lifetime, both in seconds.
    #[must_use]
    pub fn of(self, lifetime: i64) -> i64 {
        lifetime.div_euclid(i64::from(self.part.max(1))).min(self.cap)
    }
}

const DAY: i64 = 86_400;

impl Default for Thresholds {
    /// A third and a tenth of the lifetime, at most 30 and 7 days; 2048 and 224 bits.
    fn default() -> Self {
        Self {
            expiry_warning: Remaining { part: 3, cap: 30 * DAY },
            expiry_critical: Remaining { part: 10, cap: 7 * DAY },
            rsa_bits: 2048,
            ec_bits: 224,
        }
    }
}

/// Every certificate rule, in the order in which reports list them.
pub const RULES: &[Rule] = &[
    Rule {
        id: "cert.expired",
        title: "Certificate has expired",
        citation: "RFC 5280, section 4.1.2.5",
        severity: Severity::Critical,
        check: expired,
    },
    Rule {
        id: "cert.not-yet-valid",
        title: "Certificate is not valid yet",
        citation: "RFC 5280, section 4.1.2.5",
        severity: Severity::Critical,
        check: not_yet_valid,
    },
    Rule {
        id: "cert.expiring",
        title: "Certificate should have been renewed by now",
        citation: "RFC 5280, section 4.1.2.5; how early is the organisation's own choice",
        severity: Severity::Critical,
        check: expiring,
    },
    Rule {
        id: "cert.weak-key",
        title: "Certificate's key is too weak",
        citation: "NIST SP 800-131A Rev. 2, section 3; FIPS 186-5 (DSA withdrawn)",
        severity: Severity::Critical,
        check: weak_key,
    },
    Rule {
        id: "cert.weak-signature",
        title: "Certificate is signed over a broken hash",
        citation: "RFC 6151 (MD5), RFC 6149 (MD2), RFC 6150 (MD4), RFC 9155 and NIST SP 800-131A \
                   Rev. 2, section 9 (SHA-1)",
        severity: Severity::Critical,
        check: weak_signature,
    },
    Rule {
        id: "cert.malformed",
        title: "Certificate breaks its own encoding",
        citation: "RFC 5280, section 4.1; X.690, section 10",
        severity: Severity::Warning,
        check: malformed,
    },
];

/// The rule of that id.
#[must_use]
pub fn rule(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.id == id)
}

fn expired(certificate: &Certificate, as_of: Timestamp, _: &Thresholds) -> Verdict {
    let Some(last) = certificate.not_after else { return Verdict::NotApplicable };
    // The last moment is still valid: both ends are inclusive.
    fail_if(as_of.seconds() > last.seconds(), Severity::Critical, || {
        format!("it expired at {last}, {} ago", span(as_of.seconds_since(last)))
    })
}

fn not_yet_valid(certificate: &Certificate, as_of: Timestamp, _: &Thresholds) -> Verdict {
    let Some(first) = certificate.not_before else { return Verdict::NotApplicable };
    fail_if(as_of < first, Severity::Critical, || {
        format!("it is valid from {first}, in {}", span(first.seconds_since(as_of)))
    })
}

fn expiring(certificate: &Certificate, as_of: Timestamp, thresholds: &Thresholds) -> Verdict {
    let (Some(last), Some(lifetime)) = (certificate.not_after, certificate.lifetime()) else {
        return Verdict::NotApplicable;
    };
    // Once it has expired, or before it begins, that is what there is to say.
    let left = last.seconds_since(as_of);
    if left < 0 || certificate.not_before.is_some_and(|first| as_of < first) {
        return Verdict::NotApplicable;
    }
    let critical = left < thresholds.expiry_critical.of(lifetime);
    let severity = if critical { Severity::Critical } else { Severity::Warning };
    fail_if(critical || left < thresholds.expiry_warning.of(lifetime), severity, || {
        format!("it expires at {last}, in {} of {}", span(left), span(lifetime))
    })
}

fn weak_key(certificate: &Certificate, _: Timestamp, thresholds: &Thresholds) -> Verdict {
    let key = &certificate.key;
    let name = &key.algorithm;
    let (least, hopeless) = match key.kind {
        // 1024 bits and 160 bits are within reach of those who can afford it; half of that
        // is within everyone's.
        KeyKind::Rsa => (thresholds.rsa_bits, 1024),
        KeyKind::Ec => (thresholds.ec_bits, 160),
        KeyKind::Dsa => {
            return Verdict::Fail {
                severity: Severity::Warning,
                detail: format!("its key is {name}, which no current standard allows"),
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

fn weak_signature(certificate: &Certificate, _: Timestamp, _: &Thresholds) -> Verdict {
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

fn malformed(certificate: &Certificate, _: Timestamp, _: &Thresholds) -> Verdict {
    let problems: Vec<&str> = certificate
        .anomalies
        .iter()
        .filter(|anomaly| anomaly.kind != AnomalyKind::Profile)
        .map(|anomaly| anomaly.problem.as_str())
        .collect();
    fail_if(!problems.is_empty(), Severity::Warning, || problems.join("; "))
}

fn fail_if(broken: bool, severity: Severity, detail: impl FnOnce() -> String) -> Verdict {
    if broken { Verdict::Fail { severity, detail: detail() } } else { Verdict::Pass }
}

/// A length of time for people: whole days, or hours below two days.
fn span(seconds: i64) -> String {
    let (count, unit) = match seconds {
        ..7200 => (seconds.div_euclid(60), "minute"),
        7200..172_800 => (seconds.div_euclid(3600), "hour"),
        _ => (seconds.div_euclid(DAY), "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{Anomaly, Key, SelfSigned, Signature};

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn at(days: i64) -> Option<Timestamp> {
        Some(NOW.plus_seconds(days * DAY))
    }

    fn good() -> Certificate {
        Certificate {
            subject: "CN=a".into(),
            issuer: "CN=b".into(),
            not_before: at(-10),
            not_after: at(388),
            key: Key {
                algorithm: "EC".into(),
                kind: KeyKind::Ec,
                bits: Some(256),
                curve: Some("P-256".into()),
            },
            signature: Signature {
                algorithm: "ecdsa-with-SHA256".into(),
                hash: Some(Hash::Sha256),
            },
            ..Certificate::of(&[])
        }
    }

    /// For each rule, a certificate that breaks it and nothing else.
    fn broken(rule: &str) -> Certificate {
        match rule {
            "cert.expired" => Certificate { not_after: at(-1), ..good() },
            "cert.not-yet-valid" => Certificate { not_before: at(1), ..good() },
            "cert.expiring" => Certificate { not_after: at(6), not_before: at(-392), ..good() },
            "cert.weak-key" => Certificate {
                key: Key {
                    algorithm: "RSA".into(),
                    kind: KeyKind::Rsa,
                    bits: Some(1024),
                    curve: None,
                },
                ..good()
            },
            "cert.weak-signature" => Certificate {
                signature: Signature {
                    algorithm: "sha1WithRSAEncryption".into(),
                    hash: Some(Hash::Sha1),
                },
                ..good()
            },
            "cert.malformed" => Certificate {
                anomalies: vec![Anomaly { kind: AnomalyKind::Encoding, problem: "bytes".into() }],
                ..good()
            },
            other => panic!("add a broken certificate for the rule {other}"),
        }
    }

    fn verdict(rule: &str, certificate: &Certificate) -> Verdict {
        (super::rule(rule).unwrap().check)(certificate, NOW, &Thresholds::default())
    }

    #[test]
    fn each_rule_fails_on_its_own_example_and_on_no_other() {
        for rule in RULES {
            let example = broken(rule.id);
            let failed: Vec<_> = RULES
                .iter()
                .filter(|r| matches!(verdict(r.id, &example), Verdict::Fail { .. }))
                .map(|r| r.id)
                .collect();
            assert_eq!(failed, [rule.id]);
            assert_eq!(verdict(rule.id, &good()), Verdict::Pass, "{}", rule.id);
        }
    }

    #[test]
    fn rules_are_told_apart_and_cited() {
        let ids: BTreeSet<_> = RULES.iter().map(|rule| rule.id).collect();
        assert_eq!(ids.len(), RULES.len());
        for rule in RULES {
            assert!(rule.id.starts_with("cert.") && !rule.title.is_empty());
            assert!(rule.citation.contains("RFC") || rule.citation.contains("NIST"));
        }
    }

    /// `lifetime` and `left` in days: what is said that long before the end.
    #[track_caller]
    fn check_expiry(lifetime: f64, left: f64, expected: Option<Severity>) {
        let seconds = |days: f64| (days * DAY as f64) as i64;
        let last = NOW.plus_seconds(seconds(left));
        let certificate = Certificate {
            not_before: Some(last.plus_seconds(-seconds(lifetime))),
            not_after: Some(last),
            ..good()
        };
        let got = match verdict("cert.expiring", &certificate) {
            Verdict::Fail { severity, .. } => Some(severity),
            _ => None,
        };
        assert_eq!(got, expected, "{left} of {lifetime} days left");
    }

    #[test]
    fn expiry_is_a_share_of_the_lifetime_and_capped() {
        use Severity::{Critical, Warning};
        check_expiry(398.0, 30.0, None);
        check_expiry(398.0, 29.9, Some(Warning));
        check_expiry(398.0, 7.0, Some(Warning));
        check_expiry(398.0, 6.9, Some(Critical));
        check_expiry(45.0, 15.0, None);
        check_expiry(45.0, 14.9, Some(Warning));
        check_expiry(45.0, 4.5, Some(Warning));
        check_expiry(45.0, 4.4, Some(Critical));
        check_expiry(6.0, 2.1, None);
        check_expiry(6.0, 1.9, Some(Warning));
        check_expiry(6.0, 0.5, Some(Critical));
        check_expiry(6.0, 0.0, Some(Critical));
        check_expiry(3650.0, 31.0, None);
        check_expiry(398.0, -0.1, None);
    }

    #[test]
    fn both_ends_of_validity_are_inside_it() {
        let here = Certificate { not_before: Some(NOW), not_after: Some(NOW), ..good() };
        assert_eq!(verdict("cert.expired", &here), Verdict::Pass);
        assert_eq!(verdict("cert.not-yet-valid", &here), Verdict::Pass);
    }

    #[track_caller]
    fn check_key(kind: KeyKind, bits: Option<u32>, expected: Option<Severity>) {
        let key = Key { kind, bits, ..good().key };
        let got = match verdict("cert.weak-key", &Certificate { key, ..good() }) {
            Verdict::Fail { severity, .. } => Some(severity),
            _ => None,
        };
        assert_eq!(got, expected, "{kind:?} {bits:?}");
    }

    #[test]
    fn keys_are_weighed_by_their_kind() {
        check_key(KeyKind::Rsa, Some(2048), None);
        check_key(KeyKind::Rsa, Some(2047), Some(Severity::Warning));
        check_key(KeyKind::Rsa, Some(512), Some(Severity::Critical));
        check_key(KeyKind::Ec, Some(224), None);
        check_key(KeyKind::Ec, Some(192), Some(Severity::Warning));
        check_key(KeyKind::Ec, Some(112), Some(Severity::Critical));
        check_key(KeyKind::Ec, None, None);
        check_key(KeyKind::Dsa, Some(3072), Some(Severity::Warning));
        check_key(KeyKind::Edwards, Some(256), None);
        check_key(KeyKind::PostQuantum, None, None);
        check_key(KeyKind::Other, Some(1), None);
    }

    #[test]
    fn a_roots_own_signature_is_not_weighed() {
        for self_signed in [SelfSigned::Verified, SelfSigned::Unchecked] {
            let root = Certificate { self_signed, ..broken("cert.weak-signature") };
            assert_eq!(verdict("cert.weak-signature", &root), Verdict::NotApplicable);
        }
    }

    #[test]
    fn breaking_the_profile_alone_is_not_malformed() {
        let anomaly = Anomaly { kind: AnomalyKind::Profile, problem: "zero serial".into() };
        let certificate = Certificate { anomalies: vec![anomaly], ..good() };
        assert_eq!(verdict("cert.malformed", &certificate), Verdict::Pass);
    }

    #[test]
    fn nothing_is_said_of_what_is_not_known() {
        let unknown = Certificate::of(b"noise");
        for rule in RULES.iter().filter(|rule| rule.id != "cert.malformed") {
            assert_eq!(verdict(rule.id, &unknown), Verdict::NotApplicable, "{}", rule.id);
        }
    }

    #[test]
    fn spans_are_short() {
        for (seconds, expected) in
            [(0, "0 minutes"), (60, "1 minute"), (7200, "2 hours"), (172_800, "2 days")]
        {
            assert_eq!(span(seconds), expected);
        }
    }
}
