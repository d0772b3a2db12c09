//! How fast the store is. Every test prints its numbers (`--nocapture`), and in release
//! builds holds the store to half of what a quiet machine of two cores does: a change that
//! makes it twice as slow fails.

use std::time::Instant;

use super::*;

/// Prints what was measured, and in a release build holds it to `least` a second.
#[expect(clippy::print_stderr, reason = "the number is what this is for")]
fn report(what: &str, count: usize, began: Instant, least: f64) {
    let seconds = began.elapsed().as_secs_f64();
    let rate = count as f64 / seconds;
    eprintln!("{what}: {count} in {:.0} ms, {rate:.0} a second", seconds * 1e3);
    if !cfg!(debug_assertions) {
        assert!(rate >= least, "{what}: {rate:.0} a second, expected {least:.0}");
    }
}

/// Ten thousand machines with an open port, a product, a name and a MAC each.
fn machines(count: u32) -> Vec<Observation> {
    (0..count)
        .flat_map(|index| {
            let here = Subject::Address(address(index));
            let name = format!("pc-{index}.example.com");
            [
                link(1, index),
                observation(
                    1,
                    here,
                    Method::Resolver,
                    Fact::HostName { name, source: NameSource::Dns },
                ),
                port(1, index, 80, PortState::Open),
                banner(1, index, 80, "nginx", "1.22.1"),
            ]
        })
        .collect()
}

/// What ten thousand servers serve: a certificate of its own each, of one authority, whose
/// certificate comes along. The root is the second.
fn served(count: u32) -> (Vec<Observation>, Vec<u8>) {
    let authority = |name: &str| {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params
    };
    let key = || rcgen::KeyPair::generate().unwrap();
    let (root, root_key) = (authority("root"), key());
    let own = root.self_signed(&root_key).unwrap().der().to_vec();
    let root = rcgen::Issuer::new(root, root_key);
    let (middle, middle_key) = (authority("middle"), key());
    let above = middle.signed_by(&middle_key, &root).unwrap().der().to_vec();
    let middle = rcgen::Issuer::new(middle, middle_key);
    let key = key();
    let one = |index: u32| {
        let params = rcgen::CertificateParams::new(vec![format!("s{index}.example")]).unwrap();
        let leaf = params.signed_by(&key, &middle).unwrap().der().to_vec();
        let fact = Fact::Certificates(CertificateChain {
            chain: vec![leaf, above.clone()],
            server_name: None,
            protocol_version: TlsVersion(0x0304),
            starttls: None,
        });
        let subject = Subject::Endpoint(Endpoint::tcp(address(index), 443));
        observation(1, subject, Method::Tls, fact)
    };
    ((0..count).map(one).collect(), own)
}

#[tokio::test]
async fn ten_thousand_chains_are_judged_once() {
    // Signatures take long in a debug build.
    const COUNT: u32 = if cfg!(debug_assertions) { 1_000 } else { 10_000 };
    let folder = Folder::new();
    let store = folder.store().await;
    let scan = folder.begin(&store, 1).await;
    let (observations, root) = served(COUNT);
    store.write_observations(scan, observations).await.unwrap();
    store.digest(scan, at(5)).await.unwrap();
    let as_of: Timestamp = "2026-11-01".parse().unwrap();
    let policy = |own: Vec<Vec<u8>>| inventory::store::Policy {
        thresholds: certs::Thresholds::default(),
        offset: jiff::tz::Offset::UTC,
        network: inventory::compare::Network::default(),
        anchors: std::sync::Arc::new(inventory::chain::Anchors { own, ..Default::default() }),
        routes: Vec::new(),
    };
    let (without, with) = (policy(Vec::new()), policy(vec![root]));
    for (what, policy, least) in [
        ("reviewed, no root being known", &without, 1_000.0),
        ("reviewed again", &without, 1_000.0),
        ("reviewed, each chain being judged", &with, 500.0),
        ("reviewed, each being remembered", &with, 1_000.0),
    ] {
        let began = Instant::now();
        let review = store.review(as_of, policy).await.unwrap();
        report(what, COUNT as usize, began, least);
        let judged = review.compared.chains.by_leaf();
        let accepted = judged.values().flatten().filter(|(_, verdict)| verdict.reasons.is_empty());
        let expected = if policy.anchors.own.is_empty() { 0 } else { COUNT as usize };
        assert_eq!((judged.len(), accepted.count()), (expected, expected), "{what}");
    }
    is_sound(&store).await;
}

#[tokio::test]
async fn observations_are_written_fast() {
    const COUNT: u32 = 100_000;
    let folder = Folder::new();
    let store = folder.store().await;
    for (what, seconds) in [("new observations", 1), ("the same observations again", 2)] {
        let scan = folder.begin(&store, seconds).await;
        let seen: Vec<_> = (0..COUNT).map(|index| link(seconds, index)).collect();
        let (sink, writer) = Writer::start(&store, scan).unwrap();
        let began = Instant::now();
        for observation in seen {
            sink.send(observation).await.unwrap();
        }
        drop(sink);
        writer.finish().await.unwrap();
        report(what, COUNT as usize, began, 45_000.0);
    }
    assert_eq!(store.observation_count().await.unwrap(), u64::from(COUNT));
}

#[tokio::test]
async fn ten_thousand_assets_are_stored_and_listed_fast() {
    const COUNT: u32 = 10_000;
    let folder = Folder::new();
    let store = folder.store().await;
    let scan = folder.begin(&store, 1).await;
    let seen = machines(COUNT);
    let all = Instant::now();
    let began = Instant::now();
    store.write_observations(scan, seen).await.unwrap();
    report("observations of assets", 4 * COUNT as usize, began, 60_000.0);
    let began = Instant::now();
    let digest = store.digest(scan, at(5)).await.unwrap();
    report("assets digested", digest.assets.len(), began, 8_000.0);
    let began = Instant::now();
    let assets = store.assets().await.unwrap();
    report("assets listed", assets.len(), began, 45_000.0);
    // The goal is one second on a quiet machine.
    report("assets imported and listed", assets.len(), all, 5_000.0);
    assert_eq!(assets.len(), COUNT as usize);
    assert_eq!(assets, digest.assets);
    is_sound(&store).await;
}
