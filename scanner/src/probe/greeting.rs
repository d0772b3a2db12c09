//! The part of a greeting that says the same tomorrow.
//!
//! Facts are coalesced by value, so a greeting with a clock, a session id or a counter in
//! it would make a new fact with each sweep. What is left out here is still in the
//! observation's evidence.

/// The greeting without what changes by itself, or `None` where nothing is left.
#[must_use]
pub(crate) fn stable(text: &str) -> Option<String> {
    let words: Vec<&str> =
        without_time(text).split_whitespace().filter(|word| !is_volatile(word)).collect();
    let kept = words.join(" ");
    let kept = kept.trim_matches([' ', ',', ';', '-', '=', '*', '#', ':']);
    (!kept.is_empty()).then(|| kept.to_owned())
}

/// The text up to its first date or time of day. Greetings put them last, before nothing
/// but the zone.
#[must_use]
pub(crate) fn without_time(text: &str) -> &str {
    let mut at = 0;
    for word in text.split(' ') {
        if is_time(word) {
            return text.get(..at).unwrap_or("").trim_end_matches([' ', ';', ',', '-']);
        }
        at += word.len() + 1;
    }
    text
}

fn is_time(word: &str) -> bool {
    let word = word.trim_matches([',', ';', '.', '(', ')', '[', ']']);
    const NAMES: &[&str] = &[
        "mon",
        "tue",
        "wed",
        "thu",
        "fri",
        "sat",
        "sun",
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
    ];
    if NAMES.contains(&word.to_ascii_lowercase().as_str()) {
        return true;
    }
    let numbers = |separator: char| {
        let parts: Vec<&str> = word.split(separator).collect();
        let all = parts
            .iter()
            .all(|part| (1..=4).contains(&part.len()) && part.chars().all(|c| c.is_ascii_digit()));
        (all, parts.len())
    };
    matches!(numbers(':'), (true, 2 | 3))
        || matches!(numbers('/'), (true, 3))
        || (matches!(numbers('-'), (true, 3)) && word.len() >= 8)
}

/// Message ids, session ids, terminal names.
fn is_volatile(word: &str) -> bool {
    let bare = word.trim_matches(['<', '>', '[', ']', '(', ')', ',', ';', '"']);
    let identifier = word.starts_with('<') && word.contains('@');
    let terminal = bare.starts_with("pts/") || bare.starts_with("tty");
    // Long words without a dot that mix letters with digits, or change their case again
    // and again, are ids and encoded numbers.
    let letters: Vec<bool> =
        bare.chars().filter(char::is_ascii_alphabetic).map(|c| c.is_ascii_uppercase()).collect();
    let changes = letters.windows(2).filter(|pair| pair[0] != pair[1]).count();
    let long = bare.len() >= 16
        && !bare.contains('.')
        && (bare.chars().any(|c| c.is_ascii_digit()) || changes > 5)
        && bare
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '=' | '+' | '/' | '-' | '_'));
    identifier || terminal || long
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(stable(text).as_deref(), expected, "{text:?}");
    }

    #[test]
    fn clocks_and_ids_are_left_out() {
        check("h ESMTP Exim 4.96 Sun, 22 Nov 2026 10:00:00 +0000", Some("h ESMTP Exim 4.96"));
        check("h ESMTP Sendmail 8.17.1/8.17.1; Mon, 2 Nov", Some("h ESMTP Sendmail 8.17.1/8.17.1"));
        check("+OK ready <1896.697170952@dbc.example>", Some("+OK ready"));
        check("NetBSD/amd64 (host) (pts/3)", Some("NetBSD/amd64 (host)"));
        check("The service is ready. [SgBQADMAUAAyADgAMgBDAEEA]", Some("The service is ready."));
        check("10:00", None);
        check("vsFTPd 3.0.3", Some("vsFTPd 3.0.3"));
        check("", None);
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC{0,120}") {
            let _ = stable(&text);
        }
    }
}
