//! The measurements of the sweep engine against its peers, on the measuring ground.
//!
//! Every row runs the scanners in turn, `RUNS` times (5), and prints medians. Ours is the
//! release build of `daicho` beside this program, each time with a new inventory.

mod care;
mod finding;
mod network;
mod speed;

use std::time::Duration;

use anyhow::{Result, bail};

use crate::{
    ground::{Ground, Run},
    measure::{Report, median},
    tools::Tool,
    truth::Network,
};

type Row = fn(&mut Report) -> Result<()>;

/// Every row by its name, in the order of the report; whether it runs without being named.
const ROWS: &[(&str, Row, bool)] = &[
    ("ground", speed::ground, true),
    ("rate-raw", |report| speed::rate(report, "raw"), true),
    ("rate-xdp", |report| speed::rate(report, "xdp"), true),
    ("recall", finding::recall, true),
    ("recall-loss", finding::recall_at_loss, true),
    ("dense", network::dense, true),
    ("sparse", network::sparse, true),
    ("arp16", network::arp, true),
    ("icmp16", network::icmp, true),
    ("cpu10k", speed::cpu, true),
    ("connect", finding::connect, true),
    ("memory8", speed::memory, true),
    ("caps", care::caps, true),
    ("rate-limited", care::rate_limited, true),
    ("fragile", care::fragile, true),
    ("liveness24", care::liveness24, true),
    ("liveness16", care::liveness16, false),
];

/// Runs the rows of those names, or those that run without being named.
pub(crate) fn run(report: &mut Report, names: &[String]) -> Result<()> {
    for name in names {
        if !ROWS.iter().any(|(row, ..)| row == name) {
            let known: Vec<&str> = ROWS.iter().map(|(row, ..)| *row).collect();
            bail!("there is no row {name:?} ({})", known.join(", "));
        }
    }
    for (name, row, unnamed) in ROWS {
        let wanted = if names.is_empty() { *unnamed } else { names.iter().any(|n| n == name) };
        if wanted && let Err(error) = row(report) {
            report.row(name, format!("failed: {error:#}"), "a result", false);
        }
    }
    Ok(())
}

/// How often each scanner runs: `RUNS`, or 5.
fn runs() -> usize {
    std::env::var("RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(5)
}

/// All runs of one scanner in a row.
struct Series {
    tool: Tool,
    runs: Vec<Run>,
    /// Why a run did not count.
    failures: Vec<String>,
}

impl Series {
    /// The median of what is computed of each run.
    fn median<T: PartialOrd + Copy + Default>(&self, of: impl Fn(&Run) -> T) -> T {
        median(self.runs.iter().map(of).collect())
    }

    fn wall(&self) -> f64 {
        self.median(|run| run.cost.wall.as_secs_f64())
    }

    fn cpu(&self) -> f64 {
        self.median(|run| run.cost.cpu.as_secs_f64())
    }

    /// What there is to say of it: its figures, or why there are none.
    fn tell(&self, figures: impl Fn(&Self) -> String) -> String {
        let name = &self.tool.name;
        match self.failures.first() {
            Some(failure) if self.runs.is_empty() => format!("{name}: failed, {failure}"),
            Some(failure) => format!(
                "{name}: {} ({} runs failed: {failure})",
                figures(self),
                self.failures.len()
            ),
            None => format!("{name}: {}", figures(self)),
        }
    }
}

/// Runs the tools in turn, so that what disturbs the machine disturbs all of them.
fn in_turn(
    ground: &mut Ground,
    network: &Network,
    tools: Vec<Tool>,
    most: Duration,
) -> Vec<Series> {
    in_turn_with(ground, tools, |ground, tool| ground.run(network, tool, most))
}

fn in_turn_with(
    ground: &mut Ground,
    tools: Vec<Tool>,
    run: impl Fn(&mut Ground, &Tool) -> Result<Run>,
) -> Vec<Series> {
    let new = |tool| Series { tool, runs: Vec::new(), failures: Vec::new() };
    let mut all: Vec<Series> = tools.into_iter().map(new).collect();
    for _ in 0..runs() {
        for series in &mut all {
            match run(ground, &series.tool) {
                Ok(run) => series.runs.push(run),
                Err(error) => series.failures.push(format!("{error:#}")),
            }
        }
    }
    all
}

/// `1,234,567`
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Their figures one after the other.
fn tell_all(all: &[Series], figures: impl Fn(&Series) -> String) -> String {
    all.iter().map(|series| series.tell(&figures)).collect::<Vec<_>>().join("; ")
}

/// The ratio of two figures, 0 where the second is none.
fn ratio(ours: f64, theirs: f64) -> f64 {
    if theirs == 0.0 { 0.0 } else { ours / theirs }
}

/// The series whose tool's name begins so, if it has runs.
fn of<'a>(all: &'a [Series], name: &str) -> Option<&'a Series> {
    all.iter().find(|series| series.tool.name.contains(name) && !series.runs.is_empty())
}
