use model::{Site, Vantage};

use super::*;
use crate::{asset::AssetId, finding::FindingState};

const DAY: i64 = 86_400;

fn at(day: i64) -> Timestamp {
    Timestamp::from_seconds(day * DAY)
}

fn route() -> Route {
    Route {
        name: "mail".into(),
        policy: Policy::default(),
        rules: Vec::new(),
        sites: Vec::new(),
        owners: Vec::new(),
        kinds: [AlertKind::New, AlertKind::Worse, AlertKind::Reminder, AlertKind::Over].into(),
        about: About::ALL.into(),
        gather: 60,
        urgent: Some(Severity::Critical),
        baseline: Baseline::Silent,
    }
}

fn finding(rule: &str, subject: &str, severity: Severity, state: FindingState) -> Finding {
    Finding {
        key: FindingKey { rule: rule.into(), subject: subject.into() },
        asset: Some(AssetId(1)),
        severity,
        title: rule.into(),
        detail: String::new(),
        state,
        first_seen: at(0),
        last_seen: at(0),
        resolved_at: None,
        accepted: None,
    }
}

fn known<'a>(finding: &'a Finding, site: &'a str) -> Known<'a> {
    Known { id: 1, finding, site: Some(site), owners: vec!["Sato".into(), "Sales".into()] }
}

fn scan(site: &str, complete: bool) -> ScanRecord {
    ScanRecord {
        vantage: Vantage { site: Site(site.into()), name: "test".into() },
        started_at: at(0),
        ended_at: Some(at(0)),
        io: "connect".into(),
        probes_sent: 0,
        replies: 0,
        drops: 0,
        complete,
        gaps: Vec::new(),
        coverage: Vec::new(),
    }
}

/// A memory for which the site is settled.
fn settled(site: &str) -> Memory {
    Memory { told: Vec::new(), sites: [(site.to_owned(), (at(0), true))].into() }
}

fn rules(items: &[Item]) -> Vec<(&'static str, &str)> {
    items.iter().map(|item| (item.kind.as_str(), item.rule.as_str())).collect()
}

#[track_caller]
fn wants(change: impl FnOnce(&mut Route), expected: bool) {
    let mut route = route();
    change(&mut route);
    let wrong = finding("device.unregistered", "asset:1", Severity::Warning, FindingState::Open);
    let (items, _) = news(&route, &settled("plant"), &[known(&wrong, "plant")], &[], &[], at(1));
    assert_eq!(!items.is_empty(), expected, "{route:?}");
}

#[test]
fn a_route_is_told_what_all_of_its_filters_let_through() {
    wants(|_| {}, true);
    wants(|route| route.policy.least = Severity::Critical, false);
    wants(|route| route.rules = vec!["device.*".into()], true);
    wants(|route| route.rules = vec!["device.unregistered".into()], true);
    wants(|route| route.rules = vec!["device".into(), "cert.*".into()], false);
    wants(|route| route.sites = vec!["office".into()], false);
    wants(|route| route.sites = vec!["office".into(), "plant".into()], true);
    wants(|route| route.owners = vec!["sales".into()], true);
    wants(|route| route.owners = vec!["Ito".into()], false);
    wants(|route| route.kinds = [AlertKind::Over].into(), false);
    wants(|route| route.about = [About::Approval].into(), true);
    wants(|route| route.about = [About::Discovery, About::State, About::Risk].into(), false);
}

#[test]
fn what_is_of_no_site_goes_where_no_sites_are_named() {
    let mut wrong = finding("key.readable", "file:x", Severity::Critical, FindingState::Open);
    wrong.asset = None;
    let of_none = Known { site: None, ..known(&wrong, "") };
    let told = |route: &Route| {
        let (items, _) = news(route, &settled(""), std::slice::from_ref(&of_none), &[], &[], at(1));
        items.len()
    };
    assert_eq!(told(&route()), 1);
    assert_eq!(told(&Route { sites: vec!["plant".into()], ..route() }), 0);
}

#[test]
fn the_first_day_of_a_site_is_silent_and_what_comes_after_is_told() {
    let old = finding("device.unregistered", "asset:1", Severity::Warning, FindingState::Open);
    let new = finding("device.unregistered", "asset:2", Severity::Warning, FindingState::Open);
    let route = route();
    // A sweep that was cut off saw half of it; then one is complete.
    let half = [scan("plant", false)];
    let (items, memory) =
        news(&route, &Memory::default(), &[known(&old, "plant")], &[], &half, at(0));
    assert_eq!((items.len(), memory.sites["plant"].1), (0, false));
    let both = [known(&old, "plant"), known(&new, "plant")];
    let scans = [scan("plant", false), scan("plant", true)];
    let (items, memory) = news(&route, &memory, &both, &[], &scans, at(0));
    assert_eq!((items.len(), memory.sites["plant"].1), (0, true));
    // Another site has a first day of its own, and this one is told of from now on.
    let third = finding("device.unregistered", "asset:3", Severity::Warning, FindingState::Open);
    let there = finding("device.unregistered", "asset:9", Severity::Warning, FindingState::Open);
    let all = [known(&old, "plant"), known(&third, "plant"), known(&there, "office")];
    let (items, memory) = news(&route, &memory, &all, &[], &scans, at(1));
    assert_eq!(items.iter().map(|item| item.subject.as_str()).collect::<Vec<_>>(), ["asset:3"]);
    // What nobody decided about in a week is told after all.
    let (items, _) = news(&route, &memory, &[known(&old, "plant")], &[], &scans, at(8));
    assert_eq!(rules(&items), [("reminder", "device.unregistered")]);
}

