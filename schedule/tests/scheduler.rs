//! What is started when several jobs want to run, when one breaks, and when the plan changes.

use jiff::tz::TimeZone;
use model::{RunResult, Timestamp};
use schedule::{
    Ending, Lane, Limits, Missed, Order, Past, Planned, Schedule, Scheduler, Unfinished,
};

const LIMITS: Limits = Limits { at_once: 2 };

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn planned(name: &str, line: &str, lane: Lane) -> Planned {
    Planned {
        name: name.to_owned(),
        schedule: Some(Schedule { line: line.parse().unwrap(), zone: TimeZone::UTC }),
        jitter: 0,
        missed: Missed::Once,
        windows: Vec::new(),
        lane,
    }
}

fn watch() -> Planned {
    Planned { schedule: None, ..planned("mirror", "* * * * *", Lane::Listening) }
}

/// A scheduler whose jobs are settled up to the day before.
fn scheduler(planned: Vec<Planned>) -> Scheduler {
    let past = |_: &str| Past { settled: Some(at("2027-05-01T00:00:00Z")), last: None };
    Scheduler::new(planned, LIMITS, &past)
}

/// The names of what is started at that moment, each with its attempt and what it makes up for.
#[track_caller]
fn starts(scheduler: &mut Scheduler, now: &str, expected: &[(&str, u32, u32)]) {
    let orders = scheduler.tick(at(now));
    let started: Vec<(String, u32, u32)> = orders
        .into_iter()
        .filter_map(|order| match order {
            Order::Start { name, attempt, missed, .. } => Some((name, attempt, missed)),
            Order::Wished { name } => Some((name, 0, 0)),
            Order::Skip { .. } | Order::Settle { .. } => None,
        })
        .collect();
    let started: Vec<(&str, u32, u32)> =
        started.iter().map(|(name, attempt, missed)| (name.as_str(), *attempt, *missed)).collect();
    assert_eq!(started, expected, "at {now}");
}

#[test]
fn one_sweep_through_an_interface_and_no_more_than_allowed_at_once() {
    let eth0 = || Lane::Sweep(Some("eth0".to_owned()));
    let eth1 = || Lane::Sweep(Some("eth1".to_owned()));
    let mut jobs = scheduler(vec![
        planned("a", "0 2 * * *", eth0()),
        planned("b", "1 2 * * *", eth0()),
        planned("c", "2 2 * * *", eth1()),
        planned("d", "3 2 * * *", Lane::Free),
        watch(),
    ]);
    starts(&mut jobs, "2027-05-01T00:00:01Z", &[("mirror", 1, 0)]);
    starts(&mut jobs, "2027-05-01T02:03:00Z", &[("a", 1, 0), ("c", 1, 0)]);
    starts(&mut jobs, "2027-05-01T02:03:01Z", &[]);
    jobs.ended("c", at("2027-05-01T02:04:00Z"), Ending::Over);
    // `b` still waits for the interface, and does not keep `d` from running.
    starts(&mut jobs, "2027-05-01T02:04:00Z", &[("d", 1, 0)]);
    jobs.ended("a", at("2027-05-01T03:00:00Z"), Ending::Over);
    starts(&mut jobs, "2027-05-01T03:00:00Z", &[("b", 1, 0)]);
    assert_eq!(jobs.running().collect::<Vec<_>>(), ["b", "d", "mirror"]);
}

#[test]
fn what_somebody_wants_now_waits_for_its_turn_too_and_settles_nothing() {
    let eth0 = || Lane::Sweep(Some("eth0".to_owned()));
    let mut jobs = scheduler(vec![
        planned("a", "0 2 * * *", eth0()),
        planned("b", "0 3 * * *", eth0()),
        Planned { missed: Missed::Skip, ..planned("c", "0 4 * * *", Lane::Free) },
        planned("d", "0 5 * * *", Lane::Free),
    ]);
    starts(&mut jobs, "2027-05-01T02:00:00Z", &[("a", 1, 0)]);
    assert!(!jobs.wish("nobody", at("2027-05-01T02:00:01Z")));
    // `a` runs already and `b` shares the interface; of `c` and `d` one has room.
    for name in ["a", "b", "c", "d"] {
        assert!(jobs.wish(name, at("2027-05-01T02:00:01Z")));
        assert!(jobs.wish(name, at("2027-05-01T02:00:02Z")), "twice is once");
    }
    starts(&mut jobs, "2027-05-01T02:00:03Z", &[("c", 0, 0)]);
    jobs.ended("a", at("2027-05-01T02:10:00Z"), Ending::Over);
    // The interface is for `a`, which was named first; then comes `b`, whose own time it is.
    starts(&mut jobs, "2027-05-01T02:10:00Z", &[("a", 0, 0)]);
    jobs.ended("a", at("2027-05-01T03:00:00Z"), Ending::Crashed);
    starts(&mut jobs, "2027-05-01T03:00:00Z", &[("b", 0, 0)]);
    jobs.ended("b", at("2027-05-01T03:01:00Z"), Ending::Over);
    // Who waits longest comes first; what cannot be begun keeps nobody else from it, not even where
    // it is wished again, and is tried later.
    starts(&mut jobs, "2027-05-01T03:01:00Z", &[("d", 0, 0)]);
    jobs.put_back("d", at("2027-05-01T03:01:01Z"), 30);
    assert!(jobs.wish("d", at("2027-05-01T02:00:01Z")));
    assert_eq!(jobs.wake_at(at("2027-05-01T03:01:02Z")), Some(at("2027-05-01T03:01:31Z")));
    starts(&mut jobs, "2027-05-01T03:01:02Z", &[("b", 1, 0)]);
    jobs.ended("b", at("2027-05-01T03:02:00Z"), Ending::Over);
    starts(&mut jobs, "2027-05-01T03:02:00Z", &[("d", 0, 0)]);
    jobs.ended("d", at("2027-05-01T03:03:00Z"), Ending::Over);
    // What falls due meanwhile is not missed by it.
    starts(&mut jobs, "2027-05-01T04:00:00Z", &[]);
    jobs.ended("c", at("2027-05-01T04:00:02Z"), Ending::Over);
    starts(&mut jobs, "2027-05-01T04:00:03Z", &[("c", 1, 0)]);
}

