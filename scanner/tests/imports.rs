//! What others wrote down, read as observations: our own fixtures in `tests/imports`, each with
//! what it tells beside it, and the files of others where DAICHO_CORPUS points.
#![expect(clippy::print_stdout, reason = "the tests say what they did not read")]

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use model::{Fact, MacAddr, Observation, Site, Subject, Timestamp, Vantage};
use scanner::import::{self, Context, Family, Format, Importer, Item, LocalTime, Problem};

/// 2026-11-27T05:00:00Z
const NOW: Timestamp = Timestamp::from_seconds(1_795_755_600);

/// Somewhere whose clocks show that many hours more than UTC.
fn context(hours: i32) -> Context {
    Context {
        vantage: Vantage { site: Site("here".into()), name: "test".into() },
        as_of: NOW,
        written: NOW,
        local: LocalTime::fixed(hours * 3_600),
    }
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/imports")
}

/// A line for each observation and each problem.
fn told(observations: &[Observation], problems: &[Problem]) -> String {
    let mut text = String::new();
    for Observation { observed_at, subject, fact, .. } in observations {
        let fact = match fact {
            Fact::LinkAddress(mac) => format!("is {mac}"),
            Fact::Alive { ttl: Some(ttl) } => format!("answers, ttl {ttl}"),
            Fact::Alive { ttl: None } => "answers".to_owned(),
            Fact::HostName { name, source } => format!("is called {name} ({source:?})"),
            Fact::MachineId { kind, value } => format!("has the {} {value}", kind.as_str()),
            Fact::PortState(state) => format!("is {state}"),
            Fact::Service(service) => {
                let mut words = vec![service.protocol.clone()];
                words.extend(service.tls.then(|| "in TLS".to_owned()));
                words.extend(service.product.clone());
                words.extend(service.version.clone());
                words.extend(service.cpe.as_ref().map(ToString::to_string));
                words.extend(
                    service.attributes.iter().map(|(name, value)| format!("{name}={value}")),
                );
                format!("speaks {}", words.join(", "))
            }
            other => format!("{other:?}"),
        };
        text.push_str(&format!("{observed_at} {subject} {fact}\n"));
    }
    for Problem { line, reason } in problems {
        text.push_str(&format!("line {line}: {reason}\n"));
    }
    text
}

/// Reads a fixture, whose format must be recognised by its contents, and compares what it tells
/// with the file beside it.
#[track_caller]
fn check(name: &str, hours: i32, format: Format) {
    let bytes = fs::read(fixtures().join(name)).unwrap();
    assert_eq!(Format::of(&bytes, format.family()), Some(format), "{name}");
    let (observations, problems) = import::read(&bytes, format, &context(hours));
    let text = told(&observations, &problems);
    let beside = fixtures().join(format!("{name}.told"));
    if env::var_os("WRITE_TOLD").is_some() {
        fs::write(&beside, &text).unwrap();
    }
    assert_eq!(text, fs::read_to_string(&beside).unwrap_or_default(), "{name}");
    for Observation { method, evidence, .. } in &observations {
        assert_eq!(*method, model::Method::Import);
        assert!(!evidence.is_empty() && evidence.len() <= Observation::MAX_EVIDENCE, "{name}");
        // Whoever was logged in is nobody's business.
        assert!(!String::from_utf8_lossy(evidence).contains("sato"), "{name}");
    }
    // In pieces it is the same file.
    let mut pieces = (Vec::new(), Vec::new());
    let mut importer = Importer::new(format, context(hours));
    let mut sink = |item| match item {
        Item::Observation(observation) => pieces.0.push(observation),
        Item::Problem(problem) => pieces.1.push(problem),
    };
    bytes.chunks(7).for_each(|piece| importer.feed(piece, &mut sink));
    importer.end(&mut sink);
    let counts = importer.counts();
    assert_eq!(told(&pieces.0, &pieces.1), text, "{name}");
    assert_eq!(counts.observations, u64::try_from(observations.len()).unwrap());
    assert_eq!(counts.problems, u64::try_from(problems.len()).unwrap());
}

#[test]
fn leases_tell_who_had_which_address_and_when() {
    check("dhcpd.leases", 0, Format::DhcpdLeases);
    check("dhcpd6.leases", 0, Format::DhcpdLeases);
    check("dnsmasq.leases", 0, Format::DnsmasqLeases);
    check("kea-leases4.csv", 0, Format::KeaCsv);
    check("kea-leases6.csv", 0, Format::KeaCsv);
    check("kea-lease4-get-all.json", 0, Format::KeaJson);
}

#[test]
fn logs_of_dhcp_servers_are_read_among_everybodys_lines() {
    check("syslog", 0, Format::Log);
    check("kea-log.json", 0, Format::KeaJson);
    check("windows-en.log", 0, Format::WindowsDhcp);
    check("windows-ja.log", 9, Format::WindowsDhcp);
    check("windows-v6.log", 0, Format::WindowsDhcp);
}

