//! A [`Link`] to a network that exists only in a test, with a clock that runs as fast as
//! it is asked.
//!
//! Devices, latency, loss and faults are told in advance; what was sent, when and to whom,
//! can be read afterwards. The same script with the same seed gives the same run.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap, HashSet, VecDeque},
    hash::Hasher,
    io,
    net::IpAddr,
    time::Duration,
};

use model::{AddressRange, MacAddr, Timestamp};
use siphasher::sip::SipHasher13;

use super::{Answer, Bulk, BulkKind, BulkSent, Link, Neighbor, Question, Reply, Tier, Whom};
use super::{scripted_device::rival_reply, scripted_trouble::clock_put};
pub use super::{
    scripted_device::{Device, Elsewhere, Limit},
    scripted_trouble::{Bottleneck, Fault},
};
use crate::{LinkError, Permit, order::Order};

/// A question that the link took.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sent {
    /// When.
    pub at: Duration,
    /// To whom.
    pub to: IpAddr,
    /// What.
    pub question: Question,
}

/// A course that it asks by itself.
#[derive(Debug)]
struct Own {
    order: Order,
    whom: Vec<Permit>,
    ports: Vec<u16>,
    kind: BulkKind,
    settled: HashSet<u64>,
}

/// A scripted [`Link`].
#[derive(Debug)]
pub struct Scripted {
    /// Its tier.
    pub tier: Tier,
    /// The networks that are on the link.
    pub on_link: Vec<AddressRange>,
    /// Single devices.
    pub devices: BTreeMap<IpAddr, Device>,
    /// Others that answer on the link for the addresses of devices, a little later.
    pub rivals: BTreeMap<IpAddr, MacAddr>,
    /// Devices that answer for whole ranges in which no single device is.
    pub firewalls: Vec<(AddressRange, Device)>,
    /// Entries that the neighbour table holds from before: confirmed this long before the start.
    pub stale: Vec<(IpAddr, MacAddr, Duration)>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// Of a thousand packets, each way, so many are lost.
    pub loss: u16,
    /// What all packets to devices go through.
    pub bottleneck: Option<Bottleneck>,
    /// What [`Link::drops`] says, growing by as much with each question.
    pub drops_per_question: u64,
    /// By how much `receive` comes back late when nothing arrived.
    pub lateness: Duration,
    /// How many questions the connect tier bears at once.
    pub most_under_way: Option<usize>,
    /// When the connect tier gives up.
    pub patience: Duration,
    /// If it asks courses of permitted addresses by itself: of how many questions the system
    /// refuses one.
    pub by_itself: Option<u64>,
    course: Option<Own>,
    /// How many questions it asked by itself.
    pub asked_by_itself: u64,
    /// Everything that was taken.
    pub sent: Vec<Sent>,
    /// Packets that the system sends by itself, with their receivers, ascending in time.
    pub by_system: Vec<(Duration, IpAddr)>,
    /// Questions under way in the connect tier, and the most there were.
    pub under_way: usize,
    /// See `under_way`.
    pub most_seen_under_way: usize,
    now: Duration,
    started: Duration,
    pending: BinaryHeap<Reverse<(Duration, u64)>>,
    replies: HashMap<u64, Reply>,
    counter: u64,
    first_asked: BTreeMap<IpAddr, Duration>,
    /// Since when the kernel has been asking for whose link-layer address.
    resolving: BTreeMap<IpAddr, Duration>,
    /// When devices that bear only so many got their last packets.
    got: BTreeMap<IpAddr, VecDeque<Duration>>,
    /// When devices that answer only so many would be due to answer at even distances.
    answered: BTreeMap<IpAddr, Duration>,
    /// Who was stopped by too many packets, and when.
    pub dead: BTreeMap<IpAddr, Duration>,
}

const SECOND: Duration = Duration::from_secs(1);

/// How long Linux asks for a link-layer address before it gives up.
const ARP: Duration = Duration::from_secs(3);

impl Scripted {
    /// An empty network.
    #[must_use]
    pub fn new(tier: Tier) -> Self {
        let now = Duration::from_secs(1_000);
        Self {
            tier,
            on_link: Vec::new(),
            devices: BTreeMap::new(),
            rivals: BTreeMap::new(),
            firewalls: Vec::new(),
            stale: Vec::new(),
            faults: Vec::new(),
            loss: 0,
            bottleneck: None,
            drops_per_question: 0,
            lateness: Duration::ZERO,
            most_under_way: match tier {
                Tier::Raw => None,
                Tier::Connect => Some(200),
            },
            patience: Duration::from_millis(900),
            by_itself: None,
            course: None,
            asked_by_itself: 0,
            sent: Vec::new(),
            by_system: Vec::new(),
            under_way: 0,
            most_seen_under_way: 0,
            now,
            started: now,
            pending: BinaryHeap::new(),
            replies: HashMap::new(),
            counter: 0,
            first_asked: BTreeMap::new(),
            resolving: BTreeMap::new(),
            got: BTreeMap::new(),
            answered: BTreeMap::new(),
            dead: BTreeMap::new(),
        }
    }

