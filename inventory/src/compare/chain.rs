//! Why clients refuse what is served: the verdicts on the chains, as findings.
//!
//! One mistake is one finding. What the server sends wrongly is about its certificate; an
//! authority that has expired is about the authority, however many servers send it. That a
//! leaf has expired, or is not valid yet, is told by its own rules already.
//!
//! Nobody is told of unknown issuers who did not say whom he trusts: without roots of his own
//! every device that signed its own certificate would be a finding. Where there is an issuer
//! register it decides, and not the roots.

use std::collections::{BTreeMap, HashMap};

use certs::{
    Certificate, Trust,
    chain::{Judgement, Reason},
    revocation::Signer,
};
use model::Severity;

use super::{
    AssetState, Detections, Input, Rule,
    certificate::{Place, called, places_text},
};
use crate::{asset::Detection, chain::Chain};

pub(super) const MISSING_INTERMEDIATE: Rule = Rule {
    id: "cert.missing-intermediate",
    title: "Server leaves out an intermediate certificate",
    citation: "RFC 8446, section 4.4.2; RFC 5246, section 7.4.2; CIS Controls v8, 3.10",
    severity: Severity::Warning,
};

pub(super) const EXPIRED_ISSUER: Rule = Rule {
    id: "cert.expired-issuer",
    title: "Expired certificate of an authority in a served chain",
    citation: "RFC 5280, section 6.1.3 (a) (2); CIS Controls v8, 3.10",
    severity: Severity::Critical,
};

pub(super) const UNKNOWN_ISSUER: Rule = Rule {
    id: "cert.unknown-issuer",
    title: "Certificate that leads to no trusted root",
    citation: "RFC 5280, section 6.1.1 (d); CIS Controls v8, 3.10",
    severity: Severity::Warning,
};

pub(super) const SELF_SIGNED: Rule = Rule {
    id: "cert.self-signed",
    title: "Certificate that signed itself and that nobody trusts",
    citation: "RFC 5280, section 6.1.1 (d); CIS Controls v8, 3.10",
    severity: Severity::Info,
};

pub(super) const NAME_MISMATCH: Rule = Rule {
    id: "cert.name-mismatch",
    title: "Certificate for other names than that of its server",
    citation: "RFC 9525, section 6; CIS Controls v8, 3.10",
    severity: Severity::Warning,
};

pub(super) const BAD_SIGNATURE: Rule = Rule {
    id: "cert.bad-signature",
    title: "Certificate that its issuer did not sign",
    citation: "RFC 5280, section 6.1.3 (a) (1); CIS Controls v8, 3.10",
    severity: Severity::Warning,
};

pub(super) const REVOKED: Rule = Rule {
    id: "cert.revoked",
    title: "Revoked certificate is served",
    citation: "RFC 5280, section 6.1.3 (a) (3); CIS Controls v8, 3.10",
    severity: Severity::Critical,
};

pub(super) const REFUSED: Rule = Rule {
    id: "cert.chain-refused",
    title: "Certificate chain that clients refuse",
    citation: "RFC 5280, section 6.1; CIS Controls v8, 3.10",
    severity: Severity::Warning,
};

pub(super) const LIST_OUTDATED: Rule = Rule {
    id: "crl.outdated",
    title: "Revocation list is out of date",
    citation: "RFC 5280, section 5.1.2.5; CIS Controls v8, 3.10",
    severity: Severity::Warning,
};

pub(super) const LIST_FORGED: Rule = Rule {
    id: "crl.bad-signature",
    title: "Revocation list that its authority did not sign",
    citation: "RFC 5280, section 6.3.3 (g); CIS Controls v8, 3.10",
    severity: Severity::Warning,
};

pub(super) const RULES: [Rule; 10] = [
    MISSING_INTERMEDIATE,
    EXPIRED_ISSUER,
    UNKNOWN_ISSUER,
    SELF_SIGNED,
    NAME_MISMATCH,
    BAD_SIGNATURE,
    REVOKED,
    REFUSED,
    LIST_OUTDATED,
    LIST_FORGED,
];

/// The places of each certificate, as a leaf and above one.
type Places<'a> = BTreeMap<&'a str, Vec<Place<'a>>>;

