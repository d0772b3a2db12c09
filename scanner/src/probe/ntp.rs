//! NTP: a client's question, and one control query for the server's version.
//!
//! Servers of the ntpd family answer the second where their owner allows it; by default
//! they are silent. Stratum, reference and times are not facts: they change by themselves.

use model::{Cpe, Fact, Service, Transport};
use wire::{
    lines,
    ntp::{self, Control, Reply},
};

use super::{Probe, Reading, Step, Talk, product, said::attribute};

/// The probe.
pub struct Ntp;

const READ_VARIABLES: u8 = 2;

impl Probe for Ntp {
    fn protocol(&self) -> &'static str {
        "ntp"
    }

    fn transport(&self) -> Transport {
        Transport::Udp
    }

    fn ports(&self) -> &'static [u16] {
        &[123]
    }

    fn recognises(&self, _banner: &[u8]) -> bool {
        false
    }

    fn request(&self, talk: &Talk<'_>) -> Step {
        match talk.said() {
            0 => Step::Say(ntp::client(transmit(talk.cookie))),
            1 if is_answer(talk) => {
                Step::Say(ntp::read_variables(sequence(talk.cookie), "version,processor,system"))
            }
            1 | 2 if talk.heard(talk.said()).is_empty() && !talk.ended => Step::Listen,
            _ => Step::Finish,
        }
    }

    fn read(&self, talk: &Talk<'_>) -> Reading {
        if !is_answer(talk) {
            return Reading::default();
        }
        let control = Control::parse(talk.heard(2)).ok();
        let own = control.filter(|control| control.sequence == sequence(talk.cookie));
        match own.and_then(|control| variables(&control)) {
            Some(facts) => Reading { facts, evidence: talk.heard(2).to_vec() },
            None => Reading {
                facts: vec![Fact::Service(Service::of("ntp"))],
                evidence: talk.heard(1).to_vec(),
            },
        }
    }
}

/// What a server says of itself to whoever asks for its system variables; `None` where that is
/// not what the message is.
pub(crate) fn variables(control: &Control) -> Option<Vec<Fact>> {
    if !control.response || control.error || control.opcode != READ_VARIABLES {
        return None;
    }
    let mut service = Service::of("ntp");
    let mut facts = describe(&mut service, &String::from_utf8_lossy(&control.data));
    facts.insert(0, Fact::Service(service));
    Some(facts)
}

/// The number that the answer's origin timestamp repeats. Not a time: a server needs none
/// of ours.
fn transmit(cookie: u32) -> u64 {
    u64::from(cookie) << 32 | u64::from(!cookie)
}

fn sequence(cookie: u32) -> u16 {
    let [_, _, high, low] = cookie.to_be_bytes();
    u16::from_be_bytes([high, low])
}

fn is_answer(talk: &Talk<'_>) -> bool {
    Reply::parse(talk.heard(1)).is_ok_and(|reply| reply.origin == transmit(talk.cookie))
}

/// Fills in the service from system variables; the facts besides it.
fn describe(service: &mut Service, data: &str) -> Vec<Fact> {
    let variables = ntp::variables(data);
    let variable = |wanted: &str| {
        let found = variables.iter().find(|(name, _)| *name == wanted);
        found.map(|(_, value)| lines::squeeze(value)).unwrap_or_default()
    };
    if let Some((name, cpe, version)) = daemon(&variable("version")) {
        service.product = Some(name.to_owned());
        service.cpe = Some(Cpe::application(cpe.0, cpe.1, version));
        service.version = version.map(str::to_owned);
    }
    attribute(service, "processor", &variable("processor"));
    let system = variable("system");
    attribute(service, "system", &system);
    operating_system(&system).into_iter().collect()
}

type Daemon<'a> = (&'static str, (&'static str, &'static str), Option<&'a str>);

