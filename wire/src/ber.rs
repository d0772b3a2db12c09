//! The Basic Encoding Rules of ASN.1 (ITU-T X.690), as far as LDAP, SNMP and SPNEGO use
//! them: one-byte tags and definite lengths.
//!
//! It knows no grammar: `crate::ldap`, `crate::snmp` and `crate::ntlm` do. Lengths are
//! checked against the bytes that are there before anything is taken.

use crate::{Malformed, Reader};

/// Universal and constructed tags that the protocols here use.
pub mod tag {
    /// INTEGER.
    pub const INTEGER: u8 = 0x02;
    /// OCTET STRING.
    pub const OCTETS: u8 = 0x04;
    /// NULL.
    pub const NULL: u8 = 0x05;
    /// OBJECT IDENTIFIER.
    pub const OID: u8 = 0x06;
    /// ENUMERATED.
    pub const ENUMERATED: u8 = 0x0a;
    /// BOOLEAN.
    pub const BOOLEAN: u8 = 0x01;
    /// SEQUENCE, constructed.
    pub const SEQUENCE: u8 = 0x30;
    /// SET, constructed.
    pub const SET: u8 = 0x31;
}

/// Takes the next element, whatever it is: its tag and a reader of its contents.
pub fn element<'a>(r: &mut Reader<'a>, field: &'static str) -> Result<(u8, Reader<'a>), Malformed> {
    let tag = r.u8(field)?;
    if tag & 0x1f == 0x1f {
        // Tags above 30 take more bytes; nothing that we read has one.
        return Err(r.invalid(field, tag));
    }
    let len = length(r, field)?;
    Ok((tag, r.nested(field, len)?))
}

/// Takes the next element, which must have the tag `wanted`.
pub fn expect<'a>(
    r: &mut Reader<'a>,
    field: &'static str,
    wanted: u8,
) -> Result<Reader<'a>, Malformed> {
    let mut ahead = r.clone();
    let tag = ahead.u8(field)?;
    if tag != wanted {
        return Err(ahead.invalid(field, tag));
    }
    element(r, field).map(|(_, contents)| contents)
}

/// Takes an OCTET STRING.
pub fn octets<'a>(r: &mut Reader<'a>, field: &'static str) -> Result<&'a [u8], Malformed> {
    expect(r, field, tag::OCTETS).map(|contents| contents.rest())
}

/// Takes an INTEGER of at most eight bytes.
pub fn integer(r: &mut Reader<'_>, field: &'static str) -> Result<i64, Malformed> {
    let contents = expect(r, field, tag::INTEGER)?;
    number(&contents, field)
}

/// Takes an ENUMERATED of at most eight bytes.
pub fn enumerated(r: &mut Reader<'_>, field: &'static str) -> Result<i64, Malformed> {
    let contents = expect(r, field, tag::ENUMERATED)?;
    number(&contents, field)
}

/// Takes an OBJECT IDENTIFIER, as dotted text (`1.3.6.1.2.1`).
pub fn oid(r: &mut Reader<'_>, field: &'static str) -> Result<String, Malformed> {
    let contents = expect(r, field, tag::OID)?;
    dotted(contents.rest()).ok_or_else(|| r.invalid(field, tag::OID))
}

/// The dotted text of an encoded object identifier (X.690, section 8.19), or `None` where an
/// arc does not end or does not fit 64 bits.
#[must_use]
pub fn dotted(encoded: &[u8]) -> Option<String> {
    let mut text = String::new();
    let mut arc = 0_u64;
    let mut whole = true;
    for &byte in encoded {
        if arc > u64::MAX >> 7 {
            return None;
        }
        arc = (arc << 7) | u64::from(byte & 0x7f);
        whole = byte & 0x80 == 0;
        if !whole {
            continue;
        }
        if text.is_empty() {
            // The first two arcs share one number: 40 times the first plus the second.
            let first = (arc / 40).min(2);
            text = format!("{first}.{}", arc.saturating_sub(first.saturating_mul(40)));
        } else {
            text.push('.');
            text.push_str(&arc.to_string());
        }
        arc = 0;
    }
    (whole && !text.is_empty()).then_some(text)
}

/// One element with these contents.
#[must_use]
pub fn write(tag: u8, contents: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let len = u32::try_from(contents.len()).unwrap_or(u32::MAX).to_be_bytes();
    match len {
        [0, 0, 0, short @ 0..=0x7f] => out.push(short),
        [0, 0, 0, byte] => out.extend([0x81, byte]),
        [0, 0, high, low] => out.extend([0x82, high, low]),
        [a, b, c, d] => out.extend([0x84, a, b, c, d]),
    }
    out.extend_from_slice(contents);
    out
}

/// One constructed element of these parts.
#[must_use]
pub fn write_all(tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    write(tag, &parts.concat())
}

