//! Reading DER, and what is nearly DER.
//!
//! Certificates in the field break the encoding rules: lengths longer than need be,
//! BER's indefinite lengths, a file cut short. All of them are read as far as they go and
//! what was odd is noted in [`Quirks`], so that a broken certificate still has a subject.
//! Strictness is the other layer's task (x509-parser), and its refusal is only a note.

use wire::Reader;

/// At most that many elements are read of one sequence, so that a certificate made of two-byte
/// elements does not become forty times its size in memory.
const MAX_CHILDREN: usize = 10_000;

/// Nested indefinite lengths deeper than this are given up on; real ones go down to six.
const MAX_DEPTH: u8 = 16;

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OID: u8 = 0x06;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

/// A tag, a length and the bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'a> {
    /// The first identifier octet. For tag numbers above 30 the rest of it is skipped.
    pub(crate) tag: u8,
    /// The contents.
    pub(crate) body: &'a [u8],
    /// Identifier, length and contents.
    pub(crate) whole: &'a [u8],
}

/// Where the bytes were not DER (X.690, section 10.1), though they could be read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Quirks {
    /// A length took more bytes than it needs.
    pub(crate) long_length: bool,
    /// A length was indefinite.
    pub(crate) indefinite_length: bool,
    /// An element claims more bytes than there are.
    pub(crate) cut: bool,
    /// A sequence has more elements than are read.
    pub(crate) too_many: bool,
}

/// The next element, or `None` at the end. One that claims more bytes than there are has
/// those that are there.
pub(crate) fn element<'a>(r: &mut Reader<'a>, quirks: &mut Quirks) -> Option<Element<'a>> {
    element_at(r, quirks, 0)
}

fn element_at<'a>(r: &mut Reader<'a>, quirks: &mut Quirks, depth: u8) -> Option<Element<'a>> {
    let start = r.rest();
    let before = r.offset();
    let tag = r.u8("identifier").ok()?;
    if tag & 0x1f == 0x1f {
        while r.u8("identifier").is_ok_and(|octet| octet & 0x80 != 0) {}
    }
    let body = match r.u8("length") {
        Err(_) => {
            quirks.cut = true;
            r.rest()
        }
        Ok(0x80) if tag & 0x20 != 0 => {
            quirks.indefinite_length = true;
            until_end_of_contents(r, quirks, depth)
        }
        Ok(first) => {
            let length = length(first, r, quirks);
            quirks.cut |= length > r.rest().len();
            r.take_up_to(length)
        }
    };
    let whole = start.get(..r.offset().saturating_sub(before)).unwrap_or(start);
    Some(Element { tag, body, whole })
}

fn length(first: u8, r: &mut Reader<'_>, quirks: &mut Quirks) -> usize {
    if first < 0x80 {
        return first.into();
    }
    let octets = r.take_up_to((first & 0x7f).into());
    quirks.long_length |= octets.first() == Some(&0);
    let length = octets.iter().fold(0usize, |length, octet| {
        length.checked_mul(256).map_or(usize::MAX, |length| length | usize::from(*octet))
    });
    quirks.long_length |= length < 0x80;
    length
}

/// The contents of an element of indefinite length (X.690, section 8.1.3.6).
fn until_end_of_contents<'a>(r: &mut Reader<'a>, quirks: &mut Quirks, depth: u8) -> &'a [u8] {
    let start = r.rest();
    let before = r.offset();
    loop {
        let so_far = start.get(..r.offset().saturating_sub(before)).unwrap_or(start);
        if r.rest().starts_with(&[0, 0]) {
            r.take_up_to(2);
            return so_far;
        }
        if r.is_at_end() || depth >= MAX_DEPTH {
            quirks.cut = true;
            r.take_up_to(usize::MAX);
            return start;
        }
        element_at(r, quirks, depth.saturating_add(1));
    }
}

/// The elements of a constructed element's contents.
pub(crate) fn children<'a>(body: &'a [u8], quirks: &mut Quirks) -> Vec<Element<'a>> {
    let mut r = Reader::new(body);
    let mut out = Vec::new();
    while let Some(element) = element(&mut r, quirks) {
        if out.len() == MAX_CHILDREN {
            quirks.too_many = true;
            break;
        }
        out.push(element);
    }
    out
}

