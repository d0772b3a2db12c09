//! L2TP gateways: the first message of a tunnel, and at once the message that ends it.
//!
//! A gateway that agrees keeps the tunnel until it is confirmed: the end spares it that. Of
//! the sweep's single question it gives up by itself, after about half a minute (RFC 2661,
//! section 5.8); it holds no session, no address and no user until then.

use model::{Fact, NameSource, Service, Transport};
use wire::l2tp::{self, Answer};

use super::{
    Probe, Reading, Step, Talk,
    said::{attribute, machine_name},
    udp::low_half,
};

/// The probe.
pub struct L2tp;

impl Probe for L2tp {
    fn protocol(&self) -> &'static str {
        "l2tp"
    }

    fn transport(&self) -> Transport {
        Transport::Udp
    }

    fn ports(&self) -> &'static [u16] {
        &[1701]
    }

    fn recognises(&self, _banner: &[u8]) -> bool {
        false
    }

    fn request(&self, talk: &Talk<'_>) -> Step {
        match talk.said() {
            0 => Step::Say(l2tp::start(tunnel(talk.cookie))),
            1 => match answer(talk) {
                Some(Answer { refused: false, assigned: Some(theirs), .. }) => {
                    Step::Say(l2tp::stop(theirs, tunnel(talk.cookie)))
                }
                None if talk.heard(1).is_empty() && !talk.ended => Step::Listen,
                _ => Step::Finish,
            },
            _ => Step::Finish,
        }
    }

    fn read(&self, talk: &Talk<'_>) -> Reading {
        let Some(found) = answer(talk) else {
            return Reading::default();
        };
        let mut service = Service::of("l2tp");
        attribute(&mut service, "vendor", &found.vendor.unwrap_or_default());
        let revision = found.firmware.map(|revision| format!("{revision:04x}"));
        attribute(&mut service, "firmware", &revision.unwrap_or_default());
        let mut facts = vec![Fact::Service(service)];
        facts.extend(found.host_name.and_then(|name| machine_name(&name, NameSource::Banner)));
        Reading { facts, evidence: talk.heard(1).to_vec() }
    }
}

/// What we call the tunnel. Zero is nobody's.
fn tunnel(cookie: u32) -> u16 {
    low_half(cookie).max(1)
}

fn answer(talk: &Talk<'_>) -> Option<Answer> {
    Answer::parse(talk.heard(1)).ok().filter(|answer| answer.tunnel == tunnel(talk.cookie))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::testing;

    /// SCCRP (2) or StopCCN (4).
    fn gateway(kind: u8) -> Vec<u8> {
        let mut bytes = vec![0xc8, 2, 0, 0, 0x0c, 0x0d, 0, 0, 0, 0, 0, 1];
        bytes.extend([0x80, 8, 0, 0, 0, 0, 0, kind]);
        bytes.extend(b"\x80\x0a\0\0\0\x07VPN7\0\x0b\0\0\0\x08Maker\x80\x08\0\0\0\x09\0\x2a");
        bytes.extend([0x80, 8, 0, 0, 0, 6, 6, 0x90]);
        bytes[3] = bytes.len() as u8;
        bytes
    }

    fn read(answer: &[u8]) -> Vec<Fact> {
        L2tp.read(&testing::talk(&[vec![], answer.to_vec()], true)).facts
    }

    #[test]
    fn a_gateway_names_itself_and_its_maker() {
        let facts = read(&gateway(2));
        let Fact::Service(service) = &facts[0] else { panic!("{facts:?}") };
        assert_eq!(service.attributes["vendor"], "Maker");
        assert_eq!(service.attributes["firmware"], "0690");
        let name = Fact::HostName { name: "vpn7".into(), source: NameSource::Banner };
        assert_eq!(facts[1..], [name]);
        let bytes = gateway(4);
        for len in 0..bytes.len() {
            assert_eq!(read(&bytes[..len]), [], "cut at {len}");
        }
        let mut other = bytes;
        other[5] ^= 1;
        assert_eq!(read(&other), []);
    }

    #[test]
    fn a_tunnel_that_was_agreed_upon_is_ended() {
        let step = |heard: &[Vec<u8>], ended| L2tp.request(&testing::talk(heard, ended));
        assert_eq!(step(&[vec![]], false), Step::Say(l2tp::start(0x0c0d)));
        assert_eq!(step(&[vec![], vec![]], false), Step::Listen);
        assert_eq!(step(&[vec![], vec![]], true), Step::Finish);
        let end = Step::Say(l2tp::stop(42, 0x0c0d));
        assert_eq!(step(&[vec![], gateway(2)], false), end);
        assert_eq!(step(&[vec![], gateway(2), vec![]], false), Step::Finish);
        assert_eq!(step(&[vec![], gateway(4)], false), Step::Finish);
        assert_eq!(tunnel(0x0007_0000), 1);
    }
}
