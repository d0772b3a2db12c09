//! The columns of each list, and the rows that they are of.

use inventory::{
    owner::Owner,
    query::Kind,
    store::{
        Store, StoreError,
        list::{
            AssetEntry, CertificateEntry, FindingEntry, Page, Request, ServiceEntry, SoftwareEntry,
        },
    },
};
use model::{Severity, Timestamp};

use super::words::Lists;
use crate::web::{
    certificates, findings,
    language::Language,
    page::{encoded, moment, shown, spoken},
};

/// A row of a list, whatever it is of.
pub(super) enum Row {
    Asset(AssetEntry),
    Service(ServiceEntry),
    Software(SoftwareEntry),
    Certificate(Box<CertificateEntry>),
    Finding(Box<FindingEntry>),
}

/// What stands in a row below a heading.
#[derive(Clone, Debug, Default)]
pub(super) struct Cell {
    /// For a page, which escapes it.
    pub(super) text: String,
    /// Where it leads.
    pub(super) link: Option<String>,
    /// For `<time>`.
    pub(super) moment: Option<String>,
    /// A class of the style sheet, or "".
    pub(super) tone: &'static str,
}

/// A column of a list.
pub(super) struct Column {
    /// Its name in addresses.
    pub(super) name: &'static str,
    pub(super) heading: fn(&Lists) -> &'static str,
    /// By what the list is sorted by it.
    pub(super) sort: Option<&'static str>,
    /// Whether it is shown where nobody chooses.
    pub(super) is_usual: bool,
    pub(super) cell: fn(&Row, Language) -> Cell,
}

/// The rows of a page of any list.
pub(super) async fn rows(
    store: &Store,
    request: &Request<'_>,
    as_of: Timestamp,
) -> Result<Page<Row>, StoreError> {
    fn of<E>(page: Page<E>, row: fn(E) -> Row) -> Page<Row> {
        let Page { rows, next, total } = page;
        Page { rows: rows.into_iter().map(row).collect(), next, total }
    }
    Ok(match request.query.kind() {
        Kind::Assets => of(store.list_assets(request, as_of).await?, Row::Asset),
        Kind::Services => of(store.list_services(request, as_of).await?, Row::Service),
        Kind::Software => of(store.list_software(request, as_of).await?, Row::Software),
        Kind::Certificates => {
            of(store.list_certificates(request, as_of).await?, |one| Row::Certificate(one.into()))
        }
        Kind::Findings => {
            of(store.list_findings(request, as_of).await?, |one| Row::Finding(one.into()))
        }
    })
}

pub(super) const fn of(kind: Kind) -> &'static [Column] {
    match kind {
        Kind::Assets => ASSETS,
        Kind::Services => SERVICES,
        Kind::Software => SOFTWARE,
        Kind::Certificates => CERTIFICATES,
        Kind::Findings => FINDINGS,
    }
}

fn text(text: impl AsRef<str>) -> Cell {
    Cell { text: shown(text.as_ref()), ..Cell::default() }
}

fn maybe(value: Option<&String>) -> Cell {
    text(value.map(String::as_str).unwrap_or_default())
}

fn joined(values: &[String]) -> Cell {
    text(values.join(" "))
}

fn time(at: Timestamp) -> Cell {
    Cell { text: spoken(at), moment: Some(moment(at)), ..Cell::default() }
}

fn asset_link(id: i64, label: &str) -> Cell {
    Cell { link: Some(format!("/assets/{id}")), ..text(label) }
}

/// Where it is decided of what stands in a column, with the form filled in, and from where back.
pub(super) fn decide(row: &Row, column: &Column, back: &str) -> Option<String> {
    let Row::Software(row) = row else { return None };
    let (product, back) = (encoded(&row.product.product), encoded(back));
    let address = || format!("/decide?kind=software&product={product}&back={back}");
    (column.name == "product").then(address)
}

