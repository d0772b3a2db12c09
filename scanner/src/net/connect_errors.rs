//! Which ICMP error a socket met: the error queue of ip(7), IP_RECVERR.
//!
//! The plain error of a connect does not tell enough: a firewall's "port unreachable"
//! and the target's RST are both ECONNREFUSED. The queue holds the ICMP type and code.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

use wire::{Malformed, Reader, icmp::Refusal};

/// Asks the kernel to keep the ICMP errors that this socket meets.
#[expect(unsafe_code, reason = "socket2 does not offer IP_RECVERR")]
pub(super) fn keep_errors(socket: BorrowedFd<'_>, ipv6: bool) -> io::Result<()> {
    let (level, option) = match ipv6 {
        false => (libc::IPPROTO_IP, libc::IP_RECVERR),
        true => (libc::IPPROTO_IPV6, libc::IPV6_RECVERR),
    };
    let on: libc::c_int = 1;
    // SAFETY: the pointer and the length are those of an int that lives until the call
    // returns.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if set < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Takes one ICMP error from the socket's queue, or `None` where it is empty or holds
/// an error of this machine.
#[expect(unsafe_code, reason = "std does not offer recvmsg")]
pub(super) fn take_refusal(socket: BorrowedFd<'_>) -> Option<Refusal> {
    let mut data = [0_u8; 64];
    // Of u64, for the alignment that the kernel wants of control messages.
    let mut control = [0_u64; 64];
    let mut part = libc::iovec { iov_base: data.as_mut_ptr().cast(), iov_len: data.len() };
    // SAFETY: a msghdr is made of numbers and pointers, for which all zeros is a value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control) as _;
    // SAFETY: every pointer in `message` is that of a live buffer of the length beside it.
    let got = unsafe {
        libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT)
    };
    if got < 0 {
        return None;
    }
    let filled: Vec<u8> = control.iter().flat_map(|word| word.to_ne_bytes()).collect();
    // The C libraries do not agree on the type of this length.
    let len = message.msg_controllen as usize;
    read_control(filled.get(..len)?).ok().flatten()
}

/// Finds a `struct sock_extended_err` (linux/errqueue.h) among the control messages of
/// cmsg(3).
fn read_control(bytes: &[u8]) -> Result<Option<Refusal>, Malformed> {
    const WORD: usize = size_of::<usize>();
    const HEADER: usize = WORD + 8;
    const ORIGIN_ICMP: u8 = 2;
    const ORIGIN_ICMPV6: u8 = 3;

    let mut r = Reader::new(bytes);
    while !r.is_at_end() {
        let len = usize::from_ne_bytes(r.array("control length")?);
        let level = i32::from_ne_bytes(r.array("control level")?);
        let kind = i32::from_ne_bytes(r.array("control type")?);
        let Some(len) = len.checked_sub(HEADER) else {
            return Err(r.invalid("control length", 0_u8));
        };
        let mut value = r.nested("control message", len)?;
        r.take_up_to(len.wrapping_neg() % WORD);
        if !matches!(
            (level, kind),
            (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
        ) {
            continue;
        }
        value.take("errno", 4)?;
        let origin = value.u8("origin")?;
        let (kind, code) = (value.u8("type")?, value.u8("code")?);
        return Ok(match origin {
            ORIGIN_ICMP => Refusal::of_icmp(kind, code),
            ORIGIN_ICMPV6 => Refusal::of_icmpv6(kind, code),
            _ => None,
        });
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(level: i32, kind: i32, value: &[u8]) -> Vec<u8> {
        let mut bytes = (size_of::<usize>() + 8 + value.len()).to_ne_bytes().to_vec();
        bytes.extend_from_slice(&level.to_ne_bytes());
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(value);
        bytes.resize(bytes.len().next_multiple_of(size_of::<usize>()), 0);
        bytes
    }

    #[track_caller]
    fn check(level: i32, origin: u8, kind: u8, code: u8, expected: Option<Refusal>) {
        let other = control(libc::SOL_SOCKET, 29, &[0; 5]);
        let option = if level == libc::IPPROTO_IP { libc::IP_RECVERR } else { libc::IPV6_RECVERR };
        let value = [111, 0, 0, 0, origin, kind, code, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let bytes = [other, control(level, option, &value)].concat();
        assert_eq!(read_control(&bytes), Ok(expected));
        for len in 0..bytes.len() {
            // A cut one says nothing, and says so.
            assert!(!matches!(read_control(&bytes[..len]), Ok(Some(_))), "cut at {len}");
        }
    }

    #[test]
    fn the_icmp_error_is_found_among_other_messages() {
        check(libc::IPPROTO_IP, 2, 3, 13, Some(Refusal::Filter));
        check(libc::IPPROTO_IP, 2, 3, 3, Some(Refusal::Port));
        check(libc::IPPROTO_IPV6, 3, 1, 1, Some(Refusal::Filter));
        check(libc::IPPROTO_IPV6, 3, 1, 3, Some(Refusal::NoWay));
        // Of this machine, such as "message too long".
        check(libc::IPPROTO_IP, 1, 0, 0, None);
    }
}
