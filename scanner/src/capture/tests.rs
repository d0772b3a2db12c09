//! Hand-made frames, and every cut of them.

use std::net::{Ipv4Addr, Ipv6Addr};

use model::{NetworkRole, RouterProtocol, Site};
use proptest::prelude::*;
use wire::{arp::Arp, ndp};

use super::*;

mod again;
mod handshakes;
mod tunnels;
mod voice;

const DEVICE: MacAddr = MacAddr([0x00, 0x1b, 0x21, 0, 0, 7]);
const OTHER: MacAddr = MacAddr([0x00, 0x1b, 0x21, 0, 0, 8]);
const VIRTUAL: MacAddr = MacAddr([0x00, 0x00, 0x5e, 0x00, 0x01, 7]);
const HERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);
const THERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 9);
const HERE6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0x21b, 0x21ff, 0xfe00, 7);

fn listen() -> Capture {
    Capture::new(Vantage { site: Site("plant".into()), name: "here".into() })
}

/// What the frames tell, one a second, without who is merely there.
fn heard(frames: &[Vec<u8>]) -> Vec<Observation> {
    let mut capture = listen();
    let mut all = Vec::new();
    for (n, frame) in frames.iter().enumerate() {
        let at = Timestamp::from_seconds(i64::try_from(n).unwrap());
        capture.frame(at, frame, &mut |observation| all.push(observation));
    }
    assert!(all.iter().all(|o| o.method == Method::Capture && o.vantage.name == "here"));
    all.retain(|o| !matches!(o.fact, Fact::Alive { .. }));
    all
}

/// The bindings that a frame tells; it may tell nothing else.
#[track_caller]
fn check(frame: &[u8], expected: &[(IpAddr, MacAddr)]) {
    let told: Vec<(IpAddr, MacAddr)> = heard(&[frame.to_vec()])
        .into_iter()
        .map(|observation| match (observation.subject, observation.fact) {
            (Subject::Address(address), Fact::LinkAddress(mac)) => (address, mac),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, expected);
}

fn arp(source: MacAddr, message: Arp) -> Vec<u8> {
    ethernet::frame(MacAddr::BROADCAST, source, ethernet::ARP, &message.build())
}

fn reply(mac: MacAddr, address: Ipv4Addr) -> Arp {
    let operation = wire::arp::Operation::Reply;
    Arp { operation, target_mac: OTHER, ..Arp::request(mac, address, THERE) }
}

#[test]
fn senders_of_arp_say_where_they_are() {
    let here = [(IpAddr::V4(HERE), DEVICE)];
    check(&arp(DEVICE, Arp::request(DEVICE, HERE, THERE)), &here);
    check(&arp(DEVICE, reply(DEVICE, HERE)), &here);
    // Gratuitous, as a question and as an answer (RFC 5227, section 2.3).
    check(&arp(DEVICE, Arp::request(DEVICE, HERE, HERE)), &here);
    check(&arp(DEVICE, Arp { target_ip: HERE, ..reply(DEVICE, HERE) }), &here);
}

#[test]
fn who_has_no_address_yet_binds_none() {
    check(&arp(DEVICE, Arp::request(DEVICE, Ipv4Addr::UNSPECIFIED, HERE)), &[]);
    check(&arp(DEVICE, reply(DEVICE, Ipv4Addr::BROADCAST)), &[]);
    check(&arp(DEVICE, reply(DEVICE, Ipv4Addr::new(224, 0, 0, 5))), &[]);
    check(&arp(DEVICE, reply(DEVICE, Ipv4Addr::LOCALHOST)), &[]);
    let reverse = Arp { operation: wire::arp::Operation::Other(3), ..reply(DEVICE, HERE) };
    check(&arp(DEVICE, reverse), &[]);
}

#[test]
fn roles_and_groups_bind_nothing() {
    check(&arp(VIRTUAL, reply(VIRTUAL, HERE)), &[]);
    for mac in [MacAddr::BROADCAST, MacAddr([1, 0, 0x5e, 0, 0, 1]), MacAddr([0; 6])] {
        check(&arp(mac, reply(mac, HERE)), &[]);
    }
}

#[test]
fn a_sender_of_two_minds_is_an_anomaly() {
    for frame in [
        arp(OTHER, reply(DEVICE, HERE)),
        v6(OTHER, 255, HERE6, ip::ICMPV6, &ndp::solicitation(HERE6, DEVICE, HERE6)),
    ] {
        let told = heard(&[frame]);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].subject, Subject::Mac(OTHER));
        assert!(matches!(told[0].fact, Fact::Anomaly { .. }));
    }
}

