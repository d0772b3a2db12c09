//! One odd configuration of OpenSSL after another, and what must be seen of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write},
    net::Ipv4Addr,
    process::Command,
};

use certs::{
    KeyKind,
    hello::{group_name, suite_name},
};
use model::{Fact, TlsServer, TlsVersion};
use scanner::probe::tls::{Extent, Served, Support};
use tempfile::TempDir;

use crate::{
    ask, collect,
    identity::{Identity, identity, openssl, text},
    openssl::{LOW, Server},
};

/// Asks a server; asserts that its certificate came, in these versions.
#[track_caller]
fn check(what: &str, identity: &Identity, arguments: &[&str], versions: &str) -> Served {
    let served = Server::start(identity, arguments).ask(&[]);
    let seen: Vec<String> = served.accepted.keys().map(ToString::to_string).collect();
    println!("{what}: {} in {}", served.chains.len(), seen.join(" "));
    assert_eq!(seen.join(" "), versions, "{what}: {served:?}");
    let leaves: BTreeSet<&[u8]> = served.chains.iter().map(|c| c.chain[0].as_slice()).collect();
    assert_eq!(leaves, BTreeSet::from([identity.der.as_slice()]), "{what}");
    assert!(served.speaks_tls);
    served
}

#[test]
fn every_version_of_tls_gives_its_certificate() {
    let folder = TempDir::new().unwrap();
    let rsa = identity(&folder, "rsa", &["-algorithm", "RSA"], &[]);
    check("TLS 1.0", &rsa, &["-tls1", "-cipher", LOW], "TLSv1.0");
    check("TLS 1.1", &rsa, &["-tls1_1", "-cipher", LOW], "TLSv1.1");
    check("TLS 1.2", &rsa, &["-tls1_2"], "TLSv1.2");
    check("TLS 1.3", &rsa, &["-tls1_3"], "TLSv1.3");
    check("TLS 1.2 and 1.3", &rsa, &[], "TLSv1.2 TLSv1.3");
    check("TLS 1.0 to 1.3", &rsa, &["-cipher", LOW], "TLSv1.0 TLSv1.1 TLSv1.2 TLSv1.3");
}

#[test]
fn every_kind_of_key_exchange_is_no_obstacle() {
    let folder = TempDir::new().unwrap();
    let rsa = identity(&folder, "rsa", &["-algorithm", "RSA"], &[]);
    for suite in [
        "AES128-SHA",
        "AES256-GCM-SHA384",
        "CAMELLIA128-SHA",
        "AES128-CCM",
        "DHE-RSA-AES128-SHA",
        "DHE-RSA-CHACHA20-POLY1305",
        "ECDHE-RSA-AES128-SHA",
        "ECDHE-RSA-CAMELLIA256-SHA384",
        "ARIA128-GCM-SHA256:AES128-SHA256",
    ] {
        check(suite, &rsa, &["-tls1_2", "-cipher", &format!("{suite}:@SECLEVEL=0")], "TLSv1.2");
    }
    for group in ["X25519", "P-256", "P-384", "P-521", "X448", "brainpoolP384r1", "secp256k1"] {
        check(group, &rsa, &["-tls1_2", "-groups", group], "TLSv1.2");
    }
}

