//! The number by which the trade knows a web page's icon.
//!
//! It is murmur3 (32 bits, seed 0, signed) of the icon in Base64 as RFC 2045 breaks it:
//! 76 characters a line, a line feed after each. Odd, but every list of such numbers is
//! made that way.

use std::io::Cursor;

/// The number of an icon, or `None` for an empty one.
#[must_use]
pub(crate) fn mmh3(icon: &[u8]) -> Option<i32> {
    if icon.is_empty() {
        return None;
    }
    let hash = murmur3::murmur3_32(&mut Cursor::new(base64_lines(icon)), 0).ok()?;
    Some(i32::from_ne_bytes(hash.to_ne_bytes()))
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64_lines(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() / 3 * 4 + bytes.len() / 57 + 5);
    // 57 bytes make the 76 characters of a line.
    for line in bytes.chunks(57) {
        for group in line.chunks(3) {
            let [a, b, c] = [0, 1, 2].map(|n| u32::from(group.get(n).copied().unwrap_or(0)));
            let bits = (a << 16) | (b << 8) | c;
            for (n, shift) in [18, 12, 6, 0].into_iter().enumerate() {
                let sextet = (bits >> shift) as usize & 63;
                out.push(if n <= group.len() { ALPHABET[sextet] } else { b'=' });
            }
        }
        out.push(b'\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: &str) {
        assert_eq!(String::from_utf8(base64_lines(bytes)).unwrap(), expected);
    }

    #[test]
    fn base64_as_rfc_4648_has_it() {
        check(b"f", "Zg==\n");
        check(b"fo", "Zm8=\n");
        check(b"foo", "Zm9v\n");
        check(b"foobar", "Zm9vYmFy\n");
        let long = [0xff; 58];
        check(&long, &format!("{}\n/w==\n", "/".repeat(76)));
    }

    #[test]
    fn an_icon_has_its_number() {
        assert_eq!(mmh3(b""), None);
        // murmur3_32 of "Zm9v\n".
        assert_eq!(mmh3(b"foo"), Some(851_989_093));
    }
}
