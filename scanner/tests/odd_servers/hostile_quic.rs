//! Servers of QUIC that mean harm: each may cost what one server may cost, and nothing to
//! anybody else. What they close their packets with is of rustls.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use model::{AddressRange, Endpoint, Site, Transport, Vantage};
use rustls::{
    Side, Tls13CipherSuite,
    crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256,
    quic::{Keys, Version},
};
use scanner::{
    Scope,
    collect::{Collecting, Outcome},
    dialogue::Pace,
    net::clock::Clock,
    probe::tls::Extent,
    rate::{Pacer, Rates},
    stop::Stop,
};

/// A client that sent a first packet.
struct Client<'a> {
    socket: &'a UdpSocket,
    address: SocketAddr,
    /// What it went by, and what it called us.
    theirs: Vec<u8>,
    ours: Vec<u8>,
    keys: Keys,
    number: u64,
}

/// What a server does with a client, for as long as it likes; true to be called again.
type Attend = fn(&mut Client<'_>) -> bool;

impl<'a> Client<'a> {
    fn of(socket: &'a UdpSocket, address: SocketAddr, datagram: &[u8]) -> Option<Self> {
        let (ours, theirs) = (datagram.get(6..14)?.to_vec(), datagram.get(15..23)?.to_vec());
        let suite = TLS13_AES_128_GCM_SHA256.tls13().and_then(Tls13CipherSuite::quic_suite)?;
        let keys = suite.keys(&ours, Side::Server, Version::V1);
        Some(Self { socket, address, theirs, ours, keys, number: 0 })
    }

    fn say(&self, datagram: &[u8]) -> bool {
        self.socket.send_to(datagram, self.address).is_ok()
    }

    fn head(&self, first: u8) -> Vec<u8> {
        let mut head = vec![first, 0, 0, 0, 1];
        for id in [&self.theirs, &self.ours] {
            head.push(id.len() as u8);
            head.extend(id);
        }
        head
    }

    /// An Initial packet with these frames.
    fn packet(&mut self, frames: &[u8]) -> Vec<u8> {
        let mut body = frames.to_vec();
        body.resize(body.len().max(40), 0);
        let mut head = self.head(0xc3);
        head.push(0);
        let length = u16::try_from(4 + body.len() + 16).unwrap();
        head.extend((length | 0x4000).to_be_bytes());
        let at = head.len();
        head.extend(&self.number.to_be_bytes()[4..]);
        let tag = self.keys.local.packet.encrypt_in_place(self.number, &head, &mut body).unwrap();
        self.number += 1;
        body.extend(tag.as_ref());
        let (first, rest) = head.split_at_mut(1);
        let header = &self.keys.local.header;
        header.encrypt_in_place(&body[..16], &mut first[0], &mut rest[at - 1..]).unwrap();
        [head, body].concat()
    }

    fn send(&mut self, frames: &[u8]) -> bool {
        let packet = self.packet(frames);
        self.say(&packet)
    }
}

/// A CRYPTO frame at that place.
fn crypto(offset: u64, bytes: &[u8]) -> Vec<u8> {
    let mut frame = vec![6];
    frame.extend((offset | 0xc000_0000_0000_0000).to_be_bytes());
    frame.extend((u16::try_from(bytes.len()).unwrap() | 0x4000).to_be_bytes());
    frame.extend(bytes);
    frame
}

/// HelloRetryRequest: its random, and P-384 as the group (RFC 8446, section 4.1.4).
const ANOTHER_HELLO: [u8; 56] = [
    2, 0, 0, 52, 3, 3, 0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02,
    0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2,
    0xc8, 0xa8, 0x33, 0x9c, 0, 0x13, 0x01, 0, 0, 12, 0, 43, 0, 2, 3, 4, 0, 51, 0, 2, 0, 24,
];

/// It is the time that ends it or the size, whichever comes first.
const ENDLESS: &str = "it let its time pass, or its answer is too large";

/// What all of them do, by name, and what we say of it.
const HOSTILE: [(&str, &str, Attend); 14] = [
    ("says nothing", "it let its time pass", |_| false),
    ("noise without end", ENDLESS, |client| client.say(&[0x5a; 900])),
    ("a closed packet that does not open", ENDLESS, |client| {
        let mut packet = client.packet(&[1]);
        *packet.last_mut().unwrap() ^= 1;
        client.say(&packet)
    }),
    ("packets under keys to come", ENDLESS, |client| {
        let packet = [client.head(0xe3), vec![0x40, 60], vec![7; 60]].concat();
        client.say(&packet)
    }),
    ("pings without end", ENDLESS, |client| client.send(&[1])),
    ("acknowledges what was not sent", ENDLESS, |client| {
        client.send(&[2, 0x7f, 0xff, 0, 0, 0x7f, 0xff])
    }),
    ("a place far away", "its answer is too large", |client| {
        client.send(&crypto(1 << 40, &[7; 40]))
    }),
    ("a stream full of holes", ENDLESS, |client| {
        let at = client.number * 50 + 10;
        client.send(&crypto(at, &[7; 40]))
    }),
    ("a message of 16 MB", "its answer is too large", |client| {
        client.send(&crypto(0, &[11, 0xff, 0xff, 0xff, 0, 0, 0]))
    }),
    (
        "asks for another hello without end",
        "it sent message 2, which has no place there",
        |client| {
            let at = client.number * 56;
            client.send(&crypto(at, &ANOTHER_HELLO))
        },
    ),
    ("a frame of a stream", "its answer is malformed", |client| client.send(&[8, 0, 0])),
    ("versions without end", "it has no version of QUIC that we have", |client| {
        let mut list = client.head(0x80);
        list[4] = 0;
        list.extend([0xff, 0, 0, 0x1d]);
        client.say(&list)
    }),
    ("a forged token", ENDLESS, |client| {
        let retry = [client.head(0xf0), vec![7; 60]].concat();
        client.say(&retry)
    }),
    ("leaves", "it refused in QUIC with error 0x1 (INTERNAL_ERROR)", |client| {
        client.send(&[0x1c, 1, 0, 0]);
        false
    }),
];

/// A server at an address of its own.
struct Hostile {
    endpoint: Endpoint,
    over: Arc<AtomicBool>,
}

/// No server of these attends to one client for longer.
const LONGEST: Duration = Duration::from_secs(4);

impl Hostile {
    fn start(number: u8, attend: Attend) -> Self {
        let address = IpAddr::V4(Ipv4Addr::new(127, 0, 91, number));
        let socket = UdpSocket::bind((address, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        let port = socket.local_addr().unwrap().port();
        let over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&over);
        std::thread::spawn(move || {
            let mut current: Option<(Client<'_>, Instant)> = None;
            let mut datagram = [0; 2_000];
            while !ended.load(Ordering::Relaxed) {
                if let Ok((length, from)) = socket.recv_from(&mut datagram)
                    && current.as_ref().is_none_or(|(client, _)| client.address != from)
                {
                    let client = Client::of(&socket, from, &datagram[..length]);
                    current = client.map(|client| (client, Instant::now()));
                }
                // A hundred packets each millisecond or two.
                for _ in 0..100 {
                    let Some((client, since)) = &mut current else { break };
                    if since.elapsed() > LONGEST || !attend(client) {
                        break;
                    }
                }
            }
        });
        let endpoint = Endpoint { address, transport: Transport::Udp, port };
        Self { endpoint, over }
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

fn collect(servers: &[Hostile], time: Duration) -> (Outcome, Duration) {
    let all = AddressRange::new(
        IpAddr::V4(Ipv4Addr::new(127, 0, 91, 0)),
        IpAddr::V4(Ipv4Addr::new(127, 0, 91, 255)),
    );
    let rates = Rates { total: 1_000_000, per_host: 1_000_000, ..Rates::default() };
    let endpoints: BTreeMap<_, _> =
        servers.iter().map(|server| (server.endpoint, Vec::new())).collect();
    let collecting = Collecting {
        scope: Arc::new(Scope::new(vec![all.unwrap()], vec![])),
        vantage: Vantage { site: Site("test".into()), name: "here".into() },
        pace: Pace::new(Arc::new(Mutex::new(Pacer::new(rates))), Clock::start()),
        stop: Stop::new(),
        at_once: 64,
        time,
        extent: Extent::Certificates,
        gentle: BTreeSet::new(),
        starttls: BTreeMap::new(),
        quic: endpoints.keys().copied().collect(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let began = Instant::now();
    let outcome = runtime.block_on(collecting.collect(endpoints, &mut |_| {}, &mut |_, _| {}));
    (outcome, began.elapsed())
}

#[test]
fn a_hostile_server_of_quic_costs_its_own_limit_and_nothing_else() {
    let servers: Vec<Hostile> =
        HOSTILE.iter().zip(1..).map(|((.., attend), at)| Hostile::start(at, *attend)).collect();
    let time = Duration::from_secs(2);
    let (outcome, took) = collect(&servers, time);
    // A second one is made to who lets the first time pass.
    let allowed = 2 * time + Duration::from_millis(900);
    assert!(took <= allowed, "{took:?} instead of {allowed:?}");
    assert!(outcome.complete);
    for (server, (name, why, _)) in servers.iter().zip(HOSTILE) {
        let served = &outcome.served[&server.endpoint];
        println!("{name}: {} attempts, {:?}", served.connections, served.refusal);
        assert!(served.chains.is_empty(), "{name}");
        let target = server.endpoint.to_string();
        assert!(outcome.gaps.iter().any(|gap| gap.target == target), "{name} is no gap");
        assert!(served.connections <= 3, "{name}: {} attempts", served.connections);
        let refusal = served.refusal.as_deref().unwrap_or_default();
        let is_it = match why {
            ENDLESS => matches!(refusal, "it let its time pass" | "its answer is too large"),
            why => refusal == why,
        };
        assert!(is_it, "{name}: {refusal}");
    }
}
