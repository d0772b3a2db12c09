//! Collecting certificates: holding the conversations that `probe::tls` plans.
//!
//! Every limit is kept here: a permit for each address, one connection at once to one
//! address, seconds and bytes a connection, the pacer's rates, and the stop. What a server
//! does with its connection costs that connection's limits and nothing else.

mod datagrams;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use certs::hello::{Collector, HelloError, Progress, ServerName, Shares};
use model::{Endpoint, Fact, Gap, Method, Observation, Subject, Transport, Vantage};
use tokio::{task::JoinSet, time::timeout};

use crate::{
    Permit, Scope,
    dialogue::{self, Pace, before_tls, line::Line},
    net::stream::Stream,
    probe::{
        starttls::{Framing, Starttls},
        tls::{self, Collection, Extent, Served},
    },
    stop::Stop,
};

pub use datagrams::{collect_by_dtls, collect_by_quic};

/// How many bytes one connection may bring. The largest chains in use have some 100 KiB.
const BYTES: usize = 256 << 10;

/// How often the stop is looked at. A stop must act within 100 ms.
const LOOK: Duration = Duration::from_millis(50);

/// The driver of collections.
#[derive(Clone, Debug)]
pub struct Collecting {
    /// What we may send to.
    pub scope: Arc<Scope>,
    /// Where we stand.
    pub vantage: Vantage,
    /// How fast.
    pub pace: Pace,
    /// Ends it early.
    pub stop: Stop,
    /// Connections at once in all; keep it below the limit of open files.
    pub at_once: usize,
    /// How long one connection may take, to be made and then to bring the chain. Waiting for
    /// our own pace to let us speak is not counted. 5 s is enough for slow devices.
    pub time: Duration,
    /// How much is asked of an endpoint. Of those on ports of fragile devices, and of addresses
    /// in `gentle`, never more than [`Extent::Gentle`].
    pub extent: Extent,
    /// Addresses that were found to be fragile.
    pub gentle: BTreeSet<IpAddr>,
    /// The dialogues that come before TLS, of those endpoints that have one.
    pub starttls: BTreeMap<Endpoint, Starttls>,
    /// Those UDP endpoints that speak QUIC.
    pub quic: BTreeSet<Endpoint>,
}

/// What collecting brought, beside its observations.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Outcome {
    /// What each endpoint showed, of those that had their turn.
    pub served: BTreeMap<Endpoint, Served>,
    /// Endpoints without a certificate, with the reason, ascending.
    pub gaps: Vec<Gap>,
    /// Whether every endpoint had its turn. Gaps leave it true, a stop does not.
    pub complete: bool,
}

impl Outcome {
    fn gap(&mut self, endpoint: Endpoint, reason: String) {
        self.gaps.push(Gap { target: endpoint.to_string(), reason });
    }
}

