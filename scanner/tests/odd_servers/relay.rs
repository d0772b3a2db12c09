//! A way between a client and a server of datagrams on which some get lost, broken, doubled or
//! overtaken.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Which way a datagram goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Way {
    ToServer,
    ToClient,
}

/// What becomes of a datagram: those that are sent on in its place. `usize` is its number on its
/// way, of this client's and from 0 on.
pub(crate) type Fate = fn(Way, usize, Vec<u8>) -> Vec<Vec<u8>>;

/// A relay, ended when it goes out of scope.
pub(crate) struct Relay {
    pub(crate) port: u16,
    over: Arc<AtomicBool>,
}

/// One client's way to the server.
struct Client {
    socket: UdpSocket,
    sent: [usize; 2],
}

impl Relay {
    pub(crate) fn start(server: SocketAddr, fate: Fate) -> Self {
        let front = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        front.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
        let port = front.local_addr().unwrap().port();
        let over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&over);
        std::thread::spawn(move || {
            let mut clients: HashMap<SocketAddr, Client> = HashMap::new();
            while !ended.load(Ordering::Relaxed) {
                pass(&front, server, &mut clients, fate);
            }
        });
        Self { port, over }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

fn pass(
    front: &UdpSocket,
    server: SocketAddr,
    clients: &mut HashMap<SocketAddr, Client>,
    fate: Fate,
) {
    let mut bytes = [0; 2_000];
    if let Ok((length, from)) = front.recv_from(&mut bytes) {
        let client = clients.entry(from).or_insert_with(|| {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            socket.connect(server).unwrap();
            socket.set_nonblocking(true).unwrap();
            Client { socket, sent: [0; 2] }
        });
        for datagram in fate(Way::ToServer, client.sent[0], bytes[..length].to_vec()) {
            // A server that has gone is no matter.
            let _ = client.socket.send(&datagram);
        }
        client.sent[0] += 1;
    }
    for (address, client) in clients {
        while let Ok(length) = client.socket.recv(&mut bytes) {
            for datagram in fate(Way::ToClient, client.sent[1], bytes[..length].to_vec()) {
                let _ = front.send_to(&datagram, address);
            }
            client.sent[1] += 1;
        }
    }
}
