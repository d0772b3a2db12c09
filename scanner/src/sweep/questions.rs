//! Which question comes next, and whether it is still worth asking.
//!
//! A work is a number of passes over numbered questions; the place in a pass leads through
//! the keyed order to a number, the number to an address and a question. Nothing here is
//! stored per question except the cells of a [`Group`].

use model::{Method, Transport};

use super::{
    engine::Engine,
    state::{ABSENT, Ask, Cell, SWALLOWED},
};
use crate::{
    net::{Question, Tier},
    order::Permutation,
    plan::{ECHO_TRIES, LINK_TRIES, PORT_TRIES},
};

/// One round of questions for everybody, as often as silence deserves.
#[derive(Debug)]
pub(super) enum Work {
    /// Who is there? One pass for each round of questions.
    Liveness,
    /// Do those on the link, who answered there, answer an echo request, too?
    Echo { hosts: Vec<u64> },
    /// Do these addresses differ at these ports?
    Confirm { hosts: Vec<u64>, ports: Vec<u16> },
    /// The ports of the group.
    Ports,
}

/// A work under way.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) work: Work,
    pub(super) order: Permutation,
    /// Questions in each pass.
    pub(super) size: u64,
    pub(super) passes: u64,
    /// The next place, counted through all passes.
    pub(super) cursor: u64,
}

impl Course {
    pub(super) const fn total(&self) -> u64 {
        self.size.saturating_mul(self.passes)
    }
}

/// A port that answers in a later pass than the first in one of a hundred cases shows loss
/// that is worth a third pass.
const LOSS_WORTH_A_PASS: u64 = 100;

/// How often the questions that tell one device from many are asked.
const CONFIRM_TRIES: u64 = 3;

impl Engine<'_> {
    /// The questions of the rounds for an address that no link-layer question reaches.
    pub(super) fn far_rounds(&self) -> Vec<Ask> {
        let tier = self.link.tier();
        let mut rounds: Vec<Ask> =
            self.sweep.plan.liveness_ports(tier).into_iter().map(Ask::Tcp).collect();
        // Echo is answered most often and costs the target least. It comes again before
        // the two ports that come again. In the connect tier, where not every system lets
        // us send it, a connect comes first: for an absent address on the link the kernel
        // answers it with the outcome of its ARP, which settles the matter.
        let again = rounds.len().saturating_sub(2);
        rounds.insert(again, Ask::Echo);
        rounds.insert(usize::from(tier == Tier::Connect), Ask::Echo);
        rounds
    }

    pub(super) fn liveness_course(&self) -> Course {
        let far = u64::try_from(self.rounds.len()).unwrap_or(u64::MAX);
        let size = self.state.addresses.count();
        let order = Permutation::new(self.sweep.plan.key, size);
        Course { work: Work::Liveness, order, size, passes: LINK_TRIES.max(far), cursor: 0 }
    }

    /// Echo requests for those who answered on the link and nowhere else yet.
    pub(super) fn echo_course(&self) -> Course {
        let hosts: Vec<u64> = match self.link.tier() {
            Tier::Raw => {
                self.state.hosts.keys().copied().filter(|number| self.is_near(*number)).collect()
            }
            // Who answered a connect needs no echo to be believed.
            Tier::Connect => Vec::new(),
        };
        let size = u64::try_from(hosts.len()).unwrap_or(u64::MAX);
        let order = Permutation::new(self.sweep.plan.key, size);
        Course { work: Work::Echo { hosts }, order, size, passes: ECHO_TRIES, cursor: 0 }
    }

    pub(super) fn confirm_course(&self, hosts: Vec<u64>, ports: Vec<u16>) -> Course {
        let size = u64::try_from(hosts.len().saturating_mul(ports.len())).unwrap_or(u64::MAX);
        let order = Permutation::new(self.sweep.plan.key, size);
        let work = Work::Confirm { hosts, ports };
        Course { work, order, size, passes: CONFIRM_TRIES, cursor: 0 }
    }

    pub(super) fn ports_course(&self) -> Course {
        let size = self.group.len();
        let order = Permutation::new(self.sweep.plan.key, size);
        Course { work: Work::Ports, order, size, passes: PORT_TRIES, cursor: 0 }
    }

    /// The question at that place of the course with its pass, unless it needs no asking.
    pub(super) fn question_at(&self, place: u64) -> Option<(u64, Ask, u64)> {
        let course = &self.course;
        let pass = place.checked_div(course.size)?;
        let number = course.order.at(place % course.size);
        let (number, ask) = match &course.work {
            Work::Liveness => (number, self.liveness_question(number, pass)?),
            Work::Echo { hosts } => (*hosts.get(usize::try_from(number).ok()?)?, Ask::Echo),
            Work::Confirm { hosts, ports } => {
                let count = u64::try_from(hosts.len()).ok()?;
                let host = *hosts.get(usize::try_from(number % count).ok()?)?;
                let port = *ports.get(usize::try_from(number / count).ok()?)?;
                (host, Ask::Tcp(port))
            }
            Work::Ports => {
                let (host, transport, port) = self.group.question(number)?;
                match transport {
                    Transport::Tcp => (host, Ask::Tcp(port)),
                    Transport::Udp => (host, Ask::Udp(port)),
                }
            }
        };
        // One under way may still make this needless, or not: it waits, and is looked at
        // again when its turn comes.
        let open = self.is_under_way(number, ask) || self.is_wanted(number, ask, pass);
        open.then_some((number, ask, pass))
    }

    fn liveness_question(&self, number: u64, round: u64) -> Option<Ask> {
        let address = self.state.address(number)?;
        if self.link.tier() == Tier::Raw && self.link.is_on_link(address) {
            let (ask, question) = match address.is_ipv4() {
                true => (Ask::Arp, Question::Arp),
                false => (Ask::Neighbor, Question::NeighborSolicitation),
            };
            if self.link.can_ask(address, &question) {
                return (round < LINK_TRIES).then_some(ask);
            }
        }
        self.rounds.get(usize::try_from(round).ok()?).copied()
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
            (Work::Liveness, _) => host.is_none() && !self.state.has(number, ABSENT),
            (Work::Confirm { .. }, Ask::Tcp(port)) => {
                host.is_some_and(|host| host.early(Transport::Tcp, port).is_none())
            }
            (Work::Ports, Ask::Tcp(port)) => {
                self.is_port_wanted(number, Transport::Tcp, port, pass)
            }
            (Work::Ports, Ask::Udp(port)) => {
                self.is_port_wanted(number, Transport::Udp, port, pass)
            }
            _ => false,
        }
    }

    /// A silent port is asked twice. A third time only by TCP (silence is what most UDP
    /// services say to a stranger), only of those that answer at all (the rest sits behind
    /// a filter, and a third question changes nothing), and only where loss was seen.
    fn is_port_wanted(&self, number: u64, transport: Transport, port: u16, pass: u64) -> bool {
        match self.group.cell(number, transport, port) {
            Some(Cell::Unasked) => true,
            Some(Cell::Silent) if pass == 0 => false,
            Some(Cell::Silent) if pass == 1 => true,
            Some(Cell::Silent) => {
                transport == Transport::Tcp
                    && self.late.saturating_mul(LOSS_WORTH_A_PASS) >= self.prompt.max(1)
                    && self.state.hosts.get(&number).is_some_and(|host| host.talks)
            }
            _ => false,
        }
    }

    fn is_near(&self, number: u64) -> bool {
        self.state.address(number).is_some_and(|address| self.link.is_on_link(address))
    }
}