impl Collecting {
    /// Asks each endpoint for its chains, without a name and with each of its names, the most
    /// important one first: TCP ones by TLS, UDP ones by QUIC or DTLS.
    /// `observe` gets each observation as its endpoint ends, `progress` how many of how many
    /// endpoints are done.
    ///
    /// Returns early, with what there is, when the stop is requested. Must run inside a tokio
    /// runtime with time and I/O.
    pub async fn collect(
        &self,
        endpoints: BTreeMap<Endpoint, Vec<ServerName>>,
        observe: &mut dyn FnMut(Observation),
        progress: &mut dyn FnMut(usize, usize),
    ) -> Outcome {
        let total = endpoints.len();
        let mut outcome = Outcome { complete: true, ..Outcome::default() };
        let shares = Shares::default();
        let mut waiting: BTreeMap<IpAddr, VecDeque<_>> = BTreeMap::new();
        for (endpoint, names) in endpoints {
            waiting.entry(endpoint.address).or_default().push_back((endpoint, names));
        }
        // Addresses that nobody is talking with, each with something left to ask.
        let mut ready: VecDeque<IpAddr> = waiting.keys().copied().collect();
        let mut tasks = JoinSet::new();
        let mut running: HashMap<tokio::task::Id, Endpoint> = HashMap::new();
        let mut done = 0;
        progress(done, total);
        while !self.stop.is_requested() {
            while running.len() < self.at_once.max(1)
                && let Some(address) = ready.pop_front()
            {
                let next = waiting.get_mut(&address).and_then(VecDeque::pop_front);
                let Some((endpoint, names)) = next else { continue };
                match self.scope.permit(address) {
                    Ok(permit) => {
                        let (pace, time) = (self.pace.clone(), self.time);
                        let extent = self.extent_for(endpoint);
                        let starttls = self.starttls.get(&endpoint).copied();
                        let (port, shares) = (endpoint.port, shares.clone());
                        let task = match endpoint.transport {
                            Transport::Tcp => tasks.spawn(async move {
                                let collection = Collection::new(names, extent).behind(starttls);
                                collect_certificates(permit, port, collection, &pace, time, &shares)
                                    .await
                            }),
                            Transport::Udp if self.quic.contains(&endpoint) => {
                                tasks.spawn(async move {
                                    let collection = Collection::over_quic(names, extent);
                                    collect_by_quic(permit, port, collection, &pace, time, &shares)
                                        .await
                                })
                            }
                            Transport::Udp => tasks.spawn(async move {
                                let collection = Collection::over_datagrams(names, extent);
                                collect_by_dtls(permit, port, collection, &pace, time).await
                            }),
                        };
                        running.insert(task.id(), endpoint);
                    }
                    Err(refused) => {
                        outcome.gap(endpoint, refused.to_string());
                        ready.push_back(address);
                        done += 1;
                        progress(done, total);
                    }
                }
            }
            if running.is_empty() {
                break;
            }
            // Nothing ends: look at the stop again.
            let Ok(Some(ended)) = timeout(LOOK, tasks.join_next_with_id()).await else {
                continue;
            };
            let (id, served) = match ended {
                Ok((id, served)) => (id, Some(served)),
                Err(error) => (error.id(), None),
            };
            let Some(endpoint) = running.remove(&id) else { continue };
            ready.push_back(endpoint.address);
            done += 1;
            match served {
                Some(served) => {
                    self.report(endpoint, &served, observe);
                    if let (true, false, Some(why)) =
                        (served.chains.is_empty(), served.is_plain, &served.refusal)
                    {
                        outcome.gap(endpoint, format!("no certificate: {why}"));
                    }
                    outcome.served.insert(endpoint, served);
                }
                None => outcome.gap(endpoint, "our conversation with it failed inside".to_owned()),
            }
            progress(done, total);
        }
        // Ending the tasks closes what they hold.
        tasks.shutdown().await;
        outcome.gaps.sort_unstable();
        if done < total {
            outcome.complete = false;
            outcome.gaps.push(Gap {
                target: format!("{} endpoints", total - done),
                reason: format!("not asked for certificates: {}", self.stop.reason()),
            });
        }
        outcome
    }

    fn extent_for(&self, endpoint: Endpoint) -> Extent {
        let fragile = dialogue::is_of_something_fragile(endpoint.port)
            || self.gentle.contains(&endpoint.address)
            || self.starttls.get(&endpoint).is_some_and(|dialogue| dialogue.counts_strangers());
        if fragile { Extent::Gentle } else { self.extent }
    }

    /// All at one time: certificates that are served side by side are told by it from those that
    /// follow each other.
    fn report(&self, endpoint: Endpoint, served: &Served, observe: &mut dyn FnMut(Observation)) {
        let observed_at = self.pace.clock().timestamp();
        // A chain is its own evidence, and stored whole.
        let facts = served.facts().into_iter().map(|fact| (fact, Vec::new()));
        let stapled = served.stapled.iter().map(|(certificate, response)| {
            (Fact::OcspResponse { certificate: certificate.clone() }, response.clone())
        });
        for (fact, evidence) in facts.chain(stapled) {
            observe(Observation {
                observed_at,
                vantage: self.vantage.clone(),
                method: Method::Tls,
                subject: Subject::Endpoint(endpoint),
                fact,
                evidence,
            });
        }
    }
}