/// An INTEGER.
#[must_use]
pub fn write_integer(value: i32) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    // X.690, section 8.3.2: the first nine bits must not be all the same.
    let shortest = match bytes {
        [0, 0, 0, low] if low < 0x80 => bytes.get(3..),
        [0, 0, high, _] if high < 0x80 => bytes.get(2..),
        [0, high, ..] if high < 0x80 => bytes.get(1..),
        _ => None,
    };
    write(tag::INTEGER, shortest.unwrap_or(&bytes))
}

fn length(r: &mut Reader<'_>, field: &'static str) -> Result<usize, Malformed> {
    let first = r.u8(field)?;
    let count = match first {
        0..=0x7f => return Ok(first.into()),
        // 0x80 is the indefinite form, which LDAP (RFC 4511, section 5.1) and SNMP
        // (RFC 3417, section 8) forbid.
        0x81..=0x84 => usize::from(first & 0x7f),
        _ => return Err(r.invalid(field, first)),
    };
    let mut len = 0_usize;
    for &byte in r.take(field, count)? {
        len = (len << 8) | usize::from(byte);
    }
    Ok(len)
}

fn number(contents: &Reader<'_>, field: &'static str) -> Result<i64, Malformed> {
    let bytes = contents.rest();
    let negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
    if bytes.is_empty() || bytes.len() > 8 {
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        return Err(contents.invalid(field, len));
    }
    let mut value: i64 = if negative { -1 } else { 0 };
    for &byte in bytes {
        value = (value << 8) | i64::from(byte);
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    #[track_caller]
    fn check_integer(value: i32, encoded: &[u8]) {
        assert_eq!(write_integer(value), encoded);
        assert_eq!(integer(&mut Reader::new(encoded), "n"), Ok(value.into()));
        for len in 0..encoded.len() {
            let error = integer(&mut Reader::new(&encoded[..len]), "n").unwrap_err();
            assert_eq!(error.problem, Problem::Truncated, "cut at {len}");
        }
    }

    #[test]
    fn integers_take_as_few_bytes_as_the_rules_allow() {
        check_integer(0, &[2, 1, 0]);
        check_integer(127, &[2, 1, 127]);
        check_integer(128, &[2, 2, 0, 128]);
        check_integer(0x1234, &[2, 2, 0x12, 0x34]);
        check_integer(0x9234, &[2, 3, 0, 0x92, 0x34]);
        check_integer(0x7fff_ffff, &[2, 4, 0x7f, 0xff, 0xff, 0xff]);
        check_integer(-1, &[2, 4, 0xff, 0xff, 0xff, 0xff]);
    }

    #[test]
    fn lengths_come_in_several_forms() {
        for size in [0_usize, 1, 127, 128, 255, 256, 65_535, 65_536] {
            let contents = vec![7; size];
            let encoded = write(tag::OCTETS, &contents);
            assert_eq!(octets(&mut Reader::new(&encoded), "s"), Ok(&contents[..]));
        }
        // Active Directory pads lengths to four bytes.
        assert_eq!(octets(&mut Reader::new(&[4, 0x84, 0, 0, 0, 1, 9]), "s"), Ok(&[9][..]));
        let indefinite = octets(&mut Reader::new(&[4, 0x80, 1, 0, 0]), "s").unwrap_err();
        assert_eq!(indefinite.problem, Problem::Invalid(0x80));
        let huge = octets(&mut Reader::new(&[4, 0x84, 0xff, 0xff, 0xff, 0xff]), "s");
        assert_eq!(huge.unwrap_err().problem, Problem::Truncated);
    }

    #[test]
    fn object_identifiers_are_dotted() {
        let check = |encoded: &[u8], expected: Option<&str>| {
            assert_eq!(dotted(encoded).as_deref(), expected);
        };
        check(&[0x2b, 6, 1, 2, 1, 1, 1, 0], Some("1.3.6.1.2.1.1.1.0"));
        check(&[0x2b, 6, 1, 4, 1, 0x82, 0x37], Some("1.3.6.1.4.1.311"));
        check(&[0x88, 0x37], Some("2.999"));
        check(&[0x2b, 0x82], None);
        check(&[], None);
        check(&[0xff; 12], None);
    }

    #[test]
    fn another_tag_is_named_and_nothing_is_taken() {
        let mut r = Reader::new(&[4, 1, 9]);
        let error = integer(&mut r, "version").unwrap_err();
        assert_eq!(error.to_string(), "version at byte 0: value 4 is not allowed here");
        assert_eq!(octets(&mut r, "name"), Ok(&[9][..]));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut r = Reader::new(&bytes);
            while let Ok((_, contents)) = element(&mut r, "any") {
                prop_assert!(contents.rest().len() <= bytes.len());
            }
            let _ = integer(&mut Reader::new(&bytes), "n");
            let _ = oid(&mut Reader::new(&bytes), "o");
            let _ = dotted(&bytes);
        }
    }
}
