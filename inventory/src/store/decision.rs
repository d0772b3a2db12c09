//! Decisions: added, confirmed, ended, never removed.

use jiff::tz::Offset;
use model::{Identifier, Site, Timestamp};
use serde::{Deserialize, Serialize};
use sqlx::{Connection, FromRow, Row as _, SqliteConnection, sqlite::SqliteRow};

use super::{
    BEGIN_WRITE, Store, StoreError, audit, event,
    scan::{LoadError, json, parse},
};
use crate::{
    approval::{
        Decision, DecisionId, EndReason, Ended, Matter, Proposal, Second, Standing, Terms, Verdict,
    },
    asset::{AssetId, Event, EventKind},
    audit::{Action, Actor},
    register::{Entry, IssuerEntry, RegisterKind, SoftwareEntry, plain},
};

/// The JSON of what a device is known by.
#[derive(Deserialize, Serialize)]
struct Device {
    site: Site,
    identifiers: Vec<Identifier>,
}

/// How decisions are made here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rule {
    /// One person decides.
    OnePerson,
    /// A second person has to agree before anything follows; not where somebody only finds out.
    FourEyes,
}

impl Store {
    /// Every decision, in the order in which they were made.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn decisions(&self) -> Result<Vec<Decision>, StoreError> {
        let failed = self.failed("reading the decisions");
        let mut reader = self.reader().await?;
        load(&mut reader).await.map_err(|e| e.or(&failed))
    }

    /// Makes decisions, all or none. Where one person is enough, they end those that were made
    /// about the same before; with four eyes they wait.
    ///
    /// # Errors
    ///
    /// Where one cannot be made, or the database cannot be written; then none is made.
    pub async fn decide(
        &self,
        proposals: &[Proposal],
        rule: Rule,
        at: Timestamp,
        offset: Offset,
    ) -> Result<Vec<Decision>, StoreError> {
        let failed = self.failed("deciding");
        for proposal in proposals {
            proposal.check(at, offset).map_err(|source| StoreError::Proposal { source })?;
        }
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        let mut known = load(&mut transaction).await.map_err(|e| e.or(&failed))?;
        known.retain(|decision| decision.ended.is_none());
        let mut made = Vec::with_capacity(proposals.len());
        for Proposal { matter, verdict, terms } in proposals {
            let waits = rule == Rule::FourEyes && *verdict != Verdict::Investigating;
            let second = if waits { Second::Awaited } else { Second::NotNeeded };
            let mut decision = Decision {
                id: DecisionId(0),
                matter: matter.clone(),
                verdict: *verdict,
                terms: Terms { reason: terms.reason.trim().to_owned(), ..terms.clone() },
                at,
                by: self.actor().name.clone(),
                second,
                ended: None,
            };
            decision.id = insert(&mut transaction, &decision).await.map_err(&failed)?;
            let ends = match waits {
                true => Vec::new(),
                false => {
                    settle(&mut transaction, &mut known, &decision, at).await.map_err(&failed)?
                }
            };
            let done = Action::Decide(*verdict);
            self.tell(&mut transaction, &decision, done, &ends, &decision.terms.reason, at)
                .await
                .map_err(&failed)?;
            known.push(decision.clone());
            made.push(decision);
        }
        transaction.commit().await.map_err(&failed)?;
        Ok(made)
    }

    /// Confirms a decision that waits for a second person.
    ///
    /// # Errors
    ///
    /// Where there is no such decision, it does not wait, its last day is over, or it is the
    /// person's own.
    pub async fn confirm(
        &self,
        id: DecisionId,
        at: Timestamp,
        offset: Offset,
    ) -> Result<Decision, StoreError> {
        let failed = self.failed("confirming a decision");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        let mut known = load(&mut transaction).await.map_err(|e| e.or(&failed))?;
        known.retain(|decision| decision.ended.is_none());
        let at_place = known.iter().position(|decision| decision.id == id);
        let Some(mut decision) = at_place.map(|place| known.remove(place)) else {
            return Err(StoreError::NoDecision(id));
        };
        if decision.second != Second::Awaited {
            return Err(StoreError::NotPending(id));
        }
        if decision.standing(at, offset) != Standing::Pending {
            return Err(StoreError::TooLate(id));
        }
        let Actor { name: by, account } = self.actor().clone();
        let is_own = |name: &str| plain(name) == plain(&decision.by);
        // Another name that the same account gives itself is no other person. A key has the account
        // that made it beside it.
        let mut accounts = account.iter().flat_map(|account| account.split(", "));
        if is_own(&by) || accounts.any(is_own) {
            return Err(StoreError::SamePerson { id, by: decision.by });
        }
        sqlx::query("UPDATE decision SET confirmed_at = $2, confirmed_by = $3 WHERE id = $1")
            .bind(id.0)
            .bind(at.0)
            .bind(by.clone())
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        decision.second = Second::Given { by, at };
        let ends = settle(&mut transaction, &mut known, &decision, at).await.map_err(&failed)?;
        self.tell(&mut transaction, &decision, Action::Confirm, &ends, "", at)
            .await
            .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(decision)
    }

    /// Takes a decision back: what holds then is what held without it.
    ///
    /// # Errors
    ///
    /// Where there is no such decision, or it ended already; with four eyes also where a second
    /// person confirmed it: what two people decided, one does not undo.
    pub async fn withdraw(
        &self,
        id: DecisionId,
        reason: &str,
        rule: Rule,
        at: Timestamp,
    ) -> Result<Decision, StoreError> {
        let failed = self.failed("taking a decision back");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        let known = load(&mut transaction).await.map_err(|e| e.or(&failed))?;
        let found =
            known.into_iter().find(|decision| decision.id == id && decision.ended.is_none());
        let mut decision = found.ok_or(StoreError::NoDecision(id))?;
        if rule == Rule::FourEyes && matches!(decision.second, Second::Given { .. }) {
            return Err(StoreError::Confirmed(id));
        }
        let ended = Ended { at, by: self.actor().name.clone(), because: EndReason::Withdrawn };
        end(&mut transaction, id, &ended).await.map_err(&failed)?;
        decision.ended = Some(ended);
        self.tell(&mut transaction, &decision, Action::Withdraw, &[], reason, at)
            .await
            .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(decision)
    }

    async fn tell(
        &self,
        connection: &mut SqliteConnection,
        decision: &Decision,
        action: Action,
        ends: &[DecisionId],
        reason: &str,
        at: Timestamp,
    ) -> sqlx::Result<()> {
        let done = Deed { action, ends, reason };
        tell(connection, self.actor(), decision, done, at).await
    }
}

