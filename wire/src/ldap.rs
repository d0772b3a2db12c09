//! The Lightweight Directory Access Protocol, RFC 4511: the one search that every server
//! allows without a bind, for its root DSE (RFC 4512, section 5.1), its answer, and the request
//! to go on in TLS (section 4.14).
//!
//! The same bytes work over UDP with Active Directory ([MS-ADTS], section 3.1.1.3.2).

use crate::{
    Malformed, Reader,
    ber::{self, tag},
};

const SEARCH_REQUEST: u8 = 0x63;
const SEARCH_ENTRY: u8 = 0x64;
const SEARCH_DONE: u8 = 0x65;
const UNBIND_REQUEST: u8 = 0x42;
const EXTENDED_REQUEST: u8 = 0x77;
const EXTENDED_RESPONSE: u8 = 0x78;

/// An attribute of an entry: its description, and its values as sent.
pub type Attribute = (String, Vec<Vec<u8>>);

/// A message from a server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Message {
    /// SearchResultEntry, section 4.5.2.
    Entry(Vec<Attribute>),
    /// SearchResultDone.
    Done {
        /// The result code (section 4.1.9): 0 success.
        code: i64,
        /// The diagnostic message.
        diagnostic: Vec<u8>,
    },
    /// ExtendedResponse, section 4.12, without its name and value.
    Extended {
        /// The result code: 0 success.
        code: i64,
        /// The diagnostic message.
        diagnostic: Vec<u8>,
    },
    /// Any other operation, by its tag.
    Other(u8),
}

/// A search of the root DSE for these attributes.
#[must_use]
pub fn search_root(message_id: i32, attributes: &[&str]) -> Vec<u8> {
    const PRESENT: u8 = 0x87; // Filter ::= present [7] AttributeDescription
    let wanted: Vec<Vec<u8>> =
        attributes.iter().map(|name| ber::write(tag::OCTETS, name.as_bytes())).collect();
    let search = ber::write_all(
        SEARCH_REQUEST,
        &[
            ber::write(tag::OCTETS, b""),        // baseObject
            ber::write(tag::ENUMERATED, &[0]),   // scope: baseObject
            ber::write(tag::ENUMERATED, &[0]),   // derefAliases: never
            ber::write_integer(1),               // sizeLimit, entries
            ber::write_integer(5),               // timeLimit, seconds
            ber::write(tag::BOOLEAN, &[0]),      // typesOnly
            ber::write(PRESENT, b"objectClass"), // filter
            ber::write_all(tag::SEQUENCE, &wanted),
        ],
    );
    ber::write_all(tag::SEQUENCE, &[ber::write_integer(message_id), search])
}

/// A request to go on in TLS.
#[must_use]
pub fn start_tls(message_id: i32) -> Vec<u8> {
    const NAME: u8 = 0x80; // requestName [0] LDAPOID
    let name = ber::write(NAME, b"1.3.6.1.4.1.1466.20037");
    let request = ber::write(EXTENDED_REQUEST, &name);
    ber::write_all(tag::SEQUENCE, &[ber::write_integer(message_id), request])
}

/// An unbind: the polite end of a conversation (section 4.3).
#[must_use]
pub fn unbind(message_id: i32) -> Vec<u8> {
    let unbind = ber::write(UNBIND_REQUEST, &[]);
    ber::write_all(tag::SEQUENCE, &[ber::write_integer(message_id), unbind])
}

impl Message {
    /// Takes one message: its id, and what it is.
    pub fn read(r: &mut Reader<'_>) -> Result<(i64, Self), Malformed> {
        let mut r = ber::expect(r, "LDAPMessage", tag::SEQUENCE)?;
        let id = ber::integer(&mut r, "messageID")?;
        let (kind, mut operation) = ber::element(&mut r, "protocolOp")?;
        let message = match kind {
            SEARCH_ENTRY => Self::Entry(entry(&mut operation)?),
            SEARCH_DONE => {
                let (code, diagnostic) = result(&mut operation)?;
                Self::Done { code, diagnostic }
            }
            EXTENDED_RESPONSE => {
                let (code, diagnostic) = result(&mut operation)?;
                Self::Extended { code, diagnostic }
            }
            other => Self::Other(other),
        };
        Ok((id, message))
    }

