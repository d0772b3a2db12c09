//! MySQL, MariaDB and their kin: the server's greeting. Nothing is sent.

use model::{Fact, Service, Transport};
use wire::{
    Problem, lines,
    mysql::{CAPABILITY_TLS, Greeting},
};

use super::{
    Probe, Reading, Step, Talk, product,
    said::{attribute, name_product},
};

/// The probe.
pub struct Mysql;

impl Probe for Mysql {
    fn protocol(&self) -> &'static str {
        "mysql"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn ports(&self) -> &'static [u16] {
        &[3306, 3307, 4000]
    }

    fn recognises(&self, banner: &[u8]) -> bool {
        match Greeting::parse(banner) {
            Ok(_) => true,
            // Enough to see a first packet whose payload begins as a greeting does.
            Err(why) => {
                why.problem == Problem::Truncated
                    && matches!(banner, [_, _, 0, 0, 9 | 10 | 0xff, ..])
            }
        }
    }

    fn request(&self, talk: &Talk<'_>) -> Step {
        match Greeting::parse(talk.heard(0)) {
            Err(why) if why.problem == Problem::Truncated && !talk.ended => Step::Listen,
            _ => Step::Finish,
        }
    }

    fn read(&self, talk: &Talk<'_>) -> Reading {
        let Ok(greeting) = Greeting::parse(talk.heard(0)) else {
            return Reading::default();
        };
        let mut service = Service::of("mysql");
        let mut system = None;
        match greeting {
            Greeting::Handshake(handshake) => {
                let text = lines::text(&handshake.version);
                // The version is the first thing in the text; without one it is no greeting.
                if !text.starts_with(|c: char| c.is_ascii_digit()) {
                    return Reading::default();
                }
                name(&mut service, &text);
                system = distribution(&text);
                let tls = handshake.capabilities & CAPABILITY_TLS != 0;
                attribute(&mut service, "starttls", if tls { "yes" } else { "no" });
                attribute(&mut service, "auth_plugin", &lines::text(&handshake.plugin));
            }
            Greeting::Refusal { code, message } => {
                let text = lines::text(&message);
                if text.contains("MariaDB") {
                    name_product(&mut service, "MariaDB", None, Some(("mariadb", "mariadb")));
                } else if text.contains("MySQL") {
                    name_product(&mut service, "MySQL", None, Some(("oracle", "mysql")));
                } else if !(1000..5000).contains(&code) {
                    // Server errors have numbers from 1000 on; anything else is noise.
                    return Reading::default();
                }
                // 1040 (too many connections) and 1129 (blocked after errors) pass; 1130 stays.
                if code == 1130 {
                    attribute(&mut service, "access", "address not allowed");
                }
            }
        }
        let mut facts = vec![Fact::Service(service)];
        facts.extend(system);
        Reading { facts, evidence: talk.heard(0).to_vec() }
    }
}

/// What a version text names: product, version, and the rest of the text.
fn name(service: &mut Service, text: &str) {
    let (name, cpe, version, rest) = identify(text);
    name_product(service, name, Some(version.as_str()).filter(|v| !v.is_empty()), Some(cpe));
    attribute(service, "distribution", rest.trim_matches(['-', '+', '~', ' ']));
}

/// The distribution that built the server: by its name, by the mark on Debian's revisions, or
/// by the release's code name, which MariaDB's own packages carry.
fn distribution(text: &str) -> Option<Fact> {
    const UBUNTU: [&str; 8] =
        ["trusty", "xenial", "bionic", "focal", "jammy", "noble", "ubu2", "ubu1"];
    const DEBIAN: [&str; 9] =
        ["+deb", "~deb", "wheezy", "jessie", "stretch", "buster", "bullseye", "bookworm", "trixie"];
    let has = |marks: &[&str]| marks.iter().any(|mark| text.contains(mark));
    let name = match (has(&UBUNTU), has(&DEBIAN)) {
        (true, _) => "ubuntu",
        (_, true) => "debian",
        (false, false) => text,
    };
    product::operating_system(name)
}

/// Product, its CPE pair, version, and what else the text says.
fn identify(text: &str) -> (&'static str, (&'static str, &'static str), String, &str) {
    if let Some((_, version)) = text.split_once("-TiDB-") {
        let version = version.strip_prefix('v').unwrap_or(version);
        let (version, rest) = split(version);
        return ("TiDB", ("pingcap", "tidb"), version.to_owned(), rest);
    }
    if text.contains("MariaDB") || text.contains("mariadb") {
        // MariaDB 10 and later put 5.5.5 first, so that old replicas do not take the leading
        // 1 for MySQL 1.0 (MariaDB documentation, "Connection", server version).
        let own = text.strip_prefix("5.5.5-").filter(|own| own.starts_with(char::is_numeric));
        let (version, rest) = split(own.unwrap_or(text));
        return ("MariaDB", ("mariadb", "mariadb"), version.to_owned(), rest);
    }
    if let Some((before, rest)) = text.split_once("-maxscale") {
        let version = before.split(' ').next_back().unwrap_or(before);
        return ("MaxScale", ("mariadb", "maxscale"), version.to_owned(), rest);
    }
    let (version, rest) = split(text);
    if let Some((release, rest)) = percona(version, rest) {
        let version = format!("{version}-{release}");
        return ("Percona Server", ("percona", "percona_server"), version, rest);
    }
    ("MySQL", ("oracle", "mysql"), version.to_owned(), rest)
}

