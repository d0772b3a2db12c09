//! Frames as answers, with the cookie checked, and questions to the link: pure.
//!
//! Nothing is remembered of what was sent. An answer that repeats our cookie is ours,
//! however late; whatever does not (foreign, forged, of an earlier run) is nothing. Only
//! ARP and neighbour discovery have no room for a cookie: what they claim is handed to
//! the link, which knows whom it asked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::MacAddr;
use wire::{
    arp::{self, Arp},
    ethernet::{self, Frame},
    icmp::{Message, Quote, Quoted, Refusal},
    ip::{self, Ends, Packet},
    ndp, tcp, tftp, udp,
};

use super::{Answer, Reply, TFTP, raw_cookie::Cookies};

/// The time to live that nearly every system begins with.
pub(super) const HOP_LIMIT: u8 = 64;

/// Something heard.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Heard {
    /// An answer with our cookie.
    Reply(Reply),
    /// Somebody says that this address is at that link-layer address.
    Claim {
        /// The address.
        address: IpAddr,
        /// Where it is said to be.
        mac: MacAddr,
        /// From where the frame came, which a proxy cannot hide.
        from: MacAddr,
        /// Hop limit, for IPv6.
        ttl: Option<u8>,
    },
}

/// "Who has `target`?", to everybody on the link that it concerns. `None` where the
/// addresses are of two families.
pub(super) fn who_has(mac: MacAddr, source: IpAddr, target: IpAddr) -> Option<Vec<u8>> {
    match Ends::new(source, target)? {
        Ends::V4(source, target) => {
            let question = Arp::request(mac, source, target).build();
            Some(ethernet::frame(MacAddr::BROADCAST, mac, ethernet::ARP, &question))
        }
        Ends::V6(source, target) => {
            let (group, group_mac) = ndp::group(target);
            let question = ndp::solicitation(source, mac, target);
            let packet = ip::packet(Ends::V6(source, group), ip::ICMPV6, ndp::HOP_LIMIT, &question);
            Some(ethernet::frame(group_mac, mac, ethernet::IPV6, &packet))
        }
    }
}

/// Reads a frame that arrived at the interface whose link-layer address is `mac`. `None`
/// for what is not an answer to us.
pub(super) fn read(cookies: &Cookies, mac: MacAddr, bytes: &[u8]) -> Option<Heard> {
    let frame = Frame::parse(bytes).ok()?;
    // We ask without tags, and who answers with one is somebody else, on another network.
    if !frame.vlans.is_empty() {
        return None;
    }
    // Answers come to us alone. What we send is shown to us too, and is not from others.
    if frame.destination != mac || frame.source == mac || frame.source.is_group() {
        return None;
    }
    if frame.ether_type == ethernet::ARP {
        let arp = Arp::parse(frame.payload).ok()?;
        let is_answer = arp.operation == arp::Operation::Reply && arp.target_mac == mac;
        let claim = claim(arp.sender_ip.into(), arp.sender_mac, frame.source, None);
        return claim.filter(|_| is_answer);
    }
    if !matches!(frame.ether_type, ethernet::IPV4 | ethernet::IPV6) {
        return None;
    }
    let packet = Packet::parse(frame.payload).ok()?;
    if packet.fragment {
        return None;
    }
    if let (ip::ICMPV6, Some(&ndp::ADVERTISEMENT)) = (packet.protocol, packet.payload.first()) {
        let said = ndp::Advertisement::parse(packet.payload).ok()?;
        let is_answer = said.solicited && packet.ttl == ndp::HOP_LIMIT;
        let at = said.mac.unwrap_or(frame.source);
        let claim = claim(said.target.into(), at, frame.source, Some(packet.ttl));
        return claim.filter(|_| is_answer);
    }
    let (about, answer) = read_packet(cookies, &packet)?;
    let mac = (about == packet.source).then_some(frame.source);
    let ttl = (about == packet.source).then_some(packet.ttl);
    Some(Heard::Reply(Reply { about, answer, ttl, mac }))
}

/// A claim, if the address and the link-layer address can be those of one interface.
fn claim(address: IpAddr, mac: MacAddr, from: MacAddr, ttl: Option<u8>) -> Option<Heard> {
    let possible = !crate::is_not_unicast(address) && !mac.is_group() && mac != MacAddr([0; 6]);
    possible.then_some(Heard::Claim { address, mac, from, ttl })
}

