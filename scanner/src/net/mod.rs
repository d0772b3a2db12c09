//! The edge of the process: the only sockets, and the only `unsafe`.
//!
//! [`Link`] is all that the sweep engine needs of the outside world, time included:
//! a test hands it a scripted one and runs a scan of hours in a millisecond.
//! Sending wants a [`Permit`], so no implementation can be asked to send elsewhere.

pub mod broker;
pub mod capabilities;
pub mod clock;
pub mod confine;
pub mod connect;
mod connect_echo;
mod connect_errors;
mod connect_limits;
mod connect_poll;
mod connect_socket;
pub mod datagram;
pub mod download;
pub mod file;
pub mod interfaces;
pub mod linux;
pub mod neighbors;
mod netlink;
pub mod raw;
mod raw_batch;
mod raw_bulk;
mod raw_channel;
mod raw_cookie;
mod raw_frames;
mod raw_mailbox;
mod raw_neighbors;
mod raw_paths;
mod raw_portable;
#[cfg(test)]
mod raw_reference;
mod raw_socket;
mod raw_template;
pub mod resolve;
mod route_stretches;
pub mod routes;
pub mod scripted;
mod scripted_device;
mod scripted_trouble;
pub mod search;
pub mod select;
pub mod stream;
mod xdp;

use std::{fmt, net::IpAddr, time::Duration};

use model::{MacAddr, Timestamp};

use crate::{Permit, error::LinkError, order::Order, plan::Addresses};

/// How packets leave the machine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tier {
    /// The system's own sockets; needs no privilege.
    Connect,
    /// Frames and packets of our own; needs CAP_NET_RAW.
    Raw,
}

impl Tier {
    /// Its name in the command line and in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Raw => "raw",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One packet's worth of asking.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Question {
    /// Who has this address? RFC 826. On-link IPv4 only.
    Arp,
    /// The same for IPv6, RFC 4861, section 7.2.2. On-link only.
    NeighborSolicitation,
    /// ICMP or ICMPv6 echo request.
    Echo,
    /// ICMP timestamp request, RFC 792. IPv4 only.
    Timestamp,
    /// A TCP SYN to this port; in the connect tier a connect(2).
    Tcp(u16),
    /// A TCP segment of no connection to this port, which asks only whether anybody is there.
    Ack(u16),
    /// A UDP datagram to this port, with this payload.
    Udp(u16, Vec<u8>),
}

/// The port to which TFTP is asked. A server answers from another one, of its own choosing
/// (RFC 1350, section 4).
const TFTP: u16 = 69;

/// An answer that was checked to be an answer to a question of ours (cookie, or the
/// kernel's own matching), with what it says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reply {
    /// Whom we had asked. For an ICMP error this is the target of our packet that it
    /// quotes, not the router that sent it.
    pub about: IpAddr,
    /// What it says.
    pub answer: Answer,
    /// IP time to live or hop limit as it arrived, where the tier sees it.
    pub ttl: Option<u8>,
    /// The link-layer address it came from, if the target is on-link and the tier sees it.
    pub mac: Option<MacAddr>,
}

/// What a reply says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// ARP reply.
    Arp(MacAddr),
    /// Neighbour advertisement.
    Neighbor(MacAddr),
    /// Echo reply.
    Echo,
    /// Timestamp reply.
    Timestamp,
    /// SYN-ACK, or a connection made.
    TcpOpen(u16),
    /// RST, or a connection refused.
    TcpClosed(u16),
    /// An ICMP error that says that a filter refused the TCP port.
    TcpFiltered(u16),
    /// RST to a segment of no connection to this TCP port: somebody is there, and whether
    /// the port is open is not said.
    TcpReset(u16),
    /// A datagram from this UDP port.
    UdpReply(u16, Vec<u8>),
    /// ICMP port unreachable for this UDP port.
    UdpClosed(u16),
    /// Another ICMP unreachable for this UDP port.
    UdpFiltered(u16),
    /// The network says there is no way to the address: host or net unreachable, or no
    /// answer to the kernel's own ARP.
    Unreachable,
    /// The connect tier gave up waiting for this TCP port.
    TcpSilent(u16),
}

/// An entry of the kernel's neighbour table (ARP cache, IPv6 neighbour cache).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Neighbor {
    /// The network address.
    pub address: IpAddr,
    /// Its link-layer address.
    pub mac: MacAddr,
    /// How long ago the kernel last had proof that it is there.
    pub confirmed: Duration,
    /// Whether the kernel asks it just now, or is about to, if it is still there.
    pub being_asked: bool,
}

