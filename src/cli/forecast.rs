//! How the database grows, and when the disk is full.
//!
//! Each scan notes how many bytes of the database held something. What came together from one to
//! the next is what it grows by, whatever was removed in between; nothing is guessed where that
//! is too little to go by.

use std::path::Path;

use inventory::store::Size;
use model::Timestamp;

use crate::report::count;

const DAY: f64 = 86_400.0;

/// So many days have to be looked back at.
const LEAST_DAYS: f64 = 1.0;

/// How far it is looked back.
const MOST_DAYS: i64 = 30;

/// What the sizes of the last scans come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Growth {
    /// Bytes a day that come together.
    pub(crate) bytes_a_day: f64,
    /// Over so many days.
    pub(crate) days: f64,
    /// In so many scans.
    pub(crate) scans: usize,
}

impl Growth {
    /// `None` where there were too few scans to say anything.
    pub(crate) fn of(over_time: &[(Timestamp, u64)]) -> Option<Self> {
        let (last, _) = over_time.last()?;
        let since = last.plus_seconds(-MOST_DAYS * 86_400);
        let recent: Vec<(Timestamp, u64)> =
            over_time.iter().copied().filter(|(at, _)| *at >= since).collect();
        let (first, _) = recent.first()?;
        let days = last.seconds_since(*first) as f64 / DAY;
        let grown: u64 = recent
            .iter()
            .zip(recent.iter().skip(1))
            .map(|((_, before), (_, after))| after.saturating_sub(*before))
            .sum();
        let growth = Self { bytes_a_day: grown as f64 / days, days, scans: recent.len() };
        (days >= LEAST_DAYS).then_some(growth)
    }
}

/// The lines that `doctor` says of the size, and whether the disk is full within a month.
pub(crate) fn lines(database: &Path, size: &Size) -> (Vec<String>, bool) {
    let mut lines = vec![format!(
        "{} KiB, of which {} KiB hold nothing and are used again",
        size.room.bytes / 1024,
        size.room.free / 1024
    )];
    let largest: Vec<String> = size
        .tables
        .iter()
        .take(LARGEST)
        .map(|(table, bytes)| format!("{table} {} KiB", bytes / 1024))
        .collect();
    if !largest.is_empty() {
        lines.push(format!("largest: {}", largest.join(", ")));
    }
    let mut is_soon = false;
    match Growth::of(&size.over_time) {
        None => lines.push("growth: not known before two scans a day apart".to_owned()),
        Some(Growth { bytes_a_day, days, scans }) => {
            let scans = count(scans as u64, "scan", "scans");
            lines.push(format!(
                "growth: {:.0} KiB a day, over {days:.1} days and {scans}",
                bytes_a_day / 1024.0
            ));
            let left = free_on_disk(database);
            if let Some(left) = left.filter(|_| bytes_a_day >= 1.0) {
                let full = left as f64 / bytes_a_day;
                is_soon = full < SOON;
                lines.push(format!(
                    "the disk has {} MiB left, which at this growth is {}",
                    left >> 20,
                    spoken_days(full)
                ));
            }
        }
    }
    (lines, is_soon)
}

/// How many tables are named.
const LARGEST: usize = 5;

/// So many days are soon.
const SOON: f64 = 30.0;

fn spoken_days(days: f64) -> String {
    match days {
        days if days > 36_500.0 => "more than a century".to_owned(),
        days if days > 730.0 => format!("{:.0} years", days / 365.25),
        days => format!("{days:.0} days"),
    }
}

/// Bytes that this user may still write where the database is.
fn free_on_disk(database: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(database).ok()?;
    disk.f_bavail.checked_mul(disk.f_frsize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: i64) -> Timestamp {
        Timestamp::from_seconds(day * 86_400)
    }

    #[test]
    fn growth_is_what_came_together_whatever_was_removed() {
        let sizes = [(day(1), 1_000), (day(2), 3_000), (day(3), 500), (day(5), 2_500)];
        let growth = Growth::of(&sizes).unwrap();
        assert_eq!((growth.bytes_a_day, growth.days, growth.scans), (1_000.0, 4.0, 4));
    }

    #[test]
    fn what_is_long_ago_does_not_count_and_little_says_nothing() {
        assert_eq!(Growth::of(&[]), None);
        assert_eq!(Growth::of(&[(day(1), 7)]), None);
        assert_eq!(Growth::of(&[(day(1), 7), (day(1).plus_seconds(3_600), 9)]), None);
        let sizes = [(day(1), 0), (day(100), 1_000_000), (day(110), 1_000_500)];
        let growth = Growth::of(&sizes).unwrap();
        assert_eq!((growth.bytes_a_day, growth.scans), (50.0, 2));
    }

    #[test]
    fn times_are_told_in_words_that_fit() {
        assert_eq!(spoken_days(12.4), "12 days");
        assert_eq!(spoken_days(3_652.5), "10 years");
        assert_eq!(spoken_days(f64::INFINITY), "more than a century");
    }
}
