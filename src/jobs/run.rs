//! One run of a job, from its lock to the note of how it ended.

use std::{
    io::{self, Read as _},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use config::{Job, JobKind};
use inventory::{
    run::{NewRun, Resume, RunEnd},
    store::{OpenMode, Store},
};
use model::{RunId, RunResult, ScanId, Site, Timestamp};
use ring::digest::{SHA256, digest};
use scanner::stop::Stop;

use super::{Lock, changed, keep, plan};
use crate::{
    cli::{
        Ended,
        args::{Collect, Format, Prune, Sweep, Watch},
        collect, listen_for_signals, prune, refresh, sweep, watch, window,
    },
    clock,
    compose::{self, Settings},
    report::hex,
    tell,
};

/// Who asked for a run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Asked {
    /// A person, now.
    ByHand,
    /// The service, which has noted that it begins.
    Served(RunId),
}

/// How long a run that the service began waits for one that is just ending.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs the job and notes how it ended. Returns how, and in words.
///
/// # Errors
///
/// The run could not be noted, or runs already. That the job itself fails is a result.
pub(crate) async fn execute(job: &Job, asked: Asked, stop: &Stop) -> Result<(RunResult, String)> {
    let settings = compose::settings(job.config.clone())?;
    let lock = lock(&settings, job, asked).await?;
    let store = Store::open(&settings.database, OpenMode::ReadWrite).await?;
    let id = match asked {
        Asked::ByHand => store.begin_run(&new_run(job, None, (1, 0), clock::now()), None).await?,
        Asked::Served(id) if store.is_open_run(id).await? => id,
        Asked::Served(id) => bail!("the run {} was given up before it began", id.0),
    };
    let before = store.runs_of(&job.name).await?.into_iter().find(|run| run.id != id);
    let resume = before.and_then(|run| run.end?.resume).filter(|resume| resume.of == parts(job));
    let performed = perform(&settings, job, resume.as_ref(), stop).await;
    let end = end(&store, job, performed, stop).await;
    let told = (end.result, end.detail.clone());
    store.end_run(id, &end).await?;
    store.close().await;
    drop(lock);
    Ok(told)
}

async fn lock(settings: &Settings, job: &Job, asked: Asked) -> Result<Lock> {
    let patience = match asked {
        Asked::ByHand => Duration::ZERO,
        Asked::Served(_) => PATIENCE,
    };
    let lock = Lock::take_within(&settings.database, &job.name, patience).await?;
    lock.with_context(|| {
        let name = &job.name;
        format!(
            "the job {name} runs already: wait for its end, or see daicho jobs for when it began"
        )
    })
}

/// A run of the job that begins now: which attempt it is, and how many missed ones it makes up for.
pub(crate) fn new_run(
    job: &Job,
    due: Option<Timestamp>,
    (attempt, missed): (u32, u32),
    started_at: Timestamp,
) -> NewRun {
    NewRun {
        job: job.name.clone(),
        kind: job.kind.as_str().to_owned(),
        site: Site(job.config.site.clone()),
        due,
        attempt,
        missed,
        started_at,
    }
}

/// What the addresses of a sweep are counted in.
fn parts(job: &Job) -> String {
    let text = format!("{:?} {:?}", job.targets, job.config.exclude);
    let digest = digest(&SHA256, text.as_bytes());
    hex(digest.as_ref().get(..8).unwrap_or_default())
}

/// Does what the command would do.
async fn perform(
    settings: &Settings,
    job: &Job,
    resume: Option<&Resume>,
    stop: &Stop,
) -> Result<Ended> {
    let mut settings = settings.clone();
    settings.policy.anchors = std::sync::Arc::new(settings.trusted.read()?);
    let left = window::time_left(&job.windows, clock::now(), plan::zone(job)?)?;
    let most = [left.filter(|_| job.kind == JobKind::Sweep), job.duration];
    if let Some(most) = most.into_iter().flatten().min() {
        let stop = stop.clone();
        tokio::spawn(async move {
            tokio::time::sleep(most).await;
            tell::line("stopping: the job's time is over (its window or duration)");
            stop.request();
        });
    }
    match job.kind {
        JobKind::Sweep => {
            if let Some(resume) = resume {
                tell::line(&format!("going on behind {} addresses", resume.at));
            }
            let arguments = Sweep {
                targets: job.targets.clone(),
                resume_at: resume.map(|resume| resume.at),
                // Who writes a large network into a file has thought about it.
                yes_large: true,
                ..Sweep::default()
            };
            sweep::run(&settings, &arguments, Format::Text, stop).await
        }
        JobKind::Watch => {
            let interface = settings.interface.clone();
            let arguments = Watch { interface, ..Watch::default() };
            // The service begins it anew where its configuration changes.
            watch::run(settings, None, &arguments, Format::Text, stop).await
        }
        JobKind::Certificates => certificates(&settings, job, stop).await,
        JobKind::Backup => keep::backup(&settings, job, stop).await,
        JobKind::Prune => {
            let command = Prune { dry_run: false, mend: false };
            prune::run(&settings, &command, Format::Text, stop).await
        }
        JobKind::Import => changed::import(&settings, job, stop).await,
        JobKind::Review => {
            listen_for_signals(stop)?;
            let store = Store::open(&settings.database, OpenMode::ReadWrite).await?;
            store.review(clock::now(), &settings.policy).await?;
            store.close().await;
            Ok(Ended::with(0))
        }
    }
}

