//! What `scans` may be told.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Scans {
    /// List the scans, the latest first
    List(ScansList),
    /// One scan with where it looked and where it failed to
    Show {
        /// Its number
        id: i64,
    },
}

#[derive(Args, Debug)]
pub(crate) struct ScansList {
    /// Only so many
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    pub(crate) limit: u32,
}
