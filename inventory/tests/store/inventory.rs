//! From observations to assets and findings, through the file.

use std::sync::Arc;

use certs::store::{Format, Held, PrivateKey};
use inventory::{
    alert::{self, AlertKind},
    asset::{Asset, AssetId, EventKind},
    file::FoundFile,
    finding::{ChangeKind, FindingState},
    register::{self, DeviceEntry, RegisterKind, SoftwareEntry},
    store::{Policy, RegisterSource, Replaces, StoreError},
};
use model::{
    DiscoveryProtocol, FingerprintKind, HostCertificate, HostKey, Identifier, MachineIdKind,
    Neighbor, NetworkRole, RedundancyProtocol, TlsExtent, TlsServer, Use,
};

use super::*;

/// Every table whose rows a merge must leave alone.
const ASSET_TABLES: &[&str] = &[
    "asset",
    "identifier",
    "name",
    "service",
    "software",
    "os",
    "deployment",
    "certificate",
    "anomaly",
    "heard",
    "observation",
];

pub(crate) fn policy() -> Policy {
    Policy {
        thresholds: certs::Thresholds::default(),
        offset: jiff::tz::Offset::UTC,
        network: inventory::compare::Network::default(),
        anchors: Arc::default(),
        routes: Vec::new(),
    }
}

fn certificate(name: &str) -> Vec<u8> {
    let key = rcgen::KeyPair::generate().unwrap();
    let parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    parameters.self_signed(&key).unwrap().der().to_vec()
}

fn chain(seconds: i64, index: u32, chain: Vec<Vec<u8>>) -> Observation {
    let served = CertificateChain {
        chain,
        server_name: Some("www.example.com".into()),
        protocol_version: TlsVersion(0x0304),
        starttls: None,
    };
    let subject = Subject::Endpoint(Endpoint::tcp(address(index), 443));
    observation(seconds, subject, Method::Tls, Fact::Certificates(served))
}

/// A machine with something in every table.
pub(crate) fn machine(seconds: i64, index: u32) -> Vec<Observation> {
    let here = Subject::Address(address(index));
    vec![
        link(seconds, index),
        observation(seconds, here, Method::Echo, Fact::Alive { ttl: Some(64) }),
        observation(
            seconds,
            here,
            Method::Resolver,
            Fact::HostName { name: format!("pc-{index}.example.com"), source: NameSource::Dns },
        ),
        observation(
            seconds,
            here,
            Method::Dialogue,
            Fact::MachineId { kind: MachineIdKind::SmbGuid, value: format!("guid-{index}") },
        ),
        observation(
            seconds,
            here,
            Method::Dialogue,
            Fact::OperatingSystem { name: "Debian".into(), version: Some("12".into()), cpe: None },
        ),
        port(seconds, index, 80, PortState::Open),
        port(seconds, index, 22, PortState::Open),
        banner(seconds, index, 80, "nginx", "1.22.1"),
        observation(
            seconds,
            here,
            Method::Dialogue,
            Fact::Anomaly {
                protocol: "ssh".into(), problem: "ends too soon\0 \"x\" 台帳".into()
            },
        ),
        observation(seconds, here, Method::Capture, Fact::Use(Use::Resolver(address(index + 1)))),
    ]
}

impl Folder {
    /// A sweep that saw this, stored and digested.
    pub(crate) async fn sweep(
        &self,
        store: &Store,
        seconds: i64,
        seen: Vec<Observation>,
    ) -> inventory::store::Digest {
        let scan = self.begin(store, seconds).await;
        store.write_observations(scan, seen).await.unwrap();
        store.finish_scan(scan, &record(seconds)).await.unwrap();
        store.digest(scan, at(seconds + 10)).await.unwrap()
    }
}

#[tokio::test]
async fn what_was_heard_is_kept_as_it_was_told() {
    let folder = Folder::new();
    let store = folder.store().await;
    let here = Subject::Address(address(7));
    let neighbor = Neighbor {
        system_name: Some("sw7 \"x\" 台帳".into()),
        addresses: vec![address(7)],
        ..Neighbor::of(DiscoveryProtocol::Lldp)
    };
    let facts = [
        Fact::Role(NetworkRole::VirtualRouter {
            protocol: RedundancyProtocol::Hsrp,
            group: 300,
            address: Some(address(9)),
        }),
        Fact::Use(Use::Cleartext { protocol: "telnet".into(), server: address(9) }),
        Fact::Fingerprint { kind: FingerprintKind::Dhcp, value: "1,3,6".into() },
        Fact::Neighbor(neighbor),
        Fact::Vlan(7),
    ];
    let told = |seconds| {
        let heard = |fact: &Fact| observation(seconds, here, Method::Capture, fact.clone());
        facts.iter().map(heard).chain([link(seconds, 7)]).collect::<Vec<_>>()
    };
    folder.sweep(&store, 10, told(10)).await;
    folder.sweep(&store, 20, told(20)).await;
    let assets = store.assets().await.unwrap();
    let kept: Vec<Fact> = assets[0].heard.iter().map(|heard| heard.what.fact()).collect();
    assert_eq!(kept.len(), facts.len());
    assert!(facts.iter().all(|fact| kept.contains(fact)), "{kept:?}");
    assert!(assets[0].heard.iter().all(|heard| {
        (heard.subject, heard.first_seen, heard.last_seen) == (here, at(10), at(20))
    }));
}

