//! Whoever a provider of OpenID Connect vouches for, and users who may not sign in for now.
//!
//! A person is an issuer's word for them and the issuer, never a name: a name may be changed there,
//! and given to another. Here it is made once and kept.

use model::Timestamp;
use sqlx::{Connection, SqliteConnection};

use super::{
    BEGIN_WRITE, Origin, Store, StoreError,
    audit::{self, Done},
    scan::LoadError,
    session::{begin, count, forget},
    user::{UserRow, end_keys, end_sessions, find, other_admins, select, user},
};
use crate::{
    audit::{Action, Actor},
    user::{Counted, Person, Role, User, provider_names},
};

/// What became of somebody whom a provider vouches for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Arrival {
    /// It is signed in.
    SignedIn(Box<User>),
    /// Nothing that the provider says of it gives a role.
    NoRole,
    /// An admin disabled the user.
    Disabled,
}

/// What an entry of the audit says of where somebody came from.
fn by(person: &Person<'_>) -> String {
    format!("OpenID Connect ({}, subject {})", person.issuer, person.subject)
}

impl Store {
    /// Signs in somebody whom a provider vouches for, with the role that follows from what it says
    /// now: makes the user at the first time, gives another role where it changed, and begins a
    /// session by the hash of its token. Where nothing gives a role, what the person had here ends.
    ///
    /// # Errors
    ///
    /// Where the database cannot be written.
    pub async fn sign_in_from(
        &self,
        person: &Person<'_>,
        role: Option<Role>,
        hash: &str,
        before: Option<&str>,
        origin: Origin<'_>,
        now: Timestamp,
    ) -> Result<Arrival, StoreError> {
        let failed = self.failed("signing in by OpenID Connect");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        let known = known(&mut transaction, person).await.map_err(|error| error.or(&failed))?;
        let found = known.as_ref().and_then(|known| known.user.as_ref());
        let is_disabled = found.is_some_and(|user| user.disabled_at.is_some());
        let Some(role) = role.filter(|_| !is_disabled) else {
            let (arrival, why) = match is_disabled {
                true => (Arrival::Disabled, "the user is disabled here"),
                false => (Arrival::NoRole, "nothing that it says gives a role"),
            };
            let mut ended = String::new();
            if let Some(user) = found {
                let sessions = end_sessions(&mut transaction, user.id, None).await;
                let keys = end_keys(&mut transaction, &user.name).await.map_err(&failed)?;
                ended = format!("; {} sessions ended{keys}", sessions.map_err(&failed)?);
            }
            let name = known.as_ref().map(|known| known.name.as_str());
            let detail = format!("from {} by {}: {why}{ended}", origin.address, by(person));
            note(&mut transaction, name, detail, origin, now).await.map_err(&failed)?;
            transaction.commit().await.map_err(&failed)?;
            return Ok(arrival);
        };
        let user = match (found, &known) {
            (Some(user), _) => {
                let user = user.clone();
                change(&mut transaction, &user, person, role, now).await.map_err(&failed)?;
                User { role, ..user }
            }
            (None, known) => {
                let name = known.as_ref().map(|known| known.name.clone());
                make(&mut transaction, name, person, role, now).await.map_err(|e| e.or(&failed))?
            }
        };
        begin(&mut transaction, &user, hash, before, origin, now).await.map_err(&failed)?;
        let detail = format!("from {} by {}", origin.address, by(person));
        let who = user.name.clone();
        let subject = who.clone();
        let done = Done { at: now, who, action: Action::SignIn, subject, detail, reason: "" };
        audit::append(&mut transaction, done).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(Arrival::SignedIn(Box::new(user)))
    }

    /// Notes that a sign-in by OpenID Connect failed before it was known who it is, in the audit as
    /// well. It counts for the address as a wrong password does.
    ///
    /// # Errors
    ///
    /// Where the database cannot be written.
    pub async fn note_failed_arrival(
        &self,
        why: &str,
        origin: Origin<'_>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let failed = self.failed("noting a failed attempt to sign in");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        let detail = format!("from {} by OpenID Connect: {why}", origin.address);
        note(&mut transaction, None, detail, origin, now).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)
    }

    /// Disables a user, which ends its sessions and the keys that it made, or enables it again.
    ///
    /// # Errors
    ///
    /// Where there is no such user, where nobody would be admin any more, or where the database
    /// cannot be written.
    pub async fn set_disabled(
        &self,
        name: &str,
        is_disabled: bool,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let failed = self.failed("disabling or enabling a user");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        let user = find(&mut transaction, name).await.map_err(|e| e.or(&failed))?;
        let user = user.ok_or_else(|| StoreError::NoUser(name.to_owned()))?;
        if user.disabled_at.is_some() == is_disabled {
            return Ok(());
        }
        let others = other_admins(&mut transaction, user.id).await.map_err(&failed)?;
        if is_disabled && user.role == Role::Admin && others == 0 {
            return Err(StoreError::LastAdmin(user.name));
        }
        sqlx::query("UPDATE user SET disabled_at = $2 WHERE id = $1")
            .bind(user.id)
            .bind(is_disabled.then_some(at.0))
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        let done = match is_disabled {
            true => {
                let ended = end_sessions(&mut transaction, user.id, None).await.map_err(&failed)?;
                let keys = end_keys(&mut transaction, &user.name).await.map_err(&failed)?;
                let detail = format!("{ended} sessions ended{keys}");
                self.done(at, Action::DisableUser, &user.name, detail)
            }
            false => self.done(at, Action::EnableUser, &user.name, String::new()),
        };
        audit::append(&mut transaction, done).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)
    }
}

