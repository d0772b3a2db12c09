//! The table of products by what servers write: a text is looked through once, whatever the
//! number of products. It decides nothing about versions.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use super::known::{Known, PRODUCTS};

/// The table, looked up in each way that is needed.
struct Spellings {
    /// By the first byte, the longest first.
    by_first: HashMap<u8, Vec<(&'static str, &'static Known)>>,
    /// By the whole, with blanks for underscores.
    by_name: HashMap<String, &'static Known>,
    all: HashSet<&'static str>,
}

static SPELLINGS: LazyLock<Spellings> = LazyLock::new(|| {
    let mut by_first: HashMap<u8, Vec<_>> = HashMap::new();
    let mut by_name = HashMap::new();
    let mut all = HashSet::new();
    for known in PRODUCTS {
        for spelling in known.spellings {
            if let Some(first) = spelling.bytes().next() {
                by_first.entry(first).or_default().push((*spelling, known));
            }
            by_name.entry(spelling.replace('_', " ")).or_insert(known);
            all.insert(*spelling);
        }
    }
    for spellings in by_first.values_mut() {
        spellings.sort_by_key(|(spelling, _)| std::cmp::Reverse(spelling.len()));
    }
    Spellings { by_first, by_name, all }
});

/// The product that a text names first, the longest spelling of those that begin there, with no
/// letter or digit at either side; and what is behind it.
pub(super) fn first_in(text: &str) -> Option<(&'static Known, &str)> {
    let mut before = None;
    for (at, c) in text.char_indices() {
        let is_start = before.is_none_or(|c: char| !c.is_alphanumeric());
        before = Some(c);
        let Some(spellings) = u8::try_from(c).ok().filter(|_| is_start).and_then(spelled_from)
        else {
            continue;
        };
        let rest = text.get(at..)?;
        let found = spellings.iter().find_map(|(spelling, known)| {
            let (start, after) = rest.split_at_checked(spelling.len())?;
            let is_end = after.chars().next().is_none_or(|c| !c.is_alphanumeric());
            (is_end && start.eq_ignore_ascii_case(spelling)).then_some((*known, after))
        });
        if found.is_some() {
            return found;
        }
    }
    None
}

fn spelled_from(first: u8) -> Option<&'static Vec<(&'static str, &'static Known)>> {
    SPELLINGS.by_first.get(&first.to_ascii_lowercase())
}

/// The product of that name, in lower case and with blanks for underscores.
pub(super) fn of_name(name: &str) -> Option<&'static Known> {
    SPELLINGS.by_name.get(name).copied()
}

/// Whether a word in lower case is a product's.
pub(super) fn is_one(word: &str) -> bool {
    SPELLINGS.all.contains(word)
}