/// A course of questions that a link may ask by itself: every port of everybody once.
#[derive(Clone, Copy, Debug)]
pub struct Bulk<'a> {
    /// In which order.
    pub order: &'a Order,
    /// Whom.
    pub whom: Whom<'a>,
    /// Which ports; one of any number for questions that have none.
    pub ports: &'a [u16],
    /// What.
    pub kind: BulkKind,
}

/// Whom a course asks, by number.
#[derive(Clone, Copy, Debug)]
pub enum Whom<'a> {
    /// All addresses of what a scope permits.
    All(&'a Addresses),
    /// Some.
    Some(&'a [Permit]),
}

/// What a course asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BulkKind {
    /// [`Question::Arp`].
    Arp,
    /// [`Question::Echo`].
    Echo,
    /// [`Question::Tcp`].
    Syn,
}

/// What a link sent of a course.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BulkSent {
    /// The next place.
    pub place: u64,
    /// Questions that the system took.
    pub questions: u64,
    /// Places whose questions it did not take.
    pub refused: Vec<u64>,
}

/// A way to ask permitted addresses and to hear what comes back, and its clock.
pub trait Link: Send {
    /// Which tier it is.
    fn tier(&self) -> Tier;

    /// What it is called in results: its tier, or how it does better than that.
    fn io(&self) -> &'static str {
        self.tier().as_str()
    }

    /// Whether the address is on a link of ours, so that ARP or neighbour
    /// solicitation reaches it and nothing else is needed to know whether it is there.
    fn is_on_link(&self, address: IpAddr) -> bool;

    /// Whether it can put this question to this address.
    fn can_ask(&self, address: IpAddr, question: &Question) -> bool;

    /// Takes one question over, for the system or to be kept until there are enough for one
    /// call of it. After an error it was not taken: nothing is sent and nothing is counted
    /// as sent. [`LinkError::Busy`] says that nothing more can be kept now, because the
    /// system takes nothing.
    fn send(&mut self, to: Permit, question: &Question) -> Result<(), LinkError>;

    /// Hands the questions that were kept to the system. [`LinkError::Busy`] says that it
    /// took some of them or none: the others are kept, in order, for the next time, and
    /// nothing is lost or sent twice. An error that names an address says that one kept
    /// question to it was refused and is gone; call again for the others.
    ///
    /// Nothing else does this on time: call it before waiting for answers.
    fn flush(&mut self) -> Result<(), LinkError> {
        Ok(())
    }

    /// How many questions were taken and have not been handed to the system yet. Who stops
    /// now leaves them unsent, and does not count them as sent.
    fn unsent(&self) -> usize {
        0
    }

    /// Whether it may be able to ask whole courses by itself.
    fn asks_by_itself(&self) -> bool {
        false
    }

    /// Begins a course at its first place. False where it cannot ask that by itself.
    fn begin_bulk(&mut self, course: &Bulk<'_>) -> bool {
        let _ = course;
        false
    }

    /// Asks the questions of the course that are not settled, from that place on and before
    /// `until`, `most` of them at most. It may come back sooner.
    fn send_bulk(&mut self, from: u64, until: u64, most: u32) -> Result<BulkSent, LinkError> {
        let _ = (from, until, most);
        Err(LinkError::Busy { source: std::io::ErrorKind::Unsupported.into() })
    }

    /// The question of that number (its port's times the number of addresses, and its
    /// address's) needs no asking any more.
    fn settle(&mut self, question: u64) {
        let _ = question;
    }

    /// The next reply, or `None` once `until` has come. `until` at or before
    /// [`Link::now`] takes what is there and does not wait. Never waits past `until`, and
    /// flushes nothing.
    fn receive(&mut self, until: Duration) -> Result<Option<Reply>, LinkError>;

    /// What the kernel's neighbour table says now. Empty where there is none.
    fn neighbors(&mut self) -> Vec<Neighbor>;

    /// Answers that were lost before we could read them, as far as the system tells.
    fn drops(&mut self) -> u64;

    /// How many questions may be under way at once; `None` for as many as one likes.
    fn most_under_way(&self) -> Option<usize>;

    /// How many are under way now, of those that `most_under_way` counts.
    fn under_way(&self) -> usize {
        0
    }

    /// A clock that never goes back, counted from any start.
    fn now(&self) -> Duration;

    /// The date and time, for observations.
    fn timestamp(&self) -> Timestamp;
}
