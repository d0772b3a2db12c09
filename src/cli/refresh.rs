//! `daicho certs refresh`, and the same at the end of a sweep: fetches what certificates name,
//! where the configuration allows it, and keeps it.
//!
//! One server is asked one thing after the other, several servers at once. What fails is a gap
//! that is told once; who is out of order is asked no more in this run. Nothing is a finding
//! here: a certificate is judged by what is kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use anyhow::{Result, bail};
use inventory::{
    download::{Errand, Extent, Sought},
    store::{Policy, Store},
};
use model::{Gap, Severity};
use scanner::{
    Downloads, Scope,
    net::{
        download::{DownloadError, Downloader, Host, Limits, Question, WebAddress},
        resolve::Resolver,
    },
    stop::Stop,
};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    cli::{Ended, args::Format, existing, listen_for_signals, scope},
    clock,
    compose::Settings,
    report::{
        count, finding,
        json::{DownloadsJson, RefreshJson},
        print, print_json,
    },
    tell,
};

/// The most that is fetched in one run; the next goes on.
const MOST: usize = 1_000;

/// How many servers are asked at once.
const SERVERS: usize = 8;

/// The largest revocation list, and the largest answer of a responder, in bytes.
const LARGEST_LIST: usize = 64 << 20;
const LARGEST_RESPONSE: usize = 64 << 10;

/// How long one may take.
const LIST_TIME: Duration = Duration::from_secs(300);
const RESPONSE_TIME: Duration = Duration::from_secs(15);

/// What is to be fetched, and for whom it is not.
#[derive(Clone, Debug)]
pub(crate) struct Refresh {
    extent: Extent,
    scope: Scope,
    /// How long a server may be silent.
    silence: Duration,
    stop: Stop,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Downloaded {
    pub(crate) lists: usize,
    pub(crate) responses: usize,
    /// What was not asked for because what is kept still holds.
    pub(crate) fresh: usize,
    pub(crate) gaps: Vec<Gap>,
}

/// Fetches what is due.
pub(crate) async fn run(settings: &Settings, format: Format, stop: &Stop) -> Result<Ended> {
    if settings.download.is_none() {
        bail!(
            "the configuration allows no downloads: certificates.download is \"no\", and \
             \"crl\" or \"crl+ocsp\" would allow them"
        );
    }
    let scope = scope::exclusions(&settings.exclude).await?;
    let store = existing(&settings.database).await?;
    listen_for_signals(stop)?;
    let mut downloaded = Downloaded::default();
    if let Some(refresh) = Refresh::new(settings, scope, stop) {
        downloaded = refresh.run(&store, &settings.policy).await?;
    }
    let review = store.review(clock::now(), &settings.policy).await?;
    let findings = finding::open(&review.findings, Severity::Info);
    match format {
        Format::Json => print_json(&RefreshJson {
            downloads: DownloadsJson::from(&downloaded),
            findings: findings
                .into_iter()
                .map(|found| finding::json(found, &review.compared.owners))
                .collect(),
        })?,
        Format::Text => print(&finding::table(&findings))?,
    }
    downloaded.tell();
    store.close().await;
    let (code, complete) = (stop.exit_code().unwrap_or(0), downloaded.gaps.is_empty());
    Ok(Ended { code, scan: None, complete, resume_at: None })
}

impl Refresh {
    /// What the configuration allows; `scope` has what is never asked. `None` where that is
    /// nothing.
    pub(crate) fn new(settings: &Settings, scope: Scope, stop: &Stop) -> Option<Self> {
        let extent = settings.download?;
        let scope = scope.with_downloads(Downloads::Allowed);
        Some(Self { extent, scope, silence: settings.limits.time, stop: stop.clone() })
    }

