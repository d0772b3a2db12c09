//! Certificates as lists show them: what is stored, with whether clients accept it, when it
//! should be renewed and who answers for it.

use std::collections::BTreeMap;

use certs::{
    Certificate, Thresholds, Trust,
    chain::{Judgement, Reason},
    lifecycle::renewal_due,
};
use inventory::{
    chain::{Anchors, Chain},
    owner::Owner,
    store::{CertificateDossier, Compared, StoredCertificate},
};
use model::Timestamp;

use crate::report::{
    hex,
    json::{
        CertificateJson, ChainJson, HeldJson, KeyJson, LinkJson, OwnerJson, PlaceJson, RefusalJson,
    },
};

/// What was concluded about every certificate.
pub(crate) struct Concluded<'a> {
    compared: &'a Compared,
    verdicts: BTreeMap<&'a str, Vec<(&'a Chain, &'a Judgement)>>,
    certificates: BTreeMap<&'a str, &'a Certificate>,
    thresholds: Thresholds,
    as_of: Timestamp,
}

/// A certificate with what was concluded about it.
pub(crate) struct Shown<'a> {
    pub(crate) stored: &'a StoredCertificate,
    /// The verdicts on its chains, if it is a leaf somewhere.
    verdicts: Vec<(&'a Chain, &'a Judgement)>,
    /// Who trusts it.
    root: Trust,
    /// When it should be renewed.
    pub(crate) renew_by: Option<Timestamp>,
    pub(crate) owners: Vec<&'a Owner>,
    overdue: bool,
    names: &'a (dyn Named + Sync),
}

/// Knows what certificates and roots are called.
trait Named {
    /// An RFC 4514 string; empty where it is not known.
    fn subject(&self, sha256: &str) -> String;
}

impl<'a> Concluded<'a> {
    pub(crate) fn new(compared: &'a Compared, thresholds: Thresholds, as_of: Timestamp) -> Self {
        let certificates = compared.certificates.iter();
        Self {
            compared,
            verdicts: compared.chains.by_leaf(),
            certificates: certificates.map(|one| (one.sha256.as_str(), one)).collect(),
            thresholds,
            as_of,
        }
    }

    pub(crate) fn show(&'a self, stored: &'a StoredCertificate) -> Shown<'a> {
        let sha256 = stored.sha256.as_str();
        let certificate = self.certificates.get(sha256);
        let renew_by = certificate.and_then(|one| renewal_due(one, &self.thresholds));
        Shown {
            stored,
            verdicts: self.verdicts.get(sha256).cloned().unwrap_or_default(),
            root: self.compared.chains.trust(sha256),
            overdue: renew_by.is_some_and(|due| self.as_of > due),
            renew_by,
            owners: self.compared.owners.of_certificate(sha256).collect(),
            names: self,
        }
    }
}

impl Named for Concluded<'_> {
    fn subject(&self, sha256: &str) -> String {
        let known = self.certificates.get(sha256).map(|one| one.subject.clone());
        let root = || self.compared.chains.root_name(sha256).map(str::to_owned);
        known.or_else(root).unwrap_or_default()
    }
}

/// What the last review concluded of one certificate.
pub(crate) struct Settled<'a> {
    dossier: &'a CertificateDossier,
    concluded: &'a inventory::store::Concluded,
    anchors: &'a Anchors,
    as_of: Timestamp,
}

impl<'a> Settled<'a> {
    /// `None` where it did not say all that can be said now.
    pub(crate) fn new(
        dossier: &'a CertificateDossier,
        anchors: &'a Anchors,
        as_of: Timestamp,
    ) -> Option<Self> {
        Some(Self { dossier, concluded: dossier.settled()?, anchors, as_of })
    }

    pub(crate) fn show(&'a self) -> Shown<'a> {
        let verdict = |(chain, said): &'a (Chain, Option<Judgement>)| Some((chain, said.as_ref()?));
        let renew_by = self.concluded.renew_by;
        Shown {
            stored: &self.dossier.certificate,
            verdicts: self.dossier.chains.iter().filter_map(verdict).collect(),
            root: self.dossier.root(),
            overdue: renew_by.is_some_and(|due| self.as_of > due),
            renew_by,
            owners: self.concluded.owners.iter().collect(),
            names: self,
        }
    }
}

impl Named for Settled<'_> {
    fn subject(&self, sha256: &str) -> String {
        let known = self.dossier.names.get(sha256).filter(|name| !name.is_empty()).cloned();
        let own = &self.dossier.certificate;
        let known = known.or_else(|| (own.sha256 == sha256).then(|| own.subject.clone()));
        known.or_else(|| root_subject(self.anchors, sha256)).unwrap_or_default()
    }
}

