//! What the sweep remembers: three bytes for each address, and more only for the alive.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    net::IpAddr,
    time::Duration,
};

use model::{MacAddr, Method, PortState, Timestamp, Transport};

use super::{guard::Conduct, rtt::RoundTrip};
use crate::plan::Addresses;

/// A question without its payload: what is kept of one under way.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Ask {
    Arp,
    Neighbor,
    Echo,
    Timestamp,
    Tcp(u16),
    Ack(u16),
    Udp(u16),
}

/// At least one question left for this address.
pub(super) const ASKED: u8 = 1;
/// It answered.
pub(super) const ALIVE: u8 = 1 << 1;
/// One device answers for its whole block.
pub(super) const SWALLOWED: u8 = 1 << 2;
/// Surely nobody there: no more questions for liveness.
pub(super) const ABSENT: u8 = 1 << 3;
/// The upper four bits number the reason why it could not be asked; 0: it could.
const REASON_SHIFT: u32 = 4;
const MOST_REASONS: usize = 15;

/// The methods that `tried` stands for, by bit.
pub(super) const METHODS: [Method; 9] = [
    Method::Arp,
    Method::NeighborSolicitation,
    Method::NeighborTable,
    Method::Echo,
    Method::Timestamp,
    Method::TcpSyn,
    Method::TcpConnect,
    Method::TcpAck,
    Method::Udp,
];
/// The last bit: a router said once that it is unreachable.
pub(super) const UNREACHABLE_ONCE: u16 = 1 << 15;

/// The bit of a method in `tried`.
pub(super) fn bit(method: Method) -> u16 {
    METHODS.iter().position(|m| *m == method).map_or(0, |place| 1 << place)
}

/// A neighbour that the system heard before we asked: when, and which.
pub(super) type Heard = (Timestamp, MacAddr);

/// An address that answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Host {
    /// By which methods, in the order of the answers.
    pub(super) alive: Vec<(Method, Option<u8>, Timestamp)>,
    /// How many of those have been told.
    pub(super) told: usize,
    /// Its link-layer address and how it was learned.
    pub(super) mac: Option<(MacAddr, Method, Timestamp)>,
    pub(super) mac_told: bool,
    /// Others that answered for the address on the link, which more than one device has then.
    pub(super) rivals: Vec<(MacAddr, Method, Timestamp)>,
    /// How many of those have been told.
    pub(super) rivals_told: usize,
    /// What is known of its ports from before they were asked in turn.
    pub(super) early: Vec<(Transport, u16, PortState)>,
    pub(super) round_trip: RoundTrip,
    /// The last question since it is known to be alive, when it went, and in which pass.
    pub(super) last: Option<(Ask, Duration, u64)>,
    /// The questions that may still be answered, and then make the system send more, and when
    /// they went.
    unanswered: VecDeque<(Ask, Duration)>,
    /// Whether it is fragile, and asked accordingly.
    pub(super) gentle: bool,
    pub(super) conduct: Conduct,
    /// Whether it answered a question for a port.
    pub(super) talks: bool,
    /// Whether all its ports have been asked.
    pub(super) ports_done: bool,
}

/// Devices with one address that are told of.
const MOST_RIVALS: usize = 3;

impl Host {
    /// A link-layer address that answered. A router may send on what another answered, so that only
    /// who was asked for it says that it has the address itself.
    pub(super) fn answered_with(&mut self, mac: MacAddr, method: Method, at: Timestamp) {
        let asked_for = matches!(method, Method::Arp | Method::NeighborSolicitation);
        match self.mac {
            None => self.mac = Some((mac, method, at)),
            Some((known, _, _)) if known == mac || !asked_for => {}
            Some(_) if self.rivals.iter().any(|(rival, ..)| *rival == mac) => {}
            Some(_) if self.rivals.len() < MOST_RIVALS => self.rivals.push((mac, method, at)),
            Some(_) => {}
        }
    }

    pub(super) fn is_alive_by(&self, method: Method) -> bool {
        self.alive.iter().any(|(by, _, _)| *by == method)
    }

    pub(super) fn ttl(&self) -> Option<u8> {
        self.alive.iter().find_map(|(_, ttl, _)| *ttl)
    }

    pub(super) fn expect_answer(&mut self, ask: Ask, now: Duration) {
        self.unanswered.push_back((ask, now));
    }

