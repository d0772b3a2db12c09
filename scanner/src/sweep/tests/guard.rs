//! Who must not be hurt, and who cannot take more.

use super::*;
use crate::net::scripted::Limit;

fn fast() -> Rates {
    Rates { total: 20_000, per_host: 5_000, ..Rates::default() }
}

/// The most packets that any second brought to that address, the system's included.
fn most_to(link: &Scripted, address: &str) -> usize {
    let mut times: Vec<Duration> =
        link.sent.iter().filter(|s| s.to == ip(address)).map(|s| s.at).collect();
    times.extend(link.by_system.iter().filter(|(_, to)| *to == ip(address)).map(|(at, _)| *at));
    times.sort_unstable();
    most_in_a_second(&times)
}

#[test]
fn what_is_fragile_by_its_maker_is_asked_gently_from_the_first_port_on() {
    let mut link = office(Tier::Raw);
    let mut plan = plan("192.0.2.0/26", "1-60");
    plan.rates = fast();
    let vantage = Vantage { site: Site("test".into()), name: "here".into() };
    let stop = Stop::new();
    let fragile = |_, mac| mac == Some(MacAddr([2, 0, 0, 0, 0, 1]));
    let fragile = Fragile(&fragile);
    let sweep =
        Sweep { plan: &plan, vantage: &vantage, udp: UdpQuestions(&payload), fragile, stop: &stop };
    let mut pacer = Pacer::new(plan.rates);
    let outcome = sweep.run(&mut link, &mut pacer, &mut |_| {}, &mut |_| {});
    assert_eq!(outcome.answering.gentle, [ip("192.0.2.1")]);
    let first_port = link
        .sent
        .iter()
        .find(|sent| sent.to == ip("192.0.2.1") && matches!(sent.question, Question::Tcp(_)));
    let first_port = first_port.unwrap().at;
    assert!(most_to(&link, "192.0.2.22") > 50, "others are asked as fast as ever");
    link.sent.retain(|sent| sent.at >= first_port);
    assert!(most_to(&link, "192.0.2.1") <= 2);
    assert_eq!(outcome.answering.open.len(), 2 + 1);
}

#[test]
fn an_open_port_of_controllers_slows_the_sweep_down_before_other_ports_are_asked() {
    let mut link = office(Tier::Raw);
    link.devices.insert(ip("192.0.2.30"), Device::new(30, "80,502"));
    let mut plan = plan("192.0.2.0/26", "1-60,80,502");
    plan.rates = fast();
    let run = run(&plan, &mut link);
    assert_eq!(run.outcome.answering.gentle, [ip("192.0.2.30")]);
    assert!(run.open().contains(&"192.0.2.30:80/tcp".to_owned()));
    let asked = |port| {
        let is = |s: &&crate::net::scripted::Sent| {
            s.to == ip("192.0.2.30") && s.question == Question::Tcp(port)
        };
        link.sent.iter().find(is).unwrap().at
    };
    assert!((1..=60).all(|port| asked(port) > asked(502)));
    let known = asked(502);
    link.sent.retain(|sent| sent.at > known);
    assert!(most_to(&link, "192.0.2.30") <= 3, "what was under way and two more");
}

#[test]
fn who_stops_answering_is_left_alone() {
    let mut link = office(Tier::Raw);
    link.devices.insert(ip("192.0.2.40"), Device { bears: Some(60), ..Device::new(40, "700") });
    let mut plan = plan("192.0.2.0/26", "1-1000");
    plan.rates = fast();
    let run = run(&plan, &mut link);
    let died = *link.dead.get(&ip("192.0.2.40")).expect("the test wants it dead");
    let after: Vec<_> =
        link.sent.iter().filter(|s| s.to == ip("192.0.2.40") && s.at > died).collect();
    // What was under way, at most 128 in vain, one question and two canaries.
    assert!(after.len() < 150, "{} after it died", after.len());
    let last = after.last().unwrap().at - died;
    assert!(last < Duration::from_millis(2_600), "{last:?}");
    let gap = "192.0.2.40: stopped answering while it was asked for its ports: left alone";
    assert_eq!(run.gaps(), [gap]);
    assert!(run.facts("192.0.2.40").any(|o| matches!(&o.fact, Fact::Anomaly { .. })));
    assert!(run.outcome.coverage.iter().all(|c| !c.range.contains(ip("192.0.2.40"))));
    // And the others of its network are there with all their ports.
    let others = run.open().into_iter().filter(|open| !open.starts_with("192.0.2.40:"));
    assert_eq!(others.count(), 4);
}

#[test]
fn a_filter_is_not_mistaken_for_a_death() {
    for loss in [0, 25] {
        let mut link = office(Tier::Raw);
        link.loss = loss;
        let mut plan = plan("192.0.2.0/26", "1-1000");
        plan.rates = fast();
        let run = run(&plan, &mut link);
        assert_eq!(run.gaps(), [""; 0], "loss {loss}");
    }
}

