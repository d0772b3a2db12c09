//! SMB: dialect, signing and the server's number from NEGOTIATE; names, domain and build
//! from the challenge that SESSION_SETUP brings. There the conversation ends: nobody is
//! ever named, no session exists.
//!
//! A server that hangs up on SMB 2 is asked once more in SMB 1, only to know that it is
//! that old.

use model::{Fact, MachineIdKind, NameSource, Service, Transport};
use wire::{
    Malformed, Problem,
    ntlm::{Challenge, Version},
    smb2::{self, Message, Negotiated},
};

use super::{
    Probe, Reading, Step, Talk, product,
    said::{anomaly, attribute, machine_id, machine_name, name_product},
};

/// The probe.
pub struct Smb;

/// SMB2_NEGOTIATE_SIGNING_ENABLED and _REQUIRED ([MS-SMB2], section 2.2.4).
const SIGNING_ENABLED: u16 = 1;
const SIGNING_REQUIRED: u16 = 2;

impl Probe for Smb {
    fn protocol(&self) -> &'static str {
        "smb"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn ports(&self) -> &'static [u16] {
        &[445]
    }

    fn recognises(&self, _banner: &[u8]) -> bool {
        false
    }

    fn request(&self, talk: &Talk<'_>) -> Step {
        match talk.said() {
            0 if talk.heard(0).is_empty() => Step::Say(smb2::negotiate(client_guid(talk.cookie))),
            1 => match Message::parse(talk.heard(1)) {
                Ok(Message::Negotiate(_)) => Step::Say(smb2::session_setup()),
                Ok(_) => Step::Finish,
                Err(why) if is_cut(&why) && !talk.ended => Step::Listen,
                Err(_) if talk.heard(1).is_empty() => Step::Reconnect(smb2::negotiate_smb1()),
                Err(_) => Step::Finish,
            },
            2 => match Message::parse(talk.heard(2)) {
                Err(why) if is_cut(&why) && !talk.ended => Step::Listen,
                _ => Step::Finish,
            },
            _ => Step::Finish,
        }
    }

    fn read(&self, talk: &Talk<'_>) -> Reading {
        let mut service = Service::of("smb");
        let negotiated = match Message::parse(talk.heard(1)) {
            Ok(Message::Negotiate(negotiated)) => negotiated,
            Ok(Message::Smb1) => return old(service, talk.heard(1)),
            Ok(Message::Other { .. } | Message::SessionSetup { .. }) => {
                let facts = vec![Fact::Service(service)];
                return Reading { facts, evidence: talk.heard(1).to_vec() };
            }
            Err(_) if Message::parse(talk.heard(2)) == Ok(Message::Smb1) => {
                return old(service, talk.heard(2));
            }
            Err(_) => return Reading::default(),
        };
        attribute(&mut service, "smb_dialect", &negotiated.dialect_name());
        attribute(&mut service, "smb_signing", signing(negotiated.security_mode));
        let mut facts = Vec::new();
        facts.extend(number(&negotiated));
        let mut evidence = talk.heard(1).to_vec();
        if let Ok(Message::SessionSetup { blob, .. }) = Message::parse(talk.heard(2)) {
            // The challenge tells more than NEGOTIATE, which the attributes hold already.
            evidence = talk.heard(2).to_vec();
            match Challenge::find(&blob) {
                Ok(challenge) => read_challenge(&mut service, &mut facts, &challenge),
                // Without a signature it is another mechanism, which is no fault.
                Err(why) if is_cut(&why) => {}
                Err(why) => facts.extend(anomaly("ntlm", &why)),
            }
        }
        facts.insert(0, Fact::Service(service));
        Reading { facts, evidence }
    }
}

/// A server that answered in SMB 1.
fn old(mut service: Service, heard: &[u8]) -> Reading {
    attribute(&mut service, "smb_dialect", "SMB1");
    Reading { facts: vec![Fact::Service(service)], evidence: heard.to_vec() }
}

