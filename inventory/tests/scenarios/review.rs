//! Registers, coverage and findings of a scenario: the same functions that a review of the
//! store calls, over values.

use std::collections::{BTreeMap, BTreeSet};

use certs::{Certificate, Thresholds};
use inventory::{
    approval::Decided,
    asset::{Asset, Detection},
    chain::{Anchors, Chains, Evidence},
    compare::{self, Approved, Comparison, Input, Network},
    download::Fetched,
    finding::{Finding, FindingKey, accept, reconcile},
    register::{self, Day, DeviceEntry, Entry, IssuerEntry, SoftwareEntry},
};
use jiff::tz::Offset;
use model::{AddressRange, Coverage, Gap, Method, PortSet, ScanRecord, Site, Timestamp, Vantage};
use serde::Deserialize;

use crate::{certificate::Certificates, same};

/// Registers that are imported after a scan, as CSV. They replace those before.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Registers {
    device: Option<String>,
    software: Option<String>,
    issuer: Option<String>,
}

/// Everything that outlives a scan, beside the assets.
pub(crate) struct Office {
    devices: Option<Vec<DeviceEntry>>,
    software: Option<Vec<SoftwareEntry>>,
    issuers: Option<Vec<IssuerEntry>>,
    scans: Vec<ScanRecord>,
    findings: BTreeMap<FindingKey, Finding>,
    anchors: Anchors,
    /// What is approved in the network.
    network: Network,
    /// Of the registers' days.
    offset: Offset,
}

/// What is approved in the network, as the configuration has it.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NetworkLists {
    dhcp_servers: Vec<String>,
    routers: Vec<String>,
    resolvers: Vec<String>,
    time_servers: Vec<String>,
    cleartext: BTreeSet<String>,
}

impl From<NetworkLists> for Network {
    fn from(lists: NetworkLists) -> Self {
        let read = |texts: &[String]| Approved::read(texts.iter().map(String::as_str)).unwrap();
        Self {
            dhcp_servers: read(&lists.dhcp_servers),
            routers: read(&lists.routers),
            resolvers: read(&lists.resolvers),
            time_servers: read(&lists.time_servers),
            cleartext: lists.cleartext,
        }
    }
}

#[track_caller]
fn replace<E: Entry>(register: &mut Option<Vec<E>>, csv: Option<&String>, made: &Certificates) {
    let Some(csv) = csv.map(|csv| made.with_hashes(csv)) else { return };
    let import = register::read::<E>(csv.trim_start().as_bytes()).unwrap();
    assert_eq!(import.errors, [], "the {} register", E::KIND);
    assert_eq!(import.unknown_columns, [""; 0], "the {} register", E::KIND);
    *register = Some(import.entries);
}

impl Office {
    pub(crate) fn new(hours_from_utc: i8, anchors: Anchors, network: Network) -> Self {
        Self {
            devices: None,
            software: None,
            issuers: None,
            scans: Vec::new(),
            findings: BTreeMap::new(),
            anchors,
            network,
            offset: Offset::constant(hours_from_utc),
        }
    }

    pub(crate) fn import(&mut self, registers: &Registers, made: &Certificates) {
        replace(&mut self.devices, registers.device.as_ref(), made);
        replace(&mut self.software, registers.software.as_ref(), made);
        replace(&mut self.issuers, registers.issuer.as_ref(), made);
    }

    /// Notes where a scan looked; without a place it was none, but a capture.
    pub(crate) fn looked(
        &mut self,
        site: &str,
        at: Timestamp,
        places: &[String],
        gaps: &[String],
        drops: u64,
    ) {
        if places.is_empty() {
            return;
        }
        let gap = |target: &String| Gap { target: target.clone(), reason: "no route".to_owned() };
        self.scans.push(ScanRecord {
            vantage: Vantage { site: Site(site.to_owned()), name: "here".to_owned() },
            started_at: at,
            ended_at: Some(at.plus_seconds(60)),
            io: "raw".to_owned(),
            probes_sent: 1000,
            replies: 10,
            drops,
            complete: drops == 0 && gaps.is_empty(),
            gaps: gaps.iter().map(gap).collect(),
            coverage: places.iter().map(|place| coverage(place)).collect(),
        });
    }

