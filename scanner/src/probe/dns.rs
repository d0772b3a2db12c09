//! DNS: the name that a server keeps for its own version, `version.bind` in class CHAOS.
//!
//! BIND began it and nearly every server answers it, with its product and version, with a
//! word of its owner's, or with a refusal, which is a name server's answer too.

use model::{Cpe, Fact, Service, Transport};
use wire::{
    Malformed, Problem, Reader,
    dns::{self, Answer, CHAOS, Data, Name, TXT},
    lines,
};

use super::{Probe, Reading, Step, Talk, product, product::Product, said::attribute};

/// The probe over UDP.
pub struct DnsUdp;

/// The probe over TCP.
pub struct DnsTcp;

impl Probe for DnsUdp {
    fn protocol(&self) -> &'static str {
        "dns"
    }

    fn transport(&self) -> Transport {
        Transport::Udp
    }

    fn ports(&self) -> &'static [u16] {
        &[53]
    }

    fn recognises(&self, _banner: &[u8]) -> bool {
        false
    }

    fn request(&self, talk: &Talk<'_>) -> Step {
        match talk.said() {
            0 => Step::Say(question(talk.cookie)),
            1 if talk.heard(1).is_empty() && !talk.ended => Step::Listen,
            _ => Step::Finish,
        }
    }

    fn read(&self, talk: &Talk<'_>) -> Reading {
        read(talk.heard(1), talk.cookie)
    }
}

impl Probe for DnsTcp {
    fn protocol(&self) -> &'static str {
        "dns"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn ports(&self) -> &'static [u16] {
        &[53, 853]
    }

    fn recognises(&self, _banner: &[u8]) -> bool {
        false
    }

    fn request(&self, talk: &Talk<'_>) -> Step {
        match talk.said() {
            0 if talk.heard(0).is_empty() => Step::Say(dns::framed(&question(talk.cookie))),
            1 => match message(talk.heard(1)) {
                Err(why) if why.problem == Problem::Truncated && !talk.ended => Step::Listen,
                _ => Step::Finish,
            },
            _ => Step::Finish,
        }
    }

    fn read(&self, talk: &Talk<'_>) -> Reading {
        message(talk.heard(1)).map_or_else(|_| Reading::default(), |m| read(m, talk.cookie))
    }
}

/// The first message of a stream. RFC 1035, section 4.2.2.
pub(crate) fn message(bytes: &[u8]) -> Result<&[u8], Malformed> {
    let mut r = Reader::new(bytes);
    let len = r.u16("length")?;
    r.take("message", len.into())
}

fn id(cookie: u32) -> u16 {
    let [_, _, high, low] = cookie.to_be_bytes();
    u16::from_be_bytes([high, low])
}

fn question(cookie: u32) -> Vec<u8> {
    dns::query(id(cookie), &[("version.bind", TXT, CHAOS)])
}

fn read(message: &[u8], cookie: u32) -> Reading {
    let Ok(answer) = Answer::parse(message) else {
        return Reading::default();
    };
    if answer.id != id(cookie) {
        return Reading::default();
    }
    Reading { facts: describe(&answer, |_| true), evidence: message.to_vec() }
}

/// What an answer to somebody else's question says of the server: its version, if that was the
/// question. Other texts are about others.
pub(crate) fn overheard(answer: &Answer) -> Vec<Fact> {
    describe(answer, |name| {
        let name = name.to_string().to_ascii_lowercase();
        matches!(name.as_str(), "version.bind" | "version.server")
    })
}

fn describe(answer: &Answer, is_version: impl Fn(&Name) -> bool) -> Vec<Fact> {
    let mut service = Service::of("dns");
    let mut facts = Vec::new();
    let text = answer.records.iter().find_map(|record| match &record.data {
        Data::Text(strings) if is_version(&record.name) => Some(lines::text(&strings.concat())),
        _ => None,
    });
    if let Some(text) = text {
        attribute(&mut service, "version_bind", &text);
        product::put(&mut service, identify(&text));
        facts.extend(operating_system(&text));
    }
    facts.insert(0, Fact::Service(service));
    facts
}

/// How a text begins, without regard to case; the product; vendor and product of its CPE name.
type Row = (&'static str, &'static str, Option<(&'static str, &'static str)>);