pub(super) fn compare(
    input: &Input<'_>,
    all: &Places<'_>,
    known: &HashMap<&str, &Certificate>,
    states: &[AssetState],
    detections: &mut Detections,
) {
    let mut expired: BTreeMap<&str, Vec<Place<'_>>> = BTreeMap::new();
    for (sha256, places) in all {
        let subject = format!("certificate:{sha256}");
        let Some(certificate) = known.get(sha256) else {
            cannot_tell(detections, &subject);
            continue;
        };
        let mut reasons: Vec<(&Reason, &Judgement, Vec<Place<'_>>)> = Vec::new();
        for place in places {
            let Some(chain) = chain_of(place, certificate, known) else { continue };
            let Some(verdict) = input.chains.verdict(&chain) else {
                cannot_tell(detections, &subject);
                continue;
            };
            for reason in &verdict.reasons {
                if let Reason::ExpiredIntermediate(which) | Reason::ExpiredRoot(which) = reason {
                    expired.entry(which).or_default().push(*place);
                }
                match reasons.iter_mut().find(|(known, ..)| *known == reason) {
                    Some((.., places)) => places.push(*place),
                    None => reasons.push((reason, verdict, vec![*place])),
                }
            }
        }
        for (reason, verdict, places) in reasons {
            let Some(rule) = rule_for(reason, verdict, certificate, input) else { continue };
            let places: Vec<Place<'_>> = match rule.id == MISSING_INTERMEDIATE.id {
                // Files hold a leaf and what stands above it apart, as nginx wants them together.
                true => places.into_iter().filter(|place| place.asset().is_some()).collect(),
                false => places,
            };
            if !places.is_empty() {
                detections.add(detection(
                    rule,
                    rule.severity,
                    certificate,
                    &places,
                    &reason.to_string(),
                ));
            }
        }
        misnamed(input, certificate, places, states, detections);
    }
    for places in expired.values_mut() {
        places.sort_by_key(Place::order);
    }
    authorities(input, all, known, &expired, detections);
    lists(input, detections);
}

/// What a place has with the certificate, if it has it for itself and not as an issuer.
fn chain_of(
    place: &Place<'_>,
    certificate: &Certificate,
    known: &HashMap<&str, &Certificate>,
) -> Option<Chain> {
    let sha256 = &certificate.sha256;
    match place {
        Place::Served { deployment, .. } => {
            (deployment.sha256 == *sha256).then(|| Chain::of(deployment))
        }
        Place::Held(file) => (!certificate.is_ca).then(|| Chain::in_file(file, sha256, known)),
    }
}

fn cannot_tell(detections: &mut Detections, subject: &str) {
    for rule in RULES {
        detections.cannot_tell(rule.id, subject.to_owned());
    }
}

/// The rule that a reason breaks. `None` where another rule tells of it, or nobody asked.
fn rule_for(
    reason: &Reason,
    verdict: &Judgement,
    certificate: &Certificate,
    input: &Input<'_>,
) -> Option<Rule> {
    let asked = input.chains.has_own_roots() && input.issuers.is_none();
    match reason {
        Reason::MissingIntermediate { held: Some(_), .. } => Some(MISSING_INTERMEDIATE),
        // The issuer may be a root, which nobody has to send, unless it is a public authority:
        // those issue from intermediates alone.
        Reason::MissingIntermediate { held: None, .. } if is_public_by_its_looks(certificate) => {
            Some(MISSING_INTERMEDIATE)
        }
        Reason::MissingIntermediate { held: None, .. } | Reason::UnknownIssuer(_) => {
            asked.then_some(UNKNOWN_ISSUER)
        }
        Reason::SelfSigned => asked.then_some(SELF_SIGNED),
        Reason::BadSignature(_) => Some(BAD_SIGNATURE),
        Reason::Revoked => Some(REVOKED),
        Reason::WrongUsage(_) | Reason::Constraint(_) | Reason::Unsupported(_)
            if verdict.trust != Trust::Unknown =>
        {
            Some(REFUSED)
        }
        Reason::TooComplex => Some(REFUSED),
        // Told by a rule of their own, of the certificate or list that they are about; what
        // leads nowhere is not refused for its form.
        Reason::ExpiredLeaf
        | Reason::NotYetValid(_)
        | Reason::ExpiredIntermediate(_)
        | Reason::ExpiredRoot(_)
        | Reason::NameMismatch
        | Reason::BadList(_)
        | Reason::WrongUsage(_)
        | Reason::Constraint(_)
        | Reason::Unsupported(_) => None,
    }
}

/// Whether it bears timestamps of public logs (RFC 6962, section 3.3) or one of the policies
/// that the CA/Browser Forum reserved (2.23.140.1.2).
fn is_public_by_its_looks(certificate: &Certificate) -> bool {
    const RESERVED: [u8; 5] = [0x67, 0x81, 0x0c, 1, 2];
    let extension = |id| certificate.encodings.extension(id);
    let policies = extension("2.5.29.32").map(|policies| policies.value.as_slice());
    let reserved = policies.is_some_and(|value| value.windows(5).any(|window| window == RESERVED));
    reserved || extension("1.3.6.1.4.1.11129.2.4.2").is_some()
}

