//! Both tiers against real kernels, in network namespaces that each test makes itself.
//!
//! A test starts three times: as itself it makes the namespaces, then it starts its own
//! program again in the far one (servers) and in the near one (the body of the test).
//! The namespaces are joined by a virtual cable and have no way out. Making them needs
//! root, and the programs ip, nft and prlimit and setpriv of util-linux.

mod fake;
mod frames;
mod lab;
mod routing;
mod search;

use std::{net::TcpListener, time::Duration};

use lab::{
    BEYOND, FAR_MAC, FAR_V4, FAR_V6, Lab, NO_SUCH_FILE, NOBODY, PATIENCE, With, address, ask,
    check, check_silence, connect, lab, permit, raw, raw_via, send, ways,
};
use scanner::{
    LinkError,
    net::{
        Answer, Link, Question, Reply, Tier,
        connect::ConnectLink,
        interfaces::{Kind, interface, interfaces},
        neighbors::{State, neighbors},
        raw::Via,
        select::{self, Choice, Wanted},
    },
};

/// Longer than an answer that was sent is on its way.
const A_MOMENT: Duration = Duration::from_millis(100);

fn udp(port: u16) -> Question {
    Question::Udp(port, b"abc".to_vec())
}

#[test]
fn raw_hears_a_neighbour_in_every_way() {
    lab(With::default(), |_| {
        let mac = FAR_MAC.parse().unwrap();
        let families = [
            (FAR_V4, Question::Arp, Answer::Arp(mac)),
            (FAR_V6, Question::NeighborSolicitation, Answer::Neighbor(mac)),
        ];
        for (via, (far, who_has, claimed)) in
            ways().into_iter().flat_map(|via| families.clone().map(|family| (via, family)))
        {
            let link = &mut raw_via(via);
            assert!(link.is_on_link(address(far)));
            check(link, far, who_has, claimed);
            for (question, answer) in [
                (Question::Echo, Answer::Echo),
                (Question::Tcp(22), Answer::TcpOpen(22)),
                (Question::Tcp(23), Answer::TcpClosed(23)),
                // Whether anybody listens makes no difference to it.
                (Question::Ack(22), Answer::TcpReset(22)),
                (Question::Ack(23), Answer::TcpReset(23)),
                (udp(161), Answer::UdpReply(161, b"cba".to_vec())),
                // From another port than was asked.
                (udp(69), Answer::UdpReply(69, NO_SUCH_FILE.to_vec())),
            ] {
                let reply = ask(link, far, question);
                let expected = Reply { about: address(far), answer, ttl: Some(64), mac: Some(mac) };
                assert_eq!(reply, expected);
            }
            // Kernels take it that an error of the target itself quotes the target.
            check(link, far, udp(162), Answer::UdpClosed(162));
            if far == FAR_V4 {
                check(link, far, Question::Timestamp, Answer::Timestamp);
            } else {
                assert!(!link.can_ask(address(far), &Question::Timestamp));
            }
            assert_eq!((link.drops(), link.unsent()), (0, 0));
        }
    });
}

#[test]
fn raw_asks_for_the_link_layer_address_by_itself_when_nobody_did() {
    lab(With::default(), |_| {
        check(&mut raw(), FAR_V4, Question::Tcp(22), Answer::TcpOpen(22));
        check(&mut raw(), FAR_V6, Question::Tcp(23), Answer::TcpClosed(23));
        for via in ways() {
            let error = raw_via(via).send(permit(address(NOBODY)), &Question::Echo).unwrap_err();
            assert!(matches!(error, LinkError::NoRoute { .. }), "{error:?}");
            check_silence(&mut raw_via(via), NOBODY, Question::Arp);
        }
    });
}

