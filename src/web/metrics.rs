//! `/metrics`: the numbers, as Prometheus reads them.

use std::fmt::Write as _;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};
use inventory::{compare::Registration, outbox::MessageState};
use model::{RunResult, Severity, Timestamp};

use super::{
    Shared,
    routes::{Route, get},
    summary,
    trouble::Trouble,
    visit::Numbers,
};
use crate::{
    clock,
    jobs::{plan, schedule_text},
};

pub(super) fn routes() -> Vec<Route> {
    vec![get("/metrics", show)]
}

async fn show(_: Numbers, State(shared): State<Shared>) -> Result<Response, Trouble> {
    let text = text(&shared).await?;
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

/// The text format, version 0.0.4.
struct Numbers4(String);

impl Numbers4 {
    /// Begins a metric.
    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a text does not fail.
        let _ = writeln!(self.0, "# HELP daicho_{name} {help}\n# TYPE daicho_{name} {kind}");
    }

    fn value(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<String> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let labels = match labels.is_empty() {
            true => String::new(),
            false => format!("{{{}}}", labels.join(",")),
        };
        let _ = writeln!(self.0, "daicho_{name}{labels} {value}");
    }
}

/// A label's value: what devices say stands in some.
fn escaped(text: &str) -> String {
    super::page::shown(text).replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

async fn text(shared: &Shared) -> Result<String, Trouble> {
    let mut out = Numbers4(String::new());
    inventory(shared, &mut out).await?;
    scans(shared, &mut out).await?;
    jobs(shared, &mut out).await?;
    let messages = shared.store.messages(None).await?;
    out.metric("outbox_messages", "gauge", "Messages in the outbox by state.");
    for state in MessageState::ALL {
        let number = messages.iter().filter(|message| message.state == state).count();
        out.value("outbox_messages", &[("state", state.as_str())], number);
    }
    Ok(out.0)
}

async fn inventory(shared: &Shared, out: &mut Numbers4) -> Result<(), Trouble> {
    let summary = summary::summary(shared).await?;
    out.metric("assets", "gauge", "Assets by registration.");
    for registration in Registration::ALL {
        let number = summary.registrations.get(&registration).copied().unwrap_or_default();
        out.value("assets", &[("registration", registration.as_str())], number);
    }
    out.metric("assets_of_class", "gauge", "Assets by class; unknown is one.");
    for (class, number) in &summary.classes {
        let class = if class.is_empty() { "unknown" } else { class.as_str() };
        out.value("assets_of_class", &[("class", class)], number);
    }
    out.metric("open_findings", "gauge", "Open findings by severity.");
    for severity in [Severity::Info, Severity::Warning, Severity::Critical] {
        let number = summary.findings.get(&severity).copied().unwrap_or_default();
        out.value("open_findings", &[("severity", severity.as_str())], number);
    }
    out.metric("certificates", "gauge", "Certificates that are in use.");
    out.value("certificates", &[], summary.certificates);
    let help = "Days until a certificate that is in use ends; negative once it has.";
    out.metric("certificate_days_left", "gauge", help);
    let now = clock::now();
    for one in summary.ends(shared).await? {
        let labels =
            [("sha256", one.sha256.as_str()), ("name", &one.name), ("issuer", &one.issuer)];
        out.value("certificate_days_left", &labels, days(now, one.not_after));
    }
    Ok(())
}

/// Days from one moment to another, to a thousandth.
#[expect(clippy::cast_precision_loss, reason = "days of a lifetime need no more")]
fn days(from: Timestamp, to: Timestamp) -> f64 {
    let milli_days = to.0.saturating_sub(from.0).div_euclid(86_400_000);
    milli_days as f64 / 1_000.0
}

async fn scans(shared: &Shared, out: &mut Numbers4) -> Result<(), Trouble> {
    let scans = shared.store.scans(100).await?;
    let running = scans.iter().filter(|scan| scan.record.ended_at.is_none()).count();
    out.metric(
        "scans_without_end",
        "gauge",
        "Of the last 100 scans, those that run or were killed.",
    );
    out.value("scans_without_end", &[], running);
    let help = "Seconds that the last scan of its kind took.";
    out.metric("last_scan_duration_seconds", "gauge", help);
    let last = |command: &str| {
        scans.iter().find(|scan| scan.command == command && scan.record.ended_at.is_some())
    };
    let kinds = ["sweep", "watch"];
    for scan in kinds.iter().filter_map(|kind| last(kind)) {
        let (start, end) = (scan.record.started_at.0, scan.record.ended_at.map_or(0, |end| end.0));
        let seconds = end.saturating_sub(start).div_euclid(1_000_000);
        out.value("last_scan_duration_seconds", &[("command", &scan.command)], seconds);
    }
    for (name, help) in [
        ("last_scan_probes", "Packets that the last scan of its kind sent."),
        ("last_scan_replies", "Answers that it got."),
        (
            "last_scan_drops",
            "What it lost: packets that the capture or the store did not keep up with.",
        ),
        ("last_scan_gaps", "Places where it failed to look."),
        ("last_scan_complete", "Whether everything planned was done."),
    ] {
        out.metric(name, "gauge", help);
        for scan in kinds.iter().filter_map(|kind| last(kind)) {
            let record = &scan.record;
            let value = match name {
                "last_scan_probes" => record.probes_sent,
                "last_scan_replies" => record.replies,
                "last_scan_drops" => record.drops,
                "last_scan_gaps" => record.gaps.len() as u64,
                _ => record.complete.into(),
            };
            out.value(name, &[("command", &scan.command)], value);
        }
    }
    Ok(())
}

async fn jobs(shared: &Shared, out: &mut Numbers4) -> Result<(), Trouble> {
    let settings = &shared.settings;
    let plan = plan(settings)?;
    let (states, runs) = (shared.store.jobs().await?, shared.store.last_runs().await?);
    let now = clock::now();
    out.metric("job_late_seconds", "gauge", "How long something of the job is overdue.");
    for (job, planned) in settings.jobs.iter().zip(&plan.planned) {
        let state = states.get(&job.name).filter(|state| state.schedule == schedule_text(job));
        let late = state.and_then(|state| planned.late(state.settled, now)).unwrap_or_default();
        out.value("job_late_seconds", &[("job", &job.name)], late);
    }
    out.metric("job_last_result", "gauge", "How the job's last run ended: 1 for that.");
    for job in &settings.jobs {
        let Some(run) = runs.get(&job.name) else { continue };
        let result = run.end.as_ref().map_or("running", |end| RunResult::as_str(end.result));
        out.value("job_last_result", &[("job", &job.name), ("result", result)], 1);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificates_name_cannot_make_a_line_of_its_own() {
        let mut out = Numbers4(String::new());
        out.value("x", &[("name", "a\"} 1\ny{b=\"\\")], 2);
        assert_eq!(out.0, "daicho_x{name=\"a\\\"} 1\u{fffd}y{b=\\\"\\\\\"} 2\n");
    }

    #[test]
    fn days_are_negative_once_a_certificate_has_ended() {
        let at = Timestamp::from_seconds;
        assert!((days(at(0), at(86_400)) - 1.0).abs() < 0.001);
        assert!((days(at(86_400), at(43_200)) + 0.5).abs() < 0.001);
    }
}
