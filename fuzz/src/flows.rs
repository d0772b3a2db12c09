//! Conversations of TCP as a listener hears them, and the hellos of others. The first byte of
//! an input says on which port, and each piece behind it who speaks and how much.

use std::{hint::black_box, net::Ipv4Addr};

use certs::hello::heard;
use model::{MacAddr, Site, Timestamp, Vantage};
use scanner::capture::Capture;
use wire::{ethernet, ip, ntlm, ssh, tcp};

use crate::Target;

pub(crate) const TARGETS: &[Target] = &[
    Target { name: "certs/hello/heard", run: run_hello, seeds: of_hello },
    Target { name: "scanner/capture/flow", run: run_flow, seeds: of_flow },
    Target { name: "wire/ssh host key", run: run_host_key, seeds: of_words },
    Target { name: "wire/ntlm authenticate", run: run_authenticate, seeds: of_words },
];

fn run_hello(bytes: &[u8]) {
    let side = heard::side(bytes);
    if let Some(client) = side.client {
        black_box((client.ja3(), client.ja4(heard::Carrier::Tcp)));
    }
    if let Some(server) = side.server {
        black_box(server.ja3s());
    }
    black_box((heard::find_client(bytes), heard::find_server(bytes), heard::old_client(bytes)));
}

fn run_host_key(bytes: &[u8]) {
    for method in ["curve25519-sha256", "diffie-hellman-group-exchange-sha256"] {
        black_box(ssh::host_key(bytes, method));
    }
}

fn run_authenticate(bytes: &[u8]) {
    black_box(ntlm::Authenticate::find(bytes));
}

/// Ports of the protocols that are told by them where nothing else tells.
const PORTS: [u16; 16] =
    [21, 22, 23, 25, 80, 102, 110, 143, 389, 443, 445, 502, 3306, 3389, 5432, 6379];

fn run_flow(bytes: &[u8]) {
    let Some((port, mut rest)) = bytes.split_first() else { return };
    let port = PORTS[usize::from(*port) % PORTS.len()];
    let vantage = Vantage { site: Site("fuzz".into()), name: "fuzz".into() };
    let mut capture = Capture::with_memory(vantage, 1 << 20);
    let ends = [(Ipv4Addr::new(192, 0, 2, 1), 40_000), (Ipv4Addr::new(192, 0, 2, 2), port)];
    let mut numbers = [1_u32, 1];
    let mut put = |by: usize, numbers: [u32; 2], flags: u8, data: &[u8]| {
        let (from, to) = (ends[by], ends[1 - by]);
        let mut segment = [from.1.to_be_bytes(), to.1.to_be_bytes()].concat();
        segment.extend(numbers[by].to_be_bytes());
        segment.extend(numbers[1 - by].to_be_bytes());
        segment.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        segment.extend(data);
        let packet = ip::packet(ip::Ends::V4(from.0, to.0), ip::TCP, 64, &segment);
        let macs = [MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2])];
        let frame = ethernet::frame(macs[1 - by], macs[by], ethernet::IPV4, &packet);
        capture.frame(Timestamp(0), &frame, &mut |told| {
            assert!(told.evidence.len() <= model::Observation::MAX_EVIDENCE);
        });
    };
    put(0, [0, 0], tcp::SYN, b"");
    put(1, [1, 0], tcp::SYN | tcp::ACK, b"");
    while let Some(([by, len], behind)) = rest.split_first_chunk() {
        let by = usize::from(by & 1);
        let (data, behind) = behind.split_at(usize::from(*len).min(behind.len()));
        put(by, numbers, tcp::ACK, data);
        numbers[by] = numbers[by].wrapping_add(data.len() as u32);
        rest = behind;
    }
    capture.finish(Timestamp(0), &mut |told| drop(black_box(told)));
}

/// First words of clients and servers.
fn of_words() -> Vec<Vec<u8>> {
    let words: [&[u8]; 14] = [
        b"SSH-2.0-OpenSSH_9.2p1\r\n",
        b"\0\0\0\x0c\x04\x1f\0\0\0\x02ab....",
        b"NTLMSSP\0\x03\0\0\0................................\x02\0\x02\0\x40\0\0\0........\x01\0\0\0pc",
        b"220 mx.example.com ESMTP Postfix\r\n",
        b"EHLO pc\r\nSTARTTLS\r\n",
        b"GET / HTTP/1.1\r\nHost: a.example\r\nAuthorization: Basic eA==\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nServer: nginx/1.22\r\n\r\n",
        b"+OK Dovecot ready.\r\n",
        b"* OK [CAPABILITY IMAP4rev1] ready\r\n",
        b"\xff\xfd\x18\xff\xfb\x01login: ",
        b"\0\0\0\x08\x04\xd2\x16\x2f",
        b"*1\r\n$4\r\nPING\r\n",
        b"\0\0\0\x40\xfeSMB\x40\0",
        b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x03\0\0\0",
    ];
    words.iter().map(|word| word.to_vec()).collect()
}

fn of_hello() -> Vec<Vec<u8>> {
    let hello = certs::hello::Question::of(certs::hello::Kind::Wide);
    let collector = certs::hello::Collector::new(&hello, [7; 64]);
    let mut server = vec![22, 3, 3, 0, 42, 2, 0, 0, 38, 3, 3];
    server.extend([9; 32]);
    server.extend([0, 0xc0, 0x2f, 0]);
    collector.map(|all| all.hello().to_vec()).into_iter().chain([server]).collect()
}

fn of_flow() -> Vec<Vec<u8>> {
    let words: Vec<Vec<u8>> = of_words().into_iter().chain(of_hello()).collect();
    let turn = |by: u8, word: &[u8]| {
        let word = word.get(..255).unwrap_or(word);
        [&[by, word.len() as u8][..], word].concat()
    };
    let pairs = words.iter().zip(words.iter().skip(1));
    pairs
        .enumerate()
        .map(|(n, (a, b))| [vec![n as u8], turn(1, a), turn(0, b), turn(1, b)].concat())
        .collect()
}