#[tokio::test]
async fn what_a_tls_server_accepts_is_part_of_its_service_and_a_staple_stays_whole() {
    let folder = Folder::new();
    let store = folder.store().await;
    let endpoint = Endpoint::tcp(address(7), 443);
    let server = TlsServer {
        asked: TlsExtent::Thorough,
        cut: false,
        starttls: None,
        accepted: [(0x0301, 0x0005), (0x0303, 0xc02f)]
            .map(|(version, suite)| (TlsVersion(version), [suite].into()))
            .into(),
        refused: [TlsVersion(0x0300)].into(),
        groups: [0x1d].into(),
        dh_bits: None,
        protocols: ["h2".to_owned()].into(),
        client_authorities: Some(["CN=台帳".to_owned()].into()),
        compression: Some(0),
        secure_renegotiation: Some(true),
        extended_master_secret: None,
        hybrid: Some(false),
    };
    let seen = |seconds, server: &TlsServer, response: &[u8]| {
        let subject = Subject::Endpoint(endpoint);
        let tls = |fact| observation(seconds, subject, Method::Tls, fact);
        let stapled = Fact::OcspResponse { certificate: "ab".into() };
        vec![
            link(seconds, 7),
            port(seconds, 7, 443, PortState::Open),
            tls(Fact::Tls(server.clone())),
            Observation { evidence: response.to_vec(), ..tls(stapled) },
        ]
    };
    let (old, new) = (vec![1; 3_000], vec![2; 4_000]);
    folder.sweep(&store, 1, seen(1, &server, &old)).await;
    folder.sweep(&store, 20, seen(20, &server, &new)).await;
    let known = store.assets().await.unwrap()[0].services[0].tls_server.clone().unwrap();
    assert_eq!((known.server, known.last_seen), (server.clone(), at(20)));
    let stapled = store.stapled().await.unwrap();
    assert_eq!(stapled.len(), 1);
    assert_eq!((stapled[0].endpoint, stapled[0].last_seen), (endpoint, at(20)));
    assert_eq!((&*stapled[0].certificate, &stapled[0].response), ("ab", &new));

    let open = |review: &inventory::store::ReviewSummary| -> Vec<(String, FindingState)> {
        let tls = review.findings.iter().filter(|f| f.finding.key.rule.starts_with("tls."));
        tls.map(|f| (f.finding.key.rule.clone(), f.finding.state)).collect()
    };
    // The rules are in force by then.
    const LATER: Timestamp = Timestamp::from_seconds(1_800_000_000);
    let both = ["tls.old-version", "tls.rc4"].map(str::to_owned);
    let review = store.review(LATER, &policy()).await.unwrap();
    assert_eq!(open(&review), both.clone().map(|rule| (rule, FindingState::Open)));
    // A sweep that does not ask for the old version resolves nothing.
    let ordinary = TlsServer {
        asked: TlsExtent::Certificates,
        accepted: [(TlsVersion(0x0303), [0xc02f].into())].into(),
        refused: [].into(),
        ..server.clone()
    };
    folder.sweep(&store, 40, seen(40, &ordinary, &new)).await;
    let review = store.review(LATER, &policy()).await.unwrap();
    assert_eq!(open(&review), both.clone().map(|rule| (rule, FindingState::Open)));
    let refuses = TlsServer { refused: [TlsVersion(0x0301)].into(), ..ordinary };
    folder.sweep(&store, 60, seen(60, &refuses, &new)).await;
    store.review(LATER, &policy()).await.unwrap();
    let resolved = store.findings().await.unwrap();
    let resolved = resolved.iter().filter(|f| f.finding.state == FindingState::Resolved);
    assert_eq!(resolved.map(|f| f.finding.key.rule.clone()).collect::<Vec<_>>(), both);
}

#[tokio::test]
async fn a_host_certificate_is_told_of_while_the_server_shows_it() {
    let folder = Folder::new();
    let store = folder.store().await;
    let key = HostKey { algorithm: "ssh-ed25519".into(), sha256: "aa".into() };
    let certificate = HostCertificate {
        key: key.clone(),
        authority: HostKey { algorithm: "ssh-ed25519".into(), sha256: "bb".into() },
        serial: 7,
        key_id: "pc 7".into(),
        principals: vec!["pc-7.example".into()],
        not_before: at(0),
        not_after: Some(at(86_400)),
    };
    let told = |seconds, fact| {
        let subject = Subject::Endpoint(Endpoint::tcp(address(7), 22));
        observation(seconds, subject, Method::Dialogue, fact)
    };
    let both = |seconds| {
        let certificate = Fact::HostCertificate(certificate.clone());
        vec![
            link(seconds, 7),
            told(seconds, Fact::HostKey(key.clone())),
            told(seconds, certificate),
        ]
    };
    folder.sweep(&store, 1, both(1)).await;
    let attribute = "host_certificate:ssh-ed25519";
    let validity = |assets: &[Asset]| assets[0].services[0].attributes.get(attribute).cloned();
    let expected = "1970-01-01T00:00:00Z/1970-01-02T00:00:00Z";
    let assets = store.assets().await.unwrap();
    assert_eq!(assets.len(), 1);
    assert_eq!(validity(&assets).as_deref(), Some(expected));
    let review = store.review(at(100_000), &policy()).await.unwrap();
    assert!(review.findings.iter().any(|f| f.finding.key.rule == "ssh.certificate-expired"));
    folder.sweep(&store, 20, vec![link(20, 7), told(20, Fact::HostKey(key.clone()))]).await;
    assert_eq!(validity(&store.assets().await.unwrap()), None);
}

