//! Findings, and what a review changed about them.

use std::collections::{BTreeMap, HashMap, HashSet};

use model::Timestamp;
use sqlx::{Connection, SqliteConnection};

use super::{
    BEGIN_WRITE, Store, StoreError, alert,
    audit::{self, Done},
    event,
    insert::{Value, insert},
    list,
    load::Merges,
    portrait::Part,
    scan::{LoadError, json},
};
use crate::{
    asset::{AssetId, Event, EventKind},
    audit::Action,
    finding::{self, Acceptance, Change, Finding, FindingKey, FindingState},
    owner::Owner,
};

/// A finding with the number that people use for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredFinding {
    /// Its number, which stays the same through resolving and reopening.
    pub id: i64,
    /// The finding.
    pub finding: Finding,
}

/// The statement that reads findings; `worst` has open ones first, of these the worst.
macro_rules! findings {
    (worst $which:literal, $limit:literal) => {
        findings!(concat!(
            $which,
            " ORDER BY state <> 'open', state = 'resolved',
                 CASE severity WHEN 'critical' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END, id ",
            $limit
        ))
    };
    ($which:expr) => {
        concat!(
            "SELECT id, rule, subject, severity, asset, title, detail, state, first_seen, last_seen,
                 resolved_at, accepted_at, accepted_until, accepted_because
             FROM finding ",
            $which
        )
    };
}

impl Store {
    /// Every finding, the worst first, then by number. One that is about an asset which was
    /// merged is about the whole.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn findings(&self) -> Result<Vec<StoredFinding>, StoreError> {
        let failed = self.failed("reading the findings");
        let mut reader = self.reader().await?;
        let mut snapshot = reader.begin().await.map_err(&failed)?;
        shown(&mut snapshot).await.map_err(|e| e.or(&failed))
    }

    /// Accepts a finding until a moment, for a reason.
    ///
    /// # Errors
    ///
    /// Where there is no such finding, or it cannot be accepted like that.
    pub async fn accept_finding(
        &self,
        id: i64,
        until: Timestamp,
        reason: &str,
        at: Timestamp,
    ) -> Result<StoredFinding, StoreError> {
        let accepting = |known: &Finding| {
            let accepted = finding::accept(known, until, reason, at)
                .map_err(|source| StoreError::Accept { id, source })?;
            let what = Decided {
                event: EventKind::FindingAccepted,
                action: Action::Accept,
                told: format!("{} until {until}: {}", accepted.key.rule, reason.trim()),
                detail: format!("{} of {} until {until}", accepted.key.rule, accepted.key.subject),
            };
            Ok((accepted, what))
        };
        self.decide_finding("accepting a finding", id, reason, at, accepting).await
    }

    /// Takes the acceptance of a finding back, for a reason: it is open again at once.
    ///
    /// # Errors
    ///
    /// Where there is no such finding, or it is not accepted.
    pub async fn reopen_finding(
        &self,
        id: i64,
        reason: &str,
        at: Timestamp,
    ) -> Result<StoredFinding, StoreError> {
        let reopening = |known: &Finding| {
            let open = finding::reopen(known, reason)
                .map_err(|source| StoreError::Reopen { id, source })?;
            let until = known.accepted.as_ref().map(|accepted| accepted.until);
            let until = until.map_or_else(String::new, |until| format!(" until {until}"));
            let what = Decided {
                event: EventKind::FindingReopened,
                action: Action::Reopen,
                told: format!("{}: {}", open.key.rule, reason.trim()),
                detail: format!(
                    "{} of {}, which was accepted{until}",
                    open.key.rule, open.key.subject
                ),
            };
            Ok((open, what))
        };
        self.decide_finding("reopening a finding", id, reason, at, reopening).await
    }

    /// Writes what somebody decided of a finding, with its event and its entry in the audit.
    async fn decide_finding(
        &self,
        doing: &'static str,
        id: i64,
        reason: &str,
        at: Timestamp,
        decide: impl FnOnce(&Finding) -> Result<(Finding, Decided), StoreError>,
    ) -> Result<StoredFinding, StoreError> {
        let failed = self.failed(doing);
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        let known = one(&mut transaction, id).await.map_err(|e| e.or(&failed))?;
        let known = known.ok_or(StoreError::NoFinding(id))?;
        let (finding, what) = decide(&known.finding)?;
        let stored = StoredFinding { id, finding };
        write(&mut transaction, std::slice::from_ref(&stored)).await.map_err(&failed)?;
        let finding = &stored.finding;
        if what.action == Action::Reopen {
            alert::forget(&mut transaction, &finding.key).await.map_err(&failed)?;
        }
        list::decided(&mut transaction, id, finding.state).await.map_err(&failed)?;
        let event = Event {
            at,
            asset: finding.asset,
            kind: what.event,
            subject: called(id),
            detail: what.told,
        };
        let done = Done {
            at,
            who: self.actor().to_string(),
            action: what.action,
            subject: format!("{}: {}", called(id), finding.title),
            detail: what.detail,
            reason,
        };
        audit::append(&mut transaction, done).await.map_err(&failed)?;
        event::append(&mut transaction, &[event], None).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(stored)
    }

    /// A finding, with what people did about it, the latest first. One that is about an asset which
    /// was merged is about the whole.
    ///
    /// # Errors
    ///
    /// Where there is no such finding, or the database cannot be read.
    pub async fn finding(&self, id: i64) -> Result<(StoredFinding, Vec<Event>), StoreError> {
        let failed = self.failed("reading a finding");
        let mut reader = self.reader().await?;
        let mut snapshot = reader.begin().await.map_err(&failed)?;
        let found = one(&mut snapshot, id).await.map_err(|e| e.or(&failed))?;
        let mut found = found.ok_or(StoreError::NoFinding(id))?;
        let merges = Merges::load(&mut snapshot).await.map_err(&failed)?;
        let deeds = event::about(&mut snapshot, found.finding.asset, &called(id)).await;
        let deeds = deeds.map_err(|e| e.or(&failed))?;
        found.finding.asset = found.finding.asset.map(|asset| merges.root(asset));
        Ok((found, deeds))
    }
}

