//! The two ways in which a certificate writes a moment: UTCTime and GeneralizedTime.

use jiff::{Unit, civil::Date};
use model::Timestamp;

use crate::der::{Element, GENERALIZED_TIME, UTC_TIME};

/// A moment, and whether it was written as RFC 5280, section 4.1.2.5 wants it (with seconds,
/// in UTC, nothing else).
pub(crate) fn read(element: &Element<'_>) -> Option<(Timestamp, bool)> {
    let text = std::str::from_utf8(element.body).ok()?.trim_matches(['\0', ' ']);
    let (year, rest) = match element.tag {
        UTC_TIME => {
            let (digits, rest) = text.split_at_checked(2)?;
            let year = number(digits)?;
            (if year < 50 { year.checked_add(2000)? } else { year.checked_add(1900)? }, rest)
        }
        GENERALIZED_TIME => {
            let (digits, rest) = text.split_at_checked(4)?;
            (number(digits)?, rest)
        }
        _ => return None,
    };
    let (month, rest) = two(rest)?;
    let (day, rest) = two(rest)?;
    let (hour, rest) = two(rest)?;
    let (minute, rest) = two(rest).unwrap_or((0, rest));
    let (second, rest) = two(rest).unwrap_or((0, rest));
    // A fraction of a second changes nothing that anybody asks of a certificate.
    let fraction = rest.strip_prefix(['.', ',']).unwrap_or("");
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    let zone = if fraction.is_empty() { rest } else { fraction.get(digits..)? };
    let offset = offset(zone)?;
    let date = Date::new(i16::try_from(year).ok()?, to_i8(month)?, to_i8(day)?).ok()?;
    // A leap second is counted with the one before it, as POSIX time does.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let epoch = Date::constant(1970, 1, 1);
    // Days, not moments: the calendar's own type ends before 9999-12-31T23:59:59Z, which RFC 5280
    // gives to certificates that never expire.
    let days: i64 = epoch.until((Unit::Day, date)).ok()?.get_days().into();
    let seconds = days
        .checked_mul(86_400)?
        .checked_add(i64::from(hour).checked_mul(3600)?)?
        .checked_add(i64::from(minute).checked_mul(60)?)?
        .checked_add(second.min(59).into())?
        .checked_sub(offset)?;
    let exact = element.body.len() == if element.tag == UTC_TIME { 13 } else { 15 };
    Some((Timestamp::from_seconds(seconds), exact && zone == "Z"))
}

/// Seconds east of Greenwich. Nothing at all, which GeneralizedTime allows, means local time,
/// and the only place that a scanner could mean is UTC.
fn offset(zone: &str) -> Option<i64> {
    let (sign, digits) = match zone {
        "" | "Z" => return Some(0),
        _ => (zone.get(..1)?, zone.get(1..)?),
    };
    let (hours, rest) = two(digits)?;
    let (minutes, rest) = two(rest).unwrap_or((0, rest));
    let seconds = i64::from(hours).checked_mul(3600)?;
    let seconds = seconds.checked_add(i64::from(minutes).checked_mul(60)?)?;
    match sign {
        "+" if rest.is_empty() => Some(seconds),
        "-" if rest.is_empty() => seconds.checked_neg(),
        _ => None,
    }
}

fn two(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(2)?;
    Some((number(digits)?, rest))
}

fn number(digits: &str) -> Option<u32> {
    // Not `parse` alone, which takes a sign.
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

fn to_i8(number: u32) -> Option<i8> {
    i8::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(tag: u8, text: &str, expected: Option<(&str, bool)>) {
        let element = Element { tag, body: text.as_bytes(), whole: &[] };
        let got = read(&element).map(|(moment, exact)| (moment.to_string(), exact));
        assert_eq!(got, expected.map(|(moment, exact)| (moment.to_owned(), exact)));
    }

    #[test]
    fn both_forms_are_read() {
        check(UTC_TIME, "491231235959Z", Some(("2049-12-31T23:59:59Z", true)));
        check(UTC_TIME, "500101000000Z", Some(("1950-01-01T00:00:00Z", true)));
        check(GENERALIZED_TIME, "20500101000000Z", Some(("2050-01-01T00:00:00Z", true)));
        check(GENERALIZED_TIME, "00000101000000Z", Some(("0000-01-01T00:00:00Z", true)));
    }

    #[test]
    fn loose_forms_are_read_and_told_apart() {
        check(UTC_TIME, "2601021530Z", Some(("2026-01-02T15:30:00Z", false)));
        check(UTC_TIME, "260102153000+0900", Some(("2026-01-02T06:30:00Z", false)));
        check(UTC_TIME, "260102153000-0130", Some(("2026-01-02T17:00:00Z", false)));
        check(GENERALIZED_TIME, "20260102153000.5Z", Some(("2026-01-02T15:30:00Z", false)));
        check(GENERALIZED_TIME, "2026010215", Some(("2026-01-02T15:00:00Z", false)));
        check(UTC_TIME, "260102153060Z", Some(("2026-01-02T15:30:59Z", true)));
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in
            ["", "Z", "2", "26", "261301000000Z", "260230000000Z", "260101240000Z", "26010100+000Z"]
        {
            check(UTC_TIME, text, None);
        }
        check(UTC_TIME, "260101000000+", None);
        check(UTC_TIME, "260101000000X0900", None);
        check(UTC_TIME, "é6010100000Z", None);
        check(0x04, "260101000000Z", None);
    }

    #[test]
    fn the_end_of_time_is_a_moment() {
        let element = Element { tag: GENERALIZED_TIME, body: b"99991231235959Z", whole: &[] };
        assert_eq!(read(&element).unwrap().0.seconds(), 253_402_300_799);
    }
}
