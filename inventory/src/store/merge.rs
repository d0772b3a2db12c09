//! Merging and splitting assets, as an overlay that can be lifted.

use model::{Site, Timestamp};
use sqlx::{Connection, SqliteConnection};

use super::{
    BEGIN_WRITE, Store, StoreError,
    audit::{self, Done},
    event,
    load::Merges,
};
use crate::{
    asset::{AssetId, Event, EventKind},
    audit::Action,
};

/// That two assets are one, and for whom and how long.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Merge {
    /// The asset that became a part.
    pub from: AssetId,
    /// The asset that it became a part of.
    pub into: AssetId,
    /// Why.
    pub because: String,
    /// True where a person said so, false where the identifiers did.
    pub by_person: bool,
    /// Since when.
    pub at: Timestamp,
    /// Until when and why, where it was undone.
    pub undone: Option<(Timestamp, String)>,
}

/// Who says that two assets are one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum By {
    Person,
    Identity,
}

impl By {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Identity => "identity",
        }
    }
}

impl Store {
    /// Makes `from` a part of `into`. Nothing that is known of either is changed: both are
    /// read as one, under the number of `into`, until [`Self::split`].
    ///
    /// # Errors
    ///
    /// Where one does not exist, they are at different sites, they are one already, or
    /// `from` is a part of a third asset.
    pub async fn merge(
        &self,
        from: AssetId,
        into: AssetId,
        reason: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let failed = self.failed("merging assets");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        let merges = Merges::load(&mut transaction).await.map_err(&failed)?;
        let sites = (
            site_of(&mut transaction, from).await.map_err(&failed)?,
            site_of(&mut transaction, into).await.map_err(&failed)?,
        );
        match sites {
            (None, _) => return Err(StoreError::NoAsset(from)),
            (_, None) => return Err(StoreError::NoAsset(into)),
            (Some(a), Some(b)) if a != b => return Err(StoreError::OtherSite { from, into }),
            _ => {}
        }
        if merges.root(from) == merges.root(into) {
            return Err(StoreError::AlreadyOne { from, into });
        }
        if let Some(part_of) = merges.owner(from) {
            return Err(StoreError::AlreadyMerged { asset: from, part_of });
        }
        note(&mut transaction, from, into, reason, By::Person, at).await.map_err(&failed)?;
        let done = Done {
            at,
            who: self.actor().to_string(),
            action: Action::Merge,
            subject: format!("asset {from}"),
            detail: format!("is part of asset {into}"),
            reason,
        };
        audit::append(&mut transaction, done).await.map_err(&failed)?;
        let event = Event {
            at,
            asset: Some(into),
            kind: EventKind::Merged,
            subject: format!("asset {from}"),
            detail: reason.to_owned(),
        };
        event::append(&mut transaction, &[event], None).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)
    }

    /// Ends the merge that made `asset` a part of another. Both have again the rows that
    /// they had, and what was learned of either in the meantime.
    ///
    /// # Errors
    ///
    /// Where there is no such asset, or it is not a part of another.
    pub async fn split(
        &self,
        asset: AssetId,
        reason: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let failed = self.failed("splitting an asset");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        let merges = Merges::load(&mut transaction).await.map_err(&failed)?;
        if site_of(&mut transaction, asset).await.map_err(&failed)?.is_none() {
            return Err(StoreError::NoAsset(asset));
        }
        let Some(into) = merges.owner(asset) else {
            return Err(StoreError::NotMerged { asset, parts: merges.parts(asset) });
        };
        sqlx::query(
            "UPDATE merge SET undone_at = $2, undone_because = $3
             WHERE from_asset = $1 AND undone_at IS NULL",
        )
        .bind(asset.0)
        .bind(at.0)
        .bind(reason.to_owned())
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        let done = Done {
            at,
            who: self.actor().to_string(),
            action: Action::Split,
            subject: format!("asset {asset}"),
            detail: format!("is no part of asset {into} any more"),
            reason,
        };
        audit::append(&mut transaction, done).await.map_err(&failed)?;
        let event = Event {
            at,
            asset: Some(asset),
            kind: EventKind::Split,
            subject: format!("asset {into}"),
            detail: reason.to_owned(),
        };
        event::append(&mut transaction, &[event], None).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)
    }
}

/// Notes a merge.
pub(super) async fn note(
    connection: &mut SqliteConnection,
    from: AssetId,
    into: AssetId,
    because: &str,
    by: By,
    at: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO merge (from_asset, into_asset, because, by, at) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(from.0)
    .bind(into.0)
    .bind(because.to_owned())
    .bind(by.as_str())
    .bind(at.0)
    .execute(connection)
    .await?;
    Ok(())
}

async fn site_of(connection: &mut SqliteConnection, asset: AssetId) -> sqlx::Result<Option<Site>> {
    let site: Option<String> = sqlx::query_scalar("SELECT site FROM asset WHERE id = $1")
        .bind(asset.0)
        .fetch_optional(connection)
        .await?;
    Ok(site.map(Site))
}

/// Every merge, past ones too, in the order in which they were noted.
pub(super) async fn all(connection: &mut SqliteConnection) -> sqlx::Result<Vec<Merge>> {
    type Row = (i64, i64, String, String, i64, Option<i64>, Option<String>);
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT from_asset, into_asset, because, by, at, undone_at, undone_because
         FROM merge ORDER BY id",
    )
    .fetch_all(connection)
    .await?;
    let merge = |(from, into, because, by, at, undone_at, undone_because): Row| Merge {
        from: AssetId(from),
        into: AssetId(into),
        because,
        by_person: by == By::Person.as_str(),
        at: Timestamp(at),
        undone: undone_at.map(|at| (Timestamp(at), undone_because.unwrap_or_default())),
    };
    Ok(rows.into_iter().map(merge).collect())
}