/// What somebody decided of a finding, as it is told and written down.
struct Decided {
    event: EventKind,
    action: Action,
    told: String,
    detail: String,
}

/// What a finding is called in events and in the audit.
fn called(id: i64) -> String {
    format!("finding {id}")
}

/// The finding of that number.
async fn one(
    connection: &mut SqliteConnection,
    id: i64,
) -> Result<Option<StoredFinding>, LoadError> {
    let row: Option<Row> =
        sqlx::query_as(findings!("WHERE id = $1")).bind(id).fetch_optional(connection).await?;
    row.map(read).transpose()
}

/// Every finding as people see it, the worst first.
pub(super) async fn shown(
    connection: &mut SqliteConnection,
) -> Result<Vec<StoredFinding>, LoadError> {
    let found = load(connection).await?;
    let merges = Merges::load(connection).await?;
    Ok(arranged(found, &merges))
}

fn arranged(mut findings: Vec<StoredFinding>, merges: &Merges) -> Vec<StoredFinding> {
    for stored in &mut findings {
        stored.finding.asset = stored.finding.asset.map(|asset| merges.root(asset));
    }
    findings.sort_by_key(|stored| (std::cmp::Reverse(stored.finding.severity), stored.id));
    findings
}

/// The findings of changes with their numbers: those that it has, and for new ones those behind the
/// last that one ever had.
pub(super) fn numbered(
    known: &[StoredFinding],
    changes: &[Change],
    last: i64,
) -> Vec<StoredFinding> {
    let numbers: HashMap<&FindingKey, i64> =
        known.iter().map(|stored| (&stored.finding.key, stored.id)).collect();
    let mut last = last;
    let number = |change: &Change| {
        let id = numbers.get(&change.finding.key).copied().unwrap_or_else(|| {
            last = last.saturating_add(1);
            last
        });
        StoredFinding { id, finding: change.finding.clone() }
    };
    changes.iter().map(number).collect()
}

/// Every finding as people see it once those that changed are written.
pub(super) fn after(
    known: Vec<StoredFinding>,
    changed: &[StoredFinding],
    merges: &Merges,
) -> Vec<StoredFinding> {
    let new: HashSet<i64> = changed.iter().map(|stored| stored.id).collect();
    let same = known.into_iter().filter(|stored| !new.contains(&stored.id));
    arranged(same.chain(changed.iter().cloned()).collect(), merges)
}

type Row = (
    i64,
    String,
    String,
    String,
    Option<i64>,
    String,
    String,
    String,
    i64,
    i64,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<String>,
);

/// Every finding, in the order of their keys.
pub(super) async fn load(
    connection: &mut SqliteConnection,
) -> Result<Vec<StoredFinding>, LoadError> {
    let rows: Vec<Row> =
        sqlx::query_as(findings!("ORDER BY rule, subject")).fetch_all(connection).await?;
    rows.into_iter().map(read).collect()
}

