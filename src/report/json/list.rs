//! Rows of lists of things that belong to an asset.

use serde::Serialize;

/// An endpoint with the asset that has it.
#[derive(Debug, Serialize)]
pub(crate) struct ListedServiceJson {
    pub(crate) asset: i64,
    pub(crate) site: String,
    pub(crate) name: Option<String>,
    pub(crate) address: String,
    pub(crate) transport: &'static str,
    pub(crate) port: u16,
    pub(crate) state: &'static str,
    pub(crate) protocol: Option<String>,
    pub(crate) product: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) cpe: Option<String>,
    pub(crate) tls: bool,
    pub(crate) first_seen: String,
    pub(crate) last_seen: String,
}

/// A product with the asset that has it.
#[derive(Debug, Serialize)]
pub(crate) struct ListedSoftwareJson {
    pub(crate) asset: i64,
    pub(crate) site: String,
    pub(crate) name: Option<String>,
    pub(crate) product: String,
    pub(crate) version: Option<String>,
    pub(crate) cpe: Option<String>,
    pub(crate) source: String,
    pub(crate) first_seen: String,
    pub(crate) last_seen: String,
}
