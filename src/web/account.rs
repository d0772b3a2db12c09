//! One's own account: the password, and where one is signed in.

use askama::Template;
use axum::{extract::State, response::Response};
use inventory::user::check_password;

use super::{
    Scarce, Shared,
    page::{Page, html, moment, shown, spoken},
    password,
    routes::{Route, get, post},
    sign::{acting, compare},
    trouble::Trouble,
    visit::{Form, Viewer, Visitor},
    words::Words,
    works::computed,
};
use crate::clock;

pub(super) fn routes() -> Vec<Route> {
    vec![
        get("/account", show),
        post("/account/password", change_password),
        post("/account/sessions", end_others),
    ]
}

#[derive(Template)]
#[template(path = "account.html")]
struct Account {
    page: Page,
    sessions: Vec<Row>,
    /// Whether there is a password that could be changed.
    has_password: bool,
}

struct Row {
    since: [String; 2],
    used: [String; 2],
    address: String,
    agent: String,
    is_this: bool,
}

async fn account(shared: &Shared, visitor: &Visitor, page: Page) -> Result<Response, Trouble> {
    let own = visitor.session().ok_or(Trouble::SignIn)?;
    let all = shared.store.sessions(&own.user, shared.lasting(), clock::now()).await?;
    let row = |session: &inventory::user::Session| Row {
        since: [moment(session.created_at), spoken(session.created_at)],
        used: [moment(session.used_at), spoken(session.used_at)],
        address: session.address.clone(),
        agent: shown(&session.agent),
        is_this: session.hash == own.hash,
    };
    let has_password = own.user.identity.is_none();
    html(&Account { page, sessions: all.iter().map(row).collect(), has_password })
}

fn page(visitor: &Visitor) -> Page {
    Page::new(visitor, Words::of(visitor.language).account)
}

async fn show(Viewer(visitor): Viewer, State(shared): State<Shared>) -> Result<Response, Trouble> {
    account(&shared, &visitor, page(&visitor)).await
}

async fn change_password(
    Viewer(visitor): Viewer,
    State(shared): State<Shared>,
    Form(fields): Form,
) -> Result<Response, Trouble> {
    let own = visitor.session().ok_or(Trouble::SignIn)?;
    let words = Words::of(visitor.language);
    if own.user.identity.is_some() {
        return account(&shared, &visitor, page(&visitor).warning(words.from_provider)).await;
    }
    let (old, new) = (fields.exact("old"), fields.exact("new"));
    let place = shared.place(Scarce::Passwords).await?;
    let now = clock::now();
    let counted = visitor.counted_address();
    // Whoever found a browser open must not guess here either.
    if let Some(until) = shared.store.refused_until(Some(&own.user.name), &counted, now).await? {
        return Err(Trouble::Wait(until.0.saturating_sub(now.0).div_euclid(1_000_000) + 1));
    }
    let (_, hash) = shared.store.user(&own.user.name).await?.ok_or(Trouble::SignIn)?;
    if !compare(&place, old, hash).await? {
        let address = visitor.peer.to_string();
        let origin = inventory::store::Origin {
            counted: &counted,
            address: &address,
            agent: &visitor.agent,
        };
        shared.store.note_failed_attempt(&own.user.name, origin, now).await?;
        return account(&shared, &visitor, page(&visitor).warning(words.wrong_password)).await;
    }
    if new != fields.exact("again") {
        return account(&shared, &visitor, page(&visitor).warning(words.not_same)).await;
    }
    if let Err(error) = check_password(&own.user.name, new) {
        return account(
            &shared,
            &visitor,
            page(&visitor).warning(visitor.language.password_error(error)),
        )
        .await;
    }
    let new = new.to_owned();
    let hash = computed(move || password::hash(&new)).await??;
    acting(&shared, &visitor).set_password(&own.user.name, &hash, Some(&own.hash), now).await?;
    account(&shared, &visitor, page(&visitor).saying(words.password_changed)).await
}

async fn end_others(
    Viewer(visitor): Viewer,
    State(shared): State<Shared>,
    _: Form,
) -> Result<Response, Trouble> {
    let own = visitor.session().ok_or(Trouble::SignIn)?;
    acting(&shared, &visitor).end_sessions(&own.user, Some(&own.hash), clock::now()).await?;
    let words = Words::of(visitor.language);
    account(&shared, &visitor, page(&visitor).saying(words.others_ended)).await
}