#[tokio::test]
async fn what_was_seen_is_an_asset_with_all_its_parts() {
    let folder = Folder::new();
    let store = folder.store().await;
    let (leaf, issuer) = (certificate("www.example.com"), certificate("ca"));
    let mut seen = machine(1, 7);
    seen.push(chain(1, 7, vec![leaf.clone(), issuer.clone()]));
    let digest = folder.sweep(&store, 1, seen).await;
    assert_eq!(digest.observations, 11);
    assert_eq!(digest.assets, store.assets().await.unwrap());
    let [asset] = &digest.assets[..] else { panic!("{:?}", digest.assets) };
    assert_eq!(asset.addresses().collect::<Vec<_>>(), [address(7)]);
    assert_eq!(asset.macs().collect::<Vec<_>>(), [mac(7)]);
    assert_eq!(asset.names[0].name, "pc-7.example.com");
    assert_eq!(asset.os.as_ref().unwrap().name, "Debian");
    assert!(asset.software.iter().any(|software| software.product == "nginx"));
    assert_eq!(asset.anomalies[0].problem, "ends too soon\0 \"x\" 台帳");
    assert_eq!(asset.deployments[0].chain.len(), 1);
    assert!(asset.services.iter().any(|service| service.port == 80));
    assert!(digest.events.iter().any(|event| event.kind == EventKind::AssetFirstSeen));
    // The certificates came back whole.
    let stored = store.certificate_der(&asset.deployments[0].sha256).await.unwrap();
    assert_eq!(stored, Some(leaf));
    let certificates = store.certificates(None).await.unwrap();
    assert_eq!(certificates.len(), 2);
    let places: Vec<usize> = certificates.iter().map(|c| c.endpoints.len()).collect();
    assert_eq!(places.iter().sum::<usize>(), 1);
    assert!(certificates.iter().all(|c| c.self_signed && !c.names.is_empty()));
    assert_eq!(store.certificates(Some(at(0))).await.unwrap(), []);
    is_sound(&store).await;
}

#[tokio::test]
async fn digesting_again_changes_nothing() {
    let folder = Folder::new();
    let store = folder.store().await;
    folder.sweep(&store, 1, machine(1, 7)).await;
    let tables: Vec<&str> = ASSET_TABLES.iter().copied().chain(["event", "merge"]).collect();
    let before = folder.dump(&tables).await;
    let scan = store.scans(1).await.unwrap()[0].id;
    assert_eq!(store.digest(scan, at(50)).await.unwrap().observations, 0);
    assert_eq!(folder.dump(&tables).await, before);
    let missing = store.digest(model::ScanId(77), at(1)).await;
    assert!(matches!(missing, Err(StoreError::NoScan(_))));
}

#[tokio::test]
async fn only_what_was_made_since_is_digested() {
    let folder = Folder::new();
    let store = folder.store().await;
    folder.sweep(&store, 1, (0..5).map(|index| link(1, index)).collect()).await;
    // Two are seen again, one is new and seen twice.
    let scan = folder.begin(&store, 100).await;
    store.write_observations(scan, [link(100, 1), link(100, 3), link(100, 7)]).await.unwrap();
    store.write_observations(scan, [link(101, 7)]).await.unwrap();
    let digest = store.digest(scan, at(110)).await.unwrap();
    assert_eq!(digest.observations, 3);
    let addresses: Vec<_> = digest.assets.iter().flat_map(Asset::addresses).collect();
    assert_eq!(addresses, [address(1), address(3), address(7)]);
    let new = &digest.assets[2];
    assert_eq!((new.first_seen, new.last_seen), (at(100), at(101)));
    assert_eq!(store.digest(scan, at(120)).await.unwrap().observations, 0);
    // From another place of the site, with a number that came before those digested here.
    let mut elsewhere = link(130, 9);
    elsewhere.vantage.name = "elsewhere".into();
    store.write_observations(scan, [elsewhere, link(131, 9)]).await.unwrap();
    assert_eq!(store.digest(scan, at(140)).await.unwrap().observations, 2);
    assert_eq!(store.digest(scan, at(150)).await.unwrap().observations, 0);
    is_sound(&store).await;
}

#[tokio::test]
async fn what_waits_in_a_database_of_version_1_is_digested_once() {
    let folder = Folder::new();
    let store = folder.store().await;
    // Version 1 had no place for what is heard.
    let seen = (0..5).flat_map(|index| machine(1, index));
    let asked = seen.filter(|observation| observation.method != Method::Capture);
    folder.sweep(&store, 1, asked.collect()).await;
    let scan = folder.begin(&store, 100).await;
    store.write_observations(scan, [link(100, 1), link(100, 7)]).await.unwrap();
    store.close().await;
    let copy = Folder::new();
    std::fs::copy(folder.path(), copy.path()).unwrap();
    // As version 1 left it.
    copy.tamper(
        "UPDATE observation SET pending = 2
             WHERE id > (SELECT digested FROM vantage WHERE id = observation.vantage);
         ALTER TABLE vantage DROP COLUMN digested;
         CREATE INDEX asset_site ON asset (site);
         DROP TABLE file_certificate;
         DROP TABLE file;
         DROP TABLE told;
         DROP TABLE route;
         DROP TABLE baseline;
         DROP TABLE outbox_item;
         DROP TABLE outbox;
         DROP TABLE job_wish;
         DROP TABLE progress;
         DROP TABLE page_process;
         DROP TABLE attempt;
         DROP TABLE saved_view;
         DROP TABLE api_token;
         DROP TABLE session;
         DROP TABLE user_identity;
         DROP TABLE user;
         DROP TRIGGER event_stays;
         DROP TABLE horizon;
         CREATE TRIGGER event_stays BEFORE DELETE ON event BEGIN SELECT 1; END;
         ALTER TABLE scan DROP COLUMN bytes;
         DROP TABLE job;
         DROP TABLE run;
         DROP TABLE imported;
         DROP TABLE verdict;
         DROP TABLE heard;
         DROP TABLE download;
         DROP TABLE decision;
         DROP TABLE audit;
         DROP TABLE list_generation;
         DROP TABLE listed_asset;
         DROP TABLE listed_address;
         DROP TABLE listed_service;
         DROP TABLE service_kind;
         DROP TABLE listed_software;
         DROP TABLE product;
         DROP TABLE listed_certificate;
         DROP TABLE listed_finding;
         DROP TABLE daily;
         DROP INDEX observation_ocsp;
         ALTER TABLE service DROP COLUMN tls_server;
         ALTER TABLE service DROP COLUMN tls_server_seen;
         PRAGMA user_version = 1",
    )
    .await;
    let mut digests = Vec::new();
    for folder in [folder, copy] {
        let store = folder.store().await;
        digests.push(store.digest(scan, at(110)).await.unwrap());
        assert_eq!(store.digest(scan, at(120)).await.unwrap().observations, 0);
        is_sound(&store).await;
    }
    assert_eq!(digests[0].observations, 2);
    assert_eq!(digests[0], digests[1]);
}

