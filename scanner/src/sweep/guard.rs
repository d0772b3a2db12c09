//! What must not be hurt, and who cannot take more.
//!
//! A device that is fragile by its maker, by what the inventory knows of it, or by an open
//! port of printers and controllers is asked [`GENTLE`] packets a second from then on. One
//! that answered and falls silent is asked once more what it is known to answer, and nothing
//! else meanwhile: who has a filter answers, and the sweep goes on at once. Otherwise up to
//! three *canaries* follow, each more than a second after the question before it, so that
//! also who answers only so many packets in each second has to answer every one. If the
//! first is answered, the sweep goes on; if two stay unanswered, the device is left alone; if
//! one does, it struggles and is asked a quarter as fast.
//! One that answers at a constant rate whatever it is asked has a limit, which is found and
//! kept. None of this is looked at where no rate for one address is wanted: such a sweep is
//! over before a canary could come back.

use std::{cmp::Reverse, net::IpAddr, time::Duration};

use model::{Fact, Method, Subject, Transport};

use super::{
    course::Work,
    engine::Engine,
    state::{Ask, Host},
};
use crate::net::Tier;

/// Packets a second to what is fragile: those of the profile `ot`.
pub(super) const GENTLE: u32 = 2;

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

/// So many questions in a row without an answer, and canaries go if none comes now either;
/// each time twice as many, so that who is far away and answers is not held up for long.
const SILENT: u32 = 8;
const MOST_SILENT: u32 = 128;

/// Canaries of a round, and how many of them unanswered are too many.
const CANARIES: u8 = 3;
const TOO_MANY: u8 = 2;

/// The time from one question of a round to the next: longer than the second by which limits
/// are counted, with what clocks and ways differ.
const BETWEEN: Duration = Duration::from_millis(1_100);

/// By how much who struggles is slowed down.
const STRUGGLES: u32 = 4;

/// The time over which questions and answers are compared.
const SPAN: Duration = Duration::from_millis(250);

/// Fewer questions in that time say nothing, or little of one that is asked slowly.
const ENOUGH: u32 = 25;
const FEW: u32 = 8;

/// Whether there is a limit is tried at no less than this, or it would take seconds.
const SLOWEST_TRIAL: u32 = 20;

/// How an address behaves while it is asked for its ports.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conduct {
    /// Questions since its last answer.
    silent: u32,
    /// At how many of them canaries go.
    patience: u32,
    /// The round of canaries under way.
    canaries: Option<Round>,
    /// A port whose question it answers.
    port: Option<u16>,
    /// Its answers, and how many of them made the system send a packet.
    answers: u32,
    accepted: u32,
    flow: Flow,
    /// Packets a second that it gets at most, because it struggled.
    most: u32,
}

impl Default for Conduct {
    fn default() -> Self {
        Self {
            silent: 0,
            patience: SILENT,
            canaries: None,
            port: None,
            answers: 0,
            accepted: 0,
            flow: Flow::default(),
            most: u32::MAX,
        }
    }
}

/// Questions of a round that went, the one before the canaries included, and those that were
/// answered, and when the next may go.
#[derive(Clone, Copy, Debug, Default)]
struct Round {
    went: u8,
    answered: u8,
    next: Duration,
}

/// What becomes of a round once its last question had time to be answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Turn {
    Next,
    GoOn,
    Spare,
    LeaveAlone,
}

impl Round {
    const fn turn(self) -> Turn {
        let canaries = self.went.saturating_sub(1);
        if self.answered > 0 && canaries <= 1 {
            Turn::GoOn
        } else if canaries.saturating_sub(self.answered) >= TOO_MANY {
            Turn::LeaveAlone
        } else if canaries < CANARIES {
            Turn::Next
        } else {
            Turn::Spare
        }
    }
}

/// Questions and answers of the last span, to tell a limit from a filter: behind a filter
/// the answers become fewer with the questions, at a limit they do not.
#[derive(Clone, Copy, Debug, Default)]
struct Flow {
    since: Duration,
    asked: u32,
    answered: u32,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Stage {
    #[default]
    Free,
    /// It answered some of what it was asked, in less than a span.
    Suspected,
    /// Asked as fast as it answered, to see whether it then answers all.
    Tried,
    /// It has a limit: packets a second.
    Limited(u32),
    /// It answers a share of whatever it is asked: there is a filter.
    Filtered,
}

/// What a span showed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verdict {
    Nothing,
    /// Ask no faster than this, packets a second.
    Slower(u32),
    /// There is no limit: ask as before.
    AsBefore,
}

