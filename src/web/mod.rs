//! The web page: `daicho web`, which `daicho serve` keeps running where the configuration has
//! `web.listen`.
//!
//! It is a process of its own that holds no raw socket and gives up every capability before it
//! reads a byte of anybody (`privilege`). `server` has the connections, `gate` what every request
//! passes, `visit` who may ask for what, `routes` what there is, `works` what is done to its end
//! whoever waits for it. Everything else is a file for each part of the page: it reads the store, fills a template, or calls what the command line
//! calls too. Nothing is decided here.

mod account;
mod alerts;
mod api;
mod asked;
mod assets;
mod blank;
mod certificate;
mod certificates;
mod cookie;
mod crowd;
mod deciding;
mod decisions;
mod entries;
mod findings;
mod gate;
mod health;
mod jobs;
mod lists;
mod live;
mod map;
mod metrics;
#[cfg(not(feature = "oidc"))]
#[path = "no_oidc.rs"]
pub(crate) mod oidc;
#[cfg(feature = "oidc")]
pub(crate) mod oidc;
mod overview;
mod page;
pub(crate) mod password;
mod patience;
mod privilege;
mod registers;
mod routes;
mod scans;
mod server;
mod sign;
mod summary;
#[cfg(test)]
mod tests;
mod trail;
mod trends;
mod trouble;
mod users;
mod visit;
mod words;
mod works;

use std::{
    collections::BTreeSet,
    fs,
    net::{SocketAddr, TcpListener},
    ops::Deref,
    sync::Arc,
};

use anyhow::{Context as _, Result, bail};
use inventory::{
    query::{Kind, Query, QueryError},
    store::{OpenMode, ReviewSummary, Store},
    user::{Lasting, User},
};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    cli::args::Cli,
    clock,
    compose::{self, Settings},
    language,
};
use gate::{Hosts, Log};
use trouble::Trouble;

pub(crate) use certificates::calendar_path;
pub(crate) use server::run;

/// What every handler has: copies share it.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Inner>);

/// See [`Shared`].
pub(crate) struct Inner {
    pub(crate) settings: Settings,
    pub(crate) store: Store,
    keeper: summary::Keeper,
    pending: registers::Pending,
    hosts: Hosts,
    log: Log,
    patience: patience::Patience,
    works: works::Works,
    /// Passwords that are hashed at once: each takes 19 MiB.
    hashing: Semaphore,
    /// For what reads much of the database: half of the readers are for all else.
    searching: Semaphore,
    /// What the password of somebody is compared with who does not exist.
    nobody: String,
    /// The provider whose people may sign in, where there is one.
    oidc: Option<oidc::Oidc>,
}

/// What only a few may do at once.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scarce {
    /// What reads much of the database.
    Searches,
    /// Comparing and hashing passwords.
    Passwords,
}

impl Deref for Shared {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Shared {
    /// Opens what the page is about.
    pub(crate) async fn open(settings: Settings) -> Result<Self> {
        let store = Store::open(&settings.database, OpenMode::ReadWrite).await?;
        let oidc = settings.web.oidc.as_ref().map(oidc::Oidc::load).transpose()?;
        let nobody = password::hash(&cookie::new_token()?)?;
        let hosts = Hosts(host_names(&settings));
        let (hashing, searching) = (Semaphore::new(2), Semaphore::new(2));
        let (keeper, log) = (summary::Keeper::default(), Log::new());
        let pending = registers::Pending::default();
        Ok(Self(Arc::new(Inner {
            settings,
            store,
            keeper,
            pending,
            hosts,
            log,
            patience: patience::Patience::USUAL,
            works: works::Works::new(),
            hashing,
            searching,
            nobody,
            oidc,
        })))
    }

    /// A place for what reads lists. The first time that anybody looks at one they may have to be
    /// made: no review made them while nobody could.
    pub(crate) async fn lists(&self) -> Result<SemaphorePermit<'_>, Trouble> {
        let place = self.place(Scarce::Searches).await?;
        if self.store.lacks_lists().await? {
            self.apart(|shared| async move { shared.review().await.map(drop) }).await?;
        }
        Ok(place)
    }

    /// A place for what only a few may do at once. It is free again when it is dropped.
    pub(crate) async fn place(&self, of: Scarce) -> Result<SemaphorePermit<'_>, Trouble> {
        let places = match of {
            Scarce::Searches => &self.searching,
            Scarce::Passwords => &self.hashing,
        };
        places.acquire().await.map_err(|_| Trouble::Failed("the page is ending".to_owned()))
    }

    /// Whether who vouched for a user is still who may: a session does not outlive the provider that
    /// it began with.
    pub(crate) fn believes(&self, user: &User) -> bool {
        let provider = self.settings.web.oidc.as_ref().map(|oidc| oidc.issuer.as_str());
        user.identity.as_ref().is_none_or(|identity| Some(identity.issuer.as_str()) == provider)
    }

    /// Has what follows from a change follow at once, as at the end of a scan. In a work of its own
    /// (`apart`).
    pub(crate) async fn review(&self) -> Result<ReviewSummary, Trouble> {
        Ok(self.store.review(clock::now(), &self.settings.policy).await?)
    }

    /// Reads a query. Its days begin where the organisation is.
    pub(crate) fn query(&self, kind: Kind, text: &str) -> Result<Query, QueryError> {
        Query::parse(kind, text, self.settings.policy.offset)
    }

    /// How long sessions last.
    pub(crate) fn lasting(&self) -> Lasting {
        let seconds = |time: std::time::Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        let web = &self.settings.web;
        Lasting { idle: seconds(web.idle), absolute: seconds(web.absolute) }
    }
}

/// The names by which browsers ask for the page.
fn host_names(settings: &Settings) -> Vec<String> {
    let machine = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let oidc = settings.web.oidc.as_ref().map(|oidc| oidc.address.as_str());
    let pages = settings.sender.page.as_deref().into_iter().chain(oidc);
    let pages = pages.filter_map(|page| {
        let rest = page.split_once("://").map_or(page, |(_, rest)| rest);
        rest.split(['/', ':']).next()
    });
    let named = settings.web.names.iter().map(String::as_str);
    let all = ["localhost", machine.trim()].into_iter().chain(named).chain(pages);
    let all: BTreeSet<String> =
        all.filter(|name| !name.is_empty()).map(str::to_lowercase).collect();
    all.into_iter().collect()
}

/// The settings of the page, with what it judges by.
fn settings(cli: &Cli) -> Result<(Settings, SocketAddr)> {
    let mut settings = compose::settings(compose::configuration(cli)?)?;
    settings.policy.anchors = Arc::new(settings.trusted.read()?);
    let Some(listen) = settings.web.listen else {
        bail!(
            "the configuration says nowhere to listen: web.listen = \"127.0.0.1:8443\" is this \
             machine alone"
        );
    };
    Ok((settings, listen))
}

fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).with_context(|| format!("cannot listen at {address} (web.listen)"))
}
