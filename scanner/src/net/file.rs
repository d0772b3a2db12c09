//! Capture files, pcap and pcapng, to frames; unpacked on the way where gzip or zstd packed them.
//!
//! Read as a stream within bounded memory. A file that is cut or broken somewhere gives all
//! that comes before, and a gap that says where it stopped: captures are stopped by full
//! disks and by signals more often than in good order.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use model::{Gap, Timestamp};
use pcap_parser::{
    Block, Linktype, PcapBlockOwned, PcapError, PcapHeader, create_reader,
    pcapng::InterfaceDescriptionBlock, traits::PcapNGPacketBlock,
};
use thiserror::Error;

use crate::capture::LinkType;

/// How much of the file is held at first; a block must fit as a whole.
const BUFFER: usize = 64 << 10;

/// How far the buffer grows for one block: more than the largest frame that any tool takes
/// (256 KiB), and less than would hurt. A longer block ends the reading.
const LARGEST_BUFFER: usize = 16 << 20;

/// How many interfaces of one pcapng section are known; a file of nothing but interface
/// descriptions would fill the memory otherwise.
const MOST_INTERFACES: usize = 4_096;

/// A capture file could not be read at all.
#[derive(Debug, Error)]
pub enum FileError {
    /// It could not be opened.
    #[error("cannot open {}", path.display())]
    Open {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is no capture file.
    #[error("{} is neither pcap nor pcapng", path.display())]
    NotACapture {
        /// Its path.
        path: PathBuf,
    },
    /// It is compressed in a way that is not read here.
    #[error("{} is compressed: unpack it first", path.display())]
    Compressed {
        /// Its path.
        path: PathBuf,
    },
    /// It says that zstd packed it, and begins otherwise.
    #[error("cannot unpack {}", path.display())]
    Unpack {
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        source: Box<ruzstd::decoding::errors::FrameDecoderError>,
    },
}

/// What was in a capture file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FileReport {
    /// Frames handed on.
    pub frames: u64,
    /// How many of them the capture had cut.
    pub cut: u64,
    /// Frames of link types that nothing is read from, by type.
    pub other_links: BTreeMap<LinkType, u64>,
    /// The time of the first and of the last frame, by the capture's clock.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Frames that the capturing system says it lost (pcapng only).
    pub drops: u64,
    /// Why it was not read to its end, or not all of it, if so.
    pub gaps: Vec<Gap>,
}

/// Reads a capture file and hands each frame to `take`: how it begins, when it came by the
/// capture's clock, and its bytes, which may be fewer than there were.
///
/// # Errors
///
/// Where it is no capture file. One that ends too soon or breaks in the middle is no error:
/// [`FileReport::gaps`] says so.
pub fn frames(
    path: &Path,
    take: &mut dyn FnMut(LinkType, Timestamp, &[u8]),
) -> Result<FileReport, FileError> {
    let file =
        File::open(path).map_err(|source| FileError::Open { path: path.to_owned(), source })?;
    frames_of(path, file, take)
}

/// The same from anything that can be read, such as a pipe. `path` is its name in messages.
///
/// # Errors
///
/// Where it is no capture.
pub fn frames_of(
    path: &Path,
    mut file: impl Read + Send,
    take: &mut dyn FnMut(LinkType, Timestamp, &[u8]),
) -> Result<FileReport, FileError> {
    let open = |source| FileError::Open { path: path.to_owned(), source };
    let mut head = Vec::new();
    file.by_ref().take(HEAD).read_to_end(&mut head).map_err(open)?;
    match head.as_slice() {
        [0x1f, 0x8b, ..] => {
            // More than one member may stand in a file: whoever appends makes them.
            let packed = io::Cursor::new(head).chain(file);
            plain_frames_of(path, flate2::read::MultiGzDecoder::new(packed), take)
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            let packed = io::Cursor::new(head).chain(file);
            let unpacked = ruzstd::decoding::StreamingDecoder::new(packed).map_err(|error| {
                FileError::Unpack { path: path.to_owned(), source: Box::new(error) }
            })?;
            plain_frames_of(path, unpacked, take)
        }
        [b'B', b'Z', b'h', ..] | [0xfd, b'7', b'z', b'X', b'Z', ..] => {
            Err(FileError::Compressed { path: path.to_owned() })
        }
        _ => plain_frames_of(path, io::Cursor::new(head).chain(file), take),
    }
}

