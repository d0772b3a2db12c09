//! The readers of `wire` for what is only ever heard: neighbours at the link layer, routers,
//! DHCPv6, log lines. With small messages of each, made by hand.

use std::hint::black_box;

use wire::{cdp, dcp, dhcpv6, edp, eigrp, hsrp, igmp, llc, lldp, ospf, stp, syslog, vrrp};

use crate::Target;

pub(crate) const TARGETS: &[Target] = &[
    Target { name: "wire/cdp", run: run_cdp, seeds: of_cdp },
    Target { name: "wire/dcp", run: run_dcp, seeds: of_dcp },
    Target { name: "wire/dhcpv6", run: run_dhcpv6, seeds: of_dhcpv6 },
    Target { name: "wire/edp", run: run_edp, seeds: of_edp },
    Target { name: "wire/eigrp", run: run_eigrp, seeds: of_eigrp },
    Target { name: "wire/hsrp", run: run_hsrp, seeds: of_hsrp },
    Target { name: "wire/igmp", run: run_igmp, seeds: of_igmp },
    Target { name: "wire/llc", run: run_llc, seeds: of_llc },
    Target { name: "wire/lldp", run: run_lldp, seeds: of_lldp },
    Target { name: "wire/ospf", run: run_ospf, seeds: of_ospf },
    Target { name: "wire/stp", run: run_stp, seeds: of_stp },
    Target { name: "wire/syslog", run: run_syslog, seeds: of_syslog },
    Target { name: "wire/vrrp", run: run_vrrp, seeds: of_vrrp },
];

fn run_cdp(bytes: &[u8]) {
    black_box(cdp::Announcement::parse(bytes).is_ok());
}

fn run_dcp(bytes: &[u8]) {
    black_box(dcp::Device::parse(bytes).is_ok());
}

fn run_dhcpv6(bytes: &[u8]) {
    if let Ok(message) = dhcpv6::Message::parse(bytes) {
        black_box(message.client.map(|duid| duid.mac()));
    }
}

fn run_edp(bytes: &[u8]) {
    black_box(edp::Announcement::parse(bytes).is_ok());
}

fn run_eigrp(bytes: &[u8]) {
    black_box(eigrp::Head::parse(bytes).is_ok());
}

fn run_hsrp(bytes: &[u8]) {
    black_box(hsrp::Message::parse(bytes).is_ok());
}

fn run_igmp(bytes: &[u8]) {
    black_box(igmp::Message::parse(bytes).is_ok());
}

fn run_llc(bytes: &[u8]) {
    black_box(llc::parse(bytes).is_ok());
}

fn run_lldp(bytes: &[u8]) {
    if let Ok(read) = lldp::Announcement::parse(bytes) {
        assert!(read.addresses.len() <= 16);
    }
}

fn run_ospf(bytes: &[u8]) {
    black_box(ospf::Head::parse(bytes).is_ok());
}

fn run_stp(bytes: &[u8]) {
    black_box(stp::Message::parse(bytes).is_ok());
}

fn run_syslog(bytes: &[u8]) {
    black_box(syslog::Header::parse(bytes).is_ok());
}

fn run_vrrp(bytes: &[u8]) {
    for v6 in [false, true] {
        black_box(vrrp::Advertisement::parse(bytes, v6).is_ok());
    }
}

fn of_cdp() -> Vec<Vec<u8>> {
    let mut bytes =
        b"\x02\xb4\x12\x34\0\x01\0\x07sw7\0\x02\0\x11\0\0\0\x01\x01\x01\xcc\0\x04".to_vec();
    bytes.extend(b"\xc0\0\x02\x07\0\x03\0\x06e7\0\x04\0\x08\0\0\0\x29\0\x05\0\x07IOS");
    bytes.extend(b"\0\x06\0\x06m7\0\x0a\0\x06\0\x09\0\x14\0\x05s");
    vec![bytes]
}

fn of_dcp() -> Vec<Vec<u8>> {
    let mut bytes = b"\xfe\xff\x05\x01\x01\x02\x03\x04\0\0\0\x2e\x02\x02\0\x07\0\0plc-7\0".to_vec();
    bytes.extend(b"\x02\x03\0\x06\0\0\0\x2a\x01\x0d\x02\x04\0\x04\0\0\x02\0");
    bytes.extend(b"\x01\x02\0\x0e\0\x01\xc0\0\x02\x07\xff\xff\xff\0\xc0\0\x02\x01");
    vec![bytes, vec![0xfe, 0xfe, 5, 0, 0, 0, 0, 1, 0, 1, 0, 4, 0xff, 0xff, 0, 0]]
}

