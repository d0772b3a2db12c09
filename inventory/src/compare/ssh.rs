//! The certificates of SSH host keys against their time.
//!
//! An endpoint is one subject, however many of its keys have a certificate. Clients that trust
//! only the authority refuse a host whose certificate has ended.

use std::collections::BTreeSet;

use model::{Endpoint, PortState, Severity, Timestamp};

use super::{Detections, Input, Rule, name_of};
use crate::{
    asset::{Asset, Detection, ServiceState},
    project::host_certificate,
};

pub(super) const EXPIRED: Rule = Rule {
    id: "ssh.certificate-expired",
    title: "SSH host certificate has expired",
    citation: "OpenSSH, PROTOCOL.certkeys; CIS Controls v8, 3.10",
    severity: Severity::Critical,
};

pub(super) const EXPIRING: Rule = Rule {
    id: "ssh.certificate-expiring",
    title: "SSH host certificate expires soon",
    citation: "OpenSSH, PROTOCOL.certkeys; CIS Controls v8, 3.10",
    severity: Severity::Critical,
};

pub(super) fn compare(
    input: &Input<'_>,
    detections: &mut Detections,
    evaluated: &mut BTreeSet<&'static str>,
) {
    for asset in input.assets {
        for service in asset.services.iter().filter(|service| serves(asset, service)) {
            for (kind, begin, end) in certificates(service) {
                let Some((rule, severity)) = judge(begin, end, input) else { continue };
                let ServiceState { address, transport, port, .. } = *service;
                let endpoint = Endpoint { address, transport, port };
                let who = name_of(asset);
                detections.add(Detection {
                    rule: rule.id,
                    severity,
                    subject: format!("endpoint:{}/{endpoint}", asset.site.0),
                    asset: Some(asset.id),
                    title: format!("{}: {endpoint}", rule.title),
                    detail: format!("{endpoint} ({who}): that of its {kind} key ends at {end}"),
                });
            }
        }
    }
    evaluated.extend([EXPIRED.id, EXPIRING.id]);
}

/// A port that is closed serves nothing, and at an address that went to another asset it is
/// not this one.
fn serves(asset: &Asset, service: &ServiceState) -> bool {
    service.state != PortState::Closed && asset.addresses().any(|held| held == service.address)
}

/// The certificates that end: the kind of key, begin and end.
fn certificates(service: &ServiceState) -> impl Iterator<Item = (&str, Timestamp, Timestamp)> {
    service.attributes.iter().filter_map(|(name, value)| {
        let (begin, end) = value.split_once('/')?;
        Some((host_certificate(name)?, begin.parse().ok()?, end.parse().ok()?))
    })
}

fn judge(begin: Timestamp, end: Timestamp, input: &Input<'_>) -> Option<(Rule, Severity)> {
    let (left, lifetime) = (end.seconds_since(input.as_of), end.seconds_since(begin));
    let thresholds = input.thresholds;
    if left <= 0 {
        Some((EXPIRED, EXPIRED.severity))
    } else if left < thresholds.expiry_critical.of(lifetime) {
        Some((EXPIRING, Severity::Critical))
    } else {
        (left < thresholds.expiry_warning.of(lifetime)).then_some((EXPIRING, Severity::Warning))
    }
}
