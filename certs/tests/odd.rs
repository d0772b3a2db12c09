//! Certificates that break the standards, as they are found in the field: each yields a
//! record, with what can be read in it and what was wrong.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::allow_attributes,
    reason = "a test may fail loudly"
)]

mod writer;

use certs::{AnomalyKind, Certificate, KeyKind, SelfSigned, parse};
use writer::{Made, algorithm, general, sequence, tlv, utc};

fn problems(certificate: &Certificate) -> Vec<&str> {
    certificate.anomalies.iter().map(|anomaly| anomaly.problem.as_str()).collect()
}

/// What a good one says where nothing was changed.
#[track_caller]
fn check_the_rest(certificate: &Certificate) {
    assert_eq!(certificate.names, ["www.example.com"]);
    assert_eq!(certificate.key.curve.as_deref(), Some("P-256"));
    assert!(certificate.spki_sha256.is_some() && certificate.is_recognisable());
}

#[test]
fn a_negative_serial_number_is_shown_with_its_sign() {
    for (octets, text, problem) in [
        (&[0xff][..], "-01", "its serial number is negative"),
        (&[0x80, 0x00], "-8000", "its serial number is negative"),
        (&[0xff, 0x80], "-80", "its serial number takes more bytes than DER allows"),
        (&[0x00], "00", "its serial number is zero"),
        (&[], "", "its serial number has no digits"),
    ] {
        let mut made = Made::leaf();
        made.serial = octets.to_vec();
        let certificate = parse(&made.der());
        assert_eq!(certificate.serial, text);
        assert!(problems(&certificate).contains(&problem), "{:?}", problems(&certificate));
        check_the_rest(&certificate);
    }
}

#[test]
fn versions_are_read_as_they_are_numbered() {
    for (written, version) in [(None, 1), (Some(1), 2), (Some(2), 3), (Some(6), 7)] {
        let mut made = Made::leaf();
        made.version = written;
        let certificate = parse(&made.der());
        assert_eq!(certificate.version, Some(version));
        check_the_rest(&certificate);
        let noted = problems(&certificate).iter().any(|problem| problem.contains("version"));
        assert_eq!(noted, version != 3, "{:?}", problems(&certificate));
    }
    // Without extensions version 1 is what it should be, and the common name its name.
    let mut made = Made::leaf();
    made.version = None;
    made.extensions.clear();
    let certificate = parse(&made.der());
    assert_eq!((certificate.version, problems(&certificate)), (Some(1), vec![]));
    assert_eq!(certificate.names, ["www.example.com"]);
}

#[test]
fn without_an_issuer_the_subject_is_not_taken_for_it() {
    let mut made = Made::leaf();
    made.issuer = Vec::new();
    let certificate = parse(&made.der());
    assert_eq!(
        (certificate.issuer.as_str(), certificate.subject.as_str()),
        ("", "CN=www.example.com")
    );
    assert!(problems(&certificate).contains(&"it has no issuer"));
    check_the_rest(&certificate);

    made.issuer = sequence(&[]);
    let certificate = parse(&made.der());
    assert_eq!(certificate.issuer, "");
    assert!(problems(&certificate).contains(&"its issuer is the empty name"));
    check_the_rest(&certificate);
}

#[test]
fn without_a_subject_there_are_its_names() {
    let mut made = Made::leaf();
    made.subject = Vec::new();
    let certificate = parse(&made.der());
    assert_eq!(certificate.subject, "");
    assert!(problems(&certificate).contains(&"it has no subject"));
    check_the_rest(&certificate);

    let certificate = parse(&Made::leaf().subject(&[]).der());
    assert_eq!((certificate.subject.as_str(), problems(&certificate)), ("", vec![]));
    check_the_rest(&certificate);
}

#[test]
fn dates_far_away_are_read() {
    for (first, last, texts) in [
        (
            utc("500101000000Z"),
            utc("491231235959Z"),
            ["1950-01-01T00:00:00Z", "2049-12-31T23:59:59Z"],
        ),
        (
            utc("691231235959Z"),
            utc("700101000000Z"),
            ["1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z"],
        ),
        (
            general("18991231000000Z"),
            general("20500101000000Z"),
            ["1899-12-31T00:00:00Z", "2050-01-01T00:00:00Z"],
        ),
        (
            general("00000101000000Z"),
            general("99981231235959Z"),
            ["0000-01-01T00:00:00Z", "9998-12-31T23:59:59Z"],
        ),
    ] {
        let mut made = Made::leaf();
        made.validity = [first, last];
        let certificate = parse(&made.der());
        let read = [certificate.not_before, certificate.not_after];
        assert_eq!(read.map(|moment| moment.unwrap().to_string()), texts);
        check_the_rest(&certificate);
    }
    // The moment that RFC 5280 gives to certificates without an end.
    let mut made = Made::leaf();
    made.validity[1] = general("99991231235959Z");
    assert_eq!(parse(&made.der()).not_after.unwrap().seconds(), 253_402_300_799);
    let mut made = Made::leaf();
    made.validity = [utc("26"), general("20261301000000Z")];
    let certificate = parse(&made.der());
    assert_eq!((certificate.not_before, certificate.not_after), (None, None));
    assert!(certificate.anomalies.iter().any(|anomaly| anomaly.kind == AnomalyKind::Encoding));
    check_the_rest(&certificate);
}

#[test]
fn the_algorithms_of_today_have_names() {
    for (id, name, kind, signs) in [
        ("2.16.840.1.101.3.4.3.17", "ML-DSA-44", KeyKind::PostQuantum, true),
        ("2.16.840.1.101.3.4.3.19", "ML-DSA-87", KeyKind::PostQuantum, true),
        ("2.16.840.1.101.3.4.3.24", "SLH-DSA-SHA2-256s", KeyKind::PostQuantum, true),
        (
            "2.16.840.1.101.3.4.3.35",
            "HashSLH-DSA-SHA2-128s-with-SHA256",
            KeyKind::PostQuantum,
            true,
        ),
        ("2.16.840.1.101.3.4.4.2", "ML-KEM-768", KeyKind::PostQuantum, false),
        ("1.2.840.113549.1.9.16.3.17", "HSS-LMS", KeyKind::PostQuantum, true),
        ("1.3.101.111", "X448", KeyKind::Edwards, false),
        ("1.3.101.112", "Ed25519", KeyKind::Edwards, true),
        ("1.3.101.113", "Ed448", KeyKind::Edwards, true),
    ] {
        let key = sequence(&[algorithm(id), tlv(3, &[&[0][..], &[9; 100]].concat())]);
        let certificate = parse(&Made::leaf().key(key).signed(algorithm(id)).der());
        assert_eq!((certificate.key.algorithm.as_str(), certificate.key.kind), (name, kind));
        assert!(certificate.spki_sha256.is_some());
        // A key that signs nothing keeps its number where a signature should be.
        let signature = if signs { name } else { id };
        assert_eq!(
            (certificate.signature.algorithm.as_str(), certificate.signature.hash),
            (signature, None)
        );
        assert_eq!(certificate.self_signed, SelfSigned::No);
    }
}