/// Waits until no connection to port 22 of the far end is in that state: a number of
/// include/net/tcp_states.h, in the fourth column. Sockets that listen on `[::]` show
/// their IPv4 peers in tcp6.
#[track_caller]
fn wait_for_none_in(lab: &Lab, link: &dyn Link, state: &str) {
    let end = link.now() + PATIENCE;
    loop {
        let table = lab.read_far("/proc/net/tcp6");
        assert!(table.contains(":0016"), "port 22 is not listed: {table}");
        if !table.lines().any(|line| line.split_whitespace().nth(3) == Some(state)) {
            return;
        }
        assert!(link.now() < end, "it stays: {table}");
    }
}

#[test]
fn raw_leaves_no_half_open_connection() {
    const SYN_RECEIVED: &str = "03";
    lab(With::default(), |lab| {
        let link = &mut raw();
        check(link, FAR_V4, Question::Tcp(22), Answer::TcpOpen(22));
        wait_for_none_in(lab, link, SYN_RECEIVED);
    });
}

#[test]
fn connect_closes_what_it_opened() {
    const ESTABLISHED: &str = "01";
    lab(With::default(), |lab| {
        let link = &mut connect();
        check(link, FAR_V4, Question::Tcp(22), Answer::TcpOpen(22));
        wait_for_none_in(lab, link, ESTABLISHED);
    });
}

#[test]
fn raw_tells_filters_from_closed_ports_and_from_silence() {
    lab(With::default(), |lab| {
        lab.filter(
            "tcp dport 81 drop; udp dport 81 drop; \
             tcp dport 82 reject with icmpx admin-prohibited; \
             udp dport 82 reject with icmpx admin-prohibited; \
             tcp dport 83 reject with icmpx port-unreachable; \
             tcp dport 84 reject with tcp reset; \
             tcp dport 85 reject with icmpx host-unreachable;",
        );
        for (via, far) in ways().into_iter().flat_map(|via| [FAR_V4, FAR_V6].map(|far| (via, far)))
        {
            let link = &mut raw_via(via);
            check_silence(link, far, Question::Tcp(81));
            check_silence(link, far, udp(81));
            check(link, far, Question::Tcp(82), Answer::TcpFiltered(82));
            check(link, far, udp(82), Answer::UdpFiltered(82));
            check(link, far, Question::Tcp(83), Answer::TcpFiltered(83));
            check(link, far, Question::Tcp(84), Answer::TcpClosed(84));
            check(link, far, Question::Tcp(85), Answer::Unreachable);
        }
    });
}

#[test]
fn connect_tells_filters_from_closed_ports_and_from_silence() {
    lab(With::default(), |lab| {
        lab.filter(
            "tcp dport 81 drop; udp dport 81 drop; \
             tcp dport 82 reject with icmpx admin-prohibited; \
             udp dport 82 reject with icmpx admin-prohibited; \
             tcp dport 83 reject with icmpx port-unreachable; \
             tcp dport 84 reject with tcp reset; \
             tcp dport 85 reject with icmpx host-unreachable;",
        );
        let link = &mut connect();
        for far in [FAR_V4, FAR_V6] {
            assert!(link.is_on_link(address(far)));
            check(link, far, Question::Tcp(22), Answer::TcpOpen(22));
            check(link, far, Question::Tcp(23), Answer::TcpClosed(23));
            let sent = link.now();
            check(link, far, Question::Tcp(81), Answer::TcpSilent(81));
            // Before the kernel repeats its SYN.
            assert!(link.now() - sent < Duration::from_secs(1));
            check(link, far, Question::Tcp(82), Answer::TcpFiltered(82));
            check(link, far, Question::Tcp(83), Answer::TcpFiltered(83));
            check(link, far, Question::Tcp(84), Answer::TcpClosed(84));
            check(link, far, Question::Tcp(85), Answer::Unreachable);
            check(link, far, udp(161), Answer::UdpReply(161, b"cba".to_vec()));
            check(link, far, udp(69), Answer::UdpReply(69, NO_SUCH_FILE.to_vec()));
            check(link, far, udp(162), Answer::UdpClosed(162));
            check(link, far, udp(82), Answer::UdpFiltered(82));
            check_silence(link, far, udp(81));
        }
    });
}

