//! The thread that reads the ring: what is an answer goes on, block by block.

use std::{
    io::{self, PipeReader, PipeWriter},
    os::fd::{AsFd, AsRawFd},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use model::MacAddr;

use super::{
    super::{
        raw_cookie::Cookies,
        raw_frames::{Heard, read},
        raw_mailbox::Outlet,
        raw_socket::Losses,
    },
    block,
    ring::{Ring, Shape},
};

/// A ring that is being read.
pub(in super::super) struct Listening {
    losses: Losses,
    /// Its other end is watched by the thread: closing it ends the thread.
    stop: Option<PipeWriter>,
    lost: Arc<Mutex<Option<io::Error>>>,
    thread: Option<JoinHandle<()>>,
}

impl Listening {
    /// Begins to listen for answers to the link-layer address `mac`.
    pub(in super::super) fn start(
        interface: (u32, &str),
        mac: MacAddr,
        filter: &[libc::sock_filter],
        shape: Shape,
        cookies: Cookies,
        outlet: Outlet,
    ) -> io::Result<Self> {
        let ring = Ring::open(interface.0, filter, shape)?;
        let losses = Losses::of(ring.socket()?);
        let (stopped, stop) = io::pipe()?;
        let lost = Arc::new(Mutex::new(None));
        let reader = Reader { ring, stopped, mac, cookies, outlet };
        let theirs = Arc::clone(&lost);
        let thread =
            thread::Builder::new().name(format!("listen {}", interface.1)).spawn(move || {
                if let Err(error) = reader.run() {
                    *theirs.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                }
            })?;
        Ok(Self { losses, stop: Some(stop), lost, thread: Some(thread) })
    }

    /// Frames that passed the filter and found no room.
    pub(in super::super) fn losses(&mut self) -> u64 {
        self.losses.total()
    }

    /// Why nothing is received any more, if that is so. Tells once.
    pub(in super::super) fn take_loss(&self) -> Option<io::Error> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // It ends after one round of the ring. If it panicked, there is nobody to tell.
            let _ = thread.join();
        }
    }
}

struct Reader {
    ring: Ring,
    stopped: PipeReader,
    mac: MacAddr,
    cookies: Cookies,
    outlet: Outlet,
}

impl Reader {
    /// Until it is stopped, or the interface is gone.
    fn run(mut self) -> io::Result<()> {
        let mut heard = Vec::new();
        loop {
            // No more than a round, so that a flood cannot keep it from being stopped.
            for _ in 0..self.ring.blocks() {
                let (cookies, mac) = (&self.cookies, self.mac);
                let taken = self.ring.take(|block| collect(cookies, mac, block, &mut heard));
                let Some(damaged) = taken else { break };
                self.outlet.put(&mut heard);
                self.outlet.count_lost(damaged);
            }
            match wait(&self.ring, &self.stopped)? {
                Woken::Block => {}
                Woken::Stopped => return Ok(()),
                Woken::Broken => {
                    return Err(self.ring.error().unwrap_or_else(|| io::ErrorKind::Other.into()));
                }
            }
        }
    }
}

/// Adds what a block holds of answers. Returns how many frames could not be read because
/// the block is damaged; one stands for all that are left.
fn collect(cookies: &Cookies, mac: MacAddr, block: &[u8], heard: &mut Vec<Heard>) -> u64 {
    let mut damaged = 0;
    for frame in block::frames(block) {
        match frame {
            // We ask without tags, so this is another network's. The filter says so already.
            Ok(frame) if frame.tag.is_some_and(|tag| tag.vlan() != 0) => {}
            Ok(frame) => heard.extend(read(cookies, mac, frame.bytes)),
            Err(_) => damaged += 1,
        }
    }
    damaged
}

enum Woken {
    Block,
    Stopped,
    Broken,
}

/// Waits until there is a block, or an end of it.
#[expect(unsafe_code, reason = "std does not offer poll(2)")]
fn wait(ring: &Ring, stopped: &PipeReader) -> io::Result<Woken> {
    let of = |fd, events| libc::pollfd { fd, events, revents: 0 };
    let mut all =
        [of(ring.as_fd().as_raw_fd(), libc::POLLIN | libc::POLLERR), of(stopped.as_raw_fd(), 0)];
    // SAFETY: the pointer and the number are those of an array that lives until the call
    // returns, and so do both descriptors.
    let ready = unsafe { libc::poll(all.as_mut_ptr(), 2, -1) };
    if ready < 0 {
        let error = io::Error::last_os_error();
        return match error.kind() {
            io::ErrorKind::Interrupted => Ok(Woken::Block),
            _ => Err(error),
        };
    }
    let [ring, stopped] = all;
    if stopped.revents != 0 {
        return Ok(Woken::Stopped);
    }
    match ring.revents & (libc::POLLERR | libc::POLLHUP | libc::POLLNVAL) {
        0 => Ok(Woken::Block),
        _ => Ok(Woken::Broken),
    }
}
