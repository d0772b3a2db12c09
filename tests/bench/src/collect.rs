//! Certificates a second: the collector against servers of our own that have nothing else to do.
//!
//! The servers are a process of their own, so that only the collector's time is counted, and both
//! stand in a network namespace that has nothing but a loopback. They hold each answer back, so
//! that as many conversations are under way as are allowed.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use model::{AddressRange, Endpoint, Site, Vantage};
use rcgen::{CertifiedKey, KeyPair};
use rustls::{ServerConfig, ServerConnection, pki_types::PrivateKeyDer};
use scanner::{
    Scope,
    collect::Collecting,
    dialogue::Pace,
    net::clock::Clock,
    probe::tls::Extent,
    rate::{Pacer, Rates},
    stop::Stop,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

use crate::measure::Report;

/// Conversations under way at once, each with an address of its own.
const AT_ONCE: usize = 10_000;

/// Endpoints in all.
const ENDPOINTS: u32 = 40_000;

/// How long a server waits before it answers.
const HELD: Duration = Duration::from_millis(400);

/// Bytes of memory that one conversation may take.
const EACH: u64 = 8 << 10;

/// Runs the rows, those of each kind in a process and a namespace of their own: memory that one
/// has had would not be seen to be taken by the next.
pub(crate) fn certificates() -> Result<()> {
    let own = std::env::current_exe()?;
    // Ours and the servers' files: one for each conversation, and some.
    let script = "ulimit -n $(ulimit -H -n) && ip link set lo up && \
                  echo 65535 > /proc/sys/net/core/somaxconn && exec \"$0\" certs-inside \"$1\"";
    let mut all = true;
    for kind in ["old", "new"] {
        let mut command = Command::new("unshare");
        let status = command.args(["--net", "sh", "-c", script]).arg(&own).arg(kind).status()?;
        all &= status.success();
    }
    ensure!(all, "not all was reached");
    Ok(())
}

/// The rows of one kind of server.
pub(crate) fn inside(kind: &str) -> Result<()> {
    let (told, goal) = match kind {
        "old" => ("TLS 1.2, replayed", 15_000.0),
        _ => ("TLS 1.3", 5_000.0),
    };
    let mut report = Report::default();
    let servers = Servers::start(kind)?;
    // One wave, so that nothing is kept yet of conversations that are over.
    let each = ask(servers.port, u32::try_from(AT_ONCE)?)?.each;
    report.row(
        &format!("memory of one conversation, {told}"),
        format!("{each} bytes, of {AT_ONCE} at once, with all that is kept of it"),
        &format!("≤ {EACH} bytes"),
        each <= EACH,
    );
    let cost = ask(servers.port, ENDPOINTS)?;
    let a_second = |count: u64| count as f64 / cost.cpu.as_secs_f64();
    report.row(
        &format!("{told}, {AT_ONCE} conversations at once"),
        format!(
            "{:.0} connections and {:.0} certificates a CPU second ({} endpoints in {:.1} s, \
             {:.1} s of processor time)",
            a_second(cost.connections),
            a_second(cost.certificates),
            cost.certificates,
            cost.wall.as_secs_f64(),
            cost.cpu.as_secs_f64()
        ),
        &format!("≥ {goal} a CPU second"),
        a_second(cost.connections) >= goal,
    );
    report.print()
}

struct Cost {
    connections: u64,
    certificates: u64,
    cpu: Duration,
    wall: Duration,
    /// Bytes of resident memory for each conversation under way.
    each: u64,
}

/// Asks so many endpoints for their certificates.
fn ask(port: u16, count: u32) -> Result<Cost> {
    let address = |number: u32| IpAddr::V4(Ipv4Addr::from_bits(0x7f01_0000 + number));
    let range = AddressRange::new(address(0), address(count)).context("a range")?;
    let rates = Rates { total: u32::MAX, per_host: u32::MAX, ..Rates::default() };
    let pace = Pace::new(Arc::new(Mutex::new(Pacer::new(rates))), Clock::start());
    let collecting = Collecting {
        scope: Arc::new(Scope::new(vec![range], vec![])),
        vantage: Vantage { site: Site("bench".into()), name: "here".into() },
        pace,
        stop: Stop::new(),
        at_once: AT_ONCE,
        time: Duration::from_secs(5),
        extent: Extent::Gentle,
        gentle: BTreeSet::new(),
        starttls: BTreeMap::new(),
        quic: BTreeSet::new(),
    };
    let endpoints: BTreeMap<_, _> =
        (0..count).map(|number| (Endpoint::tcp(address(number), port), Vec::new())).collect();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let memory = Memory::watch()?;
    let (before, started) = (processor_time()?, std::time::Instant::now());
    let outcome = runtime.block_on(collecting.collect(endpoints, &mut |_| {}, &mut |_, _| {}));
    let (cpu, wall) = (processor_time()?.saturating_sub(before), started.elapsed());
    let each = memory.grown() / AT_ONCE as u64;
    let certificates = outcome.served.values().filter(|s| !s.chains.is_empty()).count() as u64;
    ensure!(
        certificates == u64::from(count),
        "{certificates} of {count} told their certificate: {:?}",
        outcome.gaps.first()
    );
    let connections = outcome.served.values().map(|served| u64::from(served.connections)).sum();
    Ok(Cost { connections, certificates, cpu, wall, each })
}

/// Processor time of this process so far, its own and the kernel's for it.
fn processor_time() -> Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // After the name, which may hold anything: user and system time are the 12th and 13th.
    let fields: Vec<&str> =
        stat.rsplit_once(')').context("a name")?.1.split_ascii_whitespace().collect();
    let ticks = |at: usize| -> Result<u64> { Ok(fields.get(at).context("a field")?.parse()?) };
    // The kernel tells it in hundredths, whatever its own clock is (proc(5), USER_HZ).
    Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * 10))
}

