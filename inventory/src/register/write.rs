//! A register as a file that Excel opens and that imports as the same entries.

use std::collections::BTreeSet;

use model::Timestamp;
use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, FormatAlign, Workbook, XlsxError};
use thiserror::Error;

use super::{
    Entry, Field,
    change::heading,
    columns,
    value::{cell, guard},
};

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

/// The register cannot be written as a workbook.
#[derive(Debug, Error)]
pub enum WriteError {
    /// A cell has more text than Excel can hold.
    #[error(
        "{entry} has more in {heading:?} than a cell of Excel holds (32,767 characters): export it \
         as CSV"
    )]
    CellTooLong {
        /// The entry.
        entry: String,
        /// The column.
        heading: String,
    },
    /// Anything else that the format does not allow.
    #[error("writing the {kind} register as a workbook")]
    Workbook {
        /// The register.
        kind: super::RegisterKind,
        /// What the format does not allow.
        #[source]
        source: XlsxError,
    },
}

/// How wide columns are, in characters.
const WIDTH: f64 = 20.0;

/// The register as a workbook of Excel with one sheet, named for its kind; `at` is noted as the time
/// at which it was made.
///
/// Every cell is text, whatever it begins with, so that Excel computes nothing, and has the format
/// of text, so that what a person types there later keeps its zeros. Days are days, for sorting and
/// filtering. Only a text that already begins with an apostrophe before a formula gets another one,
/// because reading takes one off.
///
/// # Errors
///
/// Where a cell is too long for Excel.
pub fn to_xlsx<E: Entry>(entries: &[E], at: Timestamp) -> Result<Vec<u8>, WriteError> {
    let failed = |source| WriteError::Workbook { kind: E::KIND, source };
    let extra: BTreeSet<&String> = entries.iter().flat_map(|entry| entry.extra().keys()).collect();
    let known: Vec<Field> = columns(E::KIND).iter().map(|column| column.field).collect();
    let headings: Vec<String> = known
        .iter()
        .map(|field| heading::<E>(*field))
        .chain(extra.iter().map(|heading| (*heading).clone()))
        .collect();
    let text = Format::new().set_num_format("@").set_align(FormatAlign::Top).set_text_wrap();
    let day = Format::new().set_num_format("yyyy-mm-dd").set_align(FormatAlign::Top);
    let bold = Format::new().set_bold().set_num_format("@");
    let mut workbook = Workbook::new();
    let moment = ExcelDateTime::from_timestamp(at.0.div_euclid(1_000_000)).map_err(failed)?;
    workbook.set_properties(&DocProperties::new().set_creation_datetime(&moment));
    let sheet = workbook.add_worksheet();
    sheet.set_name(E::KIND.as_str()).map_err(failed)?;
    sheet.set_freeze_panes(1, 0).map_err(failed)?;
    let number = |at: usize| u16::try_from(at).unwrap_or(u16::MAX);
    for (column, heading) in headings.iter().enumerate() {
        let column = number(column);
        sheet.set_column_width(column, WIDTH).map_err(failed)?;
        sheet.set_column_format(column, &text).map_err(failed)?;
        sheet.write_string_with_format(0, column, safe(heading), &bold).map_err(failed)?;
    }
    for (row, entry) in (1_u32..).zip(entries) {
        let cells = entry.cells().into_iter().map(|(_, cell)| cell);
        let others = extra.iter().map(|heading| entry.extra().get(*heading).cloned());
        let cells = cells.chain(others.map(Option::unwrap_or_default));
        for (at, cell) in cells.enumerate().filter(|(_, cell)| !cell.is_empty()) {
            let is_day = known.get(at).is_some_and(|field| is_day(*field));
            let date = is_day.then(|| ExcelDateTime::parse_from_str(&cell).ok()).flatten();
            let written = match date {
                Some(date) => sheet.write_datetime_with_format(row, number(at), &date, &day),
                None => sheet.write_string_with_format(row, number(at), safe(&cell), &text),
            };
            written.map_err(|error| match error {
                XlsxError::MaxStringLengthExceeded => WriteError::CellTooLong {
                    entry: entry.label(),
                    heading: headings.get(at).cloned().unwrap_or_default(),
                },
                other => failed(other),
            })?;
        }
    }
    let last = u32::try_from(entries.len()).unwrap_or(u32::MAX);
    if let Some(columns) = headings.len().checked_sub(1) {
        sheet.autofilter(0, 0, last, number(columns)).map_err(failed)?;
    }
    workbook.save_to_buffer().map_err(failed)
}

const fn is_day(field: Field) -> bool {
    matches!(field, Field::ValidFrom | Field::ValidUntil | Field::SupportEnds)
}

/// A text that reading gives back as it is.
fn safe(text: &str) -> String {
    if cell(text) == text { text.to_owned() } else { guard(text) }
}
