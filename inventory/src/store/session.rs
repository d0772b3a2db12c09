//! Who is signed in, and how often it was tried in vain.

use model::Timestamp;
use sqlx::{Connection, SqliteConnection};

use super::{BEGIN_WRITE, Store, StoreError, audit, user::user};
use crate::{
    audit::Action,
    user::{Counted, FORGIVEN, Lasting, Session, User},
};

/// The most subjects of failed attempts that are remembered: more are the same attack.
const MOST_ATTEMPTS: i64 = 10_000;

/// From where somebody signs in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Origin<'a> {
    /// The address that is counted: of IPv6 its /64.
    pub counted: &'a str,
    /// The address itself.
    pub address: &'a str,
    /// What the browser calls itself.
    pub agent: &'a str,
}

/// Whether somebody uses a session by what they ask for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Use {
    /// A person does something: the session is in use.
    Noted,
    /// A page that lies open asks by itself: that keeps no session alive.
    Silent,
}

/// A session, and its user as in [`super::user::UserRow`].
type SessionRow = (
    String,
    i64,
    i64,
    String,
    String,
    i64,
    String,
    String,
    i64,
    i64,
    Option<i64>,
    Option<i64>,
    Option<String>,
    Option<String>,
    Option<String>,
);

/// Nobody who is disabled has one.
const SESSION: &str = "SELECT hash, session.created_at, used_at, address, agent,
         user.id, user.name, role, user.created_at, password_at, signed_in_at, disabled_at,
         issuer, subject, called
     FROM session JOIN user ON user.id = session.user AND disabled_at IS NULL
         LEFT JOIN user_identity ON user_identity.user = user.id";

fn session(row: SessionRow) -> Result<Session, super::scan::LoadError> {
    let (hash, created_at, used_at, address, agent, id, name, role, made, password, ..) = &row;
    let (.., signed, disabled, issuer, subject, called) = &row;
    let identity = (issuer.clone(), subject.clone(), called.clone());
    let (name, role) = (name.clone(), role.clone());
    Ok(Session {
        hash: hash.clone(),
        user: user((
            *id, name, role, *made, *password, *signed, *disabled, identity.0, identity.1,
            identity.2,
        ))?,
        created_at: Timestamp(*created_at),
        used_at: Timestamp(*used_at),
        address: address.clone(),
        agent: agent.clone(),
    })
}

impl Store {
    /// The session of that token's hash, unless it is over; that it was used is noted once a
    /// minute, where it was.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn session(
        &self,
        hash: &str,
        lasting: Lasting,
        used: Use,
        now: Timestamp,
    ) -> Result<Option<Session>, StoreError> {
        let failed = self.failed("reading a session");
        let mut reader = self.reader().await?;
        let statement = format!("{SESSION} WHERE hash = $1");
        let row: Option<SessionRow> = sqlx::query_as(sqlx::AssertSqlSafe(statement))
            .bind(hash.to_owned())
            .fetch_optional(&mut *reader)
            .await
            .map_err(&failed)?;
        drop(reader);
        let found = row.map(session).transpose().map_err(|error| error.or(&failed))?;
        let lasts = |session: &Session| !lasting.is_over(session.created_at, session.used_at, now);
        let Some(session) = found.filter(lasts) else { return Ok(None) };
        if used == Use::Noted && now >= session.used_at.plus_seconds(60) {
            self.note_use("UPDATE session SET used_at = $2 WHERE hash = $1", hash, now).await;
        }
        Ok(Some(session))
    }

    /// The sessions of a user that are not over, the latest first.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn sessions(
        &self,
        user: &User,
        lasting: Lasting,
        now: Timestamp,
    ) -> Result<Vec<Session>, StoreError> {
        let failed = self.failed("reading the sessions");
        let mut reader = self.reader().await?;
        let statement = format!("{SESSION} WHERE session.user = $1 ORDER BY used_at DESC");
        let rows: Vec<SessionRow> = sqlx::query_as(sqlx::AssertSqlSafe(statement))
            .bind(user.id)
            .fetch_all(&mut *reader)
            .await
            .map_err(&failed)?;
        let all: Result<Vec<Session>, _> = rows.into_iter().map(session).collect();
        let mut all = all.map_err(|error| error.or(&failed))?;
        all.retain(|session| !lasting.is_over(session.created_at, session.used_at, now));
        Ok(all)
    }

    /// Until when no attempt is looked at, of that name, where one is given, or from that address.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn refused_until(
        &self,
        name: Option<&str>,
        counted: &str,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let failed = self.failed("reading the attempts to sign in");
        let mut reader = self.reader().await?;
        let until: Option<i64> = sqlx::query_scalar(
            "SELECT max(until) FROM attempt WHERE until > $3
                 AND ((kind = 'name' AND subject = $1) OR (kind = 'address' AND subject = $2))",
        )
        .bind(name.map(str::to_lowercase))
        .bind(counted.to_owned())
        .bind(now.0)
        .fetch_one(&mut *reader)
        .await
        .map_err(&failed)?;
        Ok(until.map(Timestamp))
    }

    /// Notes that an attempt to sign in failed, in the audit as well. `name` is as it was typed,
    /// and must be no longer than a name can be.
    ///
    /// # Errors
    ///
    /// Where the database cannot be written.
    pub async fn note_failed_attempt(
        &self,
        name: &str,
        origin: Origin<'_>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let failed = self.failed("noting a failed attempt to sign in");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        forget(&mut transaction, now).await.map_err(&failed)?;
        let lower = name.to_lowercase();
        for (kind, subject) in [(Counted::Name, lower.as_str()), (Counted::Address, origin.counted)]
        {
            count(&mut transaction, kind, subject, now).await.map_err(&failed)?;
        }
        let known: Option<String> = sqlx::query_scalar("SELECT name FROM user WHERE name = $1")
            .bind(name.to_owned())
            .fetch_optional(&mut *transaction)
            .await
            .map_err(&failed)?;
        // What is nobody's name may be a password that was typed into the wrong field.
        let who = known.as_deref().unwrap_or("(unknown name)");
        let done = self.done(now, Action::FailedSignIn, who, format!("from {}", origin.address));
        audit::append(&mut transaction, done).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)
    }

    /// Begins a session, by the hash of its token, and ends the one that the browser had. False
    /// where the password was changed since `user` was read, which then is not the one that fitted,
    /// or where the user was disabled.
    ///
    /// # Errors
    ///
    /// Where the database cannot be written.
    pub async fn sign_in(
        &self,
        user: &User,
        hash: &str,
        before: Option<&str>,
        origin: Origin<'_>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let failed = self.failed("signing in");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        let password_at: Option<i64> = sqlx::query_scalar(
            "SELECT password_at FROM user WHERE id = $1 AND disabled_at IS NULL",
        )
        .bind(user.id)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(&failed)?;
        if password_at != Some(user.password_at.0) {
            return Ok(false);
        }
        begin(&mut transaction, user, hash, before, origin, now).await.map_err(&failed)?;
        let done = self.done(now, Action::SignIn, &user.name, format!("from {}", origin.address));
        audit::append(&mut transaction, done).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(true)
    }

    /// Ends a session.
    ///
    /// # Errors
    ///
    /// Where the database cannot be written.
    pub async fn sign_out(&self, session: &Session, now: Timestamp) -> Result<(), StoreError> {
        let failed = self.failed("signing out");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        sqlx::query("DELETE FROM session WHERE hash = $1")
            .bind(session.hash.clone())
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        let done = self.done(now, Action::SignOut, &session.user.name, String::new());
        audit::append(&mut transaction, done).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)
    }
}

