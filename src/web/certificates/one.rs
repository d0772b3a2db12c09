//! A certificate with everything that is known of it.

use std::collections::BTreeMap;

use askama::Template;
use axum::{
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};
use certs::chain::Judgement;
use inventory::{
    asset::{AssetId, Deployment},
    chain::Chain,
    finding::FindingState,
    owner::Owner,
    store::{CertificateDossier, StoredFinding},
    user::Role,
};
use model::{Endpoint, Severity, Timestamp};

use super::{Texts, days_between, is_sha256, look, path, pem::pem};
use crate::{
    clock,
    report::{certificate::root_subject, finding::citation},
    web::{
        Shared,
        asked::Path,
        language::Language,
        lists::address,
        page::{Moment, Page, html, shown},
        trouble::Trouble,
        visit::Viewer,
    },
};

/// Places, files and predecessors that are shown.
const MOST: u32 = 200;

/// How much of a certificate's time is over.
struct Life {
    from: Option<Moment>,
    to: Option<Moment>,
    /// In thousandths; `None` where one of the two is not known.
    gone: Option<i64>,
    days: i64,
    what: &'static str,
    look: &'static str,
}

/// A place or a file.
struct Row {
    asset: Option<i64>,
    place: String,
    more: String,
    first: Moment,
    last: Moment,
    current: bool,
    /// Another certificate: its page and its name.
    other: Option<(String, String)>,
}

/// A link of a chain.
struct Link {
    name: String,
    page: Option<String>,
}

struct ChainShown {
    links: Vec<Link>,
    /// `None` where nothing was said of it.
    reasons: Option<Vec<String>>,
}

struct Wrong {
    id: i64,
    severity: &'static str,
    severity_look: &'static str,
    state: &'static str,
    title: String,
    detail: String,
    citation: &'static str,
    since: Moment,
    may_accept: bool,
}

#[derive(Template)]
#[template(path = "certificate.html")]
struct One {
    page: Page,
    texts: &'static Texts,
    sha256: String,
    subject: String,
    names: Vec<String>,
    issuer: String,
    of_issuer: Option<String>,
    self_signed: bool,
    serial: String,
    key: String,
    signature: String,
    life: Life,
    renew: Option<Moment>,
    owners: String,
    trust: &'static str,
    trust_look: &'static str,
    problems: String,
    first_seen: Moment,
    last_seen: Moment,
    anomalies: Vec<String>,
    places: Vec<Row>,
    place_count: u64,
    current_places: u64,
    sent_along: u64,
    files: Vec<Row>,
    chains: Vec<ChainShown>,
    findings: Vec<Wrong>,
    history: Vec<Row>,
}

pub(super) async fn show(
    Viewer(visitor): Viewer,
    State(shared): State<Shared>,
    Path(sha256): Path<String>,
) -> Result<Response, Trouble> {
    let now = clock::now();
    let found = load(&shared, &sha256, now).await?;
    let texts = Texts::of(visitor.language);
    let CertificateDossier { certificate, concluded, .. } = &found;
    let called = certificate.names.first().unwrap_or(&certificate.subject);
    let title = if called.is_empty() { &certificate.sha256 } else { called };
    let bits = certificate.key_bits.map_or_else(String::new, |bits| format!(" {bits}"));
    let (trust, trust_look) = match concluded.as_ref().map(|one| one.trust.as_str()) {
        Some("public") => (texts.public, "good"),
        Some("private") => (texts.private, "good"),
        Some("untrusted") => (texts.untrusted, "bad"),
        _ => (texts.unknown, ""),
    };
    let may_accept = visitor.may(Role::Approver);
    // A quotation mark cannot be asked for.
    let of_issuer = (!certificate.issuer.is_empty() && !certificate.issuer.contains('"'))
        .then(|| address("/certificates", &format!("issuer=\"{}\"", certificate.issuer)));
    let files = certificate.files.iter().map(|(file, held)| Row {
        asset: None,
        place: shown(&format!("{}:{}", file.vantage.name, file.path)),
        more: shown(held.entry.as_deref().unwrap_or_default()),
        first: held.first_seen.into(),
        last: held.last_seen.into(),
        current: held.current,
        other: None,
    });
    let roots = |sha256: &str| root_subject(&shared.settings.policy.anchors, sha256);
    html(&One {
        page: Page::new(&visitor, shown(title)),
        texts,
        subject: shown(&certificate.subject),
        names: certificate.names.iter().map(|name| shown(name)).collect(),
        issuer: shown(&certificate.issuer),
        of_issuer,
        self_signed: certificate.self_signed,
        serial: shown(&certificate.serial),
        key: shown(&format!("{}{bits}", certificate.key_algorithm)),
        signature: shown(&certificate.signature_algorithm),
        life: Life::of(certificate.not_before, certificate.not_after, now, texts),
        renew: concluded.as_ref().and_then(|one| one.renew_by).map(Moment::from),
        owners: shown(&Owner::texts(concluded.as_ref().map_or(&[][..], |one| &one.owners))),
        trust,
        trust_look,
        problems: shown(concluded.as_ref().map_or("", |one| &one.problems)),
        first_seen: certificate.first_seen.into(),
        last_seen: certificate.last_seen.into(),
        anomalies: certificate
            .anomalies
            .iter()
            .map(|text| shown(&visitor.language.said(text)))
            .collect(),
        places: certificate.endpoints.iter().map(|place| row(place, None)).collect(),
        place_count: found.places,
        current_places: found.current_places,
        sent_along: found.sent_along,
        files: files.collect(),
        chains: found
            .chains
            .iter()
            .map(|chain| chain_shown(chain, &found.names, roots, visitor.language))
            .collect(),
        findings: found
            .findings
            .iter()
            .map(|one| wrong(one, visitor.language, may_accept))
            .collect(),
        history: found.others.iter().map(|place| row(place, Some(&found.names))).collect(),
        sha256,
    })
}