    /// How long it has been running.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.now.saturating_sub(self.started)
    }

    /// When it began, on its own clock.
    #[must_use]
    pub const fn started(&self) -> Duration {
        self.started
    }

    fn device(&self, address: IpAddr) -> Option<&Device> {
        self.devices.get(&address).or_else(|| {
            self.firewalls.iter().find(|(range, _)| range.contains(address)).map(|(_, d)| d)
        })
    }

    /// Whether chance takes the next packet.
    fn is_lost(&mut self) -> bool {
        self.counter = self.counter.wrapping_add(1);
        let mut hasher = SipHasher13::new_with_keys(7, 7);
        hasher.write_u64(self.counter);
        hasher.finish() % 1_000 < u64::from(self.loss)
    }

    fn advance(&mut self, to: Duration) {
        self.now = self.now.max(to);
        for fault in &self.faults {
            if let Fault::Stop(at, stop) = fault
                && *at <= self.now.saturating_sub(self.started)
            {
                stop.by_signal(2);
            }
        }
    }

    /// What the device says to the question, if anything.
    fn answer(&self, to: IpAddr, question: &Question) -> Option<Answer> {
        let device = self.device(to)?;
        match question {
            Question::Arp => Some(Answer::Arp(device.mac)),
            Question::NeighborSolicitation => Some(Answer::Neighbor(device.mac)),
            Question::Echo => device.echo.then_some(Answer::Echo),
            Question::Timestamp => device.timestamp.then_some(Answer::Timestamp),
            // A filter that keeps quiet about closed ports drops what is of no connection.
            Question::Ack(port) => {
                (device.tcp_else == Elsewhere::Closed).then_some(Answer::TcpReset(*port))
            }
            Question::Tcp(port) if device.tcp.contains(*port) => Some(Answer::TcpOpen(*port)),
            Question::Tcp(port) => match device.tcp_else {
                Elsewhere::Closed => Some(Answer::TcpClosed(*port)),
                Elsewhere::Prohibited => Some(Answer::TcpFiltered(*port)),
                Elsewhere::Silent => None,
            },
            Question::Udp(port, payload) if device.udp.contains(*port) => {
                Some(Answer::UdpReply(*port, payload.clone()))
            }
            Question::Udp(port, _) => match device.udp_else {
                Elsewhere::Closed => Some(Answer::UdpClosed(*port)),
                Elsewhere::Prohibited => Some(Answer::UdpFiltered(*port)),
                Elsewhere::Silent => None,
            },
        }
    }

    /// Whether the device still answers this question, by how many it got and answered.
    fn bears(&mut self, to: IpAddr) -> bool {
        let Some(device) = self.device(to) else { return false };
        let (bears, answers) = (device.bears, device.answers);
        let now = self.now;
        let last_second = |times: &mut VecDeque<Duration>| {
            while times.pop_front_if(|at| now.saturating_sub(*at) >= SECOND).is_some() {}
            times.push_back(now);
            u32::try_from(times.len()).unwrap_or(u32::MAX)
        };
        if let Some(bears) = bears
            && last_second(self.got.entry(to).or_default()) > bears
        {
            self.dead.entry(to).or_insert(now);
        }
        if self.dead.contains_key(&to) {
            return false;
        }
        let Some(answers) = answers else { return true };
        let each = SECOND / answers.per_second.max(1);
        let due = self.answered.entry(to).or_default();
        if *due > now.saturating_add(each * answers.at_once.saturating_sub(1)) {
            return false;
        }
        *due = now.max(*due).saturating_add(each);
        true
    }

    fn schedule(&mut self, at: Duration, reply: Reply) {
        self.counter = self.counter.wrapping_add(1);
        self.pending.push(Reverse((at, self.counter)));
        self.replies.insert(self.counter, reply);
    }

    fn fault_at(&self, to: IpAddr) -> Option<LinkError> {
        let elapsed = self.now.saturating_sub(self.started);
        let source = || io::Error::other("scripted");
        self.faults.iter().find_map(|fault| match fault {
            Fault::Down(at) if *at <= elapsed => {
                Some(LinkError::Down { interface: "test0".into(), source: source() })
            }
            Fault::Busy(from, until) if *from <= elapsed && elapsed < *until => {
                Some(LinkError::Busy { source: source() })
            }
            Fault::NoRoute(range) if range.contains(to) => {
                Some(LinkError::NoRoute { address: to, source: source() })
            }
            Fault::Refused(range) if range.contains(to) => {
                Some(LinkError::Send { address: to, source: source() })
            }
            _ => None,
        })
    }
}

