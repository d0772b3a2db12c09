//! Certificates in files.

use certs::store::Held;
use inventory::file::{FileCertificate, FoundFile, KeptFile};
use serde::Serialize;

use super::{CertificateJson, FindingJson, ProblemJson, ScanJson};

/// A certificate in a file.
#[derive(Debug, Serialize)]
pub(crate) struct HeldJson {
    pub(crate) site: String,
    pub(crate) vantage: String,
    pub(crate) path: String,
    pub(crate) entry: Option<String>,
    pub(crate) format: &'static str,
    pub(crate) private_key: &'static str,
    pub(crate) mode: String,
    pub(crate) first_seen: String,
    pub(crate) last_seen: String,
}

impl HeldJson {
    pub(crate) fn new(file: &KeptFile, held: &FileCertificate) -> Self {
        Self {
            site: file.vantage.site.0.clone(),
            vantage: file.vantage.name.clone(),
            path: file.path.clone(),
            entry: held.entry.clone(),
            format: file.format.as_str(),
            private_key: file.private_key.as_str(),
            mode: mode(file.mode),
            first_seen: held.first_seen.to_string(),
            last_seen: held.last_seen.to_string(),
        }
    }
}

/// Permission bits as people write them.
pub(crate) fn mode(bits: u32) -> String {
    format!("{bits:04o}")
}

/// What `certs collect` read.
#[derive(Debug, Serialize)]
pub(crate) struct CollectJson<'a> {
    pub(crate) files: &'a [FileJson],
    pub(crate) problems: &'a [ProblemJson],
    pub(crate) findings: Vec<FindingJson>,
}

/// What `certs collect` heard of servers.
#[derive(Debug, Serialize)]
pub(crate) struct ServersJson {
    pub(crate) scan: ScanJson,
    pub(crate) certificates: Vec<CertificateJson>,
    pub(crate) findings: Vec<FindingJson>,
}

#[derive(Debug, Serialize)]
pub(crate) struct FileJson {
    pub(crate) path: String,
    pub(crate) format: &'static str,
    pub(crate) private_key: &'static str,
    pub(crate) mode: String,
    pub(crate) certificates: Vec<EntryJson>,
    pub(crate) notes: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct EntryJson {
    pub(crate) sha256: String,
    pub(crate) entry: Option<String>,
}

impl FileJson {
    pub(crate) fn new(file: &FoundFile, notes: Vec<String>) -> Self {
        let entry = |held: &Held| EntryJson {
            sha256: certs::parse(&held.der).sha256,
            entry: held.entry.clone(),
        };
        Self {
            path: file.path.clone(),
            format: file.format.as_str(),
            private_key: file.private_key.as_str(),
            mode: mode(file.mode),
            certificates: file.certificates.iter().map(entry).collect(),
            notes,
        }
    }
}
