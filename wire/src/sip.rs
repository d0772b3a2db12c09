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

    proptest! {
        #[test]
        fn random_bytes_never_panic(text in "\\PC{0,80}") {
            let _ = Response::parse(text.as_bytes());
            let _ = Response::parse(format!("SIP/2.0 200 OK\r\ni: {text}\r\n\r\n").as_bytes());
        }
    }
}
