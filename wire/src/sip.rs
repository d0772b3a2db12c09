//! The Session Initiation Protocol (RFC 3261): OPTIONS, which asks a telephone or a proxy
//! what it can do, and its response.

use crate::{Malformed, Reader, lines};

/// A response.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Response {
    /// The status: 200, 404, …
    pub status: u16,
    /// Call-ID: the question's, repeated.
    pub call_id: String,
    /// Server, or User-Agent where there is no Server: what it runs.
    pub server: Option<String>,
    /// Allow: the methods.
    pub allow: Option<String>,
}

/// The Call-ID of a question.
#[must_use]
pub fn call_id(cookie: u32) -> String {
    format!("{cookie:08x}@daicho.invalid")
}

/// OPTIONS (section 11), for whoever gets it. `rport` asks for the answer to come to where
/// the question came from (RFC 3581).
#[must_use]
pub fn options(cookie: u32) -> Vec<u8> {
    let call_id = call_id(cookie);
    format!(
        "OPTIONS sip:daicho.invalid SIP/2.0\r\nVia: SIP/2.0/UDP daicho.invalid;branch=z9hG4bK{cookie:08x};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:daicho.invalid>;tag={cookie:08x}\r\nTo: <sip:daicho.invalid>\r\n\
         Call-ID: {call_id}\r\nCSeq: 1 OPTIONS\r\nAccept: application/sdp\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

impl Response {
    /// Reads one datagram.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let version = r.until("SIP-Version", b" ")?;
        if !version.eq_ignore_ascii_case(b"SIP/2.0") {
            return Err(r.invalid("SIP-Version", version.first().copied().unwrap_or_default()));
        }
        let status = lines::text(r.until("Status-Code", b" ")?);
        let number = status.parse::<u16>().ok().filter(|number| (100..700).contains(number));
        let Some(status) = number.filter(|_| status.len() == 3) else {
            return Err(r.invalid("Status-Code", 0_u8));
        };
        r.until("Reason-Phrase", b"\r\n")?;
        let fields = r.until("message header", b"\r\n\r\n")?;
        // Names have short forms (section 7.3.3); "Server" and "User-Agent" have none.
        let field = |names: [&str; 2]| {
            lines::lines(fields).find_map(|line| {
                let line = lines::text(line);
                let (name, value) = line.split_once(':')?;
                let known = names.iter().any(|known| name.trim().eq_ignore_ascii_case(known));
                known.then(|| value.trim().to_owned())
            })
        };
        let Some(call_id) = field(["call-id", "i"]) else {
            return Err(r.invalid("Call-ID", 0_u8));
        };
        let server = field(["server", "server"]).or_else(|| field(["user-agent", "user-agent"]));
        Ok(Self { status, call_id, server, allow: field(["allow", "allow"]) })
    }
}

/// What a message of somebody else's says of who sent it. Users, numbers and addresses are in
/// the fields that are passed over.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Overheard {
    /// The status, of a response; `None` for a request.
    pub status: Option<u16>,
    /// The method, of a response the one of its request (CSeq).
    pub method: String,
    /// How many Via fields it has: a request with more than one came through a proxy.
    pub hops: usize,
    /// Whether proxies stay on the way (Record-Route), so that a response may be another's.
    pub routed: bool,
    /// Server or User-Agent of a response, User-Agent of a request.
    pub software: Option<String>,
}

impl Overheard {
    /// Reads one datagram, of which the header has to be whole.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let first = r.until("start line", b"\r\n")?;
        let fields = r.until("message header", b"\r\n\r\n")?;
        let mut words = first.split(|byte| *byte == b' ');
        let (one, two) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut status = None;
        let mut method = lines::text(one);
        if one.eq_ignore_ascii_case(b"SIP/2.0") {
            let number = str::from_utf8(two).ok().filter(|text| text.len() == 3);
            status = number.and_then(|text| text.parse::<u16>().ok());
            if !status.is_some_and(|status| (100..700).contains(&status)) {
                return Err(r.invalid("Status-Code", 0_u8));
            }
        } else if words.next_back().is_none_or(|last| !last.eq_ignore_ascii_case(b"SIP/2.0"))
            || !one.iter().all(u8::is_ascii_uppercase)
        {
            return Err(r.invalid("start line", 0_u8));
        }
        let (mut hops, mut routed) = (0_usize, false);
        let (mut server, mut agent) = (None, None);
        for line in lines::lines(fields) {
            let Some(colon) = memchr::memchr(b':', line) else { continue };
            let Some((name, value)) = line.split_at_checked(colon) else { continue };
            let value = value.get(1..).unwrap_or_default();
            let is = |known: &str| name.trim_ascii().eq_ignore_ascii_case(known.as_bytes());
            if is("via") || is("v") {
                // Several may stand in one line (section 7.3.1).
                let all = value.split(|byte| *byte == b',').count();
                hops = hops.saturating_add(all);
            } else if is("record-route") {
                routed = true;
            } else if is("server") {
                server = Some(lines::text(value).trim().to_owned());
            } else if is("user-agent") {
                agent = Some(lines::text(value).trim().to_owned());
            } else if is("cseq") && status.is_some() {
                let value = lines::text(value);
                method = value.split_whitespace().nth(1).unwrap_or_default().to_owned();
            }
        }
        if hops == 0 {
            return Err(r.invalid("Via", 0_u8));
        }
        let software = if status.is_some() { server.or(agent) } else { agent };
        let software = software.filter(|text| !text.is_empty());
        Ok(Self { status, method, hops, routed, software })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ANSWER: &[u8] = b"SIP/2.0 404 Not Found\r\nVia: SIP/2.0/UDP x\r\ni: 1@x\r\n\
        Allow: INVITE, OPTIONS\r\nUser-Agent: Example/1.2.3\r\nContent-Length: 0\r\n\r\n";

