//! Runs `tests/scenarios/*.toml`: observations in, assets and events out.
//!
//! Each file is a claim. A scan is a list of sentences, one an observation:
//!
//! ```text
//! 192.0.2.1 alive | mac MAC | name SOURCE NAME | id KIND VALUE | os NAME [VERSION]
//! 192.0.2.1 closed|filtered tcp|udp PORTS | anomaly PROTOCOL PROBLEM
//! 192.0.2.1:22/tcp open|closed|filtered | service PROTOCOL [PRODUCT [VERSION]]
//! 192.0.2.1:22/tcp key ALGORITHM KEY | certificate NAME key KEY [for SERVER-NAME]
//! mac MAC alive | name SOURCE NAME
//! ```
//!
//! `@SECONDS ` before a sentence puts it that long after the scan's start; `via METHOD` after
//! it names the method. `{n}` is the number of the repetition, in two hexadecimal digits.
//! Every scan is also run with its observations in other orders and twice: the order must
//! not matter, and the second time must change nothing.

use std::{collections::BTreeMap, fs, net::IpAddr, path::Path};

use inventory::{
    asset::{Asset, AssetId, Event},
    identity::{Update, update_with},
};
use model::{
    CertificateChain, Endpoint, Fact, HostKey, Identifier, Method, NameSource, Observation,
    PortState, Service, Site, Subject, Timestamp, TlsVersion, Transport, Vantage,
};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    claim: String,
    scan: Vec<Scan>,
    asset: Vec<Expected>,
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
    events: Vec<String>,
    /// The merges that it proposes: `FROM into INTO`.
    #[serde(default)]
    merges: Vec<String>,
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
}

fn text(parts: &[Option<&str>]) -> String {
    parts.iter().flatten().copied().collect::<Vec<_>>().join(" ")
}

/// A certificate of a scenario is its name and its key, not DER.
fn leaf_key(der: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(der).ok()?;
    text.split_once(' ').map(|(_, key)| key.to_owned())
}

fn sha256(text: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn name_source(text: &str) -> NameSource {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).unwrap()
}

fn observation(sentence: &str, start: Timestamp, site: &str) -> Observation {
    let (delay, sentence) = match sentence.strip_prefix('@') {
        Some(rest) => {
            let (seconds, rest) = rest.split_once(' ').expect("a sentence after the delay");
            (seconds.parse().expect("seconds"), rest)
        }
        None => (0, sentence),
    };
    let (sentence, method) = match sentence.split_once(" via ") {
        Some((sentence, method)) => (sentence, Method::from_name(method)),
        None => (sentence, None),
    };
    let words: Vec<&str> = sentence.split_whitespace().collect();
    let (subject, words) = match words[..] {
        ["mac", mac, ref rest @ ..] => (Subject::Mac(mac.parse().unwrap()), rest),
        [subject, ref rest @ ..] => (subject_of(subject), rest),
        [] => panic!("an empty sentence"),
    };
    let (fact, usual) = fact(words).unwrap_or_else(|| panic!("not a sentence: {sentence:?}"));
    Observation {
        observed_at: start.plus_seconds(delay),
        vantage: Vantage { site: Site(site.to_owned()), name: "here".to_owned() },
        method: method.unwrap_or(usual),
        subject,
        fact,
        evidence: Vec::new(),
    }
}

fn subject_of(text: &str) -> Subject {
    match text.split_once('/') {
        Some((place, transport)) => {
            let (address, port) = place.rsplit_once(':').expect("a port");
            Subject::Endpoint(Endpoint {
                address: address.trim_matches(['[', ']']).parse().unwrap(),
                transport: transport.parse::<Transport>().unwrap(),
                port: port.parse().unwrap(),
            })
        }
        None => Subject::Address(text.parse::<IpAddr>().unwrap()),
    }
}

