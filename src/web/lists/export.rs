//! What a list shows as a file: the same query, order and columns, all pages.

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};
use inventory::{
    list::{to_csv, to_xlsx},
    query::Kind,
    store::list::{LARGEST_PAGE, Request},
};

use super::{Choice, Shared, columns, words::Lists};
use crate::{
    clock,
    web::{
        asked::Question,
        routes::{Route, get},
        trouble::Trouble,
        visit::Viewer,
        works::computed,
    },
};

/// The most rows of a file. More is for programs, page by page (`/api/v1`).
const MOST: u64 = 20_000;

#[derive(Clone, Copy)]
enum End {
    Csv,
    Xlsx,
}

macro_rules! files {
    ($($path:literal, $kind:ident, $end:ident;)*) => {
        vec![$(
            get($path, |visitor: Viewer, shared: State<Shared>, asked: Question<Choice>| {
                file(visitor, shared, asked, Kind::$kind, End::$end)
            }),
        )*]
    };
}

pub(super) fn routes() -> Vec<Route> {
    files! {
        "/export/assets.csv", Assets, Csv;
        "/export/assets.xlsx", Assets, Xlsx;
        "/export/services.csv", Services, Csv;
        "/export/services.xlsx", Services, Xlsx;
        "/export/software.csv", Software, Csv;
        "/export/software.xlsx", Software, Xlsx;
        "/export/certificates.csv", Certificates, Csv;
        "/export/certificates.xlsx", Certificates, Xlsx;
        "/export/findings.csv", Findings, Csv;
        "/export/findings.xlsx", Findings, Xlsx;
    }
}

async fn file(
    Viewer(visitor): Viewer,
    State(shared): State<Shared>,
    Question(mut choice): Question<Choice>,
    kind: Kind,
    end: End,
) -> Result<Response, Trouble> {
    choice.take_boxes(&visitor.path);
    choice.settle(kind, &visitor.path);
    let query = shared.query(kind, &choice.q)?;
    let (sort, direction) = choice.order(kind);
    let (columns, words) = (choice.columns(kind), Lists::of(visitor.language));
    let as_of = clock::now();
    let _place = shared.lists().await?;
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let (at, size) = (after.as_deref(), LARGEST_PAGE);
        let request = Request { query: &query, sort, direction, after: at, size };
        let page = columns::rows(&shared.store, &request, as_of).await?;
        if page.total > MOST {
            return Err(Trouble::Conflict(format!("{} > {MOST}", page.total)));
        }
        let cells = |row: &columns::Row| {
            columns
                .iter()
                .map(|column| {
                    let cell = (column.cell)(row, visitor.language);
                    cell.moment.unwrap_or(cell.text)
                })
                .collect()
        };
        rows.extend(page.rows.iter().map(cells));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let headings: Vec<String> =
        columns.iter().map(|column| (column.heading)(words).to_owned()).collect();
    let (bytes, mime, end) = match end {
        End::Csv => (to_csv(&headings, &rows), "text/csv; charset=utf-8", "csv"),
        End::Xlsx => {
            let bytes = computed(move || to_xlsx(&headings, &rows)).await?;
            let mime = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
            (bytes.map_err(|error| Trouble::Failed(error.to_string()))?, mime, "xlsx")
        }
    };
    let name = format!("attachment; filename=\"daicho-{}.{end}\"", kind.as_str());
    let headers = [(header::CONTENT_TYPE, mime.to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, bytes).into_response())
}
