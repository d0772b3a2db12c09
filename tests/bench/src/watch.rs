//! How fast captures are listened to: replayed from memory on one core, with the passive tools of
//! others on the same files beside it, where they are installed.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use model::{Site, Timestamp, Vantage};
use scanner::{
    capture::{Capture, LinkType, MEMORY},
    net::file,
};

use crate::measure::{Report, median};

const RUNS: usize = 5;

/// The least that a run is long: short captures are replayed again and again.
const LEAST: Duration = Duration::from_millis(500);

type Frames = Vec<(LinkType, Timestamp, Vec<u8>)>;

/// Replays the files, all together.
pub(crate) fn watch(report: &mut Report, paths: &[String]) -> Result<()> {
    ensure!(!paths.is_empty(), "which captures? daicho-bench watch FILE…");
    let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
    let mut frames: Frames = Vec::new();
    for path in &paths {
        file::frames(path, &mut |link, at, bytes| frames.push((link, at, bytes.to_vec())))?;
    }
    ensure!(!frames.is_empty(), "there is no frame in these files");
    let bytes: usize = frames.iter().map(|(_, _, bytes)| bytes.len()).sum();
    let mut rates = Vec::new();
    let (mut observations, mut memory) = (0, 0);
    for _ in 0..RUNS {
        let began = Instant::now();
        let mut rounds = 0_u32;
        while began.elapsed() < LEAST {
            let vantage = Vantage { site: Site("bench".into()), name: "file".into() };
            let mut capture = Capture::new(vantage);
            for (link, at, bytes) in &frames {
                capture.frame_of(*link, *at, bytes, &mut |told| drop(std::hint::black_box(told)));
            }
            let end = frames.last().map_or(Timestamp(0), |(_, at, _)| *at);
            capture.finish(end, &mut |told| drop(std::hint::black_box(told)));
            observations = capture.counts().observations;
            memory = memory.max(capture.memory());
            rounds += 1;
        }
        rates.push(began.elapsed() / rounds);
    }
    let wall = median(rates).as_secs_f64();
    let own = frames.len() as f64 / wall;
    report.row(
        &format!("listening from memory, {} frames, {observations} observations", frames.len()),
        format!(
            "{own:.0} packets/s, {:.0} MB/s, {} MiB remembered",
            bytes as f64 / wall / 1e6,
            memory >> 20
        ),
        "<= 256 MiB",
        memory <= MEMORY,
    );
    for (name, times, arguments) in PEERS {
        let Some(theirs) = peer(name, arguments, &paths, frames.len())? else {
            writeln!(std::io::stderr(), "{name} is not installed: not compared")?;
            continue;
        };
        let goal = format!("we >= {times} times that");
        let measured = format!("{theirs:.0} packets/s, we {:.1} times", own / theirs);
        report.row(&format!("{name} on the same files"), measured, &goal, own >= theirs * times);
    }
    Ok(())
}

/// A tool, how many times faster than it we are to be, and what it is started with before a
/// file's name.
const PEERS: &[(&str, f64, &[&str])] = &[
    ("p0f", 4.0, &["-r"]),
    ("prads", 4.0, &["-l", "/dev/null", "-r"]),
    (
        "tshark",
        30.0,
        &[
            "-n",
            "-T",
            "fields",
            "-e",
            "tls.handshake.extensions_server_name",
            "-e",
            "http.server",
            "-e",
            "http.user_agent",
            "-e",
            "dhcp.option.hostname",
            "-r",
        ],
    ),
];

/// Frames a second of a tool that reads the files one after the other; `None` where it is not
/// installed.
fn peer(name: &str, arguments: &[&str], paths: &[PathBuf], frames: usize) -> Result<Option<f64>> {
    let mut walls = Vec::new();
    for _ in 0..RUNS {
        let began = Instant::now();
        for path in paths {
            let mut command = Command::new(name);
            command.args(arguments).arg(Path::new(path));
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            match command.status() {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                status => drop(status.with_context(|| format!("cannot start {name}"))?),
            }
        }
        walls.push(began.elapsed());
    }
    Ok(Some(frames as f64 / median(walls).as_secs_f64()))
}
