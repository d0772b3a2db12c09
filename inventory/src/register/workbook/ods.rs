//! Sheets of OpenDocument (ODF 1.3, part 3, section 9) to cells.
//!
//! Read here and not by calamine, which writes out rows and cells that a file only says to be
//! repeated before anybody can count them, and tells of no merged cells.

use std::{collections::HashSet, io::BufReader};

use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

use super::{
    Format, SheetName, archive, cell, damaged,
    grid::{Grid, MAX_CELL, MAX_COLUMN, count_sheets},
};
use crate::register::ReadError;

/// Rows of a sheet, as Excel has them; what is repeated further is the rest of the sheet.
const LAST_ROW: u32 = 1_048_575;

/// Every sheet with its cells, in their order.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<(SheetName, Grid)>, ReadError> {
    let wrong = |why: String| damaged(Format::Ods, why);
    let mut archive = archive::open(bytes)?;
    let content = archive.by_name("content.xml").map_err(|error| wrong(error.to_string()))?;
    let mut xml = Reader::from_reader(BufReader::new(content));
    xml.config_mut().check_end_names = false;
    let mut reading = Reading::default();
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        match xml.read_event_into(&mut buffer) {
            Ok(Event::Start(element)) => reading.begin(&element)?,
            Ok(Event::Empty(element)) => {
                reading.begin(&element)?;
                reading.end(element.name().as_ref())?;
            }
            Ok(Event::End(element)) => reading.end(element.name().as_ref())?,
            Ok(Event::Text(text)) => reading.say(&text.xml10_content()),
            Ok(Event::GeneralRef(entity)) => {
                let known = quick_xml::escape::unescape(&format!("&{};", &*entity))
                    .map(std::borrow::Cow::into_owned);
                reading.say(&known.map_err(|error| wrong(error.to_string()))?);
            }
            Ok(Event::Eof) => break,
            Ok(_) => {}
            Err(error) => return Err(wrong(error.to_string())),
        }
    }
    match reading.sheet {
        Some(_) => Err(wrong("it ends in the middle of a sheet".to_owned())),
        None => Ok(reading.sheets),
    }
}

#[derive(Default)]
struct Reading {
    sheets: Vec<(SheetName, Grid)>,
    /// Styles of sheets that are not shown, and the one that is read.
    hidden: HashSet<String>,
    style: Option<String>,
    /// The sheet that is read, and in it tables within cells.
    sheet: Option<(SheetName, Grid)>,
    inside: usize,
    row: u32,
    rows: u32,
    column: u32,
    cells: Vec<(u32, u32, String)>,
    cell: Option<Cell>,
    /// A comment on a cell is not what the cell says.
    notes: usize,
    paragraphs: usize,
}

#[derive(Default)]
struct Cell {
    kind: String,
    value: Option<String>,
    /// How often it is repeated, and how far it reaches.
    columns: u32,
    spans: (u32, u32),
    text: String,
    paragraphs: usize,
}

/// An attribute, with the entities of XML resolved; one that has others has none.
fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = element.try_get_attribute(name).ok().flatten()?;
    quick_xml::escape::unescape(&found.value).ok().map(std::borrow::Cow::into_owned)
}