/// How much of a file is looked at to see what it is.
const HEAD: u64 = 64;

/// The time of the first frame of a capture file; `None` where it has none, or is no capture.
/// Of a set of files it says which comes first.
#[must_use]
pub fn first_time(path: &Path) -> Option<Timestamp> {
    /// Headers and one frame of the largest kind.
    const ENOUGH: u64 = 1 << 20;
    let mut first = None;
    let file = File::open(path).ok()?.take(ENOUGH);
    // That it ends too soon is our doing.
    let _ = frames_of(path, file, &mut |_, at, _| {
        first.get_or_insert(at);
    });
    first
}

fn plain_frames_of(
    path: &Path,
    mut file: impl Read + Send,
    take: &mut dyn FnMut(LinkType, Timestamp, &[u8]),
) -> Result<FileReport, FileError> {
    let open = |source| FileError::Open { path: path.to_owned(), source };
    // pcap-parser decides by the first read, however short that is (a pipe's).
    let mut head = Vec::new();
    file.by_ref().take(HEAD).read_to_end(&mut head).map_err(open)?;
    let mut state = State {
        report: FileReport::default(),
        interfaces: Vec::new(),
        legacy: None,
        strays: 0,
        take,
    };
    let source = io::Cursor::new(head).chain(file);
    let Ok(mut reader) = create_reader(BUFFER, Whole(source)) else {
        return Err(FileError::NotACapture { path: path.to_owned() });
    };
    let gap = |reason: String| Gap { target: path.display().to_string(), reason };
    let mut capacity = BUFFER;
    let stopped = loop {
        // What the parser wants, without its borrow of the buffer.
        let wants = match reader.next() {
            Ok((len, block)) => {
                state.block(block);
                Wants::Next(len)
            }
            Err(PcapError::Eof) => break None,
            Err(PcapError::Incomplete(_)) => Wants::More,
            Err(PcapError::BufferTooSmall) => Wants::Room,
            Err(PcapError::UnexpectedEof) => break Some("the file ends in the middle of a block"),
            Err(PcapError::ReadError) => break Some("the file cannot be read further"),
            Err(_) => break Some("the file is broken"),
        };
        match wants {
            Wants::Next(len) => reader.consume_noshift(len),
            Wants::More => {
                if reader.refill().is_err() {
                    break Some("the file cannot be read further");
                }
            }
            Wants::Room => {
                capacity = capacity.saturating_mul(2);
                if capacity > LARGEST_BUFFER || !reader.grow(capacity) {
                    break Some("a block is larger than any frame");
                }
                if reader.refill().is_err() {
                    break Some("the file cannot be read further");
                }
            }
        }
    };
    let offset = reader.consumed();
    let (mut report, strays) = (state.report, state.strays);
    report.gaps.extend(stopped.map(|why| gap(format!("{why} after {offset} bytes"))));
    for (link, count) in &report.other_links {
        report.gaps.push(gap(format!("{count} frames of {link:?} link type were not read")));
    }
    if strays > 0 {
        report.gaps.push(gap(format!("{strays} frames of interfaces that it does not describe")));
    }
    if report.drops > 0 {
        report.gaps.push(gap(format!("the capture itself lost {} frames", report.drops)));
    }
    Ok(report)
}

enum Wants {
    Next(usize),
    More,
    Room,
}

/// Reads until the buffer is full or the file ends: the parser takes a short read of its first
/// block for a broken file.
struct Whole<R>(R);

impl<R: Read> Read for Whole<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.0.read(rest) {
                Ok(0) => break,
                Ok(len) => filled = filled.saturating_add(len),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) if filled > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

struct State<'a> {
    report: FileReport,
    /// Of this section of a pcapng file, in the order of their numbers.
    interfaces: Vec<Interface>,
    /// Of a pcap file.
    legacy: Option<Interface>,
    /// Frames of interfaces that the file does not describe.
    strays: u64,
    take: &'a mut dyn FnMut(LinkType, Timestamp, &[u8]),
}

/// What a frame's place in the file does not say.
#[derive(Clone, Copy, Debug)]
struct Interface {
    link: LinkType,
    /// Units of its clock in a second.
    units: u64,
    /// Seconds to add to its clock.
    offset: i64,
    /// How much of a frame it kept; 0 for all.
    snapshot: u32,
}