#[test]
fn a_sweep_by_any_way_waits_for_all_and_keeps_its_place() {
    let mut jobs = scheduler(vec![
        planned("a", "0 2 * * *", Lane::Sweep(Some("eth0".to_owned()))),
        planned("b", "1 2 * * *", Lane::Sweep(None)),
        planned("c", "2 2 * * *", Lane::Sweep(Some("eth1".to_owned()))),
    ]);
    starts(&mut jobs, "2027-05-01T02:02:00Z", &[("a", 1, 0)]);
    jobs.ended("a", at("2027-05-01T02:05:00Z"), Ending::Over);
    starts(&mut jobs, "2027-05-01T02:05:00Z", &[("b", 1, 0)]);
    jobs.ended("b", at("2027-05-01T02:06:00Z"), Ending::Over);
    starts(&mut jobs, "2027-05-01T02:06:00Z", &[("c", 1, 0)]);
}

#[test]
fn what_crashes_is_tried_three_times_with_growing_pauses() {
    let mut jobs = scheduler(vec![planned("a", "0 2 * * *", Lane::Free)]);
    starts(&mut jobs, "2027-05-01T02:00:00Z", &[("a", 1, 0)]);
    jobs.ended("a", at("2027-05-01T02:00:10Z"), Ending::Crashed);
    assert_eq!(jobs.wake_at(at("2027-05-01T02:00:10Z")), Some(at("2027-05-01T02:00:15Z")));
    starts(&mut jobs, "2027-05-01T02:00:14Z", &[]);
    starts(&mut jobs, "2027-05-01T02:00:15Z", &[("a", 2, 0)]);
    jobs.ended("a", at("2027-05-01T02:00:20Z"), Ending::Crashed);
    starts(&mut jobs, "2027-05-01T02:00:30Z", &[("a", 3, 0)]);
    jobs.ended("a", at("2027-05-01T02:00:40Z"), Ending::Crashed);
    starts(&mut jobs, "2027-05-01T23:00:00Z", &[]);
    starts(&mut jobs, "2027-05-02T02:00:00Z", &[("a", 1, 0)]);
}

#[test]
fn what_always_runs_is_begun_again_for_ever() {
    let mut jobs = scheduler(vec![watch()]);
    let mut now = at("2027-05-01T00:00:00Z");
    for attempt in 1..=20 {
        starts(&mut jobs, &now.to_string(), &[("mirror", attempt, 0)]);
        now = now.plus_seconds(1);
        jobs.ended("mirror", now, Ending::Over);
        assert!(jobs.wake_at(now).unwrap() > now);
        now = jobs.wake_at(now).unwrap();
    }
    // Twenty failures, and the last pause was the longest.
    starts(&mut jobs, &now.to_string(), &[("mirror", 21, 0)]);
    jobs.ended("mirror", now, Ending::Over);
    assert_eq!(jobs.wake_at(now).unwrap().seconds_since(now), 300);
}

#[test]
fn outside_of_its_windows_a_job_waits() {
    let windows = vec!["22:00-06:00".parse().unwrap()];
    let job = Planned { windows, ..planned("a", "0 12 * * *", Lane::Free) };
    let mut jobs = scheduler(vec![job]);
    starts(&mut jobs, "2027-05-01T12:00:00Z", &[]);
    starts(&mut jobs, "2027-05-01T21:59:59Z", &[]);
    let wake = jobs.wake_at(at("2027-05-01T21:59:30Z")).unwrap();
    assert!(wake <= at("2027-05-01T22:00:30Z"));
    starts(&mut jobs, "2027-05-01T22:00:00Z", &[("a", 1, 0)]);
}

