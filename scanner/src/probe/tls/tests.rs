//! The plan against servers in a line or two.

use std::{cell::RefCell, collections::BTreeMap};

use certs::hello::{KeyExchange, Precautions, TLS12};
use model::{Fact, TlsServer};

use super::*;

fn name(text: &str) -> ServerName {
    ServerName::new(text).unwrap()
}

fn collected(version: TlsVersion, der: &[u8]) -> Collected {
    Collected {
        version,
        suite: Some(0x1301),
        chain: vec![der.to_vec()],
        left_out: 0,
        key_exchange: None,
        client_certificate: None,
        stapled: None,
        protocol: None,
        precautions: None,
        warnings: Vec::new(),
    }
}

fn chain(version: TlsVersion, der: &[u8]) -> Outcome {
    Outcome::Collected(Box::new(collected(version, der)))
}

thread_local! {
    static KEYS: RefCell<Vec<(String, Vec<u8>)>> = const { RefCell::new(Vec::new()) };
}

/// A certificate on P-256 for these names, always the same for the same ones.
fn certificate(names: &[&str]) -> Vec<u8> {
    made(names, &rcgen::PKCS_ECDSA_P256_SHA256)
}

fn made(names: &[&str], algorithm: &'static rcgen::SignatureAlgorithm) -> Vec<u8> {
    let label = format!("{names:?} {algorithm:?}");
    let known = |keys: &Vec<(String, Vec<u8>)>| keys.iter().find(|key| key.0 == label).cloned();
    if let Some((_, der)) = KEYS.with_borrow(known) {
        return der;
    }
    let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let params = rcgen::CertificateParams::new(names).unwrap();
    let der = params.self_signed(&key).unwrap().der().to_vec();
    KEYS.with_borrow_mut(|keys| keys.push((label, der.clone())));
    der
}

/// Runs a collection against a server; returns what was tried, in short, and what it showed.
/// A star says that not every kind of key was asked for, a minus that not every suite was, a plus
/// that not every group was.
fn run(
    names: &[&str],
    extent: Extent,
    server: impl Fn(&Question) -> Outcome,
) -> (Vec<String>, Served) {
    plan(Collection::new(names.iter().map(|text| name(text)), extent), server)
}

fn plan(
    mut collection: Collection,
    server: impl Fn(&Question) -> Outcome,
) -> (Vec<String>, Served) {
    let mut tried = Vec::new();
    while let Some(question) = collection.next() {
        let kind = match question.kind {
            Kind::Modern => "1.3".to_owned(),
            Kind::Wide => "wide".to_owned(),
            Kind::Hybrid => "hybrid".to_owned(),
            Kind::Weak => "weak".to_owned(),
            Kind::Framed => "framed".to_owned(),
            Kind::UpTo(version) => format!("up to {version}"),
            Kind::Bare(version) => format!("bare {version}"),
        };
        let star = match question.signers == Signers::ALL {
            true if !question.without_groups.is_empty() => "+",
            true if question.without.is_empty() => "",
            true => "-",
            false => "*",
        };
        let server_name = question.server_name.as_ref().map_or("-", ServerName::as_str);
        tried.push(format!("{kind}{star} {server_name}"));
        assert!(tried.len() <= Collection::MAX_THOROUGH, "{tried:?}");
        collection.record(server(&question));
    }
    (tried, collection.finish())
}

const REFUSED: Outcome = Outcome::Failed(HelloError::Alert(70));
const NOTHING_IN_COMMON: Outcome = Outcome::Failed(HelloError::Alert(40));
const HUNG_UP: Outcome = Outcome::Failed(HelloError::Silent);

#[track_caller]
fn check(names: &[&str], server: impl Fn(&Question) -> Outcome, expected: &[&str]) -> Served {
    let (tried, served) = run(names, Extent::Certificates, server);
    assert_eq!(tried, expected);
    assert_eq!(usize::try_from(served.connections), Ok(tried.len()));
    served
}

