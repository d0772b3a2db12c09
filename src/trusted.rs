//! Whom this machine and its organisation trust, and the revocation lists: read from files.
//!
//! The inventory is a function of what is handed to it; here is where the roots come from. A
//! file that was named and cannot be used is a mistake to be told at once: to go on without it
//! would be to accuse everything that it vouches for.

use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use certs::{
    revocation::{List, ListError, Lists},
    store::{self, PrivateKey},
};
use inventory::chain::Anchors;

use crate::tell;

/// No root is larger, and no bundle of them. The largest revocation lists have some 10 MiB.
const MAX_BYTES: u64 = 64 << 20;

/// Where the roots and the revocation lists lie.
#[derive(Clone, Debug)]
pub(crate) struct Trusted {
    /// Whether the system's roots are those that the public trusts.
    pub(crate) system: bool,
    /// Files with the organisation's own.
    pub(crate) roots: Vec<PathBuf>,
    /// Files with revocation lists, and folders of them.
    pub(crate) lists: Vec<PathBuf>,
}

impl Trusted {
    /// Reads them all.
    pub(crate) fn read(&self) -> Result<Anchors> {
        let mut anchors = Anchors::default();
        if self.system {
            anchors.public = system_roots();
        }
        for path in &self.roots {
            let roots = roots_in(path).with_context(|| {
                format!("certificates.roots: {} cannot be used", path.display())
            })?;
            anchors.own.extend(roots);
        }
        let mut lists = Vec::new();
        for path in &self.lists {
            let found = lists_at(path)
                .with_context(|| format!("certificates.crls: {} cannot be used", path.display()))?;
            for (path, list) in found {
                anchors.list_paths.push(path.display().to_string());
                lists.push(list);
            }
        }
        anchors.lists = Lists::new(lists);
        Ok(anchors)
    }
}

/// The system's roots; without any, nothing is publicly trusted, and that is said.
pub(crate) fn system_roots() -> Vec<Vec<u8>> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        for error in &found.errors {
            tell::line(&format!("the system's roots cannot be read: {}", tell::chain(error)));
        }
    }
    found.certs.into_iter().map(|root| root.to_vec()).collect()
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        bail!("it has more than {} MiB", MAX_BYTES >> 20);
    }
    Ok(bytes)
}

/// The roots in a file, as DER.
pub(crate) fn roots_in(path: &Path) -> Result<Vec<Vec<u8>>> {
    let bytes = read(path)?;
    if bytes.is_empty() {
        bail!("it is empty");
    }
    let Some(holdings) = store::read(&bytes, &[], store::ROUNDS)? else {
        bail!("there is no certificate in it")
    };
    // Whoever may read the configuration's files must not thereby have the authority's key.
    if holdings.private_key != PrivateKey::None {
        bail!("there is a private key in it; a root is its certificate alone: take the key out");
    }
    // What cannot be read of a root's file is a root that is missing.
    if let Some(note) = holdings.notes.first() {
        bail!("{note}");
    }
    let roots: Vec<Vec<u8>> = holdings.certificates.into_iter().map(|held| held.der).collect();
    for (at, root) in roots.iter().enumerate() {
        let read = certs::parse(root);
        if read.subject.is_empty() || read.spki_sha256.is_none() {
            bail!("its certificate number {} cannot be read", at.saturating_add(1));
        }
    }
    if roots.is_empty() {
        bail!("there is no certificate in it");
    }
    Ok(roots)
}

/// The lists in a file, or in the files of a folder, where what is none is passed over.
fn lists_at(path: &Path) -> Result<Vec<(PathBuf, List)>> {
    if !path.is_dir() {
        let lists = List::all_in(&read(path)?)?;
        return Ok(lists.into_iter().map(|list| (path.to_owned(), list)).collect());
    }
    let mut files: Vec<PathBuf> = fs::read_dir(path)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|file| file.is_file());
    files.sort();
    let mut found = Vec::new();
    for file in files {
        let within = || format!("{} in it", file.display());
        match List::all_in(&read(&file).with_context(within)?) {
            Ok(lists) => found.extend(lists.into_iter().map(|list| (file.clone(), list))),
            // Whatever else lies there; but what is called a list has to be one.
            Err(ListError::None) if file.extension().is_none_or(|end| end != "crl") => {}
            Err(error) => return Err(error).with_context(within),
        }
    }
    Ok(found)
}
