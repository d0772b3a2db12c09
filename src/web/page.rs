//! What is around the content of every page, and the pages that say what went wrong.

use askama::Template;
use axum::{
    http::{HeaderValue, Method, StatusCode, header},
    response::{Html, IntoResponse as _, Redirect, Response},
};
use inventory::user::Role;
use model::Timestamp;
use serde_json::{Value, json};

use super::{
    certificates::CALENDARS,
    language::Language,
    trouble::Trouble,
    visit::{Fields, Theme, Visitor},
    words::Words,
};
use crate::{report::table::printable, tell};

/// A part of the page in the navigation.
pub(crate) struct Part {
    path: &'static str,
    name: fn(&Words) -> &'static str,
    /// Who sees it there.
    least: Role,
}

/// In the order in which they are shown.
const PARTS: &[Part] = &[
    Part { path: "/", name: |words| words.overview, least: Role::Viewer },
    Part { path: "/assets", name: |words| words.assets, least: Role::Viewer },
    Part { path: "/map", name: |words| words.map, least: Role::Viewer },
    Part { path: "/services", name: |words| words.services, least: Role::Viewer },
    Part { path: "/software", name: |words| words.software, least: Role::Viewer },
    Part { path: "/certificates", name: |words| words.certificates, least: Role::Viewer },
    Part { path: "/findings", name: |words| words.findings, least: Role::Viewer },
    Part { path: "/scans", name: |words| words.scans, least: Role::Viewer },
    Part { path: "/decisions", name: |words| words.decisions, least: Role::Viewer },
    Part { path: "/registers", name: |words| words.registers, least: Role::Viewer },
    Part { path: "/jobs", name: |words| words.jobs, least: Role::Viewer },
    Part { path: "/alerts", name: |words| words.alerts, least: Role::Viewer },
    Part { path: "/audit", name: |words| words.audit, least: Role::Viewer },
    Part { path: "/doctor", name: |words| words.doctor, least: Role::Operator },
    Part { path: "/users", name: |words| words.users, least: Role::Admin },
];

/// What a template shows around its content: its field `page`.
pub(crate) struct Page {
    pub(crate) title: String,
    pub(crate) words: &'static Words,
    pub(crate) language: Language,
    pub(crate) theme: Theme,
    /// Name and role of whoever is signed in.
    pub(crate) user: Option<(String, Role)>,
    /// What forms bring back in their field `csrf`.
    pub(crate) form_token: String,
    /// Where this page is, for coming back after a choice of language.
    pub(crate) path: String,
    pub(crate) parts: Vec<Link>,
    pub(crate) notice: Option<Notice>,
}

/// A link of the navigation.
pub(crate) struct Link {
    pub(crate) path: &'static str,
    pub(crate) name: &'static str,
    pub(crate) is_current: bool,
}

/// Something that is said once, above the content.
pub(crate) struct Notice {
    pub(crate) text: String,
    pub(crate) is_bad: bool,
}

impl Page {
    pub(crate) fn new(visitor: &Visitor, title: impl Into<String>) -> Self {
        let words = Words::of(visitor.language);
        let path = visitor.path.split('?').next().unwrap_or("/");
        let is_current = |part: &Part| match part.path {
            "/" => path == "/",
            part => {
                path.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
        };
        let seen = PARTS.iter().filter(|part| visitor.may(part.least));
        let link = |part: &Part| Link {
            path: part.path,
            name: (part.name)(words),
            is_current: is_current(part),
        };
        Self {
            title: title.into(),
            words,
            language: visitor.language,
            theme: visitor.theme,
            user: visitor.session().map(|one| (one.user.name.clone(), one.user.role)),
            form_token: visitor.form_token.clone(),
            path: visitor.path.clone(),
            parts: seen.map(link).collect(),
            notice: None,
        }
    }

    /// Says something good above the content.
    pub(crate) fn saying(mut self, text: impl Into<String>) -> Self {
        self.notice = Some(Notice { text: text.into(), is_bad: false });
        self
    }

    /// Says that a form comes back, with what is wrong beside its fields.
    pub(crate) fn asking_again(self) -> Self {
        let text = self.words.look_below;
        self.warning(text)
    }

    /// Says what is wrong above the content.
    pub(crate) fn warning(mut self, text: impl Into<String>) -> Self {
        self.notice = Some(Notice { text: text.into(), is_bad: true });
        self
    }

    /// A text with its long hashes cut, of which the whole stands in a title.
    pub(crate) fn short(&self, text: &str) -> String {
        short(text)
    }

    /// By reference, as templates have it.
    pub(crate) fn role_name(&self, role: &Role) -> &'static str {
        self.words.role_name(*role)
    }

