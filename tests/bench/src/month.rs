//! A month of `daicho serve` in a few minutes: whether its memory, its descriptors and its database
//! stay as they should.
//!
//! A job each second by the way of the page's button: leases of an office in which a tenth of the
//! devices are others every day, certificates that come and go, reviews, prunes and backups. The
//! records say that they are of the forty days before, so that a prune of what is older than thirty
//! has work to do. In the environment, `SECONDS` says how long it takes (180).

use std::{
    fmt::Write as _,
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, Result, ensure};
use inventory::store::{OpenMode, Size, Store};
use model::{RunResult, Timestamp};
use tokio::runtime::Runtime;

use crate::{measure::Report, tasks::program};

/// Devices of the office at once.
const DEVICES: u32 = 500;

/// How far back the records begin, in days.
const DAYS: i64 = 40;

const DAY: i64 = 86_400;

/// How much more memory is none: what an allocator keeps is not always the same.
const SLACK_KIB: u64 = 8 << 10;

/// How much the growth of the second half may differ from what the first half let expect, in parts
/// of a hundred.
const FORECAST: f64 = 35.0;

const JOBS: &[(&str, &str)] = &[
    ("leases", "kind = \"import\"\npaths = [\"leases\"]\nread_as = \"dhcp\""),
    ("shop", "kind = \"certificates\"\npaths = [\"web\"]"),
    ("look", "kind = \"review\""),
    ("clear", "kind = \"prune\""),
    ("copies", "kind = \"backup\"\nfolder = \"copies\"\nkeep = 3"),
];

/// What a process holds.
#[derive(Clone, Copy)]
struct Held {
    resident_kib: u64,
    descriptors: usize,
}

/// One look at both processes and the file.
struct Look {
    service: Held,
    page: Held,
    file_kib: u64,
}

pub(crate) fn month(report: &mut Report) -> Result<()> {
    let seconds = std::env::var("SECONDS").ok().map(|text| text.parse()).transpose()?;
    let seconds: u64 = seconds.unwrap_or(180);
    let folder = tempfile::tempdir()?;
    let place = folder.path();
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    configure(place, port)?;
    let database = place.join("daicho.db");
    add_user(place)?;
    let token = add_token(place)?;
    let mut service = Service(command(place)?.arg("serve").spawn()?);
    let runtime = Runtime::new()?;
    wait_for_page(port, &token)?;
    let mut looks = Vec::new();
    let began = Instant::now();
    let mut turn: u64 = 0;
    while began.elapsed() < Duration::from_secs(seconds) {
        turn += 1;
        let share = began.elapsed().as_secs_f64() / seconds as f64;
        churn(place, share, turn)?;
        let (name, _) = JOBS
            .get(if turn.is_multiple_of(4) { (turn / 4 % 4 + 1) as usize } else { 0 })
            .context("no such job")?;
        runtime.block_on(wish(&database, name))?;
        for path in ["/healthz", "/readyz", "/metrics", "/login"] {
            get(port, path, &token)?;
        }
        if turn.is_multiple_of(5) {
            looks.push(look(service.0.id(), &database)?);
        }
        ensure!(service.0.try_wait()?.is_none(), "the service ended");
        // The next second, however long this one took.
        let next = Duration::from_secs(turn);
        thread::sleep(next.saturating_sub(began.elapsed()));
    }
    let size = runtime.block_on(size(&database))?;
    let runs = runtime.block_on(runs(&database))?;
    service.end()?;
    tell(report, &looks, &size, runs)
}

