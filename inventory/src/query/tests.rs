//! The language: what is read, what it means, and what is refused where.

use std::collections::BTreeMap;

use model::{Cpe, Identifier, NameSource, PortState, Site, Strength};

use super::*;
use crate::{
    asset::{Asset, AssetId, Assigned, Name, OperatingSystem, ServiceState, Software},
    compare::{AssetState, Registration},
    list::{AssetRow, Lister},
};

const NOW: Timestamp = Timestamp::from_seconds(10_000_000);

fn days_ago(days: i64) -> Timestamp {
    NOW.plus_seconds(-86_400 * days)
}

fn assigned(identifier: Identifier, current: bool) -> Assigned {
    Assigned {
        identifier,
        strength: Strength::Moderate,
        first_seen: days_ago(20),
        last_seen: days_ago(3),
        current,
        because: "arp".into(),
    }
}

fn service(port: u16, transport: Transport, state: PortState) -> ServiceState {
    ServiceState {
        address: "192.0.2.9".parse().unwrap(),
        transport,
        port,
        state,
        protocol: Some("http".into()),
        product: Some("nginx".into()),
        version: Some("1.22.1".into()),
        cpe: Some(Cpe::application("f5", "nginx", Some("1.22.1"))),
        tls: false,
        attributes: BTreeMap::new(),
        tls_server: None,
        first_seen: days_ago(20),
        last_seen: days_ago(3),
    }
}

fn printer() -> Asset {
    Asset {
        id: AssetId(7),
        site: Site("plant".into()),
        first_seen: days_ago(20),
        last_seen: days_ago(3),
        identity_uncertain: false,
        identifiers: vec![
            assigned(Identifier::Address("192.0.2.9".parse().unwrap()), true),
            assigned(Identifier::Address("198.51.100.9".parse().unwrap()), false),
            assigned(Identifier::Mac("00:00:5e:00:53:07".parse().unwrap()), true),
        ],
        names: vec![Name {
            name: "prn-7.example.com".into(),
            source: NameSource::Dns,
            last_seen: days_ago(3),
        }],
        alive_by: vec![],
        services: vec![
            service(80, Transport::Tcp, PortState::Open),
            service(161, Transport::Udp, PortState::Open),
            service(23, Transport::Tcp, PortState::Closed),
        ],
        software: vec![Software {
            product: "CUPS and friends".into(),
            version: None,
            cpe: None,
            source: "192.0.2.9:631/tcp ipp".into(),
            first_seen: days_ago(20),
            last_seen: days_ago(3),
            current: true,
        }],
        os: Some(OperatingSystem {
            name: "Debian".into(),
            version: Some("12".into()),
            cpe: None,
            last_seen: days_ago(3),
        }),
        deployments: vec![],
        anomalies: vec![],
        heard: vec![],
    }
}

/// The row of the printer, as a review makes it.
fn row() -> AssetRow {
    let mut compared =
        crate::store::Compared { assets: vec![printer()], ..crate::store::Compared::default() };
    compared.comparison.assets = vec![AssetState {
        asset: AssetId(7),
        state: Registration::Unregistered,
        entry: None,
        reason: "in no entry".to_owned(),
    }];
    let lister = Lister::new(&compared, &[]);
    let (asset, state) = lister.assets().next().unwrap();
    AssetRow {
        class: "printer".into(),
        vendor: "brother industries".into(),
        ..lister.asset(asset, state)
    }
}

#[track_caller]
fn check(query: &str, expected: bool) {
    let row = row();
    let parsed = Query::parse(Kind::Assets, query, Offset::UTC);
    let parsed = parsed.unwrap_or_else(|error| panic!("{query:?}: {error}"));
    assert_eq!(parsed.matches(Candidate::of(&row, None), NOW), expected, "{query:?}");
}

/// That the query is refused, at that part of it.
#[track_caller]
fn refuse(query: &str, part: &str, expected: &str) {
    let error = Query::parse(Kind::Assets, query, Offset::UTC).unwrap_err();
    assert_eq!(error.problem.to_string(), expected, "{query:?}");
    assert_eq!((&query[error.range.clone()], error.term.as_str()), (part, part), "{query:?}");
}

