//! Lists of assets, services, software, certificates and findings: asked by query, sorted by a
//! heading, page by page, with the columns that are wanted; the same as a file; and for programs.
//!
//! Everything about a list stands in its address, so that a link is the list.

mod asset;
mod behind;
mod columns;
mod export;
mod past;
mod program;
mod timeline;
mod views;
mod words;

use askama::Template;
use axum::{extract::State, response::Response};
use inventory::{
    query::{Kind, QueryError},
    store::list::{Direction, Facet, Page as ListPage, Request, Sort},
    user::Role,
};
use serde::Deserialize;

use super::{
    Shared,
    asked::Question,
    language::Language,
    page::{Page, encoded, html, shown},
    routes::{Route, get},
    trouble::Trouble,
    visit::Viewer,
};
use crate::clock;
use columns::{Cell, Column, Row};
use words::Lists;

pub(super) use asset::called;
pub(super) use program::finding;
pub(super) use views::{
    known_columns, known_order, may_change, no_column, no_list, no_order, no_user, view_address,
    view_name,
};

/// Rows of a page where nothing else is asked for.
const ROWS: u16 = 100;

pub(super) fn routes() -> Vec<Route> {
    let mut routes = program::routes();
    routes.extend(export::routes());
    routes.extend(asset::routes());
    routes.extend(behind::routes());
    routes.extend(past::routes());
    routes.extend(views::routes());
    routes.extend([
        get("/assets", |visitor: Viewer, shared: State<Shared>, asked: Question<Choice>| {
            show(visitor, shared, asked, Kind::Assets)
        }),
        get("/services", |visitor: Viewer, shared: State<Shared>, asked: Question<Choice>| {
            show(visitor, shared, asked, Kind::Services)
        }),
        get("/software", |visitor: Viewer, shared: State<Shared>, asked: Question<Choice>| {
            show(visitor, shared, asked, Kind::Software)
        }),
        get("/certificates", |visitor: Viewer, shared: State<Shared>, asked: Question<Choice>| {
            show(visitor, shared, asked, Kind::Certificates)
        }),
        get("/findings", |visitor: Viewer, shared: State<Shared>, asked: Question<Choice>| {
            show(visitor, shared, asked, Kind::Findings)
        }),
    ]);
    routes
}

/// What an address says of a list.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Choice {
    /// The query.
    #[serde(default)]
    q: String,
    /// By what it is sorted; with a minus before it the greatest first.
    sort: Option<String>,
    /// Where the page begins.
    after: Option<String>,
    /// Rows of a page.
    rows: Option<u16>,
    /// The columns, with commas.
    columns: Option<String>,
    /// Whether everything is asked for where something else is usual.
    #[serde(skip)]
    is_whole: bool,
}

/// Which findings are shown where nobody asks: those that somebody should do something about, as on
/// the command line.
const OPEN: &str = "state:open";

impl Choice {
    /// Takes the columns from a form that has a box for each of them, `column=a&column=b`.
    fn take_boxes(&mut self, address: &str) {
        let (_, asked) = address.split_once('?').unwrap_or_default();
        let boxes = asked.split('&').filter_map(|part| part.strip_prefix("column="));
        let boxes: Vec<&str> = boxes.collect();
        if !boxes.is_empty() {
            self.columns = Some(boxes.join(","));
        }
    }

    /// Takes what is usual for what the address does not say. A query that is there and empty asks for
    /// everything.
    fn settle(&mut self, kind: Kind, address: &str) {
        let (_, asked) = address.split_once('?').unwrap_or_default();
        let is_asked = asked.split('&').any(|part| part == "q" || part.starts_with("q="));
        if kind == Kind::Findings && self.q.trim().is_empty() {
            self.is_whole = is_asked;
            self.q = if is_asked { String::new() } else { OPEN.to_owned() };
        }
    }

    /// The order that is asked for. What is no order is the usual one: links grow old.
    fn order(&self, kind: Kind) -> (Sort, Direction) {
        let text = self.sort.as_deref().unwrap_or_default();
        let (name, direction) = match text.strip_prefix('-') {
            Some(name) => (name, Direction::Down),
            None => (text, Direction::Up),
        };
        match Sort::from_name(kind, name) {
            Some(sort) => (sort, direction),
            // The worst finding first; all else from the beginning.
            None if kind == Kind::Findings => (Sort::usual(kind), Direction::Down),
            None => (Sort::usual(kind), Direction::Up),
        }
    }

