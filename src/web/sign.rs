//! Signing in and out, and what a browser chose: language and colours.

use askama::Template;
use axum::{extract::State, response::Response};
use inventory::{store::Origin, user::token_hash};
use serde::Deserialize;
use tokio::sync::SemaphorePermit;

use super::{
    Scarce, Shared,
    asked::Question,
    cookie::{self, Cookie},
    language::Language,
    page::{Page, html, own_path, to},
    password,
    routes::{Route, get, post},
    trouble::Trouble,
    visit::{Anyone, Form, Theme, Viewer, Visitor},
    words::Words,
    works::computed,
};
use crate::clock;

pub(super) fn routes() -> Vec<Route> {
    vec![
        get("/login", show),
        post("/login", sign_in),
        post("/logout", sign_out),
        post("/preferences", choose),
    ]
}

#[derive(Template)]
#[template(path = "login.html")]
struct Login {
    page: Page,
    name: String,
    next: String,
    /// Whether local users may sign in.
    passwords: bool,
    /// What leads to the provider of OpenID Connect, where there is one.
    button: Option<String>,
    /// Where somebody who signed out here signs out of that as well.
    farewell: Option<String>,
}

impl Login {
    fn new(shared: &Shared, page: Page, name: String, next: String) -> Self {
        let button = shared.oidc.as_ref().map(|oidc| oidc.button(page.language));
        let passwords = passwords(shared);
        Self { page, name, next, passwords, button, farewell: None }
    }
}

/// Whether anybody signs in by password.
fn passwords(shared: &Shared) -> bool {
    shared.settings.web.oidc.as_ref().is_none_or(|oidc| oidc.passwords)
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    next: String,
    /// Somebody just signed out.
    #[serde(default)]
    out: String,
}

async fn show(
    Anyone(visitor): Anyone,
    State(shared): State<Shared>,
    Question(asked): Question<Asked>,
) -> Result<Response, Trouble> {
    let next = own_path(&asked.next).to_owned();
    if visitor.session().is_some() {
        return Ok(to(&next));
    }
    let page = Page::new(&visitor, Words::of(visitor.language).sign_in);
    let mut login = Login::new(&shared, page, String::new(), next);
    if let Some(oidc) = shared.oidc.as_ref().filter(|_| !asked.out.is_empty()) {
        login.farewell = oidc.farewell().await;
    }
    html(&login)
}

/// The most letters of a name that is looked for.
const NAME: usize = 64;

async fn sign_in(
    Anyone(visitor): Anyone,
    State(shared): State<Shared>,
    Form(fields): Form,
) -> Result<Response, Trouble> {
    if !passwords(&shared) {
        return Err(Trouble::Invalid(Words::of(visitor.language).no_passwords.to_owned()));
    }
    let (name, given) = (fields.text("name"), fields.exact("password"));
    let next = own_path(fields.text("next")).to_owned();
    let name: String = name.chars().filter(|c| !c.is_control()).take(NAME).collect();
    let (address, counted) = (visitor.peer.to_string(), visitor.counted_address());
    let origin = Origin { counted: &counted, address: &address, agent: &visitor.agent };
    // Whoever waits for a place is looked at when it is there: many guesses at once are counted like
    // many one after the other.
    let place = shared.place(Scarce::Passwords).await?;
    let now = clock::now();
    if let Some(until) = shared.store.refused_until(Some(&name), &counted, now).await? {
        let left = until.0.saturating_sub(now.0).div_euclid(1_000_000).saturating_add(1);
        return Err(Trouble::Wait(left));
    }
    let found = shared.store.user(&name).await?;
    let found = found.filter(|(user, _)| user.identity.is_none() && user.disabled_at.is_none());
    // Somebody who does not exist, or has no password, takes as long to be refused.
    let hash = found.as_ref().map_or(&shared.nobody, |(_, hash)| hash).clone();
    let is_right = compare(&place, given, hash).await?;
    let Some((user, _)) = found.filter(|_| is_right) else {
        shared.store.note_failed_attempt(&name, origin, now).await?;
        return refuse(&shared, &visitor, name, next);
    };
    let token = cookie::new_token()?;
    let before = visitor.session().map(|session| session.hash.as_str());
    let store = shared
        .store
        .clone()
        .acting(inventory::audit::Actor { name: user.name.clone(), account: None });
    if !store.sign_in(&user, &token_hash(&token), before, origin, now).await? {
        return refuse(&shared, &visitor, name, next);
    }
    let mut response = to(&next);
    cookie::set(&shared, &mut response, Cookie::Session, &token);
    cookie::clear(&shared, &mut response, Cookie::Entry);
    Ok(response)
}

