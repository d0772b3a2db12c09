//! Who may do what: users and keys of the API, for admins.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use inventory::user::{
    Role, Scope, ScopeError, check_name, check_password, check_scopes, token_hash,
};
use model::Timestamp;

use super::{
    Scarce, Shared,
    asked::Path,
    blank::{Attributes, Blank, Field, NAME, Problems},
    certificates::calendar_path,
    cookie,
    language::Language,
    page::{Moment, Page, html_as, shown, to},
    password,
    routes::{Route, get, post},
    sign::acting,
    trouble::Trouble,
    visit::{Admin, Form, Visitor},
    words::{Words, words},
    works::computed,
};
use crate::clock;

words! {
    /// The texts of users and keys.
    Texts {
        last_signed_in: "Last signed in", "最終サインイン";
        password_set: "Password set", "パスワード設定日";
        set_role: "Set", "設定";
        disable: "Disable", "無効化";
        enable: "Enable", "有効化";
        disabled: "disabled", "無効";
        end_sessions: "End sessions", "セッションを終了";
        from: "From", "認証元";
        here: "here, by password", "このページ(パスワード)";
        follows: "follows from the provider", "認証基盤に従う";
        remove: "Remove", "削除";
        sure: "Remove it?", "削除しますか?";
        add_user: "Add a user", "ユーザーの追加";
        set_password: "Set a new password", "新しいパスワードの設定";
        add: "Add", "追加";
        bad_name: "A name has up to 64 of the letters a-z, A-Z, 0-9 and . _ - @", "名前には半角の英数字と . _ - @ を64文字まで使えます。";
        no_role: "Choose what the user may do.", "役割を選んでください。";
        tokens: "Keys of the API", "API トークン";
        scopes: "Opens", "範囲";
        made: "Made", "作成";
        by: "By", "作成者";
        ends: "Ends", "有効期限";
        over: "over", "期限切れ";
        days: "For how many days (1 to 3650)", "有効日数(1~3650)";
        no_scope: "A key opens something: choose a scope.", "範囲を選択してください。";
        calendar_alone: "A key for calendars opens nothing else: it stands in an address that other programs keep.", "calendar は他の範囲と併用できません。他のプログラムが保存するアドレスに含まれるためです。";
        calendar_at: "A program fetches the calendar with it at this address, which is as secret as the key:", "このアドレスからカレンダーを取得できます。トークンと同じく秘密にしてください:";
        add_token: "Make a key", "トークンの作成";
        shown_once: "This key is shown only now:", "このトークンは今回だけ表示されます:";
    }
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        get("/users", list),
        post("/users", add),
        post("/users/{name}/role", set_role),
        post("/users/{name}/password", set_password),
        post("/users/{name}/disable", disable),
        post("/users/{name}/enable", enable),
        post("/users/{name}/sessions", end_sessions),
        post("/users/{name}/remove", remove),
        post("/tokens", add_token),
        post("/tokens/{name}/remove", remove_token),
    ]
}

struct Row {
    name: String,
    role: Role,
    signed_in: Option<Moment>,
    password: Option<Moment>,
    is_disabled: bool,
    /// Issuer, subject, and what it says that people call the person.
    from: Option<[String; 3]>,
}

struct Key {
    name: String,
    scopes: String,
    made: Moment,
    by: String,
    ends: Option<Moment>,
    is_over: bool,
    used: Option<Moment>,
}

#[derive(Template)]
#[template(path = "users.html")]
struct List {
    page: Page,
    texts: &'static Texts,
    rows: Vec<Row>,
    keys: Vec<Key>,
    roles: [Role; 4],
    scopes: [Scope; 6],
    new_token: String,
    /// Where a program fetches the calendar with it.
    calendar: Option<String>,
    add: Blank,
}

/// The form for a new user.
fn blank(language: Language) -> Blank {
    let words = Words::of(language);
    let texts = Texts::of(language);
    let name = |role: Role| (role.to_string(), words.role_name(role).to_owned());
    let fields = vec![
        Field::text("name", words.name).with(NAME),
        Field::choice("role", words.role, Role::ALL.map(name)),
        Field::password("password", words.new_password).with(NEW_PASSWORD),
    ];
    Blank::new("add-user", "/users", texts.add, fields)
}

