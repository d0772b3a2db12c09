//! Handshakes in datagrams and in EAP: told of whom they are, in any order, cut and damaged.

use model::{CertificateChain, Endpoint, MachineIdKind, PortState, TlsVersion};

use super::*;

const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const PORT: u16 = 5_684;

/// Bytes behind their length in so many bytes.
fn sized(width: usize, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    [&length[4 - width..], bytes].concat()
}

fn client_hello(version: [u8; 2], extensions: &[u8]) -> Vec<u8> {
    let cookie: &[u8] = if version[0] == 0xfe { &[0] } else { &[] };
    let head = [&version[..], &[7; 32], &[0], cookie, &[0, 2, 0xc0, 0x2f, 1, 0]].concat();
    [head, sized(2, extensions)].concat()
}

fn server_hello(version: [u8; 2]) -> Vec<u8> {
    [&version[..], &[7; 32], &[0, 0xc0, 0x2f, 0]].concat()
}

fn chain(der: &[u8]) -> Vec<u8> {
    sized(3, &sized(3, der))
}

/// A certificate, and the digest of its key.
fn made() -> (Vec<u8>, String) {
    let issued = rcgen::generate_simple_self_signed(vec!["pc7.example".to_owned()]).unwrap();
    let der = issued.cert.der().to_vec();
    let key = certs::parse(&der).spki_sha256.unwrap();
    (der, key)
}

fn key(value: String) -> Fact {
    Fact::MachineId { kind: MachineIdKind::ClientKey, value }
}

/// A piece of a message of DTLS, in a datagram of its own.
fn piece(kind: u8, number: u8, body: &[u8], place: usize, end: usize) -> Vec<u8> {
    let u24 = |n: usize| u32::try_from(n).unwrap().to_be_bytes()[1..].to_vec();
    let part = &body[place..end];
    let head = [vec![kind], u24(body.len()), vec![0, number], u24(place), u24(part.len())];
    let message = [head.concat(), part.to_vec()].concat();
    [&[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, number][..], &sized(2, &message)].concat()
}

/// A handshake, a frame for each datagram: the client with its certificate, the server with one
/// of 1,500 bytes, in two pieces.
fn datagrams(extensions: &[u8], client: &[u8]) -> Vec<Vec<u8>> {
    let said = |bytes: &[u8]| v4_udp(DEVICE, (HERE, SERVER), (50_000, PORT), bytes);
    let heard = |bytes: &[u8]| v4_udp(OTHER, (SERVER, HERE), (PORT, 50_000), bytes);
    let whole = |kind, number, body: &[u8]| piece(kind, number, body, 0, body.len());
    let served = chain(&[0x30; 1_500]);
    vec![
        said(&whole(1, 0, &client_hello([0xfe, 0xfd], extensions))),
        heard(&whole(2, 0, &server_hello([0xfe, 0xfd]))),
        heard(&piece(11, 1, &served, 0, 900)),
        heard(&piece(11, 1, &served, 900, served.len())),
        heard(&whole(13, 2, &[1, 1, 0, 0, 0, 0])),
        heard(&whole(14, 3, &[])),
        said(&whole(11, 1, &chain(client))),
        said(&whole(16, 2, &[1, 9])),
        said(&[&[20, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9][..], &sized(2, &[1])].concat()),
    ]
}

/// What frames tell, to the end, in an order of its own.
fn all(frames: &[Vec<u8>]) -> Vec<(Subject, Fact)> {
    let vantage = Vantage { site: Site("plant".into()), name: "here".into() };
    let mut capture = Capture::with_memory(vantage, 1 << 20);
    let mut all = Vec::new();
    let at = Timestamp::from_seconds(7);
    for frame in frames {
        capture.frame(at, frame, &mut |o| all.push((o.subject, o.fact)));
    }
    capture.finish(at, &mut |o| all.push((o.subject, o.fact)));
    all.retain(|(_, fact)| !matches!(fact, Fact::Alive { .. }));
    all.sort_by_key(|fact| format!("{fact:?}"));
    all
}

fn shown(version: u16, starttls: Option<&str>) -> Fact {
    Fact::Certificates(CertificateChain {
        chain: vec![vec![0x30; 1_500]],
        server_name: None,
        protocol_version: TlsVersion(version),
        starttls: starttls.map(str::to_owned),
    })
}

fn has(told: &[(Subject, Fact)], subject: Subject, fact: &Fact) -> bool {
    told.iter().any(|(of, one)| *of == subject && one == fact)
}

