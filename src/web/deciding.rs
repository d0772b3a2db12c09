//! Deciding: the forms for it, filled in already where somebody comes from what it is about, and what
//! is said beside their fields where they cannot be used.

use std::collections::BTreeMap;

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use inventory::{
    approval::{Matter, Verdict},
    query::{Kind, fold},
    register::{Day, Reason},
    store::list::{Direction, LARGEST_PAGE, Request, Sort},
};
use model::Identifier;

use super::{
    Shared,
    asked::Question,
    blank::{Blank, Field, Problems, REQUIRED},
    decisions::{MOST, Texts, decided, known_by},
    language::Language,
    lists::address,
    page::{Page, html, html_as, own_path, shown, to},
    routes::{Route, get, post},
    trouble::Trouble,
    visit::{Approver, Fields, Form, Visitor},
};
use crate::{
    cli::{
        args::{About, AboutAsset, AboutIssuer, AboutSoftware, Days, Terms},
        decide::{self, NothingMatches, WrongCell},
    },
    clock,
    compose::Settings,
};

pub(super) fn routes() -> Vec<Route> {
    vec![get("/decide", ask), post("/decide", decide_it)]
}

/// Rows of software that are looked through for the products among them.
const LOOK: usize = 20_000;

/// What a decision is about, by the field `kind` of its form.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum What {
    Assets,
    Product,
    /// Several, each as a whole.
    Products,
    Issuer,
}

impl What {
    fn of(fields: &Fields) -> Self {
        match fields.text("kind") {
            "software" if fields.is_set("where") || fields.is_set("several") => Self::Products,
            "software" => Self::Product,
            "issuer" => Self::Issuer,
            _ => Self::Assets,
        }
    }
}

/// The form for a decision.
pub(super) fn blank(what: What, texts: &'static Texts) -> Blank {
    let mut fields = match what {
        What::Assets => vec![Field::text("idle", texts.idle).with(&[("pattern", "[0-9]+d")])],
        What::Product => vec![
            Field::text("product", texts.product).with(REQUIRED),
            Field::text("publisher", texts.publisher),
            Field::text("versions", texts.versions).with(&[("placeholder", ">= 9.2, < 10")]),
            Field::text("scope", texts.scope),
        ],
        What::Products => Vec::new(),
        What::Issuer => vec![
            Field::text("issuer", texts.issuer),
            Field::text("certificate", texts.certificate).with(&[("maxlength", "200")]),
            Field::text("key", texts.key).with(&[("maxlength", "200")]),
        ],
    };
    let verdicts = [
        ("", ""),
        ("approved", texts.approve),
        ("investigating", texts.investigate),
        ("rejected", texts.reject),
        ("retired", texts.retire),
    ];
    let verdicts = verdicts.map(|(value, name)| (value.to_owned(), name.to_owned()));
    fields.extend([
        Field::text("reason", texts.reason).with(REQUIRED),
        Field::day("until", texts.until),
        Field::tick("exception", texts.exception),
        Field::choice("verdict", texts.decide, verdicts).with(REQUIRED),
    ]);
    let (id, kind) = match what {
        What::Assets => ("of-assets", "asset"),
        What::Product | What::Products => ("of-software", "software"),
        What::Issuer => ("of-issuer", "issuer"),
    };
    let blank = Blank::new(id, "/decide", texts.decide, fields).hiding("kind", kind);
    if what == What::Products { blank.hiding("several", "1") } else { blank }
}

/// The form that asks for assets.
pub(super) fn search(texts: &'static Texts) -> Blank {
    let field = Field::text("where", texts.query).with(SEARCHED);
    Blank::new("search-assets", "/decide", texts.show_them, vec![field]).asking()
}

const SEARCHED: &[(&str, &str)] = &[
    ("required", ""),
    ("maxlength", "4096"),
    ("placeholder", "registration:unregistered and class:printer"),
];

/// Something that can be ticked: its value, what it is called, and what it would be known by.
struct Ticked {
    value: String,
    name: String,
    known_by: String,
}

#[derive(Template)]
#[template(path = "decide.html")]
struct Deciding {
    page: Page,
    texts: &'static Texts,
    /// What stands in the column of what is ticked: the name of the field.
    field: &'static str,
    ticked: Vec<Ticked>,
    search: Option<Blank>,
    blank: Option<Blank>,
    /// The list of what it would be about.
    list: Option<String>,
    four_eyes: bool,
}