#[tokio::test]
async fn a_second_sweep_updates_the_same_asset() {
    let folder = Folder::new();
    let store = folder.store().await;
    folder.sweep(&store, 1, machine(1, 7)).await;
    let mut later = machine(100, 7);
    later.retain(|o| !matches!(o.fact, Fact::Service(_)));
    later.push(banner(100, 7, 80, "nginx", "1.26.0"));
    let digest = folder.sweep(&store, 100, later).await;
    let assets = store.assets().await.unwrap();
    assert_eq!(assets.len(), 1);
    assert_eq!((assets[0].first_seen, assets[0].last_seen), (at(1), at(100)));
    let changed: Vec<_> = digest.events.iter().map(|event| event.kind).collect();
    assert_eq!(changed, [EventKind::ProductChanged]);
    let nginx = assets[0].software.iter().filter(|software| software.product == "nginx");
    let versions: Vec<_> = nginx.map(|s| (s.version.as_deref().unwrap(), s.current)).collect();
    assert_eq!(versions, [("1.22.1", false), ("1.26.0", true)]);
    is_sound(&store).await;
}

#[tokio::test]
async fn a_new_fact_counts_at_its_first_and_its_last_time() {
    let folder = Folder::new();
    let store = folder.store().await;
    folder.sweep(&store, 1, vec![link(1, 7), link(60, 7)]).await;
    let assets = store.assets().await.unwrap();
    // The digest is as of the eleventh second, so what was claimed for later counts then.
    assert_eq!((assets[0].first_seen, assets[0].last_seen), (at(1), at(11)));
}

#[tokio::test]
async fn sites_do_not_mix() {
    let folder = Folder::new();
    let store = folder.store().await;
    folder.sweep(&store, 1, vec![link(1, 7)]).await;
    let office = Vantage { site: Site("office".into()), name: "there".into() };
    let scan = store.begin_scan(&office, at(5), "raw", &[], "sweep").await.unwrap();
    let elsewhere = Observation { vantage: office.clone(), ..link(5, 7) };
    store.write_observations(scan, [elsewhere]).await.unwrap();
    store.digest(scan, at(6)).await.unwrap();
    assert_eq!(store.assets().await.unwrap().len(), 2);
    assert_eq!(store.assets_at(&office.site).await.unwrap().len(), 1);
    let error = store.merge(AssetId(1), AssetId(2), "same", at(7)).await.unwrap_err();
    assert!(matches!(error, StoreError::OtherSite { .. }), "{error}");
}

#[tokio::test]
async fn a_merge_is_read_as_one_and_a_split_gives_back_every_byte() {
    let folder = Folder::new();
    let store = folder.store().await;
    let seen: Vec<_> = [1, 2, 3].into_iter().flat_map(|index| machine(1, index)).collect();
    folder.sweep(&store, 1, seen).await;
    let apart = store.assets().await.unwrap();
    assert_eq!(apart.len(), 3);
    let before = folder.dump(ASSET_TABLES).await;
    let [a, b, c] = [apart[0].id, apart[1].id, apart[2].id];

    store.merge(c, b, "one machine, two cards", at(20)).await.unwrap();
    store.merge(b, a, "and a third", at(21)).await.unwrap();
    assert_eq!(folder.dump(ASSET_TABLES).await, before, "a merge changes no row");
    let merged = store.assets().await.unwrap();
    assert_eq!(merged.len(), 1);
    assert_eq!(merged[0].id, a);
    assert_eq!(merged[0].addresses().count(), 3);
    assert_eq!(merged[0].names.len(), 3);
    assert_eq!(merged[0].services.len(), 6);
    assert_eq!(store.shown_as(c).await.unwrap(), a);
    for id in [a, b, c] {
        let dossier = store.asset(id).await.unwrap();
        assert_eq!(dossier.asset, merged[0]);
        assert_eq!(dossier.parts, apart);
        assert_eq!(dossier.merges.len(), 2);
        assert_eq!(dossier.observations.len(), 30);
    }

    store.split(b, "it was not", at(30)).await.unwrap();
    let dossier = store.asset(c).await.unwrap();
    assert_eq!((dossier.asset.id, dossier.parts.len()), (b, 2), "what was merged into it stays");
    store.split(c, "nor that", at(31)).await.unwrap();
    assert_eq!(folder.dump(ASSET_TABLES).await, before);
    assert_eq!(store.assets().await.unwrap(), apart);
    let kinds: Vec<_> = store.events(4).await.unwrap().iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::Split, EventKind::Split, EventKind::Merged, EventKind::Merged]);
    assert_eq!(folder.dump(&["merge"]).await.len(), 2, "the overlay's past stays");
    is_sound(&store).await;
}