/// A device with a limit, so far away, of which eight seconds' worth of ports are asked, all
/// open: the ports that were found, the limit that was told, and the questions of each whole
/// second from the first one on.
fn limited(limit: Limit, latency: u64, per_host: u32) -> (usize, u32, Vec<usize>) {
    let mut link = Scripted::new(Tier::Raw);
    let ports = format!("3001-{}", 3_000 + limit.per_second * 8);
    let latency = Duration::from_millis(latency);
    let device = Device { answers: Some(limit), latency, ..Device::new(7, &ports) };
    link.devices.insert(ip("198.51.100.7"), device);
    let mut plan = plan("198.51.100.7", &ports);
    plan.rates = Rates { per_host, ..fast() };
    let run = run(&plan, &mut link);
    assert_eq!(run.gaps(), [""; 0]);
    let is_port = |question: &Question| matches!(question, Question::Tcp(port) if *port > 3_000);
    let times = link.sent.iter().filter(|sent| is_port(&sent.question)).map(|sent| sent.at);
    let times: Vec<Duration> = times.collect();
    let whole = usize::try_from((*times.last().unwrap() - times[0]).as_secs()).unwrap();
    let mut seconds = vec![0; whole];
    for at in &times {
        let second = usize::try_from((*at - times[0]).as_secs()).unwrap();
        seconds.get_mut(second).into_iter().for_each(|count| *count += 1);
    }
    let told = run.outcome.limited.first().map_or(0, |(_, told)| *told);
    (run.outcome.answering.open.len(), told, seconds)
}

/// That the limit is found within so many seconds and kept, and everything is found.
fn check_limited(limit: Limit, latency: u64, per_host: u32, within: usize) {
    let (found, told, seconds) = limited(limit, latency, per_host);
    let case = format!("{limit:?}, {latency} ms, at {per_host}: told {told}, {seconds:?}");
    let rate = usize::try_from(limit.per_second).unwrap();
    let is_near = |number: usize| (rate * 5 / 6..=rate * 6 / 5).contains(&number);
    assert_eq!(found, rate * 8, "{case}");
    assert!(is_near(usize::try_from(told).unwrap()), "{case}");
    let settled = &seconds[within.min(seconds.len() - 1)..];
    let (sum, count) = (settled.iter().sum::<usize>(), settled.len());
    // What was saved up in a pause between two passes is spent.
    let saved = usize::try_from(limit.at_once).unwrap();
    assert!(settled.iter().all(|asked| *asked <= rate * 6 / 5 + saved / 2), "{case}");
    assert!((rate * 5 / 6 * count..=rate * 6 / 5 * count + saved).contains(&sum), "{case}");
}

#[test]
fn a_limit_is_found_in_three_seconds_and_kept_and_everything_is_found() {
    for per_second in [20, 50, 100, 200, 500] {
        for (at_once, latency, per_host) in
            [(2, 1, 1_500), (6, 1, 5_000), (6, 20, 1_500), (50, 1, 1_500), (50, 20, 5_000)]
        {
            check_limited(Limit { per_second, at_once }, latency, per_host, 3);
        }
    }
}

#[test]
fn a_limit_far_away_takes_some_seconds_longer() {
    for per_second in [20, 100] {
        for (at_once, per_host) in [(6, 1_500), (50, 5_000)] {
            check_limited(Limit { per_second, at_once }, 150, per_host, 6);
        }
    }
}

#[test]
fn a_limit_below_the_default_rate_is_found_too() {
    let mut link = Scripted::new(Tier::Raw);
    let device = Device { answers: Some(Limit::new(10)), ..Device::new(7, "22") };
    link.devices.insert(ip("198.51.100.7"), device);
    let run = run(&plan("198.51.100.7", "1-400"), &mut link);
    let (_, told) = run.outcome.limited[0];
    assert!((8..=12).contains(&told), "{told}");
    assert_eq!(run.ports("198.51.100.7", Transport::Tcp, PortState::Filtered), "");
}

#[test]
fn who_answers_a_single_packet_a_second_is_not_left_alone() {
    for limit in [1, 3] {
        let mut link = office(Tier::Raw);
        let device = Device { answers: Some(Limit::new(limit)), ..Device::new(9, "22") };
        link.devices.insert(ip("192.0.2.9"), device);
        let mut plan = plan("192.0.2.0/26", "1-40");
        plan.rates = fast();
        let run = run(&plan, &mut link);
        assert_eq!(run.gaps(), [""; 0], "limit {limit}");
    }
}

#[test]
fn what_was_probably_missed_is_told() {
    let mut plan = plan("192.0.2.0/24", "20-40");
    plan.rates = fast();
    let missed = |plan: &Plan, loss| {
        let mut link = Scripted::new(Tier::Raw);
        link.on_link = vec![range("192.0.2.0", "192.0.2.255")];
        link.loss = loss;
        for n in 1..=200 {
            link.devices.insert(IpAddr::from([192, 0, 2, n]), Device::new(n, "22"));
        }
        run(plan, &mut link).outcome.missed
    };
    let (none, most) = missed(&plan, 0).unwrap();
    assert!(none == 0.0 && most < 1e-5, "{none} {most}");
    // Five of a hundred questions get no answer, and each is asked three times.
    let (share, off) = missed(&plan, 25).unwrap();
    assert!((0.000_05..0.000_3).contains(&share) && off < 0.000_1, "{share} {off}");
    assert_eq!(missed(&Plan { scope: Scope::default(), ..plan }, 0), None);
}
