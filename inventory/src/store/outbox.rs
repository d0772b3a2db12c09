//! Messages on their way: who may send which, and what became of it.
//!
//! A message is claimed before it is sent and the claim ends with a lease, so that two who
//! deliver never send the same one, and one whose process was killed is sent again. What
//! became of it is written by whoever holds the claim and by nobody else.

use model::{Severity, Timestamp};
use sqlx::{Connection, SqliteConnection};

use super::{
    BEGIN_WRITE, Store, StoreError, audit,
    route::rank,
    scan::{LoadError, parse},
};
use crate::{
    audit::Action,
    outbox::{Claimed, Message, MessageState},
    route::{Item, ItemKind},
};

/// How long messages stay that were sent, and that were given up, seconds.
const SENT: i64 = 30 * 86_400;
const FAILED: i64 = 90 * 86_400;

/// A message as it is stored.
type Row = (
    i64,
    String,
    String,
    String,
    i64,
    i64,
    i64,
    i64,
    i64,
    i64,
    Option<i64>,
    Option<String>,
    Option<i64>,
);

/// What of a message is read.
macro_rules! message_where {
    ($condition:literal) => {
        concat!(
            "SELECT id, key, route, state, severity, created_at, due_at,
                 (SELECT count(*) FROM outbox_item WHERE message = id),
                 more, attempts, first_attempt_at, outcome, ended_at
             FROM outbox WHERE ",
            $condition
        )
    };
}

fn read(row: Row) -> Result<Message, LoadError> {
    let (id, key, route, state, severity, created_at, due_at, items, more, attempts, ..) = row;
    let (first_attempt_at, outcome, ended_at) = (row.10, row.11, row.12);
    let number = |value: i64| u64::try_from(value).unwrap_or(0);
    Ok(Message {
        id,
        key,
        route,
        state: MessageState::from_name(&state)
            .ok_or_else(|| LoadError::content("outbox.state", state))?,
        severity: match severity {
            0 => Severity::Info,
            1 => Severity::Warning,
            _ => Severity::Critical,
        },
        created_at: Timestamp(created_at),
        due_at: Timestamp(due_at),
        items: number(items),
        more: number(more),
        attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
        first_attempt_at: first_attempt_at.map(Timestamp),
        outcome,
        ended_at: ended_at.map(Timestamp),
    })
}

