//! Servers that mean harm, or behave as if: each may cost what one server may cost, and
//! nothing to anybody else.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read as _, Write},
    net::{IpAddr, Ipv4Addr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use model::{AddressRange, Endpoint, Site, Vantage};
use rcgen::{CertificateParams, KeyPair};
use scanner::{
    Scope,
    collect::{Collecting, Outcome},
    dialogue::Pace,
    net::clock::Clock,
    probe::tls::Extent,
    rate::{Pacer, Rates},
    stop::Stop,
};

use crate::own::{flight, message, records, server_hello, u24};

/// How long a server may take in all, where one connection may take `time`: a second one is
/// made to who lets the first pass, and of each we take leave for 0.3 s.
fn limit(time: Duration) -> Duration {
    2 * (time + Duration::from_millis(300))
}

/// Between what some of them say.
const PAUSE: Duration = Duration::from_secs(1);

/// No server of these says more in one connection, or for longer.
const MOST: usize = 32 << 20;
const LONGEST: Duration = Duration::from_secs(20);

/// What a server does with a connection.
type Attend = fn(TcpStream) -> io::Result<()>;

const SUITE: u16 = 0x002f;
const TLS12: u16 = 0x0303;

fn hear(stream: &mut TcpStream) -> io::Result<()> {
    let mut header = [0; 5];
    stream.read_exact(&mut header)?;
    let mut body = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
    stream.read_exact(&mut body)
}

/// Says it again and again, until the client has enough.
fn flood(mut stream: TcpStream, first: &[u8], again: &[u8], pause: Duration) -> io::Result<()> {
    hear(&mut stream)?;
    stream.write_all(first)?;
    let began = Instant::now();
    let mut said = 0;
    while said < MOST && began.elapsed() < LONGEST {
        stream.write_all(again)?;
        said += again.len().max(1);
        std::thread::sleep(pause);
    }
    Ok(())
}

fn wait(mut stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(LONGEST))?;
    stream.read_to_end(&mut Vec::new()).map(drop)
}

/// A record of TLS 1.2 of that type, with these contents.
fn record(kind: u8, contents: &[u8]) -> Vec<u8> {
    let length = u16::try_from(contents.len()).unwrap().to_be_bytes();
    [&[kind, 3, 3], &length[..], contents].concat()
}

/// What all of them do, by name.
const HOSTILE: [(&str, Attend); 14] = [
    ("says nothing", wait),
    ("hears nothing", |stream| {
        std::thread::sleep(LONGEST);
        drop(stream);
        Ok(())
    }),
    ("hangs up", |stream| {
        drop(stream);
        Ok(())
    }),
    ("a byte at a time", |stream| {
        let flight = flight(TLS12, SUITE, &[&[7; 400]], &[]);
        let mut stream = stream;
        hear(&mut stream)?;
        for byte in records(TLS12, 1 << 14, &flight) {
            stream.write_all(&[byte])?;
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }),
    ("half a record", |stream| flood(stream, &[22, 3, 3, 0x3f, 0xff, 2], &[], PAUSE)),
    ("half a message", |stream| {
        let hello = records(TLS12, 100, &server_hello(TLS12, SUITE, &[]));
        flood(stream, &hello, &[], PAUSE)
    }),
    ("a chain of 16 MB", |stream| {
        // The list of certificates begins, and goes on in record after record.
        let list = [&[11][..], &u24((1 << 24) - 1), &u24((1 << 24) - 4)].concat();
        let begun = [server_hello(TLS12, SUITE, &[]), list].concat();
        let certificate = [&u24((1 << 14) - 3)[..], &[0x30; (1 << 14) - 3]].concat();
        let again = record(22, &certificate);
        flood(stream, &records(TLS12, 1 << 14, &begun), &again, Duration::ZERO)
    }),
    ("records without end", |stream| {
        flood(stream, &[], &record(22, &[2; 1 << 14]), Duration::ZERO)
    }),
    ("empty records without end", |stream| flood(stream, &[], &record(22, &[]), Duration::ZERO)),
    ("warnings without end", |stream| flood(stream, &[], &record(21, &[1, 112]), Duration::ZERO)),
    ("a warning now and then", |stream| {
        flood(stream, &[], &record(21, &[1, 112]), Duration::from_millis(20))
    }),
    ("renegotiates without end", |stream| {
        // HelloRequest (RFC 5246, section 7.4.1.1), which a client in a handshake ignores.
        flood(stream, &[], &record(22, &message(0, &[])), Duration::ZERO)
    }),
    ("changes its cipher without end", |stream| {
        flood(stream, &[], &record(20, &[1]), Duration::ZERO)
    }),
    ("asks for another hello without end", |stream| {
        // HelloRetryRequest: its random, and P-384 as the group (RFC 8446, section 4.1.4).
        let random = [
            0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65,
            0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2,
            0xc8, 0xa8, 0x33, 0x9c,
        ];
        let extensions = [0, 43, 0, 2, 3, 4, 0, 51, 0, 2, 0, 24];
        let body = [&[3, 3][..], &random, &[0, 0x13, 0x01, 0, 0, 12], &extensions].concat();
        flood(stream, &[], &record(22, &message(2, &body)), Duration::ZERO)
    }),
];

/// A server at an address of its own, which attends to each connection by itself.
struct Hostile {
    endpoint: Endpoint,
    over: Arc<AtomicBool>,
}

impl Hostile {
    fn start(
        number: u8,
        attend: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let address = Ipv4Addr::new(127, 0, 77, number);
        let listener = TcpListener::bind((address, 0)).unwrap();
        let endpoint = Endpoint::tcp(IpAddr::V4(address), listener.local_addr().unwrap().port());
        let over = Arc::new(AtomicBool::new(false));
        let (asked, attend) = (Arc::clone(&over), Arc::new(attend));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { break };
                if asked.load(Ordering::Relaxed) {
                    break;
                }
                let attend = Arc::clone(&attend);
                // What becomes of a client is no matter.
                std::thread::spawn(move || attend(stream).ok());
            }
        });
        Self { endpoint, over }
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // Wakes it up.
        let _ = TcpStream::connect((self.endpoint.address, self.endpoint.port));
    }
}

