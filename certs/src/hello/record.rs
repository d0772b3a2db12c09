//! Records and the handshake messages in them (RFC 8446, section 5.1; RFC 5246, section 6.2).
//!
//! A record may come in pieces, a message may span records, and a record may hold several
//! messages: both are cut out of what has come so far.

use wire::Reader;

use super::{HelloError, MAX_BYTES};

pub(crate) const CHANGE_CIPHER_SPEC: u8 = 20;
pub(crate) const ALERT: u8 = 21;
pub(crate) const HANDSHAKE: u8 = 22;
pub(crate) const APPLICATION_DATA: u8 = 23;

/// The most that a record's length may be: 2^14, and 2,048 for what encryption adds
/// (RFC 5246, section 6.2.3).
const MAX_RECORD: usize = (1 << 14) + 2048;

/// Bytes that arrive at one end and are taken at the other.
#[derive(Debug, Default)]
struct Queue {
    bytes: Vec<u8>,
    /// Where what has not been taken starts. Taken bytes are dropped only when more arrive,
    /// so that a buffer full of tiny records is not moved once for each.
    start: usize,
}

impl Queue {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.start.min(self.bytes.len()));
        self.start = 0;
        self.bytes.extend_from_slice(bytes);
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    fn skip(&mut self, len: usize) {
        self.start = self.start.saturating_add(len);
    }
}

/// A record of the server's.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) kind: u8,
    /// Type, version and length: what authenticated encryption covers besides the contents.
    pub(crate) header: [u8; 5],
    pub(crate) body: Vec<u8>,
}

/// Cuts records out of a stream.
#[derive(Debug, Default)]
pub(crate) struct Records {
    queue: Queue,
    heard: usize,
}

impl Records {
    /// Whether nothing has come.
    pub(crate) fn is_untouched(&self) -> bool {
        self.heard == 0
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), HelloError> {
        let is_first = self.heard < 2;
        self.heard = self.heard.saturating_add(bytes.len());
        if self.heard > MAX_BYTES {
            return Err(HelloError::TooLarge);
        }
        self.queue.push(bytes);
        // Told by the first byte, before a length is believed: `HTTP` would be a record of
        // 20,527 bytes that never comes.
        let is_tls = match self.queue.rest() {
            [] => true,
            [kind] => matches!(*kind, ALERT | HANDSHAKE),
            [kind, major, ..] => matches!(*kind, ALERT | HANDSHAKE) && *major == 3,
        };
        if is_first && !is_tls { Err(HelloError::NotTls) } else { Ok(()) }
    }

    /// The next complete record.
    pub(crate) fn next(&mut self) -> Result<Option<Record>, HelloError> {
        let rest = self.queue.rest();
        let mut r = Reader::new(rest);
        let Ok(header) = r.array::<5>("record header") else { return Ok(None) };
        let [kind, major, _, high, low] = header;
        let claimed = u16::from_be_bytes([high, low]);
        let length = usize::from(claimed);
        if major != 3 || !(CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(&kind) {
            return Err(r.invalid("type", kind).into());
        }
        if length > MAX_RECORD {
            return Err(r.invalid("length", claimed).into());
        }
        let Ok(body) = r.take("fragment", length) else { return Ok(None) };
        let body = body.to_vec();
        let taken = r.offset();
        self.queue.skip(taken);
        Ok(Some(Record { kind, header, body }))
    }
}

/// A handshake message.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) kind: u8,
    /// With its type and length, for the transcript.
    pub(crate) whole: Vec<u8>,
}

impl Message {
    /// Its contents.
    pub(crate) fn body(&self) -> &[u8] {
        self.whole.get(4..).unwrap_or_default()
    }
}

/// Cuts handshake messages out of the contents of handshake records.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    queue: Queue,
}

impl Messages {
    pub(crate) fn push(&mut self, fragment: &[u8]) {
        self.queue.push(fragment);
    }

    /// Whether everything has been taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.rest().is_empty()
    }

    /// The next complete message.
    pub(crate) fn next(&mut self) -> Result<Option<Message>, HelloError> {
        let mut r = Reader::new(self.queue.rest());
        let (Ok(kind), Ok(length)) = (r.u8("msg_type"), r.u24("length")) else { return Ok(None) };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        // Refused now: the bytes would come, one by one, until the time is over.
        if length > MAX_BYTES {
            return Err(HelloError::TooLarge);
        }
        let whole = self.queue.rest().get(..length.saturating_add(4)).map(<[u8]>::to_vec);
        let Some(whole) = whole else { return Ok(None) };
        self.queue.skip(whole.len());
        Ok(Some(Message { kind, whole }))
    }
}

/// A record of ours.
pub(crate) fn write(kind: u8, version: u16, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap_or(u16::MAX);
    [&[kind][..], &version.to_be_bytes(), &length.to_be_bytes(), body].concat()
}
