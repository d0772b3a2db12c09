//! The packet socket under pnet's channel, made here so that it can be asked how many
//! frames it lost (packet(7), PACKET_STATISTICS), which pnet does not.

use std::{
    io,
    os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd},
};

use socket2::{Domain, Socket, Type};

/// Room in the kernel for answers that we have not read yet. It gives what
/// net.core.rmem_max allows.
const ROOM: usize = 8 * 1024 * 1024;

/// Counts what a packet socket lost.
#[derive(Debug)]
pub(super) struct Losses {
    /// Another descriptor of the same socket.
    socket: OwnedFd,
    total: u64,
}

/// Makes a socket that hears nothing until it is bound to an interface. The descriptor
/// belongs to whoever takes it.
pub(super) fn packet_socket() -> io::Result<(RawFd, Losses)> {
    // Bound to all protocols at once it would hear every interface until it is bound to
    // one, and we would take that for answers.
    let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
    socket.set_recv_buffer_size(ROOM)?;
    ignore_outgoing(&socket);
    let losses = Losses { socket: socket.try_clone()?.into(), total: 0 };
    Ok((socket.into_raw_fd(), losses))
}

/// Spares us our own frames. Linux before 4.20 does not know the option; there they are
/// read and thrown away.
#[expect(unsafe_code, reason = "socket2 does not offer PACKET_IGNORE_OUTGOING")]
fn ignore_outgoing(socket: &Socket) {
    let on: libc::c_int = 1;
    // SAFETY: the pointer and the length are those of an int that lives until the call
    // returns.
    unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_IGNORE_OUTGOING,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        );
    }
}

impl Losses {
    /// How many frames found no room since the socket was made. Where the kernel does not
    /// tell, those that it told of before.
    #[expect(unsafe_code, reason = "socket2 does not offer PACKET_STATISTICS")]
    pub(super) fn total(&mut self) -> u64 {
        let mut counts = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
        let mut len = size_of::<libc::tpacket_stats>() as libc::socklen_t;
        // SAFETY: the pointers are those of the structure and of its length, and live until
        // the call returns.
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