fn collect(servers: &[Hostile], at_once: usize, time: Duration) -> (Outcome, Duration) {
    let all = AddressRange::new(
        IpAddr::V4(Ipv4Addr::new(127, 0, 77, 0)),
        IpAddr::V4(Ipv4Addr::new(127, 0, 77, 255)),
    );
    let rates = Rates { total: 1_000_000, per_host: 1_000_000, ..Rates::default() };
    let collecting = Collecting {
        scope: Arc::new(Scope::new(vec![all.unwrap()], vec![])),
        vantage: Vantage { site: Site("test".into()), name: "here".into() },
        pace: Pace::new(Arc::new(Mutex::new(Pacer::new(rates))), Clock::start()),
        stop: Stop::new(),
        at_once,
        time,
        extent: Extent::Versions,
        gentle: BTreeSet::new(),
        starttls: BTreeMap::new(),
        quic: BTreeSet::new(),
    };
    let endpoints: BTreeMap<_, _> =
        servers.iter().map(|server| (server.endpoint, Vec::new())).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let began = Instant::now();
    let outcome = runtime.block_on(collecting.collect(endpoints, &mut |_| {}, &mut |_, _| {}));
    (outcome, began.elapsed())
}

/// A certificate with so many names.
fn with_names(count: usize) -> Vec<u8> {
    let names = (0..count).map(|number| format!("host-{number}.plant.example"));
    let params = CertificateParams::new(names.collect::<Vec<_>>()).unwrap();
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

/// One that serves this certificate over TLS 1.2, as it should.
fn honest(number: u8, der: &[u8]) -> Hostile {
    let flight = records(TLS12, 1 << 14, &flight(TLS12, SUITE, &[der], &[]));
    Hostile::start(number, move |mut stream| {
        hear(&mut stream)?;
        stream.write_all(&flight)?;
        wait(stream)
    })
}

#[test]
fn a_hostile_server_costs_its_own_limit_and_nothing_else() {
    let many_names = with_names(10_000);
    assert!(many_names.len() > 200_000, "{}", many_names.len());
    let mut servers: Vec<Hostile> = HOSTILE
        .iter()
        .zip(1..)
        .map(|((_, attend), number)| Hostile::start(number, *attend))
        .collect();
    servers.push(honest(200, &many_names));
    servers.push(honest(201, &with_names(1)));
    let (hostile, honest) = servers.split_at(HOSTILE.len());
    let leaf = |outcome: &Outcome, server: &Hostile| {
        let served = &outcome.served[&server.endpoint];
        served.chains.first().map(|chain| chain.chain[0].clone())
    };

    // All at once: the run takes no longer than the slowest of them.
    let time = Duration::from_secs(2);
    let (outcome, took) = collect(&servers, 64, time);
    let allowed = limit(time) + limit(time) / 10;
    assert!(took <= allowed, "{took:?} instead of {allowed:?}");
    assert!(outcome.complete);
    for (server, (name, _)) in hostile.iter().zip(HOSTILE) {
        assert_eq!(leaf(&outcome, server), None, "{name}");
        let target = server.endpoint.to_string();
        assert!(outcome.gaps.iter().any(|gap| gap.target == target), "{name} is no gap");
        let connections = outcome.served[&server.endpoint].connections;
        assert!(connections <= 12, "{name}: {connections} connections");
    }
    assert_eq!(leaf(&outcome, &honest[0]), Some(many_names));
    assert!(leaf(&outcome, &honest[1]).is_some());

    // Two at once: none keeps the others from their turn for longer than its limit.
    let time = Duration::from_millis(500);
    let (outcome, took) = collect(&servers, 2, time);
    let turns = u32::try_from(servers.len().div_ceil(2)).unwrap();
    assert!(took <= limit(time) * turns, "{took:?}");
    assert!(outcome.complete);
    assert_eq!(outcome.served.len(), servers.len());
    assert!(leaf(&outcome, &honest[1]).is_some());
}
