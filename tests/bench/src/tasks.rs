//! The measurements.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use inventory::store::{OpenMode, Store, Writer};
use lab::Lab;
use model::{
    Endpoint, Fact, MacAddr, Method, NameSource, Observation, PortState, Service, Site, Subject,
    Timestamp, Vantage,
};

use crate::measure::{Report, median, run};

const RUNS: usize = 5;

/// The product's binary, built beside this one.
pub(crate) fn program() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let path = own.parent().context("no folder")?.join("daicho");
    ensure!(path.exists(), "{} is not there: cargo build --release first", path.display());
    Ok(path)
}

/// A sweep where the lab's scanner stands, into a database of its own.
fn sweep(lab: &Lab, database: &Path, arguments: &[&str]) -> Result<Command> {
    let mut command = lab.command(&program()?);
    command.arg("sweep").args(arguments).args(["--format", "json"]);
    command.env("DAICHO_DATABASE", database).env("HOME", lab.folder());
    Ok(command)
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// The lab's /24 at default ports and rate, in both tiers, each time into a new inventory.
pub(crate) fn lab(report: &mut Report) -> Result<()> {
    const GOAL: Duration = Duration::from_secs(60);
    let lab = Lab::up()?;
    for tier in ["raw", "connect"] {
        let mut walls = Vec::new();
        let mut assets = 0;
        let mut peak = 0;
        for number in 0..RUNS {
            // As if the last sweep were not a minute ago: what answers ARP and nothing else is
            // seen by the connect tier only where the kernel has to ask.
            lab.forget_neighbors()?;
            let database = lab.folder().join(format!("{tier}{number}.db"));
            let cost = run(sweep(&lab, &database, &[lab::NETWORK, "--io", tier])?)?;
            let result: serde_json::Value = serde_json::from_str(&cost.stdout)?;
            assets = result["assets"].as_array().map_or(0, Vec::len);
            ensure!(result["scan"]["complete"] == true, "a sweep was not complete");
            walls.push(cost.wall);
            peak = peak.max(cost.peak_kib);
        }
        let wall = median(walls);
        let what = format!("the lab's /24, {assets} assets, default ports and rate, {tier}");
        let measured = format!("{} (median of {RUNS}), {} MiB", seconds(wall), peak >> 10);
        report.row(&what, measured, "< 60 s", wall < GOAL);
    }
    Ok(())
}

/// A /16 at one port, where hardly anybody is: every address is asked, none is forgotten. In
/// the connect tier this takes seven minutes: the kernel asks for at most 1,024 silent
/// neighbours at once (gc_thresh3), of which a sweep takes half, and for three seconds each.
pub(crate) fn memory(report: &mut Report, tier: &str) -> Result<()> {
    const GOAL_KIB: u64 = 64 << 10;
    let lab = Lab::with_only(&["openssh"])?;
    lab.widen("198.19.0.2/16")?;
    let database = lab.folder().join("wide.db");
    let arguments =
        ["198.19.0.0/16", "198.18.0.10", "--ports", "22", "--io", tier, "--rate", "10000"];
    let cost = run(sweep(&lab, &database, &arguments)?)?;
    let result: serde_json::Value = serde_json::from_str(&cost.stdout)?;
    // The server, and the scanner by its address in that network.
    ensure!(result["assets"].as_array().is_some_and(|a| a.len() == 2), "{result}");
    report.row(
        &format!("resident memory for a /16 at one port, {tier}, 10,000 packets a second"),
        format!("{:.1} MiB, {}", cost.peak_kib as f64 / 1024.0, seconds(cost.wall)),
        "< 64 MiB",
        cost.peak_kib < GOAL_KIB,
    );
    Ok(())
}

/// What a scan of many assets, four facts each, hands to the store.
fn observations(count: u32) -> Vec<Observation> {
    let vantage = Vantage { site: Site("office".into()), name: "bench".into() };
    let seen = |method, subject, fact| Observation {
        observed_at: Timestamp::from_seconds(1_795_339_800),
        vantage: vantage.clone(),
        method,
        subject,
        fact,
        evidence: Vec::new(),
    };
    let mut all = Vec::new();
    for number in 0..count {
        let address = IpAddr::V4(Ipv4Addr::from_bits(0xc612_0000 + number));
        let [_, _, a, b] = number.to_be_bytes();
        let endpoint = Endpoint::tcp(address, 22);
        let service = Service {
            product: Some("OpenSSH".into()),
            version: Some(format!("9.{}p1", number % 8)),
            ..Service::of("ssh")
        };
        let name = format!("pc-{number}.office.example");
        let mac = MacAddr([0, 0x1b, 0x21, 0, a, b]);
        all.extend([
            seen(Method::Arp, Subject::Address(address), Fact::LinkAddress(mac)),
            seen(
                Method::Resolver,
                Subject::Address(address),
                Fact::HostName { name, source: NameSource::Dns },
            ),
            seen(Method::TcpSyn, Subject::Endpoint(endpoint), Fact::PortState(PortState::Open)),
            seen(Method::Dialogue, Subject::Endpoint(endpoint), Fact::Service(service)),
        ]);
    }
    all
}

/// 10,000 assets into a new database, and out of it again through the command line.
pub(crate) fn inventory(report: &mut Report) -> Result<()> {
    const ASSETS: u32 = 10_000;
    const GOAL: Duration = Duration::from_secs(1);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut imports = Vec::new();
    let mut lists = Vec::new();
    let mut both = Vec::new();
    for _ in 0..RUNS {
        let folder = tempfile::tempdir()?;
        let database = folder.path().join("daicho.db");
        let facts = observations(ASSETS);
        let started = Instant::now();
        runtime.block_on(import(&database, facts))?;
        let import = started.elapsed();
        let mut command = Command::new(program()?);
        command.args(["assets", "--format", "json"]);
        command.env("DAICHO_DATABASE", &database).env("HOME", folder.path());
        let cost = run(command)?;
        let listed: serde_json::Value = serde_json::from_str(&cost.stdout)?;
        ensure!(listed.as_array().map(Vec::len) == Some(ASSETS as usize), "not all were listed");
        imports.push(import);
        lists.push(cost.wall);
        both.push(import + cost.wall);
    }
    let total = median(both);
    let parts = format!(
        "{} (import {}, `daicho assets` {}; medians of {RUNS})",
        seconds(total),
        seconds(median(imports)),
        seconds(median(lists))
    );
    report.row("10,000 assets imported and listed", parts, "< 1 s", total < GOAL);
    Ok(())
}

async fn import(database: &Path, facts: Vec<Observation>) -> Result<()> {
    let store = Store::open(database, OpenMode::ReadWrite).await?;
    let vantage = Vantage { site: Site("office".into()), name: "bench".into() };
    let at = Timestamp::from_seconds(1_795_339_800);
    let scan = store.begin_scan(&vantage, at, "connect", &["bench".into()], "bench").await?;
    store.write_observations(scan, facts).await?;
    store.digest(scan, at.plus_seconds(60)).await?;
    store.close().await;
    Ok(())
}

/// Observations that were made before, and rows that change, into a real database.
pub(crate) fn coalesce(report: &mut Report) -> Result<()> {
    /// Assets of four facts each: as many as a quarter of a second of a busy mirror port has, after
    /// which what came together is written.
    const ASSETS: u32 = 1_000;
    const TIMES: usize = 500;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let facts = observations(ASSETS);
    let (mut again, mut changed) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let folder = tempfile::tempdir()?;
        let database = folder.path().join("daicho.db");
        let (many, few) = runtime.block_on(write_again(&database, &facts, TIMES))?;
        again.push(facts.len() as f64 * TIMES as f64 / many.as_secs_f64());
        changed.push(100_000.0 / few.as_secs_f64());
    }
    let (again, changed) = (median(again), median(changed));
    report.row(
        &format!("observations of {} facts, made {TIMES} times each", facts.len()),
        format!("{again:.0} a second"),
        ">= 1,000,000",
        again >= 1e6,
    );
    report.row(
        "rows of 100,000 facts that were stored before, changed",
        format!("{changed:.0} a second"),
        ">= 100,000",
        changed >= 1e5,
    );
    Ok(())
}

