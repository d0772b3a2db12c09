//! QUIC: servers of quinn, and what may happen on the way to them.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use certs::hello::{ServerName, Shares, TLS13};
use ml_kem::{EncapsulationKey, MlKem768};
use model::{AddressRange, Endpoint, Fact, Observation, Site, Subject, Transport, Vantage};
use quinn::crypto::rustls::QuicServerConfig;
use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};
use rustls::{
    NamedGroup, RootCertStore,
    crypto::{
        ActiveKeyExchange, CompletedKeyExchange, CryptoProvider, SupportedKxGroup, ring as provider,
    },
    pki_types::{CertificateDer, PrivateKeyDer},
    sign::CertifiedKey,
};
use scanner::{
    Scope,
    collect::{Collecting, collect_by_quic},
    dialogue::{ControlSystems, Dialogue, Limits, Open},
    probe::tls::{Collection, Extent, Served, Support},
    stop::Stop,
};
use tempfile::TempDir;

use crate::{
    here,
    identity::identity,
    modern::{self, Choices},
    relay::{Fate, Relay, Way},
};

/// What a server does before it has seen that an address answers.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Proof {
    /// It sends three times what it got.
    Amplify,
    /// It keeps nothing and wants a token back (RFC 9000, section 8.1.2).
    Retry,
    /// It takes nobody.
    Refuse,
}

/// A server, ended when it goes out of scope.
struct Server {
    address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

impl Server {
    fn start(config: rustls::ServerConfig, proof: Proof) -> Self {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), config, proof)
    }

    fn start_at(place: SocketAddr, config: rustls::ServerConfig, proof: Proof) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let crypto = QuicServerConfig::try_from(config).unwrap();
        let config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
        let endpoint = {
            let _inside = runtime.enter();
            quinn::Endpoint::server(config, place).unwrap()
        };
        let address = endpoint.local_addr().unwrap();
        runtime.spawn(async move {
            while let Some(incoming) = endpoint.accept().await {
                match proof {
                    Proof::Retry if incoming.may_retry() => incoming.retry().unwrap(),
                    Proof::Refuse => incoming.refuse(),
                    // What becomes of a client is no matter.
                    _ => drop(tokio::spawn(async move { incoming.await.is_ok() })),
                }
            }
        });
        Self { address, _runtime: runtime }
    }
}

fn ask(port: u16, names: &[&str], extent: Extent) -> Served {
    let (permit, pace, runtime) = here();
    let names = names.iter().map(|name| ServerName::new(name).expect("a host name"));
    let collection = Collection::over_quic(names, extent);
    let (time, shares) = (Duration::from_secs(20), Shares::default());
    runtime.block_on(collect_by_quic(permit, port, collection, &pace, time, &shares))
}

/// Servers of HTTP/3 with these certificates.
fn h3(choices: Choices) -> rustls::ServerConfig {
    with(provider::default_provider(), choices, &["h3"])
}

