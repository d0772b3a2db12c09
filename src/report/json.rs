//! The JSON that `docs/json.md` promises. Its own types, so that a change elsewhere cannot
//! change the promise.

mod alert;
mod download;
mod file;
mod import;
mod list;
mod trust;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use certs::hello::{group_name, suite_name};
use inventory::{
    alert::Alert,
    asset::{Asset, Deployment, KnownTls, ServiceState, Software},
    heard::Heard,
    owner::Owners,
};
use model::Fact;
use serde::Serialize;

pub(crate) use alert::{DeliveredJson, MessageJson, TestedJson};
pub(crate) use download::{DownloadsJson, RefreshJson};
pub(crate) use file::{CollectJson, FileJson, HeldJson, ServersJson};
pub(crate) use import::ImportJson;
pub(crate) use list::{ListedServiceJson, ListedSoftwareJson};
pub(crate) use trust::{
    ChainJson, LinkJson, LongerJson, MilestoneJson, OwnerJson, ReadinessJson, RefusalJson,
};

use crate::cli::{conclude::Notes, search::Searched};

/// `{"scan", "downloads", "imports", "assets", "findings", "alerts"}`.
#[derive(Debug, Serialize)]
pub(crate) struct SweepJson<'a> {
    pub(crate) scan: ScanJson,
    pub(crate) downloads: Option<DownloadsJson>,
    pub(crate) imports: Vec<ImportJson>,
    pub(crate) assets: Vec<AssetJson<'a>>,
    pub(crate) findings: Vec<FindingJson>,
    pub(crate) alerts: Vec<AlertJson>,
}

/// What is new since the last scan told its alerts.
#[derive(Debug, Serialize)]
pub(crate) struct AlertJson {
    pub(crate) kind: &'static str,
    pub(crate) rule: String,
    pub(crate) subject: String,
    pub(crate) severity: &'static str,
    pub(crate) title: String,
    pub(crate) detail: String,
    pub(crate) owners: Vec<OwnerJson>,
}

