//! What a review concludes, apart from when it is written.
//!
//! Reviews take turns, so that each begins with what the one before wrote. Nobody else waits: a
//! review reads a snapshot, thinks without holding anything, and then writes in one transaction. What
//! it concluded holds where no person decided anything since; what was observed since does not
//! matter, as if it had been observed after the review.

use std::{fs::File, path::Path, time::Duration};

use model::{ScanRecord, Timestamp};
use sqlx::SqliteConnection;

use super::{
    StoreError, StoredFinding, decision,
    door::{lock_file, wait_for},
    finding,
    list::{Known, Plan, are_kept},
    load::Merges,
    review::{Compared, Lists, Policy, ReviewSummary, Stored},
    route,
    scan::LoadError,
    verdict,
};
use crate::{
    approval::{Decision, DecisionId},
    audit::Action,
    chain::Memory,
    finding::{Change, Finding, reconcile},
};

/// The turn of one review, of all processes with this database.
#[derive(Debug)]
pub(super) struct Turn {
    _lock: File,
}

/// Beside the locks of jobs, which have no name that begins with a full stop.
const REVIEW: &str = ".review";

/// For how long a review waits for its turn: one of 100,000 assets takes half a minute, and several
/// may stand before it.
const PATIENCE: Duration = Duration::from_secs(600);

impl Turn {
    /// Waits for it. `None` where there can be no lock, on a full disk or a file system without.
    pub(super) async fn take(database: &Path) -> Result<Option<Self>, StoreError> {
        let Ok(file) = lock_file(database, REVIEW) else { return Ok(None) };
        let lock = wait_for(file, File::try_lock, PATIENCE, database).await?;
        Ok(lock.map(|lock| Self { _lock: lock }))
    }
}

/// Everything that a review depends on, as one snapshot has it.
pub(super) struct Basis {
    stored: Stored,
    /// By their keys.
    findings: Vec<StoredFinding>,
    merges: Merges,
    /// What is listed, where lists are kept.
    listed: Option<Known>,
    mark: Mark,
}

/// By what it is told whether somebody decided something.
struct Mark {
    /// The last entry of the audit.
    audit: i64,
    /// The last event: those behind it are of things that the snapshot does not know.
    event: i64,
    findings: Findings,
}

/// How the findings stand: how many there are, when one was seen and resolved last, and the last
/// number that one got. Each review changes one of these, also one that had no turn.
type Findings = (i64, i64, i64, i64);

async fn how_findings_stand(connection: &mut SqliteConnection) -> sqlx::Result<Findings> {
    sqlx::query_as(
        "SELECT count(*), coalesce(max(last_seen), 0), coalesce(max(resolved_at), 0),
             coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'finding'), 0)
         FROM finding",
    )
    .fetch_one(connection)
    .await
}

impl Basis {
    pub(super) async fn load(
        connection: &mut SqliteConnection,
        lists: Lists,
    ) -> Result<Self, LoadError> {
        let stored = Stored::load(connection).await?;
        let findings = finding::load(connection).await?;
        let merges = Merges::load(connection).await?;
        // They cost a review a quarter of its time: not where nobody can look at them.
        let is_listed = lists == Lists::Always || are_kept(connection).await?;
        let listed = if is_listed { Some(Known::load(connection).await?) } else { None };
        let (audit, event): (i64, i64) = sqlx::query_as(
            "SELECT (SELECT coalesce(max(number), 0) FROM audit),
                 (SELECT coalesce(max(id), 0) FROM event)",
        )
        .fetch_one(&mut *connection)
        .await?;
        let mark = Mark { audit, event, findings: how_findings_stand(connection).await? };
        Ok(Self { stored, findings, merges, listed, mark })
    }

