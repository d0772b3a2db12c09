//! Whether the page is there, and whether it can read what it is about: for whoever watches it.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};

use super::{
    Shared,
    routes::{Route, get},
    trouble::Trouble,
    visit::Anyone,
};

pub(super) fn routes() -> Vec<Route> {
    vec![get("/healthz", health), get("/readyz", readiness)]
}

/// It runs.
async fn health(Anyone(_): Anyone) -> Response {
    (StatusCode::OK, "ok\n").into_response()
}

/// It can read the database.
async fn readiness(Anyone(_): Anyone, State(shared): State<Shared>) -> Result<Response, Trouble> {
    shared.store.users().await?;
    Ok((StatusCode::OK, "ready\n").into_response())
}
