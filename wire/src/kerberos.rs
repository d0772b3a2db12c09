//! Kerberos 5 (RFC 4120): a question for a ticket of a realm that does not exist, for nobody,
//! and the KRB-ERROR that a key distribution centre refuses it with.
//!
//! No principal is named: the question tells no users apart and counts no failed logins.

use crate::{
    Malformed, Reader,
    ber::{self, tag},
};

const AS_REQUEST: u8 = 0x6a;
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
            let mut damaged = refusal();
            let at = at % damaged.len();
            damaged[at] = with;
            let _ = Refusal::parse(&damaged);
        }
    }
}
