//! An interface opened for frames of our own, on pnet's portable channel.
//!
//! Receiving has a thread of its own, which lets through only what is an answer, so
//! that a busy network cannot fill the queue. One thing this channel cannot do: the
//! kernel hands VLAN tags over beside the frame, where pnet does not look, so that a
//! tagged answer looks untagged. What the kernel drops before we read it is counted on a
//! second descriptor of the same socket.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{SyncSender, TrySendError},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use model::MacAddr;
use pnet::datalink::{self, Config, DataLinkReceiver, DataLinkSender, NetworkInterface};

use super::{
    interfaces::Interface,
    raw_cookie::Cookies,
    raw_frames::{Heard, read},
    raw_socket::{Losses, packet_socket},
};
use crate::LinkError;

/// How long the thread waits for a frame before it looks whether it should end.
const PATIENCE: Duration = Duration::from_millis(50);

/// How long the driver may take to have room for a frame.
const ROOM: Duration = Duration::from_millis(10);

/// The longest frame read: a full Ethernet frame with two tags, and jumbo frames.
const FRAME: usize = 16 * 1024;

/// An interface, open.
pub(super) struct Channel {
    pub(super) name: String,
    sender: Box<dyn DataLinkSender>,
    losses: Losses,
    stop: Arc<AtomicBool>,
    /// Why the thread ended, if it did by itself.
    lost: Arc<Mutex<Option<io::Error>>>,
    thread: Option<JoinHandle<()>>,
}

/// Where a channel puts what it hears.
#[derive(Clone)]
pub(super) struct Outlet {
    pub(super) heard: SyncSender<Heard>,
    /// Answers that found the queue full.
    pub(super) overflow: Arc<AtomicU64>,
}

impl Channel {
    /// Opens the interface whose link-layer address is `mac`.
    pub(super) fn open(
        interface: &Interface,
        mac: MacAddr,
        cookies: Cookies,
        outlet: Outlet,
    ) -> Result<Self, LinkError> {
        let name = interface.name.clone();
        let failed = |source: io::Error| match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => LinkError::Unprivileged { interface: name.clone() },
            Some(libc::ENETDOWN | libc::ENODEV | libc::ENXIO) => {
                LinkError::Down { interface: name.clone(), source }
            }
            _ => LinkError::Open { interface: name.clone(), source },
        };
        // pnet uses the number alone; the rest is for its own listings.
        let theirs = NetworkInterface {
            name: name.clone(),
            description: String::new(),
            index: interface.index,
            mac: None,
            ips: Vec::new(),
            flags: 0,
        };
        let (socket, losses) = packet_socket().map_err(failed)?;
        let config = Config {
            socket_fd: Some(socket),
            read_buffer_size: FRAME,
            read_timeout: Some(PATIENCE),
            write_timeout: Some(ROOM),
            // Answers are addressed to us; the traffic of others is not our business here.
            promiscuous: false,
            ..Config::default()
        };
        let opened = datalink::channel(&theirs, config).map_err(failed)?;
        let datalink::Channel::Ethernet(sender, receiver) = opened else {
            return Err(failed(io::ErrorKind::Unsupported.into()));
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
        let thread = thread::Builder::new()
            .name(format!("listen {name}"))
            .spawn(move || listener.run())
            .map_err(failed)?;
        Ok(Self { name, sender, losses, stop, lost, thread: Some(thread) })
    }

    /// Hands a frame to the driver.
    pub(super) fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        self.sender.send_to(frame, None).unwrap_or_else(|| Err(io::ErrorKind::InvalidInput.into()))
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

impl Drop for Channel {
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
        while !self.stop.load(Ordering::Relaxed) {
            let heard = match self.receiver.next() {
                Ok(frame) => read(&self.cookies, self.mac, frame),
                Err(error) if is_passing(&error) => continue,
                Err(error) => {
                    *self.lost.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    return;
                }
            };
            let Some(heard) = heard else { continue };
            match self.outlet.heard.try_send(heard) {
                Ok(()) => {}
                Err(TrySendError::Full(_)) => {
                    self.outlet.overflow.fetch_add(1, Ordering::Relaxed);
                }
                Err(TrySendError::Disconnected(_)) => return,
            }
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
