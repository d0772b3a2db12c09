//! The loop: send what is due, read what came, expire what stayed silent.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, VecDeque},
    error::Error as _,
    hash::Hasher,
    net::IpAddr,
    time::Duration,
};

use model::{Endpoint, Method, Observation, Transport};
use siphasher::sip::SipHasher13;

use super::{
    Phase, Progress, Sweep, SweepOutcome,
    questions::{Course, Work},
    recognise,
    rtt::RoundTrip,
    state::{self, ALIVE, ASKED, Ask, Group, State},
};
use crate::{
    LinkError,
    net::{Link, Question, Tier},
    plan::{Addresses, Permutation},
    rate::Pacer,
};

/// Why a sweep ended before its time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum End {
    Stopped,
    /// The link failed for good, for this reason.
    Failed(String),
}

/// A question under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    pub(super) ask: Ask,
    pub(super) pass: u64,
    pub(super) at: Duration,
    due: Duration,
}

/// What `next` found.
enum Next {
    Ask(u64, Ask, u64),
    /// Nothing before then.
    At(Duration),
    /// Nothing until an answer comes or a question expires.
    Drained,
}

/// How soon a stop is seen, whatever else there is to wait for.
const GLANCE: Duration = Duration::from_millis(20);

/// The connect tier tells when it gives up on a connection. If it does not, this ends it.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// Questions that wait for their address's rate or for an earlier question to expire.
const MOST_WAITING: usize = 4_096;

/// Between two looks at what has arrived.
const BURST: usize = 64;
const PULLS: usize = 4_096;

/// The pause after the system took no packet; doubled while it goes on.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// A system that takes nothing for so long will not take anything.
const MOST_BUSY: Duration = Duration::from_secs(30);

/// Cells of one group: 16 MiB.
const MOST_CELLS: usize = 1 << 24;

/// How often the neighbour table is read while it decides who is alive.
const NEIGHBOR_PERIOD: Duration = Duration::from_secs(1);

const PROGRESS_PERIOD: Duration = Duration::from_millis(100);

pub(super) struct Engine<'a> {
    pub(super) sweep: Sweep<'a>,
    pub(super) link: &'a mut dyn Link,
    pacer: &'a mut Pacer,
    pub(super) observe: &'a mut dyn FnMut(Observation),
    progress: &'a mut dyn FnMut(Progress),
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
    /// Whether everybody was asked whether they are there.
    pub(super) liveness_done: bool,
    /// Answers to first and to repeated questions for ports.
    pub(super) prompt: u64,
    pub(super) late: u64,
    /// Alive addresses whose ports are still to come, after this group.
    pub(super) hosts_left: u64,
    pub(super) all_round_trips: RoundTrip,
    flights: HashMap<u64, Vec<Flight>>,
    in_flight: usize,
    expiry: BinaryHeap<Reverse<(Duration, u64, Ask)>>,
    waiting: HashMap<u64, VecDeque<(Ask, u64)>>,
    waiting_count: usize,
    ready: BinaryHeap<Reverse<(Duration, u64)>>,
    resume_at: Duration,
    pause: Duration,
    busy_since: Option<Duration>,
    next_neighbors: Duration,
    next_progress: Duration,
    /// Time and packets of a second ago, for the rate that is shown.
    mark: (Duration, u64),
    shown_rate: u32,
    shown_done: f32,
    drops_before: u64,
}

