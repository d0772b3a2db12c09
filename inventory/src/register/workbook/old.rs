//! Whether an old workbook may be read: Excel 5 to 2003, records in a stream of a compound file
//! ([MS-CFB], [MS-XLS]).
//!
//! calamine reads all its sheets at once, as rectangles from the first cell to the last, with every
//! text copied into every cell that refers to it. So the cells are counted first, by their records,
//! without making any. An encrypted workbook of today is a compound file as well.

use std::collections::HashMap;

use super::{
    Format, damaged,
    grid::{count_sheets, too_much},
};
use crate::register::ReadError;

/// Cells of the rectangles of all sheets: 4,000,000 take 128 MB.
const MAX_CELLS: u64 = 4_000_000;

/// Bytes of text in all cells.
const MAX_TEXT: u64 = 64 << 20;

/// What says that there is no next sector.
const LAST_SECTOR: u32 = 0xffff_fffa;

pub(super) fn check(bytes: &[u8]) -> Result<(), ReadError> {
    let file = Compound::read(bytes).ok_or_else(|| wrong("it is no compound file"))?;
    if file.stream("EncryptedPackage").is_some() {
        return Err(ReadError::Encrypted);
    }
    let Some(stream) = file.stream("Workbook").or_else(|| file.stream("Book")) else {
        let format = match file.stream("WordDocument") {
            Some(_) => "an old Word document",
            None => "an old Office document without a workbook",
        };
        return Err(ReadError::NotCsv { format });
    };
    count(&stream)
}

fn wrong(why: &str) -> ReadError {
    damaged(Format::Xls, why.to_owned())
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|raw| u16::from_le_bytes(*raw))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|raw| u32::from_le_bytes(*raw))
}

fn usize_at(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32_at(bytes, at)?).ok()
}

/// A compound file: streams in sectors, chained by a table.
struct Compound<'a> {
    bytes: &'a [u8],
    sector: usize,
    next: Vec<u32>,
    mini_next: Vec<u32>,
    mini: Vec<u8>,
    directory: Vec<u8>,
}

impl<'a> Compound<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let sector = match u16_at(bytes, 30)? {
            9 => 512,
            12 => 4_096,
            _ => return None,
        };
        let mut file = Self {
            bytes,
            sector,
            next: Vec::new(),
            mini_next: Vec::new(),
            mini: Vec::new(),
            directory: Vec::new(),
        };
        // The first 109 sectors of the table stand in the header, the others in a chain.
        let mut table: Vec<u32> = words(bytes.get(76..512)?);
        let mut more = u32_at(bytes, 68)?;
        let mut steps = bytes.len().checked_div(sector)?;
        while more < LAST_SECTOR {
            steps = steps.checked_sub(1)?;
            let words = words(file.at(more)?);
            let (last, rest) = words.split_last()?;
            table.extend(rest);
            more = *last;
        }
        for number in table.into_iter().filter(|number| *number < LAST_SECTOR) {
            file.next.extend(words(file.at(number)?));
        }
        file.directory = file.chain(u32_at(bytes, 48)?, usize::MAX)?;
        if usize_at(bytes, 64)? > 0 {
            file.mini_next = words(&file.chain(u32_at(bytes, 60)?, usize::MAX)?);
            // The small streams stand in the stream of the root, which is the first entry.
            let (start, size) = (u32_at(&file.directory, 116)?, usize_at(&file.directory, 120)?);
            file.mini = file.chain(start, size)?;
        }
        Some(file)
    }

    fn at(&self, number: u32) -> Option<&'a [u8]> {
        let start = usize::try_from(number).ok()?.checked_add(1)?.checked_mul(self.sector)?;
        let end = start.saturating_add(self.sector).min(self.bytes.len());
        self.bytes.get(start..end).filter(|sector| !sector.is_empty())
    }

    fn chain(&self, start: u32, size: usize) -> Option<Vec<u8>> {
        let mut all = Vec::new();
        let mut number = start;
        let mut steps = self.bytes.len().checked_div(self.sector)?.checked_add(1)?;
        while number < LAST_SECTOR && all.len() < size {
            steps = steps.checked_sub(1)?;
            all.extend_from_slice(self.at(number)?);
            number = *self.next.get(usize::try_from(number).ok()?)?;
        }
        all.truncate(size);
        Some(all)
    }

    fn mini_chain(&self, start: u32, size: usize) -> Option<Vec<u8>> {
        let mut all = Vec::new();
        let mut number = start;
        let mut steps = (self.mini.len() / 64).checked_add(1)?;
        while number < LAST_SECTOR && all.len() < size {
            steps = steps.checked_sub(1)?;
            let at = usize::try_from(number).ok()?.checked_mul(64)?;
            all.extend_from_slice(self.mini.get(at..at.saturating_add(64).min(self.mini.len()))?);
            number = *self.mini_next.get(usize::try_from(number).ok()?)?;
        }
        all.truncate(size);
        Some(all)
    }

    /// The first stream of that name, in whatever folder it is.
    fn stream(&self, name: &str) -> Option<Vec<u8>> {
        let is_it = |entry: &&[u8]| {
            let letters = entry.chunks_exact(2).take(32).map_while(|pair| match pair {
                [0, 0] => None,
                [low, high] => Some(u16::from_le_bytes([*low, *high])),
                _ => None,
            });
            let found: String = char::decode_utf16(letters).map_while(Result::ok).collect();
            found.eq_ignore_ascii_case(name)
        };
        let entry = self.directory.chunks_exact(128).find(is_it)?;
        let (start, size) = (u32_at(entry, 116)?, usize_at(entry, 120)?);
        match size < 4_096 {
            true => self.mini_chain(start, size),
            false => self.chain(start, size),
        }
    }
}

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).filter_map(|raw| u32_at(raw, 0)).collect()
}

