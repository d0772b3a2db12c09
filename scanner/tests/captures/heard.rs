//! What others read in the same captures: Zeek's reviewed logs of DHCP, DNS and NTP, tcpdump's
//! text of the protocols of the link layer and of routers.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::IpAddr,
    path::Path,
};

use model::{
    DiscoveryProtocol, Fact, FingerprintKind, MacAddr, MachineIdKind, NameSource, NetworkRole,
    Observation, RedundancyProtocol, RouterProtocol, Site, Subject, Use, Vantage,
};

use scanner::{capture::Capture, net::file};

use super::{Score, bindings, corpus, listen};

type Row = BTreeMap<String, String>;

/// The rows of a log, by the names of its columns. A value that is not set is empty.
fn log(path: &Path) -> Vec<Row> {
    let text = fs::read_to_string(path).unwrap();
    let mut heading: Option<Vec<&str>> = None;
    let mut rows = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("#fields\t") {
            Some(names) => heading = Some(names.split('\t').collect()),
            None if line.starts_with('#') || line.is_empty() => {}
            None => match &heading {
                // Some logs have their heading without its mark.
                None => heading = Some(line.split('\t').collect()),
                Some(names) => {
                    let cells = names.iter().zip(line.split('\t'));
                    let value = |cell: &str| if cell == "-" { "" } else { cell }.to_owned();
                    rows.push(
                        cells.map(|(name, cell)| ((*name).to_owned(), value(cell))).collect(),
                    );
                }
            },
        }
    }
    rows
}

/// Hands each capture that has a log of that kind with the log's rows to `check`.
fn each_log(kind: &str, check: &mut dyn FnMut(&str, &[Observation], &Row)) {
    let Some(folder) = corpus().map(|folder| folder.join("zeek")) else { return };
    let list = fs::read_to_string(folder.join("expected.tsv")).unwrap();
    for line in list.lines().skip(1) {
        let (trace, baseline) = line.split_once('\t').unwrap();
        if !baseline.ends_with(&format!("/{kind}.log")) {
            continue;
        }
        let (_, observations) = listen(&folder.join("Traces").join(trace)).unwrap();
        for row in log(&folder.join("Baseline").join(baseline)) {
            check(trace, &observations, &row);
        }
    }
}

fn is_told(all: &[Observation], subject: Subject, test: impl Fn(&Fact) -> bool) -> bool {
    all.iter().any(|o| o.subject == subject && test(&o.fact))
}

fn address(row: &Row, column: &str) -> Option<IpAddr> {
    row.get(column)?.parse().ok()
}

/// What did not agree, so that it can be looked at and explained.
#[derive(Default)]
struct Differences(BTreeSet<String>);

impl Differences {
    fn score(&mut self, score: &mut Score, trace: &str, expected: String, got: bool) {
        score.add(&expected, got);
        if !got && !expected.is_empty() {
            self.0.insert(format!("{trace}: {expected}"));
        }
    }

    /// There are so many, or fewer where they repeat, and all begin so.
    #[track_caller]
    fn are_all(&self, begin: &str, most: usize) {
        let others: Vec<&String> = self.0.iter().filter(|one| !one.starts_with(begin)).collect();
        assert_eq!(others, [""; 0]);
        assert!(self.0.len() <= most, "{:#?}", self.0);
    }
}

