//! The jobs of the configuration: when each runs next, how it ended last, and one now.

use askama::Template;
use axum::{extract::State, response::Response};
use inventory::user::Role;
use model::RunResult;

use super::{
    Shared,
    asked::Path,
    page::{Page, html, shown, to},
    routes::{Route, get, post},
    sign::acting,
    trouble::Trouble,
    visit::{Form, Operator, Viewer, Visitor},
    words::{Words, words},
};
use crate::{
    cli::jobs::{self, JobJson},
    clock,
};

words! {
    /// The texts of jobs.
    Texts {
        name: "Name", "名前";
        kind: "Kind", "種類";
        site: "Site", "拠点";
        schedule: "Schedule", "スケジュール";
        always: "always", "常時";
        next: "Next runs", "次回実行";
        last: "Last run", "前回実行";
        result: "Result", "結果";
        running: "running", "実行中";
        late: "Late (s)", "遅延(秒)";
        run_now: "Run now", "今すぐ実行";
        wanted: "The service begins it within seconds.", "サービスが数秒以内に開始します。";
        waits: "wanted", "実行待ち";
        none: "The configuration has no jobs.", "設定にジョブがありません。";
        scan: "Scan", "スキャン";
    }
}

pub(super) fn routes() -> Vec<Route> {
    vec![get("/jobs", show), post("/jobs/{name}/run", run)]
}

struct Row {
    job: JobJson,
    kind: String,
    result: String,
    look: &'static str,
    waits: bool,
}

#[derive(Template)]
#[template(path = "jobs.html")]
struct List {
    page: Page,
    texts: &'static Texts,
    rows: Vec<Row>,
    may_run: bool,
}

async fn show(Viewer(visitor): Viewer, State(shared): State<Shared>) -> Result<Response, Trouble> {
    let texts = Texts::of(visitor.language);
    let wished = shared.store.wished_jobs().await?;
    let jobs = jobs::jobs(&shared.settings, Some(&shared.store)).await?;
    let row = |job: JobJson| {
        let (result, look) = match &job.last {
            None => (String::new(), ""),
            Some(run) => match run.result {
                None => (texts.running.to_owned(), "good"),
                Some(result) => {
                    let detail = run
                        .detail
                        .as_deref()
                        .map(|detail| format!(": {}", visitor.language.said(detail)));
                    let known = RunResult::ALL.into_iter().find(|one| one.as_str() == result);
                    let word = known.map_or(result, |known| visitor.language.run_result(known));
                    let text = shown(&format!("{word}{}", detail.unwrap_or_default()));
                    (text, if result == "done" { "good" } else { "warn" })
                }
            },
        };
        let waits = wished.iter().any(|(name, ..)| *name == job.name);
        let kind = visitor.language.name(job.kind);
        Row { job, kind, result, look, waits }
    };
    html(&List {
        page: Page::new(&visitor, Words::of(visitor.language).jobs),
        texts,
        rows: jobs.into_iter().map(row).collect(),
        may_run: visitor.may(Role::Operator),
    })
}

/// The page's process may not send a packet: the service begins the job.
async fn run(
    Operator(visitor): Operator,
    State(shared): State<Shared>,
    Path(name): Path<String>,
    _: Form,
) -> Result<Response, Trouble> {
    wanted(&shared, &visitor, &name).await?;
    Ok(to("/jobs"))
}

/// Notes that somebody wants a job to be run now.
pub(super) async fn wanted(shared: &Shared, visitor: &Visitor, name: &str) -> Result<(), Trouble> {
    let is_known = shared.settings.jobs.iter().any(|job| job.name == name);
    if !is_known {
        return Err(Trouble::NotFound);
    }
    Ok(acting(shared, visitor).wish_for_job(name, clock::now()).await?)
}
