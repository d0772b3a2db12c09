//! Removes what is old and superseded.
//!
//! What goes is found by readers, and removed in small transactions that look at each row again, so
//! that nobody waits long and a kill costs nothing: the next prune goes on. In the order of what
//! refers to what, so that no row is left that names another which is gone.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use model::Timestamp;
use sqlx::{Connection as _, SqliteConnection};

use super::{
    BEGIN_WRITE, Store, StoreError, audit,
    scan::{LoadError, json},
};
use crate::audit::Action;

mod looks;
mod step;

use looks::Looks;
use step::{By, Filter, STEPS, Step};

/// Up to when what is of each kind goes; `None` where it stays for ever.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Keep {
    /// Observations that later ones of their kind have superseded.
    pub observations: Option<Timestamp>,
    /// Services, software, certificates and files that are there no more.
    pub past: Option<Timestamp>,
    /// Findings that are resolved.
    pub findings: Option<Timestamp>,
    /// Scans with where they looked and failed to look, and runs of jobs.
    pub scans: Option<Timestamp>,
    /// Events.
    pub events: Option<Timestamp>,
}

/// How many rows there are to go, or went, by what they are.
pub type Counts = BTreeMap<&'static str, u64>;

/// What a prune did.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Pruned {
    /// What went.
    pub counts: Counts,
    /// Whether that is all there was, and not as far as it came before it was stopped.
    pub complete: bool,
    /// The longest that it held the right to write.
    pub longest: Duration,
}

/// What a prune asks of the world between its batches.
#[derive(Clone, Copy)]
pub struct Outside<'a> {
    /// Whether it should end.
    pub is_stopped: &'a (dyn Fn() -> bool + Sync),
    /// A time that only ever grows.
    pub clock: &'a (dyn Fn() -> Duration + Sync),
}

/// For how long a batch should hold the right to write. Twice as much happens.
const BATCH: Duration = Duration::from_millis(30);

/// Rows in the first batch, and in any.
const FIRST: usize = 100;
const MOST: usize = 5_000;

/// Rows that a reader looks at in one statement.
const LOOK: i64 = 2_000;

