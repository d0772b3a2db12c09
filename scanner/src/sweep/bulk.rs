//! Courses that the link asks by itself: it makes and sends the questions of a pass in the
//! course's own order, passing over those that are settled, and the engine only says how
//! many may go. For sweeps that are too fast to make one question after the other here.

use std::time::Duration;

use model::{Method, Transport};

use super::{
    course::Work,
    engine::{End, Engine, chain},
    sending::port_of,
    state::{ASKED, Ask, bit},
};
use crate::{
    LinkError, Permit,
    net::{Bulk, BulkKind, Whom},
};

/// Passes that the link asks by itself; later ones are for few.
const PASSES: u64 = 2;

/// Questions of one call, so that a stop, and what was heard, are soon looked at.
const MOST: u32 = 4_096;

impl Engine<'_> {
    /// Lets the link ask the course under way by itself, where it can and nothing is to be
    /// counted for each address.
    pub(super) fn begin_bulk(&mut self) {
        self.bulk = !self.counts_each && self.link.asks_by_itself() && self.take_bulk_over();
    }

    fn take_bulk_over(&mut self) -> bool {
        match &self.course.work {
            Work::Liveness => {
                let addresses = self.state.addresses.clone();
                let is_v4 = addresses.ranges().iter().all(|range| range.first().is_ipv4());
                let bulk = Bulk {
                    order: &self.course.order,
                    whom: Whom::All(&addresses),
                    ports: &[0],
                    kind: BulkKind::Arp,
                };
                if !is_v4 || self.far_is_asked() || !self.link.begin_bulk(&bulk) {
                    return false;
                }
                for number in 0..addresses.count() {
                    self.state.set(number, ASKED);
                    self.state.try_by(number, bit(Method::Arp));
                }
                true
            }
            Work::Echo { hosts } => {
                let Some(permits) = self.permits(hosts) else { return false };
                let bulk = Bulk {
                    order: &self.course.order,
                    whom: Whom::Some(&permits),
                    ports: &[0],
                    kind: BulkKind::Echo,
                };
                if !self.link.begin_bulk(&bulk) {
                    return false;
                }
                for number in hosts {
                    self.state.try_by(*number, bit(Method::Echo));
                }
                true
            }
            Work::Ports => {
                let ports = self
                    .group
                    .ports
                    .iter()
                    .map(|(transport, port)| (*transport == Transport::Tcp).then_some(*port));
                let Some(ports) = ports.collect::<Option<Vec<u16>>>() else { return false };
                let Some(permits) = self.permits(&self.group.hosts) else { return false };
                let bulk = Bulk {
                    order: &self.course.order,
                    whom: Whom::Some(&permits),
                    ports: &ports,
                    kind: BulkKind::Syn,
                };
                if !self.link.begin_bulk(&bulk) {
                    return false;
                }
                for question in self.group.settled() {
                    self.link.settle(question);
                }
                for number in self.group.hosts.clone() {
                    self.state.set(number, ASKED);
                    self.state.try_by(number, bit(Method::TcpSyn));
                }
                true
            }
            _ => false,
        }
    }

    /// Permits for these, if all have one.
    fn permits(&self, numbers: &[u64]) -> Option<Vec<Permit>> {
        let permit = |number: &u64| self.sweep.plan.scope.permit(self.state.address(*number)?).ok();
        numbers.iter().map(permit).collect()
    }

    /// Whether the link asks the pass under way by itself.
    pub(super) fn is_bulk(&self) -> bool {
        self.bulk
            && self.course.cursor < self.course.size().saturating_mul(PASSES)
            && self.course.cursor < self.course.total()
    }

    /// Lets the link send as many as may go, and tells when it is worth coming back.
    pub(super) fn turn_bulk(&mut self, now: Duration) -> Result<Duration, End> {
        let anyone = self.pacer.earliest_to_anyone(now, self.room_for_all);
        let free = self.resume_at.max(anyone);
        if free > now {
            return Ok(free);
        }
        let size = self.course.size();
        let pass = self.course.cursor.checked_div(size).unwrap_or(0);
        let within = self.course.cursor % size.max(1);
        let mut until = size;
        if pass > 0 {
            // An answer to the same question of the last pass may still come.
            let wait = self.patience.again(None, &self.all_round_trips);
            match self.course.due_until(pass - 1, now.saturating_sub(wait)) {
                Some(due) if due > within => until = until.min(due),
                _ => {
                    let place = (pass - 1).saturating_mul(size).saturating_add(within);
                    let at = self.course.passed_at(place).unwrap_or(now);
                    return Ok(at.saturating_add(wait).max(now));
                }
            }
        }
        let most = self.pacer.room(now).clamp(1, MOST);
        let sent = match self.link.send_bulk(within, until, most) {
            Ok(sent) => sent,
            Err(LinkError::Busy { .. }) => {
                self.back_off(now)?;
                return Ok(self.resume_at);
            }
            Err(error) => return Err(End::Failed(chain(&error))),
        };
        let frames = u32::try_from(sent.questions).unwrap_or(u32::MAX);
        self.pacer.sent_to_anyone(now, frames);
        self.outcome.probes_sent = self.outcome.probes_sent.saturating_add(sent.questions);
        if matches!(self.course.work, Work::Ports) {
            self.connects = self.connects.saturating_add(sent.questions);
        }
        if sent.questions > 0 {
            self.last_sent = now;
            self.busy_since = None;
        }
        self.course.advance_to(pass.saturating_mul(size).saturating_add(sent.place), now);
        for place in sent.refused {
            self.ask_in_person(place, pass, now);
        }
        Ok(now)
    }

    /// What the driver did not take goes one by one.
    fn ask_in_person(&mut self, place: u64, pass: u64, now: Duration) {
        let Some((host, port)) = self.course.order.at(place) else { return };
        let question = match &self.course.work {
            Work::Liveness => Some((host, Ask::Arp)),
            Work::Echo { hosts } => {
                let number = usize::try_from(host).ok().and_then(|host| hosts.get(host));
                number.map(|number| (*number, Ask::Echo))
            }
            Work::Ports => match (usize::try_from(host), usize::try_from(port)) {
                (Ok(host), Ok(port)) => {
                    self.group.question(host, port).map(|(number, ask, _)| (number, ask))
                }
                _ => None,
            },
            _ => None,
        };
        if let Some((number, ask)) = question {
            self.queue(number, ask, pass);
            self.make_ready(number, now);
        }
    }

    /// An answer came: the link need not ask that again.
    pub(super) fn settle_bulk(&mut self, number: u64, ask: Ask) {
        if !self.bulk {
            return;
        }
        let question = match (&self.course.work, port_of(ask)) {
            (Work::Liveness, _) => Some(number),
            (Work::Echo { hosts }, _) if ask == Ask::Echo => {
                hosts.binary_search(&number).ok().and_then(|host| u64::try_from(host).ok())
            }
            (Work::Ports, Some((transport, port))) => {
                let numbers = self.group.numbers(number, transport, port);
                numbers.and_then(|(host, port)| {
                    let place = port.checked_mul(self.group.hosts.len())?.checked_add(host)?;
                    u64::try_from(place).ok()
                })
            }
            _ => None,
        };
        if let Some(question) = question {
            self.link.settle(question);
        }
    }
}
