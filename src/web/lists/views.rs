//! Lists as somebody wants to see them again: links above the list, and a page to name and remove
//! them.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use inventory::{
    query::Kind,
    store::{SavedView, View, list::Sort},
    user::{Role, User},
};

use super::{Choice, Shared, columns, words::Lists};
use crate::{
    clock,
    web::{
        asked::Path,
        blank::{Blank, Field, Problems},
        language::Language,
        page::{Page, html_as, shown, to},
        routes::{Route, get, post},
        sign::acting,
        trouble::Trouble,
        visit::{Fields, Form, Viewer, Visitor},
        words::words,
    },
};

words! {
    /// The texts of saved views.
    Texts {
        title: "Saved views", "保存した表示";
        save: "Save this view", "この表示を保存";
        manage: "Rename or remove", "名前の変更・削除";
        name: "Name", "名前";
        list: "List", "一覧";
        query: "Search", "検索条件";
        shared: "for everybody", "全員に共有";
        own: "for me", "自分用";
        by: "By", "作成者";
        rename: "Rename", "名前を変更";
        remove: "Remove", "削除";
        sure: "Remove this view?", "この表示を削除しますか?";
        none: "Nothing is saved: choose what a list shows, and save it above the list.", "保存した表示はありません。一覧の上から保存できます。";
        bad_name: "A view has a name of 1 to 64 letters.", "名前は1~64文字で入力してください。";
        no_list: "There is no such list: it is assets, services, software, certificates or findings.", "一覧は assets、services、software、certificates、findings のいずれかです。";
        no_order: "The list cannot be sorted by that: it can by", "この列では並べ替えできません。使える列:";
        no_column: "The list has no such column: it has", "この列はありません。使える列:";
        nobody: "Views belong to users.", "表示の保存にはユーザーが必要です。";
    }
}

/// The longest name, in letters.
const NAME: usize = 64;

pub(super) fn routes() -> Vec<Route> {
    vec![
        get("/views", list),
        post("/views", save),
        post("/views/{id}/rename", rename),
        post("/views/{id}/remove", remove),
    ]
}

/// A view as a link above its list.
pub(super) struct Shortcut {
    pub(super) name: String,
    pub(super) address: String,
    pub(super) is_current: bool,
    pub(super) is_shared: bool,
}

/// What is above a list.
pub(super) struct Shortcuts {
    pub(super) texts: &'static Texts,
    pub(super) links: Vec<Shortcut>,
    /// Whether the visitor may save for everybody.
    pub(super) may_share: bool,
}

/// The views of a list that somebody sees; `None` for who has none, such as a program.
pub(super) async fn shortcuts(
    shared: &Shared,
    visitor: &Visitor,
    kind: Kind,
    choice: &Choice,
) -> Result<Option<Shortcuts>, Trouble> {
    let Some(session) = visitor.session() else { return Ok(None) };
    let views = shared.store.views(&session.user).await?;
    let shortcut = |saved: SavedView| {
        let View { kind: of, name, query, sort, columns, is_shared } = saved.view;
        let same = |given: Option<&String>, saved: &str| given.map_or("", String::as_str) == saved;
        (of == kind).then(|| Shortcut {
            name: shown(&name),
            is_current: choice.q == query
                && same(choice.sort.as_ref(), &sort)
                && same(choice.columns.as_ref(), &columns),
            address: address(kind, &query, &sort, &columns),
            is_shared,
        })
    };
    Ok(Some(Shortcuts {
        texts: Texts::of(visitor.language),
        links: views.into_iter().filter_map(shortcut).collect(),
        may_share: visitor.may(Role::Operator),
    }))
}

fn address(kind: Kind, query: &str, sort: &str, columns: &str) -> String {
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let choice = Choice {
        q: query.to_owned(),
        is_whole: kind == Kind::Findings,
        sort: given(sort),
        columns: given(columns),
        ..Choice::default()
    };
    choice.address(&format!("/{}", kind.as_str()), &[])
}

struct Row {
    id: i64,
    list: &'static str,
    name: String,
    address: String,
    query: String,
    is_shared: bool,
    by: String,
    may_change: bool,
    /// What is wrong with the name that somebody gave.
    wrong: Option<String>,
}

#[derive(Template)]
#[template(path = "views.html")]
struct Views {
    page: Page,
    texts: &'static Texts,
    rows: Vec<Row>,
    /// The form for a new one, where that could not be saved.
    blank: Option<Blank>,
}

