//! The service's books: what the scheduler must not forget, in the store.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context as _, Result};
use config::Job;
use inventory::{
    run::{JobState, RunEnd, StoredRun},
    store::Store,
};
use model::{RunId, RunResult, Timestamp};
use schedule::{Ending, Order, Past, Unfinished};

use super::child::Over;
use crate::{
    clock,
    jobs::{Lock, new_run, schedule_text},
    tell,
};

pub(super) struct Books {
    store: Store,
    database: PathBuf,
}

/// Whether a run goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Life {
    GoesOn,
    Over,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ended {
    /// It noted its end.
    Itself,
    /// Its process was gone before it could.
    Broken,
}

impl Books {
    pub(super) const fn new(store: Store, database: PathBuf) -> Self {
        Self { store, database }
    }

    /// Notes which runs were cut off, and returns what is known of the jobs, and the runs that go
    /// on still: by hand, or begun by a service that was killed and just ending.
    pub(super) async fn open(
        &self,
        jobs: &[Job],
    ) -> Result<(BTreeMap<String, Past>, Vec<StoredRun>)> {
        let mut going_on = Vec::new();
        for run in self.store.open_runs().await? {
            if self.note_if_cut_off(&run).await? == Life::GoesOn {
                tell::line(&format!("job {}: it runs still, begun by somebody else", run.run.job));
                going_on.push(run);
            }
        }
        let states = self.store.jobs().await?;
        let mut runs = self.store.last_due_runs().await?;
        let past = |job: &Job| {
            let state = states.get(&job.name).filter(|state| state.schedule == schedule_text(job));
            let last = runs.remove(&job.name).and_then(|run| {
                let due = run.run.due?;
                Some(Unfinished { due, attempt: run.run.attempt, result: run.end?.result })
            });
            let settled = state.map(|state| state.settled);
            (job.name.clone(), Past { settled, last })
        };
        Ok((jobs.iter().map(past).collect(), going_on))
    }

    /// Whoever runs a job holds its lock.
    async fn note_if_cut_off(&self, run: &StoredRun) -> Result<Life> {
        let name = &run.run.job;
        let Some(lock) = Lock::take(&self.database, name)? else { return Ok(Life::GoesOn) };
        let end = RunEnd::without_scan(
            clock::now(),
            RunResult::CutOff,
            "it was killed, or the machine went down".to_owned(),
        );
        if self.store.end_run(run.id, &end).await? {
            tell::line(&format!("job {name}: its run of {} was cut off", run.run.started_at));
        }
        drop(lock);
        Ok(Life::Over)
    }

    /// The runs that go on now, whoever began them: somebody holds the lock of each.
    pub(super) async fn going_on(&self) -> Result<Vec<StoredRun>> {
        let mut found = Vec::new();
        for run in self.store.open_runs().await? {
            if Lock::take(&self.database, &run.run.job)?.is_none() {
                found.push(run);
            }
        }
        Ok(found)
    }

    /// How a run ended that was begun by somebody else; `None` while it goes on.
    pub(super) async fn end_of(&self, run: &StoredRun) -> Result<Option<Ending>> {
        if self.note_if_cut_off(run).await? == Life::GoesOn {
            return Ok(None);
        }
        let mut runs = self.store.runs_of(&run.run.job).await?.into_iter();
        let result = runs.find(|one| one.id == run.id).and_then(|one| Some(one.end?.result));
        Ok(Some(match result {
            Some(RunResult::Stopped) => Ending::Stopped,
            Some(RunResult::CutOff | RunResult::Crashed) => Ending::Crashed,
            _ => Ending::Over,
        }))
    }

    /// Notes that a run begins.
    pub(super) async fn begin(&self, order: &Order, job: &Job, now: Timestamp) -> Result<RunId> {
        let Order::Start { due, attempt, missed, .. } = order else {
            anyhow::bail!("an order that is not one to begin");
        };
        let run = new_run(job, *due, (*attempt, *missed), now);
        let mut settled = due.map(|due| state(job, due));
        // Another attempt at an earlier one settles nothing anew.
        if let Some(before) = self.store.jobs().await?.get(&job.name)
            && let Some(settled) = &mut settled
            && before.schedule == settled.schedule
        {
            settled.settled = settled.settled.max(before.settled);
        }
        Ok(self.store.begin_run(&run, settled.as_ref()).await?)
    }

    /// The jobs that somebody wants to be run now: since when, and who.
    pub(super) async fn wishes(&self) -> Result<BTreeMap<String, (Timestamp, String)>> {
        let wished = self.store.wished_jobs().await?;
        Ok(wished.into_iter().map(|(job, since, by)| (job, (since, by))).collect())
    }

    /// Notes that such a one begins.
    pub(super) async fn begin_wished(&self, job: &Job, now: Timestamp) -> Result<RunId> {
        let run = self.store.begin_run(&new_run(job, None, (1, 0), now), None).await?;
        self.store.end_wish(&job.name).await?;
        Ok(run)
    }

    /// Takes a wish away that nobody can fulfil.
    pub(super) async fn end_wish(&self, name: &str) -> Result<()> {
        Ok(self.store.end_wish(name).await?)
    }

    /// Carries out an order that begins nothing.
    pub(super) async fn carry_out(
        &self,
        order: &Order,
        jobs: &[Job],
        now: Timestamp,
    ) -> Result<()> {
        let find =
            |name: &str| jobs.iter().find(|job| job.name == name).context("an order about no job");
        match order {
            Order::Start { .. } | Order::Wished { .. } => {}
            Order::Settle { name, at } => self.store.settle_job(&state(find(name)?, *at)).await?,
            Order::Skip { name, due, missed } => {
                let job = find(name)?;
                let run = new_run(job, Some(*due), (1, missed.saturating_sub(1)), now);
                let detail = format!("{missed} missed, and missed runs are skipped");
                tell::line(&format!("job {name}: {detail}"));
                let end = RunEnd::without_scan(now, RunResult::Skipped, detail);
                self.store.skip_run(&run, &state(job, *due), &end).await?;
            }
        }
        Ok(())
    }

    /// Notes the end of a run that could not do so itself.
    pub(super) async fn end(&self, over: &Over, now: Timestamp) -> Result<Ended> {
        let end = RunEnd::without_scan(now, RunResult::Crashed, over.words.clone());
        if self.store.end_run(over.run, &end).await? {
            tell::line(&format!("job {}: crashed: {}", over.name, over.words));
            return Ok(Ended::Broken);
        }
        Ok(Ended::Itself)
    }

    pub(super) async fn close(self) {
        self.store.close().await;
    }
}

fn state(job: &Job, settled: Timestamp) -> JobState {
    JobState { name: job.name.clone(), schedule: schedule_text(job), settled }
}
