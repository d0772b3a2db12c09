//! From observations to assets, and from assets to findings.
//!
//! Each step is a function of its arguments and of a time handed in. `store` is the
//! only module that contains SQL.

pub mod asset;
mod event;
pub mod evidence;
pub mod identity;
mod project;
pub mod vendor;
pub mod query;
pub mod compare;
pub mod coverage;
pub mod finding;
pub mod register;
pub mod store;
pub mod version;