    /// Whether an answer to this question was expected. It no longer is.
    pub(super) fn is_answered(&mut self, ask: Ask) -> bool {
        let place = self.unanswered.iter().position(|(asked, _)| *asked == ask);
        place.and_then(|place| self.unanswered.remove(place)).is_some()
    }

    /// How many questions younger than `young` are unanswered.
    pub(super) fn unanswered(&mut self, now: Duration, young: Duration) -> u32 {
        let old = |(_, at): &mut (Ask, Duration)| now.saturating_sub(*at) > young;
        while self.unanswered.pop_front_if(old).is_some() {}
        u32::try_from(self.unanswered.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn early(&self, transport: Transport, port: u16) -> Option<PortState> {
        self.early.iter().find(|(t, p, _)| (*t, *p) == (transport, port)).map(|(_, _, s)| *s)
    }
}

/// The addresses of a sweep and what became of them.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) addresses: Addresses,
    flags: Vec<u8>,
    tried: Vec<u16>,
    /// The alive, by number.
    pub(super) hosts: BTreeMap<u64, Host>,
    /// Why addresses could not be asked.
    reasons: Vec<String>,
    /// When on-link addresses were asked first, where the system's neighbour table is
    /// read, in which older entries mean nothing.
    pub(super) first_asked: HashMap<u64, Duration>,
}

impl State {
    pub(super) fn new(addresses: Addresses) -> Self {
        let count = usize::try_from(addresses.count()).unwrap_or(usize::MAX);
        Self { flags: vec![0; count], tried: vec![0; count], addresses, ..Self::default() }
    }

    pub(super) fn address(&self, number: u64) -> Option<IpAddr> {
        self.addresses.at(number)
    }

    pub(super) fn flags(&self, number: u64) -> u8 {
        usize::try_from(number).ok().and_then(|i| self.flags.get(i)).copied().unwrap_or(0)
    }

    pub(super) fn has(&self, number: u64, flag: u8) -> bool {
        self.flags(number) & flag != 0
    }

    pub(super) fn set(&mut self, number: u64, flag: u8) {
        if let Some(flags) = usize::try_from(number).ok().and_then(|i| self.flags.get_mut(i)) {
            *flags |= flag;
        }
    }

    /// Whether no question for liveness can tell more of it.
    pub(super) fn is_decided(&self, number: u64) -> bool {
        let flags = self.flags(number);
        flags & (ALIVE | ABSENT | SWALLOWED) != 0 || flags >> REASON_SHIFT != 0
    }

    /// Whether anything answered within 128 addresses of it.
    pub(super) fn is_near_alive(&self, number: u64) -> bool {
        let near = number.saturating_sub(128)..number.saturating_add(128);
        self.hosts.range(near).next().is_some()
    }

    pub(super) fn tried(&self, number: u64) -> u16 {
        usize::try_from(number).ok().and_then(|i| self.tried.get(i)).copied().unwrap_or(0)
    }

    pub(super) fn try_by(&mut self, number: u64, bits: u16) {
        if let Some(tried) = usize::try_from(number).ok().and_then(|i| self.tried.get_mut(i)) {
            *tried |= bits;
        }
    }

    /// Remembers that the address cannot be asked.
    pub(super) fn fail(&mut self, number: u64, reason: String) {
        if self.is_failed(number) {
            return;
        }
        let place = match self.reasons.iter().position(|known| *known == reason) {
            Some(place) => place,
            None if self.reasons.len() < MOST_REASONS - 1 => {
                self.reasons.push(reason);
                self.reasons.len() - 1
            }
            None => {
                self.reasons.truncate(MOST_REASONS - 1);
                self.reasons.push("cannot send, for one of many reasons".to_owned());
                MOST_REASONS - 1
            }
        };
        let code = u8::try_from(place + 1).unwrap_or(MOST_REASONS as u8);
        self.set(number, code << REASON_SHIFT);
    }

    /// Why the address could not be asked, if so.
    pub(super) fn failure(&self, number: u64) -> Option<&str> {
        let code = usize::from(self.flags(number) >> REASON_SHIFT);
        code.checked_sub(1).and_then(|i| self.reasons.get(i)).map(String::as_str)
    }

    pub(super) fn is_failed(&self, number: u64) -> bool {
        self.flags(number) >> REASON_SHIFT != 0
    }
}

/// The state of a question for a port, one byte for each.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Cell {
    #[default]
    Unasked,
    Silent,
    Open,
    Closed,
    Filtered,
}

