//! `daicho sweep`: asks the network, stores what it says, and prints what is there and what
//! is wrong.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    ops::ControlFlow,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use certs::hello::ServerName;
use inventory::store::{OpenMode, ReviewSummary, Sink, Store, Writer};
use jiff::tz::TimeZone;
use model::{Endpoint, Gap, MacAddr, Observation, ScanRecord, Severity};
use scanner::{
    LinkError,
    dialogue::{Open, Pace},
    net::{
        Tier,
        clock::Clock,
        interfaces::interfaces,
        resolve::Resolver,
        routes::Routes,
        select::{self, Wanted},
    },
    plan::{Addresses, Plan},
    ports::PortSpec,
    probe::udp,
    rate::{Pacer, Tempo},
    stop::Stop,
    sweep::{Answering, Fragile, Sweep, SweepOutcome, UdpQuestions},
};
use tokio::runtime::Handle;

use crate::{
    cli::{
        Ended,
        args::{self, Format},
        conclude::{Notes, conclude_with},
        fragile::Known,
        listen_for_signals,
        progress::{Bar, spoken},
        refresh::Refresh,
        scope::{self, Chosen},
        search::{Found, Searches},
        talk::Talk,
        window,
    },
    clock,
    compose::Settings,
    report::{count, finding, print, print_json},
    tell,
};

/// Runs the sweep.
pub(crate) async fn run(
    settings: &Settings,
    arguments: &args::Sweep,
    format: Format,
    stop: &Stop,
) -> Result<Ended> {
    let excluded = [&settings.exclude[..], &arguments.exclude].concat();
    let mut chosen = scope::choose(&arguments.targets, &excluded, arguments.yes_large).await?;
    let ports: PortSpec = settings.ports.parse().context("--ports")?;
    let discover = settings.discover.parse().map_err(anyhow::Error::msg).context("--discover")?;
    let scope = scope::part(&chosen.scope, arguments.shard, arguments.resume_at)?;
    // A part of the targets has its exclusions taken out, and so knows them no more.
    let excluding = chosen.scope.clone();
    let interface = settings.interface.as_deref();
    let searches = Searches::plan(&scope, interface, &arguments.targets, &mut chosen.gaps)?;
    ensure!(
        scope.permitted_count() > 0 || !searches.is_empty(),
        "there is nothing to ask: no target is left"
    );
    let mut key = [0; 16];
    getrandom::fill(&mut key).context("the system gives no random numbers")?;
    let plan = Plan {
        scope,
        ports,
        discover,
        rates: settings.rates,
        key,
        assume_alive: settings.assume_alive,
    };
    if arguments.dry_run {
        return dry_run(settings, &plan, &searches, format).map(Ended::with);
    }

    let zone = TimeZone::system();
    let time_left = window::time_left(&settings.windows, clock::now(), zone)?;
    listen_for_signals(stop)?;
    end_with_the_window(stop, time_left);
    let store = Store::open(&settings.database, OpenMode::ReadWrite).await?;
    let (link, reason) = select::open(settings.io, interface, key, wanted(&plan))?;
    // Conversations are paced in the link's own time.
    let clock = Clock::showing(link.now());
    tell::line(&format!("sending by {reason}"));

    let vantage = &settings.vantage;
    let io = link.io();
    let started_at = clock::now();
    let scan = store.begin_scan(vantage, started_at, io, &arguments.targets, "sweep").await?;
    let (sink, writer) = Writer::start(&store, scan)?;
    let scope = &plan.scope;
    let wanted = |address| scope.permit(address).is_ok() || scope.may_find(address);
    let turn = u64::try_from(scan.0).unwrap_or_default();
    let known = Known::read(&store, &vantage.site, &wanted, turn).await?;
    let mut run =
        Run { settings, plan, clock, stop: stop.clone(), bar: Bar::new(&store, scan), known };
    let found = run.search(&searches, link.tier(), &sink);
    let asked = run.ask(chosen, found, link, sink).await?;
    run.bar.clear();
    let written = writer.finish().await?;

    let record = ScanRecord {
        vantage: vantage.clone(),
        started_at,
        ended_at: Some(clock::now()),
        io: io.to_owned(),
        probes_sent: asked.sent,
        replies: asked.replies,
        drops: asked.drops + written.dropped,
        complete: asked.complete,
        gaps: asked.gaps,
        coverage: asked.coverage,
    };
    let refresh = Refresh::new(settings, excluding, stop);
    let (notes, policy) = (&asked.notes, &settings.policy);
    let review =
        conclude_with(&store, scan, &record, notes, policy, refresh.as_ref(), format).await?;
    store.close().await;
    let mut resume_at = None;
    // Once all were asked there is nothing to go on behind.
    let is_part = asked.done > 0 && asked.done < asked.of;
    if stop.is_requested() && is_part && searches.is_empty() {
        let done = arguments.resume_at.unwrap_or(0).saturating_add(asked.done);
        tell::line(&format!("to go on from there: the same command with --resume-at {done}"));
        resume_at = Some(done);
    }
    let code = exit_code(stop, arguments.fail_on, &review);
    Ok(Ended { code, scan: Some(scan), complete: record.complete, resume_at })
}