/// The dotted form of an object identifier's contents, or `None` where they are none
/// (X.690, section 8.19), or are longer than any in use.
pub(crate) fn dotted(body: &[u8]) -> Option<String> {
    if body.is_empty() || body.len() > 128 || body.last()? & 0x80 != 0 {
        return None;
    }
    let mut out = String::new();
    let mut arc: u128 = 0;
    for octet in body {
        arc = arc.checked_mul(128)?.checked_add(u128::from(octet & 0x7f))?;
        if octet & 0x80 != 0 {
            continue;
        }
        if out.is_empty() {
            let first = (arc / 40).min(2);
            out = format!("{first}.{}", arc.saturating_sub(first.saturating_mul(40)));
        } else {
            out.push_str(&format!(".{arc}"));
        }
        arc = 0;
    }
    Some(out)
}

/// The dotted form, or, where there is none, the bytes in hexadecimal.
pub(crate) fn oid_text(body: &[u8]) -> String {
    dotted(body).unwrap_or_else(|| format!("#{}", hex(body)))
}

/// How many bits the magnitude of a non-negative INTEGER has.
pub(crate) fn bit_length(body: &[u8]) -> u32 {
    let first = body.iter().position(|octet| *octet != 0).unwrap_or(body.len());
    let significant = body.get(first..).unwrap_or_default();
    let bits = u32::try_from(significant.len()).unwrap_or(u32::MAX).saturating_mul(8);
    bits.saturating_sub(significant.first().map_or(0, |octet| octet.leading_zeros()))
}

/// The bytes of a BIT STRING of whole bytes, without the count of unused bits.
pub(crate) fn bit_string(body: &[u8]) -> &[u8] {
    body.split_first().map_or(&[], |(_, rest)| rest)
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            out.extend(char::from_digit(nibble.into(), 16));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], tag: u8, body: &[u8], odd: fn(&Quirks) -> bool) {
        let mut quirks = Quirks::default();
        let element = element(&mut Reader::new(bytes), &mut quirks).unwrap();
        assert_eq!((element.tag, element.body), (tag, body));
        assert!(odd(&quirks), "{quirks:?}");
    }

    #[test]
    fn lengths_of_every_form_are_read() {
        let fine = |q: &Quirks| !(q.long_length || q.indefinite_length || q.cut);
        check(&[4, 2, 1, 2, 9], 4, &[1, 2], fine);
        check(&[4, 0x81, 0x80, 7], 4, &[7], |q| q.cut && !q.long_length);
        check(&[4, 0x82, 0, 1, 7], 4, &[7], |q| q.long_length && !q.cut);
        check(&[4, 0x81, 1, 7], 4, &[7], |q| q.long_length);
        check(&[0x30, 0x80, 2, 1, 5, 0, 0, 9], 0x30, &[2, 1, 5], |q| q.indefinite_length && !q.cut);
        check(&[0x30, 0x80, 0x30, 0x80, 0, 0, 0, 0], 0x30, &[0x30, 0x80, 0, 0], |q| !q.cut);
        check(&[0x30, 0x80, 2, 1, 5], 0x30, &[2, 1, 5], |q| q.cut);
        check(&[0x9f, 0x81, 1, 1, 5], 0x9f, &[5], fine);
        check(&[4, 0x89, 1, 0, 0, 0, 0, 0, 0, 0, 0, 7], 4, &[7], |q| q.cut);
        check(&[4], 4, &[], |q| q.cut);
    }

    #[test]
    fn nesting_without_end_is_given_up() {
        let deep = [0x30, 0x80].repeat(100_000);
        let mut quirks = Quirks::default();
        assert!(element(&mut Reader::new(&deep), &mut quirks).is_some());
        assert!(quirks.cut);
        assert_eq!(children(&[5, 0].repeat(20_000), &mut quirks).len(), MAX_CHILDREN);
        assert!(quirks.too_many);
    }

    #[test]
    fn identifiers_and_numbers_have_their_text() {
        assert_eq!(dotted(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d]).unwrap(), "1.2.840.113549");
        assert_eq!(dotted(&[0x88, 0x37, 3]).unwrap(), "2.999.3");
        assert_eq!(dotted(&[0x55, 0x84]), None);
        assert_eq!(dotted(&[]), None);
        assert_eq!(dotted(&[0xff; 30]), None);
        assert_eq!(oid_text(&[0x84]), "#84");
        assert_eq!(bit_length(&[0, 0x80, 0]), 16);
        assert_eq!(bit_length(&[1]), 1);
        assert_eq!(bit_length(&[]), 0);
        assert_eq!(hex(&[0, 0xab]), "00ab");
    }
}
