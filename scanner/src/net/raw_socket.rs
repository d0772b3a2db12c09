//! The packet sockets (packet(7)) under both channels of the raw tier, and what they lost.

use std::{io, os::fd::AsRawFd};

use socket2::Socket;

/// It hears nothing until it is bound to an interface: bound to all protocols at once it would hear
/// every interface until it is bound to one, and we would take that for answers.
pub(super) use super::broker::packet_socket;

/// Sets an option whose value is a plain structure of the kernel's.
#[expect(unsafe_code, reason = "socket2 does not offer the options of packet sockets")]
pub(super) fn set<T: Copy>(
    socket: &Socket,
    level: libc::c_int,
    option: libc::c_int,
    value: &T,
) -> io::Result<()> {
    let len = libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0);
    // SAFETY: the pointer and the length are those of a value that lives until the call
    // returns, and which the kernel copies.
    let set = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, ptr_of(value), len) };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn ptr_of<T>(value: &T) -> *const libc::c_void {
    (&raw const *value).cast()
}

/// Lets only what the program accepts come in.
pub(super) fn attach(socket: &Socket, filter: &[libc::sock_filter]) -> io::Result<()> {
    let len = libc::c_ushort::try_from(filter.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // The kernel reads the program and does not write to it. It copies it within the call.
    let program = libc::sock_fprog { len, filter: filter.as_ptr().cast_mut() };
    set(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
}

/// Spares us our own frames. Linux before 4.20 does not know the option; there they are
/// read and thrown away.
pub(super) fn ignore_outgoing(socket: &Socket) {
    let _ = set::<libc::c_int>(socket, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, &1);
}

/// Binds to the interface of that number, and to a protocol of linux/if_ether.h; 0 for
/// none.
#[expect(unsafe_code, reason = "socket2 does not offer the addresses of packet sockets")]
pub(super) fn bind(socket: &Socket, interface: u32, protocol: u16) -> io::Result<()> {
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as libc::c_ushort,
        sll_protocol: protocol.to_be(),
        sll_ifindex: i32::try_from(interface).map_err(|_| io::ErrorKind::InvalidInput)?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let len = libc::socklen_t::try_from(size_of::<libc::sockaddr_ll>()).unwrap_or(0);
    // SAFETY: the pointer and the length are those of an address that lives until the call
    // returns.
    let bound = unsafe { libc::bind(socket.as_raw_fd(), ptr_of(&address).cast(), len) };
    if bound == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Counts what a packet socket lost.
#[derive(Debug)]
pub(super) struct Losses {
    /// Another descriptor of the same socket.
    socket: Socket,
    total: u64,
}

impl Losses {
    /// Of the socket of which this is another descriptor.
    pub(super) const fn of(socket: Socket) -> Self {
        Self { socket, total: 0 }
    }

    /// How many frames found no room since the socket was made (PACKET_STATISTICS). Where
    /// the kernel does not tell, those that it told of before. How often a ring stood
    /// still, which it also counts, is not added: what was lost meanwhile is in the number.
    #[expect(unsafe_code, reason = "socket2 does not offer PACKET_STATISTICS")]
    pub(super) fn total(&mut self) -> u64 {
        let mut counts = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
        let mut len = libc::socklen_t::try_from(size_of::<libc::tpacket_stats>()).unwrap_or(0);
        // SAFETY: the pointers are those of the structure and of its length, and live until
        // the call returns. A ring's structure begins with the same fields and is cut to
        // the length.
        let told = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut counts).cast(),
                &raw mut len,
            )
        };
        if told == 0 {
            // The kernel counts from zero again each time it is asked.
            self.total = self.total.saturating_add(counts.tp_drops.into());
        }
        self.total
    }
}