/// `ntpd 4.2.8p15@1.3728-o Wed Sep 23 …` or `ntpd ntpsec-1.2.2 2023-…`.
fn daemon(version: &str) -> Option<Daemon<'_>> {
    // OpenVMS writes `ntpd version = 4.2.0`.
    let mut words = version.split(' ').filter(|word| !matches!(*word, "version" | "="));
    let name = words.next()?;
    let version = words.next();
    if let Some(version) = version.and_then(|version| version.strip_prefix("ntpsec-")) {
        // A build from a repository adds `+` or `-` and a commit.
        let end = version.find(['+', '-']).unwrap_or(version.len());
        return Some(("NTPsec", ("ntpsec", "ntpsec"), version.get(..end)));
    }
    let version = version.filter(|version| version.starts_with(char::is_numeric));
    // Behind the `@` stands the repository's revision, behind `-` how it was linked.
    let version = version.and_then(|version| version.split(['@', '-']).next());
    matches!(name, "ntpd" | "xntpd").then_some(("ntpd", ("ntp", "ntp"), version))
}

/// How a system's text begins, its name, vendor and product of its CPE name.
type System = (&'static str, &'static str, Option<(&'static str, &'static str)>);

/// Systems by how they begin in ntpd's variable, their names and CPE pairs.
const SYSTEMS: [System; 20] = [
    ("Linux", "Linux", Some(("linux", "linux_kernel"))),
    ("SunOS", "Solaris", Some(("oracle", "solaris"))),
    ("FreeBSD", "FreeBSD", Some(("freebsd", "freebsd"))),
    ("NetBSD", "NetBSD", Some(("netbsd", "netbsd"))),
    ("OpenBSD", "OpenBSD", Some(("openbsd", "openbsd"))),
    ("Darwin", "Darwin", Some(("apple", "mac_os_x"))),
    ("JUNOS", "Junos", Some(("juniper", "junos"))),
    ("VMkernel", "ESXi", Some(("vmware", "esxi"))),
    ("Isilon OneFS", "OneFS", Some(("dell", "emc_isilon_onefs"))),
    ("OneFS", "OneFS", Some(("dell", "emc_isilon_onefs"))),
    ("HP-UX", "HP-UX", Some(("hp", "hp-ux"))),
    ("AIX", "AIX", Some(("ibm", "aix"))),
    ("OSF1", "Tru64 UNIX", Some(("hp", "tru64"))),
    ("IRIX", "IRIX", Some(("sgi", "irix"))),
    ("QNX", "QNX", Some(("blackberry", "qnx_neutrino_rtos"))),
    ("Data ONTAP", "Data ONTAP", Some(("netapp", "data_ontap"))),
    ("OpenVMS", "OpenVMS", Some(("hp", "openvms"))),
    ("SCO_SV", "OpenServer", Some(("sco", "openserver"))),
    ("BSD/OS", "BSD/OS", Some(("bsdi", "bsd_os"))),
    ("Windows", "Windows", Some(("microsoft", "windows"))),
];

