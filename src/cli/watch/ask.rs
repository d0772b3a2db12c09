//! Asking what is heard. `scanner::handover` says what is worth a question; here it is asked, some
//! at a time, as a sweep would: with the same permits, rates, limits, windows and manners.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Result, ensure};
use certs::hello::ServerName;
use inventory::store::{Sink, Store};
use jiff::tz::TimeZone;
use model::{Endpoint, Gap, Observation, Site, Subject};
use scanner::{
    Scope,
    dialogue::{Door, Open, Pace},
    handover::{Ask, Handover, Request},
    net::clock::Clock,
    rate::Pacer,
    stop::Stop,
};
use tokio::time::{Instant, sleep};

use super::{Heard, lock};
use crate::{
    cli::{
        args,
        fragile::Known,
        scope,
        talk::{Talk, control_systems},
        window,
    },
    clock,
    compose::Settings,
    tell,
};

/// How often it is looked for requests whose turn it is, and for the stop.
const LOOK: Duration = Duration::from_millis(50);

/// How many requests are asked together: who is slow keeps no more than these waiting.
const AT_ONCE: usize = 128;

/// How often the inventory is asked anew who is fragile, and the name service where targets and
/// exclusions are.
const KNOWN_FOR: Duration = Duration::from_secs(3_600);

/// How long to wait where the name service does not know.
const AGAIN: Duration = Duration::from_secs(30);

/// For how long the rates hold.
const A_SECOND: Duration = Duration::from_secs(1);

/// How many gaps are kept one by one; of more the number.
const MOST_GAPS: usize = 256;

/// What came of asking until now, and what waits for it.
pub(super) struct Asked {
    pub(super) handover: Handover,
    pace: Pace,
    /// Endpoints that answered.
    pub(super) replies: u64,
    gaps: Vec<Gap>,
    more_gaps: u64,
    /// Settings that count from the next question on.
    renewed: Option<Arc<Settings>>,
    /// Stops what is being asked.
    batch: Option<Stop>,
}

impl Asked {
    /// Ends what is being asked, which is put back, and goes on with other settings: whom and
    /// when may be asked, and how fast.
    pub(super) fn renew(&mut self, settings: &Arc<Settings>) {
        self.renewed = Some(Arc::clone(settings));
        if let Some(batch) = &self.batch {
            batch.request();
        }
    }

    /// Packets that went out, those that the kernel sends for us included.
    pub(super) fn packets(&self) -> u64 {
        self.pace.packets()
    }

    fn gap(&mut self, gap: Gap) {
        match self.gaps.len() < MOST_GAPS {
            true => self.gaps.push(gap),
            false => self.more_gaps = self.more_gaps.saturating_add(1),
        }
    }

    /// Where it was asked in vain.
    pub(super) fn gaps(&self) -> Vec<Gap> {
        let mut gaps = self.gaps.clone();
        if self.more_gaps > 0 {
            let reason = "asked in vain, like those before".to_owned();
            gaps.push(Gap { target: format!("{} endpoints", self.more_gaps), reason });
        }
        gaps
    }

    /// What is left to ask, where it ends now.
    pub(super) fn left(&self) -> Option<Gap> {
        let waiting = self.handover.counts().waiting;
        (waiting > 0).then(|| Gap {
            target: format!("{waiting} endpoints"),
            reason: "heard, and not asked before the end".to_owned(),
        })
    }
}

/// Who may be asked, and how.
pub(super) struct Asking {
    settings: Arc<Settings>,
    /// The names by which targets were given.
    names: HashMap<IpAddr, Vec<String>>,
    /// Who may be asked.
    scope: Scope,
    /// Who is never asked, as the command line has it; the configuration has others.
    excluded: Vec<String>,
    pace: Pace,
}

