//! When certificates end: a month at a time, what ends soon with who answers for it, and a file
//! for calendars.

use std::collections::BTreeMap;

use askama::Template;
use axum::{
    extract::{Query, State},
    http::header,
    response::{IntoResponse as _, Response},
};
use inventory::{
    register::Day,
    store::{Ending, Offset},
};
use jiff::{ToSpan as _, civil::Date};
use model::Timestamp;
use serde::Deserialize;

use super::{Texts, days_between, ics, look, path};
use crate::{
    clock,
    web::{
        Shared,
        language::Language,
        lists::address,
        page::{Moment, Page, html, shown},
        trouble::Trouble,
        visit::Viewer,
    },
};

/// How far ahead it is told what ends soon.
const SOON: i64 = 90;

/// How far the file reaches, in days: what is issued today for a year is in it.
const AHEAD: i64 = 400;

/// Rows of a table.
const ROWS: u32 = 200;

/// The most events of a file.
const EVENTS: u32 = 5_000;

#[derive(Deserialize)]
pub(super) struct Asked {
    /// `2026-12`.
    month: Option<String>,
    /// `2026-12-03`.
    day: Option<String>,
}

/// A day of the month; none at the edges of its weeks.
#[derive(Default)]
struct Cell {
    number: i8,
    is_today: bool,
    ends: u64,
    look: &'static str,
    address: String,
}

struct Row {
    page: String,
    name: String,
    issuer: String,
    owners: String,
    places: u64,
    at: Moment,
    days: i64,
    look: &'static str,
}