fn v6(mac: MacAddr, hops: u8, source: Ipv6Addr, protocol: u8, inside: &[u8]) -> Vec<u8> {
    let ends = ip::Ends::V6(source, Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1));
    let packet = ip::packet(ends, protocol, hops, inside);
    ethernet::frame(MacAddr([0x33, 0x33, 0, 0, 0, 1]), mac, ethernet::IPV6, &packet)
}

fn advertisement(target: Ipv6Addr, option: u8, mac: MacAddr) -> Vec<u8> {
    let mut bytes = vec![136, 0, 0, 0, 0x20, 0, 0, 0];
    bytes.extend(target.octets());
    bytes.extend([option, 1]);
    bytes.extend(mac.0);
    bytes
}

#[test]
fn neighbours_say_where_they_are() {
    let here = [(IpAddr::V6(HERE6), DEVICE)];
    let global = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7);
    let ask = ndp::solicitation(HERE6, DEVICE, global);
    check(&v6(DEVICE, 255, HERE6, ip::ICMPV6, &ask), &here);
    let tell = advertisement(global, 2, DEVICE);
    check(&v6(DEVICE, 255, HERE6, ip::ICMPV6, &tell), &[(IpAddr::V6(global), DEVICE)]);
    let router = [&[133, 0, 0, 0, 0, 0, 0, 0, 1, 1][..], &DEVICE.0].concat();
    check(&v6(DEVICE, 255, HERE6, ip::ICMPV6, &router), &here);
    let mut router = vec![134, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1];
    router.extend(DEVICE.0);
    let told = heard(&[v6(DEVICE, 255, HERE6, ip::ICMPV6, &router)]);
    let told: Vec<Fact> = told.into_iter().map(|observation| observation.fact).collect();
    // For no time at all: it is nobody's way out.
    let role = NetworkRole::Router(RouterProtocol::PrefixAdvertisement);
    assert_eq!(told, [Fact::Role(role), Fact::LinkAddress(DEVICE)]);
}

#[test]
fn neighbours_that_bind_nothing() {
    // Through a router.
    let ask = ndp::solicitation(HERE6, DEVICE, HERE6);
    check(&v6(DEVICE, 254, HERE6, ip::ICMPV6, &ask), &[]);
    // Looking whether an address is free.
    check(&v6(DEVICE, 255, Ipv6Addr::UNSPECIFIED, ip::ICMPV6, &ask), &[]);
    // Without an option, or with the one that does not belong there.
    check(&v6(DEVICE, 255, HERE6, ip::ICMPV6, &advertisement(HERE6, 2, DEVICE)[..24]), &[]);
    check(&v6(DEVICE, 255, HERE6, ip::ICMPV6, &advertisement(HERE6, 1, DEVICE)), &[]);
    let virtual_router = advertisement(HERE6, 2, VIRTUAL);
    check(&v6(VIRTUAL, 255, HERE6, ip::ICMPV6, &virtual_router), &[]);
    let group = advertisement(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1), 2, DEVICE);
    check(&v6(DEVICE, 255, HERE6, ip::ICMPV6, &group), &[]);
}

#[test]
fn an_option_without_length_is_an_anomaly_of_its_sender() {
    let mut bytes = advertisement(HERE6, 2, DEVICE);
    bytes[25] = 0;
    let told = heard(&[v6(DEVICE, 255, HERE6, ip::ICMPV6, &bytes)]);
    assert_eq!((told.len(), told[0].subject), (1, Subject::Mac(DEVICE)));
}

fn v4_udp(mac: MacAddr, ends: (Ipv4Addr, Ipv4Addr), ports: (u16, u16), inside: &[u8]) -> Vec<u8> {
    let ends = ip::Ends::V4(ends.0, ends.1);
    let packet = ip::packet(ends, ip::UDP, 255, &udp::datagram(ends, ports.0, ports.1, inside));
    ethernet::frame(MacAddr::BROADCAST, mac, ethernet::IPV4, &packet)
}

#[test]
fn packets_behind_a_router_bind_nothing() {
    let foreign = Ipv4Addr::new(203, 0, 113, 80);
    check(&v4_udp(OTHER, (foreign, HERE), (53, 4_000), b"x"), &[]);
    let whole = ip::packet(ip::Ends::V4(foreign, HERE), ip::TCP, 57, &[0; 20]);
    check(&ethernet::frame(DEVICE, OTHER, ethernet::IPV4, &whole), &[]);
}

fn dhcp_message(op: u8, own: Ipv4Addr, yours: Ipv4Addr, relay: u8, options: &[u8]) -> Vec<u8> {
    let mut bytes = vec![op, 1, 6, 0, 1, 2, 3, 4, 0, 0, 0, 0];
    bytes.extend(own.octets());
    bytes.extend(yours.octets());
    bytes.extend([0, 0, 0, 0, relay, 0, 0, 0]);
    bytes.extend(DEVICE.0);
    bytes.resize(236, 0);
    bytes.extend([0x63, 0x82, 0x53, 0x63]);
    bytes.extend(options);
    bytes
}