/// A server of TLS 1.2 and 1.3 with this one certificate on P-256, without the hybrid group.
fn ordinary(der: &[u8]) -> impl Fn(&Question) -> Outcome {
    move |question| match question.kind {
        Kind::Modern | Kind::Wide if !question.signers.contains(Signer::P256) => NOTHING_IN_COMMON,
        Kind::Modern => chain(TLS13, der),
        Kind::Wide => chain(TLS12, der),
        _ => NOTHING_IN_COMMON,
    }
}

#[test]
fn an_ordinary_server_costs_five_connections_and_one_for_each_name() {
    let expected = ["1.3 -", "wide -", "1.3* -", "wide* -", "1.3 a.example", "hybrid -"];
    let der = certificate(&["a.example"]);
    let served = check(&["a.example"], ordinary(&der), &expected);
    let of: Vec<_> =
        served.chains.iter().map(|c| (c.server_name.as_deref(), c.protocol_version)).collect();
    assert_eq!(of, [(None, TLS13), (None, TLS12), (Some("a.example"), TLS13)]);
    assert!(served.accepted.keys().eq([&TLS12, &TLS13]));
    assert_eq!(served.hybrid, Support::No);
    assert!(served.speaks_tls);
    // A name that is known from the certificate costs the same.
    check(&[], ordinary(&der), &expected);
}

#[test]
fn what_is_fragile_is_asked_twice_at_most() {
    let der = certificate(&["a.example"]);
    for server in [&ordinary(&der) as &dyn Fn(&Question) -> Outcome, &|_| NOTHING_IN_COMMON] {
        let (tried, _) = run(&["a.example"], Extent::Gentle, server);
        assert_eq!(tried, ["1.3 -", "wide -"]);
    }
}

#[test]
fn each_kind_of_key_is_asked_for_until_none_is_left() {
    let (rsa, ecdsa) =
        (certificate(&["rsa.example"]), made(&["ecdsa.example"], &rcgen::PKCS_ED25519));
    let (tried, served) = run(&[], Extent::Certificates, |question| match question.kind {
        Kind::Modern if question.signers.contains(Signer::P256) => chain(TLS13, &rsa),
        Kind::Modern if question.signers.contains(Signer::Ed25519) => chain(TLS13, &ecdsa),
        _ => NOTHING_IN_COMMON,
    });
    assert_eq!(tried[..4], ["1.3 -", "wide -", "1.3* -", "1.3* -"]);
    let found: BTreeSet<&[u8]> = served.chains.iter().map(|c| c.chain[0].as_slice()).collect();
    assert_eq!(found, BTreeSet::from([rsa.as_slice(), &ecdsa]));
}

#[test]
fn a_server_that_shows_the_same_whatever_is_asked_ends_it() {
    let der = certificate(&["a.example"]);
    check(
        &["a.example"],
        |question| match question.kind {
            Kind::Wide => chain(TLS12, &der),
            _ => REFUSED,
        },
        &["1.3 -", "wide -", "wide* -", "wide a.example"],
    );
}

#[test]
fn a_version_that_is_missing_is_not_asked_for_again() {
    let der = certificate(&["a"]);
    let new = |question: &Question| match question.kind {
        Kind::Modern => chain(TLS13, &der),
        _ => REFUSED,
    };
    check(&["a"], new, &["1.3 -", "wide -", "1.3* -", "1.3 a", "hybrid -"]);
}

