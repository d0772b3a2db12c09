//! One direction of a flow: its first bytes, put in order.
//!
//! What came first stays, whoever sends other bytes for the same place later: so every order of
//! arrival of the same segments that do not contradict each other gives the same stream, and
//! those that do are always treated the same way.

/// How much of each direction is read.
pub(super) const MOST: usize = 16 << 10;

/// Into how many pieces the bytes may fall while some are missing.
const MOST_PIECES: usize = 32;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Half {
    /// The sequence number of the first byte, where it is known.
    start: Option<u32>,
    bytes: Vec<u8>,
    /// What is there of them, in order, no two touching.
    pieces: Vec<(usize, usize)>,
    /// Whether the sender said that no more comes.
    pub(super) ended: bool,
}

impl Half {
    /// The stream begins with that sequence number.
    pub(super) const fn begin(&mut self, sequence: u32) {
        self.start = Some(sequence);
    }

    /// Whether it is known where the stream begins.
    pub(super) const fn has_begun(&self) -> bool {
        self.start.is_some()
    }

    /// Whether a stream that is known to begin somewhere begins there.
    pub(super) fn begins_at(&self, sequence: u32) -> bool {
        self.start == Some(sequence)
    }

    /// How far from the beginning that sequence number is, within what is read.
    pub(super) fn distance(&self, sequence: u32) -> Option<usize> {
        let distance = sequence.wrapping_sub(self.start?).cast_signed();
        usize::try_from(distance).ok().filter(|distance| *distance <= MOST)
    }

    /// The bytes from the first on without a gap.
    pub(super) fn stream(&self) -> &[u8] {
        match self.pieces.first() {
            Some((0, end)) => self.bytes.get(..*end).unwrap_or_default(),
            _ => &[],
        }
    }

    /// Whether as much has come as is read.
    pub(super) fn is_full(&self) -> bool {
        self.stream().len() >= MOST
    }

    /// Whether something is missing before what came later.
    pub(super) fn has_gap(&self) -> bool {
        !matches!(self.pieces.as_slice(), [] | [(0, _)])
    }

    /// How many bytes of memory it holds.
    pub(super) fn room(&self) -> usize {
        let pieces = self.pieces.capacity().saturating_mul(size_of::<(usize, usize)>());
        self.bytes.capacity().saturating_add(pieces)
    }

    /// Takes a segment. Says whether the stream has grown.
    pub(super) fn add(&mut self, sequence: u32, data: &[u8]) -> bool {
        // Without a beginning the first that comes is one.
        let start = *self.start.get_or_insert(sequence);
        let distance = sequence.wrapping_sub(start).cast_signed();
        let (from, data) = match usize::try_from(distance) {
            Ok(from) => (from, data),
            // Begins before: what is sent again, or a keep-alive.
            Err(_) => {
                let before = usize::try_from(distance.unsigned_abs()).unwrap_or(usize::MAX);
                (0, data.get(before..).unwrap_or_default())
            }
        };
        let end = from.saturating_add(data.len()).min(MOST);
        let before = self.stream().len();
        // What goes on where the stream ends makes no more pieces.
        if from >= end || (self.pieces.len() >= MOST_PIECES && from > before) {
            return false;
        }
        // As it nearly always is: the next segment of a stream without gaps.
        if from == self.bytes.len() && self.pieces.len() <= 1 && !self.has_gap() {
            self.bytes.extend_from_slice(data.get(..end.saturating_sub(from)).unwrap_or(data));
            self.pieces.clear();
            self.pieces.push((0, end));
            return true;
        }
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        for (gap, to) in self.gaps(from, end) {
            let source = data.get(gap.saturating_sub(from)..to.saturating_sub(from));
            if let (Some(place), Some(source)) = (self.bytes.get_mut(gap..to), source) {
                place.copy_from_slice(source);
            }
        }
        self.join(from, end);
        self.stream().len() > before
    }

    /// What is missing between two places.
    fn gaps(&self, from: usize, end: usize) -> Vec<(usize, usize)> {
        let mut gaps = Vec::new();
        let mut at = from;
        for (start, stop) in self.pieces.iter().copied() {
            if stop <= at {
                continue;
            }
            if start >= end {
                break;
            }
            if start > at {
                gaps.push((at, start));
            }
            at = stop;
        }
        if at < end {
            gaps.push((at, end));
        }
        gaps
    }

    /// Notes that all between two places is there.
    fn join(&mut self, mut from: usize, mut end: usize) {
        self.pieces.retain(|(start, stop)| {
            let apart = *stop < from || *start > end;
            if !apart {
                from = from.min(*start);
                end = end.max(*stop);
            }
            apart
        });
        let place = self.pieces.partition_point(|(start, _)| *start < from);
        self.pieces.insert(place, (from, end));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn segments_come_in_any_order() {
        let whole: Vec<u8> = (0..100).collect();
        let mut half = Half::default();
        half.begin(u32::MAX - 10);
        let mut put = |from: usize, to: usize| {
            let sequence = (u32::MAX - 10).wrapping_add(u32::try_from(from).unwrap());
            (half.add(sequence, &whole[from..to]), half.stream().len(), half.has_gap())
        };
        assert_eq!(put(50, 60), (false, 0, true));
        assert_eq!(put(5, 20), (false, 0, true));
        assert_eq!(put(0, 5), (true, 20, true));
        assert_eq!(put(10, 55), (true, 60, false));
        assert_eq!(put(0, 60), (false, 60, false));
        assert_eq!(put(60, 100), (true, 100, false));
        assert_eq!(half.stream(), whole);
    }

    #[test]
    fn what_came_first_stays() {
        let mut half = Half::default();
        half.begin(0);
        half.add(4, b"WXYZ");
        half.add(0, b"abcdefgh");
        assert_eq!(half.stream(), b"abcdWXYZ");
    }

    #[test]
    fn what_was_before_the_beginning_is_left_out() {
        let mut half = Half::default();
        half.begin(10);
        assert!(!half.add(9, b"x"));
        assert!(half.add(8, b"xyab"));
        assert_eq!(half.stream(), b"ab");
    }

    proptest! {
        #[test]
        fn nothing_makes_it_large(
            segments in proptest::collection::vec((any::<u32>(), 0..3_000_usize), 0..200),
        ) {
            let mut half = Half::default();
            half.begin(7);
            let data = vec![1; 3_000];
            for (sequence, len) in segments {
                half.add(sequence % 40_000, &data[..len]);
                prop_assert!(half.room() <= 2 * MOST + 4_096);
                prop_assert!(half.pieces.len() <= MOST_PIECES + 1);
                prop_assert!(half.pieces.windows(2).all(|two| two[0].1 < two[1].0));
            }
        }
    }
}
