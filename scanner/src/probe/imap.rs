//! IMAP (RFC 9051): greeting, capabilities, and what the server says of itself (RFC 2971).

use model::{Fact, Service, Transport};
use wire::lines;

use super::{Probe, Reading, Step, Talk, product, stable};

/// The probe.
pub struct Imap;

impl Probe for Imap {
    fn protocol(&self) -> &'static str {
        "imap"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn ports(&self) -> &'static [u16] {
        &[143, 993]
    }

    fn recognises(&self, banner: &[u8]) -> bool {
        [&b"* OK"[..], b"* BYE", b"* PREAUTH"].iter().any(|start| banner.starts_with(start))
    }

    fn request(&self, talk: &Talk<'_>) -> Step {
        let heard = talk.heard(talk.said());
        match talk.said() {
            0 if !lines::has_line(heard) => Step::Listen,
            0 if heard.starts_with(b"* OK") || heard.starts_with(b"* PREAUTH") => {
                Step::Say(b"a1 CAPABILITY\r\n".to_vec())
            }
            1 if !is_answered(heard, b"a1 ") => Step::Listen,
            1 if capabilities(talk).iter().any(|name| name == "ID") => {
                Step::Say(b"a2 ID NIL\r\n".to_vec())
            }
            1 => Step::Say(b"a3 LOGOUT\r\n".to_vec()),
            2 if talk.heard(1).is_empty() || said_logout(talk) => Step::Finish,
            2 if !is_answered(heard, b"a2 ") => Step::Listen,
            2 => Step::Say(b"a3 LOGOUT\r\n".to_vec()),
            _ => Step::Finish,
        }
    }

    fn read(&self, talk: &Talk<'_>) -> Reading {
        let banner = talk.heard(0);
        if !self.recognises(banner) {
            return Reading::default();
        }
        let line = lines::text(lines::lines(banner).next().unwrap_or(&[]));
        let text = line.splitn(3, ' ').nth(2).unwrap_or("").trim();
        // The response code in brackets lists capabilities, not the product.
        let text = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((_, rest)) => rest.trim(),
            None => text,
        };
        let mut service = Service::of("imap");
        let told = identity(talk.heard(2));
        let software = match told.name.as_deref() {
            Some(name) => Some(product::named(name, told.version.as_deref())),
            None => software(text),
        };
        product::put(&mut service, software);
        if let Some(banner) = stable(text) {
            service.attributes.insert("banner".into(), banner);
        }
        let names = capabilities(talk);
        if names.iter().any(|name| name == "STARTTLS") {
            service.attributes.insert("starttls".into(), "yes".into());
        }
        if !names.is_empty() {
            service.attributes.insert("capabilities".into(), names.join(","));
        }
        let mut facts = vec![Fact::Service(service)];
        let first = text.split_whitespace().next().and_then(product::host_name_fact);
        facts.extend(first.or_else(|| {
            let inside = text.split_once('(')?.1.split(')').next()?;
            product::host_name_fact(inside)
        }));
        facts.extend(product::operating_system(text));
        Reading { facts, evidence: banner.to_vec() }
    }
}

/// Without an ID command the second message was the farewell.
fn said_logout(talk: &Talk<'_>) -> bool {
    !capabilities(talk).iter().any(|name| name == "ID")
}

fn is_answered(heard: &[u8], tag: &[u8]) -> bool {
    let mut whole = heard.split_inclusive(|byte| *byte == b'\n').filter(|l| l.ends_with(b"\n"));
    whole.any(|line| line.starts_with(tag) || line.starts_with(b"* BYE"))
}

