use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use model::{
    AddressRange, Fact, MacAddr, Method, Observation, PortState, Site, Subject, Transport, Vantage,
};

use proptest::prelude::*;

use super::*;
use crate::{
    Scope,
    net::{
        Question, Tier,
        scripted::{Device, Elsewhere, Fault, Scripted},
    },
    plan::{Discover, Plan},
    rate::Rates,
    targets::{Purpose, Selection},
};

mod bulk;
mod congestion;
mod guard;
mod parts;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn range(first: &str, last: &str) -> AddressRange {
    AddressRange::new(ip(first), ip(last)).unwrap()
}

fn scope(target: &str) -> Scope {
    let mut selection = Selection::default();
    for part in target.split_whitespace() {
        selection.add(Purpose::Target, part);
    }
    assert_eq!(selection.errors(), []);
    selection.scope()
}

fn plan(target: &str, ports: &str) -> Plan {
    Plan {
        scope: scope(target),
        ports: ports.parse().unwrap(),
        discover: Discover::default(),
        rates: Rates::default(),
        key: *b"0123456789abcdef",
        assume_alive: false,
    }
}

struct Run {
    outcome: SweepOutcome,
    seen: Vec<Observation>,
    progress: Vec<Progress>,
}

fn payload(_: IpAddr, port: u16, cookie: u32, _: u64) -> Vec<u8> {
    let mut bytes = port.to_be_bytes().to_vec();
    bytes.extend(cookie.to_be_bytes());
    bytes
}

fn run_until(plan: &Plan, link: &mut Scripted, stop: &Stop) -> Run {
    let vantage = Vantage { site: Site("test".into()), name: "here".into() };
    let sweep = Sweep {
        plan,
        vantage: &vantage,
        udp: UdpQuestions(&payload),
        fragile: Fragile::NOBODY,
        stop,
    };
    let mut pacer = Pacer::new(plan.rates);
    let mut seen = Vec::new();
    let mut progress = Vec::new();
    let outcome =
        sweep.run(link, &mut pacer, &mut |observation| seen.push(observation), &mut |told| {
            progress.push(told);
        });
    check_rates(plan.rates, link);
    assert_eq!(outcome.probes_sent, link.sent.len() as u64);
    for sent in &link.sent {
        assert!(plan.scope.permit(sent.to).is_ok(), "{} was not permitted", sent.to);
    }
    Run { outcome, seen, progress }
}

fn run(plan: &Plan, link: &mut Scripted) -> Run {
    run_until(plan, link, &Stop::new())
}

/// The most entries of an ascending list that lie in any half-open second.
fn most_in_a_second(times: &[Duration]) -> usize {
    let mut first = 0;
    let mut most = 0;
    for (last, at) in times.iter().enumerate() {
        while times[first] + Duration::from_secs(1) <= *at {
            first += 1;
        }
        most = most.max(last - first + 1);
    }
    most
}

/// No half-open second of the log holds more than the rates, what the system sent by
/// itself included.
fn check_rates(rates: Rates, link: &Scripted) {
    let mut sent: Vec<(Duration, IpAddr)> = link.sent.iter().map(|s| (s.at, s.to)).collect();
    sent.extend(&link.by_system);
    sent.sort_unstable();
    let all: Vec<Duration> = sent.iter().map(|(at, _)| *at).collect();
    let most = most_in_a_second(&all);
    assert!(most <= rates.total as usize, "{most} in a second");
    let mut each: BTreeMap<IpAddr, Vec<Duration>> = BTreeMap::new();
    let mut networks: BTreeMap<u32, Vec<Duration>> = BTreeMap::new();
    for (at, to) in sent {
        each.entry(to).or_default().push(at);
        if let IpAddr::V4(v4) = to {
            networks.entry(v4.to_bits() >> 8).or_default().push(at);
        }
    }
    for times in networks.into_values() {
        let most = most_in_a_second(&times);
        assert!(most <= rates.per_network as usize, "{most} in a second to one network");
    }
    for (to, times) in each {
        let most = most_in_a_second(&times);
        assert!(most <= rates.per_host as usize, "{most} in a second to {to}");
    }
}

#[test]
fn a_network_gets_no_more_than_its_rate_and_others_go_on() {
    let sweep = |per_network| {
        let mut link = Scripted::new(Tier::Raw);
        for n in 1..=60 {
            link.devices.insert(IpAddr::from([192, 0, 2, n]), Device::new(n, "22"));
            link.devices.insert(IpAddr::from([198, 51, 100, n]), Device::new(n, "22"));
        }
        let mut plan = plan("192.0.2.0/26 198.51.100.0/26", "20-39");
        plan.rates = Rates { total: 1_000, per_network, ..Rates::default() };
        // That the rates hold is checked at each run.
        assert_eq!(run(&plan, &mut link).open().len(), 120);
        let last = |first: u8| {
            let is_of = |to: IpAddr| matches!(to, IpAddr::V4(v4) if v4.octets()[0] == first);
            link.sent.iter().rfind(|sent| is_of(sent.to)).unwrap().at
        };
        // Both networks get theirs at the same time, not one after the other.
        assert!(last(192).abs_diff(last(198)) < Duration::from_secs(2));
        link.elapsed()
    };
    let (free, limited) = (sweep(u32::MAX), sweep(100));
    // And before, each round of questions to who is silent waits a second for answers.
    let each = Duration::from_secs(60 * 20 / 100);
    assert!(limited > free + each / 4, "{limited:?} instead of {free:?}");
    assert!(limited < each + Duration::from_secs(24), "{limited:?}");
}

impl Run {
    fn alive(&self) -> BTreeSet<IpAddr> {
        self.outcome.answering.alive.iter().map(|(address, _)| *address).collect()
    }

