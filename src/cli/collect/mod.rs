//! `daicho certs collect`: certificates out of files, or from servers, into the inventory.

mod ask;
mod walk;

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use certs::store::{Password, PrivateKey};
use inventory::{
    file::{FoundFile, KeptFile},
    store::{OpenMode, ReviewSummary, Store, StoreError},
};
use model::Severity;
use scanner::stop::Stop;
use tokio::runtime::Handle;
use zeroize::Zeroizing;

use self::walk::Told;
use crate::{
    FAILED,
    cli::{
        Ended,
        args::{Collect, Format},
    },
    clock,
    compose::Settings,
    report::{
        count, finding,
        json::{CollectJson, FileJson, ProblemJson},
        print, print_json,
        table::Table,
    },
    tell,
};

/// The environment variable with a password. It is no setting, so that it is never printed.
const PASSWORD: &str = "DAICHO_CERTIFICATES_PASSWORD";

/// Files that are stored in one transaction.
const BATCH: usize = 500;

/// Asks the servers that are named, or reads the files.
pub(crate) async fn run(
    settings: &Settings,
    arguments: &Collect,
    format: Format,
    stop: &Stop,
) -> Result<Ended> {
    match arguments.targets.is_empty() {
        true => files(settings, arguments, format).await.map(Ended::with),
        false => ask::run(settings, arguments, format, stop).await,
    }
}

/// Reads the files and returns the exit code: done, or failed in part.
async fn files(settings: &Settings, arguments: &Collect, format: Format) -> Result<u8> {
    let named = match arguments.file.is_empty() {
        true => &settings.certificate_files,
        false => &arguments.file,
    };
    if named.is_empty() {
        bail!(
            "nothing is named: give servers, such as mail.example.com:25, or --file PATH, or \
             certificates.files in the configuration"
        );
    }
    let passwords = passwords(&[&settings.password_files[..], &arguments.password_file].concat())?;
    let store = Store::open(&settings.database, OpenMode::ReadWrite).await?;
    let mut known = known(&store, settings).await?;
    let mut outcome = Outcome::default();
    let mut batch = Vec::new();
    let mut written = Ok(());
    let handle = Handle::current();
    let write = |batch: &mut Vec<FoundFile>| {
        let files = std::mem::take(batch);
        let writing = store.write_files(&settings.vantage, &files, &[], clock::now());
        handle.block_on(writing)
    };
    tokio::task::block_in_place(|| {
        walk::walk(named, &passwords, &mut |told| {
            if let Some(found) = outcome.take(told, &mut known) {
                batch.push(found);
            }
            if batch.len() >= BATCH && written.is_ok() {
                written = write(&mut batch);
            }
        });
        written.and_then(|()| write(&mut batch))
    })?;
    let roots: Vec<PathBuf> = named.iter().flat_map(std::path::absolute).collect();
    let gone = gone(known, &roots, &outcome.nothing);
    store.write_files(&settings.vantage, &[], &gone, clock::now()).await?;
    let review = store.review(clock::now(), &settings.policy).await?;
    outcome.report(&review, format)?;
    store.close().await;
    Ok(if outcome.problems.is_empty() { 0 } else { FAILED })
}

/// The paths of this vantage point's files that are there as far as is known.
async fn known(store: &Store, settings: &Settings) -> Result<BTreeSet<String>, StoreError> {
    let files = store.files().await?;
    let ours = |file: &KeptFile| file.present && file.vantage == settings.vantage;
    Ok(files.into_iter().filter(ours).map(|file| file.path).collect())
}

/// Which of the known files that were not found are there no more: what was not named, or
/// could not be read, may well be.
fn gone(known: BTreeSet<String>, roots: &[PathBuf], nothing: &BTreeSet<String>) -> Vec<String> {
    let is_gone = |path: &String| {
        let named = roots.iter().any(|root| Path::new(path).starts_with(root));
        let missing = Path::new(path).symlink_metadata();
        let missing = missing.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
        nothing.contains(path) || (named && missing)
    };
    known.into_iter().filter(is_gone).collect()
}

