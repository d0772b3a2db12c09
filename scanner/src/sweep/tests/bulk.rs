//! Courses that the link asks by itself.

use super::*;

/// A /24 of which every address answers, half of the ports of each open.
fn dense(loss: u16) -> Scripted {
    let mut link = Scripted::new(Tier::Raw);
    link.loss = loss;
    for n in 0..=255_u8 {
        let tcp: Vec<String> = (2_000..2_040_u16)
            .filter(|port| (port ^ u16::from(n)) % 2 == 0)
            .map(|port| port.to_string())
            .collect();
        let device = Device { ttl: 60 + n % 7, ..Device::new(n, &tcp.join(",")) };
        link.devices.insert(IpAddr::from([198, 51, 100, n]), device);
    }
    link
}

fn unguarded(target: &str) -> Plan {
    let rates = Rates { total: 1_000_000, per_host: 1_000_000, ..Rates::default() };
    Plan { rates, ..plan(target, "2000-2039") }
}

#[test]
fn a_link_that_asks_by_itself_finds_the_same() {
    let plan = unguarded("198.51.100.0-255");
    let mut alone = dense(0);
    let expected = run(&plan, &mut alone);
    for every in [3, 1_000_000] {
        let mut link = dense(0);
        link.by_itself = Some(every);
        let found = run(&plan, &mut link);
        assert!(link.asked_by_itself > 6_000, "{}", link.asked_by_itself);
        assert_eq!(found.open(), expected.open());
        assert_eq!(found.open().len(), 256 * 20);
        let mut closed = 0;
        for observation in &found.seen {
            if let Fact::Ports { state: PortState::Closed, ports, .. } = &observation.fact {
                closed += ports.len();
            }
        }
        assert_eq!(closed, 256 * 20);
        assert!(found.outcome.complete);
        // Nobody is asked twice who answered.
        let mut asked: Vec<_> = link
            .sent
            .iter()
            .filter(|sent| matches!(sent.question, Question::Tcp(2_000..=2_039)))
            .map(|sent| (sent.to, sent.question.clone()))
            .collect();
        let all = asked.len();
        asked.sort_by_key(|(to, question)| (*to, format!("{question:?}")));
        asked.dedup();
        assert_eq!(asked.len(), all);
    }
}

#[test]
fn what_gets_lost_is_asked_again_by_the_link_and_then_in_person() {
    let mut link = dense(25);
    link.by_itself = Some(97);
    let found = run(&unguarded("198.51.100.0-255"), &mut link);
    assert!(found.open().len() >= 256 * 20 * 999 / 1_000, "{}", found.open().len());
    // Five of a hundred are asked a second time, some of them in person.
    let asked = link.sent.iter().filter(|s| matches!(s.question, Question::Tcp(2_000..=2_039)));
    let again = asked.count() as f64 / (256.0 * 40.0);
    assert!((1.03..1.08).contains(&again), "{again}");
    assert!(link.asked_by_itself > 10_000);
}

#[test]
fn a_stop_ends_what_the_link_asks_by_itself() {
    let mut link = dense(0);
    link.by_itself = Some(1_000_000);
    let stop = Stop::new();
    let mut plan = unguarded("198.51.100.0-255");
    plan.rates = Rates { total: 150_000, per_host: 150_000, ..Rates::default() };
    plan.ports = "2000-6000".parse().unwrap();
    let at = Duration::from_millis(2_000);
    link.faults.push(Fault::Stop(at, stop.clone()));
    let found = run_until(&plan, &mut link, &stop);
    assert!(!found.outcome.complete && link.asked_by_itself > 1_000);
    assert!(link.elapsed() <= at + Duration::from_millis(50), "{:?}", link.elapsed());
}
