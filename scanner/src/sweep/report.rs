//! What a sweep says of itself: where it looked, and where it did not.

use model::{AddressRange, Coverage, Fact, Gap, Method, PortSet, Subject};

use super::{
    Answering, SweepOutcome,
    adapting::Adapting,
    engine::{End, Engine},
    state::{ABSENT, ALIVE, ASKED, METHODS, SWALLOWED, bit},
};
use crate::{net::Tier, scope::after};

impl Engine<'_> {
    /// Tells what is left to tell, and makes the outcome.
    pub(super) fn finish(mut self, end: Option<End>) -> SweepOutcome {
        self.outcome.complete = end.is_none() && !self.lacks_route;
        // A part is under way, unless the end came after it.
        let is_within = self.state.addresses.count() > 0;
        if is_within {
            let answering = self.close_part(end.as_ref());
            match end {
                // What is cut off is asked again as a whole.
                Some(End::Stopped) | None => self.outcome.answering.extend(answering),
                Some(End::Failed(_)) => _ = self.hand_over(answering),
            }
        }
        if self.outcome.drops > 0 {
            let reason = format!(
                "{} answers were lost before they could be read, so that addresses and ports may \
                 be missing; a lower rate loses fewer",
                self.outcome.drops
            );
            self.outcome.gaps.push(Gap { target: "answers".to_owned(), reason });
        }
        if let Some(end) = &end {
            let why = match end {
                End::Stopped => self.sweep.stop.reason().to_owned(),
                End::Failed(reason) => reason.clone(),
            };
            self.left_out(&why);
        }
        self.outcome.rate = self.adapting.as_ref().map(Adapting::rate);
        let passes = if self.loss.is_seen() { 3 } else { 2 };
        self.outcome.missed = self.loss.missed(passes);
        self.outcome
    }

    /// Takes what the outcome says of the part under way, and returns who answers in it.
    pub(super) fn close_part(&mut self, end: Option<&End>) -> Answering {
        if self.holding {
            self.release_what_is_sure();
        }
        if end.is_some() {
            self.sum_up(false);
        }
        self.failures();
        self.cover(end.is_none());
        self.tell_undecided();
        let limited = self.limited();
        self.outcome.limited.extend(limited);
        self.answering()
    }

    fn answering(&mut self) -> Answering {
        let ports = &self.sweep.plan.ports;
        let mut open = std::mem::take(&mut self.open);
        let mut udp_replies = std::mem::take(&mut self.udp_replies);
        udp_replies.retain(|endpoint, _| open.contains(endpoint));
        open.retain(|endpoint| match endpoint.transport {
            model::Transport::Tcp => ports.tcp.contains(endpoint.port),
            model::Transport::Udp => ports.udp.contains(endpoint.port),
        });
        let (open, udp_replies) = (Vec::from_iter(open), Vec::from_iter(udp_replies));
        let mut answering = Answering { open, udp_replies, ..Answering::default() };
        for (number, host) in &self.state.hosts {
            let Some(address) = self.state.address(*number) else { continue };
            answering.alive.push((address, host.mac.map(|(mac, _, _)| mac)));
            if host.gentle {
                answering.gentle.push(address);
            }
        }
        answering
    }

    /// One gap for each stretch of addresses that could not be asked for one reason.
    fn failures(&mut self) {
        let mut gaps: Vec<(AddressRange, String)> = Vec::new();
        for number in 0..self.state.addresses.count() {
            let nothing_to_ask = "there is no way to ask it in this I/O tier";
            let reason = match self.state.failure(number) {
                Some(reason) => reason,
                None if self.liveness_done && !self.state.has(number, ASKED) => nothing_to_ask,
                None => continue,
            };
            let Some(address) = self.state.address(number) else { continue };
            join(&mut gaps, address, reason.to_owned());
        }
        let gaps = gaps.into_iter();
        let gaps = gaps.map(|(range, reason)| Gap { target: range.to_string(), reason });
        self.outcome.gaps.extend(gaps);
    }

    /// How much was not asked when the end came.
    fn left_out(&mut self, why: &str) {
        let count_here = self.state.addresses.count();
        let rest = self.all.part(self.behind, u64::MAX);
        let unknown = |number: &u64| {
            !self.liveness_done
                && !self.state.is_failed(*number)
                && !self.state.has(*number, ALIVE | SWALLOWED | ABSENT)
        };
        let mut ranges = Vec::new();
        let mut missing: u64 = 0;
        for number in (0..count_here).filter(unknown) {
            missing += 1;
            if let Some(address) = self.state.address(number) {
                join(&mut ranges, address, ());
            }
        }
        for range in rest.ranges() {
            missing = missing.saturating_add(u64::try_from(range.len()).unwrap_or(u64::MAX));
            ranges.push((*range, ()));
        }
        let count = self.all.count();
        let unfinished = self.state.hosts.values().filter(|host| !host.ports_done).count();
        let named: Vec<String> = ranges.iter().take(3).map(|(r, ())| r.to_string()).collect();
        let more = if ranges.len() > named.len() { ", …" } else { "" };
        if missing > 0 {
            let target = format!("{}{more}", named.join(", "));
            let reason = format!(
                "{why}: {missing} of {count} addresses were not asked often enough to know \
                 whether anything is there"
            );
            self.outcome.gaps.push(Gap { target, reason });
        }
        if unfinished > 0 || (missing == 0 && count_here > 0) {
            let alive = self.outcome.answering.alive.len();
            let reason = format!(
                "{why}: {unfinished} of {alive} addresses that are there were not asked for \
                 all their ports"
            );
            self.outcome.gaps.push(Gap { target: "ports".to_owned(), reason });
        }
    }

    /// Addresses of which an older entry of the neighbour table is all there is. A recent one
    /// is proof that somebody was there then, and is told with the time of then; whether
    /// somebody is there now stays open.
    fn tell_undecided(&mut self) {
        for (number, heard) in std::mem::take(&mut self.undecided) {
            let Some(address) = self.state.address(number) else { continue };
            if self.state.hosts.contains_key(&number) {
                continue;
            }
            if let Some((at, mac)) = heard {
                let subject = Subject::Address(address);
                self.emit(at, Method::NeighborTable, subject, Fact::Alive { ttl: None }, &[]);
                self.emit(at, Method::NeighborTable, subject, Fact::LinkAddress(mac), &[]);
            }
            let reason = "answers nothing; the system spoke with it shortly before and did not \
                          ask again, so it may be there: look again in a minute, or with --io raw";
            self.outcome.gaps.push(Gap { target: address.to_string(), reason: reason.to_owned() });
        }
    }

    /// Coverage: an address that answered, or that was asked as often as silence deserves.
    /// What one device answered for, and what could not be asked, is in none.
    fn cover(&mut self, all_asked: bool) {
        let plan = self.sweep.plan;
        let connect = self.link.tier() == Tier::Connect;
        let mut ranges: Vec<(AddressRange, (u16, bool))> = Vec::new();
        for number in 0..self.state.addresses.count() {
            let host = self.state.hosts.get(&number);
            let settled = host.is_some()
                || self.state.has(number, ABSENT)
                || (self.liveness_done && self.state.has(number, ASKED));
            let unknown = host.is_none() && self.undecided.contains_key(&number);
            if !settled
                || unknown
                || self.state.is_failed(number)
                || self.state.has(number, SWALLOWED)
            {
                continue;
            }
            let Some(address) = self.state.address(number) else { continue };
            let mut tried = self.state.tried(number) & !super::state::UNREACHABLE_ONCE;
            if connect && self.state.first_asked.contains_key(&number) {
                tried |= bit(Method::NeighborTable);
            }
            let ports = host.map_or(all_asked, |host| host.ports_done);
            join(&mut ranges, address, (tried, ports));
        }
        for (range, (tried, ports)) in ranges {
            let covered = Coverage {
                range,
                methods: METHODS.into_iter().filter(|m| tried & bit(*m) != 0).collect(),
                tcp: if ports { plan.ports.tcp.clone() } else { PortSet::default() },
                udp: if ports { plan.ports.udp.clone() } else { PortSet::default() },
            };
            match self.outcome.coverage.last_mut() {
                Some(last) if continues(last, &covered) => {
                    last.range =
                        AddressRange::new(last.range.first(), range.last()).unwrap_or(last.range);
                }
                _ => self.outcome.coverage.push(covered),
            }
        }
    }
}