    /// What follows from it. Asks nobody.
    pub(super) fn conclude(self, as_of: Timestamp, policy: &Policy) -> Conclusions {
        let Self { mut stored, findings: known, merges, listed, mark } = self;
        let scans = stored.scans.clone();
        let decided = stored.decide(as_of, policy);
        let (decisions, idle) = (std::mem::take(&mut stored.decisions), decided.idle.clone());
        let (compared, verdicts) = stored.compare(&decided, as_of, policy);
        let comparison = &compared.comparison;
        let before: Vec<Finding> = known.iter().map(|stored| stored.finding.clone()).collect();
        let checked = |key: &_| comparison.checked(key);
        let changes = reconcile(&before, &comparison.detections, &checked, as_of);
        let (.., last) = mark.findings;
        let changed = finding::numbered(&known, &changes, last);
        let findings = finding::after(known, &changed, &merges);
        let plan = listed.map(|listed| Plan::new(listed, &compared, &findings, policy));
        Conclusions {
            decisions,
            idle,
            compared,
            verdicts,
            changes,
            changed,
            findings,
            merges,
            plan,
            scans,
            mark,
        }
    }
}

/// What a review is about to write.
pub(super) struct Conclusions {
    decisions: Vec<Decision>,
    /// Those of them that end, because their devices were not seen for too long.
    idle: Vec<DecisionId>,
    compared: Compared,
    /// What was found out of chains that was not known.
    verdicts: Memory,
    changes: Vec<Change>,
    /// The findings of the changes, with their numbers.
    changed: Vec<StoredFinding>,
    /// All, as people see them afterwards.
    findings: Vec<StoredFinding>,
    merges: Merges,
    /// What of the lists is another, where they are kept.
    plan: Option<Plan>,
    scans: Vec<ScanRecord>,
    mark: Mark,
}

