use model::{Fact, Method, Observation, RouterProtocol, Site, Subject, Vantage};

use super::*;
use crate::{asset::AssetId, identity};

fn asset(facts: &[Fact]) -> Asset {
    let observed = |fact: &Fact| Observation {
        observed_at: Timestamp::from_seconds(100),
        vantage: Vantage { site: Site("plant".into()), name: "here".into() },
        method: Method::Capture,
        subject: Subject::Address("192.0.2.7".parse().unwrap()),
        fact: fact.clone(),
        evidence: Vec::new(),
    };
    let observations: Vec<Observation> = facts.iter().map(observed).collect();
    let as_of = Timestamp::from_seconds(1_000);
    identity::update(&[], AssetId(1), &observations, as_of).assets.remove(0)
}

fn heard(kind: FingerprintKind, value: &str) -> Fact {
    Fact::Fingerprint { kind, value: value.to_owned() }
}

fn agent(value: &str) -> Fact {
    heard(FingerprintKind::UserAgent, value)
}

fn syn(value: &str) -> Fact {
    heard(FingerprintKind::TcpSyn, value)
}

fn class(value: &str) -> Fact {
    heard(FingerprintKind::DhcpVendorClass, value)
}

const LINUX: &str = "4;64;mss*44;1460;10;MSTNW;df,id";
const WINDOWS: &str = "4;128;mss*44;1460;8;MNWNNS;df,id";

#[test]
fn a_signature_is_of_one_family_or_of_none() {
    let check = |signature: &str, is_answer: bool, expected: Option<System>| {
        assert_eq!(of_signature(signature, is_answer), expected, "{signature}");
    };
    // Measured: Linux 6.18 in a namespace, both versions, both sides.
    check(LINUX, false, Some(System::Linux));
    check("6;64;mss*45;1440;10;MSTNW;flow", false, Some(System::Linux));
    check("4;64;65160;1460;10;MSTNW;df", true, Some(System::Linux));
    check("6;64;64260;1440;10;MSTNW;flow", true, Some(System::Linux));
    check("4;64;mss*4;1460;1;MNNSNW;df,id", false, Some(System::Linux));
    check(WINDOWS, false, Some(System::Windows));
    check("4;128;8192;1460;2;MNWNNS;df,id", false, Some(System::Windows));
    check("4;64;65535;1460;6;MNWNNTSE;df,ecn", false, Some(System::Darwin));
    check("4;64;65535;1460;6;MNWST;df,id", false, Some(System::FreeBsd));
    check("4;64;16384;1460;6;MNNSNWNNT;df,id", false, Some(System::OpenBsd));
    check("4;255;1500;1400;-;M;", false, Some(System::Lwip));
    // A router of Cisco's, another small stack, a word of somebody's own making.
    check("4;255;4128;536;-;M;", false, None);
    check("4;64;8688;1460;0;MNWNNT;", false, None);
    check("4;64;1024;1460;-;M;", false, None);
    check("4;64;mss*44;1460;10;MSTNW;df,id,bad", false, None);
    // What answers leave out was not asked for.
    check("4;64;2048;1380;-;M;df", true, None);
    check("4;64;29200;1380;10;MNW;df", true, None);
    check("", false, None);
    check(";;;;;;", false, None);
}

#[test]
fn opinions_add_up_and_the_more_exact_word_wins() {
    let check = |facts: &[Fact], expected: Option<(&str, Option<&str>)>| {
        let asset = asset(facts);
        let os = asset.os.as_ref().map(|os| (&*os.name, os.version.as_deref()));
        assert_eq!(os, expected, "{facts:?}");
        assert_eq!(asset.software.iter().filter(|s| s.current).count() > 0, expected.is_some());
    };
    check(&[syn(LINUX)], Some(("Linux", None)));
    check(&[syn(LINUX), agent("Dalvik/2.1; Android 13")], Some(("Android", Some("13"))));
    check(&[agent("Dalvik/2.1; Android"), class("android-dhcp-13")], Some(("Android", Some("13"))));
    check(&[syn(WINDOWS), class("MSFT 5.0")], Some(("Windows", None)));
    check(&[class("MSFT 5.0")], Some(("Windows", None)));
    check(&[heard(FingerprintKind::Dhcp, "1,121,3,6,15,119,252,95,44,46")], Some(("Darwin", None)));
    // A strong majority bears what is odd.
    let odd = heard(FingerprintKind::TcpSynAck, "4;64;65160;1460;10;MSTNW;df");
    check(&[syn(WINDOWS), class("MSFT 5.0"), odd], Some(("Windows", None)));
    // An iPad calls itself both, and is one of Apple's.
    let mac = agent("Safari/17; macOS");
    check(&[mac, agent("Firefox/120; iPadOS 17")], Some(("Darwin", None)));
}

