//! Moments as a query writes them: how long ago or from now, or a day, a month or a year of the
//! calendar.

use jiff::{
    civil::{Date, date},
    tz::Offset,
};

use super::{Bound, Problem, error::nearest, fold};
use crate::register::Day;

/// What stands for a moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum When {
    /// So many seconds.
    Length(i64),
    /// What lasts from the first moment to before the second.
    Span(Bound, Bound),
}

/// Words for days, and how far they are from today.
const WORDS: [(&str, i32); 3] = [("today", 0), ("yesterday", -1), ("tomorrow", 1)];

/// The years that are read, as in registers.
const YEARS: std::ops::RangeInclusive<i16> = 1900..=9999;

impl When {
    /// From text, where days begin at that distance from UTC.
    pub(super) fn read(value: &str, offset: Offset) -> Result<Self, Problem> {
        let folded = fold(value);
        let text = folded.as_str();
        if let Some(seconds) = length(text) {
            return Ok(Self::Length(seconds));
        }
        if let Some((_, days)) = WORDS.iter().find(|(word, _)| *word == text) {
            let midnight = |days| Bound::Midnight(days, offset);
            return Ok(Self::Span(midnight(*days), midnight(days.saturating_add(1))));
        }
        let Some(parts) = parts(text) else {
            let words = WORDS.iter().map(|(word, _)| *word);
            let meant = nearest(text, words).map(str::to_owned).or_else(|| other_day(text));
            return Err(Problem::Moment { value: value.to_owned(), meant });
        };
        let (first, last) = days(parts).ok_or_else(|| Problem::Calendar(value.to_owned()))?;
        let number = |moment: model::Timestamp| Bound::Number(moment.0);
        let (first, last) = (Day::from(first), Day::from(last));
        Ok(Self::Span(number(first.starts_at(offset)), number(last.ends_at(offset))))
    }
}

/// A length of time in seconds.
fn length(text: &str) -> Option<i64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return None,
    };
    let number: i64 = number.parse().ok().filter(|number| *number >= 0)?;
    number.checked_mul(unit)
}

/// Year, month and day, of which the last or the last two may lack: `2026-11-22` and its
/// beginnings alone. What is written otherwise means one day here and another there.
fn parts(text: &str) -> Option<(i16, Option<i8>, Option<i8>)> {
    let mut parts = text.split('-');
    let year = digits(parts.next()?, 4)?;
    let month = parts.next().map(|month| digits(month, 2).ok_or(())).transpose().ok()?;
    let day = parts.next().map(|day| digits(day, 2).ok_or(())).transpose().ok()?;
    parts.next().is_none().then_some((year, month, day))
}

fn digits<N: std::str::FromStr>(text: &str, count: usize) -> Option<N> {
    let is_number = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

/// The first day and the last.
fn days((year, month, day): (i16, Option<i8>, Option<i8>)) -> Option<(Date, Date)> {
    if !YEARS.contains(&year) {
        return None;
    }
    let Some(month) = month else { return Some((date(year, 1, 1), date(year, 12, 31))) };
    let first = Date::new(year, month, day.unwrap_or(1)).ok()?;
    Some((first, if day.is_some() { first } else { first.last_of_month() }))
}

/// A day that is written as in a register, as it is written here. A number alone may be anything.
fn other_day(text: &str) -> Option<String> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let day: Option<Day> = if is_number { None } else { text.parse().ok() };
    day.map(|day| day.to_string())
}
