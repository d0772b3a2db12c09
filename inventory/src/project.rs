//! From what was seen of an asset to what is known of it: services, software, operating
//! system, names, certificates in their places, anomalies.
//!
//! Whose observations they are is decided before (`identity`). A later statement wins over an
//! earlier one whatever the order in which they arrive, and a statement that is not newer
//! than what is known changes nothing, so that the same observations twice are the same
//! asset. Not asked is not closed, and not told is not changed.

mod certificate;
mod habit;
mod service;
mod ssh;
mod tls;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use model::{
    Cpe, Endpoint, Fact, FingerprintKind, HostKey, Identifier, Method, NameSource, Observation,
    PortState, Subject, Timestamp, Transport,
};

use self::{
    certificate::certificates,
    service::{is_from, learn_software, product_text, products, services},
    ssh::host_certificates,
    tls::tls_servers,
};
use crate::{
    asset::{Anomaly, Asset, Event, Name, OperatingSystem, ServiceState},
    event,
    evidence::{LeafKey, is_own_name, is_presence, plain_name},
    heard,
};

/// The attribute of a service that holds its SSH host key of one algorithm is named by this
/// and the algorithm.
const HOST_KEY: &str = "host_key:";
/// The attribute of a service that holds the validity of the certificate of its SSH host key
/// is named by this and the key's algorithm.
const HOST_CERTIFICATE: &str = "host_certificate:";
/// The attribute of a service that holds the key of the certificate that it serves is named
/// by this and the server name asked for.
const TLS_KEY: &str = "tls_key:";
/// The source of an operating system is who told it and this.
const OS_SOURCE: &str = " operating system";
/// The same where nobody told it, but what its DHCP client calls itself says so.
const OS_OPINION: &str = " vendor class, operating system";
/// The same where it follows from all that was heard of it (`opinion`).
const OS_HABITS: &str = "heard habits, operating system";

/// The algorithm whose host key a service's attribute of that name holds.
pub(crate) fn host_key_algorithm(attribute: &str) -> Option<&str> {
    attribute.strip_prefix(HOST_KEY)
}

/// The algorithm of the host key of whose certificate an attribute of that name tells.
pub(crate) fn host_certificate(attribute: &str) -> Option<&str> {
    attribute.strip_prefix(HOST_CERTIFICATE)
}

/// Whether a software of that source was told by that service.
pub(crate) fn is_told_by(source: &str, service: &ServiceState) -> bool {
    is_from(source, place(service))
}

/// Whether a software of that source is an operating system.
pub(crate) fn is_operating_system(source: &str) -> bool {
    source.ends_with(OS_SOURCE)
}

/// Who told a system, by the source of a software; `None` where nobody told it.
pub(crate) fn told_system(source: &str) -> Option<&str> {
    let told = source.strip_suffix(OS_SOURCE)?;
    (source != OS_HABITS && !source.ends_with(OS_OPINION)).then_some(told)
}

/// Keys that services showed before and show no more.
#[derive(Debug, Default)]
pub(crate) struct Replaced {
    pub(crate) host_keys: BTreeSet<String>,
    pub(crate) tls_keys: BTreeSet<String>,
}

/// Adds what the observations say to the asset. `known` is whether it was known before, so
/// that a change is an event.
pub(crate) fn apply(
    asset: &mut Asset,
    known: bool,
    holds: &BTreeSet<IpAddr>,
    seen: &[&Observation],
    as_of: Timestamp,
    leaf_key: LeafKey<'_>,
) -> (Vec<Event>, Replaced) {
    let mut events = Vec::new();
    let at = |observation: &Observation| observation.observed_at.min(as_of);
    let before = keys(asset);
    services(asset, known, holds, seen, &at, &mut events);
    products(asset, known, seen, &at, &mut events);
    keys_of_services(asset, seen, &at, leaf_key);
    host_certificates(asset, seen, &at);
    tls_servers(asset, seen, &at);
    operating_system(asset, known, seen, &at, &mut events);
    certificates(asset, known, holds, seen, &at, &mut events);
    names(asset, seen, &at);
    anomalies(asset, seen, &at, &mut events);
    alive(asset, seen, &at);
    heard::hear(asset, seen, &at);
    habit::conclude(asset);
    let after = keys(asset);
    let gone = |prefix: &str| {
        let still: BTreeSet<&String> =
            after.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(_, key)| key).collect();
        before
            .iter()
            .filter(|(name, key)| name.starts_with(prefix) && !still.contains(key))
            .map(|(_, key)| key.clone())
            .collect()
    };
    (events, Replaced { host_keys: gone(HOST_KEY), tls_keys: gone(TLS_KEY) })
}

