//! The entries of a register: looked through, searched, and for devices where each was seen.

use std::collections::HashMap;

use askama::Template;
use axum::{extract::State, response::Response};
use inventory::{
    query::{Kind, fold},
    register::{Column, DeviceEntry, Entry, IssuerEntry, RegisterKind, SoftwareEntry, columns},
    store::list::SeenEntry,
};

use super::{
    Scarce, Shared,
    asked::{Path, Question},
    language::Language,
    lists::address,
    page::{Moment, Page, encoded, html, shown},
    registers::Texts as Registers,
    routes::{Route, get},
    trouble::Trouble,
    visit::{Fields, Viewer},
    words::words,
    works::computed,
};

words! {
    /// The texts of entries.
    Texts {
        search: "Search", "検索";
        total: "in all", "件";
        nothing: "Nothing matches.", "該当なし。";
        not_there: "This register was not imported.", "この台帳は取り込まれていません。";
        seen: "Seen", "検出状況";
        never: "never seen", "未検出";
        found: "Where it is", "使用箇所";
        all: "Registers", "台帳";
        next: "Next page", "次のページ";
        first: "First page", "最初のページ";
    }
}

pub(super) fn routes() -> Vec<Route> {
    vec![get("/registers/{kind}", look)]
}

/// Entries of a page, and the longest cell that is shown of one.
const ROWS: usize = 100;
const CELL: usize = 300;

/// What a column is called, as registers in that language have it.
pub(super) fn heading(column: &Column, language: Language) -> &'static str {
    let all = column.headings.iter();
    let own = all.clone().find(|one| language == Language::Japanese && !one.is_ascii());
    own.or_else(|| all.clone().next()).copied().unwrap_or_default()
}

/// An asset that an entry was seen as.
struct Seen {
    address: String,
    name: String,
    registration: String,
    at: Moment,
}

struct Row {
    cells: Vec<String>,
    seen: Vec<Seen>,
    /// The list of what an entry is about.
    list: Option<String>,
}

#[derive(Template)]
#[template(path = "entries.html")]
struct Entries {
    page: Page,
    texts: &'static Texts,
    path: String,
    query: String,
    is_there: bool,
    is_device: bool,
    headings: Vec<String>,
    rows: Vec<Row>,
    total: usize,
    first: Option<String>,
    next: Option<String>,
}

/// A part of a register that somebody asked for.
#[derive(Default)]
struct Part {
    is_there: bool,
    headings: Vec<String>,
    /// What an entry is called, and its cells.
    rows: Vec<(String, Vec<String>)>,
    total: usize,
    is_more: bool,
}

async fn look(
    Viewer(visitor): Viewer,
    State(shared): State<Shared>,
    Path(kind): Path<String>,
    Question(asked): Question<Vec<(String, String)>>,
) -> Result<Response, Trouble> {
    let kind: RegisterKind = kind.parse().map_err(|_| Trouble::NotFound)?;
    let (language, texts) = (visitor.language, Texts::of(visitor.language));
    let fields = Fields::from(asked);
    let query = fields.text("q").to_owned();
    // What is no number is the first page: links grow old.
    let number: usize = fields.text("page").parse().unwrap_or_default();
    let wanted = (query.clone(), number, language);
    // The whole register is in memory for it.
    let place = shared.place(Scarce::Searches).await?;
    let part = match kind {
        RegisterKind::Device => part::<DeviceEntry>(&shared, wanted).await?,
        RegisterKind::Software => part::<SoftwareEntry>(&shared, wanted).await?,
        RegisterKind::Issuer => part::<IssuerEntry>(&shared, wanted).await?,
    };
    drop(place);
    let seen = match kind {
        RegisterKind::Device => {
            drop(shared.lists().await?);
            let references: Vec<String> = part.rows.iter().map(|(name, _)| name.clone()).collect();
            shared.store.seen_entries(&references).await?
        }
        _ => HashMap::new(),
    };
    let row = |(name, cells): &(String, Vec<String>)| Row {
        cells: cells.iter().map(|text| shown(text)).collect(),
        seen: seen.get(name).into_iter().flatten().map(|one| Seen::of(one, language)).collect(),
        list: list(kind, name),
    };
    let path = format!("/registers/{kind}");
    let page_of = |number: usize| match number {
        0 => format!("{path}?q={}", encoded(&query)),
        number => format!("{path}?q={}&page={number}", encoded(&query)),
    };
    html(&Entries {
        page: Page::new(&visitor, Registers::of(language).kind_name(kind)),
        texts,
        is_there: part.is_there,
        is_device: kind == RegisterKind::Device,
        headings: part.headings.iter().map(|text| shown(text)).collect(),
        rows: part.rows.iter().map(row).collect(),
        total: part.total,
        first: (number > 0).then(|| page_of(0)),
        next: part.is_more.then(|| page_of(number.saturating_add(1))),
        query: shown(&query),
        path,
    })
}

