//! Lists as somebody wants to see them again: for oneself, or for everybody, which is audited.

use model::Timestamp;
use sqlx::{Connection, SqliteConnection, error::DatabaseError};

use super::{
    BEGIN_WRITE, Store, StoreError,
    audit::{self, Done},
};
use crate::{
    audit::Action,
    query::Kind,
    user::{Role, User},
};

/// The most views that a list can have: of one user, and shared ones.
pub const MOST_VIEWS: u32 = 50;

/// A list as it was saved.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SavedView {
    /// Its number, which is never another's.
    pub id: i64,
    /// Who made it; `None` where that user was removed.
    pub owner: Option<String>,
    /// What it is.
    pub view: View,
}

/// Which part of which list, and how.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct View {
    /// Whether everybody sees it.
    pub is_shared: bool,
    /// Of which list.
    pub kind: Kind,
    /// What it is called: 1 to 64 letters.
    pub name: String,
    /// The query, as it was typed.
    pub query: String,
    /// The order, as addresses of lists have it; "" for the usual one.
    pub sort: String,
    /// The columns, with commas; "" for the usual ones.
    pub columns: String,
}

type Row = (i64, Option<String>, bool, String, String, String, String, String);

/// What every statement that reads views begins with.
macro_rules! views {
    ($rest:literal) => {
        concat!(
            "SELECT v.id, user.name, v.shared, v.kind, v.name, v.query, v.sort, v.columns
             FROM saved_view AS v LEFT JOIN user ON user.id = v.user ",
            $rest
        )
    };
}

/// `None` of a list that a later version has.
fn read((id, owner, is_shared, kind, name, query, sort, columns): Row) -> Option<SavedView> {
    let kind = Kind::from_name(&kind)?;
    Some(SavedView { id, owner, view: View { is_shared, kind, name, query, sort, columns } })
}

