//! Certificates in their places.

use std::{collections::BTreeSet, net::IpAddr};

use model::{Endpoint, Fact, Observation, Timestamp};
use ring::digest::{SHA256, digest};

use super::{At, endpoint_of};
use crate::{
    asset::{Asset, Deployment, Event},
    event,
    hex::hex,
};

/// Notes which certificate was served where, and in whose stead.
pub(super) fn certificates(
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
    // Of two at one time the new one first: it is the one that replaced what is gone.
    let known_before: BTreeSet<String> = asset.deployments.iter().map(place).collect();
    let is_old = |d: &Deployment| known_before.contains(&place(d));
    served.sort_by(|(a, x), (b, y)| {
        let key = (x.question(), is_old(x), &x.sha256, &x.chain);
        (a, key).cmp(&(b, (y.question(), is_old(y), &y.sha256, &y.chain)))
    });
    // A server with several kinds of key shows a certificate of each in answer to one question,
    // at one time.
    let beside: BTreeSet<(Timestamp, String)> =
        served.iter().map(|(when, deployment)| (*when, place(deployment))).collect();
    let mut replaced = BTreeSet::new();
    for (when, mut deployment) in served {
        let mut newest = None;
        let mut mine = None;
        for (i, other) in asset.deployments.iter().enumerate() {
            if other.question() != deployment.question() {
                continue;
            }
            if other.sha256 == deployment.sha256 {
                mine = Some(i);
            } else if other.current && !beside.contains(&(when, place(other))) {
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
    asset.deployments.sort_by(|a, b| (a.question(), &a.sha256).cmp(&(b.question(), &b.sha256)));
    let mut told = BTreeSet::new();
    for (endpoint, before, now, when) in replaced {
        // One renewal shows in every question: with and without name, in each version.
        if known && told.insert((endpoint, before.clone(), now.clone())) {
            events.push(event::certificate_replaced(when, asset.id, endpoint, (&before, &now)));
        }
    }
}

/// A certificate in answer to a question.
fn place(d: &Deployment) -> String {
    format!("{:?} {}", d.question(), d.sha256)
}

/// SHA-256 in lower-case hexadecimal.
fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}