#[tokio::test]
async fn what_is_learned_during_a_merge_goes_to_the_asset_that_it_is_about() {
    let folder = Folder::new();
    let store = folder.store().await;
    let both = |seconds| [machine(seconds, 1), machine(seconds, 2)].concat();
    folder.sweep(&store, 1, both(1)).await;
    let [a, b] = [AssetId(1), AssetId(2)];
    store.merge(b, a, "one machine", at(20)).await.unwrap();
    let mut later = both(100);
    later.push(port(100, 2, 8080, PortState::Open));
    let digest = folder.sweep(&store, 100, later).await;
    assert_eq!(digest.assets.len(), 1, "shown as one");
    assert!(digest.assets[0].services.iter().any(|service| service.port == 8080));
    store.split(b, "two machines", at(120)).await.unwrap();
    let assets = store.assets().await.unwrap();
    let has = |index: usize| assets[index].services.iter().any(|service| service.port == 8080);
    assert_eq!((has(0), has(1)), (false, true));
    assert_eq!(assets[0].addresses().collect::<Vec<_>>(), [address(1)]);
    is_sound(&store).await;
}

fn host_key(seconds: i64, index: u32) -> Observation {
    let key = HostKey { algorithm: "ssh-ed25519".into(), sha256: "ab".repeat(32) };
    let subject = Subject::Endpoint(Endpoint::tcp(address(index), 22));
    observation(seconds, subject, Method::Dialogue, Fact::HostKey(key))
}

#[tokio::test]
async fn what_identity_merges_a_person_can_split_for_good() {
    let folder = Folder::new();
    let store = folder.store().await;
    let links = |seconds| vec![link(seconds, 1), link(seconds, 2)];
    let with_keys = |seconds| [links(seconds), vec![host_key(seconds, 1), host_key(seconds, 2)]];
    folder.sweep(&store, 1, links(1)).await;
    let apart = store.assets().await.unwrap();
    assert_eq!(apart.len(), 2);
    let digest = folder.sweep(&store, 100, with_keys(100).concat()).await;
    let [(from, into, because)] = &digest.merges[..] else { panic!("{:?}", digest.merges) };
    assert!(because.contains("ssh_host_key"), "{because}");
    assert_eq!(digest.assets.len(), 1, "shown as one");
    assert_eq!(digest.assets[0].id, *into);
    assert_eq!(digest.assets, store.assets().await.unwrap());
    assert!(!store.asset(*from).await.unwrap().merges[0].by_person);
    store.split(*from, "two appliances with the maker's key", at(150)).await.unwrap();
    for seconds in [200, 300] {
        let digest = folder.sweep(&store, seconds, with_keys(seconds).concat()).await;
        assert_eq!(digest.merges, []);
        assert_eq!(store.assets().await.unwrap().len(), 2);
    }
    is_sound(&store).await;
}

#[tokio::test]
async fn merges_that_make_no_sense_are_refused() {
    let folder = Folder::new();
    let store = folder.store().await;
    folder.sweep(&store, 1, [1, 2, 3].into_iter().flat_map(|i| machine(1, i)).collect()).await;
    let [a, b, c] = [AssetId(1), AssetId(2), AssetId(3)];
    store.merge(b, a, "one", at(20)).await.unwrap();
    let refused = [
        (store.merge(b, a, "again", at(21)).await, "asset 2 and asset 1 are one asset already"),
        (store.merge(a, b, "around", at(21)).await, "asset 1 and asset 2 are one asset already"),
        (store.merge(a, a, "self", at(21)).await, "asset 1 and asset 1 are one asset already"),
        (
            store.merge(b, c, "elsewhere", at(21)).await,
            "asset 2 is part of asset 1: split it from there first",
        ),
        (store.merge(AssetId(9), a, "no", at(21)).await, "there is no asset 9"),
        (store.merge(a, AssetId(9), "no", at(21)).await, "there is no asset 9"),
        (store.split(AssetId(9), "no", at(21)).await, "there is no asset 9"),
        (
            store.split(c, "no", at(21)).await,
            "asset 3 is not part of another, so there is nothing to split",
        ),
        (
            store.split(a, "no", at(21)).await,
            "asset 1 is not part of another, so there is nothing to split; its part is 2, split \
             that",
        ),
    ];
    for (result, expected) in refused {
        assert_eq!(result.unwrap_err().to_string(), expected);
    }
    assert!(matches!(store.asset(AssetId(9)).await, Err(StoreError::NoAsset(_))));
}

#[tokio::test]
async fn an_asset_tells_why() {
    let folder = Folder::new();
    let store = folder.store().await;
    folder.sweep(&store, 1, machine(1, 7)).await;
    folder.sweep(&store, 100, machine(100, 7)).await;
    let dossier = store.asset(AssetId(1)).await.unwrap();
    assert_eq!(dossier.observations.len(), 10);
    assert!(dossier.observations.iter().all(|o| o.times == 2 && o.first_seen == at(1)));
    assert!(dossier.asset.identifiers.iter().all(|assigned| !assigned.because.is_empty()));
    let guid = Identifier::MachineId(MachineIdKind::SmbGuid, "guid-7".into());
    assert!(dossier.asset.identifiers.iter().any(|assigned| assigned.identifier == guid));
    assert_eq!(dossier.observations[0].observation.evidence, b"bytes");
    assert_eq!(store.events_of(AssetId(1)).await.unwrap(), dossier.events);
}

#[tokio::test]
async fn an_address_that_changed_hands_shows_each_asset_its_own_time() {
    let folder = Folder::new();
    let store = folder.store().await;
    folder.sweep(&store, 1, vec![link(1, 7)]).await;
    let mut other = link(100, 7);
    other.fact = Fact::LinkAddress(mac(8));
    folder.sweep(&store, 100, vec![other]).await;
    let assets = store.assets().await.unwrap();
    assert_eq!(assets.len(), 2);
    let first = store.asset(assets[0].id).await.unwrap();
    assert_eq!(first.asset.addresses().count(), 0);
    let facts: Vec<_> = first.observations.iter().map(|o| o.observation.fact.clone()).collect();
    assert_eq!(facts, [Fact::LinkAddress(mac(7))]);
    let second = store.asset(assets[1].id).await.unwrap();
    let facts: Vec<_> = second.observations.iter().map(|o| o.observation.fact.clone()).collect();
    assert_eq!(facts, [Fact::LinkAddress(mac(8))]);
    is_sound(&store).await;
}

