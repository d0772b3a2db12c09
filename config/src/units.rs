//! From the text of a value to what it means. Every error says what was expected.

use std::time::Duration;

use toml::Value;

/// The rate in all as it is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum RateChoice {
    Auto,
    Fixed(u32),
}

/// Any text.
pub(crate) fn text(value: &Value) -> Result<String, String> {
    value.as_str().map(str::to_owned).ok_or_else(|| "expected text in quotes".to_owned())
}

/// A text that is not empty and holds no control characters.
pub(crate) fn name(value: &Value) -> Result<String, String> {
    let name = text(value)?;
    match name.trim().is_empty() || name.chars().any(char::is_control) {
        true => Err("expected a name".to_owned()),
        false => Ok(name.trim().to_owned()),
    }
}

/// A list of texts.
pub(crate) fn texts(value: &Value) -> Result<Vec<String>, String> {
    let expected = || "expected a list of texts, such as [\"192.0.2.7\"]".to_owned();
    value
        .as_array()
        .ok_or_else(expected)?
        .iter()
        .map(|item| item.as_str().map(str::to_owned).ok_or_else(expected))
        .collect()
}

/// true or false.
pub(crate) fn switch(value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| "expected true or false".to_owned())
}

/// A whole number within limits, both included.
pub(crate) fn number<T>(value: &Value, least: i64, most: i64) -> Result<T, String>
where
    T: TryFrom<i64>,
{
    value
        .as_integer()
        .filter(|number| (least..=most).contains(number))
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| format!("expected a whole number from {least} to {most}"))
}

/// A share from a tenth to nine tenths, as a fraction or in percent: so many parts, of so many.
pub(crate) fn share(value: &Value) -> Result<(u32, u32), String> {
    let expected = || {
        let such = "such as \"2/3\" or \"75%\"";
        format!("expected a share from \"1/10\" to \"9/10\", or in percent, {such}")
    };
    let text = text(value).map_err(|_| expected())?;
    let (parts, of) = match text.strip_suffix('%') {
        Some(percent) => (percent, "100"),
        None => text.split_once('/').ok_or_else(expected)?,
    };
    let number = |text: &str| text.trim().parse::<u32>().ok().filter(|number| *number <= 1_000);
    let (parts, of) = number(parts).zip(number(of)).ok_or_else(expected)?;
    match (of..=of.saturating_mul(9)).contains(&parts.saturating_mul(10)) && of > 0 {
        true => Ok((parts, of)),
        false => Err(expected()),
    }
}

/// Packets a second; empty text means none is given.
pub(crate) fn rate(value: &Value) -> Result<Option<u32>, String> {
    const MOST: u32 = 10_000_000;
    let expected = || "expected packets a second, such as \"1000pps\"".to_owned();
    let text = text(value).map_err(|_| expected())?;
    if text.is_empty() {
        return Ok(None);
    }
    let number = text.strip_suffix("pps").ok_or_else(expected)?.trim();
    let rate: u32 = number.parse().map_err(|_| expected())?;
    match rate {
        1..=MOST => Ok(Some(rate)),
        _ => Err(format!("expected from 1pps to {MOST}pps")),
    }
}

/// The same, or `auto`, which has no number.
pub(crate) fn rate_or_auto(value: &Value) -> Result<Option<RateChoice>, String> {
    if value.as_str() == Some("auto") {
        return Ok(Some(RateChoice::Auto));
    }
    let rate = rate(value).map_err(|error| format!("{error} or \"auto\""))?;
    Ok(rate.map(RateChoice::Fixed))
}

/// A length of time within limits, both included: `500ms`, `5s`, `10m`, `12h`, `30d`.
pub(crate) fn duration(value: &Value, least: Duration, most: Duration) -> Result<Duration, String> {
    let expected = || "expected a length of time, such as \"500ms\", \"5s\" or \"30d\"".to_owned();
    let text = text(value).map_err(|_| expected())?;
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(expected)?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| expected())?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(expected()),
    };
    let duration = Duration::from_millis(number.checked_mul(millis).ok_or_else(expected)?);
    match (least..=most).contains(&duration) {
        true => Ok(duration),
        false => Err(format!("expected from {} to {}", spoken(least), spoken(most))),
    }
}