fn certificate_link(sha256: &str, label: &str) -> Cell {
    Cell { link: Some(certificates::path(sha256)), ..text(label) }
}

/// A column of rows of one kind; of others there is none.
macro_rules! column {
    ($name:literal, $word:ident, $sort:expr, $usual:literal, $kind:ident, $cell:expr) => {
        Column {
            name: $name,
            heading: |words| words.$word,
            sort: $sort,
            is_usual: $usual,
            cell: |row, _| match row {
                Row::$kind(row) => ($cell)(row),
                _ => Cell::default(),
            },
        }
    };
}

/// The same of one with words of ours.
macro_rules! worded {
    ($name:literal, $word:ident, $sort:expr, $usual:literal, $kind:ident, $cell:expr) => {
        Column {
            cell: |row, language| match row {
                Row::$kind(row) => ($cell)(row, language),
                _ => Cell::default(),
            },
            ..column!($name, $word, $sort, $usual, $kind, |_| Cell::default())
        }
    };
}

const ASSETS: &[Column] = &[
    column!("id", id, Some("id"), true, Asset, |row: &AssetEntry| asset_link(
        row.id.0,
        &row.id.to_string()
    )),
    column!("site", site, Some("site"), true, Asset, |row: &AssetEntry| text(&row.site)),
    column!("address", address, Some("address"), true, Asset, |row: &AssetEntry| asset_link(
        row.id.0,
        &row.addresses.join(" ")
    )),
    column!("name", name, Some("name"), true, Asset, |row: &AssetEntry| joined(&row.names)),
    column!("mac", mac, Some("mac"), false, Asset, |row: &AssetEntry| joined(&row.macs)),
    column!("vendor", vendor, Some("vendor"), true, Asset, |row: &AssetEntry| maybe(
        row.vendor.as_ref()
    )),
    worded!("class", class, Some("class"), true, Asset, |row: &AssetEntry, language: Language| {
        text(language.value(Kind::Assets, "class", row.class.as_deref().unwrap_or_default()))
    }),
    column!("os", os, Some("os"), false, Asset, |row: &AssetEntry| maybe(row.os.as_ref())),
    worded!("registration", registration, Some("registration"), true, Asset, registration),
    column!("owner", owner, Some("owner"), false, Asset, |row: &AssetEntry| maybe(
        row.owner.as_ref()
    )),
    column!("department", department, Some("department"), false, Asset, |row: &AssetEntry| maybe(
        row.department.as_ref()
    )),
    column!("location", location, Some("location"), false, Asset, |row: &AssetEntry| maybe(
        row.location.as_ref()
    )),
    column!("reason", reason, None, false, Asset, |row: &AssetEntry| text(&row.reason)),
    column!("ports", ports, None, true, Asset, |row: &AssetEntry| joined(&row.ports)),
    column!("services", services, Some("services"), false, Asset, |row: &AssetEntry| text(
        row.services.to_string()
    )),
    worded!("findings", findings, Some("findings"), true, Asset, findings),
    column!("first", first_seen, Some("first"), false, Asset, |row: &AssetEntry| time(
        row.first_seen
    )),
    column!("seen", last_seen, Some("seen"), true, Asset, |row: &AssetEntry| time(row.last_seen)),
];

/// How many there are of each severity, of which there are some.
fn findings(row: &AssetEntry, language: Language) -> Cell {
    let [critical, warning, info] = row.findings;
    let of = [(Severity::Critical, critical), (Severity::Warning, warning), (Severity::Info, info)];
    let some = of.into_iter().filter(|(_, number)| *number > 0);
    let told: Vec<String> = some
        .map(|(severity, number)| format!("{} {number}", language.severity(severity)))
        .collect();
    let tone = if critical > 0 { "bad" } else { "" };
    Cell { tone, ..text(told.join(", ")) }
}

