//! An interface that is listened to, whatever becomes of it: frames as they come, and the times
//! in which none could.
//!
//! Sends nothing, ever. The interface may go down and come back, be taken away and put back
//! with another number: it is opened again as soon as it can be.

use std::{
    io,
    os::fd::{AsFd, AsRawFd},
    thread,
    time::Duration,
};

use model::Timestamp;

use super::{block, filter, ring::Ring};
use crate::{
    LinkError,
    capture::LinkType,
    net::{interfaces, linux::Shape, raw_socket::Losses},
};

/// How long to wait before an interface that is away is looked for again.
const AGAIN: Duration = Duration::from_millis(200);

/// What came of listening for a while.
#[derive(Debug)]
pub enum Heard {
    /// Frames, of which so many could not be read: the kernel's block was damaged.
    Frames(u64),
    /// Nothing.
    Nothing,
    /// The interface went down or away just now.
    Down,
    /// It is there again just now.
    Up,
}

/// Who takes frames: how each begins, the VLAN of the tag that the card took off, when it came,
/// and its bytes.
pub type Take<'a> = &'a mut dyn FnMut(LinkType, Option<u16>, Timestamp, &[u8]);

/// An interface that is listened to.
#[derive(Debug)]
pub struct Monitor {
    interface: String,
    shape: Shape,
    open: Option<Open>,
    /// What rings lost that are closed.
    lost: u64,
}

#[derive(Debug)]
struct Open {
    ring: Ring,
    losses: Losses,
    link: LinkType,
}

impl Monitor {
    /// Opens the interface of that name, for all that passes there.
    ///
    /// # Errors
    ///
    /// Where there is none of that name, it is down, or the right to listen is missing
    /// (CAP_NET_RAW).
    pub fn open(interface: &str, shape: Shape) -> Result<Self, LinkError> {
        let open = Open::new(interface, shape)?;
        Ok(Self { interface: interface.to_owned(), shape, open: Some(open), lost: 0 })
    }

    /// Its name.
    #[must_use]
    pub fn interface(&self) -> &str {
        &self.interface
    }

    /// Frames that found no room until now, by the kernel's count.
    pub fn lost(&mut self) -> u64 {
        let now = self.open.as_mut().map_or(0, |open| open.losses.total());
        self.lost.saturating_add(now)
    }

    /// Hands on what has come, each frame with the tag that the card took off; waits so long at
    /// most where nothing has.
    ///
    /// # Errors
    ///
    /// Where the system does not let us wait, or whoever opens our sockets is gone.
    pub fn listen(&mut self, patience: Duration, take: Take<'_>) -> io::Result<Heard> {
        let Some(open) = &mut self.open else {
            return self.look_again(patience);
        };
        if let Some(damaged) = open.read(take) {
            return Ok(Heard::Frames(damaged));
        }
        match wait(&open.ring, patience)? {
            Woken::Block => Ok(match open.read(take) {
                Some(damaged) => Heard::Frames(damaged),
                None => Heard::Nothing,
            }),
            Woken::Nothing => Ok(Heard::Nothing),
            Woken::Broken => {
                // What it holds was heard before it went.
                while open.read(take).is_some() {}
                self.lost = self.lost();
                self.open = None;
                Ok(Heard::Down)
            }
        }
    }

    fn look_again(&mut self, patience: Duration) -> io::Result<Heard> {
        match Open::new(&self.interface, self.shape) {
            Ok(open) => {
                self.open = Some(open);
                Ok(Heard::Up)
            }
            // Whoever opens sockets for us is gone, and nobody else may.
            Err(LinkError::Open { source, .. }) if source.kind() == io::ErrorKind::BrokenPipe => {
                Err(source)
            }
            Err(_) => {
                thread::sleep(patience.min(AGAIN));
                Ok(Heard::Nothing)
            }
        }
    }
}

impl Open {
    fn new(name: &str, shape: Shape) -> Result<Self, LinkError> {
        let interface = interfaces::interface(name)?;
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::PermissionDenied => {
                LinkError::Unprivileged { interface: name.to_owned() }
            }
            _ => LinkError::Open { interface: name.to_owned(), source },
        };
        if !interface.up {
            let source = io::Error::from_raw_os_error(libc::ENETDOWN);
            return Err(LinkError::Down { interface: name.to_owned(), source });
        }
        let (link, filter) = match interface.kind {
            // Frames of the loopback have Ethernet's form.
            interfaces::Kind::Loopback => (LinkType::Ethernet, filter::for_watch()),
            _ if interface.mac.is_some() => (LinkType::Ethernet, filter::for_watch()),
            // Packets alone; the program would look for a header before them.
            _ => (LinkType::RawIp, filter::for_all()),
        };
        let ring = Ring::open_to_all(interface.index, &filter, shape).map_err(failed)?;
        let losses = Losses::of(ring.socket().map_err(failed)?);
        Ok(Self { ring, losses, link })
    }

    /// Reads a round of the ring at most, so that a flood keeps nobody from stopping. `None`
    /// where nothing has come.
    fn read(&mut self, take: Take<'_>) -> Option<u64> {
        let mut all: Option<u64> = None;
        let link = self.link;
        for _ in 0..self.ring.blocks() {
            let damaged = self.ring.take(|block| {
                let mut damaged = 0;
                for frame in block::frames(block) {
                    match frame {
                        Ok(frame) => {
                            take(link, frame.tag.map(block::Tag::vlan), frame.at, frame.bytes);
                        }
                        Err(_) => damaged += 1,
                    }
                }
                damaged
            });
            let Some(damaged) = damaged else { break };
            all = Some(all.unwrap_or(0).saturating_add(damaged));
        }
        all
    }
}

enum Woken {
    Block,
    Nothing,
    Broken,
}

/// Waits until there is a block, or an end of it, or long enough.
#[expect(unsafe_code, reason = "std does not offer poll(2)")]
fn wait(ring: &Ring, patience: Duration) -> io::Result<Woken> {
    let fd = ring.as_fd().as_raw_fd();
    let mut poll = libc::pollfd { fd, events: libc::POLLIN | libc::POLLERR, revents: 0 };
    let millis = libc::c_int::try_from(patience.as_millis()).unwrap_or(libc::c_int::MAX);
    // SAFETY: the pointer is that of one structure, which lives until the call returns, and so
    // does the descriptor.
    let ready = unsafe { libc::poll(&raw mut poll, 1, millis) };
    if ready < 0 {
        let error = io::Error::last_os_error();
        return match error.kind() {
            io::ErrorKind::Interrupted => Ok(Woken::Nothing),
            _ => Err(error),
        };
    }
    match poll.revents & (libc::POLLERR | libc::POLLHUP | libc::POLLNVAL) {
        0 if ready == 0 => Ok(Woken::Nothing),
        0 => Ok(Woken::Block),
        _ => Ok(Woken::Broken),
    }
}
