//! POP3 (RFC 1939, RFC 2449): greeting and capabilities.

use model::{Fact, Service, Transport};
use wire::lines;

use super::{Probe, Reading, Step, Talk, product, stable};

/// The probe.
pub struct Pop3;

impl Probe for Pop3 {
    fn protocol(&self) -> &'static str {
        "pop3"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn ports(&self) -> &'static [u16] {
        &[110, 995]
    }

    fn recognises(&self, banner: &[u8]) -> bool {
        banner.starts_with(b"+OK") || banner.starts_with(b"-ERR")
    }

    fn request(&self, talk: &Talk<'_>) -> Step {
        let heard = talk.heard(talk.said());
        match talk.said() {
            0 if !lines::has_line(heard) => Step::Listen,
            0 if heard.starts_with(b"+OK") => Step::Say(b"CAPA\r\n".to_vec()),
            1 if !is_whole(heard) => Step::Listen,
            1 => Step::Say(b"QUIT\r\n".to_vec()),
            _ => Step::Finish,
        }
    }

    fn read(&self, talk: &Talk<'_>) -> Reading {
        let banner = talk.heard(0);
        if !self.recognises(banner) {
            return Reading::default();
        }
        let line = lines::lines(banner).next().unwrap_or(&[]);
        let line = lines::text(line);
        let text = line.strip_prefix("+OK").or_else(|| line.strip_prefix("-ERR")).unwrap_or(&line);
        let text = text.trim();
        let mut service = Service::of("pop3");
        let mut software = software(text);
        let mut names = Vec::new();
        if talk.heard(1).starts_with(b"+OK") {
            for line in lines::lines(talk.heard(1)).skip(1).take(64) {
                let line = lines::text(line);
                let (name, value) = line.split_once(' ').unwrap_or((&line, ""));
                match name.to_ascii_uppercase().as_str() {
                    "" | "." => {}
                    "IMPLEMENTATION" => {
                        software = software.or_else(|| product::find(value));
                    }
                    name => names.push(name.to_owned()),
                }
            }
        }
        product::put(&mut service, software);
        if let Some(banner) = stable(text) {
            service.attributes.insert("banner".into(), banner);
        }
        names.sort_unstable();
        names.dedup();
        if names.iter().any(|name| name == "STLS") {
            service.attributes.insert("starttls".into(), "yes".into());
        }
        if !names.is_empty() {
            service.attributes.insert("capabilities".into(), names.join(","));
        }
        let mut facts = vec![Fact::Service(service)];
        facts.extend(host(text).and_then(product::host_name_fact));
        facts.extend(product::operating_system(text));
        Reading { facts, evidence: banner.to_vec() }
    }
}

/// A multi-line answer ends with a lone dot; a refusal is one line.
fn is_whole(heard: &[u8]) -> bool {
    if heard.starts_with(b"-") {
        return lines::has_line(heard);
    }
    lines::lines(heard).any(|line| line == b".") && heard.ends_with(b"\n")
}

/// The product that a greeting names.
#[must_use]
pub fn software(greeting: &str) -> Option<product::Product> {
    product::find(greeting).or_else(|| product::guess(super::without_time(greeting)))
}

/// The server's name in a greeting: its first word, or the part behind the `@` of the
/// time stamp for APOP (RFC 1939, section 7).
fn host(greeting: &str) -> Option<&str> {
    let first = greeting.split_whitespace().next()?;
    if product::host_name(first).is_some() {
        return Some(first);
    }
    let (_, rest) = greeting.rsplit_once('<')?;
    let (_, host) = rest.split_once('@')?;
    host.split('>').next()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::probe::testing::{heard, talk};

    #[test]
    fn a_conversation_with_dovecot() {
        let mut turns = heard(&["+OK Dovecot (Debian) ready. <4f.1.6553@mail.example.org>\r\n"]);
        assert_eq!(Pop3.request(&talk(&turns, false)), Step::Say(b"CAPA\r\n".to_vec()));
        turns.push(b"+OK\r\nCAPA\r\nSTLS\r\n".to_vec());
        assert_eq!(Pop3.request(&talk(&turns, false)), Step::Listen);
        turns[1].extend(b"SASL PLAIN\r\n.\r\n");
        assert_eq!(Pop3.request(&talk(&turns, false)), Step::Say(b"QUIT\r\n".to_vec()));
        let facts = Pop3.read(&talk(&turns, true)).facts;
        let Fact::Service(service) = &facts[0] else { panic!("{facts:?}") };
        assert_eq!(service.product.as_deref(), Some("Dovecot"));
        assert_eq!(service.attributes["starttls"], "yes");
        assert_eq!(service.attributes["capabilities"], "CAPA,SASL,STLS");
        assert_eq!(service.attributes["banner"], "Dovecot (Debian) ready.");
        assert!(matches!(&facts[1], Fact::HostName { name, .. } if name == "mail.example.org"));
    }

    #[test]
    fn a_refusal_is_an_answer_too() {
        let turns = heard(&["-ERR too many connections\r\n"]);
        assert_eq!(Pop3.request(&talk(&turns, false)), Step::Finish);
        assert_eq!(Pop3.read(&talk(&turns, true)).facts.len(), 1);
        assert!(Pop3.read(&talk(&heard(&["220 no\r\n"]), true)).facts.is_empty());
    }

    #[test]
    fn agrees_with_the_corpus() {
        crate::probe::corpus::measure_versions("pop_banners", 0.90, software);
    }

    proptest! {
        #[test]
        fn nothing_panics(turns in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 0..80), 1..4)) {
            let mut turns = turns;
            turns[0].splice(0..0, *b"+OK");
            let _ = Pop3.request(&talk(&turns, false));
            let _ = Pop3.read(&talk(&turns, true));
        }
    }
}
