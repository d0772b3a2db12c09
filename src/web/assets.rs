//! Styles and scripts: the same for everybody, and part of the program.

use axum::{
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use inventory::user::token_hash;

use super::{
    api::has,
    routes::{Route, get},
    visit::Anyone,
};

pub(super) fn routes() -> Vec<Route> {
    vec![
        get("/static/style.css", |_: Anyone, headers: HeaderMap| async move {
            answer(&headers, "text/css; charset=utf-8", include_str!("assets/style.css"))
        }),
        get("/static/page.js", |_: Anyone, headers: HeaderMap| async move {
            answer(&headers, "text/javascript; charset=utf-8", include_str!("assets/page.js"))
        }),
        get("/static/icon.svg", |_: Anyone, headers: HeaderMap| async move {
            answer(&headers, "image/svg+xml", include_str!("assets/icon.svg"))
        }),
    ]
}

/// A file, or that the browser has it already. It asks each time, so that a new version of the
/// program is seen at once.
pub(crate) fn answer(headers: &HeaderMap, kind: &'static str, text: &'static str) -> Response {
    let tag = format!("\"{}\"", token_hash(text).get(..32).unwrap_or_default());
    let known: [(HeaderName, String); 2] =
        [(header::CACHE_CONTROL, "no-cache".to_owned()), (header::ETAG, tag.clone())];
    match has(headers, &tag) {
        true => (StatusCode::NOT_MODIFIED, known).into_response(),
        false => (known, [(header::CONTENT_TYPE, kind)], text).into_response(),
    }
}
