//! Questions to the kernel over rtnetlink: links, addresses, routes, neighbours.
//!
//! A socket of our own rather than /sys or /proc: both belong to the mount namespace, so
//! a process that entered another network namespace reads the wrong network there.
//! Messages are read with the same care as packets (rtnetlink(7), netlink(7)); all
//! numbers are in the order of this machine.

use std::{
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

use wire::{Malformed, Reader};

/// Kinds of message, from linux/rtnetlink.h.
pub(super) const NEW_LINK: u16 = 16;
pub(super) const GET_LINK: u16 = 18;
pub(super) const NEW_ADDRESS: u16 = 20;
pub(super) const GET_ADDRESS: u16 = 22;
pub(super) const NEW_ROUTE: u16 = 24;
pub(super) const GET_ROUTE: u16 = 26;
pub(super) const NEW_NEIGHBOR: u16 = 28;
pub(super) const GET_NEIGHBOR: u16 = 30;
pub(super) const NEW_RULE: u16 = 32;
pub(super) const GET_RULE: u16 = 34;
pub(super) const NEW_LABEL: u16 = 72;
pub(super) const GET_LABEL: u16 = 74;

const ERROR: u16 = 2;
const DONE: u16 = 3;
const OVERRUN: u16 = 4;

const REQUEST: u16 = 1;
const DUMP: u16 = 0x300;
/// The list changed while it was read, so that entries may be missing or there twice.
const INTERRUPTED: u16 = 0x10;

const HEADER: usize = 16;

/// How often a list is read again because it changed while it was read.
const ATTEMPTS: usize = 5;

/// How long the kernel may take to answer. It answers from memory; the limit is there so
/// that no bug of anybody's makes us wait for ever.
const PATIENCE_SECONDS: libc::time_t = 2;

/// A connection to rtnetlink.
pub(super) struct Netlink {
    socket: OwnedFd,
}

impl Netlink {
    /// Opens one, for the network namespace of the calling thread.
    pub(super) fn open() -> io::Result<Self> {
        Self::to(libc::NETLINK_ROUTE)
    }

    /// Opens one to generic netlink instead, whose kinds of message are numbers of families.
    pub(super) fn generic() -> io::Result<Self> {
        Self::to(libc::NETLINK_GENERIC)
    }

    #[expect(unsafe_code, reason = "neither std nor socket2 knows the address family")]
    fn to(protocol: libc::c_int) -> io::Result<Self> {
        // SAFETY: socket(2) takes no pointers.
        let fd = unsafe {
            libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, protocol)
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was made just now, and nobody else knows it.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        let patience = libc::timeval { tv_sec: PATIENCE_SECONDS, tv_usec: 0 };
        // SAFETY: the pointer and the length are those of a timeval that lives until the
        // call returns.
        let set = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_RCVTIMEO,
                (&raw const patience).cast(),
                size_of::<libc::timeval>() as libc::socklen_t,
            )
        };
        if set < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { socket })
    }

    /// Asks for one thing. `body` follows the netlink header.
    pub(super) fn ask(&self, kind: u16, body: &[u8]) -> io::Result<Vec<u8>> {
        self.send(kind, REQUEST, body)?;
        let mut buffer = vec![0; 32 * 1024];
        let len = self.receive(&mut buffer)?;
        let bytes = buffer.get(..len).unwrap_or_default();
        for message in messages(bytes) {
            let message = message.map_err(garbled)?;
            match message.kind {
                ERROR => failure(message.body)?,
                _ => return Ok(message.body.to_vec()),
            }
        }
        Err(io::ErrorKind::UnexpectedEof.into())
    }

    /// Asks for a list and hands each entry of the kind `wanted` to `each`. An entry that
    /// `each` refuses is left out: it is of a kernel that knows more than we do.
    pub(super) fn list<T>(
        &self,
        kind: u16,
        wanted: u16,
        body: &[u8],
        each: impl Fn(&[u8]) -> Result<T, Malformed>,
    ) -> io::Result<Vec<T>> {
        for _ in 0..ATTEMPTS {
            if let Some(entries) = self.list_once(kind, wanted, body, &each)? {
                return Ok(entries);
            }
        }
        Err(io::ErrorKind::ResourceBusy.into())
    }

    /// `None` where the list changed under our hands.
    fn list_once<T>(
        &self,
        kind: u16,
        wanted: u16,
        body: &[u8],
        each: impl Fn(&[u8]) -> Result<T, Malformed>,
    ) -> io::Result<Option<Vec<T>>> {
        self.send(kind, REQUEST | DUMP, body)?;
        let mut entries = Vec::new();
        let mut interrupted = false;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let len = self.receive(&mut buffer)?;
            for message in messages(buffer.get(..len).unwrap_or_default()) {
                let message = message.map_err(garbled)?;
                interrupted |= message.flags & INTERRUPTED != 0;
                match message.kind {
                    DONE if !message.body.is_empty() => {
                        // A list that ends in an error says so here.
                        failure(message.body)?;
                        return Ok((!interrupted).then_some(entries));
                    }
                    DONE => return Ok((!interrupted).then_some(entries)),
                    ERROR => failure(message.body)?,
                    OVERRUN => interrupted = true,
                    kind if kind == wanted => entries.extend(each(message.body)),
                    _ => {}
                }
            }
        }
    }

    #[expect(unsafe_code, reason = "the socket is a plain descriptor")]
    fn send(&self, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(HEADER + body.len());
        let len = u32::try_from(HEADER + body.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        bytes.extend_from_slice(&len.to_ne_bytes());
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(body);
        // SAFETY: the pointer and the length are those of `bytes`.
        let sent =
            unsafe { libc::send(self.socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    #[expect(unsafe_code, reason = "the socket is a plain descriptor")]
    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            // SAFETY: the pointer and the length are those of `buffer`.
            let got = unsafe {
                libc::recv(self.socket.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0)
            };
            match usize::try_from(got) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(len) => return Ok(len),
                Err(_) => {
                    let error = io::Error::last_os_error();
                    if error.kind() != io::ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
            }
        }
    }
}

fn garbled(error: Malformed) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// The error that a message of kind [`ERROR`] reports; zero is an acknowledgement.
fn failure(body: &[u8]) -> io::Result<()> {
    let code = i32::from_ne_bytes(Reader::new(body).array("error").map_err(garbled)?);
    if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code.saturating_neg())) }
}

