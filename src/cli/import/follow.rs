//! A log that is read on as it grows.
//!
//! It is looked at several times a second: more at its end is read, another file under its name is
//! read from its beginning after the rest of the old one, and one that has become shorter was
//! emptied and begins anew. What it tells is stored at once, and turned into assets from time to
//! time, so that the inventory is never far behind.

use std::{
    fs::{self, File, Metadata},
    io::Read as _,
    os::unix::fs::MetadataExt as _,
    path::Path,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use inventory::store::{Sink, Store};
use model::{Gap, ScanId};
use scanner::{
    import::{Counts, Format as FileFormat, Importer, Item},
    net::clock::Clock,
};
use tokio::runtime::Handle;

use super::{Imported, Outcome, PIECE, Reading, Taking, named, source::whole_lines};
use crate::clock;

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// How often conclusions are drawn, if anything is new; with a large inventory, so seldom that
/// it takes a twentieth of the time.
const CONCLUDE: Duration = Duration::from_secs(5);
const SHARE: u32 = 20;

/// How much of a file is read before its format must be known. Other programs' lines may stand
/// at its beginning, so that what says nothing by then is a log.
const UNKNOWN: usize = 64 << 10;

/// The file that is read now.
pub(super) struct Open {
    file: File,
    /// Which it is, whatever its name.
    id: (u64, u64),
    /// How much of it was read.
    at: u64,
    importer: Option<Importer>,
    /// What was read before the format was known.
    unread: Vec<u8>,
}

/// Opens a file that is to be followed.
pub(super) fn open(path: &Path, format: Option<FileFormat>) -> Result<Open> {
    if let Some(format) = format.filter(|format| !format.grows()) {
        bail!("--type {format}: such a file does not grow, so there is nothing to follow");
    }
    Open::new(path)
}

/// Follows the file until the end is asked for.
pub(super) fn follow(
    reading: &Reading<'_>,
    (path, mut open): (&Path, Open),
    store: &Store,
    scan: ScanId,
    sink: &Sink,
    outcome: &mut Outcome,
) -> Result<()> {
    let name = named(path);
    let taking = Taking::new(&name, sink, reading.stop);
    let mut take = |item: Item| taking.take(item);
    let mut total = Counts::default();
    let mut format = None;
    let time = Clock::start();
    let (mut next, mut concluded) = (CONCLUDE, 0);
    while !reading.stop.is_requested() {
        let read = open.read(reading, &mut take)?;
        format = open.importer.as_ref().map(Importer::format).or(format);
        if time.now() >= next {
            let observed = total.observations + open.counts().observations;
            let before = time.now();
            if observed > concluded {
                concluded = observed;
                draw(reading, store, scan, outcome)?;
            }
            let took = time.now().saturating_sub(before);
            next = time.now() + CONCLUDE.max(took * SHARE);
        }
        if read > 0 {
            continue;
        }
        match fs::metadata(path) {
            Ok(now) if id(&now) != open.id => {
                // The old one may have grown until it was renamed.
                while open.read(reading, &mut take)? > 0 {}
                total = sum(total, open.close(reading, &mut take));
                match Open::new(path) {
                    Ok(new) => open = new,
                    // It was renamed once more: it is looked for again.
                    Err(_) => open.id = (0, 0),
                }
            }
            Ok(now) if now.len() < open.at => {
                total = sum(total, open.close(reading, &mut take));
                open = Open::new(path)?;
            }
            // Between the two there may be none.
            Ok(_) | Err(_) => thread::sleep(LOOK),
        }
    }
    // What was written before the end was asked for is there by now, but for a line of which
    // the end may be under way.
    while open.read(reading, &mut take)? > 0 {}
    if open.importer.is_none() && !open.unread.is_empty() {
        open.begin(FileFormat::Log, reading, &mut take);
    }
    format = open.importer.as_ref().map(Importer::format).or(format);
    total = sum(total, open.counts());
    let problems = total.problems;
    let gaps = taking.gaps(Counts { problems, ..Counts::default() });
    // That the end was asked for is no gap here.
    let stopped = |gap: &Gap| gap.target == name && gap.reason == reading.stop.reason();
    outcome.gaps.extend(gaps.into_iter().filter(|gap| !stopped(gap)));
    outcome.notes.imports.push(Imported { path: name, format, counts: total });
    Ok(())
}

/// Turns what is stored so far into assets and findings.
fn draw(reading: &Reading<'_>, store: &Store, scan: ScanId, outcome: &mut Outcome) -> Result<()> {
    let handle = Handle::current();
    let digest = handle.block_on(store.digest(scan, clock::now()))?;
    outcome.notes.seen.extend(digest.assets.iter().map(|asset| asset.id));
    handle.block_on(store.review(clock::now(), &reading.settings.policy))?;
    Ok(())
}

fn id(about: &Metadata) -> (u64, u64) {
    (about.dev(), about.ino())
}

fn sum(a: Counts, b: Counts) -> Counts {
    Counts {
        records: a.records + b.records,
        observations: a.observations + b.observations,
        problems: a.problems + b.problems,
    }
}

impl Open {
    fn new(path: &Path) -> Result<Self> {
        let failed = || format!("cannot read {}", path.display());
        let file = File::open(path).with_context(failed)?;
        let about = file.metadata().with_context(failed)?;
        if !about.is_file() {
            bail!("{} is no file that could be followed", path.display());
        }
        Ok(Self { file, id: id(&about), at: 0, importer: None, unread: Vec::new() })
    }

    fn counts(&self) -> Counts {
        self.importer.as_ref().map(Importer::counts).unwrap_or_default()
    }

    /// Reads what is there, and returns how much that was.
    fn read(&mut self, reading: &Reading<'_>, sink: &mut dyn FnMut(Item)) -> Result<usize> {
        let mut piece = vec![0; PIECE];
        let len = self.file.read(&mut piece).context("cannot read on")?;
        piece.truncate(len);
        self.at = self.at.saturating_add(len as u64);
        if len == 0 {
            return Ok(0);
        }
        if let Some(importer) = &mut self.importer {
            importer.set_time(clock::now());
            importer.feed(&piece, sink);
            return Ok(len);
        }
        self.unread.append(&mut piece);
        let known = reading.read.file_format.or_else(|| {
            let lines = whole_lines(&self.unread);
            FileFormat::of(lines, reading.family).filter(|format| format.grows())
        });
        let is_log = self.unread.len() >= UNKNOWN;
        if let Some(format) = known.or(is_log.then_some(FileFormat::Log)) {
            self.begin(format, reading, sink);
        }
        Ok(len)
    }

    fn begin(&mut self, format: FileFormat, reading: &Reading<'_>, sink: &mut dyn FnMut(Item)) {
        let mut importer = Importer::new(format, reading.context(clock::now()));
        importer.feed(&std::mem::take(&mut self.unread), sink);
        self.importer = Some(importer);
    }

    /// Ends with it: a last line may have no end.
    fn close(&mut self, reading: &Reading<'_>, sink: &mut dyn FnMut(Item)) -> Counts {
        if self.importer.is_none() && !self.unread.is_empty() {
            self.begin(FileFormat::Log, reading, sink);
        }
        let Some(mut importer) = self.importer.take() else { return Counts::default() };
        importer.end(sink);
        importer.counts()
    }
}