fn registration(row: &AssetEntry, language: Language) -> Cell {
    let tone = match row.registration.as_str() {
        "registered" => "good",
        "rejected" | "expired" | "retired-but-seen" | "conflicting" => "bad",
        "unregistered" => "warn",
        _ => "",
    };
    Cell { tone, ..text(language.value(Kind::Assets, "registration", &row.registration)) }
}

const SERVICES: &[Column] = &[
    column!("asset", asset, Some("asset"), true, Service, |row: &ServiceEntry| asset_link(
        row.asset.0,
        &row.asset.to_string()
    )),
    column!("site", site, None, true, Service, |row: &ServiceEntry| text(&row.site)),
    column!("name", name, None, true, Service, |row: &ServiceEntry| maybe(row.name.as_ref())),
    column!("address", address, Some("address"), true, Service, |row: &ServiceEntry| text(
        row.address.to_string()
    )),
    column!("port", port, Some("port"), true, Service, |row: &ServiceEntry| text(format!(
        "{}/{}",
        row.kind.port, row.kind.transport
    ))),
    worded!(
        "state",
        state,
        Some("state"),
        true,
        Service,
        |row: &ServiceEntry, language: Language| {
            text(language.value(Kind::Services, "state", row.kind.state))
        }
    ),
    column!("protocol", protocol, Some("protocol"), true, Service, |row: &ServiceEntry| maybe(
        row.kind.protocol.as_ref()
    )),
    column!("product", product, Some("product"), true, Service, |row: &ServiceEntry| maybe(
        row.kind.product.as_ref()
    )),
    column!("version", version, Some("version"), true, Service, |row: &ServiceEntry| maybe(
        row.kind.version.as_ref()
    )),
    column!("cpe", cpe, None, false, Service, |row: &ServiceEntry| maybe(row.kind.cpe.as_ref())),
    column!("tls", tls, None, false, Service, |row: &ServiceEntry| text(if row.kind.tls {
        "TLS"
    } else {
        ""
    })),
    column!("first", first_seen, Some("first"), false, Service, |row: &ServiceEntry| time(
        row.first_seen
    )),
    column!("seen", last_seen, Some("seen"), true, Service, |row: &ServiceEntry| time(
        row.last_seen
    )),
];

const SOFTWARE: &[Column] = &[
    column!("product", product, Some("product"), true, Software, |row: &SoftwareEntry| text(
        &row.product.product
    )),
    column!("version", version, Some("version"), true, Software, |row: &SoftwareEntry| maybe(
        row.product.version.as_ref()
    )),
    column!("cpe", cpe, None, false, Software, |row: &SoftwareEntry| maybe(
        row.product.cpe.as_ref()
    )),
    column!("asset", asset, Some("asset"), true, Software, |row: &SoftwareEntry| asset_link(
        row.asset.0,
        &row.asset.to_string()
    )),
    column!("site", site, None, true, Software, |row: &SoftwareEntry| text(&row.site)),
    column!("name", name, None, true, Software, |row: &SoftwareEntry| maybe(row.name.as_ref())),
    worded!(
        "source",
        source,
        Some("source"),
        true,
        Software,
        |row: &SoftwareEntry, language: Language| text(language.said(&row.source))
    ),
    column!("first", first_seen, Some("first"), false, Software, |row: &SoftwareEntry| time(
        row.first_seen
    )),
    column!("seen", last_seen, Some("seen"), true, Software, |row: &SoftwareEntry| time(
        row.last_seen
    )),
];

type Certificate = CertificateEntry;

