//! SNMP: the agent's own number, which version 3 tells without credentials, and its
//! description of the system, which it tells to whoever knows the community.
//!
//! The community `public` is a password of a kind, if everybody's: [`WITH_PUBLIC`] and
//! [`WITH_PUBLIC_V1`] ask with it, under names of their own, and are for owners who allow it. What a
//! description means is in `sysdescr`.

use model::{Fact, MacAddr, MachineIdKind, NameSource, Service, Transport};
use wire::{
    lines,
    snmp::{self, EngineId, Message, Response, Value, Version},
};

use super::{
    Probe, Reading, Step, Talk, enterprise,
    said::{attribute, hex, machine_id, machine_name, name_product},
    sysdescr,
};

/// Engine discovery only: nothing is asked that needs a community or a user.
pub const WITHOUT_COMMUNITY: Snmp = Snmp { public: None };

/// sysDescr, sysObjectID and sysName with the community `public`, then engine discovery. A
/// probe of its own name, so that it can be left out and the other still asked.
pub const WITH_PUBLIC: Snmp = Snmp { public: Some(Version::V2c) };

/// The same in version 1, for agents that know no other: old printers and power supplies.
pub const WITH_PUBLIC_V1: Snmp = Snmp { public: Some(Version::V1) };

/// The probe.
pub struct Snmp {
    /// The version in which the community is used, if it is.
    public: Option<Version>,
}

/// system.sysDescr.0 and its neighbours (RFC 3418, section 2), as encoded.
const SYS_DESCR: &[u8] = &[0x2b, 6, 1, 2, 1, 1, 1, 0];
const SYS_OBJECT_ID: &[u8] = &[0x2b, 6, 1, 2, 1, 1, 2, 0];
const SYS_NAME: &[u8] = &[0x2b, 6, 1, 2, 1, 1, 5, 0];

/// The enterprise of Net-SNMP (IANA, Private Enterprise Numbers): its library makes engine
/// ids with it.
const NET_SNMP: u32 = 8072;

impl Probe for Snmp {
    fn protocol(&self) -> &'static str {
        match self.public {
            Some(Version::V2c) => "snmp-public",
            Some(Version::V1) => "snmp-public-v1",
            None => "snmp",
        }
    }

    fn transport(&self) -> Transport {
        Transport::Udp
    }

    fn ports(&self) -> &'static [u16] {
        &[161]
    }

    fn recognises(&self, _banner: &[u8]) -> bool {
        false
    }

    fn request(&self, talk: &Talk<'_>) -> Step {
        let number = number(talk.cookie);
        let answered = !talk.heard(talk.said()).is_empty();
        match (talk.said(), self.public) {
            (0, Some(version)) => {
                let objects = [SYS_DESCR, SYS_OBJECT_ID, SYS_NAME];
                Step::Say(snmp::get(version, number, "public", &objects))
            }
            (0, None) => Step::Say(snmp::discover(number)),
            // An agent is silent to a community that it does not know, and then the other
            // probe has its turn.
            (1, Some(Version::V2c)) if answered => Step::Say(snmp::discover(number)),
            (1 | 2, _) if !answered && !talk.ended => Step::Listen,
            _ => Step::Finish,
        }
    }

    fn read(&self, talk: &Talk<'_>) -> Reading {
        let mut service = Service::of("snmp");
        let mut facts = Vec::new();
        let mut evidence = Vec::new();
        let wanted = i64::from(number(talk.cookie));
        for heard in [talk.heard(1), talk.heard(2)] {
            match Message::parse(heard) {
                // Without an engine id it is our own question, come back.
                Ok(Message::V3 { message_id, engine_id })
                    if message_id == wanted && !engine_id.is_empty() =>
                {
                    attribute(&mut service, "snmp_v3", "yes");
                    facts.extend(engine(&mut service, &engine_id));
                }
                Ok(Message::Community { response, .. }) if response.request_id == wanted => {
                    attribute(&mut service, "community_public", "accepted");
                    facts.extend(describe(&mut service, &response));
                }
                _ => continue,
            }
            evidence = heard.to_vec();
        }
        if evidence.is_empty() {
            return Reading::default();
        }
        facts.insert(0, Fact::Service(service));
        Reading { facts, evidence }
    }
}

/// The message's number: 31 bits (RFC 3412, section 6.2).
fn number(cookie: u32) -> i32 {
    i32::try_from(cookie & 0x7fff_ffff).unwrap_or(i32::MAX)
}

