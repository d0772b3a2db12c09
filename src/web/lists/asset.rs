//! An asset with everything that is known of it, and why: down to what was observed. Of what only
//! grows, the latest; the rest is on the pages behind it (`behind`).

use askama::Template;
use axum::{extract::State, response::Response};
use inventory::{
    asset::{Asset, AssetId, Assigned, Deployment, Event},
    class,
    finding::FindingState,
    opinion,
    query::Kind,
    register::RegisterKind,
    store::{StoredFinding, StoredObservation},
    user::Role,
};
use model::Endpoint;

use super::{
    Shared, address,
    timeline::{self, Timeline},
    words::Lists,
};
use crate::{
    clock,
    web::{
        asked::Path,
        certificates, findings,
        language::Language,
        page::{Page, html, moment, shown, spoken},
        registers,
        routes::{Route, get},
        trouble::Trouble,
        visit::Viewer,
    },
};

/// Rows of a table of the page.
const SHOWN: u32 = 200;

pub(super) fn routes() -> Vec<Route> {
    vec![get("/assets/{id}", show)]
}

/// A table of the page: a heading, the headings of its columns, and its rows.
struct Part {
    title: &'static str,
    headings: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    /// How many there are, where not all are shown, and where the others are.
    of: Option<(u64, String)>,
    /// Where rows lead: a column and an address, or nowhere.
    links: Vec<Option<(usize, String)>>,
    /// What can be done about the rows: an address and what it is called, or "".
    actions: Vec<(String, &'static str)>,
}

impl Part {
    /// What can be done about a row. By reference, as templates have it.
    fn action(&self, row: &usize) -> Option<&(String, &'static str)> {
        self.actions.get(*row)
    }

    /// Where a cell leads.
    fn link(&self, row: &usize, column: &usize) -> Option<&str> {
        let (at, address) = self.links.get(*row)?.as_ref()?;
        (at == column).then_some(address)
    }

    /// Says how many there are in all, and where.
    fn among(mut self, total: u64, place: impl FnOnce() -> String) -> Self {
        self.of = (total > self.rows.len() as u64).then(|| (total, place()));
        self
    }

    fn leading(self, links: Vec<Option<(usize, String)>>) -> Self {
        Self { links, ..self }
    }

    fn new(title: &'static str, headings: &[&'static str], rows: Vec<Vec<String>>) -> Self {
        let rows: Vec<Vec<String>> = rows
            .into_iter()
            .take(SHOWN as usize)
            .map(|row| row.iter().map(|text| shown(text)).collect())
            .collect();
        let headings = headings.to_vec();
        Self { title, headings, of: None, rows, links: Vec::new(), actions: Vec::new() }
    }
}

