//! The first datagram to each UDP port that we know, and what its answer shows.
//!
//! A UDP port that is asked in another language stays silent, so the sweep asks each in its
//! own. All questions are well-formed, read nothing but what anybody may read, and change
//! nothing. Ports with a probe of their own get that probe's first question; for the others
//! there is a [`super::one_question::OneQuestion`] each, which asks and reads just that.

use std::net::{IpAddr, Ipv4Addr};

use model::{Fact, MacAddr, MachineIdKind, NameSource, Service};
use wire::{Reader, lines, nbns, ssdp};

use super::{
    Probe, Reading, Step, Talk,
    dns::DnsUdp,
    ldap, mdns,
    ntp::Ntp,
    product,
    said::{attribute, machine_id, machine_name, name_product},
    snmp,
};

/// The question for that port. `cookie` is repeated by an honest answer where the protocol
/// has room for it.
///
/// Ports that nothing is known of get an empty datagram: a closed one refuses it just as
/// well. So does 67: a DHCP server answers to port 68 only, and what would make it answer
/// could cost it a lease.
#[must_use]
pub fn payload(port: u16, cookie: u32) -> Vec<u8> {
    match port {
        53 => first_question(&DnsUdp, cookie),
        69 => tftp_request(),
        111 => rpc_null(cookie),
        123 => first_question(&Ntp, cookie),
        137 => nbns::node_status(low_half(cookie)),
        161 => first_question(&snmp::WITHOUT_COMMUNITY, cookie),
        389 => ldap::question(),
        500 => ike_request(cookie),
        623 => rmcp_ping(cookie),
        1194 => openvpn_reset(cookie),
        // CLNT_UCAST_EX: the instances of the one asked ([MC-SQLR], section 2.2.2).
        1434 => vec![3],
        // HOST names the group here: the sweep's datagram is the same for every address.
        1900 => ssdp::search("239.255.255.250:1900"),
        2425 => ipmsg_info(cookie),
        3478 => stun_binding(cookie),
        3702 => ws_discovery(cookie),
        // RFC 3948, section 2.2: four zero bytes tell IKE from ESP.
        4500 => [vec![0; 4], ike_request(cookie)].concat(),
        5060 => sip_options(cookie),
        5353 => mdns::first_question(cookie),
        5683 => coap_core(cookie),
        11211 => memcached_version(cookie),
        47808 => bacnet_device(cookie),
        _ => Vec::new(),
    }
}

/// What the answer to [`payload`] shows. Empty where it is not that protocol's answer.
#[must_use]
pub fn read(address: IpAddr, port: u16, cookie: u32, answer: &[u8]) -> Reading {
    let heard = [Vec::new(), answer.to_vec()];
    let talk = Talk { heard: &heard, ended: true, ..silence(address, port, cookie) };
    let plain = |protocol, it_is: bool| {
        if it_is { vec![Fact::Service(Service::of(protocol))] } else { Vec::new() }
    };
    let facts = match port {
        53 => return DnsUdp.read(&talk),
        69 => plain("tftp", matches!(answer, [0, 3 | 5, ..])),
        111 => plain("rpcbind", is_rpc_reply(answer, cookie)),
        123 => return Ntp.read(&talk),
        137 => node_status(answer, cookie),
        161 => return snmp::WITHOUT_COMMUNITY.read(&talk),
        389 => return ldap::read(answer),
        500 => plain("isakmp", is_ike_answer(answer, cookie)),
        623 => ipmi(answer),
        1194 => plain("openvpn", is_openvpn_answer(answer)),
        1434 => sql_instances(answer),
        1900 => return super::ssdp::read(answer),
        2425 => ipmsg(answer),
        3478 => stun(answer, cookie),
        3702 => device(answer),
        4500 => plain("isakmp", {
            let ike = answer.strip_prefix(&[0; 4]);
            ike.is_some_and(|ike| is_ike_answer(ike, cookie))
        }),
        5060 => sip(answer),
        5353 => return mdns::Mdns.read(&talk),
        5683 => plain("coap", is_coap_answer(answer, cookie)),
        11211 => memcached(answer, cookie),
        47808 => plain("bacnet", is_bacnet_answer(answer)),
        _ => Vec::new(),
    };
    let evidence = if facts.is_empty() { Vec::new() } else { answer.to_vec() };
    Reading { facts, evidence }
}