#[test]
fn every_field_finds_what_it_is_for() {
    for query in [
        "",
        "  ",
        "id=7",
        "site=plant",
        "name~prn",
        "address=192.0.2.9",
        "mac=00-00-5E-00-53-07",
        "mac~5e:00",
        "vendor~brother",
        "class=printer",
        "os=debian 12",
        "os ~ Debian",
        "registration=unregistered",
        "protocol=http",
        "product~NGINX",
        "product=\"cups and friends\"",
        "version=1.22.1",
        "cpe~f5",
        "certificate!=ab",
        "port=80",
        "port=161/udp",
    ] {
        check(query, true);
    }
}

#[test]
fn one_of_several_values_is_enough_and_none_is_the_opposite() {
    check("port!=80", false);
    check("port!=81", true);
    check("address!=192.0.2.9", false);
    check("product!~nginx", false);
    check("product!~apache", true);
    check("class!=printer", false);
}

#[test]
fn what_is_past_does_not_count() {
    check("port=23", false);
    check("address=198.51.100.9", false);
    check("address in 198.51.100.0/24", false);
    check("port=161/tcp", false);
}

#[test]
fn networks_of_every_form() {
    check("address in 192.0.2.0/24", true);
    check("address in 192.0.2.8/29", true);
    check("address in 192.0.2.77/32", false);
    check("address IN 192.0.2.1-192.0.2.9", true);
    check("address in 192.0.2.9", true);
    check("address in 0.0.0.0/0", true);
    check("address in 2001:db8::/32", false);
}

#[test]
fn ages_count_from_as_of() {
    check("seen<4d", true);
    check("seen<3d", false);
    check("seen>3d", false);
    check("seen>71h", true);
    check("first>2w", true);
    check("first<3w and seen<4d", true);
}

/// That a query of moments is refused at its value, and how.
#[track_caller]
fn refuse_moment(value: &str, expected: &str) {
    for field in ["seen<", "first:", "seen >= ", "first != "] {
        refuse(&format!("class:printer and {field}{value}"), value, expected);
    }
}

#[test]
fn what_is_no_moment_is_told_with_what_is_one() {
    let moment = |value: &str, meant: &str| {
        format!(
            "{value:?} is neither a length of time (a number and s, m, h, d or w, such as 7d) nor \
             a day (2026-11-22, 2026-11, 2026, today, yesterday or tomorrow){meant}"
        )
    };
    for value in [
        "7",
        "9999999999999999w",
        "-7d",
        "05/06/2026",
        "11/22/2026",
        "26-11-22",
        "2026-11-22-1",
        "-2026",
        "20261122",
        "46348",
        "２０２６",
        "next",
        "now",
        "2026-",
        "2026-1",
        "+2026",
    ] {
        refuse_moment(value, &moment(value, ""));
    }
    for (value, meant) in [
        ("2026/11/22", "2026-11-22"),
        ("2026-1-5", "2026-01-05"),
        ("22.11.2026", "2026-11-22"),
        ("R8.11.22", "2026-11-22"),
        ("2026-11-22T09:30", "2026-11-22"),
        ("令和8年11月22日", "2026-11-22"),
        ("todai", "today"),
        ("YESTERDY", "yesterday"),
    ] {
        refuse_moment(value, &moment(value, &format!("; is {meant:?} meant?")));
    }
    for value in ["2026-02-29", "2026-13", "2026-00-01", "2026-11-31", "0000", "1899-12-31"] {
        let text =
            format!("{value:?} is not in the calendar (years 1900 to 9999, 2026-11-22, 2026-11)");
        refuse_moment(value, &text);
    }
    let length = "is a length of time, which is compared with <, <=, > or >= (a day such as \
                  2026-11-22 with :, = or != too)";
    refuse("seen=7d", "7d", &format!("\"7d\" {length}"));
    refuse("first:today,3w", "3w", &format!("\"3w\" {length}"));
}

