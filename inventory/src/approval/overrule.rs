//! Where a register says one thing and a decision another.

use std::collections::{BTreeSet, HashMap};

use jiff::tz::Offset;
use model::Timestamp;

use super::{Decision, DecisionId, Matter, Standing, Verdict};
use crate::register::{Entry, Field, RegisterKind};

/// An entry that a decision goes before.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Overruled {
    /// The entry, as its owner names it.
    pub entry: String,
    /// The decision.
    pub decision: DecisionId,
    /// What the decision says.
    pub text: String,
}

/// The entries of a register that say something else than the decisions that hold, in the order of
/// the decisions. Importing them changes nothing about that: it is told so that nobody wonders.
#[must_use]
pub fn overruled<E: Entry>(
    entries: &[E],
    decisions: &[Decision],
    offset: Offset,
    as_of: Timestamp,
) -> Vec<Overruled> {
    let mut known: HashMap<String, Vec<usize>> = HashMap::new();
    for (at, entry) in entries.iter().enumerate() {
        for name in names(entry) {
            known.entry(name).or_default().push(at);
        }
    }
    let mut found = Vec::new();
    for decision in decisions {
        if decision.matter.kind() != E::KIND || decision.standing(as_of, offset) != Standing::Holds
        {
            continue;
        }
        let wanted: Vec<String> = match &decision.matter {
            Matter::Asset { identifiers, .. } => {
                identifiers.iter().map(|one| one.value().to_lowercase()).collect()
            }
            Matter::Software(entry) => vec![entry.key()],
            Matter::Issuer(entry) => vec![entry.key()],
        };
        let same: BTreeSet<usize> =
            wanted.iter().filter_map(|name| known.get(name)).flatten().copied().collect();
        for entry in same.into_iter().filter_map(|at| entries.get(at)) {
            if says(entry).is_some_and(|said| said != decision.verdict)
                && decision.verdict != Verdict::Investigating
            {
                found.push(Overruled {
                    entry: entry.label(),
                    decision: decision.id,
                    text: decision.text(),
                });
            }
        }
    }
    found
}

/// What an entry is known by.
fn names<E: Entry>(entry: &E) -> Vec<String> {
    if E::KIND != RegisterKind::Device {
        return vec![entry.key()];
    }
    let fields = [Field::Mac, Field::Address, Field::HostName, Field::MachineId];
    let cells = entry.cells().into_iter().filter(|(field, _)| fields.contains(field));
    let values =
        cells.flat_map(|(_, text)| text.split("; ").map(str::to_lowercase).collect::<Vec<_>>());
    values.filter(|value| !value.is_empty()).collect()
}

/// What an entry says, in the words of decisions.
fn says<E: Entry>(entry: &E) -> Option<Verdict> {
    let cells = entry.cells();
    let status = cells.iter().find(|(field, _)| *field == Field::Status);
    match status.map(|(_, text)| text.as_str()) {
        // Who is on the list of issuers is approved.
        None | Some("approved" | "required") => Some(Verdict::Approved),
        Some("rejected" | "forbidden") => Some(Verdict::Rejected),
        Some("retired") => Some(Verdict::Retired),
        Some(_) => None,
    }
}
