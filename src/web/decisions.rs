//! What was decided, what waits for a second person, and deciding: the same functions as the
//! command line's.

use askama::Template;
use axum::{extract::State, response::Response};
use inventory::{
    approval::{Decision, DecisionId, Matter, Second, Standing, Verdict},
    register::Day,
    store::StoredFinding,
};
use model::Timestamp;

use super::{
    Shared,
    asked::{Path, Question},
    language::Language,
    page::{Moment, Page, Turning, before, html, own_path, shown, to},
    routes::{Route, get, post},
    sign::acting,
    trouble::Trouble,
    visit::{Approver, Fields, Form, Viewer, Visitor},
    words::{Words, words},
};
use crate::{
    cli::{
        args::{About, AboutAsset, AboutIssuer, AboutSoftware, Terms},
        decide::{self, Followed},
    },
    clock,
    report::finding,
};

words! {
    /// The texts of decisions.
    Texts {
        about: "About", "対象";
        known_by: "Known by", "識別子";
        verdict: "Decision", "判断";
        standing: "Standing", "状態";
        by: "By", "判断者";
        at: "When", "日時";
        until: "Until (day)", "期限(日付)";
        idle: "Ends when not seen for (such as 90d)", "未検出で終了するまでの期間(例: 90d)";
        reason: "Reason", "理由";
        exception: "Exception", "例外";
        approve: "Approve", "承認";
        investigate: "Investigate", "調査中にする";
        reject: "Reject", "却下";
        retire: "Retire", "廃止";
        confirm: "Confirm", "確認(二人目)";
        withdraw: "Withdraw", "取り消し";
        decide: "Decide", "判断する";
        about_assets: "About assets", "資産について";
        about_software: "About software", "ソフトウェアについて";
        about_issuer: "About an issuer", "証明書の発行者について";
        query: "Assets that match", "条件に合う資産";
        show_them: "Show them", "表示";
        product: "Product", "製品名";
        publisher: "Publisher", "発行元";
        versions: "Versions", "バージョン";
        scope: "Only on", "対象の限定";
        issuer: "Name", "名前";
        certificate: "SHA-256 of its certificate", "証明書の SHA-256";
        key: "SHA-256 of its key", "鍵の SHA-256";
        all: "also those that are over", "終了したものも表示";
        four_eyes: "A second person has to confirm what is decided here.", "ここでの判断には二人目の確認が必要です。";
        accept: "Accept the finding", "検出事項を受容";
        reason_missing: "Say why, for those who ask later.", "理由を入力してください。";
        too_many: "More than 1000 assets match: narrow the query.", "対象が1000件を超えています。条件を絞ってください。";
    }
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        get("/decisions", list),
        get("/decide", ask),
        post("/decide", decide_it),
        post("/decisions/{id}/confirm", confirm),
        post("/decisions/{id}/withdraw", withdraw),
        get("/findings/{id}/accept", ask_acceptance),
        post("/findings/{id}/accept", accept),
    ]
}

/// The most assets that are decided about at once.
const MOST: usize = 1_000;

struct Row {
    id: i64,
    about: String,
    known_by: String,
    verdict: &'static str,
    standing: &'static str,
    look: &'static str,
    by: String,
    at: Moment,
    until: String,
    reason: String,
    waits: bool,
    holds: bool,
}

#[derive(Template)]
#[template(path = "decisions.html")]
struct List {
    page: Page,
    texts: &'static Texts,
    rows: Vec<Row>,
    four_eyes: bool,
    may_decide: bool,
    all: bool,
    turning: Turning,
}

/// Decisions of a page.
const LEAF: u32 = 100;

type Asked = Question<Vec<(String, String)>>;

async fn list(
    Viewer(visitor): Viewer,
    State(shared): State<Shared>,
    Question(asked): Asked,
) -> Result<Response, Trouble> {
    let asked = Fields::from(asked);
    let (all, before) = (asked.is_set("all"), before(&asked));
    let (now, offset) = (clock::now(), shared.settings.policy.offset);
    let current = [Standing::Pending, Standing::Holds];
    let wanted = |one: &Decision| all || current.contains(&one.standing(now, offset));
    let leaf = shared.store.decision_leaf(before, LEAF, wanted).await?;
    let path = if all { "/decisions?all=1" } else { "/decisions" };
    html(&List {
        page: Page::new(&visitor, Words::of(visitor.language).decisions),
        texts: Texts::of(visitor.language),
        turning: Turning::of(path, before, leaf.next),
        rows: leaf
            .rows
            .iter()
            .map(|one| row(one, one.standing(now, offset), visitor.language))
            .collect(),
        four_eyes: shared.settings.rule == inventory::store::Rule::FourEyes,
        may_decide: visitor.may(inventory::user::Role::Approver),
        all,
    })
}

