//! The organisation's registers: one of each kind, replaced as a whole.

use model::Timestamp;
use sqlx::{Connection, SqliteConnection};

use super::{
    BEGIN_WRITE, Store, StoreError,
    audit::{self, Done},
    event,
    scan::{LoadError, json},
};
use crate::{
    asset::{Event, EventKind},
    audit::Action,
    register::{self, Entry, RegisterDiff, RegisterKind},
};

const ROWS: usize = 2_000;

/// The file that a register came from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RegisterSource {
    /// Its name, as the user gave it.
    pub file: String,
    /// SHA-256 of its bytes, lower-case hexadecimal.
    pub sha256: String,
}

impl RegisterSource {
    /// The file of that name and content.
    #[must_use]
    pub fn of(file: impl Into<String>, bytes: &[u8]) -> Self {
        Self { file: file.into(), sha256: super::certificate::sha256(bytes) }
    }
}

/// What a register has to be from, for another file to take its place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Replaces<'a> {
    /// Whatever it is from.
    Any,
    /// Just the file of that SHA-256, or where `None`, no file: there is no register yet.
    Only(Option<&'a str>),
}

/// A register as it was imported.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredRegister<E> {
    /// When.
    pub imported_at: Timestamp,
    /// From what.
    pub source: RegisterSource,
    /// Its entries, in the order of the file.
    pub entries: Vec<E>,
}

/// What is known of a register without reading it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RegisterSummary {
    /// Which.
    pub kind: RegisterKind,
    /// When it was imported.
    pub imported_at: Timestamp,
    /// From what.
    pub source: RegisterSource,
    /// How many entries it has.
    pub entries: u64,
}

impl Store {
    /// Replaces the register of the entries' kind, and says what that changed.
    ///
    /// # Errors
    ///
    /// Where the database cannot be written; then the old register stays.
    pub async fn replace_register<E: Entry>(
        &self,
        entries: &[E],
        source: &RegisterSource,
        at: Timestamp,
    ) -> Result<RegisterDiff, StoreError> {
        self.replace_register_of(Replaces::Any, entries, source, at).await
    }

    /// The same, where the register is still what somebody saw who wants it replaced.
    ///
    /// # Errors
    ///
    /// As of that, and where it is from another file; then it stays as well.
    pub async fn replace_register_of<E: Entry>(
        &self,
        replaces: Replaces<'_>,
        entries: &[E],
        source: &RegisterSource,
        at: Timestamp,
    ) -> Result<RegisterDiff, StoreError> {
        let failed = self.failed("replacing a register");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        let before = load::<E>(&mut transaction).await.map_err(|e| e.or(&failed))?;
        let is_from = before.as_ref().map(|register| register.source.sha256.as_str());
        // Here, where nobody else writes: who looks before can be overtaken.
        if matches!(replaces, Replaces::Only(file) if file != is_from) {
            return Err(StoreError::OtherRegister(E::KIND));
        }
        let before = before.map_or_else(Vec::new, |register| register.entries);
        let diff = register::diff(&before, entries);
        write(&mut transaction, entries, source, at).await.map_err(&failed)?;
        let event = Event {
            at,
            asset: None,
            kind: EventKind::RegisterImported,
            subject: format!("{} register", E::KIND),
            detail: format!(
                "{}: {} added, {} changed, {} removed, {} unchanged",
                source.file,
                diff.added.len(),
                diff.changed.len(),
                diff.removed.len(),
                diff.unchanged
            ),
        };
        let done = Done {
            at,
            who: self.actor().to_string(),
            action: Action::Import,
            subject: event.subject.clone(),
            detail: format!("{}, SHA-256 {}", event.detail, source.sha256),
            reason: "",
        };
        audit::append(&mut transaction, done).await.map_err(&failed)?;
        event::append(&mut transaction, &[event], None).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(diff)
    }