fn fact(words: &[&str]) -> Option<(Fact, Method)> {
    let owned = |text: &&str| (*text).to_owned();
    Some(match words {
        ["alive"] => (Fact::Alive { ttl: None }, Method::Echo),
        ["mac", mac] => (Fact::LinkAddress(mac.parse().ok()?), Method::Arp),
        ["name", source, name] => {
            let source = name_source(source);
            let method = match source {
                NameSource::Dns => Method::Resolver,
                _ => Method::Dialogue,
            };
            (Fact::HostName { name: owned(name), source }, method)
        }
        ["id", kind, value] => {
            let Identifier::MachineId(kind, value) = Identifier::from_parts(kind, value)? else {
                return None;
            };
            (Fact::MachineId { kind, value }, Method::Dialogue)
        }
        ["os", name, version @ ..] => {
            let version = version.first().map(owned);
            (Fact::OperatingSystem { name: owned(name), version, cpe: None }, Method::Dialogue)
        }
        ["anomaly", protocol, problem @ ..] => (
            Fact::Anomaly { protocol: owned(protocol), problem: problem.join(" ") },
            Method::Dialogue,
        ),
        ["service", protocol, rest @ ..] => {
            let service = Service {
                product: rest.first().map(owned),
                version: rest.get(1).map(owned),
                ..Service::of(protocol)
            };
            (Fact::Service(service), Method::Dialogue)
        }
        ["key", algorithm, key] => {
            let key = HostKey { algorithm: owned(algorithm), sha256: owned(key) };
            (Fact::HostKey(key), Method::Dialogue)
        }
        ["certificate", name, "key", key, rest @ ..] => {
            let chain = CertificateChain {
                chain: vec![format!("{name} {key}").into_bytes()],
                server_name: rest.strip_prefix(&["for"]).and_then(|rest| rest.first()).map(owned),
                protocol_version: TlsVersion(0x0304),
                starttls: None,
            };
            (Fact::Certificates(chain), Method::Tls)
        }
        [state, transport, ports] => {
            let state = PortState::from_name(state)?;
            let transport = transport.parse().ok()?;
            (Fact::Ports { transport, state, ports: ports.parse().ok()? }, Method::TcpSyn)
        }
        [state] => (Fact::PortState(PortState::from_name(state)?), Method::TcpSyn),
        _ => return None,
    })
}

/// The inventory while scans are taken in.
#[derive(Default)]
struct Run {
    assets: BTreeMap<AssetId, Asset>,
}

impl Run {
    fn take(&mut self, observations: &[Observation], as_of: Timestamp) -> Update {
        let known: Vec<Asset> = self.assets.values().cloned().collect();
        let next = AssetId(self.assets.keys().last().map_or(1, |last| last.0 + 1));
        let update = update_with(&known, next, observations, as_of, &leaf_key);
        let mut other = observations.to_vec();
        other.reverse();
        let reversed = update_with(&known, next, &other, as_of, &leaf_key);
        assert_eq!(update, reversed, "the order of the observations matters");
        other.sort_by_key(|o| (sha256(&format!("{o:?}")), o.observed_at));
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
}

fn run(scenario: &Scenario) {
    let mut run = Run::default();
    let mut certificates = BTreeMap::new();
    for (number, scan) in scenario.scan.iter().enumerate() {
        let (mut events, mut merges) = (Vec::new(), Vec::new());
        for n in 0..scan.repeat {
            let start: Timestamp = scan.at.parse().expect("a date or a moment");
            let start = start.plus_seconds(i64::from(n) * 86_400);
            let see: Vec<Observation> = scan
                .see
                .iter()
                .map(|s| observation(&s.replace("{n}", &format!("{n:02x}")), start, &scan.site))
                .collect();
            for observation in &see {
                if let Fact::Certificates(chain) = &observation.fact {
                    let leaf = std::str::from_utf8(&chain.chain[0]).unwrap();
                    let name = leaf.split(' ').next().unwrap().to_owned();
                    certificates.insert(sha256(leaf), name);
                }
            }
            let update = run.take(&see, start.plus_seconds(80_000));
            events.extend(update.events.iter().map(event_text));
            let merge = |(from, into, because): &(AssetId, AssetId, String)| {
                assert!(!because.is_empty());
                format!("{from} into {into}")
            };
            merges.extend(update.merges.iter().map(merge));
        }
        let expected: Vec<String> =
            scan.events.iter().flat_map(|event| repeated(event, scan.repeat)).collect();
        same(&format!("events of scan {}", number + 1), events, &expected);
        same(&format!("merges of scan {}", number + 1), merges, &scan.merges);
    }
    let ids: Vec<i64> = run.assets.keys().map(|id| id.0).collect();
    let expected: Vec<i64> = scenario.asset.iter().map(|asset| asset.id).collect();
    assert_eq!(ids, expected, "assets");
    for expected in &scenario.asset {
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
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&scenario)));
        if let Err(panic) = outcome {
            let why = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            failed.push(format!("{name} ({}): {why}", scenario.claim));
        }
    }
    assert!(failed.is_empty(), "\n{}", failed.join("\n\n"));
}
