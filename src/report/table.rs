//! Columns for people. What the network said is made harmless for the terminal first.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// A table with a heading row. Columns are as wide as they need to be, up to a limit that
/// does not hold for the last one: the text that explains belongs there.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

/// No cell is wider than this many columns of the terminal; what is longer ends with `…`.
const WIDEST: usize = 60;

impl Table {
    pub(crate) fn new(headings: &[&str]) -> Self {
        Self { rows: vec![headings.iter().map(|heading| heading.to_uppercase()).collect()] }
    }

    pub(crate) fn row<C: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = C>) {
        let mut cells: Vec<String> =
            cells.into_iter().map(|cell| printable(cell.as_ref())).collect();
        if let Some((_, all_but_last)) = cells.split_last_mut() {
            all_but_last.iter_mut().for_each(|cell| *cell = fitted(cell));
        }
        self.rows.push(cells);
    }

    pub(crate) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.width()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(cell);
                line.push_str(&" ".repeat(width.saturating_sub(cell.width()) + 2));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// The text without what a terminal would obey: a banner must not be able to move the
/// cursor, change colours or ring the bell of whoever reads about it.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if is_obeyed(c) { '\u{fffd}' } else { c }).collect()
}

/// Whether a character is no letter to be shown but something to be obeyed: controls, and marks
/// that reorder or hide letters, with which a name can look like another one.
pub(crate) fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

fn fitted(text: &str) -> String {
    if text.width() <= WIDEST {
        return text.to_owned();
    }
    let mut width = 0;
    let mut cut = String::new();
    for c in text.chars() {
        width += c.width().unwrap_or(0);
        if width >= WIDEST {
            break;
        }
        cut.push(c);
    }
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_also_in_japanese() {
        let mut table = Table::new(&["id", "name"]);
        table.row(["1", "受付プリンター"]);
        table.row(["200", "pc"]);
        assert_eq!(table.render(), "ID   NAME\n1    受付プリンター\n200  pc\n");
    }

    #[test]
    fn a_banner_cannot_command_the_terminal() {
        assert_eq!(
            printable("a\u{1b}[31mb\u{7}\n\u{202e}c"),
            "a\u{fffd}[31mb\u{fffd}\u{fffd}\u{fffd}c"
        );
    }

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        let mut table = Table::new(&["x", "y"]);
        let long = "é".repeat(100);
        table.row([&long, &long]);
        let text = table.render();
        let (first, last) = text.lines().last().unwrap().split_once("  ").unwrap();
        assert!(first.ends_with('…') && first.width() <= WIDEST, "{first}");
        assert_eq!(last, long);
    }
}
