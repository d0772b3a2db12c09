//! One question out, and the packets that it may lead to.

use std::{hash::Hasher, net::IpAddr, time::Duration};

use model::{Method, Transport};
use siphasher::sip::SipHasher13;

use super::{
    course::Work,
    engine::{End, Engine, SHORTEST_PAUSE, chain},
    state::{self, ASKED, Ask},
};
use crate::{
    LinkError,
    net::{Question, Tier},
};

/// The connect tier tells when it gives up on a connection, which is sooner than this.
const CONNECT_PATIENCE: Duration = Duration::from_secs(1);

/// The longest pause while the system takes no packet.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// A system that takes nothing for so long will not take anything.
const MOST_BUSY: Duration = Duration::from_secs(30);

impl Engine<'_> {
    pub(super) fn ask(
        &mut self,
        number: u64,
        ask: Ask,
        pass: u64,
        now: Duration,
    ) -> Result<(), End> {
        let Some(address) = self.state.address(number) else { return Ok(()) };
        let question = self.question(address, ask, pass);
        // Every link can ask for ports; what is asked on the link was looked at when the
        // question was chosen.
        if matches!(ask, Ask::Echo | Ask::Timestamp | Ask::Ack(_))
            && !self.link.can_ask(address, &question)
        {
            return Ok(());
        }
        let Ok(permit) = self.sweep.plan.scope.permit(address) else { return Ok(()) };
        match self.link.send(permit, &question) {
            Ok(()) => {}
            Err(LinkError::Busy { .. }) => {
                if !self.take_back_canary(number, ask) {
                    self.put_back(number, ask, pass);
                }
                return self.back_off(now);
            }
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
        }
        // The kernel asks for the link-layer address first.
        let connect = self.link.tier() == Tier::Connect;
        let first = connect && !self.state.has(number, ASKED) && self.link.is_on_link(address);
        let packets = if first { 2 } else { 1 };
        match self.counts_each {
            true => self.pacer.sent(address, now, packets),
            false => self.pacer.sent_to_anyone(now, packets),
        }
        if first {
            self.state.first_asked.insert(number, now);
        }
        self.state.set(number, ASKED);
        self.state.try_by(number, state::bit(self.method(ask)));
        if matches!(self.course.work, Work::Liveness) {
            self.extra.note_asked(pass, now);
            return Ok(());
        }
        if !self.counts_each {
            return Ok(());
        }
        if let (Work::Ports | Work::Telltale { .. }, Some((transport, port))) =
            (&self.course.work, port_of(ask))
        {
            self.group.note(number, transport, port, state::Cell::Silent);
            self.note_asked(number, now);
        }
        if let Some(host) = self.state.hosts.get_mut(&number) {
            host.last = Some((ask, now, pass));
            if kernel_packets(self.link.tier(), ask) > 0 {
                host.expect_answer(ask, now);
            }
        }
        Ok(())
    }

    /// The address gets no more questions, and becomes part of a gap.
    pub(super) fn cannot_send(&mut self, address: IpAddr, reason: String) {
        if let Some(number) = self.state.addresses.number(address) {
            self.state.fail(number, reason);
        }
    }

    /// This question goes to the head of its address's queue.
    fn put_back(&mut self, number: u64, ask: Ask, pass: u64) {
        if !self.waiting.contains_key(&number) {
            self.ready.insert((self.resume_at, number));
        }
        self.waiting.entry(number).or_default().push_front((ask, pass));
        self.waiting_count += 1;
    }

    /// The system cannot take packets now.
    pub(super) fn back_off(&mut self, now: Duration) -> Result<(), End> {
        self.note_refusal(now);
        let since = *self.busy_since.get_or_insert(now);
        if now.saturating_sub(since) >= MOST_BUSY {
            let reason = "the system took no more packets for half a minute".to_owned();
            return Err(End::Failed(reason));
        }
        self.resume_at = now.saturating_add(self.pause);
        self.pause = self.pause.saturating_mul(2).min(LONGEST_PAUSE);
        Ok(())
    }

    /// Hands to the system what the link kept for a batch.
    pub(super) fn flush(&mut self, now: Duration) -> Result<(), End> {
        match self.link.flush() {
            Ok(()) => Ok(()),
            Err(LinkError::Busy { .. }) => self.back_off(now),
            Err(LinkError::NoRoute { address, source }) => {
                self.lacks_route = true;
                self.cannot_send(address, format!("no route to it: {source}"));
                Ok(())
            }
            Err(LinkError::Send { address, source }) => {
                self.cannot_send(address, format!("cannot send to it: {source}"));
                Ok(())
            }
            Err(error) => Err(End::Failed(chain(&error))),
        }
    }

    pub(super) fn question(&self, address: IpAddr, ask: Ask, pass: u64) -> Question {
        match ask {
            Ask::Arp => Question::Arp,
            Ask::Neighbor => Question::NeighborSolicitation,
            Ask::Echo => Question::Echo,
            Ask::Timestamp => Question::Timestamp,
            Ask::Ack(port) => Question::Ack(port),
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
                Question::Udp(port, (self.sweep.udp.0)(address, port, cookie, pass))
            }
        }
    }

    pub(super) fn method(&self, ask: Ask) -> Method {
        match (ask, self.link.tier()) {
            (Ask::Arp, _) => Method::Arp,
            (Ask::Neighbor, _) => Method::NeighborSolicitation,
            (Ask::Echo, _) => Method::Echo,
            (Ask::Timestamp, _) => Method::Timestamp,
            (Ask::Ack(_), _) => Method::TcpAck,
            (Ask::Tcp(_), Tier::Raw) => Method::TcpSyn,
            (Ask::Tcp(_), Tier::Connect) => Method::TcpConnect,
            (Ask::Udp(_), _) => Method::Udp,
        }
    }

    /// How long this address may take to answer before it is asked again.
    pub(super) fn wait_for(&self, number: u64, ask: Ask) -> Duration {
        if self.link.tier() == Tier::Connect && matches!(ask, Ask::Tcp(_)) {
            return CONNECT_PATIENCE;
        }
        let own = self.state.hosts.get(&number).map(|host| &host.round_trip);
        self.patience.again(own, &self.all_round_trips)
    }

    /// How many packets this question may lead to at once, with those that the system
    /// will send by itself if it, and the others under way to the address, find open
    /// ports: no answer can then lead beyond the rate. Those that are older than an
    /// answer would be are not waited for; one that comes all the same is made up for
    /// afterwards.
    pub(super) fn room_for(&mut self, number: u64, ask: Ask, now: Duration) -> u32 {
        let tier = self.link.tier();
        let young = self.wait_for(number, Ask::Echo);
        let host = self.state.hosts.get_mut(&number);
        let under_way = host.map_or(0, |host| host.unanswered(now, young));
        // Only questions that make the system send are counted there.
        let theirs = under_way.saturating_mul(kernel_packets(tier, Ask::Tcp(0)));
        theirs.saturating_add(1 + kernel_packets(tier, ask))
    }

    /// The same for all addresses together, of which as many will find open ports as did
    /// so far.
    pub(super) fn room_for_all(&self, now: Duration) -> u32 {
        let each = u64::from(kernel_packets(self.link.tier(), Ask::Tcp(0)));
        let under_way = match self.link.tier() {
            Tier::Connect => u64::try_from(self.link.under_way()).unwrap_or(u64::MAX),
            // What was asked within the last round trip, of which most is answered by now.
            Tier::Raw => {
                let young = self.all_round_trips.raw().unwrap_or(RECENT).min(RECENT);
                u64::from(self.pacer.sent_since(now.saturating_sub(young)))
            }
        };
        let expected = under_way.saturating_mul(each).saturating_mul(self.accepted + 1)
            / self.connects.saturating_add(4);
        u32::try_from(expected).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// Packets that the system sent because of a reply.
    pub(super) fn charge(&mut self, address: IpAddr, packets: u32) {
        let now = self.link.now();
        match self.counts_each {
            true => self.pacer.sent(address, now, packets),
            false => self.pacer.sent_to_anyone(now, packets),
        }
    }
}

/// How many packets the system sends by itself if a port turns out open: after a connect
/// the ACK, the FIN, and the ACK of the other side's FIN; in the raw tier, where it knows
/// nothing of our question, one RST, or for UDP one "port unreachable".
pub(super) const fn kernel_packets(tier: Tier, ask: Ask) -> u32 {
    match (tier, ask) {
        (Tier::Connect, Ask::Tcp(_)) => 3,
        (Tier::Raw, Ask::Tcp(_) | Ask::Udp(_)) => 1,
        _ => 0,
    }
}

/// What is longer under way than this is not counted on.
const RECENT: Duration = Duration::from_millis(250);

/// The transport and port of a question for one.
pub(super) const fn port_of(ask: Ask) -> Option<(Transport, u16)> {
    match ask {
        Ask::Tcp(port) => Some((Transport::Tcp, port)),
        Ask::Udp(port) => Some((Transport::Udp, port)),
        Ask::Arp | Ask::Neighbor | Ask::Echo | Ask::Timestamp | Ask::Ack(_) => None,
    }
}
