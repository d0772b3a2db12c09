//! A sheet of a workbook to rows: which sheet, where its headings are, and what merged cells say.

use super::{
    Form, Place, ReadError, RegisterKind,
    heading::Layout,
    table::{HEADING_ROWS, MAX_COLUMNS, Table, no_heading, score},
    value,
    workbook::{Grid, MAX_CELL, MAX_COLUMN, Merged, Workbook},
};

/// How many rows a heading may be high.
const MAX_HEIGHT: u32 = 4;

/// Cells that merged ones may fill in all.
const MAX_FILLED: usize = 1_000_000;

/// Bytes of text that they may put there.
const MAX_FILLED_TEXT: usize = 64 << 20;

/// A sheet, and its row that has the most headings.
struct Candidate {
    name: String,
    grid: Grid,
    score: usize,
    /// Counted from 0.
    row: u32,
    headings: Vec<String>,
}

/// Finds the sheet and its headings. A hidden sheet is read only where it is named. An import
/// replaces a whole register, so of several sheets that look like one, none is guessed.
pub(super) fn read(
    mut workbook: Workbook<'_>,
    kind: RegisterKind,
    place: &Place,
) -> Result<(Table, Form), ReadError> {
    let all: Vec<String> = workbook.sheets.iter().map(|sheet| sheet.name.clone()).collect();
    let wanted = |name: &String| match &place.sheet {
        Some(wanted) => wanted == name,
        None => workbook.sheets.iter().any(|sheet| sheet.name == *name && !sheet.hidden),
    };
    let names: Vec<String> = all.iter().filter(|name| wanted(name)).cloned().collect();
    if let (Some(wanted), true) = (&place.sheet, names.is_empty()) {
        return Err(ReadError::NoSheet { wanted: wanted.clone(), there: all });
    }
    let mut best: Option<Candidate> = None;
    let mut seen: Vec<(String, usize)> = Vec::new();
    let mut blank = true;
    for name in names {
        let grid = workbook.grid(&name)?;
        blank &= grid.rows.is_empty();
        let Some(candidate) = candidate(name, grid, kind, place.heading_line) else { continue };
        seen.push((candidate.name.clone(), candidate.score));
        if candidate.score > best.as_ref().map_or(0, |best| best.score) {
            best = Some(candidate);
        }
    }
    let Some(best) = best else {
        return Err(if blank { ReadError::Empty } else { no_heading(kind, place.heading_line) });
    };
    // A sheet of other things may have a column "no." as well.
    let rivals = |(_, score): &&(String, usize)| score.saturating_mul(2) > best.score;
    let rivals: Vec<String> = seen.iter().filter(rivals).map(|(name, _)| name.clone()).collect();
    if rivals.len() > 1 {
        return Err(ReadError::SeveralSheets { kind, sheets: rivals });
    }
    let others = seen.into_iter().map(|(name, _)| name).filter(|name| *name != best.name);
    let form =
        Form::Sheet { format: workbook.format, name: best.name.clone(), others: others.collect() };
    Ok((table(best, kind)?, form))
}

/// The row with the most headings, in the row that is named or else in one of the first.
fn candidate(name: String, grid: Grid, kind: RegisterKind, line: Option<u64>) -> Option<Candidate> {
    let row_of = |line: u64| u32::try_from(line.saturating_sub(1)).ok();
    let named = line.and_then(row_of);
    let rows = grid.rows.iter().filter(|(row, _)| line.is_none() || Some(**row) == named);
    let mut best: Option<(usize, u32, Vec<String>)> = None;
    for (row, cells) in rows.take(HEADING_ROWS) {
        let headings = with_merged(&grid, *row, cells);
        let score = score(kind, &headings);
        if score > best.as_ref().map_or(0, |(best, ..)| *best) {
            best = Some((score, *row, headings));
        }
    }
    let (score, row, headings) = best?;
    Some(Candidate { name, grid, score, row, headings })
}

fn at(column: u32) -> usize {
    usize::try_from(column).unwrap_or(usize::MAX)
}

/// The headings of a row, with what merged cells say in it: a heading over two rows stands in the
/// first of them, one over two columns in the left one.
fn with_merged(grid: &Grid, row: u32, cells: &[String]) -> Vec<String> {
    let mut headings = cells.to_vec();
    let over = grid.merged.iter().filter(|merged| (merged.first.0..=merged.last.0).contains(&row));
    for Merged { first, last } in over {
        let text = grid.text(*first);
        let end = last.1.min(MAX_COLUMN.saturating_sub(1));
        // Nobody's heading has more text than a cell can have.
        if text.is_empty() || text.len() > MAX_CELL || first.1 > end {
            continue;
        }
        if headings.len() <= at(end) {
            headings.resize(at(end).saturating_add(1), String::new());
        }
        for heading in headings.iter_mut().take(at(end).saturating_add(1)).skip(at(first.1)) {
            if heading.is_empty() {
                text.clone_into(heading);
            }
        }
    }
    headings
}