/// The name that somebody gave, and why it is none: of a view that is there, or of a new one.
enum Wrong {
    Rename(i64, String, String),
    Save(Box<Blank>),
}

fn user(visitor: &Visitor) -> Result<&User, Trouble> {
    let texts = Texts::of(visitor.language);
    let session = visitor.session();
    session.map(|session| &session.user).ok_or_else(|| Trouble::Invalid(texts.nobody.to_owned()))
}

async fn list(Viewer(visitor): Viewer, State(shared): State<Shared>) -> Result<Response, Trouble> {
    show(&shared, &visitor, None, StatusCode::OK).await
}

async fn show(
    shared: &Shared,
    visitor: &Visitor,
    wrong: Option<Wrong>,
    status: StatusCode,
) -> Result<Response, Trouble> {
    let texts = Texts::of(visitor.language);
    let words = Lists::of(visitor.language);
    let user = user(visitor)?;
    let mut page = Page::new(visitor, texts.title);
    if wrong.is_some() {
        page = page.asking_again();
    }
    let (renamed, blank) = match wrong {
        Some(Wrong::Rename(id, name, why)) => (Some((id, name, why)), None),
        Some(Wrong::Save(blank)) => (None, Some(*blank)),
        None => (None, None),
    };
    let row = |saved: SavedView| {
        let may_change = may_change(&saved, user);
        let View { kind, name, query, sort, columns, is_shared } = saved.view;
        Row {
            id: saved.id,
            list: words.title(kind),
            name: shown(&name),
            address: address(kind, &query, &sort, &columns),
            query: shown(&query),
            is_shared,
            by: shown(saved.owner.as_deref().unwrap_or_default()),
            may_change,
            wrong: None,
        }
    };
    let mut rows: Vec<Row> = shared.store.views(user).await?.into_iter().map(row).collect();
    if let Some((id, name, why)) = renamed {
        let Some(row) = rows.iter_mut().find(|row| row.id == id && row.may_change) else {
            return Err(Trouble::NotFound);
        };
        (row.name, row.wrong) = (shown(&name), Some(why));
    }
    html_as(status, &Views { page, texts, rows, blank })
}

/// A name that a view can have.
pub(in crate::web) fn view_name(name: &str, language: Language) -> Result<String, Trouble> {
    let is_not = || Trouble::Invalid(Texts::of(language).bad_name.to_owned());
    named(name).ok_or_else(is_not)
}

/// A name; `None` for one that a view cannot have.
fn named(name: &str) -> Option<String> {
    let name = name.trim();
    let is_one = (1..=NAME).contains(&name.chars().count()) && shown(name) == name;
    is_one.then(|| name.to_owned())
}

/// The form for a view of what a list showed, as somebody filled it in.
fn blank(fields: &Fields, visitor: &Visitor, texts: &'static Texts, why: String) -> Blank {
    let name = Field::text("name", texts.name).with(&[("required", ""), ("maxlength", "64")]);
    let all = match visitor.may(Role::Operator) {
        true => vec![name, Field::tick("shared", texts.shared)],
        false => vec![name],
    };
    let hidden = ["list", "q", "sort", "columns"];
    let blank = Blank::new("save-view", "/views", texts.save, all).filled(fields);
    let blank = hidden.into_iter().fold(blank, |blank, name| {
        let text = shown(fields.text(name));
        if text.is_empty() { blank } else { blank.hiding(name, text) }
    });
    blank.with(Problems::of("name", why))
}

/// Where the list is as it was saved.
pub(in crate::web) fn view_address(view: &View) -> String {
    address(view.kind, &view.query, &view.sort, &view.columns)
}

/// Whether a user may rename and remove a view.
pub(in crate::web) fn may_change(saved: &SavedView, user: &User) -> bool {
    let is_own = saved.owner.as_ref() == Some(&user.name);
    match saved.view.is_shared {
        true => user.role == Role::Admin || (is_own && user.role >= Role::Operator),
        false => is_own,
    }
}

/// An order as it is kept: "" for the usual one. `None` where the list has no such.
pub(in crate::web) fn known_order(kind: Kind, sort: &str) -> Option<String> {
    let name = sort.trim_start_matches('-');
    (sort.is_empty() || Sort::from_name(kind, name).is_some()).then(|| sort.to_owned())
}

