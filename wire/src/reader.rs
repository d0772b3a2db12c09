use thiserror::Error;

/// A forward-only cursor over untrusted bytes.
///
/// Each method names the field it reads, in the specification's own words, so that a
/// failure can say which one. Nothing here indexes, allocates or panics.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    /// Where the next field starts.
    offset: usize,
    /// Where the field read last started.
    field_start: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the beginning of `bytes`.
    #[inline]
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, offset: 0, field_start: 0 }
    }

    /// What has not been read yet.
    #[inline]
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// How many bytes have been read.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Whether everything has been read.
    #[inline]
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Takes the next `len` bytes.
    #[inline]
    pub fn take(&mut self, field: &'static str, len: usize) -> Result<&'a [u8], Malformed> {
        self.field_start = self.offset;
        let Some((taken, rest)) = self.rest.split_at_checked(len) else {
            return Err(self.malformed(field, Problem::Truncated));
        };
        self.rest = rest;
        self.offset = self.offset.saturating_add(len);
        Ok(taken)
    }

    /// Takes the next `len` bytes, or as many as there are: for what still says
    /// something when a snapshot length cut it.
    pub fn take_up_to(&mut self, len: usize) -> &'a [u8] {
        self.field_start = self.offset;
        let (taken, rest) = self.rest.split_at_checked(len).unwrap_or((self.rest, &[]));
        self.rest = rest;
        self.offset = self.offset.saturating_add(taken.len());
        taken
    }

    /// Takes the next `N` bytes as an array.
    #[inline]
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], Malformed> {
        self.field_start = self.offset;
        let Some((taken, rest)) = self.rest.split_first_chunk() else {
            return Err(self.malformed(field, Problem::Truncated));
        };
        self.rest = rest;
        self.offset = self.offset.saturating_add(N);
        Ok(*taken)
    }

    /// Takes everything up to `end`, and `end` itself, which is not returned.
    pub fn until(&mut self, field: &'static str, end: &[u8]) -> Result<&'a [u8], Malformed> {
        self.field_start = self.offset;
        let found = match end {
            [] => None,
            [byte] => memchr::memchr(*byte, self.rest),
            _ => memchr::memmem::find(self.rest, end),
        };
        let Some(len) = found else {
            return Err(self.malformed(field, Problem::Truncated));
        };
        let taken = self.take(field, len)?;
        let start = self.field_start;
        self.take(field, end.len())?;
        self.field_start = start;
        Ok(taken)
    }

    /// Takes `len` bytes as a reader of their own: a nested structure that cannot read past
    /// its end. Its offsets count from its own start.
    pub fn nested(&mut self, field: &'static str, len: usize) -> Result<Self, Malformed> {
        self.take(field, len).map(Self::new)
    }

    /// Takes a byte.
    #[inline]
    pub fn u8(&mut self, field: &'static str) -> Result<u8, Malformed> {
        self.array(field).map(u8::from_be_bytes)
    }

    /// Takes a big-endian 16-bit number.
    #[inline]
    pub fn u16(&mut self, field: &'static str) -> Result<u16, Malformed> {
        self.array(field).map(u16::from_be_bytes)
    }

    /// Takes a big-endian 24-bit number.
    pub fn u24(&mut self, field: &'static str) -> Result<u32, Malformed> {
        let [a, b, c] = self.array(field)?;
        Ok(u32::from_be_bytes([0, a, b, c]))
    }

    /// Takes a big-endian 32-bit number.
    #[inline]
    pub fn u32(&mut self, field: &'static str) -> Result<u32, Malformed> {
        self.array(field).map(u32::from_be_bytes)
    }

    /// Takes a big-endian 64-bit number.
    pub fn u64(&mut self, field: &'static str) -> Result<u64, Malformed> {
        self.array(field).map(u64::from_be_bytes)
    }

    /// Takes a little-endian 16-bit number.
    pub fn u16_le(&mut self, field: &'static str) -> Result<u16, Malformed> {
        self.array(field).map(u16::from_le_bytes)
    }

    /// Takes a little-endian 32-bit number.
    pub fn u32_le(&mut self, field: &'static str) -> Result<u32, Malformed> {
        self.array(field).map(u32::from_le_bytes)
    }

    /// Takes a little-endian 64-bit number.
    pub fn u64_le(&mut self, field: &'static str) -> Result<u64, Malformed> {
        self.array(field).map(u64::from_le_bytes)
    }

    /// An error about the field read last.
    #[must_use]
    pub fn malformed(&self, field: &'static str, problem: Problem) -> Malformed {
        Malformed { field, offset: self.field_start, problem }
    }

    /// An error about the field read last: `value` is not allowed there.
    #[must_use]
    pub fn invalid(&self, field: &'static str, value: impl Into<u32>) -> Malformed {
        self.malformed(field, Problem::Invalid(value.into()))
    }
}

/// The bytes do not follow the protocol.
#[derive(Clone, Copy, Debug, Error, Eq, PartialEq)]
#[error("{field} at byte {offset}: {problem}")]
pub struct Malformed {
    /// The field, in the specification's own name for it.
    pub field: &'static str,
    /// Where the field starts, in bytes from the start of the message.
    pub offset: usize,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, Error, Eq, PartialEq)]
pub enum Problem {
    /// The message ends first. For a stream: read on.
    #[error("message ends too soon")]
    Truncated,
    /// The value contradicts another field or the specification.
    #[error("value {0} is not allowed here")]
    Invalid(u32),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_forward_and_names_what_is_missing() {
        let mut r = Reader::new(&[1, 0, 2, 3, 0, 0, 4, 5, 13, 10, 9]);
        assert_eq!(r.u8("a"), Ok(1));
        assert_eq!(r.u16("b"), Ok(2));
        assert_eq!(r.u16_le("c"), Ok(3));
        assert_eq!(r.u16("d"), Ok(4));
        assert_eq!(r.until("line", b"\r\n"), Ok(&[5u8][..]));
        let missing = r.u32("e").unwrap_err();
        assert_eq!(missing.to_string(), "e at byte 10: message ends too soon");
        assert_eq!(r.take_up_to(9), [9]);
        assert!(r.is_at_end());
    }

    #[test]
    fn a_failed_read_takes_nothing() {
        let mut r = Reader::new(b"ab");
        assert!(r.take("three", 3).is_err());
        assert!(r.until("line", b"\n").is_err());
        assert_eq!(r.rest(), b"ab");
    }
}