    fn methods(&self, address: &str) -> BTreeSet<Method> {
        self.facts(address)
            .filter(|o| matches!(o.fact, Fact::Alive { .. }))
            .map(|o| o.method)
            .collect()
    }

    fn facts(&self, address: &str) -> impl Iterator<Item = &Observation> {
        let address = ip(address);
        self.seen.iter().filter(move |o| o.subject.address() == Some(address))
    }

    fn open(&self) -> Vec<String> {
        self.outcome.answering.open.iter().map(ToString::to_string).collect()
    }

    fn ports(&self, address: &str, transport: Transport, state: PortState) -> String {
        self.facts(address)
            .find_map(|o| match &o.fact {
                Fact::Ports { transport: t, state: s, ports } if (*t, *s) == (transport, state) => {
                    Some(ports.to_string())
                }
                _ => None,
            })
            .unwrap_or_default()
    }

    fn gaps(&self) -> Vec<String> {
        self.outcome.gaps.iter().map(|gap| format!("{}: {}", gap.target, gap.reason)).collect()
    }
}

/// A /24 on the link with devices of all sorts.
fn office(tier: Tier) -> Scripted {
    let mut link = Scripted::new(tier);
    link.on_link = vec![range("192.0.2.0", "192.0.2.255")];
    link.devices.insert(ip("192.0.2.1"), Device::new(1, "22,53,443"));
    link.devices.insert(ip("192.0.2.20"), Device::shy(20, "9100"));
    link.devices.insert(ip("192.0.2.21"), Device::shy(21, ""));
    link.devices.insert(ip("192.0.2.22"), Device::shy(22, "62078"));
    link.devices
        .insert(ip("192.0.2.53"), Device { udp: "53".parse().unwrap(), ..Device::new(53, "53") });
    link.devices.insert(
        ip("192.0.2.80"),
        Device { tcp_else: Elsewhere::Prohibited, echo: false, ..Device::new(80, "80") },
    );
    link
}

const OFFICE: [&str; 6] =
    ["192.0.2.1", "192.0.2.20", "192.0.2.21", "192.0.2.22", "192.0.2.53", "192.0.2.80"];

#[test]
fn everything_on_the_link_is_found_in_both_tiers() {
    for tier in [Tier::Raw, Tier::Connect] {
        let mut link = office(tier);
        let run = run(&plan("192.0.2.0/24", "default"), &mut link);
        assert_eq!(run.alive(), OFFICE.map(ip).into(), "{tier}");
        let expected = [
            "192.0.2.1:22/tcp",
            "192.0.2.1:53/tcp",
            "192.0.2.1:443/tcp",
            "192.0.2.20:9100/tcp",
            "192.0.2.22:62078/tcp",
            "192.0.2.53:53/tcp",
            "192.0.2.53:53/udp",
            "192.0.2.80:80/tcp",
        ];
        assert_eq!(run.open(), expected, "{tier}");
        assert!(run.outcome.complete);
        assert_eq!(run.gaps(), [""; 0]);
        let closed: model::PortSet =
            run.ports("192.0.2.1", Transport::Tcp, PortState::Closed).parse().unwrap();
        assert_eq!(closed.len(), 197);
        assert_eq!(run.ports("192.0.2.1", Transport::Tcp, PortState::Filtered), "");
        let filtered: model::PortSet =
            run.ports("192.0.2.20", Transport::Tcp, PortState::Filtered).parse().unwrap();
        assert_eq!(filtered.len(), 199);
        let silent: model::PortSet =
            run.ports("192.0.2.20", Transport::Udp, PortState::OpenFiltered).parse().unwrap();
        assert_eq!(silent.len(), crate::ports::UDP.len());
        let prohibited: model::PortSet =
            run.ports("192.0.2.80", Transport::Tcp, PortState::Filtered).parse().unwrap();
        assert_eq!(prohibited.len(), 199);
        let (mac, by) = run
            .facts("192.0.2.21")
            .find_map(|o| match o.fact {
                Fact::LinkAddress(mac) => Some((mac, o.method)),
                _ => None,
            })
            .unwrap();
        assert_eq!(mac, MacAddr([2, 0, 0, 0, 0, 21]));
        let expected = if tier == Tier::Raw { Method::Arp } else { Method::NeighborTable };
        assert_eq!(by, expected);
        assert_eq!(run.outcome.answering.udp_replies.len(), 1);
        assert!(link.most_seen_under_way <= 200);
        // The printer gets a question a second, with room for what the system answers.
        assert!(link.elapsed() < Duration::from_secs(300), "{tier}: {:?}", link.elapsed());
    }
}

#[test]
fn every_method_that_answered_is_told_once() {
    let run = run(&plan("192.0.2.0/24", "22,53,443,u:53"), &mut office(Tier::Raw));
    let expected = [Method::Arp, Method::Echo, Method::TcpSyn, Method::Udp];
    assert_eq!(run.methods("192.0.2.1"), expected.into());
    assert_eq!(run.methods("192.0.2.21"), [Method::Arp].into());
    let told = run.facts("192.0.2.1").filter(|o| matches!(o.fact, Fact::Alive { .. })).count();
    assert_eq!(told, 4);
    let ttl = run.facts("192.0.2.1").find_map(|o| match o.fact {
        Fact::Alive { ttl } if o.method == Method::Echo => ttl,
        _ => None,
    });
    assert_eq!(ttl, Some(64));
}