#[test]
fn zeek_and_we_read_the_same_of_dhcp() {
    if corpus().is_none() {
        return;
    }
    let [mut macs, mut names, mut leases, mut servers] = [(); 4].map(|()| Score::default());
    let mut differences = Differences::default();
    each_log("dhcp", &mut |trace, all, row| {
        let Ok(mac) = row["mac"].parse::<MacAddr>() else { return };
        let subject = Subject::Mac(mac);
        let bound = bindings(all);
        let seen = all.iter().any(|o| o.subject == subject) || bound.contains_key(&mac);
        differences.score(&mut macs, trace, mac.to_string(), seen);
        let name = row["host_name"].to_lowercase();
        let told = is_told(all, subject, |fact| {
            *fact == Fact::HostName { name: name.clone(), source: NameSource::Dhcp }
        });
        differences.score(&mut names, trace, name.clone(), told);
        // Only what a server acknowledged is the client's.
        if let Some(lease) =
            address(row, "assigned_addr").filter(|_| row["msg_types"].ends_with("ACK"))
        {
            let held = bound.get(&mac).is_some_and(|held| held.contains(&lease));
            differences.score(&mut leases, trace, format!("{mac} {lease}"), held);
        }
        if let Some(server) = address(row, "server_addr") {
            let role = Fact::Role(NetworkRole::DhcpServer);
            let serves = is_told(all, Subject::Address(server), |fact| *fact == role);
            differences.score(&mut servers, trace, format!("server {server}"), serves);
        }
    });
    for (what, Score(agree, of)) in
        [("client", &macs), ("host name", &names), ("lease", &leases), ("server", &servers)]
    {
        println!("zeek dhcp: {what}: {agree} of {of}");
    }
    // Hardware addresses that nobody has: one sender asks for forty-nine others without a word
    // of them, and no server answers.
    let forged = "dhcp/dhcp-unique-xid-join-data-growth.pcapng: 02:00:00:00:00:";
    differences.are_all(forged, 49);
    assert_eq!((names.0, leases.0, servers.0), (names.1, leases.1, servers.1));
    assert_eq!((macs.1, names.1, leases.1, servers.1), (183, 3, 2, 3));
}

#[test]
fn zeek_and_we_read_the_same_of_the_name_service() {
    if corpus().is_none() {
        return;
    }
    let [mut resolvers, mut names] = [(); 2].map(|()| Score::default());
    let mut differences = Differences::default();
    each_log("dns", &mut |trace, all, row| {
        let (Some(client), Some(server)) = (address(row, "id.orig_h"), address(row, "id.resp_h"))
        else {
            return;
        };
        if row["proto"] != "udp" || row["id.resp_p"] != "53" {
            return;
        }
        if row["RD"] == "T" {
            let asks = is_told(all, Subject::Address(client), |fact| {
                *fact == Fact::Use(Use::Resolver(server))
            });
            differences.score(&mut resolvers, trace, format!("{client} asks {server}"), asks);
        }
        for answer in row["answers"].split(',').filter_map(|text| text.parse::<IpAddr>().ok()) {
            let named = is_told(all, Subject::Address(answer), |fact| {
                matches!(fact, Fact::HostName { source: NameSource::Dns, .. })
            });
            differences.score(&mut names, trace, format!("{} is {answer}", row["query"]), named);
        }
    });
    println!("zeek dns: resolver: {} of {}", resolvers.0, resolvers.1);
    println!("zeek dns: name: {} of {}", names.0, names.1);
    // What is inside of tunnels.
    differences.are_all("tunnels/gre", resolvers.1 - resolvers.0 + names.1 - names.0);
    assert_eq!((resolvers.1, names.1), (32, 20));
    assert!(resolvers.0 >= 27 && names.0 >= 18);
}

#[test]
fn zeek_and_we_read_the_same_of_the_time() {
    if corpus().is_none() {
        return;
    }
    let mut servers = Score::default();
    let mut differences = Differences::default();
    each_log("ntp", &mut |trace, all, row| {
        // 1 and 3 ask; control messages have another mode.
        if !matches!(row["mode"].as_str(), "1" | "3") {
            return;
        }
        let (Some(client), Some(server)) = (address(row, "id.orig_h"), address(row, "id.resp_h"))
        else {
            return;
        };
        let asks = is_told(all, Subject::Address(client), |fact| {
            *fact == Fact::Use(Use::TimeServer(server))
        });
        differences.score(&mut servers, trace, format!("{client} asks {server}"), asks);
    });
    println!("zeek ntp: time server: {} of {}", servers.0, servers.1);
    differences.are_all("", 0);
    assert_eq!(servers.1, 89);
}

/// A capture, a name of somebody in it, and what tcpdump reads of that one.
type Claim = (&'static str, &'static str, Fact);

fn role(file: &'static str, name: &'static str, role: NetworkRole) -> Claim {
    (file, name, Fact::Role(role))
}

fn shared(
    file: &'static str,
    name: &'static str,
    protocol: RedundancyProtocol,
    group: u16,
    address: &str,
) -> Claim {
    let address = Some(address.parse().unwrap());
    role(file, name, NetworkRole::VirtualRouter { protocol, group, address })
}

