//! The organisation's registers: which there are, their entries, and another file in their place.

use axum::{extract::State, http::HeaderMap, response::Response};
use inventory::{
    approval,
    register::{self, DeviceEntry, Entry, IssuerEntry, Place, RegisterKind, SoftwareEntry},
    store::{RegisterSource, Replaces, Store, StoreError},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{About, File, Gives, PART, Takes, done, get, post, rows, told};
use crate::{
    cli::register::{check, entry_json, import_json},
    clock,
    web::{
        Scarce, Shared,
        asked::{Path, Question, Refusal},
        page::shown,
        registers::{FILE, export, source},
        routes::Route,
        sign::acting,
        trouble::Trouble,
        visit::{Approver, Viewer, Visitor},
    },
};

/// What is said of a file beside its bytes.
const OF_FILE: &[(&str, &str)] = &[
    ("name", "what the file is called"),
    ("sheet", "the sheet of a workbook that has several"),
    ("heading_row", "the row of the headings, where it is not found"),
    ("strict", "1 to take nothing over where a line is wrong"),
    ("replaces", "the sha256 of the file that the register has to be from; else nothing is done"),
];

pub(super) fn routes() -> Vec<Route> {
    let file = About { takes: Takes::File, ..About::read("", "RegisterImport") }.asking(OF_FILE);
    vec![
        get(
            "/api/v1/registers",
            list,
            About::read("The registers", "{items: [Register], next: text?}"),
        ),
        get(
            "/api/v1/registers/{kind}",
            entries,
            About::read(
                "The entries of a register (device, software or issuer), the last first",
                "{items: [<any>], next: text?}",
            )
            .asking(PART),
        ),
        get(
            "/api/v1/registers/{kind}/export",
            export,
            About { gives: Gives::File, ..About::read("A register as a file", "any") }
                .asking(&[("form", "csv or xlsx")]),
        ),
        post(
            "/api/v1/registers/{kind}/preview",
            preview,
            About { what: "What a file would change of a register", ..file },
        )
        .with_body(FILE),
        post(
            "/api/v1/registers/{kind}",
            import,
            About {
                what: "Replace a register by a file. The same file once more changes nothing",
                ..file
            },
        )
        .with_body(FILE),
    ]
}

async fn list(
    _: Viewer,
    State(shared): State<Shared>,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    let known = shared.store.registers().await?;
    let one = |one: &inventory::store::RegisterSummary| {
        json!({
            "kind": one.kind.as_str(),
            "entries": one.entries,
            "imported_at": one.imported_at.to_string(),
            "file": one.source.file,
            "sha256": one.source.sha256,
        })
    };
    let items: Vec<Value> = known.iter().map(one).collect();
    told(&headers, &json!({"items": items, "next": null}))
}

fn kind_of(name: &str) -> Result<RegisterKind, Trouble> {
    name.parse().map_err(|_| Trouble::NotFound)
}

async fn entries(
    _: Viewer,
    State(shared): State<Shared>,
    headers: HeaderMap,
    Path(kind): Path<String>,
    Question(asked): Question<OfEntries>,
) -> Result<Response, Trouble> {
    let place = shared.place(Scarce::Searches).await?;
    let told_of = match kind_of(&kind)? {
        RegisterKind::Device => entries_of::<DeviceEntry>(&shared.store, &asked).await?,
        RegisterKind::Software => entries_of::<SoftwareEntry>(&shared.store, &asked).await?,
        RegisterKind::Issuer => entries_of::<IssuerEntry>(&shared.store, &asked).await?,
    };
    drop(place);
    told(&headers, &told_of)
}

/// Which part of a register.
#[derive(Clone, Debug, Deserialize)]
struct OfEntries {
    /// The position before which it begins, and the file that it is one of.
    after: Option<String>,
    rows: Option<u16>,
}

async fn entries_of<E: Entry>(store: &Store, asked: &OfEntries) -> Result<Value, Trouble> {
    let wrong = || Trouble::from(Refusal::Place);
    let (position, known) = match &asked.after {
        Some(after) => {
            let (position, file) = after.split_once('-').ok_or_else(wrong)?;
            (Some(position.parse().map_err(|_| wrong())?), Some(file))
        }
        None => (None, None),
    };
    let found = store.register_leaf::<E>(position, rows(asked.rows)).await?;
    let (file, leaf) = found.ok_or(Trouble::NotFound)?;
    // The same position is another entry there.
    if known.is_some_and(|known| known != file) {
        return Err(StoreError::OtherRegister(E::KIND).into());
    }
    let items: Vec<Value> = leaf.rows.iter().map(|(_, entry)| entry_json(entry)).collect();
    Ok(json!({"items": items, "next": leaf.next.map(|next| format!("{next}-{file}"))}))
}

#[derive(Clone, Debug, Deserialize)]
struct OfFile {
    name: Option<String>,
    sheet: Option<String>,
    heading_row: Option<u64>,
    strict: Option<String>,
    replaces: Option<String>,
}

async fn preview(
    Approver(visitor): Approver,
    State(shared): State<Shared>,
    Path(kind): Path<String>,
    Question(of): Question<OfFile>,
    file: File,
) -> Result<Response, Trouble> {
    look(shared, visitor, &kind, of, file, true).await
}

async fn import(
    Approver(visitor): Approver,
    State(shared): State<Shared>,
    Path(kind): Path<String>,
    Question(of): Question<OfFile>,
    file: File,
) -> Result<Response, Trouble> {
    look(shared, visitor, &kind, of, file, false).await
}

async fn look(
    shared: Shared,
    visitor: Visitor,
    kind: &str,
    of: OfFile,
    file: File,
    dry_run: bool,
) -> Result<Response, Trouble> {
    let (kind, store) = (kind_of(kind)?, acting(&shared, &visitor));
    let look = move |shared: Shared| async move {
        let told = match kind {
            RegisterKind::Device => {
                taken::<DeviceEntry>(&shared, &store, &of, &file, dry_run).await
            }
            RegisterKind::Software => {
                taken::<SoftwareEntry>(&shared, &store, &of, &file, dry_run).await
            }
            RegisterKind::Issuer => {
                taken::<IssuerEntry>(&shared, &store, &of, &file, dry_run).await
            }
        }?;
        if !dry_run {
            shared.review().await?;
        }
        Ok(told)
    };
    Ok(done(&shared.apart(look).await?))
}

/// Reads a file, and has the register be it, or says what that would change.
async fn taken<E: Entry>(
    shared: &Shared,
    store: &Store,
    of: &OfFile,
    File(bytes): &File,
    dry_run: bool,
) -> Result<Value, Trouble> {
    let name = shown(of.name.as_deref().unwrap_or("API"));
    let place = Place { sheet: of.sheet.clone(), heading_line: of.heading_row };
    let import = register::read_at::<E>(bytes, &place).map_err(anyhow::Error::from)?;
    let is_strict = of.strict.as_deref().is_some_and(|strict| strict != "0");
    check(&import, is_strict, false, &name)?;
    let now = clock::now();
    let wanted = of.replaces.as_deref();
    let diff = match dry_run {
        true => {
            if wanted.is_some() && source(store, E::KIND).await?.as_deref() != wanted {
                return Err(StoreError::OtherRegister(E::KIND).into());
            }
            store.preview_register(&import.entries).await?
        }
        false => {
            let replaces = wanted.map_or(Replaces::Any, |file| Replaces::Only(Some(file)));
            let source = RegisterSource::of(name, bytes);
            store.replace_register_of(replaces, &import.entries, &source, now).await?
        }
    };
    let decisions = store.decisions().await?;
    let offset = shared.settings.policy.offset;
    let overruled = approval::overruled(&import.entries, &decisions, offset, now);
    Ok(import_json(&import, &diff, &overruled, dry_run))
}
