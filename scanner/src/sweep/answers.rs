//! What an answer means, and what is told of it.

use std::time::Duration;

use model::{
    Endpoint, Fact, Gap, MacAddr, Method, Observation, PortSet, PortState, Subject, Timestamp,
    Transport,
};

use super::{
    course::Work,
    engine::{End, Engine, GLANCE, NEIGHBOR_PERIOD},
    recognise::{self, Swallowed},
    sending::kernel_packets,
    state::{ABSENT, ALIVE, ASKED, Ask, Cell, SWALLOWED, UNREACHABLE_ONCE},
};
use crate::net::{Answer, Reply, Tier};

/// The kernel counts the age of an entry in ticks of up to ten milliseconds, twice
/// rounded: an answer that came at once may look that much older than its question.
const TABLE_TICK: Duration = Duration::from_millis(20);

/// What the kernel heard no longer than this before we asked is proof that somebody was there
/// then: it asks again after 45 s (RFC 4861, section 6.3.2), and begins an entry without
/// proof with the age of a minute.
const PROOF: Duration = Duration::from_secs(59);

/// What is kept of a UDP answer: more than any packet on an ordinary link holds.
const MOST_UDP_REPLY: usize = 4_096;

/// How long Linux takes to ask a neighbour that it heard before, and to give up: five seconds
/// of waiting and three questions a second apart (delay_first_probe_time, ucast_solicit), and
/// one for us to read it.
const NEIGHBOR_PATIENCE: Duration = Duration::from_secs(9);

/// When a question was asked.
#[derive(Clone, Copy, Debug)]
struct Asked {
    /// The pass in which it was asked last.
    pass: u64,
    /// When that was.
    at: Duration,
    /// Whether the answer can be to no earlier one.
    only_once: bool,
}

