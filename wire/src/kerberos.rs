//! Kerberos 5 (RFC 4120): a question for a ticket of a realm that does not exist, for nobody,
//! and the KRB-ERROR that a key distribution centre refuses it with; and what others' requests and
//! answers say of machines and realms.
//!
//! No principal is named in the question: it tells no users apart and counts no failed logins. The
//! names of users are passed over wherever they stand.

use crate::{
    Malformed, Reader,
    ber::{self, tag},
};

const AS_REQUEST: u8 = 0x6a;
const AS_REPLY: u8 = 0x6b;
const TGS_REQUEST: u8 = 0x6c;
const TGS_REPLY: u8 = 0x6d;
const KRB_ERROR: u8 = 0x7e;
const GENERAL_STRING: u8 = 0x1b;
const GENERALIZED_TIME: u8 = 0x18;

/// The realm that is asked for, less the question's number.
const NOBODYS_REALM: &str = "DAICHO.INVALID";

/// A KRB-ERROR (section 5.9.1). Its times are passed over: they change by themselves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// error-code: 68 wrong realm, 6 no such client, 7 no such server, 60 generic.
    pub code: i64,
    /// realm: of the server that is named.
    pub realm: String,
    /// sname, its parts: in answer to us, the service that was asked for.
    pub server: Vec<String>,
    /// e-text: in its own words.
    pub text: Option<String>,
}

/// The realm of a question: an honest answer repeats it in the name of its service.
#[must_use]
pub fn realm(cookie: u32) -> String {
    format!("X{cookie:08X}.{NOBODYS_REALM}")
}

/// An AS-REQ (section 5.4.1) without a client's name and without pre-authentication.
#[must_use]
pub fn request(cookie: u32) -> Vec<u8> {
    let realm = realm(cookie);
    let string = |text: &str| ber::write(GENERAL_STRING, text.as_bytes());
    let field = |n: u8, contents: &[u8]| ber::write(0xa0 | n, contents);
    let service = ber::write_all(
        tag::SEQUENCE,
        &[
            field(0, &ber::write_integer(2)), // NT-SRV-INST
            field(1, &ber::write_all(tag::SEQUENCE, &[string("krbtgt"), string(&realm)])),
        ],
    );
    // AES-256, AES-128, RC4.
    let ciphers = [18, 17, 23].map(ber::write_integer);
    let nonce = i32::try_from(cookie & 0x7fff_ffff).unwrap_or_default();
    let body = [
        field(0, &ber::write(3, &[0; 5])), // no options: a BIT STRING of 32 bits
        field(2, &string(&realm)),
        field(3, &service),
        field(5, &ber::write(GENERALIZED_TIME, b"19700101000000Z")), // for as long as possible
        field(7, &ber::write_integer(nonce)),
        field(8, &ber::write_all(tag::SEQUENCE, &ciphers)),
    ];
    let parts = [
        field(1, &ber::write_integer(5)),
        field(2, &ber::write_integer(10)),
        field(4, &ber::write_all(tag::SEQUENCE, &body)),
    ];
    ber::write(AS_REQUEST, &ber::write_all(tag::SEQUENCE, &parts))
}

impl Refusal {
    /// Reads one datagram.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let mut whole = ber::expect(&mut r, "KRB-ERROR", KRB_ERROR)?;
        let mut fields = ber::expect(&mut whole, "KRB-ERROR", tag::SEQUENCE)?;
        let mut code = None;
        let (mut realm, mut server, mut text) = (None, Vec::new(), None);
        for (wanted, value) in [(0xa0, 5), (0xa1, 30)] {
            let mut field = ber::expect(&mut fields, "pvno, msg-type", wanted)?;
            if ber::integer(&mut field, "pvno, msg-type")? != value {
                return Err(fields.invalid("pvno, msg-type", wanted));
            }
        }
        while !fields.is_at_end() {
            let (kind, mut field) = ber::element(&mut fields, "field")?;
            match kind {
                0xa6 => code = Some(ber::integer(&mut field, "error-code")?),
                0xa9 => realm = Some(string(&mut field, "realm")?),
                0xaa => server = name(&mut field)?,
                0xab => text = Some(string(&mut field, "e-text")?),
                _ => {}
            }
        }
        match (code, realm) {
            (Some(code), Some(realm)) => Ok(Self { code, realm, server, text }),
            _ => Err(fields.invalid("error-code, realm", 0_u8)),
        }
    }
}