/// The engine's id as a fact, and what it is made of.
pub(crate) fn engine(service: &mut Service, bytes: &[u8]) -> Option<Fact> {
    let parts = EngineId::parse(bytes)?;
    attribute(service, "snmp_enterprise", &parts.enterprise.to_string());
    if let Some(mac) = parts.mac {
        attribute(service, "engine_mac", &MacAddr(mac).to_string());
    }
    match parts.enterprise {
        NET_SNMP => name_product(service, "Net-SNMP", None, Some(("net-snmp", "net-snmp"))),
        maker => attribute(service, "vendor", enterprise::name(maker).unwrap_or_default()),
    }
    Some(machine_id(MachineIdKind::SnmpEngineId, hex(bytes)))
}

/// Fills in the service from the system group; the facts besides it.
pub(crate) fn describe(service: &mut Service, response: &Response) -> Vec<Fact> {
    let mut facts = Vec::new();
    for (object, value) in &response.bindings {
        match (object.as_str(), value) {
            ("1.3.6.1.2.1.1.1.0", Value::Octets(text)) => {
                let text = lines::text(text);
                attribute(service, "sys_descr", &text);
                let described = sysdescr::read(&text);
                let named = described.operating_system().is_some();
                let firmware = if named { &described.firmware } else { &described.version };
                facts.extend(described.operating_system());
                for (name, value) in [
                    ("hardware", &described.hardware),
                    ("firmware", firmware),
                    ("vendor", &described.vendor),
                ] {
                    attribute(service, name, value.as_deref().unwrap_or_default());
                }
                facts.extend(described.name.and_then(|name| machine_name(&name, NameSource::Snmp)));
            }
            ("1.3.6.1.2.1.1.2.0", Value::Oid(oid)) => attribute(service, "sys_object_id", oid),
            ("1.3.6.1.2.1.1.5.0", Value::Octets(text)) => {
                let name = lines::text(text);
                attribute(service, "sys_name", &name);
                let fact = machine_name(&name, NameSource::Snmp);
                facts.extend(fact.filter(|fact| !facts.contains(fact)));
            }
            _ => {}
        }
    }
    facts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wire::ber::{self, tag};

    use super::*;
    use crate::probe::testing;

    const COOKIE: u32 = 0x0a0b_0c0d;

    fn discovered(engine: &[u8]) -> Vec<u8> {
        let empty = || ber::write(tag::OCTETS, &[]);
        let global = [
            ber::write_integer(number(COOKIE)),
            ber::write_integer(65_507),
            ber::write(tag::OCTETS, &[0]),
            ber::write_integer(3),
        ];
        let zero = || ber::write_integer(0);
        let security = [ber::write(tag::OCTETS, engine), zero(), zero(), empty(), empty(), empty()];
        let parts = [
            ber::write_integer(3),
            ber::write_all(tag::SEQUENCE, &global),
            ber::write(tag::OCTETS, &ber::write_all(tag::SEQUENCE, &security)),
            ber::write_all(tag::SEQUENCE, &[empty(), empty(), ber::write(0xa8, &[])]),
        ];
        ber::write_all(tag::SEQUENCE, &parts)
    }

    fn described(values: &[(&[u8], Vec<u8>)]) -> Vec<u8> {
        let bindings: Vec<Vec<u8>> = values
            .iter()
            .map(|(oid, value)| {
                ber::write_all(tag::SEQUENCE, &[ber::write(tag::OID, oid), value.clone()])
            })
            .collect();
        let response = [
            ber::write_integer(number(COOKIE)),
            ber::write_integer(0),
            ber::write_integer(0),
            ber::write_all(tag::SEQUENCE, &bindings),
        ];
        let parts = [
            ber::write_integer(1),
            ber::write(tag::OCTETS, b"public"),
            ber::write_all(0xa2, &response),
        ];
        ber::write_all(tag::SEQUENCE, &parts)
    }

    #[test]
    fn version_1_is_a_question_of_its_own() {
        let heard = vec![vec![]];
        let question = |probe: &Snmp| probe.request(&testing::talk(&heard, false));
        let Step::Say(old) = question(&WITH_PUBLIC_V1) else { panic!() };
        let Step::Say(new) = question(&WITH_PUBLIC) else { panic!() };
        assert_eq!((old[4], new[4]), (0, 1));
        let answered = vec![vec![], vec![1]];
        assert_eq!(WITH_PUBLIC_V1.request(&testing::talk(&answered, false)), Step::Finish);
        assert_eq!(WITH_PUBLIC_V1.protocol(), "snmp-public-v1");
    }

    #[test]
    fn another_makers_engine_names_the_maker() {
        let facts = read(&[discovered(&[0x80, 0, 0, 9, 3, 0, 0, 0x5e, 0, 0x53, 1])]);
        let Fact::Service(service) = &facts[0] else { panic!("{facts:?}") };
        assert_eq!((service.product.as_deref(), &*service.attributes["vendor"]), (None, "Cisco"));
    }

    fn read(answers: &[Vec<u8>]) -> Vec<Fact> {
        let mut heard = vec![vec![]];
        heard.extend_from_slice(answers);
        WITH_PUBLIC.read(&testing::talk(&heard, true)).facts
    }

    #[test]
    fn the_engine_id_needs_no_community() {
        let engine = [0x80, 0, 0x1f, 0x88, 3, 0, 0, 0x5e, 0, 0x53, 1];
        let facts = read(&[discovered(&engine)]);
        let Fact::Service(service) = &facts[0] else { panic!("{facts:?}") };
        assert_eq!(service.product.as_deref(), Some("Net-SNMP"));
        assert_eq!(service.attributes["engine_mac"], "00:00:5e:00:53:01");
        let id = "80001f880300005e005301".to_owned();
        assert_eq!(facts[1..], [machine_id(MachineIdKind::SnmpEngineId, id)]);
    }

    #[test]
    fn public_is_asked_only_where_allowed() {
        let says_public = |probe: &Snmp, heard: &[Vec<u8>], ended| match probe
            .request(&testing::talk(heard, ended))
        {
            Step::Say(bytes) => bytes.windows(6).any(|window| window == b"public"),
            _ => false,
        };
        let conversations = [
            vec![vec![]],
            vec![vec![], vec![]],
            vec![vec![], discovered(&[1; 12])],
            vec![vec![], vec![1], vec![]],
        ];
        for heard in &conversations {
            for ended in [false, true] {
                assert!(!says_public(&WITHOUT_COMMUNITY, heard, ended));
            }
        }
        assert!(says_public(&WITH_PUBLIC, &conversations[0], false));
        let step = |heard: &[Vec<u8>], ended| WITH_PUBLIC.request(&testing::talk(heard, ended));
        assert_eq!(step(&conversations[1], false), Step::Listen);
        assert_eq!(step(&conversations[1], true), Step::Finish);
        let number = number(COOKIE);
        assert_eq!(step(&conversations[2], false), Step::Say(snmp::discover(number)));
        assert_eq!(step(&conversations[3], true), Step::Finish);
    }

    #[test]
    fn a_description_is_read() {
        let text = b"Linux nas-7 6.1.0-18-amd64 #1 SMP Debian 6.1.76-1 x86_64";
        let facts = read(&[
            vec![],
            described(&[
                (SYS_DESCR, ber::write(tag::OCTETS, text)),
                (SYS_OBJECT_ID, ber::write(tag::OID, &[0x2b, 6, 1, 4, 1, 0xbf, 8, 3, 2, 10])),
                (SYS_NAME, ber::write(tag::OCTETS, b"NAS-7")),
            ]),
        ]);
        let Fact::Service(service) = &facts[0] else { panic!("{facts:?}") };
        assert_eq!(service.attributes["sys_object_id"], "1.3.6.1.4.1.8072.3.2.10");
        assert_eq!(service.attributes["community_public"], "accepted");
        let name = Fact::HostName { name: "nas-7".into(), source: NameSource::Snmp };
        assert_eq!(facts.iter().filter(|fact| **fact == name).count(), 1);
        assert!(facts.iter().any(|fact| matches!(fact, Fact::OperatingSystem { .. })));
    }

    #[test]
    fn somebody_elses_answer_and_a_cut_one_say_nothing() {
        let bytes = discovered(&[1; 12]);
        for len in 0..bytes.len() {
            assert_eq!(read(&[bytes[..len].to_vec()]), [], "cut at {len}");
        }
        let heard = vec![vec![], bytes];
        let mut talk = testing::talk(&heard, true);
        talk.cookie ^= 1;
        assert_eq!(WITH_PUBLIC.read(&talk).facts, []);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..100),
            engine in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            read(std::slice::from_ref(&bytes));
            read(&[discovered(&engine)]);
            read(&[vec![], described(&[(SYS_DESCR, ber::write(tag::OCTETS, &bytes))])]);
        }
    }
}