/// Columns as they are kept, in the order of the list; or the one that it does not have.
pub(in crate::web) fn known_columns(kind: Kind, wanted: &[String]) -> Result<String, String> {
    let all: Vec<&str> = columns::of(kind).iter().map(|column| column.name).collect();
    match wanted.iter().find(|name| !all.contains(&name.as_str())) {
        Some(unknown) => Err(unknown.clone()),
        None => {
            let chosen = all.into_iter().filter(|name| wanted.iter().any(|one| one == name));
            Ok(chosen.collect::<Vec<_>>().join(","))
        }
    }
}

/// That nobody is there whose views they would be.
pub(in crate::web) fn no_user(language: Language) -> Trouble {
    Trouble::Invalid(Texts::of(language).nobody.to_owned())
}

pub(in crate::web) fn no_list(name: &str, language: Language) -> Trouble {
    Trouble::Invalid(format!("{name:?}: {}", Texts::of(language).no_list))
}

pub(in crate::web) fn no_order(kind: Kind, name: &str, language: Language) -> Trouble {
    let all: Vec<&str> = Sort::of(kind).map(|sort| sort.name).collect();
    Trouble::Invalid(format!("{name:?}: {} {}", Texts::of(language).no_order, all.join(", ")))
}

pub(in crate::web) fn no_column(kind: Kind, name: &str, language: Language) -> Trouble {
    let all: Vec<&str> = columns::of(kind).iter().map(|column| column.name).collect();
    Trouble::Invalid(format!("{name:?}: {} {}", Texts::of(language).no_column, all.join(", ")))
}

async fn save(
    Viewer(visitor): Viewer,
    State(shared): State<Shared>,
    Form(fields): Form,
) -> Result<Response, Trouble> {
    let texts = Texts::of(visitor.language);
    let user = user(&visitor)?;
    let kind = Kind::from_name(fields.text("list")).ok_or(Trouble::NotFound)?;
    let is_shared = fields.is_set("shared");
    if is_shared && !visitor.may(Role::Operator) {
        return Err(Trouble::Role(Role::Operator));
    }
    let query = fields.text("q").to_owned();
    shared.query(kind, &query)?;
    // What the list would not understand is not kept.
    let sort = fields.text("sort");
    let known = |name: &&str| columns::of(kind).iter().any(|column| column.name == *name);
    let wanted = fields.text("columns").split(',').filter(known);
    let wanted: Vec<String> = wanted.map(str::to_owned).collect();
    let again = async |why: String, status| {
        let blank = blank(&fields, &visitor, texts, why);
        show(&shared, &visitor, Some(Wrong::Save(Box::new(blank))), status).await
    };
    let Some(name) = named(fields.text("name")) else {
        return again(texts.bad_name.to_owned(), StatusCode::UNPROCESSABLE_ENTITY).await;
    };
    let view = View {
        is_shared,
        kind,
        name,
        query,
        sort: known_order(kind, sort).unwrap_or_default(),
        columns: known_columns(kind, &wanted).unwrap_or_default(),
    };
    let saved = acting(&shared, &visitor).save_view(user, &view, clock::now()).await;
    if let Err(trouble) = saved.map_err(Trouble::from) {
        return match trouble.mendable(visitor.language) {
            Some(why) => again(why, trouble.status()).await,
            None => Err(trouble),
        };
    }
    Ok(to(&address(kind, &view.query, &view.sort, &view.columns)))
}

async fn rename(
    Viewer(visitor): Viewer,
    State(shared): State<Shared>,
    Path(id): Path<i64>,
    Form(fields): Form,
) -> Result<Response, Trouble> {
    let again = async |why: String, status| {
        let wrong = Wrong::Rename(id, fields.text("name").to_owned(), why);
        show(&shared, &visitor, Some(wrong), status).await
    };
    let Some(name) = named(fields.text("name")) else {
        let why = Texts::of(visitor.language).bad_name.to_owned();
        return again(why, StatusCode::UNPROCESSABLE_ENTITY).await;
    };
    let store = acting(&shared, &visitor);
    match store.rename_view(user(&visitor)?, id, &name, clock::now()).await.map_err(Trouble::from) {
        Ok(_) => Ok(to("/views")),
        Err(trouble) => match trouble.mendable(visitor.language) {
            Some(why) => again(why, trouble.status()).await,
            None => Err(trouble),
        },
    }
}

async fn remove(
    Viewer(visitor): Viewer,
    State(shared): State<Shared>,
    Path(id): Path<i64>,
    _: Form,
) -> Result<Response, Trouble> {
    acting(&shared, &visitor).remove_view(user(&visitor)?, id, clock::now()).await?;
    Ok(to("/views"))
}
