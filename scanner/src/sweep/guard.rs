//! What must not be hurt, and who cannot take more.
//!
//! A device that is fragile by its maker, by what the inventory knows of it, or by an open
//! port of printers and controllers is asked [`GENTLE`] packets a second from then on.
//!
//! One that answered and falls silent is in *doubt*. It is asked at once what it is known to
//! answer, which tells a filter, and everything else at distances that grow with its silence:
//! who answers at a low rate still answers now and then, and who died gets little. If it
//! answers anything, the sweep goes on. If it does not for [`LONG`], it is asked nothing but
//! up to three *canaries*, each more than a second after the question before it, so that also
//! who answers only so many packets in each second has to answer every one. If the first is
//! answered, the sweep goes on; if two stay unanswered, the device is left alone; if one does,
//! it struggles and is asked a quarter as fast.
//!
//! Who answers at a constant rate has a limit, which is found ([`limit`]) and kept. None of
//! this is looked at where no rate for one address is wanted: such a sweep is over before a
//! canary could come back.

mod limit;

use std::{cmp::Reverse, net::IpAddr, time::Duration};

use model::{Fact, Method, Subject, Transport};

use self::limit::Flow;
use super::{
    course::Work,
    engine::{Engine, GLANCE},
    sending::port_of,
    state::{Ask, Host},
};
use crate::{net::Tier, plan::PORT_TRIES, rate::GENTLE};

/// Ports that printers (raw printing) and controllers (Modbus, S7, EtherNet/IP, DNP3,
/// BACnet) have open, and hardly anything else.
const TELLTALE: [(Transport, u16); 6] = [
    (Transport::Tcp, 102),
    (Transport::Tcp, 502),
    (Transport::Tcp, 9100),
    (Transport::Tcp, 20_000),
    (Transport::Tcp, 44_818),
    (Transport::Udp, 47_808),
];

/// So many questions in a row without an answer, and it is in doubt; twice as many each time
/// that a filter was the reason.
const SILENT: u32 = 8;
const MOST_SILENT: u32 = 128;

/// In doubt, the time from one question to the next is this part of the silence so far.
const PART: u32 = 4;

/// A silence that no limit worth finding explains: canaries follow, if the way to the address
/// is not longer.
const LONG: Duration = Duration::from_millis(250);

/// Canaries of a round, and how many of them unanswered are too many.
const CANARIES: u8 = 3;
const TOO_MANY: u8 = 2;

/// The time from one question of a round to the next: longer than the second by which limits
/// are counted, with what clocks and ways differ.
const BETWEEN: Duration = Duration::from_millis(1_100);

/// Passes more than usual for who has a limit, once it is known; and at most, while it is
/// found out.
const MORE_TRIES: u64 = 3;
const MOST_TRIES: u64 = 16;

/// By how much who struggles is slowed down.
const STRUGGLES: u32 = 4;

/// How an address behaves while it is asked for its ports.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conduct {
    /// Questions since its last answer, and when the first of them went.
    silent: u32,
    since: Duration,
    /// At how many of them it is in doubt.
    patience: u32,
    doubt: Option<Doubt>,
    /// When the next question may go to who is in doubt.
    next: Duration,
    /// A port whose question it answers.
    port: Option<u16>,
    flow: Flow,
}

impl Default for Conduct {
    fn default() -> Self {
        Self {
            silent: 0,
            since: Duration::ZERO,
            patience: SILENT,
            doubt: None,
            next: Duration::ZERO,
            port: None,
            flow: Flow::default(),
        }
    }
}

impl Conduct {
    /// A question went, to whom answers in `round_trip`. Says whether it is in doubt now.
    fn ask(&mut self, now: Duration, round_trip: Duration, has_canary: bool) -> bool {
        if self.silent == 0 {
            self.since = now;
        }
        self.silent = self.silent.saturating_add(1);
        self.flow.ask(now, round_trip);
        let begins = self.doubt.is_none() && has_canary && self.silent >= self.patience;
        if begins {
            self.doubt = Some(Doubt { due: now, step: Step::Ask });
        }
        if self.doubt.is_some() {
            self.next = now.saturating_add(now.saturating_sub(self.since) / PART);
        }
        begins
    }

    /// It answers: it is asked as before.
    fn go_on(&mut self) {
        self.doubt = None;
        self.silent = 0;
        self.next = Duration::ZERO;
    }
}

