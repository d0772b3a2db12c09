//! The schema and its versions.
//!
//! A migration is a file that is never edited after its release, only followed by another.
//! The version of a database is the number of migrations applied, kept in SQLite's own
//! `user_version`, which can be read before anything is known of the tables. sqlx's migrator
//! is not used: it keeps its record in a table of its own and cannot say which of two
//! programs is the newer one.

use sqlx::{Connection, SqliteConnection};

/// Marks a file as ours (`PRAGMA application_id`): "DAIC" in ASCII.
const APPLICATION_ID: i64 = 0x4441_4943;

/// Every migration, in order. The first makes version 1.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_inventory.sql"),
    include_str!("migrations/0002_digested.sql"),
    include_str!("migrations/0003_file.sql"),
    include_str!("migrations/0004_told.sql"),
    include_str!("migrations/0005_verdict.sql"),
    include_str!("migrations/0006_tls.sql"),
    include_str!("migrations/0007_heard.sql"),
    include_str!("migrations/0008_stapled.sql"),
    include_str!("migrations/0009_download.sql"),
    include_str!("migrations/0010_outbox.sql"),
    include_str!("migrations/0011_approval.sql"),
    include_str!("migrations/0012_jobs.sql"),
    include_str!("migrations/0013_lists.sql"),
    include_str!("migrations/0014_web.sql"),
    include_str!("migrations/0015_keep.sql"),
    include_str!("migrations/0016_held.sql"),
    include_str!("migrations/0017_view.sql"),
    include_str!("migrations/0018_openid.sql"),
    include_str!("migrations/0022_entered.sql"),
];

/// The schema version that this program writes.
pub(super) const KNOWN: i64 = MIGRATIONS.len() as i64;

/// What a file turned out to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum State {
    /// Nothing is in it yet.
    Empty,
    /// It is ours, in this version.
    Version(i64),
    /// It belongs to another program.
    NotOurs,
}

/// Looks at the file without changing it.
pub(super) async fn state(connection: &mut SqliteConnection) -> sqlx::Result<State> {
    // One statement sees one state, whatever another command does to the file meanwhile.
    let (id, version, objects): (i64, i64, i64) = sqlx::query_as(
        "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master)
         FROM pragma_application_id, pragma_user_version",
    )
    .fetch_one(connection)
    .await?;
    Ok(match (id, version, objects) {
        (APPLICATION_ID, version, _) => State::Version(version),
        (0, 0, 0) => State::Empty,
        _ => State::NotOurs,
    })
}