impl Conclusions {
    /// Whether nobody decided anything since the snapshot: who did sees what follows from it, and
    /// is not overrun.
    pub(super) async fn still_hold(&self, connection: &mut SqliteConnection) -> sqlx::Result<bool> {
        if how_findings_stand(connection).await? != self.mark.findings {
            return Ok(false);
        }
        let decided: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM audit WHERE number > $1 AND action NOT IN ($2, $3, $4))",
        )
        .bind(self.mark.audit)
        .bind(Action::SignIn.as_str())
        .bind(Action::FailedSignIn.as_str())
        .bind(Action::SignOut.as_str())
        .fetch_one(connection)
        .await?;
        Ok(!decided)
    }

    /// Writes all of it, and what the routes are to tell of that into the outbox: a problem is
    /// found, noted as told and in the outbox by one transaction, or none of it.
    pub(super) async fn write(
        self,
        connection: &mut SqliteConnection,
        as_of: Timestamp,
        policy: &Policy,
    ) -> Result<ReviewSummary, LoadError> {
        decision::end_idle(connection, &self.decisions, &self.idle, as_of).await?;
        verdict::write(connection, &self.verdicts).await?;
        finding::write(connection, &self.changed).await?;
        if let Some(plan) = &self.plan {
            plan.write(connection, policy, as_of).await?;
        }
        let seen = route::Seen {
            findings: &self.findings,
            compared: &self.compared,
            merges: &self.merges,
            scans: &self.scans,
            last_event: self.mark.event,
        };
        route::tell(connection, &policy.routes, &seen, as_of).await?;
        let Self { compared, changes, findings, .. } = self;
        Ok(ReviewSummary { compared, changes, findings })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use certs::Thresholds;
    use jiff::tz::Offset;
    use model::{Fact, MacAddr, Method, Observation, Site, Subject, Vantage};
    use sqlx::Connection as _;

    use super::{
        super::{BEGIN_WRITE, OpenMode, RegisterSource, Store, audit},
        *,
    };
    use crate::{
        asset::AssetId,
        compare::Network,
        register::{self, DeviceEntry},
    };

    const SITE: &str = "plant";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn policy() -> Policy {
        Policy {
            thresholds: Thresholds::default(),
            offset: Offset::UTC,
            network: Network::default(),
            anchors: Arc::default(),
            routes: Vec::new(),
        }
    }

    impl Store {
        async fn hears_of(&self, last: u8, seconds: i64) {
            let vantage = Vantage { site: Site(SITE.into()), name: "here".into() };
            let scan = self.begin_scan(&vantage, at(seconds), "raw", &[], "sweep").await.unwrap();
            let seen = Observation {
                observed_at: at(seconds),
                vantage,
                method: Method::Arp,
                subject: Subject::Address([198, 18, 0, last].into()),
                fact: Fact::LinkAddress(MacAddr([0, 0, 0x5e, 0, 0, last])),
                evidence: Vec::new(),
            };
            self.write_observations(scan, vec![seen]).await.unwrap();
            self.digest(scan, at(seconds)).await.unwrap();
        }

        async fn concludes(&self, seconds: i64) -> Conclusions {
            let mut reader = self.reader().await.unwrap();
            let mut snapshot = reader.begin().await.unwrap();
            let basis = Basis::load(&mut snapshot, Lists::Always).await.map_err(|_| "unread");
            basis.unwrap().conclude(at(seconds), &policy())
        }

        async fn takes(&self, conclusions: &Conclusions) -> bool {
            let mut writer = self.writer().await.unwrap();
            conclusions.still_hold(&mut writer).await.unwrap()
        }
    }

    #[tokio::test]
    async fn what_people_decide_meanwhile_undoes_a_conclusion_and_what_is_seen_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("daicho.db");
        let store = Store::open(&path, OpenMode::ReadWrite).await.unwrap();
        store.hears_of(1, 1).await;
        store.hears_of(2, 1).await;
        let source = RegisterSource::of("devices.csv", b"");
        let other = register::read::<DeviceEntry>(b"reference,mac\nPC-9,00:00:5e:00:00:09\n");
        let other = other.unwrap().entries;
        store.replace_register(&other, &source, at(2)).await.unwrap();
        let found = store.review(at(3), &policy()).await.unwrap().findings;
        assert_eq!(found.iter().map(|one| one.id).collect::<Vec<_>>(), [1, 2]);

        let conclusions = store.concludes(4).await;
        store.hears_of(3, 5).await;
        {
            let mut writer = store.writer().await.unwrap();
            let mut transaction = writer.begin_with(BEGIN_WRITE).await.unwrap();
            let done = audit::Done {
                at: at(5),
                who: "sato".into(),
                action: Action::SignIn,
                subject: String::new(),
                detail: String::new(),
                reason: "",
            };
            audit::append(&mut transaction, done).await.unwrap();
            transaction.commit().await.unwrap();
        }
        assert!(store.takes(&conclusions).await);
        {
            // Written, they are of what was known then, and the next ones of the rest.
            let mut writer = store.writer().await.unwrap();
            let mut transaction = writer.begin_with(BEGIN_WRITE).await.unwrap();
            let written = conclusions.write(&mut transaction, at(4), &policy()).await;
            assert_eq!(written.map_err(|_| "unwritten").unwrap().findings.len(), 2);
            transaction.commit().await.unwrap();
        }
        let all = store.review(at(6), &policy()).await.unwrap().findings;
        assert_eq!(all.iter().map(|one| one.id).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(store.findings().await.unwrap(), all);

        let conclusions = store.concludes(7).await;
        store.accept_finding(1, at(1000), "a guest", at(8)).await.unwrap();
        assert!(!store.takes(&conclusions).await);
        let conclusions = store.concludes(9).await;
        store.replace_register(&other, &source, at(10)).await.unwrap();
        assert!(!store.takes(&conclusions).await);
        let conclusions = store.concludes(11).await;
        store.merge(AssetId(2), AssetId(1), "two cards", at(12)).await.unwrap();
        assert!(!store.takes(&conclusions).await);
        let conclusions = store.concludes(13).await;
        {
            let mut writer = store.writer().await.unwrap();
            for statement in
                ["DELETE FROM listed_finding WHERE id = 3", "DELETE FROM finding WHERE id = 3"]
            {
                sqlx::query(statement).execute(&mut *writer).await.unwrap();
            }
        }
        assert!(!store.takes(&conclusions).await);
    }

    #[tokio::test]
    async fn reviews_take_turns() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("daicho.db");
        let first = Turn::take(&path).await.unwrap().unwrap();
        let soon = tokio::time::timeout(Duration::from_millis(100), Turn::take(&path));
        assert!(soon.await.is_err(), "two had it at once");
        drop(first);
        assert!(Turn::take(&path).await.unwrap().is_some());
    }
}