/// The first thing that a probe says.
fn first_question(probe: &dyn Probe, cookie: u32) -> Vec<u8> {
    let heard = [Vec::new()];
    let address = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    match probe.request(&Talk { heard: &heard, ..silence(address, 0, cookie) }) {
        Step::Say(question) => question,
        _ => Vec::new(),
    }
}

fn silence(address: IpAddr, port: u16, cookie: u32) -> Talk<'static> {
    Talk { address, port, tls: false, server_name: None, cookie, heard: &[], ended: false }
}

fn low_half(cookie: u32) -> u16 {
    let [_, _, high, low] = cookie.to_be_bytes();
    u16::from_be_bytes([high, low])
}

/// RFC 1350, section 5: a read request for a file that nobody has.
fn tftp_request() -> Vec<u8> {
    b"\0\x01daicho.invalid\0octet\0".to_vec()
}

/// RFC 5531, section 9: a call of procedure 0 of version 2 of the port mapper, which does
/// nothing, without credentials.
fn rpc_null(cookie: u32) -> Vec<u8> {
    let words = [cookie, 0, 2, 100_000, 2, 0, 0, 0, 0, 0];
    words.into_iter().flat_map(u32::to_be_bytes).collect()
}

fn is_rpc_reply(answer: &[u8], cookie: u32) -> bool {
    let mut r = Reader::new(answer);
    r.u32("xid") == Ok(cookie) && r.u32("msg_type") == Ok(1) && r.u32("reply_stat").is_ok()
}

/// RFC 7296, sections 1.2 and 3: IKE_SA_INIT with one proposal (AES-CBC-256, PRF and
/// integrity SHA-256, 2048-bit MODP) and a public value that no key belongs to: a responder
/// answers it, or says what it wants instead, and forgets.
fn ike_request(cookie: u32) -> Vec<u8> {
    const PROPOSAL: [u8; 48] = [
        0, 0, 0, 48, // last payload in itself; length of the SA payload
        0, 0, 0, 44, 1, 1, 0, 4, // one proposal: IKE, no SPI, four transforms
        3, 0, 0, 12, 1, 0, 0, 12, 0x80, 14, 1, 0, // ENCR_AES_CBC, 256 bits
        3, 0, 0, 8, 2, 0, 0, 5, // PRF_HMAC_SHA2_256
        3, 0, 0, 8, 3, 0, 0, 12, // AUTH_HMAC_SHA2_256_128
        0, 0, 0, 8, 4, 0, 0, 14, // 2048-bit MODP group
    ];
    let [a, b, c, d] = cookie.to_be_bytes();
    let mut sa = PROPOSAL.to_vec();
    sa[0] = 34; // next payload: key exchange
    let mut exchange = vec![40, 0, 1, 8, 0, 14, 0, 0]; // next payload: nonce; group 14
    exchange.extend((0..64).flat_map(|_| [a | 1, b, c, d]));
    let mut nonce = vec![0, 0, 0, 36];
    nonce.extend((0..8).flat_map(|_| [d, c, b, a]));
    let payloads = [sa, exchange, nonce].concat();
    let mut out = ike_spi(cookie).to_vec();
    out.extend([0; 8]);
    out.extend([33, 0x20, 34, 0x08, 0, 0, 0, 0]); // SA next; version 2.0; IKE_SA_INIT; initiator
    out.extend(((28 + payloads.len()) as u32).to_be_bytes());
    out.extend(payloads);
    out
}

fn ike_spi(cookie: u32) -> [u8; 8] {
    // The initiator's SPI must not be zero.
    let [a, b, c, d] = cookie.to_be_bytes();
    [a | 1, b, c, d, d, c, b, a]
}

fn is_ike_answer(answer: &[u8], cookie: u32) -> bool {
    const RESPONSE: u8 = 0x20;
    let mut r = Reader::new(answer);
    let ours = r.array("initiator's SPI") == Ok(ike_spi(cookie))
        && r.take("responder's SPI, next payload", 9).is_ok();
    let (version, flags) = (r.u8("version"), r.take("exchange", 1).and_then(|_| r.u8("flags")));
    let whole = r.take("message id, length", 8).is_ok();
    // A responder that knows only version 1 refuses in its own; there is no such flag there.
    let answers = match version.map(|version| version >> 4) {
        Ok(1) => true,
        Ok(2) => flags.is_ok_and(|flags| flags & RESPONSE != 0),
        _ => false,
    };
    ours && whole && answers
}