const NEW_PASSWORD: Attributes = &[
    ("autocomplete", "new-password"),
    ("minlength", "12"),
    ("maxlength", "128"),
    ("required", ""),
];

fn page(visitor: &Visitor) -> Page {
    Page::new(visitor, Words::of(visitor.language).users)
}

async fn list(Admin(visitor): Admin, State(shared): State<Shared>) -> Result<Response, Trouble> {
    let add = blank(visitor.language);
    show(&shared, &visitor, (String::new(), None), (add, StatusCode::OK)).await
}

async fn show(
    shared: &Shared,
    visitor: &Visitor,
    (new_token, calendar): (String, Option<String>),
    (add, status): (Blank, StatusCode),
) -> Result<Response, Trouble> {
    let now = clock::now();
    let users = shared.store.users().await?.into_iter().map(|user| Row {
        role: user.role,
        signed_in: user.signed_in_at.map(Moment::from),
        password: user.password_set().map(Moment::from),
        is_disabled: user.disabled_at.is_some(),
        from: user
            .identity
            .map(|from| [from.issuer, from.subject, from.called].map(|of| shown(&of))),
        name: user.name,
    });
    let keys = shared.store.api_tokens().await?.into_iter().map(|key| Key {
        is_over: key.is_expired(now),
        scopes: key.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(", "),
        name: key.name,
        made: key.created_at.into(),
        by: key.created_by,
        ends: key.expires_at.map(Moment::from),
        used: key.used_at.map(Moment::from),
    });
    let page = page(visitor);
    let page = if status == StatusCode::OK { page } else { page.asking_again() };
    html_as(
        status,
        &List {
            page,
            texts: Texts::of(visitor.language),
            rows: users.collect(),
            keys: keys.collect(),
            roles: Role::ALL,
            scopes: Scope::ALL,
            new_token,
            calendar,
            add,
        },
    )
}

pub(super) fn invalid(error: impl ToString) -> Trouble {
    Trouble::Invalid(error.to_string())
}

/// The hash of a new password, made in a thread of its own, at a place for that.
pub(super) async fn hash(
    shared: &Shared,
    language: Language,
    name: &str,
    given: &str,
) -> Result<String, Trouble> {
    let wrong = |error| Trouble::Invalid(language.password_error(error));
    check_password(name, given).map_err(wrong)?;
    let given = given.to_owned();
    let _place = shared.place(Scarce::Passwords).await?;
    Ok(computed(move || password::hash(&given)).await??)
}

async fn add(
    Admin(visitor): Admin,
    State(shared): State<Shared>,
    Form(fields): Form,
) -> Result<Response, Trouble> {
    let (language, texts) = (visitor.language, Texts::of(visitor.language));
    let again = async |problems, status| {
        let blank = blank(language).filled(&fields).with(problems);
        show(&shared, &visitor, (String::new(), None), (blank, status)).await
    };
    let mut problems = Problems::default();
    let name = fields.text("name");
    if check_name(name).is_err() {
        problems.add("name", texts.bad_name);
    }
    let role = fields.text("role").parse::<Role>();
    if role.is_err() {
        problems.add("role", texts.no_role);
    }
    if let Err(error) = check_password(name, fields.exact("password")) {
        problems.add("password", language.password_error(error));
    }
    let Some(role) = role.ok().filter(|_| problems.is_empty()) else {
        return again(problems, StatusCode::UNPROCESSABLE_ENTITY).await;
    };
    let hash = hash(&shared, language, name, fields.exact("password")).await?;
    let added = acting(&shared, &visitor).add_user(name, role, &hash, clock::now()).await;
    match added.map_err(Trouble::from) {
        Ok(_) => Ok(to("/users")),
        Err(trouble) => match trouble.mendable(language) {
            Some(why) => again(Problems::of("name", why), trouble.status()).await,
            None => Err(trouble),
        },
    }
}

async fn set_role(
    Admin(visitor): Admin,
    State(shared): State<Shared>,
    Path(name): Path<String>,
    Form(fields): Form,
) -> Result<Response, Trouble> {
    let role: Role = fields.text("role").parse().map_err(invalid)?;
    acting(&shared, &visitor).set_role(&name, role, clock::now()).await?;
    Ok(to("/users"))
}