/// What is done with a decision, and which others it ends.
struct Deed<'a> {
    action: Action,
    ends: &'a [DecisionId],
    reason: &'a str,
}

/// Writes down what is done with a decision, in the audit and in the asset's history.
async fn tell(
    connection: &mut SqliteConnection,
    actor: &Actor,
    decision: &Decision,
    Deed { action, ends, reason }: Deed<'_>,
    at: Timestamp,
) -> sqlx::Result<()> {
    let known_by = match &decision.matter {
        Matter::Asset { identifiers, .. } => {
            let all: Vec<String> = identifiers.iter().map(ToString::to_string).collect();
            format!("; known by {}", all.join(", "))
        }
        _ => String::new(),
    };
    let waits = if decision.second == Second::Awaited { "; waits for a second person" } else { "" };
    let ends: String = ends.iter().map(|id| format!("; ends decision {id}")).collect();
    let detail = format!("{}{known_by}{waits}{ends}", decision.text());
    if let Some(asset) = decision.matter.asset() {
        let subject = format!("decision {}", decision.id);
        let text = format!("{} by {actor}: {}", action.as_str(), decision.text());
        let event =
            Event { at, asset: Some(asset), kind: EventKind::Decided, subject, detail: text };
        event::append(connection, &[event], None).await?;
    }
    let (who, subject) = (actor.to_string(), decision.matter.to_string());
    audit::append(connection, audit::Done { at, who, action, subject, detail, reason }).await
}

