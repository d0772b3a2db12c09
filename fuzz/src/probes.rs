//! The probes of the catalog: one target each, by protocol and transport.
//!
//! The input is what the server says, turn by turn, with [`TURN`] between. It is handed over
//! as a connection would: each turn first in part, then whole, and after every part the probe
//! is asked what to do next.

use std::hint::black_box;

use scanner::probe::{Probe, Step, Talk, catalog, product, udp};

use crate::{Target, datagrams, seeds};

/// What separates the server's turns in an input.
pub(crate) const TURN: &[u8] = b"\xfe|\xfe";

/// How many messages of its own a probe may send before it is said to go on for ever: the
/// conversations that the driver allows are far shorter.
const MOST_MESSAGES: usize = 64;

macro_rules! probes {
    ($($protocol:literal $transport:ident $seeds:expr;)+) => {
        &[
            $(Target {
                name: concat!("probe/", $protocol, "/", stringify!($transport)),
                run: |bytes| run(find($protocol, stringify!($transport)), bytes),
                seeds: || $seeds,
            },)+
            Target { name: "probe/udp", run: run_datagram, seeds: seeds_datagram },
            Target { name: "probe/product", run: run_product, seeds: seeds_product },
        ]
    };
}

pub(crate) const TARGETS: &[Target] = probes! {
    "ssh" tcp said(&[], seeds::of_ssh());
    "http" tcp answers(seeds::of_http());
    "smtp" tcp texts(&[
        "220 mail.example.com ESMTP Postfix (Debian/GNU)\r\n",
        "250-mail.example.com\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n",
        "221 2.0.0 Bye\r\n",
    ]);
    "pop3" tcp texts(&["+OK Dovecot ready.\r\n", "+OK\r\nSTLS\r\nIMPLEMENTATION Dovecot\r\n.\r\n", "+OK\r\n"]);
    "imap" tcp texts(&[
        "* OK [CAPABILITY IMAP4rev1 ID STARTTLS] Dovecot ready.\r\n",
        "* ID (\"name\" \"Dovecot\" \"version\" \"2.3.19\")\r\na OK done\r\n",
        "* BYE\r\na OK\r\n",
    ]);
    "ftp" tcp texts(&["220 (vsFTPd 3.0.3)\r\n", "211-Features:\r\n AUTH TLS\r\n211 End\r\n", "215 UNIX Type: L8\r\n"]);
    "telnet" tcp said(&[], seeds::of_telnet());
    "redis" tcp texts(&["", "$50\r\n# Server\r\nredis_version:7.0.15\r\nos:Linux 6.1 x86\r\n\r\n", "-NOAUTH x\r\n"]);
    "memcached" tcp texts(&["", "VERSION 1.6.18\r\n"]);
    "rtsp" tcp texts(&["", "RTSP/1.0 200 OK\r\nCSeq: 1\r\nServer: Camera/1.2\r\nPublic: OPTIONS\r\n\r\n"]);
    "vnc" tcp texts(&["RFB 003.008\n", "\u{1}\u{2}"]);
    "mysql" tcp said(&[], seeds::of_mysql());
    "postgresql" tcp answers(seeds::of_postgresql());
    "mqtt" tcp answers(seeds::of_mqtt());
    "smb" tcp answers(seeds::of_smb2());
    "rdp" tcp answers(seeds::of_rdp());
    "ldap" tcp answers(seeds::of_ldap());
    "ipp" tcp answers(seeds::of_ipp());
    "dns" tcp answers(seeds::of_dns().iter().map(|m| wire::dns::framed(m)).collect());
    "dns" udp answers(seeds::of_dns());
    "ntp" udp answers(seeds::of_ntp());
    "snmp-public" udp answers(seeds::of_snmp());
    "snmp" udp answers(seeds::of_snmp());
    "mdns" udp answers(seeds::of_dns());
    "ssdp" udp answers(seeds::of_ssdp());
    "snmp-public-v1" udp answers(seeds::of_snmp());
    "rpcbind" udp answers(datagrams::of_rpc());
    "ipmi" udp answers(datagrams::of_rmcp());
    "l2tp" udp answers(datagrams::of_l2tp());
    "bacnet" udp answers(datagrams::of_bacnet());
    "tftp" udp answers(datagrams::of_tftp());
    "kerberos" udp answers(datagrams::of_kerberos());
    "netbios-ns" udp answers(seeds::of_nbns());
    "xdmcp" udp answers(datagrams::of_xdmcp());
    "ldap" udp answers(seeds::of_ldap());
    "slp" udp answers(datagrams::of_slp());
    "quic" udp answers(datagrams::of_quic());
    "isakmp" udp answers(datagrams::of_ike());
    "modbus" udp answers(datagrams::of_modbus());
    "modbus" tcp answers(datagrams::of_modbus());
    "openvpn" udp answers(datagrams::of_openvpn());
    "ms-sql-browser" udp answers(datagrams::of_sqlr());
    "radius" udp answers(datagrams::of_radius());
    "ipmsg" udp answers(vec![b"1:7:user:pc7:65:Win Version 5.6.5\0".to_vec()]);
    "stun" udp answers(datagrams::of_stun());
    "knx" udp answers(datagrams::of_knx());
    "ws-discovery" udp answers(datagrams::of_ws_discovery());
    "sip" udp answers(datagrams::of_sip());
    "nat-pmp" udp answers(datagrams::of_nat_pmp());
    "llmnr" udp answers(seeds::of_dns());
    "mndp" udp answers(datagrams::of_mndp());
    "coap" udp answers(datagrams::of_coap());
    "dtls" udp answers(datagrams::of_dtls());
    "fins" udp answers(datagrams::of_fins());
    "ubiquiti" udp answers(datagrams::of_ubiquiti());
    "memcached" udp answers(vec![b"\x0c\x0d\0\0\0\x01\0\0VERSION 1.6.18\r\n".to_vec()]);
    "enip" udp answers(datagrams::of_enip());
    "enip" tcp answers(datagrams::of_enip());
    "unknown" tcp texts(&["Welcome to Thing 7 version 1.2\r\n"]);
};

