//! UDP sockets of conversations.
//!
//! The socket is connected, so the kernel lets in only what the asked endpoint sends, and
//! tells us of the ICMP error that says that nobody is there.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::net::UdpSocket;

use crate::{Permit, dialogue::Pace};

/// Room for the largest datagram.
const LARGEST: usize = 65_536;

/// A socket that speaks with one endpoint.
#[derive(Debug)]
pub struct Datagram {
    socket: UdpSocket,
    host: IpAddr,
    pace: Pace,
}

impl Datagram {
    /// Opens a socket towards the endpoint. Sends nothing yet.
    pub async fn open(to: Permit, port: u16, pace: &Pace) -> io::Result<Self> {
        let host = to.address();
        let any: IpAddr = match host {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
        socket.connect(SocketAddr::new(host, port)).await?;
        Ok(Self { socket, host, pace: pace.clone() })
    }

    /// Sends one datagram, when its turn has come.
    pub async fn send(&self, bytes: &[u8]) -> io::Result<()> {
        self.pace.wait(self.host, 1).await;
        self.socket.send(bytes).await.map(drop)
    }

    /// The next datagram, `most` bytes of it at most, or `None` after `limit`.
    pub async fn receive(&self, most: usize, limit: Duration) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = vec![0; LARGEST];
        match tokio::time::timeout(limit, self.socket.recv(&mut bytes)).await {
            Ok(received) => {
                bytes.truncate(received?.min(most));
                Ok(Some(bytes))
            }
            Err(_) => Ok(None),
        }
    }
}
