//! Answers as they come, forged, cut, and about somebody else.

use proptest::prelude::*;
use wire::icmp;

use super::{
    super::{Question, raw_cookie::TcpCookie, raw_reference::packet},
    *,
};

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
        for question in [Question::Echo, Question::Tcp(80), Question::Udp(53, b"question".to_vec())]
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

#[test]
fn only_tftp_answers_from_another_port_and_only_in_its_own_words() {
    for (ours, theirs) in both() {
        let ends = Ends::new(theirs, ours).unwrap();
        let answer = |asked, from, payload: &[u8]| {
            let inside = udp::datagram(ends, from, cookies().udp(ours, theirs, asked), payload);
            read(&cookies(), HERE, &to_us(THERE, theirs, ours, ip::UDP, &inside))
        };
        let said = b"\0\x05\0\x01no such file\0";
        let Some(Heard::Reply(reply)) = answer(69, 40_123, said) else { panic!("no reply") };
        assert_eq!((reply.about, reply.answer), (theirs, Answer::UdpReply(69, said.to_vec())));
        assert_eq!(answer(69, 40_123, b"hello"), None);
        assert_eq!(answer(161, 40_123, said), None);
    }
}