/// DMTF DSP0136, section 3.2.4: an ASF presence ping, which management controllers answer
/// whoever asks.
fn rmcp_ping(cookie: u32) -> Vec<u8> {
    vec![6, 0, 0xff, 6, 0, 0, 0x11, 0xbe, 0x80, low_half(cookie) as u8, 0, 0]
}

/// The presence pong says whether the controller speaks IPMI (section 3.2.4.3).
fn ipmi(answer: &[u8]) -> Vec<Fact> {
    let mut r = Reader::new(answer);
    let pong = r.take("RMCP header", 4).is_ok_and(|head| matches!(head, [6, _, _, 6]))
        && r.u32("enterprise") == Ok(4542)
        && r.u8("type") == Ok(0x40);
    if !pong || r.take("tag to OEM-defined", 11).is_err() {
        return Vec::new();
    }
    let entities = r.u8("supported entities").unwrap_or_default();
    let name = if entities & 0x80 != 0 { "ipmi" } else { "asf-rmcp" };
    vec![Fact::Service(Service::of(name))]
}

/// OpenVPN's protocol: P_CONTROL_HARD_RESET_CLIENT_V2, a session id, no acknowledgements,
/// packet 0. A server with a `tls-auth` key does not answer it.
fn openvpn_reset(cookie: u32) -> Vec<u8> {
    let [a, b, c, d] = cookie.to_be_bytes();
    vec![0x38, a, b, c, d, d, c, b, a, 0, 0, 0, 0, 0]
}

fn is_openvpn_answer(answer: &[u8]) -> bool {
    // P_CONTROL_HARD_RESET_SERVER_V2, or an acknowledgement.
    matches!(answer.first(), Some(0x40 | 0x28)) && answer.len() >= 14
}

/// RFC 8489, section 5: a binding request.
fn stun_binding(cookie: u32) -> Vec<u8> {
    let mut out = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    out.extend((0..3).flat_map(|_| cookie.to_be_bytes()));
    out
}

fn stun(answer: &[u8], cookie: u32) -> Vec<Fact> {
    let question = stun_binding(cookie);
    let Some((kind, rest)) = answer.split_at_checked(4) else {
        return Vec::new();
    };
    let ours = rest.get(..16).is_some_and(|id| question.get(4..) == Some(id));
    if !ours || !matches!(kind, [1, 1 | 0x11, ..]) {
        return Vec::new();
    }
    let mut service = Service::of("stun");
    let mut r = Reader::new(rest.get(16..).unwrap_or_default());
    while let (Ok(kind), Ok(len)) = (r.u16("attribute type"), r.u16("attribute length")) {
        let Ok(value) = r.take("attribute value", len.into()) else { break };
        // SOFTWARE, section 14.14.
        if kind == 0x8022 {
            let software = lines::text(value);
            product::put(&mut service, product::find(&software).or(product::guess(&software)));
            attribute(&mut service, "server", &software);
        }
        r.take_up_to(usize::from(len.wrapping_neg() & 3));
    }
    vec![Fact::Service(service)]
}

/// RFC 7252, section 3, and RFC 6690, section 4: GET /.well-known/core, confirmable.
fn coap_core(cookie: u32) -> Vec<u8> {
    let [high, low] = low_half(cookie).to_be_bytes();
    let mut out = vec![0x40, 1, high, low];
    out.extend(b"\xbb.well-known\x04core");
    out
}

fn is_coap_answer(answer: &[u8], cookie: u32) -> bool {
    let mut r = Reader::new(answer);
    // Version 1, acknowledgement or reset, no token.
    r.u8("version, type, token length").is_ok_and(|first| matches!(first, 0x60 | 0x70))
        && r.u8("code").is_ok()
        && r.u16("message id") == Ok(low_half(cookie))
}