    /// Takes all whole messages with this id, and says what is wrong with the rest.
    #[must_use]
    pub fn read_all(bytes: &[u8], message_id: i64) -> (Vec<Self>, Option<Malformed>) {
        let mut r = Reader::new(bytes);
        let mut messages = Vec::new();
        while !r.is_at_end() {
            match Self::read(&mut r) {
                Ok((id, message)) if id == message_id => messages.push(message),
                Ok(_) => {}
                Err(why) => return (messages, Some(why)),
            }
        }
        (messages, None)
    }
}

/// Whether a client asks for the root DSE in these messages: a search of the entry without a
/// name and of nothing below it.
#[must_use]
pub fn asks_root(bytes: &[u8]) -> bool {
    const BASE_OBJECT: i64 = 0;
    operations(bytes).any(|(kind, mut operation)| {
        kind == SEARCH_REQUEST
            && ber::octets(&mut operation, "baseObject").is_ok_and(<[u8]>::is_empty)
            && ber::enumerated(&mut operation, "scope") == Ok(BASE_OBJECT)
    })
}

/// The root DSE, if a server shows it in these messages: the one entry without a name. Those with
/// one are of people and their things, and are passed over unread.
#[must_use]
pub fn root(bytes: &[u8]) -> Option<Vec<Attribute>> {
    operations(bytes).find_map(|(kind, mut operation)| {
        let mut ahead = operation.clone();
        let is_root = kind == SEARCH_ENTRY
            && ber::octets(&mut ahead, "objectName").is_ok_and(<[u8]>::is_empty);
        is_root.then(|| entry(&mut operation).ok())?
    })
}

/// The operations of whole messages: their tags, and what is in them.
fn operations<'a>(bytes: &'a [u8]) -> impl Iterator<Item = (u8, Reader<'a>)> {
    let mut r = Reader::new(bytes);
    std::iter::from_fn(move || {
        let mut message = ber::expect(&mut r, "LDAPMessage", tag::SEQUENCE).ok()?;
        ber::integer(&mut message, "messageID").ok()?;
        ber::element(&mut message, "protocolOp").ok()
    })
}

/// The beginning of every LDAPResult: its code and diagnostic message.
fn result(r: &mut Reader<'_>) -> Result<(i64, Vec<u8>), Malformed> {
    let code = ber::enumerated(r, "resultCode")?;
    ber::octets(r, "matchedDN")?;
    Ok((code, ber::octets(r, "diagnosticMessage")?.to_vec()))
}

