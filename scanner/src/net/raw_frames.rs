//! Questions as frames, and frames as answers: pure, with the cookie checked.
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
    icmp::{self, Message, Quote, Quoted, Refusal},
    ip::{self, Ends, Packet},
    ndp, tcp, udp,
};

use super::{
    Answer, Question, Reply,
    raw_cookie::{Cookies, TcpCookie},
};

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

/// A question as an IP packet: the reference for [`super::raw_template`] and whoever else
/// makes them. `None` for ARP and neighbour solicitation, which are not
/// packets to the target (see [`who_has`]), and for what the family does not have.
#[cfg(test)]
pub(super) fn packet(cookies: &Cookies, ends: Ends, question: &Question) -> Option<Vec<u8>> {
    let (ours, theirs) = addresses(ends);
    let (protocol, inside) = match question {
        Question::Arp | Question::NeighborSolicitation => return None,
        Question::Echo => {
            let cookie = cookies.echo(ours, theirs);
            let inside = icmp::echo_request(ends, cookie.identifier, cookie.sequence, &cookie.data);
            let protocol = match ends {
                Ends::V4(..) => ip::ICMP,
                Ends::V6(..) => ip::ICMPV6,
            };
            (protocol, inside)
        }
        Question::Timestamp => {
            let cookie = cookies.timestamp(ours, theirs);
            let Ends::V4(..) = ends else { return None };
            let inside =
                icmp::timestamp_request(cookie.identifier, cookie.sequence, cookie.originate);
            (ip::ICMP, inside)
        }
        Question::Ack(port) => {
            let TcpCookie { port: our_port, sequence } = cookies.ack(ours, theirs, *port);
            (ip::TCP, tcp::ack(ends, our_port, *port, sequence, sequence))
        }
        Question::Tcp(port) => {
            let cookie = cookies.tcp(ours, theirs, *port);
            (ip::TCP, tcp::syn(ends, cookie.port, *port, cookie.sequence))
        }
        Question::Udp(port, payload) => {
            let our_port = cookies.udp(ours, theirs, *port);
            (ip::UDP, udp::datagram(ends, our_port, *port, payload))
        }
    };
    Some(ip::packet(ends, protocol, HOP_LIMIT, &inside))
}

