//! What others saw, as they wrote it down: leases and logs of DHCP servers, neighbour tables,
//! results of other scanners.
//!
//! Turns bytes into observations of the method [`Method::Import`](model::Method::Import), one
//! file per format. The time of a record decides when it was seen, not the time of reading; a
//! line that cannot be read is a problem with its number and hides no other. Nothing here
//! opens a file, reads a clock or knows where the bytes came from. They may be anybody's:
//! nothing indexes or panics, and no entity of XML is ever expanded.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::allow_attributes,
        reason = "a test may fail loudly"
    )
)]

mod arp;
mod dhcpd_leases;
mod dnsmasq_leases;
mod format;
mod ip_neigh;
mod kea;
mod kea_json;
mod log;
mod masscan;
mod naabu;
mod nmap;
mod record;
mod snmp_walk;
mod time;
mod windows;

use std::sync::Arc;

use encoding_rs::SHIFT_JIS;
use model::{Observation, Timestamp, Vantage};

pub use format::{Family, Format};
pub use time::{Civil, LocalTime};

use record::Out;

/// The longest line that is read, in bytes.
pub const MAX_LINE: usize = 64 << 10;

/// The largest document that is read as a whole (XML, JSON), in bytes.
pub const MAX_DOCUMENT: usize = 512 << 20;

/// What the reading of a file depends on beside its bytes.
#[derive(Clone, Debug)]
pub struct Context {
    /// Where we stand.
    pub vantage: Vantage,
    /// Now: nothing was seen later.
    pub as_of: Timestamp,
    /// When the file was last written: the time of what says none, such as a line of a
    /// neighbour table.
    pub written: Timestamp,
    /// What times without an offset from UTC mean.
    pub local: LocalTime,
}

/// What comes out of a file.
#[expect(clippy::large_enum_variant, reason = "nearly all are observations, and none is kept")]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Item {
    /// Something that was seen.
    Observation(Observation),
    /// Something that could not be read.
    Problem(Problem),
}

/// A record that could not be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// The number of its line, from 1 on; in XML and JSON the line on which it ends.
    pub line: u64,
    /// What is wrong, in words for the user.
    pub reason: String,
}

/// What was read so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Records that told something.
    pub records: u64,
    /// Observations made of them.
    pub observations: u64,
    /// Records that could not be read.
    pub problems: u64,
}

/// Reads one file, piece by piece.
pub struct Importer {
    format: Format,
    context: Context,
    reading: Reading,
    counts: Counts,
    /// The number of the line that is read next.
    next: u64,
    /// The beginning of a line whose end has not come, or of a document.
    rest: Vec<u8>,
    /// Whether that line is too long, so that its rest is passed over.
    skipping: bool,
}

impl std::fmt::Debug for Importer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Importer").field("format", &self.format).finish_non_exhaustive()
    }
}