/// RFC 3261, section 11: OPTIONS asks what a telephone or proxy can do.
fn sip_options(cookie: u32) -> Vec<u8> {
    format!(
        "OPTIONS sip:daicho.invalid SIP/2.0\r\nVia: SIP/2.0/UDP daicho.invalid;branch=z9hG4bK{cookie:08x};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:daicho.invalid>;tag={cookie:08x}\r\nTo: <sip:daicho.invalid>\r\n\
         Call-ID: {cookie:08x}@daicho.invalid\r\nCSeq: 1 OPTIONS\r\nAccept: application/sdp\r\n\
         Content-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

fn sip(answer: &[u8]) -> Vec<Fact> {
    if !answer.starts_with(b"SIP/2.0 ") {
        return Vec::new();
    }
    let mut service = Service::of("sip");
    for line in lines::lines(answer) {
        let line = lines::text(line);
        let Some((name, value)) = line.split_once(':') else { continue };
        if matches!(name.trim().to_ascii_lowercase().as_str(), "server" | "user-agent") {
            let value = value.trim();
            attribute(&mut service, "server", value);
            product::put(&mut service, product::find(value).or_else(|| product::guess(value)));
        }
    }
    vec![Fact::Service(service)]
}

/// WS-Discovery 1.1, section 5.2: a probe for all devices.
fn ws_discovery(cookie: u32) -> Vec<u8> {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><e:Envelope \
         xmlns:e=\"http://www.w3.org/2003/05/soap-envelope\" \
         xmlns:w=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" \
         xmlns:d=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\"><e:Header>\
         <w:MessageID>urn:uuid:00000000-0000-4000-8000-0000{cookie:08x}</w:MessageID>\
         <w:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</w:To>\
         <w:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</w:Action></e:Header>\
         <e:Body><d:Probe/></e:Body></e:Envelope>"
    )
    .into_bytes()
}

/// A ProbeMatches: the device's number and its types. Read as text: the few words that
/// matter stand in the same form in every implementation, and an XML parser would be one
/// more thing to attack.
fn device(answer: &[u8]) -> Vec<Fact> {
    let text = String::from_utf8_lossy(answer);
    if !text.contains("ProbeMatch") {
        return Vec::new();
    }
    let mut service = Service::of("ws-discovery");
    let kinds = element(&text, "Types").unwrap_or_default();
    // Prefixes are each document's own; the names behind them are the same everywhere.
    let mut kinds: Vec<&str> =
        kinds.split_whitespace().map(|kind| kind.rsplit(':').next().unwrap_or(kind)).collect();
    kinds.sort_unstable();
    attribute(&mut service, "types", &kinds.join(","));
    let mut facts = vec![Fact::Service(service)];
    let number = element(&text, "EndpointReference").and_then(|inner| element(inner, "Address"));
    let uuid = number.and_then(|number| number.trim().rsplit("uuid:").next());
    let uuid = uuid
        .map(str::to_ascii_lowercase)
        .filter(|uuid| uuid.len() == 36 && uuid.chars().all(|c| c.is_ascii_hexdigit() || c == '-'));
    facts.extend(uuid.map(|uuid| machine_id(MachineIdKind::DeviceUuid, uuid)));
    facts
}

/// What stands between `<p:name …>` and its end, whatever the prefix.
fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let start = text.match_indices(name).find_map(|(at, _)| {
        let before = text.get(..at)?.chars().next_back()?;
        let rest = text.get(at.checked_add(name.len())?..)?;
        let opens = matches!(before, '<' | ':') && rest.starts_with(['>', ' ', '\r', '\n', '\t']);
        let closing = text.get(..at)?.rsplit('<').next()?.starts_with('/');
        (opens && !closing).then_some(rest)
    })?;
    let (_, inner) = start.split_once('>')?;
    let end = inner.match_indices(name).find_map(|(at, _)| {
        let open = inner.get(..at)?.rfind('<')?;
        inner.get(open..)?.starts_with("</").then_some(open)
    })?;
    inner.get(..end)
}

