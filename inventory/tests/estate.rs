//! Two years of an estate of 500 certificates, swept daily: no expiry is missed, and nothing is
//! told twice.
//!
//! Everything that decides is the product's: rules, comparison, findings, alerts. Only the
//! certificates are written down instead of parsed, and the places served are given.

use std::collections::{BTreeMap, BTreeSet};

use certs::{Certificate, Thresholds};
use inventory::{
    alert::{self, AlertKind, Policy, Told},
    approval::Decided,
    asset::{Asset, AssetId, Deployment},
    chain::Chains,
    compare::{Input, Network, compare},
    finding::{Finding, FindingState, reconcile},
};
use jiff::tz::Offset;
use model::{Identifier, PortState, Site, Strength, Timestamp, TlsVersion, Transport};

const DAY: i64 = 86_400;
const DAYS: i64 = 730;
const SERVERS: usize = 500;
/// The lifetimes of public certificates from 2026 on, and those of six days.
const LIFETIMES: [i64; 4] = [200, 100, 47, 6];

/// Small numbers that look random and are always the same (SplitMix64's finalizer).
fn draw(a: usize, b: i64) -> u64 {
    let mut x = (a as u64) << 32 ^ b as u64 ^ 0x9e37_79b9_7f4a_7c15;
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

/// What one server does.
struct Server {
    number: usize,
    lifetime: i64,
    /// The certificate served now, and when it was issued.
    issue: i64,
    serial: u64,
    /// When it is renewed: on time (a third left), late (a tenth left), or days after expiry.
    renew_at: i64,
}

impl Server {
    fn new(number: usize) -> Self {
        let lifetime = LIFETIMES[number % LIFETIMES.len()];
        // Spread over their first lifetime, so that not all are renewed on one day.
        let issue = -((draw(number, -1) % lifetime as u64) as i64 * 2 / 3);
        let mut server = Self { number, lifetime, issue, serial: 0, renew_at: 0 };
        server.plan();
        server
    }

    fn plan(&mut self) {
        let end = self.issue + self.lifetime;
        self.renew_at = match draw(self.number, self.issue) % 100 {
            0..80 => self.issue + self.lifetime * 2 / 3,
            80..92 => end - (self.lifetime / 10).max(1),
            92..97 => end + 1,
            _ => end + 20,
        }
        .max(self.issue + 1);
    }

    fn name(&self) -> String {
        format!("s{}.example", self.number)
    }

    fn sha256(&self) -> String {
        format!("{:08x}{:08x}", self.number, self.serial)
    }

    fn certificate(&self, template: &Certificate) -> Certificate {
        let at = |day: i64| Some(Timestamp::from_seconds(day * DAY));
        Certificate {
            sha256: self.sha256(),
            subject: format!("CN={}", self.name()),
            names: vec![self.name()],
            not_before: at(self.issue),
            not_after: at(self.issue + self.lifetime),
            spki_sha256: Some(self.sha256()),
            ..template.clone()
        }
    }
}

fn asset(server: &Server) -> Asset {
    let address = std::net::Ipv4Addr::from(0xc612_0000 + server.number as u32).into();
    Asset {
        id: AssetId(server.number as i64 + 1),
        site: Site("estate".into()),
        first_seen: Timestamp::from_seconds(0),
        last_seen: Timestamp::from_seconds(0),
        identity_uncertain: false,
        identifiers: vec![inventory::asset::Assigned {
            identifier: Identifier::Address(address),
            strength: Strength::Weak,
            first_seen: Timestamp::from_seconds(0),
            last_seen: Timestamp::from_seconds(0),
            current: true,
            because: "answered".into(),
        }],
        names: Vec::new(),
        alive_by: Vec::new(),
        services: vec![inventory::asset::ServiceState {
            address,
            transport: Transport::Tcp,
            port: 443,
            state: PortState::Open,
            protocol: None,
            product: None,
            version: None,
            cpe: None,
            tls: true,
            attributes: BTreeMap::new(),
            tls_server: None,
            first_seen: Timestamp::from_seconds(0),
            last_seen: Timestamp::from_seconds(0),
        }],
        software: Vec::new(),
        os: None,
        deployments: Vec::new(),
        anomalies: Vec::new(),
        heard: Vec::new(),
    }
}

/// What one day serves: the certificate of before stays as history.
fn serve(asset: &mut Asset, sha256: &str, now: Timestamp) {
    if let Some(same) = asset.deployments.iter_mut().find(|d| d.sha256 == sha256) {
        same.last_seen = now;
        return;
    }
    asset.deployments.retain(|deployment| deployment.current);
    asset.deployments.iter_mut().for_each(|deployment| deployment.current = false);
    let address = asset.services[0].address;
    asset.deployments.push(Deployment {
        sha256: sha256.to_owned(),
        chain: Vec::new(),
        address,
        port: 443,
        transport: Transport::Tcp,
        server_name: None,
        protocol_version: TlsVersion(0x0304),
        starttls: None,
        first_seen: now,
        last_seen: now,
        current: true,
    });
}

/// A certificate without a fault.
fn template() -> Certificate {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["template.example".to_owned()]).unwrap();
    params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let mut ca = rcgen::CertificateParams::default();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let issuer = rcgen::Issuer::new(ca, rcgen::KeyPair::generate().unwrap());
    certs::parse(params.signed_by(&key, &issuer).unwrap().der())
}

