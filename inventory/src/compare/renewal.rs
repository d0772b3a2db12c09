//! Certificates that were renewed, and what the renewal left undone.
//!
//! A certificate was renewed where a place that served it serves a younger one for the same
//! names. Names alone prove nothing: thirty devices may each have a certificate of their own
//! for the same name. So only what followed another in its place counts, and then it counts
//! for every other place that still serves the old one.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
};

use certs::Certificate;
use model::Severity;

use super::{
    Detections, Input, Rule,
    certificate::{Place, called, places_text},
};
use crate::asset::{Deployment, Detection};

pub(super) const NOT_EVERYWHERE: Rule = Rule {
    id: "cert.renewed-not-everywhere",
    title: "Renewed certificate is still served in its old form",
    citation: "CIS Controls v8, 3.10; NIST SP 1800-16B",
    severity: Severity::Warning,
};

pub(super) const KEY_REUSED: Rule = Rule {
    id: "cert.renewed-same-key",
    title: "Certificate was renewed with the key of the one before",
    citation: "CIS Controls v8, 3.10; NIST SP 800-57 part 1, section 5.3",
    severity: Severity::Info,
};

pub(super) const ISSUER_CHANGED: Rule = Rule {
    id: "cert.renewed-other-issuer",
    title: "Certificate was replaced by one of another issuer",
    citation: "CIS Controls v8, 3.10; ISO/IEC 27001:2022, A.8.24",
    severity: Severity::Info,
};

pub(super) const RULES: [Rule; 3] = [NOT_EVERYWHERE, KEY_REUSED, ISSUER_CHANGED];

/// Longer chains of renewals are not followed to their end: the last one found will do.
const MOST_RENEWALS: usize = 100;

/// The leaf certificates in their places, by hash.
type Served<'a> = BTreeMap<&'a str, Vec<Place<'a>>>;

/// `served` are the places of what is served now.
pub(super) fn compare(
    input: &Input<'_>,
    served: &Served<'_>,
    known: &HashMap<&str, &Certificate>,
    detections: &mut Detections,
) {
    let renewals = renewals(input, known);
    for (old, new) in &renewals {
        let Some(successor) = last(&renewals, new) else { continue };
        if let (Some(old), Some(new)) = (known.get(old), known.get(successor)) {
            still_served(old, new, served, detections);
        }
    }
    for (old, new) in &renewals {
        let places = leaf_places(served, new);
        if let (Some(old), Some(new), Some(_)) = (known.get(old), known.get(new), places.first()) {
            judge(old, new, &places, detections);
        }
    }
}

/// Which certificate followed which in its place. Of several successors the youngest counts.
fn renewals<'a>(
    input: &Input<'a>,
    known: &HashMap<&str, &Certificate>,
) -> BTreeMap<&'a str, &'a str> {
    let mut renewals: BTreeMap<&str, &str> = BTreeMap::new();
    for asset in input.assets {
        let mut places: BTreeMap<_, Vec<&Deployment>> = BTreeMap::new();
        for deployment in &asset.deployments {
            places.entry(deployment.question()).or_default().push(deployment);
        }
        for all in places.values() {
            let with_certificate = |deployment: &&'a Deployment| {
                Some((*deployment, *known.get(deployment.sha256.as_str())?))
            };
            let mut youngest_first: Vec<(&Deployment, &Certificate)> =
                all.iter().filter_map(with_certificate).collect();
            youngest_first.sort_by_key(|(_, certificate)| Reverse(certificate.not_before));
            for (old, before) in &youngest_first {
                let successor = youngest_first.iter().find(|(new, after)| {
                    // Two that are served in turn, of different algorithms, are a pair on purpose.
                    let apart = old.last_seen < new.first_seen;
                    (apart || before.key.kind == after.key.kind) && is_renewal(before, after)
                });
                let Some((new, after)) = successor else { continue };
                let entry = renewals.entry(&old.sha256).or_insert(&new.sha256);
                let youngest = known.get(*entry).and_then(|youngest| youngest.not_before);
                if youngest < after.not_before {
                    *entry = &new.sha256;
                }
            }
        }
    }
    renewals
}

/// The same names (or, without any, the same subject), and younger.
fn is_renewal(old: &Certificate, new: &Certificate) -> bool {
    // Before anything else, for it decides in most cases.
    if old.not_before >= new.not_before {
        return false;
    }
    let names = |certificate: &Certificate| -> BTreeSet<String> {
        certificate.names.iter().map(|name| name.to_lowercase()).collect()
    };
    let (before, after) = (names(old), names(new));
    match before.is_empty() && after.is_empty() {
        true => old.subject == new.subject && !old.subject.is_empty(),
        // A name may be added or given up on the way.
        false => before.intersection(&after).next().is_some(),
    }
}

/// What the last of several renewals led to.
fn last<'a>(renewals: &BTreeMap<&'a str, &'a str>, from: &'a str) -> Option<&'a str> {
    let steps = std::iter::successors(Some(from), |here| renewals.get(here).copied());
    steps.take(MOST_RENEWALS).last()
}

/// The places where it is served as leaf.
fn leaf_places<'a>(served: &Served<'a>, sha256: &str) -> Vec<Place<'a>> {
    let places = served.get(sha256).map(Vec::as_slice).unwrap_or_default();
    let is_leaf = |place: &&Place<'_>| match place {
        Place::Served { deployment, .. } => deployment.sha256 == sha256,
        Place::Held(_) => false,
    };
    places.iter().filter(is_leaf).copied().collect()
}

fn still_served(
    old: &Certificate,
    new: &Certificate,
    served: &Served<'_>,
    detections: &mut Detections,
) {
    let (left, done) = (leaf_places(served, &old.sha256), leaf_places(served, &new.sha256));
    let Some(first) = left.first() else { return };
    let all = left.len().saturating_add(done.len());
    let (sha256, many) = (&new.sha256, left.len());
    let detail = match done.is_empty() {
        // One of several servers behind it may have been forgotten, or somebody went back.
        true => format!("it was renewed by sha256 {sha256}, and the old one is served again on"),
        false => format!(
            "it was renewed by sha256 {sha256} on {}, and the old one is still served on {many} \
             of {all} places:",
            places_text(&done)
        ),
    };
    detections.add(Detection {
        rule: NOT_EVERYWHERE.id,
        severity: NOT_EVERYWHERE.severity,
        subject: format!("certificate:{}", old.sha256),
        asset: first.asset(),
        title: format!("{}: {}", NOT_EVERYWHERE.title, called(old)),
        detail: format!("{detail} {}", places_text(&left)),
    });
}

/// What is worth knowing of a renewal that is in place.
fn judge(old: &Certificate, new: &Certificate, places: &[Place<'_>], detections: &mut Detections) {
    let mut detect = |rule: Rule, detail: String| {
        detections.add(Detection {
            rule: rule.id,
            severity: rule.severity,
            subject: format!("certificate:{}", new.sha256),
            asset: places.first().and_then(Place::asset),
            title: format!("{}: {}", rule.title, called(new)),
            detail: format!("{} on {}: {detail}", called(new), places_text(places)),
        });
    };
    if old.spki_sha256.is_some() && old.spki_sha256 == new.spki_sha256 {
        detect(KEY_REUSED, format!("it has the key of sha256 {}", old.sha256));
    }
    if old.issuer != new.issuer && !old.issuer.is_empty() && !new.issuer.is_empty() {
        let detail = format!("issued by {:?}; the one before by {:?}", new.issuer, old.issuer);
        detect(ISSUER_CHANGED, detail);
    }
}
