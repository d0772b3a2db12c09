//! The certificates of SSH host keys.

use std::collections::BTreeMap;

use model::{Endpoint, Fact, HostCertificate, Observation, Timestamp};

use super::{At, HOST_CERTIFICATE, endpoint_of, host_certificate, place};
use crate::asset::Asset;

/// Notes until when the host certificates of each service are valid, as an interval of
/// ISO 8601. A server that was asked and showed none has none any more.
pub(super) fn host_certificates(asset: &mut Asset, seen: &[&Observation], at: At<'_>) {
    type Shown<'a> = (Timestamp, Vec<&'a HostCertificate>);
    let mut shown: BTreeMap<Endpoint, Shown<'_>> = BTreeMap::new();
    for observation in seen {
        let certificate = match &observation.fact {
            Fact::HostKey(_) => None,
            Fact::HostCertificate(certificate) => Some(certificate),
            _ => continue,
        };
        let Some(endpoint) = endpoint_of(&observation.subject) else { continue };
        let when = at(observation);
        let latest = shown.entry(endpoint).or_insert_with(|| (when, Vec::new()));
        if when > latest.0 {
            *latest = (when, Vec::new());
        }
        if when == latest.0 {
            latest.1.extend(certificate);
        }
    }
    for (endpoint, (when, certificates)) in shown {
        let Ok(i) = asset.services.binary_search_by_key(&endpoint, place) else { continue };
        let Some(service) = asset.services.get_mut(i) else { continue };
        // An older scan that is read again says nothing of now.
        if when < service.last_seen {
            continue;
        }
        service.attributes.retain(|name, _| host_certificate(name).is_none());
        for HostCertificate { key, not_before, not_after, .. } in certificates {
            let end = not_after.map_or_else(|| "..".to_owned(), |end| end.to_string());
            let name = format!("{HOST_CERTIFICATE}{}", key.algorithm);
            service.attributes.insert(name, format!("{not_before}/{end}"));
        }
    }
}
