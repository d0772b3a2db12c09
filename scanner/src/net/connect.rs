//! The tier `connect`: the system's own sockets, without any privilege.
//!
//! A question to a TCP port is a connect(2) that does not wait; one to a UDP port is a
//! connected socket of its own, so that the kernel checks who answers (only TFTP answers
//! from another port, so that we check its address); an echo goes
//! through a datagram socket for ICMP, where the administrator allows those
//! (ping_group_range of icmp(7)).
//!
//! How connections end, on purpose: an unanswered one is given up before the kernel
//! would send a second SYN, and one that was made is closed with FIN at once, not with
//! the RST of SO_LINGER 0. The kernel repeats a FIN until it is acknowledged, while an
//! RST that gets lost leaves a small device with a connection that nobody ever closes.
//! Only open ports cost us a TIME_WAIT, and those are few.

use std::{
    collections::{HashMap, VecDeque},
    io::{self, Read},
    net::{IpAddr, SocketAddr, SocketAddrV6},
    os::fd::AsFd,
    time::Duration,
};

use model::{MacAddr, Timestamp};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use wire::icmp::Refusal;

use super::{
    Answer, Link, Neighbor, Question, Reply, TFTP, Tier,
    clock::Clock,
    connect_echo::Echoes,
    connect_errors::{keep_errors, take_refusal},
    connect_limits::{Unresolved, limits},
    connect_poll::Poll,
    connect_socket::{bind, is_answer, is_from_another, is_itself, name_of, own_addresses},
    interfaces::Interface,
    neighbors,
    routes::{Hop, Route, Routes},
};
use crate::{LinkError, Permit};

/// When an unanswered connect is given up. The kernel sends its second SYN after one
/// second (RFC 6298, section 2); a tenth is left for a busy machine.
const GIVE_UP: Duration = Duration::from_millis(900);

/// How long a UDP socket is kept for an answer.
const LISTEN: Duration = Duration::from_secs(1);

/// How often the chosen interface is looked at while nothing happens.
const LOOK: Duration = Duration::from_millis(250);

/// How long after a lack of descriptors one socket more is tried.
const RAISE: Duration = Duration::from_millis(100);

/// Room for the largest datagram.
const DATAGRAM: usize = 65_536;

/// The system's sockets as a [`Link`].
#[derive(Debug)]
pub struct ConnectLink {
    clock: Clock,
    routes: Routes,
    only: Option<Interface>,
    /// Where the machine itself is on its links: no table of neighbours says it, and its
    /// addresses belong together.
    own: HashMap<IpAddr, MacAddr>,
    poll: Poll,
    echoes: Echoes,
    attempts: HashMap<u64, Attempt>,
    next_number: u64,
    /// When which connect is given up, the earliest first.
    give_up: VecDeque<(Duration, u64)>,
    /// The same for UDP sockets.
    stop_listening: VecDeque<(Duration, u64)>,
    unresolved: Unresolved,
    /// How many sockets may be open at once, by the limit on descriptors.
    ceiling: usize,
    /// The same, less what others were found to have taken since.
    most: usize,
    /// When `most` may grow again.
    next_raise: Duration,
    ready: VecDeque<Reply>,
    buffer: Vec<u8>,
    next_look: Duration,
}

/// A socket that an answer may come to.
#[derive(Debug)]
struct Attempt {
    socket: Socket,
    address: IpAddr,
    what: What,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum What {
    Tcp(u16),
    Udp(u16),
}

impl ConnectLink {
    /// Opens the tier, through one interface only, if one is given. `key` keys what echo
    /// requests carry. Raises the process's soft limit on descriptors to the hard one.
    ///
    /// # Errors
    ///
    /// [`LinkError::System`] if the kernel does not tell its routes or limits.
    pub fn open(only: Option<Interface>, key: [u8; 16]) -> Result<Self, LinkError> {
        Self::with_clock(only, key, Clock::start())
    }

    /// With the clock of the link that this one is a part of.
    pub(super) fn with_clock(
        only: Option<Interface>,
        key: [u8; 16],
        clock: Clock,
    ) -> Result<Self, LinkError> {
        let system = |what| move |source| LinkError::System { what, source };
        let poll = Poll::open().map_err(system("event queue"))?;
        let echoes = Echoes::open(key, &poll, only.as_ref());
        let ceiling = limits().map_err(system("limit on open files"))?.sockets;
        Ok(Self {
            clock,
            routes: Routes::open(only.as_ref().map(|interface| interface.index))?,
            only,
            own: own_addresses()?,
            poll,
            echoes,
            attempts: HashMap::new(),
            next_number: Echoes::NUMBERS,
            give_up: VecDeque::new(),
            stop_listening: VecDeque::new(),
            unresolved: Unresolved::default(),
            ceiling,
            most: ceiling,
            next_raise: Duration::ZERO,
            ready: VecDeque::new(),
            buffer: vec![0; DATAGRAM],
            next_look: Duration::ZERO,
        })
    }

