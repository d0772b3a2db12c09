//! The organisation's own lists: approved devices, approved software, approved issuers.
//!
//! A file as offices keep it becomes entries: a workbook, or text in whatever encoding and layout
//! Excel left it, with headings in English or Japanese (`docs/registers.md` has the whole list).
//! The file comes from outside, so nothing here trusts it: a bad line is reported with its
//! number, its heading and the reason, and the good ones are kept. Whether bad lines are
//! acceptable is for the caller to decide. What an entry means for an asset is decided by
//! `compare`; where a register is kept is decided by `store`.
#![forbid(unsafe_code)]
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::allow_attributes,
        reason = "a test may fail loudly"
    )
)]

mod change;
mod columns;
mod day;
mod device;
mod heading;
mod issuer;
mod row;
mod sheet;
mod software;
mod table;
mod text;
mod value;
mod workbook;
mod write;

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

pub use change::{Changed, FieldChange, RegisterDiff, diff};
pub use columns::{Column, Field, columns};
pub use day::{Day, ParseDayError};
pub use device::{DeviceEntry, DeviceStatus};
pub use issuer::IssuerEntry;
pub use row::Row;
pub use software::{Scope, ScopeItem, SoftwareEntry, SoftwareStatus};
pub use text::Encoding;
pub(crate) use value::guard;
pub use value::{Reason, address_range};
pub use workbook::Format;
pub use write::{WriteError, to_csv, to_xlsx};

pub(crate) use heading::{fold, plain};

/// How large a file may be, in bytes: a hundred times a list of a thousand devices.
pub const MAX_BYTES: usize = 16 << 20;

/// Which of the organisation's lists.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum RegisterKind {
    /// The devices that may be on the network.
    Device,
    /// The products that may, must or must not run.
    Software,
    /// The certification authorities whose certificates may be served.
    Issuer,
}

impl RegisterKind {
    /// One of them, in a sentence.
    #[must_use]
    pub const fn one(self) -> &'static str {
        match self {
            Self::Device => "a device register",
            Self::Software => "a software register",
            Self::Issuer => "an issuer register",
        }
    }

    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Device, Self::Software, Self::Issuer];

    /// Its name in the command line, in JSON and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Software => "software",
            Self::Issuer => "issuer",
        }
    }
}

impl fmt::Display for RegisterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for RegisterKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| format!("{text:?} is not a register (device, software or issuer)"))
    }
}

/// An entry of a register.
///
/// The entries derive serde because JSON is their form in the database, and only there.
pub trait Entry: Clone + Eq + fmt::Debug + Serialize + DeserializeOwned {
    /// Which register it belongs to.
    const KIND: RegisterKind;

    /// Reads the row, or says what is wrong with it.
    fn from_row(row: &Row<'_>) -> Result<Self, Vec<LineProblem>>;

    /// What its owner calls it: the reference, the product, the issuer.
    fn label(&self) -> String;

    /// What stays the same when the entry is changed, so that a change is not taken for
    /// an addition and a removal.
    fn key(&self) -> String;

    /// Its known columns as text, in the order of [`columns`], as an export writes them.
    fn cells(&self) -> Vec<(Field, String)>;

    /// Its other columns: heading as written, and text.
    fn extra(&self) -> &BTreeMap<String, String>;

    /// What another entry must not have as well: values that name one thing.
    fn unique(&self) -> Vec<(Field, String)>;

    /// What is worth telling about an entry that is right in form.
    fn remarks(&self) -> Vec<Reason> {
        Vec::new()
    }

    /// Its form in the database, JSON.
    #[must_use]
    fn to_stored(&self) -> String {
        #[expect(clippy::expect_used, reason = "strings, lists and maps with string keys only")]
        serde_json::to_string(self).expect("an entry is representable as JSON")
    }

    /// The entry of that form.
    ///
    /// # Errors
    ///
    /// Where the text was not written by [`Self::to_stored`].
    fn from_stored(text: &str) -> Result<Self, StoredError> {
        serde_json::from_str(text).map_err(|source| StoredError { kind: Self::KIND, source })
    }
}

/// The database holds an entry that cannot be read.
#[derive(Debug, Error)]
#[error("reading a stored {kind} entry")]
pub struct StoredError {
    kind: RegisterKind,
    #[source]
    source: serde_json::Error,
}

/// What a file gave.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Import<E> {
    /// The entries of the good lines, in the order of the file.
    pub entries: Vec<E>,
    /// The bad lines: none of them became an entry.
    pub errors: Vec<LineProblem>,
    /// What looks wrong in lines that did become entries.
    pub warnings: Vec<LineProblem>,
    /// The headings that we do not know; their cells are kept with each entry.
    pub unknown_columns: Vec<String>,
    /// What the file turned out to be.
    pub form: Form,
    /// The line, or the row of the sheet, with its headings, counted from 1.
    pub heading_line: u64,
}

