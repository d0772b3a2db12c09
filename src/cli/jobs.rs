//! `daicho jobs`: when each job runs next and how it ended last, and one now.

use std::time::Duration;

use anyhow::{Context as _, Result};
use config::Job;
use inventory::{
    run::{JobState, StoredRun},
    store::{OpenMode, Store, StoreError},
};
use model::{RunId, RunResult, Timestamp};
use scanner::stop::Stop;
use schedule::Planned;
use serde::Serialize;

use crate::{
    FAILED,
    cli::{args::Format, progress::spoken},
    clock,
    compose::Settings,
    jobs::{Asked, end_with_the_service, execute, plan, schedule_text},
    report::{print, print_json, table::Table},
    tell,
};

/// How many of the next runs are told.
const NEXT: usize = 3;

/// A job as it is printed (docs/json.md).
#[derive(Debug, Serialize)]
pub(crate) struct JobJson {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) site: String,
    pub(crate) schedule: Option<String>,
    pub(crate) time_zone: Option<String>,
    /// `None` for the last one of a job that always runs.
    pub(crate) next: Vec<String>,
    pub(crate) running_since: Option<String>,
    pub(crate) last: Option<RunJson>,
    pub(crate) late_seconds: Option<i64>,
}

#[derive(Debug, Serialize)]
pub(crate) struct RunJson {
    pub(crate) id: i64,
    pub(crate) due: Option<String>,
    pub(crate) attempt: u32,
    pub(crate) missed: u32,
    pub(crate) started_at: String,
    pub(crate) ended_at: Option<String>,
    pub(crate) result: Option<&'static str>,
    pub(crate) detail: Option<String>,
    pub(crate) scan: Option<i64>,
}

/// The jobs of the configuration, with what became of them, out of the store where there is one.
pub(crate) async fn jobs(settings: &Settings, store: Option<&Store>) -> Result<Vec<JobJson>> {
    let plan = plan(settings)?;
    let now = clock::now();
    let (states, mut runs) = match store {
        Some(store) => (store.jobs().await?, store.last_runs().await?),
        // Nothing has run yet.
        None => Default::default(),
    };
    let pairs = settings.jobs.iter().zip(&plan.planned);
    let jobs = pairs.map(|(job, planned)| {
        let state = states.get(&job.name).filter(|state| state.schedule == schedule_text(job));
        told(job, planned, state, runs.remove(&job.name), now)
    });
    Ok(jobs.collect())
}

/// Lists the jobs of the configuration.
pub(crate) async fn list(settings: &Settings, format: Format) -> Result<()> {
    let store = match Store::open(&settings.database, OpenMode::ReadOnly).await {
        Ok(store) => Some(store),
        Err(StoreError::NoDatabase { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let jobs = jobs(settings, store.as_ref()).await?;
    match format {
        Format::Json => print_json(&jobs),
        Format::Text if jobs.is_empty() => {
            tell::line("the configuration has no jobs; its comments show how one is written");
            Ok(())
        }
        Format::Text => print(&table(&jobs)),
    }
}

fn told(
    job: &Job,
    planned: &Planned,
    state: Option<&JobState>,
    last: Option<StoredRun>,
    now: Timestamp,
) -> JobJson {
    let begins = planned.upcoming(now).map(|(_, begins)| begins.to_string());
    let runs = last.as_ref().filter(|run| run.end.is_none());
    JobJson {
        name: job.name.clone(),
        kind: job.kind.as_str(),
        site: job.config.site.clone(),
        schedule: job.schedule.as_ref().map(|line| line.text().to_owned()),
        time_zone: job.time_zone.clone(),
        next: begins.take(NEXT).collect(),
        running_since: runs.map(|run| run.run.started_at.to_string()),
        late_seconds: state.and_then(|state| planned.late(state.settled, now)),
        last: last.map(run_json),
    }
}

fn run_json(run: StoredRun) -> RunJson {
    let StoredRun { id: RunId(id), run, end } = run;
    RunJson {
        id,
        due: run.due.map(|due| due.to_string()),
        attempt: run.attempt,
        missed: run.missed,
        started_at: run.started_at.to_string(),
        ended_at: end.as_ref().map(|end| end.ended_at.to_string()),
        result: end.as_ref().map(|end| end.result.as_str()),
        scan: end.as_ref().and_then(|end| end.scan).map(|scan| scan.0),
        detail: end.map(|end| end.detail).filter(|detail| !detail.is_empty()),
    }
}

fn table(jobs: &[JobJson]) -> String {
    let mut table =
        Table::new(&["name", "kind", "site", "schedule", "next", "last", "result", "late"]);
    for job in jobs {
        let last = job.last.as_ref();
        let result = match last {
            None => String::new(),
            Some(RunJson { result: None, .. }) => "running".to_owned(),
            Some(RunJson { result: Some(result), detail, .. }) => {
                let detail = detail.as_ref().map(|detail| format!(": {detail}"));
                format!("{result}{}", detail.unwrap_or_default())
            }
        };
        let late = job.late_seconds.and_then(|late| u64::try_from(late).ok());
        let zone = job.time_zone.as_ref().map(|zone| format!(" ({zone})")).unwrap_or_default();
        let schedule = job.schedule.as_ref().map(|line| format!("{line}{zone}"));
        table.row([
            job.name.clone(),
            job.kind.to_owned(),
            job.site.clone(),
            schedule.unwrap_or_else(|| "always".to_owned()),
            job.next.first().cloned().unwrap_or_default(),
            last.map(|run| run.started_at.clone()).unwrap_or_default(),
            result,
            late.map(|late| spoken(Duration::from_secs(late))).unwrap_or_default(),
        ]);
    }
    table.render()
}

/// Runs a job now and returns the exit code.
pub(crate) async fn run(
    settings: &Settings,
    name: &str,
    served: Option<i64>,
    stop: &Stop,
) -> Result<u8> {
    let job = settings.jobs.iter().find(|job| job.name == name).with_context(|| {
        let names: Vec<&str> = settings.jobs.iter().map(|job| job.name.as_str()).collect();
        match names.as_slice() {
            [] => format!("there is no job {name}: the configuration has no jobs"),
            names => format!("there is no job {name}; there are {}", names.join(", ")),
        }
    })?;
    // Of a run that the service began the configuration was found to be good.
    if served.is_none() {
        plan(settings)?;
    }
    let asked = served.map_or(Asked::ByHand, |id| Asked::Served(RunId(id)));
    if served.is_some() {
        end_with_the_service(stop)?;
    }
    let (result, detail) = execute(job, asked, stop).await?;
    let detail = if detail.is_empty() { detail } else { format!(": {detail}") };
    tell::line(&format!("job {name}: {result}{detail}"));
    // The service reads the books, and wants to know here only whether there is anything in them.
    let code = match result {
        _ if served.is_some() => 0,
        RunResult::Failed | RunResult::CutOff | RunResult::Crashed => FAILED,
        RunResult::Stopped => stop.exit_code().unwrap_or(FAILED),
        RunResult::Done | RunResult::Incomplete | RunResult::Skipped => 0,
    };
    Ok(code)
}
