//! A block of the receive ring (packet(7), linux/if_packet.h, TPACKET_V3) as frames.
//!
//! The kernel writes it and is trusted to; what is read here is checked all the same, as
//! every length is, so that a mistake of either side is an error and no wild read. All
//! numbers are in the order of this machine.

use model::Timestamp;
use wire::{Malformed, Problem, Reader};

/// The length of a block's header: version, offset, and `struct tpacket_hdr_v1`.
const BLOCK_HEADER: usize = 48;

/// Where the status is in it, which says whose the block is.
pub(super) const STATUS: usize = 8;

/// The length of `struct tpacket3_hdr`, the header of a frame.
const FRAME_HEADER: usize = 48;

/// A frame as it arrived.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Captured<'a> {
    /// When it came, by the kernel's clock.
    pub at: Timestamp,
    /// The frame from its destination address on, without the tag that was taken off.
    pub bytes: &'a [u8],
    /// The outermost VLAN tag, which the card or the kernel takes off and tells beside.
    pub tag: Option<Tag>,
}

/// A tag of IEEE 802.1Q.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Tag {
    /// What kind of tag: 0x8100, or 0x88a8 for the outer one of two. `None` where the kernel
    /// does not tell.
    pub ether_type: Option<u16>,
    /// Priority, and in the lower twelve bits the VLAN identifier.
    pub control: u16,
}

impl Tag {
    /// The VLAN identifier; 0 where the tag carries a priority only.
    #[must_use]
    pub const fn vlan(self) -> u16 {
        self.control & 0xfff
    }
}

/// The frames of a block, in the order of their arrival. The first error is the last item.
#[must_use]
pub fn frames(block: &[u8]) -> Frames<'_> {
    let mut frames = Frames { block, left: 0, next: 0, damage: None };
    match frames.read_header() {
        Ok((count, first)) => (frames.left, frames.next) = (count, first),
        Err(damage) => frames.damage = Some(damage),
    }
    frames
}

/// See [`frames`].
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    block: &'a [u8],
    left: u32,
    next: usize,
    /// What is wrong with the block's own header.
    damage: Option<Malformed>,
}

impl<'a> Frames<'a> {
    fn read_header(&self) -> Result<(u32, usize), Malformed> {
        let mut r = Reader::new(self.block);
        r.take("version and offset of private area", STATUS)?;
        r.take("block status", 4)?;
        let count = u32::from_ne_bytes(r.array("number of packets")?);
        let first = u32::from_ne_bytes(r.array("offset to first packet")?);
        let refused = r.invalid("offset to first packet", first);
        r.take("lengths and times", BLOCK_HEADER - 20)?;
        match usize::try_from(first) {
            Ok(first) if first >= BLOCK_HEADER || count == 0 => Ok((count, first)),
            _ => Err(refused),
        }
    }

    fn read_frame(&mut self) -> Result<Captured<'a>, Malformed> {
        const TAGGED: u32 = libc::TP_STATUS_VLAN_VALID;
        const TYPE_TOLD: u32 = libc::TP_STATUS_VLAN_TPID_VALID;

        let at = |offset| Malformed { field: "packet", offset, problem: Problem::Truncated };
        let rest = self.block.get(self.next..).ok_or_else(|| at(self.next))?;
        let mut r = Reader::new(rest);
        let next = u32::from_ne_bytes(r.array("offset to next packet")?);
        let too_near = r.invalid("offset to next packet", next);
        let seconds = i64::from(u32::from_ne_bytes(r.array("seconds")?));
        let nanoseconds = i64::from(u32::from_ne_bytes(r.array("nanoseconds")?));
        let len = u32::from_ne_bytes(r.array("snapshot length")?);
        r.take("length", 4)?;
        let status = u32::from_ne_bytes(r.array("status")?);
        let start = u16::from_ne_bytes(r.array("offset to frame")?);
        let into_header = r.invalid("offset to frame", start);
        r.take("offset to network header", 2)?;
        r.take("hash", 4)?;
        // A field of 32 bits for a number of 16.
        let control = u32::from_ne_bytes(r.array("VLAN tag control information")?) as u16;
        let ether_type = u16::from_ne_bytes(r.array("VLAN tag type")?);
        r.take("padding", 10)?;

