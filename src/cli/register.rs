//! `daicho register`: the organisation's approved lists in and out.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};
use inventory::{
    approval::{self, Overruled},
    register::{
        self, Changed, Column, DeviceEntry, Entry, Field, Form, Import, IssuerEntry, Place,
        RegisterDiff, SoftwareEntry, columns,
    },
    store::{OpenMode, RegisterSource, Store, StoreError},
};
use serde_json::{Map, Value, json};

use crate::{
    cli::{
        Unusable,
        args::{Format, Kind, Register, RegisterImport},
    },
    clock,
    compose::Settings,
    report::{count, print, print_json, table::Table},
    tell,
};

pub(crate) async fn run(settings: &Settings, command: &Register, format: Format) -> Result<()> {
    let path = settings.database.as_path();
    match command {
        Register::Import(arguments) => match arguments.kind {
            Kind::Device => import::<DeviceEntry>(settings, arguments, format).await,
            Kind::Software => import::<SoftwareEntry>(settings, arguments, format).await,
            Kind::Issuer => import::<IssuerEntry>(settings, arguments, format).await,
        },
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
            match kind {
                Kind::Device => export::<DeviceEntry>(&store, file.as_deref(), format).await,
                Kind::Software => export::<SoftwareEntry>(&store, file.as_deref(), format).await,
                Kind::Issuer => export::<IssuerEntry>(&store, file.as_deref(), format).await,
            }
        }
    }
}

async fn import<E: Entry>(
    settings: &Settings,
    arguments: &RegisterImport,
    format: Format,
) -> Result<()> {
    let path = settings.database.as_path();
    let RegisterImport {
        file,
        kind: _,
        sheet,
        heading_row,
        dry_run,
        strict,
        allow_empty,
        max_removed,
    } = arguments;
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let place = Place { sheet: sheet.clone(), heading_line: *heading_row };
    let import =
        register::read_at::<E>(&bytes, &place).with_context(|| file.display().to_string())?;
    for problem in import.errors.iter().chain(&import.warnings) {
        tell::line(&format!("{}: {problem}", file.display()));
    }
    check(&import, *strict, *allow_empty, &file.display().to_string())?;
    if let Form::Sheet { name, others, .. } = &import.form {
        tell::line(&format!("sheet {name:?}, headings in row {}", import.heading_line));
        if !others.is_empty() {
            tell::line(&format!("not read, with headings too: {}", others.join(", ")));
        }
    }
    let (diff, decisions) = match dry_run {
        true => match Store::open(path, OpenMode::ReadOnly).await {
            Ok(store) => (store.preview_register(&import.entries).await?, store.decisions().await?),
            // Before the first sweep and the first import everything is new.
            Err(StoreError::NoDatabase { .. }) => {
                (register::diff(&[], &import.entries), Vec::new())
            }
            Err(error) => return Err(error.into()),
        },
        false => {
            let store = Store::open(path, OpenMode::ReadWrite).await?;
            let store = store.acting(settings.actor.clone());
            if let Some(percent) = max_removed {
                let diff = store.preview_register(&import.entries).await?;
                check_removed(&diff, *percent, &file.display().to_string())?;
            }
            let source = RegisterSource::of(file.display().to_string(), &bytes);
            let diff = store.replace_register(&import.entries, &source, clock::now()).await?;
            (diff, store.decisions().await?)
        }
    };
    let offset = settings.policy.offset;
    let overruled = approval::overruled(&import.entries, &decisions, offset, clock::now());
    for one in &overruled {
        tell::line(&format!("a decision goes before {}: {}", one.entry, one.text));
    }
    match format {
        Format::Json => print_json(&import_json(&import, &diff, &overruled, *dry_run)),
        Format::Text => print(&import_text(&import, &diff, *dry_run)),
    }
}

/// Whether a register may become what was read of a file.
pub(crate) fn check<E: Entry>(
    import: &Import<E>,
    strict: bool,
    allow_empty: bool,
    file: &str,
) -> Result<()> {
    let bad = count(import.errors.len() as u64, "problem", "problems");
    if strict && !import.errors.is_empty() {
        bail!(Unusable(format!("{file}: {bad} and --strict: nothing was imported")));
    }
    if import.entries.is_empty() && !import.errors.is_empty() {
        let why = "no line is right: the register is left as it was";
        bail!(Unusable(format!("{file}: {why}")));
    }
    // As a file looks that is just being saved.
    if import.entries.is_empty() && !allow_empty {
        let why = "it has headings and no entry: the register is left as it was";
        bail!(Unusable(format!("{file}: {why} (to have nothing approved: --allow-empty)")));
    }
    Ok(())
}

/// Registers so small may lose any share of their entries.
const SMALL: usize = 10;

/// Whether not too much of a register goes: a file that was saved by half has lost most of it.
fn check_removed(diff: &RegisterDiff, percent: u8, file: &str) -> Result<()> {
    let before = diff.unchanged + diff.changed.len() + diff.removed.len();
    let gone = diff.removed.len();
    if before >= SMALL && gone.saturating_mul(100) > before.saturating_mul(percent.into()) {
        bail!(Unusable(format!(
            "{file}: {gone} of {before} entries would go, which is more than {percent} %: the \
             register is left as it was; where that is meant, import the file by hand, first with \
             --dry-run"
        )));
    }
    Ok(())
}

