//! Workbooks of spreadsheets to rows: Excel's (xlsx, xlsm, xlsb, and the old xls) and
//! LibreOffice's (ods).
//!
//! What a file is, its first bytes and what it packs say, not its name. calamine reads the formats
//! of Excel; before it is let at one, `archive` and `old` make sure that it unpacks to something
//! that can be held, and while it reads, `Grid` counts. A formula gives the value that was saved
//! with it: nothing is computed. What a sheet's rows mean is not known here.

mod archive;
mod cell;
mod grid;
mod ods;
mod old;

use std::{
    fmt,
    io::Cursor,
    panic::{AssertUnwindSafe, catch_unwind},
};

use calamine::{Reader, Sheet, SheetType, SheetVisible, Xls, Xlsb, Xlsx};

use super::ReadError;

pub(super) use grid::{Grid, MAX_CELL, MAX_COLUMN, Merged};

/// A format of workbooks that is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// Office Open XML, Excel since 2007.
    Xlsx,
    /// The same in binary.
    Xlsb,
    /// Excel 5 to 2003.
    Xls,
    /// OpenDocument.
    Ods,
}

impl Format {
    /// The end of such a file's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Xlsx => "xlsx",
            Self::Xlsb => "xlsb",
            Self::Xls => "xls",
            Self::Ods => "ods",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A sheet with cells: its name, and whether it is hidden.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct SheetName {
    pub(super) name: String,
    pub(super) hidden: bool,
}

/// A workbook whose sheets can be read.
pub(super) struct Workbook<'a> {
    pub(super) format: Format,
    pub(super) sheets: Vec<SheetName>,
    inner: Inner<'a>,
}

enum Inner<'a> {
    Xlsx(Box<Xlsx<Cursor<&'a [u8]>>>),
    Xlsb(Box<Xlsb<Cursor<&'a [u8]>>>),
    Xls(Box<Xls<Cursor<&'a [u8]>>>),
    /// Each sheet, in the order of the names.
    Ods(Vec<Grid>),
}

const ZIP: &[u8] = b"PK\x03\x04";
const COMPOUND: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";

/// Opens a workbook; `None` where the bytes are none, nor anything else that packs files.
pub(super) fn open(bytes: &[u8]) -> Result<Option<Workbook<'_>>, ReadError> {
    let format = if bytes.starts_with(ZIP) {
        archive::check(bytes)?
    } else if bytes.starts_with(COMPOUND) {
        old::check(bytes)?;
        Format::Xls
    } else {
        return Ok(None);
    };
    let (inner, sheets) = guarded(format, || {
        let wrong = |why: String| damaged(format, why);
        let cursor = Cursor::new(bytes);
        Ok(match format {
            Format::Xlsx => {
                let book = Xlsx::new(cursor).map_err(|error| wrong(error.to_string()))?;
                let sheets = names(book.sheets_metadata());
                (Inner::Xlsx(Box::new(book)), sheets)
            }
            Format::Xlsb => {
                let book = Xlsb::new(cursor).map_err(|error| wrong(error.to_string()))?;
                let sheets = names(book.sheets_metadata());
                (Inner::Xlsb(Box::new(book)), sheets)
            }
            Format::Xls => {
                let book = Xls::new(cursor).map_err(|error| wrong(error.to_string()))?;
                let sheets = names(book.sheets_metadata());
                (Inner::Xls(Box::new(book)), sheets)
            }
            Format::Ods => {
                let (sheets, grids) = ods::read(bytes)?.into_iter().unzip();
                (Inner::Ods(grids), sheets)
            }
        })
    })?;
    grid::count_sheets(sheets.len())?;
    Ok(Some(Workbook { format, sheets, inner }))
}

/// Sheets with cells; charts and macros have none.
fn names(sheets: &[Sheet]) -> Vec<SheetName> {
    let cells = sheets.iter().filter(|sheet| sheet.typ == SheetType::WorkSheet);
    cells
        .map(|sheet| SheetName {
            name: sheet.name.clone(),
            hidden: sheet.visible != SheetVisible::Visible,
        })
        .collect()
}

impl Workbook<'_> {
    /// The cells of the sheet of that name.
    pub(super) fn grid(&mut self, sheet: &str) -> Result<Grid, ReadError> {
        let (format, sheets, inner) = (self.format, &self.sheets, &mut self.inner);
        guarded(format, || match inner {
            Inner::Xlsx(book) => xlsx(book, sheet),
            Inner::Xlsb(book) => xlsb(book, sheet),
            Inner::Xls(book) => xls(book, sheet),
            Inner::Ods(grids) => {
                let at = sheets.iter().position(|known| known.name == sheet);
                Ok(at.and_then(|at| grids.get(at)).cloned().unwrap_or_default())
            }
        })
    }
}

/// calamine is made for files that programs wrote, and some of its readers index without looking.
/// A file that makes it panic is damaged; the worst that it leaves behind is dropped with it.
fn guarded<T>(format: Format, read: impl FnOnce() -> Result<T, ReadError>) -> Result<T, ReadError> {
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(damaged(format, "its parts contradict each other".to_owned())))
}

fn damaged(format: Format, why: String) -> ReadError {
    ReadError::Damaged { format, why }
}

fn xlsx(book: &mut Xlsx<Cursor<&[u8]>>, sheet: &str) -> Result<Grid, ReadError> {
    let wrong = |error: calamine::XlsxError| damaged(Format::Xlsx, error.to_string());
    let merged = book.merge_cells_by_sheet_name(sheet).map_err(wrong)?;
    let mut grid = Grid::new(merged.into_iter().map(|one| (one.start, one.end)));
    let mut cells = book.worksheet_cells_reader(sheet).map_err(wrong)?;
    // How many digits each style shows at least.
    let zeros: Vec<usize> = cells.styles().iter().map(cell::zeros).collect();
    while let Some((found, style)) = cells.next_cell_with_style_id().map_err(wrong)? {
        let (row, column) = found.get_position();
        let digits = zeros.get(style).copied().unwrap_or_default();
        grid.put(row, column, &cell::of_ref(found.get_value(), digits))?;
    }
    Ok(grid)
}

fn xlsb(book: &mut Xlsb<Cursor<&[u8]>>, sheet: &str) -> Result<Grid, ReadError> {
    let wrong = |error: calamine::XlsbError| damaged(Format::Xlsb, error.to_string());
    let mut grid = Grid::default();
    let mut cells = book.worksheet_cells_reader(sheet).map_err(wrong)?;
    while let Some(found) = cells.next_cell().map_err(wrong)? {
        let (row, column) = found.get_position();
        grid.put(row, column, &cell::of_ref(found.get_value(), 0))?;
    }
    Ok(grid)
}

fn xls(book: &mut Xls<Cursor<&[u8]>>, sheet: &str) -> Result<Grid, ReadError> {
    let wrong = |error: calamine::XlsError| damaged(Format::Xls, error.to_string());
    let merged = book.merge_cells_by_sheet_name(sheet).map_err(wrong)?;
    let mut grid = Grid::new(merged.into_iter().map(|one| (one.start, one.end)));
    let range = book.worksheet_range(sheet).map_err(wrong)?;
    let (top, left) = range.start().unwrap_or_default();
    for (row, column, value) in range.used_cells() {
        let row = u32::try_from(row).unwrap_or(u32::MAX).saturating_add(top);
        let column = u32::try_from(column).unwrap_or(u32::MAX).saturating_add(left);
        grid.put(row, column, &cell::of(value))?;
    }
    Ok(grid)
}