/// An age at which things go, from 30 days on; `None` for "forever".
pub(crate) fn age(value: &Value) -> Result<Option<Duration>, String> {
    match text(value)?.as_str() {
        "forever" => Ok(None),
        _ => duration(value, 30 * crate::DAY, 36_500 * crate::DAY)
            .map(Some)
            .map_err(|error| format!("{error}, or \"forever\"")),
    }
}

fn spoken(duration: Duration) -> String {
    match (duration.as_millis(), duration.as_secs()) {
        (0, _) => "0s".to_owned(),
        (_, secs) if secs > 0 && secs.is_multiple_of(86_400) => format!("{}d", secs / 86_400),
        (millis, secs) if millis == u128::from(secs) * 1_000 => format!("{secs}s"),
        (millis, _) => format!("{millis}ms"),
    }
}

/// A number of bytes within limits, both included: `512B`, `64KiB`, `16MiB`.
pub(crate) fn size(value: &Value, least: usize, most: usize) -> Result<usize, String> {
    let expected = || "expected a size, such as \"64KiB\"".to_owned();
    let text = text(value).map_err(|_| expected())?;
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(expected)?;
    let (number, unit) = text.split_at(digits);
    let number: usize = number.parse().map_err(|_| expected())?;
    let factor = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        _ => return Err(expected()),
    };
    number
        .checked_mul(factor)
        .filter(|size| (least..=most).contains(size))
        .ok_or_else(|| format!("expected from {}KiB to {}MiB", least >> 10, most >> 20))
}

/// Seconds east of UTC: `+09:00`, `-03:30`, `Z`.
pub(crate) fn utc_offset(value: &Value) -> Result<i32, String> {
    let expected = || "expected an offset from UTC, such as \"+09:00\"".to_owned();
    let text = text(value).map_err(|_| expected())?;
    if text == "Z" {
        return Ok(0);
    }
    let (sign, rest) = match text.split_at_checked(1) {
        Some(("+", rest)) => (1, rest),
        Some(("-", rest)) => (-1, rest),
        _ => return Err(expected()),
    };
    let (hours, minutes) = rest.split_once(':').ok_or_else(expected)?;
    let part = |text: &str, most: i32| {
        let two_digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        let number = two_digits.then(|| text.parse::<i32>().ok()).flatten();
        number.filter(|n| *n <= most).ok_or_else(expected)
    };
    Ok(sign * (part(hours, 14)? * 3_600 + part(minutes, 59)? * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: PartialEq + std::fmt::Debug>(
        parse: impl Fn(&Value) -> Result<T, String>,
        text: &str,
        expected: Option<T>,
    ) {
        assert_eq!(parse(&Value::from(text)).ok(), expected, "{text:?}");
    }

    #[test]
    fn units_are_part_of_the_value() {
        check(rate, "1000pps", Some(Some(1_000)));
        check(rate, "", Some(None));
        check(rate, "1000", None);
        check(rate, "0pps", None);
        check(rate, "4294967296pps", None);
        let time = |value: &Value| duration(value, Duration::ZERO, Duration::from_secs(1 << 30));
        check(time, "500ms", Some(Duration::from_millis(500)));
        check(time, "30d", Some(Duration::from_secs(2_592_000)));
        check(time, "30", None);
        check(time, "d", None);
        check(time, "99999999999999999999d", None);
        let bytes = |value: &Value| size(value, 1, 1 << 30);
        check(bytes, "64KiB", Some(65_536));
        check(bytes, "64kb", None);
        check(share, "2/3", Some((2, 3)));
        check(share, "75%", Some((75, 100)));
        check(share, "1/10", Some((1, 10)));
        check(share, " 9 / 10", Some((9, 10)));
        for text in ["0/0", "1/11", "91%", "3/3", "3/2", "0.7", "-1/2", "2/3%", "", "5000/9000"] {
            check(share, text, None);
        }
        check(utc_offset, "+09:00", Some(32_400));
        check(utc_offset, "-03:30", Some(-12_600));
        check(utc_offset, "9:00", None);
        check(utc_offset, "+9:00", None);
        check(utc_offset, "+15:00", None);
    }
}
