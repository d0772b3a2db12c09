//! A phone that changes its link-layer address every day, heard at a mirror port for a month.

use model::MacAddr;
use serde_json::Value;
use wire::{ethernet, ip, udp};

use crate::{
    home::Home,
    talk::{client, connection},
    watch::{arp, pcap_from},
};

/// What the phone shows of itself beside its addresses.
#[derive(Clone, Copy)]
struct Shows {
    /// That it asks for a lease.
    lease: bool,
    client_id: bool,
    name: bool,
    /// That a program of it begins TLS.
    tls: bool,
}

const LEASE: Shows = Shows { lease: true, client_id: false, name: false, tls: false };
const NOTHING: Shows = Shows { lease: false, ..LEASE };

const DAYS: u8 = 30;
const SERVER: [u8; 4] = [198, 18, 0, 1];
const SERVER_MAC: [u8; 6] = [0, 0, 0x5e, 0, 0x53, 1];

fn datagram(macs: [[u8; 6]; 2], ends: [[u8; 4]; 2], ports: [u16; 2], inside: &[u8]) -> Vec<u8> {
    let [from, to] = macs.map(MacAddr);
    let ends = ip::Ends::V4(ends[0].into(), ends[1].into());
    let inside = udp::datagram(ends, ports[0], ports[1], inside);
    ethernet::frame(to, from, ethernet::IPV4, &ip::packet(ends, ip::UDP, 255, &inside))
}

/// A message of DHCP (RFC 2131) of or for that client.
fn dhcp(op: u8, mac: [u8; 6], options: &[u8]) -> Vec<u8> {
    let mut message = vec![op, 1, 6, 0, 1, 2, 3, 4, 0, 0, 0, 0];
    message.resize(28, 0);
    message.extend(mac);
    message.resize(236, 0);
    [&message[..], &[0x63, 0x82, 0x53, 0x63], options, &[255]].concat()
}

/// A client's first words in TLS 1.2 (RFC 5246, section 7.4.1.2).
fn hello() -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 4, 0xc0, 0x2f, 0xc0, 0x30, 1, 0, 0, 8, 0, 10, 0, 4, 0, 2, 0, 29]);
    let mut message = vec![22, 3, 1, 0, body.len() as u8 + 4, 1, 0, 0, body.len() as u8];
    message.extend(body);
    message
}

/// What is heard of the phone on one day: how it gets its address, and how it says that it has
/// it. Both addresses are others every day.
fn day(day: u8, shows: Shows) -> Vec<Vec<u8>> {
    day_of(0, day, shows)
}

/// The same of one of several phones.
fn day_of(phone: u8, day: u8, shows: Shows) -> Vec<Vec<u8>> {
    let mac = [2, 0x5a, 0x11 + phone, day.wrapping_mul(0x37), day, 0x99];
    let address = [198, 18, phone, 100 + day];
    let everybody = [[255; 6], mac];
    let mut asks = vec![53, 1, 3, 50, 4];
    asks.extend(address);
    asks.extend([55, 5, 1, 121, 3, 6, 15]);
    if shows.client_id {
        asks.extend(b"\x3d\x09\x00phone-7a");
    }
    if shows.name {
        asks.extend(b"\x0c\x0calices-phone");
    }
    let mut frames = vec![arp(SERVER_MAC, SERVER)];
    if shows.lease {
        let asked = dhcp(1, mac, &asks);
        frames.push(datagram([mac, everybody[0]], [[0; 4], [255; 4]], [68, 67], &asked));
    }
    frames.push(arp(mac, address));
    if shows.tls {
        let (here, there) = (((mac, address), 40_000), ((SERVER_MAC, SERVER), 443));
        frames.extend(connection(here, there, &[client(hello())]));
    }
    if shows.name {
        let name = b"\0\0\x84\0\0\0\0\x01\0\0\0\0\x0cAlices-Phone\x05local\0\0\x01\x80\x01\0\0\0\x78\0\x04";
        let message = [&name[..], &address].concat();
        let group = [1, 0, 0x5e, 0, 0, 0xfb];
        frames.push(datagram([mac, group], [address, [224, 0, 0, 251]], [5353; 2], &message));
    }
    frames
}

/// The asset and the finding that are there after a month, heard in one go or day by day.
fn heard(shows: Shows, at_once: bool) -> (Value, Value) {
    let home = Home::new();
    home.write("register.csv", "reference,mac address\nSERVER,00:00:5e:00:53:01\n");
    home.json(&["register", "import", "register.csv", "--kind", "device"]);
    let files: Vec<String> = (0..DAYS)
        .map(|n| {
            let name = format!("day{n:02}.pcap");
            home.write(&name, pcap_from(1_790_000_000 + u32::from(n) * 86_400, &day(n, shows)));
            name
        })
        .collect();
    let all: Vec<&str> = files.iter().map(String::as_str).collect();
    // A part of them is enough to tell the two ways apart.
    let runs: Vec<&[&str]> = if at_once { vec![&all] } else { all[..4].chunks(1).collect() };
    for files in runs {
        home.json(&[&["watch", "--read"], files].concat());
    }
    let list = |what: &str| home.json(&[what]).as_array().unwrap().clone();
    let phones: Vec<Value> =
        list("assets").into_iter().filter(|asset| asset["addresses"][0] != "198.18.0.1").collect();
    let findings = list("findings");
    assert_eq!((phones.len(), findings.len()), (1, 1), "{phones:#?} {findings:#?}");
    assert_eq!(findings[0]["rule"], "device.unregistered");
    (phones[0].clone(), findings[0].clone())
}

#[test]
fn a_phone_that_changes_its_mac_for_a_month_is_one_asset_and_one_alert() {
    for at_once in [true, false] {
        let (asset, _) = heard(Shows { client_id: true, name: true, ..LEASE }, at_once);
        assert_eq!(asset["identity_uncertain"], false);
        assert_eq!(asset["names"], serde_json::json!(["alices-phone", "alices-phone.local"]));
        heard(Shows { client_id: true, ..LEASE }, at_once);
        let (asset, _) = heard(Shows { name: true, ..LEASE }, at_once);
        assert_eq!(asset["identity_uncertain"], true);
    }
}

#[test]
fn a_phone_that_shows_no_more_than_its_kind_is_one_uncertain_asset_and_one_alert() {
    // Its DHCP client's habits, its TLS, both, neither.
    let both = Shows { tls: true, ..LEASE };
    for shows in [LEASE, Shows { tls: true, ..NOTHING }, both, NOTHING] {
        for at_once in [true, false] {
            let (asset, finding) = heard(shows, at_once);
            assert_eq!(asset["identity_uncertain"], true);
            let detail = finding["detail"].as_str().unwrap();
            assert!(detail.contains("only changeable identifiers name it"), "{detail}");
        }
    }
}

#[test]
fn two_phones_of_a_kind_that_are_there_at_once_stay_two() {
    for shows in [Shows { tls: true, ..NOTHING }, NOTHING] {
        let home = Home::new();
        for n in 0..4 {
            let frames = [day_of(0, n, shows), day_of(1, n, shows), day_of(0, n, shows)].concat();
            home.write("day.pcap", pcap_from(1_790_000_000 + u32::from(n) * 86_400, &frames));
            home.json(&["watch", "--read", "day.pcap"]);
        }
        let assets = home.json(&["assets"]);
        // Those two and the server.
        assert_eq!(assets.as_array().unwrap().len(), 3, "{assets:#}");
    }
}
