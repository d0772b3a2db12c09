//! Deciding, and what was decided.

use axum::{extract::State, http::HeaderMap, response::Response};
use inventory::{
    approval::{Decision, DecisionId, Standing, Verdict},
    register::Day,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{About, Json, Order, Takes, done, get, leaf, post, things, told};
use crate::{
    cli::{
        args::{About as Matter, AboutAsset, AboutIssuer, AboutSoftware, Terms},
        decide::{self, Followed},
    },
    clock,
    report::decision,
    web::{
        Scarce, Shared,
        asked::{Path, Question, Refusal},
        decisions, findings,
        language::Language,
        routes::Route,
        trouble::Trouble,
        visit::{Approver, Viewer},
    },
};

pub(super) fn routes() -> Vec<Route> {
    vec![
        get(
            "/api/v1/decisions",
            list,
            About::read(
                "The decisions that hold or wait, the latest first",
                "{items: [Decision], next: text?}",
            )
            .asking(&[
                ("all", "1 for those that are over as well"),
                ("after", "where the part begins: what the one before said is next"),
                ("rows", "how many, 1 to 500; 100 where it is not said"),
            ]),
        ),
        post(
            "/api/v1/decisions",
            make,
            About::done(
                "Approve, investigate, reject or retire: assets by number or by query, software, \
                 or an issuer. What follows is reviewed before the answer. Once more is a decision \
                 of its own, which ends the one before and changes nothing else",
                Takes::Json("Wish"),
                "[Decided]",
            ),
        ),
        post(
            "/api/v1/decisions/{id}/confirm",
            confirm,
            About::done("Confirm another person's decision", Takes::Nothing, "Decided"),
        ),
        post(
            "/api/v1/decisions/{id}/withdraw",
            withdraw,
            About::done("Take a decision back", Takes::Json("{reason: text}"), "Decided"),
        ),
        post(
            "/api/v1/findings/{id}/accept",
            accept,
            About::done(
                "Accept a finding until the end of a day. Once more sets reason and day anew",
                Takes::Json("{reason: text, until: day}"),
                "Finding",
            ),
        ),
        post(
            "/api/v1/findings/{id}/reopen",
            reopen,
            About::done(
                "Take the acceptance of a finding back: it is open again",
                Takes::Json("{reason: text}"),
                "Finding",
            ),
        ),
    ]
}

#[derive(Deserialize)]
struct Which {
    all: Option<String>,
    after: Option<i64>,
    rows: Option<u16>,
}

async fn list(
    _: Viewer,
    State(shared): State<Shared>,
    headers: HeaderMap,
    Question(Which { all, after, rows }): Question<Which>,
) -> Result<Response, Trouble> {
    let (now, offset) = (clock::now(), shared.settings.policy.offset);
    let current = [Standing::Pending, Standing::Holds];
    let all = all.as_deref().is_some_and(|all| all != "0");
    let wanted = |one: &Decision| all || current.contains(&one.standing(now, offset));
    // Those that are over may be many, and are looked through for those that are not.
    let _place = shared.place(Scarce::Searches).await?;
    let found = shared.store.decision_leaf(after, super::rows(rows), wanted).await?;
    let items = found.rows.iter().map(|one| decision::json(one, now, offset)).collect();
    told(&headers, &leaf(&found, items))
}

/// What is to be decided.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    verdict: String,
    reason: String,
    until: Option<String>,
    #[serde(default)]
    exception: bool,
    #[serde(default)]
    dry_run: bool,
    assets: Option<Vec<i64>>,
    query: Option<String>,
    #[serde(default)]
    known_by: Vec<String>,
    idle_days: Option<u32>,
    software: Option<Software>,
    issuer: Option<Issuer>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Software {
    product: String,
    publisher: Option<String>,
    versions: Option<String>,
    scope: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Issuer {
    name: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
}

fn invalid(english: &'static str, japanese: &'static str) -> Trouble {
    Refusal::Words(english, japanese).into()
}

/// The reason, where somebody gave one.
fn given(reason: &str) -> Result<String, Trouble> {
    match reason.trim() {
        "" => Err(invalid(
            "reason: say why, for those who ask later",
            "reason: 理由を入力してください",
        )),
        reason => Ok(reason.to_owned()),
    }
}

impl Wish {
    fn verdict(&self) -> Result<Verdict, Trouble> {
        let all = [Verdict::Approved, Verdict::Investigating, Verdict::Rejected, Verdict::Retired];
        let known = all.into_iter().find(|verdict| verdict.as_str() == self.verdict);
        known.ok_or_else(|| {
            invalid(
                "verdict: it is none of approved, investigating, rejected and retired",
                "verdict: approved、investigating、rejected、retired のいずれでもありません",
            )
        })
    }

    fn matter(self) -> Result<Matter, Trouble> {
        let terms =
            Terms { reason: given(&self.reason)?, until: self.until, exception: self.exception };
        let is_query = self.query.as_deref().is_some_and(|query| query.trim().is_empty());
        if is_query {
            return Err(invalid(
                "query: of everything at once nobody decides",
                "query: すべての資産について一度に決定することはできません",
            ));
        }
        let is_asset = self.assets.is_some() || self.query.is_some();
        if !is_asset && (!self.known_by.is_empty() || self.idle_days.is_some()) {
            return Err(invalid(
                "known_by and idle_days are of assets",
                "known_by と idle_days は資産だけに指定できます",
            ));
        }
        match (self.assets, self.query, self.software, self.issuer) {
            (Some(ids), None, None, None) => {
                Self::assets(ids, None, self.known_by, self.idle_days, terms)
            }
            (None, Some(query), None, None) => {
                Self::assets(Vec::new(), Some(query), self.known_by, self.idle_days, terms)
            }
            (None, None, Some(Software { product, publisher, versions, scope }), None) => {
                Ok(Matter::Software(AboutSoftware { product, publisher, versions, scope, terms }))
            }
            (None, None, None, Some(Issuer { name, certificate, key })) => {
                Ok(Matter::Issuer(AboutIssuer { name, certificate, key, terms }))
            }
            _ => Err(invalid(
                "name one of assets, query, software and issuer",
                "assets、query、software、issuer のいずれか1つを指定してください",
            )),
        }
    }

    fn assets(
        ids: Vec<i64>,
        query: Option<String>,
        known_by: Vec<String>,
        idle: Option<u32>,
        terms: Terms,
    ) -> Result<Matter, Trouble> {
        let idle = idle.map(|days| format!("{days}d").parse()).transpose();
        let idle = idle.map_err(Trouble::Invalid)?;
        Ok(Matter::Asset(AboutAsset { ids, query, known_by, idle, dry_run: false, terms }))
    }
}

async fn make(
    Approver(visitor): Approver,
    State(shared): State<Shared>,
    Json(wish): Json<Wish>,
) -> Result<Response, Trouble> {
    let (verdict, dry_run) = (wish.verdict()?, wish.dry_run);
    let matter = wish.matter()?;
    if !dry_run {
        return Ok(decided(
            &shared,
            &decisions::decided(&shared, &visitor, verdict, vec![matter]).await?,
        ));
    }
    let find = move |shared: Shared| async move {
        let proposals = decide::proposals(&shared.settings, &shared.store, verdict, &matter);
        let matters: Vec<_> = proposals.await?.into_iter().map(|one| one.matter).collect();
        Ok(decide::preview_json(&matters))
    };
    Ok(done(&json!(shared.look_apart(find).await?)))
}

fn json_of(shared: &Shared, followed: &Followed) -> Vec<Value> {
    followed.json(clock::now(), shared.settings.policy.offset)
}

fn decided(shared: &Shared, followed: &Followed) -> Response {
    done(&json!(json_of(shared, followed)))
}

/// The only one.
fn one(shared: &Shared, followed: &Followed) -> Response {
    done(&json_of(shared, followed).pop().unwrap_or_default())
}

async fn confirm(
    Approver(visitor): Approver,
    State(shared): State<Shared>,
    Path(id): Path<i64>,
    _: Order,
) -> Result<Response, Trouble> {
    Ok(one(&shared, &decisions::confirmed(&shared, &visitor, DecisionId(id)).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Withdrawal {
    reason: String,
}

async fn withdraw(
    Approver(visitor): Approver,
    State(shared): State<Shared>,
    Path(id): Path<i64>,
    Json(Withdrawal { reason }): Json<Withdrawal>,
) -> Result<Response, Trouble> {
    let reason = given(&reason)?;
    Ok(one(&shared, &decisions::withdrawn(&shared, &visitor, DecisionId(id), reason).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Acceptance {
    reason: String,
    until: String,
}

async fn accept(
    Approver(visitor): Approver,
    State(shared): State<Shared>,
    Path(id): Path<i64>,
    Json(Acceptance { reason, until }): Json<Acceptance>,
) -> Result<Response, Trouble> {
    let reason = given(&reason)?;
    let until = until.parse::<Day>().map_err(|error| Trouble::Invalid(error.to_string()))?;
    findings::accepted(&shared, &visitor, id, &reason, until).await?;
    Ok(done(&things::finding_of(&shared, id, Language::English).await?))
}

async fn reopen(
    Approver(visitor): Approver,
    State(shared): State<Shared>,
    Path(id): Path<i64>,
    Json(Withdrawal { reason }): Json<Withdrawal>,
) -> Result<Response, Trouble> {
    let reason = given(&reason)?;
    findings::reopened(&shared, &visitor, id, &reason).await?;
    Ok(done(&things::finding_of(&shared, id, Language::English).await?))
}
