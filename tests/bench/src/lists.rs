//! How fast lists are that a page asks for: 100,000 assets with 1,000,000 services and 50,000
//! certificates in a real file, alone and while another process writes a sweep.
//!
//! Everything comes into the file by the store's own ways: observations, digested and reviewed. In
//! the environment, `LISTS` names a file that is filled once and taken again, and `SCALE` divides
//! the numbers for a quick look.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use inventory::{
    chain::Anchors,
    compare::Network,
    query::{Kind, Query},
    store::{
        Offset, OpenMode, Policy, Store,
        list::{Direction, Request, Sort},
    },
};
use model::{
    CertificateChain, Endpoint, Fact, MacAddr, Method, NameSource, Observation, PortState, Service,
    Site, Subject, Timestamp, TlsVersion, Vantage,
};

use crate::measure::Report;

const ASSETS: u32 = 100_000;
/// Assets of one scan, so that not all of them are in memory at once as observations.
const PART: u32 = 10_000;
const REQUESTS: usize = 300;
const GOAL: Duration = Duration::from_millis(300);
const OVERVIEW: Duration = Duration::from_millis(500);

const AT: Timestamp = Timestamp::from_seconds(1_795_339_800);

/// Ports, protocols and products of an ordinary network. Every asset has ten of them.
const SPOKEN: &[(u16, &str, &str)] = &[
    (22, "ssh", "OpenSSH"),
    (80, "http", "nginx"),
    (443, "https", "nginx"),
    (445, "smb", "Samba"),
    (3389, "rdp", "Terminal Services"),
    (25, "smtp", "Postfix"),
    (5432, "postgresql", "PostgreSQL"),
    (8080, "http", "Jetty"),
    (9100, "jetdirect", "LaserJet"),
    (631, "ipp", "CUPS"),
    (21, "ftp", "vsftpd"),
    (161, "snmp", "Net-SNMP"),
    (3306, "mysql", "MariaDB"),
    (5060, "sip", "Asterisk"),
    (554, "rtsp", "Camera"),
    (502, "modbus", "PLC"),
];

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) as usize % sides
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())]
    }
}

fn scale() -> u32 {
    std::env::var("SCALE").ok().and_then(|text| text.parse().ok()).unwrap_or(1).max(1)
}

fn vantage(part: u32) -> Vantage {
    Vantage {
        site: Site(["tokyo", "osaka", "plant", "depot"][part as usize % 4].into()),
        name: "bench".into(),
    }
}

fn observations(assets: std::ops::Range<u32>, certificates: &[Vec<u8>]) -> Vec<Observation> {
    let vantage = vantage(assets.start / PART);
    let mut dice = Dice(u64::from(assets.start));
    let seen = |method, subject, fact| Observation {
        observed_at: AT.plus_seconds(-86_400 * i64::from(assets.start / PART)),
        vantage: vantage.clone(),
        method,
        subject,
        fact,
        evidence: Vec::new(),
    };
    let mut all = Vec::new();
    for number in assets.clone() {
        let address = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + number));
        let [_, a, b, c] = number.to_be_bytes();
        let vendor = dice.one(&[[0x00, 0x1b, 0x21], [0x00, 0x80, 0x77], [0x00, 0x1b, 0xa9]]);
        let mac = MacAddr([vendor[0], vendor[1], vendor[2], a, b, c]);
        let name = format!("{}-{number}.office.example", dice.one(&["pc", "srv", "prn", "cam"]));
        let named = Fact::HostName { name, source: NameSource::Dns };
        all.push(seen(Method::Arp, Subject::Address(address), Fact::LinkAddress(mac)));
        all.push(seen(Method::Resolver, Subject::Address(address), named));
        let first = dice.roll(SPOKEN.len());
        for (port, protocol, product) in SPOKEN.iter().cycle().skip(first).take(10) {
            let subject = Subject::Endpoint(Endpoint::tcp(address, *port));
            let service = Service {
                product: Some((*product).into()),
                version: Some(format!("{}.{}", dice.roll(9), dice.roll(30))),
                ..Service::of(protocol)
            };
            all.push(seen(Method::TcpSyn, subject, Fact::PortState(PortState::Open)));
            all.push(seen(Method::Dialogue, subject, Fact::Service(service)));
        }
        // Every second asset serves one of its own.
        if let Some(certificate) =
            certificates.get(number as usize / 2).filter(|_| number.is_multiple_of(2))
        {
            let chain = CertificateChain {
                chain: vec![certificate.clone()],
                server_name: None,
                protocol_version: TlsVersion(0x0304),
                starttls: None,
            };
            let subject = Subject::Endpoint(Endpoint::tcp(address, 443));
            all.push(seen(Method::Tls, subject, Fact::Certificates(chain)));
        }
    }
    all
}

