//! One question out, and its time in flight.

use std::{cmp::Reverse, hash::Hasher, net::IpAddr, time::Duration};

use model::{Method, Transport};
use siphasher::sip::SipHasher13;

use super::{
    engine::{End, Engine, Flight, SHORTEST_PAUSE, chain, kernel_packets},
    questions::Work,
    rtt::RoundTrip,
    state::{self, ASKED, Ask},
};
use crate::{
    LinkError,
    net::{Question, Tier},
};

/// The connect tier tells when it gives up on a connection. If it does not, this ends it.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// The longest pause while the system takes no packet.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// A system that takes nothing for so long will not take anything.
const MOST_BUSY: Duration = Duration::from_secs(30);

impl Engine<'_> {
    pub(super) fn ask(&mut self, number: u64, ask: Ask, pass: u64) -> Result<(), End> {
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
                self.lacks_route = true;
                self.cannot_send(address, format!("no route to it: {source}"));
                return Ok(());
            }
            Err(LinkError::Send { source, .. }) => {
                self.cannot_send(address, format!("cannot send to it: {source}"));
                return Ok(());
            }
            Err(error) => return Err(End::Failed(chain(&error))),
        }
        self.busy_since = None;
        self.pause = SHORTEST_PAUSE;
        self.outcome.probes_sent += 1;
        if matches!(ask, Ask::Tcp(_)) {
            self.connects += 1;
            self.tcp_in_flight += 1;
        }
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

    /// The address gets no more questions, and becomes part of a gap.
    pub(super) fn cannot_send(&mut self, address: IpAddr, reason: String) {
        if let Some(number) = self.state.addresses.number(address) {
            self.state.fail(number, reason);
        }
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
        let place = match ask {
            Some(ask) => flights.iter().position(|flight| flight.ask == ask)?,
            // Of unknown kind: rather a connection, which nothing else would end soon.
            None => flights.iter().position(|f| matches!(f.ask, Ask::Tcp(_))).unwrap_or(0),
        };
        let flight = flights.swap_remove(place);
        if flights.is_empty() {
            self.flights.remove(&number);
        }
        self.in_flight = self.in_flight.saturating_sub(1);
        if matches!(flight.ask, Ask::Tcp(_)) {
            self.tcp_in_flight = self.tcp_in_flight.saturating_sub(1);
        }
        if self.waiting.contains_key(&number) {
            // What waited for it need not wait until it would have expired.
            self.ready.push(Reverse((self.link.now(), number)));
        }
        Some(flight)
    }

    /// How many packets this question may lead to at once, with those that the system
    /// will send by itself if it, and the others under way to the address, find open
    /// ports: no answer can then lead beyond the rate. Those that are older than an
    /// answer would be are not waited for; one that comes all the same is made up for
    /// afterwards.
    pub(super) fn room_for(&self, number: u64, ask: Ask, now: Duration) -> u32 {
        let tier = self.link.tier();
        let own = self.state.hosts.get(&number).map(|host| &host.round_trip);
        let young = RoundTrip::timeout(own, &self.all_round_trips);
        let flights = self.flights.get(&number).map_or(&[][..], Vec::as_slice);
        flights
            .iter()
            .filter(|flight| now.saturating_sub(flight.at) <= young)
            .map(|flight| kernel_packets(tier, flight.ask))
            .fold(1 + kernel_packets(tier, ask), u32::saturating_add)
    }

    /// The same for all addresses together, of which as many will find open ports as did
    /// so far.
    pub(super) fn room_for_all(&self) -> u32 {
        let each = u64::from(kernel_packets(self.link.tier(), Ask::Tcp(0)));
        let under_way = u64::try_from(self.tcp_in_flight).unwrap_or(u64::MAX);
        let expected = under_way.saturating_mul(each).saturating_mul(self.accepted + 1)
            / self.connects.saturating_add(4);
        u32::try_from(expected).unwrap_or(u32::MAX).saturating_add(1)
    }

    pub(super) fn is_under_way(&self, number: u64, ask: Ask) -> bool {
        self.flights
            .get(&number)
            .is_some_and(|flights| flights.iter().any(|flight| flight.ask == ask))
    }

    pub(super) fn expire(&mut self, now: Duration) {
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
}

/// The transport and port of a question for one.
const fn port_of(ask: Ask) -> Option<(Transport, u16)> {
    match ask {
        Ask::Tcp(port) => Some((Transport::Tcp, port)),
        Ask::Udp(port) => Some((Transport::Udp, port)),
        Ask::Arp | Ask::Neighbor | Ask::Echo => None,
    }
}
