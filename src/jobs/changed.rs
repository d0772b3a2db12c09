//! Files that an import job reads when what is in them has changed.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use config::{Job, ReadAs};
use inventory::store::{OpenMode, Store};
use ring::digest::{Context, SHA256};
use scanner::stop::Stop;

use crate::{
    cli::{
        Ended,
        args::{Format, Import, ImportRead, Kind, Register, RegisterImport},
        import, register,
    },
    clock,
    compose::Settings,
    report::{count, hex},
    tell,
};

/// How many percent of a register may go without somebody who looks at it.
const MOST_REMOVED: u8 = 50;

/// How much is read at once.
const PIECE: usize = 64 << 10;

/// Reads those of the job's files that have changed. What cannot be read is told, and keeps no
/// other from being read.
pub(super) async fn import(settings: &Settings, job: &Job, stop: &Stop) -> Result<Ended> {
    let store = Store::open(&settings.database, OpenMode::ReadWrite).await?;
    let known = store.imported(&job.name).await?;
    let mut changed = BTreeMap::new();
    let mut problems = Vec::new();
    for path in &job.paths {
        match files(path) {
            Ok(files) => {
                for file in files {
                    match hash(&file) {
                        Ok(sha256) if known.get(&name(&file)) == Some(&sha256) => {}
                        Ok(sha256) => drop(changed.insert(file, sha256)),
                        Err(error) => problems.push(format!("{}: {error}", file.display())),
                    }
                }
            }
            Err(error) => problems.push(format!("{}: {error}", path.display())),
        }
    }
    let mut ended = Ended::with(0);
    for (file, sha256) in changed.iter().filter(|_| !stop.is_requested()) {
        match read(settings, job, file, stop).await {
            // What was cut short is read again the next time.
            Ok(_) if stop.is_requested() => ended.complete = false,
            Ok(one) => {
                store.note_imported(&job.name, &name(file), sha256, clock::now()).await?;
                ended.scan = one.scan.or(ended.scan);
            }
            Err(error) => problems.push(tell::chain(error.as_ref())),
        }
    }
    // What a register says now may make a finding of what is long known.
    if !changed.is_empty() && is_register(job) {
        store.review(clock::now(), &settings.policy).await?;
    }
    store.close().await;
    if !problems.is_empty() {
        bail!("{}", problems.join("; "));
    }
    tell::line(&format!("{} changed", count(changed.len() as u64, "file", "files")));
    Ok(ended)
}

fn is_register(job: &Job) -> bool {
    match job.read_as {
        Some(ReadAs::DeviceRegister | ReadAs::SoftwareRegister | ReadAs::IssuerRegister) => true,
        Some(ReadAs::Dhcp | ReadAs::Neighbors | ReadAs::Scan) | None => false,
    }
}

/// One file, by the command that a person would give.
async fn read(settings: &Settings, job: &Job, file: &Path, stop: &Stop) -> Result<Ended> {
    let read_as = job.read_as.context("an import that does not know what it reads")?;
    let files = || ImportRead {
        files: vec![file.to_owned()],
        file_format: None,
        strict: false,
        utc_offset: None,
    };
    let register = |kind| {
        Register::Import(RegisterImport {
            file: file.to_owned(),
            kind,
            sheet: None,
            heading_row: None,
            dry_run: false,
            strict: false,
            allow_empty: false,
            max_removed: Some(MOST_REMOVED),
        })
    };
    let command = match read_as {
        ReadAs::Dhcp => Ok(Import::Dhcp { read: files(), follow: None }),
        ReadAs::Neighbors => Ok(Import::Neighbors(files())),
        ReadAs::Scan => Ok(Import::Scan(files())),
        ReadAs::DeviceRegister => Err(register(Kind::Device)),
        ReadAs::SoftwareRegister => Err(register(Kind::Software)),
        ReadAs::IssuerRegister => Err(register(Kind::Issuer)),
    };
    match command {
        Ok(command) => import::run(settings, &command, Format::Text, stop).await,
        Err(command) => {
            register::run(settings, &command, Format::Text).await?;
            Ok(Ended::with(0))
        }
    }
}

/// The file, or those in the folder, in the order of their names.
fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        // What cannot be looked at is told when it cannot be read.
        if fs::metadata(entry.path()).is_ok_and(|metadata| !metadata.is_file()) {
            continue;
        }
        files.push(entry.path());
    }
    files.sort();
    Ok(files)
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

fn hash(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut digest = Context::new(&SHA256);
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece)? {
            0 => break,
            len => digest.update(piece.get(..len).unwrap_or_default()),
        }
    }
    Ok(hex(digest.finish().as_ref()))
}