/// Reads the certificates in files and fetches what certificates name, whatever of the two there
/// is to do.
async fn certificates(settings: &Settings, job: &Job, stop: &Stop) -> Result<Ended> {
    let arguments = Collect::of_files(job.paths.clone());
    let has_files = !job.paths.is_empty() || !settings.certificate_files.is_empty();
    if !has_files && settings.download.is_none() {
        bail!(
            "jobs.{}: there is nothing to do: name files (paths, or certificates.files), or allow \
             downloads (certificates.download)",
            job.name
        );
    }
    let mut ended = Ended::with(0);
    if has_files {
        ended = collect::run(settings, &arguments, Format::Text, stop).await?;
    }
    if settings.download.is_some() && !stop.is_requested() {
        let fetched = refresh::run(settings, Format::Text, stop).await?;
        ended.complete &= fetched.complete;
    }
    Ok(ended)
}

async fn end(store: &Store, job: &Job, performed: Result<Ended>, stop: &Stop) -> RunEnd {
    let ended_at = clock::now();
    let ended = match performed {
        Ok(ended) => ended,
        Err(error) => {
            let detail = tell::chain(error.as_ref());
            return RunEnd::without_scan(ended_at, RunResult::Failed, detail);
        }
    };
    let (result, detail) = match (stop.signal(), stop.is_requested(), ended.complete) {
        // It was just concluding.
        (Some(_), _, true) if job.kind == JobKind::Sweep => (RunResult::Done, ""),
        // Listening has no other end.
        (Some(_), ..) if job.kind == JobKind::Watch => (RunResult::Done, "listened until the end"),
        (Some(_), ..) => (RunResult::Stopped, "stopped before it was done"),
        (None, true, _) => (RunResult::Incomplete, "its time was over before it was done"),
        (None, false, false) => (RunResult::Incomplete, "it could not look everywhere"),
        (None, false, true) => (RunResult::Done, ""),
    };
    let gaps = match ended.scan {
        Some(scan) => gaps(store, scan).await,
        None => String::new(),
    };
    let detail = [detail, &gaps].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>();
    // A list may have other lines the next time, and the number means nothing then.
    let all = job.targets.iter().chain(&job.config.exclude);
    let has_list = all.into_iter().any(|target| target.starts_with('@'));
    let resume_at = ended.resume_at.filter(|_| !has_list);
    RunEnd {
        ended_at,
        result,
        detail: detail.join(": "),
        scan: ended.scan,
        resume: resume_at.map(|at| Resume { at, of: parts(job) }),
    }
}

/// Where the scan failed to look, in a line. It is only said, so that it may fail.
async fn gaps(store: &Store, scan: ScanId) -> String {
    let Ok(stored) = store.scan(scan).await else { return String::new() };
    match stored.record.gaps.as_slice() {
        [] => String::new(),
        [gap] => format!("{}: {}", gap.target, gap.reason),
        [gap, more @ ..] => {
            format!("{}: {}, and {} more gaps", gap.target, gap.reason, more.len())
        }
    }
}

/// The configuration of a run that the service began: the first line of standard input.
pub(crate) fn handed_down() -> Result<Option<(std::path::PathBuf, String)>> {
    let mut line = String::new();
    io::stdin().read_line(&mut line).context("cannot read the configuration of the service")?;
    serde_json::from_str(&line).context("standard input does not hold the service's configuration")
}

/// The end of standard input asks for that of the run: the service is gone, or wants it.
pub(crate) fn end_with_the_service(stop: &Stop) -> Result<()> {
    let stop = stop.clone();
    let watch = move || {
        let mut rest = [0; 64];
        while io::stdin().read(&mut rest).is_ok_and(|len| len > 0) {}
        stop.by_signal(TERMINATED);
    };
    let thread = thread::Builder::new().name("service".to_owned()).spawn(watch);
    thread.map(drop).context("cannot start the thread that watches the service")
}

/// SIGTERM, as which the end is told.
const TERMINATED: i32 = 15;
