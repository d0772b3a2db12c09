//! The first page: how things stand.

use askama::Template;
use axum::response::Response;

use super::{
    page::{Page, html},
    routes::{Route, get},
    trouble::Trouble,
    visit::Viewer,
    words::Words,
};

pub(super) fn routes() -> Vec<Route> {
    vec![get("/", show)]
}

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    page: Page,
}

async fn show(Viewer(visitor): Viewer) -> Result<Response, Trouble> {
    html(&Overview { page: Page::new(&visitor, Words::of(visitor.language).overview) })
}