/// How long a neighbour counts as reachable without being asked (base_reachable_time).
const REACHABLE: Duration = Duration::from_secs(30);

impl Link for Scripted {
    fn tier(&self) -> Tier {
        self.tier
    }

    fn is_on_link(&self, address: IpAddr) -> bool {
        self.on_link.iter().any(|range| range.contains(address))
    }

    fn can_ask(&self, address: IpAddr, question: &Question) -> bool {
        match question {
            Question::Arp => {
                self.tier == Tier::Raw && address.is_ipv4() && self.is_on_link(address)
            }
            Question::NeighborSolicitation => {
                self.tier == Tier::Raw && address.is_ipv6() && self.is_on_link(address)
            }
            Question::Echo | Question::Ack(_) => self.tier == Tier::Raw,
            Question::Timestamp => self.tier == Tier::Raw && address.is_ipv4(),
            Question::Tcp(_) | Question::Udp(..) => true,
        }
    }

    fn send(&mut self, to: Permit, question: &Question) -> Result<(), LinkError> {
        let address = to.address();
        if let Some(error) = self.fault_at(address) {
            return Err(error);
        }
        let connect = self.tier == Tier::Connect;
        let tcp = match question {
            Question::Tcp(port) if connect => Some(*port),
            _ => None,
        };
        self.sent.push(Sent { at: self.now, to: address, question: question.clone() });
        if connect && self.is_on_link(address) && !self.first_asked.contains_key(&address) {
            self.by_system.push((self.now, address));
        }
        self.first_asked.entry(address).or_insert(self.now);
        if tcp.is_some() {
            self.under_way += 1;
            self.most_seen_under_way = self.most_seen_under_way.max(self.under_way);
        }
        let queued = self.bottleneck.as_mut().map_or(Some(Duration::ZERO), |b| b.pass(self.now));
        let lost = queued.is_none() || self.is_lost() || self.is_lost() || !self.bears(address);
        let queued = queued.unwrap_or_default();
        let answer = self.answer(address, question).filter(|_| !lost);
        let near = self.is_on_link(address);
        let (delay, answer) = match (answer, tcp) {
            (Some(answer), _) => {
                (queued + self.device(address).map_or(Duration::ZERO, |d| d.latency), answer)
            }
            // Nobody answers the kernel's own ARP, which takes three seconds to say so.
            (None, Some(port)) if near && self.device(address).is_none() => {
                let began = *self.resolving.entry(address).or_insert(self.now);
                let left = began.saturating_add(ARP).saturating_sub(self.now);
                if left <= self.patience {
                    self.resolving.remove(&address);
                    (left, Answer::Unreachable)
                } else {
                    (self.patience, Answer::TcpSilent(port))
                }
            }
            (None, Some(port)) => (self.patience, Answer::TcpSilent(port)),
            (None, None) => return Ok(()),
        };
        let silent = matches!(answer, Answer::TcpSilent(_) | Answer::Unreachable);
        let raw = self.tier == Tier::Raw;
        let device = self.device(address).filter(|_| raw && !silent);
        let reply = Reply {
            about: address,
            ttl: device
                .map(|d| d.ttl)
                .filter(|_| !matches!(question, Question::Arp | Question::NeighborSolicitation)),
            mac: device.map(|d| d.mac).filter(|_| near),
            answer,
        };
        let later = self.now.saturating_add(delay);
        let rival = self.rivals.get(&address).filter(|_| raw && !silent);
        let rival = rival.and_then(|mac| rival_reply(address, question, *mac));
        self.schedule(later, reply);
        if let Some(reply) = rival {
            self.schedule(later.saturating_add(Duration::from_millis(1)), reply);
        }
        Ok(())
    }

    fn asks_by_itself(&self) -> bool {
        self.by_itself.is_some()
    }

    fn begin_bulk(&mut self, course: &Bulk<'_>) -> bool {
        let Whom::Some(permits) = course.whom else { return false };
        self.course = Some(Own {
            order: *course.order,
            whom: permits.to_vec(),
            ports: course.ports.to_vec(),
            kind: course.kind,
            settled: HashSet::new(),
        });
        true
    }