const CERTIFICATES: &[Column] = &[
    column!("expires", expires, Some("expires"), true, Certificate, |row: &Certificate| {
        row.not_after.map(time).unwrap_or_default()
    }),
    column!("renew", renew, Some("renew"), false, Certificate, |row: &Certificate| {
        row.renew_by.map(time).unwrap_or_default()
    }),
    column!("subject", subject, Some("subject"), true, Certificate, |row: &Certificate| {
        certificate_link(
            &row.sha256,
            if row.subject.is_empty() { &row.sha256 } else { &row.subject },
        )
    }),
    column!("name", name, Some("name"), true, Certificate, |row: &Certificate| {
        certificate_link(&row.sha256, &row.names.join(" "))
    }),
    column!("issuer", issuer, Some("issuer"), true, Certificate, |row: &Certificate| text(
        &row.issuer
    )),
    column!("key", key, Some("key"), true, Certificate, |row: &Certificate| text(&row.key)),
    worded!(
        "trust",
        trust,
        Some("trust"),
        true,
        Certificate,
        |row: &Certificate, language: Language| {
            let tone = if row.trust == "untrusted" { "bad" } else { "" };
            Cell { tone, ..text(language.value(Kind::Certificates, "trust", &row.trust)) }
        }
    ),
    column!("problems", problems, None, false, Certificate, |row: &Certificate| text(
        &row.problems
    )),
    column!("places", places, Some("places"), true, Certificate, |row: &Certificate| {
        let some: Vec<String> = row.places.iter().take(3).cloned().collect();
        match row.places.len().saturating_sub(some.len()) {
            0 => joined(&some),
            more => text(format!("{} +{more}", some.join(" "))),
        }
    }),
    column!("owner", owner, None, true, Certificate, |row: &Certificate| text(Owner::texts(
        &row.owners
    ))),
    column!("sha256", id, Some("sha256"), false, Certificate, |row: &Certificate| {
        certificate_link(&row.sha256, &row.sha256)
    }),
    column!("first", first_seen, Some("first"), false, Certificate, |row: &Certificate| time(
        row.first_seen
    )),
    column!("seen", last_seen, Some("seen"), false, Certificate, |row: &Certificate| time(
        row.last_seen
    )),
];

type Finding = FindingEntry;

const FINDINGS: &[Column] = &[
    column!("id", id, Some("id"), true, Finding, |row: &Finding| Cell {
        link: Some(findings::path(row.stored.id)),
        ..text(row.stored.id.to_string())
    }),
    worded!(
        "severity",
        severity,
        Some("severity"),
        true,
        Finding,
        |row: &Finding, language: Language| {
            let severity = row.stored.finding.severity;
            let tone = match severity {
                Severity::Critical => "bad",
                Severity::Warning => "warn",
                Severity::Info => "",
            };
            Cell { tone, ..text(language.severity(severity)) }
        }
    ),
    worded!(
        "state",
        state,
        Some("state"),
        true,
        Finding,
        |row: &Finding, language: Language| text(language.finding_state(row.stored.finding.state))
    ),
    column!("rule", rule, Some("rule"), true, Finding, |row: &Finding| text(
        &row.stored.finding.key.rule
    )),
    worded!("title", title, Some("title"), true, Finding, |row: &Finding, language: Language| {
        let finding = &row.stored.finding;
        let link = Some(findings::path(row.stored.id));
        Cell { link, ..text(language.finding(&finding.key.rule, &finding.title)) }
    }),
    worded!("detail", detail, None, false, Finding, |row: &Finding, language: Language| text(
        language.said(&row.stored.finding.detail)
    )),
    column!("subject", subject, Some("subject"), false, Finding, |row: &Finding| text(
        &row.stored.finding.key.subject
    )),
    column!("asset", asset, Some("asset"), true, Finding, |row: &Finding| {
        row.stored.finding.asset.map(|id| asset_link(id.0, &id.to_string())).unwrap_or_default()
    }),
    column!("site", site, None, false, Finding, |row: &Finding| maybe(row.site.as_ref())),
    column!("owner", owner, Some("owner"), true, Finding, |row: &Finding| text(Owner::texts(
        &row.owners
    ))),
    column!("first", first_seen, Some("first"), true, Finding, |row: &Finding| time(
        row.stored.finding.first_seen
    )),
    column!("seen", last_seen, Some("seen"), false, Finding, |row: &Finding| time(
        row.stored.finding.last_seen
    )),
];
