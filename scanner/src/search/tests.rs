//! Searches in virtual time: a link of which each device answers when and how the test says.

use std::collections::VecDeque;

use model::{AddressRange, Site};

use super::*;

const OWN: &str = "2001:db8::1";
const OWN_LOCAL: &str = "fe80::1";

fn v6(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn mac(last: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, last])
}

/// Who answers which question, in which round (from 1 on), how much later.
type Script = Vec<(fn(GroupQuestion) -> bool, u64, Duration, GroupReply)>;

struct Scripted {
    now: Duration,
    script: Script,
    asked: Vec<(Duration, GroupQuestion)>,
    under_way: VecDeque<(Duration, GroupReply)>,
    fails_after: Option<usize>,
    drops: u64,
}

impl Scripted {
    fn new(script: Script) -> Self {
        let (asked, under_way) = (Vec::new(), VecDeque::new());
        Self { now: Duration::ZERO, script, asked, under_way, fails_after: None, drops: 0 }
    }

    fn rounds(&self) -> usize {
        self.asked.iter().filter(|(_, asked)| *asked == GroupQuestion::Listeners).count()
    }
}

impl GroupLink for Scripted {
    fn questions(&self) -> Vec<GroupQuestion> {
        vec![
            GroupQuestion::Echo(v6(OWN_LOCAL)),
            GroupQuestion::Echo(v6(OWN)),
            GroupQuestion::Option(v6(OWN)),
            GroupQuestion::Listeners,
            GroupQuestion::Routers,
        ]
    }

    fn send(&mut self, leave: SearchPermit, question: GroupQuestion) -> Result<(), LinkError> {
        assert_eq!(leave.to_string(), "2001:db8::/64");
        if self.fails_after.is_some_and(|most| self.asked.len() >= most) {
            let source = std::io::ErrorKind::NotFound.into();
            return Err(LinkError::Down { interface: "near0".to_owned(), source });
        }
        self.asked.push((self.now, question));
        let times = self.asked.iter().filter(|(_, asked)| *asked == question).count() as u64;
        let answers = self.script.iter().filter(|(to, round, ..)| to(question) && *round == times);
        let answers = answers.map(|(_, _, after, reply)| (self.now + *after, reply.clone()));
        self.under_way.extend(answers);
        self.under_way.make_contiguous().sort_by_key(|(at, _)| *at);
        Ok(())
    }

    fn receive(&mut self, until: Duration) -> Result<Option<GroupReply>, LinkError> {
        if self.under_way.front().is_some_and(|(at, _)| *at <= until) {
            let next = self.under_way.pop_front();
            return Ok(next.map(|(at, reply)| {
                self.now = self.now.max(at);
                reply
            }));
        }
        self.now = self.now.max(until);
        Ok(None)
    }

    fn drops(&mut self) -> u64 {
        self.drops
    }

    fn now(&self) -> Duration {
        self.now
    }

    fn timestamp(&self) -> Timestamp {
        Timestamp::from_seconds(1)
    }
}

fn reply(from: &str, last: u8, said: Said) -> GroupReply {
    GroupReply { from: v6(from), mac: Some(mac(last)), ttl: Some(64), said }
}

const SOON: Duration = Duration::from_millis(3);

fn to_global(question: GroupQuestion) -> bool {
    question == GroupQuestion::Echo(v6(OWN))
}

fn to_local(question: GroupQuestion) -> bool {
    question == GroupQuestion::Echo(v6(OWN_LOCAL))
}

fn to_listeners(question: GroupQuestion) -> bool {
    question == GroupQuestion::Listeners
}

fn to_routers(question: GroupQuestion) -> bool {
    question == GroupQuestion::Routers
}

fn scope() -> Scope {
    let range = |first: &str, last: &str| AddressRange::new(v6(first).into(), v6(last).into());
    let bad = AddressRange::single(v6("2001:db8::bad").into());
    Scope::new(vec![], vec![bad])
        .with_areas(vec![range("2001:db8::", "2001:db8::ffff:ffff:ffff:ffff").unwrap()])
}

struct Ran {
    outcome: SearchOutcome,
    observed: Vec<Observation>,
}

fn run_with(link: &mut Scripted, rates: Rates, known: &Known, stop: &Stop) -> Ran {
    let scope = scope();
    let vantage = Vantage { site: Site("plant".into()), name: "here".into() };
    let mut observed = Vec::new();
    let areas = scope.areas();
    let search = Search { scope: &scope, areas: &areas, known, rates, vantage: &vantage, stop };
    let outcome = search.run(link, &mut |observation| observed.push(observation));
    Ran { outcome, observed }
}