/// Somebody who was here before.
struct Known {
    name: String,
    /// `None` where it was removed.
    user: Option<User>,
}

async fn known(
    connection: &mut SqliteConnection,
    person: &Person<'_>,
) -> Result<Option<Known>, LoadError> {
    let name: Option<String> =
        sqlx::query_scalar("SELECT name FROM user_identity WHERE issuer = $1 AND subject = $2")
            .bind(person.issuer.to_owned())
            .bind(person.subject.to_owned())
            .fetch_optional(&mut *connection)
            .await?;
    let Some(name) = name else { return Ok(None) };
    let row: Option<UserRow> =
        sqlx::query_as(select!("WHERE user_identity.issuer = $1 AND subject = $2"))
            .bind(person.issuer.to_owned())
            .bind(person.subject.to_owned())
            .fetch_optional(connection)
            .await?;
    Ok(Some(Known { name, user: row.map(user).transpose()? }))
}

/// Gives a known user the role that the provider's words give now, and notes what it is called.
async fn change(
    connection: &mut SqliteConnection,
    user: &User,
    person: &Person<'_>,
    role: Role,
    at: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query("UPDATE user_identity SET called = $2 WHERE user = $1")
        .bind(user.id)
        .bind(person.called.clone())
        .execute(&mut *connection)
        .await?;
    if role == user.role {
        return Ok(());
    }
    sqlx::query("UPDATE user SET role = $2 WHERE id = $1")
        .bind(user.id)
        .bind(role.as_str())
        .execute(&mut *connection)
        .await?;
    // As where an admin gives another role.
    end_sessions(connection, user.id, None).await?;
    let keys = match role < user.role {
        true => end_keys(connection, &user.name).await?,
        false => String::new(),
    };
    let detail = format!("{} to {role}, by {}{keys}", user.role, by(person));
    append(connection, Action::SetRole, &user.name, detail, at).await
}

/// Makes the user of somebody who is here for the first time, or was removed, by the name it had.
async fn make(
    connection: &mut SqliteConnection,
    name: Option<String>,
    person: &Person<'_>,
    role: Role,
    at: Timestamp,
) -> Result<User, LoadError> {
    let is_new = name.is_none();
    let name = match name {
        Some(name) => name,
        None => free_name(connection, person).await?,
    };
    // No password's hash is "".
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO user (name, role, password, password_at, created_at)
         VALUES ($1, $2, '', $3, $3) RETURNING id",
    )
    .bind(name.clone())
    .bind(role.as_str())
    .bind(at.0)
    .fetch_one(&mut *connection)
    .await?;
    let statement = match is_new {
        true => {
            "INSERT INTO user_identity (issuer, subject, user, name, called, first_at)
             VALUES ($1, $2, $3, $4, $5, $6)"
        }
        false => {
            "UPDATE user_identity SET user = $3, name = $4, called = $5, first_at = min(first_at, $6)
             WHERE issuer = $1 AND subject = $2"
        }
    };
    sqlx::query(statement)
        .bind(person.issuer.to_owned())
        .bind(person.subject.to_owned())
        .bind(id)
        .bind(name.clone())
        .bind(person.called.clone())
        .bind(at.0)
        .execute(&mut *connection)
        .await?;
    let detail = format!("{role}, by {}", by(person));
    append(connection, Action::AddUser, &name, detail, at).await?;
    let made = find(connection, &name).await?;
    made.ok_or_else(|| LoadError::content("user.name", name))
}

/// The first of the names that nobody has, or had.
async fn free_name(connection: &mut SqliteConnection, person: &Person<'_>) -> sqlx::Result<String> {
    let [plain, certain] = provider_names(person);
    let taken: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM user WHERE name = $1)
             + (SELECT count(*) FROM user_identity WHERE name = $1)",
    )
    .bind(plain.clone())
    .fetch_one(connection)
    .await?;
    Ok(if taken == 0 { plain } else { certain })
}

/// An entry of what the program does by itself.
async fn append(
    connection: &mut SqliteConnection,
    action: Action,
    subject: &str,
    detail: String,
    at: Timestamp,
) -> sqlx::Result<()> {
    let who = Actor::program().to_string();
    let subject = subject.to_owned();
    audit::append(connection, Done { at, who, action, subject, detail, reason: "" }).await
}

/// Counts a failure for the address, and writes it down.
async fn note(
    connection: &mut SqliteConnection,
    name: Option<&str>,
    detail: String,
    origin: Origin<'_>,
    now: Timestamp,
) -> sqlx::Result<()> {
    forget(connection, now).await?;
    count(connection, Counted::Address, origin.counted, now).await?;
    let subject = name.unwrap_or("(unknown name)");
    append(connection, Action::FailedSignIn, subject, detail, now).await
}