/// Watches how much memory becomes resident.
struct Memory {
    before: u64,
    most: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
}

impl Memory {
    fn watch() -> Result<Self> {
        let before = resident()?;
        let (most, over) = (Arc::new(AtomicU64::new(before)), Arc::new(AtomicBool::new(false)));
        let (told, end) = (Arc::clone(&most), Arc::clone(&over));
        thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                told.fetch_max(resident().unwrap_or(0), Ordering::Relaxed);
                thread::sleep(Duration::from_millis(5));
            }
        });
        Ok(Self { before, most, over })
    }

    fn grown(self) -> u64 {
        self.over.store(true, Ordering::Relaxed);
        self.most.load(Ordering::Relaxed).saturating_sub(self.before)
    }
}

/// Bytes of resident memory.
fn resident() -> Result<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = statm.split(' ').nth(1).context("a field")?.parse()?;
    Ok(pages << 12)
}

/// The servers, in a process of their own.
struct Servers {
    child: Child,
    port: u16,
}

impl Servers {
    fn start(kind: &str) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", kind])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
        Ok(Self { child, port: line.trim().parse()? })
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        // It ends by itself when its input does, too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The mode of the servers: tells the port and serves until the input ends.
pub(crate) fn serve(kind: &str) -> Result<()> {
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["server.example".to_owned()])?;
    let answer = match kind {
        "old" => Answer::Old(flight(cert.der())),
        "new" => Answer::New(config(cert.der(), &signing_key)?),
        other => bail!("there is no server {other:?}"),
    };
    thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)))?;
        let listener = socket.listen(65_535)?;
        let mut output = io::stdout();
        writeln!(output, "{}", listener.local_addr()?.port())?;
        output.flush()?;
        loop {
            let (stream, _) = listener.accept().await?;
            let answer = answer.clone();
            // A client that goes early is no concern of the others.
            tokio::spawn(async move { answer.give(stream).await.ok() });
        }
    })
}

/// What a server answers.
#[derive(Clone)]
enum Answer {
    Old(Arc<[u8]>),
    New(Arc<ServerConfig>),
}

impl Answer {
    async fn give(self, mut stream: TcpStream) -> io::Result<()> {
        let mut hello = vec![0; 5];
        stream.read_exact(&mut hello).await?;
        let length = u16::from_be_bytes([hello[3], hello[4]]);
        hello.resize(5 + usize::from(length), 0);
        stream.read_exact(&mut hello[5..]).await?;
        tokio::time::sleep(HELD).await;
        match self {
            Self::Old(flight) => {
                // supported_versions with nothing but TLS 1.3 (RFC 8446, section 4.2.1); the
                // answer is the alert protocol_version.
                let is_new = hello.windows(7).any(|part| part == [0, 43, 0, 3, 2, 3, 4]);
                stream.write_all(if is_new { &[21, 3, 3, 0, 2, 2, 70] } else { &flight }).await?;
            }
            Self::New(config) => {
                let mut tls = ServerConnection::new(config).map_err(io::Error::other)?;
                tls.read_tls(&mut hello.as_slice())?;
                // A refusal is told by the alert that it wants to write.
                let _ = tls.process_new_packets();
                let mut flight = Vec::new();
                while tls.wants_write() {
                    tls.write_tls(&mut flight)?;
                }
                stream.write_all(&flight).await?;
            }
        }
        while stream.read(&mut hello).await? > 0 {}
        Ok(())
    }
}

/// A first flight of TLS 1.2 with this certificate, for RSA key exchange.
fn flight(der: &[u8]) -> Arc<[u8]> {
    let message = |kind: u8, body: Vec<u8>| {
        let length = u32::try_from(body.len()).unwrap_or_default().to_be_bytes();
        [vec![kind], length[1..].to_vec(), body].concat()
    };
    let long = |bytes: &[u8]| {
        let length = u32::try_from(bytes.len()).unwrap_or_default().to_be_bytes();
        [&length[1..], bytes].concat()
    };
    let hello = [&[3, 3][..], &[7; 32], &[0, 0, 0x2f, 0]].concat();
    let messages = [message(2, hello), message(11, long(&long(der))), message(14, vec![])].concat();
    let length = u16::try_from(messages.len()).unwrap_or_default().to_be_bytes();
    [&[22, 3, 3], &length[..], &messages].concat().into()
}

fn config(der: &[u8], key: &KeyPair) -> Result<Arc<ServerConfig>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![der.to_vec().into()], key)?;
    Ok(Arc::new(config))
}