        let start = usize::from(start);
        if start < FRAME_HEADER {
            return Err(into_header);
        }
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let end = start.saturating_add(len);
        let bytes = rest.get(start..end).ok_or_else(|| at(self.next))?;
        self.left -= 1;
        if self.left > 0 {
            let step = usize::try_from(next).unwrap_or(usize::MAX);
            if step < FRAME_HEADER {
                return Err(too_near);
            }
            self.next = self.next.saturating_add(step);
        }
        let tag = (status & TAGGED != 0)
            .then(|| Tag { ether_type: (status & TYPE_TOLD != 0).then_some(ether_type), control });
        let at = Timestamp(seconds.saturating_mul(1_000_000).saturating_add(nanoseconds / 1_000));
        Ok(Captured { at, bytes, tag })
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Captured<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(damage) = self.damage.take() {
            return Some(Err(damage));
        }
        if self.left == 0 {
            return None;
        }
        let read = self.read_frame();
        if read.is_err() {
            self.left = 0;
        }
        Some(read)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A block as the kernel lays it out: frames with their statuses and tags.
    fn block(all: &[(&[u8], u32, u16, u16)]) -> Vec<u8> {
        let mut bytes = vec![0; BLOCK_HEADER];
        bytes[12..16].copy_from_slice(&(all.len() as u32).to_ne_bytes());
        bytes[16..20].copy_from_slice(&(BLOCK_HEADER as u32).to_ne_bytes());
        for (place, (frame, status, control, ether_type)) in all.iter().enumerate() {
            // The frame lies behind a struct sockaddr_ll.
            let start = FRAME_HEADER + 34;
            let whole = (start + frame.len()).next_multiple_of(8);
            let next = if place + 1 < all.len() { whole as u32 } else { 0 };
            let header = bytes.len();
            bytes.resize(header + whole, 0);
            let slot = &mut bytes[header..];
            slot[..4].copy_from_slice(&next.to_ne_bytes());
            slot[4..8].copy_from_slice(&1_700_000_000_u32.to_ne_bytes());
            slot[8..12].copy_from_slice(&5_999_u32.to_ne_bytes());
            slot[12..16].copy_from_slice(&(frame.len() as u32).to_ne_bytes());
            slot[16..20].copy_from_slice(&(frame.len() as u32).to_ne_bytes());
            slot[20..24].copy_from_slice(&status.to_ne_bytes());
            slot[24..26].copy_from_slice(&(start as u16).to_ne_bytes());
            slot[32..36].copy_from_slice(&u32::from(*control).to_ne_bytes());
            slot[36..38].copy_from_slice(&ether_type.to_ne_bytes());
            slot[start..start + frame.len()].copy_from_slice(frame);
        }
        bytes
    }

    fn three() -> Vec<u8> {
        block(&[(b"first", 1, 0, 0), (b"", 0x11, 0x2007, 0), (b"last one", 0x51, 9, 0x88a8)])
    }

    #[test]
    fn the_layout_is_the_kernels() {
        assert_eq!(FRAME_HEADER, size_of::<libc::tpacket3_hdr>());
        assert_eq!(BLOCK_HEADER, size_of::<libc::tpacket_block_desc>());
    }

    #[test]
    fn frames_are_told_with_the_tags_that_were_taken_off() {
        let bytes = three();
        let all: Vec<_> = frames(&bytes).map(Result::unwrap).collect();
        let seven = Tag { ether_type: None, control: 0x2007 };
        let at = Timestamp(1_700_000_000_000_005);
        let nine = Tag { ether_type: Some(0x88a8), control: 9 };
        assert_eq!(
            all,
            [
                Captured { at, bytes: b"first", tag: None },
                Captured { at, bytes: b"", tag: Some(seven) },
                Captured { at, bytes: b"last one", tag: Some(nine) },
            ]
        );
        assert_eq!((seven.vlan(), nine.vlan()), (7, 9));
        assert_eq!(frames(&block(&[])).count(), 0);
    }

    #[test]
    fn every_cut_ends_in_one_error() {
        let bytes = three();
        // The last frame begins behind two of 88 bytes; what follows its eight is filling.
        let end = BLOCK_HEADER + 2 * 88 + 82 + 8;
        for len in 0..end {
            let all: Vec<_> = frames(&bytes[..len]).collect();
            assert!(all.len() <= 3 && all.last().is_some_and(Result::is_err), "cut at {len}");
            assert!(all.iter().rev().skip(1).all(Result::is_ok), "cut at {len}");
        }
    }

    #[test]
    fn offsets_that_lead_back_or_out_are_errors() {
        for (at, value) in [
            (16, 0_u32),
            (16, 47),
            (16, u32::MAX),
            (48, 0),
            (48, 47),
            (48, u32::MAX),
            (48 + 12, u32::MAX),
            (48 + 12, 10_000),
            (48 + 24, 0),
            (48 + 24, 47),
            (48 + 24, 0xffff),
        ] {
            let mut bytes = three();
            bytes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
            let last = frames(&bytes).last();
            assert!(last.as_ref().is_some_and(Result::is_err), "{value} at {at}: {last:?}");
        }
        // More frames than there are: the offset of the last one leads nowhere.
        let mut bytes = three();
        bytes[12..16].copy_from_slice(&4_u32.to_ne_bytes());
        assert!(frames(&bytes).last().is_some_and(|last| last.is_err()));
        assert_eq!(frames(&bytes).count(), 3);
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked_to_an_end(
            bytes in proptest::collection::vec(any::<u8>(), 0..400),
            count in 0..9_u32,
        ) {
            let mut bytes = bytes;
            if let Some(field) = bytes.get_mut(12..16) {
                field.copy_from_slice(&count.to_ne_bytes());
            }
            prop_assert!(frames(&bytes).count() <= 9);
        }

        #[test]
        fn a_damaged_block_is_walked_to_an_end(at in 0..300_usize, value in any::<u8>()) {
            let mut bytes = three();
            let at = at % bytes.len();
            bytes[at] = value;
            // Whatever it says, no frame is longer than the block.
            let most = bytes.len();
            for frame in frames(&bytes).take(10_000).flatten() {
                prop_assert!(frame.bytes.len() <= most);
            }
        }
    }
}
