use std::{fmt, str::FromStr};

use jiff::{Span, civil::Date, tz::Offset};
use model::Timestamp;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use super::value::quote;

/// A day as a register writes it: in the calendar of its office, without a time zone.
///
/// It becomes a moment only where it is compared with one, with the office's distance from
/// UTC handed in. `valid until` includes the day: it ends where the day does.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(into = "String", try_from = "String")]
pub struct Day(Date);

/// Microseconds.
const DAY: i64 = 86_400_000_000;

impl From<Date> for Day {
    fn from(date: Date) -> Self {
        Self(date)
    }
}

impl Day {
    /// In the calendar.
    #[must_use]
    pub const fn date(self) -> Date {
        self.0
    }

    /// The day at that moment, at that distance from UTC.
    #[must_use]
    pub fn of(moment: Timestamp, offset: Offset) -> Self {
        // By days and not by jiff's moments: those end a day before 9999-12-31, which certificates
        // without an end have.
        let local = moment.0.saturating_add(i64::from(offset.seconds()).saturating_mul(1_000_000));
        let days = Span::new().try_days(local.div_euclid(DAY));
        let date = days.and_then(|days| Date::constant(1970, 1, 1).checked_add(days));
        Self(date.unwrap_or(if local < 0 { Date::MIN } else { Date::MAX }))
    }

    /// The first moment of the day, at that distance from UTC.
    #[must_use]
    pub fn starts_at(self, offset: Offset) -> Timestamp {
        let since = self.0.duration_since(Date::constant(1970, 1, 1));
        let seconds = since.as_secs().saturating_sub(offset.seconds().into());
        Timestamp(seconds.saturating_mul(1_000_000))
    }

    /// The first moment after the day, at that distance from UTC; of the last day that there is,
    /// never.
    #[must_use]
    pub fn ends_at(self, offset: Offset) -> Timestamp {
        self.0.tomorrow().map_or(Timestamp(i64::MAX), |next| Self(next).starts_at(offset))
    }
}

/// `2026-11-22`.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.to_string()
    }
}

impl TryFrom<String> for Day {
    type Error = ParseDayError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// The text is not a day.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ParseDayError(String);

impl fmt::Display for ParseDayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not a date (expected 2026-11-22, 2026年11月22日 or R8.11.22)", self.0)
    }
}

impl std::error::Error for ParseDayError {}

/// A Japanese era that registers still use.
struct Era {
    names: [&'static str; 2],
    first: (i16, i8, i8),
    /// The year before its year 1.
    before: i16,
}

const ERAS: [Era; 3] = [
    Era { names: ["令和", "r"], first: (2019, 5, 1), before: 2018 },
    Era { names: ["平成", "h"], first: (1989, 1, 8), before: 1988 },
    Era { names: ["昭和", "s"], first: (1926, 12, 25), before: 1925 },
];

/// Excel's day 0, which counts a 29 February 1900 that never was (so this holds from
/// 1 March 1900 on), and the serial numbers that can be nothing else than days: five
/// digits, from 2000-01-01 to 2099-12-31.
const EXCEL_EPOCH: (i16, i8, i8) = (1899, 12, 30);
const EXCEL_SERIALS: std::ops::RangeInclusive<i32> = 36_526..=73_050;

impl FromStr for Day {
    type Err = ParseDayError;

    /// Reads `2026-11-22`, `2026/11/22`, `2026.11.22`, `2026年11月22日`, `20261122`,
    /// `22.11.2026`, `R8.11.22`, `令和8年11月22日`, `令和元年5月1日` and Excel's serial numbers.
    /// A time behind the date is dropped: the whole day counts. `11/22/2026` is refused,
    /// for nobody can tell what `05/06/2026` means.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseDayError(quote(text));
        let folded = text.nfkc().collect::<String>().trim().to_lowercase();
        read(&folded).map(Self).ok_or_else(error)
    }
}

fn date((year, month, day): (i16, i8, i8)) -> Option<Date> {
    Date::new(year, month, day).ok()
}

fn read(text: &str) -> Option<Date> {
    for Era { names, first, before } in ERAS {
        let Some(rest) = names.iter().find_map(|name| text.strip_prefix(name)) else { continue };
        let rest = rest.trim_start().replace('元', "1");
        let (year, month, day) = parts(without_time(&rest))?;
        let found = date((i16::try_from(year).ok()?.checked_add(before)?, month, day))?;
        // Beyond the end of an era is common (平成35年 was printed on many a label); before its
        // beginning is a slip.
        return (year >= 1 && found >= date(first)?).then_some(found);
    }
    let plain = without_time(text);
    if plain.bytes().all(|b| b.is_ascii_digit()) {
        let number: i32 = plain.parse().ok()?;
        return match plain.len() {
            8 => {
                let (year, rest) = (number.checked_div(10_000)?, number.checked_rem(10_000)?);
                let (month, day) = (rest.checked_div(100)?, rest.checked_rem(100)?);
                common((year, month.try_into().ok()?, day.try_into().ok()?))
            }
            5 if EXCEL_SERIALS.contains(&number) => {
                date(EXCEL_EPOCH)?.checked_add(jiff::Span::new().try_days(number).ok()?).ok()
            }
            _ => None,
        };
    }
    if let Some((day, rest)) = plain.split_once('.')
        && day.len() <= 2
        && let Some((month, year)) = rest.split_once('.')
        && year.len() == 4
    {
        let (day, month) = (number(day)?.try_into().ok()?, number(month)?.try_into().ok()?);
        return common((number(year)?, month, day));
    }
    let (year, month, day) = parts(plain)?;
    common((year, month, day))
}

