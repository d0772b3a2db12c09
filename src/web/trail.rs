//! The audit with its verification, and what works here and what does not.

use askama::Template;
use axum::{extract::State, response::Response};

use super::{
    Shared,
    asked::Question,
    page::{Moment, Page, Turning, before, html, shown},
    routes::{Route, get},
    trouble::Trouble,
    visit::{Fields, Operator, Viewer},
    words::{Words, words},
};
use crate::cli::doctor::{self, State as Health};

words! {
    /// The texts of the audit and the diagnosis.
    Texts {
        at: "When", "日時";
        who: "Who", "実行者";
        action: "Did", "操作";
        subject: "To what", "対象";
        detail: "Detail", "詳細";
        reason: "Why", "理由";
        verify: "Verify the chain", "連鎖を検証";
        head: "Hash that was kept elsewhere", "別に保管したハッシュ";
        holds: "The chain holds. Entries and head:", "連鎖に異常はありません。件数と末尾:";
        broken: "The audit is broken:", "監査記録が壊れています:";
        cut: "The hash that was kept is not in the audit: it was cut off or written anew.", "保管したハッシュが監査記録にありません。削除または書き直しの可能性があります。";
        check: "Check", "項目";
        state: "State", "状態";
        of_page: "As the page's process sees it, which sends no packets. For the rest: daicho doctor.", "パケットを送信しないWebプロセスから見た状態です。その他は daicho doctor で確認してください。";
    }
}

pub(super) fn routes() -> Vec<Route> {
    vec![get("/audit", audit), get("/doctor", diagnose)]
}

struct Row {
    number: i64,
    at: Moment,
    who: String,
    action: String,
    subject: String,
    detail: String,
    reason: String,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct Audit {
    page: Page,
    texts: &'static Texts,
    rows: Vec<Row>,
    turning: Turning,
}

/// Entries of a page.
const LEAF: u32 = 200;

async fn audit(
    Viewer(visitor): Viewer,
    State(shared): State<Shared>,
    Question(asked): Question<Vec<(String, String)>>,
) -> Result<Response, Trouble> {
    let texts = Texts::of(visitor.language);
    let mut page = Page::new(&visitor, Words::of(visitor.language).audit);
    let asked = Fields::from(asked);
    if asked.is_set("verify") {
        let kept = asked.given("head").map(str::to_lowercase);
        let verify =
            |shared: Shared| async move { Ok(shared.store.verify_audit(kept.as_deref()).await?) };
        let verified = shared.look_apart(verify).await?;
        page = match (&verified.broken, verified.kept) {
            (Some(broken), _) => page.warning(format!(
                "{} {}",
                texts.broken,
                visitor.language.said(&broken.to_string())
            )),
            (None, Some(false)) => page.warning(texts.cut),
            (None, _) => {
                let chain = &verified.chain;
                page.saying(format!("{} {}, {}", texts.holds, chain.entries, chain.head))
            }
        };
    }
    let before = before(&asked);
    let leaf = shared.store.audit_leaf(before, LEAF).await?;
    let turning = Turning::of("/audit", before, leaf.next);
    let rows = leaf.rows.into_iter().map(|entry| Row {
        number: entry.number,
        at: entry.deed.at.into(),
        who: shown(&entry.deed.who),
        action: visitor.language.deed(&entry.deed.action),
        subject: shown(&visitor.language.said(&entry.deed.subject)),
        detail: shown(&visitor.language.said(&entry.deed.detail)),
        reason: shown(&entry.deed.reason),
    });
    html(&Audit { page, texts, rows: rows.collect(), turning })
}

struct Check {
    what: String,
    state: &'static str,
    look: &'static str,
    lines: Vec<String>,
}

#[derive(Template)]
#[template(path = "doctor.html")]
struct Diagnosis {
    page: Page,
    texts: &'static Texts,
    checks: Vec<Check>,
}

async fn diagnose(
    Operator(visitor): Operator,
    State(shared): State<Shared>,
) -> Result<Response, Trouble> {
    let checks =
        shared.look_apart(|shared| async move { Ok(doctor::common(&shared.settings).await) });
    let checks = checks.await?.into_iter().map(|check| Check {
        what: visitor.language.name(check.what),
        state: visitor.language.health(check.state),
        look: match check.state {
            Health::Works => "good",
            Health::Limited => "warn",
            Health::Fails => "bad",
        },
        lines: check.detail.lines().map(|line| shown(&visitor.language.said(line))).collect(),
    });
    html(&Diagnosis {
        page: Page::new(&visitor, Words::of(visitor.language).doctor),
        texts: Texts::of(visitor.language),
        checks: checks.collect(),
    })
}
