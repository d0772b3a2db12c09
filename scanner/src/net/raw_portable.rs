//! Frames of our own on pnet's portable channel: one call of the system for each, both
//! ways, but with nothing that only newer kernels have.
//!
//! Receiving has a thread of its own, which lets through only what is an answer, so that a
//! busy network cannot fill the mailbox. The socket is made here, so that the kernel's
//! filter is on it before anything arrives, and so that it can be asked what it lost on a
//! second descriptor.

use std::{
    io,
    os::fd::IntoRawFd,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use model::MacAddr;
use pnet::datalink::{self, Config, DataLinkReceiver, DataLinkSender, NetworkInterface};

use super::{
    interfaces::Interface,
    raw_batch::{Span, Submit},
    raw_cookie::Cookies,
    raw_frames::read,
    raw_mailbox::Outlet,
    raw_socket::{Losses, attach, ignore_outgoing, packet_socket},
};

/// How long the thread waits for a frame before it looks whether it should end.
const PATIENCE: Duration = Duration::from_millis(50);

/// How long the driver may take to have room for a frame.
const ROOM: Duration = Duration::from_millis(10);

/// Room in the kernel for answers that we have not read yet. It gives what
/// net.core.rmem_max allows.
const ANSWERS: usize = 8 * 1024 * 1024;

/// The longest frame read: a full Ethernet frame with two tags, and jumbo frames.
const FRAME: usize = 16 * 1024;

/// The sending half.
pub(super) struct Sender(Box<dyn DataLinkSender>);

impl Submit for Sender {
    fn submit(&mut self, bytes: &[u8], frames: &[Span]) -> io::Result<usize> {
        for (place, span) in frames.iter().enumerate() {
            let sent = self.0.send_to(span.of(bytes), None);
            match sent.unwrap_or_else(|| Err(io::ErrorKind::InvalidInput.into())) {
                Ok(()) => {}
                Err(error) if place == 0 => return Err(error),
                // The next call tells.
                Err(_) => return Ok(place),
            }
        }
        Ok(frames.len())
    }
}

/// The listening half.
pub(super) struct Portable {
    losses: Losses,
    stop: Arc<AtomicBool>,
    /// Why the thread ended, if it did by itself.
    lost: Arc<Mutex<Option<io::Error>>>,
    thread: Option<JoinHandle<()>>,
}

impl Portable {
    /// Opens the interface whose link-layer address is `mac`, for what passes the filter.
    pub(super) fn open(
        interface: &Interface,
        mac: MacAddr,
        filter: &[libc::sock_filter],
        cookies: Cookies,
        outlet: Outlet,
    ) -> io::Result<(Sender, Self)> {
        let name = interface.name.clone();
        // pnet uses the number alone; the rest is for its own listings.
        let theirs = NetworkInterface {
            name: name.clone(),
            description: String::new(),
            index: interface.index,
            mac: None,
            ips: Vec::new(),
            flags: 0,
        };
        let socket = packet_socket()?;
        socket.set_recv_buffer_size(ANSWERS)?;
        attach(&socket, filter)?;
        ignore_outgoing(&socket);
        let losses = Losses::of(socket.try_clone()?);
        let config = Config {
            socket_fd: Some(socket.into_raw_fd()),
            read_buffer_size: FRAME,
            read_timeout: Some(PATIENCE),
            write_timeout: Some(ROOM),
            // Answers are addressed to us; the traffic of others is not our business here.
            promiscuous: false,
            ..Config::default()
        };
        let datalink::Channel::Ethernet(sender, receiver) = datalink::channel(&theirs, config)?
        else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let stop = Arc::new(AtomicBool::new(false));
        let lost = Arc::new(Mutex::new(None));
        let listener = Listener {
            receiver,
            mac,
            cookies,
            outlet,
            stop: Arc::clone(&stop),
            lost: Arc::clone(&lost),
        };
        let thread =
            thread::Builder::new().name(format!("listen {name}")).spawn(move || listener.run())?;
        Ok((Sender(sender), Self { losses, stop, lost, thread: Some(thread) }))
    }

    /// Frames that the kernel had no room for.
    pub(super) fn losses(&mut self) -> u64 {
        self.losses.total()
    }

    /// Why nothing is received any more, if that is so. Tells once.
    pub(super) fn take_loss(&self) -> Option<io::Error> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Portable {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It ends within PATIENCE. If it panicked, there is nobody left to tell.
            let _ = thread.join();
        }
    }
}

struct Listener {
    receiver: Box<dyn DataLinkReceiver>,
    mac: MacAddr,
    cookies: Cookies,
    outlet: Outlet,
    stop: Arc<AtomicBool>,
    lost: Arc<Mutex<Option<io::Error>>>,
}

impl Listener {
    fn run(mut self) {
        let mut heard = Vec::new();
        while !self.stop.load(Ordering::Relaxed) {
            match self.receiver.next() {
                Ok(frame) => heard.extend(read(&self.cookies, self.mac, frame)),
                Err(error) if is_passing(&error) => continue,
                Err(error) => {
                    *self.lost.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    return;
                }
            }
            self.outlet.put(&mut heard);
        }
    }
}

/// Nothing came, or somebody else was quicker: listen on.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
    )
}
