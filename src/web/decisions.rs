//! What was decided, what waits for a second person, and what is done about it: the same functions
//! as the command line's. The forms for deciding are in `deciding`.

use askama::Template;
use axum::{extract::State, response::Response};
use inventory::approval::{Decision, DecisionId, Matter, Second, Standing, Verdict};

use super::{
    Shared,
    asked::{Path, Question},
    blank::Blank,
    deciding::{self, What},
    language::Language,
    page::{Moment, Page, Turning, before, html, shown, to},
    routes::{Route, get, post},
    sign::acting,
    trouble::Trouble,
    visit::{Approver, Fields, Form, Viewer, Visitor},
    words::{Words, words},
};
use crate::{
    cli::{
        args::About,
        decide::{self, Followed},
    },
    clock,
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
        of_it: "Where it is", "使用箇所の一覧";
        reason_missing: "Say why, for those who ask later.", "理由を入力してください。";
        too_many: "More than 1000 match: narrow the query.", "対象が1000件を超えています。条件を絞ってください。";
        none_match: "Nothing matches.", "該当するものがありません。";
        none_named: "Say which it is about.", "対象を指定してください。";
        none_ticked: "Nothing is ticked: choose what it is about.", "対象が選択されていません。";
        verdict_missing: "Choose what is decided: approve, investigate, reject or retire.", "承認・調査中にする・却下・廃止のいずれかを選んでください。";
        not_a_day: "This is no day. A day is written such as 2027-03-31.", "日付として解釈できません(例: 2027-03-31)。";
        day_over: "This day is over. Choose today or a later one.", "過ぎた日付です。今日以降の日付を入力してください。";
        day_missing: "Say until when.", "期限を入力してください。";
        not_days: "This is no number of days. It is written such as 90d.", "日数として解釈できません(例: 90d)。";
        idle_of_what: "Only an approval ends when something is not seen. Leave this empty.", "未検出による終了は承認だけに指定できます。空欄にしてください。";
        exception_to_what: "Only an approval can be an exception.", "例外にできるのは承認だけです。";
        unknown_kind: "An identifier is one of these kinds:", "使える識別子の種類:";
        product_missing: "Name the product.", "製品名を入力してください。";
        issuer_missing: "Name the issuer, or give the SHA-256 of its certificate or key.", "発行者の名前、または証明書か鍵の SHA-256 を入力してください。";
        not_versions: "These are no versions.", "バージョンの条件として解釈できません(例: >= 9.2, < 10)。";
        not_hash: "This is no SHA-256.", "SHA-256 ではありません(16進数64桁)。";
        weak_hash: "Give the SHA-256.", "SHA-1 や MD5 は偽造できます。SHA-256 を入力してください。";
        unusable: "This cannot be used:", "使用できません:";
    }
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        get("/decisions", list),
        post("/decisions/{id}/confirm", confirm),
        post("/decisions/{id}/withdraw", withdraw),
    ]
}

/// The most assets or products that are decided about at once.
pub(super) const MOST: usize = 1_000;

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
    search: Blank,
    blanks: [(&'static str, Blank); 2],
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
    let texts = Texts::of(visitor.language);
    let (now, offset) = (clock::now(), shared.settings.policy.offset);
    let current = [Standing::Pending, Standing::Holds];
    let wanted = |one: &Decision| all || current.contains(&one.standing(now, offset));
    let leaf = shared.store.decision_leaf(before, LEAF, wanted).await?;
    let path = if all { "/decisions?all=1" } else { "/decisions" };
    html(&List {
        page: Page::new(&visitor, Words::of(visitor.language).decisions),
        texts,
        turning: Turning::of(path, before, leaf.next),
        rows: leaf
            .rows
            .iter()
            .map(|one| row(one, one.standing(now, offset), visitor.language))
            .collect(),
        four_eyes: shared.settings.rule == inventory::store::Rule::FourEyes,
        may_decide: visitor.may(inventory::user::Role::Approver),
        all,
        search: deciding::search(texts),
        blanks: [
            (texts.about_software, deciding::blank(What::Product, texts)),
            (texts.about_issuer, deciding::blank(What::Issuer, texts)),
        ],
    })
}

pub(super) fn known_by(matter: &Matter, language: Language) -> String {
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

/// Decides about what somebody named, to its end.
pub(super) async fn decided(
    shared: &Shared,
    visitor: &Visitor,
    verdict: Verdict,
    about: Vec<About>,
) -> Result<Followed, Trouble> {
    let (store, texts) = (acting(shared, visitor), Texts::of(visitor.language));
    let decide = move |shared: Shared| async move {
        let settings = &shared.settings;
        let mut proposals = Vec::new();
        for about in &about {
            proposals.extend(decide::proposals(settings, &store, verdict, about).await?);
        }
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
