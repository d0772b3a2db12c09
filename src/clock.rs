//! The only place where the program reads the time of day.

use std::time::{SystemTime, UNIX_EPOCH};

use model::Timestamp;

/// The time of day, by the system's clock.
pub(crate) fn now() -> Timestamp {
    // A clock before 1970 is wrong by more than a clock can be; the epoch is as good.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
