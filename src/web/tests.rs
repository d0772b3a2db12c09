//! The page as a browser or a program meets it, over a database in a file.

mod acts;
mod findings;
mod hostile;
mod hurry;
mod japanese;
#[cfg(feature = "oidc")]
mod oidc;
mod pages;
mod settled;

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode, header},
};
use inventory::{
    store::Origin,
    user::{Role, Scope, token_hash},
};
use model::Timestamp;
use tempfile::TempDir;
use tower::ServiceExt as _;

use super::{
    Scarce, Shared,
    gate::Peer,
    password,
    routes::{self, all, router},
    visit::{Access, form_token},
};
use crate::{clock, compose};

/// A page over a database of its own.
pub(super) struct Site {
    folder: TempDir,
    pub(super) shared: Shared,
    router: Router,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

pub(super) const HOST: &str = "localhost:8443";

impl Site {
    pub(super) async fn new() -> Self {
        Self::with("").await
    }

    /// With this on top of the configuration.
    pub(super) async fn with(file: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let database = folder.path().join("daicho.db");
        Self::over(folder, &database, file).await
    }

    /// Over a database in a folder, with this on top of the configuration.
    async fn over(folder: TempDir, database: &std::path::Path, file: &str) -> Self {
        let mut layers = config::Layers::defaults();
        layers.add_file("test", file).unwrap();
        layers.add_flag("--db", "database", database.to_str().unwrap()).unwrap();
        let config = config::Config::from_layers(&layers).unwrap();
        let shared = Shared::open(compose::settings(config).unwrap()).await.unwrap();
        Self { folder, router: router(shared.clone()), shared }
    }

