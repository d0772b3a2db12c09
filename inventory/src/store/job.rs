//! Jobs: up to when each is settled, their runs, and what their imports have read.
//!
//! That a run begins and that it is settled is one transaction: whenever the program is killed, a
//! run is owed, or it is in the books.

use std::collections::BTreeMap;

use model::{RunId, ScanId, Site, Timestamp};
use sqlx::{Connection, SqliteConnection};

use super::{BEGIN_WRITE, Store, StoreError, audit, scan::LoadError};
use crate::audit::Action;
use crate::run::{JobState, NewRun, Resume, RunEnd, StoredRun};

impl Store {
    /// Up to when the jobs are settled, by name.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn jobs(&self) -> Result<BTreeMap<String, JobState>, StoreError> {
        let failed = self.failed("reading the jobs");
        let mut reader = self.reader().await?;
        let rows: Vec<(String, String, i64)> =
            sqlx::query_as("SELECT name, schedule, settled FROM job ORDER BY name")
                .fetch_all(&mut *reader)
                .await
                .map_err(&failed)?;
        let state = |(name, schedule, settled): (String, String, i64)| {
            (name.clone(), JobState { name, schedule, settled: Timestamp(settled) })
        };
        Ok(rows.into_iter().map(state).collect())
    }

    /// Notes that nothing is owed of a job from before a moment, with this schedule.
    ///
    /// # Errors
    ///
    /// Where the database cannot be written.
    pub async fn settle_job(&self, state: &JobState) -> Result<(), StoreError> {
        let failed = self.failed("noting the state of a job");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        settle(&mut transaction, state).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)
    }

    /// Notes that a run begins, and with `settled` what is settled by that.
    ///
    /// # Errors
    ///
    /// Where the database cannot be written; then neither is noted.
    pub async fn begin_run(
        &self,
        run: &NewRun,
        settled: Option<&JobState>,
    ) -> Result<RunId, StoreError> {
        self.note_run(run, settled, None).await
    }

    /// Notes a run that begins and ends at once, because it is left out.
    ///
    /// # Errors
    ///
    /// Where the database cannot be written; then nothing is noted.
    pub async fn skip_run(
        &self,
        run: &NewRun,
        settled: &JobState,
        end: &RunEnd,
    ) -> Result<RunId, StoreError> {
        self.note_run(run, Some(settled), Some(end)).await
    }

    async fn note_run(
        &self,
        run: &NewRun,
        settled: Option<&JobState>,
        end: Option<&RunEnd>,
    ) -> Result<RunId, StoreError> {
        let failed = self.failed("noting a run");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO run (job, kind, site, due, attempt, missed, started_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
        )
        .bind(run.job.clone())
        .bind(run.kind.clone())
        .bind(run.site.0.clone())
        .bind(run.due.map(|due| due.0))
        .bind(run.attempt)
        .bind(run.missed)
        .bind(run.started_at.0)
        .fetch_one(&mut *transaction)
        .await
        .map_err(&failed)?;
        if let Some(state) = settled {
            settle(&mut transaction, state).await.map_err(&failed)?;
        }
        if let Some(end) = end {
            write_end(&mut transaction, RunId(id), end).await.map_err(&failed)?;
        }
        transaction.commit().await.map_err(&failed)?;
        Ok(RunId(id))
    }

    /// Notes how a run ended. `false` where that was noted before, or there is no such run:
    /// then nothing changes.
    ///
    /// # Errors
    ///
    /// Where the database cannot be written.
    pub async fn end_run(&self, id: RunId, end: &RunEnd) -> Result<bool, StoreError> {
        let failed = self.failed("noting the end of a run");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        let ended = write_end(&mut transaction, id, end).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(ended)
    }

    /// Whether the run was begun and has no end yet.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn is_open_run(&self, id: RunId) -> Result<bool, StoreError> {
        let failed = self.failed("reading a run");
        let mut reader = self.reader().await?;
        let found: Option<i64> =
            sqlx::query_scalar("SELECT id FROM run WHERE id = $1 AND ended_at IS NULL")
                .bind(id.0)
                .fetch_optional(&mut *reader)
                .await
                .map_err(&failed)?;
        Ok(found.is_some())
    }

    /// The runs without an end: those that run, and those that were cut off.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn open_runs(&self) -> Result<Vec<StoredRun>, StoreError> {
        self.runs_where("ended_at IS NULL ORDER BY id", None).await
    }

    /// The last run of each job, by name.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn last_runs(&self) -> Result<BTreeMap<String, StoredRun>, StoreError> {
        let runs = self.runs_where("id IN (SELECT max(id) FROM run GROUP BY job)", None).await?;
        Ok(runs.into_iter().map(|run| (run.run.job.clone(), run)).collect())
    }

    /// The last run of each job that was due, by name.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn last_due_runs(&self) -> Result<BTreeMap<String, StoredRun>, StoreError> {
        let last = "id IN (SELECT max(id) FROM run WHERE due IS NOT NULL GROUP BY job)";
        let runs = self.runs_where(last, None).await?;
        Ok(runs.into_iter().map(|run| (run.run.job.clone(), run)).collect())
    }

    /// The runs of a job, the latest first.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn runs_of(&self, job: &str) -> Result<Vec<StoredRun>, StoreError> {
        self.runs_where("job = $1 ORDER BY id DESC LIMIT 1000", Some(job)).await
    }

    /// Notes that somebody wants a job to be run now, by the service. Wanted twice is once.
    ///
    /// # Errors
    ///
    /// Where the database cannot be written.
    pub async fn wish_for_job(&self, job: &str, at: Timestamp) -> Result<(), StoreError> {
        let failed = self.failed("noting that a job is wanted");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        sqlx::query("INSERT OR REPLACE INTO job_wish (job, at, by) VALUES ($1, $2, $3)")
            .bind(job.to_owned())
            .bind(at.0)
            .bind(self.actor().to_string())
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        let done = self.done(at, Action::RunJob, job, String::new());
        audit::append(&mut transaction, done).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)
    }

    /// The jobs that are wanted, with when that was and by whom.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn wished_jobs(&self) -> Result<Vec<(String, Timestamp, String)>, StoreError> {
        let mut reader = self.reader().await?;
        let rows: Vec<(String, i64, String)> =
            sqlx::query_as("SELECT job, at, by FROM job_wish ORDER BY at, job")
                .fetch_all(&mut *reader)
                .await
                .map_err(self.failed("reading which jobs are wanted"))?;
        Ok(rows.into_iter().map(|(job, at, by)| (job, Timestamp(at), by)).collect())
    }

    /// Takes a wish away: it is begun, or cannot be.
    ///
    /// # Errors
    ///
    /// Where the database cannot be written.
    pub async fn end_wish(&self, job: &str) -> Result<(), StoreError> {
        let mut writer = self.writer().await?;
        sqlx::query("DELETE FROM job_wish WHERE job = $1")
            .bind(job.to_owned())
            .execute(&mut *writer)
            .await
            .map_err(self.failed("noting that a job was wanted"))?;
        Ok(())
    }

    async fn runs_where(
        &self,
        condition: &'static str,
        job: Option<&str>,
    ) -> Result<Vec<StoredRun>, StoreError> {
        let failed = self.failed("reading the runs of jobs");
        let mut reader = self.reader().await?;
        let statement = format!(
            "SELECT id, job, kind, site, due, attempt, missed, started_at,
                 ended_at, result, detail, scan, resume_at, resume_of
             FROM run WHERE {condition}"
        );
        // The condition is one of those above.
        let mut query = sqlx::query_as(sqlx::AssertSqlSafe(statement));
        if let Some(job) = job {
            query = query.bind(job.to_owned());
        }
        let rows: Vec<Row> = query.fetch_all(&mut *reader).await.map_err(&failed)?;
        let runs: Result<Vec<StoredRun>, LoadError> = rows.into_iter().map(read).collect();
        runs.map_err(|error| error.or(&failed))
    }

    /// The SHA-256 of each file that an import job has read, by path.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn imported(&self, job: &str) -> Result<BTreeMap<String, String>, StoreError> {
        let failed = self.failed("reading what was imported");
        let mut reader = self.reader().await?;
        let rows: Vec<(String, String)> =
            sqlx::query_as("SELECT path, sha256 FROM imported WHERE job = $1")
                .bind(job.to_owned())
                .fetch_all(&mut *reader)
                .await
                .map_err(&failed)?;
        Ok(rows.into_iter().collect())
    }

    /// Notes that an import job has read a file with these contents.
    ///
    /// # Errors
    ///
    /// Where the database cannot be written.
    pub async fn note_imported(
        &self,
        job: &str,
        path: &str,
        sha256: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let failed = self.failed("noting what was imported");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        sqlx::query(
            "INSERT INTO imported (job, path, sha256, at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (job, path) DO UPDATE SET sha256 = excluded.sha256, at = excluded.at",
        )
        .bind(job.to_owned())
        .bind(path.to_owned())
        .bind(sha256.to_owned())
        .bind(at.0)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)
    }
}