/// A date in the years that a register can mean.
fn common((year, month, day): (i32, i8, i8)) -> Option<Date> {
    let year = i16::try_from(year).ok().filter(|year| (1900..=9999).contains(year))?;
    date((year, month, day))
}

/// `2026-11-22T00:00:00`, `2026/11/22 0:00` without the time.
fn without_time(text: &str) -> &str {
    let is_time = |time: &str| {
        !time.is_empty()
            && time.chars().all(|c| c.is_ascii_digit() || ":.z".contains(c))
            && time.contains(':')
    };
    match text.split_once([' ', 't']) {
        Some((day, time)) if is_time(time.trim()) => day,
        _ => text,
    }
}

fn number(text: &str) -> Option<i32> {
    let text = text.trim();
    let plain = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok())?
}

/// Year, month and day with one kind of separator between them.
fn parts(text: &str) -> Option<(i32, i8, i8)> {
    let text = text.trim();
    let japanese = text.strip_suffix('日').and_then(|text| {
        let (year, rest) = text.split_once('年')?;
        let (month, day) = rest.split_once('月')?;
        Some((year, month, day))
    });
    let (year, month, day) = japanese.or_else(|| {
        let sign = text.chars().find(|c| "-/.".contains(*c))?;
        let (year, rest) = text.split_once(sign)?;
        let (month, day) = rest.split_once(sign)?;
        Some((year, month, day))
    })?;
    Some((number(year)?, number(month)?.try_into().ok()?, number(day)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let got = text.parse::<Day>().ok().map(|day| day.to_string());
        assert_eq!(got.as_deref(), expected, "{text:?}");
    }

    #[test]
    fn one_day_has_many_spellings() {
        for text in [
            "2026-11-22",
            "2026/11/22",
            "2026.11.22",
            "2026年11月22日",
            "２０２６／１１／２２",
            "20261122",
            "22.11.2026",
            "R8.11.22",
            "R8/11/22",
            "r08-11-22",
            "令和8年11月22日",
            "令和８年１１月２２日",
            "46348",
            "2026/11/22 0:00",
            "2026-11-22T09:30:00Z",
            " 2026-11-22 ",
            "2026年 11月 22日",
            "平成38年11月22日",
            "㋿8.11.22",
        ] {
            check(text, Some("2026-11-22"));
        }
        check("令和元年5月1日", Some("2019-05-01"));
        check("S64.1.7", Some("1989-01-07"));
        check("36526", Some("2000-01-01"));
        check("9999-12-31", Some("9999-12-31"));
    }

    #[test]
    fn what_may_mean_two_days_is_refused() {
        for text in [
            "11/22/2026",
            "05/06/2026",
            "26/11/22",
            "2026-02-30",
            "2026-13-01",
            "R1.4.30",
            "R0.1.1",
            "1",
            "46348.5",
            "99999",
            "20261322",
            "next week",
            "2026/11-22",
            "2026-11",
            "",
            "-1-1-1",
            "２０２６年",
            "99999999999999999999",
        ] {
            check(text, None);
        }
        let error = "11/22/2026".parse::<Day>().unwrap_err().to_string();
        assert!(error.contains("\"11/22/2026\"") && error.contains("2026-11-22"), "{error}");
    }

    #[test]
    fn a_day_ends_with_itself_where_its_office_is() {
        let day: Day = "2026-11-22".parse().unwrap();
        assert_eq!(day.starts_at(Offset::UTC).to_string(), "2026-11-22T00:00:00Z");
        assert_eq!(day.ends_at(Offset::UTC).to_string(), "2026-11-23T00:00:00Z");
        let tokyo = Offset::constant(9);
        assert_eq!(day.ends_at(tokyo).to_string(), "2026-11-22T15:00:00Z");
        let last: Day = "9999-12-31".parse().unwrap();
        assert_eq!(last.ends_at(tokyo), Timestamp(i64::MAX));
        assert_eq!(last.starts_at(tokyo).to_string(), "9999-12-30T15:00:00Z");
        // RFC 5280, section 4.1.2.5: what has no end.
        let endless = Timestamp::from_seconds(253_402_300_799);
        assert_eq!(Day::of(endless, Offset::UTC), last);
        assert_eq!(Day::of(endless, tokyo), Day(Date::MAX));
        assert_eq!(Day::of(Timestamp(i64::MIN), tokyo), Day(Date::MIN));
    }
}