    fn columns(&self, kind: Kind) -> Vec<&'static Column> {
        let all = columns::of(kind);
        let wanted: Option<Vec<&str>> =
            self.columns.as_deref().map(|columns| columns.split(',').collect());
        let chosen: Vec<&Column> = all
            .iter()
            .filter(|column| match &wanted {
                Some(wanted) => wanted.contains(&column.name),
                None => column.is_usual,
            })
            .collect();
        match chosen.is_empty() {
            true => all.iter().filter(|column| column.is_usual).collect(),
            false => chosen,
        }
    }

    /// The address of the same list with something else about it.
    fn address(&self, path: &str, changed: &[(&str, Option<&str>)]) -> String {
        let rows = self.rows.map(|rows| rows.to_string());
        let own = [
            ("q", Some(self.q.as_str()).filter(|text| self.is_whole || !text.is_empty())),
            ("sort", self.sort.as_deref()),
            ("rows", rows.as_deref()),
            ("columns", self.columns.as_deref()),
        ];
        let mut parts = Vec::new();
        for (name, value) in own {
            let value = changed.iter().find(|(other, _)| *other == name).map_or(value, |(_, v)| *v);
            parts.extend(value.map(|value| format!("{name}={}", encoded(value))));
        }
        let others = changed.iter().filter(|(name, _)| own.iter().all(|(own, _)| own != name));
        parts.extend(
            others.filter_map(|(name, value)| Some(format!("{name}={}", encoded((*value)?)))),
        );
        match parts.is_empty() {
            true => path.to_owned(),
            false => format!("{path}?{}", parts.join("&")),
        }
    }
}

/// The address of the list of what a query asks for.
pub(super) fn address(path: &str, query: &str) -> String {
    Choice::default().address(path, &[("q", Some(query))])
}

/// A heading, with the address of the list sorted by it.
struct Heading {
    name: &'static str,
    address: Option<String>,
    /// As `aria-sort` has it; "" where it is not sorted by it.
    sorted: &'static str,
}

/// A value by which the list can be narrowed down.
struct Narrower {
    value: String,
    count: u64,
    address: String,
}

/// What is wrong with a query: what stands before, the part, what stands behind, and why. Of what is
/// no query there is only why.
#[derive(Clone, Debug)]
pub(super) struct Wrong {
    pub(super) before: String,
    pub(super) part: String,
    pub(super) after: String,
    pub(super) why: String,
}