#[test]
fn a_name_with_a_certificate_of_its_own_is_asked_for_all_of_them() {
    let (first, second, third) = (
        certificate(&["first.example"]),
        certificate(&["second.example"]),
        made(&["second.example"], &rcgen::PKCS_ED25519),
    );
    let second_name = name("second.example");
    let served = check(
        &["second.example"],
        |question| {
            let p256 = question.signers.contains(Signer::P256);
            match (question.kind, &question.server_name) {
                (Kind::Modern, Some(asked)) if *asked == second_name && p256 => {
                    chain(TLS13, &second)
                }
                (Kind::Modern, Some(asked)) if *asked == second_name => chain(TLS13, &third),
                (Kind::Modern, _) if p256 => chain(TLS13, &first),
                _ => NOTHING_IN_COMMON,
            }
        },
        &[
            "1.3 -",
            "wide -",
            "1.3* -",
            "1.3 second.example",
            "1.3* second.example",
            "1.3* second.example",
            "1.3 first.example",
            "hybrid -",
        ],
    );
    let found: BTreeSet<&[u8]> = served.chains.iter().map(|c| c.chain[0].as_slice()).collect();
    assert_eq!(found, BTreeSet::from([first.as_slice(), &second, &third]));
}

#[test]
fn names_in_certificates_are_asked_for_until_two_bring_nothing_new() {
    let der = certificate(&["a.example", "b.example", "c.example", "d.example"]);
    let (tried, _) = run(&[], Extent::Certificates, ordinary(&der));
    let named: Vec<&String> = tried.iter().filter(|tried| !tried.ends_with('-')).collect();
    assert_eq!(named, ["1.3 a.example", "1.3 b.example"]);
    // Wildcards and addresses are no names to ask for.
    let der = certificate(&["*.example", "192.0.2.1"]);
    let (tried, _) = run(&[], Extent::Certificates, ordinary(&der));
    assert!(tried.iter().all(|tried| tried.ends_with('-')), "{tried:?}");
}

#[test]
fn a_server_that_insists_on_a_name_gets_one() {
    let der = certificate(&["a"]);
    let served = check(
        &["a"],
        |question| match (question.kind, &question.server_name) {
            (_, None) => Outcome::Failed(HelloError::Alert(112)),
            (Kind::Modern, _) if question.signers.contains(Signer::P256) => chain(TLS13, &der),
            _ => REFUSED,
        },
        &["1.3 -", "wide -", "1.3 a", "wide a", "1.3* a", "hybrid a"],
    );
    assert_eq!(served.chains.len(), 1);
}

#[test]
fn a_server_of_another_application_protocol_is_asked_without_any() {
    let der = certificate(&["*.example"]);
    let server = ordinary(&der);
    let (tried, served) = run(&[], Extent::Certificates, |question| {
        if question.protocols.is_empty() {
            server(question)
        } else {
            Outcome::Failed(HelloError::Alert(NO_PROTOCOL))
        }
    });
    assert_eq!(tried[..4], ["1.3 -", "wide -", "1.3 -", "wide -"]);
    assert!(served.accepted.keys().eq([&TLS12, &TLS13]));
}

#[test]
fn old_servers_are_asked_in_their_own_words_at_last() {
    for failure in [REFUSED, HUNG_UP] {
        let served = check(
            &[],
            |question| match question.kind {
                Kind::Bare(SSL30) => chain(SSL30, b"x"),
                _ => failure.clone(),
            },
            &["1.3 -", "wide -", "bare TLSv1.1 -", "bare TLSv1.0 -", "bare SSLv3 -"],
        );
        assert_eq!(served.chains[0].protocol_version, SSL30);
    }
    check(
        &[],
        |question| if question.kind == Kind::Bare(TLS11) { chain(TLS11, b"x") } else { REFUSED },
        &["1.3 -", "wide -", "bare TLSv1.1 -"],
    );
}

#[test]
fn a_server_with_nothing_in_common_costs_eight_connections() {
    let expected = [
        "1.3 -",
        "wide -",
        "hybrid -",
        "weak -",
        "bare TLSv1.1 -",
        "bare TLSv1.0 -",
        "bare SSLv3 -",
        "framed -",
    ];
    let (tried, served) = run(&[], Extent::Certificates, |_| NOTHING_IN_COMMON);
    assert_eq!(tried, expected);
    assert!(served.speaks_tls && served.chains.is_empty());
    assert_eq!(served.refused, BTreeSet::from([SSL30, TLS10, TLS11]));
}

