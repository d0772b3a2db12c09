//! What keeps a program known to the kernel's dispatcher of XDP programs.
//!
//! The kernel calls XDP programs through code that it rewrites whenever a program comes or
//! goes, and then waits until no processor can be in the old code. A call of `bpf(2)` that
//! runs a program more than once lets it come and go again: 28 ms on a busy machine, when the
//! frames of the call took two (kernel/bpf/dispatcher.c). But a program that is attached to an
//! interface is there already. So we make one, a tap that is down and to which nobody writes,
//! and attach the program to that: there it never runs.

use std::{
    fs::{File, OpenOptions},
    io,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
};

use super::{super::interfaces::interface, kernel};

const DEVICE: &str = "/dev/net/tun";

/// From linux/if.h and linux/if_tun.h: which interface, and its kind.
#[repr(C)]
struct Request {
    name: [u8; 16],
    flags: libc::c_short,
    rest: [u8; 22],
}

/// An interface that is there as long as this.
#[derive(Debug)]
pub(super) struct Anchor {
    _file: File,
    interface: u32,
}

impl Anchor {
    /// Makes it.
    ///
    /// # Errors
    ///
    /// There are no taps here, or none for us.
    pub(super) fn new() -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(DEVICE)?;
        let name = make_tap(&file)?;
        let interface = interface(&name).map_err(io::Error::other)?.index;
        Ok(Self { _file: file, interface })
    }

    /// Makes the program known until what is returned is dropped.
    pub(super) fn hold(&self, program: BorrowedFd<'_>) -> io::Result<OwnedFd> {
        kernel::attach(program, self.interface)
    }
}

/// Its name.
#[expect(unsafe_code, reason = "std does not offer ioctl")]
fn make_tap(file: &File) -> io::Result<String> {
    let mut request = Request { name: [0; 16], flags: 0, rest: [0; 22] };
    request.flags = (libc::IFF_TAP | libc::IFF_NO_PI) as libc::c_short;
    request.name.iter_mut().zip(b"daicho%d").for_each(|(to, from)| *to = *from);
    // SAFETY: the pointer is that of a `struct ifreq` that lives until the call returns.
    let made = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
    if made < 0 {
        return Err(io::Error::last_os_error());
    }
    let name = request.name.split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(String::from_utf8_lossy(name).into_owned())
}