async fn set_password(
    Admin(visitor): Admin,
    State(shared): State<Shared>,
    Path(name): Path<String>,
    Form(fields): Form,
) -> Result<Response, Trouble> {
    let hash = hash(&shared, visitor.language, &name, fields.exact("password")).await?;
    acting(&shared, &visitor).set_password(&name, &hash, None, clock::now()).await?;
    Ok(to("/users"))
}

async fn disable(
    Admin(visitor): Admin,
    State(shared): State<Shared>,
    Path(name): Path<String>,
    _: Form,
) -> Result<Response, Trouble> {
    acting(&shared, &visitor).set_disabled(&name, true, clock::now()).await?;
    Ok(to("/users"))
}

async fn enable(
    Admin(visitor): Admin,
    State(shared): State<Shared>,
    Path(name): Path<String>,
    _: Form,
) -> Result<Response, Trouble> {
    acting(&shared, &visitor).set_disabled(&name, false, clock::now()).await?;
    Ok(to("/users"))
}

async fn end_sessions(
    Admin(visitor): Admin,
    State(shared): State<Shared>,
    Path(name): Path<String>,
    _: Form,
) -> Result<Response, Trouble> {
    end_all(&shared, &visitor, &name).await?;
    Ok(to("/users"))
}

/// Ends every session of somebody, one's own too where one is that.
pub(super) async fn end_all(shared: &Shared, visitor: &Visitor, name: &str) -> Result<(), Trouble> {
    let (user, _) = shared.store.user(name).await?.ok_or(Trouble::NotFound)?;
    acting(shared, visitor).end_sessions(&user, None, clock::now()).await?;
    Ok(())
}

async fn remove(
    Admin(visitor): Admin,
    State(shared): State<Shared>,
    Path(name): Path<String>,
    _: Form,
) -> Result<Response, Trouble> {
    acting(&shared, &visitor).remove_user(&name, clock::now()).await?;
    Ok(to("/users"))
}

async fn add_token(
    Admin(visitor): Admin,
    State(shared): State<Shared>,
    Form(fields): Form,
) -> Result<Response, Trouble> {
    let scopes: Result<Vec<Scope>, _> = fields.all("scope").map(str::parse).collect();
    let days: i64 = fields.text("days").parse().map_err(invalid)?;
    let scopes = scopes.map_err(invalid)?;
    let key = new_token(&shared, &visitor, fields.text("name"), scopes, days).await?;
    let calendar = key.calendar.map(|path| format!("{}{path}", page_address(&shared)));
    let add = blank(visitor.language);
    show(&shared, &visitor, (key.token, calendar), (add, StatusCode::OK)).await
}

/// Where the page is for other programs, as far as somebody said so.
fn page_address(shared: &Shared) -> &str {
    shared.settings.sender.page.as_deref().unwrap_or_default().trim_end_matches('/')
}

/// A key that was just made.
pub(super) struct NewKey {
    pub(super) token: String,
    pub(super) end: Timestamp,
    /// The path of the calendar, where it is for that.
    pub(super) calendar: Option<String>,
}

/// Makes a key of the API, which is told here and never again.
pub(super) async fn new_token(
    shared: &Shared,
    visitor: &Visitor,
    name: &str,
    scopes: Vec<Scope>,
    days: i64,
) -> Result<NewKey, Trouble> {
    let name = check_name(name).map_err(invalid)?;
    let texts = Texts::of(visitor.language);
    let scopes = check_scopes(scopes).map_err(|error| match error {
        ScopeError::Nothing => invalid(texts.no_scope),
        ScopeError::Calendar => invalid(texts.calendar_alone),
    })?;
    if !(1..=3_650).contains(&days) {
        return Err(invalid(texts.days));
    }
    let token = format!("daicho_{}", cookie::new_token()?);
    let now = clock::now();
    let end = now.plus_seconds(days.saturating_mul(86_400));
    let store = acting(shared, visitor);
    store.add_api_token(name, &token_hash(&token), &scopes, Some(end), now).await?;
    let is_calendar = scopes == [Scope::Calendar];
    Ok(NewKey { calendar: is_calendar.then(|| calendar_path(&token)), token, end })
}

async fn remove_token(
    Admin(visitor): Admin,
    State(shared): State<Shared>,
    Path(name): Path<String>,
    _: Form,
) -> Result<Response, Trouble> {
    acting(&shared, &visitor).remove_api_token(&name, clock::now()).await?;
    Ok(to("/users"))
}
