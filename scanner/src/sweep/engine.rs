//! The loop: send what is due, read what came, expire what stayed silent.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, VecDeque},
    error::Error as _,
    net::{IpAddr, Ipv4Addr},
    ops::ControlFlow,
    time::Duration,
};

use model::{Endpoint, Observation, Transport};

use super::{
    Answering, Phase, Progress, Sweep, SweepOutcome,
    adapting::Adapting,
    course::{Course, Work},
    extra::Extra,
    loss::Loss,
    next::Next,
    recognise,
    rtt::{Patience, RoundTrip},
    sending::kernel_packets,
    state::{ALIVE, Ask, Group, Heard, State},
};
use crate::{
    LinkError,
    net::{Link, Tier},
    plan::Addresses,
    rate::Pacer,
};

/// Why a sweep ended before its time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum End {
    Stopped,
    /// The link failed for good, for this reason.
    Failed(String),
}

/// How soon a stop is seen, whatever else there is to wait for.
pub(super) const GLANCE: Duration = Duration::from_millis(20);

/// Questions sent between two looks at what has arrived.
const BURST: usize = 256;

/// Answers taken in between two looks at what may be sent.
pub(super) const MOST_HEARD: usize = 16_384;

/// The pause after the system took no packet; doubled while it goes on.
pub(super) const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// Packets a second to one address that no device bears which needs a guard.
const UNGUARDED: u32 = 100_000;

/// How often the neighbour table is read while it decides who is alive.
pub(super) const NEIGHBOR_PERIOD: Duration = Duration::from_secs(1);

pub(super) struct Engine<'a> {
    pub(super) sweep: Sweep<'a>,
    pub(super) link: &'a mut dyn Link,
    pub(super) pacer: &'a mut Pacer,
    pub(super) observe: &'a mut dyn FnMut(Observation),
    pub(super) progress: &'a mut dyn FnMut(Progress),
    pub(super) ask_on: &'a mut dyn FnMut(&Answering, &mut Pacer) -> ControlFlow<()>,
    /// All addresses, and the number of the first behind the part under way.
    pub(super) all: Addresses,
    pub(super) behind: u64,
    /// The part of them that is under way.
    pub(super) state: State,
    pub(super) rounds: Vec<Ask>,
    pub(super) course: Course,
    pub(super) group: Group,
    pub(super) phase: Phase,
    /// Whether observations wait until it is known whether one device answers for many.
    pub(super) holding: bool,
    pub(super) outcome: SweepOutcome,
    pub(super) open: BTreeSet<Endpoint>,
    pub(super) udp_replies: BTreeMap<Endpoint, Vec<u8>>,
    /// Whether some of what was planned could not be asked for want of a route.
    pub(super) lacks_route: bool,
    /// Who answered us nothing, but the kernel shortly before, so that it did not ask again:
    /// whether they are there now is not known.
    pub(super) undecided: BTreeMap<u64, Option<Heard>>,
    /// Whether everybody was asked whether they are there.
    pub(super) liveness_done: bool,
    /// What the rounds of liveness beyond the usual ones brought.
    pub(super) extra: Extra,
    /// Answers to first and to repeated questions.
    pub(super) loss: Loss,
    /// TCP questions sent, and how many of them a port accepted.
    pub(super) connects: u64,
    pub(super) accepted: u64,
    /// Alive addresses whose ports are still to come, after this group.
    pub(super) hosts_left: u64,
    pub(super) all_round_trips: RoundTrip,
    pub(super) patience: Patience,
    /// The rate, where it is to be found out.
    pub(super) adapting: Option<Adapting>,
    /// Whether packets are counted for each address: not where the course itself leaves
    /// enough time between the questions to one.
    pub(super) counts_each: bool,
    /// How many packets a question to anybody may lead to, as of the last look.
    pub(super) room_for_all: u32,
    /// Whether the link asks this course by itself.
    pub(super) bulk: bool,
    /// When the last question of this course went.
    pub(super) last_sent: Duration,
    pub(super) waiting: HashMap<u64, VecDeque<(Ask, u64)>>,
    pub(super) waiting_count: usize,
    /// When those for whom questions wait are looked at next: a set, because an answer adds a
    /// time that most often is there.
    pub(super) ready: BTreeSet<(Duration, u64)>,
    /// Addresses in a round of canaries, and when the next one is due.
    pub(super) canaries: BinaryHeap<Reverse<(Duration, u64)>>,
    pub(super) resume_at: Duration,
    pub(super) pause: Duration,
    pub(super) busy_since: Option<Duration>,
    pub(super) next_neighbors: Duration,
    pub(super) next_progress: Duration,
    /// Time and packets of a second ago, for the rate that is shown.
    pub(super) mark: (Duration, u64),
    pub(super) shown_rate: u32,
    pub(super) shown_done: f32,
    pub(super) drops_before: u64,
}

