//! What others saw, as they wrote it down: a reader for each format, and whatever tells which
//! format it is.

use std::hint::black_box;

use model::{Observation, Site, Timestamp, Vantage};
use scanner::{
    import::{self, Context, Family, Format, LocalTime},
    net::download::WebAddress,
};

use crate::Target;

pub(crate) const TARGETS: &[Target] = &[
    Target { name: "scanner/import/format", run: run_format, seeds: seeds_all },
    Target { name: "scanner/import/log", run: run_log, seeds: seeds_log },
    Target { name: "scanner/import/dhcpd_leases", run: run_dhcpd, seeds: seeds_dhcpd },
    Target { name: "scanner/import/dnsmasq_leases", run: run_dnsmasq, seeds: seeds_dnsmasq },
    Target { name: "scanner/import/kea", run: run_kea, seeds: seeds_kea },
    Target { name: "scanner/import/kea_json", run: run_kea_json, seeds: seeds_kea_json },
    Target { name: "scanner/import/windows", run: run_windows, seeds: seeds_windows },
    Target { name: "scanner/import/ip_neigh", run: run_ip_neigh, seeds: seeds_ip_neigh },
    Target { name: "scanner/import/arp", run: run_arp, seeds: seeds_arp },
    Target { name: "scanner/import/snmp_walk", run: run_snmp_walk, seeds: seeds_snmp_walk },
    Target { name: "scanner/import/nmap", run: run_nmap, seeds: seeds_nmap },
    Target { name: "scanner/import/masscan_json", run: run_masscan, seeds: seeds_masscan },
    Target { name: "scanner/import/masscan_list", run: run_list, seeds: seeds_list },
    Target { name: "scanner/import/naabu", run: run_naabu, seeds: seeds_naabu },
    Target { name: "scanner/net/download/address", run: run_address, seeds: seeds_address },
];

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../tests/imports/", $name)).to_vec()
    };
}

/// Reads it, and holds what comes of it against what every observation must be.
fn read(bytes: &[u8], format: Format) {
    let now = Timestamp::from_seconds(1_795_755_600);
    let context = Context {
        vantage: Vantage { site: Site("fuzz".into()), name: "fuzz".into() },
        as_of: now,
        written: now,
        local: LocalTime::fixed(9 * 3_600),
    };
    let (observations, problems) = import::read(bytes, format, &context);
    for observation in &observations {
        let Observation { observed_at, evidence, .. } = observation;
        assert!(*observed_at <= now.plus_seconds(86_400), "{observation:?} is of the future");
        assert!(evidence.len() <= Observation::MAX_EVIDENCE);
    }
    for problem in &problems {
        assert!(problem.line > 0 && problem.reason.len() < 70_000, "{problem:?}");
    }
    black_box((observations, problems));
}

fn run_format(bytes: &[u8]) {
    for family in [Family::Dhcp, Family::Neighbors, Family::Scan] {
        let format = Format::of(bytes, family);
        assert!(format.is_none_or(|format| format.family() == family));
    }
}

fn run_log(bytes: &[u8]) {
    read(bytes, Format::Log);
}

fn run_dhcpd(bytes: &[u8]) {
    read(bytes, Format::DhcpdLeases);
}

fn run_dnsmasq(bytes: &[u8]) {
    read(bytes, Format::DnsmasqLeases);
}

fn run_kea(bytes: &[u8]) {
    read(bytes, Format::KeaCsv);
}

fn run_kea_json(bytes: &[u8]) {
    read(bytes, Format::KeaJson);
}

fn run_windows(bytes: &[u8]) {
    read(bytes, Format::WindowsDhcp);
}

fn run_ip_neigh(bytes: &[u8]) {
    read(bytes, Format::IpNeigh);
}

fn run_arp(bytes: &[u8]) {
    read(bytes, Format::Arp);
}

fn run_snmp_walk(bytes: &[u8]) {
    read(bytes, Format::SnmpWalk);
}

fn run_nmap(bytes: &[u8]) {
    read(bytes, Format::NmapXml);
}

fn run_masscan(bytes: &[u8]) {
    read(bytes, Format::MasscanJson);
}

fn run_list(bytes: &[u8]) {
    read(bytes, Format::MasscanList);
}

fn run_naabu(bytes: &[u8]) {
    read(bytes, Format::NaabuJson);
}

fn run_address(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (first, second) = text.split_once('\n').unwrap_or((&text, ""));
    let Ok(address) = WebAddress::read(first) else { return };
    // What is asked is what was read, and nothing in it ends a line of the request.
    let shown = address.to_string();
    assert!(!shown.contains(['\r', '\n', ' ']), "{shown:?}");
    assert_eq!(WebAddress::read(&shown).as_ref(), Ok(&address), "{shown:?}");
    black_box(address.join(second).is_ok());
}

fn seeds_all() -> Vec<Vec<u8>> {
    [
        seeds_log(),
        seeds_dhcpd(),
        seeds_dnsmasq(),
        seeds_kea(),
        seeds_kea_json(),
        seeds_windows(),
        seeds_ip_neigh(),
        seeds_arp(),
        seeds_snmp_walk(),
        seeds_nmap(),
        seeds_masscan(),
        seeds_list(),
        seeds_naabu(),
    ]
    .concat()
}

fn seeds_log() -> Vec<Vec<u8>> {
    vec![fixture!("syslog")]
}

fn seeds_dhcpd() -> Vec<Vec<u8>> {
    vec![fixture!("dhcpd.leases"), fixture!("dhcpd6.leases")]
}

fn seeds_dnsmasq() -> Vec<Vec<u8>> {
    vec![fixture!("dnsmasq.leases")]
}

fn seeds_kea() -> Vec<Vec<u8>> {
    vec![fixture!("kea-leases4.csv"), fixture!("kea-leases6.csv")]
}

fn seeds_kea_json() -> Vec<Vec<u8>> {
    vec![fixture!("kea-lease4-get-all.json"), fixture!("kea-log.json")]
}

fn seeds_windows() -> Vec<Vec<u8>> {
    vec![fixture!("windows-en.log"), fixture!("windows-ja.log"), fixture!("windows-v6.log")]
}

fn seeds_ip_neigh() -> Vec<Vec<u8>> {
    vec![fixture!("ip-neigh.txt")]
}

fn seeds_arp() -> Vec<Vec<u8>> {
    vec![
        fixture!("arp-linux.txt"),
        fixture!("arp-n.txt"),
        fixture!("arp-bsd.txt"),
        fixture!("arp-windows-ja.txt"),
        fixture!("show-ip-arp.txt"),
    ]
}

fn seeds_snmp_walk() -> Vec<Vec<u8>> {
    vec![fixture!("snmp-walk.txt")]
}

fn seeds_nmap() -> Vec<Vec<u8>> {
    vec![fixture!("nmap.xml"), fixture!("nmap-bomb.xml")]
}

fn seeds_masscan() -> Vec<Vec<u8>> {
    vec![fixture!("masscan.json")]
}

fn seeds_list() -> Vec<Vec<u8>> {
    vec![fixture!("masscan.list")]
}

fn seeds_naabu() -> Vec<Vec<u8>> {
    vec![fixture!("naabu.json")]
}

fn seeds_address() -> Vec<Vec<u8>> {
    let texts = [
        "http://crl.example.com/a.crl\n/b.crl",
        "https://[2001:db8::1]:8443/x?y#z\nhttp://a.example",
        "HTTP://192.0.2.1:80",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}
