//! Echo without privilege: datagram sockets for ICMP (icmp(7), ping_group_range).

use std::{
    io::{self, ErrorKind},
    mem::MaybeUninit,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::AsFd,
};

use socket2::{Domain, Protocol, Socket, Type};
use wire::{icmp, ip};

use super::{connect_poll::Poll, interfaces::Interface, raw_cookie::Cookies};

/// The sockets, one a family, each there if the system allows it.
#[derive(Debug)]
pub(super) struct Echoes {
    v4: Option<Socket>,
    v6: Option<Socket>,
    cookies: Cookies,
}

/// Whether the system lets this process send echo requests without privilege, over IPv4
/// and over IPv6.
#[must_use]
pub fn echo_allowed() -> (bool, bool) {
    let able = |domain, protocol| Socket::new(domain, Type::DGRAM, Some(protocol)).is_ok();
    (able(Domain::IPV4, Protocol::ICMPV4), able(Domain::IPV6, Protocol::ICMPV6))
}

/// The kernel puts its own identifier into what we send and takes only answers to it, so
/// the data alone is our cookie. It does not know the source address beforehand.
const OURS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

impl Echoes {
    /// The numbers below this one stand for these sockets in [`Poll`].
    pub(super) const NUMBERS: u64 = 2;

    pub(super) fn open(key: [u8; 16], poll: &Poll, only: Option<&Interface>) -> Self {
        let socket = |domain, protocol, number| {
            let socket = Socket::new(domain, Type::DGRAM.nonblocking(), Some(protocol)).ok()?;
            if let Some(only) = only {
                socket.bind_device(Some(only.name.as_bytes())).ok()?;
            }
            poll.add_receiving(socket.as_fd(), number).ok()?;
            Some(socket)
        };
        Self {
            v4: socket(Domain::IPV4, Protocol::ICMPV4, 0),
            v6: socket(Domain::IPV6, Protocol::ICMPV6, 1),
            cookies: Cookies::new(key, 1..=1),
        }
    }

    pub(super) fn can_ask(&self, address: IpAddr) -> bool {
        self.socket(address.is_ipv6()).is_some()
    }

    fn socket(&self, ipv6: bool) -> Option<&Socket> {
        if ipv6 { self.v6.as_ref() } else { self.v4.as_ref() }
    }

    pub(super) fn send(&self, to: &SocketAddr) -> io::Result<()> {
        let socket = self.socket(to.is_ipv6()).ok_or(ErrorKind::Unsupported)?;
        let cookie = self.cookies.echo(OURS, to.ip());
        // The kernel puts in the identifier and the checksum.
        let ends = match to.ip() {
            IpAddr::V4(v4) => ip::Ends::V4(Ipv4Addr::UNSPECIFIED, v4),
            IpAddr::V6(v6) => ip::Ends::V6(Ipv6Addr::UNSPECIFIED, v6),
        };
        let message = icmp::echo_request(ends, 0, cookie.sequence, &cookie.data);
        socket.send_to(&message, &(*to).into()).map(|_| ())
    }

    /// Who has answered since the last call.
    pub(super) fn receive(&self, number: u64) -> Vec<IpAddr> {
        let mut found = Vec::new();
        let Some(socket) = self.socket(number == 1) else { return found };
        let mut buffer = [MaybeUninit::uninit(); 256];
        // An error here is one of a single packet; the next call finds the next packet.
        while let Ok((len, from)) = socket.recv_from(&mut buffer) {
            let bytes: Vec<u8> = initialised(&buffer, len);
            let message = match number {
                1 => icmp::Message::parse_icmpv6(&bytes),
                _ => icmp::Message::parse_icmp(&bytes),
            };
            let (Ok(icmp::Message::EchoReply(echo)), Some(from)) = (message, from.as_socket())
            else {
                continue;
            };
            let cookie = self.cookies.echo(OURS, from.ip());
            if echo.sequence == cookie.sequence && echo.data == cookie.data {
                found.push(from.ip());
            }
        }
        found
    }
}

/// The first `len` bytes, which the kernel has written.
#[expect(unsafe_code, reason = "socket2 receives into uninitialised memory")]
fn initialised(buffer: &[MaybeUninit<u8>], len: usize) -> Vec<u8> {
    let written = buffer.iter().take(len);
    // SAFETY: recv_from returned `len`, the number of bytes it wrote from the start on.
    written.map(|byte| unsafe { byte.assume_init() }).collect()
}
