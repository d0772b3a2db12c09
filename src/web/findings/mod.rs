//! A finding: what is wrong, since when and what became of it, what the rule means and what is to be
//! done, what it was concluded from (`why`), and what one may do about it here. Alerts lead to it.

mod meaning;
mod why;

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use inventory::{
    finding::FindingState,
    owner::Owner,
    query::Kind,
    register::Day,
    store::{
        StoredFinding,
        list::{Direction, FindingEntry, Request, Sort},
    },
    user::Role,
};
use model::Severity;

use super::{
    Shared,
    asked::Path,
    blank::{Blank, Field, Problems, REQUIRED},
    deciding::last_day,
    decisions,
    page::{Moment, Page, html_as, own_path, shown, to},
    routes::{Route, get, post},
    sign::acting,
    trouble::Trouble,
    visit::{Approver, Form, Viewer, Visitor},
    words::words,
};
use crate::{clock, report::finding::citation};
use why::Why;

words! {
    /// The texts of a finding.
    Texts {
        state: "State", "状態";
        first_seen: "First seen", "初検出";
        last_seen: "Last seen", "最終検出";
        resolved: "Resolved", "解決日時";
        accepted: "Accepted", "受容日時";
        until: "Accepted until", "受容の期限";
        because: "Because", "受容の理由";
        owner: "Owner", "担当";
        site: "Site", "拠点";
        rule: "What the rule means", "ルールの意味";
        id: "Rule", "ルール";
        source: "Source", "根拠規格";
        mend: "What to do", "対処方法";
        why: "Why do you think so?", "判断の根拠";
        reason: "The reason", "理由";
        unknown_rule: "This version of the program does not have the rule.", "このバージョンのプログラムにはないルールです。";
        act: "What can be done here", "ここでできること";
        accept: "Accept it until a day", "期限を決めて受容";
        accept_means: "It stays true, and is quiet until then.", "事実は変わりませんが、期限まで通知されません。";
        reopen: "Take the acceptance back", "受容を取り消す";
        reopen_means: "It is open again at once, and is told again.", "すぐに未解決に戻り、再び通知されます。";
        last_day: "Last day", "期限(最終日)";
        why_so: "Reason", "理由";
        deeds: "What was done about it", "対応の履歴";
        when: "When", "日時";
        what: "What", "内容";
        detail: "Detail", "詳細";
        asset: "Asset", "資産";
        registration: "Registration", "登録状況";
        certificate: "Certificate", "証明書";
        issuer: "Issuer", "発行者";
        entry: "Entry of the register", "台帳の登録";
        product: "Product", "製品";
        endpoint: "Endpoint", "エンドポイント";
        file: "File", "ファイル";
        list: "Revocation list", "失効リスト";
        protocol: "Protocol", "プロトコル";
        subject: "Subject", "対象";
        identifiers: "What identifies the asset", "資産の識別子";
        kind: "Kind", "種別";
        value: "Value", "値";
        strength: "Strength", "強さ";
        service: "Service", "サービス";
        software: "Software", "ソフトウェア";
        version: "Version", "バージョン";
        told_by: "Told by", "情報源";
        places: "Where it is served", "使用箇所";
        place: "Place", "場所";
        clients: "What clients say of it", "クライアントの判定";
        cells: "What the register says", "台帳の内容";
        heading: "Column", "列";
        observations: "What was observed", "観測";
        all_observations: "All that was observed of the asset", "この資産のすべての観測";
        all_events: "All that happened to the asset", "この資産のすべての履歴";
        how: "How", "方法";
        fact: "What", "事実";
        times: "Times", "回数";
        scan: "Scan", "スキャン";
        decide_asset: "Approve, investigate, reject or retire the asset", "資産を承認・調査・却下・廃止";
        decide_product: "Decide about the product", "製品について判断する";
        decide_issuer: "Decide about the issuer", "発行者について判断する";
    }
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        get("/findings/{id}", look),
        get("/findings/{id}/accept", lead),
        post("/findings/{id}/accept", accept),
        post("/findings/{id}/reopen", reopen),
    ]
}

/// The page of a finding.
pub(super) fn path(id: i64) -> String {
    format!("/findings/{id}")
}

struct Deed {
    at: Moment,
    what: &'static str,
    detail: String,
}

/// What somebody decided to live with.
struct Accepted {
    at: Moment,
    until: String,
    reason: String,
}