#[test]
fn connect_asks_with_echo_where_the_system_allows_it() {
    lab(With { unprivileged: true, ..With::default() }, |lab| {
        let link = connect();
        let may = "/proc/sys/net/ipv4/ping_group_range";
        // A new namespace allows it to nobody ("1 0").
        assert!(!link.can_ask(address(FAR_V4), &Question::Echo));
        lab.write(&lab.name("near"), may, "0 0");
        let link = &mut connect();
        check(link, FAR_V4, Question::Echo, Answer::Echo);
        check(link, FAR_V6, Question::Echo, Answer::Echo);
        check_silence(link, NOBODY, Question::Echo);
    });
}

#[test]
fn both_tiers_go_through_routers() {
    lab(With::default(), |_| {
        check(&mut raw_via(Via::Portable), BEYOND, Question::Tcp(22), Answer::TcpOpen(22));
        let mut raw = raw();
        let reply = ask(&mut raw, BEYOND, Question::Tcp(22));
        // One router on the way, whose link-layer address is not the target's.
        assert_eq!((reply.answer, reply.ttl, reply.mac), (Answer::TcpOpen(22), Some(63), None));
        for link in [&mut raw as &mut dyn Link, &mut connect()] {
            assert!(!link.is_on_link(address(BEYOND)));
            assert!(!link.can_ask(address(BEYOND), &Question::Arp));
            check(link, BEYOND, Question::Tcp(22), Answer::TcpOpen(22));
            check(link, BEYOND, Question::Tcp(23), Answer::TcpClosed(23));
            check(link, BEYOND, udp(161), Answer::UdpReply(161, b"cba".to_vec()));
            check(link, BEYOND, udp(162), Answer::UdpClosed(162));
            // The router has no route there, and says so.
            check(link, "203.0.113.5", Question::Tcp(22), Answer::Unreachable);
            check(link, "203.0.113.5", udp(53), Answer::Unreachable);
        }
        check(&mut raw, "203.0.113.5", Question::Echo, Answer::Unreachable);
    });
}

#[test]
fn both_tiers_reach_the_machine_itself() {
    lab(With::default(), |_| {
        let _listener = TcpListener::bind("[::]:8080").unwrap();
        for link in [&mut raw() as &mut dyn Link, &mut connect()] {
            for own in ["127.0.0.1", "127.9.9.9", "::1", "198.18.0.1", "2001:db8::1"] {
                assert!(!link.is_on_link(address(own)), "{own}");
                assert!(!link.can_ask(address(own), &Question::Arp), "{own}");
                let open = ask(link, own, Question::Tcp(8080));
                assert_eq!(open.answer, Answer::TcpOpen(8080));
                // Where it is on the link the system knows of itself.
                let on_link = own.starts_with("198.") || own.starts_with("2001:");
                assert_eq!(open.mac, on_link.then(|| "02:00:00:00:00:01".parse().unwrap()));
                check(link, own, Question::Tcp(23), Answer::TcpClosed(23));
                check(link, own, udp(162), Answer::UdpClosed(162));
            }
        }
    });
}

#[test]
fn connect_never_takes_itself_for_a_service() {
    lab(With::default(), |lab| {
        // With so few ports to choose from, the kernel soon gives us the one we ask about.
        lab.write(&lab.name("near"), "/proc/sys/net/ipv4/ip_local_port_range", "40000 40003");
        let link = &mut connect();
        for _ in 0..50 {
            for port in 40_000..40_004 {
                check(link, "127.0.0.1", Question::Tcp(port), Answer::TcpClosed(port));
                check(link, "127.0.0.1", udp(port), Answer::UdpClosed(port));
            }
        }
    });
}

