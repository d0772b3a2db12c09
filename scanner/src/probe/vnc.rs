//! VNC (RFB, RFC 6143): the protocol version, and nothing after it.

use model::{Fact, Service, Transport};

use super::{Probe, Reading, Step, Talk, product};

/// The probe.
pub struct Vnc;

/// `RFB 003.008\n` (section 7.1.1).
fn version(heard: &[u8]) -> Option<(u16, u16)> {
    let text = std::str::from_utf8(heard.get(..12)?).ok()?;
    let (major, minor) = text.strip_prefix("RFB ")?.strip_suffix('\n')?.split_once('.')?;
    let number = |digits: &str| {
        let plain = digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse().ok())?
    };
    Some((number(major)?, number(minor)?))
}

impl Probe for Vnc {
    fn protocol(&self) -> &'static str {
        "vnc"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn ports(&self) -> &'static [u16] {
        &[5900, 5901, 5902, 5903, 5904, 5905]
    }

    fn recognises(&self, banner: &[u8]) -> bool {
        banner.starts_with(b"RFB ")
    }

    fn request(&self, talk: &Talk<'_>) -> Step {
        if talk.heard(0).len() < 12 { Step::Listen } else { Step::Finish }
    }

    fn read(&self, talk: &Talk<'_>) -> Reading {
        let heard = talk.heard(0);
        let Some((major, minor)) = version(heard) else {
            return Reading::default();
        };
        let mut service = Service::of("vnc");
        service.attributes.insert("rfb_version".into(), format!("{major}.{minor}"));
        // Numbers that one maker alone uses.
        let software = match (major, minor) {
            (3, 889) => Some(product::named("Apple Remote Desktop", None)),
            (4 | 5, _) => Some(product::named("realvnc", None)),
            _ => None,
        };
        product::put(&mut service, software);
        Reading { facts: vec![Fact::Service(service)], evidence: heard.to_vec() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::testing::{heard, talk};

    #[track_caller]
    fn check(banner: &str, expected: Option<(&str, Option<&str>)>) {
        let turns = heard(&[banner]);
        let facts = Vnc.read(&talk(&turns, true)).facts;
        let got = facts.first().map(|fact| match fact {
            Fact::Service(s) => (s.attributes["rfb_version"].as_str(), s.product.as_deref()),
            other => panic!("{other:?}"),
        });
        assert_eq!(got, expected);
    }

    #[test]
    fn versions() {
        check("RFB 003.008\n", Some(("3.8", None)));
        check("RFB 003.889\n", Some(("3.889", Some("Apple Remote Desktop"))));
        check("RFB 005.000\n", Some(("5.0", Some("RealVNC"))));
        check("RFB 3.8\n", None);
        check("RFB abc.def\n", None);
        check("RFB +03.008\n", None);
        let whole = "RFB 003.008\n";
        for len in 0..whole.len() {
            check(&whole[..len], None);
            assert_eq!(Vnc.request(&talk(&heard(&[&whole[..len]]), false)), Step::Listen);
        }
        assert_eq!(Vnc.request(&talk(&heard(&[whole]), false)), Step::Finish);
    }
}
