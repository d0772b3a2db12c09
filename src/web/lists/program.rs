//! Lists for programs: `/api/v1/assets` and its like. docs/json.md has their form.

use axum::{extract::State, http::HeaderMap, response::Response};
use inventory::{
    asset::AssetId,
    compare::Registration,
    owner::Owner,
    query::Kind,
    store::list::{
        AssetEntry, CertificateEntry, Count, Facet, FindingEntry, Request, ServiceEntry,
        SoftwareEntry,
    },
    vendor,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Choice, ROWS, Shared, columns, columns::Row};
use crate::{
    clock,
    report::{
        finding::citation,
        json::{AssetJson, ListedServiceJson, ListedSoftwareJson},
    },
    web::{
        api::{About, asked_language, get, told},
        asked::{Path, Question},
        language::Language,
        routes::Route,
        trouble::Trouble,
        visit::Viewer,
    },
};

/// How a list is asked for.
const ASKED: &[(&str, &str)] = &[
    ("q", "a query"),
    ("sort", "a column, with a minus before it where the greatest comes first"),
    ("after", "where the page begins: what the one before said is next"),
    ("rows", "how many, 1 to 500; 100 where it is not said"),
];

macro_rules! lists {
    ($($path:literal, $kind:ident, $what:literal, $shape:literal;)*) => {
        vec![$(
            get(
                $path,
                |_: Viewer, shared: State<Shared>, headers: HeaderMap, asked: Question<Choice>| {
                    list(shared, headers, asked, Kind::$kind)
                },
                About::read($what, concat!("{items: [", $shape, "], next: text?, total: int}"))
                    .asking(ASKED),
            ),
        )*]
    };
}

pub(super) fn routes() -> Vec<Route> {
    let mut routes = lists! {
        "/api/v1/assets", Assets, "The assets", "Asset";
        "/api/v1/services", Services, "The services of all assets", "ListedService";
        "/api/v1/software", Software, "The software on all assets", "ListedSoftware";
        "/api/v1/certificates", Certificates, "The certificates in use", "ListedCertificate";
        "/api/v1/findings", Findings, "The findings", "Finding";
    };
    routes.push(get(
        "/api/v1/facets/{list}",
        facets,
        About::read(
            "How what a query asks for of a list is spread over the fields by which people narrow \
             it down, the most first, 50 values of each; \"\" where none is known",
            "{items: [{field: text, values: [{value: text, count: int}]}]}",
        )
        .asking(&[("q", "a query")]),
    ));
    routes
}

#[derive(Deserialize)]
struct OfFacets {
    #[serde(default)]
    q: String,
}

async fn facets(
    _: Viewer,
    State(shared): State<Shared>,
    headers: HeaderMap,
    Path(list): Path<String>,
    Question(asked): Question<OfFacets>,
) -> Result<Response, Trouble> {
    let kind = Kind::from_name(&list).ok_or(Trouble::NotFound)?;
    let query = shared.query(kind, &asked.q)?;
    let place = shared.lists().await?;
    let facets = shared.store.facets(&query, clock::now()).await?;
    drop(place);
    let value = |count: &Count| json!({"value": count.value, "count": count.count});
    let facet = |facet: &Facet| {
        let values: Vec<Value> = facet.values.iter().map(value).collect();
        json!({"field": facet.field, "values": values})
    };
    let items: Vec<Value> = facets.iter().map(facet).collect();
    told(&headers, &json!({"items": items}))
}

async fn list(
    State(shared): State<Shared>,
    headers: HeaderMap,
    Question(choice): Question<Choice>,
    kind: Kind,
) -> Result<Response, Trouble> {
    let query = shared.query(kind, &choice.q)?;
    let _place = shared.lists().await?;
    let (sort, direction) = choice.order(kind);
    let after = choice.after.as_deref();
    let size = choice.rows.unwrap_or(ROWS);
    let request = Request { query: &query, sort, direction, after, size };
    let page = columns::rows(&shared.store, &request, clock::now()).await?;
    let items = items(&shared, page.rows, asked_language(&headers)).await?;
    told(&headers, &json!({"items": items, "next": page.next, "total": page.total}))
}

async fn items(shared: &Shared, rows: Vec<Row>, language: Language) -> Result<Vec<Value>, Trouble> {
    let mut assets: Vec<AssetEntry> = Vec::new();
    let mut items = Vec::new();
    for row in rows {
        items.push(match row {
            Row::Asset(row) => {
                assets.push(row);
                continue;
            }
            Row::Service(row) => json!(service(row)),
            Row::Software(row) => json!(software(row)),
            Row::Certificate(row) => certificate(&row),
            Row::Finding(row) => finding(&row, language),
        });
    }
    let ids: Vec<AssetId> = assets.iter().map(|row| row.id).collect();
    let whole = shared.store.assets_of(&ids).await?;
    for row in &assets {
        // One that was merged since the last review is told as a part of the whole then.
        let Some(asset) = whole.iter().find(|asset| asset.id == row.id) else { continue };
        let registration = Registration::from_name(&row.registration);
        let registration = registration.unwrap_or(Registration::Unknown).as_str();
        let vendor = asset.macs().find_map(vendor::vendor);
        let json = AssetJson::new(asset, vendor.as_deref(), row.class.as_deref(), registration);
        items.push(json!(json));
    }
    Ok(items)
}

fn service(row: ServiceEntry) -> ListedServiceJson {
    ListedServiceJson {
        asset: row.asset.0,
        site: row.site,
        name: row.name,
        address: row.address.to_string(),
        transport: row.kind.transport,
        port: row.kind.port,
        state: row.kind.state,
        protocol: row.kind.protocol,
        product: row.kind.product,
        version: row.kind.version,
        cpe: row.kind.cpe,
        tls: row.kind.tls,
        first_seen: row.first_seen.to_string(),
        last_seen: row.last_seen.to_string(),
    }
}

fn software(row: SoftwareEntry) -> ListedSoftwareJson {
    ListedSoftwareJson {
        asset: row.asset.0,
        site: row.site,
        name: row.name,
        product: row.product.product,
        version: row.product.version,
        cpe: row.product.cpe,
        source: row.source,
        first_seen: row.first_seen.to_string(),
        last_seen: row.last_seen.to_string(),
    }
}

fn certificate(row: &CertificateEntry) -> Value {
    json!({
        "sha256": row.sha256,
        "subject": row.subject,
        "issuer": row.issuer,
        "names": row.names,
        "key": row.key,
        "trust": row.trust,
        "problems": row.problems,
        "not_after": row.not_after.map(|at| at.to_string()),
        "renew_by": row.renew_by.map(|at| at.to_string()),
        "places": row.places,
        "owners": Owner::texts(&row.owners),
        "first_seen": row.first_seen.to_string(),
        "last_seen": row.last_seen.to_string(),
    })
}

/// A finding as `docs/json.md` promises it of a list, its words in a language.
pub(in crate::web) fn finding(row: &FindingEntry, language: Language) -> Value {
    let finding = &row.stored.finding;
    json!({
        "id": row.stored.id,
        "rule": finding.key.rule,
        "severity": finding.severity.as_str(),
        "subject": finding.key.subject,
        "asset": finding.asset.map(|asset| asset.0),
        "site": row.site,
        "title": language.finding(&finding.key.rule, &finding.title),
        "detail": language.said(&finding.detail),
        "state": finding.state.as_str(),
        "first_seen": finding.first_seen.to_string(),
        "last_seen": finding.last_seen.to_string(),
        "citation": citation(&finding.key.rule),
        "owners": Owner::texts(&row.owners),
    })
}
