//! Cron lines, and the moments that they name in a time zone.
//!
//! croner reads the line and finds the local times that it names. What a local time means that
//! a clock shows twice or never is decided here, because croner's rule would lose runs: it lets
//! a line such as `30 2,14 * * *` pass over the hour that is skipped in spring.

use std::str::FromStr;

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::{
    SignedDuration, Zoned,
    civil::{self, Weekday},
    tz::{AmbiguousOffset, TimeZone},
};
use model::Timestamp;
use thiserror::Error;

/// A cron line of five fields: minute, hour, day of the month, month, day of the week. There is
/// at least one moment that it names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CronLine {
    text: String,
    cron: Cron,
}

/// The text is no cron line that could be followed.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum CronLineError {
    /// It cannot be read.
    #[error(
        "not a cron line: expected five fields (minute, hour, day of the month, month, day of the \
         week), such as \"30 2 * * Mon-Fri\" or \"@daily\" ({0})"
    )]
    Unreadable(String),
    /// It names no day that there is.
    #[error(
        "never comes: no year has such a day; look at the day of the month and the month \
         (the third and fourth fields)"
    )]
    Never,
}

/// From where the days that a line names are looked for: any year would do.
const SOME_DAY: civil::DateTime = civil::datetime(2000, 1, 1, 0, 0, 0, 0);

impl FromStr for CronLine {
    type Err = CronLineError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parser =
            CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron =
            parser.parse(text).map_err(|error| CronLineError::Unreadable(error.to_string()))?;
        match cron.find_next_occurrence(&SOME_DAY, true) {
            Ok(_) => Ok(Self { text: text.trim().to_owned(), cron }),
            Err(_) => Err(CronLineError::Never),
        }
    }
}

impl CronLine {
    /// The line as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it names every hour: then it means hours that pass and not times of the day.
    fn is_hourly(&self) -> bool {
        (0..24).all(|hour| self.cron.pattern.hour_match(hour).unwrap_or(false))
    }
}

/// A cron line in a time zone.
///
/// A line that names hours names times of the day. Each comes once on its day: where the clock
/// goes back and shows it twice, the first time; where the clock goes forward and passes over it,
/// the moment after (several such times are one). A line that names every hour (`*/10 * * * *`)
/// goes by the hours that pass: one more where the clock goes back, and one less where it goes
/// forward.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// The line.
    pub line: CronLine,
    /// Where its times are read.
    pub zone: TimeZone,
}

/// How far back in local time is looked for a time that comes only now: more than any clock was
/// ever put forward at once.
const LONGEST_GAP: SignedDuration = SignedDuration::from_hours(26);

impl Schedule {
    /// The first moment after `after` that the line names; `None` behind the end of the calendar.
    #[must_use]
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let after = jiff::Timestamp::from_microsecond(after.0).ok()?;
        let local = after.to_zoned(self.zone.clone());
        let found = match self.line.is_hourly() {
            true => self.line.cron.find_next_occurrence(&local, false).ok()?.timestamp(),
            false => self.next_of_the_day(&local)?,
        };
        Some(Timestamp(found.as_microsecond()))
    }

    fn next_of_the_day(&self, after: &Zoned) -> Option<jiff::Timestamp> {
        let mut time = after.datetime();
        // Where the clock was not put forward or back of late, no earlier local time comes yet.
        if after.checked_sub(LONGEST_GAP).ok()?.offset() != after.offset() {
            time = time.checked_sub(LONGEST_GAP).ok()?;
        }
        loop {
            time = self.line.cron.find_next_occurrence(&time, false).ok()?;
            let moment = self.moment(time)?;
            if moment > after.timestamp() {
                return Some(moment);
            }
        }
    }

    /// When the clock shows this for the first time, or passes over it.
    fn moment(&self, time: civil::DateTime) -> Option<jiff::Timestamp> {
        let ambiguous = self.zone.to_ambiguous_timestamp(time);
        match ambiguous.offset() {
            AmbiguousOffset::Gap { before, .. } => {
                let behind = before.to_timestamp(time).ok()?;
                let second = SignedDuration::from_secs(1);
                let mut changes = self.zone.preceding(behind.checked_add(second).ok()?);
                Some(changes.next().map_or(behind, |change| change.timestamp()))
            }
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => {
                ambiguous.earlier().ok()
            }
        }
    }

    /// The day of the week, Monday 0, and the minute of the day, as [`Window`](crate::Window)
    /// wants them.
    pub(crate) fn minute_of_week(&self, at: Timestamp) -> Option<(u8, u32)> {
        let local = jiff::Timestamp::from_microsecond(at.0).ok()?.to_zoned(self.zone.clone());
        Some(minute_of_week(&local))
    }
}