/// Conversations in which the server waits, then gives one of these for each question.
fn answers(turns: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let together = said(&[&[]], turns.clone());
    let each = turns.iter().map(|turn| [TURN, turn].concat());
    together.into_iter().chain(each).collect()
}

/// One conversation of these turns, the first ones before the others.
fn said(first: &[&[u8]], turns: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let turns = first.iter().map(|turn| turn.to_vec()).chain(turns.iter().cloned());
    let joined = turns.clone().collect::<Vec<_>>().join(TURN);
    std::iter::once(joined).chain(turns).collect()
}

fn texts(turns: &[&str]) -> Vec<Vec<u8>> {
    said(&[], turns.iter().map(|turn| turn.as_bytes().to_vec()).collect())
}

fn find(protocol: &str, transport: &str) -> &'static dyn Probe {
    let found = catalog::all()
        .iter()
        .find(|probe| probe.protocol() == protocol && probe.transport().as_str() == transport);
    *found.unwrap_or_else(|| panic!("there is no probe {protocol} over {transport}"))
}

/// The turns of an input.
pub(crate) fn turns(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut turns = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(TURN.len()).position(|window| window == TURN) {
        turns.push(rest[..at].to_vec());
        rest = &rest[at + TURN.len()..];
    }
    turns.push(rest.to_vec());
    turns
}

fn run(probe: &dyn Probe, bytes: &[u8]) {
    let turns = turns(bytes);
    black_box(probe.recognises(bytes));
    let port = probe.ports().first().copied().unwrap_or(7);
    let mut heard: Vec<Vec<u8>> = Vec::new();
    // A server that runs out of words says nothing more and stays.
    for turn in turns.iter().chain(std::iter::repeat(&Vec::new())) {
        black_box(probe.recognises(turn));
        heard.push(Vec::new());
        let mut next = Step::Listen;
        // In part, whole, and with the connection closed.
        for (len, ended) in
            [(0, false), (turn.len() / 2, false), (turn.len(), false), (turn.len(), true)]
        {
            if let Some(last) = heard.last_mut() {
                *last = turn[..len].to_vec();
            }
            let talk = talk(port, &heard, ended);
            black_box(probe.read(&talk));
            next = probe.request(&talk);
            if !ended && matches!(next, Step::Say(_) | Step::Reconnect(_)) && len == turn.len() {
                break;
            }
        }
        if !matches!(next, Step::Say(_) | Step::Reconnect(_)) {
            break;
        }
        assert!(heard.len() < MOST_MESSAGES, "{} does not come to an end", probe.protocol());
    }
    black_box(probe.read(&talk(port, &heard, true)));
    black_box(probe.read(&Talk { tls: true, ..talk(port, &turns, true) }));
}