/// ServerGuid as a fact. Samba fills it with its NetBIOS name, which names the machine but
/// does not tell two of the same name apart.
fn number(negotiated: &Negotiated) -> Option<Fact> {
    let end = negotiated.guid.iter().position(|&byte| byte == 0).unwrap_or(16);
    let (name, padding) = negotiated.guid.split_at(end);
    if padding.iter().any(|&byte| byte != 0) || !name.iter().all(u8::is_ascii_graphic) {
        return Some(machine_id(MachineIdKind::SmbGuid, negotiated.guid_text()));
    }
    machine_name(&String::from_utf8_lossy(name), NameSource::Ntlm)
}

pub(crate) fn read_challenge(service: &mut Service, facts: &mut Vec<Fact>, challenge: &Challenge) {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    attribute(service, "netbios_name", &text(&challenge.netbios_name));
    attribute(service, "netbios_domain", &text(&challenge.netbios_domain));
    attribute(service, "dns_domain", &text(&challenge.dns_domain));
    attribute(service, "dns_forest", &text(&challenge.dns_tree));
    // The DNS name says more than the NetBIOS name, which is its first label, cut to 15.
    let name = challenge.dns_name.as_ref().or(challenge.netbios_name.as_ref());
    for name in [name, challenge.netbios_name.as_ref()].into_iter().flatten() {
        let fact = machine_name(name, NameSource::Ntlm);
        facts.extend(fact.filter(|fact| !facts.contains(fact)));
    }
    match challenge.version {
        Some(Version { major: 6, minor: 1, build: 0 }) => {
            // What Samba has always claimed; no Windows has a build of zero.
            name_product(service, "Samba", None, Some(("samba", "samba")));
            attribute(service, "product_basis", "NTLM version 6.1, build 0");
        }
        Some(version) => facts.extend(windows(version)),
        None => {}
    }
}

/// The Windows of that build. One build may be a client's and a server's: then both are
/// named, and there is no CPE name.
fn windows(version: Version) -> Option<Fact> {
    let Version { major, minor, build } = version;
    let (name, cpe) = match (major, minor, build) {
        (_, _, 0) => return None,
        (5, 0, 2195) => ("Windows 2000", Some("windows_2000")),
        (5, 1, 2600) => ("Windows XP", Some("windows_xp")),
        (5, 2, 3790) => ("Windows Server 2003 or Windows XP x64", None),
        (6, 0, 6000) => ("Windows Vista", Some("windows_vista")),
        (6, 0, 6001..=6003) => ("Windows Vista or Windows Server 2008", None),
        (6, 1, 7600 | 7601) => ("Windows 7 or Windows Server 2008 R2", None),
        (6, 2, 9200) => ("Windows 8 or Windows Server 2012", None),
        (6, 3, 9600) => ("Windows 8.1 or Windows Server 2012 R2", None),
        (10, 0, 14393) => ("Windows 10 or Windows Server 2016", None),
        (10, 0, 17763) => ("Windows 10 or Windows Server 2019", None),
        // Half-yearly releases of Windows Server had the client's builds until 20H2.
        (10, 0, 16299 | 17134 | 18362 | 18363 | 19041 | 19042) => {
            ("Windows 10 or Windows Server", None)
        }
        (10, 0, 10240..=19045) => ("Windows 10", Some("windows_10")),
        (10, 0, 20348) => ("Windows Server 2022", Some("windows_server_2022")),
        (10, 0, 25398) => ("Windows Server 23H2", Some("windows_server_23h2")),
        (10, 0, 26100) => ("Windows 11 or Windows Server 2025", None),
        (10, 0, 22000..=30000) => ("Windows 11", Some("windows_11")),
        _ => ("Windows", None),
    };
    let version = format!("{major}.{minor}.{build}");
    Some(product::system(name, Some(&version), cpe.map(|cpe| ("microsoft", cpe))))
}

fn signing(mode: u16) -> &'static str {
    match (mode & SIGNING_REQUIRED != 0, mode & SIGNING_ENABLED != 0) {
        (true, _) => "required",
        (false, true) => "enabled",
        (false, false) => "disabled",
    }
}

fn is_cut(why: &Malformed) -> bool {
    why.problem == Problem::Truncated
}

