//! The certificates that are served now, or lie in files, against the certificate rules and
//! the issuer register.
//!
//! A certificate is one subject, however many places serve it: it has to be renewed once.
//! The certificates above a leaf are judged as well, as far as they lead from it to its
//! issuers; roots are not, for nobody takes a root from the server, and neither is what was
//! served with it for no reason. What was served once and no longer is raises nothing.
//! In a file, a root is what somebody trusts, unless it is first beside a key, or alone and not
//! made for issuing: that is what somebody serves.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    net::IpAddr,
};

use certs::{Certificate, Context, Verdict, store::PrivateKey};
use model::{Endpoint, PortState, Severity};

use super::{AssetState, Detections, Input, Rule, chain, name_of, renewal};
use crate::{
    asset::{Asset, AssetId, Deployment, Detection},
    file::KeptFile,
    register::{Entry, IssuerEntry, fold},
};

pub(super) const UNAPPROVED_ISSUER: Rule = Rule {
    id: "cert.unapproved-issuer",
    title: "Certificate from an issuer that is not approved",
    citation: "CIS Controls v8, 3.10; ISO/IEC 27001:2022, A.8.24",
    severity: Severity::Warning,
};

/// How many places a detection names.
const NAMED_PLACES: usize = 10;

/// How many certificates a path has at most.
const MAX_PATH: usize = 16;

/// A place that serves or holds a certificate.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    Served { asset: &'a Asset, deployment: &'a Deployment },
    Held(&'a KeptFile),
}

pub(super) fn compare(
    input: &Input<'_>,
    states: &[AssetState],
    detections: &mut Detections,
    evaluated: &mut BTreeSet<&'static str>,
) {
    let known: HashMap<&str, &Certificate> =
        input.certificates.iter().map(|cert| (cert.sha256.as_str(), cert)).collect();
    let rejected = &input.decided.rejected_issuers;
    let issuers = input.issuers.map(|listed| Issuers::new(listed, rejected));
    let decided = &input.decided.investigated_issuers;
    let investigated: Vec<(Issuers, &str)> = decided
        .iter()
        .map(|(entry, who)| (Issuers::new(std::slice::from_ref(entry), &[]), who.as_str()))
        .collect();
    let mut all = served(input.assets, &known);
    renewal::compare(input, &all, &known, detections);
    add_held(input.files, &known, &mut all);
    chain::compare(input, &all, &known, states, detections);
    for (sha256, places) in all {
        let subject = format!("certificate:{sha256}");
        let Some(certificate) = known.get(sha256) else {
            // The caller did not hand it over: nothing follows from that.
            let own = renewal::RULES.iter().chain([&UNAPPROVED_ISSUER]).map(|rule| rule.id);
            for rule in certs::RULES.iter().map(|rule| rule.id).chain(own) {
                detections.cannot_tell(rule, subject.clone());
            }
            continue;
        };
        let what = format!("{} on {}", called(certificate), places_text(&places));
        let mut detect = |rule, title: &str, severity, detail: &str| {
            detections.add(Detection {
                rule,
                severity,
                subject: subject.clone(),
                asset: places.iter().find_map(Place::asset),
                title: format!("{title}: {}", called(certificate)),
                detail: format!("{what}: {detail}"),
            });
        };
        let trust = input.chains.trust(sha256);
        let context = Context { as_of: input.as_of, thresholds: input.thresholds, trust };
        let only_above = chain::is_only_above(certificate, &places, input);
        // An authority's end is told with what becomes of the chains.
        let told = |rule: &&certs::Rule| rule.id == "cert.expired" && only_above;
        for rule in certs::RULES.iter().filter(|rule| !told(rule)) {
            if let Verdict::Fail { severity, detail } = rule.judge(certificate, &context) {
                detect(rule.id, rule.title, severity, &detail);
            }
        }
        let Some(issuers) = &issuers else { continue };
        let chains = places.iter().filter_map(|place| place.chain_of(certificate));
        let verdicts: Vec<Verdict> = chains
            .map(|chain| {
                let verdict = issuers.judge(certificate, &chain, &known);
                let passes =
                    |issuers: &Issuers| issuers.judge(certificate, &chain, &known) == Verdict::Pass;
                let who = investigated.iter().find(|(issuers, _)| passes(issuers));
                match (verdict, who) {
                    // Somebody is at it.
                    (Verdict::Fail { detail, .. }, Some((_, who))) => Verdict::Fail {
                        severity: Severity::Info,
                        detail: format!("{detail}; {who}"),
                    },
                    (verdict, _) => verdict,
                }
            })
            .collect();
        for verdict in &verdicts {
            if let Verdict::Fail { severity, detail } = verdict {
                let rule = UNAPPROVED_ISSUER;
                detect(rule.id, rule.title, *severity, detail);
            }
        }
        if verdicts.contains(&Verdict::NotApplicable) {
            detections.cannot_tell(UNAPPROVED_ISSUER.id, subject);
        }
    }
    evaluated.extend(certs::RULES.iter().map(|rule| rule.id));
    evaluated.extend(renewal::RULES.iter().map(|rule| rule.id));
    evaluated.extend(chain::RULES.iter().map(|rule| rule.id));
    if issuers.is_some() || input.decided.about.issuers {
        evaluated.insert(UNAPPROVED_ISSUER.id);
    }
}