#[tokio::test]
async fn events_cannot_be_changed() {
    let folder = Folder::new();
    let store = folder.store().await;
    folder.sweep(&store, 1, machine(1, 7)).await;
    let mut raw = folder.raw().await;
    for sql in ["UPDATE event SET detail = ''", "DELETE FROM event"] {
        let error = sqlx::query(sql).execute(&mut raw).await.unwrap_err().to_string();
        assert!(error.contains("an event is never"), "{error}");
    }
}

pub(crate) fn devices(csv: &str) -> Vec<DeviceEntry> {
    let import = register::read::<DeviceEntry>(csv.as_bytes()).unwrap();
    assert_eq!(import.errors, []);
    import.entries
}

#[tokio::test]
async fn a_register_is_replaced_as_a_whole() {
    let folder = Folder::new();
    let store = folder.store().await;
    assert_eq!(store.register::<DeviceEntry>().await.unwrap(), None);
    let first = devices(
        "reference,mac,owner,棚\nPC-1,00:00:5e:00:00:01,Sato,A\nPC-2,00:00:5e:00:00:02,Ito,B\n",
    );
    let source = RegisterSource::of("devices.csv", b"...");
    let diff = store.replace_register(&first, &source, at(1)).await.unwrap();
    assert_eq!((diff.added.len(), diff.removed.len(), diff.unchanged), (2, 0, 0));
    let again = store.replace_register(&first, &source, at(2)).await.unwrap();
    assert_eq!((again.added.len(), again.removed.len(), again.unchanged), (0, 0, 2));
    let second =
        devices("reference,mac,owner\nPC-3,00:00:5e:00:00:03,Abe\nPC-2,00:00:5e:00:00:02,Ueno\n");
    let other = RegisterSource::of("new.csv", b"!");
    let diff = store.replace_register(&second, &other, at(3)).await.unwrap();
    assert_eq!((diff.added.len(), diff.changed.len(), diff.removed.len()), (1, 1, 1));
    let stored = store.register::<DeviceEntry>().await.unwrap().unwrap();
    assert_eq!(stored.entries, second);
    assert_eq!((stored.imported_at, stored.source), (at(3), other));
    assert_eq!(store.register::<SoftwareEntry>().await.unwrap(), None);
    let summary = store.registers().await.unwrap();
    assert_eq!((summary.len(), summary[0].kind, summary[0].entries), (1, RegisterKind::Device, 2));
    let event = &store.events(1).await.unwrap()[0];
    assert_eq!(event.detail, "new.csv: 1 added, 1 changed, 1 removed, 0 unchanged");
    assert_eq!(folder.dump(&["entry"]).await.len(), 2);
    // Whoever saw another register, or none, replaces nothing.
    let third = RegisterSource::of("third.csv", b"?");
    for seen in [None, Some(source.sha256.as_str())] {
        let late = store.replace_register_of(Replaces::Only(seen), &first, &third, at(4)).await;
        assert!(matches!(late, Err(StoreError::OtherRegister(RegisterKind::Device))), "{late:?}");
    }
    assert_eq!(store.register::<DeviceEntry>().await.unwrap().unwrap().entries, second);
    let now = Replaces::Only(Some(&summary[0].source.sha256));
    store.replace_register_of(now, &first, &third, at(5)).await.unwrap();
    is_sound(&store).await;
}

/// Of a large site only those assets are read that an observation may concern.
#[tokio::test]
async fn a_little_that_is_seen_of_many_leads_to_what_it_would_lead_to_alone() {
    const MANY: u32 = 600;
    let (folder, alone) = (Folder::new(), Folder::new());
    let (store, few) = (folder.store().await, alone.store().await);
    folder.sweep(&store, 1, (1..=MANY).flat_map(|index| machine(1, index)).collect()).await;
    alone.sweep(&few, 1, (1..=3).flat_map(|index| machine(1, index)).collect()).await;
    // The third takes the second's address, the first is seen again with another product, and one
    // comes that nobody knows.
    let taken = {
        let subject = Subject::Address(address(2));
        observation(100_000, subject, Method::Arp, Fact::LinkAddress(mac(3)))
    };
    let seen = || {
        let stranger = [
            link(100_000, MANY + 1),
            banner(100_000, 1, 80, "nginx", "1.24.0"),
            link(100_000, 1),
            taken.clone(),
        ];
        stranger.to_vec()
    };
    let of_many = folder.sweep(&store, 100_000, seen()).await;
    let of_few = alone.sweep(&few, 100_000, seen()).await;
    let told = |digest: &inventory::store::Digest| -> Vec<_> {
        let is_known = |event: &&inventory::asset::Event| event.asset != Some(AssetId(4));
        let events = digest.events.iter().filter(is_known).cloned();
        events.filter(|event| event.asset <= Some(AssetId(3))).collect()
    };
    assert!(!told(&of_few).is_empty());
    assert_eq!(told(&of_many), told(&of_few));
    let changed = |digest: &inventory::store::Digest| -> Vec<Asset> {
        digest.assets.iter().filter(|asset| asset.id <= AssetId(3)).cloned().collect()
    };
    assert_eq!(changed(&of_many), changed(&of_few));
    let new: Vec<AssetId> = of_many.assets.iter().map(|asset| asset.id).skip(3).collect();
    assert_eq!(new, [AssetId(i64::from(MANY) + 1)]);
    assert_eq!(store.asset_count().await.unwrap(), u64::from(MANY) + 1);
    is_sound(&store).await;
}