/// How a format is read.
enum Reading {
    /// Line by line.
    Lines(Box<dyn Lines + Send>),
    /// When all of it is there.
    Document(fn(&[u8], &mut Out<'_>)),
}

/// A reader of lines.
trait Lines {
    /// Reads a line, without its end.
    fn line(&mut self, line: &str, out: &mut Out<'_>) -> Result<(), Wrong>;
}

/// Why a record tells nothing, in words for the user.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Wrong(String);

fn wrong<T>(reason: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong(reason.into()))
}

impl Importer {
    /// Prepares to read a file of that format.
    #[must_use]
    pub fn new(format: Format, context: Context) -> Self {
        let reading = match format {
            Format::Log => lines(log::Log::default()),
            Format::DhcpdLeases => lines(dhcpd_leases::Leases::default()),
            Format::DnsmasqLeases => lines(dnsmasq_leases::Leases),
            Format::KeaCsv => lines(kea::Leases::default()),
            Format::KeaJson => Reading::Document(kea_json::read),
            Format::WindowsDhcp => lines(windows::Audit::default()),
            Format::IpNeigh => lines(ip_neigh::Table),
            Format::Arp => lines(arp::Table),
            Format::SnmpWalk => lines(snmp_walk::Walk),
            Format::NmapXml => Reading::Document(nmap::read),
            Format::MasscanJson => lines(masscan::Json),
            Format::MasscanList => lines(masscan::List),
            Format::NaabuJson => lines(naabu::Json),
        };
        let counts = Counts::default();
        Self { format, context, reading, counts, next: 1, rest: Vec::new(), skipping: false }
    }

    /// The format.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// What was read so far.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Time goes on while a file that grows is followed.
    pub const fn set_time(&mut self, as_of: Timestamp) {
        self.context.as_of = as_of;
        self.context.written = as_of;
    }

    /// Takes the next bytes. What they say whole is handed to `sink` at once.
    pub fn feed(&mut self, bytes: &[u8], sink: &mut dyn FnMut(Item)) {
        if matches!(self.reading, Reading::Document(_)) {
            let room = MAX_DOCUMENT.saturating_add(1).saturating_sub(self.rest.len());
            self.rest.extend(bytes.iter().take(room));
            return;
        }
        let mut bytes = bytes;
        while let Some(at) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at_checked(at).unwrap_or((bytes, &[]));
            bytes = rest.get(1..).unwrap_or_default();
            self.keep(line);
            self.line(sink);
        }
        self.keep(bytes);
    }

    /// Takes the end of the file: a last line without an end is one, too.
    pub fn end(&mut self, sink: &mut dyn FnMut(Item)) {
        match self.reading {
            Reading::Document(read) => {
                let bytes = std::mem::take(&mut self.rest);
                let mut out = Out::new(&self.context, &mut self.counts, sink, 1);
                if bytes.len() > MAX_DOCUMENT {
                    let most = MAX_DOCUMENT >> 20;
                    out.problem(Wrong(format!(
                        "it is larger than {most} MiB, the most that is read"
                    )));
                } else {
                    read(&bytes, &mut out);
                }
            }
            Reading::Lines(_) if !self.rest.is_empty() || self.skipping => self.line(sink),
            Reading::Lines(_) => {}
        }
    }

    /// Keeps a piece of a line, unless that is too long.
    fn keep(&mut self, piece: &[u8]) {
        self.skipping |= self.rest.len().saturating_add(piece.len()) > MAX_LINE;
        if self.skipping {
            self.rest.clear();
        } else {
            self.rest.extend(piece);
        }
    }

    /// Reads the line that is kept.
    fn line(&mut self, sink: &mut dyn FnMut(Item)) {
        let bytes = std::mem::take(&mut self.rest);
        let skipped = std::mem::take(&mut self.skipping);
        let number = self.next;
        self.next = self.next.saturating_add(1);
        let mut out = Out::new(&self.context, &mut self.counts, sink, number);
        let Reading::Lines(lines) = &mut self.reading else { return };
        let read = match skipped {
            true => wrong(format!("it is longer than {} KiB", MAX_LINE >> 10)),
            false => {
                let text = text(&bytes, number == 1);
                match text.trim_end().is_empty() {
                    true => Ok(()),
                    false => lines.line(text.trim_end(), &mut out),
                }
            }
        };
        if let Err(wrong) = read {
            out.problem(wrong);
        }
    }
}

fn lines(reader: impl Lines + Send + 'static) -> Reading {
    Reading::Lines(Box::new(reader))
}

/// The text of a line: UTF-8, or where it is none, CP932, in which servers in Japan write; that
/// takes any byte. The first may have a mark.
fn text(bytes: &[u8], is_first: bool) -> String {
    let bytes = match is_first {
        true => bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes),
        false => bytes,
    };
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => SHIFT_JIS.decode_without_bom_handling(bytes).0.into_owned(),
    }
}

/// Reads a whole file: what was seen, and what could not be read.
#[must_use]
pub fn read(bytes: &[u8], format: Format, context: &Context) -> (Vec<Observation>, Vec<Problem>) {
    let (mut observations, mut problems) = (Vec::new(), Vec::new());
    let mut sink = |item| match item {
        Item::Observation(observation) => observations.push(observation),
        Item::Problem(problem) => problems.push(problem),
    };
    let mut importer = Importer::new(format, context.clone());
    importer.feed(bytes, &mut sink);
    importer.end(&mut sink);
    (observations, problems)
}

impl LocalTime {
    /// That many seconds east of UTC, all the year.
    #[must_use]
    pub fn fixed(seconds_east: i32) -> Self {
        let shift = i64::from(seconds_east);
        Self::new(Arc::new(move |civil: Civil| {
            Some(civil.as_utc()?.plus_seconds(shift.saturating_neg()))
        }))
    }
}