/// What a scan is run with.
struct Run<'a> {
    settings: &'a Settings,
    plan: Plan,
    clock: Clock,
    stop: Stop,
    bar: Bar,
    known: Known,
}

/// What asking brought, beside the observations.
struct Asked {
    sent: u64,
    replies: u64,
    drops: u64,
    complete: bool,
    gaps: Vec<Gap>,
    coverage: Vec<model::Coverage>,
    /// How many addresses it is done with, and of how many.
    done: u64,
    of: u64,
    notes: Notes,
}

/// The third phase, part by part.
struct Talks<'a> {
    /// Where names are to be asked for.
    resolver: Option<&'a Resolver>,
    /// The names of each address, as given and as the name service knows it.
    names: HashMap<IpAddr, Vec<String>>,
    gaps: Vec<Gap>,
    /// Whether everybody had their turn so far.
    complete: bool,
    packets: u64,
}

impl Run<'_> {
    /// Searches the areas among the targets: what is found is a target from then on.
    fn search(&mut self, searches: &Searches, tier: Tier, sink: &Sink) -> Found {
        let found = tokio::task::block_in_place(|| {
            let mut observe = |observation| self.store(sink, observation);
            let vantage = &self.settings.vantage;
            searches.run(&self.plan, tier, vantage, &self.known.seen, &self.stop, &mut observe)
        });
        self.plan.scope = found.scope.clone();
        found
    }

    /// Asks who is there and what is open, and part by part what speaks there.
    async fn ask(
        &mut self,
        chosen: Chosen,
        found: Found,
        mut link: Box<dyn scanner::net::Link>,
        sink: Sink,
    ) -> Result<Asked> {
        let mut pacer = Pacer::new(self.plan.rates);
        let of = Addresses::new(&self.plan.scope).count();
        let resolver = self.settings.reverse_dns.then(Resolver::system).transpose()?;
        let mut talks = Talks {
            resolver: resolver.as_ref(),
            names: chosen.names,
            gaps: Vec::new(),
            complete: true,
            packets: 0,
        };
        // The sweep is a loop that blocks: it gets a thread where that disturbs nobody.
        let mut outcome = tokio::task::block_in_place(|| {
            self.sweep(&self.plan, &mut *link, &mut pacer, &sink, &mut talks)
        });
        let more = self.other_addresses(&talks).await;
        if !more.is_empty() && !self.stop.is_requested() {
            let scope = self.plan.scope.only(more.iter().map(|(address, _)| *address));
            let plan = Plan { scope, ..self.plan.clone() };
            for (address, name) in more {
                talks.names.entry(address).or_insert_with(|| vec![name]);
            }
            let later = tokio::task::block_in_place(|| {
                self.sweep(&plan, &mut *link, &mut pacer, &sink, &mut talks)
            });
            outcome.join(later);
        }
        Ok(Asked {
            sent: found.sent + outcome.probes_sent + talks.packets,
            replies: found.replies + outcome.replies,
            drops: found.drops + outcome.drops,
            complete: found.complete && outcome.complete && talks.complete,
            gaps: [chosen.gaps, found.gaps, outcome.gaps, talks.gaps].concat(),
            coverage: outcome.coverage,
            done: outcome.done,
            of,
            notes: Notes {
                missed: outcome.missed,
                rate: outcome.rate,
                limited: outcome.limited,
                searched: found.searched,
                ..Notes::default()
            },
        })
    }

    fn sweep(
        &self,
        plan: &Plan,
        link: &mut dyn scanner::net::Link,
        pacer: &mut Pacer,
        sink: &Sink,
        talks: &mut Talks<'_>,
    ) -> SweepOutcome {
        let Settings { control_systems, snmp_public, .. } = *self.settings;
        let question = |address, port, cookie, before| {
            match control_systems || !udp::is_for_control_systems(port) {
                true if snmp_public && port == 161 => {
                    udp::payload_with_public(address, port, cookie)
                }
                true => udp::payload_in_turn(address, port, cookie, before),
                // Whether the port is closed can be seen without a word.
                false => Vec::new(),
            }
        };
        let is_fragile = |address, mac| self.known.is_fragile(address, mac);
        let sweep = Sweep {
            plan,
            vantage: &self.settings.vantage,
            udp: UdpQuestions(&question),
            fragile: Fragile(&is_fragile),
            stop: &self.stop,
        };
        let mut observe = |observation| self.store(sink, observation);
        let mut progress = |progress| self.bar.sweep(progress);
        let mut ask_on = |answering: &Answering, pacer: &mut Pacer| {
            Handle::current().block_on(self.ask_on(plan, answering, pacer, sink, talks))
        };
        sweep.run_in_parts(link, pacer, &mut observe, &mut progress, &mut ask_on)
    }

    /// Asks those of a part for their names and what speaks there.
    async fn ask_on(
        &self,
        plan: &Plan,
        answering: &Answering,
        pacer: &mut Pacer,
        sink: &Sink,
        talks: &mut Talks<'_>,
    ) -> ControlFlow<()> {
        let are_all_named = self.names(talks, answering, sink).await;
        if self.settings.services && !self.stop.is_requested() {
            // Conversations share it: it is lent to them.
            let lent = std::mem::replace(pacer, Pacer::new(plan.rates));
            let lent = Arc::new(Mutex::new(lent));
            let pace = Pace::new(Arc::clone(&lent), self.clock);
            self.talk(plan, answering, talks, &pace, sink).await;
            talks.packets += pace.packets();
            let mut lent = lent.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(pacer, &mut lent);
        } else if self.settings.services && !answering.open.is_empty() {
            talks.complete = false;
            return ControlFlow::Break(());
        }
        match talks.complete && are_all_named {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    }

    /// Hands an observation to the store. Where that fails there is no use in asking on;
    /// the writer says why at its end.
    fn store(&self, sink: &Sink, observation: Observation) {
        if sink.send_blocking(observation).is_err() {
            self.stop.request();
        }
    }

    /// The names of what answers: as given, and where the configuration allows it as the
    /// name service knows them. False where the stop came before it was asked for all.
    async fn names(&self, talks: &mut Talks<'_>, answering: &Answering, sink: &Sink) -> bool {
        let mut all = true;
        for (address, _) in &answering.alive {
            let mut told = talks.names.get(address).cloned().unwrap_or_default();
            match talks.resolver {
                Some(_) if self.stop.is_requested() => all = false,
                Some(resolver) => {
                    told.extend(resolver.names_of(*address).await.unwrap_or_default());
                }
                None => {}
            }
            if !told.is_empty() {
                talks.names.insert(*address, told.clone());
            }
            for name in told {
                self.tell_name(*address, name, sink).await;
            }
        }
        all
    }

    /// The IPv6 addresses in the areas that what answered has by its name, as far as they are
    /// not targets yet. Asked for only where names are: they are from the same name service.
    async fn other_addresses(&self, talks: &Talks<'_>) -> Vec<(IpAddr, String)> {
        let Some(resolver) = talks.resolver else { return Vec::new() };
        if self.plan.scope.areas().is_empty() {
            return Vec::new();
        }
        let names: BTreeSet<&String> =
            talks.names.values().filter_map(|names| names.first()).collect();
        let names: Vec<String> = names.into_iter().cloned().collect();
        // That a name leads nowhere is not a gap: nobody named it as a target.
        let resolved = resolver.all(&names).await;
        let all = resolved.found.into_iter().flat_map(|(name, addresses)| {
            addresses.into_iter().map(move |address| (address, name.clone()))
        });
        all.filter(|(address, _)| self.plan.scope.may_find(*address)).collect()
    }

    async fn tell_name(&self, address: IpAddr, name: String, sink: &Sink) {
        let observation = Observation {
            observed_at: clock::now(),
            vantage: self.settings.vantage.clone(),
            method: model::Method::Resolver,
            subject: model::Subject::Address(address),
            fact: model::Fact::HostName { name, source: model::NameSource::Dns },
            evidence: Vec::new(),
        };
        if sink.send(observation).await.is_err() {
            self.stop.request();
        }
    }

    /// Talks with what is open, and collects the certificates of what speaks TLS, or may after a
    /// few words.
    async fn talk(
        &self,
        plan: &Plan,
        answering: &Answering,
        talks: &mut Talks<'_>,
        pace: &Pace,
        sink: &Sink,
    ) {
        let talk = Talk {
            settings: self.settings,
            scope: Arc::new(plan.scope.clone()),
            pace: pace.clone(),
            stop: self.stop.clone(),
        };
        let names = &talks.names;
        let macs: HashMap<IpAddr, Option<MacAddr>> = answering.alive.iter().copied().collect();
        let replies: HashMap<Endpoint, &Vec<u8>> =
            answering.udp_replies.iter().map(|(endpoint, bytes)| (*endpoint, bytes)).collect();
        let open = |endpoint: &Endpoint| Open {
            endpoint: *endpoint,
            mac: macs.get(&endpoint.address).copied().flatten(),
            server_name: names.get(&endpoint.address).and_then(|names| names.first()).cloned(),
            gentle: answering.gentle.binary_search(&endpoint.address).is_ok(),
            reply: replies.get(endpoint).map(|bytes| (*bytes).clone()),
        };
        let mut observe =
            |observation| tokio::task::block_in_place(|| self.store(sink, observation));
        let open: Vec<Open> = answering.open.iter().map(open).collect();
        let mut progress = |done, of| self.bar.talk("what speaks there", done, of);
        let talked = talk.converse(open, &mut observe, &mut progress).await;

        let doors = talked.doors().into_iter().map(|(endpoint, door)| {
            // A name that cannot be asked for is none that a server could have.
            let given = names.get(&endpoint.address).into_iter().flatten();
            let given = given.filter_map(|name| ServerName::new(name));
            let known = self.known.names.at(endpoint).iter().cloned();
            (endpoint, (door, given.chain(known).collect()))
        });
        let gentle = answering.gentle.iter().copied().collect();
        let mut progress = |done, of| self.bar.talk("certificates", done, of);
        let collected = talk.collect(doors.collect(), gentle, &mut observe, &mut progress).await;
        talks.complete &= talked.complete && collected.complete;
        talks.gaps.extend(talked.gaps);
        talks.gaps.extend(collected.gaps);
    }
}