#[derive(Template)]
#[template(path = "finding.html")]
struct Shown {
    page: Page,
    texts: &'static Texts,
    rule: String,
    severity: &'static str,
    severity_look: &'static str,
    state: &'static str,
    state_look: &'static str,
    detail: String,
    owners: String,
    site: String,
    first_seen: Moment,
    last_seen: Moment,
    resolved: Option<Moment>,
    accepted: Option<Accepted>,
    meaning: Option<(&'static str, &'static str)>,
    citation: &'static str,
    why: Why,
    deeds: Vec<Deed>,
    accept: Option<Blank>,
    reopen: Option<Blank>,
}

/// A form with what was filled in and what is wrong with it.
struct Filled<'f> {
    which: Which,
    form: &'f Form,
    problems: Problems,
}

/// Which of the two forms.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Which {
    Accept,
    Reopen,
}

async fn look(
    Viewer(visitor): Viewer,
    State(shared): State<Shared>,
    Path(id): Path<i64>,
) -> Result<Response, Trouble> {
    show(&shared, &visitor, id, None).await
}

/// Where the form for accepting was by itself once.
async fn lead(_: Approver, Path(id): Path<i64>) -> Result<Response, Trouble> {
    Ok(to(&path(id)))
}

fn acceptance(id: i64, texts: &'static Texts) -> Blank {
    let fields = vec![
        Field::text("reason", texts.why_so).with(REQUIRED),
        Field::day("until", texts.last_day).with(REQUIRED),
    ];
    Blank::new("acceptance", format!("/findings/{id}/accept"), texts.accept, fields)
}

fn reopening(id: i64, texts: &'static Texts) -> Blank {
    let fields = vec![Field::text("reason", texts.why_so).with(REQUIRED)];
    Blank::new("reopening", format!("/findings/{id}/reopen"), texts.reopen, fields)
}

async fn show(
    shared: &Shared,
    visitor: &Visitor,
    id: i64,
    filled: Option<Filled<'_>>,
) -> Result<Response, Trouble> {
    let (language, texts) = (visitor.language, Texts::of(visitor.language));
    let (stored, deeds) = shared.store.finding(id).await?;
    let listed = listed(shared, id).await?;
    let finding = &stored.finding;
    let rule = finding.key.rule.as_str();
    let may_decide = visitor.may(Role::Approver);
    let why = why::of(shared, &stored, language, may_decide).await?;
    let status = match filled {
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        None => StatusCode::OK,
    };
    let (mut accept, mut reopen) = match (may_decide, finding.state) {
        (true, FindingState::Open) => (Some(acceptance(id, texts)), None),
        (true, FindingState::Accepted) => (None, Some(reopening(id, texts))),
        _ => (None, None),
    };
    let mut page = Page::new(visitor, shown(&language.finding(rule, &finding.title)));
    if let Some(Filled { which, form: Form(fields), problems }) = filled {
        page = page.asking_again();
        let sent = match which {
            Which::Accept => &mut accept,
            Which::Reopen => &mut reopen,
        };
        match sent.take() {
            Some(blank) => *sent = Some(blank.filled(fields).with(problems)),
            // It is not to be done any more, which somebody else did.
            None => page = page.warning(problems.text()),
        }
    }
    let owners: Vec<String> = listed.iter().flat_map(|one| &one.owners).map(Owner::text).collect();
    let offset = shared.settings.policy.offset;
    // While it is accepted, and where what comes back would be again.
    let accepted = finding.accepted.as_ref().map(|accepted| Accepted {
        at: accepted.at.into(),
        // The moment is the first one that is not covered.
        until: Day::of(accepted.until.plus_seconds(-1), offset).to_string(),
        reason: shown(&accepted.reason),
    });
    let deed = |event: &inventory::asset::Event| Deed {
        at: event.at.into(),
        what: language.event(event.kind),
        detail: shown(&language.said(&event.detail)),
    };
    html_as(
        status,
        &Shown {
            page,
            texts,
            rule: shown(rule),
            severity: language.severity(finding.severity),
            severity_look: severity_look(finding.severity),
            state: language.finding_state(finding.state),
            state_look: match finding.state {
                FindingState::Open => "warn",
                FindingState::Accepted => "",
                FindingState::Resolved => "good",
            },
            detail: shown(&language.said(&finding.detail)),
            owners: shown(&owners.join("; ")),
            site: shown(listed.as_ref().and_then(|one| one.site.as_deref()).unwrap_or_default()),
            first_seen: finding.first_seen.into(),
            last_seen: finding.last_seen.into(),
            resolved: finding.resolved_at.map(Moment::from),
            accepted,
            meaning: meaning::meaning(rule, language),
            citation: citation(rule).unwrap_or_default(),
            why,
            deeds: deeds.iter().map(deed).collect(),
            accept,
            reopen,
        },
    )
}

