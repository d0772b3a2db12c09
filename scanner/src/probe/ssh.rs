//! SSH: identification, offered algorithms, host key.
//!
//! The conversation goes as far as the server's key exchange reply, which carries the
//! host key, and takes its leave before anything would be encrypted. It never comes to
//! authentication. A connection shows one key, so it is made once for each kind of key that
//! the server offers, a certificate in place of its key where there is one. With the server's
//! offer known from the first, the later ones say all they have to say at once.

use model::{Fact, HostCertificate, HostKey, Service, Timestamp, Transport};
use ring::digest;
use wire::{
    Malformed, Problem, Reader, lines,
    ssh::{self, Identification, KexInit, Message},
};

use super::{Probe, Reading, Step, Talk, product};

/// The probe.
pub struct Ssh;

/// What the server has sent so far, over all turns: it speaks whenever it wants to.
#[derive(Default)]
struct State {
    identification: Option<Identification>,
    offer: Option<KexInit>,
    key: Option<Vec<u8>>,
    left: bool,
    malformed: Option<Malformed>,
}

/// What is heard on the first connection: at its beginning, and after our offer, our part of the
/// key exchange and our leave. Each later connection has one message of ours.
const FIRST: usize = 4;

/// Connections for more keys, at most: one for each kind of key there is.
const MAX_MORE: usize = 6;

/// What came of the first connection.
fn first(talk: &Talk<'_>) -> State {
    state(&talk.heard.get(..FIRST).unwrap_or(talk.heard).concat())
}

/// And of each later one.
fn later(talk: &Talk<'_>) -> Vec<State> {
    talk.heard.iter().skip(FIRST).map(|heard| state(heard)).collect()
}

/// What to send on another connection to be shown another key.
fn next_key(talk: &Talk<'_>, first: &State, later: &[State]) -> Option<Vec<u8>> {
    let offer = first.offer.as_ref()?;
    let all = || [first].into_iter().chain(later);
    let kinds: Option<Vec<String>> =
        all().map(|state| ssh::key_algorithm(state.key.as_deref()?).ok()).collect();
    let kinds = kinds?;
    let known: Vec<&str> = kinds.iter().map(|name| ssh::kind_of_key(name)).collect();
    // A server that shows again what was seen does so the next time too.
    let (last, before) = known.split_last()?;
    if before.contains(last) || later.len() >= MAX_MORE {
        return None;
    }
    let exchange = offer.chosen_kex().and_then(ssh::key_exchange)?;
    let mut said = ssh::hello_for(talk.cookie, &[offer.host_key_beside(&known)?]);
    said.extend(exchange);
    Some(said)
}

fn state(stream: &[u8]) -> State {
    let mut r = Reader::new(stream);
    let mut state = State::default();
    match ssh::identification(&mut r) {
        Ok(identification) => state.identification = Some(identification),
        Err(error) => {
            state.malformed = broken(error);
            return state;
        }
    }
    loop {
        match ssh::message(&mut r) {
            Ok(Message::KexInit(offer)) => state.offer = Some(offer),
            Ok(Message::HostKey(key)) => {
                // What follows the new keys message is encrypted and looks like noise.
                state.key = Some(key);
                return state;
            }
            Ok(Message::Disconnect(_)) => {
                state.left = true;
                return state;
            }
            Ok(Message::Other(_)) => {}
            Err(error) => {
                state.malformed = broken(error);
                return state;
            }
        }
    }
}

fn broken(error: Malformed) -> Option<Malformed> {
    (error.problem != Problem::Truncated).then_some(error)
}

