//! Words to the service manager, as sd_notify(3) defines them: a datagram to the socket that the
//! environment names. That is no network, and where nobody listens nothing is said.

use std::{
    env, io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
    time::Duration,
};

use scanner::net::clock::monotonic_micros;

/// What the manager is to know.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Word {
    Ready,
    Reloading,
    Stopping,
    StillHere,
}

/// Says it. That it could not be said is nobody's concern but the manager's.
pub(super) fn notify(word: Word) {
    let Some(socket) = env::var_os("NOTIFY_SOCKET") else { return };
    let text = match word {
        Word::Ready => "READY=1".to_owned(),
        // The time tells which of several reloads this is.
        Word::Reloading => format!("RELOADING=1\nMONOTONIC_USEC={}", monotonic_micros()),
        Word::Stopping => "STOPPING=1".to_owned(),
        Word::StillHere => "WATCHDOG=1".to_owned(),
    };
    let _ = send(socket.as_bytes(), text.as_bytes());
}

fn send(socket: &[u8], text: &[u8]) -> io::Result<()> {
    let address = match socket.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(socket))?,
    };
    let socket = UnixDatagram::unbound()?;
    // A manager that does not listen keeps no job waiting.
    socket.set_nonblocking(true)?;
    socket.send_to_addr(text, &address).map(drop)
}

/// How often the manager wants to hear that we are still here: twice as often as it would give
/// us up.
pub(super) fn watchdog() -> Option<Duration> {
    let micros: u64 = env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    let ours = env::var("WATCHDOG_PID").map_or(true, |pid| pid == std::process::id().to_string());
    (ours && micros > 0).then(|| Duration::from_micros(micros / 2))
}
