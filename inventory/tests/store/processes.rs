//! Several commands at once, and commands that do not end well.

use std::{
    io::{BufRead, BufReader},
    os::unix::{fs::PermissionsExt, process::CommandExt},
};

use super::*;

/// Names the database for the test that plays the other process.
const DATABASE: &str = "STORE_TEST_DATABASE";

/// This test program, to play `part` in another process.
fn other(part: &str, database: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", &format!("processes::{part}"), "--ignored", "--nocapture"])
        .env(DATABASE, database);
    command
}

fn database() -> PathBuf {
    std::env::var_os(DATABASE).expect("started by another test").into()
}

#[tokio::test]
async fn a_sweep_writes_while_assets_reads() {
    let folder = Folder::new();
    let sweep = folder.store().await;
    let scan = folder.begin(&sweep, 1).await;
    let path = folder.path();
    let reading = tokio::spawn(async move {
        let reader = Store::open(path, OpenMode::ReadOnly).await.unwrap();
        let mut last = 0;
        // Until everything is there; every read on the way succeeds and never goes back.
        while last < 40_000 {
            reader.assets().await.unwrap();
            let count = reader.observation_count().await.unwrap();
            assert!(count >= last);
            last = count;
        }
    });
    for chunk in 0..40 {
        let rows = (0..1000).map(|index| link(2, chunk * 1000 + index));
        sweep.write_observations(scan, rows).await.unwrap();
    }
    reading.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_sweeps_at_once_both_succeed() {
    let folder = Folder::new();
    let mut others: Vec<_> = (0..2)
        .map(|_| other("a_sweep", &folder.path()).stdout(Stdio::piped()).spawn().unwrap())
        .collect();
    for child in &mut others {
        let status = child.wait().unwrap();
        assert!(status.success(), "{status}");
    }
    let store = folder.store().await;
    let scans = store.scans(9).await.unwrap();
    assert_eq!(scans.len(), 2);
    assert!(scans.iter().all(|scan| scan.record.complete));
    assert_eq!(store.observation_count().await.unwrap(), 20_000);
    is_sound(&store).await;
}

#[tokio::test]
#[ignore = "the other process of two_sweeps_at_once_both_succeed"]
async fn a_sweep() {
    let store = Store::open(database(), OpenMode::ReadWrite).await.unwrap();
    let scan = store.begin_scan(&vantage(), at(1), "raw", &[], "sweep").await.unwrap();
    for chunk in 0..100 {
        let rows = (0..200).map(|index| link(2, chunk * 200 + index));
        store.write_observations(scan, rows).await.unwrap();
    }
    store.finish_scan(scan, &record(1)).await.unwrap();
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_first_commands_at_once_make_one_database() {
    let folder = Folder::new();
    let opening: Vec<_> = (0..12)
        .map(|index| {
            let path = folder.path();
            tokio::spawn(async move {
                let store = Store::open(path, OpenMode::ReadWrite).await.unwrap();
                store.begin_scan(&vantage(), at(index), "raw", &[], "sweep").await.unwrap();
                store.close().await;
            })
        })
        .collect();
    for opened in opening {
        opened.await.unwrap();
    }
    assert_eq!(folder.store().await.scans(99).await.unwrap().len(), 12);
}

#[tokio::test]
async fn a_kill_costs_nothing_that_was_committed() {
    let folder = Folder::new();
    let mut child =
        other("a_sweep_that_is_killed", &folder.path()).stdout(Stdio::piped()).spawn().unwrap();
    // It reports what it has committed; then it is killed while it goes on.
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let committed: u64 = lines
        .map_while(Result::ok)
        .filter_map(|line| line.strip_prefix("committed ")?.parse().ok())
        .find(|committed| *committed >= 5_000)
        .expect("it commits");
    child.kill().unwrap();
    child.wait().unwrap();
    let store = folder.store().await;
    assert!(store.observation_count().await.unwrap() >= committed);
    let scans = store.scans(9).await.unwrap();
    assert_eq!(scans.len(), 1);
    assert_eq!(scans[0].record.ended_at, None, "shown as incomplete");
    assert!(!scans[0].record.complete);
    is_sound(&store).await;
    // And the next sweep takes up what the killed one saw.
    let next = folder.begin(&store, 5).await;
    let digest = store.digest(next, at(6)).await.unwrap();
    assert!(digest.observations >= committed);
    assert_eq!(store.assets().await.unwrap().len(), digest.assets.len());
}

#[tokio::test]
#[ignore = "the other process of a_kill_costs_nothing_that_was_committed"]
async fn a_sweep_that_is_killed() {
    let store = Store::open(database(), OpenMode::ReadWrite).await.unwrap();
    let scan = store.begin_scan(&vantage(), at(1), "raw", &[], "sweep").await.unwrap();
    // Bounded, should nobody come to kill it.
    for chunk in 0..2_000 {
        let rows = (0..100).map(|index| link(2, chunk * 100 + index));
        store.write_observations(scan, rows).await.unwrap();
        #[expect(clippy::print_stdout, reason = "this is what it tells the other process")]
        {
            println!("committed {}", (chunk + 1) * 100);
        }
    }
}

#[tokio::test]
async fn a_full_disk_is_one_clear_error_and_loses_nothing() {
    let folder = Folder::new();
    let mount = folder.folder.path().join("small");
    std::fs::create_dir(&mount).unwrap();
    // A file system of little more than a mebibyte, which grows with the tables, that only this
    // child sees and that ends with it.
    let program = std::env::current_exe().unwrap();
    let status = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c"])
        .arg("mount -t tmpfs -o size=1600k none \"$1\" && shift && exec \"$@\"")
        .arg("sh")
        .arg(&mount)
        .arg(program)
        .args(["--exact", "processes::a_sweep_on_a_full_disk", "--ignored", "--nocapture"])
        .env(DATABASE, mount.join("daicho.db"))
        .stdout(Stdio::null())
        .status()
        .expect("unshare (util-linux) is needed to make a small file system");
    assert!(status.success(), "{status}: see its output above");
}

#[tokio::test]
#[ignore = "the other process of a_full_disk_is_one_clear_error_and_loses_nothing"]
async fn a_sweep_on_a_full_disk() {
    let store = Store::open(database(), OpenMode::ReadWrite).await.unwrap();
    let scan = store.begin_scan(&vantage(), at(1), "raw", &[], "sweep").await.unwrap();
    let others = database().with_file_name("of somebody else");
    std::fs::write(&others, vec![0; 400 << 10]).unwrap();
    let mut committed = 0;
    let error = loop {
        assert!(committed < 100_000, "the disk never fills");
        let rows = (0..500).map(|index| link(2, committed + index));
        match store.write_observations(scan, rows).await {
            Ok(_) => committed += 500,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    assert!(error.to_string().contains("free some space"), "{error}");
    assert!(committed > 0);
    assert_eq!(store.observation_count().await.unwrap(), u64::from(committed));
    // Every attempt says the same, whoever makes it, as long as there is no room.
    for _ in 0..3 {
        let rows = (0..500).map(|index| link(2, committed + index));
        let error = store.write_observations(scan, rows).await.unwrap_err();
        assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
        assert_eq!(store.observation_count().await.unwrap(), u64::from(committed));
    }
    // With room again, the same store goes on.
    std::fs::remove_file(&others).unwrap();
    let rows = (0..500).map(|index| link(2, committed + index));
    store.write_observations(scan, rows).await.unwrap();
    committed += 500;
    store.finish_scan(scan, &record(2)).await.unwrap();
    store.close().await;
    let store = Store::open(database(), OpenMode::ReadOnly).await.unwrap();
    assert_eq!(store.observation_count().await.unwrap(), u64::from(committed));
    is_sound(&store).await;
}

/// Runs `part` as a user who owns nothing here. Where the tests do not run as root, the
/// user is already one whom permissions bind.
fn as_nobody(part: &str, folder: &Folder) {
    let database = folder.path();
    let root = std::fs::metadata("/proc/self").map(|own| {
        use std::os::unix::fs::MetadataExt;
        own.uid() == 0
    });
    let mut command = other(part, &database);
    let copy = TempDir::new().unwrap();
    if root.unwrap() {
        // The test program may be where only root can go.
        let program = copy.path().join("test");
        std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        open_for_all(copy.path());
        open_for_all(&program);
        let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        command = Command::new(program);
        command.args(arguments).env(DATABASE, &database).current_dir("/").uid(65_534).gid(65_534);
    }
    let status = command.stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "{part}: {status}: see its output above");
}

fn open_for_all(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn close_for_writing(folder: &Folder) {
    let set = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    set(&folder.path(), 0o444);
    set(folder.folder.path(), 0o555);
}

#[tokio::test]
async fn a_read_only_file_is_one_clear_error() {
    let folder = Folder::new();
    folder.store().await.close().await;
    close_for_writing(&folder);
    as_nobody("a_sweep_on_a_read_only_file", &folder);
    open_for_all(folder.folder.path());
}

#[tokio::test]
#[ignore = "the other process of a_read_only_file_is_one_clear_error"]
async fn a_sweep_on_a_read_only_file() {
    let error = Store::open(database(), OpenMode::ReadWrite).await.unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
    assert!(error.to_string().contains("give this user write access"), "{error}");
}

#[tokio::test]
async fn a_folder_without_write_access_is_one_clear_error() {
    let folder = Folder::new();
    std::fs::set_permissions(folder.folder.path(), std::fs::Permissions::from_mode(0o555)).unwrap();
    as_nobody("a_sweep_in_a_read_only_folder", &folder);
    open_for_all(folder.folder.path());
}

#[tokio::test]
#[ignore = "the other process of a_folder_without_write_access_is_one_clear_error"]
async fn a_sweep_in_a_read_only_folder() {
    let error = Store::open(database(), OpenMode::ReadWrite).await.unwrap_err();
    assert!(matches!(error, StoreError::Open { .. }), "{error:?}");
    assert!(error.to_string().contains("may read and write it and its folder"), "{error}");
}

#[tokio::test]
async fn an_unreadable_file_is_one_clear_error() {
    let folder = Folder::new();
    folder.store().await.close().await;
    open_for_all(folder.folder.path());
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o000)).unwrap();
    as_nobody("a_command_on_an_unreadable_file", &folder);
}

#[tokio::test]
#[ignore = "the other process of an_unreadable_file_is_one_clear_error"]
async fn a_command_on_an_unreadable_file() {
    for mode in [OpenMode::ReadOnly, OpenMode::ReadWrite] {
        let error = Store::open(database(), mode).await.unwrap_err();
        assert!(matches!(error, StoreError::Open { .. }), "{error:?}");
    }
}

/// Runs `part` where the folder of the database is on a read-only file system, which only
/// that process sees.
fn on_read_only_medium(part: &str, database: &Path) {
    let status = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c"])
        .arg(
            "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" && shift && exec \"$@\"",
        )
        .arg("sh")
        .arg(database.parent().unwrap())
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &format!("processes::{part}"), "--ignored", "--nocapture"])
        .env(DATABASE, database)
        .stdout(Stdio::null())
        .status()
        .expect("unshare (util-linux) is needed to make a read-only file system");
    assert!(status.success(), "{part}: {status}: see its output above");
}