/// What a file turned out to be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Form {
    /// Text.
    Text {
        /// Its encoding.
        encoding: Encoding,
        /// What separates its cells.
        delimiter: char,
    },
    /// A workbook.
    Sheet {
        /// Its format.
        format: Format,
        /// The sheet that was read.
        name: String,
        /// Other sheets that have such headings too, and were not.
        others: Vec<String>,
    },
}

/// Where in a file the register is, where it is not to be looked for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Place {
    /// The name of the sheet.
    pub sheet: Option<String>,
    /// The line, or the row of the sheet, with the headings, counted from 1.
    pub heading_line: Option<u64>,
}

/// Something wrong with a line of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LineProblem {
    /// The line on which the row begins, counted from 1 as an editor does, or the row of the sheet.
    pub line: u64,
    /// The heading, as written in the file, if it is about one cell.
    pub field: Option<String>,
    /// What is wrong.
    pub reason: Reason,
}

/// `line 7, MACアドレス: "00:11" is not a MAC address …`.
impl fmt::Display for LineProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(field) = &self.field {
            write!(f, ", {field}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// The file as a whole is not a register.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum ReadError {
    /// No bytes, or only blank lines.
    #[error("the file is empty")]
    Empty,
    /// More than [`MAX_BYTES`].
    #[error("the file has {bytes} bytes; a register may have {MAX_BYTES}")]
    TooLarge {
        /// How many it has.
        bytes: usize,
    },
    /// A known format that is not text.
    #[error(
        "this is {format}, neither CSV nor a workbook: save what it shows as xlsx or as \"CSV \
         UTF-8\", then import that"
    )]
    NotCsv {
        /// Which, with its article.
        format: &'static str,
    },
    /// Text does not contain these bytes.
    #[error("line {line} contains a zero byte: this is not a text file, or UTF-16 without a mark")]
    Binary {
        /// Where the first one is.
        line: u64,
    },
    /// A zip archive that cannot be opened.
    #[error("this is a zip archive, or a workbook, that is damaged ({why}): save it again")]
    Archive {
        /// What is wrong with it.
        why: String,
    },
    /// A workbook that needs a password.
    #[error(
        "the workbook is encrypted: open it with its password, take the password off (in Excel: \
         File, Info, Protect Workbook, Encrypt with Password, leave it empty), save it, then \
         import that"
    )]
    Encrypted,
    /// A workbook that cannot be read.
    #[error("the {format} workbook is damaged ({why}): open it and save it again as xlsx")]
    Damaged {
        /// Its format.
        format: Format,
        /// What is wrong with it.
        why: String,
    },
    /// A workbook that unpacks to more than a register can need.
    #[error("the workbook unpacks too far: {what}; copy the register alone into a new workbook")]
    TooMuch {
        /// What of it is too much.
        what: String,
    },
    /// No sheet of that name, or none at all.
    #[error("there is no sheet {wanted:?}: the workbook has {}", there.join(", "))]
    NoSheet {
        /// What was asked for.
        wanted: String,
        /// What there is.
        there: Vec<String>,
    },
    /// Only a workbook has sheets.
    #[error("--sheet names a sheet of a workbook, and this is text")]
    NoWorkbook,
    /// Several sheets have the headings of such a register.
    #[error("several sheets look like {}: name one with --sheet ({})", .kind.one(), sheets.join(", "))]
    SeveralSheets {
        /// The register that was to be read.
        kind: RegisterKind,
        /// Their names.
        sheets: Vec<String>,
    },
    /// The row that was named has none of the headings.
    #[error(
        "line {line} has no headings of {} (looked for a column such as {expected}); \
         docs/registers.md lists the headings",
        .kind.one()
    )]
    NoHeadingThere {
        /// The register that was to be read.
        kind: RegisterKind,
        /// The line, or the row of the sheet.
        line: u64,
        /// Some headings that would do.
        expected: String,
    },
    /// None of the first rows names a column that tells entries apart.
    #[error(
        "no heading row for {} in the first {rows} rows (looked for a column such as {expected}); \
         docs/registers.md lists the headings",
        .kind.one()
    )]
    NoHeading {
        /// The register that was to be read.
        kind: RegisterKind,
        /// How many rows were tried.
        rows: usize,
        /// Some headings that would do.
        expected: String,
    },
    /// A heading row with more columns than any register has.
    #[error("line {line} has {columns} columns; a register may have {}", table::MAX_COLUMNS)]
    TooManyColumns {
        /// The heading row's line.
        line: u64,
        /// How many columns.
        columns: usize,
    },
}