#[test]
fn an_answer_without_leases_is_no_problem_and_neither_is_a_log_of_one_line() {
    let read = |text: &str| import::read(text.as_bytes(), Format::KeaJson, &context(0));
    let none = r#"[{"arguments":{"leases":[]},"result":3,"text":"0 IPv4 lease(s) found."}]"#;
    assert_eq!(read(none), (Vec::new(), Vec::new()));
    let log = fs::read_to_string(fixtures().join("kea-log.json")).unwrap();
    let first = log.lines().next().unwrap();
    assert_eq!(read(first).0.len(), 2);
}

#[test]
fn neighbour_tables_bind_addresses() {
    check("ip-neigh.txt", 0, Format::IpNeigh);
    check("arp-linux.txt", 0, Format::Arp);
    check("arp-n.txt", 0, Format::Arp);
    check("arp-bsd.txt", 0, Format::Arp);
    check("arp-windows-ja.txt", 0, Format::Arp);
    check("show-ip-arp.txt", 0, Format::Arp);
    check("snmp-walk.txt", 0, Format::SnmpWalk);
}

#[test]
fn results_of_other_scanners_are_what_they_asked_and_no_guesses() {
    check("nmap.xml", 0, Format::NmapXml);
    check("masscan.json", 0, Format::MasscanJson);
    check("masscan.list", 0, Format::MasscanList);
    check("naabu.json", 0, Format::NaabuJson);
}

#[test]
fn no_entity_is_expanded_and_no_file_is_read_for_one() {
    check("nmap-bomb.xml", 0, Format::NmapXml);
}

#[test]
fn what_is_nothing_of_the_kind_is_not_recognised() {
    for family in [Family::Dhcp, Family::Neighbors, Family::Scan] {
        for text in ["", "\n\n", "these are notes\n", "a,b,c\n1,2,3\n", "\0\u{1}\u{2}"] {
            assert_eq!(Format::of(text.as_bytes(), family), None, "{text:?}");
        }
    }
    for format in Format::ALL {
        assert_eq!(format.as_str().parse(), Ok(format));
    }
}

#[test]
fn a_line_that_never_ends_costs_itself_and_no_more() {
    let long = vec![b'x'; 3 * import::MAX_LINE];
    let bytes = [&long[..], b"\n192.0.2.1 dev eth0 lladdr 00:00:5e:00:53:01 STALE\n"].concat();
    let (observations, problems) = import::read(&bytes, Format::IpNeigh, &context(0));
    assert_eq!((observations.len(), problems.len()), (1, 1));
    assert_eq!(problems[0], Problem { line: 1, reason: "it is longer than 64 KiB".into() });
}

#[test]
fn nobody_is_seen_in_the_future() {
    let line = |seconds: i64| {
        let at = NOW.plus_seconds(seconds).seconds();
        format!("open tcp 80 192.0.2.1 {at}\n")
    };
    let read = |seconds| import::read(line(seconds).as_bytes(), Format::MasscanList, &context(0));
    assert_eq!(read(3_600).1, []);
    let (observations, problems) = read(2 * 86_400);
    assert!(observations.is_empty() && problems[0].reason.contains("lies in the future"));
}

/// The files of others, or `None`, said aloud.
fn corpus() -> Option<PathBuf> {
    let Some(root) = env::var_os("DAICHO_CORPUS") else {
        println!("DAICHO_CORPUS is not set: the files of others were not read");
        return None;
    };
    let root = PathBuf::from(root);
    // Tests run in their package's folder, the variable is written in the workspace's.
    Some(if root.is_absolute() { root } else { Path::new("..").join(root) })
}

/// Later than everything in the corpus.
fn later() -> Context {
    let later = Timestamp::from_seconds(1_900_000_000);
    Context { as_of: later, written: later, ..context(0) }
}