/// The certificates that are served now, with their places. A port that is closed serves
/// nothing; one that stays silent may.
fn served<'a>(
    assets: &'a [Asset],
    known: &HashMap<&str, &'a Certificate>,
) -> BTreeMap<&'a str, Vec<Place<'a>>> {
    let mut places: BTreeMap<&str, Vec<Place<'_>>> = BTreeMap::new();
    for asset in assets {
        let closed: HashSet<_> = asset
            .services
            .iter()
            .filter(|service| service.state == PortState::Closed)
            .map(|service| (service.address, service.transport, service.port))
            .collect();
        for deployment in asset.deployments.iter().filter(|deployment| deployment.current) {
            if closed.contains(&(deployment.address, deployment.transport, deployment.port)) {
                continue;
            }
            let place = Place::Served { asset, deployment };
            places.entry(&deployment.sha256).or_default().push(place);
            let leaf = known.get(deployment.sha256.as_str());
            let above = leaf.map(|leaf| path(leaf, &deployment.chain, known)).unwrap_or_default();
            for certificate in above.into_iter().skip(1).filter(|above| !is_root(above)) {
                places.entry(&certificate.sha256).or_default().push(place);
            }
        }
    }
    places
}

/// Adds the certificates that lie in files now.
fn add_held<'a>(
    files: &'a [KeptFile],
    known: &HashMap<&str, &'a Certificate>,
    places: &mut BTreeMap<&'a str, Vec<Place<'a>>>,
) {
    for file in files {
        let count = file.current().count();
        for (at, held) in file.current().enumerate() {
            let certificate = known.get(held.sha256.as_str());
            // An authority says that it issues; what a server made for itself does not.
            let issues = certificate
                .is_some_and(|one| one.key_usage.iter().any(|usage| usage == "keyCertSign"));
            let has_key = file.private_key != PrivateKey::None;
            let is_own = at == 0 && (has_key || (count == 1 && !issues));
            if is_own || certificate.is_none_or(|certificate| !is_root(certificate)) {
                places.entry(&held.sha256).or_default().push(Place::Held(file));
            }
        }
    }
}

impl<'a> Place<'a> {
    /// In what order places are named.
    pub(super) fn order(&self) -> (Option<IpAddr>, u16, &'a str) {
        match self {
            Self::Served { deployment, .. } => (Some(deployment.address), deployment.port, ""),
            Self::Held(file) => (None, 0, &file.path),
        }
    }

    pub(super) fn asset(&self) -> Option<AssetId> {
        match self {
            Self::Served { asset, .. } => Some(asset.id),
            Self::Held(_) => None,
        }
    }

    /// What stands with the certificate, if the place has it for itself and not as an issuer.
    fn chain_of(&self, certificate: &Certificate) -> Option<Vec<String>> {
        match self {
            Self::Served { deployment, .. } => {
                (deployment.sha256 == certificate.sha256).then(|| deployment.chain.clone())
            }
            Self::Held(file) => (!certificate.is_ca).then(|| {
                let others = file.current().map(|held| held.sha256.clone());
                others.filter(|sha256| *sha256 != certificate.sha256).collect()
            }),
        }
    }
}

/// The certificates from the leaf upwards, by their names, as far as they were served.
fn path<'a>(
    leaf: &'a Certificate,
    chain: &[String],
    known: &HashMap<&str, &'a Certificate>,
) -> Vec<&'a Certificate> {
    let mut path = vec![leaf];
    let mut here = leaf;
    while path.len() < MAX_PATH && !is_root(here) {
        let served = chain.iter().filter_map(|sha256| known.get(sha256.as_str()).copied());
        let mut above = served.filter(|above| {
            above.subject == here.issuer
                && path.iter().all(|passed| passed.sha256 != above.sha256)
                && (above.subject_key_id.is_none()
                    || here.authority_key_id.is_none()
                    || above.subject_key_id == here.authority_key_id)
        });
        let Some(next) = above.next() else { break };
        path.push(next);
        here = next;
    }
    path
}

fn is_root(certificate: &Certificate) -> bool {
    certificate.subject == certificate.issuer
}

/// How people recognise a certificate: its first name, else its subject, else its hash.
pub(super) fn called(certificate: &Certificate) -> String {
    let named = certificate.names.first().cloned();
    named
        .or_else(|| Some(certificate.subject.clone()).filter(|subject| !subject.is_empty()))
        .unwrap_or_else(|| certificate.sha256.clone())
}

