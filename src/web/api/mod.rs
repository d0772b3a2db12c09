//! `/api/v1`: for programs everything that the page does, by the functions that the page and the
//! command line call. docs/json.md has the forms.
//!
//! Each route is in the table with what it takes and gives ([`About`]), from which `describe` makes
//! the OpenAPI document: a route that nobody described does not compile.

mod decide;
pub(super) mod describe;
mod registers;
mod schema;
mod service;
mod shapes;
#[cfg(test)]
mod tests;
mod things;
mod users;
mod views;

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    handler::Handler,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use inventory::{store::Leaf, user::token_hash};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

pub(crate) use schema::Fault;

use super::{
    Shared,
    asked::Refusal,
    language::Language,
    routes::{self, Route},
    trouble::Trouble,
    visit::{Checked, FromPage, Guarded, Viewer, Visitor},
};

/// What a route of the API is for, and what it takes and gives. Shapes are written as in
/// `schema`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About {
    /// One line.
    pub(crate) what: &'static str,
    /// What may stand behind the question mark, each with what it is.
    pub(crate) asks: &'static [(&'static str, &'static str)],
    pub(crate) takes: Takes,
    pub(crate) gives: Gives,
}

/// The body of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Takes {
    Nothing,
    Json(&'static str),
    /// The bytes of a file.
    File,
}

/// The body of an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Gives {
    Json(&'static str),
    /// A file.
    File,
}

impl About {
    /// Something to read.
    pub(crate) const fn read(what: &'static str, gives: &'static str) -> Self {
        Self { what, asks: &[], takes: Takes::Nothing, gives: Gives::Json(gives) }
    }

    /// Something that is done.
    pub(crate) const fn done(what: &'static str, takes: Takes, gives: &'static str) -> Self {
        Self { what, asks: &[], takes, gives: Gives::Json(gives) }
    }

    pub(crate) const fn asking(self, asks: &'static [(&'static str, &'static str)]) -> Self {
        Self { asks, ..self }
    }
}

/// Something to read. The handler's first argument is a guard.
pub(super) fn get<H, T>(path: &'static str, handler: H, about: About) -> Route
where
    H: Handler<T, Shared>,
    T: Guarded + 'static,
{
    routes::get(path, handler).about(about)
}

/// Something that is done. The handler's first argument is a guard, its last an [`Order`] or the
/// like.
fn post<H, T>(path: &'static str, handler: H, about: About) -> Route
where
    H: Handler<T, Shared>,
    T: Checked + 'static,
{
    routes::post(path, handler).about(about)
}

pub(super) fn routes() -> Vec<Route> {
    let about = About::read("This description, as OpenAPI 3.1", "any");
    let mut routes = vec![get("/api/v1/openapi.json", openapi, about)];
    routes.extend(things::routes());
    routes.extend(decide::routes());
    routes.extend(registers::routes());
    routes.extend(service::routes());
    routes.extend(users::routes());
    routes.extend(views::routes());
    routes
}

async fn openapi(_: Viewer, headers: HeaderMap) -> Result<Response, Trouble> {
    told(&headers, &describe::document(&routes::all())?)
}

/// The header in which a page of ours sends what its forms have in a field.
const TOKEN: &str = "x-csrf-token";

/// Whether what somebody asks to be done is asked by a program with its key, or by a page of ours.
fn check(request: &Request) -> Result<Visitor, Trouble> {
    let found = request.extensions().get::<Visitor>().cloned();
    let visitor = found.ok_or_else(|| Trouble::Failed("it did not pass the gate".to_owned()))?;
    let token = request.headers().get(TOKEN).and_then(|token| token.to_str().ok());
    visitor.check_form(token)?;
    Ok(visitor)
}

async fn bytes(request: Request, shared: &Shared) -> Result<Bytes, Trouble> {
    let read = Bytes::from_request(request, shared).await;
    read.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Trouble::TooLarge,
        _ => Refusal::Body.into(),
    })
}

/// A request to do something that takes nothing.
struct Order;

impl FromRequest<Shared> for Order {
    type Rejection = Trouble;

    async fn from_request(request: Request, _: &Shared) -> Result<Self, Trouble> {
        check(&request).map(|_| Self)
    }
}

/// A request to do something, with what it takes in JSON. What it does not take is a mistake.
struct Json<T>(T);

impl<T: DeserializeOwned> FromRequest<Shared> for Json<T> {
    type Rejection = Trouble;

