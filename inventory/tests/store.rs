//! The store with real files: what it keeps, and what it says where it cannot.
//!
//! Some tests need a second process: they start this test program again with the name of an
//! ignored test, which plays the other part and is never run by itself.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use inventory::store::{OpenMode, Store, StoreError, Writer};
use model::{
    AddressRange, CertificateChain, Coverage, Endpoint, Fact, Gap, MacAddr, Method, NameSource,
    Observation, PortSet, PortState, ScanRecord, Service, Site, Subject, Timestamp, TlsVersion,
    Vantage,
};
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;

#[path = "store/backup.rs"]
mod backup;
#[path = "store/decisions.rs"]
mod decisions;
#[path = "store/inventory.rs"]
mod inventory_of;
#[path = "store/jobs.rs"]
mod jobs;
#[path = "store/openid.rs"]
mod openid;
#[path = "store/outbox.rs"]
mod outbox;
#[path = "store/pages.rs"]
mod pages;
#[path = "store/processes.rs"]
mod processes;
#[path = "store/prune.rs"]
mod prune;
#[path = "store/speed.rs"]
mod speed;
#[path = "store/stapled.rs"]
mod stapled;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn vantage() -> Vantage {
    Vantage { site: Site("plant".into()), name: "here".into() }
}

fn observation(seconds: i64, subject: Subject, method: Method, fact: Fact) -> Observation {
    let evidence = b"bytes".to_vec();
    Observation { observed_at: at(seconds), vantage: vantage(), method, subject, fact, evidence }
}

/// A documentation or benchmark address.
fn address(index: u32) -> IpAddr {
    Ipv4Addr::from(0xc612_0000_u32.wrapping_add(index)).into()
}

fn mac(index: u32) -> MacAddr {
    let [_, b, c, d] = index.to_be_bytes();
    MacAddr([0x00, 0x00, 0x5e, b, c, d])
}

fn link(seconds: i64, index: u32) -> Observation {
    let subject = Subject::Address(address(index));
    observation(seconds, subject, Method::Arp, Fact::LinkAddress(mac(index)))
}

fn banner(seconds: i64, index: u32, port: u16, product: &str, version: &str) -> Observation {
    let service = Service {
        product: Some(product.into()),
        version: Some(version.into()),
        ..Service::of("http")
    };
    let subject = Subject::Endpoint(Endpoint::tcp(address(index), port));
    observation(seconds, subject, Method::Dialogue, Fact::Service(service))
}

fn port(seconds: i64, index: u32, port: u16, state: PortState) -> Observation {
    let subject = Subject::Endpoint(Endpoint::tcp(address(index), port));
    observation(seconds, subject, Method::TcpSyn, Fact::PortState(state))
}

fn record(seconds: i64) -> ScanRecord {
    ScanRecord {
        vantage: vantage(),
        started_at: at(seconds),
        ended_at: Some(at(seconds + 5)),
        io: "raw".into(),
        probes_sent: 300,
        replies: 17,
        drops: 2,
        complete: true,
        gaps: vec![Gap { target: "198.18.0.0/27".into(), reason: "a \"firewall\" answers".into() }],
        coverage: vec![Coverage {
            range: AddressRange::new(address(0), address(255)).unwrap(),
            methods: vec![Method::Arp, Method::TcpSyn],
            tcp: "22,80-90".parse().unwrap(),
            udp: "53".parse().unwrap(),
        }],
    }
}

struct Folder {
    folder: TempDir,
}

impl Folder {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("daicho.db")
    }

    async fn store(&self) -> Store {
        Store::open(self.path(), OpenMode::ReadWrite).await.unwrap()
    }

    async fn begin(&self, store: &Store, seconds: i64) -> model::ScanId {
        store
            .begin_scan(&vantage(), at(seconds), "raw", &["198.18.0.0/24".into()], "sweep")
            .await
            .unwrap()
    }

    async fn open_error(&self, mode: OpenMode) -> String {
        Store::open(self.path(), mode).await.unwrap_err().to_string()
    }

    /// Runs SQL that we never run.
    async fn tamper(&self, sql: &'static str) {
        let url = format!("sqlite://{}?mode=rwc", self.path().display());
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// Every row of these tables as text.
    async fn dump(&self, tables: &[&str]) -> Vec<String> {
        let mut connection = self.raw().await;
        let mut rows = Vec::new();
        for table in tables {
            let columns: String = sqlx::query_scalar(
                "SELECT group_concat('quote(' || name || ')', '||''|''||')
                 FROM pragma_table_info($1)",
            )
            .bind(*table)
            .fetch_one(&mut connection)
            .await
            .unwrap();
            let sql = format!("SELECT '{table}: ' || {columns} FROM {table} ORDER BY 1");
            let table: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
                .fetch_all(&mut connection)
                .await
                .unwrap();
            rows.extend(table);
        }
        rows
    }

    async fn raw(&self) -> SqliteConnection {
        let url = format!("sqlite://{}", self.path().display());
        SqliteConnection::connect(&url).await.unwrap()
    }
}

