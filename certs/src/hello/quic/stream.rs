//! The stream of a handshake's messages, put together from CRYPTO frames in any order
//! (RFC 9000, section 19.6).

use std::collections::BTreeMap;

use crate::hello::{HelloError, MAX_BYTES};

/// The most pieces that wait for an earlier one: more than a server may have under way.
const MAX_PIECES: usize = 1_024;

/// One direction of one kind of packets.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// How much has been taken.
    taken: u64,
    pieces: BTreeMap<u64, Vec<u8>>,
}

impl Stream {
    pub(super) const fn new() -> Self {
        Self { taken: 0, pieces: BTreeMap::new() }
    }

    /// Keeps a piece, if it is news.
    ///
    /// # Errors
    /// [`HelloError::TooLarge`] for one that is further away than any chain is long: an
    /// acknowledged piece must not be lost, so it cannot be passed over.
    pub(super) fn keep(&mut self, offset: u64, bytes: &[u8]) -> Result<(), HelloError> {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let end = offset.saturating_add(length);
        if end > u64::try_from(MAX_BYTES).unwrap_or(u64::MAX) {
            return Err(HelloError::TooLarge);
        }
        let known = self.pieces.get(&offset);
        if end <= self.taken || known.is_some_and(|known| known.len() >= bytes.len()) {
            return Ok(());
        }
        if known.is_none() && self.pieces.len() >= MAX_PIECES {
            return Err(HelloError::TooLarge);
        }
        self.pieces.insert(offset, bytes.to_vec());
        Ok(())
    }

    /// Takes what has come without a gap.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let mut whole = Vec::new();
        while let Some(piece) = self.pieces.first_entry()
            && let Some(known) = self.taken.checked_sub(*piece.key())
        {
            let bytes = piece.remove();
            let known = usize::try_from(known).unwrap_or(usize::MAX);
            let news = bytes.get(known..).unwrap_or_default();
            whole.extend_from_slice(news);
            self.taken = self.taken.saturating_add(u64::try_from(news.len()).unwrap_or(u64::MAX));
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_in_any_order_again_and_overlapping() {
        let message: Vec<u8> = (0..100).collect();
        let mut stream = Stream::default();
        let mut whole = Vec::new();
        for (from, to) in [(60, 100), (20, 50), (0, 10), (5, 30), (5, 8), (0, 10), (40, 70)] {
            stream.keep(from as u64, &message[from..to]).unwrap();
            whole.extend(stream.take());
        }
        assert_eq!(whole, message);
        assert!(stream.pieces.is_empty());
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut stream = Stream::default();
        let most = MAX_BYTES as u64;
        assert_eq!(stream.keep(most, &[1]), Err(HelloError::TooLarge));
        assert_eq!(stream.keep(u64::MAX, &[1]), Err(HelloError::TooLarge));
        let full = (1..2_000).map(|piece| stream.keep(piece * 2, &[1])).find(Result::is_err);
        assert_eq!(full, Some(Err(HelloError::TooLarge)));
        assert_eq!(stream.pieces.len(), MAX_PIECES);
        assert!(stream.take().is_empty());
    }
}