/// What a message between a client and a key distribution centre says of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Message {
    /// A request for a ticket (KDC-REQ, section 5.4.1).
    Request {
        /// The names by which the client's machine calls itself: its account, or its NetBIOS name
        /// among the addresses.
        machines: Vec<String>,
    },
    /// A ticket (KDC-REP, section 5.4.2).
    Ticket {
        /// The realm of the client: that of the centre, where the ticket is the first one.
        realm: Option<String>,
        /// The machine that it is for, where it is for a machine's account.
        machine: Option<String>,
    },
    /// A refusal.
    Refused(Refusal),
}

impl Message {
    /// Reads a message, as a datagram holds one.
    ///
    /// # Errors
    ///
    /// Where it is none of these, or is cut.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let mut ahead = r.clone();
        let kind = ahead.u8("message")?;
        let is_first = match kind {
            AS_REQUEST | TGS_REQUEST => {
                let mut fields = fields(&mut r, kind)?;
                let mut machines = Vec::new();
                while !fields.is_at_end() {
                    let (tag, mut field) = ber::element(&mut fields, "field")?;
                    if tag == 0xa4 {
                        machines = machines_of(&mut field)?;
                    }
                }
                return Ok(Self::Request { machines });
            }
            KRB_ERROR => return Refusal::parse(bytes).map(Self::Refused),
            AS_REPLY => true,
            TGS_REPLY => false,
            _ => return Err(r.invalid("message", kind)),
        };
        let mut fields = fields(&mut r, kind)?;
        let (mut realm, mut machine) = (None, None);
        while !fields.is_at_end() {
            let (tag, mut field) = ber::element(&mut fields, "field")?;
            match tag {
                0xa3 => realm = Some(string(&mut field, "crealm")?).filter(|_| is_first),
                0xa4 => machine = machine_of(&name(&mut field)?),
                _ => {}
            }
        }
        Ok(Self::Ticket { realm, machine })
    }

    /// The message in the record of a TCP stream, and how many bytes it takes (section 7.2.2).
    /// `None` where not all of it is there.
    #[must_use]
    pub fn of_stream(stream: &[u8]) -> Option<(&[u8], usize)> {
        let (length, rest) = stream.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        Some((rest.get(..length)?, length.checked_add(4)?))
    }
}

/// The fields of a message behind its version and type.
fn fields<'a>(r: &mut Reader<'a>, kind: u8) -> Result<Reader<'a>, Malformed> {
    let mut whole = ber::expect(r, "message", kind)?;
    ber::expect(&mut whole, "message", tag::SEQUENCE)
}

/// The machine's own names in the body of a request.
fn machines_of(field: &mut Reader<'_>) -> Result<Vec<String>, Malformed> {
    /// A NetBIOS name (section 7.5.3).
    const NETBIOS: i64 = 20;
    let mut body = ber::expect(field, "req-body", tag::SEQUENCE)?;
    let mut machines = Vec::new();
    while !body.is_at_end() {
        let (kind, mut field) = ber::element(&mut body, "field")?;
        match kind {
            0xa1 => machines.extend(machine_of(&name(&mut field)?)),
            0xa9 => {
                let mut addresses = ber::expect(&mut field, "addresses", tag::SEQUENCE)?;
                while !addresses.is_at_end() {
                    let mut address = ber::expect(&mut addresses, "address", tag::SEQUENCE)?;
                    let mut kind = ber::expect(&mut address, "addr-type", 0xa0)?;
                    let kind = ber::integer(&mut kind, "addr-type")?;
                    let mut value = ber::expect(&mut address, "address", 0xa1)?;
                    let value = ber::octets(&mut value, "address")?;
                    if kind == NETBIOS {
                        let name = crate::lines::text(value);
                        machines.push(name.trim().to_owned());
                    }
                }
            }
            _ => {}
        }
    }
    machines.retain(|name| !name.is_empty());
    Ok(machines)
}

/// The machine whose account that is: `PC-7$` of a domain, or `host/pc-7.example` of a key table.
/// Every other account may be somebody's.
fn machine_of(parts: &[String]) -> Option<String> {
    match parts {
        [account] => account.strip_suffix('$'),
        [service, host] if service.eq_ignore_ascii_case("host") => Some(host.as_str()),
        _ => None,
    }
    .filter(|name| !name.is_empty())
    .map(str::to_owned)
}

