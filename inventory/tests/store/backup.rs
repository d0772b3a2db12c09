//! Copies of the database: whole whenever they are made, and back in its place or not at all.

use std::{fs, os::unix::fs::PermissionsExt as _};

use inventory::{
    audit::Actor,
    store::{Dangling, Existing, inspect, restore},
};

use super::*;

async fn put_back(folder: &Folder, from: &Path) -> Result<Option<PathBuf>, String> {
    let restored = restore(&folder.path(), from, &Actor::program(), at(9_000)).await;
    restored.map(|restored| restored.old).map_err(|error| error.to_string())
}

fn files(folder: &Folder) -> Vec<String> {
    let entries = fs::read_dir(folder.folder.path()).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_made_while_a_sweep_writes_is_one_moment_of_it() {
    let folder = Folder::new();
    let store = folder.store().await;
    let scan = folder.begin(&store, 1).await;
    let (sink, writer) = Writer::start(&store, scan).unwrap();
    let writing = tokio::spawn(async move {
        // Two facts of each, in this order: no moment has the second without the first.
        for index in 0..30_000 {
            sink.send(link(2, index)).await.unwrap();
            sink.send(port(2, index, 80, PortState::Open)).await.unwrap();
        }
    });
    let mut counts = Vec::new();
    for number in 0..3 {
        let copy = folder.folder.path().join(format!("copy-{number}.db"));
        let made = store.backup(&copy, Existing::Keep).await.unwrap();
        assert_eq!(made, inspect(&copy).await.unwrap());
        assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
        let copied = Store::open(&copy, OpenMode::ReadOnly).await.unwrap();
        counts.push(copied.observation_count().await.unwrap());
        copied.close().await;
    }
    writing.await.unwrap();
    writer.finish().await.unwrap();
    assert!(counts.is_sorted() && counts[0] < 60_000, "{counts:?}");
    assert_eq!(store.observation_count().await.unwrap(), 60_000, "the sweep lost nothing");
}

#[tokio::test]
async fn a_copy_is_not_written_through_a_link_that_somebody_laid() {
    let folder = Folder::new();
    let store = folder.store().await;
    let other = folder.folder.path().join("other");
    fs::write(&other, "of somebody else").unwrap();
    let (copy, partial) = (folder.folder.path().join("copy.db"), "copy.db.partial");
    let partial = folder.folder.path().join(partial);
    std::os::unix::fs::symlink(&other, &partial).unwrap();
    store.backup(&copy, Existing::Keep).await.unwrap_err();
    fs::remove_file(&partial).unwrap();
    fs::hard_link(&other, &partial).unwrap();
    store.backup(&copy, Existing::Keep).await.unwrap_err();
    assert_eq!(fs::read_to_string(&other).unwrap(), "of somebody else");
    fs::remove_file(&partial).unwrap();
    store.backup(&copy, Existing::Keep).await.unwrap();
}

#[tokio::test]
async fn a_copy_replaces_the_database_only_while_nobody_has_it_open() {
    let folder = Folder::new();
    let store = folder.store().await;
    let scan = folder.begin(&store, 1).await;
    store.write_observations(scan, (0..10).map(|index| link(2, index))).await.unwrap();
    let copy = folder.folder.path().join("copy.db");
    store.backup(&copy, Existing::Keep).await.unwrap();
    let again = store.backup(&copy, Existing::Keep).await.unwrap_err().to_string();
    assert!(again.contains("exists") && again.contains("--overwrite"), "{again}");
    store.write_observations(scan, (10..15).map(|index| link(3, index))).await.unwrap();

    let refused = put_back(&folder, &copy).await.unwrap_err();
    assert!(refused.contains("is in use"), "{refused}");
    store.close().await;
    let reader = Store::open(folder.path(), OpenMode::ReadOnly).await.unwrap();
    assert!(put_back(&folder, &copy).await.unwrap_err().contains("is in use"));
    reader.close().await;
    // A program that is none of ours, in the middle of reading.
    let mut theirs = folder.raw().await;
    sqlx::raw_sql("BEGIN; SELECT count(*) FROM scan").execute(&mut theirs).await.unwrap();
    assert!(put_back(&folder, &copy).await.unwrap_err().contains("is in use"));
    theirs.close().await.unwrap();

    let old = put_back(&folder, &copy).await.unwrap().unwrap();
    let store = folder.store().await;
    assert_eq!(store.observation_count().await.unwrap(), 10);
    let audit = store.audit(None).await.unwrap();
    assert_eq!((audit.len(), audit[0].deed.action.as_str()), (1, "restore"));
    assert_eq!(store.verify_audit(None).await.unwrap().broken, None);
    store.close().await;
    let old = Store::open(old, OpenMode::ReadOnly).await.unwrap();
    assert_eq!(old.observation_count().await.unwrap(), 15, "the log was folded in");
    old.close().await;
    let left: Vec<String> =
        files(&folder).into_iter().filter(|name| !name.ends_with("-locks")).collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

#[tokio::test]
async fn what_is_not_sound_takes_no_place() {
    let folder = Folder::new();
    let store = folder.store().await;
    let scan = folder.begin(&store, 1).await;
    store.write_observations(scan, (0..500).map(|index| link(2, index))).await.unwrap();
    let copy = folder.folder.path().join("copy.db");
    store.backup(&copy, Existing::Keep).await.unwrap();
    store.close().await;
    let good = fs::read(&copy).unwrap();
    let changed = |sql: &'static str| {
        let (copy, good) = (copy.clone(), good.clone());
        async move {
            fs::write(&copy, good).unwrap();
            let mut connection =
                SqliteConnection::connect(&format!("sqlite://{}", copy.display())).await.unwrap();
            sqlx::raw_sql("PRAGMA foreign_keys = OFF").execute(&mut connection).await.unwrap();
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        }
    };
    let forged =
        "INSERT INTO audit VALUES (1, 1, 'sato', 'accept', '', '', '', printf('%064d', 7))";
    for (sql, expected) in [
        ("PRAGMA user_version = 9999", "schema version 9999"),
        ("PRAGMA application_id = 7", "not a Daicho database"),
        (forged, "its audit is broken: entry 1 was changed"),
    ] {
        changed(sql).await;
        let error = put_back(&folder, &copy).await.unwrap_err();
        assert!(error.contains(expected) && error.contains("copy.db"), "{error}");
    }
    let mut damaged = good.clone();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 8192].fill(0x5a);
    for bytes in [&damaged[..], &good[..good.len() / 2], b"no database", b""] {
        fs::write(&copy, bytes).unwrap();
        put_back(&folder, &copy).await.unwrap_err();
    }
    let missing = put_back(&folder, Path::new("/nowhere/copy.db")).await.unwrap_err();
    assert!(missing.contains("/nowhere/copy.db"), "{missing}");
    let store = folder.store().await;
    assert_eq!(store.observation_count().await.unwrap(), 500);
    store.close().await;
    assert_eq!(files(&folder), ["copy.db", "daicho.db", "daicho.db-locks"]);
}