#[tokio::test]
async fn a_database_on_a_read_only_file_system_is_read() {
    let folder = Folder::new();
    let store = folder.store().await;
    let scan = folder.begin(&store, 1).await;
    store.write_observations(scan, (0..100).map(|index| link(2, index))).await.unwrap();
    store.digest(scan, at(3)).await.unwrap();
    store.close().await;
    let before = std::fs::read(folder.path()).unwrap();
    on_read_only_medium("a_command_on_a_read_only_file_system", &folder.path());
    assert_eq!(std::fs::read(folder.path()).unwrap(), before);
    let files = std::fs::read_dir(folder.folder.path()).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let others: Vec<String> = names.filter(|name| name != "daicho.db").collect();
    assert_eq!(others, ["daicho.db-locks"], "nothing was left beside the file and its locks");
}

#[tokio::test]
#[ignore = "the other process of a_database_on_a_read_only_file_system_is_read"]
async fn a_command_on_a_read_only_file_system() {
    let store = Store::open(database(), OpenMode::ReadOnly).await.unwrap();
    assert_eq!(store.observation_count().await.unwrap(), 100);
    assert_eq!(store.assets().await.unwrap().len(), 100);
    is_sound(&store).await;
    let error = store.begin_scan(&vantage(), at(9), "raw", &[], "sweep").await.unwrap_err();
    assert!(matches!(error, StoreError::OpenedForReading { .. }), "{error:?}");
    let error = Store::open(database(), OpenMode::ReadWrite).await.unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
}