#[test]
fn what_is_no_tls_costs_one_connection() {
    for outcome in [Outcome::Failed(HelloError::NotTls), Outcome::NoConnection] {
        let served = check(&["a"], |_| outcome.clone(), &["1.3 -"]);
        assert!(served.facts().is_empty() && !served.speaks_tls);
        assert!(served.refusal.is_some());
    }
    let served = check(&["a"], |_| Outcome::TimedOut, &["1.3 -", "wide -"]);
    assert!(!served.speaks_tls);
}

#[test]
fn a_refusal_that_age_does_not_explain_ends_it() {
    let served = check(&[], |_| Outcome::Failed(HelloError::Alert(48)), &["1.3 -", "wide -"]);
    assert!(served.speaks_tls && served.facts().is_empty());
}

#[test]
fn broken_chains_are_kept_and_said_to_be_broken() {
    let server = |question: &Question| match question.kind {
        Kind::Wide => chain(TLS12, b"noise"),
        _ => REFUSED,
    };
    let served = check(&[], server, &["1.3 -", "wide -"]);
    assert_eq!(served.chains[0].chain, [b"noise".to_vec()]);
    let facts = served.facts();
    assert!(matches!(&facts[0], Fact::Certificates(_)));
    assert!(matches!(&facts[1], Fact::Tls(_)));
    let x509 = facts[2..].iter().all(|fact| {
        matches!(fact, Fact::Anomaly { protocol, problem }
            if protocol == "x509" && problem.starts_with("certificate "))
    });
    assert!(x509 && facts.len() > 2, "{facts:?}");

    let why = HelloError::Undecipherable;
    let served = check(&[], |_| Outcome::Failed(why.clone()), &["1.3 -", "wide -"]);
    assert_eq!(served.anomalies, BTreeSet::from([("tls", why.to_string())]));
}

