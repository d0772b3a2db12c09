//! `daicho certs collect TARGET[:PORT]…`: the certificates of the servers that are named. Nobody is
//! searched for, and what else there may be at an address is not asked.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::IpAddr,
    sync::{Arc, Mutex},
};

use anyhow::{Context as _, Result, bail, ensure};
use certs::hello::ServerName;
use inventory::store::{OpenMode, ReviewSummary, Store, StoredCertificate, Writer};
use jiff::tz::TimeZone;
use model::{
    AddressRange, Coverage, Endpoint, Fact, Gap, Method, Observation, PortSet, PortState, ScanId,
    ScanRecord, Severity, Subject, Transport,
};
use scanner::{
    Scope,
    dialogue::{ControlSystems, Door, Open, Pace, is_left_alone},
    net::clock::Clock,
    places,
    ports::PortSpec,
    probe::{starttls::Starttls, tls::Served},
    rate::Pacer,
    stop::Stop,
    targets::{self, Purpose, Target},
};

use crate::{
    FAILED,
    cli::{
        Ended,
        args::{Collect, Format},
        certs::table,
        conclude::Notes,
        fragile::Known,
        listen_for_signals,
        progress::Bar,
        scope::{self, Chosen},
        sweep::end_with_the_window,
        talk::Talk,
        window,
    },
    clock,
    compose::Settings,
    report::{
        certificate::Concluded,
        count, finding,
        json::{ScanJson, ServersJson},
        print, print_json,
    },
    tell,
};

/// At most so many endpoints are asked. Who has more addresses than servers has them swept, which
/// finds out first who is there.
const MOST: usize = 65_536;

/// What is to be asked, by how each is reached.
type Doors = BTreeMap<Endpoint, (Door, Vec<ServerName>)>;

pub(super) async fn run(
    settings: &Settings,
    arguments: &Collect,
    format: Format,
    stop: &Stop,
) -> Result<Ended> {
    let ports: PortSpec = arguments.ports.parse().context("--ports")?;
    let (wanted, mut gaps) = read(&arguments.targets)?;
    let excluded = [&settings.exclude[..], &arguments.exclude].concat();
    let texts: Vec<String> = wanted.iter().map(|wanted| wanted.text.clone()).collect();
    let chosen = scope::choose(&texts, &excluded, false).await?;
    gaps.extend(chosen.gaps.iter().cloned());
    let mut endpoints = Endpoints::of(&wanted, &ports, &chosen)?;
    gaps.append(&mut endpoints.left_alone);
    ensure!(
        !endpoints.all.is_empty() || !gaps.is_empty(),
        "there is nothing to ask: no port is left"
    );

    let time_left = window::time_left(&settings.windows, clock::now(), TimeZone::system())?;
    listen_for_signals(stop)?;
    end_with_the_window(stop, time_left);
    let store = Store::open(&settings.database, OpenMode::ReadWrite).await?;
    let (vantage, started_at) = (&settings.vantage, clock::now());
    let io = "connect";
    let scan =
        store.begin_scan(vantage, started_at, io, &arguments.targets, "certs collect").await?;
    let (sink, writer) = Writer::start(&store, scan)?;
    let turn = u64::try_from(scan.0).unwrap_or_default();
    let is_wanted = |address| chosen.scope.permit(address).is_ok();
    let known = Known::read(&store, &vantage.site, &is_wanted, turn).await?;
    let pacer = Arc::new(Mutex::new(Pacer::new(settings.rates)));
    let asking = Asking {
        talk: Talk {
            settings,
            scope: Arc::new(chosen.scope),
            pace: Pace::new(pacer, Clock::start()),
            stop: stop.clone(),
        },
        known,
        bar: Bar::new(&store, scan),
    };
    let mut observe = |observation: Observation| {
        // The writer says why at its end.
        if tokio::task::block_in_place(|| sink.send_blocking(observation)).is_err() {
            stop.request();
        }
    };
    let mut asked = asking.ask(&endpoints, &mut observe).await;
    asking.bar.clear();
    drop(sink);
    let written = writer.finish().await?;
    asked.gaps.extend(gaps);

    let answered = asked.served.values().filter(|served| served.is_there).count();
    let record = ScanRecord {
        vantage: vantage.clone(),
        started_at,
        ended_at: Some(clock::now()),
        io: io.to_owned(),
        probes_sent: asking.talk.pace.packets(),
        replies: answered as u64,
        drops: written.dropped,
        complete: asked.complete,
        coverage: covered(&asked.served),
        gaps: asked.gaps,
    };
    store.finish_scan(scan, &record).await?;
    store.digest(scan, clock::now()).await?;
    let review = store.review(clock::now(), &settings.policy).await?;
    report(settings, &store, scan, &record, &review, &asked.served, format).await?;
    store.close().await;

    let has_one = |endpoint| asked.served.get(endpoint).is_some_and(|s| !s.chains.is_empty());
    let is_missed =
        !chosen.gaps.is_empty() || !endpoints.named.iter().all(|places| places.iter().any(has_one));
    let fails = |least| !finding::open(&review.findings, least).is_empty();
    let code = match stop.exit_code() {
        Some(code) => code,
        None if is_missed => FAILED,
        None => u8::from(arguments.fail_on.is_some_and(fails)),
    };
    Ok(Ended { code, scan: Some(scan), complete: record.complete, resume_at: None })
}

