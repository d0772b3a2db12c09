//! Every route there is, each with what it asks of whoever asks for it. The table is what the
//! router is made of, and what a test walks through (`tests.rs`).

use axum::{
    Router,
    extract::DefaultBodyLimit,
    handler::Handler,
    middleware,
    routing::{self, MethodRouter},
};

use super::{
    Shared, account, alerts,
    api::{self, About},
    assets, certificates, deciding, decisions, entries, findings, gate, health, jobs, lists, map,
    metrics, oidc, overview, registers, scans, sign, trail,
    trouble::Trouble,
    users,
    visit::{Access, Checked, Guarded},
};

/// The most bytes of a form.
const FORM: usize = 64 << 10;

/// A path, how it is asked for, and by whom.
pub(crate) struct Route {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) access: Access,
    /// Of a route of the API what it takes and gives.
    pub(crate) about: Option<About>,
    handler: MethodRouter<Shared>,
}

/// A page to look at. The handler's first argument is a guard.
pub(crate) fn get<H, T>(path: &'static str, handler: H) -> Route
where
    H: Handler<T, Shared>,
    T: Guarded + 'static,
{
    Route { method: "GET", path, access: T::ACCESS, about: None, handler: routing::get(handler) }
}

/// Something that is done. The handler's first argument is a guard, its last a form.
pub(crate) fn post<H, T>(path: &'static str, handler: H) -> Route
where
    H: Handler<T, Shared>,
    T: Checked + 'static,
{
    Route { method: "POST", path, access: T::ACCESS, about: None, handler: routing::post(handler) }
}

impl Route {
    /// The same as a part of the API.
    pub(super) fn about(self, about: About) -> Self {
        Self { about: Some(about), ..self }
    }

    /// The same with room for a file of so many bytes.
    pub(crate) fn with_body(self, bytes: usize) -> Self {
        Self { handler: self.handler.layer(DefaultBodyLimit::max(bytes)), ..self }
    }
}

/// All of them.
pub(crate) fn all() -> Vec<Route> {
    [
        assets::routes(),
        health::routes(),
        metrics::routes(),
        sign::routes(),
        oidc::routes(),
        account::routes(),
        overview::routes(),
        scans::routes(),
        deciding::routes(),
        decisions::routes(),
        entries::routes(),
        findings::routes(),
        registers::routes(),
        jobs::routes(),
        alerts::routes(),
        trail::routes(),
        users::routes(),
        lists::routes(),
        certificates::routes(),
        map::routes(),
        api::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The page, without the connections to it.
pub(crate) fn router(shared: Shared) -> Router {
    let mut router = Router::new();
    for route in all() {
        router = router.route(route.path, route.handler);
    }
    router
        .fallback(|| async { Trouble::NotFound })
        .layer(DefaultBodyLimit::max(FORM))
        .layer(middleware::from_fn_with_state(shared.clone(), gate::pass))
        .with_state(shared)
}
