//! The files of what was named, read one by one.
//!
//! Folders are walked; a link to a file is followed, and the file keeps the link's path, which
//! in a mount of Kubernetes is the one that stays. A link to a folder is not: what it leads to
//! inside of what was named is walked anyway, and outside nobody named it. Nothing is read
//! twice, whatever leads there. Only plain files are opened: a FIFO or a device may wait for
//! ever or do something. What fails costs its own place and the rest goes on.

use std::{
    collections::{HashSet, VecDeque},
    ffi::{OsStr, OsString},
    fs::{self, File, Metadata, OpenOptions},
    io::{self, ErrorKind, Read as _},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use certs::store::{self, Mention, Password, PrivateKey, ReadError};
use inventory::file::FoundFile;
use zeroize::Zeroizing;

/// Bytes that are read of one file. The bundles of all public authorities have some 250 KiB.
const MAX_BYTES: u64 = 16 << 20;
/// Files, links and folders that are looked at in all.
const MAX_ENTRIES: u64 = 4 << 20;
/// Folders in folders deeper than this are given up on.
const MAX_DEPTH: u8 = 64;
/// Folders above a configuration file in which a relative path of it is looked for.
const ABOVE: usize = 4;

/// What there is to say of a path.
#[derive(Debug)]
pub(super) enum Told {
    /// There are certificates or a key in it, and of some of it there is a note.
    Found(FoundFile, Vec<String>),
    /// It was read, and there is neither a certificate nor a key in it, perhaps with a note.
    Nothing { path: String, notes: Vec<String> },
    /// It was not read, or nothing could be had from it: the run is not whole.
    Failed { path: String, reason: String },
    /// It was passed over, as it should be.
    Passed { path: String, reason: String },
}

/// Walks what was named.
pub(super) fn walk(named: &[PathBuf], passwords: &[Password], tell: &mut dyn FnMut(Told)) {
    let mut walk = Walk {
        passwords,
        tell,
        seen: HashSet::new(),
        left: MAX_ENTRIES,
        mentioned: VecDeque::new(),
    };
    for path in named {
        walk.named(path, None);
    }
    // What a configuration names may itself be one, if somebody wrote it so.
    while let Some((file, mention)) = walk.mentioned.pop_front() {
        walk.mentioned(&file, &mention);
    }
}

struct Walk<'a> {
    passwords: &'a [Password],
    tell: &'a mut dyn FnMut(Told),
    /// Device and number of every file and folder that was read.
    seen: HashSet<(u64, u64)>,
    left: u64,
    /// What configuration files name, with the file that does.
    mentioned: VecDeque<(PathBuf, Mention)>,
}

/// Who wanted a file.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Wanted {
    /// Somebody who named it.
    Itself,
    /// Somebody who named a folder.
    Folder,
}