#[test]
fn every_kind_of_key_is_no_obstacle() {
    let folder = TempDir::new().unwrap();
    let ec = |curve: &str| {
        let option = format!("ec_paramgen_curve:{curve}");
        identity(&folder, curve, &["-algorithm", "EC", "-pkeyopt", &option], &[])
    };
    let all = &["-cipher", LOW];
    check("P-521", &ec("P-521"), all, "TLSv1.0 TLSv1.1 TLSv1.2 TLSv1.3");
    // Curves that TLS 1.3 has no signature scheme for, or OpenSSL none.
    for curve in ["brainpoolP256r1", "secp256k1", "P-224"] {
        check(
            curve,
            &ec(curve),
            &["-tls1_2", "-cipher", LOW, "-groups", &format!("P-256:{curve}")],
            "TLSv1.2",
        );
    }
    for algorithm in ["ED25519", "ED448"] {
        let odd = identity(&folder, algorithm, &["-algorithm", algorithm], &[]);
        check(algorithm, &odd, all, "TLSv1.2 TLSv1.3");
    }
    let pss = identity(&folder, "pss", &["-algorithm", "RSA-PSS"], &[]);
    check("RSA-PSS", &pss, all, "TLSv1.2 TLSv1.3");

    let bits = |bits: u32| format!("rsa_keygen_bits:{bits}");
    let weak =
        identity(&folder, "weak", &["-algorithm", "RSA", "-pkeyopt", &bits(1024)], &["-sha1"]);
    check("RSA 1024, SHA-1", &weak, &["-tls1_2", "-cipher", LOW], "TLSv1.2");
    let tiny = identity(&folder, "tiny", &["-algorithm", "RSA", "-pkeyopt", &bits(512)], &["-md5"]);
    let served =
        check("RSA 512, MD5", &tiny, &["-tls1_1", "-cipher", "AES128-SHA:@SECLEVEL=0"], "TLSv1.1");
    let certificate = certs::parse(&served.chains[0].chain[0]);
    assert_eq!((certificate.key.kind, certificate.key.bits), (KeyKind::Rsa, Some(512)));
    assert_eq!(certificate.signature.hash, Some(certs::Hash::Md5));

    let parameters = folder.path().join("dsa");
    openssl(&["dsaparam", "-out", text(&parameters), "1024"]);
    let dsa = identity(&folder, "dsa", &["-paramfile", text(&parameters)], &[]);
    let served = check("DSA", &dsa, &["-tls1_2", "-cipher", LOW], "TLSv1.2");
    assert_eq!(certs::parse(&served.chains[0].chain[0]).key.kind, KeyKind::Dsa);
}

#[test]
fn what_tls_13_asks_on_the_way_is_answered() {
    let folder = TempDir::new().unwrap();
    let rsa = identity(&folder, "rsa", &["-algorithm", "RSA"], &[]);
    check("another group", &rsa, &["-tls1_3", "-groups", "P-384"], "TLSv1.3");
    for suite in
        ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]
    {
        check(suite, &rsa, &["-tls1_3", "-ciphersuites", suite], "TLSv1.3");
    }
    // A group that we do not have: TLS 1.2 it is then.
    check("a group that we lack", &rsa, &["-groups", "ffdhe2048"], "TLSv1.2");
    for version in [&["-tls1_2"][..], &["-tls1_3"]] {
        let arguments = [version, &["-Verify", "1"]].concat();
        let served = Server::start(&rsa, &arguments).ask(&[]);
        assert!(served.client_certificate.is_some(), "{version:?}");
        assert_eq!(served.chains[0].chain, std::slice::from_ref(&rsa.der));
    }
}

/// What asking so much brings, in words, of those named.
fn shown(server: &Server, extent: Extent, names: &[&str]) -> Vec<String> {
    let all = told(&ask(server.port, [], extent));
    let known = names.iter().filter_map(|name| Some(format!("{name}={}", all.get(*name)?)));
    known.collect()
}

