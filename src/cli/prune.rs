//! `daicho prune`: removes what is old and needed by nothing.

use std::time::{Duration, Instant};

use anyhow::Result;
use inventory::store::{Counts, Dangling, Keep, Outside, Room, Store};
use model::Timestamp;
use scanner::stop::Stop;
use serde_json::json;

use crate::{
    cli::{
        Ended,
        args::{Format, Prune},
        existing_for, listen_for_signals, window,
    },
    clock,
    compose::{Ages, Settings},
    report::{print, print_json},
    tell,
};

/// The share of the file that holds nothing from which on it is worth giving back: a tenth.
const WORTH_IT: u64 = 10;

/// Removes what the configuration's ages say, or tells how much that would be.
pub(crate) async fn run(
    settings: &Settings,
    arguments: &Prune,
    format: Format,
    stop: &Stop,
) -> Result<Ended> {
    listen_for_signals(stop)?;
    let store = existing_for(settings).await?;
    let now = clock::now();
    if arguments.mend {
        return mend(store, arguments, format, now).await;
    }
    let keep = moments(&settings.keep, now);
    if arguments.dry_run {
        let counts = store.prunable(&keep).await?;
        store.close().await;
        report(format, "would be removed", &counts, true, None)?;
        return Ok(Ended::with(0));
    }
    let begun = Instant::now();
    let outside = Outside { is_stopped: &|| stop.is_requested(), clock: &|| begun.elapsed() };
    let pruned = store.prune(&keep, now, outside).await?;
    tell::line(&format!(
        "it kept others from writing for {} ms at once at most",
        pruned.longest.as_millis()
    ));
    let before = store.room().await?;
    let mut given_back = None;
    // Without windows there is no time for it, where those of sweeps mean any.
    let is_time = !settings.vacuum_windows.is_empty()
        && window::is_open_at(&settings.vacuum_windows, clock::now());
    if pruned.complete && is_time && before.free.saturating_mul(WORTH_IT) > before.bytes {
        let begun = Instant::now();
        given_back = Some((before, store.vacuum().await?, begun.elapsed()));
    }
    store.close().await;
    report(format, "removed", &pruned.counts, pruned.complete, given_back)?;
    let code = if pruned.complete { 0 } else { stop.exit_code().unwrap_or(0) };
    Ok(Ended { complete: pruned.complete, ..Ended::with(code) })
}

/// Takes away what refers to nothing.
async fn mend(store: Store, arguments: &Prune, format: Format, now: Timestamp) -> Result<Ended> {
    let found = store.dangling().await?;
    let left = if arguments.dry_run { found.clone() } else { store.mend(now).await? };
    store.close().await;
    let words = |rows: &[Dangling]| rows.iter().map(Dangling::to_string).collect::<Vec<_>>();
    match format {
        Format::Json => print_json(&json!({"found": words(&found), "left": words(&left)}))?,
        Format::Text => {
            let mut lines = words(&found);
            match (found.is_empty(), arguments.dry_run, left.is_empty()) {
                (true, ..) => lines.push("every row refers to what is there".to_owned()),
                (_, true, _) => lines.push("nothing was removed".to_owned()),
                (_, _, true) => lines.push("removed".to_owned()),
                (_, _, false) => {
                    lines.push("removed, but for these, which are never changed:".to_owned());
                    lines.extend(words(&left));
                }
            }
            print(&format!("{}\n", lines.join("\n")))?;
        }
    }
    Ok(Ended::with(0))
}

/// Up to when things go.
fn moments(ages: &Ages, now: Timestamp) -> Keep {
    let before = |age: Option<Duration>| {
        age.map(|age| now.plus_seconds(-i64::try_from(age.as_secs()).unwrap_or(i64::MAX)))
    };
    Keep {
        observations: before(ages.observations),
        past: before(ages.past),
        findings: before(ages.findings),
        scans: before(ages.scans),
        events: before(ages.events),
    }
}

fn report(
    format: Format,
    what: &str,
    counts: &Counts,
    complete: bool,
    given_back: Option<(Room, Room, Duration)>,
) -> Result<()> {
    if format == Format::Json {
        let bytes = given_back.map(|(before, after, _)| (before.bytes, after.bytes));
        return print_json(&json!({
            "rows": counts,
            "complete": complete,
            "bytes_before": bytes.map(|bytes| bytes.0),
            "bytes_after": bytes.map(|bytes| bytes.1),
        }));
    }
    let mut lines: Vec<String> =
        counts.iter().map(|(kind, rows)| format!("{rows} {kind} {what}")).collect();
    if lines.is_empty() {
        lines.push(format!("nothing {what}"));
    }
    if !complete {
        lines.push("stopped before it was done; the next one goes on".to_owned());
    }
    if let Some((before, after, took)) = given_back {
        lines.push(format!(
            "the file is {} KiB instead of {} KiB; nobody could write for {} ms",
            after.bytes / 1024,
            before.bytes / 1024,
            took.as_millis()
        ));
    }
    print(&format!("{}\n", lines.join("\n")))
}
