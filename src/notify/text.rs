//! What devices say of themselves, made harmless for where it is going to be read.
//!
//! A host name, a banner or a certificate's subject may hold line ends that begin a header,
//! marks that reverse a line, or what a chat takes for a mention or a link. Here is what all
//! ways share; what a way alone obeys is its own to quote.

use crate::report::table::is_obeyed;

/// The text on one line, without what anything obeys: controls, and marks that reorder or hide
/// letters.
pub(super) fn line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\r' | '\n' | '\t' | '\u{2028}' | '\u{2029}' => line.push(' '),
            _ if is_obeyed(letter) => line.push('\u{fffd}'),
            letter => line.push(letter),
        }
    }
    line
}

/// The same of several lines, which stay lines.
pub(super) fn lines(text: &str) -> String {
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// As many bytes of a text at most, without half a letter. What is cut ends with `…`.
pub(super) fn cut(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let mut end = bytes.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", text.get(..end).unwrap_or_default())
}

/// What the other side said, for a table and a database.
pub(super) fn words(text: &str, bytes: usize) -> String {
    cut(line(text).trim(), bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_line_begins_another_or_turns_it_round() {
        assert_eq!(line("a\r\nBcc: b\tc"), "a  Bcc: b c");
        assert_eq!(
            line("\u{202e}gpj.exe\u{0}\u{1b}[2J\u{feff}"),
            "\u{fffd}gpj.exe\u{fffd}\u{fffd}[2J\u{fffd}"
        );
        assert_eq!(line("a\u{2028}b\u{85}c"), "a b\u{fffd}c");
        assert_eq!(lines("a\r\nb\u{7}"), "a\nb\u{fffd}");
    }

    #[test]
    fn a_text_is_cut_between_letters() {
        assert_eq!(cut("受付", 6), "受付");
        assert_eq!(cut("受付プリンター", 10), "受付…");
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("日本", 3), "…");
    }
}
