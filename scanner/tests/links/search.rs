//! Searches of areas on the cable: the far end's kernel, and devices of the test's own making.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
};

use model::{AddressRange, Fact, MacAddr, Method, Observation, Site, Subject, Vantage};
use scanner::{
    Scope,
    net::{
        Link, Tier,
        connect::ConnectLink,
        raw::RawLink,
        search::{AreaLinks, Unsearchable, links},
    },
    plan::{Discover, Plan},
    rate::{Pacer, Rates},
    search::{Search, SearchOutcome},
    stop::Stop,
    sweep::{Fragile, Sweep, UdpQuestions},
};
use wire::{
    ethernet, icmp,
    ip::{self, Ends},
    mld, ndp,
};

use crate::{
    fake::{enter, far_end},
    lab::{FAR_MAC, FAR_V6, Lab, With, address, lab},
};

const FAR_LOCAL: &str = "fe80::ff:fe00:2";
const KEY: [u8; 16] = [7; 16];

/// The device of the test's own making.
const DEVICE: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x60]);

fn v6(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn area(text: &str) -> AddressRange {
    let (first, length) = text.split_once('/').unwrap();
    let first = v6(first).to_bits();
    let last = first | (u128::MAX >> length.parse::<u32>().unwrap());
    let [first, last] = [first, last].map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits)));
    AddressRange::new(first, last).unwrap()
}

fn scope(areas: &[&str]) -> Scope {
    Scope::default().with_areas(areas.iter().map(|text| area(text)).collect())
}

fn vantage() -> Vantage {
    Vantage { site: Site("lab".into()), name: "near".into() }
}

/// What was found, by which methods, and what a search says besides.
struct Ran {
    methods: BTreeMap<IpAddr, BTreeSet<Method>>,
    macs: BTreeMap<IpAddr, MacAddr>,
    outcome: SearchOutcome,
    lacks: Vec<String>,
}

fn search(tier: Tier, scope: &Scope) -> Ran {
    let AreaLinks { links, refused } = links(scope, None).unwrap();
    assert!(refused.is_empty(), "{refused:?}");
    let [link] = links.as_slice() else { panic!("{links:?}") };
    let known = link.known(Vec::new()).unwrap();
    let (mut group, lacks) = link.open(tier, KEY).unwrap();
    let mut observed: Vec<Observation> = Vec::new();
    let (stop, vantage) = (Stop::new(), vantage());
    let search = Search {
        scope,
        areas: &link.areas,
        known: &known,
        rates: Rates::default(),
        vantage: &vantage,
        stop: &stop,
    };
    let outcome = search.run(&mut *group, &mut |observation| observed.push(observation));
    let mut ran = Ran { methods: BTreeMap::new(), macs: BTreeMap::new(), outcome, lacks };
    for Observation { method, subject, fact, .. } in observed {
        let Subject::Address(address) = subject else { panic!("{subject}") };
        ran.methods.entry(address).or_default().insert(method);
        if let Fact::LinkAddress(mac) = fact {
            ran.macs.insert(address, mac);
        }
    }
    ran
}

/// Sweeps what a search brought, for liveness only. Who is there.
fn sweep(tier: Tier, scope: &Scope, outcome: &SearchOutcome) -> Vec<IpAddr> {
    let found = outcome.found.iter().chain(&outcome.known).chain(&outcome.guessed).copied();
    let plan = Plan {
        scope: scope.with_found(found),
        ports: "none".parse().unwrap(),
        discover: Discover::default(),
        rates: Rates { total: 1_000, per_host: 1_000, ..Rates::default() },
        key: KEY,
        assume_alive: false,
    };
    let mut link: Box<dyn Link> = match tier {
        Tier::Raw => Box::new(RawLink::open(None, KEY).unwrap()),
        Tier::Connect => Box::new(ConnectLink::open(None, KEY).unwrap()),
    };
    let (stop, vantage) = (Stop::new(), vantage());
    let sweep = Sweep {
        plan: &plan,
        vantage: &vantage,
        udp: UdpQuestions(&|_, _, _, _| Vec::new()),
        fragile: Fragile::NOBODY,
        stop: &stop,
    };
    let mut pacer = Pacer::new(plan.rates);
    let outcome = sweep.run(&mut *link, &mut pacer, &mut |_| {}, &mut |_| {});
    outcome.answering.alive.iter().map(|(address, _)| *address).collect()
}

/// A device in the far namespace that answers frames with frames, and keeps what it saw of the
/// near end's.
struct Device {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Vec<Vec<u8>>>>,
}