#[tokio::test]
async fn a_log_that_cannot_be_read_is_one_clear_error() {
    let folder = Folder::new();
    let store = folder.store().await;
    let scan = folder.begin(&store, 1).await;
    store.write_observations(scan, [link(2, 0)]).await.unwrap();
    // What a backup of the two files takes while a sweep runs.
    let copy = TempDir::new().unwrap();
    for file in ["daicho.db", "daicho.db-wal"] {
        std::fs::copy(folder.folder.path().join(file), copy.path().join(file)).unwrap();
    }
    on_read_only_medium("a_command_without_the_log", &copy.path().join("daicho.db"));
    let store = Store::open(copy.path().join("daicho.db"), OpenMode::ReadOnly).await.unwrap();
    assert_eq!(store.observation_count().await.unwrap(), 1);
}

#[tokio::test]
#[ignore = "the other process of a_log_that_cannot_be_read_is_one_clear_error"]
async fn a_command_without_the_log() {
    let error = Store::open(database(), OpenMode::ReadOnly).await.unwrap_err();
    assert!(matches!(error, StoreError::LogOnReadOnly { .. }), "{error:?}");
    assert!(error.to_string().contains("-wal"), "{error}");
    let error = Store::open(database(), OpenMode::ReadWrite).await.unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
}
