//! `daicho serve`: runs the jobs when they are due.
//!
//! This process holds no raw socket and looks at no packet: it tells the scheduler the time,
//! begins what that orders, each run in a process of its own, and keeps the books. What it is told
//! by signals it does at once; everything that it must not forget is in the store before it is
//! done.

mod books;
mod child;
mod notify;
mod page;
mod post;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail};
use inventory::{
    run::StoredRun,
    store::{OpenMode, Store},
};
use model::Timestamp;
use schedule::{Ending, Order, Scheduler};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::{Instant, sleep, timeout_at},
};

use self::{
    books::{Books, Ended},
    child::{Over, Running},
    notify::{Word, notify},
    page::{Page, Wanted},
    post::Post,
};
use crate::{
    cli::args::Cli,
    clock,
    compose::{self, Settings},
    confine,
    jobs::{Lock, Plan, plan},
    notify::Courier,
    tell,
};

/// The longest sleep: a clock that was put forward or back is noticed after it.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// How often it is looked for jobs that somebody wants to be run now, where there is a page, and
/// for the end of runs that others began.
const WISHES: Duration = Duration::from_secs(2);

/// How long runs are waited for at the end. What takes longer goes on by itself, stores what it
/// found, and is in the books.
const LAST_WORDS: Duration = Duration::from_millis(700);

/// The same under a service manager, which kills what is left when this process is gone.
const LAST_WORDS_OF_A_SERVICE: Duration = Duration::from_secs(50);

/// In so many seconds an order is tried again that could not be carried out.
const AGAIN: i64 = 30;

/// In so many where the job runs already, begun by somebody else.
const BUSY: i64 = 5;

/// A configuration that was found to be good, and the file that it is from.
struct Loaded {
    file: compose::Read,
    settings: Settings,
    plan: Plan,
    courier: Arc<Courier>,
}

/// Reads the configuration, at the start and whenever SIGHUP asks for it.
fn load(cli: &Cli) -> Result<Loaded> {
    let file = compose::configuration_file(cli.config.as_deref())?;
    let settings = compose::settings(compose::configuration_of(cli, file.as_ref())?)?;
    // What is wrong with a root's file is said now, and not in the night.
    settings.trusted.read()?;
    let plan = plan(&settings)?;
    let courier = Arc::new(Courier::load(&settings.routes, &settings.sender)?);
    Ok(Loaded { file, settings, plan, courier })
}

/// Serves until SIGINT or SIGTERM, and returns the exit code.
pub(crate) async fn serve(cli: &Cli) -> Result<u8> {
    let loaded = load(cli)?;
    if loaded.settings.jobs.is_empty() && loaded.settings.web.listen.is_none() {
        bail!(
            "there is nothing to do: the configuration has no jobs, and no page; a table headed \
             [[jobs]] makes a job, and web.listen a page (see the comments of the default \
             configuration)"
        );
    }
    let database = loaded.settings.database.clone();
    // A job is called as nobody may call one.
    let Some(_lock) = Lock::take(&database, ".serve")? else {
        bail!("another daicho serve runs with the database {}", database.display());
    };
    let mut signals = Signals::listen()?;
    let store = Store::open(&database, OpenMode::ReadWrite).await?;
    let post = Post::open(Arc::clone(&loaded.courier), store.clone());
    let page = Page::open(wanted(&loaded), database.clone(), store.clone());
    let books = Books::new(store, database.clone());
    let (past, others) = books.open(&loaded.settings.jobs).await?;
    let mut scheduler = Scheduler::new(loaded.plan.planned.clone(), loaded.plan.limits, &|name| {
        past.get(name).copied().unwrap_or_default()
    });
    for run in &others {
        let run = &run.run;
        scheduler.adopt(&run.job, run.due, run.attempt, run.started_at);
    }
    let (sender, mut over) = unbounded_channel();
    let (running, wished) = (BTreeMap::new(), BTreeMap::new());
    let mut service =
        Service { loaded, database, books, post, page, scheduler, running, others, wished, sender };
    tell::line(&format!("serving {} jobs", service.loaded.settings.jobs.len()));
    notify(Word::Ready);
    service.run(cli, &mut signals, &mut over).await;
    notify(Word::Stopping);
    service.end(&mut over).await;
    Ok(0)
}

/// The page that the configuration wants.
fn wanted(loaded: &Loaded) -> Wanted {
    Wanted { is_on: loaded.settings.web.listen.is_some(), file: loaded.file.clone() }
}

struct Signals {
    hangup: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            hangup: listen(SignalKind::hangup())?,
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }
}

