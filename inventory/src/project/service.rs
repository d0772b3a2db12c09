//! Endpoints and what speaks there, and the products that this makes known.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use model::{Cpe, Endpoint, Fact, Observation, PortState, Service, Timestamp};

use super::{At, HOST_KEY, OS_SOURCE, TLS_KEY, endpoint_of, endpoints_of, place};
use crate::{
    asset::{Asset, Event, ServiceState, Software},
    event,
};

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

pub(super) fn services(
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
            Fact::Service(_) | Fact::HostKey(_) | Fact::Certificates(_) | Fact::Tls(_) => {
                PortState::Open
            }
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
                    tls_server: None,
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
pub(super) fn product_text(
    product: Option<&str>,
    version: Option<&str>,
    protocol: Option<&str>,
) -> String {
    match (product, version) {
        (Some(product), Some(version)) => format!("{product} {version}"),
        (Some(product), None) => product.to_owned(),
        (None, _) => protocol.unwrap_or("unknown").to_owned(),
    }
}

/// What the services say they are. Of several statements of one endpoint the most telling
/// counts, and of those the latest.
pub(super) fn products(
    asset: &mut Asset,
    known: bool,
    seen: &[&Observation],
    at: At<'_>,
    events: &mut Vec<Event>,
) {
    type Rank = (bool, bool, bool, Timestamp);
    let mut told: BTreeMap<Endpoint, (Rank, &Service)> = BTreeMap::new();
    for observation in seen {
        let Fact::Service(service) = &observation.fact else { continue };
        let Some(endpoint) = endpoint_of(&observation.subject) else { continue };
        let rank = (
            service.product.is_some(),
            service.version.is_some(),
            !service.attributes.is_empty(),
            at(observation),
        );
        // Of two alike any, but always the same.
        let written = |service: &Service| format!("{service:?}");
        let is_better = told.get(&endpoint).is_none_or(|(best, other)| {
            best.cmp(&rank).then_with(|| written(other).cmp(&written(service))).is_lt()
        });
        if is_better {
            told.insert(endpoint, (rank, service));
        }
    }
    for (endpoint, ((_, _, _, when), told)) in told {
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
pub(super) fn is_from(source: &str, endpoint: Endpoint) -> bool {
    source.strip_prefix(&endpoint.to_string()).is_some_and(|rest| rest.starts_with(' '))
}

/// Notes a product, and that those which the same source told before are no more.
pub(super) fn learn_software(
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
