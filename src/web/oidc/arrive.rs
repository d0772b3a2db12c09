//! What browsers ask for: to be sent to the provider, and to be let in when they come back.
//!
//! A form of ours begins it, and a page of ours leads to the provider: the content security policy
//! has forms lead nowhere else. The provider's page leads back across sites, so that the one cookie
//! that has to come along is not strict; the session's is, and is brought only when a page of ours
//! leads on from there.

use askama::Template;
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use inventory::{
    store::{Arrival, Origin},
    user::{Person, token_hash},
};
use openid::Flow;
use serde::Deserialize;

use super::{Failure, Oidc, Texts};
use crate::{
    clock,
    web::{
        Shared,
        asked::Question,
        cookie::{self, Cookie},
        page::{encoded, html, own_path, shown},
        routes::{Route, get, post},
        sign,
        trouble::Trouble,
        visit::{Anyone, Form, Visitor},
    },
};

pub(in crate::web) fn routes() -> Vec<Route> {
    vec![post("/login/oidc", leave), get("/login/oidc", arrive)]
}

/// A page that leads on by itself, and has a link for whoever wants to see where.
#[derive(Template)]
#[template(path = "leading.html")]
struct Leading<'a> {
    language: &'static str,
    address: &'a str,
}

fn leading(visitor: &Visitor, address: &str) -> Result<Response, Trouble> {
    html(&Leading { language: visitor.language.as_str(), address })
}

fn configured(shared: &Shared) -> Result<&Oidc, Trouble> {
    shared.oidc.as_ref().ok_or(Trouble::NotFound)
}

/// Sends a browser to the provider.
async fn leave(
    Anyone(visitor): Anyone,
    State(shared): State<Shared>,
    headers: HeaderMap,
    Form(fields): Form,
) -> Result<Response, Trouble> {
    let oidc = configured(&shared)?;
    check_patience(&shared, &visitor).await?;
    let next = own_path(fields.text("next"));
    // Cookies are a host's own: who asks by another name, or by the address, would come back to the
    // name that the provider knows without any.
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if !host.eq_ignore_ascii_case(&oidc.host) {
        let address = &oidc.setting.address;
        return leading(&visitor, &format!("{address}/login?next={}", encoded(next)));
    }
    match oidc.begin(next).await {
        Ok((kept, to)) => {
            let mut response = leading(&visitor, &to)?;
            cookie::set(&shared, &mut response, Cookie::Flow, &kept);
            Ok(response)
        }
        Err(failure) => refuse(&shared, &visitor, &failure, next).await,
    }
}

/// Whoever failed too often has to wait, here as with passwords.
async fn check_patience(shared: &Shared, visitor: &Visitor) -> Result<(), Trouble> {
    let now = clock::now();
    let until = shared.store.refused_until(None, &visitor.counted_address(), now).await?;
    match until {
        Some(until) => {
            let left = until.0.saturating_sub(now.0).div_euclid(1_000_000).saturating_add(1);
            Err(Trouble::Wait(left))
        }
        None => Ok(()),
    }
}