/// The certificate as other programs take it.
pub(super) async fn download(
    Viewer(_): Viewer,
    State(shared): State<Shared>,
    Path(sha256): Path<String>,
) -> Result<Response, Trouble> {
    pem_of(&shared, &sha256).await
}

/// The file of a certificate.
pub(super) async fn pem_of(shared: &Shared, sha256: &str) -> Result<Response, Trouble> {
    let der = match is_sha256(sha256) {
        true => shared.store.certificate_der(sha256).await?,
        false => None,
    };
    let text = pem(&der.ok_or(Trouble::NotFound)?);
    let name = sha256.get(..16).unwrap_or_default();
    let headers = [
        (header::CONTENT_TYPE, "application/pem-certificate-chain".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.pem\"")),
    ];
    Ok((headers, text).into_response())
}

async fn load(
    shared: &Shared,
    sha256: &str,
    now: Timestamp,
) -> Result<CertificateDossier, Trouble> {
    if !is_sha256(sha256) {
        return Err(Trouble::NotFound);
    }
    // What was concluded of it stands where lists have it.
    let _place = shared.lists().await?;
    Ok(shared.store.certificate(sha256, MOST, now).await?)
}

impl Life {
    fn of(from: Option<Timestamp>, to: Option<Timestamp>, now: Timestamp, texts: &Texts) -> Self {
        let gone = from.zip(to).map(|(from, to)| {
            let all = to.0.saturating_sub(from.0).max(1);
            let gone = i128::from(now.0.saturating_sub(from.0)) * 1_000 / i128::from(all);
            i64::try_from(gone.clamp(0, 1_000)).unwrap_or_default()
        });
        let (days, what, look) = match (from, to) {
            (Some(from), _) if now < from => (days_between(now, from), texts.not_yet, "warn"),
            (_, Some(to)) if to < now => (days_between(to, now), texts.over, "bad"),
            (_, Some(to)) => {
                let days = days_between(now, to);
                (days, texts.left, look(days))
            }
            _ => (0, "", ""),
        };
        Self { from: from.map(Moment::from), to: to.map(Moment::from), gone, days, what, look }
    }
}

fn row((asset, place): &(AssetId, Deployment), others: Option<&BTreeMap<String, String>>) -> Row {
    let (address, transport, port) = (place.address, place.transport, place.port);
    let starttls = place.starttls.as_deref().map(|protocol| format!("starttls {protocol}"));
    let more = [place.server_name.clone(), starttls].into_iter().flatten().collect::<Vec<_>>();
    let other = others.map(|names| {
        let name = names.get(&place.sha256).filter(|name| !name.is_empty());
        (path(&place.sha256), shown(name.unwrap_or(&place.sha256)))
    });
    Row {
        asset: Some(asset.0),
        place: Endpoint { address, transport, port }.to_string(),
        more: shown(&more.join(", ")),
        first: place.first_seen.into(),
        last: place.last_seen.into(),
        current: place.current,
        other,
    }
}

/// The chain to its root where that is known, else as it is served.
fn chain_shown(
    (chain, judgement): &(Chain, Option<Judgement>),
    names: &BTreeMap<String, String>,
    root: impl Fn(&str) -> Option<String>,
    language: Language,
) -> ChainShown {
    let link = |sha256: &String| match names.get(sha256) {
        Some(name) if !name.is_empty() => Link { name: shown(name), page: Some(path(sha256)) },
        Some(_) => Link { name: sha256.clone(), page: Some(path(sha256)) },
        None => Link { name: shown(&root(sha256).unwrap_or_else(|| sha256.clone())), page: None },
    };
    let path = judgement.as_ref().map(|judgement| &judgement.path).filter(|path| path.len() > 1);
    let links = match path {
        // It begins with the leaf, which is this page.
        Some(path) => path.iter().filter(|one| **one != chain.leaf).map(link).collect(),
        None => chain.above.iter().map(link).collect(),
    };
    let reasons = judgement.as_ref().map(|judgement| {
        judgement.reasons.iter().map(|reason| shown(&language.said(&reason.to_string()))).collect()
    });
    ChainShown { links, reasons }
}

fn wrong(stored: &StoredFinding, language: Language, may_accept: bool) -> Wrong {
    let finding = &stored.finding;
    let severity_look = match finding.severity {
        Severity::Critical => "bad",
        Severity::Warning => "warn",
        Severity::Info => "",
    };
    Wrong {
        id: stored.id,
        severity: language.severity(finding.severity),
        severity_look,
        state: language.finding_state(finding.state),
        title: shown(&language.finding(&finding.key.rule, &finding.title)),
        detail: shown(&language.said(&finding.detail)),
        citation: citation(&finding.key.rule).unwrap_or_default(),
        since: finding.first_seen.into(),
        may_accept: may_accept && finding.state == FindingState::Open,
    }
}