fn run(link: &mut Scripted) -> Ran {
    run_with(link, Rates::default(), &Known::default(), &Stop::new())
}

fn texts<'a>(addresses: impl IntoIterator<Item = &'a IpAddr>) -> Vec<String> {
    addresses.into_iter().map(ToString::to_string).collect()
}

#[test]
fn who_answers_from_the_area_is_found_with_every_method() {
    let mut link = Scripted::new(vec![
        (to_global, 1, SOON, reply("2001:db8::9", 9, Said::Echo)),
        (to_global, 1, SOON, reply("2001:db8::9", 9, Said::Echo)),
        (to_listeners, 1, SOON, reply("2001:db8::9", 9, Said::Listens(vec![]))),
        // In no area, excluded, and no address of one device.
        (to_global, 1, SOON, reply("2001:db8:5::9", 9, Said::Echo)),
        (to_local, 1, SOON, reply("fe80::9", 9, Said::Echo)),
        (to_global, 1, SOON, reply("2001:db8::bad", 7, Said::Echo)),
        (to_global, 1, SOON, reply("ff02::1", 7, Said::Echo)),
        (to_global, 1, SOON, reply("::", 7, Said::Echo)),
    ]);
    let Ran { outcome, observed } = run(&mut link);
    assert_eq!(texts(&outcome.found), ["2001:db8::9"]);
    assert_eq!((outcome.elsewhere, outcome.replies, outcome.complete), (3, 6, true));
    let told: Vec<(Method, &Fact)> = observed.iter().map(|o| (o.method, &o.fact)).collect();
    let (alive, at) = (Fact::Alive { ttl: Some(64) }, Fact::LinkAddress(mac(9)));
    let expected = [
        (Method::MulticastEcho, &alive),
        (Method::MulticastEcho, &at),
        (Method::MulticastListener, &alive),
        (Method::MulticastListener, &at),
    ];
    assert_eq!(told, expected);
    assert!(observed.iter().all(|o| o.subject == Subject::Address(v6("2001:db8::9").into())));
    assert!(outcome.gaps.is_empty());
}

#[test]
fn everybody_is_asked_twice_and_a_third_time_if_that_brought_news() {
    let mut link = Scripted::new(vec![(to_global, 1, SOON, reply("2001:db8::9", 9, Said::Echo))]);
    assert_eq!(run(&mut link).outcome.sent, 10);
    assert_eq!(link.rounds(), 2);
    assert!(link.now < Duration::from_secs(2), "{:?}", link.now);

    let mut link = Scripted::new(vec![
        (to_global, 2, SOON, reply("2001:db8::9", 9, Said::Echo)),
        (to_global, 3, SOON, reply("2001:db8::10", 10, Said::Echo)),
    ]);
    assert_eq!(texts(&run(&mut link).outcome.found), ["2001:db8::9", "2001:db8::10"]);
    assert_eq!(link.rounds(), 3);

    let mut link = Scripted::new(vec![]);
    link.drops = 5;
    let outcome = run(&mut link).outcome;
    assert_eq!((link.rounds(), outcome.drops, outcome.gaps.len()), (3, 5, 1));
}

#[test]
fn slow_answers_are_waited_for_and_endless_ones_are_not() {
    let slow = Duration::from_millis(1_100);
    let mut link = Scripted::new(vec![
        (to_global, 1, Duration::from_millis(450), reply("2001:db8::8", 8, Said::Echo)),
        (to_global, 2, slow, reply("2001:db8::9", 9, Said::Echo)),
    ]);
    assert_eq!(texts(&run(&mut link).outcome.found), ["2001:db8::8", "2001:db8::9"]);

    // Somebody new every 150 ms, for a minute.
    let endless = (0..400_u64).map(|n| {
        let from = format!("2001:db8::1:{n:x}");
        let after = Duration::from_millis(150 * n);
        (to_listeners as fn(GroupQuestion) -> bool, 1, after, reply(&from, 9, Said::Echo))
    });
    let mut link = Scripted::new(endless.collect());
    run(&mut link);
    assert!(link.now < Duration::from_secs(6), "{:?}", link.now);
}