fn string(r: &mut Reader<'_>, field: &'static str) -> Result<String, Malformed> {
    let contents = ber::expect(r, field, GENERAL_STRING)?;
    Ok(crate::lines::text(contents.rest()))
}

/// A PrincipalName (section 5.2.2).
fn name(r: &mut Reader<'_>) -> Result<Vec<String>, Malformed> {
    let mut fields = ber::expect(r, "sname", tag::SEQUENCE)?;
    let mut kind = ber::expect(&mut fields, "name-type", 0xa0)?;
    ber::integer(&mut kind, "name-type")?;
    let mut strings = ber::expect(&mut fields, "name-string", 0xa1)?;
    let mut strings = ber::expect(&mut strings, "name-string", tag::SEQUENCE)?;
    let mut parts = Vec::new();
    while !strings.is_at_end() {
        parts.push(string(&mut strings, "name-string")?);
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    fn refusal() -> Vec<u8> {
        let string = |text: &str| ber::write(GENERAL_STRING, text.as_bytes());
        let time = || ber::write(GENERALIZED_TIME, b"20260101000000Z");
        let name = ber::write_all(
            tag::SEQUENCE,
            &[
                ber::write(0xa0, &ber::write_integer(2)),
                ber::write(0xa1, &ber::write_all(tag::SEQUENCE, &[string("krbtgt"), string("X")])),
            ],
        );
        let fields = [
            ber::write(0xa0, &ber::write_integer(5)),
            ber::write(0xa1, &ber::write_integer(30)),
            ber::write(0xa4, &time()),
            ber::write(0xa5, &ber::write_integer(7)),
            ber::write(0xa6, &ber::write_integer(68)),
            ber::write(0xa9, &string("LAB.EXAMPLE")),
            ber::write(0xaa, &name),
            ber::write(0xab, &string("no")),
        ];
        ber::write(KRB_ERROR, &ber::write_all(tag::SEQUENCE, &fields))
    }

    #[test]
    fn a_centre_refuses_and_names_its_realm() {
        let bytes = refusal();
        let expected = Refusal {
            code: 68,
            realm: "LAB.EXAMPLE".into(),
            server: vec!["krbtgt".into(), "X".into()],
            text: Some("no".into()),
        };
        assert_eq!(Refusal::parse(&bytes), Ok(expected));
        for len in 0..bytes.len() {
            assert_eq!(Refusal::parse(&bytes[..len]).unwrap_err().problem, Problem::Truncated);
        }
    }

    fn principal(parts: &[&str]) -> Vec<u8> {
        let parts: Vec<Vec<u8>> =
            parts.iter().map(|part| ber::write(GENERAL_STRING, part.as_bytes())).collect();
        ber::write_all(
            tag::SEQUENCE,
            &[
                ber::write(0xa0, &ber::write_integer(1)),
                ber::write(0xa1, &ber::write_all(tag::SEQUENCE, &parts)),
            ],
        )
    }

    fn asks(client: &[&str], addresses: &[(i32, &[u8])]) -> Vec<u8> {
        let address = |(kind, value): &(i32, &[u8])| {
            ber::write_all(
                tag::SEQUENCE,
                &[
                    ber::write(0xa0, &ber::write_integer(*kind)),
                    ber::write(0xa1, &ber::write(tag::OCTETS, value)),
                ],
            )
        };
        let addresses: Vec<Vec<u8>> = addresses.iter().map(address).collect();
        let body = [
            ber::write(0xa0, &ber::write(3, &[0; 5])),
            ber::write(0xa1, &principal(client)),
            ber::write(0xa2, &ber::write(GENERAL_STRING, b"LAB.EXAMPLE")),
            ber::write(0xa9, &ber::write_all(tag::SEQUENCE, &addresses)),
        ];
        let parts = [
            ber::write(0xa1, &ber::write_integer(5)),
            ber::write(0xa2, &ber::write_integer(10)),
            ber::write(0xa4, &ber::write_all(tag::SEQUENCE, &body)),
        ];
        ber::write(AS_REQUEST, &ber::write_all(tag::SEQUENCE, &parts))
    }

    fn ticket(kind: u8, client: &[&str]) -> Vec<u8> {
        let parts = [
            ber::write(0xa0, &ber::write_integer(5)),
            ber::write(0xa1, &ber::write_integer(11)),
            ber::write(0xa3, &ber::write(GENERAL_STRING, b"LAB.EXAMPLE")),
            ber::write(0xa4, &principal(client)),
            ber::write(0xa5, b"a ticket"),
        ];
        ber::write(kind, &ber::write_all(tag::SEQUENCE, &parts))
    }

    #[test]
    fn machines_are_named_and_people_are_not() {
        let machines = |bytes: &[u8]| match Message::parse(bytes) {
            Ok(Message::Request { machines }) => machines,
            other => panic!("{other:?}"),
        };
        assert_eq!(machines(&asks(&["PC-7$"], &[])), ["PC-7"]);
        assert_eq!(machines(&asks(&["host", "pc-7.example"], &[])), ["pc-7.example"]);
        // A person who logs in at a machine that says its NetBIOS name.
        let at = asks(&["sato"], &[(2, &[192, 0, 2, 7]), (20, b"PC-7           ")]);
        assert_eq!(machines(&at), ["PC-7"]);
        for nobody in [&["sato"][..], &["$"], &["sato", "admin"], &["host", "a", "b"], &[]] {
            assert!(machines(&asks(nobody, &[(20, b"  ")])).is_empty(), "{nobody:?}");
        }
        assert!(machines(&request(7)).is_empty());
        for (kind, realm) in [(AS_REPLY, Some("LAB.EXAMPLE")), (TGS_REPLY, None)] {
            let (realm, machine) = (realm.map(str::to_owned), Some("PC-7".to_owned()));
            let expected = Message::Ticket { realm: realm.clone(), machine };
            assert_eq!(Message::parse(&ticket(kind, &["PC-7$"])), Ok(expected));
            let expected = Message::Ticket { realm, machine: None };
            assert_eq!(Message::parse(&ticket(kind, &["sato"])), Ok(expected));
        }
        let refused = Message::parse(&refusal());
        assert!(matches!(refused, Ok(Message::Refused(Refusal { code: 68, .. }))), "{refused:?}");
    }

    #[test]
    fn a_message_of_a_stream_has_its_length_before_it() {
        let stream = [&[0, 0, 0, 3][..], b"abcd"].concat();
        assert_eq!(Message::of_stream(&stream), Some((&b"abc"[..], 7)));
        assert_eq!(Message::of_stream(&stream[..6]), None);
        assert_eq!(Message::of_stream(&[0xff; 8]), None);
    }

    #[test]
    fn the_question_names_nobody() {
        let question = request(0x0a0b_0c0d);
        assert_eq!(Refusal::parse(&question).unwrap_err().field, "KRB-ERROR");
        let mut r = Reader::new(&question);
        let mut inner = ber::expect(&mut r, "AS-REQ", AS_REQUEST).unwrap();
        let mut fields = ber::expect(&mut inner, "AS-REQ", tag::SEQUENCE).unwrap();
        let mut tags = Vec::new();
        let mut body = Reader::new(&[]);
        while let Ok((tag, contents)) = ber::element(&mut fields, "field") {
            tags.push(tag);
            body = contents;
        }
        // No padata (3): nothing is proved, and no password is tried.
        assert_eq!(tags, [0xa1, 0xa2, 0xa4]);
        let mut fields = ber::expect(&mut body, "req-body", tag::SEQUENCE).unwrap();
        let mut tags = Vec::new();
        while let Ok((tag, _)) = ber::element(&mut fields, "field") {
            tags.push(tag);
        }
        // No cname (1).
        assert_eq!(tags, [0xa0, 0xa2, 0xa3, 0xa5, 0xa7, 0xa8]);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..100),
            at in 0_usize..200,
            with: u8,
        ) {
            let _ = Refusal::parse(&bytes);
            let _ = Message::parse(&bytes);
            for mut damaged in [refusal(), asks(&["PC-7$"], &[(20, b"PC-7")]), ticket(AS_REPLY, &["a"])] {
                let at = at % damaged.len();
                damaged[at] = with;
                let _ = Message::parse(&damaged);
            }
        }
    }
}