/// `NOW` is 1970-04-26 17:46:40, and the printer was last seen three days before, first twenty.
#[test]
fn days_months_and_years_have_a_beginning_and_an_end() {
    for query in [
        "seen:1970-04-23",
        "seen:1970-04",
        "seen=1970",
        "seen!=1970-05",
        "seen>=1970-04-23",
        "seen<=1970-04-23",
        "seen>1970-04-22",
        "seen<1970-04-24",
        "seen<1970-05",
        "seen<=1970-04 and seen>1970-03",
        "seen:1969,1970-01,1970-04-23",
        "seen<today and seen<yesterday and not seen:today",
        "seen<\"1970-05\"",
        "seen:TODAY or first:1970-04-06",
        "seen<=72h and seen>=72h",
        "critical>=0 and critical<=0",
    ] {
        check(query, true);
    }
    for query in [
        "seen<1970-04-23",
        "seen>1970-04-23",
        "seen>1970-04",
        "seen<1970-04",
        "seen!=1970-04",
        "seen:1970-04-24",
        "seen>=tomorrow",
        "critical>=1",
    ] {
        check(query, false);
    }
}

/// A row with one moment.
struct At(i64);

impl Row for At {
    fn cell(&self, _: Column) -> Cell<'_> {
        Cell::Number(self.0)
    }
}

#[test]
fn what_nobody_knows_is_on_no_day() {
    for query in
        ["expires:9999", "expires>2026", "expires<=9999-12-31", "expires>=1900", "expires<=7d"]
    {
        let query = Query::parse(Kind::Certificates, query, Offset::UTC).unwrap();
        assert!(!query.matches(Candidate::of(&At(NEVER), None), NOW));
    }
    // RFC 5280, section 4.1.2.5: a certificate without an end.
    let endless = At(Timestamp::from_seconds(253_402_300_799).0);
    for query in ["expires:9999-12-31", "expires:9999", "expires>=9999-12-31", "expires>9999-12-30"]
    {
        let query = Query::parse(Kind::Certificates, query, Offset::UTC).unwrap();
        assert!(query.matches(Candidate::of(&endless, None), NOW));
    }
}

#[test]
fn terms_are_joined_by_and() {
    check("class=printer and port=80 AND seen<7d", true);
    check("class=printer and port=81", false);
    check("product = \"cups and friends\" and site=plant", true);
}

#[test]
fn a_colon_means_what_people_mean() {
    for query in [
        "class:printer and not registration:registered and seen<7d",
        "port:22,80,443",
        "port:161/udp",
        "name:prn",
        "vendor:\"Brother Ind\"",
        "address:192.0.2.0/24,198.51.100.0/24",
        "address:192.0.2.9",
        "mac:00005e005307",
        "mac:5E:00",
        "class: printer, camera",
        "uncertain:no",
        "critical:0",
        "id:7,8",
        "id<8 and id>6",
    ] {
        check(query, true);
    }
    refuse_class();
    check("port:22,443", false);
    check("uncertain:yes", false);
}

#[test]
fn words_are_looked_for_in_what_people_know_things_by() {
    for word in
        ["prn-7", "192.0.2", "5e:00", "00:00:5e:00:53:07", "brother", "nginx", "\"and friends\""]
    {
        check(word, true);
    }
    check("PRN-7 nginx", true);
    check("prn-7 apache", false);
    check("debian", false);
    check("2001:db8::1", false);
    check("dead:beef", false);
    check("printerless or prn", true);
}

#[test]
fn or_not_and_parentheses_do_what_they_say() {
    check("class=camera or class=printer", true);
    check("class=camera or class=printer and port=81", false);
    check("(class=camera or class=printer) and port=80", true);
    check("not class=camera", true);
    check("not(class=printer)", false);
    check("NOT NOT class=printer", true);
    check("not (class:camera or (port:80 and not name:prn))", true);
    check("os=debian 12 or port=81", true);
    check("(os=debian 12)", true);
    check("product!=x (y) and port:80", true);
    check("seen<4d class:printer", true);
}

