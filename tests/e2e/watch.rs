//! Replayed captures fill the same inventory as sweeps.

use crate::home::Home;

/// A capture of these Ethernet frames, a second apart.
pub(crate) fn pcap(frames: &[Vec<u8>]) -> Vec<u8> {
    pcap_from(1_795_339_800, frames)
}

/// The same from that second of the epoch on, as a pcap file (libpcap's format, little-endian,
/// microseconds).
pub(crate) fn pcap_from(begin: u32, frames: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        bytes.extend(word.to_le_bytes());
    }
    for (second, frame) in (begin..).zip(frames) {
        let length = u32::try_from(frame.len()).unwrap();
        for word in [second, 0, length, length] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(frame);
    }
    bytes
}

/// An ARP request (RFC 826) by which a device tells who it is.
pub(crate) fn arp(mac: [u8; 6], address: [u8; 4]) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend(mac);
    frame.extend([0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend(mac);
    frame.extend(address);
    frame.extend([0; 6]);
    frame.extend([198, 18, 0, 1]);
    frame
}

#[test]
fn a_capture_is_replayed_into_the_inventory_and_twice_is_once() {
    let home = Home::new();
    let printer = arp([0x00, 0x00, 0x5e, 0, 0x53, 0x21], [198, 18, 0, 33]);
    let laptop = arp([0x00, 0x00, 0x5e, 0, 0x53, 0x22], [198, 18, 0, 34]);
    home.write("mirror.pcap", pcap(&[printer.clone(), laptop, printer]));
    let result = home.json(&["watch", "--read", "mirror.pcap"]);
    assert_eq!(result["scan"]["io"], "file");
    assert_eq!(result["scan"]["probes_sent"], 0);
    let assets = home.json(&["assets"]);
    let found: Vec<(&str, &str)> = assets
        .as_array()
        .unwrap()
        .iter()
        .map(|a| (a["addresses"][0].as_str().unwrap(), a["macs"][0].as_str().unwrap()))
        .collect();
    let wanted = [("198.18.0.33", "00:00:5e:00:53:21"), ("198.18.0.34", "00:00:5e:00:53:22")];
    assert_eq!(found, wanted);
    home.json(&["watch", "--read", "mirror.pcap"]);
    assert_eq!(home.json(&["assets"]), assets);
}

/// A server's offer (RFC 2131) of a lease, from that address.
pub(crate) fn offer(mac: [u8; 6], server: [u8; 4]) -> Vec<u8> {
    let mut message = vec![2, 1, 6, 0, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 198, 18, 0, 99];
    message.extend([0; 8]);
    message.extend([0, 0, 0x5e, 0, 0x53, 0x99]);
    message.resize(236, 0);
    message.extend([0x63, 0x82, 0x53, 0x63, 53, 1, 2, 54, 4]);
    message.extend(server);
    message.push(255);
    let length = |header: usize| u16::try_from(message.len() + header).unwrap().to_be_bytes();
    let mut frame = vec![0xff; 6];
    frame.extend(mac);
    frame.extend([0x08, 0x00, 0x45, 0]);
    frame.extend(length(28));
    frame.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    frame.extend(server);
    frame.extend([255; 4]);
    frame.extend([0, 67, 0, 68]);
    frame.extend(length(8));
    frame.extend([0, 0]);
    frame.extend(message);
    frame
}

#[test]
fn a_strange_dhcp_server_is_a_finding_where_servers_are_approved() {
    let (own, strange) = ([198, 18, 0, 1], [198, 18, 0, 66]);
    let (own_mac, strange_mac) = ([0, 0, 0x5e, 0, 0x53, 1], [0, 0, 0x5e, 0, 0x53, 0x66]);
    let frames = [
        arp(own_mac, own),
        offer(own_mac, own),
        arp(strange_mac, strange),
        offer(strange_mac, strange),
    ];
    let rules = |settings: &str| {
        let home = Home::new();
        home.write("mirror.pcap", pcap(&frames));
        home.write("site.toml", settings);
        let result = home.json(&["--config", "site.toml", "watch", "--read", "mirror.pcap"]);
        let findings = result["findings"].as_array().unwrap().clone();
        let told = |finding: &serde_json::Value| {
            format!("{} {}", finding["rule"].as_str().unwrap(), finding["detail"].as_str().unwrap())
        };
        let heard = home.json(&["assets"])[0]["heard"][0]["fact"]["role"].clone();
        assert_eq!(heard, "dhcp_server");
        findings.iter().map(told).collect::<Vec<String>>()
    };
    assert_eq!(rules(""), [""; 0]);
    let expected = "dhcp.rogue-server 198.18.0.66: 198.18.0.66 gives out leases";
    assert_eq!(rules("[network]\ndhcp_servers = [\"198.18.0.1\"]"), [expected]);
    assert_eq!(rules("[network]\ndhcp_servers = [\"198.18.0.0/24\"]"), [""; 0]);
}

#[test]
fn what_is_no_capture_is_refused_by_name_and_a_cut_one_gives_what_it_has() {
    let home = Home::new();
    home.write("notes.txt", "these are notes");
    let run = home.run(&["watch", "--read", "notes.txt"]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(run.stderr.contains("notes.txt") && run.stderr.contains("pcap"), "{}", run.stderr);

    let mac = [0x00, 0x00, 0x5e, 0, 0x53, 0x21];
    let mut bytes = pcap(&[arp(mac, [198, 18, 0, 33]), arp(mac, [198, 18, 0, 33])]);
    bytes.truncate(bytes.len() - 20);
    home.write("cut.pcap", bytes);
    let result = home.json(&["watch", "--read", "cut.pcap"]);
    assert_eq!(result["assets"].as_array().unwrap().len(), 1, "{result}");
    assert_eq!(result["scan"]["complete"], false, "{result}");
    assert!(!result["scan"]["gaps"].as_array().unwrap().is_empty(), "{result}");
}
