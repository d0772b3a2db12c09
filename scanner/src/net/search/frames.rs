//! The questions of a search as frames, and frames as replies, with what proves that they are
//! some: pure.
//!
//! Echoes and errors come back with our cookie. Reports and router advertisements have no room
//! for one; their hop limits and link-local sources prove that they were sent on this link
//! (RFC 3810, section 5; RFC 4861, section 6.1.2), which is all that is taken from them.

use std::net::{IpAddr, Ipv6Addr};

use model::MacAddr;
use wire::{
    ethernet::{self, Frame},
    icmp::{self, Message, Quote, Quoted},
    ip::{self, Ends, Packet},
    mld::{self, ALL_NODES},
    ndp::{self, ALL_ROUTERS},
};

use super::super::{raw_cookie::Cookies, raw_frames::HOP_LIMIT};
use crate::search::{GroupQuestion, GroupReply, LISTENER_DELAY, Said};

/// From where listeners are asked: the greatest link-local address, not our own.
///
/// Of two who ask, the one with the lower address goes on and the other falls silent for four
/// minutes (RFC 3810, section 7.6.2), so a question from our own address might silence the
/// router whose questions keep multicast going. This source loses to everybody, and for the
/// listeners it makes no difference: reports go to a group. RFC 3810, section 5.1.14, asks for
/// a valid link-local source, without which a query is thrown away.
const LOSING: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0xffff, 0xffff, 0xffff, 0xffff);

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    pub(super) mac: MacAddr,
    /// Our addresses, the link-local one first.
    pub(super) sources: Vec<Ipv6Addr>,
    cookies: Cookies,
}

impl Asker {
    pub(super) fn new(mac: MacAddr, sources: Vec<Ipv6Addr>, key: [u8; 16]) -> Self {
        // The range of ports does not matter: no question has one.
        Self { mac, sources, cookies: Cookies::new(key, 1..=1) }
    }

    pub(super) fn questions(&self) -> Vec<GroupQuestion> {
        let echoes = self.sources.iter().map(|source| GroupQuestion::Echo(*source));
        let options = self.sources.iter().map(|source| GroupQuestion::Option(*source));
        let routers = self.link_local().map(|_| GroupQuestion::Routers);
        echoes.chain(options).chain([GroupQuestion::Listeners]).chain(routers).collect()
    }

    fn link_local(&self) -> Option<Ipv6Addr> {
        self.sources.iter().copied().find(Ipv6Addr::is_unicast_link_local)
    }

    /// The frame of a question; `None` for routers where there is no address to ask from.
    pub(super) fn frame(&self, question: GroupQuestion) -> Option<Vec<u8>> {
        let (source, group, protocol, hop_limit, inside) = match question {
            GroupQuestion::Echo(source) => {
                (source, ALL_NODES, ip::ICMPV6, HOP_LIMIT, self.echo(source))
            }
            GroupQuestion::Option(source) => {
                let inside = icmp::behind_unknown_option(&self.echo(source));
                (source, ALL_NODES, icmp::DESTINATION_OPTIONS, HOP_LIMIT, inside)
            }
            GroupQuestion::Listeners => {
                let inside = mld::general_query(LOSING, LISTENER_DELAY);
                (LOSING, ALL_NODES, mld::HOP_BY_HOP, mld::HOP_LIMIT, inside)
            }
            GroupQuestion::Routers => {
                let source = self.link_local()?;
                let inside = ndp::router_solicitation(source, self.mac);
                (source, ALL_ROUTERS, ip::ICMPV6, ndp::HOP_LIMIT, inside)
            }
        };
        let packet = ip::packet(Ends::V6(source, group), protocol, hop_limit, &inside);
        Some(ethernet::frame(group_mac(group), self.mac, ethernet::IPV6, &packet))
    }

    fn echo(&self, source: Ipv6Addr) -> Vec<u8> {
        let cookie = self.cookies.echo(source.into(), ALL_NODES.into());
        let ends = Ends::V6(source, ALL_NODES);
        icmp::echo_request(ends, cookie.identifier, cookie.sequence, &cookie.data)
    }

    /// Reads a frame that arrived. `None` for what is no reply.
    pub(super) fn read(&self, bytes: &[u8]) -> Option<GroupReply> {
        let frame = Frame::parse(bytes).ok()?;
        // We ask without tags, so what has one is another network's.
        if frame.ether_type != ethernet::IPV6 || !frame.vlans.is_empty() || frame.source.is_group()
        {
            return None;
        }
        let packet = Packet::parse(frame.payload).ok()?;
        let (IpAddr::V6(from), IpAddr::V6(to)) = (packet.source, packet.destination) else {
            return None;
        };
        if packet.fragment || packet.protocol != ip::ICMPV6 || self.sources.contains(&from) {
            return None;
        }
        let said = match *packet.payload.first()? {
            mld::REPORT_V1 | mld::REPORT_V2 => {
                let is_here = packet.ttl == mld::HOP_LIMIT && from.is_unicast_link_local();
                let report = is_here.then(|| mld::Report::parse(packet.payload).ok())??;
                Said::Listens(report.groups)
            }
            ndp::ROUTER_ADVERTISEMENT => {
                let is_here = packet.ttl == ndp::HOP_LIMIT && from.is_unicast_link_local();
                Said::Router(is_here.then(|| ndp::Router::parse(packet.payload).ok())??)
            }
            // The others answer us, so they come to us.
            _ if frame.destination != self.mac || !self.sources.contains(&to) => return None,
            _ => self.read_answer(to, packet.payload)?,
        };
        let ttl = Some(packet.ttl);
        Some(GroupReply { from, mac: Some(frame.source), ttl, said })
    }

    fn read_answer(&self, ours: Ipv6Addr, message: &[u8]) -> Option<Said> {
        let cookie = self.cookies.echo(ours.into(), ALL_NODES.into());
        match Message::parse_icmpv6(message).ok()? {
            Message::EchoReply(echo) => {
                let same = (echo.identifier, echo.sequence) == (cookie.identifier, cookie.sequence)
                    && echo.data.get(..8) == Some(&cookie.data);
                same.then_some(Said::Echo)
            }
            Message::Error { quoted, .. } if message.get(..2) == Some(&icmp::UNKNOWN_OPTION) => {
                let quote = Quote::parse(quoted).ok()?;
                let same = quote.source == IpAddr::V6(ours)
                    && quote.destination == IpAddr::V6(ALL_NODES)
                    && quote.what == Quoted::Echo(cookie.identifier, cookie.sequence);
                same.then_some(Said::Option)
            }
            _ => None,
        }
    }
}

/// The link-layer address of a group, RFC 2464, section 7.
const fn group_mac(group: Ipv6Addr) -> MacAddr {
    let [.., a, b, c, d] = group.octets();
    MacAddr([0x33, 0x33, a, b, c, d])
}
