//! What happened to an asset and what was observed of it, part by part, and its time line: for
//! programs what its page shows.

use axum::{extract::State, http::HeaderMap, response::Response};
use inventory::{asset::AssetId, store::Part};
use serde_json::{Value, json};

use super::{Shared, behind::After, timeline};
use crate::{
    cli::assets::{event_json, observation_json},
    clock,
    web::{
        api::{About, PART, get, rows, told},
        asked::{Path, Question},
        routes::Route,
        trouble::Trouble,
        visit::Viewer,
    },
};

pub(super) fn routes() -> Vec<Route> {
    vec![
        get(
            "/api/v1/assets/{id}/events",
            events,
            About::read(
                "What happened to an asset, the latest first",
                "{items: [Event], next: text?, total: int}",
            )
            .asking(PART),
        ),
        get(
            "/api/v1/assets/{id}/observations",
            observations,
            About::read(
                "What was observed of an asset while its addresses were its own, the latest first",
                "{items: [Observation], next: text?, total: int}",
            )
            .asking(PART),
        ),
        get(
            "/api/v1/assets/{id}/timeline",
            line,
            About::read(
                "How often what happened to an asset in each 120th of the time since it was first \
                 seen",
                "{from: moment, until: moment, parts: int,
                  strokes: [{part: int, kind: text, count: int, at: moment}]}",
            ),
        ),
    ]
}

async fn events(
    _: Viewer,
    State(shared): State<Shared>,
    headers: HeaderMap,
    Path(id): Path<i64>,
    Question(after): Question<After>,
) -> Result<Response, Trouble> {
    let (place, rows) = (after.place()?, rows(after.rows));
    let (_, part) = shared.store.asset_events(AssetId(id), place, rows).await?;
    let items = part.rows.iter().map(event_json).collect();
    told(&headers, &part_json(items, &part))
}

async fn observations(
    _: Viewer,
    State(shared): State<Shared>,
    headers: HeaderMap,
    Path(id): Path<i64>,
    Question(after): Question<After>,
) -> Result<Response, Trouble> {
    let (place, rows) = (after.place()?, rows(after.rows));
    let (_, part) = shared.store.asset_observations(AssetId(id), place, rows).await?;
    let items: Result<_, serde_json::Error> = part.rows.iter().map(observation_json).collect();
    let items = items.map_err(|error| Trouble::Failed(error.to_string()))?;
    told(&headers, &part_json(items, &part))
}

fn part_json<T>(items: Vec<Value>, part: &Part<T>) -> Value {
    let next = part.next.map(|place| format!("{}.{}", place.0, place.1));
    json!({"items": items, "next": next, "total": part.total})
}

async fn line(
    _: Viewer,
    State(shared): State<Shared>,
    headers: HeaderMap,
    Path(id): Path<i64>,
) -> Result<Response, Trouble> {
    let known = shared.store.assets_of(&[AssetId(id)]).await?;
    let asset = known.first().ok_or(Trouble::NotFound)?;
    let (from, until) = (asset.first_seen, clock::now().max(asset.last_seen));
    let strokes = shared.store.asset_strokes(asset.id, (from, until), timeline::PARTS).await?;
    let strokes: Vec<Value> = strokes
        .iter()
        .map(|stroke| {
            json!({
                "part": stroke.part,
                "kind": stroke.kind.as_str(),
                "count": stroke.count,
                "at": stroke.at.to_string(),
            })
        })
        .collect();
    told(
        &headers,
        &json!({
            "from": from.to_string(),
            "until": until.to_string(),
            "parts": timeline::PARTS,
            "strokes": strokes,
        }),
    )
}
