//! A row with its cells under their columns.

use std::collections::BTreeMap;

use super::{
    Field, LineProblem, Reason,
    heading::Layout,
    text::BROKEN,
    value::{self, quote},
};

/// The longest text that Excel holds in a cell, and so the longest that a register needs.
const MAX_CELL: usize = 32_767;

/// A row of a register: each cell under what its column means.
#[derive(Debug)]
pub struct Row<'a> {
    line: u64,
    layout: &'a Layout,
    cells: Vec<String>,
}

impl<'a> Row<'a> {
    /// Puts the cells of a line under their columns.
    pub(super) fn new(
        line: u64,
        layout: &'a Layout,
        cells: &[String],
    ) -> Result<Self, LineProblem> {
        let problem = |at: Option<usize>, reason| {
            let field =
                at.and_then(|at| layout.columns.get(at)).map(|(heading, _)| heading.clone());
            LineProblem { line, field, reason }
        };
        let expected = layout.columns.len();
        // Where a cell too many is not empty, the cells before it may stand under wrong columns.
        if cells.iter().skip(expected).any(|cell| !cell.trim().is_empty()) {
            return Err(problem(None, Reason::TooManyCells { cells: cells.len(), expected }));
        }
        for (at, cell) in cells.iter().enumerate() {
            if cell.contains(BROKEN) {
                return Err(problem(Some(at), Reason::Undecodable(quote(cell))));
            }
            if cell.chars().count() > MAX_CELL {
                return Err(problem(Some(at), Reason::CellTooLong(MAX_CELL)));
            }
        }
        let cells = cells.iter().take(expected).map(|cell| value::cell(cell)).collect();
        Ok(Self { line, layout, cells })
    }

    /// The cells of that field that are not empty, in the order of the columns.
    pub(super) fn all(&self, field: Field) -> impl Iterator<Item = &str> {
        self.layout
            .columns
            .iter()
            .zip(&self.cells)
            .filter(move |((_, meaning), cell)| *meaning == Some(field) && !cell.is_empty())
            .map(|(_, cell)| cell.as_str())
    }

    /// The cell of that field, or "".
    pub(super) fn text(&self, field: Field) -> &str {
        self.all(field).next().unwrap_or_default()
    }

    /// The cell of that field, if it says something.
    pub(super) fn optional(&self, field: Field) -> Option<String> {
        self.all(field).next().map(str::to_owned)
    }

    /// The cells that are under no known column and not empty.
    pub(super) fn extra(&self) -> BTreeMap<String, String> {
        self.layout
            .columns
            .iter()
            .zip(&self.cells)
            .filter(|((_, meaning), cell)| meaning.is_none() && !cell.is_empty())
            .map(|((heading, _), cell)| (heading.clone(), cell.clone()))
            .collect()
    }

    /// The first heading of that field, as written.
    pub(super) fn heading(&self, field: Field) -> String {
        let found = self.layout.columns.iter().find(|(_, meaning)| *meaning == Some(field));
        found.map_or_else(|| format!("{field:?}"), |(heading, _)| heading.clone())
    }

    /// A problem with a cell of this row.
    pub(super) fn problem(&self, field: Option<Field>, reason: Reason) -> LineProblem {
        LineProblem { line: self.line, field: field.map(|field| self.heading(field)), reason }
    }

    /// Reads a cell; what is wrong with it goes to `problems`.
    pub(super) fn value<T: Default>(
        &self,
        field: Field,
        problems: &mut Vec<LineProblem>,
        read: impl Fn(&str) -> Result<T, Reason>,
    ) -> T {
        read(self.text(field)).unwrap_or_else(|reason| {
            problems.push(self.problem(Some(field), reason));
            T::default()
        })
    }

    /// Reads every value of every cell of that field, sorted, each once.
    pub(super) fn values<T: Ord>(
        &self,
        field: Field,
        problems: &mut Vec<LineProblem>,
        read: impl Fn(&str) -> Result<Vec<T>, Reason>,
    ) -> Vec<T> {
        let mut list = Vec::new();
        for ((heading, meaning), cell) in self.layout.columns.iter().zip(&self.cells) {
            if *meaning != Some(field) {
                continue;
            }
            match read(cell) {
                Ok(values) => list.extend(values),
                Err(reason) => {
                    let field = Some(heading.clone());
                    problems.push(LineProblem { line: self.line, field, reason });
                }
            }
        }
        list.sort();
        list.dedup();
        list
    }
}