/// What is under the headings.
fn table(candidate: Candidate, kind: RegisterKind) -> Result<Table, ReadError> {
    let Candidate { mut grid, row, mut headings, .. } = candidate;
    let line = |row: u32| u64::from(row).saturating_add(1);
    if headings.len() > MAX_COLUMNS {
        let columns = headings.len();
        return Err(ReadError::TooManyColumns { line: line(row), columns });
    }
    let written = grid.rows.get(&row).cloned().unwrap_or_default();
    let mut rows = grid.rows.split_off(&below(&grid, row));
    fill_down(&mut rows, &grid.merged)?;
    // Where a printed page repeats them.
    rows.retain(|_, cells| *cells != written && *cells != headings);
    // Columns without a heading are kept where something stands in them, under their number.
    let width = rows.values().map(Vec::len).max().unwrap_or_default().max(headings.len());
    headings.resize(width.min(MAX_COLUMNS), String::new());
    let used: Vec<usize> = (0..headings.len())
        .filter(|at| {
            let says = |cells: &Vec<String>| cells.get(*at).is_some_and(|cell| !cell.is_empty());
            says(&headings) || rows.values().any(says)
        })
        .collect();
    let headings: Vec<String> = used
        .iter()
        .filter_map(|at| {
            let heading = headings.get(*at)?;
            match value::cell(heading).is_empty() {
                true => Some(format!("column {}", at.saturating_add(1))),
                false => Some(heading.clone()),
            }
        })
        .collect();
    let rows = rows.into_iter().map(|(row, cells)| {
        let mut kept: Vec<String> =
            used.iter().map(|at| cells.get(*at).cloned().unwrap_or_default()).collect();
        // What stands too far to the right is a cell too many.
        kept.extend(cells.get(MAX_COLUMNS..).unwrap_or_default().iter().cloned());
        (line(row), kept)
    });
    let rows = rows.collect();
    let layout = Layout::new(kind, &headings);
    Ok(Table { heading_line: line(row), layout, rows, problems: Vec::new() })
}

/// The first row below the headings. Those over several rows end with the lowest of them, as long as
/// nothing stands beside them: what does is a row of its own.
fn below(grid: &Grid, row: u32) -> u32 {
    let over = grid.merged.iter().filter(|merged| (merged.first.0..=merged.last.0).contains(&row));
    let over: Vec<&Merged> = over.collect();
    let last = over.iter().map(|merged| merged.last.0).max().unwrap_or(row);
    let last = last.min(row.saturating_add(MAX_HEIGHT).saturating_sub(1));
    let is_under = |column: usize| {
        over.iter().any(|merged| (at(merged.first.1)..=at(merged.last.1)).contains(&column))
    };
    let is_heading = |cells: &Vec<String>| {
        cells.iter().enumerate().all(|(column, cell)| cell.is_empty() || is_under(column))
    };
    let data = grid.rows.range(row.saturating_add(1)..=last.max(row.saturating_add(1)));
    let data = data.take_while(|(below, _)| **below <= last);
    let mut data = data.filter(|(_, cells)| !is_heading(cells)).map(|(below, _)| *below);
    data.next().unwrap_or(last.saturating_add(1))
}

type Rows = std::collections::BTreeMap<u32, Vec<String>>;

/// A cell that was merged over several rows says the same for each of them, such as the department
/// of five devices. Across columns it is one text that needs room, and stays where it is.
fn fill_down(rows: &mut Rows, merged: &[Merged]) -> Result<(), ReadError> {
    let (mut filled, mut said) = (0_usize, 0_usize);
    for Merged { first, last } in merged.iter().filter(|merged| merged.first.0 < merged.last.0) {
        let (top, column) = (first.0, at(first.1));
        let text = rows.get(&top).and_then(|cells| cells.get(column)).cloned();
        let Some(text) = text.filter(|text| !text.is_empty() && first.1 < MAX_COLUMN) else {
            continue;
        };
        for (_, cells) in rows.range_mut(top.saturating_add(1)..=last.0) {
            filled = filled.saturating_add(1);
            if filled > MAX_FILLED {
                let what = format!("more than {MAX_FILLED} merged cells");
                return Err(ReadError::TooMuch { what });
            }
            if cells.len() <= column {
                cells.resize(column.saturating_add(1), String::new());
            }
            if let Some(cell) = cells.get_mut(column).filter(|cell| cell.is_empty()) {
                said = said.saturating_add(text.len());
                if said > MAX_FILLED_TEXT {
                    let what = format!("more than {} MiB in merged cells", MAX_FILLED_TEXT >> 20);
                    return Err(ReadError::TooMuch { what });
                }
                cell.clone_from(&text);
            }
        }
    }
    Ok(())
}
