//! What there is: one asset, certificate, finding or scan with everything that is known of it, and
//! how things stand.

use std::collections::BTreeMap;

use axum::{
    extract::{Path, Query as Asked, State},
    http::HeaderMap,
    response::Response,
};
use inventory::{
    asset::AssetId,
    query::{Kind, Query},
    store::{
        ScanProgress, StoredScan,
        list::{Direction, Request, Sort},
    },
};
use model::{ScanId, Severity};
use serde_json::{Value, json};

use super::{About, PART, Part, asked_language, get, told, word};
use crate::{
    cli::{assets, certs},
    clock,
    web::{
        Shared,
        language::Language,
        lists,
        routes::Route,
        scans,
        summary::{self, CertificateEnd},
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
const MOST: usize = 1_000;

async fn overview(
    _: Viewer,
    State(shared): State<Shared>,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    let summary = summary::summary(&shared).await?;
    let registrations: BTreeMap<&str, u64> =
        summary.registrations.iter().map(|(one, number)| (one.as_str(), *number)).collect();
    let number = |severity| summary.findings.get(&severity).copied().unwrap_or_default();
    let next = |one: &CertificateEnd| {
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
        Ok(certs::told(&shared.settings, &shared.store, &sha256).await?)
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
    let query = Query::parse(Kind::Findings, &format!("id={id}"))?;
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
    Asked(part): Asked<Part>,
) -> Result<Response, Trouble> {
    let limit = u32::try_from(part.rows().saturating_add(1)).unwrap_or(u32::MAX);
    let mut items = Vec::new();
    for scan in shared.store.scans_before(ScanId(part.before()), limit).await? {
        items.push((scan.id.0, scan_json(&shared, &scan).await?));
    }
    told(&headers, &part.of(items))
}

async fn scan_json(shared: &Shared, scan: &StoredScan) -> Result<Value, Trouble> {
    let record = &scan.record;
    let progress = match record.ended_at {
        None => shared.store.progress(scan.id).await?,
        Some(_) => None,
    };
    let state = scans::state(scan, progress.as_ref(), clock::now());
    let far = |progress: &ScanProgress| {
        json!({
            "at": progress.at.to_string(),
            "phase": progress.phase,
            "permille": progress.permille,
            "alive": progress.alive,
            "open": progress.open,
            "packets_per_second": progress.packets_per_second,
            "seconds_left": progress.seconds_left,
        })
    };
    Ok(json!({
        "id": scan.id.0,
        "command": scan.command,
        "site": record.vantage.site.0,
        "vantage": record.vantage.name,
        "targets": scan.targets,
        "state": state.as_str(),
        "started_at": record.started_at.to_string(),
        "ended_at": record.ended_at.map(|at| at.to_string()),
        "io": record.io,
        "probes_sent": record.probes_sent,
        "replies": record.replies,
        "drops": record.drops,
        "complete": record.complete,
        "gap_count": scan.gap_count,
        "progress": progress.as_ref().map(far),
    }))
}

async fn scan(
    _: Viewer,
    State(shared): State<Shared>,
    headers: HeaderMap,
    Path(id): Path<i64>,
) -> Result<Response, Trouble> {
    let scan = shared.store.scan(ScanId(id)).await?;
    let mut value = scan_json(&shared, &scan).await?;
    let gaps = scan.record.gaps.iter().take(MOST);
    let gaps: Vec<Value> =
        gaps.map(|gap| json!({"target": gap.target, "reason": gap.reason})).collect();
    let coverage = scan.record.coverage.iter().take(MOST).map(|covered| {
        json!({
            "first": covered.range.first().to_string(),
            "last": covered.range.last().to_string(),
            "methods": covered.methods.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "tcp": covered.tcp.to_string(),
            "udp": covered.udp.to_string(),
        })
    });
    value["coverage"] = coverage.collect();
    value["coverage_count"] = scan.record.coverage.len().into();
    value["gaps"] = gaps.into();
    told(&headers, &value)
}