/// Shows what it would be about, and asks what is decided of it.
async fn ask(
    Approver(visitor): Approver,
    State(shared): State<Shared>,
    Question(asked): Question<Vec<(String, String)>>,
) -> Result<Response, Trouble> {
    let fields = Fields::from(asked);
    let named = ["kind", "where", "asset"].iter().any(|name| fields.is_set(name));
    if !named {
        return Ok(to("/decisions"));
    }
    show(&shared, &visitor, &fields, Problems::default()).await
}

/// The form as it was asked for or filled in, with what is wrong with it.
async fn show(
    shared: &Shared,
    visitor: &Visitor,
    fields: &Fields,
    problems: Problems,
) -> Result<Response, Trouble> {
    let (language, texts) = (visitor.language, Texts::of(visitor.language));
    let what = What::of(fields);
    let is_wrong = !problems.is_empty();
    let found = match what {
        What::Assets => assets(shared, fields, language).await?,
        What::Products => products(shared, fields, language).await?,
        What::Product | What::Issuer => Ok(Vec::new()),
    };
    let page = Page::new(visitor, texts.decide);
    let four_eyes = shared.settings.rule == inventory::store::Rule::FourEyes;
    let field = if what == What::Assets { "asset" } else { "product" };
    let template = Deciding {
        page,
        texts,
        field,
        ticked: Vec::new(),
        search: None,
        blank: None,
        list: None,
        four_eyes,
    };
    let (template, is_wrong) = match found {
        Ok(ticked) => {
            let blank = blank(what, texts).filled(fields).with(problems);
            // The assets of a query are those that were shown, not those that fit it later.
            let blank = match fields.given("where").filter(|_| what == What::Products) {
                Some(query) => blank.hiding("where", shown(query)),
                None => blank,
            };
            let blank = match fields.given("back") {
                Some(back) => blank.hiding("back", shown(own_path(back))),
                None => blank,
            };
            let list = list(what, fields);
            (Deciding { ticked, blank: Some(blank), list, ..template }, is_wrong)
        }
        Err(problems) => {
            let search = match what {
                What::Products => search(texts).hiding("kind", "software"),
                _ => search(texts),
            };
            (Deciding { search: Some(search.filled(fields).with(problems)), ..template }, true)
        }
    };
    match is_wrong {
        false => html(&template),
        true => {
            let page = template.page.asking_again();
            html_as(StatusCode::UNPROCESSABLE_ENTITY, &Deciding { page, ..template })
        }
    }
}

/// Where what a form is about can be looked at.
fn list(what: What, fields: &Fields) -> Option<String> {
    let query = match what {
        What::Product => {
            let product = fields.given("product").filter(|name| !name.contains('"'))?;
            format!("product=\"{product}\"")
        }
        What::Products => fields.given("where")?.to_owned(),
        What::Assets | What::Issuer => return None,
    };
    Some(address("/software", &query))
}