/// The name of a root that the inventory does not hold.
pub(crate) fn root_subject(anchors: &Anchors, sha256: &str) -> Option<String> {
    let hash = |der: &[u8]| hex(ring::digest::digest(&ring::digest::SHA256, der).as_ref());
    let mut all = anchors.own.iter().chain(&anchors.public);
    all.find(|der| hash(der) == sha256).map(|der| certs::parse(der).subject)
}

impl Shown<'_> {
    /// Why clients refuse it somewhere, none twice.
    fn reasons(&self) -> Vec<&Reason> {
        let mut reasons: Vec<&Reason> = Vec::new();
        for reason in self.verdicts.iter().flat_map(|(_, verdict)| &verdict.reasons) {
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        reasons
    }

    /// `public`, `private` or `untrusted`; `None` where nobody could tell.
    pub(crate) fn trust(&self) -> Option<&'static str> {
        match self.root {
            _ if !self.reasons().is_empty() => Some("untrusted"),
            Trust::Public => Some("public"),
            Trust::Private => Some("private"),
            Trust::Unknown => None,
        }
    }

    /// The same in words, with the reasons.
    pub(crate) fn trust_text(&self) -> String {
        let reasons: Vec<&str> = self.reasons().iter().map(|reason| reason.as_str()).collect();
        match (self.trust(), reasons.is_empty()) {
            (None, _) => "unknown".to_owned(),
            (Some(trust), true) => trust.to_owned(),
            (Some(trust), false) => format!("{trust}: {}", reasons.join(", ")),
        }
    }

    pub(crate) fn owners_text(&self) -> String {
        self.owners.iter().map(|owner| owner.text()).collect::<Vec<_>>().join("; ")
    }

    /// Its chains, in their order: what leads to which root, and why clients refuse it.
    pub(crate) fn chains(&self) -> Vec<ChainJson> {
        let link = |sha256: &String| LinkJson {
            sha256: sha256.clone(),
            subject: Some(self.names.subject(sha256)).filter(|subject| !subject.is_empty()),
        };
        let chain = |(chain, verdict): &(&Chain, &Judgement)| ChainJson {
            served: chain.above.iter().map(link).collect(),
            path: verdict.path.iter().map(link).collect(),
            root: root_name(verdict.trust),
            problems: verdict.reasons.iter().map(RefusalJson::from).collect(),
        };
        self.verdicts.iter().map(chain).collect()
    }

    pub(crate) fn json(&self) -> CertificateJson {
        let stored = self.stored;
        let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let current = stored.endpoints.iter().filter(|(_, place)| place.current);
        let held = stored.files.iter().filter(|(_, held)| held.current);
        CertificateJson {
            sha256: stored.sha256.clone(),
            subject: text(&stored.subject),
            issuer: text(&stored.issuer),
            serial: text(&stored.serial),
            not_before: stored.not_before.map(|at| at.to_string()),
            not_after: stored.not_after.map(|at| at.to_string()),
            renew_by: self.renew_by.map(|at| at.to_string()),
            overdue: self.overdue,
            names: stored.names.clone(),
            key: KeyJson { algorithm: text(&stored.key_algorithm), bits: stored.key_bits },
            signature_algorithm: text(&stored.signature_algorithm),
            self_signed: stored.self_signed,
            trust: self.trust(),
            root: root_name(self.root),
            problems: self.reasons().into_iter().map(RefusalJson::from).collect(),
            owners: self.owners.iter().map(|owner| OwnerJson::from(*owner)).collect(),
            endpoints: current.map(|(_, place)| PlaceJson::from(place)).collect(),
            files: held.map(|(file, held)| HeldJson::new(file, held)).collect(),
            first_seen: stored.first_seen.to_string(),
            last_seen: stored.last_seen.to_string(),
            anomalies: stored.anomalies.clone(),
        }
    }
}

const fn root_name(trust: Trust) -> Option<&'static str> {
    match trust {
        Trust::Public => Some("public"),
        Trust::Private => Some("private"),
        Trust::Unknown => None,
    }
}