/// The findings of these assets, open ones first, the worst first, at most so many.
pub(super) async fn of(
    connection: &mut SqliteConnection,
    assets: &[AssetId],
    most: u32,
) -> Result<Part<StoredFinding>, LoadError> {
    let assets = json(&assets.iter().map(|id| id.0).collect::<Vec<_>>());
    let total: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM finding WHERE asset IN (SELECT value FROM json_each($1))",
    )
    .bind(&assets)
    .fetch_one(&mut *connection)
    .await?;
    let rows: Vec<Row> = sqlx::query_as(findings!(
        worst "WHERE asset IN (SELECT value FROM json_each($1))", "LIMIT $2"
    ))
    .bind(&assets)
    .bind(most)
    .fetch_all(connection)
    .await?;
    let rows = rows.into_iter().map(read).collect::<Result<_, _>>()?;
    // The others are in the list of findings, asked for by the asset.
    Ok(Part { rows, next: None, total: total.unsigned_abs() })
}

/// Who answers for findings, as their list has it.
pub(super) async fn owners(
    connection: &mut SqliteConnection,
    findings: &[StoredFinding],
) -> sqlx::Result<BTreeMap<i64, Vec<Owner>>> {
    let ids: Vec<i64> = findings.iter().map(|one| one.id).collect();
    let rows: Vec<(i64, String)> = sqlx::query_as(
        "SELECT id, owners_shown FROM listed_finding
         WHERE id IN (SELECT value FROM json_each($1))",
    )
    .bind(json(&ids))
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|(id, owners)| (id, Owner::read_all(&owners))).collect())
}

/// The findings about a subject, open ones first, the worst first.
pub(super) async fn about(
    connection: &mut SqliteConnection,
    subject: &str,
) -> Result<Vec<StoredFinding>, LoadError> {
    let rows: Vec<Row> = sqlx::query_as(findings!(worst "WHERE subject = $1", ""))
        .bind(subject)
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(read).collect()
}

fn read(row: Row) -> Result<StoredFinding, LoadError> {
    let (id, rule, subject, severity, asset, title, detail, state, first_seen, last_seen, ..) = row;
    let (resolved_at, accepted_at, accepted_until, accepted_because) =
        (row.10, row.11, row.12, row.13);
    let accepted = accepted_at.zip(accepted_until).map(|(at, until)| Acceptance {
        at: Timestamp(at),
        until: Timestamp(until),
        reason: accepted_because.unwrap_or_default(),
    });
    let finding = Finding {
        key: FindingKey { rule, subject },
        asset: asset.map(AssetId),
        severity: severity.parse().map_err(|_| LoadError::content("finding.severity", severity))?,
        title,
        detail,
        state: FindingState::from_name(&state)
            .ok_or_else(|| LoadError::content("finding.state", state))?,
        first_seen: Timestamp(first_seen),
        last_seen: Timestamp(last_seen),
        resolved_at: resolved_at.map(Timestamp),
        accepted,
    };
    Ok(StoredFinding { id, finding })
}

/// Writes findings under their numbers.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    findings: &[StoredFinding],
) -> sqlx::Result<()> {
    let rows = findings.iter().map(|StoredFinding { id, finding: f }| {
        let accepted = f.accepted.as_ref();
        let values: [Value<'_>; 14] = [
            (*id).into(),
            (&f.key.rule).into(),
            (&f.key.subject).into(),
            f.severity.as_str().into(),
            f.asset.map(|asset| asset.0).into(),
            (&f.title).into(),
            (&f.detail).into(),
            f.state.as_str().into(),
            f.first_seen.into(),
            f.last_seen.into(),
            f.resolved_at.map(|at| at.0).into(),
            accepted.map(|accepted| accepted.at.0).into(),
            accepted.map(|accepted| accepted.until.0).into(),
            accepted.map_or(Value::Null, |accepted| (&accepted.reason).into()),
        ];
        values
    });
    let into = "finding (id, rule, subject, severity, asset, title, detail, state, first_seen,
        last_seen, resolved_at, accepted_at, accepted_until, accepted_because)";
    let otherwise = "ON CONFLICT (rule, subject) DO UPDATE SET
        severity = excluded.severity, asset = excluded.asset, title = excluded.title,
        detail = excluded.detail, state = excluded.state, first_seen = excluded.first_seen,
        last_seen = excluded.last_seen, resolved_at = excluded.resolved_at,
        accepted_at = excluded.accepted_at, accepted_until = excluded.accepted_until,
        accepted_because = excluded.accepted_because";
    insert(connection, into, otherwise, rows).await
}
