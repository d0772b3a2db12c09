//! What somebody was told, and what is to be told now.

use model::Timestamp;
use sqlx::{Connection, SqliteConnection};

use super::{
    BEGIN_WRITE, Store, StoreError, finding,
    scan::{LoadError, json},
};
use crate::{
    alert::{self, Alert, Policy, Told, Topic},
    finding::Finding,
};

impl Store {
    /// What is to be told now of the findings, and notes that it was told: who calls this
    /// has to tell it.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read or written; then nothing counts as told.
    pub async fn alerts(
        &self,
        as_of: Timestamp,
        policy: &Policy,
    ) -> Result<Vec<Alert>, StoreError> {
        let failed = self.failed("deciding what to tell");
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        let findings = finding::shown(&mut transaction).await.map_err(|e| e.or(&failed))?;
        let findings: Vec<Finding> = findings.into_iter().map(|stored| stored.finding).collect();
        let before = load(&mut transaction).await.map_err(|e| e.or(&failed))?;
        let (alerts, after) = alert::decide(&findings, &before, policy, as_of);
        if after != before {
            write(&mut transaction, &after).await.map_err(&failed)?;
            transaction.commit().await.map_err(&failed)?;
        }
        Ok(alerts)
    }
}

/// What was told, in the order of the topics.
async fn load(connection: &mut SqliteConnection) -> Result<Vec<Told>, LoadError> {
    type Row = (String, String, String, String, i64, Option<i64>);
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT rule, subject, finding_rule, severity, at, over_at FROM told
         ORDER BY rule, subject",
    )
    .fetch_all(connection)
    .await?;
    let read = |(rule, subject, finding_rule, severity, at, over_at): Row| {
        Ok(Told {
            topic: Topic { rule, subject },
            rule: finding_rule,
            severity: severity
                .parse()
                .map_err(|_| LoadError::content("told.severity", severity))?,
            at: Timestamp(at),
            over_at: over_at.map(Timestamp),
        })
    };
    rows.into_iter().map(read).collect()
}

/// Replaces what was told.
async fn write(connection: &mut SqliteConnection, told: &[Told]) -> sqlx::Result<()> {
    let rows: Vec<_> = told
        .iter()
        .map(|told| {
            let Topic { rule, subject } = &told.topic;
            (rule, subject, &told.rule, told.severity.as_str(), told.at, told.over_at)
        })
        .collect();
    sqlx::query("DELETE FROM told").execute(&mut *connection).await?;
    sqlx::query(
        "INSERT INTO told (rule, subject, finding_rule, severity, at, over_at)
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5
         FROM json_each($1)",
    )
    .bind(json(&rows))
    .execute(connection)
    .await?;
    Ok(())
}