    pub(super) fn path(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Makes a user of that role and name, and the token of a session that began then.
    pub(super) async fn session_since(&self, role: Role, since: Timestamp) -> String {
        let name = role.as_str();
        let known = self.shared.store.user(name).await.unwrap();
        let user = match known {
            Some((user, _)) => user,
            None => self.shared.store.add_user(name, role, "no hash", since).await.unwrap(),
        };
        let token = super::cookie::new_token().unwrap();
        let origin = Origin { counted: "a", address: "a", agent: "" };
        let hash = token_hash(&token);
        self.shared.store.sign_in(&user, &hash, None, origin, since).await.unwrap();
        token
    }

    pub(super) async fn session(&self, role: Role) -> String {
        self.session_since(role, clock::now()).await
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        let (parts, bytes) = self.answer(request).await;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    async fn answer(
        &self,
        mut request: Request<Body>,
    ) -> (axum::http::response::Parts, axum::body::Bytes) {
        let headers = request.headers_mut();
        if !headers.contains_key(header::HOST) {
            headers.insert(header::HOST, HOST.parse().unwrap());
        }
        // Documentation's own: nobody of this machine.
        request.extensions_mut().insert(Peer("192.0.2.7:5000".parse().unwrap()));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        (parts, axum::body::to_bytes(body, 16 << 20).await.unwrap())
    }

    /// Looks at a page, signed in by this token or not.
    pub(super) async fn get(&self, path: &str, token: Option<&str>) -> Answer {
        let mut request = Request::get(path);
        if let Some(token) = token {
            request = request.header(header::COOKIE, format!("__Host-daicho={token}"));
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// Sends a form from a page of ours.
    pub(super) async fn post(&self, path: &str, token: &str, fields: &str) -> Answer {
        let body = format!("csrf={}&{fields}", form_token(token));
        let request = form(path, Some(token)).body(Body::from(body)).unwrap();
        self.send(request).await
    }
}

fn form(path: &str, token: Option<&str>) -> axum::http::request::Builder {
    let request = Request::post(path)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header("sec-fetch-site", "same-origin")
        .header(header::ORIGIN, format!("https://{HOST}"));
    match token {
        Some(token) => request.header(header::COOKIE, format!("__Host-daicho={token}")),
        None => request,
    }
}

/// A path of a route, with something in the place of what varies.
fn example(path: &str) -> String {
    let part = |part: &str| match part.starts_with('{') {
        true => "1".to_owned(),
        false => part.to_owned(),
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// Whether a request was refused because of who sent it.
fn is_refused(answer: &Answer) -> bool {
    let to_login = answer.headers.get(header::LOCATION);
    let to_login = to_login.is_some_and(|to| to.to_str().unwrap().starts_with("/login?next="));
    matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
        || (answer.status == StatusCode::SEE_OTHER && to_login)
}

/// Asks for a route as somebody with this token, with all that a page of ours would send.
async fn ask(site: &Site, route: &routes::Route, token: Option<&str>) -> Answer {
    let path = example(route.path);
    match (route.method, token) {
        ("GET", _) => site.get(&path, token).await,
        (_, Some(token)) => site.post(&path, token, "").await,
        (_, None) => site.send(form(&path, None).body(Body::from("csrf=x")).unwrap()).await,
    }
}

#[tokio::test]
async fn every_route_is_refused_to_whoever_has_not_signed_in() {
    let site = Site::new().await;
    let mut refused = 0;
    for route in all() {
        let answer = ask(&site, &route, None).await;
        match (route.access, route.method) {
            (Access::Anyone, "GET") => assert!(!is_refused(&answer), "{}", route.path),
            _ => {
                assert!(is_refused(&answer), "{} {}: {}", route.method, route.path, answer.status);
                refused += 1;
            }
        }
    }
    assert!(refused >= 5, "the table was not walked");
}

#[tokio::test]
async fn every_route_is_refused_to_each_role_below_its_own() {
    let site = Site::new().await;
    for role in Role::ALL {
        for route in all() {
            let Access::Role(least) = route.access else { continue };
            // A session of its own for each: what is done may end it.
            let token = site.session(role).await;
            if role < least {
                let answer = ask(&site, &route, Some(&token)).await;
                assert_eq!(answer.status, StatusCode::FORBIDDEN, "{role}: {}", route.path);
            } else if route.method == "GET" {
                let answer = ask(&site, &route, Some(&token)).await;
                assert!(!is_refused(&answer), "{role}: {}: {}", route.path, answer.status);
            }
        }
    }
}

#[tokio::test]
async fn nothing_is_done_for_a_page_of_another_site() {
    let site = Site::new().await;
    let token = site.session(Role::Admin).await;
    let other = site.session(Role::Admin).await;
    let good = form_token(&token);
    let forged = [
        ("no token", String::new(), "same-origin", format!("https://{HOST}")),
        (
            "the token of another session",
            form_token(&other),
            "same-origin",
            format!("https://{HOST}"),
        ),
        ("another site", good.clone(), "cross-site", format!("https://{HOST}")),
        ("a neighbour of the site", good.clone(), "same-site", format!("https://{HOST}")),
        ("another origin", good.clone(), "same-origin", "https://evil.example".to_owned()),
        ("an origin in the clear", good.clone(), "same-origin", format!("http://{HOST}")),
        ("no origin that can be told", good, "same-origin", "null".to_owned()),
    ];
    let mut walked = 0;
    for route in all().iter().filter(|route| route.method != "GET") {
        for (what, csrf, fetch, origin) in &forged {
            let request = Request::post(example(route.path))
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .header(header::COOKIE, format!("__Host-daicho={token}"))
                .header("sec-fetch-site", *fetch)
                .header(header::ORIGIN, origin)
                .body(Body::from(format!("csrf={csrf}")))
                .unwrap();
            let answer = site.send(request).await;
            let path = route.path;
            // What takes a file says first that this is none.
            let is_upload =
                answer.status == StatusCode::UNPROCESSABLE_ENTITY && what.contains("token");
            assert!(
                answer.status == StatusCode::FORBIDDEN || is_upload,
                "{path}: {what}: {}",
                answer.status
            );
            walked += 1;
        }
    }
    assert!(walked > 20, "the table was not walked");
    // It is still signed in: nothing of all that was done.
    assert_eq!(site.get("/account", Some(&token)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn forged_and_expired_sessions_are_none() {
    let site = Site::new().await;
    let now = clock::now();
    let hours = |hours: i64| now.plus_seconds(-3_600 * hours);
    let idle = site.session_since(Role::Admin, hours(1)).await;
    let old = site.session_since(Role::Admin, hours(13)).await;
    let fresh = site.session(Role::Admin).await;
    let forged = super::cookie::new_token().unwrap();
    for token in [idle.as_str(), &old, &forged, "", "'; DROP TABLE session; --"] {
        for route in all().iter().filter(|route| matches!(route.access, Access::Role(_))) {
            let answer = ask(&site, route, Some(token)).await;
            assert!(is_refused(&answer), "{token}: {}", route.path);
        }
    }
    // The hash that is stored is no token.
    assert!(is_refused(&site.get("/account", Some(&token_hash(&fresh))).await));
    assert_eq!(site.get("/account", Some(&fresh)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_key_opens_what_its_scopes_say_until_it_expires() {
    let site = Site::new().await;
    let now = clock::now();
    let store = &site.shared.store;
    let keys = [
        ("numbers", vec![Scope::Metrics], now.plus_seconds(60)),
        ("reader", vec![Scope::Read], now.plus_seconds(60)),
        ("old", vec![Scope::Metrics, Scope::Manage], now.plus_seconds(-1)),
    ];
    for (name, scopes, end) in keys {
        store.add_api_token(name, &token_hash(name), &scopes, Some(end), now).await.unwrap();
    }
    let get = async |path: &str, token: &str| {
        let request = Request::get(path).header(header::AUTHORIZATION, format!("Bearer {token}"));
        site.send(request.body(Body::empty()).unwrap()).await
    };
    let answer = get("/metrics", "numbers").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert!(answer.text.contains("daicho_assets{registration=\"unregistered\"} 0\n"));
    for token in ["old", "unknown", ""] {
        assert_eq!(get("/metrics", token).await.status, StatusCode::UNAUTHORIZED, "{token}");
    }
    assert_eq!(get("/api/v1/assets", "reader").await.status, StatusCode::OK);
    assert_eq!(get("/api/v1/assets", "numbers").await.status, StatusCode::FORBIDDEN);
    assert_eq!(get("/api/v1/assets", "old").await.status, StatusCode::UNAUTHORIZED);
    // A key is for programs: no page takes it.
    assert!(is_refused(&get("/account", "numbers").await));
}

#[tokio::test]
async fn a_calendar_is_fetched_by_an_address_with_a_key_for_that_alone() {
    let site = Site::new().await;
    let admin = site.session(Role::Admin).await;
    // Such a key stands alone.
    let both = site.post("/tokens", &admin, "name=x&days=30&scope=calendar&scope=read").await;
    assert_eq!(both.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", both.text);
    let made = site.post("/tokens", &admin, "name=outlook&days=30&scope=calendar").await;
    let (_, rest) = made.text.split_once("<code>/calendar/").unwrap();
    let path = format!("/calendar/{}", rest.split('<').next().unwrap());
    let key = path.split('/').nth(2).unwrap().to_owned();
    let fetch = async |path: &str| site.get(path, None).await;
    let file = fetch(&path).await;
    assert_eq!(file.status, StatusCode::OK, "{}", file.text);
    assert_eq!(file.headers[header::CONTENT_TYPE], "text/calendar; charset=utf-8");
    assert_eq!(file.headers[header::CACHE_CONTROL], "no-store");
    assert!(file.text.starts_with("BEGIN:VCALENDAR\r\n"), "{}", file.text);
    // It opens nothing else, wherever it is shown.
    for path in ["/api/v1/assets", "/api/v1/calendar.ics", "/metrics"] {
        let request = Request::get(path).header(header::AUTHORIZATION, format!("Bearer {key}"));
        let answer = site.send(request.body(Body::empty()).unwrap()).await;
        assert!(is_refused(&answer), "{path}: {}", answer.status);
    }
    // No other key is taken there, nor somebody who is signed in.
    let now = clock::now();
    let store = &site.shared.store;
    for (name, scopes, end) in [
        ("reader", vec![Scope::Read], 60),
        ("both", vec![Scope::Calendar, Scope::Read], 60),
        ("old", vec![Scope::Calendar], -1),
    ] {
        let end = Some(now.plus_seconds(end));
        store.add_api_token(name, &token_hash(name), &scopes, end, now).await.unwrap();
    }
    for key in ["reader", "both", "old", "unknown", "%00", &token_hash(&key)] {
        let path = format!("/calendar/{key}/certificates.ics");
        let answer = site.get(&path, Some(&admin)).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/problem+json");
        assert!(!answer.text.contains(key), "{}", answer.text);
    }
    // Who made and who removed it is in the audit, and the key is nowhere.
    site.post("/tokens/outlook/remove", &admin, "").await;
    assert_eq!(fetch(&path).await.status, StatusCode::UNAUTHORIZED);
    let audit = format!("{:?}", store.audit(None).await.unwrap());
    assert!(audit.contains("add_token") && audit.contains("remove_token"), "{audit}");
    assert!(!audit.contains(&key), "{audit}");
}

#[tokio::test]
async fn the_numbers_are_for_whom_the_configuration_says() {
    for (setting, here, elsewhere) in
        [("no", 404, 404), ("token", 401, 401), ("loopback", 200, 401)]
    {
        let site = Site::with(&format!("[web]\nmetrics = \"{setting}\"")).await;
        assert_eq!(site.get("/metrics", None).await.status, elsewhere, "{setting}");
        let mut request =
            Request::get("/metrics").header(header::HOST, HOST).body(Body::empty()).unwrap();
        request.extensions_mut().insert(Peer("127.0.0.1:5000".parse().unwrap()));
        let response = site.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), here, "{setting}");
    }
}

#[tokio::test]
async fn every_answer_tells_the_browser_to_trust_nothing_else() {
    let site = Site::new().await;
    let token = site.session(Role::Viewer).await;
    let mut answers = Vec::new();
    for path in ["/login", "/account", "/nothing", "/static/style.css", "/healthz", "/users"] {
        answers.push((path, site.get(path, Some(&token)).await));
    }
    let foreign = Request::get("/").header(header::HOST, "evil.example");
    answers.push(("foreign", site.send(foreign.body(Body::empty()).unwrap()).await));
    for (path, answer) in &answers {
        let says =
            |name: &str| answer.headers.get(name).map_or("", |value| value.to_str().unwrap());
        let policy = says("content-security-policy");
        assert!(policy.contains("default-src 'self'") && !policy.contains("unsafe"), "{path}");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(says("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(says("referrer-policy"), "same-origin", "{path}");
        assert_eq!(says("cross-origin-opener-policy"), "same-origin", "{path}");
        assert_eq!(says("cross-origin-resource-policy"), "same-origin", "{path}");
        assert!(says("strict-transport-security").starts_with("max-age="), "{path}");
        let kind = says("content-type");
        let is_text = kind.starts_with("text/") && kind.ends_with("charset=utf-8");
        // One that leads elsewhere has nothing to say.
        assert!(is_text || answer.text.is_empty(), "{path}: {kind}");
        let cached = if path.starts_with("/static") { "no-cache" } else { "no-store" };
        assert_eq!(says("cache-control"), cached, "{path}");
        // What the policy forbids is not in our own pages either.
        for inline in ["<style", "style=", "onclick", "<script>"] {
            assert!(
                !answer.text.contains(inline) || path.starts_with("/static"),
                "{path}: {inline}"
            );
        }
    }
    assert_eq!(answers.last().unwrap().1.status, StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test]
async fn more_than_a_form_can_be_is_not_read() {
    let site = Site::new().await;
    let token = site.session(Role::Viewer).await;
    let answer = site.post("/account/sessions", &token, &format!("x={}", "y".repeat(70_000))).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn what_a_browser_chose_stays_with_it_and_leads_nowhere_else() {
    let site = Site::new().await;
    let entry = site.get("/login", None).await;
    let cookie = entry.headers[header::SET_COOKIE].to_str().unwrap();
    let token = cookie.split(['=', ';']).nth(1).unwrap();
    let body = format!("csrf={}&language=ja&theme=dark&back=//evil.example", form_token(token));
    let request = form("/preferences", None)
        .header(header::COOKIE, format!("__Host-daicho-entry={token}"))
        .body(Body::from(body))
        .unwrap();
    let answer = site.send(request).await;
    assert_eq!(answer.headers[header::LOCATION], "/");
    let request =
        Request::get("/login").header(header::COOKIE, "daicho-language=ja; daicho-theme=dark");
    let answer = site.send(request.body(Body::empty()).unwrap()).await;
    assert!(answer.text.contains("<html lang=\"ja\" data-theme=\"dark\">"), "{}", answer.text);
    assert!(answer.text.contains("サインイン"));
}

/// Signing in, as a browser does it: the page first, then the form.
async fn sign_in(site: &Site, name: &str, password: &str) -> Answer {
    let page = site.get("/login", None).await;
    let cookie = page.headers[header::SET_COOKIE].to_str().unwrap().to_owned();
    let token = cookie.split(['=', ';']).nth(1).unwrap();
    let body = format!("csrf={}&name={name}&password={password}&next=/account", form_token(token));
    let request = form("/login", None)
        .header(header::COOKIE, format!("__Host-daicho-entry={token}"))
        .body(Body::from(body))
        .unwrap();
    site.send(request).await
}

fn session_token(answer: &Answer) -> String {
    let cookies = answer.headers.get_all(header::SET_COOKIE).into_iter();
    let mut cookies = cookies.map(|cookie| cookie.to_str().unwrap());
    let cookie = cookies.find(|cookie| cookie.starts_with("__Host-daicho=")).unwrap();
    for attribute in ["; Path=/", "; HttpOnly", "; SameSite=Strict", "; Secure"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
    cookie.split(['=', ';']).nth(1).unwrap().to_owned()
}

#[tokio::test]
async fn signing_in_gives_a_new_token_and_signing_out_ends_it() {
    let site = Site::new().await;
    let hash = password::hash("correct+horse").unwrap();
    let store = &site.shared.store;
    store.add_user("sato", Role::Viewer, &hash, clock::now()).await.unwrap();
    let first = sign_in(&site, "SATO", "correct%2Bhorse").await;
    assert_eq!(first.status, StatusCode::SEE_OTHER);
    assert_eq!(first.headers[header::LOCATION], "/account");
    let first = session_token(&first);
    let second = session_token(&sign_in(&site, "sato", "correct%2Bhorse").await);
    assert_ne!(first, second);
    assert_eq!(site.get("/account", Some(&second)).await.status, StatusCode::OK);
    site.post("/logout", &second, "").await;
    assert!(is_refused(&site.get("/account", Some(&second)).await));
    // Out there, and everywhere else.
    let third = session_token(&sign_in(&site, "sato", "correct%2Bhorse").await);
    site.post("/account/sessions", &third, "").await;
    assert!(is_refused(&site.get("/account", Some(&first)).await));
    assert_eq!(site.get("/account", Some(&third)).await.status, StatusCode::OK);
    // With another role the old token is worth nothing.
    store.set_role("sato", Role::Operator, clock::now()).await.unwrap();
    assert!(is_refused(&site.get("/account", Some(&third)).await));
    let audit = store.audit(None).await.unwrap();
    let deeds: Vec<&str> = audit.iter().rev().map(|entry| entry.deed.action.as_str()).collect();
    let expected =
        ["add_user", "sign_in", "sign_in", "sign_out", "sign_in", "sign_out", "set_role"];
    assert_eq!(deeds, expected);
    assert!(audit.iter().all(|entry| !format!("{entry:?}").contains("horse")));
}

#[tokio::test]
async fn whoever_guesses_waits_whether_the_name_is_somebodys_or_not() {
    let site = Site::new().await;
    let hash = password::hash("correct+horse").unwrap();
    let store = &site.shared.store;
    store.add_user("sato", Role::Viewer, &hash, clock::now()).await.unwrap();
    // What is nobody's name may be a password: it is not written down.
    for (name, told) in [("sato", "sato"), ("nobody", "(unknown name)")] {
        let mut wrong = 0;
        let last = loop {
            let answer = sign_in(&site, name, "wrong").await;
            if answer.status != StatusCode::UNAUTHORIZED {
                break answer;
            }
            assert!(answer.text.contains("Name or password is wrong."));
            wrong += 1;
        };
        assert_eq!(last.status, StatusCode::TOO_MANY_REQUESTS);
        assert!(last.headers.contains_key(header::RETRY_AFTER));
        // Three are free; on a slow machine the first pauses are over before they are noticed.
        assert!((3..=8).contains(&wrong), "{wrong}");
        // The address waits as well, and so would the next name.
        let all = store.audit(None).await.unwrap();
        assert!(
            all.iter()
                .any(|entry| entry.deed.action == "failed_sign_in" && entry.deed.subject == told)
        );
        assert!(all.iter().all(|entry| !entry.deed.detail.contains("wrong")));
        site.forget_attempts(name).await;
    }
}

impl Site {
    /// As if a day had gone by.
    async fn forget_attempts(&self, name: &str) {
        let store = &self.shared.store;
        let origin = Origin { counted: "192.0.2.7", address: "192.0.2.7", agent: "" };
        let later = clock::now().plus_seconds(2 * 86_400);
        store
            .note_failed_attempt("somebody else", Origin { counted: "other", ..origin }, later)
            .await
            .unwrap();
        assert_eq!(store.refused_until(Some(name), "192.0.2.7", clock::now()).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_password_is_changed_by_whoever_knows_the_old_one() {
    let site = Site::new().await;
    let store = &site.shared.store;
    let hash = password::hash("correct+horse").unwrap();
    store.add_user("sato", Role::Viewer, &hash, clock::now()).await.unwrap();
    let token = session_token(&sign_in(&site, "sato", "correct%2Bhorse").await);
    let other = session_token(&sign_in(&site, "sato", "correct%2Bhorse").await);
    let change = async |fields: &str| site.post("/account/password", &token, fields).await.text;
    let wrong = change("old=guess&new=battery+staple&again=battery+staple").await;
    assert!(wrong.contains("Name or password is wrong."));
    let short = change("old=correct%2Bhorse&new=short&again=short").await;
    assert!(short.contains("at least 12 letters"), "{short}");
    let twice = change("old=correct%2Bhorse&new=battery+staple&again=battery+stable").await;
    assert!(twice.contains("are not the same"));
    assert_eq!(site.get("/account", Some(&other)).await.status, StatusCode::OK);
    let good = change("old=correct%2Bhorse&new=battery+staple&again=battery+staple").await;
    assert!(good.contains("The password was changed."));
    assert!(is_refused(&site.get("/account", Some(&other)).await));
    assert_eq!(site.get("/account", Some(&token)).await.status, StatusCode::OK);
    assert_eq!(sign_in(&site, "sato", "battery+staple").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_page_that_asks_again_for_a_style_gets_none() {
    let site = Site::new().await;
    let first = site.get("/static/style.css", None).await;
    let request = Request::get("/static/style.css")
        .header(header::IF_NONE_MATCH, first.headers[header::ETAG].clone());
    let answer = site.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::NOT_MODIFIED, ""));
    assert!(site.path().join("daicho.db").exists());
}

#[tokio::test]
async fn a_scan_is_shown_with_how_far_it_is_and_what_it_says_is_harmless() {
    use inventory::store::ScanProgress;
    use model::{Gap, ScanRecord, Vantage};
    let site = Site::new().await;
    let store = &site.shared.store;
    let vantage = Vantage { site: model::Site("<b>office".into()), name: "\u{202e}here".into() };
    let now = clock::now();
    let targets = ["192.0.2.0/24".to_owned(), "\"><script>alert(1)</script>".to_owned()];
    let id = store.begin_scan(&vantage, now, "connect", &targets, "sweep").await.unwrap();
    let progress = ScanProgress {
        at: now,
        phase: "ports".into(),
        permille: 437,
        alive: 12,
        open: 34,
        packets_per_second: 987,
        seconds_left: Some(65),
    };
    store.note_progress(id, &progress).await.unwrap();
    let token = site.session(Role::Viewer).await;
    let path = format!("/scans/{}", id.0);
    let page = site.get(&path, Some(&token)).await.text;
    assert!(page.contains("value=\"437\"") && page.contains("1 min 5 s"), "{page}");
    assert!(page.contains("data-live=\"/scans/1/events\""));
    assert!(
        !page.contains("<script>alert")
            && !page.contains("<b>office")
            && !page.contains('\u{202e}')
    );
    // The end of a scan takes away how far it was.
    let record = ScanRecord {
        vantage,
        started_at: now,
        ended_at: Some(now.plus_seconds(5)),
        io: "connect".into(),
        probes_sent: 10,
        replies: 2,
        drops: 0,
        complete: false,
        gaps: vec![Gap { target: "192.0.2.7".into(), reason: "<i>no route".into() }],
        coverage: Vec::new(),
    };
    store.finish_scan(id, &record).await.unwrap();
    let page = site.get(&path, Some(&token)).await.text;
    assert!(!page.contains("<progress") && page.contains("incomplete"));
    assert!(page.contains("&#60;i&#62;no route"), "{page}");
    let events = site.get(&format!("{path}/events"), Some(&token)).await;
    assert_eq!(events.headers[header::CONTENT_TYPE], "text/event-stream");
    assert_eq!(events.text, "event: end\ndata: over\n\n");
    assert_eq!(site.get("/scans/99", Some(&token)).await.status, StatusCode::NOT_FOUND);
    for page in ["/", "/scans"] {
        let page = site.get(page, Some(&token)).await.text;
        assert!(page.contains("/scans/1") && !page.contains("<script>alert"), "{page}");
    }
}

#[tokio::test]
async fn a_link_from_elsewhere_leads_to_the_page_and_not_to_signing_in() {
    let site = Site::new().await;
    let from = async |site_of_link: &str| {
        let request = Request::get("/scans/7?x=%22%3E")
            .header("sec-fetch-site", site_of_link)
            .header("sec-fetch-mode", "navigate");
        site.send(request.body(Body::empty()).unwrap()).await
    };
    let first = from("cross-site").await;
    assert!(first.text.contains("content=\"0;url=/scans/7?x=%22%3E\""), "{}", first.text);
    // From our own page it is not signed in, and that is the end of it.
    assert!(is_refused(&from("same-origin").await));
}

#[tokio::test]
async fn a_route_answers_its_own_method_alone() {
    let site = Site::new().await;
    let token = site.session(Role::Admin).await;
    for route in all() {
        let paths = all();
        let own: Vec<&str> =
            paths.iter().filter(|one| one.path == route.path).map(|one| one.method).collect();
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "OPTIONS"] {
            if own.contains(&method) {
                continue;
            }
            let request = Request::builder()
                .method(method)
                .uri(example(route.path))
                .header(header::COOKIE, format!("__Host-daicho={token}"));
            let answer = site.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {}", route.path);
            let allowed = answer.headers[header::ALLOW].to_str().unwrap();
            assert!(own.iter().all(|one| allowed.contains(one)), "{allowed}: {}", route.path);
            is_ours(&answer, route.path, "method");
        }
    }
}

/// Whether a refusal is a problem of the API, or a page of ours.
fn is_ours(answer: &Answer, path: &str, kind: &str) {
    let is_program =
        path.starts_with("/api/") || path == "/metrics" || path.starts_with("/calendar/");
    let (form, part) = match is_program {
        true => ("application/problem+json", format!("urn:daicho:problem:{kind}")),
        false => ("text/html", "<main".to_owned()),
    };
    let given = answer.headers[header::CONTENT_TYPE].to_str().unwrap();
    assert!(given.starts_with(form) && answer.text.contains(&part), "{path}: {}", answer.text);
}

#[tokio::test]
async fn what_cannot_be_read_of_a_path_or_a_question_is_refused_in_words_of_ours() {
    let site = Site::new().await;
    let token = site.session(Role::Admin).await;
    let (mut paths, mut questions) = (0, 0);
    let foreign = ["eserialize", "digit", "parse", "invalid type", "i64", "u16", "URL"];
    for route in all() {
        let path = route.path.replace("{id}", "nonsense");
        let is_path = path != route.path;
        let asks = |what: &str| {
            route.about.is_some_and(|about| about.asks.iter().any(|(name, _)| *name == what))
        };
        // What is no number, of what goes by numbers.
        let is_question = !is_path && asks("rows") && route.path.starts_with("/api/");
        if !is_path && !is_question {
            continue;
        }
        let path = if is_question { format!("{}?rows=x", example(&path)) } else { path };
        let answer = match route.method {
            "GET" => site.get(&path, Some(&token)).await,
            _ => site.post(&path, &token, "").await,
        };
        // A form of ours, or the token in the header that the API wants, comes after the path.
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}: {}", answer.text);
        is_ours(&answer, route.path, "invalid");
        let word = foreign.iter().find(|word| answer.text.contains(**word));
        assert_eq!(word, None, "{path}: {}", answer.text);
        let given = if is_path { "nonsense" } else { "rows" };
        assert!(answer.text.contains(given), "{path}: {}", answer.text);
        if route.method == "GET" {
            let request = Request::get(&path)
                .header(header::COOKIE, format!("__Host-daicho={token}"))
                .header(header::ACCEPT_LANGUAGE, "ja");
            let japanese = site.send(request.body(Body::empty()).unwrap()).await.text;
            assert!(japanese.contains("ではありません") && japanese.contains(given), "{japanese}");
        }
        *if is_path { &mut paths } else { &mut questions } += 1;
    }
    assert!(paths > 10 && questions > 3, "{paths} {questions}");
}

#[tokio::test]
async fn a_password_is_hashed_where_there_is_a_place_for_it() {
    let site = Site::new().await;
    let token = site.session(Role::Admin).await;
    let places = [
        site.shared.place(Scarce::Passwords).await.unwrap(),
        site.shared.place(Scarce::Passwords).await.unwrap(),
    ];
    let form = "name=mori&role=viewer&password=correct+horse+battery";
    let adding = site.post("/users", &token, form);
    let mut adding = std::pin::pin!(adding);
    let wait = std::time::Duration::from_millis(300);
    assert!(tokio::time::timeout(wait, &mut adding).await.is_err());
    assert!(site.shared.store.user("mori").await.unwrap().is_none());
    drop(places);
    let added = adding.await;
    assert_eq!(added.status, StatusCode::SEE_OTHER, "{}", added.text);
}
