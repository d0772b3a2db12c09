//! Everybody on a link asked by echo, without privilege: datagram sockets for ICMPv6
//! (icmp(7), ping_group_range).
//!
//! The kernel puts its own identifier into what we send and lets in only answers to that, so
//! the data is our cookie, as in the tier `connect`. Neither the link-layer address nor the hop
//! limit of an answer is seen.

use std::{
    io::{self, ErrorKind, Read as _},
    net::{Ipv6Addr, SocketAddr, SocketAddrV6},
    os::fd::AsFd as _,
    time::Duration,
};

use model::Timestamp;
use socket2::{Domain, Protocol, Socket, Type};
use wire::{icmp, ip::Ends, mld::ALL_NODES};

use super::super::{clock::Clock, connect_poll::Poll, interfaces::Interface, raw_cookie::Cookies};
use crate::{
    LinkError, SearchPermit,
    search::{GroupLink, GroupQuestion, GroupReply, Said},
};

/// The longest message read.
const MESSAGE: usize = 256;

/// A link, open for echo to everybody.
pub(super) struct PingGroup {
    /// One for each of our addresses.
    sockets: Vec<(Ipv6Addr, Socket)>,
    poll: Poll,
    cookies: Cookies,
    clock: Clock,
    interface: u32,
    name: String,
}

impl PingGroup {
    /// Opens the interface, to ask from these addresses.
    pub(super) fn open(
        interface: &Interface,
        sources: &[Ipv6Addr],
        key: [u8; 16],
    ) -> io::Result<Self> {
        let poll = Poll::open()?;
        let mut sockets = Vec::new();
        for (number, source) in (0..).zip(sources) {
            let socket =
                Socket::new(Domain::IPV6, Type::DGRAM.nonblocking(), Some(Protocol::ICMPV6))?;
            socket.set_multicast_if_v6(interface.index)?;
            // Ourselves we know.
            socket.set_multicast_loop_v6(false)?;
            let scope = if source.is_unicast_link_local() { interface.index } else { 0 };
            socket.bind(&SocketAddr::V6(SocketAddrV6::new(*source, 0, 0, scope)).into())?;
            poll.add_receiving(socket.as_fd(), number)?;
            sockets.push((*source, socket));
        }
        if sockets.is_empty() {
            return Err(ErrorKind::AddrNotAvailable.into());
        }
        Ok(Self {
            sockets,
            poll,
            cookies: Cookies::new(key, 1..=1),
            clock: Clock::start(),
            interface: interface.index,
            name: interface.name.clone(),
        })
    }

    fn error(&self, source: io::Error) -> LinkError {
        match source.raw_os_error() {
            Some(libc::ENETDOWN | libc::ENODEV | libc::ENXIO) => {
                LinkError::Down { interface: self.name.clone(), source }
            }
            Some(libc::ENOBUFS | libc::EAGAIN) => LinkError::Busy { source },
            _ => LinkError::Send { address: ALL_NODES.into(), source },
        }
    }

    /// A reply that waits at one of the sockets.
    fn take(&self) -> Option<GroupReply> {
        self.sockets.iter().find_map(|(source, socket)| {
            let mut buffer = [0; MESSAGE];
            // An error here is one of a single packet; the next call finds the next packet.
            while let Ok((len, from)) = receive_from(socket, &mut buffer) {
                let message = icmp::Message::parse_icmpv6(buffer.get(..len)?);
                let cookie = self.cookies.echo((*source).into(), ALL_NODES.into());
                if let Ok(icmp::Message::EchoReply(echo)) = message
                    && echo.sequence == cookie.sequence
                    && echo.data == cookie.data
                {
                    return Some(GroupReply { from, mac: None, ttl: None, said: Said::Echo });
                }
            }
            None
        })
    }
}

/// A message and who sent it.
fn receive_from(socket: &Socket, buffer: &mut [u8]) -> io::Result<(usize, Ipv6Addr)> {
    // The sender is looked at first, so that the message can be read without more unsafe code.
    let from = socket.peek_sender()?.as_socket_ipv6().ok_or(ErrorKind::InvalidData)?;
    let mut socket = socket;
    Ok((socket.read(buffer)?, *from.ip()))
}

impl GroupLink for PingGroup {
    fn questions(&self) -> Vec<GroupQuestion> {
        self.sockets.iter().map(|(source, _)| GroupQuestion::Echo(*source)).collect()
    }

    fn send(&mut self, _leave: SearchPermit, question: GroupQuestion) -> Result<(), LinkError> {
        let GroupQuestion::Echo(from) = question else {
            return Err(self.error(ErrorKind::Unsupported.into()));
        };
        let socket = self.sockets.iter().find(|(source, _)| *source == from);
        let Some((_, socket)) = socket else { return Ok(()) };
        let cookie = self.cookies.echo(from.into(), ALL_NODES.into());
        // The kernel puts in the identifier and the checksum.
        let ends = Ends::V6(from, ALL_NODES);
        let message = icmp::echo_request(ends, 0, cookie.sequence, &cookie.data);
        let to = SocketAddr::V6(SocketAddrV6::new(ALL_NODES, 0, 0, self.interface));
        socket.send_to(&message, &to.into()).map(|_| ()).map_err(|error| self.error(error))
    }

    fn receive(&mut self, until: Duration) -> Result<Option<GroupReply>, LinkError> {
        loop {
            if let Some(reply) = self.take() {
                return Ok(Some(reply));
            }
            let left = until.saturating_sub(self.clock.now());
            if left.is_zero() {
                return Ok(None);
            }
            self.poll.wait(left).map_err(|source| LinkError::Receive { source })?;
        }
    }

    fn drops(&mut self) -> u64 {
        // The kernel does not tell.
        0
    }

    fn now(&self) -> Duration {
        self.clock.now()
    }

    fn timestamp(&self) -> Timestamp {
        self.clock.timestamp()
    }
}
