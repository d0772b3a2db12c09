//! The rate that is found out.

use super::*;
use crate::{
    net::scripted::{Bottleneck, Limit},
    rate::Tempo,
};

/// From 1,000 packets a second to `most`.
fn auto(most: u32) -> Rates {
    Rates { total: most, per_host: 200, tempo: Tempo::From(1_000), ..Rates::default() }
}

/// Four networks of which so many devices each answer everything, far away or on the link.
fn networks(devices: u8) -> Scripted {
    let mut link = Scripted::new(Tier::Raw);
    for third in 0..4 {
        for n in 1..=devices {
            let device =
                Device { latency: Duration::from_millis(u64::from(n % 9)), ..Device::new(n, "22") };
            link.devices.insert(IpAddr::from([198, 18, third, n]), device);
        }
    }
    link
}

/// Packets in each whole second of the sweep.
fn by_second(link: &Scripted) -> Vec<usize> {
    let seconds = usize::try_from(link.elapsed().as_secs()).unwrap();
    let mut counts = vec![0; seconds];
    for sent in &link.sent {
        let second = usize::try_from((sent.at - link.started()).as_secs()).unwrap();
        counts.get_mut(second).into_iter().for_each(|count| *count += 1);
    }
    counts
}

fn swept(link: &mut Scripted, most: u32) -> Run {
    let mut plan = plan("198.18.0.0/22", "20-79");
    plan.rates = auto(most);
    run(&plan, link)
}

/// The mean of packets a second from that second of the sweep on.
fn mean_from(link: &Scripted, second: usize) -> usize {
    let counts = by_second(link);
    let later = &counts[second..];
    later.iter().sum::<usize>() / later.len()
}

#[test]
fn a_bottleneck_is_found_within_five_seconds_and_nothing_is_missed() {
    // A tenth of a second's worth may wait before it, or ten times as much.
    for queue in [200, 2_000] {
        let mut link = networks(100);
        link.bottleneck = Some(Bottleneck::new(2_000, queue));
        let run = swept(&mut link, 20_000);
        assert!(
            run.outcome.answering.open.len() >= 396,
            "{} of 400",
            run.outcome.answering.open.len()
        );
        let mean = mean_from(&link, 5);
        assert!((1_500..=2_100).contains(&mean), "{mean} behind {queue}");
        let most = by_second(&link).into_iter().skip(5).max().unwrap();
        assert!(most <= 2_400, "{most} behind {queue}");
        let dropped = link.bottleneck.unwrap().dropped;
        assert!(dropped * 50 < link.sent.len() as u64, "{dropped} of {}", link.sent.len());
    }
}

#[test]
fn a_line_that_queues_nothing_is_overrun_by_a_third_at_most() {
    let mut link = networks(100);
    link.bottleneck = Some(Bottleneck::new(2_000, 10));
    let run = swept(&mut link, 20_000);
    assert!(run.outcome.answering.open.len() >= 396, "{} of 400", run.outcome.answering.open.len());
    let mean = mean_from(&link, 6);
    assert!((1_600..=2_700).contains(&mean), "{mean}");
}

#[test]
fn a_line_too_narrow_for_the_first_rate_is_found_too() {
    let mut link = networks(10);
    link.bottleneck = Some(Bottleneck::new(300, 30));
    swept(&mut link, 20_000);
    let mean = mean_from(&link, 5);
    assert!((200..=500).contains(&mean), "{mean}");
}

#[test]
fn where_nothing_speaks_against_it_the_most_is_reached_and_little_time_lost() {
    for tier in [Tier::Raw, Tier::Connect] {
        let unbound = || {
            let mut link = networks(100);
            (link.tier, link.most_under_way) = (tier, None);
            link
        };
        let mut link = unbound();
        let found = swept(&mut link, 20_000);
        assert_eq!(found.outcome.rate, Some(20_000), "{tier}");
        assert_eq!(found.outcome.answering.open.len(), 400);
        let mut fixed = unbound();
        let mut plan = plan("198.18.0.0/22", "20-79");
        plan.rates = Rates { tempo: Tempo::Steady, ..auto(20_000) };
        let steady = run(&plan, &mut fixed);
        assert_eq!(steady.outcome.rate, None);
        let lost = link.elapsed().saturating_sub(fixed.elapsed());
        assert!(lost < Duration::from_secs(6), "{lost:?} of {:?}", fixed.elapsed());
    }
}

#[test]
fn one_limited_device_slows_nobody_else() {
    for limit in [3, 40] {
        let mut link = networks(100);
        for third in 0..4 {
            let address = IpAddr::from([198, 18, third, 3]);
            if let Some(device) = link.devices.get_mut(&address).filter(|_| third == 1) {
                device.answers = Some(Limit::new(limit));
            }
        }
        let run = swept(&mut link, 20_000);
        assert_eq!(run.outcome.rate, Some(20_000), "limit {limit}");
        assert!(run.outcome.answering.open.len() >= 399);
    }
}

#[test]
fn loss_by_chance_does_not_bring_the_rate_down() {
    // Of a hundred questions two get no answer, or ten.
    for (loss, least) in [(10, 10_000), (50, 5_000)] {
        let mut link = networks(100);
        link.loss = loss;
        let run = swept(&mut link, 20_000);
        assert!(run.outcome.rate.unwrap() >= least, "{:?} at {loss}", run.outcome.rate);
        assert!(
            run.outcome.answering.open.len() >= 399,
            "{} of 400",
            run.outcome.answering.open.len()
        );
    }
}

#[test]
fn without_three_that_answer_the_rate_stays_what_it_is() {
    for devices in [0, 2] {
        let mut link = Scripted::new(Tier::Raw);
        for n in 1..=devices {
            link.devices.insert(IpAddr::from([198, 18, n, 7]), Device::new(n, "22"));
        }
        let run = swept(&mut link, 20_000);
        assert_eq!(run.outcome.rate, Some(1_000));
        assert!(by_second(&link).into_iter().all(|count| count <= 1_010));
    }
}

#[test]
fn what_the_system_refuses_or_loses_brings_the_rate_down() {
    let mut link = networks(100);
    let seconds = Duration::from_secs;
    link.faults = vec![Fault::Busy(seconds(1), seconds(2))];
    let plan = Plan { rates: auto(1_000), ..plan("198.18.0.0/22", "20-39") };
    let refused = run(&plan, &mut link);
    assert!(by_second(&link)[2] < 800, "{:?}", by_second(&link));
    assert_eq!(refused.outcome.rate, Some(1_000), "it came back");
    let mut link = networks(2);
    link.drops_per_question = 1;
    let plan = Plan { scope: scope("198.18.0.0/26"), ports: "none".parse().unwrap(), ..plan };
    assert!(run(&plan, &mut link).outcome.rate.unwrap() <= 700);
}

#[test]
fn a_course_that_the_link_asks_by_itself_follows_the_same_rate() {
    let mut link = networks(250);
    link.by_itself = Some(u64::MAX);
    link.bottleneck = Some(Bottleneck::new(10_000, 1_000));
    let mut plan = plan("198.18.0.0/22", "20-79");
    plan.rates =
        Rates { total: 200_000, per_host: 200_000, tempo: Tempo::From(1_000), ..plan.rates };
    let run = run(&plan, &mut link);
    assert!(link.asked_by_itself > 50_000, "{}", link.asked_by_itself);
    assert!(
        run.outcome.answering.open.len() >= 990,
        "{} of 1,000",
        run.outcome.answering.open.len()
    );
    let most = by_second(&link).into_iter().skip(5).max().unwrap_or_default();
    assert!(most <= 13_000, "{most}");
}