impl State<'_> {
    fn block(&mut self, block: PcapBlockOwned<'_>) {
        match block {
            PcapBlockOwned::LegacyHeader(header) => self.legacy = Some(of_pcap(&header)),
            PcapBlockOwned::Legacy(frame) => {
                let Some(interface) = self.legacy else { return };
                // A fraction beyond its second is a broken clock, not another second.
                let fraction = u64::from(frame.ts_usec) % interface.units;
                let time = u128::from(frame.ts_sec) * u128::from(interface.units);
                let at = moment(time + u128::from(fraction), interface);
                self.frame(interface.link, at, frame.data, frame.origlen);
            }
            PcapBlockOwned::NG(block) => self.block_of_ng(&block),
        }
    }

    fn block_of_ng(&mut self, block: &Block<'_>) {
        match block {
            Block::SectionHeader(_) => self.interfaces.clear(),
            Block::InterfaceDescription(interface) if self.interfaces.len() < MOST_INTERFACES => {
                self.interfaces.push(of_pcapng(interface));
            }
            Block::EnhancedPacket(frame) => {
                let number = usize::try_from(frame.if_id).unwrap_or(usize::MAX);
                let Some(interface) = self.interfaces.get(number).copied() else {
                    self.strays = self.strays.saturating_add(1);
                    return;
                };
                let time = (u64::from(frame.ts_high) << 32) | u64::from(frame.ts_low);
                let at = moment(time.into(), interface);
                self.frame(interface.link, at, frame.packet_data(), frame.origlen);
            }
            Block::SimplePacket(frame) => {
                // Of the first interface, without a time: that of the frame before.
                let Some(interface) = self.interfaces.first().copied() else {
                    self.strays = self.strays.saturating_add(1);
                    return;
                };
                let at = self.report.span.map_or(Timestamp(0), |(_, last)| last);
                let kept = usize::try_from(interface.snapshot).unwrap_or(usize::MAX);
                let data = frame.packet_data();
                let data = match kept {
                    0 => data,
                    kept => data.get(..kept).unwrap_or(data),
                };
                self.frame(interface.link, at, data, frame.origlen);
            }
            Block::InterfaceStatistics(statistics) => {
                /// isb_ifdrop, isb_osdrop.
                const DROPS: [u16; 2] = [5, 7];
                for option in &statistics.options {
                    if let (true, Some(count)) =
                        (DROPS.contains(&option.code.0), option.value.first_chunk::<8>())
                    {
                        // The order of bytes is the section's; a count that large is the other.
                        let (a, b) = (u64::from_le_bytes(*count), u64::from_be_bytes(*count));
                        self.report.drops = self.report.drops.saturating_add(a.min(b));
                    }
                }
            }
            _ => {}
        }
    }

    fn frame(&mut self, link: LinkType, at: Timestamp, data: &[u8], whole: u32) {
        let report = &mut self.report;
        report.frames = report.frames.saturating_add(1);
        if u32::try_from(data.len()).is_ok_and(|len| len < whole) {
            report.cut = report.cut.saturating_add(1);
        }
        if let LinkType::Other(_) = link {
            // No more types than there are numbers: 65,536 in either format that is in use.
            let count = report.other_links.entry(link).or_default();
            *count = count.saturating_add(1);
        }
        report.span = Some(report.span.map_or((at, at), |(a, b)| (a.min(at), b.max(at))));
        (self.take)(link, at, data);
    }
}

fn link_type(link: Linktype) -> LinkType {
    // The upper half of a pcap header's field holds flags (the length of the check sequence).
    LinkType::from(u32::from_ne_bytes(link.0.to_ne_bytes()) & 0xffff)
}

fn of_pcap(header: &PcapHeader) -> Interface {
    let units = if header.is_nanosecond_precision() { 1_000_000_000 } else { 1_000_000 };
    Interface { link: link_type(header.network), units, offset: 0, snapshot: header.snaplen }
}

fn of_pcapng(block: &InterfaceDescriptionBlock<'_>) -> Interface {
    /// The highest bit says that the rest is a power of two, not of ten.
    const BINARY: u8 = 0x80;
    let power = u32::from(block.if_tsresol & !BINARY);
    let base: u64 = if block.if_tsresol & BINARY == 0 { 10 } else { 2 };
    Interface {
        link: link_type(block.linktype),
        // A clock finer than 64 bits can count is none.
        units: base.checked_pow(power).unwrap_or(1_000_000),
        offset: block.if_tsoffset,
        snapshot: block.snaplen,
    }
}

