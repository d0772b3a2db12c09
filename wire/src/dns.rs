//! Domain names asked for and answered: RFC 1035, multicast DNS (RFC 6762), DNS-SD (RFC 6763).
//!
//! Our questions are written here; answers, and what others ask, are decoded by hickory-proto,
//! record by record, so that what came before a broken or missing record is kept. Names are
//! lists of labels: a DNS-SD instance may have dots and blanks inside one.

use std::{fmt, net::IpAddr};

use hickory_proto::{
    op::{Header, HeaderCounts, MessageType, Query},
    rr::{self, RData},
    serialize::binary::{BinDecodable, BinDecoder},
};

use crate::{Malformed, Problem, Reader};

/// Records that are read at most; a datagram of 64 KiB could hold thousands.
const MAX_RECORDS: usize = 512;

/// Record type PTR.
pub const PTR: u16 = 12;
/// Record type TXT.
pub const TXT: u16 = 16;
/// Class IN.
pub const IN: u16 = 1;
/// Class CHAOS, where name servers keep what they say about themselves.
pub const CHAOS: u16 = 3;
/// The bit of a multicast DNS question's class that asks for a unicast answer (RFC 6762,
/// section 5.4).
pub const UNICAST_RESPONSE: u16 = 0x8000;

/// A question: the name in dotted form (labels without dots only), type and class.
pub type Question<'a> = (&'a str, u16, u16);

/// A domain name.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Name(pub Vec<String>);

/// An answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// The transaction id.
    pub id: u16,
    /// RCODE: 0 no error, 3 no such name, 5 refused.
    pub code: u16,
    /// Records of all three sections.
    pub records: Vec<Record>,
    /// How many of them, from the first on, are of the answer section: the others may be about
    /// anybody.
    pub answers: usize,
    /// What is wrong with the rest, where it could not be read.
    pub broken: Option<Malformed>,
}

/// The head of what somebody asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Asked {
    /// The transaction id.
    pub id: u16,
    /// Whether the server shall ask others on (RD): what clients want, and resolvers not.
    pub recursion: bool,
    /// How many questions there are.
    pub questions: u16,
}

impl Asked {
    /// Reads the head of a query. Names that are asked for are nobody's business.
    ///
    /// # Errors
    ///
    /// It is cut, or is no standard query (RFC 1035, section 4.1.1), or asks nothing.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let id = r.u16("ID")?;
        let flags = r.u16("flags")?;
        // A response, an operation other than a query, or the reserved bit.
        if flags & 0xf840 != 0 {
            return Err(r.invalid("flags", flags));
        }
        let questions = r.u16("QDCOUNT")?;
        r.take("ANCOUNT, NSCOUNT, ARCOUNT", 6)?;
        if questions == 0 {
            return Err(r.invalid("QDCOUNT", questions));
        }
        Ok(Self { id, recursion: flags & 0x0100 != 0, questions })
    }
}

/// A resource record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// Its owner.
    pub name: Name,
    /// What it says.
    pub data: Data,
}

/// What a record says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Data {
    /// TXT: its strings.
    Text(Vec<Vec<u8>>),
    /// PTR.
    Pointer(Name),
    /// SRV.
    Service {
        /// The port.
        port: u16,
        /// The host that offers it.
        target: Name,
    },
    /// A or AAAA.
    Address(IpAddr),
    /// Any other type, by its number.
    Other(u16),
}

