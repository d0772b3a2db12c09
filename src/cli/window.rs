//! Maintenance windows: the only times at which a sweep sends.

use std::time::Duration;

use anyhow::{Result, ensure};
use config::Window;
use jiff::{SignedDuration, Timestamp, Zoned, tz::TimeZone};
use schedule::minute_of_week;

/// How long the window that is open now stays open. `None` where no windows are configured:
/// any time will do.
///
/// # Errors
///
/// It is outside of every window; the text says when the next begins.
pub(crate) fn time_left(
    windows: &[Window],
    now: model::Timestamp,
    zone: TimeZone,
) -> Result<Option<Duration>> {
    if windows.is_empty() {
        return Ok(None);
    }
    let now = Timestamp::from_microsecond(now.0)?.to_zoned(zone);
    let minutes = left(windows, &now);
    ensure!(
        minutes > 0,
        "it is {}, outside of the windows in which this configuration allows it (scope.windows, or \
         the window of the job); the next one begins in {}",
        now.strftime("%A %H:%M"),
        spoken(until_next(windows, &now)),
    );
    Ok(Some(until(&now, minutes)?))
}

/// How much time passes until clocks show so many minutes more: on the days when they are put
/// forward or back it is another.
fn until(now: &Zoned, minutes: u32) -> Result<Duration> {
    let second = now.second();
    let begun = now.datetime().checked_sub(SignedDuration::from_secs(second.into()))?;
    let end = begun.checked_add(SignedDuration::from_mins(minutes.into()))?;
    let left = now.duration_until(&end.to_zoned(now.time_zone().clone())?);
    // In an hour that comes twice the end may lie in the first one.
    let plain =
        SignedDuration::from_mins(minutes.into()) - SignedDuration::from_secs(second.into());
    let left = if left > SignedDuration::ZERO { left } else { plain };
    Ok(Duration::try_from(left).unwrap_or_default())
}

/// Whether one of the windows is open, in the system's local time. Never where there is none.
pub(crate) fn is_open_at(windows: &[Window], now: model::Timestamp) -> bool {
    // A time that no calendar has is in no window.
    let now = Timestamp::from_microsecond(now.0).ok();
    now.is_some_and(|now| is_open(windows, minute_of_week(&now.to_zoned(TimeZone::system()))))
}

const DAY: u32 = 24 * 60;

fn is_open(windows: &[Window], (day, minute): (u8, u32)) -> bool {
    windows.iter().any(|window| window.is_open(day, minute))
}

/// Minutes from now on that are all inside of windows; a week where they never close.
fn left(windows: &[Window], now: &Zoned) -> u32 {
    let (day, minute) = minute_of_week(now);
    minutes_from(day, minute).take_while(|moment| is_open(windows, *moment)).count() as u32
}

/// Minutes until a window opens.
fn until_next(windows: &[Window], now: &Zoned) -> u32 {
    let (day, minute) = minute_of_week(now);
    minutes_from(day, minute).take_while(|moment| !is_open(windows, *moment)).count() as u32
}

/// The minutes of one week, from this one on.
fn minutes_from(day: u8, minute: u32) -> impl Iterator<Item = (u8, u32)> {
    (0..7 * DAY).map(move |passed| {
        let at = u32::from(day) * DAY + minute + passed;
        // Below seven, which fits.
        ((at / DAY % 7) as u8, at % DAY)
    })
}

fn spoken(minutes: u32) -> String {
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(texts: &[&str]) -> Vec<Window> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    /// In UTC, which needs no time zone database of the machine.
    fn at(text: &str) -> Zoned {
        text.parse::<jiff::civil::DateTime>().unwrap().to_zoned(TimeZone::UTC).unwrap()
    }

    #[test]
    fn a_window_over_midnight_ends_on_the_next_day() {
        let windows = windows(&["Mon-Fri 22:00-06:00", "Sat,Sun 00:00-24:00"]);
        // 2026-11-25 is a Wednesday.
        assert_eq!(left(&windows, &at("2026-11-25T23:30")), 6 * 60 + 30);
        assert_eq!(left(&windows, &at("2026-11-25T05:59")), 1);
        assert_eq!(left(&windows, &at("2026-11-25T06:00")), 0);
        assert_eq!(until_next(&windows, &at("2026-11-25T06:00")), 16 * 60);
        // From Friday night on through the week-end.
        assert_eq!(left(&windows, &at("2026-11-27T22:00")), 2 * 60 + 48 * 60);
    }

    #[test]
    fn a_window_ends_by_the_clock_where_clocks_are_put_forward_or_back() {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let check = |text: &str, hours: u64| {
            let local: jiff::civil::DateTime = text.parse().unwrap();
            let at = local.to_zoned(zone.clone()).unwrap().timestamp().as_microsecond();
            let left =
                time_left(&windows(&["Sun 01:00-05:00"]), model::Timestamp(at), zone.clone());
            assert_eq!(left.unwrap(), Some(Duration::from_secs(hours * 3_600)), "{text}");
        };
        check("2027-03-21T01:00", 4);
        check("2027-03-28T01:00", 3);
        check("2027-10-31T01:00", 5);
        check("2027-10-31T04:00", 1);
    }

    #[test]
    fn no_windows_are_any_time_and_closed_ones_are_told() {
        assert_eq!(time_left(&[], model::Timestamp(0), TimeZone::UTC).unwrap(), None);
        // One that is open for a minute, half a week away from the epoch's Thursday.
        let error = time_left(&windows(&["Mon 03:00-03:01"]), model::Timestamp(0), TimeZone::UTC)
            .unwrap_err();
        assert!(error.to_string().contains("the next one begins in"), "{error}");
    }
}