    /// A name as a part of a path.
    pub(crate) fn in_path(&self, name: &str) -> String {
        encoded(name)
    }

    pub(crate) fn themes(&self) -> [(&'static str, &'static str, bool); 3] {
        let words = self.words;
        let names = [words.theme_system, words.theme_light, words.theme_dark];
        let mut names = names.into_iter();
        Theme::ALL.map(|one| (one.as_str(), names.next().unwrap_or_default(), one == self.theme))
    }

    pub(crate) fn languages(&self) -> [(&'static str, &'static str, bool); 2] {
        Language::ALL.map(|one| (one.as_str(), one.own_name(), one == self.language))
    }
}

/// The way to the other pages of what is listed by number, the latest first.
pub(crate) struct Turning {
    /// To the latest, from anywhere else.
    pub(crate) latest: Option<String>,
    pub(crate) earlier: Option<String>,
}

impl Turning {
    /// For a page at `path`, which may have a question, that was asked for behind a number and has
    /// another one behind it.
    pub(crate) fn of(path: &str, before: Option<i64>, next: Option<i64>) -> Self {
        let sign = if path.contains('?') { '&' } else { '?' };
        Self {
            latest: before.map(|_| path.to_owned()),
            earlier: next.map(|next| format!("{path}{sign}before={next}")),
        }
    }
}

/// The number behind which a page is asked for. What is none is the latest page: links grow old.
pub(crate) fn before(fields: &Fields) -> Option<i64> {
    fields.given("before").and_then(|number| number.parse().ok())
}

/// A template as a page.
pub(crate) fn html(template: &impl Template) -> Result<Response, Trouble> {
    let text = template.render();
    let text = text.map_err(|error| Trouble::Failed(format!("a page was not made: {error}")))?;
    Ok(Html(text).into_response())
}

/// The same of something that was not done.
pub(crate) fn html_as(status: StatusCode, template: &impl Template) -> Result<Response, Trouble> {
    let mut answer = html(template)?;
    *answer.status_mut() = status;
    Ok(answer)
}

/// To another page of ours, after something was done. `path` begins with `/`.
pub(crate) fn to(path: &str) -> Response {
    Redirect::to(path).into_response()
}

/// What the network or a file said, without what a terminal or a browser would obey.
pub(crate) fn shown(text: &str) -> String {
    printable(text)
}

/// The digits of a hash that are shown where the whole would take half of a table's width.
const DIGITS: usize = 12;

/// The same with each run of 40 hexadecimal digits and more, which nobody reads, cut to the first few.
fn short(text: &str) -> String {
    let (mut all, mut rest) = (String::new(), text);
    while let Some(begin) = rest.find(|c: char| c.is_ascii_hexdigit()) {
        let (before, run) = rest.split_at(begin);
        let end = run.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(run.len());
        let (run, after) = run.split_at(end);
        all.push_str(before);
        match run.get(..DIGITS).filter(|_| run.len() >= 40) {
            Some(first) => all.extend([first, "…"]),
            None => all.push_str(run),
        }
        rest = after;
    }
    all.push_str(rest);
    all
}

/// A moment for `<time>`: in UTC, to the second. The script shows it in the browser's zone.
pub(crate) fn moment(at: Timestamp) -> String {
    let text = at.to_string();
    match text.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => text,
    }
}

/// The same as people read it: `2026-11-27 11:40 UTC`.
pub(crate) fn spoken(at: Timestamp) -> String {
    let text = at.to_string();
    let (day, rest) = text.split_once('T').unwrap_or((&text, ""));
    format!("{day} {} UTC", rest.get(..5).unwrap_or_default())
}

/// A moment as a template shows it: `<time datetime="{{ at.exact }}">{{ at.spoken }}</time>`.
pub(crate) struct Moment {
    pub(crate) exact: String,
    pub(crate) spoken: String,
}

