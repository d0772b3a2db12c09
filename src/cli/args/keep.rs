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