impl Answering {
    /// Takes in what is of other addresses.
    pub(super) fn extend(&mut self, later: Self) {
        self.open.extend(later.open);
        self.open.sort_unstable();
        self.udp_replies.extend(later.udp_replies);
        self.alive.extend(later.alive);
        self.alive.sort_unstable();
        self.gentle.extend(later.gentle);
        self.gentle.sort_unstable();
    }
}

impl SweepOutcome {
    /// Takes in what a later sweep of other addresses brought.
    pub fn join(&mut self, later: Self) {
        self.answering.extend(later.answering);
        self.limited.extend(later.limited);
        self.limited.sort_unstable();
        self.missed = self.missed.or(later.missed);
        self.rate = later.rate.or(self.rate);
        self.done = self.done.saturating_add(later.done);
        self.probes_sent = self.probes_sent.saturating_add(later.probes_sent);
        self.replies = self.replies.saturating_add(later.replies);
        self.drops = self.drops.saturating_add(later.drops);
        self.complete &= later.complete;
        self.gaps.extend(later.gaps);
        self.coverage.extend(later.coverage);
    }
}

/// Whether one says the same as the other, of the addresses right behind it.
fn continues(one: &Coverage, other: &Coverage) -> bool {
    after(one.range.last()) == Some(other.range.first())
        && (&one.methods, &one.tcp, &one.udp) == (&other.methods, &other.tcp, &other.udp)
}

/// Adds an address to the last range if it continues it and means the same.
fn join<T: PartialEq>(ranges: &mut Vec<(AddressRange, T)>, address: std::net::IpAddr, meaning: T) {
    if let Some((range, last)) = ranges.last_mut()
        && *last == meaning
        && after(range.last()) == Some(address)
        && let Some(longer) = AddressRange::new(range.first(), address)
    {
        *range = longer;
        return;
    }
    ranges.push((AddressRange::single(address), meaning));
}