fn with(provider: CryptoProvider, choices: Choices, protocols: &[&str]) -> rustls::ServerConfig {
    let mut config = modern::config(provider, None, choices);
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

fn leaf(key: &CertifiedKey) -> Vec<u8> {
    key.cert[0].to_vec()
}

fn found(served: &Served) -> BTreeSet<&[u8]> {
    served.chains.iter().map(|chain| chain.chain[0].as_slice()).collect()
}

/// Asks a server for its certificates, which must be these and no other.
#[track_caller]
fn check(what: &str, port: u16, names: &[&str], expected: &[&CertifiedKey]) -> Served {
    told(what, ask(port, names, Extent::Certificates), expected)
}

#[track_caller]
fn told(what: &str, served: Served, expected: &[&CertifiedKey]) -> Served {
    println!("{what}: {} leaves, {} attempts", found(&served).len(), served.connections);
    let expected: BTreeSet<&[u8]> = expected.iter().map(|key| key.cert[0].as_ref()).collect();
    assert_eq!(found(&served), expected, "{what}: {:?}", served.refusal);
    assert!(served.accepted.keys().eq([&TLS13]), "{what}: {served:?}");
    assert!(served.anomalies.is_empty(), "{what}: {:?}", served.anomalies);
    served
}

/// RSA, of which rcgen makes no keys.
fn rsa(folder: &TempDir) -> Arc<CertifiedKey> {
    let rsa = identity(
        folder,
        "rsa",
        &["-algorithm", "RSA"],
        &["-addext", "subjectAltName=DNS:rsa.example"],
    );
    let key = PrivateKeyDer::try_from(pem(&rsa.key)).unwrap();
    let key = provider::default_provider().key_provider.load_private_key(key).unwrap();
    Arc::new(CertifiedKey::new(vec![CertificateDer::from(rsa.der)], key))
}

/// The DER of a key that `openssl` wrote.
fn pem(file: &std::path::Path) -> Vec<u8> {
    let der = file.with_extension("key.der");
    let [from, to] = [file, &der].map(crate::identity::text);
    crate::identity::openssl(&[
        "pkcs8", "-topk8", "-nocrypt", "-in", from, "-outform", "DER", "-out", to,
    ]);
    std::fs::read(der).unwrap()
}

fn p256(names: &[&str]) -> Arc<CertifiedKey> {
    modern::certified(names, &PKCS_ECDSA_P256_SHA256)
}

/// X25519MLKEM768 on the side of a server, which rustls has with another provider only.
#[derive(Debug)]
struct Hybrid;

impl SupportedKxGroup for Hybrid {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, rustls::Error> {
        Err(rustls::Error::General("it is no client".to_owned()))
    }

    fn start_and_complete(&self, theirs: &[u8]) -> Result<CompletedKeyExchange, rustls::Error> {
        let (lattice, point) = theirs.split_at(1184);
        let lattice = EncapsulationKey::<MlKem768>::new(&lattice.try_into().unwrap()).unwrap();
        let (ciphertext, secret) = lattice.encapsulate_deterministic(&[7; 32].into());
        let elliptic = provider::kx_group::X25519.start_and_complete(point)?;
        Ok(CompletedKeyExchange {
            group: self.name(),
            pub_key: [ciphertext.as_slice(), &elliptic.pub_key].concat(),
            secret: [secret.as_slice(), elliptic.secret.secret_bytes()].concat().into(),
        })
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519MLKEM768
    }
}

#[test]
fn every_certificate_of_every_server_of_quic_is_found() {
    let folder = TempDir::new().unwrap();
    let rsa = rsa(&folder);
    let ec = p256(&["ec.example"]);

    let server = Server::start(h3(vec![(None, ec.clone())]), Proof::Amplify);
    let served = check("one certificate", server.address.port(), &[], &[&ec]);
    assert!(served.protocols.iter().eq(["h3"]) && served.client_certificate.is_none());
    assert!(served.groups.iter().eq([&0x001d]), "{:?}", served.groups);

    let both = vec![(None, ec.clone()), (None, rsa.clone())];
    let server = Server::start(h3(both), Proof::Amplify);
    check("RSA and ECDSA", server.address.port(), &[], &[&ec, &rsa]);

    let (p384, ed25519) = (
        modern::certified(&["b.example"], &PKCS_ECDSA_P384_SHA384),
        modern::certified(&["b.example"], &PKCS_ED25519),
    );
    let by_name = vec![
        (Some("a.example"), rsa.clone()),
        (Some("b.example"), p384.clone()),
        (Some("b.example"), ed25519.clone()),
        (None, ec.clone()),
    ];
    let server = Server::start(h3(by_name), Proof::Amplify);
    let names = ["a.example", "b.example"];
    let served = check("by name", server.address.port(), &names, &[&rsa, &p384, &ed25519, &ec]);
    let of_rsa = served.chains.iter().find(|chain| chain.chain[0] == leaf(&rsa)).unwrap();
    assert_eq!(of_rsa.server_name.as_deref(), Some("a.example"));

    let server = Server::start(h3(vec![(None, rsa.clone())]), Proof::Retry);
    check("with a token", server.address.port(), &[], &[&rsa]);

    let mut roots = RootCertStore::empty();
    roots.add(ec.cert[0].clone()).unwrap();
    let mut config =
        modern::config(provider::default_provider(), Some(roots), vec![(None, rsa.clone())]);
    config.alpn_protocols = vec![b"smb".to_vec()];
    let server = Server::start(config, Proof::Amplify);
    let served = check("a client certificate", server.address.port(), &[], &[&rsa]);
    assert_eq!(served.client_certificate.unwrap().len(), 1);
    assert!(served.protocols.iter().eq(["smb"]));

    // No certificate signs another here: nobody looks.
    let many: Vec<String> = (0..160).map(|number| format!("name-{number}.example")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut chain = CertifiedKey::clone(&ec);
    chain.cert.extend((0..10).map(|_| p256(&many).cert[0].clone()));
    let length: usize = chain.cert.iter().map(|certificate| certificate.len()).sum();
    assert!(length > 30_000, "{length}");
    for proof in [Proof::Amplify, Proof::Retry] {
        let server = Server::start(h3(vec![(None, Arc::new(chain.clone()))]), proof);
        let served = check("a long chain", server.address.port(), &[], &[&chain]);
        assert!(served.chains.iter().all(|found| found.chain.len() == 11));
    }
}

#[test]
fn a_server_that_wants_another_group_suite_or_no_protocol_is_asked_again() {
    let ec = p256(&["ec.example"]);
    let one = || vec![(None, ec.clone())];
    let groups = [provider::kx_group::SECP384R1, provider::kx_group::SECP256R1];
    for group in groups {
        let provider = CryptoProvider { kx_groups: vec![group], ..provider::default_provider() };
        let server = Server::start(with(provider, one(), &["h3"]), Proof::Amplify);
        let served = check("one group", server.address.port(), &[], &[&ec]);
        assert!(served.groups.iter().eq([&u16::from(group.name())]));
    }
    // Its share, and so the second hello, is too large for one datagram.
    let provider = CryptoProvider { kx_groups: vec![&Hybrid], ..provider::default_provider() };
    let server = Server::start(with(provider, one(), &["h3"]), Proof::Amplify);
    let served = check("X25519MLKEM768 only", server.address.port(), &[], &[&ec]);
    assert_eq!(served.hybrid, Support::Yes);
    // Every server has the first, for its Initial packets.
    for suite in [
        provider::cipher_suite::TLS13_AES_256_GCM_SHA384,
        provider::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    ] {
        let first = provider::cipher_suite::TLS13_AES_128_GCM_SHA256;
        let provider =
            CryptoProvider { cipher_suites: vec![suite, first], ..provider::default_provider() };
        let mut config = with(provider, one(), &["doq"]);
        config.ignore_client_order = true;
        let server = Server::start(config, Proof::Amplify);
        let served = check("a suite", server.address.port(), &[], &[&ec]);
        assert_eq!(served.accepted[&TLS13], BTreeSet::from([u16::from(suite.suite())]));
    }
    let provider = provider::default_provider();
    let server = Server::start(with(provider.clone(), one(), &[]), Proof::Amplify);
    let served = check("no protocol", server.address.port(), &[], &[&ec]);
    assert!(served.protocols.is_empty());

    // It insists on one that nobody knows.
    let server = Server::start(with(provider, one(), &["hers"]), Proof::Amplify);
    let served = ask(server.address.port(), &[], Extent::Certificates);
    assert!(served.chains.is_empty() && served.speaks_tls && served.connections == 2);
    assert_eq!(
        served.refusal.as_deref(),
        Some("it refused with alert 120 (no_application_protocol)")
    );

    let server = Server::start(h3(one()), Proof::Refuse);
    let served = ask(server.address.port(), &[], Extent::Certificates);
    assert!(served.chains.is_empty() && served.speaks_tls && served.connections == 1);
    assert_eq!(
        served.refusal.as_deref(),
        Some("it refused in QUIC with error 0x2 (CONNECTION_REFUSED)")
    );
}

#[test]
fn what_gets_lost_broken_doubled_or_overtaken_is_made_good() {
    let fates: [(&str, Fate); 6] = [
        ("our first is lost", |way, number, datagram| {
            let is_lost = way == Way::ToServer && number == 0;
            if is_lost { vec![] } else { vec![datagram] }
        }),
        ("our second is lost", |way, number, datagram| {
            let is_lost = way == Way::ToServer && number == 1;
            if is_lost { vec![] } else { vec![datagram] }
        }),
        ("its first is lost", |way, number, datagram| {
            let is_lost = way == Way::ToClient && number == 0;
            if is_lost { vec![] } else { vec![datagram] }
        }),
        (
            "every third is lost",
            |_, number, datagram| {
                if number % 3 == 1 { vec![] } else { vec![datagram] }
            },
        ),
        ("every other one is broken", |way, number, mut datagram| {
            if way == Way::ToClient
                && number % 2 == 0
                && let Some(last) = datagram.last_mut()
            {
                *last ^= 1;
            }
            vec![datagram]
        }),
        ("all come twice, with noise between", |_, number, datagram| {
            vec![datagram.clone(), vec![0xc0; 40 + number % 40], datagram]
        }),
    ];
    let many: Vec<String> = (0..160).map(|number| format!("name-{number}.example")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut chain = CertifiedKey::clone(&p256(&["ec.example"]));
    chain.cert.extend((0..2).map(|_| p256(&many).cert[0].clone()));
    let chain = Arc::new(chain);
    for proof in [Proof::Amplify, Proof::Retry] {
        let server = Server::start(h3(vec![(None, chain.clone())]), proof);
        for (what, fate) in fates {
            let relay = Relay::start(server.address, fate);
            let began = Instant::now();
            let served = told(what, ask(relay.port, &[], Extent::Gentle), &[&chain]);
            println!("    {} ms", began.elapsed().as_millis());
            assert!(served.chains.iter().all(|found| found.chain.len() == 3));
        }
    }
}

#[test]
fn a_sweep_asks_where_the_probe_of_quic_got_a_list_of_versions() {
    // An address that is only this test's, for the port is one of those where QUIC is likely.
    let address = IpAddr::V4(Ipv4Addr::new(127, 0, 90, 0));
    let ec = p256(&["ec.example"]);
    let place = SocketAddr::new(address, 8_443);
    let _server = Server::start_at(place, h3(vec![(None, ec.clone())]), Proof::Amplify);
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
    let endpoint = Endpoint { address, transport: Transport::Udp, port: 8_443 };
    let open = vec![Open::at(endpoint)];
    let talked = runtime.block_on(dialogue.converse(open, &mut |_| {}, &mut |_, _| {}));
    assert_eq!((&talked.tls[..], &talked.quic[..]), (&[endpoint][..], &[endpoint][..]));
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
        quic: talked.quic.into_iter().collect(),
    };
    let endpoints = BTreeMap::from([(endpoint, Vec::new())]);
    let mut told = Vec::new();
    let observe = &mut |observation: Observation| told.push(observation);
    let outcome = runtime.block_on(collecting.collect(endpoints, observe, &mut |_, _| {}));
    assert!(outcome.gaps.is_empty() && outcome.complete, "{outcome:?}");
    assert!(told.iter().all(|o| o.subject == Subject::Endpoint(endpoint)));
    assert!(matches!(&told[0].fact, Fact::Certificates(c) if c.protocol_version == TLS13
        && c.chain == [leaf(&ec)]));
    assert!(told.iter().any(|o| matches!(&o.fact, Fact::Tls(server)
        if server.protocols.iter().eq(["h3"]))));
}
