//! The Constrained Application Protocol (RFC 7252, section 3): what a small device offers
//! (`/.well-known/core`, RFC 6690), asked for in one confirmable message.

use crate::{Malformed, Reader, lines};

/// An answer: an acknowledgement with or without a response in it, or a reset.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// The question's number, repeated.
    pub id: u16,
    /// Whether it rejects the message itself.
    pub reset: bool,
    /// The response code, class and detail: 0x45 is 2.05 Content, 0x84 is 4.04 Not Found, 0
    /// an empty message.
    pub code: u8,
    /// The payload, or its first block.
    pub payload: Vec<u8>,
}

/// GET /.well-known/core, confirmable, without a token.
#[must_use]
pub fn get_core(id: u16) -> Vec<u8> {
    let mut out = vec![0x40, 1];
    out.extend(id.to_be_bytes());
    out.extend(b"\xbb.well-known\x04core");
    out
}

impl Answer {
    /// Reads one datagram.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let first = r.u8("version, type, token length")?;
        let reset = match first {
            0x60 => false,
            0x70 => true,
            // We gave no token, so there is none.
            _ => return Err(r.invalid("version, type, token length", first)),
        };
        let code = r.u8("code")?;
        let id = r.u16("message id")?;
        let class_is_known = matches!(code >> 5, 0 | 2 | 4 | 5);
        let empty = code == 0;
        if !class_is_known || (code >> 5 == 0 && !empty) || (reset && !empty) {
            return Err(r.invalid("code", code));
        }
        if empty && !r.is_at_end() {
            let byte = r.u8("empty message")?;
            return Err(r.invalid("empty message", byte));
        }
        let mut payload = Vec::new();
        while !r.is_at_end() {
            let head = r.u8("option delta, length")?;
            if head == 0xff {
                payload = r.rest().to_vec();
                if payload.is_empty() {
                    return Err(r.invalid("payload marker", head));
                }
                break;
            }
            extended(&mut r, head >> 4)?;
            let len = extended(&mut r, head & 0x0f)?;
            r.take("option value", len)?;
        }
        Ok(Self { id, reset, code, payload })
    }
}

/// Four bits, or what follows them (section 3.1).
fn extended(r: &mut Reader<'_>, nibble: u8) -> Result<usize, Malformed> {
    match nibble {
        13 => Ok(usize::from(r.u8("option, extended")?).saturating_add(13)),
        14 => Ok(usize::from(r.u16("option, extended")?).saturating_add(269)),
        15 => Err(r.invalid("option delta, length", nibble)),
        _ => Ok(nibble.into()),
    }
}

/// The paths of a list of links: `</a>;rt="x",</b>` (RFC 6690, section 2).
#[must_use]
pub fn links(payload: &[u8]) -> Vec<String> {
    let text = lines::text(payload);
    // Only what stands in angle brackets: commas may be within a quoted attribute.
    text.split('<')
        .skip(1)
        .filter_map(|part| part.split_once('>'))
        .map(|(path, _)| path.to_owned())
        .filter(|path| !path.is_empty() && !path.contains(char::is_whitespace))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: (bool, u8, &[u8])) {
        let (reset, code, payload) = expected;
        let expected = Answer { id: 7, reset, code, payload: payload.to_vec() };
        assert_eq!(Answer::parse(bytes), Ok(expected));
        for len in 0..4 {
            assert!(Answer::parse(&bytes[..len]).is_err(), "cut at {len}");
        }
        for len in 4..bytes.len() {
            let _ = Answer::parse(&bytes[..len]);
        }
    }

    #[test]
    fn a_device_lists_what_it_offers() {
        let content = b"\x60\x45\0\x07\xc1\x28\xff</time>;rt=\"clock\",</>;title=\"a, b\"";
        check(content, (false, 0x45, &content[7..]));
        assert_eq!(links(&content[7..]), ["/time", "/"]);
        check(b"\x60\x84\0\x07", (false, 0x84, b""));
        check(b"\x60\0\0\x07", (false, 0, b""));
        check(b"\x70\0\0\x07", (true, 0, b""));
        check(b"\x60\x45\0\x07\xd2\x01ab\xffx", (false, 0x45, b"x"));
    }

    #[test]
    fn what_breaks_the_rules_is_refused() {
        let refused = |bytes: &[u8]| assert!(Answer::parse(bytes).is_err(), "{bytes:?}");
        refused(&get_core(7));
        refused(b"\x60\x01\0\x07");
        refused(b"\x70\x45\0\x07");
        refused(b"\x60\0\0\x07\xffa");
        refused(b"\x60\x45\0\x07\xff");
        refused(b"\x60\x45\0\x07\xf0\xffa");
        refused(b"\x60\x45\0\x07\x02a");
        refused(b"\x61\x45\0\x07\x01");
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Answer::parse(&bytes);
            let _ = Answer::parse(&[&[0x60, 0x45], &bytes[..]].concat());
            prop_assert!(links(&bytes).len() <= bytes.len());
        }
    }
}