#[test]
fn two_devices_with_one_address_are_both_told() {
    let mut link = office(Tier::Raw);
    link.rivals.insert(ip("192.0.2.1"), MacAddr([2, 0, 0, 0, 0, 99]));
    let run = run(&plan("192.0.2.0/24", "22"), &mut link);
    let macs = |address| -> Vec<(MacAddr, Method)> {
        let told = run.facts(address).filter_map(|o| match o.fact {
            Fact::LinkAddress(mac) => Some((mac, o.method)),
            _ => None,
        });
        told.collect()
    };
    let arp = |last| (MacAddr([2, 0, 0, 0, 0, last]), Method::Arp);
    assert_eq!(macs("192.0.2.1"), [arp(1), arp(99)]);
    assert_eq!(macs("192.0.2.53"), [arp(53)]);
}

#[test]
fn an_address_behind_a_router_is_found_by_any_of_the_questions() {
    for tier in [Tier::Raw, Tier::Connect] {
        let mut link = Scripted::new(tier);
        let ports = ["443", "22", "80", "445", "3389"];
        for (n, port) in (1_u8..).zip(ports) {
            link.devices.insert(IpAddr::from([198, 51, 100, n]), Device::shy(n, port));
        }
        link.devices.insert(ip("198.51.100.9"), Device::new(9, ""));
        let run = run(&plan("198.51.100.0/24", "22,443,9999,8888"), &mut link);
        assert_eq!(run.alive().len(), 6, "{tier}");
        assert!(run.outcome.complete);
    }
}

#[test]
fn no_port_is_asked_twice_without_need() {
    let mut link = Scripted::new(Tier::Raw);
    link.devices.insert(ip("198.51.100.1"), Device { echo: false, ..Device::new(1, "80") });
    run(&plan("198.51.100.1", "22,80,443,8080"), &mut link);
    let mut asked: Vec<&Question> = link.sent.iter().map(|sent| &sent.question).collect();
    asked.sort_by_key(|question| format!("{question:?}"));
    let all = asked.len();
    asked.dedup();
    assert_eq!(asked.len(), all, "{asked:?}");
}

#[test]
fn silence_costs_no_more_than_it_should() {
    // Alive by ARP, and behind a filter: two passes of questions for ports, not three.
    let mut link = Scripted::new(Tier::Raw);
    link.on_link = vec![range("192.0.2.0", "192.0.2.255")];
    link.devices.insert(ip("192.0.2.1"), Device::shy(1, ""));
    run(&plan("192.0.2.1", "1-100"), &mut link);
    // And four times it is looked whether it is still there, by an ARP request.
    assert_eq!(link.sent.len(), 1 + 2 + 200 + 4);
    // Nobody there, nor near it: two ARP requests, and it ends when they have expired.
    let mut link = Scripted::new(Tier::Raw);
    link.on_link = vec![range("192.0.2.0", "192.0.2.255")];
    let run = run(&plan("192.0.2.1", "1-100"), &mut link);
    assert_eq!(link.sent.len(), 2);
    assert!(run.outcome.complete);
    assert!(link.elapsed() < Duration::from_millis(3_200), "{:?}", link.elapsed());
}

#[test]
fn ipv6_on_the_link_is_solicited() {
    let mut link = Scripted::new(Tier::Raw);
    link.on_link = vec![range("2001:db8::", "2001:db8::ffff")];
    link.devices.insert(ip("2001:db8::17"), Device::shy(17, "22"));
    let run = run(&plan("2001:db8::10-1f", "22"), &mut link);
    assert_eq!(run.open(), ["[2001:db8::17]:22/tcp"]);
    assert!(run.methods("2001:db8::17").contains(&Method::NeighborSolicitation));
}

#[test]
fn a_stale_neighbour_is_nobody() {
    let mut link = Scripted::new(Tier::Connect);
    link.on_link = vec![range("192.0.2.0", "192.0.2.255")];
    link.stale = vec![(ip("192.0.2.77"), MacAddr([2; 6]), Duration::from_secs(300))];
    let run = run(&plan("192.0.2.77", "22"), &mut link);
    assert_eq!(run.alive(), BTreeSet::new());
    assert_eq!(run.outcome.coverage.len(), 1);
    assert!(run.outcome.coverage[0].methods.contains(&Method::NeighborTable));
}

#[test]
fn a_neighbour_that_was_heard_before_and_answers_only_arp_is_found_again() {
    let mut link = office(Tier::Connect);
    let mac = MacAddr([2, 0, 0, 0, 0, 21]);
    link.stale = vec![(ip("192.0.2.21"), mac, Duration::from_secs(300))];
    let run = run(&plan("192.0.2.21", "22"), &mut link);
    assert_eq!(run.methods("192.0.2.21"), [Method::NeighborTable].into());
    assert!(link.elapsed() < Duration::from_secs(20), "{:?}", link.elapsed());
}

#[test]
fn a_neighbour_that_the_system_heard_lately_and_does_not_ask_was_there_then() {
    let at_start = Scripted::new(Tier::Connect).timestamp();
    for (age, told) in [(10, true), (29, true), (300, false)] {
        let mut link = office(Tier::Connect);
        link.devices.remove(&ip("192.0.2.21"));
        let mac = MacAddr([2, 0, 0, 0, 0, 21]);
        link.stale = vec![(ip("192.0.2.21"), mac, Duration::from_secs(age))];
        let run = run(&plan("192.0.2.21", "22"), &mut link);
        assert_eq!(run.outcome.answering.alive.len(), 0, "{age}: nothing is known of now");
        assert_eq!(run.outcome.coverage.is_empty(), told, "{age}: silence would look like absence");
        let seen: Vec<i64> = run.seen.iter().map(|o| o.observed_at.0).collect();
        let then = at_start.0 - i64::try_from(age * 1_000_000).unwrap();
        assert_eq!(seen, if told { vec![then, then] } else { vec![] }, "{age}");
        let gap = run.gaps().iter().any(|gap| gap.starts_with("192.0.2.21: "));
        assert_eq!(gap, told, "{age}: {:?}", run.gaps());
    }
}

