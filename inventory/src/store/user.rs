//! Users and keys of the API. Each change is in the audit, in the same transaction.

use model::Timestamp;
use sqlx::{Connection, SqliteConnection};

use super::{
    BEGIN_WRITE, Store, StoreError,
    audit::{self, Done},
    scan::LoadError,
};
use crate::{
    audit::Action,
    user::{ApiToken, Identity, Role, Scope, User},
};

/// A user, with who that is to a provider: issuer, subject and what it says the person is called.
pub(super) type UserRow = (
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

/// The statement for rows of users, with this behind it.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT user.id, user.name, role, created_at, password_at, signed_in_at, disabled_at,
                 issuer, subject, called
             FROM user LEFT JOIN user_identity ON user_identity.user = user.id ",
            $rest
        )
    };
}

pub(super) use select;

pub(super) fn user(row: UserRow) -> Result<User, LoadError> {
    let (
        id,
        name,
        role,
        created_at,
        password_at,
        signed_in_at,
        disabled_at,
        issuer,
        subject,
        called,
    ) = row;
    let identity = issuer.zip(subject).map(|(issuer, subject)| Identity {
        issuer,
        subject,
        called: called.unwrap_or_default(),
    });
    Ok(User {
        id,
        name,
        role: role.parse::<Role>().map_err(|_| LoadError::content("user.role", role))?,
        created_at: Timestamp(created_at),
        password_at: Timestamp(password_at),
        signed_in_at: signed_in_at.map(Timestamp),
        disabled_at: disabled_at.map(Timestamp),
        identity,
    })
}

pub(super) async fn find(
    connection: &mut SqliteConnection,
    name: &str,
) -> Result<Option<User>, LoadError> {
    let row: Option<UserRow> = sqlx::query_as(select!("WHERE user.name = $1"))
        .bind(name.to_owned())
        .fetch_optional(connection)
        .await?;
    row.map(user).transpose()
}

/// How many admins there are beside this one who may sign in.
pub(super) async fn other_admins(connection: &mut SqliteConnection, id: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "SELECT count(*) FROM user WHERE role = 'admin' AND id != $1 AND disabled_at IS NULL",
    )
    .bind(id)
    .fetch_one(connection)
    .await
}

/// Ends the keys that somebody made, and says which those were.
pub(super) async fn end_keys(
    connection: &mut SqliteConnection,
    maker: &str,
) -> sqlx::Result<String> {
    let mut names: Vec<String> = sqlx::query_scalar(
        "DELETE FROM api_token WHERE created_by = $1 COLLATE NOCASE
             OR substr(created_by, 1, length($1) + 2) = $1 || ' (' COLLATE NOCASE
         RETURNING name",
    )
    .bind(maker.to_owned())
    .fetch_all(connection)
    .await?;
    names.sort();
    Ok(match names.is_empty() {
        true => String::new(),
        false => format!("; keys ended: {}", names.join(", ")),
    })
}

/// Ends the sessions of a user, but for one.
pub(super) async fn end_sessions(
    connection: &mut SqliteConnection,
    id: i64,
    but: Option<&str>,
) -> sqlx::Result<u64> {
    let ended = sqlx::query("DELETE FROM session WHERE user = $1 AND hash != $2")
        .bind(id)
        .bind(but.unwrap_or_default().to_owned())
        .execute(connection)
        .await?;
    Ok(ended.rows_affected())
}

