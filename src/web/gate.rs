//! What every request passes, before and after what it asks for: who asks and by which name, from
//! which page, and what browsers are told of every answer.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Mutex,
    time::{Duration, Instant},
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use config::web::Secrecy;
use inventory::{
    store::Use,
    user::{ApiToken, token_hash},
};
use tokio::time::timeout;

use super::{
    Shared,
    certificates::CALENDARS,
    cookie::{self, Cookie},
    language::Language,
    page,
    patience::{Late, hurried},
    trouble::Trouble,
    visit::{Theme, Visitor, Who, form_token},
};
use crate::{clock, tell};

/// The address of the other side of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// What browsers may do with a page of ours: nothing that is not from here.
const POLICY: &str = "default-src 'self'; object-src 'none'; base-uri 'none'; \
                      form-action 'self'; frame-ancestors 'none'";

/// How long a request may take until its answer begins, with all that is sent for it.
const ANSWER: Duration = Duration::from_secs(120);

/// What every answer says. See docs/security.md.
const HEADERS: &[(&str, &str)] = &[
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    // With "no-referrer" browsers say of a form that it comes from "null".
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-embedder-policy", "require-corp"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
];

/// See the module.
pub(crate) async fn pass(
    State(shared): State<Shared>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<Peer>();
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |Peer(peer)| peer.ip());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let told = without_secret(&path).to_owned();
    let mut visitor = stranger(&request, peer);
    let mut entry = None;
    let headers = request.headers().clone();
    let answer = match check_origin(&shared, &method, &headers) {
        Err(trouble) => trouble.into_response(),
        Ok(()) => match identify(&shared, &headers, &path, &mut visitor).await {
            Err(trouble) => trouble.into_response(),
            Ok(new) => {
                entry = new;
                request.extensions_mut().insert(visitor.clone());
                let late = Late::default();
                let request = request.map(|body| hurried(body, shared.patience, &late));
                match timeout(ANSWER, next.run(request)).await {
                    Ok(_) if late.is_so() => Trouble::Late.into_response(),
                    Ok(answer) => Trouble::of_router(answer).unwrap_or_else(Trouble::into_response),
                    Err(_) => Trouble::Failed("it took too long".to_owned()).into_response(),
                }
            }
        },
    };
    let mut answer = match answer.extensions().get::<Trouble>().cloned() {
        Some(Trouble::SignIn) if comes_from_elsewhere(&method, &headers) => page::again(&visitor),
        Some(trouble) => {
            let reference = trouble.reference();
            if let Some(why) = trouble.log() {
                let end = reference.as_ref().map(|reference| format!(" (reference {reference})"));
                let end = end.unwrap_or_default();
                // The reference stands before what may be long.
                let line = format!("page: refused: {method} {told} from {peer}{end}: {why}");
                shared.log.line(&line);
            }
            page::trouble(&visitor, (&method, &told), &trouble, reference.as_deref())
        }
        None => answer,
    };
    if let Some(token) = entry {
        cookie::set(&shared, &mut answer, Cookie::Entry, &token);
    }
    dress(&shared, answer.headers_mut());
    answer
}

/// A path without the secret that stands in the path of a calendar: what is logged and what pages
/// lead back to.
fn without_secret(path: &str) -> &str {
    if path.starts_with(CALENDARS) { CALENDARS } else { path }
}

