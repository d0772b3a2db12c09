//! Text to rows: what separates the cells, where the headings are, which line is which.
//!
//! The csv crate splits; around it stands what offices do to CSV files: titles above the
//! headings, blank lines, headings repeated on every printed page, a quotation mark that
//! is never closed and would swallow the rest of the file. Of a sheet the same is asked in
//! `sheet`.

use csv::{ReaderBuilder, StringRecord};

use super::{
    LineProblem, ReadError, Reason, RegisterKind, columns,
    heading::{Layout, column},
    text::line_after,
    value,
};

/// In how many rows, blank ones not counted, the headings are looked for.
pub(super) const HEADING_ROWS: usize = 20;

/// How many columns a register may have.
pub(super) const MAX_COLUMNS: usize = 256;

/// How often reading starts again behind a quotation mark that is never closed. Each time
/// costs a pass over the rest of the file.
const MAX_RESTARTS: usize = 16;

/// A register as rows.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) heading_line: u64,
    pub(super) layout: Layout,
    /// The rows under the headings that are not blank, each with its line.
    pub(super) rows: Vec<(u64, Vec<String>)>,
    pub(super) problems: Vec<LineProblem>,
}

/// A row, and where it stands in the text.
struct Raw {
    start: usize,
    cells: Vec<String>,
}

/// Finds the headings, in the line that is named or else in one of the first, and everything under
/// them, and what separates the cells.
pub(super) fn read(
    text: &str,
    kind: RegisterKind,
    line: Option<u64>,
) -> Result<(Table, char), ReadError> {
    let mut best: Option<(usize, char, Raw)> = None;
    for delimiter in [',', '\t', ';'] {
        let rows = Rows::new(text, 0, delimiter).filter(|raw| !is_blank(&raw.cells));
        let mut lines = Lines::default();
        let named: Box<dyn Iterator<Item = Raw>> = match line {
            None => Box::new(rows.take(HEADING_ROWS)),
            Some(line) => {
                let mut rows = rows.map(|raw| (lines.at(text, raw.start), raw));
                let found = rows.find(|(at, _)| *at >= line).filter(|(at, _)| *at == line);
                Box::new(found.map(|(_, raw)| raw).into_iter())
            }
        };
        for raw in named {
            let score = score(kind, &raw.cells);
            if score > best.as_ref().map_or(0, |(best, ..)| *best) {
                best = Some((score, delimiter, raw));
            }
        }
    }
    let Some((_, delimiter, heading)) = best else { return Err(no_heading(kind, line)) };
    let mut lines = Lines::default();
    let heading_line = lines.at(text, heading.start);
    if heading.cells.len() > MAX_COLUMNS {
        let columns = heading.cells.len();
        return Err(ReadError::TooManyColumns { line: heading_line, columns });
    }
    let mut table = Table {
        heading_line,
        layout: Layout::new(kind, &heading.cells),
        rows: Vec::new(),
        problems: Vec::new(),
    };
    let mut start = heading.start;
    for restart in 0..=MAX_RESTARTS {
        let mut last = start;
        for raw in Rows::new(text, start, delimiter) {
            last = raw.start;
            // The headings themselves, and where a printed page repeats them.
            if !is_blank(&raw.cells) && raw.cells != heading.cells {
                table.rows.push((lines.at(text, raw.start), raw.cells));
            }
        }
        let tail = text.get(last..).unwrap_or_default();
        if !ends_in_quotes(tail, delimiter) {
            break;
        }
        // The row that ran to the end is not one. What follows its first line may be.
        let line = lines.at(text, last);
        if table.rows.last().is_some_and(|(of, _)| *of == line) {
            table.rows.pop();
        }
        let given_up = restart == MAX_RESTARTS;
        let reason = Reason::OpenQuote { given_up };
        table.problems.push(LineProblem { line, field: None, reason });
        let Some((first, _)) = tail.split_once('\n') else { break };
        start = last.saturating_add(first.len()).saturating_add(1);
    }
    Ok((table, delimiter))
}

pub(super) fn no_heading(kind: RegisterKind, line: Option<u64>) -> ReadError {
    let all = columns(kind).iter().filter(|column| column.identifies);
    let expected: Vec<&str> =
        all.flat_map(|c| [c.headings.first(), c.headings.last()]).flatten().copied().collect();
    let expected = expected.join(", ");
    match line {
        Some(line) => ReadError::NoHeadingThere { kind, line, expected },
        None => ReadError::NoHeading { kind, rows: HEADING_ROWS, expected },
    }
}

/// How many different columns a row names, or 0 where none of them tells entries apart.
pub(super) fn score(kind: RegisterKind, cells: &[String]) -> usize {
    let mut known: Vec<_> = cells
        .iter()
        .take(MAX_COLUMNS)
        .filter_map(|cell| column(kind, &value::cell(cell)))
        .collect();
    known.sort_by_key(|column| column.field);
    known.dedup_by_key(|column| column.field);
    match known.iter().any(|column| column.identifies) {
        true => known.len(),
        false => 0,
    }
}

fn is_blank(cells: &[String]) -> bool {
    cells.iter().all(|cell| cell.trim().is_empty())
}

