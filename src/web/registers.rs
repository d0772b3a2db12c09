//! The organisation's registers: which there are, an upload with a preview of what it would change,
//! and what it changes once somebody confirms it; and out again.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use askama::Template;
use axum::{
    body::Bytes,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use inventory::{
    approval,
    register::{
        self, DeviceEntry, Entry, Form as FileForm, Import, IssuerEntry, Place, ReadError,
        RegisterDiff, RegisterKind, SoftwareEntry,
    },
    store::{RegisterSource, Replaces, Store, StoreError},
    user::Role,
};

use super::{
    Shared,
    asked::{Path, Question},
    blank::{Blank, Field, Problems},
    cookie,
    language::Language,
    page::{Moment, Page, encoded, html, html_as, shown, to},
    routes::{Route, get, post},
    sign::acting,
    trouble::Trouble,
    visit::{Approver, Fields, Form, Upload, Viewer, Visitor},
    words::{Words, words},
    works::computed,
};
use crate::clock;

words! {
    /// The texts of registers.
    Texts {
        device: "Devices", "機器";
        software: "Software", "ソフトウェア";
        issuer: "Issuers of certificates", "証明書の発行者";
        register: "Register", "台帳";
        entries: "Entries", "件数";
        imported: "Imported", "取り込み日時";
        from: "From", "ファイル";
        export: "Export", "エクスポート";
        not_there: "none was imported", "未登録";
        upload: "Replace a register by a file", "ファイルで台帳を置き換える";
        file: "File (CSV, .xlsx, .xls, .ods)", "ファイル(CSV、.xlsx、.xls、.ods)";
        sheet: "Sheet (where there are several)", "シート(複数ある場合)";
        heading: "Row of the headings (where it is not found)", "見出しの行(自動で見つからない場合)";
        preview: "Show what it would change", "変更内容を確認";
        preview_title: "What would change", "変更内容";
        added: "Added", "追加";
        changed: "Changed", "変更";
        removed: "Removed", "削除";
        unchanged: "Unchanged", "変更なし";
        field: "Field", "項目";
        before: "Before", "変更前";
        after: "After", "変更後";
        problems: "Lines that are not taken over", "取り込めない行";
        warnings: "Worth a look", "確認が必要な行";
        unknown: "Columns that are kept but not understood", "解釈できない列(そのまま保持)";
        overruled: "A decision goes before", "承認が優先される項目";
        sheet_read: "Sheet, row of the headings", "シート、見出しの行";
        confirm: "Replace the register", "台帳を置き換える";
        no_kind: "Choose a register.", "台帳を選んでください。";
        no_line: "This is no number of a row.", "行番号を数字で入力してください。";
        no_file: "Choose a file in which something stands.", "内容のあるファイルを選んでください。";
        no_workbook: "This is a text, which has no sheets: leave this empty.", "シートのないテキストファイルです。空欄にしてください。";
        no_sheet: "There is no such sheet. There are:", "そのシートはありません。あるシート:";
        several_sheets: "Several sheets look like this register. Name one of:", "該当するシートが複数あります。次のいずれかを指定してください:";
        no_heading_there: "This row has no headings of the register, such as", "その行に台帳の見出しがありません。見出しの例:";
        no_heading: "No row has headings of the register, such as a column called", "台帳の見出しの行が見つかりません。必要な列の例:";
        not_read: "This file cannot be read:", "ファイルを読み込めません:";
        gone: "The file is here no more. Upload it again.", "ファイルの保持期限が切れました。もう一度アップロードしてください。";
        other_now: "The register was changed meanwhile. Look again at what would change.", "その間に台帳が変更されました。変更内容をもう一度確認してください。";
        nothing_right: "No line is right: the register would be empty.", "取り込める行がありません。";
    }
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        get("/registers", list),
        post("/registers/preview", preview).with_body(FILE),
        post("/registers/import", import),
        get("/registers/{kind}/export", export),
    ]
}

/// Where an entry of a register is.
pub(super) fn path(kind: RegisterKind, label: &str) -> String {
    format!("/registers/{kind}?q={}", encoded(label))
}

/// The most bytes of a file.
pub(super) const FILE: usize = 32 << 20;

/// Files that wait for a confirmation, at most, and for how long.
const WAITING: usize = 4;
const PATIENCE: Duration = Duration::from_secs(900);

/// The most rows that are shown of what would change.
const ROWS: usize = 1_000;

/// A file that somebody has seen the preview of.
#[derive(Clone, Debug)]
struct Waiting {
    token: String,
    /// Whose session it was: nobody else confirms it.
    session: String,
    kind: RegisterKind,
    name: String,
    bytes: Bytes,
    place: Place,
    /// The file that the register was from then.
    before: Option<String>,
    since: Instant,
}