/// A server with a new certificate for every question.
#[test]
fn what_never_ends_is_ended() {
    let names: Vec<String> = (0..100).map(|n| format!("host-{n}.example")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let count = RefCell::new(0);
    let (tried, _) = run(&names, Extent::Thorough, |_| {
        *count.borrow_mut() += 1;
        chain(TLS12, &certificate(&[&format!("new-{}.example", count.borrow())]))
    });
    assert_eq!(tried.len(), Collection::MAX_THOROUGH);
}

#[test]
fn older_versions_are_asked_for_when_wanted() {
    let der = certificate(&["*.example"]);
    let (tried, served) = run(&[], Extent::Thorough, |question| match question.kind {
        _ if !question.without.is_empty() => NOTHING_IN_COMMON,
        Kind::Wide | Kind::Modern if !question.signers.contains(Signer::P256) => NOTHING_IN_COMMON,
        Kind::Modern | Kind::Hybrid => chain(TLS13, &der),
        Kind::Wide => chain(TLS12, &der),
        Kind::UpTo(TLS11) => chain(TLS10, &der),
        _ => REFUSED,
    });
    let expected = [
        "1.3 -",
        "wide -",
        "1.3* -",
        "wide* -",
        "up to TLSv1.1 -",
        "bare SSLv3 -",
        "weak -",
        "hybrid -",
        // A weak suite of each version, then any other.
        "wide- -",
        "up to TLSv1.1- -",
        "1.3- -",
    ];
    assert_eq!(tried, expected);
    let server = served.server().unwrap();
    assert!(server.accepted.keys().eq([&TLS10, &TLS12, &TLS13]));
    assert_eq!(server.refused, BTreeSet::from([SSL30, TLS11]));
    let known = (server.asked, server.cut, server.hybrid);
    assert_eq!(known, (TlsExtent::Thorough, false, Some(true)));
}

#[test]
fn one_refusal_says_that_there_is_nothing_older_and_another_that_everything_protects() {
    let der = certificate(&["*.example"]);
    let (tried, served) = run(&["a.example"], Extent::Versions, ordinary(&der));
    let expected = [
        "1.3 -",
        "wide -",
        "1.3* -",
        "wide* -",
        "up to TLSv1.1 -",
        "weak -",
        "1.3 a.example",
        "hybrid -",
    ];
    assert_eq!(tried, expected);
    let server = served.server().unwrap();
    assert_eq!(server.refused, BTreeSet::from([SSL30, TLS10, TLS11]));
    assert_eq!((server.asked, server.cut), (TlsExtent::Versions, false));
    // One that has only TLS 1.3 refused all of it already.
    let modern = |question: &Question| match question.kind {
        Kind::Modern => chain(TLS13, &der),
        _ => REFUSED,
    };
    let (tried, _) = run(&[], Extent::Versions, modern);
    assert_eq!(tried, ["1.3 -", "wide -", "1.3* -", "hybrid -"]);
    // What insists on a name is asked for all of it by that name.
    let insists = |question: &Question| match (&question.server_name, question.kind) {
        (None, _) => Outcome::Failed(HelloError::Alert(112)),
        (_, Kind::Wide) => chain(TLS12, &der),
        _ => REFUSED,
    };
    let (tried, _) = run(&["a", "b"], Extent::Versions, insists);
    let expected =
        ["1.3 -", "wide -", "1.3 a", "wide a", "up to TLSv1.1 a", "weak a", "1.3 b", "wide b"];
    assert_eq!(tried[..8], expected);
}

/// A server of all versions from SSL 3.0 to one, with suites that protect nothing.
fn ancient(newest: TlsVersion, weak: &[u16]) -> impl Fn(&Question) -> Outcome {
    move |question| {
        let asked = match question.kind {
            Kind::Wide | Kind::Weak => TLS12,
            Kind::UpTo(version) | Kind::Bare(version) => version,
            _ => return REFUSED,
        };
        let version = asked.min(newest);
        let suite = match question.kind {
            Kind::Weak => weak.iter().copied().find(|suite| !question.without.contains(suite)),
            _ => Some(0x0035),
        };
        if suite.is_none() || !question.signers.contains(Signer::Rsa) {
            return NOTHING_IN_COMMON;
        }
        Outcome::Collected(Box::new(Collected { suite, ..collected(version, b"x") }))
    }
}

#[test]
fn what_nobody_should_accept_is_asked_as_long_as_it_is_accepted() {
    let (tried, served) = run(&[], Extent::Versions, ancient(TLS12, &[0x0001, 0x0018, 0x0008]));
    let expected = [
        "1.3 -",
        "wide -",
        "up to TLSv1.1 -",
        "up to TLSv1.0 -",
        "bare SSLv3 -",
        "weak -",
        "weak- -",
        "weak- -",
    ];
    assert_eq!(tried, expected);
    let server = served.server().unwrap();
    assert!(server.accepted.keys().eq([&SSL30, &TLS10, &TLS11, &TLS12]));
    assert!([0x0001, 0x0018, 0x0008].iter().all(|suite| server.accepted[&TLS12].contains(suite)));
    // Its best is asked for no newer one.
    let (tried, _) = run(&[], Extent::Versions, ancient(TLS10, &[]));
    assert_eq!(tried, ["1.3 -", "wide -", "bare SSLv3 -", "weak -"]);
}

#[test]
fn every_group_is_found_in_each_version_that_has_its_own() {
    let groups = [0x001d, 0x0017, 0x0018];
    let (tried, served) = run(&[], Extent::Thorough, |question| {
        let (version, suite, more) = match question.kind {
            Kind::Modern => (TLS13, 0x1301, None),
            Kind::Wide => (TLS12, 0xc02f, Some(0x001a)),
            _ => return NOTHING_IN_COMMON,
        };
        let mut groups = groups.into_iter().chain(more);
        let group = groups.find(|group| !question.without_groups.contains(group));
        match (group, question.without.contains(&suite)) {
            (Some(group), false) if question.signers == Signers::ALL => {
                let key_exchange = Some(KeyExchange::Ecdhe(Some(group)));
                let one = collected(version, b"x");
                Outcome::Collected(Box::new(Collected { suite: Some(suite), key_exchange, ..one }))
            }
            _ => NOTHING_IN_COMMON,
        }
    });
    let server = served.server().unwrap();
    assert_eq!(server.groups, BTreeSet::from([0x001d, 0x0017, 0x0018, 0x001a]));
    let asked: Vec<&String> = tried.iter().filter(|tried| tried.contains('+')).collect();
    assert_eq!(asked, ["1.3+ -", "1.3+ -", "1.3+ -", "wide+ -", "wide+ -"]);
    assert!(!server.cut, "{tried:?}");
}

#[test]
fn each_name_is_asked_for_before_any_in_all_variants() {
    let names: Vec<String> = (0..8).map(|n| format!("{n}.example")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let own: BTreeMap<&str, Vec<u8>> =
        all.iter().map(|name| (*name, certificate(&[name]))).collect();
    let fallback = certificate(&["*.example"]);
    let (tried, served) = run(&all, Extent::Versions, |question| {
        let asked = question.server_name.as_ref().and_then(|name| own.get(name.as_str()));
        ordinary(asked.unwrap_or(&fallback))(question)
    });
    assert_eq!(tried[4..6], ["up to TLSv1.1 -", "weak -"]);
    assert_eq!(tried[6..14], names.iter().map(|name| format!("1.3 {name}")).collect::<Vec<_>>());
    assert_eq!(tried.len(), Collection::MAX_CONNECTIONS);
    let found: BTreeSet<&Vec<u8>> = served.chains.iter().map(|chain| &chain.chain[0]).collect();
    assert!(own.values().all(|der| found.contains(der)));
    // The order in which they were given is kept: the first ones count most.
    let (tried, _) = run(&["z.example", "a.example", "z.example"], Extent::Versions, |question| {
        ordinary(&fallback)(question)
    });
    assert_eq!(tried[6..8], ["1.3 z.example", "1.3 a.example"]);
}

/// A server of TLS 1.2 with these suites, which it prefers in this order.
fn with_suites(suites: &[u16]) -> impl Fn(&Question) -> Outcome {
    move |question| {
        let offered: BTreeSet<u16> = certs::hello::suites_of(question.kind)
            .filter(|suite| !question.without.contains(suite))
            .collect();
        let chosen = suites.iter().find(|suite| offered.contains(suite));
        match (question.kind, chosen) {
            (Kind::Wide | Kind::Weak, Some(suite)) => {
                let collected = Collected { suite: Some(*suite), ..collected(TLS12, b"x") };
                Outcome::Collected(Box::new(collected))
            }
            _ => NOTHING_IN_COMMON,
        }
    }
}

#[test]
fn every_suite_is_found_and_no_more_is_asked() {
    let suites = [0xc02f, 0xc030, 0x009e, 0x000a, 0x002f];
    let (tried, served) = run(&[], Extent::Thorough, with_suites(&suites));
    let server = served.server().unwrap();
    assert_eq!(server.accepted[&TLS12], BTreeSet::from(suites));
    assert!(!server.cut);
    // One for each suite, one for the end of the weak ones and one for the end of all.
    assert_eq!(tried.iter().filter(|tried| *tried == "wide- -").count(), 1 + 1 + 3 + 1);
}

#[test]
fn weak_suites_are_found_before_the_connections_are_used_up() {
    let good = certs::hello::suites_of(Kind::Wide).take(60);
    let weak = [0x000a, 0x0005, 0x0009, 0x0001, 0x0008, 0x00a6];
    let suites: Vec<u16> = good.chain(weak).collect();
    let (tried, served) = run(&[], Extent::Thorough, with_suites(&suites));
    assert_eq!(tried.len(), Collection::MAX_THOROUGH);
    let server = served.server().unwrap();
    assert!(server.cut && weak.iter().all(|suite| server.accepted[&TLS12].contains(suite)));
}

#[test]
fn what_all_attempts_showed_is_one_fact() {
    let mut served = Served::default();
    let precautions = |secure_renegotiation, compression| Precautions {
        secure_renegotiation,
        compression,
        extended_master_secret: true,
    };
    let request = certs::hello::ClientCertificate {
        authorities: vec!["CN=Example Root".into(), "CN=Another".into()],
        left_out: 0,
    };
    let first = Collected {
        suite: Some(0x0033),
        key_exchange: Some(KeyExchange::Dhe(2048)),
        client_certificate: Some(request),
        stapled: Some(b"response".to_vec()),
        protocol: Some("h2".to_owned()),
        precautions: Some(precautions(true, 0)),
        ..collected(TLS12, b"x")
    };
    let second = Collected {
        key_exchange: Some(KeyExchange::Dhe(1024)),
        precautions: Some(precautions(false, 1)),
        ..first.clone()
    };
    let third = Collected {
        suite: Some(0x1302),
        key_exchange: Some(KeyExchange::Ecdhe(Some(0x1d))),
        ..collected(TLS13, b"x")
    };
    for collected in [first, second, third] {
        served.add(&Question::of(Kind::Wide), Outcome::Collected(Box::new(collected)));
    }
    let expected = TlsServer {
        asked: TlsExtent::Gentle,
        cut: false,
        starttls: None,
        accepted: BTreeMap::from([
            (TLS12, BTreeSet::from([0x0033])),
            (TLS13, BTreeSet::from([0x1302])),
        ]),
        refused: BTreeSet::new(),
        groups: BTreeSet::from([0x1d]),
        dh_bits: Some(1024),
        protocols: BTreeSet::from(["h2".to_owned()]),
        client_authorities: Some(["CN=Another", "CN=Example Root"].map(str::to_owned).into()),
        compression: Some(1),
        secure_renegotiation: Some(false),
        extended_master_secret: Some(true),
        hybrid: None,
    };
    assert_eq!(served.server().as_ref(), Some(&expected));
    assert_eq!(served.stapled.len(), 1);
    assert!(served.facts().contains(&Fact::Tls(expected)));
    assert_eq!(Served::default().server(), None);
}

#[test]
fn a_server_of_domains_is_asked_by_each_name_until_it_knows_one() {
    let der = certificate(&["example.com"]);
    let ask = |served: &'static str| {
        let names = ["chat.example.com", "other.example"].map(name);
        let mut collection =
            Collection::new(names, Extent::Gentle).behind(Some(Starttls::XmppClient));
        let mut asked = Vec::new();
        while let Some(question) = collection.next() {
            let host = collection.host_name().unwrap_or("address").to_owned();
            let answer = match host == served {
                true => ordinary(&der)(&question),
                false => Outcome::BeforeTls(Refusal::UnknownName),
            };
            asked.push(host);
            collection.record(answer);
        }
        (asked, collection.finish())
    };
    let (asked, served) = ask("example.com");
    assert_eq!(asked, ["chat.example.com", "other.example", "example.com", "example.com"]);
    assert_eq!((served.connections, served.chains.len()), (4, 2));
    assert_eq!(served.chains[0].starttls.as_deref(), Some("xmpp-client"));
    let (asked, served) = ask("nobody");
    assert_eq!(asked, ["chat.example.com", "other.example", "example.com", "address"]);
    assert_eq!(served.connections, 4);
    let refusal = "it does not serve the names that are known for it";
    assert_eq!((served.refusal.as_deref(), served.is_plain), (Some(refusal), false));
}

#[test]
fn a_name_that_is_not_served_is_no_reason_to_stop() {
    let der = certificate(&["a.example", "b.example"]);
    let names = ["a.example", "c.example"].map(name);
    let mut collection =
        Collection::new(names, Extent::Certificates).behind(Some(Starttls::XmppServer));
    let mut asked = Vec::new();
    while let Some(question) = collection.next() {
        let host = collection.host_name().unwrap().to_owned();
        collection.record(match host.as_str() {
            "a.example" | "b.example" => ordinary(&der)(&question),
            _ => Outcome::BeforeTls(Refusal::UnknownName),
        });
        assert!(question.protocols.is_empty());
        asked.push(host);
    }
    assert!(
        asked.contains(&"c.example".to_owned()) && asked.contains(&"b.example".to_owned()),
        "{asked:?}"
    );
    assert!(!collection.finish().chains.is_empty());
}

#[test]
fn by_datagrams_nobody_says_that_more_was_asked_than_was() {
    let asked = |extent| {
        let mut collection = Collection::over_datagrams([], extent);
        while collection.next().is_some() {
            collection.record(chain(TLS12, &certificate(&["sensor.example"])));
        }
        collection.finish().asked
    };
    assert_eq!(asked(Extent::Gentle), TlsExtent::Gentle);
    assert_eq!(asked(Extent::Thorough), TlsExtent::Certificates);
}

/// A server of QUIC with one certificate.
fn by_quic(der: &[u8], insists: bool) -> impl Fn(&Question) -> Outcome {
    move |question| match question.kind {
        _ if question.protocols.is_empty() == insists => {
            Outcome::Failed(HelloError::Alert(NO_PROTOCOL))
        }
        Kind::Modern if question.signers.contains(Signer::P256) => chain(TLS13, der),
        _ => NOTHING_IN_COMMON,
    }
}

#[test]
fn by_quic_only_tls_13_is_asked_for_and_always_a_protocol() {
    let der = certificate(&["a.example"]);
    let names = || [name("b.example")];
    let quic = |extent| Collection::over_quic(names(), extent);
    let expected =
        ["1.3 -", "1.3* -", "1.3 b.example", "1.3 a.example", "hybrid -"].map(str::to_owned);
    let (tried, served) = plan(quic(Extent::Certificates), by_quic(&der, true));
    assert_eq!(tried, expected);
    assert_eq!((served.chains.len(), served.hybrid), (3, Support::No));
    // Nor is one of another protocol asked for more.
    let (tried, served) = plan(quic(Extent::Thorough), by_quic(&der, true));
    assert_eq!((tried, served.asked), (expected.to_vec(), TlsExtent::Certificates));
    let (tried, _) = plan(quic(Extent::Gentle), by_quic(&der, true));
    assert_eq!(tried, ["1.3 -"]);
    // One that refuses who offers any is asked again without, and then always.
    let (tried, served) = plan(quic(Extent::Certificates), by_quic(&der, false));
    assert_eq!(tried, [&["1.3 -".to_owned()], &expected[..]].concat());
    assert_eq!(served.chains.len(), 3);
}

#[test]
fn a_server_of_quic_that_refuses_costs_little() {
    let quic = || Collection::over_quic([name("b.example")], Extent::Certificates);
    let (tried, _) = plan(quic(), |_| NOTHING_IN_COMMON);
    assert_eq!(tried, ["1.3 -", "1.3 b.example", "hybrid -"]);
    let (tried, _) = plan(quic(), |_| Outcome::TimedOut);
    assert_eq!(tried, ["1.3 -", "1.3 b.example"]);
    let (tried, served) = plan(quic(), |_| Outcome::Failed(HelloError::Quic(2)));
    assert_eq!(tried, ["1.3 -", "1.3 b.example"]);
    assert_eq!(
        served.refusal.as_deref(),
        Some("it refused in QUIC with error 0x2 (CONNECTION_REFUSED)")
    );
    assert!(served.speaks_tls && served.anomalies.is_empty());
}
