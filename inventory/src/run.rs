//! Runs of jobs, as they are kept. When one is due is not decided here.

use model::{RunId, RunResult, ScanId, Site, Timestamp};

/// A run that begins, or is left out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewRun {
    /// The job's name.
    pub job: String,
    /// What kind of job that is.
    pub kind: String,
    /// The site whose addresses it is about.
    pub site: Site,
    /// When it was due; `None` where a person asked for it, or where it runs always.
    pub due: Option<Timestamp>,
    /// The how manieth attempt this is, from 1.
    pub attempt: u32,
    /// How many earlier ones it makes up for.
    pub missed: u32,
    /// When it begins.
    pub started_at: Timestamp,
}

/// How a run ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RunEnd {
    /// When.
    pub ended_at: Timestamp,
    /// How.
    pub result: RunResult,
    /// What came of it, or why it failed, in words.
    pub detail: String,
    /// The scan that it made.
    pub scan: Option<ScanId>,
    /// Where the next one goes on.
    pub resume: Option<Resume>,
}

impl RunEnd {
    /// One that made no scan.
    #[must_use]
    pub const fn without_scan(ended_at: Timestamp, result: RunResult, detail: String) -> Self {
        Self { ended_at, result, detail, scan: None, resume: None }
    }
}

/// Where a sweep goes on that was not done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resume {
    /// How many addresses it is done with.
    pub at: u64,
    /// What they were counted in: with other targets or exclusions the number means nothing.
    pub of: String,
}

/// A run as it is stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredRun {
    /// Its number.
    pub id: RunId,
    /// How it began.
    pub run: NewRun,
    /// How it ended; `None` while it runs.
    pub end: Option<RunEnd>,
}

/// Up to when a job is settled.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JobState {
    /// Its name.
    pub name: String,
    /// The cron line and its time zone.
    pub schedule: String,
    /// What was due until then (included) has been run or given up.
    pub settled: Timestamp,
}