impl AlertJson {
    pub(crate) fn new(Alert { kind, finding }: Alert, owners: &Owners) -> Self {
        Self {
            owners: owners.of_finding(&finding).into_iter().map(OwnerJson::from).collect(),
            kind: kind.as_str(),
            rule: finding.key.rule,
            subject: finding.key.subject,
            severity: finding.severity.as_str(),
            title: finding.title,
            detail: finding.detail,
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct ScanJson {
    pub(crate) id: i64,
    pub(crate) started_at: String,
    pub(crate) ended_at: Option<String>,
    pub(crate) io: String,
    pub(crate) probes_sent: u64,
    pub(crate) replies: u64,
    pub(crate) drops: u64,
    pub(crate) complete: bool,
    pub(crate) gaps: Vec<GapJson>,
    pub(crate) estimated_missed: Option<MissedJson>,
    pub(crate) rate_found: Option<u32>,
    pub(crate) rate_limited: Vec<LimitedJson>,
    pub(crate) searched: Vec<SearchedJson>,
}

/// The search of the areas on one link.
#[derive(Debug, Serialize)]
pub(crate) struct SearchedJson {
    pub(crate) areas: Vec<String>,
    pub(crate) interface: String,
    pub(crate) answered: usize,
    pub(crate) asked_besides: usize,
    pub(crate) not_targets: usize,
    pub(crate) routers: Vec<RouterJson>,
}

#[derive(Debug, Serialize)]
pub(crate) struct RouterJson {
    pub(crate) address: String,
    pub(crate) mac: Option<String>,
    pub(crate) prefixes: Vec<String>,
}

/// Shares of 1.
#[derive(Debug, Serialize)]
pub(crate) struct MissedJson {
    pub(crate) share: f64,
    pub(crate) plus_minus: f64,
}

#[derive(Debug, Serialize)]
pub(crate) struct LimitedJson {
    pub(crate) address: String,
    pub(crate) packets_per_second: u32,
}

#[derive(Debug, Serialize)]
pub(crate) struct GapJson {
    pub(crate) target: String,
    pub(crate) reason: String,
}

impl ScanJson {
    pub(crate) fn new(id: model::ScanId, scan: &model::ScanRecord, notes: &Notes) -> Self {
        let gap =
            |gap: &model::Gap| GapJson { target: gap.target.clone(), reason: gap.reason.clone() };
        let limited = |(address, rate): &(IpAddr, u32)| LimitedJson {
            address: address.to_string(),
            packets_per_second: *rate,
        };
        Self {
            id: id.0,
            started_at: scan.started_at.to_string(),
            ended_at: scan.ended_at.map(|at| at.to_string()),
            io: scan.io.clone(),
            probes_sent: scan.probes_sent,
            replies: scan.replies,
            drops: scan.drops,
            complete: scan.complete,
            gaps: scan.gaps.iter().map(gap).collect(),
            estimated_missed: notes
                .missed
                .map(|(share, plus_minus)| MissedJson { share, plus_minus }),
            rate_found: notes.rate,
            rate_limited: notes.limited.iter().map(limited).collect(),
            searched: notes.searched.iter().map(SearchedJson::from).collect(),
        }
    }
}

impl From<&Searched> for SearchedJson {
    fn from(searched: &Searched) -> Self {
        let router = |router: &scanner::search::Router| RouterJson {
            address: router.address.to_string(),
            mac: router.mac.map(|mac| mac.to_string()),
            prefixes: router
                .prefixes
                .iter()
                .map(|prefix| format!("{}/{}", prefix.address, prefix.length))
                .collect(),
        };
        Self {
            areas: searched.areas.clone(),
            interface: searched.interface.clone(),
            answered: searched.found,
            asked_besides: searched.candidates,
            not_targets: searched.elsewhere,
            routers: searched.routers.iter().map(router).collect(),
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct AssetJson<'a> {
    pub(crate) id: i64,
    pub(crate) site: &'a str,
    pub(crate) names: Vec<&'a str>,
    pub(crate) addresses: Vec<String>,
    pub(crate) macs: Vec<String>,
    pub(crate) vendor: Option<&'a str>,
    pub(crate) class: Option<&'a str>,
    pub(crate) os: Option<OsJson<'a>>,
    pub(crate) registration: &'static str,
    pub(crate) services: Vec<ServiceJson<'a>>,
    pub(crate) software: Vec<SoftwareJson<'a>>,
    pub(crate) certificates: Vec<&'a str>,
    pub(crate) first_seen: String,
    pub(crate) last_seen: String,
    pub(crate) alive_by: Vec<&'static str>,
    pub(crate) identity_uncertain: bool,
    pub(crate) heard: Vec<HeardJson>,
}

/// What the asset told unasked, or was heard to do.
#[derive(Debug, Serialize)]
pub(crate) struct HeardJson {
    pub(crate) subject: String,
    /// As in an observation, whose form is promised too.
    pub(crate) fact: Fact,
    pub(crate) first_seen: String,
    pub(crate) last_seen: String,
}

impl From<&Heard> for HeardJson {
    fn from(heard: &Heard) -> Self {
        Self {
            subject: heard.subject.to_string(),
            fact: heard.what.fact(),
            first_seen: heard.first_seen.to_string(),
            last_seen: heard.last_seen.to_string(),
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct OsJson<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: Option<&'a str>,
}

#[derive(Debug, Serialize)]
pub(crate) struct ServiceJson<'a> {
    pub(crate) address: String,
    pub(crate) transport: &'static str,
    pub(crate) port: u16,
    pub(crate) state: &'static str,
    pub(crate) protocol: Option<&'a str>,
    pub(crate) product: Option<&'a str>,
    pub(crate) version: Option<&'a str>,
    pub(crate) cpe: Option<&'a str>,
    pub(crate) tls: bool,
    pub(crate) attributes: &'a BTreeMap<String, String>,
    pub(crate) tls_server: Option<TlsServerJson<'a>>,
}

impl<'a> From<&'a ServiceState> for ServiceJson<'a> {
    fn from(service: &'a ServiceState) -> Self {
        Self {
            address: service.address.to_string(),
            transport: service.transport.as_str(),
            port: service.port,
            state: service.state.as_str(),
            protocol: service.protocol.as_deref(),
            product: service.product.as_deref(),
            version: service.version.as_deref(),
            cpe: service.cpe.as_ref().map(|cpe| cpe.0.as_str()),
            tls: service.tls,
            attributes: &service.attributes,
            tls_server: service.tls_server.as_ref().map(TlsServerJson::from),
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct TlsServerJson<'a> {
    pub(crate) asked: &'static str,
    pub(crate) cut: bool,
    pub(crate) starttls: Option<&'a str>,
    pub(crate) accepted: Vec<AcceptedJson>,
    pub(crate) refused: Vec<String>,
    pub(crate) groups: Vec<String>,
    pub(crate) dh_bits: Option<u32>,
    pub(crate) application_protocols: &'a BTreeSet<String>,
    pub(crate) client_authorities: Option<&'a BTreeSet<String>>,
    pub(crate) compression: Option<u8>,
    pub(crate) secure_renegotiation: Option<bool>,
    pub(crate) extended_master_secret: Option<bool>,
    pub(crate) x25519mlkem768: Option<bool>,
    pub(crate) last_seen: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct AcceptedJson {
    pub(crate) version: String,
    pub(crate) suites: Vec<String>,
}

impl<'a> From<&'a KnownTls> for TlsServerJson<'a> {
    fn from(known: &'a KnownTls) -> Self {
        let server = &known.server;
        let suite = |suite: &u16| match suite_name(*suite) {
            Some(name) => format!("TLS_{name}"),
            None => format!("{suite:#06x}"),
        };
        let group =
            |group: &u16| group_name(*group).map_or_else(|| format!("{group:#06x}"), str::to_owned);
        let accepted = server.accepted.iter().map(|(version, suites)| AcceptedJson {
            version: version.to_string(),
            suites: suites.iter().map(suite).collect(),
        });
        Self {
            asked: server.asked.as_str(),
            cut: server.cut,
            starttls: server.starttls.as_deref(),
            accepted: accepted.collect(),
            refused: server.refused.iter().map(ToString::to_string).collect(),
            groups: server.groups.iter().map(group).collect(),
            dh_bits: server.dh_bits,
            application_protocols: &server.protocols,
            client_authorities: server.client_authorities.as_ref(),
            compression: server.compression,
            secure_renegotiation: server.secure_renegotiation,
            extended_master_secret: server.extended_master_secret,
            x25519mlkem768: server.hybrid,
            last_seen: known.last_seen.to_string(),
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct SoftwareJson<'a> {
    pub(crate) product: &'a str,
    pub(crate) version: Option<&'a str>,
    pub(crate) cpe: Option<&'a str>,
    pub(crate) source: &'a str,
}

impl<'a> From<&'a Software> for SoftwareJson<'a> {
    fn from(software: &'a Software) -> Self {
        Self {
            product: &software.product,
            version: software.version.as_deref(),
            cpe: software.cpe.as_ref().map(|cpe| cpe.0.as_str()),
            source: &software.source,
        }
    }
}

impl<'a> AssetJson<'a> {
    /// What is true of the asset now; what was once is told by `assets show`.
    pub(crate) fn new(
        asset: &'a Asset,
        vendor: Option<&'a str>,
        class: Option<&'a str>,
        registration: &'static str,
    ) -> Self {
        let mut names: Vec<&str> = asset.names.iter().map(|name| name.name.as_str()).collect();
        names.sort();
        names.dedup();
        let current = asset.deployments.iter().filter(|deployment| deployment.current);
        let mut certificates: Vec<&str> = current.map(|served| served.sha256.as_str()).collect();
        certificates.sort();
        certificates.dedup();
        let software = asset.software.iter().filter(|software| software.current);
        let os = asset.os.as_ref();
        Self {
            id: asset.id.0,
            site: &asset.site.0,
            names,
            addresses: asset.addresses().map(|address| address.to_string()).collect(),
            macs: asset.macs().map(|mac| mac.to_string()).collect(),
            vendor,
            class,
            os: os.map(|os| OsJson { name: &os.name, version: os.version.as_deref() }),
            registration,
            services: asset.services.iter().map(ServiceJson::from).collect(),
            software: software.map(SoftwareJson::from).collect(),
            certificates,
            first_seen: asset.first_seen.to_string(),
            last_seen: asset.last_seen.to_string(),
            alive_by: asset.alive_by.iter().map(|method| method.as_str()).collect(),
            identity_uncertain: asset.identity_uncertain,
            heard: asset.heard.iter().map(HeardJson::from).collect(),
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct CertificateJson {
    pub(crate) sha256: String,
    pub(crate) subject: Option<String>,
    pub(crate) issuer: Option<String>,
    pub(crate) serial: Option<String>,
    pub(crate) not_before: Option<String>,
    pub(crate) not_after: Option<String>,
    pub(crate) renew_by: Option<String>,
    pub(crate) overdue: bool,
    pub(crate) names: Vec<String>,
    pub(crate) key: KeyJson,
    pub(crate) signature_algorithm: Option<String>,
    pub(crate) self_signed: bool,
    pub(crate) trust: Option<&'static str>,
    pub(crate) root: Option<&'static str>,
    pub(crate) problems: Vec<RefusalJson>,
    pub(crate) owners: Vec<OwnerJson>,
    pub(crate) endpoints: Vec<PlaceJson>,
    pub(crate) files: Vec<HeldJson>,
    pub(crate) first_seen: String,
    pub(crate) last_seen: String,
    pub(crate) anomalies: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct KeyJson {
    pub(crate) algorithm: Option<String>,
    pub(crate) bits: Option<u32>,
}

#[derive(Debug, Serialize)]
pub(crate) struct PlaceJson {
    pub(crate) address: String,
    pub(crate) port: u16,
    pub(crate) transport: &'static str,
    pub(crate) server_name: Option<String>,
    pub(crate) protocol_version: String,
    pub(crate) starttls: Option<String>,
    pub(crate) protocol: &'static str,
}

impl From<&Deployment> for PlaceJson {
    fn from(place: &Deployment) -> Self {
        Self {
            address: place.address.to_string(),
            port: place.port,
            transport: place.transport.as_str(),
            server_name: place.server_name.clone(),
            protocol_version: place.protocol_version.to_string(),
            starttls: place.starttls.clone(),
            protocol: place.protocol(),
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct ProblemJson {
    pub(crate) path: String,
    pub(crate) reason: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct FindingJson {
    pub(crate) id: i64,
    pub(crate) rule: String,
    pub(crate) severity: &'static str,
    pub(crate) subject: String,
    pub(crate) asset: Option<i64>,
    pub(crate) title: String,
    pub(crate) detail: String,
    pub(crate) state: &'static str,
    pub(crate) first_seen: String,
    pub(crate) last_seen: String,
    pub(crate) citation: Option<&'static str>,
    pub(crate) accepted_until: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) owners: Vec<OwnerJson>,
}
