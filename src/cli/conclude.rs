//! The end of every scan, asked or heard: what it saw becomes assets and findings, and is printed.

use std::collections::BTreeSet;

use anyhow::Result;
use inventory::{
    asset::AssetId,
    store::{Policy, ReviewSummary, Store},
};
use model::{ScanId, ScanRecord, Severity};

use crate::{
    cli::args::Format,
    clock,
    report::{
        asset::{self, Shown},
        count, finding,
        json::{ScanJson, SweepJson},
        print, print_json,
    },
    tell,
};

/// Stores how the scan went, draws the conclusions, and prints what the scan saw and what is
/// wrong.
pub(crate) async fn conclude(
    store: &Store,
    scan: ScanId,
    record: &ScanRecord,
    policy: &Policy,
    format: Format,
) -> Result<ReviewSummary> {
    store.finish_scan(scan, record).await?;
    let digest = store.digest(scan, clock::now()).await?;
    let seen: BTreeSet<AssetId> = digest.assets.iter().map(|asset| asset.id).collect();
    let review = store.review(clock::now(), policy).await?;
    report(format, scan, record, &seen, &review)?;
    Ok(review)
}

fn report(
    format: Format,
    scan: ScanId,
    record: &ScanRecord,
    seen: &BTreeSet<AssetId>,
    review: &ReviewSummary,
) -> Result<()> {
    let shown: Vec<Shown<'_>> = Shown::all(&review.compared)
        .into_iter()
        .filter(|shown| seen.contains(&shown.asset.id))
        .collect();
    let findings = finding::open(&review.findings, Severity::Info);
    if format == Format::Json {
        return print_json(&SweepJson {
            scan: ScanJson::new(scan, record),
            assets: shown.iter().map(Shown::json).collect(),
            findings: findings.into_iter().map(finding::json).collect(),
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
    if record.drops > 0 {
        tell::line(&format!("{} answers were lost: possibly incomplete", record.drops));
    }
    for gap in &record.gaps {
        tell::line(&format!("gap: {}: {}", gap.target, gap.reason));
    }
    Ok(())
}