#[test]
fn what_is_wrong_is_named_where_it_stands() {
    let fields = "id, site, name, address, mac, vendor, class, os, registration, owner, department, location, port, protocol, \
                  product, version, cpe, certificate, critical, warning, uncertain, seen, first";
    refuse(
        "port:22 and prot=80",
        "prot",
        &format!("\"prot\" is not a field; is \"port\" meant? (one of {fields})"),
    );
    refuse("elephant:1", "elephant", &format!("\"elephant\" is not a field (one of {fields})"));
    let nothing = "expected a word to look for, or a field, a comparison (:, =, !=, ~, !~, <, <=, \
                   >, >= or in) and a value";
    refuse("class=printer and", "", nothing);
    refuse("class:printer and or port:1", "or", nothing);
    refuse("()", ")", nothing);
    refuse("= 5", "=", nothing);
    refuse("not", "", nothing);
    refuse("port=ssh", "ssh", "\"ssh\" is not a port (443, or 161/udp)");
    refuse("port:22,0", "0", "\"0\" is not a port (443, or 161/udp)");
    refuse("port~80", "port~", "port cannot be compared with \"~\": use :, = or !=");
    refuse("seen~7d", "seen~", "seen cannot be compared with \"~\": use :, =, !=, <, <=, > or >=");
    let network = "is not a network (192.0.2.0/24, 192.0.2.1-192.0.2.9, or an address; a part of \
                   one after ~)";
    refuse("address in 192.0.2.0/33", "192.0.2.0/33", &format!("\"192.0.2.0/33\" {network}"));
    refuse("address:192.0.2", "192.0.2", &format!("\"192.0.2\" {network}"));
    refuse("class in x", "class in", "class cannot be compared with \"in\": use :, =, !=, ~ or !~");
    refuse("name=", "name=", "there is no value after the comparison");
    refuse("name: and port:80", "name:", "there is no value after the comparison");
    let quote = "a quoted value begins and ends with a double quote";
    refuse("name=\"a", "\"a", quote);
    refuse("name=a\"b", "a\"b", quote);
    refuse("\"a\"b", "\"a\"b", quote);
    refuse(
        "registration:registred",
        "registred",
        "\"registred\" is not a registration; is \"registered\" meant? (one of registered, \
         unregistered, rejected, expired, retired-but-seen, missing, unknown, conflicting, \
         identity-uncertain)",
    );
    refuse("(class:printer", "(", "a parenthesis has no other half");
    refuse("class:printer)", ")", "a parenthesis has no other half");
    refuse("uncertain:perhaps", "perhaps", "\"perhaps\" is neither yes nor no");
    refuse("id:x", "x", "\"x\" is not a whole number");
}

#[test]
fn what_is_too_much_is_refused() {
    let problem = |text: &str| Query::parse(Kind::Assets, text, Offset::UTC).unwrap_err().problem;
    assert_eq!(problem(&"x".repeat(LONGEST + 1)), Problem::Long);
    assert_eq!(problem(&format!("{}x", "(".repeat(DEEPEST + 1))), Problem::Deep);
    assert_eq!(problem(&format!("{}x", "not ".repeat(DEEPEST + 1))), Problem::Deep);
    let ports = vec!["port:1"; MOST_TERMS + 1].join(" or ");
    assert_eq!(problem(&ports), Problem::Many);
    assert!(
        Query::parse(Kind::Assets, &vec!["port:1"; MOST_TERMS].join(" or "), Offset::UTC).is_ok()
    );
}

#[test]
fn every_kind_of_thing_has_its_fields() {
    for (kind, query) in [
        (Kind::Services, "port:443 and tls:yes and state:open and class:server nginx"),
        (Kind::Software, "product:openssh and version:9.2p1 and source~ssh"),
        (Kind::Certificates, "expires<30d and trust:public and not owner:sato example"),
        (
            Kind::Findings,
            "severity:critical,warning and state:open and rule:certificate and site:plant",
        ),
    ] {
        assert_eq!(Query::parse(kind, query, Offset::UTC).unwrap().kind(), kind);
        assert!(Query::parse(kind, "nothing:1", Offset::UTC).is_err());
    }
}