#[cfg(test)]
fn addresses(ends: Ends) -> (IpAddr, IpAddr) {
    match ends {
        Ends::V4(ours, theirs) => (ours.into(), theirs.into()),
        Ends::V6(ours, theirs) => (ours.into(), theirs.into()),
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
            let port = datagram.source_port;
            let expected = cookies.udp(ours, theirs, port);
            (datagram.destination_port == expected)
                .then(|| Answer::UdpReply(port, datagram.payload.to_vec()))?
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HERE: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const THERE: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);
    const ROUTER: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xfe]);

    fn cookies() -> Cookies {
        Cookies::new([7; 16], 61_000..=65_535)
    }

    fn v4() -> (IpAddr, IpAddr) {
        ("198.18.0.1".parse().unwrap(), "198.18.0.9".parse().unwrap())
    }

    fn v6() -> (IpAddr, IpAddr) {
        ("2001:db8::1".parse().unwrap(), "2001:db8::9".parse().unwrap())
    }

    fn both() -> [(IpAddr, IpAddr); 2] {
        [v4(), v6()]
    }

    fn ether_type(address: IpAddr) -> u16 {
        if address.is_ipv4() { ethernet::IPV4 } else { ethernet::IPV6 }
    }

    fn icmp_number(address: IpAddr) -> u8 {
        if address.is_ipv4() { ip::ICMP } else { ip::ICMPV6 }
    }

    /// A frame to us.
    fn to_us(from: MacAddr, source: IpAddr, ours: IpAddr, protocol: u8, inside: &[u8]) -> Vec<u8> {
        let ends = Ends::new(source, ours).unwrap();
        ethernet::frame(HERE, from, ether_type(ours), &ip::packet(ends, protocol, 60, inside))
    }

    /// Every cut of the frame is nothing, or says the same as the whole.
    #[track_caller]
    fn check(frame: &[u8], expected: Option<(IpAddr, Answer, bool)>) {
        let expected = expected.map(|(about, answer, direct)| {
            let (ttl, mac) = (direct.then_some(60), direct.then_some(THERE));
            Heard::Reply(Reply { about, answer, ttl, mac })
        });
        assert_eq!(read(&cookies(), HERE, frame), expected);
        for len in 0..frame.len() {
            let Some(cut) = read(&cookies(), HERE, &frame[..len]) else { continue };
            match (&cut, expected.as_ref().unwrap()) {
                // A datagram's answer is as long as what is there.
                (
                    Heard::Reply(Reply { answer: Answer::UdpReply(port, cut), .. }),
                    Heard::Reply(Reply { answer: Answer::UdpReply(whole_port, whole), .. }),
                ) => assert!(port == whole_port && whole.starts_with(cut), "cut at {len}"),
                (cut, whole) => assert_eq!(cut, whole, "cut at {len}"),
            }
        }
    }

    /// The segment that answers our SYN to `port`, changed by `change`.
    fn segment(ours: IpAddr, theirs: IpAddr, flags: u8, change: u32) -> Vec<u8> {
        let TcpCookie { port: our_port, sequence } = cookies().tcp(ours, theirs, 80);
        let mut bytes = 80u16.to_be_bytes().to_vec();
        bytes.extend_from_slice(&our_port.to_be_bytes());
        bytes.extend_from_slice(&[1, 2, 3, 4]);
        bytes.extend_from_slice(&sequence.wrapping_add(1).wrapping_add(change).to_be_bytes());
        bytes.extend_from_slice(&[0x50, flags, 0, 0, 0, 0, 0, 0]);
        bytes
    }

    #[test]
    fn a_port_that_acknowledges_our_cookie_is_open_or_closed() {
        for (ours, theirs) in both() {
            let frame = |flags, change| {
                to_us(THERE, theirs, ours, ip::TCP, &segment(ours, theirs, flags, change))
            };
            check(&frame(tcp::SYN | tcp::ACK, 0), Some((theirs, Answer::TcpOpen(80), true)));
            check(&frame(tcp::RST | tcp::ACK, 0), Some((theirs, Answer::TcpClosed(80), true)));
            check(&frame(tcp::SYN | tcp::ACK, 1), None);
            check(&frame(tcp::RST | tcp::ACK, u32::MAX), None);
            check(&frame(tcp::ACK, 0), None);
            check(&frame(tcp::SYN, 0), None);
            check(&frame(tcp::RST, 0), None);
        }
    }

    #[test]
    fn a_segment_to_another_port_or_with_another_key_is_not_ours() {
        let (ours, theirs) = v4();
        let mut bytes = segment(ours, theirs, tcp::SYN | tcp::ACK, 0);
        let frame = to_us(THERE, theirs, ours, ip::TCP, &bytes);
        let other_run = Cookies::new([8; 16], 61_000..=65_535);
        assert_eq!(read(&other_run, HERE, &frame), None);
        bytes[3] ^= 1;
        check(&to_us(THERE, theirs, ours, ip::TCP, &bytes), None);
    }

    #[test]
    fn an_echo_reply_carries_all_of_the_cookie() {
        for (ours, theirs) in both() {
            let cookie = cookies().echo(ours, theirs);
            let reply = |identifier, data: &[u8]| {
                let ends = Ends::new(theirs, ours).unwrap();
                let mut inside = icmp::echo_request(ends, identifier, cookie.sequence, data);
                inside[0] = if ours.is_ipv4() { 0 } else { 129 };
                to_us(THERE, theirs, ours, icmp_number(ours), &inside)
            };
            let frame = reply(cookie.identifier, &cookie.data);
            check(&frame, Some((theirs, Answer::Echo, true)));
            check(&reply(cookie.identifier ^ 1, &cookie.data), None);
            check(&reply(cookie.identifier, &cookie.data[..7]), None);
            check(&reply(cookie.identifier, b"mistaken"), None);
        }
    }

    #[test]
    fn a_reset_that_begins_where_we_said_answers_a_segment_of_no_connection() {
        for (ours, theirs) in both() {
            let cookie = cookies().ack(ours, theirs, 80);
            let frame = |to: u16, sequence: u32, flags| {
                let mut bytes = 80_u16.to_be_bytes().to_vec();
                bytes.extend_from_slice(&to.to_be_bytes());
                bytes.extend_from_slice(&sequence.to_be_bytes());
                bytes.extend_from_slice(&[0, 0, 0, 0, 0x50, flags, 0, 0, 0, 0, 0, 0]);
                to_us(THERE, theirs, ours, ip::TCP, &bytes)
            };
            let (port, sequence) = (cookie.port, cookie.sequence);
            let answer = Some((theirs, Answer::TcpReset(80), true));
            check(&frame(port, sequence, tcp::RST), answer);
            check(&frame(port, sequence.wrapping_add(1), tcp::RST), None);
            check(&frame(port ^ 1, sequence, tcp::RST), None);
            check(&frame(port, sequence, tcp::ACK), None);
        }
    }

    #[test]
    fn a_timestamp_reply_returns_our_time_and_numbers() {
        let (ours, theirs) = v4();
        let cookie = cookies().timestamp(ours, theirs);
        let reply = |sequence, originate| {
            let mut inside = icmp::timestamp_request(cookie.identifier, sequence, originate);
            inside[0] = 14;
            inside[12..].copy_from_slice(&[0, 1, 2, 3, 0, 1, 2, 4]);
            to_us(THERE, theirs, ours, ip::ICMP, &inside)
        };
        let answer = Some((theirs, Answer::Timestamp, true));
        check(&reply(cookie.sequence, cookie.originate), answer);
        check(&reply(cookie.sequence, cookie.originate ^ 1), None);
        check(&reply(cookie.sequence ^ 1, cookie.originate), None);
        let (ours, theirs) = v6();
        let ends = Ends::new(ours, theirs).unwrap();
        assert_eq!(packet(&cookies(), ends, &Question::Timestamp), None);
    }

    #[test]
    fn a_tagged_answer_is_of_another_network() {
        let (ours, theirs) = v4();
        let answer = segment(ours, theirs, tcp::SYN | tcp::ACK, 0);
        let frame = to_us(THERE, theirs, ours, ip::TCP, &answer);
        let inner = [&frame[..12], &[0x81, 0, 0, 7], &frame[12..]].concat();
        let outer = [&frame[..12], &[0x88, 0xa8, 0, 9], &inner[12..]].concat();
        check(&frame, Some((theirs, Answer::TcpOpen(80), true)));
        check(&inner, None);
        check(&outer, None);
    }

    #[test]
    fn a_datagram_comes_from_the_port_asked_to_the_port_that_asked() {
        for (ours, theirs) in both() {
            let our_port = cookies().udp(ours, theirs, 161);
            let frame = |from, to| {
                let ends = Ends::new(theirs, ours).unwrap();
                to_us(THERE, theirs, ours, ip::UDP, &udp::datagram(ends, from, to, b"answer"))
            };
            let answer = Answer::UdpReply(161, b"answer".to_vec());
            check(&frame(161, our_port), Some((theirs, answer, true)));
            check(&frame(161, our_port ^ 1), None);
            check(&frame(162, our_port), None);
        }
    }

    #[test]
    fn an_error_is_about_the_target_that_it_quotes() {
        for (ours, theirs) in both() {
            let router: IpAddr = match ours {
                IpAddr::V4(_) => "198.18.0.254".parse().unwrap(),
                IpAddr::V6(_) => "2001:db8::fe".parse().unwrap(),
            };
            let (kind, [host, port, prohibited, too_big]) = match ours {
                IpAddr::V4(_) => (3, [1, 3, 13, 4]),
                IpAddr::V6(_) => (1, [3, 4, 1, 99]),
            };
            let ends = Ends::new(ours, theirs).unwrap();
            let error = |code, question: &Question| {
                let mut inside = vec![kind, code, 0, 0, 0, 0, 0, 0];
                inside.extend(packet(&cookies(), ends, question).unwrap());
                to_us(ROUTER, router, ours, icmp_number(ours), &inside)
            };
            let tcp = Question::Tcp(22);
            let udp = Question::Udp(53, b"question".to_vec());
            for (question, code, answer) in [
                (&tcp, host, Some(Answer::Unreachable)),
                (&tcp, port, Some(Answer::TcpFiltered(22))),
                (&tcp, prohibited, Some(Answer::TcpFiltered(22))),
                (&tcp, too_big, None),
                (&udp, host, Some(Answer::Unreachable)),
                (&udp, port, Some(Answer::UdpClosed(53))),
                (&udp, prohibited, Some(Answer::UdpFiltered(53))),
                (&Question::Echo, host, Some(Answer::Unreachable)),
                (&Question::Ack(80), host, Some(Answer::Unreachable)),
                (&Question::Ack(80), prohibited, None),
                (&Question::Echo, prohibited, None),
            ] {
                check(&error(code, question), answer.map(|answer| (theirs, answer, false)));
            }
            // The same quotes with another key are somebody else's, or forged.
            let other = Cookies::new([8; 16], 61_000..=65_535);
            for question in [&tcp, &Question::Echo] {
                assert_eq!(read(&other, HERE, &error(host, question)), None);
            }
        }
    }

    #[test]
    fn claims_are_taken_from_answers_to_us_alone() {
        let (ours, theirs) = v4();
        let (IpAddr::V4(our_ip), IpAddr::V4(their_ip)) = (ours, theirs) else { unreachable!() };
        let mut reply = Arp::request(THERE, their_ip, our_ip);
        reply.operation = arp::Operation::Reply;
        reply.target_mac = HERE;
        let frame = |arp: Arp| ethernet::frame(HERE, ROUTER, ethernet::ARP, &arp.build());
        let claim = Heard::Claim { address: theirs, mac: THERE, from: ROUTER, ttl: None };
        assert_eq!(read(&cookies(), HERE, &frame(reply)), Some(claim.clone()));
        for len in 0..42 {
            assert_eq!(read(&cookies(), HERE, &frame(reply)[..len]), None, "cut at {len}");
        }
        for wrong in [
            Arp { operation: arp::Operation::Request, ..reply },
            Arp { target_mac: THERE, ..reply },
            Arp { sender_mac: MacAddr::BROADCAST, ..reply },
            Arp { sender_mac: MacAddr([0; 6]), ..reply },
            Arp { sender_ip: Ipv4Addr::BROADCAST, ..reply },
        ] {
            assert_eq!(read(&cookies(), HERE, &frame(wrong)), None, "{wrong:?}");
        }
        let to_all = ethernet::frame(MacAddr::BROADCAST, ROUTER, ethernet::ARP, &reply.build());
        assert_eq!(read(&cookies(), HERE, &to_all), None);
    }

    #[test]
    fn an_advertisement_counts_from_the_link_and_when_asked_for() {
        let (ours, theirs) = v6();
        let IpAddr::V6(target) = theirs else { unreachable!() };
        let mut inside = vec![ndp::ADVERTISEMENT, 0, 0, 0, 0x60, 0, 0, 0];
        inside.extend_from_slice(&target.octets());
        inside.extend_from_slice(&[2, 1]);
        inside.extend_from_slice(&THERE.0);
        let frame = |inside: &[u8], hop_limit| {
            let ends = Ends::new(theirs, ours).unwrap();
            let packet = ip::packet(ends, ip::ICMPV6, hop_limit, inside);
            ethernet::frame(HERE, THERE, ethernet::IPV6, &packet)
        };
        let claim = Heard::Claim { address: theirs, mac: THERE, from: THERE, ttl: Some(255) };
        let good = frame(&inside, 255);
        assert_eq!(read(&cookies(), HERE, &good), Some(claim.clone()));
        for len in 0..good.len() {
            // Without its option it still says that the sender is there.
            let cut = read(&cookies(), HERE, &good[..len]);
            assert!(cut.is_none() || cut == Some(claim.clone()), "cut at {len}");
        }
        assert_eq!(read(&cookies(), HERE, &frame(&inside, 254)), None);
        inside[4] = 0x20;
        assert_eq!(read(&cookies(), HERE, &frame(&inside, 255)), None);
    }

    #[test]
    fn our_own_frames_are_not_answers() {
        for (ours, theirs) in both() {
            let ends = Ends::new(ours, theirs).unwrap();
            for question in
                [Question::Echo, Question::Tcp(80), Question::Udp(53, b"question".to_vec())]
            {
                let packet = packet(&cookies(), ends, &question).unwrap();
                let frame = ethernet::frame(THERE, HERE, ether_type(ours), &packet);
                assert_eq!(read(&cookies(), HERE, &frame), None);
            }
            let asked = who_has(HERE, ours, theirs).unwrap();
            assert_eq!(read(&cookies(), HERE, &asked), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_nothing(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
            kind in prop::sample::select(vec![0x0800u16, 0x0806, 0x86dd, 0x8100]),
        ) {
            // Addressed to us, so that they are looked at closely.
            if let Some(start) = bytes.first_chunk_mut::<14>() {
                start[..6].copy_from_slice(&HERE.0);
                start[6] &= 0xfe;
                start[12..].copy_from_slice(&kind.to_be_bytes());
            }
            prop_assert_eq!(read(&cookies(), HERE, &bytes), None);
        }
    }

    #[test]
    fn questions_to_the_link_have_these_bytes() {
        let (ours, theirs) = v4();
        let arp = who_has(HERE, ours, theirs).unwrap();
        let mut expected = vec![0xff; 6];
        expected.extend_from_slice(&[2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        expected.extend_from_slice(&[2, 0, 0, 0, 0, 1, 198, 18, 0, 1]);
        expected.extend_from_slice(&[0, 0, 0, 0, 0, 0, 198, 18, 0, 9]);
        expected.resize(60, 0);
        assert_eq!(arp, expected);
        let (ours, theirs) = v6();
        let solicitation = who_has(HERE, ours, theirs).unwrap();
        assert_eq!(solicitation[..14], [0x33, 0x33, 0xff, 0, 0, 9, 2, 0, 0, 0, 0, 1, 0x86, 0xdd]);
        let packet = Packet::parse(&solicitation[14..]).unwrap();
        assert_eq!((packet.ttl, packet.destination), (255, "ff02::1:ff00:9".parse().unwrap()));
        assert_eq!(who_has(HERE, ours, v4().0), None);
    }

    #[test]
    fn a_question_is_a_whole_packet() {
        let (ours, theirs) = v4();
        let ends = Ends::new(ours, theirs).unwrap();
        let bytes = packet(&cookies(), ends, &Question::Tcp(443)).unwrap();
        assert_eq!(syn_by_hand(&bytes), (theirs, 443, 44));
    }

    /// Destination, port and length of a SYN, read by hand from RFC 791 and RFC 9293.
    fn syn_by_hand(bytes: &[u8]) -> (IpAddr, u16, u16) {
        let address = [bytes[16], bytes[17], bytes[18], bytes[19]];
        let port = u16::from_be_bytes([bytes[22], bytes[23]]);
        assert_eq!((bytes[9], bytes[33] & 0x3f), (6, tcp::SYN));
        (address.into(), port, u16::from_be_bytes([bytes[2], bytes[3]]))
    }
}