#[test]
fn a_site_of_which_no_scan_is_ever_complete_is_silent_for_a_day_only() {
    let one = finding("device.unregistered", "asset:1", Severity::Warning, FindingState::Open);
    let two = finding("device.unregistered", "asset:2", Severity::Warning, FindingState::Open);
    let scans = [scan("plant", false)];
    let first = [known(&one, "plant")];
    let (_, memory) = news(&route(), &Memory::default(), &first, &[], &scans, at(0));
    let (items, memory) = news(&route(), &memory, &first, &[], &scans, at(1));
    assert_eq!((items.len(), memory.sites["plant"].1), (0, true));
    let second = [known(&one, "plant"), known(&two, "plant")];
    let (items, _) = news(&route(), &memory, &second, &[], &scans, at(1));
    assert_eq!(items.len(), 1);
}

#[test]
fn a_site_with_nothing_wrong_has_its_first_day_all_the_same() {
    let scans = [scan("plant", true)];
    let (_, memory) = news(&route(), &Memory::default(), &[], &[], &scans, at(0));
    let one = finding("device.unregistered", "asset:1", Severity::Warning, FindingState::Open);
    let (items, _) = news(&route(), &memory, &[known(&one, "plant")], &[], &scans, at(1));
    assert_eq!(items.len(), 1);
}

#[test]
fn the_first_day_can_be_told() {
    let one = finding("device.unregistered", "asset:1", Severity::Warning, FindingState::Open);
    let told = Route { baseline: Baseline::Told, ..route() };
    let (items, _) = news(&told, &Memory::default(), &[known(&one, "plant")], &[], &[], at(0));
    assert_eq!(items.len(), 1);
}

#[test]
fn what_happened_is_told_where_it_was_asked_for() {
    let event = |kind| Happened {
        event: Event {
            at: at(1),
            asset: Some(AssetId(1)),
            kind,
            subject: "192.0.2.9".into(),
            detail: "arp reply".into(),
        },
        site: Some("plant"),
        owners: Vec::new(),
    };
    let events =
        [event(EventKind::AssetFirstSeen), event(EventKind::PortOpened), event(EventKind::Merged)];
    let told = |about: &[About]| {
        let route = Route { about: about.iter().copied().collect(), ..route() };
        let (items, _) = news(&route, &settled("plant"), &[], &events, &[], at(1));
        items.into_iter().map(|item| item.title).collect::<Vec<_>>()
    };
    assert_eq!(told(&[About::Discovery]), ["Asset first seen: 192.0.2.9"]);
    assert_eq!(told(&[About::State]), ["Port opened: 192.0.2.9"]);
    assert_eq!(told(&[About::Approval, About::Risk]), [""; 0]);
    // And not of a first day.
    let (items, _) = news(&route(), &Memory::default(), &[], &events, &[], at(1));
    assert_eq!(items, []);
}

#[test]
fn the_worst_comes_first_and_text_has_an_end() {
    let mild = finding("a.mild", "asset:1", Severity::Warning, FindingState::Open);
    let mut bad = finding("b.bad", "asset:2", Severity::Critical, FindingState::Open);
    (bad.title, bad.detail) = ("長".repeat(5_000), "x".repeat(5_000));
    let all = [known(&mild, "plant"), known(&bad, "plant")];
    let (items, _) = news(&route(), &settled("plant"), &all, &[], &[], at(1));
    assert_eq!(rules(&items), [("new", "b.bad"), ("new", "a.mild")]);
    assert_eq!(items[0].title.chars().count(), 301);
    assert_eq!(items[0].detail.chars().count(), 1_001);
}

#[test]
fn news_waits_for_the_digest_and_what_is_urgent_for_nothing() {
    let (route, now) = (route(), at(1));
    let later = now.plus_seconds(60);
    assert_eq!(route.due_at(None, Severity::Warning, now), later);
    assert_eq!(route.due_at(None, Severity::Critical, now), now);
    // More of it does not put it off.
    assert_eq!(
        route.due_at(Some(now.plus_seconds(5)), Severity::Warning, now),
        now.plus_seconds(5)
    );
    assert_eq!(route.due_at(Some(later), Severity::Critical, now), now);
    // A message that was written while the clock was an hour ahead waits no longer than others.
    let ahead = now.plus_seconds(3_600);
    assert_eq!(route.due_at(Some(ahead), Severity::Warning, now), later);
    let patient = Route { urgent: None, ..route };
    assert_eq!(patient.due_at(None, Severity::Critical, now), later);
}

#[test]
fn each_rule_and_event_is_about_one_thing() {
    assert_eq!(About::of_rule("device.missing"), About::State);
    assert_eq!(About::of_rule("device.unregistered"), About::Approval);
    assert_eq!(About::of_rule("software.forbidden"), About::Approval);
    assert_eq!(About::of_rule("cert.unapproved-issuer"), About::Approval);
    assert_eq!(About::of_rule("cert.expired"), About::Risk);
    for kind in ItemKind::ALL {
        assert_eq!(ItemKind::from_name(kind.as_str()), Some(kind));
    }
}