#[test]
fn several_systems_behind_one_address_give_none() {
    let of = |facts: &[Fact]| conclude(&asset(facts)).map(|found| found.system);
    assert_eq!(of(&[syn(LINUX), syn(WINDOWS)]), None);
    let windows = agent("Chrome/120; Windows 10 or later");
    let both = [windows.clone(), agent("Safari/16; iOS 16"), syn(WINDOWS)];
    assert_eq!(of(&both), None);
    assert_eq!(programs(&asset(&both)), []);
    // One behind a router speaks from the router's address.
    let router = Fact::Role(NetworkRole::Router(RouterProtocol::Ospf));
    let one = [windows.clone(), syn(WINDOWS), router];
    assert_eq!((of(&one), programs(&asset(&one)).len()), (None, 0));
    assert_eq!(of(&one[..2]), Some(System::Windows));
}

#[test]
fn what_is_told_wins_and_what_is_forgotten_goes() {
    let told = Fact::OperatingSystem { name: "Debian".into(), version: None, cpe: None };
    let known = asset(&[syn(WINDOWS), told]);
    assert_eq!(known.os.as_ref().map(|os| &*os.name), Some("Debian"));
    let day = |day: i64| Observation {
        observed_at: Timestamp::from_seconds(day * 86_400),
        vantage: Vantage { site: Site("plant".into()), name: "here".into() },
        method: Method::Capture,
        subject: Subject::Address("192.0.2.7".parse().unwrap()),
        fact: Fact::Alive { ttl: None },
        evidence: Vec::new(),
    };
    let known = asset(&[syn(LINUX), agent("curl/7.88")]);
    assert!(known.os.is_some() && known.software.iter().filter(|s| s.current).count() == 2);
    let as_of = Timestamp::from_seconds(100 * 86_400);
    let later = identity::update(&[known], AssetId(2), &[day(40)], as_of).assets.remove(0);
    assert_eq!(later.os, None);
    assert!(later.software.iter().all(|s| !s.current));
}

#[test]
fn reasons_are_the_opinions_that_agree() {
    let known = asset(&[syn(LINUX), agent("Chrome/120; Android 13"), class("udhcp 1.22.1")]);
    let found = conclude(&known).unwrap();
    let because: Vec<(u32, System)> = found.because.iter().map(|o| (o.weight, o.system)).collect();
    assert_eq!(because, [(80, System::Linux), (60, System::Android), (40, System::Linux)]);
    assert_eq!((found.system, found.version), (System::Android, Some("13")));
    let expected = [
        "dhcp_vendor_class udhcp 1.22.1 of 192.0.2.7 (80)",
        "user_agent Chrome/120; Android 13 of 192.0.2.7 (60)",
        "tcp_syn 4;64;mss*44;1460;10;MSTNW;df,id of 192.0.2.7 (40)",
    ];
    assert_eq!(reasons(&known), expected);
    let told = Fact::OperatingSystem { name: "Debian".into(), version: None, cpe: None };
    assert_eq!(reasons(&asset(&[syn(WINDOWS), told])), ["told by 192.0.2.7"]);
}

#[test]
fn only_well_known_programs_are_software() {
    let known = asset(&[
        agent("Chrome/120; Windows 10 or later"),
        agent("Chrome/119; Windows 10 or later"),
        agent("AcmeUpdater/7.1"),
        agent("curl/7.88"),
    ]);
    let found: Vec<_> = programs(&known).iter().map(|p| (p.name, p.version)).collect();
    assert_eq!(found, [("Chrome", Some("120")), ("curl", Some("7.88"))]);
    let software = known.software.iter().filter(|s| s.source == "user-agent");
    assert_eq!(software.filter(|s| s.current && s.cpe.is_some()).count(), 2);
}