/// RFC 1002: names of the machine and its group, and the adapter's address.
fn node_status(answer: &[u8], cookie: u32) -> Vec<Fact> {
    let Ok(status) = nbns::NodeStatus::parse(answer) else {
        return Vec::new();
    };
    if status.id != low_half(cookie) {
        return Vec::new();
    }
    let mut service = Service::of("netbios-ns");
    let named = |suffix, group| {
        let found = status.names.iter().find(|n| n.suffix == suffix && n.group == group);
        found.map(|n| lines::text(&n.name)).unwrap_or_default()
    };
    attribute(&mut service, "netbios_domain", &named(0x00, true));
    if !named(0x1c, true).is_empty() {
        attribute(&mut service, "role", "domain controller");
    }
    // Samba has no adapter to speak of and sends zeros.
    if status.unit != [0; 6] {
        attribute(&mut service, "adapter_mac", &MacAddr(status.unit).to_string());
    }
    let mut facts = vec![Fact::Service(service)];
    facts.extend(machine_name(&named(0x00, false), NameSource::Nbns));
    facts
}

/// [MC-SQLR], section 2.2.5: `ServerName;PC;InstanceName;X;IsClustered;No;Version;15.0.2000.5;tcp;1433;;`.
fn sql_instances(answer: &[u8]) -> Vec<Fact> {
    let mut r = Reader::new(answer);
    if r.u8("SVR_RESP") != Ok(5) || r.u16_le("RESP_SIZE").is_err() {
        return Vec::new();
    }
    let text = lines::text(r.rest());
    let words: Vec<&str> = text.split(';').collect();
    let value = |key: &str| {
        let at = words.iter().position(|word| word.eq_ignore_ascii_case(key))?;
        words.get(at.checked_add(1)?).copied()
    };
    let Some(server) = value("ServerName") else {
        return Vec::new();
    };
    let mut service = Service::of("ms-sql-browser");
    let cpe = Some(("microsoft", "sql_server"));
    name_product(&mut service, "Microsoft SQL Server", value("Version"), cpe);
    let instances: Vec<&str> = words
        .windows(2)
        .filter(|pair| pair.first().is_some_and(|key| key.eq_ignore_ascii_case("InstanceName")))
        .filter_map(|pair| pair.get(1).copied())
        .collect();
    attribute(&mut service, "instances", &instances.join(","));
    attribute(&mut service, "tcp_port", value("tcp").unwrap_or_default());
    let mut facts = vec![Fact::Service(service)];
    facts.extend(machine_name(server, NameSource::Banner));
    facts
}

/// IP Messenger, protocol draft 14: IPMSG_GETINFO asks for the program's version. Unlike an
/// entry packet it does not put us on anybody's list.
fn ipmsg_info(cookie: u32) -> Vec<u8> {
    format!("1:{cookie}:daicho:daicho:64:").into_bytes()
}

/// `1:packet:user:host:65:version`. The user's name is not kept.
fn ipmsg(answer: &[u8]) -> Vec<Fact> {
    const SEND_INFO: u32 = 0x41;
    let text = lines::text(answer);
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let [version, number, _user, host, command, said] = parts.as_slice() else {
        return Vec::new();
    };
    let is_number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    let command = command.parse::<u32>().unwrap_or_default() & 0xff;
    if !version.starts_with('1') || !is_number(number) || command != SEND_INFO {
        return Vec::new();
    }
    let mut service = Service::of("ipmsg");
    let words = said.split(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '/'));
    let version = words
        .map(|word| word.trim_start_matches(|c: char| !c.is_ascii_digit()))
        .find(|word| word.contains('.') && product::is_version(word));
    name_product(&mut service, "IP Messenger", version, Some(("ipmsg", "ip_messenger")));
    attribute(&mut service, "banner", said);
    let mut facts = vec![Fact::Service(service)];
    facts.extend(machine_name(host, NameSource::Banner));
    facts
}

/// memcached's protocol.txt, "UDP protocol": request id, sequence, count, reserved.
fn memcached_version(cookie: u32) -> Vec<u8> {
    let [high, low] = low_half(cookie).to_be_bytes();
    [&[high, low, 0, 0, 0, 1, 0, 0], &b"version\r\n"[..]].concat()
}

fn memcached(answer: &[u8], cookie: u32) -> Vec<Fact> {
    let mut r = Reader::new(answer);
    if r.u16("request id") != Ok(low_half(cookie)) || r.take("frame header", 6).is_err() {
        return Vec::new();
    }
    let text = lines::text(r.rest());
    let Some(version) = text.strip_prefix("VERSION ") else {
        return Vec::new();
    };
    let mut service = Service::of("memcached");
    product::put(&mut service, Some(product::named("memcached", version.split(' ').next())));
    vec![Fact::Service(service)]
}