/// What a provider sends a browser back with.
#[derive(Deserialize)]
struct Returned {
    #[serde(default)]
    state: String,
    code: Option<String>,
    iss: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

/// Lets in whoever comes back from the provider.
async fn arrive(
    Anyone(visitor): Anyone,
    State(shared): State<Shared>,
    headers: HeaderMap,
    Question(returned): Question<Returned>,
) -> Result<Response, Trouble> {
    let oidc = configured(&shared)?;
    check_patience(&shared, &visitor).await?;
    let kept = cookie::read(&headers, shared.cookie_name(Cookie::Flow)).unwrap_or_default();
    let seconds = clock::now().0.div_euclid(1_000_000);
    let flow = match Flow::open(&kept, &returned.state, &oidc.seal, seconds) {
        Ok(flow) => flow,
        // Its cookie stays, and it counts for nothing: who leads a browser here with any state would
        // else end what it began, and keep everybody at its address from signing in.
        Err(error) => return stray(&shared, &visitor, &error.to_string()),
    };
    let answer = match oidc.is_first(&flow, seconds) {
        true => finish(&shared, &visitor, oidc, &flow, returned).await,
        false => Err(Stop::Stray),
    };
    let mut response = match answer {
        Ok(response) => response,
        Err(Stop::Failure(failure)) => refuse(&shared, &visitor, &failure, flow.next()).await?,
        Err(Stop::Cancelled(why)) => {
            shared.log.line(&format!("page: {} did not sign in: {why}", visitor.peer));
            sign::refused(&shared, &visitor, flow.next(), Texts::of(visitor.language).cancelled)?
        }
        Err(Stop::Stray) => stray(&shared, &visitor, "it came back once already")?,
        Err(Stop::Trouble(trouble)) => return Err(trouble),
    };
    cookie::clear(&shared, &mut response, Cookie::Flow);
    Ok(response)
}

/// Why somebody who came back is not let in.
enum Stop {
    Failure(Failure),
    /// The provider says that it came to nothing.
    Cancelled(String),
    /// It came back before.
    Stray,
    Trouble(Trouble),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

async fn finish(
    shared: &Shared,
    visitor: &Visitor,
    oidc: &Oidc,
    flow: &Flow,
    returned: Returned,
) -> Result<Response, Stop> {
    let Returned { state: _, code, iss, error, error_description } = returned;
    if let Some(error) = error {
        let why = format!("{error} {}", error_description.unwrap_or_default());
        return Err(Stop::Cancelled(format!("the provider says {}", openid::told(why.trim()))));
    }
    let code = code.ok_or_else(|| Failure::Refused("there is no code".to_owned()))?;
    let claims = oidc.claims(&code, flow, iss.as_deref()).await?;
    let token = cookie::new_token().map_err(Trouble::from)?;
    let role = oidc.role(&claims);
    let called = claims.texts("name").into_iter().next().unwrap_or_default();
    let person = Person {
        issuer: &oidc.setting.issuer,
        subject: claims.subject(),
        called: openid::told(&shown(called)),
        names: oidc.names(&claims),
    };
    let (address, counted) = (visitor.peer.to_string(), visitor.counted_address());
    let origin = Origin { counted: &counted, address: &address, agent: &visitor.agent };
    let before = visitor.session().map(|session| session.hash.as_str());
    let (hash, now) = (token_hash(&token), clock::now());
    let arrival = shared.store.sign_in_from(&person, role, &hash, before, origin, now).await;
    let claim = &oidc.setting.roles_claim;
    let why = match arrival.map_err(Trouble::from)? {
        Arrival::SignedIn(_) => {
            let mut response = leading(visitor, flow.next())?;
            cookie::set(shared, &mut response, Cookie::Session, &token);
            cookie::clear(shared, &mut response, Cookie::Entry);
            return Ok(response);
        }
        Arrival::Disabled => "the user is disabled here".to_owned(),
        Arrival::NoRole if claims.is_elsewhere(claim) => format!(
            "the claim {claim} is too long for the token and left out of it: have the provider \
             send only what gives a role here"
        ),
        Arrival::NoRole => format!("nothing in the claim {claim} gives a role (web.oidc)"),
    };
    // The audit has it already, and who it was.
    let subject = claims.subject();
    let line =
        format!("page: refused: {} (subject {subject}) did not sign in: {why}", visitor.peer);
    shared.log.line(&line);
    Ok(sign::refused(shared, visitor, "/", Texts::of(visitor.language).no_role)?)
}

/// Turns away who comes back from no sign-in that was begun here. Nothing can be guessed by that.
fn stray(shared: &Shared, visitor: &Visitor, why: &str) -> Result<Response, Trouble> {
    shared.log.line(&format!("page: refused: {} did not sign in: {why}", visitor.peer));
    sign::refused(shared, visitor, "/", Texts::of(visitor.language).refused)
}

/// Says that somebody is not let in; what exactly is for the log and the audit.
async fn refuse(
    shared: &Shared,
    visitor: &Visitor,
    failure: &Failure,
    next: &str,
) -> Result<Response, Trouble> {
    let texts = Texts::of(visitor.language);
    match failure {
        Failure::Away(why) => {
            let peer = visitor.peer;
            shared.log.line(&format!("page: the provider is of no use to {peer}: {why}"));
            let mut response = sign::refused(shared, visitor, next, texts.away)?;
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            Ok(response)
        }
        Failure::Refused(why) => {
            let line = format!("page: refused: {} did not sign in: {why}", visitor.peer);
            shared.log.line(&line);
            let (address, counted) = (visitor.peer.to_string(), visitor.counted_address());
            let origin = Origin { counted: &counted, address: &address, agent: &visitor.agent };
            shared.store.note_failed_arrival(why, origin, clock::now()).await?;
            sign::refused(shared, visitor, next, texts.refused)
        }
    }
}
