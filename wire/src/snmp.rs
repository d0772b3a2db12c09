//! The Simple Network Management Protocol: GET of version 1 (RFC 1157) and 2c (RFC 3416), and
//! v3 engine discovery (RFC 3414, section 4; RFC 3412, section 6).
//!
//! Discovery needs no credentials: an agent answers a question without an engine id by
//! reporting its own. Its boots and time are passed over: they change by themselves.

use crate::{
    Malformed, Reader,
    ber::{self, tag},
};

const GET_REQUEST: u8 = 0xa0;
const RESPONSE: u8 = 0xa2;
const USER_SECURITY: i32 = 3;

/// A message from an agent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Message {
    /// Version 1 (0) or 2c (1).
    Community {
        /// The version's number.
        version: i64,
        /// The response.
        response: Response,
    },
    /// Version 3.
    V3 {
        /// The question's number, repeated.
        message_id: i64,
        /// msgAuthoritativeEngineID.
        engine_id: Vec<u8>,
    },
}

/// A Response-PDU.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Response {
    /// The question's number, repeated.
    pub request_id: i64,
    /// 0: no error.
    pub error_status: i64,
    /// Object identifiers and their values.
    pub bindings: Vec<(String, Value)>,
}

/// What is to be told of a message that others exchange.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Head {
    /// 0 version 1, 1 version 2c, 3 version 3.
    pub version: u8,
    /// Whether it answers a question; a question or a report of its sender's own otherwise.
    pub answers: bool,
}

/// The port of agents.
pub const PORT: u16 = 161;
/// The port of those to whom agents report.
pub const TRAP_PORT: u16 = 162;

impl Head {
    /// Reads the head of a message. The community, which is a password, is passed over; of
    /// version 3 it cannot be told who asks.
    ///
    /// # Errors
    ///
    /// It ends too soon, or version or kind are none that exist.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let mut r = ber::expect(&mut r, "message", tag::SEQUENCE)?;
        match ber::integer(&mut r, "version")? {
            version @ (0 | 1) => {
                ber::octets(&mut r, "community")?;
                let (kind, _) = ber::element(&mut r, "PDU")?;
                // GetRequest to Report (RFC 3416, section 3).
                if !(GET_REQUEST..=0xa8).contains(&kind) {
                    return Err(r.invalid("PDU", kind));
                }
                Ok(Self { version: u8::from(version == 1), answers: kind == RESPONSE })
            }
            3 => Ok(Self { version: 3, answers: false }),
            version => Err(r.invalid("version", u32::try_from(version).unwrap_or(u32::MAX))),
        }
    }
}

/// The value of a variable.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Value {
    /// OCTET STRING.
    Octets(Vec<u8>),
    /// OBJECT IDENTIFIER.
    Oid(String),
    /// Any other type or exception, by its tag.
    Other(u8),
}

/// A version of SNMP that knows communities.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Version {
    /// Version 1.
    V1,
    /// Version 2c.
    V2c,
}

/// A GET with this community for these objects, each the contents octets of its identifier
/// (X.690, section 8.19).
#[must_use]
pub fn get(version: Version, request_id: i32, community: &str, objects: &[&[u8]]) -> Vec<u8> {
    let bindings: Vec<Vec<u8>> = objects
        .iter()
        .map(|object| {
            let parts = [ber::write(tag::OID, object), ber::write(tag::NULL, &[])];
            ber::write_all(tag::SEQUENCE, &parts)
        })
        .collect();
    let number = match version {
        Version::V1 => 0,
        Version::V2c => 1,
    };
    let parts = [
        ber::write_integer(number),
        ber::write(tag::OCTETS, community.as_bytes()),
        request(request_id, &bindings),
    ];
    ber::write_all(tag::SEQUENCE, &parts)
}

/// A v3 question without engine id and without user, which is answered with a report.
#[must_use]
pub fn discover(message_id: i32) -> Vec<u8> {
    const REPORTABLE: u8 = 4;
    let empty = || ber::write(tag::OCTETS, &[]);
    let global = [
        ber::write_integer(message_id),
        ber::write_integer(65_507), // msgMaxSize: what a UDP datagram can hold
        ber::write(tag::OCTETS, &[REPORTABLE]),
        ber::write_integer(USER_SECURITY),
    ];
    let security =
        [empty(), ber::write_integer(0), ber::write_integer(0), empty(), empty(), empty()];
    let scoped = [empty(), empty(), request(message_id, &[])];
    let parts = [
        ber::write_integer(3),
        ber::write_all(tag::SEQUENCE, &global),
        ber::write(tag::OCTETS, &ber::write_all(tag::SEQUENCE, &security)),
        ber::write_all(tag::SEQUENCE, &scoped),
    ];
    ber::write_all(tag::SEQUENCE, &parts)
}

