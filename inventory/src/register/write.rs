//! A register as a file that Excel opens and that imports as the same entries.

use std::collections::BTreeSet;

use super::{Entry, change::heading, columns, value::guard};

/// The register as CSV: UTF-8 with a byte order mark (without which Excel in Japan reads
/// CP932), commas, every cell in quotation marks, CRLF (RFC 4180). Known columns come first
/// under their English headings, then the others under their own.
///
/// A cell that a spreadsheet would take for a formula gets an apostrophe in front (OWASP,
/// "CSV Injection"), which [`super::read`] takes off again.
#[must_use]
pub fn to_csv<E: Entry>(entries: &[E]) -> Vec<u8> {
    let extra: BTreeSet<&String> = entries.iter().flat_map(|entry| entry.extra().keys()).collect();
    let mut text = String::from('\u{feff}');
    let known = columns(E::KIND).iter().map(|column| heading::<E>(column.field));
    line(&mut text, known.chain(extra.iter().map(|heading| (*heading).clone())));
    for entry in entries {
        let known = entry.cells().into_iter().map(|(_, cell)| cell);
        let others = extra.iter().map(|heading| entry.extra().get(*heading));
        line(&mut text, known.chain(others.map(|cell| cell.cloned().unwrap_or_default())));
    }
    text.into_bytes()
}

fn line(text: &mut String, cells: impl Iterator<Item = String>) {
    for (at, cell) in cells.enumerate() {
        text.push_str(if at == 0 { "\"" } else { ",\"" });
        text.push_str(&guard(&cell).replace('"', "\"\""));
        text.push('"');
    }
    text.push_str("\r\n");
}
