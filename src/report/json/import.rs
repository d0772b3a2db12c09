//! What was imported.

use serde::Serialize;

use crate::cli::import::Imported;

#[derive(Debug, Serialize)]
pub(crate) struct ImportJson {
    pub(crate) path: String,
    pub(crate) format: Option<&'static str>,
    pub(crate) records: u64,
    pub(crate) observations: u64,
    pub(crate) problems: u64,
}

impl From<&Imported> for ImportJson {
    fn from(imported: &Imported) -> Self {
        Self {
            path: imported.path.clone(),
            format: imported.format.map(scanner::import::Format::as_str),
            records: imported.counts.records,
            observations: imported.counts.observations,
            problems: imported.counts.problems,
        }
    }
}
