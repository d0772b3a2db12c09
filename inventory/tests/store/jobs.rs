//! Runs of jobs: in the books with what they settle, and ended once.

use inventory::{
    run::{JobState, NewRun, Resume, RunEnd},
    store::{OpenMode, Store},
};
use model::{RunId, RunResult, Site};
use tempfile::TempDir;

use crate::at;

fn run(due: Option<i64>) -> NewRun {
    NewRun {
        job: "nightly".into(),
        kind: "sweep".into(),
        site: Site("plant".into()),
        due: due.map(at),
        attempt: 1,
        missed: 3,
        started_at: at(110),
    }
}

fn end(result: RunResult) -> RunEnd {
    RunEnd {
        ended_at: at(150),
        result,
        detail: "why".into(),
        scan: None,
        resume: Some(Resume { at: 77, of: "targets".into() }),
    }
}

fn settled(seconds: i64) -> JobState {
    let (name, schedule) = ("nightly".to_owned(), "30 2 * * * local".to_owned());
    JobState { name, schedule, settled: at(seconds) }
}

#[tokio::test]
async fn a_run_is_begun_with_what_it_settles_and_ended_once() {
    let folder = TempDir::new().unwrap();
    let store = Store::open(folder.path().join("daicho.db"), OpenMode::ReadWrite).await.unwrap();
    store.settle_job(&settled(50)).await.unwrap();
    let id = store.begin_run(&run(Some(100)), Some(&settled(100))).await.unwrap();
    assert_eq!(store.jobs().await.unwrap()["nightly"], settled(100));
    let open = store.open_runs().await.unwrap();
    assert_eq!((open.len(), &open[0].run, &open[0].end), (1, &run(Some(100)), &None));
    assert!(store.is_open_run(id).await.unwrap());

    assert!(store.end_run(id, &end(RunResult::Stopped)).await.unwrap());
    // Whoever comes later does not overwrite what is known.
    assert!(!store.end_run(id, &end(RunResult::Crashed)).await.unwrap());
    assert!(!store.end_run(RunId(99), &end(RunResult::Crashed)).await.unwrap());
    assert!(!store.is_open_run(id).await.unwrap() && store.open_runs().await.unwrap().is_empty());

    let by_hand = store.begin_run(&run(None), None).await.unwrap();
    assert_eq!(store.last_runs().await.unwrap()["nightly"].id, by_hand);
    let due = &store.last_due_runs().await.unwrap()["nightly"];
    assert_eq!((due.id, due.end.clone()), (id, Some(end(RunResult::Stopped))));
    let ids: Vec<RunId> =
        store.runs_of("nightly").await.unwrap().into_iter().map(|run| run.id).collect();
    assert_eq!(ids, [by_hand, id]);

    let skip = end(RunResult::Skipped);
    let skipped = store.skip_run(&run(Some(200)), &settled(200), &skip).await.unwrap();
    assert!(!store.is_open_run(skipped).await.unwrap());
    assert_eq!(store.jobs().await.unwrap()["nightly"].settled, at(200));
    store.close().await;
}

#[tokio::test]
async fn what_an_import_has_read_is_known_by_its_contents() {
    let folder = TempDir::new().unwrap();
    let store = Store::open(folder.path().join("daicho.db"), OpenMode::ReadWrite).await.unwrap();
    store.note_imported("leases", "/a", "00", at(1)).await.unwrap();
    store.note_imported("leases", "/a", "01", at(2)).await.unwrap();
    store.note_imported("other", "/a", "02", at(2)).await.unwrap();
    let known = store.imported("leases").await.unwrap();
    assert_eq!(known.into_iter().collect::<Vec<_>>(), [("/a".to_owned(), "01".to_owned())]);
    store.close().await;
}