/// Hands on, part by part, what a message says again when it says the same: all but its number,
/// and the times for which its records may be kept, which grow less from one answer to the next.
///
/// # Errors
///
/// It is cut, or a name in it is none. What was handed on before is no message.
pub fn lasting_parts(bytes: &[u8], take: &mut impl FnMut(&[u8])) -> Result<(), Malformed> {
    let mut r = Reader::new(bytes);
    r.u16("ID")?;
    let mut from = r.offset();
    r.u16("flags")?;
    let questions = r.u16("QDCOUNT")?;
    let mut records = 0_u32;
    for field in ["ANCOUNT", "NSCOUNT", "ARCOUNT"] {
        records = records.saturating_add(r.u16(field)?.into());
    }
    for _ in 0..questions {
        pass_name(&mut r)?;
        r.take("QTYPE, QCLASS", 4)?;
    }
    for _ in 0..records {
        pass_name(&mut r)?;
        r.take("TYPE, CLASS", 4)?;
        take(bytes.get(from..r.offset()).unwrap_or_default());
        r.take("TTL", 4)?;
        from = r.offset();
        let length = r.u16("RDLENGTH")?;
        r.take("RDATA", length.into())?;
    }
    take(bytes.get(from..).unwrap_or_default());
    Ok(())
}

/// Passes over a name, wherever it goes on.
fn pass_name(r: &mut Reader<'_>) -> Result<(), Malformed> {
    loop {
        match r.u8("label")? {
            0 => return Ok(()),
            length @ 1..=63 => {
                r.take("label", length.into())?;
            }
            0xc0.. => {
                r.u8("offset")?;
                return Ok(());
            }
            other => return Err(r.invalid("label", other)),
        }
    }
}

/// A query with these questions and nothing else. Recursion is not asked for.
#[must_use]
pub fn query(id: u16, questions: &[Question<'_>]) -> Vec<u8> {
    let mut out = id.to_be_bytes().to_vec();
    out.extend([0, 0]);
    out.extend(u16::try_from(questions.len()).unwrap_or_default().to_be_bytes());
    out.extend([0; 6]);
    for (name, kind, class) in questions {
        for label in name.split('.').filter(|label| !label.is_empty()) {
            let label: Vec<u8> = label.bytes().take(63).collect();
            out.push(u8::try_from(label.len()).unwrap_or_default());
            out.extend(label);
        }
        out.push(0);
        out.extend(kind.to_be_bytes());
        out.extend(class.to_be_bytes());
    }
    out
}

/// A message with the two bytes of length that come first over TCP (RFC 1035, section 4.2.2).
#[must_use]
pub fn framed(message: &[u8]) -> Vec<u8> {
    let mut out = u16::try_from(message.len()).unwrap_or(u16::MAX).to_be_bytes().to_vec();
    out.extend_from_slice(message);
    out
}

impl Answer {
    /// Reads a response.
    ///
    /// # Errors
    /// Where the header is cut, or it is a query.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        Self::parse_up_to(bytes, |counts| [counts.answers, counts.authorities, counts.additionals])
    }

    /// The same without the records behind the answers, which are not looked at.
    ///
    /// # Errors
    ///
    /// As [`Self::parse`].
    pub fn parse_answers(bytes: &[u8]) -> Result<Self, Malformed> {
        Self::parse_up_to(bytes, |counts| [counts.answers, 0, 0])
    }

    fn parse_up_to(
        bytes: &[u8],
        wanted: impl Fn(&HeaderCounts) -> [u16; 3],
    ) -> Result<Self, Malformed> {
        let cut = Malformed { field: "header", offset: 0, problem: Problem::Truncated };
        let mut decoder = BinDecoder::new(bytes);
        let header = Header::read(&mut decoder).map_err(|_| cut)?;
        if header.metadata.message_type != MessageType::Response {
            return Err(Malformed { field: "QR", offset: 2, problem: Problem::Invalid(0) });
        }
        let mut answer = Self {
            id: header.metadata.id,
            code: header.metadata.response_code.into(),
            records: Vec::new(),
            answers: 0,
            broken: None,
        };
        // Nothing is allocated by these counts, and the loops end at the first failure.
        let counts = &header.counts;
        for _ in 0..counts.queries {
            let at = decoder.index();
            if Query::read(&mut decoder).is_err() {
                answer.broken = Some(broken("question", at));
                return Ok(answer);
            }
        }
        let records: usize = wanted(counts).into_iter().map(usize::from).sum();
        for _ in 0..records.min(MAX_RECORDS) {
            let at = decoder.index();
            let Ok(record) = rr::Record::read(&mut decoder) else {
                answer.broken = Some(broken("resource record", at));
                break;
            };
            answer.records.push(Record::from(&record));
        }
        answer.answers = answer.records.len().min(counts.answers.into());
        Ok(answer)
    }
}