/// Certificates that end between now and two years from now.
fn certificates(count: u32) -> Result<Vec<Vec<u8>>> {
    let key = rcgen::KeyPair::generate()?;
    let mut dice = Dice(7);
    (0..count)
        .map(|number| {
            let mut params = rcgen::CertificateParams::new(vec![format!("s{number}.example")])?;
            params.distinguished_name.push(rcgen::DnType::CommonName, format!("s{number}"));
            let year = 2026 + i32::try_from(dice.roll(3))?;
            params.not_before = rcgen::date_time_ymd(2026, 1, 1);
            params.not_after = rcgen::date_time_ymd(
                year,
                1 + u8::try_from(dice.roll(12))?,
                1 + u8::try_from(dice.roll(28))?,
            );
            Ok(params.self_signed(&key)?.der().to_vec())
        })
        .collect()
}

fn policy() -> Policy {
    Policy {
        thresholds: inventory::store::Thresholds::default(),
        offset: inventory::store::Offset::UTC,
        network: Network::default(),
        anchors: Arc::new(Anchors::default()),
        routes: Vec::new(),
    }
}

async fn fill(database: &Path) -> Result<()> {
    let began = Instant::now();
    let assets = ASSETS / scale();
    let certificates = certificates(assets / 2)?;
    let store = Store::open(database, OpenMode::ReadWrite).await?;
    // Lists are kept once there is somebody who can look at them.
    store.add_user("bench", inventory::user::Role::Viewer, "none", AT).await?;
    let mut start = 0;
    while start < assets {
        let end = (start + PART).min(assets);
        let facts = observations(start..end, &certificates);
        let scan =
            store.begin_scan(&vantage(start / PART), AT, "sweep", &["bench".into()], "raw").await?;
        store.write_observations(scan, facts).await?;
        store.digest(scan, AT.plus_seconds(60)).await?;
        told(&format!("{end} assets after {:.0} s", began.elapsed().as_secs_f64()))?;
        start = end;
    }
    let began = Instant::now();
    store.review(AT.plus_seconds(120), &policy()).await?;
    told(&format!("the first review: {:.1} s", began.elapsed().as_secs_f64()))?;
    store.close().await;
    Ok(())
}

/// A review where nothing changed, as the database is, and the longest that somebody waited
/// meanwhile who writes next to nothing.
async fn review(database: &Path) -> Result<(Duration, Duration)> {
    let store = Store::open(database, OpenMode::ReadWrite).await?;
    let other = Store::open(database, OpenMode::ReadWrite).await?;
    let done = Arc::new(AtomicBool::new(false));
    let writes = tokio::spawn({
        let done = Arc::clone(&done);
        async move {
            let mut longest = Duration::ZERO;
            while !done.load(Ordering::Relaxed) {
                let began = Instant::now();
                let scan =
                    other.begin_scan(&vantage(0), AT, "sweep", &["bench".into()], "raw").await?;
                other.write_observations(scan, observations(0..1, &[])).await?;
                longest = longest.max(began.elapsed());
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            other.close().await;
            anyhow::Ok(longest)
        }
    });
    let began = Instant::now();
    let reviewed = store.review(AT.plus_seconds(120), &policy()).await;
    let took = began.elapsed();
    done.store(true, Ordering::Relaxed);
    let longest = writes.await??;
    reviewed?;
    store.close().await;
    Ok((took, longest))
}

/// What this process has in memory, in MiB.
fn resident() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()).context("no VmRSS")?;
    Ok(number.parse::<u64>()? >> 10)
}

fn told(line: &str) -> Result<()> {
    writeln!(std::io::stderr(), "{line}")?;
    Ok(())
}