pub(super) fn places_text(places: &[Place<'_>]) -> String {
    let text = |place: &Place<'_>| {
        let (asset, deployment) = match place {
            Place::Served { asset, deployment } => (*asset, *deployment),
            Place::Held(file) => return format!("{} ({})", file.path, file.vantage.name),
        };
        let Deployment { address, transport, port, .. } = *deployment;
        let endpoint = Endpoint { address, transport, port };
        match &deployment.server_name {
            Some(name) => format!("{endpoint} as {name} ({})", name_of(asset)),
            None => format!("{endpoint} ({})", name_of(asset)),
        }
    };
    let named: Vec<String> = places.iter().take(NAMED_PLACES).map(text).collect();
    match places.len().saturating_sub(NAMED_PLACES) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// The issuer register, ready to be asked, and who was rejected.
struct Issuers {
    listed: Authorities,
    rejected: Authorities,
}

/// Authorities by what they are known by.
struct Authorities {
    certificates: HashSet<String>,
    keys: HashSet<String>,
    /// Folded names; true where an entry with the name gives no hash, so that the name is
    /// all there is to go by.
    names: HashMap<String, bool>,
}

impl Authorities {
    fn new(entries: &[IssuerEntry]) -> Self {
        let mut issuers =
            Self { certificates: HashSet::new(), keys: HashSet::new(), names: HashMap::new() };
        for entry in entries {
            issuers.certificates.extend(entry.certificate_hashes.iter().cloned());
            issuers.keys.extend(entry.key_hashes.iter().cloned());
            let bare = entry.certificate_hashes.is_empty() && entry.key_hashes.is_empty();
            let name = entry.name.as_ref().map(|_| fold(&entry.label()));
            if let Some(name) = name.filter(|name| !name.is_empty()) {
                *issuers.names.entry(name).or_insert(false) |= bare;
            }
        }
        issuers
    }

    /// Whether a hash says that it is one of them.
    fn have(&self, certificate: &Certificate) -> bool {
        let key = certificate.spki_sha256.as_ref();
        self.certificates.contains(&certificate.sha256)
            || key.is_some_and(|key| self.keys.contains(key))
    }

    /// Whether one of them has one of the names, and then whether an entry gives nothing else.
    fn called(&self, names: &[String]) -> Option<bool> {
        names.iter().find_map(|name| self.names.get(&fold(name)).copied())
    }
}

impl Issuers {
    fn new(listed: &[IssuerEntry], rejected: &[IssuerEntry]) -> Self {
        Self { listed: Authorities::new(listed), rejected: Authorities::new(rejected) }
    }

    /// Asks for every certificate on the path, and for the names of their issuers.
    ///
    /// A hash decides wherever the certificate was served. A name decides where the
    /// issuer's certificate was not served (servers leave the root out), or where the
    /// register gives nothing but the name. Signatures are not verified: this asks whose
    /// certificate it claims to be, not whether the claim is true.
    ///
    /// Nobody above an authority that was rejected vouches for what it issued.
    fn judge(
        &self,
        leaf: &Certificate,
        chain: &[String],
        known: &HashMap<&str, &Certificate>,
    ) -> Verdict {
        let path = path(leaf, chain, known);
        for (at, here) in path.iter().enumerate() {
            if self.rejected.have(here) {
                break;
            }
            if self.listed.have(here) {
                return Verdict::Pass;
            }
            let names = names_in(&here.issuer);
            let above = path.get(at.saturating_add(1));
            let was_served = above.is_some() || is_root(here);
            let listed = self.listed.called(&names);
            let is_rejected = match self.rejected.called(&names) {
                Some(true) => true,
                // Where both have hashes, it may be either.
                Some(false) => !was_served && listed != Some(false),
                None => false,
            };
            if is_rejected || above.is_some_and(|issuer| self.rejected.have(issuer)) {
                break;
            }
            if listed.is_some_and(|bare| bare || !was_served) {
                return Verdict::Pass;
            }
        }
        // Of an issuer that cannot be read, nothing can be said; nor of a chain of which
        // a part was not handed over.
        let handed_over = chain.iter().all(|sha256| known.contains_key(sha256.as_str()));
        if leaf.issuer.is_empty() || !handed_over {
            return Verdict::NotApplicable;
        }
        let detail = format!("its issuer {:?} is not on the issuer register", leaf.issuer);
        Verdict::Fail { severity: UNAPPROVED_ISSUER.severity, detail }
    }
}

/// What a distinguished name (RFC 4514) may be called: the whole, its common names and its
/// organisations.
fn names_in(name: &str) -> Vec<String> {
    let mut parts: Vec<String> = vec![String::new()];
    let mut escaped = false;
    for c in name.chars() {
        match (escaped, c) {
            (false, '\\') => escaped = true,
            (false, ',' | '+') => parts.push(String::new()),
            _ => {
                escaped = false;
                if let Some(part) = parts.last_mut() {
                    part.push(c);
                }
            }
        }
    }
    let called = parts.iter().filter_map(|part| match part.split_once('=')? {
        ("CN" | "O", value) => Some(value.to_owned()),
        _ => None,
    });
    called.chain([name.to_owned()]).collect()
}