fn entry(r: &mut Reader<'_>) -> Result<Vec<Attribute>, Malformed> {
    ber::octets(r, "objectName")?;
    let mut list = ber::expect(r, "attributes", tag::SEQUENCE)?;
    let mut attributes = Vec::new();
    while !list.is_at_end() {
        let mut attribute = ber::expect(&mut list, "PartialAttribute", tag::SEQUENCE)?;
        let name = String::from_utf8_lossy(ber::octets(&mut attribute, "type")?).into_owned();
        let mut set = ber::expect(&mut attribute, "vals", tag::SET)?;
        let mut values = Vec::new();
        while !set.is_at_end() {
            values.push(ber::octets(&mut set, "value")?.to_vec());
        }
        attributes.push((name, values));
    }
    Ok(attributes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    fn message(id: i32, operation: Vec<u8>) -> Vec<u8> {
        ber::write_all(tag::SEQUENCE, &[ber::write_integer(id), operation])
    }

    fn attribute(name: &str, values: &[&str]) -> Vec<u8> {
        let values: Vec<Vec<u8>> =
            values.iter().map(|value| ber::write(tag::OCTETS, value.as_bytes())).collect();
        let name = ber::write(tag::OCTETS, name.as_bytes());
        ber::write_all(tag::SEQUENCE, &[name, ber::write_all(tag::SET, &values)])
    }

    fn answer() -> Vec<u8> {
        let attributes = [attribute("vendorName", &["Example"]), attribute("names", &["a", "b"])];
        let entry = ber::write_all(
            SEARCH_ENTRY,
            &[ber::write(tag::OCTETS, b""), ber::write_all(tag::SEQUENCE, &attributes)],
        );
        let mut bytes = message(7, entry);
        let text = ber::write(tag::OCTETS, b"");
        let done = [ber::write(tag::ENUMERATED, &[0]), text.clone(), text];
        bytes.extend(message(7, ber::write_all(SEARCH_DONE, &done)));
        bytes
    }

    #[test]
    fn reads_an_entry_and_the_end() {
        let expected = vec![
            ("vendorName".to_owned(), vec![b"Example".to_vec()]),
            ("names".to_owned(), vec![b"a".to_vec(), b"b".to_vec()]),
        ];
        let (messages, problem) = Message::read_all(&answer(), 7);
        let done = Message::Done { code: 0, diagnostic: Vec::new() };
        assert_eq!(messages, [Message::Entry(expected), done]);
        assert_eq!(problem, None);
        assert_eq!(Message::read_all(&answer(), 8), (Vec::new(), None));
    }

    #[test]
    fn every_cut_keeps_the_whole_messages() {
        let bytes = answer();
        let mut r = Reader::new(&bytes);
        Message::read(&mut r).unwrap();
        let first = r.offset();
        for len in 1..bytes.len() {
            let (messages, problem) = Message::read_all(&bytes[..len], 7);
            assert_eq!(messages.len(), usize::from(len >= first), "cut at {len}");
            if len != first {
                assert_eq!(problem.unwrap().problem, Problem::Truncated, "cut at {len}");
            }
        }
    }

    #[test]
    fn the_question_is_a_search_without_a_bind() {
        let question = search_root(1, &["vendorName"]);
        let expected = b"\x30\x31\x02\x01\x01\x63\x2c\x04\0\x0a\x01\0\x0a\x01\0\x02\x01\x01\
            \x02\x01\x05\x01\x01\0\x87\x0bobjectClass\x30\x0c\x04\x0avendorName";
        assert_eq!(question, expected);
        let (_, read) = Message::read(&mut Reader::new(&question)).unwrap();
        assert_eq!(read, Message::Other(SEARCH_REQUEST));
        assert_eq!(unbind(2), [0x30, 5, 2, 1, 2, 0x42, 0]);
    }

    #[test]
    fn a_request_for_tls_and_its_answer() {
        let expected = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";
        assert_eq!(start_tls(1), expected);
        let text = ber::write(tag::OCTETS, b"");
        let result = [ber::write(tag::ENUMERATED, &[2]), text, ber::write(tag::OCTETS, b"no")];
        let answer = message(1, ber::write_all(EXTENDED_RESPONSE, &result));
        let read = Message::read(&mut Reader::new(&answer));
        assert_eq!(read, Ok((1, Message::Extended { code: 2, diagnostic: b"no".to_vec() })));
    }

    #[test]
    fn the_root_is_told_from_the_entries_of_people() {
        let entry = |name: &str| {
            let name = ber::write(tag::OCTETS, name.as_bytes());
            let list = ber::write_all(tag::SEQUENCE, &[attribute("vendorName", &["Example"])]);
            message(7, ber::write_all(SEARCH_ENTRY, &[name, list]))
        };
        let person = entry("uid=somebody,dc=example");
        let all = [person.clone(), entry("")].concat();
        let expected = vec![("vendorName".to_owned(), vec![b"Example".to_vec()])];
        assert_eq!(root(&all), Some(expected));
        for len in 0..all.len() {
            assert_eq!(root(&all[..len]), None, "cut at {len}");
        }
        assert_eq!(root(&person), None);
        let question = search_root(3, &["vendorName"]);
        assert!(asks_root(&[unbind(2), question.clone()].concat()));
        for len in 0..question.len() {
            assert!(!asks_root(&question[..len]));
        }
        assert!(!asks_root(&all));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Message::read_all(&bytes, 1);
            let _ = Message::read_all(&message(1, ber::write(SEARCH_ENTRY, &bytes)), 1);
        }

        #[test]
        fn damage_never_panics(at in 0_usize..200, with in any::<u8>()) {
            let mut bytes = answer();
            let at = at % bytes.len();
            bytes[at] = with;
            let _ = Message::read_all(&bytes, 7);
        }
    }
}
