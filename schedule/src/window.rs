//! Times of the week in which something is allowed: `Mon-Fri 22:00-06:00`.

use std::str::FromStr;

/// A time on some days of the week, in local time. One that ends before it begins ends on
/// the next day.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Window {
    /// The days on which it begins, one bit each, Monday first.
    days: u8,
    /// The minute of the day in which it begins, below 1,440.
    from: u32,
    /// The minute of the day before which it ends, at most 1,440.
    until: u32,
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Window {
    /// Whether it is open on that day (Monday 0) in that minute of the day.
    #[must_use]
    pub const fn is_open(&self, day: u8, minute: u32) -> bool {
        let (today, yesterday) = (self.begins_on(day), self.begins_on(day + 6));
        match self.from < self.until {
            true => today && self.from <= minute && minute < self.until,
            false => (today && minute >= self.from) || (yesterday && minute < self.until),
        }
    }

    const fn begins_on(&self, day: u8) -> bool {
        self.days & (1 << (day % 7)) != 0
    }
}

impl FromStr for Window {
    type Err = String;

    /// Reads days with commas and hyphens and a time of the day: `Mon-Fri 22:00-06:00`,
    /// `Sat,Sun 00:00-24:00`; without days every day: `01:00-05:00`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong =
            || format!("{text:?} is not a time of the week, such as \"Mon-Fri 22:00-06:00\"");
        let (days, times) = match text.trim().rsplit_once(char::is_whitespace) {
            Some((days, times)) => (read_days(days).ok_or_else(wrong)?, times),
            None => (0x7f, text.trim()),
        };
        let (from, until) = times.split_once('-').ok_or_else(wrong)?;
        let from = read_minute(from).filter(|minute| *minute < 24 * 60).ok_or_else(wrong)?;
        let until = read_minute(until).ok_or_else(wrong)?;
        match from == until {
            true => Err(format!("{text:?} ends when it begins")),
            false => Ok(Self { days, from, until }),
        }
    }
}

fn read_days(text: &str) -> Option<u8> {
    let number = |name: &str| DAYS.iter().position(|day| name.trim().eq_ignore_ascii_case(day));
    let mut days = 0;
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut day, last) = (number(first)?, number(last)?);
        loop {
            days |= 1 << day;
            if day == last {
                break;
            }
            day = (day + 1) % DAYS.len();
        }
    }
    Some(days)
}

/// The minute of the day of `22:00`, up to `24:00`.
fn read_minute(text: &str) -> Option<u32> {
    let (hour, minute) = text.trim().split_once(':')?;
    let number = |text: &str| {
        let digits = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<u32>().ok().filter(|_| digits)
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    (minute < 60 && hour * 60 + minute <= 24 * 60).then_some(hour * 60 + minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, open: &[(u8, u32)], shut: &[(u8, u32)]) {
        let window: Window = text.parse().unwrap();
        for (day, minute) in open {
            assert!(window.is_open(*day, *minute), "{text} on day {day} in minute {minute}");
        }
        for (day, minute) in shut {
            assert!(!window.is_open(*day, *minute), "{text} on day {day} in minute {minute}");
        }
    }

    #[test]
    fn windows_are_open_from_their_first_minute_to_before_their_end() {
        check("01:00-05:00", &[(0, 60), (6, 299)], &[(0, 59), (3, 300)]);
        check("Mon-Fri 22:00-06:00", &[(0, 1_320), (5, 359)], &[(0, 359), (5, 1_320), (1, 360)]);
        check("fri-mon, Wed 0:00-24:00", &[(4, 0), (6, 1_439), (0, 5), (2, 7)], &[(1, 0), (3, 9)]);
        check("Sun 23:00-01:00", &[(6, 1_380), (0, 59)], &[(0, 60), (6, 0)]);
    }

    #[test]
    fn what_is_no_window_is_refused() {
        for text in
            ["", "Mon", "22:00", "25:00-26:00", "Mun 1:00-2:00", "1:60-2:00", "1-2", "24:00-1:00"]
        {
            let error = text.parse::<Window>().unwrap_err();
            assert!(error.contains("is not a time of the week"), "{error}");
        }
        assert_eq!("3:00-3:00".parse::<Window>(), Err("\"3:00-3:00\" ends when it begins".into()));
    }
}
