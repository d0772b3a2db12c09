//! The devices of a scripted network.

use std::{net::IpAddr, time::Duration};

use model::{MacAddr, PortSet};

use super::{Answer, Question, Reply};

/// What a device does with questions for ports that are not open.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Elsewhere {
    /// RST, or ICMP port unreachable.
    #[default]
    Closed,
    /// Nothing.
    Silent,
    /// ICMP administratively prohibited.
    Prohibited,
}

/// A device of the script.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its link-layer address.
    pub mac: MacAddr,
    /// The time to live of its packets as they arrive.
    pub ttl: u8,
    /// Whether it answers echo requests.
    pub echo: bool,
    /// Whether it answers timestamp requests.
    pub timestamp: bool,
    /// Open TCP ports.
    pub tcp: PortSet,
    /// Other TCP ports.
    pub tcp_else: Elsewhere,
    /// Open UDP ports, which answer with the question.
    pub udp: PortSet,
    /// Other UDP ports.
    pub udp_else: Elsewhere,
    /// From question to answer.
    pub latency: Duration,
    /// How many packets in one second stop it for good.
    pub bears: Option<u32>,
    /// How many answers it gives at most.
    pub answers: Option<Limit>,
}

/// A token bucket of answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limit {
    /// Answers a second in the long run.
    pub per_second: u32,
    /// How many it gives at once after a pause.
    pub at_once: u32,
}

impl Limit {
    /// A limit that saves up a tenth of a second's answers.
    #[must_use]
    pub const fn new(per_second: u32) -> Self {
        Self { per_second, at_once: per_second / 10 + 1 }
    }
}

impl Device {
    /// A device that answers echo and refuses every port but these TCP ports.
    #[must_use]
    pub fn new(number: u8, tcp: &str) -> Self {
        Self {
            mac: MacAddr([2, 0, 0, 0, 0, number]),
            ttl: 64,
            echo: true,
            timestamp: true,
            tcp: tcp.parse().unwrap_or_default(),
            tcp_else: Elsewhere::Closed,
            udp: PortSet::default(),
            udp_else: Elsewhere::Closed,
            latency: Duration::from_millis(2),
            bears: None,
            answers: None,
        }
    }

    /// The same, but silent except on its open ports (and to ARP).
    #[must_use]
    pub fn shy(number: u8, tcp: &str) -> Self {
        Self {
            echo: false,
            timestamp: false,
            tcp_else: Elsewhere::Silent,
            udp_else: Elsewhere::Silent,
            ..Self::new(number, tcp)
        }
    }
}

/// What another device says on the link that has the address too.
pub(super) fn rival_reply(about: IpAddr, question: &Question, mac: MacAddr) -> Option<Reply> {
    let answer = match question {
        Question::Arp => Answer::Arp(mac),
        Question::NeighborSolicitation => Answer::Neighbor(mac),
        _ => return None,
    };
    Some(Reply { about, ttl: None, mac: Some(mac), answer })
}