/// The files that wait.
#[derive(Debug, Default)]
pub(super) struct Pending(Mutex<Vec<Waiting>>);

impl Pending {
    fn keep(&self, waiting: Waiting) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Of each session the last, and of all the latest few.
        all.retain(|one| one.since.elapsed() < PATIENCE && one.session != waiting.session);
        if all.len() >= WAITING {
            all.remove(0);
        }
        all.push(waiting);
    }

    fn take(&self, token: &str, session: &str) -> Option<Waiting> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|one| one.since.elapsed() < PATIENCE);
        let found = all.iter().position(|one| one.token == token && one.session == session)?;
        Some(all.remove(found))
    }
}

struct Row {
    kind: &'static str,
    name: &'static str,
    is_there: Option<(u64, Moment, String)>,
}

#[derive(Template)]
#[template(path = "registers.html")]
struct List {
    page: Page,
    texts: &'static Texts,
    rows: Vec<Row>,
    /// The form for another file, for who may.
    upload: Option<Blank>,
}

/// The form for a file in the place of a register.
fn upload(texts: &'static Texts) -> Blank {
    let kind = |kind: RegisterKind| (kind.to_string(), texts.kind_name(kind).to_owned());
    let fields = vec![
        Field::choice("kind", texts.register, RegisterKind::ALL.map(kind)),
        Field::file("file", texts.file)
            .with(&[("required", ""), ("accept", ".csv,.txt,.xlsx,.xlsm,.xls,.ods")]),
        Field::text("sheet", texts.sheet),
        Field::text("heading", texts.heading)
            .with(&[("inputmode", "numeric"), ("pattern", "[0-9]*")]),
    ];
    Blank::new("upload", "/registers/preview", texts.preview, fields)
}

impl Texts {
    pub(super) const fn kind_name(&self, kind: RegisterKind) -> &'static str {
        match kind {
            RegisterKind::Device => self.device,
            RegisterKind::Software => self.software,
            RegisterKind::Issuer => self.issuer,
        }
    }
}

async fn list(Viewer(visitor): Viewer, State(shared): State<Shared>) -> Result<Response, Trouble> {
    show(&shared, &visitor, None, None).await
}

async fn show(
    shared: &Shared,
    visitor: &Visitor,
    warning: Option<&str>,
    filled: Option<Blank>,
) -> Result<Response, Trouble> {
    let status = match filled {
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        None => StatusCode::OK,
    };
    let texts = Texts::of(visitor.language);
    let known = shared.store.registers().await?;
    let rows = RegisterKind::ALL.map(|kind| Row {
        kind: kind.as_str(),
        name: texts.kind_name(kind),
        is_there: known
            .iter()
            .find(|one| one.kind == kind)
            .map(|one| (one.entries, one.imported_at.into(), shown(&one.source.file))),
    });
    let page = Page::new(visitor, Words::of(visitor.language).registers);
    let upload = filled.unwrap_or_else(|| upload(texts));
    html_as(
        status,
        &List {
            page: match warning {
                Some(warning) => page.warning(warning),
                None => page,
            },
            texts,
            rows: rows.into(),
            upload: visitor.may(Role::Approver).then_some(upload),
        },
    )
}

/// What a file would change.
struct Seen {
    form: Option<(String, u64)>,
    added: Vec<String>,
    /// Entry, field, before, after.
    changed: Vec<(String, String, String, String)>,
    removed: Vec<String>,
    counts: [usize; 3],
    unchanged: usize,
    problems: Vec<String>,
    warnings: Vec<String>,
    unknown: String,
    overruled: Vec<String>,
    entries: usize,
}

#[derive(Template)]
#[template(path = "register_preview.html")]
struct Preview {
    page: Page,
    texts: &'static Texts,
    kind: &'static str,
    file: String,
    seen: Seen,
    token: String,
}

