//! Runs `tests/scenarios/*.toml`: observations in, assets, events and findings out.
//!
//! Each file is a claim. A scan is a list of sentences, one an observation:
//!
//! ```text
//! 192.0.2.1 alive | mac MAC | name SOURCE NAME | id KIND VALUE | os NAME [VERSION]
//! 192.0.2.1 closed|filtered tcp|udp PORTS | anomaly PROTOCOL PROBLEM
//! 192.0.2.1:22/tcp open|closed|filtered | service PROTOCOL [PRODUCT [VERSION]]
//! 192.0.2.1:22/tcp key ALGORITHM KEY | certificate NAME key KEY [for SERVER-NAME]
//! 192.0.2.1:22/tcp serves CERTIFICATE[,CERTIFICATE…] [for SERVER-NAME]
//! mac MAC alive | name SOURCE NAME
//! 192.0.2.1 role ROLE | uses resolver|time_server ADDRESS | uses cleartext PROTOCOL ADDRESS
//! mac MAC fingerprint KIND VALUE | neighbor PROTOCOL SYSTEM-NAME | vlan NUMBER
//! ```
//!
//! `@SECONDS ` before a sentence puts it that long after the scan's start; `via METHOD` after
//! it names the method. `{n}` is the number of the repetition, in two hexadecimal digits.
//! `certificate` stands for one of which only the key matters, `serves` for one that a
//! `[[certificate]]` describes and that is made with rcgen, so that the rules can read it.
//! After each scan the inventory is held against the registers that were imported so far.
//! Every scan is also run with its observations in other orders and twice: the order must
//! not matter, and the second time must change nothing.

use std::{collections::BTreeMap, fs, path::Path};

use inventory::{
    asset::{Asset, AssetId, Event},
    identity::{Update, update_with},
};
use model::{Endpoint, Fact, Observation, Timestamp};
use serde::Deserialize;

#[path = "scenarios/certificate.rs"]
mod certificate;
#[path = "scenarios/review.rs"]
mod review;
#[path = "scenarios/sentence.rs"]
mod sentence;

use certificate::{Certificates, Description, ListDescription};
use review::{NetworkLists, Office, Registers};
use sentence::{observation, sha256};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    claim: String,
    /// How many hours the registers' days are ahead of UTC.
    #[serde(default)]
    offset: i8,
    #[serde(default)]
    certificate: Vec<Description>,
    /// Of those, the roots that the public trusts and the organisation's own.
    #[serde(default)]
    public_roots: Vec<String>,
    #[serde(default)]
    own_roots: Vec<String>,
    #[serde(default)]
    list: Vec<ListDescription>,
    /// What is approved in the network.
    #[serde(default)]
    network: NetworkLists,
    scan: Vec<Scan>,
    /// Every asset at the end.
    asset: Option<Vec<Expected>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scan {
    /// When it begins.
    at: String,
    /// How many times, a day apart.
    #[serde(default = "one")]
    repeat: u32,
    #[serde(default = "somewhere")]
    site: String,
    see: Vec<String>,
    /// Every event that it causes: `KIND ASSET SUBJECT`, in any order. Of a repeated scan,
    /// of all repetitions together.
    events: Option<Vec<String>>,
    /// The merges that it proposes: `FROM into INTO`.
    #[serde(default)]
    merges: Vec<String>,
    /// Where it looked: `FIRST[-LAST] METHOD[,METHOD…] [tcp PORTS] [udp PORTS]`.
    #[serde(default)]
    looked: Vec<String>,
    /// Where it failed to look.
    #[serde(default)]
    gaps: Vec<String>,
    /// How many answers it knows to have lost.
    #[serde(default)]
    drops: u64,
    /// Registers that are imported before the inventory is held against them.
    #[serde(default)]
    register: Registers,
    /// What the registers say then: `asset ID STATE [ENTRY]` and `entry ENTRY STATE`.
    registration: Option<Vec<String>>,
    /// Every finding then, resolved ones too: `STATE SEVERITY RULE SUBJECT [because WORDS]`.
    findings: Option<Vec<String>>,
    /// What is accepted after that: `RULE SUBJECT until DAY`.
    #[serde(default)]
    accept: Vec<String>,
}

const fn one() -> u32 {
    1
}

fn somewhere() -> String {
    "plant".to_owned()
}

/// What is expected of an asset at the end; what is not given is not compared.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    id: i64,
    uncertain: bool,
    /// All its current identifiers.
    current: Vec<String>,
    /// All its former ones.
    #[serde(default)]
    former: Option<Vec<String>>,
    names: Option<Vec<String>>,
    alive_by: Option<Vec<String>>,
    /// `ENDPOINT STATE [PROTOCOL [PRODUCT [VERSION]]]`
    services: Option<Vec<String>>,
    /// `PRODUCT [VERSION] from SOURCE`, those that are current.
    software: Option<Vec<String>>,
    os: Option<String>,
    /// `ENDPOINT CERTIFICATE [for NAME]`, those that are current.
    certificates: Option<Vec<String>>,
    anomalies: Option<Vec<String>>,
    /// `SUBJECT FACT`, the fact as in JSON.
    heard: Option<Vec<String>>,
}

