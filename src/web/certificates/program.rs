//! The calendar and certificates themselves, for programs.

use axum::{extract::State, http::HeaderMap, response::Response};
use inventory::register::Day;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    calendar::{self, ends_in, month},
    one::pem_of,
};
use crate::{
    clock,
    web::{
        Shared,
        api::{About, Gives, get, told},
        asked::{Path, Question, Refusal},
        routes::Route,
        trouble::Trouble,
        visit::Viewer,
    },
};

pub(super) fn routes() -> Vec<Route> {
    let file = |what| About { gives: Gives::File, ..About::read(what, "any") };
    vec![
        get(
            "/api/v1/calendar",
            show,
            About::read(
                "How many certificates in use end on each day of a month, as days are where the \
                 organisation is; which ones are asked for as expires:2026-12-24 and places>0",
                "{month: text, total: int, days: [{day: day, ends: int}]}",
            )
            .asking(&[("month", "such as 2026-12; this month where it is not said")]),
        ),
        get(
            "/api/v1/calendar.ics",
            download,
            file("The ends of certificates within 400 days, as a file for calendars"),
        ),
        get("/api/v1/certificates/{sha256}/pem", pem, file("A certificate itself, as PEM")),
    ]
}

#[derive(Deserialize)]
struct Asked {
    month: Option<String>,
}

async fn show(
    _: Viewer,
    State(shared): State<Shared>,
    headers: HeaderMap,
    Question(asked): Question<Asked>,
) -> Result<Response, Trouble> {
    let first = match asked.month {
        Some(text) => month(&text).ok_or(Refusal::Month(text))?,
        None => Day::of(clock::now(), shared.settings.policy.offset).date().first_of_month(),
    };
    let place = shared.lists().await?;
    let counts = ends_in(&shared, first).await?;
    drop(place);
    let day =
        |(day, ends): (&jiff::civil::Date, &u64)| json!({"day": day.to_string(), "ends": ends});
    told(
        &headers,
        &json!({
            "month": first.strftime("%Y-%m").to_string(),
            "total": counts.values().sum::<u64>(),
            "days": counts.iter().map(day).collect::<Vec<Value>>(),
        }),
    )
}

async fn download(
    Viewer(visitor): Viewer,
    State(shared): State<Shared>,
) -> Result<Response, Trouble> {
    calendar::file(&shared, visitor.language).await
}

async fn pem(
    _: Viewer,
    State(shared): State<Shared>,
    Path(sha256): Path<String>,
) -> Result<Response, Trouble> {
    pem_of(&shared, &sha256).await
}
