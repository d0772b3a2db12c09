//! What an import changes.

use std::collections::{BTreeMap, BTreeSet};

use super::{Entry, Field, columns};

/// The difference between a register and the one that replaces it. Entries are named as
/// their owner names them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RegisterDiff {
    /// Entries that only the new one has.
    pub added: Vec<String>,
    /// Entries that both have, with different content.
    pub changed: Vec<Changed>,
    /// Entries that only the old one has.
    pub removed: Vec<String>,
    /// How many are the same in both.
    pub unchanged: usize,
}

/// An entry that was changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Changed {
    /// The entry, as the new register names it.
    pub label: String,
    /// The cells that differ, in the order of the columns.
    pub fields: Vec<FieldChange>,
}

/// A cell that was changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FieldChange {
    /// Its heading, as an export writes it.
    pub heading: String,
    /// What stood there, "" for nothing.
    pub before: String,
    /// What stands there now.
    pub after: String,
}

/// Compares a register with the one that replaces it. The order of the lines does not
/// matter. Entries are the same entry where their [`Entry::key`] is the same; of several
/// with one key, equal ones are paired first and the others in their order.
#[must_use]
pub fn diff<E: Entry>(old: &[E], new: &[E]) -> RegisterDiff {
    let mut groups: BTreeMap<String, (Vec<&E>, Vec<&E>)> = BTreeMap::new();
    for entry in old {
        groups.entry(entry.key()).or_default().0.push(entry);
    }
    for entry in new {
        groups.entry(entry.key()).or_default().1.push(entry);
    }
    let mut diff = RegisterDiff::default();
    for (old, new) in groups.into_values() {
        // By content, not pair by pair: nothing stops a file from giving every line one key.
        let mut known: BTreeMap<String, Vec<&E>> = BTreeMap::new();
        for entry in old {
            known.entry(entry.to_stored()).or_default().push(entry);
        }
        let mut others = Vec::new();
        for entry in new {
            match known.get_mut(&entry.to_stored()).and_then(Vec::pop) {
                Some(_) => diff.unchanged = diff.unchanged.saturating_add(1),
                None => others.push(entry),
            }
        }
        let mut gone = known.into_values().flatten();
        for entry in others {
            match gone.next() {
                Some(before) => {
                    let fields = differing(before, entry);
                    diff.changed.push(Changed { label: entry.label(), fields });
                }
                None => diff.added.push(entry.label()),
            }
        }
        diff.removed.extend(gone.map(Entry::label));
    }
    diff
}

fn differing<E: Entry>(old: &E, new: &E) -> Vec<FieldChange> {
    let known = old.cells().into_iter().zip(new.cells());
    let known = known.filter(|(a, b)| a != b).map(|((field, before), (_, after))| FieldChange {
        heading: heading::<E>(field),
        before,
        after,
    });
    let headings: BTreeSet<&String> = old.extra().keys().chain(new.extra().keys()).collect();
    let text =
        |entry: &E, heading: &String| entry.extra().get(heading).cloned().unwrap_or_default();
    let extra = headings.into_iter().map(|heading| FieldChange {
        heading: heading.clone(),
        before: text(old, heading),
        after: text(new, heading),
    });
    known.chain(extra.filter(|change| change.before != change.after)).collect()
}

/// The heading under which an export writes that field.
pub(super) fn heading<E: Entry>(field: Field) -> String {
    columns(E::KIND)
        .iter()
        .find(|column| column.field == field)
        .and_then(|column| column.headings.first())
        .map_or_else(|| format!("{field:?}"), |heading| (*heading).to_owned())
}