fn text(parts: &[Option<&str>]) -> String {
    parts.iter().flatten().copied().collect::<Vec<_>>().join(" ")
}

/// The inventory while scans are taken in.
struct Run {
    assets: BTreeMap<AssetId, Asset>,
    made: Certificates,
}

impl Run {
    fn take(&mut self, observations: &[Observation], as_of: Timestamp) -> Update {
        let made = &self.made;
        let leaf_key = |der: &[u8]| made.leaf_key(der);
        let known: Vec<Asset> = self.assets.values().cloned().collect();
        let next = AssetId(self.assets.keys().last().map_or(1, |last| last.0 + 1));
        let update = update_with(&known, next, observations, as_of, &leaf_key);
        let mut other = observations.to_vec();
        other.reverse();
        let reversed = update_with(&known, next, &other, as_of, &leaf_key);
        assert_eq!(update, reversed, "the order of the observations matters");
        other.sort_by_key(|o| (sha256(format!("{o:?}").as_bytes()), o.observed_at));
        let shuffled = update_with(&known, next, &other, as_of, &leaf_key);
        assert_eq!(update, shuffled, "the order of the observations matters");
        self.assets.extend(update.assets.iter().map(|asset| (asset.id, asset.clone())));
        let known: Vec<Asset> = self.assets.values().cloned().collect();
        let next = AssetId(self.assets.keys().last().map_or(1, |last| last.0 + 1));
        let again = update_with(&known, next, observations, as_of.plus_seconds(60), &leaf_key);
        assert_eq!(again, Update::default(), "the same observations changed something");
        self.one_holder();
        update
    }

    fn one_holder(&self) {
        let mut holders = BTreeMap::new();
        for asset in self.assets.values() {
            for address in asset.addresses() {
                let other = holders.insert((asset.site.clone(), address), asset.id);
                assert_eq!(other, None, "{address} is of asset {} as well", asset.id);
            }
        }
    }
}

fn event_text(event: &Event) -> String {
    let asset = event.asset.map_or_else(|| "-".to_owned(), |asset| asset.to_string());
    format!("{} {asset} {}", event.kind.as_str(), event.subject)
}

fn sorted(texts: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut texts: Vec<String> = texts.into_iter().collect();
    texts.sort();
    texts
}

#[track_caller]
fn same(what: &str, got: impl IntoIterator<Item = String>, expected: &[String]) {
    let (got, expected) = (sorted(got), sorted(expected.iter().cloned()));
    assert_eq!(got, expected, "{what}");
}

fn compare(asset: &Asset, expected: &Expected, certificates: &BTreeMap<String, String>) {
    let id = asset.id;
    let of = |current: bool| {
        let all = asset.identifiers.iter().filter(move |a| a.current == current);
        all.map(|a| a.identifier.to_string())
    };
    same(&format!("current identifiers of asset {id}"), of(true), &expected.current);
    if let Some(former) = &expected.former {
        same(&format!("former identifiers of asset {id}"), of(false), former);
    }
    assert_eq!(asset.identity_uncertain, expected.uncertain, "asset {id} is uncertain");
    for assigned in &asset.identifiers {
        assert!(!assigned.because.is_empty(), "{} without a reason", assigned.identifier);
        assert!(assigned.first_seen <= assigned.last_seen, "{}", assigned.identifier);
    }
    if let Some(names) = &expected.names {
        let got = asset.names.iter().map(|name| {
            let source = serde_json::to_value(name.source).unwrap();
            format!("{} {}", source.as_str().unwrap(), name.name)
        });
        same(&format!("names of asset {id}"), got, names);
    }
    if let Some(methods) = &expected.alive_by {
        let got = asset.alive_by.iter().map(|method| method.as_str().to_owned());
        same(&format!("methods of asset {id}"), got, methods);
    }
    if let Some(services) = &expected.services {
        let got = asset.services.iter().map(|s| {
            let endpoint =
                Endpoint { address: s.address, transport: s.transport, port: s.port }.to_string();
            let (protocol, product) = (s.protocol.as_deref(), s.product.as_deref());
            let state = Some(s.state.as_str());
            text(&[Some(&endpoint), state, protocol, product, s.version.as_deref()])
        });
        same(&format!("services of asset {id}"), got, services);
    }
    if let Some(software) = &expected.software {
        let got = asset.software.iter().filter(|s| s.current).map(|s| {
            text(&[Some(&s.product), s.version.as_deref(), Some("from"), Some(&s.source)])
        });
        same(&format!("software of asset {id}"), got, software);
    }
    if let Some(os) = &expected.os {
        let got = asset.os.as_ref().map(|os| text(&[Some(&os.name), os.version.as_deref()]));
        assert_eq!(got.as_ref(), Some(os), "operating system of asset {id}");
    }
    if let Some(expected) = &expected.certificates {
        let got = asset.deployments.iter().filter(|d| d.current).map(|d| {
            let endpoint =
                Endpoint { address: d.address, transport: d.transport, port: d.port }.to_string();
            let named = d.server_name.as_ref().map(|name| format!("for {name}"));
            text(&[Some(&endpoint), Some(&certificates[&d.sha256]), named.as_deref()])
        });
        same(&format!("certificates of asset {id}"), got, expected);
    }
    if let Some(anomalies) = &expected.anomalies {
        let got =
            asset.anomalies.iter().map(|a| format!("{} {} {}", a.subject, a.protocol, a.problem));
        same(&format!("anomalies of asset {id}"), got, anomalies);
    }
    if let Some(heard) = &expected.heard {
        let got = asset.heard.iter().map(|heard| {
            format!("{} {}", heard.subject, serde_json::to_string(&heard.what.fact()).unwrap())
        });
        same(&format!("what was heard of asset {id}"), got, heard);
    }
}