impl Cell {
    pub(super) const fn of(state: PortState) -> Self {
        match state {
            PortState::Open => Self::Open,
            PortState::Closed => Self::Closed,
            PortState::Filtered => Self::Filtered,
            PortState::OpenFiltered => Self::Silent,
        }
    }

    pub(super) const fn is_settled(self) -> bool {
        !matches!(self, Self::Unasked | Self::Silent)
    }
}

/// Some of the alive and all ports to ask of them. A question's number is that of its port
/// times the number of addresses, and that of its address (`Order`).
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Address numbers, ascending.
    pub(super) hosts: Vec<u64>,
    /// TCP first, each ascending.
    pub(super) ports: Vec<(Transport, u16)>,
    cells: Vec<Cell>,
    unsettled: usize,
}

impl Group {
    pub(super) fn new(hosts: Vec<u64>, ports: Vec<(Transport, u16)>) -> Self {
        let cells = vec![Cell::Unasked; hosts.len().saturating_mul(ports.len())];
        Self { hosts, ports, unsettled: cells.len(), cells }
    }

    /// The question of these two numbers, with its state.
    pub(super) fn question(&self, host: usize, port: usize) -> Option<(u64, Ask, Cell)> {
        let cell = *self.cells.get(port.checked_mul(self.hosts.len())?.checked_add(host)?)?;
        let ask = match *self.ports.get(port)? {
            (Transport::Tcp, port) => Ask::Tcp(port),
            (Transport::Udp, port) => Ask::Udp(port),
        };
        Some((*self.hosts.get(host)?, ask, cell))
    }

    /// The numbers of the address and the port within the group.
    pub(super) fn numbers(
        &self,
        host: u64,
        transport: Transport,
        port: u16,
    ) -> Option<(usize, usize)> {
        let host = self.hosts.binary_search(&host).ok()?;
        Some((host, self.ports.binary_search(&(transport, port)).ok()?))
    }

    fn place(&self, host: u64, transport: Transport, port: u16) -> Option<usize> {
        let (host, port) = self.numbers(host, transport, port)?;
        port.checked_mul(self.hosts.len())?.checked_add(host)
    }

    pub(super) fn cell(&self, host: u64, transport: Transport, port: u16) -> Option<Cell> {
        self.cells.get(self.place(host, transport, port)?).copied()
    }

    /// Notes what is known now, and says whether that settles it. Open beats closed beats
    /// filtered beats silent: a refusal that comes after an acceptance is the end of that
    /// connection, not of the service.
    pub(super) fn note(&mut self, host: u64, transport: Transport, port: u16, new: Cell) -> bool {
        let rank = |cell: Cell| match cell {
            Cell::Unasked => 0,
            Cell::Silent => 1,
            Cell::Filtered => 2,
            Cell::Closed => 3,
            Cell::Open => 4,
        };
        if let Some(place) = self.place(host, transport, port)
            && let Some(cell) = self.cells.get_mut(place)
            && rank(*cell) < rank(new)
        {
            let settles = !cell.is_settled() && new.is_settled();
            *cell = new;
            self.unsettled = self.unsettled.saturating_sub(usize::from(settles));
            return settles;
        }
        false
    }

    /// The ports of a host with their states.
    pub(super) fn row(&self, host: u64) -> impl Iterator<Item = (Transport, u16, Cell)> + '_ {
        let row = self.hosts.binary_search(&host).unwrap_or(self.cells.len());
        let cells = self.cells.iter().skip(row).step_by(self.hosts.len().max(1));
        self.ports.iter().zip(cells).map(|((transport, port), cell)| (*transport, *port, *cell))
    }

    /// The numbers of the questions that need no asking.
    pub(super) fn settled(&self) -> impl Iterator<Item = u64> + '_ {
        let settled = (0..).zip(&self.cells).filter(|(_, cell)| cell.is_settled());
        settled.map(|(number, _)| number)
    }

    /// Notes that every question was asked.
    pub(super) fn all_asked(&mut self) {
        for cell in self.cells.iter_mut().filter(|cell| **cell == Cell::Unasked) {
            *cell = Cell::Silent;
        }
    }

    /// How many questions have no answer that settles them.
    pub(super) const fn unsettled(&self) -> usize {
        self.unsettled
    }
}