impl Asking {
    /// What is wanted by the configuration and the command line; `None` where nothing is to be
    /// asked.
    ///
    /// # Errors
    ///
    /// Nobody may be asked, or a target cannot be understood.
    pub(super) async fn prepare(
        settings: &Arc<Settings>,
        arguments: &args::Watch,
    ) -> Result<Option<(Self, Asked)>> {
        // What a capture holds was on a network some time ago, perhaps another one.
        if !settings.ask || arguments.interface.is_none() {
            return Ok(None);
        }
        ensure!(
            !settings.ask_targets.is_empty(),
            "there is nobody who may be asked: name the targets behind --ask, such as \
             --ask 192.0.2.0/24, or in watch.targets of the configuration"
        );
        ensure!(
            settings.services,
            "services.enabled is false, and asking what is heard is talking with services"
        );
        let excluded = arguments.exclude.clone();
        // Nobody is asked who is not heard, so that it does not matter how many there may be.
        let all = [&settings.exclude[..], &excluded].concat();
        let chosen = scope::choose(&settings.ask_targets, &all, true).await?;
        let pacer = Arc::new(Mutex::new(Pacer::new(settings.rates)));
        let pace = Pace::new(pacer, Clock::start());
        let scope = chosen.scope.clone();
        let asked = Asked {
            handover: Handover::new(chosen.scope, control_systems(settings)),
            pace: pace.clone(),
            replies: 0,
            gaps: chosen.gaps,
            more_gaps: 0,
            renewed: None,
            batch: None,
        };
        Ok(Some((
            Self { settings: Arc::clone(settings), names: chosen.names, scope, excluded, pace },
            asked,
        )))
    }

    /// Asks until it is to stop.
    ///
    /// # Errors
    ///
    /// The inventory cannot be read.
    pub(super) async fn run(
        mut self,
        heard: Arc<Mutex<Heard>>,
        store: Store,
        sink: Sink,
        stop: Stop,
    ) -> Result<()> {
        let site = self.settings.vantage.site.clone();
        let mut known = self.known(&store, &site).await?;
        let mut read = Some(Instant::now());
        let now_closed = |settings: &Settings| {
            window::time_left(&settings.windows, clock::now(), TimeZone::system())
        };
        if let Err(closed) = now_closed(&self.settings) {
            tell::line(&format!("what is heard waits to be asked: {closed}"));
        }
        while !stop.is_requested() {
            sleep(LOOK).await;
            let renewed = lock(&heard).asked.as_mut().and_then(|asked| asked.renewed.take());
            if let Some(settings) = renewed {
                self.pace.renew(settings.rates);
                self.settings = settings;
                read = None;
                // What was sent at the old rates.
                sleep(A_SECOND).await;
            }
            if !(self.settings.ask && self.settings.services) {
                continue;
            }
            let Ok(left) = now_closed(&self.settings) else { continue };
            if read.is_none_or(|read| read.elapsed() > KNOWN_FOR) {
                let excluded = [&self.settings.exclude[..], &self.excluded].concat();
                match scope::choose(&self.settings.ask_targets, &excluded, true).await {
                    Ok(chosen) => {
                        self.scope = chosen.scope.clone();
                        if let Some(asked) = &mut lock(&heard).asked {
                            asked.handover.renew_scope(chosen.scope);
                        }
                        self.names = chosen.names;
                        known = self.known(&store, &site).await?;
                        read = Some(Instant::now());
                    }
                    // An exclusion that is nowhere could be anywhere.
                    Err(error) => {
                        read = None;
                        tell::line(&format!(
                            "what is heard waits to be asked: {}",
                            tell::chain(error.as_ref())
                        ));
                        self.wait_again(&heard, &stop).await;
                        continue;
                    }
                }
            }
            let batch = Stop::new();
            let (requests, scope) = {
                let mut heard = lock(&heard);
                let Some(asked) = &mut heard.asked else { return Ok(()) };
                // Other settings came meanwhile, perhaps an exclusion.
                if asked.renewed.is_some() {
                    continue;
                }
                let requests = asked.handover.take(clock::now(), AT_ONCE);
                if requests.is_empty() {
                    continue;
                }
                let scope = asked.handover.scope_of(&requests);
                asked.batch = Some(batch.clone());
                (requests, scope)
            };
            let talk = Talk {
                settings: &self.settings,
                scope: Arc::new(scope),
                pace: self.pace.clone(),
                stop: batch.clone(),
            };
            let mut asking = std::pin::pin!(self.ask(&talk, &requests, &known, &heard, &sink));
            let until = left.map(|left| Instant::now() + left);
            tokio::select! {
                biased;
                () = &mut asking => continue,
                () = ended(&stop, until) => batch.request(),
            }
            asking.await;
        }
        Ok(())
    }

