//! What is wrong with a query, and where.

use std::{fmt, ops::Range};

use strsim::osa_distance;
use thiserror::Error;

use super::{DEEPEST, LONGEST, MOST_TERMS};

/// The text is not a query.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("in {term:?}: {problem}")]
pub struct QueryError {
    /// Where in the text the part that is wrong stands, in bytes.
    pub range: Range<usize>,
    /// That part.
    pub term: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a part of a query.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Problem {
    /// Nothing stands where something is needed.
    #[error(
        "expected a word to look for, or a field, a comparison (:, =, !=, ~, !~, <, <=, >, >= or in) \
         and a value"
    )]
    Nothing,
    /// No such field.
    #[error("{name:?} is not a field{} (one of {fields})", slip(.meant))]
    Field {
        /// What was written.
        name: String,
        /// The field that looks like it.
        meant: Option<&'static str>,
        /// All of them.
        fields: String,
    },
    /// The field cannot be compared like that.
    #[error("{field} cannot be compared with {comparison:?}: use {use_}")]
    Comparison {
        /// The field.
        field: String,
        /// What was written.
        comparison: String,
        /// What can be.
        use_: &'static str,
    },
    /// Nothing to compare with.
    #[error("there is no value after the comparison")]
    NoValue,
    /// A quotation that does not end, or goes on after its end.
    #[error("a quoted value begins and ends with a double quote")]
    Quote,
    /// A parenthesis without its other half.
    #[error("a parenthesis has no other half")]
    Parenthesis,
    /// Not a port.
    #[error("{0:?} is not a port (443, or 161/udp)")]
    Port(String),
    /// Not a network.
    #[error(
        "{0:?} is not a network (192.0.2.0/24, 192.0.2.1-192.0.2.9, or an address; a part of one after ~)"
    )]
    Network(String),
    /// Neither a length of time nor a day.
    #[error(
        "{value:?} is neither a length of time (a number and s, m, h, d or w, such as 7d) nor a day \
         (2026-11-22, 2026-11, 2026, today, yesterday or tomorrow){}", slip(.meant)
    )]
    Moment {
        /// What was written.
        value: String,
        /// The day that is written otherwise, or the word that looks like it.
        meant: Option<String>,
    },
    /// A day, month or year that is not in the calendar.
    #[error("{0:?} is not in the calendar (years 1900 to 9999, 2026-11-22, 2026-11)")]
    Calendar(String),
    /// A length of time where only a day can stand.
    #[error(
        "{0:?} is a length of time, which is compared with <, <=, > or >= (a day such as 2026-11-22 \
         with :, = or != too)"
    )]
    Length(String),
    /// Not a number.
    #[error("{0:?} is not a whole number")]
    Number(String),
    /// Neither yes nor no.
    #[error("{0:?} is neither yes nor no")]
    Flag(String),
    /// Not one of the words that the field can be.
    #[error("{value:?} is not a {field}{} (one of {words})", slip(.meant))]
    Word {
        /// The field.
        field: &'static str,
        /// What was written.
        value: String,
        /// The word that looks like it.
        meant: Option<&'static str>,
        /// All of them.
        words: String,
    },
    /// Longer than [`LONGEST`].
    #[error("a query has at most {LONGEST} bytes")]
    Long,
    /// More than [`MOST_TERMS`].
    #[error("a query compares and looks for at most {MOST_TERMS} things")]
    Many,
    /// Deeper than [`DEEPEST`].
    #[error("a query has at most {DEEPEST} levels of parentheses and nots")]
    Deep,
}

fn slip(meant: &Option<impl AsRef<str> + fmt::Debug>) -> String {
    meant.as_ref().map_or_else(String::new, |word| format!("; is {word:?} meant?"))
}

/// The word that was probably meant: the nearest, where it is near.
pub(super) fn nearest(
    written: &str,
    words: impl Iterator<Item = &'static str>,
) -> Option<&'static str> {
    // A word of three letters with two wrong is another word.
    let allowed = if written.len() > 4 { 2 } else { 1 };
    let near = words.map(|word| (osa_distance(written, word), word));
    near.filter(|(distance, _)| *distance <= allowed).min().map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_seen() {
        let words = || ["registration", "name", "port", "os"].into_iter();
        assert_eq!(nearest("registraton", words()), Some("registration"));
        assert_eq!(nearest("prot", words()), Some("port"));
        assert_eq!(nearest("prt", words()), Some("port"));
        assert_eq!(nearest("nane", words()), Some("name"));
        assert_eq!(nearest("elephant", words()), None);
    }
}