#[test]
fn the_leases_of_others_are_read() {
    let Some(corpus) = corpus() else { return };
    let read = |name: &str| {
        let bytes = fs::read(corpus.join("dhcp").join(name)).unwrap();
        let format = Format::of(&bytes, Family::Dhcp).unwrap();
        let (observations, problems) = import::read(&bytes, format, &later());
        assert_eq!(problems, [], "{name}");
        (format, observations)
    };
    let bound = |observations: &[Observation]| {
        let bindings = observations.iter().filter_map(|o| match (o.subject, &o.fact) {
            (Subject::Address(address), Fact::LinkAddress(mac)) => {
                Some((address.to_string(), (*mac, o.observed_at.to_string())))
            }
            _ => None,
        });
        bindings.collect::<BTreeMap<String, (MacAddr, String)>>()
    };
    let (format, leases) = read("dhcpd.leases.pfsense.python-isc-dhcp-leases");
    assert_eq!(format, Format::DhcpdLeases);
    let at = |text: &str, at: &str| (text.parse::<MacAddr>().unwrap(), at.to_owned());
    let expected = [
        ("10.0.10.72".to_owned(), at("64:5a:04:6a:07:a2", "2015-07-06T07:50:42Z")),
        ("10.0.0.36".to_owned(), at("14:da:e9:04:c8:a3", "2015-07-06T07:38:46Z")),
    ];
    assert_eq!(bound(&leases), expected.into_iter().collect());
    let text = told(&leases, &[]);
    assert!(text.contains("64:5a:04:6a:07:a2 is called satellite-c700 (Dhcp)"), "{text}");
    assert!(text.contains("has the dhcp_client_id 01645a046a07a2"), "{text}");

    let (format, leases) = read("dnsmasq.leases.norbertmooser-lcdiags");
    assert_eq!((format, bound(&leases).len(), leases.len()), (Format::DnsmasqLeases, 8, 8));
    let (format, leases) = read("kea-leases4.metal-stack-metal-bmc.csv");
    assert_eq!((format, bound(&leases).len(), leases.len()), (Format::KeaCsv, 2, 2));
    assert_eq!(bound(&leases)["192.168.2.27"], at("ac:1f:6b:35:ac:62", "2020-06-27T06:40:21Z"));

    // Hardware of two bytes is no Ethernet; of three leases the second was declined.
    let (_, leases) = read("lease4_dump_test.reference.csv");
    let text = told(&leases, &[]);
    assert!(text.contains("0.0.0.12 is called three,example,com (Dhcp)"), "{text}");
    let first = "2022-01-12T15:06:00Z 0.0.0.10 answers\n\
                 2022-01-12T15:06:00Z 0.0.0.10 is called one.example.com (Dhcp)\n\
                 2022-01-12T15:06:00Z 0.0.0.10 has the dhcp_client_id 3330\n";
    assert!(text.starts_with(first) && !text.contains("0.0.0.11"), "{text}");
    // Of these, too, the second was declined.
    let (_, leases) = read("lease6_dump_test.reference.csv");
    let text = told(&leases, &[]);
    assert!(text.contains("::10 has the dhcp_duid 323033"), "{text}");
    assert!(!text.contains("::11 ") && text.contains("::12 "), "{text}");
}

#[test]
fn the_results_of_others_are_read_and_attacks_are_harmless() {
    let Some(corpus) = corpus() else { return };
    let scans = corpus.join("scans");
    let read = |name: &str| {
        let bytes = fs::read(scans.join(name)).unwrap();
        let format = Format::of(&bytes, Family::Scan);
        format.map(|format| import::read(&bytes, format, &later()))
    };
    let open = |name: &str| {
        let (observations, problems) = read(name).unwrap();
        assert_eq!(problems, [], "{name}");
        let open = observations
            .iter()
            .filter(|o| o.fact == Fact::PortState(model::PortState::Open))
            .map(|o| o.subject.to_string());
        open.collect::<std::collections::BTreeSet<String>>().len()
    };
    for (name, expected) in [
        ("masscan/masscan_many_vuln.json", 4),
        ("masscan/masscan_one_vuln.json", 1),
        ("naabu/naabu_one_vuln.json", 1),
        ("naabu/naabu_many_vuln.json", 4),
    ] {
        assert_eq!(open(name), expected, "{name}");
    }
    // An empty file has no format.
    assert!(read("masscan/masscan_no_vuln.json").is_none());
    let mut files = 0;
    for folder in ["nmap", "libnmap"] {
        for entry in fs::read_dir(scans.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let bytes = fs::read(&path).unwrap();
            let (observations, problems) = import::read(&bytes, Format::NmapXml, &later());
            files += 1;
            // What the elements say, counted without a reader of XML.
            let text = String::from_utf8_lossy(&bytes);
            let ports = text.matches("<state state=\"open\"").count();
            let open = observations
                .iter()
                .filter(|o| o.fact == Fact::PortState(model::PortState::Open))
                .count();
            println!("{name}: {ports} open, {open} told, {problems:?}");
            if name.starts_with("defused") {
                assert!(observations.is_empty() && problems.len() == 1, "{name}: {problems:?}");
            } else if name == "test_osclass.xml" {
                // Somebody took the address out.
                let reason = "\"IP\" is no address".to_owned();
                assert_eq!((problems, open), (vec![Problem { line: 43, reason }], 0));
            } else {
                assert_eq!(problems, [], "{name}");
                assert_eq!(open, ports, "{name}");
            }
        }
    }
    assert!(files > 20, "{files}");
}