/// What would be done of a file, and is.
async fn look<E: Entry + Send + 'static>(
    shared: &Shared,
    bytes: &Bytes,
    place: &Place,
    language: Language,
) -> Result<(Import<E>, Seen), Trouble> {
    let (bytes, place) = (bytes.clone(), place.clone());
    // A workbook takes a while, in which others are served.
    let read = computed(move || register::read_at::<E>(&bytes, &place)).await?;
    let import = read.map_err(|error| Trouble::Unreadable(error.into()))?;
    let diff = shared.store.preview_register(&import.entries).await?;
    let decisions = shared.store.decisions().await?;
    let offset = shared.settings.policy.offset;
    let overruled = approval::overruled(&import.entries, &decisions, offset, clock::now());
    let overruled =
        overruled.iter().map(|one| shown(&format!("{}: {}", one.entry, language.said(&one.text))));
    let RegisterDiff { added, changed, removed, unchanged } = diff;
    let first = |labels: &[String]| labels.iter().take(ROWS).map(|one| shown(one)).collect();
    let cells = changed.iter().flat_map(|change| {
        change.fields.iter().map(|cell| {
            let text = |text: &str| shown(&text.replace('\n', ", "));
            (shown(&change.label), shown(&cell.heading), text(&cell.before), text(&cell.after))
        })
    });
    let lines = |all: &[register::LineProblem]| -> Vec<String> {
        all.iter().take(ROWS).map(|problem| shown(&language.said(&problem.to_string()))).collect()
    };
    let seen = Seen {
        form: match &import.form {
            FileForm::Text { .. } => None,
            FileForm::Sheet { name, .. } => Some((shown(name), import.heading_line)),
        },
        counts: [added.len(), changed.len(), removed.len()],
        added: first(&added),
        changed: cells.take(ROWS).collect(),
        removed: first(&removed),
        unchanged,
        problems: lines(&import.errors),
        warnings: lines(&import.warnings),
        unknown: shown(&import.unknown_columns.join(", ")),
        overruled: overruled.collect(),
        entries: import.entries.len(),
    };
    Ok((import, seen))
}

async fn seen(shared: &Shared, waiting: &Waiting, language: Language) -> Result<Seen, Trouble> {
    let (bytes, place) = (&waiting.bytes, &waiting.place);
    Ok(match waiting.kind {
        RegisterKind::Device => look::<DeviceEntry>(shared, bytes, place, language).await?.1,
        RegisterKind::Software => look::<SoftwareEntry>(shared, bytes, place, language).await?.1,
        RegisterKind::Issuer => look::<IssuerEntry>(shared, bytes, place, language).await?.1,
    })
}

/// From which file the register is.
pub(super) async fn source(store: &Store, kind: RegisterKind) -> Result<Option<String>, Trouble> {
    let known = store.registers().await?;
    Ok(known.into_iter().find(|one| one.kind == kind).map(|one| one.source.sha256))
}

async fn preview(
    Approver(visitor): Approver,
    State(shared): State<Shared>,
    upload: Upload,
) -> Result<Response, Trouble> {
    let fields = upload.fields;
    let (words, texts) = (Words::of(visitor.language), Texts::of(visitor.language));
    let again = async |problems| {
        let blank = self::upload(texts).filled(&fields).with(problems);
        show(&shared, &visitor, Some(words.look_below), Some(blank)).await
    };
    let Ok(kind) = fields.text("kind").parse::<RegisterKind>() else {
        return again(Problems::of("kind", texts.no_kind)).await;
    };
    let Ok(line) = fields.given("heading").map(str::parse).transpose() else {
        return again(Problems::of("heading", texts.no_line)).await;
    };
    if upload.bytes.is_empty() {
        return again(Problems::of("file", texts.no_file)).await;
    }
    let waiting = Waiting {
        token: cookie::new_token()?,
        session: visitor.session().ok_or(Trouble::SignIn)?.hash.clone(),
        kind,
        // A path would be the browser's own.
        name: upload.name.rsplit(['/', '\\']).next().unwrap_or_default().to_owned(),
        bytes: upload.bytes,
        place: Place { sheet: fields.given("sheet").map(str::to_owned), heading_line: line },
        before: source(&shared.store, kind).await?,
        since: Instant::now(),
    };
    match offer(&shared, &visitor, waiting, None).await {
        Err(Trouble::Unreadable(error)) => again(unreadable(&error, texts)).await,
        done => done,
    }
}

/// Why a file is no register, beside the field that can mend it, in words of the form.
fn unreadable(error: &ReadError, texts: &Texts) -> Problems {
    let (field, why) = match error {
        ReadError::NoWorkbook => ("sheet", texts.no_workbook.to_owned()),
        ReadError::NoSheet { there, .. } => {
            ("sheet", format!("{} {}", texts.no_sheet, there.join(", ")))
        }
        ReadError::SeveralSheets { sheets, .. } => {
            ("sheet", format!("{} {}", texts.several_sheets, sheets.join(", ")))
        }
        ReadError::NoHeadingThere { expected, .. } => {
            ("heading", format!("{} {expected}", texts.no_heading_there))
        }
        ReadError::NoHeading { expected, .. } => {
            ("file", format!("{} {expected}", texts.no_heading))
        }
        ReadError::Empty => ("file", texts.no_file.to_owned()),
        error => ("file", format!("{} {}", texts.not_read, crate::tell::chain(error))),
    };
    Problems::of(field, shown(&why))
}

