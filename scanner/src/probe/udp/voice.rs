//! Telephony and what helps it through NAT: SIP and STUN.

use model::{Fact, Service};
use wire::{sip, stun};

use crate::probe::{Talk, product, said::attribute};

fn transaction(cookie: u32) -> [u8; 12] {
    let [a, b, c, d] = cookie.to_be_bytes();
    [a, b, c, d, a, b, c, d, a, b, c, d]
}

pub(crate) fn ask_stun(talk: &Talk<'_>) -> Vec<u8> {
    stun::binding(transaction(talk.cookie))
}

pub(crate) fn read_stun(talk: &Talk<'_>) -> Vec<Fact> {
    let answer = stun::Response::parse(talk.heard(1));
    let Some(answer) = answer.ok().filter(|answer| answer.id == transaction(talk.cookie)) else {
        return Vec::new();
    };
    let mut service = Service::of("stun");
    if let Some(software) = answer.software {
        product::put(&mut service, product::find(&software).or(product::guess(&software)));
        attribute(&mut service, "server", &software);
    }
    vec![Fact::Service(service)]
}

pub(crate) fn ask_sip(talk: &Talk<'_>) -> Vec<u8> {
    sip::options(talk.cookie)
}

pub(crate) fn read_sip(talk: &Talk<'_>) -> Vec<Fact> {
    let answer = sip::Response::parse(talk.heard(1));
    let ours = sip::call_id(talk.cookie);
    let Some(answer) = answer.ok().filter(|answer| answer.call_id == ours) else {
        return Vec::new();
    };
    let mut service = Service::of("sip");
    if let Some(server) = answer.server {
        attribute(&mut service, "server", &server);
        product::put(&mut service, product::find(&server).or_else(|| product::guess(&server)));
    }
    attribute(&mut service, "methods", &answer.allow.unwrap_or_default());
    vec![Fact::Service(service)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::udp::tests::{COOKIE, check_cuts, facts, service};

    #[test]
    fn a_telephone_names_its_product() {
        let call_id = sip::call_id(COOKIE);
        let text =
            format!("SIP/2.0 200 OK\r\nCall-ID: {call_id}\r\nUser-Agent: Example/1.2.3\r\n\r\n");
        assert_eq!(service(5060, text.as_bytes()).version.as_deref(), Some("1.2.3"));
        check_cuts(5060, text.as_bytes());
        assert_eq!(facts(5060, text.replace('@', ".").as_bytes()), []);
    }

    #[test]
    fn a_stun_server_names_its_software() {
        let mut answer = vec![1, 1, 0, 16, 0x21, 0x12, 0xa4, 0x42];
        answer.extend(transaction(COOKIE));
        answer.extend(b"\x80\x22\0\x0bExample-4.6\0");
        assert_eq!(service(3478, &answer).attributes["server"], "Example-4.6");
        check_cuts(3478, &answer);
        answer[8] ^= 1;
        assert_eq!(facts(3478, &answer), []);
    }
}