const NOBODY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const EVERYBODY: Ipv4Addr = Ipv4Addr::BROADCAST;

fn request(own: Ipv4Addr, relay: u8, options: &[u8]) -> Vec<u8> {
    let message = dhcp_message(1, own, NOBODY, relay, options);
    v4_udp(DEVICE, (own, EVERYBODY), (68, 67), &message)
}

fn acknowledgement() -> Vec<u8> {
    let message = dhcp_message(2, NOBODY, HERE, 0, b"\x35\x01\x05\x36\x04\xc0\0\x02\x01\xff");
    v4_udp(OTHER, (THERE, HERE), (67, 68), &message)
}

#[test]
fn a_dhcp_client_says_who_it_is() {
    let options = b"\x35\x01\x03\x0c\x07Pc-7\x007x\x3c\x0cudhcp 1.22.1\
        \x3d\x07\x01\0\x1b\x21\0\0\x07\x37\x03\x01\x03\x06\xff";
    let told = heard(&[request(NOBODY, 0, options)]);
    assert!(told.iter().all(|o| o.subject == Subject::Mac(DEVICE)));
    let facts: Vec<Fact> = told.into_iter().map(|o| o.fact).collect();
    let fingerprint = |kind, value: &str| Fact::Fingerprint { kind, value: value.to_owned() };
    let expected = [
        Fact::HostName { name: "pc-7".into(), source: model::NameSource::Dhcp },
        Fact::MachineId {
            kind: model::MachineIdKind::DhcpClientId,
            value: "01001b21000007".into(),
        },
        fingerprint(model::FingerprintKind::DhcpVendorClass, "udhcp 1.22.1"),
        fingerprint(model::FingerprintKind::Dhcp, "1,3,6"),
    ];
    assert_eq!(facts, expected);
}

#[test]
fn addresses_are_given_by_acknowledgement_and_kept_by_renewal() {
    let told = heard(&[acknowledgement()]);
    let told: Vec<(Subject, Fact)> = told.into_iter().map(|o| (o.subject, o.fact)).collect();
    let server = Subject::Address(Ipv4Addr::new(192, 0, 2, 1).into());
    let expected = [
        (server, Fact::Role(NetworkRole::DhcpServer)),
        (Subject::Address(HERE.into()), Fact::LinkAddress(DEVICE)),
    ];
    assert_eq!(told, expected);
    let renewal = b"\x35\x01\x03\xff";
    check(&request(HERE, 0, renewal), &[(IpAddr::V4(HERE), DEVICE)]);
    check(&request(NOBODY, 0, b"\x35\x01\x03\x32\x04\xc0\0\x02\x07\xff"), &[]);
    // Through a relay the client's address is the relay's word.
    check(&request(HERE, 10, renewal), &[]);
    // An offer is not taken yet, a release gives back.
    let offer = dhcp_message(2, NOBODY, HERE, 0, b"\x35\x01\x02\xff");
    check(&v4_udp(OTHER, (THERE, EVERYBODY), (67, 68), &offer), &[]);
    check(&request(HERE, 0, b"\x35\x01\x07\xff"), &[]);
}

fn mdns_answer(address: Ipv4Addr) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    bytes.extend(b"\x03Pc7\x05local\0\0\x01\x80\x01\0\0\0\x78\0\x04");
    bytes.extend(address.octets());
    bytes
}

#[test]
fn devices_announce_their_own_names_only() {
    let group = Ipv4Addr::new(224, 0, 0, 251);
    let say = |address| v4_udp(DEVICE, (HERE, group), (5353, 5353), &mdns_answer(address));
    let told = heard(&[say(HERE), say(THERE)]);
    // The group is never forwarded, so that the sender is where the frame comes from.
    assert!(told.iter().all(|o| o.subject == Subject::Address(HERE.into())));
    let told: Vec<&Fact> = told.iter().map(|observation| &observation.fact).collect();
    let name = Fact::HostName { name: "pc7.local".into(), source: model::NameSource::Mdns };
    assert_eq!(told, [&Fact::LinkAddress(DEVICE), &name]);
    check(&v4_udp(DEVICE, (HERE, group), (5353, 5353), &[0; 40]), &[(IpAddr::V4(HERE), DEVICE)]);
}