type At<'a> = &'a dyn Fn(&Observation) -> Timestamp;

fn keys(asset: &Asset) -> BTreeSet<(String, String)> {
    let attributes = asset.services.iter().flat_map(|service| &service.attributes);
    attributes
        .filter(|(name, _)| name.starts_with(HOST_KEY) || name.starts_with(TLS_KEY))
        .flat_map(|(name, keys)| keys.split(' ').map(|key| (name.clone(), key.to_owned())))
        .collect()
}

/// The endpoint with its address in its own clothes.
fn endpoint_of(subject: &Subject) -> Option<Endpoint> {
    match subject {
        Subject::Endpoint(endpoint) => {
            Some(Endpoint { address: endpoint.address.to_canonical(), ..*endpoint })
        }
        _ => None,
    }
}

/// The endpoint of each port at the subject's address.
fn endpoints_of(
    subject: &Subject,
    transport: Transport,
) -> Option<impl Fn(u16) -> Endpoint + Copy + use<>> {
    let address = subject.address()?.to_canonical();
    Some(move |port| Endpoint { address, transport, port })
}

fn place(service: &ServiceState) -> Endpoint {
    Endpoint { address: service.address, transport: service.transport, port: service.port }
}

/// Notes the keys that the services show, by which a key is known to be replaced.
fn keys_of_services(asset: &mut Asset, seen: &[&Observation], at: At<'_>, leaf_key: LeafKey<'_>) {
    type Shown = BTreeSet<(u16, Timestamp, String)>;
    let mut shown: BTreeMap<(Endpoint, String), Shown> = BTreeMap::new();
    for observation in seen {
        let Some(endpoint) = endpoint_of(&observation.subject) else { continue };
        let (attribute, rank, key) = match &observation.fact {
            Fact::HostKey(HostKey { algorithm, sha256 }) if !sha256.is_empty() => {
                (format!("{HOST_KEY}{algorithm}"), 0, sha256.clone())
            }
            Fact::Certificates(chain) => {
                let Some(key) = chain.chain.first().and_then(|leaf| leaf_key(leaf)) else {
                    continue;
                };
                let name = chain.server_name.as_deref().unwrap_or_default();
                (format!("{TLS_KEY}{name}"), chain.protocol_version.0, key)
            }
            _ => continue,
        };
        shown.entry((endpoint, attribute)).or_default().insert((rank, at(observation), key));
    }
    for ((endpoint, attribute), shown) in shown {
        let Ok(i) = asset.services.binary_search_by_key(&endpoint, place) else { continue };
        let Some((rank, when, _)) = shown.last().cloned() else { continue };
        // A server with certificates of several kinds of key shows them side by side.
        let latest = shown.iter().filter(|(r, w, _)| (*r, *w) == (rank, when));
        let keys: Vec<&str> = latest.map(|(_, _, key)| key.as_str()).collect();
        let is_past =
            |old: &str| keys.contains(&old) || last_shown(asset, &attribute, old) < Some(when);
        let old = asset.services[i].attributes.get(&attribute);
        if old.is_none_or(|old| old.split(' ').all(is_past)) {
            let keys = keys.join(" ");
            asset.services[i].attributes.insert(attribute, keys);
        }
    }
}

/// When the asset last showed that key, so that an older scan which is read again does not
/// bring back the one before it.
fn last_shown(asset: &Asset, attribute: &str, key: &str) -> Option<Timestamp> {
    let identifier = match host_key_algorithm(attribute) {
        Some(_) => Identifier::SshHostKey(key.to_owned()),
        None => Identifier::TlsKey(key.to_owned()),
    };
    let i = asset.identifiers.binary_search_by(|a| a.identifier.cmp(&identifier)).ok()?;
    asset.identifiers.get(i).map(|assigned| assigned.last_seen)
}

