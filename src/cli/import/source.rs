//! A file to be imported, or standard input.

use std::{
    fs::File,
    io::{self, Cursor, Read, Seek, SeekFrom},
    path::Path,
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, bail};
use model::Timestamp;
use scanner::{
    import::{Family, Format},
    stop::Stop,
};

use crate::{cli::import::named, clock};

/// How much is looked at to find out the format.
const HEAD: usize = 64 << 10;

/// How long a stream is waited for before it is looked whether the end was asked for.
const LOOK: Duration = Duration::from_millis(100);

/// Something that is read once, or twice where nothing may be stored before all of it was.
pub(super) struct Source {
    pub(super) name: String,
    /// What it was found to be.
    pub(super) format: Option<Format>,
    /// When it was written last; now, where that is not known.
    pub(super) written: Timestamp,
    bytes: Bytes,
    /// What was looked at, which is read first.
    head: Cursor<Vec<u8>>,
}

enum Bytes {
    File(File),
    /// What cannot be read again.
    Stream(Stream),
    /// All of such a stream.
    Kept(Cursor<Vec<u8>>),
}

/// A pipe may be silent for long. A thread waits for it, so that we need not.
struct Stream {
    pieces: Receiver<io::Result<Vec<u8>>>,
    /// What came and was not taken yet.
    rest: Cursor<Vec<u8>>,
    stop: Stop,
}

impl Source {
    /// Opens it. `twice` says that it will be read again from its beginning.
    pub(super) fn open(path: &Path, twice: bool, stop: &Stop) -> Result<Self> {
        let name = named(path);
        let failed = || format!("cannot read {name}");
        let stream = |bytes| Bytes::Stream(Stream::of(bytes, stop.clone()));
        let (mut bytes, written) = if path.as_os_str() == "-" {
            (stream(Box::new(io::stdin())), None)
        } else {
            let file = File::open(path).with_context(failed)?;
            let about = file.metadata().with_context(failed)?;
            if about.is_dir() {
                bail!("{name} is a folder");
            }
            match about.is_file() {
                true => (Bytes::File(file), about.modified().ok().and_then(moment)),
                false => (stream(Box::new(file)), None),
            }
        };
        if twice && matches!(bytes, Bytes::Stream(_)) {
            let mut all = Vec::new();
            bytes.read_to_end(&mut all).with_context(failed)?;
            bytes = Bytes::Kept(Cursor::new(all));
        }
        let now = clock::now();
        let written = written.map_or(now, |written| written.min(now));
        Ok(Self { name, format: None, written, bytes, head: Cursor::default() })
    }

    /// Whether it may go on for as long as somebody writes.
    pub(super) const fn is_stream(&self) -> bool {
        matches!(self.bytes, Bytes::Stream(_))
    }

    /// The format that its beginning shows. That is read all the same.
    pub(super) fn recognise(&mut self, family: Family) -> Result<Option<Format>> {
        let mut head = Vec::new();
        let mut piece = vec![0; HEAD];
        let format = loop {
            let len = self.bytes.read(&mut piece);
            let len = len.with_context(|| format!("cannot read {}", self.name))?;
            head.extend(piece.iter().take(len));
            let is_all = len == 0 || head.len() >= HEAD;
            let lines = if is_all { &head } else { whole_lines(&head) };
            let format = Format::of(lines, family);
            if format.is_some() || is_all {
                break format;
            }
        };
        self.head = Cursor::new(head);
        Ok(format)
    }

    /// Begins again.
    pub(super) fn rewind(&mut self) -> Result<()> {
        self.head = Cursor::default();
        match &mut self.bytes {
            Bytes::File(file) => file.seek(SeekFrom::Start(0)).map(drop)?,
            Bytes::Kept(bytes) => bytes.set_position(0),
            Bytes::Stream(_) => bail!("{} cannot be read twice", self.name),
        }
        Ok(())
    }
}

/// Without a last line whose end has not come: it might look like something else.
pub(super) fn whole_lines(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    bytes.get(..end).unwrap_or_default()
}

impl Read for Source {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.head.read(into)? {
            0 => self.bytes.read(into),
            len => Ok(len),
        }
    }
}

impl Read for Bytes {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(into),
            Self::Stream(stream) => stream.read(into),
            Self::Kept(bytes) => bytes.read(into),
        }
    }
}

impl Stream {
    fn of(mut bytes: Box<dyn Read + Send>, stop: Stop) -> Self {
        let (hand_on, pieces) = sync_channel(4);
        // It ends with the stream, or with us: nobody waits for it.
        thread::spawn(move || {
            loop {
                let mut piece = vec![0; HEAD];
                let read = bytes.read(&mut piece).map(|len| {
                    piece.truncate(len);
                    piece
                });
                let is_last = read.as_ref().map_or(true, Vec::is_empty);
                if hand_on.send(read).is_err() || is_last {
                    return;
                }
            }
        });
        Self { pieces, rest: Cursor::default(), stop }
    }
}

impl Read for Stream {
    /// 0 at the end of the stream, or where the end was asked for.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let len = self.rest.read(into)?;
            if len > 0 {
                return Ok(len);
            }
            if self.stop.is_requested() {
                return Ok(0);
            }
            match self.pieces.recv_timeout(LOOK) {
                Ok(piece) => {
                    let piece = piece?;
                    if piece.is_empty() {
                        return Ok(0);
                    }
                    self.rest = Cursor::new(piece);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
            }
        }
    }
}

fn moment(time: SystemTime) -> Option<Timestamp> {
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_micros()).ok().map(Timestamp)
}