fn known_by(matter: &Matter, language: Language) -> String {
    match matter {
        Matter::Asset { identifiers, .. } => {
            let all: Vec<String> =
                identifiers.iter().map(|one| language.said(&one.to_string())).collect();
            shown(&all.join(", "))
        }
        Matter::Software(_) | Matter::Issuer(_) => String::new(),
    }
}

fn row(decision: &Decision, standing: Standing, language: Language) -> Row {
    let terms = &decision.terms;
    let day = terms.until.map(|day| day.to_string());
    let idle = terms.idle_days.map(|days| format!("{days}d"));
    let by = match &decision.second {
        Second::Given { by, .. } => format!("{}, {by}", decision.by),
        Second::NotNeeded | Second::Awaited => decision.by.clone(),
    };
    Row {
        id: decision.id.0,
        about: shown(&language.said(&decision.matter.to_string())),
        known_by: known_by(&decision.matter, language),
        verdict: language.verdict(decision.verdict),
        standing: language.standing(standing),
        look: match standing {
            Standing::Holds => "good",
            Standing::Pending => "warn",
            _ => "",
        },
        by: shown(&by),
        at: decision.at.into(),
        until: [day, idle].into_iter().flatten().collect::<Vec<_>>().join(", "),
        reason: shown(&terms.reason),
        waits: standing == Standing::Pending,
        holds: matches!(standing, Standing::Holds | Standing::Pending),
    }
}

#[derive(Template)]
#[template(path = "decide.html")]
struct Ask {
    page: Page,
    texts: &'static Texts,
    /// Asset, what it is called, what it would be known by.
    assets: Vec<(i64, String, String)>,
    four_eyes: bool,
}

/// What somebody named, as the command line has it.
fn about(fields: &Fields) -> Result<About, Trouble> {
    let given = |name: &str| fields.given(name).map(str::to_owned);
    let terms = Terms {
        reason: fields.text("reason").to_owned(),
        until: given("until"),
        exception: fields.is_set("exception"),
    };
    let invalid = |problem: String| Trouble::Invalid(problem);
    Ok(match fields.text("kind") {
        "software" => About::Software(AboutSoftware {
            product: fields.text("product").to_owned(),
            publisher: given("publisher"),
            versions: given("versions"),
            scope: given("scope"),
            terms,
        }),
        "issuer" => About::Issuer(AboutIssuer {
            name: given("issuer"),
            certificate: given("certificate"),
            key: given("key"),
            terms,
        }),
        _ => {
            let ids: Result<Vec<i64>, _> =
                fields.all("asset").map(|id| id.trim().parse()).collect();
            let words = fields.text("known_by").split([',', ' ']).filter(|word| !word.is_empty());
            About::Asset(AboutAsset {
                ids: ids.map_err(|_| invalid("an asset is named by its number".to_owned()))?,
                query: given("where"),
                known_by: words.map(str::to_owned).collect(),
                idle: fields.given("idle").map(str::parse).transpose().map_err(invalid)?,
                dry_run: false,
                terms,
            })
        }
    })
}

/// Shows which assets it would be, and asks what is decided of them.
async fn ask(
    Approver(visitor): Approver,
    State(shared): State<Shared>,
    Question(asked): Asked,
) -> Result<Response, Trouble> {
    let fields = Fields::from(asked);
    let About::Asset(about) = about(&fields)? else { return Err(Trouble::NotFound) };
    if about.ids.is_empty() && about.query.is_none() {
        return Ok(to("/decisions"));
    }
    let texts = Texts::of(visitor.language);
    let find = |shared: Shared| async move {
        Ok(decide::assets(&shared.settings, &shared.store, &about).await?)
    };
    let matters = shared.look_apart(find).await?;
    if matters.len() > MOST {
        return Err(Trouble::Invalid(texts.too_many.to_owned()));
    }
    let language = visitor.language;
    let row = |matter: &Matter| {
        let name = shown(&language.said(&matter.to_string()));
        Some((matter.asset()?.0, name, known_by(matter, language)))
    };
    html(&Ask {
        page: Page::new(&visitor, texts.decide),
        texts,
        assets: matters.iter().filter_map(row).collect(),
        four_eyes: shared.settings.rule == inventory::store::Rule::FourEyes,
    })
}

async fn decide_it(
    Approver(visitor): Approver,
    State(shared): State<Shared>,
    Form(fields): Form,
) -> Result<Response, Trouble> {
    let texts = Texts::of(visitor.language);
    if !fields.is_set("reason") {
        return Err(Trouble::Invalid(texts.reason_missing.to_owned()));
    }
    let verdict = match fields.text("verdict") {
        "approved" => Verdict::Approved,
        "investigating" => Verdict::Investigating,
        "rejected" => Verdict::Rejected,
        "retired" => Verdict::Retired,
        _ => return Err(Trouble::Invalid(String::new())),
    };
    let about = about(&fields)?;
    decided(&shared, &visitor, verdict, about).await?;
    Ok(to(match fields.given("back") {
        Some(back) => own_path(back),
        None => "/decisions",
    }))
}