/// How long it takes to hand facts so many times to the writer, in turns as a mirror port hears
/// them, until all are stored, and to change 100,000 rows.
async fn write_again(
    database: &Path,
    facts: &[Observation],
    times: usize,
) -> Result<(Duration, Duration)> {
    let store = Store::open(database, OpenMode::ReadWrite).await?;
    let vantage = Vantage { site: Site("office".into()), name: "bench".into() };
    let at = Timestamp::from_seconds(1_795_339_800);
    let scan = store.begin_scan(&vantage, at, "connect", &["bench".into()], "bench").await?;
    let all = || (0..times).flat_map(|_| facts.iter().cloned());
    // What hearing costs, the making of the observation, is not the store's.
    let made = Instant::now();
    let count = all().map(std::hint::black_box).count();
    let making = made.elapsed();
    let began = Instant::now();
    let (sink, writer) = Writer::start(&store, scan)?;
    tokio::task::block_in_place(|| all().try_for_each(|one| sink.send_blocking(one)))?;
    drop(sink);
    let report = writer.finish().await?;
    let many = began.elapsed().saturating_sub(making);
    ensure!(report.written.observations == u64::try_from(count)?, "{report:?}");
    let rows = observations(25_000);
    store.write_observations(scan, rows.clone()).await?;
    let began = Instant::now();
    let written = store.write_observations(scan, rows).await?;
    let few = began.elapsed();
    ensure!(written.rows == 100_000, "{written:?}");
    store.close().await;
    Ok((many, few))
}

/// A release build of the binary from nothing, in a target folder of its own.
pub(crate) fn build(report: &mut Report) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut command = Command::new("cargo");
    command.args(["build", "--release", "--locked", "--bin", "daicho", "--quiet"]);
    command.env("CARGO_TARGET_DIR", folder.path());
    let cost = run(command)?;
    let bytes = std::fs::metadata(folder.path().join("release/daicho"))?.len();
    let measured = format!("{}, a binary of {} MiB", seconds(cost.wall), bytes >> 20);
    report.row("release build from nothing, 2 cores", measured, "(told, no goal)", true);
    Ok(())
}
