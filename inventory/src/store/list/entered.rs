//! Where the entries of the device register were seen, as the last review left it.

use std::collections::HashMap;

use model::Timestamp;
use sqlx::Connection;

use super::super::{Store, StoreError, scan::json};
use crate::asset::AssetId;

/// An asset that is an entry of the device register.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SeenEntry {
    /// The asset.
    pub asset: AssetId,
    /// Its site.
    pub site: String,
    /// What it is in the light of the register.
    pub registration: String,
    /// When it was last seen.
    pub last_seen: Timestamp,
}

impl Store {
    /// The assets that were matched to these entries, by the entries' references. An entry that is
    /// not among them was never seen.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn seen_entries(
        &self,
        references: &[String],
    ) -> Result<HashMap<String, Vec<SeenEntry>>, StoreError> {
        let failed = self.failed("reading where entries were seen");
        let mut reader = self.reader().await?;
        let mut snapshot = reader.begin().await.map_err(&failed)?;
        let rows: Vec<(String, i64, String, String, i64)> = sqlx::query_as(
            "SELECT entry, id, site_shown, registration, last_seen FROM listed_asset
             WHERE entry <> '' AND entry IN (SELECT value FROM json_each($1)) ORDER BY id",
        )
        .bind(json(&references))
        .fetch_all(&mut *snapshot)
        .await
        .map_err(&failed)?;
        let mut seen: HashMap<String, Vec<SeenEntry>> = HashMap::new();
        for (entry, id, site, registration, last_seen) in rows {
            let (asset, last_seen) = (AssetId(id), Timestamp(last_seen));
            seen.entry(entry).or_default().push(SeenEntry { asset, site, registration, last_seen });
        }
        Ok(seen)
    }
}