    fn ask(&mut self, address: IpAddr, question: &Question) -> Result<(), LinkError> {
        self.expire();
        let what = match question {
            Question::Tcp(port) => What::Tcp(*port),
            Question::Udp(port, _) => What::Udp(*port),
            Question::Echo => {
                let route = self.admitted_route(address)?;
                let to = self.socket_address(address, 0);
                return self.echoes.send(&to).map_err(|error| self.refused(address, error, route));
            }
            Question::Arp
            | Question::NeighborSolicitation
            | Question::Timestamp
            | Question::Ack(_) => {
                return Err(LinkError::Send { address, source: io::ErrorKind::Unsupported.into() });
            }
        };
        if self.attempts.len() >= self.most {
            return Err(LinkError::Busy { source: io::ErrorKind::WouldBlock.into() });
        }
        let route = self.admitted_route(address)?;
        let socket = self.socket(address, what, route)?;
        let attempt = Attempt { socket, address, what };
        self.start(attempt, question).map_err(|error| self.refused(address, error, route))
    }

    /// The route, if the kernel can be asked to use it now.
    fn admitted_route(&mut self, address: IpAddr) -> Result<Route, LinkError> {
        let route = self.routes.to(address).map_err(|error| self.or_down(error))?;
        match route.hop {
            Hop::Everybody => {
                let source = io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "it is the address of everybody on the link",
                );
                return Err(LinkError::Send { address, source });
            }
            Hop::Link if !self.unresolved.admit(address, self.clock.now()) => {
                return Err(LinkError::Busy { source: io::ErrorKind::WouldBlock.into() });
            }
            Hop::Link | Hop::Local | Hop::Gateway(_) => {}
        }
        Ok(route)
    }

    fn socket(&mut self, address: IpAddr, what: What, route: Route) -> Result<Socket, LinkError> {
        let (kind, protocol) = match what {
            What::Tcp(_) => (Type::STREAM, Protocol::TCP),
            What::Udp(_) => (Type::DGRAM, Protocol::UDP),
        };
        let domain = if address.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
        let made = Socket::new(domain, kind.nonblocking(), Some(protocol));
        let socket = made.map_err(|source| {
            // Others opened descriptors since we counted: so many and no more.
            self.most = self.attempts.len().max(1);
            self.next_raise = self.clock.now() + RAISE;
            self.refused(address, source, route)
        })?;
        let prepared = keep_errors(socket.as_fd(), address.is_ipv6())
            .and_then(|()| bind(&socket, self.only.as_ref(), route));
        prepared.map_err(|source| self.refused(address, source, route))?;
        Ok(socket)
    }

    fn start(&mut self, attempt: Attempt, question: &Question) -> io::Result<()> {
        let number = self.next_number;
        self.next_number += 1;
        let now = self.clock.now();
        match (attempt.what, question) {
            (What::Tcp(port), _) => {
                let to = SockAddr::from(self.socket_address(attempt.address, port));
                match attempt.socket.connect(&to) {
                    Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
                    // Loopback answers before connect(2) returns.
                    Ok(()) => {
                        self.finish_tcp(&attempt, port, None);
                        return Ok(());
                    }
                    Err(error) if is_answer(&error) => {
                        self.finish_tcp(&attempt, port, Some(error));
                        return Ok(());
                    }
                    Err(error) => return Err(error),
                }
                self.poll.add_connecting(attempt.socket.as_fd(), number)?;
                self.give_up.push_back((now + GIVE_UP, number));
            }
            (What::Udp(port), question) => {
                let payload: &[u8] = match question {
                    Question::Udp(_, payload) => payload,
                    _ => &[],
                };
                let to = SockAddr::from(self.socket_address(attempt.address, port));
                if port == TFTP {
                    // Who answers is looked at when the answer is here.
                    attempt.socket.send_to(payload, &to)?;
                } else {
                    attempt.socket.connect(&to)?;
                    if is_itself(&attempt.socket) {
                        // The kernel gave us the very port that we ask about: nobody has it.
                        self.push(attempt.address, Answer::UdpClosed(port));
                        return Ok(());
                    }
                    attempt.socket.send(payload)?;
                }
                self.poll.add_receiving(attempt.socket.as_fd(), number)?;
                self.stop_listening.push_back((now + LISTEN, number));
            }
        }
        self.attempts.insert(number, attempt);
        Ok(())
    }