#[test]
fn a_handshake_in_datagrams_tells_the_same_in_every_order() {
    let (der, sha256) = made();
    let frames = datagrams(&[], &der);
    let told = all(&frames);
    assert!(heard(&frames).iter().any(|o| matches!(o.fact, Fact::MachineId { .. })), "at once");
    let server = Subject::Endpoint(Endpoint::udp(SERVER.into(), PORT));
    assert!(has(&told, server, &shown(0xfefd, None)), "{told:#?}");
    assert!(has(&told, server, &Fact::PortState(PortState::Open)));
    let client = Subject::Address(HERE.into());
    assert!(has(&told, client, &key(sha256)));
    // A client serves nobody, whatever it shows.
    for (subject, fact) in &told {
        let of_server = matches!(fact, Fact::Certificates(_) | Fact::Service(_) | Fact::Tls(_));
        assert!(*subject == server || !of_server, "{subject} {fact:?}");
    }
    // Without the 1,500 bytes of the chain.
    let text = |told: &[(Subject, Fact)]| format!("{told:?}").replace(", 48", "");
    let same = |other: &[(Subject, Fact)]| assert_eq!(text(other), text(&told));
    for turn in 1..frames.len() {
        let mut other = frames.clone();
        other.rotate_left(turn);
        same(&all(&other));
        other.reverse();
        same(&all(&other));
    }
    // The server alone, on a mirror that shows one direction.
    let half = all(&frames[1..6]);
    assert!(has(&half, server, &shown(0xfefd, None)), "{half:#?}");
}

#[test]
fn the_ends_of_a_call_serve_nobody() {
    let (der, _) = made();
    // use_srtp, RFC 5764.
    let told = all(&datagrams(&[0, 14, 0, 5, 0, 2, 0, 1, 0], &der));
    let kinds = |(_, fact): &(Subject, Fact)| !matches!(fact, Fact::Fingerprint { .. });
    assert!(!told.iter().any(kinds), "{told:#?}");
}

#[test]
fn datagrams_that_wait_are_bounded_and_given_up() {
    let mut capture = listen();
    let body = vec![7; 16_000];
    for n in 0..3_000_u16 {
        let [high, low] = n.to_be_bytes();
        let from = Ipv4Addr::new(10, 0, high, low);
        let frame = v4_udp(DEVICE, (from, SERVER), (n, PORT), &piece(11, 1, &body, 0, 15_900));
        capture.frame(Timestamp::from_seconds(1), &frame, &mut |_| {});
        assert!(capture.datagrams.memory() <= 9 << 20);
    }
    capture.tick(Timestamp::from_seconds(100), &mut |_| {});
    assert_eq!(capture.datagrams.memory(), 0);
}

/// A record of TLS with these messages.
fn record(messages: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let all: Vec<u8> =
        messages.iter().flat_map(|(kind, body)| [vec![*kind], sized(3, body)].concat()).collect();
    [&[22, 3, 3][..], &sized(2, &all)].concat()
}

/// What the two sides of EAP-TLS say, each in packets of at most 700 bytes that take turns.
fn eap(client: &[u8]) -> Vec<(bool, Vec<u8>)> {
    const TLS: u8 = 13;
    const PART: usize = 700;
    let hello = record(&[(1, client_hello([3, 3], &[]))]);
    let flight = record(&[
        (2, server_hello([3, 3])),
        (11, chain(&[0x30; 1_500])),
        (13, vec![1, 1, 0, 0, 0, 0]),
        (14, vec![]),
    ]);
    let answer = record(&[(11, chain(client)), (16, vec![1, 9])]);
    let mut packets = vec![(false, vec![TLS, 0x20])];
    for (by_station, message) in [(true, hello), (false, flight), (true, answer)] {
        let parts: Vec<&[u8]> = message.chunks(PART).collect();
        for (n, part) in parts.iter().enumerate() {
            let more = if n + 1 < parts.len() { 0x40 } else { 0 };
            let (flag, length) = match n {
                0 => (0x80, u32::try_from(message.len()).unwrap().to_be_bytes().to_vec()),
                _ => (0, Vec::new()),
            };
            packets.push((by_station, [&[TLS, flag | more][..], &length, part].concat()));
            if more != 0 {
                packets.push((!by_station, vec![TLS, 0]));
            }
        }
    }
    let mut identifier = 0;
    packets
        .into_iter()
        .map(|(by_station, data)| {
            identifier += u8::from(!by_station);
            let code = if by_station { 2 } else { 1 };
            let length = u16::try_from(data.len() + 4).unwrap().to_be_bytes();
            (by_station, [&[code, identifier][..], &length, &data].concat())
        })
        .collect()
}

const PAE: MacAddr = MacAddr([1, 0x80, 0xc2, 0, 0, 3]);

fn on_link(packets: &[(bool, Vec<u8>)]) -> Vec<Vec<u8>> {
    let frame = |(by_station, packet): &(bool, Vec<u8>)| {
        let source = if *by_station { DEVICE } else { OTHER };
        let payload = [&[2, 0][..], &sized(2, packet)].concat();
        ethernet::frame(PAE, source, eap::ETHER_TYPE, &payload)
    };
    packets.iter().map(frame).collect()
}

