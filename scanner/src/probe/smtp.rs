//! SMTP (RFC 5321): greeting and extensions. Nothing is ever submitted.

use model::{Fact, Service, Transport};
use wire::lines::{self, Reply};

use super::{Probe, Reading, Step, Talk, product};

/// The probe.
pub struct Smtp;

/// The name that we greet with. RFC 2606 keeps `.invalid` free, so it names nobody.
const HELLO: &[u8] = b"EHLO daicho.invalid\r\n";

impl Probe for Smtp {
    fn protocol(&self) -> &'static str {
        "smtp"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn ports(&self) -> &'static [u16] {
        &[25, 587, 465, 2525, 26, 10025]
    }

    fn recognises(&self, banner: &[u8]) -> bool {
        let code = banner.get(..4).unwrap_or(&[]);
        let is_reply =
            [b"220", b"421", b"450", b"521", b"550", b"554"].iter().any(|c| code.starts_with(*c));
        is_reply && !says_ftp(banner)
    }

    fn request(&self, talk: &Talk<'_>) -> Step {
        let (replies, error) = lines::replies(talk.heard(talk.said()));
        match (talk.said(), replies.first()) {
            (0 | 1, None) if error.is_some_and(|e| e.problem != wire::Problem::Truncated) => {
                Step::Finish
            }
            (0 | 1, None) => Step::Listen,
            (0, Some(greeting)) if greeting.code == 220 => Step::Say(HELLO.to_vec()),
            (0 | 1, Some(_)) if talk.said() == 1 => Step::Say(b"QUIT\r\n".to_vec()),
            _ => Step::Finish,
        }
    }

    fn read(&self, talk: &Talk<'_>) -> Reading {
        let greeting = lines::replies(talk.heard(0)).0;
        let hello = lines::replies(talk.heard(1)).0;
        let Some(greeting) = greeting.first() else {
            return Reading::default();
        };
        let hello = hello.first().filter(|reply| reply.code == 250);
        let text = greeting.lines.first().map_or("", String::as_str);
        // An FTP server greets with the same number, and knows no EHLO.
        if hello.is_none() && !speaks_of_mail(&greeting.text()) {
            return Reading::default();
        }
        let mut service = Service::of("smtp");
        product::put(&mut service, software(text));
        if let Some(banner) = super::stable(text) {
            service.attributes.insert("banner".into(), banner);
        }
        if let Some(hello) = hello {
            let extensions = extensions(hello);
            if extensions.iter().any(|name| name == "STARTTLS") {
                service.attributes.insert("starttls".into(), "yes".into());
            }
            service.attributes.insert("capabilities".into(), extensions.join(","));
        }
        let mut facts = vec![Fact::Service(service)];
        let first_word = |reply: &Reply| {
            let line = reply.lines.first()?;
            product::host_name_fact(line.split_whitespace().next()?)
        };
        facts.extend(first_word(greeting).or_else(|| hello.and_then(first_word)));
        facts.extend(product::operating_system(text));
        Reading { facts, evidence: talk.heard(0).to_vec() }
    }
}

fn says_ftp(banner: &[u8]) -> bool {
    banner.to_ascii_lowercase().windows(3).any(|word| word == b"ftp")
}

fn speaks_of_mail(greeting: &str) -> bool {
    let lower = greeting.to_ascii_lowercase();
    ["smtp", "mail", "postfix", "exim"].iter().any(|word| lower.contains(word))
        && !lower.contains("ftp")
}

/// The keywords of an EHLO reply: its lines but the first, without parameters.
fn extensions(hello: &Reply) -> Vec<String> {
    let keyword = |line: &String| line.split([' ', '=']).next().unwrap_or("").to_ascii_uppercase();
    let mut names: Vec<String> = hello.lines.iter().skip(1).take(64).map(keyword).collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| !name.is_empty());
    names
}

