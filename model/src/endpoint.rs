use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

/// The transport protocol of an endpoint.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Transmission Control Protocol, RFC 9293.
    Tcp,
    /// User Datagram Protocol, RFC 768.
    Udp,
}

impl Transport {
    /// Its name in the command line, in JSON and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Transport {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            _ => Err(format!("{text:?} is not a transport (tcp or udp)")),
        }
    }
}

/// Where a service can be reached: an address, a transport and a port.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Endpoint {
    /// The network address.
    pub address: IpAddr,
    /// The transport protocol.
    pub transport: Transport,
    /// The port number.
    pub port: u16,
}

impl Endpoint {
    /// A TCP endpoint.
    #[inline]
    #[must_use]
    pub const fn tcp(address: IpAddr, port: u16) -> Self {
        Self { address, transport: Transport::Tcp, port }
    }

    /// A UDP endpoint.
    #[inline]
    #[must_use]
    pub const fn udp(address: IpAddr, port: u16) -> Self {
        Self { address, transport: Transport::Udp, port }
    }
}

/// `192.0.2.1:443/tcp`, `[2001:db8::1]:53/udp`.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", SocketAddr::new(self.address, self.port), self.transport)
    }
}