#[tokio::test]
async fn a_review_opens_resolves_and_is_the_same_twice() {
    let folder = Folder::new();
    let store = folder.store().await;
    folder.sweep(&store, 1, [machine(1, 1), machine(1, 2)].concat()).await;
    // Without a register nothing is unregistered.
    let review = store.review(at(20), &policy()).await.unwrap();
    assert_eq!(review.findings, []);
    let source = RegisterSource::of("devices.csv", b"");
    let one = devices("reference,mac\nPC-1,00:00:5e:00:00:01\n");
    store.replace_register(&one, &source, at(21)).await.unwrap();

    let review = store.review(at(30), &policy()).await.unwrap();
    let opened: Vec<_> = review.findings.iter().map(|f| f.finding.key.rule.as_str()).collect();
    assert_eq!(opened, ["device.unregistered"]);
    assert_eq!(review.findings[0].finding.asset, Some(AssetId(2)));
    let before = folder.dump(&["finding", "event"]).await;
    let again = store.review(at(30), &policy()).await.unwrap();
    assert_eq!(again.changes, []);
    assert_eq!(again.findings, review.findings);
    assert_eq!(folder.dump(&["finding", "event"]).await, before);
    assert_eq!(store.findings().await.unwrap(), review.findings);
    assert_eq!(store.compare(at(30), &policy()).await.unwrap(), review.compared);
    assert_eq!(store.asset(AssetId(2)).await.unwrap().findings, review.findings);

    // Accepted, it stays accepted; approved, it is resolved; its number never changes.
    let id = review.findings[0].id;
    let accepted = store.accept_finding(id, at(1000), " a guest ", at(40)).await.unwrap();
    assert_eq!(accepted.finding.state, FindingState::Accepted);
    let review = store.review(at(50), &policy()).await.unwrap();
    assert_eq!(review.findings[0].finding.state, FindingState::Accepted);
    assert_eq!(review.findings[0].finding.accepted.as_ref().unwrap().reason, "a guest");
    let two = devices("reference,mac\nPC-1,00:00:5e:00:00:01\nPC-2,00:00:5e:00:00:02\n");
    store.replace_register(&two, &source, at(60)).await.unwrap();
    let review = store.review(at(70), &policy()).await.unwrap();
    assert_eq!(review.changes[0].kind, ChangeKind::Resolved);
    assert_eq!((review.findings[0].id, review.findings[0].finding.resolved_at), (id, Some(at(70))));
    is_sound(&store).await;
}

#[tokio::test]
async fn what_was_told_stays_told_also_after_opening_the_file_again() {
    let folder = Folder::new();
    let store = folder.store().await;
    folder.sweep(&store, 1, [machine(1, 1), machine(1, 2)].concat()).await;
    let source = RegisterSource::of("devices.csv", b"");
    let one = devices("reference,mac\nPC-1,00:00:5e:00:00:01\n");
    store.replace_register(&one, &source, at(2)).await.unwrap();
    store.review(at(30), &policy()).await.unwrap();
    let usual = alert::Policy::default();
    let kinds = |alerts: Vec<alert::Alert>| -> Vec<_> {
        alerts.into_iter().map(|alert| (alert.kind, alert.finding.key.rule)).collect()
    };
    let told = kinds(store.alerts(at(30), &usual).await.unwrap());
    assert_eq!(told, [(AlertKind::New, "device.unregistered".to_owned())]);
    store.close().await;
    let store = folder.store().await;
    assert_eq!(store.alerts(at(40), &usual).await.unwrap(), []);
    let before = folder.dump(&["told"]).await;
    assert_eq!(before.len(), 1, "{before:?}");

    let two = devices("reference,mac\nPC-1,00:00:5e:00:00:01\nPC-2,00:00:5e:00:00:02\n");
    store.replace_register(&two, &source, at(60)).await.unwrap();
    store.review(at(70), &policy()).await.unwrap();
    let told = kinds(store.alerts(at(70), &usual).await.unwrap());
    assert_eq!(told, [(AlertKind::Over, "device.unregistered".to_owned())]);
    assert_eq!(store.alerts(at(80), &usual).await.unwrap(), []);
    is_sound(&store).await;
}

#[tokio::test]
async fn a_finding_that_cannot_be_accepted_says_why() {
    let folder = Folder::new();
    let store = folder.store().await;
    let missing = store.accept_finding(7, at(9), "x", at(1)).await.unwrap_err();
    assert_eq!(missing.to_string(), "there is no finding 7");
    folder.sweep(&store, 1, machine(1, 1)).await;
    let source = RegisterSource::of("devices.csv", b"");
    let other = devices("reference,mac\nPC-9,00:00:5e:00:00:09\n");
    store.replace_register(&other, &source, at(2)).await.unwrap();
    let id = store.review(at(20), &policy()).await.unwrap().findings[0].id;
    let error = store.accept_finding(id, at(20), "x", at(20)).await.unwrap_err();
    assert!(matches!(error, StoreError::Accept { .. }), "{error}");
    assert_eq!(store.findings().await.unwrap()[0].finding.state, FindingState::Open);
}