proptest::proptest! {
    /// A moment is on a day if its date, as it is written there, begins like that; and before it if
    /// that is the lesser text.
    #[test]
    fn dates_mean_what_is_written(
        // From 1900 to 9998, near each other half of the time.
        year in 1900..9999_i16,
        days in -40..400_i64,
        clock in 0..86_400_000_000_i64,
        length in proptest::sample::select(vec![4_usize, 7, 10]),
        minutes in -840..841_i32,
        date in (1..13_i8, 1..29_i8),
    ) {
        use jiff::civil;
        let offset = Offset::from_seconds(minutes * 60).unwrap();
        let written = civil::Date::new(year, date.0, date.1).unwrap();
        let start = written.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp();
        let at = start.as_microsecond() + days * 86_400_000_000 + clock;
        let local = jiff::Timestamp::from_microsecond(at).unwrap();
        let local = offset.to_datetime(local).date().to_string();
        let text = written.to_string();
        let (text, found) = (&text[..length], &local[..length]);
        for (sign, expected) in [
            (":", found == text),
            ("=", found == text),
            ("!=", found != text),
            ("<", found < text),
            ("<=", found <= text),
            (">", found > text),
            (">=", found >= text),
        ] {
            let query = Query::parse(Kind::Assets, &format!("seen{sign}{text}"), offset).unwrap();
            let is_so = query.matches(Candidate::of(&At(at), None), NOW);
            proptest::prop_assert_eq!(is_so, expected, "{} {} {}", local, sign, text);
        }
    }

    #[test]
    fn words_for_days_are_those_days(
        now in 0..4_000_000_000_i64,
        apart in -300_000..300_000_i64,
        minutes in -840..841_i32,
    ) {
        let offset = Offset::from_seconds(minutes * 60).unwrap();
        let date = |seconds| offset.to_datetime(jiff::Timestamp::from_second(seconds).unwrap()).date();
        let at = At(Timestamp::from_seconds(now + apart).0);
        for (word, day) in [
            ("today", date(now)),
            ("yesterday", date(now).yesterday().unwrap()),
            ("tomorrow", date(now).tomorrow().unwrap()),
        ] {
            for sign in [":", "<", "<=", ">", ">=", "!="] {
                let said = Query::parse(Kind::Assets, &format!("seen{sign}{word}"), offset).unwrap();
                let text = format!("seen{sign}{day}");
                let written = Query::parse(Kind::Assets, &text, offset).unwrap();
                let fits = |query: &Query| {
                    query.matches(Candidate::of(&at, None), Timestamp::from_seconds(now))
                };
                proptest::prop_assert_eq!(fits(&said), fits(&written), "{}", text);
            }
        }
    }

    #[test]
    fn no_text_is_too_odd(text in "\\PC*", kind in 0..5_usize) {
        if let Err(error) = Query::parse(Kind::ALL[kind], &text, Offset::UTC) {
            proptest::prop_assert_eq!(text.get(error.range), Some(error.term.as_str()));
        }
    }

    #[test]
    fn no_sequence_of_words_is_too_odd(
        words in proptest::collection::vec(
            proptest::sample::select(vec![
                "and", "or", "not", "(", ")", "port", "seen", ":", "=", "<", ">=", "7d", "2026-11", "\"", ",", "in", "x", " ",
            ]),
            0..30,
        ),
    ) {
        let text = words.concat();
        if let Err(error) = Query::parse(Kind::Assets, &text, Offset::UTC) {
            proptest::prop_assert_eq!(text.get(error.range), Some(error.term.as_str()));
        }
    }
}

/// A word of a fixed list that is mistyped is told, as those of registrations and states are, and
/// does not look as if there were none.
fn refuse_class() {
    for query in ["class:printr", "class=printr", "class!=printr"] {
        let error = Query::parse(Kind::Assets, query, Offset::UTC).unwrap_err();
        let Problem::Word { field, meant, .. } = &error.problem else { panic!("{error:?}") };
        assert_eq!((*field, *meant), ("class", Some("printer")), "{query}");
    }
    check("class~print", true);
}

#[test]
fn assets_are_found_by_what_the_register_says_of_them() {
    let row = AssetRow {
        owner: "Sato, Kenji".into(),
        department: "Sales".into(),
        location: "Osaka 3F".into(),
        ..row()
    };
    let fits = |text: &str| {
        let query = Query::parse(Kind::Assets, text, Offset::UTC).unwrap();
        query.matches(Candidate::of(&row, None), NOW)
    };
    assert!(fits("owner:sato") && fits("department=sales") && fits("location:\"osaka 3\""));
    assert!(!fits("owner=sato") && !fits("department:it") && !fits("location!=\"osaka 3f\""));
}
