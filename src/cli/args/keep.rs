//! The command line of what keeps the database: copies, and what is removed from it.

use std::path::PathBuf;

use clap::Args;

#[derive(Args, Debug)]
pub(crate) struct Backup {
    /// Where the copy goes
    pub(crate) file: PathBuf,
    /// Replace the file if there is one, once the copy is whole
    #[arg(long)]
    pub(crate) overwrite: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Restore {
    /// A copy that daicho backup made
    pub(crate) file: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct Prune {
    /// Tell how much would be removed, and remove nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Remove only rows that refer to nothing, which daicho doctor tells of
    #[arg(long)]
    pub(crate) mend: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// The number of which the organisation is made: the same number makes the same one
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(crate) seed: u64,
    /// How many days are simulated
    #[arg(long, value_name = "NUMBER", default_value_t = 90, value_parser = clap::value_parser!(u64).range(1..=90))]
    pub(crate) days: u64,
}
