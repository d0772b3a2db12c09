//! Distinguished names as RFC 4514 writes them.

use crate::der::{self, Element, OID, Quirks, SEQUENCE, SET};

/// A name as text.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Name {
    /// The RFC 4514 string. Empty for the empty name.
    pub(crate) text: String,
    /// The most specific common name, undecorated.
    pub(crate) common_name: Option<String>,
    /// Whether something in it could not be read as its type says.
    pub(crate) odd: bool,
}

/// Reads the contents of a Name (RFC 5280, section 4.1.2.4).
pub(crate) fn read(body: &[u8], quirks: &mut Quirks) -> Name {
    let mut name = Name::default();
    let mut parts = Vec::new();
    for set in der::children(body, quirks) {
        if set.tag != SET {
            name.odd = true;
            continue;
        }
        let attributes: Vec<String> = der::children(set.body, quirks)
            .iter()
            .filter_map(|attribute| read_attribute(attribute, &mut name, quirks))
            .collect();
        parts.push(attributes.join("+"));
    }
    // RFC 4514, section 2.1: the last one first.
    parts.reverse();
    name.text = parts.join(",");
    name
}

fn read_attribute(attribute: &Element<'_>, name: &mut Name, quirks: &mut Quirks) -> Option<String> {
    let parts = der::children(attribute.body, quirks);
    let ([kind, value], SEQUENCE) = (parts.as_slice(), attribute.tag) else {
        name.odd = true;
        return None;
    };
    name.odd |= kind.tag != OID;
    let oid = der::oid_text(kind.body);
    let text = text(value);
    // x500UniqueIdentifier is the one attribute in use that is no string.
    name.odd |= text.is_none() && oid != "2.5.4.45";
    if oid == "2.5.4.3" {
        name.common_name = text.clone().or(name.common_name.take());
    }
    Some(match (crate::oid::attribute(&oid), text) {
        (Some(short), Some(text)) => format!("{short}={}", escaped(&text)),
        // RFC 4514, section 2.4: a value whose type is not known is given as its encoding.
        (short, _) => format!("{}=#{}", short.unwrap_or(&oid), der::hex(value.whole)),
    })
}

/// The text of a string of any of ASN.1's string types, or `None` if it is no string or
/// breaks its own encoding.
pub(crate) fn text(value: &Element<'_>) -> Option<String> {
    match value.tag {
        // UTF8String, and the ASCII ones. Writers put UTF-8 into those too; if it decodes,
        // it is what they meant.
        0x0c | 0x12 | 0x13 | 0x16 | 0x1a => String::from_utf8(value.body.to_vec()).ok(),
        // TeletexString. In certificates it has always been written as Latin-1.
        0x14 => Some(value.body.iter().map(|byte| char::from(*byte)).collect()),
        // BMPString: UCS-2, in practice UTF-16.
        0x1e => {
            let (pairs, []) = value.body.as_chunks::<2>() else { return None };
            let units = pairs.iter().map(|pair| u16::from_be_bytes(*pair));
            char::decode_utf16(units).collect::<Result<_, _>>().ok()
        }
        // UniversalString: UCS-4.
        0x1c => {
            let (words, []) = value.body.as_chunks::<4>() else { return None };
            words.iter().map(|word| char::from_u32(u32::from_be_bytes(*word))).collect()
        }
        _ => None,
    }
}

/// RFC 4514, section 2.4. Control characters are escaped as well, since this is printed
/// on terminals and a stranger wrote it.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let last = text.chars().count().saturating_sub(1);
    for (at, c) in text.chars().enumerate() {
        match c {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => out.extend(['\\', c]),
            '#' if at == 0 => out.push_str("\\#"),
            ' ' if at == 0 || at == last => out.push_str("\\ "),
            _ if is_invisible(c) => push_hex(&mut out, c),
            _ => out.push(c),
        }
    }
    out
}

fn push_hex(out: &mut String, c: char) {
    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
        out.push('\\');
        out.push_str(&der::hex(&[byte]));
    }
}

/// Control characters, and those that turn the direction of the text around them.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A name that is one line of plain text: what does not show is escaped as in RFC 4514.
pub(crate) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_invisible(c) {
            push_hex(&mut out, c);
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tlv(tag: u8, body: &[u8]) -> Vec<u8> {
        [&[tag, u8::try_from(body.len()).unwrap()], body].concat()
    }

    fn attribute(oid: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
        tlv(SEQUENCE, &[tlv(OID, oid), tlv(tag, value)].concat())
    }

    const CN: &[u8] = &[0x55, 4, 3];
    const O: &[u8] = &[0x55, 4, 10];

    #[track_caller]
    fn check(body: &[u8], expected: &str) -> Name {
        let name = read(body, &mut Quirks::default());
        assert_eq!(name.text, expected);
        name
    }

    #[test]
    fn the_last_part_comes_first_and_sets_are_joined() {
        let body = [
            tlv(SET, &attribute(O, 0x0c, "台帳".as_bytes())),
            tlv(SET, &[attribute(CN, 0x13, b"a"), attribute(O, 0x13, b"b")].concat()),
        ]
        .concat();
        let name = check(&body, "CN=a+O=b,O=台帳");
        assert_eq!(name.common_name.as_deref(), Some("a"));
        assert!(!name.odd);
        check(&[], "");
    }

    #[test]
    fn what_would_mislead_is_escaped() {
        let of = |text: &str| tlv(SET, &attribute(CN, 0x0c, text.as_bytes()));
        check(&of("# a, \"b\"+c\\ "), "CN=\\# a\\, \\\"b\\\"\\+c\\\\\\ ");
        check(&of("a\0b\u{1b}[2J\u{202e}"), "CN=a\\00b\\1b[2J\\e2\\80\\ae");
        check(&of(" "), "CN=\\ ");
    }

    #[test]
    fn every_string_type_is_read() {
        check(&tlv(SET, &attribute(CN, 0x14, &[0xfc])), "CN=ü");
        check(&tlv(SET, &attribute(CN, 0x1e, &[0x53, 0xf0])), "CN=台");
        check(&tlv(SET, &attribute(CN, 0x1c, &[0, 0, 0x53, 0xf0])), "CN=台");
        assert!(check(&tlv(SET, &attribute(CN, 0x0c, &[0xff])), "CN=#0c01ff").odd);
        assert!(check(&tlv(SET, &attribute(CN, 0x1e, &[0xff])), "CN=#1e01ff").odd);
        check(&tlv(SET, &attribute(&[0x2a, 3], 0x0c, b"x")), "1.2.3=#0c0178");
    }

    #[test]
    fn what_is_no_name_is_said_to_be_odd() {
        assert!(check(&tlv(4, b"x"), "").odd);
        assert!(check(&tlv(SET, &tlv(SEQUENCE, &[])), "").odd);
    }
}