/// What the lists of pages say, without the numbers that they give to kinds of things.
async fn listed(folder: &Folder) -> Vec<String> {
    let tables = ["listed_asset", "listed_address", "listed_certificate", "listed_finding"];
    let mut rows = folder.dump(&tables).await;
    let mut connection = folder.raw().await;
    for sql in [
        "SELECT asset || hex(address) || shown || first_seen || ' ' || last_seen
         FROM listed_service JOIN service_kind ON service_kind.id = kind ORDER BY 1",
        "SELECT asset || shown || source_shown || first_seen || ' ' || last_seen
         FROM listed_software JOIN product ON product.id = kind ORDER BY 1",
    ] {
        let found: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut connection).await.unwrap();
        rows.extend(found);
    }
    connection.close().await.unwrap();
    rows
}

/// The lists are what a review makes of everything that there is.
async fn lists_are_true(folder: &Folder, store: &Store, seconds: i64) {
    store.review(at(seconds), &inventory_of::policy()).await.unwrap();
    let kept = listed(folder).await;
    assert!(!kept.is_empty());
    folder
        .tamper(
            "DELETE FROM listed_asset; DELETE FROM listed_address; DELETE FROM listed_service;
             DELETE FROM listed_software; DELETE FROM listed_certificate;
             DELETE FROM listed_finding",
        )
        .await;
    store.review(at(seconds), &inventory_of::policy()).await.unwrap();
    assert_eq!(kept, listed(folder).await);
}

/// Somebody who may look, for whom lists are kept.
async fn let_somebody_look(store: &Store) {
    store.add_user("sato", inventory::user::Role::Viewer, "hash", at(1)).await.unwrap();
}

/// What must be true of every database after every test.
async fn is_sound(store: &Store) {
    let health = store.health().await.unwrap();
    assert_eq!((&health.problems, &health.dangling), (&Vec::new(), &Vec::new()));
    assert_eq!(health.schema, health.newest_schema);
}

#[tokio::test]
async fn a_database_is_made_with_its_folder() {
    let folder = Folder::new();
    let path = folder.folder.path().join("a/b/daicho.db");
    let store = Store::open(&path, OpenMode::ReadWrite).await.unwrap();
    is_sound(&store).await;
    store.close().await;
    let store = Store::open(&path, OpenMode::ReadOnly).await.unwrap();
    assert_eq!(store.assets().await.unwrap(), []);
    let refused = store.begin_scan(&vantage(), at(1), "raw", &[], "sweep").await.unwrap_err();
    assert!(matches!(refused, StoreError::OpenedForReading { .. }), "{refused}");
}

#[tokio::test]
async fn reading_before_the_first_sweep_says_so() {
    let folder = Folder::new();
    let expected = format!(
        "there is no database at {} yet: run a sweep first, or name another with --db",
        folder.path().display()
    );
    assert_eq!(folder.open_error(OpenMode::ReadOnly).await, expected);
    assert!(!folder.path().exists(), "asking must not make one");
    // A sweep that was killed before it made the tables leaves an empty file.
    std::fs::write(folder.path(), []).unwrap();
    assert_eq!(folder.open_error(OpenMode::ReadOnly).await, expected);
    is_sound(&folder.store().await).await;
}

