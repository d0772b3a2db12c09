//! Times as logs write them.
//!
//! Most logs write the time of their own place without saying which that is, and syslog not
//! even the year. So the caller says what local time means, and a time without a year is in the
//! latest year in which it does not lie after the file was written; a day is granted to clocks
//! that are ahead.

use std::{fmt, sync::Arc};

use model::Timestamp;

/// How far a clock may be ahead, in seconds.
pub(super) const AHEAD: i64 = 86_400;

/// A date and a time of day, of nowhere in particular.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Civil {
    /// Such as 2026.
    pub year: i64,
    /// From 1 to 12.
    pub month: i64,
    /// From 1 to 31.
    pub day: i64,
    /// From 0 to 23.
    pub hour: i64,
    /// From 0 to 59.
    pub minute: i64,
    /// From 0 to 60: there are leap seconds.
    pub second: i64,
}

type Meaning = dyn Fn(Civil) -> Option<Timestamp> + Send + Sync;

/// What local times mean. `None` comes for what is no time.
#[derive(Clone)]
pub struct LocalTime(Arc<Meaning>);

impl fmt::Debug for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalTime")
    }
}

impl LocalTime {
    /// As this says.
    #[must_use]
    pub fn new(meaning: Arc<Meaning>) -> Self {
        Self(meaning)
    }

    pub(super) fn moment(&self, civil: Civil) -> Option<Timestamp> {
        // What is no date is none anywhere.
        civil.as_utc()?;
        (self.0)(civil)
    }
}