    async fn from_request(request: Request, shared: &Shared) -> Result<Self, Trouble> {
        check(&request)?;
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.split(';').next().unwrap_or_default().trim() != "application/json" {
            return Err(Refusal::ContentType.into());
        }
        let path = request.uri().path().to_owned();
        let body = bytes(request, shared).await?;
        serde_json::from_slice(&body).map(Self).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            match serde_json::from_slice(&body) {
                Err(_) => Refusal::Json { line, column },
                Ok(value) => describe::fault_of(&path, &value)
                    .map_or(Refusal::Value { line, column }, Refusal::Fault),
            }
            .into()
        })
    }
}

/// A request to do something with a file, whose bytes are the body.
struct File(Bytes);

impl FromRequest<Shared> for File {
    type Rejection = Trouble;

    async fn from_request(request: Request, shared: &Shared) -> Result<Self, Trouble> {
        check(&request)?;
        bytes(request, shared).await.map(Self)
    }
}

impl FromPage for Order {}
impl<T> FromPage for Json<T> {}
impl FromPage for File {}

/// In which language a program wants what is written for people: English unless it says so.
pub(super) fn asked_language(headers: &HeaderMap) -> Language {
    let asked = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    Language::accepted(asked.unwrap_or_default())
}

/// Tells in a language what is written for people, wherever it stands in an answer: titles,
/// details and reasons. What was observed stays as it is.
pub(super) fn word(value: &mut Value, language: Language) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| word(item, language)),
        Value::Object(fields) => {
            let rule = fields.get("rule").and_then(Value::as_str).map(str::to_owned);
            for (name, value) in fields.iter_mut().filter(|(name, _)| *name != "observations") {
                let said = match (name.as_str(), value.as_str(), &rule) {
                    ("title", Some(title), Some(rule)) => language.finding(rule, title),
                    ("detail" | "because" | "reason", Some(text), _) => language.said(text),
                    _ => {
                        word(value, language);
                        continue;
                    }
                };
                *value = said.into();
            }
        }
        _ => {}
    }
}

/// What is read: with a tag, by which whoever has it already is told so.
pub(super) fn told(headers: &HeaderMap, value: &Value) -> Result<Response, Trouble> {
    let body = value.to_string();
    let tag = format!("\"{}\"", token_hash(&body).get(..32).unwrap_or_default());
    let known = [
        (header::ETAG, tag.clone()),
        // For whoever asked, and no cache between; and asked for again each time.
        (header::CACHE_CONTROL, "private, no-cache".to_owned()),
        (header::VARY, "Authorization, Cookie, Accept-Language".to_owned()),
    ];
    Ok(match has(headers, &tag) {
        true => (StatusCode::NOT_MODIFIED, known).into_response(),
        false => (known, [(header::CONTENT_TYPE, "application/json")], body).into_response(),
    })
}

/// Whether whoever asks has what has that tag (RFC 9110, section 13.1.2: compared weakly).
pub(super) fn has(headers: &HeaderMap, tag: &str) -> bool {
    let given = headers.get_all(header::IF_NONE_MATCH).into_iter();
    let mut tags = given.filter_map(|tags| tags.to_str().ok()).flat_map(|tags| tags.split(','));
    tags.any(|one| {
        let one = one.trim();
        one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag
    })
}

/// What came of something that was done: nobody keeps it.
fn done(value: &Value) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (headers, value.to_string()).into_response()
}

/// Rows of a page where nothing else is asked for, and the most.
const ROWS: (u16, u16) = (100, 500);

/// Which part of a list that goes by numbers, the latest first.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct Part {
    /// The number before which it begins: what the part before said is next.
    after: Option<i64>,
    rows: Option<u16>,
}

/// How a part is asked for.
pub(super) const PART: &[(&str, &str)] = &[
    ("after", "where the part begins: what the one before said is next"),
    ("rows", "how many, 1 to 500; 100 where it is not said"),
];

/// How many rows a part has that is asked for so many.
pub(super) fn rows(asked: Option<u16>) -> u32 {
    asked.unwrap_or(ROWS.0).clamp(1, ROWS.1).into()
}

/// A part of a list that goes by numbers.
fn leaf<T>(leaf: &Leaf<T>, items: Vec<Value>) -> Value {
    json!({"items": items, "next": leaf.next.map(|next| next.to_string())})
}
