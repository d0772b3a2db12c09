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
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::{
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
    },
    thread::{no_new_privs, set_no_new_privs},
};
use socket2::{Domain, Socket, Type};

use super::confine::{ConfineError, confine_to_sockets};

/// From whom this process has its packet sockets, if not from the system.
static LENDER: Mutex<Option<Lender>> = Mutex::new(None);

/// The command by which the program is begun as a lender.
pub const COMMAND: &str = "lend-sockets";

#[derive(Debug)]
struct Lender {
    asked: UnixStream,
    process: Child,
}

impl Drop for Lender {
    fn drop(&mut self) {
        // It has nothing to put in order. Nobody else waits for it where this is the first process
        // of a container.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Begins a lender: from now on packet sockets of this process are opened by it, until [`end`], or
/// the end of this process. Call it before capabilities are given up, while there is one thread.
///
/// A lender answers only somebody who could not have got more than he had by beginning it
/// (`no_new_privs`): else the file's own capability (`setcap`) would be anybody's. Whoever has the
/// capability still hands it down so.
///
/// # Errors
///
/// Where it cannot be begun, or opens no socket: then sockets are opened here, as before.
pub fn begin() -> io::Result<()> {
    set_no_new_privs(true)?;
    let (asked, theirs) = UnixStream::pair()?;
    let process = Command::new("/proc/self/exe")
        .arg0("daicho")
        .arg(COMMAND)
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        // What a terminal sends is for those who ask.
        .process_group(0)
        .spawn()?;
    let lender = Lender { asked, process };
    // One that is gone at its start is found now, while there is another way.
    borrow(&lender.asked)?;
    *known() = Some(lender);
    Ok(())
}

/// Ends the lender, if there is one, and waits for it.
pub fn end() {
    drop(known().take());
}

fn known() -> MutexGuard<'static, Option<Lender>> {
    LENDER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lends sockets over standard input until nobody can ask any more.
///
/// # Errors
///
/// Where whoever began it may have got more by that, where it cannot give up what it does not
/// need, or the other side cannot be answered.
pub fn lend() -> Result<(), LendError> {
    if !no_new_privs().unwrap_or(false) {
        return Err(LendError::Stranger);
    }
    confine_to_sockets()?;
    answer(io::stdin().as_fd())?;
    Ok(())
}

/// Why no sockets are lent.
#[derive(Debug, thiserror::Error)]
pub enum LendError {
    /// Whoever began it was not bound to get no more by that.
    #[error("sockets are lent only to this program itself")]
    Stranger,
    /// It still had what it does not need.
    #[error(transparent)]
    Confine(#[from] ConfineError),
    /// Who asks cannot be answered.
    #[error("cannot answer who asks for sockets")]
    Answer(#[from] io::Error),
}

/// Opens a packet socket that hears nothing until it is bound, or has it opened.
pub(super) fn packet_socket() -> io::Result<Socket> {
    match &*known() {
        Some(lender) => borrow(&lender.asked),
        None => open(),
    }
}

/// Whether sockets come from somebody else.
pub(super) fn is_lent() -> bool {
    known().is_some()
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
    let gone = |error: rustix::io::Errno| match error {
        // One that ended before it read what was asked.
        rustix::io::Errno::CONNRESET => io::ErrorKind::BrokenPipe.into(),
        error => io::Error::from(error),
    };
    rustix::io::write(lender, &[0]).map_err(gone)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut rights = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = [0; 4];
    let got = loop {
        let mut into = [IoSliceMut::new(&mut bytes)];
        match recvmsg(lender, &mut into, &mut rights, RecvFlags::CMSG_CLOEXEC) {
            Ok(got) => break got.bytes,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(gone(error)),
        }
    };
    let socket = rights.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut sockets) => sockets.next(),
        _ => None,
    });
    match (got, i32::from_ne_bytes(bytes), socket) {
        // It is gone: whoever reads this cannot go on, and is begun anew by whoever began it.
        (0, ..) => Err(io::ErrorKind::BrokenPipe.into()),
        (4, 0, Some(socket)) => Ok(Socket::from(socket)),
        // The system lets a descriptor that there is no room for fall.
        (4, 0, None) => Err(rustix::io::Errno::MFILE.into()),
        (4, error @ 1.., _) => Err(io::Error::from_raw_os_error(error)),
        _ => Err(io::Error::other("whoever opens raw sockets could not open one")),
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

    #[test]
    fn an_answer_without_a_socket_does_not_mean_that_the_lender_is_gone() {
        for (error, expected) in
            [(0, Some(libc::EMFILE)), (-1, None), (libc::EACCES, Some(libc::EACCES))]
        {
            let (ours, theirs) = UnixStream::pair().unwrap();
            rustix::io::write(&theirs, &i32::to_ne_bytes(error)).unwrap();
            let told = borrow(&ours).unwrap_err();
            assert_eq!(told.raw_os_error(), expected, "{told}");
            assert_ne!(told.kind(), io::ErrorKind::BrokenPipe);
        }
    }
}