/// The assets that somebody named or asked for.
async fn assets(
    shared: &Shared,
    fields: &Fields,
    language: Language,
) -> Result<Result<Vec<Ticked>, Problems>, Trouble> {
    let texts = Texts::of(language);
    let ids: Result<Vec<i64>, _> = fields.all("asset").map(|id| id.trim().parse()).collect();
    let Ok(ids) = ids else { return Err(Trouble::NotFound) };
    let query = fields.given("where").filter(|_| ids.is_empty()).map(str::to_owned);
    if let Some(text) = &query
        && let Err(error) = shared.query(Kind::Assets, text)
    {
        return Ok(Err(Problems::query("where", text, &error, language)));
    }
    if ids.is_empty() && query.is_none() {
        return Ok(Err(Problems::of("where", texts.none_named)));
    }
    let terms = Terms { reason: String::new(), until: None, exception: false };
    let known_as = Vec::new();
    let about = AboutAsset { ids, query, known_by: known_as, idle: None, dry_run: false, terms };
    let find = |shared: Shared| async move {
        match decide::assets(&shared.settings, &shared.store, &about).await {
            Ok(matters) => Ok(matters),
            Err(error) if error.is::<NothingMatches>() => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    };
    let matters = shared.look_apart(find).await?;
    let ticked = |matter: &Matter| {
        let value = matter.asset()?.0.to_string();
        let name = shown(&language.said(&matter.to_string()));
        Some(Ticked { value, name, known_by: known_by(matter, language) })
    };
    Ok(match matters.len() {
        0 => Err(Problems::of("where", texts.none_match)),
        number if number > MOST => Err(Problems::of("where", texts.too_many)),
        _ => Ok(matters.iter().filter_map(ticked).collect()),
    })
}

/// The products that somebody ticked, or those of the software that a query asks for.
async fn products(
    shared: &Shared,
    fields: &Fields,
    language: Language,
) -> Result<Result<Vec<Ticked>, Problems>, Trouble> {
    let texts = Texts::of(language);
    let ticked = |product: &str| {
        let (value, name) = (shown(product), shown(product));
        Ticked { value, name, known_by: String::new() }
    };
    let given: Vec<Ticked> = fields.all("product").map(ticked).collect();
    if !given.is_empty() {
        return Ok(Ok(given));
    }
    let Some(text) = fields.given("where") else {
        return Ok(Err(Problems::of("where", texts.none_named)));
    };
    let query = match shared.query(Kind::Software, text) {
        Ok(query) => query,
        Err(error) => return Ok(Err(Problems::query("where", text, &error, language))),
    };
    let _place = shared.lists().await?;
    let (mut found, mut looked): (BTreeMap<String, String>, usize) = (BTreeMap::new(), 0);
    let mut after: Option<String> = None;
    loop {
        let (sort, direction) = (Sort::usual(Kind::Software), Direction::Up);
        let at = after.as_deref();
        let request = Request { query: &query, sort, direction, after: at, size: LARGEST_PAGE };
        let page = shared.store.list_software(&request, clock::now()).await?;
        looked = looked.saturating_add(page.rows.len());
        for row in page.rows {
            let name = row.product.product;
            found.entry(fold(&name)).or_insert(name);
        }
        if found.len() > MOST || looked > LOOK {
            return Ok(Err(Problems::of("where", texts.too_many)));
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok(match found.is_empty() {
        true => Err(Problems::of("where", texts.none_match)),
        false => Ok(found.values().map(|name| ticked(name)).collect()),
    })
}

async fn decide_it(
    Approver(visitor): Approver,
    State(shared): State<Shared>,
    Form(fields): Form,
) -> Result<Response, Trouble> {
    let (verdict, about) = match read(&fields, visitor.language, &shared.settings) {
        Ok(read) => read,
        Err(problems) => return show(&shared, &visitor, &fields, problems).await,
    };
    match decided(&shared, &visitor, verdict, about).await {
        Ok(_) => Ok(to(match fields.given("back") {
            Some(back) => own_path(back),
            None => "/decisions",
        })),
        Err(trouble) => match trouble.mendable(visitor.language) {
            Some(why) => show(&shared, &visitor, &fields, Problems::whole(why)).await,
            None => Err(trouble),
        },
    }
}

/// What a form says, or what is wrong with it, in words of a form.
fn read(
    fields: &Fields,
    language: Language,
    settings: &Settings,
) -> Result<(Verdict, Vec<About>), Problems> {
    let (texts, mut problems) = (Texts::of(language), Problems::default());
    let given = |name: &str| fields.given(name).map(str::to_owned);
    let verdict = Verdict::from_name(fields.text("verdict"));
    let approves = verdict == Some(Verdict::Approved);
    if verdict.is_none() {
        problems.add("verdict", texts.verdict_missing);
    }
    if !fields.is_set("reason") {
        problems.add("reason", texts.reason_missing);
    }
    if let Err(why) = last_day(fields.text("until"), language, settings) {
        problems.add("until", why);
    }
    if fields.is_set("exception") && verdict.is_some() && !approves {
        problems.add("exception", texts.exception_to_what);
    }
    let terms = || Terms {
        reason: fields.text("reason").to_owned(),
        until: given("until"),
        exception: fields.is_set("exception"),
    };
    let product = |product: &str| AboutSoftware {
        product: product.to_owned(),
        publisher: given("publisher"),
        versions: given("versions"),
        scope: given("scope"),
        terms: terms(),
    };
    let about = match What::of(fields) {
        What::Product => {
            let about = product(fields.text("product"));
            if about.product.is_empty() {
                problems.add("product", texts.product_missing);
            } else if let Err(wrong) = decide::software(&about) {
                cell(&mut problems, &wrong, language);
            }
            vec![About::Software(about)]
        }
        What::Products => {
            let all = fields.all("product").map(str::trim).filter(|name| !name.is_empty());
            let all = all.map(|name| AboutSoftware {
                publisher: None,
                versions: None,
                scope: None,
                ..product(name)
            });
            all.map(About::Software).collect()
        }
        What::Issuer => {
            let about = AboutIssuer {
                name: given("issuer"),
                certificate: given("certificate"),
                key: given("key"),
                terms: terms(),
            };
            if let Err(wrong) = decide::issuer(&about) {
                cell(&mut problems, &wrong, language);
            }
            vec![About::Issuer(about)]
        }
        What::Assets => {
            let ids: Vec<i64> =
                fields.all("asset").filter_map(|id| id.trim().parse().ok()).collect();
            let idle = fields.given("idle").map(str::parse::<Days>);
            match &idle {
                Some(Err(_)) => problems.add("idle", texts.not_days),
                Some(Ok(_)) if verdict.is_some() && !approves => {
                    problems.add("idle", texts.idle_of_what);
                }
                _ => {}
            }
            let words = fields.text("known_by").split([',', ' ']).filter(|word| !word.is_empty());
            let known_by: Vec<String> = words.map(str::to_owned).collect();
            if known_by.iter().any(|kind| !Identifier::KINDS.contains(&kind.as_str())) {
                let kinds = Identifier::KINDS.join(", ");
                problems.add("known_by", format!("{} {kinds}", texts.unknown_kind));
            }
            if ids.is_empty() && !fields.is_set("where") {
                problems.add("", texts.none_ticked);
            }
            let (idle, query) = (idle.and_then(Result::ok), given("where"));
            // What is ticked was shown; the query was what it was found by.
            let query = query.filter(|_| ids.is_empty());
            let dry_run = false;
            vec![About::Asset(AboutAsset { ids, query, known_by, idle, dry_run, terms: terms() })]
        }
    };
    if about.is_empty() {
        problems.add("", texts.none_ticked);
    }
    match verdict {
        Some(verdict) if problems.is_empty() => Ok((verdict, about)),
        _ => Err(problems),
    }
}

/// The last day on which something holds, where one was given, or what is wrong with it.
pub(super) fn last_day(
    text: &str,
    language: Language,
    settings: &Settings,
) -> Result<Option<Day>, &'static str> {
    let texts = Texts::of(language);
    if text.is_empty() {
        return Ok(None);
    }
    let day: Day = text.parse().map_err(|_| texts.not_a_day)?;
    match day.ends_at(settings.policy.offset) <= clock::now() {
        true => Err(texts.day_over),
        false => Ok(Some(day)),
    }
}

/// What is wrong with a cell of an entry, beside the field that it came from.
fn cell(problems: &mut Problems, wrong: &WrongCell, language: Language) {
    let texts = Texts::of(language);
    let field = match wrong.heading.as_deref() {
        Some("product") => "product",
        Some("publisher") => "publisher",
        Some("version") => "versions",
        Some("scope") => "scope",
        Some("issuer") => "issuer",
        Some("certificate sha256") => "certificate",
        Some("key sha256") => "key",
        _ => "",
    };
    let (field, why) = match (&wrong.reason, language) {
        (Some(Reason::Nameless("product")), _) => ("product", texts.product_missing.to_owned()),
        (Some(Reason::Nameless(_)) | None, _) => ("issuer", texts.issuer_missing.to_owned()),
        (Some(reason), Language::English) => (field, shown(&reason.to_string())),
        (Some(Reason::NotVersionRule(_)), _) => (field, texts.not_versions.to_owned()),
        (Some(Reason::NotHash(_)), _) => (field, texts.not_hash.to_owned()),
        (Some(Reason::WeakHash(_)), _) => (field, texts.weak_hash.to_owned()),
        (Some(reason), _) => (field, format!("{} {}", texts.unusable, shown(&reason.to_string()))),
    };
    problems.add(field, why);
}
