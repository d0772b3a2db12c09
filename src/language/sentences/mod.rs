//! The sentences that the program makes and stores, with what they are in Japanese: a table for
//! each part of the program that makes some.
//!
//! A sentence that is made in the files that the test of `sentence` reads and is in no table fails
//! that test.

mod approval;
mod audit;
mod certificate;
mod chain;
mod device;
mod general;
mod health;
mod identity;
mod scan;

use super::sentence::Pattern;

/// All of them.
pub(super) fn all() -> impl Iterator<Item = Pattern> {
    let tables = [
        general::ALL,
        approval::ALL,
        audit::ALL,
        certificate::ALL,
        chain::ALL,
        device::ALL,
        health::ALL,
        identity::ALL,
        scan::ALL,
    ];
    tables.into_iter().flatten().copied()
}