impl Civil {
    /// The moment in UTC, or `None` where there is no such date or time.
    #[must_use]
    pub fn as_utc(self) -> Option<Timestamp> {
        let Self { year, month, day, hour, minute, second } = self;
        let in_range = (1_970..=9_999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=days_in(year, month)).contains(&day)
            && (0..24).contains(&hour)
            && (0..60).contains(&minute)
            && (0..=60).contains(&second);
        if !in_range {
            return None;
        }
        // Days since 0000-03-01, so that the odd day of a leap year is the last.
        let (year, month) = match month {
            1 | 2 => (year.checked_sub(1)?, month.checked_add(9)?),
            _ => (year, month.checked_sub(3)?),
        };
        let leaps = (year / 4).checked_sub(year / 100)?.checked_add(year / 400)?;
        let months = month.checked_mul(153)?.checked_add(2)? / 5;
        let days = year.checked_mul(365)?.checked_add(leaps)?.checked_add(months)?;
        let days = days.checked_add(day)?.checked_sub(719_469)?;
        let time = hour.checked_mul(60)?.checked_add(minute)?.checked_mul(60)?;
        let seconds = days.checked_mul(86_400)?.checked_add(time)?.checked_add(second)?;
        Some(Timestamp::from_seconds(seconds))
    }
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The year of a moment in UTC, or one beside it at the turn of the year.
fn about_year(at: Timestamp) -> i64 {
    // A year has 31,556,952 seconds in the mean.
    (at.seconds() / 31_556_952).saturating_add(1_970)
}

/// A time without a year: the latest that does not lie after that moment.
pub(super) fn without_year(
    mut civil: Civil,
    local: &LocalTime,
    written: Timestamp,
) -> Option<Timestamp> {
    let latest = about_year(written).saturating_add(1);
    // Of a leap day at a turn of the century, nine years.
    (0..9).find_map(|back| {
        civil.year = latest.saturating_sub(back);
        local.moment(civil).filter(|at| *at <= written.plus_seconds(AHEAD))
    })
}

/// The number of a month by its English name of three letters.
pub(super) fn month(name: &str) -> Option<i64> {
    const NAMES: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let name = name.to_ascii_lowercase();
    let place = NAMES.iter().position(|known| *known == name)?;
    i64::try_from(place).ok()?.checked_add(1)
}

/// A number without sign.
pub(super) fn number(text: &str) -> Option<i64> {
    let is_number =
        !text.is_empty() && text.len() <= 12 && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// `2026-11-27`, with that between its parts.
pub(super) fn date(text: &str, between: char) -> Option<(i64, i64, i64)> {
    let mut parts = text.split(between);
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let whole = year.len() == 4 && parts.next().is_none();
    whole.then_some((number(year)?, number(month)?, number(day)?))
}

/// `04:08:27`, whatever fraction of a second follows.
pub(super) fn clock(text: &str) -> Option<(i64, i64, i64)> {
    let text = text.split(['.', ',']).next()?;
    let mut parts = text.split(':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next()?);
    let whole = parts.next().is_none();
    whole.then_some((number(hour)?, number(minute)?, number(second)?))
}

/// A date and a time of day.
pub(super) fn civil((year, month, day): (i64, i64, i64), time: (i64, i64, i64)) -> Civil {
    let (hour, minute, second) = time;
    Civil { year, month, day, hour, minute, second }
}

/// RFC 3339, also with a blank in place of the T, without seconds' fraction or with, and with
/// `+0900`. Where it has no offset, it is local time.
pub(super) fn rfc3339(text: &str, local: &LocalTime) -> Option<Timestamp> {
    let (day, rest) = text.split_once(['T', ' '])?;
    let day = date(day, '-')?;
    let end = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let (time, offset) = rest.split_at_checked(end)?;
    let civil = civil(day, clock(time)?);
    if offset.is_empty() {
        return local.moment(civil);
    }
    let at = civil.as_utc()?;
    let digits: String = offset.chars().skip(1).filter(|c| *c != ':').collect();
    if digits.is_empty() {
        return offset.eq_ignore_ascii_case("z").then_some(at);
    }
    let minutes = match (digits.get(..2), digits.get(2..)) {
        (Some(hours), Some(minutes)) if minutes.len() == 2 => {
            number(hours)?.checked_mul(60)?.checked_add(number(minutes)?)?
        }
        _ => return None,
    };
    let seconds = minutes.checked_mul(60)?;
    let east = if offset.starts_with('-') { seconds.saturating_neg() } else { seconds };
    Some(at.plus_seconds(east.saturating_neg()))
}

/// Seconds since 1970, such as nmap writes.
pub(super) fn epoch(text: &str) -> Option<Timestamp> {
    number(text).map(Timestamp::from_seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let read = rfc3339(text, &LocalTime::fixed(9 * 3_600));
        assert_eq!(read.map(|at| at.to_string()).as_deref(), expected, "{text}");
    }

    #[test]
    fn a_time_is_read_with_its_offset_or_is_local() {
        check("2026-11-27T04:08:27Z", Some("2026-11-27T04:08:27Z"));
        check("2026-11-27T04:08:27.123456+09:00", Some("2026-11-26T19:08:27Z"));
        check("2026-11-27T04:08:27-0330", Some("2026-11-27T07:38:27Z"));
        check("2026-11-27 04:08:27.123", Some("2026-11-26T19:08:27Z"));
        check("2024-02-29T00:00:00Z", Some("2024-02-29T00:00:00Z"));
        check("2000-03-01T00:00:00Z", Some("2000-03-01T00:00:00Z"));
        check("1970-01-01T00:00:00Z", Some("1970-01-01T00:00:00Z"));
        for text in
            ["2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-11-27T24:00:00Z", "27", ""]
        {
            check(text, None);
        }
    }

    #[test]
    fn a_time_without_a_year_is_the_latest_that_can_be() {
        let check = |written: &str, (month, day): (i64, i64), expected: Option<&str>| {
            let civil = Civil { year: 0, month, day, hour: 12, minute: 0, second: 0 };
            let at = without_year(civil, &LocalTime::fixed(0), written.parse().unwrap());
            assert_eq!(at.map(|at| at.to_string()[..10].to_owned()).as_deref(), expected);
        };
        check("2026-11-27", (11, 27), Some("2026-11-27"));
        check("2026-11-27", (11, 30), Some("2025-11-30"));
        check("2026-01-02", (12, 31), Some("2025-12-31"));
        check("2025-12-31", (1, 1), Some("2025-01-01"));
        // A clock is ahead.
        check("2026-12-31", (1, 1), Some("2026-01-01"));
        check("2026-12-31T23:00:00Z", (1, 1), Some("2027-01-01"));
        check("2026-11-27", (2, 29), Some("2024-02-29"));
        check("2026-11-27", (2, 30), None);
    }
}