/// A message.
#[derive(Debug, Eq, PartialEq)]
struct Message<'a> {
    kind: u16,
    flags: u16,
    body: &'a [u8],
}

/// The messages of a datagram.
fn messages(bytes: &[u8]) -> impl Iterator<Item = Result<Message<'_>, Malformed>> {
    let mut r = Reader::new(bytes);
    std::iter::from_fn(move || {
        if r.is_at_end() {
            return None;
        }
        let message = message(&mut r);
        if message.is_err() {
            // There is no finding the next one.
            r = Reader::new(&[]);
        }
        Some(message)
    })
}

fn message<'a>(r: &mut Reader<'a>) -> Result<Message<'a>, Malformed> {
    let len = u32::from_ne_bytes(r.array("message length")?);
    let Some(len) = usize::try_from(len).ok().and_then(|len| len.checked_sub(HEADER)) else {
        return Err(r.invalid("message length", len));
    };
    let kind = u16::from_ne_bytes(r.array("message type")?);
    let flags = u16::from_ne_bytes(r.array("message flags")?);
    r.take("sequence number and port", 8)?;
    let body = r.take("message", len)?;
    r.take_up_to(padding(len));
    Ok(Message { kind, flags, body })
}

/// The attributes that follow a message's fixed part: (type, value). The flags in the
/// upper two bits of the type (nested, byte order) are taken off. Ends at the first that
/// does not fit.
pub(super) fn attributes<'a>(mut r: Reader<'a>) -> impl Iterator<Item = (u16, &'a [u8])> {
    std::iter::from_fn(move || {
        let len = u16::from_ne_bytes(r.array("attribute length").ok()?);
        let kind = u16::from_ne_bytes(r.array("attribute type").ok()?) & 0x3fff;
        let len = usize::from(len).checked_sub(4)?;
        let value = r.take("attribute", len).ok()?;
        r.take_up_to(padding(len));
        Some((kind, value))
    })
}

/// Appends an attribute.
pub(super) fn put_attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let len = u16::try_from(value.len().saturating_add(4)).unwrap_or(u16::MAX);
    body.extend_from_slice(&len.to_ne_bytes());
    body.extend_from_slice(&kind.to_ne_bytes());
    body.extend_from_slice(value);
    body.resize(body.len() + padding(value.len()), 0);
}

/// How many bytes fill up to a multiple of four.
const fn padding(len: usize) -> usize {
    len.wrapping_neg() % 4
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_messages() -> Vec<u8> {
        let mut bytes = Vec::new();
        for (kind, body) in [(NEW_LINK, &b"abcde"[..]), (DONE, &[])] {
            bytes.extend_from_slice(&((HEADER + body.len()) as u32).to_ne_bytes());
            bytes.extend_from_slice(&kind.to_ne_bytes());
            bytes.extend_from_slice(&[0; 10]);
            bytes.extend_from_slice(body);
            bytes.resize(bytes.len() + padding(body.len()), 0);
        }
        bytes
    }

    #[test]
    fn messages_are_told_apart() {
        let bytes = two_messages();
        let got: Vec<_> = messages(&bytes).map(Result::unwrap).collect();
        assert_eq!(
            got,
            [
                Message { kind: NEW_LINK, flags: 0, body: b"abcde" },
                Message { kind: DONE, flags: 0, body: b"" },
            ]
        );
    }

    #[test]
    fn every_cut_ends_in_an_error_or_between_messages() {
        let bytes = two_messages();
        for len in 0..bytes.len() {
            let good = messages(&bytes[..len]).filter(Result::is_ok).count();
            let bad = messages(&bytes[..len]).filter(Result::is_err).count();
            assert_eq!(good, usize::from(len >= 21), "cut at {len}");
            assert_eq!(bad, usize::from(!matches!(len, 0 | 21..=24)), "cut at {len}");
        }
    }

    #[test]
    fn a_length_smaller_than_the_header_is_refused() {
        let mut bytes = two_messages();
        bytes[..4].copy_from_slice(&7u32.to_ne_bytes());
        let all: Vec<_> = messages(&bytes).collect();
        assert_eq!(all.len(), 1);
        assert!(all[0].is_err());
    }

    #[test]
    fn attributes_end_where_they_do_not_fit() {
        let mut body = Vec::new();
        put_attribute(&mut body, 1, b"abc");
        put_attribute(&mut body, 2, b"defg");
        let whole: Vec<_> = attributes(Reader::new(&body)).collect();
        assert_eq!(whole, [(1, &b"abc"[..]), (2, &b"defg"[..])]);
        for len in 0..body.len() {
            let cut: Vec<_> = attributes(Reader::new(&body[..len])).collect();
            assert_eq!(cut.len(), usize::from(len >= 7), "cut at {len}");
        }
        assert_eq!(attributes(Reader::new(&[0; 8])).count(), 0);
    }

    #[test]
    fn errors_carry_the_systems_number() {
        assert!(failure(&0i32.to_ne_bytes()).is_ok());
        let error = failure(&(-libc::ENETUNREACH).to_ne_bytes()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENETUNREACH));
        assert!(failure(&[1]).is_err());
    }
}
