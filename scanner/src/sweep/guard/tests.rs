use std::{net::IpAddr, ops::ControlFlow};

use model::{Site, Vantage};

use super::*;
use crate::{
    net::{Link as _, scripted::Scripted},
    plan::{Discover, Plan},
    rate::{Pacer, Rates},
    stop::Stop,
    sweep::{Answering, Fragile, Sweep, UdpQuestions, state::State},
    targets::{Purpose, Selection},
};

#[test]
fn two_canaries_of_three_unanswered_are_too_many() {
    let turn = |went, answered| Round { went, answered }.turn();
    // The first canary sets it free.
    assert_eq!([turn(0, 0), turn(1, 0), turn(1, 1)], [Turn::Next, Turn::Next, Turn::GoOn]);
    // No, no; no, yes, no; no, yes, yes.
    assert_eq!(turn(2, 0), Turn::LeaveAlone);
    assert_eq!(turn(2, 1), Turn::Next);
    assert_eq!(turn(3, 1), Turn::LeaveAlone);
    assert_eq!(turn(3, 2), Turn::Spare);
}

#[test]
fn who_struggled_stays_slow() {
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
    let udp = UdpQuestions(&|_, _, _, _| Vec::new());
    let sweep =
        Sweep { plan: &plan, vantage: &vantage, udp, fragile: Fragile::NOBODY, stop: &stop };
    let (mut link, mut pacer) = (Scripted::new(Tier::Raw), Pacer::new(rates));
    let (mut told, mut progress) = (Vec::new(), |_| {});
    let mut observe = |observation| told.push(observation);
    let now = link.now();
    let mut ask_on = |_: &Answering, _: &mut Pacer| ControlFlow::Continue(());
    let mut engine =
        Engine::new(sweep, &mut link, &mut pacer, &mut observe, &mut progress, &mut ask_on);
    engine.state = State::new(engine.all.part(0, 1));
    engine.state.hosts.insert(0, Host::default());
    engine.spare(0);
    assert_eq!(engine.pacer.rate_to(address), 1_000);
    engine.note_answered(0, Ask::Tcp(22), now);
    assert_eq!(engine.pacer.rate_to(address), 1_000);
    drop(engine);
    assert!(told.iter().any(|o| matches!(&o.fact, Fact::Anomaly { .. })));
}