/// The day of the week, Monday 0, and the minute of the day, as [`Window`](crate::Window) wants
/// them.
#[must_use]
pub fn minute_of_week(local: &Zoned) -> (u8, u32) {
    let day = match local.weekday() {
        Weekday::Monday => 0,
        Weekday::Tuesday => 1,
        Weekday::Wednesday => 2,
        Weekday::Thursday => 3,
        Weekday::Friday => 4,
        Weekday::Saturday => 5,
        Weekday::Sunday => 6,
    };
    let minute = i32::from(local.hour()) * 60 + i32::from(local.minute());
    (day, u32::try_from(minute).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rules of the European Union's summer time, without the system's files.
    const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";
    /// A zone that changes at midnight, as Lebanon's did.
    const MIDNIGHT: &str = "EET-2EEST,M3.5.0/0,M10.5.0/0";

    /// The moments that a line names after one, as UTC.
    #[track_caller]
    fn check(line: &str, zone: &str, after: &str, expected: &[&str]) {
        let zone = TimeZone::posix(zone).unwrap();
        let schedule = Schedule { line: line.parse().unwrap(), zone };
        let mut at: Timestamp = after.parse().unwrap();
        for text in expected {
            at = schedule.next(at).unwrap();
            assert_eq!(at.to_string(), *text, "{line}");
        }
    }

    #[test]
    fn an_hour_that_is_passed_over_runs_when_it_is_over() {
        // 2027-03-28 02:00 is followed by 03:00, which is 01:00 in UTC.
        let days = ["2027-03-28T01:00:00Z", "2027-03-29T00:30:00Z"];
        check("30 2 * * *", BERLIN, "2027-03-27T02:00:00Z", &days);
        let both = ["2027-03-28T01:00:00Z", "2027-03-28T12:30:00Z"];
        check("30 2,14 * * *", BERLIN, "2027-03-27T20:00:00Z", &both);
        // Three times that are passed over, and the one that follows, are one.
        let once = ["2027-03-28T01:00:00Z", "2027-03-28T01:20:00Z"];
        check("*/20 2-3 * * *", BERLIN, "2027-03-27T20:00:00Z", &once);
        check("0 0 * * *", MIDNIGHT, "2027-03-27T12:00:00Z", &["2027-03-27T22:00:00Z"]);
    }

    #[test]
    fn an_hour_that_comes_twice_runs_at_its_first() {
        // 2027-10-31 03:00 is followed by 02:00, which is 01:00 in UTC.
        let days = ["2027-10-31T00:30:00Z", "2027-11-01T01:30:00Z"];
        check("30 2 * * *", BERLIN, "2027-10-30T20:00:00Z", &days);
        // Asked in the second of the two, the next is tomorrow's.
        check("30 2 * * *", BERLIN, "2027-10-31T01:10:00Z", &["2027-11-01T01:30:00Z"]);
        // 2027-10-31 00:00 is followed by 2027-10-30 23:00.
        let days = ["2027-10-29T20:30:00Z", "2027-10-30T20:30:00Z", "2027-10-31T21:30:00Z"];
        check("30 23 * * *", MIDNIGHT, "2027-10-29T12:00:00Z", &days);
    }

    #[test]
    fn every_hour_is_every_hour_that_passes() {
        let hours = ["2027-10-31T00:00:00Z", "2027-10-31T01:00:00Z", "2027-10-31T02:00:00Z"];
        check("0 * * * *", BERLIN, "2027-10-30T23:00:00Z", &hours);
        let hours = ["2027-03-28T00:00:00Z", "2027-03-28T01:00:00Z", "2027-03-28T02:00:00Z"];
        check("0 * * * *", BERLIN, "2027-03-27T23:00:00Z", &hours);
    }

    #[test]
    fn the_leap_day_comes_every_four_years() {
        let days = ["2028-02-29T03:00:00Z", "2032-02-29T03:00:00Z"];
        check("0 3 29 2 *", "UTC0", "2027-01-01", &days);
        check("0 3 L 2 *", "UTC0", "2027-01-01", &["2027-02-28T03:00:00Z", days[0]]);
    }

    #[test]
    fn a_line_that_never_comes_is_refused() {
        for text in ["0 3 30 2 *", "0 3 31 2,4,6,9,11 *"] {
            assert_eq!(text.parse::<CronLine>(), Err(CronLineError::Never), "{text}");
        }
        for text in
            ["", "3 30", "60 2 * * *", "* * * * * *", "0 0 1 1 * 2031", "often", "é * * * *"]
        {
            let error = text.parse::<CronLine>().unwrap_err();
            assert!(error.to_string().starts_with("not a cron line: expected"), "{text}: {error}");
        }
        assert_eq!("@daily".parse::<CronLine>().unwrap().text(), "@daily");
    }
}