    /// Fetches what is due and keeps it.
    pub(crate) async fn run(&self, store: &Store, policy: &Policy) -> Result<Downloaded> {
        let errands = store.errands(clock::now(), policy, self.extent).await?;
        let mut told = Downloaded { fresh: errands.fresh, ..Downloaded::default() };
        let servers = by_server(errands.due, &mut told.gaps);
        if servers.is_empty() || self.stop.is_requested() {
            return Ok(told);
        }
        let hosts: BTreeSet<Host> = servers.keys().map(|(host, _)| host.clone()).collect();
        let downloader = Downloader::new(self.scope.clone(), Resolver::system()?, hosts);
        let permits = Arc::new(Semaphore::new(SERVERS));
        let mut tasks = JoinSet::new();
        for (_, errands) in servers {
            let server = Server {
                refresh: self.clone(),
                downloader: downloader.clone(),
                store: store.clone(),
            };
            let permits = Arc::clone(&permits);
            tasks.spawn(async move {
                // The semaphore is never closed.
                let _permit = permits.acquire_owned().await;
                server.ask(errands).await
            });
        }
        while let Some(asked) = tasks.join_next().await {
            let asked = asked??;
            told.lists += asked.lists;
            told.responses += asked.responses;
            told.gaps.extend(asked.gaps);
        }
        told.gaps.sort_by(|a, b| (&a.target, &a.reason).cmp(&(&b.target, &b.reason)));
        told.gaps.dedup();
        Ok(told)
    }
}

/// Errands with where each leads, by server: what cannot be asked, and what is too much for
/// one run, is a gap.
fn by_server(
    due: Vec<Errand>,
    gaps: &mut Vec<Gap>,
) -> BTreeMap<(Host, u16), Vec<(WebAddress, Errand)>> {
    let mut servers: BTreeMap<(Host, u16), Vec<(WebAddress, Errand)>> = BTreeMap::new();
    let (mut taken, mut left) = (0, 0);
    for errand in due {
        match WebAddress::read(&errand.url) {
            Err(error) => gaps.push(gap(&errand, &format!("not asked: {error}"))),
            Ok(_) if taken == MOST => left += 1,
            Ok(address) => {
                taken += 1;
                let server = (address.host.clone(), address.port);
                servers.entry(server).or_default().push((address, errand));
            }
        }
    }
    if left > 0 {
        let reason = format!("{left} more than the {MOST} of one run: the next run goes on");
        gaps.push(Gap { target: "certificates.download".to_owned(), reason });
    }
    servers
}

fn gap(errand: &Errand, reason: &str) -> Gap {
    Gap { target: errand.url.clone(), reason: reason.to_owned() }
}

/// One server, who is asked one thing after the other.
struct Server {
    refresh: Refresh,
    downloader: Downloader,
    store: Store,
}

impl Server {
    async fn ask(&self, errands: Vec<(WebAddress, Errand)>) -> Result<Downloaded> {
        let mut told = Downloaded::default();
        for (address, errand) in errands {
            let Some(fetched) = self.fetch(&address, &errand).await else {
                told.gaps.push(gap(&errand, self.refresh.stop.reason()));
                break;
            };
            let (download, doubt) = match fetched {
                Ok(body) => {
                    let judging = errand.clone();
                    let judged = move || judging.keep(body, clock::now());
                    // A large list takes a while.
                    let (download, doubt) = tokio::task::spawn_blocking(judged).await?;
                    if download.body.is_some() {
                        match errand.sought {
                            Sought::List => told.lists += 1,
                            Sought::Response { .. } => told.responses += 1,
                        }
                    }
                    (download, doubt.map(|doubt| (doubt.to_string(), false)))
                }
                // Nobody was asked: whoever lifts the exclusion need not wait.
                Err(error @ DownloadError::Refused(_)) => {
                    told.gaps.push(gap(&errand, &tell::chain(&error)));
                    break;
                }
                Err(error) => {
                    let is_over = error.is_about_the_server();
                    (errand.failed(clock::now()), Some((tell::chain(&error), is_over)))
                }
            };
            self.store.keep_downloads(&[download]).await?;
            let is_over = doubt.as_ref().is_some_and(|(_, is_over)| *is_over);
            told.gaps.extend(doubt.map(|(reason, _)| gap(&errand, &reason)));
            if is_over {
                break;
            }
        }
        Ok(told)
    }

    /// What is there. `None` where the end was asked for before it came.
    async fn fetch(
        &self,
        address: &WebAddress,
        errand: &Errand,
    ) -> Option<Result<Vec<u8>, DownloadError>> {
        let (question, bytes, time) = match &errand.sought {
            Sought::List => (Question::Get, LARGEST_LIST, LIST_TIME),
            Sought::Response { request, .. } => {
                let media_type = "application/ocsp-request";
                (Question::Post { media_type, body: request }, LARGEST_RESPONSE, RESPONSE_TIME)
            }
        };
        let limits = Limits { bytes, time, silence: self.refresh.silence };
        tokio::select! {
            fetched = self.downloader.fetch(address, question, &limits) => Some(fetched),
            () = stopped(&self.refresh.stop) => None,
        }
    }
}

/// Comes when the end was asked for.
async fn stopped(stop: &Stop) {
    /// How soon that is noticed.
    const LOOK: Duration = Duration::from_millis(50);
    while !stop.is_requested() {
        tokio::time::sleep(LOOK).await;
    }
}

impl Downloaded {
    /// Says what came of it.
    pub(crate) fn tell(&self) {
        tell::line(&format!(
            "fetched: {}, {}; {} still good",
            count(self.lists as u64, "revocation list", "revocation lists"),
            count(self.responses as u64, "OCSP response", "OCSP responses"),
            self.fresh,
        ));
        for gap in &self.gaps {
            tell::line(&format!("not fetched: {}: {}", gap.target, gap.reason));
        }
    }
}
