//! How things stand, in numbers, as the last review left them; kept until something changed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use inventory::{
    compare::Registration,
    finding::FindingState,
    list::Lister,
    query::Kind,
    store::{
        Changes, Ending, Store, StoreError,
        list::{Direction, Request, Sort},
    },
};
use model::{Severity, Timestamp};
use tokio::sync::{self, OnceCell};

use super::{Shared, trouble::Trouble};
use crate::{clock, report::asset::Shown};

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Summary {
    pub(crate) as_of: Timestamp,
    pub(crate) assets: u64,
    pub(crate) registrations: BTreeMap<Registration, u64>,
    /// By class; "" is unknown.
    pub(crate) classes: BTreeMap<String, u64>,
    pub(crate) sites: BTreeMap<String, u64>,
    /// Open ones.
    pub(crate) findings: BTreeMap<Severity, u64>,
    pub(crate) accepted: u64,
    /// How many certificates are in use.
    pub(crate) certificates: u64,
    /// Of those, the ones that end next, by the end of their validity. All are asked for by
    /// [`Summary::ends`].
    pub(crate) next: Vec<Ending>,
    ends: OnceCell<Vec<Ending>>,
}

/// The most certificates that are told one by one; of more, those that end first.
const CERTIFICATES: u32 = 10_000;

/// How many of those that end next are told with the numbers.
const NEXT: u32 = 50;

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
pub(crate) async fn summary(shared: &Shared) -> Result<Arc<Summary>, Trouble> {
    let kept = shared.keeper.kept();
    if let Some(kept) = kept.filter(|kept| kept.took > LONG) {
        let is_old = kept.made.elapsed() > kept.took.saturating_mul(4).max(SOON);
        // While one makes it, nobody else waits for that at a place for works.
        if is_old && shared.keeper.making.try_lock().is_ok() {
            let shared = shared.clone();
            // Who asks next is told.
            tokio::spawn(async move { drop(shared.look_apart(refresh).await) });
        }
        return Ok(kept.summary);
    }
    // To its end: that something changed is told once, and who would be told may be gone.
    shared.look_apart(refresh).await
}

async fn refresh(shared: Shared) -> Result<Arc<Summary>, Trouble> {
    let mut changes = shared.keeper.making.lock().await;
    let known = shared.keeper.kept();
    // Whoever waited for another to make it has what that one made. What changed since is told to
    // whoever comes later.
    if let Some(new) = known.as_ref().filter(|kept| kept.took > LONG && kept.made.elapsed() < SOON)
    {
        return Ok(Arc::clone(&new.summary));
    }
    let mut fresh = match changes.take() {
        Some(changes) => changes,
        None => shared.store.changes().await?,
    };
    let changed = fresh.any().await?;
    if let Some(kept) = known.filter(|kept| !changed && kept.made.elapsed() < OLD) {
        *changes = Some(fresh);
        return Ok(kept.summary);
    }
    let began = Instant::now();
    let summary = Arc::new(make(&shared).await?);
    // Where it was not made, whoever asks next has it made.
    *changes = Some(fresh);
    let kept = Kept { summary: Arc::clone(&summary), made: Instant::now(), took: began.elapsed() };
    *shared.keeper.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
    Ok(summary)
}

async fn make(shared: &Shared) -> Result<Summary, Trouble> {
    let store = &shared.store;
    if store.lacks_lists().await? {
        // Nobody can look at lists, and reviews make none; the numbers may be for this machine.
        if store.users().await?.is_empty() && store.api_tokens().await?.is_empty() {
            return compared(shared).await;
        }
        shared.review().await?;
    }
    let as_of = clock::now();
    let overview = store.overview(as_of).await?;
    let registration = |count: inventory::store::list::Count| {
        Some((Registration::from_name(&count.value)?, count.count))
    };
    let [critical, warning, info] = overview.findings;
    let findings =
        [(Severity::Critical, critical), (Severity::Warning, warning), (Severity::Info, info)];
    let accepted = shared.query(Kind::Findings, "state:accepted");
    let accepted = accepted.map_err(|error| Trouble::Failed(error.to_string()))?;
    let (sort, direction) = (Sort::usual(Kind::Findings), Direction::Up);
    let some = Request { query: &accepted, sort, direction, after: None, size: 1 };
    let in_use = overview.certificates.iter().map(|(_, number)| number).sum::<u64>();
    Ok(Summary {
        as_of,
        assets: overview.sites.iter().map(|site| site.assets).sum(),
        registrations: overview.registrations.into_iter().filter_map(registration).collect(),
        classes: overview.classes.into_iter().map(|one| (one.value, one.count)).collect(),
        sites: overview.sites.into_iter().map(|site| (site.site, site.assets)).collect(),
        findings: findings.into_iter().filter(|(_, number)| *number > 0).collect(),
        accepted: store.list_findings(&some, as_of).await?.total,
        certificates: in_use.saturating_add(overview.certificates_later),
        next: ends(store, NEXT).await?,
        ends: OnceCell::new(),
    })
}

/// The certificates in use, the one that ends first first, at most so many.
async fn ends(store: &Store, most: u32) -> Result<Vec<Ending>, StoreError> {
    store.endings(Timestamp(i64::MIN), Timestamp(i64::MAX), most).await
}

impl Summary {
    /// Every certificate that is in use, the one that ends first first; of very many, those that
    /// end first. Read once for each summary.
    pub(crate) async fn ends(&self, shared: &Shared) -> Result<&[Ending], Trouble> {
        let read = || async { ends(&shared.store, CERTIFICATES).await };
        Ok(self.ends.get_or_try_init(read).await.map(Vec::as_slice)?)
    }
}

/// The same by comparing the whole inventory.
async fn compared(shared: &Shared) -> Result<Summary, Trouble> {
    let as_of = clock::now();
    let policy = &shared.settings.policy;
    let compared = shared.store.compare(as_of, policy).await?;
    let mut summary = Summary { as_of, ..Summary::default() };
    for shown in Shown::all(&compared) {
        summary.assets += 1;
        *summary.registrations.entry(shown.registration).or_default() += 1;
        *summary.classes.entry(shown.class.unwrap_or_default().to_owned()).or_default() += 1;
        *summary.sites.entry(shown.asset.site.0.clone()).or_default() += 1;
    }
    for stored in &shared.store.findings().await? {
        match stored.finding.state {
            FindingState::Open => {
                *summary.findings.entry(stored.finding.severity).or_default() += 1;
            }
            FindingState::Accepted => summary.accepted += 1,
            FindingState::Resolved => {}
        }
    }
    let mut ends = Lister::new(&compared, &[]).endings();
    summary.certificates = ends.len() as u64;
    ends.truncate(CERTIFICATES as usize);
    summary.next = ends.iter().take(NEXT as usize).cloned().collect();
    summary.ends = OnceCell::from(ends);
    Ok(summary)
}