fn request(request_id: i32, bindings: &[Vec<u8>]) -> Vec<u8> {
    let parts = [
        ber::write_integer(request_id),
        ber::write_integer(0),
        ber::write_integer(0),
        ber::write_all(tag::SEQUENCE, bindings),
    ];
    ber::write_all(GET_REQUEST, &parts)
}

impl Message {
    /// Reads one datagram.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let mut r = ber::expect(&mut r, "message", tag::SEQUENCE)?;
        let version = ber::integer(&mut r, "version")?;
        match version {
            0 | 1 => {
                ber::octets(&mut r, "community")?;
                let response = response(&mut r)?;
                Ok(Self::Community { version, response })
            }
            3 => v3(&mut r),
            _ => Err(r.invalid("version", u32::try_from(version).unwrap_or(u32::MAX))),
        }
    }
}

fn response(r: &mut Reader<'_>) -> Result<Response, Malformed> {
    let mut r = ber::expect(r, "Response-PDU", RESPONSE)?;
    let request_id = ber::integer(&mut r, "request-id")?;
    let error_status = ber::integer(&mut r, "error-status")?;
    ber::integer(&mut r, "error-index")?;
    let mut list = ber::expect(&mut r, "variable-bindings", tag::SEQUENCE)?;
    let mut bindings = Vec::new();
    while !list.is_at_end() {
        let mut binding = ber::expect(&mut list, "VarBind", tag::SEQUENCE)?;
        let name = ber::oid(&mut binding, "name")?;
        let mut ahead = binding.clone();
        let value = match ber::element(&mut ahead, "value")? {
            (tag::OCTETS, contents) => Value::Octets(contents.rest().to_vec()),
            (tag::OID, _) => Value::Oid(ber::oid(&mut binding, "value")?),
            (other, _) => Value::Other(other),
        };
        bindings.push((name, value));
    }
    Ok(Response { request_id, error_status, bindings })
}

fn v3(r: &mut Reader<'_>) -> Result<Message, Malformed> {
    let mut global = ber::expect(r, "msgGlobalData", tag::SEQUENCE)?;
    let message_id = ber::integer(&mut global, "msgID")?;
    ber::integer(&mut global, "msgMaxSize")?;
    ber::octets(&mut global, "msgFlags")?;
    let model = ber::integer(&mut global, "msgSecurityModel")?;
    if model != USER_SECURITY.into() {
        let model = u32::try_from(model).unwrap_or(u32::MAX);
        return Err(global.invalid("msgSecurityModel", model));
    }
    let mut security = ber::expect(r, "msgSecurityParameters", tag::OCTETS)?;
    let mut security = ber::expect(&mut security, "UsmSecurityParameters", tag::SEQUENCE)?;
    let engine_id = ber::octets(&mut security, "msgAuthoritativeEngineID")?.to_vec();
    ber::element(r, "msgData")?;
    Ok(Message::V3 { message_id, engine_id })
}

/// What an engine id is made of (RFC 3411, section 5, SnmpEngineID).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EngineId {
    /// The private enterprise number of the agent's maker (IANA registry).
    pub enterprise: u32,
    /// The link-layer address in it, where it is built of one (format 3).
    pub mac: Option<[u8; 6]>,
}

