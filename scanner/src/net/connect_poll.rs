//! Waiting for many sockets at once: epoll(7), in safe clothes.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    time::Duration,
};

/// A set of sockets to wait for, each with a number of the caller's.
#[derive(Debug)]
pub(super) struct Poll {
    epoll: OwnedFd,
}

/// How many events are taken from the kernel in one call.
const BATCH: usize = 256;

impl Poll {
    #[expect(unsafe_code, reason = "std does not offer epoll")]
    pub(super) fn open() -> io::Result<Self> {
        // SAFETY: epoll_create1 takes no pointers.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was made just now, and nobody else knows it.
        Ok(Self { epoll: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    /// Waits for a socket that is connecting: that it is connected, or failed.
    pub(super) fn add_connecting(&self, socket: BorrowedFd<'_>, number: u64) -> io::Result<()> {
        self.add(socket, number, libc::EPOLLOUT)
    }

    /// Waits for a socket that something comes from, or that failed.
    pub(super) fn add_receiving(&self, socket: BorrowedFd<'_>, number: u64) -> io::Result<()> {
        self.add(socket, number, libc::EPOLLIN)
    }

    /// The kernel takes a socket out of the set when it is closed.
    #[expect(unsafe_code, reason = "std does not offer epoll")]
    fn add(&self, socket: BorrowedFd<'_>, number: u64, events: libc::c_int) -> io::Result<()> {
        let mut event = libc::epoll_event { events: events.cast_unsigned(), u64: number };
        // SAFETY: both descriptors are open as long as they are borrowed here, and the
        // pointer is that of an event that lives until the call returns.
        let added = unsafe {
            libc::epoll_ctl(
                self.epoll.as_raw_fd(),
                libc::EPOLL_CTL_ADD,
                socket.as_raw_fd(),
                &raw mut event,
            )
        };
        if added < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// The numbers of the sockets that something happened to, after waiting that long at
    /// most for the first. Empty if nothing happened, or a signal came.
    #[expect(unsafe_code, reason = "std offers neither ppoll nor epoll")]
    pub(super) fn wait(&self, at_most: Duration) -> io::Result<Vec<u64>> {
        // epoll_wait counts in milliseconds, which is either too late or a busy loop.
        // ppoll counts in nanoseconds, and an epoll descriptor can be polled.
        let mut poll =
            libc::pollfd { fd: self.epoll.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let patience = libc::timespec {
            tv_sec: libc::time_t::try_from(at_most.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: at_most.subsec_nanos().into(),
        };
        // SAFETY: the pointers are those of a pollfd and a timespec that live until the call
        // returns; no signal mask is given.
        let ready = unsafe { libc::ppoll(&raw mut poll, 1, &raw const patience, std::ptr::null()) };
        match ready {
            0 => return Ok(Vec::new()),
            1.. => {}
            _ => return interrupted(io::Error::last_os_error()),
        }
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; BATCH];
        // SAFETY: the pointer and the count are those of `events`.
        let count = unsafe {
            libc::epoll_wait(self.epoll.as_raw_fd(), events.as_mut_ptr(), BATCH as libc::c_int, 0)
        };
        match usize::try_from(count) {
            Ok(count) => Ok(events.iter().take(count).map(|event| event.u64).collect()),
            Err(_) => interrupted(io::Error::last_os_error()),
        }
    }
}

fn interrupted(error: io::Error) -> io::Result<Vec<u64>> {
    if error.kind() == io::ErrorKind::Interrupted { Ok(Vec::new()) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use std::{
        net::{Ipv4Addr, UdpSocket},
        os::fd::AsFd,
        time::Instant,
    };

    use super::*;

    #[test]
    fn waits_for_what_comes_and_no_longer_than_told() {
        let poll = Poll::open().unwrap();
        let here = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        poll.add_receiving(here.as_fd(), 77).unwrap();
        assert!(poll.wait(Duration::ZERO).unwrap().is_empty());
        let started = Instant::now();
        assert!(poll.wait(Duration::from_millis(3)).unwrap().is_empty());
        assert!(started.elapsed() >= Duration::from_millis(3));
        let there = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        there.send_to(b"hello", here.local_addr().unwrap()).unwrap();
        assert_eq!(poll.wait(Duration::from_secs(5)).unwrap(), [77]);
        drop(here);
        assert!(poll.wait(Duration::ZERO).unwrap().is_empty());
    }
}
