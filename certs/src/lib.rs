//! What a certificate says, and whether that is a problem.
//!
//! [`parse`] turns DER into a [`Certificate`], whatever the bytes; [`rules`] judge one at
//! a moment; [`chain`] says whether a client would accept it with what was served beside it;
//! [`lifecycle`] when it has to be replaced; [`revocation`] reads what was revoked. [`hello`] asks a TLS server for its chain, in
//! messages: it opens no socket and reads no clock; [`store`] finds the certificates in the
//! bytes of a file. Certificates, servers and files are hostile input, so nothing here indexes
//! or panics.
#![forbid(unsafe_code)]
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::allow_attributes,
        reason = "a test may fail loudly"
    )
)]

mod certificate;
pub mod chain;
mod der;
mod encodings;
mod extension;
pub mod hello;
pub mod lifecycle;
mod moment;
mod name;
mod oid;
mod pem;
pub mod revocation;
pub mod rules;
pub mod store;
mod verify;
mod walk;

pub use certificate::{
    Anomaly, AnomalyKind, Certificate, Key, SelfSigned, Signature, parse, parse_unchecked,
};
pub use encodings::{Encodings, Extension};
pub use oid::{Hash, KeyKind};
pub use pem::certificates_in;
pub use rules::{About, Applies, Context, RULES, Remaining, Rule, Thresholds, Trust, Verdict};