impl Store {
    /// Whether a route has a message that somebody might send now: a question that may be asked
    /// every few seconds, because it waits for nobody who writes.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn has_due(
        &self,
        route: &str,
        least: Severity,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let failed = self.failed("looking into the outbox");
        let mut reader = self.reader().await?;
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM outbox
                 WHERE state = 'pending' AND route = $1 AND severity >= $2 AND due_at <= $3)
             OR EXISTS (SELECT 1 FROM outbox
                 WHERE state = 'sending' AND route = $1 AND severity >= $2 AND lease_until <= $3)",
        )
        .bind(route)
        .bind(rank(least))
        .bind(now.0)
        .fetch_one(&mut *reader)
        .await
        .map_err(&failed)
    }

    /// Claims the message of a route that has waited longest among those that are due and matter
    /// at least so much, for `lease` seconds. `by` names this claim and no other.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read or written; then nothing is claimed.
    pub async fn claim_message(
        &self,
        route: &str,
        least: Severity,
        by: &str,
        lease: i64,
        now: Timestamp,
    ) -> Result<Option<Claimed>, StoreError> {
        let failed = self.failed("claiming a message");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        let id: Option<i64> = sqlx::query_scalar(
            "UPDATE outbox SET state = 'sending', claimed_by = $1, lease_until = $2,
                 attempts = attempts + 1, first_attempt_at = coalesce(first_attempt_at, $3)
             WHERE id = (
                 SELECT id FROM outbox
                 WHERE route = $4 AND severity >= $5
                     AND (state = 'pending' AND due_at <= $3
                         OR state = 'sending' AND lease_until <= $3)
                 ORDER BY due_at, id LIMIT 1)
             RETURNING id",
        )
        .bind(by)
        .bind(now.plus_seconds(lease).0)
        .bind(now.0)
        .bind(route)
        .bind(rank(least))
        .fetch_optional(&mut *transaction)
        .await
        .map_err(&failed)?;
        let Some(id) = id else { return Ok(None) };
        let message = load_one(&mut transaction, id).await.map_err(|e| e.or(&failed))?;
        let items = load_items(&mut transaction, id).await.map_err(|e| e.or(&failed))?;
        transaction.commit().await.map_err(&failed)?;
        Ok(message.map(|message| Claimed { message, items, by: by.to_owned() }))
    }

    /// Notes that the other side has a claimed message, and its words. False where the claim is
    /// no longer ours, because the lease ended and somebody else took it.
    ///
    /// # Errors
    ///
    /// Where the database cannot be written; then the message is sent again after its lease.
    pub async fn message_sent(
        &self,
        claimed: &Claimed,
        words: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.end_claim(claimed, MessageState::Sent, words, now, now).await
    }

    /// Gives a claimed message back, to be tried again at `next`, or gives it up. False as above.
    ///
    /// # Errors
    ///
    /// Where the database cannot be written; then the message is sent again after its lease.
    pub async fn message_not_sent(
        &self,
        claimed: &Claimed,
        next: Option<Timestamp>,
        words: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let state = if next.is_some() { MessageState::Pending } else { MessageState::Failed };
        self.end_claim(claimed, state, words, next.unwrap_or(now), now).await
    }

    async fn end_claim(
        &self,
        claimed: &Claimed,
        state: MessageState,
        words: &str,
        due: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let failed = self.failed("noting what became of a message");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        let ended = (state != MessageState::Pending).then_some(now.0);
        let done = sqlx::query(
            "UPDATE outbox SET state = $1, outcome = $2, due_at = $3, ended_at = $4,
                 claimed_by = NULL, lease_until = NULL
             WHERE id = $5 AND state = 'sending' AND claimed_by = $6",
        )
        .bind(state.as_str())
        .bind(words)
        .bind(due.0)
        .bind(ended)
        .bind(claimed.message.id)
        .bind(&claimed.by)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(done.rows_affected() == 1)
    }

    /// Writes down that somebody had a test sent by a route.
    ///
    /// # Errors
    ///
    /// Where the database cannot be written.
    pub async fn note_test(
        &self,
        route: &str,
        was_sent: bool,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let detail = if was_sent { "sent" } else { "not sent" };
        let done = self.done(now, Action::Test, &format!("route {route}"), detail.to_owned());
        let failed = self.failed("writing down what was done");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        audit::append(&mut transaction, done).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)
    }

    /// The messages, of one state or of all, the latest first.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn messages(&self, state: Option<MessageState>) -> Result<Vec<Message>, StoreError> {
        let failed = self.failed("reading the outbox");
        let mut reader = self.reader().await?;
        let rows: Vec<Row> =
            sqlx::query_as(message_where!("$1 IS NULL OR state = $1 ORDER BY id DESC"))
                .bind(state.map(MessageState::as_str))
                .fetch_all(&mut *reader)
                .await
                .map_err(&failed)?;
        rows.into_iter().map(|row| read(row).map_err(|e| e.or(&failed))).collect()
    }

    /// The last `limit` messages before that number, the latest first.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn messages_before(
        &self,
        before: i64,
        limit: u32,
    ) -> Result<Vec<Message>, StoreError> {
        let failed = self.failed("reading the outbox");
        let mut reader = self.reader().await?;
        let rows: Vec<Row> = sqlx::query_as(message_where!("id < $1 ORDER BY id DESC LIMIT $2"))
            .bind(before)
            .bind(limit)
            .fetch_all(&mut *reader)
            .await
            .map_err(&failed)?;
        rows.into_iter().map(|row| read(row).map_err(|e| e.or(&failed))).collect()
    }

    /// Has a message tried again that was given up, or that waits, now and as if for the first
    /// time, and writes down who did.
    ///
    /// # Errors
    ///
    /// Where there is none of that number, or it was sent or is being sent, or the database
    /// cannot be written.
    pub async fn retry_message(&self, id: i64, now: Timestamp) -> Result<Message, StoreError> {
        let failed = self.failed("having a message tried again");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        let found = load_one(&mut transaction, id).await.map_err(|e| e.or(&failed))?;
        let message = found.ok_or(StoreError::NoMessage(id))?;
        match message.state {
            MessageState::Pending | MessageState::Failed => {}
            MessageState::Sending | MessageState::Sent => {
                return Err(StoreError::NotRetried { id, state: message.state.as_str() });
            }
        }
        // What was tried counts as tried, so that nothing is added to it.
        sqlx::query(
            "UPDATE outbox SET state = 'pending', due_at = $1, first_attempt_at = NULL,
                 attempts = min(attempts, 1), ended_at = NULL
             WHERE id = $2",
        )
        .bind(now.0)
        .bind(id)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        let found = load_one(&mut transaction, id).await.map_err(|e| e.or(&failed))?;
        let done = self.done(now, Action::Retry, &format!("message {id}"), String::new());
        audit::append(&mut transaction, done).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        found.ok_or(StoreError::NoMessage(id))
    }

    /// Removes messages that were sent a month ago or given up three months ago; gives how many.
    ///
    /// # Errors
    ///
    /// Where the database cannot be written.
    pub async fn forget_messages(&self, now: Timestamp) -> Result<u64, StoreError> {
        let failed = self.failed("clearing the outbox");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        // Not left to the database, which looks for what refers to a row in tests only.
        sqlx::query(
            "DELETE FROM outbox_item WHERE message IN (
                 SELECT id FROM outbox WHERE state = 'sent' AND ended_at < $1
                     OR state = 'failed' AND ended_at < $2)",
        )
        .bind(now.plus_seconds(-SENT).0)
        .bind(now.plus_seconds(-FAILED).0)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        let done = sqlx::query(
            "DELETE FROM outbox WHERE state = 'sent' AND ended_at < $1
                 OR state = 'failed' AND ended_at < $2",
        )
        .bind(now.plus_seconds(-SENT).0)
        .bind(now.plus_seconds(-FAILED).0)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(done.rows_affected())
    }
}