    fn socket_address(&self, address: IpAddr, port: u16) -> SocketAddr {
        match address {
            IpAddr::V4(v4) => SocketAddr::new(v4.into(), port),
            IpAddr::V6(v6) => SocketAddrV6::new(v6, port, 0, self.routes.scope_of(v6)).into(),
        }
    }

    /// Something happened to a socket.
    fn happened(&mut self, number: u64) {
        if number < Echoes::NUMBERS {
            for address in self.echoes.receive(number) {
                self.push(address, Answer::Echo);
            }
            return;
        }
        let Some(attempt) = self.attempts.remove(&number) else { return };
        match attempt.what {
            What::Tcp(port) => {
                let error = attempt.socket.take_error().unwrap_or_else(Some);
                self.finish_tcp(&attempt, port, error);
            }
            What::Udp(port) => self.finish_udp(attempt, port, number),
        }
    }

    /// What the end of a connect says. Dropping the attempt closes the socket.
    fn finish_tcp(&mut self, attempt: &Attempt, port: u16, error: Option<io::Error>) {
        let Some(error) = error else {
            // Two ends with one name: the kernel chose the port that we ask about as our
            // own, and connected us to ourselves (RFC 9293, section 3.5).
            let answer = match is_itself(&attempt.socket) {
                true => Answer::TcpClosed(port),
                false => Answer::TcpOpen(port),
            };
            return self.push(attempt.address, answer);
        };
        let answer = match (take_refusal(attempt.socket.as_fd()), error.raw_os_error()) {
            (Some(Refusal::NoWay), _) => Answer::Unreachable,
            // The target itself refuses with RST; a port unreachable is a filter's.
            (Some(Refusal::Port | Refusal::Filter), _) => Answer::TcpFiltered(port),
            (_, Some(libc::ECONNREFUSED)) => Answer::TcpClosed(port),
            // It accepted, and thought better of it before we looked.
            (_, Some(libc::ECONNRESET | libc::EPIPE)) => Answer::TcpOpen(port),
            (_, Some(libc::EHOSTUNREACH | libc::ENETUNREACH | libc::EHOSTDOWN | libc::ENONET)) => {
                Answer::Unreachable
            }
            (_, Some(libc::EACCES | libc::EPERM | libc::ENOPROTOOPT)) => Answer::TcpFiltered(port),
            // Any other error says nothing about the port, as silence does.
            _ => Answer::TcpSilent(port),
        };
        self.push(attempt.address, answer);
    }

    fn finish_udp(&mut self, attempt: Attempt, port: u16, number: u64) {
        if port == TFTP && is_from_another(&attempt.socket, attempt.address) {
            // Of no use, and out of the way.
            let _ = (&attempt.socket).read(&mut self.buffer);
            self.attempts.insert(number, attempt);
            return;
        }
        let answer = match take_refusal(attempt.socket.as_fd()) {
            Some(Refusal::NoWay) => Answer::Unreachable,
            Some(Refusal::Port) => Answer::UdpClosed(port),
            Some(Refusal::Filter) => Answer::UdpFiltered(port),
            Some(Refusal::Other) | None => match (&attempt.socket).read(&mut self.buffer) {
                Ok(len) => {
                    let payload = self.buffer.get(..len).unwrap_or_default();
                    Answer::UdpReply(port, payload.to_vec())
                }
                Err(error) => match error.raw_os_error() {
                    Some(libc::ECONNREFUSED) => Answer::UdpClosed(port),
                    Some(libc::EHOSTUNREACH | libc::ENETUNREACH) => Answer::Unreachable,
                    Some(libc::EACCES) => Answer::UdpFiltered(port),
                    // Nothing that says anything, such as a datagram with a wrong
                    // checksum: the answer may still come.
                    _ => {
                        self.attempts.insert(number, attempt);
                        return;
                    }
                },
            },
        };
        self.push(attempt.address, answer);
    }

    fn push(&mut self, about: IpAddr, answer: Answer) {
        if !matches!(answer, Answer::TcpSilent(_)) {
            self.unresolved.resolved(about);
        }
        let mac = self.own.get(&about).copied();
        self.ready.push_back(Reply { about, answer, ttl: None, mac });
    }

    /// Gives up what has waited long enough.
    fn expire(&mut self) {
        let now = self.clock.now();
        if self.most < self.ceiling && now >= self.next_raise {
            self.most += 1;
            self.next_raise = now + RAISE;
        }
        while let Some(number) = due(&mut self.give_up, now) {
            if let Some(Attempt { address, what: What::Tcp(port), .. }) =
                self.attempts.remove(&number)
            {
                self.push(address, Answer::TcpSilent(port));
            }
        }
        while let Some(number) = due(&mut self.stop_listening, now) {
            self.attempts.remove(&number);
        }
    }