    fn send_bulk(&mut self, from: u64, until: u64, most: u32) -> Result<BulkSent, LinkError> {
        let mut sent = BulkSent { place: from, ..BulkSent::default() };
        let Some(own) = self.course.take() else { return Ok(sent) };
        while sent.place < until && sent.questions < u64::from(most) {
            let place = sent.place;
            sent.place += 1;
            let Some((host, port)) = own.order.at(place) else { break };
            let number = port * own.whom.len() as u64 + host;
            let refused = self.by_itself.is_some_and(|every| place % every == every - 1);
            let index = |number| usize::try_from(number).ok();
            let permit = index(host).and_then(|host| own.whom.get(host));
            let port = index(port).and_then(|port| own.ports.get(port));
            let (Some(permit), Some(port)) = (permit, port) else { break };
            if own.settled.contains(&number) {
                continue;
            }
            if refused {
                sent.refused.push(place);
                continue;
            }
            let question = match own.kind {
                BulkKind::Arp => Question::Arp,
                BulkKind::Echo => Question::Echo,
                BulkKind::Syn => Question::Tcp(*port),
            };
            self.send(*permit, &question)?;
            sent.questions += 1;
            self.asked_by_itself += 1;
        }
        self.course = Some(own);
        Ok(sent)
    }

    fn settle(&mut self, question: u64) {
        if let Some(own) = &mut self.course {
            own.settled.insert(question);
        }
    }

    fn receive(&mut self, until: Duration) -> Result<Option<Reply>, LinkError> {
        if let Some(error @ LinkError::Down { .. }) = self.fault_at(IpAddr::from([0; 4])) {
            return Err(error);
        }
        if let Some(Reverse((at, id))) = self.pending.peek().copied()
            && (at <= until || at <= self.now)
        {
            self.pending.pop();
            self.advance(at);
            let reply = self.replies.remove(&id);
            if let Some(Reply { about, answer, .. }) = &reply {
                let about = *about;
                let packets = match (answer, self.tier) {
                    (Answer::TcpOpen(_), Tier::Connect) => 3,
                    (Answer::TcpOpen(_) | Answer::UdpReply(..), Tier::Raw) => 1,
                    _ => 0,
                };
                self.by_system.extend((0..packets).map(|_| (self.now, about)));
            }
            if self.tier == Tier::Connect
                && let Some(reply) = &reply
                && !matches!(
                    reply.answer,
                    Answer::UdpReply(..) | Answer::UdpClosed(_) | Answer::UdpFiltered(_)
                )
            {
                self.under_way = self.under_way.saturating_sub(1);
            }
            return Ok(reply);
        }
        if until > self.now {
            self.advance(until.saturating_add(self.lateness));
        }
        Ok(None)
    }

    fn neighbors(&mut self) -> Vec<Neighbor> {
        if self.tier == Tier::Raw {
            return Vec::new();
        }
        let mut table: BTreeMap<IpAddr, Neighbor> = BTreeMap::new();
        for (address, mac, age) in &self.stale {
            let confirmed = self.elapsed().saturating_add(*age);
            // As Linux does: a neighbour that it heard lately it does not ask (REACHABLE). Of
            // one that it heard before, five seconds pass until it asks, and three more until it
            // gives up (delay_first_probe_time, ucast_solicit).
            let asked = self.first_asked.get(address).filter(|_| *age >= REACHABLE);
            let given_up = asked.map(|asked| asked.saturating_add(Duration::from_secs(8)));
            if given_up.is_some_and(|end| end <= self.now) {
                continue;
            }
            let being_asked = asked.is_some();
            table.insert(
                *address,
                Neighbor { address: *address, mac: *mac, confirmed, being_asked },
            );
        }
        for (address, asked) in &self.first_asked {
            if let Some(device) = self.device(*address).filter(|_| self.is_on_link(*address)) {
                let known = self.stale.iter().find(|(of, _, _)| of == address);
                if known.is_some_and(|(_, _, age)| *age < REACHABLE) {
                    continue;
                }
                let known = known.is_some();
                let delay = Duration::from_secs(if known { 5 } else { 0 });
                let answered = asked.saturating_add(delay).saturating_add(device.latency / 2);
                if answered <= self.now {
                    let confirmed = self.now.saturating_sub(answered);
                    let mac = device.mac;
                    let entry = Neighbor { address: *address, mac, confirmed, being_asked: false };
                    table.insert(*address, entry);
                }
            }
        }
        table.into_values().collect()
    }

    fn drops(&mut self) -> u64 {
        let asked = u64::try_from(self.sent.len()).unwrap_or(u64::MAX);
        self.drops_per_question.saturating_mul(asked)
    }

    fn most_under_way(&self) -> Option<usize> {
        self.most_under_way
    }

    fn under_way(&self) -> usize {
        self.under_way
    }

    fn now(&self) -> Duration {
        self.now
    }

    fn timestamp(&self) -> Timestamp {
        let micros = i64::try_from(self.now.as_micros()).unwrap_or(i64::MAX);
        Timestamp(1_795_000_000_000_000_i64.saturating_add(micros))
            .plus_seconds(clock_put(&self.faults, self.now))
    }
}
