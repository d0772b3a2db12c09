//! What an asset's page shows only the latest of, page by page: what happened, and what was observed.

use askama::Template;
use axum::{extract::State, response::Response};
use inventory::{
    asset::{Asset, AssetId},
    store::{Part, Place},
};
use serde::Deserialize;

use super::{
    Shared,
    asset::{called, event_row, identifier_row, observation_row},
    words::Lists,
};
use crate::web::{
    asked::{Path, Question, Refusal},
    language::Language,
    page::{Page, html, shown},
    routes::{Route, get},
    trouble::Trouble,
    visit::{Viewer, Visitor},
};

/// Rows of a page.
const ROWS: u32 = 200;

pub(super) fn routes() -> Vec<Route> {
    vec![
        get("/assets/{id}/identifiers", identifiers),
        get("/assets/{id}/events", events),
        get("/assets/{id}/observations", observations),
    ]
}

#[derive(Deserialize)]
pub(super) struct After {
    /// A moment and a number, with a dot between them.
    after: Option<String>,
    /// For programs.
    pub(super) rows: Option<u16>,
}

impl After {
    pub(super) fn place(&self) -> Result<Place, Trouble> {
        let Some(text) = &self.after else { return Ok(Place::BEGINNING) };
        let (moment, number) = text.split_once('.').unwrap_or(("0", text));
        let read = moment.parse().ok().zip(number.parse().ok());
        read.map(|(moment, number)| Place(moment, number)).ok_or(Refusal::Place.into())
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

/// What an asset is or was known by. All of it is read with the asset, and goes by its place in that.
async fn identifiers(
    Viewer(visitor): Viewer,
    State(shared): State<Shared>,
    Path(id): Path<i64>,
    Question(after): Question<After>,
) -> Result<Response, Trouble> {
    let known = shared.store.assets_of(&[AssetId(id)]).await?;
    let asset = known.first().ok_or(Trouble::NotFound)?;
    let all = &asset.identifiers;
    let Place(_, start) = match after.after {
        Some(_) => after.place()?,
        None => Place(0, 0),
    };
    let start = usize::try_from(start).unwrap_or_default().min(all.len());
    let end = start.saturating_add(ROWS as usize).min(all.len());
    let next = i64::try_from(end).ok().filter(|_| end < all.len());
    let part = Part {
        rows: all.get(start..end).unwrap_or_default().to_vec(),
        next: next.map(|next| Place(0, next)),
        total: all.len() as u64,
    };
    let w = Lists::of(visitor.language);
    let headings = vec![w.kind, w.name, w.strength, w.current, w.last_seen, w.because];
    let name = (w.identifiers, "identifiers");
    show(&visitor, asset, name, headings, &part, &after, identifier_row)
}

async fn events(
    Viewer(visitor): Viewer,
    State(shared): State<Shared>,
    Path(id): Path<i64>,
    Question(after): Question<After>,
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
    Question(after): Question<After>,
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
    let called = shown(&called(asset, visitor.language));
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
