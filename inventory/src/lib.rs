//! From observations to assets, and from assets to findings.
//!
//! Each step is a function of its arguments and of a time handed in. `store` is the
//! only module that contains SQL.

pub mod alert;
pub mod approval;
pub mod asset;
pub mod audit;
pub mod chain;
pub mod class;
pub mod compare;
pub mod cores;
pub mod coverage;
pub mod download;
mod event;
pub mod evidence;
pub mod file;
pub mod finding;
pub mod heard;
mod hex;
pub mod identity;
pub mod list;
pub mod opinion;
pub mod outbox;
pub mod owner;
mod project;
pub mod query;
pub mod register;
pub mod route;
pub mod run;
pub mod server_name;
pub mod store;
pub mod subject;
pub mod user;
pub mod vendor;
pub mod version;
