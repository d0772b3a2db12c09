//! Several readers of one interface, among whom the kernel shares out what passes there
//! (packet(7), PACKET_FANOUT).
//!
//! Which of them a frame comes to says a program ([`super::filter::for_fanout`]): what two stations
//! say to each other is always one reader's. While readers come and go (the interface was down) the
//! kernel counts anew, and a flow that is under way may go on at another: there it is one whose
//! beginning was not seen.
//!
//! A socket hears all from when it is bound and its part from when it is in the group: it is bound
//! deaf ([`super::filter::for_none`]), so that nothing is heard by two.

use std::{
    io,
    os::fd::AsRawFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use socket2::Socket;

use super::super::raw_socket::set;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Group(Mutex<Members>);

#[derive(Debug, Default)]
struct Members {
    /// The kernel's number of the group. It lives as long as somebody is in it.
    id: u16,
    open: usize,
}

/// One who is in the group. Close the socket before this goes: the last one's leaving frees the
/// group's number, which may be somebody else's then.
#[derive(Debug)]
pub(super) struct Member(Arc<Group>);

impl Group {
    /// Puts a socket that is bound into the group, which the first one makes. From then on the
    /// program says what comes to whom.
    pub(super) fn join(
        self: &Arc<Self>,
        socket: &Socket,
        program: &[libc::sock_filter],
    ) -> io::Result<Member> {
        let mut members = self.members();
        if members.open == 0 {
            // A number that nobody has: whoever took one of his own choosing would share with
            // another program of the same choice, and each would hear a half.
            join(socket, 0, libc::PACKET_FANOUT_FLAG_UNIQUEID)?;
            members.id = number(socket)?;
        } else {
            join(socket, members.id, 0)?;
        }
        let len =
            libc::c_ushort::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        // The kernel copies the program within the call, and does not write to it.
        let program = libc::sock_fprog { len, filter: program.as_ptr().cast_mut() };
        set(socket, libc::SOL_PACKET, libc::PACKET_FANOUT_DATA, &program)?;
        members.open += 1;
        Ok(Member(Arc::clone(self)))
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut members = self.0.members();
        members.open = members.open.saturating_sub(1);
    }
}

fn join(socket: &Socket, id: u16, flags: libc::c_uint) -> io::Result<()> {
    let how = libc::PACKET_FANOUT_CBPF | flags;
    set(socket, libc::SOL_PACKET, libc::PACKET_FANOUT, &(u32::from(id) | how << 16))
}

/// The number of the group that the socket is in.
#[expect(unsafe_code, reason = "socket2 does not offer PACKET_FANOUT")]
fn number(socket: &Socket) -> io::Result<u16> {
    let mut told: libc::c_uint = 0;
    let mut len = libc::socklen_t::try_from(size_of::<libc::c_uint>()).unwrap_or(0);
    // SAFETY: the pointers are those of a number and of its length, and live until the call
    // returns.
    let got = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_FANOUT,
            (&raw mut told).cast(),
            &raw mut len,
        )
    };
    // The lower half is the number, the upper one how frames are shared out.
    if got == 0 { Ok(told as u16) } else { Err(io::Error::last_os_error()) }
}