/// What is known of a server, in words.
fn told(served: &Served) -> BTreeMap<&'static str, String> {
    let TlsServer {
        asked: _,
        cut: _,
        starttls: _,
        accepted,
        refused,
        groups,
        dh_bits,
        protocols,
        client_authorities,
        compression,
        secure_renegotiation,
        extended_master_secret,
        hybrid,
    } = served.server().unwrap();
    let joined = |all: Vec<String>| Some(all.join(" ")).filter(|text| !text.is_empty());
    let suites = accepted.values().flatten().map(|suite| suite_name(*suite).unwrap().to_owned());
    let versions = |all: Vec<&TlsVersion>| all.into_iter().map(ToString::to_string).collect();
    let all = [
        ("suites", joined(suites.collect())),
        ("versions", joined(versions(accepted.keys().collect()))),
        ("refused", joined(versions(refused.iter().collect()))),
        ("groups", joined(groups.iter().map(|g| group_name(*g).unwrap().to_owned()).collect())),
        ("dh_bits", dh_bits.map(|bits| bits.to_string())),
        ("protocols", joined(protocols.into_iter().collect())),
        ("client_authorities", client_authorities.map(|all| Vec::from_iter(all).join("; "))),
        ("compression", compression.map(|method| method.to_string())),
        ("secure_renegotiation", secure_renegotiation.map(|is| is.to_string())),
        ("extended_master_secret", extended_master_secret.map(|is| is.to_string())),
        ("hybrid", hybrid.map(|is| is.to_string())),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

#[test]
fn what_else_the_hello_shows_is_told() {
    let folder = TempDir::new().unwrap();
    let bits = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"];
    let weak = identity(&folder, "weak", &bits, &["-sha1"]);
    let response = folder.path().join("response");
    // It is not looked into, but OpenSSL serves only what reads as one: status 6, unauthorized.
    std::fs::write(&response, [0x30, 3, 0x0a, 1, 6]).unwrap();
    let server = Server::start(
        &weak,
        &[
            &["-tls1_2", "-cipher", "DHE-RSA-AES128-SHA:@SECLEVEL=0", "-alpn", "http/1.1"][..],
            &["-Verify", "1", "-CAfile", text(&weak.certificate)],
            &["-status_file", text(&response)],
        ]
        .concat(),
    );
    let wanted = [
        "suites",
        "dh_bits",
        "protocols",
        "client_authorities",
        "secure_renegotiation",
        "extended_master_secret",
        "compression",
        "hybrid",
    ];
    let expected = [
        "suites=DHE_RSA_WITH_AES_128_CBC_SHA",
        "dh_bits=1024",
        "protocols=http/1.1",
        "client_authorities=CN=weak",
        "secure_renegotiation=true",
        "extended_master_secret=true",
        "compression=0",
    ];
    assert_eq!(shown(&server, Extent::Certificates, &wanted), expected);
    let stapled = server.ask(&[]).stapled;
    assert_eq!(stapled.into_values().collect::<Vec<_>>(), [[0x30, 3, 0x0a, 1, 6]]);
    let arguments = ["-tls1_3", "-groups", "P-384", "-alpn", "h2"];
    let server = Server::start(&weak, &[&arguments[..], &["-cipher", LOW]].concat());
    let expected =
        ["suites=AES_128_GCM_SHA256", "groups=secp384r1", "protocols=h2", "hybrid=false"];
    let wanted = ["suites", "groups", "protocols", "compression", "hybrid"];
    assert_eq!(shown(&server, Extent::Certificates, &wanted), expected);
}

#[test]
fn every_version_that_is_accepted_is_told_when_wanted() {
    let folder = TempDir::new().unwrap();
    let rsa = identity(&folder, "rsa", &["-algorithm", "RSA"], &[]);
    let server = Server::start(&rsa, &["-cipher", LOW]);
    let wanted = ["versions", "refused"];
    let expected = ["versions=TLSv1.0 TLSv1.1 TLSv1.2 TLSv1.3", "refused=SSLv3"];
    assert_eq!(shown(&server, Extent::Thorough, &wanted), expected);
    assert_eq!(shown(&server, Extent::Versions, &wanted), expected);
    let server = Server::start(&rsa, &["-cipher", LOW, "-no_tls1_1", "-no_tls1_3"]);
    let expected = ["versions=TLSv1.0 TLSv1.2", "refused=SSLv3 TLSv1.1"];
    assert_eq!(shown(&server, Extent::Thorough, &wanted), expected);
    assert_eq!(shown(&server, Extent::Versions, &wanted), expected);
    // Nothing of it is asked unless it is wanted, and of what is fragile nearly nothing.
    let ordinary = ask(server.port, [], Extent::Certificates);
    assert!(ordinary.refused.is_empty() && ordinary.connections <= 5, "{ordinary:?}");
    assert_eq!(ask(server.port, [], Extent::Gentle).connections, 2);
    // Who has nothing old refuses it once, and what protects nothing another time.
    let server = Server::start(&rsa, &[]);
    let expected = ["versions=TLSv1.2 TLSv1.3", "refused=SSLv3 TLSv1.0 TLSv1.1"];
    assert_eq!(shown(&server, Extent::Versions, &wanted), expected);
    let [before, now] =
        [Extent::Certificates, Extent::Versions].map(|extent| ask(server.port, [], extent));
    assert_eq!(now.connections, before.connections + 2);
}

#[test]
fn suites_that_protect_nothing_are_found_beside_good_ones() {
    let folder = TempDir::new().unwrap();
    let rsa = identity(&folder, "rsa", &["-algorithm", "RSA"], &[]);
    let suites = "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-NULL-SHA:@SECLEVEL=0";
    let server = Server::start(&rsa, &["-tls1_2", "-cipher", suites]);
    let expected = ["suites=ECDHE_RSA_WITH_NULL_SHA ECDHE_RSA_WITH_AES_128_GCM_SHA256".to_owned()];
    assert_eq!(shown(&server, Extent::Thorough, &["suites"]), expected);
    // One that has everything of it shows one suite of each kind that OpenSSL still has.
    let server = Server::start(&rsa, &["-tls1_2", "-cipher", "ALL:eNULL:@SECLEVEL=0"]);
    let served = ask(server.port, [], Extent::Versions);
    let suites: Vec<&str> =
        served.accepted.values().flatten().filter_map(|suite| suite_name(*suite)).collect();
    assert!(suites.iter().any(|name| name.contains("_WITH_NULL_")), "{suites:?}");
    assert!(suites.iter().any(|name| name.contains("_anon_")), "{suites:?}");
    let server = Server::start(&rsa, &["-tls1_2", "-cipher", "aNULL:@SECLEVEL=0"]);
    let served = ask(server.port, [], Extent::Certificates);
    assert!(served.chains.is_empty() && served.anonymous == Support::Yes);
    assert!(matches!(&served.facts()[..], [Fact::Tls(_)]));
}

/// The numbers of the suites that OpenSSL has by such a description, in one version.
fn openssl_suites(description: &str, version: &str) -> BTreeSet<u16> {
    // `0xC0,0x30 - ECDHE-RSA-AES256-GCM-SHA384 ...`
    let arguments = ["ciphers", "-V", "-s", version, description];
    let list = Command::new("openssl").args(arguments).output().expect("openssl is installed");
    let list = String::from_utf8(list.stdout).unwrap();
    let numbers = list.lines().filter_map(|line| {
        let (high, low) = line.trim().split_once(" - ")?.0.split_once(',')?;
        let byte = |text: &str| u8::from_str_radix(text.trim_start_matches("0x"), 16).ok();
        Some(u16::from_be_bytes([byte(high)?, byte(low)?]))
    });
    numbers.collect()
}

#[test]
fn every_suite_of_openssl_is_found_in_at_most_48_connections() {
    let folder = TempDir::new().unwrap();
    let rsa = identity(&folder, "rsa", &["-algorithm", "RSA"], &[]);
    let [old, new, modern] = [TlsVersion(0x0301), TlsVersion(0x0303), TlsVersion(0x0304)];
    for (description, versions) in [
        ("ECDHE-RSA-AES128-GCM-SHA256:AES256-SHA:DHE-RSA-AES128-SHA", &["-tls1_2"][..]),
        ("HIGH+kECDHE:!ARIA:!CAMELLIA:!PSK:!SRP:!aNULL", &["-tls1_2"]),
        ("AES128-SHA:AES256-SHA:CAMELLIA128-SHA:SEED-SHA:@SECLEVEL=0", &["-tls1"]),
        ("NULL-SHA256:NULL-SHA:AECDH-NULL-SHA:AES128-SHA256:@SECLEVEL=0", &["-tls1_2"]),
        ("AES256-SHA256:CAMELLIA256-SHA:DHE-RSA-CHACHA20-POLY1305", &[]),
        ("AES256-SHA256", &["-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"]),
    ] {
        for preference in [&[][..], &["-serverpref"]] {
            let arguments = [&["-cipher", description], versions, preference].concat();
            let server = Server::start(&rsa, &arguments);
            let served = ask(server.port, [], Extent::Thorough);
            let shown = served.server().unwrap();
            println!("{description}: {} connections", served.connections);
            assert!(served.connections <= 48 && !shown.cut, "{description}: {served:?}");
            let version = if versions == ["-tls1"] { old } else { new };
            let flag = if version == old { "-tls1" } else { "-tls1_2" };
            // With an RSA key nobody gets the others.
            let mut expected = openssl_suites(description, flag);
            expected.retain(|suite| !suite_name(*suite).unwrap().contains("ECDSA"));
            assert!(!expected.is_empty(), "{description}");
            assert_eq!(shown.accepted[&version], expected, "{description}");
            let expected = match versions {
                [] => BTreeSet::from([0x1301, 0x1302, 0x1303]),
                ["-ciphersuites", ..] => BTreeSet::from([0x1303]),
                _ => continue,
            };
            assert_eq!(shown.accepted[&modern], expected, "{description}");
        }
    }
    // More suites than connections: it says so, and has what is weak.
    let server = Server::start(&rsa, &["-cipher", "ALL:eNULL:@SECLEVEL=0"]);
    let served = ask(server.port, [], Extent::Thorough);
    let shown = served.server().unwrap();
    assert!(served.connections == 48 && shown.cut, "{served:?}");
    let names: Vec<&str> =
        shown.accepted.values().flatten().filter_map(|s| suite_name(*s)).collect();
    for weak in ["_NULL_", "_anon_"] {
        assert!(names.iter().any(|name| name.contains(weak)), "{weak}: {names:?}");
    }
}

#[test]
fn the_certificate_of_each_name_is_found() {
    let folder = TempDir::new().unwrap();
    let rsa = &["-algorithm", "RSA"];
    let (first, second) =
        (identity(&folder, "first", rsa, &[]), identity(&folder, "second", rsa, &[]));
    let arguments = ["-cert2", text(&second.certificate), "-key2", text(&second.key)];
    let arguments = [&arguments[..], &["-servername", "second.example"]].concat();
    let server = Server::start(&first, &arguments);
    // The name that it does not know earns a warning alert, which must not end anything.
    let served = server.ask(&["second.example", "third.example"]);
    let found: BTreeSet<(Option<&str>, &[u8])> =
        served.chains.iter().map(|c| (c.server_name.as_deref(), c.chain[0].as_slice())).collect();
    let expected = BTreeSet::from([
        (None, first.der.as_slice()),
        (Some("second.example"), second.der.as_slice()),
        (Some("third.example"), first.der.as_slice()),
    ]);
    assert!(found.is_superset(&expected), "{found:?}");
}

#[test]
fn a_chain_comes_whole_and_in_its_order() {
    let folder = TempDir::new().unwrap();
    let rsa = &["-algorithm", "RSA"];
    let (leaf, other) = (identity(&folder, "leaf", rsa, &[]), identity(&folder, "other", rsa, &[]));
    let served =
        Server::start(&leaf, &["-cert_chain", text(&other.certificate), "-build_chain"]).ask(&[]);
    assert!(!served.chains.is_empty(), "{served:?}");
    let served = Server::start(&leaf, &["-cert_chain", text(&other.certificate)]).ask(&[]);
    assert_eq!(served.chains[0].chain, [leaf.der, other.der]);
}

#[test]
fn a_port_that_is_closed_or_speaks_otherwise_costs_one_connection() {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"220 mail.example ESMTP\r\n").unwrap();
        // Until the other side closes.
        let _ = stream.read_to_end(&mut Vec::new());
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "one connection was enough");
    });
    let served = collect(port, []);
    assert!(!served.speaks_tls && served.facts().is_empty());
    assert_eq!(served.refusal.as_deref(), Some("it does not speak TLS"));
    server.join().unwrap();
    let served = collect(port, []);
    assert_eq!(served.refusal.as_deref(), Some("it took no connection"));
}
