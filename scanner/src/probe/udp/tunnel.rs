//! Gateways to tunnels: IKE, OpenVPN, DTLS and QUIC. None of the questions goes further than
//! a server's first answer, before it has to keep or to sign anything.

use model::{Fact, Service};
use wire::{dtls, ike, lines, openvpn, quic};

use crate::probe::{
    Talk,
    said::{attribute, hex, name_product},
};

/// Where IKE is told from ESP by four zero bytes (RFC 3948, section 2.2).
const NAT_TRAVERSAL: u16 = 4500;

/// What a name stands for: the beginning of a vendor id, product, and its CPE name's parts.
type Vendor = (&'static [u8], &'static str, Option<(&'static str, &'static str)>);

/// Vendor ids by how they begin. Most are hashes of a text that the maker chose.
const VENDORS: [Vendor; 7] = [
    (b"strongSwan", "strongSwan", Some(("strongswan", "strongswan"))),
    // MD5 of "strongSwan".
    (
        &[
            0x88, 0x2f, 0xe5, 0x6d, 0x6f, 0xd2, 0x0d, 0xbc, 0x22, 0x51, 0x61, 0x3b, 0x2e, 0xbe,
            0x5b, 0xeb,
        ],
        "strongSwan",
        Some(("strongswan", "strongswan")),
    ),
    // "OE-" and a version: Openswan and Libreswan encode theirs so.
    (b"OE-Libreswan", "Libreswan", Some(("libreswan", "libreswan"))),
    (b"CISCO", "Cisco IKE", None),
    (b"FLEXVPN-SUPPORTED", "Cisco IKE", None),
    // MD5 of "MS NT5 ISAKMPOAKLEY", then a version.
    (
        &[
            0x1e, 0x2b, 0x51, 0x69, 0x05, 0x99, 0x1c, 0x7d, 0x7c, 0x96, 0xfc, 0xbf, 0xb5, 0x87,
            0xe4, 0x61,
        ],
        "Windows IKE",
        Some(("microsoft", "windows")),
    ),
    (
        &[0x82, 0x99, 0x03, 0x17, 0x57, 0xa3, 0x60, 0x82, 0xc6, 0xa6, 0x21, 0xde],
        "FortiGate IKE",
        Some(("fortinet", "fortios")),
    ),
];

/// The initiator's SPI must not be zero.
fn spi(cookie: u32) -> [u8; 8] {
    let [a, b, c, d] = cookie.to_be_bytes();
    [a | 1, b, c, d, d, c, b, a]
}

pub(crate) fn ask_ike(talk: &Talk<'_>) -> Vec<u8> {
    let [a, b, c, d] = talk.cookie.to_be_bytes();
    let message = ike::first_message(spi(talk.cookie), [a | 1, b, c, d]);
    match talk.port {
        NAT_TRAVERSAL => [vec![0; 4], message].concat(),
        _ => message,
    }
}

pub(crate) fn read_ike(talk: &Talk<'_>) -> Vec<Fact> {
    let heard = match talk.port {
        NAT_TRAVERSAL => talk.heard(1).strip_prefix(&[0; 4]).unwrap_or_default(),
        _ => talk.heard(1),
    };
    let Some(message) = ike::Message::parse(heard).ok().filter(|m| m.initiator == spi(talk.cookie))
    else {
        return Vec::new();
    };
    let mut service = Service::of("isakmp");
    let version = format!("{}.{}", message.version >> 4, message.version & 0x0f);
    attribute(&mut service, "ike_version", &version);
    let ids = &message.vendor_ids;
    if let Some((_, name, cpe)) =
        VENDORS.iter().find(|(begins, ..)| ids.iter().any(|id| id.starts_with(begins)))
    {
        name_product(&mut service, name, None, *cpe);
    }
    let mut ids: Vec<String> = ids.iter().map(|id| vendor_id(id)).collect();
    ids.sort_unstable();
    ids.dedup();
    attribute(&mut service, "vendor_ids", &ids.join(","));
    vec![Fact::Service(service)]
}

/// As text where it is some, else in hexadecimal.
fn vendor_id(id: &[u8]) -> String {
    match id.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') {
        true => lines::text(id),
        false => hex(id),
    }
}

fn session(cookie: u32) -> [u8; 8] {
    let [a, b, c, d] = cookie.to_be_bytes();
    [a, b, c, d, d, c, b, a]
}

pub(crate) fn ask_openvpn(talk: &Talk<'_>) -> Vec<u8> {
    openvpn::reset(session(talk.cookie))
}

pub(crate) fn read_openvpn(talk: &Talk<'_>) -> Vec<Fact> {
    let answer = openvpn::Answer::parse(talk.heard(1));
    let it_is = answer.is_ok_and(|answer| answer.ours == session(talk.cookie));
    it_is.then(|| Fact::Service(Service::of("openvpn"))).into_iter().collect()
}

/// Its random number is no secret: nothing is ever agreed upon with it.
pub(crate) fn ask_dtls(talk: &Talk<'_>) -> Vec<u8> {
    let mut random = [0; 32];
    for (place, byte) in random.iter_mut().zip(talk.cookie.to_be_bytes().into_iter().cycle()) {
        *place = byte;
    }
    dtls::client_hello(random)
}

/// Nothing of a HelloVerifyRequest is ours; that it has its form is all that can be checked.
pub(crate) fn read_dtls(talk: &Talk<'_>) -> Vec<Fact> {
    let Ok(answer) = dtls::Answer::parse(talk.heard(1)) else {
        return Vec::new();
    };
    let mut service = Service::of("dtls");
    if let dtls::Answer::Hello(version) = answer {
        let name = if version == 0xfefd { "DTLSv1.2" } else { "DTLSv1.0" };
        attribute(&mut service, "dtls_version", name);
    }
    vec![Fact::Service(service)]
}