fn tell(
    report: &mut Report,
    looks: &[Look],
    size: &Size,
    (ran, failed): (u64, Vec<String>),
) -> Result<()> {
    // What is needed once is there after a third.
    let settled = looks.get(looks.len() / 3..).context("too short")?;
    let half = settled.len() / 2;
    let (early, late) = (settled.get(..half), settled.get(half..));
    let (early, late) = (early.context("too short")?, late.context("too short")?);
    let all = format!("{ran} runs, {} failed {}", failed.len(), failed.join(", "));
    report.row("month: runs of jobs", all, "none fails", failed.is_empty() && ran > 0);
    for (name, of) in
        [("serve", (|look: &Look| look.service) as fn(&Look) -> Held), ("web", |look| look.page)]
    {
        let most = |looks: &[Look]| looks.iter().map(|one| of(one).resident_kib).max().unwrap_or(0);
        let (before, after) = (most(early), most(late));
        report.row(
            &format!("month: resident memory of {name}, second third and last"),
            format!("{:.1} MiB, {:.1} MiB", before as f64 / 1024.0, after as f64 / 1024.0),
            "flat",
            after <= before + before / 10 + SLACK_KIB,
        );
        let most = |looks: &[Look]| looks.iter().map(|one| of(one).descriptors).max().unwrap_or(0);
        let (before, after) = (most(early), most(late));
        report.row(
            &format!("month: open descriptors of {name}, second third and last"),
            format!("{before}, {after}"),
            "flat",
            after <= before + 2,
        );
    }
    let (forecast, came) = grown(&size.over_time).context("too few scans")?;
    let off = (came / forecast - 1.0) * 100.0;
    report.row(
        "month: what came together in the second half, as the first half let expect",
        format!("{:.0} KiB, forecast {:.0} KiB ({off:+.0} %)", came / 1024.0, forecast / 1024.0),
        "within 35 %",
        off.abs() <= FORECAST,
    );
    let sizes: Vec<String> = looks
        .iter()
        .step_by((looks.len() / 6).max(1))
        .map(|look| look.file_kib.to_string())
        .collect();
    report.row("month: the file over time, KiB", sizes.join(", "), "(told, no goal)", true);
    Ok(())
}

/// What the sizes of the first half of the scans let expect of the second half, as `doctor` counts
/// it, and what came together then.
fn grown(over_time: &[(Timestamp, u64)]) -> Option<(f64, f64)> {
    let over_time = over_time.get(over_time.len() / 6..)?;
    let half = over_time.len() / 2;
    let (first, second) = (over_time.get(..=half)?, over_time.get(half..)?);
    let grown = |sizes: &[(Timestamp, u64)]| -> u64 {
        sizes.iter().zip(sizes.iter().skip(1)).map(|(one, two)| two.1.saturating_sub(one.1)).sum()
    };
    let span = |sizes: &[(Timestamp, u64)]| Some((sizes.last()?.0.0 - sizes.first()?.0.0) as f64);
    Some((grown(first) as f64 / span(first)? * span(second)?, grown(second) as f64))
}

/// A process that goes with this one.
struct Service(Child);