/// Ends those that a decision about the same settles, made before it: who confirms one did not mean
/// to undo what came later. Who only finds out ends nothing but an earlier note.
async fn settle(
    connection: &mut SqliteConnection,
    known: &mut Vec<Decision>,
    decision: &Decision,
    at: Timestamp,
) -> sqlx::Result<Vec<DecisionId>> {
    let is_note = |one: &Decision| one.verdict == Verdict::Investigating;
    let ended = Ended { at, by: decision.by.clone(), because: EndReason::Followed };
    let settled = known
        .iter()
        .filter(|old| old.id < decision.id && (is_note(old) || !is_note(decision)))
        .filter(|old| old.matter.is_settled_by(&decision.matter))
        .map(|old| old.id)
        .collect::<Vec<_>>();
    for id in &settled {
        end(connection, *id, &ended).await?;
    }
    known.retain(|old| !settled.contains(&old.id));
    Ok(settled)
}

async fn end(connection: &mut SqliteConnection, id: DecisionId, ended: &Ended) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE decision SET ended_at = $2, ended_by = $3, ended_because = $4 WHERE id = $1",
    )
    .bind(id.0)
    .bind(ended.at.0)
    .bind(ended.by.clone())
    .bind(ended.because.as_str())
    .execute(connection)
    .await?;
    Ok(())
}

/// Ends the approvals of devices that were not seen for too long. It is written down, because what
/// comes back later is seen again, and its approval must not be.
pub(super) async fn end_idle(
    connection: &mut SqliteConnection,
    decisions: &[Decision],
    idle: &[DecisionId],
    at: Timestamp,
) -> sqlx::Result<()> {
    let actor = Actor::program();
    for decision in decisions.iter().filter(|decision| idle.contains(&decision.id)) {
        let ended = Ended { at, by: actor.name.clone(), because: EndReason::Idle };
        end(connection, decision.id, &ended).await?;
        let done = Deed { action: Action::End, ends: &[], reason: "not seen for too long" };
        tell(connection, &actor, decision, done, at).await?;
    }
    Ok(())
}

async fn insert(
    connection: &mut SqliteConnection,
    decision: &Decision,
) -> sqlx::Result<DecisionId> {
    let (label, matter) = match &decision.matter {
        Matter::Asset { label, site, identifiers, .. } => {
            let device = Device { site: site.clone(), identifiers: identifiers.clone() };
            (label.clone(), json(&device))
        }
        Matter::Software(entry) => (entry.label(), entry.to_stored()),
        Matter::Issuer(entry) => (entry.label(), entry.to_stored()),
    };
    let Terms { reason, until, idle_days, exception } = &decision.terms;
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO decision (kind, verdict, asset, label, matter, reason, until, idle_days,
             exception, at, by, four_eyes)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING id",
    )
    .bind(decision.matter.kind().as_str())
    .bind(decision.verdict.as_str())
    .bind(decision.matter.asset().map(|asset| asset.0))
    .bind(label)
    .bind(matter)
    .bind(reason.clone())
    .bind(until.map(|day| day.to_string()))
    .bind(idle_days.map(i64::from))
    .bind(*exception)
    .bind(decision.at.0)
    .bind(decision.by.clone())
    .bind(decision.second == Second::Awaited)
    .fetch_one(connection)
    .await?;
    Ok(DecisionId(id))
}

/// A tuple has no room for so many columns.
struct Row {
    id: i64,
    kind: String,
    verdict: String,
    asset: Option<i64>,
    label: String,
    matter: String,
    reason: String,
    until: Option<String>,
    idle_days: Option<i64>,
    exception: bool,
    at: i64,
    by: String,
    four_eyes: bool,
    confirmed_at: Option<i64>,
    confirmed_by: Option<String>,
    ended_at: Option<i64>,
    ended_by: Option<String>,
    ended_because: Option<String>,
}