/// By tcpdump -ev on each capture.
fn claims() -> Vec<Claim> {
    let chassis = |file, name, value: &str| {
        (file, name, Fact::MachineId { kind: MachineIdKind::ChassisId, value: value.to_owned() })
    };
    let duid = |file, name, value: &str| {
        (file, name, Fact::MachineId { kind: MachineIdKind::DhcpClientId, value: value.to_owned() })
    };
    let named = |file, name, value: &str| {
        let source = NameSource::Discovery;
        (file, name, Fact::HostName { name: value.to_owned(), source })
    };
    let wishes = |file, name, value: &str| {
        let kind = FingerprintKind::Dhcpv6;
        (file, name, Fact::Fingerprint { kind, value: value.to_owned() })
    };
    let router = |file, name, protocol| role(file, name, NetworkRole::Router(protocol));
    let (s1, s2) = ("00:18:ba:98:68:8f", "00:19:2f:a7:b2:8d");
    let hsrp = RedundancyProtocol::Hsrp;
    let mut claims = vec![
        named("LLDP_and_CDP", s1, "s1.cisco.com"),
        named("LLDP_and_CDP", s1, "s1"),
        chassis("LLDP_and_CDP", s1, s1),
        role("LLDP_and_CDP", s1, NetworkRole::Switch),
        ("LLDP_and_CDP", s1, Fact::Vlan(1)),
        named("LLDP_and_CDP", s2, "s2.cisco.com"),
        named("LLDP_and_CDP", s2, "s2"),
        chassis("LLDP_and_CDP", s2, s2),
        role("LLDP_and_CDP", s2, NetworkRole::Switch),
        ("LLDP_and_CDP", s2, Fact::Vlan(1)),
        named("3560_CDP", "00:19:06:ea:b8:85", "switch"),
        role("3560_CDP", "00:19:06:ea:b8:85", NetworkRole::Switch),
        named("lldp_mudurl", "00:23:54:c2:57:02", "upstairs.ofcourseimright.com"),
        role("802.1D_spanning_tree", "00:19:06:ea:b8:85", NetworkRole::SpanningTree),
        chassis("802.1D_spanning_tree", "00:19:06:ea:b8:85", "00:19:06:ea:b8:80"),
        chassis("802.1w_rapid_STP", "00:19:06:ea:b8:8c", "00:19:06:ea:b8:80"),
        chassis("MSTP_Intra-Region_BPDUs", "00:16:46:b5:8c:8f", "00:16:46:b5:8c:80"),
        chassis("MSTP_Intra-Region_BPDUs", "00:1e:f7:05:a8:92", "00:1e:f7:05:a8:80"),
        chassis("rpvstp-trunk-native-vid5", "00:1f:6d:96:ec:04", "00:1f:6d:96:ec:00"),
        router("EIGRP_adjacency", "10.0.0.1", RouterProtocol::Eigrp),
        router("EIGRP_adjacency", "10.0.0.2", RouterProtocol::Eigrp),
        router("EIGRP_ipv6", "fe80::ff:fe00:301", RouterProtocol::Eigrp),
        router("OSPFv3_broadcast_adjacency", "fe80::1", RouterProtocol::Ospf),
        router("OSPFv3_broadcast_adjacency", "fe80::2", RouterProtocol::Ospf),
        router("ospf-ack", "1.0.1.2", RouterProtocol::Ospf),
        role("IGMP_V1", "10.0.200.151", NetworkRole::GroupQuerier),
        role("IGMP_V2", "192.168.1.2", NetworkRole::GroupQuerier),
        role("igmpv3-queries", "192.2.0.2", NetworkRole::GroupQuerier),
        role("dhcpv6-ia-na", "fe80::211:22ff:fe33:4455", NetworkRole::Dhcpv6Server),
        duid("dhcpv6-ia-na", "00:01:02:03:04:05", "00030001000102030405"),
        wishes("dhcpv6-ia-na", "00:01:02:03:04:05", "23,24"),
        wishes("dhcpv6-AFTR-Name-RFC6334", "00:01:02:03:04:05", "23,64"),
        role("dhcpv6-rfc6355-duid-uuid", "fe80::a221:b7ff:fee0:d871", NetworkRole::Dhcpv6Server),
        duid(
            "dhcpv6-rfc6355-duid-uuid",
            "48:5b:39:e7:14:84",
            "0004a256e92e40abd0d2a3ab3b3ff2ff8998",
        ),
    ];
    for file in ["HSRP_coup", "HSRP_election", "HSRP_failover"] {
        for name in ["192.168.0.10", "192.168.0.20", "192.168.0.30"] {
            claims.push(shared(file, name, hsrp, 1, "192.168.0.1"));
        }
    }
    for name in
        ["10.0.0.91", "10.0.0.92", "10.0.0.93", "10.0.0.94", "10.0.0.95", "10.0.0.96", "10.0.0.97"]
    {
        for (group, address) in [(42, "10.4.42.1"), (43, "10.4.43.150"), (44, "10.4.44.100")] {
            claims.push(shared("vrrp", name, RedundancyProtocol::Vrrp, group, address));
        }
    }
    claims
}

