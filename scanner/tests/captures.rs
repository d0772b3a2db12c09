//! Listening to captures that others made, which are not part of this repository: the tests
//! read them where the variable DAICHO_CORPUS points, and say so where it does not.
#![expect(clippy::print_stdout, reason = "the tests print the agreement that they reach")]

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    net::IpAddr,
    path::{Path, PathBuf},
};

use model::{Fact, FingerprintKind, MacAddr, NameSource, Observation, Site, Subject, Vantage};
use scanner::{
    capture::Capture,
    net::file::{self, FileError, FileReport},
};

#[path = "captures/heard.rs"]
mod heard;

/// The captures, or `None`, said aloud.
fn corpus() -> Option<PathBuf> {
    let root = env::var_os("DAICHO_CORPUS");
    if root.is_none() {
        println!("DAICHO_CORPUS is not set: the captures were not read");
    }
    root.map(|root| {
        let root = PathBuf::from(root);
        // Tests run in their package's folder, the variable is written in the workspace's.
        let root = if root.is_absolute() { root } else { Path::new("..").join(root) };
        root.join("captures")
    })
}

fn listen(path: &Path) -> Result<(FileReport, Vec<Observation>), FileError> {
    let vantage = Vantage { site: Site("corpus".into()), name: "file".into() };
    let mut capture = Capture::new(vantage);
    let mut all = Vec::new();
    let report = file::frames(path, &mut |link, at, bytes| {
        capture.frame_of(link, at, bytes, &mut |observation| all.push(observation));
    })?;
    assert_eq!(capture.counts().frames, report.frames);
    assert_eq!(capture.counts().observations, u64::try_from(all.len()).unwrap());
    Ok((report, all))
}

/// Link-layer addresses with the network addresses that they were bound to; those that were
/// only seen stand with none.
fn bindings(observations: &[Observation]) -> BTreeMap<MacAddr, BTreeSet<IpAddr>> {
    let mut bound: BTreeMap<MacAddr, BTreeSet<IpAddr>> = BTreeMap::new();
    for Observation { subject, fact, .. } in observations {
        match (subject, fact) {
            (Subject::Mac(mac), Fact::Alive { .. }) => drop(bound.entry(*mac).or_default()),
            (Subject::Address(address), Fact::LinkAddress(mac)) => {
                bound.entry(*mac).or_default().insert(*address);
            }
            _ => {}
        }
    }
    bound
}

/// The rows of a table with a heading, by the names of its columns.
fn table(path: &Path) -> Vec<BTreeMap<String, String>> {
    let text = fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    let heading: Vec<&str> = lines.next().unwrap().split('\t').collect();
    let row = |line: &str| {
        let cells = heading.iter().zip(line.split('\t'));
        cells.map(|(name, cell)| ((*name).to_owned(), cell.to_owned())).collect()
    };
    lines.map(row).collect()
}

/// A segment of ten or so stations, of which a test tool damaged half of the frames: the table
/// lists 211 senders, most of them a station's address with one byte wrong, each with the
/// addresses that stood anywhere in its ARP messages (the first twenty of them). Ours are those
/// that a whole message of that sender names as its own, so they are a part of the table's.
#[test]
fn a_damaged_segment_is_bound_by_its_sound_frames() {
    let Some(folder) = corpus() else { return };
    let folder = folder.join("multihost");
    let (_, observations) = listen(&folder.join("arp-oobr.pcap")).unwrap();
    let ours = bindings(&observations);
    let truth = table(&folder.join("arp-oobr.tshark-hosts.tsv"));
    let (mut seen, mut own, mut listed, mut agreed) = (0, 0, 0, 0);
    let (mut stations, mut bound) = (0, 0);
    let mut beyond = Vec::new();
    for row in &truth {
        /// Where the table's list of addresses ends.
        const MOST_LISTED: usize = 20;
        let mac: MacAddr = row["src_mac"].parse().unwrap();
        let theirs: BTreeSet<IpAddr> =
            row["ips"].split(';').filter_map(|ip| ip.parse().ok()).collect();
        own += usize::from(!mac.is_group() && mac != MacAddr([0; 6]));
        let Some(mine) = ours.get(&mac) else { continue };
        seen += 1;
        // Damage does not hit the same byte in the same way that often.
        if row["packets"].parse::<u32>().unwrap() >= 10 {
            stations += 1;
            bound += usize::from(!mine.is_empty());
        }
        if theirs.len() < MOST_LISTED {
            listed += theirs.len();
            agreed += mine.intersection(&theirs).count();
            beyond.extend(mine.difference(&theirs).map(|address| (mac, *address)));
        }
    }
    println!(
        "multihost: {seen} of {} senders seen, of which {own} are no groups; {bound} of \
         {stations} stations bound; {agreed} of {listed} addresses of the table bound, {} beyond it",
        truth.len(),
        beyond.len()
    );
    assert_eq!((truth.len(), seen), (211, own));
    assert_eq!((bound, beyond), (stations, Vec::new()));
    assert!(stations >= 9 && agreed >= 30, "{stations} stations, {agreed} addresses");
}

#[test]
fn every_device_of_a_merged_capture_is_found() {
    let Some(folder) = corpus() else { return };
    let folder = folder.join("composite");
    let (_, observations) = listen(&folder.join("merged-8-dev-devices.pcap")).unwrap();
    let ours = bindings(&observations);
    let truth = fs::read_to_string(folder.join("truth.csv")).unwrap();
    let mut bound = 0;
    for line in truth.lines() {
        let mac: MacAddr = line.split(',').nth(1).unwrap().parse().unwrap();
        assert!(ours.contains_key(&mac), "{line}: not seen");
        bound += usize::from(!ours[&mac].is_empty());
    }
    println!("composite: {bound} of {} devices with an address", truth.lines().count());
    assert_eq!((bound, truth.lines().count()), (8, 8));
}

