//! Raw sockets that somebody else opens: a process which has CAP_NET_RAW, hands sockets over, and
//! looks at nothing.
//!
//! Whoever reads what strangers send is so without any capability, from before the first frame on,
//! and an interface that comes back can be opened again all the same. A packet socket needs the
//! capability when it is made and never after: filter, ring, binding and sending are anybody's.
//! What is asked is one byte without a meaning; the answer is an error number of the system, and
//! the socket where that is 0. It hears nothing until it is bound.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::{net::UnixStream, process::CommandExt as _},
    },
    process::{Command, Stdio},
    sync::{Mutex, OnceLock, PoisonError},
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use socket2::{Domain, Socket, Type};

use super::confine::{ConfineError, confine_to_sockets};

/// From whom this process has its packet sockets, if not from the system.
static LENDER: OnceLock<Mutex<UnixStream>> = OnceLock::new();

/// The command by which the program is begun as a lender.
pub const COMMAND: &str = "lend-sockets";

/// Begins a lender: from now on packet sockets of this process are opened by it. It ends with this
/// process. Call it before capabilities are given up.
///
/// # Errors
///
/// Where it cannot be begun: then sockets are opened here, as before.
pub fn begin() -> io::Result<()> {
    let (ours, theirs) = UnixStream::pair()?;
    Command::new("/proc/self/exe")
        .arg0("daicho")
        .arg(COMMAND)
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        // What a terminal sends is for those who ask.
        .process_group(0)
        .spawn()?;
    // Only the first one is asked; there is no second.
    let _ = LENDER.set(Mutex::new(ours));
    Ok(())
}

/// Lends sockets over standard input until nobody can ask any more.
///
/// # Errors
///
/// Where it cannot give up what it does not need, or the other side cannot be answered.
pub fn lend() -> Result<(), LendError> {
    confine_to_sockets()?;
    answer(io::stdin().as_fd())?;
    Ok(())
}

/// Why no sockets are lent.
#[derive(Debug, thiserror::Error)]
pub enum LendError {
    /// It still had what it does not need.
    #[error(transparent)]
    Confine(#[from] ConfineError),
    /// Who asks cannot be answered.
    #[error("cannot answer who asks for sockets")]
    Answer(#[from] io::Error),
}

/// Opens a packet socket that hears nothing until it is bound, or has it opened.
pub(super) fn packet_socket() -> io::Result<Socket> {
    match LENDER.get() {
        Some(lender) => borrow(&lender.lock().unwrap_or_else(PoisonError::into_inner)),
        None => open(),
    }
}

/// Whether sockets come from somebody else.
pub(super) fn is_lent() -> bool {
    LENDER.get().is_some()
}

fn open() -> io::Result<Socket> {
    Socket::new(Domain::PACKET, Type::RAW, None)
}

fn answer(asked: BorrowedFd<'_>) -> io::Result<()> {
    let mut byte = [0];
    loop {
        match rustix::io::read(asked, &mut byte) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let opened = open();
        let error = opened.as_ref().err().map_or(0, |error| error.raw_os_error().unwrap_or(-1));
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut rights = SendAncillaryBuffer::new(&mut space);
        let sockets: Vec<BorrowedFd<'_>> = opened.iter().map(AsFd::as_fd).collect();
        if !sockets.is_empty() {
            rights.push(SendAncillaryMessage::ScmRights(&sockets));
        }
        let bytes = error.to_ne_bytes();
        sendmsg(asked, &[IoSlice::new(&bytes)], &mut rights, SendFlags::NOSIGNAL)?;
    }
}

fn borrow(lender: &UnixStream) -> io::Result<Socket> {
    rustix::io::write(lender, &[0])?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut rights = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = [0; 4];
    let got = loop {
        let mut into = [IoSliceMut::new(&mut bytes)];
        match recvmsg(lender, &mut into, &mut rights, RecvFlags::CMSG_CLOEXEC) {
            Ok(got) => break got.bytes,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    };
    let socket = rights.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut sockets) => sockets.next(),
        _ => None,
    });
    match (got, i32::from_ne_bytes(bytes), socket) {
        (4, 0, Some(socket)) => Ok(Socket::from(socket)),
        (4, error @ 1.., _) => Err(io::Error::from_raw_os_error(error)),
        // It is gone: whoever reads this cannot go on, and is begun anew by whoever began it.
        _ => Err(io::ErrorKind::BrokenPipe.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_socket_crosses_to_whoever_asks_and_so_does_a_refusal() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let lender = thread::spawn(move || answer(theirs.as_fd()));
        for _ in 0..20 {
            assert_eq!(borrow(&ours).unwrap().r#type().unwrap(), Type::RAW);
        }
        drop(ours);
        lender.join().unwrap().unwrap();

        let (ours, theirs) = UnixStream::pair().unwrap();
        let lender = thread::spawn(move || {
            caps::clear(None, caps::CapSet::Effective).unwrap();
            answer(theirs.as_fd())
        });
        let refused = borrow(&ours).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        drop(ours);
        lender.join().unwrap().unwrap();
    }

    #[test]
    fn a_lender_that_is_gone_is_told() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        assert_eq!(borrow(&ours).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
