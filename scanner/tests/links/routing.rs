//! Routes that are remembered for many addresses, against the kernel asked for each.

use std::{collections::HashSet, net::IpAddr};

use scanner::{
    LinkError,
    net::{
        Answer, Link, Question,
        routes::{Hop, Routes},
    },
};

use crate::lab::{With, address, check, lab, permit, raw};

/// What is remembered for the stretches between all those edges is what the kernel says.
#[track_caller]
fn compare(all: &[IpAddr]) {
    let remembered = Routes::open(None).unwrap();
    for address in all {
        // One that was just opened remembers nothing.
        let asked = Routes::open(None).unwrap().to(*address).ok();
        assert_eq!(remembered.to(*address).ok(), asked, "{address}");
    }
    for address in all.iter().rev() {
        let asked = Routes::open(None).unwrap().to(*address).ok();
        assert_eq!(remembered.to(*address).ok(), asked, "{address} again");
    }
}

#[test]
fn a_more_specific_route_inside_of_a_network_is_honoured() {
    lab(With::default(), |lab| {
        lab.near("route add unreachable 198.19.0.128/25");
        lab.near("route add 198.18.0.64/30 via 198.18.0.2");
        lab.near("route add 198.18.0.66/32 dev near0");
        let link = &mut raw();
        check(link, "198.19.0.1", Question::Tcp(22), Answer::TcpOpen(22));
        let error = link.send(permit(address("198.19.0.200")), &Question::Tcp(22)).unwrap_err();
        assert!(matches!(error, LinkError::NoRoute { .. }), "{error:?}");
        for (last, on_link) in [(63, true), (64, false), (66, true), (67, false), (68, true)] {
            let to = IpAddr::from([198, 18, 0, last]);
            assert_eq!(link.is_on_link(to), on_link, "{to}");
            assert_eq!(link.can_ask(to, &Question::Arp), on_link, "{to}");
        }
        let near: Vec<IpAddr> = (0..=255).map(|last| [198, 18, 0, last].into()).collect();
        compare(&near);
        let far: Vec<IpAddr> = (0..=255).step_by(3).map(|last| [198, 19, 0, last].into()).collect();
        compare(&far);
    });
}

#[test]
fn where_a_route_spreads_each_address_goes_its_own_way() {
    lab(With::default(), |lab| {
        let hops = "nexthop via 198.18.0.2 nexthop via 198.18.0.77";
        lab.near(&format!("route add 192.0.2.0/24 {hops}"));
        let all: Vec<IpAddr> = (0..=255).step_by(2).map(|last| [192, 0, 2, last].into()).collect();
        compare(&all);
        let routes = Routes::open(None).unwrap();
        let used: HashSet<Hop> = all.iter().map(|to| routes.to(*to).unwrap().hop).collect();
        assert_eq!(used.len(), 2, "{used:?}");
    });
}

#[test]
fn rules_and_other_tables_draw_lines_too() {
    lab(With::default(), |lab| {
        lab.near("route add 192.0.2.0/24 via 198.18.0.2");
        lab.near("rule add to 192.0.2.16/28 lookup 77");
        lab.near("route add 192.0.2.0/25 via 198.18.0.77 table 77");
        lab.near("route add 192.0.2.20/32 dev near0 table 77");
        let all: Vec<IpAddr> = (0..=60).map(|last| [192, 0, 2, last].into()).collect();
        compare(&all);
        let routes = Routes::open(None).unwrap();
        let hop = |last: u8| routes.to([192, 0, 2, last].into()).unwrap().hop;
        assert_eq!(hop(15), Hop::Gateway(address("198.18.0.2")));
        assert_eq!(hop(16), Hop::Gateway(address("198.18.0.77")));
        assert_eq!(hop(20), Hop::Link);
    });
}

#[test]
fn ipv6_is_sent_from_the_address_that_the_kernel_would_choose() {
    lab(With::default(), |lab| {
        lab.near("address add 2001:db8:0:1::1/64 dev near0 nodad");
        lab.near("address add 2001:db8:0:1::8000:1/128 dev near0 nodad");
        lab.near("address add fd00:1::1/64 dev near0 nodad");
        lab.near("-6 route add default via 2001:db8::2");
        let texts = [
            "2001:db8::2",
            "2001:db8::ffff",
            "2001:db8:0:1::2",
            "2001:db8:0:1::8000:2",
            "2001:db8:0:1::8000:ffff",
            "2001:db8:0:1:8000::",
            "2001:db8:0:2::1",
            "2001:db8:8000::1",
            "2002:c612::1",
            "2001::1",
            "3fff::1",
            "fd00:1::9",
            "fd00:2::9",
            "fdff::1",
            "64:ff9b::c612:1",
            "fe80::ff:fe00:2",
            "2001:db8::1",
        ];
        let all: Vec<IpAddr> = texts.into_iter().map(address).collect();
        compare(&all);
        let routes = Routes::open(None).unwrap();
        let sources: HashSet<Option<IpAddr>> =
            all.iter().filter_map(|to| Some(routes.to(*to).ok()?.source)).collect();
        assert!(sources.len() >= 4, "{sources:?}");
    });
}
