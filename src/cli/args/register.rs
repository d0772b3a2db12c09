//! What `register` may be told.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum Register {
    /// Replace a register by the contents of a file
    Import(RegisterImport),
    /// List the entries
    List {
        /// Which register
        #[arg(long, value_enum)]
        kind: Kind,
    },
    /// Write a register as CSV, or as an Excel workbook
    Export {
        /// Which register
        #[arg(long, value_enum)]
        kind: Kind,
        /// Where to: a workbook if its name ends in .xlsx, else CSV; CSV on standard output if not
        /// given
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

#[derive(Args, Debug)]
pub(crate) struct RegisterImport {
    /// CSV or a workbook (xlsx, xlsm, xlsb, xls, ods), with headings in English or Japanese
    /// (docs/registers.md)
    pub(crate) file: PathBuf,
    /// What the file lists
    #[arg(long, value_enum)]
    pub(crate) kind: Kind,
    /// The sheet of the workbook (default: the only one that has such headings)
    #[arg(long, value_name = "NAME")]
    pub(crate) sheet: Option<String>,
    /// The row of the sheet, or the line, with the headings, counted from 1 (default: looked for)
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) heading_row: Option<u64>,
    /// Tell what would be added, changed and removed, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Import nothing if any line is wrong
    #[arg(long)]
    pub(crate) strict: bool,
    /// Import a file without any entry too: nothing is approved by it then
    #[arg(long)]
    pub(crate) allow_empty: bool,
    /// Import nothing if more than so many percent of the register's entries would go by it
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(..=100))]
    pub(crate) max_removed: Option<u8>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Kind {
    /// Devices that may be on the network
    Device,
    /// Software that must, may or must not be used
    Software,
    /// Issuers of certificates
    Issuer,
}