/// A window that closes ends the sweep.
pub(super) fn end_with_the_window(stop: &Stop, time_left: Option<Duration>) {
    if let Some(time) = time_left {
        let stop = stop.clone();
        tokio::spawn(async move {
            tokio::time::sleep(time).await;
            tell::line("stopping: the window in which this configuration allows sweeps has ended");
            stop.request();
        });
    }
}

fn exit_code(stop: &Stop, fail_on: Option<Severity>, review: &ReviewSummary) -> u8 {
    if let Some(code) = stop.exit_code() {
        return code;
    }
    let failing = fail_on.is_some_and(|least| !finding::open(&review.findings, least).is_empty());
    u8::from(failing)
}

fn wanted(plan: &Plan) -> Wanted {
    let first = plan.scope.permitted().first().map(model::AddressRange::first);
    let area = plan.scope.areas().first().map(|area| area.area().first());
    let packets = plan.estimate(Tier::Raw, &|_| false).most_packets;
    Wanted { rate: plan.rates.total, packets, target: first.or(area) }
}

/// The name of the interface through which the first target would be reached.
fn way_out(plan: &Plan) -> Result<Option<String>> {
    let Some(first) = wanted(plan).target else { return Ok(None) };
    let route = match Routes::open(None)?.to(first) {
        Ok(route) => route,
        Err(LinkError::NoRoute { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let all = interfaces()?;
    Ok(all.into_iter().find(|found| found.index == route.interface).map(|found| found.name))
}

/// Prints the plan: what would be asked, of how many, for how long, and by which way.
fn dry_run(settings: &Settings, plan: &Plan, searches: &Searches, format: Format) -> Result<u8> {
    let (link, reason) =
        select::open(settings.io, settings.interface.as_deref(), plan.key, wanted(plan))?;
    let estimate = plan.estimate(link.tier(), &|address| link.is_on_link(address));
    let through = way_out(plan)?;
    let rate = match plan.rates.tempo {
        Tempo::Steady => plan.rates.total.to_string(),
        Tempo::From(first) => format!("{first} to {}", plan.rates.total),
    };
    match format {
        Format::Json => print_json(&serde_json::json!({
            "addresses": estimate.addresses,
            "tcp_ports": estimate.tcp_ports,
            "udp_ports": estimate.udp_ports,
            "least_packets": estimate.least_packets,
            "most_packets": estimate.most_packets,
            "least_seconds": estimate.least.as_secs(),
            "most_seconds": estimate.most.as_secs(),
            "rate": plan.rates.total,
            "first_rate": plan.rates.first(),
            "host_rate": plan.rates.per_host,
            "network_rate": plan.rates.per_network,
            "io": link.io(),
            "io_reason": reason,
            "interface": through,
            "searches": searches.json(link.tier()),
        }))?,
        Format::Text => print(&format!(
            "{}{}, {} TCP and {} UDP ports of those that are there\n\
             {} to {} packets at {rate} a second in all and {} to one asset: {} to {}\n\
             sending by {reason}, through {}\n\
             nothing was sent\n",
            searches.lines(link.tier()),
            count(estimate.addresses, "address", "addresses"),
            estimate.tcp_ports,
            estimate.udp_ports,
            estimate.least_packets,
            estimate.most_packets,
            plan.rates.per_host,
            spoken(estimate.least),
            spoken(estimate.most),
            through.as_deref().unwrap_or("no interface: there is no route"),
        ))?,
    }
    Ok(0)
}