#[test]
fn exclusions_are_never_asked() {
    let mut selection = Selection::default();
    selection.add(Purpose::Target, "192.0.2.0/24");
    selection.add(Purpose::Exclusion, "192.0.2.16/28");
    let plan = Plan { scope: selection.scope(), ..plan("192.0.2.0/24", "22") };
    let mut link = office(Tier::Raw);
    let run = run(&plan, &mut link);
    assert!(link.sent.iter().all(|s| !range("192.0.2.16", "192.0.2.31").contains(s.to)));
    assert_eq!(run.alive().len(), 3);
    let covered: u128 = run.outcome.coverage.iter().map(|c| c.range.len()).sum();
    assert_eq!(covered, 254 - 16);
}

#[test]
fn recall_is_whole_without_loss_and_nearly_whole_with() {
    for (loss, tier) in [(0, Tier::Raw), (50, Tier::Raw), (0, Tier::Connect), (50, Tier::Connect)] {
        let mut link = Scripted::new(tier);
        link.loss = loss;
        link.most_under_way = link.most_under_way.map(|_| 1_000);
        let mut wanted = 0;
        for n in 0..200_u8 {
            let ports = ["22,80", "443", "9100,515,631", "3389,445", "8080", "5900"];
            let tcp = ports[usize::from(n) % ports.len()];
            wanted += tcp.split(',').count();
            let device = Device { ttl: 60 + n % 5, ..Device::new(n, tcp) };
            let net = if n % 2 == 0 { [198, 51, 100, n + 1] } else { [203, 0, 113, n + 1] };
            link.devices.insert(IpAddr::from(net), device);
        }
        link.on_link = vec![range("198.51.100.0", "198.51.100.255")];
        let mut plan =
            plan("198.51.100.0/24 203.0.113.0/24", "22,80,443,445,515,631,3389,5900,8080,9100");
        plan.rates = Rates { total: 5_000, per_host: 100, ..Rates::default() };
        let run = run(&plan, &mut link);
        let found = run.outcome.answering.open.len();
        let least = if loss == 0 { wanted } else { wanted * 99 / 100 };
        assert!(found >= least, "{tier}, loss {loss}: {found} of {wanted}");
        assert!(run.alive().len() * 1_000 >= 200 * if loss == 0 { 1_000 } else { 990 });
        assert!(run.outcome.complete);
    }
}

#[test]
fn the_rates_hold_with_many_and_with_one() {
    for rates in [
        Rates { total: 50, per_host: 2, ..Rates::default() },
        Rates { total: 200, per_host: 10, ..Rates::default() },
        Rates::default(),
    ] {
        for tier in [Tier::Raw, Tier::Connect] {
            if tier == Tier::Connect && rates.per_host < 4 {
                continue;
            }
            let mut link = office(tier);
            link.devices.insert(ip("192.0.2.2"), Device::new(2, "1-65535"));
            link.lateness = Duration::from_micros(700);
            let plan = Plan { rates, ..plan("192.0.2.0/26", "20-90") };
            let run = run(&plan, &mut link);
            assert!(run.outcome.complete);
            assert!(run.progress.iter().all(|told| told.packets_per_second <= rates.total));
        }
    }
}

#[test]
fn saturation_reaches_the_rate() {
    let mut link = Scripted::new(Tier::Raw);
    link.on_link = vec![range("10.0.0.0", "10.0.255.255")];
    link.lateness = Duration::from_millis(1);
    let plan = plan("10.0.0.0/20", "80");
    let run = run(&plan, &mut link);
    let ideal = run.outcome.probes_sent as f64 / 1_000.0;
    let took = link.elapsed().as_secs_f64();
    assert!(took <= ideal / 0.95 + 1.5, "{took} s instead of {ideal}");
}

#[test]
fn the_same_key_gives_the_same_run_and_another_another() {
    let sent = |key: [u8; 16]| {
        let mut link = office(Tier::Raw);
        link.loss = 20;
        let plan = Plan { key, ..plan("192.0.2.0/25", "22,80,u:53") };
        run(&plan, &mut link);
        link.sent
    };
    assert_eq!(sent([1; 16]), sent([1; 16]));
    assert_ne!(sent([1; 16]), sent([2; 16]));
}

#[test]
fn progress_never_falls_and_is_told_ten_times_a_second_at_most() {
    let mut link = office(Tier::Raw);
    let run = run(&plan("192.0.2.0/24", "default"), &mut link);
    assert!(run.progress.windows(2).all(|pair| pair[0].done <= pair[1].done));
    assert!(run.progress.iter().all(|told| (0.0..=1.0).contains(&told.done)));
    let most = link.elapsed().as_millis() / 100 + 1;
    assert!(run.progress.len() as u128 <= most && run.progress.len() > 20);
    assert!(run.progress.last().unwrap().done > 0.9);
    assert!(run.progress.iter().any(|told| told.left.is_some()));
}

