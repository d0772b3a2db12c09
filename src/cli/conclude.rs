//! The end of every scan, asked or heard: what it saw becomes assets and findings, and is printed.

use std::{collections::BTreeSet, net::IpAddr};

use anyhow::Result;
use inventory::{
    alert::{self, Alert, AlertKind},
    asset::AssetId,
    store::{Policy, ReviewSummary, Store},
};
use model::{ScanId, ScanRecord, Severity};

use crate::{
    cli::{
        args::Format,
        import::Imported,
        refresh::{Downloaded, Refresh},
        search::Searched,
    },
    clock,
    report::{
        asset::{self, Shown},
        count, finding,
        json::{AlertJson, DownloadsJson, ImportJson, ScanJson, SweepJson},
        print, print_json,
    },
    tell,
};

/// What a sweep says of itself beside its record.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    /// The share of what is there that was probably missed, and how far that may be off.
    pub(crate) missed: Option<(f64, f64)>,
    /// The rate that the network was found to bear, where it was to be found out.
    pub(crate) rate: Option<u32>,
    /// Who answers no more than so many packets a second.
    pub(crate) limited: Vec<(IpAddr, u32)>,
    /// What was searched.
    pub(crate) searched: Vec<Searched>,
    /// What was imported.
    pub(crate) imports: Vec<Imported>,
    /// Assets that it saw, and of which conclusions were drawn already.
    pub(crate) seen: BTreeSet<AssetId>,
}

/// Stores how the scan went, draws the conclusions, and prints what the scan saw and what is
/// wrong.
pub(crate) async fn conclude(
    store: &Store,
    scan: ScanId,
    record: &ScanRecord,
    notes: &Notes,
    policy: &Policy,
    format: Format,
) -> Result<ReviewSummary> {
    conclude_with(store, scan, record, notes, policy, None, format).await
}

/// The same, with what certificates name fetched before it is judged.
pub(crate) async fn conclude_with(
    store: &Store,
    scan: ScanId,
    record: &ScanRecord,
    notes: &Notes,
    policy: &Policy,
    refresh: Option<&Refresh>,
    format: Format,
) -> Result<ReviewSummary> {
    store.finish_scan(scan, record).await?;
    let digest = store.digest(scan, clock::now()).await?;
    let last = digest.assets.iter().map(|asset| asset.id);
    let seen: BTreeSet<AssetId> = notes.seen.iter().copied().chain(last).collect();
    let downloaded = match refresh {
        Some(refresh) => Some(refresh.run(store, policy).await?),
        None => None,
    };
    let review = store.review(clock::now(), policy).await?;
    let alerts = store.alerts(clock::now(), &alert::Policy::default()).await?;
    let said = Said { scan, record, notes, downloaded: downloaded.as_ref() };
    report(format, &said, &seen, &review, alerts)?;
    Ok(review)
}

/// Says that what a scan saw is stored, where nobody waits for what follows from it: the next scan of
/// the site takes it into account, whatever began it.
pub(crate) fn unconcluded(
    scan: ScanId,
    record: &ScanRecord,
    notes: &Notes,
    format: Format,
) -> Result<()> {
    tell::line(
        "everything heard is stored; the next scan of the site concludes what follows from it",
    );
    if format == Format::Json {
        return print_json(&SweepJson {
            scan: ScanJson::new(scan, record, notes),
            downloads: None,
            imports: Vec::new(),
            assets: Vec::new(),
            findings: Vec::new(),
            alerts: Vec::new(),
        });
    }
    Ok(())
}

/// What there is to say of the scan itself.
struct Said<'a> {
    scan: ScanId,
    record: &'a ScanRecord,
    notes: &'a Notes,
    downloaded: Option<&'a Downloaded>,
}

fn report(
    format: Format,
    &Said { scan, record, notes, downloaded }: &Said<'_>,
    seen: &BTreeSet<AssetId>,
    review: &ReviewSummary,
    alerts: Vec<Alert>,
) -> Result<()> {
    let shown: Vec<Shown<'_>> = Shown::all(&review.compared)
        .into_iter()
        .filter(|shown| seen.contains(&shown.asset.id))
        .collect();
    let findings = finding::open(&review.findings, Severity::Info);
    let owners = &review.compared.owners;
    if format == Format::Json {
        return print_json(&SweepJson {
            scan: ScanJson::new(scan, record, notes),
            downloads: downloaded.map(DownloadsJson::from),
            imports: notes.imports.iter().map(ImportJson::from).collect(),
            assets: shown.iter().map(Shown::json).collect(),
            findings: findings.into_iter().map(|found| finding::json(found, owners)).collect(),
            alerts: alerts.into_iter().map(|alert| AlertJson::new(alert, owners)).collect(),
        });
    }
    let mut text = asset::table(&shown);
    if !findings.is_empty() {
        text.push('\n');
        text.push_str(&finding::table(&findings));
    }
    print(&text)?;
    let seconds = record.ended_at.map_or(0, |end| end.seconds_since(record.started_at));
    tell::line(&format!(
        "{}, {}, {} in {seconds} s{}",
        count(shown.len() as u64, "asset", "assets"),
        count(findings.len() as u64, "open finding", "open findings"),
        count(record.probes_sent, "packet", "packets"),
        if record.complete { "" } else { "; not complete" },
    ));
    tell_alerts(&alerts);
    if record.drops > 0 {
        tell::line(&format!("{} answers were lost: possibly incomplete", record.drops));
    }
    if let Some((missed, off)) = notes.missed {
        tell::line(&format!(
            "estimated missed: {:.2} % (± {:.2})",
            missed * 100.0,
            (off * 100.0).max(0.01)
        ));
    }
    if let Some(rate) = notes.rate {
        tell::line(&format!("rate found: {rate} packets a second"));
    }
    for searched in &notes.searched {
        tell::line(&searched.lines());
    }
    for (address, rate) in &notes.limited {
        tell::line(&format!("{address} answers about {rate} packets a second and no more"));
    }
    if let Some(downloaded) = downloaded {
        downloaded.tell();
    }
    for gap in &record.gaps {
        tell::line(&format!("gap: {}: {}", gap.target, gap.reason));
    }
    Ok(())
}

/// What is new is in the table of findings; what is over is not.
fn tell_alerts(alerts: &[Alert]) {
    let many = |kind| alerts.iter().filter(|alert| alert.kind == kind).count();
    let kinds = [AlertKind::New, AlertKind::Worse, AlertKind::Reminder, AlertKind::Over];
    let told: Vec<String> = kinds
        .into_iter()
        .filter(|kind| many(*kind) > 0)
        .map(|kind| format!("{} {}", many(kind), kind.as_str()))
        .collect();
    if !told.is_empty() {
        tell::line(&format!("since the last scan: {}", told.join(", ")));
    }
    for over in alerts.iter().filter(|alert| alert.kind == AlertKind::Over) {
        tell::line(&format!("over: {}", over.finding.title));
    }
}
