//! From what was seen of an asset to what is known of it: services, software, operating
//! system, names, certificates in their places, anomalies.
//!
//! Whose observations they are is decided before (`identity`). A later statement wins over an
//! earlier one whatever the order in which they arrive, and a statement that is not newer
//! than what is known changes nothing, so that the same observations twice are the same
//! asset. Not asked is not closed, and not told is not changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use model::{
    Cpe, Endpoint, Fact, HostKey, Identifier, Method, NameSource, Observation, PortState, Service,
    Subject, Timestamp, Transport,
};
use ring::digest::{SHA256, digest};

use crate::{
    asset::{Anomaly, Asset, Deployment, Event, Name, OperatingSystem, ServiceState, Software},
    event,
    evidence::{is_own_name, is_presence, plain_name},
};

/// The attribute of a service that holds its SSH host key of one algorithm is named by this
/// and the algorithm.
const HOST_KEY: &str = "host_key:";
/// The attribute of a service that holds the key of the certificate that it serves is named
/// by this and the server name asked for.
const TLS_KEY: &str = "tls_key:";

/// The algorithm whose host key a service's attribute of that name holds.
pub(crate) fn host_key_algorithm(attribute: &str) -> Option<&str> {
    attribute.strip_prefix(HOST_KEY)
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
    leaf_key: &dyn Fn(&[u8]) -> Option<String>,
) -> (Vec<Event>, Replaced) {
    let mut events = Vec::new();
    let at = |observation: &Observation| observation.observed_at.min(as_of);
    let before = keys(asset);
    services(asset, known, holds, seen, &at, &mut events);
    products(asset, known, seen, &at, &mut events);
    keys_of_services(asset, seen, &at, leaf_key);
    operating_system(asset, known, seen, &at, &mut events);
    certificates(asset, known, holds, seen, &at, &mut events);
    names(asset, seen, &at);
    anomalies(asset, seen, &at);
    alive(asset, seen, &at);
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
        .map(|(name, key)| (name.clone(), key.clone()))
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

/// What one scan says of whether a port is open.
#[derive(Clone, Copy, Default)]
struct Asked {
    first_open: Option<Timestamp>,
    last_open: Option<Timestamp>,
    otherwise: Option<(Timestamp, PortState)>,
}

impl Asked {
    fn add(&mut self, state: PortState, at: Timestamp) {
        if state == PortState::Open {
            self.first_open = Some(self.first_open.map_or(at, |first| first.min(at)));
            self.last_open = self.last_open.max(Some(at));
        } else {
            self.otherwise = self.otherwise.max(Some((at, state)));
        }
    }

    /// The latest word. Of two at the same time, open: somebody accepted.
    fn latest(&self) -> Option<(Timestamp, PortState)> {
        match (self.last_open, self.otherwise) {
            (Some(open), Some((other, state))) if other > open => Some((other, state)),
            (Some(open), _) => Some((open, PortState::Open)),
            (None, otherwise) => otherwise,
        }
    }
}

fn services(
    asset: &mut Asset,
    known: bool,
    holds: &BTreeSet<IpAddr>,
    seen: &[&Observation],
    at: At<'_>,
    events: &mut Vec<Event>,
) {
    let mut services: BTreeMap<Endpoint, ServiceState> =
        std::mem::take(&mut asset.services).into_iter().map(|s| (place(&s), s)).collect();
    let mut asked: BTreeMap<Endpoint, Asked> = BTreeMap::new();
    for observation in seen {
        let state = match &observation.fact {
            Fact::PortState(state) => *state,
            // Whoever talks is open.
            Fact::Service(_) | Fact::HostKey(_) | Fact::Certificates(_) => PortState::Open,
            Fact::Ports { transport, state: PortState::Open, ports } => {
                let Some(endpoint) = endpoints_of(&observation.subject, *transport) else {
                    continue;
                };
                for endpoint in ports.iter().map(endpoint) {
                    asked.entry(endpoint).or_default().add(PortState::Open, at(observation));
                }
                continue;
            }
            _ => continue,
        };
        if let Some(endpoint) = endpoint_of(&observation.subject) {
            asked.entry(endpoint).or_default().add(state, at(observation));
        }
    }
    // Of those that are not open, only the ones that matter: a set may hold all 65,535.
    for observation in seen {
        let Fact::Ports { transport, state, ports } = &observation.fact else { continue };
        let Some(endpoint) = endpoints_of(&observation.subject, *transport) else { continue };
        if *state == PortState::Open {
            continue;
        }
        let all = endpoint(0)..=endpoint(u16::MAX);
        let known = services.range(all.clone()).map(|(endpoint, _)| *endpoint);
        let now = asked.range(all).map(|(endpoint, _)| *endpoint);
        let matter: BTreeSet<Endpoint> =
            known.chain(now).filter(|endpoint| ports.contains(endpoint.port)).collect();
        for endpoint in matter {
            asked.entry(endpoint).or_default().add(*state, at(observation));
        }
    }
    for (endpoint, asked) in asked {
        let Some((when, state)) = asked.latest() else { continue };
        let held = holds.contains(&endpoint.address);
        let state = if held { state } else { PortState::Filtered };
        match services.get_mut(&endpoint) {
            Some(service) => {
                let newer = when > service.last_seen;
                if let (Some(first), Some(last)) = (asked.first_open, asked.last_open) {
                    service.first_seen = service.first_seen.min(first);
                    service.last_seen = service.last_seen.max(last);
                }
                if !newer || !held || state == service.state {
                    continue;
                }
                let was = std::mem::replace(&mut service.state, state);
                let is_shut = |s| matches!(s, PortState::Closed | PortState::Filtered);
                if is_shut(was) && state == PortState::Open {
                    events.push(event::port_opened(when, asset.id, endpoint, Some(was)));
                } else if is_shut(state) && !is_shut(was) {
                    events.push(event::port_closed(when, asset.id, endpoint, state));
                }
            }
            None => {
                let (Some(first_seen), Some(last_seen)) = (asked.first_open, asked.last_open)
                else {
                    continue;
                };
                let Endpoint { address, transport, port } = endpoint;
                let service = ServiceState {
                    address,
                    transport,
                    port,
                    state,
                    protocol: None,
                    product: None,
                    version: None,
                    cpe: None,
                    tls: false,
                    attributes: BTreeMap::new(),
                    first_seen,
                    last_seen,
                };
                services.insert(endpoint, service);
                if known && state == PortState::Open {
                    events.push(event::port_opened(first_seen, asset.id, endpoint, None));
                }
            }
        }
    }
    asset.services = services.into_values().collect();
}

/// `OpenSSH 9.2p1`, or the protocol where no product is told.
fn product_text(product: Option<&str>, version: Option<&str>, protocol: Option<&str>) -> String {
    match (product, version) {
        (Some(product), Some(version)) => format!("{product} {version}"),
        (Some(product), None) => product.to_owned(),
        (None, _) => protocol.unwrap_or("unknown").to_owned(),
    }
}

/// What the services say they are. Of several statements of one endpoint the most telling
/// counts, and of those the latest.
fn products(
    asset: &mut Asset,
    known: bool,
    seen: &[&Observation],
    at: At<'_>,
    events: &mut Vec<Event>,
) {
    type Rank = (bool, bool, bool, Timestamp, String);
    let mut told: BTreeMap<Endpoint, (Rank, &Service)> = BTreeMap::new();
    for observation in seen {
        let Fact::Service(service) = &observation.fact else { continue };
        let Some(endpoint) = endpoint_of(&observation.subject) else { continue };
        let rank = (
            service.product.is_some(),
            service.version.is_some(),
            !service.attributes.is_empty(),
            at(observation),
            format!("{service:?}"),
        );
        if told.get(&endpoint).is_none_or(|(best, _)| *best < rank) {
            told.insert(endpoint, (rank, service));
        }
    }
    for (endpoint, ((_, _, _, when, _), told)) in told {
        let Ok(i) = asset.services.binary_search_by_key(&endpoint, place) else { continue };
        let service = &mut asset.services[i];
        let describe = |s: &ServiceState| {
            let protocol = s.protocol.as_deref();
            product_text(s.product.as_deref(), s.version.as_deref(), protocol)
        };
        let was = describe(service);
        let had_protocol = service.protocol.is_some();
        let told_before = asset.software.iter().any(|s| {
            is_from(&s.source, endpoint) && s.last_seen > when && !s.source.ends_with(OS_SOURCE)
        });
        if told_before {
            continue;
        }
        let same_protocol = service.protocol.as_deref() == Some(&told.protocol);
        let same_product =
            same_protocol && (told.product.is_none() || told.product == service.product);
        let kept = std::mem::take(&mut service.attributes).into_iter();
        let kept: BTreeMap<String, String> = kept
            .filter(|(name, _)| name.starts_with(HOST_KEY) || name.starts_with(TLS_KEY))
            .collect();
        service.attributes = told.attributes.clone();
        service.attributes.extend(kept);
        service.protocol = Some(told.protocol.clone());
        service.tls = told.tls;
        // A banner that tells less than last time does not mean another product.
        if !(same_product && told.version.is_none()) {
            service.product.clone_from(&told.product);
            service.version.clone_from(&told.version);
            service.cpe.clone_from(&told.cpe);
            if same_protocol && told.product.is_none() {
                service.product = None;
            }
        }
        let now = describe(service);
        let had_product = !same_protocol || was != told.protocol;
        let learned_version = now.starts_with(&was) && same_product;
        if known && had_protocol && had_product && was != now && !learned_version {
            events.push(event::product_changed(when, asset.id, endpoint, (&was, &now)));
        }
        let source = format!("{endpoint} {}", told.protocol);
        let (product, version, cpe) =
            (service.product.clone(), service.version.clone(), service.cpe.clone());
        let of_endpoint = |s: &str| is_from(s, endpoint) && !s.ends_with(OS_SOURCE);
        learn_software(asset, product, version, cpe, source, when, &of_endpoint);
    }
}

/// Whether a software's source is that endpoint.
fn is_from(source: &str, endpoint: Endpoint) -> bool {
    source.strip_prefix(&endpoint.to_string()).is_some_and(|rest| rest.starts_with(' '))
}

const OS_SOURCE: &str = " operating system";

/// Notes a product, and that those which the same source told before are no more.
fn learn_software(
    asset: &mut Asset,
    product: Option<String>,
    version: Option<String>,
    cpe: Option<Cpe>,
    source: String,
    at: Timestamp,
    same_source: &dyn Fn(&str) -> bool,
) {
    let Some(product) = product else { return };
    let newer = |s: &Software| same_source(&s.source) && s.last_seen > at;
    if asset.software.iter().any(newer) {
        return;
    }
    let mut found = false;
    for software in asset.software.iter_mut().filter(|s| same_source(&s.source)) {
        let same =
            software.product == product && software.version == version && software.source == source;
        software.current = same;
        if same {
            software.last_seen = at;
            software.cpe.clone_from(&cpe);
            found = true;
        }
    }
    if !found {
        let software = Software {
            product,
            version,
            cpe,
            source,
            first_seen: at,
            last_seen: at,
            current: true,
        };
        asset.software.push(software);
    }
    asset.software.sort_by(|a, b| {
        let key = |s: &Software| (s.product.clone(), s.version.clone(), s.source.clone());
        key(a).cmp(&key(b))
    });
}

/// Notes the keys that the services show, by which a key is known to be replaced.
fn keys_of_services(
    asset: &mut Asset,
    seen: &[&Observation],
    at: At<'_>,
    leaf_key: &dyn Fn(&[u8]) -> Option<String>,
) {
    let mut shown: BTreeMap<(Endpoint, String), (u16, Timestamp, String)> = BTreeMap::new();
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
        let mine = (rank, at(observation), key);
        let best = shown.entry((endpoint, attribute)).or_insert_with(|| mine.clone());
        if *best < mine {
            *best = mine;
        }
    }
    for ((endpoint, attribute), (_, when, key)) in shown {
        let Ok(i) = asset.services.binary_search_by_key(&endpoint, place) else { continue };
        let old = asset.services[i].attributes.get(&attribute);
        if old.is_none_or(|old| *old == key || last_shown(asset, &attribute, old) < Some(when)) {
            asset.services[i].attributes.insert(attribute, key);
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
        let Fact::OperatingSystem { name, version, cpe } = &observation.fact else { continue };
        let source = format!("{}{OS_SOURCE}", observation.subject);
        let mine = (version.is_some(), at(observation), &**name, version.as_deref(), cpe.as_ref());
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
    let best = asset
        .software
        .iter()
        .filter(|software| software.current && software.source.ends_with(OS_SOURCE))
        .max_by_key(|s| (s.version.is_some(), s.last_seen, &s.product, &s.version));
    asset.os = best.map(|software| OperatingSystem {
        name: software.product.clone(),
        version: software.version.clone(),
        cpe: software.cpe.clone(),
        last_seen: software.last_seen,
    });
}

fn certificates(
    asset: &mut Asset,
    known: bool,
    holds: &BTreeSet<IpAddr>,
    seen: &[&Observation],
    at: At<'_>,
    events: &mut Vec<Event>,
) {
    let mut served: Vec<(Timestamp, Deployment)> = Vec::new();
    for observation in seen {
        let Fact::Certificates(chain) = &observation.fact else { continue };
        let Some(endpoint) = endpoint_of(&observation.subject) else { continue };
        let Some((leaf, rest)) = chain.chain.split_first() else { continue };
        let when = at(observation);
        let deployment = Deployment {
            sha256: sha256(leaf),
            chain: rest.iter().map(|der| sha256(der)).collect(),
            address: endpoint.address,
            port: endpoint.port,
            transport: endpoint.transport,
            server_name: chain.server_name.clone(),
            protocol_version: chain.protocol_version,
            starttls: chain.starttls.clone(),
            first_seen: when,
            last_seen: when,
            current: true,
        };
        served.push((when, deployment));
    }
    served.sort_by(|(a, x), (b, y)| {
        (a, question(x), &x.sha256, &x.chain).cmp(&(b, question(y), &y.sha256, &y.chain))
    });
    let mut replaced = BTreeSet::new();
    for (when, mut deployment) in served {
        let mut newest = None;
        let mut mine = None;
        for (i, other) in asset.deployments.iter().enumerate() {
            if question(other) != question(&deployment) {
                continue;
            }
            if other.sha256 == deployment.sha256 {
                mine = Some(i);
            } else if other.current {
                newest = Some(i);
            }
        }
        deployment.current = holds.contains(&deployment.address);
        let is_news =
            deployment.current && mine.is_none_or(|i| when > asset.deployments[i].last_seen);
        if let Some(i) = newest.filter(|_| is_news) {
            let other = &mut asset.deployments[i];
            deployment.current = other.last_seen <= when;
            if deployment.current {
                other.current = false;
                let endpoint = Endpoint {
                    address: deployment.address,
                    transport: deployment.transport,
                    port: deployment.port,
                };
                replaced.insert((endpoint, other.sha256.clone(), deployment.sha256.clone(), when));
            }
        }
        match mine {
            Some(i) => {
                let old = &mut asset.deployments[i];
                old.first_seen = old.first_seen.min(when);
                if when > old.last_seen {
                    old.last_seen = when;
                    old.chain = deployment.chain;
                    old.current = deployment.current;
                }
            }
            None => asset.deployments.push(deployment),
        }
    }
    asset.deployments.sort_by(|a, b| (question(a), &a.sha256).cmp(&(question(b), &b.sha256)));
    let mut told = BTreeSet::new();
    for (endpoint, before, now, when) in replaced {
        // One renewal shows in every question: with and without name, in each version.
        if known && told.insert((endpoint, before.clone(), now.clone())) {
            events.push(event::certificate_replaced(when, asset.id, endpoint, (&before, &now)));
        }
    }
}

/// What was asked for: another certificate in answer to it replaces the one before.
fn question(d: &Deployment) -> (IpAddr, u16, Transport, Option<&str>, u16, Option<&str>) {
    let (name, starttls) = (d.server_name.as_deref(), d.starttls.as_deref());
    (d.address, d.port, d.transport, name, d.protocol_version.0, starttls)
}

/// SHA-256 in lower-case hexadecimal.
fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(64);
    for byte in digest(&SHA256, bytes).as_ref() {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
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

fn anomalies(asset: &mut Asset, seen: &[&Observation], at: At<'_>) {
    for observation in seen {
        let Fact::Anomaly { protocol, problem } = &observation.fact else { continue };
        note_anomaly(asset, &observation.subject.to_string(), protocol, problem, at(observation));
    }
    asset.anomalies.sort();
}

/// Notes that the asset sent something that breaks a protocol.
pub(crate) fn note_anomaly(
    asset: &mut Asset,
    subject: &str,
    protocol: &str,
    problem: &str,
    at: Timestamp,
) {
    let same =
        |a: &&mut Anomaly| a.subject == subject && a.protocol == protocol && a.problem == problem;
    match asset.anomalies.iter_mut().find(same) {
        Some(anomaly) => anomaly.last_seen = anomaly.last_seen.max(at),
        None => asset.anomalies.push(Anomaly {
            subject: subject.to_owned(),
            protocol: protocol.to_owned(),
            problem: problem.to_owned(),
            last_seen: at,
        }),
    }
    asset.anomalies.sort();
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
}
