//! MQTT: a session without a name, one question for the broker's version, and a goodbye.
//!
//! Mosquitto and some others publish their version under `$SYS`. A ping behind the
//! subscription marks its end, so that a broker without that topic costs no waiting.

use model::{Fact, Service, Transport};
use wire::{
    Problem, lines,
    mqtt::{self, Packet},
};

use super::{
    Probe, Reading, Step, Talk,
    said::{attribute, name_product},
};

const VERSION_TOPIC: &str = "$SYS/broker/version";

/// The probe.
pub struct Mqtt;

impl Probe for Mqtt {
    fn protocol(&self) -> &'static str {
        "mqtt"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn ports(&self) -> &'static [u16] {
        &[1883, 8883]
    }

    fn recognises(&self, _banner: &[u8]) -> bool {
        false
    }

    fn request(&self, talk: &Talk<'_>) -> Step {
        match talk.said() {
            0 if talk.heard(0).is_empty() => Step::Say(mqtt::connect()),
            1 => {
                let (packets, problem) = Packet::read_all(talk.heard(1));
                match packets.first() {
                    Some(Packet::ConnectAck { return_code: 0 }) => {
                        Step::Say([mqtt::subscribe(VERSION_TOPIC), mqtt::ping()].concat())
                    }
                    Some(_) => Step::Finish,
                    None if is_broken(problem) || talk.ended => Step::Finish,
                    None => Step::Listen,
                }
            }
            2 => {
                let (packets, problem) = Packet::read_all(talk.heard(2));
                let answered =
                    packets.contains(&Packet::PingResponse) || version(&packets).is_some();
                if answered || is_broken(problem) || talk.ended {
                    Step::Say(mqtt::disconnect())
                } else {
                    Step::Listen
                }
            }
            _ => Step::Finish,
        }
    }

    fn read(&self, talk: &Talk<'_>) -> Reading {
        let (packets, _) = Packet::read_all(talk.heard(1));
        let Some(Packet::ConnectAck { return_code }) = packets.first() else {
            return Reading::default();
        };
        let mut service = Service::of("mqtt");
        attribute(&mut service, "anonymous", &policy(*return_code));
        let mut evidence = talk.heard(1).to_vec();
        let (packets, _) = Packet::read_all(talk.heard(2));
        if let Some(text) = version(&packets) {
            evidence.extend(talk.heard(2));
            attribute(&mut service, "broker_version", &text);
            if let Some(version) = text.strip_prefix("mosquitto version ") {
                let version = version.split_whitespace().next();
                name_product(&mut service, "Mosquitto", version, Some(("eclipse", "mosquitto")));
            } else if let Some(version) = text.strip_prefix("HBMQTT version ") {
                name_product(&mut service, "HBMQTT", version.split_whitespace().next(), None);
            }
        }
        Reading { facts: vec![Fact::Service(service)], evidence }
    }
}

fn is_broken(problem: Option<wire::Malformed>) -> bool {
    problem.is_some_and(|why| why.problem != Problem::Truncated)
}

/// What the broker published about its version.
fn version(packets: &[Packet]) -> Option<String> {
    packets.iter().find_map(|packet| match packet {
        Packet::Publish { topic, payload } if topic == VERSION_TOPIC.as_bytes() => {
            Some(lines::text(payload))
        }
        _ => None,
    })
}

/// Whether the broker lets in a client without a name (MQTT 3.1.1, table 3.1).
fn policy(return_code: u8) -> String {
    match return_code {
        0 => "accepted".to_owned(),
        1 | 0x84 => "refused: protocol version".to_owned(),
        2 | 0x85 => "refused: client identifier".to_owned(),
        3 | 0x88 => "refused: unavailable".to_owned(),
        4 | 0x86 => "refused: user name or password".to_owned(),
        5 | 0x87 => "refused: not authorized".to_owned(),
        other => format!("refused: code {other}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::probe::testing;

    fn published() -> Vec<u8> {
        let text = b"mosquitto version 2.0.11";
        let mut bytes = vec![0x90, 3, 0, 1, 0, 0x31, 2 + 19 + text.len() as u8, 0, 19];
        bytes.extend(VERSION_TOPIC.as_bytes());
        bytes.extend(text);
        bytes.extend([0xd0, 0]);
        bytes
    }

    fn step(heard: &[Vec<u8>], ended: bool) -> Step {
        Mqtt.request(&testing::talk(heard, ended))
    }

    #[test]
    fn a_whole_conversation() {
        let mut heard = vec![vec![]];
        assert_eq!(step(&heard, false), Step::Say(mqtt::connect()));
        heard.push(vec![0x20, 2, 0]);
        assert_eq!(step(&heard, false), Step::Listen);
        heard[1].push(0);
        let Step::Say(question) = step(&heard, false) else { panic!() };
        assert!(question.ends_with(&mqtt::ping()));
        heard.push(published());
        assert_eq!(step(&heard, false), Step::Say(mqtt::disconnect()));
        heard.push(vec![]);
        assert_eq!(step(&heard, false), Step::Finish);

        let reading = Mqtt.read(&testing::talk(&heard, true));
        let [Fact::Service(service)] = &reading.facts[..] else { panic!("{reading:?}") };
        assert_eq!(service.product.as_deref(), Some("Mosquitto"));
        assert_eq!(service.version.as_deref(), Some("2.0.11"));
        assert_eq!(service.attributes["anonymous"], "accepted");
    }

    #[test]
    fn a_broker_that_lets_nobody_in_is_still_one() {
        let heard = vec![vec![], vec![0x20, 2, 0, 5]];
        assert_eq!(step(&heard, false), Step::Finish);
        let reading = Mqtt.read(&testing::talk(&heard, true));
        let [Fact::Service(service)] = &reading.facts[..] else { panic!("{reading:?}") };
        assert_eq!(service.attributes["anonymous"], "refused: not authorized");
    }

    #[test]
    fn a_broker_without_the_topic_ends_at_the_ping() {
        let heard = vec![vec![], vec![0x20, 2, 0, 0], vec![0x90, 3, 0, 1, 0x80, 0xd0, 0]];
        assert_eq!(step(&heard, false), Step::Say(mqtt::disconnect()));
    }

    #[test]
    fn every_cut_waits() {
        let bytes = published();
        let topic_end = bytes.len() - 2;
        for len in 0..topic_end {
            let heard = vec![vec![], vec![0x20, 2, 0, 0], bytes[..len].to_vec()];
            assert_eq!(step(&heard, false), Step::Listen, "cut at {len}");
            assert_eq!(step(&heard, true), Step::Say(mqtt::disconnect()), "cut at {len}");
            assert_eq!(Mqtt.read(&testing::talk(&heard, true)).facts.len(), 1);
        }
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(
            first in proptest::collection::vec(any::<u8>(), 0..20),
            second in proptest::collection::vec(any::<u8>(), 0..60),
        ) {
            for heard in [
                vec![first.clone()],
                vec![vec![], first],
                vec![vec![], vec![0x20, 2, 0, 0], second],
            ] {
                let _ = step(&heard, false);
                let _ = Mqtt.read(&testing::talk(&heard, true));
            }
        }
    }
}