fn run(scenario: Scenario) {
    let mut made = Certificates::make(&scenario.certificate);
    let anchors = made.anchors(&scenario.public_roots, &scenario.own_roots, &scenario.list);
    let mut run = Run { assets: BTreeMap::new(), made };
    let mut office = Office::new(scenario.offset, anchors, scenario.network.into());
    let mut certificates = BTreeMap::new();
    for (number, scan) in scenario.scan.iter().enumerate() {
        let number = number + 1;
        assert!(scan.events.is_some() || scan.findings.is_some(), "scan {number} claims nothing");
        let (mut events, mut merges, mut registration) = (Vec::new(), Vec::new(), Vec::new());
        office.import(&scan.register, &run.made);
        for n in 0..scan.repeat {
            let start: Timestamp = scan.at.parse().expect("a date or a moment");
            let start = start.plus_seconds(i64::from(n) * 86_400);
            let sentence = |s: &String| {
                let s = s.replace("{n}", &format!("{n:02x}"));
                observation(&s, start, &scan.site, &run.made)
            };
            let see: Vec<Observation> = scan.see.iter().map(sentence).collect();
            for observation in &see {
                if let Fact::Certificates(chain) = &observation.fact {
                    let leaf = &chain.chain[0];
                    let name = match std::str::from_utf8(leaf) {
                        Ok(text) => text.split(' ').next().unwrap().to_owned(),
                        Err(_) => run.made.with_names(&sha256(leaf)),
                    };
                    certificates.insert(sha256(leaf), name);
                }
            }
            let as_of = start.plus_seconds(80_000);
            let update = run.take(&see, as_of);
            events.extend(update.events.iter().map(event_text));
            let merge = |(from, into, because): &(AssetId, AssetId, String)| {
                assert!(!because.is_empty());
                format!("{from} into {into}")
            };
            merges.extend(update.merges.iter().map(merge));
            office.looked(&scan.site, start, &scan.looked, &scan.gaps, scan.drops);
            let assets: Vec<Asset> = run.assets.values().cloned().collect();
            let comparison = office.review(&assets, &run.made, as_of);
            registration = office.registration(&comparison);
            if n + 1 == scan.repeat {
                if let Some(expected) = &scan.findings {
                    office.expect(&format!("findings of scan {number}"), expected, &run.made);
                }
                for sentence in &scan.accept {
                    office.accept(sentence, &run.made, as_of);
                }
            }
        }
        if let Some(expected) = &scan.events {
            let expected = expected.iter().flat_map(|event| repeated(event, scan.repeat));
            let expected: Vec<String> = expected.collect();
            same(&format!("events of scan {number}"), events, &expected);
        }
        same(&format!("merges of scan {number}"), merges, &scan.merges);
        if let Some(expected) = &scan.registration {
            same(&format!("registration of scan {number}"), registration, expected);
        }
    }
    let Some(all) = &scenario.asset else { return };
    let ids: Vec<i64> = run.assets.keys().map(|id| id.0).collect();
    let expected: Vec<i64> = all.iter().map(|asset| asset.id).collect();
    assert_eq!(ids, expected, "assets");
    for expected in all {
        compare(&run.assets[&AssetId(expected.id)], expected, &certificates);
    }
}

/// `{n}` stands for every repetition but the first, in which nothing is changed yet.
fn repeated(event: &str, repeat: u32) -> Vec<String> {
    match event.contains("{n}") {
        true => (1..repeat).map(|n| event.replace("{n}", &format!("{n:02x}"))).collect(),
        false => vec![event.to_owned()],
    }
}

#[test]
fn every_scenario_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/scenarios");
    let mut files: Vec<_> = fs::read_dir(&folder)
        .expect("tests/scenarios")
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    assert!(files.len() >= 15, "{} scenarios only", files.len());
    let mut failed = Vec::new();
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let scenario: Scenario = match toml::from_str(&fs::read_to_string(&file).unwrap()) {
            Ok(scenario) => scenario,
            Err(error) => {
                failed.push(format!("{name}: {error}"));
                continue;
            }
        };
        let claim = scenario.claim.clone();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(scenario)));
        if let Err(panic) = outcome {
            let why = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            failed.push(format!("{name} ({claim}): {why}"));
        }
    }
    assert!(failed.is_empty(), "\n{}", failed.join("\n\n"));
}