/// Begins a session, by the hash of its token, in place of the one that the browser had.
pub(super) async fn begin(
    connection: &mut SqliteConnection,
    user: &User,
    hash: &str,
    before: Option<&str>,
    origin: Origin<'_>,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM session WHERE hash = $1")
        .bind(before.unwrap_or_default().to_owned())
        .execute(&mut *connection)
        .await?;
    // Not those of the address: who has an account there could else guess at others.
    sqlx::query("DELETE FROM attempt WHERE kind = 'name' AND subject = $1")
        .bind(user.name.to_lowercase())
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "INSERT INTO session (hash, user, created_at, used_at, address, agent)
         VALUES ($1, $2, $3, $3, $4, $5)",
    )
    .bind(hash.to_owned())
    .bind(user.id)
    .bind(now.0)
    .bind(origin.address.to_owned())
    .bind(origin.agent.chars().take(200).collect::<String>())
    .execute(&mut *connection)
    .await?;
    sqlx::query("UPDATE user SET signed_in_at = $2 WHERE id = $1")
        .bind(user.id)
        .bind(now.0)
        .execute(&mut *connection)
        .await?;
    // Nobody asks for what is over by the longest time that can be configured.
    sqlx::query("DELETE FROM session WHERE created_at < $1")
        .bind(now.plus_seconds(-31 * 86_400).0)
        .execute(connection)
        .await?;
    Ok(())
}

/// Forgets what is long ago, and the oldest where there is too much.
pub(super) async fn forget(connection: &mut SqliteConnection, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM attempt WHERE last_at < $1")
        .bind(now.plus_seconds(-FORGIVEN).0)
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "DELETE FROM attempt WHERE (SELECT count(*) FROM attempt) > $1 AND last_at <=
             (SELECT last_at FROM attempt ORDER BY last_at DESC LIMIT 1 OFFSET $1)",
    )
    .bind(MOST_ATTEMPTS)
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn count(
    connection: &mut SqliteConnection,
    kind: Counted,
    subject: &str,
    now: Timestamp,
) -> sqlx::Result<()> {
    let before: Option<u32> =
        sqlx::query_scalar("SELECT failures FROM attempt WHERE kind = $1 AND subject = $2")
            .bind(kind.as_str())
            .bind(subject.to_owned())
            .fetch_optional(&mut *connection)
            .await?;
    let failures = before.unwrap_or(0).saturating_add(1);
    sqlx::query(
        "INSERT INTO attempt (kind, subject, failures, last_at, until) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (kind, subject) DO UPDATE SET
             failures = excluded.failures, last_at = excluded.last_at, until = excluded.until",
    )
    .bind(kind.as_str())
    .bind(subject.to_owned())
    .bind(failures)
    .bind(now.0)
    .bind(now.plus_seconds(kind.pause(failures)).0)
    .execute(connection)
    .await?;
    Ok(())
}
