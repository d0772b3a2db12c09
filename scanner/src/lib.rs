//! Turning a network into observations.
//!
//! `targets`, `scope`, `rate`, `plan`, `search` and `sweep` decide what to ask, of whom and when;
//! `capture` listens, and `handover` says what of the heard is worth a question;
//! `probe` knows protocols; `dialogue` talks with services; `net` is the only module of
//! the workspace that opens a socket. All of it ends in [`model::Observation`]s and none
//! of it knows what becomes of them: there is no database here, no inventory, no opinion.

pub mod capture;
pub mod collect;
pub mod dialogue;
mod error;
pub mod handover;
pub mod import;
pub mod net;
pub mod order;
pub mod places;
pub mod plan;
pub mod ports;
pub mod probe;
pub mod rate;
mod scope;
pub mod search;
pub mod stop;
pub mod sweep;
pub mod targets;

pub use error::LinkError;
pub use scope::{DownloadPermit, Downloads, Permit, Refused, Scope, SearchPermit, is_not_unicast};
