//! Line-based protocols: what SMTP, FTP, POP3, IMAP and their like have in common.
//!
//! Turns bytes into lines, into numbered replies (RFC 5321, section 4.2; RFC 959, section
//! 4.2), and into text that is fit to be shown. It knows no command and no product.
//! Servers end lines with LF alone often enough that both ends are taken.

use crate::{Malformed, Problem, Reader};

/// How many characters of a value that a server sent are kept.
pub const MAX_TEXT: usize = 256;

/// A numbered reply.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reply {
    /// The three digits.
    pub code: u16,
    /// Its lines without code and separator, made printable.
    pub lines: Vec<String>,
}

impl Reply {
    /// All its lines, joined with blanks.
    #[must_use]
    pub fn text(&self) -> String {
        self.lines.join(" ").trim().to_owned()
    }
}

/// Takes the next reply.
///
/// The lines of one reply begin with `250-`, the last one with `250 `; in FTP those in
/// between may begin with anything (RFC 959, section 4.2). Fails with
/// [`Problem::Truncated`] while the last line has not come.
pub fn reply(r: &mut Reader<'_>) -> Result<Reply, Malformed> {
    let first = r.until("reply line", b"\n")?;
    let Some((code, last, rest)) = numbered(first) else {
        return Err(r.malformed("reply code", Problem::Invalid(leading(first))));
    };
    let mut lines = vec![text(rest)];
    let mut done = last;
    while !done {
        let line = r.until("reply line", b"\n")?;
        match numbered(line) {
            Some((again, last, rest)) if again == code => {
                lines.push(text(rest));
                done = last;
            }
            _ => lines.push(text(line)),
        }
    }
    Ok(Reply { code, lines })
}

/// As many whole replies as there are, and whether the rest is broken rather than cut.
#[must_use]
pub fn replies(bytes: &[u8]) -> (Vec<Reply>, Option<Malformed>) {
    let mut r = Reader::new(bytes);
    let mut all = Vec::new();
    while !r.is_at_end() {
        match reply(&mut r) {
            Ok(one) => all.push(one),
            Err(error) => return (all, Some(error)),
        }
    }
    (all, None)
}

/// The code, whether this is the reply's last line, and the rest of the line.
fn numbered(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let (code, rest) = line.split_first_chunk::<3>()?;
    if !code.iter().all(u8::is_ascii_digit) || !(b'1'..=b'5').contains(code.first()?) {
        return None;
    }
    let code = std::str::from_utf8(code).ok()?.parse().ok()?;
    match rest.split_first() {
        Some((b'-', rest)) => Some((code, false, rest)),
        Some((b' ', rest)) => Some((code, true, rest)),
        Some((b'\r', _)) | None => Some((code, true, &[])),
        Some(_) => None,
    }
}

/// The first bytes as a number, to name what is wrong without keeping it whole.
fn leading(line: &[u8]) -> u32 {
    line.iter().take(3).fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte))
}

/// The lines, without their ends. The last one may be cut.
pub fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let whole = rest?;
        let end = memchr::memchr(b'\n', whole);
        let (line, behind) = whole.split_at_checked(end.unwrap_or(whole.len()))?;
        rest = behind.split_first().map(|(_, behind)| behind);
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    })
}

/// Whether a whole line has come.
#[must_use]
pub fn has_line(bytes: &[u8]) -> bool {
    memchr::memchr(b'\n', bytes).is_some()
}

/// Bytes as text fit to be kept and shown: invalid UTF-8 and control characters (which
/// could move a terminal's cursor) become blanks, runs of blanks become one, and no more
/// than [`MAX_TEXT`] characters stay.
#[must_use]
pub fn text(bytes: &[u8]) -> String {
    // Four bytes make a character at most, and blanks are squeezed: a generous piece will do.
    let piece = bytes.get(..MAX_TEXT.saturating_mul(8)).unwrap_or(bytes);
    if let Some(text) = plain(piece) {
        return text.to_owned();
    }
    squeeze(&String::from_utf8_lossy(piece))
}

/// What is fit to be shown as it is, but for blanks around it, as most values are.
fn plain(bytes: &[u8]) -> Option<&str> {
    let bytes = bytes.trim_ascii();
    let fits = |byte: &u8| matches!(byte, b' '..=b'~');
    let squeezed = || !bytes.windows(2).any(|two| two == b"  ");
    (bytes.len() <= MAX_TEXT && bytes.iter().all(fits) && squeezed())
        .then(|| str::from_utf8(bytes).ok())?
}

/// [`text`] for what is text already.
#[must_use]
pub fn squeeze(text: &str) -> String {
    let mut out = String::new();
    let mut count = 0_usize;
    let mut blank = false;
    for c in text.chars() {
        if c.is_control() || c.is_whitespace() || c == char::REPLACEMENT_CHARACTER {
            blank = true;
            continue;
        }
        if blank && count > 0 {
            out.push(' ');
            count = count.saturating_add(1);
        }
        blank = false;
        if count >= MAX_TEXT {
            break;
        }
        out.push(c);
        count = count.saturating_add(1);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: Result<(u16, &[&str]), &str>) {
        let got = reply(&mut Reader::new(bytes));
        match expected {
            Ok((code, lines)) => {
                let lines = lines.iter().map(|line| (*line).to_owned()).collect();
                assert_eq!(got, Ok(Reply { code, lines }));
            }
            Err(why) => assert_eq!(got.unwrap_err().to_string(), why),
        }
    }

    #[test]
    fn replies_are_read_whole() {
        check(b"220 ready\r\n", Ok((220, &["ready"])));
        check(b"220\r\n", Ok((220, &[""])));
        check(b"220 bare\n", Ok((220, &["bare"])));
        check(b"211-Features:\r\n MDTM\r\n 211-odd\r\n211 End\r\n", {
            Ok((211, &["Features:", "MDTM", "211-odd", "End"]))
        });
        check(b"250-a\r\n250-b\r\n", Err("reply line at byte 14: message ends too soon"));
        check(b"hello\r\n", Err("reply code at byte 0: value 6841708 is not allowed here"));
        check(b"999 no\r\n", Err("reply code at byte 0: value 3750201 is not allowed here"));
    }

    #[test]
    fn every_cut_is_truncated() {
        let whole = b"250-mail.example.org\r\n250-PIPELINING\r\n250 STARTTLS\r\n";
        for len in 0..whole.len() {
            let error = reply(&mut Reader::new(&whole[..len])).unwrap_err();
            assert_eq!(error.problem, Problem::Truncated, "{len}");
        }
        assert_eq!(reply(&mut Reader::new(whole)).unwrap().lines.len(), 3);
    }

    #[test]
    fn text_cannot_move_a_cursor() {
        assert_eq!(text(b" a\x1b[2J\x07b \r\n\xff c\0"), "a [2J b c");
        assert_eq!(text(&[b'x'; 5_000]).chars().count(), MAX_TEXT);
        assert_eq!(text("ルーター".as_bytes()), "ルーター");
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = replies(&bytes);
            prop_assert!(text(&bytes).chars().count() <= MAX_TEXT + 1);
            prop_assert!(!text(&bytes).chars().any(char::is_control));
        }
    }
}