#[tokio::test]
async fn a_newer_schema_is_refused_with_both_versions() {
    let folder = Folder::new();
    let store = folder.store().await;
    let newest = store.health().await.unwrap().newest_schema;
    store.close().await;
    folder.tamper("PRAGMA user_version = 99").await;
    for mode in [OpenMode::ReadOnly, OpenMode::ReadWrite] {
        let error = folder.open_error(mode).await;
        assert!(error.contains("has schema version 99"), "{error}");
        assert!(error.contains(&format!("knows versions up to {newest}:")), "{error}");
        assert!(error.contains("use the newer program"), "{error}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_alone() {
    let folder = Folder::new();
    let text = "name,mac\n".repeat(2000);
    std::fs::write(folder.path(), &text).unwrap();
    for mode in [OpenMode::ReadOnly, OpenMode::ReadWrite] {
        let error = folder.open_error(mode).await;
        assert!(error.contains("is not a Daicho database"), "{error}");
    }
    assert_eq!(std::fs::read_to_string(folder.path()).unwrap(), text);
}

#[tokio::test]
async fn another_programs_database_is_left_alone() {
    let folder = Folder::new();
    folder.tamper("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)").await;
    let before = std::fs::read(folder.path()).unwrap();
    for mode in [OpenMode::ReadOnly, OpenMode::ReadWrite] {
        let error = folder.open_error(mode).await;
        assert!(error.contains("is not a Daicho database"), "{error}");
    }
    assert_eq!(std::fs::read(folder.path()).unwrap(), before);
}

#[tokio::test]
async fn a_folder_in_place_of_the_file_is_named() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path()).unwrap();
    for mode in [OpenMode::ReadOnly, OpenMode::ReadWrite] {
        let error = folder.open_error(mode).await;
        let path = folder.path().display().to_string();
        assert_eq!(error, format!("{path} is a folder: name a file for the database with --db"));
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let folder = Folder::new();
    std::fs::write(folder.folder.path().join("file"), []).unwrap();
    let path = folder.folder.path().join("file/daicho.db");
    let error = Store::open(&path, OpenMode::ReadWrite).await.unwrap_err();
    assert!(matches!(error, StoreError::Folder { .. }), "{error}");
}

#[tokio::test]
async fn a_damaged_file_is_one_clear_error() {
    let folder = Folder::new();
    let store = folder.store().await;
    let scan = folder.begin(&store, 1).await;
    store.write_observations(scan, (0..3000).map(|i| link(2, i))).await.unwrap();
    store.close().await;
    // Everything behind the first pages, so that the file opens and the tables do not.
    let mut bytes = std::fs::read(folder.path()).unwrap();
    bytes[8192..].fill(0x5a);
    std::fs::write(folder.path(), &bytes).unwrap();
    let damaged = match Store::open(folder.path(), OpenMode::ReadWrite).await {
        Err(error) => error,
        Ok(store) => {
            let scan = folder_scan(&store).await;
            match scan {
                Err(error) => error,
                Ok(scan) => {
                    store.write_observations(scan, (0..3000).map(|i| link(2, i))).await.unwrap_err()
                }
            }
        }
    };
    assert!(matches!(damaged, StoreError::Corrupt { .. }), "{damaged}");
    assert!(damaged.to_string().contains("restore it from a backup"), "{damaged}");
}

async fn folder_scan(store: &Store) -> Result<model::ScanId, StoreError> {
    store.begin_scan(&vantage(), at(9), "raw", &[], "sweep").await
}

#[tokio::test]
async fn a_value_that_we_never_write_is_named() {
    let folder = Folder::new();
    let store = folder.store().await;
    let scan = folder.begin(&store, 1).await;
    store.finish_scan(scan, &record(1)).await.unwrap();
    store.close().await;
    folder.tamper("UPDATE coverage SET tcp = 'seven'").await;
    let error = folder.store().await.scan(scan).await.unwrap_err();
    assert!(error.to_string().contains("\"seven\" in coverage.tcp"), "{error}");
}

#[tokio::test]
async fn a_scan_is_kept_as_it_was() {
    let folder = Folder::new();
    let store = folder.store().await;
    let scan = folder.begin(&store, 1).await;
    let running = store.scan(scan).await.unwrap();
    assert_eq!(running.record.ended_at, None);
    assert!(!running.record.complete);
    assert_eq!(running.targets, ["198.18.0.0/24"]);
    store.finish_scan(scan, &record(1)).await.unwrap();
    // Once more changes nothing: a long capture notes its state from time to time.
    store.finish_scan(scan, &record(1)).await.unwrap();
    let ended = store.scan(scan).await.unwrap();
    assert_eq!(ended.record, record(1));
    let second = folder.begin(&store, 9).await;
    let scans = store.scans(9).await.unwrap();
    assert_eq!(scans.iter().map(|scan| scan.id).collect::<Vec<_>>(), [second, scan]);
    // A list counts the gaps, and reads none of them.
    let gaps: Vec<u64> = scans.iter().map(|scan| scan.gap_count).collect();
    assert_eq!(gaps, [0, record(1).gaps.len() as u64]);
    assert_eq!(ended.gap_count, gaps[1]);
    assert!(gaps[1] > 0 && scans.iter().all(|scan| scan.record.gaps.is_empty()));
    assert!(matches!(store.scan(model::ScanId(77)).await, Err(StoreError::NoScan(_))));
    let missing = store.finish_scan(model::ScanId(77), &record(1)).await;
    assert!(matches!(missing, Err(StoreError::NoScan(_))));
    is_sound(&store).await;
}

#[tokio::test]
async fn the_store_grows_with_facts_and_not_with_time() {
    let folder = Folder::new();
    let store = folder.store().await;
    for round in 0..10 {
        let scan = folder.begin(&store, round).await;
        store.write_observations(scan, (0..10_000).map(|i| link(round, i))).await.unwrap();
        assert_eq!(store.observation_count().await.unwrap(), 10_000);
    }
    let row = &folder.dump(&["observation"]).await[0];
    let expected = format!("|{}|{}|10|X'6279746573'|10|1", at(0).0, at(9).0);
    assert!(row.ends_with(&expected), "{row}");
    is_sound(&store).await;
}

#[tokio::test]
async fn order_of_arrival_does_not_matter() {
    let mut dumps = Vec::new();
    for order in [[1, 2, 3], [3, 1, 2], [2, 3, 1]] {
        let folder = Folder::new();
        let store = folder.store().await;
        let scan = folder.begin(&store, 1).await;
        for seconds in order {
            let evidence = vec![u8::try_from(seconds).unwrap(); 9];
            let one = Observation { evidence, ..link(seconds, 7) };
            store.write_observations(scan, [one]).await.unwrap();
        }
        dumps.push(folder.dump(&["observation"]).await);
    }
    assert!(dumps[0][0].contains("X'030303030303030303'"), "{dumps:?}");
    assert_eq!(dumps[0], dumps[1]);
    assert_eq!(dumps[0], dumps[2]);
}

#[tokio::test]
async fn the_same_fact_from_elsewhere_is_another_observation() {
    let folder = Folder::new();
    let store = folder.store().await;
    let scan = folder.begin(&store, 1).await;
    let mut elsewhere = link(1, 7);
    elsewhere.vantage.name = "there".into();
    let mut other_site = link(1, 7);
    other_site.vantage.site = Site("office".into());
    let other_method = Observation { method: Method::Capture, ..link(1, 7) };
    let all = [link(1, 7), elsewhere, other_site, other_method, link(2, 7)];
    let written = store.write_observations(scan, all).await.unwrap();
    assert_eq!((written.observations, written.rows), (5, 4));
}

#[tokio::test]
async fn evidence_is_cut() {
    let folder = Folder::new();
    let store = folder.store().await;
    let scan = folder.begin(&store, 1).await;
    let long = Observation { evidence: vec![7; 5000], ..link(1, 7) };
    store.write_observations(scan, [long]).await.unwrap();
    let row = &folder.dump(&["observation"]).await[0];
    assert_eq!(row.matches("07").count() / 256, 1, "{row}");
}

#[tokio::test]
async fn the_writer_stores_everything_that_it_was_given() {
    let folder = Folder::new();
    let store = folder.store().await;
    let scan = folder.begin(&store, 1).await;
    let (sink, writer) = Writer::start(&store, scan).unwrap();
    let threads: Vec<_> = (0..4_u32)
        .map(|thread| {
            let sink = sink.clone();
            std::thread::spawn(move || {
                for index in 0..5000 {
                    sink.send_blocking(link(1, thread * 2500 + index)).unwrap();
                }
            })
        })
        .collect();
    sink.send(link(9, 0)).await.unwrap();
    sink.offer(link(9, 99_999)).unwrap();
    let offered = 1 - sink.dropped();
    drop(sink);
    for thread in threads {
        tokio::task::spawn_blocking(move || thread.join().unwrap()).await.unwrap();
    }
    let report = writer.finish().await.unwrap();
    assert_eq!(report.written.observations, 20_001 + offered);
    assert_eq!(report.dropped, 1 - offered);
    // 4 threads of 5000, each overlapping the next by 2500.
    assert_eq!(store.observation_count().await.unwrap(), 12_500 + offered);
    is_sound(&store).await;
}

#[tokio::test]
async fn a_writer_wants_a_store_to_write_to() {
    let folder = Folder::new();
    folder.store().await.close().await;
    let store = Store::open(folder.path(), OpenMode::ReadOnly).await.unwrap();
    let error = Writer::start(&store, model::ScanId(1)).unwrap_err();
    assert!(matches!(error, StoreError::OpenedForReading { .. }), "{error}");
}

#[tokio::test]
async fn a_writer_that_fails_says_why() {
    let folder = Folder::new();
    let store = folder.store().await;
    // There is no such scan, so the foreign key refuses the rows.
    let (sink, writer) = Writer::start(&store, model::ScanId(77)).unwrap();
    sink.send(link(1, 1)).await.unwrap();
    drop(sink);
    let error = writer.finish().await.unwrap_err();
    assert!(matches!(error, StoreError::Statement { .. }), "{error}");
    assert!(error.to_string().starts_with("writing observations failed"), "{error}");
    assert_eq!(store.observation_count().await.unwrap(), 0);
}