/// `Linux/5.10.0`, `SunOS5.7`, `JUNOS7.0R2.7`, `FreeBSD/8.4-NETSCALER-10.5`.
fn operating_system(system: &str) -> Option<Fact> {
    // NetScaler names the system that it was built from first.
    if let Some((_, version)) = system.split_once("-NETSCALER-") {
        return Some(product::system("NetScaler", Some(version), Some(("citrix", "netscaler"))));
    }
    let (start, name, cpe) = SYSTEMS.iter().find(|(start, ..)| system.starts_with(start))?;
    let rest = system.get(start.len()..)?.trim_start_matches(['/', ' ', 'v', 'V', '-']);
    let version = rest.split(' ').next().filter(|rest| rest.starts_with(char::is_numeric));
    match (*name, version) {
        // SunOS 5.7 is sold as Solaris 7 (2.x before it).
        ("Solaris", Some(version)) => {
            let version = version.strip_prefix("5.").unwrap_or(version);
            Some(product::system(name, Some(version), *cpe))
        }
        // Darwin's number is not that of macOS.
        ("Darwin", version) => Some(product::system(name, version, None)),
        (_, version) => Some(product::system(name, version, *cpe)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::probe::{corpus, testing};

    const COOKIE: u32 = 0x0a0b_0c0d;

    fn reply() -> Vec<u8> {
        let mut bytes = vec![0x24];
        bytes.extend([0; 23]);
        bytes.extend(transmit(COOKIE).to_be_bytes());
        bytes.extend([1; 16]);
        bytes
    }

    fn variables(text: &str) -> Vec<u8> {
        let mut bytes = ntp::read_variables(sequence(COOKIE), text);
        bytes[1] |= 0x80;
        bytes
    }

    fn read(answers: &[Vec<u8>]) -> Vec<Fact> {
        let mut heard = vec![vec![]];
        heard.extend_from_slice(answers);
        Ntp.read(&testing::talk(&heard, true)).facts
    }

    #[test]
    fn a_server_may_tell_its_version() {
        let text = "version=\"ntpd ntpsec-1.2.2 2023-01-02\", system=\"Linux/6.1.0\"";
        let facts = read(&[reply(), variables(text)]);
        let Fact::Service(service) = &facts[0] else { panic!("{facts:?}") };
        assert_eq!(service.product.as_deref(), Some("NTPsec"));
        assert_eq!(service.version.as_deref(), Some("1.2.2"));
        let linux = product::system("Linux", Some("6.1.0"), Some(("linux", "linux_kernel")));
        assert_eq!(facts[1..], [linux]);
        assert_eq!(read(&[reply(), vec![]]), [Fact::Service(Service::of("ntp"))]);
    }

    #[test]
    fn an_answer_repeats_our_number() {
        let mut forged = reply();
        forged[24] ^= 1;
        assert_eq!(read(&[forged]), []);
        for len in 0..reply().len() {
            assert_eq!(read(&[reply()[..len].to_vec()]), [], "cut at {len}");
        }
        let mut other = variables("version=\"ntpd 4.2.8p15\"");
        other[2] ^= 1;
        assert_eq!(read(&[reply(), other]), [Fact::Service(Service::of("ntp"))]);
    }

    #[test]
    fn a_conversation_has_two_questions() {
        let step = |heard: &[Vec<u8>], ended| Ntp.request(&testing::talk(heard, ended));
        assert_eq!(step(&[vec![]], false), Step::Say(ntp::client(transmit(COOKIE))));
        assert_eq!(step(&[vec![], vec![]], false), Step::Listen);
        assert_eq!(step(&[vec![], vec![]], true), Step::Finish);
        assert!(matches!(step(&[vec![], reply()], false), Step::Say(_)));
        assert_eq!(step(&[vec![], reply(), vec![]], false), Step::Listen);
        assert_eq!(step(&[vec![], reply(), vec![1]], false), Step::Finish);
    }

    #[test]
    fn systems_have_versions_of_their_own() {
        let check = |text: &str, expected: Option<(&str, Option<&str>)>| {
            let got = operating_system(text);
            let got = got.as_ref().map(|fact| match fact {
                Fact::OperatingSystem { name, version, .. } => (name.as_str(), version.as_deref()),
                other => panic!("{other:?}"),
            });
            assert_eq!(got, expected, "{text}");
        };
        check("Linux/5.10.0-8-amd64", Some(("Linux", Some("5.10.0-8-amd64"))));
        check("SunOS5.7", Some(("Solaris", Some("7"))));
        check("JUNOS7.0R2.7", Some(("Junos", Some("7.0R2.7"))));
        check("FreeBSD/8.4-NETSCALER-10.5", Some(("NetScaler", Some("10.5"))));
        check("Isilon OneFS/v5.5.4.21", Some(("OneFS", Some("5.5.4.21"))));
        check("UNIX", None);
        check("", None);
    }

    #[test]
    fn the_corpus_agrees() {
        corpus::measure("ntp_banners", 0.9, |example| {
            let mut service = Service::of("ntp");
            let facts = describe(&mut service, example.text());
            let version = facts.iter().find_map(|fact| match fact {
                Fact::OperatingSystem { version, .. } => version.as_deref(),
                _ => None,
            });
            let own = service.version.as_deref().unwrap_or_default();
            // The repository's revision is no part of the version.
            let same = |wanted: &str| {
                wanted.split(['@', '-']).next() == Some(own) || own.starts_with(wanted)
            };
            let os = example.wants("os.version").map(|wanted| version == Some(wanted));
            let product = example.wants("service.version").map(same);
            (os.is_some() || product.is_some())
                .then(|| os.unwrap_or(true) && product.unwrap_or(true))
        });
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..100),
            text in "\\PC{0,60}",
        ) {
            read(std::slice::from_ref(&bytes));
            read(&[reply(), bytes]);
            read(&[reply(), variables(&text)]);
            let _ = operating_system(&text);
            let _ = daemon(&text);
        }
    }
}