/// The product that a greeting (without its code) names.
#[must_use]
pub fn software(greeting: &str) -> Option<product::Product> {
    let known = product::find(greeting);
    if known.as_ref().is_some_and(|product| product.version.is_some()) {
        return known;
    }
    // The time of the greeting is not the product's version.
    let text = super::without_time(greeting);
    let mut words = text.splitn(2, ' ');
    let rest = match words.next() {
        Some(first) if first.contains('.') => words.next().unwrap_or(""),
        _ => text,
    };
    match (known, product::guess(rest)) {
        // One product wears another's name: `Mail-in-a-Box (Postfix)` and the like.
        (Some(known), _) => Some(known),
        (None, guess) => guess,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::probe::testing::{heard, talk};

    #[test]
    fn a_conversation_with_postfix() {
        let mut turns = heard(&["220 mail.example.org ESMTP Postfix (Debian/GNU)\r\n"]);
        assert_eq!(Smtp.request(&talk(&turns, false)), Step::Say(HELLO.to_vec()));
        turns.push(b"250-mail.example.org\r\n250-SIZE 10240000\r\n".to_vec());
        assert_eq!(Smtp.request(&talk(&turns, false)), Step::Listen);
        turns[1].extend(b"250-STARTTLS\r\n250 SMTPUTF8\r\n");
        assert_eq!(Smtp.request(&talk(&turns, false)), Step::Say(b"QUIT\r\n".to_vec()));
        turns.push(Vec::new());
        assert_eq!(Smtp.request(&talk(&turns, false)), Step::Finish);
        let facts = Smtp.read(&talk(&turns, true)).facts;
        let Fact::Service(service) = &facts[0] else { panic!("{facts:?}") };
        assert_eq!(service.product.as_deref(), Some("Postfix"));
        assert_eq!(service.attributes["starttls"], "yes");
        assert_eq!(service.attributes["capabilities"], "SIZE,SMTPUTF8,STARTTLS");
        assert!(
            facts
                .iter()
                .any(|f| matches!(f, Fact::HostName { name, .. } if name == "mail.example.org"))
        );
        assert!(
            facts
                .iter()
                .any(|f| matches!(f, Fact::OperatingSystem { name, .. } if name == "Debian"))
        );
    }

    #[test]
    fn times_are_not_in_facts() {
        let turns =
            heard(&["220 h.example.org ESMTP Exim 4.96 Sun, 22 Nov 2026 10:00:00 +0000\r\n"]);
        let facts = Smtp.read(&talk(&turns, true)).facts;
        let Fact::Service(service) = &facts[0] else { panic!("{facts:?}") };
        assert_eq!(service.attributes["banner"], "h.example.org ESMTP Exim 4.96");
        assert_eq!(service.version.as_deref(), Some("4.96"));
    }

    #[test]
    fn what_is_not_smtp_is_left_to_others() {
        assert!(!Smtp.recognises(b"220 (vsFTPd 3.0.3)\r\n"));
        assert!(Smtp.recognises(b"220 ready\r\n"));
        let turns = heard(&["220 ready\r\n", "500 What?\r\n"]);
        assert!(Smtp.read(&talk(&turns, true)).facts.is_empty());
        let refused = heard(&["554 mail.example.org ESMTP not for you\r\n"]);
        assert_eq!(Smtp.request(&talk(&refused, false)), Step::Finish);
        assert_eq!(Smtp.read(&talk(&refused, true)).facts.len(), 2);
        assert_eq!(Smtp.request(&talk(&heard(&["hello\n"]), false)), Step::Finish);
    }

    #[test]
    fn agrees_with_the_corpus() {
        crate::probe::corpus::measure_versions("smtp_banners", 0.87, software);
    }

    proptest! {
        #[test]
        fn nothing_panics(turns in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 0..80), 1..4)) {
            let mut turns = turns;
            turns[0].splice(0..0, *b"220 ");
            let _ = Smtp.request(&talk(&turns, false));
            let _ = Smtp.read(&talk(&turns, true));
        }
    }
}
