use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A moment in UTC, in microseconds since the Unix epoch.
///
/// Nothing below the binary reads the clock. Code that needs to know the time
/// takes a `Timestamp` argument, conventionally called `as_of`.
/// Its text form is RFC 3339 in UTC, to the second: `2026-11-22T09:30:00Z`.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

const MICROS: i64 = 1_000_000;

impl Timestamp {
    /// The moment that many seconds after the Unix epoch.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(MICROS))
    }

    /// Whole seconds since the Unix epoch, rounded towards the past.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(MICROS)
    }

    /// Seconds from `earlier` to `self`, negative if `earlier` is the later one.
    #[inline]
    #[must_use]
    pub const fn seconds_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0).div_euclid(MICROS)
    }

    /// The moment that many seconds later (earlier, if negative).
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(MICROS)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A moment outside of the calendar (a certificate can claim any) is shown as the
        // nearest end of it, rather than not at all.
        let seconds = self
            .seconds()
            .clamp(jiff::Timestamp::MIN.as_second(), jiff::Timestamp::MAX.as_second());
        match jiff::Timestamp::from_second(seconds) {
            Ok(moment) => write!(f, "{moment}"),
            Err(_) => write!(f, "@{seconds}"),
        }
    }
}

/// The text is neither a date nor a moment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ParseTimestampError(String);

impl fmt::Display for ParseTimestampError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not a date (expected 2026-11-22) or a moment (2026-11-22T09:30:00Z)",
            self.0
        )
    }
}

impl std::error::Error for ParseTimestampError {}

impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    /// Reads an RFC 3339 moment, or a date, which means its first moment in UTC.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseTimestampError(text.to_owned());
        let text = text.trim();
        if let Ok(moment) = text.parse::<jiff::Timestamp>() {
            return Ok(Self(moment.as_microsecond()));
        }
        let date: jiff::civil::Date = text.parse().map_err(|_| error())?;
        let moment = date.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| error())?;
        Ok(Self(moment.timestamp().as_microsecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_number_agree() {
        let moment: Timestamp = "2026-11-22T09:30:00Z".parse().unwrap();
        assert_eq!(moment.seconds(), 1_795_339_800);
        assert_eq!(moment.to_string(), "2026-11-22T09:30:00Z");
        assert_eq!("2026-11-22".parse::<Timestamp>().unwrap().to_string(), "2026-11-22T00:00:00Z");
    }

    #[test]
    fn the_ends_of_time_do_not_panic() {
        assert!(Timestamp(i64::MAX).to_string().starts_with("9999-"));
        assert!(Timestamp(i64::MIN).to_string().starts_with("-009999-"));
        assert_eq!(Timestamp(i64::MAX).plus_seconds(9), Timestamp(i64::MAX));
        assert_eq!(Timestamp(-1).seconds(), -1);
    }

    #[test]
    fn nonsense_names_itself() {
        let error = "next week".parse::<Timestamp>().unwrap_err();
        assert!(error.to_string().contains("next week"));
    }
}
