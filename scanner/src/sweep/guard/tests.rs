use std::net::IpAddr;

use model::{Site, Vantage};

use super::*;
use crate::{
    net::{Link as _, scripted::Scripted},
    plan::{Discover, Plan},
    rate::{Pacer, Rates},
    stop::Stop,
    sweep::{Fragile, Sweep, UdpQuestions, state::State},
    targets::{Purpose, Selection},
};

/// What is said of spans of 250 ms with so many questions and answers.
fn judge(spans: &[(u32, u32)]) -> Vec<Verdict> {
    let mut flow = Flow::default();
    let mut verdicts = Vec::new();
    for (number, (asked, answered)) in (1..).zip(spans) {
        (flow.asked, flow.answered, flow.since) = (*asked, *answered, SPAN * (number - 1));
        verdicts.push(flow.judge(SPAN * number));
    }
    verdicts
}

#[test]
fn a_constant_rate_of_answers_is_a_limit() {
    let verdicts = judge(&[(2_500, 25), (25, 25), (25, 25), (26, 24)]);
    let expected = [100, 100, 106].map(Verdict::Slower);
    assert_eq!(verdicts[..3], expected);
    assert_eq!(verdicts[3], Verdict::Nothing);
}

#[test]
fn a_constant_share_of_answers_is_a_filter() {
    let verdicts = judge(&[(2_500, 100), (100, 4), (2_500, 100)]);
    assert_eq!(verdicts, [Verdict::Slower(400), Verdict::AsBefore, Verdict::Nothing]);
}

#[test]
fn whoever_answers_has_no_limit() {
    assert_eq!(judge(&[(2_500, 2_450), (10, 0), (100, 90)]), [Verdict::Nothing; 3]);
}

#[test]
fn two_canaries_of_three_unanswered_are_too_many() {
    let turn = |went, answered| Round { went, answered, next: Duration::ZERO }.turn();
    // The question before the canaries, and the first canary, set it free.
    assert_eq!([turn(0, 0), turn(1, 0), turn(2, 0)], [Turn::Next; 3]);
    assert_eq!([turn(1, 1), turn(2, 1), turn(2, 2)], [Turn::GoOn; 3]);
    // No, no; no, yes, no; no, yes, yes.
    assert_eq!(turn(3, 0), Turn::LeaveAlone);
    assert_eq!(turn(3, 1), Turn::Next);
    assert_eq!(turn(4, 1), Turn::LeaveAlone);
    assert_eq!(turn(4, 2), Turn::Spare);
}

#[test]
fn who_struggled_stays_slow_when_a_filter_is_found() {
    let address = IpAddr::from([192, 0, 2, 7]);
    let mut selection = Selection::default();
    selection.add(Purpose::Target, "192.0.2.7");
    let rates = Rates { total: 20_000, per_host: 4_000, ..Rates::default() };
    let plan = Plan {
        scope: selection.scope(),
        ports: "1-1000".parse().unwrap(),
        discover: Discover::default(),
        rates,
        key: [1; 16],
        assume_alive: false,
    };
    let vantage = Vantage { site: Site("test".into()), name: "here".into() };
    let stop = Stop::new();
    let udp = UdpQuestions(&|_, _, _| Vec::new());
    let sweep =
        Sweep { plan: &plan, vantage: &vantage, udp, fragile: Fragile::NOBODY, stop: &stop };
    let (mut link, mut pacer) = (Scripted::new(Tier::Raw), Pacer::new(rates));
    let (mut told, mut progress) = (Vec::new(), |_| {});
    let mut observe = |observation| told.push(observation);
    let now = link.now();
    let mut engine = Engine::new(sweep, &mut link, &mut pacer, &mut observe, &mut progress);
    engine.state = State::new(engine.all.part(0, 1));
    engine.state.hosts.insert(0, Host::default());
    // While it is tried whether it has a limit, it struggles; then it is found to have none.
    let tried = Flow { since: now, asked: 100, answered: 4, stage: Stage::Tried };
    engine.state.hosts.get_mut(&0).unwrap().conduct.flow = tried;
    engine.spare(0);
    engine.judge_flow(0, now + SPAN);
    assert_eq!(engine.state.hosts[&0].conduct.flow.stage, Stage::Filtered);
    assert_eq!(engine.pacer.rate_to(address), 1_000);
    drop(engine);
    assert!(told.iter().any(|o| matches!(&o.fact, Fact::Anomaly { .. })));
}
