//! `daicho register`: the organisation's approved lists in and out.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};
use inventory::{
    register::{
        self, Column, DeviceEntry, Entry, Field, IssuerEntry, RegisterDiff, SoftwareEntry, columns,
    },
    store::{OpenMode, RegisterSource, Store},
};
use serde_json::{Map, Value, json};

use crate::{
    cli::args::{Format, Kind, Register},
    clock,
    report::{count, print, print_json, table::Table},
    tell,
};

pub(crate) async fn run(command: &Register, path: &Path, format: Format) -> Result<()> {
    match command {
        Register::Import { file, kind, strict } => {
            let store = Store::open(path, OpenMode::ReadWrite).await?;
            match kind {
                Kind::Device => import::<DeviceEntry>(&store, file, *strict, format).await,
                Kind::Software => import::<SoftwareEntry>(&store, file, *strict, format).await,
                Kind::Issuer => import::<IssuerEntry>(&store, file, *strict, format).await,
            }
        }
        Register::List { kind } => {
            let store = Store::open(path, OpenMode::ReadOnly).await?;
            match kind {
                Kind::Device => list::<DeviceEntry>(&store, format).await,
                Kind::Software => list::<SoftwareEntry>(&store, format).await,
                Kind::Issuer => list::<IssuerEntry>(&store, format).await,
            }
        }
        Register::Export { kind, file } => {
            let store = Store::open(path, OpenMode::ReadOnly).await?;
            let csv = match kind {
                Kind::Device => export::<DeviceEntry>(&store).await?,
                Kind::Software => export::<SoftwareEntry>(&store).await?,
                Kind::Issuer => export::<IssuerEntry>(&store).await?,
            };
            match file {
                Some(file) => {
                    fs::write(file, csv).with_context(|| format!("cannot write {}", file.display()))
                }
                None => print(&String::from_utf8(csv).context("the register is not UTF-8")?),
            }
        }
    }
}

async fn import<E: Entry>(store: &Store, file: &Path, strict: bool, format: Format) -> Result<()> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let import = register::read::<E>(&bytes).with_context(|| file.display().to_string())?;
    for problem in import.errors.iter().chain(&import.warnings) {
        tell::line(&format!("{}: {problem}", file.display()));
    }
    if strict && !import.errors.is_empty() {
        let problems = count(import.errors.len() as u64, "problem", "problems");
        bail!("{}: {problems} and --strict: nothing was imported", file.display());
    }
    if import.entries.is_empty() && !import.errors.is_empty() {
        bail!("{}: no line is right: the register is left as it was", file.display());
    }
    let source = RegisterSource::of(file.display().to_string(), &bytes);
    let diff = store.replace_register(&import.entries, &source, clock::now()).await?;
    let RegisterDiff { added, changed, removed, unchanged } = &diff;
    match format {
        Format::Json => print_json(&json!({
            "kind": E::KIND.as_str(),
            "entries": import.entries.len(),
            "added": added,
            "changed": changed.iter()
                .map(|change| json!({"entry": change.label, "fields": change.fields}))
                .collect::<Vec<_>>(),
            "removed": removed,
            "unchanged": unchanged,
            "problems": import.errors.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "warnings": import.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "unknown_columns": import.unknown_columns,
        })),
        Format::Text => {
            let mut text = format!(
                "{} register: {} ({} added, {} changed, {} removed, {unchanged} unchanged), {} not \
                 imported\n",
                E::KIND,
                count(import.entries.len() as u64, "entry", "entries"),
                added.len(),
                changed.len(),
                removed.len(),
                count(import.errors.len() as u64, "line", "lines"),
            );
            let mut table = Table::new(&["", "entry", "fields"]);
            for label in added {
                table.row(["added", label, ""]);
            }
            for change in changed {
                table.row(["changed", &change.label, &change.fields.join(", ")]);
            }
            for label in removed {
                table.row(["removed", label, ""]);
            }
            if !diff_is_empty(&diff) {
                text.push_str(&table.render());
            }
            if !import.unknown_columns.is_empty() {
                let kept = import.unknown_columns.join(", ");
                tell::line(&format!("columns kept but not understood: {kept}"));
            }
            print(&text)
        }
    }
}

fn diff_is_empty(diff: &RegisterDiff) -> bool {
    diff.added.is_empty() && diff.changed.is_empty() && diff.removed.is_empty()
}

/// The entries, or an error that says that there is no such register.
async fn entries<E: Entry>(store: &Store) -> Result<Vec<E>> {
    let register = store.register::<E>().await?.with_context(|| {
        format!("no {0} register was imported: daicho register import FILE --kind {0}", E::KIND)
    })?;
    Ok(register.entries)
}

async fn list<E: Entry>(store: &Store, format: Format) -> Result<()> {
    let entries = entries::<E>(store).await?;
    if format == Format::Json {
        let list: Vec<Value> = entries.iter().map(entry_json).collect();
        return print_json(&list);
    }
    // Only columns in which something stands: registers have many that nobody fills in.
    let filled = |field: Field| {
        entries
            .iter()
            .any(|entry| entry.cells().iter().any(|(f, cell)| *f == field && !cell.is_empty()))
    };
    let shown: Vec<_> = columns(E::KIND).iter().filter(|column| filled(column.field)).collect();
    let headings: Vec<&str> = shown.iter().map(|column| name(column)).collect();
    let mut table = Table::new(&headings);
    for entry in &entries {
        let cells = entry.cells();
        table.row(shown.iter().map(|column| {
            let cell = cells.iter().find(|(field, _)| *field == column.field);
            cell.map_or_else(String::new, |(_, text)| text.replace('\n', ", "))
        }));
    }
    print(&table.render())
}

/// What an export calls the column.
fn name(column: &Column) -> &'static str {
    column.headings.first().copied().unwrap_or_default()
}

/// The known columns by name, and the others as they are headed.
fn entry_json<E: Entry>(entry: &E) -> Value {
    let cells = entry.cells();
    let mut object = Map::new();
    for column in columns(E::KIND) {
        let cell = cells.iter().find(|(field, _)| *field == column.field);
        let text = cell.map_or("", |(_, text)| text.as_str());
        let value = if text.is_empty() { Value::Null } else { text.into() };
        object.insert(name(column).to_lowercase().replace(' ', "_"), value);
    }
    object.insert("extra".to_owned(), json!(entry.extra()));
    object.into()
}

async fn export<E: Entry>(store: &Store) -> Result<Vec<u8>> {
    Ok(register::to_csv(&entries::<E>(store).await?))
}