impl Service {
    fn end(mut self) -> Result<()> {
        let id = self.0.id().to_string();
        ensure!(Command::new("kill").args(["-TERM", &id]).status()?.success(), "it is gone");
        ensure!(self.0.wait()?.success(), "it did not end well");
        Ok(())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn command(place: &Path) -> Result<Command> {
    let mut command = Command::new(program()?);
    command
        .args(["--config", "daicho.toml"])
        .env_clear()
        .env("HOME", place)
        .env("DAICHO_DATABASE", place.join("daicho.db"))
        .current_dir(place)
        .stdin(Stdio::null())
        .stderr(fs::File::create(place.join("log"))?);
    Ok(command)
}

fn configure(place: &Path, port: u16) -> Result<()> {
    let mut text = format!(
        "[web]\nlisten = \"127.0.0.1:{port}\"\nplain = true\n[keep]\nobservations = \"30d\"\n\
         past = \"30d\"\nfindings = \"30d\"\nscans = \"30d\"\nevents = \"30d\"\n"
    );
    for (name, rest) in JOBS {
        writeln!(text, "[[jobs]]\nname = \"{name}\"\nschedule = \"0 5 29 2 *\"\n{rest}")?;
    }
    fs::write(place.join("daicho.toml"), text)?;
    fs::create_dir(place.join("web"))?;
    fs::write(place.join("leases"), "")?;
    Ok(())
}

/// With somebody who may look there are lists to be kept.
fn add_user(place: &Path) -> Result<()> {
    fs::write(place.join("password"), "correct horse battery\n")?;
    let mut command = command(place)?;
    command.args(["user", "add", "sato", "--role", "admin", "--password-file", "password"]);
    ensure!(command.stdout(Stdio::null()).status()?.success(), "no user could be added");
    Ok(())
}

/// A key by which the numbers are read.
fn add_token(place: &Path) -> Result<String> {
    let mut command = command(place)?;
    command.args(["--format", "json", "token", "add", "bench", "--scopes", "metrics"]);
    let output = command.args(["--expires", "90d"]).output()?;
    ensure!(output.status.success(), "no key could be made");
    let made: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    Ok(made["token"].as_str().context("no key")?.to_owned())
}

/// What the files say at that share of the month.
fn churn(place: &Path, share: f64, turn: u64) -> Result<()> {
    let now = i64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs())?;
    let ago = (DAYS as f64 * (1.0 - share) * DAY as f64) as i64;
    let at = now - ago;
    let day = (DAYS as f64 * share) as u32;
    let mut leases = String::new();
    for device in 0..DEVICES {
        // A tenth of them are others each day.
        let who = if device % 10 == day % 10 { device + DEVICES * (day + 1) } else { device };
        let [_, _, a, b] = who.to_be_bytes();
        let (c, d) = (device / 250, device % 250 + 1);
        writeln!(leases, "{at} 02:00:00:5e:{a:02x}:{b:02x} 198.18.{c}.{d} pc-{who} *")?;
    }
    let written = place.join("leases.new");
    fs::write(&written, leases)?;
    fs::rename(written, place.join("leases"))?;
    if turn.is_multiple_of(4) {
        let file = |number: u64| place.join(format!("web/{number}.pem"));
        let made = rcgen::generate_simple_self_signed(vec![format!("shop{turn}.example")])?;
        fs::write(file(turn), made.cert.pem())?;
        if turn > 80 {
            fs::remove_file(file(turn - 80))?;
        }
    }
    Ok(())
}

async fn wish(database: &Path, job: &str) -> Result<()> {
    let store = Store::open(database, OpenMode::ReadWrite).await?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_micros();
    store.wish_for_job(job, Timestamp(i64::try_from(now)?)).await?;
    store.close().await;
    Ok(())
}

async fn size(database: &Path) -> Result<Size> {
    let store = Store::open(database, OpenMode::ReadOnly).await?;
    let size = store.size().await?;
    store.close().await;
    Ok(size)
}

/// How many of the last runs are in the books, and those that did not end well.
async fn runs(database: &Path) -> Result<(u64, Vec<String>)> {
    let store = Store::open(database, OpenMode::ReadOnly).await?;
    let (mut count, mut failed) = (0, Vec::new());
    for (name, _) in JOBS {
        for run in store.runs_of(name).await? {
            let Some(end) = run.end else { continue };
            count += 1;
            // A file that goes while it is looked for is not a failure.
            if !matches!(end.result, RunResult::Done | RunResult::Incomplete) {
                failed.push(format!("{name}: {:?}: {}", end.result, end.detail));
            }
        }
    }
    store.close().await;
    Ok((count, failed))
}

fn wait_for_page(port: u16, token: &str) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(30);
    while get(port, "/healthz", token).is_err() {
        ensure!(Instant::now() < until, "there is no page");
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn get(port: u16, path: &str, token: &str) -> Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    // A page is for browsers, which have no such key.
    let key = if path == "/metrics" {
        format!("Authorization: Bearer {token}\r\n")
    } else {
        String::new()
    };
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{key}Connection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    ensure!(answer.starts_with(b"HTTP/1.1 200"), "{path}: {}", String::from_utf8_lossy(&answer));
    Ok(())
}

fn look(service: u32, database: &Path) -> Result<Look> {
    let page = page_of(service).context("no page's process")?;
    let file_kib = fs::metadata(database)?.len() / 1024;
    Ok(Look { service: held(service)?, page: held(page)?, file_kib })
}

fn held(pid: u32) -> Result<Held> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let resident = resident.context("no VmRSS")?.trim().trim_end_matches(" kB").parse()?;
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd"))?.count();
    Ok(Held { resident_kib: resident, descriptors })
}

/// The page's process, which the service began.
fn page_of(service: u32) -> Option<u32> {
    let of = |place: PathBuf| {
        let pid: u32 = place.file_name()?.to_str()?.parse().ok()?;
        let stat = fs::read_to_string(place.join("stat")).ok()?;
        let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse::<u32>().ok()?;
        let words = fs::read_to_string(place.join("cmdline")).ok()?;
        (parent == service && words.contains("\0web\0")).then_some(pid)
    };
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| of(entry.path()))
}