fn detection(
    rule: Rule,
    severity: Severity,
    certificate: &Certificate,
    places: &[Place<'_>],
    detail: &str,
) -> Detection {
    let name = called(certificate);
    Detection {
        rule: rule.id,
        severity,
        subject: format!("certificate:{}", certificate.sha256),
        asset: places.iter().find_map(Place::asset),
        title: format!("{}: {name}", rule.title),
        detail: format!("{name} on {}: {detail}", places_text(places)),
    }
}

/// The names by which servers were asked and that their certificates are not for. A name that
/// the register gives the device is one that people use; of others nobody knows.
fn misnamed(
    input: &Input<'_>,
    certificate: &Certificate,
    places: &[Place<'_>],
    states: &[AssetState],
    detections: &mut Detections,
) {
    for place in places {
        let Place::Served { asset, deployment } = place else { continue };
        let Some(name) = deployment.server_name.as_ref() else { continue };
        if deployment.sha256 != certificate.sha256
            || !input.chains.is_misnamed(&certificate.sha256, name)
        {
            continue;
        }
        let state = states.iter().find(|state| state.asset == asset.id);
        let entry = state.and_then(|state| input.devices?.get(state.entry?));
        let in_use = entry.is_some_and(|entry| entry.host_names.contains(name));
        let severity = if in_use { Severity::Warning } else { Severity::Info };
        let names = certificate.names.iter().take(10).cloned().collect::<Vec<_>>().join(", ");
        let detail = match names.is_empty() {
            true => format!("it is for no name, and {name} was asked for"),
            false => format!("it is for {names}, and {name} was asked for"),
        };
        detections.add(detection(NAME_MISMATCH, severity, certificate, &[*place], &detail));
    }
}

/// Authorities whose certificates have expired and are served, or are the end of what is.
fn authorities(
    input: &Input<'_>,
    all: &Places<'_>,
    known: &HashMap<&str, &Certificate>,
    refused: &BTreeMap<&str, Vec<Place<'_>>>,
    detections: &mut Detections,
) {
    let many =
        |places: &[Place<'_>]| format!("clients refuse what is served on {}", places_text(places));
    for (sha256, places) in all {
        let Some(certificate) = known.get(sha256) else { continue };
        let is_over = certificate.not_after.is_some_and(|last| input.as_of > last);
        if !is_over || !is_only_above(certificate, places, input) {
            continue;
        }
        let (severity, detail) = match refused.get(sha256) {
            Some(places) => (EXPIRED_ISSUER.severity, many(places)),
            None => {
                let way = "clients find another way to a root, or none; older ones may not";
                (Severity::Info, way.to_owned())
            }
        };
        let ended = certificate.not_after.map_or_else(String::new, |last| last.to_string());
        let detail = format!("it ended {ended}; {detail}");
        detections.add(detection(EXPIRED_ISSUER, severity, certificate, places, &detail));
    }
    // Roots are not served, and what the inventory added to a chain is not either.
    let elsewhere = refused.iter().filter(|(sha256, _)| !all.contains_key(*sha256));
    for (sha256, places) in elsewhere {
        let certificate = known.get(sha256);
        let name = certificate.map(|one| called(one));
        let name = name.or_else(|| input.chains.root_name(sha256).map(str::to_owned));
        let name = name.unwrap_or_else(|| (*sha256).to_owned());
        detections.add(Detection {
            rule: EXPIRED_ISSUER.id,
            severity: Severity::Warning,
            subject: format!("certificate:{sha256}"),
            asset: places.iter().find_map(Place::asset),
            title: format!("{}: {name}", EXPIRED_ISSUER.title),
            detail: format!("{name}: it is over; {}", many(places)),
        });
    }
}

/// Whether the certificate is served above others only, and the chains there were judged:
/// then its end is told here and not by the rule for leaves.
pub(super) fn is_only_above(
    certificate: &Certificate,
    places: &[Place<'_>],
    input: &Input<'_>,
) -> bool {
    places.iter().all(|place| match place {
        Place::Served { deployment, .. } => {
            deployment.sha256 != certificate.sha256
                && input.chains.verdict(&Chain::of(deployment)).is_some()
        }
        Place::Held(_) => false,
    })
}

/// The organisation's revocation lists: with an old one, or one that is not the authority's,
/// nobody learns what was revoked.
fn lists(input: &Input<'_>, detections: &mut Detections) {
    for list in input.chains.lists() {
        let mut add = |rule: Rule, detail: String| {
            detections.add(Detection {
                rule: rule.id,
                severity: rule.severity,
                subject: format!("crl:{}", list.path),
                asset: None,
                title: format!("{}: {}", rule.title, list.path),
                detail: format!("the list of {:?} in {}: {detail}", list.issuer, list.path),
            });
        };
        if list.standing.outdated {
            let due = list.next_update.map_or_else(String::new, |due| due.to_string());
            add(LIST_OUTDATED, format!("the next one was due {due}"));
        }
        if list.standing.signer == Signer::Other {
            add(LIST_FORGED, "no known certificate of that name has the key".to_owned());
        }
    }
}