#[derive(Template)]
#[template(path = "calendar.html")]
struct Calendar {
    page: Page,
    texts: &'static Texts,
    month: String,
    before: String,
    after: String,
    total: u64,
    weekdays: [&'static str; 7],
    weeks: Vec<[Cell; 7]>,
    /// The day that was asked for, and what ends then.
    day: Option<(String, Vec<Row>, bool)>,
    soon: Vec<Row>,
    more: bool,
    list: String,
}

pub(super) async fn show(
    Viewer(visitor): Viewer,
    State(shared): State<Shared>,
    Query(asked): Query<Asked>,
) -> Result<Response, Trouble> {
    let texts = Texts::of(visitor.language);
    let (now, offset) = (clock::now(), shared.settings.policy.offset);
    let today = date(Day::of(now, offset));
    // What is no day is this month: links grow old.
    let day = asked.day.as_deref().and_then(|day| day.parse::<Date>().ok());
    let month = asked.month.and_then(|month| format!("{month}-01").parse::<Date>().ok());
    let first = month.or(day).or(today).unwrap_or(Date::ZERO).first_of_month();
    let _place = shared.lists().await?;
    let store = &shared.store;
    let moments = store.ending_moments(starts(first, offset), ends(first.last_of_month(), offset));
    let mut counts: BTreeMap<Date, u64> = BTreeMap::new();
    for (at, count) in moments.await? {
        if let Some(day) = date(Day::of(at, offset)) {
            *counts.entry(day).or_default() += count;
        }
    }
    let rows = |found: &[Ending]| -> Vec<Row> {
        found.iter().take(ROWS as usize).map(|one| row(one, now)).collect()
    };
    let is_more = |found: &[Ending]| found.len() > ROWS as usize;
    let day = match day {
        Some(day) => {
            let found = store.endings(starts(day, offset), ends(day, offset), ROWS + 1).await?;
            Some((day.to_string(), rows(&found), is_more(&found)))
        }
        None => None,
    };
    let soon = store.endings(now, now.plus_seconds(SOON * 86_400), ROWS + 1).await?;
    let month_address = |first: Result<Date, jiff::Error>| {
        first.map_or_else(
            |_| "/certificates/calendar".to_owned(),
            |first| format!("/certificates/calendar?month={}", first.strftime("%Y-%m")),
        )
    };
    let cell = |day: Date| Cell {
        number: day.day(),
        is_today: Some(day) == today,
        ends: counts.get(&day).copied().unwrap_or_default(),
        look: look(days_between(now, ends(day, offset))),
        address: format!("/certificates/calendar?day={day}#day"),
    };
    html(&Calendar {
        page: Page::new(&visitor, texts.calendar_title),
        texts,
        month: first.strftime("%Y-%m").to_string(),
        before: month_address(first.checked_sub(1.month())),
        after: month_address(first.checked_add(1.month())),
        total: counts.values().sum(),
        weekdays: [
            texts.monday,
            texts.tuesday,
            texts.wednesday,
            texts.thursday,
            texts.friday,
            texts.saturday,
            texts.sunday,
        ],
        weeks: weeks(first, cell),
        day,
        more: is_more(&soon),
        soon: rows(&soon),
        list: address("/certificates", &format!("expires>0d and expires<{SOON}d")),
    })
}

/// The days of a month in weeks that begin on Mondays.
fn weeks(first: Date, cell: impl Fn(Date) -> Cell) -> Vec<[Cell; 7]> {
    let lead = usize::try_from(first.weekday().to_monday_zero_offset()).unwrap_or_default();
    let mut cells: Vec<Cell> = (0..lead).map(|_| Cell::default()).collect();
    let days = std::iter::successors(Some(first), |day| day.tomorrow().ok());
    cells.extend(days.take_while(|day| day.month() == first.month()).map(cell));
    let mut cells = cells.into_iter();
    let mut weeks = Vec::new();
    while cells.len() > 0 {
        weeks.push(std::array::from_fn(|_| cells.next().unwrap_or_default()));
    }
    weeks
}

fn date(day: Day) -> Option<Date> {
    day.to_string().parse().ok()
}

/// The first moment of a day, and the first after it, where the organisation is.
fn starts(day: Date, offset: Offset) -> Timestamp {
    let moment = offset.to_timestamp(day.at(0, 0, 0, 0));
    moment.map_or(Timestamp(i64::MIN), |moment| Timestamp(moment.as_microsecond()))
}

fn ends(day: Date, offset: Offset) -> Timestamp {
    day.tomorrow().map_or(Timestamp(i64::MAX), |next| starts(next, offset))
}

fn row(one: &Ending, now: Timestamp) -> Row {
    let days = days_between(now, one.not_after);
    Row {
        page: path(&one.sha256),
        name: shown(&one.name),
        issuer: shown(&one.issuer),
        owners: shown(&one.owners),
        places: one.places,
        at: one.not_after.into(),
        days,
        look: look(days),
    }
}

/// The ends of the next thirteen months for a calendar, each a day long, where the organisation is.
pub(super) async fn file(
    Viewer(visitor): Viewer,
    State(shared): State<Shared>,
) -> Result<Response, Trouble> {
    let (now, offset) = (clock::now(), shared.settings.policy.offset);
    let _place = shared.lists().await?;
    let until = now.plus_seconds(AHEAD * 86_400);
    let found = shared.store.endings(now, until, EVENTS + 1).await?;
    if found.len() > EVENTS as usize {
        return Err(Trouble::Conflict(format!("{AHEAD} d: > {EVENTS}")));
    }
    let before = match visitor.language {
        Language::English => "Certificate ends",
        Language::Japanese => "証明書の期限",
    };
    let page = shared.settings.sender.page.as_deref().map(|page| page.trim_end_matches('/'));
    let events = found.iter().filter_map(|one| {
        let day = date(Day::of(one.not_after, offset))?;
        let owners = if one.owners.is_empty() { None } else { Some(shown(&one.owners)) };
        let detail = [Some(shown(&one.issuer)), owners, Some(one.not_after.to_string())];
        Some(ics::Event {
            id: one.sha256.clone(),
            day,
            summary: format!("{before}: {}", shown(&one.name)),
            description: detail.into_iter().flatten().collect::<Vec<_>>().join("\n"),
            page: page.map(|page| format!("{page}{}", path(&one.sha256))),
        })
    });
    let text = ics::calendar(events, now);
    let headers = [
        (header::CONTENT_TYPE, "text/calendar; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"daicho-certificates.ics\""),
    ];
    Ok((headers, text).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_shown_in_its_weeks() {
        let cell = |day: Date| Cell { number: day.day(), ..Cell::default() };
        let numbers = |first: Date| -> Vec<[i8; 7]> {
            weeks(first, cell).iter().map(|week| week.each_ref().map(|cell| cell.number)).collect()
        };
        // 1 February 2027 is a Monday, and the month has four weeks.
        let february = numbers(Date::constant(2027, 2, 1));
        assert_eq!((february.len(), february[0][0], february[3][6]), (4, 1, 28));
        // A month may touch six weeks.
        let august = numbers(Date::constant(2027, 8, 1));
        assert_eq!((august.len(), august[0], august[5][1]), (6, [0, 0, 0, 0, 0, 0, 1], 31));
    }

    #[test]
    fn a_day_is_where_the_organisation_is() {
        let tokyo = Offset::constant(9);
        let day = Date::constant(2026, 12, 3);
        assert_eq!(starts(day, tokyo).to_string(), "2026-12-02T15:00:00Z");
        assert_eq!(ends(day, tokyo).to_string(), "2026-12-03T15:00:00Z");
    }
}