    /// What the inventory knows of those who may be asked.
    async fn known(&self, store: &Store, site: &Site) -> Result<Known> {
        let wanted = |address| self.scope.permit(address).is_ok() || self.scope.may_find(address);
        let turn = clock::now().0.unsigned_abs() / 1_000_000 / KNOWN_FOR.as_secs();
        Known::read(store, site, &wanted, turn).await
    }

    /// Waits until it is worth another try.
    async fn wait_again(&self, heard: &Mutex<Heard>, stop: &Stop) {
        let until = Instant::now() + AGAIN;
        let is_renewed = || lock(heard).asked.as_ref().is_some_and(|asked| asked.renewed.is_some());
        while !stop.is_requested() && Instant::now() < until && !is_renewed() {
            sleep(LOOK).await;
        }
    }

    async fn ask(
        &self,
        talk: &Talk<'_>,
        requests: &[Request],
        known: &Known,
        heard: &Mutex<Heard>,
        sink: &Sink,
    ) {
        let mut gentle = BTreeSet::new();
        let mut open = Vec::new();
        let mut doors = BTreeMap::new();
        for request in requests {
            let one = self.dress(&request.open, known);
            let Endpoint { address, .. } = one.endpoint;
            if one.gentle && gentle.insert(address) {
                self.pace.be_gentle(address);
            }
            match request.ask {
                Ask::Everything => open.push(one),
                Ask::Certificates(door) => {
                    let names = request.names.iter().cloned().collect();
                    doors.insert(one.endpoint, (door, names));
                }
            }
        }
        let mut answered = BTreeSet::new();
        let mut observe = |observation: Observation| {
            if let Subject::Endpoint(endpoint) = observation.subject {
                answered.insert(endpoint);
            }
            let sent = tokio::task::block_in_place(|| sink.send_blocking(observation));
            if sent.is_err() {
                // The writer says why at its end.
                lock(heard).failed = true;
                talk.stop.request();
            }
        };
        let talked = talk.converse(open, &mut observe, &mut |_, _| ()).await;
        let found = talked.doors();
        for request in requests {
            let endpoint = request.open.endpoint;
            if let Some(door) = found.get(&endpoint) {
                let given = self.names.get(&endpoint.address).into_iter().flatten();
                let given = given.filter_map(|name| ServerName::new(name));
                let heard = request.names.iter().cloned();
                let before = known.names.at(endpoint).iter().cloned();
                let names = heard.chain(given).chain(before).collect();
                doors.insert(endpoint, (*door, names));
            }
        }
        let collected = talk.collect(doors, gentle, &mut observe, &mut |_, _| ()).await;

        let cut = talk.stop.is_requested();
        let was_reached = |endpoint: &Endpoint, door: Option<Door>| {
            answered.contains(endpoint)
                && (door.is_none() || collected.served.contains_key(endpoint))
        };
        let now = clock::now();
        let mut heard = lock(heard);
        let Some(asked) = &mut heard.asked else { return };
        for request in requests {
            let endpoint = request.open.endpoint;
            let door = match request.ask {
                Ask::Certificates(door) => Some(door),
                Ask::Everything => found.get(&endpoint).copied(),
            };
            match cut && !was_reached(&endpoint, door) {
                true => asked.handover.put_back(request, now),
                false => asked.handover.ended(request, door, now),
            }
        }
        asked.replies = asked.replies.saturating_add(answered.len() as u64);
        // What a stop left is put back: it is told in sum, and no gap yet.
        let own: BTreeSet<String> =
            requests.iter().map(|request| request.open.endpoint.to_string()).collect();
        let gaps = talked.gaps.into_iter().chain(collected.gaps);
        for gap in gaps.filter(|gap| own.contains(&gap.target)) {
            asked.gap(gap);
        }
    }

    /// The same with what the inventory and the command line know of it.
    fn dress(&self, open: &Open, known: &Known) -> Open {
        let Endpoint { address, .. } = open.endpoint;
        let given = self.names.get(&address).and_then(|names| names.first());
        let name = open.server_name.as_ref().or(given);
        Open {
            server_name: name.cloned(),
            gentle: open.gentle || known.is_fragile(address, open.mac),
            ..open.clone()
        }
    }
}

/// Waits for the stop, or for the end of the window in which may be asked.
async fn ended(stop: &Stop, until: Option<Instant>) {
    while !stop.is_requested() && until.is_none_or(|until| Instant::now() < until) {
        sleep(LOOK).await;
    }
}