#[test]
fn the_same_is_told_again_after_a_while_and_a_change_at_once() {
    let mut capture = listen();
    let mut tell = |second: i64, frame: &[u8]| {
        let mut told = Vec::new();
        capture.frame(Timestamp::from_seconds(second), frame, &mut |o| told.push(o.fact));
        told
    };
    let alive = Fact::Alive { ttl: None };
    let (a, b) = (arp(DEVICE, reply(DEVICE, HERE)), arp(OTHER, reply(OTHER, HERE)));
    assert_eq!(tell(0, &a), [alive.clone(), Fact::LinkAddress(DEVICE)]);
    assert_eq!(tell(1, &a), []);
    assert_eq!(tell(2, &b), [alive.clone(), Fact::LinkAddress(OTHER)]);
    assert_eq!(tell(3, &a), [Fact::LinkAddress(DEVICE)]);
    assert_eq!(tell(63, &a), [alive, Fact::LinkAddress(DEVICE)]);
    assert_eq!(capture.counts().frames, 5);
}

#[test]
fn a_flood_of_forged_senders_is_forgotten_again() {
    let mut capture = listen();
    let mut count = 0;
    for n in 0..70_000_u32 {
        let [_, a, b, c] = n.to_be_bytes();
        let mac = MacAddr([0, 0x1b, 0x21, a, b, c]);
        let frame = ethernet::frame(MacAddr::BROADCAST, mac, 0x9999, &[]);
        capture.frame(Timestamp(0), &frame, &mut |_| count += 1);
    }
    assert_eq!(count, 70_000);
    assert!(capture.known.remembered() <= known::MOST_REMEMBERED);
}

#[test]
fn cooked_frames_say_the_same() {
    let message = reply(DEVICE, HERE).build();
    let mut first = vec![0, 1, 0, 1, 0, 6];
    first.extend(DEVICE.0);
    first.extend([0, 0, 0x81, 0, 0, 7, 8, 6]);
    first.extend(&message);
    let mut second = vec![8, 6, 0, 0, 0, 0, 0, 3, 0, 1, 1, 6];
    second.extend(DEVICE.0);
    second.extend([0, 0]);
    second.extend(&message);
    for (link, bytes) in [(113, first), (276, second)] {
        for len in 0..=bytes.len() {
            let mut told = Vec::new();
            let link = LinkType::from(link);
            listen().frame_of(link, Timestamp(0), &bytes[..len], &mut |o| told.push(o.fact));
            let bound = told.contains(&Fact::LinkAddress(DEVICE));
            assert_eq!(bound, len == bytes.len(), "{link:?} cut at {len}");
        }
    }
    let mut capture = listen();
    capture.frame_of(LinkType::Other(147), Timestamp(0), &message, &mut |o| panic!("{o:?}"));
    assert_eq!(capture.counts(), Counts { frames: 1, ..Counts::default() });
}

/// One frame of each kind.
fn each_kind() -> Vec<Vec<u8>> {
    let group = Ipv4Addr::new(224, 0, 0, 251);
    let options = b"\x35\x01\x01\x0c\x03pc7\x3c\x03abc\x3d\x02\0a\x51\x07\x04\0\0\x02pc\0\xff";
    vec![
        arp(DEVICE, reply(DEVICE, HERE)),
        v6(DEVICE, 255, HERE6, ip::ICMPV6, &advertisement(HERE6, 2, DEVICE)),
        request(NOBODY, 0, options),
        acknowledgement(),
        v4_udp(DEVICE, (HERE, group), (5353, 5353), &mdns_answer(HERE)),
    ]
}

#[test]
fn every_cut_tells_a_part_of_the_whole() {
    for frame in each_kind() {
        let whole: Vec<(Subject, Fact)> =
            heard(std::slice::from_ref(&frame)).into_iter().map(|o| (o.subject, o.fact)).collect();
        assert!(!whole.is_empty());
        for len in 0..frame.len() {
            for told in heard(&[frame[..len].to_vec()]) {
                // A cut in the parameters or in a name at the end leaves less of the same kind.
                let kind = std::mem::discriminant(&told.fact);
                let known = whole
                    .iter()
                    .any(|(s, f)| *s == told.subject && std::mem::discriminant(f) == kind);
                assert!(known, "cut at {len}: {told:?}");
            }
        }
    }
}

proptest! {
    #[test]
    fn any_damage_is_borne(
        which in 0..5_usize,
        changes in proptest::collection::vec((any::<u16>(), any::<u8>()), 1..12),
        cut in any::<u16>(),
    ) {
        let mut frame = each_kind().swap_remove(which);
        for (at, value) in changes {
            let at = usize::from(at) % frame.len();
            frame[at] = value;
        }
        frame.truncate(usize::from(cut) % (frame.len() * 2) + 1);
        for observation in heard(&[frame]) {
            prop_assert!(observation.evidence.len() <= Observation::MAX_EVIDENCE);
            if let Fact::LinkAddress(mac) = observation.fact {
                prop_assert!(is_of_an_interface(mac));
            }
        }
    }
}

#[path = "tests/unasked.rs"]
mod unasked;
