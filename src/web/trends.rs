//! How things went: lines over the last days, with a table that says the same.

use inventory::store::DayCount;
use jiff::civil::Date;

use super::{
    language::Language,
    page::shown,
    words::{Words, words},
};

words! {
    /// The texts of the trends.
    Texts {
        title: "How it went", "推移";
        days: "days", "日間";
        assets: "Assets", "資産";
        unregistered: "Not registered", "未登録";
        findings: "Open findings", "未解決の検出事項";
        critical: "critical", "重大";
        warning: "warning", "警告";
        info: "info", "情報";
        as_table: "The same as a table", "表で表示";
        day: "Day", "日付";
        too_few: "Lines are drawn once there were reviews on two days.", "2日分以上の記録がたまると、グラフを表示します。";
    }
}

/// The days that are looked back on.
pub(super) const DAYS: u32 = 90;

/// The size of a chart in its own units, without what is written around it.
const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 60.0;

/// A line of a chart.
pub(super) struct Line {
    pub(super) name: &'static str,
    /// A class of the style sheet, by which it is told apart in colour and in dashes.
    pub(super) look: &'static str,
    /// As `<polyline>` has them.
    pub(super) points: String,
    /// How many there were last.
    pub(super) last: u64,
}

pub(super) struct Chart {
    pub(super) title: &'static str,
    pub(super) lines: Vec<Line>,
    /// The top of the chart.
    pub(super) most: u64,
}

impl Chart {
    /// What it says, for whoever does not see it.
    pub(super) fn spoken(&self) -> String {
        let line = |line: &Line| match self.lines.len() {
            1 => line.last.to_string(),
            _ => format!("{} {}", line.name, line.last),
        };
        let all: Vec<String> = self.lines.iter().map(line).collect();
        format!("{}: {}", self.title, all.join(", "))
    }
}

/// A line that is wanted: its name, its look and what it counts.
type Wanted = (&'static str, &'static str, fn(&DayCount) -> u64);

/// See the module.
pub(super) struct Trends {
    pub(super) texts: &'static Texts,
    pub(super) charts: Vec<Chart>,
    pub(super) first: String,
    pub(super) last: String,
    /// The latest first.
    pub(super) days: Vec<DayCount>,
}

impl Trends {
    /// Of these days, the oldest first.
    pub(super) fn of(days: Vec<DayCount>, language: Language) -> Self {
        let texts = Texts::of(language);
        let words = Words::of(language);
        let dates: Vec<Option<Date>> = days.iter().map(|day| day.day.parse().ok()).collect();
        let chart = |title, lines: &[Wanted]| {
            let values = lines.iter().flat_map(|(_, _, value)| days.iter().map(value));
            let most = values.max().unwrap_or_default().max(1);
            let line = |(name, look, value): &Wanted| {
                let values: Vec<u64> = days.iter().map(value).collect();
                Line {
                    name,
                    look,
                    points: points(&dates, &values, most),
                    last: values.last().copied().unwrap_or_default(),
                }
            };
            Chart { title, lines: lines.iter().map(line).collect(), most }
        };
        let charts = match days.len() {
            ..2 => Vec::new(),
            _ => vec![
                chart(texts.assets, &[(words.assets, "plain", |day| day.assets)]),
                chart(texts.unregistered, &[(texts.unregistered, "warn", |day| day.unregistered)]),
                chart(
                    texts.findings,
                    &[
                        (texts.critical, "bad", |day| day.findings[0]),
                        (texts.warning, "warn", |day| day.findings[1]),
                        (texts.info, "plain", |day| day.findings[2]),
                    ],
                ),
            ],
        };
        let name = |day: Option<&DayCount>| day.map(|day| shown(&day.day)).unwrap_or_default();
        let (first, last) = (name(days.first()), name(days.last()));
        Self { texts, charts, first, last, days: days.into_iter().rev().collect() }
    }
}

/// A line through so many on each of those days, by when the days were.
fn points(dates: &[Option<Date>], values: &[u64], most: u64) -> String {
    let ends = dates.first().copied().flatten().zip(dates.last().copied().flatten());
    let Some((first, last)) = ends else { return String::new() };
    let days = |from: Date, to: Date| f64::from((to - from).get_days());
    let all = days(first, last).max(1.0);
    let point = |(date, value): (&Option<Date>, &u64)| {
        let x = days(first, (*date)?) / all * WIDTH;
        // Far below what a float cannot count.
        let y = HEIGHT - *value as f64 / most as f64 * HEIGHT;
        Some(format!("{x:.1},{y:.1}"))
    };
    dates.iter().zip(values).filter_map(point).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: &str, assets: u64, critical: u64) -> DayCount {
        DayCount { day: day.to_owned(), assets, findings: [critical, 0, 7], ..DayCount::default() }
    }

    #[test]
    fn days_stand_where_they_were_and_the_most_is_the_top() {
        let days =
            vec![day("2026-11-01", 50, 2), day("2026-11-04", 100, 0), day("2026-11-11", 75, 1)];
        let trends = Trends::of(days, Language::English);
        let [assets, _, findings] = &trends.charts[..] else { panic!("three charts") };
        assert_eq!(assets.lines[0].points, "0.0,30.0 90.0,0.0 300.0,15.0");
        assert_eq!((assets.most, findings.most), (100, 7));
        assert_eq!(findings.spoken(), "Open findings: critical 1, warning 0, info 7");
        assert_eq!((trends.first.as_str(), trends.last.as_str()), ("2026-11-01", "2026-11-11"));
        assert_eq!(trends.days[0].day, "2026-11-11");
    }

    #[test]
    fn one_day_is_no_line_and_what_is_no_day_is_left_out() {
        assert!(Trends::of(vec![day("2026-11-01", 5, 0)], Language::English).charts.is_empty());
        let odd = vec![day("2026-11-01", 5, 0), day("<b>", 5, 0), day("2026-11-02", 5, 0)];
        let trends = Trends::of(odd, Language::English);
        assert_eq!(trends.charts[0].lines[0].points, "0.0,0.0 300.0,0.0");
    }
}
