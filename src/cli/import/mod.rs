//! `daicho import`: what others saw, out of files, standard input, or a log that grows.
//!
//! The files are opened and the clock is read here; what their bytes say is `scanner::import`'s.
//! An import is a scan that asked nothing and covers nothing: nobody is missed by it.

mod follow;
mod source;

use std::{
    cell::{Cell, RefCell},
    io::Read as _,
    path::Path,
    sync::Arc,
};

use anyhow::{Context as _, Result, bail};
use inventory::store::{OpenMode, Sink, Store, Writer};
use jiff::{
    civil,
    tz::{Offset, TimeZone},
};
use model::{Gap, ScanRecord, Timestamp};
use scanner::{
    import::{Civil, Context, Counts, Family, Format as FileFormat, Importer, Item, LocalTime},
    stop::Stop,
};

use self::source::Source;
use crate::{
    cli::{
        Ended,
        args::{Format, Import, ImportRead, UtcOffset},
        conclude::{Notes, conclude},
        listen_for_signals,
    },
    clock,
    compose::Settings,
    report::count,
    tell,
};

/// How many problems of one file are told one by one.
const MOST_TOLD: u64 = 1_000;

/// How much is read at once.
const PIECE: usize = 64 << 10;

/// A file that was imported, and what it told.
#[derive(Clone, Debug)]
pub(crate) struct Imported {
    pub(crate) path: String,
    /// `None` where it never said what it is.
    pub(crate) format: Option<FileFormat>,
    pub(crate) counts: Counts,
}

/// Imports the files.
pub(crate) async fn run(
    settings: &Settings,
    command: &Import,
    format: Format,
    stop: &Stop,
) -> Result<Ended> {
    let (read, family, follow) = match command {
        Import::Dhcp { read, follow } => (read, Family::Dhcp, follow.as_ref()),
        Import::Neighbors(read) => (read, Family::Neighbors, None),
        Import::Scan(read) => (read, Family::Scan, None),
    };
    if let Some(named) = read.file_format.filter(|named| named.family() != family) {
        bail!("--type {named} is the format of something else");
    }
    if read.files.is_empty() && follow.is_none() {
        bail!("no file is named; - is standard input");
    }
    let reading = Reading { settings, read, family, stop };
    listen_for_signals(stop)?;
    let mut sources = Vec::new();
    let mut followed = None;
    if let Some(path) = follow {
        followed = Some((path.as_path(), follow::open(path, read.file_format)?));
    } else {
        for path in &read.files {
            sources.push(Source::open(path, read.strict, stop)?);
        }
        // Before anything is stored, so that a mistake costs nothing.
        for source in &mut sources {
            reading.format(source)?;
        }
        if read.strict {
            reading.check(&mut sources)?;
        }
    }
    let store = Store::open(&settings.database, OpenMode::ReadWrite).await?;
    let started_at = clock::now();
    let names: Vec<String> = match follow {
        Some(path) => vec![path.display().to_string()],
        None => sources.iter().map(|source| source.name.clone()).collect(),
    };
    let vantage = &settings.vantage;
    let scan = store.begin_scan(vantage, started_at, "import", &names, "import").await?;
    let (sink, writer) = Writer::start(&store, scan)?;
    let mut outcome = Outcome::default();
    tokio::task::block_in_place(|| -> Result<()> {
        if let Some(followed) = followed.take() {
            return follow::follow(&reading, followed, &store, scan, &sink, &mut outcome);
        }
        for source in &mut sources {
            reading.import(source, &sink, &mut outcome)?;
        }
        Ok(())
    })?;
    drop(sink);
    let written = writer.finish().await?;
    for imported in &outcome.notes.imports {
        tell::line(&format!(
            "{} ({}): {}, {}, {} not read",
            imported.path,
            imported.format.map_or("of no known format", FileFormat::as_str),
            count(imported.counts.records, "record", "records"),
            count(imported.counts.observations, "observation", "observations"),
            imported.counts.problems,
        ));
    }
    let interrupted = stop.is_requested() && follow.is_none();
    let record = ScanRecord {
        vantage: vantage.clone(),
        started_at,
        ended_at: Some(clock::now()),
        io: "import".to_owned(),
        probes_sent: 0,
        replies: 0,
        drops: written.dropped,
        complete: outcome.gaps.is_empty() && !interrupted,
        gaps: outcome.gaps,
        // Whoever reads what others wrote has not looked.
        coverage: Vec::new(),
    };
    conclude(&store, scan, &record, &outcome.notes, &settings.policy, format).await?;
    store.close().await;
    // A file that is followed has no other end than a signal.
    let code = stop.exit_code().filter(|_| interrupted).unwrap_or(0);
    Ok(Ended { code, scan: Some(scan), complete: record.complete, resume_at: None })
}

/// What came of the files so far.
#[derive(Default)]
struct Outcome {
    notes: Notes,
    gaps: Vec<Gap>,
}

/// How files are read.
struct Reading<'a> {
    settings: &'a Settings,
    read: &'a ImportRead,
    family: Family,
    stop: &'a Stop,
}