/// Asks one TCP endpoint what the collection wants to know, one connection after another. Each
/// connection has its own `time`, and a server that lets it pass twice is not asked again.
/// `shares` are those of the whole run.
pub async fn collect_certificates(
    to: Permit,
    port: u16,
    mut collection: Collection,
    pace: &Pace,
    time: Duration,
    shares: &Shares,
) -> Served {
    while let Some(question) = collection.next() {
        let mut entropy = [0; 64];
        let collector = getrandom::fill(&mut entropy)
            .map_err(|_| HelloError::NoRandomness)
            .and_then(|()| Collector::sharing(&question, entropy, shares));
        let outcome = match collector {
            Err(why) => tls::Outcome::Failed(why),
            Ok(collector) => match Stream::connect(to, port, pace, BYTES, time).await {
                Err(_) => tls::Outcome::NoConnection,
                Ok(stream) => {
                    let clock = pace.clock();
                    let until = clock.now().saturating_add(time);
                    let line = Line { stream, clock, until };
                    attempt(line, collector, to.address(), &mut collection).await
                }
            },
        };
        collection.record(outcome);
    }
    collection.finish()
}

/// One attempt over one connection, the dialogue before TLS first where there is one.
async fn attempt(
    mut line: Line,
    collector: Collector,
    address: IpAddr,
    collection: &mut Collection,
) -> tls::Outcome {
    let dialogue = collection.starttls();
    if let Some(dialogue) = dialogue {
        let address = address.to_string();
        let name = collection.host_name().unwrap_or(&address);
        match before_tls::open(&mut line, dialogue, name).await {
            Ok(0) => {}
            Ok(_) => collection.note_leftovers(),
            Err(why) => {
                line.stream.close().await;
                return tls::Outcome::BeforeTls(why);
            }
        }
    }
    let left = line.left();
    converse(line.stream, collector, Framing::behind(dialogue), left).await
}

/// One hello and what comes of it.
async fn converse(
    mut stream: Stream,
    mut collector: Collector,
    mut framing: Framing,
    time: Duration,
) -> tls::Outcome {
    // Our own pace is waited for before the server's time begins.
    stream.turn(collector.hello().len()).await;
    let outcome = match timeout(time, talk(&mut stream, &mut collector, &mut framing)).await {
        Ok(progress) => concluded(progress),
        // A chain that had come by then is kept.
        Err(_) => match concluded(collector.end()) {
            tls::Outcome::Failed(_) => tls::Outcome::TimedOut,
            outcome => outcome,
        },
    };
    if matches!(outcome, tls::Outcome::Collected(_)) {
        let farewell = collector.farewell();
        if !farewell.is_empty() {
            stream.turn(farewell.len()).await;
            // The server may have gone; it has said what we wanted.
            let _ = timeout(LOOK, stream.write(&framing.wrap(farewell))).await;
        }
    }
    stream.close().await;
    outcome
}

fn concluded(progress: Progress) -> tls::Outcome {
    match progress {
        Progress::Done(collected) => tls::Outcome::Collected(collected),
        Progress::Failed(why) => tls::Outcome::Failed(why),
        Progress::More | Progress::Say(_) => tls::Outcome::TimedOut,
    }
}

