//! What a search sends, and what it takes for a reply.

use model::MacAddr;
use wire::{
    ethernet,
    icmp::echo_request,
    ip::{self, Ends},
    ndp,
};

use super::{super::linux::filter, frames::Asker, *};
use crate::search::Said;

const HERE: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const THERE: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);

fn v6(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn asker() -> Asker {
    Asker::new(HERE, vec![v6("fe80::1"), v6("2001:db8::1")], [7; 16])
}

/// The packet of a question.
fn asked(question: GroupQuestion) -> Vec<u8> {
    let frame = asker().frame(question).unwrap();
    let frame = ethernet::Frame::parse(&frame).unwrap();
    assert_eq!(frame.source, HERE);
    // Without the padding of the frame.
    let len = 40 + usize::from(u16::from_be_bytes([frame.payload[4], frame.payload[5]]));
    frame.payload[..len].to_vec()
}

fn frame(to: MacAddr, ends: (&str, &str), ttl: u8, message: &[u8]) -> Vec<u8> {
    let ends = Ends::V6(v6(ends.0), v6(ends.1));
    ethernet::frame(to, THERE, ethernet::IPV6, &ip::packet(ends, ip::ICMPV6, ttl, message))
}

const GLOBAL: (&str, &str) = ("2001:db8::9", "2001:db8::1");

/// The echo that was asked from the global address, answered.
fn echo_reply() -> Vec<u8> {
    let mut message = asked(GroupQuestion::Echo(v6("2001:db8::1")))[40..].to_vec();
    message[0] = 129;
    message
}

fn refusal(question: GroupQuestion) -> Vec<u8> {
    let mut message = vec![4, 2, 0, 0, 0, 0, 0, 42];
    message.extend(asked(question));
    message
}

fn report(group: &str) -> Vec<u8> {
    let mut message = vec![143, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0];
    message.extend(v6(group).octets());
    message
}

fn router() -> Vec<u8> {
    vec![134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0]
}

#[test]
fn every_question_goes_to_a_group_of_the_link() {
    let questions = asker().questions();
    assert_eq!(questions.len(), 6);
    for question in questions {
        let bytes = asker().frame(question).unwrap();
        let frame = ethernet::Frame::parse(&bytes).unwrap();
        let packet = ip::Packet::parse(frame.payload).unwrap();
        let (group, mac, hop_limit) = match question {
            GroupQuestion::Routers => ("ff02::2", "33:33:00:00:00:02", 255),
            GroupQuestion::Listeners => ("ff02::1", "33:33:00:00:00:01", 1),
            _ => ("ff02::1", "33:33:00:00:00:01", 64),
        };
        assert_eq!(packet.destination.to_string(), group, "{question:?}");
        assert_eq!((frame.destination.to_string().as_str(), packet.ttl), (mac, hop_limit));
        assert_eq!(packet.protocol, ip::ICMPV6);
        let IpAddr::V6(source) = packet.source else { panic!() };
        let IpAddr::V6(to) = packet.destination else { panic!() };
        let sum = Ends::V6(source, to).checksum(ip::ICMPV6, packet.payload, 1);
        assert_eq!(packet.payload[2..4], sum.to_be_bytes(), "{question:?}");
    }
    let packet = asked(GroupQuestion::Listeners);
    let from = ip::Packet::parse(&packet).unwrap().source;
    // It loses the choice of who asks to every address that a router may have.
    assert_eq!(from.to_string(), "fe80::ffff:ffff:ffff:ffff");
    // Without a link-local address there is nothing to ask routers from.
    let bare = Asker::new(HERE, vec![v6("2001:db8::1")], [7; 16]);
    assert!(!bare.questions().contains(&GroupQuestion::Routers));
    assert_eq!(bare.frame(GroupQuestion::Routers), None);
}

#[track_caller]
fn check(frame: &[u8], expected: Option<Said>) {
    let got = asker().read(frame);
    assert_eq!(got.clone().map(|reply| reply.said), expected);
    if let Some(reply) = got {
        assert_eq!(reply.mac, Some(THERE));
        assert!(filter::lets_search_in(frame), "the kernel's filter drops it");
    }
}

#[test]
fn replies_are_told_apart() {
    let option = refusal(GroupQuestion::Option(v6("2001:db8::1")));
    check(&frame(HERE, GLOBAL, 64, &echo_reply()), Some(Said::Echo));
    check(&frame(HERE, GLOBAL, 64, &option), Some(Said::Option));
    let all_routers = MacAddr([0x33, 0x33, 0, 0, 0, 0x16]);
    let heard = frame(all_routers, ("fe80::9", "ff02::16"), 1, &report("ff02::1:ff00:9"));
    check(&heard, Some(Said::Listens(vec![v6("ff02::1:ff00:9")])));
    let told = ndp::Router { lifetime: 1_800, mac: None, prefixes: vec![] };
    let all_nodes = MacAddr([0x33, 0x33, 0, 0, 0, 1]);
    check(&frame(all_nodes, ("fe80::9", "ff02::1"), 255, &router()), Some(Said::Router(told)));
}

#[test]
fn what_is_forged_or_foreign_is_no_reply() {
    let echo = echo_reply();
    // For somebody else, by link-layer address and by address.
    check(&frame(THERE, GLOBAL, 64, &echo), None);
    check(&frame(HERE, ("2001:db8::9", "2001:db8::7"), 64, &echo), None);
    // The answer to the question that went out from the other address, and to none of ours.
    check(&frame(HERE, ("fe80::9", "fe80::1"), 64, &echo), None);
    for place in [4, 6, 8, 15] {
        let mut forged = echo.clone();
        forged[place] ^= 1;
        check(&frame(HERE, GLOBAL, 64, &forged), None);
    }
    // A request is none, and what an error quotes has to be ours, and to a group.
    check(&frame(HERE, GLOBAL, 64, &asked(GroupQuestion::Echo(v6("2001:db8::1")))[40..]), None);
    let option = GroupQuestion::Option(v6("2001:db8::1"));
    for place in [8 + 8, 8 + 24, 8 + 48 + 5] {
        let mut forged = refusal(option);
        forged[place] ^= 1;
        check(&frame(HERE, GLOBAL, 64, &forged), None);
    }
    let mut other_error = refusal(option);
    other_error[1] = 1;
    check(&frame(HERE, GLOBAL, 64, &other_error), None);
    // What came over a router, or from a wider address, was not said on this link.
    for (from, ttl) in [("fe80::9", 2), ("2001:db8::9", 1)] {
        check(&frame(HERE, (from, "ff02::16"), ttl, &report("ff02::1")), None);
    }
    for (from, ttl) in [("fe80::9", 254), ("2001:db8::9", 255)] {
        check(&frame(HERE, (from, "ff02::1"), ttl, &router()), None);
    }
    // Ourselves, and other networks' frames.
    check(&frame(HERE, ("2001:db8::1", "2001:db8::1"), 64, &echo), None);
    let mut tagged = frame(HERE, GLOBAL, 64, &echo);
    tagged.splice(12..12, [0x81, 0, 0, 7]);
    check(&tagged, None);
    assert!(asker().read(&[]).is_none());
}

#[test]
fn every_cut_of_a_reply_is_no_reply() {
    let option = refusal(GroupQuestion::Option(v6("fe80::1")));
    for (ends, ttl, message) in [
        (GLOBAL, 64, echo_reply()),
        (("fe80::9", "fe80::1"), 64, option),
        (("fe80::9", "ff02::16"), 1, report("ff02::1:ff00:9")),
        (("fe80::9", "ff02::1"), 255, router()),
    ] {
        let whole = frame(HERE, ends, ttl, &message);
        assert!(asker().read(&whole).is_some());
        // As far as the message reaches: 54 bytes of headers before it. An error needs no more
        // than the first eight bytes of what it quotes.
        let needed = match message[0] {
            4 => 54 + 8 + 40 + 8 + 8,
            129 => 54 + 16,
            _ => 54 + message.len(),
        };
        for len in 0..needed {
            assert_eq!(asker().read(&whole[..len]), None, "cut at {len}");
        }
    }
}

#[test]
fn nobody_hears_what_is_not_for_a_search() {
    let unwanted = [(1_u8, false), (4, true), (128, false), (129, true), (130, false)];
    let more = [(131_u8, true), (134, true), (135, false), (136, false), (143, true)];
    for (kind, expected) in unwanted.into_iter().chain(more) {
        let frame = frame(HERE, GLOBAL, 255, &[kind, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(filter::lets_search_in(&frame), expected, "{kind}");
    }
    let request = echo_request(Ends::V6(v6("::1"), v6("::1")), 1, 1, b"");
    let packet = ip::packet(Ends::V6(v6("::1"), v6("::1")), ip::TCP, 64, &request);
    assert!(!filter::lets_search_in(&ethernet::frame(HERE, THERE, ethernet::IPV6, &packet)));
    assert!(!filter::lets_search_in(&ethernet::frame(HERE, THERE, ethernet::ARP, &[0; 46])));
}