fn operating_system(
    asset: &mut Asset,
    known: bool,
    seen: &[&Observation],
    at: At<'_>,
    events: &mut Vec<Event>,
) {
    type Told<'a> = (bool, Timestamp, &'a str, Option<&'a str>, Option<&'a Cpe>);
    let mut told: BTreeMap<String, Told<'_>> = BTreeMap::new();
    for observation in seen {
        let (source, name, version, cpe) = match &observation.fact {
            Fact::OperatingSystem { name, version, cpe } => {
                let source = format!("{}{OS_SOURCE}", observation.subject);
                (source, &**name, version.as_deref(), cpe.as_ref())
            }
            Fact::Fingerprint { kind: FingerprintKind::DhcpVendorClass, value } => {
                let Some((name, version)) = heard::system_of_vendor_class(value) else { continue };
                (format!("{}{OS_OPINION}", observation.subject), name, version, None)
            }
            _ => continue,
        };
        let mine = (version.is_some(), at(observation), name, version, cpe);
        let best = told.entry(source).or_insert(mine);
        *best = mine.max(*best);
    }
    if told.is_empty() {
        return;
    }
    for (source, (_, when, name, version, cpe)) in told {
        let before = asset.software.iter().find(|s| s.current && s.source == source);
        if let Some(before) = before.filter(|before| before.last_seen < when) {
            let both = before.version.as_deref().zip(version);
            if known && (before.product != name || both.is_some_and(|(was, is)| was != is)) {
                let was = product_text(Some(&before.product), before.version.as_deref(), None);
                let now = product_text(Some(name), version, None);
                events.push(event::os_changed(when, asset.id, source.clone(), (&was, &now)));
            }
        }
        let version = version.map(str::to_owned);
        let same = |s: &str| s == source;
        learn_software(
            asset,
            Some(name.to_owned()),
            version,
            cpe.cloned(),
            source.clone(),
            when,
            &same,
        );
    }
    choose_system(asset);
}

/// The best of the systems that the asset is said to run.
fn choose_system(asset: &mut Asset) {
    let best = asset
        .software
        .iter()
        .filter(|software| software.current && is_operating_system(&software.source))
        // What only follows from habits yields to what is told.
        .max_by_key(|s| {
            let told = match &*s.source {
                OS_HABITS => 1,
                source if source.ends_with(OS_OPINION) => 0,
                _ => 2,
            };
            (told, s.version.is_some(), s.last_seen, &s.product, &s.version)
        });
    asset.os = best.map(|software| OperatingSystem {
        name: software.product.clone(),
        version: software.version.clone(),
        cpe: software.cpe.clone(),
        last_seen: software.last_seen,
    });
}

fn names(asset: &mut Asset, seen: &[&Observation], at: At<'_>) {
    let mut told: BTreeMap<(NameSource, String), Timestamp> = BTreeMap::new();
    for observation in seen {
        let Fact::HostName { name, source } = &observation.fact else { continue };
        let name = plain_name(name);
        if !name.is_empty() {
            let last = told.entry((*source, name)).or_insert_with(|| at(observation));
            *last = at(observation).max(*last);
        }
    }
    for ((source, name), last_seen) in told {
        match asset.names.iter_mut().find(|n| n.source == source && n.name == name) {
            Some(known) => known.last_seen = known.last_seen.max(last_seen),
            None => asset.names.push(Name { name, source, last_seen }),
        }
    }
    let mut latest: BTreeMap<NameSource, Timestamp> = BTreeMap::new();
    for name in &asset.names {
        let last = latest.entry(name.source).or_insert(name.last_seen);
        *last = name.last_seen.max(*last);
    }
    asset.names.retain(|name| {
        let behind = latest.get(&name.source).map(|last| last.seconds_since(name.last_seen));
        behind.is_none_or(|behind| behind <= kept_for(name.source))
    });
    asset.names.sort();
}

/// How many seconds a name stands after its source told another one. A device has one name
/// of its own at a time, or several in one scan. A name in the name service belongs to one
/// address, one in a greeting to one service, and not each is asked every time.
fn kept_for(source: NameSource) -> i64 {
    const HOUR: i64 = 3_600;
    if is_own_name(source) { HOUR } else { 30 * 24 * HOUR }
}

fn anomalies(asset: &mut Asset, seen: &[&Observation], at: At<'_>, events: &mut Vec<Event>) {
    let mut noted: Vec<(Timestamp, String, &str, &str)> = seen
        .iter()
        .filter_map(|observation| match &observation.fact {
            Fact::Anomaly { protocol, problem } => {
                Some((at(observation), observation.subject.to_string(), &**protocol, &**problem))
            }
            _ => None,
        })
        .collect();
    // The event is of the first time.
    noted.sort();
    for (at, subject, protocol, problem) in noted {
        if note_anomaly(asset, &subject, protocol, problem, at) == Noted::New {
            events.push(event::anomaly_seen(at, asset.id, subject, (protocol, problem)));
        }
    }
    asset.anomalies.sort();
}