#[test]
fn a_stop_is_obeyed_at_any_time() {
    for millis in [0, 5, 90, 400, 1_100, 1_900, 2_500, 4_000, 6_500] {
        for tier in [Tier::Raw, Tier::Connect] {
            let mut link = office(tier);
            let stop = Stop::new();
            let at = Duration::from_millis(millis);
            link.faults.push(Fault::Stop(at, stop.clone()));
            let run = run_until(&plan("192.0.2.0/24", "default"), &mut link, &stop);
            assert!(link.elapsed() <= at + Duration::from_millis(50), "{:?}", link.elapsed());
            let last = link.sent.last().map(|sent| sent.at - link.started());
            assert!(last.is_none_or(|last| last <= at), "{last:?} is after {at:?}");
            assert!(!run.outcome.complete);
            assert!(run.gaps().iter().any(|gap| gap.contains("interrupted (SIGINT)")));
            // Nothing is called filtered that was not asked as often as it should be.
            for address in OFFICE {
                let silent = run.ports(address, Transport::Tcp, PortState::Filtered);
                assert!(silent.is_empty() || address == "192.0.2.80", "{address}: {silent}");
            }
        }
    }
}

#[test]
fn a_stopped_sweep_covers_only_what_it_asked_often_enough() {
    let mut link = office(Tier::Raw);
    let stop = Stop::new();
    link.faults.push(Fault::Stop(Duration::from_millis(150), stop.clone()));
    let run = run_until(&plan("192.0.2.0/24", "22"), &mut link, &stop);
    let alive = run.alive();
    let covered: Vec<AddressRange> = run.outcome.coverage.iter().map(|c| c.range).collect();
    assert!(covered.iter().all(|range| range.len() <= 2 && alive.contains(&range.first())));
    let gaps = run.gaps();
    let expected = format!("{} of 254 addresses were not asked", 254 - alive.len());
    assert!(gaps.iter().any(|gap| gap.contains(&expected)), "{gaps:?}");
}

#[test]
fn an_interface_that_goes_down_ends_the_sweep_with_what_it_has() {
    let mut link = office(Tier::Raw);
    link.faults.push(Fault::Down(Duration::from_millis(3_000)));
    let run = run(&plan("192.0.2.0/24", "default"), &mut link);
    assert!(!run.outcome.complete);
    assert_eq!(run.alive().len(), 6);
    let gaps = run.gaps();
    assert!(
        gaps.iter().any(|g| g.contains("interface test0 is gone or down: scripted")),
        "{gaps:?}"
    );
    assert!(!run.outcome.coverage.is_empty());
}

#[test]
fn a_busy_system_delays_and_loses_nothing() {
    let mut link = office(Tier::Raw);
    for second in 0..8 {
        let from = Duration::from_millis(second * 700);
        link.faults.push(Fault::Busy(from, from + Duration::from_millis(450)));
    }
    let run = run(&plan("192.0.2.0/24", "default"), &mut link);
    assert!(run.outcome.complete);
    assert_eq!((run.alive().len(), run.outcome.answering.open.len()), (6, 8));
}

#[test]
fn ten_seconds_without_room_cost_ten_seconds_and_nothing_else() {
    for tier in [Tier::Raw, Tier::Connect] {
        let whole = plan("192.0.2.0/24", "default");
        let mut quiet = office(tier);
        let expected = run(&whole, &mut quiet);
        let mut link = office(tier);
        let from = Duration::from_millis(500);
        link.faults.push(Fault::Busy(from, from + Duration::from_secs(10)));
        let run = run(&whole, &mut link);
        assert!(run.outcome.complete, "{tier}");
        assert_eq!((run.alive(), run.open()), (expected.alive(), expected.open()), "{tier}");
        let later = link.elapsed().saturating_sub(quiet.elapsed());
        assert!(later < Duration::from_secs(13), "{tier}: {later:?}");
    }
}

#[test]
fn a_clock_that_is_put_changes_nothing_but_the_times_that_are_told() {
    for tier in [Tier::Raw, Tier::Connect] {
        let whole = plan("192.0.2.0/24", "default");
        let mut quiet = office(tier);
        let expected = run(&whole, &mut quiet);
        for seconds in [-86_400, -1, 3_600, 400_000_000] {
            let mut link = office(tier);
            link.faults.push(Fault::Clock(Duration::from_millis(600), seconds));
            link.faults.push(Fault::Clock(Duration::from_secs(3), -seconds));
            let run = run(&whole, &mut link);
            assert!(run.outcome.complete, "{tier}, {seconds} s");
            assert_eq!((run.alive(), run.open()), (expected.alive(), expected.open()), "{tier}");
            assert_eq!(link.elapsed(), quiet.elapsed(), "{tier}, {seconds} s");
            assert_eq!(run.outcome.probes_sent, expected.outcome.probes_sent, "{tier}");
        }
    }
}

#[test]
fn a_system_that_stays_busy_ends_the_sweep() {
    let mut link = office(Tier::Raw);
    link.faults.push(Fault::Busy(Duration::from_millis(100), Duration::MAX));
    let run = run(&plan("192.0.2.0/24", "22"), &mut link);
    assert!(!run.outcome.complete);
    assert!(link.elapsed() < Duration::from_secs(35));
    assert!(run.gaps().iter().any(|gap| gap.contains("took no more packets")), "{:?}", run.gaps());
}

#[test]
fn what_cannot_be_sent_to_is_one_gap_for_each_stretch() {
    let mut link = office(Tier::Raw);
    link.faults.push(Fault::NoRoute(range("192.0.2.100", "192.0.2.119")));
    link.faults.push(Fault::Refused(range("192.0.2.130", "192.0.2.130")));
    let run = run(&plan("192.0.2.0/24", "22"), &mut link);
    // An address that the system refuses is one; a missing route is a part not looked at.
    assert!(!run.outcome.complete);
    let expected = [
        "192.0.2.100-192.0.2.119: no route to it: scripted",
        "192.0.2.130: cannot send to it: scripted",
    ];
    assert_eq!(run.gaps(), expected);
    let bad = [range("192.0.2.100", "192.0.2.119"), range("192.0.2.130", "192.0.2.130")];
    for coverage in &run.outcome.coverage {
        assert!(bad.iter().all(|bad| !coverage.range.contains(bad.first())));
    }
}