async fn load_one(
    connection: &mut SqliteConnection,
    id: i64,
) -> Result<Option<Message>, LoadError> {
    let row: Option<Row> =
        sqlx::query_as(message_where!("id = $1")).bind(id).fetch_optional(connection).await?;
    row.map(read).transpose()
}

/// A piece of news as it is stored.
type ItemRow = (
    String,
    i64,
    String,
    String,
    String,
    String,
    String,
    Option<String>,
    Option<i64>,
    Option<i64>,
    String,
);

/// The worst first, because a letter lists no more than the first ones.
async fn load_items(
    connection: &mut SqliteConnection,
    message: i64,
) -> Result<Vec<Item>, LoadError> {
    let rows: Vec<ItemRow> = sqlx::query_as(
        "SELECT kind, at, rule, severity, subject, title, detail, site, asset, finding, owners
         FROM outbox_item WHERE message = $1
         ORDER BY CASE severity WHEN 'critical' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END, number",
    )
    .bind(message)
    .fetch_all(connection)
    .await?;
    let read = |row: ItemRow| {
        let (kind, at, rule, severity, subject, title, detail, site, asset, finding, owners) = row;
        Ok(Item {
            kind: ItemKind::from_name(&kind)
                .ok_or_else(|| LoadError::content("outbox_item.kind", kind))?,
            at: Timestamp(at),
            severity: severity
                .parse()
                .map_err(|_| LoadError::content("outbox_item.severity", severity))?,
            owners: parse("outbox_item.owners", &owners)?,
            rule,
            subject,
            title,
            detail,
            site,
            asset,
            finding,
        })
    };
    rows.into_iter().map(read).collect()
}