impl From<Timestamp> for Moment {
    fn from(at: Timestamp) -> Self {
        Self { exact: moment(at), spoken: spoken(at) }
    }
}

#[derive(Template)]
#[template(path = "trouble.html")]
struct TroublePage {
    page: Page,
    text: &'static str,
    detail: String,
}

#[derive(Template)]
#[template(path = "again.html")]
struct Again<'a> {
    path: &'a str,
}

/// The same page once more, for whoever follows a link from elsewhere, such as a message: browsers
/// keep the session's cookie to themselves then, and bring it when a page of ours leads there.
pub(super) fn again(visitor: &Visitor) -> Response {
    html(&Again { path: own_path(&visitor.path) }).unwrap_or_else(Trouble::into_response)
}

/// The page, or the JSON, that says why something was not done. What broke inside is known by a
/// reference, and said in the log alone.
pub(super) fn trouble(
    visitor: &Visitor,
    (method, path): (&Method, &str),
    trouble: &Trouble,
    reference: Option<&str>,
) -> Response {
    let is_program = path.starts_with("/api/") || path == "/metrics" || path.starts_with(CALENDARS);
    let words = Words::of(visitor.language);
    let (text, detail) = match trouble {
        Trouble::SignIn => (words.trouble_sign_in, String::new()),
        Trouble::Role(role) => (words.trouble_role, words.role_name(*role).to_owned()),
        Trouble::Forged(_) => (words.trouble_forged, String::new()),
        Trouble::WrongHost => (words.trouble_host, String::new()),
        Trouble::NotFound => (words.trouble_not_found, String::new()),
        Trouble::Method => (words.trouble_method, String::new()),
        Trouble::TooLarge => (words.trouble_too_large, String::new()),
        Trouble::Late => (words.trouble_late, String::new()),
        Trouble::Wait(_) => (words.trouble_wait, String::new()),
        Trouble::Unread(why) => (words.trouble_invalid, shown(&why.text(visitor.language))),
        Trouble::Invalid(why) => (words.trouble_invalid, shown(&visitor.language.said(why))),
        Trouble::Unreadable(why) => (words.trouble_invalid, shown(&tell::chain(&**why))),
        Trouble::Query(why) => {
            let part = format!("{:?}: {}", why.term, visitor.language.query_error(why));
            (words.trouble_invalid, shown(&part))
        }
        Trouble::Conflict(why) => (words.trouble_conflict, shown(&visitor.language.said(why))),
        Trouble::Refused { conflicts, why, japanese } => {
            let text = if *conflicts { words.trouble_conflict } else { words.trouble_invalid };
            let why = match visitor.language {
                Language::English => shown(why),
                Language::Japanese => (*japanese).to_owned(),
            };
            (text, why)
        }
        Trouble::Failed(_) => (words.trouble_failed, reference.unwrap_or_default().to_owned()),
    };
    let status = trouble.status();
    let mut response = if is_program {
        let problem = problem(trouble, visitor.language, reference).to_string();
        let json = HeaderValue::from_static("application/problem+json");
        let language = HeaderValue::from_static(visitor.language.as_str());
        let headers = [(header::CONTENT_TYPE, json), (header::CONTENT_LANGUAGE, language)];
        (status, headers, problem).into_response()
    } else if matches!(trouble, Trouble::SignIn) && *method == Method::GET {
        return to(&format!("/login?next={}", encoded(&visitor.path)));
    } else {
        let page = Page::new(visitor, words.trouble_heading(trouble));
        match html(&TroublePage { page, text, detail }) {
            Ok(mut response) => {
                *response.status_mut() = status;
                response
            }
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    };
    if let Trouble::Wait(seconds) = trouble
        && let Ok(value) = HeaderValue::from_str(&seconds.to_string())
    {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    if is_program && matches!(trouble, Trouble::SignIn) {
        let value = HeaderValue::from_static("Bearer realm=\"daicho\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
    response
}

/// What a program is told (RFC 9457): `type` says what it is for good, `detail` in the language that
/// was asked for.
fn problem(trouble: &Trouble, language: Language, reference: Option<&str>) -> Value {
    let (status, words) = (trouble.status(), Words::of(language));
    let (kind, detail) = match trouble {
        Trouble::SignIn => ("sign-in", words.problem_sign_in.to_owned()),
        Trouble::Role(role) => ("role", format!("{} {role}", words.problem_role)),
        Trouble::Forged(_) => ("forged", words.trouble_forged.to_owned()),
        Trouble::WrongHost => ("host", words.trouble_host.to_owned()),
        Trouble::NotFound => ("not-found", words.trouble_not_found.to_owned()),
        Trouble::Method => ("method", words.problem_method.to_owned()),
        Trouble::TooLarge => ("too-large", words.trouble_too_large.to_owned()),
        Trouble::Late => ("late", words.trouble_late.to_owned()),
        Trouble::Wait(seconds) => ("wait", format!("{} ({seconds} s)", words.trouble_wait)),
        Trouble::Unread(why) => ("invalid", why.text(language)),
        Trouble::Invalid(why) => ("invalid", why.clone()),
        Trouble::Unreadable(why) => ("invalid", tell::chain(&**why)),
        Trouble::Query(why) => ("query", language.query_error(why)),
        Trouble::Conflict(why) => ("conflict", why.clone()),
        Trouble::Refused { conflicts, why, japanese } => {
            let kind = if *conflicts { "conflict" } else { "invalid" };
            let why = match language {
                Language::English => why.clone(),
                Language::Japanese => (*japanese).to_owned(),
            };
            (kind, why)
        }
        Trouble::Failed(_) => ("failed", words.trouble_failed.to_owned()),
    };
    let mut problem = json!({
        "type": format!("urn:daicho:problem:{kind}"),
        "title": status.canonical_reason(),
        "status": status.as_u16(),
        "detail": detail,
        // What the first version of the API called it.
        "error": kind,
    });
    if let Trouble::Query(why) = trouble {
        problem["start"] = why.range.start.into();
        problem["end"] = why.range.end.into();
    }
    if let Some(reference) = reference {
        problem["reference"] = reference.into();
    }
    problem
}

/// A text as part of a path or of a question in a URL.
pub(crate) fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// A path of ours from a form or a question, and `/` for anything that leads elsewhere.
pub(crate) fn own_path(given: &str) -> &str {
    let is_own = given.starts_with('/')
        && !given.starts_with("//")
        && !given.contains(['\\', '\r', '\n', '\t']);
    if is_own { given } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_elsewhere() {
        for elsewhere in
            ["https://evil.example", "//evil.example", "/\\evil.example", "x", "", "/a\r\nb"]
        {
            assert_eq!(own_path(elsewhere), "/", "{elsewhere:?}");
        }
        assert_eq!(own_path("/scans/7?x=1"), "/scans/7?x=1");
        assert_eq!(encoded("/a?b=c&d=台"), "%2Fa%3Fb%3Dc%26d%3D%E5%8F%B0");
    }

    #[test]
    fn what_broke_inside_is_for_the_log_alone() {
        let visitor = Visitor {
            who: crate::web::visit::Who::Nobody,
            form_token: String::new(),
            language: Language::English,
            theme: Theme::System,
            peer: [192, 0, 2, 7].into(),
            agent: String::new(),
            path: "/scans".to_owned(),
        };
        let broken = Trouble::Failed("SELECT from /var/lib/daicho.db".to_owned());
        let answer = trouble(&visitor, (&Method::GET, "/scans"), &broken, Some("1a2b3c4d"));
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let text = String::from_utf8(runtime.block_on(body).unwrap().to_vec()).unwrap();
        assert!(text.contains("Something went wrong here."), "{text}");
        assert!(text.contains("1a2b3c4d"), "{text}");
        assert!(!text.contains("SELECT") && broken.log().unwrap().contains("SELECT"));
    }

    #[test]
    fn hashes_are_cut_and_nothing_else_is() {
        let hash = "0123456789abcdef".repeat(4);
        assert_eq!(short(&format!("tls_key {hash}, x")), "tls_key 0123456789ab…, x");
        for whole in ["", "00:00:5e:00:53:01", "2001:db8::1", "台帳 PC-1", "0123456789abcdef"] {
            assert_eq!(short(whole), whole);
        }
    }

    #[test]
    fn moments_are_shown_to_the_second_and_spoken_to_the_minute() {
        let at = Timestamp(1_795_339_800_123_456);
        assert_eq!(moment(at), "2026-11-22T09:30:00Z");
        assert_eq!(spoken(at), "2026-11-22 09:30 UTC");
    }
}