#[test]
fn on_the_link_a_servers_certificate_is_of_whoever_passes_it_on_and_no_service() {
    let (der, sha256) = made();
    let frames = on_link(&eap(&der));
    let expected = [
        (Subject::Mac(OTHER), shown(0x0303, Some("eap-tls"))),
        (Subject::Mac(DEVICE), key(sha256)),
    ];
    let mut told = all(&frames);
    told.sort_by_key(|(_, fact)| matches!(fact, Fact::MachineId { .. }));
    assert_eq!(told, expected);
    // Every frame twice, as it is where the answer got lost.
    let twice: Vec<_> = frames.iter().flat_map(|frame| [frame.clone(), frame.clone()]).collect();
    let mut told = all(&twice);
    told.sort_by_key(|(_, fact)| matches!(fact, Fact::MachineId { .. }));
    assert_eq!(told, expected);
    // A packet that is missing leaves a message of another length than it says.
    for missing in 0..frames.len() {
        let mut rest = frames.clone();
        rest.remove(missing);
        for fact in all(&rest) {
            assert!(expected.contains(&fact), "without {missing}: {fact:?}");
        }
    }
}

/// The same through a switch, which calls the station by its MAC address.
fn by_radius(packets: &[(bool, Vec<u8>)]) -> Vec<Vec<u8>> {
    let mut identifier = 0;
    packets
        .iter()
        .map(|(by_station, packet)| {
            identifier += u8::from(*by_station);
            let attribute = |kind: u8, value: &[u8]| {
                [&[kind, u8::try_from(value.len() + 2).unwrap()][..], value].concat()
            };
            let mut attributes: Vec<u8> =
                packet.chunks(253).flat_map(|part| attribute(79, part)).collect();
            // The server has another mark each time, which the switch repeats.
            let mark = identifier - u8::from(*by_station);
            if *by_station {
                attributes.extend(attribute(1, b"somebody"));
                attributes.extend(attribute(31, b"00-1B-21-00-00-07"));
            }
            if mark > 0 {
                attributes.extend(attribute(24, &[9, mark]));
            }
            let code = if *by_station { 1 } else { 11 };
            let length = u16::try_from(attributes.len() + 20).unwrap().to_be_bytes();
            let bytes =
                [&[code, identifier][..], &length, &[5; 16], attributes.as_slice()].concat();
            match by_station {
                true => v4_udp(OTHER, (HERE, SERVER), (40_000, 1_812), &bytes),
                false => v4_udp(OTHER, (SERVER, HERE), (1_812, 40_000), &bytes),
            }
        })
        .collect()
}

#[test]
fn by_radius_a_servers_certificate_is_its_own_and_the_key_the_stations() {
    let (der, sha256) = made();
    // A switch begins with who the user is; what the server says first comes from nowhere.
    let identity = (true, [&[2, 0, 0, 13, 1][..], b"somebody"].concat());
    let packets: Vec<_> = [identity].into_iter().chain(eap(&der)).collect();
    let frames = by_radius(&packets);
    let told = all(&frames);
    let server = Subject::Endpoint(Endpoint::udp(SERVER.into(), 1_812));
    assert!(has(&told, server, &shown(0x0303, Some("eap-tls"))), "{told:#?}");
    assert!(has(&told, Subject::Mac(DEVICE), &key(sha256)), "{told:#?}");
    for (subject, fact) in &told {
        let of_server = matches!(fact, Fact::Certificates(_) | Fact::Service(_) | Fact::Tls(_));
        assert!(*subject == server || !of_server, "{subject} {fact:?}");
    }
    assert!(!format!("{told:?}").contains("somebody"));
}

#[test]
fn every_cut_of_a_handshake_tells_a_part_of_it() {
    let (der, _) = made();
    let packets = eap(&der);
    for frames in [datagrams(&[], &der), on_link(&packets), by_radius(&packets)] {
        let whole = all(&frames);
        let subjects: Vec<Subject> = whole.iter().map(|(subject, _)| *subject).collect();
        for (n, frame) in frames.iter().enumerate() {
            for len in (0..frame.len()).step_by(31) {
                let mut cut = frames.clone();
                cut[n].truncate(len);
                for (subject, fact) in all(&cut) {
                    assert!(subjects.contains(&subject), "{n} cut at {len}: {subject} {fact:?}");
                    let shown = matches!(fact, Fact::Certificates(_) | Fact::MachineId { .. });
                    assert!(!shown || has(&whole, subject, &fact), "{n} cut at {len}: {fact:?}");
                }
            }
        }
    }
}