/// A target that is to be asked.
struct Wanted {
    /// As the scope is to read it.
    text: String,
    target: Target,
    port: Option<(Transport, u16)>,
}

/// Reads the targets. A mistake on the command line ends the command, one in a list costs only
/// itself and becomes a gap.
fn read(arguments: &[String]) -> Result<(Vec<Wanted>, Vec<Gap>)> {
    let (mut wanted, mut wrong, mut gaps) = (Vec::new(), Vec::new(), Vec::new());
    for argument in arguments {
        match one(argument) {
            Ok(Wanted { target: Target::File(path), .. }) => {
                let text = fs::read_to_string(&path)
                    .with_context(|| format!("cannot read the list {path}"))?;
                let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
                for (line, number) in text.lines().zip(1..) {
                    let line = line.split('#').next().unwrap_or_default().trim();
                    let problem = match one(line) {
                        _ if line.is_empty() => continue,
                        Ok(Wanted { target: Target::File(_), .. }) => {
                            "a list cannot name another list".to_owned()
                        }
                        Ok(one) => {
                            wanted.push(one);
                            continue;
                        }
                        Err(problem) => problem,
                    };
                    let reason = format!("{path}, line {number}: {problem}");
                    tell::line(&format!("not asked: {reason}"));
                    gaps.push(Gap { target: line.to_owned(), reason });
                }
            }
            Ok(one) => wanted.push(one),
            Err(problem) => wrong.push(problem),
        }
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    Ok((wanted, gaps))
}

fn one(argument: &str) -> std::result::Result<Wanted, String> {
    let place = places::split(argument).map_err(|error| error.to_string())?;
    let target =
        targets::parse(place.target, Purpose::Target).map_err(|error| error.to_string())?;
    if let Target::Area(area) = target {
        return Err(format!(
            "{argument:?}: {area} has more addresses than can be asked one by one: a sweep searches \
             it for those that are in use"
        ));
    }
    Ok(Wanted { text: place.target.to_owned(), target, port: place.port })
}

/// Whom to ask.
struct Endpoints {
    /// Each with the names by which it was given.
    all: BTreeMap<Endpoint, Vec<ServerName>>,
    /// Where each target is that names one server, and not a network in which there may be some.
    named: Vec<BTreeSet<Endpoint>>,
    left_alone: Vec<Gap>,
}

impl Endpoints {
    fn of(wanted: &[Wanted], ports: &PortSpec, chosen: &Chosen) -> Result<Self> {
        let mut endpoints =
            Self { all: BTreeMap::new(), named: Vec::new(), left_alone: Vec::new() };
        let tcp = ports.tcp.iter().map(|port| (Transport::Tcp, port));
        let usual: Vec<_> =
            tcp.chain(ports.udp.iter().map(|port| (Transport::Udp, port))).collect();
        for Wanted { target, port, .. } in wanted {
            let ports = port.as_ref().map_or(&usual[..], std::slice::from_ref);
            let mut places = BTreeSet::new();
            let scope = &chosen.scope;
            match target {
                Target::Range(range) => {
                    for address in (0..range.len()).map_while(|index| range.nth(index)) {
                        endpoints.add(address, ports, None, scope, &mut places)?;
                    }
                    if range.first() != range.last() {
                        continue;
                    }
                }
                Target::Name(name) => {
                    let leads = chosen.names.iter().filter(|(_, names)| names.contains(name));
                    for (address, _) in leads {
                        let name = ServerName::new(name);
                        endpoints.add(*address, ports, name.as_ref(), scope, &mut places)?;
                    }
                }
                // Refused or read before.
                Target::Area(_) | Target::File(_) => {}
            }
            endpoints.named.push(places);
        }
        Ok(endpoints)
    }

    fn add(
        &mut self,
        address: IpAddr,
        ports: &[(Transport, u16)],
        name: Option<&ServerName>,
        scope: &Scope,
        places: &mut BTreeSet<Endpoint>,
    ) -> Result<()> {
        if scope.permit(address).is_err() {
            return Ok(());
        }
        for (transport, port) in ports {
            let endpoint = Endpoint { address, transport: *transport, port: *port };
            if is_left_alone(*port, ControlSystems::LeaveAlone) {
                let reason = "not asked: what listens there prints or switches what it gets";
                let (target, reason) = (endpoint.to_string(), reason.to_owned());
                self.left_alone.push(Gap { target, reason });
                continue;
            }
            let names = self.all.entry(endpoint).or_default();
            let new = name.filter(|name| !names.contains(name)).cloned();
            names.extend(new);
            places.insert(endpoint);
            ensure!(
                self.all.len() <= MOST,
                "these are more than {MOST} endpoints: sweep them instead, which asks first who is \
                 there"
            );
        }
        Ok(())
    }
}

/// What came of asking.
struct Asked {
    served: BTreeMap<Endpoint, Served>,
    gaps: Vec<Gap>,
    complete: bool,
}

struct Asking<'a> {
    talk: Talk<'a>,
    known: Known,
    bar: Bar,
}