fn of_dhcpv6() -> Vec<Vec<u8>> {
    let mut solicit = b"\x01\x01\x02\x03\0\x01\0\x0e\0\x01\0\x01\x09\x09\x09\x09".to_vec();
    solicit.extend(b"\0\0\x5e\0\x53\x01\0\x06\0\x04\0\x17\0\x18\0\x10\0\x09\0\0\x01\x37\0\x03win");
    solicit.extend(b"\0\x27\0\x06\0\x03pc7\0");
    let mut reply =
        b"\x07\x01\x02\x03\0\x02\0\x0a\0\x03\0\x01\0\0\x5e\0\x53\x02\0\x03\0\x28".to_vec();
    reply.extend([0; 12]);
    reply.extend([0, 5, 0, 24, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
    reply.extend([0; 8]);
    vec![solicit, reply, vec![12, 0, 0, 0]]
}

fn of_edp() -> Vec<Vec<u8>> {
    let mut bytes = vec![1, 0, 0, 60, 0, 0, 0, 7, 0, 0, 0, 0, 0x5e, 0, 0x53, 1];
    bytes.extend([0x99, 2, 0, 20, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 7, 6, 2, 1]);
    bytes.extend(b"\x99\x01\0\x08sw7\0\x99\0\0\x04");
    vec![bytes]
}

fn of_eigrp() -> Vec<Vec<u8>> {
    vec![vec![2, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100]]
}

fn of_hsrp() -> Vec<Vec<u8>> {
    let old = b"\0\0\x10\x03\x0a\x78\x07\0cisco\0\0\0\xc0\0\x02\x01".to_vec();
    let mut new =
        b"\x01\x28\x02\0\x06\x04\x01\x2c\0\0\x5e\0\x53\x01\0\0\0\x64\0\0\x0b\xb8".to_vec();
    new.extend(b"\0\0\x27\x10\xc0\0\x02\x01\0\0\0\0\0\0\0\0\0\0\0\0");
    vec![old, new]
}

fn of_igmp() -> Vec<Vec<u8>> {
    vec![vec![0x11, 100, 0, 0, 0, 0, 0, 0, 2, 125, 0, 0], vec![0x16, 0, 0, 0, 239, 1, 2, 3]]
}

fn of_llc() -> Vec<Vec<u8>> {
    vec![vec![0x42, 0x42, 3, 0, 0], vec![0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 0, 1, 2]]
}

fn of_lldp() -> Vec<Vec<u8>> {
    let mut bytes =
        b"\x02\x07\x04\0\0\x5e\0\x53\x01\x04\x03\x05e7\x06\x02\0\x78\x0a\x03sw7".to_vec();
    bytes.extend(b"\x0e\x04\0\x14\0\x14\x10\x0c\x05\x01\xc0\0\x02\x07\x02\0\0\0\x07\0");
    bytes.extend(b"\xfe\x06\0\x80\xc2\x01\0\x09\xfe\x07\0\x12\xbb\x01\0\x01\x03\0\0");
    vec![bytes]
}

fn of_ospf() -> Vec<Vec<u8>> {
    vec![vec![2, 1, 0, 44, 192, 0, 2, 1, 0, 0, 0, 7], vec![3, 1, 0, 36, 192, 0, 2, 1, 0, 0, 0, 0]]
}

fn of_stp() -> Vec<Vec<u8>> {
    let mut bytes = vec![0, 0, 2, 2, 0x3c, 0x10, 1, 0, 0, 0x5e, 0, 0x53, 1, 0, 0, 0, 4];
    bytes.extend([0x80, 1, 0, 0, 0x5e, 0, 0x53, 2, 0x80, 7]);
    vec![bytes, vec![0, 0, 0, 0x80]]
}

fn of_syslog() -> Vec<Vec<u8>> {
    vec![
        b"<34>Oct  1 22:14:15 sw7 su: x".to_vec(),
        b"<165>1 2003-10-11T22:14:15.003Z gw7 app - - - x".to_vec(),
    ]
}

fn of_vrrp() -> Vec<Vec<u8>> {
    let carp = [&[0x21, 3, 0, 7, 0, 1, 0, 0][..], &[9; 28]].concat();
    let v6 = [&[0x31, 9, 255, 1, 0, 100, 0, 0][..], &[0xfe; 16]].concat();
    vec![vec![0x21, 7, 100, 1, 1, 1, 0, 0, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0], carp, v6]
}
