//! PostgreSQL: a start-up packet that every server refuses, and its refusal.
//!
//! No login, no user name: the server's first check is the protocol's version. It says
//! which it supports, and which function of its source refused. Its own version is told
//! to nobody before a login; the protocol versions bound it.

use model::{Fact, Service, Transport};
use wire::{
    Problem, lines,
    postgresql::{self, ErrorResponse},
};

use super::{
    Probe, Reading, Step, Talk,
    said::{attribute, name_product},
};

/// The probe.
pub struct Postgresql;

impl Probe for Postgresql {
    fn protocol(&self) -> &'static str {
        "postgresql"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn ports(&self) -> &'static [u16] {
        &[5432, 5433, 6432]
    }

    fn recognises(&self, _banner: &[u8]) -> bool {
        false
    }

    fn request(&self, talk: &Talk<'_>) -> Step {
        match talk.said() {
            0 if talk.heard(0).is_empty() => Step::Say(postgresql::impossible_startup()),
            1 => match ErrorResponse::parse(talk.heard(1)) {
                Err(why) if why.problem == Problem::Truncated && !talk.ended => Step::Listen,
                _ => Step::Finish,
            },
            _ => Step::Finish,
        }
    }

    fn read(&self, talk: &Talk<'_>) -> Reading {
        let Ok(error) = ErrorResponse::parse(talk.heard(1)) else {
            return Reading::default();
        };
        let field = |kind| error.field(kind).map(lines::text).unwrap_or_default();
        let (message, file, routine) = (field(b'M'), field(b'F'), field(b'R'));
        let state = field(b'C');
        // Something that only this protocol has: an SQL state, or its words before there were any.
        if state.len() != 5 && !message.contains("unsupported frontend protocol") {
            return Reading::default();
        }
        let mut service = Service::of("postgresql");
        if !file.is_empty() && routine == "ProcessStartupPacket" {
            name_product(&mut service, "PostgreSQL", None, Some(("postgresql", "postgresql")));
            // The line moves from release to release: for whoever knows the sources.
            attribute(&mut service, "error_location", &format!("{file}:{}", field(b'L')));
        } else if message.contains("unsupported frontend protocol") && file.is_empty() {
            attribute(&mut service, "error_message", &message);
        }
        attribute(&mut service, "sqlstate", &state);
        if let Some((_, versions)) = message.rsplit_once("server supports ") {
            attribute(&mut service, "protocol_versions", versions);
            if let Some(releases) = releases(versions) {
                attribute(&mut service, "releases", releases);
            }
        }
        Reading { facts: vec![Fact::Service(service)], evidence: talk.heard(1).to_vec() }
    }
}

/// Which releases have these protocol versions (release notes: 14 removed version 2, 18
/// added 3.2).
fn releases(versions: &str) -> Option<&'static str> {
    match versions {
        "1.0 to 3.0" | "2.0 to 3.0" => Some("up to 13"),
        "3.0 to 3.0" => Some("14 to 17"),
        "3.0 to 3.2" => Some("18 or later"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::probe::testing;

    fn refusal() -> Vec<u8> {
        let fields = b"SFATAL\0VFATAL\0C0A000\0Munsupported frontend protocol 255.0: server \
            supports 3.0 to 3.0\0Fpostmaster.c\0L2195\0RProcessStartupPacket\0\0";
        let mut bytes = b"E".to_vec();
        bytes.extend((fields.len() as u32 + 4).to_be_bytes());
        bytes.extend(fields);
        bytes
    }

    fn service(answer: &[u8]) -> Option<Service> {
        let heard = vec![vec![], answer.to_vec()];
        match Postgresql.read(&testing::talk(&heard, true)).facts.into_iter().next() {
            Some(Fact::Service(service)) => Some(service),
            None => None,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_refusal_bounds_the_release() {
        let service = service(&refusal()).unwrap();
        assert_eq!(service.product.as_deref(), Some("PostgreSQL"));
        assert_eq!(service.version, None);
        assert_eq!(service.attributes["releases"], "14 to 17");
        assert_eq!(service.attributes["error_location"], "postmaster.c:2195");
    }

    #[test]
    fn every_cut_waits_and_says_nothing() {
        let bytes = refusal();
        for len in 0..bytes.len() {
            let heard = vec![vec![], bytes[..len].to_vec()];
            let step = Postgresql.request(&testing::talk(&heard, false));
            assert_eq!(step, Step::Listen, "cut at {len}");
            assert_eq!(service(&bytes[..len]), None, "cut at {len}");
        }
    }

    #[test]
    fn other_answers_are_not_this_protocol() {
        assert_eq!(service(b"HTTP/1.1 400 Bad Request\r\n\r\n"), None);
        assert_eq!(service(b"Error: what?\n\0"), None);
        // A pooler speaks the protocol without saying where in its source.
        let pooler = b"E\0\0\0\x1fSFATAL\0C08P01\0Mbad packet\0\0";
        let service = service(pooler).unwrap();
        assert_eq!(service.product, None);
        assert_eq!(service.attributes["sqlstate"], "08P01");
    }

    #[test]
    fn a_server_that_speaks_first_is_left_alone() {
        let heard = vec![b"220 ready\r\n".to_vec()];
        assert_eq!(Postgresql.request(&testing::talk(&heard, false)), Step::Finish);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let mut framed = vec![b'E', 0, 0, 0, bytes.len() as u8 + 4];
            framed.extend(&bytes);
            service(&framed);
            service(&bytes);
        }
    }
}
