//! Remote Desktop: which security a server asks for, from its answer to a connection
//! request. Its names and build come out only inside TLS and are not asked for here.

use model::{Fact, Service, Transport};
use wire::{
    Problem,
    rdp::{self, Answer},
};

use super::{
    Probe, Reading, Step, Talk,
    said::{anomaly, attribute},
};

/// The probe.
pub struct Rdp;

impl Probe for Rdp {
    fn protocol(&self) -> &'static str {
        "rdp"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn ports(&self) -> &'static [u16] {
        &[3389, 3390, 2179]
    }

    fn recognises(&self, _banner: &[u8]) -> bool {
        false
    }

    fn request(&self, talk: &Talk<'_>) -> Step {
        match talk.said() {
            0 if talk.heard(0).is_empty() => Step::Say(rdp::connection_request()),
            1 => match Answer::parse(talk.heard(1)) {
                Err(why) if why.problem == Problem::Truncated && !talk.ended => Step::Listen,
                _ => Step::Finish,
            },
            _ => Step::Finish,
        }
    }

    fn read(&self, talk: &Talk<'_>) -> Reading {
        let mut service = Service::of("rdp");
        let mut facts = Vec::new();
        match Answer::parse(talk.heard(1)) {
            Ok(Answer::Selected { protocol, flags }) => {
                attribute(&mut service, "security", &security(protocol));
                attribute(&mut service, "flags", &flags_text(flags));
            }
            Ok(Answer::Failure(code)) => attribute(&mut service, "security", failure(code)),
            Ok(Answer::Plain) => attribute(&mut service, "security", "rdp"),
            // Other services over X.224 (S7, for one) refuse in the same way.
            Ok(Answer::Refused) => return Reading::default(),
            Err(why) if why.field.starts_with("negotiation") => {
                facts.extend(anomaly("rdp", &why));
            }
            Err(_) => return Reading::default(),
        }
        facts.insert(0, Fact::Service(service));
        Reading { facts, evidence: talk.heard(1).to_vec() }
    }
}

fn security(protocol: u32) -> String {
    match protocol {
        0 => "rdp".to_owned(),
        1 => "tls".to_owned(),
        2 => "credssp".to_owned(),
        4 => "rdstls".to_owned(),
        8 => "credssp-ex".to_owned(),
        other => format!("{other:#x}"),
    }
}

/// [MS-RDPBCGR], section 2.2.1.2.2.
fn failure(code: u32) -> &'static str {
    match code {
        1 => "tls required",
        2 => "rdp only",
        3 => "rdp only, no certificate",
        4 => "inconsistent flags",
        5 => "credssp required",
        6 => "tls with client certificate required",
        _ => "refused",
    }
}

fn flags_text(flags: u8) -> String {
    let names = [
        (0x01, "extended-client-data"),
        (0x02, "graphics-pipeline"),
        (0x08, "restricted-admin"),
        (0x10, "redirected-authentication"),
    ];
    let set: Vec<&str> =
        names.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect();
    set.join(",")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::probe::testing;

    const SELECTED: [u8; 19] =
        [3, 0, 0, 19, 14, 0xd0, 0, 0, 0x12, 0x34, 0, 2, 0x0b, 8, 0, 2, 0, 0, 0];

    fn read(answer: &[u8]) -> Vec<Fact> {
        let heard = vec![vec![], answer.to_vec()];
        Rdp.read(&testing::talk(&heard, true)).facts
    }

    #[test]
    fn the_selected_security_is_told() {
        let facts = read(&SELECTED);
        let [Fact::Service(service)] = &facts[..] else { panic!("{facts:?}") };
        assert_eq!(service.attributes["security"], "credssp");
        let flags = "extended-client-data,graphics-pipeline,restricted-admin";
        assert_eq!(service.attributes["flags"], flags);
        let mut failed = SELECTED;
        failed[11] = 3;
        failed[15] = 2;
        let facts = read(&failed);
        let [Fact::Service(service)] = &facts[..] else { panic!("{facts:?}") };
        assert_eq!(service.attributes["security"], "rdp only");
    }

    #[test]
    fn every_cut_waits_and_says_nothing() {
        for len in 0..SELECTED.len() {
            let heard = vec![vec![], SELECTED[..len].to_vec()];
            assert_eq!(Rdp.request(&testing::talk(&heard, false)), Step::Listen, "cut at {len}");
            assert_eq!(read(&SELECTED[..len]), [], "cut at {len}");
        }
    }

    #[test]
    fn a_broken_negotiation_is_an_anomaly_and_other_protocols_are_not() {
        let mut odd = SELECTED;
        odd[11] = 9;
        assert!(matches!(&read(&odd)[..], [Fact::Service(_), Fact::Anomaly { .. }]));
        assert_eq!(read(b"HTTP/1.1 400 Bad Request\r\n\r\n"), []);
        assert_eq!(read(&[3, 0, 0, 11, 6, 0x80, 0, 0, 0, 0, 0]), []);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 7..40)) {
            let mut framed = vec![3, 0, 0, bytes.len() as u8 + 4];
            framed.extend(&bytes);
            read(&framed);
            read(&bytes);
        }
    }
}