fn talk(port: u16, heard: &[Vec<u8>], ended: bool) -> Talk<'_> {
    Talk {
        address: std::net::IpAddr::from([192, 0, 2, 7]),
        port,
        tls: false,
        server_name: Some("fs7.example.com"),
        cookie: 0x0a0b_0c0d,
        heard,
        ended,
    }
}

/// The two bytes in front name the port.
fn run_datagram(bytes: &[u8]) {
    let Some((port, answer)) = bytes.split_first_chunk() else { return };
    let address = std::net::IpAddr::from([192, 0, 2, 7]);
    let port = u16::from_be_bytes(*port);
    black_box(udp::read(address, port, 0x0a0b_0c0d, answer));
    black_box(udp::payload_to(address, port, 0x0a0b_0c0d));
}

fn seeds_datagram() -> Vec<Vec<u8>> {
    let all = [
        (53, seeds::of_dns()),
        (123, seeds::of_ntp()),
        (137, seeds::of_nbns()),
        (161, seeds::of_snmp()),
        (389, seeds::of_ldap()),
        (1900, seeds::of_ssdp()),
        (88, datagrams::of_kerberos()),
        (111, datagrams::of_rpc()),
        (443, datagrams::of_quic()),
        (500, datagrams::of_ike()),
        (623, datagrams::of_rmcp()),
        (1701, datagrams::of_l2tp()),
        (3478, datagrams::of_stun()),
        (3702, datagrams::of_ws_discovery()),
        (5060, datagrams::of_sip()),
        (5353, seeds::of_dns()),
    ];
    let with_port = |(port, seeds): (u16, Vec<Vec<u8>>)| {
        seeds.into_iter().map(move |seed| [&port.to_be_bytes()[..], &seed].concat())
    };
    all.into_iter().flat_map(with_port).collect()
}

fn run_product(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    black_box(product::find(&text));
    black_box(product::guess(&text));
    black_box(product::named(&text, Some(&text)));
    black_box((product::is_version(&text), product::upstream(&text)));
    black_box(product::operating_system(&text));
    black_box(product::host_name(&text));
    black_box(product::host_name_fact(&text));
}

fn seeds_product() -> Vec<Vec<u8>> {
    [
        "OpenSSH_9.2p1 Debian-2+deb12u2",
        "Apache/2.4.57 (Debian) OpenSSL/3.0.11 PHP/8.2",
        "Microsoft-IIS/10.0",
        "fs7.example.com ESMTP Exim 4.96 Tue, 07 Jan 2025",
        "Cisco IOS Software, C2960 Software, Version 15.2(7)E, RELEASE",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect()
}

/// What each probe of the catalog is called here.
#[cfg(test)]
fn name(probe: &dyn Probe) -> String {
    format!("probe/{}/{}", probe.protocol(), probe.transport())
}

#[cfg(test)]
mod tests {
    use model::Transport;

    use super::*;

    #[test]
    fn every_probe_of_the_catalog_is_a_target() {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        let missing: Vec<String> = catalog::all()
            .iter()
            .map(|probe| name(*probe))
            .filter(|name| !names.contains(&name.as_str()))
            .collect();
        assert!(missing.is_empty(), "no target for {missing:?}");
        // The two that are not in the catalog: the sweep's own datagrams, and product names.
        assert_eq!(names.len(), catalog::all().len() + 2);
    }

    #[test]
    fn the_seeds_are_taken_for_what_they_are() {
        for probe in catalog::all() {
            // Transaction ids are not those of these seeds: in SNMP 31 bits of the cookie, in
            // NTP a timestamp, in NetBIOS and LDAP another number.
            let other = ["snmp", "snmp-public", "snmp-public-v1", "ntp", "netbios-ns", "mdns"];
            if probe.transport() == Transport::Udp && other.contains(&probe.protocol()) {
                continue;
            }
            let wanted = name(*probe);
            let Some(target) = TARGETS.iter().find(|target| target.name == wanted) else {
                continue;
            };
            let known = (target.seeds)().iter().any(|seed| {
                let text: Vec<Vec<u8>> = split(seed);
                !probe.read(&talk(7, &text, true)).facts.is_empty()
            });
            assert!(known, "{wanted} reads nothing from its own seeds");
        }
    }

    fn split(bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut turns = vec![Vec::new()];
        let mut rest = bytes;
        while let Some((first, tail)) = rest.split_first() {
            if let Some(after) = rest.strip_prefix(TURN) {
                turns.push(Vec::new());
                rest = after;
                continue;
            }
            turns.last_mut().unwrap().push(*first);
            rest = tail;
        }
        turns
    }
}
