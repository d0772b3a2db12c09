//! memcached (its text protocol): the version.

use model::{Fact, Service, Transport};
use wire::lines;

use super::{Probe, Reading, Step, Talk, product};

/// The probe.
pub struct Memcached;

impl Probe for Memcached {
    fn protocol(&self) -> &'static str {
        "memcached"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn ports(&self) -> &'static [u16] {
        &[11211]
    }

    fn recognises(&self, _: &[u8]) -> bool {
        false
    }

    fn request(&self, talk: &Talk<'_>) -> Step {
        match talk.said() {
            0 => Step::Say(b"version\r\n".to_vec()),
            1 if !lines::has_line(talk.heard(1)) => Step::Listen,
            1 if talk.heard(1).starts_with(b"VERSION ") => Step::Say(b"quit\r\n".to_vec()),
            _ => Step::Finish,
        }
    }

    fn read(&self, talk: &Talk<'_>) -> Reading {
        let heard = talk.heard(1);
        if !heard.starts_with(b"VERSION ") || !lines::has_line(heard) {
            return Reading::default();
        }
        let line = lines::text(lines::lines(heard).next().unwrap_or(&[]));
        let mut service = Service::of("memcached");
        let version = line.split(' ').nth(1);
        product::put(&mut service, Some(product::named("memcached", version)));
        Reading { facts: vec![Fact::Service(service)], evidence: heard.to_vec() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::testing::{heard, talk};

    #[test]
    fn the_version_is_all() {
        let whole = "VERSION 1.6.18\r\n";
        for len in 0..whole.len() {
            let turns = heard(&["", &whole[..len]]);
            assert_eq!(Memcached.read(&talk(&turns, true)).facts, [], "{len}");
            assert_eq!(Memcached.request(&talk(&turns, false)), Step::Listen);
        }
        let turns = heard(&["", whole]);
        assert_eq!(Memcached.request(&talk(&turns, false)), Step::Say(b"quit\r\n".to_vec()));
        let facts = Memcached.read(&talk(&turns, true)).facts;
        assert!(matches!(&facts[0], Fact::Service(s) if s.version.as_deref() == Some("1.6.18")));
        assert!(Memcached.read(&talk(&heard(&["", "ERROR\r\n"]), true)).facts.is_empty());
        assert_eq!(Memcached.request(&talk(&heard(&["", "ERROR\r\n"]), false)), Step::Finish);
    }
}
