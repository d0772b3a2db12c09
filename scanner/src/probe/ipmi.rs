//! Management controllers: an ASF presence ping, and, of one that speaks IPMI, the ways in
//! that it offers. Nobody logs in: both questions come before any session.

use model::{Fact, Service, Transport};
use wire::rmcp::{self, Answer, Capabilities};

use super::{Probe, Reading, Step, Talk, enterprise, said::attribute, udp::low_byte};

/// The probe.
pub struct Ipmi;

/// ASF's own enterprise number, which says nothing of the maker.
const ASF: u32 = 4542;

/// Authentication types of version 1.5 (IPMI v2.0, table 22-15).
const TYPES: [(u8, &str); 5] =
    [(0x01, "none"), (0x02, "md2"), (0x04, "md5"), (0x10, "password"), (0x20, "oem")];

impl Probe for Ipmi {
    fn protocol(&self) -> &'static str {
        "ipmi"
    }

    fn transport(&self) -> Transport {
        Transport::Udp
    }

    fn ports(&self) -> &'static [u16] {
        &[623]
    }

    fn recognises(&self, _banner: &[u8]) -> bool {
        false
    }

    fn request(&self, talk: &Talk<'_>) -> Step {
        match talk.said() {
            0 => Step::Say(rmcp::ping(tag(talk.cookie))),
            1 if matches!(pong(talk), Some((_, true))) => {
                Step::Say(rmcp::capabilities(low_byte(talk.cookie)))
            }
            1 | 2 if talk.heard(talk.said()).is_empty() && !talk.ended => Step::Listen,
            _ => Step::Finish,
        }
    }

    fn read(&self, talk: &Talk<'_>) -> Reading {
        let Some((maker, ipmi)) = pong(talk) else {
            return Reading::default();
        };
        let mut service = Service::of(if ipmi { "ipmi" } else { "asf-rmcp" });
        let mut evidence = talk.heard(1).to_vec();
        let mut maker = Some(maker).filter(|maker| *maker != ASF);
        if let Some(found) = capabilities(talk) {
            evidence = talk.heard(2).to_vec();
            describe(&mut service, found);
            maker = Some(found.oem).filter(|oem| *oem != 0).or(maker);
        }
        if let Some(maker) = maker.filter(|maker| *maker != 0) {
            attribute(&mut service, "enterprise", &maker.to_string());
            attribute(&mut service, "vendor", enterprise::name(maker).unwrap_or_default());
        }
        Reading { facts: vec![Fact::Service(service)], evidence }
    }
}

/// A ping's tag: 255 means that no answer is wanted (DSP0136, section 3.2.3.2).
fn tag(cookie: u32) -> u8 {
    low_byte(cookie) & 0x7f
}

/// The maker's number and whether IPMI is spoken, of a pong to our ping.
fn pong(talk: &Talk<'_>) -> Option<(u32, bool)> {
    match Answer::parse(talk.heard(1)) {
        Ok(Answer::Pong { tag: repeated, enterprise, ipmi }) if repeated == tag(talk.cookie) => {
            Some((enterprise, ipmi))
        }
        _ => None,
    }
}

fn capabilities(talk: &Talk<'_>) -> Option<Capabilities> {
    match Answer::parse(talk.heard(2)) {
        Ok(Answer::Capabilities(found))
            if found.sequence == low_byte(talk.cookie) & 0x3f && found.completion == 0 =>
        {
            Some(found)
        }
        _ => None,
    }
}

fn describe(service: &mut Service, found: Capabilities) {
    let versions = [(found.version_1_5, "1.5"), (found.version_2, "2.0")];
    let versions: Vec<&str> =
        versions.into_iter().filter(|(has, _)| *has).map(|(_, name)| name).collect();
    attribute(service, "ipmi_versions", &versions.join(","));
    let types: Vec<&str> =
        TYPES.iter().filter(|(bit, _)| found.types & bit != 0).map(|(_, name)| *name).collect();
    attribute(service, "authentication", &types.join(","));
    for (bit, name) in [(0x01, "anonymous_login"), (0x02, "users_without_name")] {
        if found.status & bit != 0 {
            attribute(service, name, "yes");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::{testing, udp::tests::COOKIE};

    fn pong(entities: u8) -> Vec<u8> {
        let mut bytes = vec![6, 0, 0xff, 6, 0, 0, 0x11, 0xbe, 0x40, 0x0d, 0, 16];
        bytes.extend([0, 0, 0x11, 0xbe, 0, 0, 0, 0, entities, 0, 0, 0, 0, 0, 0, 0]);
        bytes
    }

    fn capable() -> Vec<u8> {
        let mut body = vec![0x20, 0x0d << 2, 0x38, 0, 1, 0x95, 0x05, 2, 0xa2, 2, 0, 0];
        body.push(body.iter().fold(0_u8, |sum, byte| sum.wrapping_sub(*byte)));
        let mut bytes = vec![6, 0, 0xff, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3 + body.len() as u8];
        bytes.extend([0x81, 0x1c, 0x63]);
        bytes.extend(body);
        bytes
    }

    fn read(answers: &[Vec<u8>]) -> Vec<Fact> {
        let heard = [&[Vec::new()], answers].concat();
        Ipmi.read(&testing::talk(&heard, true)).facts
    }

    #[test]
    fn a_controller_says_how_it_lets_people_in() {
        let facts = read(&[pong(0x81), capable()]);
        let Fact::Service(service) = &facts[0] else { panic!("{facts:?}") };
        assert_eq!(service.protocol, "ipmi");
        assert_eq!(service.attributes["ipmi_versions"], "2.0");
        assert_eq!(service.attributes["authentication"], "none,md5,password");
        assert_eq!(service.attributes["anonymous_login"], "yes");
        assert_eq!(service.attributes["vendor"], "Dell");
        let bytes = capable();
        for len in 0..bytes.len() {
            let facts = read(&[pong(0x81), bytes[..len].to_vec()]);
            assert_eq!(facts, [Fact::Service(Service::of("ipmi"))], "cut at {len}");
        }
        assert_eq!(read(&[pong(1)]), [Fact::Service(Service::of("asf-rmcp"))]);
        let mut other = pong(0x81);
        other[9] ^= 1;
        assert_eq!(read(&[other]), []);
    }

    #[test]
    fn the_ways_in_are_asked_only_of_who_speaks_ipmi() {
        let step = |heard: &[Vec<u8>], ended| Ipmi.request(&testing::talk(heard, ended));
        assert_eq!(step(&[vec![]], false), Step::Say(rmcp::ping(0x0d)));
        assert_eq!(step(&[vec![], vec![]], false), Step::Listen);
        let next = Step::Say(rmcp::capabilities(0x0d));
        assert_eq!(step(&[vec![], pong(0x81)], false), next);
        assert_eq!(step(&[vec![], pong(1)], false), Step::Finish);
        assert_eq!(step(&[vec![], pong(0x81), vec![]], true), Step::Finish);
        assert_eq!(tag(u32::MAX), 0x7f);
        assert_eq!(COOKIE & 0xff, 0x0d);
    }
}
