//! How things stand, in numbers: made of the whole inventory, and so kept until something changed.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Result;
use inventory::{
    compare::Registration,
    finding::FindingState,
    store::{Changes, Compared, Store},
};
use model::{Severity, Timestamp};
use tokio::sync;

use super::Shared;
use crate::{clock, report::asset::Shown};

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Summary {
    pub(crate) as_of: Timestamp,
    pub(crate) assets: u64,
    pub(crate) registrations: BTreeMap<Registration, u64>,
    /// By class; "" is unknown.
    pub(crate) classes: BTreeMap<&'static str, u64>,
    pub(crate) sites: BTreeMap<String, u64>,
    /// Open ones.
    pub(crate) findings: BTreeMap<Severity, u64>,
    pub(crate) accepted: u64,
    /// What is served now or lies in files, by the end of its validity.
    pub(crate) certificates: Vec<CertificateEnd>,
}

/// A certificate that is in use, and when it ends.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct CertificateEnd {
    pub(crate) not_after: Timestamp,
    pub(crate) sha256: String,
    pub(crate) name: String,
    pub(crate) issuer: String,
    /// Where it is served now.
    pub(crate) places: u64,
}

/// Something that takes this long is not waited for again: what was is shown while it is made.
const LONG: Duration = Duration::from_millis(300);

/// Time alone changes what stands: certificates expire, approvals end.
const OLD: Duration = Duration::from_secs(300);

/// How often it is made anew at most, while a scan writes all the time.
const SOON: Duration = Duration::from_secs(2);

/// The last summary, and what it cost.
#[derive(Clone, Debug)]
struct Kept {
    summary: Arc<Summary>,
    made: Instant,
    took: Duration,
}

/// Keeps the summary.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    kept: Mutex<Option<Kept>>,
    /// One makes it at a time.
    making: sync::Mutex<Option<Changes>>,
}

impl Keeper {
    fn kept(&self) -> Option<Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// How things stand now, or stood a moment ago.
pub(crate) async fn summary(shared: &Shared) -> Result<Arc<Summary>> {
    let kept = shared.keeper.kept();
    if let Some(kept) = kept.filter(|kept| kept.took > LONG) {
        if kept.made.elapsed() > kept.took.saturating_mul(4).max(SOON) {
            let shared = shared.clone();
            tokio::spawn(async move {
                // Who asks next is told.
                drop(refresh(&shared).await);
            });
        }
        return Ok(kept.summary);
    }
    refresh(shared).await
}

async fn refresh(shared: &Shared) -> Result<Arc<Summary>> {
    let mut changes = shared.keeper.making.lock().await;
    let mut fresh = match changes.take() {
        Some(changes) => changes,
        None => shared.store.changes().await?,
    };
    let changed = fresh.any().await?;
    *changes = Some(fresh);
    if let Some(kept) = shared.keeper.kept() {
        let age = kept.made.elapsed();
        if !changed && age < OLD {
            return Ok(kept.summary);
        }
    }
    let began = Instant::now();
    let summary = Arc::new(make(shared).await?);
    let kept = Kept { summary: Arc::clone(&summary), made: Instant::now(), took: began.elapsed() };
    *shared.keeper.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
    Ok(summary)
}

async fn make(shared: &Shared) -> Result<Summary> {
    let as_of = clock::now();
    let store: &Store = &shared.store;
    let compared = store.compare(as_of, &shared.settings.policy).await?;
    let findings = store.findings().await?;
    let mut summary = Summary { as_of, ..Summary::default() };
    for shown in Shown::all(&compared) {
        summary.assets += 1;
        *summary.registrations.entry(shown.registration).or_default() += 1;
        *summary.classes.entry(shown.class.unwrap_or_default()).or_default() += 1;
        *summary.sites.entry(shown.asset.site.0.clone()).or_default() += 1;
    }
    for stored in &findings {
        match stored.finding.state {
            FindingState::Open => {
                *summary.findings.entry(stored.finding.severity).or_default() += 1;
            }
            FindingState::Accepted => summary.accepted += 1,
            FindingState::Resolved => {}
        }
    }
    summary.certificates = certificates(&compared);
    Ok(summary)
}

/// The certificates that are served now, the one that ends first first.
fn certificates(compared: &Compared) -> Vec<CertificateEnd> {
    let mut places: HashMap<&str, BTreeSet<(std::net::IpAddr, u16)>> = HashMap::new();
    for asset in &compared.assets {
        for place in asset.deployments.iter().filter(|place| place.current) {
            places.entry(&place.sha256).or_default().insert((place.address, place.port));
        }
    }
    let mut list: Vec<CertificateEnd> = compared
        .certificates
        .iter()
        .filter_map(|certificate| {
            let served = places.get(certificate.sha256.as_str())?.len() as u64;
            Some(CertificateEnd {
                not_after: certificate.not_after?,
                sha256: certificate.sha256.clone(),
                name: certificate.names.first().unwrap_or(&certificate.subject).clone(),
                issuer: certificate.issuer.clone(),
                places: served,
            })
        })
        .collect();
    list.sort_unstable();
    list
}
