//! When certificates end: a month at a time, what ends soon with who answers for it, and a file
//! for calendars.

use std::collections::BTreeMap;

use askama::Template;
use axum::{
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};
use inventory::{
    register::Day,
    store::{Ending, StoreError},
    user::Role,
};
use jiff::{ToSpan as _, civil::Date};
use model::Timestamp;
use serde::Deserialize;

use super::{Texts, days_between, ics, look, path};
use crate::{
    clock,
    web::{
        Shared,
        asked::Question,
        language::Language,
        lists::address,
        page::{Moment, Page, html, shown},
        trouble::Trouble,
        visit::{Calendars, Viewer},
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
    may_manage: bool,
    month: String,
    /// The list of what ends in it.
    of_month: String,
    before: String,
    after: String,
    total: u64,
    weekdays: [&'static str; 7],
    weeks: Vec<[Cell; 7]>,
    soon: Vec<Row>,
    more: bool,
    list: String,
}

pub(super) async fn show(
    Viewer(visitor): Viewer,
    State(shared): State<Shared>,
    Question(asked): Question<Asked>,
) -> Result<Response, Trouble> {
    let texts = Texts::of(visitor.language);
    let (now, offset) = (clock::now(), shared.settings.policy.offset);
    let today = Day::of(now, offset).date();
    // What is no month is this month: links grow old.
    let asked = asked.month.as_deref().and_then(month);
    let first = asked.unwrap_or(today).first_of_month();
    let _place = shared.lists().await?;
    let counts = ends_in(&shared, first).await?;
    let rows = |found: &[Ending]| -> Vec<Row> {
        found.iter().take(ROWS as usize).map(|one| row(one, now)).collect()
    };
    let is_more = |found: &[Ending]| found.len() > ROWS as usize;
    let until = now.plus_seconds(SOON * 86_400);
    let soon = shared.store.endings(now, until, ROWS + 1).await?;
    let month_address = |first: Result<Date, jiff::Error>| {
        first.map_or_else(
            |_| "/certificates/calendar".to_owned(),
            |first| format!("/certificates/calendar?month={}", first.strftime("%Y-%m")),
        )
    };
    let cell = |day: Date| Cell {
        number: day.day(),
        is_today: day == today,
        ends: counts.get(&day).copied().unwrap_or_default(),
        look: look(days_between(now, Day::from(day).ends_at(offset))),
        address: ending(&format!("expires:{day}")),
    };
    html(&Calendar {
        page: Page::new(&visitor, texts.calendar_title),
        may_manage: visitor.may(Role::Admin),
        texts,
        of_month: ending(&format!("expires:{}", first.strftime("%Y-%m"))),
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
        more: is_more(&soon),
        soon: rows(&soon),
        list: ending(&format!("expires>=0d and expires<{SOON}d")),
    })
}

/// The first day of a month as it is written.
pub(super) fn month(text: &str) -> Option<Date> {
    // No more and no less than that.
    (text.len() == 7).then(|| format!("{text}-01").parse().ok())?
}

/// How many certificates in use end on each day of a month.
pub(super) async fn ends_in(
    shared: &Shared,
    first: Date,
) -> Result<BTreeMap<Date, u64>, StoreError> {
    let offset = shared.settings.policy.offset;
    let (from, until) = (Day::from(first), Day::from(first.last_of_month()));
    let (from, until) = (from.starts_at(offset), until.ends_at(offset));
    let mut counts: BTreeMap<Date, u64> = BTreeMap::new();
    for (at, count) in shared.store.ending_moments(from, until).await? {
        *counts.entry(Day::of(at, offset).date()).or_default() += count;
    }
    Ok(counts)
}

/// The list of the certificates in use that a query asks for: those that the calendar counts.
fn ending(query: &str) -> String {
    address("/certificates", &format!("{query} and places>0"))
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

/// The file for who is signed in.
pub(super) async fn download(
    Viewer(visitor): Viewer,
    State(shared): State<Shared>,
) -> Result<Response, Trouble> {
    file(&shared, visitor.language).await
}

/// The same for a program that has only the address.
pub(super) async fn fetch(
    Calendars(visitor): Calendars,
    State(shared): State<Shared>,
) -> Result<Response, Trouble> {
    file(&shared, visitor.language).await
}

/// The ends of the next thirteen months for a calendar, each a day long, where the organisation is.
pub(super) async fn file(shared: &Shared, language: Language) -> Result<Response, Trouble> {
    let (now, offset) = (clock::now(), shared.settings.policy.offset);
    let _place = shared.lists().await?;
    let until = now.plus_seconds(AHEAD * 86_400);
    let found = shared.store.endings(now, until, EVENTS + 1).await?;
    if found.len() > EVENTS as usize {
        return Err(Trouble::Conflict(format!("{AHEAD} d: > {EVENTS}")));
    }
    let before = match language {
        Language::English => "Certificate ends",
        Language::Japanese => "証明書の期限",
    };
    let page = shared.settings.sender.page.as_deref().map(|page| page.trim_end_matches('/'));
    let events = found.iter().map(|one| {
        let owners = if one.owners.is_empty() { None } else { Some(shown(&one.owners)) };
        let detail = [Some(shown(&one.issuer)), owners, Some(one.not_after.to_string())];
        ics::Event {
            id: one.sha256.clone(),
            day: Day::of(one.not_after, offset).date(),
            summary: format!("{before}: {}", shown(&one.name)),
            description: detail.into_iter().flatten().collect::<Vec<_>>().join("\n"),
            page: page.map(|page| format!("{page}{}", path(&one.sha256))),
        }
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
    fn a_month_is_written_in_one_way() {
        assert_eq!(month("2026-12"), Some(Date::constant(2026, 12, 1)));
        for other in ["2026-13", "2026-1", "-2026-1", "26-12", "2026-12-01", "2026/12", ""] {
            assert_eq!(month(other), None, "{other}");
        }
    }
}