    /// Compares and reconciles. However the input is ordered and however often it is asked,
    /// the answer is the same.
    pub(crate) fn review(
        &mut self,
        assets: &[Asset],
        made: &Certificates,
        as_of: Timestamp,
    ) -> Comparison {
        let certificates = made.parsed();
        // What nobody ever served is not in the inventory.
        let mut ders = made.ders();
        let named = |sha256: &String| {
            let mut deployments = assets.iter().flat_map(|asset| &asset.deployments);
            deployments.any(|place| place.sha256 == *sha256 || place.chain.contains(sha256))
        };
        ders.retain(|sha256, _| named(sha256));
        let judge = |assets: &[Asset], certificates: &[Certificate]| {
            let issuers = self.issuers.as_deref();
            let evidence = Evidence {
                assets,
                files: &[],
                certificates,
                ders: &ders,
                issuers,
                stapled: &[],
                fetched: &Fetched::default(),
            };
            Chains::judge(&evidence, &self.anchors, as_of)
        };
        let chains = judge(assets, &certificates);
        let input = Input {
            assets,
            devices: self.devices.as_deref(),
            software: self.software.as_deref(),
            issuers: self.issuers.as_deref(),
            decided: &Decided::default(),
            files: &[],
            certificates: &certificates,
            chains: &chains,
            network: &self.network,
            scans: &self.scans,
            thresholds: Thresholds::default(),
            offset: self.offset,
            as_of,
        };
        let comparison = compare::compare(&input);
        let mut backwards = (assets.to_vec(), certificates.clone(), self.scans.clone());
        backwards.0.reverse();
        backwards.1.reverse();
        backwards.2.reverse();
        assert_eq!(judge(&backwards.0, &backwards.1), chains, "the order of the input matters");
        let other = compare::compare(&Input {
            assets: &backwards.0,
            certificates: &backwards.1,
            scans: &backwards.2,
            ..input
        });
        let outline = |comparison: &Comparison| -> Vec<_> {
            let one = |d: &Detection| (d.rule, d.severity, d.subject.clone());
            comparison.detections.iter().map(one).collect()
        };
        assert_eq!(outline(&comparison), outline(&other), "the order of the input matters");

        let changed = |findings: &BTreeMap<FindingKey, Finding>| {
            let known: Vec<Finding> = findings.values().cloned().collect();
            let checked = |key: &FindingKey| comparison.checked(key);
            reconcile(&known, &comparison.detections, &checked, as_of)
        };
        for change in changed(&self.findings) {
            self.findings.insert(change.finding.key.clone(), change.finding);
        }
        assert_eq!(changed(&self.findings), [], "the same review changed something");
        comparison
    }

    /// `RULE SUBJECT until DAY`, the subject as findings are expected.
    pub(crate) fn accept(&mut self, sentence: &str, made: &Certificates, as_of: Timestamp) {
        let (named, day) = sentence.split_once(" until ").expect("RULE SUBJECT until DAY");
        let until = day.parse::<Day>().unwrap().ends_at(self.offset);
        let called = |f: &&mut Finding| {
            named == format!("{} {}", f.key.rule, made.with_names(&f.key.subject))
        };
        let finding = self.findings.values_mut().find(called);
        let finding = finding.unwrap_or_else(|| panic!("nothing to accept: {named}"));
        *finding = accept(finding, until, "known", as_of).unwrap();
    }

    /// Expects every finding there is: `STATE SEVERITY RULE SUBJECT [because WORDS]`.
    pub(crate) fn expect(&self, what: &str, expected: &[String], made: &Certificates) {
        let outline = |finding: &Finding| {
            let (state, severity) = (finding.state.as_str(), finding.severity.as_str());
            let subject = made.with_names(&finding.key.subject);
            format!("{state} {severity} {} {subject}", finding.key.rule)
        };
        let words = |text: &String| match text.split_once(" because ") {
            Some((outline, words)) => (outline.to_owned(), words.to_owned()),
            None => (text.clone(), String::new()),
        };
        let expected: BTreeMap<String, String> = expected.iter().map(words).collect();
        let heads: Vec<String> = expected.keys().cloned().collect();
        same(what, self.findings.values().map(outline), &heads);
        for finding in self.findings.values() {
            let (words, detail) = (&expected[&outline(finding)], &finding.detail);
            assert!(detail.contains(words.as_str()), "{what}: {detail:?} has no {words:?}");
            assert!(!finding.title.is_empty() && !detail.is_empty(), "{finding:?}");
        }
    }

    /// `asset ID STATE [ENTRY]` and `entry ENTRY STATE`.
    pub(crate) fn registration(&self, comparison: &Comparison) -> Vec<String> {
        let devices = self.devices.as_deref().unwrap_or_default();
        let assets = comparison.assets.iter().map(|state| {
            assert!(!state.reason.is_empty(), "{state:?}");
            let entry = state.entry.map(|at| format!(" {}", devices[at].reference));
            format!("asset {} {}{}", state.asset, state.state, entry.unwrap_or_default())
        });
        let entries = comparison.entries.iter().map(|state| {
            assert!(!state.reason.is_empty(), "{state:?}");
            format!("entry {} {}", devices[state.entry].reference, state.state)
        });
        assets.chain(entries).collect()
    }
}

/// `FIRST[-LAST] METHOD[,METHOD] [tcp PORTS] [udp PORTS]`
fn coverage(text: &str) -> Coverage {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [range, methods, ref ports @ ..] = words[..] else { panic!("not a place: {text:?}") };
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let asked = |transport| {
        let at = ports.iter().position(|word| *word == transport);
        at.map_or_else(PortSet::default, |at| ports[at + 1].parse().unwrap())
    };
    Coverage {
        range: AddressRange::new(first.parse().unwrap(), last.parse().unwrap()).unwrap(),
        methods: methods.split(',').map(|name| Method::from_name(name).unwrap()).collect(),
        tcp: asked("tcp"),
        udp: asked("udp"),
    }
}
