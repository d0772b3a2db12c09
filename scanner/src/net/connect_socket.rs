//! Small questions about single sockets, their tie to an interface, and our own addresses.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
};

use model::MacAddr;
use socket2::Socket;

use super::{
    interfaces::{Interface, interfaces},
    routes::{Hop, Route},
};
use crate::LinkError;

/// Whether an error of connect(2) is the far end's answer rather than our system's.
pub(super) fn is_answer(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ECONNREFUSED | libc::ECONNRESET))
}

/// Whether both ends of a socket are the same.
pub(super) fn is_itself(socket: &Socket) -> bool {
    let ends = socket.local_addr().and_then(|local| Ok((local, socket.peer_addr()?)));
    ends.is_ok_and(|(local, peer)| local.as_socket() == peer.as_socket())
}

/// Whether the datagram that waits in an unconnected socket comes from another address.
pub(super) fn is_from_another(socket: &Socket, address: IpAddr) -> bool {
    let from = socket.peek_sender().ok().and_then(|from| from.as_socket());
    from.is_some_and(|from| from.ip() != address)
}

/// Ties a socket to the interface that the user chose. Since Linux 5.7 that needs no
/// privilege; before, the source address has to do, which chooses the interface only
/// where each network has its own.
pub(super) fn bind(socket: &Socket, only: Option<&Interface>, route: Route) -> io::Result<()> {
    let Some(only) = only.filter(|_| route.hop != Hop::Local) else { return Ok(()) };
    match socket.bind_device(Some(only.name.as_bytes())) {
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => match route.source {
            Some(source) => socket.bind(&SocketAddr::new(source, 0).into()),
            None => Err(error),
        },
        done => done,
    }
}

/// The name of an interface that just failed, or its number where it is gone.
pub(super) fn name_of(index: u32) -> String {
    let all = interfaces().unwrap_or_default();
    let found = all.into_iter().find(|interface| interface.index == index);
    found.map_or_else(|| format!("number {index}"), |interface| interface.name)
}

/// The machine's own addresses on links that have link-layer addresses.
pub(super) fn own_addresses() -> Result<HashMap<IpAddr, MacAddr>, LinkError> {
    let all = interfaces()?.into_iter().filter_map(|one| Some((one.mac?, one.addresses)));
    let each = all.flat_map(|(mac, own)| own.into_iter().map(move |(address, _)| (address, mac)));
    Ok(each.collect())
}
