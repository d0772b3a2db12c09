//! Measurements of the product, as a user would see them: whole commands, in the lab's
//! namespaces, on a real database file. Prints Markdown for `docs/performance.md`.
//!
//! `cargo run --release -p daicho-bench -- NAME…`, with the names lab, memory, memory-connect,
//! inventory and build; without a name, lab, memory and inventory: the others take minutes.

mod measure;
mod tasks;

use anyhow::{Result, bail};

use crate::measure::Report;

fn main() -> Result<()> {
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    if names.is_empty() {
        names = ["lab", "memory", "inventory"].map(str::to_owned).to_vec();
    }
    let mut report = Report::default();
    for name in &names {
        match name.as_str() {
            "lab" => tasks::lab(&mut report)?,
            "memory" => tasks::memory(&mut report, "raw")?,
            "memory-connect" => tasks::memory(&mut report, "connect")?,
            "inventory" => tasks::inventory(&mut report)?,
            "build" => tasks::build(&mut report)?,
            other => bail!(
                "there is no measurement {other:?} (lab, memory, memory-connect, inventory, build)"
            ),
        }
    }
    report.print()
}