impl EngineId {
    /// Reads an engine id of 5 to 32 bytes. None for one of another length.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if !(5..=32).contains(&bytes.len()) {
            return None;
        }
        let mut r = Reader::new(bytes);
        let first = r.u32("enterprise").ok()?;
        let mut mac = None;
        // Only with the highest bit set does a format follow; before, it was the maker's own.
        if first & 0x8000_0000 != 0 && r.u8("format").ok()? == 3 {
            mac = r.array("MAC address").ok();
        }
        Some(Self { enterprise: first & 0x7fff_ffff, mac })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    const SYS_DESCR: &[u8] = &[0x2b, 6, 1, 2, 1, 1, 1, 0];

    fn v2_answer() -> Vec<u8> {
        let binding = |oid: &[u8], value: Vec<u8>| {
            ber::write_all(tag::SEQUENCE, &[ber::write(tag::OID, oid), value])
        };
        let bindings = [
            binding(SYS_DESCR, ber::write(tag::OCTETS, b"a switch")),
            binding(&[0x2b, 6, 1, 2, 1, 1, 2, 0], ber::write(tag::OID, &[0x2b, 6, 1, 4, 1, 9])),
            binding(&[0x2b, 6, 1, 2, 1, 1, 5, 0], ber::write(0x81, &[])),
        ];
        let response = [
            ber::write_integer(7),
            ber::write_integer(0),
            ber::write_integer(0),
            ber::write_all(tag::SEQUENCE, &bindings),
        ];
        let parts = [
            ber::write_integer(1),
            ber::write(tag::OCTETS, b"public"),
            ber::write_all(RESPONSE, &response),
        ];
        ber::write_all(tag::SEQUENCE, &parts)
    }

    fn v3_answer(engine: &[u8]) -> Vec<u8> {
        let empty = || ber::write(tag::OCTETS, &[]);
        let global = [
            ber::write_integer(7),
            ber::write_integer(65_507),
            ber::write(tag::OCTETS, &[0]),
            ber::write_integer(3),
        ];
        let security = [
            ber::write(tag::OCTETS, engine),
            ber::write_integer(4),
            ber::write_integer(1234),
            empty(),
            empty(),
            empty(),
        ];
        let parts = [
            ber::write_integer(3),
            ber::write_all(tag::SEQUENCE, &global),
            ber::write(tag::OCTETS, &ber::write_all(tag::SEQUENCE, &security)),
            ber::write_all(tag::SEQUENCE, &[empty(), empty(), ber::write_all(0xa8, &[])]),
        ];
        ber::write_all(tag::SEQUENCE, &parts)
    }

    #[track_caller]
    fn check(bytes: &[u8], expected: Message) {
        assert_eq!(Message::parse(bytes), Ok(expected));
        for len in 0..bytes.len() {
            let error = Message::parse(&bytes[..len]).unwrap_err();
            assert_eq!(error.problem, Problem::Truncated, "cut at {len}");
        }
    }

    #[test]
    fn an_agent_describes_itself() {
        let bindings = vec![
            ("1.3.6.1.2.1.1.1.0".to_owned(), Value::Octets(b"a switch".to_vec())),
            ("1.3.6.1.2.1.1.2.0".to_owned(), Value::Oid("1.3.6.1.4.1.9".to_owned())),
            ("1.3.6.1.2.1.1.5.0".to_owned(), Value::Other(0x81)),
        ];
        let response = Response { request_id: 7, error_status: 0, bindings };
        check(&v2_answer(), Message::Community { version: 1, response });
    }

    #[test]
    fn an_engine_reports_its_id() {
        let engine = [0x80, 0, 0x1f, 0x88, 3, 0, 0, 0x5e, 0, 0x53, 1];
        check(&v3_answer(&engine), Message::V3 { message_id: 7, engine_id: engine.to_vec() });
        let expected = EngineId { enterprise: 8072, mac: Some([0, 0, 0x5e, 0, 0x53, 1]) };
        assert_eq!(EngineId::parse(&engine), Some(expected));
        let old = EngineId { enterprise: 9, mac: None };
        assert_eq!(EngineId::parse(&[0, 0, 0, 9, 3, 1, 2, 3, 4, 5, 6, 7]), Some(old));
        assert_eq!(EngineId::parse(&[0, 0, 0, 9]), None);
    }

    #[test]
    fn the_head_tells_the_version_and_who_asks() {
        let check = |bytes: &[u8], version, answers| {
            assert_eq!(Head::parse(bytes), Ok(Head { version, answers }));
            for len in 0..bytes.len() {
                let error = Head::parse(&bytes[..len]).unwrap_err();
                assert_eq!(error.problem, Problem::Truncated, "cut at {len}");
            }
        };
        check(&v2_answer(), 1, true);
        check(&get(Version::V1, 7, "secret", &[SYS_DESCR]), 0, false);
        check(&discover(7), 3, false);
        let mut wrong = get(Version::V1, 7, "s", &[]);
        wrong[8] = 0x30;
        assert_eq!(Head::parse(&wrong).unwrap_err().field, "PDU");
    }

    #[test]
    fn our_questions_are_not_answers() {
        for (version, number) in [(Version::V1, 0), (Version::V2c, 1)] {
            let question = get(version, 7, "public", &[SYS_DESCR]);
            assert_eq!(question[2..5], [2, 1, number]);
            assert_eq!(Message::parse(&question).unwrap_err().field, "Response-PDU");
        }
        // A discovery has the form of its answer, with an empty id.
        let engine_id = Vec::new();
        check(&discover(0x1234_5678), Message::V3 { message_id: 0x1234_5678, engine_id });
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Message::parse(&bytes);
            let _ = Head::parse(&bytes);
            let _ = EngineId::parse(&bytes);
        }

        #[test]
        fn damage_never_panics(at in 0_usize..300, with in any::<u8>(), v3 in any::<bool>()) {
            let mut bytes = if v3 { v3_answer(&[1; 12]) } else { v2_answer() };
            let at = at % bytes.len();
            bytes[at] = with;
            let _ = Message::parse(&bytes);
        }
    }
}
