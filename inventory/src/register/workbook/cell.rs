//! Values of cells to text, as a person would have typed it.

use std::borrow::Cow;

use calamine::{Data, DataRef, ExcelDateTime, Style};

/// From where on a number has digits that a cell does not hold, and is shown with an exponent.
const LARGE: f64 = 1e15;

/// The text of a value. A whole number has at least so many `digits`, as its format shows it.
pub(super) fn of_ref<'a>(value: &'a DataRef<'_>, digits: usize) -> Cow<'a, str> {
    match value {
        DataRef::Empty => "".into(),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => {
            text.as_str().into()
        }
        DataRef::SharedString(text) => (*text).into(),
        DataRef::Int(whole) => whole.to_string().into(),
        DataRef::Float(value) => number(*value, digits).into(),
        DataRef::Bool(value) => truth(*value).into(),
        DataRef::DateTime(moment) => date(moment).into(),
        DataRef::Error(error) => error.to_string().into(),
    }
}

/// The same for a value that a whole sheet was read into.
pub(super) fn of(value: &Data) -> Cow<'_, str> {
    match value {
        Data::Empty => "".into(),
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => {
            text.as_str().into()
        }
        Data::Int(whole) => whole.to_string().into(),
        Data::Float(value) => number(*value, 0).into(),
        Data::Bool(value) => truth(*value).into(),
        Data::DateTime(moment) => date(moment).into(),
        Data::Error(error) => error.to_string().into(),
    }
}

/// As every language's Excel saves it.
pub(super) const fn truth(value: bool) -> &'static str {
    if value { "TRUE" } else { "FALSE" }
}

/// How many digits a style shows at least: `00000` is how an office gives numbers their zeros.
pub(super) fn zeros(style: &Style) -> usize {
    let code = style.number_format.as_ref().map_or("", |format| format.format_code.as_str());
    let positive = code.split(';').next().unwrap_or_default();
    match positive.bytes().all(|byte| byte == b'0') {
        true => positive.len(),
        false => 0,
    }
}

/// A number without what binary fractions add to it: fifteen digits, as Excel shows.
pub(super) fn number(value: f64, digits: usize) -> String {
    if value.abs() >= LARGE || !value.is_finite() {
        return format!("{value:e}");
    }
    if value.fract() == 0.0 {
        // 20: more than any number has, and no endless text for a format of a thousand zeros.
        return format!("{value:0width$.0}", width = digits.min(20));
    }
    let shown = format!("{value:.14e}");
    shown.parse::<f64>().unwrap_or(value).to_string()
}

/// A day, a time, or both: `2026-11-22`, `09:30:00`, `2026-11-22 09:30:00`.
fn date(moment: &ExcelDateTime) -> String {
    let (year, month, day, hour, minute, second, _) = moment.to_ymd_hms_milli();
    let time = format!("{hour:02}:{minute:02}:{second:02}");
    let serial = moment.as_f64();
    match (moment.is_duration() || serial < 1.0, time.as_str()) {
        (true, _) if serial >= 1.0 => number(serial, 0),
        (true, _) => time,
        (false, "00:00:00") => format!("{year:04}-{month:02}-{day:02}"),
        (false, _) => format!("{year:04}-{month:02}-{day:02} {time}"),
    }
}

#[cfg(test)]
mod tests {
    use calamine::ExcelDateTimeType;

    use super::*;

    #[test]
    fn numbers_are_what_was_typed() {
        for (value, digits, expected) in [
            (1001.0, 0, "1001"),
            (123.0, 6, "000123"),
            (-7.0, 0, "-7"),
            (0.1 + 0.2, 0, "0.3"),
            (2.5, 4, "2.5"),
            (112_233_445_566.0, 0, "112233445566"),
            (1e15, 0, "1e15"),
            (1e300, 0, "1e300"),
            (f64::NAN, 0, "NaN"),
        ] {
            assert_eq!(number(value, digits), expected);
        }
    }

    #[test]
    fn serials_are_days_in_both_systems() {
        let date = |serial: f64, is_1904| {
            date(&ExcelDateTime::new(serial, ExcelDateTimeType::DateTime, is_1904))
        };
        assert_eq!(date(46_348.0, false), "2026-11-22");
        assert_eq!(date(44_886.0, true), "2026-11-22");
        assert_eq!(date(46_348.5, false), "2026-11-22 12:00:00");
        assert_eq!(date(0.25, false), "06:00:00");
        assert_eq!(date(1.0, false), "1900-01-01");
        let hours = ExcelDateTime::new(1.5, ExcelDateTimeType::TimeDelta, false);
        assert_eq!(super::date(&hours), "1.5");
    }
}
