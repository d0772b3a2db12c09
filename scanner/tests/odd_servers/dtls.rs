//! DTLS: OpenSSL's `s_server` over datagrams.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use certs::hello::{DTLS10, DTLS12};
use model::{
    AddressRange, Endpoint, Fact, Observation, Site, Subject, TlsVersion, Transport, Vantage,
};
use scanner::{
    Scope,
    collect::{Collecting, collect_by_dtls},
    dialogue::{ControlSystems, Dialogue, Limits, Open},
    probe::tls::{Collection, Extent, Served},
    stop::Stop,
};
use tempfile::TempDir;

use crate::{
    here,
    identity::{Identity, identity},
    openssl::{LOW, Server},
};

fn ask(port: u16, extent: Extent) -> Served {
    let (permit, pace, runtime) = here();
    let collection = Collection::over_datagrams([], extent);
    let time = Duration::from_secs(20);
    runtime.block_on(collect_by_dtls(permit, port, collection, &pace, time))
}

#[track_caller]
fn check(what: &str, identity: &Identity, arguments: &[&str], version: TlsVersion) -> Served {
    let server = Server::start(identity, arguments);
    let served = ask(server.port, Extent::Certificates);
    println!("{what}: {} chains, {} attempts", served.chains.len(), served.connections);
    let leaves: BTreeSet<&[u8]> = served.chains.iter().map(|c| c.chain[0].as_slice()).collect();
    assert_eq!(leaves, BTreeSet::from([identity.der.as_slice()]), "{what}: {served:?}");
    assert!(served.accepted.keys().eq([&version]), "{what}: {served:?}");
    assert!(served.anomalies.is_empty(), "{what}: {served:?}");
    served
}

#[test]
fn openssl_shows_its_certificate_over_datagrams() {
    let folder = TempDir::new().unwrap();
    let rsa = identity(&folder, "rsa", &["-algorithm", "RSA"], &[]);
    let ec = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
    let ec = identity(&folder, "ec", &ec, &[]);
    check("DTLS 1.2, RSA", &rsa, &["-dtls1_2"], DTLS12);
    check("DTLS 1.2, ECDSA", &ec, &["-dtls1_2"], DTLS12);
    check("DTLS 1.0", &rsa, &["-dtls1", "-cipher", LOW], DTLS10);
    check("any", &rsa, &["-dtls"], DTLS12);
    check("with a listener", &rsa, &["-dtls", "-listen"], DTLS12);
    let served = check("a client's certificate", &rsa, &["-dtls1_2", "-Verify", "1"], DTLS12);
    assert!(served.client_certificate.is_some());
    let suites = ["-dtls1_2", "-cipher", "DHE-RSA-AES128-SHA:@SECLEVEL=0"];
    let served = check("one suite", &rsa, &suites, DTLS12);
    assert_eq!(served.accepted[&DTLS12], BTreeSet::from([0x0033]));
    assert!(served.dh_bits.is_some());
}

#[test]
fn a_certificate_in_many_datagrams_is_put_together() {
    let folder = TempDir::new().unwrap();
    let bits = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096"];
    let names: Vec<String> = (0..200).map(|n| format!("DNS:name-{n}.example")).collect();
    let names = format!("subjectAltName={}", names.join(","));
    let large = identity(&folder, "large", &bits, &["-addext", &names]);
    assert!(large.der.len() > 3_000);
    check("5 KB over 300 bytes", &large, &["-dtls1_2", "-mtu", "300"], DTLS12);
}

#[test]
fn a_sweep_asks_where_the_probe_of_dtls_got_an_answer() {
    let folder = TempDir::new().unwrap();
    let rsa = identity(&folder, "rsa", &["-algorithm", "RSA"], &[]);
    // An address that is only this test's, for the port is one of those where DTLS is likely.
    let address = IpAddr::V4(Ipv4Addr::new(127, 0, 5, 84));
    // Without a listener, OpenSSL's server would wait for more from the probe alone.
    let server = Server::start_at("127.0.5.84:5684", &rsa, &["-dtls1_2", "-listen"]);
    let (_, pace, runtime) = here();
    let vantage = Vantage { site: Site("test".into()), name: "here".into() };
    let scope = Arc::new(Scope::new(vec![AddressRange::single(address)], vec![]));
    let dialogue = Dialogue {
        scope: Arc::clone(&scope),
        vantage: vantage.clone(),
        limits: Limits::default(),
        pace: pace.clone(),
        stop: Stop::new(),
        except: Vec::new(),
        control_systems: ControlSystems::LeaveAlone,
    };
    let endpoint = Endpoint { address, transport: Transport::Udp, port: server.port };
    let mut told = Vec::new();
    let open = vec![Open::at(endpoint)];
    let talked = runtime.block_on(dialogue.converse(open, &mut |_| {}, &mut |_, _| {}));
    assert_eq!(talked.tls, [endpoint]);
    let collecting = Collecting {
        scope,
        vantage,
        pace,
        stop: Stop::new(),
        at_once: 1,
        time: Duration::from_secs(20),
        extent: Extent::Certificates,
        gentle: BTreeSet::new(),
        starttls: BTreeMap::new(),
        quic: BTreeSet::new(),
    };
    let endpoints = BTreeMap::from([(endpoint, Vec::new())]);
    let observe = &mut |observation: Observation| told.push(observation);
    let outcome = runtime.block_on(collecting.collect(endpoints, observe, &mut |_, _| {}));
    assert!(outcome.gaps.is_empty(), "{outcome:?}");
    assert!(told.iter().all(|o| o.subject == Subject::Endpoint(endpoint)));
    assert!(matches!(&told[0].fact, Fact::Certificates(c) if c.protocol_version == DTLS12
        && c.chain == [rsa.der.clone()]));
}

#[test]
fn who_is_not_there_or_speaks_otherwise_costs_little() {
    let nobody = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let served = ask(nobody, Extent::Certificates);
    assert!(!served.speaks_tls && served.chains.is_empty() && served.connections == 1);
    let echo = UdpSocket::bind((IpAddr::V4(Ipv4Addr::LOCALHOST), 0)).unwrap();
    let port = echo.local_addr().unwrap().port();
    let answering = std::thread::spawn(move || {
        let mut bytes = [0; 2_000];
        let (_, from) = echo.recv_from(&mut bytes).unwrap();
        echo.send_to(b"what?", from).unwrap();
    });
    let served = ask(port, Extent::Certificates);
    answering.join().unwrap();
    assert!(!served.speaks_tls && served.connections == 1, "{served:?}");
}
