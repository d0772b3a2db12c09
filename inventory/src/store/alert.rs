//! What somebody was told, and what is to be told now.
//!
//! Each route has a memory of its own; the one without a name is the end of a scan.

use std::collections::BTreeMap;

use model::Timestamp;
use sqlx::{Connection, SqliteConnection};

use super::{
    BEGIN_WRITE, Store, StoreError, finding,
    scan::{LoadError, json},
};
use crate::{
    alert::{self, Alert, Policy, Told, Topic},
    finding::{Finding, FindingKey},
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
        let before = load(&mut transaction, SCANS).await.map_err(|e| e.or(&failed))?;
        let (alerts, after) = alert::decide(&findings, &before, policy, as_of);
        if after != before {
            write(&mut transaction, SCANS, &before, &after).await.map_err(&failed)?;
            transaction.commit().await.map_err(&failed)?;
        }
        Ok(alerts)
    }
}

/// The end of a scan, which tells whoever reads its output.
const SCANS: &str = "";

/// What a route told, in the order of the topics.
pub(super) async fn load(
    connection: &mut SqliteConnection,
    route: &str,
) -> Result<Vec<Told>, LoadError> {
    type Row = (String, String, String, String, i64, Option<i64>);
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT rule, subject, finding_rule, severity, at, over_at FROM told
         WHERE route = $1 ORDER BY rule, subject",
    )
    .bind(route)
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

/// Forgets that anybody was told of a finding: who takes its acceptance back wants it told again.
pub(super) async fn forget(
    connection: &mut SqliteConnection,
    finding: &FindingKey,
) -> sqlx::Result<()> {
    let Topic { rule, subject } = Topic::of(finding);
    sqlx::query("DELETE FROM told WHERE rule = $1 AND subject = $2")
        .bind(rule)
        .bind(subject)
        .execute(connection)
        .await?;
    Ok(())
}

/// Writes what is otherwise than before of what a route told.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    route: &str,
    before: &[Told],
    after: &[Told],
) -> sqlx::Result<()> {
    let by_topic = |told: &[Told]| -> BTreeMap<Topic, Told> {
        told.iter().map(|told| (told.topic.clone(), told.clone())).collect()
    };
    let (before, after) = (by_topic(before), by_topic(after));
    let gone: Vec<_> = before
        .keys()
        .filter(|topic| !after.contains_key(topic))
        .map(|topic| (&topic.rule, &topic.subject))
        .collect();
    if !gone.is_empty() {
        sqlx::query(
            "DELETE FROM told WHERE route = $1 AND (rule, subject) IN
                 (SELECT value ->> 0, value ->> 1 FROM json_each($2))",
        )
        .bind(route)
        .bind(json(&gone))
        .execute(&mut *connection)
        .await?;
    }
    let rows: Vec<_> = after
        .iter()
        .filter(|(topic, told)| before.get(topic) != Some(told))
        .map(|(Topic { rule, subject }, told)| {
            (rule, subject, &told.rule, told.severity.as_str(), told.at, told.over_at)
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT OR REPLACE INTO told (route, rule, subject, finding_rule, severity, at, over_at)
         SELECT $1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5
         FROM json_each($2)",
    )
    .bind(route)
    .bind(json(&rows))
    .execute(connection)
    .await?;
    Ok(())
}
