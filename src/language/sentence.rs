//! The program's own sentences in Japanese.
//!
//! A detail or a reason is a sentence with values in it: it is made once, in English, stored as it
//! is, and so known by its pattern. That keeps what is stored readable without this program, makes
//! the sentences of older databases readable in Japanese as well, and asks nothing of the rooms
//! below, which speak to nobody.
//!
//! Texts of devices stand in sentences as values, as long and as odd as they like: how much is
//! tried is bounded, and a sentence that is not recognised within that stays English.

use std::{cell::Cell, sync::LazyLock};

/// A sentence in English, as the code has it, and in Japanese. In English `{}` is any text, `{#}` a
/// number, `{=}` a word without blanks (or several with commas between them), `{,}` a list of our names, `{&}` one with
/// "and" or "or", `{+}` a sentence of ours, `{?}` one of ours or any text; in Japanese `{0}` is the
/// first of them.
pub(super) type Pattern = (&'static str, &'static str);

/// A pattern, ready to be held against texts.
struct Known {
    parts: Vec<Part>,
    japanese: Vec<Out>,
    /// Letters that are the pattern's own: the more, the less it fits by chance.
    own: usize,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Part {
    Text(&'static str),
    Any,
    Number,
    Words,
    List,
    Names,
    Sentence,
    Perhaps,
}

enum Out {
    Text(&'static str),
    Value(usize),
}

/// All of them: those that begin with a sentence first, for whatever comes behind it is no part of
/// that one; then those with the most letters of their own.
static KNOWN: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let mut known: Vec<Known> = super::sentences::all().map(Known::new).collect();
    let begins = |one: &Known| one.parts.first() == Some(&Part::Sentence);
    known.sort_by_key(|one| std::cmp::Reverse((begins(one), one.own)));
    known
});

/// The most that is tried for one text: each part of a pattern counts by how long the text is that
/// it is looked for in.
const TRIES: usize = 100_000;

/// So many bytes count as one more.
const GRAIN: usize = 32;

/// The longest text that is looked at, in bytes; ours have a few hundred.
const LONGEST: usize = 16 << 10;

/// A sentence in a sentence in a sentence.
const DEEPEST: u32 = 12;

/// The sentence in Japanese, where it is one of ours.
pub(super) fn japanese(text: &str) -> Option<String> {
    (text.len() <= LONGEST).then(|| told(text, &Cell::new(TRIES), DEEPEST))?
}

fn told(text: &str, left: &Cell<usize>, deep: u32) -> Option<String> {
    let deep = deep.checked_sub(1)?;
    KNOWN.iter().find_map(|known| known.told(text, left, deep))
}

impl Known {
    fn new((english, japanese): Pattern) -> Self {
        let (parts, own) = read(english);
        Self { parts, japanese: outs(japanese), own }
    }