#[test]
fn what_cannot_be_sent_is_an_error_and_not_a_silence() {
    lab(With::default(), |_| {
        for link in [&mut raw() as &mut dyn Link, &mut connect()] {
            let error = link.send(permit(address("192.0.2.1")), &Question::Tcp(22)).unwrap_err();
            assert!(matches!(error, LinkError::NoRoute { .. }), "{error:?}");
            let error = link.send(permit(address("198.18.0.255")), &udp(161)).unwrap_err();
            assert!(matches!(error, LinkError::Send { .. }), "{error:?}");
            assert!(!link.can_ask(address("198.18.0.255"), &Question::Arp));
        }
        let long = Question::Udp(161, vec![0; 2000]);
        let error = raw().send(permit(address(FAR_V4)), &long).unwrap_err();
        assert!(matches!(error, LinkError::Send { .. }), "{error:?}");
    });
}

#[test]
fn an_interface_that_goes_down_is_noticed_while_listening() {
    lab(With::default(), |lab| {
        let near = || Some(interface("near0").unwrap());
        let [mut raw, mut portable] = ways().map(raw_via);
        check(&mut raw, FAR_V4, Question::Tcp(22), Answer::TcpOpen(22));
        check(&mut portable, FAR_V4, Question::Tcp(22), Answer::TcpOpen(22));
        let mut connect = ConnectLink::open(near(), [7; 16]).unwrap();
        check(&mut connect, FAR_V4, Question::Tcp(22), Answer::TcpOpen(22));
        // What the other one was answered is heard as well.
        while raw.receive(raw.now() + A_MOMENT).unwrap().is_some() {}
        lab.near("link set near0 down");
        for link in [&mut raw as &mut dyn Link, &mut portable, &mut connect] {
            let error = link.receive(link.now() + PATIENCE).unwrap_err();
            assert!(matches!(&error, LinkError::Down { interface, .. } if interface == "near0"));
            let error = send(link, address(FAR_V4), &Question::Tcp(22)).unwrap_err();
            assert!(matches!(&error, LinkError::Down { .. }), "{error:?}");
        }
    });
}

#[test]
fn an_interface_that_is_down_from_the_start_is_named() {
    lab(With::default(), |lab| {
        lab.near("link set near0 down");
        for choice in [Choice::Raw, Choice::Connect] {
            let (mut link, _) =
                select::open(choice, Some("near0"), [7; 16], Wanted::default()).unwrap();
            let error = send(link.as_mut(), address(FAR_V4), &Question::Tcp(22)).unwrap_err();
            assert!(matches!(&error, LinkError::Down { interface, .. } if interface == "near0"));
        }
    });
}

#[test]
fn a_cable_pulled_at_the_other_end_is_noticed() {
    lab(With::default(), |lab| {
        let mut link = raw();
        check(&mut link, FAR_V4, Question::Tcp(22), Answer::TcpOpen(22));
        lab.far("link set far0 down");
        let error = link.receive(link.now() + PATIENCE).unwrap_err();
        assert!(matches!(&error, LinkError::Down { .. }), "{error:?}");
    });
}

#[test]
fn an_interface_that_is_taken_away_is_noticed() {
    lab(With::default(), |lab| {
        let [mut one, mut other] = ways().map(raw_via);
        for link in [&mut one, &mut other] {
            check(link, FAR_V6, Question::Tcp(22), Answer::TcpOpen(22));
        }
        // What the other one was answered is heard as well.
        while one.receive(one.now() + A_MOMENT).unwrap().is_some() {}
        lab.near("link delete near0");
        for link in [&mut one, &mut other] {
            let error = link.receive(link.now() + PATIENCE).unwrap_err();
            assert!(matches!(&error, LinkError::Down { .. }), "{error:?}");
            let error = send(link, address(FAR_V6), &Question::Tcp(22)).unwrap_err();
            assert!(matches!(&error, LinkError::Down { .. }), "{error:?}");
        }
    });
}

