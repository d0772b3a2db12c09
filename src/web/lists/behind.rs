//! What an asset's page shows only the latest of, page by page: what happened, and what was observed.

use askama::Template;
use axum::{
    extract::{Path, Query as Asked, State},
    response::Response,
};
use inventory::{
    asset::{Asset, AssetId},
    store::{Part, Place},
};
use serde::Deserialize;

use super::{
    Shared,
    asset::{called, event_row, observation_row},
    words::Lists,
};
use crate::web::{
    language::Language,
    page::{Page, html, shown},
    routes::{Route, get},
    trouble::Trouble,
    visit::{Viewer, Visitor},
};

/// Rows of a page.
const ROWS: u16 = 200;

pub(super) fn routes() -> Vec<Route> {
    vec![get("/assets/{id}/events", events), get("/assets/{id}/observations", observations)]
}

#[derive(Deserialize)]
struct After {
    /// A moment and a number, with a dot between them.
    after: Option<String>,
}

impl After {
    fn place(&self) -> Result<Place, Trouble> {
        let Some(text) = &self.after else { return Ok(Place::BEGINNING) };
        let (moment, number) = text.split_once('.').unwrap_or(("0", text));
        let read = moment.parse().ok().zip(number.parse().ok());
        let wrong = || Trouble::Invalid("after: not a place in this list".to_owned());
        read.map(|(moment, number)| Place(moment, number)).ok_or_else(wrong)
    }
}

#[derive(Template)]
#[template(path = "behind.html")]
struct Behind {
    page: Page,
    asset: i64,
    called: String,
    title: &'static str,
    total: u64,
    headings: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    first: Option<String>,
    next: Option<String>,
    words: &'static Lists,
}

async fn events(
    Viewer(visitor): Viewer,
    State(shared): State<Shared>,
    Path(id): Path<i64>,
    Asked(after): Asked<After>,
) -> Result<Response, Trouble> {
    let (asset, part) = shared.store.asset_events(AssetId(id), after.place()?, ROWS).await?;
    let w = Lists::of(visitor.language);
    let headings = vec![w.last_seen, w.kind, w.subject, w.detail];
    show(&visitor, &asset, (w.events, "events"), headings, &part, &after, event_row)
}

async fn observations(
    Viewer(visitor): Viewer,
    State(shared): State<Shared>,
    Path(id): Path<i64>,
    Asked(after): Asked<After>,
) -> Result<Response, Trouble> {
    let (asset, part) = shared.store.asset_observations(AssetId(id), after.place()?, ROWS).await?;
    let w = Lists::of(visitor.language);
    let headings = vec![w.method, w.subject, w.fact, w.times, w.last_seen];
    let name = (w.observations, "observations");
    show(&visitor, &asset, name, headings, &part, &after, observation_row)
}

fn show<T>(
    visitor: &Visitor,
    asset: &Asset,
    (title, name): (&'static str, &str),
    headings: Vec<&'static str>,
    part: &Part<T>,
    after: &After,
    row: fn(&T, Language) -> Vec<String>,
) -> Result<Response, Trouble> {
    let words = Lists::of(visitor.language);
    let path = format!("/assets/{}/{name}", asset.id);
    let called = shown(&called(asset, words));
    let told = |one: &T| row(one, visitor.language).iter().map(|text| shown(text)).collect();
    let rows = part.rows.iter().map(told);
    html(&Behind {
        page: Page::new(visitor, format!("{called}: {title}")),
        asset: asset.id.0,
        title,
        total: part.total,
        headings,
        rows: rows.collect(),
        first: after.after.as_ref().map(|_| path.clone()),
        next: part.next.map(|Place(moment, number)| format!("{path}?after={moment}.{number}")),
        called,
        words,
    })
}