impl<'a> Engine<'a> {
    pub(super) fn new(
        sweep: Sweep<'a>,
        link: &'a mut dyn Link,
        pacer: &'a mut Pacer,
        observe: &'a mut dyn FnMut(Observation),
        progress: &'a mut dyn FnMut(Progress),
        ask_on: &'a mut dyn FnMut(&Answering, &mut Pacer) -> ControlFlow<()>,
    ) -> Self {
        let now = link.now();
        let drops_before = link.drops();
        let adapting = Adapting::new(sweep.plan, link);
        let mut engine = Self {
            sweep,
            link,
            pacer,
            observe,
            progress,
            ask_on,
            all: Addresses::new(&sweep.plan.scope),
            behind: 0,
            state: State::default(),
            rounds: Vec::new(),
            course: Course::new(Work::Liveness, sweep.plan.key, 0, 0, 0),
            group: Group::default(),
            phase: Phase::Liveness,
            holding: true,
            outcome: SweepOutcome::default(),
            open: BTreeSet::new(),
            udp_replies: BTreeMap::new(),
            lacks_route: false,
            undecided: BTreeMap::new(),
            liveness_done: false,
            extra: Extra::default(),
            loss: Loss::default(),
            connects: 0,
            accepted: 0,
            hosts_left: 0,
            all_round_trips: RoundTrip::default(),
            patience: Patience::at_rate(sweep.plan.rates.first()),
            adapting,
            counts_each: true,
            room_for_all: 1,
            bulk: false,
            last_sent: now,
            waiting: HashMap::new(),
            waiting_count: 0,
            ready: BTreeSet::new(),
            canaries: BinaryHeap::new(),
            resume_at: now,
            pause: SHORTEST_PAUSE,
            busy_since: None,
            next_neighbors: now,
            next_progress: now,
            mark: (now, 0),
            shown_rate: 0,
            shown_done: 0.0,
            drops_before,
        };
        engine.rounds = engine.far_rounds();
        engine
    }

    pub(super) fn run(mut self) -> SweepOutcome {
        let end = self.everything().err();
        self.outcome.drops = self.link.drops().saturating_sub(self.drops_before);
        // What the link still kept when the end came was never sent.
        let unsent = u64::try_from(self.link.unsent()).unwrap_or(u64::MAX);
        self.outcome.probes_sent = self.outcome.probes_sent.saturating_sub(unsent);
        self.finish(end)
    }

    pub(super) fn ports_of(&mut self, hosts: Vec<u64>) -> Result<(), End> {
        self.phase = Phase::Ports;
        let ports = &self.sweep.plan.ports;
        let tcp = ports.tcp.iter().map(|port| (Transport::Tcp, port));
        let udp = ports.udp.iter().map(|port| (Transport::Udp, port));
        let ports = tcp.chain(udp).collect();
        for number in &hosts {
            self.judge_fragile(*number);
        }
        self.group = Group::new(hosts, ports);
        self.take_over_early();
        let telltale = self.telltale_ports();
        if !telltale.is_empty() {
            let course = self.telltale_course(telltale);
            self.follow(course)?;
        }
        let course = self.ports_course();
        self.follow(course)
    }

    /// Finds out who answers for many, asking further questions where that is needed.
    pub(super) fn recognise(&mut self) -> Result<(), End> {
        self.swallow(recognise::by_link_address(&self.state), "");
        let suspects = recognise::suspects(&self.state);
        if suspects.is_empty() {
            return Ok(());
        }
        let before = std::mem::replace(&mut self.phase, Phase::Recognition);
        let ports = recognise::questions(&self.sweep.plan.key, &self.sweep.plan.ports.tcp);
        let course = self.confirm_course(suspects.concat(), ports.clone());
        self.follow(course)?;
        self.phase = before;
        let state = &self.state;
        let one = suspects.into_iter().filter(|members| recognise::are_one(state, members, &ports));
        // Of all loopback addresses one is this machine's own.
        let own = |number: &u64| state.address(*number) != Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let one = one.map(|members| members.into_iter().filter(own).collect());
        let found = recognise::together(state, one);
        self.swallow(found, "");
        Ok(())
    }

    /// Follows a course to its end: every question asked, and answered or given up.
    pub(super) fn follow(&mut self, course: Course) -> Result<(), End> {
        self.course = course;
        self.count_each();
        self.begin_bulk();
        if !self.counts_each && matches!(self.course.work, Work::Ports) {
            self.group.all_asked();
        }
        self.last_sent = self.link.now();
        loop {
            if self.sweep.stop.is_requested() {
                self.clear_waiting();
                return Err(End::Stopped);
            }
            let now = self.link.now();
            self.poll_neighbors(now);
            self.adapt(now)?;
            let mut next = Duration::MAX;
            let mut drained = false;
            self.room_for_all = self.room_for_all(now);
            let mut room = self.room_under_way();
            if self.waiting_count == 0 && self.is_bulk() {
                next = self.turn_bulk(now)?;
                room = 0;
            }
            for turn in 0..room {
                match self.next(now) {
                    Next::Ask(number, ask, pass) => {
                        self.last_sent = now;
                        self.ask(number, ask, pass, now)?;
                    }
                    Next::At(at) => {
                        next = at;
                        break;
                    }
                    Next::Drained => {
                        drained = true;
                        break;
                    }
                }
                if turn + 1 == BURST {
                    next = now;
                }
                if self.sweep.stop.is_requested() {
                    break;
                }
            }
            self.flush(now)?;
            if drained && self.link.unsent() == 0 {
                let end = self.last_sent.saturating_add(self.last_wait());
                if now >= end || (self.link.under_way() == 0 && self.is_settled()) {
                    return Ok(());
                }
                next = end;
            }
            self.tell_progress(now);
            self.listen(next.min(now.saturating_add(GLANCE)))?;
        }
    }