impl Walk<'_> {
    fn failed(&mut self, path: &Path, reason: impl Into<String>) {
        (self.tell)(Told::Failed { path: text(path), reason: reason.into() });
    }

    fn passed(&mut self, path: &Path, reason: impl Into<String>) {
        (self.tell)(Told::Passed { path: text(path), reason: reason.into() });
    }

    /// Something that was named, by the user or by the configuration file `by`.
    fn named(&mut self, path: &Path, by: Option<&str>) {
        let path = match std::path::absolute(path) {
            Ok(path) => path,
            Err(error) => return self.failed(path, error.to_string()),
        };
        let by = by.map_or_else(String::new, |by| format!(" ({by})"));
        match fs::metadata(&path) {
            Err(error) => self.failed(&path, format!("{}{by}", why(&error))),
            Ok(metadata) if metadata.is_dir() => self.folder(&path, &path, MAX_DEPTH),
            Ok(metadata) if metadata.is_file() => self.file(&path, &metadata, Wanted::Itself),
            Ok(metadata) => self.failed(&path, format!("{} is not opened{by}", kind(&metadata))),
        }
    }

    /// A folder below `root`, which was named.
    fn folder(&mut self, path: &Path, root: &Path, depth: u8) {
        let Some(depth) = depth.checked_sub(1) else {
            return self.failed(path, "it is too deep in its folders; name it by itself");
        };
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) => return self.failed(path, why(&error)),
        };
        if !self.seen.insert((metadata.dev(), metadata.ino())) {
            return;
        }
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) => return self.failed(path, why(&error)),
        };
        // Files, then links, then folders, so that a link gives its name to a file that lies
        // deeper, and each kind by name, so that it is the same one every time.
        let mut names: [Vec<OsString>; 3] = Default::default();
        for entry in entries {
            let Some(left) = self.left.checked_sub(1) else {
                let reason =
                    format!("more than {MAX_ENTRIES} files are not looked at; name its parts");
                return self.failed(path, reason);
            };
            self.left = left;
            let kind = entry.and_then(|entry| Ok((entry.file_type()?, entry.file_name())));
            match kind {
                Ok((kind, name)) if kind.is_file() => names[0].push(name),
                Ok((kind, name)) if kind.is_symlink() => names[1].push(name),
                Ok((kind, name)) if kind.is_dir() => names[2].push(name),
                Ok((_, name)) => self.passed(&path.join(name), "no plain file, and not opened"),
                Err(error) => self.failed(path, why(&error)),
            }
        }
        names.iter_mut().for_each(|names| {
            names.sort_unstable_by(|a, b| (is_hash(a), a).cmp(&(is_hash(b), b)));
        });
        let [files, links, folders] = names;
        for path in files.into_iter().map(|name| path.join(name)) {
            match fs::symlink_metadata(&path) {
                Ok(metadata) => self.file(&path, &metadata, Wanted::Folder),
                Err(error) => self.failed(&path, why(&error)),
            }
        }
        for name in links {
            self.link(&path.join(name), root);
        }
        for name in folders {
            self.folder(&path.join(name), root, depth);
        }
    }

    fn link(&mut self, path: &Path, root: &Path) {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                let inside = fs::canonicalize(path)
                    .and_then(|target| Ok(target.starts_with(fs::canonicalize(root)?)));
                if !inside.unwrap_or(false) {
                    self.passed(path, "a link to a folder outside; name it to have it read");
                }
            }
            Ok(metadata) if metadata.is_file() => self.file(path, &metadata, Wanted::Folder),
            Ok(metadata) => self.passed(path, format!("a link to {}, not opened", kind(&metadata))),
            Err(error) => self.failed(path, format!("a link: {}", why(&error))),
        }
    }

    /// A plain file, as far as `metadata` knows.
    fn file(&mut self, path: &Path, metadata: &Metadata, wanted: Wanted) {
        if !metadata.is_file() {
            return self.passed(path, format!("{}, not opened", kind(metadata)));
        }
        if !self.seen.insert((metadata.dev(), metadata.ino())) {
            return;
        }
        let (bytes, mode, is_cut) = match contents(path) {
            Ok(read) => read,
            Err(error) => return self.failed(path, why(&error)),
        };
        let mentions = match is_text(&bytes) {
            true => store::mentions(&bytes),
            false => Vec::new(),
        };
        let is_configuration = !mentions.is_empty();
        self.mentioned.extend(mentions.into_iter().map(|mention| (path.to_owned(), mention)));
        let told = match store::read(&bytes, self.passwords, store::ROUNDS) {
            Ok(Some(holdings)) => {
                let mut notes = holdings.notes;
                if is_cut {
                    notes.push(format!("only its first {} MiB were read", MAX_BYTES >> 20));
                }
                let is_empty =
                    holdings.certificates.is_empty() && holdings.private_key == PrivateKey::None;
                if is_empty {
                    Told::Nothing { path: text(path), notes }
                } else {
                    let file = FoundFile {
                        path: text(path),
                        format: holdings.format,
                        private_key: holdings.private_key,
                        mode,
                        certificates: holdings.certificates,
                    };
                    Told::Found(file, notes)
                }
            }
            Ok(None) if wanted == Wanted::Itself && !is_configuration => Told::Failed {
                path: text(path),
                reason: "there is neither a certificate nor a private key in it".to_owned(),
            },
            Ok(None) => Told::Nothing { path: text(path), notes: Vec::new() },
            Err(why) => {
                let advice = match why {
                    ReadError::WrongPassword { .. } => {
                        "; give it with --password-file or DAICHO_CERTIFICATES_PASSWORD"
                    }
                    _ => "",
                };
                Told::Failed { path: text(path), reason: format!("{why}{advice}") }
            }
        };
        (self.tell)(told);
    }

    /// A path that a configuration file names.
    fn mentioned(&mut self, file: &Path, mention: &Mention) {
        let by = format!("{} in {}, line {}", mention.directive, text(file), mention.line);
        let named = mention.path.as_str();
        if named.contains('$') || named.contains("%{") {
            return self
                .passed(Path::new(named), format!("a variable, of which nothing is known ({by})"));
        }
        if named.split_once(':').is_some_and(|(scheme, _)| !scheme.contains('/')) {
            return self.passed(Path::new(named), format!("no file ({by})"));
        }
        // A relative path is relative to a folder that the server was built with. It is the
        // file's own, or one above it, in every layout that distributions ship.
        let folders = file.ancestors().skip(1).take(ABOVE).map(|folder| folder.join(named));
        let there = folders.clone().find(|path| path.exists());
        let path = there.or_else(|| folders.into_iter().next());
        self.named(&path.unwrap_or_else(|| PathBuf::from(named)), Some(&by));
    }
}

/// At most [`MAX_BYTES`] of the file, its permission bits, and whether there is more of it. The bytes are wiped when they
/// are dropped: there may be a key among them.
fn contents(path: &Path) -> io::Result<(Zeroizing<Vec<u8>>, u32, bool)> {
    // Should the file have become a FIFO since it was looked at, opening it does not wait.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let metadata = File::metadata(&file)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no plain file any more"));
    }
    // Room for all of it, so that no growing leaves a copy behind.
    let room = usize::try_from(metadata.len().min(MAX_BYTES)).unwrap_or_default();
    let mut bytes = Zeroizing::new(Vec::with_capacity(room.saturating_add(1)));
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok((bytes, metadata.mode() & 0o7777, metadata.len() > MAX_BYTES))
}

/// Whether a name is one of those that OpenSSL finds certificates by, such as `653b494a.0`: the
/// least telling of the names of a file.
fn is_hash(name: &OsStr) -> bool {
    let name = name.to_str().and_then(|name| name.split_once('.'));
    name.is_some_and(|(hash, number)| {
        hash.len() == 8
            && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
            && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn is_text(bytes: &[u8]) -> bool {
    !bytes.iter().take(1024).any(|byte| *byte == 0)
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// What the system said, and what to do about it.
fn why(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        ErrorKind::PermissionDenied => {
            "this user may not read it; run as one who may, or leave it out".to_owned()
        }
        _ if error.raw_os_error() == Some(libc::ELOOP) => {
            "the links lead round in a circle".to_owned()
        }
        _ => format!("it cannot be read: {error}"),
    }
}

fn kind(metadata: &Metadata) -> &'static str {
    let kind = metadata.file_type();
    if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_symlink() {
        "a link"
    } else {
        "a device"
    }
}