impl Flow {
    fn suspect(&mut self) {
        let (asked, answered) = (self.asked, self.answered);
        let some = answered.saturating_mul(10) >= asked && answered.saturating_mul(2) < asked;
        if self.stage == Stage::Free && asked >= ENOUGH && some {
            self.stage = Stage::Suspected;
        }
    }

    fn judge(&mut self, now: Duration) -> Verdict {
        let span = now.saturating_sub(self.since);
        let (enough, longest) = match self.stage {
            Stage::Free => (ENOUGH, SPAN * 2),
            Stage::Suspected => (1, SPAN),
            _ => (FEW, SPAN * 8),
        };
        if span < SPAN || (self.asked < enough && span < longest) {
            return Verdict::Nothing;
        }
        let millis = u32::try_from(span.as_millis()).unwrap_or(u32::MAX).max(1);
        let rate = self.answered.saturating_mul(1_000) / millis;
        let (asked, answered) = (self.asked, self.answered);
        *self = Self { since: now, asked: 0, answered: 0, stage: self.stage };
        // In tenths; what is still under way makes it a little less than all.
        let share = answered.saturating_mul(10).checked_div(asked).unwrap_or(10);
        match self.stage {
            Stage::Free | Stage::Suspected if asked >= ENOUGH && answered > 0 && share < 5 => {
                self.stage = Stage::Tried;
                Verdict::Slower(rate.max(SLOWEST_TRIAL))
            }
            Stage::Tried | Stage::Limited(_) if asked < FEW => Verdict::Nothing,
            Stage::Tried if share >= 6 => {
                let limit = rate.max(1);
                self.stage = Stage::Limited(limit);
                Verdict::Slower(limit)
            }
            Stage::Tried => {
                self.stage = Stage::Filtered;
                Verdict::AsBefore
            }
            Stage::Limited(limit) => {
                // Down to what it answers, up by a twentieth while it answers all.
                let next = match share {
                    0..9 => rate.max(1).min(limit),
                    9 => return Verdict::Nothing,
                    _ => limit.saturating_add(limit / 20 + 1),
                };
                self.stage = Stage::Limited(next);
                Verdict::Slower(next)
            }
            _ => Verdict::Nothing,
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
        let conduct = &mut host.conduct;
        if conduct.flow.asked == 0 {
            conduct.flow.since = now;
        }
        conduct.flow.asked += 1;
        conduct.silent = conduct.silent.saturating_add(1);
        if conduct.silent >= conduct.patience && conduct.canaries.is_none() && has_canary {
            conduct.canaries = Some(Round::default());
            let due = now.saturating_add(self.wait_for(number, Ask::Echo));
            self.canaries.push(Reverse((due, number)));
        }
        self.judge_flow(number, now);
    }

    /// The address answered a question.
    pub(super) fn note_answered(
        &mut self,
        number: u64,
        ask: Option<Ask>,
        accepted: bool,
        now: Duration,
    ) {
        if !self.counts_each || !matches!(self.course.work, Work::Ports | Work::Telltale { .. }) {
            return;
        }
        let tier = self.link.tier();
        let Some(host) = self.state.hosts.get_mut(&number) else { return };
        let is_canary = ask.is_some() && host.canary(tier) == ask;
        let conduct = &mut host.conduct;
        conduct.silent = 0;
        if conduct.canaries.is_some_and(|round| round.went == 0) {
            // The answers were under way.
            conduct.canaries = None;
            conduct.patience = conduct.patience.saturating_mul(2).min(MOST_SILENT);
        }
        if let (Some(round), true) = (&mut conduct.canaries, is_canary) {
            round.answered = (round.answered + 1).min(round.went);
            return;
        }
        if let Some(Ask::Tcp(port)) = ask {
            conduct.port = Some(port);
        }
        conduct.flow.answered += 1;
        conduct.answers = conduct.answers.saturating_add(1);
        conduct.accepted = conduct.accepted.saturating_add(u32::from(accepted));
        self.judge_flow(number, now);
    }

    fn judge_flow(&mut self, number: u64, now: Duration) {
        let Some(address) = self.state.address(number) else { return };
        let Some(host) = self.state.hosts.get_mut(&number) else { return };
        let (gentle, most) = (host.gentle, host.conduct.most);
        let per_host = self.sweep.plan.rates.per_host;
        match host.conduct.flow.judge(now) {
            Verdict::Slower(rate) if !gentle => {
                // A rate of questions: with what the system sends it is more.
                let Conduct { answers, accepted, .. } = host.conduct;
                let theirs = u64::from(rate) * u64::from(accepted) / u64::from(answers.max(1));
                let rate = rate.saturating_add(u32::try_from(theirs).unwrap_or(rate));
                self.pacer.slow_down(address, rate.min(per_host).min(most));
            }
            Verdict::AsBefore if !gentle => self.pacer.slow_down(address, per_host.min(most)),
            _ => {}
        }
    }

    /// Whether the address is asked nothing but canaries now.
    pub(super) fn is_held(&self, number: u64) -> bool {
        self.state.hosts.get(&number).is_some_and(|host| host.conduct.canaries.is_some())
    }

    /// The canary that is due, if one is: to whom, and what.
    pub(super) fn next_canary(&mut self, now: Duration) -> Option<(u64, Ask)> {
        while self.next_canary_at().is_some_and(|due| due <= now) {
            let Some(Reverse((_, number))) = self.canaries.pop() else { break };
            let tier = self.link.tier();
            let Some(host) = self.state.hosts.get_mut(&number) else { continue };
            let question = host.canary(tier);
            let Some(round) = host.conduct.canaries else { continue };
            let question = match (round.turn(), question) {
                (Turn::GoOn, _) => {
                    self.end_round(number);
                    continue;
                }
                (Turn::Spare, _) => {
                    self.end_round(number);
                    self.spare(number);
                    continue;
                }
                (Turn::Next, _) if now < round.next => {
                    self.canaries.push(Reverse((round.next, number)));
                    continue;
                }
                (Turn::Next, Some(question)) => question,
                (Turn::LeaveAlone, _) | (Turn::Next, None) => {
                    host.conduct.canaries = None;
                    self.leave_alone(number);
                    continue;
                }
            };
            let packets = self.room_for(number, question, now);
            let address = self.state.address(number);
            let at = address.map_or(now, |to| self.pacer.earliest_for(to, now, packets));
            if at > now {
                self.canaries.push(Reverse((at, number)));
                continue;
            }
            if let Some(host) = self.state.hosts.get_mut(&number) {
                let next = now.saturating_add(BETWEEN);
                host.conduct.canaries = Some(Round { went: round.went + 1, next, ..round });
            }
            // An answer to the first comes soon, and then the sweep goes on.
            let wait = self.wait_for(number, question);
            self.canaries.push(Reverse((now.saturating_add(wait), number)));
            return Some((number, question));
        }
        None
    }

    /// The system did not take a canary: it did not go. Says whether it was one.
    pub(super) fn take_back_canary(&mut self, number: u64, ask: Ask) -> bool {
        let tier = self.link.tier();
        let Some(host) = self.state.hosts.get_mut(&number) else { return false };
        let is_canary = host.canary(tier) == Some(ask);
        match &mut host.conduct.canaries {
            Some(round) if is_canary => {
                round.went = round.went.saturating_sub(1);
                round.next = Duration::ZERO;
                true
            }
            _ => false,
        }
    }

    /// When the next canary is due.
    pub(super) fn next_canary_at(&self) -> Option<Duration> {
        self.canaries.peek().map(|Reverse((due, _))| *due)
    }

    /// The address answers: it is asked as before, and longer until the next round.
    fn end_round(&mut self, number: u64) {
        if let Some(host) = self.state.hosts.get_mut(&number) {
            host.conduct.canaries = None;
            host.conduct.silent = 0;
            host.conduct.patience = host.conduct.patience.saturating_mul(2).min(MOST_SILENT);
        }
    }

    /// Asks the address more slowly from now on.
    fn spare(&mut self, number: u64) {
        let Some(address) = self.state.address(number) else { return };
        let rate = self.pacer.rate_to(address).min(self.pacer.pace()) / STRUGGLES;
        let rate = rate.max(1);
        self.pacer.slow_down(address, rate);
        if let Some(host) = self.state.hosts.get_mut(&number) {
            host.conduct.most = rate;
        }
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
        let stage = self.state.hosts.get(&number).map(|host| host.conduct.flow.stage);
        matches!(stage, Some(Stage::Suspected | Stage::Tried | Stage::Limited(_)))
    }

    /// Whether anybody has a limit, so that questions were asked too fast to be answered, or
    /// may have one: the sweep was quicker than a span.
    pub(super) fn anybody_is_limited(&mut self) -> bool {
        for number in &self.group.hosts {
            if let Some(host) = self.state.hosts.get_mut(number) {
                host.conduct.flow.suspect();
            }
        }
        self.group.hosts.iter().any(|number| self.is_limited(*number))
    }

    /// Who was found to answer no more than so many packets a second, ascending.
    pub(super) fn limited(&self) -> Vec<(IpAddr, u32)> {
        let limited =
            self.state.hosts.iter().filter_map(|(number, host)| match host.conduct.flow.stage {
                Stage::Limited(rate) => Some((self.state.address(*number)?, rate)),
                _ => None,
            });
        limited.collect()
    }
}

#[cfg(test)]
mod tests;