fn refuse(
    shared: &Shared,
    visitor: &Visitor,
    name: String,
    next: String,
) -> Result<Response, Trouble> {
    // Not the name, which may be a password in the wrong field; the audit has names that exist.
    shared.log.line(&format!("page: refused: {} did not sign in", visitor.peer));
    again(shared, visitor, name, next, Words::of(visitor.language).wrong_password)
}

/// The page for signing in once more, with why the last time came to nothing.
fn again(
    shared: &Shared,
    visitor: &Visitor,
    name: String,
    next: String,
    why: &str,
) -> Result<Response, Trouble> {
    let page = Page::new(visitor, Words::of(visitor.language).sign_in).warning(why);
    let mut response = html(&Login::new(shared, page, name, next))?;
    *response.status_mut() = axum::http::StatusCode::UNAUTHORIZED;
    Ok(response)
}

/// The same for whoever came by OpenID Connect.
#[cfg(feature = "oidc")]
pub(super) fn refused(
    shared: &Shared,
    visitor: &Visitor,
    next: &str,
    why: &str,
) -> Result<Response, Trouble> {
    // A choice of language leads to the page for signing in, not back to what came from there.
    let visitor = Visitor { path: "/login".to_owned(), ..visitor.clone() };
    again(shared, &visitor, String::new(), next.to_owned(), why)
}

/// Compares a password in a thread of its own, at a place for it.
pub(super) async fn compare(
    _place: &SemaphorePermit<'_>,
    given: &str,
    hash: String,
) -> Result<bool, Trouble> {
    // What is longer is nobody's, and would take long.
    if given.chars().count() > inventory::user::LONGEST {
        return Ok(false);
    }
    let given = given.to_owned();
    computed(move || password::is_right(&given, &hash)).await
}

async fn sign_out(
    Viewer(visitor): Viewer,
    State(shared): State<Shared>,
    _: Form,
) -> Result<Response, Trouble> {
    if let Some(session) = visitor.session() {
        let store = shared.store.clone().acting(visitor.actor());
        store.sign_out(session, clock::now()).await?;
    }
    let from = visitor.session().and_then(|session| session.user.identity.as_ref());
    let mut response = to(if from.is_some() { "/login?out=1" } else { "/login" });
    cookie::clear(&shared, &mut response, Cookie::Session);
    Ok(response)
}

/// Keeps what the browser chose. It is no secret, and nobody's but the browser's.
async fn choose(
    Anyone(_): Anyone,
    State(shared): State<Shared>,
    Form(fields): Form,
) -> Result<Response, Trouble> {
    let mut response = to(own_path(fields.text("back")));
    if let Some(language) = Language::from_name(fields.text("language")) {
        cookie::keep(&shared, &mut response, cookie::LANGUAGE, language.as_str());
    }
    if let Some(theme) = Theme::from_name(fields.text("theme")) {
        cookie::keep(&shared, &mut response, cookie::THEME, theme.as_str());
    }
    Ok(response)
}

/// The store as somebody uses it: what is done through it is done by them.
pub(super) fn acting(shared: &Shared, visitor: &Visitor) -> inventory::store::Store {
    shared.store.clone().acting(visitor.actor())
}
