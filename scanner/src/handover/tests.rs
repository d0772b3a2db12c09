use std::collections::BTreeMap;

use model::{
    AddressRange, Method, Neighbor, Service, Site, TlsExtent, TlsServer, TlsVersion, Vantage,
};

use super::*;
use crate::probe::{starttls::Starttls, tls::Collection};

const WEB: &str = "198.18.0.12";

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn range(first: &str, last: &str) -> AddressRange {
    AddressRange::new(address(first), address(last)).unwrap()
}

/// One that may ask in 198.18.0.0/24 but for one address, and in an area.
fn handover() -> Handover {
    let scope = Scope::new(
        vec![range("198.18.0.0", "198.18.0.255")],
        vec![range("198.18.0.9", "198.18.0.9")],
    );
    let scope = scope.with_areas(vec![range("2001:db8::", "2001:db8::ffff:ffff:ffff:ffff")]);
    Handover::new(scope, ControlSystems::LeaveAlone)
}

fn endpoint(text: &str, port: u16) -> Endpoint {
    Endpoint::tcp(address(text), port)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_795_000_000 + seconds)
}

fn hear(handover: &mut Handover, seconds: i64, subject: Subject, fact: Fact) {
    handover.hear(&Observation {
        observed_at: at(seconds),
        vantage: Vantage { site: Site("test".into()), name: "here".into() },
        method: Method::Capture,
        subject,
        fact,
        evidence: Vec::new(),
    });
}

const OPEN: Fact = Fact::PortState(PortState::Open);

fn name(text: &str) -> Fact {
    Fact::HostName { name: text.to_owned(), source: NameSource::ServerName }
}

fn tls() -> Fact {
    Fact::Tls(TlsServer {
        asked: TlsExtent::Gentle,
        cut: true,
        starttls: None,
        accepted: BTreeMap::from([(TlsVersion(0x0304), BTreeSet::new())]),
        refused: BTreeSet::new(),
        groups: BTreeSet::new(),
        dh_bits: None,
        protocols: BTreeSet::new(),
        client_authorities: None,
        compression: None,
        secure_renegotiation: None,
        extended_master_secret: None,
        hybrid: None,
    })
}

fn on(handover: &mut Handover, seconds: i64, port: u16, facts: &[Fact]) {
    for fact in facts {
        hear(handover, seconds, Subject::Endpoint(endpoint(WEB, port)), fact.clone());
    }
}

/// What is asked then, in short, and over at once.
fn asked(handover: &mut Handover, seconds: i64, found: Option<Door>) -> Vec<String> {
    let requests = handover.take(at(seconds), 1_000);
    for request in &requests {
        handover.ended(request, found, at(seconds));
    }
    requests.iter().map(short).collect()
}

fn short(request: &Request) -> String {
    let names: Vec<&str> = request.names.iter().map(ServerName::as_str).collect();
    let ask = match request.ask {
        Ask::Everything => "everything",
        Ask::Certificates(_) => "certificates",
    };
    let Open { endpoint, gentle, .. } = request.open;
    let gently = if gentle { " gently" } else { "" };
    format!("{endpoint} {ask}{gently} {}", names.join(",")).trim_end().to_owned()
}

#[test]
fn what_is_heard_within_a_moment_is_one_request() {
    let mut handover = handover();
    on(&mut handover, 0, 443, &[OPEN]);
    on(&mut handover, 1, 443, &[OPEN, tls(), name("a.example"), name("b.example"), OPEN]);
    assert_eq!(asked(&mut handover, 1, None), [""; 0], "it is listened to first");
    let expected = "198.18.0.12:443/tcp everything a.example,b.example";
    assert_eq!(asked(&mut handover, 2, Some(Door::Tls)), [expected]);
    assert_eq!(handover.counts(), Counts { asked: 1, waiting: 0, no_room: 0 });
}

#[test]
fn what_was_asked_is_asked_again_after_a_day_and_only_when_it_is_heard_again() {
    let mut handover = handover();
    on(&mut handover, 0, 22, &[OPEN]);
    let expected = ["198.18.0.12:22/tcp everything"];
    // Whether it answered makes no difference.
    assert_eq!(asked(&mut handover, 2, None), expected);
    on(&mut handover, 60, 22, &[OPEN, Fact::Service(Service::of("ssh"))]);
    assert_eq!(asked(&mut handover, 70, None), [""; 0]);
    on(&mut handover, AGAIN + 1, 22, &[OPEN]);
    assert_eq!(asked(&mut handover, AGAIN + 10, None), [""; 0]);
    on(&mut handover, AGAIN + 2, 22, &[OPEN]);
    assert_eq!(asked(&mut handover, AGAIN + 10, None), expected);
    assert_eq!(asked(&mut handover, 3 * AGAIN, None), [""; 0]);
}