impl<'a> Engine<'a> {
    pub(super) fn new(
        sweep: Sweep<'a>,
        link: &'a mut dyn Link,
        pacer: &'a mut Pacer,
        observe: &'a mut dyn FnMut(Observation),
        progress: &'a mut dyn FnMut(Progress),
    ) -> Self {
        let now = link.now();
        let drops_before = link.drops();
        let order = Permutation::new(sweep.plan.key, 0);
        let mut engine = Self {
            sweep,
            link,
            pacer,
            observe,
            progress,
            state: State::new(Addresses::new(&sweep.plan.scope)),
            rounds: Vec::new(),
            course: Course { work: Work::Liveness, order, size: 0, passes: 0, cursor: 0 },
            group: Group::default(),
            phase: Phase::Liveness,
            holding: true,
            outcome: SweepOutcome::default(),
            open: BTreeSet::new(),
            udp_replies: BTreeMap::new(),
            liveness_done: false,
            prompt: 0,
            late: 0,
            hosts_left: 0,
            all_round_trips: RoundTrip::default(),
            flights: HashMap::new(),
            in_flight: 0,
            expiry: BinaryHeap::new(),
            waiting: HashMap::new(),
            waiting_count: 0,
            ready: BinaryHeap::new(),
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
        self.finish(end)
    }

    fn everything(&mut self) -> Result<(), End> {
        if self.sweep.plan.assume_alive {
            return self.ports_of_everybody();
        }
        let course = self.liveness_course();
        self.follow(course)?;
        self.look_at_neighbors();
        self.liveness_done = true;
        let course = self.echo_course();
        self.follow(course)?;
        self.recognise()?;
        self.release();
        let hosts: Vec<u64> = self.state.hosts.keys().copied().collect();
        for hosts in hosts.chunks(self.group_size()) {
            let behind = hosts.last().copied().unwrap_or(u64::MAX);
            let left = self.state.hosts.range(behind..).count().saturating_sub(1);
            self.hosts_left = u64::try_from(left).unwrap_or(0);
            self.ports_of(hosts.to_vec())?;
            self.sum_up(true);
        }
        Ok(())
    }

    /// Without liveness, every address is asked for its ports, and nothing is told of a
    /// group of addresses before it is known whether one device answers for them.
    fn ports_of_everybody(&mut self) -> Result<(), End> {
        let count = self.state.addresses.count();
        let size = u64::try_from(self.group_size()).unwrap_or(u64::MAX);
        let mut first: u64 = 0;
        while first < count {
            let behind = first.saturating_add(size).min(count);
            self.hosts_left = count.saturating_sub(behind);
            self.holding = true;
            self.ports_of((first..behind).collect())?;
            self.look_at_neighbors();
            self.recognise()?;
            self.release();
            self.sum_up(true);
            first = behind;
        }
        self.liveness_done = true;
        Ok(())
    }

    fn group_size(&self) -> usize {
        MOST_CELLS.checked_div(self.sweep.plan.ports.len()).unwrap_or(1).max(1)
    }

    fn ports_of(&mut self, hosts: Vec<u64>) -> Result<(), End> {
        self.phase = Phase::Ports;
        let ports = &self.sweep.plan.ports;
        let tcp = ports.tcp.iter().map(|port| (Transport::Tcp, port));
        let udp = ports.udp.iter().map(|port| (Transport::Udp, port));
        self.group = Group::new(hosts, tcp.chain(udp).collect());
        self.take_over_early();
        let course = self.ports_course();
        self.follow(course)
    }

    /// Finds out who answers for many, asking further questions where that is needed.
    fn recognise(&mut self) -> Result<(), End> {
        self.swallow(recognise::by_link_address(&self.state), "");
        let suspects = recognise::suspects(&self.state);
        if suspects.is_empty() {
            return Ok(());
        }
        let before = std::mem::replace(&mut self.phase, Phase::Recognition);
        let ports = recognise::questions(&self.sweep.plan.key);
        let course = self.confirm_course(suspects.concat(), ports.clone());
        self.follow(course)?;
        self.phase = before;
        let state = &self.state;
        let mut numbers: BTreeMap<Option<u8>, Vec<u64>> = BTreeMap::new();
        for members in suspects {
            if recognise::are_one(state, &members, &ports) {
                let ttl = members.first().and_then(|n| state.hosts.get(n)?.ttl());
                numbers.entry(ttl).or_default().extend(members);
            }
        }
        let found =
            numbers.into_values().map(|numbers| recognise::Swallowed { numbers, mac: None });
        self.swallow(found.collect(), "");
        Ok(())
    }

    /// Follows a course to its end: every question asked, answered or expired.
    fn follow(&mut self, course: Course) -> Result<(), End> {
        self.course = course;
        self.flights.clear();
        self.in_flight = 0;
        self.expiry.clear();
        loop {
            if self.sweep.stop.is_requested() {
                self.clear_waiting();
                return Err(End::Stopped);
            }
            let now = self.link.now();
            self.expire(now);
            self.poll_neighbors(now);
            let mut next = Duration::MAX;
            let mut drained = false;
            for turn in 0..BURST {
                if self.in_flight >= self.most_in_flight() {
                    break;
                }
                match self.next(now) {
                    Next::Ask(number, ask, pass) => self.ask(number, ask, pass)?,
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
            if drained && self.in_flight == 0 {
                return Ok(());
            }
            self.tell_progress(now);
            let expiry = self.expiry.peek().map_or(Duration::MAX, |Reverse((at, _, _))| *at);
            let until = next.min(expiry).min(now.saturating_add(GLANCE));
            self.listen(until)?;
        }
    }

    /// Takes replies: waits for the first until then, and takes what else is there.
    fn listen(&mut self, until: Duration) -> Result<(), End> {
        let mut until = until;
        for _ in 0..BURST * 4 {
            match self.link.receive(until) {
                Ok(Some(reply)) => self.take(reply),
                Ok(None) => break,
                Err(error) => return Err(End::Failed(chain(&error))),
            }
            until = self.link.now();
        }
        Ok(())
    }

    fn most_in_flight(&self) -> usize {
        // Without a limit of the link's: as many as a second and a half of the rate,
        // which no question outlives.
        let own = usize::try_from(self.sweep.plan.rates.total).unwrap_or(usize::MAX);
        let own = own.saturating_mul(2).max(64);
        self.link.most_under_way().map_or(own, |most| most.max(1).min(own))
    }

    fn next(&mut self, now: Duration) -> Next {
        if self.resume_at > now {
            return Next::At(self.resume_at);
        }
        let anyone = self.pacer.earliest_to_anyone(now);
        if anyone > now {
            return Next::At(anyone);
        }
        while let Some(Reverse((at, number))) = self.ready.peek().copied()
            && at <= now
        {
            self.ready.pop();
            if let Some((ask, pass)) = self.next_waiting(number, now) {
                return Next::Ask(number, ask, pass);
            }
        }
        for _ in 0..PULLS {
            if self.waiting_count >= MOST_WAITING {
                return self.next_ready();
            }
            let place = self.course.cursor;
            if place >= self.course.total() {
                return self.next_ready();
            }
            self.course.cursor = place.saturating_add(1);
            let Some((number, ask, pass)) = self.question_at(place) else { continue };
            if self.waiting.contains_key(&number) {
                self.queue(number, ask, pass);
                continue;
            }
            let at = self.earliest(number, ask, now);
            if at > now {
                self.queue(number, ask, pass);
                self.ready.push(Reverse((at, number)));
                continue;
            }
            return Next::Ask(number, ask, pass);
        }
        // Nothing to ask among many places: look around, then go on.
        Next::At(now)
    }

    fn next_ready(&self) -> Next {
        self.ready.peek().map_or(Next::Drained, |Reverse((at, _))| Next::At(*at))
    }

    fn queue(&mut self, number: u64, ask: Ask, pass: u64) {
        self.waiting.entry(number).or_default().push_back((ask, pass));
        self.waiting_count += 1;
    }

    /// The next question that waits for this address, if it may go now; otherwise the
    /// address is put back.
    fn next_waiting(&mut self, number: u64, now: Duration) -> Option<(Ask, u64)> {
        loop {
            let (ask, pass) = *self.waiting.get(&number)?.front()?;
            let wanted = self.is_wanted(number, ask, pass);
            if wanted {
                let at = self.earliest(number, ask, now);
                if at > now {
                    self.ready.push(Reverse((at, number)));
                    return None;
                }
            }
            let queue = self.waiting.get_mut(&number)?;
            queue.pop_front();
            self.waiting_count = self.waiting_count.saturating_sub(1);
            if queue.is_empty() {
                self.waiting.remove(&number);
            }
            if wanted {
                if self.waiting.contains_key(&number) {
                    self.ready.push(Reverse((now, number)));
                }
                return Some((ask, pass));
            }
        }
    }

    fn clear_waiting(&mut self) {
        self.waiting.clear();
        self.waiting_count = 0;
        self.ready.clear();
    }

    /// When this question may go: within the rates, and not while an earlier one that
    /// may make it needless is under way.
    fn earliest(&mut self, number: u64, ask: Ask, now: Duration) -> Duration {
        let liveness = matches!(self.course.work, Work::Liveness);
        let under_way = self.flights.get(&number).map_or(now, |flights| {
            let relevant = flights.iter().filter(|flight| liveness || flight.ask == ask);
            relevant.map(|flight| flight.due).max().unwrap_or(now)
        });
        let paced = self.state.address(number).map_or(now, |a| self.pacer.earliest(a, now));
        now.max(under_way).max(paced)
    }

    fn ask(&mut self, number: u64, ask: Ask, pass: u64) -> Result<(), End> {
        let Some(address) = self.state.address(number) else { return Ok(()) };
        let question = self.question(address, ask);
        if !self.link.can_ask(address, &question) {
            return Ok(());
        }
        let Ok(permit) = self.sweep.plan.scope.permit(address) else { return Ok(()) };
        let now = self.link.now();
        match self.link.send(permit, &question) {
            Ok(()) => {}
            Err(LinkError::Busy { .. }) => return self.back_off(number, ask, pass, now),
            Err(LinkError::NoRoute { source, .. }) => {
                self.state.fail(number, format!("no route to it: {source}"));
                return Ok(());
            }
            Err(LinkError::Send { source, .. }) => {
                self.state.fail(number, format!("cannot send to it: {source}"));
                return Ok(());
            }
            Err(error) => return Err(End::Failed(chain(&error))),
        }
        self.busy_since = None;
        self.pause = SHORTEST_PAUSE;
        self.outcome.probes_sent += 1;
        let connect = self.link.tier() == Tier::Connect;
        let near = self.link.is_on_link(address);
        // The kernel asks for the link-layer address first.
        let first = connect && near && !self.state.has(number, ASKED);
        self.pacer.sent(address, now, if first { 2 } else { 1 });
        if first {
            self.state.first_asked.insert(number, now);
        }
        self.state.set(number, ASKED);
        self.state.try_by(number, state::bit(self.method(ask)));
        if let (Work::Ports, Some((transport, port))) = (&self.course.work, port_of(ask)) {
            self.group.note(number, transport, port, state::Cell::Silent);
        }
        let wait = match ask {
            Ask::Tcp(_) if connect => CONNECT_PATIENCE,
            _ => {
                let own = self.state.hosts.get(&number).map(|host| &host.round_trip);
                RoundTrip::timeout(own, &self.all_round_trips)
            }
        };
        let due = now.saturating_add(wait);
        self.flights.entry(number).or_default().push(Flight { ask, pass, at: now, due });
        self.in_flight += 1;
        self.expiry.push(Reverse((due, number, ask)));
        Ok(())
    }

    /// The system cannot take packets now: this question goes to the head of its queue.
    fn back_off(&mut self, number: u64, ask: Ask, pass: u64, now: Duration) -> Result<(), End> {
        let since = *self.busy_since.get_or_insert(now);
        if now.saturating_sub(since) >= MOST_BUSY {
            let reason = "the system took no more packets for half a minute".to_owned();
            return Err(End::Failed(reason));
        }
        self.resume_at = now.saturating_add(self.pause);
        self.pause = self.pause.saturating_mul(2).min(LONGEST_PAUSE);
        if !self.waiting.contains_key(&number) {
            self.ready.push(Reverse((self.resume_at, number)));
        }
        self.waiting.entry(number).or_default().push_front((ask, pass));
        self.waiting_count += 1;
        Ok(())
    }

    fn question(&self, address: IpAddr, ask: Ask) -> Question {
        match ask {
            Ask::Arp => Question::Arp,
            Ask::Neighbor => Question::NeighborSolicitation,
            Ask::Echo => Question::Echo,
            Ask::Tcp(port) => Question::Tcp(port),
            Ask::Udp(port) => {
                let mut hasher = SipHasher13::new_with_key(&self.sweep.plan.key);
                match address {
                    IpAddr::V4(v4) => hasher.write(&v4.octets()),
                    IpAddr::V6(v6) => hasher.write(&v6.octets()),
                }
                hasher.write_u16(port);
                let [a, b, c, d, ..] = hasher.finish().to_be_bytes();
                let cookie = u32::from_be_bytes([a, b, c, d]);
                Question::Udp(port, (self.sweep.udp_payload)(port, cookie))
            }
        }
    }

    pub(super) fn method(&self, ask: Ask) -> Method {
        match (ask, self.link.tier()) {
            (Ask::Arp, _) => Method::Arp,
            (Ask::Neighbor, _) => Method::NeighborSolicitation,
            (Ask::Echo, _) => Method::Echo,
            (Ask::Tcp(_), Tier::Raw) => Method::TcpSyn,
            (Ask::Tcp(_), Tier::Connect) => Method::TcpConnect,
            (Ask::Udp(_), _) => Method::Udp,
        }
    }

    /// Takes the question out of those under way; any of the address for `None`.
    pub(super) fn land(&mut self, number: u64, ask: Option<Ask>) -> Option<Flight> {
        let flights = self.flights.get_mut(&number)?;
        let place = flights.iter().position(|flight| ask.is_none_or(|ask| ask == flight.ask))?;
        let flight = flights.swap_remove(place);
        if flights.is_empty() {
            self.flights.remove(&number);
        }
        self.in_flight = self.in_flight.saturating_sub(1);
        if self.waiting.contains_key(&number) {
            // What waited for it need not wait until it would have expired.
            self.ready.push(Reverse((self.link.now(), number)));
        }
        Some(flight)
    }

    pub(super) fn is_under_way(&self, number: u64, ask: Ask) -> bool {
        self.flights
            .get(&number)
            .is_some_and(|flights| flights.iter().any(|flight| flight.ask == ask))
    }

    fn expire(&mut self, now: Duration) {
        while let Some(Reverse((due, number, ask))) = self.expiry.peek().copied()
            && due <= now
        {
            self.expiry.pop();
            let still = self.flights.get(&number).is_some_and(|flights| {
                flights.iter().any(|flight| flight.ask == ask && flight.due == due)
            });
            if still {
                self.land(number, Some(ask));
            }
        }
    }

    /// Packets that the system sent because of a reply.
    pub(super) fn charge(&mut self, address: IpAddr, packets: u32) {
        let now = self.link.now();
        self.pacer.sent(address, now, packets);
    }

    fn poll_neighbors(&mut self, now: Duration) {
        if now >= self.next_neighbors && matches!(self.course.work, Work::Liveness) {
            self.next_neighbors = now.saturating_add(NEIGHBOR_PERIOD);
            self.look_at_neighbors();
        }
    }

    fn tell_progress(&mut self, now: Duration) {
        if now < self.next_progress {
            return;
        }
        self.next_progress = now.saturating_add(PROGRESS_PERIOD);
        let (then, sent) = self.mark;
        let passed = now.saturating_sub(then);
        if passed >= Duration::from_secs(1) {
            let packets = self.outcome.probes_sent.saturating_sub(sent);
            let millis = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX).max(1);
            let rate = packets.saturating_mul(1_000) / millis;
            self.shown_rate = u32::try_from(rate).unwrap_or(u32::MAX);
            self.mark = (now, self.outcome.probes_sent);
        }
        let sent = self.outcome.probes_sent;
        let left = self.questions_left();
        let share = sent as f32 / sent.saturating_add(left).max(1) as f32;
        self.shown_done = self.shown_done.max(share);
        let seconds = left.checked_div(u64::from(self.shown_rate));
        (self.progress)(Progress {
            phase: self.phase,
            done: self.shown_done,
            packets_per_second: self.shown_rate,
            alive: self.state.hosts.len(),
            open: self.open.len(),
            left: seconds.map(Duration::from_secs),
        });
    }

    /// How many questions are probably left.
    fn questions_left(&self) -> u64 {
        let ports = u64::try_from(self.sweep.plan.ports.len()).unwrap_or(u64::MAX);
        let alive = u64::try_from(self.state.hosts.len()).unwrap_or(u64::MAX);
        let places = self.course.total().saturating_sub(self.course.cursor);
        match self.course.work {
            Work::Liveness => {
                let count = self.course.size.max(1);
                let silent = count.saturating_sub(alive);
                let asked = self.course.cursor.min(count).max(1);
                // As many alive among the rest as among those asked so far.
                let expected = u128::from(alive) * u128::from(count) / u128::from(asked);
                let expected = u64::try_from(expected).unwrap_or(u64::MAX).min(count);
                (u128::from(places) * u128::from(silent) / u128::from(count))
                    .try_into()
                    .unwrap_or(u64::MAX)
                    .saturating_add(expected.saturating_mul(ports))
            }
            Work::Echo { .. } | Work::Confirm { .. } => {
                places.min(self.course.size).saturating_add(alive.saturating_mul(ports))
            }
            Work::Ports => {
                let later = self.hosts_left.saturating_mul(ports);
                let again = self.group.unsettled();
                places.min(again).saturating_add(later)
            }
        }
    }

    /// Tells what was held back, now that it is known who answers.
    fn release(&mut self) {
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
        let unsure = unsure.into_iter().map(|numbers| recognise::Swallowed { numbers, mac: None });
        self.swallow(unsure.collect(), " as it seems; the sweep ended before that was certain");
        self.release();
    }
}

/// The transport and port of a question for one.
pub(super) const fn port_of(ask: Ask) -> Option<(Transport, u16)> {
    match ask {
        Ask::Tcp(port) => Some((Transport::Tcp, port)),
        Ask::Udp(port) => Some((Transport::Udp, port)),
        Ask::Arp | Ask::Neighbor | Ask::Echo => None,
    }
}

/// An error and its causes on one line.
fn chain(error: &LinkError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