#[test]
fn two_years_of_certificates_are_told_in_time_and_once() {
    let template = template();
    let mut servers: Vec<Server> = (0..SERVERS).map(Server::new).collect();
    let mut assets: Vec<Asset> = servers.iter().map(asset).collect();
    let mut findings: BTreeMap<_, Finding> = BTreeMap::new();
    let mut told: Vec<Told> = Vec::new();
    let policy = Policy { remind: 0, ..Policy::default() };
    let mut alerted: BTreeMap<(String, AlertKind), Vec<i64>> = BTreeMap::new();
    let mut expired: BTreeSet<String> = BTreeSet::new();
    let (mut renewals, mut most) = (0, 0);
    for day in 0..DAYS {
        for server in &mut servers {
            while server.renew_at <= day {
                server.issue = server.renew_at;
                server.serial += 1;
                server.plan();
                renewals += 1;
            }
        }
        // Each day at noon.
        let now = Timestamp::from_seconds(day * DAY + DAY / 2);
        for (server, asset) in servers.iter().zip(&mut assets) {
            serve(asset, &server.sha256(), now);
        }
        let named: BTreeSet<&str> =
            assets.iter().flat_map(|a| &a.deployments).map(|d| d.sha256.as_str()).collect();
        let certificates: Vec<Certificate> = servers
            .iter()
            .map(|server| server.certificate(&template))
            .filter(|certificate| named.contains(certificate.sha256.as_str()))
            .collect();
        let comparison = compare(&Input {
            assets: &assets,
            devices: None,
            software: None,
            issuers: None,
            decided: &Decided::default(),
            certificates: &certificates,
            chains: &Chains::default(),
            network: &Network::default(),
            scans: &[],
            files: &[],
            thresholds: Thresholds::default(),
            offset: Offset::UTC,
            as_of: now,
        });
        // What was resolved long ago decides nothing any more.
        let month_ago = now.plus_seconds(-30 * DAY);
        findings.retain(|_, finding| finding.resolved_at.is_none_or(|at| at > month_ago));
        let known: Vec<Finding> = findings.values().cloned().collect();
        let checked = |key: &_| comparison.checked(key);
        for change in reconcile(&known, &comparison.detections, &checked, now) {
            findings.insert(change.finding.key.clone(), change.finding);
        }
        let all: Vec<Finding> = findings.values().cloned().collect();
        let (alerts, after) = alert::decide(&all, &told, &policy, now);
        told = after;
        most = most.max(alerts.len());
        for alert in alerts {
            let subject = alert.finding.key.subject.clone();
            alerted.entry((subject, alert.kind)).or_default().push(day);
        }
        for server in servers.iter().filter(|server| server.issue + server.lifetime <= day) {
            let subject = format!("certificate:{}", server.sha256());
            // It stays visible for as long as it is served.
            let open = |finding: &&Finding| {
                finding.key.subject == subject
                    && finding.key.rule == "cert.expired"
                    && finding.state == FindingState::Open
            };
            assert!(findings.values().any(|finding| open(&finding)), "{subject} on day {day}");
            if expired.insert(subject.clone()) {
                let first = alerted.get(&(subject.clone(), AlertKind::New));
                let first = first.unwrap_or_else(|| panic!("{subject} expired untold on {day}"));
                assert!(first[0] < day, "{subject} was told on the day it expired, {day}");
            }
        }
    }
    assert!(
        renewals > 15_000 && expired.len() > 500,
        "{renewals} renewals, {} expiries",
        expired.len()
    );
    for ((subject, kind), days) in &alerted {
        // Worse twice: nearly expired, and expired.
        let allowed = if *kind == AlertKind::Worse { 2 } else { 1 };
        assert!(days.len() <= allowed, "{subject} was told {kind:?} on days {days:?}");
    }
    // Who renews on time hears nothing at all.
    let quiet = servers.iter().map(|server| format!("certificate:{}", server.sha256()));
    let loud = alerted.keys().map(|(subject, _)| subject).collect::<BTreeSet<_>>();
    assert!(quiet.clone().filter(|subject| !loud.contains(subject)).count() > SERVERS / 2);
    assert!(most < 100, "{most} alerts in one day");
    let alerts = alerted.values().map(Vec::len).sum::<usize>();
    assert!(alerts < renewals, "{alerts} alerts for {renewals} renewals, four of five in time");
}
