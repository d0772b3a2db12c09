//! RTSP (RFC 2326): what a camera or media server answers to OPTIONS.

use model::{Fact, Service, Transport};
use wire::http;

use super::{Probe, Reading, Step, Talk, product};

/// The probe.
pub struct Rtsp;

impl Probe for Rtsp {
    fn protocol(&self) -> &'static str {
        "rtsp"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn ports(&self) -> &'static [u16] {
        &[554, 8554, 10554, 7070, 5554]
    }

    fn recognises(&self, _: &[u8]) -> bool {
        false
    }

    fn request(&self, talk: &Talk<'_>) -> Step {
        match talk.said() {
            0 => Step::Say(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nUser-Agent: Daicho\r\n\r\n".to_vec()),
            1 if http::looks_like_response(talk.heard(1)) || talk.heard(1).is_empty() => {
                match http::response(talk.heard(1)) {
                    Err(error) if error.problem == wire::Problem::Truncated => Step::Listen,
                    _ => Step::Finish,
                }
            }
            _ => Step::Finish,
        }
    }

    fn read(&self, talk: &Talk<'_>) -> Reading {
        let Ok(response) = http::response(talk.heard(1)) else {
            return Reading::default();
        };
        if response.protocol != "RTSP" {
            return Reading::default();
        }
        let mut service = Service::of("rtsp");
        if let Some(server) = response.field("server") {
            product::put(&mut service, super::http::software(server));
            service.attributes.insert("server".into(), server.to_owned());
        }
        if let Some(methods) = response.field("public") {
            service.attributes.insert("methods".into(), methods.to_owned());
        }
        Reading { facts: vec![Fact::Service(service)], evidence: talk.heard(1).to_vec() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::testing::{heard, talk};

    #[test]
    fn options_tell_the_server() {
        let whole = "RTSP/1.0 200 OK\r\nCSeq: 1\r\nServer: Hipcam RealServer/V1.0\r\nPublic: OPTIONS, DESCRIBE\r\n\r\n";
        for len in 0..whole.len() {
            let turns = heard(&["", &whole[..len]]);
            assert_eq!(Rtsp.request(&talk(&turns, false)), Step::Listen, "{len}");
            assert!(Rtsp.read(&talk(&turns, true)).facts.is_empty());
        }
        let turns = heard(&["", whole]);
        assert_eq!(Rtsp.request(&talk(&turns, false)), Step::Finish);
        let facts = Rtsp.read(&talk(&turns, true)).facts;
        let Fact::Service(service) = &facts[0] else { panic!("{facts:?}") };
        assert_eq!(service.product.as_deref(), Some("Hipcam RealServer"));
        assert_eq!(service.version.as_deref(), Some("1.0"));
        assert_eq!(service.attributes["methods"], "OPTIONS, DESCRIBE");
        let web = heard(&["", "HTTP/1.1 400 Bad Request\r\n\r\n"]);
        assert!(Rtsp.read(&talk(&web, true)).facts.is_empty());
    }
}