    /// When [`Self::expire`] has something to do next.
    fn next_end(&mut self) -> Option<Duration> {
        let attempts = &self.attempts;
        let first = |queue: &mut VecDeque<(Duration, u64)>| {
            // Most have been answered long since.
            while queue.pop_front_if(|(_, number)| !attempts.contains_key(number)).is_some() {}
            queue.front().map(|(end, _)| *end)
        };
        let (tcp, udp) = (first(&mut self.give_up), first(&mut self.stop_listening));
        [tcp, udp].into_iter().flatten().min()
    }

    /// Whether the interface that the user chose is still there.
    fn look(&mut self) -> Result<(), LinkError> {
        let now = self.clock.now();
        let Some(only) = &self.only else { return Ok(()) };
        if now < self.next_look {
            return Ok(());
        }
        self.next_look = now + LOOK;
        let gone = |source| LinkError::Down { interface: only.name.clone(), source };
        self.routes.check(only.index).map_err(gone)
    }

    /// A missing route of an interface that is down is the interface's fault.
    fn or_down(&self, error: LinkError) -> LinkError {
        let Some(only) = &self.only else { return error };
        match self.routes.check(only.index) {
            Ok(()) => error,
            Err(source) => LinkError::Down { interface: only.name.clone(), source },
        }
    }

    /// What it means that the system would not send.
    fn refused(&self, address: IpAddr, source: io::Error, route: Route) -> LinkError {
        match source.raw_os_error() {
            Some(
                libc::EMFILE
                | libc::ENFILE
                | libc::ENOBUFS
                | libc::ENOMEM
                | libc::EAGAIN
                | libc::EADDRNOTAVAIL
                | libc::EADDRINUSE,
            ) => LinkError::Busy { source },
            Some(libc::ENETUNREACH | libc::EHOSTUNREACH) => {
                self.routes.forget();
                self.or_down(LinkError::NoRoute { address, source })
            }
            Some(libc::ENETDOWN | libc::ENODEV | libc::ENXIO) => {
                LinkError::Down { interface: name_of(route.interface), source }
            }
            _ => LinkError::Send { address, source },
        }
    }
}

impl Link for ConnectLink {
    fn tier(&self) -> Tier {
        Tier::Connect
    }

    fn is_on_link(&self, address: IpAddr) -> bool {
        self.routes.is_on_link(address)
    }

    fn can_ask(&self, address: IpAddr, question: &Question) -> bool {
        match question {
            Question::Arp
            | Question::NeighborSolicitation
            | Question::Timestamp
            | Question::Ack(_) => false,
            Question::Echo => self.echoes.can_ask(address),
            Question::Tcp(_) | Question::Udp(..) => true,
        }
    }

    fn send(&mut self, to: Permit, question: &Question) -> Result<(), LinkError> {
        self.ask(to.address(), question)
    }

    fn receive(&mut self, until: Duration) -> Result<Option<Reply>, LinkError> {
        let mut looked = false;
        loop {
            self.expire();
            if let Some(reply) = self.ready.pop_front() {
                return Ok(Some(reply));
            }
            self.look()?;
            let now = self.clock.now();
            if looked && now >= until {
                return Ok(None);
            }
            let mut end = self.next_end().map_or(until, |end| end.min(until));
            if self.only.is_some() {
                end = end.min(self.next_look);
            }
            let numbers = self
                .poll
                .wait(end.saturating_sub(now))
                .map_err(|source| LinkError::Receive { source })?;
            looked = true;
            for number in numbers {
                self.happened(number);
            }
        }
    }

    fn neighbors(&mut self) -> Vec<Neighbor> {
        // A kernel that does not tell its table leaves us without link-layer addresses,
        // which is what an empty table means too.
        let entries = neighbors::neighbors().unwrap_or_default();
        let ours = |index| self.only.as_ref().is_none_or(|only| only.index == index);
        entries
            .iter()
            .filter(|entry| ours(entry.interface))
            .filter_map(neighbors::Entry::heard)
            .collect()
    }

    fn drops(&mut self) -> u64 {
        // Each answer waits in a socket of its own until we fetch it.
        0
    }

    fn most_under_way(&self) -> Option<usize> {
        Some(self.most)
    }

    fn under_way(&self) -> usize {
        self.attempts.len()
    }

    fn now(&self) -> Duration {
        self.clock.now()
    }

    fn timestamp(&self) -> Timestamp {
        self.clock.timestamp()
    }
}

/// The number at the front of a queue, if its time has come.
fn due(queue: &mut VecDeque<(Duration, u64)>, now: Duration) -> Option<u64> {
    queue.pop_front_if(|(end, _)| *end <= now).map(|(_, number)| number)
}