#[tokio::test]
async fn what_refers_to_nothing_is_told_of_copied_put_back_and_mended() {
    let folder = Folder::new();
    let store = folder.store().await;
    for seconds in [1, 100] {
        let scan = folder.begin(&store, seconds).await;
        store.write_observations(scan, (0..20).map(|index| link(2, index))).await.unwrap();
        store.finish_scan(scan, &record(seconds)).await.unwrap();
        store.digest(scan, at(seconds + 5)).await.unwrap();
    }
    let assets = store.assets().await.unwrap();
    let mut theirs = folder.raw().await;
    // As somebody may who repairs by hand, or a mistake of ours.
    let broken = "PRAGMA foreign_keys = OFF; UPDATE observation SET last_scan = 77 WHERE id <= 5;
         INSERT INTO software (asset, product, source, first_seen, last_seen, current)
             VALUES (999, 'ghost', '', 0, 0, 1);
         INSERT INTO gap (scan, target, reason) VALUES (88, 'nowhere', 'nothing');
         INSERT INTO event (at, kind, asset, subject, detail) SELECT at, kind, 999, subject, detail
             FROM event LIMIT 1;
         INSERT INTO scan (id, vantage, command, targets, io, started_at)
             VALUES (66, 999, '', '[]', '', 0), (67, 999, '', '[]', '', 0);
         INSERT INTO event (at, kind, subject, detail, scan) SELECT at, kind, subject, detail, 66
             FROM event LIMIT 1";
    sqlx::raw_sql(broken).execute(&mut theirs).await.unwrap();
    theirs.close().await.unwrap();

    let copy = folder.folder.path().join("copy.db");
    let made = store.backup(&copy, Existing::Keep).await.unwrap();
    let told: Vec<String> = made.dangling.iter().map(ToString::to_string).collect();
    let expected = [
        "1 row of event refers to rows of asset that do not exist",
        "1 row of gap refers to rows of scan that do not exist",
        "5 rows of observation refer to rows of scan that do not exist",
        "2 rows of scan refer to rows of vantage that do not exist",
        "1 row of software refers to rows of asset that do not exist",
    ];
    assert_eq!(told, expected);
    assert_eq!(store.health().await.unwrap().dangling, made.dangling);
    assert_eq!(store.dangling().await.unwrap(), made.dangling);
    store.close().await;
    let restored = restore(&folder.path(), &copy, &Actor::program(), at(9_000)).await.unwrap();
    assert_eq!(restored.backup.dangling, made.dangling);

    let store = folder.store().await;
    let left = store.mend(at(9_001)).await.unwrap();
    assert_eq!(left[0], made.dangling[0], "an event is never changed");
    let words: Vec<String> = left[1..].iter().map(ToString::to_string).collect();
    assert_eq!(words, ["1 row of scan refers to rows of vantage that do not exist"]);
    assert_eq!(left.iter().map(Dangling::is_mended).collect::<Vec<_>>(), [false, true]);
    assert_eq!(store.observation_count().await.unwrap(), 20, "no observation was lost");
    assert_eq!(store.assets().await.unwrap(), assets);
    let audit = store.audit(None).await.unwrap();
    let detail = &audit[0].deed.detail;
    assert!(detail.contains("1 row of gap refers") && detail.contains("1 row of scan"), "{detail}");
    assert!(!detail.contains("event"), "it stays: {detail}");
    assert_eq!(store.mend(at(9_002)).await.unwrap(), left);
    assert_eq!(store.audit(None).await.unwrap().len(), audit.len(), "nothing was done");
    assert_eq!(store.verify_audit(None).await.unwrap().broken, None);
}

