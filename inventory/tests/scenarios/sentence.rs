//! Sentences of a scenario as observations.

use std::net::IpAddr;

use model::{
    CertificateChain, DiscoveryProtocol, Endpoint, Fact, FingerprintKind, HostKey, Identifier,
    Method, NameSource, Neighbor, NetworkRole, Observation, PortState, Service, Site, Subject,
    Timestamp, TlsVersion, Transport, Use, Vantage,
};

use crate::certificate::Certificates;

pub(crate) fn sha256(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A role as in JSON; one that is only a word goes without its quotes.
fn json(text: &str) -> NetworkRole {
    let quoted = || serde_json::from_str(&format!("\"{text}\""));
    serde_json::from_str(text).or_else(|_| quoted()).expect("a role")
}

fn name_source(text: &str) -> NameSource {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).unwrap()
}

pub(crate) fn observation(
    sentence: &str,
    start: Timestamp,
    site: &str,
    made: &Certificates,
) -> Observation {
    let (delay, sentence) = match sentence.strip_prefix('@') {
        Some(rest) => {
            let (seconds, rest) = rest.split_once(' ').expect("a sentence after the delay");
            (seconds.parse().expect("seconds"), rest)
        }
        None => (0, sentence),
    };
    let (sentence, method) = match sentence.split_once(" via ") {
        Some((sentence, method)) => (sentence, Method::from_name(method)),
        None => (sentence, None),
    };
    let words: Vec<&str> = sentence.split_whitespace().collect();
    let (subject, words) = match words[..] {
        ["mac", mac, ref rest @ ..] => (Subject::Mac(mac.parse().unwrap()), rest),
        [subject, ref rest @ ..] => (subject_of(subject), rest),
        [] => panic!("an empty sentence"),
    };
    let (fact, usual) = fact(words, made).unwrap_or_else(|| panic!("not a sentence: {sentence:?}"));
    Observation {
        observed_at: start.plus_seconds(delay),
        vantage: Vantage { site: Site(site.to_owned()), name: "here".to_owned() },
        method: method.unwrap_or(usual),
        subject,
        fact,
        evidence: Vec::new(),
    }
}

fn subject_of(text: &str) -> Subject {
    match text.split_once('/') {
        Some((place, transport)) => {
            let (address, port) = place.rsplit_once(':').expect("a port");
            Subject::Endpoint(Endpoint {
                address: address.trim_matches(['[', ']']).parse().unwrap(),
                transport: transport.parse::<Transport>().unwrap(),
                port: port.parse().unwrap(),
            })
        }
        None => Subject::Address(text.parse::<IpAddr>().unwrap()),
    }
}

fn fact(words: &[&str], made: &Certificates) -> Option<(Fact, Method)> {
    let owned = |text: &&str| (*text).to_owned();
    Some(match words {
        ["alive"] => (Fact::Alive { ttl: None }, Method::Echo),
        ["mac", mac] => (Fact::LinkAddress(mac.parse().ok()?), Method::Arp),
        ["name", source, name] => {
            let source = name_source(source);
            let method = match source {
                NameSource::Dns => Method::Resolver,
                _ => Method::Dialogue,
            };
            (Fact::HostName { name: owned(name), source }, method)
        }
        ["id", kind, value] => {
            let Identifier::MachineId(kind, value) = Identifier::from_parts(kind, value)? else {
                return None;
            };
            (Fact::MachineId { kind, value }, Method::Dialogue)
        }
        ["os", name, version @ ..] => {
            let version = version.first().map(owned);
            (Fact::OperatingSystem { name: owned(name), version, cpe: None }, Method::Dialogue)
        }
        ["anomaly", protocol, problem @ ..] => (
            Fact::Anomaly { protocol: owned(protocol), problem: problem.join(" ") },
            Method::Dialogue,
        ),
        ["service", protocol, rest @ ..] => {
            let service = Service {
                product: rest.first().map(owned),
                version: rest.get(1).map(owned),
                ..Service::of(protocol)
            };
            (Fact::Service(service), Method::Dialogue)
        }
        ["role", role] => (Fact::Role(json(role)), Method::Capture),
        ["uses", "resolver", server] => {
            (Fact::Use(Use::Resolver(server.parse().ok()?)), Method::Capture)
        }
        ["uses", "time_server", server] => {
            (Fact::Use(Use::TimeServer(server.parse().ok()?)), Method::Capture)
        }
        ["uses", "cleartext", protocol, server] => {
            let (protocol, server) = (owned(protocol), server.parse().ok()?);
            (Fact::Use(Use::Cleartext { protocol, server }), Method::Capture)
        }
        ["fingerprint", kind, value @ ..] => {
            let kind = FingerprintKind::from_name(kind)?;
            (Fact::Fingerprint { kind, value: value.join(" ") }, Method::Capture)
        }
        ["neighbor", protocol, name] => {
            let protocol = DiscoveryProtocol::from_name(protocol)?;
            let system_name = Some(owned(name));
            let neighbor = Neighbor { system_name, ..Neighbor::of(protocol) };
            (Fact::Neighbor(neighbor), Method::Capture)
        }
        ["vlan", number] => (Fact::Vlan(number.parse().ok()?), Method::Capture),
        ["key", algorithm, key] => {
            let key = HostKey { algorithm: owned(algorithm), sha256: owned(key) };
            (Fact::HostKey(key), Method::Dialogue)
        }
        ["certificate", name, "key", key, rest @ ..] => {
            served(vec![format!("{name} {key}").into_bytes()], rest)
        }
        ["serves", names, rest @ ..] => {
            served(names.split(',').map(|name| made.der(name)).collect(), rest)
        }
        [state, transport, ports] => {
            let state = PortState::from_name(state)?;
            let transport = transport.parse().ok()?;
            (Fact::Ports { transport, state, ports: ports.parse().ok()? }, Method::TcpSyn)
        }
        [state] => (Fact::PortState(PortState::from_name(state)?), Method::TcpSyn),
        _ => return None,
    })
}

fn served(chain: Vec<Vec<u8>>, rest: &[&str]) -> (Fact, Method) {
    let server_name = rest.strip_prefix(&["for"]).and_then(|rest| rest.first());
    let chain = CertificateChain {
        chain,
        server_name: server_name.map(|name| (*name).to_owned()),
        protocol_version: TlsVersion(0x0304),
        starttls: None,
    };
    (Fact::Certificates(chain), Method::Tls)
}
