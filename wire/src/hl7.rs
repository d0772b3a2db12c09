//! HL7 version 2 in its minimal lower layer: which application sends, and in which version. Of
//! a message's first segment these two fields are read; all others are about patients.

use crate::{Malformed, Reader, lines};

/// The beginning of a message, up to its first segment.
pub const START: u8 = 0x0b;

/// What the header says of who sent it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sender {
    /// MSH-3, sending application, its first component.
    pub application: Option<String>,
    /// MSH-12, version: `2.5.1`.
    pub version: Option<String>,
}

impl Sender {
    /// Reads the first segment of a message, which has to be whole.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let start = r.u8("start of block")?;
        if start != START {
            return Err(r.invalid("start of block", start));
        }
        let name = r.take("segment name", 3)?;
        if name != b"MSH" {
            return Err(r.invalid("segment name", 0_u8));
        }
        let separator = r.u8("MSH-1")?;
        // Separators are no letters (section 2.5.4).
        if !separator.is_ascii_punctuation() {
            return Err(r.invalid("MSH-1", separator));
        }
        let line = r.until("MSH", b"\r")?;
        let mut fields = line.split(|byte| *byte == separator);
        let component = fields.next().and_then(|encoding| encoding.first()).copied();
        let first = |field: &[u8]| {
            let end = field.iter().position(|byte| Some(*byte) == component);
            lines::text(field.get(..end.unwrap_or(field.len())).unwrap_or(field))
        };
        let application = fields.next().map(first).filter(|name| is_name(name));
        // Nine fields further on.
        let version = fields.nth(8).map(first).filter(|version| is_version(version));
        Ok(Self { application, version })
    }
}

/// Whether it may be a program's name, and not a sentence or a number of something.
fn is_name(text: &str) -> bool {
    (2..=40).contains(&text.len())
        && text.contains(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ' '))
        && text.chars().filter(char::is_ascii_digit).count() <= 4
}

fn is_version(text: &str) -> bool {
    (1..=8).contains(&text.len()) && text.chars().all(|c| c.is_ascii_digit() || c == '.')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(message: &[u8], application: Option<&str>, version: Option<&str>) {
        let own = |text: Option<&str>| text.map(str::to_owned);
        let expected = Sender { application: own(application), version: own(version) };
        assert_eq!(Sender::parse(message), Ok(expected));
    }

    #[test]
    fn an_application_names_itself_and_nobody_else() {
        let message = b"\x0bMSH|^~\\&|MIRTH^1.2.3^ISO|CLINIC|LAB|X|20260101||ADT^A01|7|P|2.5.1\r\
            PID|1||12345^^^||Doe^Jane\r\x1c\r";
        check(message, Some("MIRTH"), Some("2.5.1"));
        for len in 0..70 {
            let cut = &message[..len.min(message.len())];
            let found = Sender::parse(cut);
            assert!(found.is_err() || cut.contains(&b'\r'), "cut at {len}");
        }
        check(b"\x0bMSH|^~\\&||\r", None, None);
        check(b"\x0bMSH|^~\\&|1234567890|\r", None, None);
        assert_eq!(Sender::parse(b"\x0bPID|1\r").unwrap_err().field, "segment name");
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..90)) {
            let _ = Sender::parse(&bytes);
            let _ = Sender::parse(&[b"\x0bMSH|", &bytes[..], b"\r"].concat());
        }
    }
}