impl Seen {
    fn of(one: &SeenEntry, language: Language) -> Self {
        Self {
            address: format!("/assets/{}", one.asset),
            name: shown(&format!("{} ({})", one.asset, one.site)),
            registration: language.value(Kind::Assets, "registration", &one.registration),
            at: one.last_seen.into(),
        }
    }
}

/// Where what an entry names is listed. A quotation mark cannot be asked for.
fn list(kind: RegisterKind, name: &str) -> Option<String> {
    let (list, field) = match kind {
        RegisterKind::Device => return None,
        RegisterKind::Software => ("/software", "product"),
        RegisterKind::Issuer => ("/certificates", "issuer"),
    };
    (!name.contains('"')).then(|| address(list, &format!("{field}~\"{name}\"")))
}

/// The page of that number of the entries in which every word of a search stands somewhere.
async fn part<E: Entry + Send + 'static>(
    shared: &Shared,
    (query, number, language): (String, usize, Language),
) -> Result<Part, Trouble> {
    let Some(register) = shared.store.register::<E>().await? else { return Ok(Part::default()) };
    // A register may have a hundred thousand entries.
    computed(move || {
        let words: Vec<String> = query.split_whitespace().map(fold).collect();
        let fits = |cells: &[String]| {
            let text = fold(&cells.join(" "));
            words.iter().all(|word| text.contains(word.as_str()))
        };
        let all = register.entries.iter().map(|entry| (entry.label(), cells(entry)));
        let found: Vec<_> = all.filter(|(_, cells)| fits(cells)).collect();
        let begin = number.saturating_mul(ROWS);
        let is_more = found.len() > begin.saturating_add(ROWS);
        let total = found.len();
        let rows: Vec<_> = found.into_iter().skip(begin).take(ROWS).collect();
        // A column in which nothing stands on the page is left out; so are those of other entries.
        let headings: Vec<&str> =
            columns(E::KIND).iter().map(|one| heading(one, language)).collect();
        let used: Vec<usize> = (0..headings.len())
            .filter(|at| {
                rows.iter().any(|(_, cells)| cells.get(*at).is_some_and(|c| !c.is_empty()))
            })
            .collect();
        let some = |cells: &[String]| {
            let cell = |at: &usize| cells.get(*at).cloned().unwrap_or_default();
            used.iter().map(cell).collect::<Vec<_>>()
        };
        Part {
            is_there: true,
            headings: used
                .iter()
                .filter_map(|at| headings.get(*at))
                .map(ToString::to_string)
                .collect(),
            rows: rows.iter().map(|(name, cells)| (name.clone(), some(cells))).collect(),
            total,
            is_more,
        }
    })
    .await
}

/// What stands in an entry, in the order of the columns.
fn cells<E: Entry>(entry: &E) -> Vec<String> {
    let cut = |text: &str| {
        let text = text.replace('\n', ", ");
        match text.char_indices().nth(CELL).and_then(|(at, _)| text.get(..at)) {
            Some(start) => format!("{start}…"),
            None => text,
        }
    };
    entry.cells().iter().map(|(_, text)| cut(text)).collect()
}