/// Whether an answer has the form of one of DTLS, to whomever it is.
pub(crate) fn is_dtls(answer: &[u8]) -> bool {
    dtls::Answer::parse(answer).is_ok()
}

/// Whether it has that of a list of versions of QUIC.
pub(crate) fn is_quic(answer: &[u8]) -> bool {
    quic::Negotiation::parse(answer).is_ok()
}

/// Destination and source of our packet, which the answer has the other way round.
fn connection_ids(cookie: u32) -> [[u8; 8]; 2] {
    let [a, b, c, d] = cookie.to_be_bytes();
    [[a, b, c, d, 1, 2, 3, 4], [d, c, b, a, 5, 6, 7, 8]]
}

pub(crate) fn ask_quic(talk: &Talk<'_>) -> Vec<u8> {
    let [destination, source] = connection_ids(talk.cookie);
    quic::first_packet(destination, source)
}

pub(crate) fn read_quic(talk: &Talk<'_>) -> Vec<Fact> {
    let [destination, source] = connection_ids(talk.cookie);
    let answer = quic::Negotiation::parse(talk.heard(1));
    let ours = |n: &quic::Negotiation| n.destination == source && n.source == destination;
    let Some(answer) = answer.ok().filter(ours) else {
        return Vec::new();
    };
    let mut service = Service::of("quic");
    let mut versions = answer.versions;
    // Servers may shuffle them.
    versions.sort_unstable();
    versions.dedup();
    let names: Vec<String> = versions.into_iter().map(quic::version_name).collect();
    attribute(&mut service, VERSIONS_OF_QUIC, &names.join(","));
    vec![Fact::Service(service)]
}

const VERSIONS_OF_QUIC: &str = "quic_versions";

/// Whether a server says that it has a version of QUIC in which we can ask for certificates.
pub(crate) fn has_quic_of_ours(fact: &Fact) -> bool {
    let Fact::Service(service) = fact else { return false };
    let versions = service.attributes.get(VERSIONS_OF_QUIC);
    versions.is_some_and(|names| names.split(',').any(|name| matches!(name, "v1" | "v2")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::udp::tests::{COOKIE, check_cuts, facts, service};

    fn ike(version: u8, first: u8, payloads: &[u8]) -> Vec<u8> {
        let mut bytes = spi(COOKIE).to_vec();
        bytes.extend([7; 8]);
        bytes.extend([first, version, 34, 0x20, 0, 0, 0, 0, 0, 0, 0, 28 + payloads.len() as u8]);
        bytes.extend(payloads);
        bytes
    }

    #[test]
    fn a_gateway_tells_its_version_of_ike() {
        let refusal = ike(0x20, 41, &[0, 0, 0, 8, 0, 0, 0, 14]);
        assert_eq!(service(500, &refusal).attributes["ike_version"], "2.0");
        check_cuts(500, &refusal);
        let behind = [&[0; 4], &refusal[..]].concat();
        assert_eq!(service(4500, &behind).protocol, "isakmp");
        assert_eq!(facts(4500, &refusal), []);
        let old = ike(0x10, 0, &[]);
        assert_eq!(service(500, &old).attributes["ike_version"], "1.0");
        let mut other = refusal;
        other[1] ^= 1;
        assert_eq!(facts(500, &other), []);
    }

    #[test]
    fn a_vendor_id_may_name_the_product() {
        let mut payload = vec![0, 0, 0, 20];
        payload.extend(VENDORS[1].0);
        let found = service(500, &ike(0x20, 43, &payload));
        assert_eq!(found.product.as_deref(), Some("strongSwan"));
        assert_eq!(found.attributes["vendor_ids"], "882fe56d6fd20dbc2251613b2ebe5beb");
        let text = service(500, &ike(0x20, 43, b"\0\0\0\x17CISCO-DELETE-REASON"));
        assert_eq!(text.attributes["vendor_ids"], "CISCO-DELETE-REASON");
    }

    #[test]
    fn an_openvpn_server_repeats_our_session() {
        let mut answer = vec![0x40, 9, 9, 9, 9, 9, 9, 9, 9, 1, 0, 0, 0, 0];
        answer.extend(session(COOKIE));
        answer.extend([0; 4]);
        assert_eq!(service(1194, &answer).protocol, "openvpn");
        check_cuts(1194, &answer);
        answer[14] ^= 1;
        assert_eq!(facts(1194, &answer), []);
    }

    #[test]
    fn a_dtls_server_asks_for_proof() {
        let mut answer = vec![22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 17];
        answer.extend([3, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 5, 0xfe, 0xff, 2, 1, 1]);
        assert_eq!(service(5684, &answer).protocol, "dtls");
        check_cuts(5684, &answer);
    }

    #[test]
    fn a_quic_server_lists_its_versions() {
        let [destination, source] = connection_ids(COOKIE);
        let mut answer = vec![0xc0, 0, 0, 0, 0, 8];
        answer.extend(source);
        answer.push(8);
        answer.extend(destination);
        answer.extend([0x6b, 0x33, 0x43, 0xcf, 0, 0, 0, 1]);
        assert_eq!(service(443, &answer).attributes["quic_versions"], "v1,v2");
        assert!(facts(443, &answer).iter().all(has_quic_of_ours));
        let drafts = [&answer[..answer.len() - 8], &[0xff, 0, 0, 0x1d]].concat();
        assert_eq!(service(443, &drafts).attributes["quic_versions"], "draft-29");
        assert!(!facts(443, &drafts).iter().any(has_quic_of_ours));
        answer[6] ^= 1;
        assert_eq!(facts(443, &answer), []);
    }
}