#[test]
fn tcpdump_and_we_read_the_same_of_neighbours_and_routers() {
    let Some(folder) = corpus() else { return };
    let mut heard: BTreeMap<&str, Vec<Observation>> = BTreeMap::new();
    let claims = claims();
    let mut missed = Vec::new();
    for (file, name, fact) in &claims {
        let all = heard
            .entry(file)
            .or_insert_with(|| listen(&folder.join(format!("tcpdump/{file}.pcap"))).unwrap().1);
        let mac = name.parse().map(Subject::Mac);
        let subject = mac.unwrap_or_else(|_| Subject::Address(name.parse().unwrap()));
        if !is_told(all, subject, |told| told == fact) {
            missed.push((file, name, fact));
        }
    }
    println!("tcpdump: {} of {} facts", claims.len() - missed.len(), claims.len());
    assert_eq!(missed, []);
    // A password stands in the clear in one of them.
    for observation in &heard["vrrp"] {
        let text = format!("{:?}", observation.fact);
        assert!(!text.contains("abcdefgh") && observation.evidence.is_empty(), "{observation:?}");
    }
    // Switches tell their model and software.
    let told = &heard["3560_CDP"];
    let models = told.iter().filter(|o| {
        matches!(&o.fact, Fact::Neighbor(n) if n.protocol == DiscoveryProtocol::Cdp
            && n.platform.as_deref() == Some("cisco WS-C3560G-24PS"))
    });
    assert!(models.count() > 0);
}

/// A cheap number after another (Vigna's splitmix64), the same in every run.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Every frame of every capture cut and with bytes changed, and every capture backwards.
#[test]
fn damage_and_disorder_bind_no_group_and_no_role() {
    let Some(folder) = corpus() else { return };
    let mut paths = Vec::new();
    for name in ["tcpdump", "wireshark", "zeek", "iot", "composite"] {
        super::files(&folder.join(name), &mut paths);
    }
    let mut dice = 7;
    let mut frames = 0_u64;
    for path in &paths {
        let mut all = Vec::new();
        let read = file::frames(path, &mut |link, at, bytes| all.push((link, at, bytes.to_vec())));
        if read.is_err() {
            continue;
        }
        let vantage = Vantage { site: Site("corpus".into()), name: "file".into() };
        let mut capture = Capture::new(vantage);
        for (link, at, bytes) in all.iter_mut().rev() {
            frames += 1;
            for _ in 0..next(&mut dice) % 4 {
                let place = next(&mut dice) as usize % bytes.len().max(1);
                if let Some(byte) = bytes.get_mut(place) {
                    *byte = next(&mut dice) as u8;
                }
            }
            if next(&mut dice).is_multiple_of(3) {
                bytes.truncate(next(&mut dice) as usize % bytes.len().max(1));
            }
            capture.frame_of(
                *link,
                *at,
                bytes,
                &mut |Observation { subject, fact, evidence, .. }| {
                    assert!(evidence.len() <= Observation::MAX_EVIDENCE);
                    let bound = matches!(&fact, Fact::LinkAddress(mac)
                    if mac.is_group() || mac.is_virtual_router());
                    assert!(!bound, "{}: {subject} {fact:?}", path.display());
                },
            );
        }
    }
    println!("damaged: {frames} frames of {} captures borne", paths.len());
    assert!(frames > 50_000, "{frames}");
}
