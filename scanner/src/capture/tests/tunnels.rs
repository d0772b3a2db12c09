//! The same message, in every wrapping.

use super::*;

/// What is in every tunnel: a device's own word, in a frame and in a packet alone.
fn frame() -> Vec<u8> {
    arp(DEVICE, reply(DEVICE, HERE))
}

fn packet() -> Vec<u8> {
    let ends = ip::Ends::V4(HERE, Ipv4Addr::new(224, 0, 0, 251));
    ip::packet(ends, ip::UDP, 255, &udp::datagram(ends, 5353, 5353, &mdns_answer(HERE)))
}

fn tunnel(protocol: u8, inside: &[u8]) -> Vec<u8> {
    let packet = ip::packet(ip::Ends::V4(THERE, HERE), protocol, 64, inside);
    ethernet::frame(OTHER, OTHER, ethernet::IPV4, &packet)
}

fn by_udp(port: u16, head: &[u8], inside: &[u8]) -> Vec<u8> {
    v4_udp(OTHER, (THERE, HERE), (40_000, port), &[head, inside].concat())
}

fn tagged(kinds: &[u16], ether_type: u16, inside: &[u8]) -> Vec<u8> {
    let mut bytes = [&OTHER.0[..], &DEVICE.0].concat();
    for (n, kind) in kinds.iter().enumerate() {
        bytes.extend(kind.to_be_bytes());
        bytes.extend([0x20, 7 + u8::try_from(n).unwrap()]);
    }
    bytes.extend(ether_type.to_be_bytes());
    bytes.extend(inside);
    bytes
}

/// The whole tells it, and no cut of it tells anything else.
#[track_caller]
fn check_link(link: u32, bytes: &[u8], expected: &Fact) {
    for len in 0..=bytes.len() {
        let mut told = Vec::new();
        let link = LinkType::from(link);
        listen().frame_of(link, Timestamp(0), &bytes[..len], &mut |o| told.push(o.fact));
        told.retain(|fact| !matches!(fact, Fact::Alive { .. } | Fact::Vlan(_)));
        assert!(told.iter().all(|fact| fact == expected), "cut at {len}: {told:?}");
        if len == bytes.len() {
            assert_eq!(told, std::slice::from_ref(expected));
        }
    }
}

#[track_caller]
fn check_frame(bytes: &[u8]) {
    check_link(1, bytes, &Fact::LinkAddress(DEVICE));
}

fn named() -> Fact {
    Fact::HostName { name: "pc7.local".into(), source: model::NameSource::Mdns }
}

#[track_caller]
fn check_packet(bytes: &[u8]) {
    check_link(1, bytes, &named());
}

#[test]
fn frames_in_tunnels_bind_as_those_outside() {
    check_frame(&tagged(&[0x8100], ethernet::ARP, &frame()[14..]));
    check_frame(&tagged(&[0x88a8, 0x8100], ethernet::ARP, &frame()[14..]));
    // 802.3 with SNAP.
    let snap = [&[0xaa, 0xaa, 3, 0, 0, 0, 8, 6], &frame()[14..42]].concat();
    let mut bytes = [&OTHER.0[..], &DEVICE.0, &[0, 36]].concat();
    bytes.extend(snap);
    check_frame(&bytes);
    check_frame(&tunnel(47, &[&[0, 0, 0x65, 0x58][..], &frame()].concat()));
    let erspan_2 = [&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 1, 0, 1, 0, 0, 0, 0][..], &frame()];
    check_frame(&tunnel(47, &erspan_2.concat()));
    let erspan_1 = [&[0, 0, 0x88, 0xbe][..], &frame()];
    check_frame(&tunnel(47, &erspan_1.concat()));
    let mut head = vec![0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1];
    head.extend([0; 8]);
    check_frame(&tunnel(47, &[head, frame()].concat()));
    check_frame(&by_udp(4789, &[8, 0, 0, 0, 0, 0, 7, 0], &frame()));
    check_frame(&by_udp(6081, &[1, 0, 0x65, 0x58, 0, 0, 7, 0, 1, 2, 3, 0], &frame()));
    check_frame(&tagged(&[], 0x8847, &[&[0, 1, 1, 64, 0, 0, 0, 0][..], &frame()].concat()));
    check_frame(&tagged(&[], 0x88e7, &[&[0, 0, 0, 7][..], &frame()].concat()));
}

#[test]
fn the_innermost_vlan_is_told() {
    let vlans = |kinds: &[u16]| -> Vec<Fact> {
        let told = heard(&[tagged(kinds, ethernet::ARP, &frame()[14..])]);
        told.into_iter().map(|o| o.fact).filter(|f| matches!(f, Fact::Vlan(_))).collect()
    };
    assert_eq!(vlans(&[]), []);
    assert_eq!(vlans(&[0x8100]), [Fact::Vlan(7)]);
    assert_eq!(vlans(&[0x88a8, 0x8100]), [Fact::Vlan(8)]);
}

