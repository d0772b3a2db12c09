//! Everybody on a link asked by frames of our own (CAP_NET_RAW).
//!
//! One packet socket sends and hears; the kernel's filter lets in only what may be a reply.
//! There is little to send and not much to hear, so no ring: what does not fit into the
//! socket's buffer is counted, and asked again in the next round.

use std::{
    io::{self, ErrorKind, Read as _, Write as _},
    net::Ipv6Addr,
    time::Duration,
};

use model::Timestamp;
use socket2::Socket;

use super::{
    super::{
        clock::Clock,
        interfaces::Interface,
        linux::filter,
        raw_socket::{Losses, attach, bind, ignore_outgoing, packet_socket, set},
    },
    frames::Asker,
};
use crate::{
    LinkError, SearchPermit,
    search::{GroupLink, GroupQuestion, GroupReply},
};

/// Room for what many answer at once. The kernel gives what net.core.rmem_max allows.
const ANSWERS: usize = 4 * 1024 * 1024;

/// The longest frame read: a reply quotes or lists little.
const FRAME: usize = 2_048;

/// A link, open for questions to everybody.
pub(super) struct RawGroup {
    socket: Socket,
    losses: Losses,
    clock: Clock,
    asker: Asker,
    name: String,
    buffer: Vec<u8>,
}

impl RawGroup {
    /// Opens the interface, to ask from these addresses.
    pub(super) fn open(
        interface: &Interface,
        sources: Vec<Ipv6Addr>,
        key: [u8; 16],
    ) -> Result<Self, LinkError> {
        let failed = |source: io::Error| {
            let interface = interface.name.clone();
            match source.raw_os_error() {
                Some(libc::EPERM | libc::EACCES) => LinkError::Unprivileged { interface },
                Some(libc::ENETDOWN | libc::ENODEV | libc::ENXIO) => {
                    LinkError::Down { interface, source }
                }
                _ => LinkError::Open { interface, source },
            }
        };
        let mac = interface.mac.ok_or_else(|| failed(ErrorKind::Unsupported.into()))?;
        let socket = open_socket(interface.index).map_err(failed)?;
        let losses = Losses::of(socket.try_clone().map_err(failed)?);
        Ok(Self {
            socket,
            losses,
            clock: Clock::start(),
            asker: Asker::new(mac, sources, key),
            name: interface.name.clone(),
            buffer: vec![0; FRAME],
        })
    }

    fn error(&self, source: io::Error, when: fn(io::Error) -> LinkError) -> LinkError {
        match source.raw_os_error() {
            Some(libc::ENETDOWN | libc::ENODEV | libc::ENXIO) => {
                LinkError::Down { interface: self.name.clone(), source }
            }
            Some(libc::ENOBUFS | libc::EAGAIN) => LinkError::Busy { source },
            _ => when(source),
        }
    }
}

fn open_socket(interface: u32) -> io::Result<Socket> {
    let socket = packet_socket()?;
    socket.set_recv_buffer_size(ANSWERS)?;
    attach(&socket, &filter::for_search())?;
    ignore_outgoing(&socket);
    bind(&socket, interface, wire::ethernet::IPV6)?;
    hear_all_groups(&socket, interface)?;
    Ok(socket)
}

/// Has the network card let in frames for groups that this machine is not in: listeners report
/// to the group of routers, or to the very group they listen to (RFC 2710, section 4). Ends
/// with the socket.
fn hear_all_groups(socket: &Socket, interface: u32) -> io::Result<()> {
    let request = libc::packet_mreq {
        mr_ifindex: libc::c_int::try_from(interface).map_err(|_| ErrorKind::InvalidInput)?,
        mr_type: libc::PACKET_MR_ALLMULTI as libc::c_ushort,
        mr_alen: 0,
        mr_address: [0; 8],
    };
    set(socket, libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &request)
}

impl GroupLink for RawGroup {
    fn questions(&self) -> Vec<GroupQuestion> {
        self.asker.questions()
    }

    fn send(&mut self, _leave: SearchPermit, question: GroupQuestion) -> Result<(), LinkError> {
        let Some(frame) = self.asker.frame(question) else { return Ok(()) };
        let sent = (&self.socket).write(&frame);
        let to_group = |source| LinkError::Send { address: wire::mld::ALL_NODES.into(), source };
        sent.map(|_| ()).map_err(|error| self.error(error, to_group))
    }

    fn receive(&mut self, until: Duration) -> Result<Option<GroupReply>, LinkError> {
        loop {
            let left = until.saturating_sub(self.clock.now());
            if left.is_zero() {
                return Ok(None);
            }
            let waited = self.socket.set_read_timeout(Some(left.max(Duration::from_millis(1))));
            let read = waited.and_then(|()| (&self.socket).read(&mut self.buffer));
            match read {
                Ok(len) => {
                    let reply = self.asker.read(self.buffer.get(..len).unwrap_or_default());
                    if reply.is_some() {
                        return Ok(reply);
                    }
                }
                Err(error) if is_passing(&error) => {}
                Err(error) => {
                    return Err(self.error(error, |source| LinkError::Receive { source }));
                }
            }
        }
    }

    fn drops(&mut self) -> u64 {
        self.losses.total()
    }

    fn now(&self) -> Duration {
        self.clock.now()
    }

    fn timestamp(&self) -> Timestamp {
        self.clock.timestamp()
    }
}

/// Nothing came in time, or a signal did.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