/// Shows what a file would change, and keeps it until somebody confirms it.
async fn offer(
    shared: &Shared,
    visitor: &Visitor,
    waiting: Waiting,
    warning: Option<&str>,
) -> Result<Response, Trouble> {
    let texts = Texts::of(visitor.language);
    let seen = seen(shared, &waiting, visitor.language).await?;
    let page = Page::new(visitor, texts.preview_title);
    let response = html(&Preview {
        page: match warning {
            Some(warning) => page.warning(warning),
            None if seen.entries == 0 => page.warning(texts.nothing_right),
            None => page,
        },
        texts,
        kind: texts.kind_name(waiting.kind),
        file: shown(&waiting.name),
        token: if seen.entries == 0 { String::new() } else { waiting.token.clone() },
        seen,
    });
    shared.pending.keep(waiting);
    response
}

async fn import(
    Approver(visitor): Approver,
    State(shared): State<Shared>,
    Form(fields): Form,
) -> Result<Response, Trouble> {
    let texts = Texts::of(visitor.language);
    let session = visitor.session().ok_or(Trouble::SignIn)?;
    let Some(mut waiting) = shared.pending.take(fields.text("file"), &session.hash) else {
        return show(&shared, &visitor, Some(texts.gone), None).await;
    };
    let (store, file) = (acting(&shared, &visitor), waiting.clone());
    let replace = move |shared: Shared| async move {
        let replaced = match file.kind {
            RegisterKind::Device => replace::<DeviceEntry>(&store, texts, &file).await?,
            RegisterKind::Software => replace::<SoftwareEntry>(&store, texts, &file).await?,
            RegisterKind::Issuer => replace::<IssuerEntry>(&store, texts, &file).await?,
        };
        // What follows from it follows at once.
        if replaced == Replaced::Yes {
            shared.review().await?;
        }
        Ok(replaced)
    };
    match shared.apart(replace).await? {
        Replaced::Yes => Ok(to("/registers")),
        Replaced::OtherNow => {
            waiting.before = source(&shared.store, waiting.kind).await?;
            offer(&shared, &visitor, waiting, Some(texts.other_now)).await
        }
    }
}

/// What came of a file that somebody confirmed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Replaced {
    Yes,
    /// The register is not what the preview compared with.
    OtherNow,
}

async fn replace<E: Entry>(
    store: &Store,
    texts: &Texts,
    waiting: &Waiting,
) -> Result<Replaced, Trouble> {
    let read = register::read_at::<E>(&waiting.bytes, &waiting.place);
    let import = read.map_err(|error| Trouble::Invalid(crate::tell::chain(&error)))?;
    if import.entries.is_empty() {
        return Err(Trouble::Invalid(texts.nothing_right.to_owned()));
    }
    let source = RegisterSource::of(shown(&waiting.name), &waiting.bytes);
    let before = Replaces::Only(waiting.before.as_deref());
    match store.replace_register_of(before, &import.entries, &source, clock::now()).await {
        Ok(_) => Ok(Replaced::Yes),
        Err(StoreError::OtherRegister(_)) => Ok(Replaced::OtherNow),
        Err(error) => Err(error.into()),
    }
}

/// The register as a file.
pub(super) async fn export(
    _: Viewer,
    State(shared): State<Shared>,
    Path(kind): Path<String>,
    Question(asked): Question<Vec<(String, String)>>,
) -> Result<Response, Trouble> {
    let kind: RegisterKind = kind.parse().map_err(|_| Trouble::NotFound)?;
    let is_workbook = Fields::from(asked).text("form") == "xlsx";
    let bytes = match kind {
        RegisterKind::Device => file::<DeviceEntry>(&shared, is_workbook).await?,
        RegisterKind::Software => file::<SoftwareEntry>(&shared, is_workbook).await?,
        RegisterKind::Issuer => file::<IssuerEntry>(&shared, is_workbook).await?,
    };
    let (kind_of, ending) = match is_workbook {
        true => ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
        false => ("text/csv; charset=utf-8", "csv"),
    };
    let name = format!("attachment; filename=\"{kind}-register.{ending}\"");
    let headers = [(header::CONTENT_TYPE, kind_of.to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, bytes).into_response())
}

async fn file<E: Entry + Send + 'static>(
    shared: &Shared,
    is_workbook: bool,
) -> Result<Vec<u8>, Trouble> {
    let register = shared.store.register::<E>().await?.ok_or(Trouble::NotFound)?;
    match is_workbook {
        false => Ok(register::to_csv(&register.entries)),
        true => computed(move || register::to_xlsx(&register.entries, clock::now()))
            .await?
            .map_err(|error| Trouble::Failed(crate::tell::chain(&error))),
    }
}
