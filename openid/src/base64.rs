//! Base64 with the letters of URLs and without padding (RFC 4648, section 5), as tokens and keys
//! have it (RFC 7515, section 2).

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Writes it.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    for piece in bytes.chunks(3) {
        let at = |index: usize| u32::from(piece.get(index).copied().unwrap_or(0));
        let bits = (at(0) << 16) | (at(1) << 8) | at(2);
        for letter in 0..=piece.len() {
            let shift = 18_usize.saturating_sub(letter.saturating_mul(6));
            let index = usize::try_from((bits >> shift) & 63).unwrap_or_default();
            text.push(char::from(LETTERS.get(index).copied().unwrap_or(b'A')));
        }
    }
    text
}

fn value(letter: u8) -> Option<u32> {
    Some(match letter {
        b'A'..=b'Z' => u32::from(letter.wrapping_sub(b'A')),
        b'a'..=b'z' => u32::from(letter.wrapping_sub(b'a')).wrapping_add(26),
        b'0'..=b'9' => u32::from(letter.wrapping_sub(b'0')).wrapping_add(52),
        b'-' => 62,
        b'_' => 63,
        _ => return None,
    })
}

/// Reads it. What has other letters, a length that none has, or bits left over is none: else one
/// token could be written in several ways.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    for piece in text.as_bytes().chunks(4) {
        let mut bits: u32 = 0;
        for letter in piece {
            bits = (bits << 6) | value(*letter)?;
        }
        let (whole, rest) = match piece.len() {
            4 => (3, 0),
            3 => (2, bits & 3),
            2 => (1, bits & 15),
            _ => return None,
        };
        if rest != 0 {
            return None;
        }
        let missing = 4_usize.saturating_sub(piece.len()).saturating_mul(6);
        let [_, first, second, third] = (bits << missing).to_be_bytes();
        bytes.extend([first, second, third].into_iter().take(whole));
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        // RFC 4648, section 10, without padding, and what differs from the usual letters.
        for (bytes, text) in [
            (&b""[..], ""),
            (b"f", "Zg"),
            (b"fo", "Zm8"),
            (b"foo", "Zm9v"),
            (b"foob", "Zm9vYg"),
            (b"fooba", "Zm9vYmE"),
            (b"foobar", "Zm9vYmFy"),
            (b"\xfb\xff\xbf", "-_-_"),
        ] {
            assert_eq!(encode(bytes), text);
            assert_eq!(decode(text).as_deref(), Some(bytes), "{text}");
        }
        for wrong in ["Z", "Zg==", "Zh", "Zm9", "Zm9v\n", "+/+/", "Zm 9", "台帳台帳"] {
            assert_eq!(decode(wrong), None, "{wrong:?}");
        }
    }
}