#[tokio::test]
async fn an_acceptance_is_taken_back_with_a_reason_and_written_down() {
    let folder = Folder::new();
    let store = folder.store().await;
    folder.sweep(&store, 1, machine(1, 1)).await;
    let source = RegisterSource::of("devices.csv", b"");
    let other = devices("reference,mac\nPC-9,00:00:5e:00:00:09\n");
    store.replace_register(&other, &source, at(2)).await.unwrap();
    let id = store.review(at(20), &policy()).await.unwrap().findings[0].id;
    let missing = store.reopen_finding(7, "x", at(1)).await.unwrap_err();
    assert_eq!(missing.to_string(), "there is no finding 7");
    let open = store.reopen_finding(id, "x", at(21)).await.unwrap_err();
    assert!(matches!(open, StoreError::Reopen { .. }), "{open}");
    store.accept_finding(id, at(1000), "a guest", at(22)).await.unwrap();
    let blank = store.reopen_finding(id, " ", at(23)).await.unwrap_err();
    assert!(matches!(blank, StoreError::Reopen { .. }), "{blank}");
    let open = store.reopen_finding(id, " the guest stays ", at(24)).await.unwrap();
    assert_eq!((open.finding.state, open.finding.accepted), (FindingState::Open, None));
    // A review finds it open, and concludes nothing else.
    let review = store.review(at(25), &policy()).await.unwrap();
    assert_eq!(review.findings[0].finding.state, FindingState::Open);
    let (stored, deeds) = store.finding(id).await.unwrap();
    assert_eq!(stored, review.findings[0]);
    let told: Vec<_> = deeds.iter().map(|one| (one.kind, one.detail.as_str())).collect();
    assert_eq!(told[0], (EventKind::FindingReopened, "device.unregistered: the guest stays"));
    assert_eq!((told.len(), told[1].0), (2, EventKind::FindingAccepted));
    let audit = store.audit(Some(1)).await.unwrap();
    assert_eq!(
        (audit[0].deed.action.as_str(), audit[0].deed.reason.as_str()),
        ("reopen", "the guest stays")
    );
    is_sound(&store).await;
}

#[tokio::test]
async fn what_the_network_writes_cannot_break_a_statement() {
    let folder = Folder::new();
    let store = folder.store().await;
    let nasty =
        ["'; DROP TABLE asset; --", "\"}],[", "\0\u{1}\u{7f}\u{feff}", "台帳\u{202e}\\u0000"];
    let mut seen = vec![link(1, 7), port(1, 7, 80, PortState::Open)];
    for (index, text) in (0_u16..).zip(nasty) {
        seen.push(port(1, 7, 8000 + index, PortState::Open));
        seen.push(banner(1, 7, 8000 + index, text, text));
    }
    folder.sweep(&store, 1, seen.clone()).await;
    let dossier = store.asset(AssetId(1)).await.unwrap();
    for text in nasty {
        assert!(dossier.asset.software.iter().any(|s| s.product == text), "{text:?}");
    }
    for observation in seen {
        assert!(
            dossier.observations.iter().any(|o| o.observation == observation),
            "{observation:?}"
        );
    }
    is_sound(&store).await;
}

#[tokio::test]
async fn a_certificate_that_nobody_can_read_is_kept() {
    let folder = Folder::new();
    let store = folder.store().await;
    let noise = b"\x30\x03\x02\x01".to_vec();
    folder.sweep(&store, 1, vec![link(1, 7), chain(1, 7, vec![noise.clone()])]).await;
    store.write_certificates([noise.clone(), noise.clone(), vec![]], at(9)).await.unwrap();
    let certificates = store.certificates(None).await.unwrap();
    assert_eq!(certificates.len(), 2);
    assert!(certificates.iter().all(|c| !c.anomalies.is_empty() && c.not_after.is_none()));
    let kept = certificates.iter().find(|c| !c.endpoints.is_empty()).unwrap();
    assert_eq!((kept.first_seen, kept.last_seen), (at(1), at(9)));
    assert_eq!(store.certificate_der(&kept.sha256).await.unwrap(), Some(noise));
    is_sound(&store).await;
}

#[tokio::test]
async fn a_file_keeps_what_it_had_and_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("a.db"), OpenMode::ReadWrite).await.unwrap();
    let (old, new) = (certificate("old"), certificate("new"));
    let hash = |der: &[u8]| certs::parse(der).sha256;
    let file = |path: &str, ders: &[&Vec<u8>]| FoundFile {
        path: path.to_owned(),
        format: Format::Jks,
        private_key: PrivateKey::Encrypted,
        mode: 0o640,
        certificates: ders
            .iter()
            .map(|der| Held { der: der.to_vec(), entry: Some("web".into()) })
            .collect(),
    };
    let elsewhere = Vantage { name: "there".into(), ..vantage() };
    let found = [file("/a.jks", &[&old, &new, &old]), file("/key", &[])];
    store.write_files(&vantage(), &found, &[], at(1)).await.unwrap();
    store.write_files(&elsewhere, &found[..1], &[], at(1)).await.unwrap();
    store
        .write_files(&vantage(), &[file("/a.jks", &[&new])], &["/key".into()], at(5))
        .await
        .unwrap();
    let files = store.files().await.unwrap();
    let paths: Vec<_> =
        files.iter().map(|f| (f.vantage.name.as_str(), f.path.as_str(), f.present)).collect();
    assert_eq!(
        paths,
        [("here", "/a.jks", true), ("here", "/key", false), ("there", "/a.jks", true)]
    );
    let held: Vec<_> = files[0]
        .certificates
        .iter()
        .map(|held| (held.sha256.clone(), held.first_seen, held.last_seen, held.current))
        .collect();
    assert_eq!(held, [(hash(&new), at(1), at(5), true), (hash(&old), at(1), at(1), false)]);
    assert_eq!((files[0].mode, files[0].private_key), (0o640, PrivateKey::Encrypted));
    assert_eq!(files[2].current().count(), 2);
    let listed = store.certificates(None).await.unwrap();
    let of_old = listed.iter().find(|one| one.sha256 == hash(&old)).unwrap();
    let places: Vec<_> =
        of_old.files.iter().map(|(file, one)| (file.vantage.name.as_str(), one.current)).collect();
    assert_eq!(places, [("here", false), ("there", true)]);
    // A third time the same is no news, and the file that was gone is back.
    store.write_files(&vantage(), &found[1..], &[], at(9)).await.unwrap();
    let again = store.files().await.unwrap();
    assert!(again[1].present && again[1].first_seen == at(1) && again[1].last_seen == at(9));
    let review = store.review(at(400_000_000), &policy()).await.unwrap();
    assert!(review.findings.is_empty(), "{:?}", review.findings);
}