#[derive(Template)]
#[template(path = "list.html")]
struct ListTemplate {
    page: Page,
    words: &'static Lists,
    path: String,
    choice: Choice,
    /// What the list is called where it is saved.
    kind: &'static str,
    saved: Option<views::Shortcuts>,
    wrong: Option<Wrong>,
    /// Those of the query language.
    fields: Vec<&'static str>,
    headings: Vec<Heading>,
    rows: Vec<Vec<Cell>>,
    total: u64,
    next: Option<String>,
    first: Option<String>,
    exports: Vec<(&'static str, String)>,
    facets: Vec<(&'static str, Vec<Narrower>)>,
    /// Where it is decided of all of them, for who may.
    decide: Option<(String, &'static str)>,
    /// The list of more or of less of it: an address and what it is called.
    other: Option<(String, &'static str)>,
    /// Name, heading, whether it is shown.
    columns: Vec<(&'static str, &'static str, bool)>,
}

async fn show(
    Viewer(visitor): Viewer,
    State(shared): State<Shared>,
    Question(mut choice): Question<Choice>,
    kind: Kind,
) -> Result<Response, Trouble> {
    choice.take_boxes(&visitor.path);
    choice.settle(kind, &visitor.path);
    let words = Lists::of(visitor.language);
    let path = format!("/{}", kind.as_str());
    let columns = choice.columns(kind);
    let (sort, direction) = choice.order(kind);
    let mut page = Page::new(&visitor, words.title(kind));
    let as_of = clock::now();
    let (query, wrong) = match shared.query(kind, &choice.q) {
        Ok(query) => (Some(query), None),
        Err(error) => {
            page = page.warning(words.wrong_query);
            (None, Some(Wrong::of(&choice.q, &error, visitor.language)))
        }
    };
    let (mut found, mut facets) = (ListPage { rows: Vec::new(), next: None, total: 0 }, Vec::new());
    if let Some(query) = &query {
        let _place = shared.lists().await?;
        let after = choice.after.as_deref();
        let size = choice.rows.unwrap_or(ROWS);
        let request = Request { query, sort, direction, after, size };
        found = columns::rows(&shared.store, &request, as_of).await?;
        facets = shared.store.facets(query, as_of).await?;
    }
    let saved = views::shortcuts(&shared, &visitor, kind, &choice).await?;
    let may_decide = visitor.may(Role::Approver);
    let cells = |row: &Row| {
        let cell = |column: &&Column| {
            let cell = (column.cell)(row, visitor.language);
            let link = columns::decide(row, column, &visitor.path).filter(|_| may_decide);
            Cell { link: link.or(cell.link), ..cell }
        };
        columns.iter().map(cell).collect()
    };
    let next = found.next.as_deref().map(|next| choice.address(&path, &[("after", Some(next))]));
    let first = choice.after.as_ref().map(|_| choice.address(&path, &[]));
    let export =
        |end: &'static str| (end, choice.address(&format!("/export/{}.{end}", kind.as_str()), &[]));
    let encoded_query = encoded(&choice.q);
    let decide = match kind {
        Kind::Assets => Some((format!("/decide?where={encoded_query}"), words.decide_all)),
        Kind::Software => {
            let address = format!("/decide?kind=software&where={encoded_query}");
            Some((address, words.decide_products))
        }
        _ => None,
    };
    // Of everything at once nobody decides.
    let is_narrow = !choice.q.trim().is_empty();
    let decide = decide.filter(|_| may_decide && found.total > 0 && is_narrow);
    let other = (kind == Kind::Findings)
        .then(|| match choice.is_whole {
            true => Some((choice.address(&path, &[("q", None)]), words.open_alone)),
            false if choice.q == OPEN => {
                Some((choice.address(&path, &[("q", Some(""))]), words.closed_too))
            }
            false => None,
        })
        .flatten();
    let template = ListTemplate {
        decide,
        fields: kind.fields().collect(),
        other,
        headings: columns
            .iter()
            .map(|one| heading(one, &choice, &path, words, sort, direction))
            .collect(),
        rows: found.rows.iter().map(cells).collect(),
        total: found.total,
        next,
        first,
        exports: ["csv", "xlsx"].map(export).to_vec(),
        facets: facets
            .into_iter()
            .map(|facet| narrowers(kind, facet, &choice, &path, visitor.language))
            .collect(),
        columns: columns::of(kind)
            .iter()
            .map(|one| (one.name, (one.heading)(words), columns.iter().any(|c| c.name == one.name)))
            .collect(),
        page,
        words,
        path,
        choice,
        kind: kind.as_str(),
        saved,
        wrong,
    };
    html(&template)
}

fn heading(
    column: &Column,
    choice: &Choice,
    path: &str,
    words: &Lists,
    sort: Sort,
    direction: Direction,
) -> Heading {
    let is_sorted = column.sort == Some(sort.name);
    let (sorted, minus) = match (is_sorted, direction) {
        (true, Direction::Up) => ("ascending", "-"),
        (true, Direction::Down) => ("descending", ""),
        (false, _) => ("", ""),
    };
    let address =
        column.sort.map(|name| choice.address(path, &[("sort", Some(&format!("{minus}{name}")))]));
    Heading { name: (column.heading)(words), address, sorted }
}

/// The values of a facet, each as the list with only that.
fn narrowers(
    kind: Kind,
    facet: Facet,
    choice: &Choice,
    path: &str,
    language: Language,
) -> (&'static str, Vec<Narrower>) {
    let narrower = |count: inventory::store::list::Count| {
        let term = format!("{}=\"{}\"", facet.field, count.value.replace('"', ""));
        let query = match choice.q.trim() {
            "" => term,
            query => format!("({query}) and {term}"),
        };
        let address = choice.address(path, &[("q", Some(&query))]);
        // The query asks by the word itself.
        let value = shown(&language.value(kind, facet.field, &count.value));
        Narrower { value, count: count.count, address }
    };
    // What has no value cannot be asked for by it.
    let values = facet.values.into_iter().filter(|count| !count.value.is_empty()).take(12);
    (Lists::of(language).field(facet.field), values.map(narrower).collect())
}

impl Wrong {
    pub(super) fn because(why: impl Into<String>) -> Self {
        let [before, part, after] = [const { String::new() }; 3];
        Self { before, part, after, why: why.into() }
    }

    pub(super) fn of(text: &str, error: &QueryError, language: Language) -> Self {
        let part = |range: std::ops::Range<usize>| shown(text.get(range).unwrap_or_default());
        let (start, end) = (error.range.start, error.range.end);
        // Where something is missing at the end, its place is shown.
        let wrong = part(start..end);
        Self {
            before: part(0..start),
            part: if wrong.is_empty() { "…".to_owned() } else { wrong },
            after: part(end..text.len()),
            why: shown(&language.query_error(error)),
        }
    }
}

#[cfg(test)]
mod tests;