impl FromRow<'_, SqliteRow> for Row {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            kind: row.try_get("kind")?,
            verdict: row.try_get("verdict")?,
            asset: row.try_get("asset")?,
            label: row.try_get("label")?,
            matter: row.try_get("matter")?,
            reason: row.try_get("reason")?,
            until: row.try_get("until")?,
            idle_days: row.try_get("idle_days")?,
            exception: row.try_get("exception")?,
            at: row.try_get("at")?,
            by: row.try_get("by")?,
            four_eyes: row.try_get("four_eyes")?,
            confirmed_at: row.try_get("confirmed_at")?,
            confirmed_by: row.try_get("confirmed_by")?,
            ended_at: row.try_get("ended_at")?,
            ended_by: row.try_get("ended_by")?,
            ended_because: row.try_get("ended_because")?,
        })
    }
}

/// Every decision, in the order in which they were made.
pub(super) async fn load(connection: &mut SqliteConnection) -> Result<Vec<Decision>, LoadError> {
    let rows: Vec<Row> =
        sqlx::query_as("SELECT * FROM decision ORDER BY id").fetch_all(connection).await?;
    rows.into_iter().map(read).collect()
}

/// The decisions before a number, the latest first, at most so many.
pub(super) async fn before(
    connection: &mut SqliteConnection,
    number: i64,
    most: u32,
) -> Result<Vec<Decision>, LoadError> {
    let rows: Vec<Row> =
        sqlx::query_as("SELECT * FROM decision WHERE id < $1 ORDER BY id DESC LIMIT $2")
            .bind(number)
            .bind(most)
            .fetch_all(connection)
            .await?;
    rows.into_iter().map(read).collect()
}

fn read(row: Row) -> Result<Decision, LoadError> {
    let kind: RegisterKind =
        row.kind.parse().map_err(|_| LoadError::content("decision.kind", row.kind.clone()))?;
    let stored = |_| LoadError::content("decision.matter", row.matter.clone());
    let matter = match kind {
        RegisterKind::Device => {
            let Device { site, identifiers } = parse("decision.matter", &row.matter)?;
            let asset = AssetId(row.asset.unwrap_or_default());
            Matter::Asset { asset, label: row.label, site, identifiers }
        }
        RegisterKind::Software => {
            Matter::Software(SoftwareEntry::from_stored(&row.matter).map_err(stored)?)
        }
        RegisterKind::Issuer => {
            Matter::Issuer(IssuerEntry::from_stored(&row.matter).map_err(stored)?)
        }
    };
    let day =
        |text: String| text.parse().map_err(|_| LoadError::content("decision.until", text.clone()));
    let ended = row.ended_at.map(|at| -> Result<Ended, LoadError> {
        let because = row.ended_because.clone().unwrap_or_default();
        Ok(Ended {
            at: Timestamp(at),
            by: row.ended_by.clone().unwrap_or_default(),
            because: EndReason::from_name(&because)
                .ok_or_else(|| LoadError::content("decision.ended_because", because))?,
        })
    });
    Ok(Decision {
        id: DecisionId(row.id),
        matter,
        verdict: Verdict::from_name(&row.verdict)
            .ok_or_else(|| LoadError::content("decision.verdict", row.verdict))?,
        terms: Terms {
            reason: row.reason,
            until: row.until.map(day).transpose()?,
            idle_days: row.idle_days.and_then(|days| u32::try_from(days).ok()),
            exception: row.exception,
        },
        at: Timestamp(row.at),
        by: row.by,
        second: match (row.four_eyes, row.confirmed_at, row.confirmed_by) {
            (false, ..) => Second::NotNeeded,
            (true, Some(at), Some(by)) => Second::Given { by, at: Timestamp(at) },
            (true, ..) => Second::Awaited,
        },
        ended: ended.transpose()?,
    })
}