impl Reading<'_> {
    /// Finds out the format of a file that is to be read as a whole.
    fn format(&self, source: &mut Source) -> Result<FileFormat> {
        let format = match self.read.file_format {
            Some(format) => Some(format),
            None => source.recognise(self.family)?,
        };
        let format = format.with_context(|| {
            let formats = FileFormat::ALL.iter().filter(|one| one.family() == self.family);
            let formats: Vec<&str> = formats.map(|format| format.as_str()).collect();
            format!(
                "{}: its contents do not say which format it has; say it with --type ({})",
                source.name,
                formats.join(", ")
            )
        })?;
        source.format = Some(format);
        Ok(format)
    }

    fn context(&self, written: Timestamp) -> Context {
        Context {
            vantage: self.settings.vantage.clone(),
            as_of: clock::now(),
            written,
            local: local_time(self.read.utc_offset),
        }
    }

    /// Reads the files without keeping anything. One problem, and nothing is imported.
    fn check(&self, sources: &mut [Source]) -> Result<()> {
        let mut problems = 0;
        for source in sources {
            let name = source.name.clone();
            let mut sink = |item| {
                if let Item::Problem(problem) = item {
                    problems += 1;
                    if problems <= MOST_TOLD {
                        tell::line(&format!("{name} line {}: {}", problem.line, problem.reason));
                    }
                }
            };
            self.pass(source, &mut sink)?;
            source.rewind()?;
        }
        if problems > 0 {
            let problems = count(problems, "problem", "problems");
            bail!("{problems} and --strict: nothing was imported");
        }
        Ok(())
    }

    /// Reads a file and stores what it tells.
    fn import(&self, source: &mut Source, sink: &Sink, outcome: &mut Outcome) -> Result<()> {
        let name = source.name.clone();
        let taking = Taking::new(&name, sink, self.stop);
        let counts = self.pass(source, &mut |item| taking.take(item))?;
        let format = source.format;
        let gaps = taking.gaps(counts);
        outcome.gaps.extend(gaps);
        outcome.notes.imports.push(Imported { path: name, format, counts });
        Ok(())
    }

    /// Reads a file from its beginning to its end, or until that is asked for.
    fn pass(&self, source: &mut Source, sink: &mut dyn FnMut(Item)) -> Result<Counts> {
        let format = match source.format {
            Some(format) => format,
            None => self.format(source)?,
        };
        let mut importer = Importer::new(format, self.context(source.written));
        let mut piece = vec![0; PIECE];
        // Of a stream is taken what has come, whatever is asked for meanwhile.
        while source.is_stream() || !self.stop.is_requested() {
            let len =
                source.read(&mut piece).with_context(|| format!("cannot read {}", source.name))?;
            if len == 0 {
                // What was interrupted ends in the middle.
                if !self.stop.is_requested() {
                    importer.end(sink);
                }
                break;
            }
            if source.is_stream() {
                importer.set_time(clock::now());
            }
            importer.feed(piece.get(..len).unwrap_or_default(), sink);
        }

        Ok(importer.counts())
    }
}

/// Where what is read goes: observations to the store, problems to the gaps.
struct Taking<'a> {
    name: &'a str,
    sink: &'a Sink,
    stop: &'a Stop,
    gaps: RefCell<Vec<Gap>>,
    told: Cell<u64>,
}

impl<'a> Taking<'a> {
    fn new(name: &'a str, sink: &'a Sink, stop: &'a Stop) -> Self {
        Self { name, sink, stop, gaps: RefCell::default(), told: Cell::new(0) }
    }

    fn take(&self, item: Item) {
        match item {
            Item::Observation(observation) => {
                // The writer says why at its end.
                if self.sink.send_blocking(observation).is_err() {
                    self.stop.request();
                }
            }
            Item::Problem(problem) => {
                self.told.set(self.told.get() + 1);
                if self.told.get() <= MOST_TOLD {
                    let target = format!("{} line {}", self.name, problem.line);
                    self.gaps.borrow_mut().push(Gap { target, reason: problem.reason });
                }
            }
        }
    }

    fn gaps(self, counts: Counts) -> Vec<Gap> {
        let mut gaps = self.gaps.into_inner();
        let more = counts.problems.saturating_sub(MOST_TOLD);
        if more > 0 {
            let reason = format!("{more} more lines were not read");
            gaps.push(Gap { target: self.name.to_owned(), reason });
        }
        if self.stop.is_requested() {
            let reason = self.stop.reason().to_owned();
            gaps.push(Gap { target: self.name.to_owned(), reason });
        }
        gaps
    }
}

/// What a time without an offset means: what the user says, or this machine's time.
fn local_time(offset: Option<UtcOffset>) -> LocalTime {
    let zone = match offset {
        Some(UtcOffset(seconds)) => {
            TimeZone::fixed(Offset::from_seconds(seconds).unwrap_or(Offset::UTC))
        }
        None => TimeZone::system(),
    };
    LocalTime::new(Arc::new(move |civil: Civil| {
        let small = |number: i64| i8::try_from(number).ok();
        let time = civil::DateTime::new(
            i16::try_from(civil.year).ok()?,
            small(civil.month)?,
            small(civil.day)?,
            small(civil.hour)?,
            small(civil.minute)?,
            // A leap second is the last of its minute.
            small(civil.second.min(59))?,
            0,
        );
        let zoned = time.ok()?.to_zoned(zone.clone()).ok()?;
        Some(Timestamp::from_seconds(zoned.timestamp().as_second()))
    }))
}

/// A path as it is told.
fn named(path: &Path) -> String {
    match path.as_os_str() == "-" {
        true => "standard input".to_owned(),
        false => path.display().to_string(),
    }
}