impl Store {
    /// How many rows a prune would remove now.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn prunable(&self, keep: &Keep) -> Result<Counts, StoreError> {
        Ok(self.planned(keep).await?.0)
    }

    /// The same, with what stays whatever its age.
    async fn planned(&self, keep: &Keep) -> Result<(Counts, Needed), StoreError> {
        let failed = self.failed("looking for what is old");
        let mut reader = self.reader().await?;
        let needed = Needed::load(&mut reader, keep).await.map_err(|error| error.or(&failed))?;
        let mut counts = Counts::new();
        for step in STEPS {
            let Some(before) = step.before(keep) else { continue };
            let mut after = i64::MIN;
            while let Some((last, rows)) =
                candidates(&mut reader, step, before, after, &needed).await.map_err(&failed)?
            {
                after = last;
                let count = counts.entry(step.what).or_default();
                *count = count.saturating_add(rows.len() as u64);
            }
        }
        counts.retain(|_, count| *count > 0);
        Ok((counts, needed))
    }

    /// Removes what is older than `keep` says and needed by nothing. Notes in the audit what goes,
    /// before it does.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read or written; what went before stays gone.
    pub async fn prune(
        &self,
        keep: &Keep,
        as_of: Timestamp,
        outside: Outside<'_>,
    ) -> Result<Pruned, StoreError> {
        let mut pruned = Pruned { complete: true, ..Pruned::default() };
        let (planned, needed) = self.planned(keep).await?;
        if planned.is_empty() {
            return Ok(pruned);
        }
        self.announce(keep, &planned, as_of).await?;
        let failed = self.failed("removing what is old");
        let mut size = FIRST;
        for step in STEPS {
            let Some(before) = step.before(keep) else { continue };
            let mut after = i64::MIN;
            loop {
                let found = {
                    let mut reader = self.reader().await?;
                    candidates(&mut reader, step, before, after, &needed).await.map_err(&failed)?
                };
                let Some((last, rows)) = found else { break };
                after = last;
                let mut rows = rows.as_slice();
                while !rows.is_empty() {
                    if (outside.is_stopped)() {
                        pruned.complete = false;
                        return Ok(pruned);
                    }
                    let (batch, rest) = rows.split_at(size.min(rows.len()));
                    rows = rest;
                    let batch = match step.by {
                        By::Number => json(&batch.iter().map(|row| row.0).collect::<Vec<_>>()),
                        By::Key => json(&batch.iter().map(|row| &row.1).collect::<Vec<_>>()),
                    };
                    let (removed, held) = self.remove(step, before, &batch, outside).await?;
                    let count = pruned.counts.entry(step.what).or_default();
                    *count = count.saturating_add(removed);
                    pruned.longest = pruned.longest.max(held);
                    size = next_size(size, held);
                    // SQLite lets nobody queue: who waits for us tries again after a while.
                    tokio::time::sleep(held).await;
                }
            }
        }
        pruned.counts.retain(|_, count| *count > 0);
        Ok(pruned)
    }

    /// Writes down what is about to go, and lets the events go that are among it.
    async fn announce(
        &self,
        keep: &Keep,
        planned: &Counts,
        as_of: Timestamp,
    ) -> Result<(), StoreError> {
        let failed = self.failed("noting what is removed");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        if let Some(events) = keep.events {
            sqlx::query(
                "INSERT INTO horizon (only, events) VALUES (1, $1)
                 ON CONFLICT (only) DO UPDATE SET events = max(events, excluded.events)",
            )
            .bind(events.0.min(as_of.0))
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        }
        let what = |step: &Step| {
            let (count, before) = (planned.get(step.what)?, step.before(keep)?);
            Some(format!("{count} {} from before {before}", step.what))
        };
        let detail: Vec<String> = STEPS.iter().filter_map(what).collect();
        let done = audit::Done {
            at: as_of,
            who: self.actor().to_string(),
            action: Action::Prune,
            subject: String::new(),
            detail: detail.join(", "),
            reason: "",
        };
        audit::append(&mut transaction, done).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)
    }

    /// Removes those of the rows that may still go. Gives how many, and how long it held the
    /// right to write.
    async fn remove(
        &self,
        step: &Step,
        before: Timestamp,
        rows: &str,
        outside: Outside<'_>,
    ) -> Result<(u64, Duration), StoreError> {
        let failed = self.failed("removing what is old");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        let begun = (outside.clock)();
        let mut removed = 0;
        for statement in step.remove {
            let done = sqlx::query(*statement)
                .bind(rows.to_owned())
                .bind(before.0)
                .execute(&mut *transaction)
                .await
                .map_err(&failed)?;
            // The last statement is about the rows themselves.
            removed = done.rows_affected();
        }
        transaction.commit().await.map_err(&failed)?;
        Ok((removed, (outside.clock)().saturating_sub(begun)))
    }

    /// How large the file is, and how much of it holds nothing.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn room(&self) -> Result<Room, StoreError> {
        let mut reader = self.reader().await?;
        room(&mut reader).await.map_err(self.failed("measuring the database"))
    }

    /// Gives the room of what was removed back to the system. Nobody can write meanwhile.
    ///
    /// # Errors
    ///
    /// Where the database cannot be written, or there is no room for a second copy of it.
    pub async fn vacuum(&self) -> Result<Room, StoreError> {
        let failed = self.failed("giving back room");
        let mut writer = self.writer().await?;
        sqlx::raw_sql("VACUUM").execute(&mut *writer).await.map_err(&failed)?;
        // The file itself becomes smaller when the log is folded in.
        sqlx::raw_sql("PRAGMA wal_checkpoint(PASSIVE)")
            .execute(&mut *writer)
            .await
            .map_err(&failed)?;
        room(&mut writer).await.map_err(&failed)
    }
}

/// The size of the database.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Room {
    /// Of the file, without the write-ahead log.
    pub bytes: u64,
    /// Of that, in pages that hold nothing and are used again.
    pub free: u64,
}