impl Probe for Ssh {
    fn protocol(&self) -> &'static str {
        "ssh"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn ports(&self) -> &'static [u16] {
        &[22, 2222, 2022, 22222, 10022, 830, 8022, 115]
    }

    fn recognises(&self, banner: &[u8]) -> bool {
        // Lines before the identification are allowed, and must not begin with `SSH-`.
        lines::lines(banner).any(|line| line.starts_with(b"SSH-"))
    }

    fn request(&self, talk: &Talk<'_>) -> Step {
        let state = first(talk);
        let Some(identification) = &state.identification else {
            return if state.malformed.is_some() { Step::Finish } else { Step::Listen };
        };
        if state.malformed.is_some() || state.left {
            return Step::Finish;
        }
        match talk.said() {
            // SSH 1 has another packet format altogether.
            0 if identification.protocol.starts_with("1.") && identification.protocol != "1.99" => {
                Step::Finish
            }
            0 => Step::Say(ssh::hello(talk.cookie)),
            1 => match &state.offer {
                None => Step::Listen,
                Some(offer) => match offer.chosen_kex().and_then(ssh::key_exchange) {
                    Some(message) => Step::Say(message),
                    None => Step::Finish,
                },
            },
            2 => match state.key {
                None => Step::Listen,
                Some(_) => Step::Say(ssh::disconnect()),
            },
            _ => {
                let later = later(talk);
                let waits = later.last().is_some_and(State::is_open);
                match next_key(talk, &state, &later) {
                    _ if waits && !talk.ended => Step::Listen,
                    Some(said) => Step::Reconnect(said),
                    None => Step::Finish,
                }
            }
        }
    }

    fn read(&self, talk: &Talk<'_>) -> Reading {
        let state = first(talk);
        let Some(identification) = &state.identification else {
            return Reading::default();
        };
        let (software, os) = software(&identification.software, &identification.comment);
        let mut service = Service::of("ssh");
        product::put(&mut service, software);
        let mut put = |name: &str, value: String| {
            if !value.is_empty() {
                service.attributes.insert(name.to_owned(), value);
            }
        };
        let banner = format!("{} {}", identification.software, identification.comment);
        put("banner", banner.trim().to_owned());
        put("distribution", identification.comment.clone());
        put("ssh_protocol", identification.protocol.clone());
        if let Some(offer) = &state.offer {
            put("kex_algorithms", list(&offer.kex));
            put("host_key_algorithms", list(&offer.host_keys));
            put("ciphers", list(&offer.ciphers));
            put("macs", list(&offer.macs));
        }
        let mut facts = vec![Fact::Service(service)];
        facts.extend(os);
        let later = later(talk);
        for blob in [&state].into_iter().chain(&later).filter_map(|state| state.key.as_deref()) {
            for fact in shown(blob).unwrap_or_else(|error| vec![anomaly(error)]) {
                if !facts.contains(&fact) {
                    facts.push(fact);
                }
            }
        }
        facts.extend(state.malformed.map(anomaly));
        Reading { facts, evidence: talk.heard(0).to_vec() }
    }
}

impl State {
    /// Whether more is to come that matters.
    const fn is_open(&self) -> bool {
        self.key.is_none() && !self.left && self.malformed.is_none()
    }
}

/// What a key blob says: a certificate says its key as well.
pub(crate) fn shown(blob: &[u8]) -> Result<Vec<Fact>, Malformed> {
    let key = host_key(blob)?;
    if !ssh::is_certificate(&key.algorithm) {
        return Ok(vec![Fact::HostKey(key)]);
    }
    let certificate = ssh::certificate(blob)?;
    let moment = |seconds: u64| Timestamp::from_seconds(i64::try_from(seconds).unwrap_or(i64::MAX));
    let key = host_key(&certificate.key)?;
    Ok(vec![
        Fact::HostKey(key.clone()),
        Fact::HostCertificate(HostCertificate {
            key,
            authority: host_key(&certificate.authority)?,
            serial: certificate.serial,
            key_id: certificate.key_id,
            principals: certificate.principals,
            not_before: moment(certificate.valid_after),
            not_after: (certificate.valid_before != u64::MAX)
                .then(|| moment(certificate.valid_before)),
        }),
    ])
}

fn host_key(blob: &[u8]) -> Result<HostKey, Malformed> {
    let algorithm = ssh::key_algorithm(blob)?;
    let sha256 = hex(digest::digest(&digest::SHA256, blob).as_ref());
    Ok(HostKey { algorithm, sha256 })
}

fn anomaly(error: Malformed) -> Fact {
    Fact::Anomaly { protocol: "ssh".into(), problem: error.to_string() }
}