// Records, [MS-XLS] section 2.3.
const FORMULA: u16 = 0x0006;
const EOF: u16 = 0x000a;
const FILE_PASS: u16 = 0x002f;
const CONTINUE: u16 = 0x003c;
const BOUND_SHEET: u16 = 0x0085;
const MUL_RK: u16 = 0x00bd;
const RICH_STRING: u16 = 0x00d6;
const SST: u16 = 0x00fc;
const LABEL_SST: u16 = 0x00fd;
const DIMENSIONS: u16 = 0x0200;
const NUMBER: u16 = 0x0203;
const LABEL: u16 = 0x0204;
const BOOL_ERR: u16 = 0x0205;
const STRING: u16 = 0x0207;
const RK: u16 = 0x027e;
const BOF: u16 = 0x0809;

/// The records from a place in a stream on.
struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (kind, length) = (u16_at(self.rest, 0)?, u16_at(self.rest, 2)?);
        let (head, rest) = self.rest.split_at_checked(usize::from(length).checked_add(4)?)?;
        self.rest = rest;
        Some((kind, head.get(4..)?))
    }
}

fn count(stream: &[u8]) -> Result<(), ReadError> {
    let mut records = Records { rest: stream }.peekable();
    let mut lengths = Vec::new();
    let mut sheets: Vec<usize> = Vec::new();
    while let Some((kind, data)) = records.next() {
        match kind {
            FILE_PASS if u16_at(data, 0) != Some(0) => return Err(ReadError::Encrypted),
            BOUND_SHEET => sheets.extend(usize_at(data, 0)),
            SST => {
                let mut parts = vec![data.get(8..).unwrap_or_default()];
                while let Some((_, more)) = records.next_if(|(kind, _)| *kind == CONTINUE) {
                    parts.push(more);
                }
                lengths = Strings { parts, part: 0, at: 0 }.lengths();
            }
            EOF => break,
            _ => {}
        }
    }
    count_sheets(sheets.len())?;
    // Several names may lead to one sheet, and each is read.
    let mut known: HashMap<usize, Sheet> = HashMap::new();
    let (mut cells, mut text) = (0_u64, 0_u64);
    for start in sheets {
        let sheet = match known.get(&start) {
            Some(sheet) => *sheet,
            None => {
                let sheet = Sheet::count(stream.get(start..).unwrap_or_default(), &lengths)?;
                known.insert(start, sheet);
                sheet
            }
        };
        cells = cells.saturating_add(sheet.cells);
        text = text.saturating_add(sheet.text);
        if cells > MAX_CELLS {
            return Err(too_much(format!("more than {MAX_CELLS} cells")));
        }
        if text > MAX_TEXT {
            return Err(too_much(format!("more than {} MiB of text", MAX_TEXT >> 20)));
        }
    }
    Ok(())
}

/// What a sheet will take.
#[derive(Clone, Copy, Default)]
struct Sheet {
    cells: u64,
    text: u64,
}