/// Longer beginnings before shorter ones.
const SERVERS: [Row; 24] = [
    ("powerdns recursor", "PowerDNS Recursor", Some(("powerdns", "recursor"))),
    ("powerdns authoritative server", "PowerDNS Authoritative Server", {
        Some(("powerdns", "authoritative_server"))
    }),
    ("served by powerdns", "PowerDNS Authoritative Server", {
        Some(("powerdns", "authoritative_server"))
    }),
    ("dnsdist", "dnsdist", Some(("powerdns", "dnsdist"))),
    ("dnsmasq-pi-hole-", "dnsmasq", Some(("thekelleys", "dnsmasq"))),
    ("dnsmasq", "dnsmasq", Some(("thekelleys", "dnsmasq"))),
    ("unbound", "Unbound", Some(("nlnetlabs", "unbound"))),
    ("nsd", "NSD", Some(("nlnetlabs", "name_server_daemon"))),
    ("knot resolver", "Knot Resolver", Some(("nic", "knot_resolver"))),
    ("knot dns", "Knot DNS", Some(("nic", "knot_dns"))),
    ("microsoft dns", "Microsoft DNS", None),
    ("djbdns", "djbdns", Some(("d.j.bernstein", "djbdns"))),
    ("tinydns", "djbdns", Some(("d.j.bernstein", "djbdns"))),
    ("rbldnsd", "rbldnsd", None),
    ("gdnsd", "gdnsd", Some(("gdnsd", "gdnsd"))),
    ("yadifa", "YADIFA", None),
    ("coredns", "CoreDNS", Some(("coredns.io", "coredns"))),
    ("technitium", "Technitium DNS Server", None),
    ("nominum vantio", "Vantio", None),
    ("nominum ans", "Nominum ANS", None),
    ("maradns", "MaraDNS", Some(("maradns", "maradns"))),
    ("q9-", "Quad9", None),
    ("array smartdns", "Array SmartDNS", None),
    ("bind", "BIND", Some(("isc", "bind"))),
];

/// The product that a text names.
fn identify(text: &str) -> Option<Product> {
    let product = |name: &str, cpe: Option<(&str, &str)>, version: Option<String>| {
        let cpe = cpe.map(|(maker, name)| Cpe::application(maker, name, version.as_deref()));
        Some(Product { name: name.to_owned(), version, cpe })
    };
    // BIND gives nothing but its version, from 4 to 9 so far.
    if let Some(version) = bind(text) {
        return product("BIND", Some(("isc", "bind")), Some(version));
    }
    let lower = text.to_ascii_lowercase();
    let Some((start, name, cpe)) = SERVERS.iter().find(|(start, ..)| lower.starts_with(start))
    else {
        // BIND in another's clothes: `Meta IP/DNS V4.1 - BIND V8.1.2`.
        if let Some(version) = text.rsplit_once("BIND V").and_then(|(_, rest)| bind(rest)) {
            return product("BIND", Some(("isc", "bind")), Some(version));
        }
        return product::guess(text);
    };
    let rest = text.get(start.len()..)?;
    // `unboundary` is no unbound.
    if start.ends_with(char::is_alphanumeric) && rest.starts_with(char::is_alphanumeric) {
        return None;
    }
    let word = rest.split([' ', '(', ',']).map(|word| word.trim_matches(['-', '/', '.', ':']));
    let version = word.map(str::to_owned).find(|word| word.contains(char::is_numeric));
    let version = version.map(|version| match *name {
        "BIND" => bind(&version).unwrap_or(version),
        // Packagers add their own behind a second hyphen.
        "dnsmasq" => version.strip_prefix('v').unwrap_or(&version).to_owned(),
        "Quad9" => version.trim_start_matches(|c: char| !c.is_ascii_digit()).to_owned(),
        _ => version,
    });
    product(name, *cpe, version)
}

/// BIND's own part of its version: `9.18.24` of `9.18.24-1-Debian`, `9.9.3-P2` of
/// `9.9.3-P2-RedHat-9.9.3-5.P2.fc19`.
fn bind(text: &str) -> Option<String> {
    let text = text.split(' ').next()?;
    let (major, rest) = text.split_once('.')?;
    let is_bind = matches!(major, "4" | "8" | "9") && rest.starts_with(char::is_numeric);
    if !is_bind {
        return None;
    }
    let mut parts = text.split('-');
    let first = parts.next()?;
    let mut version = first.split_once("ubuntu").map_or(first, |(own, _)| own).to_owned();
    for part in parts {
        // Patches, subscriber and other editions, and the rate limiting of old patches.
        let own = ["P", "S", "W", "ESV", "R", "rpz", "rl"].iter().any(|mark| {
            part.strip_prefix(mark).is_some_and(|rest| {
                rest.is_empty() || !rest.starts_with(|c: char| c.is_ascii_alphabetic())
            })
        });
        if !own {
            break;
        }
        version.push('-');
        version.push_str(part);
    }
    Some(version)
}