/// Whether something was known before it was noted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Noted {
    New,
    Again,
}

/// Notes that the asset sent something that breaks a protocol.
pub(crate) fn note_anomaly(
    asset: &mut Asset,
    subject: &str,
    protocol: &str,
    problem: &str,
    at: Timestamp,
) -> Noted {
    let same =
        |a: &&mut Anomaly| a.subject == subject && a.protocol == protocol && a.problem == problem;
    if let Some(anomaly) = asset.anomalies.iter_mut().find(same) {
        anomaly.last_seen = anomaly.last_seen.max(at);
        asset.anomalies.sort();
        return Noted::Again;
    }
    asset.anomalies.push(Anomaly {
        subject: subject.to_owned(),
        protocol: protocol.to_owned(),
        problem: problem.to_owned(),
        last_seen: at,
    });
    asset.anomalies.sort();
    Noted::New
}

/// The ways in which it answered, and the time of it.
fn alive(asset: &mut Asset, seen: &[&Observation], at: At<'_>) {
    let answers = || seen.iter().filter(|o| is_presence(o));
    let (Some(first), Some(last)) =
        (answers().map(|o| at(o)).min(), answers().map(|o| at(o)).max())
    else {
        return;
    };
    if last >= asset.last_seen {
        let methods: BTreeSet<Method> = answers()
            .map(|o| o.method)
            .filter(|method| !matches!(method, Method::Resolver | Method::Import))
            .collect();
        // Hearing it is not asking: how it answered when it was asked stays true.
        let asked = methods.iter().any(|method| *method != Method::Capture);
        let before = asset.alive_by.iter().copied().filter(|_| !asked);
        let methods: BTreeSet<Method> = before.chain(methods.iter().copied()).collect();
        asset.alive_by = methods.into_iter().collect();
    }
    asset.first_seen = asset.first_seen.min(first);
    asset.last_seen = asset.last_seen.max(last);
}

/// Moves what was known of one address of the asset to another: it answers there now.
pub(crate) fn rehome(asset: &mut Asset, from: IpAddr, to: IpAddr) {
    let taken: BTreeSet<(Transport, u16)> = asset
        .services
        .iter()
        .filter(|service| service.address == to)
        .map(|service| (service.transport, service.port))
        .collect();
    for service in asset.services.iter_mut().filter(|service| service.address == from) {
        if taken.contains(&(service.transport, service.port)) {
            continue;
        }
        let before = place(service);
        service.address = to;
        let (old, new) = (before.to_string(), place(service).to_string());
        for software in &mut asset.software {
            if is_from(&software.source, before) {
                software.source = software.source.replacen(&old, &new, 1);
            }
        }
        for deployment in &mut asset.deployments {
            let there = (deployment.address, deployment.transport, deployment.port);
            if there == (from, before.transport, before.port) {
                deployment.address = to;
            }
        }
    }
    let (old, new) = (format!("{from}{OS_SOURCE}"), format!("{to}{OS_SOURCE}"));
    if asset.software.iter().all(|software| software.source != new) {
        for software in asset.software.iter_mut().filter(|software| software.source == old) {
            software.source.clone_from(&new);
        }
    }
    for heard in asset.heard.iter_mut().filter(|heard| heard.subject.address() == Some(from)) {
        heard.subject = match heard.subject {
            Subject::Endpoint(endpoint) => Subject::Endpoint(Endpoint { address: to, ..endpoint }),
            Subject::Address(_) | Subject::Mac(_) => Subject::Address(to),
        };
    }
    asset.heard.sort();
    asset.heard.dedup_by(|b, a| {
        let same = (a.subject, &a.what) == (b.subject, &b.what);
        if same {
            a.last_seen = a.last_seen.max(b.last_seen);
        }
        same
    });
    release(asset, from);
    asset.services.sort_by_key(place);
}

/// Notes that an address is the asset's no more: what was served there is not served by it.
pub(crate) fn release(asset: &mut Asset, address: IpAddr) {
    for service in asset.services.iter_mut().filter(|service| service.address == address) {
        service.state = PortState::Filtered;
    }
    for deployment in asset.deployments.iter_mut().filter(|d| d.address == address) {
        deployment.current = false;
    }
    asset.heard.retain(|heard| heard.subject.address() != Some(address));
}