#[test]
fn a_firewall_on_the_link_is_one_gap() {
    for tier in [Tier::Raw, Tier::Connect] {
        let mut link = office(tier);
        let firewall = Device::new(99, "");
        link.devices.insert(ip("192.0.2.200"), firewall.clone());
        link.firewalls.push((range("192.0.2.32", "192.0.2.95"), firewall));
        let run = run(&plan("192.0.2.0/24", "22,53,80"), &mut link);
        let expected = "192.0.2.32-192.0.2.95: answered for by one device, 02:00:00:00:00:63: \
                        62 addresses not counted as assets";
        assert_eq!(run.gaps(), [expected], "{tier}");
        assert!(run.alive().contains(&ip("192.0.2.200")));
        // Real devices in between stay.
        assert!(run.alive().contains(&ip("192.0.2.53")) && run.alive().contains(&ip("192.0.2.80")));
        assert_eq!(run.alive().len(), 7);
        assert_eq!(run.facts("192.0.2.40").count(), 0);
        assert!(run.outcome.coverage.iter().all(|c| !c.range.contains(ip("192.0.2.40"))));
        assert!(run.outcome.complete);
    }
}

#[test]
fn several_addresses_of_one_machine_stay() {
    let mut link = office(Tier::Raw);
    for n in 128..142 {
        link.devices.insert(IpAddr::from([192, 0, 2, n]), Device::new(99, "80"));
    }
    // The firewall's own address lies right before the block that it answers for.
    link.devices.insert(ip("192.0.2.159"), Device::new(77, "443"));
    link.firewalls.push((range("192.0.2.160", "192.0.2.191"), Device::new(77, "")));
    let run = run(&plan("192.0.2.0/24", "80"), &mut link);
    assert_eq!(run.alive().len(), 6 + 14 + 1);
    assert!(run.alive().contains(&ip("192.0.2.159")));
    assert_eq!(run.gaps().len(), 1);
    assert!(run.gaps()[0].starts_with("192.0.2.160-192.0.2.191: "), "{:?}", run.gaps());
}

#[test]
fn what_one_device_answers_beyond_a_block_belongs_to_it() {
    let mut link = Scripted::new(Tier::Raw);
    link.on_link = vec![range("192.0.2.0", "192.0.2.255")];
    link.firewalls.push((range("192.0.2.20", "192.0.2.70"), Device::new(77, "")));
    let run = run(&plan("192.0.2.0/24", "80"), &mut link);
    assert_eq!(run.alive(), BTreeSet::new());
    assert_eq!(run.gaps().len(), 1, "{:?}", run.gaps());
    assert!(run.gaps()[0].starts_with("192.0.2.20-192.0.2.70: "), "{:?}", run.gaps());
}

#[test]
fn a_firewall_behind_a_router_is_one_gap() {
    for (tier, open) in [(Tier::Raw, ""), (Tier::Raw, "1-65535"), (Tier::Connect, "")] {
        let mut link = Scripted::new(tier);
        link.firewalls.push((range("198.51.100.64", "198.51.100.127"), Device::new(1, open)));
        link.devices.insert(ip("198.51.100.9"), Device::new(9, "22"));
        let run = run(&plan("198.51.100.0/24", "22,80"), &mut link);
        assert_eq!(run.alive(), [ip("198.51.100.9")].into(), "{tier}");
        let gaps = run.gaps();
        assert_eq!(gaps.len(), 1, "{gaps:?}");
        assert!(gaps[0].starts_with("198.51.100.64-198.51.100.127: answered for by one device"));
        assert_eq!(run.open(), ["198.51.100.9:22/tcp"]);
        assert!(run.facts("198.51.100.70").next().is_none());
    }
}

#[test]
fn a_sweep_that_ends_before_it_is_certain_tells_one_gap_for_all_that_look_like_one() {
    let mut link = Scripted::new(Tier::Raw);
    link.firewalls.push((range("198.51.100.0", "198.51.100.255"), Device::new(1, "")));
    let stop = Stop::new();
    link.faults.push(Fault::Stop(Duration::from_millis(800), stop.clone()));
    let run = run_until(&plan("198.51.100.0-255", "22,80"), &mut link, &stop);
    assert_eq!(run.alive(), [].into());
    let gaps = run.gaps();
    let seems = |gap: &&String| gap.contains("answered for by one device as it seems");
    let told: Vec<_> = gaps.iter().filter(seems).collect();
    assert_eq!(told.len(), 1, "{gaps:?}");
    assert!(told[0].contains("256 addresses not counted"), "{told:?}");
}

#[test]
fn a_dense_network_of_different_devices_stays() {
    let mut link = Scripted::new(Tier::Raw);
    for n in 0..=255_u8 {
        let tcp = if n == 70 { "22,80" } else { "22" };
        // One block in which one machine differs, and blocks of equal servers.
        let device = if n / 32 == 3 && n != 100 { Device::new(n, "") } else { Device::new(n, tcp) };
        link.devices.insert(IpAddr::from([198, 51, 100, n]), device);
    }
    let run = run(&plan("198.51.100.0-255", "22,80"), &mut link);
    assert_eq!(run.alive().len(), 256);
    assert_eq!(run.gaps(), [""; 0]);
}

