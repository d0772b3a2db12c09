//! The first page: how things stand.

use std::collections::BTreeMap;

use askama::Template;
use axum::{extract::State, response::Response};
use inventory::{compare::Registration, query::Kind};
use model::Severity;

use super::{
    Shared, certificates,
    language::Language,
    lists::address,
    page::{Moment, Page, html, shown},
    routes::{Route, get},
    scans::{self, ScanRow},
    summary,
    trends::{self, Trends},
    trouble::Trouble,
    visit::Viewer,
    words::{Words, words},
};
use crate::clock;

words! {
    /// The texts of the overview.
    Texts {
        assets: "Assets", "資産";
        by_registration: "by registration", "登録状態別";
        by_class: "by class", "種類別";
        by_site: "by site", "拠点別";
        open_findings: "Open findings", "未解決の検出事項";
        accepted: "accepted", "受容済み";
        certificates: "Certificates that end next", "期限が近い証明書";
        served: "in use", "現在使用中";
        name: "Name", "名前";
        issuer: "Issuer", "発行者";
        places: "Places", "使用箇所";
        ends: "Ends", "有効期限";
        days_left: "Days left", "残り日数";
        last_scans: "Last scans", "最近のスキャン";
        events: "What happened last", "最近の出来事";
        when: "When", "日時";
        what: "What", "内容";
        subject: "Subject", "対象";
        detail: "Detail", "詳細";
        nothing_yet: "Nothing was seen yet: run a sweep.", "まだ何も検出されていません。スキャンを実行してください。";
        unknown: "unknown", "不明";
        critical: "critical", "重大";
        warning: "warning", "警告";
        info: "info", "情報";
    }
}

pub(super) fn routes() -> Vec<Route> {
    vec![get("/", show)]
}

/// A name, how many, and how it looks.
struct Count {
    name: String,
    /// The list of them, if there is one.
    list: Option<String>,
    number: u64,
    look: &'static str,
}

struct End {
    page: String,
    name: String,
    issuer: String,
    places: u64,
    at: Moment,
    days: i64,
    look: &'static str,
}

struct Happened {
    at: Moment,
    what: &'static str,
    asset: Option<i64>,
    subject: String,
    detail: String,
}

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    page: Page,
    texts: &'static Texts,
    as_of: Moment,
    assets: u64,
    registrations: Vec<Count>,
    classes: Vec<Count>,
    sites: Vec<Count>,
    findings: Vec<Count>,
    accepted: u64,
    trends: Trends,
    certificates: u64,
    ends: Vec<End>,
    scans: Vec<ScanRow>,
    scan_texts: &'static scans::Texts,
    events: Vec<Happened>,
}

/// How many of each list the overview shows.
const FEW: usize = 10;

async fn show(Viewer(visitor): Viewer, State(shared): State<Shared>) -> Result<Response, Trouble> {
    let summary = summary::summary(&shared).await?;
    let language = visitor.language;
    let texts = Texts::of(language);
    let now = clock::now();
    let ends = summary.next.iter().take(FEW).map(|one| {
        let days = certificates::days_between(now, one.not_after);
        let look = certificates::look(days);
        End {
            page: certificates::path(&one.sha256),
            name: shown(&one.name),
            issuer: shown(&one.issuer),
            places: one.places,
            at: one.not_after.into(),
            days,
            look,
        }
    });
    let events = shared.store.events(15).await?.into_iter().map(|event| Happened {
        at: event.at.into(),
        what: language.event(event.kind),
        asset: event.asset.map(|asset| asset.0),
        subject: shown(&language.said(&event.subject)),
        detail: shown(&language.said(&event.detail)),
    });
    html(&Overview {
        page: Page::new(&visitor, Words::of(language).overview),
        texts,
        as_of: summary.as_of.into(),
        assets: summary.assets,
        registrations: registrations(&summary.registrations, language),
        classes: largest("class", &summary.classes, language),
        sites: largest("site", &summary.sites, language),
        findings: [
            (Severity::Critical, texts.critical, "bad"),
            (Severity::Warning, texts.warning, "warn"),
            (Severity::Info, texts.info, ""),
        ]
        .map(|(severity, name, look)| Count {
            name: name.to_owned(),
            list: Some(address(
                "/findings",
                &format!("state:open and severity:{}", severity.as_str()),
            )),
            number: summary.findings.get(&severity).copied().unwrap_or_default(),
            look,
        })
        .into(),
        accepted: summary.accepted,
        trends: Trends::of(shared.store.days(trends::DAYS).await?, language),
        certificates: summary.certificates,
        ends: ends.collect(),
        scans: scans::rows(&shared, 5, language).await?,
        scan_texts: scans::Texts::of(language),
        events: events.collect(),
    })
}

fn registrations(counts: &BTreeMap<Registration, u64>, language: Language) -> Vec<Count> {
    let look = |registration| match registration {
        Registration::Registered => "good",
        Registration::Unregistered
        | Registration::Rejected
        | Registration::RetiredButSeen
        | Registration::Conflicting => "bad",
        Registration::Expired | Registration::Missing | Registration::IdentityUncertain => "warn",
        Registration::Unknown => "",
    };
    let one = |(registration, number): (&Registration, &u64)| Count {
        name: language.registration(*registration).to_owned(),
        list: Some(address("/assets", &format!("registration:{}", registration.as_str()))),
        number: *number,
        look: look(*registration),
    };
    counts.iter().map(one).collect()
}

/// The most numerous first.
fn largest(field: &str, counts: &BTreeMap<String, u64>, language: Language) -> Vec<Count> {
    let name = |value: &str| match value {
        "" => Texts::of(language).unknown.to_owned(),
        value => shown(&language.value(Kind::Assets, field, value)),
    };
    // What has no value cannot be asked for by it.
    let list = |value: &str| {
        let query = format!("{field}=\"{}\"", value.replace('"', ""));
        (!value.is_empty()).then(|| address("/assets", &query))
    };
    let one = |(value, number): (&String, &u64)| Count {
        name: name(value),
        list: list(value),
        number: *number,
        look: "",
    };
    let mut list: Vec<Count> = counts.iter().map(one).collect();
    list.sort_by_key(|count| std::cmp::Reverse(count.number));
    list.truncate(FEW);
    list
}
