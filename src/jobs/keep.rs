//! Jobs that keep the database: a copy of it in a folder, of which the last ones stay.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use config::Job;
use inventory::store::{Existing, OpenMode, Store};
use scanner::stop::Stop;

use crate::{
    cli::{
        Ended,
        backup::{unless, warn, words},
        listen_for_signals,
    },
    clock,
    compose::Settings,
    tell,
};

/// Copies the database into the job's folder, and then removes the oldest copies of it there.
pub(super) async fn backup(settings: &Settings, job: &Job, stop: &Stop) -> Result<Ended> {
    listen_for_signals(stop)?;
    let folder = job.folder.as_ref().context("a backup that does not know where it goes")?;
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let stem = stem(&settings.database);
    let moment: String =
        clock::now().to_string().chars().filter(char::is_ascii_alphanumeric).collect();
    let file = folder.join(format!("{stem}-{moment}.db"));
    let store = Store::open(&settings.database, OpenMode::ReadOnly).await?;
    let Some(made) = unless(stop, store.backup(&file, Existing::Keep)).await else {
        return Ok(Ended { complete: false, ..Ended::with(0) });
    };
    let made = made?;
    store.close().await;
    warn(&file.display().to_string(), &made);
    tell::line(&format!("{}: {}", file.display(), words(&made)));
    // Only now, so that a full disk never costs the last good copy.
    let copies = copies(folder, &stem)
        .with_context(|| format!("cannot list the folder {}", folder.display()))?;
    let surplus = copies.len().saturating_sub(job.keep);
    for old in copies.iter().take(surplus) {
        fs::remove_file(old).with_context(|| format!("cannot remove {}", old.display()))?;
        tell::line(&format!("{}: removed, {} newer ones are kept", old.display(), job.keep));
    }
    Ok(Ended::with(0))
}

fn stem(database: &Path) -> String {
    let stem = database.file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
}

/// The copies that such jobs made of this database, the oldest first. What is called otherwise is
/// somebody else's.
fn copies(folder: &Path, stem: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if is_copy(&entry.file_name().to_string_lossy(), stem) {
            found.push(entry.path());
        }
    }
    // Their names are in the order of their times.
    found.sort();
    Ok(found)
}

/// `daicho-20261127T113600Z.db`.
fn is_copy(name: &str, stem: &str) -> bool {
    let moment = name
        .strip_prefix(stem)
        .and_then(|rest| rest.strip_prefix('-'))
        .and_then(|rest| rest.strip_suffix(".db"));
    moment.is_some_and(|moment| {
        let pattern = "00000000T000000Z";
        moment.len() == pattern.len()
            && moment.chars().zip(pattern.chars()).all(|(given, wanted)| match wanted {
                '0' => given.is_ascii_digit(),
                letter => given == letter,
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_such_a_job_made_of_this_database_is_a_copy() {
        assert!(is_copy("daicho-20261127T113600Z.db", "daicho"));
        for other in [
            "daicho.db",
            "daicho-plant-20261127T113600Z.db",
            "daicho-20261127T113600Z.db.partial",
            "daicho-2026112ZT113600Z.db",
            "my-daicho-20261127T113600Z.db",
            "daicho-20261127T113600Z.db-wal",
        ] {
            assert!(!is_copy(other, "daicho"), "{other}");
        }
    }
}