impl Asking<'_> {
    /// Asks each as is usual at its port, and those that speak otherwise once more.
    async fn ask(&self, endpoints: &Endpoints, observe: &mut dyn FnMut(Observation)) -> Asked {
        let doors = endpoints.all.iter().map(|(endpoint, names)| {
            let known = self.known.names.at(*endpoint).iter();
            let names = names.iter().chain(known).cloned().collect();
            (*endpoint, (usual(*endpoint), names))
        });
        let doors: Doors = doors.collect();
        let mut asked = Asked { served: BTreeMap::new(), gaps: Vec::new(), complete: true };
        self.collect(&doors, &mut asked, observe).await;
        let again = self.otherwise(&doors, &mut asked, observe).await;
        self.collect(&again, &mut asked, observe).await;
        asked
    }

    async fn collect(
        &self,
        doors: &Doors,
        asked: &mut Asked,
        observe: &mut dyn FnMut(Observation),
    ) {
        if doors.is_empty() {
            return;
        }
        let fragile = doors.keys().map(|endpoint| endpoint.address);
        let gentle: BTreeSet<IpAddr> =
            fragile.filter(|address| self.known.is_fragile(*address, None)).collect();
        for address in &gentle {
            self.talk.pace.be_gentle(*address);
        }
        let mut progress = |done, of| self.bar.talk("certificates", done, of);
        let collected = self.talk.collect(doors.clone(), gentle, observe, &mut progress).await;
        let again: BTreeSet<String> = doors.keys().map(ToString::to_string).collect();
        asked.gaps.retain(|gap| !again.contains(&gap.target));
        asked.gaps.extend(collected.gaps);
        asked.complete &= collected.complete;
        for (endpoint, served) in collected.served {
            if served.is_there && endpoint.transport == Transport::Tcp {
                observe(self.is_open(endpoint));
            }
            asked.served.insert(endpoint, served);
        }
    }

    /// Other ways to those that did not speak as is usual at their port: by what they say over TCP,
    /// and over UDP, where QUIC was asked for, by DTLS.
    async fn otherwise(
        &self,
        doors: &Doors,
        asked: &mut Asked,
        observe: &mut dyn FnMut(Observation),
    ) -> Doors {
        let mut ways = BTreeMap::new();
        let mut open = Vec::new();
        for (endpoint, served) in &asked.served {
            let in_vain = served.chains.is_empty() && !served.speaks_tls && !served.is_plain;
            match endpoint.transport {
                _ if !in_vain => {}
                Transport::Udp => _ = ways.insert(*endpoint, Door::Tls),
                Transport::Tcp if served.is_there => {
                    let gentle = self.known.is_fragile(endpoint.address, None);
                    open.push(Open { gentle, ..Open::at(*endpoint) });
                }
                Transport::Tcp => {}
            }
        }
        if !open.is_empty() {
            let mut progress = |done, of| self.bar.talk("what speaks there", done, of);
            let talked = self.talk.converse(open, observe, &mut progress).await;
            asked.complete &= talked.complete;
            ways.extend(talked.doors());
        }
        ways.retain(|endpoint, door| doors.get(endpoint).is_some_and(|(first, _)| first != door));
        let dressed = ways.into_iter().filter_map(|(endpoint, door)| {
            doors.get(&endpoint).map(|(_, names)| (endpoint, (door, names.clone())))
        });
        dressed.collect()
    }

    fn is_open(&self, endpoint: Endpoint) -> Observation {
        Observation {
            observed_at: self.talk.pace.clock().timestamp(),
            vantage: self.talk.settings.vantage.clone(),
            method: Method::TcpConnect,
            subject: Subject::Endpoint(endpoint),
            fact: Fact::PortState(PortState::Open),
            evidence: Vec::new(),
        }
    }
}