/// The first line of each file, and what the environment says.
fn passwords(files: &[PathBuf]) -> Result<Vec<Password>> {
    /// Nobody types more, and a device never ends.
    const MAX: u64 = 64 << 10;
    let mut passwords = Vec::new();
    for path in files {
        let mut text = Zeroizing::new(String::with_capacity(MAX as usize));
        File::open(path)
            .and_then(|file| file.take(MAX).read_to_string(&mut text))
            .with_context(|| format!("cannot read the password file {}", path.display()))?;
        passwords.push(Password::new(text.lines().next().unwrap_or_default()));
    }
    if let Some(text) = env::var_os(PASSWORD) {
        let text = text.into_string();
        // The text itself is in no message.
        passwords
            .push(Password::new(text.ok().with_context(|| format!("{PASSWORD} is not text"))?));
    }
    Ok(passwords)
}

/// What became of everything that was named.
#[derive(Default)]
struct Outcome {
    files: Vec<FileJson>,
    problems: Vec<ProblemJson>,
    passed: Vec<ProblemJson>,
    /// Known files in which there is nothing of ours any more.
    nothing: BTreeSet<String>,
}

impl Outcome {
    /// Notes what was told, and returns what is to be stored.
    fn take(&mut self, told: Told, known: &mut BTreeSet<String>) -> Option<FoundFile> {
        match told {
            Told::Found(file, notes) => {
                known.remove(&file.path);
                self.files.push(FileJson::new(&file, notes));
                return Some(file);
            }
            Told::Nothing { path, notes } => {
                let told = |reason| ProblemJson { path: path.clone(), reason };
                self.passed.extend(notes.into_iter().map(told));
                if known.contains(&path) {
                    self.nothing.insert(path);
                }
            }
            Told::Failed { path, reason } => self.problems.push(ProblemJson { path, reason }),
            Told::Passed { path, reason } => self.passed.push(ProblemJson { path, reason }),
        }
        None
    }

    fn report(&mut self, review: &ReviewSummary, format: Format) -> Result<()> {
        let findings = finding::open(&review.findings, Severity::Info);
        for file in &self.files {
            for note in &file.notes {
                tell::line(&format!("{}: {note}", file.path));
            }
        }
        for passed in &self.passed {
            tell::line(&format!("passed over: {}: {}", passed.path, passed.reason));
        }
        for problem in &self.problems {
            tell::line(&format!("not read: {}: {}", problem.path, problem.reason));
        }
        let distinct: BTreeSet<&str> = self
            .files
            .iter()
            .flat_map(|file| &file.certificates)
            .map(|held| held.sha256.as_str())
            .collect();
        let summary = format!(
            "{}, {} with a private key, {}, {}; {} not read",
            count(self.files.len() as u64, "file", "files"),
            self.files.iter().filter(|file| file.private_key != PrivateKey::None.as_str()).count(),
            count(distinct.len() as u64, "certificate", "certificates"),
            count(findings.len() as u64, "open finding", "open findings"),
            self.problems.len(),
        );
        if format == Format::Json {
            print_json(&CollectJson {
                files: &self.files,
                problems: &self.problems,
                findings: findings
                    .into_iter()
                    .map(|found| finding::json(found, &review.compared.owners))
                    .collect(),
            })?;
        } else {
            let mut text = self.table();
            if !findings.is_empty() {
                text.push('\n');
                text.push_str(&finding::table(&findings));
            }
            print(&text)?;
        }
        tell::line(&summary);
        Ok(())
    }

    fn table(&self) -> String {
        let mut table = Table::new(&["format", "key", "mode", "certificates", "path"]);
        let sorted: BTreeMap<&str, &FileJson> =
            self.files.iter().map(|file| (file.path.as_str(), file)).collect();
        for file in sorted.values() {
            table.row([
                file.format.to_owned(),
                file.private_key.to_owned(),
                file.mode.clone(),
                file.certificates.len().to_string(),
                file.path.clone(),
            ]);
        }
        table.render()
    }
}
