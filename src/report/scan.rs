//! Scans as lists show them, and one with where it looked and where it failed to.

use inventory::store::{ScanProgress, StoredScan};
use model::Timestamp;
use serde_json::{Value, json};

use crate::report::table::Table;

/// How a scan stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ScanState {
    Running,
    Complete,
    Incomplete,
    /// It has no end, and says nothing any more.
    CutOff,
}

impl ScanState {
    /// Its name for programs.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Complete => "complete",
            Self::Incomplete => "incomplete",
            Self::CutOff => "cut-off",
        }
    }

    pub(crate) const fn look(self) -> &'static str {
        match self {
            Self::Running | Self::Complete => "good",
            Self::Incomplete => "warn",
            Self::CutOff => "bad",
        }
    }
}

/// A scan that says nothing for so many seconds does not run.
const SILENT: i64 = 120;

/// A listener says nothing of how far it is: without an end it runs for as long as it may.
pub(crate) fn state(
    scan: &StoredScan,
    progress: Option<&ScanProgress>,
    now: Timestamp,
) -> ScanState {
    let heard = progress.map_or(scan.record.started_at, |progress| progress.at);
    match scan.record.ended_at {
        Some(_) if scan.record.complete => ScanState::Complete,
        Some(_) => ScanState::Incomplete,
        None if scan.command != "sweep" || now < heard.plus_seconds(SILENT) => ScanState::Running,
        None => ScanState::CutOff,
    }
}

/// As `docs/json.md` promises it.
pub(crate) fn json(scan: &StoredScan, progress: Option<&ScanProgress>, now: Timestamp) -> Value {
    let record = &scan.record;
    let far = |progress: &ScanProgress| {
        json!({
            "at": progress.at.to_string(),
            "phase": progress.phase,
            "permille": progress.permille,
            "alive": progress.alive,
            "open": progress.open,
            "packets_per_second": progress.packets_per_second,
            "seconds_left": progress.seconds_left,
        })
    };
    json!({
        "id": scan.id.0,
        "command": scan.command,
        "site": record.vantage.site.0,
        "vantage": record.vantage.name,
        "targets": scan.targets,
        "state": state(scan, progress, now).as_str(),
        "started_at": record.started_at.to_string(),
        "ended_at": record.ended_at.map(|at| at.to_string()),
        "io": record.io,
        "probes_sent": record.probes_sent,
        "replies": record.replies,
        "drops": record.drops,
        "complete": record.complete,
        "gap_count": scan.gap_count,
        "progress": progress.map(far),
    })
}

/// The same with its gaps and where it looked, at most so many of each.
pub(crate) fn whole_json(
    scan: &StoredScan,
    progress: Option<&ScanProgress>,
    now: Timestamp,
    most: usize,
) -> Value {
    let record = &scan.record;
    let gaps = record.gaps.iter().take(most);
    let gaps: Vec<Value> =
        gaps.map(|gap| json!({"target": gap.target, "reason": gap.reason})).collect();
    let coverage = record.coverage.iter().take(most).map(|covered| {
        json!({
            "first": covered.range.first().to_string(),
            "last": covered.range.last().to_string(),
            "methods": covered.methods.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "tcp": covered.tcp.to_string(),
            "udp": covered.udp.to_string(),
        })
    });
    let mut value = json(scan, progress, now);
    value["coverage"] = coverage.collect();
    value["coverage_count"] = record.coverage.len().into();
    value["gaps"] = gaps.into();
    value
}

/// Scans, a row each.
pub(crate) fn table(scans: &[(StoredScan, Option<ScanProgress>)], now: Timestamp) -> String {
    let headings =
        ["id", "kind", "began", "state", "site", "sent", "replies", "lost", "gaps", "targets"];
    let mut table = Table::new(&headings);
    for (scan, progress) in scans {
        let record = &scan.record;
        table.row([
            &scan.id.0.to_string(),
            &scan.command,
            &record.started_at.to_string(),
            state(scan, progress.as_ref(), now).as_str(),
            &record.vantage.site.0,
            &record.probes_sent.to_string(),
            &record.replies.to_string(),
            &record.drops.to_string(),
            &scan.gap_count.to_string(),
            &scan.targets.join(" "),
        ]);
    }
    table.render()
}

/// One scan, all of it.
pub(crate) fn text(scan: &StoredScan, progress: Option<&ScanProgress>, now: Timestamp) -> String {
    let record = &scan.record;
    let mut text = table(&[(scan.clone(), progress.cloned())], now);
    if !record.gaps.is_empty() {
        text.push('\n');
        let mut table = Table::new(&["gap", "reason"]);
        for gap in &record.gaps {
            table.row([&gap.target, &gap.reason]);
        }
        text.push_str(&table.render());
    }
    if !record.coverage.is_empty() {
        text.push('\n');
        let mut table = Table::new(&["looked at", "by", "tcp", "udp"]);
        for covered in &record.coverage {
            let methods: Vec<String> = covered.methods.iter().map(ToString::to_string).collect();
            let range = format!("{}-{}", covered.range.first(), covered.range.last());
            table.row([
                &range,
                &methods.join(" "),
                &covered.tcp.to_string(),
                &covered.udp.to_string(),
            ]);
        }
        text.push_str(&table.render());
    }
    text
}
