//! Services that hand out data to whoever asks: TFTP and memcached.

use model::{Fact, Service};
use wire::{Reader, lines, tftp};

use crate::probe::{Talk, product, said::attribute, udp::low_half};

/// A file that nobody has.
pub(crate) fn ask_tftp(_: &Talk<'_>) -> Vec<u8> {
    tftp::read_request("daicho.invalid")
}

pub(crate) fn read_tftp(talk: &Talk<'_>) -> Vec<Fact> {
    let Ok(answer) = tftp::Answer::parse(talk.heard(1)) else {
        return Vec::new();
    };
    let mut service = Service::of("tftp");
    if let tftp::Answer::Error { text, .. } = answer {
        attribute(&mut service, "message", &text);
    }
    vec![Fact::Service(service)]
}

/// memcached's protocol.txt, "UDP protocol": request id, sequence, count, reserved; then its
/// text protocol.
pub(crate) fn ask_memcached(talk: &Talk<'_>) -> Vec<u8> {
    let [high, low] = low_half(talk.cookie).to_be_bytes();
    [&[high, low, 0, 0, 0, 1, 0, 0], &b"version\r\n"[..]].concat()
}

pub(crate) fn read_memcached(talk: &Talk<'_>) -> Vec<Fact> {
    let mut r = Reader::new(talk.heard(1));
    if r.u16("request id") != Ok(low_half(talk.cookie)) || r.take("frame header", 6).is_err() {
        return Vec::new();
    }
    let text = r.until("line", b"\r\n").map(lines::text).unwrap_or_default();
    let mut service = Service::of("memcached");
    match text.strip_prefix("VERSION ") {
        Some(version) => {
            let version = version.split(' ').next();
            product::put(&mut service, Some(product::named("memcached", version)));
        }
        // It may be told to keep its version to itself.
        None if text == "ERROR" || text.starts_with("CLIENT_ERROR") => {}
        None => return Vec::new(),
    }
    vec![Fact::Service(service)]
}

#[cfg(test)]
mod tests {
    use crate::probe::udp::tests::{check_cuts, facts, service};

    #[test]
    fn tftp_refuses_in_its_own_words() {
        let answer = b"\0\x05\0\x01File not found\0";
        assert_eq!(service(69, answer).attributes["message"], "File not found");
        check_cuts(69, answer);
        assert_eq!(service(69, b"\0\x03\0\x01data").protocol, "tftp");
    }

    #[test]
    fn memcached_tells_its_version() {
        let frame = b"\x0c\x0d\0\0\0\x01\0\0VERSION 1.6.18\r\n";
        let found = service(11211, frame);
        assert_eq!(
            (found.protocol.as_str(), found.version.as_deref()),
            ("memcached", Some("1.6.18"))
        );
        check_cuts(11211, frame);
        assert_eq!(facts(11211, b"\x0c\x0d\0\0\0\x01\0\0HELLO\r\n"), []);
    }
}