#[test]
fn a_new_name_asks_for_certificates_alone_and_each_name_once() {
    let mut handover = handover();
    on(&mut handover, 0, 443, &[OPEN, tls(), name("a.example"), name("old.example")]);
    assert_eq!(asked(&mut handover, 2, Some(Door::Tls)).len(), 1);
    on(&mut handover, 60, 443, &[name("a.example"), name("b.example"), name("192.0.2.1")]);
    let expected = ["198.18.0.12:443/tcp certificates b.example"];
    assert_eq!(asked(&mut handover, 62, Some(Door::Tls)), expected);
    on(&mut handover, 120, 443, &[name("a.example"), name("b.example")]);
    assert_eq!(asked(&mut handover, 130, Some(Door::Tls)), [""; 0]);
    // Those that somebody used since; the third is nobody's any more.
    on(&mut handover, AGAIN + 70, 443, &[name("b.example")]);
    let expected = ["198.18.0.12:443/tcp everything a.example,b.example"];
    assert_eq!(asked(&mut handover, AGAIN + 80, Some(Door::Tls)), expected);
}

#[test]
fn a_name_where_nobody_speaks_tls_asks_nothing() {
    let mut handover = handover();
    on(&mut handover, 0, 80, &[OPEN, name("a.example")]);
    assert_eq!(asked(&mut handover, 2, None), ["198.18.0.12:80/tcp everything a.example"]);
    on(&mut handover, 60, 80, &[name("b.example")]);
    assert_eq!(asked(&mut handover, 70, None), [""; 0]);
}

#[test]
fn tls_at_an_endpoint_that_spoke_none_with_us_is_news_once() {
    let mut handover = handover();
    on(&mut handover, 0, 9_000, &[OPEN]);
    assert_eq!(asked(&mut handover, 2, None).len(), 1);
    on(&mut handover, 60, 9_000, &[tls()]);
    assert_eq!(asked(&mut handover, 62, None), ["198.18.0.12:9000/tcp everything"]);
    on(&mut handover, 120, 9_000, &[tls(), name("a.example")]);
    assert_eq!(asked(&mut handover, 130, None), [""; 0]);
}

#[test]
fn what_is_heard_while_it_is_asked_comes_afterwards() {
    let mut handover = handover();
    on(&mut handover, 0, 25, &[OPEN]);
    let [request] = &handover.take(at(2), 9)[..] else { panic!() };
    on(&mut handover, 3, 25, &[name("mail.example"), tls()]);
    assert!(handover.take(at(9), 9).is_empty());
    handover.ended(request, Some(Door::Starttls(Starttls::Smtp)), at(9));
    let [request] = &handover.take(at(12), 9)[..] else { panic!() };
    assert_eq!(request.ask, Ask::Certificates(Door::Starttls(Starttls::Smtp)));
    assert_eq!(short(request), "198.18.0.12:25/tcp certificates mail.example");
}

#[test]
fn more_names_than_a_visit_asks_for_follow_in_further_ones() {
    let mut handover = handover();
    let names: Vec<Fact> = (0..20).map(|n| name(&format!("n{n}.example"))).collect();
    on(&mut handover, 0, 443, &names);
    let mut all = BTreeSet::new();
    for round in 1..=3 {
        let requests = handover.take(at(round * 10), 9);
        let [request] = &requests[..] else { panic!("{requests:?}") };
        assert!(request.names.len() <= Collection::MAX_NAMES);
        all.extend(request.names.clone());
        handover.ended(request, Some(Door::Tls), at(round * 10));
    }
    assert_eq!(all.len(), 20);
    assert!(handover.take(at(90), 9).is_empty());
}