#[test]
fn packets_in_tunnels_are_read_too() {
    check_packet(&tunnel(4, &packet()));
    check_packet(&tunnel(47, &[&[0x20, 0, 8, 0, 0, 0, 0, 7][..], &packet()].concat()));
    check_packet(&tagged(&[], 0x8847, &[&[0, 1, 0, 64, 0, 2, 1, 64][..], &packet()].concat()));
    let len = u16::try_from(packet().len() + 2).unwrap().to_be_bytes();
    let pppoe = [&[0x11, 0, 0, 7][..], &len, &[0, 0x21], &packet()].concat();
    check_packet(&tagged(&[], 0x8864, &pppoe));
    check_packet(&by_udp(2152, &[0x30, 255, 0, 0, 0, 0, 0, 7], &packet()));
    let extended = [0x34, 255, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0xc0, 1, 0, 0, 0];
    check_packet(&by_udp(2152, &extended, &packet()));
}

#[test]
fn a_packet_alone_binds_nothing() {
    // A neighbour's word that came through a tunnel for packets.
    let ends = ip::Ends::V6(HERE6, Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1));
    let inside = ip::packet(ends, ip::ICMPV6, 255, &ndp::solicitation(HERE6, DEVICE, HERE6));
    check(&tunnel(41, &inside), &[]);
    let renewal = dhcp_message(1, HERE, NOBODY, 0, b"\x35\x01\x03\xff");
    let ends = ip::Ends::V4(HERE, EVERYBODY);
    let inside = ip::packet(ends, ip::UDP, 64, &udp::datagram(ends, 68, 67, &renewal));
    check(&tunnel(4, &inside), &[]);
}

#[test]
fn tunnels_in_tunnels_end_somewhere() {
    let mut inside = packet();
    for depth in 0..40 {
        let told = heard(&[ethernet::frame(OTHER, OTHER, ethernet::IPV4, &inside)]);
        let is_told = told.iter().any(|o| o.fact == named());
        assert_eq!(is_told, depth <= MOST_LAYERS, "{depth} deep");
        inside = ip::packet(ip::Ends::V4(THERE, HERE), 4, 64, &inside);
    }
}

#[test]
fn other_links_say_the_same() {
    for link in [12, 14, 101, 228] {
        check_link(link, &packet(), &named());
    }
    for link in [0, 108] {
        check_link(link, &[&[2, 0, 0, 0][..], &packet()].concat(), &named());
    }
    check_link(9, &[&[0xff, 3, 0, 0x21][..], &packet()].concat(), &named());
    check_link(50, &[&[0x21][..], &packet()].concat(), &named());
    check_link(104, &[&[0x0f, 0, 8, 0][..], &packet()].concat(), &named());
    let len = u16::try_from(packet().len() + 4).unwrap().to_le_bytes();
    let head = [2, 0, 0, 0, 5, 0, 10, 0, b'x', 0, 0, 0];
    check_link(239, &[&head[..], &len, &[9, 0], &packet()].concat(), &named());
}

#[test]
fn frames_on_the_air_bind_their_first_sender() {
    let bound = Fact::LinkAddress(DEVICE);
    let data = |flags: u8, kind: u8, addresses: [MacAddr; 3], more: &[u8]| {
        let mut bytes = vec![kind, flags, 0, 0];
        addresses.iter().for_each(|mac| bytes.extend(mac.0));
        bytes.extend([0, 0]);
        bytes.extend(more);
        bytes.extend([0xaa, 0xaa, 3, 0, 0, 0, 8, 6]);
        bytes.extend(&frame()[14..42]);
        bytes
    };
    let point = MacAddr([2, 0, 0, 0, 0, 99]);
    let to_point = data(1, 0x08, [point, DEVICE, OTHER], &[]);
    check_link(105, &to_point, &bound);
    check_link(105, &data(2, 0x08, [OTHER, point, DEVICE], &[]), &bound);
    let between = [&DEVICE.0[..], &[0, 0]].concat();
    check_link(105, &data(3, 0x88, [point, point, OTHER], &between), &bound);
    // Encrypted: from whom, and nothing else.
    let mut told = Vec::new();
    let secret = data(0x41, 0x08, [point, DEVICE, OTHER], &[]);
    listen().frame_of(LinkType::Wireless, Timestamp(0), &secret, &mut |o| told.push(o));
    assert_eq!((told.len(), told[0].subject), (1, Subject::Mac(DEVICE)));
    let radio = [&[0, 0, 18, 0, 3, 0, 0, 0][..], &[0; 8], &[0x10, 0], &to_point, &[1, 2, 3, 4]];
    check_link(127, &radio.concat(), &bound);
}

#[test]
fn parts_of_a_packet_are_read_as_one() {
    let whole = packet();
    let part = |offset: usize, more: bool, range: std::ops::Range<usize>| {
        let mut bytes = whole[..20].to_vec();
        let len = u16::try_from(20 + range.len()).unwrap();
        bytes[2..4].copy_from_slice(&len.to_be_bytes());
        let place = u16::try_from(offset / 8).unwrap() | u16::from(more) << 13;
        bytes[6..8].copy_from_slice(&place.to_be_bytes());
        bytes.extend(&whole[20..][range]);
        ethernet::frame(OTHER, DEVICE, ethernet::IPV4, &bytes)
    };
    let len = whole.len() - 20;
    let told = heard(&[part(24, false, 24..len), part(0, true, 0..24)]);
    let names = |told: &[Observation]| told.iter().filter(|o| o.fact == named()).count();
    assert_eq!(names(&told), 1);
    assert_eq!(names(&heard(&[part(0, true, 0..24)])), 0);
}
