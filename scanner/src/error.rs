use std::io;

use thiserror::Error;

/// Talking to the network failed on our side.
///
/// Each variant says what we were doing. None repeats its source: whoever prints the
/// error walks the chain.
#[derive(Debug, Error)]
pub enum LinkError {
    /// There is no interface of that name.
    #[error("there is no interface {interface} here")]
    NoSuchInterface {
        /// The name that was asked for.
        interface: String,
    },
    /// The interface could not be opened.
    #[error("cannot open interface {interface}")]
    Open {
        /// Its name.
        interface: String,
        /// What the system said.
        source: io::Error,
    },
    /// The process lacks the capability for raw sockets.
    #[error("raw packets on {interface} need the capability CAP_NET_RAW")]
    Unprivileged {
        /// The interface's name.
        interface: String,
    },
    /// The interface went away, or went down, while we were using it.
    #[error("interface {interface} is gone or down")]
    Down {
        /// Its name.
        interface: String,
        /// What the system said.
        source: io::Error,
    },
    /// The system has no way to this address.
    #[error("no route to {address}")]
    NoRoute {
        /// The address.
        address: std::net::IpAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The system could not take the packet now; it may a moment later.
    #[error("the system cannot take more packets now")]
    Busy {
        /// What the system said.
        source: io::Error,
    },
    /// A packet could not be sent.
    #[error("cannot send to {address}")]
    Send {
        /// To whom.
        address: std::net::IpAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Receiving failed.
    #[error("cannot receive")]
    Receive {
        /// What the system said.
        source: io::Error,
    },
    /// The system's lists of interfaces, routes or neighbours could not be read.
    #[error("cannot read the system's {what}")]
    System {
        /// Which list.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}