/// The system that a text names: Windows by its DNS server's own version, a distribution
/// by its package's.
fn operating_system(text: &str) -> Option<Fact> {
    if let Some(rest) = text.strip_prefix("Microsoft DNS ") {
        let version = rest.split(' ').next();
        return Some(product::system("Windows Server", version, None));
    }
    let release = |mark: &str| {
        let (_, rest) = text.rsplit_once(mark)?;
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest.get(..digits).filter(|digits| !digits.is_empty())
    };
    if text.contains("-RedHat-") {
        if let Some(version) = release(".fc") {
            return Some(product::system(
                "Fedora",
                Some(version),
                Some(("fedoraproject", "fedora")),
            ));
        }
        if let Some(version) = release(".amzn") {
            return Some(product::system("Amazon Linux", Some(version), Some(("amazon", "linux"))));
        }
        // CentOS, Rocky and others carry Red Hat's mark as well, so there is no CPE name.
        return Some(product::system("Red Hat Enterprise Linux or a clone", release(".el"), None));
    }
    product::operating_system(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::probe::{corpus, testing};

    const COOKIE: u32 = 0x0a0b_0c0d;

    fn answer(text: &str) -> Vec<u8> {
        let mut bytes = question(COOKIE);
        bytes[2] = 0x84;
        bytes[7] = 1;
        bytes.extend(b"\xc0\x0c\0\x10\0\x03\0\0\0\0\0");
        bytes.push(text.len() as u8 + 1);
        bytes.push(text.len() as u8);
        bytes.extend(text.bytes());
        bytes
    }

    fn facts(message: &[u8]) -> Vec<Fact> {
        let udp = vec![vec![], message.to_vec()];
        let tcp = vec![vec![], dns::framed(message)];
        let facts = DnsUdp.read(&testing::talk(&udp, true)).facts;
        assert_eq!(DnsTcp.read(&testing::talk(&tcp, true)).facts, facts);
        facts
    }

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, Option<&str>)>) {
        let got = identify(text);
        let got = got.as_ref().map(|p| (p.name.as_str(), p.version.as_deref()));
        assert_eq!(got, expected, "{text}");
    }

    #[test]
    fn servers_are_named_in_many_ways() {
        check("9.18.24-1-Debian", Some(("BIND", Some("9.18.24"))));
        check("9.9.3-P2-RedHat-9.9.3-5.P2.fc19", Some(("BIND", Some("9.9.3-P2"))));
        check("9.11.3-1ubuntu1.2-Ubuntu", Some(("BIND", Some("9.11.3"))));
        check("BIND 9.16.1", Some(("BIND", Some("9.16.1"))));
        check("dnsmasq-2.90", Some(("dnsmasq", Some("2.90"))));
        check("dnsmasq-pi-hole-v2.90+1", Some(("dnsmasq", Some("2.90+1"))));
        check("unbound 1.17.1", Some(("Unbound", Some("1.17.1"))));
        check("Knot DNS 3.2.6", Some(("Knot DNS", Some("3.2.6"))));
        check("gdnsd", Some(("gdnsd", None)));
        check("unboundary", None);
        check("go away", None);
        check("", None);
    }

    #[test]
    fn an_answer_becomes_a_service_and_a_system() {
        let facts = facts(&answer("9.18.24-1-Debian"));
        let Fact::Service(service) = &facts[0] else { panic!("{facts:?}") };
        let cpe = "cpe:2.3:a:isc:bind:9.18.24:*:*:*:*:*:*:*";
        assert_eq!(service.cpe.as_ref().map(|cpe| cpe.0.as_str()), Some(cpe));
        assert_eq!(service.attributes["version_bind"], "9.18.24-1-Debian");
        assert!(matches!(&facts[1], Fact::OperatingSystem { name, .. } if name == "Debian"));
    }

    #[test]
    fn a_refusal_is_a_name_servers_answer() {
        let mut refused = question(COOKIE);
        refused[2] = 0x80;
        refused[3] = 5;
        assert_eq!(facts(&refused), [Fact::Service(Service::of("dns"))]);
        refused[1] ^= 1;
        assert_eq!(facts(&refused), []);
        assert_eq!(facts(&question(COOKIE)), []);
    }

    #[test]
    fn every_cut_of_a_stream_waits() {
        let bytes = dns::framed(&answer("x"));
        for len in 0..bytes.len() {
            let heard = vec![vec![], bytes[..len].to_vec()];
            assert_eq!(DnsTcp.request(&testing::talk(&heard, false)), Step::Listen, "cut at {len}");
            assert_eq!(DnsTcp.read(&testing::talk(&heard, true)), Reading::default());
        }
        for len in 0..bytes.len() - 2 {
            let heard = vec![vec![], bytes[2..2 + len].to_vec()];
            let facts = DnsUdp.read(&testing::talk(&heard, true)).facts;
            assert_eq!(facts.is_empty(), len < 12, "cut at {len}");
        }
    }

    #[test]
    fn the_corpus_agrees() {
        corpus::measure("dns_versionbind", 0.9, |example| {
            let product = identify(example.text());
            let version = product.and_then(|product| product.version);
            Some(version.as_deref() == Some(example.wants("service.version")?))
        });
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..100),
            text in "\\PC{0,60}",
        ) {
            facts(&bytes);
            let _ = identify(&text);
            let _ = operating_system(&text);
        }
    }
}