/// Reads a register from the bytes of a file, wherever in it it is.
///
/// # Errors
///
/// Where nothing can be read at all. Bad lines are in the result.
pub fn read<E: Entry>(bytes: &[u8]) -> Result<Import<E>, ReadError> {
    read_at(bytes, &Place::default())
}

/// Reads a register from a place in a file.
///
/// # Errors
///
/// Where nothing can be read at all. Bad lines are in the result.
pub fn read_at<E: Entry>(bytes: &[u8], place: &Place) -> Result<Import<E>, ReadError> {
    if bytes.len() > MAX_BYTES {
        return Err(ReadError::TooLarge { bytes: bytes.len() });
    }
    let (table, form) = match workbook::open(bytes)? {
        Some(workbook) => sheet::read(workbook, E::KIND, place)?,
        None if place.sheet.is_some() => return Err(ReadError::NoWorkbook),
        None => {
            let (text, encoding) = text::decode(bytes)?;
            let (table, delimiter) = table::read(&text, E::KIND, place.heading_line)?;
            (table, Form::Text { encoding, delimiter })
        }
    };
    let mut import = Import {
        entries: Vec::new(),
        errors: table.problems,
        warnings: Vec::new(),
        unknown_columns: table.layout.unknown(),
        form,
        heading_line: table.heading_line,
    };
    // Where each value that names one thing was first read.
    let mut seen: BTreeMap<(Field, String), u64> = BTreeMap::new();
    let mut lines: BTreeMap<String, (u64, usize)> = BTreeMap::new();
    for (line, cells) in &table.rows {
        let row = match Row::new(*line, &table.layout, cells) {
            Ok(row) => row,
            Err(problem) => {
                import.errors.push(problem);
                continue;
            }
        };
        let entry = match E::from_row(&row) {
            Ok(entry) => entry,
            Err(problems) => {
                import.errors.extend(problems);
                continue;
            }
        };
        let warn = |field, reason| LineProblem { line: *line, field, reason };
        let same = lines.get(&entry.to_stored()).copied();
        if let Some((first, _)) = same {
            import.warnings.push(warn(None, Reason::SameLine { first }));
            continue;
        }
        lines.insert(entry.to_stored(), (*line, import.entries.len()));
        import.warnings.extend(entry.remarks().into_iter().map(|reason| warn(None, reason)));
        for (field, value) in entry.unique() {
            if let Some(first) = seen.get(&(field, value.clone())) {
                let reason = Reason::Duplicate { value, first: *first };
                import.warnings.push(warn(Some(row.heading(field)), reason));
            } else {
                seen.insert((field, value), *line);
            }
        }
        import.entries.push(entry);
    }
    import.errors.sort_by_key(|problem| problem.line);
    Ok(import)
}