/// A list of algorithm names, as long as an attribute should be.
fn list(names: &[String]) -> String {
    let mut out = String::new();
    for name in names.iter().take(64) {
        if out.len() + name.len() > 1_024 {
            break;
        }
        if !out.is_empty() {
            out.push(',');
        }
        out.push_str(name);
    }
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Product and operating system from the software version and the comment.
///
/// Two forms are common: `Name_1.2 remark`, and, from Windows servers, `1.2 library: Name 3.4`.
#[must_use]
pub fn software(software: &str, comment: &str) -> (Option<product::Product>, Option<Fact>) {
    let full = format!("{software} {comment}");
    let full = full.trim();
    if software.starts_with(|c: char| c.is_ascii_digit()) {
        let (version, rest) = full.split_once([' ', '_']).unwrap_or((full, ""));
        let named = match rest.split_once(": ") {
            Some((_, name)) => product::find(name).or_else(|| product::guess(name)),
            None if rest.is_empty() => None,
            None => Some(product::named(rest, Some(version))),
        };
        return (named, product::operating_system(rest));
    }
    let Some((name, version)) = split_name(full) else {
        let name = full.split([':', '(']).next().unwrap_or(full).trim();
        let (name, os) = system_of(name, None, comment);
        return ((!name.is_empty()).then(|| product::named(name, None)), os);
    };
    let (name, os) = system_of(name, Some(version), &full[name.len()..]);
    (Some(product::named(name, Some(version))), os)
}

/// The product's name without its system, and that system.
fn system_of<'a>(name: &'a str, version: Option<&str>, rest: &str) -> (&'a str, Option<Fact>) {
    let lower = name.to_ascii_lowercase();
    if let Some(plain) = lower.strip_suffix("_for_windows") {
        let windows = product::system("Windows", None, Some(("microsoft", "windows")));
        return (&name[..plain.len()], Some(windows));
    }
    match lower.as_str() {
        "rosssh" => (name, Some(product::system("RouterOS", None, Some(("mikrotik", "routeros"))))),
        "comware" => (name, Some(product::system("Comware", version, Some(("hp", "comware"))))),
        _ => {
            let routeros = rest.split_once("Mikrotik_v").map(|(_, version)| version.trim());
            match routeros {
                Some(version) => {
                    let cpe = Some(("mikrotik", "routeros"));
                    (name, Some(product::system("RouterOS", Some(version), cpe)))
                }
                None => (name, product::operating_system(rest)),
            }
        }
    }
}