const FILTERS: &[(Kind, &[&str])] = &[
    (
        Kind::Assets,
        &[
            "",
            "site:tokyo",
            "class:printer",
            "not class:printer and seen<7d",
            "registration:unknown and port:445",
            "name~srv and (port:22,80 or protocol:smtp)",
            "vendor:brother or vendor:intel",
            "address:10.0.16.0/20",
            "address~0.17.",
            "critical>0",
            "product:postfix and version:3.7",
            "pc-77777",
            "cam-1",
            "nginx",
            "zzz",
        ],
    ),
    (
        Kind::Services,
        &[
            "",
            "port:443",
            "port:22,80 and state:open",
            "product:openssh and version:7.2",
            "not protocol:http",
            "class:printer and port:9100",
            "site:osaka and tls:no and seen<30d",
            "address:10.1.0.0/16",
            "name~srv and protocol:ssh",
            "vendor:brother",
            "ssh",
            "pc-4711",
            "nginx or samba",
            "seen<3d",
            "zzz",
        ],
    ),
    (Kind::Software, &["", "product:nginx", "version:1.2", "site:plant", "pc-12", "zzz"]),
    (
        Kind::Certificates,
        &[
            "",
            "expires<30d",
            "trust:untrusted and expires>90d",
            "site:tokyo",
            "s4711",
            "key:256",
            "zzz",
        ],
    ),
    (
        Kind::Findings,
        &[
            "",
            "severity:critical and state:open",
            "rule:certificate",
            "site:depot",
            "class:printer or name~srv",
            "pc-99",
            "zzz",
        ],
    ),
];

/// What a page would ask, each with how long it took.
async fn ask(store: &Store, seed: u64) -> Result<Vec<(Duration, String)>> {
    let mut dice = Dice(seed);
    let mut took = Vec::new();
    let mut after: Option<(String, String, Sort, Direction, Kind)> = None;
    while took.len() < REQUESTS {
        // Every third request is for the page after the one before.
        let next = after.take().filter(|_| dice.roll(3) == 0);
        let (text, cursor, sort, direction, kind) = match next {
            Some((text, cursor, sort, direction, kind)) => {
                (text, Some(cursor), sort, direction, kind)
            }
            None => {
                let (kind, filters) = dice.one(FILTERS);
                let sorts: Vec<Sort> = Sort::of(kind).collect();
                let direction = dice.one(&[Direction::Up, Direction::Down]);
                (dice.one(filters).to_owned(), None, dice.one(&sorts), direction, kind)
            }
        };
        let began = Instant::now();
        let query = Query::parse(kind, &text, Offset::UTC)?;
        let size = 100;
        let request = Request { query: &query, sort, direction, after: cursor.as_deref(), size };
        let (next, total) = match kind {
            Kind::Assets => {
                store.list_assets(&request, AT).await.map(|page| (page.next, page.total))?
            }
            Kind::Services => {
                store.list_services(&request, AT).await.map(|page| (page.next, page.total))?
            }
            Kind::Software => {
                store.list_software(&request, AT).await.map(|page| (page.next, page.total))?
            }
            Kind::Certificates => {
                store.list_certificates(&request, AT).await.map(|page| (page.next, page.total))?
            }
            Kind::Findings => {
                store.list_findings(&request, AT).await.map(|page| (page.next, page.total))?
            }
        };
        let more = if cursor.is_some() { ", the next page" } else { "" };
        let what =
            format!("{} {text:?} by {} {direction:?}{more}: {total}", kind.as_str(), sort.name);
        took.push((began.elapsed(), what));
        after = next.map(|next| (text, next, sort, direction, kind));
    }
    Ok(took)
}

async fn facets(store: &Store) -> Result<Vec<(Duration, String)>> {
    let mut took = Vec::new();
    for (kind, filters) in FILTERS {
        for text in *filters {
            let query = Query::parse(*kind, text, Offset::UTC)?;
            let began = Instant::now();
            store.facets(&query, AT).await?;
            took.push((began.elapsed(), format!("facets of {} {text:?}", kind.as_str())));
        }
    }
    Ok(took)
}

async fn overviews(store: &Store) -> Result<Vec<(Duration, String)>> {
    let mut took = Vec::new();
    for _ in 0..20 {
        let began = Instant::now();
        store.overview(AT).await?;
        took.push((began.elapsed(), "overview".to_owned()));
    }
    Ok(took)
}