    fn told(&self, text: &str, left: &Cell<usize>, deep: u32) -> Option<String> {
        let ends = [self.parts.first(), self.parts.last()];
        if let [Some(Part::Text(first)), Some(Part::Text(last))] = ends {
            if !text.starts_with(first) || !text.ends_with(last) {
                return None;
            }
        }
        let mut values = Vec::new();
        if !fill(&self.parts, text, &mut values, left, deep) {
            return None;
        }
        let value = |out: &Out| match out {
            Out::Text(text) => (*text).to_owned(),
            Out::Value(number) => values.get(*number).cloned().unwrap_or_default(),
        };
        Some(self.japanese.iter().map(value).collect())
    }
}

/// Whether the text is what the parts say; then their values.
fn fill(
    parts: &[Part],
    text: &str,
    values: &mut Vec<String>,
    left: &Cell<usize>,
    deep: u32,
) -> bool {
    let Some(fewer) = left.get().checked_sub(1 + text.len() / GRAIN) else { return false };
    left.set(fewer);
    match parts {
        [] => text.is_empty(),
        [Part::Text(own), rest @ ..] => {
            text.strip_prefix(own).is_some_and(|text| fill(rest, text, values, left, deep))
        }
        [slot] => slot.value(text, left, deep).map(|value| values.push(value)).is_some(),
        [slot, rest @ ..] => {
            // Two slots side by side cannot be told apart; a test says that there are none.
            let Some(Part::Text(next)) = rest.first() else { return false };
            let (place, is_last) = (values.len(), rest.len() == 1);
            text.match_indices(next).any(|(at, _)| {
                let (here, behind) = text.split_at(at);
                // A text at the end of the pattern is at the end of the sentence.
                if is_last && behind.len() != next.len() {
                    return false;
                }
                values.push(String::new());
                if fill(rest, behind, values, left, deep)
                    && let Some(value) = slot.value(here, left, deep)
                    && let Some(own) = values.get_mut(place)
                {
                    *own = value;
                    return true;
                }
                values.truncate(place);
                false
            })
        }
    }
}

impl Part {
    /// The slot's value in Japanese, if the text fits.
    fn value(self, text: &str, left: &Cell<usize>, deep: u32) -> Option<String> {
        if text.is_empty() {
            return None;
        }
        let is_number = || text.chars().all(|c| c.is_ascii_digit() || matches!(c, ',' | '.'));
        match self {
            Self::Text(_) => None,
            Self::Any => Some(text.to_owned()),
            Self::Number => is_number().then(|| text.to_owned()),
            Self::Words => are_words(text).then(|| text.to_owned()),
            Self::List => {
                let text = told(text, left, deep).unwrap_or_else(|| text.to_owned());
                Some(text.replace(" and ", "、").replace(" or ", " または "))
            }
            Self::Names => {
                let names: Vec<&str> =
                    text.split(", ").map(|one| named(one).unwrap_or(one)).collect();
                Some(names.join("、"))
            }
            Self::Sentence => told(text, left, deep),
            Self::Perhaps => Some(told(text, left, deep).unwrap_or_else(|| text.to_owned())),
        }
    }
}

/// A sentence without values: a name.
fn named(text: &str) -> Option<&'static str> {
    let is_it = |part: &Part| matches!(part, Part::Text(known) if *known == text);
    let known = KNOWN.iter().find(|known| matches!(&known.parts[..], [only] if is_it(only)))?;
    match known.japanese.as_slice() {
        [Out::Text(name)] => Some(name),
        _ => None,
    }
}

/// Whether these are words of programs, one or some of them, and no sentence.
fn are_words(text: &str) -> bool {
    let is_word = |part: &str| {
        let quoted = part.strip_prefix('"').and_then(|part| part.strip_suffix('"'));
        quoted.is_some() || !part.contains(char::is_whitespace)
    };
    text.split([',', ';']).map(str::trim).all(is_word)
}

/// The parts of a pattern, and how many letters are its own.
fn read(pattern: &'static str) -> (Vec<Part>, usize) {
    let (mut parts, mut own, mut rest) = (Vec::new(), 0, pattern);
    while let Some((before, behind)) = rest.split_once('{') {
        let (slot, behind) = behind.split_once('}').unwrap_or((behind, ""));
        if !before.is_empty() {
            parts.push(Part::Text(before));
            own += before.len();
        }
        // A sentence inside fits less by chance than any text does.
        own += if slot == "+" { 8 } else { 0 };
        parts.push(match slot {
            "#" => Part::Number,
            "=" => Part::Words,
            "&" => Part::List,
            "," => Part::Names,
            "+" => Part::Sentence,
            "?" => Part::Perhaps,
            _ => Part::Any,
        });
        rest = behind;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
        own += rest.len();
    }
    (parts, own)
}

fn outs(pattern: &'static str) -> Vec<Out> {
    let (mut outs, mut rest) = (Vec::new(), pattern);
    while let Some((before, behind)) = rest.split_once('{') {
        let (number, behind) = behind.split_once('}').unwrap_or((behind, ""));
        outs.push(Out::Text(before));
        outs.push(Out::Value(number.parse().unwrap_or(usize::MAX)));
        rest = behind;
    }
    outs.push(Out::Text(rest));
    outs
}

#[cfg(test)]
mod tests;