impl Engine<'_> {
    /// Takes in one reply, whenever it comes: a late one counts as much.
    pub(super) fn take(&mut self, reply: Reply) {
        if self.is_of_witness(&reply) {
            self.outcome.replies += 1;
            return;
        }
        let Some(number) = self.state.addresses.number(reply.about) else { return };
        let silent = matches!(reply.answer, Answer::TcpSilent(_));
        if !silent {
            self.outcome.replies += 1;
        }
        let ask = match &reply.answer {
            Answer::Arp(_) => Some(Ask::Arp),
            Answer::Neighbor(_) => Some(Ask::Neighbor),
            Answer::Echo => Some(Ask::Echo),
            Answer::TcpOpen(port)
            | Answer::TcpClosed(port)
            | Answer::TcpFiltered(port)
            | Answer::TcpSilent(port) => Some(Ask::Tcp(*port)),
            Answer::UdpReply(port, _) | Answer::UdpClosed(port) | Answer::UdpFiltered(port) => {
                Some(Ask::Udp(*port))
            }
            Answer::Timestamp => Some(Ask::Timestamp),
            Answer::TcpReset(port) => Some(Ask::Ack(*port)),
            Answer::Unreachable => None,
        };
        let asked = ask.and_then(|ask| self.asked_at(number, ask));
        if let Some(ask) = ask {
            self.settle_bulk(number, ask);
        }
        if let (Answer::TcpOpen(_) | Answer::UdpReply(..), Some(ask)) = (&reply.answer, ask) {
            self.charge(reply.about, kernel_packets(self.link.tier(), ask));
            self.accepted += 1;
        }
        if self.state.has(number, SWALLOWED) {
            return;
        }
        if let (Some(ask), Some(host)) = (ask, self.state.hosts.get_mut(&number))
            && host.is_answered(ask)
            && self.waiting.contains_key(&number)
        {
            // What waited for room need not wait for that answer.
            self.ready.insert((self.link.now(), number));
        }
        let speaks = match &reply.answer {
            Answer::Arp(_)
            | Answer::Neighbor(_)
            | Answer::Echo
            | Answer::Timestamp
            | Answer::TcpReset(_)
            | Answer::TcpOpen(_)
            | Answer::TcpClosed(_)
            | Answer::UdpReply(..)
            | Answer::UdpClosed(_) => true,
            // Said by a router, or by nobody.
            Answer::TcpFiltered(_)
            | Answer::UdpFiltered(_)
            | Answer::Unreachable
            | Answer::TcpSilent(_) => false,
        };
        if let (true, Some(ask)) = (speaks, ask) {
            let link_layer = match reply.answer {
                Answer::Arp(mac) | Answer::Neighbor(mac) => Some(mac),
                _ => reply.mac,
            };
            let first = !self.state.has(number, ALIVE);
            let accepted = matches!(reply.answer, Answer::TcpOpen(_) | Answer::UdpReply(..));
            self.note_answered(number, ask, self.link.now());
            self.hear(number, self.method(ask), reply.ttl, link_layer);
            if let (true, Some(asked)) = (first, asked) {
                match ask {
                    Ask::Arp | Ask::Neighbor => self.loss.note(asked.pass),
                    _ if matches!(self.course.work, Work::Liveness) => {
                        self.extra.note_found(asked.pass);
                    }
                    _ => {}
                }
            }
            if let (Some(asked), Some(host)) = (asked, self.state.hosts.get_mut(&number))
                && asked.only_once
            {
                let took = self.link.now().saturating_sub(asked.at);
                host.round_trip.measure(took);
                self.all_round_trips.measure(took);
                self.meet_witness((reply.about, link_layer), ask, accepted, took);
            }
        }
        let pass = asked.map(|asked| asked.pass);
        match reply.answer {
            Answer::TcpOpen(port) => {
                self.note(number, Transport::Tcp, port, PortState::Open, &[], pass);
            }
            Answer::TcpClosed(port) => {
                self.note(number, Transport::Tcp, port, PortState::Closed, &[], pass);
            }
            Answer::TcpFiltered(port) => {
                self.note(number, Transport::Tcp, port, PortState::Filtered, &[], pass);
            }
            Answer::UdpReply(port, bytes) => {
                self.note(number, Transport::Udp, port, PortState::Open, &bytes, pass);
            }
            Answer::UdpClosed(port) => {
                self.note(number, Transport::Udp, port, PortState::Closed, &[], pass);
            }
            Answer::UdpFiltered(port) => {
                self.note(number, Transport::Udp, port, PortState::Filtered, &[], pass);
            }
            Answer::Unreachable => self.is_unreachable(number),
            Answer::Arp(_)
            | Answer::Neighbor(_)
            | Answer::Echo
            | Answer::Timestamp
            | Answer::TcpReset(_)
            | Answer::TcpSilent(_) => {}
        }
    }

    /// When and how often the question was asked that is answered now, if that is known.
    fn asked_at(&self, number: u64, ask: Ask) -> Option<Asked> {
        let (pass, at) = self.course.last_time(self.place_of(number, ask)?)?;
        match &self.course.work {
            // A round of its own, unless it repeats another.
            Work::Liveness => {
                let round = usize::try_from(pass).ok()?;
                let same = |of: usize| self.rounds.get(of) == Some(&ask);
                let link = matches!(ask, Ask::Arp | Ask::Neighbor);
                let first = if link { pass == 0 } else { !(0..round).any(same) };
                // Of a question that may have waited for its network's rate the place says
                // nothing of the time.
                let only_once = first && !self.sweep.plan.rates.limits_networks();
                (link || same(round)).then_some(Asked { pass, at, only_once })
            }
            _ => match self.state.hosts.get(&number)?.last {
                Some((last, at, pass)) if last == ask => {
                    Some(Asked { pass, at, only_once: pass == 0 })
                }
                // Of a question that waited for its address's rate the place says nothing.
                _ if self.waiting.contains_key(&number) => None,
                _ => Some(Asked { pass, at, only_once: pass == 0 && !self.counts_each }),
            },
        }
    }

    /// An answer, or the neighbour table, shows that the address is alive.
    fn hear(&mut self, number: u64, method: Method, ttl: Option<u8>, mac: Option<MacAddr>) {
        let now = self.link.timestamp();
        if !self.state.has(number, ALIVE) && !self.counts_each {
            self.recall_packets(number);
        }
        self.state.set(number, ALIVE);
        let host = self.state.hosts.entry(number).or_default();
        if !host.is_alive_by(method) {
            host.alive.push((method, ttl, now));
        }
        if let Some(mac) = mac.filter(|mac| !mac.is_group()) {
            host.answered_with(mac, method, now);
        }
        if !self.holding {
            self.tell(number);
        }
    }

    /// From now on packets to this address are counted, with those that it got until now.
    fn recall_packets(&mut self, number: u64) {
        let passes = self.course.cursor.div_ceil(self.course.size().max(1));
        let each = 1 + kernel_packets(self.link.tier(), Ask::Tcp(0));
        let packets = u32::try_from(passes).unwrap_or(u32::MAX).saturating_mul(each);
        if let Some(address) = self.state.address(number) {
            self.pacer.sent_before(address, self.link.now(), packets);
        }
    }

    /// The link-layer address to which the kernel sent our questions, for an address that has
    /// answered one of them.
    fn reached_through(&mut self, number: u64, mac: MacAddr) {
        let now = self.link.timestamp();
        let Some(host) = self.state.hosts.get_mut(&number) else { return };
        if host.mac.is_none() && !mac.is_group() {
            host.mac = Some((mac, Method::NeighborTable, now));
            if !self.holding {
                self.tell(number);
            }
        }
    }

    /// An unreachable on our own link comes from our own kernel, after three ARP requests:
    /// that settles it. A router's may be rate limited or of the moment: the second does.
    fn is_unreachable(&mut self, number: u64) {
        let near = self.state.address(number).is_some_and(|a| self.link.is_on_link(a));
        if (near && self.link.tier() == Tier::Connect)
            || self.state.tried(number) & UNREACHABLE_ONCE != 0
        {
            self.state.set(number, ABSENT);
        }
        self.state.try_by(number, UNREACHABLE_ONCE);
    }

    fn note(
        &mut self,
        number: u64,
        transport: Transport,
        port: u16,
        state: PortState,
        bytes: &[u8],
        pass: Option<u64>,
    ) {
        let Some(address) = self.state.address(number) else { return };
        let settles = self.group.note(number, transport, port, Cell::of(state));
        if settles && matches!(self.course.work, Work::Ports | Work::Telltale { .. }) {
            pass.into_iter().for_each(|pass| self.loss.note(pass));
        }
        let Some(host) = self.state.hosts.get_mut(&number) else { return };
        host.talks |= matches!(self.course.work, Work::Ports | Work::Telltale { .. });
        let in_group = self.group.cell(number, transport, port).is_some();
        if !in_group && host.early(transport, port).is_none() {
            host.early.push((transport, port, state));
        }
        if state == PortState::Open {
            self.judge_fragile_by_port(number, transport, port);
            let endpoint = Endpoint { address, transport, port };
            if transport == Transport::Udp {
                let kept = bytes.get(..MOST_UDP_REPLY).unwrap_or(bytes);
                self.udp_replies.entry(endpoint).or_insert_with(|| kept.to_vec());
            }
            if self.open.insert(endpoint) && !self.holding {
                self.tell_open(endpoint);
            }
        }
    }

    pub(super) fn emit(
        &mut self,
        at: Timestamp,
        method: Method,
        subject: Subject,
        fact: Fact,
        bytes: &[u8],
    ) {
        let evidence = bytes.get(..Observation::MAX_EVIDENCE).unwrap_or(bytes).to_vec();
        let vantage = self.sweep.vantage.clone();
        let observed_at = at;
        (self.observe)(Observation { observed_at, vantage, method, subject, fact, evidence });
    }

    fn tell_open(&mut self, endpoint: Endpoint) {
        let at = self.link.timestamp();
        let bytes = self.udp_replies.get(&endpoint).cloned().unwrap_or_default();
        let fact = Fact::PortState(PortState::Open);
        let method = self.port_method(endpoint.transport);
        self.emit(at, method, Subject::Endpoint(endpoint), fact, &bytes);
    }

    fn port_method(&self, transport: Transport) -> Method {
        match transport {
            Transport::Tcp => self.method(Ask::Tcp(0)),
            Transport::Udp => Method::Udp,
        }
    }

    /// Tells what is known of the address and was not told yet.
    pub(super) fn tell(&mut self, number: u64) {
        let Some(address) = self.state.address(number) else { return };
        let Some(host) = self.state.hosts.get_mut(&number) else { return };
        let first = host.told == 0;
        let alive: Vec<_> = host.alive.get(host.told..).unwrap_or(&[]).to_vec();
        host.told = host.alive.len();
        let mac = host.mac.filter(|_| !std::mem::replace(&mut host.mac_told, host.mac.is_some()));
        let rivals: Vec<_> = host.rivals.get(host.rivals_told..).unwrap_or(&[]).to_vec();
        host.rivals_told = host.rivals.len();
        let subject = Subject::Address(address);
        for (method, ttl, at) in alive {
            self.emit(at, method, subject, Fact::Alive { ttl }, &[]);
        }
        for (mac, method, at) in mac.into_iter().chain(rivals) {
            self.emit(at, method, subject, Fact::LinkAddress(mac), &[]);
        }
        if first {
            // Ports that were found open while observations were held back.
            let from = Endpoint { address, transport: Transport::Tcp, port: 0 };
            let held: Vec<Endpoint> =
                self.open.range(from..).take_while(|e| e.address == address).copied().collect();
            for endpoint in held {
                self.tell_open(endpoint);
            }
        }
    }

    /// Reads the neighbour table: it knows the link-layer addresses of those who answered,
    /// and who answered the kernel's ARP and nothing else. An entry shows that somebody is
    /// there only if it was confirmed since we asked: an older one may be of a device that
    /// left. Of one that answered us otherwise, an older entry still says through which
    /// link-layer address it was reached.
    ///
    /// Returns whether the kernel is still asking somebody who answered us nothing.
    pub(super) fn look_at_neighbors(&mut self) -> bool {
        if self.state.first_asked.is_empty() {
            return false;
        }
        let mut still_asking = false;
        self.undecided.clear();
        let table = self.link.neighbors();
        let (now, moment) = (self.link.now(), self.link.timestamp());
        let at = |age: Duration| {
            let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
            Timestamp(moment.0.saturating_sub(age))
        };
        for entry in table {
            let Some(number) = self.state.addresses.number(entry.address) else { continue };
            let Some(asked) = self.state.first_asked.get(&number) else { continue };
            let since = now.saturating_sub(*asked).saturating_add(TABLE_TICK);
            if self.state.has(number, SWALLOWED) || !self.link.is_on_link(entry.address) {
                continue;
            }
            match entry.confirmed < since {
                true => self.hear(number, Method::NeighborTable, None, Some(entry.mac)),
                false => {
                    self.reached_through(number, entry.mac);
                    if !self.state.has(number, ALIVE) {
                        let before = entry.confirmed.saturating_sub(since);
                        let proof = (before < PROOF).then(|| (at(entry.confirmed), entry.mac));
                        self.undecided.insert(number, proof);
                        still_asking |= entry.being_asked;
                    }
                }
            }
        }
        still_asking
    }

    /// The kernel asks a neighbour that it heard before only some seconds after our packet
    /// went there. Who answers ARP and nothing else would be found by a first sweep and
    /// lost by the second, if the second did not wait for that.
    pub(super) fn wait_for_neighbors(&mut self) -> Result<(), End> {
        let end = self.link.now().saturating_add(NEIGHBOR_PATIENCE);
        while self.look_at_neighbors() {
            let now = self.link.now();
            if now >= end {
                break;
            }
            let next = now.saturating_add(NEIGHBOR_PERIOD).min(end);
            while self.link.now() < next {
                if self.sweep.stop.is_requested() {
                    return Err(End::Stopped);
                }
                let now = self.link.now();
                self.tell_progress(now);
                self.listen(now.saturating_add(GLANCE).min(next))?;
            }
        }
        Ok(())
    }

    /// What the questions for liveness already showed needs no second question.
    pub(super) fn take_over_early(&mut self) {
        for number in self.group.hosts.clone() {
            let Some(host) = self.state.hosts.get_mut(&number) else { continue };
            for (transport, port, state) in std::mem::take(&mut host.early) {
                host.talks = true;
                if self.group.cell(number, transport, port).is_some() {
                    self.group.note(number, transport, port, Cell::of(state));
                } else {
                    host.early.push((transport, port, state));
                }
            }
        }
    }

    /// Takes addresses out for which one device answers, one gap for each stretch.
    pub(super) fn swallow(&mut self, found: Vec<Swallowed>, certainty: &str) {
        for swallowed in found {
            for (range, numbers) in recognise::clusters(&self.state, &swallowed) {
                let who = swallowed.mac.map_or(String::new(), |mac| format!(", {mac}"));
                let reason = format!(
                    "answered for by one device{who}{certainty}: {} addresses not counted as assets",
                    numbers.len()
                );
                self.outcome.gaps.push(Gap { target: range.to_string(), reason });
                for number in &numbers {
                    self.state.set(*number, SWALLOWED);
                    self.state.hosts.remove(number);
                }
                self.open.retain(|endpoint| {
                    !range.contains(endpoint.address)
                        || self
                            .state
                            .addresses
                            .number(endpoint.address)
                            .is_none_or(|number| numbers.binary_search(&number).is_err())
                });
                // Silence in between says nothing either: the device speaks for it.
                let (first, last) = (numbers.first().copied(), numbers.last().copied());
                for number in first.unwrap_or(1)..=last.unwrap_or(0) {
                    if self.state.has(number, ASKED) && !self.state.has(number, ALIVE) {
                        self.state.set(number, SWALLOWED);
                    }
                }
            }
        }
    }

    /// Tells the closed and filtered ports of the group. Silence is told as filtered only
    /// where it was asked as often as it should be.
    pub(super) fn sum_up(&mut self, complete: bool) {
        let group = std::mem::take(&mut self.group);
        for number in &group.hosts {
            let Some(address) = self.state.address(*number) else { continue };
            let Some(host) = self.state.hosts.get_mut(number) else { continue };
            host.ports_done =
                complete && group.row(*number).all(|(_, _, cell)| cell != Cell::Unasked);
            let at = self.link.timestamp();
            for transport in [Transport::Tcp, Transport::Udp] {
                for (cell, state) in [
                    (Cell::Closed, PortState::Closed),
                    (Cell::Filtered, PortState::Filtered),
                    (Cell::Silent, PortState::OpenFiltered),
                ] {
                    // Silent TCP is filtered; silent UDP may well be open.
                    let is_it = |found: Cell| match (cell, transport) {
                        (Cell::Filtered, Transport::Tcp) => {
                            found == cell || (complete && found == Cell::Silent)
                        }
                        (Cell::Silent, Transport::Tcp) => false,
                        (Cell::Silent, Transport::Udp) => complete && found == cell,
                        _ => found == cell,
                    };
                    let ports: PortSet = group
                        .row(*number)
                        .filter(|(t, _, found)| *t == transport && is_it(*found))
                        .map(|(_, port, _)| port)
                        .collect();
                    if ports.is_empty() {
                        continue;
                    }
                    let fact = Fact::Ports { transport, state, ports };
                    let method = self.port_method(transport);
                    self.emit(at, method, Subject::Address(address), fact, &[]);
                }
            }
        }
    }
}