/// What an import did, or would do, as `docs/json.md` promises it.
pub(crate) fn import_json<E: Entry>(
    import: &Import<E>,
    diff: &RegisterDiff,
    overruled: &[Overruled],
    dry_run: bool,
) -> Value {
    let RegisterDiff { added, changed, removed, unchanged } = diff;
    let (form, sheet, others) = match &import.form {
        Form::Text { .. } => ("csv", None, None),
        Form::Sheet { format, name, others } => (format.as_str(), Some(name), Some(others)),
    };
    let entry = |change: &Changed| {
        let fields: Vec<&String> = change.fields.iter().map(|field| &field.heading).collect();
        let cells: Vec<Value> = change
            .fields
            .iter()
            .map(|cell| json!({"field": cell.heading, "from": cell.before, "to": cell.after}))
            .collect();
        json!({"entry": change.label, "fields": fields, "changes": cells})
    };
    json!({
        "kind": E::KIND.as_str(),
        "dry_run": dry_run,
        "format": form,
        "sheet": sheet,
        "other_sheets": others.cloned().unwrap_or_default(),
        "heading_row": import.heading_line,
        "entries": import.entries.len(),
        "added": added,
        "changed": changed.iter().map(entry).collect::<Vec<_>>(),
        "removed": removed,
        "unchanged": unchanged,
        "problems": import.errors.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "warnings": import.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "unknown_columns": import.unknown_columns,
        "overruled": overruled.iter()
            .map(|one| json!({"entry": one.entry, "decision": one.decision.0, "text": one.text}))
            .collect::<Vec<_>>(),
    })
}

fn import_text<E: Entry>(import: &Import<E>, diff: &RegisterDiff, dry_run: bool) -> String {
    let RegisterDiff { added, changed, removed, unchanged } = diff;
    let mut text = format!(
        "{}{} register: {} ({} added, {} changed, {} removed, {unchanged} unchanged), {} not \
         imported\n",
        if dry_run { "not imported yet: " } else { "" },
        E::KIND,
        count(import.entries.len() as u64, "entry", "entries"),
        added.len(),
        changed.len(),
        removed.len(),
        count(import.errors.len() as u64, "line", "lines"),
    );
    let mut table = Table::new(&["", "entry", "field", "from", "to"]);
    for label in added {
        table.row(["added", label, "", "", ""]);
    }
    for change in changed {
        for cell in &change.fields {
            let one_line = |text: &str| text.replace('\n', ", ");
            let (before, after) = (one_line(&cell.before), one_line(&cell.after));
            table.row(["changed", &change.label, &cell.heading, &before, &after]);
        }
    }
    for label in removed {
        table.row(["removed", label, "", "", ""]);
    }
    if !(added.is_empty() && changed.is_empty() && removed.is_empty()) {
        text.push_str(&table.render());
    }
    if !import.unknown_columns.is_empty() {
        let kept = import.unknown_columns.join(", ");
        tell::line(&format!("columns kept but not understood: {kept}"));
    }
    text
}

/// The entries, or an error that says that there is no such register.
async fn entries<E: Entry>(store: &Store) -> Result<Vec<E>> {
    let register = store.register::<E>().await?.with_context(|| {
        format!("no {0} register was imported: daicho register import FILE --kind {0}", E::KIND)
    })?;
    Ok(register.entries)
}

async fn list<E: Entry>(store: &Store, format: Format) -> Result<()> {
    if format == Format::Json {
        return print_json(&listed::<E>(store).await?);
    }
    let entries = entries::<E>(store).await?;
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

/// The entries for programs: where there is no register there are none.
async fn listed<E: Entry>(store: &Store) -> Result<Vec<Value>> {
    let register = store.register::<E>().await?;
    Ok(register.iter().flat_map(|register| &register.entries).map(entry_json).collect())
}

/// What an export calls the column.
fn name(column: &Column) -> &'static str {
    column.headings.first().copied().unwrap_or_default()
}

/// The known columns by name, and the others as they are headed.
pub(crate) fn entry_json<E: Entry>(entry: &E) -> Value {
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

async fn export<E: Entry>(store: &Store, file: Option<&Path>, format: Format) -> Result<()> {
    if file.is_none() && format == Format::Json {
        return print_json(&listed::<E>(store).await?);
    }
    let entries = entries::<E>(store).await?;
    let Some(file) = file else {
        let csv = String::from_utf8(register::to_csv(&entries));
        return print(&csv.context("the register is not UTF-8")?);
    };
    let ending = file.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let bytes = match ending.as_str() {
        "xlsx" => register::to_xlsx(&entries, clock::now())?,
        "xls" | "xlsm" | "xlsb" | "ods" => {
            bail!("{}: such a workbook is read and not written: use .xlsx", file.display())
        }
        _ => register::to_csv(&entries),
    };
    fs::write(file, bytes).with_context(|| format!("cannot write {}", file.display()))?;
    match format {
        Format::Json => print_json(&json!({"file": file, "entries": entries.len()})),
        Format::Text => Ok(()),
    }
}