    /// What replacing the register of the entries' kind would change, without changing it.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn preview_register<E: Entry>(
        &self,
        entries: &[E],
    ) -> Result<RegisterDiff, StoreError> {
        let before = self.register::<E>().await?;
        let before = before.map_or_else(Vec::new, |register| register.entries);
        Ok(register::diff(&before, entries))
    }

    /// The register of that kind, or `None` where none was imported: an empty register
    /// approves nothing, while a missing one says nothing.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn register<E: Entry>(&self) -> Result<Option<StoredRegister<E>>, StoreError> {
        let failed = self.failed("reading a register");
        let mut reader = self.reader().await?;
        let mut snapshot = reader.begin().await.map_err(&failed)?;
        load(&mut snapshot).await.map_err(|e| e.or(&failed))
    }

    /// Which registers there are.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn registers(&self) -> Result<Vec<RegisterSummary>, StoreError> {
        let failed = self.failed("reading the registers");
        let mut reader = self.reader().await?;
        let rows: Vec<(String, i64, String, String, i64)> = sqlx::query_as(
            "SELECT kind, imported_at, source, sha256,
                 (SELECT count(*) FROM entry WHERE entry.register = register.id)
             FROM register ORDER BY kind",
        )
        .fetch_all(&mut *reader)
        .await
        .map_err(&failed)?;
        rows.into_iter()
            .map(|(kind, imported_at, file, sha256, entries)| {
                Ok(RegisterSummary {
                    kind: kind.parse().map_err(|_| StoreError::content("register.kind", kind))?,
                    imported_at: Timestamp(imported_at),
                    source: RegisterSource { file, sha256 },
                    entries: entries.unsigned_abs(),
                })
            })
            .collect()
    }
}

pub(super) async fn load<E: Entry>(
    connection: &mut SqliteConnection,
) -> Result<Option<StoredRegister<E>>, LoadError> {
    let found: Option<(i64, i64, String, String)> =
        sqlx::query_as("SELECT id, imported_at, source, sha256 FROM register WHERE kind = $1")
            .bind(E::KIND.as_str())
            .fetch_optional(&mut *connection)
            .await?;
    let Some((id, imported_at, file, sha256)) = found else {
        return Ok(None);
    };
    let contents: Vec<String> =
        sqlx::query_scalar("SELECT content FROM entry WHERE register = $1 ORDER BY position")
            .bind(id)
            .fetch_all(connection)
            .await?;
    let entry =
        |text: String| E::from_stored(&text).map_err(|_| LoadError::content("entry.content", text));
    Ok(Some(StoredRegister {
        imported_at: Timestamp(imported_at),
        source: RegisterSource { file, sha256 },
        entries: contents.into_iter().map(entry).collect::<Result<_, _>>()?,
    }))
}

/// The last `limit` entries before that position, the last first, and the SHA-256 of the file.
pub(super) async fn before<E: Entry>(
    connection: &mut SqliteConnection,
    before: i64,
    limit: u32,
) -> Result<Option<(String, Vec<(i64, E)>)>, LoadError> {
    let found: Option<(i64, String)> =
        sqlx::query_as("SELECT id, sha256 FROM register WHERE kind = $1")
            .bind(E::KIND.as_str())
            .fetch_optional(&mut *connection)
            .await?;
    let Some((id, file)) = found else {
        return Ok(None);
    };
    let rows: Vec<(i64, String)> = sqlx::query_as(
        "SELECT position, content FROM entry WHERE register = $1 AND position < $2
         ORDER BY position DESC LIMIT $3",
    )
    .bind(id)
    .bind(before)
    .bind(limit)
    .fetch_all(connection)
    .await?;
    let entry = |(position, text): (i64, String)| {
        let entry = E::from_stored(&text);
        Ok((position, entry.map_err(|_| LoadError::content("entry.content", text))?))
    };
    Ok(Some((file, rows.into_iter().map(entry).collect::<Result<_, LoadError>>()?)))
}

async fn write<E: Entry>(
    connection: &mut SqliteConnection,
    entries: &[E],
    source: &RegisterSource,
    at: Timestamp,
) -> sqlx::Result<()> {
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO register (kind, imported_at, source, sha256) VALUES ($1, $2, $3, $4)
         ON CONFLICT (kind) DO UPDATE SET imported_at = excluded.imported_at,
             source = excluded.source, sha256 = excluded.sha256
         RETURNING id",
    )
    .bind(E::KIND.as_str())
    .bind(at.0)
    .bind(source.file.clone())
    .bind(source.sha256.clone())
    .fetch_one(&mut *connection)
    .await?;
    sqlx::query("DELETE FROM entry WHERE register = $1").bind(id).execute(&mut *connection).await?;
    let rows: Vec<_> = entries
        .iter()
        .enumerate()
        .map(|(position, entry)| (position, entry.label(), entry.to_stored()))
        .collect();
    for chunk in rows.chunks(ROWS) {
        sqlx::query(
            "INSERT INTO entry (register, position, reference, content)
             SELECT $1, value ->> 0, value ->> 1, value ->> 2 FROM json_each($2)",
        )
        .bind(id)
        .bind(json(chunk))
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}