#[test]
fn a_difference_at_a_port_that_was_asked_for_saves_a_network() {
    let mut link = Scripted::new(Tier::Raw);
    for n in 32..64_u8 {
        let device = Device::new(n, if n == 40 { "" } else { "502" });
        link.devices.insert(IpAddr::from([198, 51, 100, n]), device);
    }
    let run = run(&plan("198.51.100.0/24", "502"), &mut link);
    assert_eq!((run.alive().len(), run.outcome.answering.open.len()), (32, 31));
    assert_eq!(run.gaps(), [""; 0]);
}

#[test]
fn of_loopback_addresses_one_is_this_machine() {
    let mut link = Scripted::new(Tier::Connect);
    link.firewalls.push((range("127.0.0.0", "127.255.255.255"), Device::new(0, "")));
    let run = run(&plan("127.0.0.0/26", "5000-5010"), &mut link);
    assert_eq!(run.alive(), [ip("127.0.0.1")].into());
    assert_eq!(run.gaps().len(), 1);
}

#[test]
fn a_silent_network_takes_seconds_in_both_tiers() {
    for tier in [Tier::Raw, Tier::Connect] {
        let mut link = Scripted::new(tier);
        link.on_link = vec![range("192.0.2.0", "192.0.2.255")];
        let run = run(&plan("192.0.2.0/24", "default"), &mut link);
        assert!(run.outcome.complete && run.alive().is_empty());
        assert!(link.elapsed() < Duration::from_secs(10), "{tier}: {:?}", link.elapsed());
    }
}

#[test]
fn assumed_to_be_alive_is_asked_without_liveness() {
    let mut link = Scripted::new(Tier::Raw);
    link.devices.insert(ip("198.51.100.7"), Device::shy(7, "50123"));
    link.firewalls.push((range("198.51.100.64", "198.51.100.127"), Device::new(1, "")));
    let plan = Plan { assume_alive: true, ..plan("198.51.100.0/24", "50123,50124") };
    let run = run(&plan, &mut link);
    assert_eq!(run.open(), ["198.51.100.7:50123/tcp"]);
    assert_eq!(run.alive(), [ip("198.51.100.7")].into());
    assert_eq!(run.gaps().len(), 1);
    assert!(link.sent.iter().all(|sent| matches!(sent.question, Question::Tcp(_))));
    assert_eq!(run.ports("198.51.100.7", Transport::Tcp, PortState::Filtered), "50124");
    assert_eq!(run.ports("198.51.100.8", Transport::Tcp, PortState::Filtered), "");
}

#[test]
fn coverage_tells_what_was_tried() {
    let run = run(&plan("192.0.2.0/24", "22,u:53"), &mut office(Tier::Raw));
    let covered: u128 = run.outcome.coverage.iter().map(|c| c.range.len()).sum();
    assert_eq!(covered, 254);
    let of = |address: &str| {
        run.outcome.coverage.iter().find(|c| c.range.contains(ip(address))).unwrap()
    };
    assert_eq!(of("192.0.2.200").methods, [Method::Arp]);
    assert_eq!(of("192.0.2.1").methods, [Method::Arp, Method::Echo, Method::TcpSyn, Method::Udp]);
    assert_eq!(
        (of("192.0.2.1").tcp.to_string(), of("192.0.2.1").udp.to_string()),
        ("22".into(), "53".into())
    );
}

#[test]
fn a_udp_answer_is_kept_as_evidence() {
    let run = run(&plan("192.0.2.53", "u:53"), &mut office(Tier::Raw));
    let open = run
        .seen
        .iter()
        .find(|o| o.fact == Fact::PortState(PortState::Open))
        .expect("the port is open");
    assert_eq!(open.subject, Subject::Endpoint(Endpoint::udp(ip("192.0.2.53"), 53)));
    assert_eq!(open.method, Method::Udp);
    assert_eq!(open.evidence[..2], 53_u16.to_be_bytes());
    assert_eq!(run.outcome.answering.udp_replies[0].1, open.evidence);
}

#[test]
fn lost_answers_are_a_gap() {
    let mut link = office(Tier::Raw);
    link.drops_per_question = 2;
    let run = run(&plan("192.0.2.1", "22"), &mut link);
    assert_eq!(run.outcome.drops, 2 * run.outcome.probes_sent);
    assert!(run.gaps()[0].contains("answers were lost"), "{:?}", run.gaps());
}