/// `time` units of the interface's clock, as a moment; the end of time where it is beyond.
fn moment(time: u128, interface: Interface) -> Timestamp {
    let micros = time.saturating_mul(1_000_000) / u128::from(interface.units.max(1));
    let micros = i64::try_from(micros).unwrap_or(i64::MAX);
    Timestamp(micros.saturating_add(interface.offset.saturating_mul(1_000_000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pcap file of frames with their seconds and microseconds, in either order of bytes.
    fn pcap(big: bool, link: u32, frames: &[(u32, u32, &[u8])]) -> Vec<u8> {
        let number = |n: u32| if big { n.to_be_bytes() } else { n.to_le_bytes() };
        let version: [u8; 4] = if big { [0, 2, 0, 4] } else { [2, 0, 4, 0] };
        let mut bytes = number(0xa1b2_c3d4).to_vec();
        bytes.extend(version);
        for n in [0, 0, 65_535, link] {
            bytes.extend(number(n));
        }
        for (seconds, fraction, data) in frames {
            let len = u32::try_from(data.len()).unwrap();
            for n in [*seconds, *fraction, len, len] {
                bytes.extend(number(n));
            }
            bytes.extend(*data);
        }
        bytes
    }

    fn block(kind: u32, body: &[u8]) -> Vec<u8> {
        let padded = body.len().next_multiple_of(4);
        let len = u32::try_from(padded + 12).unwrap().to_le_bytes();
        let mut bytes = [kind.to_le_bytes(), len].concat();
        bytes.extend(body);
        bytes.resize(8 + padded, 0);
        bytes.extend(len);
        bytes
    }

    fn section() -> Vec<u8> {
        let mut body = 0x1a2b_3c4d_u32.to_le_bytes().to_vec();
        body.extend([1, 0, 0, 0]);
        body.extend([0xff; 8]);
        block(0x0a0d_0d0a, &body)
    }

    /// An interface whose clock counts 2^10 or 10^3 parts of a second.
    fn interface(link: u16, resolution: u8) -> Vec<u8> {
        let mut body = link.to_le_bytes().to_vec();
        body.extend([0; 6]);
        body.extend([9, 0, 1, 0, resolution, 0, 0, 0, 0, 0, 0, 0]);
        block(1, &body)
    }

    fn packet(interface: u32, time: u32, data: &[u8], whole: u32) -> Vec<u8> {
        let len = u32::try_from(data.len()).unwrap();
        let mut body = Vec::new();
        for n in [interface, 0, time, len, whole] {
            body.extend(n.to_le_bytes());
        }
        body.extend(data);
        block(6, &body)
    }

    type Frames = Vec<(LinkType, i64, Vec<u8>)>;

    fn all(bytes: &[u8]) -> Result<(FileReport, Frames), FileError> {
        let mut frames = Vec::new();
        let report = frames_of(Path::new("x.pcap"), bytes, &mut |link, at, data| {
            frames.push((link, at.0, data.to_vec()));
        })?;
        Ok((report, frames))
    }

    #[test]
    fn both_orders_of_bytes_are_read() {
        for big in [false, true] {
            let file = pcap(big, 1, &[(7, 5, b"abc"), (8, 0, b"")]);
            let (report, frames) = all(&file).unwrap();
            let expected = [
                (LinkType::Ethernet, 7_000_005, b"abc".to_vec()),
                (LinkType::Ethernet, 8_000_000, Vec::new()),
            ];
            assert_eq!(frames, expected);
            assert_eq!(report.frames, 2);
            assert_eq!(report.span, Some((Timestamp(7_000_005), Timestamp(8_000_000))));
            assert_eq!(report.gaps, []);
        }
    }

    #[test]
    fn sections_interfaces_and_clocks_of_pcapng_are_told_apart() {
        let file = [
            section(),
            interface(1, 3),
            interface(113, 0x80 | 10),
            packet(0, 1_500, b"abcde", 9),
            packet(1, 1_536, b"fg", 2),
            packet(7, 0, b"nobody's", 8),
            section(),
            interface(276, 6),
            packet(0, 9, b"h", 1),
        ]
        .concat();
        let (report, frames) = all(&file).unwrap();
        let expected = [
            (LinkType::Ethernet, 1_500_000, b"abcde".to_vec()),
            (LinkType::LinuxCooked, 1_500_000, b"fg".to_vec()),
            (LinkType::LinuxCooked2, 9, b"h".to_vec()),
        ];
        assert_eq!(frames, expected);
        assert_eq!((report.frames, report.cut), (3, 1));
        assert_eq!(report.gaps.len(), 1, "{:?}", report.gaps);
    }

    #[test]
    fn every_cut_gives_the_frames_before_it_and_a_gap() {
        let legacy = pcap(false, 1, &[(1, 0, b"first"), (2, 0, b"second")]);
        let modern =
            [section(), interface(1, 6), packet(0, 1, b"first", 5), packet(0, 2, b"second", 6)]
                .concat();
        for (file, least) in [(legacy, 24), (modern, 28)] {
            let (whole, frames) = all(&file).unwrap();
            assert_eq!((whole.frames, whole.gaps.len()), (2, 0));
            for len in 0..file.len() {
                match all(&file[..len]) {
                    Err(FileError::NotACapture { .. }) => assert!(len < least, "cut at {len}"),
                    Err(other) => panic!("{other}"),
                    Ok((report, some)) => {
                        assert!(frames.starts_with(&some), "cut at {len}");
                        let at_a_border = report.gaps.is_empty();
                        assert!(!at_a_border || some.len() < 2, "cut at {len}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_no_capture_is_named() {
        let check = |bytes: &[u8], expected: &str| {
            assert_eq!(all(bytes).unwrap_err().to_string(), expected);
        };
        check(b"", "x.pcap is neither pcap nor pcapng");
        check(b"GET / HTTP/1.1\r\n\r\n", "x.pcap is neither pcap nor pcapng");
        check(b"BZh91AY&SY", "x.pcap is compressed: unpack it first");
        check(&[0x28, 0xb5, 0x2f, 0xfd, 0xff], "cannot unpack x.pcap");
        let missing = frames(Path::new("no/such.pcap"), &mut |_, _, _| {}).unwrap_err();
        assert_eq!(missing.to_string(), "cannot open no/such.pcap");
    }

    #[test]
    fn what_was_packed_is_unpacked() {
        use std::io::Write;
        let file = pcap(false, 1, &[(1, 0, b"first"), (2, 0, b"second")]);
        let expected = all(&file).unwrap().1;
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&file[..30]).unwrap();
        let first = gzip.finish().unwrap();
        let mut gzip = flate2::write::GzEncoder::new(first, flate2::Compression::fast());
        gzip.write_all(&file[30..]).unwrap();
        let packed = gzip.finish().unwrap();
        assert_eq!(all(&packed).unwrap().1, expected);
        let fastest = ruzstd::encoding::CompressionLevel::Fastest;
        let zstd = ruzstd::encoding::compress_to_vec(file.as_slice(), fastest);
        assert_eq!(all(&zstd).unwrap().1, expected);
        for packed in [packed, zstd] {
            for len in 1..packed.len() {
                // What is cut gives what is before the cut.
                if let Ok((_, some)) = all(&packed[..len]) {
                    assert!(expected.starts_with(&some), "cut at {len}");
                }
            }
        }
    }

    #[test]
    fn the_first_time_says_which_file_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.pcap");
        std::fs::write(&path, pcap(true, 1, &[(9, 7, b"first"), (2, 0, b"second")])).unwrap();
        assert_eq!(first_time(&path), Some(Timestamp(9_000_007)));
        std::fs::write(&path, b"none").unwrap();
        assert_eq!(first_time(&path), None);
        assert_eq!(first_time(Path::new("no/such.pcap")), None);
    }

    #[test]
    fn a_length_without_end_costs_no_memory() {
        let mut file = pcap(false, 1, &[(1, 0, b"first")]);
        file.extend([9, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0]);
        file.extend(vec![0; 40 << 20]);
        let (report, frames) = all(&file).unwrap();
        assert_eq!((frames.len(), report.gaps.len()), (1, 1));
    }

    #[test]
    fn a_large_frame_and_another_link_are_read_and_told() {
        let large = vec![7; 200 << 10];
        let (report, frames) = all(&pcap(true, 147, &[(1, 0, &large)])).unwrap();
        assert_eq!(frames[0].2.len(), large.len());
        assert_eq!(report.other_links, BTreeMap::from([(LinkType::Other(147), 1)]));
        assert_eq!(report.gaps.len(), 1);
    }
}