impl Store {
    /// Every user, by name.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn users(&self) -> Result<Vec<User>, StoreError> {
        let failed = self.failed("reading the users");
        let mut reader = self.reader().await?;
        let rows: Vec<UserRow> = sqlx::query_as(select!("ORDER BY user.name"))
            .fetch_all(&mut *reader)
            .await
            .map_err(&failed)?;
        rows.into_iter().map(user).collect::<Result<_, _>>().map_err(|error| error.or(&failed))
    }

    /// The user of that name, with the hash of the password.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn user(&self, name: &str) -> Result<Option<(User, String)>, StoreError> {
        let failed = self.failed("reading a user");
        let mut reader = self.reader().await?;
        let Some(user) = find(&mut reader, name).await.map_err(|e| e.or(&failed))? else {
            return Ok(None);
        };
        let password: String = sqlx::query_scalar("SELECT password FROM user WHERE id = $1")
            .bind(user.id)
            .fetch_one(&mut *reader)
            .await
            .map_err(&failed)?;
        Ok(Some((user, password)))
    }

    /// Makes a user, with the hash of a password.
    ///
    /// # Errors
    ///
    /// Where there is one of that name, or the database cannot be written.
    pub async fn add_user(
        &self,
        name: &str,
        role: Role,
        password: &str,
        at: Timestamp,
    ) -> Result<User, StoreError> {
        let failed = self.failed("making a user");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        if find(&mut transaction, name).await.map_err(|e| e.or(&failed))?.is_some() {
            return Err(StoreError::NameTaken(name.to_owned()));
        }
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO user (name, role, password, password_at, created_at)
             VALUES ($1, $2, $3, $4, $4) RETURNING id",
        )
        .bind(name.to_owned())
        .bind(role.as_str())
        .bind(password.to_owned())
        .bind(at.0)
        .fetch_one(&mut *transaction)
        .await
        .map_err(&failed)?;
        let done = self.done(at, Action::AddUser, name, role.to_string());
        audit::append(&mut transaction, done).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        let name = name.to_owned();
        Ok(User {
            id,
            name,
            role,
            created_at: at,
            password_at: at,
            signed_in_at: None,
            disabled_at: None,
            identity: None,
        })
    }

    /// Gives a user another password, by its hash, and ends its sessions, but for one.
    ///
    /// # Errors
    ///
    /// Where there is no such user, where it has none because a provider vouches for it, or where the
    /// database cannot be written.
    pub async fn set_password(
        &self,
        name: &str,
        password: &str,
        but: Option<&str>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let failed = self.failed("setting a password");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        let user = find(&mut transaction, name).await.map_err(|e| e.or(&failed))?;
        let user = user.ok_or_else(|| StoreError::NoUser(name.to_owned()))?;
        if user.identity.is_some() {
            return Err(StoreError::FromProvider(user.name));
        }
        sqlx::query("UPDATE user SET password = $2, password_at = $3 WHERE id = $1")
            .bind(user.id)
            .bind(password.to_owned())
            .bind(at.0)
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        let ended = end_sessions(&mut transaction, user.id, but).await.map_err(&failed)?;
        let detail = format!("{ended} sessions ended");
        let done = self.done(at, Action::SetPassword, &user.name, detail);
        audit::append(&mut transaction, done).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)
    }

    /// Gives a user another role, and ends its sessions: it signs in anew. The keys that it made end
    /// with a lesser one.
    ///
    /// # Errors
    ///
    /// Where there is no such user, where the role is the provider's to give, where nobody would be
    /// admin any more, or where the database cannot be written.
    pub async fn set_role(&self, name: &str, role: Role, at: Timestamp) -> Result<(), StoreError> {
        let failed = self.failed("setting a role");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        let user = find(&mut transaction, name).await.map_err(|e| e.or(&failed))?;
        let user = user.ok_or_else(|| StoreError::NoUser(name.to_owned()))?;
        if user.identity.is_some() {
            return Err(StoreError::FromProvider(user.name));
        }
        let others = other_admins(&mut transaction, user.id).await.map_err(&failed)?;
        if user.role == Role::Admin && role != Role::Admin && others == 0 {
            return Err(StoreError::LastAdmin(user.name));
        }
        sqlx::query("UPDATE user SET role = $2 WHERE id = $1")
            .bind(user.id)
            .bind(role.as_str())
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        end_sessions(&mut transaction, user.id, None).await.map_err(&failed)?;
        // A key may do what its maker could.
        let keys = match role < user.role {
            true => end_keys(&mut transaction, &user.name).await.map_err(&failed)?,
            false => String::new(),
        };
        let detail = format!("{} to {role}{keys}", user.role);
        let done = self.done(at, Action::SetRole, &user.name, detail);
        audit::append(&mut transaction, done).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)
    }

    /// Removes a user, its sessions and the keys that it made.
    ///
    /// # Errors
    ///
    /// Where there is no such user, where nobody would be admin any more, or where the database
    /// cannot be written.
    pub async fn remove_user(&self, name: &str, at: Timestamp) -> Result<(), StoreError> {
        let failed = self.failed("removing a user");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        let user = find(&mut transaction, name).await.map_err(|e| e.or(&failed))?;
        let user = user.ok_or_else(|| StoreError::NoUser(name.to_owned()))?;
        let others = other_admins(&mut transaction, user.id).await.map_err(&failed)?;
        if user.role == Role::Admin && others == 0 {
            return Err(StoreError::LastAdmin(user.name));
        }
        end_sessions(&mut transaction, user.id, None).await.map_err(&failed)?;
        sqlx::query("DELETE FROM user WHERE id = $1")
            .bind(user.id)
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        let keys = end_keys(&mut transaction, &user.name).await.map_err(&failed)?;
        let done = self.done(at, Action::RemoveUser, &user.name, format!("{}{keys}", user.role));
        audit::append(&mut transaction, done).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)
    }

    /// Ends every session of a user, but for one; returns how many.
    ///
    /// # Errors
    ///
    /// Where the database cannot be written.
    pub async fn end_sessions(
        &self,
        user: &User,
        but: Option<&str>,
        at: Timestamp,
    ) -> Result<u64, StoreError> {
        let failed = self.failed("ending sessions");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        let ended = end_sessions(&mut transaction, user.id, but).await.map_err(&failed)?;
        let done = self.done(at, Action::SignOut, &user.name, format!("{ended} sessions ended"));
        audit::append(&mut transaction, done).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(ended)
    }

    /// Every key of the API, by name.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn api_tokens(&self) -> Result<Vec<ApiToken>, StoreError> {
        let failed = self.failed("reading the keys of the API");
        let mut reader = self.reader().await?;
        let rows: Vec<TokenRow> = sqlx::query_as(
            "SELECT name, scopes, created_at, created_by, expires_at, used_at FROM api_token
             ORDER BY name",
        )
        .fetch_all(&mut *reader)
        .await
        .map_err(&failed)?;
        rows.into_iter().map(token).collect::<Result<_, _>>().map_err(|e| e.or(&failed))
    }

    /// Makes a key of the API, by the hash of its token.
    ///
    /// # Errors
    ///
    /// Where there is one of that name, or the database cannot be written.
    pub async fn add_api_token(
        &self,
        name: &str,
        hash: &str,
        scopes: &[Scope],
        expires_at: Option<Timestamp>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let failed = self.failed("making a key of the API");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        let known: i64 = sqlx::query_scalar("SELECT count(*) FROM api_token WHERE name = $1")
            .bind(name.to_owned())
            .fetch_one(&mut *transaction)
            .await
            .map_err(&failed)?;
        if known > 0 {
            return Err(StoreError::NameTaken(name.to_owned()));
        }
        let names: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
        let names = names.join(" ");
        sqlx::query(
            "INSERT INTO api_token (name, hash, scopes, created_at, created_by, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(name.to_owned())
        .bind(hash.to_owned())
        .bind(names.clone())
        .bind(at.0)
        .bind(self.actor().to_string())
        .bind(expires_at.map(|end| end.0))
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        let end = expires_at.map_or_else(|| "for ever".to_owned(), |end| format!("until {end}"));
        let done = self.done(at, Action::AddToken, name, format!("{names}, {end}"));
        audit::append(&mut transaction, done).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)
    }

    /// Removes a key of the API.
    ///
    /// # Errors
    ///
    /// Where there is none of that name, or the database cannot be written.
    pub async fn remove_api_token(&self, name: &str, at: Timestamp) -> Result<(), StoreError> {
        let failed = self.failed("removing a key of the API");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        let removed = sqlx::query("DELETE FROM api_token WHERE name = $1")
            .bind(name.to_owned())
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        if removed.rows_affected() == 0 {
            return Err(StoreError::NoToken(name.to_owned()));
        }
        let done = self.done(at, Action::RemoveToken, name, String::new());
        audit::append(&mut transaction, done).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)
    }

    /// The key of that token's hash that has not expired; that it was used is noted once a minute.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn api_token(
        &self,
        hash: &str,
        now: Timestamp,
    ) -> Result<Option<ApiToken>, StoreError> {
        let failed = self.failed("reading a key of the API");
        let mut reader = self.reader().await?;
        let row: Option<TokenRow> = sqlx::query_as(
            "SELECT name, scopes, created_at, created_by, expires_at, used_at FROM api_token
             WHERE hash = $1",
        )
        .bind(hash.to_owned())
        .fetch_optional(&mut *reader)
        .await
        .map_err(&failed)?;
        drop(reader);
        let token = row.map(token).transpose().map_err(|error| error.or(&failed))?;
        let Some(token) = token.filter(|token| !token.is_expired(now)) else { return Ok(None) };
        if token.used_at.is_none_or(|used| now >= used.plus_seconds(60)) {
            self.note_use("UPDATE api_token SET used_at = $2 WHERE hash = $1", hash, now).await;
        }
        Ok(Some(token))
    }

    /// Notes that something was used, where nobody else writes just now: looking waits for no
    /// review, and goes on while the disk is full.
    pub(super) async fn note_use(&self, statement: &'static str, hash: &str, now: Timestamp) {
        let Some(Ok(mut writer)) = self.writer.as_deref().map(tokio::sync::Mutex::try_lock) else {
            return;
        };
        let at_once = sqlx::query("PRAGMA busy_timeout = 0").execute(&mut *writer).await;
        if at_once.is_ok() {
            let noted = sqlx::query(statement).bind(hash.to_owned()).bind(now.0);
            // It is noted a minute later.
            drop(noted.execute(&mut *writer).await);
        }
        drop(sqlx::query("PRAGMA busy_timeout = 60000").execute(&mut *writer).await);
    }

    pub(super) fn done<'a>(
        &self,
        at: Timestamp,
        action: Action,
        subject: &str,
        detail: String,
    ) -> Done<'a> {
        let who = self.actor().to_string();
        Done { at, who, action, subject: subject.to_owned(), detail, reason: "" }
    }
}

type TokenRow = (String, String, i64, String, Option<i64>, Option<i64>);

fn token(row: TokenRow) -> Result<ApiToken, LoadError> {
    let (name, scopes, created_at, created_by, expires_at, used_at) = row;
    let parsed: Result<Vec<Scope>, _> = scopes.split_whitespace().map(str::parse).collect();
    Ok(ApiToken {
        name,
        scopes: parsed.map_err(|_| LoadError::content("api_token.scopes", scopes))?,
        created_at: Timestamp(created_at),
        created_by,
        expires_at: expires_at.map(Timestamp),
        used_at: used_at.map(Timestamp),
    })
}
