//! Which question comes next, and whether it is still worth asking.
//!
//! A work is a number of passes over numbered questions; the place in a pass leads through
//! the keyed order to a number, the number to an address and a question. Nothing here is
//! stored per question except the cells of a [`Group`].

use std::net::IpAddr;

use model::{Method, Transport};

use super::{
    course::{Course, Work},
    engine::Engine,
    sending::port_of,
    state::{ABSENT, ALIVE, Ask, Cell, SWALLOWED},
};
use crate::{
    net::{Question, Tier},
    plan::{ECHO_TRIES, FAR_ROUNDS, LINK_TRIES, PORT_TRIES, Sign, Way},
};

/// How often the questions that tell one device from many are asked.
const CONFIRM_TRIES: u64 = 3;

impl Engine<'_> {
    /// The questions of the rounds for an address that no link-layer question reaches.
    pub(super) fn far_rounds(&self) -> Vec<Ask> {
        let signs = self.sweep.plan.liveness(self.link.tier()).into_iter();
        let asks = signs.map(|sign| match sign {
            Sign::Echo => Ask::Echo,
            Sign::Timestamp => Ask::Timestamp,
            Sign::Syn(port) => Ask::Tcp(port),
            Sign::Ack(port) => Ask::Ack(port),
            Sign::Udp(port) => Ask::Udp(port),
        });
        asks.collect()
    }

    pub(super) fn liveness_course(&self) -> Course {
        let far = u64::try_from(self.rounds.len()).unwrap_or(u64::MAX);
        let count = usize::try_from(self.state.addresses.count()).unwrap_or(usize::MAX);
        let passes = match self.far_is_asked() {
            true => LINK_TRIES.max(far),
            false => LINK_TRIES,
        };
        Course::new(Work::Liveness, self.sweep.plan.key, count, 1, passes)
    }

    /// Echo requests for those who answered on the link and nowhere else yet.
    pub(super) fn echo_course(&self) -> Course {
        let hosts: Vec<u64> = match self.link.tier() {
            Tier::Raw if self.sweep.plan.discover.by(Way::Echo) => {
                self.state.hosts.keys().copied().filter(|number| self.is_near(*number)).collect()
            }
            Tier::Raw => Vec::new(),
            // Who answered a connect needs no echo to be believed.
            Tier::Connect => Vec::new(),
        };
        let count = hosts.len();
        Course::new(Work::Echo { hosts }, self.sweep.plan.key, count, 1, ECHO_TRIES)
    }

    pub(super) fn confirm_course(&self, hosts: Vec<u64>, ports: Vec<u16>) -> Course {
        let (addresses, count) = (hosts.len(), ports.len());
        let work = Work::Confirm { hosts, ports };
        Course::new(work, self.sweep.plan.key, addresses, count, CONFIRM_TRIES)
    }

    pub(super) fn telltale_course(&self, ports: Vec<(Transport, u16)>) -> Course {
        let (hosts, count) = (self.group.hosts.len(), ports.len());
        let work = Work::Telltale { ports };
        Course::new(work, self.sweep.plan.key, hosts, count, PORT_TRIES - 1)
    }

    pub(super) fn ports_course(&self) -> Course {
        let (hosts, ports) = (self.group.hosts.len(), self.group.ports.len());
        Course::new(Work::Ports, self.sweep.plan.key, hosts, ports, PORT_TRIES)
    }

    /// The question at that place of the course with its pass, unless it needs no asking.
    pub(super) fn question_at(&self, place: u64) -> Option<(u64, Ask, u64)> {
        let course = &self.course;
        let pass = place.checked_div(course.size())?;
        let (host, port) = course.order.at(place % course.size())?;
        let index = |number| usize::try_from(number).ok();
        match &course.work {
            Work::Liveness => {
                // One look at the flags decides in most cases.
                if self.state.is_decided(host) || !self.is_liveness_worth(host, pass) {
                    return None;
                }
                Some((host, self.liveness_question(host, pass)?, pass))
            }
            Work::Echo { hosts } => {
                let number = *hosts.get(index(host)?)?;
                self.is_wanted(number, Ask::Echo, pass).then_some((number, Ask::Echo, pass))
            }
            Work::Confirm { hosts, ports } => {
                let number = *hosts.get(index(host)?)?;
                let ask = Ask::Tcp(*ports.get(index(port)?)?);
                self.is_wanted(number, ask, pass).then_some((number, ask, pass))
            }
            Work::Telltale { ports } => {
                let number = *self.group.hosts.get(index(host)?)?;
                let ask = match *ports.get(index(port)?)? {
                    (Transport::Tcp, port) => Ask::Tcp(port),
                    (Transport::Udp, port) => Ask::Udp(port),
                };
                self.is_wanted(number, ask, pass).then_some((number, ask, pass))
            }
            Work::Ports => {
                let (number, ask, cell) = self.group.question(index(host)?, index(port)?)?;
                (self.is_cell_wanted(number, ask, cell, pass)
                    && !self.state.has(number, SWALLOWED)
                    && !self.state.is_failed(number))
                .then_some((number, ask, pass))
            }
        }
    }

    /// The place within a pass at which that question comes.
    pub(super) fn place_of(&self, number: u64, ask: Ask) -> Option<u64> {
        let order = &self.course.order;
        let wide = |number: usize| u64::try_from(number).ok();
        match (&self.course.work, ask) {
            (Work::Liveness, _) => Some(order.place(number, 0)),
            (Work::Echo { hosts }, Ask::Echo) => {
                Some(order.place(wide(hosts.binary_search(&number).ok()?)?, 0))
            }
            (Work::Confirm { hosts, ports }, Ask::Tcp(port)) => {
                let host = hosts.iter().position(|host| *host == number)?;
                let port = ports.iter().position(|asked| *asked == port)?;
                Some(order.place(wide(host)?, wide(port)?))
            }
            (Work::Telltale { ports }, _) => {
                let (transport, port) = port_of(ask)?;
                let (host, _) = self.group.numbers(number, transport, port)?;
                let port = ports.iter().position(|asked| *asked == (transport, port))?;
                Some(order.place(wide(host)?, wide(port)?))
            }
            (Work::Ports, _) => {
                let (transport, port) = port_of(ask)?;
                let (host, port) = self.group.numbers(number, transport, port)?;
                Some(order.place(wide(host)?, wide(port)?))
            }
            _ => None,
        }
    }

    /// Whether silence up to that pass deserves another question: on a link a third one, and
    /// elsewhere one after the usual six, only near others that answer (an empty /24 answers
    /// no third ARP request either), or where it was seen that answers get lost; and of a
    /// large network, as long as such a question finds anybody.
    fn is_liveness_worth(&self, number: u64, pass: u64) -> bool {
        let far = || match self.link.tier() {
            Tier::Connect => true,
            Tier::Raw => pass < FAR_ROUNDS && !self.is_asked_by_link(number),
        };
        let again = || self.state.is_near_alive(number) || self.loss.is_seen();
        pass < 2 || far() || (again() && self.is_round_worth(number, pass))
    }

    /// Whether a round beyond the usual ones still finds anybody.
    fn is_round_worth(&self, number: u64, round: u64) -> bool {
        let wait = self.wait_for(number, Ask::Echo);
        self.is_asked_by_link(number) || self.extra.is_worth(round, self.link.now(), wait)
    }

    /// Whether any address is asked by other questions than those of the link: routes change
    /// with whole networks, so that every thirty-second address and the last tell.
    pub(super) fn far_is_asked(&self) -> bool {
        let count = self.state.addresses.count();
        let mut numbers = (0..count).step_by(32).chain(count.checked_sub(1));
        numbers.any(|number| !self.is_asked_by_link(number))
    }

    /// Whether ARP or neighbour solicitation asks whether it is there.
    fn is_asked_by_link(&self, number: u64) -> bool {
        self.state.address(number).is_some_and(|address| self.link_question(address).is_some())
    }

    fn link_question(&self, address: IpAddr) -> Option<Ask> {
        if self.link.tier() != Tier::Raw || !self.link.is_on_link(address) {
            return None;
        }
        let (ask, question, way) = match address.is_ipv4() {
            true => (Ask::Arp, Question::Arp, Way::Arp),
            false => (Ask::Neighbor, Question::NeighborSolicitation, Way::Neighbor),
        };
        let asked = self.sweep.plan.discover.by(way) && self.link.can_ask(address, &question);
        asked.then_some(ask)
    }

    fn liveness_question(&self, number: u64, round: u64) -> Option<Ask> {
        let address = self.state.address(number)?;
        match self.link_question(address) {
            Some(ask) => (round < LINK_TRIES).then_some(ask),
            None => self.rounds.get(usize::try_from(round).ok()?).copied(),
        }
    }

    /// Whether an answer to this question would still tell something.
    pub(super) fn is_wanted(&self, number: u64, ask: Ask, pass: u64) -> bool {
        if self.state.has(number, SWALLOWED) || self.state.is_failed(number) {
            return false;
        }
        let host = self.state.hosts.get(&number);
        match (&self.course.work, ask) {
            (Work::Echo { .. }, Ask::Echo) => {
                host.is_some_and(|host| !host.is_alive_by(Method::Echo))
            }
            (Work::Liveness, _) => !self.state.has(number, ALIVE | ABSENT),
            (Work::Confirm { .. }, Ask::Tcp(port)) => {
                host.is_some_and(|host| host.early(Transport::Tcp, port).is_none())
            }
            (Work::Ports | Work::Telltale { .. }, _) => {
                let cell = port_of(ask).and_then(|(t, port)| self.group.cell(number, t, port));
                cell.is_some_and(|cell| self.is_cell_wanted(number, ask, cell, pass))
            }
            _ => false,
        }
    }

    /// A silent port is asked twice. A third time only by TCP (silence is what most UDP
    /// services say to a stranger), only of those that answer at all (the rest sits behind
    /// a filter, and a third question changes nothing), and only where loss was seen.
    fn is_cell_wanted(&self, number: u64, ask: Ask, cell: Cell, pass: u64) -> bool {
        let host = || self.state.hosts.get(&number);
        match (cell, pass) {
            (Cell::Unasked, _) => true,
            // Noted for all at once, before the first pass.
            (Cell::Silent, 0) => !self.counts_each,
            // What is fragile is asked so seldom that little gets lost on the way, and once
            // more only what shows that it is fragile.
            (Cell::Silent, 1) => {
                matches!(self.course.work, Work::Telltale { .. })
                    || self.loss.is_seen()
                    || host().is_none_or(|host| !host.gentle)
            }
            // What was asked beyond a limit was not heard.
            (Cell::Silent, 2..) if self.is_limited(number) => true,
            (Cell::Silent, 2) => {
                matches!(ask, Ask::Tcp(_))
                    && self.loss.is_seen()
                    && host().is_some_and(|host| host.talks)
            }
            _ => false,
        }
    }

    fn is_near(&self, number: u64) -> bool {
        self.state.address(number).is_some_and(|address| self.link.is_on_link(address))
    }
}