impl Device {
    fn start(lab: &Lab, answer: fn(&ip::Packet<'_>, &[u8]) -> Vec<Vec<u8>>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (ready, is_ready) = mpsc::channel();
        let (stopped, far) = (Arc::clone(&stop), lab.name("far"));
        let thread = thread::spawn(move || {
            enter(&far);
            let (mut sender, mut receiver) = far_end();
            ready.send(()).unwrap();
            let near = "02:00:00:00:00:01".parse().unwrap();
            let mut seen = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let Ok(bytes) = receiver.next() else { continue };
                let frame = ethernet::Frame::parse(bytes).unwrap();
                if frame.source != near || frame.ether_type != ethernet::IPV6 {
                    continue;
                }
                seen.push(frame.payload.to_vec());
                let packet = ip::Packet::parse(frame.payload).unwrap();
                for answer in answer(&packet, frame.payload) {
                    sender.send_to(&answer, None).unwrap().unwrap();
                }
            }
            seen
        });
        is_ready.recv().unwrap();
        Self { stop, thread: Some(thread) }
    }

    /// The packets that came from the near end.
    fn finish(mut self) -> Vec<Vec<u8>> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

/// A frame from the device.
fn frame(to: &str, from: &str, receiver: MacAddr, hop_limit: u8, message: &[u8]) -> Vec<u8> {
    let ends = Ends::V6(v6(from), v6(to));
    let mut message = message.to_vec();
    let sum = ends.checksum(ip::ICMPV6, &message, 1);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let packet = ip::packet(ends, ip::ICMPV6, hop_limit, &message);
    ethernet::frame(receiver, DEVICE, ethernet::IPV6, &packet)
}

const NEAR: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

fn is_echo_to_all(packet: &ip::Packet<'_>) -> bool {
    packet.destination == IpAddr::V6(mld::ALL_NODES) && packet.payload.first() == Some(&128)
}

fn all(ways: &[Method]) -> BTreeSet<Method> {
    ways.iter().copied().collect()
}

const IGNORE_GROUPS: &str = "/proc/sys/net/ipv6/icmp/echo_ignore_multicast";

#[test]
fn raw_finds_the_far_end_by_every_question() {
    lab(With::default(), |_| {
        let scope = scope(&["2001:db8::/64", "fe80::/64"]);
        let ran = search(Tier::Raw, &scope);
        let both = [Method::MulticastEcho, Method::MulticastOption];
        assert_eq!(ran.methods[&address(FAR_V6)], all(&both));
        // Reports come from the link-local address.
        let local = [both[0], both[1], Method::MulticastListener];
        assert_eq!(ran.methods[&address(FAR_LOCAL)], all(&local));
        let mac: MacAddr = FAR_MAC.parse().unwrap();
        assert_eq!(ran.macs, [(address(FAR_V6), mac), (address(FAR_LOCAL), mac)].into());
        let expected = [address(FAR_V6), address(FAR_LOCAL)].into();
        assert_eq!((ran.outcome.found.clone(), ran.outcome.complete), (expected, true));
        assert!(ran.outcome.gaps.is_empty() && ran.lacks.is_empty());
        let alive = sweep(Tier::Raw, &scope, &ran.outcome);
        let own = ["2001:db8::1", "fe80::ff:fe00:1"].map(address);
        assert_eq!(alive, [own[0], address(FAR_V6), own[1], address(FAR_LOCAL)]);
    });
}

#[test]
fn raw_finds_who_ignores_the_echo_by_the_option_and_by_its_groups() {
    lab(With::default(), |lab| {
        lab.write(&lab.name("far"), IGNORE_GROUPS, "1");
        let scope = scope(&["2001:db8::/64"]);
        let ran = search(Tier::Raw, &scope);
        assert_eq!(ran.methods, [(address(FAR_V6), all(&[Method::MulticastOption]))].into());

        // Nothing but reports, which come from an address that is no target: its groups and its
        // link-layer address show what may be there.
        lab.far("address add 2001:db8::ff:fe00:2/64 dev far0 nodad");
        lab.filter("ip6 nexthdr 60 drop;");
        let ran = search(Tier::Raw, &scope);
        assert!(ran.methods.is_empty(), "{:?}", ran.methods);
        assert_eq!((ran.outcome.found.len(), ran.outcome.elsewhere), (0, 1));
        let alive = sweep(Tier::Raw, &scope, &ran.outcome);
        assert_eq!(alive, ["2001:db8::1", FAR_V6, "2001:db8::ff:fe00:2"].map(address));
    });
}

/// A router, and somebody who answers in the names of others and with what is not ours.
fn router_and_forger(packet: &ip::Packet<'_>, whole: &[u8]) -> Vec<Vec<u8>> {
    let mut told = vec![134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1];
    told.extend(DEVICE.0);
    told.extend([3, 4, 64, 0xc0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    told.extend(v6("2001:db8::").octets());
    let report = |group: &str| {
        let mut report = vec![143, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0];
        report.extend(v6(group).octets());
        report
    };
    let all_nodes = MacAddr([0x33, 0x33, 0, 0, 0, 1]);
    match packet.payload.first() {
        Some(&ndp::ROUTER_SOLICITATION) => vec![
            frame("ff02::1", "fe80::60", all_nodes, 255, &told),
            // Over a router, and from an address of a wider scope.
            frame("ff02::1", "fe80::61", all_nodes, 64, &told),
            frame("ff02::1", "2001:db8::62", all_nodes, 255, &told),
        ],
        Some(&mld::QUERY) => vec![frame(
            "ff02::16",
            "fe80::63",
            MacAddr([0x33, 0x33, 0, 0, 0, 0x16]),
            2,
            &report("ff02::1:ff00:63"),
        )],
        Some(&128) if is_echo_to_all(packet) && packet.source == address("2001:db8::1") => {
            let mut honest = packet.payload.to_vec();
            honest[0] = 129;
            let mut forged = honest.clone();
            forged[9] ^= 1;
            let mut error = vec![4, 2, 0, 0, 0, 0, 0, 42];
            error.extend(whole);
            // The number of the echo, which has eight bytes behind it.
            let number = error.len() - 9;
            error[number] ^= 1;
            vec![
                frame("2001:db8::1", "2001:db8::60", NEAR, 64, &honest),
                // From addresses that are no targets, one of them excluded.
                frame("2001:db8::1", "2001:db8:5::66", NEAR, 64, &honest),
                frame("2001:db8::1", "2001:db8::bad", NEAR, 64, &honest),
                frame("2001:db8::1", "2001:db8::64", NEAR, 64, &forged),
                frame("2001:db8::1", "2001:db8::65", NEAR, 64, &error),
            ]
        }
        _ => Vec::new(),
    }
}

/// The target of a question to one address alone, if it is one.
fn asked_alone(packet: &[u8]) -> Option<IpAddr> {
    let packet = ip::Packet::parse(packet).unwrap();
    if packet.payload.first() == Some(&ndp::SOLICITATION) && packet.protocol == ip::ICMPV6 {
        let target: [u8; 16] = packet.payload[8..24].try_into().unwrap();
        return Some(IpAddr::from(target));
    }
    // That the near end's own kernel answers who asks it is no question.
    let is_answer = packet.payload.first() == Some(&ndp::ADVERTISEMENT);
    (!is_answer && !packet.destination.is_multicast()).then_some(packet.destination)
}

#[test]
fn what_is_forged_or_outside_is_not_believed_and_never_asked() {
    lab(With::default(), |lab| {
        let excluded = AddressRange::single(address("2001:db8::bad"));
        let scope = Scope::new(vec![], vec![excluded]).with_areas(vec![area("2001:db8::/64")]);
        let device = Device::start(lab, router_and_forger);
        let ran = search(Tier::Raw, &scope);
        assert_eq!(ran.outcome.found, [FAR_V6, "2001:db8::60"].map(address).into());
        assert_eq!(ran.macs[&address("2001:db8::60")], DEVICE);
        // The far end's link-local address, the router's, and the two of no target.
        assert_eq!(ran.outcome.elsewhere, 4);
        let [router] = ran.outcome.routers.as_slice() else { panic!("{:?}", ran.outcome) };
        assert_eq!((router.address, router.mac), (v6("fe80::60"), Some(DEVICE)));
        assert_eq!(router.prefixes, [ndp::Prefix { address: v6("2001:db8::"), length: 64 }]);

        // Whom nobody asked is not there; the device does not even answer solicitations.
        let alive = sweep(Tier::Raw, &scope, &ran.outcome);
        assert_eq!(alive, ["2001:db8::1", FAR_V6].map(address));
        let seen = device.finish();
        let asked: BTreeSet<IpAddr> = seen.iter().filter_map(|p| asked_alone(p)).collect();
        let wanted: BTreeSet<IpAddr> =
            [&ran.outcome.found, &ran.outcome.known, &ran.outcome.guessed]
                .into_iter()
                .flatten()
                .copied()
                .collect();
        assert!(asked.contains(&address("2001:db8::60")), "{asked:?}");
        assert!(asked.is_subset(&wanted), "{asked:?} is more than {wanted:?}");
        let inside = area("2001:db8::/64");
        assert!(asked.iter().all(|a| inside.contains(*a) && *a != address("2001:db8::bad")));
        // Two rounds or three of six questions to groups, and no other packet to a group but
        // for single addresses.
        let groups: Vec<IpAddr> = seen
            .iter()
            .map(|bytes| ip::Packet::parse(bytes).unwrap())
            .filter(|p| p.destination.is_multicast())
            .filter(|p| p.payload.first() != Some(&ndp::SOLICITATION))
            // What the near end's own kernel reports.
            .filter(|p| p.payload.first() != Some(&mld::REPORT_V2))
            .map(|p| p.destination)
            .collect();
        assert!((12..=18).contains(&groups.len()), "{}", groups.len());
        assert!(groups.iter().all(|g| ["ff02::1", "ff02::2"].map(address).contains(g)));
    });
}

#[test]
fn connect_finds_by_echo_where_the_system_allows_it_and_by_the_neighbour_table() {
    lab(With { unprivileged: true, ..With::default() }, |lab| {
        let scope = scope(&["2001:db8::/64"]);
        // A new namespace allows echo to nobody. What the system spoke with is all there is.
        let ran = search(Tier::Connect, &scope);
        assert!(ran.methods.is_empty());
        assert_eq!(ran.lacks.len(), 1);
        assert!(ran.lacks[0].contains("ping_group_range"), "{:?}", ran.lacks);
        assert!(!ran.outcome.known.contains(&address(FAR_V6)));
        let neighbor = format!("neighbor add {FAR_V6} lladdr {FAR_MAC} dev near0 nud stale");
        lab.near(&neighbor);
        let ran = search(Tier::Connect, &scope);
        assert!(ran.outcome.known.contains(&address(FAR_V6)), "{:?}", ran.outcome);
        lab.near(&format!("neighbor delete {FAR_V6} dev near0"));

        lab.write(&lab.name("near"), "/proc/sys/net/ipv4/ping_group_range", "0 0");
        let ran = search(Tier::Connect, &scope);
        let by_echo = all(&[Method::MulticastEcho]);
        assert_eq!(ran.methods, [(address(FAR_V6), by_echo)].into());
        assert!(ran.lacks[0].contains("by echo only"), "{:?}", ran.lacks);
        // The link-local address answered and is no target.
        assert_eq!(ran.outcome.elsewhere, 1);
        let alive = sweep(Tier::Connect, &scope, &ran.outcome);
        assert_eq!(alive, ["2001:db8::1", FAR_V6].map(address));

        lab.write(&lab.name("far"), IGNORE_GROUPS, "1");
        assert!(search(Tier::Connect, &scope).methods.is_empty());
    });
}

#[test]
fn an_area_that_is_on_no_link_of_ours_is_refused_with_the_reason() {
    lab(With::default(), |lab| {
        lab.near("route add 2001:db8:9::/64 via 2001:db8::2");
        for (area, expected) in [
            ("2001:db8:9::/64", Unsearchable::NotOnLink),
            ("2001:db8:77::/64", Unsearchable::NotOnLink),
            ("2001:db8::/32", Unsearchable::Partly),
        ] {
            let AreaLinks { links, refused } = links(&scope(&[area]), None).unwrap();
            assert!(links.is_empty(), "{area}");
            assert_eq!(refused.len(), 1, "{area}");
            assert_eq!((refused[0].0.to_string().as_str(), refused[0].1), (area, expected));
        }
        // A part of a network is on its link.
        assert_eq!(links(&scope(&["2001:db8::/96"]), None).unwrap().links.len(), 1);
        // With a second link, link-local addresses say nothing without an interface.
        assert_eq!(links(&scope(&["fe80::/64"]), None).unwrap().links.len(), 1);
        lab.near("link add more type veth peer name other");
        lab.near("link set more up");
        lab.near("link set other up");
        let AreaLinks { refused, .. } = links(&scope(&["fe80::/64"]), None).unwrap();
        assert_eq!(refused[0].1, Unsearchable::WhichLink);
        let AreaLinks { links, refused } = links(&scope(&["fe80::/64"]), Some("near0")).unwrap();
        assert!(refused.is_empty());
        assert_eq!(links[0].interface.name, "near0");
    });
}

#[test]
fn a_message_that_the_test_makes_is_one() {
    // Else silence in the tests above would mean nothing.
    let packet = ip::packet(
        Ends::V6(v6("2001:db8::1"), mld::ALL_NODES),
        ip::ICMPV6,
        64,
        &icmp::echo_request(Ends::V6(v6("2001:db8::1"), mld::ALL_NODES), 1, 2, b"cookies!"),
    );
    let read = ip::Packet::parse(&packet).unwrap();
    let frames = router_and_forger(&read, &packet);
    assert_eq!(frames.len(), 5);
    for frame in frames {
        let frame = ethernet::Frame::parse(&frame).unwrap();
        let packet = ip::Packet::parse(frame.payload).unwrap();
        assert!(icmp::Message::parse_icmpv6(packet.payload).is_ok());
    }
}