/// What every answer says to the browser.
fn dress(shared: &Shared, headers: &mut HeaderMap) {
    for (name, value) in HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if shared.settings.web.secrecy != Secrecy::Plain {
        let value = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
}

/// Whether somebody follows a link on a page that is not ours.
fn comes_from_elsewhere(method: &Method, headers: &HeaderMap) -> bool {
    let is = |name: &str, value: &str| headers.get(name).is_some_and(|given| given == value);
    *method == Method::GET && is("sec-fetch-site", "cross-site") && is("sec-fetch-mode", "navigate")
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// What is known of whoever has not signed in.
fn stranger(request: &Request, peer: IpAddr) -> Visitor {
    let headers = request.headers();
    let chosen =
        cookie::read(headers, cookie::LANGUAGE).and_then(|name| Language::from_name(&name));
    let accepted =
        || Language::accepted(text(headers, &header::ACCEPT_LANGUAGE).unwrap_or_default());
    let theme = cookie::read(headers, cookie::THEME).and_then(|name| Theme::from_name(&name));
    Visitor {
        who: Who::Nobody,
        form_token: String::new(),
        language: chosen.unwrap_or_else(accepted),
        theme: theme.unwrap_or(Theme::System),
        peer,
        agent: text(headers, &header::USER_AGENT).unwrap_or_default().to_owned(),
        path: back_to(request).to_owned(),
    }
}

/// Where a choice of language leads back to: what was sent is not sent again.
fn back_to(request: &Request) -> &str {
    match *request.method() {
        Method::GET | Method::HEAD => {
            without_secret(request.uri().path_and_query().map_or("/", |path| path.as_str()))
        }
        _ => "/",
    }
}

/// Whether the request was meant for us, and, where it may change something, came from a page of
/// ours: a name that somebody else makes lead here (DNS rebinding) is not ours.
fn check_origin(shared: &Shared, method: &Method, headers: &HeaderMap) -> Result<(), Trouble> {
    let host = text(headers, &header::HOST).ok_or(Trouble::WrongHost)?;
    if !shared.hosts.is_ours(host) {
        return Err(Trouble::WrongHost);
    }
    if matches!(*method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if !matches!(site, None | Some(b"same-origin" | b"none")) {
        return Err(Trouble::Forged("sent by a page of another site"));
    }
    if let Some(origin) = headers.get(header::ORIGIN) {
        let scheme = match shared.settings.web.secrecy {
            // A proxy on this machine may speak TLS to the browser.
            Secrecy::Plain => &["https://", "http://"][..],
            Secrecy::OwnCertificate | Secrecy::Files { .. } => &["https://"],
        };
        let origin = origin.to_str().unwrap_or_default();
        let is_own = scheme.iter().any(|scheme| origin.strip_prefix(scheme) == Some(host));
        if !is_own {
            return Err(Trouble::Forged("sent by a page of another origin"));
        }
    }
    Ok(())
}

/// Finds out who it is. Returns the token to which the forms of somebody are bound who has not
/// signed in, where the browser has none yet.
async fn identify(
    shared: &Shared,
    headers: &HeaderMap,
    path: &str,
    visitor: &mut Visitor,
) -> Result<Option<String>, Trouble> {
    let now = clock::now();
    let for_programs = path.starts_with("/api/") || path == "/metrics";
    if for_programs && let Some(given) = text(headers, &header::AUTHORIZATION) {
        let token = given.strip_prefix("Bearer ").unwrap_or_default();
        let found = shared.store.api_token(&token_hash(token.trim()), now).await?;
        let found = found.ok_or(Trouble::SignIn)?;
        visitor.who = Who::Program(Box::new(found));
        return Ok(None);
    }
    if let Some(rest) = path.strip_prefix(CALENDARS) {
        let token = rest.split('/').next().unwrap_or_default();
        let found = shared.store.api_token(&token_hash(token), now).await?;
        // A key that opens more has no business in an address.
        if let Some(found) = found.filter(ApiToken::is_for_calendars) {
            visitor.who = Who::Program(Box::new(found));
        }
        return Ok(None);
    }
    // What is the same for everybody asks nobody who it is.
    if path.starts_with("/static/") || path == "/healthz" || path == "/readyz" {
        return Ok(None);
    }
    if let Some(token) = cookie::read(headers, shared.cookie_name(Cookie::Session)) {
        // What a page that lies open follows by itself keeps no session alive.
        let follows =
            text(headers, &header::ACCEPT).is_some_and(|kind| kind == "text/event-stream");
        let used = if follows { Use::Silent } else { Use::Noted };
        let hash = token_hash(&token);
        let session = shared.store.session(&hash, shared.lasting(), used, now).await?;
        if let Some(session) = session.filter(|session| shared.believes(&session.user)) {
            visitor.form_token = form_token(&token);
            visitor.who = Who::User(Box::new(session));
            return Ok(None);
        }
    }
    if let Some(token) = cookie::read(headers, shared.cookie_name(Cookie::Entry)) {
        visitor.form_token = form_token(&token);
        return Ok(None);
    }
    let token = cookie::new_token()?;
    visitor.form_token = form_token(&token);
    Ok(Some(token))
}

/// The names by which we are asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hosts(pub(crate) Vec<String>);

impl Hosts {
    /// Whether a `Host` is an address, which no name server gives out, or a name of ours.
    pub(crate) fn is_ours(&self, host: &str) -> bool {
        if host.parse::<SocketAddr>().is_ok() || host.parse::<IpAddr>().is_ok() {
            return true;
        }
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        if bracketed.is_some_and(|host| host.parse::<IpAddr>().is_ok()) {
            return true;
        }
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => host,
        };
        let name = name.trim_end_matches('.');
        self.0.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// Lines for the log, of which nobody can make so many that it fills the disk.
#[derive(Debug)]
pub(crate) struct Log(Mutex<(Instant, u32)>);

/// So many lines are said in a second; of more, how many there were.
const LINES: u32 = 20;

impl Log {
    pub(crate) fn new() -> Self {
        Self(Mutex::new((Instant::now(), 0)))
    }

    pub(crate) fn line(&self, line: &str) {
        let Ok(mut state) = self.0.lock() else { return };
        if state.0.elapsed() >= Duration::from_secs(1) {
            if let Some(more) = state.1.checked_sub(LINES).filter(|more| *more > 0) {
                tell::line(&format!("page: {more} more lines were left out"));
            }
            *state = (Instant::now(), 0);
        }
        state.1 = state.1.saturating_add(1);
        if state.1 <= LINES {
            tell::line(&one_line(line));
        }
    }
}

/// One request is one line, and not a long one.
fn one_line(text: &str) -> String {
    text.chars().take(500).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_in_an_address_is_told_nowhere() {
        assert_eq!(without_secret("/calendar/daicho_ab12/certificates.ics?x=1"), "/calendar/");
        assert_eq!(without_secret("/calendar/"), "/calendar/");
        assert_eq!(
            without_secret("/certificates/calendar?month=2026-12"),
            "/certificates/calendar?month=2026-12"
        );
    }

    #[test]
    fn a_request_is_one_line_of_the_log() {
        let line =
            one_line(&format!("GET /a\r\npage: refused: nothing\u{2028}{}", "x".repeat(999)));
        assert_eq!(line.chars().count(), 500);
        assert!(line.starts_with("GET /a  page:") && !line.contains(['\n', '\r']));
    }

    #[test]
    fn a_name_that_somebody_else_makes_lead_here_is_not_ours() {
        let hosts = Hosts(vec!["localhost".into(), "daicho.office.example".into()]);
        for ours in [
            "127.0.0.1",
            "127.0.0.1:8443",
            "[::1]",
            "[::1]:8443",
            "localhost:8443",
            "LOCALHOST",
            "daicho.office.example",
            "daicho.office.example.:443",
        ] {
            assert!(hosts.is_ours(ours), "{ours}");
        }
        for other in [
            "evil.example",
            "evil.example:8443",
            "localhost.evil.example",
            "",
            ":1",
            "127.0.0.1.nip.io",
        ] {
            assert!(!hosts.is_ours(other), "{other}");
        }
    }
}