fn row(
    report: &mut Report,
    what: &str,
    mut took: Vec<(Duration, String)>,
    goal: Duration,
) -> Result<()> {
    took.sort();
    let at = |share: usize| took.get((took.len() * share / 100).min(took.len() - 1));
    let (half, most) = (at(50).context("nothing")?, at(99).context("nothing")?);
    for (time, what) in took.iter().rev().take(6) {
        told(&format!("  {:.0} ms: {what}", time.as_secs_f64() * 1e3))?;
    }
    let ms = |time: &Duration| time.as_secs_f64() * 1e3;
    report.row(
        what,
        format!("p50 {:.0} ms, p99 {:.0} ms ({} times)", ms(&half.0), ms(&most.0), took.len()),
        &format!("p99 < {} ms", goal.as_millis()),
        most.0 < goal,
    );
    Ok(())
}

/// The other process: sweeps as fast as one is heard, until its input ends. Prints how many
/// observations were written.
pub(crate) fn write(path: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let stop = std::thread::spawn(|| std::io::stdin().read_to_end(&mut Vec::new()));
    runtime.block_on(async {
        let store = Store::open(path, OpenMode::ReadWrite).await?;
        writeln!(std::io::stdout(), "writing")?;
        let (mut written, mut scans) = (0, 0_u32);
        while !stop.is_finished() {
            // Two thousand observations four times a second, as a sweep commits them; of the assets
            // that are there, now.
            let start = (scans * 500) % (ASSETS / scale());
            let mut facts = observations(start..start + 90, &[]);
            for fact in &mut facts {
                fact.observed_at = AT.plus_seconds(600 + i64::from(scans));
            }
            written += facts.len();
            let vantage = vantage(start / PART);
            let scan = store.begin_scan(&vantage, AT, "sweep", &["bench".into()], "raw").await?;
            store.write_observations(scan, facts).await?;
            if scans % 8 == 7 {
                store.digest(scan, AT.plus_seconds(700)).await?;
            }
            scans += 1;
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        store.close().await;
        writeln!(std::io::stdout(), "{written}")?;
        Ok(())
    })
}

pub(crate) fn lists(report: &mut Report) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let folder = tempfile::tempdir()?;
    let kept = std::env::var_os("LISTS").map(PathBuf::from);
    let database = kept.unwrap_or_else(|| folder.path().join("daicho.db"));
    if !database.exists() {
        runtime.block_on(fill(&database))?;
    }
    let bytes = std::fs::metadata(&database)?.len();
    told(&format!("{} MiB", bytes >> 20))?;
    if std::env::var_os("REVIEW").is_some() {
        let (took, waited) = runtime.block_on(review(&database))?;
        let (took, waited) = (took.as_secs_f64(), waited.as_secs_f64());
        told(&format!("a review that changes nothing: {took:.1} s; writers waited {waited:.1} s"))?;
        return Ok(());
    }
    let store = runtime.block_on(Store::open(&database, OpenMode::ReadOnly))?;
    let (before, began) = (resident()?, Instant::now());
    runtime.block_on(store.facets(&Query::everything(Kind::Assets), AT))?;
    let (took, held) = (began.elapsed(), resident()?.saturating_sub(before));
    report.row(
        "lists read into memory",
        format!("{:.1} s, {held} MiB", took.as_secs_f64()),
        "to be told",
        true,
    );
    row(report, "lists, filtered, sorted, searched", runtime.block_on(ask(&store, 1))?, GOAL)?;
    row(report, "facets of lists", runtime.block_on(facets(&store))?, GOAL)?;
    row(report, "overview", runtime.block_on(overviews(&store))?, OVERVIEW)?;
    let mut writer = Command::new(std::env::current_exe()?)
        .arg("lists-writer")
        .arg(&database)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut words = BufReader::new(writer.stdout.take().context("no output")?).lines();
    ensure!(words.next().transpose()?.as_deref() == Some("writing"), "the writer does not write");
    row(report, "the same while a sweep writes", runtime.block_on(ask(&store, 2))?, GOAL)?;
    row(report, "overview while a sweep writes", runtime.block_on(overviews(&store))?, OVERVIEW)?;
    drop(writer.stdin.take());
    let written: u64 = words.next().transpose()?.unwrap_or_default().parse()?;
    let ended = writer.wait()?;
    report.row(
        "observations written meanwhile",
        format!("{written}, {}", if ended.success() { "none refused" } else { "refused" }),
        "none refused",
        ended.success() && written > 0,
    );
    Ok(())
}