pub(super) const fn severity_look(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "bad",
        Severity::Warning => "warn",
        Severity::Info => "",
    }
}

/// How the list has it: with what only a review knows. `None` where there was none since.
async fn listed(shared: &Shared, id: i64) -> Result<Option<FindingEntry>, Trouble> {
    let query = shared.query(Kind::Findings, &format!("id={id}"))?;
    let _place = shared.lists().await?;
    let sort = Sort::usual(Kind::Findings);
    let request = Request { query: &query, sort, direction: Direction::Up, after: None, size: 1 };
    Ok(shared.store.list_findings(&request, clock::now()).await?.rows.pop())
}

async fn accept(
    Approver(visitor): Approver,
    State(shared): State<Shared>,
    Path(id): Path<i64>,
    form: Form,
) -> Result<Response, Trouble> {
    let fields = &form.0;
    let texts = decisions::Texts::of(visitor.language);
    let mut problems = Problems::default();
    if !fields.is_set("reason") {
        problems.add("reason", texts.reason_missing);
    }
    let until = match last_day(fields.text("until"), visitor.language, &shared.settings) {
        Ok(Some(day)) => Some(day),
        Ok(None) => {
            problems.add("until", texts.day_missing);
            None
        }
        Err(why) => {
            problems.add("until", why);
            None
        }
    };
    let Some(until) = until.filter(|_| problems.is_empty()) else {
        let filled = Filled { which: Which::Accept, form: &form, problems };
        return show(&shared, &visitor, id, Some(filled)).await;
    };
    let done = accepted(&shared, &visitor, id, fields.text("reason"), until).await;
    follow(&shared, &visitor, id, (Which::Accept, &form), done).await
}

async fn reopen(
    Approver(visitor): Approver,
    State(shared): State<Shared>,
    Path(id): Path<i64>,
    form: Form,
) -> Result<Response, Trouble> {
    let fields = &form.0;
    if !fields.is_set("reason") {
        let texts = decisions::Texts::of(visitor.language);
        let problems = Problems::of("reason", texts.reason_missing);
        let filled = Filled { which: Which::Reopen, form: &form, problems };
        return show(&shared, &visitor, id, Some(filled)).await;
    }
    let done = reopened(&shared, &visitor, id, fields.text("reason")).await;
    follow(&shared, &visitor, id, (Which::Reopen, &form), done).await
}

/// Where somebody is led who did something.
async fn follow(
    shared: &Shared,
    visitor: &Visitor,
    id: i64,
    (which, form): (Which, &Form),
    done: Result<StoredFinding, Trouble>,
) -> Result<Response, Trouble> {
    match done {
        Ok(_) => Ok(match form.0.given("back") {
            Some(back) => to(own_path(back)),
            None => to(&path(id)),
        }),
        Err(trouble) => match trouble.mendable(visitor.language) {
            Some(why) => {
                let filled = Filled { which, form, problems: Problems::whole(why) };
                show(shared, visitor, id, Some(filled)).await
            }
            None => Err(trouble),
        },
    }
}

/// Accepts a finding until the end of a day.
pub(super) async fn accepted(
    shared: &Shared,
    visitor: &Visitor,
    id: i64,
    reason: &str,
    until: Day,
) -> Result<StoredFinding, Trouble> {
    // The day that is named is the last one on which it is accepted.
    let end = until.ends_at(shared.settings.policy.offset);
    Ok(acting(shared, visitor).accept_finding(id, end, reason, clock::now()).await?)
}

/// Takes the acceptance of a finding back.
pub(super) async fn reopened(
    shared: &Shared,
    visitor: &Visitor,
    id: i64,
    reason: &str,
) -> Result<StoredFinding, Trouble> {
    Ok(acting(shared, visitor).reopen_finding(id, reason, clock::now()).await?)
}