struct Service {
    loaded: Loaded,
    database: PathBuf,
    books: Books,
    post: Post,
    page: Page,
    scheduler: Scheduler,
    running: BTreeMap<String, Running>,
    /// Runs that were begun by somebody else.
    others: Vec<StoredRun>,
    /// What somebody wants to be run now: since when, and who.
    wished: BTreeMap<String, (Timestamp, String)>,
    sender: UnboundedSender<Over>,
}

impl Service {
    /// Does what is due until the end is asked for.
    async fn run(&mut self, cli: &Cli, signals: &mut Signals, over: &mut UnboundedReceiver<Over>) {
        let watchdog = notify::watchdog();
        loop {
            let has_page = self.loaded.settings.web.listen.is_some();
            if has_page {
                self.wishes().await;
            }
            self.look_after_others().await;
            self.adopt().await;
            self.tick().await;
            // Said from here, so that it is said only as long as this goes round.
            if watchdog.is_some() {
                notify(Word::StillHere);
            }
            let mut pause = self.pause().min(watchdog.unwrap_or(LONGEST_SLEEP));
            if has_page || !self.others.is_empty() {
                pause = pause.min(WISHES);
            }
            tokio::select! {
                _ = signals.terminate.recv() => return,
                _ = signals.interrupt.recv() => return,
                _ = signals.hangup.recv() => {
                    notify(Word::Reloading);
                    self.reload(cli);
                    notify(Word::Ready);
                }
                Some(ended) = over.recv() => self.ended(ended).await,
                () = sleep(pause) => {}
            }
        }
    }

    /// Until there is something to do.
    fn pause(&self) -> Duration {
        let now = clock::now();
        let Some(at) = self.scheduler.wake_at(now) else { return LONGEST_SLEEP };
        let micros = u64::try_from(at.0.saturating_sub(now.0)).unwrap_or(0);
        // Never without any rest.
        Duration::from_micros(micros.max(10_000)).min(LONGEST_SLEEP)
    }

    async fn tick(&mut self) {
        let now = clock::now();
        for order in self.scheduler.tick(now) {
            // Each may wait for the database.
            notify(Word::StillHere);
            let done = match &order {
                Order::Start { name, .. } => self.start(name, &order, now).await,
                Order::Wished { name } => self.run_now(name, now).await,
                Order::Skip { .. } | Order::Settle { .. } => {
                    self.books.carry_out(&order, &self.loaded.settings.jobs, now).await
                }
            };
            let Err(error) = done else { continue };
            tell::failure(&error);
            if let Order::Start { name, .. } | Order::Wished { name } = &order {
                tell::line(&format!("job {name}: it is tried again in {AGAIN} s"));
                self.scheduler.put_back(name, now, AGAIN);
            }
        }
    }

    async fn start(&mut self, name: &str, order: &Order, now: Timestamp) -> Result<()> {
        // Somebody runs it by hand, or one of a service that was killed is just ending.
        let lock = Lock::take(&self.database, name)?;
        if lock.is_none() {
            self.scheduler.put_back(name, now, BUSY);
            return Ok(());
        }
        drop(lock);
        let Some(job) = self.loaded.settings.jobs.iter().find(|job| job.name == name) else {
            return Ok(());
        };
        let run = self.books.begin(order, job, now).await?;
        tell::line(&format!("job {name}: begins"));
        let file = &self.loaded.file;
        match child::begin(job, run, &self.database, file, self.sender.clone()).await {
            Ok(running) => drop(self.running.insert(name.to_owned(), running)),
            Err(error) => {
                let words = tell::chain(error.as_ref());
                let over = Over { name: name.to_owned(), run, words };
                // We hold the other end.
                let _ = self.sender.send(over);
            }
        }
        Ok(())
    }

    /// Notes which of the runs that others began are over.
    async fn look_after_others(&mut self) {
        for run in std::mem::take(&mut self.others) {
            match self.books.end_of(&run).await {
                Ok(Some(ending)) => self.scheduler.ended(&run.run.job, clock::now(), ending),
                Ok(None) => self.others.push(run),
                Err(error) => {
                    tell::failure(&error);
                    self.others.push(run);
                }
            }
        }
    }

    /// Counts what somebody has begun by hand meanwhile: nothing else is to go through its lane.
    async fn adopt(&mut self) {
        let found = match self.books.going_on().await {
            Ok(found) => found,
            Err(error) => return tell::failure(&error),
        };
        for run in found {
            let StoredRun { id, run: of, .. } = &run;
            let is_ours = self.running.contains_key(&of.job);
            if is_ours || self.others.iter().any(|other| other.id == *id) {
                continue;
            }
            tell::line(&format!("job {}: it runs, begun by somebody else", of.job));
            self.scheduler.adopt(&of.job, of.due, of.attempt, of.started_at);
            self.others.push(run);
        }
    }