#[test]
fn another_schedule_owes_nothing_and_the_same_one_what_it_owed() {
    let mut jobs = scheduler(vec![
        planned("a", "0 2 * * *", Lane::Free),
        planned("b", "0 2 * * *", Lane::Free),
        planned("gone", "0 1 * * *", Lane::Free),
    ]);
    starts(&mut jobs, "2027-05-01T01:00:00Z", &[("gone", 1, 0)]);
    let plan = vec![planned("a", "0 2 * * *", Lane::Free), planned("b", "0 1 * * *", Lane::Free)];
    jobs.replan(plan, LIMITS);
    // `b` is settled with this, and what runs is still counted.
    starts(&mut jobs, "2027-05-01T01:30:00Z", &[]);
    assert_eq!(jobs.running().collect::<Vec<_>>(), ["gone"]);
    starts(&mut jobs, "2027-05-01T09:00:00Z", &[("a", 1, 0)]);
    jobs.ended("gone", at("2027-05-01T09:01:00Z"), Ending::Stopped);
    starts(&mut jobs, "2027-05-02T01:00:00Z", &[("b", 1, 0)]);
}

#[test]
fn what_was_stopped_by_a_reload_is_made_up_for() {
    let mut jobs = scheduler(vec![planned("a", "0 2 * * *", Lane::Free)]);
    starts(&mut jobs, "2027-05-01T02:00:00Z", &[("a", 1, 0)]);
    jobs.ended("a", at("2027-05-01T02:10:00Z"), Ending::Stopped);
    starts(&mut jobs, "2027-05-01T02:10:00Z", &[("a", 1, 0)]);
}

#[test]
fn a_week_that_was_missed_is_one_run() {
    let mut jobs = scheduler(vec![planned("a", "0 2 * * *", Lane::Free)]);
    starts(&mut jobs, "2027-05-07T12:00:00Z", &[("a", 1, 6)]);
    let mut late = scheduler(vec![planned("a", "* * * * *", Lane::Free)]);
    // Five years of minutes: found at once, and not counted to the last.
    let orders = late.tick(at("2032-05-01T00:00:30Z"));
    let Some(Order::Start { due: Some(due), missed, .. }) = orders.first() else { panic!() };
    assert_eq!(*due, at("2032-05-01T00:00:00Z"));
    assert!(*missed >= 1_000);
}

#[test]
fn a_clock_that_was_wrong_by_years_does_not_stop_a_job_for_years() {
    let past = |_: &str| Past { settled: Some(at("2040-01-01")), last: None };
    let mut jobs = Scheduler::new(vec![planned("a", "0 2 * * *", Lane::Free)], LIMITS, &past);
    let now = at("2027-05-01T01:00:00Z");
    assert_eq!(jobs.tick(now), [Order::Settle { name: "a".into(), at: now }]);
    starts(&mut jobs, "2027-05-01T02:00:00Z", &[("a", 1, 0)]);
}

#[test]
fn how_the_last_run_ended_says_what_is_owed() {
    for (result, missed, expected) in [
        (RunResult::Stopped, Missed::Once, Some(1)),
        (RunResult::CutOff, Missed::Once, Some(2)),
        (RunResult::Crashed, Missed::Once, Some(2)),
        (RunResult::CutOff, Missed::Skip, None),
        (RunResult::Done, Missed::Once, None),
        (RunResult::Failed, Missed::Once, None),
        (RunResult::Incomplete, Missed::Once, None),
    ] {
        let due = at("2027-05-01T02:00:00Z");
        let last = Some(Unfinished { due, attempt: 1, result });
        let past = |_: &str| Past { settled: Some(due), last };
        let job = Planned { missed, ..planned("a", "0 2 * * *", Lane::Free) };
        let mut jobs = Scheduler::new(vec![job], LIMITS, &past);
        let expected: Vec<(&str, u32, u32)> =
            expected.map(|attempt| ("a", attempt, 0)).into_iter().collect();
        starts(&mut jobs, "2027-05-01T05:00:00Z", &expected);
    }
}

#[test]
fn jitter_is_the_same_wherever_it_is_asked_and_never_reaches_the_next() {
    let job = Planned { jitter: 3_600, ..planned("a", "*/10 * * * *", Lane::Free) };
    let times: Vec<_> = job.upcoming(at("2027-05-01")).take(500).collect();
    assert!(times.windows(2).all(|pair| pair[0].1 < pair[1].0));
    assert!(times.iter().any(|(due, begins)| begins.seconds_since(*due) > 300));
    let later: Vec<_> = job.upcoming(times[99].0).take(400).collect();
    assert_eq!(later, times[100..]);
}