/// How many of those that the table names agree.
#[derive(Default)]
struct Score(usize, usize);

impl Score {
    fn add(&mut self, expected: &str, got: bool) {
        if !expected.is_empty() {
            self.1 += 1;
            self.0 += usize::from(got);
        }
    }
}

#[test]
fn devices_say_who_they_are_when_they_are_set_up() {
    let Some(folder) = corpus() else { return };
    let folder = folder.join("iot");
    let [mut macs, mut addresses, mut names, mut classes, mut lists, mut mdns, mut ssdp] =
        [(); 7].map(|()| Score::default());
    let mut strangers = Vec::new();
    for row in table(&folder.join("expected.tsv")) {
        let path = folder.join(&row["device_label"]).join(&row["pcap"]);
        let (_, observations) = listen(&path).unwrap();
        let mac: MacAddr = row["truth_mac"].parse().unwrap();
        let bound = bindings(&observations);
        macs.add("x", bound.contains_key(&mac));
        let address = &row["device_ip(tshark)"];
        let has = |address: &str| {
            let wanted = address.parse::<IpAddr>().ok();
            wanted.is_some_and(|ip| bound.get(&mac).is_some_and(|ips| ips.contains(&ip)))
        };
        addresses.add(address, has(address));
        let told = |test: &dyn Fn(&Fact) -> bool| {
            observations.iter().any(|o| o.subject == Subject::Mac(mac) && test(&o.fact))
        };
        let name = row["dhcp_hostname"].to_lowercase();
        let named = told(
            &|fact| matches!(fact, Fact::HostName { name: n, source: NameSource::Dhcp } if *n == name),
        );
        names.add(&name, named);
        let said = |wanted: FingerprintKind, text: &str| {
            told(
                &|fact| matches!(fact, Fact::Fingerprint { kind, value } if *kind == wanted && value == text),
            )
        };
        let class = &row["dhcp_vendor_class"];
        classes.add(class, said(FingerprintKind::DhcpVendorClass, class));
        let list = &row["dhcp_param_list"];
        lists.add(list, said(FingerprintKind::Dhcp, list));
        // Whether it announced itself at one of its addresses.
        let announced = |test: &dyn Fn(&Fact) -> bool| {
            observations.iter().any(|o| {
                let own = o.subject.address().is_some_and(|address| {
                    bound.get(&mac).is_some_and(|own| own.contains(&address))
                });
                own && test(&o.fact)
            })
        };
        let sent = |column: &str| if row[column] == "0" { "" } else { "x" };
        let name = |fact: &Fact| matches!(fact, Fact::HostName { source: NameSource::Mdns, .. });
        // In these a service tells what changed of it, six times, and nobody is named.
        let names_nobody = row["device_label"] == "HueSwitch";
        assert!(!names_nobody || !announced(&name));
        mdns.add(if names_nobody { "" } else { sent("mdns_pkts") }, announced(&name));
        let service =
            |fact: &Fact| matches!(fact, Fact::Service(service) if service.protocol == "ssdp");
        ssdp.add(sent("ssdp_pkts"), announced(&service));
        // An address of the Internet behind the access point is never a device's own.
        for (mac, ips) in &bound {
            let foreign = |ip: &&IpAddr| matches!(ip, IpAddr::V4(v4) if !v4.is_private() && !v4.is_link_local());
            strangers.extend(ips.iter().filter(foreign).map(|ip| (path.clone(), *mac, *ip)));
        }
    }
    let all = [
        ("MAC", macs),
        ("address", addresses),
        ("host name", names),
        ("vendor class", classes),
        ("parameter list", lists),
        ("mDNS name", mdns),
        ("SSDP service", ssdp),
    ];
    for (what, Score(agree, of)) in &all {
        println!("iot: {what}: {agree} of {of}");
    }
    for (what, Score(agree, of)) in &all {
        assert_eq!(agree, of, "{what}");
    }
    assert_eq!(all.map(|(_, score)| score.1), [77, 77, 48, 45, 69, 16, 37]);
    assert_eq!(strangers, []);
}

fn files(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, out);
        } else if path.extension().is_some_and(|end| end == "pcap" || end == "pcapng") {
            out.push(path);
        }
    }
    out.sort();
}

#[test]
fn odd_and_broken_captures_are_borne() {
    let Some(folder) = corpus() else { return };
    for name in ["tcpdump", "wireshark", "zeek"] {
        let mut paths = Vec::new();
        files(&folder.join(name), &mut paths);
        let (mut read, mut frames, mut gaps, mut told) = (0, 0, 0, 0);
        let mut refused = Vec::new();
        for path in &paths {
            match listen(path) {
                Ok((report, observations)) => {
                    read += 1;
                    frames += report.frames;
                    gaps += usize::from(!report.gaps.is_empty());
                    told += observations.len();
                    for Observation { subject, fact, .. } in observations {
                        let bound = matches!(&fact, Fact::LinkAddress(mac)
                            if mac.is_group() || mac.is_virtual_router());
                        assert!(!bound, "{}: {subject} {fact:?}", path.display());
                    }
                }
                Err(error) => refused.push(error.to_string()),
            }
        }
        println!(
            "{name}: {read} of {} files read ({gaps} with gaps), {frames} frames, \
             {told} observations; refused: {refused:#?}",
            paths.len()
        );
        assert!(read > 0 && read * 100 >= paths.len() * 95, "{name}: {read} of {}", paths.len());
    }
}
