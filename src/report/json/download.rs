//! What was fetched of what certificates name.

use serde::Serialize;

use super::{FindingJson, GapJson};
use crate::cli::refresh::Downloaded;

/// `certs refresh`: the same as in a sweep, and the findings.
#[derive(Debug, Serialize)]
pub(crate) struct RefreshJson {
    #[serde(flatten)]
    pub(crate) downloads: DownloadsJson,
    pub(crate) findings: Vec<FindingJson>,
}

#[derive(Debug, Serialize)]
pub(crate) struct DownloadsJson {
    pub(crate) lists: usize,
    pub(crate) responses: usize,
    pub(crate) fresh: usize,
    pub(crate) gaps: Vec<GapJson>,
}

impl From<&Downloaded> for DownloadsJson {
    fn from(downloaded: &Downloaded) -> Self {
        let gap =
            |gap: &model::Gap| GapJson { target: gap.target.clone(), reason: gap.reason.clone() };
        Self {
            lists: downloaded.lists,
            responses: downloaded.responses,
            fresh: downloaded.fresh,
            gaps: downloaded.gaps.iter().map(gap).collect(),
        }
    }
}
