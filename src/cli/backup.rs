//! `daicho backup` and `daicho restore`: copies of the database for safekeeping, and back.

use std::{future::Future, path::Path, time::Duration};

use anyhow::{Result, bail, ensure};
use inventory::store::{self, Existing, OpenMode, Sound, Store};
use scanner::stop::Stop;
use serde_json::json;

use crate::{
    cli::{
        args::{Backup, Format, Restore},
        listen_for_signals,
    },
    clock,
    compose::Settings,
    report::{print, print_json},
    tell,
};

/// Copies the database and returns the exit code.
pub(crate) async fn backup(
    settings: &Settings,
    arguments: &Backup,
    format: Format,
    stop: &Stop,
) -> Result<u8> {
    listen_for_signals(stop)?;
    let store = Store::open(&settings.database, OpenMode::ReadOnly).await?;
    let real = |path: &Path| path.canonicalize().ok();
    ensure!(
        real(&arguments.file).is_none_or(|file| Some(file) != real(&settings.database)),
        "{} is the database itself: name another file",
        arguments.file.display()
    );
    let existing = if arguments.overwrite { Existing::Overwrite } else { Existing::Keep };
    let Some(made) = unless(stop, store.backup(&arguments.file, existing)).await else {
        return Ok(stop.exit_code().unwrap_or(crate::FAILED));
    };
    let made = made?;
    store.close().await;
    let file = arguments.file.display().to_string();
    warn(&file, &made);
    match format {
        Format::Json => print_json(&json!({
            "file": file,
            "bytes": made.bytes,
            "schema": made.schema,
            "audit_entries": made.audit.entries,
            "audit_head": made.audit.head,
            "dangling": dangling(&made),
        }))?,
        Format::Text => print(&format!("{file}: {}\n", words(&made)))?,
    }
    Ok(0)
}

/// What there is to say of a copy that was looked through.
pub(crate) fn words(copy: &Sound) -> String {
    let state = if copy.dangling.is_empty() { "sound" } else { "whole, with rows that dangle" };
    format!(
        "{} KiB, schema {}, {state}; the audit has {} entries and the head {}",
        copy.bytes / 1024,
        copy.schema,
        copy.audit.entries,
        copy.audit.head
    )
}

/// Says loudly what in a copy refers to nothing.
pub(crate) fn warn(file: &str, copy: &Sound) {
    for dangling in &copy.dangling {
        tell::line(&format!("warning: {file}: {dangling}"));
    }
    if !copy.dangling.is_empty() {
        tell::line(
            "warning: the copy is whole, and so is the database but for these rows; daicho prune \
             --mend removes them",
        );
    }
}

fn dangling(copy: &Sound) -> Vec<String> {
    copy.dangling.iter().map(ToString::to_string).collect()
}

/// What the work comes to, or `None` where its end was asked for before: dropping it takes away
/// what is half done.
pub(crate) async fn unless<R>(stop: &Stop, work: impl Future<Output = R>) -> Option<R> {
    const LOOK: Duration = Duration::from_millis(50);
    let stopped = async {
        while !stop.is_requested() {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        done = work => Some(done),
        () = stopped => None,
    }
}

/// Puts a copy in the place of the database.
pub(crate) async fn restore(
    settings: &Settings,
    arguments: &Restore,
    format: Format,
) -> Result<()> {
    let (database, file) = (&settings.database, &arguments.file);
    let same = std::fs::canonicalize(database).ok().zip(std::fs::canonicalize(file).ok());
    if same.is_some_and(|(database, file)| database == file) {
        bail!("{} is the database itself", file.display());
    }
    let restored = store::restore(database, file, &settings.actor, clock::now()).await?;
    warn(&file.display().to_string(), &restored.backup);
    let old = restored.old.as_ref().map(|old| old.display().to_string());
    match format {
        Format::Json => print_json(&json!({
            "file": file.display().to_string(),
            "database": database.display().to_string(),
            "old": old,
            "bytes": restored.backup.bytes,
            "schema": restored.backup.schema,
            "audit_entries": restored.backup.audit.entries,
            "audit_head": restored.backup.audit.head,
            "dangling": dangling(&restored.backup),
        })),
        Format::Text => {
            let backup = words(&restored.backup);
            print(&format!("{} is {} now: {backup}\n", database.display(), file.display()))?;
            if let Some(old) = old {
                tell::line(&format!("the database that was there is kept as {old}"));
            }
            Ok(())
        }
    }
}