/// What is done about somebody who fell silent, and when next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Doubt {
    due: Duration,
    step: Step,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    /// It is asked what it is known to answer.
    Ask,
    /// It has time to answer that, or anything else.
    Wait,
    /// It is asked nothing but canaries.
    Canaries(Round),
}

/// Canaries that went, and those that were answered.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Round {
    went: u8,
    answered: u8,
}

/// What becomes of a round once its last canary had time to be answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Turn {
    Next,
    GoOn,
    Spare,
    LeaveAlone,
}

impl Round {
    const fn turn(self) -> Turn {
        if self.went == 1 && self.answered == 1 {
            Turn::GoOn
        } else if self.went.saturating_sub(self.answered) >= TOO_MANY {
            Turn::LeaveAlone
        } else if self.went < CANARIES {
            Turn::Next
        } else {
            Turn::Spare
        }
    }
}

impl Host {
    /// The question of a canary: echo where it answers that, or a port, or the link.
    fn canary(&self, tier: Tier) -> Option<Ask> {
        let by = |method| self.is_alive_by(method);
        match (tier, self.conduct.port) {
            _ if by(Method::Echo) => Some(Ask::Echo),
            (_, Some(port)) => Some(Ask::Tcp(port)),
            (Tier::Raw, None) if by(Method::Arp) => Some(Ask::Arp),
            (Tier::Raw, None) if by(Method::NeighborSolicitation) => Some(Ask::Neighbor),
            _ => None,
        }
    }
}