/// The rows of a text, from a place in it on.
struct Rows<'a> {
    reader: csv::Reader<&'a [u8]>,
    from: &'a str,
    offset: usize,
}

impl<'a> Rows<'a> {
    fn new(text: &'a str, offset: usize, delimiter: char) -> Self {
        let from = text.get(offset..).unwrap_or_default();
        let reader = ReaderBuilder::new()
            .delimiter(u8::try_from(delimiter).unwrap_or(b','))
            .has_headers(false)
            .flexible(true)
            .from_reader(from.as_bytes());
        Self { reader, from, offset }
    }
}

impl Iterator for Rows<'_> {
    type Item = Raw;

    fn next(&mut self) -> Option<Raw> {
        let mut record = StringRecord::new();
        // Reading from memory does not fail, the text is UTF-8, and rows may differ in
        // length: an error would mean that nothing more can be read.
        if !matches!(self.reader.read_record(&mut record), Ok(true)) {
            return None;
        }
        // The reader counts the blank lines that it skips to the row behind them.
        let at = record.position().map_or(0, csv::Position::byte);
        let at = usize::try_from(at).unwrap_or(usize::MAX).min(self.from.len());
        let blank = self.from.bytes().skip(at).take_while(|b| *b == b'\n').count();
        let start = self.offset.saturating_add(at).saturating_add(blank);
        Some(Raw { start, cells: record.iter().map(str::to_owned).collect() })
    }
}

/// Line numbers for places that are asked about in ascending order, most of the time.
#[derive(Default)]
struct Lines {
    place: usize,
    breaks: u64,
}

impl Lines {
    fn at(&mut self, text: &str, place: usize) -> u64 {
        if place < self.place {
            *self = Self::default();
        }
        let between = text.get(self.place..place).unwrap_or_default();
        self.breaks = self.breaks.saturating_add(line_after(between)).saturating_sub(1);
        self.place = place;
        self.breaks.saturating_add(1)
    }
}

/// Whether a text that begins with a row ends within a quoted cell.
fn ends_in_quotes(text: &str, delimiter: char) -> bool {
    enum At {
        Start,
        Plain,
        Quoted,
        Quote,
    }
    let mut at = At::Start;
    for c in text.chars() {
        at = match (at, c) {
            (At::Start, '"') | (At::Quote, '"') => At::Quoted,
            (At::Quoted, '"') => At::Quote,
            (At::Quoted, _) => At::Quoted,
            (_, c) if c == delimiter || c == '\n' => At::Start,
            _ => At::Plain,
        };
    }
    matches!(at, At::Quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, delimiter: char, heading_line: u64, rows: &[(u64, &[&str])]) {
        let (table, found) = read(text, RegisterKind::Device, None).unwrap();
        assert_eq!((found, table.heading_line), (delimiter, heading_line), "{text:?}");
        let got: Vec<(u64, Vec<&str>)> = table
            .rows
            .iter()
            .map(|(line, cells)| (*line, cells.iter().map(String::as_str).collect()))
            .collect();
        let expected: Vec<_> = rows.iter().map(|(line, cells)| (*line, cells.to_vec())).collect();
        assert_eq!(got, expected, "{text:?}");
    }

    #[test]
    fn the_heading_row_tells_the_delimiter() {
        check("mac,owner\n1,a;b;c\n", ',', 1, &[(2, &["1", "a;b;c"])]);
        check("mac;owner\n1;a,b,c\n", ';', 1, &[(2, &["1", "a,b,c"])]);
        check("mac\towner\n1\ta,b;c\n", '\t', 1, &[(2, &["1", "a,b;c"])]);
        check("\"mac;ip,x\";\"owner\";mac\n1;2;3\n", ';', 1, &[(2, &["1", "2", "3"])]);
        check("mac\n1\n", ',', 1, &[(2, &["1"])]);
    }

    #[test]
    fn lines_count_as_in_an_editor() {
        check(
            "承認機器一覧\n\n2026年11月,,\n\nMAC,備考\n\n1,\"a\nb\"\n,\n\n\n2,c",
            ',',
            5,
            &[(7, &["1", "a\nb"]), (12, &["2", "c"])],
        );
        check("mac,owner\n1,a\nmac,owner\n2,b\n", ',', 1, &[(2, &["1", "a"]), (4, &["2", "b"])]);
    }

    #[test]
    fn an_open_quotation_mark_costs_its_own_line() {
        let text = "mac,owner\n1,a\n2,\"b\n3,c\n4,\"d\"\n";
        let (table, _) = read(text, RegisterKind::Device, None).unwrap();
        let lines: Vec<u64> = table.rows.iter().map(|(line, _)| *line).collect();
        let problems: Vec<String> = table.problems.iter().map(ToString::to_string).collect();
        // The mark of line 3 is closed by the first one of line 5, where csv goes on.
        assert_eq!(lines.first(), Some(&2), "{lines:?} {problems:?}");

        let text = "mac,owner\n1,a\n2,\"b\n3,c\n4,d\n";
        let (table, _) = read(text, RegisterKind::Device, None).unwrap();
        let lines: Vec<u64> = table.rows.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [2, 4, 5]);
        assert_eq!(table.problems.len(), 1);
        assert_eq!(table.problems[0].line, 3);
    }
}
