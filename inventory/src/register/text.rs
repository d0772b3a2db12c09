//! Bytes to text: which encoding a file has, and what of it cannot be read.
//!
//! The order is: a byte order mark; else strict UTF-8; else CP932 (Windows-31J, what Excel
//! calls "CSV" in Japan). A file that is strictly neither is taken for the one with fewer
//! broken sequences, so that one bad byte costs its line and not the file. A broken
//! sequence becomes U+FFFD, which the rows then report.

use std::fmt;

use super::ReadError;

/// How a file writes its characters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Encoding {
    /// UTF-8, with or without a byte order mark.
    Utf8,
    /// Windows code page 932: Shift JIS with Microsoft's and NEC's additions.
    Cp932,
    /// UTF-16 with a byte order mark, Excel's "Unicode Text".
    Utf16,
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Utf8 => "UTF-8",
            Self::Cp932 => "CP932",
            Self::Utf16 => "UTF-16",
        })
    }
}

/// Files that people hand in by mistake, by their first bytes.
const NOT_CSV: [(&[u8], &str); 3] = [
    (b"%PDF-", "a PDF document"),
    (b"{\\rtf", "an RTF document"),
    (b"SQLite format 3\0", "a database"),
];

/// Pages and tables that programs write under Excel's name, and Excel opens, by how they begin.
const MARKUP: [(&str, &str); 4] = [
    ("<!doctype html", "a web page under a spreadsheet's name"),
    ("<html", "a web page under a spreadsheet's name"),
    ("<table", "a web page under a spreadsheet's name"),
    ("<?xml", "an XML document"),
];

/// What stands for bytes that are no character.
pub(super) const BROKEN: char = char::REPLACEMENT_CHARACTER;

/// The text of a file, each line ended by `\n` whatever ended it in the file.
pub(super) fn decode(bytes: &[u8]) -> Result<(String, Encoding), ReadError> {
    if let Some((_, format)) = NOT_CSV.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Err(ReadError::NotCsv { format });
    }
    let (text, encoding) = if let Some(rest) = bytes.strip_prefix(b"\xef\xbb\xbf") {
        (String::from_utf8_lossy(rest), Encoding::Utf8)
    } else if let Some(rest) = bytes.strip_prefix(b"\xff\xfe") {
        (encoding_rs::UTF_16LE.decode_without_bom_handling(rest).0, Encoding::Utf16)
    } else if let Some(rest) = bytes.strip_prefix(b"\xfe\xff") {
        (encoding_rs::UTF_16BE.decode_without_bom_handling(rest).0, Encoding::Utf16)
    } else {
        let utf8 = String::from_utf8_lossy(bytes);
        let broken = |text: &str| text.matches(BROKEN).count();
        match broken(&utf8) {
            0 => (utf8, Encoding::Utf8),
            wrong => {
                let (cp932, _) = encoding_rs::SHIFT_JIS.decode_without_bom_handling(bytes);
                match broken(&cp932) < wrong {
                    true => (cp932, Encoding::Cp932),
                    false => (utf8, Encoding::Utf8),
                }
            }
        }
    };
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    if let Some((before, _)) = text.split_once('\0') {
        return Err(ReadError::Binary { line: line_after(before) });
    }
    let start: String = text.trim_start().chars().take(20).collect::<String>().to_lowercase();
    if let Some((_, format)) = MARKUP.iter().find(|(begin, _)| start.starts_with(begin)) {
        return Err(ReadError::NotCsv { format });
    }
    match text.trim().is_empty() {
        true => Err(ReadError::Empty),
        false => Ok((text, encoding)),
    }
}

/// The number of the line on which the text behind `before` begins.
pub(super) fn line_after(before: &str) -> u64 {
    let breaks = before.bytes().filter(|b| *b == b'\n').count();
    u64::try_from(breaks).unwrap_or(u64::MAX).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: Result<(&str, Encoding), ReadError>) {
        assert_eq!(decode(bytes), expected.map(|(text, encoding)| (text.to_owned(), encoding)));
    }

    #[test]
    fn encodings_are_told_apart() {
        check(b"MAC,a\r\nx\ry\n", Ok(("MAC,a\nx\ny\n", Encoding::Utf8)));
        check("\u{feff}機器名".as_bytes(), Ok(("機器名", Encoding::Utf8)));
        check("機器名".as_bytes(), Ok(("機器名", Encoding::Utf8)));
        check(b"\x8b\x40\x8a\xed\x96\xbc", Ok(("機器名", Encoding::Cp932)));
        // NEC's circled digits and the wave dash: in CP932, not in plain Shift JIS.
        check(b"\x87\x40\x81\x60", Ok(("①～", Encoding::Cp932)));
        check(b"\xff\xfe\x5f\x6a\x68\x56", Ok(("機器", Encoding::Utf16)));
        check(b"\xfe\xff\x6a\x5f\x56\x68", Ok(("機器", Encoding::Utf16)));
    }

    #[test]
    fn one_bad_byte_does_not_change_the_encoding() {
        let mut bytes = "機器名,管理者\nプリンタ,田中".as_bytes().to_vec();
        bytes.push(0xff);
        check(&bytes, Ok(("機器名,管理者\nプリンタ,田中\u{fffd}", Encoding::Utf8)));
        check(b"\x8b\x40\x8a\xed\x96\xbc\n\xfd", Ok(("機器名\n\u{fffd}", Encoding::Cp932)));
    }

    #[test]
    fn what_is_no_text_is_named() {
        check(b"", Err(ReadError::Empty));
        check(b" \r\n\xef\xbb\xbf"[..3].as_ref(), Err(ReadError::Empty));
        check(b"a\nb\0c", Err(ReadError::Binary { line: 2 }));
        for (bytes, expected) in [
            (&b"%PDF-1.7"[..], "a PDF document"),
            (b"\xef\xbb\xbf\r\n<HTML xmlns:x=\"urn:x\"><table>", "a web page"),
            (b"<?xml version=\"1.0\"?><Workbook/>", "an XML document"),
        ] {
            let told = decode(bytes).unwrap_err().to_string();
            assert!(told.contains(expected) && told.contains("xlsx"), "{told}");
        }
    }
}
