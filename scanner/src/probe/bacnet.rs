//! Building controllers: which device it is, which every one tells, and then its maker, model,
//! firmware and name. Two datagrams; nothing is written.
//!
//! The sweep asks them only in the profile for control systems.

use model::{Fact, NameSource, Service, Transport};
use wire::bacnet::{self, Answer};

use super::{
    Probe, Reading, Step, Talk,
    said::{attribute, machine_name},
    udp::low_byte,
};

/// The probe.
pub struct Bacnet;

impl Probe for Bacnet {
    fn protocol(&self) -> &'static str {
        "bacnet"
    }

    fn transport(&self) -> Transport {
        Transport::Udp
    }

    fn ports(&self) -> &'static [u16] {
        &[47_808]
    }

    fn recognises(&self, _banner: &[u8]) -> bool {
        false
    }

    fn request(&self, talk: &Talk<'_>) -> Step {
        match talk.said() {
            0 => Step::Say(bacnet::read_identifier(low_byte(talk.cookie))),
            1 if answer(talk, 1).is_some() => {
                Step::Say(bacnet::read_names(low_byte(talk.cookie).wrapping_add(1)))
            }
            1 | 2 if talk.heard(talk.said()).is_empty() && !talk.ended => Step::Listen,
            _ => Step::Finish,
        }
    }

    fn read(&self, talk: &Talk<'_>) -> Reading {
        let Some(first) = answer(talk, 1) else {
            return Reading::default();
        };
        let mut service = Service::of("bacnet");
        let mut evidence = talk.heard(1).to_vec();
        let instance = first.instance.map(|instance| instance.to_string());
        attribute(&mut service, "device_instance", &instance.unwrap_or_default());
        let mut name = None;
        if let Some(second) = answer(talk, 2) {
            evidence = talk.heard(2).to_vec();
            name = describe(&mut service, &second);
        }
        let facts = std::iter::once(Fact::Service(service)).chain(name).collect();
        Reading { facts, evidence }
    }
}

/// Fills in the service from the device's names; the fact besides it.
pub(crate) fn describe(service: &mut Service, answer: &Answer) -> Option<Fact> {
    let mut name = None;
    for (property, text) in &answer.texts {
        match *property {
            bacnet::VENDOR_NAME => attribute(service, "vendor", text),
            bacnet::MODEL_NAME => attribute(service, "model", text),
            bacnet::FIRMWARE_REVISION => attribute(service, "firmware", text),
            bacnet::OBJECT_NAME => {
                attribute(service, "device_name", text);
                name = machine_name(text, NameSource::Banner);
            }
            _ => {}
        }
    }
    name
}

/// The answer to our n-th question.
fn answer(talk: &Talk<'_>, n: u8) -> Option<Answer> {
    let answer = Answer::parse(talk.heard(n.into())).ok()?;
    let invoke = low_byte(talk.cookie).wrapping_add(n).wrapping_sub(1);
    (answer.invoke == invoke).then_some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::testing;

    fn answer(apdu: &[u8]) -> Vec<u8> {
        [&[0x81, 0x0a, 0, 6 + apdu.len() as u8, 1, 0], apdu].concat()
    }

    fn first() -> Vec<u8> {
        answer(b"\x30\x0d\x0c\x0c\x02\0\0\x09\x19\x4b\x3e\xc4\x02\0\0\x09\x3f")
    }

    fn second() -> Vec<u8> {
        answer(
            b"\x30\x0e\x0e\x0c\x02\0\0\x09\x1e\x29\x79\x4e\x75\x06\0Maker\x4f\
              \x29\x46\x4e\x73\0M7\x4f\x29\x2c\x4e\x74\x002.1\x4f\x29\x4d\x4e\x75\x06\0AHU-7\x4f\x1f",
        )
    }

    fn read(answers: &[Vec<u8>]) -> Vec<Fact> {
        let heard = [&[Vec::new()], answers].concat();
        Bacnet.read(&testing::talk(&heard, true)).facts
    }

    #[test]
    fn a_device_tells_number_maker_model_and_name() {
        let facts = read(&[first(), second()]);
        let Fact::Service(service) = &facts[0] else { panic!("{facts:?}") };
        let told = ["device_instance", "vendor", "model", "firmware"]
            .map(|name| service.attributes[name].as_str());
        assert_eq!(told, ["9", "Maker", "M7", "2.1"]);
        let name = Fact::HostName { name: "ahu-7".into(), source: NameSource::Banner };
        assert_eq!(facts[1..], [name]);
        let bytes = first();
        for len in 0..bytes.len() {
            assert_eq!(read(&[bytes[..len].to_vec()]), [], "cut at {len}");
        }
        assert_eq!(read(&[answer(&[0x60, 0x0d, 9])]), [Fact::Service(Service::of("bacnet"))]);
        assert_eq!(read(&[answer(&[0x60, 0x0e, 9])]), []);
    }

    #[test]
    fn names_are_asked_of_who_answered() {
        let step = |heard: &[Vec<u8>], ended| Bacnet.request(&testing::talk(heard, ended));
        assert_eq!(step(&[vec![]], false), Step::Say(bacnet::read_identifier(0x0d)));
        assert_eq!(step(&[vec![], vec![]], false), Step::Listen);
        let next = Step::Say(bacnet::read_names(0x0e));
        assert_eq!(step(&[vec![], first()], false), next);
        assert_eq!(step(&[vec![], first(), second()], false), Step::Finish);
        assert_eq!(step(&[vec![], vec![9]], true), Step::Finish);
    }
}