async fn talk(stream: &mut Stream, collector: &mut Collector, framing: &mut Framing) -> Progress {
    let mut ours = collector.hello().to_vec();
    let mut theirs = Vec::new();
    loop {
        // A connection that breaks while we speak may still hold what the server said.
        let _ = stream.write(&framing.wrap(ours)).await;
        ours = loop {
            if !matches!(stream.read(&mut theirs).await, Ok(1..)) {
                return match collector.end() {
                    Progress::Failed(_) if stream.is_exhausted() => {
                        Progress::Failed(HelloError::TooLarge)
                    }
                    over => over,
                };
            }
            let Some(bytes) = framing.unwrap(std::mem::take(&mut theirs)) else {
                return Progress::Failed(HelloError::NotTls);
            };
            match collector.feed(&bytes) {
                Progress::More => {}
                Progress::Say(more) => {
                    stream.turn(more.len()).await;
                    break more;
                }
                over => return over,
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, sync::Mutex};

    use certs::hello::TLS12;
    use model::{AddressRange, Site};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    use super::*;
    use crate::{
        net::clock::Clock,
        rate::{Pacer, Rates},
    };

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// A driver in a hurry.
    fn collecting() -> Collecting {
        let rates = Rates { total: 100_000, per_host: 100_000, ..Rates::default() };
        Collecting {
            scope: Arc::new(Scope::new(vec![AddressRange::single(HERE)], vec![])),
            vantage: Vantage { site: Site("test".into()), name: "here".into() },
            pace: Pace::new(Arc::new(Mutex::new(Pacer::new(rates))), Clock::start()),
            stop: Stop::new(),
            at_once: 16,
            time: Duration::from_millis(500),
            extent: Extent::default(),
            gentle: BTreeSet::new(),
            starttls: BTreeMap::new(),
            quic: BTreeSet::new(),
        }
    }

    /// A server that does this with each connection. Returns its endpoint.
    async fn serve<F>(answer: impl Fn(TcpStream) -> F + Send + 'static) -> Endpoint
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((HERE, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(answer(socket));
            }
        });
        Endpoint::tcp(HERE, port)
    }

    /// A first flight of TLS 1.2 with one certificate, which is noise.
    fn flight() -> Vec<u8> {
        let mut hello = vec![2, 0, 0, 38, 3, 3];
        hello.extend([7; 32]);
        hello.extend([0, 0, 0x2f, 0]);
        let certificate = [&[11, 0, 0, 11, 0, 0, 8, 0, 0, 5][..], b"noise"].concat();
        let messages = [hello, certificate, vec![14, 0, 0, 0]].concat();
        let length = u16::try_from(messages.len()).unwrap().to_be_bytes();
        [&[22, 3, 3], &length[..], &messages].concat()
    }

    /// Reads a hello; true if it offers TLS 1.3, which only the modern one does: its key shares
    /// come last, those of the wide one never.
    async fn hello(socket: &mut TcpStream) -> bool {
        let mut header = [0; 5];
        socket.read_exact(&mut header).await.unwrap();
        let mut body = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
        socket.read_exact(&mut body).await.unwrap();
        body.windows(7).any(|extension| extension == [0, 43, 0, 3, 2, 3, 4])
    }

    async fn collect(collecting: &Collecting, all: &[Endpoint]) -> (Vec<Observation>, Outcome) {
        let endpoints = all.iter().map(|endpoint| (*endpoint, Vec::new())).collect();
        let mut observations = Vec::new();
        let mut last = (0, 0);
        let observe = &mut |observation| observations.push(observation);
        let outcome =
            collecting.collect(endpoints, observe, &mut |done, of| last = (done, of)).await;
        assert_eq!(outcome.complete, last.0 == all.len());
        assert_eq!(last.1, all.len());
        (observations, outcome)
    }

    #[tokio::test]
    async fn a_chain_becomes_observations() {
        let server = serve(|mut socket| async move {
            let answer =
                if hello(&mut socket).await { vec![21, 3, 3, 0, 2, 2, 70] } else { flight() };
            socket.write_all(&answer).await.unwrap();
            let _ = socket.read_to_end(&mut Vec::new()).await;
        })
        .await;
        let (observations, outcome) = collect(&collecting(), &[server]).await;
        assert!(outcome.gaps.is_empty() && outcome.complete, "{outcome:?}");
        let served = &outcome.served[&server];
        assert!(served.accepted.keys().eq([&TLS12]));
        let first = &observations[0];
        assert_eq!((first.method, first.subject), (Method::Tls, Subject::Endpoint(server)));
        assert!(matches!(&first.fact, Fact::Certificates(c) if c.chain == [b"noise".to_vec()]));
        assert!(matches!(&observations[1].fact, Fact::Tls(server) if server.accepted.len() == 1));
        assert!(observations[2..].iter().all(|o| matches!(o.fact, Fact::Anomaly { .. })));
        assert!(observations.len() > 2, "noise is an anomaly");
    }

    #[tokio::test]
    async fn hostile_servers_cost_their_own_limits() {
        let silent = serve(|mut socket| async move {
            let _ = socket.read_to_end(&mut Vec::new()).await;
        })
        .await;
        // A record that promises 16 KiB and stops.
        let unfinished = serve(|mut socket| async move {
            socket.write_all(&[22, 3, 3, 64, 0, 2]).await.unwrap();
            let _ = socket.read_to_end(&mut Vec::new()).await;
        })
        .await;
        let endless = serve(|mut socket| async move {
            let record = [&[22, 3, 3, 64, 0][..], &[0; 16_384]].concat();
            while socket.write_all(&record).await.is_ok() {}
        })
        .await;
        let slammed = serve(|socket| async move { drop(socket) }).await;
        let collecting = collecting();
        let clock = collecting.pace.clock();
        let began = clock.now();
        let all = [silent, unfinished, endless, slammed];
        let (observations, outcome) = collect(&collecting, &all).await;
        let took = clock.now().saturating_sub(began);
        // One address, so one after the other: two connections of 0.5 s for each of the first
        // two, six short ones for the last two at most.
        assert!(took < Duration::from_secs(10), "{took:?}");
        assert!(outcome.complete && outcome.served.len() == 4);
        assert_eq!(outcome.gaps.len(), 4);
        assert!(observations.iter().all(|o| matches!(o.fact, Fact::Anomaly { .. })));
        let refusal = |endpoint| outcome.served[endpoint].refusal.clone().unwrap();
        assert_eq!(refusal(&silent), "it let its time pass");
        assert_eq!(refusal(&unfinished), "it let its time pass");
    }

    #[tokio::test]
    async fn no_certificate_is_a_gap_unless_there_is_none() {
        let mail = |extensions: &'static [u8], answer: &'static [u8]| {
            serve(move |mut socket| async move {
                for words in [b"220 mail\r\n", extensions, answer] {
                    let _ = socket.write_all(words).await;
                    let _ = socket.read(&mut [0; 64]).await;
                }
            })
        };
        let plain = mail(b"250 mail\r\n", b"").await;
        let ailing = mail(b"250-mail\r\n250 STARTTLS\r\n", b"454 no key\r\n").await;
        let starttls = [plain, ailing].map(|endpoint| (endpoint, Starttls::Smtp)).into();
        let collecting = Collecting { starttls, ..collecting() };
        let (observations, outcome) = collect(&collecting, &[plain, ailing]).await;
        assert_eq!(observations, []);
        let [gap] = &outcome.gaps[..] else { panic!("{outcome:?}") };
        assert_eq!(gap.target, ailing.to_string());
        assert_eq!(gap.reason, "no certificate: it refuses before TLS: 454 no key");
        assert_eq!(outcome.served[&plain].connections, 1);
        assert_eq!(outcome.served[&ailing].connections, 1);
    }

    #[test]
    fn who_counts_strangers_is_asked_gently() {
        let [database, mail] = [3306, 25].map(|port| Endpoint::tcp(HERE, port));
        let starttls = [(database, Starttls::Mysql), (mail, Starttls::Smtp)].into();
        let collecting = Collecting { starttls, ..collecting() };
        assert_eq!(collecting.extent_for(database), Extent::Gentle);
        assert_eq!(collecting.extent_for(mail), Extent::Versions);
    }

    #[tokio::test]
    async fn a_stop_ends_it_and_is_said() {
        let stop = Stop::new();
        let stopping = stop.clone();
        let silent = serve(move |mut socket| {
            // Asked for once the conversation is under way.
            stopping.by_signal(2);
            async move {
                let _ = socket.read_to_end(&mut Vec::new()).await;
            }
        })
        .await;
        let collecting = Collecting { stop, time: Duration::from_secs(60), ..collecting() };
        let clock = collecting.pace.clock();
        let began = clock.now();
        let all = [silent];
        let (_, outcome) = collect(&collecting, &all).await;
        assert!(clock.now().saturating_sub(began) < Duration::from_secs(5));
        assert!(!outcome.complete);
        assert!(outcome.gaps[0].reason.ends_with("interrupted (SIGINT)"), "{outcome:?}");
    }

    #[tokio::test]
    async fn nobody_is_asked_without_leave() {
        let collecting = Collecting { scope: Arc::default(), ..collecting() };
        let (observations, outcome) = collect(&collecting, &[Endpoint::tcp(HERE, 9)]).await;
        assert!(observations.is_empty() && outcome.served.is_empty() && outcome.complete);
        assert!(outcome.gaps[0].reason.contains("not among the targets"), "{outcome:?}");
    }
}
