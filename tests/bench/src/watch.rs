//! How fast captures are listened to: replayed from memory on one core, with the passive tools of
//! others on the same files beside it, where they are installed.

use std::{
    io::Write as _,
    net::Ipv4Addr,
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

type Frame = (LinkType, Timestamp, Vec<u8>);
type Frames = Vec<Frame>;

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
    side_by_side(report, &frames, own);
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

/// The same by two readers on two cores, each with what some stations say to each other, as the
/// kernel shares it out at an interface.
fn side_by_side(report: &mut Report, frames: &Frames, alone: f64) {
    let shares: Vec<Vec<&Frame>> = (0..2)
        .map(|reader| frames.iter().filter(|(_, _, bytes)| share(bytes) == reader).collect())
        .collect();
    let end = frames.last().map_or(Timestamp(0), |(_, at, _)| *at);
    let mut rates = Vec::new();
    let mut observations = 0;
    for _ in 0..RUNS {
        let began = Instant::now();
        let mut rounds = 0_u32;
        while began.elapsed() < LEAST {
            let vantage = Vantage { site: Site("bench".into()), name: "file".into() };
            let first = Capture::with_memory(vantage, MEMORY / 2);
            let captures = [first.beside(), first];
            observations = std::thread::scope(|scope| {
                let readers: Vec<_> = captures
                    .into_iter()
                    .zip(&shares)
                    .map(|(mut capture, share)| {
                        scope.spawn(move || {
                            let mut sink = |told| drop(std::hint::black_box(told));
                            for (link, at, bytes) in share {
                                capture.frame_of(*link, *at, bytes, &mut sink);
                            }
                            capture.finish(end, &mut sink);
                            capture.counts().observations
                        })
                    })
                    .collect();
                readers.into_iter().map(|reader| reader.join().unwrap_or(0)).sum()
            });
            rounds += 1;
        }
        rates.push(began.elapsed() / rounds);
    }
    let rate = frames.len() as f64 / median(rates).as_secs_f64();
    let parts: Vec<String> = shares.iter().map(|share| share.len().to_string()).collect();
    report.row(
        &format!("the same by two readers on two cores, {observations} observations"),
        format!(
            "{rate:.0} packets/s, {:.2} times one ({} frames)",
            rate / alone,
            parts.join(" + ")
        ),
        "(told, no goal)",
        true,
    );
}

/// Which of two readers hears an Ethernet frame: the same for both directions between two stations.
fn share(bytes: &[u8]) -> u32 {
    let addresses = match bytes {
        [_, _, _, _, _, _, _, _, _, _, _, _, 8, 0, packet @ ..] => packet.get(12..20),
        [_, _, _, _, _, _, _, _, _, _, _, _, 0x86, 0xdd, packet @ ..] => packet.get(8..40),
        _ => None,
    };
    let words = addresses.unwrap_or_default().chunks(4);
    let word = |word: &[u8]| word.iter().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
    (words.map(word).fold(0, |one, other| one ^ other).wrapping_mul(0x9e37_79b1) >> 16) % 2
}

/// Addresses of the long run, each with flows of its own.
const ASSETS: u32 = 100_000;
const FLOWS: u32 = 1_000_000;
const PACKETS: u32 = 50_000_000;

/// 50 million packets of a million flows between 100,000 assets, an hour of a busy mirror port:
/// what this process holds at most.
pub(crate) fn long(report: &mut Report) -> Result<()> {
    let vantage = Vantage { site: Site("bench".into()), name: "wire".into() };
    let mut capture = Capture::new(vantage);
    let mut told = 0_u64;
    let began = Instant::now();
    let each = PACKETS / FLOWS;
    // A thousand flows are under way at once, packet by packet in turns.
    for window in 0..FLOWS / 1_000 {
        for packet in 0..each {
            for flow in window * 1_000..(window + 1) * 1_000 {
                let number = u64::from(window * each + packet) * 1_000 + u64::from(flow % 1_000);
                let at = Timestamp(i64::try_from(number)? * 72);
                let frame = frame(flow, packet, each);
                capture.frame(at, &frame, &mut |seen| {
                    told += 1;
                    drop(std::hint::black_box(seen));
                });
            }
        }
    }
    let rate = f64::from(PACKETS) / began.elapsed().as_secs_f64();
    let counts = capture.counts();
    ensure!(counts.frames == u64::from(PACKETS), "{counts}");
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak: u64 = peak.and_then(|p| p.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0);
    report.row(
        "50 million packets, 1 million flows, 100,000 assets",
        format!("{} MiB at most, {rate:.0} packets/s, {told} observations; {counts}", peak >> 10),
        "<= 256 MiB",
        peak > 0 && peak >> 10 <= 256,
    );
    Ok(())
}

/// A packet of a flow: its beginning, a request and an answer, what follows, its end.
fn frame(flow: u32, packet: u32, last: u32) -> Vec<u8> {
    let client = Ipv4Addr::from(0xc612_0000 + flow % ASSETS);
    let server = Ipv4Addr::from(0xc613_0000 + flow % 97);
    let port = 20_000 + u16::try_from(flow / ASSETS).unwrap_or(0);
    let by_client = !matches!(packet, 1 | 4) && packet.is_multiple_of(2) || packet == 3;
    let text = match packet {
        3 => format!(
            "GET /{flow} HTTP/1.1\r\nHost: s{}.example\r\nUser-Agent: curl/8.1\r\n\r\n",
            flow % 97
        ),
        4 => "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nContent-Length: 9000\r\n\r\n".to_owned(),
        _ if packet > 4 && packet + 1 < last => "x".repeat(200),
        _ => String::new(),
    };
    let flags: u8 = match packet {
        0 => 2,
        1 => 0x12,
        _ if packet + 2 >= last => 0x11,
        _ => 0x10,
    };
    let sequence = match packet {
        0 | 1 => 100_u32,
        2..=4 => 101,
        _ => 1_000 + packet * 200,
    };
    let (from, to) = if by_client { (client, server) } else { (server, client) };
    let (source, destination) = if by_client { (port, 80) } else { (80, port) };
    let mac = |address: Ipv4Addr| [[2, 0].as_slice(), &address.octets()].concat();
    let mut segment = [source.to_be_bytes(), destination.to_be_bytes()].concat();
    segment.extend(sequence.to_be_bytes());
    segment.extend(if packet == 0 { 0_u32 } else { 101 }.to_be_bytes());
    segment.extend([0x50, flags, 0xfa, 0xf0, 0, 0, 0, 0]);
    segment.extend(text.as_bytes());
    let length = u16::try_from(segment.len() + 20).unwrap_or(u16::MAX);
    let mut frame = [mac(to), mac(from)].concat();
    frame.extend([8, 0, 0x45, 0]);
    frame.extend(length.to_be_bytes());
    frame.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
    frame.extend(from.octets());
    frame.extend(to.octets());
    frame.extend(segment);
    frame
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