/// `OpenSSH_9.2p1` is `OpenSSH` and `9.2p1`: the name ends at the separator behind which
/// a version begins, and the version where neither digits, letters nor dots go on.
fn split_name(text: &str) -> Option<(&str, &str)> {
    for (at, c) in text.char_indices().skip(1) {
        if !matches!(c, '_' | '-' | '/' | ' ' | '.') {
            continue;
        }
        let rest = &text[at + 1..];
        let version = rest.strip_prefix(['v', 'V', 'r']).unwrap_or(rest);
        if version.starts_with(|c: char| c.is_ascii_digit()) {
            let end = version
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '.'))
                .unwrap_or(version.len());
            let name = text[..at].trim_end_matches("_release").trim_end_matches(['_', '-']);
            return (!name.is_empty()).then_some((name, &version[..end]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::probe::testing::talk;

    #[track_caller]
    fn check(banner: &str, expected: (Option<&str>, Option<&str>, Option<&str>)) {
        let (name, comment) = banner.split_once(' ').unwrap_or((banner, ""));
        let (product, os) = software(name, comment);
        let os = os.map(|fact| match fact {
            Fact::OperatingSystem { name, version, .. } => match version {
                Some(version) => format!("{name} {version}"),
                None => name,
            },
            other => panic!("{other:?}"),
        });
        let version = product.as_ref().and_then(|p| p.version.as_deref());
        let name = product.as_ref().map(|p| p.name.as_str());
        assert_eq!((name, version, os.as_deref()), expected, "{banner}");
    }

    #[test]
    fn software_versions() {
        check("OpenSSH_9.2p1 Debian-2+deb12u7", (Some("OpenSSH"), Some("9.2p1"), Some("Debian")));
        check("OpenSSH_8.9p1 Ubuntu-3ubuntu0.1", (Some("OpenSSH"), Some("8.9p1"), Some("Ubuntu")));
        check("OpenSSH_for_Windows_8.1", (Some("OpenSSH"), Some("8.1"), Some("Windows")));
        check("OpenSSH_6.1_hpn13v11 FreeBSD-20120901", {
            (Some("OpenSSH"), Some("6.1"), Some("FreeBSD"))
        });
        check("dropbear_2022.83", (Some("Dropbear"), Some("2022.83"), None));
        check("dropbear", (Some("Dropbear"), None, None));
        check("Cisco-1.25", (Some("Cisco SSH"), Some("1.25"), None));
        check("ROSSSH", (Some("ROSSSH"), None, Some("RouterOS")));
        check("5.21 FlowSsh: Bitvise SSH Server (WinSSHD) 6.03", {
            (Some("Bitvise SSH Server"), Some("6.03"), None)
        });
        check("mod_sftp/0.9.9", (Some("mod_sftp"), Some("0.9.9"), None));
        check("Go", (Some("Go"), None, None));
        check("", (None, None, None));
    }

    /// A server's packet.
    fn packet(payload: &[u8]) -> Vec<u8> {
        let mut out = (payload.len() as u32 + 5).to_be_bytes().to_vec();
        out.push(4);
        out.extend(payload);
        out.extend([0; 4]);
        out
    }

    fn string(bytes: &[u8]) -> Vec<u8> {
        [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat()
    }

    fn offer() -> Vec<u8> {
        let mut payload = vec![20];
        payload.extend([1; 16]);
        for names in
            ["curve25519-sha256,x", "ssh-ed25519", "a", "a", "b", "b", "none", "none", "", ""]
        {
            payload.extend(string(names.as_bytes()));
        }
        payload.extend([0; 5]);
        packet(&payload)
    }

    fn key_reply() -> Vec<u8> {
        let blob = [string(b"ssh-ed25519"), string(&[5; 32])].concat();
        packet(&[vec![31], string(&blob), string(&[1; 32]), string(&[2; 83])].concat())
    }

    #[test]
    fn the_conversation_ends_with_the_host_key_and_a_farewell() {
        let greeting = [b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n".to_vec(), offer()].concat();
        let mut heard = vec![greeting];
        for expected_message in [20, 30, 1] {
            let Step::Say(said) = Ssh.request(&talk(&heard, false)) else {
                panic!("nothing said at {}", heard.len());
            };
            let packet = said.strip_prefix(b"SSH-2.0-Daicho\r\n").unwrap_or(&said);
            assert_eq!(packet[5], expected_message);
            heard.push(if expected_message == 30 { key_reply() } else { Vec::new() });
        }
        assert_eq!(Ssh.request(&talk(&heard, false)), Step::Finish);
        let reading = Ssh.read(&talk(&heard, true));
        let sha256 = hex(digest::digest(
            &digest::SHA256,
            &[string(b"ssh-ed25519"), string(&[5; 32])].concat(),
        )
        .as_ref());
        assert!(
            reading
                .facts
                .contains(&Fact::HostKey(HostKey { algorithm: "ssh-ed25519".into(), sha256 }))
        );
        assert!(matches!(&reading.facts[0], Fact::Service(s)
            if s.cpe.as_ref().unwrap().0.starts_with("cpe:2.3:a:openbsd:openssh:9.2p1:")
            && s.attributes["distribution"] == "Debian-2"
            && s.attributes["ciphers"] == "a"));
    }

    #[test]
    fn every_cut_says_what_it_can() {
        let whole = [b"SSH-2.0-x_1\r\n".to_vec(), offer(), key_reply()].concat();
        for len in 0..whole.len() {
            let heard = vec![whole[..len].to_vec()];
            let facts = Ssh.read(&talk(&heard, true)).facts;
            assert!(!facts.iter().any(|f| matches!(f, Fact::HostKey(_) | Fact::Anomaly { .. })));
            assert_eq!(facts.is_empty(), len < 13, "{len}");
        }
    }

    #[test]
    fn garbage_behind_the_greeting_is_an_anomaly() {
        let heard = vec![b"SSH-2.0-x_1\r\n\xff\xff\xff\xff\xff".to_vec()];
        assert_eq!(Ssh.request(&talk(&heard, false)), Step::Finish);
        let facts = Ssh.read(&talk(&heard, true)).facts;
        assert!(matches!(&facts[1], Fact::Anomaly { protocol, .. } if protocol == "ssh"));
    }

    #[test]
    fn agrees_with_the_corpus() {
        use crate::probe::corpus;
        let version = |text: &str| {
            let (name, comment) = text.split_once(' ').unwrap_or((text, ""));
            software(name, comment).0.and_then(|product| product.version)
        };
        corpus::measure("ssh_banners", 0.95, |example| {
            let wanted = example.wants("service.version")?;
            let text = String::from_utf8_lossy(&example.bytes()).into_owned();
            Some(version(text.trim()).as_deref() == Some(wanted))
        });
    }

    proptest! {
        #[test]
        fn nothing_panics(turns in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 0..80), 1..5), name in "\\PC{0,60}") {
            let mut heard = turns;
            heard[0].splice(0..0, *b"SSH-2.0-x\n");
            let _ = Ssh.request(&talk(&heard, false));
            let _ = Ssh.read(&talk(&heard, true));
            let (first, rest) = name.split_once(' ').unwrap_or((&name, ""));
            let _ = software(first, rest);
        }
    }
}