/// Applies those of `migrations` that the database lacks, all or none, and returns the
/// state in which it then is. A version above theirs is left alone.
pub(super) async fn migrate(
    connection: &mut SqliteConnection,
    migrations: &[&'static str],
) -> sqlx::Result<State> {
    // IMMEDIATE: of two programs that start at once, the second waits and finds it done.
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let before = state(&mut transaction).await?;
    let done = match before {
        State::Empty => 0,
        State::Version(version) => version,
        State::NotOurs => return Ok(before),
    };
    let missing = usize::try_from(done).ok().and_then(|done| migrations.get(done..));
    let Some(missing) = missing.filter(|missing| !missing.is_empty()) else {
        return Ok(before);
    };
    for migration in missing {
        sqlx::raw_sql(*migration).execute(&mut *transaction).await?;
    }
    let version = migrations.len() as i64;
    // PRAGMA takes no parameters; both are numbers of ours.
    let stamp =
        format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {version}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(stamp)).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(State::Version(version))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn memory() -> SqliteConnection {
        SqliteConnection::connect("sqlite::memory:").await.unwrap()
    }

    async fn schema(connection: &mut SqliteConnection) -> Vec<(String, String, Option<String>)> {
        sqlx::query_as("SELECT type, name, sql FROM sqlite_master ORDER BY type, name")
            .fetch_all(connection)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn every_released_version_migrates_to_the_fresh_schema() {
        let mut fresh = memory().await;
        assert_eq!(migrate(&mut fresh, MIGRATIONS).await.unwrap(), State::Version(KNOWN));
        let expected = schema(&mut fresh).await;
        assert!(expected.len() > 20);
        for old in 1..=MIGRATIONS.len() {
            let mut database = memory().await;
            migrate(&mut database, &MIGRATIONS[..old]).await.unwrap();
            assert_eq!(state(&mut database).await.unwrap(), State::Version(old as i64));
            migrate(&mut database, MIGRATIONS).await.unwrap();
            assert_eq!(schema(&mut database).await, expected, "from version {old}");
        }
    }

    #[tokio::test]
    async fn what_waited_by_a_mark_in_its_row_waits_by_its_number() {
        let mut database = memory().await;
        migrate(&mut database, &MIGRATIONS[..1]).await.unwrap();
        // From `a` digested, seen again, and two new ones; from `b` new ones only; from `c` all
        // digested; from `d` nothing.
        let old = "INSERT INTO vantage VALUES (1, 's', 'a'), (2, 's', 'b'), (3, 't', 'c'), (4, 't', 'd');
             INSERT INTO scan (id, vantage, command, targets, io, started_at)
                 VALUES (1, 1, 'sweep', '[]', 'raw', 0);
             INSERT INTO observation
                 SELECT column1, randomblob(16), column2, 'arp', '', '', '', 0, 0, 1, x'', 1, column3
                 FROM (VALUES (1, 1, 0), (2, 1, 1), (3, 3, 0), (4, 1, 2), (5, 2, 2), (6, 1, 2))";
        sqlx::raw_sql(old).execute(&mut database).await.unwrap();
        migrate(&mut database, MIGRATIONS).await.unwrap();
        let digested: Vec<(String, i64)> =
            sqlx::query_as("SELECT name, digested FROM vantage ORDER BY id")
                .fetch_all(&mut database)
                .await
                .unwrap();
        let expected = [("a", 2), ("b", 0), ("c", 3), ("d", 0)];
        assert_eq!(digested, expected.map(|(name, last)| (name.to_owned(), last)));
        let again: Vec<i64> = sqlx::query_scalar("SELECT id FROM observation WHERE pending > 0")
            .fetch_all(&mut database)
            .await
            .unwrap();
        assert_eq!(again, [2]);
    }

    #[tokio::test]
    async fn a_migration_that_fails_leaves_the_old_version_whole() {
        const TWO: &[&str] = &["CREATE TABLE a (x)", "CREATE TABLE b (y); CREATE TABLE a (z)"];
        let mut database = memory().await;
        migrate(&mut database, &TWO[..1]).await.unwrap();
        let before = schema(&mut database).await;
        assert!(migrate(&mut database, TWO).await.is_err());
        assert_eq!(schema(&mut database).await, before);
        assert_eq!(state(&mut database).await.unwrap(), State::Version(1));
    }

    #[tokio::test]
    async fn a_second_step_starts_where_the_first_ended() {
        const TWO: &[&str] = &["CREATE TABLE a (x)", "ALTER TABLE a ADD COLUMN y"];
        let mut database = memory().await;
        migrate(&mut database, &TWO[..1]).await.unwrap();
        assert_eq!(migrate(&mut database, TWO).await.unwrap(), State::Version(2));
        assert_eq!(migrate(&mut database, TWO).await.unwrap(), State::Version(2));
        // An older program leaves the newer database as it is.
        assert_eq!(migrate(&mut database, &TWO[..1]).await.unwrap(), State::Version(2));
    }

    #[tokio::test]
    async fn another_programs_database_is_left_alone() {
        let mut database = memory().await;
        sqlx::raw_sql("CREATE TABLE theirs (x)").execute(&mut database).await.unwrap();
        assert_eq!(migrate(&mut database, MIGRATIONS).await.unwrap(), State::NotOurs);
        assert_eq!(schema(&mut database).await.len(), 1);
    }
}
