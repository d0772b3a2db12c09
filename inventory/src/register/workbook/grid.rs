//! The cells of a sheet that say something.

use std::collections::BTreeMap;

use crate::register::ReadError;

/// The last column that is kept, counted from 0, one more than a register may have: what stands
/// further to the right is put there, so that there is something to complain about.
pub(in crate::register) const MAX_COLUMN: u32 = 256;

/// Cells of a sheet that are kept, with the empty ones before them in their rows: 96 MB of memory.
const MAX_CELLS: usize = 4_000_000;

/// Rows of a sheet in which something stands.
const MAX_ROWS: usize = 262_144;

/// Bytes of text in the cells of a sheet: four times what a CSV file may have. A few bytes of a
/// workbook may say "the same text again".
const MAX_TEXT: usize = 64 << 20;

/// Bytes of text that are looked at in a cell: the 32,767 letters that one can have in Excel take no
/// more, and LibreOffice has no use for more either.
pub(in crate::register) const MAX_CELL: usize = 4 * 32_767;

/// Sheets of a workbook. Any number of names may lead to one part, and each is read.
const MAX_SHEETS: usize = 256;

/// Merged areas that are looked at.
const MAX_MERGED: usize = 65_536;

/// Cells that are shown as one, from a row and column to a row and column, both included, counted
/// from 0. What is in the first is what all of them say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::register) struct Merged {
    pub(in crate::register) first: (u32, u32),
    pub(in crate::register) last: (u32, u32),
}

/// The cells of a sheet that are not empty, by row and column, counted from 0.
#[derive(Clone, Debug, Default)]
pub(in crate::register) struct Grid {
    pub(in crate::register) rows: BTreeMap<u32, Vec<String>>,
    pub(in crate::register) merged: Vec<Merged>,
    cells: usize,
    text: usize,
}

impl Grid {
    pub(super) fn new(merged: impl Iterator<Item = ((u32, u32), (u32, u32))>) -> Self {
        let merged = merged
            .filter(|(first, last)| first.0 <= last.0 && first.1 <= last.1)
            .map(|(first, last)| Merged { first, last });
        Self { merged: merged.take(MAX_MERGED).collect(), ..Self::default() }
    }

    /// An empty one that counts on from this, where both are held at once.
    pub(super) fn after(&self) -> Self {
        Self { cells: self.cells, text: self.text, ..Self::default() }
    }

    pub(super) fn merge(&mut self, first: (u32, u32), last: (u32, u32)) {
        if self.merged.len() < MAX_MERGED {
            self.merged.push(Merged { first, last });
        }
    }

    /// Puts a text into its place. Blanks are nothing.
    pub(in crate::register) fn put(
        &mut self,
        row: u32,
        column: u32,
        text: &str,
    ) -> Result<(), ReadError> {
        if text.trim().is_empty() {
            return Ok(());
        }
        let at = usize::try_from(column.min(MAX_COLUMN)).unwrap_or_default();
        let cells = self.rows.entry(row).or_default();
        let more = at.saturating_add(1).saturating_sub(cells.len());
        self.cells = self.cells.saturating_add(more);
        self.text = self.text.saturating_add(text.len());
        if self.cells > MAX_CELLS {
            return Err(too_much(format!("more than {MAX_CELLS} cells in a sheet")));
        }
        if self.text > MAX_TEXT {
            return Err(too_much(format!("more than {} MiB of text in a sheet", MAX_TEXT >> 20)));
        }
        if more > 0 {
            cells.resize(at.saturating_add(1), String::new());
        }
        if let Some(cell) = cells.get_mut(at) {
            text.clone_into(cell);
        }
        match self.rows.len() > MAX_ROWS {
            true => Err(too_much(format!("more than {MAX_ROWS} rows in a sheet"))),
            false => Ok(()),
        }
    }

    /// What stands there, or "".
    pub(in crate::register) fn text(&self, (row, column): (u32, u32)) -> &str {
        let at = usize::try_from(column).unwrap_or(usize::MAX);
        self.rows.get(&row).and_then(|cells| cells.get(at)).map_or("", String::as_str)
    }
}

pub(super) fn too_much(what: String) -> ReadError {
    ReadError::TooMuch { what }
}

/// An error where there are more sheets than are read.
pub(super) fn count_sheets(sheets: usize) -> Result<(), ReadError> {
    match sheets > MAX_SHEETS {
        true => Err(too_much(format!("more than {MAX_SHEETS} sheets"))),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_said_often_is_too_much_before_it_is_held() {
        let mut grid = Grid::default();
        let text = "x".repeat(32_767);
        let refused = (0..1_000_000).find_map(|row| grid.put(row, 0, &text).err()).unwrap();
        assert!(refused.to_string().contains("64 MiB of text"), "{refused}");
        assert!(grid.rows.len() <= 2_049, "{}", grid.rows.len());
    }

    #[test]
    fn a_sheet_after_another_counts_on() {
        let (mut first, text) = (Grid::default(), "x".repeat(32_767));
        for row in 0..1_500 {
            first.put(row, 0, &text).unwrap();
        }
        let mut second = first.after();
        let refused = (0..1_500).find_map(|row| second.put(row, 0, &text).err()).unwrap();
        assert!(refused.to_string().contains("64 MiB of text"), "{refused}");
        assert!(second.rows.len() < 600, "{}", second.rows.len());
    }

    #[test]
    fn corners_far_apart_cost_what_stands_in_them() {
        let mut grid = Grid::default();
        grid.put(0, 0, "a").unwrap();
        grid.put(1_048_575, 16_383, "b").unwrap();
        assert_eq!((grid.rows.len(), grid.text((1_048_575, MAX_COLUMN))), (2, "b"));
        let refused = (0..).find_map(|row| grid.put(row, 16_000, "c").err()).unwrap();
        assert!(refused.to_string().contains("4000000 cells"), "{refused}");
    }

    #[test]
    fn blanks_are_no_rows() {
        let mut grid = Grid::default();
        for row in 0..2_000_000 {
            grid.put(row, 3, " \u{3000}").unwrap();
        }
        assert!(grid.rows.is_empty());
    }
}