async fn settle(connection: &mut SqliteConnection, state: &JobState) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO job (name, schedule, settled) VALUES ($1, $2, $3)
         ON CONFLICT (name) DO UPDATE SET
             schedule = excluded.schedule, settled = excluded.settled",
    )
    .bind(state.name.clone())
    .bind(state.schedule.clone())
    .bind(state.settled.0)
    .execute(connection)
    .await?;
    Ok(())
}

async fn write_end(
    connection: &mut SqliteConnection,
    id: RunId,
    end: &RunEnd,
) -> sqlx::Result<bool> {
    let resume = end.resume.as_ref();
    let ended = sqlx::query(
        "UPDATE run SET ended_at = $2, result = $3, detail = $4, scan = $5, resume_at = $6,
             resume_of = $7
         WHERE id = $1 AND ended_at IS NULL",
    )
    .bind(id.0)
    .bind(end.ended_at.0)
    .bind(end.result.as_str())
    .bind(end.detail.clone())
    .bind(end.scan.map(|scan| scan.0))
    .bind(resume.map(|resume| i64::try_from(resume.at).unwrap_or(i64::MAX)))
    .bind(resume.map_or_else(String::new, |resume| resume.of.clone()))
    .execute(connection)
    .await?;
    Ok(ended.rows_affected() > 0)
}

type Row = (
    i64,
    String,
    String,
    String,
    Option<i64>,
    u32,
    u32,
    i64,
    Option<i64>,
    Option<String>,
    String,
    Option<i64>,
    Option<i64>,
    String,
);

fn read(row: Row) -> Result<StoredRun, LoadError> {
    let (id, job, kind, site, due, attempt, missed, started, ended, result, detail, scan, at, of) =
        row;
    let end = match ended.zip(result) {
        None => None,
        Some((ended_at, result)) => Some(RunEnd {
            ended_at: Timestamp(ended_at),
            result: result.parse().map_err(|_| LoadError::content("run.result", result))?,
            detail,
            scan: scan.map(ScanId),
            resume: at.and_then(|at| u64::try_from(at).ok()).map(|at| Resume { at, of }),
        }),
    };
    let site = Site(site);
    let (due, started_at) = (due.map(Timestamp), Timestamp(started));
    let run = NewRun { job, kind, site, due, attempt, missed, started_at };
    Ok(StoredRun { id: RunId(id), run, end })
}
