//! The messages of a DTLS handshake (RFC 6347, section 4.2.2) before they are whole: their
//! fragments, in whatever order and however often they come.

use std::collections::BTreeMap;

use wire::{Malformed, Reader};

/// The most fragments of one message: 64 KiB in the smallest packets that the Internet has.
pub(crate) const MAX_FRAGMENTS: usize = 256;

/// What a fragment costs beside its bytes: its place among the others.
pub(crate) const PIECE: usize = 96;

/// A piece of a message, as a record carries it.
#[derive(Debug)]
pub(crate) struct Fragment<'a> {
    /// The type of the message.
    pub(crate) kind: u8,
    /// How long the whole message is.
    pub(crate) length: usize,
    /// Which message of its sender's this is.
    pub(crate) number: u16,
    /// Where in the message the piece belongs.
    pub(crate) place: usize,
    pub(crate) bytes: &'a [u8],
}

impl<'a> Fragment<'a> {
    /// Takes one from a record's contents. What it says of its place fits into the message.
    pub(crate) fn read(r: &mut Reader<'a>) -> Result<Self, Malformed> {
        let kind = r.u8("msg_type")?;
        let length = usize::try_from(r.u24("length")?).unwrap_or(usize::MAX);
        let number = r.u16("message_seq")?;
        let place = usize::try_from(r.u24("fragment_offset")?).unwrap_or(usize::MAX);
        let part = r.u24("fragment_length")?;
        let bytes = r.take("fragment", usize::try_from(part).unwrap_or(usize::MAX))?;
        if place.saturating_add(bytes.len()) > length {
            return Err(r.invalid("fragment_length", part));
        }
        Ok(Self { kind, length, number, place, bytes })
    }
}

/// A message of which some fragments have come, by their places in it.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    pub(crate) kind: u8,
    length: usize,
    fragments: BTreeMap<usize, Vec<u8>>,
}

impl Pieces {
    /// Begins a message with what a fragment says of it.
    pub(crate) const fn of(kind: u8, length: usize) -> Self {
        Self { kind, length, fragments: BTreeMap::new() }
    }

    /// Keeps a fragment. What came first stays, unless the same message, cut elsewhere when it
    /// was sent again, has more at one place. Says how many bytes more are held, its place
    /// among the others counted.
    pub(crate) fn keep(&mut self, fragment: &Fragment<'_>) -> usize {
        let Fragment { kind, length, place, bytes, .. } = fragment;
        let is_same = (self.kind, self.length) == (*kind, *length);
        let known = self.fragments.get(place).map(Vec::len);
        let is_more = known.is_none_or(|known| known < bytes.len());
        let fits = known.is_some() || self.fragments.len() < MAX_FRAGMENTS;
        // Nothing of a message is nothing, at however many places.
        let is_nothing = bytes.is_empty() && *length > 0;
        if !(is_same && is_more && fits) || is_nothing {
            return 0;
        }
        self.fragments.insert(*place, bytes.to_vec());
        let head = if known.is_none() { PIECE } else { 0 };
        bytes.len().saturating_sub(known.unwrap_or(0)).saturating_add(head)
    }

    /// Whether there is no gap in it, for less than [`Self::whole`] costs.
    pub(crate) fn is_whole(&self) -> bool {
        let mut end = 0_usize;
        for (place, bytes) in &self.fragments {
            if *place > end {
                return false;
            }
            end = end.max(place.saturating_add(bytes.len()));
        }
        end == self.length
    }

    /// Its contents, once there is no gap in them.
    pub(crate) fn whole(&self) -> Option<Vec<u8>> {
        let mut whole = Vec::new();
        for (place, bytes) in &self.fragments {
            let known = whole.len().checked_sub(*place)?;
            whole.extend_from_slice(bytes.get(known..).unwrap_or_default());
        }
        (whole.len() == self.length).then_some(whole)
    }

    /// How many fragments wait.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.fragments.len()
    }
}