/// How TLS is reached at an endpoint of which only the port is known.
fn usual(endpoint: Endpoint) -> Door {
    match endpoint.transport {
        Transport::Udp => Door::Quic,
        Transport::Tcp => Starttls::at_port(endpoint.port).map_or(Door::Tls, Door::Starttls),
    }
}

/// Where silence means something: at the endpoints that were there. That nobody answered at one
/// port says nothing of the address.
fn covered(served: &BTreeMap<Endpoint, Served>) -> Vec<Coverage> {
    let mut addresses: BTreeMap<IpAddr, Vec<Endpoint>> = BTreeMap::new();
    for (endpoint, served) in served {
        let is_there = match endpoint.transport {
            Transport::Tcp => served.is_there,
            Transport::Udp => served.speaks_tls,
        };
        if is_there {
            addresses.entry(endpoint.address).or_default().push(*endpoint);
        }
    }
    let ports = |all: &[Endpoint], transport| -> PortSet {
        all.iter().filter(|one| one.transport == transport).map(|one| one.port).collect()
    };
    let of = |(address, all): (IpAddr, Vec<Endpoint>)| Coverage {
        range: AddressRange::single(address),
        methods: vec![Method::Tls],
        tcp: ports(&all, Transport::Tcp),
        udp: ports(&all, Transport::Udp),
    };
    addresses.into_iter().map(of).collect()
}

async fn report(
    settings: &Settings,
    store: &Store,
    scan: ScanId,
    record: &ScanRecord,
    review: &ReviewSummary,
    served: &BTreeMap<Endpoint, Served>,
    format: Format,
) -> Result<()> {
    let mut found = store.certificates(None).await?;
    let is_here = |certificate: &StoredCertificate| {
        certificate.endpoints.iter().any(|(_, place)| {
            let endpoint =
                Endpoint { address: place.address, transport: place.transport, port: place.port };
            place.current && place.last_seen >= record.started_at && served.contains_key(&endpoint)
        })
    };
    found.retain(is_here);
    let compared = &review.compared;
    let concluded = Concluded::new(compared, settings.policy.thresholds, clock::now());
    let shown: Vec<_> = found.iter().map(|certificate| concluded.show(certificate)).collect();
    let findings = finding::open(&review.findings, Severity::Info);
    let summary = format!(
        "{} of {}, {}, {}",
        count(shown.len() as u64, "certificate", "certificates"),
        count(served.len() as u64, "endpoint", "endpoints"),
        count(findings.len() as u64, "open finding", "open findings"),
        count(record.probes_sent, "packet", "packets"),
    );
    if format == Format::Json {
        let owners = &compared.owners;
        print_json(&ServersJson {
            scan: ScanJson::new(scan, record, &Notes::default()),
            certificates: shown.iter().map(crate::report::certificate::Shown::json).collect(),
            findings: findings.into_iter().map(|found| finding::json(found, owners)).collect(),
        })?;
    } else {
        let mut text = match shown.is_empty() {
            true => "no certificates\n".to_owned(),
            false => table(&shown),
        };
        if !findings.is_empty() {
            text.push('\n');
            text.push_str(&finding::table(&findings));
        }
        print(&text)?;
    }
    tell::line(&summary);
    for gap in &record.gaps {
        tell::line(&format!("gap: {}: {}", gap.target, gap.reason));
    }
    Ok(())
}