#[tokio::test]
async fn a_damaged_database_is_replaced_and_an_old_copy_brought_up_to_date() {
    let folder = Folder::new();
    let store = folder.store().await;
    let copy = folder.folder.path().join("copy.db");
    store.backup(&copy, Existing::Keep).await.unwrap();
    store.close().await;
    // As the version before made it, and so without what this one added.
    let mut bytes = fs::read(folder.path()).unwrap();
    bytes[100..].fill(0xee);
    fs::write(folder.path(), bytes).unwrap();
    assert!(
        Store::open(folder.path(), OpenMode::ReadOnly).await.is_err() || {
            folder.store().await.assets().await.is_err()
        }
    );
    let old = put_back(&folder, &copy).await.unwrap().unwrap();
    assert!(fs::read(old).unwrap()[100..].iter().all(|byte| *byte == 0xee));
    folder.store().await.assets().await.unwrap();
}

/// Takes a database back to version 12, before lists, the page and horizons.
const BACK_TO_12: &str = "PRAGMA foreign_keys = OFF;
    DROP TABLE saved_view; DROP TABLE list_generation;
    DROP TABLE listed_asset; DROP TABLE listed_address; DROP TABLE listed_service;
    DROP TABLE service_kind; DROP TABLE listed_software; DROP TABLE product;
    DROP TABLE listed_certificate; DROP TABLE listed_finding; DROP TABLE daily;
    DROP TABLE session; DROP TABLE user_identity; DROP TABLE user; DROP TABLE api_token; DROP TABLE attempt;
    DROP TABLE page_process; DROP TABLE progress; DROP TABLE job_wish;
    DROP TRIGGER event_stays; DROP TABLE horizon; ALTER TABLE scan DROP COLUMN bytes;
    CREATE TRIGGER event_stays BEFORE DELETE ON event
    BEGIN SELECT RAISE (ABORT, 'an event is never removed'); END;
    PRAGMA user_version = 12";

#[tokio::test]
async fn an_old_database_and_an_old_copy_come_with_all_that_is_in_them() {
    let folder = Folder::new();
    let store = folder.store().await;
    let_somebody_look(&store).await;
    for seconds in [100, 5_000] {
        let seen = (0..40).flat_map(|index| {
            let product = if index % 2 == 0 { "nginx" } else { "Apache" };
            [
                link(seconds, index),
                port(seconds, index, 80, PortState::Open),
                banner(seconds + 1, index, 80, product, "1.2"),
                port(seconds + 1, index, 23, PortState::Closed),
            ]
        });
        folder.sweep(&store, seconds, seen.collect()).await;
        store.review(at(seconds + 50), &inventory_of::policy()).await.unwrap();
    }
    let (assets, lists) = (store.assets().await.unwrap(), listed(&folder).await);
    let events = store.events(u32::MAX).await.unwrap();
    assert!(lists.len() > 100 && !events.is_empty());
    store.close().await;
    folder.tamper(BACK_TO_12).await;
    let old = folder.folder.path().join("old.db");
    fs::copy(folder.path(), &old).unwrap();
    assert_eq!(inspect(&old).await.unwrap().schema, 12);

    // Opened where it is; and put back as a copy, in the place of one that went on.
    for is_copy in [false, true] {
        if is_copy {
            let restored = restore(&folder.path(), &old, &Actor::program(), at(9_000)).await;
            assert_eq!(restored.unwrap().backup.schema, 12);
        }
        let store = folder.store().await;
        is_sound(&store).await;
        assert_eq!(store.assets().await.unwrap(), assets);
        assert_eq!(store.events(u32::MAX).await.unwrap(), events);
        assert!(store.lacks_lists().await.unwrap());
        let_somebody_look(&store).await;
        store.review(at(5_050), &inventory_of::policy()).await.unwrap();
        assert_eq!(listed(&folder).await, lists, "the same as if they had been kept");
        lists_are_true(&folder, &store, 5_050).await;
        store.close().await;
    }
}
