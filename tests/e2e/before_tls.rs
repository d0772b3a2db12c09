//! Certificates behind some words in the clear, and by QUIC: the product against real servers of
//! every protocol for which Debian has one. For the others, servers of our own stand in
//! `scanner/tests/odd_servers`.

use std::{collections::BTreeSet, fmt::Write as _, path::Path, process::Command};

use lab::{Lab, Service, Transport};
use serde_json::Value;

use crate::home::{Home, Run};

/// The SHA-256 of the first certificate in a file, as another program tells it.
pub(crate) fn fingerprint(file: &Path) -> String {
    let arguments = ["x509", "-noout", "-fingerprint", "-sha256", "-in"];
    let output = Command::new("openssl").args(arguments).arg(file).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (_, digits) = text.trim().split_once('=').expect("openssl tells a fingerprint");
    digits.replace(':', "").to_lowercase()
}

/// Whether a certificate is known to be served there, after that dialogue or without one.
pub(crate) fn is_served(
    certificates: &Value,
    sha256: &str,
    address: &str,
    service: &Service,
) -> bool {
    let certificates = certificates.as_array().expect("a list of certificates");
    let found = certificates.iter().find(|certificate| certificate["sha256"] == sha256);
    let places = found.and_then(|certificate| certificate["endpoints"].as_array());
    places.into_iter().flatten().any(|place| {
        place["address"] == address
            && place["port"] == service.port
            && place["transport"] == service.transport.as_str()
            && match (service.tls, service.transport) {
                (false, _) => place["starttls"] == service.protocol,
                (true, Transport::Tcp) => place["protocol"] == "tls" && place["starttls"].is_null(),
                (true, Transport::Udp) => place["protocol"] == service.protocol,
            }
    })
}

#[test]
fn the_certificate_of_every_server_is_collected_in_its_own_way() {
    let lab = Lab::before_tls().unwrap();
    let home = Home::new();
    // A server of XMPP answers to its domain alone, which its own name tells.
    let chat = lab.asset("prosody").expect("the lab has it").address();
    let hosts = format!("{chat} prosody.lab.example\n");
    let mut ports = BTreeSet::new();
    let mut targets = vec!["prosody.lab.example"];
    for asset in lab.assets() {
        ports.extend(asset.services().iter().map(|service| match service.transport {
            Transport::Tcp => service.port.to_string(),
            Transport::Udp => format!("u:{}", service.port),
        }));
        targets.extend((asset.address() != chat).then_some(asset.address()));
    }
    let ports = Vec::from_iter(ports).join(",");
    let line = [&["sweep"], &targets[..], &["--ports", &ports, "--format", "json"]].concat();
    let result = Run::of(home.command_knowing(&lab, &hosts, &line).output().unwrap()).json();

    let certificates = home.json(&["certs", "list"]);
    let mut missing = String::new();
    let mut protocols = BTreeSet::new();
    for asset in lab.assets() {
        let sha256 = fingerprint(&lab.folder().join(asset.name()).join("cert.pem"));
        for service in asset.services() {
            protocols.insert(service.protocol);
            if !is_served(&certificates, &sha256, asset.address(), service) {
                let Service { port, protocol, .. } = service;
                writeln!(missing, "{}: {port}, {protocol}", asset.name()).unwrap();
            }
        }
    }
    assert!(missing.is_empty(), "not collected:\n{missing}{certificates:#}\n{result:#}");
    assert_eq!(protocols.len(), 16, "{protocols:?}");
    let gaps = result["scan"]["gaps"].as_array().expect("a list of gaps");
    let about = |gap: &&Value| gap["reason"].as_str().is_some_and(|r| r.contains("certificate"));
    assert_eq!(gaps.iter().find(about), None);
}
