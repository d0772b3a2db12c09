//! Telephones and exchanges.

use super::*;
use model::{Endpoint, FingerprintKind};

const PHONE: Ipv4Addr = HERE;
const EXCHANGE: Ipv4Addr = THERE;

fn sip(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), text: &str) -> Vec<u8> {
    let ends = ip::Ends::V4(from.0, to.0);
    let inside = udp::datagram(ends, from.1, to.1, text.as_bytes());
    ethernet::frame(OTHER, DEVICE, ethernet::IPV4, &ip::packet(ends, ip::UDP, 64, &inside))
}

fn register(via: &str) -> String {
    format!(
        "REGISTER sip:pbx.example SIP/2.0\r\n{via}From: \"Alice\" <sip:4711@pbx.example>\r\n\
         To: <sip:4711@pbx.example>\r\nContact: <sip:4711@192.0.2.7>\r\nCSeq: 1 REGISTER\r\n\
         Authorization: Digest username=\"4711\", response=\"0badc0de\"\r\n\
         User-Agent: Yealink SIP-T46S 66.84.0.15 805ec0123456\r\n\r\n"
    )
}

/// A service: its endpoint, its product and version.
type Named = (String, Option<String>, Option<String>);

/// The services by their endpoints, and the families of clients.
fn told(frames: &[Vec<u8>]) -> (Vec<Named>, Vec<String>) {
    let all = heard(frames);
    let text = format!("{all:?}");
    for secret in ["4711", "Alice", "alice", "0badc0de", "805ec0123456"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let mut services = Vec::new();
    let mut families = Vec::new();
    for observation in all {
        match observation.fact {
            Fact::Service(service) => {
                assert_eq!(service.protocol, "sip");
                let subject = observation.subject.to_string();
                services.push((subject, service.product, service.version));
            }
            Fact::Fingerprint { kind: FingerprintKind::UserAgent, value } => families.push(value),
            _ => {}
        }
    }
    (services, families)
}

#[test]
fn a_telephone_and_its_exchange_name_their_programs() {
    let via = "Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK1\r\n";
    let answer = format!(
        "SIP/2.0 401 Unauthorized\r\n{via}From: <sip:4711@x>\r\nCSeq: 1 REGISTER\r\n\
         Server: Asterisk PBX 18.10.0\r\nWWW-Authenticate: Digest nonce=\"0badc0de\"\r\n\r\n"
    );
    let frames = [
        sip((PHONE, 5060), (EXCHANGE, 5060), &register(via)),
        sip((EXCHANGE, 5060), (PHONE, 5060), &answer),
    ];
    let (services, families) = told(&frames);
    let place = |address: Ipv4Addr| Endpoint::udp(address.into(), 5060).to_string();
    assert_eq!(services.len(), 2, "{services:?}");
    assert_eq!(services[0].0, place(PHONE));
    assert_eq!(services[1].0, place(EXCHANGE));
    assert_eq!(services[1].1.as_deref(), Some("Asterisk"));
    assert_eq!(services[1].2.as_deref(), Some("18.10.0"));
    assert_eq!(families.len(), 1);
}

#[test]
fn what_a_proxy_passes_on_is_not_its_own_word() {
    let vias = "Via: SIP/2.0/UDP 192.0.2.9:5060\r\nVia: SIP/2.0/UDP 192.0.2.7:5060\r\n";
    let passed = sip((EXCHANGE, 5060), (PHONE, 5060), &register(vias));
    assert_eq!(told(&[passed]), (vec![], vec![]));
    let answer = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.7\r\nCSeq: 1 INVITE\r\n\
        User-Agent: Phone/7.1\r\n\r\n";
    let (services, families) = told(&[sip((EXCHANGE, 5060), (PHONE, 5060), answer)]);
    assert_eq!((services.len(), families.len()), (1, 0));
    assert_eq!(services[0].1, None);
    // What keeps a way through NAT open is nobody's word.
    assert_eq!(told(&[sip((PHONE, 5060), (EXCHANGE, 5060), "\r\n\r\n")]), (vec![], vec![]));
}