/// Our own number, as the protocol wants one: of this conversation only, no machine's.
fn client_guid(cookie: u32) -> [u8; 16] {
    let [a, b, c, d] = cookie.to_be_bytes();
    // A random UUID's version and variant (RFC 9562, section 5.4).
    [a, b, c, d, d, c, b, 0x40 | (a & 0x0f), 0x80 | (b & 0x3f), c, d, a, a, c, b, d]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::probe::testing;

    /// An answer in SMB 2 with that body.
    fn answer(command: u8, status: u32, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 0, 64 + body.len() as u8];
        bytes.extend(b"\xfeSMB\x40\0\0\0");
        bytes.extend(status.to_le_bytes());
        bytes.extend([command, 0, 1, 0, 1, 0, 0, 0]);
        bytes.extend([0; 44]);
        bytes.extend(body);
        bytes
    }

    fn negotiated(guid: [u8; 16]) -> Vec<u8> {
        let mut body = vec![65, 0, 3, 0, 0x11, 0x03, 2, 0];
        body.extend(guid);
        body.extend([0x2f, 0, 0, 0]);
        body.extend([0; 36]);
        answer(0, 0, &body)
    }

    fn pair(id: u8, text: &str) -> Vec<u8> {
        let value: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        [&[id, 0, value.len() as u8, 0][..], &value].concat()
    }

    fn challenge(version: [u8; 4]) -> Vec<u8> {
        let info = [pair(2, "EXAMPLE"), pair(1, "FILES"), pair(3, "files.example.com"), vec![0; 4]]
            .concat();
        let mut message = b"NTLMSSP\0\x02\0\0\0\0\0\0\0\x38\0\0\0\0\0\x80\x02".to_vec();
        message.extend([7; 8]);
        message.extend([0; 8]);
        message.extend([info.len() as u8, 0, info.len() as u8, 0, 56, 0, 0, 0]);
        message.extend(version);
        message.extend([0, 0, 0, 15]);
        message.extend(info);
        let mut body = vec![9, 0, 0, 0, 72, 0, message.len() as u8, 0];
        body.extend(message);
        answer(1, smb2::MORE_PROCESSING_REQUIRED, &body)
    }

    const GUID: [u8; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];

    fn read(answers: &[Vec<u8>]) -> Vec<Fact> {
        let mut heard = vec![vec![]];
        heard.extend_from_slice(answers);
        Smb.read(&testing::talk(&heard, true)).facts
    }

    fn service(facts: &[Fact]) -> &Service {
        match facts {
            [Fact::Service(service), ..] => service,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_windows_server_tells_its_names_and_build() {
        let facts = read(&[negotiated(GUID), challenge([10, 0, 0x7c, 0x4f])]);
        let service = service(&facts);
        assert_eq!(service.attributes["smb_dialect"], "3.1.1");
        assert_eq!(service.attributes["smb_signing"], "required");
        assert_eq!(service.attributes["netbios_domain"], "EXAMPLE");
        assert_eq!(service.product, None);
        let name = |name: &str| Fact::HostName { name: name.into(), source: NameSource::Ntlm };
        let id = "04030201-0605-0807-090a-0b0c0d0e0f10";
        let cpe = Some(("microsoft", "windows_server_2022"));
        let expected = [
            machine_id(MachineIdKind::SmbGuid, id.into()),
            name("files.example.com"),
            name("files"),
            product::system("Windows Server 2022", Some("10.0.20348"), cpe),
        ];
        assert_eq!(facts[1..], expected);
    }

    #[test]
    fn a_build_of_zero_is_no_windows() {
        let facts = read(&[negotiated(GUID), challenge([6, 1, 0, 0])]);
        assert_eq!(service(&facts).product.as_deref(), Some("Samba"));
        assert!(!facts.iter().any(|fact| matches!(fact, Fact::OperatingSystem { .. })));
    }

    #[test]
    fn a_number_made_of_a_name_is_a_name() {
        let facts = read(&[negotiated(*b"nas-7\0\0\0\0\0\0\0\0\0\0\0")]);
        let name = Fact::HostName { name: "nas-7".into(), source: NameSource::Ntlm };
        assert_eq!(facts[1..], [name]);
        assert_eq!(read(&[negotiated([0; 16])]).len(), 1);
    }

    #[test]
    fn a_server_that_hangs_up_is_asked_in_the_old_dialect() {
        let step = |heard: &[Vec<u8>], ended| Smb.request(&testing::talk(heard, ended));
        let mut heard = vec![vec![], vec![]];
        assert_eq!(step(&heard, false), Step::Listen);
        assert_eq!(step(&heard, true), Step::Reconnect(smb2::negotiate_smb1()));
        let mut old = smb2::negotiate_smb1();
        old[13] |= 0x80;
        heard.push(old.clone());
        assert_eq!(step(&heard, false), Step::Finish);
        assert_eq!(service(&read(&[vec![], old])).attributes["smb_dialect"], "SMB1");
    }

    #[test]
    fn every_cut_waits() {
        let (first, second) = (negotiated(GUID), challenge([10, 0, 0x7c, 0x4f]));
        for len in 0..first.len() {
            let heard = vec![vec![], first[..len].to_vec()];
            assert_eq!(Smb.request(&testing::talk(&heard, false)), Step::Listen, "cut at {len}");
            assert_eq!(read(&heard[1..]), [], "cut at {len}");
        }
        for len in 0..second.len() {
            let heard = vec![vec![], first.clone(), second[..len].to_vec()];
            assert_eq!(Smb.request(&testing::talk(&heard, false)), Step::Listen, "cut at {len}");
            assert_eq!(read(&heard[1..]).len(), 2, "cut at {len}");
        }
    }

    /// Real servers' messages, where `DAICHO_CORPUS` points at captures of them.
    #[test]
    fn the_captures_are_read() {
        use crate::probe::corpus;
        if let Some(found) = corpus::in_captures(b"NTLMSSP\0\x02\0\0\0", 700) {
            let read: Vec<Challenge> =
                found.iter().filter_map(|bytes| Challenge::find(bytes).ok()).collect();
            let named = read.iter().filter(|challenge| challenge.netbios_name.is_some()).count();
            assert!(read.len() * 10 >= found.len() * 9, "{} of {}", read.len(), found.len());
            assert!(named > 0, "{read:?}");
        }
        // Status 0, command 0, then the response flag at byte 16.
        if let Some(found) = corpus::in_captures(b"\xfeSMB\x40\0", 200) {
            let answers: Vec<_> = found
                .iter()
                .filter(|bytes| bytes[8..14] == [0; 6] && bytes[16] & 1 == 1)
                .map(|bytes| Message::parse(&[&[0, 0, 0, bytes.len() as u8], &bytes[..]].concat()))
                .collect();
            let read = answers.iter().filter(|a| matches!(a, Ok(Message::Negotiate(_)))).count();
            assert!(read > 0 && read * 10 >= answers.len() * 9, "{read} of {}", answers.len());
        }
    }

    #[test]
    fn builds_have_names() {
        let check = |major, minor, build, expected: Option<&str>| {
            let name = windows(Version { major, minor, build }).map(|fact| match fact {
                Fact::OperatingSystem { name, .. } => name,
                other => panic!("{other:?}"),
            });
            assert_eq!(name.as_deref(), expected, "{major}.{minor}.{build}");
        };
        check(6, 1, 0, None);
        check(6, 1, 7601, Some("Windows 7 or Windows Server 2008 R2"));
        check(10, 0, 19045, Some("Windows 10"));
        check(10, 0, 22631, Some("Windows 11"));
        check(10, 0, 65000, Some("Windows"));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(
            first in proptest::collection::vec(any::<u8>(), 0..80),
            second in proptest::collection::vec(any::<u8>(), 0..120),
        ) {
            read(std::slice::from_ref(&first));
            read(&[answer(0, 0, &first)]);
            read(&[negotiated(GUID), second.clone()]);
            let second = &second[..second.len().min(100)];
            read(&[negotiated(GUID), answer(1, smb2::MORE_PROCESSING_REQUIRED, second)]);
            let heard = vec![vec![], first];
            let _ = Smb.request(&testing::talk(&heard, false));
        }
    }
}
