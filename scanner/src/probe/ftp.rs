//! FTP (RFC 959, RFC 2389): greeting, system and features, without logging in.

use model::{Fact, Service, Transport};
use wire::lines;

use super::{Probe, Reading, Step, Talk, product, stable};

/// The probe.
pub struct Ftp;

impl Probe for Ftp {
    fn protocol(&self) -> &'static str {
        "ftp"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn ports(&self) -> &'static [u16] {
        &[21, 990, 2121, 8021, 10021]
    }

    fn recognises(&self, banner: &[u8]) -> bool {
        let is_reply =
            [&b"220"[..], b"120", b"421", b"530"].iter().any(|code| banner.starts_with(code));
        is_reply && !banner.to_ascii_lowercase().windows(4).any(|word| word == b"smtp")
    }

    fn request(&self, talk: &Talk<'_>) -> Step {
        let (replies, error) = lines::replies(talk.heard(talk.said()));
        if error.is_some_and(|error| error.problem != wire::Problem::Truncated) {
            return Step::Finish;
        }
        // 120 says that another reply follows when the server is ready (section 4.2.1).
        let Some(reply) = replies.iter().find(|reply| reply.code != 120) else {
            return if talk.said() < 3 { Step::Listen } else { Step::Finish };
        };
        match talk.said() {
            0 if reply.code == 220 => Step::Say(b"SYST\r\n".to_vec()),
            1 => Step::Say(b"FEAT\r\n".to_vec()),
            2 => Step::Say(b"QUIT\r\n".to_vec()),
            _ => Step::Finish,
        }
    }

    fn read(&self, talk: &Talk<'_>) -> Reading {
        let first = |n: usize| lines::replies(talk.heard(n)).0.into_iter().find(|r| r.code != 120);
        let Some(greeting) = first(0) else {
            return Reading::default();
        };
        let (system, features) = (first(1), first(2));
        let text = greeting.text();
        let lower = text.to_ascii_lowercase();
        // SMTP greets with the same number, and knows neither of the two commands.
        let understood = |code: u16| matches!(code, 200..=299 | 530);
        let answered = system.as_ref().is_some_and(|reply| understood(reply.code))
            || features.as_ref().is_some_and(|reply| understood(reply.code));
        if lower.contains("smtp") || !(answered || lower.contains("ftp")) {
            return Reading::default();
        }
        let mut service = Service::of("ftp");
        product::put(&mut service, software(&text));
        let first_line = greeting.lines.iter().find(|line| !line.trim().is_empty());
        if let Some(banner) = first_line.and_then(|line| stable(line)) {
            service.attributes.insert("banner".into(), banner);
        }
        let system = system.filter(|reply| reply.code == 215).map(|reply| reply.text());
        let mut os = product::operating_system(&text);
        if let Some(system) = system {
            if system.starts_with("Windows_NT") {
                let windows = product::system("Windows", None, Some(("microsoft", "windows")));
                os = os.or(Some(windows));
            }
            service.attributes.insert("system".into(), system);
        }
        if let Some(features) = features.filter(|reply| reply.code == 211) {
            let mut names: Vec<String> = features
                .lines
                .iter()
                .skip(1)
                .take(64)
                .map(|line| line.trim().to_ascii_uppercase())
                .filter(|line| !line.is_empty() && !line.starts_with("END"))
                .collect();
            names.sort_unstable();
            names.dedup();
            if names.iter().any(|name| name.starts_with("AUTH") && name.contains("TLS")) {
                service.attributes.insert("starttls".into(), "yes".into());
            }
            if !names.is_empty() {
                service.attributes.insert("capabilities".into(), names.join(","));
            }
        }
        let mut facts = vec![Fact::Service(service)];
        facts.extend(text.split_whitespace().next().and_then(product::host_name_fact));
        facts.extend(os);
        Reading { facts, evidence: talk.heard(0).to_vec() }
    }
}

/// The product that a greeting names.
#[must_use]
pub fn software(greeting: &str) -> Option<product::Product> {
    if let Some(known) = product::find(greeting) {
        // The version may stand before the name: `1.3.5a Server (ProFTPD)`.
        if known.version.is_some() || known.name != "ProFTPD" {
            return Some(known);
        }
        let version = greeting
            .split_whitespace()
            .rfind(|word| product::is_version(word) && word.contains('.'));
        return Some(product::named("proftpd", version));
    }
    product::guess(super::without_time(greeting))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::probe::testing::{heard, talk};

    #[test]
    fn a_conversation_with_vsftpd() {
        let mut turns = heard(&["220 (vsFTPd 3.0.3)\r\n"]);
        for (said, answer) in [
            ("SYST\r\n", "530 Please login with USER and PASS.\r\n"),
            ("FEAT\r\n", "211-Features:\r\n AUTH TLS\r\n UTF8\r\n211 End\r\n"),
            ("QUIT\r\n", ""),
        ] {
            assert_eq!(Ftp.request(&talk(&turns, false)), Step::Say(said.as_bytes().to_vec()));
            turns.push(answer.as_bytes().to_vec());
        }
        assert_eq!(Ftp.request(&talk(&turns, false)), Step::Finish);
        let facts = Ftp.read(&talk(&turns, true)).facts;
        let Fact::Service(service) = &facts[0] else { panic!("{facts:?}") };
        assert_eq!(service.cpe.as_ref().unwrap().0, {
            "cpe:2.3:a:vsftpd_project:vsftpd:3.0.3:*:*:*:*:*:*:*"
        });
        assert_eq!(service.attributes["starttls"], "yes");
        assert_eq!(service.attributes["capabilities"], "AUTH TLS,UTF8");
    }

    #[test]
    fn windows_says_so() {
        let turns = heard(&["220 Microsoft FTP Service\r\n", "215 Windows_NT\r\n"]);
        let facts = Ftp.read(&talk(&turns, true)).facts;
        assert!(matches!(&facts[1], Fact::OperatingSystem { name, .. } if name == "Windows"));
    }

    #[test]
    fn mail_servers_and_noise_are_left_to_others() {
        let mail = heard(&["220 ready\r\n", "502 no\r\n", "502 no\r\n"]);
        assert!(Ftp.read(&talk(&mail, true)).facts.is_empty());
        assert!(!Ftp.recognises(b"220 h ESMTP SMTP\r\n"));
        assert_eq!(Ftp.request(&talk(&heard(&["HELLO\r\n"]), false)), Step::Finish);
        assert_eq!(Ftp.request(&talk(&heard(&["120 wait\r\n"]), false)), Step::Listen);
    }

    #[test]
    fn agrees_with_the_corpus() {
        crate::probe::corpus::measure_versions("ftp_banners", 0.80, software);
    }

    proptest! {
        #[test]
        fn nothing_panics(turns in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 0..80), 1..5)) {
            let mut turns = turns;
            turns[0].splice(0..0, *b"220 FTP ");
            let _ = Ftp.request(&talk(&turns, false));
            let _ = Ftp.read(&talk(&turns, true));
        }
    }
}