/// What a packet answers, and of whom it speaks.
fn read_packet(cookies: &Cookies, packet: &Packet<'_>) -> Option<(IpAddr, Answer)> {
    let (ours, theirs) = (packet.destination, packet.source);
    let answer = match packet.protocol {
        ip::TCP => read_tcp(cookies, ours, theirs, packet.payload)?,
        ip::UDP => {
            let datagram = udp::Datagram::parse(packet.payload).ok()?;
            let to = datagram.destination_port;
            let answers = |port| cookies.udp(ours, theirs, port) == to;
            let port = match datagram.source_port {
                port if answers(port) => port,
                _ if answers(TFTP) && tftp::Answer::parse(datagram.payload).is_ok() => TFTP,
                _ => return None,
            };
            Answer::UdpReply(port, datagram.payload.to_vec())
        }
        ip::ICMP | ip::ICMPV6 => {
            let message = match packet.protocol {
                ip::ICMP => Message::parse_icmp(packet.payload),
                _ => Message::parse_icmpv6(packet.payload),
            };
            match message.ok()? {
                Message::EchoReply(echo) => {
                    let cookie = cookies.echo(ours, theirs);
                    // Some systems return less data than they got; none returns other data.
                    let same = (echo.identifier, echo.sequence)
                        == (cookie.identifier, cookie.sequence)
                        && echo.data.get(..8) == Some(&cookie.data);
                    same.then_some(Answer::Echo)?
                }
                Message::Error { refusal, quoted } => {
                    return read_error(cookies, ours, refusal, quoted);
                }
                Message::TimestampReply(clock) => {
                    let cookie = cookies.timestamp(ours, theirs);
                    let same = (clock.identifier, clock.sequence, clock.originate)
                        == (cookie.identifier, cookie.sequence, cookie.originate);
                    same.then_some(Answer::Timestamp)?
                }
                Message::EchoRequest(_) | Message::TimestampRequest(_) | Message::Other(_) => {
                    return None;
                }
            }
        }
        _ => return None,
    };
    Some((theirs, answer))
}

fn read_tcp(cookies: &Cookies, ours: IpAddr, theirs: IpAddr, bytes: &[u8]) -> Option<Answer> {
    let segment = tcp::Segment::parse(bytes).ok()?;
    let port = segment.source_port;
    let cookie = cookies.tcp(ours, theirs, port);
    // RFC 9293, section 3.10.7: both answers to a SYN acknowledge it.
    let acknowledges =
        segment.has(tcp::ACK) && segment.acknowledgement == cookie.sequence.wrapping_add(1);
    if segment.destination_port != cookie.port || !acknowledges {
        // A reset begins where a segment of no connection said that we had heard so far.
        let asked = cookies.ack(ours, theirs, port);
        let is_reset = segment.has(tcp::RST)
            && (segment.destination_port, segment.sequence) == (asked.port, asked.sequence);
        return is_reset.then_some(Answer::TcpReset(port));
    }
    match (segment.has(tcp::RST), segment.has(tcp::SYN)) {
        (true, _) => Some(Answer::TcpClosed(port)),
        (false, true) => Some(Answer::TcpOpen(port)),
        (false, false) => None,
    }
}

/// What an error says of the target of the packet that it quotes, if that was ours.
fn read_error(
    cookies: &Cookies,
    ours: IpAddr,
    refusal: Refusal,
    quoted: &[u8],
) -> Option<(IpAddr, Answer)> {
    let quote = Quote::parse(quoted).ok()?;
    if quote.source != ours {
        return None;
    }
    let theirs = quote.destination;
    let answer = match (quote.what, refusal) {
        (_, Refusal::Other) => return None,
        // That an echo is filtered says nothing about the target.
        (Quoted::Echo(..) | Quoted::Timestamp(..), Refusal::Port | Refusal::Filter) => return None,
        (_, Refusal::NoWay) => Answer::Unreachable,
        // Nor does it of a segment that filters drop because it is of no connection.
        (Quoted::Tcp(start), _) if is_ack(cookies, ours, theirs, start) => return None,
        // A TCP port that is not open answers RST; both of these come from a filter.
        (Quoted::Tcp(start), Refusal::Port | Refusal::Filter) => {
            Answer::TcpFiltered(start.destination_port)
        }
        (Quoted::Udp(_, port), Refusal::Port) => Answer::UdpClosed(port),
        (Quoted::Udp(_, port), Refusal::Filter) => Answer::UdpFiltered(port),
    };
    is_ours(cookies, ours, theirs, quote.what).then_some((theirs, answer))
}

/// Whether a quoted packet carries our cookie.
fn is_ours(cookies: &Cookies, ours: IpAddr, theirs: IpAddr, what: Quoted) -> bool {
    match what {
        Quoted::Tcp(start) => {
            let port = start.destination_port;
            let cookie = cookies.tcp(ours, theirs, port);
            (start.source_port, start.sequence) == (cookie.port, cookie.sequence)
                || is_ack(cookies, ours, theirs, start)
        }
        Quoted::Udp(our_port, port) => our_port == cookies.udp(ours, theirs, port),
        Quoted::Echo(identifier, sequence) => {
            let cookie = cookies.echo(ours, theirs);
            (identifier, sequence) == (cookie.identifier, cookie.sequence)
        }
        Quoted::Timestamp(identifier, sequence) => {
            let cookie = cookies.timestamp(ours, theirs);
            (identifier, sequence) == (cookie.identifier, cookie.sequence)
        }
    }
}

/// Whether a quoted segment is ours of no connection.
fn is_ack(cookies: &Cookies, ours: IpAddr, theirs: IpAddr, start: tcp::Start) -> bool {
    let cookie = cookies.ack(ours, theirs, start.destination_port);
    (start.source_port, start.sequence) == (cookie.port, cookie.sequence)
}

/// The address from which an IPv4 question to the link is asked when the kernel named
/// none: RFC 5227's address probe.
pub(super) const fn no_address(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

#[cfg(test)]
mod tests;
