//! From observations to assets, and from assets to findings.
//!
//! Each step is a function of its arguments and of a time handed in. `store` is the
//! only module that contains SQL.

pub mod asset;
pub mod query;
pub mod coverage;
pub mod finding;
pub mod register;
pub mod store;
pub mod version;
