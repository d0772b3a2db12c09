use std::collections::BTreeSet;

use super::*;
use crate::{Anomaly, AnomalyKind, Hash, Key, KeyKind, SelfSigned, Signature};

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
        signature: Signature { algorithm: "ecdsa-with-SHA256".into(), hash: Some(Hash::Sha256) },
        ..Certificate::of(&[])
    }
}

fn verdict(rule: &str, certificate: &Certificate) -> Verdict {
    let context =
        Context { as_of: NOW, thresholds: Thresholds::default(), trust: Trust::default() };
    super::rule(rule).unwrap().judge(certificate, &context)
}

#[test]
fn rules_are_told_apart_and_cited() {
    let ids: BTreeSet<_> = RULES.iter().map(|rule| rule.id).collect();
    assert_eq!(ids.len(), RULES.len());
    assert!(RULES.len() >= 40);
    for rule in RULES {
        assert!(rule.id.starts_with("cert.") && !rule.title.is_empty());
        let sources = ["RFC", "NIST", "CA/Browser Forum", "Chrome Root Program"];
        assert!(sources.iter().any(|source| rule.citation.contains(source)), "{}", rule.id);
        // What the browsers alone want is never asked of everybody.
        let theirs = !["RFC", "NIST", "X.690", "FIPS"].iter().any(|s| rule.citation.contains(s));
        assert!(!theirs || rule.applies == Applies::PubliclyTrusted, "{}", rule.id);
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
    let hash = Some(Hash::Sha1);
    let signature = Signature { algorithm: "sha1WithRSAEncryption".into(), hash };
    let weak = Certificate { signature, ..good() };
    assert!(matches!(verdict("cert.weak-signature", &weak), Verdict::Fail { .. }));
    for self_signed in [SelfSigned::Verified, SelfSigned::Unchecked] {
        let root = Certificate { self_signed, ..weak.clone() };
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
fn spans_are_short() {
    for (seconds, expected) in
        [(0, "0 minutes"), (60, "1 minute"), (7200, "2 hours"), (172_800, "2 days")]
    {
        assert_eq!(span(seconds), expected);
    }
}