/// Hickory does not tell a cut record from a wrong one; both end the reading.
fn broken(field: &'static str, offset: usize) -> Malformed {
    Malformed { field, offset, problem: Problem::Truncated }
}

impl From<&rr::Record> for Record {
    fn from(record: &rr::Record) -> Self {
        let data = match &record.data {
            RData::A(address) => Data::Address(IpAddr::V4(address.0)),
            RData::AAAA(address) => Data::Address(IpAddr::V6(address.0)),
            RData::PTR(name) => Data::Pointer(Name::from(&name.0)),
            RData::SRV(service) => {
                Data::Service { port: service.port, target: Name::from(&service.target) }
            }
            RData::TXT(text) => Data::Text(text.txt_data.iter().map(|s| s.to_vec()).collect()),
            other => Data::Other(other.record_type().into()),
        };
        Self { name: Name::from(&record.name), data }
    }
}

impl From<&rr::Name> for Name {
    fn from(name: &rr::Name) -> Self {
        Self(name.iter().map(|label| String::from_utf8_lossy(label).into_owned()).collect())
    }
}

/// Labels with dots between them; a dot inside a label is not marked.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, label) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str(".")?;
            }
            f.write_str(label)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One answer to each kind of question, names compressed.
    fn answer() -> Vec<u8> {
        let mut bytes = vec![0x12, 0x34, 0x84, 0, 0, 1, 0, 4, 0, 0, 0, 0];
        bytes.extend(b"\x04_ssh\x04_tcp\x05local\0\0\x0c\0\x01"); // question at 12
        bytes.extend(b"\xc0\x0c\0\x0c\0\x01\0\0\0\x0a\0\x0b\x08My a.b.c\xc0\x0c"); // at 33
        bytes.extend(b"\xc0\x2d\0\x21\x80\x01\0\0\0\x0a\0\x0b\0\0\0\0\0\x16\x02pc\xc0\x16");
        bytes.extend(b"\xc0\x2d\0\x10\x80\x01\0\0\0\x0a\0\x05\x04a=\xc3\xa9");
        bytes.extend(b"\xc0\x16\0\x01\x80\x01\0\0\0\x0a\0\x04\xc0\0\x02\x07");
        bytes
    }

    fn name(labels: &[&str]) -> Name {
        Name(labels.iter().map(|&label| label.to_owned()).collect())
    }

    #[test]
    fn records_are_read_with_labels_that_have_dots() {
        let answer = Answer::parse(&answer()).unwrap();
        assert_eq!((answer.id, answer.code, answer.broken), (0x1234, 0, None));
        let instance = name(&["My a.b.c", "_ssh", "_tcp", "local"]);
        let expected = [
            Data::Pointer(instance.clone()),
            Data::Service { port: 22, target: name(&["pc", "local"]) },
            Data::Text(vec!["a=é".as_bytes().to_vec()]),
            Data::Address("192.0.2.7".parse().unwrap()),
        ];
        assert_eq!(answer.records.iter().map(|r| r.data.clone()).collect::<Vec<_>>(), expected);
        assert_eq!(answer.records[1].name, instance);
        assert_eq!(instance.to_string(), "My a.b.c._ssh._tcp.local");
    }

    #[test]
    fn the_same_said_again_is_the_same_but_for_its_number_and_its_times() {
        let parts = |bytes: &[u8]| {
            let mut all = Vec::new();
            lasting_parts(bytes, &mut |part| all.extend_from_slice(part)).map(|()| all)
        };
        let bytes = answer();
        let whole = parts(&bytes).unwrap();
        // The number, and four times of four bytes.
        assert_eq!(whole.len(), bytes.len() - 2 - 16);
        // Those of the records at 33, 56, 79 and 96, behind a pointer, type and class.
        let passed =
            [0, 1].into_iter().chain([33, 56, 79, 96].into_iter().flat_map(|at| at + 6..at + 10));
        let passed: Vec<usize> = passed.collect();
        for place in 0..bytes.len() {
            let mut other = bytes.clone();
            other[place] ^= 1;
            let same = parts(&other).is_ok_and(|parts| parts == whole);
            assert_eq!(same, passed.contains(&place), "{place}");
            assert!(parts(&bytes[..place]).is_err(), "cut at {place}");
        }
    }

    #[test]
    fn a_cut_keeps_what_came_before_it() {
        let bytes = answer();
        let whole = Answer::parse(&bytes).unwrap().records;
        for len in 0..bytes.len() {
            match Answer::parse(&bytes[..len]) {
                Err(error) => assert!(len < 12 && error.problem == Problem::Truncated),
                Ok(cut) => {
                    assert!(cut.broken.is_some(), "cut at {len}");
                    assert!(whole.starts_with(&cut.records), "cut at {len}");
                }
            }
        }
    }

    #[test]
    fn a_refusal_is_an_answer_and_a_question_is_not() {
        let refused = Answer::parse(&[0, 7, 0x80, 5, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
        assert_eq!((refused.id, refused.code), (7, 5));
        let question = query(7, &[("version.bind", TXT, CHAOS)]);
        assert_eq!(question, b"\0\x07\0\0\0\x01\0\0\0\0\0\0\x07version\x04bind\0\0\x10\0\x03");
        assert_eq!(Answer::parse(&question).unwrap_err().field, "QR");
        assert_eq!(framed(&question)[..2], [0, 30]);
    }

    #[test]
    fn the_answer_section_comes_first() {
        let mut bytes = answer();
        let whole = Answer::parse(&bytes).unwrap();
        assert_eq!((whole.answers, whole.records.len()), (4, 4));
        // One answer, three additional records.
        (bytes[7], bytes[11]) = (1, 3);
        let parts = Answer::parse(&bytes).unwrap();
        assert_eq!((parts.answers, parts.records), (1, whole.records));
    }

    #[test]
    fn what_others_ask_is_known_by_its_head() {
        let mut bytes = query(7, &[("www.example", 1, IN)]);
        let expected = Asked { id: 7, recursion: false, questions: 1 };
        assert_eq!(Asked::parse(&bytes), Ok(expected));
        for len in 0..12 {
            assert_eq!(Asked::parse(&bytes[..len]).unwrap_err().problem, Problem::Truncated);
        }
        bytes[2] = 1;
        assert_eq!(Asked::parse(&bytes), Ok(Asked { recursion: true, ..expected }));
        for (place, value, field) in [(2, 0x80, "flags"), (2, 0x28, "flags"), (5, 0, "QDCOUNT")] {
            let mut other = bytes.clone();
            other[place] = value;
            assert_eq!(Asked::parse(&other).unwrap_err().field, field);
        }
    }

    #[test]
    fn a_name_that_points_at_itself_ends() {
        let mut bytes = vec![0, 1, 0x80, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        bytes.extend(b"\xc0\x0c\0\x01\0\x01\0\0\0\0\0\x04\x7f\0\0\x01");
        assert!(Answer::parse(&bytes).unwrap().broken.is_some());
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Answer::parse(&bytes);
            let _ = Asked::parse(&bytes);
            let mut headed = vec![0, 0, 0x80, 0, 0, 1, 255, 255, 0, 0, 0, 0];
            headed.extend(&bytes);
            let _ = Answer::parse(&headed);
        }

        #[test]
        fn damage_never_panics(at in 0_usize..300, with in any::<u8>()) {
            let mut bytes = answer();
            let at = at % bytes.len();
            bytes[at] = with;
            let _ = Answer::parse(&bytes);
        }
    }
}
