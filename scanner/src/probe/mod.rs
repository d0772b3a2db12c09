//! Questions to services, and what their answers mean.
//!
//! One file per protocol. A [`Probe`] is two pure functions: `request` says what to do
//! next in a conversation, `read` says what the conversation showed. Neither opens a
//! socket or reads a clock: they are tested and fuzzed with bytes, and `crate::dialogue`
//! holds the conversation. No probe ever sends a user name or a password.

pub mod bacnet;
pub mod banner;
pub mod catalog;
#[cfg(test)]
mod corpus;
pub mod dns;
mod enterprise;
mod favicon;
pub mod ftp;
mod greeting;
pub mod http;
pub mod imap;
pub mod ipmi;
pub mod ipp;
mod known;
pub mod l2tp;
pub mod ldap;
pub mod mdns;
pub mod memcached;
pub mod mqtt;
pub mod mysql;
pub mod ntp;
pub mod one_question;
pub mod pop3;
pub mod postgresql;
pub mod product;
pub mod rdp;
pub mod redis;
pub mod rpcbind;
pub mod rtsp;
pub(crate) mod said;
pub mod smb;
pub mod smtp;
pub mod snmp;
mod spelled;
pub mod ssdp;
pub mod ssh;
pub mod starttls;
pub(crate) mod sysdescr;
pub mod telnet;
#[cfg(test)]
pub(crate) mod testing;
pub mod tls;
pub mod udp;
pub mod vnc;

use std::net::IpAddr;

use model::{Fact, Transport};

pub(crate) use greeting::{stable, without_time};

/// How to talk with one kind of service.
pub trait Probe: Sync {
    /// The protocol's name as in `model::Service::protocol`: `ssh`, `http`, …
    fn protocol(&self) -> &'static str;

    /// The transport it runs on.
    fn transport(&self) -> Transport;

    /// The ports where it is most likely, the likeliest first.
    fn ports(&self) -> &'static [u16];

    /// Whether the first bytes that the server sent, unasked, are this protocol's.
    /// Always false for protocols in which the client speaks first.
    fn recognises(&self, banner: &[u8]) -> bool;

    /// What to do next.
    fn request(&self, talk: &Talk<'_>) -> Step;

    /// What the conversation showed. Called once, at its end, whatever ended it.
    fn read(&self, talk: &Talk<'_>) -> Reading;
}

/// A conversation so far.
#[derive(Clone, Copy, Debug)]
pub struct Talk<'a> {
    /// With whom.
    pub address: IpAddr,
    /// On which port.
    pub port: u16,
    /// Whether it runs inside TLS.
    pub tls: bool,
    /// A name by which the server may know itself, for HTTP's Host and the like.
    pub server_name: Option<&'a str>,
    /// A number that an honest answer repeats, for transaction ids.
    pub cookie: u32,
    /// What was heard: `heard[0]` before we said anything, `heard[n]` after our n-th
    /// message. The last one grows while the server speaks. Never empty, but each of
    /// them may be. For UDP, one datagram (the first) an entry.
    pub heard: &'a [Vec<u8>],
    /// Whether the server has closed the connection or its time is over, so that no more
    /// will come.
    pub ended: bool,
}

impl<'a> Talk<'a> {
    /// What was heard after our n-th message (0: before we said anything), empty if that
    /// has not come about.
    #[must_use]
    pub fn heard(&self, n: usize) -> &'a [u8] {
        self.heard.get(n).map_or(&[], Vec::as_slice)
    }

    /// How many messages of ours have been sent.
    #[must_use]
    pub fn said(&self) -> usize {
        self.heard.len().saturating_sub(1)
    }
}

/// What to do next in a conversation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// Send this, then listen.
    Say(Vec<u8>),
    /// The answer is not complete: read on until it is, the server closes, or time is up.
    Listen,
    /// Send this on a new connection to the same endpoint: the server closed this one, or
    /// would go on answering on it for longer than is worth while. Each connection has its
    /// own limits, and an endpoint gets few, so this may not happen: the conversation then
    /// ends. Over UDP it is the same as [`Step::Say`].
    Reconnect(Vec<u8>),
    /// Nothing more to learn: close.
    Finish,
}

/// What a conversation showed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// Facts about the endpoint or the address, the service first. Empty: it is not this protocol.
    pub facts: Vec<Fact>,
    /// The bytes that led there; the driver cuts them to what an observation keeps.
    pub evidence: Vec<u8>,
}