    #[track_caller]
    fn check(bytes: &[u8], status: u16, server: Option<&str>, allow: Option<&str>) {
        let expected = Response {
            status,
            call_id: "1@x".into(),
            server: server.map(str::to_owned),
            allow: allow.map(str::to_owned),
        };
        assert_eq!(Response::parse(bytes), Ok(expected));
        for len in 0..bytes.len() {
            assert!(Response::parse(&bytes[..len]).is_err(), "cut at {len}");
        }
    }

    #[test]
    fn a_telephone_says_what_it_is() {
        check(ANSWER, 404, Some("Example/1.2.3"), Some("INVITE, OPTIONS"));
        let both = b"SIP/2.0 200 OK\r\nCall-ID: 1@x\r\nUser-Agent: a\r\nServer: b\r\n\r\n";
        check(both, 200, Some("b"), None);
    }

    #[test]
    fn what_is_no_response_is_refused() {
        let refused = |bytes: &[u8]| assert!(Response::parse(bytes).is_err());
        refused(&options(7));
        refused(b"SIP/2.0 99 x\r\nCall-ID: 1@x\r\n\r\n");
        refused(b"SIP/3.0 200 OK\r\nCall-ID: 1@x\r\n\r\n");
        refused(b"SIP/2.0 200 OK\r\nServer: x\r\n\r\n");
        refused(b"HTTP/1.1 200 OK\r\nCall-ID: 1@x\r\n\r\n");
        let question = String::from_utf8(options(7)).unwrap();
        assert!(question.contains(&format!("\r\nCall-ID: {}\r\n", call_id(7))), "{question}");
    }

    #[test]
    fn who_sent_it_is_heard_and_for_whom_is_not() {
        let request = b"REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7:5060\r\n\
            From: <sip:alice@example.com>\r\nUser-Agent: Phone/7.1\r\n\
            Authorization: Digest username=\"alice\"\r\nContent-Length: 0\r\n\r\n";
        let heard = Overheard {
            status: None,
            method: "REGISTER".into(),
            hops: 1,
            routed: false,
            software: Some("Phone/7.1".into()),
        };
        assert_eq!(Overheard::parse(request), Ok(heard.clone()));
        assert!(!format!("{heard:?}").contains("alice"));
        for len in 0..request.len() {
            assert!(Overheard::parse(&request[..len]).is_err(), "cut at {len}");
        }
        let response = b"SIP/2.0 401 Unauthorized\r\nv: SIP/2.0/UDP a, SIP/2.0/UDP b\r\n\
            CSeq: 2 REGISTER\r\nServer: Proxy (1.2)\r\nRecord-Route: <sip:x>\r\n\r\n";
        let heard = Overheard {
            status: Some(401),
            method: "REGISTER".into(),
            hops: 2,
            routed: true,
            software: Some("Proxy (1.2)".into()),
        };
        assert_eq!(Overheard::parse(response), Ok(heard));
        let refused = |bytes: &[u8]| assert!(Overheard::parse(bytes).is_err());
        refused(b"GET / HTTP/1.1\r\nVia: x\r\n\r\n");
        refused(b"SIP/2.0 99 x\r\nVia: x\r\n\r\n");
        refused(b"OPTIONS sip:x SIP/2.0\r\nCSeq: 1 x\r\n\r\n");
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(text in "\\PC{0,80}") {
            let _ = Overheard::parse(text.as_bytes());
            let _ = Overheard::parse(format!("X y SIP/2.0\r\nVia: {text}\r\n\r\n").as_bytes());
            let _ = Response::parse(text.as_bytes());
            let _ = Response::parse(format!("SIP/2.0 200 OK\r\ni: {text}\r\n\r\n").as_bytes());
        }
    }
}
