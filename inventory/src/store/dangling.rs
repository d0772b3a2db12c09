//! Rows that refer to rows which are not there.
//!
//! SQLite looks after references in our tests alone, because that costs a tenth of all writing; so
//! a mistake of ours, or somebody's own statement, may leave such rows. They lose nothing that is
//! not lost already, and what reads them passes them over: no reason to be without copies.

use std::fmt::{self, Display, Formatter};

use model::Timestamp;
use sqlx::{Connection as _, SqliteConnection};

use super::{BEGIN_WRITE, Store, StoreError, audit};
use crate::audit::Action;

/// Rows of one table that refer to missing rows of another.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Dangling {
    /// Where they are.
    pub table: String,
    /// Where what they refer to should be.
    pub parent: String,
    /// How many there are.
    pub rows: u64,
}

impl Dangling {
    /// Whether mending takes such rows away, or may not touch them.
    #[must_use]
    pub fn is_mended(&self) -> bool {
        let is_about = |repair: &str| {
            let mut words = repair.split_whitespace();
            words.any(|word| matches!(word, "FROM" | "UPDATE")) && words.next() == Some(&self.table)
        };
        REPAIRS.iter().any(|repair| is_about(repair))
    }

    /// Those of its rows that are not among what is left; `None` where all are.
    fn without(&self, left: &[Self]) -> Option<Self> {
        let same = |one: &&Self| one.table == self.table && one.parent == self.parent;
        let stay = left.iter().find(same).map_or(0, |one| one.rows);
        let rows = self.rows.checked_sub(stay).filter(|rows| *rows > 0)?;
        Some(Self { rows, ..self.clone() })
    }
}

impl Display for Dangling {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self { table, parent, rows } = self;
        let (row, refers) = if *rows == 1 { ("row", "refers") } else { ("rows", "refer") };
        write!(formatter, "{rows} {row} of {table} {refers} to rows of {parent} that do not exist")
    }
}

/// What is done about them, in this order, which is that of what refers to what. What may never
/// be changed (events, decisions) stays, and so do the lists, which reviews make.
const REPAIRS: &[&str] = &[
    "DELETE FROM file WHERE vantage NOT IN (SELECT id FROM vantage)",
    // An event that names it stays as it is, and so does what it names.
    "DELETE FROM scan WHERE vantage NOT IN (SELECT id FROM vantage)
         AND id NOT IN (SELECT scan FROM event WHERE scan IS NOT NULL)",
    // The scan is a mere note of it: another one of the same vantage point does as well.
    "UPDATE observation SET last_scan =
         (SELECT max(id) FROM scan WHERE scan.vantage = observation.vantage)
     WHERE last_scan NOT IN (SELECT id FROM scan)
         AND vantage IN (SELECT vantage FROM scan)",
    "DELETE FROM observation WHERE vantage NOT IN (SELECT id FROM vantage)
         OR last_scan NOT IN (SELECT id FROM scan)",
    "DELETE FROM file_certificate WHERE file NOT IN (SELECT id FROM file)
         OR sha256 NOT IN (SELECT sha256 FROM certificate)",
    "DELETE FROM gap WHERE scan NOT IN (SELECT id FROM scan)",
    "DELETE FROM coverage WHERE scan NOT IN (SELECT id FROM scan)",
    "DELETE FROM progress WHERE scan NOT IN (SELECT id FROM scan)",
    "UPDATE run SET scan = NULL WHERE scan NOT IN (SELECT id FROM scan)",
    "DELETE FROM heard WHERE asset NOT IN (SELECT id FROM asset)",
    "DELETE FROM identifier WHERE asset NOT IN (SELECT id FROM asset)",
    "DELETE FROM name WHERE asset NOT IN (SELECT id FROM asset)",
    "DELETE FROM service WHERE asset NOT IN (SELECT id FROM asset)",
    "DELETE FROM software WHERE asset NOT IN (SELECT id FROM asset)",
    "DELETE FROM os WHERE asset NOT IN (SELECT id FROM asset)",
    "DELETE FROM deployment WHERE asset NOT IN (SELECT id FROM asset)
         OR sha256 NOT IN (SELECT sha256 FROM certificate)",
    "DELETE FROM anomaly WHERE asset NOT IN (SELECT id FROM asset)",
    "DELETE FROM merge WHERE from_asset NOT IN (SELECT id FROM asset)
         OR into_asset NOT IN (SELECT id FROM asset)",
    "UPDATE finding SET asset = NULL WHERE asset NOT IN (SELECT id FROM asset)",
    "DELETE FROM entry WHERE register NOT IN (SELECT id FROM register)",
    "DELETE FROM outbox_item WHERE message NOT IN (SELECT id FROM outbox)",
    "DELETE FROM session WHERE user NOT IN (SELECT id FROM user)",
    "UPDATE user_identity SET user = NULL WHERE user NOT IN (SELECT id FROM user)",
];

/// What refers to nothing.
pub(super) async fn dangling(connection: &mut SqliteConnection) -> sqlx::Result<Vec<Dangling>> {
    let rows: Vec<(String, String, i64)> = sqlx::query_as(
        "SELECT \"table\", parent, count(*) FROM pragma_foreign_key_check GROUP BY 1, 2 ORDER BY 1, 2",
    )
    .fetch_all(connection)
    .await?;
    let found = |(table, parent, rows): (String, String, i64)| {
        let rows = rows.unsigned_abs();
        Dangling { table, parent, rows }
    };
    Ok(rows.into_iter().map(found).collect())
}

impl Store {
    /// Which rows refer to rows that are not there.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn dangling(&self) -> Result<Vec<Dangling>, StoreError> {
        let mut reader = self.reader().await?;
        dangling(&mut reader).await.map_err(self.failed("looking for rows that refer to nothing"))
    }

    /// Takes away what refers to nothing, and notes in the audit what that was. Returns what is
    /// left, because it may never be changed.
    ///
    /// # Errors
    ///
    /// Where the database cannot be written; then everything is as it was.
    pub async fn mend(&self, as_of: Timestamp) -> Result<Vec<Dangling>, StoreError> {
        let failed = self.failed("removing rows that refer to nothing");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        let before = dangling(&mut transaction).await.map_err(&failed)?;
        if before.is_empty() {
            return Ok(before);
        }
        // What goes may be referred to by what goes a moment later.
        sqlx::raw_sql("PRAGMA defer_foreign_keys = ON")
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        for repair in REPAIRS {
            sqlx::query(*repair).execute(&mut *transaction).await.map_err(&failed)?;
        }
        let left = dangling(&mut transaction).await.map_err(&failed)?;
        if left == before {
            // Nothing was done, and nothing is to be noted.
            return Ok(left);
        }
        let words: Vec<String> = before
            .iter()
            .filter_map(|found| found.without(&left))
            .map(|it| it.to_string())
            .collect();
        let done = audit::Done {
            at: as_of,
            who: self.actor().to_string(),
            action: Action::Prune,
            subject: String::new(),
            detail: words.join(", "),
            reason: "",
        };
        audit::append(&mut transaction, done).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(left)
    }
}