#[test]
fn what_is_known_is_asked_besides_and_what_a_router_tells_is_told() {
    let prefixes = vec![ndp::Prefix { address: v6("2001:db8::"), length: 64 }];
    let told = ndp::Router { lifetime: 1_800, mac: None, prefixes: prefixes.clone() };
    let mut link = Scripted::new(vec![
        (to_routers, 1, SOON, reply("fe80::fe", 0xfe, Said::Router(told))),
        (to_local, 1, SOON, reply("fe80::1234", 9, Said::Echo)),
        (to_global, 1, SOON, reply("2001:db8::9", 9, Said::Echo)),
    ]);
    let known = Known {
        own: vec![v6(OWN), v6(OWN_LOCAL)],
        neighbors: vec![
            (v6("2001:db8::77").into(), mac(0x77)),
            ("198.18.0.5".parse().unwrap(), mac(5)),
        ],
        before: vec![v6("2001:db8::abcd").into(), v6("2001:db8::bad").into(), v6("fe80::5").into()],
    };
    let outcome = run_with(&mut link, Rates::default(), &known, &Stop::new()).outcome;
    let router = Router { address: v6("fe80::fe"), mac: Some(mac(0xfe)), prefixes };
    assert_eq!(outcome.routers, [router]);
    assert_eq!(texts(&outcome.found), ["2001:db8::9"]);
    assert_eq!(texts(&outcome.known), ["2001:db8::1", "2001:db8::77", "2001:db8::abcd"]);
    let expected = [
        "2001:db8::fe",
        "2001:db8::1234",
        "2001:db8::ff:fe00:5",
        "2001:db8::ff:fe00:9",
        "2001:db8::ff:fe00:77",
        "2001:db8::ff:fe00:fe",
    ];
    assert_eq!(texts(&outcome.guessed), expected);
}

#[test]
fn nobody_gets_more_packets_a_second_than_one_address_may() {
    let mut link = Scripted::new(vec![]);
    let rates = Rates { total: 50, per_host: 2, ..Rates::default() };
    run_with(&mut link, rates, &Known::default(), &Stop::new());
    let times: Vec<Duration> = link.asked.iter().map(|(at, _)| *at).collect();
    let least = times.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap();
    assert!(least >= Duration::from_millis(500), "{least:?}");
    let mut link = Scripted::new(vec![]);
    run_with(
        &mut link,
        Rates { total: 9, per_host: 1_000, ..Rates::default() },
        &Known::default(),
        &Stop::new(),
    );
    assert!(link.asked[1].0 - link.asked[0].0 >= Duration::from_millis(111));
}

#[test]
fn a_stop_and_a_lost_interface_leave_an_incomplete_search_with_a_reason() {
    let stop = Stop::new();
    stop.by_signal(15);
    let mut link = Scripted::new(vec![]);
    let outcome = run_with(&mut link, Rates::default(), &Known::default(), &stop).outcome;
    assert_eq!((outcome.sent, outcome.complete), (0, false));
    assert!(outcome.gaps[0].reason.starts_with("interrupted (SIGTERM)"), "{:?}", outcome.gaps);

    let mut link = Scripted::new(vec![(to_global, 1, SOON, reply("2001:db8::9", 9, Said::Echo))]);
    link.fails_after = Some(4);
    let outcome = run(&mut link).outcome;
    // What was heard before is kept.
    assert_eq!((texts(&outcome.found).len(), outcome.complete), (1, false));
    let [gap] = outcome.gaps.as_slice() else { panic!("{:?}", outcome.gaps) };
    assert_eq!(gap.target, "search of 2001:db8::/64");
    assert!(gap.reason.contains("near0"), "{gap:?}");
}

#[test]
fn a_flood_of_reports_costs_bounded_memory_and_is_told() {
    let flood = (0..70_000_u32).map(|n| {
        let groups = vec![Ipv6Addr::from_bits(v6("ff02::1:ff00:0").to_bits() | u128::from(n))];
        let from = format!("fe80::1:{:x}:{:x}", n >> 16, n & 0xffff);
        (to_listeners as fn(GroupQuestion) -> bool, 1, SOON, reply(&from, 9, Said::Listens(groups)))
    });
    let mut link = Scripted::new(flood.collect());
    let outcome = run(&mut link).outcome;
    assert_eq!(outcome.elsewhere, 65_536);
    // One of 4,096 guesses is excluded.
    assert_eq!(outcome.guessed.len(), 4_095);
    let reasons: Vec<&str> = outcome.gaps.iter().map(|gap| gap.reason.as_str()).collect();
    assert!(reasons[0].ends_with("4464 answers of others were left out"), "{reasons:?}");
    assert!(reasons[1].contains("were not asked: too many"), "{reasons:?}");
}
