//! Simple Service Discovery Protocol (UPnP Device Architecture 2.0, sections 1.2 and 1.3): a
//! search sent to one address, its answer, an HTTP response in a datagram, and what devices
//! tell everybody unasked.

use crate::{Malformed, Reader, http, lines};

/// The port of searches and of what is told to everybody.
pub const PORT: u16 = 1900;

/// An answer to a search.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Answer {
    /// SERVER: operating system, UPnP version, product.
    pub server: Option<String>,
    /// USN: the device's UUID and what answered.
    pub usn: Option<String>,
    /// ST, or NT where nobody searched: what is there.
    pub target: Option<String>,
    /// LOCATION: where the device describes itself.
    pub location: Option<String>,
}

/// A search for root devices, to `host` alone. MX is not asked for in a unicast search,
/// but many devices answer none without it.
#[must_use]
pub fn search(host: &str) -> Vec<u8> {
    format!(
        "M-SEARCH * HTTP/1.1\r\nHOST: {host}\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\n\
         ST: upnp:rootdevice\r\n\r\n"
    )
    .into_bytes()
}

impl Answer {
    /// Reads one datagram.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let response = http::response(bytes)?;
        let field = |name: &str| response.field(name).map(str::to_owned);
        let (server, usn) = (field("server"), field("usn"));
        Ok(Self { server, usn, target: field("st"), location: field("location") })
    }

    /// Reads what a device tells everybody. `None` for a farewell, and for the searches of
    /// others, which are not read on.
    ///
    /// # Errors
    ///
    /// It ends before its head does, or its first line is of neither.
    pub fn of_notice(bytes: &[u8]) -> Result<Option<Self>, Malformed> {
        let mut r = Reader::new(bytes);
        let method = r.until("method", b" ")?;
        match method {
            b"NOTIFY" => {}
            b"M-SEARCH" => return Ok(None),
            _ => return Err(r.invalid("method", method.first().copied().unwrap_or_default())),
        }
        r.until("request line", b"\n")?;
        let values = http::values(&mut r, ["nts", "server", "usn", "nt", "location"])?;
        let [kind, server, usn, target, location] = values.map(|value| value.map(lines::text));
        // ssdp:alive and ssdp:update; some firmware leaves out which.
        let gone = kind.is_some_and(|kind| kind.eq_ignore_ascii_case("ssdp:byebye"));
        Ok((!gone).then_some(Self { server, usn, target, location }))
    }

    /// The device's UUID without its prefix, in lower case, where the USN has one.
    #[must_use]
    pub fn device_uuid(&self) -> Option<String> {
        let usn = self.usn.as_deref()?;
        let (prefix, rest) = usn.split_at_checked(5)?;
        if !prefix.eq_ignore_ascii_case("uuid:") {
            return None;
        }
        let uuid = rest.split("::").next().unwrap_or(rest).trim().to_ascii_lowercase();
        // Not every maker writes a real UUID there, but all write an identifier of this kind.
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        ((8..=64).contains(&uuid.len()) && uuid.chars().all(plain)).then_some(uuid)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\n\
        ST: upnp:rootdevice\r\n\
        USN: uuid:2FAC1234-31F8-11B4-A222-08002B34C003::upnp:rootdevice\r\n\
        SERVER: Linux/5.10 UPnP/1.1 MiniUPnPd/2.3.1\r\n\r\n";

    #[test]
    fn a_device_says_what_it_runs_and_who_it_is() {
        let answer = Answer::parse(ANSWER).unwrap();
        assert_eq!(answer.server.as_deref(), Some("Linux/5.10 UPnP/1.1 MiniUPnPd/2.3.1"));
        let uuid = "2fac1234-31f8-11b4-a222-08002b34c003";
        assert_eq!(answer.device_uuid().as_deref(), Some(uuid));
        for len in 0..ANSWER.len() {
            assert!(Answer::parse(&ANSWER[..len]).is_err(), "cut at {len}");
        }
    }

    #[test]
    fn a_device_tells_everybody_what_it_is() {
        let notice = |kind: &str| {
            format!(
                "NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nNT: upnp:rootdevice\r\n\
                 NTS: ssdp:{kind}\r\nLOCATION: http://192.0.2.7:80/d.xml\r\nSERVER: a\r\n\
                 USN: uuid:11112222-3333::upnp:rootdevice\r\n\r\n"
            )
        };
        let text = |text: &str| Some(text.to_owned());
        let expected = Answer {
            server: text("a"),
            usn: text("uuid:11112222-3333::upnp:rootdevice"),
            target: text("upnp:rootdevice"),
            location: text("http://192.0.2.7:80/d.xml"),
        };
        let bytes = notice("alive").into_bytes();
        assert_eq!(Answer::of_notice(&bytes), Ok(Some(expected)));
        for len in 0..bytes.len() {
            assert!(Answer::of_notice(&bytes[..len]).is_err(), "cut at {len}");
        }
        assert_eq!(Answer::of_notice(notice("byebye").as_bytes()), Ok(None));
        assert_eq!(Answer::of_notice(&search("192.0.2.7:1900")), Ok(None));
        assert_eq!(Answer::of_notice(ANSWER).unwrap_err().field, "method");
    }

    #[test]
    fn a_usn_without_a_number_gives_none() {
        let check = |usn: &str, expected: Option<&str>| {
            let answer = Answer { usn: Some(usn.into()), ..Answer::default() };
            assert_eq!(answer.device_uuid().as_deref(), expected);
        };
        check("uuid:11112222-3333", Some("11112222-3333"));
        check("uuid:x", None);
        check("uuid:bad number here", None);
        check("urn:schemas", None);
        check("é", None);
    }

    #[test]
    fn the_question_names_whom_it_asks() {
        let question = String::from_utf8(search("[2001:db8::1]:1900")).unwrap();
        assert!(question.contains("\r\nHOST: [2001:db8::1]:1900\r\n"));
        assert!(question.ends_with("\r\n\r\n"));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Answer::of_notice(&[b"NOTIFY * H\n", &bytes[..]].concat());
            if let Ok(answer) = Answer::parse(&bytes) {
                let _ = answer.device_uuid();
            }
        }
    }
}
