//! A sweep in parts, each of which is handed over to whoever goes on asking.

use super::*;

/// Four networks, each with one device, of which one has two open ports.
fn four_networks() -> (Plan, Scripted) {
    let mut link = Scripted::new(Tier::Raw);
    for (number, ports) in [(0, "22"), (1, "22,80"), (2, "80"), (3, "22")] {
        link.devices.insert(ip(&format!("198.18.{number}.9")), Device::new(number, ports));
    }
    let rates = Rates { total: 50, per_host: 40, ..Rates::default() };
    (Plan { rates, ..plan("198.18.0.0/22", "22,80") }, link)
}

/// Runs it until so many parts were handed over, the last of which is broken off.
fn hand_over(parts: usize) -> (SweepOutcome, Vec<Answering>) {
    let (plan, mut link) = four_networks();
    let vantage = Vantage { site: Site("test".into()), name: "here".into() };
    let udp = UdpQuestions(&payload);
    let stop = &Stop::new();
    let sweep = Sweep { plan: &plan, vantage: &vantage, udp, fragile: Fragile::NOBODY, stop };
    let mut handed = Vec::new();
    let mut pacer = Pacer::new(plan.rates);
    let mut ask_on = |answering: &Answering, pacer: &mut Pacer| {
        assert_eq!(pacer.pace(), 50);
        handed.push(answering.clone());
        match handed.len() == parts {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    let outcome = sweep.run_in_parts(&mut link, &mut pacer, &mut |_| {}, &mut |_| {}, &mut ask_on);
    check_rates(plan.rates, &link);
    (outcome, handed)
}

fn addresses(answering: &Answering) -> Vec<IpAddr> {
    answering.alive.iter().map(|(address, _)| *address).collect()
}

#[test]
fn each_part_is_handed_over_by_itself_and_all_of_them_are_the_outcome() {
    let (outcome, handed) = hand_over(usize::MAX);
    let each: Vec<_> = handed.iter().map(addresses).collect();
    let expected = ["198.18.0.9", "198.18.1.9", "198.18.2.9", "198.18.3.9"].map(|a| vec![ip(a)]);
    assert_eq!(each, expected);
    let open: Vec<usize> = handed.iter().map(|answering| answering.open.len()).collect();
    assert_eq!(open, [1, 2, 1, 1]);
    let all: Vec<_> = handed.iter().flat_map(|answering| answering.open.clone()).collect();
    assert_eq!(outcome.answering.open, all);
    assert_eq!(addresses(&outcome.answering), expected.concat());
    assert!(outcome.complete && outcome.gaps.is_empty(), "{:?}", outcome.gaps);
    // The first and the last address of the network are none of a device.
    assert_eq!(outcome.done, 1_022);
}

#[test]
fn a_part_that_is_broken_off_is_not_done() {
    for (parts, done, left) in [(1, 0, "766"), (2, 256, "510"), (3, 512, "254")] {
        let (outcome, handed) = hand_over(parts);
        assert_eq!(handed.len(), parts);
        assert_eq!(outcome.done, done);
        assert!(!outcome.complete);
        let [gap] = &outcome.gaps[..] else { panic!("{:?}", outcome.gaps) };
        assert!(gap.reason.contains(&format!(": {left} of 1022 addresses")), "{}", gap.reason);
    }
    // Of the last one whoever went on asking says what is missing.
    let (outcome, _) = hand_over(4);
    assert_eq!((outcome.done, outcome.complete), (768, false));
    assert_eq!(outcome.gaps, []);
}

#[test]
fn parts_that_say_the_same_are_covered_as_one() {
    let (plan, mut link) = four_networks();
    link.devices.clear();
    let outcome = run(&plan, &mut link).outcome;
    assert!(outcome.complete);
    let [covered] = &outcome.coverage[..] else { panic!("{:?}", outcome.coverage) };
    assert_eq!(covered.range, range("198.18.0.1", "198.18.3.254"));
}
