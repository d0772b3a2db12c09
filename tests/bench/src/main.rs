//! Measurements of the product, as a user would see them: whole commands, in namespaces of
//! their own, on a real database file. Prints Markdown for `docs/performance.md`.
//!
//! `cargo run --release -p daicho-bench -- NAME…`, with the names lab, memory, memory-connect,
//! inventory and build; without a name, lab, memory and inventory: the others take minutes.
//!
//! `cargo run --release -p daicho-bench -- certs` measures the collecting of certificates; it needs
//! root, for a namespace of its own.
//!
//! `cargo run --release -p daicho-bench -- watch FILE…` replays captures from memory, with p0f,
//! prads and tshark on the same files beside it where they are installed; `watch-live FILE` listens
//! to a cable on which the file's frames are sent, beside a reader that looks at nothing;
//! `watch-long` hears 50 million packets and says how much memory that took. `coalesce` gives the
//! store observations that it has. `lists` asks for pages of lists of a million rows. `month` has the
//! service run a job each second for some minutes.
//!
//! `cargo run --release -p daicho-bench -- sweep [ROW…]` measures the sweep engine against its
//! peers on the measuring ground: two namespaces, a cable, and a network that answers from an
//! XDP program (`ground.bpf.c`). It needs root, what `tests/bench/install` installs, and
//! `cargo build --release` before. Rows: see `sweep::ROWS`. In the environment, `RUNS` says how
//! often each scanner runs (5), and `ZMAP` names a newer zmap than the system's. What each
//! single run did goes to standard error, the table to standard output.

mod collect;
mod counters;
mod ground;
mod helpers;
mod lists;
mod live;
mod measure;
mod month;
mod sweep;
mod tasks;
mod tools;
mod truth;
mod watch;

use anyhow::{Result, bail};

use crate::measure::Report;

fn main() -> Result<()> {
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = names.iter().map(String::as_str).collect();
    match words[..] {
        ["pnet-send", interface, count] => return helpers::pnet_send(interface, count.parse()?),
        ["noise", interface] => return helpers::noise(interface),
        ["listen", ports] => return helpers::listen(ports),
        ["blast", interface, file] => return live::blast(interface, file),
        ["take", interface] => return live::take(interface),
        ["serve", kind] => return collect::serve(kind),
        ["certs-inside", kind] => return collect::inside(kind),
        ["certs"] => return collect::certificates(),
        ["lists-writer", path] => return lists::write(path),
        _ => {}
    }
    let mut report = Report::default();
    if let Some(("sweep", rows)) = names.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        sweep::run(&mut report, rows)?;
        return report.print();
    }
    if let Some(("watch", files)) = names.split_first().map(|(first, rest)| (first.as_str(), rest))
    {
        watch::watch(&mut report, files)?;
        return report.print();
    }
    if let [first, file] = &names[..]
        && first == "watch-live"
    {
        live::live(&mut report, file)?;
        return report.print();
    }
    if names.is_empty() {
        names = ["lab", "memory", "inventory"].map(str::to_owned).to_vec();
    }
    for name in &names {
        match name.as_str() {
            "lab" => tasks::lab(&mut report)?,
            "memory" => tasks::memory(&mut report, "raw")?,
            "memory-connect" => tasks::memory(&mut report, "connect")?,
            "inventory" => tasks::inventory(&mut report)?,
            "watch-long" => watch::long(&mut report)?,
            "coalesce" => tasks::coalesce(&mut report)?,
            "lists" => lists::lists(&mut report)?,
            "month" => month::month(&mut report)?,
            "build" => tasks::build(&mut report)?,
            other => bail!(
                "there is no measurement {other:?} (sweep, lab, memory, memory-connect, inventory, \
                 coalesce, lists, month, watch, watch-live, watch-long, build)"
            ),
        }
    }
    report.print()
}