/// Decides about what somebody named, to its end.
pub(super) async fn decided(
    shared: &Shared,
    visitor: &Visitor,
    verdict: Verdict,
    about: About,
) -> Result<Followed, Trouble> {
    let (store, texts) = (acting(shared, visitor), Texts::of(visitor.language));
    let decide = move |shared: Shared| async move {
        let settings = &shared.settings;
        let proposals = decide::proposals(settings, &store, verdict, &about).await?;
        if proposals.len() > MOST {
            return Err(Trouble::Invalid(texts.too_many.to_owned()));
        }
        let (now, offset) = (clock::now(), settings.policy.offset);
        let made = store.decide(&proposals, settings.rule, now, offset).await?;
        Ok(decide::follow(settings, &store, made).await?)
    };
    shared.apart(decide).await
}

/// Confirms a decision, to its end.
pub(super) async fn confirmed(
    shared: &Shared,
    visitor: &Visitor,
    id: DecisionId,
) -> Result<Followed, Trouble> {
    let store = acting(shared, visitor);
    let confirm = move |shared: Shared| async move {
        let settings = &shared.settings;
        let one = store.confirm(id, clock::now(), settings.policy.offset).await?;
        Ok(decide::follow(settings, &store, vec![one]).await?)
    };
    shared.apart(confirm).await
}

/// Takes a decision back, to its end.
pub(super) async fn withdrawn(
    shared: &Shared,
    visitor: &Visitor,
    id: DecisionId,
    reason: String,
) -> Result<Followed, Trouble> {
    let store = acting(shared, visitor);
    let withdraw = move |shared: Shared| async move {
        let settings = &shared.settings;
        let one = store.withdraw(id, &reason, settings.rule, clock::now()).await?;
        Ok(decide::follow(settings, &store, vec![one]).await?)
    };
    shared.apart(withdraw).await
}

async fn confirm(
    Approver(visitor): Approver,
    State(shared): State<Shared>,
    Path(id): Path<i64>,
    _: Form,
) -> Result<Response, Trouble> {
    confirmed(&shared, &visitor, DecisionId(id)).await?;
    Ok(to("/decisions"))
}

async fn withdraw(
    Approver(visitor): Approver,
    State(shared): State<Shared>,
    Path(id): Path<i64>,
    Form(fields): Form,
) -> Result<Response, Trouble> {
    let Some(reason) = fields.given("reason") else {
        let text = Texts::of(visitor.language).reason_missing;
        return Err(Trouble::Invalid(text.to_owned()));
    };
    withdrawn(&shared, &visitor, DecisionId(id), reason.to_owned()).await?;
    Ok(to("/decisions"))
}

#[derive(Template)]
#[template(path = "accept.html")]
struct Accept {
    page: Page,
    texts: &'static Texts,
    id: i64,
    rule: String,
    subject: String,
    title: String,
    detail: String,
    citation: &'static str,
    since: Moment,
}

async fn ask_acceptance(
    Approver(visitor): Approver,
    State(shared): State<Shared>,
    Path(id): Path<i64>,
) -> Result<Response, Trouble> {
    let all = shared.store.findings().await?;
    let found = all.into_iter().find(|one| one.id == id).ok_or(Trouble::NotFound)?.finding;
    let texts = Texts::of(visitor.language);
    html(&Accept {
        page: Page::new(&visitor, texts.accept),
        texts,
        id,
        rule: found.key.rule.clone(),
        subject: shown(&found.key.subject),
        title: shown(&visitor.language.finding(&found.key.rule, &found.title)),
        detail: shown(&visitor.language.said(&found.detail)),
        citation: finding::citation(&found.key.rule).unwrap_or_default(),
        since: found.first_seen.into(),
    })
}

async fn accept(
    Approver(visitor): Approver,
    State(shared): State<Shared>,
    Path(id): Path<i64>,
    Form(fields): Form,
) -> Result<Response, Trouble> {
    let Some(reason) = fields.given("reason") else {
        let text = Texts::of(visitor.language).reason_missing;
        return Err(Trouble::Invalid(text.to_owned()));
    };
    accepted(&shared, &visitor, id, reason, fields.text("until")).await?;
    Ok(to(match fields.given("back") {
        Some(back) => own_path(back),
        None => "/",
    }))
}

/// Accepts a finding until the end of a day.
pub(super) async fn accepted(
    shared: &Shared,
    visitor: &Visitor,
    id: i64,
    reason: &str,
    until: &str,
) -> Result<StoredFinding, Trouble> {
    let until = until.parse::<Day>();
    let until = until.map_err(|error| Trouble::Invalid(error.to_string()))?;
    // The day that is named is the last one on which it is accepted.
    let end: Timestamp = until.ends_at(shared.settings.policy.offset);
    Ok(acting(shared, visitor).accept_finding(id, end, reason, clock::now()).await?)
}
