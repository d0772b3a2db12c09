//! Many frames to one call: sendmmsg(2) on a packet socket that hears nothing.

use std::{
    io,
    os::fd::{AsFd, AsRawFd},
    ptr,
};

use socket2::Socket;

use super::super::{
    raw_batch::{MOST, Span, Submit},
    raw_socket::{bind, packet_socket, set},
};

/// Room in the kernel for frames that the driver has not taken yet. It gives what
/// net.core.wmem_max allows.
const ROOM: usize = 4 * 1024 * 1024;

/// How long the driver may take to have room for a frame, in milliseconds.
const PATIENCE: libc::c_int = 2;

/// An interface, open for sending.
pub(in super::super) struct Sender {
    socket: Socket,
    /// Made once; what they point to is written anew for each call.
    vectors: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
}

#[expect(unsafe_code, reason = "pointers that mean nothing between two calls")]
// SAFETY: the pointers in the arrays are written and used within one call of `submit`, by
// the thread that has the value to itself then.
unsafe impl Send for Sender {}

impl Sender {
    /// Opens the interface of that number.
    #[expect(unsafe_code, reason = "libc's structures have private padding")]
    pub(in super::super) fn open(interface: u32) -> io::Result<Self> {
        let socket = packet_socket()?;
        socket.set_send_buffer_size(ROOM)?;
        // Straight to the driver: no queue of the kernel's, whose rules for traffic are not
        // meant for this, and no copy for who captures here. Linux before 3.14 does
        // without.
        let _ = set::<libc::c_int>(&socket, libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, &1);
        bind(&socket, interface, 0)?;
        let vector = libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 };
        // SAFETY: a header of zeros is one without a name, vectors, control data and flags.
        let header: libc::mmsghdr = unsafe { std::mem::zeroed() };
        Ok(Self { socket, vectors: vec![vector; MOST].into(), headers: vec![header; MOST].into() })
    }

    #[expect(unsafe_code, reason = "std does not offer sendmmsg(2)")]
    fn send(&mut self, count: usize) -> io::Result<usize> {
        let count = libc::c_uint::try_from(count.min(MOST)).unwrap_or(0);
        // SAFETY: the first `count` headers have each been given one vector, whose bytes
        // the caller of `submit` lends until it returns. The kernel reads them and writes
        // into the headers only.
        let sent = unsafe {
            libc::sendmmsg(
                self.socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                count,
                libc::MSG_DONTWAIT,
            )
        };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    /// Waits a moment for room.
    #[expect(unsafe_code, reason = "std does not offer poll(2)")]
    fn wait_for_room(&self) {
        let fd = self.socket.as_fd().as_raw_fd();
        let mut poll = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
        // SAFETY: the pointer is that of one structure that lives until the call returns.
        // Whatever it says, sending again says it better.
        unsafe {
            libc::poll(&raw mut poll, 1, PATIENCE);
        }
    }
}

impl Submit for Sender {
    fn submit(&mut self, bytes: &[u8], frames: &[Span]) -> io::Result<usize> {
        let mut count = 0;
        for ((span, vector), header) in frames.iter().zip(&mut self.vectors).zip(&mut self.headers)
        {
            let frame = span.of(bytes);
            // The kernel does not write to what it sends.
            *vector =
                libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() };
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            count += 1;
        }
        match self.send(count) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.wait_for_room();
                self.send(count)
            }
            result => result,
        }
    }
}