    /// Tells the scheduler what somebody wants to be run now.
    async fn wishes(&mut self) {
        let wished = match self.books.wishes().await {
            Ok(wished) => wished,
            Err(error) => return tell::failure(&error),
        };
        for (name, (since, _)) in &wished {
            if !self.scheduler.wish(name, *since)
                && let Err(error) = self.books.end_wish(name).await
            {
                tell::failure(&error);
            }
        }
        self.wished = wished;
    }

    /// Begins what somebody wants, now that nothing keeps it from running.
    async fn run_now(&mut self, name: &str, now: Timestamp) -> Result<()> {
        let job = self.loaded.settings.jobs.iter().find(|job| job.name == name).cloned();
        let (Some(job), Some((_, by))) = (job, self.wished.remove(name)) else {
            // It was taken back.
            self.scheduler.ended(name, now, Ending::Over);
            return Ok(());
        };
        // Somebody runs it by hand. It is wished still, and so comes again.
        if Lock::take(&self.database, name)?.is_none() {
            self.scheduler.put_back(name, now, BUSY);
            return Ok(());
        }
        let run = self.books.begin_wished(&job, now).await?;
        tell::line(&format!("job {name}: begins, because {by} wants it"));
        let file = &self.loaded.file;
        match child::begin(&job, run, &self.database, file, self.sender.clone()).await {
            Ok(running) => drop(self.running.insert(name.to_owned(), running)),
            Err(error) => {
                let words = tell::chain(error.as_ref());
                let over = Over { name: name.to_owned(), run, words };
                // We hold the other end.
                let _ = self.sender.send(over);
            }
        }
        Ok(())
    }

    /// Notes that a run is over. What is to be told of what it found it has put into the outbox.
    async fn ended(&mut self, over: Over) {
        let running = self.running.remove(&over.name);
        let now = clock::now();
        let ended = match self.books.end(&over, now).await {
            Ok(ended) => ended,
            Err(error) => {
                tell::failure(&error);
                Ended::Itself
            }
        };
        let ending = match (ended, running.is_some_and(|running| running.asked)) {
            (Ended::Broken, _) => Ending::Crashed,
            (Ended::Itself, true) => Ending::Stopped,
            (Ended::Itself, false) => Ending::Over,
        };
        self.scheduler.ended(&over.name, now, ending);
    }

    /// Takes the configuration as it is now, if it is good. A run whose job is another then, or
    /// none any more, is ended.
    fn reload(&mut self, cli: &Cli) {
        let checked = load(cli).and_then(|loaded| {
            confine::check_reload(&self.loaded.settings, &loaded.settings)?;
            Ok(loaded)
        });
        let loaded = match checked {
            Ok(loaded) if loaded.settings.database == self.database => loaded,
            Ok(_) => {
                tell::line(
                    "not reloaded: another database needs a restart; the old configuration is kept",
                );
                return;
            }
            Err(error) => {
                let why = tell::chain(error.as_ref());
                tell::line(&format!("not reloaded, the old configuration is kept: {why}"));
                return;
            }
        };
        for (name, running) in &mut self.running {
            let now = loaded.settings.jobs.iter().find(|job| job.name == *name);
            if now != Some(&running.job) {
                tell::line(&format!("job {name}: it is another now, and what runs is ended"));
                running.stop();
            }
        }
        self.scheduler.replan(loaded.plan.planned.clone(), loaded.plan.limits);
        tell::line(&format!("reloaded: serving {} jobs", loaded.settings.jobs.len()));
        self.post.replace(Arc::clone(&loaded.courier));
        self.page.replace(wanted(&loaded));
        self.loaded = loaded;
    }

    /// Asks all runs for their end, and waits a little for it.
    async fn end(mut self, over: &mut UnboundedReceiver<Over>) {
        tell::line("stopping: what runs stores what it found");
        let is_managed = std::env::var_os("NOTIFY_SOCKET").is_some();
        let patience = if is_managed { LAST_WORDS_OF_A_SERVICE } else { LAST_WORDS };
        let until = Instant::now() + patience;
        for running in self.running.values_mut() {
            running.stop();
        }
        while !self.running.is_empty() {
            let Ok(Some(ended)) = timeout_at(until, over.recv()).await else { break };
            self.ended(ended).await;
        }
        for name in self.running.keys() {
            tell::line(&format!("job {name}: it is still storing what it found"));
        }
        self.page.close(until).await;
        self.post.close(until).await;
        self.books.close().await;
    }
}