async fn room(connection: &mut SqliteConnection) -> sqlx::Result<Room> {
    let (bytes, free): (i64, i64) = sqlx::query_as(
        "SELECT page_count * page_size, freelist_count * page_size
         FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
    )
    .fetch_one(connection)
    .await?;
    Ok(Room { bytes: bytes.unsigned_abs(), free: free.unsigned_abs() })
}

/// More where the last batch was quick, fewer where it was not.
fn next_size(size: usize, held: Duration) -> usize {
    let next = match held {
        held if held < BATCH / 2 => size.saturating_mul(2),
        held if held > BATCH => size / 2,
        _ => size,
    };
    next.clamp(1, MOST)
}

/// The next rows that may go, with the number of the last that was looked at; `None` at the end.
async fn candidates(
    connection: &mut SqliteConnection,
    step: &Step,
    before: Timestamp,
    after: i64,
    needed: &Needed,
) -> sqlx::Result<Option<(i64, Vec<(i64, String)>)>> {
    let most = if step.by == By::Key { i64::MAX } else { LOOK };
    let rows: Vec<(i64, String)> = sqlx::query_as(step.find)
        .bind(before.0)
        .bind(after)
        .bind(most)
        .fetch_all(connection)
        .await?;
    let Some((last, _)) = rows.last() else { return Ok(None) };
    let last = *last;
    let goes = |(id, key): &(i64, String)| match step.filter {
        Filter::None => true,
        Filter::Observation => needed.latest.get(key).is_none_or(|(_, latest)| latest != id),
        Filter::Certificate => !needed.certificates.contains(key),
        Filter::Coverage => needed.looks.superseded.contains(id),
        Filter::Gap => key.parse().is_ok_and(|scan| needed.looks.silent.contains(&scan)),
        Filter::Scan => !needed.scans.contains(id) && needed.looks.silent.contains(id),
    };
    Ok(Some((last, rows.into_iter().filter(goes).collect())))
}

/// What stays whatever its age, because something that stays refers to it.
#[derive(Default)]
struct Needed {
    /// The latest observation of each fact by which assets are told apart: when, and its number.
    latest: HashMap<String, (i64, i64)>,
    /// Certificates that something holds. What holds one may go by this very prune; then the
    /// certificate goes by the next, and this one does what was told before.
    certificates: HashSet<String>,
    /// Scans that something names, likewise.
    scans: HashSet<i64>,
    /// What of the scans says something by silence, likewise.
    looks: Looks,
}

impl Needed {
    async fn load(connection: &mut SqliteConnection, keep: &Keep) -> Result<Self, LoadError> {
        let mut needed = Self::default();
        if keep.observations.is_some() {
            needed.load_latest(connection).await?;
        }
        if keep.past.is_some() {
            let held: Vec<String> =
                sqlx::query_scalar(step::CERTIFICATES_HELD).fetch_all(&mut *connection).await?;
            needed.certificates = held.into_iter().collect();
        }
        if let Some(before) = keep.scans {
            needed.looks = Looks::load(connection, before).await?;
            let named: Vec<i64> =
                sqlx::query_scalar(step::SCANS_NAMED).fetch_all(&mut *connection).await?;
            needed.scans = named.into_iter().collect();
        }
        Ok(needed)
    }

    /// Of hardware addresses only those that an asset has now: phones make up others every day.
    async fn load_latest(&mut self, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        let current: Vec<String> =
            sqlx::query_scalar("SELECT value FROM identifier WHERE kind = 'mac' AND current = 1")
                .fetch_all(&mut *connection)
                .await?;
        let current: HashSet<String> = current.into_iter().collect();
        let mut after = i64::MIN;
        loop {
            let rows: Vec<(i64, String, Option<String>, i64)> = sqlx::query_as(step::IDENTIFYING)
                .bind(after)
                .bind(LOOK)
                .fetch_all(&mut *connection)
                .await?;
            let Some((last, ..)) = rows.last() else { return Ok(()) };
            after = *last;
            for (id, fact, mac, last_seen) in rows {
                if mac.is_some_and(|mac| !current.contains(&mac)) {
                    continue;
                }
                let latest = self.latest.entry(fact).or_insert((last_seen, id));
                *latest = (*latest).max((last_seen, id));
            }
        }
    }
}