#[derive(Template)]
#[template(path = "asset.html")]
struct AssetTemplate {
    page: Page,
    facts: Vec<(&'static str, String)>,
    /// Its entry of the device register: what that is called, where it is, and its reference.
    registered: Option<(&'static str, String, String)>,
    /// What it is called, for programs and for people.
    times: [(&'static str, String, String); 2],
    parts: Vec<Part>,
    line: Timeline,
    /// Where it is decided of it, for who may.
    decide: Option<(String, &'static str)>,
}

async fn show(
    Viewer(visitor): Viewer,
    State(shared): State<Shared>,
    Path(id): Path<i64>,
) -> Result<Response, Trouble> {
    let language = visitor.language;
    let words = Lists::of(language);
    let known = shared.store.portrait(AssetId(id), SHOWN).await?;
    let asset = &known.asset;
    drop(shared.lists().await?);
    let now = clock::now();
    let time = (asset.first_seen, now.max(asset.last_seen));
    let strokes = shared.store.asset_strokes(asset.id, time, timeline::PARTS).await?;
    let line = Timeline::of(asset, &strokes, &known.findings.rows, now, language);
    // With what only a review knows.
    let entry = shared.store.listed_asset(asset.id).await?;
    let mut facts = vec![(words.id, asset.id.to_string()), (words.site, asset.site.0.clone())];
    if let Some(entry) = &entry {
        let registration = language.value(Kind::Assets, "registration", &entry.registration);
        facts.push((
            words.registration,
            format!("{registration}: {}", language.said(&entry.reason)),
        ));
        let said = [
            (words.owner, &entry.owner),
            (words.department, &entry.department),
            (words.location, &entry.location),
        ];
        facts.extend(said.into_iter().filter_map(|(name, text)| Some((name, text.clone()?))));
        facts.extend(entry.vendor.clone().map(|vendor| (words.vendor, vendor)));
        facts.extend(entry.os.clone().map(|os| (words.os, os)));
    }
    let why = opinion::reasons(asset);
    let why: Vec<String> = why.iter().map(|reason| language.said(reason)).collect();
    facts.extend((!why.is_empty()).then(|| (words.os_reasons, why.join("; "))));
    if let Some(judged) = class::classify(asset) {
        facts.push((words.class, language.class(judged.class).to_owned()));
        let reasons: Vec<String> =
            judged.reasons.iter().map(|reason| language.said(reason)).collect();
        facts.push((words.class_reasons, reasons.join("; ")));
    }
    let registered = entry.as_ref().and_then(|entry| entry.entry.as_ref()).map(|reference| {
        (words.entry, registers::path(RegisterKind::Device, reference), shown(reference))
    });
    let title = called(asset, language);
    let identifiers = asset.identifiers.iter().map(|one| identifier_row(one, language));
    let services = asset.services.iter().map(|one| {
        let (address, transport, port) = (one.address, one.transport, one.port);
        let tls = if one.tls { "+tls" } else { "" };
        vec![
            Endpoint { address, transport, port }.to_string(),
            language.port_state(one.state).to_owned(),
            format!("{}{tls}", one.protocol.as_deref().unwrap_or_default()),
            one.product.clone().unwrap_or_default(),
            one.version.clone().unwrap_or_default(),
            spoken(one.last_seen),
        ]
    });
    let software = asset.software.iter().filter(|one| one.current).map(|one| {
        vec![
            one.product.clone(),
            one.version.clone().unwrap_or_default(),
            language.said(&one.source),
            spoken(one.last_seen),
        ]
    });
    let certificates = asset.deployments.iter().map(|one| {
        let (address, transport, port) = (one.address, one.transport, one.port);
        vec![
            one.sha256.clone(),
            Endpoint { address, transport, port }.to_string(),
            yes(one.current),
            spoken(one.last_seen),
        ]
    });
    let may_decide = visitor.may(Role::Approver);
    let acceptance = |stored: &StoredFinding| match stored.finding.state {
        FindingState::Open if may_decide => (findings::path(stored.id), words.accept),
        _ => (String::new(), ""),
    };
    let actions = known.findings.rows.iter().map(acceptance).collect();
    let page_of = |stored: &StoredFinding| Some((2, findings::path(stored.id)));
    let about = known.findings.rows.iter().map(page_of).collect();
    let problems = known.findings.rows.iter().map(|stored| {
        let finding = &stored.finding;
        vec![
            language.severity(finding.severity).to_owned(),
            language.finding_state(finding.state).to_owned(),
            language.finding(&finding.key.rule, &finding.title),
            language.said(&finding.detail),
            spoken(finding.first_seen),
        ]
    });
    let page_of = |one: &Deployment| Some((0, certificates::path(&one.sha256)));
    // What was served once is in no list.
    let served = asset.deployments.iter().filter(|one| one.current).count();
    let installed = asset.software.iter().filter(|one| one.current).count();
    // The list of what there is of that kind.
    let list = |kind: &str| address(&format!("/{kind}"), &format!("asset:{}", asset.id));
    let w = words;
    let parts = vec![
        Part {
            actions,
            ..Part::new(
                w.findings,
                &[w.severity, w.state, w.title, w.detail, w.first_seen],
                problems.collect(),
            )
            .leading(about)
            .among(known.findings.total, || list("findings"))
        },
        Part::new(
            w.identifiers,
            &[w.kind, w.name, w.strength, w.current, w.last_seen, w.because],
            identifiers.collect(),
        )
        .among(asset.identifiers.len() as u64, || format!("/assets/{}/identifiers", asset.id)),
        Part::new(
            w.services,
            &[w.address, w.state, w.protocol, w.product, w.version, w.last_seen],
            services.collect(),
        )
        .among(asset.services.len() as u64, || list("services")),
        Part::new(w.software, &[w.product, w.version, w.source, w.last_seen], software.collect())
            .among(installed as u64, || list("software")),
        Part::new(
            w.certificates,
            &["SHA-256", w.address, w.current, w.last_seen],
            certificates.collect(),
        )
        .leading(asset.deployments.iter().map(page_of).collect())
        .among(served as u64, || list("certificates")),
        Part::new(
            w.events,
            &[w.last_seen, w.kind, w.subject, w.detail],
            known.events.rows.iter().map(|one| event_row(one, language)).collect(),
        )
        .among(known.events.total, || format!("/assets/{}/events", asset.id)),
        Part::new(
            w.observations,
            &[w.method, w.subject, w.fact, w.times, w.last_seen],
            known.observations.rows.iter().map(|one| observation_row(one, language)).collect(),
        )
        .among(known.observations.total, || format!("/assets/{}/observations", asset.id)),
    ];
    let facts = facts.into_iter().map(|(name, text)| (name, shown(&text))).collect();
    let decide = || (format!("/decide?asset={}", asset.id), words.decide);
    html(&AssetTemplate {
        decide: may_decide.then(decide),
        page: Page::new(&visitor, shown(&title)),
        facts,
        registered,
        times: [(words.first_seen, asset.first_seen), (words.last_seen, asset.last_seen)]
            .map(|(name, at)| (name, moment(at), spoken(at))),
        line,
        parts: parts.into_iter().filter(|part| !part.rows.is_empty()).collect(),
    })
}

/// What an asset is called on its pages.
pub(in crate::web) fn called(asset: &Asset, language: Language) -> String {
    let name = asset.names.first().map(|name| name.name.clone());
    let address = asset.addresses().next().map(|address| address.to_string());
    let number = || format!("{} {}", Lists::of(language).asset, asset.id);
    name.or(address).unwrap_or_else(number)
}

fn yes(is: bool) -> String {
    if is { "✓" } else { "" }.to_owned()
}

/// What an asset is known by, as a table has it.
pub(super) fn identifier_row(one: &Assigned, language: Language) -> Vec<String> {
    vec![
        language.name(one.identifier.kind()),
        one.identifier.value(),
        language.strength(one.strength).to_owned(),
        yes(one.current),
        spoken(one.last_seen),
        language.said(&one.because),
    ]
}

/// What happened, as a table has it.
pub(super) fn event_row(event: &Event, language: Language) -> Vec<String> {
    vec![
        spoken(event.at),
        language.event(event.kind).to_owned(),
        language.said(&event.subject),
        language.said(&event.detail),
    ]
}

/// What was observed, as a table has it.
pub(super) fn observation_row(stored: &StoredObservation, language: Language) -> Vec<String> {
    let seen = &stored.observation;
    vec![
        language.method(seen.method).to_owned(),
        seen.subject.to_string(),
        language.said(&crate::cli::assets::told(&seen.fact)),
        stored.times.to_string(),
        spoken(seen.observed_at),
    ]
}