/// The leading version, and the rest. Letters belong to a version (`5.0.51a`, `5.0.82sp1`)
/// unless they are a part of their own (`5.0.67.d7`) or name an edition (`5.1.33max`).
fn split(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(text.len());
    let version = text.get(..end).unwrap_or(text);
    let own_part = version
        .match_indices('.')
        .map(|(at, _)| at)
        .find(|at| !version.split_at(*at).1.trim_start_matches('.').starts_with(char::is_numeric));
    let edition = version.find("max").or_else(|| version.find("nt"));
    let end = [own_part, edition].into_iter().flatten().min().unwrap_or(end);
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// Percona's own release behind MySQL's version: `5.6.16-64.0`, `5.1.49-rel12.3`,
/// `8.0.36-28`. A lone number behind an older version is Debian's revision.
fn percona<'a>(version: &str, rest: &'a str) -> Option<(&'a str, &'a str)> {
    let rest = rest.strip_prefix('-')?;
    let (release, after) = split(rest);
    let number = release.strip_prefix("rel").unwrap_or(release);
    let numeric = number.starts_with(char::is_numeric)
        && number.chars().all(|c| c.is_ascii_digit() || c == '.');
    let ended = after.is_empty() || after.starts_with('-');
    let recent = version.split('.').next().and_then(|major| major.parse::<u8>().ok())? >= 8;
    (numeric && ended && (number.contains('.') || recent)).then_some((release, after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::probe::testing;

    #[track_caller]
    fn check(text: &str, product: &str, version: &str, rest: &str) {
        let got = identify(text);
        assert_eq!((got.0, got.2.as_str(), got.3), (product, version, rest), "{text}");
    }

    #[test]
    fn versions_are_told_from_what_packagers_add() {
        check("8.0.36", "MySQL", "8.0.36", "");
        check("8.0.36-0ubuntu0.22.04.1", "MySQL", "8.0.36", "-0ubuntu0.22.04.1");
        check("5.1.49-3-log", "MySQL", "5.1.49", "-3-log");
        check("5.0.51a-24+lenny5", "MySQL", "5.0.51a", "-24+lenny5");
        check("5.5.5-10.11.6-MariaDB-0+deb12u1", "MariaDB", "10.11.6", "-MariaDB-0+deb12u1");
        check("11.4.2-MariaDB-ubu2404", "MariaDB", "11.4.2", "-MariaDB-ubu2404");
        check("5.6.16-64.0-log", "Percona Server", "5.6.16-64.0", "-log");
        check("8.0.36-28", "Percona Server", "8.0.36-28", "");
        check("8.0.11-TiDB-v7.5.1", "TiDB", "7.5.1", "");
    }

    fn greeting(version: &str) -> Vec<u8> {
        let mut payload = vec![10];
        payload.extend(version.as_bytes());
        payload.extend(b"\0\x07\0\0\0abcdefgh\0\xff\xff\xff\x02\0\xff\xdf\x15");
        payload.extend([0; 10]);
        payload.extend(b"ijklmnopqrst\0mysql_native_password\0");
        let mut bytes = vec![payload.len() as u8, 0, 0, 0];
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn a_greeting_becomes_a_service_without_a_word_from_us() {
        let heard = vec![greeting("5.5.5-10.11.6-MariaDB-0+deb12u1")];
        let talk = testing::talk(&heard, false);
        assert!(Mysql.recognises(&heard[0]));
        assert_eq!(Mysql.request(&talk), Step::Finish);
        let reading = Mysql.read(&talk);
        let Fact::Service(service) = &reading.facts[0] else { panic!("{reading:?}") };
        assert_eq!(service.product.as_deref(), Some("MariaDB"));
        let cpe = service.cpe.as_ref().unwrap();
        assert_eq!(cpe.0, "cpe:2.3:a:mariadb:mariadb:10.11.6:*:*:*:*:*:*:*");
        assert_eq!(service.attributes["starttls"], "yes");
        assert_eq!(service.attributes["distribution"], "MariaDB-0+deb12u1");
        assert!(
            matches!(&reading.facts[1], Fact::OperatingSystem { name, .. } if name == "Debian")
        );
    }

    #[test]
    fn every_cut_waits_and_says_nothing() {
        let bytes = greeting("8.0.36");
        for len in 0..bytes.len() {
            let heard = vec![bytes[..len].to_vec()];
            assert_eq!(Mysql.request(&testing::talk(&heard, false)), Step::Listen, "cut at {len}");
            assert_eq!(Mysql.request(&testing::talk(&heard, true)), Step::Finish, "cut at {len}");
            assert_eq!(Mysql.read(&testing::talk(&heard, true)), Reading::default());
        }
    }

    #[test]
    fn a_refusal_names_the_product() {
        let text = b"\xff\x6a\x04Host '192.0.2.9' is not allowed to connect to this MariaDB server";
        let mut bytes = vec![text.len() as u8, 0, 0, 0];
        bytes.extend(text);
        let heard = vec![bytes];
        let reading = Mysql.read(&testing::talk(&heard, true));
        let Fact::Service(service) = &reading.facts[0] else { panic!("{reading:?}") };
        assert_eq!(service.product.as_deref(), Some("MariaDB"));
        assert_eq!(service.attributes["access"], "address not allowed");
    }

    /// Measured against banners that others collected, where `DAICHO_CORPUS` points at them.
    #[test]
    fn the_corpus_agrees() {
        crate::probe::corpus::measure("mysql_banners", 0.94, |example| {
            let (_, _, version, _) = identify(example.text());
            Some(example.wants("service.version")? == version)
        });
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..120),
            text in "\\PC{0,40}",
        ) {
            let heard = vec![bytes];
            let _ = Mysql.recognises(&heard[0]);
            let _ = Mysql.request(&testing::talk(&heard, false));
            let _ = Mysql.read(&testing::talk(&heard, true));
            let _ = identify(&text);
        }
    }
}
