//! MongoDB's wire protocol, as far as a server says of itself: `version` of what it answers to
//! buildInfo and `maxWireVersion` of what it answers to hello. Documents are passed over by
//! their lengths; no other value is looked at.

use crate::{Malformed, Reader, lines};

/// What an answer says of the server.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Answer {
    /// `7.0.2`, of buildInfo.
    pub version: Option<String>,
    /// The newest wire version that it speaks, of hello.
    pub wire_version: Option<u32>,
}

/// How many values of a document are looked at.
const MOST_VALUES: usize = 256;

impl Answer {
    /// Takes one message of a server's.
    pub fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        const HEADER: u32 = 16;
        const OP_REPLY: u32 = 1;
        const OP_MSG: u32 = 2013;
        let length = r.u32_le("messageLength")?;
        let Some(length) = length.checked_sub(HEADER) else {
            return Err(r.invalid("messageLength", length));
        };
        r.u32_le("requestID")?;
        let to = r.u32_le("responseTo")?;
        if to == 0 {
            // A client's question.
            return Err(r.invalid("responseTo", to));
        }
        let kind = r.u32_le("opCode")?;
        if kind != OP_REPLY && kind != OP_MSG {
            return Err(r.invalid("opCode", kind));
        }
        let mut r = r.nested("message", usize::try_from(length).unwrap_or(usize::MAX))?;
        if kind == OP_REPLY {
            r.take("flags, cursor, start, number", 20)?;
        } else {
            r.u32_le("flagBits")?;
            let section = r.u8("section kind")?;
            if section != 0 {
                return Err(r.invalid("section kind", section));
            }
        }
        Self::document(&mut r)
    }

    fn document(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        let length = r.u32_le("document length")?;
        let Some(length) = length.checked_sub(4) else {
            return Err(r.invalid("document length", length));
        };
        let mut r = r.nested("document", usize::try_from(length).unwrap_or(usize::MAX))?;
        let mut answer = Self::default();
        for _ in 0..MOST_VALUES {
            let kind = r.u8("element type")?;
            if kind == 0 {
                break;
            }
            let name = r.until("e_name", &[0])?;
            let (value, is_text) = value(&mut r, kind)?;
            match (name, value) {
                (b"version", [text @ .., 0]) if is_text => {
                    answer.version = Some(lines::text(text)).filter(|text| is_version(text));
                }
                (b"maxWireVersion", [a, b, c, d]) if kind == 0x10 => {
                    answer.wire_version = Some(u32::from_le_bytes([*a, *b, *c, *d]));
                }
                _ => {}
            }
        }
        Ok(answer)
    }
}

/// A value of BSON by its type's number (bsonspec.org, version 1.1), and whether it is a text.
fn value<'a>(r: &mut Reader<'a>, kind: u8) -> Result<(&'a [u8], bool), Malformed> {
    let counted = |r: &mut Reader<'a>, less: u32, more: u32| {
        let len = r.u32_le("length")?;
        let Some(len) = len.checked_sub(less).and_then(|len| len.checked_add(more)) else {
            return Err(r.invalid("length", len));
        };
        r.take("value", usize::try_from(len).unwrap_or(usize::MAX))
    };
    let value = match kind {
        0x01 | 0x09 | 0x11 | 0x12 => r.take("value", 8)?,
        0x02 => return Ok((counted(r, 0, 0)?, true)),
        0x03 | 0x04 => counted(r, 4, 0)?,
        0x05 => counted(r, 0, 1)?,
        0x06 | 0x0a | 0x7f | 0xff => &[],
        0x07 => r.take("value", 12)?,
        0x08 => r.take("value", 1)?,
        0x10 => r.take("value", 4)?,
        0x13 => r.take("value", 16)?,
        other => return Err(r.invalid("element type", other)),
    };
    Ok((value, false))
}

fn is_version(text: &str) -> bool {
    (3..=24).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(values: &[u8]) -> Vec<u8> {
        let mut document = (values.len() as u32 + 5).to_le_bytes().to_vec();
        document.extend(values);
        document.push(0);
        let mut out = (document.len() as u32 + 21).to_le_bytes().to_vec();
        out.extend([9, 0, 0, 0, 1, 0, 0, 0, 0xdd, 7, 0, 0, 0, 0, 0, 0, 0]);
        out.extend(document);
        out
    }

    #[test]
    fn a_server_says_its_version() {
        let values =
            b"\x02me\0\x04\0\0\0abc\0\x03x\0\x05\0\0\0\0\x08ok\0\x01\x02version\0\x06\0\0\x007.0.2\0\
            \x10maxWireVersion\0\x15\0\0\0\x05bin\0\x02\0\0\0\x00ab";
        let bytes = answer(values);
        let expected = Answer { version: Some("7.0.2".into()), wire_version: Some(21) };
        assert_eq!(Answer::read(&mut Reader::new(&bytes)), Ok(expected));
        for len in 0..bytes.len() {
            assert!(Answer::read(&mut Reader::new(&bytes[..len])).is_err(), "cut at {len}");
        }
        let mut question = answer(values);
        question[8] = 0;
        assert_eq!(Answer::read(&mut Reader::new(&question)).unwrap_err().field, "responseTo");
        let odd = answer(b"\x02version\0\x06\0\0\0al ce\0");
        assert_eq!(Answer::read(&mut Reader::new(&odd)), Ok(Answer::default()));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..90)) {
            let _ = Answer::read(&mut Reader::new(&bytes));
            let _ = Answer::read(&mut Reader::new(&answer(&bytes)));
        }
    }
}