/// ANSI/ASHRAE 135, annex J and section 15.5: read the object identifier of the device that
/// is asked (instance 4194303 means any).
fn bacnet_device(cookie: u32) -> Vec<u8> {
    let invoke = low_half(cookie) as u8;
    vec![
        0x81, 0x0a, 0, 17, // BVLC: original unicast, length
        1, 4, // NPDU: version 1, a reply is expected
        0, 5, invoke, 12, // confirmed request, up to 1476 bytes, ReadProperty
        0x0c, 2, 0x3f, 0xff, 0xff, // object: device, any instance
        0x19, 75, // property: object-identifier
    ]
}

fn is_bacnet_answer(answer: &[u8]) -> bool {
    let [0x81, 0x0a, _, _, 1, control, apdu, _, _, ..] = answer else {
        return false;
    };
    // With a route in between the type stands further on. Otherwise it is an acknowledgement,
    // error, reject or abort (section 20.1).
    let routed = control & 0x28 != 0;
    routed || matches!(apdu >> 4, 2 | 3 | 5 | 6 | 7)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COOKIE: u32 = 0x0a0b_0c0d;
    const KNOWN: [u16; 21] = [
        53, 69, 111, 123, 137, 161, 389, 500, 623, 1194, 1434, 1900, 2425, 3478, 3702, 4500, 5060,
        5353, 5683, 11211, 47808,
    ];

    fn facts(port: u16, answer: &[u8]) -> Vec<Fact> {
        read("192.0.2.1".parse().unwrap(), port, COOKIE, answer).facts
    }

    #[track_caller]
    fn service(port: u16, answer: &[u8]) -> Service {
        match facts(port, answer).into_iter().next() {
            Some(Fact::Service(service)) => service,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_port_of_the_list_has_a_question_that_fits_a_datagram() {
        for port in KNOWN {
            let question = payload(port, COOKIE);
            assert!((1..=1200).contains(&question.len()), "{port}");
        }
        for known in &crate::ports::UDP {
            assert!(KNOWN.contains(&known.port), "{} has no question", known.port);
        }
        for port in [67, 68, 1, 40_000] {
            assert_eq!(payload(port, COOKIE), Vec::<u8>::new());
        }
    }

    #[test]
    fn nobody_answers_with_our_own_question() {
        for port in KNOWN {
            assert_eq!(facts(port, &payload(port, COOKIE)), [], "{port}");
            assert_eq!(facts(port, b""), [], "{port}");
        }
    }

    #[test]
    fn simple_answers_give_a_protocol() {
        let check = |port, answer: &[u8], protocol: &str| {
            assert_eq!(service(port, answer).protocol, protocol);
        };
        check(69, b"\0\x05\0\x01File not found\0", "tftp");
        let mut rpc = COOKIE.to_be_bytes().to_vec();
        rpc.extend([0, 0, 0, 1, 0, 0, 0, 0]);
        check(111, &rpc, "rpcbind");
        let mut ike = payload(500, COOKIE);
        ike[19] = 0x20; // response
        ike.truncate(28);
        let spi: Vec<u8> = [&ike_spi(COOKIE)[..], &[7; 8], &[41, 0x20, 34, 0x20]].concat();
        ike[..20].copy_from_slice(&spi);
        check(500, &ike, "isakmp");
        check(4500, &[&[0; 4], &ike[..]].concat(), "isakmp");
        check(5683, &[0x60, 0x45, 0x0c, 0x0d, 0xff, b'<'], "coap");
        let mut pong = vec![6, 0, 0xff, 6, 0, 0, 0x11, 0xbe, 0x40, 0x0d, 0, 16];
        pong.extend([0, 0, 0x11, 0xbe, 0, 0, 0, 0, 0x81, 0, 0, 0, 0, 0, 0, 0]);
        check(623, &pong, "ipmi");
        let mut vpn = vec![0x40; 9];
        vpn.extend([1, 0, 0, 0, 0]);
        check(1194, &vpn, "openvpn");
        check(47808, &[0x81, 0x0a, 0, 20, 1, 0, 0x30, 0x0d, 12, 0x0c], "bacnet");
    }

    #[test]
    fn some_answers_give_a_product() {
        let sip = b"SIP/2.0 200 OK\r\nUser-Agent: Example/1.2.3\r\n\r\n";
        assert_eq!(service(5060, sip).version.as_deref(), Some("1.2.3"));
        let frame = b"\x0c\x0d\0\0\0\x01\0\0VERSION 1.6.18\r\n";
        assert_eq!(service(11211, frame).version.as_deref(), Some("1.6.18"));
        let text = b"ServerName;PC-7;InstanceName;MSSQLSERVER;IsClustered;No;\
            Version;15.0.2000.5;tcp;1433;;ServerName;PC-7;InstanceName;TWO;;";
        let mut sql = vec![5, text.len() as u8, 0];
        sql.extend(text);
        let service = service(1434, &sql);
        assert_eq!(service.version.as_deref(), Some("15.0.2000.5"));
        assert_eq!(service.attributes["instances"], "MSSQLSERVER,TWO");
        let name = Fact::HostName { name: "pc-7".into(), source: NameSource::Banner };
        assert_eq!(facts(1434, &sql)[1..], [name]);
    }

    #[test]
    fn a_stun_server_names_its_software() {
        let mut answer = vec![1, 1, 0, 16];
        answer.extend(&payload(3478, COOKIE)[4..]);
        answer.extend(b"\x80\x22\0\x0bExample-4.6\0");
        assert_eq!(service(3478, &answer).attributes["server"], "Example-4.6");
    }

    #[test]
    fn a_users_name_is_not_kept() {
        let answer = b"1:77:secretuser:DESK-7:65:Win Version 5.6.5";
        let found = facts(2425, answer);
        assert!(!format!("{found:?}").contains("secretuser"), "{found:?}");
        let service = service(2425, answer);
        assert_eq!(service.version.as_deref(), Some("5.6.5"));
    }

    #[test]
    fn a_node_status_names_machine_and_group() {
        let mut answer = vec![0x0c, 0x0d, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        answer.extend(b"\x20CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\0\0\x21\0\x01\0\0\0\0\0\x2b\x02");
        answer.extend(b"PC-7           \0\x04\0EXAMPLE        \0\x84\0");
        answer.extend([0, 0, 0x5e, 0, 0x53, 1]);
        let found = facts(137, &answer);
        let name = Fact::HostName { name: "pc-7".into(), source: NameSource::Nbns };
        assert_eq!(found[1..], [name]);
        let service = service(137, &answer);
        assert_eq!(service.attributes["netbios_domain"], "EXAMPLE");
        assert_eq!(service.attributes["adapter_mac"], "00:00:5e:00:53:01");
    }

    #[test]
    fn a_device_tells_its_number_and_types() {
        let answer = b"<s:Envelope><s:Body><d:ProbeMatches><d:ProbeMatch><a:EndpointReference>\
            <a:Address>urn:uuid:4509A320-00A0-008F-00B6-002507510ECA</a:Address>\
            </a:EndpointReference><d:Types>dn:NetworkVideoTransmitter tds:Device</d:Types>\
            </d:ProbeMatch></d:ProbeMatches></s:Body></s:Envelope>";
        let uuid = "4509a320-00a0-008f-00b6-002507510eca".to_owned();
        let found = facts(3702, answer);
        assert_eq!(found[1..], [machine_id(MachineIdKind::DeviceUuid, uuid)]);
        let types = &service(3702, answer).attributes["types"];
        assert_eq!(types, "Device,NetworkVideoTransmitter");
        for len in 0..answer.len() {
            facts(3702, &answer[..len]);
        }
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..120),
            text in "\\PC{0,80}",
            cookie: u32,
        ) {
            for port in KNOWN {
                let address = "2001:db8::1".parse().unwrap();
                let _ = read(address, port, cookie, &bytes);
                let _ = read(address, port, cookie, text.as_bytes());
                let mut damaged = payload(port, cookie);
                damaged.extend(&bytes);
                let _ = read(address, port, cookie, &damaged);
            }
            let _ = element(&text, "Types");
        }
    }
}
