//! A list as a file that Excel opens.

use rust_xlsxwriter::{Format, Workbook, XlsxError};

use crate::register::guard;

/// The most characters that a cell of Excel holds.
const LONGEST: usize = 32_767;
/// What ends a text that had to be cut.
const CUT: &str = " … (cut)";

/// Rows as CSV: UTF-8 with a byte order mark, every cell in quotation marks, CRLF. What a
/// spreadsheet would take for a formula gets an apostrophe in front (OWASP, "CSV Injection").
#[must_use]
pub fn to_csv(headings: &[String], rows: &[Vec<String>]) -> Vec<u8> {
    let mut text = String::from('\u{feff}');
    for row in std::iter::once(headings).chain(rows.iter().map(Vec::as_slice)) {
        for (at, cell) in row.iter().enumerate() {
            text.push_str(if at == 0 { "\"" } else { ",\"" });
            text.push_str(&guard(cell).replace('"', "\"\""));
            text.push('"');
        }
        text.push_str("\r\n");
    }
    text.into_bytes()
}

/// Rows as a workbook with one sheet. Every cell is text, so that Excel computes nothing; one that
/// is longer than Excel can hold ends with a mark that it was cut.
///
/// # Errors
///
/// Where there are more rows than a sheet has.
pub fn to_xlsx(headings: &[String], rows: &[Vec<String>]) -> Result<Vec<u8>, XlsxError> {
    let text = Format::new().set_num_format("@");
    let bold = Format::new().set_bold().set_num_format("@");
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    sheet.set_freeze_panes(1, 0)?;
    let all =
        std::iter::once((headings, &bold)).chain(rows.iter().map(|row| (row.as_slice(), &text)));
    for (row, (cells, format)) in (0_u32..).zip(all) {
        for (column, cell) in (0_u16..).zip(cells) {
            if !cell.is_empty() {
                sheet.write_string_with_format(row, column, short(cell), format)?;
            }
        }
    }
    workbook.save_to_buffer()
}

/// What of a text a cell holds.
fn short(cell: &str) -> String {
    match cell.chars().count() > LONGEST {
        true => {
            let kept = LONGEST.saturating_sub(CUT.chars().count());
            cell.chars().take(kept).chain(CUT.chars()).collect()
        }
        false => cell.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use calamine::{Reader as _, Xlsx};

    use super::*;

    #[test]
    fn no_cell_is_a_formula_and_no_text_is_too_long() {
        let headings = ["name".to_owned(), "what".to_owned()];
        let long = "あ".repeat(LONGEST + 1);
        let rows = [vec!["=1+1".to_owned(), "a \"b\"".to_owned()], vec![String::new(), long]];
        let csv = String::from_utf8(to_csv(&headings, &rows)).unwrap();
        assert!(
            csv.starts_with("\u{feff}\"name\",\"what\"\r\n\"'=1+1\",\"a \"\"b\"\"\"\r\n"),
            "{csv}"
        );
        let bytes = to_xlsx(&headings, &rows).unwrap();
        let mut workbook: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).unwrap();
        let sheet = workbook.worksheet_range_at(0).unwrap().unwrap();
        assert_eq!(sheet.get_value((1, 0)).unwrap().to_string(), "=1+1");
        let cut = sheet.get_value((2, 1)).unwrap().to_string();
        assert!(cut.ends_with(CUT) && cut.chars().count() == LONGEST);
    }
}