impl Store {
    /// The views that a user sees, own ones first, by list and name.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn views(&self, user: &User) -> Result<Vec<SavedView>, StoreError> {
        let mut reader = self.reader().await?;
        let rows: Vec<Row> = sqlx::query_as(views!(
            "WHERE v.shared = 1 OR v.user = $1 ORDER BY v.shared, v.kind, v.name COLLATE NOCASE, v.id"
        ))
        .bind(user.id)
        .fetch_all(&mut *reader)
        .await
        .map_err(self.failed("reading the saved views"))?;
        Ok(rows.into_iter().filter_map(read).collect())
    }

    /// Saves a view; returns its number.
    ///
    /// # Errors
    ///
    /// Where the list has one of that name, or as many as it can have, or where the database cannot
    /// be written.
    pub async fn save_view(
        &self,
        user: &User,
        view: &View,
        at: Timestamp,
    ) -> Result<i64, StoreError> {
        let failed = self.failed("saving a view");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        let there: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM saved_view WHERE kind = $1 AND shared = $2
                 AND ($2 = 1 OR user = $3)",
        )
        .bind(view.kind.as_str())
        .bind(view.is_shared)
        .bind(user.id)
        .fetch_one(&mut *transaction)
        .await
        .map_err(&failed)?;
        if there >= i64::from(MOST_VIEWS) {
            return Err(StoreError::ManyViews(MOST_VIEWS));
        }
        let saved = sqlx::query(
            "INSERT INTO saved_view (user, shared, kind, name, query, sort, columns, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(user.id)
        .bind(view.is_shared)
        .bind(view.kind.as_str())
        .bind(&view.name)
        .bind(&view.query)
        .bind(&view.sort)
        .bind(&view.columns)
        .bind(at.0)
        .execute(&mut *transaction)
        .await;
        let id = saved.map_err(|error| taken(error, &view.name, &failed))?.last_insert_rowid();
        let detail = view.query.clone();
        self.tell_of_view(&mut transaction, Action::ShareView, view, detail, at)
            .await
            .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(id)
    }

    /// Gives a view another name. A shared one is its maker's and the admins'.
    ///
    /// # Errors
    ///
    /// Where the user has none of that number, or the list another one of that name, or where the
    /// database cannot be written.
    pub async fn rename_view(
        &self,
        user: &User,
        id: i64,
        name: &str,
        at: Timestamp,
    ) -> Result<SavedView, StoreError> {
        let failed = self.failed("renaming a view");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        let known = own(&mut transaction, user, id).await.map_err(&failed)?;
        let known = known.ok_or(StoreError::NoView(id))?;
        sqlx::query("UPDATE saved_view SET name = $2 WHERE id = $1")
            .bind(id)
            .bind(name)
            .execute(&mut *transaction)
            .await
            .map_err(|error| taken(error, name, &failed))?;
        let detail = name.to_owned();
        self.tell_of_view(&mut transaction, Action::RenameView, &known.view, detail, at)
            .await
            .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(known)
    }

    /// Replaces what a view is called and shows, but neither its list nor who sees it. A shared one is
    /// its maker's and the admins'.
    ///
    /// # Errors
    ///
    /// As of [`Self::rename_view`].
    pub async fn change_view(
        &self,
        user: &User,
        id: i64,
        view: &View,
        at: Timestamp,
    ) -> Result<SavedView, StoreError> {
        let failed = self.failed("changing a view");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        let known = own(&mut transaction, user, id).await.map_err(&failed)?;
        let known = known.ok_or(StoreError::NoView(id))?;
        sqlx::query(
            "UPDATE saved_view SET name = $2, query = $3, sort = $4, columns = $5 WHERE id = $1",
        )
        .bind(id)
        .bind(&view.name)
        .bind(&view.query)
        .bind(&view.sort)
        .bind(&view.columns)
        .execute(&mut *transaction)
        .await
        .map_err(|error| taken(error, &view.name, &failed))?;
        let detail = format!("{}: {}", view.name, view.query);
        self.tell_of_view(&mut transaction, Action::ChangeView, &known.view, detail, at)
            .await
            .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(known)
    }

    /// Removes a view. A shared one is its maker's and the admins'.
    ///
    /// # Errors
    ///
    /// Where the user has none of that number, or where the database cannot be written.
    pub async fn remove_view(
        &self,
        user: &User,
        id: i64,
        at: Timestamp,
    ) -> Result<SavedView, StoreError> {
        let failed = self.failed("removing a view");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        let known = own(&mut transaction, user, id).await.map_err(&failed)?;
        let known = known.ok_or(StoreError::NoView(id))?;
        sqlx::query("DELETE FROM saved_view WHERE id = $1")
            .bind(id)
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        let detail = known.view.query.clone();
        self.tell_of_view(&mut transaction, Action::RemoveView, &known.view, detail, at)
            .await
            .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(known)
    }

    /// Writes what is done to a shared view into the audit. One's own are nobody else's matter.
    async fn tell_of_view(
        &self,
        connection: &mut SqliteConnection,
        action: Action,
        view: &View,
        detail: String,
        at: Timestamp,
    ) -> sqlx::Result<()> {
        if !view.is_shared {
            return Ok(());
        }
        let subject = format!("{}: {}", view.kind.as_str(), view.name);
        let who = self.actor().to_string();
        audit::append(connection, Done { at, who, action, subject, detail, reason: "" }).await
    }
}

/// The view of that number, if the user may change it.
async fn own(
    connection: &mut SqliteConnection,
    user: &User,
    id: i64,
) -> sqlx::Result<Option<SavedView>> {
    let row: Option<Row> =
        // What everybody sees is changed by whoever may still share something.
        sqlx::query_as(views!(
            "WHERE v.id = $1 AND (v.user = $2 AND (v.shared = 0 OR $4) OR (v.shared = 1 AND $3))"
        ))
            .bind(id)
            .bind(user.id)
            .bind(user.role == Role::Admin)
            .bind(user.role >= Role::Operator)
            .fetch_optional(connection)
            .await?;
    Ok(row.and_then(read))
}

fn taken(
    error: sqlx::Error,
    name: &str,
    failed: &impl Fn(sqlx::Error) -> StoreError,
) -> StoreError {
    match error.as_database_error().is_some_and(DatabaseError::is_unique_violation) {
        true => StoreError::ViewTaken(name.to_owned()),
        false => failed(error),
    }
}
