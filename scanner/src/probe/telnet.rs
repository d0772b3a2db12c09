//! Telnet (RFC 854): the text before the login prompt.
//!
//! Every option that the server wants is refused, because some servers print nothing
//! before they are answered. Nothing is ever typed.

use model::{Fact, Service, Transport};
use wire::{lines, telnet};

use super::{Probe, Reading, Step, Talk, product, stable};

/// The probe.
pub struct Telnet;

/// How often options are answered: two servers that negotiate with each other without
/// end are a known fault (RFC 854, page 3), and one that does it with us is the same.
const MAX_ROUNDS: usize = 4;

impl Probe for Telnet {
    fn protocol(&self) -> &'static str {
        "telnet"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn ports(&self) -> &'static [u16] {
        &[23, 2323, 992, 2001, 4001, 6023, 10023]
    }

    fn recognises(&self, banner: &[u8]) -> bool {
        matches!(banner, [255, 250..=254, ..]) || is_prompt(banner)
    }

    fn request(&self, talk: &Talk<'_>) -> Step {
        let heard = telnet::read(talk.heard(talk.said()));
        let refusal = heard.refusal();
        if !refusal.is_empty() && talk.said() < MAX_ROUNDS {
            return Step::Say(refusal);
        }
        if is_prompt(&text(talk)) { Step::Finish } else { Step::Listen }
    }

    fn read(&self, talk: &Talk<'_>) -> Reading {
        let commands: usize = talk.heard.iter().map(|turn| telnet::read(turn).commands).sum();
        let text = text(talk);
        if commands == 0 && !is_prompt(&text) {
            return Reading::default();
        }
        let mut service = Service::of("telnet");
        let printed: Vec<String> =
            lines::lines(&text).map(lines::text).filter(|line| !line.is_empty()).collect();
        let banner = printed.iter().filter_map(|line| stable(line)).take(4).collect::<Vec<_>>();
        if !banner.is_empty() {
            service.attributes.insert("banner".into(), lines::squeeze(&banner.join(" | ")));
        }
        let mut facts = vec![Fact::Service(service)];
        facts.extend(printed.iter().find_map(|line| system(line)));
        facts.extend(printed.iter().find_map(|line| {
            let (name, _) = line.split_once(" login:")?;
            product::host_name_fact(name.split_whitespace().next_back()?)
        }));
        Reading { facts, evidence: talk.heard.concat() }
    }
}

/// All that was printed, commands taken out.
fn text(talk: &Talk<'_>) -> Vec<u8> {
    talk.heard.iter().flat_map(|turn| telnet::read(turn).text).collect()
}

/// Whether the text ends with a question for a name or a password.
fn is_prompt(text: &[u8]) -> bool {
    let last = text.rsplit(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).find(|l| !l.is_empty());
    let last = last.unwrap_or(&[]).to_ascii_lowercase();
    [
        &b"login:"[..],
        b"login name:",
        b"username:",
        b"user name:",
        b"user:",
        b"password:",
        b"account:",
    ]
    .iter()
    .any(|prompt| last.ends_with(prompt))
}