fn any_device() -> impl Strategy<Value = Device> {
    let elsewhere =
        prop_oneof![Just(Elsewhere::Closed), Just(Elsewhere::Silent), Just(Elsewhere::Prohibited)];
    let ports = proptest::collection::btree_set(20_u16..40, 0..6);
    (any::<bool>(), ports, elsewhere.clone(), elsewhere, 0_u64..200).prop_map(
        |(echo, ports, tcp_else, udp_else, latency)| Device {
            echo,
            udp: ports.iter().filter(|port| *port % 3 == 0).copied().collect(),
            tcp: ports.into_iter().collect(),
            tcp_else,
            udp_else,
            latency: Duration::from_millis(latency),
            ..Device::new(0, "")
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever stands on the link: everything is found, everything open is open, nothing
    /// else is, and every port has exactly one state.
    #[test]
    fn what_is_there_is_found(
        devices in proptest::collection::btree_map(1_u8..60, any_device(), 0..12),
        connect: bool,
        key: [u8; 16],
        lateness in 0_u64..3_000,
    ) {
        let mut link = Scripted::new(if connect { Tier::Connect } else { Tier::Raw });
        link.on_link = vec![range("192.0.2.0", "192.0.2.255")];
        link.lateness = Duration::from_micros(lateness);
        let mut open = BTreeSet::new();
        for (n, device) in devices {
            let address = IpAddr::from([192, 0, 2, n]);
            open.extend(device.tcp.iter().map(|port| Endpoint::tcp(address, port)));
            open.extend(device.udp.iter().map(|port| Endpoint::udp(address, port)));
            let mac = MacAddr([2, 0, 0, 0, 0, n]);
            link.devices.insert(address, Device { mac, ..device });
        }
        let plan = Plan { key, ..plan("192.0.2.0/26", "20-39,u:20-39") };
        let run = run(&plan, &mut link);
        prop_assert!(run.outcome.complete);
        prop_assert_eq!(run.alive(), link.devices.keys().copied().collect());
        prop_assert_eq!(run.outcome.answering.open.iter().copied().collect::<BTreeSet<_>>(), open);
        for address in link.devices.keys() {
            let mut told = Vec::new();
            for observation in run.facts(&address.to_string()) {
                match (&observation.subject, &observation.fact) {
                    (Subject::Endpoint(at), Fact::PortState(_)) => {
                        told.push((at.transport, at.port));
                    }
                    (_, Fact::Ports { transport, ports, .. }) => {
                        told.extend(ports.iter().map(|port| (*transport, port)));
                    }
                    _ => {}
                }
            }
            told.retain(|(_, port)| (20..40).contains(port));
            told.sort_unstable();
            let mut each = told.clone();
            each.dedup();
            prop_assert_eq!(told.len(), 40, "{}", address);
            prop_assert_eq!(each.len(), 40);
        }
    }
}

#[test]
fn nothing_to_ask_ends_at_once() {
    let mut link = office(Tier::Raw);
    let plan = Plan { scope: Scope::default(), ..plan("192.0.2.1", "22") };
    let run = run(&plan, &mut link);
    assert!(run.outcome.complete && link.sent.is_empty());
    assert_eq!(link.elapsed(), Duration::ZERO);
}

/// The one test here with a real network: this machine's loopback, through the system's
/// sockets.
#[test]
fn the_loopback_is_swept_through_the_systems_sockets() {
    use crate::net::{Link as _, connect::ConnectLink};

    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let open = tcp.local_addr().unwrap().port();
    let closed = {
        let once = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        once.local_addr().unwrap().port()
    };
    let plan = plan("127.0.0.1", &format!("{open},{closed}"));
    let mut link = ConnectLink::open(None, plan.key).unwrap();
    let vantage = Vantage { site: Site("test".into()), name: "here".into() };
    let stop = Stop::new();
    let sweep = Sweep {
        plan: &plan,
        vantage: &vantage,
        udp: UdpQuestions(&payload),
        fragile: Fragile::NOBODY,
        stop: &stop,
    };
    let began = link.now();
    let mut seen = Vec::new();
    let outcome = sweep.run(
        &mut link,
        &mut Pacer::new(plan.rates),
        &mut |observation| seen.push(observation),
        &mut |_| {},
    );
    assert_eq!(outcome.answering.open, [Endpoint::tcp(ip("127.0.0.1"), open)]);
    assert_eq!(outcome.answering.alive, [(ip("127.0.0.1"), None)]);
    assert!(outcome.complete);
    assert!(seen.iter().any(|o| matches!(
        &o.fact,
        Fact::Ports { state: PortState::Closed, ports, .. } if ports.contains(closed)
    )));
    // No question outlived its answer: that would have cost the five seconds of patience.
    assert!(link.now() - began < Duration::from_secs(4));
}

/// A /16 at one port, nobody there: the two bytes an address and what is under way.
#[test]
fn a_large_silent_network_is_cheap() {
    let mut link = Scripted::new(Tier::Raw);
    link.on_link = vec![range("10.0.0.0", "10.0.255.255")];
    let plan = Plan {
        rates: Rates { total: 10_000, per_host: 40, ..Rates::default() },
        ..plan("10.0.0.0/16", "80")
    };
    let run = run(&plan, &mut link);
    assert!(run.outcome.complete);
    assert_eq!(run.outcome.probes_sent, 65_534 * 2);
    assert_eq!(run.outcome.coverage.len(), 1);
    assert!(link.elapsed() < Duration::from_secs(22), "{:?}", link.elapsed());
}

/// A /18 far away where every tenth address is there; `hidden` of them answer only by UDP.
fn large_and_far(hidden: usize) -> Scripted {
    let mut link = Scripted::new(Tier::Raw);
    for n in (0..16_384_u32).step_by(10) {
        let number = u8::try_from(n % 251).unwrap();
        let shy = Device { udp: "161".parse().unwrap(), ..Device::shy(number, "") };
        let is_hidden = usize::try_from(n).unwrap() / 10 < hidden;
        let device = if is_hidden { shy } else { Device::new(number, "22") };
        link.devices.insert(IpAddr::from((0xc612_0000 + n).to_be_bytes()), device);
    }
    link
}

#[test]
fn the_rounds_beyond_the_usual_ones_end_in_a_large_network_where_they_find_nobody() {
    let plan = Plan {
        rates: Rates { total: 10_000, per_host: 40, ..Rates::default() },
        ports: "none".parse().unwrap(),
        ..plan("198.18.0.0/18", "22")
    };
    let mut link = large_and_far(0);
    let whole = run(&plan, &mut link);
    assert_eq!(whole.alive().len(), 1_638, "the first address is the network itself");
    let silent = 16_384 - 1_639;
    // The sample, and what goes until its answers are there, of each of ten rounds.
    let most = 1_639 + silent * 6 + 10 * (4_096 + 3_000);
    assert!(link.sent.len() < most, "{} questions", link.sent.len());

    // One in a hundred of those that are there answers only by UDP: all of them are found.
    let mut link = large_and_far(16);
    let found = run(&plan, &mut link);
    assert_eq!(found.alive().len(), 1_638, "{} questions", link.sent.len());
}