fn capabilities(talk: &Talk<'_>) -> Vec<String> {
    let mut names: Vec<String> = lines::lines(talk.heard(1))
        .map(lines::text)
        .filter_map(|line| {
            let list = line.strip_prefix("* CAPABILITY ")?;
            Some(list.split(' ').map(str::to_ascii_uppercase).collect::<Vec<_>>())
        })
        .flatten()
        .take(64)
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[derive(Default)]
struct Identity {
    name: Option<String>,
    version: Option<String>,
}

/// The answer to ID: `* ID ("name" "Dovecot" "version" "2.3")`.
fn identity(heard: &[u8]) -> Identity {
    let mut identity = Identity::default();
    let Some(line) = lines::lines(heard).map(lines::text).find(|line| line.starts_with("* ID ("))
    else {
        return identity;
    };
    let strings: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
    for pair in strings.chunks_exact(2) {
        let value = Some(pair[1].trim().to_owned()).filter(|value| !value.is_empty());
        match pair[0].to_ascii_lowercase().as_str() {
            "name" => identity.name = value,
            "version" => identity.version = value,
            _ => {}
        }
    }
    identity
}

/// The product that a greeting names.
#[must_use]
pub fn software(greeting: &str) -> Option<product::Product> {
    product::find(greeting).or_else(|| product::guess(super::without_time(greeting)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::probe::testing::{heard, talk};

    #[test]
    fn a_conversation_with_dovecot() {
        let mut turns = heard(&["* OK [CAPABILITY IMAP4rev1 ID] Dovecot (Debian) ready.\r\n"]);
        assert_eq!(Imap.request(&talk(&turns, false)), Step::Say(b"a1 CAPABILITY\r\n".to_vec()));
        turns.push(b"* CAPABILITY IMAP4rev1 ID STARTTLS\r\n".to_vec());
        assert_eq!(Imap.request(&talk(&turns, false)), Step::Listen);
        turns[1].extend(b"a1 OK done\r\n");
        assert_eq!(Imap.request(&talk(&turns, false)), Step::Say(b"a2 ID NIL\r\n".to_vec()));
        turns.push(b"* ID (\"name\" \"Dovecot\" \"version\" \"2.3.19\")\r\na2 OK\r\n".to_vec());
        assert_eq!(Imap.request(&talk(&turns, false)), Step::Say(b"a3 LOGOUT\r\n".to_vec()));
        turns.push(Vec::new());
        assert_eq!(Imap.request(&talk(&turns, false)), Step::Finish);
        let facts = Imap.read(&talk(&turns, true)).facts;
        let Fact::Service(service) = &facts[0] else { panic!("{facts:?}") };
        assert_eq!(service.product.as_deref(), Some("Dovecot"));
        assert_eq!(service.version.as_deref(), Some("2.3.19"));
        assert_eq!(service.attributes["starttls"], "yes");
        assert!(matches!(&facts[1], Fact::OperatingSystem { name, .. } if name == "Debian"));
    }

    #[test]
    fn without_id_the_farewell_comes_second() {
        let turns =
            heard(&["* OK imap.example.org Cyrus IMAP v2.3.7 server ready\r\n", "a1 BAD\r\n"]);
        assert_eq!(Imap.request(&talk(&turns, false)), Step::Say(b"a3 LOGOUT\r\n".to_vec()));
        let gone = [turns.clone(), vec![Vec::new()]].concat();
        assert_eq!(Imap.request(&talk(&gone, false)), Step::Finish);
        let facts = Imap.read(&talk(&turns, true)).facts;
        let Fact::Service(service) = &facts[0] else { panic!("{facts:?}") };
        assert_eq!(service.product.as_deref(), Some("Cyrus IMAP"));
        assert_eq!(service.version.as_deref(), Some("2.3.7"));
        assert!(matches!(&facts[1], Fact::HostName { name, .. } if name == "imap.example.org"));
    }

    #[test]
    fn agrees_with_the_corpus() {
        crate::probe::corpus::measure_versions("imap_banners", 0.80, software);
    }

    proptest! {
        #[test]
        fn nothing_panics(turns in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 0..80), 1..5)) {
            let mut turns = turns;
            turns[0].splice(0..0, *b"* OK ");
            let _ = Imap.request(&talk(&turns, false));
            if let Some(third) = turns.get_mut(2) {
                third.splice(0..0, *b"* ID (\"");
            }
            let _ = Imap.read(&talk(&turns, true));
        }
    }
}
