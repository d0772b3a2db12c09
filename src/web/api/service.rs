//! What the service does and did: jobs, messages, the audit, and what works here.

use axum::{extract::State, http::HeaderMap, response::Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{About, Order, PART, Part, Takes, done, get, leaf, post, rows, told};
use crate::{
    cli::{
        audit::{entry_json, verified_json},
        doctor,
        jobs::{self, JobJson},
    },
    clock,
    report::json::{MessageJson, TestedJson},
    web::{
        Shared, alerts,
        asked::{Path, Question},
        jobs::wanted,
        routes::Route,
        sign::acting,
        trouble::Trouble,
        visit::{Admin, Operator, Viewer},
    },
};

pub(super) fn routes() -> Vec<Route> {
    vec![
        get("/api/v1/jobs", list_jobs, About::read("The jobs", "{items: [Job], next: text?}")),
        post(
            "/api/v1/jobs/{name}/run",
            run,
            About::done(
                "Have the service run a job within seconds. A job that is wanted already is not \
                 wanted twice",
                Takes::Nothing,
                "{name: text, wanted: bool}",
            ),
        ),
        get(
            "/api/v1/alerts",
            messages,
            About::read(
                "The messages of the outbox, the latest first",
                "{items: [Message], next: text?}",
            )
            .asking(PART),
        ),
        post(
            "/api/v1/alerts/{id}/retry",
            retry,
            About::done(
                "Send a message again. One that waits is only sent earlier",
                Takes::Nothing,
                "Message",
            ),
        ),
        get(
            "/api/v1/routes",
            list_routes,
            About::read("Who is told of what", "{items: [Route], next: text?}"),
        ),
        post(
            "/api/v1/routes/{name}/test",
            test,
            About::done(
                "Send a test by a route, each time one",
                Takes::Nothing,
                "{route: text, sent: bool, words: text}",
            ),
        ),
        get(
            "/api/v1/audit",
            audit,
            About::read("What was done, the latest first", "{items: [Deed], next: text?}")
                .asking(PART),
        ),
        get(
            "/api/v1/audit/verify",
            verify,
            About::read("Whether the chain of the audit holds", "Verified")
                .asking(&[("head", "a hash that was kept elsewhere")]),
        ),
        get(
            "/api/v1/doctor",
            diagnose,
            About::read(
                "What works here, as the page's process sees it",
                "{checks: [{what: text, state: \"ok\"|\"limited\"|\"fails\", detail: text}]}",
            ),
        ),
    ]
}

async fn list_jobs(
    _: Viewer,
    State(shared): State<Shared>,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    let wished = shared.store.wished_jobs().await?;
    let jobs = jobs::jobs(&shared.settings, Some(&shared.store)).await?;
    let one = |job: &JobJson| {
        let mut value = json!(job);
        value["wanted"] = wished.iter().any(|(name, ..)| *name == job.name).into();
        value
    };
    let items: Vec<Value> = jobs.iter().map(one).collect();
    told(&headers, &json!({"items": items, "next": null}))
}

async fn run(
    Operator(visitor): Operator,
    State(shared): State<Shared>,
    Path(name): Path<String>,
    _: Order,
) -> Result<Response, Trouble> {
    wanted(&shared, &visitor, &name).await?;
    Ok(done(&json!({"name": name, "wanted": true})))
}

async fn messages(
    _: Viewer,
    State(shared): State<Shared>,
    headers: HeaderMap,
    Question(part): Question<Part>,
) -> Result<Response, Trouble> {
    let found = shared.store.message_leaf(part.after, rows(part.rows)).await?;
    let items = found.rows.iter().map(|message| json!(MessageJson::from(message))).collect();
    told(&headers, &leaf(&found, items))
}

async fn retry(
    Operator(visitor): Operator,
    State(shared): State<Shared>,
    Path(id): Path<i64>,
    _: Order,
) -> Result<Response, Trouble> {
    let message = acting(&shared, &visitor).retry_message(id, clock::now()).await?;
    Ok(done(&json!(MessageJson::from(&message))))
}

async fn list_routes(
    _: Viewer,
    State(shared): State<Shared>,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    let one = |route: &config::route::RouteSetting| {
        json!({
            "name": route.name,
            "severity": route.severity.as_str(),
            "about": route.about,
            "sites": route.sites,
        })
    };
    let items: Vec<Value> = shared.settings.routes.iter().map(one).collect();
    told(&headers, &json!({"items": items, "next": null}))
}

async fn test(
    Admin(visitor): Admin,
    State(shared): State<Shared>,
    Path(name): Path<String>,
    _: Order,
) -> Result<Response, Trouble> {
    if alerts::begins_a_program(&shared, &name) {
        let why = format!("the page's process begins no program: daicho alert test {name}");
        return Err(Trouble::Conflict(why));
    }
    let result = alerts::tested(&shared, &visitor, name.clone()).await?;
    let (sent, words) = match &result {
        Ok(words) => (true, words),
        Err(words) => (false, words),
    };
    Ok(done(&json!(TestedJson { route: &name, sent, words })))
}

async fn audit(
    _: Viewer,
    State(shared): State<Shared>,
    headers: HeaderMap,
    Question(part): Question<Part>,
) -> Result<Response, Trouble> {
    let found = shared.store.audit_leaf(part.after, rows(part.rows)).await?;
    let items = found.rows.iter().map(entry_json).collect();
    told(&headers, &leaf(&found, items))
}

#[derive(Deserialize)]
struct Kept {
    head: Option<String>,
}

async fn verify(
    _: Viewer,
    State(shared): State<Shared>,
    headers: HeaderMap,
    Question(Kept { head }): Question<Kept>,
) -> Result<Response, Trouble> {
    let head = head.map(|head| head.trim().to_lowercase());
    let verify =
        |shared: Shared| async move { Ok(shared.store.verify_audit(head.as_deref()).await?) };
    told(&headers, &verified_json(&shared.look_apart(verify).await?))
}

async fn diagnose(
    _: Operator,
    State(shared): State<Shared>,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    let look = |shared: Shared| async move { Ok(doctor::common(&shared.settings).await) };
    let checks: Vec<Value> =
        shared.look_apart(look).await?.iter().map(doctor::Check::json).collect();
    told(&headers, &json!({"checks": checks}))
}