#[test]
fn nobody_outside_of_the_targets_waits() {
    let mut handover = handover();
    for text in ["198.18.1.12", "198.18.0.9", "192.0.2.1", "224.0.0.1", "2001:db8:0:1::5"] {
        hear(&mut handover, 0, Subject::Endpoint(endpoint(text, 443)), OPEN);
    }
    assert_eq!(handover.counts(), Counts::default());
    // What is heard in an area is found there, and may be asked from then on.
    hear(&mut handover, 0, Subject::Endpoint(endpoint("2001:db8::5", 443)), OPEN);
    let requests = handover.take(at(2), 9);
    let scope = handover.scope_of(&requests);
    assert!(scope.permit(address("2001:db8::5")).is_ok());
    assert!(scope.permit(address("2001:db8::6")).is_err());
}

#[test]
fn controllers_are_left_alone_on_any_port_and_their_neighbours_asked_gently() {
    let speaks = |protocol: &str| Fact::Service(Service::of(protocol));
    let mut handover = handover();
    on(&mut handover, 0, 10_502, &[OPEN, speaks("modbus")]);
    on(&mut handover, 0, 80, &[OPEN]);
    assert_eq!(asked(&mut handover, 2, None), ["198.18.0.12:80/tcp everything gently"]);

    let mut handover = Handover::new(handover.scope, ControlSystems::Ask);
    on(&mut handover, 0, 502, &[OPEN, speaks("modbus")]);
    assert_eq!(asked(&mut handover, 2, None), ["198.18.0.12:502/tcp everything gently"]);
}

#[test]
fn a_printers_port_and_a_word_of_profinet_make_it_gentle() {
    let mut handover = handover();
    on(&mut handover, 0, 9_100, &[OPEN]);
    on(&mut handover, 0, 443, &[OPEN]);
    let mac = MacAddr([0, 0, 0x5e, 0, 0x53, 1]);
    let other = address("198.18.0.13");
    hear(&mut handover, 0, Subject::Address(other), Fact::LinkAddress(mac));
    let neighbor = Fact::Neighbor(Neighbor::of(DiscoveryProtocol::Profinet));
    hear(&mut handover, 0, Subject::Mac(mac), neighbor);
    hear(&mut handover, 0, Subject::Endpoint(Endpoint::tcp(other, 80)), OPEN);
    let requests = handover.take(at(2), 9);
    assert!(requests.len() == 3 && requests.iter().all(|r| r.open.gentle), "{requests:?}");
    assert_eq!(requests[2].open.mac, Some(mac));
}

#[test]
fn what_was_put_back_is_asked_as_if_it_had_not_been() {
    let mut handover = handover();
    on(&mut handover, 0, 443, &[OPEN, name("a.example")]);
    let requests = handover.take(at(2), 9);
    assert_eq!(handover.counts(), Counts { asked: 1, waiting: 1, no_room: 0 });
    handover.put_back(&requests[0], at(3));
    assert_eq!(handover.counts(), Counts { asked: 0, waiting: 1, no_room: 0 });
    assert_eq!(handover.take(at(9), 9), requests);
}

#[test]
fn a_flood_is_counted_and_makes_nothing_grow() {
    let mut handover = handover();
    // One address with all its ports, then all addresses with as many as may be.
    for port in 1..=9_999 {
        on(&mut handover, 0, port, &[OPEN]);
    }
    assert_eq!(handover.counts().waiting, usize::from(MOST_EACH));
    assert_eq!(handover.counts().no_room, 9_999 - u64::from(MOST_EACH));
    for (last, port) in (10..=255).flat_map(|last| (1..=300).map(move |port| (last, port))) {
        let endpoint = Endpoint::tcp(address(&format!("198.18.0.{last}")), port);
        hear(&mut handover, 0, Subject::Endpoint(endpoint), OPEN);
        hear(&mut handover, 0, Subject::Endpoint(endpoint), name(&format!("n{port}.example")));
    }
    assert_eq!(handover.counts().waiting, MOST_WAITING);
    assert!(handover.known.len() <= MOST_KNOWN && handover.names <= MOST_NAMES);
    // After a day of silence there is room again.
    let later = AGAIN + 5;
    while !asked(&mut handover, 3, None).is_empty() {}
    on(&mut handover, later, 60_000, &[OPEN]);
    assert_eq!(asked(&mut handover, later + 2, None), ["198.18.0.12:60000/tcp everything gently"]);
    assert!(handover.known.len() < 10, "{}", handover.known.len());
    assert!(handover.names == 0 && handover.each.len() < 10);
}