#[test]
fn thirty_two_open_files_are_enough() {
    lab(With { open_files: Some(32), ..With::default() }, |lab| {
        lab.filter("tcp dport 81-200 drop;");
        let link = &mut connect();
        let most = link.most_under_way().unwrap();
        assert!((1..24).contains(&most), "{most}");
        // Somebody else takes what we had counted on.
        let others: Vec<TcpListener> =
            (0..8).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let (mut silent, mut busy, mut next) = (0, 0, 81);
        while silent < 40 {
            match link.send(permit(address(FAR_V4)), &Question::Tcp(next)) {
                Ok(()) => next += 1,
                Err(LinkError::Busy { .. }) => {
                    busy += 1;
                    let end = link.now() + PATIENCE;
                    match link.receive(end).unwrap().unwrap().answer {
                        Answer::TcpSilent(_) => silent += 1,
                        other => panic!("{other:?}"),
                    }
                }
                Err(other) => panic!("{other:?}"),
            }
        }
        assert!(busy > 0 && link.most_under_way().unwrap() <= most);
        drop(others);
        while link.receive(link.now() + Duration::from_secs(1)).unwrap().is_some() {}
        check(link, FAR_V4, Question::Tcp(22), Answer::TcpOpen(22));
    });
}

#[test]
fn a_neighbour_in_the_table_is_not_thereby_alive() {
    lab(With::default(), |lab| {
        let link = &mut connect();
        let stale = "198.18.0.70";
        lab.near("neigh add 198.18.0.70 lladdr 02:00:00:00:00:70 dev near0 nud stale");
        lab.near("neigh add 198.18.0.71 lladdr 02:00:00:00:00:71 dev near0 nud permanent");
        lab.near("neigh add 198.18.0.72 dev near0 nud failed");
        check(link, FAR_V4, Question::Tcp(22), Answer::TcpOpen(22));
        check(link, FAR_V6, Question::Tcp(22), Answer::TcpOpen(22));
        let heard = link.neighbors();
        let of = |wanted: &str| heard.iter().find(|known| known.address == address(wanted));
        for far in [FAR_V4, FAR_V6] {
            let known = of(far).unwrap_or_else(|| panic!("{far} is not in {heard:?}"));
            assert_eq!(known.mac, FAR_MAC.parse().unwrap());
            assert!(known.confirmed < Duration::from_secs(5), "{known:?}");
        }
        // In the table, but nobody ever confirmed it.
        assert!(of(stale).unwrap().confirmed > Duration::from_secs(30), "{heard:?}");
        assert_eq!(of("198.18.0.71"), None);
        assert_eq!(of("198.18.0.72"), None);
        let all = neighbors().unwrap();
        let state = |wanted: &str| {
            all.iter().find(|entry| entry.address == address(wanted)).map(|entry| entry.state)
        };
        assert_eq!(state(stale), Some(State::Stale));
        assert_eq!(state("198.18.0.71"), Some(State::Permanent));
    });
}

#[test]
fn nobody_there_ends_in_silence_and_in_no_neighbour() {
    lab(With::default(), |_| {
        let link = &mut connect();
        check(link, NOBODY, Question::Tcp(22), Answer::TcpSilent(22));
        assert_eq!(link.neighbors().iter().find(|n| n.address == address(NOBODY)), None);
    });
}

#[test]
fn no_more_than_half_the_neighbour_table_is_asked_for_at_once() {
    lab(With::default(), |lab| {
        lab.near("address add 198.18.8.1/21 dev near0");
        let link = &mut connect();
        let mut sent = 0;
        let error = loop {
            let to = format!("198.18.{}.{}", 8 + sent / 200, 2 + sent % 200);
            match link.send(permit(address(&to)), &Question::Tcp(22)) {
                Ok(()) => sent += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, LinkError::Busy { .. }), "{error:?}");
        assert_eq!(sent, 512);
    });
}

