//! Who is told, and what became of the messages.

use askama::Template;
use axum::{extract::State, response::Response};
use config::route::{Destination, RouteSetting};
use inventory::{
    outbox::{Message, MessageState},
    user::Role,
};

use super::{
    Shared,
    asked::Path,
    page::{Moment, Page, html, shown, to},
    routes::{Route, get, post},
    sign::acting,
    trouble::Trouble,
    visit::{Admin, Form, Operator, Viewer, Visitor},
    words::{Words, words},
};
use crate::{clock, notify::Courier};

words! {
    /// The texts of alerts.
    Texts {
        routes: "Routes", "通知先";
        route: "Route", "通知先";
        severity: "From severity", "重大度";
        about: "About", "内容";
        sites: "Sites", "拠点";
        all: "all", "すべて";
        none: "The configuration has no routes: nobody is told.", "設定に通知先がありません。";
        test: "Send a test", "テスト送信";
        tested: "A test was sent. The other side says:", "テストを送信しました。応答:";
        not_tested: "The test was not sent:", "テストを送信できませんでした:";
        by_command: "A program is not begun from the page. By the command line:",
            "プログラムは画面から起動しません。コマンドラインで実行してください:";
        messages: "Messages", "メッセージ";
        state: "State", "状態";
        news: "News", "件数";
        created: "Made", "作成";
        attempts: "Attempts", "試行回数";
        next: "Next", "次回";
        outcome: "What the other side said", "応答";
        retry: "Try again", "再送";
        no_route: "no such route", "通知先なし";
        pending: "waits", "送信待ち";
        sending: "is being sent", "送信中";
        sent: "sent", "送信済み";
        failed: "given up", "送信断念";
    }
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        get("/alerts", list),
        post("/alerts/{id}/retry", retry),
        post("/alerts/routes/{name}/test", test),
    ]
}

struct RouteRow {
    name: String,
    severity: &'static str,
    about: String,
    sites: String,
}

struct Row {
    id: i64,
    route: String,
    state: &'static str,
    look: &'static str,
    severity: &'static str,
    news: u64,
    created: Moment,
    attempts: u32,
    next: Option<Moment>,
    outcome: String,
    may_retry: bool,
}

#[derive(Template)]
#[template(path = "alerts.html")]
struct List {
    page: Page,
    texts: &'static Texts,
    routes: Vec<RouteRow>,
    rows: Vec<Row>,
    may_test: bool,
}

/// The most messages that are shown.
const ROWS: u32 = 300;

async fn list(Viewer(visitor): Viewer, State(shared): State<Shared>) -> Result<Response, Trouble> {
    let page = Page::new(&visitor, Words::of(visitor.language).alerts);
    show(&shared, &visitor, page).await
}

async fn show(shared: &Shared, visitor: &Visitor, page: Page) -> Result<Response, Trouble> {
    let texts = Texts::of(visitor.language);
    let settings = &shared.settings.routes;
    let routes = settings.iter().map(|route| RouteRow {
        name: route.name.clone(),
        severity: visitor.language.severity(route.severity),
        about: route
            .about
            .iter()
            .map(|about| visitor.language.name(about))
            .collect::<Vec<_>>()
            .join(", "),
        sites: if route.sites.is_empty() { texts.all.to_owned() } else { route.sites.join(", ") },
    });
    let messages = shared.store.messages_before(i64::MAX, ROWS).await?;
    let may_retry = visitor.may(Role::Operator);
    let row = |message: &Message| {
        let (state, look) = match message.state {
            // Nobody will ever claim it.
            MessageState::Pending if !settings.iter().any(|one| one.name == message.route) => {
                (texts.no_route, "warn")
            }
            MessageState::Pending => (texts.pending, ""),
            MessageState::Sending => (texts.sending, ""),
            MessageState::Sent => (texts.sent, "good"),
            MessageState::Failed => (texts.failed, "bad"),
        };
        let waits = message.state == MessageState::Pending;
        Row {
            id: message.id,
            route: message.route.clone(),
            state,
            look,
            severity: visitor.language.severity(message.severity),
            news: message.items.saturating_add(message.more),
            created: message.created_at.into(),
            attempts: message.attempts,
            next: waits.then(|| message.due_at.into()),
            outcome: shown(&visitor.language.said(message.outcome.as_deref().unwrap_or_default())),
            may_retry: may_retry
                && matches!(message.state, MessageState::Pending | MessageState::Failed),
        }
    };
    html(&List {
        page,
        texts,
        routes: routes.collect(),
        rows: messages.iter().map(row).collect(),
        may_test: visitor.may(Role::Admin),
    })
}

async fn retry(
    Operator(visitor): Operator,
    State(shared): State<Shared>,
    Path(id): Path<i64>,
    _: Form,
) -> Result<Response, Trouble> {
    acting(&shared, &visitor).retry_message(id, clock::now()).await?;
    Ok(to("/alerts"))
}

/// Sends a message that says that it is a test, and shows what the other side says.
async fn test(
    Admin(visitor): Admin,
    State(shared): State<Shared>,
    Path(name): Path<String>,
    _: Form,
) -> Result<Response, Trouble> {
    if begins_a_program(&shared, &name) {
        // This process may begin none.
        let texts = Texts::of(visitor.language);
        let page = Page::new(&visitor, Words::of(visitor.language).alerts);
        let page = page.warning(format!("{} daicho alert test {name}", texts.by_command));
        return show(&shared, &visitor, page).await;
    }
    let result = tested(&shared, &visitor, name.clone()).await?;
    let texts = Texts::of(visitor.language);
    let page = Page::new(&visitor, Words::of(visitor.language).alerts);
    let page = match result {
        Ok(words) => page.saying(format!("{name}: {} {}", texts.tested, shown(&words))),
        Err(words) => page.warning(format!("{name}: {} {}", texts.not_tested, shown(&words))),
    };
    show(&shared, &visitor, page).await
}

/// Whether a route begins a program, which this process may not.
pub(super) fn begins_a_program(shared: &Shared, name: &str) -> bool {
    let is_program = |route: &RouteSetting| {
        route.name == name && matches!(route.destination, Destination::Command(_))
    };
    shared.settings.routes.iter().any(is_program)
}

/// Sends a test by a route, to its end. Returns what the other side said, or why nothing was sent.
pub(super) async fn tested(
    shared: &Shared,
    visitor: &Visitor,
    name: String,
) -> Result<Result<String, String>, Trouble> {
    let store = acting(shared, visitor);
    let test = |shared: Shared| async move {
        let courier = Courier::load(&shared.settings.routes, &shared.settings.sender)?;
        let result = courier.test(&name).await.ok_or(Trouble::NotFound)?;
        store.note_test(&name, result.is_ok(), clock::now()).await?;
        Ok(result)
    };
    shared.apart(test).await
}