impl Reading {
    fn begin(&mut self, element: &BytesStart<'_>) -> Result<(), ReadError> {
        let get = |name: &str| attribute(element, name);
        let count = |name: &str| {
            get(name).and_then(|text| text.parse::<u32>().ok()).map_or(1, |count| count.max(1))
        };
        match element.name().as_ref() {
            "style:style" => self.style = get("style:name"),
            "style:table-properties" if get("table:display").as_deref() == Some("false") => {
                self.hidden.extend(self.style.clone());
            }
            "table:table" if self.sheet.is_some() => self.inside = self.inside.saturating_add(1),
            "table:table" => {
                let Some(name) = get("table:name") else { return Ok(()) };
                let style = get("table:style-name");
                let hidden = style.is_some_and(|style| self.hidden.contains(&style));
                count_sheets(self.sheets.len().saturating_add(1))?;
                // All of them are held at once.
                let grid = self.sheets.last().map_or_else(Grid::default, |(_, grid)| grid.after());
                self.sheet = Some((SheetName { name, hidden }, grid));
                self.row = 0;
            }
            _ if self.sheet.is_none() || self.inside > 0 => {}
            "table:table-row" => {
                self.rows = count("table:number-rows-repeated");
                self.column = 0;
                self.cells.clear();
            }
            "table:table-cell" | "table:covered-table-cell" => {
                self.cell = Some(Cell {
                    kind: get("office:value-type").unwrap_or_default(),
                    value: get("office:value")
                        .or_else(|| get("office:date-value"))
                        .or_else(|| get("office:boolean-value"))
                        .or_else(|| get("office:string-value")),
                    columns: count("table:number-columns-repeated"),
                    spans: (
                        count("table:number-rows-spanned"),
                        count("table:number-columns-spanned"),
                    ),
                    ..Cell::default()
                });
            }
            "office:annotation" => self.notes = self.notes.saturating_add(1),
            "text:p" if self.notes == 0 => {
                self.paragraphs = self.paragraphs.saturating_add(1);
                if let Some(cell) = &mut self.cell {
                    cell.paragraphs = cell.paragraphs.saturating_add(1);
                    if cell.paragraphs > 1 {
                        cell.text.push('\n');
                    }
                }
            }
            // Runs of blanks; more than a cell holds are not meant.
            "text:s" => {
                let blanks = usize::try_from(count("text:c")).unwrap_or(1).min(1_000);
                self.say(&" ".repeat(blanks));
            }
            "text:tab" => self.say("\t"),
            "text:line-break" => self.say("\n"),
            _ => {}
        }
        Ok(())
    }

    /// A few bytes of a file may say many blanks, as often as they stand there.
    fn say(&mut self, text: &str) {
        if let Some(cell) = &mut self.cell
            && self.notes == 0
            && self.paragraphs > 0
            && self.inside == 0
            && cell.text.len() <= MAX_CELL
        {
            cell.text.push_str(text);
        }
    }

    fn end(&mut self, name: &str) -> Result<(), ReadError> {
        match name {
            "style:style" => self.style = None,
            "office:annotation" => self.notes = self.notes.saturating_sub(1),
            "text:p" if self.notes == 0 => self.paragraphs = self.paragraphs.saturating_sub(1),
            "table:table" if self.inside > 0 => self.inside = self.inside.saturating_sub(1),
            "table:table" => self.sheets.extend(self.sheet.take()),
            _ if self.inside > 0 => {}
            "table:table-cell" | "table:covered-table-cell" => self.end_cell(),
            "table:table-row" => self.end_row()?,
            _ => {}
        }
        Ok(())
    }

    fn end_cell(&mut self) {
        let Some(cell) = self.cell.take() else { return };
        self.paragraphs = 0;
        let (column, columns, spans) = (self.column, cell.columns, cell.spans);
        self.column = column.saturating_add(columns);
        if spans != (1, 1)
            && let Some((_, grid)) = &mut self.sheet
        {
            let last = |first: u32, count: u32| first.saturating_add(count).saturating_sub(1);
            let last = (last(self.row, spans.0), last(column, spans.1));
            grid.merge((self.row, column), last);
        }
        let text = cell.into_text();
        if !text.trim().is_empty() && column <= MAX_COLUMN {
            self.cells.push((column, self.column.min(MAX_COLUMN.saturating_add(1)), text));
        }
    }

    fn end_row(&mut self) -> Result<(), ReadError> {
        let (first, next) = (self.row, self.row.saturating_add(self.rows));
        self.row = next;
        let Some((_, grid)) = &mut self.sheet else { return Ok(()) };
        if self.cells.is_empty() {
            return Ok(());
        }
        for row in first..next.min(LAST_ROW.saturating_add(1)) {
            for (column, end, text) in &self.cells {
                for column in *column..*end {
                    grid.put(row, column, text)?;
                }
            }
        }
        Ok(())
    }
}

impl Cell {
    /// What a number is, its attribute says; with which zeros it is shown, its text.
    fn into_text(self) -> String {
        match (self.kind.as_str(), self.value) {
            ("float" | "percentage" | "currency", Some(value)) => {
                let padded = self.text.len() > value.len()
                    && self.text.bytes().all(|byte| byte.is_ascii_digit())
                    && self.text.trim_start_matches('0') == value.trim_start_matches('0');
                match value.parse() {
                    _ if padded => self.text,
                    Ok(number) => cell::number(number, 0),
                    Err(_) => value,
                }
            }
            ("date", Some(value)) => value.trim_end_matches("T00:00:00").replace('T', " "),
            ("boolean", Some(value)) => cell::truth(value == "true").to_owned(),
            ("string", Some(value)) if self.text.is_empty() => value,
            _ => self.text,
        }
    }
}