#[test]
fn link_local_addresses_are_found_on_the_one_link_there_is() {
    lab(With::default(), |_| {
        let far = "fe80::ff:fe00:2";
        for link in [&mut raw() as &mut dyn Link, &mut connect()] {
            check(link, far, Question::Tcp(22), Answer::TcpOpen(22));
            check(link, far, Question::Tcp(23), Answer::TcpClosed(23));
        }
        check(&mut raw(), far, Question::NeighborSolicitation, {
            Answer::Neighbor(FAR_MAC.parse().unwrap())
        });
    });
}

#[test]
fn with_two_links_a_link_local_address_needs_an_interface() {
    lab(With::default(), |lab| {
        let far = address("fe80::ff:fe00:2");
        lab.near("link add other0 type veth peer name other1");
        lab.near("link set other1 up");
        lab.near("link set other0 up");
        for link in [&mut raw() as &mut dyn Link, &mut connect()] {
            let error = link.send(permit(far), &Question::Tcp(22)).unwrap_err();
            assert!(matches!(error, LinkError::NoRoute { .. }), "{error:?}");
        }
        for choice in [Choice::Raw, Choice::Connect] {
            let (mut link, _) =
                select::open(choice, Some("near0"), [7; 16], Wanted::default()).unwrap();
            check(link.as_mut(), &far.to_string(), Question::Tcp(22), Answer::TcpOpen(22));
            // Elsewhere there is no way through that interface, and none is tried.
            let (mut link, _) =
                select::open(choice, Some("other0"), [7; 16], Wanted::default()).unwrap();
            let error = link.send(permit(address(FAR_V4)), &Question::Tcp(22)).unwrap_err();
            assert!(matches!(error, LinkError::NoRoute { .. }), "{choice}: {error:?}");
        }
    });
}

#[test]
fn without_the_capability_the_choice_is_connect_and_raw_says_why_not() {
    lab(With { unprivileged: true, ..With::default() }, |_| {
        let (mut link, reason) =
            select::open(Choice::Auto, None, [7; 16], Wanted::default()).unwrap();
        assert_eq!(reason, "connect: no CAP_NET_RAW");
        check(link.as_mut(), FAR_V4, Question::Tcp(22), Answer::TcpOpen(22));
        let error =
            select::open(Choice::Raw, Some("near0"), [7; 16], Wanted::default()).err().unwrap();
        assert_eq!(error.to_string(), "raw packets on near0 need the capability CAP_NET_RAW");
        assert!(select::advice(&error).unwrap().contains("setcap cap_net_raw+ep "));
        // To one interface without privilege, too.
        let (mut link, _) =
            select::open(Choice::Auto, Some("near0"), [7; 16], Wanted::default()).unwrap();
        check(link.as_mut(), FAR_V6, Question::Tcp(23), Answer::TcpClosed(23));
    });
}

#[test]
fn with_the_capability_the_choice_is_raw() {
    lab(With::default(), |_| {
        let (link, reason) = select::open(Choice::Auto, None, [7; 16], Wanted::default()).unwrap();
        assert_eq!((link.tier(), reason.as_str()), {
            (Tier::Raw, "raw: CAP_NET_RAW is there, with receive rings")
        });
    });
}

#[test]
fn interfaces_are_told_with_their_kinds_and_addresses() {
    lab(With::default(), |lab| {
        lab.near("link add docker0 type bridge");
        let all = interfaces().unwrap();
        let of = |name: &str| all.iter().find(|interface| interface.name == name).unwrap();
        let near = of("near0");
        assert_eq!((&near.kind, near.mtu, near.is_usable()), (&Kind::Veth, 1500, true));
        assert_eq!(near.mac, Some("02:00:00:00:00:01".parse().unwrap()));
        assert!(near.owns(address("198.18.0.1")) && near.owns(address("2001:db8::1")));
        assert!(near.addresses.contains(&(address("198.18.0.1"), 24)));
        assert!(near.link_local().is_some());
        assert_eq!((&of("docker0").kind, of("docker0").up), (&Kind::ContainerBridge, false));
        assert_eq!(of("lo").kind, Kind::Loopback);
    });
}
