//! What there is: one asset, certificate, finding or scan with everything that is known of it, and
//! how things stand.

use std::collections::BTreeMap;

use axum::{extract::State, http::HeaderMap, response::Response};
use inventory::{
    asset::{AssetId, Event},
    query::Kind,
    store::{
        DayCount, Ending,
        list::{Direction, Request, Sort},
    },
};
use model::{ScanId, Severity};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{About, PART, Part, asked_language, get, leaf, rows, told, word};
use crate::{
    cli::{assets, certs},
    clock, report,
    web::{
        Shared,
        asked::{Path, Question},
        language::Language,
        lists,
        routes::Route,
        summary, trends,
        trouble::Trouble,
        visit::Viewer,
    },
};

pub(super) fn routes() -> Vec<Route> {
    vec![
        get("/api/v1/overview", overview, About::read("How things stand, in numbers", "Overview")),
        get(
            "/api/v1/assets/{id}",
            asset,
            About::read("An asset, why it is one, and what was observed of it", "WholeAsset"),
        ),
        get(
            "/api/v1/certificates/{sha256}",
            certificate,
            About::read(
                "A certificate with its chains, by its hash or the beginning of it",
                "WholeCertificate",
            ),
        ),
        get(
            "/api/v1/events",
            events,
            About::read(
                "What happened, the latest first",
                "{items: [{at: moment, kind: text, asset: int?, subject: text, detail: text}],
                  next: text?}",
            )
            .asking(PART),
        ),
        get(
            "/api/v1/trends",
            went,
            About::read(
                "What there was on each of the last days on which something was reviewed, the \
                 oldest first",
                "{items: [{day: day, assets: int, unregistered: int,
                  findings: {critical: int, warning: int, info: int}}], next: text?}",
            )
            .asking(&[("days", "how many, 1 to 1000; 90 where it is not said")]),
        ),
        get("/api/v1/findings/{id}", finding, About::read("A finding", "Finding")),
        get(
            "/api/v1/scans",
            scans,
            About::read("The scans, the latest first", "{items: [Scan], next: text?}").asking(PART),
        ),
        get(
            "/api/v1/scans/{id}",
            scan,
            About::read("A scan: where it looked, where it failed to, how far it is", "WholeScan"),
        ),
    ]
}

/// Observations and events of an asset, the latest, and gaps and ranges of a scan.
const MOST: u32 = 1_000;

async fn overview(
    _: Viewer,
    State(shared): State<Shared>,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    let summary = summary::summary(&shared).await?;
    let registrations: BTreeMap<&str, u64> =
        summary.registrations.iter().map(|(one, number)| (one.as_str(), *number)).collect();
    let number = |severity| summary.findings.get(&severity).copied().unwrap_or_default();
    let next = |one: &Ending| {
        json!({
            "sha256": one.sha256,
            "name": one.name,
            "issuer": one.issuer,
            "places": one.places,
            "not_after": one.not_after.to_string(),
        })
    };
    let value = json!({
        "as_of": summary.as_of.to_string(),
        "assets": summary.assets,
        "registrations": registrations,
        "classes": summary.classes,
        "sites": summary.sites,
        "findings": {
            "critical": number(Severity::Critical),
            "warning": number(Severity::Warning),
            "info": number(Severity::Info),
            "accepted": summary.accepted,
        },
        "certificates": summary.certificates,
        "certificates_next": summary.next.iter().map(next).collect::<Vec<_>>(),
    });
    told(&headers, &value)
}

async fn asset(
    _: Viewer,
    State(shared): State<Shared>,
    headers: HeaderMap,
    Path(id): Path<i64>,
) -> Result<Response, Trouble> {
    let tell = move |shared: Shared| async move {
        Ok(assets::whole_json(&shared.settings, &shared.store, AssetId(id), MOST).await?)
    };
    let mut asset = shared.look_apart(tell).await?;
    word(&mut asset, asked_language(&headers));
    told(&headers, &asset)
}

async fn certificate(
    _: Viewer,
    State(shared): State<Shared>,
    headers: HeaderMap,
    Path(sha256): Path<String>,
) -> Result<Response, Trouble> {
    let tell = |shared: Shared| async move {
        Ok(certs::told(&shared.settings, &shared.store, &sha256, MOST).await?)
    };
    let mut certificate = json!(shared.look_apart(tell).await?);
    word(&mut certificate, asked_language(&headers));
    told(&headers, &certificate)
}

async fn finding(
    _: Viewer,
    State(shared): State<Shared>,
    headers: HeaderMap,
    Path(id): Path<i64>,
) -> Result<Response, Trouble> {
    let found = finding_of(&shared, id, asked_language(&headers)).await?;
    told(&headers, &found)
}

/// A finding as its list has it.
pub(super) async fn finding_of(
    shared: &Shared,
    id: i64,
    language: Language,
) -> Result<Value, Trouble> {
    let query = shared.query(Kind::Findings, &format!("id={id}"))?;
    let _place = shared.lists().await?;
    let sort = Sort::usual(Kind::Findings);
    let request = Request { query: &query, sort, direction: Direction::Up, after: None, size: 1 };
    let found = shared.store.list_findings(&request, clock::now()).await?.rows.pop();
    Ok(lists::finding(&found.ok_or(Trouble::NotFound)?, language))
}

async fn scans(
    _: Viewer,
    State(shared): State<Shared>,
    headers: HeaderMap,
    Question(part): Question<Part>,
) -> Result<Response, Trouble> {
    let found = shared.store.scan_leaf(part.after, rows(part.rows)).await?;
    let mut items = Vec::new();
    for scan in &found.rows {
        let progress = shared.store.progress_of(scan).await?;
        items.push(report::scan::json(scan, progress.as_ref(), clock::now()));
    }
    told(&headers, &leaf(&found, items))
}

async fn events(
    _: Viewer,
    State(shared): State<Shared>,
    headers: HeaderMap,
    Question(part): Question<Part>,
) -> Result<Response, Trouble> {
    let found = shared.store.event_leaf(part.after, rows(part.rows)).await?;
    let one = |(_, event): &(i64, Event)| {
        let mut value = assets::event_json(event);
        value["asset"] = event.asset.map(|asset| asset.0).into();
        value
    };
    let items = found.rows.iter().map(one).collect();
    told(&headers, &leaf(&found, items))
}

/// So many days are told at most of how things went.
const DAYS: u32 = 1_000;

#[derive(Deserialize)]
struct Days {
    days: Option<u32>,
}

async fn went(
    _: Viewer,
    State(shared): State<Shared>,
    headers: HeaderMap,
    Question(asked): Question<Days>,
) -> Result<Response, Trouble> {
    let days = asked.days.unwrap_or(trends::DAYS).clamp(1, DAYS);
    let one = |day: DayCount| {
        let [critical, warning, info] = day.findings;
        json!({
            "day": day.day,
            "assets": day.assets,
            "unregistered": day.unregistered,
            "findings": {"critical": critical, "warning": warning, "info": info},
        })
    };
    let items: Vec<Value> = shared.store.days(days).await?.into_iter().map(one).collect();
    told(&headers, &json!({"items": items, "next": null}))
}

async fn scan(
    _: Viewer,
    State(shared): State<Shared>,
    headers: HeaderMap,
    Path(id): Path<i64>,
) -> Result<Response, Trouble> {
    let scan = shared.store.scan(ScanId(id)).await?;
    let progress = shared.store.progress_of(&scan).await?;
    let value = report::scan::whole_json(&scan, progress.as_ref(), clock::now(), MOST as usize);
    told(&headers, &value)
}