    /// How many questions may be sent now: what a turn allows, and what the link bears.
    fn room_under_way(&self) -> usize {
        let free = |most: usize| most.max(1).saturating_sub(self.link.under_way());
        self.link.most_under_way().map_or(BURST, |most| free(most).min(BURST))
    }

    /// How long an answer to the last question is waited for.
    pub(super) fn last_wait(&self) -> Duration {
        match self.link.tier() {
            Tier::Connect => self.wait_for(u64::MAX, Ask::Tcp(0)),
            Tier::Raw => self.patience.last(&self.all_round_trips),
        }
    }

    /// Whether no answer is left to wait for.
    pub(super) fn is_settled(&self) -> bool {
        match &self.course.work {
            Work::Liveness => (0..self.state.addresses.count()).all(|n| self.state.is_decided(n)),
            Work::Ports => self.group.unsettled() == 0,
            Work::Echo { .. } | Work::Confirm { .. } | Work::Telltale { .. } => {
                (0..self.course.size()).all(|place| self.question_at(place).is_none())
            }
        }
    }

    /// Decides whether packets need to be counted for each address of this course, which costs
    /// as much time as all the rest. They need not where all the questions of the course to one
    /// address, with what the system sends of its own, fit into one second. For ports that
    /// holds only where the rate to one address is one that nobody has who wants it guarded.
    fn count_each(&mut self) {
        let each = 1 + kernel_packets(self.link.tier(), Ask::Tcp(0));
        let rounds = u32::try_from(self.course.passes).unwrap_or(u32::MAX);
        let ports = u32::try_from(self.group.ports.len()).unwrap_or(u32::MAX);
        let rates = self.sweep.plan.rates;
        let most = match self.course.work {
            // The connect tier's kernel asks for the link-layer address besides.
            Work::Liveness => rounds.saturating_mul(each).saturating_add(3),
            Work::Ports if rates.per_host >= UNGUARDED => {
                ports.saturating_mul(rounds).saturating_mul(each)
            }
            _ => u32::MAX,
        };
        // Of each second witnesses take up to two.
        let most = most.saturating_add(if self.adapting.is_some() { 2 } else { 0 });
        self.counts_each =
            (most > rates.per_host && rates.per_host < rates.total) || rates.limits_networks();
    }

    /// Takes replies: waits for the first until then, and takes what else is there.
    pub(super) fn listen(&mut self, until: Duration) -> Result<(), End> {
        let mut until = until;
        for _ in 0..MOST_HEARD {
            match self.link.receive(until) {
                Ok(Some(reply)) => self.take(reply),
                Ok(None) => break,
                // What the system could not do for one address ends nothing else.
                Err(LinkError::Busy { .. }) => break,
                Err(LinkError::Send { address, source }) => {
                    self.cannot_send(address, format!("cannot send to it: {source}"));
                }
                Err(LinkError::NoRoute { address, source }) => {
                    self.lacks_route = true;
                    self.cannot_send(address, format!("no route to it: {source}"));
                }
                Err(error) => return Err(End::Failed(chain(&error))),
            }
            until = self.link.now();
        }
        Ok(())
    }

    fn poll_neighbors(&mut self, now: Duration) {
        if now >= self.next_neighbors && matches!(self.course.work, Work::Liveness) {
            self.next_neighbors = now.saturating_add(NEIGHBOR_PERIOD);
            self.look_at_neighbors();
        }
    }

    /// Tells what was held back, now that it is known who answers.
    pub(super) fn release(&mut self) {
        self.holding = false;
        let numbers: Vec<u64> = self.state.hosts.keys().copied().collect();
        for number in numbers {
            debug_assert!(self.state.has(number, ALIVE));
            self.tell(number);
        }
    }

    /// The same, for a sweep that ended before the further questions were answered:
    /// what nobody can tell apart is then no asset.
    pub(super) fn release_what_is_sure(&mut self) {
        self.swallow(recognise::by_link_address(&self.state), "");
        let unsure = recognise::suspects(&self.state);
        let unsure = recognise::together(&self.state, unsure);
        self.swallow(unsure, " as it seems; the sweep ended before that was certain");
        self.release();
    }
}

/// An error and its causes on one line.
pub(super) fn chain(error: &LinkError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