/// The system that an issue line names: `Debian GNU/Linux 12 host`, `MikroTik v6.49`,
/// `Ubuntu 22.04.3 LTS`, `Amazon Linux AMI release 2013.09`, `AIX Version 7`.
///
/// An issue file is written by the distribution itself, so its version counts.
#[must_use]
pub fn system(line: &str) -> Option<Fact> {
    type Row = (&'static str, &'static str, Option<(&'static str, &'static str)>);
    const SYSTEMS: &[Row] = &[
        ("Debian GNU/Linux", "Debian", Some(("debian", "debian_linux"))),
        ("Raspbian GNU/Linux", "Raspbian", None),
        ("Ubuntu", "Ubuntu", Some(("canonical", "ubuntu_linux"))),
        (
            "Red Hat Enterprise Linux",
            "Red Hat Enterprise Linux",
            Some(("redhat", "enterprise_linux")),
        ),
        ("CentOS", "CentOS", Some(("centos", "centos"))),
        ("Rocky Linux", "Rocky Linux", Some(("rockylinux", "rocky_linux"))),
        ("AlmaLinux", "AlmaLinux", Some(("almalinux", "almalinux"))),
        ("Fedora", "Fedora", Some(("fedoraproject", "fedora"))),
        ("Amazon Linux", "Amazon Linux", Some(("amazon", "linux"))),
        ("MikroTik", "RouterOS", Some(("mikrotik", "routeros"))),
        ("KeeneticOS", "KeeneticOS", None),
        ("AIX", "AIX", Some(("ibm", "aix"))),
        ("HP-UX", "HP-UX", Some(("hp", "hp-ux"))),
        ("OpenVMS", "OpenVMS", None),
        ("UnixWare", "UnixWare", None),
        ("SunOS", "SunOS", Some(("oracle", "solaris"))),
        ("FreeBSD", "FreeBSD", Some(("freebsd", "freebsd"))),
        ("NetBSD", "NetBSD", Some(("netbsd", "netbsd"))),
        ("OpenBSD", "OpenBSD", Some(("openbsd", "openbsd"))),
    ];
    let known =
        SYSTEMS.iter().filter_map(|row| Some((line.find(row.0)?, row))).min_by_key(|(at, _)| *at);
    let Some((at, (mark, name, cpe))) = known else {
        // `Some Linux release 6.0`, the form of Red Hat's descendants.
        let (name, rest) = line.split_once(" release ")?;
        let version = rest.split([' ', ',']).next().filter(|word| product::is_version(word))?;
        return name.ends_with("Linux").then(|| product::system(name.trim(), Some(version), None));
    };
    let rest = line.get(at + mark.len()..)?;
    let version = rest
        .split([' ', ','])
        .map(|word| word.trim_start_matches("B."))
        .take(8)
        .find(|word| product::is_version(word))
        .map(product::upstream);
    Some(product::system(name, version.as_deref(), *cpe))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::probe::testing::{heard, talk};

    #[test]
    fn options_are_refused_until_the_prompt_comes() {
        let mut turns = vec![vec![255, 253, 24, 255, 251, 3]];
        assert!(Telnet.recognises(&turns[0]));
        let refusal = vec![255, 252, 24, 255, 254, 3];
        assert_eq!(Telnet.request(&talk(&turns, false)), Step::Say(refusal));
        turns.push(b"Debian GNU/Linux 12 gw\r\n".to_vec());
        assert_eq!(Telnet.request(&talk(&turns, false)), Step::Listen);
        turns[1].extend(b"gw.example.org login: ");
        assert_eq!(Telnet.request(&talk(&turns, false)), Step::Finish);
        let facts = Telnet.read(&talk(&turns, true)).facts;
        let Fact::Service(service) = &facts[0] else { panic!("{facts:?}") };
        assert_eq!(service.attributes["banner"], "Debian GNU/Linux 12 gw | gw.example.org login");
        assert_eq!(
            facts[1],
            product::system("Debian", Some("12"), Some(("debian", "debian_linux")))
        );
        assert!(matches!(&facts[2], Fact::HostName { name, .. } if name == "gw.example.org"));
    }

    #[test]
    fn endless_negotiation_ends() {
        let turns = vec![vec![255, 253, 24]; MAX_ROUNDS + 1];
        assert_eq!(Telnet.request(&talk(&turns, false)), Step::Listen);
    }

    #[test]
    fn text_without_a_prompt_is_not_telnet() {
        assert!(Telnet.read(&talk(&heard(&["220 ready\r\n"]), true)).facts.is_empty());
        assert!(Telnet.recognises(b"\r\nUser Access Verification\r\n\r\nPassword: "));
        assert!(!Telnet.recognises(b"SSH-2.0-x\r\n"));
    }

    #[test]
    fn agrees_with_the_corpus() {
        crate::probe::corpus::measure("telnet_banners", 0.50, |example| {
            let wanted = example.wants("os.version")?;
            let bytes = example.bytes();
            let facts: Vec<Fact> =
                lines::lines(&bytes).filter_map(|l| system(&lines::text(l))).collect();
            Some(facts.iter().any(|fact| {
                matches!(fact,
                Fact::OperatingSystem { version: Some(version), .. } if version == wanted)
            }))
        });
    }

    proptest! {
        #[test]
        fn nothing_panics(turns in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 0..80), 1..5), line in "\\PC{0,60}") {
            let _ = Telnet.request(&talk(&turns, false));
            let _ = Telnet.read(&talk(&turns, true));
            let _ = system(&line);
            let _ = system(&format!("x HP-UX {line}"));
        }
    }
}