impl Sheet {
    fn count(stream: &[u8], lengths: &[u32]) -> Result<Self, ReadError> {
        let mut sheet = Self::default();
        let mut corners: Option<[u64; 4]> = None;
        let mut found = 0_u64;
        // Charts that stand in a sheet have records that look like cells.
        let mut depth = 0_usize;
        for (kind, data) in (Records { rest: stream }) {
            match kind {
                BOF => depth = depth.saturating_add(1),
                EOF if depth <= 1 => break,
                EOF => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth > 1 {
                continue;
            }
            let size = u64::try_from(data.len()).unwrap_or(u64::MAX);
            match kind {
                DIMENSIONS => dimensions(data)?,
                LABEL_SST => {
                    let length = usize_at(data, 6).and_then(|at| lengths.get(at));
                    sheet.text = sheet.text.saturating_add(u64::from(*length.unwrap_or(&0)));
                }
                LABEL | RICH_STRING | STRING | FORMULA => {
                    sheet.text = sheet.text.saturating_add(size.saturating_mul(2));
                }
                _ => {}
            }
            let is_cell = matches!(
                kind,
                NUMBER | LABEL | RICH_STRING | BOOL_ERR | RK | LABEL_SST | MUL_RK | FORMULA
            );
            if let (true, Some(row), Some(first)) = (is_cell, u16_at(data, 0), u16_at(data, 2)) {
                let last = match kind {
                    MUL_RK => data.len().checked_sub(2).and_then(|at| u16_at(data, at)),
                    _ => None,
                };
                let (row, first) = (u64::from(row), u64::from(first));
                let last = u64::from(last.unwrap_or_default()).max(first);
                let [top, left, bottom, right] = corners.unwrap_or([row, first, row, last]);
                corners = Some([top.min(row), left.min(first), bottom.max(row), right.max(last)]);
                found = found.saturating_add(last.saturating_sub(first)).saturating_add(1);
            }
            if kind == STRING {
                found = found.saturating_add(1);
            }
        }
        let area = corners.map_or(0, |[top, left, bottom, right]| {
            let rows = bottom.saturating_sub(top).saturating_add(1);
            rows.saturating_mul(right.saturating_sub(left).saturating_add(1))
        });
        sheet.cells = area.max(found);
        Ok(sheet)
    }
}

/// Room is made for what the record announces, so it must be a sheet's: 65,536 rows of 256.
fn dimensions(data: &[u8]) -> Result<(), ReadError> {
    let ends = match data.len() {
        10 => {
            let end = |at| u16_at(data, at).map(u32::from);
            (end(0), end(2), end(6))
        }
        _ => (u32_at(data, 0), u32_at(data, 4), u16_at(data, 10).map(u32::from)),
    };
    match ends {
        (Some(top), Some(bottom), Some(right))
            if bottom <= 65_536 && right <= 256 && (bottom == 0 || top < bottom) =>
        {
            Ok(())
        }
        _ => Err(wrong("a sheet announces more rows or columns than there can be")),
    }
}

/// The shared texts: how many bytes each has.
struct Strings<'a> {
    parts: Vec<&'a [u8]>,
    part: usize,
    at: usize,
}

impl Strings<'_> {
    /// Up to where they can be read.
    fn lengths(mut self) -> Vec<u32> {
        std::iter::from_fn(|| self.one()).collect()
    }

    /// Texts take at most three bytes of UTF-8 for each of their letters.
    fn one(&mut self) -> Option<u32> {
        if self.left() == 0 {
            self.turn()?;
        }
        let letters = u16_at(self.rest(), 0)?;
        let mut flags = *self.rest().get(2)?;
        self.at = self.at.checked_add(3)?;
        let mut behind = 0_usize;
        if flags & 0x08 != 0 {
            behind = usize::from(u16_at(self.rest(), 0)?).checked_mul(4)?;
            self.at = self.at.checked_add(2)?;
        }
        if flags & 0x04 != 0 {
            behind = behind.checked_add(usize_at(self.rest(), 0)?)?;
            self.at = self.at.checked_add(4)?;
        }
        let mut left = usize::from(letters);
        while left > 0 {
            if self.left() == 0 {
                // A text that goes on in the next part has its width repeated there.
                self.turn()?;
                flags = *self.rest().first()?;
                self.at = 1;
            }
            let width = if flags & 0x01 != 0 { 2 } else { 1 };
            let here = self.left().checked_div(width)?.min(left);
            // Half a letter at the end of a part is nobody's.
            match here {
                0 => self.at = self.at.checked_add(self.left())?,
                _ => self.at = self.at.checked_add(here.checked_mul(width)?)?,
            }
            left = left.checked_sub(here)?;
        }
        while behind > 0 {
            if self.left() == 0 {
                self.turn()?;
            }
            let here = self.left().min(behind);
            self.at = self.at.checked_add(here)?;
            behind = behind.checked_sub(here)?;
        }
        Some(u32::from(letters).saturating_mul(3))
    }

    fn rest(&self) -> &[u8] {
        self.parts.get(self.part).and_then(|part| part.get(self.at..)).unwrap_or_default()
    }

    fn left(&self) -> usize {
        self.rest().len()
    }

    fn turn(&mut self) -> Option<()> {
        self.part = self.part.checked_add(1)?;
        self.at = 0;
        self.parts.get(self.part).map(|_| ())
    }
}