impl Engine<'_> {
    /// The telltale ports among those that are wanted: they are asked before all others.
    pub(super) fn telltale_ports(&self) -> Vec<(Transport, u16)> {
        let ports = &self.sweep.plan.ports;
        let wanted = |(transport, port): &(Transport, u16)| match transport {
            Transport::Tcp => ports.tcp.contains(*port),
            Transport::Udp => ports.udp.contains(*port),
        };
        // Where everybody is asked gently there is nothing to find out.
        let gentle = self.sweep.plan.rates.per_host <= GENTLE;
        TELLTALE.into_iter().filter(|telltale| !gentle && wanted(telltale)).collect()
    }

    /// From now on this address is asked gently, if it is fragile by what is known of it.
    pub(super) fn judge_fragile(&mut self, number: u64) {
        let Some(address) = self.state.address(number) else { return };
        let Some(host) = self.state.hosts.get(&number) else { return };
        let mac = host.mac.map(|(mac, _, _)| mac);
        if self.sweep.fragile.is(address, mac) {
            self.ask_gently(number);
        }
    }

    /// The same, because of an open port.
    pub(super) fn judge_fragile_by_port(&mut self, number: u64, transport: Transport, port: u16) {
        if TELLTALE.contains(&(transport, port)) {
            self.ask_gently(number);
        }
    }

    fn ask_gently(&mut self, number: u64) {
        let Some(address) = self.state.address(number) else { return };
        if let Some(host) = self.state.hosts.get_mut(&number).filter(|host| !host.gentle) {
            host.gentle = true;
            self.pacer.slow_down(address, GENTLE);
        }
    }

    /// A question for a port went to the address, to which packets are counted.
    pub(super) fn note_asked(&mut self, number: u64, now: Duration) {
        let tier = self.link.tier();
        let Some(host) = self.state.hosts.get_mut(&number) else { return };
        let has_canary = host.canary(tier).is_some();
        let round_trip = host.round_trip.raw().unwrap_or_default();
        if host.conduct.ask(now, round_trip, has_canary) {
            self.canaries.push(Reverse((now, number)));
        }
    }

    /// The address answered that question.
    pub(super) fn note_answered(&mut self, number: u64, ask: Ask, now: Duration) {
        if !self.counts_each || !matches!(self.course.work, Work::Ports | Work::Telltale { .. }) {
            return;
        }
        let tier = self.link.tier();
        let Some(host) = self.state.hosts.get_mut(&number) else { return };
        let is_canary = host.canary(tier) == Some(ask);
        let round_trip = host.round_trip.raw().unwrap_or_default();
        let conduct = &mut host.conduct;
        match &mut conduct.doubt {
            Some(Doubt { step: Step::Canaries(round), .. }) if round.went > 0 => {
                round.answered = (round.answered + u8::from(is_canary)).min(round.went);
            }
            doubt => {
                // In doubt it answers what it is known to answer, and nothing else: a filter.
                if doubt.is_some() && is_canary {
                    conduct.patience = conduct.patience.saturating_mul(2).min(MOST_SILENT);
                }
                conduct.go_on();
            }
        }
        if let Ask::Tcp(port) = ask {
            conduct.port = Some(port);
        }
        if port_of(ask).is_some() {
            conduct.flow.hear(now, round_trip);
        }
        self.wake(number, now);
    }

    /// When the next question other than a canary may go to the address.
    pub(super) fn guard(&self, number: u64, now: Duration) -> Duration {
        let Some(host) = self.state.hosts.get(&number) else { return now };
        match host.conduct.doubt {
            Some(Doubt { step: Step::Canaries(_), .. }) => now.saturating_add(GLANCE),
            _ if host.gentle => host.conduct.next,
            _ => host.conduct.next.max(host.conduct.flow.next()),
        }
    }

    /// Whether it is not known that the address still answers.
    pub(super) fn is_in_doubt(&self, number: u64) -> bool {
        self.state.hosts.get(&number).is_some_and(|host| host.conduct.doubt.is_some())
    }

    /// The question to somebody in doubt that is due, if one is: to whom, and what.
    pub(super) fn next_canary(&mut self, now: Duration) -> Option<(u64, Ask)> {
        while let Some(number) = self.pop_doubt(now) {
            if let Some(ask) = self.settle_doubt(number, now) {
                return Some((number, ask));
            }
        }
        None
    }

    /// Whose doubt is due.
    fn pop_doubt(&mut self, now: Duration) -> Option<u64> {
        let due = self.next_canary_at()?;
        if due > now { None } else { self.canaries.pop().map(|Reverse((_, number))| number) }
    }

    /// Takes the next step about somebody in doubt: a question, if it is one.
    fn settle_doubt(&mut self, number: u64, now: Duration) -> Option<Ask> {
        let tier = self.link.tier();
        let host = self.state.hosts.get_mut(&number)?;
        let question = host.canary(tier);
        let apart = host.last.map_or(now, |(_, at, _)| at.saturating_add(BETWEEN));
        let conduct = &mut host.conduct;
        let doubt = conduct.doubt.as_mut()?;
        if doubt.step == Step::Wait {
            doubt.step = Step::Canaries(Round::default());
        }
        let (turn, at) = match doubt.step {
            Step::Canaries(round) => (round.turn(), apart),
            _ => (Turn::Next, now),
        };
        match (turn, question) {
            (Turn::Next, Some(question)) => {
                let packets = self.room_for(number, question, now);
                let address = self.state.address(number)?;
                let at = at.max(self.pacer.earliest_for(address, now, packets));
                if at > now {
                    self.put_off_doubt(number, at);
                    return None;
                }
                self.ask_in_doubt(number, question, now);
                return Some(question);
            }
            (Turn::GoOn, _) => {
                conduct.go_on();
                self.wake(number, now);
            }
            (Turn::Spare, _) => {
                conduct.go_on();
                self.spare(number);
            }
            (Turn::LeaveAlone, _) | (Turn::Next, None) => {
                conduct.doubt = None;
                self.leave_alone(number);
            }
        }
        None
    }

    fn put_off_doubt(&mut self, number: u64, due: Duration) {
        let host = self.state.hosts.get_mut(&number);
        if let Some(doubt) = host.and_then(|host| host.conduct.doubt.as_mut()) {
            doubt.due = due;
            self.canaries.push(Reverse((due, number)));
        }
    }

    /// That question goes to somebody in doubt now: it has time to be answered.
    fn ask_in_doubt(&mut self, number: u64, question: Ask, now: Duration) {
        let answered = now.saturating_add(self.wait_for(number, question));
        let Some(host) = self.state.hosts.get_mut(&number) else { return };
        let long = host.conduct.since.saturating_add(LONG);
        let Some(doubt) = &mut host.conduct.doubt else { return };
        let due = match &mut doubt.step {
            Step::Canaries(round) => {
                round.went += 1;
                answered
            }
            step => {
                *step = Step::Wait;
                answered.max(long)
            }
        };
        self.put_off_doubt(number, due);
    }

    /// The system did not take a question to somebody in doubt: it did not go. Says whether it
    /// was one.
    pub(super) fn take_back_canary(&mut self, number: u64, ask: Ask) -> bool {
        let tier = self.link.tier();
        let Some(host) = self.state.hosts.get_mut(&number) else { return false };
        let is_canary = host.canary(tier) == Some(ask);
        match &mut host.conduct.doubt {
            Some(Doubt { step, .. }) if is_canary => {
                match step {
                    Step::Canaries(round) => round.went = round.went.saturating_sub(1),
                    step => *step = Step::Ask,
                }
                true
            }
            _ => false,
        }
    }

    /// When the next step about anybody in doubt is due.
    pub(super) fn next_canary_at(&mut self) -> Option<Duration> {
        while let Some(Reverse((due, number))) = self.canaries.peek().copied() {
            let host = self.state.hosts.get(&number);
            let doubt = host.and_then(|host| host.conduct.doubt);
            if doubt.is_some_and(|doubt| doubt.due == due) {
                return Some(due);
            }
            // It was cleared up since.
            self.canaries.pop();
        }
        None
    }

    /// What waits for the address need not wait for what it waited for.
    fn wake(&mut self, number: u64, now: Duration) {
        if self.waiting.contains_key(&number) {
            self.make_ready(number, now);
        }
    }

    /// Asks the address more slowly from now on.
    fn spare(&mut self, number: u64) {
        let Some(address) = self.state.address(number) else { return };
        let limit = self.state.hosts.get(&number).and_then(|host| host.conduct.flow.limit());
        let rate = self.pacer.rate_to(address).min(self.pacer.pace());
        let rate = rate.min(limit.unwrap_or(rate)) / STRUGGLES;
        self.pacer.slow_down(address, rate.max(1));
        self.tell_trouble(
            address,
            "answered late while it was asked for its ports: asked a quarter as fast",
        );
    }

    /// Asks the address nothing more in this sweep, and those near it half as fast.
    fn leave_alone(&mut self, number: u64) {
        let Some(address) = self.state.address(number) else { return };
        let problem = "stopped answering while it was asked for its ports";
        self.state.fail(number, format!("{problem}: left alone"));
        self.pacer.halve_network(address);
        self.tell_trouble(address, problem);
    }

    fn tell_trouble(&mut self, address: IpAddr, problem: &str) {
        let at = self.link.timestamp();
        let fact = Fact::Anomaly { protocol: "sweep".to_owned(), problem: problem.to_owned() };
        let method = self.method(Ask::Tcp(0));
        self.emit(at, method, Subject::Address(address), fact, &[]);
    }

    /// Whether the address was found to have a limit, or that is being found out.
    pub(super) fn is_limited(&self, number: u64) -> bool {
        let host = self.state.hosts.get(&number).filter(|host| !host.gentle);
        let flow = host.map(|host| &host.conduct.flow);
        flow.is_some_and(|flow| flow.limit().is_some() || flow.is_suspected())
    }

    /// Whether another pass begins, because somebody was asked beyond a limit that was found
    /// since, or may have one: then it is found out by asking.
    pub(super) fn goes_on(&mut self) -> bool {
        if !matches!(self.course.work, Work::Ports) {
            return false;
        }
        let (mut limited, mut suspected) = (false, false);
        for number in &self.group.hosts {
            let host = self.state.hosts.get_mut(number).filter(|host| !host.gentle);
            let Some(flow) = host.map(|host| &mut host.conduct.flow) else { continue };
            flow.suspect();
            limited |= flow.limit().is_some();
            suspected |= flow.is_suspected();
        }
        let course = &mut self.course;
        let goes_on = match suspected {
            true => course.passes < PORT_TRIES + MOST_TRIES,
            false => limited && course.more < MORE_TRIES,
        };
        course.passes += u64::from(goes_on);
        course.more += u64::from(goes_on && !suspected);
        goes_on
    }

    /// Who was found to answer no more than so many packets a second, ascending. From now on
    /// nobody else asks them faster.
    pub(super) fn limited(&mut self) -> Vec<(IpAddr, u32)> {
        let hosts = self.state.hosts.iter().filter(|(_, host)| !host.gentle);
        let limited = hosts.filter_map(|(number, host)| {
            Some((self.state.address(*number)?, host.conduct.flow.limit()?))
        });
        let limited: Vec<_> = limited.collect();
        for (address, rate) in &limited {
            self.pacer.slow_down(*address, (*rate).min(self.pacer.rate_to(*address)));
        }
        limited
    }
}

#[cfg(test)]
mod tests;
